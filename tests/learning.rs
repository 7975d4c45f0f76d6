//! What is learned from recorded lines allows them all and nothing that may never be learned; what is replayed is told as it is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use crate::common;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use common::random_sql::{Random, statement};
use portcullis::audit::{Audit, Event, Opened, Run, Target, Text, Told, Who};
use portcullis::detect;
use portcullis::learn::list::{Entry, List};
use portcullis::learn::replay::{Replay, Report};
use portcullis::learn::{By, Gathering, Learned, Options, write};
use portcullis::policy::{self, PolicySet};
use portcullis::sql::{self, Reading};

/// A log as the program writes it.
struct Recording {
    audit: Audit,
    directory: tempfile::TempDir,
    seconds: i64,
}

impl Recording {
    fn new() -> Recording {
        let directory = tempfile::tempdir().unwrap();
        let audit = Audit::open(&Target::File(directory.path().join("audit.jsonl"))).unwrap();
        Recording { audit, directory, seconds: 1_790_000_000 }
    }

    fn who(session: u64, user: &str) -> Who {
        Who { session, user: user.into(), database: "shop".into(), address: "10.0.0.7".into() }
    }

    fn opened(&self, session: u64, user: &str, client_tls: &str) {
        self.audit.tell(Event::SessionOpened(Opened {
            who: Recording::who(session, user),
            policy: "watch".into(),
            client_tls: client_tls.into(),
            upstream_tls: "none".into(),
            upstream: "127.0.0.1:5432".into(),
            replication: false,
            listener: String::new(),
            client_cert: None,
            os_user: None,
        }));
    }

    /// A statement that passed.
    fn ran(&mut self, session: u64, user: &str, text: &str) {
        self.run(session, user, text, |run| run);
    }

    fn run(&mut self, session: u64, user: &str, text: &str, change: impl FnOnce(Run) -> Run) {
        self.seconds += 1;
        let run = Run {
            who: Recording::who(session, user),
            application_name: String::new(),
            message: "Query".into(),
            verdict: "allow".into(),
            policy: "watch".into(),
            rule: None,
            reason: None,
            severity: None,
            id: None,
            rows: None,
            latency_ms: None,
            sqlstate: None,
            skipped: false,
            ambiguous: Vec::new(),
            text: Text::default(),
        };
        let told = match sql::analyse(text, Reading::default()) {
            Ok(analysis) => Told::of(text, &analysis.facts, &detect::signals(text, &analysis)),
            Err(_) => Told::unread(text),
        };
        let time = jiff::Timestamp::from_second(self.seconds).unwrap();
        self.audit.tell_run(time, change(run), Some(&told));
    }

    fn path(&self) -> PathBuf {
        self.audit.flush();
        assert_eq!(self.audit.dropped(), 0);
        self.directory.path().join("audit.jsonl")
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    fn learn(&self, options: &Options) -> Learned {
        let mut gathering = Gathering::default();
        self.bytes().split(|b| *b == b'\n').for_each(|line| gathering.line(line));
        assert_eq!(gathering.counts().unreadable, 0, "{:?}", gathering.counts());
        write(&gathering, options).unwrap()
    }

    fn replay(&self, new: &Arc<PolicySet>, old: Option<&Arc<PolicySet>>) -> Report {
        let mut replay = Replay::new(Arc::clone(new), old.cloned());
        self.bytes().split(|b| *b == b'\n').for_each(|line| replay.line(line));
        replay.report()
    }
}

fn by(by: By) -> Options {
    Options { by, user: None, policy: None, search_path: Vec::new(), include_singletons: false }
}

/// What was learned, as it would be loaded from its directory.
fn loaded(learned: &Learned) -> Arc<PolicySet> {
    let directory = tempfile::tempdir().unwrap();
    for policy in &learned.policies {
        let put = |ending: &str, text: &str| {
            fs::write(directory.path().join(format!("{}.{ending}", policy.name)), text).unwrap();
        };
        put("yaml", &policy.policy);
        policy.list.iter().for_each(|text| put("learned.yaml", text));
        policy.review.iter().for_each(|text| put("review.learned.yaml", text));
    }
    Arc::new(policy::load(directory.path()).unwrap())
}

fn on_a_large_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(sql::STACK).spawn(work).unwrap().join().unwrap()
}

