//! What expressions tell: errors that are forced, text that is put together to hide it, and questions of yes and no about
//! one character of a secret.

use pg_query::protobuf::{self as pb, AExprKind, Node, SetOperation, SubLinkType};
use pg_query::{NodeEnum, NodeRef};

use super::constant::{self, last_name, string};
use super::tree::{Found, In};
use super::{Technique, same, strings};
use crate::sql::children::children;

/// How deep an expression is looked into.
const MAX_DEPTH: u8 = 8;

/// What cuts one character or a few out of a text, or measures it.
const PIECES: &[&str] = &[
    "ascii",
    "bit_length",
    "char_length",
    "character_length",
    "get_byte",
    "left",
    "length",
    "lpad",
    "mid",
    "octet_length",
    "ord",
    "overlay",
    "position",
    "right",
    "rpad",
    "split_part",
    "strpos",
    "substr",
    "substring",
    "unicode",
];

/// Other functions of one row; whatever isn't named here or above is taken for an aggregate.
const SCALAR: &[&str] = &["abs", "chr", "coalesce", "concat", "lower", "md5", "upper"];

/// An operator and its sides.
pub(super) fn operator(e: &pb::AExpr, stands: In, found: &mut Found<'_>) {
    let (Some(left), Some(right)) = (e.lexpr.as_deref(), e.rexpr.as_deref()) else { return };
    if same::compares(e) {
        compared(left, right, found);
        compared(right, left, found);
        if last_name(&e.name) == Some("=") && [left, right].into_iter().any(strings::is_split_value) {
            found.add_on_tables(Technique::StringBuilding, 3);
        }
        return;
    }
    if e.kind() != AExprKind::AexprOp {
        return;
    }
    match last_name(&e.name) {
        Some("/" | "%") if fails_to_divide(right) => found.add_on_relations(Technique::ErrorForcing, 5),
        Some("||") => strings::joined(e, stands, found),
        Some(name @ ("+" | "-" | "*" | "/" | "%" | "^" | "&" | "|" | "#" | "<<" | ">>")) => {
            strings::computed(name, left, right, found);
        }
        _ => {}
    }
}

/// One side of a comparison, and the other.
fn compared(side: &Node, other: &Node, found: &mut Found<'_>) {
    if !same::is_literal(other) {
        return;
    }
    match &side.node {
        Some(NodeEnum::SubLink(link)) if link.sub_link_type() == SubLinkType::ExprSublink => {
            found.add_on_tables(
                Technique::ConditionalProbe,
                match () {
                    () if reads_nothing(link) => 5,
                    () if query_of(link).is_some_and(is_wide) => 4,
                    () if query_of(link).and_then(gives).is_some_and(is_piece) => 5,
                    () => 2,
                },
            );
        }
        Some(NodeEnum::FuncCall(call)) => {
            let name = last_name(&call.funcname).unwrap_or_default();
            if PIECES.contains(&name) && call.args.iter().any(|arg| holds_query(arg, MAX_DEPTH)) {
                found.add_on_tables(Technique::ConditionalProbe, 5);
            } else if is_character(call)
                || (matches!(name, "ascii" | "ord" | "unicode") && call.args.iter().any(is_piece))
            {
                found.add_on_tables(Technique::ConditionalProbe, 3);
            }
        }
        Some(NodeEnum::TypeCast(_)) if holds_query(side, MAX_DEPTH) => {
            found.add_on_tables(Technique::ConditionalProbe, 3);
        }
        _ => {}
    }
}

fn is_piece(node: &Node) -> bool {
    matches!(&node.node, Some(NodeEnum::FuncCall(call)) if is_character(call))
}

/// One character of a text, at a place that the statement names.
fn is_character(call: &pb::FuncCall) -> bool {
    let [_, place, length] = call.args.as_slice() else { return false };
    last_name(&call.funcname).is_some_and(|name| matches!(name, "substr" | "substring" | "mid"))
        && same::is_literal(place)
        && constant::number(length) == Some(1.0)
}

/// A query in an expression, or what the server says about itself and its user.
pub(super) fn is_query(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::SubLink(link)) => link.sub_link_type() == SubLinkType::ExprSublink,
        Some(NodeEnum::SqlvalueFunction(_)) => true,
        Some(NodeEnum::FuncCall(call)) => last_name(&call.funcname).is_some_and(|name| {
            matches!(name, "version" | "current_database" | "current_setting" | "getpgusername" | "inet_server_addr")
        }),
        _ => false,
    }
}

