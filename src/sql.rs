//! SQL text to [`Facts`]: what a statement does, by PostgreSQL's own grammar. No IO.

pub(crate) mod children;
pub mod encoding;
pub mod facts;
pub mod functions;
mod hash;
mod parse;
mod plpgsql;
mod recorded;
mod redact;
pub mod relations;
pub mod second_opinion;
pub mod settings;
pub mod skeleton;
mod walk;
mod weight;

pub use hash::{NoHash, StatementHash, of_unread as hash_of_unread};
pub(crate) use parse::tokens;
pub use redact::redacted;
pub use weight::weight;

pub use facts::{
    Access, Action, ActionName, Columns, Facts, Group, Name, NameUse, Object, Operand, SettingValue, Statement,
};

/// How the text is to be read; follows the session.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// False where `server_encoding` is not UTF8: unquoted non-ASCII identifiers are then `unknown` (DESIGN §5).
    pub server_utf8: bool,
    /// Major version of the server; 0 where it isn't known, and then the newest.
    pub server_major: u32,
}

impl Default for Reading {
    fn default() -> Self {
        Reading { server_utf8: true, server_major: 0 }
    }
}

/// Why a text has no Facts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unparsed {
    /// PostgreSQL's grammar refuses it: SQLSTATE 42601, PostgreSQL's message, and the 1-based character position
    /// where it is certain.
    #[error("{message}")]
    Syntax { message: String, position: Option<usize> },
    /// Nested deeper than the parser goes (54001).
    #[error("stack depth limit exceeded")]
    TooDeep,
    /// The parser's answer could not be read.
    #[error("the parser's answer could not be read: {0}")]
    Internal(String),
}

/// A text read: its parse tree (for `detect`) and its Facts.
#[derive(Debug)]
pub struct Analysis {
    pub tree: pg_query::protobuf::ParseResult,
    pub facts: Facts,
}

/// Reads a text with PostgreSQL's grammar. Needs a large stack (see `sql::STACK`).
///
/// # Errors
/// The text is not a statement of this grammar, or is nested too deeply.
pub fn analyse(text: &str, reading: Reading) -> Result<Analysis, Unparsed> {
    let tree = parse::parse(text)?;
    let facts = walk::facts(text, &tree, reading)?;
    let hash::Marks { hash, parts, inline, texts_to_functions, secret } = hash::marks(text, &tree);
    let facts = Facts { hash, parts, inline, texts_to_functions, secret, ..facts };
    Ok(Analysis { tree, facts })
}

/// Whether PostgreSQL's grammar reads a text. Needs a large stack.
pub(crate) fn is_read(text: &str) -> bool {
    parse::parse(text).is_ok()
}

/// Gives a text its hash that has none because it is long: where a block must be held against everything.
pub fn hash_however_long(text: &str, analysis: &mut Analysis) {
    if analysis.facts.hash.is_none()
        && let Some((hash, parts)) = hash::of_any_length(text, &analysis.tree)
    {
        (analysis.facts.hash, analysis.facts.parts) = (Some(hash), parts);
    }
}

/// What a FunctionCall message does on a server of this major version: `fastpath` on the function, and everything that a
/// call by name does whose arguments nobody knows. A function that the tables don't know is `unknown`.
pub fn function_call(oid: u32, server_major: u32) -> Facts {
    let statements = vec![walk::function_call(oid, functions::by_oid(oid, server_major))];
    Facts { statements, ..Facts::default() }
}

/// The kinds of objects and sub-commands that an action may have, as in `create:index`; none where it has no kinds.
pub fn kinds(action: ActionName) -> Vec<&'static str> {
    walk::kinds(action)
}

/// The stack that a thread needs to analyse any text: virtual memory, touched only by deep statements. The deepest tree
/// that the parser lets through (4,960 levels of `1+1+…`, `f(f(…` or `NOT (NOT (…`) needs 152 MiB in a dev build.
pub const STACK: usize = 256 << 20;

/// The major version of PostgreSQL whose grammar reads the texts (pg_query 18).
pub const GRAMMAR_MAJOR: u32 = 18;
