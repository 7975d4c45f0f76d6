//! The second opinion: `sqlparser` reads a text that PostgreSQL's own grammar has read, and where both can, they must
//! agree on the number of statements, what each does, and the relations it touches. A disagreement is a bug in our walk
//! or an attack on a parser. PostgreSQL's grammar stays the authority: an agreement allows nothing.

mod ddl;
mod dialect;
mod names;
mod reading;
mod statement;
mod summary;

#[cfg(test)]
mod attack_tests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::{UnwindSafe, catch_unwind};

use sqlparser::ast::{CopyTarget, Statement};
use sqlparser::parser::{Parser, ParserError};

use self::dialect::Bounded;
use super::Facts;
use super::functions::{Class, builtin};
pub use summary::Summary;

/// Longer texts are not asked about. `sqlparser` builds trees as deep as a text has operators, with two bytes to a level
/// at the least; to visit and to drop one takes a level of stack each. Twice what fits, 32,768 levels, needs less than
/// 32 MiB in a dev build; threads that read have 256 ([`super::STACK`]). The bound holds the time, too: what costs
/// `sqlparser` most (`convert(convert(…`, nested as deep as it goes) takes it some ten times what the grammar takes.
pub const MAX_BYTES: usize = 32 << 10;

/// How deep `sqlparser` goes down by recursion: its own default. What is nested deeper gets no opinion.
const MAX_DEPTH: usize = 50;

/// What the second parser makes of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opinion {
    Agrees,
    None(NoOpinion),
    Disagrees(Disagreement),
}

impl Opinion {
    /// The metric label.
    pub fn as_str(&self) -> &'static str {
        match self {
            Opinion::Agrees => "agrees",
            Opinion::None(_) => "none",
            Opinion::Disagrees(_) => "disagrees",
        }
    }
}

/// Why there is no second opinion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoOpinion {
    #[error("the text is longer than {MAX_BYTES} bytes")]
    TooLong,
    #[error("nested deeper than the second parser goes")]
    TooDeep,
    #[error("the second parser tried too many readings")]
    TooMuchWork,
    #[error("the second parser could not read it: {0}")]
    Unparsed(String),
    /// A bug of `sqlparser`'s, contained.
    #[error("the second parser panicked")]
    Panicked,
    #[error("the second parser does not read {0} as PostgreSQL does")]
    Loose(Loose),
    /// SQL in a string is read by the walk only.
    #[error("{0} runs SQL out of a string, which only one parser opens")]
    SqlInString(String),
}

/// What `sqlparser` accepts and reads otherwise than PostgreSQL, or so coarsely that there is nothing to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loose {
    /// The body is a string for one parser and statements for the other.
    FunctionBody,
    /// `ONLY t` is read as a table called `only` with the alias `t`.
    Only,
    /// `SHOW` of MySQL and Snowflake (`SHOW TABLES`) where PostgreSQL sees the name of a setting.
    Show,
    /// Redshift's VACUUM: PostgreSQL's words for options are taken for the table.
    Vacuum,
    /// Hive's ANALYZE: PostgreSQL's options and lists of tables are lost.
    Analyze,
    /// What follows COPY … FROM STDIN in one text is read as its rows, as a script for psql has them.
    CopyData,
    /// `TABLE t` loses the quotes of the name, and with them whether it was folded.
    TableCommand,
    /// `LIKE t` after the first column is read as a column called `like` of type `t`.
    LikeColumn,
    /// A word that begins a clause is taken for a column.
    ReservedWord,
}

impl fmt::Display for Loose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Loose::FunctionBody => "the bodies of functions",
            Loose::Only => "ONLY",
            Loose::Show => "SHOW",
            Loose::Vacuum => "VACUUM",
            Loose::Analyze => "ANALYZE",
            Loose::CopyData => "what follows COPY FROM STDIN",
            Loose::TableCommand => "TABLE",
            Loose::LikeColumn => "LIKE in CREATE TABLE",
            Loose::ReservedWord => "reserved words",
        })
    }
}

/// Both readings of a text, where they differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// By PostgreSQL's grammar and our walk.
    pub postgresql: Vec<Summary>,
    /// By `sqlparser`.
    pub second: Vec<Summary>,
}

impl fmt::Display for Disagreement {
    /// What differs: the number of statements, or the first that is read differently.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ours, theirs) = (self.postgresql.len(), self.second.len());
        if ours != theirs {
            return write!(f, "statements by PostgreSQL's grammar: {ours}; by the second parser: {theirs}");
        }
        let differing = self.postgresql.iter().zip(&self.second).find(|(ours, theirs)| !ours.agrees(theirs));
        let Some((ours, theirs)) = differing else { return Ok(()) };
        write!(f, "PostgreSQL's grammar: {ours}; the second parser: {theirs}")
    }
}

