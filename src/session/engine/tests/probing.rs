//! The server's errors, and what the grammar can't read, as signs of probing.

use super::*;
use crate::session::probing::{Probing, Watch as Probes};

const GUARDED: &str = "
policy: shop
applies_to: {users: [shop_app]}
search_path: [public]
allow:
  - {rule: data, actions: [select, insert, update, delete], tables: ['*']}
injection: {block_at: 5}
";

/// A weak sign by itself: a comment cuts something off.
const WEAK: &str = "SELECT * FROM orders WHERE id = 1 --";

/// Sessions of one process.
struct Process {
    metrics: Arc<Metrics>,
    probing: Arc<Probing>,
    cache: Arc<Cache>,
}

impl Process {
    fn new() -> Process {
        let cache = Arc::new(Cache::new(1 << 20, 64 << 20));
        Process { metrics: metrics(), probing: Arc::default(), cache }
    }

    fn session(&self, policy: &str) -> Session {
        self.session_of(policy, &identity(false))
    }

    fn session_of(&self, policy: &str, identity: &Identity) -> Session {
        let quarantine = Arc::new(Quarantine::new(Duration::ZERO, Arc::clone(&self.metrics)));
        let blocks = Arc::new(crate::blocks::Blocks::in_memory(Arc::clone(&self.metrics)));
        let blocks = crate::blocks::Watch::new(blocks, &identity.user);
        let tell = Teller::new(Arc::clone(&self.metrics), identity, 1);
        let admission = Arc::new(set(policy)).admit(identity).unwrap();
        let (cache, watch) = (Arc::clone(&self.cache), Watch::new(quarantine, identity));
        let engine = Engine::new(admission, tell, cache, watch, blocks, false, false);
        Session::of(engine.probed(Probes::new(Arc::clone(&self.probing), identity)))
    }

    /// Bursts that were told of, which are all the attempts.
    fn bursts(&self, policy: &str) -> u64 {
        self.metrics.policy(policy);
        let text = self.metrics.encode(std::time::SystemTime::now()).unwrap();
        let value = |name: String| {
            let line = text.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_else(|| panic!("no {name}"));
            line.trim().parse::<u64>().unwrap()
        };
        let label = |verdict| {
            format!(
                "portcullis_injection_attempts_total{{policy=\"{policy}\",technique=\"probing\",verdict=\"{verdict}\"}}"
            )
        };
        assert_eq!((value(label("refuse")), value(label("would_refuse"))), (0, 0));
        let events = value("portcullis_security_events_total{event_type=\"sql_injection_attempt\"}".to_owned());
        let bursts = value(label("allow"));
        assert_eq!(events, bursts);
        bursts
    }
}

fn error(sqlstate: &str) -> Vec<u8> {
    frame(b'E', format!("SERROR\0VERROR\0C{sqlstate}\0Mcolumn \"c\" does not exist\0Fx.c\0\0").as_bytes())
}

/// A Query that fails like this.
fn fails(session: &mut Session, text: &str, sqlstate: &str) {
    session.passes(&query(text));
    session.server(&[error(sqlstate), frame(b'Z', b"I")].concat());
}

fn columns(numbers: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    numbers.map(|number| format!("SELECT c{number} FROM orders"))
}

fn probe(session: &mut Session) {
    columns(0..10).for_each(|text| fails(session, &text, "42703"));
}

#[test]
fn ten_different_queries_that_fail_are_a_burst() {
    for (policy, name) in [(SHOP, "shop"), (WATCHED, "watched")] {
        let process = Process::new();
        let mut session = process.session(policy);
        columns(0..9).for_each(|text| fails(&mut session, &text, "42703"));
        assert_eq!(process.bursts(name), 0);
        fails(&mut session, "SELECT c9 FROM orders", "42703");
        assert_eq!(process.bursts(name), 1);
        columns(10..50).for_each(|text| fails(&mut session, &text, "42703"));
        assert_eq!(process.bursts(name), 1, "once");
    }
}

#[test]
fn what_an_application_does_wrong_is_none() {
    let process = Process::new();
    let mut session = process.session(SHOP);
    // One broken statement, with other values each time, in both protocols.
    for number in 0..100 {
        fails(&mut session, &format!("SELECT missing FROM orders WHERE id = {number}"), "42703");
        let text = format!("SELECT missing FROM orders WHERE name = 'n{number}'");
        let batch = [parse("", &text), bind("", "", &[]), execute(""), sync()].concat();
        session.passes(&batch);
        session.server(&[error("42703"), frame(b'Z', b"I")].concat());
    }
    // A prepared one that gets bad values.
    session.passes(&[parse("s", "SELECT * FROM orders WHERE id = $1"), sync()].concat());
    session.server(&[frame(b'1', b""), frame(b'Z', b"I")].concat());
    for number in 0..100 {
        fails(&mut session, "SELECT 1 / 0", "22012");
        session.passes(&[bind("", "s", &[&format!("v{number}")]), execute(""), sync()].concat());
        session.server(&[error("22P02"), frame(b'Z', b"I")].concat());
    }
    // What depends on data and on others.
    for (number, sqlstate) in
        ["23505", "23503", "23514", "40P01", "40001", "57014", "25P02", "0A000"].iter().enumerate()
    {
        for text in columns(0..20) {
            fails(&mut session, &format!("{text} WHERE t{number}.a = 1"), sqlstate);
        }
    }
    assert_eq!(process.bursts("shop"), 0);
}

