//! Transcripts of sessions, without a socket: what the client sends, what may pass, what goes out instead.

mod blocks;
mod decoys;
mod fastpath;
mod names;
mod pairing;
mod probing;
mod renew;
mod source;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::detect::Technique;
use crate::metrics::Metrics;
use crate::policy::{self, Arrival, Identity};
use crate::session::quarantine::Quarantine;
use crate::sql::Group;
use crate::wire::backend::error_fields;

mod framing;
mod grammar;
mod types;

pub(in crate::session) const SHOP: &str = "
policy: shop
applies_to: {users: [shop_app]}
search_path: [public]
allow:
  - {rule: data, actions: [select, insert, update, delete], tables: ['*']}
  - {rule: tenant, actions: [set], settings: ['app.*']}
  - {rule: past, actions: [truncate], tables: [orders], when: {until: 2020-01-01T00:00:00Z}}
";

const WATCHED: &str = "
policy: watched
applies_to: {users: ['*']}
mode: observe
";

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend(i32::try_from(body.len() + 4).unwrap().to_be_bytes());
    frame.extend(body);
    frame
}

fn query(text: &str) -> Vec<u8> {
    frame(b'Q', format!("{text}\0").as_bytes())
}

fn parse(name: &str, text: &str) -> Vec<u8> {
    frame(b'P', format!("{name}\0{text}\0\0\0").as_bytes())
}

fn bind(portal: &str, statement: &str, values: &[&str]) -> Vec<u8> {
    let mut body = format!("{portal}\0{statement}\0\0\0").into_bytes();
    body.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
    for value in values {
        body.extend(i32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(value.as_bytes());
    }
    body.extend([0, 0]);
    frame(b'B', &body)
}

fn execute(portal: &str) -> Vec<u8> {
    frame(b'E', format!("{portal}\0\0\0\0\0").as_bytes())
}

fn sync() -> Vec<u8> {
    frame(b'S', b"")
}

fn set(policy: &str) -> policy::PolicySet {
    policy::load_text("p.yaml", policy).unwrap()
}

/// An engine under these policies, just authenticated.
pub(in crate::session) fn engine(policy: &str, replication: bool) -> Engine {
    let policy = Arc::new(set(policy)).admit(&identity(replication)).unwrap();
    engine_admitted(policy, replication)
}

fn identity(replication: bool) -> Identity {
    Identity {
        user: "shop_app".into(),
        database: "shop".into(),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        tls: false,
        replication,
        arrival: Arrival::default(),
    }
}

fn metrics() -> Arc<Metrics> {
    let groups: &'static [&'static str] = Vec::leak(Group::ALL.iter().map(|group| group.as_str()).collect());
    let techniques: &'static [&'static str] = Vec::leak(Technique::ALL.iter().map(|t| t.as_str()).collect());
    Arc::new(Metrics::new(groups, techniques))
}

fn engine_admitted(admission: impl Into<Admission>, replication: bool) -> Engine {
    let metrics = metrics();
    let quarantine = Arc::new(Quarantine::new(Duration::from_secs(900), Arc::clone(&metrics)));
    engine_with(admission, &identity(replication), &metrics, quarantine)
}

fn engine_of(policy: &str, identity: &Identity, metrics: &Arc<Metrics>, quarantine: Arc<Quarantine>) -> Engine {
    let policy = Arc::new(set(policy)).admit(identity).unwrap();
    engine_with(policy, identity, metrics, quarantine)
}

fn engine_with(
    admission: impl Into<Admission>,
    identity: &Identity,
    metrics: &Arc<Metrics>,
    quarantine: Arc<Quarantine>,
) -> Engine {
    let tell = Teller::new(Arc::clone(metrics), identity, 1);
    let blocks = Arc::new(crate::blocks::Blocks::in_memory(Arc::clone(metrics)));
    engine_blocking(admission, identity, tell, quarantine, blocks)
}

