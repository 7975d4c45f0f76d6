//! Emergency blocks: at once, in every session, whatever was remembered, prepared or opened before.

use super::*;
use crate::blocks::{Block, Blocks, Wanted};
use crate::sql::{self, Reading};

const BLOCKED: &str = "SELECT note FROM orders WHERE id = 1";

/// Sessions of one process.
struct Process {
    metrics: Arc<Metrics>,
    blocks: Arc<Blocks>,
}

impl Process {
    fn new() -> Process {
        let metrics = metrics();
        let blocks = Arc::new(Blocks::in_memory(Arc::clone(&metrics)));
        Process { metrics, blocks }
    }

    fn session(&self, policy: &str) -> Session {
        let identity = identity(false);
        let admission = Arc::new(set(policy)).admit(&identity).unwrap();
        let tell = Teller::new(Arc::clone(&self.metrics), &identity, 1);
        let quarantine = Arc::new(Quarantine::new(Duration::from_secs(900), Arc::clone(&self.metrics)));
        Session::of(engine_blocking(admission, &identity, tell, quarantine, Arc::clone(&self.blocks)))
    }

    fn block(&self, kind: &str, value: &str) -> Arc<Block> {
        let now = jiff::Timestamp::now();
        let body = serde_json::json!({ kind: value, "for": "2h", "reason": "it locks the shop" }).to_string();
        self.blocks.make(Wanted::from_json(body.as_bytes(), now).unwrap(), "a test", now).unwrap().0
    }

    fn block_text(&self, text: &str) -> Arc<Block> {
        let hash = sql::analyse(text, Reading::default()).unwrap().facts.hash.unwrap();
        self.block("hash", &hash.to_string())
    }

    /// The statements that were counted so.
    fn would_refuse(&self) -> u32 {
        let text = self.metrics.encode(std::time::SystemTime::now()).unwrap();
        let samples = text.lines().filter(|line| line.starts_with("portcullis_statements_total{"));
        let counted = samples.filter(|line| line.contains("verdict=\"would_refuse\""));
        counted.map(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()).sum()
    }

    #[track_caller]
    fn counts(&self, sample: &str) {
        let text = self.metrics.encode(std::time::SystemTime::now()).unwrap();
        assert!(text.lines().any(|line| line == sample), "no {sample} in {text}");
    }
}

#[track_caller]
fn is_blocked((sqlstate, message): (String, String)) {
    assert_eq!(sqlstate, "42501");
    assert!(
        message.starts_with("statement refused by policy \"shop\": this statement is blocked until 20"),
        "{message}"
    );
    assert!(message.ends_with("Z: it locks the shop"), "{message}");
}

/// Everything that a session may have made before: texts met twice, names by Parse and by SQL, open portals and cursors.
fn prepared(session: &mut Session, text: &str) {
    session.passes(&query(text));
    session.passes(&query(text));
    session.passes(&[parse("s", text), bind("", "s", &[]), execute(""), sync()].concat());
    session.passes(&query(&format!("PREPARE q AS {text}")));
    session.passes(&query(&format!("BEGIN; DECLARE c CURSOR FOR {text}")));
    session.passes(&[parse("x", "EXECUTE q"), bind("p", "s", &[]), sync()].concat());
    for ready in [b"I", b"I", b"I", b"I", b"T", b"T"] {
        session.server(&frame(b'Z', ready));
    }
}

