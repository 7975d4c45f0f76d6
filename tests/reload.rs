//! Other policies come into force under sessions that are open: SIGHUP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use common::wire::{Client, Frame, bind, describe, error, execute, frame, parse, query, status, sync};
use common::{Cluster, Firewall, firewall};

/// Reading and writing of orders and products.
const WIDE: &str = "policy: wide
applies_to: {users: [app_rw]}
search_path: [public]
allow:
  - {rule: data, actions: [select, insert, update, delete], tables: [orders, products]}
";

/// Reading of products.
const NARROW: &str = "policy: narrow
applies_to: {users: [app_rw]}
search_path: [public]
allow:
  - {rule: data, actions: [select], tables: [products]}
tests:
  - allow: SELECT * FROM products
  - deny: SELECT * FROM orders
";

fn start(cluster: &Cluster, policy: &str) -> Firewall {
    Firewall::start(cluster, firewall::Options::policy(policy))
}

/// Execute of a portal, one row.
fn one_row(portal: &str) -> Vec<u8> {
    frame(b'E', &[portal.as_bytes(), &[0, 0, 0, 0, 1]].concat())
}

#[track_caller]
fn passes(frames: &[Frame]) -> char {
    assert!(!frames.iter().any(|frame| frame.kind == b'E'), "{frames:?}");
    status(frames)
}

#[track_caller]
fn refused(frames: &[Frame]) -> char {
    let error = error(frames);
    assert_eq!(error.field('C'), "42501", "{error:?}");
    assert!(error.field('M').starts_with("statement refused by policy \"narrow\""), "{error:?}");
    status(frames)
}

#[test]
fn a_stricter_set_refuses_what_older_names_still_hold() {
    let cluster = Cluster::default();
    let firewall = start(&cluster, WIDE);
    let read = "SELECT note FROM orders ORDER BY id";
    // Each in a session of its own, with everything prepared and run once under the wide set.
    let uses: [(&str, Vec<u8>); 8] = [
        ("Query", query(read)),
        ("Bind of a named statement", [bind("", "s", &[]), execute(""), sync()].concat()),
        ("Bind of the unnamed statement", [bind("", "", &[]), execute(""), sync()].concat()),
        ("Describe of a statement", [describe(b'S', "s"), sync()].concat()),
        ("Execute of an open portal", [one_row("p"), sync()].concat()),
        ("Execute of a cursor", [one_row("c"), sync()].concat()),
        ("FETCH of a cursor", query("FETCH 1 FROM c")),
        ("EXECUTE", query("EXECUTE q")),
    ];
    let mut sessions: Vec<Client> = Vec::new();
    for (what, bytes) in &uses {
        let mut session = firewall.session("app_rw", "shop");
        passes(&session.ask(&query(&format!("PREPARE q AS {read}"))));
        passes(&session.ask(&query(&format!("BEGIN; DECLARE c CURSOR FOR {read}"))));
        passes(&session.ask(&[parse("s", read), bind("p", "s", &[]), one_row("p"), sync()].concat()));
        passes(&session.ask(&[parse("", read), sync()].concat()));
        let frames = session.ask(bytes);
        assert_eq!(passes(&frames), 'T', "{what} passed before");
        sessions.push(session);
    }
    let log = firewall.reload(NARROW);
    assert!(log.contains("policies=1") && log.contains("names=\"narrow\""), "{log}");
    for ((what, bytes), session) in uses.iter().zip(&mut sessions) {
        assert_eq!(refused(&session.ask(bytes)), 'E', "{what}");
        assert_eq!(passes(&session.ask(&query("ROLLBACK"))), 'I', "{what}");
        assert_eq!(session.value("SELECT count(*) FROM products"), "100", "{what}: the session goes on");
    }
    assert!((firewall.metric("portcullis_policy_info", &[("policy", "narrow")]) - 1.0).abs() < f64::EPSILON);
    assert!(firewall.metric("portcullis_policy_info", &[("policy", "wide")]).abs() < f64::EPSILON);
}

#[test]
fn a_laxer_set_allows_at_once() {
    let cluster = Cluster::default();
    let firewall = start(&cluster, NARROW);
    let mut session = firewall.session("app_rw", "shop");
    for _ in 0..2 {
        refused(&session.ask(&query("DELETE FROM orders WHERE id = 1")));
        refused(&session.ask(&[parse("s", "SELECT 1 FROM orders"), bind("", "s", &[]), execute(""), sync()].concat()));
    }
    firewall.reload(WIDE);
    passes(&session.ask(&query("DELETE FROM orders WHERE id = 1")));
    passes(&session.ask(&[parse("s", "SELECT 1 FROM orders"), bind("", "s", &[]), execute(""), sync()].concat()));
}

