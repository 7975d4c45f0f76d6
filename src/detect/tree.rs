//! What the parse tree tells. Walked with a list of its own: a tree may be thousands of levels deep.
//!
//! The matches here name the few shapes that are signs; what is not named is no sign, and never more than that: what a
//! statement may do is judged from its Facts.

use std::cell::Cell;
use std::collections::HashSet;

use pg_query::protobuf::{self as pb, BoolExprType, SetOperation, Token};
use pg_query::{NodeEnum, NodeRef};

use super::arms::set_operation;
use super::constant::{self, last_name, string};
use super::same::Comparison;
use super::stack::{is_plain_call, stacked};
use super::{Signals, Technique, condition, expression, foreign, stack, strings};
use crate::sql::Analysis;
use crate::sql::children::children;
use crate::sql::functions::{self, Class};
use crate::sql::relations;

/// From how many rows on `generate_series` in a sub-query is there to take time.
const HUGE_SERIES: f64 = 1_000_000.0;

/// How often pieces of one text are read once more, and how long they may be, in bytes.
const MOST_LEXED: u8 = 64;
const LONGEST_LEXED: usize = 4 << 10;

/// Looks at every statement of a text.
pub(super) fn look(text: &str, analysis: &Analysis, signals: &mut Signals) {
    let statements: Vec<&NodeEnum> =
        analysis.tree.stmts.iter().filter_map(|raw| raw.stmt.as_ref()?.node.as_ref()).collect();
    stacked(&statements, analysis, signals);
    let mut application = false;
    for (index, statement) in statements.iter().enumerate() {
        let place = Place {
            behind: index > 0,
            plain_call: is_plain_call(statement),
            writes: stack::writes(statement),
            definition: defines(statement),
        };
        let mut view = View::new(text, place);
        view.application = application;
        view.walk(statement.to_ref());
        application |= view.conclude(signals);
    }
}

/// Where the statement stands, and what it is as a whole.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Another statement of the text comes before it.
    behind: bool,
    /// It is `SELECT f(…)` and nothing else, as administrators call functions.
    plain_call: bool,
    /// It is INSERT, UPDATE, DELETE or MERGE: what is given a name there is written.
    writes: bool,
    /// It defines code or a view for later: it says what will be asked, and asks nothing itself.
    definition: bool,
}

fn defines(statement: &NodeEnum) -> bool {
    matches!(
        statement,
        NodeEnum::ViewStmt(_)
            | NodeEnum::CreateTableAsStmt(_)
            | NodeEnum::CreateStmt(_)
            | NodeEnum::CreateFunctionStmt(_)
            | NodeEnum::RuleStmt(_)
            | NodeEnum::CreateTrigStmt(_)
            | NodeEnum::CreatePolicyStmt(_)
            | NodeEnum::CreateSchemaStmt(_)
    )
}

/// Where a node stands in its statement.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct In {
    /// In a sub-query of an expression.
    pub(super) nested: bool,
    /// In an OR, which stands here in the text, in bytes.
    pub(super) or: Option<i32>,
    /// Directly in FROM.
    from: bool,
    /// In a query of no table, which asks about values alone, as ORMs let the server check them.
    pub(super) values: bool,
    /// In the list of what a query gives.
    pub(super) result: bool,
    /// Part of a chain of `||`.
    pub(super) chain: bool,
}

/// The signs of one statement, until it is known what it reads: on constants alone, nothing is opened or asked.
#[derive(Debug)]
pub(super) struct Found<'t> {
    text: &'t str,
    /// How often a piece of it may be read once more.
    lexed: Cell<u8>,
    always: Signals,
    /// Signs if it reads or writes any relation.
    on_relations: Signals,
    /// Signs if it reads or writes a relation of the application.
    on_tables: Signals,
}

