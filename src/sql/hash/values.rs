//! Which constants of a statement are plain values: another one in its place changes neither what the statement is about nor
//! what it does. Everything else counts, so that what nobody thought of counts too.
//!
//! Plain values stand in SELECT, INSERT, UPDATE, DELETE and MERGE (also inside EXPLAIN, PREPARE, DECLARE and COPY) and in the
//! arguments of EXECUTE, where they are compared or computed with something that is no constant, assigned to a column,
//! given as LIMIT or OFFSET, results of a CASE, or arguments of a user's function (a text there may be anything: see
//! [`Values::texts_to_functions`]). Not in `1 = 1`, not in a select list, not
//! as the key of a JSON operator (`data->>'ssn'` names what is read), not as the argument of a built-in, which may name a
//! setting, a sequence, a file or a query (a few that only compute apart), not as `'name'::regclass`.

use std::collections::HashMap;

use pg_query::protobuf::{self as pb, AExprKind, ParseResult};
use pg_query::{Node, NodeEnum, NodeRef};

use crate::sql::children::children;
use crate::sql::functions::builtin;

/// How a plain value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Alone,
    /// One of a list, in which any number of them is one.
    Listed,
}

/// The plain values of a tree, by the byte at which they begin in the text.
#[derive(Debug, Default)]
pub(super) struct Values {
    places: HashMap<usize, Place>,
    /// Those that are given as LIMIT or OFFSET, and `true` and `false`.
    bounds: usize,
    /// A text among the arguments of a user's function.
    pub texts_to_functions: bool,
    /// Inside what names something: the key of a JSON operator, an argument of a built-in. Nothing there is a plain value.
    naming: u32,
}

/// Built-ins whose constant arguments are values like any other.
const COMPUTING: [&str; 15] = [
    "lower",
    "upper",
    "btrim",
    "ltrim",
    "rtrim",
    "concat",
    "concat_ws",
    "to_date",
    "to_timestamp",
    "to_tsquery",
    "plainto_tsquery",
    "phraseto_tsquery",
    "websearch_to_tsquery",
    "make_date",
    // How Django and others insert many rows.
    "unnest",
];

/// Operators whose right side names a part of the left one.
const KEYS: [&str; 12] = ["->", "->>", "#>", "#>>", "#-", "?", "?|", "?&", "@?", "@@", "@>", "<@"];

impl Values {
    pub fn of(tree: &ParseResult) -> Values {
        let mut values = Values::default();
        for statement in tree.stmts.iter().filter_map(|raw| raw.stmt.as_ref()?.node.as_ref()) {
            values.statement(statement);
        }
        values
    }

    pub fn at(&self, byte: usize) -> Option<Place> {
        self.places.get(&byte).copied()
    }

    /// Whether there are others than LIMIT, OFFSET, `true` and `false`.
    pub fn are_of_data(&self) -> bool {
        self.places.len() > self.bounds
    }

    fn statement(&mut self, node: &NodeEnum) {
        let inner = match node {
            NodeEnum::SelectStmt(_)
            | NodeEnum::InsertStmt(_)
            | NodeEnum::UpdateStmt(_)
            | NodeEnum::DeleteStmt(_)
            | NodeEnum::MergeStmt(_)
            | NodeEnum::ExecuteStmt(_) => {
                self.visit(node.to_ref());
                return;
            }
            NodeEnum::ExplainStmt(n) => &n.query,
            NodeEnum::PrepareStmt(n) => &n.query,
            NodeEnum::DeclareCursorStmt(n) => &n.query,
            NodeEnum::CopyStmt(n) => &n.query,
            _ => return,
        };
        if let Some(inner) = inner.as_deref().and_then(|inner| inner.node.as_ref()) {
            self.statement(inner);
        }
    }