const SHOP: [&str; 9] = [
    "SELECT * FROM products WHERE id = 1",
    "SELECT * FROM products WHERE id = $1",
    "INSERT INTO orders (product_id) VALUES (1) RETURNING id",
    "UPDATE public.orders SET total = f(total) WHERE id = 2",
    "SET app.tenant = 'x'",
    "SET search_path = public",
    "BEGIN",
    "LISTEN jobs",
    "SELECT nextval('orders_id_seq'), now()",
];

#[test]
fn what_is_learned_allows_what_was_seen_and_no_more() {
    on_a_large_stack(|| {
        for (how, path) in [
            (By::Statement, ""),
            (By::Statement, "public"),
            (By::Table, ""),
            (By::Table, "public"),
            (By::Action, ""),
            (By::Action, "public"),
        ] {
            let mut log = Recording::new();
            for session in [1, 2] {
                log.opened(session, "app", "TLSv1.3");
                SHOP.iter().for_each(|text| log.ran(session, "app", text));
            }
            let search_path: Vec<String> = path.split_terminator(',').map(str::to_owned).collect();
            let learned = log.learn(&Options { search_path, ..by(how) });
            let [policy] = learned.policies.as_slice() else { panic!("{learned:?}") };
            assert_eq!((policy.name.as_str(), policy.users.as_slice()), ("app", &["app".to_owned()][..]));
            // The guarded setting needs no rule where the path is the policy's, and is never learned where it isn't.
            let guarded = policy.unlearned.iter().find(|left| left.why == "guarded setting: search_path");
            assert_eq!(guarded.is_some(), path.is_empty(), "{how:?} {path}: {:?}", policy.unlearned);
            let left: usize = policy.unlearned.iter().map(|left| left.statements).sum();
            assert_eq!(policy.statements + left, SHOP.len());

            let set = loaded(&learned);
            let report = log.replay(&set, None);
            assert_eq!(report.newly_refused, if path.is_empty() { 2 } else { 0 }, "{how:?}: {report:#?}");
            assert_eq!(report.untold, 0);
            // Another statement.
            log.ran(1, "app", "SELECT secret FROM users");
            log.ran(1, "app", "DELETE FROM orders");
            log.ran(1, "app", "SELECT name FROM products");
            let report = log.replay(&set, None);
            let newly: u64 = report.refused.iter().map(|rule| rule.times).sum();
            let expected = match how {
                By::Statement => 3,
                By::Table => 2,
                By::Action => 1,
            };
            assert_eq!(newly, expected + if path.is_empty() { 2 } else { 0 }, "{how:?} {path}: {report:#?}");
        }
    });
}

#[test]
fn the_files_are_the_same_whatever_the_order_and_read_well() {
    on_a_large_stack(|| {
        let written = |texts: &[&str]| {
            let mut log = Recording::new();
            for session in [1, 2] {
                texts.iter().for_each(|text| log.ran(session, "app", text));
            }
            let learned = log.learn(&by(By::Table));
            let list = log.learn(&by(By::Statement)).policies[0].list.clone().unwrap();
            let texts: Vec<String> = List::parse(&list).unwrap().render().lines().map(str::to_owned).collect();
            assert!(texts.is_sorted_by_key(|line| line.split("\"text\":").nth(1).unwrap_or("").to_owned()), "{list}");
            learned.policies[0].policy.clone()
        };
        let mut backwards = SHOP;
        backwards.reverse();
        assert_eq!(written(&SHOP), written(&backwards));
        let policy = written(&SHOP);
        for line in [
            "policy: app",
            "applies_to: {users: [app], databases: [shop]}",
            "  - {rule: insert-orders, actions: [insert, select], tables: [orders]}",
            "  - {rule: listen-jobs, actions: [listen], objects: [jobs]}",
            "#   1 statements, 2 times: guarded setting: search_path",
        ] {
            assert!(policy.lines().any(|other| other == line), "no `{line}` in\n{policy}");
        }
    });
}

