//! The audit log in front of a real server: every statement, login and load is there, with what the server said, and without
//! a value of anybody's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use crate::common;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::wire::{Client, bind, describe, error, execute, parse, query, status, sync};
use common::{Cluster, Firewall, firewall};
use portcullis::audit::{Event, Line, Run};

const SHOP: &str = "policy: shop
applies_to: {users: [app_rw]}
search_path: [public]
allow:
  - {rule: data, actions: [read, write], tables: ['*']}
  - {rule: tenant, actions: [set], settings: ['app.*']}
deny:
  - {rule: unbounded, actions: [delete], when: {where: missing}, severity: high}
  - {rule: frozen, actions: [truncate], mode: observe}
";

/// A firewall with an audit log, and where that is.
struct Audited {
    firewall: Firewall,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Audited {
    fn start(cluster: &Cluster, policy: &str) -> Audited {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let options = firewall::Options {
            environment: vec![("PORTCULLIS_AUDIT_LOG", path.display().to_string())],
            ..firewall::Options::policy(policy)
        };
        Audited { firewall: Firewall::start(cluster, options), path, _directory: directory }
    }

    fn session(&self) -> Client {
        self.firewall.session("app_rw", "shop")
    }

    /// The lines, once one says what is asked for.
    #[track_caller]
    fn lines(&self, until: impl Fn(&Event) -> bool) -> Vec<Line> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let lines = read(&self.path);
            if lines.iter().any(|line| until(&line.event)) {
                return lines;
            }
            assert!(Instant::now() < deadline, "{}", std::fs::read_to_string(&self.path).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The statements of a session that has ended.
    #[track_caller]
    fn runs(&self) -> Vec<Run> {
        let lines = self.lines(|event| matches!(event, Event::SessionClosed(_)));
        lines
            .into_iter()
            .filter_map(|line| match line.event {
                Event::Statement(run) => Some(*run),
                _ => None,
            })
            .collect()
    }
}

fn read(path: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

/// Message, verdict, rule, rows, SQLSTATE, and whether it was skipped.
fn told(run: &Run) -> (&str, &str, &str, Option<u64>, &str, bool) {
    let rule = run.rule.as_deref().unwrap_or("");
    (&run.message, &run.verdict, rule, run.rows, run.sqlstate.as_deref().unwrap_or(""), run.skipped)
}

#[test]
fn every_statement_is_told_with_its_end() {
    let cluster = Cluster::default();
    let audited = Audited::start(&cluster, SHOP);
    let mut client = audited.session();
    for (sql, at) in [
        ("CREATE TEMP TABLE x (a int)", 'I'),
        ("SELECT 1; SELECT 2 UNION SELECT 3", 'I'),
        ("SELECT * FROM orders WHERE note = 'hunter2'", 'I'),
        ("SELECT 1/0", 'I'),
        ("SELEC 'hunter2'", 'I'),
        ("DELETE FROM orders", 'I'),
        ("BEGIN", 'T'),
        ("SET LOCAL app.tenant = 'hunter2'", 'T'),
        ("TRUNCATE orders", 'T'),
        ("ROLLBACK", 'I'),
        ("", 'I'),
    ] {
        assert_eq!(status(&client.ask(&query(sql))), at, "{sql}");
    }
    let batch = [
        parse("s", "INSERT INTO orders (note) VALUES ($1)"),
        describe(b'S', "s"),
        bind("", "s", &["hunter2"]),
        execute(""),
        bind("", "s", &["hunter2"]),
        execute(""),
        parse("", "SELECT 1/$1::int"),
        bind("", "", &["0"]),
        execute(""),
        execute(""),
        sync(),
        bind("", "s", &["hunter2"]),
        execute(""),
        sync(),
    ];
    client.send(&batch.concat());
    client.until_ready();
    client.until_ready();
    drop(client);
    let runs = audited.runs();
    let seen: Vec<_> = runs.iter().map(told).collect();
    let expected = [
        ("Query", "refuse", "default", None, "42501", false),
        ("Query", "allow", "", Some(3), "", false),
        ("Query", "allow", "data", Some(0), "", false),
        ("Query", "allow", "", None, "22012", false),
        ("Query", "refuse", "parse", None, "42601", false),
        ("Query", "refuse", "unbounded", None, "42501", false),
        ("Query", "allow", "", None, "", false),
        ("Query", "allow", "tenant", None, "", false),
        ("Query", "would_refuse", "frozen", None, "", false),
        ("Query", "allow", "", None, "", false),
        ("Query", "allow", "", None, "", false),
        ("Parse", "allow", "data", None, "", false),
        ("Execute", "allow", "data", Some(1), "", false),
        ("Execute", "allow", "data", Some(1), "", false),
        ("Parse", "allow", "", None, "", false),
        ("Execute", "allow", "", None, "22012", false),
        ("Execute", "allow", "", None, "", true),
        ("Execute", "allow", "data", Some(1), "", false),
    ];
    assert_eq!(seen, expected);
    let deny = &runs[5];
    assert_eq!(deny.severity.as_deref(), Some("high"));
    assert!(
        deny.id.as_deref().is_some_and(|id| id.len() == 26) && deny.reason.as_deref().unwrap().contains("no WHERE")
    );
    assert_eq!(deny.text.facts.as_ref().unwrap().statements.len(), 1);
    assert!(runs[1].latency_ms.unwrap() > 0.0 && runs[0].latency_ms.is_none());
    assert_eq!(runs[12].text, runs[17].text, "what runs says what was prepared");
    assert!(runs.iter().all(|run| run.who.user == "app_rw" && run.who.database == "shop" && run.policy == "shop"));
    let text = std::fs::read_to_string(&audited.path).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(audited.firewall.metric("portcullis_rule_alerts_total", &[("severity", "high")]), 1.0);
}

#[test]
fn logins_sessions_and_loads_are_told() {
    let cluster = Cluster::default();
    let audited = Audited::start(&cluster, SHOP);
    let mut stranger = audited.firewall.connect();
    assert_eq!(error(&stranger.try_login(&[("user", "stranger"), ("database", "shop")])).field('C'), "28000");
    drop(stranger);
    audited.lines(|event| matches!(event, Event::Login(login) if login.verdict == "refuse"));
    let mut nobody = audited.firewall.connect();
    let refused = nobody.try_login(&[("user", "app_rw"), ("database", "nowhere")]);
    assert_eq!(error(&refused).field('C'), "3D000");
    drop(audited.session());
    audited.lines(|event| matches!(event, Event::SessionClosed(_)));
    audited.firewall.reload(&SHOP.replace("unbounded", "no-where"));
    audited.firewall.reload("policy: [");
    let lines = audited.lines(|event| matches!(event, Event::PolicyLoad(load) if load.outcome == "failed"));
    let loads: Vec<_> = lines
        .iter()
        .filter_map(|line| if let Event::PolicyLoad(load) = &line.event { Some(load) } else { None })
        .collect();
    assert_eq!(
        loads.iter().map(|load| (load.by.as_str(), load.outcome.as_str())).collect::<Vec<_>>(),
        [("start", "loaded"), ("SIGHUP", "loaded"), ("SIGHUP", "failed"),]
    );
    assert!(loads[1].summary.contains("no-where") && loads[1].digest != loads[0].digest, "{loads:?}");
    let logins: Vec<_> = lines
        .iter()
        .filter_map(|line| if let Event::Login(login) = &line.event { Some(login) } else { None })
        .collect();
    let said: Vec<_> =
        logins.iter().map(|login| (login.who.user.as_str(), login.verdict.as_str(), login.rule.as_deref())).collect();
    assert!(said.contains(&("stranger", "refuse", Some("default"))), "{said:?}");
    assert!(said.iter().filter(|said| said.1 == "allow").count() >= 1, "{said:?}");
    let opened = lines
        .iter()
        .find_map(|line| if let Event::SessionOpened(opened) = &line.event { Some(opened) } else { None })
        .unwrap();
    assert_eq!((opened.policy.as_str(), opened.client_tls.as_str()), ("shop", "none"));
    let closed = lines
        .iter()
        .rev()
        .find_map(|line| if let Event::SessionClosed(closed) = &line.event { Some(closed) } else { None })
        .unwrap();
    assert!(closed.reason.contains("client closed"), "{closed:?}");
    let times: Vec<_> = lines.iter().map(|line| line.time).collect();
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1] || pair[0].duration_since(pair[1]).as_secs() < 1));
}

