//! The built program in front of a cluster.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use portcullis::cli::demo::cluster::{Kept, free_port};
use rustix::process::Signal;

use super::cluster::Cluster;
use super::wire::Client;

/// How to run the firewall.
pub struct Options {
    /// The policy files: name and YAML. With none, `directory` is used.
    pub policies: Vec<(&'static str, String)>,
    /// A directory of policies, by default the one that is shipped.
    pub directory: PathBuf,
    /// The parameters of the upstream URL.
    pub upstream: String,
    /// The host of the upstream URL.
    pub host: &'static str,
    /// Where it listens; `{port}` is its free port, `{directory}` one of its own.
    pub listen: String,
    /// Certificate and key for the client leg.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The text of a configuration file.
    pub config: Option<String>,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// Further environment.
    pub environment: Vec<(&'static str, String)>,
    /// False to return before `/readyz` says 200.
    pub ready: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            policies: Vec::new(),
            directory: Path::new(env!("CARGO_MANIFEST_DIR")).join("policies"),
            upstream: "sslmode=prefer".to_owned(),
            host: "127.0.0.1",
            listen: "127.0.0.1:{port}".to_owned(),
            tls: None,
            config: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            ready: true,
        }
    }
}

impl Options {
    /// One policy document.
    pub fn policy(yaml: &str) -> Options {
        Options { policies: vec![("test.yaml", yaml.to_owned())], ..Options::default() }
    }

    /// Everything passes and is counted: `policies/observe-everything.yaml` as shipped.
    pub fn observe() -> Options {
        Options::shipped("observe-everything.yaml")
    }

    /// One of the shipped policies alone.
    pub fn shipped(file: &'static str) -> Options {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(file);
        let yaml = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Options { policies: vec![(file, yaml)], ..Options::default() }
    }
}

/// A running firewall; dropping it kills it.
pub struct Firewall {
    process: Kept,
    port: u16,
    admin: u16,
    /// The admin token that it was given in its environment.
    token: Option<String>,
    directory: tempfile::TempDir,
}

impl Firewall {
    /// Starts it in front of a cluster.
    pub fn start(cluster: &Cluster, options: Options) -> Firewall {
        Firewall::before(cluster.port(), options)
    }

    /// Starts it in front of a port of the loopback address.
    pub fn before(upstream: u16, options: Options) -> Firewall {
        for _ in 0..5 {
            let mut firewall = Firewall::spawn(upstream, &options);
            let deadline = Instant::now() + Duration::from_secs(20);
            loop {
                if firewall.process.ended() {
                    break;
                }
                let status = firewall.try_get(if options.ready { "/readyz" } else { "/healthz" }).map(|(code, _)| code);
                if status == Some(200) {
                    return firewall;
                }
                assert!(Instant::now() < deadline, "the firewall is not ready ({status:?}):\n{}", firewall.log());
                std::thread::sleep(Duration::from_millis(25));
            }
            // Two free ports are picked before they are taken: another test may have been faster.
            let log = firewall.log();
            assert!(log.contains("in use"), "the firewall ended:\n{log}");
        }
        panic!("no free ports");
    }

