//! A list of statements as `learn` writes it: one entry a line, sorted, so that a change of it reads well in a diff.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sql::StatementHash;

/// One statement of a list. Only its hash counts; the rest is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub hash: String,
    /// How often it ran; 0 where it was only prepared, or was refused.
    #[serde(default)]
    pub count: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<jiff::Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<jiff::Timestamp>,
    /// Sessions that sent it, where that is why it is set apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<usize>,
    /// Without values.
    #[serde(default)]
    pub text: String,
    /// What somebody wrote beside it.
    #[serde(flatten)]
    pub more: BTreeMap<String, serde_json::Value>,
}

/// The lines of a list's file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// Comments at its head.
    head: Vec<String>,
    /// With the comments in front of each.
    entries: Vec<(Vec<String>, Entry)>,
    /// Comments at its end.
    foot: Vec<String>,
}

/// Why a list can't be added to.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    #[error(
        "line {line} is no entry as `portcullis learn` writes it (- {{\"hash\": …}} on one line): {why}; add the statement by hand"
    )]
    Line { line: usize, why: String },
    #[error("line {line}: \"{hash}\" is no statement hash")]
    Hash { line: usize, hash: String },
}

impl List {
    /// With these lines of comment at its head, each without its `#`.
    pub fn new(head: impl IntoIterator<Item = String>) -> List {
        let head = head.into_iter().map(|line| format!("# {line}").trim_end().to_owned()).collect();
        List { head, ..List::default() }
    }

    /// Reads a list that `learn` wrote.
    ///
    /// # Errors
    /// A line that is neither an entry nor a comment.
    pub fn parse(text: &str) -> Result<List, ListError> {
        let mut list = List::default();
        let mut comments: Vec<String> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let number = number + 1;
            if line.is_empty() || line.starts_with('#') {
                comments.push(line.to_owned());
                continue;
            }
            let bad = |why: String| ListError::Line { line: number, why };
            let json = line.strip_prefix("- ").ok_or_else(|| bad("it does not begin with \"- \"".to_owned()))?;
            let entry: Entry = serde_json::from_str(json).map_err(|error| bad(error.to_string()))?;
            if entry.hash.parse::<StatementHash>().is_err() {
                return Err(ListError::Hash { line: number, hash: entry.hash });
            }
            let comments = std::mem::take(&mut comments);
            // What stands before the first entry is the list's own.
            if list.entries.is_empty() {
                list.head = comments;
                list.entries.push((Vec::new(), entry));
            } else {
                list.entries.push((comments, entry));
            }
        }
        if list.entries.is_empty() {
            list.head = comments;
        } else {
            list.foot = comments;
        }
        Ok(list)
    }

    /// Whether it has a statement.
    pub fn contains(&self, hash: &str) -> bool {
        self.entries.iter().any(|(_, entry)| entry.hash.eq_ignore_ascii_case(hash))
    }

    /// Adds an entry, unless its statement is listed; whether it did.
    pub fn add(&mut self, entry: Entry) -> bool {
        let new = !self.contains(&entry.hash);
        if new {
            self.extend([entry]);
        }
        new
    }

    /// Adds entries whose statements are not listed.
    pub fn extend(&mut self, entries: impl IntoIterator<Item = Entry>) {
        self.entries.extend(entries.into_iter().map(|entry| (Vec::new(), entry)));
        self.entries.sort_by(|(_, a), (_, b)| (&a.text, &a.hash).cmp(&(&b.text, &b.hash)));
    }

    /// The file's text, sorted by the statements' texts.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let mut put = |line: &str| {
            out.push_str(line);
            out.push('\n');
        };
        self.head.iter().for_each(|line| put(line));
        for (comments, entry) in &self.entries {
            comments.iter().for_each(|line| put(line));
            // These types have nothing that JSON can't hold.
            put(&format!("- {}", serde_json::to_string(entry).unwrap_or_default()));
        }
        self.foot.iter().for_each(|line| put(line));
        out
    }

    /// How many statements it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