fn engine_blocking(
    admission: impl Into<Admission>,
    identity: &Identity,
    tell: Teller,
    quarantine: Arc<Quarantine>,
    blocks: Arc<crate::blocks::Blocks>,
) -> Engine {
    let cache = Arc::new(Cache::new(1 << 20, 64 << 20));
    let blocks = crate::blocks::Watch::new(blocks, &identity.user);
    Engine::new(admission, tell, cache, Watch::new(quarantine, identity), blocks, identity.replication, false)
}

struct Session {
    engine: Engine,
}

impl Session {
    fn new(policy: &str) -> Session {
        Session::with(policy, false)
    }

    fn with(policy: &str, replication: bool) -> Session {
        Session::of(engine(policy, replication))
    }

    fn of(engine: Engine) -> Session {
        let mut session = Session { engine };
        session.server(&frame(b'S', b"client_encoding\0UTF8\0"));
        session.server(&frame(b'S', b"standard_conforming_strings\0on\0"));
        session.server(&frame(b'Z', b"I"));
        session
    }

    /// What goes to the server for these bytes, all there at once; the tail of an unfinished frame waits.
    fn client(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>, End> {
        let mut out = Vec::new();
        loop {
            let mut insert = Vec::new();
            let Look { pass, then } = self.engine.client(bytes, &mut insert);
            out.extend(&bytes[..pass]);
            out.extend(insert);
            bytes = &bytes[pass..];
            match then {
                Then::More { .. } => return Ok(out),
                Then::Replace { skip } => bytes = &bytes[skip.min(bytes.len())..],
                Then::End(end) => return Err(end),
            }
        }
    }

    fn server(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let mut insert = Vec::new();
            let Look { pass, then } = self.engine.server(bytes, &mut insert);
            out.extend(&bytes[..pass]);
            out.extend(insert);
            bytes = &bytes[pass..];
            match then {
                Then::More { .. } => return out,
                Then::Replace { skip } => bytes = &bytes[skip..],
                Then::End(end) => panic!("{end}"),
            }
        }
    }

    fn passes(&mut self, bytes: &[u8]) {
        assert_eq!(self.client(bytes).unwrap(), bytes, "passes untouched: {}", String::from_utf8_lossy(bytes));
    }

    /// The frame is replaced by poison of this type; what the client is told: SQLSTATE and message.
    fn refused(&mut self, bytes: &[u8], kind: u8) -> (String, String) {
        let sent = self.client(bytes).unwrap();
        let text = String::from_utf8_lossy(&sent).into_owned();
        assert_eq!(char::from(sent[0]), char::from(kind), "{text}");
        let start = text.find("\"portcullis refused ").unwrap_or_else(|| panic!("no poison in {text:?}"));
        let poison = text.get(start..start + 47).unwrap();
        let theirs = format!("SERROR\0VERROR\0C42601\0Msyntax error at or near {poison}\0P1\0\0");
        let told = self.server(&frame(b'E', theirs.as_bytes()));
        let field = |letter| {
            let (_, value) = error_fields(&told[5..]).find(|(kind, _)| *kind == letter).unwrap();
            String::from_utf8(value.to_vec()).unwrap()
        };
        (field(b'C'), field(b'M'))
    }
}

#[test]
fn what_the_policy_allows_passes_byte_for_byte() {
    let mut session = Session::new(SHOP);
    session.passes(&query("SELECT * FROM orders"));
    let batch = [parse("", "INSERT INTO orders VALUES ($1)"), bind("", "", &["1"]), execute(""), sync()].concat();
    session.passes(&batch);
    session.passes(&frame(b'd', b"data"));
    session.passes(&frame(b'X', b""));
}

#[test]
fn a_refused_query_is_replaced_and_reworded() {
    let mut session = Session::new(SHOP);
    let (sqlstate, message) = session.refused(&query("DROP TABLE orders"), b'Q');
    assert_eq!(sqlstate, "42501");
    assert!(message.starts_with("statement refused by policy \"shop\": "), "{message}");
    session.passes(&query("SELECT 1"));
}

