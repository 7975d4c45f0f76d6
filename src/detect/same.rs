//! Whether two expressions are written alike, and whether one is made of constants alone.

use pg_query::protobuf::{self as pb, AExprKind, Node};
use pg_query::{NodeEnum, NodeRef};

use super::constant::{last_name, string};
use crate::sql::children::children;
use crate::sql::functions;

/// How deep expressions are compared, and how many of their nodes: attackers nest little, and a tree may be thousands of
/// levels deep.
const MAX_DEPTH: u8 = 12;
const MAX_NODES: u16 = 200;

/// How many nodes of a condition are looked at for something that depends on data.
const MOST_DATALESS: usize = 10_000;

/// A comparison that the data has no part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    /// Of nothing but 0, 1 and truth values: what builders of SQL write where they have no condition.
    Trivial,
    /// Constants written alike on both sides (`7 = 7`, `'a' = 'a'`, `f(1) = f(1)`).
    Alike,
    /// Columns or functions of them that are written alike (`id = id`).
    AlikeColumns,
    /// Of other constants (`7 > 5`, `'a' = 'b'`).
    Constants,
    /// Of a function that PostgreSQL doesn't have and that is given nothing, with constants: a tool asks which database it is.
    Calls,
}

/// The kind of comparison that an expression is. `None`: no comparison, or one that depends on data.
pub(super) fn comparison(node: &Node) -> Option<Comparison> {
    let e = match &node.node {
        Some(NodeEnum::AExpr(e)) if compares(e) => e,
        // A literal's is an application's optional value, and a function's of one some ORM's check.
        Some(NodeEnum::NullTest(test)) => {
            return test.arg.as_deref().is_some_and(is_unknown_call).then_some(Comparison::Calls);
        }
        _ => return None,
    };
    let (left, right) = (e.lexpr.as_deref()?, e.rexpr.as_deref()?);
    let (mut fuel, mut trivial) = (MAX_NODES, true);
    if is_constant(left, MAX_DEPTH, &mut fuel, &mut trivial) && is_constant(right, MAX_DEPTH, &mut fuel, &mut trivial) {
        return Some(match () {
            () if trivial => Comparison::Trivial,
            () if sides(e) => Comparison::Alike,
            () => Comparison::Constants,
        });
    }
    if is_unknown_call(left) || is_unknown_call(right) {
        let mut constant = |node| is_unknown_call(node) || is_constant(node, MAX_DEPTH, &mut fuel, &mut trivial);
        if constant(left) && constant(right) {
            return Some(Comparison::Calls);
        }
    }
    sides(e).then(|| if holds_column(left, MAX_DEPTH) { Comparison::AlikeColumns } else { Comparison::Alike })
}

/// A function without a schema that is given nothing and is none of PostgreSQL's.
pub(super) fn is_unknown_call(node: &Node) -> bool {
    matches!(&node.node, Some(NodeEnum::FuncCall(call)) if call.args.is_empty() && !call.agg_star
        && call.funcname.len() == 1
        && last_name(&call.funcname).is_some_and(|name| functions::builtin(name).is_none()))
}

fn holds_column(node: &Node, depth: u8) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return true };
    let one = |node: Option<&Node>| node.is_some_and(|node| holds_column(node, depth));
    match &node.node {
        Some(NodeEnum::ColumnRef(_)) => true,
        Some(NodeEnum::TypeCast(cast)) => one(cast.arg.as_deref()),
        Some(NodeEnum::AExpr(e)) => one(e.lexpr.as_deref()) || one(e.rexpr.as_deref()),
        Some(NodeEnum::FuncCall(call)) => call.args.iter().any(|arg| holds_column(arg, depth)),
        Some(NodeEnum::RowExpr(row)) => row.args.iter().any(|arg| holds_column(arg, depth)),
        _ => false,
    }
}

/// Whether an operator makes a truth value of its two sides.
pub(super) fn compares(e: &pb::AExpr) -> bool {
    match e.kind() {
        AExprKind::AexprOp | AExprKind::AexprOpAny | AExprKind::AexprOpAll => {
            e.lexpr.is_some()
                && last_name(&e.name).is_some_and(|name| {
                    matches!(
                        name,
                        "=" | "<>"
                            | "<"
                            | ">"
                            | "<="
                            | ">="
                            | "~"
                            | "~*"
                            | "!~"
                            | "!~*"
                            | "~~"
                            | "~~*"
                            | "!~~"
                            | "!~~*"
                    )
                })
        }
        AExprKind::AexprDistinct
        | AExprKind::AexprNotDistinct
        | AExprKind::AexprIn
        | AExprKind::AexprLike
        | AExprKind::AexprIlike
        | AExprKind::AexprSimilar
        | AExprKind::AexprBetween
        | AExprKind::AexprNotBetween
        | AExprKind::AexprBetweenSym
        | AExprKind::AexprNotBetweenSym => true,
        AExprKind::Undefined | AExprKind::AexprNullif => false,
    }
}

