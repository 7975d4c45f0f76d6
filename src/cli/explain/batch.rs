//! The bulk form: JSON lines in, one JSON line each out, in order. A contract for scripts.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ExplainError;
use super::coming::Coming;
use super::report::{Answer, Undecodable};
use crate::policy::{Refusal, SessionPolicy};

const BUFFER: usize = 256 << 10;

/// A line of the input.
#[derive(Debug, Deserialize)]
struct Question<'a> {
    /// Comes back as it was written.
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    sql: Option<String>,
    sql_b64: Option<String>,
}

/// A line of the output.
#[derive(Serialize)]
struct Line<'a> {
    id: Option<&'a RawValue>,
    #[serde(flatten)]
    answer: &'a Answer,
}

/// A line of which only the id can be read.
#[derive(Debug, Deserialize)]
struct Rest<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

/// Answers every line; empty ones are skipped. A line that is not such an object is answered with an error, too, so that
/// answers and questions stay in step. Tells how many of those there were.
///
/// # Errors
/// Reading and writing.
pub(super) fn run(
    input: impl Read,
    output: impl Write,
    session: Result<&SessionPolicy, &Refusal>,
    coming: &Coming,
    verbose: bool,
) -> Result<u64, ExplainError> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let mut output = BufWriter::with_capacity(BUFFER, output);
    let writing = |source| ExplainError::Io { what: "can't write".into(), source };
    let mut line = Vec::new();
    let mut unreadable = 0;
    loop {
        // A script that waits for the answer before it asks again gets it; a file is never flushed line by line.
        if input.buffer().is_empty() {
            output.flush().map_err(writing)?;
        }
        line.clear();
        let read = input.read_until(b'\n', &mut line);
        if read.map_err(|source| ExplainError::Io { what: "can't read".into(), source })? == 0 {
            output.flush().map_err(writing)?;
            return Ok(unreadable);
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let (id, text) = match question(&line) {
            Ok((id, text)) => (id, Ok(text)),
            Err(problem) => {
                unreadable += 1;
                (serde_json::from_slice(&line).ok().and_then(|rest: Rest<'_>| rest.id), Err(problem))
            }
        };
        let answer = match text {
            Ok(Text::Sql(sql)) => contained(&sql, session, coming, verbose),
            Ok(Text::Bytes(bytes)) => match std::str::from_utf8(&bytes) {
                Ok(sql) => contained(sql, session, coming, verbose),
                Err(error) => Answer::undecodable(&Undecodable::Utf8(error.valid_up_to()), session),
            },
            Err(problem) => Answer::undecodable(&Undecodable::Line(problem), session),
        };
        let written = serde_json::to_writer(&mut output, &Line { id, answer: &answer }).map_err(io::Error::from);
        written.and_then(|()| output.write_all(b"\n")).map_err(writing)?;
    }
}

/// A bug that panics costs one answer, as it costs one session behind the firewall, and is refused as there.
fn contained(sql: &str, session: Result<&SessionPolicy, &Refusal>, coming: &Coming, verbose: bool) -> Answer {
    let answer = catch_unwind(AssertUnwindSafe(|| Answer::of(sql, session, coming, verbose)));
    let bug = || Undecodable::Line("reading it panicked: a bug of portcullis, please report it".into());
    answer.unwrap_or_else(|_| Answer::undecodable(&bug(), session))
}

enum Text {
    Sql(String),
    Bytes(Vec<u8>),
}

/// A line's id and text.
///
/// # Errors
/// What is wrong with the line.
fn question(line: &[u8]) -> Result<(Option<&RawValue>, Text), String> {
    let question: Question<'_> = serde_json::from_slice(line).map_err(|error| format!("not a question: {error}"))?;
    match (question.sql, question.sql_b64) {
        (Some(sql), None) => Ok((question.id, Text::Sql(sql))),
        (None, Some(encoded)) => {
            let bytes = BASE64.decode(encoded).map_err(|error| format!("sql_b64 is not base64: {error}"))?;
            Ok((question.id, Text::Bytes(bytes)))
        }
        (Some(_), Some(_)) => Err("not a question: both sql and sql_b64".into()),
        (None, None) => Err("not a question: neither sql nor sql_b64".into()),
    }
}
