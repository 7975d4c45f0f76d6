//! Conditions that don't depend on data: small constants folded as PostgreSQL would.

use pg_query::NodeEnum;
use pg_query::protobuf::{self as pb, AExprKind, BoolExprType, BoolTestType, Node, NullTestType};

use super::same;

/// What kind of condition it is, and what comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// A comparison of constants, or of a column with itself, that holds.
    Holds,
    /// One that doesn't.
    Fails,
    /// A bare literal that is true (`OR true`, `OR 1`), or a constant that is tested for NULL, as applications also
    /// write (`NULL IS NULL OR name = NULL` is an optional filter).
    Literal,
}

/// How deep an expression is folded: attackers nest little, and the tree may be thousands of levels deep.
const MAX_DEPTH: u8 = 12;

/// How many nodes are folded for one condition: conditions within conditions are each asked for.
const MAX_NODES: u16 = 1000;

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
}

/// Judges a condition. `None`: it depends on data, or is too large to tell.
pub(super) fn condition(node: &Node) -> Option<Condition> {
    let holds = truth(&value(node)?)?;
    match (holds, compares(node.node.as_ref()?, MAX_DEPTH)) {
        (true, true) => Some(Condition::Holds),
        (false, true) => Some(Condition::Fails),
        (true, false) => Some(Condition::Literal),
        (false, false) => None,
    }
}

/// A constant whole number.
pub(super) fn number(node: &Node) -> Option<f64> {
    match value(node)? {
        Value::Number(n) => Some(n),
        Value::Text(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) => None,
    }
}

fn value(node: &Node) -> Option<Value> {
    let mut fuel = MAX_NODES;
    fold(node, MAX_DEPTH, &mut fuel)
}

/// Whether an operator does the work, rather than a literal alone or a test for NULL.
fn compares(node: &NodeEnum, depth: u8) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    match node {
        NodeEnum::AExpr(_) => true,
        NodeEnum::BoolExpr(e) => e.args.iter().filter_map(|a| a.node.as_ref()).any(|a| compares(a, depth)),
        NodeEnum::BooleanTest(t) => t.arg.as_ref().and_then(|a| a.node.as_ref()).is_some_and(|a| compares(a, depth)),
        NodeEnum::TypeCast(c) => c.arg.as_ref().and_then(|a| a.node.as_ref()).is_some_and(|a| compares(a, depth)),
        _ => false,
    }
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Null => Some(false),
        Value::Bool(b) => Some(*b),
        // The server refuses a number as a condition; other databases take it, and so do attackers.
        Value::Number(n) => Some(*n != 0.0),
        Value::Text(text) => crate::sql::settings::parse_bool(text.trim()),
    }
}

fn fold(node: &Node, depth: u8, fuel: &mut u16) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    *fuel = fuel.checked_sub(1)?;
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) => literal(constant),
        NodeEnum::TypeCast(cast) => {
            let value = fold(cast.arg.as_ref()?, depth, fuel)?;
            match last_name(&cast.type_name.as_ref()?.names)? {
                "bool" => truth(&value).map(Value::Bool),
                "text" | "varchar" | "bpchar" | "name" => Some(Value::Text(text(&value)?)),
                "int2" | "int4" | "int8" | "numeric" | "float4" | "float8" => match value {
                    Value::Text(text) => Some(Value::Number(text.trim().parse().ok()?)),
                    Value::Bool(b) => Some(Value::Number(f64::from(u8::from(b)))),
                    other @ (Value::Null | Value::Number(_)) => Some(other),
                },
                _ => None,
            }
        }
        NodeEnum::BoolExpr(e) => {
            let mut args = e.args.iter().map(|arg| fold(arg, depth, fuel).as_ref().and_then(truth));
            // One arm that holds is enough for an OR, whatever the others depend on.
            let result = match BoolExprType::try_from(e.boolop).ok()? {
                BoolExprType::AndExpr => first_or_all(&mut args, false)?,
                BoolExprType::OrExpr => first_or_all(&mut args, true)?,
                BoolExprType::NotExpr => !args.next()??,
                BoolExprType::Undefined => return None,
            };
            Some(Value::Bool(result))
        }
        NodeEnum::NullTest(test) => {
            let null = fold(test.arg.as_ref()?, depth, fuel)? == Value::Null;
            Some(Value::Bool(null == (test.nulltesttype() == NullTestType::IsNull)))
        }
        NodeEnum::BooleanTest(test) => {
            let value = fold(test.arg.as_ref()?, depth, fuel)?;
            let known = value != Value::Null;
            let truth = truth(&value)?;
            let result = match test.booltesttype() {
                BoolTestType::IsTrue => known && truth,
                BoolTestType::IsNotTrue => !(known && truth),
                BoolTestType::IsFalse => known && !truth,
                BoolTestType::IsNotFalse => !known || truth,
                BoolTestType::IsUnknown => !known,
                BoolTestType::IsNotUnknown => known,
                BoolTestType::Undefined => return None,
            };
            Some(Value::Bool(result))
        }
        NodeEnum::AExpr(e) => operator(e, depth, fuel),
        _ => None,
    }
}

