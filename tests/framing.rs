//! Answers and their places, in front of a real server: a refusal is answered as the server answers a failure in the same
//! place, so that no answer is one too many and nobody reads somebody else's rows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;
#[path = "attacks/recorder.rs"]
mod recorder;

use common::wire::{Client, Frame, bind, describe, execute, frame, parse, query, startup, sync};
use common::{Cluster, Firewall, firewall};
use recorder::Recorder;

const POLICY: &str = "policy: shop
applies_to: {users: [app_rw]}
search_path: [public]
allow: [{rule: data, actions: [select, insert, copy_from], tables: ['public.*']}]
";

/// Sends a batch and reads to where its end is answered.
fn answers(client: &mut Client, batch: &[u8]) -> Vec<Frame> {
    client.send(&[batch, &sync(), &query("SELECT 'the end'")].concat());
    let mut frames = Vec::new();
    while !frames.iter().any(|frame: &Frame| frame.kind == b'D' && frame.text().ends_with("the end")) {
        frames.extend(client.until_ready());
    }
    frames
}

/// What the answers are, without the words of errors.
fn shape(frames: &[Frame]) -> Vec<String> {
    let told = |frame: &Frame| match frame.kind {
        b'E' => "E".to_owned(),
        kind => format!("{}:{}", kind as char, frame.body.escape_ascii()),
    };
    frames.iter().map(told).collect()
}

#[test]
fn a_refusal_is_answered_as_a_failure_of_the_server_in_its_place() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(POLICY));
    let mut through = firewall.session("app_rw", "shop");
    let mut direct = Client::login(cluster.port(), &[("user", "app_rw"), ("database", "shop")]);
    let run = |sql: &str| [parse("", sql), bind("", "", &[]), describe(b'P', ""), execute("")].concat();
    // What the firewall refuses, and what the server fails at in the same place.
    let step = |which: usize, at: usize, bad: &str| match which {
        0 => query(&format!("SELECT 'query {at}'")),
        1 => query(bad),
        2 => run(&format!("SELECT 'run {at}'")),
        3 => run(bad),
        4 => sync(),
        5 => query("BEGIN"),
        _ => query("ROLLBACK"),
    };
    const KINDS: usize = 7;
    for n in 0..KINDS.pow(3) {
        let sequence = [n % KINDS, n / KINDS % KINDS, n / KINDS / KINDS];
        let batch = |bad: &str| {
            let steps = sequence.iter().enumerate().map(|(at, which)| step(*which, at, bad));
            steps.chain([sync(), query("ROLLBACK")]).collect::<Vec<_>>().concat()
        };
        let here = answers(&mut through, &batch("DELETE FROM orders"));
        let there = answers(&mut direct, &batch("SELECT no_such_column"));
        assert_eq!(shape(&here), shape(&there), "{sequence:?}");
    }
    assert_eq!(direct.value("SELECT count(*) FROM orders"), "1000");
}

#[test]
fn the_end_of_a_copy_is_answered_as_the_server_does() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(POLICY));
    let mut through = firewall.session("app_rw", "shop");
    let mut direct = Client::login(cluster.port(), &[("user", "app_rw"), ("database", "shop")]);
    let copy = "COPY orders (note) FROM STDIN";
    let wrong = "COPY orders (product_id) FROM STDIN";
    let (done, fail) = (frame(b'c', b""), frame(b'f', b"no\0"));
    let data = frame(b'd', b"x\n");
    let run = |sql: &str| [parse("", sql), bind("", "", &[]), execute("")].concat();
    for sql in [copy, wrong] {
        for syncs in 0..4 {
            for end in [done.clone(), fail.clone(), [data.clone(), done.clone()].concat()] {
                for behind in [&[][..], &done, &fail, &data] {
                    for extended in [false, true] {
                        let batch = |bad: &str| {
                            let begin = if extended { run(sql) } else { query(sql) };
                            let syncs = if extended { sync().repeat(syncs) } else { Vec::new() };
                            let close = if extended { sync() } else { Vec::new() };
                            [begin, syncs, end.clone(), close, behind.to_vec(), query(bad)].concat()
                        };
                        let here = answers(&mut through, &batch("DELETE FROM orders"));
                        let there = answers(&mut direct, &batch("SELECT no_such_column"));
                        assert_eq!(shape(&here), shape(&there), "{sql}, {syncs} Syncs, {extended}: {here:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn one_byte_at_a_time_is_answered_as_all_at_once() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(POLICY));
    let batch = [
        query("SELECT 'a'"),
        query("DELETE FROM orders"),
        parse("", "SELECT 'b'"),
        bind("", "", &[]),
        execute(""),
        parse("", "DELETE FROM orders"),
        bind("", "", &[]),
        execute(""),
    ]
    .concat();
    let mut whole = firewall.session("app_rw", "shop");
    let expected = shape(&answers(&mut whole, &batch));
    assert_eq!(expected.iter().filter(|answer| *answer == "E").count(), 2, "{expected:?}");
    let mut pieces = firewall.session("app_rw", "shop");
    for byte in &batch {
        pieces.send(&[*byte]);
    }
    assert_eq!(shape(&answers(&mut pieces, b"")), expected);
    assert_eq!(whole.value("SELECT count(*) FROM orders"), "1000");
}

#[test]
fn the_server_hears_nothing_of_the_firewalls_own() {
    let cluster = Cluster::default();
    let recorder = Recorder::start(cluster.port());
    let options = firewall::Options { upstream: "sslmode=disable".to_owned(), ..firewall::Options::policy(POLICY) };
    let firewall = Firewall::before(recorder.port(), options);
    let before = recorder.connections();
    let asked = [query("SELECT 1"), parse("", "SELECT 2"), bind("", "", &[]), execute("")].concat();
    let mut client = firewall.session("app_rw", "shop");
    answers(&mut client, &asked);
    let sent = [asked, sync(), query("SELECT 'the end'")].concat();
    let packet = startup(&[("user", "app_rw"), ("database", "shop")]);
    let heard = recorder.since(before);
    // The startup packet is the client's with the pins behind it; then nothing but what the client said.
    let known = |bytes: &&Vec<u8>| bytes.ends_with(&sent) && bytes[4..].starts_with(&packet[4..packet.len() - 1]);
    let session = heard.iter().find(known).unwrap_or_else(|| panic!("{heard:?}"));
    let length = u32::from_be_bytes(session[..4].try_into().unwrap());
    assert_eq!(session.len(), usize::try_from(length).unwrap() + sent.len());
}
