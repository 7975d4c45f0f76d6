//! FunctionCall messages in front of a real server: libpq's large objects work where a policy allows them, everything else
//! that has an OID is refused as a failing statement, and an observed session is not touched.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use crate::common;

use std::fs;

use common::tools::{client, psql, run};
use common::wire::{Client, Frame, error, frame, query, status};
use common::{Cluster, Firewall, firewall};

/// A superuser under a policy that lets every function be called by its OID: what stops him is what the function does.
const FASTPATH: &str = "policy: fastpath
applies_to: {users: [postgres]}
search_path: [public]
allow:
  - {rule: data, actions: [select, insert], tables: ['*']}
  - {rule: any-function, actions: [fastpath]}
  - {rule: large-objects, actions: [large_object], functions: ['pg_catalog.lo_*', loread, lowrite]}
";

/// An application with large objects.
const BLOBS: &str = "policy: blobs
applies_to: {users: [app_rw]}
search_path: [public]
allow:
  - {rule: data, actions: [select, insert, update, delete], tables: ['*']}
  - {rule: large-objects, actions: [large_object, fastpath], functions: ['pg_catalog.lo_*', loread, lowrite]}
";

const OBSERVED: &str = "policy: watched
applies_to: {users: ['*']}
mode: observe
";

/// Formats of arguments and results.
#[derive(Clone, Copy)]
enum Format {
    Text = 0,
    Binary = 1,
}

/// A FunctionCall with one format for all.
fn call(oid: u32, format: Format, arguments: &[&[u8]]) -> Vec<u8> {
    let format = (format as u16).to_be_bytes();
    let mut body = [&oid.to_be_bytes()[..], &[0, 1], &format].concat();
    body.extend(u16::try_from(arguments.len()).unwrap().to_be_bytes());
    for argument in arguments {
        body.extend(u32::try_from(argument.len()).unwrap().to_be_bytes());
        body.extend(*argument);
    }
    body.extend(format);
    frame(b'F', &body)
}

/// The OID of a function, as the server knows it.
fn oid(cluster: &Cluster, function: &str) -> u32 {
    let sql = format!("SELECT '{function}'::regprocedure::oid");
    psql(cluster, cluster.port(), "postgres", "shop", &[&sql]).ok().trim().parse().unwrap()
}

/// The value of a FunctionCallResponse.
#[track_caller]
fn value(frames: &[Frame]) -> Vec<u8> {
    let response = frames.iter().find(|frame| frame.kind == b'V').unwrap_or_else(|| panic!("no value in {frames:?}"));
    response.body[4..].to_vec()
}

#[track_caller]
fn assert_refused(what: &str, frames: &[Frame], status: char) {
    let error = error(frames);
    assert_eq!((error.field('C').as_str(), error.field('S').as_str()), ("42501", "ERROR"), "{what}: {error:?}");
    assert!(error.field('M').starts_with("statement refused by policy "), "{what}: {error:?}");
    assert!(!frames.iter().any(|frame| frame.kind == b'V'), "{what}: {frames:?}");
    assert_eq!(common::wire::status(frames), status, "{what}");
}

#[test]
fn psql_imports_and_exports_large_objects() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(BLOBS));
    let files = tempfile::tempdir().unwrap();
    let (from, to) = (files.path().join("from"), files.path().join("to"));
    let bytes: Vec<u8> = (0u32..300_000).flat_map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    fs::write(&from, &bytes).unwrap();
    let import = format!("\\lo_import {}", from.display());
    let export = format!("\\lo_export :LASTOID {}", to.display());
    psql(&cluster, firewall.port(), "app_rw", "shop", &[&import, &export, "\\lo_unlink :LASTOID", &import]).ok();
    assert!(fs::read(&to).unwrap() == bytes, "what comes back is what went in");
    let count = "SELECT count(*) FROM pg_largeobject_metadata";
    assert_eq!(psql(&cluster, cluster.port(), "postgres", "shop", &[count]).ok(), "1\n", "two imported, one unlinked");
    assert!(firewall.metric("portcullis_statements_total", &[("action", "admin"), ("verdict", "allow")]) > 10.0);
    assert_eq!(firewall.metric("portcullis_statements_total", &[("verdict", "refuse")]), 0.0);

    // By name the same is allowed, and what else is done with files is not.
    let mut session = firewall.session("app_rw", "shop");
    assert_eq!(session.value("SELECT length(lo_get(oid)) FROM pg_largeobject_metadata"), bytes.len().to_string());
    assert_refused("lo_export", &session.ask(&query("SELECT lo_export(1, '/tmp/x')")), 'I');
}

