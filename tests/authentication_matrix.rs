//! Every way of logging in by every way of connecting, really tried: the table in `docs/authentication.md` is what came of it.
//! `UPDATE_SNAPSHOTS=1 cargo nextest run authentication_matrix::` writes it anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::tools::{client, portcullis, run};
use common::{Cluster, Firewall, cluster, firewall};
use postgres_protocol::password::scram_sha_256;

const POLICY: &str = "policy: everyone
mode: observe
applies_to: {users: ['*']}
allow: [{rule: read, actions: [select], tables: ['*']}]
";

/// The methods of the server, each with a user of its own.
const METHODS: [(&str, &str); 5] = [
    ("trust", "m_trust"),
    ("password", "m_password"),
    ("md5", "m_md5"),
    ("scram-sha-256", "m_scram"),
    ("cert", "m_cert"),
];

const HBA: &str = "\
hostnossl all  m_cert      all  reject
hostssl   all  m_cert      all  cert
host      all  m_trust     all  trust
host      all  m_password  all  password
host      all  m_md5       all  md5
host      all  m_scram     all  scram-sha-256
host      all  all         all  trust
";

const AUTHS: [&str; 5] = ["passthrough", "passthrough-without-channel-binding", "password", "scram", "certificate"];

/// How clients connect: what the table says, and libpq's variables.
const CLIENTS: [&[(&str, &str)]; 3] = [
    &[("PGSSLMODE", "prefer")],
    &[("PGSSLMODE", "prefer"), ("PGCHANNELBINDING", "require")],
    &[("PGSSLMODE", "disable")],
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientLeg {
    Plain,
    Same,
    Other,
}

impl ClientLeg {
    fn told(self) -> &'static str {
        match self {
            ClientLeg::Plain => "plain",
            ClientLeg::Same => "TLS, the server's certificate",
            ClientLeg::Other => "TLS, another certificate",
        }
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
struct Way {
    auth: &'static str,
    client: ClientLeg,
    upstream_tls: bool,
}

impl Way {
    /// A firewall that would let nobody in does not start.
    fn starts(self) -> bool {
        let two_certificates = self.client == ClientLeg::Other && self.upstream_tls;
        let needs_tls = ["password", "certificate"].contains(&self.auth);
        !(self.auth == "passthrough" && two_certificates || needs_tls && self.client == ClientLeg::Plain)
    }
}

/// What of a firewall's settings the ways have in common.
struct World {
    cluster: Cluster,
    place: tempfile::TempDir,
    same: (PathBuf, PathBuf),
    other: (PathBuf, PathBuf),
    proxy: (PathBuf, PathBuf),
    /// `auth_file` with verifiers, and with passwords.
    verifiers: PathBuf,
    passwords: PathBuf,
}

impl World {
    fn new() -> World {
        let hba = Some(HBA.to_owned());
        let cluster = Cluster::start(cluster::Options { hba, ..cluster::Options::default() });
        let place = tempfile::tempdir().unwrap();
        let verifier = scram_sha_256(b"secret");
        let (mut sql, mut verifiers) = (String::from("SET password_encryption = md5;\n"), String::new());
        let mut passwords = String::new();
        for (method, user) in METHODS {
            let password = if method == "scram-sha-256" { verifier.as_str() } else { "secret" };
            writeln!(sql, "CREATE ROLE {user} LOGIN PASSWORD '{password}';").unwrap();
            writeln!(verifiers, "\"{user}\" \"{verifier}\"").unwrap();
            writeln!(passwords, "\"{user}\" \"secret\"").unwrap();
            cluster.issue(&[user], user);
        }
        cluster.execute("postgres", &sql);
        let private = |name: &str, text: &str| {
            let path = place.path().join(name);
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
            std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
            path
        };
        World {
            same: cluster.server_identity(),
            other: cluster.issue(&["localhost", "127.0.0.1"], "other"),
            // The common name is the user whom the server lets in for it.
            proxy: cluster.issue(&["m_cert"], "proxy"),
            verifiers: private("verifiers.txt", &verifiers),
            passwords: private("passwords.txt", &passwords),
            cluster,
            place,
        }
    }

    fn options(&self, way: Way) -> firewall::Options {
        let upstream = match way.upstream_tls {
            true => format!(
                "sslmode=verify-full&sslrootcert={}&sslcert={}&sslkey={}",
                self.cluster.ca().display(),
                self.proxy.0.display(),
                self.proxy.1.display()
            ),
            false => "sslmode=disable".to_owned(),
        };
        let tls = match way.client {
            ClientLeg::Plain => None,
            ClientLeg::Same => Some(self.same.clone()),
            ClientLeg::Other => Some(self.other.clone()),
        };
        let mut environment =
            vec![("PORTCULLIS_AUTH", way.auth.to_owned()), ("PORTCULLIS_LOGIN_FAILURES", "0".to_owned())];
        match way.auth {
            "scram" => environment.push(("PORTCULLIS_AUTH_FILE", self.verifiers.display().to_string())),
            "certificate" => {
                environment.push(("PORTCULLIS_AUTH_FILE", self.passwords.display().to_string()));
                if tls.is_some() {
                    environment.push(("PORTCULLIS_TLS_CLIENT_CA", self.cluster.ca().display().to_string()));
                }
            }
            _ => {}
        }
        firewall::Options { host: "localhost", upstream, tls, environment, ..firewall::Options::policy(POLICY) }
    }

    /// Tries all methods and clients one way: rows of methods, columns of clients.
    fn try_out(&self, way: Way) -> Vec<Vec<Outcome>> {
        let firewall = Firewall::start(&self.cluster, self.options(way));
        METHODS
            .iter()
            .map(|(_, user)| CLIENTS.iter().map(|client| self.log_in(way, firewall.port(), user, client)).collect())
            .collect()
    }

    fn log_in(&self, way: Way, port: u16, user: &str, environment: &[(&str, &str)]) -> Outcome {
        let mut command = client(&self.cluster, "psql", port, user, "shop");
        command.envs(environment.iter().copied());
        if way.auth == "certificate" {
            let of_user = self.cluster.ca().with_file_name(user);
            command.env("PGSSLCERT", of_user.with_extension("crt")).env("PGSSLKEY", of_user.with_extension("key"));
        }
        let output = run(command.args(["-X", "-A", "-t", "-c", "SELECT current_user", "-c", "\\conninfo"]));
        if output.code != 0 {
            return Outcome::Refused(reason(&output.stderr, user));
        }
        assert!(output.stdout.starts_with(&format!("{user}\n")), "{output:?}");
        if output.stdout.contains("SSL") { Outcome::Tls } else { Outcome::Plain }
    }

    /// Why a firewall does not start.
    fn refusal(&self, way: Way) -> String {
        let options = self.options(way);
        let policies = self.place.path().join("policies");
        fs::create_dir_all(&policies).unwrap();
        fs::write(policies.join("p.yaml"), POLICY).unwrap();
        let [listen, admin] = cluster::two_ports();
        let mut arguments = vec![
            "run".to_owned(),
            format!("--listen=127.0.0.1:{listen}"),
            format!("--admin=127.0.0.1:{admin}"),
            format!("--policies={}", policies.display()),
            format!("--auth={}", way.auth),
            format!("--upstream=postgres://localhost:{}?{}", self.cluster.port(), options.upstream),
        ];
        if let Some((cert, key)) = options.tls {
            arguments.extend([format!("--tls-cert={}", cert.display()), format!("--tls-key={}", key.display())]);
        }
        let output = portcullis(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(output.code > 0, "{way:?}: {output:?}");
        let told = output.stdout + &output.stderr;
        let line = told.lines().find(|line| line.contains(&format!("`auth: {}`", way.auth)));
        line.unwrap_or_else(|| panic!("{way:?}: {told}")).to_owned()
    }
}

/// What came of one login.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// Logged in, the client's leg inside TLS.
    Tls,
    Plain,
    Refused(String),
}

/// The first reason that psql gives, without what differs from run to run.
fn reason(stderr: &str, user: &str) -> String {
    let first = stderr.lines().next().unwrap_or_default();
    let said = first.split(" failed: ").nth(1).unwrap_or(first);
    said.trim_start_matches("FATAL:  ").replace(user, "…")
}

/// The table and the reasons below it.
fn table(rows: &[(Way, Option<Vec<Vec<Outcome>>>)]) -> String {
    let mut reasons: Vec<String> = Vec::new();
    let mut out = String::from("| `auth` | client leg | upstream leg |");
    for (method, _) in METHODS {
        write!(out, " {method} |").unwrap();
    }
    out.push_str("\n|---|---|---|---|---|---|---|---|\n");
    for (way, cells) in rows {
        let upstream = if way.upstream_tls { "TLS" } else { "plain" };
        write!(out, "| `{}` | {} | {upstream} |", way.auth, way.client.told()).unwrap();
        let Some(cells) = cells else {
            out.push_str(" does not start | | | | |\n");
            continue;
        };
        for clients in cells {
            for (number, outcome) in clients.iter().enumerate() {
                let mark = match outcome {
                    // What the client did not ask for is said: it went plain where the firewall has TLS.
                    Outcome::Plain if way.client != ClientLeg::Plain && number < 2 => "(✓)".to_owned(),
                    Outcome::Tls | Outcome::Plain => "✓".to_owned(),
                    Outcome::Refused(reason) => {
                        let known = reasons.iter().position(|known| known == reason);
                        let place = known.unwrap_or_else(|| {
                            reasons.push(reason.clone());
                            reasons.len() - 1
                        });
                        char::from(b'a' + u8::try_from(place).unwrap()).to_string()
                    }
                };
                write!(out, " {mark}").unwrap();
            }
            out.push_str(" |");
        }
        out.push('\n');
    }
    out.push('\n');
    for (letter, reason) in (b'a'..).zip(&reasons) {
        writeln!(out, "* {}: `` {reason} ``", char::from(letter)).unwrap();
    }
    out
}

#[test]
fn the_manuals_table_is_what_happens() {
    let world = World::new();
    let mut ways = Vec::new();
    for auth in AUTHS {
        for client in [ClientLeg::Plain, ClientLeg::Same, ClientLeg::Other] {
            ways.extend([false, true].map(|upstream_tls| Way { auth, client, upstream_tls }));
        }
    }
    let rows: Vec<_> = ways.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let turn = || next.fetch_add(1, Ordering::Relaxed);
                while let Some((way, row)) = Some(turn()).and_then(|at| ways.get(at).zip(rows.get(at))) {
                    let outcome = match way.starts() {
                        true => Some(world.try_out(*way)),
                        false => {
                            assert!(!world.refusal(*way).is_empty());
                            None
                        }
                    };
                    *row.lock().unwrap() = Some((*way, outcome));
                }
            });
        }
    });
    let rows: Vec<_> = rows.into_iter().map(|row| row.into_inner().unwrap().unwrap()).collect();
    let made = table(&rows);

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/authentication.md");
    let text = fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- matrix: made by tests/authentication_matrix.rs -->\n", "<!-- end of the matrix -->");
    let (before, rest) = text.split_once(begin).unwrap();
    let (written, after) = rest.split_once(end).unwrap();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, format!("{before}{begin}\n{made}\n{end}{after}")).unwrap();
        return;
    }
    let written = written.trim();
    if written == made.trim() {
        return;
    }
    // Another version of PostgreSQL words its errors otherwise: what works must be the same.
    let marks = |text: &str| -> Vec<String> {
        let no = |word: &str| word.len() == 1 && word.chars().all(|letter| letter.is_ascii_lowercase());
        let row =
            |row: &str| row.split(' ').map(|word| if no(word) { "no" } else { word }).collect::<Vec<_>>().join(" ");
        text.lines().filter(|line| line.starts_with('|')).map(row).collect()
    };
    assert_eq!(marks(written), marks(&made), "docs/authentication.md, the table is:\n{made}");
    assert!(!is_15(&world), "docs/authentication.md, the table is:\n{made}");
}

/// The version that the manual's words are of.
fn is_15(world: &World) -> bool {
    let output = run(std::process::Command::new(world.cluster.tool("postgres")).arg("--version"));
    output.stdout.contains(") 15.")
}