/// Whether one stands within casts, operators and functions.
fn holds_query(node: &Node, depth: u8) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    if is_query(node) {
        return true;
    }
    let one = |node: Option<&Node>| node.is_some_and(|node| holds_query(node, depth));
    match &node.node {
        Some(NodeEnum::TypeCast(cast)) => one(cast.arg.as_deref()),
        Some(NodeEnum::AExpr(e)) => one(e.lexpr.as_deref()) || one(e.rexpr.as_deref()),
        Some(NodeEnum::FuncCall(call)) => call.args.iter().any(|arg| holds_query(arg, depth)),
        Some(NodeEnum::CoalesceExpr(e)) => e.args.iter().any(|arg| holds_query(arg, depth)),
        _ => false,
    }
}

/// A sub-query that reads no relation: `(SELECT CASE WHEN …)`, `(SELECT 0)`.
pub(super) fn reads_nothing(link: &pb::SubLink) -> bool {
    query_of(link).is_some_and(|select| select.op() == SetOperation::SetopNone && select.from_clause.is_empty())
}

fn query_of(link: &pb::SubLink) -> Option<&pb::SelectStmt> {
    match link.subselect.as_deref()?.node.as_ref()? {
        NodeEnum::SelectStmt(select) => Some(select),
        _ => None,
    }
}

/// A sub-query in an expression.
pub(super) fn sub_query(link: &pb::SubLink, found: &mut Found<'_>) {
    let Some(select) = query_of(link) else { return };
    if link.sub_link_type() != SubLinkType::ExistsSublink && asks_nothing(select) {
        // `(SELECT)`: what a tool leaves where it had nothing to put in.
        found.add_on_tables(Technique::ConditionalProbe, 4);
    }
    if link.sub_link_type() != SubLinkType::ExprSublink {
        return;
    }
    // Two rows of constants where one value must stand: the server's error is the answer.
    if select.op() != SetOperation::SetopNone && arms_read_nothing(select) {
        found.add_on_relations(Technique::ErrorForcing, 5);
    }
    // `(SELECT ascii(password) FROM users LIMIT 1)`
    if gives(select).is_some_and(is_code) {
        found.add_on_tables(Technique::ConditionalProbe, 3);
    }
    if select.from_clause.is_empty() && select.op() == SetOperation::SetopNone {
        let value = gives(select);
        if let Some(NodeEnum::CaseExpr(_)) = value.and_then(|value| value.node.as_ref()) {
            found.add_on_tables(Technique::ConditionalProbe, 5);
        }
        if value.is_some_and(same::is_literal) && select.where_clause.is_some() {
            found.add_on_tables(Technique::ConditionalProbe, 5);
        }
    }
}

/// The one value that a query gives.
fn gives(select: &pb::SelectStmt) -> Option<&Node> {
    let [target] = select.target_list.as_slice() else { return None };
    match &target.node {
        Some(NodeEnum::ResTarget(target)) => target.val.as_deref(),
        _ => None,
    }
}

/// `ascii(…)`: a character as a number.
fn is_code(node: &Node) -> bool {
    matches!(&node.node, Some(NodeEnum::FuncCall(call))
        if last_name(&call.funcname).is_some_and(|name| matches!(name, "ascii" | "ord" | "unicode")))
}

fn asks_nothing(select: &pb::SelectStmt) -> bool {
    select.op() == SetOperation::SetopNone
        && select.target_list.is_empty()
        && select.from_clause.is_empty()
        && select.values_lists.is_empty()
}

fn arms_read_nothing(select: &pb::SelectStmt) -> bool {
    [&select.larg, &select.rarg]
        .into_iter()
        .all(|arm| arm.as_deref().is_some_and(|arm| arm.op() == SetOperation::SetopNone && arm.from_clause.is_empty()))
}

/// `1/0`, `1/(SELECT …)` of nothing, `1/(CASE WHEN … THEN 0 ELSE 1 END)`.
fn fails_to_divide(by: &Node) -> bool {
    match &by.node {
        Some(NodeEnum::SubLink(link)) => reads_nothing(link),
        Some(NodeEnum::CaseExpr(case)) => {
            let results = case.args.iter().filter_map(|when| match &when.node {
                Some(NodeEnum::CaseWhen(when)) => when.result.as_deref(),
                _ => None,
            });
            results.chain(case.defresult.as_deref()).all(same::is_literal)
        }
        _ => constant::number(by) == Some(0.0),
    }
}

/// A cast.
pub(super) fn cast(cast: &pb::TypeCast, found: &mut Found<'_>) {
    let Some(arg) = cast.arg.as_deref() else { return };
    let number = same::cast_to(cast).is_some_and(|name| {
        matches!(name, "int2" | "int4" | "int8" | "numeric" | "float4" | "float8" | "money" | "oid")
    });
    if number {
        let weight = never_a_number(arg, MAX_DEPTH);
        found.add_on_relations(Technique::ErrorForcing, weight);
    }
}

