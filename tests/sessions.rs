//! What a session is besides statements: cancelling, notifications, COPY, closing, draining, starting over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::time::{Duration, Instant};

use common::wire::{Client, error, frame, query, startup, status};
use common::{Cluster, Firewall, firewall};

const POLICY: &str = "policy: shop
applies_to: {users: [app_rw]}
search_path: [public]
temp_tables: allow
allow:
  - {rule: data, actions: [select, insert, update, delete, copy_to, copy_from], tables: ['*']}
  - {rule: wait, actions: [sleep]}
  - {rule: news, actions: [listen, notify], objects: [news]}
";

fn both() -> [firewall::Options; 2] {
    [firewall::Options::policy(POLICY), firewall::Options::observe()]
}

#[test]
fn a_cancel_request_stops_a_running_query() {
    let cluster = Cluster::default();
    for options in both() {
        let firewall = Firewall::start(&cluster, options);
        let mut session = firewall.session("app_rw", "shop");
        let started = Instant::now();
        session.send(&query("SELECT pg_sleep(30)"));
        std::thread::sleep(Duration::from_millis(300));
        let mut cancel = firewall.connect();
        let length = u32::try_from(session.key.len() + 8).unwrap();
        cancel.send(&[&length.to_be_bytes()[..], &[0x04, 0xd2, 0x16, 0x2e], &session.key].concat());
        assert_eq!(cancel.rest(), b"", "the answer to a cancel is the end of the connection");
        let frames = session.until_ready();
        assert_eq!(error(&frames).field('C'), "57014");
        assert!(started.elapsed() < Duration::from_secs(10));
        assert_eq!(session.value("SELECT 1"), "1");
    }
}

#[test]
fn a_cancel_request_with_a_wrong_key_stops_nothing() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(POLICY));
    let mut session = firewall.session("app_rw", "shop");
    session.send(&query("SELECT pg_sleep(1)"));
    let mut wrong = session.key.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let mut cancel = firewall.connect();
    cancel.send(&[&[0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e][..], &wrong].concat());
    assert_eq!(cancel.rest(), b"");
    assert!(session.until_ready().iter().any(|frame| frame.kind == b'D'));
}

#[test]
fn a_notification_arrives_at_an_idle_session() {
    let cluster = Cluster::default();
    for options in both() {
        let firewall = Firewall::start(&cluster, options);
        let mut listener = firewall.session("app_rw", "shop");
        assert_eq!(status(&listener.ask(&query("LISTEN news"))), 'I');
        firewall.session("app_rw", "shop").ask(&query("NOTIFY news, 'größe'"));
        let notification = listener.read().unwrap();
        assert_eq!(notification.kind, b'A');
        assert!(notification.text().contains("news\0größe"), "{notification:?}");
    }
}

#[test]
fn copy_works_both_ways() {
    let cluster = Cluster::default();
    for options in both() {
        let firewall = Firewall::start(&cluster, options);
        let mut session = firewall.session("app_rw", "shop");
        session.send(&query("COPY products (id, name, price) FROM STDIN"));
        assert_eq!(session.read().unwrap().kind, b'G');
        for id in 200..1200 {
            session.send(&frame(b'd', format!("{id}\tcopied {id}\t1.00\n").as_bytes()));
        }
        let frames = session.ask(&frame(b'c', b""));
        assert!(frames.iter().any(|frame| frame.kind == b'C' && frame.text() == "COPY 1000\0"), "{frames:?}");
        let frames = session.ask(&query("COPY products (id) TO STDOUT"));
        assert_eq!(frames.iter().filter(|frame| frame.kind == b'd').count(), 1100);
        session.send(&query("COPY products (id, name, price) FROM STDIN"));
        assert_eq!(session.read().unwrap().kind, b'G');
        let frames = session.ask(&frame(b'f', b"changed my mind\0"));
        assert_eq!(error(&frames).field('C'), "57014");
        session.ask(&query("DELETE FROM products WHERE id >= 200"));
        assert_eq!(session.value("SELECT count(*) FROM products"), "100");
    }
}

#[test]
fn large_values_pass_in_both_directions() {
    let cluster = Cluster::default();
    for options in both() {
        let firewall = Firewall::start(&cluster, options);
        let mut session = firewall.session("app_rw", "shop");
        assert_eq!(session.value("SELECT repeat('x', 20000000)").len(), 20_000_000);
        assert_eq!(session.value(&format!("SELECT length('{}')", "x".repeat(500_000))), "500000");
    }
}

#[test]
fn a_half_closed_client_still_gets_its_answer() {
    let cluster = Cluster::default();
    for options in both() {
        let firewall = Firewall::start(&cluster, options);
        let mut session = firewall.session("app_rw", "shop");
        session.send(&query("SELECT pg_sleep(0.5), 'done'"));
        session.half_close();
        let frames = session.until_ready();
        assert!(frames.iter().any(|frame| frame.kind == b'D' && frame.text().contains("done")), "{frames:?}");
        assert_eq!(session.read(), None);
    }
}

#[test]
fn when_the_client_goes_the_server_session_goes() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(POLICY));
    let sessions = || {
        let mut direct = Client::login(cluster.port(), &[("user", "postgres"), ("database", "shop")]);
        direct.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app_rw'")
    };
    let session = firewall.session("app_rw", "shop");
    assert_eq!(sessions(), "1");
    assert_eq!(firewall.metric("portcullis_sessions", &[]), 1.0);
    drop(session);
    let deadline = Instant::now() + Duration::from_secs(5);
    while sessions() != "0" || firewall.metric("portcullis_sessions", &[]) != 0.0 {
        assert!(Instant::now() < deadline, "the server's session is still there");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn when_the_server_ends_a_session_the_client_hears_its_words() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(POLICY));
    let mut session = firewall.session("app_rw", "shop");
    cluster.execute("shop", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app_rw'");
    let last = session.read().unwrap();
    assert_eq!((last.kind, last.field('C').as_str()), (b'E', "57P01"));
    assert_eq!(session.read(), None);
}

