//! Versions and options of the protocol, and cancel keys: what a server answers is what its client gets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::time::{Duration, Instant};

use common::wire::{Client, Frame, error, query, startup_of};
use common::{Cluster, Firewall, firewall};

/// The answer to a startup packet; what is another one in each session is left out.
fn answer(port: u16, minor: u16, options: &[(&str, &str)]) -> (Vec<Frame>, Client) {
    let mut client = Client::connect(port);
    let parameters = [&[("user", "app_rw"), ("database", "shop")], options].concat();
    client.send(&startup_of(minor, &parameters));
    let mut frames = client.login_answer();
    for frame in &mut frames {
        if frame.kind == b'K' {
            frame.body = vec![0; frame.body.len()];
        }
    }
    (frames, client)
}

const UNKNOWN: &[(&str, &str)] = &[("_pq_.portcullis", "1"), ("_pq_.b", "")];

#[test]
fn every_version_and_option_is_negotiated_as_by_the_server() {
    let cluster = Cluster::default();
    let observing = Firewall::start(&cluster, firewall::Options::observe());
    for minor in [0, 1, 2, 3, 9999, u16::MAX] {
        for options in [&[][..], UNKNOWN] {
            let (direct, _) = answer(cluster.port(), minor, options);
            let (through, mut client) = answer(observing.port(), minor, options);
            assert_eq!(direct, through, "3.{minor} {options:?}");
            assert_eq!(client.value("SELECT 1"), "1");
        }
    }
}

#[test]
fn under_a_policy_unknown_options_are_told_as_unknown() {
    let cluster = Cluster::default();
    let policy = "policy: shop\napplies_to: {users: [app_rw]}\nsearch_path: [public]\n\
                  allow: [{rule: data, actions: [select], tables: ['*']}]\n";
    let firewall = Firewall::start(&cluster, firewall::Options::policy(policy));
    let (frames, mut client) = answer(firewall.port(), 0, UNKNOWN);
    let told = frames.iter().find(|frame| frame.kind == b'v').expect("NegotiateProtocolVersion");
    let rest = told.body.get(4..).unwrap();
    assert_eq!(rest, b"\0\0\0\x02_pq_.portcullis\0_pq_.b\0");
    assert_eq!(client.value("SELECT 1"), "1");
}

#[test]
fn a_cancel_reaches_its_session_by_another_replica() {
    let cluster = Cluster::default();
    let replica = |forwards: &str| {
        let mut options = firewall::Options::observe();
        options.environment.push(("PORTCULLIS_CANCEL_FORWARD_UNKNOWN", forwards.to_owned()));
        Firewall::start(&cluster, options)
    };
    let (one, other, deaf) = (replica("on"), replica("on"), replica("off"));
    let minor = if cluster.major() >= 18 { 2 } else { 0 };
    let mut client = Client::connect(one.port());
    client.send(&startup_of(minor, &[("user", "app_rw"), ("database", "shop")]));
    client.logged_in();
    assert_eq!(client.key.len() > 8, minor == 2, "3.2 has long keys");
    let key = client.key.clone();
    let cancel_at = |firewall: &Firewall| {
        let mut cancel = firewall.connect();
        let length = u32::try_from(key.len() + 8).unwrap();
        cancel.send(&[&length.to_be_bytes()[..], &[0x04, 0xd2, 0x16, 0x2e], &key].concat());
        assert_eq!(cancel.rest(), b"");
    };
    let mut watcher = one.session("app_rw", "shop");
    let mut sleeps = || {
        let deadline = Instant::now() + Duration::from_secs(20);
        while watcher.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") != "1" {
            assert!(Instant::now() < deadline, "it does not run");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    client.send(&query("SELECT pg_sleep(60)"));
    sleeps();
    cancel_at(&deaf);
    assert_eq!(deaf.metric("portcullis_cancel_requests_total", &[("outcome", "unknown")]), 1.0);
    sleeps();
    cancel_at(&other);
    assert_eq!(error(&client.until_ready()).field('C'), "57014");
    assert_eq!(other.metric("portcullis_cancel_requests_total", &[("outcome", "forwarded_unknown")]), 1.0);
    // A host that takes connections and says nothing keeps it from none of the others.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = firewall::Options::observe();
    let port = cluster.port();
    options.host = Box::leak(format!("{},127.0.0.1", silent.local_addr().unwrap()).into_boxed_str());
    options.environment.push(("PORTCULLIS_CANCEL_FORWARD_UNKNOWN", "on".to_owned()));
    options.ready = false;
    let beside = Firewall::before(port, options);
    client.send(&query("SELECT pg_sleep(60)"));
    sleeps();
    cancel_at(&beside);
    assert_eq!(error(&client.until_ready()).field('C'), "57014");
    assert_eq!(beside.metric("portcullis_cancel_requests_total", &[("outcome", "forwarded_unknown")]), 1.0);
    client.send(&query("SELECT pg_sleep(60)"));
    sleeps();
    cancel_at(&one);
    assert_eq!(error(&client.until_ready()).field('C'), "57014");
    assert_eq!(one.metric("portcullis_cancel_requests_total", &[("outcome", "delivered")]), 1.0);
}
