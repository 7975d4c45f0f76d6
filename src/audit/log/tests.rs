//! What is told stands in the file, and a file that can't be written stops nobody.

use super::*;
use crate::audit::event::{Closed, Text, Who};
use crate::detect::Signals;
use crate::sql::{Reading, analyse};

fn who() -> Who {
    Who { session: 7, user: "a\"b\n".into(), database: "d".into(), address: "::1".into() }
}

fn run(text: Text) -> Run {
    Run {
        who: who(),
        application_name: String::new(),
        message: "Query".into(),
        verdict: "allow".into(),
        policy: "shop".into(),
        rule: None,
        reason: None,
        severity: None,
        id: None,
        rows: Some(3),
        latency_ms: Some(1.25),
        sqlstate: None,
        skipped: false,
        ambiguous: Vec::new(),
        text,
    }
}

fn lines(path: &std::path::Path) -> Vec<Line> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

#[test]
fn a_line_is_read_as_it_was_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let audit = Audit::open(&Target::File(path.clone())).unwrap();
    let text = "SELECT a FROM t WHERE b = 'x' OR 1=1 --";
    let analysis = analyse(text, Reading::default()).unwrap();
    let signals = crate::detect::signals(text, &analysis);
    let time = "2026-11-21T12:00:00.123456Z".parse().unwrap();
    audit.tell_run(time, run(Text::default()), Some(&Told::of(text, &analysis.facts, &signals)));
    audit.tell_run(time, run(Text::default()), Some(&Told::unread("SELEC 'x")));
    audit.tell_run(time, run(Text::default()), None);
    audit.tell(Event::SessionClosed(Closed { who: who(), reason: "the client closed the connection".into() }));
    audit.flush();
    let lines = lines(&path);
    let Event::Statement(first) = &lines[0].event else { panic!() };
    assert!(lines.len() == 4 && lines[0].time == time && first.who == who());
    assert_eq!(first.text.hash, analysis.facts.hash.map(|hash| hash.to_string()));
    assert!(!first.text.statement.contains('x') && first.text.signals.iter().any(|(name, _)| name == "constant_true"));
    assert_eq!(first.text.facts.as_ref().map(|facts| facts.statements.len()), Some(1));
    let Event::Statement(unread) = &lines[1].event else { panic!() };
    assert!(unread.text.facts.is_none() && unread.text.statement.starts_with("SELEC"));
    assert_eq!(lines[2].event, Event::Statement(Box::new(run(Text::default()))));
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_password_has_no_hash_and_no_place() {
    let text = "ALTER ROLE ann PASSWORD 'hunter2'";
    let facts = analyse(text, Reading::default()).unwrap().facts;
    let told = Told::of(text, &facts, Signals::NONE);
    assert!(!told.fields().contains("hunter2") && !told.fields().contains("hash"), "{told:?}");
}

#[test]
fn a_statement_on_thousands_of_objects_has_a_short_line() {
    let text = format!("TRUNCATE {}a", (0..10_000).map(|n| format!("table_{n}, ")).collect::<String>());
    let facts = analyse(&text, Reading::default()).unwrap().facts;
    let told = Told::of(&text, &facts, Signals::NONE);
    assert!(told.bytes() < 4096 && !told.fields().contains("facts"), "{}", told.bytes());
}

#[test]
fn a_file_that_was_moved_away_is_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (path, old) = (directory.path().join("audit.jsonl"), directory.path().join("audit.jsonl.1"));
    let audit = Audit::open(&Target::File(path.clone())).unwrap();
    let closed = |reason: &str| Event::SessionClosed(Closed { who: who(), reason: reason.into() });
    audit.tell(closed("first"));
    audit.flush();
    std::fs::rename(&path, &old).unwrap();
    audit.reopen();
    audit.tell(closed("second"));
    audit.flush();
    assert!(lines(&old).len() == 1 && lines(&path).len() == 1);
}

#[test]
fn what_cannot_be_written_is_counted() {
    let audit = Audit::open(&Target::File("/dev/full".into())).unwrap();
    audit.tell(Event::SessionClosed(Closed { who: who(), reason: "x".into() }));
    audit.flush();
    assert_eq!(audit.dropped(), 1);
    let error = Audit::open(&Target::File("/nowhere/audit.jsonl".into())).unwrap_err();
    assert!(error.to_string().contains("/nowhere/audit.jsonl"), "{error}");
    assert!(!Audit::open(&Target::Off).unwrap().is_on());
}
