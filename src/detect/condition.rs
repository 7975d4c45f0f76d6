//! What conditions tell: constants where data should decide, and values where a condition must stand.
//!
//! Builders of SQL write `1 = 1`, `1 = 0` and `true` where they have nothing to ask for, and an application that puts its
//! values into the text itself writes `('' = '' OR title = '')`: neither is a sign.

use pg_query::NodeEnum;
use pg_query::protobuf::{self as pb, AExprKind, BoolExprType, Node};

use super::constant::{self, Condition, last_name};
use super::expression::without_casts;
use super::same::{self, Comparison, Dataless};
use super::tree::{Found, In};
use super::{Technique, arms, expression};

/// How many tests beside AND are compared with each other.
const MOST_ARGS: usize = 32;

/// AND, OR and NOT.
pub(super) fn boolean(e: &pb::BoolExpr, stands: In, found: &mut Found<'_>) {
    // The server takes no number there, and no text that is no truth value.
    found.add(Technique::MisplacedValue, e.args.iter().map(no_condition).max().unwrap_or(0));
    if stands.values {
        return;
    }
    match e.boolop() {
        BoolExprType::OrExpr => or(e, stands.or.is_some(), found),
        BoolExprType::AndExpr => and(e, stands, found),
        BoolExprType::NotExpr | BoolExprType::Undefined => {}
    }
}

fn and(e: &pb::BoolExpr, stands: In, found: &mut Found<'_>) {
    if !stands.or.is_some_and(|or| is_optional_group(e, or, found)) {
        e.args.iter().filter_map(comparison_within_not).for_each(|c| found.compared(c));
    }
    if tests_again(&e.args) {
        found.add_on_tables(Technique::RedundantTest, 3);
    }
    for arg in e.args.iter().skip(1) {
        asks_elsewhere(arg, found);
        let known = comparison_within_not(arg).is_some() || constant::condition(arg).is_some();
        // Some ORMs ask whether a value is NULL, computed or not.
        let of_null = matches!(&arg.node, Some(NodeEnum::NullTest(_)));
        if !known && !of_null && same::dataless(arg) == Some(Dataless::Constant) {
            found.add_on_tables(Technique::ConstantCondition, 3);
        }
    }
}

/// `login = 'x' AND login <> ''`: what must equal a value is compared with another one, or with what a query gives, too.
fn tests_again(args: &[Node]) -> bool {
    let mut known: Vec<&Node> = Vec::new();
    for arg in args.iter().take(MOST_ARGS) {
        let Some(NodeEnum::AExpr(e)) = &arg.node else { continue };
        let (Some(left), Some(right)) = (e.lexpr.as_deref(), e.rexpr.as_deref()) else { continue };
        if !same::compares(e) || !matches!(&left.node, Some(NodeEnum::ColumnRef(_))) {
            continue;
        }
        let equals = e.kind() == AExprKind::AexprOp && last_name(&e.name) == Some("=");
        let query = matches!(&right.node, Some(NodeEnum::SubLink(_)));
        // ORMs ask for two equal values, one after the other.
        if ((same::is_literal(right) && !equals) || query) && known.iter().any(|column| same::are_alike(column, left)) {
            return true;
        }
        if equals && same::is_literal(right) {
            known.push(left);
        }
    }
    false
}

/// A test, not the first one, that has nothing to do with the row: whether another table has a row with some value.
fn asks_elsewhere(arg: &Node, found: &mut Found<'_>) {
    let link = match &arg.node {
        Some(NodeEnum::SubLink(link)) if link.sub_link_type() == pb::SubLinkType::ExistsSublink => link,
        Some(NodeEnum::AExpr(e)) if same::compares(e) => {
            let sides = [(e.lexpr.as_deref(), e.rexpr.as_deref()), (e.rexpr.as_deref(), e.lexpr.as_deref())];
            let asked = sides.into_iter().find_map(|(side, other)| match (side.map(|s| &s.node), other) {
                (Some(Some(NodeEnum::SubLink(link))), Some(other)) if same::is_literal(other) => Some(link),
                _ => None,
            });
            match asked {
                Some(link) => link,
                None => return,
            }
        }
        _ => return,
    };
    if expression::is_uncorrelated(link) && expression::names_a_value(link) {
        found.add_on_tables(Technique::ConditionalProbe, 3);
    }
}

