//! Decoys with a real server: who touches one is refused, and shut out at that address for a while; nobody else is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::time::{Duration, Instant};

use common::tools::psql;
use common::wire::{Client, bind, error, execute, parse, query, status, sync};
use common::{Cluster, Firewall, firewall};

const POLICY: &str = "policy: shop
applies_to: {users: [app_rw, app_ro]}
search_path: [public]
allow: [{rule: rows, actions: [select, insert, update, delete], tables: [\"public.*\"]}]
decoys: [public.admin_backup]
";

const SECRET: &str = "CREATE TABLE public.admin_backup (id int, token text);
    INSERT INTO public.admin_backup VALUES (1, 'never-seen');
    GRANT ALL ON public.admin_backup TO PUBLIC";

fn cluster() -> Cluster {
    let cluster = Cluster::default();
    cluster.execute("shop", SECRET);
    cluster
}

fn firewall(cluster: &Cluster, policy: &str, quarantine: &str) -> Firewall {
    let config = Some(format!("quarantine: {quarantine}\n"));
    Firewall::start(cluster, firewall::Options { config, ..firewall::Options::policy(policy) })
}

fn touched(firewall: &Firewall) -> f64 {
    firewall.metric("portcullis_security_events_total", &[("event_type", "decoy_touched")])
}

/// The answer to a login, up to its first error or ReadyForQuery.
fn login(firewall: &Firewall, user: &str) -> Vec<common::wire::Frame> {
    Client::connect(firewall.port()).try_login(&[("user", user), ("database", "shop")])
}

#[test]
fn who_touches_a_decoy_is_shut_out_at_that_address() {
    let cluster = cluster();
    let firewall = firewall(&cluster, POLICY, "15m");
    let mut thief = firewall.session("app_rw", "shop");
    let mut pool = firewall.session("app_rw", "shop");
    let mut other = firewall.session("app_ro", "shop");
    // Remembered in every way before the touch; and a transaction is open.
    assert_eq!(pool.value("SELECT count(*) FROM orders"), "1000");
    assert_eq!(pool.value("SELECT count(*) FROM orders"), "1000");
    pool.ask(&[parse("s", "SELECT count(*) FROM orders"), sync()].concat());
    assert_eq!(status(&pool.ask(&query("BEGIN; DELETE FROM orders WHERE id = 1"))), 'T');

    let frames = thief.ask(&query("SELECT token FROM admin_backup"));
    let refusal = error(&frames);
    assert_eq!((refusal.field('S').as_str(), refusal.field('C').as_str()), ("ERROR", "42501"));
    assert!(!frames.iter().any(|frame| frame.text().contains("never-seen")), "{frames:?}");
    assert!(!refusal.text().contains("decoy") && !refusal.text().contains("quarantine"), "{refusal:?}");
    let event = refusal.field('D').strip_prefix("event ").expect("an event id").to_owned();

    // The alarm.
    firewall.log_line(&["WARN", "decoy touched", "app_rw", "shop", "127.0.0.1", "public.admin_backup", &event]);
    assert_eq!(touched(&firewall), 1.0);
    assert_eq!(firewall.metric("portcullis_refusals_total", &[("rule", "decoy")]), 1.0);
    assert_eq!(firewall.metric("portcullis_quarantined", &[]), 1.0);

    // Every session of the pair, by every protocol, and its transaction is undone.
    for session in [&mut thief, &mut pool] {
        for bytes in [
            query("SELECT count(*) FROM orders"),
            query("COMMIT"),
            [bind("", "s", &[]), execute(""), sync()].concat(),
            [parse("", "SELECT 1"), bind("", "", &[]), execute(""), sync()].concat(),
        ] {
            let frames = session.ask(&bytes);
            let refusal = error(&frames);
            assert_eq!(refusal.field('C'), "42501", "{refusal:?}");
            assert!(refusal.field('M').contains("is quarantined at this address"), "{refusal:?}");
            assert!(!frames.iter().any(|frame| matches!(frame.kind, b'D' | b'C')), "{frames:?}");
        }
    }
    assert_eq!(other.value("SELECT count(*) FROM orders"), "1000", "what the open transaction did is undone");

    // New logins of the pair, and only those.
    let answer = login(&firewall, "app_rw");
    let refusal = error(&answer);
    assert_eq!((refusal.field('S').as_str(), refusal.field('C').as_str()), ("FATAL", "28000"));
    assert!(refusal.field('M').contains("is quarantined at this address"), "{refusal:?}");
    firewall.log_line(&["login refused", "app_rw", "quarantine"]);
    assert_eq!(firewall.session("app_ro", "shop").value("SELECT count(*) FROM orders"), "1000");
    assert_eq!(touched(&firewall), 1.0, "only the touch is one");
}

#[test]
fn when_it_is_over_sessions_go_on_and_logins_pass() {
    let cluster = cluster();
    let firewall = firewall(&cluster, POLICY, "1s");
    let mut session = firewall.session("app_rw", "shop");
    let began = Instant::now();
    let frames = session.ask(&[parse("", "TABLE admin_backup"), bind("", "", &[]), execute(""), sync()].concat());
    assert_eq!(error(&frames).field('C'), "42501");
    let deadline = Instant::now() + Duration::from_secs(20);
    while login(&firewall, "app_rw").last().map(|frame| frame.kind) != Some(b'Z') {
        assert!(Instant::now() < deadline, "still shut out");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(began.elapsed() >= Duration::from_secs(1), "it lasts as long as it says");
    assert_eq!(session.value("SELECT count(*) FROM orders"), "1000");
    firewall.log_line(&["quarantine over", "app_rw"]);
    while firewall.metric("portcullis_quarantined", &[]) > 0.0 {
        assert!(Instant::now() < deadline, "still counted");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn turned_off_only_the_touch_is_refused() {
    let cluster = cluster();
    let firewall = firewall(&cluster, POLICY, "0");
    let mut session = firewall.session("app_rw", "shop");
    assert_eq!(error(&session.ask(&query("DROP TABLE admin_backup"))).field('C'), "42501");
    assert_eq!(session.value("SELECT count(*) FROM orders"), "1000");
    assert_eq!(firewall.session("app_rw", "shop").value("SELECT 1"), "1");
    assert_eq!((touched(&firewall), firewall.metric("portcullis_quarantined", &[])), (1.0, 0.0));
}

#[test]
fn observed_it_passes_and_only_rings() {
    let cluster = cluster();
    let firewall = firewall(&cluster, &format!("{POLICY}mode: observe\n"), "15m");
    let mut session = firewall.session("app_rw", "shop");
    assert_eq!(session.value("SELECT token FROM admin_backup"), "never-seen");
    assert_eq!(session.value("SELECT count(*) FROM orders"), "1000");
    assert_eq!(firewall.session("app_rw", "shop").value("SELECT 1"), "1");
    firewall.log_line(&["WARN", "decoy touched", "app_rw", "public.admin_backup"]);
    assert_eq!((touched(&firewall), firewall.metric("portcullis_quarantined", &[])), (1.0, 0.0));
}

#[test]
fn describing_it_touches_nothing() {
    let cluster = cluster();
    let firewall = firewall(&cluster, POLICY, "15m");
    let out = psql(&cluster, firewall.port(), "app_rw", "shop", &["\\d", "\\d+ admin_backup", "\\dt+", "\\dp"]).ok();
    assert!(out.contains("admin_backup") && out.contains("token"), "{out}");
    assert_eq!(touched(&firewall), 0.0);
}

#[test]
fn a_terse_firewall_tells_nothing_but_the_event() {
    let cluster = cluster();
    let firewall = firewall(&cluster, &format!("{POLICY}errors: terse\n"), "15m");
    let mut session = firewall.session("app_rw", "shop");
    for sql in ["SELECT token FROM admin_backup", "SELECT 1"] {
        let frames = session.ask(&query(sql));
        let refusal = error(&frames);
        assert_eq!((refusal.field('M').as_str(), refusal.field('H').as_str()), ("statement refused", ""), "{sql}");
        assert!(refusal.field('D').starts_with("event "), "{sql}: {refusal:?}");
    }
    let answer = login(&firewall, "app_rw");
    assert_eq!((error(&answer).field('M').as_str(), error(&answer).field('H').as_str()), ("login refused", ""));
}