#[test]
fn pg_dump_copies_large_objects() {
    let cluster = Cluster::default();
    cluster.execute("empty", "SET ROLE app_rw; SELECT lo_from_bytea(0, repeat('large ', 9999)::bytea)");
    let policy = BLOBS.replace("blobs", "backup").replace(
        "allow:\n",
        "allow:\n  - {rule: dump, actions: [select, copy_to], tables: ['*.*', pg_catalog.pg_db_role_setting]}\n  \
         - {rule: dump-settings, actions: [set], settings: ['search_path=', 'row_security=off']}\n",
    );
    let firewall = Firewall::start(&cluster, firewall::Options::policy(&policy));
    let dump = |port| {
        let output = run(client(&cluster, "pg_dump", port, "app_rw", "empty").args(["--blobs", "--no-acl"])).ok();
        let keyless = output.lines().filter(|l| !l.starts_with("\\restrict") && !l.starts_with("\\unrestrict"));
        keyless.collect::<Vec<_>>().join("\n")
    };
    let direct = dump(cluster.port());
    assert!(direct.contains("pg_catalog.lowrite(0, '\\x6c61726765206c61"), "{direct}");
    assert_eq!(dump(firewall.port()), direct);
}

#[test]
fn without_fastpath_large_objects_are_refused() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(&BLOBS.replace(", fastpath", "")));
    let file = cluster.ca();
    let output = psql(&cluster, firewall.port(), "app_rw", "shop", &[&format!("\\lo_import {}", file.display())]);
    assert_ne!(output.code, 0);
    assert!(output.stderr.contains("no rule allows call of pg_catalog.lo_creat"), "{output:?}");
    assert!(output.stderr.contains("actions: [fastpath], functions: [pg_catalog.lo_creat]"), "{output:?}");
    let mut session = firewall.session("app_rw", "shop");
    assert_eq!(session.value("SELECT count(*) FROM pg_largeobject_metadata"), "0");
}

#[test]
fn functions_that_do_more_are_refused_by_their_oid() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(FASTPATH));
    let mut direct = Client::login(cluster.port(), &[("user", "postgres"), ("database", "shop")]);
    let mut session = firewall.session("postgres", "shop");
    let attacks: [(&str, &[&str]); 9] = [
        ("pg_read_file(text)", &["PG_VERSION"]),
        ("pg_read_binary_file(text)", &["PG_VERSION"]),
        ("lo_import(text)", &["PG_VERSION"]),
        ("set_config(text,text,boolean)", &["role", "shop_owner", "true"]),
        ("query_to_xml(text,boolean,boolean,text)", &["SELECT 1 AS leak", "t", "t", ""]),
        ("pg_notify(text,text)", &["c", "x"]),
        ("pg_sleep(double precision)", &["0"]),
        ("pg_current_logfile()", &[]),
        ("public.order_total(integer)", &["1"]),
    ];
    for (function, arguments) in attacks {
        let arguments: Vec<&[u8]> = arguments.iter().map(|argument| argument.as_bytes()).collect();
        let attack = call(oid(&cluster, function), Format::Text, &arguments);
        let frames = direct.ask(&attack);
        assert!(frames.iter().any(|frame| frame.kind == b'V'), "{function}: the server itself does it: {frames:?}");

        assert_refused(function, &session.ask(&attack), 'I');
        assert_eq!(session.value("SELECT current_user"), "postgres", "the session goes on");

        assert_eq!(status(&session.ask(&query("BEGIN"))), 'T');
        session.ask(&query("INSERT INTO products VALUES (1000, 'x', 1)"));
        assert_refused(function, &session.ask(&attack), 'E');
        let frames = session.ask(&query("COMMIT"));
        assert_eq!(status(&frames), 'I');
        assert!(frames.iter().any(|frame| frame.kind == b'C' && frame.text().starts_with("ROLLBACK")), "{frames:?}");
        assert_eq!(session.value("SELECT count(*) FROM products"), "100", "the INSERT before it is gone");
    }
    let labels = [("action", "file"), ("verdict", "refuse"), ("policy", "fastpath")];
    assert_eq!(firewall.metric("portcullis_statements_total", &labels), 8.0, "four functions, twice each");
    firewall.log_line(&["statement refused", "FunctionCall", "pg_catalog.pg_read_file (file_function)"]);
}

#[test]
fn what_only_computes_needs_fastpath_alone() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(FASTPATH));
    let mut session = firewall.session("postgres", "shop");
    let reverse = call(oid(&cluster, "reverse(text)"), Format::Text, &[b"abc"]);
    assert_eq!(value(&session.ask(&reverse)), b"cba");
    // Three in one breath: each has its own answer.
    let read = call(oid(&cluster, "pg_read_file(text)"), Format::Text, &[b"PG_VERSION"]);
    session.send(&[reverse.clone(), read, reverse].concat());
    assert_eq!(value(&session.until_ready()), b"cba");
    assert_refused("pg_read_file", &session.until_ready(), 'I');
    assert_eq!(value(&session.until_ready()), b"cba");
}

