//! Facts and signals of an attempt at SQL injection. No IO.
//!
//! Each rule reads the parse tree (or, for comments, the text behind the last token) and can be told in one sentence:
//! [`Technique::explain`]. A signal is a reason to look, its weight says how rarely an application writes such a thing
//! itself; what is refused is the policy's matter.

mod arms;
mod comment;
mod condition;
mod constant;
mod expression;
mod foreign;
mod same;
mod shape;
mod stack;
mod tree;

use std::fmt;

use shape::Strength;
pub use shape::{Inserted, Recent, Shapes};

use crate::sql::Analysis;

/// What in a text speaks for an injection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signals {
    /// The techniques seen, each once, with its weight.
    pub signals: Vec<Signal>,
    /// What was inserted into a statement that is known.
    pub inserted: Option<Box<Inserted>>,
}

/// One sign of an injection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    pub technique: Technique,
    pub weight: u8,
}

/// The techniques that are told apart: the metric label `technique`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Technique {
    StackedStatements,
    ConstantTrue,
    ConstantCondition,
    MisplacedValue,
    UnguardedOr,
    UnionProbe,
    CommentTruncation,
    InlineComment,
    TimeDelay,
    ErrorForcing,
    ConditionalProbe,
    ClauseProbe,
    StringBuilding,
    FileProgram,
    CatalogProbe,
    ServerProbe,
    ForeignSyntax,
    Inserted,
}

impl Technique {
    /// Every technique.
    pub const ALL: &'static [Technique] = &[
        Technique::StackedStatements,
        Technique::ConstantTrue,
        Technique::ConstantCondition,
        Technique::MisplacedValue,
        Technique::UnguardedOr,
        Technique::UnionProbe,
        Technique::CommentTruncation,
        Technique::InlineComment,
        Technique::TimeDelay,
        Technique::ErrorForcing,
        Technique::ConditionalProbe,
        Technique::ClauseProbe,
        Technique::StringBuilding,
        Technique::FileProgram,
        Technique::CatalogProbe,
        Technique::ServerProbe,
        Technique::ForeignSyntax,
        Technique::Inserted,
    ];

    /// The name in metrics, logs and `explain`.
    pub fn as_str(self) -> &'static str {
        match self {
            Technique::StackedStatements => "stacked_statements",
            Technique::ConstantTrue => "constant_true",
            Technique::ConstantCondition => "constant_condition",
            Technique::MisplacedValue => "misplaced_value",
            Technique::UnguardedOr => "unguarded_or",
            Technique::UnionProbe => "union_probe",
            Technique::CommentTruncation => "comment_truncation",
            Technique::InlineComment => "inline_comment",
            Technique::TimeDelay => "time_delay",
            Technique::ErrorForcing => "error_forcing",
            Technique::ConditionalProbe => "conditional_probe",
            Technique::ClauseProbe => "clause_probe",
            Technique::StringBuilding => "string_building",
            Technique::FileProgram => "file_program",
            Technique::CatalogProbe => "catalog_probe",
            Technique::ServerProbe => "server_probe",
            Technique::ForeignSyntax => "foreign_syntax",
            Technique::Inserted => "inserted",
        }
    }

    /// The rule, in one sentence.
    pub fn explain(self) -> &'static str {
        match self {
            Technique::StackedStatements => {
                "behind a SELECT, INSERT, UPDATE or DELETE the same text holds a statement of another kind"
            }
            Technique::ConstantTrue => {
                "an arm of an OR, or a HAVING, compares constants or a column with itself, so that the condition does \
                 not depend on the data"
            }
            Technique::UnionProbe => {
                "a query that reads tables is united with a row of constants, with a catalog of the server, or with a \
                 query of another width"
            }
            Technique::CommentTruncation => {
                "the text ends in a comment that cuts off the rest of a statement: it holds an unmatched quote or \
                 parenthesis, goes on in SQL, or stands empty behind a literal"
            }
            Technique::TimeDelay => {
                "a function that only takes time (pg_sleep, a huge generate_series in a sub-query, other databases' \
                 sleep) is called within a statement"
            }
            Technique::FileProgram => "the statement reaches for files, programs, large objects or other servers",
            Technique::ConstantCondition => {
                "a condition beside AND, in CASE or in HAVING compares constants (other than the 0, 1 and true of query builders), or HAVING has nothing grouped"
            }
            Technique::MisplacedValue => {
                "a number or a text stands where a condition must, or a condition where a value must"
            }
            Technique::UnguardedOr => "behind a literal follows OR, and AND behind that, without parentheses",
            Technique::InlineComment => {
                "comments stand in the place of white space between words, or begin as only MySQL's do"
            }
            Technique::ErrorForcing => {
                "an expression can only fail, or fails as a condition says: a text that is no number is cast to one, a division by nothing, two rows for one value"
            }
            Technique::ConditionalProbe => {
                "one character or the length of a secret is compared, or a sub-query without a table makes a choice"
            }
            Technique::ClauseProbe => {
                "LIMIT or OFFSET holds a column, a condition or a query, or ORDER BY a condition or a query on nothing"
            }
            Technique::StringBuilding => {
                "literal texts are joined or computed with each other, or letters made of their codes, where one literal would do"
            }
            Technique::ServerProbe => {
                "a statement on the application's tables also asks for the server's version or settings, or makes it run a text"
            }
            Technique::ForeignSyntax => {
                "the statement uses functions, catalogs, quotes or comments of MySQL, SQL Server, Oracle or SQLite"
            }
            Technique::Inserted => {
                "the statement is one that is known, but for what was inserted where a value or a name stood, or for its cut end"
            }
            Technique::CatalogProbe => "a statement on the application's tables also asks for the server's catalog",
        }
    }
}