/// `wanted` where one is; the contrary where none is, and `None` where that isn't known of each.
fn first_or_all(args: &mut dyn Iterator<Item = Option<bool>>, wanted: bool) -> Option<bool> {
    let mut unknown = false;
    for arg in args {
        match arg {
            Some(arg) if arg == wanted => return Some(wanted),
            Some(_) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(!wanted)
}

fn literal(constant: &pb::AConst) -> Option<Value> {
    use pb::a_const::Val;
    if constant.isnull {
        return Some(Value::Null);
    }
    match constant.val.as_ref()? {
        Val::Ival(n) => Some(Value::Number(f64::from(n.ival))),
        Val::Fval(n) => Some(Value::Number(n.fval.parse().ok()?)),
        Val::Boolval(b) => Some(Value::Bool(b.boolval)),
        Val::Sval(s) => Some(Value::Text(s.sval.clone())),
        Val::Bsval(_) => None,
    }
}

fn operator(e: &pb::AExpr, depth: u8, fuel: &mut u16) -> Option<Value> {
    let name = last_name(&e.name)?;
    let kind = AExprKind::try_from(e.kind).ok()?;
    // `id = id`, `name LIKE name`, `f(x) = f(x)`: true wherever it is not NULL.
    if matches!(kind, AExprKind::AexprOp | AExprKind::AexprLike | AExprKind::AexprIlike) && same::sides(e) {
        return match name {
            "=" | "<=" | ">=" | "~~" | "~~*" => Some(Value::Bool(true)),
            "<>" | "<" | ">" => Some(Value::Bool(false)),
            _ => None,
        };
    }
    let Some(left) = &e.lexpr else {
        return match (name, fold(e.rexpr.as_ref()?, depth, fuel)?) {
            ("-", Value::Number(n)) => Some(Value::Number(-n)),
            ("+", Value::Number(n)) => Some(Value::Number(n)),
            _ => None,
        };
    };
    let left = fold(left, depth, fuel)?;
    let right = e.rexpr.as_deref()?;
    match kind {
        AExprKind::AexprOp => binary(name, &left, &fold(right, depth, fuel)?),
        AExprKind::AexprDistinct => Some(Value::Bool(!equal(&left, &fold(right, depth, fuel)?))),
        AExprKind::AexprNotDistinct => Some(Value::Bool(equal(&left, &fold(right, depth, fuel)?))),
        AExprKind::AexprIn => {
            let found = list(right)?.iter().map(|item| fold(item, depth, fuel)).collect::<Option<Vec<_>>>()?;
            Some(Value::Bool(found.iter().any(|item| equal(&left, item)) == (name == "=")))
        }
        AExprKind::AexprLike | AExprKind::AexprIlike => {
            let (value, pattern) = (text(&left)?, text(&fold(right, depth, fuel)?)?);
            Some(Value::Bool(like(&value, &pattern)? != name.starts_with('!')))
        }
        AExprKind::AexprBetween | AExprKind::AexprNotBetween => {
            let [low, high] = list(right)? else { return None };
            let low = order(&fold(low, depth, fuel)?, &left)?;
            let high = order(&left, &fold(high, depth, fuel)?)?;
            Some(Value::Bool((low.is_le() && high.is_le()) == (kind == AExprKind::AexprBetween)))
        }
        AExprKind::Undefined
        | AExprKind::AexprOpAny
        | AExprKind::AexprOpAll
        | AExprKind::AexprNullif
        | AExprKind::AexprSimilar
        | AExprKind::AexprBetweenSym
        | AExprKind::AexprNotBetweenSym => None,
    }
}

fn binary(name: &str, left: &Value, right: &Value) -> Option<Value> {
    if *left == Value::Null || *right == Value::Null {
        return Some(Value::Null);
    }
    if let (Value::Number(l), Value::Number(r)) = (left, right) {
        let sum = match name {
            "+" => Some(l + r),
            "-" => Some(l - r),
            "*" => Some(l * r),
            "/" => (*r != 0.0).then(|| l / r),
            _ => None,
        };
        if let Some(sum) = sum {
            return Some(Value::Number(sum));
        }
    }
    if name == "||" {
        return Some(Value::Text(text(left)? + &text(right)?));
    }
    let order = order(left, right)?;
    Some(Value::Bool(match name {
        "=" => order.is_eq(),
        "<>" => order.is_ne(),
        "<" => order.is_lt(),
        ">" => order.is_gt(),
        "<=" => order.is_le(),
        ">=" => order.is_ge(),
        _ => return None,
    }))
}

/// As the server compares, which gives a string literal the other side's type.
fn order(left: &Value, right: &Value) -> Option<std::cmp::Ordering> {
    match (left, right) {
        (Value::Text(l), Value::Text(r)) => Some(l.cmp(r)),
        (Value::Bool(l), Value::Bool(r)) => Some(l.cmp(r)),
        (Value::Number(l), Value::Number(r)) => l.partial_cmp(r),
        (Value::Text(l), Value::Number(r)) => l.trim().parse::<f64>().ok()?.partial_cmp(r),
        (Value::Number(l), Value::Text(r)) => l.partial_cmp(&r.trim().parse::<f64>().ok()?),
        (Value::Bool(_), Value::Text(_) | Value::Number(_)) | (Value::Text(_) | Value::Number(_), Value::Bool(_)) => {
            Some(truth(left)?.cmp(&truth(right)?))
        }
        (Value::Null, _) | (_, Value::Null) => None,
    }
}

fn equal(left: &Value, right: &Value) -> bool {
    (*left == Value::Null && *right == Value::Null) || order(left, right).is_some_and(std::cmp::Ordering::is_eq)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Null | Value::Bool(_) => None,
    }
}

/// LIKE for patterns without wildcards or of nothing but `%` at the ends.
fn like(value: &str, pattern: &str) -> Option<bool> {
    let middle = pattern.trim_matches('%');
    if middle.contains(['%', '_', '\\']) {
        return None;
    }
    Some(match (pattern.starts_with('%'), pattern.ends_with('%')) {
        _ if middle.is_empty() && !pattern.is_empty() => true,
        (false, false) => value == middle,
        (true, false) => value.ends_with(middle),
        (false, true) => value.starts_with(middle),
        (true, true) => value.contains(middle),
    })
}

fn list(node: &Node) -> Option<&[Node]> {
    match node.node.as_ref()? {
        NodeEnum::List(list) => Some(&list.items),
        _ => None,
    }
}

/// The last part of a qualified name.
pub(super) fn last_name(names: &[Node]) -> Option<&str> {
    string(names.last()?)
}

/// The text of a String node.
pub(super) fn string(node: &Node) -> Option<&str> {
    match node.node.as_ref()? {
        NodeEnum::String(s) => Some(&s.sval),
        _ => None,
    }
}
