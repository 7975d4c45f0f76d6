//! Facts and signals of an attempt at SQL injection. No IO.

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

impl Signals {
    /// The sum of the weights.
    pub fn score(&self) -> u32 {
        self.signals.iter().map(|s| u32::from(s.weight)).sum()
    }
}

/// Looks at one message's text and what it does.
pub fn signals(_text: &str, _analysis: &Analysis) -> Signals {
    unimplemented!()
}

impl Technique {
    /// The metric label.
    pub fn as_str(self) -> &'static str { unimplemented!() }
}
