//! Statements that are long, wide or deep: the server's own answer or a clear refusal, never a crash, and the other sessions
//! go on. And the cache in front of a real server: what is remembered is judged as strictly as what is read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::wire::{bind, error, execute, parse, query, status, sync};
use common::{Cluster, Firewall, firewall};

fn policy(limits: &str) -> firewall::Options {
    firewall::Options::policy(&format!(
        "policy: p\napplies_to: {{users: [app_rw]}}\nsearch_path: [public]\nlimits: {{{limits}}}\n\
         allow:\n  - {{rule: r, actions: [select, insert, update, delete], tables: [\"*\"]}}\n"
    ))
}

/// What the server answers itself, by text and SQLSTATE.
fn shapes() -> Vec<(&'static str, String, &'static str)> {
    let list = |count: usize, item: &dyn Fn(usize) -> String| (0..count).map(item).collect::<Vec<_>>().join(",");
    vec![
        ("10 MB literal", format!("SELECT length('{}')", "x".repeat(10 << 20)), "00000"),
        (
            "10,000-element IN",
            format!("SELECT id FROM orders WHERE id IN ({})", list(10_000, &|n| n.to_string())),
            "00000",
        ),
        (
            "1,000-row VALUES",
            format!("SELECT count(*) FROM (VALUES {}) v(a, b)", list(1_000, &|n| format!("({n}, 'x')"))),
            "00000",
        ),
        ("4,000 levels of +", format!("SELECT {}1", "1+".repeat(3_999)), "00000"),
        // Parentheses are no levels for the server; here they are read by the same grammar.
        ("4,000 parentheses", format!("SELECT {}1{}", "(".repeat(4_000), ")".repeat(4_000)), "00000"),
        ("100,000 levels of +", format!("SELECT {}1", "1+".repeat(99_999)), "54001"),
    ]
}

fn sqlstate(frames: &[common::wire::Frame]) -> String {
    frames.iter().find(|frame| frame.kind == b'E').map_or("00000".to_owned(), |frame| frame.field('C'))
}

#[test]
fn long_wide_and_deep_statements_are_answered_while_other_sessions_go_on() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, policy("statement_bytes: 16MiB"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let probe = scope.spawn(|| {
            let mut probe = firewall.session("app_rw", "shop");
            let mut asked = 0;
            while !done.load(Ordering::Relaxed) || asked == 0 {
                assert_eq!(probe.value("SELECT 1"), "1");
                asked += 1;
            }
            asked
        });
        let mut session = firewall.session("app_rw", "shop");
        for (name, text, expected) in shapes() {
            let frames = session.ask(&query(&text));
            assert_eq!((sqlstate(&frames).as_str(), status(&frames)), (expected, 'I'), "{name}, Query");
            let frames = session.ask(&[parse("", &text), bind("", "", &[]), execute(""), sync()].concat());
            assert_eq!((sqlstate(&frames).as_str(), status(&frames)), (expected, 'I'), "{name}, Parse");
            assert_eq!(session.value("SELECT 2"), "2", "the session goes on after {name}");
        }
        done.store(true, Ordering::Relaxed);
        assert!(probe.join().unwrap() > 0);
    });
}

#[test]
fn each_limit_is_refused_clearly_and_counted() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, policy("statement_bytes: 2KiB, depth: 100, message_statements: 3"));
    let mut session = firewall.session("app_rw", "shop");
    for (text, sqlstate, sentence) in [
        (format!("SELECT '{}'", "x".repeat(2050)), "54000", "the limit of statement_bytes is 2048"),
        (format!("SELECT '{}'", "x".repeat(100_000)), "54000", "the limit of statement_bytes is 2048"),
        (format!("SELECT {}1", "1+".repeat(150)), "54001", "levels deep, the limit is 100"),
        ("SELECT 1; SELECT 2; SELECT 3; SELECT 4".to_owned(), "54000", "4 statements in one message, the limit is 3"),
    ] {
        let frames = session.ask(&query(&text));
        let error = error(&frames);
        assert_eq!(error.field('C'), sqlstate, "{error:?}");
        assert!(error.field('M').contains(sentence) && error.field('H').contains("DBA"), "{error:?}");
        assert_eq!(status(&frames), 'I');
    }
    // The proxy's own limit, of memory.
    let roomy = Firewall::start(&cluster, policy("statement_bytes: 16MiB"));
    let mut heavy = roomy.session("app_rw", "shop");
    let frames = heavy.ask(&query(&format!("SELECT {}1", "a,".repeat(300_000))));
    let error = error(&frames);
    assert_eq!(error.field('C'), "54000", "{error:?}");
    assert!(error.field('M').contains("the limit of analysis_bytes is 536870912"), "{error:?}");
    // Exactly at the limit it passes.
    let text = format!("SELECT length('{}')", "x".repeat(2048 - "SELECT length('')".len()));
    assert_eq!(text.len(), 2048);
    assert_eq!(session.value(&text), (2048 - "SELECT length('')".len()).to_string());
    let metrics = firewall.get("/metrics").1;
    for (limit, count) in [("statement_bytes", 2), ("depth", 1), ("message_statements", 1)] {
        assert!(
            metrics.contains(&format!("portcullis_limit_exceeded_total{{limit=\"{limit}\"}} {count}")),
            "{limit}: {metrics}"
        );
    }
    assert!(metrics.contains("portcullis_security_events_total{event_type=\"guarded_setting\"} 0"), "{metrics}");
}

#[test]
fn what_is_remembered_is_judged_for_each_session_by_its_own_policies() {
    let cluster = Cluster::default();
    let policies = "policy: rw\napplies_to: {users: [app_rw]}\nsearch_path: [public]\n\
                    allow:\n  - {rule: r, actions: [select, delete], tables: [\"*\"]}\n---\n\
                    policy: ro\napplies_to: {users: [app_ro]}\nsearch_path: [public]\n\
                    allow:\n  - {rule: r, actions: [select], tables: [\"*\"]}\n";
    let firewall = Firewall::start(&cluster, firewall::Options::policy(policies));
    let mut writer = firewall.session("app_rw", "shop");
    let mut reader = firewall.session("app_ro", "shop");
    let text = "DELETE FROM orders WHERE id = -1";
    for _ in 0..3 {
        assert_eq!(sqlstate(&writer.ask(&query(text))), "00000");
        assert_eq!(sqlstate(&reader.ask(&query(text))), "42501");
        assert_eq!(sqlstate(&reader.ask(&[parse("", text), sync()].concat())), "42501");
    }
    let metrics = firewall.get("/metrics").1;
    assert!(!metrics.contains("portcullis_texts_total{remembered=\"verdict\"} 0"), "{metrics}");
    assert!(!metrics.contains("portcullis_texts_total{remembered=\"facts\"} 0"), "{metrics}");
}

#[test]
fn a_refused_statement_stays_refused_however_often_it_comes() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, policy("depth: 1000"));
    let mut session = firewall.session("app_rw", "shop");
    for _ in 0..5 {
        for text in ["TRUNCATE orders", "SELECT pg_read_file('x')", "SET ROLE shop_owner"] {
            assert_eq!(sqlstate(&session.ask(&query(text))), "42501", "{text}");
        }
    }
    assert_eq!(session.value("SELECT count(*) FROM orders"), "1000");
}
