//! `portcullis selftest`: fires the catalogue of attacks at policies, by judging alone or in front of a scratch server.

mod report;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::ValueEnum;

use crate::attacks;
use crate::cli::demo::cluster::{Binaries, Cluster, ClusterError, Scratch};
use crate::policy;
use crate::selftest::{self, LiveError, Server, Tried};
use crate::{server, sql};

pub(super) const EXAMPLES: &str = "\
Without a server, every message of an attack is judged as a session of the policy would judge it. With --scratch it is
played for real: past a firewall, where it must do harm, then through one with the policies under test; afterwards the
server must be as before. --scratch alone starts a throw-away PostgreSQL; with --upstream it takes your server, which
must be one to throw away: roles and databases are made, attacked and dropped there. Log in as a superuser
(postgres://postgres@host:port, password in PGPASSWORD).

An attack is `open` where it worked, or where nothing was in its way. It is `permitted` where the policy lets the same
deed pass where it is said openly (a policy of migrations creates tables). --accept CODES says of an attack that it may
pass. Exits with 0 where nothing is open, 1 where something is, 2 where it can't be told.

Examples:
  portcullis selftest --policies policies/
  portcullis selftest --policies policies/ --scratch
  portcullis selftest --policies policies/ --upstream 'postgres://postgres@127.0.0.1:5433' --scratch --format junit
  portcullis selftest --list";

/// The settings of a throw-away server that attacks need to do their harm.
const SETTINGS: [&str; 3] = ["wal_level=logical", "max_prepared_transactions=5", "max_replication_slots=5"];

/// The arguments of `portcullis selftest`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory of the policies
    #[arg(long, value_name = "DIR", default_value = "policies", env = "PORTCULLIS_POLICIES")]
    policies: PathBuf,
    /// A scratch server and its superuser: postgres://postgres@host:port?sslmode=…; the password is read from PGPASSWORD
    #[arg(long, value_name = "URL", requires = "scratch")]
    upstream: Option<String>,
    /// Play the attacks in front of a server that is there to be thrown away
    #[arg(long)]
    scratch: bool,
    /// Attacks that may pass: A20, or oncall/A20 for one policy
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    accept: Vec<String>,
    /// Only these attacks: A20,C3
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    only: Vec<String>,
    /// How results are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Show every attack, not only those that matter
    #[arg(long, short)]
    verbose: bool,
    /// Print the catalogue instead
    #[arg(long)]
    list: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for people
    Text,
    /// One JSON document
    Json,
    /// JUnit XML, for CI systems
    Junit,
    /// Prometheus' text format, for a textfile collector
    Prometheus,
    /// The catalogue as a page of documentation (with --list)
    Markdown,
}

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
enum SelftestError {
    #[error("{0}")]
    Policies(String),
    #[error("--upstream: {0}")]
    Upstream(&'static str),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Live(#[from] LiveError),
    #[error("can't write: {0}")]
    Write(io::Error),
    #[error("{option} {code}: there is no such attack in the catalogue (--list shows it)")]
    NoSuchAttack { option: &'static str, code: String },
    #[error("--format markdown is for --list")]
    Markdown,
    #[error("can't start a thread: {0}")]
    Thread(io::Error),
    #[error("the thread of the self-test ended by a panic")]
    Panic,
}

/// Runs the self-test, on a thread whose stack any statement fits in.
pub fn run(args: Args) -> ExitCode {
    let thread = std::thread::Builder::new().name("selftest".to_owned()).stack_size(sql::STACK);
    let outcome = match thread.spawn(move || selftest(&args)) {
        Ok(thread) => thread.join().unwrap_or(Err(SelftestError::Panic)),
        Err(error) => Err(SelftestError::Thread(error)),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        // Whoever reads has read enough: `head` is no error.
        Err(SelftestError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis selftest: {error}");
            ExitCode::from(2)
        }
    }
}

fn selftest(args: &Args) -> Result<u8, SelftestError> {
    if args.list {
        let text = if args.format == Format::Markdown { report::markdown() } else { report::list() };
        return print(&text).map(|()| 0);
    }
    if args.format == Format::Markdown {
        return Err(SelftestError::Markdown);
    }
    let accepted = Accepted::new(&args.accept)?;
    let only: Vec<&str> = args.only.iter().map(|code| known("--only", code)).collect::<Result<_, _>>()?;
    let load = || policy::load(&args.policies);
    let set = Arc::new(load().map_err(SelftestError::Policies)?);
    let (results, how) = if args.scratch {
        let scratch = ScratchServer::open(args.upstream.as_deref())?;
        let results = selftest::live(&scratch.server, &only, load, progress())?;
        erase_progress();
        (results, format!("played in front of {}", scratch.name))
    } else {
        let metrics = Arc::new(server::metrics());
        let results = selftest::offline(&set, &metrics, &only).map_err(SelftestError::Policies)?;
        (results, "judged without a server (--scratch plays them)".to_owned())
    };
    let how = if only.is_empty() { how } else { format!("of which {} {how}", only.join(" ")) };
    let report = report::Report::new(&set, &results, &accepted, how);
    print(&match args.format {
        Format::Text | Format::Markdown => report.text(args.verbose),
        Format::Json => report.json(),
        Format::Junit => report.junit(),
        Format::Prometheus => report.prometheus(),
    })?;
    Ok(match (report.open(), report.failed()) {
        (0, 0) => 0,
        (0, _) => 2,
        (_, _) => 1,
    })
}

fn print(text: &str) -> Result<(), SelftestError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(SelftestError::Write)
}

/// On a terminal: which attack is being played.
fn progress() -> impl FnMut(&selftest::Subject, &attacks::Attack) {
    let terminal = io::stderr().is_terminal();
    move |subject, attack| {
        if terminal {
            // Nobody needs it.
            let _ = write!(io::stderr(), "\r\x1b[K{} {} {}", subject.policy, attack.code, attack.title);
        }
    }
}

fn erase_progress() {
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
}

/// The code of an attack as the catalogue writes it.
fn known(option: &'static str, code: &str) -> Result<&'static str, SelftestError> {
    let attack = attacks::all().find(|attack| attack.code.eq_ignore_ascii_case(code.trim()));
    attack.map(|attack| attack.code).ok_or_else(|| SelftestError::NoSuchAttack { option, code: code.to_owned() })
}

/// What may pass, as whoever runs the self-test says: codes of attacks, some for one policy only.
struct Accepted(Vec<(Option<String>, &'static str)>);

impl Accepted {
    fn new(given: &[String]) -> Result<Accepted, SelftestError> {
        let mut accepted = Vec::new();
        for text in given {
            let (policy, code) = match text.rsplit_once('/') {
                Some((policy, code)) => (Some(policy.to_owned()), code),
                None => (None, text.as_str()),
            };
            accepted.push((policy, known("--accept", code)?));
        }
        Ok(Accepted(accepted))
    }

    fn accepts(&self, tried: &Tried) -> bool {
        let named = |policy: &Option<String>| policy.as_ref().is_none_or(|policy| **policy == *tried.policy);
        self.0.iter().any(|(policy, code)| named(policy) && *code == tried.attack.code)
    }
}

/// The server that is attacked; our own one is gone with this.
struct ScratchServer {
    server: Server,
    name: String,
    _own: Option<Cluster>,
}

impl ScratchServer {
    fn open(url: Option<&str>) -> Result<ScratchServer, SelftestError> {
        let Some(url) = url else {
            let binaries = Binaries::find()?;
            let scratch = Scratch::new()?;
            scratch.initdb(&binaries)?;
            let cluster = Cluster::start(&binaries, scratch, &SETTINGS.map(str::to_owned))?;
            let server = Server {
                upstream: format!("postgres://127.0.0.1:{}?sslmode=disable", cluster.port()),
                user: "postgres".to_owned(),
                password: Some(cluster.password().to_owned()),
            };
            return Ok(ScratchServer { server, name: "a throw-away PostgreSQL".to_owned(), _own: Some(cluster) });
        };
        let mut parsed =
            url::Url::parse(url).map_err(|_| SelftestError::Upstream("write postgres://postgres@host:port"))?;
        if parsed.password().is_some() {
            return Err(SelftestError::Upstream(
                "a password in a URL shows in process lists: leave it out and set PGPASSWORD",
            ));
        }
        let user = match parsed.username() {
            "" => "postgres".to_owned(),
            user => user.to_owned(),
        };
        let plain = "it is no URL of a server";
        parsed.set_username("").map_err(|()| SelftestError::Upstream(plain))?;
        let name = format!("{}:{}", parsed.host_str().unwrap_or_default(), parsed.port().unwrap_or(5432));
        let password = std::env::var("PGPASSWORD").ok();
        Ok(ScratchServer { server: Server { upstream: parsed.into(), user, password }, name, _own: None })
    }
}

#[cfg(test)]
mod tests;
