//! `portcullis explain`: what a statement does and what becomes of it, for a reader, or in bulk for scripts (`--batch`).

mod batch;
mod coming;
mod notes;
mod report;
mod why;

use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use crate::policy::diagnostic::{Severity, render};
use crate::policy::{self, ClientCertificate, Identity, Loaded, PolicySet};
use crate::sql;
use coming::{Coming, Protocol};

pub(super) const EXAMPLES: &str = "\
The session is the one that the tests of policies have: the first user, database and network of the first policy
that matches --user, with TLS, by the extended protocol, now; each part can be said otherwise. The policies' own tests are not
run. A text is one message; several statements in it always come as a simple query, since no other message can carry them
(psql -f sends each by itself: ask about each by itself, or in bulk).

Where a rule's condition on the protocol, the time or the application's name decides, a note says so.

Exits with 0 where the statement is allowed, 1 where it is refused, 2 where it can't be asked, or where there is none. (Comments
alone are an empty query, which every session may send.)

Each access is told with the rule that decided it. For a refusal it prints the smallest rule that would allow the statement,
ready to paste, after having tried it; or which rule, limit or setting stands in the way, where no allow rule helps.

In bulk, --batch reads JSON lines {\"id\": …, \"sql\": \"…\"} (or \"sql_b64\": the bytes of a text in base64) and writes one
JSON line each, in order. It exits with 0 unless a line is not such an object (2).

Examples:
  portcullis explain --policies policies/ --user app_rw 'DELETE FROM orders'
  portcullis explain --policies policies/ --user app_rw --database shop --address 10.0.0.7 -f query.sql
  portcullis explain --policies policies/ --user app_rw --json < query.sql
  portcullis explain --policies policies/ --protocol simple --at 2027-01-01T06:00:00Z 'DELETE FROM orders WHERE id = 7'
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
    /// The listener by which the session comes
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// The common name in the client's TLS certificate
    #[arg(long, value_name = "NAME", conflicts_with = "no_tls")]
    client_cn: Option<String>,
    /// A subjectAltName in the client's TLS certificate; once for each
    #[arg(long, value_name = "NAME", conflicts_with = "no_tls")]
    client_san: Vec<String>,
    /// The session comes over a Unix socket, from this user of the operating system
    #[arg(long, value_name = "NAME")]
    os_user: Option<String>,
    /// The session comes without TLS
    #[arg(long)]
    no_tls: bool,
    /// How the statement is sent; several statements in one text are always a simple query
    #[arg(long, value_enum, default_value_t = Protocol::Extended)]
    protocol: Protocol,
    /// When it is sent (RFC 3339), for rules with hours, from and until [default: now]
    #[arg(long, value_name = "TIME", value_parser = coming::timestamp)]
    at: Option<jiff::Timestamp>,
    /// What the session calls itself
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    application_name: String,
    /// Show what a second parser makes of the statement, beside PostgreSQL's grammar
    #[arg(long, short)]
    verbose: bool,
    /// Read JSON lines from a file, or from standard input (-)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sql", "file", "json"])]
    batch: Option<PathBuf>,
    /// Read the statement from a file: all of it as one message
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
    #[error("no statement was given: write it as an argument, in a file (-f FILE), or on standard input")]
    Empty,
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
    let policies = policies(&args.policies)?;
    let identity = identity(args, &policies);
    let coming = Coming { protocol: args.protocol, at: args.at, application_name: args.application_name.clone() };
    let session = policies.admit(&identity);
    let mut stdout = io::stdout().lock();
    let Some(batch) = &args.batch else {
        let sql = statement(args)?;
        // One moment for all that is told.
        let coming = Coming { at: Some(coming.at.unwrap_or_else(jiff::Timestamp::now)), ..coming };
        let answer = report::Answer::of(&sql, session.as_ref(), &coming, args.verbose);
        let why = why::Why::of(&sql, &policies, &identity, session.as_ref(), (&coming, answer.refusal()));
        let asked = report::Asked { sql: &sql, identity: &identity, coming: &coming, at: args.at };
        let told = match args.json {
            true => report::json(&asked, &answer, &why),
            false => report::text(&asked, &answer, &why),
        };
        let printed = stdout.write_all(told.as_bytes());
        printed.map_err(|source| ExplainError::Io { what: "can't write".into(), source })?;
        return Ok(answer.allowed());
    };
    let unreadable = if batch.as_os_str() == "-" {
        batch::run(io::stdin().lock(), stdout, session.as_ref(), &coming, args.verbose)?
    } else {
        let what = || format!("can't read {}", batch.display());
        let file = std::fs::File::open(batch).map_err(|source| ExplainError::Io { what: what(), source })?;
        batch::run(file, stdout, session.as_ref(), &coming, args.verbose)?
    };
    if unreadable > 0 { Err(ExplainError::Lines(unreadable)) } else { Ok(true) }
}

/// The policies, without running their tests: where one fails, this is how to find out why.
fn policies(directory: &Path) -> Result<Arc<PolicySet>, ExplainError> {
    let Loaded { set, findings } = policy::read(&[directory.to_owned()]);
    set.ok_or_else(|| {
        let errors: Vec<_> = findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect();
        ExplainError::Policies(render(&errors))
    })
}

fn statement(args: &Args) -> Result<String, ExplainError> {
    let text = text(args)?;
    if text.trim().is_empty() { Err(ExplainError::Empty) } else { Ok(text) }
}

fn text(args: &Args) -> Result<String, ExplainError> {
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
    let mut arrival = test.map(|test| test.arrival).unwrap_or_default();
    if let Some(listener) = &args.listener {
        arrival.listener = listener.as_str().into();
    }
    if args.client_cn.is_some() || !args.client_san.is_empty() {
        let shown = ClientCertificate { cn: args.client_cn.clone(), san: args.client_san.clone() };
        arrival.certificate = Some(Arc::new(shown));
    }
    if args.no_tls {
        arrival.certificate = None;
    }
    if let Some(user) = &args.os_user {
        arrival.os_user = Some(user.as_str().into());
    }
    Identity { user, database, address, tls: !args.no_tls, replication: false, arrival }
}

#[cfg(test)]
mod tests;
