//! Who finds which text, and what the cache may cost.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::*;
use crate::policy::{self, Arrival, Identity, PolicySet, SessionPolicy};
use crate::sql::Statement;

fn set(policy: &str) -> Arc<PolicySet> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("p.yaml"), policy).unwrap();
    Arc::new(policy::load(directory.path()).unwrap())
}

fn session(set: &Arc<PolicySet>, user: &str) -> SessionPolicy {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let identity = Identity {
        user: user.into(),
        database: "shop".into(),
        address,
        tls: false,
        replication: false,
        arrival: Arrival::default(),
    };
    set.admit(&identity).unwrap()
}

const TWO: &str = "policy: a\napplies_to: {users: [ann, ben]}\nallow: [{rule: r, actions: [select], tables: [t]}]\n\
                   ---\npolicy: b\napplies_to: {users: [ben]}\nallow: [{rule: r, actions: [select], tables: [u]}]\n";

fn read() -> Lexing {
    Lexing { client_encoding: Encoding::Utf8, unsettled: false, server_utf8: true, server_major: 15 }
}

fn facts(text: &str) -> Arc<Facts> {
    Arc::new(crate::sql::analyse(text, crate::sql::Reading::default()).unwrap().facts)
}

/// Keeps a text as it was just looked for in vain.
fn keep(texts: &mut Texts, text: &str, extended: bool) {
    assert!(texts.find(text.as_bytes(), &read(), extended).is_none());
    texts.keep(text.as_bytes(), facts(text), Signals::default(), Said::default(), None);
}

#[test]
fn a_text_is_known_to_all_sessions_of_its_class() {
    let cache = Arc::new(Cache::new(1 << 20, 0));
    let set = set(TWO);
    let mut first = Texts::new(Arc::clone(&cache), session(&set, "ann").class());
    keep(&mut first, "SELECT a FROM t", false);
    let mut second = Texts::new(Arc::clone(&cache), session(&set, "ann").class());
    for _ in 0..2 {
        let known = second.find(b"SELECT a FROM t", &read(), false).unwrap();
        assert_eq!(known.known.facts, facts("SELECT a FROM t"));
    }
    assert!(cache.bytes() > 0);
}

#[test]
fn nothing_else_is_taken_for_it() {
    let cache = Arc::new(Cache::new(1 << 20, 0));
    let ours = set(TWO);
    let text = b"SELECT a FROM t";
    let mut texts = Texts::new(Arc::clone(&cache), session(&ours, "ann").class());
    keep(&mut texts, "SELECT a FROM t", false);
    for other in ["SELECT a FROM u", "SELECT a FROM t ", "select a FROM t", "SELECT a FROM T", "", "SELECT a FROM t\0"]
    {
        assert!(texts.find(other.as_bytes(), &read(), false).is_none(), "{other}");
    }
    assert!(texts.find(text, &read(), true).is_none(), "by another protocol");
    assert!(texts.find(text, &Lexing { client_encoding: Encoding::SqlAscii, ..read() }, false).is_none());
    assert!(texts.find(text, &Lexing { server_utf8: false, ..read() }, false).is_none());
    assert!(texts.find(text, &Lexing { server_major: 18, ..read() }, false).is_none());
    let mut ben = Texts::new(Arc::clone(&cache), session(&ours, "ben").class());
    assert!(ben.find(text, &read(), false).is_none(), "of another class");
    let mut reloaded = Texts::new(Arc::clone(&cache), session(&set(TWO), "ann").class());
    assert!(reloaded.find(text, &read(), false).is_none(), "under policies that were loaded anew");
    assert!(texts.find(text, &read(), false).is_some());
}

#[test]
fn a_verdict_is_recalled_by_its_own_class_only() {
    let set = set(TWO);
    let (ann, again, ben) = (session(&set, "ann"), session(&set, "ann"), session(&set, "ben"));
    let moment = policy::Moment::now(false, policy::Parameters::None);
    let allowed = ben.judge(&facts("SELECT a FROM u"), moment);
    let lasting = ben.lasting(&allowed).unwrap();
    assert!(ben.recall(&lasting).is_some() && session(&set, "ben").recall(&lasting).is_some());
    assert!(ann.recall(&lasting).is_none() && again.recall(&lasting).is_none());
    let refused = ann.judge(&facts("SELECT a FROM u"), moment);
    assert!(ann.lasting(&refused).is_none(), "a refusal is judged, and told, each time");
}

#[test]
fn what_depends_on_the_time_or_on_bound_values_is_judged_each_time() {
    let timed = "policy: p\napplies_to: {users: [ann]}\nallow:\n  - {rule: always, actions: [select], tables: [u]}\n  \
                 - {rule: tonight, actions: [select], tables: [t], when: {until: 2999-01-01T00:00:00Z}}\n  \
                 - {rule: tenant, actions: [set], settings: [\"search_path=a\"]}\n";
    let ann = session(&set(timed), "ann");
    let moment = policy::Moment::now(true, policy::Parameters::Later);
    for (text, lasts) in [
        ("SELECT a FROM u", true),
        ("SELECT a FROM t", false),
        ("SELECT set_config('search_path', $1, false)", false),
        ("SELECT set_config($1, $2, false)", false),
    ] {
        let judgement = ann.judge(&facts(text), moment);
        assert!(matches!(judgement.verdict, policy::Verdict::Allow(_)), "{text}");
        assert_eq!(ann.lasting(&judgement).is_some(), lasts, "{text}");
    }
}

