//! Two texts with an equal hash do the same: over real statements, and over what becomes of them when their literals are changed.
//!
//! The corpora are not part of the project: they are read from `PORTCULLIS_CORPORA` (default `../shared/corpora`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::collections::HashMap;

use common::corpora;
use portcullis::sql::{self, Analysis, Reading, StatementHash};

fn read(text: &str) -> Option<(Analysis, StatementHash)> {
    let analysis = sql::analyse(text, Reading::default()).ok()?;
    let hash = analysis.facts.hash?;
    Some((analysis, hash))
}

/// Runs on a stack for any statement.
fn on_a_large_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(sql::STACK).spawn(work).unwrap().join().unwrap();
}

fn statements() -> Option<Vec<String>> {
    let mut texts = Vec::new();
    for file in ["benign.dev.jsonl.gz", "attacks.dev.jsonl.gz", "classify.dev.jsonl.gz"] {
        texts.extend(corpora::rows(file)?.into_iter().filter_map(|row| row.get("sql")?.as_str().map(str::to_owned)));
    }
    Some(texts)
}

#[test]
fn statements_with_one_hash_do_the_same() {
    let Some(texts) = statements() else { return };
    on_a_large_stack(move || {
        let mut known: HashMap<StatementHash, (String, sql::Facts)> = HashMap::new();
        let (mut readable, mut wrong) = (0, Vec::new());
        for text in texts {
            let Some((analysis, hash)) = read(&text) else { continue };
            readable += 1;
            match known.get(&hash) {
                Some((first, facts)) if *facts != analysis.facts => wrong.push(format!("{first}\n{text}\n")),
                Some(_) => {}
                None => {
                    known.insert(hash, (text, analysis.facts));
                }
            }
        }
        println!("{readable} statements, {} hashes, {} wrong", known.len(), wrong.len());
        assert!(readable > 40_000 && known.len() < readable);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// Literals that would do something if anybody looked at them.
const STRINGS: [&str; 5] = ["'role'", "'pg_catalog.pg_authid'", "'SELECT secret FROM s'", "'%'", "''"];
const NUMBERS: [&str; 3] = ["0", "1", "4294967296"];

#[test]
fn a_literal_that_does_not_count_changes_nothing() {
    let Some(texts) = statements() else { return };
    on_a_large_stack(move || {
        let (mut changed, mut same) = (0, 0);
        for text in texts.iter().step_by(23) {
            let Some((analysis, hash)) = read(text) else { continue };
            for token in pg_query::scan(text).unwrap().tokens.iter().take(60) {
                let span = usize::try_from(token.start).unwrap()..usize::try_from(token.end).unwrap();
                let others: &[&str] = match text.get(span.clone()).unwrap().bytes().next() {
                    Some(b'\'') => &STRINGS,
                    Some(b'0'..=b'9') => &NUMBERS,
                    _ => continue,
                };
                for other in others {
                    let mut mutated = text.clone();
                    mutated.replace_range(span.clone(), other);
                    let Some((mutant, its_hash)) = read(&mutated) else { continue };
                    changed += 1;
                    if its_hash == hash {
                        same += 1;
                        assert_eq!(mutant.facts, analysis.facts, "{text}\n{mutated}");
                    }
                }
            }
        }
        println!("{changed} changed literals, {same} of them do not count");
        assert!(same > 1_000 && same < changed);
    });
}
