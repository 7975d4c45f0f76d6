//! Bad input gets a clear error and never a crash: on the command line, in files, on the port, from upstream.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use common::cluster::two_ports;
use common::tools::{Output, portcullis, run};
use common::wire::{error, frame, parse, query, startup, status, sync};
use common::{Cluster, Firewall, firewall};

#[test]
fn an_unreachable_upstream_is_57p03_and_not_ready() {
    let [nobody, _] = two_ports();
    let firewall = Firewall::before(nobody, firewall::Options { ready: false, ..firewall::Options::observe() });
    let mut session = firewall.connect();
    let frames = session.try_login(&[("user", "app_rw"), ("database", "shop")]);
    let error = error(&frames);
    assert_eq!((error.field('C').as_str(), error.field('S').as_str()), ("57P03", "FATAL"), "{error:?}");
    assert_eq!(session.read(), None);
    let (code, answer) = firewall.get("/readyz");
    assert_eq!(code, 503, "{answer}");
    assert_eq!(firewall.get("/healthz").0, 200, "it is alive all the same");
    let (code, answer) = firewall.get("/health");
    assert_eq!(code, 503, "{answer}");
    assert!(answer.contains("\"database\""), "{answer}");
    assert_eq!(firewall.metric("portcullis_upstream_connection_failures_total", &[]), 1.0);
    let ready = run(Command::new("pg_isready").args(["-h", "127.0.0.1", "-p", &firewall.port().to_string()]));
    assert_eq!(ready.code, 1, "a monitor is told that nobody is let in: {ready:?}");
}

#[test]
fn an_upstream_that_goes_ends_its_sessions_and_is_not_ready() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::observe());
    let mut session = firewall.session("app_rw", "shop");
    assert_eq!(session.value("SELECT 1"), "1");
    drop(cluster);
    let rest = session.rest();
    assert!(
        matches!(rest.first(), None | Some(b'N' | b'E')),
        "the server's last words, then the end: {}",
        rest.escape_ascii()
    );
    let deadline = Instant::now() + Duration::from_secs(15);
    while firewall.get("/readyz").0 != 503 {
        assert!(Instant::now() < deadline, "/readyz still says 200");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn garbage_on_the_port_harms_nobody() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("application.yaml"));
    let mut other = firewall.session("app_rw", "shop");
    let garbage: [&[u8]; 9] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x00\x00\x00\x07\x00\x03\x00",
        b"\x7f\xff\xff\xff\x00\x03\x00\x00user\x00",
        b"\x00\x00\x00\x08\x00\x02\x00\x00",
        b"\x00\x00\x00\x0d\x00\x03\x00\x00user\x00",
        b"\x00",
    ];
    for bytes in garbage {
        let mut client = firewall.connect();
        client.send(bytes);
        client.half_close();
        let answer = client.rest();
        let kind = answer.first().copied();
        assert!(matches!(kind, None | Some(b'E' | b'N')), "{}: {}", bytes.escape_ascii(), answer.escape_ascii());
    }
    assert_eq!(other.value("SELECT 1"), "1", "a session beside it goes on");
    assert_eq!(firewall.session("app_rw", "shop").value("SELECT 2"), "2", "new ones come in");
    assert!(firewall.metric("portcullis_security_events_total", &[("event_type", "protocol_violation")]) >= 1.0);
}

