//! Bodies of DO, CREATE FUNCTION and CREATE PROCEDURE that are strings: what is in them is added to what the statement
//! does. A body that can't be read is `unknown`.

use pg_query::protobuf::{self as pb, ParseResult};
use pg_query::{Node, NodeEnum, ParserOptions};

use super::names::{boxed, inner};
use super::settings::text_of;
use super::{MAX_STRINGS, Walker, parse_inner};
use crate::sql::plpgsql::{Piece, read};
use crate::sql::settings::canonical;
use crate::sql::{Access, ActionName, Name, Object, Operand, SettingValue, Unparsed};

impl<'a> Walker<'a> {
    pub(super) fn do_block(&mut self, block: &'a pb::DoStmt) {
        let language = options(&block.args, "language").last().and_then(|o| text_of(o)).unwrap_or("plpgsql");
        self.other(ActionName::Do, "language", Name::bare(language));
        let mut bodies = options(&block.args, "as");
        match (bodies.next().and_then(text_of), bodies.next(), options(&block.args, "language").count()) {
            (Some(body), None, 0 | 1) => self.body(language, body, &[]),
            _ => self.unknown("DO with options given twice, or none"),
        }
    }

    /// The body of CREATE FUNCTION, where it is a string.
    pub(super) fn function_body(&mut self, create: &'a pb::CreateFunctionStmt) {
        let mut bodies = options(&create.options, "as");
        let (body, second) = (bodies.next(), bodies.next());
        // BEGIN ATOMIC and RETURN are nodes, and walked as such.
        if body.is_none() && create.sql_body.is_some() {
            return;
        }
        let mut languages = options(&create.options, "language");
        let (language, other) = (languages.next().and_then(text_of), languages.next());
        let (Some(body), None, Some(language), None) = (body, second, language, other) else {
            return self.unknown("a function without a body or a language, or with two");
        };
        if options(&create.options, "set").any(changes_strings) {
            self.unknown("a body that is read with other rules for strings");
        }
        let strings = match boxed(&body.arg) {
            Some(NodeEnum::List(list)) => list.items.as_slice(),
            _ => &[],
        };
        match strings {
            [body] if language == "plpgsql" || language == "sql" => {
                let names: Vec<&str> = create.parameters.iter().filter_map(parameter).collect();
                self.body(language, super::names::string(body).unwrap_or_default(), &names);
            }
            _ => self.body(language, "", &[]),
        }
    }

    fn body(&mut self, language: &str, body: &str, parameters: &[&str]) {
        match language {
            "plpgsql" => self.plpgsql(body, parameters),
            "sql" => self.inner(sql(body), body, self.strings, "a body in SQL"),
            other => self.unknown(&format!("a body in language {other}")),
        }
    }

    fn plpgsql(&mut self, body: &str, parameters: &[&str]) {
        let read = read(body, parameters);
        for piece in &read.pieces {
            match piece {
                Piece::Statement(text) => self.inner(sql(text), text, self.strings, "SQL in a PL/pgSQL body"),
                Piece::Expression(text) => self.part(text, ParserOptions::PLPGSQL_EXPR),
                // One name: fields of records are then indirection, whatever the first name means.
                Piece::Assignment(text) => self.part(text, ParserOptions::PLPGSQL_ASSIGN1),
                Piece::Dynamic(text) => self.dynamic(text),
                Piece::Type(text) => {
                    let cast = format!("SELECT CAST(NULL AS {text})");
                    self.inner(sql(&cast), &cast, self.strings, "a type in a PL/pgSQL body");
                }
            }
        }
        if let Some(why) = read.stopped {
            self.unknown(&why);
        }
    }

    fn part(&mut self, text: &str, entry: ParserOptions) {
        self.inner(parse_inner(text, entry), text, self.strings, "an expression in a PL/pgSQL body");
    }