#[test]
fn sigterm_lets_sessions_finish_and_takes_no_new_ones() {
    let cluster = Cluster::default();
    let mut firewall = Firewall::start(&cluster, firewall::Options::policy(POLICY));
    let mut session = firewall.session("app_rw", "shop");
    let mut idle = firewall.session("app_rw", "shop");
    assert_eq!(status(&session.ask(&query("BEGIN"))), 'T');
    firewall.terminate();
    let told = idle.until_ready();
    assert_eq!((error(&told).field('C'), error(&told).field('S')), ("57P01".to_owned(), "FATAL".to_owned()));
    assert_eq!(error(&told).field('M'), "terminating connection due to administrator command");
    assert_eq!(idle.rest(), b"");
    assert_eq!(firewall.get("/readyz").0, 503);
    assert!(std::net::TcpStream::connect(("127.0.0.1", firewall.port())).is_err(), "nobody new");
    assert_eq!(session.value("SELECT 1"), "1", "the session goes on");
    assert_eq!(status(&session.ask(&query("COMMIT"))), 'I');
    assert_eq!(error(&session.until_ready()).field('C'), "57P01", "and ends with its transaction");
    assert_eq!(firewall.wait(Duration::from_secs(10)), Some(0));
}

#[test]
fn sigterm_ends_what_does_not_finish_in_time() {
    let cluster = Cluster::default();
    let mut options = firewall::Options::policy(POLICY);
    options.environment.push(("PORTCULLIS_DRAIN_TIMEOUT", "1s".to_owned()));
    let mut firewall = Firewall::start(&cluster, options);
    let mut session = firewall.session("app_rw", "shop");
    assert_eq!(status(&session.ask(&query("BEGIN"))), 'T');
    firewall.terminate();
    assert_eq!(firewall.wait(Duration::from_secs(10)), Some(0));
    assert_eq!(error(&session.until_ready()).field('C'), "57P01");
}

#[test]
fn sigterm_does_not_wait_for_who_never_logs_in() {
    let cluster = Cluster::default();
    let mut options = firewall::Options::observe();
    options.environment.push(("PORTCULLIS_DRAIN_TIMEOUT", "1h".to_owned()));
    options.environment.push(("PORTCULLIS_HANDSHAKE_TIMEOUT", "1h".to_owned()));
    let mut firewall = Firewall::start(&cluster, options);
    let mut silent = firewall.connect();
    let mut asked = firewall.connect();
    asked.send(&startup(&[("user", "scram_user"), ("database", "shop")]));
    assert_eq!(asked.read().unwrap().kind, b'R', "the server wants a password");
    firewall.terminate();
    assert_eq!(firewall.wait(Duration::from_secs(20)), Some(0));
    assert_eq!(silent.rest(), b"");
    let told = asked.read().unwrap();
    assert_eq!((told.field('C'), told.field('M')), ("57P03".into(), "the database system is shutting down".into()));
}

#[test]
fn sigterm_is_heard_while_the_server_is_asked_for_its_certificate() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let cluster = Cluster::default();
    let options = firewall::Options {
        tls: Some(cluster.server_identity()),
        upstream: format!("sslmode=verify-full&connect_timeout=3600&sslrootcert={}", cluster.ca().display()),
        host: "localhost",
        ready: false,
        ..firewall::Options::policy(POLICY)
    };
    let mut firewall = Firewall::before(silent.local_addr().unwrap().port(), options);
    firewall.terminate();
    assert_eq!(firewall.wait(Duration::from_secs(20)), Some(0));
    firewall.log_line(&["stopped before the server could be asked"]);
}

#[test]
fn starting_over_keeps_what_is_pinned() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(POLICY));
    let mut session = firewall.session("app_rw", "shop");
    let pinned = session.value("SHOW search_path");
    assert!(pinned.starts_with("public") && pinned.ends_with("pg_temp"), "{pinned}");
    for reset in ["RESET ALL", "DISCARD ALL", "RESET search_path", "SET search_path TO DEFAULT"] {
        let frames = session.ask(&query(reset));
        assert_eq!(status(&frames), 'I');
        assert_eq!(session.value("SHOW search_path"), pinned, "after {reset}");
        assert_eq!(session.value("SHOW standard_conforming_strings"), "on");
    }
}

#[test]
fn guarded_settings_are_refused_on_every_path() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(POLICY));
    let mut session = firewall.session("app_rw", "shop");
    for sql in [
        "SET standard_conforming_strings = off",
        "SET LOCAL standard_conforming_strings = off",
        "SET search_path = pg_temp, public",
        "SELECT set_config('search_path', 'pg_temp', false)",
        "SELECT set_config('sea' || 'rch_path', 'pg_temp', false)",
        "SET client_encoding = 'SJIS'",
        "SET SESSION AUTHORIZATION shop_owner",
        "SET row_security = off",
        "SET \"role\" = 'shop_owner'",
    ] {
        let frames = session.ask(&query(sql));
        assert_eq!(error(&frames).field('C'), "42501", "{sql}: {frames:?}");
    }
    assert!(firewall.metric("portcullis_refusals_total", &[("policy", "shop")]) >= 9.0);
}