#[test]
fn every_way_to_ask_is_judged() {
    let mut session = Session::new(SHOP);
    assert_eq!(session.refused(&parse("s", "TRUNCATE orders"), b'P').0, "42501");
    session.passes(&sync());
    assert_eq!(session.refused(&frame(b'F', &[0, 0, 3, 0xe8, 0, 0, 0, 0, 0, 0]), b'Q').0, "42501");
    assert_eq!(session.refused(&query("SELECT 1; DROP TABLE orders"), b'Q').0, "42501");
    assert_eq!(
        session.refused(&query("EXPLAIN ANALYZE TRUNCATE orders"), b'Q').0,
        "42601",
        "not a statement to explain"
    );
}

#[test]
fn a_poisoned_parse_keeps_its_name() {
    let mut session = Session::new(SHOP);
    let sent = session.client(&parse("s1", "DROP TABLE orders")).unwrap();
    assert_eq!(&sent[5..8], b"s1\0");
}

#[test]
fn the_rest_of_a_poisoned_pipeline_passes_and_is_skipped_by_the_server() {
    let mut session = Session::new(SHOP);
    let rest = [bind("", "s1", &[]), execute(""), sync()].concat();
    let sent = session.client(&[parse("s1", "DROP TABLE orders"), rest.clone()].concat()).unwrap();
    assert!(sent.ends_with(&rest));
    let sent = session.client(&bind("", "s1", &[])).unwrap();
    assert_eq!(sent[0], b'P', "behind Sync the name is unknown again");
}

#[test]
fn a_name_that_was_never_made_is_refused_as_the_server_would() {
    let mut session = Session::new(SHOP);
    let (sqlstate, message) = session.refused(&bind("", "nope", &[]), b'P');
    assert_eq!((sqlstate.as_str(), message.as_str()), ("26000", "prepared statement \"nope\" does not exist"));
    session.passes(&sync());
    let (sqlstate, message) = session.refused(&execute("c"), b'P');
    assert_eq!((sqlstate.as_str(), message.as_str()), ("34000", "portal \"c\" does not exist"));
    session.passes(&sync());
    assert_eq!(session.refused(&query("EXECUTE nope"), b'Q').0, "26000");
    assert_eq!(session.refused(&query("FETCH ALL FROM c"), b'Q').0, "34000");
}

#[test]
fn sql_and_protocol_share_their_names() {
    let mut session = Session::new(SHOP);
    session.passes(&query("PREPARE p1 AS SELECT 1"));
    session.passes(&[bind("", "p1", &[]), execute(""), sync()].concat());
    session.passes(&[parse("w1", "SELECT 1"), sync()].concat());
    session.passes(&query("EXECUTE w1"));
    session.passes(&query("BEGIN; DECLARE k CURSOR FOR SELECT 1"));
    session.passes(&[execute("k"), sync()].concat());
    session.passes(&query("PREPARE p2 AS SELECT 2; EXECUTE p2"));
}

#[test]
fn a_closed_name_is_forgotten_once_the_server_says_so() {
    let mut session = Session::new(SHOP);
    session.passes(&[parse("s1", "SELECT 1"), sync()].concat());
    session.server(&[frame(b'1', b""), frame(b'Z', b"I")].concat());
    session.passes(&[frame(b'C', b"Ss1\0"), sync()].concat());
    session.passes(&bind("", "s1", &[]));
    session.server(&[frame(b'3', b""), frame(b'Z', b"I")].concat());
    assert_eq!(session.refused(&bind("", "s1", &[]), b'P').0, "26000");
}

#[test]
fn portals_end_with_their_transaction() {
    let mut session = Session::new(SHOP);
    session.passes(&query("BEGIN; DECLARE a CURSOR FOR SELECT 1; DECLARE b CURSOR WITH HOLD FOR SELECT 1"));
    session.server(&frame(b'Z', b"T"));
    session.passes(&query("FETCH a"));
    session.server(&frame(b'Z', b"T"));
    session.passes(&query("COMMIT"));
    session.server(&frame(b'Z', b"I"));
    assert_eq!(session.refused(&query("FETCH a"), b'Q').0, "34000");
    session.passes(&query("FETCH b"));
}

