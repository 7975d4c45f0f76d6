//! Real drivers do what applications do with them, over TLS with SCRAM: the scenarios of `tests/drivers` pass directly (so they
//! test what they say), observed, under a policy, and with `auth: password`. `docs/drivers.md` tells what was seen: its tables
//! are held to what the scenarios report.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use crate::common;
#[path = "drivers/sqlx_scenario.rs"]
mod sqlx_scenario;
#[path = "drivers/tokio_postgres_scenario.rs"]
mod tokio_postgres_scenario;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::python::{self, scenario};
use common::tools::{client, run};
use common::{Cluster, Firewall, firewall};
use portcullis::cli::demo::certificates::Authority;
use serde::Deserialize;

/// What an application that uses every feature of its driver is allowed.
const POLICY: &str = "policy: drivers
applies_to: {users: [scram_user]}
require: {tls: true}
search_path: [public]
allow:
  - {rule: data, actions: [select, insert, update, delete, copy_to, copy_from], tables: ['*']}
  - {rule: news, actions: [listen, notify], objects: [news]}
  - {rule: notify, actions: [notify], functions: [pg_catalog.pg_notify]}
  - {rule: sleep, actions: [sleep]}
  - {rule: watch, actions: [select], tables: [pg_catalog.pg_stat_activity, pg_catalog.pg_prepared_statements]}
";

/// Where large values are kept for a moment.
const DOCUMENTS: &str = "CREATE TABLE documents (id int, words text, body bytea); GRANT ALL ON documents TO PUBLIC";

// What `tests/drivers/scenario.py` and its like have, for the scenarios in Rust.
const SECRETS: &str = "SELECT rolname FROM pg_catalog.pg_authid";
const SLEEP: &str = "SELECT pg_sleep(60)";
const SLEEPING: &str = "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE wait_event = 'PgSleep'";
const ENCRYPTED: &str = "SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()";
const PREPARED: &str = "SELECT count(*) FROM pg_catalog.pg_prepared_statements";
const MARKED: &str = "SELECT count(*) FROM orders WHERE note = 'marked'";
const MARK: &str = "INSERT INTO orders (product_id, total, note) VALUES (1, 1, 'marked')";
const UNMARK: &str = "DELETE FROM orders WHERE note = 'marked'";

/// Text and bytes, four megabytes each.
fn large() -> (String, Vec<u8>) {
    ("größe ' ; -- ".repeat(300_000), (0..=255).cycle().take(4 << 20).collect())
}

/// Asks until it is true; half a minute at most.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < deadline, "waited for thirty seconds");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What scenarios may report to have done, in the order of the page's columns.
const STEPS: [&str; 9] = [
    "TLS",
    "prepared statements",
    "transactions",
    "COPY",
    "cancel",
    "LISTEN",
    "large values",
    "refusal in a transaction",
    "refusal in a pipeline",
];

/// What a scenario has to say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Report {
    /// The driver's version.
    version: String,
    /// Whether its login was bound to the server's certificate (SCRAM-SHA-256-PLUS).
    bound: bool,
    did: BTreeSet<String>,
    /// By where: `transaction`, `pipeline`.
    refusals: BTreeMap<String, Seen>,
    /// What the client said when an administrator ended its session; psql only, where nothing refuses.
    #[serde(default)]
    ended: Option<String>,
}

/// An error object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Seen {
    r#type: String,
    sqlstate: Field,
    message: Field,
    detail: Field,
    hint: Field,
}

/// How a program gets at a field, and what it holds.
type Field = (String, Option<String>);

/// What a scenario is told.
struct Call<'a> {
    cluster: &'a Cluster,
    port: u16,
    /// `open`, or `enforce` where [`POLICY`] does.
    mode: &'static str,
    /// `channel_binding=require`; else it is not asked for.
    bind: bool,
    /// A certificate authority that signed nothing here.
    stranger: &'a Path,
}

