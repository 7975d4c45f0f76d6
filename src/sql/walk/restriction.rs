//! Does a WHERE restrict (POLICY 8, `where: missing`)? It must hold a predicate that compares a column of the target with
//! something that is not the same column: `WHERE true`, `1=1`, `id=id`, `id IS NOT NULL`, `EXISTS (SELECT 1)` and
//! `random()<=1` do not. What is never true (`false`, `1=0`: an empty list, as ORMs write it) does.

use std::collections::BTreeSet;

use pg_query::protobuf as pb;
use pg_query::protobuf::{
    AExprKind, BoolExprType, BoolTestType, NullTestType, RangeVar, SelectStmt, SetOperation, SubLinkType,
};
use pg_query::{Node, NodeEnum, NodeRef};

use super::names::{boxed, inner, string};
use crate::sql::children::children;

/// Whose columns count.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target<'t> {
    /// Any relation of the query.
    Any,
    /// One relation, by the name that columns are qualified with.
    One {
        name: &'t str,
        /// The relation itself, to know it again in a sub-select.
        relation: &'t str,
        /// A column without a qualifier may be its own.
        unqualified: bool,
    },
}

impl<'t> Target<'t> {
    pub(super) fn of_write(relation: &'t RangeVar) -> Target<'t> {
        let name = relation.alias.as_ref().map_or(&relation.relname, |a| &a.aliasname);
        Target::One { name, relation: &relation.relname, unqualified: true }
    }

    pub(super) fn of_select(from: &'t [Node]) -> Target<'t> {
        match from {
            [only] => match inner(only) {
                Some(NodeEnum::RangeVar(relation)) => Target::of_write(relation),
                _ => Target::Any,
            },
            _ => Target::Any,
        }
    }

    fn inside_sub_select(self) -> Target<'t> {
        match self {
            Target::Any => Target::Any,
            Target::One { name, relation, unqualified: _ } => Target::One { name, relation, unqualified: false },
        }
    }
}

/// True where the condition restricts the target.
pub(super) fn restricts(condition: Option<&NodeEnum>, target: &Target<'_>) -> bool {
    condition.is_some_and(|node| holds(node, *target, false))
}

/// Whether a condition, or its negation, restricts.
type Holds = fn(&NodeEnum, Target<'_>, bool) -> bool;

fn holds(node: &NodeEnum, target: Target<'_>, negated: bool) -> bool {
    match node {
        NodeEnum::BoolExpr(b) => connective(b, target, negated, holds),
        // What is never true restricts to nothing: an empty list, as ORMs write it.
        node => is_never(node, negated) || compares(node, target, negated),
    }
}

/// Likewise, where something else is made of the answer (IS FALSE, COALESCE, CASE), so that one that is never true is no
/// better than one that always is.
fn compares(node: &NodeEnum, target: Target<'_>, negated: bool) -> bool {
    match node {
        NodeEnum::BoolExpr(b) => connective(b, target, negated, compares),
        NodeEnum::AExpr(e) => comparison(e, target),
        NodeEnum::NullTest(t) => {
            let is_null = t.nulltesttype == NullTestType::IsNull as i32;
            is_null != negated && !side(boxed(&t.arg), target).columns.is_empty()
        }
        NodeEnum::BooleanTest(t) => {
            let certain = [BoolTestType::IsUnknown as i32, BoolTestType::IsNotUnknown as i32].contains(&t.booltesttype);
            !certain && boxed(&t.arg).is_some_and(|arg| compares(arg, target, false))
        }
        NodeEnum::SubLink(s) => sub_link(s, target),
        NodeEnum::CurrentOfExpr(_) => true,
        NodeEnum::ColumnRef(_) | NodeEnum::FuncCall(_) | NodeEnum::AIndirection(_) => {
            !side(Some(node), target).columns.is_empty()
        }
        NodeEnum::TypeCast(c) => boxed(&c.arg).is_some_and(|arg| compares(arg, target, negated)),
        NodeEnum::CollateClause(c) => boxed(&c.arg).is_some_and(|arg| compares(arg, target, negated)),
        NodeEnum::CoalesceExpr(c) => c.args.iter().filter_map(inner).any(|arg| compares(arg, target, negated)),
        NodeEnum::CaseExpr(c) => case(c, target),
        // A constant, a parameter, a row, XML … : nothing that compares.
        _ => false,
    }
}

fn connective(b: &pb::BoolExpr, target: Target<'_>, negated: bool, holds: Holds) -> bool {
    let mut args = b.args.iter().filter_map(inner);
    match BoolExprType::try_from(b.boolop) {
        Ok(BoolExprType::AndExpr) if !negated => args.any(|arg| holds(arg, target, false)),
        Ok(BoolExprType::OrExpr) if negated => args.any(|arg| holds(arg, target, true)),
        Ok(BoolExprType::AndExpr | BoolExprType::OrExpr) => args.all(|arg| holds(arg, target, negated)),
        Ok(BoolExprType::NotExpr) => args.all(|arg| holds(arg, target, !negated)),
        Ok(BoolExprType::Undefined) | Err(_) => false,
    }
}

fn comparison(e: &pb::AExpr, target: Target<'_>) -> bool {
    if e.kind == AExprKind::Undefined as i32 {
        return false;
    }
    differ(&side(boxed(&e.lexpr), target), &side(boxed(&e.rexpr), target))
}

/// A column of the target on one side, and not the very same on the other; a whole row has every column in it.
fn differ(left: &Side<'_>, right: &Side<'_>) -> bool {
    match (left.columns.is_empty(), right.columns.is_empty()) {
        (true, true) => false,
        (true, false) | (false, true) => true,
        (false, false) => {
            let same = left.columns == right.columns || left.whole_row() || right.whole_row();
            !same || left.others || right.others
        }
    }
}

fn case(c: &pb::CaseExpr, target: Target<'_>) -> bool {
    let always = |result: Option<&NodeEnum>| matches!(result, Some(NodeEnum::AConst(c)) if is_true(c));
    let mut results = c.args.iter().filter_map(inner).map(|when| match when {
        NodeEnum::CaseWhen(when) => boxed(&when.result),
        _ => None,
    });
    // Whatever is asked, the answer is the same.
    if results.all(always) && always(boxed(&c.defresult)) {
        return false;
    }
    if !side(boxed(&c.arg), target).columns.is_empty() {
        return true;
    }
    c.args.iter().filter_map(inner).any(|when| match when {
        NodeEnum::CaseWhen(when) => boxed(&when.expr).is_some_and(|expr| compares(expr, target, false)),
        _ => false,
    })
}

/// A constant that is not true, or a comparison of constants that isn't: `false`, `NULL`, `1 = 0`.
fn is_never(node: &NodeEnum, negated: bool) -> bool {
    match node {
        NodeEnum::AConst(constant) => constant.isnull || if negated { is_true(constant) } else { is_false(constant) },
        NodeEnum::AExpr(e) => comes_to(e) == Some(negated),
        _ => false,
    }
}

/// What a comparison of two numbers or two strings comes to, whatever the rows are.
fn comes_to(e: &pb::AExpr) -> Option<bool> {
    use pb::a_const::Val;
    let value = |side| match boxed(side) {
        Some(NodeEnum::AConst(constant)) => constant.val.as_ref(),
        _ => None,
    };
    let equal = match (value(&e.lexpr)?, value(&e.rexpr)?) {
        (Val::Ival(a), Val::Ival(b)) => a.ival == b.ival,
        (Val::Sval(a), Val::Sval(b)) => a.sval == b.sval,
        (Val::Boolval(a), Val::Boolval(b)) => a.boolval == b.boolval,
        _ => return None,
    };
    match e.name.as_slice() {
        [operator] if e.kind == AExprKind::AexprOp as i32 => match string(operator) {
            Some("=") => Some(equal),
            Some("<>") => Some(!equal),
            _ => None,
        },
        _ => None,
    }
}

fn is_false(constant: &pb::AConst) -> bool {
    matches!(&constant.val, Some(pb::a_const::Val::Boolval(b)) if !b.boolval)
}

fn is_true(constant: &pb::AConst) -> bool {
    matches!(&constant.val, Some(pb::a_const::Val::Boolval(b)) if b.boolval)
}

fn sub_link(s: &pb::SubLink, target: Target<'_>) -> bool {
    let Some(NodeEnum::SelectStmt(select)) = boxed(&s.subselect) else { return false };
    match SubLinkType::try_from(s.sub_link_type) {
        Ok(SubLinkType::ExistsSublink) => correlated(select, target),
        Ok(SubLinkType::AnySublink | SubLinkType::AllSublink | SubLinkType::RowcompareSublink) => {
            let left = side(boxed(&s.testexpr), target);
            if left.columns.is_empty() {
                return false;
            }
            if select.from_clause.is_empty() {
                let mut right = Side::default();
                select.target_list.iter().filter_map(inner).for_each(|n| right.add(n.to_ref(), target));
                return differ(&left, &right);
            }
            !all_of_itself(&left, select, target)
        }
        Ok(SubLinkType::ExprSublink) => correlated(select, target),
        Ok(
            SubLinkType::MultiexprSublink
            | SubLinkType::ArraySublink
            | SubLinkType::CteSublink
            | SubLinkType::Undefined,
        )
        | Err(_) => false,
    }
}

/// The sub-select's own WHERE compares a column of the target.
fn correlated(select: &SelectStmt, target: Target<'_>) -> bool {
    if let (Some(left), Some(right)) = (&select.larg, &select.rarg) {
        let both = [left, right].map(|arm| correlated(arm, target));
        return match SetOperation::try_from(select.op) {
            Ok(SetOperation::SetopIntersect) => both.contains(&true),
            Ok(SetOperation::SetopExcept) => both[0],
            Ok(SetOperation::SetopUnion | SetOperation::SetopNone | SetOperation::Undefined) | Err(_) => {
                !both.contains(&false)
            }
        };
    }
    let within = if select.from_clause.is_empty() { target } else { target.inside_sub_select() };
    boxed(&select.where_clause).is_some_and(|node| compares(node, within, false))
}

/// `id IN (SELECT id FROM t)` for target `t`: always true.
fn all_of_itself(left: &Side<'_>, select: &SelectStmt, target: Target<'_>) -> bool {
    let Target::One { relation, .. } = target else { return false };
    let [from] = select.from_clause.as_slice() else { return false };
    let Some(NodeEnum::RangeVar(from)) = inner(from) else { return false };
    let limited = boxed(&select.limit_count).is_some_and(limits);
    if from.relname != relation || limited || select.having_clause.is_some() {
        return false;
    }
    let inside = Target::of_write(from);
    let mut right = Side::default();
    select.target_list.iter().filter_map(inner).for_each(|n| right.add(n.to_ref(), inside));
    left.columns == right.columns && !boxed(&select.where_clause).is_some_and(|node| compares(node, inside, false))
}

/// A number or a parameter. LIMIT ALL and LIMIT NULL limit nothing, and what is computed may not either.
fn limits(count: &NodeEnum) -> bool {
    match count {
        NodeEnum::AConst(constant) => !constant.isnull,
        NodeEnum::ParamRef(_) => true,
        NodeEnum::TypeCast(cast) => boxed(&cast.arg).is_some_and(limits),
        _ => false,
    }
}

/// What one side of a comparison refers to.
#[derive(Default)]
struct Side<'t> {
    /// Columns of the target: (qualifier where it matters, name).
    columns: BTreeSet<(&'t str, &'t str)>,
    /// Columns of something else, or a sub-select that reads.
    others: bool,
}

fn side<'t>(node: Option<&'t NodeEnum>, target: Target<'_>) -> Side<'t> {
    let mut side = Side::default();
    if let Some(node) = node {
        side.add(node.to_ref(), target);
    }
    side
}

/// `(t).id`, where `t` is the target: the column `id`.
fn field_of_row<'t>(field: &'t pb::AIndirection, target: Target<'_>) -> Option<&'t str> {
    let Target::One { name: own, .. } = target else { return None };
    let Some(NodeEnum::ColumnRef(row)) = boxed(&field.arg) else { return None };
    let (Some(last), Some(first)) = (row.fields.last(), field.indirection.first()) else { return None };
    if string(last) == Some(own) { string(first) } else { None }
}

impl<'t> Side<'t> {
    fn whole_row(&self) -> bool {
        self.columns.contains(&("", "*"))
    }

