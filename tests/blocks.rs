//! Emergency blocks with a real server, by the program itself: `portcullis block` against a running firewall.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::tools::{self, Output, psql};
use common::wire::{Client, Frame, bind, describe, error, execute, frame, parse, query, status, sync};
use common::{Cluster, Firewall, firewall};

const POLICY: &str = "policy: shop
applies_to: {users: [app_rw, app_ro]}
search_path: [public]
allow: [{rule: rows, actions: [select, insert, update, delete], tables: [\"public.*\"]}]
";

/// What is blocked.
const READ: &str = "SELECT note FROM orders WHERE id = 1";

/// Another spelling and another value: the same statement.
const SAME: &str = "/* x */ select NOTE\nfrom Orders where ID = 22 -- y";

/// What goes on meanwhile.
const OTHER: &str = "SELECT count(*) FROM orders";

fn start(cluster: &Cluster, policy: &str, state: Option<&Path>) -> Firewall {
    let config = state.map(|directory| format!("state_dir: {}\n", directory.display()));
    let environment = vec![("PORTCULLIS_ADMIN_TOKEN", "s3cret".to_owned())];
    Firewall::start(cluster, firewall::Options { config, environment, ..firewall::Options::policy(policy) })
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    for name in ["PORTCULLIS_ADMIN", "PORTCULLIS_ADMIN_TOKEN", "PORTCULLIS_ADMIN_TOKEN_FILE"] {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

/// `portcullis block …` against this firewall, with its token.
fn block(firewall: &Firewall, arguments: &[&str]) -> Output {
    let mut command = program(&[&["block"], arguments].concat());
    command.env("PORTCULLIS_ADMIN", format!("127.0.0.1:{}", firewall.admin())).env("PORTCULLIS_ADMIN_TOKEN", "s3cret");
    tools::run(&mut command)
}

/// The id that it tells.
#[track_caller]
fn made(output: Output) -> String {
    let told = output.ok();
    told.split_whitespace().nth(1).unwrap_or_else(|| panic!("no id in {told}")).to_owned()
}

/// The hash that `portcullis explain` shows of a text.
fn hash_of(text: &str) -> String {
    let shown = tools::run(&mut program(&["explain", text]));
    let hash =
        shown.stdout.split_whitespace().find(|word| word.len() == 32 && word.bytes().all(|b| b.is_ascii_hexdigit()));
    hash.unwrap_or_else(|| panic!("no hash in {shown:?}")).to_owned()
}

/// The words of a refusal.
#[track_caller]
fn refused(frames: &[Frame]) -> String {
    let error = error(frames);
    assert_eq!((error.field('S').as_str(), error.field('C').as_str()), ("ERROR", "42501"), "{error:?}");
    assert!(!frames.iter().any(|frame| frame.kind == b'D'), "{frames:?}");
    error.field('M')
}

#[track_caller]
fn passes(frames: &[Frame]) {
    assert!(!frames.iter().any(|frame| frame.kind == b'E'), "{frames:?}");
}

/// Execute of a portal, one row.
fn one_row(portal: &str) -> Vec<u8> {
    frame(b'E', &[portal.as_bytes(), &[0, 0, 0, 0, 1]].concat())
}

#[test]
fn a_blocked_statement_is_refused_at_once_on_every_way_and_goes_on_when_lifted() {
    let cluster = Cluster::default();
    let firewall = start(&cluster, POLICY, None);
    let uses: [(&str, Vec<u8>); 9] = [
        ("Query", query(SAME)),
        ("unnamed statement", [parse("", SAME), bind("", "", &[]), execute(""), sync()].concat()),
        ("named statement", [bind("", "s", &[]), execute(""), sync()].concat()),
        ("Describe", [describe(b'S', "s"), sync()].concat()),
        ("open portal", [one_row("p"), sync()].concat()),
        ("EXECUTE of a PREPARE", query("EXECUTE q")),
        ("FETCH of an open cursor", query("FETCH 1 FROM c")),
        ("inside of another text", query(&format!("SELECT 1; {SAME}"))),
        ("hidden in a long comment", query(&format!("{READ} /* {} */", "x".repeat(140_000)))),
    ];
    let mut sessions: Vec<Client> = Vec::new();
    for (what, bytes) in &uses {
        let mut session = firewall.session("app_rw", "shop");
        passes(&session.ask(&query(READ)));
        passes(&session.ask(&query(&format!("PREPARE q AS {READ}"))));
        passes(&session.ask(&query(&format!("BEGIN; DECLARE c CURSOR FOR {READ}"))));
        passes(&session.ask(&[parse("s", READ), bind("p", "s", &[]), sync()].concat()));
        passes(&session.ask(&query("SAVEPOINT before")));
        println!("{what} passes before");
        passes(&session.ask(bytes));
        sessions.push(session);
    }
    let output = block(&firewall, &["--hash", &hash_of(READ), "--for", "2h", "--reason", "it locks the shop"]);
    assert!(output.stderr.contains("no state_dir") && output.stderr.contains("would_refuse"), "{output:?}");
    let id = made(output);
    firewall.log_line(&[
        "administrative call",
        "call=\"block\"",
        "outcome=\"done\"",
        &hash_of(READ),
        "it locks the shop",
    ]);
    for ((what, bytes), session) in uses.iter().zip(&mut sessions) {
        println!("{what}");
        let frames = session.ask(bytes);
        let message = refused(&frames);
        assert!(
            message.starts_with("statement refused by policy \"shop\": this statement is blocked until 20"),
            "{message}"
        );
        assert!(message.ends_with("Z: it locks the shop"), "{message}");
        assert!(error(&frames).field('D').starts_with("block, event "), "{frames:?}");
        assert!(error(&frames).field('H').contains("administrators"), "{frames:?}");
        assert_eq!(status(&frames), 'E', "{what}: the transaction fails as it would on the server");
        passes(&session.ask(&query("ROLLBACK TO before")));
        assert_eq!(session.value(OTHER), "1000", "{what}: the session goes on");
    }
    // Every message is refused by itself: Bind and Execute behind a Parse or Bind that was, too.
    assert_eq!(firewall.metric("portcullis_refusals_total", &[("rule", "block")]), 12.0);
    assert_eq!(firewall.metric("portcullis_blocks", &[("kind", "hash")]), 1.0);
    let line = firewall.log_line(&["statement refused", "rule=\"block\"", "this statement is blocked"]);
    assert!(line.contains("Query") && line.contains(&hash_of(READ)), "{line}");
    let list = block(&firewall, &["--list"]).ok();
    assert!(list.contains(&id) && list.contains("admin_token from 127.0.0.1: it locks the shop"), "{list}");
    // Others are not concerned, of another user neither.
    assert_eq!(firewall.session("app_ro", "shop").value(OTHER), "1000");
    refused(&firewall.session("app_ro", "shop").ask(&query(READ)));

    assert!(block(&firewall, &["--lift", &id]).ok().starts_with("lifted: "));
    for ((what, bytes), session) in uses.iter().zip(&mut sessions) {
        println!("{what} passes again");
        passes(&session.ask(bytes));
    }
    let again = block(&firewall, &["--lift", &id]);
    assert_eq!((again.code, again.stderr.contains("no block with this id")), (1, true), "{again:?}");
    assert_eq!(block(&firewall, &["--list"]).ok().lines().next(), Some("nothing is blocked"));
}

#[test]
fn a_driver_that_prepared_long_before_is_refused_and_recovers() {
    let cluster = Cluster::default();
    let firewall = start(&cluster, POLICY, None);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let parameters = format!("host=127.0.0.1 port={} user=app_rw dbname=shop password=secret", firewall.port());
        let (client, connection) = tokio_postgres::connect(&parameters, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let text = "SELECT note FROM orders WHERE id = $1";
        let prepared = client.prepare(text).await.unwrap();
        assert_eq!(client.query(&prepared, &[&1i32]).await.unwrap().len(), 1);
        let id = made(block(&firewall, &["--hash", &hash_of(text), "--for", "1h", "--reason", "r"]));
        for _ in 0..2 {
            let refused = client.query(&prepared, &[&1i32]).await.unwrap_err();
            let refused = refused.as_db_error().unwrap();
            assert_eq!((refused.code().code(), refused.message().contains("is blocked until")), ("42501", true));
        }
        assert!(client.query(text, &[&1i32]).await.is_err(), "prepared anew");
        assert_eq!(client.query("SELECT 1", &[]).await.unwrap().len(), 1);
        block(&firewall, &["--lift", &id]).ok();
        assert_eq!(client.query(&prepared, &[&1i32]).await.unwrap().len(), 1);
    });
}

#[test]
fn blocks_outlive_a_restart_and_a_broken_file_keeps_the_program_from_starting() {
    let cluster = Cluster::default();
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("blocks.json");
    let firewall = start(&cluster, POLICY, Some(state.path()));
    let output = block(&firewall, &["--hash", &hash_of(READ), "--until", "2099-01-01T00:00:00Z", "--reason", "r"]);
    assert_eq!((output.code, output.stderr.contains("366 days")), (1, true), "{output:?}");
    let output = block(&firewall, &["--hash", &hash_of(READ), "--for", "7d", "--reason", "r"]);
    assert!(!output.stderr.contains("state_dir"), "{output:?}");
    let id = made(output);
    made(block(&firewall, &["--user", "app_ro", "--for", "7d", "--reason", "r"]));
    // Killed, not stopped.
    drop(firewall);
    let firewall = start(&cluster, POLICY, Some(state.path()));
    firewall.log_line(&["emergency blocks are in force", "blocks=2"]);
    refused(&firewall.session("app_rw", "shop").ask(&query(SAME)));
    assert_eq!(firewall.session("app_rw", "shop").value(OTHER), "1000");
    block(&firewall, &["--lift", &id]).ok();
    drop(firewall);
    let firewall = start(&cluster, POLICY, Some(state.path()));
    passes(&firewall.session("app_rw", "shop").ask(&query(SAME)));
    assert_eq!(firewall.metric("portcullis_blocks", &[]), 1.0);
    drop(firewall);

    fs::write(&file, "{").unwrap();
    let policies = state.path().join("policies");
    fs::create_dir(&policies).unwrap();
    fs::write(policies.join("shop.yaml"), POLICY).unwrap();
    let mut command = program(&["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command.args(["--upstream", "postgres://127.0.0.1:1?sslmode=disable", "--policies"]).arg(&policies);
    let failed = tools::run(command.env("PORTCULLIS_STATE_DIR", state.path()));
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.stderr.contains("blocks.json") && failed.stderr.contains("move it away"), "{failed:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "{");
}

#[test]
fn a_block_ends_by_itself() {
    let cluster = Cluster::default();
    let state = tempfile::tempdir().unwrap();
    let firewall = start(&cluster, POLICY, Some(state.path()));
    let mut session = firewall.session("app_rw", "shop");
    let began = Instant::now();
    made(block(&firewall, &["--hash", &hash_of(READ), "--for", "2s", "--reason", "r"]));
    refused(&session.ask(&query(READ)));
    let deadline = Instant::now() + Duration::from_secs(20);
    while session.ask(&query(READ)).iter().any(|frame| frame.kind == b'E') {
        assert!(Instant::now() < deadline, "still blocked");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(began.elapsed() >= Duration::from_secs(2), "it lasts as long as it says");
    firewall.log_line(&["administrative call", "call=\"expire\""]);
    assert_eq!(firewall.metric("portcullis_blocks", &[]), 0.0);
    assert_eq!(firewall.metric("portcullis_admin_calls_total", &[("call", "expire"), ("outcome", "done")]), 1.0);
    let kept = fs::read_to_string(state.path().join("blocks.json")).unwrap();
    assert!(!kept.contains(&hash_of(READ)), "{kept}");
}

#[test]
fn a_blocked_user_is_shut_out_everywhere_and_nobody_else_is() {
    let cluster = Cluster::default();
    let firewall = start(&cluster, POLICY, None);
    let mut session = firewall.session("app_rw", "shop");
    let mut other = firewall.session("app_ro", "shop");
    passes(&session.ask(&[parse("s", OTHER), sync()].concat()));
    passes(&session.ask(&query("BEGIN; DELETE FROM orders WHERE id = 1")));
    let id = made(block(&firewall, &["--user", "app_rw", "--for", "1h", "--reason", "stolen password"]));
    for bytes in [query("SELECT 1"), query("COMMIT"), [bind("", "s", &[]), execute(""), sync()].concat()] {
        assert!(refused(&session.ask(&bytes)).contains("user \"app_rw\" is blocked until 20"));
    }
    assert_eq!(other.value(OTHER), "1000", "what the open transaction did is undone");
    let answer = Client::connect(firewall.port()).try_login(&[("user", "app_rw"), ("database", "shop")]);
    let refusal = error(&answer);
    assert_eq!((refusal.field('S').as_str(), refusal.field('C').as_str()), ("FATAL", "28000"));
    assert!(refusal.field('M').contains("stolen password"), "{refusal:?}");
    firewall.log_line(&["login refused", "rule=\"block\"", "app_rw"]);
    block(&firewall, &["--lift", &id]).ok();
    assert_eq!(firewall.session("app_rw", "shop").value(OTHER), "1000");
    passes(&session.ask(&query("ROLLBACK")));
}

#[test]
fn observed_sessions_pass_and_are_counted() {
    let cluster = Cluster::default();
    let firewall = start(&cluster, &POLICY.replace("search_path", "mode: observe\nsearch_path"), None);
    let mut session = firewall.session("app_rw", "shop");
    passes(&session.ask(&query(READ)));
    made(block(&firewall, &["--hash", &hash_of(READ), "--for", "1h", "--reason", "r"]));
    passes(&session.ask(&query(READ)));
    firewall.log_line(&["statement would be refused", "rule=\"block\""]);
    assert_eq!(firewall.metric("portcullis_statements_total", &[("verdict", "would_refuse")]), 1.0);
    made(block(&firewall, &["--user", "app_rw", "--for", "1h", "--reason", "r"]));
    assert_eq!(firewall.session("app_rw", "shop").value(OTHER), "1000");
    firewall.log_line(&["login", "would_refuse", "rule=\"block\""]);
    assert_eq!(firewall.metric("portcullis_refusals_total", &[]), 0.0);
}

#[test]
fn whom_the_firewall_does_not_know_it_does_not_obey() {
    let cluster = Cluster::default();
    let firewall = start(&cluster, POLICY, None);
    let make = ["block", "--user", "app_rw", "--for", "1h", "--reason", "r"];
    let admin = format!("http://127.0.0.1:{}", firewall.admin());
    let run = |token: Option<&str>, admin: &str| {
        let mut command = program(&make);
        if let Some(token) = token {
            command.env("PORTCULLIS_ADMIN_TOKEN", token);
        }
        tools::run(command.env("PORTCULLIS_ADMIN", admin))
    };
    for (token, admin, code, part) in [
        (None, admin.as_str(), 2, "--token-file"),
        (Some("wrong"), &admin, 1, "the token was not accepted"),
        (Some("s3cret"), "http://127.0.0.1:1", 1, "is the firewall running?"),
        (Some("s3cret"), "http://192.0.2.1:9127", 2, "--insecure"),
        (Some("s3cret"), "https://127.0.0.1:9127", 2, "plain HTTP"),
    ] {
        let output = run(token, admin);
        assert_eq!((output.code, output.stderr.contains(part)), (code, true), "{output:?}");
        assert!(!output.stderr.contains("s3cret"), "{output:?}");
    }
    // Not the firewall at all.
    let output = run(Some("s3cret"), &format!("http://127.0.0.1:{}", cluster.port()));
    assert_eq!((output.code, output.stderr.contains("does not speak as an admin server")), (1, true), "{output:?}");
    firewall.log_line(&["administrative call", "outcome=\"refused\"", "127.0.0.1"]);
    assert_eq!(firewall.session("app_rw", "shop").value(OTHER), "1000");

    let untold = Firewall::start(&cluster, firewall::Options::policy(POLICY));
    let output = run(Some("s3cret"), &format!("http://127.0.0.1:{}", untold.admin()));
    assert_eq!((output.code, output.stderr.contains("set admin_token")), (1, true), "{output:?}");
    let output = psql(&cluster, firewall.port(), "app_rw", "shop", &[OTHER]);
    assert_eq!(output.ok().trim(), "1000");
}