fn or(e: &pb::BoolExpr, within_or: bool, found: &mut Found<'_>) {
    // What an ORM writes for "in none of an empty list".
    if let [first, second] = e.args.as_slice()
        && is_not_in_null(first)
        && same::comparison(second) == Some(Comparison::Trivial)
    {
        return;
    }
    let mut constant = 0;
    let mut behind_literal = false;
    for (place, arm) in e.args.iter().enumerate() {
        let mut weight = constant_arm(arm, e.location, found).unwrap_or(0);
        if place == 0 && !within_or {
            // `('' = '' OR title = '')`, `(NULL IS NULL OR id = NULL)`: an optional filter whose value was put into the text. There the
            // constant comes first; what is injected comes behind.
            weight = weight.min(2);
        }
        // One such arm may be a remainder of a builder's; two are what closes the quotes of an injection.
        constant += u8::from(weight > 2);
        weight = if constant > 1 { weight.max(5) } else { weight };
        found.add_on_tables(Technique::ConstantTrue, weight);
        if place > 0 {
            asks_elsewhere(arm, found);
        }
        // AND binds closer: what was injected stands in front of it.
        let first = match &arm.node {
            Some(NodeEnum::BoolExpr(and)) if and.boolop() == BoolExprType::AndExpr => and.args.first().unwrap_or(arm),
            _ => arm,
        };
        if weight == 0 && behind_literal {
            if admits_every_row(first) && !is_empty_search(first, e.args.get(..place).unwrap_or_default()) {
                found.add_on_tables(Technique::ConstantTrue, 3);
            }
            if let Some(NodeEnum::BoolExpr(and)) = &arm.node
                && and.boolop() == BoolExprType::AndExpr
                && !found.parenthesised(e.location, and.location)
            {
                found.add_on_tables(Technique::UnguardedOr, 3);
            }
        }
        behind_literal |= equals_literal(arm);
    }
}

/// `id NOT IN (NULL)`.
fn is_not_in_null(node: &Node) -> bool {
    let in_null = |e: &pb::AExpr| match e.rexpr.as_deref().map(|list| &list.node) {
        Some(Some(NodeEnum::List(list))) => {
            matches!(list.items.as_slice(), [Node { node: Some(NodeEnum::AConst(constant)) }] if constant.isnull)
        }
        _ => false,
    };
    matches!(&node.node, Some(NodeEnum::AExpr(e)) if e.kind() == AExprKind::AexprIn && in_null(e))
}

/// The weight of an arm of an OR that does not depend on data: the same whether it holds or not, but for what builders write.
fn constant_arm(arm: &Node, or: i32, found: &Found<'_>) -> Option<u8> {
    // `x OR 1=1 AND password = …`: AND binds closer, so the constant stands one level below.
    if let Some(NodeEnum::BoolExpr(and)) = &arm.node
        && and.boolop() == BoolExprType::AndExpr
        && let Some(weight) = and.args.iter().filter_map(constant_beside_and).max()
    {
        return Some(if is_optional_group(and, or, found) { weight.min(2) } else { weight });
    }
    Some(match (comparison_within_not(arm), constant::condition(arm)) {
        (Some(Comparison::Alike | Comparison::AlikeColumns | Comparison::Constants), _) => 5,
        (_, Some(Condition::Holds)) => 5,
        (Some(Comparison::Calls), _) => 4,
        (_, Some(Condition::Literal)) => 3,
        // `OR 1 = 0`, for an empty list.
        (_, Some(Condition::Fails)) => 1,
        (Some(Comparison::Trivial), None) => return None,
        (None, None) => match same::dataless(arm)? {
            Dataless::Constant => 5,
            Dataless::Calls => 3,
        },
    })
}

/// `OR ('x' = '' AND parent IS NULL)`: an optional filter, too, in parentheses of its own.
fn is_optional_group(and: &pb::BoolExpr, or: i32, found: &Found<'_>) -> bool {
    let Some((first, rest)) = and.args.split_first() else { return false };
    let constant = |arg: &Node| comparison_within_not(arg).is_some() || constant::condition(arg).is_some();
    constant(first) && !rest.iter().any(constant) && found.parenthesised(or, and.location)
}