#[test]
fn bound_settings_are_judged_at_bind() {
    let mut session = Session::new(SHOP);
    session.passes(&parse("s", "SELECT set_config($1, $2, true)"));
    session.passes(&bind("", "s", &["app.tenant", "42"]));
    assert_eq!(session.refused(&bind("", "s", &["role", "boss"]), b'P').0, "42501");
    session.passes(&sync());
    assert_eq!(session.refused(&bind("", "s", &["search_path", "evil"]), b'P').0, "42501");
    session.passes(&sync());
    assert_eq!(session.refused(&query("EXECUTE s('role', 'boss')"), b'Q').0, "42501");
    assert_eq!(session.refused(&query("SELECT set_config('role', 'boss', false)"), b'Q').0, "42501");
}

#[test]
fn a_syntax_error_is_the_servers_own() {
    let mut session = Session::new(SHOP);
    let (sqlstate, message) = session.refused(&query("SELEC 1"), b'Q');
    assert_eq!((sqlstate.as_str(), message.as_str()), ("42601", "syntax error at or near \"SELEC\""));
}

#[test]
fn malformed_bodies_are_refused_as_protocol_violations() {
    let mut session = Session::new(SHOP);
    assert_eq!(session.refused(&frame(b'Q', b"SELECT 1\0DROP TABLE orders\0"), b'Q').0, "08P01");
    assert_eq!(session.refused(&frame(b'Q', b"SELECT 1"), b'Q').0, "08P01");
    assert_eq!(session.refused(&frame(b'P', b"s\0SELECT 1\0"), b'P').0, "08P01");
    session.passes(&sync());
    assert_eq!(session.refused(&frame(b'B', b"no end"), b'P').0, "08P01");
}

#[test]
fn bytes_that_do_not_convert_are_refused() {
    let mut session = Session::new(SHOP);
    assert_eq!(session.refused(&frame(b'Q', b"SELECT '\xff'\0"), b'Q').0, "22021");
    session.passes(&query("SELECT 'ä'"));
}

#[test]
fn while_the_encoding_changes_only_ascii_can_be_judged() {
    let mut session = Session::new(SHOP);
    session.passes(&query("SET client_encoding = LATIN1"));
    assert_eq!(session.refused(&query("SELECT 'ä'"), b'Q').0, "22021");
    session.passes(&query("SELECT 'a'"));
    session.server(&frame(b'S', b"client_encoding\0LATIN1\0"));
    session.server(&frame(b'Z', b"I"));
    session.passes(&frame(b'Q', b"SELECT '\xe4'\0"));
    assert_eq!(session.refused(&query("SET client_encoding = SJIS"), b'Q').0, "42501");
}

#[test]
fn types_that_have_no_place_end_the_session() {
    for kind in [b'p', b'z', 0] {
        let end = Session::new(SHOP).client(&frame(kind, b"x")).unwrap_err();
        assert!(matches!(end, End::Fatal { sqlstate: "08P01", .. }), "{end:?}");
    }
}

#[test]
fn impossible_lengths_end_the_session_without_a_word() {
    for length in [3i32, 0, -5, i32::MAX] {
        for policy in [SHOP, WATCHED] {
            let bytes = [&b"Q"[..], &length.to_be_bytes()].concat();
            let end = Session::new(policy).client(&bytes).unwrap_err();
            assert!(matches!(end, End::ImpossibleLength(_)) && end.farewell().is_none());
        }
    }
    let bytes = [&b"S"[..], &20_000i32.to_be_bytes()].concat();
    assert!(matches!(Session::new(SHOP).client(&bytes).unwrap_err(), End::ImpossibleLength(_)));
}