impl Signals {
    /// None at all.
    pub const NONE: &'static Signals = &Signals { signals: Vec::new(), inserted: None };

    /// The sum of the weights.
    pub fn score(&self) -> u32 {
        self.signals.iter().map(|s| u32::from(s.weight)).sum()
    }

    /// Adds a sign; of one technique the heaviest stays.
    fn add(&mut self, technique: Technique, weight: u8) {
        if weight == 0 {
            return;
        }
        match self.signals.iter_mut().find(|signal| signal.technique == technique) {
            Some(signal) => signal.weight = signal.weight.max(weight),
            None => self.signals.push(Signal { technique, weight }),
        }
    }
}

/// `7: constant_true(4) + comment_truncation(3)`.
impl fmt::Display for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.score())?;
        for (place, signal) in self.signals.iter().enumerate() {
            let before = if place == 0 { ": " } else { " + " };
            write!(f, "{before}{}({})", signal.technique.as_str(), signal.weight)?;
        }
        Ok(())
    }
}

/// Looks at one message's text and what it does.
pub fn signals(text: &str, analysis: &Analysis) -> Signals {
    let mut signals = Signals::default();
    tree::look(text, analysis, &mut signals);
    comment::look(text, &mut signals);
    signals.signals.sort_by_key(|signal| signal.technique);
    signals
}

impl Signals {
    /// Lays a text beside the statements of a policy's list, of which it is none.
    pub fn beside_learned(&mut self, text: &str, learned: &Shapes) {
        let Some((strength, inserted)) = learned.inserted(text) else { return };
        let weight = match strength {
            Strength::Strong => 5,
            Strength::Weak => 3,
        };
        self.add_inserted(weight, inserted);
    }

    /// Lays a text that holds values beside those that its session sent before, and remembers it for the next ones, unless
    /// its score reaches `observe_at`: what is an attempt is no model.
    pub fn beside_recent(&mut self, text: &str, recent: &mut Recent, observe_at: u32) {
        if self.inserted.is_some() {
            return;
        }
        let score = self.score();
        let weight = |strength: Strength| match strength {
            // Applications put statements together, too, but seldom these.
            Strength::Strong => 3,
            Strength::Weak => 1,
        };
        let keep = |strength: Option<Strength>| score + strength.map_or(0, |s| u32::from(weight(s))) < observe_at;
        if let Some((strength, inserted)) = recent.inserted(text, keep) {
            self.add_inserted(weight(strength), inserted);
        }
    }

    fn add_inserted(&mut self, weight: u8, inserted: Inserted) {
        self.add(Technique::Inserted, weight);
        self.inserted = Some(Box::new(inserted));
    }
}

#[cfg(test)]
mod tests;
