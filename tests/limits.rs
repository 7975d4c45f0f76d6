//! What is counted, and what follows a refusal, in front of a real server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use crate::common;

use std::time::{Duration, Instant};

use common::wire::{Client, bind, error, execute, frame, parse, query, status, sync};
use common::{Cluster, Firewall, firewall};

fn shop(lines: &str) -> firewall::Options {
    firewall::Options::policy(&format!(
        "policy: shop\napplies_to: {{users: [app_rw]}}\nsearch_path: [public]\n\
         allow: [{{rule: data, actions: [read, write, call], tables: ['*'], functions: ['*']}}, {{rule: sleep, actions: [sleep]}}]\n{lines}"
    ))
}

#[track_caller]
fn refused(client: &mut Client, bytes: &[u8]) -> (String, String) {
    let frames = client.ask(bytes);
    (error(&frames).field('C'), error(&frames).field('M'))
}

/// An Execute of at most so many rows.
fn execute_some(portal: &str, rows: u32) -> Vec<u8> {
    frame(b'E', &[portal.as_bytes(), b"\0", &rows.to_be_bytes()].concat())
}

#[test]
fn statements_over_the_rate_are_refused_whatever_session_they_come_from() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, shop("limits: {statements: 6/hour}\n"));
    let mut client = firewall.session("app_rw", "shop");
    assert_eq!(status(&client.ask(&query("BEGIN"))), 'T');
    assert_eq!(client.value("SELECT 1"), "1");
    // Three at once, and a prepared one that is bound before it is too much.
    assert_eq!(status(&client.ask(&query("SELECT 1; SELECT 2; SELECT 3"))), 'T');
    client.ask(&[parse("s", "SELECT 5"), bind("", "s", &[]), execute(""), sync()].concat());
    let (code, message) = refused(&mut client, &[bind("", "s", &[]), execute(""), sync()].concat());
    assert_eq!(code, "53400");
    assert!(message.contains("more than 6/hour statements of user \"app_rw\""), "{message}");
    // What ends the transaction always may.
    assert_eq!(status(&client.ask(&query("ROLLBACK"))), 'I');
    let mut other = firewall.session("app_rw", "shop");
    assert_eq!(refused(&mut other, &query("SELECT 1")).0, "53400");
    assert_eq!(refused(&mut other, &query("COMMIT; SELECT 1")).0, "53400");
    assert!(firewall.metric("portcullis_limit_exceeded_total", &[("limit", "statements")]) >= 3.0);
}

#[test]
fn sessions_and_logins_over_their_limits_are_refused_before_the_server_hears_of_them() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, shop("limits: {sessions: 2}\n"));
    let first = firewall.session("app_rw", "shop");
    let _second = firewall.session("app_rw", "shop");
    let mut third = firewall.connect();
    let frames = third.try_login(&[("user", "app_rw"), ("database", "shop")]);
    let error = error(&frames);
    assert_eq!((error.field('S').as_str(), error.field('C').as_str()), ("FATAL", "53400"));
    assert!(error.field('M').contains("more than 2 sessions"), "{error:?}");
    drop(first);
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut again = firewall.connect();
        if again.try_login(&[("user", "app_rw"), ("database", "shop")]).iter().any(|frame| frame.kind == b'Z') {
            break;
        }
        assert!(Instant::now() < deadline, "the place was never free again");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(firewall.metric("portcullis_limit_exceeded_total", &[("limit", "sessions")]) >= 1.0);

    let firewall = Firewall::start(&cluster, shop("limits: {logins: 2/hour}\n"));
    for _ in 0..2 {
        drop(firewall.session("app_rw", "shop"));
    }
    let frames = firewall.connect().try_login(&[("user", "app_rw"), ("database", "shop")]);
    assert_eq!(common::wire::error(&frames).field('C'), "53400");
}

