//! Facts and signals of an attempt at SQL injection. No IO.
//!
//! Each rule reads the parse tree (or, for comments, the text behind the last token) and can be told in one sentence:
//! [`Technique::explain`]. A signal is a reason to look, its weight says how rarely an application writes such a thing
//! itself; what is refused is the policy's matter.

mod comment;
mod constant;
mod tree;

use std::fmt;

use crate::sql::Analysis;

/// What in a text speaks for an injection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signals {
    /// The techniques seen, each once, with its weight.
    pub signals: Vec<Signal>,
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
    UnionProbe,
    CommentTruncation,
    TimeDelay,
    FileProgram,
    CatalogProbe,
}

impl Technique {
    /// Every technique.
    pub const ALL: &'static [Technique] = &[
        Technique::StackedStatements,
        Technique::ConstantTrue,
        Technique::UnionProbe,
        Technique::CommentTruncation,
        Technique::TimeDelay,
        Technique::FileProgram,
        Technique::CatalogProbe,
    ];

    /// The name in metrics, logs and `explain`.
    pub fn as_str(self) -> &'static str {
        match self {
            Technique::StackedStatements => "stacked_statements",
            Technique::ConstantTrue => "constant_true",
            Technique::UnionProbe => "union_probe",
            Technique::CommentTruncation => "comment_truncation",
            Technique::TimeDelay => "time_delay",
            Technique::FileProgram => "file_program",
            Technique::CatalogProbe => "catalog_probe",
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
            Technique::CatalogProbe => {
                "a statement on the application's tables also asks for the server's version, settings or catalog"
            }
        }
    }
}

impl Signals {
    /// None at all.
    pub const NONE: &'static Signals = &Signals { signals: Vec::new() };

    /// The sum of the weights.
    pub fn score(&self) -> u32 {
        self.signals.iter().map(|s| u32::from(s.weight)).sum()
    }

    /// Adds a sign; of one technique the heaviest stays.
    fn add(&mut self, technique: Technique, weight: u8) {
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
    tree::look(analysis, &mut signals);
    if let Some(weight) = comment::truncation(text) {
        signals.add(Technique::CommentTruncation, weight);
    }
    signals.signals.sort_by_key(|signal| signal.technique);
    signals
}

#[cfg(test)]
mod tests;