/// Both readings, whatever comes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    pub postgresql: Vec<Summary>,
    pub second: Result<Vec<Summary>, NoOpinion>,
}

impl Compared {
    /// Reads a text a second time. Needs a large stack ([`super::STACK`]).
    pub fn of(text: &str, facts: &Facts) -> Compared {
        let postgresql: Vec<Summary> = facts.statements.iter().map(Summary::of_facts).collect();
        Compared { second: second(text, facts), postgresql }
    }

    /// What follows from them.
    pub fn opinion(&self) -> Opinion {
        let second = match &self.second {
            Err(none) => return Opinion::None(none.clone()),
            Ok(second) => second,
        };
        let same = self.postgresql.len() == second.len()
            && self.postgresql.iter().zip(second).all(|(ours, theirs)| ours.agrees(theirs));
        match same {
            true => Opinion::Agrees,
            false => Opinion::Disagrees(Disagreement { postgresql: self.postgresql.clone(), second: second.clone() }),
        }
    }
}

/// Whether both lexers must cut a text into the same tokens, whatever its literals hold: ASCII without comments, backslashes,
/// dollar quotes, Unicode escapes and numbers with letters (`0x10`, `1_000`, `1e5`). Of such texts those with an equal hash have
/// an equal second opinion.
pub fn is_plainly_spelled(text: &str) -> bool {
    // In a word that begins with a digit; in any word.
    let (mut number, mut word) = (false, false);
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let next = bytes.peek().copied();
        let plain = match byte {
            b'\\' => false,
            b'$' => next.is_some_and(|next| next.is_ascii_digit()),
            b'-' => next != Some(b'-'),
            b'/' => next != Some(b'*'),
            b'&' => !matches!(next, Some(b'\'' | b'"')),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => !number,
            b' '..=b'~' | b'\n' | b'\r' | b'\t' => true,
            _ => false,
        };
        if !plain {
            return false;
        }
        let part = byte.is_ascii_alphanumeric() || byte == b'_';
        number = part && if word { number } else { byte.is_ascii_digit() };
        word = part;
    }
    true
}

/// Asks the second parser about a text that has Facts. Needs a large stack ([`super::STACK`]).
pub fn compare(text: &str, facts: &Facts) -> Opinion {
    Compared::of(text, facts).opinion()
}

fn second(text: &str, facts: &Facts) -> Result<Vec<Summary>, NoOpinion> {
    if text.len() > MAX_BYTES {
        return Err(NoOpinion::TooLong);
    }
    let mut functions = facts.statements.iter().flat_map(|statement| &statement.functions);
    if let Some(name) = functions.find(|name| runs_sql(name)) {
        return Err(NoOpinion::SqlInString(name.clone()));
    }
    contained(|| read(text, facts.statements.len()))
}

/// A panic of the second parser's costs its opinion, nothing else. (A stack that overflows can't be caught: the bounds
/// above see to that.)
fn contained<T>(read: impl FnOnce() -> Result<T, NoOpinion> + UnwindSafe) -> Result<T, NoOpinion> {
    catch_unwind(read).unwrap_or(Err(NoOpinion::Panicked))
}

/// Reads a text of which PostgreSQL's grammar made so many statements.
fn read(text: &str, expected: usize) -> Result<Vec<Summary>, NoOpinion> {
    let dialect = Bounded::of(text);
    let parser = Parser::new(&dialect).with_recursion_limit(MAX_DEPTH);
    let statements = parser.try_with_sql(text).and_then(|mut parser| parser.parse_statements());
    let statements = statements.map_err(|error| match error {
        ParserError::RecursionLimitExceeded if dialect.is_exhausted() => NoOpinion::TooMuchWork,
        ParserError::RecursionLimitExceeded => NoOpinion::TooDeep,
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => NoOpinion::Unparsed(message),
    })?;
    if let Some(Statement::Copy { to: false, target: CopyTarget::Stdin, .. }) = statements.last()
        && statements.len() < expected
    {
        return Err(NoOpinion::Loose(Loose::CopyData));
    }
    statements.iter().map(|statement| reading::summary(statement).map_err(NoOpinion::Loose)).collect()
}

fn runs_sql(function: &str) -> bool {
    let name = function.strip_prefix("pg_catalog.").unwrap_or(function);
    builtin(name).is_some_and(|known| known.class == Class::SqlInString)
}
