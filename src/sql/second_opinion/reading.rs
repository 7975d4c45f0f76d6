//! From one statement of `sqlparser`'s to its summary: a visit of the tree that knows which names in FROM are CTEs.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Cte, DataType, Expr, Ident, ObjectName, Query, Select, SetExpr, Statement, TableFactor, TypedString, Visit, Visitor,
};

use super::names::{dotted, folded, of_expression, only};
use super::{Loose, Summary};
use crate::sql::ActionName;

/// What the second parser read. An action that no statement of PostgreSQL's has makes a disagreement of it.
pub(super) const FOREIGN: &str = "another product's SQL";

/// Reads one top-level statement.
pub(super) fn summary(statement: &Statement) -> Result<Summary, Loose> {
    let mut reading = SecondReading::default();
    // The only break is at something loose, which is kept.
    let _ = statement.visit(&mut reading);
    match reading.loose {
        Some(loose) => Err(loose),
        None => Ok(reading.summary.settled()),
    }
}

/// The statement being read.
#[derive(Debug, Default)]
pub(super) struct SecondReading {
    pub summary: Summary,
    /// Inside an EXPLAIN that does not execute.
    pub explain: bool,
    loose: Option<Loose>,
    /// Tables in the tree that are the target of a write, by address: they are not read.
    targets: Vec<*const TableFactor>,
    /// The queries around, innermost last.
    queries: Vec<Scope>,
}

/// The CTEs of one query.
#[derive(Debug)]
struct Scope {
    recursive: bool,
    ctes: Vec<(*const Query, String)>,
    /// How many of them stand before the place.
    passed: usize,
}

impl SecondReading {
    pub fn loose(&mut self, loose: Loose) {
        self.loose.get_or_insert(loose);
    }

    pub fn foreign(&mut self) {
        self.summary.actions.insert(FOREIGN);
    }

    /// An action that a plain EXPLAIN does not do.
    pub fn act(&mut self, action: ActionName) {
        if !self.explain {
            self.summary.act(action);
        }
    }

    pub fn write(&mut self, action: ActionName, relation: &ObjectName) {
        self.act(action);
        self.summary.written.insert(dotted(relation));
    }

    /// The target of UPDATE, DELETE or MERGE, which has the form of a table in FROM.
    pub fn write_target(&mut self, target: &TableFactor) {
        match target {
            TableFactor::Table { name, args: None, .. } => {
                self.check_only(name);
                self.summary.written.insert(dotted(name));
                self.targets.push(target);
            }
            _ => self.foreign(),
        }
    }

    pub fn name(&mut self, relation: &ObjectName) {
        self.check_only(relation);
        self.summary.named.insert(dotted(relation));
    }

    /// A relation made: a temporary one is in `pg_temp`.
    pub fn create(&mut self, temporary: bool, name: &ObjectName) {
        self.act(ActionName::Create);
        let in_temp = temporary && only(name).is_some();
        let name = if in_temp { format!("pg_temp.{}", dotted(name)) } else { dotted(name) };
        if !self.explain {
            self.summary.named.insert(name);
        }
    }

    fn check_only(&mut self, name: &ObjectName) {
        if only(name).is_some_and(|ident| ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("only")) {
            self.loose(Loose::Only);
        }
    }

    fn read(&mut self, name: &ObjectName) {
        self.check_only(name);
        if !only(name).is_some_and(|ident| is_function_word(ident) || self.is_cte(ident)) {
            self.summary.read.insert(dotted(name));
        }
    }

    fn is_cte(&self, ident: &Ident) -> bool {
        let name = folded(ident);
        self.queries.iter().any(|query| {
            let seen = if query.recursive { query.ctes.len() } else { query.passed };
            query.ctes.iter().take(seen).any(|(_, cte)| *cte == name)
        })
    }

    /// `TABLE t` as an arm of a query: no table of a FROM clause for `sqlparser`.
    fn table_arms(&mut self, body: &SetExpr) {
        let mut arms = vec![body];
        while let Some(arm) = arms.pop() {
            match arm {
                SetExpr::SetOperation { left, right, .. } => arms.extend([left.as_ref(), right.as_ref()]),
                SetExpr::Table(_) => self.loose(Loose::TableCommand),
                SetExpr::Select(_)
                | SetExpr::Query(_)
                | SetExpr::Values(_)
                | SetExpr::Insert(_)
                | SetExpr::Update(_)
                | SetExpr::Delete(_)
                | SetExpr::Merge(_) => {}
            }
        }
    }
}

