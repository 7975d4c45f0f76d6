//! What conditions tell: constants where data should decide, and values where a condition must stand.
//!
//! Builders of SQL write `1 = 1`, `1 = 0` and `true` where they have nothing to ask for, and an application that puts its
//! values into the text itself writes `('' = '' OR title = '')`: neither is a sign.

use pg_query::NodeEnum;
use pg_query::protobuf::{self as pb, AExprKind, BoolExprType, Node};

use super::constant::{self, Condition, last_name};
use super::same::{self, Comparison};
use super::tree::Found;
use super::{Technique, expression};

/// AND, OR and NOT. `within_or`: it stands within an OR.
pub(super) fn boolean(e: &pb::BoolExpr, within_or: bool, found: &mut Found) {
    // The server takes no number there, and no text that is no truth value.
    if e.args.iter().any(is_no_condition) {
        found.add(Technique::MisplacedValue, 5);
    }
    match e.boolop() {
        BoolExprType::OrExpr => or(e, within_or, found),
        BoolExprType::AndExpr => e.args.iter().filter_map(same::comparison).for_each(|c| found.compared(c)),
        BoolExprType::NotExpr | BoolExprType::Undefined => {}
    }
}

fn or(e: &pb::BoolExpr, within_or: bool, found: &mut Found) {
    for (place, arm) in e.args.iter().enumerate() {
        let weight = constant_arm(arm).unwrap_or(0);
        if weight > 0 && place == 0 && !within_or && is_optional_filter(arm, &e.args) {
            continue;
        }
        found.add_on_tables(Technique::ConstantTrue, weight);
        if place > 0 && weight == 0 && admits_every_row(arm) && e.args.iter().take(place).any(equals_literal) {
            found.add_on_tables(Technique::ConstantTrue, 3);
        }
    }
}

/// The weight of an arm of an OR that does not depend on data.
fn constant_arm(arm: &Node) -> Option<u8> {
    match constant::condition(arm) {
        Some(Condition::Holds) => Some(5),
        Some(Condition::Literal) => Some(3),
        Some(Condition::Fails) => {
            // Nothing is opened by what never holds; builders write it with 0 and 1 alone.
            Some(match comparison_within_not(arm) {
                Some(Comparison::Alike | Comparison::Constants) => 4,
                Some(Comparison::Trivial) | None => 1,
            })
        }
        None => match &arm.node {
            // `x OR 1=1 AND password = …`: AND binds closer, so the constant stands one level below.
            Some(NodeEnum::BoolExpr(and)) if and.boolop() == BoolExprType::AndExpr => {
                let holds = |arg: &Node| constant::condition(arg).is_some_and(|c| c == Condition::Holds);
                and.args.iter().any(holds).then_some(5)
            }
            _ => comparison_within_not(arm).map(|_| 4),
        },
    }
}

fn comparison_within_not(node: &Node) -> Option<Comparison> {
    match &node.node {
        Some(NodeEnum::BoolExpr(not)) if not.boolop() == BoolExprType::NotExpr => not.args.first().and_then(same::comparison),
        _ => same::comparison(node),
    }
}

/// `('' = '' OR title = '')`, `(NULL IS NULL OR id = NULL)`: the value of an optional filter, put into the text. The
/// constant comes first there, and another arm compares with the same literal; what is injected comes behind.
fn is_optional_filter(arm: &Node, arms: &[Node]) -> bool {
    let first = match &arm.node {
        Some(NodeEnum::AExpr(e)) => [e.lexpr.as_deref(), e.rexpr.as_deref()],
        Some(NodeEnum::NullTest(test)) => [test.arg.as_deref(), None],
        Some(NodeEnum::AConst(_)) => return true,
        _ => return false,
    };
    arms.iter().skip(1).any(|other| match &other.node {
        Some(NodeEnum::AExpr(e)) => {
            let sides = [e.lexpr.as_deref(), e.rexpr.as_deref()].into_iter().flatten();
            sides.filter(|side| matches!(&side.node, Some(NodeEnum::AConst(_)))).any(|side| {
                first.into_iter().flatten().any(|value| same::are_alike(value, side))
            })
        }
        _ => false,
    })
}

/// `name IS NOT NULL`, `name LIKE '%'`: true of every row that has a value.
fn admits_every_row(arm: &Node) -> bool {
    match &arm.node {
        Some(NodeEnum::NullTest(test)) => {
            test.nulltesttype() == pb::NullTestType::IsNotNull
                && matches!(test.arg.as_deref().and_then(|a| a.node.as_ref()), Some(NodeEnum::ColumnRef(_)))
        }
        Some(NodeEnum::AExpr(e)) => {
            matches!(e.kind(), AExprKind::AexprLike | AExprKind::AexprIlike)
                && last_name(&e.name).is_some_and(|name| !name.starts_with('!'))
                && e.rexpr.as_deref().and_then(same::text).is_some_and(|text| !text.is_empty() && text.bytes().all(|b| b == b'%'))
        }
        _ => false,
    }
}

