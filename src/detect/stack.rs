//! Several statements in one text.

use pg_query::NodeEnum;

use super::{Signals, Technique};
use crate::sql::Analysis;

/// The kinds of statement that a stack is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Transaction,
    Other,
}

fn kind(statement: &NodeEnum) -> Kind {
    match statement {
        NodeEnum::SelectStmt(select) if select.into_clause.is_none() => Kind::Read,
        NodeEnum::InsertStmt(_) | NodeEnum::UpdateStmt(_) | NodeEnum::DeleteStmt(_) | NodeEnum::MergeStmt(_) => {
            Kind::Write
        }
        NodeEnum::TransactionStmt(_) | NodeEnum::ConstraintsSetStmt(_) => Kind::Transaction,
        _ => Kind::Other,
    }
}

/// A data statement with something of another kind behind it. A text that begins with anything else (BEGIN, SET, CREATE …)
/// is a script, and settings back to their defaults are what pools send.
pub(super) fn stacked(statements: &[&NodeEnum], analysis: &Analysis, signals: &mut Signals) {
    let mut rest = statements.iter().enumerate();
    let Some(first) = rest.next().map(|(_, statement)| kind(statement)) else { return };
    if !matches!(first, Kind::Read | Kind::Write) {
        return;
    }
    for (index, statement) in rest {
        if analysis.facts.statements.get(index).is_some_and(|facts| facts.default_set) {
            continue;
        }
        match (first, kind(statement)) {
            (_, Kind::Transaction) | (Kind::Read, Kind::Read) | (Kind::Write, Kind::Write) => {}
            // `INSERT …; SELECT lastval()` is how the new key was fetched before RETURNING.
            (Kind::Write, Kind::Read) if is_plain_call(statement) => {}
            (Kind::Write, Kind::Read) => signals.add(Technique::StackedStatements, 3),
            (Kind::Read, Kind::Write) => signals.add(Technique::StackedStatements, 4),
            (Kind::Read | Kind::Write, Kind::Other) => signals.add(Technique::StackedStatements, 5),
            (Kind::Transaction | Kind::Other, _) => {}
        }
    }
}

/// `SELECT f(…)`, nothing else.
pub(super) fn is_plain_call(statement: &NodeEnum) -> bool {
    let NodeEnum::SelectStmt(select) = statement else { return false };
    let [target] = select.target_list.as_slice() else { return false };
    select.from_clause.is_empty()
        && select.where_clause.is_none()
        && matches!(&target.node, Some(NodeEnum::ResTarget(target))
            if matches!(target.val.as_ref().and_then(|v| v.node.as_ref()), Some(NodeEnum::FuncCall(_))))
}

/// Whether a statement writes rows.
pub(super) fn writes(statement: &NodeEnum) -> bool {
    kind(statement) == Kind::Write
}
