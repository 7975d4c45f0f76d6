//! What the parse tree tells. Walked with a list of its own: a tree may be thousands of levels deep.
//!
//! The matches here name the few shapes that are signs; what is not named is no sign, and never more than that: what a
//! statement may do is judged from its Facts.

use std::collections::HashSet;

use pg_query::protobuf::{self as pb, BoolExprType, Node, SetOperation};
use pg_query::{NodeEnum, NodeRef};

use super::constant::{self, Condition, last_name, string};
use super::{Signals, Technique};
use crate::sql::Analysis;
use crate::sql::children::children;
use crate::sql::functions::{self, Class};
use crate::sql::relations;

/// From how many rows on `generate_series` in a sub-query is there to take time.
const HUGE_SERIES: f64 = 1_000_000.0;

/// Functions of other databases, which attack tools try everywhere. None is a name of PostgreSQL or its extensions.
const FOREIGN_DELAYS: &[&str] = &["sleep", "benchmark", "receive_message"];
const FOREIGN_FILES: &[&str] = &["load_file", "xp_cmdshell", "xp_dirtree", "sys_eval", "sys_exec", "httpuritype"];
/// Packages of other databases that reach for files and the network.
const FOREIGN_PACKAGES: &[&str] = &["utl_http", "utl_inaddr", "utl_file", "utl_smtp", "dbms_ldap"];

/// Relations of other databases' catalogs, in whatever schema.
const FOREIGN_CATALOGS: &[&str] = &[
    "all_tab_columns",
    "all_tables",
    "all_users",
    "dba_role_privs",
    "dba_users",
    "dual",
    "sqlite_master",
    "syscolumns",
    "sysdatabases",
    "sysobjects",
    "sysusers",
    "user_tables",
    "v$version",
];

/// Looks at every statement of a text.
pub(super) fn look(analysis: &Analysis, signals: &mut Signals) {
    let statements: Vec<&NodeEnum> =
        analysis.tree.stmts.iter().filter_map(|raw| raw.stmt.as_ref()?.node.as_ref()).collect();
    stacked(&statements, analysis, signals);
    for (index, statement) in statements.iter().enumerate() {
        let place = Place { behind: index > 0, plain_call: is_plain_call(statement), definition: defines(statement) };
        let mut view = View::new(place);
        view.walk(statement.to_ref(), signals);
        view.conclude(signals);
    }
}

/// Where the statement stands, and what it is as a whole.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Another statement of the text comes before it.
    behind: bool,
    /// It is `SELECT f(…)` and nothing else, as administrators call functions.
    plain_call: bool,
    /// It defines code or a view for later: it says what will be asked, and asks nothing itself.
    definition: bool,
}

