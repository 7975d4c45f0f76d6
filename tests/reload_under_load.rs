//! Policies are swapped many times a second under sessions at work: none is dropped, and no verdict is another set's.
//!
//! A few seconds here; `scripts/reload-under-load` does it for as long, with as many sessions and as often as one likes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::wire::{Client, Frame, bind, execute, parse, query, status, sync};
use common::{Cluster, Firewall, cluster, firewall};
use portcullis::policy::load_text;

/// What both sets allow, and what only this one does.
const WIDE: &str = "policy: wide
applies_to: {users: [app_rw]}
search_path: [public]
allow:
  - {rule: data, actions: [select], tables: [orders, products]}
";

/// The same session fits it; it refuses orders.
const NARROW: &str = "policy: narrow
applies_to: {users: [app_rw]}
search_path: [public]
allow:
  - {rule: data, actions: [select], tables: [products]}
deny:
  - {rule: no-orders, actions: [select], tables: [orders]}
";

const BOTH: &str = "SELECT name FROM products WHERE id = $1";
const DISPUTED: &str = "SELECT total FROM orders WHERE id = $1";

/// A number from the environment, which the script sets.
fn given(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Which set is in force, as far as one can know from outside: `2 n` while set `n` is known to be, `2 n + 1` from before the
/// next one is written until it is known to be in force. Even sets are wide.
#[derive(Default)]
struct Clock(AtomicU64);

impl Clock {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[derive(Default, Debug)]
struct Counts {
    both: AtomicU64,
    allowed: AtomicU64,
    refused: AtomicU64,
    /// Those of `allowed` and `refused` that were sent and answered while one set was known to be in force.
    certain: AtomicU64,
}

/// How a session sends its statements.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Simple,
    /// Parsed and bound each time.
    Unnamed,
    /// Parsed once under the first set, bound each time.
    Prepared,
}

/// One session: logged in and prepared under the first set, then at work until it is told to end.
struct Worker<'a> {
    session: Client,
    way: Way,
    clock: &'a Clock,
    counts: &'a Counts,
}