/// Whether an expression is a condition by its form.
pub(super) fn is_condition(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::AExpr(e)) => compares(e),
        Some(NodeEnum::BoolExpr(_) | NodeEnum::NullTest(_) | NodeEnum::BooleanTest(_)) => true,
        Some(NodeEnum::SubLink(link)) => link.sub_link_type() == pb::SubLinkType::ExistsSublink,
        _ => false,
    }
}

/// Whether both sides of an operator are written alike.
pub(super) fn sides(e: &pb::AExpr) -> bool {
    let (Some(left), Some(right)) = (e.lexpr.as_deref(), e.rexpr.as_deref()) else { return false };
    are_alike(left, right)
}

/// Whether two expressions are written alike.
pub(super) fn are_alike(left: &Node, right: &Node) -> bool {
    let mut fuel = MAX_NODES;
    alike(left, right, MAX_DEPTH, &mut fuel)
}

/// What is bound to a parameter nobody chose to compare with itself.
fn alike(left: &Node, right: &Node, depth: u8, fuel: &mut u16) -> bool {
    let (Some(depth), Some(less)) = (depth.checked_sub(1), fuel.checked_sub(1)) else { return false };
    *fuel = less;
    let (Some(left), Some(right)) = (&left.node, &right.node) else { return false };
    let mut all = |left: &[Node], right: &[Node]| {
        left.len() == right.len() && left.iter().zip(right).all(|(l, r)| alike(l, r, depth, fuel))
    };
    match (left, right) {
        (NodeEnum::AConst(l), NodeEnum::AConst(r)) => l.val == r.val && l.isnull == r.isnull,
        (NodeEnum::String(l), NodeEnum::String(r)) => l == r,
        (NodeEnum::ColumnRef(l), NodeEnum::ColumnRef(r)) => all(&l.fields, &r.fields),
        (NodeEnum::FuncCall(l), NodeEnum::FuncCall(r)) => all(&l.funcname, &r.funcname) && all(&l.args, &r.args),
        (NodeEnum::RowExpr(l), NodeEnum::RowExpr(r)) => all(&l.args, &r.args),
        (NodeEnum::SqlvalueFunction(l), NodeEnum::SqlvalueFunction(r)) => l.op == r.op,
        (NodeEnum::TypeCast(l), NodeEnum::TypeCast(r)) => match (&l.arg, &r.arg, &l.type_name, &r.type_name) {
            (Some(la), Some(ra), Some(lt), Some(rt)) => {
                all(&lt.names, &rt.names) && all(std::slice::from_ref(la), std::slice::from_ref(ra))
            }
            _ => false,
        },
        (NodeEnum::AExpr(l), NodeEnum::AExpr(r)) => match (&l.lexpr, &r.lexpr, &l.rexpr, &r.rexpr) {
            (Some(ll), Some(rl), Some(lr), Some(rr)) if l.kind == r.kind => {
                all(&l.name, &r.name)
                    && all(std::slice::from_ref(ll), std::slice::from_ref(rl))
                    && all(std::slice::from_ref(lr), std::slice::from_ref(rr))
            }
            _ => false,
        },
        _ => false,
    }
}

