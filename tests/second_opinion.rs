//! The corpora of statements and PostgreSQL's regression suite: two parsers, one of them PostgreSQL's, read real traffic,
//! real attacks and every kind of statement the same way.
//!
//! The corpora are not part of the project: they are read from `PORTCULLIS_CORPORA` (default `../shared/corpora`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use crate::common;

use std::collections::BTreeMap;

use common::suite::{cases, sources};
use portcullis::sql::second_opinion::{NoOpinion, Opinion, compare};
use portcullis::sql::{self, Reading, analyse};

/// The statements of a corpus; `None`, said loudly, where it is not here.
fn statements(corpus: &str) -> Option<Vec<String>> {
    let rows = common::corpora::rows(corpus)?;
    Some(rows.into_iter().map(|row| row["sql"].as_str().unwrap().to_owned()).collect())
}

/// How the opinions fall, and where the parsers differ.
fn opinions(statements: Vec<String>) -> (BTreeMap<String, usize>, Vec<String>) {
    let read = std::thread::Builder::new().stack_size(sql::STACK).spawn(move || {
        let mut table = BTreeMap::new();
        let mut differing = Vec::new();
        for text in &statements {
            let Ok(analysis) = analyse(text, Reading::default()) else { continue };
            let opinion = compare(text, &analysis.facts);
            let word = match &opinion {
                Opinion::Agrees | Opinion::Disagrees(_) => opinion.as_str().to_owned(),
                Opinion::None(NoOpinion::Unparsed(_)) => "none: not parsed".to_owned(),
                Opinion::None(NoOpinion::SqlInString(_)) => "none: SQL in a string".to_owned(),
                Opinion::None(why) => format!("none: {why}"),
            };
            *table.entry(word).or_default() += 1;
            if let Opinion::Disagrees(readings) = opinion {
                differing.push(format!("{text}\n    {readings}"));
            }
        }
        (table, differing)
    });
    read.unwrap().join().unwrap()
}

/// Every statement that both can read is read the same, and the second parser can read this share of a hundred.
fn both_read_the_same(corpus: &str, share: usize) {
    let Some(statements) = statements(corpus) else { return };
    all_are_read_the_same(corpus, statements, share);
}

fn all_are_read_the_same(what: &str, statements: Vec<String>, share: usize) {
    let (table, differing) = opinions(statements);
    println!("{what}: {table:#?}");
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert!(!table.contains_key("none: the second parser panicked"), "{table:#?}");
    let all: usize = table.values().sum();
    let agreed = table.get("agrees").copied().unwrap_or_default();
    assert!(agreed * 100 >= all * share, "an opinion is rarer than it was: {table:#?}");
}

#[test]
fn both_read_real_traffic_the_same() {
    both_read_the_same("benign.dev.jsonl.gz", 85);
}

#[test]
fn both_read_attacks_the_same() {
    both_read_the_same("attacks.dev.jsonl.gz", 95);
}

#[test]
fn both_read_every_kind_of_statement_the_same() {
    // Chosen for their kinds: what the second parser doesn't know is many of them.
    both_read_the_same("classify.dev.jsonl.gz", 60);
}

#[test]
fn both_read_the_regression_suites_the_same() {
    for source in sources() {
        let texts = cases(&source).into_iter().map(|case| case.sent.text).collect();
        all_are_read_the_same(&source.display().to_string(), texts, 80);
    }
}