    fn spawn(upstream: u16, options: &Options) -> Firewall {
        let directory = tempfile::tempdir().unwrap();
        let policies = if options.policies.is_empty() {
            options.directory.clone()
        } else {
            let policies = directory.path().join("policies");
            fs::create_dir(&policies).unwrap();
            for (name, yaml) in &options.policies {
                fs::write(policies.join(name), yaml).unwrap();
            }
            policies
        };
        let (port, admin) = (free_port().unwrap(), free_port().unwrap());
        let listen = options.listen.replace("{port}", &port.to_string());
        let listen = listen.replace("{directory}", &directory.path().display().to_string());
        let url = format!("postgres://{}:{upstream}?{}", options.host, options.upstream);
        let mut arguments: Vec<String> = vec!["run".into(), "--listen".into(), listen];
        arguments.extend(["--admin".into(), format!("127.0.0.1:{admin}"), "--upstream".into(), url]);
        arguments.extend(["--policies".into(), policies.display().to_string()]);
        if let Some((certificate, key)) = &options.tls {
            arguments.extend(["--tls-cert".into(), certificate.display().to_string()]);
            arguments.extend(["--tls-key".into(), key.display().to_string()]);
        }
        if let Some(config) = &options.config {
            let path = directory.path().join("portcullis.yaml");
            fs::write(&path, config).unwrap();
            arguments.extend(["--config".into(), path.display().to_string()]);
        }
        arguments.extend(options.arguments.iter().cloned());
        let log = File::create(directory.path().join("log")).unwrap();
        let mut shell = Command::new("sh");
        shell
            .env("PORTCULLIS_LOG", "info")
            .env("NO_COLOR", "1")
            .env("PORTCULLIS_SELFTEST", "off")
            // Tests say when files are read. Those of the watch itself set it.
            .env("PORTCULLIS_WATCH", "off")
            .envs(options.environment.iter().cloned());
        let program = Path::new(env!("CARGO_BIN_EXE_portcullis"));
        let process = Kept::spawn(&mut shell, program, &arguments, "KILL", None, log).unwrap();
        let mut environment = options.environment.iter();
        let token = environment.find(|(name, _)| *name == "PORTCULLIS_ADMIN_TOKEN").map(|(_, token)| token.clone());
        Firewall { process, port, admin, token, directory }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port of its admin server on 127.0.0.1.
    pub fn admin(&self) -> u16 {
        self.admin
    }

    /// Everything it wrote so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Waits until the log holds a line with all of these, and returns it; panics after five seconds.
    pub fn log_line(&self, parts: &[&str]) -> String {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| parts.iter().all(|part| line.contains(part))) {
                return line.to_owned();
            }
            assert!(Instant::now() < deadline, "no line with {parts:?} in the log:\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A plain connection to it, before the startup packet.
    pub fn connect(&self) -> Client {
        Client::connect(self.port)
    }

    /// A plain session as this user, after the first ReadyForQuery.
    pub fn session(&self, user: &str, database: &str) -> Client {
        Client::login(self.port, &[("user", user), ("database", database)])
    }

    /// `GET` on the admin port: the status code, and head and body as one text.
    pub fn get(&self, path: &str) -> (u16, String) {
        self.try_get(path).expect("the admin port answers")
    }

    fn try_get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        let token = self.token.as_ref().map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{token}Connection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let code = answer.split(' ').nth(1)?.parse().ok()?;
        Some((code, answer))
    }

    /// The sum of a metric's samples whose labels hold all of these (`("verdict", "refuse")`); 0 where there is none.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (code, text) = self.get("/metrics");
        assert_eq!(code, 200);
        let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let mut sum = 0.0;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let (series, labelled) = series.split_once('{').unwrap_or((series, ""));
            if series == name && labels.iter().all(|label| labelled.contains(label)) {
                sum += value.trim().parse::<f64>().unwrap();
            }
        }
        sum
    }

    /// Puts this in the place of `Options::policy`'s file, sends SIGHUP and waits until it was read; the log of that.
    pub fn reload(&self, yaml: &str) -> String {
        let place = self.directory.path().join("policies").join("test.yaml");
        let part = self.directory.path().join("part");
        fs::write(&part, yaml).unwrap();
        fs::rename(part, place).unwrap();
        let before = self.log().len();
        self.process.signal(Signal::HUP);
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let log = self.log().split_off(before);
            if log.contains("policies reloaded") || log.contains("policies not reloaded") {
                return log;
            }
            assert!(Instant::now() < deadline, "the policies were not read again:\n{log}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The `{directory}` of `Options::listen`.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The directory of `Options::policies`.
    pub fn policies(&self) -> PathBuf {
        self.directory.path().join("policies")
    }

    /// Sends SIGHUP.
    pub fn hangup(&self) {
        self.process.signal(Signal::HUP);
    }

    /// Waits until the log, from this byte on, holds a text, and gives that part; panics after thirty seconds.
    pub fn log_since(&self, from: usize, part: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let log = self.log().split_off(from);
            if log.contains(part) {
                return log;
            }
            assert!(Instant::now() < deadline, "no {part:?} in the log:\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Waits for its end; the exit code, or none if it is still there.
    pub fn wait(&mut self, most: Duration) -> Option<i32> {
        self.process.wait(most)
    }
}