#[test]
fn garbage_inside_a_session_ends_that_session_only() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("application.yaml"));
    let mut other = firewall.session("app_rw", "shop");
    let unknown_type = frame(b'?', b"what");
    for (bytes, answer) in [(&unknown_type[..], Some(b'E')), (b"Q\0\0\0\0", None), (b"Q\xff\xff\xff\xff", None)] {
        let mut session = firewall.session("app_rw", "shop");
        session.send(bytes);
        let rest = session.rest();
        assert_eq!(rest.first().copied(), answer, "{}: {}", bytes.escape_ascii(), rest.escape_ascii());
        assert_eq!(other.value("SELECT 1"), "1");
    }
    // A body that does not parse is an error, and the session goes on.
    for bytes in [frame(b'Q', b"SELECT 1"), frame(b'Q', b"SELECT 1\0SELECT 2\0"), frame(b'Q', b"")] {
        let mut session = firewall.session("app_rw", "shop");
        let frames = session.ask(&bytes);
        assert_eq!(error(&frames).field('C'), "08P01", "{}", bytes.escape_ascii());
        assert_eq!(session.value("SELECT 1"), "1");
    }
    let mut session = firewall.session("app_rw", "shop");
    let frames =
        session.ask(&query("SELECT '\u{e9}'").iter().map(|b| if *b == 0xc3 { 0xff } else { *b }).collect::<Vec<_>>());
    assert_eq!(error(&frames).field('C'), "22021", "bytes that aren't UTF-8");
    assert_eq!(session.value("SELECT 1"), "1");
}

#[test]
fn a_client_that_says_nothing_is_not_waited_for_for_ever() {
    let cluster = Cluster::default();
    let mut options = firewall::Options::observe();
    options.environment.push(("PORTCULLIS_HANDSHAKE_TIMEOUT", "1s".to_owned()));
    let firewall = Firewall::start(&cluster, options);
    let started = Instant::now();
    let mut client = firewall.connect();
    client.send(&startup(&[("user", "app_rw")])[..6]);
    client.rest();
    assert!(started.elapsed() < Duration::from_secs(5), "closed after {:?}", started.elapsed());
}

#[test]
fn a_megabyte_of_one_plus_one_is_an_error_and_nothing_more() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("application.yaml"));
    let mut session = firewall.session("app_rw", "shop");
    let chain = |terms: usize| format!("SELECT 1{}", "+1".repeat(terms));
    let nested = |levels: usize| format!("SELECT {}1{}", "(".repeat(levels), ")".repeat(levels));
    for sql in [chain(500_000), nested(500_000), "SELECT ".to_owned() + &"NOT ".repeat(200_000) + "true"] {
        let frames = session.ask(&query(&sql));
        assert!(["54001", "54000", "42601"].contains(&error(&frames).field('C').as_str()), "{frames:?}");
        let frames = session.ask(&[parse("", &sql), sync()].concat());
        assert!(["54001", "54000", "42601"].contains(&error(&frames).field('C').as_str()), "{frames:?}");
        assert_eq!(status(&frames), 'I');
        assert_eq!(session.value("SELECT 1"), "1");
    }
    assert_eq!(session.value(&chain(1000)), "1001", "a thousand terms are an ordinary statement");
}

/// Runs `portcullis check` on one file, and `portcullis run` with it.
fn check(yaml: &str) -> Output {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("shop.yaml"), yaml).unwrap();
    let policies = directory.path().display().to_string();
    let [listen, admin] = two_ports();
    let run = portcullis(&[
        "run",
        &format!("--listen=127.0.0.1:{listen}"),
        &format!("--admin=127.0.0.1:{admin}"),
        "--policies",
        &policies,
        "--upstream=postgres://127.0.0.1:1?sslmode=disable",
    ]);
    assert!(run.code > 0, "it does not start: {run:?}");
    let check = portcullis(&["check", &policies]);
    assert!(check.code > 0, "{check:?}");
    check
}

#[test]
fn a_broken_policy_is_told_with_file_line_and_suggestion() {
    for (yaml, parts) in [
        ("policy: shop\n  applies_to: [", &["shop.yaml:"][..]),
        ("policy: shop\napplies_to: {users: [a]}\nalow: []\n", &["shop.yaml:3", "alow", "allow"]),
        (
            "policy: shop\napplies_to: {users: [a]}\nsearch_path: [public]\nallow: [{rule: r, actions: [selct], tables: ['*']}]\n",
            &["shop.yaml:4", "selct", "select"],
        ),
        (
            "policy: shop\napplies_to: {users: [a]}\nrequire: {client_cert: {on: x}}\n",
            &["shop.yaml:3", "client_cert", "cn"],
        ),
        ("", &["polic"]),
    ] {
        let output = check(yaml);
        let told = output.stdout + &output.stderr;
        for part in parts {
            assert!(told.contains(part), "{part:?} is not in:\n{told}");
        }
        assert!(!told.contains("panicked"), "{told}");
    }
}