/// `name = 'x'`, `name LIKE '%x'`: what an application asks for, with a value in the text.
fn equals_literal(arm: &Node) -> bool {
    let Some(NodeEnum::AExpr(e)) = &arm.node else { return false };
    same::compares(e) && e.rexpr.as_deref().is_some_and(same::is_literal)
}

/// A value that is no truth value, by its form.
fn is_no_condition(node: &Node) -> bool {
    use pb::a_const::Val;
    match &node.node {
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(Val::Ival(_) | Val::Fval(_)) => true,
            Some(Val::Sval(text)) => crate::sql::settings::parse_bool(text.sval.trim()).is_none(),
            Some(Val::Boolval(_) | Val::Bsval(_)) | None => false,
        },
        Some(NodeEnum::AExpr(e)) => {
            e.kind() == AExprKind::AexprOp
                && last_name(&e.name).is_some_and(|name| matches!(name, "+" | "-" | "*" | "/" | "%" | "||" | "#" | "^"))
        }
        _ => false,
    }
}

/// An operator between two sides.
pub(super) fn operator(e: &pb::AExpr, found: &mut Found) {
    let sides = [e.lexpr.as_deref(), e.rexpr.as_deref()];
    if same::compares(e) {
        // `name = ('' LIKE '%')`, `(title LIKE '%x') IS DISTINCT FROM 'y'`.
        for (side, other) in [(sides[0], sides[1]), (sides[1], sides[0])] {
            let (Some(side), Some(other)) = (side, other) else { continue };
            if same::comparison(side).is_some() || (same::is_condition(side) && is_no_condition(other)) {
                found.add(Technique::MisplacedValue, 5);
            }
        }
        if e.kind() == AExprKind::AexprIn
            && let Some(NodeEnum::List(list)) = sides[1].and_then(|right| right.node.as_ref())
            && list.items.iter().any(same::is_condition)
        {
            found.add(Technique::MisplacedValue, 5);
        }
    }
    expression::operator(e, found);
}

/// A CASE whose choice does not depend on data.
pub(super) fn case(e: &pb::CaseExpr, found: &mut Found) {
    if e.arg.is_some() {
        return;
    }
    for when in &e.args {
        let Some(NodeEnum::CaseWhen(when)) = &when.node else { continue };
        match when.expr.as_deref().and_then(same::comparison) {
            Some(Comparison::Alike | Comparison::Constants) => found.add_on_tables(Technique::ConstantCondition, 5),
            Some(Comparison::Trivial) => found.add_on_tables(Technique::ConstantCondition, 3),
            None => {}
        }
    }
}

/// What stands in the clauses of a query.
pub(super) fn clauses(select: &pb::SelectStmt, found: &mut Found) {
    if let Some(having) = select.having_clause.as_deref() {
        if constant::condition(having).is_some_and(|c| c != Condition::Literal) || same::comparison(having).is_some() {
            found.add_on_tables(Technique::ConstantCondition, 5);
        } else if select.group_clause.is_empty() && !expression::may_aggregate(having) {
            found.add_on_tables(Technique::ConstantCondition, 4);
        }
    }
    if let Some(condition) = select.where_clause.as_deref()
        && let Some(comparison) = same::comparison(condition)
    {
        found.compared(comparison);
    }
    for limit in [&select.limit_count, &select.limit_offset].into_iter().flatten() {
        limited(limit, found);
    }
    for sort in &select.sort_clause {
        if let Some(NodeEnum::SortBy(sort)) = &sort.node
            && let Some(key) = sort.node.as_deref()
        {
            sorted(key, found);
        }
    }
    for row in &select.values_lists {
        if let Some(NodeEnum::List(row)) = &row.node {
            row.items.iter().for_each(|value| stored(value, found));
        }
    }
}

/// What LIMIT or OFFSET takes: a number, computed at most.
fn limited(node: &Node, found: &mut Found) {
    let weight = match &node.node {
        // The server refuses both.
        _ if same::is_condition(node) => 5,
        Some(NodeEnum::ColumnRef(_)) => 5,
        Some(NodeEnum::SubLink(_) | NodeEnum::CaseExpr(_)) => 4,
        Some(NodeEnum::AExpr(e)) => {
            for side in [&e.lexpr, &e.rexpr].into_iter().flatten() {
                if !matches!(&side.node, Some(NodeEnum::AExpr(_))) {
                    limited(side, found);
                }
            }
            0
        }
        _ => 0,
    };
    found.add(Technique::ClauseProbe, weight);
}

/// What ORDER BY takes: a column or an expression of columns.
fn sorted(node: &Node, found: &mut Found) {
    match &node.node {
        Some(NodeEnum::BoolExpr(_)) => found.add_on_tables(Technique::ClauseProbe, 3),
        Some(NodeEnum::SubLink(link)) if expression::reads_nothing(link) => found.add_on_tables(Technique::ClauseProbe, 4),
        _ if same::comparison(node).is_some() => found.add_on_tables(Technique::ClauseProbe, 5),
        _ => {}
    }
}

/// What a column is given.
pub(super) fn stored(value: &Node, found: &mut Found) {
    if same::comparison(value).is_some_and(|c| c != Comparison::Trivial) {
        found.add_on_tables(Technique::ConstantCondition, 4);
    }
}
