//! The session's guards in front of a server that would do anything: superusers whom nothing but the firewall stops. Each
//! attack is tried, and then the session itself is asked what it has become.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use common::wire::{Client, Frame, bind, error, execute, frame, parse, query, status, sync};
use common::{Cluster, Firewall, firewall};

/// Everything is allowed, so that what is refused is refused by a guard.
const POLICIES: &str = r#"
policy: wide
applies_to: {users: [wide]}
search_path: [public]
pin: {work_mem: 8MB, DateStyle: "ISO, MDY"}
allow:
  - {rule: everything, actions: [all]}
  - {rule: anything, actions: [set], settings: ["*"]}
---
policy: fenced
applies_to: {users: [fenced]}
search_path: [public]
pin: {default_transaction_read_only: on}
allow:
  - {rule: everything, actions: [all]}
  - {rule: anything, actions: [set], settings: ["*"]}
---
policy: columns
applies_to: {users: [columns]}
search_path: [public]
allow: [{rule: everything, actions: [all]}]
deny: [{rule: secret, columns: [users.ssn]}]
---
policy: caller
applies_to: {users: [caller]}
search_path: [public]
allow:
  - {rule: read, actions: [select], tables: ["*"]}
  - {rule: functions, actions: [call], functions: [trick, "leak*"]}
deny:
  - {rule: secret, columns: [users.ssn]}
  - {rule: cyrillic, tables: ['"ТА"']}
---
policy: watcher
applies_to: {users: [watcher]}
mode: observe
search_path: [public]
allow: [{rule: read, actions: [select], tables: ["*"]}]
"#;

/// The roles, and a function whose body the firewall can't see.
const SETUP: &str = r#"
CREATE ROLE boss SUPERUSER LOGIN;
CREATE ROLE wide SUPERUSER LOGIN;
CREATE ROLE fenced SUPERUSER LOGIN;
CREATE ROLE columns SUPERUSER LOGIN;
CREATE ROLE caller SUPERUSER LOGIN;
CREATE ROLE watcher SUPERUSER LOGIN;
CREATE ROLE "NONE" SUPERUSER;
CREATE SCHEMA evil;
CREATE FUNCTION trick(name text, value text) RETURNS text LANGUAGE plpgsql
    AS 'BEGIN RETURN set_config(name, value, false); END';
CREATE TABLE "ТА" (a text);
INSERT INTO "ТА" VALUES ('ssn-1');
"#;

/// The tables that attacks write to, as new.
const TABLES: &str = "DROP TABLE IF EXISTS users, log CASCADE;
CREATE TABLE users (id int PRIMARY KEY, name text, ssn text);
INSERT INTO users VALUES (1, 'ann', 'ssn-1'), (2, 'bob', 'ssn-2');
ANALYZE users;
CREATE TABLE log (id int, note text);
INSERT INTO log VALUES (1, 'one');";

/// Everything that a session guards, as the session sees it.
const STATE: &str = "SELECT concat_ws('|', current_user, session_user, current_setting('standard_conforming_strings'),
    current_setting('backslash_quote'), current_setting('client_encoding'), current_setting('search_path'),
    current_setting('role'), current_setting('session_replication_role'), current_setting('row_security'),
    current_setting('work_mem'), current_setting('DateStyle'), current_setting('default_transaction_read_only'),
    current_setting('transaction_read_only'))";

/// Everything that stays behind for later sessions.
const STORED: &str = "SELECT concat_ws('|', (SELECT string_agg(s::text, ';') FROM pg_db_role_setting s),
    (SELECT string_agg(name || setting, ';') FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'),
    (SELECT string_agg(proname || coalesce(proconfig::text, ''), ';' ORDER BY proname) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace),
    (SELECT string_agg(relname, ';' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace))";

struct Stand {
    cluster: Cluster,
    firewall: Firewall,
}

impl Stand {
    fn new() -> Stand {
        let cluster = Cluster::default();
        cluster.execute("shop", SETUP);
        cluster.execute("shop", TABLES);
        let firewall = Firewall::start(&cluster, firewall::Options::policy(POLICIES));
        Stand { cluster, firewall }
    }

    /// A superuser's own connection, past the firewall.
    fn direct(&self) -> Client {
        Client::login(self.cluster.port(), &[("user", "boss"), ("database", "shop")])
    }
}

/// The cases of a file: a session each, its messages apart by ` ;; `.
fn cases(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with("--"))
}

