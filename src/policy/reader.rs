//! Decoding helpers: typed reads from YAML nodes that collect every error instead of stopping at the first.

use crate::policy::diagnostic::{Diagnostic, Place, Source, did_you_mean, one_of};
use crate::policy::yaml::{Key, Node, Value};

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub value: T,
    pub place: Place,
}

/// Reads one file and collects what is wrong with it.
pub(crate) struct Reader<'a> {
    pub source: &'a Source,
    pub findings: Vec<Diagnostic>,
}

/// The keys a mapping may have.
pub(crate) struct Known {
    /// What the mapping is, for messages: "a policy".
    pub what: &'static str,
    pub keys: &'static [&'static str],
    /// Keys of a later release, each with what is meant by it.
    pub later: &'static [(&'static str, &'static str)],
}

/// The entries of a mapping, taken one by one.
pub(crate) struct Fields<'n> {
    pub place: Place,
    entries: Vec<(&'n Key, &'n Node)>,
}

impl<'n> Fields<'n> {
    pub fn take(&mut self, key: &str) -> Option<&'n Node> {
        let index = self.entries.iter().position(|(k, _)| k.name == key)?;
        Some(self.entries.remove(index).1)
    }

    pub fn has(&self, key: &str) -> Option<Place> {
        self.entries.iter().find(|(k, _)| k.name == key).map(|(k, _)| k.place)
    }
}

impl<'a> Reader<'a> {
    pub fn new(source: &'a Source) -> Self {
        Reader { source, findings: Vec::new() }
    }

    pub fn error(&mut self, place: Place, message: impl Into<String>) {
        self.findings.push(self.source.error(place, message));
    }

    pub fn error_help(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        self.findings.push(self.source.error(place, message).help(help));
    }

    pub fn warning_help(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        self.findings.push(self.source.warning(place, message).help(help));
    }

    /// A mapping whose keys are all known: the others are reported here.
    pub fn mapping<'n>(&mut self, node: &'n Node, known: &Known) -> Option<Fields<'n>> {
        let Value::Map(entries) = &node.value else {
            self.error(node.place, format!("{} is a mapping, not {}", known.what, node.value.what()));
            return None;
        };
        let mut kept = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            if known.keys.contains(&key.name.as_str()) {
                kept.push((key, value));
            } else if let Some((name, meaning)) = known.later.iter().find(|(name, _)| *name == key.name) {
                self.error_help(
                    key.place,
                    format!("`{name}` comes with a later release"),
                    format!("take it out for now: without it, {meaning}"),
                );
            } else {
                let message = format!("unknown key \"{}\" in {}", key.name, known.what);
                match did_you_mean(&key.name, known.keys.iter().copied()) {
                    Some(near) => self.error(key.place, format!("{message}, did you mean \"{near}\"?")),
                    None => self.error_help(key.place, message, format!("known here: {}", known.keys.join(", "))),
                }
            }
        }
        Some(Fields { place: node.place, entries: kept })
    }

    /// A scalar's text.
    pub fn text(&mut self, node: &Node, what: &str) -> Option<At<String>> {
        match &node.value {
            Value::Scalar(text) => Some(At { value: text.clone(), place: node.place }),
            other => {
                self.error(node.place, format!("{what} is one word or number, not {}", other.what()));
                None
            }
        }
    }

    /// A list of scalars.
    pub fn texts(&mut self, node: &Node, what: &str) -> Vec<At<String>> {
        match &node.value {
            Value::Seq(items) => items.iter().filter_map(|item| self.text(item, what)).collect(),
            Value::Scalar(text) => {
                self.error(node.place, format!("{what} is a list: write [{text}]"));
                Vec::new()
            }
            other => {
                self.error(node.place, format!("{what} is a list, not {}", other.what()));
                Vec::new()
            }
        }
    }

    /// A list with at least one entry.
    pub fn some_texts(&mut self, node: &Node, what: &str) -> Vec<At<String>> {
        let before = self.findings.len();
        let texts = self.texts(node, what);
        if texts.is_empty() && self.findings.len() == before {
            self.error(node.place, format!("{what} is empty: it would match nothing"));
        }
        texts
    }

    /// The nodes of a list.
    pub fn nodes<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.value {
            Value::Seq(items) => items,
            Value::Null => &[],
            other => {
                self.error(node.place, format!("{what} is a list, not {}", other.what()));
                &[]
            }
        }
    }

    /// One of a few words.
    pub fn word<T: Copy>(&mut self, node: &Node, what: &str, words: &[(&'static str, T)]) -> Option<At<T>> {
        let text = self.text(node, what)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(At { value: *value, place: node.place });
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("{what} is {}, not \"{}\"", one_of(&names), text.value);
        match did_you_mean(&text.value, names.iter().copied()) {
            Some(near) => self.error_help(node.place, message, format!("did you mean \"{near}\"?")),
            None => self.error(node.place, message),
        }
        None
    }

    /// `true` or `false`.
    pub fn truth(&mut self, node: &Node, what: &str) -> Option<bool> {
        self.word(node, what, &[("true", true), ("false", false)]).map(|at| at.value)
    }
}