const NEVER: [(&str, &str); 14] = [
    ("COPY t TO PROGRAM 'x'", "file: copy_program"),
    ("COPY t FROM '/etc/passwd'", "file: copy_file"),
    ("SELECT pg_read_file('/etc/passwd')", "file: "),
    ("CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p", "network: "),
    ("ALTER SYSTEM SET work_mem = '1GB'", "admin: alter_system"),
    ("SELECT pg_terminate_backend(1)", "admin: "),
    ("DO $$ BEGIN END $$", "code: do"),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "code: create_function"),
    ("GRANT SELECT ON t TO r", "dcl: grant"),
    ("SET ROLE admin", "another role"),
    ("SET row_security = off", "guarded setting: row_security"),
    ("SELECT lo_import('/x')", "file: "),
    ("UPDATE pg_db_role_setting SET setconfig = NULL", "the server's own"),
    ("SELECT set_config(f(), 'x', true)", "can't be known"),
];

#[test]
fn what_reaches_out_is_never_learned() {
    on_a_large_stack(|| {
        let mut log = Recording::new();
        for session in [1, 2] {
            log.ran(session, "app", "SELECT 1 FROM t");
            NEVER.iter().for_each(|(text, _)| log.ran(session, "app", text));
            // Signs of an injection.
            log.ran(session, "app", "SELECT a FROM u WHERE b = 'x' OR 1 = 1 --'");
            log.ran(session, "app", "ALTER ROLE x PASSWORD 'y'");
            log.ran(session, "app", "SELEC 1");
            for rule in ["no-drops", "decoy", "disagreement"] {
                let text = format!("SELECT a FROM \"{rule}\"");
                log.run(session, "app", &text, |run| Run {
                    verdict: "would_refuse".into(),
                    rule: Some(rule.into()),
                    reason: Some("because".into()),
                    ..run
                });
            }
            log.run(session, "app", "SELECT 1 FROM refused", |run| Run {
                verdict: "refuse".into(),
                rule: Some("default".into()),
                ..run
            });
        }
        for how in [By::Statement, By::Table, By::Action] {
            let learned = log.learn(&by(how));
            let policy = &learned.policies[0];
            let why: Vec<&str> = policy.unlearned.iter().map(|left| left.why.as_str()).collect();
            for (text, expected) in NEVER {
                assert!(why.iter().any(|why| why.contains(expected)), "{how:?} {text}: {why:?}");
            }
            for expected in [
                "signs of an injection",
                "no-drops: because",
                "decoy",
                "disagreement",
                "refused by default",
                "not read",
            ] {
                assert!(why.iter().any(|why| why.contains(expected)), "{how:?} {expected}: {why:?}");
            }
            assert_eq!(policy.statements, 1, "{how:?}: {}", policy.policy);
            // By action every table is read, those of the statements that were left, too: that is what was asked for.
            if how != By::Action {
                let report = log.replay(&loaded(&learned), None);
                assert_eq!((report.unchanged_allowed, report.newly_allowed), (2, 0), "{how:?}: {report:#?}");
            }
        }
    });
}

#[test]
fn what_one_session_alone_sent_is_set_apart() {
    on_a_large_stack(|| {
        let mut log = Recording::new();
        log.opened(1, "app", "none");
        for _ in 0..5 {
            log.ran(1, "app", "SELECT once FROM t");
        }
        log.ran(1, "app", "SELECT twice FROM t");
        // The process started anew: the number is another session's.
        log.opened(1, "app", "none");
        log.ran(1, "app", "SELECT twice FROM t");
        log.run(2, "app", "SELECT broken FROM nowhere", |run| Run { sqlstate: Some("42P01".into()), ..run });
        log.run(3, "app", "SELECT broken FROM nowhere", |run| Run { sqlstate: Some("42P01".into()), ..run });
        // Prepared twice, never run.
        for session in [4, 5] {
            log.run(session, "app", "SELECT prepared FROM t", |run| Run { message: "Parse".into(), ..run });
        }
        let learned = log.learn(&by(By::Statement));
        let policy = &learned.policies[0];
        assert_eq!((policy.statements, policy.set_apart, policy.runs), (2, 2, 2), "{policy:#?}");
        let review = policy.review.as_deref().unwrap();
        assert!(review.contains("SELECT once FROM t") && review.contains("one session alone"), "{review}");
        assert!(review.contains("\"count\":5") && review.contains("\"sessions\":1"), "{review}");
        assert!(review.contains("SELECT broken") && review.contains("always failed"), "{review}");
        assert!(policy.list.as_deref().unwrap().contains("\"count\":0"), "{:?}", policy.list);
        assert_eq!(log.replay(&loaded(&learned), None).newly_refused, 7);
        let all = log.learn(&Options { include_singletons: true, ..by(By::Statement) });
        assert_eq!((all.policies[0].statements, all.policies[0].set_apart), (3, 1));
        assert_eq!(log.replay(&loaded(&all), None).newly_refused, 2);
    });
}

