//! Facts depend on the tree alone: not on how its text is spelled, not on what stands around it.
//!
//! Over random statements, over the corpora (`PORTCULLIS_CORPORA`), and over PostgreSQL's own regression suite where they are here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use crate::common;

use std::collections::BTreeSet;

use common::corpora;
use common::random_sql::{Random, statement};
use common::respell::respelled;
use common::suite::{cases, sources};
use pg_query::protobuf::ParseResult;
use portcullis::sql::{self, Analysis, Facts, Reading, analyse};
use proptest::prelude::{ProptestConfig, any, prop_assert_eq};
use proptest::test_runner::TestCaseError;

fn read(text: &str) -> Option<Analysis> {
    analyse(text, Reading::default()).ok()
}

/// What the deparser can't be given: it ends the process over the first (an assertion in C), and writes a shorter tree for
/// the others (`'t'::boolean` as `true`).
const DEPARSER: [&str; 3] = [" ON PARAMETER", "'T'::BOOL", "'F'::BOOL"];

/// The tree as a text again; `None` where the deparser of `pg_query` can't write it, or writes what the grammar doesn't read.
fn deparsed(text: &str, tree: &ParseResult) -> Option<String> {
    let upper = text.to_uppercase();
    if DEPARSER.iter().any(|what| upper.contains(what)) {
        return None;
    }
    let text = std::panic::catch_unwind(|| pg_query::deparse(tree, Default::default()).ok()).ok().flatten()?;
    read(&text).is_some().then_some(text)
}

/// How the Facts of a text and of its other spelling differ.
fn difference(text: &str, other: &str, facts: &Facts) -> Option<String> {
    match analyse(other, Reading::default()) {
        Err(error) => Some(format!("{text}\n  {other}\n  {error}\n")),
        // The hash knows texts apart that do the same, and so does `inline`.
        Ok(analysis) if analysis.facts.statements != facts.statements => {
            Some(format!("{text}\n  {other}\n  {facts:?}\n  {:?}\n", analysis.facts))
        }
        Ok(_) => None,
    }
}

fn accesses(facts: &Facts) -> BTreeSet<String> {
    let all = facts.statements.iter().flat_map(|statement| &statement.accesses);
    all.map(|access| format!("{} {}", access.action, access.object)).collect()
}

/// Runs on a stack for any statement.
fn on_a_large_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(sql::STACK).spawn(work).unwrap().join().unwrap()
}

/// A property of random statements, each made from one number.
fn for_random_statements(property: impl Fn(&mut Random, &str, Analysis) -> Result<(), TestCaseError> + Send + 'static) {
    on_a_large_stack(move || {
        let config = ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() };
        proptest::proptest!(config, |(seed in any::<u64>())| {
            let mut random = Random::new(seed);
            let text = statement(&mut random);
            match analyse(&text, Reading::default()) {
                Ok(analysis) => property(&mut random, &text, analysis)?,
                Err(error) => return Err(TestCaseError::fail(format!("the generator wrote {text}: {error}"))),
            }
        });
    });
}

#[test]
fn what_is_deparsed_and_read_again_does_the_same() {
    for_random_statements(|_, text, analysis| {
        let Some(again) = deparsed(text, &analysis.tree) else { return Ok(()) };
        prop_assert_eq!(difference(text, &again, &analysis.facts), None);
        Ok(())
    });
}

#[test]
fn comments_white_space_case_and_quoting_change_nothing() {
    for_random_statements(|random, text, analysis| {
        prop_assert_eq!(difference(text, &respelled(text, random), &analysis.facts), None);
        Ok(())
    });
}

#[test]
fn two_statements_do_what_each_does() {
    for_random_statements(|random, text, analysis| {
        let other = statement(random);
        let mut both = analysis.facts;
        both.statements.extend(read(&other).unwrap().facts.statements);
        prop_assert_eq!(difference(&format!("{text};{other}"), &format!("{text} ;; {other};"), &both), None);
        Ok(())
    });
}

#[test]
fn what_stands_around_a_query_takes_nothing_away() {
    for_random_statements(|random, _, _| {
        let query = common::random_sql::query(random, 3);
        let bare = accesses(&read(&query).unwrap().facts);
        for around in [
            format!("EXPLAIN ANALYZE {query}"),
            format!("PREPARE p AS {query}"),
            format!("DECLARE c CURSOR FOR {query}"),
            format!("COPY ({query}) TO STDOUT"),
            format!("WITH around AS ({query}) SELECT 1"),
            format!("SELECT 1 FROM ({query}) around"),
            format!("SELECT EXISTS ({query})"),
            format!("INSERT INTO target {query}"),
            format!("CREATE TABLE target AS {query}"),
            format!("CREATE VIEW target AS {query}"),
            format!("({query}) UNION ALL ({query})"),
            format!("DO $around$ BEGIN PERFORM * FROM ({query}) around; END $around$"),
            format!("SELECT query_to_xml({}, true, true, '')", common::random_sql::literal(&query)),
        ] {
            let all = accesses(&analyse(&around, Reading::default()).unwrap_or_else(|e| panic!("{around}: {e}")).facts);
            let lost: Vec<_> = bare.difference(&all).collect();
            assert!(lost.is_empty(), "{around}\n  loses {lost:?}");
        }
        Ok(())
    });
}

/// Real statements: of the corpora every `step`th, and of PostgreSQL's suites.
fn real(step: usize) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for file in ["benign.dev.jsonl.gz", "classify.dev.jsonl.gz", "attacks.dev.jsonl.gz"] {
        let rows = corpora::rows(file).unwrap_or_default();
        texts.extend(rows.iter().step_by(step).filter_map(|row| row["sql"].as_str()).map(str::to_owned));
    }
    for source in sources() {
        texts.extend(cases(&source).into_iter().step_by(step).map(|case| case.sent.text));
    }
    texts
}

#[test]
fn real_statements_do_the_same_however_they_are_spelled() {
    on_a_large_stack(|| {
        let (mut asked, mut wrong) = (0, Vec::new());
        for (number, text) in real(5).iter().enumerate() {
            let Some(analysis) = read(text) else { continue };
            let mut random = Random::new(number as u64);
            asked += 1;
            wrong.extend(difference(text, &respelled(text, &mut random), &analysis.facts));
        }
        println!("{asked} real statements spelled otherwise, {} differ", wrong.len());
        assert!(wrong.is_empty(), "{} of {asked}\n{}", wrong.len(), wrong.join("\n"));
    });
}

#[test]
fn real_statements_do_the_same_deparsed_and_read_again() {
    on_a_large_stack(|| {
        let (mut asked, mut wrong) = (0, Vec::new());
        let texts = real(10);
        for text in &texts {
            let Some(analysis) = read(text) else { continue };
            let Some(again) = deparsed(text, &analysis.tree) else { continue };
            asked += 1;
            wrong.extend(difference(text, &again, &analysis.facts));
        }
        println!("{asked} of {} real statements deparsed, {} differ", texts.len(), wrong.len());
        assert!(asked * 10 >= texts.len() * 8, "{asked} of {}", texts.len());
        assert!(wrong.is_empty(), "{} of {asked}\n{}", wrong.len(), wrong.join("\n"));
    });
}
