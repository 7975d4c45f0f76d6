//! Under `observe-everything` nobody can tell that the firewall is there: what psql, pgbench and pg_dump print through it
//! is what they print on a direct connection.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::fs;
use std::process::Stdio;

use common::tools::{Output, client, psql, run};
use common::wire::{Client, bind, describe, execute, parse, query, sync};
use common::{Cluster, Firewall, firewall};

/// What a person, a migration and a mistake do in psql.
const SESSION: &str = r"
\set VERBOSITY verbose
\conninfo
\d
\d+ orders
\df
\dn
\du
\l
SHOW server_version;
SELECT * FROM products ORDER BY id LIMIT 3;
SELECT 'größe', E'\u00e9', $$a;b$$;
BEGIN;
INSERT INTO orders (product_id, total) VALUES (1, 2.5) RETURNING total;
SAVEPOINT a;
SELECT 1/0;
ROLLBACK TO a;
UPDATE orders SET note = 'x' WHERE id = 1;
ROLLBACK;
SELEC 1;
SELECT no_such_column FROM orders;
SELECT 1 AS a; SELECT 2 AS b;
SELECT 1 AS one \; SELECT 2 AS two \; SELECT 1/0;
DO $do$ BEGIN RAISE NOTICE 'hello'; RAISE WARNING 'careful'; END $do$;
SET statement_timeout = '10s';
SHOW statement_timeout;
RESET ALL;
PREPARE q (int) AS SELECT name FROM products WHERE id = $1;
EXECUTE q (7);
DEALLOCATE q;
COPY (SELECT id, name FROM products ORDER BY id LIMIT 2) TO STDOUT;
CREATE TEMP TABLE t (a int, b text);
COPY t FROM STDIN;
1	eins
2	zwei
\.
\copy (SELECT * FROM t ORDER BY a) TO STDOUT WITH CSV HEADER
COPY t FROM STDIN;
broken line
\.
SELECT 1 \bind \g
SELECT $1::int + $2::int AS sum \bind 20 22 \g
\gdesc
DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 5);
FETCH 2 FROM c;
CLOSE c;
DISCARD ALL;
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE id = 1;
;
";

#[test]
fn psql_prints_what_it_prints_directly() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::observe());
    let script = cluster.ca().with_file_name("session.sql");
    fs::write(&script, SESSION).unwrap();
    let session = |port: u16| {
        let output = run(client(&cluster, "psql", port, "app_rw", "shop").arg("-X").arg("-f").arg(&script));
        // \conninfo names the port: the only thing that may differ.
        let plain = |text: String| text.replace(&port.to_string(), "PORT");
        Output { code: output.code, stdout: plain(output.stdout), stderr: plain(output.stderr) }
    };
    let direct = session(cluster.port());
    assert!(direct.stdout.contains("größe") && direct.stderr.contains("42703"), "the script ran: {direct:?}");
    assert_eq!(session(firewall.port()), direct);
}

#[test]
fn psql_shows_the_same_error_with_the_same_position() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::observe());
    for sql in ["SELECT a b c", "SELECT 1/0", "SELECT nope FROM orders", "INSERT INTO products VALUES (1, 'x', 1)"] {
        let direct = psql(&cluster, cluster.port(), "app_rw", "shop", &[sql]);
        assert_eq!(direct.code, 1);
        assert_eq!(psql(&cluster, firewall.port(), "app_rw", "shop", &[sql]), direct);
    }
}

#[test]
fn pgbench_runs_in_all_its_protocols() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::observe());
    let bench =
        |arguments: &[&str]| run(client(&cluster, "pgbench", firewall.port(), "app_rw", "bench").args(arguments)).ok();
    bench(&["-i", "-q", "-s", "1"]);
    for protocol in ["simple", "extended", "prepared"] {
        for script in ["tpcb-like", "select-only"] {
            let output = bench(&["-n", "-M", protocol, "-b", script, "-c", "3", "-t", "30"]);
            assert!(output.contains("number of transactions actually processed: 90/90"), "{protocol}: {output}");
        }
    }
    let count = psql(&cluster, cluster.port(), "app_rw", "bench", &["SELECT count(*) FROM pgbench_history"]);
    assert_eq!(count.ok(), "270\n", "three times ninety transactions arrived");
    assert!(firewall.metric("portcullis_statements_total", &[("policy", "observe-everything")]) >= 270.0);
}

#[test]
fn pg_dump_into_psql_copies_a_database() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::observe());
    let dump = |port: u16, database: &str| {
        let mut command = client(&cluster, "pg_dump", port, "postgres", database);
        comparable(&run(command.args(["--no-owner", "--no-acl"])).ok())
    };
    let direct = dump(cluster.port(), "shop");
    assert!(direct.contains("CREATE TABLE public.orders") && direct.contains("größe 1000"));
    assert_eq!(dump(firewall.port(), "shop"), direct, "the dump is the same");

    let mut dumping = client(&cluster, "pg_dump", firewall.port(), "postgres", "shop");
    let mut dumping = dumping.args(["--no-owner", "--no-acl"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut restoring = client(&cluster, "psql", firewall.port(), "postgres", "empty");
    restoring.args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]).stdin(dumping.stdout.take().unwrap());
    let restored = restoring.output().unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    assert!(dumping.wait().unwrap().success());
    assert_eq!(dump(cluster.port(), "empty"), direct, "the copy is the same");
}

/// A dump without the random key that recent versions put around it.
fn comparable(dump: &str) -> String {
    let keyless = dump.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    keyless.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_frame_of_the_extended_protocol_comes_back_as_it_is() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::observe());
    let conversations: Vec<Vec<u8>> = vec![
        query("SELECT id, name FROM products WHERE id < 4; SELECT 2"),
        query(""),
        query(" ; ; "),
        [parse("s", "SELECT $1::text"), describe(b'S', "s"), sync()].concat(),
        [bind("p", "s", &["x"]), describe(b'P', "p"), execute("p"), sync()].concat(),
        [bind("p", "no such statement", &[]), execute("p"), sync()].concat(),
        [parse("s", "SELECT 1"), sync()].concat(),
        [parse("", "SELECT nope"), bind("", "", &[]), execute(""), parse("", "SELECT 1"), sync()].concat(),
        [parse("", ""), bind("", "", &[]), execute(""), sync()].concat(),
        [parse("", "SELECT 1; SELECT 2"), sync()].concat(),
        common::wire::function_call(1299 + 0x4000_0000),
        [query("BEGIN"), query("SELECT 1/0"), query("SELECT 1"), query("ROLLBACK")].concat(),
    ];
    let mut direct = Client::login(cluster.port(), &[("user", "app_rw"), ("database", "shop")]);
    let mut through = firewall.session("app_rw", "shop");
    let names = |client: &Client| client.parameters.clone();
    assert_eq!(names(&direct), names(&through), "the same ParameterStatus at login, in the same order");
    for bytes in conversations {
        let readies = if bytes.starts_with(&query("BEGIN")) { 4 } else { 1 };
        direct.send(&bytes);
        through.send(&bytes);
        for _ in 0..readies {
            assert_eq!(through.until_ready(), direct.until_ready(), "{}", bytes.escape_ascii());
        }
    }
}