#[test]
fn users_get_a_policy_each_or_share_one() {
    on_a_large_stack(|| {
        let mut log = Recording::new();
        for (session, user) in [(1, "shop_a"), (2, "shop_a"), (3, "shop_b"), (4, "Größe & Co"), (5, "default")] {
            log.ran(session, user, "SELECT 1 FROM t");
            log.ran(session, user, &format!("SELECT {} FROM t", if session < 4 { "a" } else { "b" }));
        }
        let names = |options: &Options| -> Vec<String> {
            log.learn(options).policies.into_iter().map(|policy| policy.name).collect()
        };
        assert_eq!(names(&by(By::Statement)), ["Größe___Co", "user-default", "shop_a", "shop_b"]);
        let each = log.learn(&Options { include_singletons: true, ..by(By::Statement) });
        assert_eq!(log.replay(&loaded(&each), None).newly_refused, 0);
        // Seen by one session of each of two users is seen by two.
        let shop = Options { user: Some("shop_*".into()), ..by(By::Statement) };
        let learned = log.learn(&shop);
        assert_eq!(learned.policies.len(), 1);
        assert_eq!((learned.policies[0].statements, learned.policies[0].runs), (2, 6));
        assert!(learned.policies[0].policy.contains("users: [\"shop_*\"]"), "{}", learned.policies[0].policy);
        let all = log.learn(&Options { policy: Some("everybody".into()), ..by(By::Table) });
        assert_eq!((all.policies.len(), all.policies[0].users.len()), (1, 4));
        assert_eq!(log.replay(&loaded(&all), None).newly_refused, 0);
        assert!(log.learn(&Options { user: Some("nobody".into()), ..by(By::Table) }).policies.is_empty());
        let error = {
            let mut gathering = Gathering::default();
            log.bytes().split(|b| *b == b'\n').for_each(|line| gathering.line(line));
            write(&gathering, &Options { policy: Some("no name".into()), ..by(By::Table) }).unwrap_err()
        };
        assert!(error.contains("no name for a policy"), "{error}");
    });
}

/// Random statements of several sessions: whatever may be learned is allowed afterwards, whichever way it was learned.
#[test]
fn learn_then_replay_refuses_nothing_that_may_be_learned() {
    let (statements, refused) = on_a_large_stack(|| {
        let mut log = Recording::new();
        for seed in 0..1500 {
            let text = statement(&mut Random::new(seed));
            for session in [1, 2] {
                log.run(session, "app", &text, |run| Run {
                    message: if seed % 2 == 0 { "Execute".into() } else { "Query".into() },
                    ..run
                });
            }
        }
        let mut learned_statements = 0;
        let mut refused = 0;
        for how in [By::Statement, By::Table, By::Action] {
            for path in [vec![], vec!["public".to_owned()], vec!["a".to_owned(), "b".to_owned()]] {
                let learned = log.learn(&Options { search_path: path, ..by(how) });
                let policy = &learned.policies[0];
                learned_statements += policy.statements;
                let left: u64 = policy.unlearned.iter().map(|left| left.times).sum();
                let report = log.replay(&loaded(&learned), None);
                // Rules that are wider than a statement may allow some of what was left.
                assert!(report.newly_refused <= left, "{how:?}: {left} left, {:#?}", report.refused);
                if how == By::Statement {
                    // A text of the same hash may have been learned, whose values are no sign of an injection.
                    let signs = policy.unlearned.iter().filter(|left| left.why == "signs of an injection");
                    let signs: u64 = signs.map(|left| left.times).sum();
                    let allowed = left - report.newly_refused;
                    assert!(allowed <= signs, "{:#?}\n{:#?}", report.refused, policy.unlearned);
                }
                refused += report.newly_refused;
                assert_eq!(policy.set_apart, 0);
            }
        }
        (learned_statements, refused)
    });
    // Enough of both to mean something.
    assert!(statements > 2500 && refused > 20, "{statements} {refused}");
}

