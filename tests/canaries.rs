//! Canaries by mutation: in every statement of PostgreSQL's regression suite every word and constant is replaced, one at a
//! time, by a call of `canary()`, by the name `canary` and by a name in another schema. Where the text still parses and its
//! tree (searched as text, without our walk) holds a function, relation, type or operator of that name, the Facts must.
//!
//! Every seventh mutation by default; all of them take a minute:
//! `PORTCULLIS_EVERY_CANARY=1 cargo test --test all canaries:: -- --nocapture`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

use crate::common;

use std::collections::{BTreeMap, BTreeSet};

use common::suite::{cases, sources};
use pg_query::protobuf::{KeywordKind, ScanToken, Token};
use portcullis::sql::{self, Facts, Object, Reading, analyse};

/// One of so many mutations is tried.
const STRIDE: usize = 7;

/// How many failures are shown.
const SHOWN: usize = 40;

/// What a node of the tree holds that the Facts must.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Planted {
    Function,
    Relation,
    Type,
    Operator,
}

#[derive(Default)]
struct Tally {
    tried: usize,
    parsed: usize,
    planted: BTreeMap<Planted, usize>,
    missed: Vec<String>,
}

#[test]
fn no_planted_name_is_missed() {
    let texts: BTreeSet<String> =
        sources().iter().flat_map(|source| cases(source)).map(|case| case.sent.text).collect();
    if texts.is_empty() {
        return;
    }
    let texts: Vec<String> = texts.into_iter().collect();
    let stride = if std::env::var_os("PORTCULLIS_EVERY_CANARY").is_some() { 1 } else { STRIDE };
    let halves = [0, 1].map(|half| {
        let texts: Vec<String> = texts.iter().skip(half).step_by(2).cloned().collect();
        std::thread::Builder::new().stack_size(sql::STACK).spawn(move || plant(&texts, stride)).unwrap()
    });
    let mut all = Tally::default();
    for half in halves {
        let tally = half.join().unwrap();
        all.tried += tally.tried;
        all.parsed += tally.parsed;
        tally.planted.into_iter().for_each(|(kind, count)| *all.planted.entry(kind).or_default() += count);
        all.missed.extend(tally.missed);
    }
    println!("{} texts, {} mutations, {} parse, planted: {:?}", texts.len(), all.tried, all.parsed, all.planted);
    for kind in [Planted::Function, Planted::Relation, Planted::Type, Planted::Operator] {
        assert!(all.planted.contains_key(&kind), "no {kind:?} was planted: the search finds nothing");
    }
    let shown = all.missed.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
    assert!(all.missed.is_empty(), "{} missed, among them:\n{shown}", all.missed.len());
}

fn plant(texts: &[String], stride: usize) -> Tally {
    let mut tally = Tally::default();
    let mut counter = 0;
    for text in texts {
        let Ok(tokens) = pg_query::scan_tokens(text) else { continue };
        for token in tokens {
            let (start, end) = (token.start as usize, token.end as usize);
            for replacement in replacements(&token, &text[start..end]) {
                counter += 1;
                if counter % stride == 0 {
                    let mutated = format!("{} {replacement} {}", &text[..start], &text[end..]);
                    judge(&mutated, &mut tally);
                }
            }
        }
    }
    tally
}

fn replacements(token: &ScanToken, written: &str) -> &'static [&'static str] {
    let word = token.keyword_kind != KeywordKind::NoKeyword as i32;
    match Token::try_from(token.token).unwrap() {
        Token::SqlComment | Token::CComment => &[],
        Token::Ident | Token::Uident => &["canary()", "canary", "planted.canary"],
        Token::Sconst
        | Token::Usconst
        | Token::Iconst
        | Token::Fconst
        | Token::Bconst
        | Token::Xconst
        | Token::Param => &["canary()", "planted.canary()"],
        _ if word => &["canary()", "canary", "planted.canary"],
        _ if written.chars().all(|c| "+-*/<>=~!@#%^&|`?".contains(c)) => &["OPERATOR(planted.+)"],
        _ => &[],
    }
}

