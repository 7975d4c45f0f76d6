//! Canaries by production: for every place of PostgreSQL's grammar (`gram.y` of the fetched source) that takes an
//! expression, or something that may hold one, a statement is made of the grammar itself with `canary()` in that place; the
//! Facts must have it. The same by hand, for machines without the source: `src/sql/walk/canary_tests.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

use crate::common;

use common::grammar::{Grammar, Place};
use common::suite::sources;
use portcullis::sql::{self, Reading, analyse};

/// Places that no statement can reach: how they begin, and what stops it.
const UNREACHABLE: [(&str, &str); 16] = [
    ("AexprConst: func_name '(' func_arg_list [opt_sort_clause]", "refused: type modifier cannot have ORDER BY"),
    ("CreateAssertionStmt:", "refused: CREATE ASSERTION is not yet implemented"),
    ("stmt: [CreateAssertionStmt]", "likewise"),
    ("CreateSchemaStmt: CREATE SCHEMA IF_P NOT EXISTS", "refused: it cannot include schema elements"),
    ("a_expr: UNIQUE", "refused: UNIQUE predicate is not yet implemented"),
    ("alter_identity_column_option: SET", "refused: of SeqOptElem only AS holds a type, and is none of ALTER COLUMN"),
    ("alter_identity_column_option_list: ", "likewise"),
    ("alter_table_cmd: ALTER opt_column ColId [alter_identity_column_option_list]", "likewise"),
    ("limit_clause: LIMIT [select_limit_value] ','", "refused: LIMIT #,# syntax is not supported"),
    ("limit_clause: LIMIT select_limit_value ','", "likewise"),
    ("limit_clause: FETCH first_or_next [select_fetch_first_value] row_or_rows WITH", "needs ORDER BY: by hand"),
    ("frame_bound: [a_expr] FOLLOWING", "needs BETWEEN: by hand"),
    ("xmltable_column_option_el: IDENT [b_expr]", "needs PATH, a keyword of its own since 17: by hand"),
    ("oper_argtypes: '(' [Typename] ')'", "refused: missing argument"),
    ("func_expr_common_subexpr: TREAT '(' a_expr AS [Typename] ')'", "the grammar keeps the type's last name only"),
    ("json_table: JSON_TABLE '(' json_value_expr ',' [a_expr]", "refused: only string constants (18)"),
];

/// How many of them the grammar of PostgreSQL 15 has.
const UNREACHABLE_15: usize = 15;

/// The canary as a modifier of a type, where the server takes constants and identifiers only. Seen where the type is used;
/// DROP TYPE, COMMENT ON FUNCTION and the like only name it.
const MODIFIER: &str =
    "typmods: [Node { node: Some(FuncCall(FuncCall { funcname: [Node { node: Some(String(String { sval: \"canary\"";

#[test]
fn no_production_hides_a_call() {
    for source in sources() {
        let file = source.join("src/backend/parser/gram.y");
        if !file.exists() {
            eprintln!("SKIPPED: NO GRAMMAR HERE: {}", file.display());
            continue;
        }
        let places = Grammar::read(&std::fs::read_to_string(file).unwrap()).places();
        assert!(places.len() > 1000, "only {} places", places.len());
        let worker = std::thread::Builder::new().stack_size(sql::STACK).spawn(move || every_place(&places));
        worker.unwrap().join().unwrap();
    }
}

fn every_place(places: &[Place]) {
    let (mut seen, mut modifiers, mut wrong) = (0, 0, Vec::new());
    let mut unreachable = vec![false; UNREACHABLE.len()];
    for place in places {
        if let Some(known) = UNREACHABLE.iter().position(|(name, _)| place.name.starts_with(name)) {
            unreachable[known] = true;
            continue;
        }
        match place.texts.iter().find_map(|text| Some((text, analyse(text, Reading::default()).ok()?))) {
            None => wrong.push(format!("no text parses: {}, among them {:?}", place.name, place.texts.first())),
            Some((text, analysis)) => {
                let statements = &analysis.facts.statements;
                let called = statements.iter().flat_map(|s| &s.accesses).any(|a| a.object.to_string() == "canary");
                let tree = format!("{:?}", analysis.tree);
                if called && statements.iter().any(|s| s.functions.contains("canary")) {
                    seen += 1;
                } else if tree.contains(MODIFIER) {
                    modifiers += 1;
                } else {
                    wrong.push(format!("not seen: {}: {text}", place.name));
                }
            }
        }
    }
    println!("{} places, {seen} seen, {modifiers} modifiers of types that are only named", places.len());
    let met = unreachable.iter().filter(|met| **met).count();
    assert!(
        met >= UNREACHABLE_15,
        "some are in no grammar: {:?}",
        UNREACHABLE.iter().zip(&unreachable).collect::<Vec<_>>()
    );
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