/// Every way to run what was made.
fn uses() -> [(&'static str, Vec<u8>, u8); 13] {
    [
        ("Query", query(BLOCKED), b'Q'),
        ("Parse", parse("", BLOCKED), b'P'),
        ("Bind", bind("", "s", &[]), b'P'),
        ("Bind of what PREPARE made", bind("", "q", &[]), b'P'),
        ("Describe of a statement", frame(b'D', b"Ss\0"), b'P'),
        ("Describe of a portal", frame(b'D', b"Pp\0"), b'P'),
        ("Execute of a portal", execute("p"), b'P'),
        ("Execute of a cursor", execute("c"), b'P'),
        ("EXECUTE", query("EXECUTE q"), b'Q'),
        ("FETCH", query("FETCH 1 FROM c"), b'Q'),
        ("MOVE", query("MOVE 1 IN c"), b'Q'),
        ("EXPLAIN of an EXECUTE", query("EXPLAIN ANALYZE EXECUTE q"), b'Q'),
        ("Bind of a prepared EXECUTE", bind("", "x", &[]), b'P'),
    ]
}

#[test]
fn a_block_stops_every_way_to_run_the_statement_in_open_sessions_too() {
    let process = Process::new();
    let mut sessions: Vec<_> = uses().iter().map(|_| process.session(SHOP)).collect();
    for session in &mut sessions {
        prepared(session, BLOCKED);
    }
    let block = process.block_text("select NOTE from orders where id = 77 -- another value");
    for ((what, bytes, kind), session) in uses().iter().zip(&mut sessions) {
        println!("{what}");
        is_blocked(session.refused(bytes, *kind));
        session.passes(&sync());
        session.passes(&query("SELECT note FROM orders WHERE id = 1 AND total > 0"));
        session.passes(&[frame(b'C', b"Ss\0"), frame(b'C', b"Pp\0"), sync()].concat());
        session.passes(&query("CLOSE c"));
    }
    process.counts("portcullis_refusals_total{policy=\"shop\",rule=\"block\"} 13");
    process.blocks.lift(&block.id).unwrap();
    for ((what, bytes, _), session) in uses().iter().zip(&mut sessions) {
        println!("{what}");
        session.passes(bytes);
    }
}

#[test]
fn what_differs_in_values_comments_and_case_only_is_the_same_statement() {
    let process = Process::new();
    let mut session = process.session(SHOP);
    process.block_text(BLOCKED);
    for text in [
        "SELECT note FROM orders WHERE id = 99999",
        "select\n\tNOTE from Orders where ID=-1;;",
        "/* a */ SELECT note FROM \"orders\" -- b\nWHERE id = 1",
        "SELECT 1; SELECT note FROM orders WHERE id = 2",
        "PREPARE n AS SELECT note FROM orders WHERE id = 2",
        "BEGIN; DECLARE n CURSOR FOR SELECT note FROM orders WHERE id = 2",
        "EXPLAIN ANALYZE SELECT note FROM orders WHERE id = 2",
    ] {
        println!("{text}");
        is_blocked(session.refused(&query(text), b'Q'));
    }
    let padded = format!("SELECT note FROM orders /* {} */ WHERE id = 1", "x".repeat(130 << 10));
    is_blocked(session.refused(&query(&padded), b'Q'));
    // What it does not stop, as the manual says: another statement that does the same.
    for text in [
        "SELECT note FROM orders WHERE (id = 1)",
        "SELECT note FROM orders WHERE id = $1",
        "SELECT note, 1 FROM orders WHERE id = 1",
        "SELECT note FROM public.orders WHERE id = 1",
        "SELECT * FROM (SELECT note FROM orders WHERE id = 1) s",
    ] {
        session.passes(&parse("", text));
    }
}

#[test]
fn a_long_statement_runs_beside_a_block_and_one_made_before_is_made_again() {
    let process = Process::new();
    let mut session = process.session(SHOP);
    let long = format!("SELECT note FROM orders WHERE id IN ({}1)", "1, ".repeat(60_000));
    session.passes(&[parse("s", &long), sync()].concat());
    session.server(&frame(b'Z', b"I"));
    process.block_text(BLOCKED);
    let (sqlstate, message) = session.refused(&bind("", "s", &[]), b'P');
    assert_eq!(sqlstate, "42501");
    assert!(message.contains("can't be told"), "{message}");
    session.passes(&[sync(), query(&long)].concat());
    session.passes(&[parse("t", &long), bind("", "t", &[]), execute(""), sync()].concat());
}

#[test]
fn a_name_whose_statements_were_forgotten_is_refused_while_any_statement_is_blocked() {
    let process = Process::new();
    let mut session = process.session(SHOP);
    for column in 0..12 {
        session.passes(&[parse("s", &format!("SELECT {column}, note FROM orders")), sync()].concat());
    }
    session.passes(&[bind("", "s", &[]), sync()].concat());
    let block = process.block_text(BLOCKED);
    let (_, message) = session.refused(&bind("", "s", &[]), b'P');
    assert!(message.contains("close its name, or make it again"), "{message}");
    session.passes(&sync());
    process.blocks.lift(&block.id).unwrap();
    process.block("user", "somebody");
    session.passes(&[bind("", "s", &[]), sync()].concat());
}

#[test]
fn in_one_batch_only_what_was_made_last_stands_behind_a_name() {
    let process = Process::new();
    let mut session = process.session(SHOP);
    let batch = |text: &str| [parse("", text), bind("", "", &[]), execute(""), sync()].concat();
    session.passes(&batch(BLOCKED));
    process.block_text(BLOCKED);
    session.passes(&batch("SELECT 1"));
    assert_eq!(session.client(&batch(BLOCKED)).unwrap()[0], b'P');
    session.passes(&batch("SELECT 1"));
}

#[test]
fn a_blocked_user_is_heard_in_no_session() {
    let process = Process::new();
    let mut session = process.session(SHOP);
    prepared(&mut session, BLOCKED);
    process.block("user", "shop_boss");
    session.passes(&query("SELECT 1"));
    let block = process.block("user", "shop_app");
    let more = [("COMMIT", query("COMMIT"), b'Q'), ("FunctionCall", frame(b'F', &[0, 0, 3, 0xe8]), b'Q')];
    for (what, bytes, kind) in uses().into_iter().chain(more) {
        println!("{what}");
        let (sqlstate, message) = session.refused(&bytes, kind);
        assert_eq!(sqlstate, "42501");
        assert!(message.contains("user \"shop_app\" is blocked until 20"), "{message}");
        session.passes(&sync());
    }
    session.passes(&[frame(b'C', b"Ss\0"), frame(b'X', b"")].concat());
    process.blocks.lift(&block.id).unwrap();
    session.passes(&query("COMMIT"));
}

#[test]
fn terse_errors_do_not_tell_the_reason() {
    let process = Process::new();
    process.block_text(BLOCKED);
    let mut session = process.session(&format!("{SHOP}errors: terse\n"));
    let (sqlstate, message) = session.refused(&query(BLOCKED), b'Q');
    assert_eq!((sqlstate.as_str(), message.as_str()), ("42501", "statement refused"));
}

#[test]
fn observed_sessions_pass_and_are_counted() {
    for kind in ["hash", "user"] {
        let process = Process::new();
        let mut session = process.session(&SHOP.replace("search_path", "mode: observe\nsearch_path"));
        prepared(&mut session, BLOCKED);
        assert_eq!(process.would_refuse(), 0);
        match kind {
            "hash" => process.block_text(BLOCKED),
            _ => process.block("user", "shop_app"),
        };
        for (what, bytes, _) in uses() {
            println!("{kind}: {what}");
            session.passes(&bytes);
        }
        assert_eq!(process.would_refuse(), 6, "Query, Parse, EXECUTE, FETCH, MOVE and EXPLAIN");
        session.passes(&frame(b'F', &[0, 0, 3, 0xe8, 0, 0, 0, 0, 0, 0]));
        session.passes(&frame(b'Q', b"SELEC\0"));
    }
}

#[test]
fn what_the_policy_refuses_anyway_is_refused_by_the_policy() {
    let process = Process::new();
    let mut session = process.session(SHOP);
    process.block_text("DROP TABLE orders");
    let (_, message) = session.refused(&query("DROP TABLE orders"), b'Q');
    assert!(!message.contains("blocked"), "{message}");
}

#[test]
fn a_verdict_judged_during_a_block_is_not_remembered_beyond_it() {
    let process = Process::new();
    let mut session = process.session(SHOP);
    let block = process.block_text(BLOCKED);
    for _ in 0..2 {
        is_blocked(session.refused(&query(BLOCKED), b'Q'));
    }
    process.blocks.lift(&block.id).unwrap();
    session.passes(&query(BLOCKED));
    session.passes(&query(BLOCKED));
    process.block_text(BLOCKED);
    is_blocked(session.refused(&query(BLOCKED), b'Q'));
}

#[test]
fn what_a_blocked_user_executed_is_not_committed_by_a_sync() {
    for blocked in [true, false] {
        let process = Process::new();
        let mut session = process.session(SHOP);
        let insert = [parse("", "INSERT INTO orders VALUES (1)"), bind("", "", &[]), execute("")].concat();
        session.passes(&insert);
        session.passes(&frame(b'H', b""));
        if blocked {
            process.block("user", "shop_app");
            let sent = session.client(&sync()).unwrap();
            let text = String::from_utf8_lossy(&sent).into_owned();
            assert!(sent.first() == Some(&b'P') && text.contains("portcullis refused"), "{text}");
            assert!(sent.ends_with(&sync()), "{text}");
            let start = text.find("\"portcullis refused ").unwrap();
            let poison = text.get(start..start + 47).unwrap();
            let theirs = format!("SERROR\0VERROR\0C42601\0Msyntax error at or near {poison}\0P1\0\0");
            let told = session.server(&frame(b'E', theirs.as_bytes()));
            assert!(String::from_utf8_lossy(&told).contains("is blocked until"), "{told:?}");
            session.server(&frame(b'Z', b"I"));
        }
        // Nothing was executed since: a pool may ask whether the session lives, and close its statements.
        if !blocked {
            session.passes(&sync());
        }
        session.passes(&[sync(), frame(b'C', b"S\0"), sync()].concat());
    }
}