#[test]
fn broken_lines_are_counted_and_the_rest_is_read() {
    on_a_large_stack(|| {
        let mut log = Recording::new();
        for session in [1, 2] {
            log.ran(session, "app", "SELECT 1 FROM t");
        }
        let mut bytes = log.bytes();
        let line = bytes.split(|b| *b == b'\n').next().unwrap().to_vec();
        bytes.extend_from_slice(b"no JSON\n\n{\"time\": 1}\n\xff\xfe\n{\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"admin_call\",\"x\":1}\n");
        bytes.extend_from_slice(&line[..line.len() / 2]);
        let mut gathering = Gathering::default();
        bytes.split(|b| *b == b'\n').for_each(|line| gathering.line(line));
        let counts = gathering.counts();
        assert_eq!((counts.lines, counts.statements, counts.unreadable), (7, 2, 4), "{counts:?}");
        assert!(matches!(&counts.first_unreadable, Some((0, 3, _))), "{counts:?}");
        assert_eq!(write(&gathering, &by(By::Statement)).unwrap().policies[0].statements, 1);
        let set = Arc::new(policy::load_text("p.yaml", "policy: p\napplies_to: {users: [app]}\n").unwrap());
        let mut replay = Replay::new(set, None);
        bytes.split(|b| *b == b'\n').for_each(|line| replay.line(line));
        assert_eq!(replay.report().unreadable, 4);
    });
}