impl Call<'_> {
    /// The `PG…` environment of this call on a command.
    fn set(&self, command: &mut Command) {
        for (name, value) in client(self.cluster, "psql", self.port, "scram_user", "shop").get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("PGHOST", "localhost").env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", self.cluster.ca());
        command.env("PGCHANNELBINDING", if self.bind { "require" } else { "prefer" }).env("STRANGER", self.stranger);
    }

    /// Runs a program with [`Call::set`] and the mode as its last argument. Its last line is the report.
    fn run(&self, mut command: Command) -> Report {
        self.set(&mut command);
        let output = run(command.arg(self.mode)).ok();
        let last = output.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error} in the report {last:?}"))
    }
}

fn drivers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers")
}

/// Directly, observed, under [`POLICY`], and under it with a password in clear text inside TLS. What the scenario reports must
/// be what `docs/drivers.md` says of `driver`.
fn everywhere(driver: &str, play: impl Fn(&Call) -> Report) {
    let page = Page::read();
    let promised = &page.drivers[driver];
    let cluster = Cluster::default();
    cluster.execute("shop", DOCUMENTS);
    let place = tempfile::tempdir().unwrap();
    Authority::new("Stranger").unwrap().write(place.path(), "stranger").unwrap();
    let stranger = place.path().join("stranger.crt");
    let play = |port, mode, bind| play(&Call { cluster: &cluster, port, mode, bind, stranger: &stranger });
    let tls = |options: firewall::Options, own, auth: &str| {
        let upstream = format!("sslmode=verify-full&sslrootcert={}", cluster.ca().display());
        let environment = vec![("PORTCULLIS_AUTH", auth.to_owned())];
        Firewall::start(
            &cluster,
            firewall::Options { tls: Some(own), host: "localhost", upstream, environment, ..options },
        )
    };

    let directly = play(cluster.port(), "open", promised.binds);
    for (place, seen) in &directly.refusals {
        assert_eq!(seen.message.1.as_deref(), Some("permission denied for table pg_authid"), "{place}");
    }

    let firewall = tls(firewall::Options::observe(), cluster.server_identity(), "passthrough");
    assert_eq!(play(firewall.port(), "open", promised.binds), directly, "nobody can tell that the firewall is there");
    assert_eq!(firewall.metric("portcullis_statements_total", &[("verdict", "refuse")]), 0.0);
    drop(firewall);

    let firewall = tls(firewall::Options::policy(POLICY), cluster.server_identity(), "passthrough");
    let enforced = play(firewall.port(), "enforce", promised.binds);
    promised.hold(driver, &enforced);
    assert_eq!(enforced.refusals.len(), directly.refusals.len());
    for (place, seen) in &enforced.refusals {
        let server = &directly.refusals[place];
        assert_eq!(seen.r#type, server.r#type, "the type of the error is that of the server's own 42501");
        assert_eq!((&seen.sqlstate.1, &server.sqlstate.1), (&Some("42501".to_owned()), &Some("42501".to_owned())));
        let told = |field: &Field| field.1.clone().unwrap_or_default();
        assert_eq!(told(&seen.message), page.message, "{place}");
        assert!(told(&seen.detail).contains("event "), "{place}: {seen:?}");
        assert!(told(&seen.hint).contains("pg_authid"), "{place}: {seen:?}");
    }
    assert!(firewall.metric("portcullis_statements_total", &[("verdict", "refuse")]) >= 2.0);
    let sessions = |leg| firewall.metric("portcullis_session_tls_total", &[("leg", leg), ("version", "TLSv1.3")]);
    assert!(sessions("client") >= 1.0 && sessions("client") == sessions("upstream"));
    drop(firewall);

    let own = cluster.issue(&["localhost", "127.0.0.1"], "firewall");
    let firewall = tls(firewall::Options::policy(POLICY), own, "password");
    let by_password = play(firewall.port(), "enforce", false);
    let differ = |report: &Report| (report.did.clone(), report.refusals.keys().cloned().collect::<Vec<_>>());
    assert_eq!(differ(&by_password), differ(&enforced));
}

/// A scenario in Python.
fn in_python(file: &'static str) -> impl Fn(&Call) -> Report {
    move |call| {
        let mut command = Command::new(python::interpreter());
        command.arg(drivers().join(file));
        call.run(command)
    }
}

#[test]
fn psycopg() {
    everywhere("psycopg", in_python("psycopg_scenario.py"));
}

#[test]
fn asyncpg() {
    everywhere("asyncpg", in_python("asyncpg_scenario.py"));
}

#[test]
fn sqlalchemy() {
    everywhere("SQLAlchemy", in_python("sqlalchemy_scenario.py"));
}

#[test]
fn django() {
    everywhere("Django", in_python("django_tls_scenario.py"));
}

#[test]
fn psycopg_sends_types_by_number() {
    let cluster = Cluster::default();
    cluster.execute(
        "shop",
        "CREATE TYPE colour AS ENUM ('red', 'blue'); CREATE FUNCTION painted(int) RETURNS int RETURN $1",
    );
    let policy = POLICY.replace("scram_user", "app_rw").replace("require: {tls: true}\n", "");
    for (policy, mode) in
        [(policy.clone(), "refused"), (format!("{policy}  - {{rule: types, actions: ['call:type']}}\n"), "allowed")]
    {
        let firewall = Firewall::start(&cluster, firewall::Options::policy(&policy));
        scenario(&cluster, firewall.port(), "app_rw", "psycopg_types_scenario.py", mode);
    }
}

#[test]
fn psql() {
    everywhere("psql", |call| {
        let mut command = Command::new("bash");
        command.arg(drivers().join("psql_scenario.sh"));
        command.env("PSQL", call.cluster.tool("psql")).env("PGBENCH", call.cluster.tool("pgbench"));
        call.run(command)
    });
}

#[test]
fn pgjdbc() {
    let classes = tempfile::tempdir().unwrap();
    let source = drivers().join("PgjdbcScenario.java");
    let path = format!("{}:{}", classes.path().display(), jdbc().display());
    run(Command::new("javac").arg("-cp").arg(&path).arg("-d").arg(classes.path()).arg(source)).ok();
    everywhere("pgjdbc", |call| {
        let mut command = Command::new("java");
        // A short program: no compiler that pays off later.
        command
            .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-cp"])
            .arg(&path)
            .arg("PgjdbcScenario");
        call.run(command)
    });
}

/// The jar that `scripts/setup` put there, or `PORTCULLIS_PGJDBC`.
fn jdbc() -> PathBuf {
    let own = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("pgjdbc").join("postgresql.jar");
    let jar = std::env::var_os("PORTCULLIS_PGJDBC").map_or(own, PathBuf::from);
    assert!(jar.is_file(), "no pgjdbc at {}: run scripts/test, or set PORTCULLIS_PGJDBC to the jar", jar.display());
    jar
}

#[test]
fn node_postgres() {
    everywhere("node-postgres", in_node("pg_scenario.js"));
}

#[test]
fn postgres_js() {
    everywhere("postgres.js", in_node("postgres_scenario.js"));
}

/// A scenario in JavaScript.
fn in_node(file: &'static str) -> impl Fn(&Call) -> Report {
    let modules = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("node").join("node_modules");
    assert!(
        modules.is_dir(),
        "no packages of Node.js at {}: run scripts/test, or\n  mkdir -p target/node && \
         cp tests/drivers/node/package*.json target/node && npm ci --prefix target/node",
        modules.display()
    );
    move |call| {
        let mut command = Command::new("node");
        // The tests' servers are on IPv4, and older versions of Node.js try the first address of a name only.
        command.arg("--dns-result-order=ipv4first").arg(drivers().join("node").join(file)).env("NODE_PATH", &modules);
        call.run(command)
    }
}

#[test]
fn tokio_postgres() {
    everywhere("tokio-postgres", |call| runtime().block_on(tokio_postgres_scenario::play(call)));
}

#[test]
fn sqlx() {
    everywhere("sqlx", |call| runtime().block_on(sqlx_scenario::play(call)));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// What a crate of `Cargo.lock` is at.
fn locked(name: &str) -> String {
    let lock = include_str!("../Cargo.lock");
    let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).unwrap();
    rest.split('"').next().unwrap_or_default().to_owned()
}

/// `docs/drivers.md`.
struct Page {
    drivers: BTreeMap<String, Promise>,
    /// The message of the refusal that it shows.
    message: String,
}

/// What the page says of a driver.
struct Promise {
    version: String,
    scenario: String,
    binds: bool,
    /// Which of [`STEPS`] the scenario does.
    did: BTreeSet<String>,
    /// The type of the error, how to get at SQLSTATE, message, detail and hint, and the type in a pipeline.
    error: Vec<String>,
}

impl Page {
    fn read() -> Page {
        let text = include_str!("../docs/drivers.md");
        let rows = |width: usize| -> Vec<Vec<String>> {
            let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| driver "));
            let rows =
                rows.map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect());
            rows.filter(|row: &Vec<String>| row.len() == width).collect()
        };
        let errors: BTreeMap<String, Vec<String>> = rows(7)
            .into_iter()
            .map(|row| (row[0].clone(), row[1..].iter().map(|cell| cell.trim_matches('`').to_owned()).collect()))
            .collect();
        let drivers = rows(4 + STEPS.len()).into_iter().map(|row| {
            let did =
                STEPS.iter().zip(&row[4..]).filter(|(_, cell)| *cell == "yes").map(|(step, _)| (*step).to_owned());
            let promise = Promise {
                version: row[1].clone(),
                scenario: row[2].trim_matches('`').to_owned(),
                binds: row[3] == "yes",
                did: did.collect(),
                error: errors.get(&row[0]).unwrap_or_else(|| panic!("{} has no row for its error", row[0])).clone(),
            };
            (row[0].clone(), promise)
        });
        let message = text.lines().find_map(|line| line.strip_prefix("ERROR:  ")).expect("the page shows a refusal");
        Page { drivers: drivers.collect(), message: message.to_owned() }
    }
}