    /// Looks for values below a node; true where nothing below it depends on anything but constants.
    fn visit(&mut self, node: NodeRef<'_>) -> bool {
        match node {
            NodeRef::AExpr(n) => self.operator(n),
            NodeRef::AConst(_) => true,
            NodeRef::FuncCall(n) => {
                let naming = u32::from(names_something(n));
                self.naming += naming;
                self.below(node);
                self.naming -= naming;
                if takes_values(n) {
                    if is_of_user(n) {
                        self.texts_to_functions |= n.args.iter().any(holds_text);
                    }
                    n.args.iter().for_each(|arg| self.value(arg, Place::Alone));
                }
                false
            }
            NodeRef::CoalesceExpr(n) => self.arguments(node, &n.args),
            NodeRef::MinMaxExpr(n) => self.arguments(node, &n.args),
            NodeRef::CaseExpr(n) => {
                let constant = self.below(node);
                let over_data = n.arg.is_some();
                for when in &n.args {
                    if let Some(NodeEnum::CaseWhen(when)) = &when.node {
                        if over_data {
                            self.given(&when.expr);
                        }
                        self.given(&when.result);
                    }
                }
                self.given(&n.defresult);
                constant
            }
            NodeRef::InsertStmt(n) => {
                self.below(node);
                if let Some(NodeEnum::SelectStmt(select)) = n.select_stmt.as_ref().and_then(|s| s.node.as_ref()) {
                    self.rows(select);
                }
                false
            }
            NodeRef::RangeSubselect(n) => {
                self.below(node);
                if let Some(NodeEnum::SelectStmt(select)) = n.subquery.as_ref().and_then(|s| s.node.as_ref()) {
                    self.rows(select);
                }
                false
            }
            NodeRef::UpdateStmt(n) => self.assignments(node, &n.target_list),
            NodeRef::OnConflictClause(n) => self.assignments(node, &n.target_list),
            NodeRef::MergeWhenClause(n) => {
                n.values.iter().for_each(|value| self.value(value, Place::Alone));
                self.assignments(node, &n.target_list)
            }
            NodeRef::ExecuteStmt(n) => {
                self.below(node);
                n.params.iter().for_each(|value| self.value(value, Place::Alone));
                false
            }
            NodeRef::SelectStmt(n) => {
                self.below(node);
                let before = self.places.len();
                self.given(&n.limit_count);
                self.given(&n.limit_offset);
                self.bounds += self.places.len() - before;
                false
            }
            NodeRef::ColumnRef(_) | NodeRef::ParamRef(_) | NodeRef::SqlvalueFunction(_) | NodeRef::SetToDefault(_) => {
                false
            }
            other => self.below(other),
        }
    }

    /// True where all children are constant.
    fn below(&mut self, node: NodeRef<'_>) -> bool {
        let mut constant = true;
        children(node, &mut |child| constant &= self.visit(child));
        constant
    }

    fn operator(&mut self, n: &pb::AExpr) -> bool {
        let name = n.name.iter().rev().find_map(|part| match &part.node {
            Some(NodeEnum::String(part)) => Some(part.sval.as_str()),
            _ => None,
        });
        // `jsonb - 'key'` takes a key away, and so shows another one.
        let takes_key = name == Some("-") && n.rexpr.as_deref().is_some_and(names_keys);
        let keyed = takes_key || name.is_some_and(|name| KEYS.contains(&name));
        let left = self.side(&n.lexpr);
        self.naming += u32::from(keyed);
        let right = self.side(&n.rexpr);
        self.naming -= u32::from(keyed);
        if left == right || keyed {
            return left && right;
        }
        let listed = n.kind == AExprKind::AexprIn as i32;
        let place = if listed { Place::Listed } else { Place::Alone };
        for (constant, side) in [(left, &n.lexpr), (right, &n.rexpr)] {
            if constant && let Some(side) = side {
                self.value(side, place);
            }
        }
        false
    }

    fn side(&mut self, side: &Option<Box<Node>>) -> bool {
        side.as_deref().and_then(|side| side.node.as_ref()).is_none_or(|side| self.visit(side.to_ref()))
    }

    fn arguments(&mut self, node: NodeRef<'_>, args: &[Node]) -> bool {
        let constant = self.below(node);
        if !constant {
            args.iter().for_each(|arg| self.value(arg, Place::Alone));
        }
        constant
    }

    fn assignments(&mut self, node: NodeRef<'_>, targets: &[Node]) -> bool {
        self.below(node);
        for target in targets {
            if let Some(NodeEnum::ResTarget(target)) = &target.node {
                match target.val.as_ref().and_then(|val| val.node.as_ref()) {
                    Some(NodeEnum::MultiAssignRef(multi)) => self.given(&multi.source),
                    _ => self.given(&target.val),
                }
            }
        }
        false
    }

    fn rows(&mut self, select: &pb::SelectStmt) {
        select.values_lists.iter().for_each(|row| self.value(row, Place::Alone));
    }

    fn given(&mut self, node: &Option<Box<Node>>) {
        if let Some(node) = node {
            self.value(node, Place::Alone);
        }
    }