fn judge(text: &str, tally: &mut Tally) {
    tally.tried += 1;
    let Ok(analysis) = analyse(text, Reading::default()) else { return };
    tally.parsed += 1;
    let tree = format!("{:?}", analysis.tree);
    for (kind, seen) in [
        (Planted::Function, function(&tree).then(|| names(&analysis.facts, "canary") && functions(&analysis.facts))),
        (Planted::Relation, relation(&tree).then(|| names(&analysis.facts, "canary"))),
        (Planted::Type, type_name(&tree).then(|| names(&analysis.facts, "canary"))),
        (Planted::Operator, operator(&tree).then(|| names(&analysis.facts, "+"))),
    ] {
        let Some(seen) = seen else { continue };
        *tally.planted.entry(kind).or_default() += 1;
        if !seen {
            tally.missed.push(format!("{kind:?}: {}", text.replace('\n', " ")));
        }
    }
}

fn functions(facts: &Facts) -> bool {
    let mut functions = facts.statements.iter().flat_map(|statement| &statement.functions);
    functions.any(|function| function == "canary" || function.ends_with(".canary"))
}

/// Whether an access is about something of this name.
fn names(facts: &Facts, wanted: &str) -> bool {
    facts.statements.iter().flat_map(|statement| &statement.accesses).any(|access| match &access.object {
        Object::Relation(name) | Object::Function { name, .. } | Object::Other { name, .. } => &*name.name == wanted,
        Object::Setting { .. }
        | Object::None
        | Object::Role(_)
        | Object::AnyRole
        | Object::Cursor(_)
        | Object::Unknown(_) => false,
    })
}

const CANARY: &str = "Node { node: Some(String(String { sval: \"canary\" })) }]";
const PLANTED: &str = "Node { node: Some(String(String { sval: \"planted\" })) }";

/// A FuncCall of the planted name.
fn function(tree: &str) -> bool {
    tree.match_indices("FuncCall { funcname: [").any(|(at, opening)| ends_in_canary(&tree[at + opening.len()..]))
}

/// A list of names that ends here in the planted one.
fn ends_in_canary(list: &str) -> bool {
    list.split_inclusive(']').next().is_some_and(|names| names.ends_with(CANARY))
}

/// Statements whose RangeVars are other things: constraints, and tables that IMPORT FOREIGN SCHEMA leaves out.
const NO_RELATIONS: [&str; 2] = ["ConstraintsSetStmt {", "list_type: FdwImportSchemaExcept"];

/// A RangeVar of the planted name that is neither a CTE, nor the name that FOR UPDATE OF refers to, nor a relation that an
/// EXPLAIN does not create.
fn relation(tree: &str) -> bool {
    if tree.contains("ctename: \"canary\"") || NO_RELATIONS.iter().any(|other| tree.contains(other)) {
        return false;
    }
    tree.match_indices("relname: \"canary\"").any(|(at, _)| {
        let before = &tree[..at];
        let locked = before.rfind("locked_rels: [").is_some_and(|opening| !before[opening..].contains(']'));
        let made = before.rfind("RangeVar {").is_some_and(|own| before[..own].ends_with("IntoClause { rel: Some("));
        let explained = made && tree.contains("ExplainStmt {");
        !locked && !explained
    })
}

/// A type in another schema, where it is used and not only named (a signature names).
fn type_name(tree: &str) -> bool {
    tree.match_indices("TypeName { names: [").any(|(at, opening)| {
        let list = &tree[at + opening.len()..];
        let signature = ["ObjectWithArgs {", "DropStmt {", "CommentStmt {", "AlterObjectSchemaStmt {"];
        let column = list.split("location:").next().is_some_and(|own| own.contains("pct_type: true"));
        let named = signature.iter().any(|outer| tree[..at].contains(outer));
        list.starts_with(PLANTED) && ends_in_canary(list) && !column && !named
    })
}

/// An operator in another schema, where it is used.
fn operator(tree: &str) -> bool {
    let name = format!("{PLANTED}, Node {{ node: Some(String(String {{ sval: \"+\" }})) }}]");
    tree.match_indices(&name).any(|(at, _)| {
        let before = &tree[..at];
        let expression = || before.rfind("AExpr { kind: ").is_some_and(|kind| before[kind..].len() < 60);
        before.ends_with("oper_name: [")
            || before.ends_with("use_op: [")
            || before.ends_with(", name: [") && expression()
    })
}