    fn add(&mut self, node: NodeRef<'t>, target: Target<'_>) {
        match node {
            NodeRef::ColumnRef(column) => self.column(&column.fields, target),
            NodeRef::AIndirection(field) => match field_of_row(field, target) {
                Some(name) => {
                    self.columns.insert(("", name));
                }
                None => children(node, &mut |child| self.add(child, target)),
            },
            NodeRef::SelectStmt(select) if !select.from_clause.is_empty() || select.larg.is_some() => {
                self.others = true
            }
            _ => children(node, &mut |child| self.add(child, target)),
        }
    }

    fn column(&mut self, fields: &'t [Node], target: Target<'_>) {
        let (qualifier, name) = match fields {
            [name] => ("", string(name).unwrap_or("*")),
            [.., qualifier, name] => (string(qualifier).unwrap_or_default(), string(name).unwrap_or("*")),
            [] => return,
        };
        match target {
            Target::Any => {
                self.columns.insert((qualifier, name));
            }
            Target::One { name: own, unqualified, .. } => {
                if qualifier.is_empty() && name == own {
                    self.columns.insert(("", "*"));
                } else if qualifier == own || (qualifier.is_empty() && unqualified) {
                    self.columns.insert(("", name));
                } else {
                    self.others = true;
                }
            }
        }
    }
}