fn constant_beside_and(arg: &Node) -> Option<u8> {
    match (comparison_within_not(arg), constant::condition(arg)) {
        (Some(Comparison::Alike | Comparison::Constants), _) | (_, Some(Condition::Holds)) => Some(5),
        (_, Some(Condition::Literal)) => Some(3),
        (_, Some(Condition::Fails) | None) => None,
    }
}

fn comparison_within_not(node: &Node) -> Option<Comparison> {
    match &node.node {
        Some(NodeEnum::BoolExpr(not)) if not.boolop() == BoolExprType::NotExpr => {
            not.args.first().and_then(same::comparison)
        }
        _ => same::comparison(node),
    }
}

/// `name IS NOT NULL`, `name LIKE '%'`, `length(name) > 0`: true of every row that has a value.
fn admits_every_row(arm: &Node) -> bool {
    match &arm.node {
        Some(NodeEnum::NullTest(test)) => {
            test.nulltesttype() == pb::NullTestType::IsNotNull
                && matches!(test.arg.as_deref().and_then(|a| a.node.as_ref()), Some(NodeEnum::ColumnRef(_)))
        }
        Some(NodeEnum::AExpr(e)) if e.kind() == AExprKind::AexprOp => {
            let length = matches!(e.lexpr.as_deref().map(|left| &left.node), Some(Some(NodeEnum::FuncCall(call)))
                if last_name(&call.funcname).is_some_and(|name| name.ends_with("length")));
            length
                && matches!(last_name(&e.name), Some(">" | ">="))
                && e.rexpr.as_deref().and_then(constant::number).is_some_and(|number| number <= 0.0)
        }
        Some(NodeEnum::AExpr(e)) => {
            matches!(e.kind(), AExprKind::AexprLike | AExprKind::AexprIlike)
                && last_name(&e.name).is_some_and(|name| !name.starts_with('!'))
                && matches!(pattern(arm), Some("%" | "%%"))
        }
        _ => false,
    }
}

/// What LIKE compares with.
fn pattern(arm: &Node) -> Option<&str> {
    match &arm.node {
        Some(NodeEnum::AExpr(e)) if matches!(e.kind(), AExprKind::AexprLike | AExprKind::AexprIlike) => {
            same::text(e.rexpr.as_deref()?)
        }
        _ => None,
    }
}

/// `name = '' OR mail LIKE '%%'`: an application looks for nothing. Beside another pattern it looks for something.
fn is_empty_search(arm: &Node, before: &[Node]) -> bool {
    pattern(arm) == Some("%%") && !before.iter().filter_map(pattern).any(|other| other != "%%")
}

/// `name = 'x'`, `name LIKE '%x'`: what an application asks for, with a value in the text.
fn equals_literal(arm: &Node) -> bool {
    let Some(NodeEnum::AExpr(e)) = &arm.node else { return false };
    let equals = match e.kind() {
        AExprKind::AexprLike | AExprKind::AexprIlike => true,
        _ => last_name(&e.name) == Some("="),
    };
    equals && same::compares(e) && e.rexpr.as_deref().is_some_and(same::is_literal)
}

/// How surely it is that a value is no condition, by its form.
fn no_condition(node: &Node) -> u8 {
    use pb::a_const::Val;
    match &node.node {
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(Val::Ival(_) | Val::Fval(_)) => 5,
            Some(Val::Sval(text)) => match text.sval.trim() {
                "true" | "false" | "t" | "f" => 0,
                // The server takes them; nobody writes them.
                text if crate::sql::settings::parse_bool(text).is_some() => 3,
                _ => 5,
            },
            Some(Val::Boolval(_) | Val::Bsval(_)) | None => 0,
        },
        Some(NodeEnum::AExpr(e)) => {
            let computes = e.kind() == AExprKind::AexprOp
                && last_name(&e.name)
                    .is_some_and(|name| matches!(name, "+" | "-" | "*" | "/" | "%" | "||" | "#" | "^"));
            if computes { 5 } else { 0 }
        }
        _ => 0,
    }
}