#[test]
fn a_bad_set_leaves_the_old_one_in_force_and_says_why() {
    let cluster = Cluster::default();
    let firewall = start(&cluster, WIDE);
    let failed = || firewall.metric("portcullis_policy_reload_failed", &[]) > 0.5;
    let mut session = firewall.session("app_rw", "shop");
    assert!(!failed());
    let both = NARROW.replace("select", "selct").replace("search_path", "serch_path");
    let untrue = NARROW.replace("deny: SELECT * FROM orders", "allow: SELECT * FROM orders");
    for (bad, why) in [(both.as_str(), &["selct", "serch_path"][..]), (&untrue, &["SELECT * FROM orders"]), ("", &[])] {
        let log = firewall.reload(bad);
        assert!(log.contains("policies not reloaded, the old ones stay in force"), "{log}");
        for part in why {
            assert!(log.contains(part), "{log}");
        }
        assert!(failed());
        assert!(firewall.get("/health").1.contains("the last reload failed, older policies are in force"));
        assert_eq!(firewall.get("/health").0, 200);
        passes(&session.ask(&query("SELECT * FROM orders LIMIT 1")));
        passes(&firewall.session("app_rw", "shop").ask(&query("SELECT * FROM orders LIMIT 1")));
    }
    firewall.reload(NARROW);
    assert!(!failed());
    assert!(!firewall.get("/health").1.contains("the last reload failed"));
    refused(&session.ask(&query("SELECT * FROM orders LIMIT 1")));
}

#[test]
fn a_session_that_is_not_admitted_any_more_ends_when_it_is_idle_and_may_commit_before() {
    let cluster = Cluster::default();
    let others = [
        WIDE.replace("[app_rw]", "[app_ro]"),
        format!("{WIDE}require: {{networks: [10.0.0.0/8]}}\n"),
        WIDE.replace("search_path: [public]", "search_path: [public, other]"),
        format!("{WIDE}pin: {{statement_timeout: 5s}}\n"),
    ];
    for other in others {
        let firewall = start(&cluster, WIDE);
        let mut idle = firewall.session("app_rw", "shop");
        let mut committing = firewall.session("app_rw", "shop");
        let mut going_on = firewall.session("app_rw", "shop");
        let count = committing.value("SELECT count(*) FROM orders");
        for session in [&mut committing, &mut going_on] {
            passes(&session.ask(&query("BEGIN; INSERT INTO orders (total) VALUES (-1)")));
        }
        firewall.reload(&other);

        let ended = |session: &mut Client, bytes: &[u8]| {
            session.send(bytes);
            let frame = session.read().unwrap();
            assert_eq!((frame.kind, frame.field('S'), frame.field('C')), (b'E', "FATAL".into(), "57P01".into()));
            assert!(frame.field('M').contains("this session is not admitted any more"), "{frame:?}");
            assert_eq!(session.rest(), b"");
        };
        ended(&mut idle, &query("SELECT 1"));
        assert_eq!(passes(&committing.ask(&query("COMMIT"))), 'I');
        ended(&mut committing, &[parse("", "SELECT 1"), sync()].concat());
        let frames = going_on.ask(&query("INSERT INTO orders (total) VALUES (-1)"));
        assert_eq!((error(&frames).field('C').as_str(), status(&frames)), ("42501", 'E'));
        assert_eq!(passes(&going_on.ask(&query("COMMIT"))), 'I', "as in PostgreSQL, a ROLLBACK");
        ended(&mut going_on, &query("SELECT 1"));

        firewall.log_line(&["session closed to further statements", "not admitted any more"]);
        firewall.reload(WIDE);
        let mut new = firewall.session("app_rw", "shop");
        let one_more: u64 = count.parse::<u64>().unwrap() + 1;
        assert_eq!(new.value("SELECT count(*) FROM orders"), one_more.to_string());
        passes(&new.ask(&query("DELETE FROM orders WHERE total = -1")));
    }
}

#[test]
fn under_another_path_an_old_session_reads_nothing() {
    let cluster = Cluster::default();
    cluster.execute("shop", "CREATE SCHEMA tenant; CREATE TABLE tenant.orders AS SELECT 'theirs' AS note");
    cluster.execute("shop", "GRANT ALL ON SCHEMA tenant TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA tenant TO PUBLIC");
    let firewall = start(&cluster, &WIDE.replace("[public]", "[tenant]"));
    let mut old = firewall.session("app_rw", "shop");
    assert_eq!(old.value("SELECT note FROM orders"), "theirs");
    // Judged by names alone, `orders` would be public.orders now; the server would still read tenant.orders.
    firewall.reload(WIDE);
    old.send(&query("SELECT note FROM orders"));
    assert_eq!(old.read().unwrap().field('C'), "57P01");
    assert_ne!(firewall.session("app_rw", "shop").value("SELECT note FROM orders LIMIT 1"), "theirs");
}