#[test]
fn a_policy_whose_own_test_fails_is_not_loaded() {
    let yaml = "policy: shop
applies_to: {users: [a]}
search_path: [public]
allow: [{rule: r, actions: [select], tables: ['*']}]
tests:
  - allow: SELECT 1
  - allow: DROP TABLE orders
";
    let output = check(yaml);
    let told = output.stdout + &output.stderr;
    assert!(told.contains("shop.yaml:7") && told.contains("DROP TABLE orders"), "{told}");
}

#[test]
fn missing_files_and_impossible_settings_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let policies = directory.path().display().to_string();
    fs::write(directory.path().join("p.yaml"), "policy: p\napplies_to: {users: [a]}\nallow: []\n").unwrap();
    let upstream = "--upstream=postgres://127.0.0.1:1?sslmode=disable";
    for (arguments, part) in [
        (vec!["run", upstream, "--policies", "/no/such/directory"], "/no/such/directory"),
        (vec!["check", "/no/such/directory"], "/no/such/directory"),
        (vec!["run", upstream, "--config", "/no/such/file.yaml"], "/no/such/file.yaml"),
        (vec!["run", upstream, "--policies", &policies, "--tls-cert", "/no/c", "--tls-key", "/no/k"], "/no/"),
        (vec!["run", upstream, "--policies", &policies, "--tls-cert", "/no/c"], "tls_key"),
        (vec!["run", "--policies", &policies], "upstream"),
        (vec!["run", "--policies", &policies, "--upstream=postgres://me:pw@db:5432"], "user"),
        (vec!["run", "--policies", &policies, "--upstream=postgres://db:5432/shop"], "database"),
        (vec!["run", "--policies", &policies, "--upstream=postgres://db?sslmode=maybe"], "sslmode"),
        (vec!["run", upstream, "--policies", &policies, "--listen=nowhere"], "nowhere"),
        (vec!["ruin"], "ruin"),
    ] {
        let output = portcullis(&arguments);
        assert!(output.code > 0, "{arguments:?}: {output:?}");
        let told = output.stdout + &output.stderr;
        assert!(told.contains(part), "{arguments:?}: {told}");
        assert!(!told.contains("panicked") && !told.contains("me:pw"), "{told}");
    }
}

#[test]
fn a_log_that_can_not_be_written_opens_nothing() {
    let cluster = Cluster::default();
    let directory = tempfile::tempdir().unwrap();
    let policy = "policy: shop\napplies_to: {users: [app_rw]}\nsearch_path: [public]\n\
                  allow: [{rule: look, actions: [select], tables: [orders]}]\n";
    fs::write(directory.path().join("shop.yaml"), policy).unwrap();
    let [port, admin] = two_ports();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut firewall = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["run", "--policies", &directory.path().display().to_string()])
        .args(["--listen", &format!("127.0.0.1:{port}"), "--admin", &format!("127.0.0.1:{admin}")])
        .args(["--upstream", &format!("postgres://127.0.0.1:{}?sslmode=disable", cluster.port())])
        .env("PORTCULLIS_LOG", "debug")
        .stderr(full)
        .spawn()
        .unwrap();
    let outcome = std::panic::catch_unwind(|| {
        let up = (0..400).any(|_| {
            std::thread::sleep(Duration::from_millis(25));
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        assert!(up, "it does not start");
        let mut client = common::wire::Client::login(port, &[("user", "app_rw"), ("database", "shop")]);
        for _ in 0..50 {
            assert_eq!(error(&client.ask(&query("DELETE FROM orders"))).field('C'), "42501");
            assert_eq!(client.value("SELECT count(*) FROM orders"), "1000");
        }
    });
    firewall.kill().unwrap();
    firewall.wait().unwrap();
    outcome.unwrap();
}
