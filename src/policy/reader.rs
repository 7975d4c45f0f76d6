//! Decoding helpers: typed reads from YAML nodes that collect every error instead of stopping at the first.

use crate::policy::diagnostic::{Code, Diagnostic, Place, Source, did_you_mean, distance, one_of};
use crate::policy::document::keys;
use crate::policy::document::shape::{Known, Word};
use crate::policy::names::spelling::pieces;
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

/// The entries of a mapping, taken one by one.
pub(crate) struct Fields<'n> {
    entries: Vec<(&'n Key, &'n Node)>,
    /// Keys that something misspelt stands for: that they are missing has been told.
    meant: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    pub fn take(&mut self, key: &str) -> Option<&'n Node> {
        let index = self.entries.iter().position(|(k, _)| k.name == key)?;
        Some(self.entries.remove(index).1)
    }

    pub fn has(&self, key: &str) -> Option<Place> {
        self.entries.iter().find(|(k, _)| k.name == key).map(|(k, _)| k.place)
    }

    /// Whether a key was misspelt: what seems to be missing may be that.
    pub fn misspelt(&self) -> bool {
        !self.meant.is_empty()
    }

    /// A key that must be there; where it is not, that is told at `place`.
    pub fn need(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        place: Place,
        missing: (&str, &str),
    ) -> Option<&'n Node> {
        let taken = self.take(key);
        if taken.is_none() && !self.meant.contains(&key) {
            reader.help(Code::MissingKey, place, missing.0, missing.1);
        }
        taken
    }
}

impl<'a> Reader<'a> {
    pub fn new(source: &'a Source) -> Self {
        Reader { source, findings: Vec::new() }
    }

    /// A finding without a help: where the message says what to do.
    pub fn find(&mut self, code: Code, place: Place, message: impl Into<String>) {
        self.findings.push(self.source.finding(code, place, message));
    }

    /// A finding, and what to do.
    pub fn help(&mut self, code: Code, place: Place, message: impl Into<String>, help: impl Into<String>) {
        self.findings.push(self.source.finding(code, place, message).help(help));
    }

    /// A mapping whose keys are all known: the others are reported here.
    pub fn mapping<'n>(&mut self, node: &'n Node, known: &'static Known) -> Option<Fields<'n>> {
        let Value::Map(entries) = &node.value else {
            let message = format!("{} is a mapping of keys to values, not {}", known.what, node.value.what());
            let help = match &node.value {
                Value::Seq(_) => format!("write it like `{}`, without `- ` or brackets around it", known.example),
                Value::Null | Value::Scalar(_) | Value::Map(_) => format!("write it like `{}`", known.example),
            };
            self.help(Code::WrongShape, node.place, message, help);
            return None;
        };
        if entries.is_empty() && known.needs_a_key() {
            let message = format!("{} is empty: it says nothing", known.what);
            self.help(Code::EmptyList, node.place, message, "say what is meant, or take the key out");
        }
        let mut fields = Fields { entries: Vec::with_capacity(entries.len()), meant: vec![] };
        for (key, value) in entries {
            if known.names().any(|name| name == key.name) {
                fields.entries.push((key, value));
            } else {
                fields.meant.extend(self.unknown_key(key, entries, known));
            }
        }
        Some(fields)
    }

