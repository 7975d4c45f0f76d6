//! A part of PostgreSQL's own tests, directly and through `observe-everything`: what psql and isolationtester print is the same
//! to the byte. All of them, and libpq_pipeline, run in `scripts/postgresql-suites`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::suite;
use common::tools::client;
use common::{Cluster, Firewall, firewall};

/// Scripts that print nothing that differs between two runs, such as an OID; from all corners of the protocol: notices and
/// error positions, COPY, cursors, prepared statements, notifications, settings, subtransactions, large answers.
const SCRIPTS: [&str; 10] =
    ["async", "copy2", "domain", "enum", "errors", "guc", "plancache", "prepare", "rangetypes", "transactions"];

/// Specifications whose sessions wait for one another: isolationtester asks the server for the sessions' process ids, and
/// whether they are blocked.
const SPECIFICATIONS: [&str; 8] = [
    "async-notify",
    "deadlock-simple",
    "eval-plan-qual",
    "insert-conflict-do-update",
    "nowait",
    "read-only-anomaly",
    "skip-locked",
    "timeouts",
];

/// The first source that holds this file.
fn file(path: &str) -> Option<PathBuf> {
    suite::sources().into_iter().map(|source| source.join(path)).find(|file| file.is_file())
}

/// Runs a program with a file as its input; its output and errors as they come, without the port.
fn output(command: &mut Command, input: &PathBuf, port: u16) -> String {
    let output = tempfile::NamedTempFile::new().unwrap();
    let both = output.reopen().unwrap();
    command.stdin(File::open(input).unwrap()).stderr(both.try_clone().unwrap()).stdout(both);
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let printed = String::from_utf8_lossy(&std::fs::read(output.path()).unwrap()).into_owned();
    format!("{printed}{status}").replace(&port.to_string(), "PORT")
}

#[test]
fn psql_prints_the_same_for_scripts_of_the_regression_suite() {
    if suite::sources().is_empty() {
        return;
    }
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::observe());
    let printed = [cluster.port(), firewall.port()].map(|port| {
        // By the same name, for some of them print it.
        cluster.execute("postgres", "DROP DATABASE IF EXISTS regression");
        cluster.execute("postgres", "CREATE DATABASE regression TEMPLATE template0 LOCALE 'C' ENCODING 'UTF8'");
        SCRIPTS.map(|script| {
            let file = file(&format!("src/test/regress/sql/{script}.sql")).unwrap_or_else(|| panic!("no {script}.sql"));
            // As pg_regress calls it.
            let mut psql = client(&cluster, "psql", port, "postgres", "regression");
            psql.args(["-X", "-a", "-q", "-v", "HIDE_TABLEAM=on", "-v", "HIDE_TOAST_COMPRESSION=on"]);
            psql.env("PGTZ", "PST8PDT").env("PGDATESTYLE", "Postgres, MDY").env("PGAPPNAME", "pg_regress");
            output(&mut psql, &file, port)
        })
    });
    let [direct, through] = &printed;
    for ((script, direct), through) in SCRIPTS.iter().zip(direct).zip(through) {
        assert!(direct.len() > 1000, "{script}: {direct}");
        let line = direct.lines().zip(through.lines()).find(|(direct, through)| direct != through);
        assert!(through == direct, "{script}: directly, through the firewall: {line:?}");
    }
}

#[test]
fn isolationtester_prints_the_same() {
    if suite::sources().is_empty() {
        return;
    }
    let cluster = Cluster::default();
    // Where Debian's postgresql-client has it.
    let tester = cluster.tool("psql").with_file_name("../lib/pgxs/src/test/isolation/isolationtester");
    if !tester.is_file() {
        eprintln!("SKIPPED: NO ISOLATIONTESTER BESIDE THIS POSTGRESQL ({}).", tester.display());
        return;
    }
    let firewall = Firewall::start(&cluster, firewall::Options::observe());
    for specification in SPECIFICATIONS {
        let specification = file(&format!("src/test/isolation/specs/{specification}.spec"))
            .unwrap_or_else(|| panic!("no {specification}.spec: run scripts/regress-sql again"));
        let printed = [cluster.port(), firewall.port()].map(|port| {
            cluster.execute("postgres", "DROP DATABASE IF EXISTS isolation_regression");
            cluster.execute("postgres", "CREATE DATABASE isolation_regression");
            let conninfo =
                format!("host=127.0.0.1 port={port} user=postgres dbname=isolation_regression sslmode=disable");
            output(Command::new(&tester).arg(conninfo).stdin(Stdio::null()), &specification, port)
        });
        assert!(printed[0].contains("starting permutation"), "{}: {}", specification.display(), printed[0]);
        let line = printed[0].lines().zip(printed[1].lines()).find(|(direct, through)| direct != through);
        assert!(printed[1] == printed[0], "{}: directly, through the firewall: {line:?}", specification.display());
    }
}