#[test]
fn in_the_extended_protocol_the_statement_that_failed_counts() {
    let process = Process::new();
    let mut session = process.session(SHOP);
    let [done, ready] = [frame(b'1', b""), frame(b'Z', b"I")];
    // In a batch with many others, which differ each time, it is always the same one.
    for text in columns(0..50) {
        let run = |text: &str| [parse("", text), bind("", "", &[]), execute("")].concat();
        session.passes(&[run(&text), run("SELECT missing FROM orders"), run("SELECT 1"), sync()].concat());
        let first = [done.clone(), frame(b'2', b""), frame(b'C', b"SELECT 1\0")].concat();
        session.server(&[first, error("42703"), ready.clone()].concat());
    }
    assert_eq!(process.bursts("shop"), 0);
    // Behind one that always works, it is another one each time; the answers come in pieces.
    let process = Process::new();
    let mut session = process.session(SHOP);
    for text in columns(0..10) {
        assert_eq!(process.bursts("shop"), 0);
        let run = |text: &str| [parse("", text), bind("", "", &[]), execute("")].concat();
        session.passes(&[run("SELECT 1"), run(&text), sync()].concat());
        for byte in [done.clone(), frame(b'2', b""), frame(b'C', b"SELECT 1\0"), error("42703"), ready.clone()].concat()
        {
            pieces(&mut session, byte);
        }
    }
    assert_eq!(process.bursts("shop"), 1);
}

