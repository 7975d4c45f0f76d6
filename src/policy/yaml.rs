//! YAML to a tree that keeps every scalar as written and every place: what `document` decodes, so that all errors of
//! a file can be reported at once. The parsing is `serde-saphyr`'s, with its budgets and its refusal of duplicate keys.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use crate::policy::diagnostic::Place;

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
            Value::Scalar(_) => "a scalar",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Why a file is no YAML.
#[derive(Debug)]
pub(crate) struct Malformed {
    pub place: Place,
    pub message: String,
}

/// Reads all documents of a file. Empty documents are left out.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, Malformed> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        merge_keys: serde_saphyr::MergeKeyPolicy::Error,
    };
    let raws: Vec<Spanned<Raw>> = serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        Malformed { place: error.location().map(|l| place(&l)).unwrap_or_default(), message: plain_message(&error) }
    })?;
    Ok(raws.into_iter().map(|raw| node(raw, text)).collect())
}

/// The message without the position that the parser appends: the diagnostic shows it itself.
fn plain_message(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    match line.split_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => line.to_owned(),
    }
}

fn place(location: &Location) -> Place {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Place {
        line: number(location.line()).max(1),
        column: number(location.column()).max(1),
        length: number(location.span().len()).max(1),
    }
}

fn node(raw: Spanned<Raw>, text: &str) -> Node {
    let place = place(&raw.referenced);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Text(text) => Value::Scalar(text),
        Raw::Typed(fallback) => Value::Scalar(written(&raw.defined, text).unwrap_or(fallback)),
        Raw::Seq(items) => Value::Seq(items.into_iter().map(|item| node(item, text)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let name = match &key.value {
                        Raw::Text(name) => name.clone(),
                        Raw::Typed(fallback) => written(&key.defined, text).unwrap_or_else(|| fallback.clone()),
                        Raw::Null | Raw::Seq(_) | Raw::Map(_) => "?".to_owned(),
                    };
                    (Key { place: self::place(&key.referenced), name }, node(value, text))
                })
                .collect(),
        ),
    };
    Node { place, value }
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

    fn scalar(node: &Node) -> &str {
        match &node.value {
            Value::Scalar(text) => text,
            other => panic!("{}", other.what()),
        }
    }

    #[test]
    fn scalars_come_through_as_written() {
        let docs = parse("a: off\nb: On\nc: 0x10\nd: 30s\ne: \"yes\"\nf: 1.50\ng: -1\nh: ~\ni: 007\n---\nx: [no, 1]\n")
            .unwrap();
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
        let docs = parse("a: 1\n---\nbé: {c: x}\n").unwrap();
        let Value::Map(entries) = &docs[1].value else { panic!() };
        assert_eq!((entries[0].0.place.line, entries[0].0.place.column), (3, 1));
        let Value::Map(inner) = &entries[0].1.value else { panic!() };
        assert_eq!((inner[0].1.place.line, inner[0].1.place.column), (3, 9));
    }

    #[test]
    fn duplicate_keys_and_broken_yaml_have_a_place() {
        assert_eq!(parse("a: 1\na: 2\n").unwrap_err().place.line, 2);
        assert_eq!(parse("a: [1\nb: 2\n").unwrap_err().place.line, 2);
    }
}