    /// Tells of a key that there is not. The result is the one that it seems to mean.
    fn unknown_key(&mut self, key: &Key, entries: &[(Key, Node)], known: &Known) -> Option<&'static str> {
        let message = format!("unknown key \"{}\" in {}", key.name, known.what);
        // `policy:shop`, without the space.
        if let Some((name, value)) = key.name.split_once(':')
            && let Some(name) = known.names().find(|known| *known == name)
        {
            self.help(Code::UnknownKey, key.place, message, format!("put a space after the colon: `{name}: {value}`"));
            return Some(name);
        }
        let near = did_you_mean(&key.name, known.names());
        let far = near.is_none_or(|near| distance(&key.name, near) > 1);
        if far && let Some(other) = keys::ALL.iter().find(|other| other.names().any(|name| name == key.name)) {
            let help = match other.what == keys::POLICY.what {
                true => {
                    format!("`{}` belongs to the policy itself: begin its line in the column of `policy:`", key.name)
                }
                false => format!("`{}` belongs in {}, like `{}`", key.name, other.what, other.example),
            };
            self.help(Code::UnknownKey, key.place, message, help);
            return None;
        }
        let absent = known.names().filter(|name| !entries.iter().any(|(key, _)| key.name == *name));
        // Rather one that isn't there than one that stands in the next line.
        let near = did_you_mean(&key.name, absent).or_else(|| did_you_mean(&key.name, known.names()));
        match near {
            Some(near) => self.find(Code::UnknownKey, key.place, format!("{message}, did you mean \"{near}\"?")),
            None => {
                let names: Vec<&str> = known.names().collect();
                self.help(Code::UnknownKey, key.place, message, format!("known here: {}", names.join(", ")));
            }
        }
        known.names().find(|name| Some(*name) == near)
    }

    /// A scalar's text.
    pub fn text(&mut self, node: &Node, what: &str) -> Option<At<String>> {
        match &node.value {
            Value::Scalar(text) => Some(At { value: text.clone(), place: node.place }),
            Value::Null => {
                let help = "write one behind the colon, or take the key out";
                self.help(Code::WrongShape, node.place, format!("{what} has no value"), help);
                None
            }
            other @ (Value::Seq(_) | Value::Map(_)) => {
                let message = format!("{what} is a single value, not {}", other.what());
                self.help(
                    Code::WrongShape,
                    node.place,
                    message,
                    "write one value, in quotes if it has brackets or a colon",
                );
                None
            }
        }
    }

    /// A list of scalars.
    pub fn texts(&mut self, node: &Node, what: &str) -> Vec<At<String>> {
        match &node.value {
            Value::Seq(items) => {
                items.iter().filter_map(|item| self.text(item, &format!("an entry of {what}"))).collect()
            }
            Value::Scalar(text) => {
                let message = format!("{what} is a list, not a single value");
                let entries = entries(what, text).iter().map(|entry| quoted(entry)).collect::<Vec<_>>().join(", ");
                self.help(Code::WrongShape, node.place, message, format!("put it in brackets: `{what}: [{entries}]`"));
                Vec::new()
            }
            other @ (Value::Null | Value::Map(_)) => {
                self.no_list(node.place, what, other);
                Vec::new()
            }
        }
    }

    fn no_list(&mut self, place: Place, what: &str, value: &Value) {
        let message = format!("{what} is a list, not {}", value.what());
        let help = match value {
            Value::Null => format!("write its entries in brackets, `{what}: [a, b]`, or take the key out"),
            Value::Scalar(_) | Value::Seq(_) | Value::Map(_) => "begin each entry with `- `".to_owned(),
        };
        self.help(Code::WrongShape, place, message, help);
    }

    /// A list with at least one entry.
    pub fn some_texts(&mut self, node: &Node, what: &str) -> Vec<At<String>> {
        let before = self.findings.len();
        let texts = self.texts(node, what);
        if texts.is_empty() && self.findings.len() == before {
            let message = format!("{what} is empty: it would match nothing");
            self.help(Code::EmptyList, node.place, message, "name what is meant, or take the key out");
        }
        texts
    }

    /// Tells of a list without entries, and what would come of it.
    pub fn not_empty(&mut self, node: &Node, what: &str, otherwise: &str) {
        if matches!(&node.value, Value::Seq(items) if items.is_empty()) {
            let message = format!("{what} is empty: {otherwise}");
            self.help(Code::EmptyList, node.place, message, "name what is meant, or take the key out");
        }
    }

    /// The nodes of a list.
    pub fn nodes<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.value {
            Value::Seq(items) => items,
            Value::Null => {
                let message = format!("{what} is a list, not {}", node.value.what());
                let help = "begin each entry below it with `- `; for an empty list write `[]`, or take the key out";
                self.help(Code::WrongShape, node.place, message, help);
                &[]
            }
            other @ (Value::Scalar(_) | Value::Map(_)) => {
                self.no_list(node.place, what, other);
                &[]
            }
        }
    }

    /// One of a few words.
    pub fn word<T: Copy>(&mut self, node: &Node, what: &str, words: &[Word<T>]) -> Option<At<T>> {
        let text = self.text(node, what)?;
        if let Some(word) = words.iter().find(|word| word.word == text.value) {
            return Some(At { value: word.value, place: node.place });
        }
        let names: Vec<&str> = words.iter().map(|word| word.word).collect();
        let message = format!("{what} is {}, not \"{}\"", one_of(&names), text.value);
        match did_you_mean(&text.value, names.iter().copied()) {
            Some(near) => self.help(Code::UnknownWord, node.place, message, format!("did you mean \"{near}\"?")),
            None => self.help(Code::UnknownWord, node.place, message, said(words)),
        }
        None
    }
}

/// What each word says.
fn said<T>(words: &[Word<T>]) -> String {
    let said: Vec<String> = words.iter().map(|word| format!("{}: {}", word.word, word.doc)).collect();
    said.join("; ")
}

/// The entries that somebody meant who wrote them as one text.
fn entries(what: &str, text: &str) -> Vec<String> {
    let parted = |text: &str| -> Vec<String> {
        let parted = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        parted.map(str::to_owned).collect()
    };
    let entries = match what {
        // A quoted part may hold anything.
        "tables" | "functions" | "columns" | "objects" | "decoys" if !text.contains('"') => pieces(text),
        "actions" => pieces(text),
        // Of `search_path=api,public` the comma is part of the value.
        "settings" if text.contains('=') => Vec::new(),
        _ if text.contains('"') => Vec::new(),
        _ => parted(text),
    };
    if entries.is_empty() { vec![text.to_owned()] } else { entries }
}

/// A value as it can stand between brackets.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
    match text.starts_with(char::is_alphanumeric) && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}
