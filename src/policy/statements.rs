//! Lists of statements that an allow rule covers by their hashes: what `portcullis learn` writes (POLICY 12).

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;

use crate::detect::{Shapes, Signals};
use crate::policy::diagnostic::Place;
use crate::policy::names::{is_system_schema, is_temp};
use crate::policy::yaml::{self, Node, Value};
use crate::sql::relations::is_catalog_relation_name;
use crate::sql::settings::{Context, is_guarded, setting};
use crate::sql::{Access, ActionName, Facts, Group, Name, Object, Operand, StatementHash};

/// The ending of such a file's name.
pub(crate) const ENDING: &str = ".learned.yaml";

/// The statements of one file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct StatementList {
    hashes: HashSet<StatementHash>,
    /// How those are built whose texts the file tells. Nothing is allowed by it.
    shapes: Shapes,
}

/// What is wrong with a list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadList {
    pub place: Place,
    pub message: String,
}

/// One entry as `learn` writes it: JSON on one line, which is YAML, too. The other keys are for people.
#[derive(Deserialize)]
struct Entry<'a> {
    hash: &'a str,
    #[serde(default, borrow)]
    text: Cow<'a, str>,
}

impl StatementList {
    /// Reads the text of a list: a YAML sequence of mappings, each with a `hash`. Lines `- {JSON}` are read without the YAML
    /// parser, so that many take little time.
    ///
    /// # Errors
    /// The first thing that is no entry.
    pub(crate) fn parse(text: &str) -> Result<StatementList, BadList> {
        match StatementList::of_lines(text) {
            Some(list) => list,
            None => StatementList::of_yaml(text),
        }
    }

    /// Whether a statement is listed.
    pub fn contains(&self, hash: StatementHash) -> bool {
        self.hashes.contains(&hash)
    }

    /// How many statements this list has beyond another one's.
    pub fn beyond(&self, other: &StatementList) -> usize {
        self.hashes.difference(&other.hashes).count()
    }

    /// `None` where a line is not of the form that `learn` writes.
    fn of_lines(text: &str) -> Option<Result<StatementList, BadList>> {
        let (mut hashes, mut texts) = (HashSet::new(), Vec::new());
        for (number, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry: Entry<'_> = serde_json::from_str(line.strip_prefix("- ")?).ok()?;
            match entry.hash.parse() {
                Ok(hash) => hashes.insert(hash),
                Err(_) => {
                    let line = u32::try_from(number + 1).unwrap_or(u32::MAX);
                    return Some(Err(no_hash(Place { line, ..Place::default() }, entry.hash)));
                }
            };
            texts.push(entry.text);
        }
        let shapes = Shapes::new(texts.iter().map(Cow::as_ref));
        Some(Ok(StatementList { hashes, shapes }))
    }

    fn of_yaml(text: &str) -> Result<StatementList, BadList> {
        let parsed = yaml::parse(text);
        if let Some(bad) = parsed.problems.into_iter().next() {
            return Err(BadList { place: bad.place, message: bad.message });
        }
        let (mut hashes, mut texts) = (HashSet::new(), Vec::new());
        for node in &parsed.documents {
            let Value::Seq(entries) = &node.value else {
                let message = format!("a list of statements is a list, not {}", node.value.what());
                return Err(BadList { place: node.place, message });
            };
            for entry in entries {
                hashes.insert(hash_of(entry)?);
                texts.extend(key_of(entry, "text"));
            }
        }
        Ok(StatementList { hashes, shapes: Shapes::new(texts) })
    }

    /// Signs of an injection that an unlisted text shows beside the listed ones.
    pub(crate) fn compare(&self, text: &str, signals: &mut Signals) {
        signals.beside_learned(text, &self.shapes);
    }
}

fn hash_of(entry: &Node) -> Result<StatementHash, BadList> {
    let missing = || BadList { place: entry.place, message: "an entry without a `hash`".to_owned() };
    let text = key_of(entry, "hash").ok_or_else(missing)?;
    let place = match &entry.value {
        Value::Map(keys) => keys.iter().find(|(key, _)| key.name == "hash").map_or(entry.place, |(_, node)| node.place),
        Value::Null | Value::Scalar(_) | Value::Seq(_) => entry.place,
    };
    text.parse().map_err(|_| no_hash(place, text))
}

