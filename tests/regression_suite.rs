//! PostgreSQL's own regression suite as input: every statement that a real server's grammar takes gets Facts, and nothing
//! in it is `unknown` but what the closed list below explains.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;

use common::Cluster;
use common::suite::{Case, cases, judged_by_server, source};
use common::wire::Client;
use portcullis::sql::{self, Object, Reading, analyse};

/// What PostgreSQL 15's grammar takes and our grammar's does not: the message of ours, and why.
const GRAMMAR_CHANGES: [(&str, &str); 1] = [(
    "unrecognized partitioning strategy",
    "since 16 the grammar itself knows the strategies; 15 refused others when it executed the statement",
)];

/// The only reasons for `unknown` in the suite: how what the walker says begins, and why it can't say more.
const UNKNOWN: [(&str, &str); 1] =
    [("what schema_to_xml", "reads every table of a schema: which ones, only the server's catalogs know")];

/// Runs on a stack that any statement fits on.
fn with_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(sql::STACK).spawn(work).unwrap().join().unwrap()
}

#[test]
fn every_statement_that_the_server_parses_has_facts() {
    let Some(source) = source() else { return };
    let cases = cases(&source);
    let cluster = Cluster::default();
    let mut client = Client::login(cluster.port(), &[("user", "postgres"), ("database", "postgres")]);
    // Each is asked with standard_conforming_strings on, whatever the script has set: the firewall pins it.
    let texts: Vec<&str> = cases.iter().map(|case| case.sent.text.as_str()).collect();
    let server = judged_by_server(&mut client, &texts);
    let refused = server.iter().filter(|verdict| verdict.is_err()).count();
    assert!(refused * 50 < cases.len(), "{refused} of {} are no statements: the scripts are split wrongly", cases.len());
    let accepted: Vec<Case> =
        cases.iter().zip(&server).filter(|(_, verdict)| verdict.is_ok()).map(|(case, _)| case.clone()).collect();
    println!("{} statements, {} accepted by the server's grammar", cases.len(), accepted.len());
    with_stack(move || every_one_is_known(&accepted));
}

fn every_one_is_known(cases: &[Case]) {
    let (mut wrong, mut exceptions) = (Vec::new(), BTreeMap::new());
    for Case { place, sent } in cases {
        match analyse(&sent.text, Reading::default()) {
            Err(error) => match GRAMMAR_CHANGES.iter().find(|(message, _)| error.to_string().starts_with(message)) {
                Some((message, _)) => *exceptions.entry(*message).or_insert(0) += 1,
                None => wrong.push(format!("{place}: {error}: {}", sent.text)),
            },
            Ok(analysis) => {
                for access in analysis.facts.statements.iter().flat_map(|statement| &statement.accesses) {
                    let Object::Unknown(what) = &access.object else { continue };
                    match UNKNOWN.iter().find(|(known, _)| what.starts_with(known)) {
                        Some((known, _)) => *exceptions.entry(*known).or_insert(0) += 1,
                        None => wrong.push(format!("{place}: unknown: {what}: {}", sent.text)),
                    }
                }
            }
        }
    }
    println!("{exceptions:#?}");
    assert!(wrong.is_empty(), "{} statements:\n{}", wrong.len(), wrong.join("\n"));
}