fn extended(sql: &str) -> Vec<u8> {
    [parse("", sql), bind("", "", &[]), execute(""), sync()].concat()
}

/// By Query, and by the extended protocol where each message is one statement.
fn protocols(case: &str) -> &'static [bool] {
    let alone = case.split(" ;; ").all(|message| !message.contains(';') || message.contains("$$"));
    if alone { &[false, true] } else { &[false] }
}

fn play(session: &mut Client, case: &str, by_extended: bool) -> Vec<Frame> {
    let message = |sql| if by_extended { extended(sql) } else { query(sql) };
    case.split(" ;; ").flat_map(|sql| session.ask(&message(sql))).collect()
}

fn is_refused(frames: &[Frame]) -> bool {
    frames.iter().any(|f| f.kind == b'E' && f.field('C') == "42501" && f.field('M').contains("refused by policy"))
}

/// What goes wrong when these attacks are tried as this user: one that is not refused, or that changed something.
fn failures(stand: &Stand, user: &str, attacks: &str) -> Vec<String> {
    let mut direct = stand.direct();
    let stored = direct.value(STORED);
    let mut failures = Vec::new();
    for case in cases(attacks) {
        for &by_extended in protocols(case) {
            let mut session = stand.firewall.session(user, "shop");
            let before = session.value(STATE);
            let frames = play(&mut session, case, by_extended);
            if !is_refused(&frames) {
                failures.push(format!("not refused (extended: {by_extended}): {case}\n  {frames:?}"));
            }
            if status(&frames) != 'E' {
                let after = session.value(STATE);
                if after != before {
                    failures.push(format!("changed: {case}\n  {before}\n  {after}"));
                }
            }
            session.ask(&query("ROLLBACK"));
            let after = session.value(STATE);
            if after != before {
                failures.push(format!("changed for good: {case}\n  {before}\n  {after}"));
            }
            let left = direct.value(STORED);
            if left != stored {
                failures.push(format!("left behind: {case}\n  {stored}\n  {left}"));
                return failures;
            }
        }
    }
    failures
}