/// An operator between two sides.
pub(super) fn operator(e: &pb::AExpr, stands: In, found: &mut Found<'_>) {
    let sides = [e.lexpr.as_deref(), e.rexpr.as_deref()];
    if same::compares(e) {
        // `name = ('' LIKE '%')`, `(title LIKE '%x') IS DISTINCT FROM 'y'`.
        for (side, other) in [(sides[0], sides[1]), (sides[1], sides[0])] {
            let (Some(side), Some(other)) = (side, other) else { continue };
            let constant = same::comparison(side).is_some_and(|c| c != Comparison::Trivial);
            if constant || (same::is_condition(side) && no_condition(other) > 0) {
                found.add_on_tables(Technique::MisplacedValue, 5);
            }
        }
        if e.kind() == AExprKind::AexprIn
            && let Some(NodeEnum::List(list)) = sides[1].and_then(|right| right.node.as_ref())
            && list.items.iter().any(same::is_condition)
        {
            found.add(Technique::MisplacedValue, 5);
        }
    }
    expression::operator(e, stands, found);
}

/// A CASE whose choice does not depend on data, or on those of one row elsewhere alone.
pub(super) fn case(e: &pb::CaseExpr, stands: In, found: &mut Found<'_>) {
    if e.arg.is_some() || stands.values {
        return;
    }
    for when in &e.args {
        let Some(NodeEnum::CaseWhen(when)) = &when.node else { continue };
        match when.expr.as_deref().and_then(same::comparison) {
            Some(Comparison::Alike | Comparison::Constants) => {
                // `CASE WHEN 'price' = 'name' THEN …` sorts by what the user chose.
                let texts = matches!(when.expr.as_deref().map(|e| &e.node), Some(Some(NodeEnum::AExpr(e)))
                    if e.lexpr.as_deref().is_some_and(|left| same::text(left).is_some()));
                found.add_on_tables(Technique::ConstantCondition, if texts { 3 } else { 5 });
            }
            Some(Comparison::Calls) => found.add_on_tables(Technique::ConstantCondition, 3),
            Some(Comparison::Trivial) => found.add_on_tables(Technique::ConstantCondition, 1),
            Some(Comparison::AlikeColumns) => {}
            None if when.expr.as_deref().is_some_and(expression::asks_a_query) => {
                let results = [when.result.as_deref(), e.defresult.as_deref()];
                let literal =
                    results.into_iter().flatten().all(|result| matches!(&result.node, Some(NodeEnum::AConst(_))));
                let bare = matches!(when.expr.as_deref().map(|e| &e.node), Some(Some(NodeEnum::SubLink(_))));
                let weight = match (literal, bare) {
                    (true, _) => 4,
                    (false, true) => 3,
                    (false, false) => 1,
                };
                found.add_on_tables(Technique::ConditionalProbe, weight);
            }
            None => {}
        }
    }
}

/// What stands in the clauses of a query.
pub(super) fn clauses(select: &pb::SelectStmt, stands: In, found: &mut Found<'_>) {
    if stands.values {
        return;
    }
    if let Some(having) = select.having_clause.as_deref() {
        let weight = match (same::comparison(having), constant::condition(having)) {
            // ORMs compare an aggregate with itself.
            (Some(Comparison::AlikeColumns), _) => 0,
            (Some(_), _) | (None, Some(Condition::Holds | Condition::Fails)) => 5,
            (None, _) if select.group_clause.is_empty() && !expression::may_aggregate(having) => 4,
            (None, _) => 0,
        };
        found.add_on_tables(Technique::ConstantCondition, weight);
    }
    if let Some(Comparison::Alike | Comparison::Constants) = select.where_clause.as_deref().and_then(same::comparison) {
        // Alone it is an ORM's filter on a value; without a table there is nothing to filter.
        found.add_on_tables(Technique::ConstantCondition, if select.from_clause.is_empty() { 4 } else { 1 });
    }
    for limit in [&select.limit_count, &select.limit_offset].into_iter().flatten() {
        limited(limit, found);
    }
    let width = if select.sort_clause.is_empty() { None } else { width(select) };
    for sort in &select.sort_clause {
        if let Some(NodeEnum::SortBy(sort)) = &sort.node
            && let Some(key) = sort.node.as_deref()
        {
            sorted(key, width, found);
        }
    }
    for row in &select.values_lists {
        if let Some(NodeEnum::List(row)) = &row.node {
            row.items.iter().for_each(|value| stored(value, found));
        }
    }
    results(select, found);
}

