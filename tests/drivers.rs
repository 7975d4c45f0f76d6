//! Real drivers do what applications do with them: the scenarios of `tests/drivers` pass directly (so they test what they
//! say), observed, and under a policy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::python::scenario;
use common::{Cluster, Firewall, firewall};

const POLICY: &str = "policy: shop
applies_to: {users: [app_rw]}
search_path: [public]
allow:
  - {rule: data, actions: [select, insert, update, delete, copy_to, copy_from], tables: ['*']}
";

/// Directly, observed, and under [`POLICY`].
fn everywhere(file: &str) {
    let cluster = Cluster::default();
    scenario(&cluster, cluster.port(), "app_rw", file, "observe");
    let observing = Firewall::start(&cluster, firewall::Options::observe());
    scenario(&cluster, observing.port(), "app_rw", file, "observe");
    assert_eq!(observing.metric("portcullis_statements_total", &[("verdict", "refuse")]), 0.0);
    let enforcing = Firewall::start(&cluster, firewall::Options::policy(POLICY));
    scenario(&cluster, enforcing.port(), "app_rw", file, "enforce");
    assert!(enforcing.metric("portcullis_statements_total", &[("verdict", "refuse")]) >= 2.0);
}

#[test]
fn psycopg() {
    everywhere("psycopg_scenario.py");
}

#[test]
fn psycopg_sends_types_by_number() {
    let cluster = Cluster::default();
    cluster.execute(
        "shop",
        "CREATE TYPE colour AS ENUM ('red', 'blue'); CREATE FUNCTION painted(int) RETURNS int RETURN $1",
    );
    for (policy, mode) in
        [(POLICY.to_owned(), "refused"), (format!("{POLICY}  - {{rule: types, actions: ['call:type']}}\n"), "allowed")]
    {
        let firewall = Firewall::start(&cluster, firewall::Options::policy(&policy));
        scenario(&cluster, firewall.port(), "app_rw", "psycopg_types_scenario.py", mode);
    }
}

#[test]
fn asyncpg() {
    everywhere("asyncpg_scenario.py");
}

#[tokio::test]
async fn tokio_postgres() {
    use tokio_postgres::NoTls;
    use tokio_postgres::error::SqlState;

    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(POLICY));
    let url = format!("host=127.0.0.1 port={} user=app_rw dbname=shop", firewall.port());
    let (mut client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let row = client.query_one("SELECT name FROM products WHERE id = $1", &[&7_i32]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "product 7");
    // Pipelined by polling together.
    let statement = client.prepare("SELECT $1::int4 + 1").await.unwrap();
    let (a, b) = tokio::join!(client.query_one(&statement, &[&1_i32]), client.query_one(&statement, &[&2_i32]));
    assert_eq!((a.unwrap().get::<_, i32>(0), b.unwrap().get::<_, i32>(0)), (2, 3));

    let transaction = client.transaction().await.unwrap();
    transaction.execute("INSERT INTO orders (product_id, total) VALUES (1, 1)", &[]).await.unwrap();
    let error = transaction.execute("DROP TABLE orders", &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{error:?}");
    let error = transaction.query_one("SELECT 1", &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
    transaction.rollback().await.unwrap();
    assert_eq!(client.query_one("SELECT count(*) FROM orders", &[]).await.unwrap().get::<_, i64>(0), 1000);
    // Its own catalogue queries for types it doesn't know are under the same policy.
    let rows = client.simple_query("SELECT 1; SELECT 2").await.unwrap();
    assert!(rows.len() >= 4);
    drop(client);
    connection.await.unwrap().unwrap();
}