/// Who leaves in the middle of a statement, by a reset or because a rule ends the session, still has the server's process.
#[test]
fn a_session_counts_as_long_as_the_server_works_for_it() {
    let cluster = Cluster::default();
    let lines = "limits: {sessions: 1}\n\
                 deny: [{rule: out, actions: [truncate], outcome: terminate}]\n";
    let firewall = Firewall::start(&cluster, shop(lines));
    let log_in = || {
        let mut client = firewall.connect();
        let frames = client.try_login(&[("user", "app_rw"), ("database", "shop")]);
        frames.iter().any(|frame| frame.kind == b'Z').then_some(client)
    };
    let works = |part: &str| {
        let of_us = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app_rw' AND state = 'active'";
        let mut direct = Client::login(cluster.port(), &[("user", "postgres"), ("database", "shop")]);
        direct.value(&format!("{of_us} AND query LIKE '%{part}%'")) == "1"
    };
    let until = |what: &str, holds: &dyn Fn() -> bool| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !holds() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    for (name, leaves) in [
        ("by_reset", (|client: Client| client.reset()) as fn(Client)),
        ("by_outcome", |mut client: Client| {
            client.send(&query("TRUNCATE orders"));
            while client.read().is_some() {}
        }),
    ] {
        // It gives nothing for so long as it sleeps, and then much.
        let mut client = log_in().expect("a place");
        client.send(&query(&format!("SELECT pg_sleep(2), '{name}' FROM generate_series(1, 2)")));
        until("it works", &|| works(name));
        leaves(client);
        assert!(log_in().is_none() && works(name), "{name}: another session while the server works for the first");
        until("the place is free again", &|| log_in().is_some());
        assert!(!works(name), "{name}: free before the server was done");
    }

    // What it answers nobody reads: it is cancelled, as it would find out by itself that its client is gone.
    let mut client = log_in().expect("a place");
    client.send(&query("SELECT repeat('x', 100000) FROM generate_series(1, 100); SELECT pg_sleep(600), 'long'"));
    until("it works", &|| works("long"));
    client.reset();
    until("the place is free again", &|| log_in().is_some());
    assert!(!works("long"));
}

