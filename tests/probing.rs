//! Probing in front of a real server: a burst of statements that fail in different ways is told of once, in every protocol and
//! mode, what an application does wrong is not, and nothing of what the server says of it gets into a log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use crate::common;

use std::time::{Duration, Instant};

use common::wire::{Client, bind, error, execute, parse, query, sync};
use common::{Cluster, Firewall, firewall};
use portcullis::audit::{Event, Line};
use tokio_postgres::{NoTls, SimpleQueryMessage};

const POLICY: &str = "policy: shop
applies_to: {users: [app_rw]}
search_path: [public]
allow:
  - {rule: rows, actions: [select, insert, update, delete], tables: [\"public.*\"]}
  - {rule: calls, actions: [call], functions: [\"public.*\"]}
";

const OBSERVED: &str = "policy: shop
applies_to: {users: [app_rw]}
mode: observe
";

/// What must not get into any log: values, and names that the server's messages quote.
const CANARY: &str = "hunter2";

/// Statements as somebody writes them who looks for the way in, with what the server says of each.
const BROKEN: [(&str, &str); 20] = [
    ("SELECT nothing FROM orders", "42703"),
    ("SELECT id FROM orders WHERE nothing = 1", "42703"),
    ("SELECT o.nothing FROM orders o", "42703"),
    ("SELECT id FROM orders ORDER BY nothing", "42703"),
    ("SELECT * FROM nothing", "42P01"),
    ("SELECT * FROM nothing_either", "42P01"),
    ("SELECT id FROM orders WHERE id IN (SELECT id FROM nothing_at_all)", "42P01"),
    ("SELECT DISTINCT id FROM orders ORDER BY note", "42P10"),
    ("SELECT DISTINCT total FROM orders ORDER BY product_id", "42P10"),
    ("SELECT id FROM orders WHERE id = 'hunter2'", "22P02"),
    ("SELECT id FROM orders WHERE total > 'hunter2'", "22P02"),
    ("SELECT id FROM orders WHERE CAST(note AS date) IS NULL", "22007"),
    ("SELECT CAST(email AS int) FROM users", "22P02"),
    ("SELECT id FROM orders UNION SELECT name FROM products", "42804"),
    ("SELECT id FROM orders WHERE note", "42804"),
    ("SELECT id FROM orders WHERE product_id = (SELECT id FROM products)", "21000"),
    ("SELECT id FROM orders GROUP BY total", "42803"),
    ("SELECT total / (id - id) FROM orders", "22012"),
    ("SELECT nothing(id) FROM orders", "42883"),
    ("SELECT orders.id FROM orders, products WHERE id = 1", "42702"),
];

fn start(cluster: &Cluster, policy: &str) -> Firewall {
    Firewall::start(cluster, firewall::Options::policy(policy))
}

/// How often probing was told of: the attempts, of which there are no others, by their technique and verdict.
fn bursts(firewall: &Firewall) -> f64 {
    let all = firewall.metric("portcullis_injection_attempts_total", &[]);
    let labels = [("technique", "probing"), ("policy", "shop"), ("verdict", "allow")];
    let bursts = firewall.metric("portcullis_injection_attempts_total", &labels);
    let events = firewall.metric("portcullis_security_events_total", &[("event_type", "sql_injection_attempt")]);
    assert_eq!((all, events), (bursts, bursts), "{}", firewall.log());
    bursts
}

#[track_caller]
fn fails(client: &mut Client, bytes: &[u8], sqlstate: &str) {
    let frames = client.ask(bytes);
    assert_eq!(error(&frames).field('C'), sqlstate, "{frames:?}");
}

fn run(text: &str) -> Vec<u8> {
    [parse("", text), bind("", "", &[]), execute(""), sync()].concat()
}

#[test]
fn a_burst_in_either_protocol_is_told_of_once() {
    let cluster = Cluster::default();
    for policy in [POLICY, OBSERVED] {
        for extended in [false, true] {
            let firewall = start(&cluster, policy);
            let mut client = firewall.session("app_rw", "shop");
            for (number, (text, sqlstate)) in BROKEN.into_iter().enumerate() {
                // Nine are none yet.
                assert_eq!(bursts(&firewall), if number < 10 { 0.0 } else { 1.0 }, "{number}");
                fails(&mut client, &if extended { run(text) } else { query(text) }, sqlstate);
            }
            assert_eq!(bursts(&firewall), 1.0);
            assert_eq!(client.value("SELECT count(*) FROM orders"), "1000", "nothing is refused by it");
            let errors = "errors=\"42703=4,42P01=3,42P10=2,22P02=1\"";
            let line = firewall.log_line(&["WARN", "sql injection attempt", "techniques=\"probing\"", errors]);
            for part in
                ["user=\"app_rw\"", "database=\"shop\"", "address=\"127.0.0.1\"", "statements=10", "policy=shop"]
            {
                assert!(line.contains(part), "no {part} in {line}");
            }
            assert!(line.contains("statement=\"SELECT id FROM orders WHERE id = ?\""), "{line}");
            no_canary(&firewall.log());
        }
    }
}

/// Nothing that the server says: its words for these errors, and what they quote.
#[track_caller]
fn no_canary(log: &str) {
    for part in [CANARY, "does not exist", "invalid input syntax", "größe", "@example.com"] {
        assert!(!log.contains(part), "{part} in the log:\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_of_an_application_that_is_probed() {
    let cluster = Cluster::default();
    let firewall = start(&cluster, POLICY);
    let parameters = format!("host=127.0.0.1 port={} user=app_rw dbname=shop", firewall.port());
    for number in 0..2 {
        let (client, connection) = tokio_postgres::connect(&parameters, NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        for (text, sqlstate) in &BROKEN[10 * number..][..10] {
            let failed = match number {
                0 => client.query(*text, &[]).await.unwrap_err(),
                _ => client.simple_query(text).await.unwrap_err(),
            };
            assert_eq!(failed.code().unwrap().code(), *sqlstate, "{text}");
        }
        let rows = client.simple_query("SELECT count(*) FROM orders").await.unwrap();
        assert!(rows.iter().any(|row| matches!(row, SimpleQueryMessage::Row(row) if row.get(0) == Some("1000"))));
        drop(client);
        connection.await.unwrap().unwrap();
        assert_eq!(bursts(&firewall), 1.0);
    }
    no_canary(&firewall.log());
}

#[test]
fn what_an_application_does_wrong_is_not_probing() {
    let cluster = Cluster::default();
    for policy in [POLICY, OBSERVED] {
        let firewall = start(&cluster, policy);
        let mut client = firewall.session("app_rw", "shop");
        // A prepared statement that gets bad values, one that names what is gone, constraints.
        client.ask(&[parse("s", "SELECT note FROM orders WHERE id = $1"), sync()].concat());
        for number in 0..30 {
            fails(&mut client, &[bind("", "s", &[&format!("v{number}")]), execute(""), sync()].concat(), "22P02");
            fails(&mut client, &query(&format!("SELECT gone FROM orders WHERE id = {number}")), "42703");
            fails(&mut client, &run(&format!("SELECT gone FROM orders WHERE note = 'n{number}'")), "42703");
            fails(&mut client, &query(&format!("INSERT INTO users VALUES ({}, 'x', 'y')", number % 10 + 1)), "23505");
            // Always another one.
            let text = format!(
                "INSERT INTO orders (product_id) SELECT 1000000 + n{number}.id - n{number}.id FROM users n{number}"
            );
            fails(&mut client, &query(&text), "23503");
        }
        assert_eq!(bursts(&firewall), 0.0);
        assert!(!firewall.log().contains("injection attempt"));
    }
}

#[test]
fn what_the_grammar_does_not_read_counts_whoever_refuses_it() {
    let cluster = Cluster::default();
    for policy in [POLICY, OBSERVED] {
        let firewall = start(&cluster, policy);
        let mut client = firewall.session("app_rw", "shop");
        let breaks = ["'", "\"", "')", "'))", ")", "))", " AND", " OR", " UNION", " ORDER BY"];
        for (number, text) in breaks.iter().enumerate() {
            assert_eq!(bursts(&firewall), 0.0, "{number}");
            let text = format!("SELECT * FROM orders WHERE note = 'hunter2' AND id = 1{text}");
            fails(&mut client, &if number % 2 == 0 { query(&text) } else { run(&text) }, "42601");
        }
        assert_eq!(bursts(&firewall), 1.0);
        firewall.log_line(&["techniques=\"probing\"", "errors=\"42601=10\"", "note = ? AND id = ? ORDER BY"]);
        no_canary(&firewall.log());
    }
}

#[test]
fn the_audit_log_has_it_without_a_value() {
    let cluster = Cluster::default();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let options = firewall::Options {
        environment: vec![("PORTCULLIS_AUDIT_LOG", path.display().to_string())],
        ..firewall::Options::policy(POLICY)
    };
    let firewall = Firewall::start(&cluster, options);
    let mut client = firewall.session("app_rw", "shop");
    for (text, sqlstate) in BROKEN {
        fails(&mut client, &run(text), sqlstate);
    }
    drop(client);
    let deadline = Instant::now() + Duration::from_secs(10);
    let log = loop {
        let log = std::fs::read_to_string(&path).unwrap();
        if log.contains("session_closed") && log.ends_with('\n') {
            break log;
        }
        assert!(Instant::now() < deadline, "{log}");
        std::thread::sleep(Duration::from_millis(20));
    };
    let lines = log.lines().map(|line| serde_json::from_str::<Line>(line).unwrap());
    let bursts: Vec<_> = lines
        .filter_map(|line| match line.event {
            Event::Probing(burst) => Some(burst),
            _ => None,
        })
        .collect();
    let [burst] = bursts.as_slice() else { panic!("{bursts:?}") };
    assert_eq!(
        (burst.who.user.as_str(), burst.who.address.as_str(), burst.policy.as_str()),
        ("app_rw", "127.0.0.1", "shop")
    );
    assert_eq!((burst.errors.values().sum::<u32>(), burst.statements), (10, 10));
    assert_eq!(burst.statement, "SELECT id FROM orders WHERE id = ?");
    assert_eq!(burst.hash.as_ref().map(String::len), Some(32));
    for part in [CANARY, "invalid input syntax", "größe", "@example.com"] {
        assert!(!log.contains(part), "{part} in {log}");
    }
    no_canary(&firewall.log());
}

#[test]
fn while_an_application_is_probed_what_it_says_otherwise_passes() {
    let cluster = Cluster::default();
    let policy = format!("{POLICY}injection: {{block_at: 5}}\n");
    let firewall = start(&cluster, &policy);
    let weak = "SELECT id FROM orders WHERE id = 1 --";
    let mut application = firewall.session("app_rw", "shop");
    assert_eq!(application.value(weak), "1", "a weak sign is none by itself");
    let mut attacker = firewall.session("app_rw", "shop");
    for (text, sqlstate) in BROKEN {
        fails(&mut attacker, &query(text), sqlstate);
    }
    assert_eq!(application.value(weak), "1", "what came before is remembered");
    assert_eq!(application.value("SELECT note FROM orders WHERE id = 1"), "größe 1");
    let frames = attacker.ask(&query("SELECT note FROM orders WHERE id = 2 --"));
    assert!(error(&frames).field('M').ends_with("injection score 5: comment_truncation(3) + probing(2)"), "{frames:?}");
}