    /// The constants that a value consists of.
    fn value(&mut self, node: &Node, place: Place) {
        if self.naming > 0 {
            return;
        }
        match &node.node {
            Some(NodeEnum::AConst(constant)) if !constant.isnull => {
                if let Ok(byte) = usize::try_from(constant.location) {
                    let truth = matches!(constant.val, Some(pb::a_const::Val::Boolval(_)));
                    self.bounds += usize::from(truth && !self.places.contains_key(&byte));
                    // What is one of a list stays one.
                    let known = self.places.entry(byte).or_insert(place);
                    if place == Place::Listed {
                        *known = place;
                    }
                }
            }
            Some(NodeEnum::TypeCast(cast)) if !names_an_object(cast) => {
                if let Some(arg) = &cast.arg {
                    self.value(arg, place);
                }
            }
            Some(NodeEnum::CollateClause(collate)) => {
                if let Some(arg) = &collate.arg {
                    self.value(arg, place);
                }
            }
            Some(NodeEnum::NamedArgExpr(named)) => {
                if let Some(arg) = &named.arg {
                    self.value(arg, place);
                }
            }
            Some(NodeEnum::AArrayExpr(array)) => array.elements.iter().for_each(|e| self.value(e, Place::Listed)),
            Some(NodeEnum::List(list)) => list.items.iter().for_each(|item| self.value(item, place)),
            Some(NodeEnum::RowExpr(row)) => row.args.iter().for_each(|arg| self.value(arg, Place::Alone)),
            _ => {}
        }
    }
}

/// Built-ins in whose arguments constants may be computed with: they take no names.
const FOLDING: [&str; 16] = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "bool_and",
    "bool_or",
    "every",
    "abs",
    "round",
    "ceil",
    "ceiling",
    "floor",
    "date_trunc",
    "date_part",
    "extract",
];

fn function_name(call: &pb::FuncCall) -> Option<&str> {
    match call.funcname.last().and_then(|name| name.node.as_ref()) {
        Some(NodeEnum::String(name)) => Some(&name.sval),
        _ => None,
    }
}

/// Whether a built-in's arguments may name something, or be SQL.
fn names_something(call: &pb::FuncCall) -> bool {
    let Some(name) = function_name(call) else { return true };
    builtin(name).is_some() && !COMPUTING.contains(&name) && !FOLDING.contains(&name)
}

fn is_of_user(call: &pb::FuncCall) -> bool {
    function_name(call).is_none_or(|name| builtin(name).is_none())
}

/// Whether a text is written anywhere below an argument.
fn holds_text(node: &Node) -> bool {
    node.node.as_ref().is_some_and(|node| text_below(node.to_ref()))
}

fn text_below(node: NodeRef<'_>) -> bool {
    if let NodeRef::AConst(constant) = node {
        return matches!(constant.val, Some(pb::a_const::Val::Sval(_) | pb::a_const::Val::Bsval(_)));
    }
    let mut found = false;
    children(node, &mut |child| found |= text_below(child));
    found
}

/// Whether what stands behind a minus may be keys: a text, or an array.
fn names_keys(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => matches!(constant.val, Some(pb::a_const::Val::Sval(_))),
        Some(NodeEnum::AArrayExpr(_)) => true,
        Some(NodeEnum::TypeCast(cast)) => {
            let text = |name: &Node| matches!(&name.node, Some(NodeEnum::String(name)) if matches!(name.sval.as_str(), "text" | "varchar" | "bpchar"));
            cast.type_name.as_ref().is_some_and(|of| !of.array_bounds.is_empty() || of.names.last().is_some_and(text))
        }
        _ => false,
    }
}

/// Whether the constants among a call's arguments are values. What a built-in takes may be a name, or SQL.
fn takes_values(call: &pb::FuncCall) -> bool {
    let Some(NodeEnum::String(name)) = call.funcname.last().and_then(|name| name.node.as_ref()) else { return false };
    match builtin(&name.sval) {
        Some(_) => COMPUTING.contains(&name.sval.as_str()),
        None => !name.sval.starts_with("dblink"),
    }
}

/// `'orders'::regclass` and its kin: the string is a name.
fn names_an_object(cast: &pb::TypeCast) -> bool {
    let Some(of) = &cast.type_name else { return true };
    match of.names.last().and_then(|name| name.node.as_ref()) {
        Some(NodeEnum::String(name)) => name.sval.starts_with("reg") || name.sval == "aclitem",
        _ => true,
    }
}