    /// EXECUTE: a constant is SQL, anything else is known only when it runs.
    fn dynamic(&mut self, text: &str) {
        let tree = parse_inner(text, ParserOptions::PLPGSQL_EXPR);
        match tree.as_ref().ok().and_then(only_constant) {
            Some(text) => self.inner(sql(&text), &text, self.strings + 1, "EXECUTE in a PL/pgSQL body"),
            None => {
                self.inner(tree, text, self.strings, "an expression in a PL/pgSQL body");
                self.unknown("dynamic EXECUTE in a PL/pgSQL body");
            }
        }
    }

    /// Adds what a part of a body does.
    fn inner(&mut self, tree: Result<ParseResult, Unparsed>, text: &str, strings: u32, what: &str) {
        if strings >= MAX_STRINGS {
            return self.unknown("SQL in strings in strings, too deep");
        }
        let facts = match tree.and_then(|tree| super::nested(text, &tree, self.reading, strings + 1)) {
            Ok(facts) => facts,
            Err(why) => return self.unknown(&format!("{what}: {why}")),
        };
        for statement in facts.statements {
            // Names of the session's statements and cursors: nobody knows when, and how often, a body makes them.
            if !statement.names.is_empty() {
                self.unknown("PREPARE, EXECUTE, DEALLOCATE or a cursor of SQL in a body");
            }
            self.statement.accesses.extend(statement.accesses.into_iter().map(without_parameters));
            self.statement.depth = self.statement.depth.max(self.depth + statement.depth);
        }
    }
}

fn sql(text: &str) -> Result<ParseResult, Unparsed> {
    parse_inner(text, ParserOptions::DEFAULT)
}

/// `$n` in a body is an argument of the function, which Bind does not tell.
fn without_parameters(mut access: Access) -> Access {
    let forget = |operand: &mut Operand| {
        if matches!(operand, Operand::Parameter(_)) {
            *operand = Operand::Unknown;
        }
    };
    if let Object::Setting { name, value } = &mut access.object {
        forget(name);
        if let SettingValue::List(operands) = value {
            operands.iter_mut().for_each(forget);
        }
    }
    access
}

fn options<'n>(nodes: &'n [Node], name: &'static str) -> impl Iterator<Item = &'n pb::DefElem> {
    nodes.iter().filter_map(inner).filter_map(move |option| match option {
        NodeEnum::DefElem(option) if option.defname == name => Some(&**option),
        _ => None,
    })
}

fn parameter(node: &Node) -> Option<&str> {
    match inner(node) {
        Some(NodeEnum::FunctionParameter(parameter)) => Some(&parameter.name),
        _ => None,
    }
}

/// `SET standard_conforming_strings = …` of a function holds while its body is read.
fn changes_strings(option: &pb::DefElem) -> bool {
    match boxed(&option.arg) {
        Some(NodeEnum::VariableSetStmt(set)) => {
            ["standard_conforming_strings", "backslash_quote"].contains(&canonical(&set.name).as_str())
        }
        _ => true,
    }
}

/// The constant that an expression is.
fn only_constant(tree: &ParseResult) -> Option<Box<str>> {
    let [statement] = tree.stmts.as_slice() else { return None };
    let Some(NodeEnum::SelectStmt(select)) = statement.stmt.as_deref().and_then(inner) else { return None };
    let [target] = select.target_list.as_slice() else { return None };
    let Some(NodeEnum::ResTarget(target)) = inner(target) else { return None };
    if !select.from_clause.is_empty()
        || select.where_clause.is_some()
        || !select.group_clause.is_empty()
        || select.having_clause.is_some()
        || !select.sort_clause.is_empty()
        || select.limit_count.is_some()
        || select.limit_offset.is_some()
    {
        return None;
    }
    match super::call::operand(target.val.as_deref()?) {
        Operand::Constant(text) => Some(text),
        Operand::Parameter(_) | Operand::Unknown => None,
    }
}
