//! What is told of a text, made once for each text and not once for each time that it runs.

use std::sync::Arc;

use serde::Serialize;

use crate::audit::event::Text;
use crate::detect::Signals;
use crate::sql::{self, Facts};

/// The fields of a text as JSON, ready to stand in a line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Told {
    json: Arc<str>,
}

/// The longest fields of a text that are told with its Facts, in bytes.
const LONGEST_FACTS: usize = 128 << 10;

/// The longest text of which more than its beginning is told, in bytes.
const LONGEST: usize = 16 << 10;

impl Told {
    /// Of a text that was read.
    pub fn of(text: &str, facts: &Facts, signals: &Signals) -> Told {
        let inserted = signals.inserted.as_deref();
        let (inserted, into) = (
            inserted.map(|inserted| inserted.part.clone()),
            inserted.and_then(|inserted| inserted.into.as_deref().map(str::to_owned)),
        );
        let hash = facts.hash.filter(|_| !facts.secret).map(|hash| hash.to_string());
        let signals =
            signals.signals.iter().map(|signal| (signal.technique.as_str().to_owned(), signal.weight)).collect();
        let text =
            Text { hash, statement: redacted(text), signals, inserted, into, facts: Some(facts.without_values()) };
        let told = Told::new(&text);
        // Thousands of objects make a line that nobody reads and that stands in the way of others.
        if told.bytes() > LONGEST_FACTS { Told::new(&Text { facts: None, ..text }) } else { told }
    }

    /// Of a text that wasn't read; empty for none at all.
    pub fn unread(text: &str) -> Told {
        Told::new(&Text { statement: redacted(text), ..Text::default() })
    }

    fn new(text: &Text) -> Told {
        // These types have nothing that JSON can't hold.
        let json = serde_json::to_string(text).unwrap_or_else(|_| "{}".to_owned());
        Told { json: json.into() }
    }

    /// What it occupies, in bytes.
    pub fn bytes(&self) -> usize {
        self.json.len()
    }

    /// Its fields, to follow others of an object: `,"hash":…`, or nothing.
    pub(super) fn fields(&self) -> &str {
        self.json.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default()
    }
}

fn redacted(text: &str) -> String {
    let end = (0..=LONGEST.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    sql::redacted(text.get(..end).unwrap_or_default())
}

/// A line: its time and event, and the fields of a text that was made before.
pub(super) fn line(event: &impl Serialize, text: Option<&Told>) -> Option<String> {
    let mut line = serde_json::to_string(event).ok()?;
    if let Some(fields) = text.map(Told::fields).filter(|fields| !fields.is_empty()) {
        line.pop();
        line.push(',');
        line.push_str(fields);
        line.push('}');
    }
    line.push('\n');
    Some(line)
}
