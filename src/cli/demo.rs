//! `portcullis demo`: a throw-away PostgreSQL with the firewall in front of it, and a tour.

pub mod certificates;
pub mod cluster;
mod tour;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

use certificates::{Authority, CertificateError, Identity};
use cluster::{Binaries, Cluster, ClusterError, Kept, Scratch, free_port, write_private};

/// The policy that the demo runs under; the tour prints it.
const POLICY: &str = include_str!("demo/shop.yaml");
/// The demo's tables.
const SCHEMA: &str = include_str!("demo/shop.sql");
/// Only with TLS and SCRAM; everybody else, the superuser too, only with the password that initdb got.
const HBA: &str = "hostssl all all 127.0.0.1/32 scram-sha-256\nhostnossl all postgres 127.0.0.1/32 scram-sha-256\n";
/// How long the firewall may take until it is ready.
const START: Duration = Duration::from_secs(20);

/// The arguments of `portcullis demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End after the tour instead of staying up
    #[arg(long)]
    pub once: bool,
}

/// Why the demo ended early.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
    #[error("the firewall did not start; it says:\n{0}")]
    Firewall(String),
    #[error("the tour went wrong: {0}")]
    Tour(String),
    #[error("interrupted")]
    Interrupted,
}

/// Runs the demo. It leaves nothing behind: every process and every file goes with it, however it ends.
pub fn run(args: Args) -> ExitCode {
    match signals().and_then(|stop| play(&args, &stop)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(DemoError::Interrupted) => {
            // Nobody may be left to read it.
            let _ = say(&mut io::stdout(), "\nStopped. The firewall, PostgreSQL and their files are gone.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("portcullis demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts everything, plays the tour, and stays up until it is told to stop. What it started is dropped on every way out.
fn play(args: &Args, stop: &Receiver<()>) -> Result<(), DemoError> {
    let mut out = io::stdout();
    let binaries = Binaries::find()?;
    say(&mut out, "Starting a throw-away PostgreSQL with TLS and SCRAM, and the firewall in front of it ...")?;
    let scratch = Scratch::new()?;
    scratch.initdb(&binaries)?;
    go_on(stop)?;
    let shop = Shop::open(binaries, scratch)?;
    go_on(stop)?;
    let mut firewall = Firewall::start(&shop, stop)?;
    tour::play(&mut out, &shop, &firewall, stop)?;
    if args.once {
        return Ok(());
    }
    farewell(&mut out, &shop, &firewall)?;
    loop {
        match stop.recv_timeout(Duration::from_millis(500)) {
            Err(RecvTimeoutError::Timeout) if firewall.process.ended() => {
                return Err(DemoError::Firewall(firewall.log()));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Err(DemoError::Interrupted),
        }
    }
}

/// Hears once of Ctrl-C or SIGTERM.
fn signals() -> Result<Receiver<()>, DemoError> {
    let failed = |source| DemoError::Io { what: "can't watch for signals", source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let context = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    drop(context);
    let (told, stop) = mpsc::channel();
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        });
        let _ = told.send(());
    });
    Ok(stop)
}

/// An error once we were told to stop.
fn go_on(stop: &Receiver<()>) -> Result<(), DemoError> {
    match stop.try_recv() {
        Err(TryRecvError::Empty) => Ok(()),
        Ok(()) | Err(TryRecvError::Disconnected) => Err(DemoError::Interrupted),
    }
}

/// The database that the firewall protects.
struct Shop {
    cluster: Cluster,
    identity: Identity,
    authority: PathBuf,
    /// The password of `shop_app`.
    password: String,
}

impl Shop {
    fn open(binaries: Binaries, scratch: Scratch) -> Result<Shop, DemoError> {
        write_private(&scratch.data().join("pg_hba.conf"), HBA)?;
        // The firewall shows the same certificate as the database: so SCRAM with channel binding works right through it.
        let authority = Authority::new("Portcullis demo CA")?;
        let identity = authority.issue(&["localhost", "127.0.0.1"], scratch.path(), "server")?;
        let authority = authority.write(scratch.path(), "ca")?;
        scratch.own(&identity.key)?;
        let settings = [
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", identity.certificate.display()),
            format!("ssl_key_file={}", identity.key.display()),
        ];
        let cluster = Cluster::start(&binaries, scratch, &settings)?;
        let password = format!("{:016x}", rand::random::<u64>());
        let role = format!("CREATE ROLE shop_app LOGIN PASSWORD '{password}';\nCREATE DATABASE shop OWNER shop_app;\n");
        cluster.execute("postgres", &(role + SCHEMA))?;
        Ok(Shop { cluster, identity, authority, password })
    }

    /// What `DATABASE_URL` says for a port of this machine.
    fn url(&self, port: u16) -> String {
        let Shop { password, authority, .. } = self;
        let root = authority.display();
        format!("postgres://shop_app:{password}@localhost:{port}/shop?sslmode=verify-full&sslrootcert={root}")
    }
}

/// The firewall: this very program as `portcullis run`.
struct Firewall {
    process: Kept,
    port: u16,
    admin: u16,
    log: PathBuf,
    policies: PathBuf,
}

impl Firewall {
    fn start(shop: &Shop, stop: &Receiver<()>) -> Result<Firewall, DemoError> {
        let io = |what| move |source| DemoError::Io { what, source };
        let directory = shop.cluster.directory();
        let policies = directory.join("policies");
        fs::create_dir_all(&policies).map_err(io("can't create the policy directory"))?;
        // Its contents can then be removed by the keeper, which has PostgreSQL's rights and no more.
        shop.cluster.own(&policies)?;
        fs::write(policies.join("shop.yaml"), POLICY).map_err(io("can't write the policy"))?;
        let program = std::env::current_exe().map_err(io("can't find this program"))?;
        let (port, admin) = (free_port()?, free_port()?);
        let upstream = format!(
            "postgres://localhost:{}?sslmode=verify-full&sslrootcert={}",
            shop.cluster.port(),
            shop.authority.display()
        );
        let arguments = [
            "run".to_owned(),
            format!("--listen=127.0.0.1:{port}"),
            format!("--admin=127.0.0.1:{admin}"),
            // Relative to where it runs, so that errors name a short path.
            "--policies=policies".to_owned(),
            format!("--upstream={upstream}"),
            format!("--tls-cert={}", shop.identity.certificate.display()),
            format!("--tls-key={}", shop.identity.key.display()),
        ];
        let log = directory.join("firewall.log");
        let output = File::create(&log).map_err(io("can't write the firewall's log"))?;
        let mut shell = Command::new("sh");
        // Nothing of ours may configure it: PORTCULLIS_… in the environment is for the real one.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PORTCULLIS_")) {
            shell.env_remove(name);
        }
        shell.env("NO_COLOR", "1").current_dir(directory);
        let process = Kept::spawn(&mut shell, &program, &arguments, "KILL", None, output)?;
        let mut firewall = Firewall { process, port, admin, log, policies };
        let deadline = Instant::now() + START;
        while firewall.get("/readyz").is_none_or(|(code, _)| code != 200) {
            go_on(stop)?;
            if firewall.process.ended() || Instant::now() > deadline {
                return Err(DemoError::Firewall(firewall.log()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(firewall)
    }

    /// What it logged.
    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `GET` on its admin port: status code and answer.
    fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.admin)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let code = answer.split(' ').nth(1)?.parse().ok()?;
        Some((code, answer))
    }
}

/// What there is to try.
fn farewell(out: &mut impl Write, shop: &Shop, firewall: &Firewall) -> Result<(), DemoError> {
    let url = shop.url(firewall.port);
    let psql = shop.cluster.binaries().tool("psql");
    say(out, "\nIt is all yours now. For your application:\n")?;
    say(out, &format!("    export DATABASE_URL='{url}'"))?;
    say(out, "\nOr by hand:\n")?;
    say(out, &format!("    {} '{url}'", psql.display()))?;
    say(out, "\nThe policy, the firewall's log and its metrics:\n")?;
    say(out, &format!("    {}", firewall.policies.join("shop.yaml").display()))?;
    say(out, &format!("    {}", firewall.log.display()))?;
    say(out, &format!("    http://127.0.0.1:{}/metrics", firewall.admin))?;
    say(out, "\nCtrl-C ends it and leaves nothing behind.")
}

/// Writes a line; a reader that went away (`portcullis demo | head`) ends the demo.
fn say(out: &mut impl Write, line: &str) -> Result<(), DemoError> {
    let failed = |source| DemoError::Io { what: "can't write", source };
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(failed)
}