#[test]
fn a_statement_that_is_too_long_is_refused_before_it_arrives() {
    let mut session = Session::new(SHOP);
    let length: i32 = (1 << 20) + 2000;
    let mut insert = Vec::new();
    let bytes = [&b"Q"[..], &length.to_be_bytes(), b"SELECT"].concat();
    let look = session.engine.client(&bytes, &mut insert);
    assert_eq!(look, Look { pass: 0, then: Then::Replace { skip: (1 << 20) + 2001 } });
    assert!(insert.starts_with(b"Q"));
}

#[test]
fn the_types_of_a_parse_are_no_part_of_its_text() {
    let mut session = Session::new(SHOP);
    let text = format!("SELECT {}1", " ".repeat((1 << 20) - 8));
    assert_eq!(text.len(), 1 << 20);
    let types = [&u16::MAX.to_be_bytes()[..], &[0, 0, 0, 23].repeat(usize::from(u16::MAX))].concat();
    let frame = frame(b'P', &[b"s\0", text.as_bytes(), &[0], &types].concat());
    let mut insert = Vec::new();
    assert_eq!(session.engine.client(&frame, &mut insert).pass, frame.len());
    assert!(insert.is_empty());
}

#[test]
fn one_byte_at_a_time_comes_to_the_same() {
    let mut session = Session::new(SHOP);
    let batch = [
        query("SELECT 1"),
        parse("s", "INSERT INTO orders VALUES ($1)"),
        bind("", "s", &["ä"]),
        execute(""),
        sync(),
        frame(b'd', b"data"),
    ]
    .concat();
    let (mut out, mut waiting) = (Vec::new(), Vec::new());
    for byte in &batch {
        waiting.push(*byte);
        let mut insert = Vec::new();
        let Look { pass, then } = session.engine.client(&waiting, &mut insert);
        assert!(matches!(then, Then::More { .. }) && insert.is_empty());
        out.extend(waiting.drain(..pass));
    }
    assert_eq!(out, batch);
    let mut refused = Session::new(SHOP);
    let mut waiting = Vec::new();
    let mut thens = Vec::new();
    for byte in query("DROP TABLE orders") {
        waiting.push(byte);
        let Look { pass, then } = refused.engine.client(&waiting, &mut Vec::new());
        assert_eq!(pass, 0, "nothing of a frame goes out before its verdict");
        thens.push(then);
    }
    assert_eq!(thens.pop(), Some(Then::Replace { skip: waiting.len() }));
    assert!(thens.iter().all(|then| matches!(then, Then::More { .. })));
}

#[test]
fn observed_sessions_change_not_a_byte() {
    let mut session = Session::new(WATCHED);
    for bytes in [
        query("DROP TABLE orders"),
        query("SELEC"),
        frame(b'Q', b"SELECT '\xff'\0"),
        frame(b'Q', b"SELECT 1\0DROP TABLE orders\0"),
        frame(b'Q', b"no end"),
        parse("s", "SET ROLE boss"),
        bind("p", "never made", &[]),
        execute("nor this"),
        frame(b'F', &[0, 0, 3, 0xe8, 0, 0, 0, 0, 0, 0]),
        frame(b'F', b""),
        frame(b'z', b"what?"),
        frame(b'B', b"no end"),
        frame(b'D', b"X"),
        query(&format!("SELECT '{}'", "x".repeat(1 << 20))),
        sync(),
    ] {
        session.passes(&bytes);
    }
    let theirs = frame(b'E', b"SERROR\0C42601\0M\"portcullis refused 01JD3ZZZZZZZZZZZZZZZZZZZZZ\"\0\0");
    assert_eq!(session.server(&theirs), theirs);
}

#[test]
fn a_guarded_setting_that_moved_ends_the_session() {
    let mut session = Session::new(SHOP);
    let mut insert = Vec::new();
    let status = frame(b'S', b"standard_conforming_strings\0off\0");
    let look = session.engine.server(&status, &mut insert);
    assert!(matches!(look.then, Then::End(End::Fatal { sqlstate: "57P01", .. })), "{look:?}");
    assert_eq!(Session::new(WATCHED).server(&status), status);
}