impl<'t> Found<'t> {
    fn new(text: &'t str) -> Found<'t> {
        let none = Signals::default;
        Found { text, lexed: Cell::new(MOST_LEXED), always: none(), on_relations: none(), on_tables: none() }
    }

    /// Whether a parenthesis is opened between two places of the text, in bytes, and stays open.
    pub(super) fn parenthesised(&self, from: i32, to: i32) -> bool {
        let place = |at: i32| usize::try_from(at).unwrap_or(0);
        // It takes time, and a text may ask for it at every word: more than that is no text that somebody wrote.
        let Some(left) = self.lexed.get().checked_sub(1) else { return true };
        self.lexed.set(left);
        let text = self.text.get(place(from)..place(to)).filter(|text| text.len() <= LONGEST_LEXED);
        let Some(tokens) = text.and_then(crate::sql::tokens) else { return true };
        let mut depth = 0;
        for token in &tokens {
            match token.token() {
                Token::Ascii40 => depth += 1,
                Token::Ascii41 => depth -= 1,
                _ => {}
            }
        }
        depth != 0
    }

    pub(super) fn add(&mut self, technique: Technique, weight: u8) {
        self.always.add(technique, weight);
    }

    pub(super) fn add_on_relations(&mut self, technique: Technique, weight: u8) {
        self.on_relations.add(technique, weight);
    }

    pub(super) fn add_on_tables(&mut self, technique: Technique, weight: u8) {
        self.on_tables.add(technique, weight);
    }

    /// A comparison that the data has no part in, as a condition.
    pub(super) fn compared(&mut self, comparison: Comparison) {
        let weight = match comparison {
            Comparison::Trivial => return,
            // Some ORMs ask whether a column is not NULL in this way.
            Comparison::AlikeColumns => return self.add_on_tables(Technique::ConstantCondition, 2),
            // The same whether it holds or not: else the refusal would answer a tool that asks both.
            Comparison::Alike | Comparison::Constants => 5,
            Comparison::Calls => 3,
        };
        self.add_on_tables(Technique::ConstantCondition, weight);
    }
}

/// What one statement shows.
struct View<'t> {
    place: Place,
    found: Found<'t>,
    ctes: HashSet<String>,
    unqualified: Vec<String>,
    /// Reads or writes a relation of the application.
    application: bool,
    catalog: bool,
    /// Asks what the server is: `version()`, its settings, MySQL's `@@variable`.
    server: bool,
    delay: bool,
    large_object: bool,
    /// Reaches for files or other servers elsewhere than in FROM.
    outside: bool,
}