/// How surely it is that a text is no number, so that the server's error shows it.
fn never_a_number(node: &Node, depth: u8) -> u8 {
    let Some(depth) = depth.checked_sub(1) else { return 0 };
    match &node.node {
        Some(NodeEnum::AConst(_)) => same::text(node).map_or(0, |text| if same::is_number(text) { 0 } else { 5 }),
        Some(NodeEnum::AExpr(e)) if last_name(&e.name) == Some("||") => {
            let sides = [e.lexpr.as_deref(), e.rexpr.as_deref()];
            let heaviest = sides.into_iter().flatten().map(|side| never_a_number(side, depth)).max().unwrap_or(0);
            heaviest.max(if sides.into_iter().flatten().any(is_query) { 4 } else { 0 })
        }
        Some(NodeEnum::SqlvalueFunction(value)) => {
            use pb::SqlValueFunctionOp as Op;
            let text = matches!(
                value.op(),
                Op::SvfopCurrentRole
                    | Op::SvfopCurrentUser
                    | Op::SvfopUser
                    | Op::SvfopSessionUser
                    | Op::SvfopCurrentCatalog
                    | Op::SvfopCurrentSchema
            );
            if text { 5 } else { 0 }
        }
        Some(NodeEnum::FuncCall(call)) => match last_name(&call.funcname) {
            Some(
                "version" | "current_database" | "getpgusername" | "current_user" | "current_schema"
                | "inet_server_addr",
            ) => 5,
            Some(name) if name.contains("_to_xml") => 5,
            Some("chr") => 4,
            Some("concat" | "concat_ws" | "lower" | "upper" | "string_agg" | "array_to_string" | "format") => {
                call.args.iter().map(|arg| never_a_number(arg, depth)).max().unwrap_or(0)
            }
            _ => 0,
        },
        // A cast to another type makes something else of it: `'pg_class'::regclass::oid`.
        Some(NodeEnum::TypeCast(cast)) => match same::cast_to(cast) {
            Some("text" | "varchar" | "bpchar" | "name") => {
                cast.arg.as_deref().map_or(0, |arg| never_a_number(arg, depth))
            }
            _ => 0,
        },
        Some(NodeEnum::CoalesceExpr(e)) => e.args.first().map_or(0, |arg| never_a_number(arg, depth)),
        Some(NodeEnum::SubLink(link)) => {
            let Some(select) = query_of(link) else { return 0 };
            let target = gives(select);
            let inside = target.map_or(0, |target| never_a_number(target, depth));
            inside.max(match () {
                () if is_wide(select) => 5,
                () if reads_nothing(link) && !target.is_some_and(same::is_literal) => 4,
                () => 0,
            })
        }
        _ => 0,
    }
}

/// Whether a query gives several columns, or a star, which are no value.
fn is_wide(select: &pb::SelectStmt) -> bool {
    let [target] = select.target_list.as_slice() else { return select.op() == SetOperation::SetopNone };
    let Some(NodeEnum::ResTarget(target)) = &target.node else { return false };
    matches!(target.val.as_deref().and_then(|value| value.node.as_ref()), Some(NodeEnum::ColumnRef(c))
        if c.fields.last().is_some_and(|field| matches!(field.node, Some(NodeEnum::AStar(_)))))
}

/// Whether a condition compares what a sub-query gives with a literal, or is one that reads nothing.
pub(super) fn asks_a_query(condition: &Node) -> bool {
    match &condition.node {
        Some(NodeEnum::SubLink(link)) => link.sub_link_type() == SubLinkType::ExprSublink && reads_nothing(link),
        Some(NodeEnum::AExpr(e)) if same::compares(e) => {
            let sides = [e.lexpr.as_deref(), e.rexpr.as_deref()];
            sides.into_iter().flatten().any(|side| holds_query(side, MAX_DEPTH))
                && sides.into_iter().flatten().any(same::is_literal)
        }
        _ => false,
    }
}

/// A sub-query that depends on no row around it: it has no condition at all.
pub(super) fn asks_for_no_row(link: &pb::SubLink) -> bool {
    let plain = |select: &pb::SelectStmt| {
        select.op() == SetOperation::SetopNone
            && select.where_clause.is_none()
            && matches!(select.from_clause.as_slice(), [Node { node: Some(NodeEnum::RangeVar(_)) }])
    };
    query_of(link).is_some_and(plain)
}