fn defines(statement: &NodeEnum) -> bool {
    matches!(
        statement,
        NodeEnum::ViewStmt(_)
            | NodeEnum::CreateTableAsStmt(_)
            | NodeEnum::CreateFunctionStmt(_)
            | NodeEnum::RuleStmt(_)
            | NodeEnum::CreateTrigStmt(_)
            | NodeEnum::CreatePolicyStmt(_)
            | NodeEnum::CreateSchemaStmt(_)
    )
}

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
fn stacked(statements: &[&NodeEnum], analysis: &Analysis, signals: &mut Signals) {
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
fn is_plain_call(statement: &NodeEnum) -> bool {
    let NodeEnum::SelectStmt(select) = statement else { return false };
    let [target] = select.target_list.as_slice() else { return false };
    select.from_clause.is_empty()
        && select.where_clause.is_none()
        && matches!(&target.node, Some(NodeEnum::ResTarget(target))
            if matches!(target.val.as_ref().and_then(|v| v.node.as_ref()), Some(NodeEnum::FuncCall(_))))
}

/// What one statement shows.
struct View {
    place: Place,
    ctes: HashSet<String>,
    unqualified: Vec<String>,
    /// Reads or writes a relation of the application.
    application: bool,
    catalog: bool,
    foreign_catalog: bool,
    /// Asks what the server is: `version()`, its settings, MySQL's `@@variable`.
    server: bool,
    delay: bool,
    large_object: bool,
    /// The weight of the heaviest constant condition.
    constant: u8,
}

impl View {
    fn new(place: Place) -> View {
        View {
            place,
            ctes: HashSet::new(),
            unqualified: Vec::new(),
            application: false,
            catalog: false,
            foreign_catalog: false,
            server: false,
            delay: false,
            large_object: false,
            constant: 0,
        }
    }

    fn walk(&mut self, statement: NodeRef<'_>, signals: &mut Signals) {
        // The node, and whether it stands in a sub-query of an expression.
        let mut pending = vec![(statement, false)];
        while let Some((node, nested)) = pending.pop() {
            self.node(node, nested, signals);
            if let NodeRef::SelectStmt(select) = node
                && select.op() != SetOperation::SetopNone
            {
                set_operation(select, nested, signals, &mut pending);
                continue;
            }
            let nested = nested || matches!(node, NodeRef::SubLink(_));
            children(node, &mut |child| pending.push((child, nested)));
        }
    }

    fn node(&mut self, node: NodeRef<'_>, nested: bool, signals: &mut Signals) {
        match node {
            NodeRef::BoolExpr(e) if e.boolop() == BoolExprType::OrExpr => {
                for weight in e.args.iter().filter_map(constant_arm) {
                    self.constant = self.constant.max(weight);
                }
            }
            NodeRef::SelectStmt(select) => {
                if let Some(having) = &select.having_clause
                    && constant::condition(having).is_some_and(|c| c != Condition::Literal)
                {
                    self.constant = self.constant.max(3);
                }
            }
            NodeRef::RangeVar(relation) => self.relation(relation),
            NodeRef::CommonTableExpr(cte) => {
                self.ctes.insert(cte.ctename.clone());
            }
            NodeRef::FuncCall(call) => self.call(call, nested, signals),
            NodeRef::AExpr(e) if e.lexpr.is_none() && last_name(&e.name) == Some("@@") => {
                // `@@version`: to PostgreSQL the centre of a shape; a bare column there is another database's variable.
                self.server |= matches!(e.rexpr.as_ref().and_then(|r| r.node.as_ref()), Some(NodeEnum::ColumnRef(_)));
            }
            // A file alone is how administrators load tables; behind another statement it is not.
            NodeRef::CopyStmt(copy) if copy.is_program || (self.place.behind && !copy.filename.is_empty()) => {
                signals.add(Technique::FileProgram, 5);
            }
            _ => {}
        }
    }

    fn relation(&mut self, relation: &pb::RangeVar) {
        let (schema, name) = (relation.schemaname.as_str(), relation.relname.as_str());
        if FOREIGN_CATALOGS.contains(&name) {
            self.foreign_catalog = true;
        } else if schema.is_empty() {
            self.unqualified.push(name.to_owned());
        } else if relations::catalog_relation(schema, name).is_some() {
            self.catalog = true;
        } else {
            self.application = true;
        }
    }

    fn call(&mut self, call: &pb::FuncCall, nested: bool, signals: &mut Signals) {
        let Some(name) = last_name(&call.funcname) else { return };
        let schema = call.funcname.len().checked_sub(2).and_then(|i| call.funcname.get(i)).and_then(string);
        if FOREIGN_DELAYS.contains(&name) {
            self.delay = true;
            return;
        }
        if FOREIGN_FILES.contains(&name)
            || name.starts_with("dblink")
            || schema.is_some_and(|schema| FOREIGN_PACKAGES.contains(&schema))
        {
            signals.add(Technique::FileProgram, 4);
            return;
        }
        if schema.is_some_and(|schema| schema != "pg_catalog") {
            return;
        }
        match name {
            "version" | "pg_postmaster_start_time" | "inet_server_addr" => self.server = true,
            // A setting with a dot is the application's own, as row-level security uses it.
            "current_setting" => {
                let name = call.args.first().and_then(|arg| match arg.node.as_ref()? {
                    NodeEnum::AConst(constant) => match constant.val.as_ref()? {
                        pb::a_const::Val::Sval(s) => Some(s.sval.as_str()),
                        _ => None,
                    },
                    _ => None,
                });
                self.server |= name.is_some_and(|name| !name.contains('.'));
            }
            "generate_series" if nested || self.place.behind => {
                let rows = call.args.get(1).and_then(constant::number);
                self.delay |= rows.is_some_and(|rows| rows >= HUGE_SERIES);
            }
            _ => {}
        }
        match functions::builtin(name).map(|builtin| builtin.class) {
            Some(Class::Sleep) => self.delay = true,
            Some(Class::File | Class::Network) => signals.add(Technique::FileProgram, 4),
            Some(Class::LargeObject) => self.large_object = true,
            Some(Class::SqlInString) if nested => signals.add(Technique::CatalogProbe, 3),
            Some(
                Class::Harmless
                | Class::Code
                | Class::SignalBackend
                | Class::ServerControl
                | Class::Replication
                | Class::AlterSystem
                | Class::Nextval
                | Class::AdvisoryLock
                | Class::AdvisoryUnlock
                | Class::Notify
                | Class::SetConfig
                | Class::SqlInString
                | Class::CatalogWrite
                | Class::Unknown,
            )
            | None => {}
        }
    }

    /// What only the whole statement tells.
    fn conclude(mut self, signals: &mut Signals) {
        if self.place.definition {
            return;
        }
        for name in std::mem::take(&mut self.unqualified) {
            if self.ctes.contains(&name) {
                continue;
            }
            // Extensions for administrators name their views likewise.
            if name.starts_with("pg_") || relations::is_catalog_relation_name(&name) {
                self.catalog = true;
            } else {
                self.application = true;
            }
        }
        if self.delay && (self.place.behind || !self.place.plain_call) {
            signals.add(Technique::TimeDelay, 5);
        }
        // Without a table there is nothing that the condition could open.
        if self.constant > 0 && self.application {
            signals.add(Technique::ConstantTrue, self.constant);
        }
        if self.large_object && self.application {
            signals.add(Technique::FileProgram, 4);
        }
        if self.application && self.catalog {
            signals.add(Technique::CatalogProbe, 4);
        }
        if (self.application && self.server) || self.foreign_catalog {
            signals.add(Technique::CatalogProbe, 3);
        }
    }
}

/// The weight of an arm of an OR that does not depend on data.
fn constant_arm(arm: &Node) -> Option<u8> {
    match constant::condition(arm) {
        Some(Condition::Holds) => Some(5),
        Some(Condition::Literal) => Some(2),
        Some(Condition::Fails) => Some(1),
        None => {
            // `x OR 1=1 AND password = …`: AND binds closer, so the constant stands one level below.
            let Some(NodeEnum::BoolExpr(and)) = &arm.node else { return None };
            let holds = |arg: &Node| constant::condition(arg).is_some_and(|c| c == Condition::Holds);
            (and.boolop() == BoolExprType::AndExpr && and.args.iter().any(holds)).then_some(3)
        }
    }
}

/// A UNION whose first arm reads a table of the application, and a later one nothing, or a catalog. Leaves the arms'
/// contents in `pending`.
fn set_operation<'a>(
    root: &'a pb::SelectStmt,
    nested: bool,
    signals: &mut Signals,
    pending: &mut Vec<(NodeRef<'a>, bool)>,
) {
    let mut arms = Vec::new();
    let mut open = vec![root];
    while let Some(select) = open.pop() {
        if select.op() == SetOperation::SetopNone {
            arms.push(select);
            pending.push((NodeRef::SelectStmt(select), nested));
            continue;
        }
        let sides = [select.larg.as_deref(), select.rarg.as_deref()];
        // The left one is taken next, so that the arms come in the order of the text.
        open.extend(sides.into_iter().rev().flatten());
        children(NodeRef::SelectStmt(select), &mut |child| {
            let side =
                matches!(child, NodeRef::SelectStmt(c) if sides.into_iter().flatten().any(|s| std::ptr::eq(s, c)));
            if !side {
                pending.push((child, nested));
            }
        });
    }
    let Some((first, later)) = arms.split_first() else { return };
    // The server refuses arms of different width: someone counts the columns.
    if let Some(width) = width(first)
        && later.iter().any(|arm| self::width(arm).is_some_and(|other| other != width))
    {
        signals.add(Technique::UnionProbe, 4);
    }
    if first.from_clause.is_empty() || reads_catalog(first) {
        return;
    }
    for arm in later {
        if reads_catalog(arm) {
            signals.add(Technique::UnionProbe, 5);
        } else if arm.from_clause.is_empty() && !arm.target_list.is_empty() {
            let padded = arm.target_list.iter().any(|target| !is_text_or_number(target));
            signals.add(Technique::UnionProbe, if padded { 5 } else { 3 });
        }
    }
}

/// How many columns an arm has. `None`: it holds a star.
fn width(arm: &pb::SelectStmt) -> Option<usize> {
    let star = |target: &Node| match &target.node {
        Some(NodeEnum::ResTarget(target)) => match target.val.as_ref().and_then(|v| v.node.as_ref()) {
            Some(NodeEnum::ColumnRef(c)) => c.fields.last().is_some_and(|f| matches!(f.node, Some(NodeEnum::AStar(_)))),
            Some(NodeEnum::AIndirection(_)) => true,
            _ => false,
        },
        _ => true,
    };
    (arm.values_lists.is_empty() && !arm.target_list.iter().any(star)).then_some(arm.target_list.len())
}

/// A target that is a plain string or number: as in `UNION SELECT 'all'`, which applications also write.
fn is_text_or_number(target: &Node) -> bool {
    let Some(NodeEnum::ResTarget(target)) = &target.node else { return false };
    matches!(target.val.as_ref().and_then(|v| v.node.as_ref()), Some(NodeEnum::AConst(c)) if !c.isnull)
}

/// Whether a relation of the server's (or another server's) catalog stands in FROM, joins included.
fn reads_catalog(select: &pb::SelectStmt) -> bool {
    let mut open: Vec<&Node> = select.from_clause.iter().collect();
    while let Some(node) = open.pop() {
        match &node.node {
            Some(NodeEnum::RangeVar(relation)) => {
                let (schema, name) = (relation.schemaname.as_str(), relation.relname.as_str());
                if FOREIGN_CATALOGS.contains(&name)
                    || relations::catalog_relation(schema, name).is_some()
                    || (schema.is_empty() && relations::is_catalog_relation_name(name))
                {
                    return true;
                }
            }
            Some(NodeEnum::JoinExpr(join)) => open.extend([&join.larg, &join.rarg].into_iter().flatten().map(|n| &**n)),
            _ => {}
        }
    }
    false
}