thread_local! {
    static WAITING: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// One byte more of the server's, shown with those that have waited.
fn pieces(session: &mut Session, byte: u8) {
    WAITING.with_borrow_mut(|waiting| {
        waiting.push(byte);
        let Look { pass, .. } = session.engine.server(waiting, &mut Vec::new());
        waiting.drain(..pass);
    });
}

#[test]
fn an_error_of_any_length_counts_once_and_is_not_gathered() {
    let process = Process::new();
    let mut session = process.session(SHOP);
    for (number, text) in columns(0..10).enumerate() {
        assert_eq!(process.bursts("shop"), 0, "{number}");
        session.passes(&query(&text));
        let long = format!("SERROR\0VERROR\0C22P02\0M{}\0\0", "hunter2 ".repeat(300_000));
        let frame = frame(b'E', long.as_bytes());
        let look = session.engine.server(&frame[..100], &mut Vec::new());
        assert_eq!(look, Look { pass: 0, then: Then::More { need: 5 + 256 } });
        let look = session.engine.server(&frame[..300], &mut Vec::new());
        assert_eq!(look, Look { pass: 300, then: Then::More { need: 1 } });
        session.server(&frame[300..]);
        session.server(&super::frame(b'Z', b"I"));
    }
    assert_eq!(process.bursts("shop"), 1);
}

#[test]
fn what_the_grammar_does_not_read_counts_once_whoever_says_so() {
    let breaks = ["'", "\"", "')", "'))", ")", "))", " AND", " OR", " UNION", " ORDER BY"];
    // Refused, it never gets to the server, whose answer is to the poison.
    let process = Process::new();
    let mut session = process.session(SHOP);
    for (number, text) in breaks.iter().enumerate() {
        assert_eq!(process.bursts("shop"), 0, "{number}");
        let kind = if number % 2 == 0 { b'Q' } else { b'P' };
        let text = format!("SELECT * FROM orders WHERE id = 1{text}");
        let bytes = if kind == b'Q' { query(&text) } else { [parse("", &text), sync()].concat() };
        let (sqlstate, _) = session.refused(&bytes, kind);
        assert_eq!(sqlstate, "42601");
        session.server(&frame(b'Z', b"I"));
    }
    assert_eq!(process.bursts("shop"), 1);
    // Observed, the server says so.
    let process = Process::new();
    let mut session = process.session(WATCHED);
    for text in breaks {
        assert_eq!(process.bursts("watched"), 0);
        fails(&mut session, &format!("SELECT * FROM orders WHERE id = 1{text}"), "42601");
    }
    assert_eq!(process.bursts("watched"), 1);
}

#[test]
fn nothing_hides_behind_what_pads_it() {
    let padding = "x".repeat(200 << 10);
    for unread in [false, true] {
        let process = Process::new();
        let mut session = process.session(WATCHED);
        for number in 0..10 {
            assert_eq!(process.bursts("watched"), 0);
            let text = format!("SELECT /*{padding}*/ c{number} FROM orders{}", if unread { " WHERE" } else { "" });
            session.passes(&[parse("", &text), bind("", "", &[]), execute(""), sync()].concat());
            // At the Parse or behind it.
            let before = [frame(b'1', b""), frame(b'2', b"")].concat();
            let before = if unread { &[][..] } else { &before };
            session.server(&[before, &error("42703"), &frame(b'Z', b"I")].concat());
        }
        assert_eq!(process.bursts("watched"), 1);
    }
}

#[test]
fn what_a_policy_refuses_is_no_error_of_the_servers() {
    let process = Process::new();
    let mut session = process.session(SHOP);
    for number in 0..100 {
        let text = format!("DROP TABLE t{number}");
        session.refused(&query(&text), b'Q');
        session.server(&frame(b'Z', b"I"));
        // Nor where its answer can't be known any more by its reference.
        session.client(&query(&text)).unwrap();
        session.server(&[error("42601"), frame(b'Z', b"I")].concat());
    }
    assert_eq!(process.bursts("shop"), 0);
}

#[test]
fn sessions_of_one_user_at_one_address_are_counted_together_and_no_others() {
    let process = Process::new();
    for (number, text) in columns(0..10).enumerate() {
        assert_eq!(process.bursts("watched"), 0, "{number}");
        fails(&mut process.session(WATCHED), &text, "42P01");
    }
    assert_eq!(process.bursts("watched"), 1);
    for text in columns(0..9) {
        let elsewhere = Identity { address: "10.0.0.9".parse().unwrap(), ..identity(false) };
        fails(&mut process.session_of(WATCHED, &elsewhere), &text, "42P01");
        fails(&mut process.session_of(WATCHED, &Identity { user: "boss".into(), ..identity(false) }), &text, "42P01");
    }
    assert_eq!(process.bursts("watched"), 1);
}

#[test]
fn while_somebody_probes_a_weak_sign_weighs_more() {
    let process = Process::new();
    let mut session = process.session(GUARDED);
    let mut neighbour =
        process.session_of(GUARDED, &Identity { address: "10.0.0.9".parse().unwrap(), ..identity(false) });
    // Met before, it is remembered.
    let known = query(&WEAK.replace("orders", "known"));
    session.passes(&known);
    session.server(&frame(b'Z', b"I"));
    probe(&mut session);
    for _ in 0..3 {
        let (sqlstate, message) = session.refused(&query(WEAK), b'Q');
        assert_eq!(sqlstate, "42501");
        assert!(message.ends_with("injection score 5: comment_truncation(3) + probing(2)"), "{message}");
        session.server(&frame(b'Z', b"I"));
        session.refused(&[parse("", WEAK), sync()].concat(), b'P');
        session.server(&frame(b'Z', b"I"));
    }
    // Nothing else is: no sign, another address, what came before.
    session.passes(&query("SELECT * FROM orders WHERE id = 1"));
    session.passes(&known);
    neighbour.passes(&query(WEAK));
}

#[test]
fn what_was_judged_of_somebody_who_probes_is_not_remembered() {
    let policy = GUARDED.replace("block_at: 5", "block_at: 6");
    let process = Process::new();
    let mut session = process.session(&policy);
    probe(&mut session);
    let weak = query(WEAK);
    for _ in 0..3 {
        session.passes(&weak);
        session.server(&frame(b'Z', b"I"));
    }
    let text = process.metrics.encode(std::time::SystemTime::now()).unwrap();
    let count = |technique: &str| {
        let label = format!(
            "portcullis_injection_attempts_total{{policy=\"shop\",technique=\"{technique}\",verdict=\"allow\"}} "
        );
        text.lines().find_map(|line| line.strip_prefix(&label)).unwrap().to_owned()
    };
    assert_eq!((count("comment_truncation"), count("probing")), ("3".to_owned(), "4".to_owned()));
    // Of somebody else it is only what it is.
    let elsewhere = Identity { address: "10.0.0.9".parse().unwrap(), ..identity(false) };
    let mut neighbour = process.session_of(&policy, &elsewhere);
    neighbour.passes(&weak);
    let text = process.metrics.encode(std::time::SystemTime::now()).unwrap();
    assert!(text.contains("technique=\"probing\",verdict=\"allow\"} 4"), "{text}");
}

#[test]
fn a_session_that_is_not_told_of_counts_nothing() {
    let mut session = Session::new(SHOP);
    probe(&mut session);
    session.passes(&query(WEAK));
}
