//! The corpus of classified statements: what an independent binding of PostgreSQL's parser says of each (relations read and
//! written, functions called, kinds of statement) is what our Facts say.
//!
//! The corpus is not part of the project: it is read from `PORTCULLIS_CORPORA` (default `../shared/corpora`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use crate::common;

use std::collections::BTreeSet;

use pg_query::protobuf::{ExplainStmt, WithClause};
use pg_query::{Node, NodeEnum};
use portcullis::sql::{self, ActionName, Analysis, Reading, analyse};
use serde::Deserialize;

/// A row of the corpus; names as written, folded as PostgreSQL folds them.
#[derive(Debug, Deserialize)]
struct Row {
    id: String,
    sql: String,
    classes: BTreeSet<String>,
    relations_read: BTreeSet<String>,
    relations_written: BTreeSet<String>,
    functions: BTreeSet<String>,
}

fn rows() -> Option<Vec<Row>> {
    let rows = common::corpora::rows("classify.dev.jsonl.gz")?;
    Some(rows.into_iter().map(|row| serde_json::from_value(row).unwrap()).collect())
}

#[test]
fn facts_are_what_an_independent_parser_says() {
    let Some(rows) = rows() else { return };
    let wrong = std::thread::Builder::new().stack_size(sql::STACK).spawn(move || {
        let wrong: Vec<String> = rows.iter().filter_map(difference).collect();
        println!("{} rows, {} differ", rows.len(), wrong.len());
        wrong
    });
    let wrong = wrong.unwrap().join().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What Facts and the row don't agree on.
fn difference(row: &Row) -> Option<String> {
    let analysis = match analyse(&row.sql, Reading::default()) {
        Ok(analysis) => analysis,
        Err(error) => return Some(format!("{}: {error}: {}", row.id, row.sql)),
    };
    let all = |part: fn(&sql::Statement) -> &BTreeSet<String>| -> BTreeSet<String> {
        analysis.facts.statements.iter().flat_map(part).cloned().collect()
    };
    let pairs = [
        ("read", all(|s| &s.relations_read), &row.relations_read),
        ("written", all(|s| &s.relations_written), &row.relations_written),
        ("functions", all(|s| &s.functions), &row.functions),
        ("classes", classes(&analysis), &row.classes),
    ];
    let differ: Vec<String> = pairs
        .iter()
        .filter(|(_, ours, theirs)| ours != *theirs)
        .map(|(what, ours, theirs)| format!("{what}: ours {ours:?}, theirs {theirs:?}"))
        .collect();
    (!differ.is_empty()).then(|| format!("{}: {}: {}", row.id, differ.join("; "), row.sql))
}

/// The class of each kind of statement, by the last letters of its node's name or all of it; first match. A class of what a
/// statement holds inside (`WITH`, PREPARE, COPY, CREATE TABLE AS, EXPLAIN ANALYZE) comes on top.
const KINDS: [(&[&str], &[&str]); 12] = [
    (&["SelectStmt", "FetchStmt"], &["read"]),
    (&["InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "TruncateStmt"], &["write"]),
    (&["CreateFunctionStmt"], &["ddl", "procedural"]),
    (&["DoStmt", "CallStmt"], &["procedural"]),
    (&["TransactionStmt", "ConstraintsSetStmt"], &["tcl"]),
    (&["DropOwnedStmt"], &["ddl", "dcl"]),
    (
        &["GrantStmt", "GrantRoleStmt", "AlterDefaultPrivilegesStmt", "RoleStmt", "RoleSetStmt", "ReassignOwnedStmt"],
        &["dcl"],
    ),
    (
        &[
            "VariableSetStmt",
            "VariableShowStmt",
            "DiscardStmt",
            "PrepareStmt",
            "ExecuteStmt",
            "DeallocateStmt",
            "ClosePortalStmt",
            "ListenStmt",
            "UnlistenStmt",
            "NotifyStmt",
        ],
        &["session"],
    ),
    (&["RefreshMatViewStmt"], &["ddl"]),
    (
        &[
            "ExplainStmt",
            "VacuumStmt",
            "ClusterStmt",
            "ReindexStmt",
            "CheckPointStmt",
            "LoadStmt",
            "LockStmt",
            "AlterSystemStmt",
        ],
        &["utility"],
    ),
    // By what is inside only.
    (&["DeclareCursorStmt", "CopyStmt"], &[]),
    // CREATE, ALTER, DROP, COMMENT … of anything.
    (&["Stmt"], &["ddl"]),
];

/// The class that an action adds to a statement that reads or runs a query.
const ACTIONS: [(ActionName, &str); 6] = [
    (ActionName::Insert, "write"),
    (ActionName::Update, "write"),
    (ActionName::Delete, "write"),
    (ActionName::Create, "ddl"),
    (ActionName::CopyTo, "copy_out"),
    (ActionName::CopyFrom, "copy_in"),
];

fn classes(analysis: &Analysis) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let nodes = analysis.tree.stmts.iter().filter_map(|raw| raw.stmt.as_ref()?.node.as_ref());
    assert_eq!(nodes.clone().count(), analysis.facts.statements.len());
    for (node, statement) in nodes.zip(&analysis.facts.statements) {
        of_kind(node, &mut found);
        // What a definition or a routine's body would do belongs to no class.
        let runs = match node {
            NodeEnum::SelectStmt(_)
            | NodeEnum::InsertStmt(_)
            | NodeEnum::UpdateStmt(_)
            | NodeEnum::DeleteStmt(_)
            | NodeEnum::MergeStmt(_)
            | NodeEnum::CopyStmt(_)
            | NodeEnum::PrepareStmt(_)
            | NodeEnum::DeclareCursorStmt(_)
            | NodeEnum::CreateTableAsStmt(_) => true,
            NodeEnum::ExplainStmt(explain) => analyzes(explain),
            _ => false,
        };
        for access in statement.accesses.iter().filter(|_| runs) {
            let class = ACTIONS.iter().find(|(action, _)| *action == access.action.name);
            found.extend(class.map(|(_, class)| (*class).to_owned()));
        }
    }
    found
}

fn of_kind(node: &NodeEnum, found: &mut BTreeSet<String>) {
    let name = format!("{node:?}");
    let name = name.split('(').next().unwrap();
    let (_, classes) = KINDS.iter().find(|(kinds, _)| kinds.iter().any(|kind| name.ends_with(kind))).unwrap();
    found.extend(classes.iter().map(|class| (*class).to_owned()));
    let inner = match node {
        NodeEnum::InsertStmt(insert) => ctes(insert.with_clause.as_ref()),
        NodeEnum::UpdateStmt(update) => ctes(update.with_clause.as_ref()),
        NodeEnum::DeleteStmt(delete) => ctes(delete.with_clause.as_ref()),
        NodeEnum::MergeStmt(merge) => ctes(merge.with_clause.as_ref()),
        NodeEnum::PrepareStmt(prepare) => prepare.query.as_deref().into_iter().collect(),
        NodeEnum::DeclareCursorStmt(declare) => declare.query.as_deref().into_iter().collect(),
        NodeEnum::CreateTableAsStmt(create) => create.query.as_deref().into_iter().collect(),
        NodeEnum::ExplainStmt(explain) if analyzes(explain) => explain.query.as_deref().into_iter().collect(),
        NodeEnum::CopyStmt(copy) => {
            let classes: &[&str] = if copy.is_from { &["copy_in", "write"] } else { &["copy_out", "read"] };
            found.extend(classes.iter().map(|class| (*class).to_owned()));
            copy.query.as_deref().into_iter().collect()
        }
        NodeEnum::AlterFunctionStmt(alter) => {
            let sets = |node: &&Node| matches!(&node.node, Some(NodeEnum::DefElem(option)) if option.defname == "set");
            found.extend(alter.actions.iter().find(sets).map(|_| "session".to_owned()));
            Vec::new()
        }
        _ => Vec::new(),
    };
    for inner in inner.into_iter().filter_map(|node| node.node.as_ref()) {
        of_kind(inner, found);
    }
}

fn ctes(with: Option<&WithClause>) -> Vec<&Node> {
    let ctes = with.map_or(&[][..], |with| &with.ctes).iter().filter_map(|node| node.node.as_ref());
    ctes.filter_map(|node| match node {
        NodeEnum::CommonTableExpr(cte) => cte.ctequery.as_deref(),
        _ => None,
    })
    .collect()
}

fn analyzes(explain: &ExplainStmt) -> bool {
    explain.options.iter().any(|o| matches!(&o.node, Some(NodeEnum::DefElem(o)) if o.defname == "analyze"))
}
