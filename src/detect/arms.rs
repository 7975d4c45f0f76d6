//! The arms of UNION, INTERSECT and EXCEPT.

use pg_query::protobuf::{self as pb, BoolExprType, Node, SetOperation};
use pg_query::{NodeEnum, NodeRef};

use super::constant::{self, Condition};
use super::tree::{Found, In};
use super::{Technique, foreign};
use crate::sql::children::children;
use crate::sql::relations;

/// A UNION whose first arm reads a table of the application, and a later one nothing, or a catalog. Leaves the arms'
/// contents in `pending`.
pub(super) fn set_operation<'a>(
    root: &'a pb::SelectStmt,
    stands: In,
    found: &mut Found<'_>,
    pending: &mut Vec<(NodeRef<'a>, In)>,
) {
    let mut arms = Vec::new();
    let mut open = vec![root];
    while let Some(select) = open.pop() {
        if select.op() == SetOperation::SetopNone {
            arms.push(select);
            pending.push((NodeRef::SelectStmt(select), stands));
            continue;
        }
        let sides = [select.larg.as_deref(), select.rarg.as_deref()];
        // The left one is taken next, so that the arms come in the order of the text.
        open.extend(sides.into_iter().rev().flatten());
        children(NodeRef::SelectStmt(select), &mut |child| {
            let side =
                matches!(child, NodeRef::SelectStmt(c) if sides.into_iter().flatten().any(|s| std::ptr::eq(s, c)));
            if !side {
                pending.push((child, stands));
            }
        });
    }
    let Some((first, later)) = arms.split_first() else { return };
    // The server refuses arms of different width: someone counts the columns.
    if let Some(width) = width(first)
        && later.iter().any(|arm| self::width(arm).is_some_and(|other| other != width))
    {
        found.add(Technique::UnionProbe, 5);
    }
    if !reads_table(first) || reads_catalog(first) {
        return;
    }
    // What nobody is to see of the first makes room for the second.
    if root.op() == SetOperation::SetopUnion && is_contradiction(first) {
        found.add(Technique::UnionProbe, 4);
    }
    for arm in later {
        if reads_catalog(arm) {
            found.add(Technique::UnionProbe, 5);
        } else if arm.from_clause.is_empty() && !arm.target_list.is_empty() {
            let values = |kind: fn(&Node) -> bool| arm.target_list.iter().any(kind);
            let weight = match () {
                // Nobody binds a parameter in what he injects.
                () if values(is_parameter) => 1,
                () if arm.target_list.iter().all(is_text_or_number) => 3,
                () => 5,
            };
            found.add(Technique::UnionProbe, weight);
        } else if !arm.values_lists.is_empty() {
            found.add(Technique::UnionProbe, 4);
        } else if !first.target_list.iter().any(is_text_or_number) && arm.target_list.iter().any(is_text_or_number) {
            // Columns that it doesn't have are filled up.
            found.add(Technique::UnionProbe, 2);
        }
    }
}

/// Whether a query's condition holds for no row, whatever the data.
fn is_contradiction(select: &pb::SelectStmt) -> bool {
    let fails = |node: &Node| matches!(constant::condition(node), Some(Condition::Fails));
    select.where_clause.as_deref().is_some_and(|condition| match &condition.node {
        Some(NodeEnum::BoolExpr(e)) if e.boolop() == BoolExprType::AndExpr => e.args.iter().any(fails),
        _ => fails(condition),
    })
}

/// How many columns an arm has. `None`: it holds a star.
pub(super) fn width(arm: &pb::SelectStmt) -> Option<usize> {
    let star = |target: &Node| match &target.node {
        Some(NodeEnum::ResTarget(target)) => match target.val.as_ref().and_then(|v| v.node.as_ref()) {
            Some(NodeEnum::ColumnRef(c)) => c.fields.last().is_some_and(|f| matches!(f.node, Some(NodeEnum::AStar(_)))),
            Some(NodeEnum::AIndirection(_)) => true,
            _ => false,
        },
        _ => true,
    };
    if let Some(row) = arm.values_lists.first() {
        return match &row.node {
            Some(NodeEnum::List(row)) => Some(row.items.len()),
            _ => None,
        };
    }
    (!arm.target_list.iter().any(star)).then_some(arm.target_list.len())
}

/// A target that is a plain string or number: as in `UNION SELECT 'all'`, which applications also write.
fn is_text_or_number(target: &Node) -> bool {
    let Some(NodeEnum::ResTarget(target)) = &target.node else { return false };
    matches!(target.val.as_ref().and_then(|v| v.node.as_ref()), Some(NodeEnum::AConst(c)) if !c.isnull)
}

/// A target that is a parameter.
fn is_parameter(target: &Node) -> bool {
    let Some(NodeEnum::ResTarget(target)) = &target.node else { return false };
    matches!(target.val.as_ref().and_then(|v| v.node.as_ref()), Some(NodeEnum::ParamRef(_)))
}

/// Whether a relation of the server's (or another server's) catalog stands in FROM, joins included.
fn reads_catalog(select: &pb::SelectStmt) -> bool {
    any_relation(select, |relation| {
        let (schema, name) = (relation.schemaname.as_str(), relation.relname.as_str());
        foreign::is_catalog(name)
            || relations::catalog_relation(schema, name).is_some()
            || (schema.is_empty() && relations::is_catalog_relation_name(name))
    })
}

/// Whether any relation stands in FROM, joins included.
fn reads_table(select: &pb::SelectStmt) -> bool {
    any_relation(select, |_| true)
}

fn any_relation(select: &pb::SelectStmt, wanted: impl Fn(&pb::RangeVar) -> bool) -> bool {
    let mut open: Vec<&Node> = select.from_clause.iter().collect();
    while let Some(node) = open.pop() {
        match &node.node {
            Some(NodeEnum::RangeVar(relation)) if wanted(relation) => return true,
            Some(NodeEnum::JoinExpr(join)) => open.extend([&join.larg, &join.rarg].into_iter().flatten().map(|n| &**n)),
            _ => {}
        }
    }
    false
}