#[test]
fn it_is_bounded_in_bytes() {
    let cache = Arc::new(Cache::new(256 << 10, 0));
    let set = set(TWO);
    let mut texts = Texts::new(Arc::clone(&cache), session(&set, "ann").class());
    for number in 0..5_000 {
        keep(&mut texts, &format!("SELECT a FROM t WHERE id = {number}"), false);
        assert!(cache.bytes() <= 256 << 10);
    }
    assert!(cache.bytes() > 128 << 10, "it is used, too: {}", cache.bytes());
    let long = "x".repeat(TEXT);
    let before = cache.bytes();
    keep(&mut texts, &format!("SELECT '{long}'"), false);
    assert_eq!(cache.bytes(), before, "a long text is not kept");
}

#[test]
fn nothing_is_kept_where_there_is_no_room() {
    let set = set(TWO);
    let mut texts = Texts::new(Arc::new(Cache::new(0, 0)), session(&set, "ann").class());
    keep(&mut texts, "SELECT 1", false);
    keep(&mut texts, "SELECT 1", false);
    assert_eq!(texts.bytes(), 0);
}

#[test]
fn a_session_keeps_little_alive_by_itself() {
    let cache = Arc::new(Cache::new(8 << 20, 0));
    let set = set(TWO);
    let mut texts = Texts::new(cache, session(&set, "ann").class());
    for number in 0..200 {
        let text = format!("SELECT '{}{number}'", "x".repeat(OWN_BYTES));
        keep(&mut texts, &text, false);
        assert!(texts.find(text.as_bytes(), &read(), false).is_some());
    }
    let kept: usize = texts.own.iter().flatten().map(|own| own.known.bytes).sum();
    assert!(kept < 2 * OWN_BYTES + size_of::<Known>() + size_of::<Statement>(), "{kept}");
}

#[test]
fn long_texts_wait_until_there_is_room() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let gate = Gate::new(20);
    let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let passed = gate.pass(10, || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                    now.fetch_sub(1, Ordering::SeqCst);
                });
                assert_eq!(passed, Ok(()));
            });
        }
    });
    assert_eq!((most.load(Ordering::SeqCst), *gate.free.lock().unwrap()), (2, 20));
    assert_eq!(gate.pass(21, || ()), Err(TooHeavy { weight: 21, limit: 20 }), "it would wait for ever");
}

#[test]
fn room_is_given_back_by_a_panic_too() {
    let gate = Gate::new(10);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| gate.pass(10, || panic!("as a test"))));
    assert!(panicked.is_err());
    assert_eq!(gate.pass(10, || 7), Ok(7));
}

#[test]
fn the_second_parser_is_asked_once_for_texts_that_differ_in_plain_values() {
    let set = set(TWO);
    let cache = Arc::new(Cache::new(1 << 20, 0));
    let texts = Texts::new(Arc::clone(&cache), session(&set, "ann").class());
    let ask = |text: &str| {
        let analysis = sql::analyse(text, sql::Reading::default()).unwrap();
        assert!(matches!(texts.second_opinion(text, &analysis), Opinion::Agrees), "{text}");
        cache.agreed.len()
    };
    assert_eq!(ask("SELECT a FROM t WHERE b = 1"), 1);
    assert_eq!(ask("SELECT a FROM t WHERE b = 2"), 1);
    assert_eq!(ask("SELECT a FROM t WHERE c = 2"), 2);
    // Asked, and not remembered: here the parsers might differ over what a literal holds.
    for text in [
        "SELECT a FROM t WHERE d = E'\\''",
        "SELECT a FROM t WHERE d = 'ä'",
        "SELECT a FROM t WHERE d = 1 -- x",
        "SELECT a /* x */ FROM t WHERE d = 1",
        "SELECT a FROM t WHERE d = $$x$$",
        "SELECT a FROM t WHERE d = 1e5",
    ] {
        assert_eq!(ask(text), 2, "{text}");
    }
    assert_eq!(ask("SELECT a1, b_2 FROM t WHERE d = $1 AND e = 2.5 AND f = 'it''s'"), 3);
}

#[test]
fn a_disagreement_is_never_remembered_as_agreement() {
    let set = set(TWO);
    let cache = Arc::new(Cache::new(1 << 20, 0));
    let texts = Texts::new(Arc::clone(&cache), session(&set, "ann").class());
    let text = "SELECT a collate FROM t";
    let analysis = sql::analyse(text, sql::Reading::default()).unwrap();
    for _ in 0..2 {
        assert!(matches!(texts.second_opinion(text, &analysis), Opinion::Disagrees(_)));
        assert_eq!(cache.agreed.len(), 0);
    }
}