impl<'t> View<'t> {
    fn new(text: &'t str, place: Place) -> View<'t> {
        View {
            place,
            found: Found::new(text),
            ctes: HashSet::new(),
            unqualified: Vec::new(),
            application: false,
            catalog: false,
            server: false,
            delay: false,
            large_object: false,
            outside: false,
        }
    }

    fn walk(&mut self, statement: NodeRef<'_>) {
        let values = matches!(statement, NodeRef::SelectStmt(select)
            if select.from_clause.is_empty() && select.op() == SetOperation::SetopNone && !self.place.behind);
        let mut pending = vec![(statement, In { values, ..In::default() })];
        while let Some((node, mut stands)) = pending.pop() {
            // A query in WITH reads tables, also where the one around it reads none.
            stands.values &= !matches!(node, NodeRef::SelectStmt(select) if !select.from_clause.is_empty());
            self.node(node, stands);
            if let NodeRef::SelectStmt(select) = node
                && select.op() != SetOperation::SetopNone
            {
                set_operation(select, stands, &mut self.found, &mut pending);
                continue;
            }
            let inside = match node {
                NodeRef::SubLink(_) => In { nested: true, ..In::default() },
                NodeRef::BoolExpr(e) if e.boolop() == BoolExprType::OrExpr => In { or: Some(e.location), ..stands },
                NodeRef::RangeFunction(_) => In { from: !stands.nested, ..stands },
                // FROM holds the call in lists.
                NodeRef::List(_) => stands,
                NodeRef::ResTarget(_) => In { from: false, result: !self.place.writes, ..stands },
                NodeRef::AExpr(e) => In { from: false, chain: strings::chain(e), ..stands },
                NodeRef::TypeCast(_) => stands,
                _ => In { from: false, chain: false, ..stands },
            };
            children(node, &mut |child| pending.push((child, inside)));
        }
    }

    fn node(&mut self, node: NodeRef<'_>, stands: In) {
        let found = &mut self.found;
        match node {
            NodeRef::BoolExpr(e) => condition::boolean(e, stands, found),
            NodeRef::AExpr(e) => {
                condition::operator(e, stands, found);
                self.foreign_operator(e);
            }
            NodeRef::CaseExpr(e) => condition::case(e, stands, found),
            NodeRef::TypeCast(cast) => expression::cast(cast, found),
            NodeRef::SubLink(link) => expression::sub_query(link, found),
            NodeRef::SelectStmt(select) => condition::clauses(select, stands, found),
            NodeRef::UpdateStmt(update) => {
                for target in &update.target_list {
                    if let Some(NodeEnum::ResTarget(target)) = &target.node
                        && let Some(value) = target.val.as_deref()
                    {
                        condition::stored(value, found);
                    }
                }
            }
            NodeRef::CallStmt(call)
                if call.funccall.as_ref().is_some_and(|call| call.args.iter().any(strings::goes_on)) =>
            {
                found.add(Technique::StringBuilding, 3);
            }
            NodeRef::RangeVar(relation) => self.relation(relation),
            NodeRef::CommonTableExpr(cte) => {
                self.ctes.insert(cte.ctename.clone());
            }
            NodeRef::FuncCall(call) => {
                expression::call(call, found);
                condition::arguments(call, found);
                self.call(call, stands);
            }
            NodeRef::ColumnRef(column) => self.column(column),
            // A file alone is how administrators load tables; behind another statement it is not.
            NodeRef::CopyStmt(copy) if copy.is_program || (self.place.behind && !copy.filename.is_empty()) => {
                found.add(Technique::FileProgram, 5);
            }
            _ => {}
        }
    }

    fn relation(&mut self, relation: &pb::RangeVar) {
        let (schema, name) = (relation.schemaname.as_str(), relation.relname.as_str());
        if schema.is_empty() {
            self.unqualified.push(name.to_owned());
        } else if relations::catalog_relation(schema, name).is_some() {
            self.catalog = true;
        } else {
            self.application = true;
            if foreign::is_catalog(name) {
                self.found.add(Technique::ForeignSyntax, 3);
            }
        }
    }

    /// A name in double quotes that is a piece of SQL: where MySQL's quotes for strings were sent.
    fn column(&mut self, column: &pb::ColumnRef) {
        if let [package, _, ..] = column.fields.as_slice()
            && string(package).is_some_and(|package| foreign::is_file(Some(package), ""))
        {
            self.found.add(Technique::FileProgram, 4);
        }
        let [name] = column.fields.as_slice() else { return };
        let Some(name) = string(name) else { return };
        let quotes = name.starts_with(char::is_whitespace)
            || name.contains(['\'', '"'])
            || (!name.is_empty() && !name.contains(|c: char| c.is_alphanumeric() || c == '_'));
        let weight = match () {
            () if quotes => 5,
            () if name.contains(['=', ';', '@']) => 4,
            () => 0,
        };
        self.found.add_on_tables(Technique::ForeignSyntax, weight);
    }

    /// `@@version`, where a bare column is another database's variable (to PostgreSQL it is the centre of a shape); `1 # rest`,
    /// where MySQL begins a comment.
    fn foreign_operator(&mut self, e: &pb::AExpr) {
        let right = e.rexpr.as_ref().and_then(|right| right.node.as_ref());
        match (last_name(&e.name), e.lexpr.as_deref().and_then(|left| left.node.as_ref()), right) {
            (Some("@@"), None, Some(NodeEnum::ColumnRef(_))) => self.server = true,
            (Some("@@"), Some(NodeEnum::AConst(_)), Some(NodeEnum::ColumnRef(_))) => {
                self.found.add_on_tables(Technique::ForeignSyntax, 4);
            }
            (Some(name), None | Some(NodeEnum::AConst(_)), Some(NodeEnum::ColumnRef(_)))
                if name.bytes().all(|sign| sign == b'#') =>
            {
                self.found.add_on_tables(Technique::ForeignSyntax, 5);
            }
            // Neither is an operator of PostgreSQL's.
            (Some("=="), Some(_), Some(_)) | (Some("||" | "&&"), None, Some(_)) => {
                self.found.add_on_tables(Technique::ForeignSyntax, 3);
            }
            _ => {}
        }
    }

    fn call(&mut self, call: &pb::FuncCall, stands: In) {
        if stands.from && call.args.iter().any(strings::goes_on) {
            self.found.add(Technique::StringBuilding, 3);
        }
        let Some(name) = last_name(&call.funcname) else { return };
        let schema = call.funcname.len().checked_sub(2).and_then(|i| call.funcname.get(i)).and_then(string);
        if foreign::is_delay(name) {
            self.delay = true;
            return;
        }
        if foreign::is_file(schema, name) {
            self.found.add(Technique::FileProgram, 4);
            return;
        }
        if name.starts_with("dblink") {
            self.outside |= !stands.from;
            return;
        }
        if schema.is_some_and(|schema| schema != "pg_catalog") {
            return;
        }
        if foreign::is_function(name) {
            self.found.add_on_tables(Technique::ForeignSyntax, 3);
        }
        match name {
            "version" | "pg_postmaster_start_time" | "inet_server_addr" => self.server = true,
            // Other settings are an application's own, as row-level security uses them.
            "current_setting" => {
                let name = call.args.first().and_then(super::same::text);
                self.server |= name.is_some_and(is_of_the_server);
            }
            "generate_series" if stands.nested || self.place.behind => {
                let rows = call.args.get(1).and_then(constant::number);
                self.delay |= rows.is_some_and(|rows| rows >= HUGE_SERIES);
            }
            _ => {}
        }
        match functions::builtin(name).map(|builtin| builtin.class) {
            Some(Class::Sleep) => self.delay = true,
            Some(Class::File | Class::Network) if stands.nested || self.place.behind => {
                self.found.add(Technique::FileProgram, 4);
            }
            Some(Class::File | Class::Network) => self.outside |= !stands.from,
            Some(Class::LargeObject) => self.large_object |= stands.nested || self.place.behind,
            Some(Class::SqlInString) if stands.nested => self.found.add(Technique::CatalogProbe, 3),
            Some(Class::SqlInString) => self.server = true,
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
                | Class::CatalogWrite
                | Class::Unknown,
            )
            | None => {}
        }
    }

