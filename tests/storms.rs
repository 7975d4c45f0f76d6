//! Many connections: one after the other, all at once, and all cancelled at once. Afterwards the process holds what it held
//! before. By default a short smoke; `PORTCULLIS_STORM=full` runs 10,000, 1,000 and 1,000.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::time::{Duration, Instant};

use common::wire::{Client, error, query, startup};
use common::{Cluster, Firewall, cluster, firewall};

/// How many of each.
struct Sizes {
    sequential: usize,
    at_once: usize,
    cancels: usize,
}

fn sizes() -> Sizes {
    match std::env::var("PORTCULLIS_STORM").as_deref() {
        Ok("full") => Sizes { sequential: 10_000, at_once: 1_000, cancels: 1_000 },
        Ok(other) => panic!("PORTCULLIS_STORM={other}: write full, or leave it out"),
        Err(_) => Sizes { sequential: 300, at_once: 100, cancels: 60 },
    }
}

/// What a process holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    sessions: f64,
    tasks: f64,
    descriptors: f64,
    resident: f64,
}

fn held(firewall: &Firewall) -> Held {
    let metric = |name| firewall.metric(name, &[]);
    Held {
        sessions: metric("portcullis_sessions"),
        tasks: metric("portcullis_tasks"),
        descriptors: metric("process_open_fds"),
        resident: metric("process_resident_memory_bytes"),
    }
}

/// Memory that may come on top of what two storms left. An allocator keeps their pages for the next one, and has all it wants after the
/// second (seen over six): a third finds its room there, or something was never given back.
const MORE: f64 = 8.0 * 1024.0 * 1024.0;

/// Waits until everything but memory is as it was; panics with the difference.
fn returns_to(before: Held, firewall: &Firewall, what: &str) -> Held {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let now = held(firewall);
        let same =
            now.sessions == before.sessions && now.tasks <= before.tasks && now.descriptors <= before.descriptors;
        if same {
            return now;
        }
        assert!(Instant::now() < deadline, "{what}: before {before:?}, now {now:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Three storms, after each of which all is as before.
fn leaves_nothing(firewall: &Firewall, what: &str, storm: impl Fn()) {
    let before = held(firewall);
    storm();
    let once = returns_to(before, firewall, what);
    storm();
    let twice = returns_to(before, firewall, what);
    storm();
    let last = returns_to(before, firewall, what);
    println!("{what}: before {before:?}, after one {once:?}, two {twice:?}, three {last:?}");
    assert!(last.resident <= twice.resident + MORE, "{what}: it grows: {twice:?}, {last:?}");
}

fn start() -> (Cluster, Firewall) {
    let settings = vec!["max_connections=1200".to_owned(), "shared_buffers=16MB".to_owned()];
    let cluster = Cluster::start(cluster::Options { settings, ..cluster::Options::default() });
    let firewall = Firewall::start(&cluster, firewall::Options::observe());
    // What comes once comes now.
    for _ in 0..20 {
        assert_eq!(firewall.session("app_rw", "shop").value("SELECT 1"), "1");
    }
    std::thread::sleep(Duration::from_secs(2));
    (cluster, firewall)
}

const WHO: [(&str, &str); 2] = [("user", "app_rw"), ("database", "shop")];

/// So many sessions that log in together.
fn all_at_once(firewall: &Firewall, number: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..number).map(|_| firewall.connect()).collect();
    for client in &mut clients {
        client.send(&startup(&WHO));
    }
    for client in &mut clients {
        client.logged_in();
    }
    clients
}

#[test]
fn one_after_the_other() {
    let (_cluster, firewall) = start();
    leaves_nothing(&firewall, "sequential", || {
        for turn in 0..sizes().sequential {
            let mut client = firewall.session("app_rw", "shop");
            if turn % 10 == 0 {
                assert_eq!(client.value("SELECT 1"), "1");
            }
        }
    });
}

#[test]
fn all_together() {
    let (_cluster, firewall) = start();
    let number = sizes().at_once;
    leaves_nothing(&firewall, "simultaneous", || {
        let mut clients = all_at_once(&firewall, number);
        for client in &mut clients {
            client.send(&query("SELECT 1"));
        }
        for client in &mut clients {
            assert_eq!(client.until_ready().last().map(|frame| frame.kind), Some(b'Z'));
        }
        assert_eq!(held(&firewall).sessions, number as f64);
    });
    assert_eq!(firewall.metric("portcullis_handshakes_dropped_total", &[]), 0.0);
}

#[test]
fn all_cancelled() {
    let (_cluster, firewall) = start();
    let number = sizes().cancels;
    leaves_nothing(&firewall, "cancels", || cancel_all(&firewall, number));
    assert_eq!(firewall.metric("portcullis_cancel_requests_total", &[("outcome", "delivered")]), 3.0 * number as f64);
}

fn cancel_all(firewall: &Firewall, number: usize) {
    let mut clients = all_at_once(firewall, number);
    for client in &mut clients {
        client.send(&query("SELECT pg_sleep(300)"));
    }
    // Until the last one runs: a cancel that comes before its statement cancels nothing, on a server, too.
    let mut watcher = firewall.session("app_rw", "shop");
    let running =
        "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(300)' AND wait_event = 'PgSleep'";
    let deadline = Instant::now() + Duration::from_secs(60);
    while watcher.value(running) != number.to_string() {
        assert!(Instant::now() < deadline, "not all of them run");
        std::thread::sleep(Duration::from_millis(50));
    }
    let cancels: Vec<Client> = clients
        .iter()
        .map(|client| {
            let mut cancel = firewall.connect();
            let length = u32::try_from(client.key.len() + 8).unwrap();
            cancel.send(&[&length.to_be_bytes()[..], &[0x04, 0xd2, 0x16, 0x2e], &client.key].concat());
            cancel
        })
        .collect();
    for mut cancel in cancels {
        assert_eq!(cancel.rest(), b"");
    }
    for client in &mut clients {
        assert_eq!(error(&client.until_ready()).field('C'), "57014", "no cancel is lost");
    }
}