impl Promise {
    /// Panics where the page says something else than what was seen.
    fn hold(&self, driver: &str, report: &Report) {
        // Whatever PostgreSQL is installed.
        if driver != "psql" {
            assert_eq!(report.version, self.version, "docs/drivers.md on the version of {driver}");
        }
        assert_eq!(report.bound, self.binds, "docs/drivers.md on channel binding of {driver}");
        assert_eq!(report.did, self.did, "docs/drivers.md on what {driver} was seen to do");
        let seen = &report.refusals["transaction"];
        let [r#type, sqlstate, message, detail, hint, pipeline] = &self.error[..] else { panic!("{:?}", self.error) };
        let fields = [&seen.sqlstate, &seen.message, &seen.detail, &seen.hint].map(|field| &field.0);
        assert_eq!((&seen.r#type, fields), (r#type, [sqlstate, message, detail, hint]), "docs/drivers.md on {driver}");
        let piped = report.refusals.get("pipeline").map_or("–", |seen| &seen.r#type);
        assert_eq!(piped, pipeline, "docs/drivers.md on {driver} in a pipeline");
    }
}

#[test]
fn every_scenario_has_its_row_and_every_row_its_scenario() {
    let page = Page::read();
    let told: BTreeSet<&str> = page.drivers.values().map(|promise| &*promise.scenario).collect();
    assert_eq!(told.len(), page.drivers.len(), "each driver has a scenario of its own");
    let mut there = BTreeSet::new();
    for folder in ["", "node/"] {
        for entry in fs::read_dir(drivers().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            // Of the same drivers, and played by other tests.
            let another = ["psycopg_types_scenario.py", "django_scenario.py"].contains(&&*name);
            if (name.contains("_scenario.") || name.contains("Scenario.")) && !another {
                there.insert(format!("{folder}{name}"));
            }
        }
    }
    assert_eq!(there.iter().map(String::as_str).collect::<BTreeSet<_>>(), told);
}