#[test]
fn no_path_changes_what_is_guarded_or_pinned() {
    let stand = Stand::new();
    let failures = failures(&stand, "wide", include_str!("data/guards/settings.sql"));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn no_path_leads_through_a_pinned_read_only_fence() {
    let stand = Stand::new();
    let failures = failures(&stand, "fenced", include_str!("data/guards/fence.sql"));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn without_the_firewall_the_same_attacks_succeed() {
    let stand = Stand::new();
    let mut harmless = Vec::new();
    for case in cases(include_str!("data/guards/settings.sql")) {
        // What stays behind would change the sessions of the next ones.
        if ["ALTER", "CREATE", "INSERT", "UPDATE log", "DELETE"].iter().any(|word| case.contains(word)) {
            continue;
        }
        let mut session = Client::login(stand.cluster.port(), &[("user", "wide"), ("database", "shop")]);
        let before = session.value(STATE);
        let frames = play(&mut session, case, false);
        // A value that needs a transaction block, or a form that this server does not know, is tried all the same.
        let local = case.starts_with("SET LOCAL") || frames.iter().any(|frame| frame.kind == b'E');
        if !local && session.value(STATE) == before && !case.contains("\"$user\"") {
            harmless.push(case);
        }
    }
    assert!(harmless.is_empty(), "these attack nothing: {harmless:#?}");
}

#[test]
fn what_needs_no_rule_passes() {
    let stand = Stand::new();
    let mut failures = Vec::new();
    for user in ["wide", "fenced"] {
        for case in cases(include_str!("data/guards/harmless.sql")) {
            for &by_extended in protocols(case) {
                let mut session = stand.firewall.session(user, "shop");
                let frames = play(&mut session, case, by_extended);
                if let Some(error) = frames.iter().find(|frame| frame.kind == b'E') {
                    failures.push(format!("{user}, extended {by_extended}: {case}: {error:?}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_values_of_a_protected_column_never_come() {
    let stand = Stand::new();
    let mut failures = Vec::new();
    for case in cases(include_str!("data/guards/columns.sql")) {
        for by_extended in [false, true] {
            let mut session = stand.firewall.session("columns", "shop");
            let frames = play(&mut session, case, by_extended);
            if frames.iter().any(|frame| frame.text().contains("ssn-1")) || !is_refused(&frames) {
                failures.push(format!("extended {by_extended}: {case}: {frames:?}"));
            }
        }
        if ["CREATE", "ALTER", "INTO"].iter().any(|word| case.contains(word)) {
            stand.cluster.execute("shop", TABLES);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn what_does_not_touch_a_protected_column_passes() {
    let stand = Stand::new();
    let mut failures = Vec::new();
    for case in cases(include_str!("data/guards/columns_pass.sql")) {
        for by_extended in [false, true] {
            let mut session = stand.firewall.session("columns", "shop");
            // In a block that is never committed: each starts from the same tables.
            session.ask(&query("BEGIN"));
            let frames = play(&mut session, case, by_extended);
            if frames.iter().any(|frame| frame.kind == b'E' || frame.text().contains("ssn-1")) {
                failures.push(format!("extended {by_extended}: {case}: {frames:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_function_that_a_rule_admits_reads_the_whole_row_by_attribute_notation() {
    let stand = Stand::new();
    let leak = "CREATE FUNCTION leak(u users) RETURNS text LANGUAGE sql AS 'SELECT u.ssn'";
    stand.cluster.execute("shop", leak);
    let mut session = stand.firewall.session("caller", "shop");
    for sql in ["SELECT u.leak FROM users u", "SELECT users.leak FROM users", "SELECT leak(u) FROM users u"] {
        let frames = session.ask(&query(sql));
        assert!(is_refused(&frames), "{sql}: {frames:?}");
        assert!(!frames.iter().any(|frame| frame.kind == b'D'), "{sql}");
    }
    assert_eq!(session.value("SELECT u.name FROM users u WHERE id = 1"), "ann");
}

/// Bind with parameters of these types at Parse, all values in one format.
fn bound(sql: &str, types: &[u32], format: u16, values: &[Option<&str>]) -> Vec<u8> {
    let mut statement = [b"\0", sql.as_bytes(), b"\0"].concat();
    statement.extend(u16::try_from(types.len()).unwrap().to_be_bytes());
    statement.extend(types.iter().flat_map(|oid| oid.to_be_bytes()));
    let mut portal = vec![0, 0, 0, 1];
    portal.extend(format.to_be_bytes());
    portal.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
    for value in values {
        match value {
            Some(value) => {
                portal.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                portal.extend(value.as_bytes());
            }
            None => portal.extend((-1_i32).to_be_bytes()),
        }
    }
    portal.extend([0, 0]);
    [frame(b'P', &statement), frame(b'B', &portal), execute(""), sync()].concat()
}

#[test]
fn bound_values_are_judged_in_every_format_and_of_every_type() {
    const TEXT: u32 = 25;
    const VARCHAR: u32 = 1043;
    const UNKNOWN: u32 = 705;
    const NAME: u32 = 19;
    const BPCHAR: u32 = 1042;
    const CSTRING: u32 = 2275;
    let stand = Stand::new();
    let mut failures = Vec::new();
    for (name, value) in [
        ("standard_conforming_strings", "off"),
        ("Standard_Conforming_Strings", "0"),
        ("role", "boss"),
        ("role", "NONE"),
        ("search_path", "evil"),
        ("client_encoding", "SJIS"),
        ("session_authorization", "boss"),
        ("sort_mem", "65536"),
    ] {
        let mut session = stand.firewall.session("wide", "shop");
        let before = session.value(STATE);
        for sql in [
            "SELECT set_config($1, $2, false)".to_owned(),
            "SELECT set_config($1::text, ($2)::varchar, false)".to_owned(),
            "SELECT set_config($1 || '', $2, false)".to_owned(),
            "SELECT set_config(n, v, false) FROM (VALUES ($1, $2)) AS x (n, v)".to_owned(),
            "UPDATE pg_settings SET setting = $2 WHERE name = lower($1)".to_owned(),
            format!("SELECT set_config('{name}', $2, false) WHERE $1 <> ''"),
            format!("SELECT set_config($1, '{value}', false) WHERE $2 <> ''"),
        ] {
            for types in [&[][..], &[TEXT; 2], &[VARCHAR; 2], &[UNKNOWN; 2], &[NAME; 2], &[BPCHAR; 2], &[CSTRING; 2]] {
                for format in [0, 1] {
                    let frames = session.ask(&bound(&sql, types, format, &[Some(name), Some(value)]));
                    let done = frames.iter().any(|frame| frame.kind == b'C');
                    if done || session.value(STATE) != before {
                        failures.push(format!("{sql} as {types:?} in format {format}: {frames:?}"));
                    }
                }
            }
        }
    }
    let mut session = stand.firewall.session("wide", "shop");
    let sql = "SELECT set_config($1, $2, false)";
    for values in [[None, Some("off")], [Some("role"), None], [Some("search_path"), None], [None, None]] {
        let frames = session.ask(&bound(sql, &[], 0, &values));
        if !is_refused(&frames) {
            failures.push(format!("{values:?}: {frames:?}"));
        }
    }
    for (name, value) in [("application_name", "x"), ("app.tenant", "7"), ("role", "none"), ("work_mem", "8192")] {
        for format in [0, 1] {
            let frames = session.ask(&bound(sql, &[], format, &[Some(name), Some(value)]));
            if !frames.iter().any(|frame| frame.kind == b'C') {
                failures.push(format!("harmless {name}={value} in format {format}: {frames:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_statement_by_name_is_judged_by_both_protocols() {
    let stand = Stand::new();
    let mut session = stand.firewall.session("wide", "shop");
    let before = session.value(STATE);
    session.ask(&[parse("s", "SELECT set_config($1, $2, false)"), sync()].concat());
    let frames = session.ask(&[bind("", "s", &["application_name", "x"]), execute(""), sync()].concat());
    assert!(frames.iter().any(|frame| frame.kind == b'C'), "{frames:?}");
    for attack in [
        [bind("", "s", &["role", "boss"]), execute(""), sync()].concat(),
        [bind("p", "s", &["role", "boss"]), sync()].concat(),
        query("EXECUTE s('role', 'boss')"),
    ] {
        let frames = session.ask(&attack);
        assert!(is_refused(&frames), "{frames:?}");
    }
    // The server skips what stands behind a failing Parse: `s` still is what it was.
    session.ask(&[parse("x", "SELEC"), frame(b'C', b"Ss\0"), parse("s", "SELECT $1::text, $2::text"), sync()].concat());
    let frames = session.ask(&[bind("", "s", &["role", "boss"]), execute(""), sync()].concat());
    assert!(is_refused(&frames), "{frames:?}");
    assert_eq!(session.value(STATE).replace('x', ""), before.replace('x', ""));
}

#[test]
fn startup_keys_and_options_are_settings() {
    let stand = Stand::new();
    let good = stand.firewall.session("wide", "shop").value(STATE);
    let mut failures = Vec::new();
    let mut refused = |extra: &[(&str, &str)]| {
        let parameters = [&[("user", "wide"), ("database", "shop")][..], extra].concat();
        let mut client = stand.firewall.connect();
        let frames = client.try_login(&parameters);
        if frames.len() != 1 || frames.first().is_none_or(|f| f.kind != b'E' || f.field('C') != "42501") {
            failures.push(format!("{extra:?}: {frames:?}"));
        }
    };
    for (key, value) in [
        ("standard_conforming_strings", "off"),
        ("STANDARD_CONFORMING_STRINGS", "off"),
        ("backslash_quote", "on"),
        ("client_encoding", "SJIS"),
        ("Client_Encoding", "S-j.I s"),
        ("client_encoding", "'SJIS'"),
        ("search_path", "evil"),
        ("search_path", ""),
        ("search_path", "public, evil"),
        ("role", "boss"),
        ("role", "NONE"),
        ("session_authorization", "boss"),
        ("session_replication_role", "replica"),
        ("row_security", "off"),
        ("work_mem", "64MB"),
        ("sort_mem", "65536"),
        ("datestyle", "German"),
        ("DateStyle", "ISO, DMY"),
        ("options", "-c standard_conforming_strings=off"),
        ("options", "-cstandard_conforming_strings=off"),
        ("options", "--standard-conforming-strings=off"),
        ("options", "-c STANDARD-conforming_strings=off"),
        ("options", "-c role=boss"),
        ("options", "-c row_security=on -c row_security=off"),
        ("options", "-c row_security=off -c row_security=on"),
        ("options", r"-c row_security=o\ff"),
        ("options", r"\-c row_security=off"),
        ("options", r"-\c row\_security=off\"),
        ("options", "-c\trow_security=off"),
        ("options", "-c\x0brow_security=off"),
        ("options", r"-c search_path=evil,\ public"),
        ("options", "-c work_mem=8MB -c work_mem=64MB"),
        ("options", "-ecrow_security=off"),
        ("options", "-e"),
        ("options", "-fs"),
        ("options", "-O"),
        ("options", "-S 64"),
        ("options", "-tpa"),
        ("options", "-v3"),
        ("options", "--"),
        ("options", "-c"),
        ("options", "-c row_security"),
        ("options", "x"),
    ] {
        refused(&[(key, value)]);
    }
    refused(&[("row_security", "on"), ("row_security", "off")]);
    refused(&[("row_security", "off"), ("ROW_SECURITY", "on")]);
    refused(&[("client_encoding", "UTF8"), ("client_encoding", "SJIS")]);
    refused(&[("work_mem", "8MB"), ("options", "-c work_mem=64MB")]);
    for (key, value) in [
        ("search_path", "public"),
        ("options", "-c search_path=public"),
        ("role", "none"),
        ("client_encoding", "utf-8"),
        ("work_mem", "8192"),
        ("DateStyle", "ISO"),
        ("DateStyle", "iso,mdy"),
        ("options", "-c statement_timeout=30s -c app.x=1 --geqo=off"),
        ("options", " "),
        ("TimeZone", "UTC"),
        ("extra_float_digits", "2"),
    ] {
        let mut client = stand.firewall.connect();
        let frames = client.try_login(&[("user", "wide"), ("database", "shop"), (key, value)]);
        if frames.last().map(|frame| frame.kind) != Some(b'Z') || client.value(STATE) != good {
            failures.push(format!("harmless {key}={value}: {frames:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn pins_beat_what_is_stored_and_come_back() {
    let stand = Stand::new();
    let good = stand.firewall.session("wide", "shop").value(STATE);
    for setting in [
        "ROLE wide SET work_mem = '64MB'",
        "ROLE wide SET row_security = off",
        "ROLE wide SET search_path = evil",
        "ROLE wide SET backslash_quote = on",
        "ROLE wide SET role = boss",
        "DATABASE shop SET standard_conforming_strings = off",
    ] {
        stand.cluster.execute("postgres", &format!("ALTER {setting}"));
    }
    let mut session = stand.firewall.session("wide", "shop");
    assert_eq!(session.value(STATE), good);
    for back in ["RESET ALL", "DISCARD ALL", "RESET ROLE", "RESET work_mem", "SET search_path TO DEFAULT"] {
        session.ask(&query(back));
        assert_eq!(session.value(STATE), good, "after {back}");
    }
    // The one that no pin covers: the server tells, and the login ends.
    stand.cluster.execute("postgres", "ALTER ROLE wide SET client_encoding = SJIS");
    let frames = stand.firewall.connect().try_login(&[("user", "wide"), ("database", "shop")]);
    assert_eq!(error(&frames).field('C'), "57P01", "{frames:?}");
}

#[test]
fn what_a_function_changes_unseen_ends_the_session() {
    let stand = Stand::new();
    for (user, name, value) in [
        ("caller", "standard_conforming_strings", "off"),
        ("caller", "client_encoding", "SJIS"),
        ("caller", "session_authorization", "boss"),
        ("fenced", "default_transaction_read_only", "off"),
    ] {
        let before = stand.firewall.metric("portcullis_security_events_total", &[("event_type", "guarded_setting")]);
        let mut session = stand.firewall.session(user, "shop");
        let frames = session.ask(&query(&format!("SELECT trick('{name}', '{value}')")));
        let error = error(&frames);
        assert_eq!((error.field('C').as_str(), error.field('S').as_str()), ("57P01", "FATAL"), "{name}: {error:?}");
        assert_eq!(session.read(), None, "{name}");
        let after = stand.firewall.metric("portcullis_security_events_total", &[("event_type", "guarded_setting")]);
        assert!(after > before, "{name} is counted");
    }
    // From 18 on the server reports search_path, too.
    let mut session = stand.firewall.session("caller", "shop");
    if session.parameters.iter().any(|(name, _)| name == "search_path") {
        let frames = session.ask(&query("SELECT trick('search_path', 'evil')"));
        assert_eq!(error(&frames).field('C'), "57P01", "{frames:?}");
    }
}

#[test]
fn under_observe_a_guarded_setting_only_counts() {
    let stand = Stand::new();
    let mut session = stand.firewall.session("watcher", "shop");
    for (name, value) in [("standard_conforming_strings", "off"), ("row_security", "off"), ("client_encoding", "SJIS")]
    {
        session.ask(&query(&format!("SET {name} = {value}")));
        assert_eq!(session.value(&format!("SHOW {name}")), value);
    }
    assert!(stand.firewall.metric("portcullis_security_events_total", &[("event_type", "guarded_setting")]) >= 1.0);
}

/// A Query of bytes.
fn raw(sql: &[u8]) -> Vec<u8> {
    frame(b'Q', &[sql, &[0]].concat())
}

#[test]
fn text_is_judged_as_the_server_reads_it() {
    let stand = Stand::new();
    stand.cluster.execute("postgres", "CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'");
    let session = |database: &str, encoding: &str| {
        let parameters = [("user", "caller"), ("database", database), ("client_encoding", encoding)];
        Client::login(stand.firewall.port(), &parameters)
    };
    for (database, encoding, text, code) in [
        ("shop", "UTF8", &b"SELECT '\xff'"[..], "22021"),
        ("shop", "UTF8", b"SELECT '\xc0\xa7'", "22021"),
        ("shop", "UTF8", b"SELECT '\xed\xa0\x80'", "22021"),
        ("shop", "UTF8", b"SELECT E'\x83\x5c'; DROP TABLE log; --'", "22021"),
        ("shop", "SQL_ASCII", b"SELECT '\xff'", "22021"),
        ("ascii", "SQL_ASCII", b"SELECT E'\x83\x5c'; CREATE TABLE t (a int); --'", "22021"),
        ("ascii", "SQL_ASCII", b"SELECT 1 AS \xc3\x84", "42501"),
        ("shop", "WIN1252", b"SELECT '\x81'", "22021"),
        ("shop", "LATIN1", b"SELECT '\xe9'", ""),
        ("shop", "LATIN1", b"SELECT '\xc3\x28'", ""),
        ("shop", "UTF8", "SELECT 'é'".as_bytes(), ""),
        ("shop", "UTF8", "SELECT * FROM \"ТА\"".as_bytes(), "42501"),
        // `ТА` in ISO_8859_5, and a degree sign in UTF-8.
        ("shop", "ISO_8859_5", b"SELECT * FROM \"\xc2\xb0\"", "42501"),
        ("shop", "UTF8", b"SELECT 1\0; DROP TABLE log", "08P01"),
        ("shop", "UTF8", b"SELECT 1\0", "08P01"),
    ] {
        let frames = session(database, encoding).ask(&raw(text));
        let told = frames.iter().find(|frame| frame.kind == b'E').map_or_else(String::new, |error| error.field('C'));
        assert_eq!(told, code, "{} in {encoding}: {frames:?}", text.escape_ascii());
    }
    for body in [&b"SELECT 1"[..], b""] {
        let frames = session("shop", "UTF8").ask(&frame(b'Q', body));
        assert_eq!(error(&frames).field('C'), "08P01", "a missing NUL: {frames:?}");
    }
    // In one breath with the change: how the server will read it is not certain.
    let first = "SET client_encoding = 'ISO_8859_5'";
    let name = b"SELECT * FROM \"\xc2\xb0\"";
    let mut client = session("shop", "UTF8");
    client.send(&[query(first), raw(name)].concat());
    let frames = [client.until_ready(), client.until_ready()].concat();
    assert_eq!(error(&frames).field('C'), "22021", "{frames:?}");
    assert!(!frames.iter().any(|frame| frame.text().contains("ssn-1")));
}