#[test]
fn a_result_of_too_many_rows_ends_the_session_by_every_way_to_ask_for_it() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, shop("limits: {result_rows: 100}\n"));
    let many = "SELECT n FROM generate_series(1, 101) n";
    let enough = "SELECT n FROM generate_series(1, 100) n";
    let fetch = |count: u32| query(&format!("FETCH {count} FROM c"));
    let fetch_extended =
        |count: u32| [parse("", &format!("FETCH {count} FROM c")), bind("", "", &[]), execute(""), sync()].concat();
    let ways: [(&str, Vec<Vec<u8>>); 8] = [
        ("a query", vec![query(many)]),
        ("an Execute", vec![[parse("", many), bind("", "", &[]), execute(""), sync()].concat()]),
        (
            "a portal in parts",
            vec![[parse("", many), bind("p", "", &[]), execute_some("p", 60), execute_some("p", 60), sync()].concat()],
        ),
        (
            "a cursor in parts",
            vec![query("BEGIN"), query(&format!("DECLARE c CURSOR FOR {many}")), fetch(60), fetch(60)],
        ),
        // Its header and trailer might be two of them.
        ("COPY", vec![query("COPY (SELECT n FROM generate_series(1, 103) n) TO STDOUT")]),
        (
            "a cursor by the extended protocol, with another DECLARE that is only parsed",
            vec![
                query("BEGIN"),
                query(&format!("DECLARE c CURSOR FOR {many}")),
                fetch_extended(60),
                [parse("x", "DECLARE c CURSOR FOR SELECT 1"), sync()].concat(),
                fetch_extended(60),
            ],
        ),
        (
            "a cursor that is declared again in vain",
            vec![
                query("BEGIN"),
                query(&format!("DECLARE c CURSOR FOR {many}")),
                query("SAVEPOINT s"),
                fetch(60),
                query("DECLARE c CURSOR FOR SELECT 1"),
                query("ROLLBACK TO s"),
                fetch(60),
            ],
        ),
        ("one of several", vec![query(&format!("SELECT 1; {many}"))]),
    ];
    for (way, requests) in ways {
        let mut client = firewall.session("app_rw", "shop");
        // As many as are allowed, again and again: that is another statement each time.
        for _ in 0..2 {
            assert_eq!(client.ask(&query(enough)).iter().filter(|frame| frame.kind == b'D').count(), 100, "{way}");
        }
        // And as many statements as one likes, in one pipeline on one portal.
        let ten = [parse("", "SELECT n FROM generate_series(1, 10) n"), bind("", "", &[]), execute("")].concat();
        let rows = client.ask(&[ten.repeat(15), sync()].concat()).iter().filter(|frame| frame.kind == b'D').count();
        assert_eq!(rows, 150, "{way}");
        let (last, before) = requests.split_last().unwrap();
        for request in before {
            client.ask(request);
        }
        client.send(last);
        let mut rows = 0;
        let fatal = loop {
            let frame = client.read().unwrap_or_else(|| panic!("{way}: closed without a word"));
            match frame.kind {
                b'D' | b'd' => rows += 1,
                b'E' => break frame,
                _ => {}
            }
        };
        // The one of the first of several counts for itself.
        let beside = if way == "COPY" { 2 } else { usize::from(way == "one of several") };
        assert!(rows <= 100 + beside, "{way}: {rows}");
        assert_eq!((fatal.field('S').as_str(), fatal.field('C').as_str()), ("FATAL", "53400"), "{way}: {fatal:?}");
        assert!(fatal.field('M').contains("more than 100 rows of one statement"), "{way}: {fatal:?}");
        assert!(client.read().is_none(), "{way}: the session goes on");
    }
    assert_eq!(firewall.metric("portcullis_limit_exceeded_total", &[("limit", "result_rows")]), 8.0);

    let observed = shop("limits: {result_rows: 100, statements: 1/hour, sessions: 1}\nmode: observe\n");
    let firewall = Firewall::start(&cluster, observed);
    let (mut a, mut b) = (firewall.session("app_rw", "shop"), firewall.session("app_rw", "shop"));
    for client in [&mut a, &mut b] {
        assert_eq!(client.ask(&query(many)).iter().filter(|frame| frame.kind == b'D').count(), 101);
    }
    for limit in ["result_rows", "statements", "sessions"] {
        assert!(firewall.metric("portcullis_limit_exceeded_total", &[("limit", limit)]) >= 1.0, "{limit}");
    }
}

#[test]
fn a_rule_may_end_the_session_or_hold_its_refusal_back() {
    let cluster = Cluster::default();
    let lines = "deny:\n  - {rule: out, actions: [truncate], outcome: terminate, hint: never}\n  \
                 - {rule: slow, actions: [delete], delay: 1500ms}\n";
    let firewall = Firewall::start(&cluster, shop(lines));
    let mut client = firewall.session("app_rw", "shop");
    assert_eq!(client.value("SELECT count(*) FROM orders"), client.value("SELECT count(*) FROM orders"));
    let pid: i32 = client.value("SELECT pg_backend_pid()").parse().unwrap();
    client.send(&query("TRUNCATE orders"));
    let fatal = client.read().unwrap();
    assert_eq!((fatal.field('S').as_str(), fatal.field('C').as_str()), ("FATAL", "42501"));
    assert!(fatal.field('D').contains("rule \"out\"") && fatal.field('H') == "never", "{fatal:?}");
    assert!(client.read().is_none());
    // The server's session is gone, too.
    let mut other = firewall.session("app_rw", "shop");
    let deadline = Instant::now() + Duration::from_secs(10);
    let alive = format!("SELECT count(*) FROM pg_catalog.pg_locks WHERE pid = {pid}");
    while other.value(&alive) != "0" {
        assert!(Instant::now() < deadline, "the server's session lives on");
        std::thread::sleep(Duration::from_millis(50));
    }

    let begun = Instant::now();
    assert_eq!(refused(&mut other, &query("DELETE FROM orders")).0, "42501");
    assert!(begun.elapsed() >= Duration::from_millis(1500), "{:?}", begun.elapsed());
    let begun = Instant::now();
    let pipeline =
        [parse("", "SELECT 1"), bind("", "", &[]), execute(""), sync(), query("DELETE FROM orders")].concat();
    other.send(&pipeline);
    assert_eq!(status(&other.until_ready()), 'I', "what came before isn't held back");
    other.until_ready();
    // Inside a transaction block its locks would be held as long: at once.
    other.ask(&query("BEGIN"));
    let begun_in_block = Instant::now();
    assert_eq!(refused(&mut other, &query("DELETE FROM orders")).0, "42501");
    let took = begun_in_block.elapsed();
    other.ask(&query("ROLLBACK"));
    assert!(took < Duration::from_millis(1400) || begun.elapsed() > Duration::from_secs(20), "{took:?}");
}