    /// What only the whole statement tells, and whether it reads or writes a relation of the application.
    fn conclude(mut self, signals: &mut Signals) -> bool {
        if self.place.definition {
            return self.application;
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
                if foreign::is_catalog(&name) {
                    self.found.add(Technique::ForeignSyntax, 3);
                }
            }
        }
        let Found { always, on_relations, on_tables, .. } = self.found;
        let mut take = |found: Signals| found.signals.iter().for_each(|s| signals.add(s.technique, s.weight));
        take(always);
        if self.application || self.catalog {
            take(on_relations);
        }
        if self.application {
            take(on_tables);
        }
        if self.delay && (self.place.behind || !self.place.plain_call) {
            signals.add(Technique::TimeDelay, 5);
        }
        if (self.large_object || self.outside) && self.application {
            signals.add(Technique::FileProgram, 4);
        }
        if self.application && self.catalog {
            signals.add(Technique::CatalogProbe, 4);
        }
        if self.application && self.server {
            signals.add(Technique::ServerProbe, 3);
        }
        self.application
    }
}

/// Whether a setting tells of the server rather than of the session.
fn is_of_the_server(name: &str) -> bool {
    use crate::sql::settings::{self, Context};
    // Libraries ask which server they have.
    if name.starts_with("server_version") {
        return false;
    }
    let name = settings::canonical(name);
    match settings::setting(&name) {
        Some(setting) => match setting.context {
            Context::Internal | Context::Postmaster | Context::Sighup => true,
            _ => settings::is_guarded(&name),
        },
        None => false,
    }
}
