//! YAML to a tree that keeps every scalar as written and every place: what `document` decodes, so that all errors of
//! a file can be reported at once. The parsing is `serde-saphyr`'s, with its budgets; what it says of a mistake is said
//! anew in `malformed`, for people who write policies.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use crate::policy::diagnostic::{Code, Place};

mod malformed;

/// One node of a document.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub place: Place,
    pub value: Value,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    /// A scalar as written: `off`, `0x10` and `1.0` stay what the author typed; quotes are gone.
    Scalar(String),
    Seq(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub place: Place,
    pub name: String,
}

impl Value {
    /// What it is, for error messages.
    pub fn what(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// A mistake in the YAML itself.
#[derive(Debug)]
pub(crate) struct Malformed {
    pub code: Code,
    pub place: Place,
    pub message: String,
    pub help: String,
}

/// The documents of a file, and what is wrong with its YAML.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// Empty documents are left out, and those that can't be read.
    pub documents: Vec<Node>,
    pub problems: Vec<Malformed>,
}

impl Parsed {
    /// Whether there may be documents that could not be read.
    pub fn is_partial(&self) -> bool {
        self.problems.iter().any(|problem| problem.code != Code::DuplicateKey)
    }
}

/// The most documents of a broken file that are looked at one by one.
const MOST_PARTS: usize = 1000;

/// Reads all documents of a file. Where one is broken the others are read all the same, so that their mistakes are told, too.
pub(crate) fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let whole = match documents(text) {
        Ok(raws) => {
            let mut nodes = Nodes { text, lines: 0, problems: &mut parsed.problems };
            parsed.documents = raws.into_iter().map(|raw| nodes.node(raw)).collect();
            return parsed;
        }
        Err(error) => error,
    };
    let parts = parts(text);
    if parts.len() < 2 {
        parsed.problems.push(malformed::told(&whole, text, 0));
        return parsed;
    }
    for (lines, part) in parts.into_iter().take(MOST_PARTS) {
        match documents(part) {
            Ok(raws) => {
                let mut nodes = Nodes { text: part, lines, problems: &mut parsed.problems };
                parsed.documents.extend(raws.into_iter().map(|raw| nodes.node(raw)));
            }
            Err(error) => parsed.problems.push(malformed::told(&error, part, lines)),
        }
    }
    // What is wrong with the whole, and with no part of it.
    if !parsed.is_partial() {
        parsed.problems.push(malformed::told(&whole, text, 0));
    }
    parsed
}

fn documents(text: &str) -> Result<Vec<Spanned<Raw>>, serde_saphyr::Error> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        merge_keys: serde_saphyr::MergeKeyPolicy::Error,
        // Ours to tell, beside everything else. (A key that is a number hides others like it, but no mapping has such keys.)
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
    };
    serde_saphyr::from_multiple_with_options(text, options)
}

/// The documents of a text, as text, each with the number of lines before it.
fn parts(text: &str) -> Vec<(u32, &str)> {
    let mut starts = vec![(0, 0)];
    let mut at = 0;
    for (number, line) in (0..).zip(text.split_inclusive('\n')) {
        let after = line.strip_prefix("---").map(|after| after.chars().next().is_none_or(char::is_whitespace));
        if at > 0 && after == Some(true) {
            starts.push((number, at));
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).map(|(_, at)| *at).chain([text.len()]);
    starts.iter().zip(ends).filter_map(|((lines, start), end)| Some((*lines, text.get(*start..end)?))).collect()
}

fn place(location: &Location, lines: u32) -> Place {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Place {
        line: number(location.line()).max(1).saturating_add(lines),
        column: number(location.column()).max(1),
        length: number(location.span().len()).max(1),
    }
}

/// Makes nodes of what serde saw.
struct Nodes<'t, 'p> {
    text: &'t str,
    /// Lines of the file before the text.
    lines: u32,
    problems: &'p mut Vec<Malformed>,
}

impl Nodes<'_, '_> {
    fn node(&mut self, raw: Spanned<Raw>) -> Node {
        let place = place(&raw.referenced, self.lines);
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Text(text) => Value::Scalar(text),
            Raw::Typed(fallback) => Value::Scalar(written(&raw.defined, self.text).unwrap_or(fallback)),
            Raw::Seq(items) => Value::Seq(items.into_iter().map(|item| self.node(item)).collect()),
            Raw::Map(entries) => self.map(entries),
        };
        Node { place, value }
    }

    fn map(&mut self, entries: Vec<(Spanned<Raw>, Spanned<Raw>)>) -> Value {
        let mut kept: Vec<(Key, Node)> = Vec::with_capacity(entries.len());
        let mut seen: HashMap<String, u32> = HashMap::with_capacity(entries.len());
        for (key, value) in entries {
            let place = self::place(&key.referenced, self.lines);
            let name = match key.value {
                Raw::Text(name) => name,
                Raw::Typed(fallback) => written(&key.defined, self.text).unwrap_or(fallback),
                Raw::Null | Raw::Seq(_) | Raw::Map(_) => {
                    self.problems.push(malformed::no_key(place));
                    continue;
                }
            };
            let value = self.node(value);
            match seen.get(&name) {
                Some(first) => self.problems.push(malformed::twice(&name, place, *first)),
                None => {
                    seen.insert(name.clone(), place.line);
                    kept.push((Key { place, name }, value));
                }
            }
        }
        Value::Map(kept)
    }
}

