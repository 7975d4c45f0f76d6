//! Blocks without a session: what may be wanted, who hears of it, the end of time, the file.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::sql::Facts;

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(&["unknown"], &[]))
}

fn now() -> Timestamp {
    "2026-01-31T12:00:00Z".parse().unwrap()
}

fn hash(digit: char) -> StatementHash {
    digit.to_string().repeat(32).parse().unwrap()
}

fn facts(hash: Option<StatementHash>) -> Facts {
    Facts { hash, ..Facts::default() }
}

fn wanted(target: Target, until: Timestamp) -> Wanted {
    Wanted { target, until, reason: "it locks the shop".into() }
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::now() + jiff::SignedDuration::from_secs(seconds)
}

fn unusable(body: &str) -> String {
    Wanted::from_json(body.as_bytes(), now()).expect_err(body).to_string()
}

#[test]
fn what_is_wanted_is_a_target_an_end_and_a_reason() {
    let body = format!("{{\"hash\": \"{}\", \"for\": \"2h\", \"reason\": \" it locks the shop \"}}", hash('a'));
    let read = Wanted::from_json(body.as_bytes(), now()).unwrap();
    assert_eq!(read, wanted(Target::Hash(hash('a')), "2026-01-31T14:00:00Z".parse().unwrap()));
    let body = br#"{"user": "Shop App", "until": "2026-01-31T18:00:00+01:00", "reason": "x", "for": null}"#;
    let read = Wanted::from_json(body, now()).unwrap();
    assert_eq!(read.target, Target::User("Shop App".into()));
    assert_eq!(read.until, "2026-01-31T17:00:00Z".parse().unwrap());
}