#[test]
fn replication_commands_are_judged_as_such() {
    let policy = "
policy: standby
applies_to: {users: [shop_app], replication: true}
allow: [{rule: stream, actions: [replication], objects: [identify_system]}]
";
    let mut session = Session::with(policy, true);
    session.passes(&query("IDENTIFY_SYSTEM"));
    assert_eq!(session.refused(&query("BASE_BACKUP"), b'Q').0, "42501");
    assert_eq!(session.refused(&query("INSERT INTO orders VALUES (1)"), b'Q').0, "42501");
}

/// A statement whose verdict depends on what is bound stands behind `s`.
fn with_conditional() -> Session {
    with_conditional_under(SHOP)
}

fn with_conditional_under(policy: &str) -> Session {
    let mut session = Session::new(policy);
    session.passes(&[parse("s", "SELECT set_config($1, $2, true)"), sync()].concat());
    session.server(&[frame(b'1', b""), frame(b'Z', b"I")].concat());
    session
}

/// `s` still stands for the conditional statement: a harmless Parse of the same name, which the server refuses, does not
/// wash it clean.
fn still_conditional(session: &mut Session) {
    session.passes(&[parse("s", "SELECT $1::text, $2::text"), sync()].concat());
    session.server(&[frame(b'E', b"SERROR\0C42P05\0Malready exists\0\0"), frame(b'Z', b"I")].concat());
    assert_eq!(session.refused(&bind("", "s", &["role", "boss"]), b'P').0, "42501");
}

const FAILED: &[u8] = b"SERROR\0C22012\0Mdivision by zero\0\0";

#[test]
fn a_close_behind_a_query_that_the_server_skipped_does_not_count() {
    let mut session = with_conditional();
    session.passes(&[parse("", "SELECT 1/0"), query("SELECT 1"), frame(b'C', b"Ss\0"), sync()].concat());
    // The server skips to Sync: one ReadyForQuery, not two.
    session.server(&[frame(b'E', FAILED), frame(b'Z', b"I")].concat());
    session.passes(&[frame(b'C', b"Snever made\0"), sync()].concat());
    session.server(&[frame(b'3', b""), frame(b'Z', b"I")].concat());
    still_conditional(&mut session);
}

#[test]
fn a_close_behind_a_sync_that_copy_in_ignored_does_not_count() {
    let mut session = with_conditional_under(&SHOP.replace("delete]", "delete, copy_from]"));
    session.passes(&[parse("", "COPY orders FROM STDIN"), bind("", "", &[]), execute(""), sync(), sync()].concat());
    session.server(&frame(b'G', &[0, 0, 0]));
    session.passes(&[frame(b'f', b"no\0"), sync()].concat());
    session.server(&[frame(b'E', FAILED), frame(b'Z', b"I")].concat());
    session.passes(&[parse("", "SELECT 1/0"), frame(b'C', b"Ss\0"), sync()].concat());
    session.server(&[frame(b'E', FAILED), frame(b'Z', b"I")].concat());
    session.passes(&[frame(b'C', b"Snever made\0"), sync()].concat());
    session.server(&[frame(b'3', b""), frame(b'Z', b"I")].concat());
    still_conditional(&mut session);
}

#[test]
fn a_close_is_settled_again_after_a_copy_in_with_an_early_sync() {
    let policy = SHOP.replace("delete]", "delete, copy_from]");
    let mut session = Session::new(&policy);
    // As libpq does it: Sync right behind Execute, and one more behind CopyDone.
    session.passes(&[parse("", "COPY orders FROM STDIN"), bind("", "", &[]), execute(""), sync()].concat());
    session.server(&[frame(b'1', b""), frame(b'2', b""), frame(b'G', &[0, 0, 0])].concat());
    session.passes(&[frame(b'd', b"1\n"), frame(b'c', b""), sync()].concat());
    session.server(&[frame(b'C', b"COPY 1\0"), frame(b'Z', b"I")].concat());
    session.passes(&[parse("s1", "SELECT 1"), frame(b'C', b"Ss1\0"), sync()].concat());
    session.server(&[frame(b'1', b""), frame(b'3', b""), frame(b'Z', b"I")].concat());
    assert_eq!(session.refused(&bind("", "s1", &[]), b'P').0, "26000");
}

