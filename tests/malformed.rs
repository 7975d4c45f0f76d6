//! Messages that are not what their type says, against a real server: it does nothing of them, and neither does the firewall;
//! observed, they reach the server as they are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use common::wire::{Client, Frame, error, frame, sync};
use common::{Cluster, Firewall, firewall};

const POLICY: &str = "policy: shop
applies_to: {users: [app_rw]}
search_path: [public]
allow: [{rule: data, actions: [select, insert, delete], tables: ['public.*']}]
";

fn shape(frames: &[Frame]) -> Vec<String> {
    frames.iter().map(|frame| format!("{}:{}", frame.kind as char, frame.body.escape_ascii())).collect()
}

#[test]
fn bodies_that_are_not_exactly_their_parts_do_nothing() {
    let cluster = Cluster::default();
    let enforced = Firewall::start(&cluster, firewall::Options::policy(POLICY));
    let observed = Firewall::start(&cluster, firewall::Options::observe());
    // Behind the last part something waits that would do harm if a reader went on there, or stopped before it.
    for (kind, body) in [
        (b'Q', &b"SELECT 1\0DELETE FROM orders\0"[..]),
        (b'Q', b"DELETE FROM orders\0\0"),
        (b'Q', b"DELETE FROM orders"),
        (b'Q', b""),
        (b'P', b"s\0DELETE FROM orders\0"),
        (b'P', b"s\0DELETE FROM orders\0\0\x01\0\0\0"),
        (b'P', b"s\0SELECT 1\0\0\0DELETE FROM orders\0"),
        (b'P', b"s\0DELETE FROM orders"),
        (b'P', b""),
        (b'B', b"\0"),
        (b'B', b"\0\0\0\0\0\x01\0\0\0\x09short"),
        (b'D', b"X\0"),
        (b'D', b"S"),
        (b'E', b"p\0\0\0\0"),
        (b'E', b"p"),
        (b'C', b"X\0"),
        (b'C', b"Ss\0more"),
        (b'F', b"\0\0"),
    ] {
        let bytes = match kind {
            b'Q' | b'F' => frame(kind, body),
            _ => [frame(kind, body), sync()].concat(),
        };
        let place = || format!("{} {}", kind as char, body.escape_ascii());
        let login = [("user", "app_rw"), ("database", "shop")];
        let direct = Client::login(cluster.port(), &login).ask(&bytes);
        let seen = Client::login(observed.port(), &login).ask(&bytes);
        assert_eq!(shape(&seen), shape(&direct), "{}", place());
        let mut session = Client::login(enforced.port(), &login);
        let refused = session.ask(&bytes);
        let kinds = |frames: &[Frame]| frames.iter().map(|frame| frame.kind).collect::<Vec<_>>();
        assert_eq!(kinds(&refused), kinds(&direct), "{}", place());
        assert_eq!(error(&refused).field('C'), error(&direct).field('C'), "{}", place());
        assert_eq!(session.value("SELECT count(*) FROM orders"), "1000", "{}", place());
    }
}

#[test]
fn types_without_a_place_end_the_session_as_the_server_does() {
    let cluster = Cluster::default();
    let enforced = Firewall::start(&cluster, firewall::Options::policy(POLICY));
    let observed = Firewall::start(&cluster, firewall::Options::observe());
    for kind in [b'p', b'z', b'v', b'R', 1] {
        let told = |port: u16| {
            let mut client = Client::login(port, &[("user", "app_rw"), ("database", "shop")]);
            client.send(&[frame(kind, b"x\0"), sync()].concat());
            let answer = client.read().unwrap();
            assert_eq!(client.read(), None);
            (answer.kind, answer.field('S'), answer.field('C'), answer.field('M'))
        };
        let direct = told(cluster.port());
        assert_eq!((direct.0, direct.2.as_str()), (b'E', "08P01"));
        assert_eq!(told(observed.port()), direct);
        assert_eq!(told(enforced.port()), direct);
    }
}
