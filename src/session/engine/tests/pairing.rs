//! Which answer belongs to which message, and what follows where that isn't certain.

use super::*;

const LIMITED: &str = "
policy: shop
applies_to: {users: [shop_app]}
search_path: [public]
allow: [{rule: data, actions: [select, copy_to], tables: ['*']}]
limits: {result_rows: 10}
";

const SLOW: &str = "
policy: shop
applies_to: {users: [shop_app]}
search_path: [public]
allow: [{rule: data, actions: [select], tables: [orders]}]
deny: [{rule: slow, actions: [delete], delay: 3s}]
";

fn ready(status: &[u8]) -> Vec<u8> {
    frame(b'Z', status)
}

fn complete(tag: &str) -> Vec<u8> {
    frame(b'C', format!("{tag}\0").as_bytes())
}

fn error(sqlstate: &str) -> Vec<u8> {
    frame(b'E', format!("SERROR\0C{sqlstate}\0Mit failed\0\0").as_bytes())
}

/// Gives so many rows, and says how many of them pass.
fn rows(session: &mut Session, kind: u8, rows: usize) -> usize {
    let row = frame(kind, &[0, 0]);
    (0..rows)
        .take_while(|_| {
            let look = session.engine.server(&row, &mut Vec::new());
            look.pass == row.len() && !matches!(look.then, Then::End(_))
        })
        .count()
}

#[test]
fn a_query_that_the_server_skips_takes_no_delays_away() {
    let mut session = Session::new(SLOW);
    let delayed = |session: &mut Session| {
        session.refused(&query("DELETE FROM orders"), b'Q');
        let delayed = session.engine.take_hold().is_some();
        session.server(&ready(b"I"));
        delayed
    };
    assert!(delayed(&mut session));
    for _ in 0..3 {
        session.passes(&[parse("", "SELECT nocolumn FROM orders"), query("SELECT 1"), sync()].concat());
        session.server(&[error("42703"), ready(b"I")].concat());
        assert!(delayed(&mut session));
    }
    // Where locks are held it still isn't.
    session.passes(&query("BEGIN"));
    session.server(&[complete("BEGIN"), ready(b"T")].concat());
    assert!(!delayed(&mut session));
}

#[test]
fn a_statement_has_the_limit_under_which_it_began() {
    let store = Arc::new(policy::Store::new(set(&LIMITED.replace("limits: {result_rows: 10}", ""))));
    let mut admission = store.admit(&identity(false)).unwrap();
    admission.startup(&[("user".into(), "shop_app".into())]).unwrap();
    let mut session = Session::of(engine_admitted(admission, false));
    session.passes(&query("SELECT 1"));
    store.replace(Arc::new(set(LIMITED)));
    session.passes(&[parse("", "SELECT 2"), bind("", "", &[]), execute(""), sync()].concat());
    assert_eq!(rows(&mut session, b'D', 50), 50, "it goes on to its end");
    session.server(&[complete("SELECT 50"), ready(b"I"), frame(b'1', b""), frame(b'2', b"")].concat());
    assert_eq!(rows(&mut session, b'D', 50), 10, "this came later");

    let mut admission = store.admit(&identity(false)).unwrap();
    admission.startup(&[("user".into(), "shop_app".into())]).unwrap();
    let mut session = Session::of(engine_admitted(admission, false));
    session.passes(&query("SELECT 1"));
    store.replace(Arc::new(set(&LIMITED.replace("10", "5"))));
    session.passes(&query("SELECT 2"));
    assert_eq!(rows(&mut session, b'D', 10), 10);
    session.server(&[complete("SELECT 10"), ready(b"I")].concat());
    assert_eq!(rows(&mut session, b'D', 10), 5);
}

#[test]
fn copy_of_a_replication_connection_has_rows_and_its_stream_has_none() {
    let policy = LIMITED
        .replace("{users: [shop_app]}", "{users: [shop_app], replication: true}")
        .replace("tables: ['*']}]", "tables: ['*']}, {rule: stream, actions: [replication]}]");
    let mut session = Session::with(&policy, true);
    session.passes(&query("START_REPLICATION SLOT s LOGICAL 0/0"));
    session.server(&frame(b'W', &[0, 0, 0]));
    assert_eq!(rows(&mut session, b'd', 100), 100);
    session.server(&[frame(b'c', b""), complete("COPY 0"), ready(b"I")].concat());
    session.passes(&query("COPY orders TO STDOUT"));
    session.server(&frame(b'H', &[0, 0, 0]));
    assert_eq!(rows(&mut session, b'd', 100), 12, "two of them may be header and trailer");
}

#[test]
fn a_skipped_parse_takes_nothing_from_behind_the_unnamed_statement() {
    let mut session = Session::new(SHOP);
    session.passes(&[parse("", "SELECT * FROM orders"), sync()].concat());
    session.server(&[frame(b'1', b""), ready(b"I")].concat());
    // It fails at the Describe, comes not to the Parse, and is done with the next Sync.
    session.passes(&[parse("x", "SELECT nocolumn FROM orders"), parse("", "SELECT 1"), sync()].concat());
    session.server(&[error("42703"), ready(b"I")].concat());
    session.passes(&sync());
    session.server(&ready(b"I"));
    let behind = session.engine.statements.get("").unwrap();
    assert_eq!(behind.facts().count(), 2, "the first one is still there");
    session.passes(&[parse("", "SELECT 2"), sync()].concat());
    session.server(&[frame(b'1', b""), ready(b"I")].concat());
    assert_eq!(session.engine.statements.get("").unwrap().facts().count(), 1);
}

#[test]
fn what_stands_behind_a_name_is_certain_only_as_far_as_the_server_has_said_it() {
    let certain = |session: &Session, name: &str| {
        let behind = session.engine.statements.get(name).unwrap();
        behind.certain().map(|statement| statement.facts().statements.len())
    };
    let (parsed, failed) = ([frame(b'1', b""), ready(b"I")].concat(), [error("42P05"), ready(b"I")].concat());
    let mut session = Session::new(LIMITED);
    session.passes(&[parse("s", "SELECT 1"), sync()].concat());
    assert_eq!(certain(&session, "s"), Some(1), "there is no other");
    session.server(&parsed);
    session.passes(&[parse("s", "SELECT 2 FROM orders"), sync()].concat());
    assert_eq!(certain(&session, "s"), None);
    session.server(&failed);
    assert_eq!(certain(&session, "s"), Some(1));
    // Made by SQL under the same name: no answer tells, whatever the next Parse says.
    session.passes(&query("DEALLOCATE s; PREPARE s AS SELECT 3"));
    session.server(&[complete("DEALLOCATE"), complete("PREPARE"), ready(b"I")].concat());
    session.passes(&[parse("s", "SELECT 4 FROM orders"), sync()].concat());
    session.server(&failed);
    assert_eq!(certain(&session, "s"), None);
    session.passes(&[frame(b'C', b"Ss\0"), parse("s", "SELECT 5 FROM products"), sync()].concat());
    session.server(&[frame(b'3', b""), parsed.clone()].concat());
    assert_eq!(certain(&session, "s"), Some(1));
}