/// The text of one key of an entry.
fn key_of<'n>(entry: &'n Node, key: &str) -> Option<&'n str> {
    let Value::Map(keys) = &entry.value else { return None };
    match &keys.iter().find(|(known, _)| known.name == key)?.1.value {
        Value::Scalar(text) => Some(text),
        Value::Null | Value::Map(_) | Value::Seq(_) => None,
    }
}

fn no_hash(place: Place, text: &str) -> BadList {
    BadList {
        place,
        message: format!("\"{}\" is no statement hash: it has 32 hexadecimal digits", text.escape_debug()),
    }
}

/// Whether a list of statements may cover an access. What reaches out of the database, runs code, administers the server,
/// becomes another role or touches a guarded setting is allowed by a rule that says so, or not at all.
pub(crate) fn may_be_learned(facts: &Facts, access: &Access) -> bool {
    let group = access.action.name.group();
    if group.is_privileged() || group == Group::Unknown {
        return false;
    }
    match (&access.object, access.action.name) {
        (_, ActionName::SetRole | ActionName::CatalogWrite | ActionName::LargeObject) => false,
        // What only superusers set, as where libraries come from, is administration.
        (Object::Setting { name: Operand::Constant(name), .. }, _) => {
            !is_guarded(name) && setting(name).is_none_or(|setting| setting.context == Context::User)
        }
        // A sequence that only the value tells, which a deny rule may name.
        (Object::Function { .. }, ActionName::Nextval) => false,
        // The hash leaves the text out, and it may be SQL, or name a table or a file.
        (Object::Function { builtin: false, .. }, _) if facts.texts_to_functions => false,
        (Object::Relation(name), _) => !of_server(name),
        (Object::Setting { name: Operand::Parameter(_) | Operand::Unknown, .. } | Object::Unknown(_), _) => false,
        (
            Object::None
            | Object::Function { .. }
            | Object::Role(_)
            | Object::AnyRole
            | Object::Cursor(_)
            | Object::Other { .. },
            _,
        ) => true,
    }
}

/// Whether a name means one of the server's own relations, or a temporary one, or may. Most of the catalogs need no rule; those
/// that do hold secrets, values, or other people's work.
fn of_server(name: &Name) -> bool {
    match &name.schema {
        Some(schema) => is_system_schema(schema),
        None => is_catalog_relation_name(&name.name),
    }
}

/// Whether an access writes to one of the server's own tables, by a name that means one or may.
pub(crate) fn writes_catalog(access: &Access) -> bool {
    let Object::Relation(name) = &access.object else { return false };
    let schema = match &name.schema {
        Some(schema) => Some(&**schema),
        None => is_catalog_relation_name(&name.name).then_some("pg_catalog"),
    };
    access.action.name.group() == Group::Write
        && schema.is_some_and(|schema| is_system_schema(schema) && !is_temp(schema))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_list_is_read_as_it_is_written_and_as_plain_yaml() {
        let learned = format!("# by learn\n- {{\"hash\": \"{HASH}\", \"count\": 3, \"text\": \"SELECT ?\"}}\n");
        let by_hand = format!("- hash: {HASH}\n  text: SELECT ?\n");
        for text in [&learned, &by_hand] {
            let list = StatementList::parse(text).unwrap();
            assert!(list.hashes.len() == 1 && list.contains(HASH.parse().unwrap()), "{text}");
        }
        assert!(StatementList::parse("# nothing yet\n").unwrap().hashes.is_empty());
    }

    #[test]
    fn what_is_no_entry_is_an_error_with_its_place() {
        for (text, line, said) in [
            ("- {\"hash\": \"xyz\"}\n", 1, "no statement hash"),
            ("# x\n- hash: 12\n", 2, "no statement hash"),
            ("- text: SELECT 1\n", 1, "without a `hash`"),
            ("hash: 12\n", 1, "a list, not a mapping"),
            ("- [\n", 1, "not closed"),
        ] {
            let bad = StatementList::parse(text).unwrap_err();
            assert!(bad.place.line == line && bad.message.contains(said), "{text}: {bad:?}");
        }
    }
}