#[test]
fn long_arguments_pass_whatever_the_limit_of_a_text() {
    let cluster = Cluster::default();
    let policy = format!("{BLOBS}limits: {{statement_bytes: 4KiB}}\n");
    let firewall = Firewall::start(&cluster, firewall::Options::policy(&policy));
    let mut session = firewall.session("app_rw", "shop");
    let function = |name: &str, arguments: &[&[u8]]| call(oid(&cluster, name), Format::Binary, arguments);
    let bytes: Vec<u8> = (0..5usize << 20).map(|i| (i % 251) as u8).collect();
    const READ_AND_WRITE: [u8; 4] = [0, 6, 0, 0];

    assert_eq!(status(&session.ask(&query("BEGIN"))), 'T');
    let object = value(&session.ask(&function("lo_creat(integer)", &[&READ_AND_WRITE])));
    let descriptor = value(&session.ask(&function("lo_open(oid,integer)", &[&object, &READ_AND_WRITE])));
    let written = value(&session.ask(&function("lowrite(integer,bytea)", &[&descriptor, &bytes])));
    assert_eq!(written, (5u32 << 20).to_be_bytes());
    value(&session.ask(&function("lo_lseek(integer,integer,integer)", &[&descriptor, &[0; 4], &[0; 4]])));
    let read = value(&session.ask(&function("loread(integer,integer)", &[&descriptor, &(5u32 << 20).to_be_bytes()])));
    assert!(read == bytes, "what comes back is what went in");
    // A refused one is dropped as long as it is.
    let refused = function("pg_read_file(text)", &[&bytes]);
    assert_refused("pg_read_file", &session.ask(&refused), 'E');
    assert_eq!(status(&session.ask(&query("ROLLBACK"))), 'I');
}

#[test]
fn a_malformed_body_calls_nothing() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(BLOBS));
    let mut session = firewall.session("app_rw", "shop");
    let whole = call(oid(&cluster, "lo_creat(integer)"), Format::Binary, &[&[0, 6, 0, 0]]);
    let body = &whole[5..];
    for wrong in [&body[..body.len() - 1], &[body, &[0]].concat(), &body[..6], &body[..4], &body[..3], &[]] {
        let frames = session.ask(&frame(b'F', wrong));
        assert_eq!(error(&frames).field('C'), "08P01", "{wrong:?}: {frames:?}");
        assert_eq!(status(&frames), 'I');
    }
    assert_eq!(session.value("SELECT count(*) FROM pg_largeobject_metadata"), "0");
    assert_eq!(value(&session.ask(&whole)).len(), 4);
    assert_eq!(session.value("SELECT count(*) FROM pg_largeobject_metadata"), "1");
}

#[test]
fn an_observed_session_is_not_touched() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(OBSERVED));
    let mut direct = Client::login(cluster.port(), &[("user", "postgres"), ("database", "shop")]);
    let mut through = firewall.session("postgres", "shop");
    let whole = call(oid(&cluster, "reverse(text)"), Format::Text, &[b"abc"]);
    let calls = [
        whole.clone(),
        call(oid(&cluster, "pg_read_file(text)"), Format::Text, &[b"PG_VERSION"]),
        call(oid(&cluster, "public.order_total(integer)"), Format::Text, &[b"7"]),
        call(oid(&cluster, "set_config(text,text,boolean)"), Format::Text, &[b"client_encoding", b"LATIN1", b"f"]),
        call(oid(&cluster, "reverse(text)"), Format::Text, &[b"\xe4"]),
        call(4_000_000_000, Format::Text, &[]),
        call(oid(&cluster, "pg_read_file(text)"), Format::Text, &[b"no such file"]),
        frame(b'F', &whole[5..whole.len() - 1]),
    ];
    for bytes in &calls {
        direct.send(bytes);
        through.send(bytes);
        let answer = through.until_ready();
        assert_eq!(answer, direct.until_ready(), "{}", bytes.escape_ascii());
    }
    let would = firewall.metric("portcullis_statements_total", &[("verdict", "would_refuse")]);
    assert_eq!(would, calls.len() as f64);
    firewall.log_line(&["would be refused", "FunctionCall", "pg_catalog.pg_read_file"]);
    // Without an OID there is nothing to judge: it passes as a malformed message does.
    let malformed = frame(b'F', &[0, 0, 0]);
    assert_eq!(through.ask(&malformed), direct.ask(&malformed));
}
