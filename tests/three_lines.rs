//! The smallest useful policy of the manual, in `enforce`: everything that clients do by themselves — at start-up, around
//! transactions, on giving a pooled connection back — passes, and `pg_dump` passes under the `backup` example.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use common::python::scenario;
use common::tools::{client, psql, run};
use common::wire::{error, query};
use common::{Cluster, Firewall, firewall};

const THREE_LINES: &str = "policy: shop
applies_to: {users: [shop_app]}
search_path: [public]
allow: [{rule: data, actions: [select, insert, update, delete], tables: [\"*\"]}]
";

#[test]
fn psql_starts_transacts_and_describes() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(THREE_LINES));
    let output = psql(
        &cluster,
        firewall.port(),
        "shop_app",
        "shop",
        &["BEGIN", "INSERT INTO orders (product_id) VALUES (1)", "ROLLBACK", "SELECT count(*) FROM orders"],
    );
    assert_eq!(output.ok(), "BEGIN\nINSERT 0 1\nROLLBACK\n1000\n");
    for describe in [r"\d", r"\d orders", r"\dt+", r"\df", r"\dn", r"\conninfo", r"\l"] {
        let through = psql(&cluster, firewall.port(), "shop_app", "shop", &[describe]);
        assert_eq!(through.code, 0, "{describe}: {through:?}");
        let direct = psql(&cluster, cluster.port(), "shop_app", "shop", &[describe]);
        let port = firewall.port().to_string();
        assert_eq!(through.stdout.replace(&port, "PORT"), direct.stdout.replace(&cluster.port().to_string(), "PORT"));
    }
    // psql's own variables and AUTOCOMMIT off.
    let mut command = client(&cluster, "psql", firewall.port(), "shop_app", "shop");
    command.args(["-X", "-A", "-t", "-v", "AUTOCOMMIT=off", "-v", "ON_ERROR_ROLLBACK=on", "-c", "SELECT 1"]);
    assert_eq!(run(&mut command).ok(), "1\n");
    let mut command = client(&cluster, "psql", firewall.port(), "shop_app", "shop");
    command.env("PGTZ", "UTC").env("PGDATESTYLE", "ISO").env("PGOPTIONS", "-c statement_timeout=5s");
    assert_eq!(run(command.args(["-X", "-A", "-t", "-c", "SHOW statement_timeout"])).ok(), "5s\n");
    assert_eq!(firewall.metric("portcullis_refusals_total", &[]), 0.0, "{}", firewall.log());
}

/// The batches that drivers and poolers send on their own, each in one Query.
#[test]
fn what_drivers_send_by_themselves_passes() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(THREE_LINES));
    let mut session = firewall.session("shop_app", "shop");
    for sql in [
        // asyncpg's pool on release
        "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;",
        // PgBouncer, Npgsql, Rails
        "DISCARD ALL",
        "SELECT 1",
        "",
        // JDBC, SQLAlchemy, Django, Rails, Npgsql at start-up
        "SET extra_float_digits = 3",
        "SET application_name = 'PostgreSQL JDBC Driver'",
        "SHOW TRANSACTION ISOLATION LEVEL",
        "show standard_conforming_strings",
        "select pg_catalog.version()",
        "select current_schema()",
        "SET client_min_messages TO 'warning'",
        "SET standard_conforming_strings = on",
        "SET SESSION timezone TO 'UTC'",
        "SET client_encoding TO 'UTF8'",
        "SELECT set_config('TimeZone', 'UTC', false)",
        "SELECT t.oid, typarray FROM pg_type t JOIN pg_namespace ns ON typnamespace = ns.oid WHERE typname = 'hstore'",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "BEGIN READ ONLY",
        "COMMIT",
        "START TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SAVEPOINT a",
        "ROLLBACK TO SAVEPOINT a",
        "RELEASE SAVEPOINT a",
        "ROLLBACK",
        "DEALLOCATE ALL",
    ] {
        let frames = session.ask(&query(sql));
        assert!(!frames.iter().any(|frame| frame.kind == b'E'), "{sql}: {frames:?}");
    }
    assert_eq!(error(&session.ask(&query("CREATE TABLE t (a int)"))).field('C'), "42501");
}

#[test]
fn psycopg_and_asyncpg_start_and_pool() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(THREE_LINES));
    scenario(&cluster, firewall.port(), "shop_app", "psycopg_scenario.py", "three-lines");
    scenario(&cluster, firewall.port(), "shop_app", "asyncpg_scenario.py", "three-lines");
}

#[tokio::test]
async fn tokio_postgres_starts_and_transacts() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(THREE_LINES));
    let url = format!("host=127.0.0.1 port={} user=shop_app dbname=shop", firewall.port());
    let (mut client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let transaction = client.transaction().await.unwrap();
    let statement = transaction.prepare("SELECT total::text FROM orders WHERE id = $1").await.unwrap();
    let row = transaction.query_one(&statement, &[&5_i32]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "5.00");
    transaction.commit().await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}

#[test]
fn pg_dump_passes_under_the_backup_example() {
    let cluster = Cluster::default();
    let policy = "policy: backup
applies_to: {users: [backup]}
require: {networks: [127.0.0.1/32]}
pin: {default_transaction_read_only: on}
allow:
  - {rule: dump, actions: [select, copy_to], tables: [\"*.*\"]}
  - {rule: dump-settings, actions: [set], settings: [\"search_path=\", \"row_security=off\"]}
";
    let firewall = Firewall::start(&cluster, firewall::Options::policy(policy));
    let dump = |port: u16| {
        let text = run(&mut client(&cluster, "pg_dump", port, "backup", "shop")).ok();
        // Recent versions put a random key around the dump.
        text.lines().filter(|line| !line.contains("restrict ")).collect::<Vec<_>>().join("\n")
    };
    let through = dump(firewall.port());
    assert!(through.contains("größe 1000"));
    assert_eq!(through, dump(cluster.port()));
    let mut session = firewall.session("backup", "shop");
    assert_eq!(error(&session.ask(&query("DELETE FROM orders WHERE id = 1"))).field('C'), "42501");
    assert_eq!(error(&session.ask(&query("BEGIN READ WRITE"))).field('C'), "42501");
}
