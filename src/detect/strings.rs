//! What texts put together tell: one that goes on behind the quote where a value ended.

use pg_query::NodeEnum;
use pg_query::protobuf::{self as pb, Node};

use super::constant::{self, last_name};
use super::expression::{asks_for_no_row, is_query, reads_nothing, without_casts};
use super::tree::{Found, In};
use super::{Technique, same};

/// As many parts as a text that an application puts together has.
const MOST: usize = 100;

/// A chain of `||`, as a whole. `stands.chain`: it is a part of one that was seen.
pub(super) fn joined(e: &pb::AExpr, stands: In, found: &mut Found<'_>) {
    if stands.chain {
        return;
    }
    let parts = parts(e);
    let literals = parts.iter().filter(|part| same::is_literal(part)).count();
    // `LIKE '%' || 'x' || '%'` is written by libraries and those who put their values into the text.
    let said = parts.iter().filter(|part| same::is_literal(part) && !is_wildcard(part)).count();
    let empty = |part: &&Node| same::text(part).is_some_and(str::is_empty);
    if literals == parts.len() && said > 1 {
        let numbers = parts.iter().filter(|part| same::text(part).is_none()).count();
        // `(2011 || '-12-31')` is what some ORMs make of a year; in a result it is a label.
        let alike = numbers == 0 || numbers == parts.len();
        found.add_on_tables(Technique::StringBuilding, if alike && !stands.result { 4 } else { 2 });
    }
    if literals > 0 && parts.iter().any(|part| is_query(part)) {
        let of_no_row = |part: &&Node| match &part.node {
            Some(NodeEnum::SubLink(link)) => reads_nothing(link) || asks_for_no_row(link),
            _ => false,
        };
        let weight = match () {
            () if parts.iter().any(empty) => 5,
            () if parts.iter().any(of_no_row) => 4,
            () => 2,
        };
        found.add_on_tables(Technique::StringBuilding, weight);
    }
    // `'x' || f() || ''`: the quotes that stood around a value.
    let of_data = |part: &&Node| matches!(&part.node, Some(NodeEnum::ColumnRef(_) | NodeEnum::ParamRef(_)));
    if parts.len() > 2
        && parts.first().is_some_and(|part| same::is_literal(part))
        && parts.last().is_some_and(empty)
        && !parts.iter().any(of_data)
    {
        found.add_on_tables(Technique::StringBuilding, 3);
    }
    if parts.iter().filter(|part| is_letter(part)).count() > 1 {
        found.add_on_relations(Technique::StringBuilding, 4);
    }
}

/// `= 'x' || … || 'y'`: a value that begins and ends as a literal, with more between.
pub(super) fn is_split_value(node: &Node) -> bool {
    let Some(NodeEnum::AExpr(e)) = &node.node else { return false };
    if !chain(e) {
        return false;
    }
    let parts = parts(e);
    let end = |part: Option<&&Node>| part.is_some_and(|part| same::text(part).is_some() && !is_wildcard(part));
    parts.len() > 2 && end(parts.first()) && end(parts.last())
}

/// An argument that begins as a literal and goes on.
pub(super) fn goes_on(arg: &Node) -> bool {
    let Some(NodeEnum::AExpr(e)) = &arg.node else { return false };
    chain(e) && parts(e).first().is_some_and(|part| same::text(part).is_some())
}

/// `concat('q', (SELECT …))`.
pub(super) fn concat(call: &pb::FuncCall, found: &mut Found<'_>) {
    if call.args.iter().any(same::is_literal) && call.args.iter().any(|arg| is_query(without_casts(arg))) {
        found.add_on_tables(Technique::StringBuilding, 4);
    }
}

/// Numbers and texts computed with each other (`'' - ''`, `'x' + 'herp'`, `3 - char_length('a')`).
pub(super) fn computed(name: &str, left: &Node, right: &Node, found: &mut Found<'_>) {
    // A text that is no number, date or length of time can't be computed with.
    let text = |node: &Node| same::text(node).is_some();
    let words = |node: &Node| same::text(node).is_some_and(|text| !text.contains(|c: char| c.is_ascii_digit()));
    let no_number = |node: &Node| same::text(node).is_some_and(|text| !same::is_number(text));
    let call = |node: &Node| match &node.node {
        Some(NodeEnum::FuncCall(call)) => !call.args.is_empty() && call.args.iter().all(same::is_literal),
        _ => false,
    };
    let weight = match () {
        () if matches!(name, "/" | "^") && (no_number(left) || no_number(right)) => 5,
        () if text(left) && (words(right) || is_query(right)) || text(right) && (words(left) || is_query(left)) => 5,
        () if same::is_literal(left) && call(right) || call(left) && same::is_literal(right) => 3,
        () => 0,
    };
    found.add_on_tables(Technique::StringBuilding, weight);
}

pub(super) fn chain(e: &pb::AExpr) -> bool {
    last_name(&e.name) == Some("||") && e.lexpr.is_some()
}

/// The parts of a chain: `a || b || c` is `(a || b) || c`.
fn parts(e: &pb::AExpr) -> Vec<&Node> {
    let mut parts = Vec::new();
    let mut rest = Some(e);
    while let Some(e) = rest.take() {
        parts.extend(e.rexpr.as_deref().map(without_casts));
        match e.lexpr.as_deref().map(without_casts) {
            Some(Node { node: Some(NodeEnum::AExpr(left)) }) if chain(left) && parts.len() < MOST => rest = Some(left),
            left => parts.extend(left),
        }
    }
    parts.reverse();
    parts
}

fn is_wildcard(node: &Node) -> bool {
    same::text(node).is_some_and(|text| !text.is_empty() && text.bytes().all(|b| matches!(b, b'%' | b'_')))
}

/// `chr(113)`: a letter that nobody should see. Line ends are written so, too.
fn is_letter(node: &Node) -> bool {
    let Some(NodeEnum::FuncCall(call)) = &node.node else { return false };
    last_name(&call.funcname).is_some_and(|name| matches!(name, "chr" | "char"))
        && call.args.first().and_then(constant::number).is_some_and(|code| code >= 32.0)
}