/// The functions that are called by a word alone: reserved, so that no table in FROM is called so without quotes.
fn is_function_word(ident: &Ident) -> bool {
    const WORDS: &[&str] = &[
        "current_catalog",
        "current_date",
        "current_role",
        "current_schema",
        "current_time",
        "current_timestamp",
        "current_user",
        "localtime",
        "localtimestamp",
        "session_user",
        "system_user",
        "user",
    ];
    is_unquoted_in(ident, WORDS)
}

/// Words that begin or join clauses: reserved in PostgreSQL, so that none is a column without quotes. `sqlparser` takes
/// some of them for one (`SELECT 1 or FROM t`, where PostgreSQL reads the output name `or`).
fn is_clause_word(ident: &Ident) -> bool {
    const WORDS: &[&str] = &[
        "and",
        "as",
        "else",
        "end",
        "except",
        "fetch",
        "for",
        "from",
        "group",
        "having",
        "intersect",
        "into",
        "limit",
        "not",
        "offset",
        "or",
        "order",
        "returning",
        "select",
        "table",
        "then",
        "union",
        "using",
        "when",
        "where",
        "window",
        "with",
    ];
    is_unquoted_in(ident, WORDS)
}

fn is_unquoted_in(ident: &Ident, words: &[&str]) -> bool {
    ident.quote_style.is_none() && words.iter().any(|word| ident.value.eq_ignore_ascii_case(word))
}

impl Visitor for SecondReading {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        self.statement(statement);
        match self.loose {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.table_arms(&query.body);
        self.summary.locking |= !query.locks.is_empty();
        let with = query.with.as_ref();
        self.queries.push(Scope {
            recursive: with.is_some_and(|with| with.recursive),
            ctes: with.map_or_else(Vec::new, |with| {
                let cte = |cte: &Cte| (std::ptr::from_ref(&*cte.query), folded(&cte.alias.name));
                with.cte_tables.iter().map(cte).collect()
            }),
            passed: 0,
        });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.queries.pop();
        if let Some(around) = self.queries.last_mut()
            && around.ctes.get(around.passed).is_some_and(|(cte, _)| std::ptr::eq(*cte, query))
        {
            around.passed += 1;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if let Some(into) = &select.into {
            match into.targets.as_slice() {
                [target] => match of_expression(target) {
                    Some(name) => {
                        if !self.explain {
                            let bare = matches!(target, Expr::Identifier(_));
                            let made = if into.temporary && bare { format!("pg_temp.{name}") } else { name.clone() };
                            self.summary.named.insert(made);
                        }
                        self.act(ActionName::Create);
                        self.summary.written.insert(name);
                    }
                    None => self.foreign(),
                },
                _ => self.foreign(),
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        match expression {
            Expr::Identifier(ident) if is_clause_word(ident) => {
                self.loose(Loose::ReservedWord);
                ControlFlow::Break(())
            }
            // `(TABLE "t")`, taken for a string of a type called `table`.
            Expr::TypedString(TypedString { data_type: DataType::Table(_), .. }) => {
                self.loose(Loose::TableCommand);
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        match table {
            TableFactor::Table { name, args: None, .. } => {
                if !self.targets.iter().any(|target| std::ptr::eq(*target, table)) {
                    self.read(name);
                }
            }
            // Functions, and what holds queries and tables that are visited by themselves.
            TableFactor::Table { name, args: Some(_), .. } => self.check_only(name),
            TableFactor::Derived { .. }
            | TableFactor::TableFunction { .. }
            | TableFactor::Function { .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::JsonTable { .. }
            | TableFactor::NestedJoin { .. }
            | TableFactor::XmlTable { .. } => {}
            TableFactor::OpenJsonTable { .. }
            | TableFactor::Pivot { .. }
            | TableFactor::Unpivot { .. }
            | TableFactor::UnpivotExpr { .. }
            | TableFactor::MatchRecognize { .. }
            | TableFactor::SemanticView { .. } => self.foreign(),
        }
        match self.loose {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    }
}
