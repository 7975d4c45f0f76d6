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
pub mod probing;
mod same;
mod shape;
mod stack;
mod strings;
mod technique;
mod tree;

use std::fmt;

use shape::Strength;
pub use shape::{Inserted, Recent, Shapes};
pub use technique::Technique;

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
        debug_assert!(technique.weights().contains(&weight), "{technique:?} of {weight}");
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
