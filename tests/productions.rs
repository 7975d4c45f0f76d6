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

/// Places that no statement can reach: how they begin, and what stops it.
const UNREACHABLE: [(&str, &str); 15] = [
    ("AexprConst: func_name '(' func_arg_list [opt_sort_clause]", "refused: type modifier cannot have ORDER BY"),
    ("CreateAssertionStmt:", "refused: CREATE ASSERTION is not yet implemented"),
    ("stmt: [CreateAssertionStmt]", "likewise"),
    ("CreateSchemaStmt: CREATE SCHEMA IF_P NOT EXISTS", "refused: CREATE SCHEMA IF NOT EXISTS cannot include schema elements"),
    ("a_expr: UNIQUE", "refused: UNIQUE predicate is not yet implemented"),
    ("alter_identity_column_option: SET", "refused: of SeqOptElem only AS holds a type, and ALTER COLUMN … SET AS is none"),
    ("alter_identity_column_option_list: ", "likewise"),
    ("alter_table_cmd: ALTER opt_column ColId [alter_identity_column_option_list]", "likewise"),
    ("limit_clause: LIMIT [select_limit_value] ','", "refused: LIMIT #,# syntax is not supported"),
    ("limit_clause: LIMIT select_limit_value ','", "likewise"),
    ("limit_clause: FETCH first_or_next [select_fetch_first_value] row_or_rows WITH", "needs ORDER BY: src/sql/walk/canary_tests.rs"),
    ("frame_bound: [a_expr] FOLLOWING", "needs BETWEEN: likewise there"),
    ("xmltable_column_option_el: IDENT [b_expr]", "needs PATH, a keyword of its own since 17: likewise there"),
    ("oper_argtypes: '(' [Typename] ')'", "refused: missing argument"),
    ("func_expr_common_subexpr: TREAT '(' a_expr AS [Typename] ')'", "the grammar keeps the type's last name only"),
];

/// The canary as a modifier of a type, where the server takes constants and identifiers only. Seen where the type is used;
/// DROP TYPE, COMMENT ON FUNCTION and the like only name it.
const MODIFIER: &str =
    "typmods: [Node { node: Some(FuncCall(FuncCall { funcname: [Node { node: Some(String(String { sval: \"canary\"";

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
    for ((name, _), met) in UNREACHABLE.iter().zip(unreachable) {
        assert!(met, "not in the grammar: {name}");
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
