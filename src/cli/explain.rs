//! `portcullis explain`: what a statement does and what becomes of it, for a reader, or in bulk for scripts (`--batch`).

mod batch;
mod report;
mod why;

use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use crate::policy::{self, Identity, PolicySet};
use crate::sql;

pub(super) const EXAMPLES: &str = "\
The session is a test session of the policies (POLICY 14): the first user, database and network of the first policy
that matches --user, with TLS; each part can be said otherwise.

Exits with 0 where the statement is allowed, 1 where it is refused, 2 where it can't be asked.

Each access is told with the rule that decided it. For a refusal it prints the smallest rule that would allow the statement,
ready to paste, after having tried it; or which rule, limit or setting stands in the way, where no allow rule helps.

In bulk, --batch reads JSON lines {\"id\": …, \"sql\": \"…\"} (or \"sql_b64\": the bytes of a text in base64) and writes one
JSON line each, in order. It exits with 0 unless a line is not such an object (2).

Examples:
  portcullis explain --policies policies/ --user app_rw 'DELETE FROM orders'
  portcullis explain --policies policies/ --user app_rw --database shop --address 10.0.0.7 -f query.sql
  portcullis explain --policies policies/ --user app_rw --json < query.sql
  portcullis explain --policies policies/ --batch statements.jsonl";

/// The arguments of `portcullis explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory of the policies
    #[arg(long, value_name = "DIR", default_value = "policies", env = "PORTCULLIS_POLICIES")]
    policies: PathBuf,
    /// The session's user [default: that of the first policy's test session]
    #[arg(long)]
    user: Option<String>,
    /// The session's database
    #[arg(long)]
    database: Option<String>,
    /// Where the session comes from
    #[arg(long)]
    address: Option<IpAddr>,
    /// The session comes without TLS
    #[arg(long)]
    no_tls: bool,
    /// Show what a second parser makes of the statement, beside PostgreSQL's grammar
    #[arg(long, short)]
    verbose: bool,
    /// Read JSON lines from a file, or from standard input (-)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sql", "file", "json"])]
    batch: Option<PathBuf>,
    /// Read the statement from a file: all of it as one message, as a simple query would send it
    #[arg(long, short, value_name = "FILE", conflicts_with = "sql")]
    file: Option<PathBuf>,
    /// Answer with one JSON object (docs/learning.md has its keys)
    #[arg(long)]
    json: bool,
    /// The statement; without it, standard input
    sql: Option<String>,
}

/// Why nothing can be explained.
#[derive(Debug, thiserror::Error)]
enum ExplainError {
    #[error("{0}")]
    Policies(String),
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("{0} of the lines are no objects with \"sql\" or \"sql_b64\"; their answers say why")]
    Lines(u64),
    #[error("the statement is not UTF-8")]
    Encoding,
    #[error("the reading thread ended by a panic")]
    Panic,
}

/// Explains. On a thread with a stack for the deepest statement.
pub fn run(args: Args) -> ExitCode {
    let thread = std::thread::Builder::new().name("explain".into()).stack_size(sql::STACK);
    let outcome = match thread.spawn(move || explain(&args)) {
        Ok(thread) => thread.join().unwrap_or(Err(ExplainError::Panic)),
        Err(source) => Err(ExplainError::Io { what: "can't start a thread".into(), source }),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        // Whoever reads the answers has read enough: `head` is no error.
        Err(ExplainError::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis explain: {error}");
            ExitCode::from(2)
        }
    }
}

/// True where the statement is allowed (in bulk: where all lines could be read).
fn explain(args: &Args) -> Result<bool, ExplainError> {
    let policies = Arc::new(policy::load(&args.policies).map_err(ExplainError::Policies)?);
    let identity = identity(args, &policies);
    let session = policies.admit(&identity);
    let mut stdout = io::stdout().lock();
    let Some(batch) = &args.batch else {
        let sql = statement(args)?;
        let answer = report::Answer::of(&sql, session.as_ref(), args.verbose);
        let why = why::Why::of(&sql, &policies, &identity, session.as_ref());
        let told = match args.json {
            true => report::json(&sql, &identity, &answer, &why),
            false => report::text(&sql, &identity, &answer, &why),
        };
        let printed = stdout.write_all(told.as_bytes());
        printed.map_err(|source| ExplainError::Io { what: "can't write".into(), source })?;
        return Ok(answer.allowed());
    };
    let unreadable = if batch.as_os_str() == "-" {
        batch::run(io::stdin().lock(), stdout, session.as_ref(), args.verbose)?
    } else {
        let what = || format!("can't read {}", batch.display());
        let file = std::fs::File::open(batch).map_err(|source| ExplainError::Io { what: what(), source })?;
        batch::run(file, stdout, session.as_ref(), args.verbose)?
    };
    if unreadable > 0 { Err(ExplainError::Lines(unreadable)) } else { Ok(true) }
}

fn statement(args: &Args) -> Result<String, ExplainError> {
    if let Some(sql) = &args.sql {
        return Ok(sql.clone());
    }
    let mut bytes = Vec::new();
    let (read, what) = match &args.file {
        Some(file) => (std::fs::read(file).map(|read| bytes = read), format!("can't read {}", file.display())),
        None => (io::stdin().lock().read_to_end(&mut bytes).map(drop), "can't read standard input".into()),
    };
    read.map_err(|source| ExplainError::Io { what, source })?;
    String::from_utf8(bytes).map_err(|_| ExplainError::Encoding)
}

/// Text as it may go to a terminal: line breaks as spaces, other control characters escaped.
fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
        out
    })
}

/// The test session of the policies, with what the arguments say otherwise.
fn identity(args: &Args, policies: &PolicySet) -> Identity {
    let test = policies.test_identity(args.user.as_deref());
    let user = args.user.clone().or(test.as_ref().map(|t| t.user.clone())).unwrap_or_else(|| "postgres".into());
    let database = args.database.clone().or(test.as_ref().map(|t| t.database.clone())).unwrap_or_else(|| user.clone());
    let address = args.address.or(test.as_ref().map(|t| t.address)).unwrap_or(IpAddr::from([127, 0, 0, 1]));
    Identity { user, database, address, tls: !args.no_tls, replication: false }
}

#[cfg(test)]
mod tests;