impl Worker<'_> {
    fn prepare(&mut self) {
        let both = [parse("both", BOTH), parse("disputed", DISPUTED), sync()].concat();
        let frames = self.session.ask(&both);
        assert!(status(&frames) == 'I' && !frames.iter().any(|frame| frame.kind == b'E'), "{frames:?}");
    }

    fn ask(&mut self, name: &str, sql: &str) -> Vec<Frame> {
        let bytes = match self.way {
            Way::Simple => query(&sql.replace("$1", "7")),
            Way::Unnamed => [parse("", sql), bind("", "", &["7"]), execute(""), sync()].concat(),
            Way::Prepared => [bind("", name, &["7"]), execute(""), sync()].concat(),
        };
        let frames = self.session.ask(&bytes);
        assert!(!frames.is_empty(), "the session was dropped");
        assert_eq!(status(&frames), 'I');
        frames
    }

    /// One statement that both sets allow, and one that they differ about.
    fn once(&mut self) {
        let frames = self.ask("both", BOTH);
        assert!(frames.iter().any(|frame| frame.kind == b'D'), "both sets allow it: {frames:?}");
        self.counts.both.fetch_add(1, Ordering::Relaxed);

        let before = self.clock.now();
        let frames = self.ask("disputed", DISPUTED);
        let certain = before.is_multiple_of(2) && self.clock.now() == before;
        let wide = (before / 2).is_multiple_of(2);
        let row = frames.iter().any(|frame| frame.kind == b'D');
        match frames.iter().find(|frame| frame.kind == b'E') {
            None => {
                assert!(row, "{frames:?}");
                assert!(!certain || wide, "allowed although the narrow set was in force");
                self.counts.allowed.fetch_add(1, Ordering::Relaxed);
            }
            Some(error) => {
                assert!(!row, "{frames:?}");
                assert_eq!((error.field('S'), error.field('C')), ("ERROR".into(), "42501".into()), "{error:?}");
                let message = error.field('M');
                assert!(message.starts_with("statement refused by policy \"narrow\": "), "{error:?}");
                assert!(error.field('D').starts_with("rule \"no-orders\" ("), "{error:?}");
                assert!(!certain || !wide, "refused although the wide set was in force: {error:?}");
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.counts.certain.fetch_add(u64::from(certain), Ordering::Relaxed);
    }
}

/// Writes a set, sends SIGHUP and waits until `/metrics` shows its digest.
fn put(firewall: &Firewall, yaml: &str, digest: &str) {
    let file = firewall.policies().join("test.yaml");
    let part = file.with_extension("part");
    fs::write(&part, yaml).unwrap();
    fs::rename(part, file).unwrap();
    firewall.hangup();
    let deadline = Instant::now() + Duration::from_secs(20);
    while firewall.metric("portcullis_policy_set_info", &[("digest", digest)]) < 0.5 {
        assert!(Instant::now() < deadline, "the policies were not read again:\n{}", firewall.log());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn reloading_under_load_drops_no_session_and_mixes_no_verdicts() {
    let sessions = given("RELOAD_SESSIONS", 8);
    let seconds = given("RELOAD_SECONDS", 3);
    let each_second = given("RELOADS_A_SECOND", 10);

    let cluster = Cluster::start(cluster::Options {
        settings: vec![format!("max_connections={}", sessions + 10)],
        ..cluster::Options::default()
    });
    let mut options = firewall::Options::policy(WIDE);
    // Each refusal is a line: not those, for they are in the answers.
    options.environment.push(("PORTCULLIS_LOG", "off,portcullis::server=info".to_owned()));
    let firewall = Firewall::start(&cluster, options);
    let digests = [WIDE, NARROW].map(|yaml| load_text("test.yaml", yaml).unwrap().digest().to_string());
    assert!(firewall.metric("portcullis_policy_set_info", &[("digest", &digests[0])]) > 0.5);

    let (clock, counts) = (Clock::default(), Counts::default());
    let (ready, done) = (AtomicU64::new(0), AtomicBool::new(false));
    // Ends the sessions also where something panics; a session that does ends the reloads.
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let mut reloads = 0_u64;
    let mut slowest = Duration::ZERO;
    let began = Instant::now();
    std::thread::scope(|scope| {
        let _done = Done(&done);
        for number in 0..sessions {
            let (firewall, clock, counts, ready, done) = (&firewall, &clock, &counts, &ready, &done);
            scope.spawn(move || {
                let _done = Done(done);
                let way = match number % 3 {
                    0 => Way::Simple,
                    1 => Way::Unnamed,
                    _ => Way::Prepared,
                };
                let mut worker = Worker { session: firewall.session("app_rw", "shop"), way, clock, counts };
                worker.prepare();
                ready.fetch_add(1, Ordering::SeqCst);
                while !done.load(Ordering::SeqCst) {
                    worker.once();
                }
                // It is still the session that it was.
                assert_eq!(worker.session.value("SELECT count(*) FROM products"), "100");
            });
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        while ready.load(Ordering::SeqCst) < sessions {
            assert!(Instant::now() < deadline && !done.load(Ordering::SeqCst), "the sessions did not all log in");
            std::thread::sleep(Duration::from_millis(10));
        }
        let each = Duration::from_secs(1) / u32::try_from(each_second).unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(seconds) && !done.load(Ordering::SeqCst) {
            reloads += 1;
            let narrow = reloads % 2;
            clock.0.fetch_add(1, Ordering::SeqCst);
            let sent = Instant::now();
            let which = usize::try_from(narrow).unwrap();
            put(&firewall, [WIDE, NARROW][which], &digests[which]);
            slowest = slowest.max(sent.elapsed());
            clock.0.fetch_add(1, Ordering::SeqCst);
            let next = start + each * u32::try_from(reloads).unwrap();
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        let open = firewall.metric("portcullis_sessions", &[]);
        assert!(done.load(Ordering::SeqCst) || (open - sessions as f64).abs() < f64::EPSILON, "{open} of {sessions}");
    });
    let [both, allowed, refused, certain] =
        [&counts.both, &counts.allowed, &counts.refused, &counts.certain].map(|count| count.load(Ordering::SeqCst));
    println!(
        "{sessions} sessions, {reloads} reloads in {:.1} s (slowest until /metrics showed it: {slowest:.1?})
statements            {}
  both sets allow     {both}: all passed
  the sets differ     {}: {allowed} allowed, {refused} refused by rule no-orders of policy narrow, 0 anything else
    while one set was known to be in force: {certain}, each with that set's verdict
sessions dropped      0",
        began.elapsed().as_secs_f64(),
        both + allowed + refused,
        allowed + refused,
    );
    assert!(both > 0 && allowed > 0 && refused > 0 && certain > 0, "{counts:?}");
    let log = firewall.log();
    let told = u64::try_from(log.matches("policies reloaded").count()).unwrap();
    assert_eq!(told, reloads, "each SIGHUP was one load");
    assert!(!log.contains("not reloaded"), "{log}");
    assert!(firewall.metric("portcullis_session_panics_total", &[]).abs() < f64::EPSILON);
    // One for each session, and none was opened again.
    let opened = firewall.metric("portcullis_session_tls_total", &[("leg", "client")]);
    assert!((opened - sessions as f64).abs() < f64::EPSILON, "{opened} sessions were opened");
}
