//! Canaries by production: for every place of PostgreSQL's grammar (`gram.y` of the fetched source) that takes an
//! expression, or something that may hold one, a statement is made of the grammar itself with `canary()` in that place; the
//! Facts must have it. What PostgreSQL 16 to 18 added stands in `src/sql/walk/canary_tests.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

mod common;

use common::grammar::{Grammar, Place};
use common::suite::source;
use portcullis::sql::{self, Reading, analyse};

#[test]
fn no_production_hides_a_call() {
    let Some(source) = source() else { return };
    let file = source.join("src/backend/parser/gram.y");
    if !file.exists() {
        eprintln!("SKIPPED: NO GRAMMAR IN PG_REGRESS_SQL: {}", file.display());
        return;
    }
    let places = Grammar::read(&std::fs::read_to_string(file).unwrap()).places();
    assert!(places.len() > 500, "only {} places", places.len());
    std::thread::Builder::new().stack_size(sql::STACK).spawn(move || every_place(&places)).unwrap().join().unwrap();
}

fn every_place(places: &[Place]) {
    let (mut seen, mut wrong) = (0, Vec::new());
    for place in places {
        match place.texts.iter().find_map(|text| Some((text, analyse(text, Reading::default()).ok()?))) {
            None => wrong.push(format!("no text parses: {}, among them {:?}", place.name, place.texts.first())),
            Some((text, analysis)) => {
                let statements = &analysis.facts.statements;
                let called = statements.iter().flat_map(|s| &s.accesses).any(|a| a.object.to_string() == "canary");
                if called && statements.iter().any(|s| s.functions.contains("canary")) {
                    seen += 1;
                } else {
                    wrong.push(format!("not seen: {}: {text}", place.name));
                }
            }
        }
    }
    println!("{} places, {seen} seen", places.len());
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