/// What a query gives.
fn results(select: &pb::SelectStmt, found: &mut Found<'_>) {
    let values = select.target_list.iter().filter_map(|target| match &target.node {
        Some(NodeEnum::ResTarget(target)) => target.val.as_deref(),
        _ => None,
    });
    // Some ORMs ask `40 > 30 AS name`.
    let equal = |value: &Node| match &value.node {
        Some(NodeEnum::AExpr(e)) => {
            last_name(&e.name) == Some("=")
                && constant::condition(value) == Some(Condition::Holds)
                && same::comparison(value) != Some(Comparison::Trivial)
        }
        _ => false,
    };
    if values.clone().any(equal) {
        found.add_on_tables(Technique::ConstantCondition, 3);
    }
    // `SELECT 'x' FROM t` is how some ask whether there is a row.
    let spoken = |value: &Node| {
        same::text(value)
            .is_some_and(|text| text.contains(|c: char| c.is_ascii_punctuation() && !matches!(c, '-' | '_' | '.')))
    };
    if select.values_lists.is_empty()
        && !select.from_clause.is_empty()
        && values.clone().count() > 0
        && values.clone().all(spoken)
    {
        found.add_on_tables(Technique::MisplacedValue, 3);
    }
}

/// What LIMIT or OFFSET takes: a number, computed at most.
fn limited(node: &Node, found: &mut Found<'_>) {
    let weight = match &node.node {
        // The server refuses both.
        _ if same::is_condition(node) => 5,
        Some(NodeEnum::ColumnRef(_)) => 4,
        _ if same::is_unknown_call(node) => 3,
        Some(NodeEnum::SubLink(_) | NodeEnum::CaseExpr(_)) => 4,
        Some(NodeEnum::AExpr(e)) => {
            let sides = [e.lexpr.as_deref(), e.rexpr.as_deref()];
            let computed = e.lexpr.is_some() && sides.into_iter().flatten().all(same::is_literal);
            for side in sides.into_iter().flatten() {
                // Deeper than its first level nothing is looked for.
                if !matches!(&side.node, Some(NodeEnum::AExpr(_) | NodeEnum::FuncCall(_))) {
                    limited(side, found);
                }
            }
            if computed { 3 } else { 0 }
        }
        Some(NodeEnum::FuncCall(call))
            if call.args.iter().any(|arg| matches!(&arg.node, Some(NodeEnum::ColumnRef(_)))) =>
        {
            4
        }
        _ => 0,
    };
    found.add(Technique::ClauseProbe, weight);
}

/// How many columns a query gives, where no star hides it.
fn width(select: &pb::SelectStmt) -> Option<f64> {
    let width = arms::width(select).filter(|width| *width > 0)?;
    Some(f64::from(u32::try_from(width).ok()?))
}

/// What ORDER BY takes: a column or an expression of columns.
fn sorted(node: &Node, width: Option<f64>, found: &mut Found<'_>) {
    match &without_casts(node).node {
        // The server refuses it: someone counts the columns.
        Some(NodeEnum::AConst(_)) if constant::number(node).zip(width).is_some_and(|(n, width)| n > width) => {
            found.add_on_tables(Technique::ClauseProbe, 5)
        }
        // The server refuses it.
        Some(NodeEnum::AConst(_)) if same::text(node).is_some() => found.add_on_tables(Technique::ClauseProbe, 5),
        Some(NodeEnum::BoolExpr(_)) => found.add_on_tables(Technique::ClauseProbe, 3),
        _ if same::is_unknown_call(node) => found.add_on_tables(Technique::ClauseProbe, 3),
        // It is the same for every row.
        Some(NodeEnum::SubLink(link)) if expression::reads_nothing(link) || expression::asks_for_no_row(link) => {
            found.add_on_tables(Technique::ClauseProbe, 4)
        }
        _ if same::comparison(node).is_some() => found.add_on_tables(Technique::ClauseProbe, 5),
        _ => {}
    }
}

/// What a column of a table or of a result is given: a comparison of constants has no place there.
pub(super) fn stored(value: &Node, found: &mut Found<'_>) {
    match same::comparison(value) {
        Some(Comparison::Alike | Comparison::Constants) => found.add_on_tables(Technique::ConstantCondition, 4),
        Some(Comparison::AlikeColumns | Comparison::Calls) => found.add_on_tables(Technique::ConstantCondition, 3),
        Some(Comparison::Trivial) | None => {}
    }
}

/// What functions are given: likewise.
pub(super) fn arguments(call: &pb::FuncCall, found: &mut Found<'_>) {
    call.args.iter().for_each(|arg| stored(arg, found));
}
