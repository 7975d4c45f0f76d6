//! Attempts at an injection in front of a real server: what is inserted into a statement of a list or of the session is told
//! with its part, counted once for each technique and once as an event, and refused from `block_at` on; what is bound is no evidence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use crate::common;

use std::time::{Duration, Instant};

use common::wire::{Client, bind, error, execute, parse, query, sync};
use common::{Cluster, Firewall, firewall};
use portcullis::sql::{self, Reading};

const ALLOWED: &str = "policy: shop
applies_to: {users: [app_rw]}
search_path: [public]
injection: {block_at: 5}
allow: [{rule: rows, actions: [select, insert, update, delete], tables: [\"public.*\"]}]
";

const LEARNED: &str = "policy: shop
applies_to: {users: [app_rw]}
search_path: [public]
injection: {block_at: 5}
allow:
  - {rule: learned, statements: shop.learned.yaml}
  - {rule: rows, actions: [select, insert, update, delete], tables: [\"public.*\"]}
";

/// A statement of the application, with a value in its text.
const KNOWN: &str = "SELECT id, total FROM orders WHERE note = 'x' AND id < 10 ORDER BY id";

struct Watched {
    firewall: Firewall,
    audit: std::path::PathBuf,
    _directory: tempfile::TempDir,
}

impl Watched {
    fn start(cluster: &Cluster, policies: Vec<(&'static str, String)>) -> Watched {
        let directory = tempfile::tempdir().unwrap();
        let audit = directory.path().join("audit.jsonl");
        let environment = vec![("PORTCULLIS_AUDIT_LOG", audit.display().to_string())];
        let options = firewall::Options { policies, environment, ..firewall::Options::default() };
        Watched { firewall: Firewall::start(cluster, options), audit, _directory: directory }
    }

    fn attempts(&self, technique: &str, verdict: &str) -> f64 {
        let labels = [("technique", technique), ("policy", "shop"), ("verdict", verdict)];
        self.firewall.metric("portcullis_injection_attempts_total", &labels)
    }

    fn events(&self) -> f64 {
        self.firewall.metric("portcullis_security_events_total", &[("event_type", "sql_injection_attempt")])
    }

    /// The first line of the audit log that holds this.
    fn audited(&self, part: &str) -> serde_json::Value {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let log = std::fs::read_to_string(&self.audit).unwrap();
            if let Some(line) = log.lines().find(|line| line.contains(part)) {
                return serde_json::from_str(line).unwrap();
            }
            assert!(Instant::now() < deadline, "no {part} in {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[track_caller]
fn refused(client: &mut Client, text: &str) -> String {
    let frames = client.ask(&query(text));
    let error = error(&frames);
    assert_eq!(error.field('C'), "42501", "{text}: {frames:?}");
    error.field('M').to_owned()
}

fn list() -> (&'static str, String) {
    let hash = sql::analyse(KNOWN, Reading::default()).unwrap().facts.hash.unwrap();
    let entry = serde_json::json!({"hash": hash.to_string(), "text": sql::redacted(KNOWN)});
    ("shop.learned.yaml", format!("- {entry}\n"))
}

#[test]
fn what_is_inserted_into_a_learned_statement_is_told_with_its_part() {
    let cluster = Cluster::default();
    let watched = Watched::start(&cluster, vec![("shop.yaml", LEARNED.to_owned()), list()]);
    let mut client = watched.firewall.session("app_rw", "shop");
    client.ask(&query(KNOWN));
    assert_eq!(watched.events(), 0.0);
    let said =
        refused(&mut client, "SELECT id, total FROM orders WHERE note = 'x' OR product_id = 1 AND id < 10 ORDER BY id");
    assert!(said.contains("injection score") && said.contains("inserted(5)"), "{said}");
    assert_eq!((watched.attempts("inserted", "refuse"), watched.events()), (1.0, 1.0));
    let inserted = "OR product_id = ?";
    let into = "SELECT id, total FROM orders WHERE note = ? AND id < ? ORDER BY id";
    let line = watched.firewall.log_line(&["WARN", "sql injection attempt", &format!("inserted=\"{inserted}\"")]);
    assert!(line.contains(&format!("into=\"{into}\"")) && line.contains("verdict=\"refuse\""), "{line}");
    let audited = watched.audited("\"inserted\"");
    assert_eq!((audited["inserted"].as_str(), audited["into"].as_str()), (Some(inserted), Some(into)), "{audited}");
    assert_eq!(audited["rule"], "injection");
    assert!(audited["signals"].as_array().unwrap().contains(&serde_json::json!(["inserted", 5])), "{audited}");
    assert_eq!(
        audited["statement"],
        "SELECT id, total FROM orders WHERE note = ? OR product_id = ? AND id < ? ORDER BY id"
    );
    // One condition more is a new release, perhaps: told, and not refused. Another statement is none of it.
    let another = "SELECT id, total FROM orders WHERE note = 'x' AND total > 3 AND id < 10 ORDER BY id";
    client.ask(&query(another));
    assert_eq!((watched.attempts("inserted", "allow"), watched.events()), (1.0, 2.0));
    client.ask(&query("SELECT name FROM products WHERE id = 1 OR id = 2"));
    assert_eq!(watched.events(), 2.0);
}

#[test]
fn the_sessions_own_statements_serve_where_nothing_is_learned() {
    let cluster = Cluster::default();
    let watched = Watched::start(&cluster, vec![("shop.yaml", ALLOWED.to_owned())]);
    let injected = "SELECT id, total FROM orders WHERE note = 'y' OR total > 3 AND id < 10 ORDER BY id";
    // To a session that never sent the like it is a statement: half a sign.
    let mut stranger = watched.firewall.session("app_rw", "shop");
    stranger.ask(&query("SELECT id FROM orders WHERE id = 1 OR id = 2"));
    assert_eq!(watched.events(), 0.0);
    let mut client = watched.firewall.session("app_rw", "shop");
    for text in [KNOWN, "SELECT id, total FROM orders WHERE note = 'z' AND id < 20 ORDER BY id"] {
        client.ask(&query(text));
    }
    assert_eq!(watched.events(), 0.0, "other values are no difference");
    let said = refused(&mut client, injected);
    assert!(said.contains("unguarded_or(3)") && said.contains("inserted(3)"), "{said}");
    assert_eq!((watched.attempts("inserted", "refuse"), watched.events()), (1.0, 1.0));
    let line = watched.firewall.log_line(&["WARN", "sql injection attempt", "inserted=\"OR total > ?\""]);
    assert!(!line.contains("into="), "{line}");
    // It is no model for the next one.
    refused(&mut client, "SELECT id, total FROM orders WHERE note = 'y' OR total > 4 AND id < 10 ORDER BY id");
}

#[test]
fn a_weak_sign_is_not_counted_and_what_is_bound_is_none() {
    let cluster = Cluster::default();
    let watched = Watched::start(&cluster, vec![("shop.yaml", ALLOWED.to_owned())]);
    let mut client = watched.firewall.session("app_rw", "shop");
    assert_eq!(client.value("SELECT count(*) FROM orders WHERE id = 1 OR 1 = 0"), "1");
    let all = || watched.firewall.metric("portcullis_injection_attempts_total", &[]);
    assert_eq!((all(), watched.events()), (0.0, 0.0));
    let bound = "x' OR '1'='1' UNION SELECT password_hash FROM users --";
    let text = "SELECT id FROM orders WHERE note = $1";
    client.ask(&[parse("", text), bind("", "", &[bound]), execute(""), sync()].concat());
    let stored = "INSERT INTO users (id, email, password_hash) VALUES (77, 'x'' OR 1=1 -- ; DROP TABLE users', 'q')";
    client.ask(&query(stored));
    assert_eq!((all(), watched.events()), (0.0, 0.0));
    refused(&mut client, "SELECT id FROM orders WHERE note = 'x' OR '1'='1' UNION SELECT password_hash FROM users --'");
    assert_eq!(watched.events(), 1.0, "once a message, however many techniques");
    assert!(all() >= 2.0);
}

#[test]
fn ways_around_the_signs_end_at_the_firewall() {
    let cluster = Cluster::default();
    let watched = Watched::start(&cluster, vec![("shop.yaml", ALLOWED.to_owned())]);
    let mut client = watched.firewall.session("app_rw", "shop");
    for text in [
        "WITH o AS (SELECT id FROM orders WHERE note = 'x' OR 1=1) SELECT (SELECT count(*) FROM o)",
        "SELECT id FROM orders WHERE note = 'x' OR '1'='1'\n--' AND id < 10",
        "PREPARE p AS SELECT id FROM orders WHERE note = 'x' OR NOT NOT 1=1",
        "EXPLAIN ANALYZE SELECT id FROM orders WHERE note = 'x' OR (SELECT true)",
    ] {
        let said = refused(&mut client, text);
        assert!(said.starts_with("statement refused by policy \"shop\": injection score"), "{said}");
    }
    // Columns that fit, of another table: told, and refused by a list alone.
    client.ask(&query("SELECT id, note FROM orders WHERE id = 1 AND 1=0 UNION SELECT id, password_hash FROM users"));
    assert_eq!((watched.attempts("union_probe", "allow"), watched.events()), (1.0, 5.0));
}

#[test]
fn a_condition_that_is_varied_is_a_burst() {
    let cluster = Cluster::default();
    let watched = Watched::start(&cluster, vec![("shop.yaml", ALLOWED.replace("injection: {block_at: 5}\n", ""))]);
    let mut client = watched.firewall.session("app_rw", "shop");
    client.ask(&query(KNOWN));
    for column in ["total", "product_id", "id", "note"] {
        for test in ["IS NULL", "IS NOT NULL", "IN (1)"] {
            let condition = if column == "note" { test.replace("(1)", "('1')") } else { test.to_owned() };
            client.ask(&query(&KNOWN.replace("'x' AND", &format!("'x' AND {column} {condition} AND"))));
        }
    }
    // Each by itself is too little.
    assert_eq!((watched.attempts("probing", "allow"), watched.events()), (1.0, 1.0), "{}", watched.firewall.log());
    watched.firewall.log_line(&["WARN", "techniques=\"probing\"", "errors=\"inserted=10\""]);
}
