//! Decoys and the quarantine behind them, for sessions that share one.

use std::time::Instant;

use super::*;

const TRAPPED: &str = "
policy: shop
applies_to: {users: [shop_app, shop_boss]}
search_path: [public]
allow:
  - {rule: data, actions: [select, insert, update, delete], tables: ['*']}
decoys: [admin_backup]
";

const WATCHED: &str = "
policy: watched
applies_to: {users: ['*']}
mode: observe
decoys: [admin_backup]
";

/// Sessions of one process.
struct Process {
    metrics: Arc<Metrics>,
    quarantine: Arc<Quarantine>,
}

impl Process {
    fn new(lasts: Duration) -> Process {
        let metrics = metrics();
        let quarantine = Arc::new(Quarantine::new(lasts, Arc::clone(&metrics)));
        Process { metrics, quarantine }
    }

    fn session(&self, policy: &str, identity: &Identity) -> Session {
        Session::of(engine_of(policy, identity, &self.metrics, Arc::clone(&self.quarantine)))
    }

    #[track_caller]
    fn counts(&self, sample: &str) {
        let text = self.metrics.encode(std::time::SystemTime::now()).unwrap();
        assert!(text.lines().any(|line| line == sample), "no {sample} in {text}");
    }
}

const LASTS: Duration = Duration::from_secs(900);

const TOUCH: &str = "SELECT * FROM admin_backup";

#[test]
fn a_touch_is_refused_like_any_denial_and_rings() {
    let process = Process::new(LASTS);
    let mut session = process.session(TRAPPED, &identity(false));
    session.passes(&query("SELECT * FROM orders"));
    let (sqlstate, message) = session.refused(&query(TOUCH), b'Q');
    assert_eq!(sqlstate, "42501");
    assert_eq!(message, "statement refused by policy \"shop\": SELECT on public.admin_backup is denied");
    process.counts("portcullis_security_events_total{event_type=\"decoy_touched\"} 1");
    process.counts("portcullis_refusals_total{policy=\"shop\",rule=\"decoy\"} 1");
    process.counts("portcullis_quarantined 1");
}

#[test]
fn behind_a_touch_nothing_of_the_pair_passes_not_even_what_is_remembered() {
    let process = Process::new(LASTS);
    let mut first = process.session(TRAPPED, &identity(false));
    let mut second = process.session(TRAPPED, &identity(false));
    let select = query("SELECT * FROM orders");
    let batch = [bind("", "s", &["1"]), execute(""), sync()].concat();
    // Met before: text, verdict, statement and portal are all remembered.
    for session in [&mut first, &mut second] {
        session.passes(&select);
        session.passes(&select);
        session.passes(&parse("s", "SELECT * FROM orders WHERE id = $1"));
        session.passes(&sync());
        session.passes(&batch);
        session.passes(&bind("p", "s", &["1"]));
    }
    first.refused(&query(TOUCH), b'Q');
    for session in [&mut first, &mut second] {
        let (sqlstate, message) = session.refused(&select, b'Q');
        assert_eq!(sqlstate, "42501");
        assert_eq!(message, "statement refused by policy \"shop\": user \"shop_app\" is quarantined at this address");
        for judged in [bind("", "s", &["1"]), execute("p"), frame(b'D', b"Ss\0"), parse("", "SELECT 1")] {
            assert_eq!(session.refused(&judged, b'P').0, "42501", "{judged:?}");
        }
        session.passes(&frame(b'C', b"Ss\0"));
        session.passes(&sync());
        assert_eq!(session.refused(&frame(b'F', &[0, 0, 3, 0xe8, 0, 0, 0, 0, 0, 0]), b'Q').0, "42501");
        assert_eq!(session.refused(&query("COMMIT"), b'Q').0, "42501");
        session.passes(&frame(b'X', b""));
    }
    process.counts("portcullis_security_events_total{event_type=\"decoy_touched\"} 1");
}

#[test]
fn others_go_on() {
    let process = Process::new(LASTS);
    let mut session = process.session(TRAPPED, &identity(false));
    let elsewhere = Identity { address: Ipv4Addr::new(10, 0, 0, 9).into(), ..identity(false) };
    let boss = Identity { user: "shop_boss".into(), ..identity(false) };
    let mut others = [process.session(TRAPPED, &elsewhere), process.session(TRAPPED, &boss)];
    session.refused(&query(TOUCH), b'Q');
    for other in &mut others {
        other.passes(&query("SELECT * FROM orders"));
    }
}

#[test]
fn when_the_time_is_over_the_session_goes_on() {
    let process = Process::new(LASTS);
    let mut session = process.session(TRAPPED, &identity(false));
    let long_ago = Instant::now().checked_sub(LASTS).unwrap();
    process.quarantine.begin(&identity(false), long_ago);
    session.passes(&query("SELECT * FROM orders"));
    process.quarantine.begin(&identity(false), Instant::now());
    assert_eq!(session.refused(&query("SELECT * FROM orders"), b'Q').0, "42501");
}

#[test]
fn with_the_quarantine_off_a_touch_is_only_refused_each_time() {
    let process = Process::new(Duration::ZERO);
    let mut session = process.session(TRAPPED, &identity(false));
    for _ in 0..2 {
        assert_eq!(session.refused(&query(TOUCH), b'Q').0, "42501");
        session.passes(&query("SELECT * FROM orders"));
    }
    assert_eq!(session.refused(&parse("", TOUCH), b'P').0, "42501");
    process.counts("portcullis_security_events_total{event_type=\"decoy_touched\"} 3");
    process.counts("portcullis_quarantined 0");
}

#[test]
fn observed_it_passes_and_rings_and_shuts_nobody_out() {
    let process = Process::new(LASTS);
    let mut session = process.session(WATCHED, &identity(false));
    for _ in 0..2 {
        session.passes(&query(TOUCH));
    }
    session.passes(&query("SELECT * FROM orders"));
    process.counts("portcullis_security_events_total{event_type=\"decoy_touched\"} 2");
    process.counts("portcullis_quarantined 0");
    // A session that is only observed passes whole, whatever its user did where policies are enforced.
    process.quarantine.begin(&identity(false), Instant::now());
    session.passes(&query("SELECT * FROM orders"));
}

#[test]
fn no_name_that_fails_hides_a_touch() {
    let process = Process::new(LASTS);
    let mut session = process.session(TRAPPED, &identity(false));
    assert_eq!(session.refused(&query("SELECT * FROM admin_backup; EXECUTE nobody_knows"), b'Q').0, "42501");
    process.counts("portcullis_security_events_total{event_type=\"decoy_touched\"} 1");
}