#[test]
fn a_replay_tells_what_changes_by_rule_and_what_it_can_not_know() {
    on_a_large_stack(|| {
        let mut log = Recording::new();
        log.opened(1, "app", "none");
        log.opened(2, "app", "TLSv1.3");
        for session in [1, 2, 2] {
            log.ran(session, "app", "SELECT * FROM orders");
        }
        log.ran(2, "app", "DELETE FROM orders");
        log.ran(2, "app", "SET app.tenant = 'x'");
        log.ran(2, "app", "SET app.mode = 'y'");
        log.run(2, "app", "SELECT set_config('search_path', $1, true)", |run| Run { message: "Execute".into(), ..run });
        log.run(2, "app", "DROP TABLE orders", |run| Run {
            verdict: "refuse".into(),
            rule: Some("no-ddl".into()),
            policy: "old".into(),
            ..run
        });
        log.run(2, "app", "SELECT * FROM orders WHERE id = 1", |run| Run {
            verdict: "refuse".into(),
            rule: Some("quarantine".into()),
            ..run
        });
        log.run(2, "app", "SELECT * FROM orders WHERE id = 2", |run| Run {
            verdict: "refuse".into(),
            rule: Some("default".into()),
            reason: Some(format!("{}user \"app\" has no policy", policy::NOT_ADMITTED)),
            ..run
        });
        log.run(2, "app", "TRUNCATE orders", |run| Run {
            verdict: "refuse".into(),
            rule: Some("default".into()),
            ..run
        });
        log.run(2, "app", "SELEC 1", |run| Run { verdict: "refuse".into(), rule: Some("parse".into()), ..run });
        log.run(2, "app", "SELEC 2", |run| Run { verdict: "refuse".into(), rule: Some("guard".into()), ..run });
        log.ran(3, "stranger", "SELECT 1");
        let set = |yaml: &str| Arc::new(policy::load_text("new.yaml", yaml).unwrap());
        let new = set("policy: new
applies_to: {users: [app]}
require: {tls: true}
search_path: [public]
allow:
  - {rule: read, actions: [select, \"drop:table\"], tables: [orders]}
  - {rule: delete, actions: [delete], tables: [orders], when: {until: 2020-01-01T00:00:00Z}}
  - {rule: tenant, actions: [set], settings: [app.tenant, app.mode=z]}
");
        let report = log.replay(&new, None);
        let by_rule: Vec<(&str, &str, u64)> =
            report.refused.iter().map(|rule| (rule.policy.as_str(), rule.rule.as_str(), rule.times)).collect();
        // The session without TLS and its statement; the stranger; the DELETE, whose time is over.
        assert!(by_rule.contains(&("new", "require", 2)), "{by_rule:?}");
        assert!(by_rule.contains(&("none", "default", 1)), "{by_rule:?}");
        assert!(by_rule.contains(&("new", "default", 1)), "{by_rule:?}");
        assert_eq!(report.newly_refused, 4, "{report:#?}");
        assert_eq!((report.newly_allowed, report.allowed[0].rule.as_str()), (1, "no-ddl"), "{report:#?}");
        assert_eq!(
            (report.allowed[0].policy.as_str(), report.allowed[0].examples[0].statement.as_str()),
            ("old", "DROP TABLE orders")
        );
        // The value of app.mode, the bound path, the quarantine, the policies that came in the middle, and what has no Facts.
        assert_eq!(report.untold, 5, "{report:#?}");
        assert_eq!(report.unchanged_refused, 2, "{report:#?}");
        // The TLS session, its two SELECTs and the tenant.
        assert_eq!(report.unchanged_allowed, 4, "{report:#?}");
        assert!(report.tls_assumed);
        assert_eq!(
            report.judged,
            report.newly_refused
                + report.newly_allowed
                + report.untold
                + report.unchanged_allowed
                + report.unchanged_refused
        );

        // Against the same set nothing changes; against another the recorded verdicts have no part.
        let same = log.replay(&new, Some(&new));
        assert_eq!((same.newly_refused, same.newly_allowed), (0, 0), "{same:#?}");
        let open = set("policy: open\napplies_to: {users: ['*']}\nmode: observe\n");
        let opened = log.replay(&open, Some(&new));
        assert_eq!((opened.newly_refused, opened.newly_allowed > 3), (0, true), "{opened:#?}");
        assert!(opened.would_refuse > 0);
    });
}

#[test]
fn time_of_the_line_and_score_are_judged() {
    on_a_large_stack(|| {
        let mut log = Recording::new();
        let at = |log: &Recording| jiff::Timestamp::from_second(log.seconds + 2).unwrap();
        let until = at(&log);
        for _ in 0..3 {
            log.ran(1, "app", "SELECT 1 FROM t");
        }
        log.ran(1, "app", "SELECT a FROM t WHERE b = 'x' OR 1 = 1 --'");
        let yaml = format!(
            "policy: p\napplies_to: {{users: [app]}}\ninjection: {{block_at: 4}}\n\
             allow: [{{rule: r, actions: [select], tables: [t], when: {{until: {until}}}}}]\n"
        );
        let report = log.replay(&Arc::new(policy::load_text("p.yaml", &yaml).unwrap()), None);
        let rules: Vec<(&str, u64)> = report.refused.iter().map(|rule| (rule.rule.as_str(), rule.times)).collect();
        assert_eq!((report.unchanged_allowed, rules), (1, vec![("default", 2), ("injection", 1)]), "{report:#?}");
    });
}

#[test]
fn a_list_keeps_what_people_wrote_into_it() {
    let hash = |digit: char| digit.to_string().repeat(32);
    let text = format!(
        "# Ours.\n# Since May.\n- {{\"hash\":\"{}\",\"count\":3,\"text\":\"SELECT b\",\"owner\":\"ann\"}}\n# why\n- {{\"hash\":\"{}\",\"count\":1,\"text\":\"SELECT d\"}}\n# end\n",
        hash('a'),
        hash('b')
    );
    let mut list = List::parse(&text).unwrap();
    assert_eq!(list.render(), text);
    let entry = |hash: String, text: &str| Entry {
        hash,
        count: 0,
        first_seen: None,
        last_seen: None,
        sessions: None,
        text: text.to_owned(),
        more: Default::default(),
    };
    assert!(!list.add(entry(hash('A'), "SELECT x")));
    assert!(list.add(entry(hash('c'), "SELECT c")));
    let lines: Vec<String> = list.render().lines().map(str::to_owned).collect();
    assert!(lines[3].contains("SELECT c") && lines[4] == "# why" && lines[5].contains("SELECT d"), "{lines:?}");
    for (bad, said) in
        [("- hash: x\n", "line 1"), ("# x\nhash\n", "line 2"), ("- {\"hash\":\"xyz\"}\n", "no statement hash")]
    {
        assert!(List::parse(bad).unwrap_err().to_string().contains(said), "{bad}");
    }
}
