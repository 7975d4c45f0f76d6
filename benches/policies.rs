//! What many rules and long lists of statements cost: to load, and for each statement that nobody remembers. Everything in one
//! run, so that the figures can be compared. `scripts/measure-policies` runs it.
#![allow(missing_docs, reason = "a program")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking, and prints what it measured"
)]

use std::fmt::Write;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::detect;
use portcullis::policy::{self, Identity, Moment, Parameters, PolicySet, SessionPolicy};
use portcullis::sql::{self, Reading, second_opinion};

const HEAD: &str = "policy: shop\napplies_to: {users: [app]}\nsearch_path: [public]\n";

/// Statements that are judged, each once in a round.
const JUDGED: usize = 500;

/// Rounds, of which the best counts: what else the machine does only adds.
const ROUNDS: usize = 12;

fn rules(number: usize, list: &str, rule: impl Fn(usize) -> String) -> String {
    let mut text = format!("{list}:\n");
    for at in 0..number {
        let _ = writeln!(text, "  - {{rule: r-{at}, {}}}", rule(at));
    }
    text
}

fn text(at: usize) -> String {
    format!("SELECT a, b FROM table_{at} WHERE id = $1")
}

struct Case {
    name: &'static str,
    policy: String,
    list: Option<String>,
}

fn cases() -> Vec<Case> {
    let on_table = |at| format!("actions: [select, insert, update], tables: [table_{at}]");
    let plain = |name, policy: String| Case { name, policy: format!("{HEAD}{policy}"), list: None };
    let denied = |at| format!("actions: [delete], tables: [other_{at}], when: {{where: missing}}");
    let entry = |at: usize| {
        let text = text(at);
        let hash = sql::analyse(&text, Reading::default()).unwrap().facts.hash.unwrap();
        format!(
            "- {{\"hash\":\"{hash}\",\"count\":12,\"first_seen\":\"2026-01-01T00:00:00Z\",\
             \"last_seen\":\"2026-02-01T00:00:00Z\",\"text\":\"{text}\"}}\n"
        )
    };
    vec![
        plain("10 rules", rules(10, "allow", |at| format!("actions: [select], tables: [table_{at}, 'table_{at}?*']"))),
        plain("1,000 rules on tables", rules(1_000, "allow", on_table)),
        plain("10,000 rules on tables", rules(10_000, "allow", on_table)),
        plain(
            "10,000 allow, 10,000 deny",
            rules(10_000, "allow", on_table) + &rules(10_000, "deny", denied).replace("rule: r-", "rule: d-"),
        ),
        // No name to find them by, and the one that matches among the last: the worst case.
        plain(
            "10,000 rules on patterns",
            rules(10_000, "allow", |at| format!("actions: [select], tables: ['?able_{}']", 9_999 - at)),
        ),
        Case {
            name: "100,000 learned statements",
            policy: format!("{HEAD}allow: [{{rule: learned, statements: shop.learned.yaml}}]\n"),
            list: Some((0..100_000).map(entry).collect()),
        },
    ]
}

fn load(directory: &Path) -> (PolicySet, Duration) {
    let start = Instant::now();
    let set = policy::load(directory).unwrap();
    (set, start.elapsed())
}

/// Nanoseconds for each statement: all that is done with one that nobody remembers, and judging alone.
fn cost(session: &SessionPolicy) -> (u128, u128) {
    // The last digits of their tables: those that 10 rules allow, too.
    let texts: Vec<String> = (0..JUDGED).map(|at| text(at % 1_000)).collect();
    let facts: Vec<_> = texts.iter().map(|text| sql::analyse(text, Reading::default()).unwrap().facts).collect();
    let (mut cold, mut judging) = (u128::MAX, u128::MAX);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for text in &texts {
            let analysis = sql::analyse(black_box(text), Reading::default()).unwrap();
            let signals = detect::signals(text, &analysis);
            let opinion = second_opinion::compare(text, &analysis.facts);
            let moment = Moment { signals: &signals, ..Moment::now(true, Parameters::Later) };
            let judged = session.after_second_opinion(session.judge(&analysis.facts, moment), &opinion);
            assert!(judged.refusal().is_none(), "{text}: {:?}", judged.refusal());
        }
        cold = cold.min(start.elapsed().as_nanos() / texts.len() as u128);
        let start = Instant::now();
        for facts in &facts {
            black_box(session.judge(black_box(facts), Moment::now(true, Parameters::Later)));
        }
        judging = judging.min(start.elapsed().as_nanos() / facts.len() as u128);
    }
    (cold, judging)
}

fn main() {
    // Asked for its tests (`--list`), it has none: only `cargo bench` runs it.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let work = || {
        let mut first = None;
        println!("{:<28}{:>12}{:>16}{:>10}{:>16}", "", "load, ms", "cold, µs each", "relative", "judging, µs");
        for case in cases() {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join("shop.yaml"), &case.policy).unwrap();
            if let Some(list) = &case.list {
                std::fs::write(directory.path().join("shop.learned.yaml"), list).unwrap();
            }
            let (set, took) = (0..3).map(|_| load(directory.path())).min_by_key(|(_, took)| *took).unwrap();
            let identity = Identity {
                user: "app".into(),
                database: "shop".into(),
                address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                tls: true,
                replication: false,
                arrival: portcullis::policy::Arrival::default(),
            };
            let session = Arc::new(set).admit(&identity).unwrap();
            let (cold, judging) = cost(&session);
            let first = *first.get_or_insert(cold);
            println!(
                "{:<28}{:>12.1}{:>16.1}{:>9.2}x{:>16.2}",
                case.name,
                took.as_secs_f64() * 1e3,
                cold as f64 / 1e3,
                cold as f64 / first as f64,
                judging as f64 / 1e3
            );
        }
    };
    std::thread::Builder::new().stack_size(sql::STACK).spawn(work).unwrap().join().unwrap();
}