/// A function that gives rows, with a choice in its arguments: `generate_series(1, 1, CASE WHEN … THEN 1 ELSE 0 END)` fails or
/// not, as the condition says.
pub(super) fn call(call: &pb::FuncCall, found: &mut Found<'_>) {
    let name = last_name(&call.funcname).unwrap_or_default();
    // A piece of a literal, or of nothing: asked to see which database answers.
    let cuts = matches!(name, "substr" | "substring" | "mid" | "left" | "right" | "chr");
    if cuts && call.args.first().is_none_or(|arg| same::text(arg).is_some()) {
        found.add_on_tables(Technique::ConditionalProbe, 3);
    }
    if name == "concat" {
        strings::concat(call, found);
    }
    if name == "generate_series" && call.args.iter().any(|arg| matches!(&arg.node, Some(NodeEnum::CaseExpr(_)))) {
        found.add_on_relations(Technique::ErrorForcing, 5);
    }
}

/// Whether an expression may hold an aggregate outside its sub-queries: all but functions of one row are taken for one.
pub(super) fn may_aggregate(node: &Node) -> bool {
    let mut open = vec![node];
    let mut left = 1000;
    while let Some(node) = open.pop() {
        left -= 1;
        if left == 0 {
            return true;
        }
        match &node.node {
            Some(NodeEnum::FuncCall(call)) => {
                if !last_name(&call.funcname).is_some_and(|name| PIECES.contains(&name) || SCALAR.contains(&name)) {
                    return true;
                }
                open.extend(&call.args);
            }
            Some(NodeEnum::AExpr(e)) => open.extend([&e.lexpr, &e.rexpr].into_iter().flatten().map(|side| &**side)),
            Some(NodeEnum::BoolExpr(e)) => open.extend(&e.args),
            Some(NodeEnum::TypeCast(cast)) => open.extend(cast.arg.as_deref()),
            Some(NodeEnum::NullTest(test)) => open.extend(test.arg.as_deref()),
            Some(NodeEnum::List(list)) => open.extend(&list.items),
            Some(NodeEnum::SubLink(link)) => open.extend(link.testexpr.as_deref()),
            Some(NodeEnum::AConst(_) | NodeEnum::ColumnRef(_) | NodeEnum::SqlvalueFunction(_)) => {}
            _ => return true,
        }
    }
    false
}

/// What is cast.
pub(super) fn without_casts(mut node: &Node) -> &Node {
    for _ in 0..MAX_DEPTH {
        match &node.node {
            Some(NodeEnum::TypeCast(cast)) => node = cast.arg.as_deref().unwrap_or(node),
            _ => break,
        }
    }
    node
}

/// Whether a query depends on no row around it, as far as its names tell: it reads named tables alone, and no name in its
/// condition is qualified with another one.
pub(super) fn is_uncorrelated(link: &pb::SubLink) -> bool {
    let Some(select) = query_of(link).filter(|select| select.op() == SetOperation::SetopNone) else { return false };
    let mut own: Vec<&str> = Vec::new();
    for table in &select.from_clause {
        let Some(NodeEnum::RangeVar(table)) = &table.node else { return false };
        own.push(table.alias.as_ref().map_or(table.relname.as_str(), |alias| alias.aliasname.as_str()));
    }
    let Some(condition) = select.where_clause.as_deref().and_then(|condition| condition.node.as_ref()) else {
        return true;
    };
    let mut pending = vec![condition.to_ref()];
    while let Some(node) = pending.pop() {
        match node {
            NodeRef::ColumnRef(column) => {
                let qualifier = match column.fields.as_slice() {
                    [qualifier, _, ..] => string(qualifier),
                    _ => None,
                };
                if qualifier.is_some_and(|qualifier| !own.contains(&qualifier)) {
                    return false;
                }
            }
            // What stands deeper may reach past it.
            NodeRef::SubLink(_) => return false,
            _ => children(node, &mut |child| pending.push(child)),
        }
    }
    true
}

/// Whether a query's condition compares something with a literal.
pub(super) fn names_a_value(link: &pb::SubLink) -> bool {
    let condition = query_of(link).and_then(|select| select.where_clause.as_deref());
    let tests = match condition.map(|condition| &condition.node) {
        Some(Some(NodeEnum::BoolExpr(e))) => e.args.as_slice(),
        Some(Some(_)) => condition.map(std::slice::from_ref).unwrap_or_default(),
        Some(None) | None => &[],
    };
    tests.iter().any(|test| match &test.node {
        Some(NodeEnum::AExpr(e)) => same::compares(e) && e.rexpr.as_deref().is_some_and(same::is_literal),
        _ => false,
    })
}
