//! What is wrong with a policy file, as data: a code, a place, a sentence, a help. `render` shows it to people and programs.

mod code;
pub mod manual;
mod pages;
mod render;

use std::fmt;
use std::sync::Arc;

pub use code::{Code, UnknownCode};
pub use render::{Look, github, human, json};

/// A place in a file: 1-based line and column, and a length, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: u32,
    pub column: u32,
    pub length: u32,
}

impl Default for Place {
    fn default() -> Self {
        Place { line: 1, column: 1, length: 1 }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The set is not loaded.
    Error,
    /// The set is loaded; a human should look.
    Warning,
}

impl Severity {
    /// The word that is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One finding in a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub code: Code,
    /// The code's.
    pub severity: Severity,
    pub file: Arc<str>,
    /// `None` where the file as a whole is meant (it can't be read).
    pub place: Option<Place>,
    pub message: String,
    pub help: Option<String>,
    /// The source line, for the caret.
    pub source: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render::one(self, &Look::PLAIN))
    }
}

/// Renders findings without colours, errors first, each file in order.
pub fn render(findings: &[Diagnostic]) -> String {
    human(findings, &Look::PLAIN)
}

/// The text of one file, and the findings in it.
#[derive(Debug)]
pub(crate) struct Source {
    pub file: Arc<str>,
    pub text: String,
    /// Where each line starts, in bytes.
    lines: Vec<usize>,
}

impl Source {
    pub fn new(file: impl Into<Arc<str>>, text: impl Into<String>) -> Source {
        let text = text.into();
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Source { file: file.into(), text, lines }
    }

    pub fn finding(&self, code: Code, place: Place, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            severity: code.severity(),
            file: self.file.clone(),
            place: Some(place),
            message: message.into(),
            help: None,
            source: self.line(place.line),
        }
    }

    /// Where a word stands in a line; its beginning where it does not.
    pub fn place_of(&self, line: u32, word: &str) -> Place {
        let text = self.line(line).unwrap_or_default();
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        match text.split_once(word) {
            Some((before, _)) => {
                Place { line, column: number(before.chars().count() + 1), length: number(word.chars().count().max(1)) }
            }
            None => Place { line, ..Place::default() },
        }
    }

    /// The text of a line; `None` where it has none.
    fn line(&self, number: u32) -> Option<String> {
        let start = *self.lines.get((number as usize).checked_sub(1)?)?;
        let line = self.text.get(start..)?.lines().next()?;
        // A mark of the byte order is no character of the line.
        let line = line.strip_prefix('\u{feff}').unwrap_or(line);
        Some(line.trim_end().to_owned()).filter(|line| !line.is_empty())
    }
}

impl Diagnostic {
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A finding about a file as a whole.
    pub(crate) fn whole(code: Code, file: impl Into<Arc<str>>, message: impl Into<String>) -> Self {
        Diagnostic {
            code,
            severity: code.severity(),
            file: file.into(),
            place: None,
            message: message.into(),
            help: None,
            source: None,
        }
    }
}

/// The known word nearest to a mistyped one, where one is near enough to be meant.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = match word.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    let lower = word.to_ascii_lowercase();
    known
        .into_iter()
        .map(|candidate| (distance(&lower, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, a swap of two neighbours counting one.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut last = '\0';
    for (i, ca) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, &cb) in b.iter().enumerate() {
            let at = |row: &[usize], k: usize| row.get(k).copied().unwrap_or(usize::MAX - 1);
            let mut cost = (at(&row, j) + usize::from(ca != cb)).min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            if j > 0 && last == cb && b.get(j - 1) == Some(&ca) {
                cost = cost.min(at(&before, j - 1) + 1);
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut row, next);
        last = ca;
    }
    row.last().copied().unwrap_or(0)
}

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [head @ .., last] => format!("{} or {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_are_near_or_none() {
        let known = ["select", "insert", "set", "sleep"];
        assert_eq!(did_you_mean("selct", known), Some("select"));
        assert_eq!(did_you_mean("SELECT", known), Some("select"));
        assert_eq!(did_you_mean("inesrt", known), Some("insert"));
        assert_eq!(did_you_mean("truncate", known), None);
        assert_eq!(did_you_mean("x", known), None);
    }
}