/// The source text of a scalar that YAML types (`on`, `64`): policies mean the text.
fn written(location: &Location, text: &str) -> Option<String> {
    let start = usize::try_from(location.span().byte_offset()?).ok()?;
    let length = usize::try_from(location.span().byte_len()?).ok()?;
    let slice = text.get(start..start.checked_add(length)?)?;
    Some(slice.trim().to_owned()).filter(|s| !s.is_empty())
}

/// A node as serde sees it.
enum Raw {
    Null,
    Text(String),
    /// A plain scalar that YAML reads as a boolean or number, with its canonical text.
    Typed(String),
    Seq(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML node")
    }
    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_bool<E>(self, v: bool) -> Result<Raw, E> {
        Ok(Raw::Typed(v.to_string()))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Raw, E> {
        Ok(Raw::Typed(v.to_string()))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Raw, E> {
        Ok(Raw::Typed(v.to_string()))
    }
    fn visit_i128<E>(self, v: i128) -> Result<Raw, E> {
        Ok(Raw::Typed(v.to_string()))
    }
    fn visit_u128<E>(self, v: u128) -> Result<Raw, E> {
        Ok(Raw::Typed(v.to_string()))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Raw, E> {
        Ok(Raw::Typed(v.to_string()))
    }
    fn visit_str<E>(self, v: &str) -> Result<Raw, E> {
        Ok(Raw::Text(v.to_owned()))
    }
    fn visit_string<E>(self, v: String) -> Result<Raw, E> {
        Ok(Raw::Text(v))
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::Seq(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents_of(text: &str) -> Vec<Node> {
        let parsed = parse(text);
        assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
        parsed.documents
    }

    fn scalar(node: &Node) -> &str {
        match &node.value {
            Value::Scalar(text) => text,
            other => panic!("{}", other.what()),
        }
    }

    #[test]
    fn scalars_come_through_as_written() {
        let docs =
            documents_of("a: off\nb: On\nc: 0x10\nd: 30s\ne: \"yes\"\nf: 1.50\ng: -1\nh: ~\ni: 007\n---\nx: [no, 1]\n");
        assert_eq!(docs.len(), 2);
        let Value::Map(entries) = &docs[0].value else { panic!() };
        let texts: Vec<_> = entries.iter().filter(|(k, _)| k.name != "h").map(|(_, v)| scalar(v)).collect();
        assert_eq!(texts, ["off", "On", "0x10", "30s", "yes", "1.50", "-1", "007"]);
        assert!(matches!(entries[7].1.value, Value::Null));
        let Value::Map(entries) = &docs[1].value else { panic!() };
        let Value::Seq(items) = &entries[0].1.value else { panic!() };
        assert_eq!(scalar(&items[0]), "no");
    }

    #[test]
    fn places_are_one_based_and_count_in_the_whole_file() {
        let docs = documents_of("a: 1\n---\nbé: {c: x}\n");
        let Value::Map(entries) = &docs[1].value else { panic!() };
        assert_eq!((entries[0].0.place.line, entries[0].0.place.column), (3, 1));
        let Value::Map(inner) = &entries[0].1.value else { panic!() };
        assert_eq!((inner[0].1.place.line, inner[0].1.place.column), (3, 9));
    }

    #[test]
    fn duplicate_keys_and_broken_yaml_have_a_place() {
        let twice = parse("a: 1\na: 2\nb: 3\n");
        assert_eq!((twice.problems.len(), twice.problems[0].place.line, twice.is_partial()), (1, 2, false));
        let Value::Map(entries) = &twice.documents[0].value else { panic!() };
        assert_eq!((entries.len(), scalar(&entries[0].1)), (2, "1"));
        assert_eq!(parse("a: [1\nb: 2\n").problems[0].place.line, 2);
    }

    #[test]
    fn a_broken_document_hides_no_other() {
        let parsed = parse("a: 1\n---\nb: [1\n---\nc: {d: e}\n--- # last\nf: \"\n");
        assert_eq!(parsed.problems.iter().map(|p| p.place.line).collect::<Vec<_>>(), [3, 7]);
        assert!(parsed.is_partial());
        assert_eq!(parsed.documents.len(), 2);
        let Value::Map(entries) = &parsed.documents[1].value else { panic!() };
        assert_eq!(entries[0].0.place.line, 5);
    }
}