/// Sends each request, its answers read before the next one: the rows that came until the session was ended, which must be.
#[track_caller]
fn rows_until_the_end(client: &mut Client, way: &str, requests: &[Vec<u8>]) -> usize {
    let mut rows = 0;
    for request in requests {
        if !client.try_send(request) {
            return rows;
        }
        loop {
            let Some(frame) = client.read() else { return rows };
            match frame.kind {
                b'D' | b'd' => rows += 1,
                b'E' if frame.field('S') == "FATAL" => {
                    assert_eq!(frame.field('C'), "53400", "{way}: {frame:?}");
                    return rows;
                }
                b'Z' => break,
                _ => {}
            }
        }
    }
    panic!("{way}: it goes on after {rows} rows");
}

#[test]
fn rows_of_a_result_are_counted_whatever_is_done_to_its_portal_in_between() {
    let cluster = Cluster::default();
    let policy = "limits: {result_rows: 20}\nallow: [{rule: wait, actions: [sleep]}, {rule: data, actions: [read, write, call], tables: ['*']}]\n";
    let firewall = Firewall::start(
        &cluster,
        firewall::Options::policy(&format!(
            "policy: shop\napplies_to: {{users: [app_rw]}}\nsearch_path: [public]\n{policy}"
        )),
    );
    let many = "SELECT n FROM generate_series(1, 60000) n";
    let name = "x".repeat(63);
    let some = |portal: &str| [execute_some(portal, 10), sync()].concat();
    let statement = |name: &str, sql: &str| parse(name, sql);
    let run = |name: &str, portal: &str| [bind(portal, name, &[]), execute(portal), sync()].concat();

    let long_portals: Vec<_> = [query("BEGIN"), [parse("", many), bind(&name, "", &[]), sync()].concat()]
        .into_iter()
        .chain((0..9).map(|n| some(&format!("{name}{n}"))))
        .collect();
    let long_cursors: Vec<_> = [query("BEGIN"), query(&format!("DECLARE {name} CURSOR FOR {many}"))]
        .into_iter()
        .chain((0..9).map(|n| query(&format!("FETCH 10 FROM {name}{n}"))))
        .collect();
    let mut in_savepoints = vec![
        query("BEGIN"),
        [statement("sp", "SAVEPOINT s"), statement("rb", "ROLLBACK TO s")].concat(),
        [parse("q", "SELECT n FROM generate_series($1::int, 60000) n"), bind("", "q", &["1"])].concat(),
    ];
    in_savepoints = vec![in_savepoints.concat(), some("")];
    // The first three have one answer of their own: BEGIN's.
    in_savepoints.insert(1, sync());
    for n in 0..9 {
        in_savepoints.push(run("sp", &format!("sp{n}")));
        in_savepoints.push([bind("", "q", &[]), sync()].concat());
        in_savepoints.push(run("rb", &format!("rb{n}")));
        in_savepoints.push(some(""));
    }
    let renamed: Vec<_> = [
        query("BEGIN"),
        query(&format!("DECLARE c CURSOR FOR {many}")),
        [parse("f", "FETCH 10 FROM c"), sync()].concat(),
        query("SAVEPOINT s"),
    ]
    .into_iter()
    .chain((0..9).flat_map(|n| {
        [
            query(&format!("DECLARE c{n} CURSOR FOR SELECT 1")),
            query("SAVEPOINT s"),
            [parse("f", &format!("FETCH 10 FROM c{n}")), sync()].concat(),
            query("ROLLBACK TO s"),
            run("f", ""),
        ]
    }))
    .collect();
    for (way, requests) in [
        ("names that the server cuts", long_portals),
        ("names of cursors that the server cuts", long_cursors),
        ("a Bind that fails in a subtransaction", in_savepoints),
        ("a FETCH that is prepared again in vain", renamed),
    ] {
        let mut client = firewall.session("app_rw", "shop");
        let rows = rows_until_the_end(&mut client, way, &requests);
        assert!(rows <= 20, "{way}: {rows}");
    }

    // Behind the answers of transactions that were sent before, done or refused.
    for before in ["SELECT pg_catalog.pg_sleep(0.2)", "TRUNCATE orders"] {
        let mut client = firewall.session("app_rw", "shop");
        let slow = [parse("", before), bind("", "", &[]), execute(""), sync()].concat();
        let begin =
            [parse("q", many), parse("b", "BEGIN"), bind("", "b", &[]), execute(""), bind("p", "q", &[])].concat();
        client.send(&[slow.repeat(4), begin].concat());
        let mut rows = 0;
        for _ in 0..4 {
            client.try_send(&execute_some("p", 10));
            let frames = client.until_ready();
            rows += frames.iter().filter(|frame| frame.kind == b'D').count();
        }
        client.try_send(&sync());
        while let Some(frame) = client.read() {
            rows += usize::from(frame.kind == b'D');
            assert!(frame.kind != b'Z', "it goes on after {rows} rows");
        }
        assert!(rows <= 24, "{before}: {rows}");
    }

    // More of them than are paired with their answers.
    let mut client = firewall.session("app_rw", "shop");
    client.ask(&query("BEGIN"));
    let wait = [parse("z", "SELECT pg_catalog.pg_sleep(1)"), bind("z", "z", &[]), execute("z")].concat();
    let open = [parse("", many), bind("p", "", &[])].concat();
    client.try_send(&[wait, open, execute_some("p", 10).repeat(40_000), sync()].concat());
    let mut rows = 0;
    while let Some(frame) = client.read() {
        rows += usize::from(frame.kind == b'D');
        assert!(frame.kind != b'Z', "it goes on after {rows} rows");
    }
    assert!(rows <= 21, "{rows}");
}

#[test]
fn a_parse_that_fails_takes_nothing_from_the_count_of_statements() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, shop("limits: {statements: 5/hour}\n"));
    let mut client = firewall.session("app_rw", "shop");
    client.ask(&[parse("s", "SELECT 1"), sync()].concat());
    assert_eq!(error(&client.ask(&[parse("s", "COMMIT"), sync()].concat())).field('C'), "42P05");
    let run = [bind("", "s", &[]), execute(""), sync()].concat();
    let ran = (0..20).filter(|_| client.ask(&run).iter().any(|frame| frame.kind == b'D')).count();
    assert!(ran <= 5, "{ran} of 20");
    // What only ends a transaction goes on to pass, prepared too.
    client.ask(&[parse("c", "ROLLBACK"), sync()].concat());
    let frames = client.ask(&[bind("", "c", &[]), execute(""), sync()].concat());
    assert!(frames.iter().all(|frame| frame.kind != b'E'), "{frames:?}");
}