#[test]
fn more_requests_than_are_remembered_settle_nothing_wrongly() {
    for more in 4085..4100 {
        let mut session = with_conditional();
        session.passes(&[frame(b'C', b"Snever made\0"), sync()].concat());
        // The server fails at the Parse and skips the Close behind it.
        session.passes(&[parse("", "SELECT 1/0"), frame(b'C', b"Ss\0"), sync()].concat());
        session.passes(&sync().repeat(more));
        session.server(&[frame(b'3', b""), frame(b'Z', b"I"), frame(b'E', FAILED)].concat());
        session.server(&frame(b'Z', b"I").repeat(more + 1));
        still_conditional(&mut session);
        session.server(&frame(b'E', FAILED));
        session.passes(&sync());
        session.server(&frame(b'Z', b"I"));
        // All are answered: from here on closing counts again.
        session.passes(&[frame(b'C', b"Ss\0"), sync()].concat());
        session.server(&[frame(b'3', b""), frame(b'Z', b"I")].concat());
        assert_eq!(session.refused(&bind("", "s", &[]), b'P').0, "26000");
    }
}

#[test]
fn a_deallocate_that_was_only_parsed_does_not_count() {
    let mut session = with_conditional();
    session.passes(&[parse("other", "DEALLOCATE x"), sync()].concat());
    session.server(&[frame(b'1', b""), frame(b'Z', b"I")].concat());
    session.passes(&[parse("this", "DEALLOCATE s"), bind("", "other", &[]), execute(""), sync()].concat());
    session.server(&[frame(b'1', b""), frame(b'2', b""), frame(b'C', b"DEALLOCATE\0"), frame(b'Z', b"I")].concat());
    still_conditional(&mut session);
}

#[test]
fn closing_a_name_that_the_server_cuts_elsewhere_forgets_no_other() {
    let mut session = Session::new(SHOP);
    let name = "n".repeat(62);
    session.passes(&[parse(&name, "SELECT set_config($1, $2, true)"), sync()].concat());
    session.server(&[frame(b'1', b""), frame(b'Z', b"I")].concat());
    // A protocol-level name is cut at a byte, in the middle of this character: to the server another name.
    session.passes(&[frame(b'C', format!("S{name}ä\0").as_bytes()), sync()].concat());
    session.server(&[frame(b'3', b""), frame(b'Z', b"I")].concat());
    session.passes(&[parse(&format!("{name}Ω"), "SELECT $1::text, $2::text"), sync()].concat());
    session.server(&[frame(b'1', b""), frame(b'Z', b"I")].concat());
    assert_eq!(session.refused(&bind("", &name, &["role", "boss"]), b'P').0, "42501");
}

const TIMED: &str = "
policy: shop
applies_to: {users: [shop_app]}
allow:
  - {rule: hours, actions: [select, insert], when: {until: 2999-01-01T00:00:00Z}}
";

#[test]
fn unnamed_statements_follow_one_another_without_end() {
    let mut session = Session::new(TIMED);
    for n in 0..20 {
        session.passes(&[parse("", &format!("SELECT {n} FROM t{n}")), bind("", "", &[]), execute(""), sync()].concat());
        session.server(&[frame(b'1', b""), frame(b'2', b""), frame(b'Z', b"I")].concat());
    }
    // And in one batch.
    for n in 0..20 {
        session.passes(&[parse("", &format!("SELECT {n} FROM t{n}")), bind("", "", &[]), execute("")].concat());
    }
    session.passes(&sync());
}

#[test]
fn a_failed_batch_leaves_the_older_unnamed_statement_possible() {
    let mut session = Session::new(SHOP);
    session.passes(&[parse("", "SELECT set_config($1, $2, true)"), sync()].concat());
    session.server(&[frame(b'1', b""), frame(b'Z', b"I")].concat());
    // The server fails before it reads the second unnamed statement.
    session.passes(&[parse("bad", "SELECT 1/0"), parse("", "SELECT $1::text, $2::text"), sync()].concat());
    session.server(&[frame(b'E', FAILED), frame(b'Z', b"I")].concat());
    assert_eq!(session.refused(&bind("", "", &["role", "boss"]), b'P').0, "42501");
}