#[test]
fn what_can_not_be_used_is_named_with_what_to_write() {
    let long = "x".repeat(201);
    for (body, parts) in [
        ("".to_owned(), &["no JSON"][..]),
        ("[]".to_owned(), &["no JSON object", "\"for\": \"2h\""]),
        ("{}".to_owned(), &["`hash`: missing", "(user)"]),
        (r#"{"hsah": "x"}"#.to_owned(), &["unknown field `hsah`", "hash, user, for, until and reason"]),
        (r#"{"hash": "x", "for": "1h", "reason": "r"}"#.to_owned(), &["`hash`", "32 hexadecimal digits"]),
        (r#"{"hash": 7, "for": "1h", "reason": "r"}"#.to_owned(), &["`hash`", "in quotes"]),
        (r#"{"user": "", "for": "1h", "reason": "r"}"#.to_owned(), &["`user`", "empty"]),
        (r#"{"user": "a\u0000", "for": "1h", "reason": "r"}"#.to_owned(), &["`user`", "control"]),
        (format!(r#"{{"user": "{}", "for": "1h", "reason": "r"}}"#, "x".repeat(64)), &["`user`", "63 bytes"]),
        (r#"{"user": "a", "hash": "b", "for": "1h", "reason": "r"}"#.to_owned(), &["make two"]),
        (r#"{"user": "a", "reason": "r"}"#.to_owned(), &["`for`: missing", "2026-01-31T18:00:00Z"]),
        (r#"{"user": "a", "for": "2", "reason": "r"}"#.to_owned(), &["`for`", "`2` is not a duration like"]),
        (r#"{"user": "a", "for": "0s", "reason": "r"}"#.to_owned(), &["over at once"]),
        (r#"{"user": "a", "for": "367d", "reason": "r"}"#.to_owned(), &["366 days", "deny rule"]),
        (r#"{"user": "a", "for": "99999999999999h", "reason": "r"}"#.to_owned(), &["366 days"]),
        (
            r#"{"user": "a", "until": "tomorrow", "reason": "r"}"#.to_owned(),
            &["`until`", "`tomorrow` is not a time like"],
        ),
        (r#"{"user": "a", "until": "2026-01-31T12:00:00Z", "reason": "r"}"#.to_owned(), &["past", "clock says"]),
        (r#"{"user": "a", "until": "2028-01-31T12:00:00Z", "reason": "r"}"#.to_owned(), &["366 days"]),
        (r#"{"user": "a", "for": "1h", "until": "2026-02-01T00:00:00Z", "reason": "r"}"#.to_owned(), &["not both"]),
        (r#"{"user": "a", "for": "1h"}"#.to_owned(), &["`reason`: missing"]),
        (r#"{"user": "a", "for": "1h", "reason": "  "}"#.to_owned(), &["`reason`", "empty"]),
        (format!(r#"{{"user": "a", "for": "1h", "reason": "{long}"}}"#), &["201 characters", "at most 200"]),
        (r#"{"user": "a", "for": "1h", "reason": "a\nb"}"#.to_owned(), &["one line"]),
        (r#"{"user": "a", "for": "1h", "reason": "a\u001bb"}"#.to_owned(), &["control characters"]),
        (r#"{"user": "a", "for": "1h", "reason": "a\u202eb"}"#.to_owned(), &["one line"]),
    ] {
        let told = unusable(&body);
        for part in parts {
            assert!(told.contains(part), "{body}: {told}");
        }
    }
    let longest = format!(r#"{{"user": "a", "for": "366d", "reason": "{}"}}"#, "ä".repeat(200));
    assert!(Wanted::from_json(longest.as_bytes(), now()).is_ok());
}

#[test]
fn the_sentence_says_until_when_and_why() {
    let blocks = Blocks::in_memory(metrics());
    let until = "2026-11-21T14:00:00.9Z".parse().unwrap();
    let (block, saved) = blocks.make(wanted(Target::Hash(hash('a')), until), "me", now()).unwrap();
    assert_eq!(block.sentence(), "this statement is blocked until 2026-11-21T14:00:00Z: it locks the shop");
    assert_eq!(saved, Saved::NoStateDir);
    let (block, _) = blocks.make(wanted(Target::User("ann".into()), until), "me", now()).unwrap();
    assert_eq!(block.sentence(), "user \"ann\" is blocked until 2026-11-21T14:00:00Z: it locks the shop");
}

#[test]
fn a_session_hears_of_a_block_at_its_next_look_and_of_its_end() {
    let blocks = Arc::new(Blocks::in_memory(metrics()));
    let mut ann = Watch::new(Arc::clone(&blocks), "ann");
    let mut bob = Watch::new(Arc::clone(&blocks), "bob");
    let mut look = || {
        ann.look();
        bob.look();
        let of = |watch: &Watch| {
            let (a, b) = (facts(Some(hash('a'))), facts(Some(hash('b'))));
            (watch.user().is_some(), watch.text(&a).is_some(), watch.text(&b).is_some())
        };
        (of(&ann), of(&bob))
    };
    assert_eq!(look(), ((false, false, false), (false, false, false)));
    let (first, _) = blocks.make(wanted(Target::Hash(hash('a')), later(60)), "me", Timestamp::now()).unwrap();
    let (second, _) = blocks.make(wanted(Target::Hash(hash('a')), later(90)), "me", Timestamp::now()).unwrap();
    assert_eq!(look(), ((false, true, false), (false, true, false)));
    let (user, _) = blocks.make(wanted(Target::User("ann".into()), later(60)), "me", Timestamp::now()).unwrap();
    assert_eq!(look(), ((true, true, true), (false, true, false)), "a blocked user runs nothing");
    assert_eq!(blocks.list(Timestamp::now()), [Arc::clone(&first), Arc::clone(&second), Arc::clone(&user)]);
    assert!(blocks.of_user("ann", Timestamp::now()).is_some() && blocks.of_user("Ann", Timestamp::now()).is_none());

    blocks.lift(&user.id).unwrap();
    let lifted = blocks.lift(&second.id).unwrap();
    assert_eq!((lifted.block, lifted.others), (second, vec![first.id.clone()]));
    assert_eq!(look(), ((false, true, false), (false, true, false)), "one is left");
    assert!(blocks.lift(&first.id).is_some() && blocks.lift(&first.id).is_none());
    assert_eq!(look(), ((false, false, false), (false, false, false)));
    assert!(!ann.any() && !bob.any(), "it costs nothing any more");
}

#[test]
fn what_can_not_be_told_from_a_blocked_statement_is_stopped_too() {
    let blocks = Arc::new(Blocks::in_memory(metrics()));
    let mut watch = Watch::new(Arc::clone(&blocks), "ann");
    let (blocked, other, long) = (facts(Some(hash('a'))), facts(Some(hash('b'))), facts(None));
    assert_eq!(watch.behind([&blocked, &long].into_iter(), true), None, "nothing is blocked");
    blocks.make(wanted(Target::Hash(hash('a')), later(60)), "me", Timestamp::now()).unwrap();
    watch.look();
    assert_eq!(watch.text(&long), Some(Stop::Unknowable));
    assert_eq!(watch.behind([&other].into_iter(), false), None);
    assert_eq!(watch.behind([&other].into_iter(), true), Some(Stop::Unknowable));
    assert_eq!(watch.behind([&other, &long].into_iter(), false), Some(Stop::Unknowable));
    for hidden in [false, true] {
        let stop = watch.behind([&long, &other, &blocked].into_iter(), hidden);
        assert!(matches!(stop, Some(Stop::Block(_))), "the block itself is told: {stop:?}");
    }
    let within = Facts { parts: Box::new([hash('b'), hash('a')]), ..facts(Some(hash('c'))) };
    assert!(matches!(watch.text(&within), Some(Stop::Block(_))));
}

#[test]
fn a_block_ends_by_the_clock_though_nobody_releases_it() {
    let blocks = Arc::new(Blocks::in_memory(metrics()));
    let past = Timestamp::now() - jiff::SignedDuration::from_secs(1);
    blocks.make(wanted(Target::Hash(hash('a')), past), "me", past).unwrap();
    blocks.make(wanted(Target::User("ann".into()), past), "me", past).unwrap();
    let mut watch = Watch::new(Arc::clone(&blocks), "ann");
    watch.look();
    assert!(watch.any() && watch.user().is_none() && !watch.any_statement());
    assert_eq!(watch.text(&facts(Some(hash('a')))), None);
    assert_eq!(watch.text(&facts(None)), None);
    assert_eq!(watch.behind([&facts(None)].into_iter(), true), None);
    assert!(blocks.of_user("ann", Timestamp::now()).is_none() && blocks.list(Timestamp::now()).is_empty());
    blocks.release(Timestamp::now());
    watch.look();
    assert!(!watch.any(), "it costs nothing any more");
}

#[test]
fn calls_and_blocks_are_counted() {
    let metrics = metrics();
    let blocks = Blocks::in_memory(Arc::clone(&metrics));
    let has = |line: &str| {
        let text = metrics.encode(std::time::SystemTime::now()).unwrap();
        assert!(text.lines().any(|l| l == line), "no {line} in {text}");
    };
    has("portcullis_blocks{kind=\"hash\"} 0");
    blocks.make(wanted(Target::Hash(hash('a')), now()), "me", now()).unwrap();
    blocks.make(wanted(Target::User("ann".into()), later(60)), "me", now()).unwrap();
    has("portcullis_blocks{kind=\"hash\"} 1");
    has("portcullis_blocks{kind=\"user\"} 1");
    blocks.release(now());
    has("portcullis_blocks{kind=\"hash\"} 0");
    has("portcullis_admin_calls_total{call=\"expire\",outcome=\"done\"} 1");
    has("portcullis_admin_calls_total{call=\"block\",outcome=\"refused\"} 0");
}

#[test]
fn their_number_is_bounded_and_those_that_are_over_make_room() {
    let blocks = Blocks::in_memory(metrics());
    let over = now() + jiff::SignedDuration::from_secs(1);
    {
        let mut held = blocks.held();
        for number in 0..MOST {
            let target = Target::User(number.to_string().into());
            let until = if number == 0 { over } else { later(3600) };
            let id = format!("{number:012x}").into();
            held.blocks.push(Arc::new(Block {
                id,
                target,
                until,
                reason: "r".into(),
                by: "me".into(),
                created: now(),
            }));
        }
    }
    assert_eq!(blocks.make(wanted(Target::Hash(hash('a')), later(60)), "me", now()), Err(Full));
    assert!(blocks.make(wanted(Target::Hash(hash('a')), later(60)), "me", over).is_ok());
    assert_eq!(blocks.make(wanted(Target::Hash(hash('b')), later(60)), "me", over), Err(Full));
}

#[test]
fn what_is_kept_comes_back_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("blocks.json");
    let open = || Blocks::open(directory.path(), metrics(), Timestamp::now()).unwrap();
    let blocks = open();
    assert!(blocks.are_kept() && file.exists(), "it is tried out at the start");
    let (statement, saved) = blocks.make(wanted(Target::Hash(hash('a')), later(60)), "me", now()).unwrap();
    assert_eq!(saved, Saved::Yes);
    let (user, _) = blocks.make(wanted(Target::User("A \"b\" ü".into()), later(60)), "me", now()).unwrap();
    let (lifted, _) = blocks.make(wanted(Target::User("bob".into()), later(60)), "me", now()).unwrap();
    blocks.make(wanted(Target::User("over".into()), now()), "me", now()).unwrap();
    assert_eq!(blocks.lift(&lifted.id).unwrap().saved, Saved::Yes);
    drop(blocks);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!directory.path().join("blocks.json.part").exists());
    let again = open();
    assert_eq!(again.list(now()), [statement, user]);
    let mut watch = Watch::new(Arc::new(again), "somebody");
    watch.look();
    assert!(watch.text(&facts(Some(hash('a')))).is_some(), "in force before anybody makes another");
    assert!(!fs::read_to_string(&file).unwrap().contains("over"), "what was over is written no more");
}

#[test]
fn a_file_that_is_not_understood_keeps_the_program_from_starting() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("blocks.json");
    let good = |change: (&str, &str)| {
        let entry = format!(
            "{{\"id\": \"0123456789ab\", \"hash\": \"{}\", \"until\": \"2036-01-01T00:00:00Z\", \"reason\": \"r\", \
             \"by\": \"me\", \"created\": \"2026-01-01T00:00:00Z\"}}",
            hash('a')
        );
        format!("{{\"version\": 1, \"blocks\": [{entry}]}}").replace(change.0, change.1)
    };
    let entry = good(("", "")).split_once('[').unwrap().1.trim_end_matches("]}").to_owned();
    let open = || Blocks::open(directory.path(), metrics(), now());
    fs::write(&file, good(("", ""))).unwrap();
    assert_eq!(open().unwrap().list(now()).len(), 1);
    for (text, part) in [
        (String::new(), "EOF"),
        (good(("]}", "")), "EOF"),
        (good(("\"version\": 1", "\"version\": 2")), "version 2"),
        (good(("\"reason\"", "\"raeson\"")), "raeson"),
        (good(("aaaa", "xxxx")), "32 hexadecimal digits"),
        (good(("\"id\": \"0123", "\"id\": \"../0123")), "12 hexadecimal digits"),
        (good(("2036-01-01T00:00:00Z", "soon")), "soon"),
        (good(("\"r\"", "\"r\\n\"")).replace("\"r\\n\"", "\"r\\nr\""), "one line"),
        (good(("\"hash\"", "\"user\": \"ann\", \"hash\"")), "one of them"),
        (good((&entry, &format!("{entry}, {entry}"))), "twice"),
    ] {
        fs::write(&file, &text).unwrap();
        let error = open().expect_err(&text);
        assert!(matches!(error, FileError::Broken { .. }), "{error}");
        let told = error.to_string();
        assert!(told.contains("blocks.json") && told.contains("move it away") && told.contains(part), "{text}: {told}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text, "it is left as it was");
    }
    let missing = Blocks::open(&directory.path().join("nowhere"), metrics(), now()).unwrap_err().to_string();
    assert!(missing.contains("state_dir") && missing.contains("make it a directory"), "{missing}");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(matches!(open().unwrap_err(), FileError::Unreadable { .. }));
}

#[test]
fn a_disk_that_fails_leaves_the_block_in_force_and_is_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let blocks = Blocks::open(directory.path(), metrics(), now()).unwrap();
    // Even root can't put a file in this one's place.
    let part = directory.path().join("blocks.json.part");
    fs::create_dir(&part).unwrap();
    let (block, saved) = blocks.make(wanted(Target::Hash(hash('a')), later(60)), "me", now()).unwrap();
    assert!(matches!(&saved, Saved::Failed(why) if why.contains("blocks.json")), "{saved:?}");
    assert_eq!(blocks.list(now()), [Arc::clone(&block)]);
    blocks.release(Timestamp::now());
    fs::remove_dir(&part).unwrap();
    blocks.release(Timestamp::now());
    let again = Blocks::open(directory.path(), metrics(), now()).unwrap();
    assert_eq!(again.list(now()), [block], "written as soon as it could be");
}
