//! What is wrong with a policy file, as data: a place, a sentence, a help. Rendered like a compiler's error.

use std::fmt;
use std::sync::Arc;

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
        match self.place {
            Some(place) => write!(f, "{}:{}:{}: ", self.file, place.line, place.column)?,
            None => write!(f, "{}: ", self.file)?,
        }
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        f.write_str(&self.message)?;
        if let (Some(place), Some(source)) = (self.place, &self.source) {
            let number = place.line.to_string();
            let margin = " ".repeat(number.len());
            let column = place.column.saturating_sub(1) as usize;
            // Tabs are kept, so that the caret stands below its character in any terminal.
            let indent: String = source.chars().take(column).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            let room = source.chars().count().saturating_sub(column).max(1);
            let carets = "^".repeat((place.length as usize).clamp(1, room));
            write!(f, "\n {number} | {source}\n {margin} | {indent}{carets}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

/// Renders findings for a terminal, errors first, each file in order.
pub fn render(findings: &[Diagnostic]) -> String {
    let mut sorted: Vec<&Diagnostic> = findings.iter().collect();
    sorted.sort_by(|a, b| (a.severity, &a.file, a.place).cmp(&(b.severity, &b.file, b.place)));
    let texts: Vec<String> = sorted.iter().map(ToString::to_string).collect();
    texts.join("\n")
}

/// The text of one file, and the findings in it.
#[derive(Debug)]
pub(crate) struct Source {
    pub file: Arc<str>,
    pub text: String,
}

impl Source {
    pub fn error(&self, place: Place, message: impl Into<String>) -> Diagnostic {
        self.finding(Severity::Error, place, message.into())
    }

    pub fn warning(&self, place: Place, message: impl Into<String>) -> Diagnostic {
        self.finding(Severity::Warning, place, message.into())
    }

    fn finding(&self, severity: Severity, place: Place, message: String) -> Diagnostic {
        let index = (place.line as usize).saturating_sub(1);
        let source = self.text.lines().nth(index).map(|line| line.trim_end().to_owned());
        Diagnostic { severity, file: self.file.clone(), place: Some(place), message, help: None, source }
    }
}

impl Diagnostic {
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A finding about a file as a whole.
    pub(crate) fn whole(file: impl Into<Arc<str>>, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Error,
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
        .map(|candidate| (distance(&lower, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, a swap of two neighbours counting one.
fn distance(a: &str, b: &str) -> usize {
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

    #[test]
    fn a_finding_is_drawn_with_a_caret_under_the_word() {
        let source = Source { file: "p.yaml".into(), text: "a\n  actions: [selct]\n".into() };
        let place = Place { line: 2, column: 13, length: 5 };
        let text = source.error(place, "unknown action \"selct\"").help("see docs/policies.md").to_string();
        assert_eq!(
            text,
            "p.yaml:2:13: unknown action \"selct\"\n 2 |   actions: [selct]\n   |             ^^^^^\n  help: see docs/policies.md"
        );
    }
}