/// Whether an expression is made of literals, their casts, operators and functions of them. `trivial` becomes false where
/// one of them is no 0, 1 or truth value.
fn is_constant(node: &Node, depth: u8, fuel: &mut u16, trivial: &mut bool) -> bool {
    let (Some(depth), Some(less)) = (depth.checked_sub(1), fuel.checked_sub(1)) else { return false };
    *fuel = less;
    match &node.node {
        Some(NodeEnum::AConst(constant)) => {
            *trivial &= is_trivial(constant);
            true
        }
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(|arg| is_constant(arg, depth, fuel, trivial)),
        Some(NodeEnum::AExpr(e)) => {
            e.kind() == AExprKind::AexprOp
                && last_name(&e.name).is_some_and(|name| matches!(name, "+" | "-" | "*" | "/" | "%" | "||" | "^"))
                && e.rexpr.as_deref().is_some_and(|right| is_constant(right, depth, fuel, trivial))
                && e.lexpr.as_deref().is_none_or(|left| is_constant(left, depth, fuel, trivial))
        }
        Some(NodeEnum::List(list)) => list.items.iter().all(|item| is_constant(item, depth, fuel, trivial)),
        Some(NodeEnum::RowExpr(row)) => row.args.iter().all(|arg| is_constant(arg, depth, fuel, trivial)),
        // `now()` and the like depend on the moment; a function of literals on nothing.
        Some(NodeEnum::FuncCall(call)) => {
            *trivial = false;
            !call.args.is_empty()
                && is_of_its_arguments(call)
                && call.args.iter().all(|arg| is_constant(arg, depth, fuel, trivial))
        }
        _ => false,
    }
}

/// Whether a function gives what its arguments say, and neither the session, the moment nor tables: an application's own may
/// read anything.
fn is_of_its_arguments(call: &pb::FuncCall) -> bool {
    const OTHERS: [&str; 9] =
        ["current_", "currval", "has_", "lastval", "nextval", "pg_", "random", "row_security", "setval"];
    last_name(&call.funcname)
        .is_some_and(|name| functions::builtin(name).is_some() && !OTHERS.iter().any(|start| name.starts_with(start)))
}

/// What a condition without any column, parameter or table depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dataless {
    /// On nothing.
    Constant,
    /// On the session, the moment, or what a function does.
    Calls,
}

/// Whether a condition depends on no data at all. `None`: it does, or it is a bare literal.
pub(super) fn dataless(condition: &Node) -> Option<Dataless> {
    let mut kind = Dataless::Constant;
    let mut bare = true;
    let mut pending = vec![condition.node.as_ref()?.to_ref()];
    // A longer one nobody writes who means it.
    for _ in 0..MOST_DATALESS {
        let Some(node) = pending.pop() else { break };
        match node {
            NodeRef::ColumnRef(_) | NodeRef::ParamRef(_) | NodeRef::RangeVar(_) | NodeRef::RangeFunction(_) => {
                return None;
            }
            NodeRef::FuncCall(call) if call.args.is_empty() || !is_of_its_arguments(call) => kind = Dataless::Calls,
            NodeRef::SqlvalueFunction(_) => kind = Dataless::Calls,
            NodeRef::AConst(_)
            | NodeRef::Boolean(_)
            | NodeRef::Integer(_)
            | NodeRef::Float(_)
            | NodeRef::BitString(_)
            | NodeRef::TypeCast(_)
            | NodeRef::TypeName(_)
            | NodeRef::String(_)
            | NodeRef::NullTest(_) => {}
            _ => bare = false,
        }
        children(node, &mut |child| pending.push(child));
    }
    (!bare || kind == Dataless::Calls).then_some(kind)
}

fn is_trivial(constant: &pb::AConst) -> bool {
    use pb::a_const::Val;
    match &constant.val {
        Some(Val::Ival(n)) => matches!(n.ival, 0 | 1),
        Some(Val::Boolval(_)) | None => true,
        Some(Val::Fval(_) | Val::Sval(_) | Val::Bsval(_)) => false,
    }
}

/// Whether a text may be cast to a number.
pub(super) fn is_number(text: &str) -> bool {
    let text = text.trim();
    let hexadecimal = text.trim_start_matches(['-', '+']).to_ascii_lowercase();
    text.replace('_', "").parse::<f64>().is_ok()
        || ["0x", "0o", "0b", "infinity", "nan", "$"].iter().any(|start| hexadecimal.starts_with(start))
}

/// The text of a plain string literal.
pub(super) fn text(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(pb::a_const::Val::Sval(text)) => Some(&text.sval),
            _ => None,
        },
        _ => None,
    }
}

/// Whether it is a plain number or string.
pub(super) fn is_literal(node: &Node) -> bool {
    matches!(&node.node, Some(NodeEnum::AConst(constant)) if !constant.isnull)
}

/// The last part of the name of a type that an expression is cast to; `None` for an array of it.
pub(super) fn cast_to(cast: &pb::TypeCast) -> Option<&str> {
    let name = cast.type_name.as_ref().filter(|name| name.array_bounds.is_empty())?;
    string(name.names.last()?)
}