#[test]
fn what_cannot_be_written_stops_nobody_and_is_counted() {
    let cluster = Cluster::default();
    let options = firewall::Options {
        environment: vec![("PORTCULLIS_AUDIT_LOG", "/dev/full".to_owned())],
        ..firewall::Options::policy(SHOP)
    };
    let firewall = Firewall::start(&cluster, options);
    let mut client = firewall.session("app_rw", "shop");
    assert_eq!(client.value("SELECT 7"), "7");
    firewall.log_line(&["the audit log can't be written"]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while firewall.metric("portcullis_audit_lines_lost_total", &[]) == 0.0 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(client.value("SELECT 8"), "8");
}

#[test]
fn what_runs_is_what_the_server_has_and_not_what_it_refused() {
    let cluster = Cluster::default();
    let audited = Audited::start(&cluster, SHOP);
    let mut client = audited.session();
    let run = [bind("", "s", &[]), execute(""), sync()].concat();
    client.ask(&[parse("s", "SELECT count(*) FROM orders"), sync()].concat());
    let again = [parse("s", "COMMIT"), sync()].concat();
    assert_eq!(error(&client.ask(&again)).field('C'), "42P05");
    client.ask(&run);
    // The same in one go: when it is sent nobody knows.
    client.send(&[again.clone(), run.clone()].concat());
    client.until_ready();
    client.until_ready();
    // In the same batch it wouldn't run at all.
    client.ask(&[parse("s", "COMMIT"), run].concat());
    drop(client);
    let runs = audited.runs();
    let seen: Vec<_> = runs
        .iter()
        .map(|run| {
            let text = if run.text.statement.is_empty() { "" } else { run.text.statement.split(' ').next().unwrap() };
            (
                run.message.as_str(),
                text,
                run.rows,
                run.sqlstate.as_deref().unwrap_or(""),
                run.skipped,
                run.ambiguous.len(),
            )
        })
        .collect();
    let expected = [
        ("Parse", "SELECT", None, "", false, 0),
        ("Parse", "COMMIT", None, "42P05", false, 0),
        ("Execute", "SELECT", Some(1), "", false, 0),
        ("Parse", "COMMIT", None, "42P05", false, 0),
        ("Execute", "", Some(1), "", false, 2),
        ("Parse", "COMMIT", None, "42P05", false, 0),
        ("Execute", "COMMIT", None, "", true, 0),
    ];
    assert_eq!(seen, expected);
    let hashes: Vec<_> = [0, 1].iter().map(|line| runs[*line].text.hash.clone().unwrap()).collect();
    assert!(hashes.iter().all(|hash| runs[4].ambiguous.contains(hash)), "{:?}", runs[4]);
    assert!(runs[4].text.facts.is_none(), "nothing is learned of it");
}
