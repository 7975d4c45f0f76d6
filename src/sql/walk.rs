//! The walk: from a parse tree to what its statements do. Generic over the whole tree (`children`), with hand-written
//! knowledge of the nodes that do something. What nobody wrote down is `unknown`.

mod body;
mod call;
mod ddl;
mod dispatch;
mod emit;
mod expression;
mod kinds;
mod names;
mod objects;
mod query;
mod restriction;
mod scope;
mod settings;
mod utility;

#[cfg(test)]
mod attack_tests;
#[cfg(test)]
mod body_tests;
#[cfg(test)]
mod canary_tests;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

pub(super) use kinds::known_kind;

use pg_query::ParserOptions;
use pg_query::protobuf::ParseResult;

pub(super) use kinds::kinds;

use super::{ActionName, Facts, Object, Reading, Statement, Unparsed};
use scope::Frame;

/// How many levels of the tree the walk goes down. The parser's own limit is lower for everything but shapes that nest
/// several nodes for one level of the grammar.
const MAX_DEPTH: u32 = 40_000;

/// How deep SQL may stand in strings in SQL in strings before it is `unknown`.
const MAX_STRINGS: u32 = 4;

/// What reading SQL in a string may take, in bytes, beside what was allowed for the text around it; beyond it is `unknown`.
const MAX_WEIGHT: u64 = 64 << 20;

/// Texts of at most so many bytes can't be heavier than that.
const LIGHT: usize = 4096;

/// How many comparisons of names the resolution of columns and CTEs may cost one statement (a column written down counts
/// for several). PostgreSQL's own resolution is as quadratic, so no real statement comes near.
const MAX_EFFORT: u64 = 1_000_000;

/// What the statements of a tree do.
pub(super) fn facts(text: &str, tree: &ParseResult, reading: Reading) -> Result<Facts, Unparsed> {
    nested(text, tree, reading, 0)
}

/// What a FunctionCall message does; `name`: the built-in with that OID, where it is known.
pub(super) fn function_call(oid: u32, name: Option<&str>) -> Statement {
    let call = name.map(call::of_builtin);
    let mut walker = Walker::new(Reading::default(), 0);
    match &call {
        Some(call) => {
            let function = Object::Function { name: names::dotted(&call.funcname), builtin: true };
            walker.push(ActionName::Fastpath, function);
            walker.function_call(call);
        }
        None => {
            // First, since it is what the refusal tells: allowing `fastpath` wouldn't help.
            walker.unknown(&format!("function with OID {oid} in a FunctionCall message"));
            walker.push(ActionName::Fastpath, Object::None);
        }
    }
    walker.statement
}

fn nested(text: &str, tree: &ParseResult, reading: Reading, strings: u32) -> Result<Facts, Unparsed> {
    let mut statements = Vec::with_capacity(tree.stmts.len());
    for raw in &tree.stmts {
        let Some(node) = raw.stmt.as_ref().and_then(|n| n.node.as_ref()) else { continue };
        let mut walker = Walker::new(reading, strings);
        walker.statement.default_set = settings::default_set(node);
        walker.node(node.to_ref());
        statements.push(walker.finish()?);
    }
    if !reading.server_utf8
        && let Some(what) = names::ambiguous_identifier(text)
        && let Some(first) = statements.first_mut()
    {
        first.accesses.push(emit::unknown(&what));
    }
    Ok(Facts { statements, ..Facts::default() })
}

/// Reads SQL that a string holds.
fn parse_inner(text: &str, entry: ParserOptions) -> Result<ParseResult, Unparsed> {
    if text.len() > LIGHT && super::weight(text) > MAX_WEIGHT {
        return Err(Unparsed::Internal("SQL in a string, too long to be read there".to_owned()));
    }
    super::parse::parse_as(text, entry)
}

/// One top-level statement being walked.
struct Walker<'a> {
    reading: Reading,
    statement: Statement,
    /// The queries around the node, innermost last.
    frames: Vec<Frame<'a>>,
    /// Names of the CTEs in sight, innermost last.
    ctes: Vec<&'a str>,
    /// Inside an EXPLAIN that does not execute.
    explain: bool,
    /// The schema of the CREATE SCHEMA whose elements are being walked.
    creating_in: Option<&'a str>,
    depth: u32,
    too_deep: bool,
    /// How many strings of SQL are around this one.
    strings: u32,
    effort: u64,
    /// How often each parameter is written.
    parameters: HashMap<u32, u32>,
}

impl<'a> Walker<'a> {
    fn new(reading: Reading, strings: u32) -> Walker<'a> {
        Walker {
            reading,
            statement: Statement::default(),
            frames: Vec::new(),
            ctes: Vec::new(),
            explain: false,
            creating_in: None,
            depth: 0,
            too_deep: false,
            strings,
            effort: 0,
            parameters: HashMap::new(),
        }
    }

    fn finish(mut self) -> Result<Statement, Unparsed> {
        if self.too_deep {
            return Err(Unparsed::TooDeep);
        }
        if self.effort > MAX_EFFORT {
            self.unknown("too many names to tell whose columns they are");
        }
        self.forget_shared_parameters();
        self.deduplicate();
        Ok(self.statement)
    }
}