#[test]
fn a_portal_that_changes_the_encoding_does_so_when_it_runs() {
    let mut session = Session::new(SHOP);
    session.passes(&query("BEGIN"));
    session.server(&frame(b'Z', b"T"));
    session.passes(&[parse("", "SET client_encoding = LATIN1"), bind("p", "", &[]), sync()].concat());
    session.server(&[frame(b'1', b""), frame(b'2', b""), frame(b'Z', b"T")].concat());
    session.passes(&execute("p"));
    assert_eq!(session.refused(&parse("", "SELECT 'ä'"), b'P').0, "22021");

    let mut session = Session::new(SHOP);
    session.passes(&query("BEGIN; DECLARE c CURSOR FOR SELECT set_config('client_encoding', 'LATIN1', false)"));
    session.server(&frame(b'Z', b"T"));
    session.passes(&query("FETCH c"));
    assert_eq!(session.refused(&query("SELECT 'ä'"), b'Q').0, "22021");
}

#[test]
fn an_encoding_that_a_transaction_may_take_back_is_certain_only_between_answers() {
    let mut session = Session::new(SHOP);
    session.passes(&query("BEGIN"));
    session.server(&frame(b'Z', b"T"));
    session.passes(&query("SET client_encoding = LATIN1"));
    session.server(&[frame(b'S', b"client_encoding\0LATIN1\0"), frame(b'Z', b"T")].concat());
    session.passes(&frame(b'Q', b"SELECT '\xe4'\0"));
    session.server(&frame(b'Z', b"T"));
    session.passes(&query("ROLLBACK"));
    assert_eq!(session.refused(&query("SELECT * FROM \"ä\""), b'Q').0, "22021");
    session.server(&[frame(b'S', b"client_encoding\0UTF8\0"), frame(b'Z', b"I"), frame(b'Z', b"I")].concat());
    session.passes(&query("SELECT * FROM \"ä\""));
    session.passes(&query("SELECT * FROM \"ä\""));
}

#[test]
fn a_held_cursor_that_was_closed_is_forgotten() {
    let mut session = Session::new(SHOP);
    session.passes(&query("DECLARE c CURSOR WITH HOLD FOR SELECT 1"));
    session.server(&frame(b'Z', b"I"));
    session.passes(&query("CLOSE c"));
    session.server(&[frame(b'C', b"CLOSE CURSOR\0"), frame(b'Z', b"I")].concat());
    assert_eq!(session.refused(&query("FETCH c"), b'Q').0, "34000");
    session.server(&frame(b'Z', b"I"));
    session.passes(&query("DECLARE c CURSOR WITH HOLD FOR SELECT 1"));
    session.server(&frame(b'Z', b"I"));
    session.passes(&query("CLOSE ALL"));
    session.server(&[frame(b'C', b"CLOSE CURSOR ALL\0"), frame(b'Z', b"I")].concat());
    assert_eq!(session.refused(&query("FETCH c"), b'Q').0, "34000");
}

#[test]
fn a_text_that_two_parsers_read_differently_is_refused_unless_the_policy_observes() {
    // An output name for PostgreSQL; for the other parser a collation called `FROM`.
    let text = query("SELECT id COLLATE FROM orders");
    let mut session = Session::new(SHOP);
    // Texts that came before are remembered: the disagreement is not forgotten over it.
    for _ in 0..2 {
        let (sqlstate, message) = session.refused(&text, b'Q');
        assert_eq!(sqlstate, "42501");
        assert_eq!(message, "statement refused by policy \"shop\": two parsers read the statement differently");
    }
    Session::new(&format!("{SHOP}on_disagreement: observe\n")).passes(&text);
    Session::new(WATCHED).passes(&text);
}
