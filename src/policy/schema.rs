//! The JSON Schema of policy files (draft-07, which editors' YAML servers know best), made of the tables that the decoder
//! reads by. It knows keys, shapes and words; what takes more thought (names that must be unique, pins that can't be)
//! is `portcullis check`'s.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::policy::compile::reserved;
use crate::policy::document::keys;
use crate::policy::document::shape::{Key, Known, Shape};
use crate::policy::statements;
use crate::policy::words::{self, List};
use crate::sql::settings::{Context, all};

/// Of policies: `schema/policy.json`.
pub fn policy() -> String {
    document(&keys::POLICY, "A policy of Portcullis")
}

/// Of files that hold tests only (`*.test.yaml`): `schema/tests.json`.
pub fn tests() -> String {
    document(&keys::TESTS, "Tests of a policy of Portcullis")
}

fn document(known: &'static Known, title: &str) -> String {
    let mut maker = Maker::default();
    let mut root = maker.mapping(known, None);
    if let Value::Object(root) = &mut root {
        root.insert("$schema".into(), json!("http://json-schema.org/draft-07/schema#"));
        root.insert("title".into(), json!(title));
        root.insert("definitions".into(), json!(maker.definitions));
    }
    // The program builds every value itself: it is one that can be written.
    let mut text = serde_json::to_string_pretty(&root).unwrap_or_default();
    text.push('\n');
    text
}

/// Makes definitions as they are needed.
#[derive(Default)]
struct Maker {
    definitions: BTreeMap<String, Value>,
}

impl Maker {
    /// A mapping as it stands in a rule of this list.
    fn mapping(&mut self, known: &'static Known, list: Option<List>) -> Value {
        let may = |key: &&Key| key.only.is_none() || list.is_none() || key.only == list;
        let mut properties = BTreeMap::new();
        for key in known.keys.iter().filter(may) {
            let mut schema = self.shape(&key.shape, list);
            if let Value::Object(schema) = &mut schema {
                // Beside a `$ref` nothing counts, in draft-07.
                if let Some(reference) = schema.remove("$ref") {
                    schema.insert("allOf".into(), json!([{ "$ref": reference }]));
                }
                schema.insert("description".into(), json!(key.doc));
            }
            properties.insert(key.name, schema);
        }
        let required: Vec<&str> = known.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
        let mut schema = json!({
            "type": "object",
            "description": known.doc,
            "properties": properties,
            "additionalProperties": false,
        });
        if let Value::Object(schema) = &mut schema {
            if !required.is_empty() {
                schema.insert("required".into(), json!(required));
            }
            if known.needs_a_key() {
                schema.insert("minProperties".into(), json!(1));
            }
            if !known.one_of.is_empty() {
                let one_of: Vec<Value> = known.one_of.iter().map(|key| json!({ "required": [key] })).collect();
                schema.insert("oneOf".into(), json!(one_of));
            }
        }
        schema
    }

    /// A reference to the definition of a mapping.
    fn reference(&mut self, known: &'static Known, list: Option<List>) -> Value {
        let depends = list.is_some() && known.keys.iter().any(depends_on_list);
        let (name, list) = match list {
            Some(List::Allow) if depends => (format!("allow_{}", known.name), list),
            Some(List::Deny) if depends => (format!("deny_{}", known.name), list),
            Some(List::Allow | List::Deny) | None => (known.name.to_owned(), None),
        };
        if !self.definitions.contains_key(&name) {
            // Before it is made: what refers to itself finds it.
            self.definitions.insert(name.clone(), Value::Null);
            let mut made = self.mapping(known, list);
            if let (Value::Object(made), Some(List::Allow), "rule") = (&mut made, list, known.name) {
                made.insert("anyOf".into(), json!([{ "required": ["actions"] }, { "required": ["statements"] }]));
            }
            self.definitions.insert(name.clone(), made);
        }
        json!({ "$ref": format!("#/definitions/{name}") })
    }

    fn define(&mut self, name: &str, schema: impl FnOnce() -> Value) -> Value {
        self.definitions.entry(name.to_owned()).or_insert_with(schema);
        json!({ "$ref": format!("#/definitions/{name}") })
    }

    fn shape(&mut self, shape: &Shape, list: Option<List>) -> Value {
        match shape {
            Shape::Text => text(),
            Shape::Parameter => json!({ "type": ["string", "number", "boolean", "null"] }),
            Shape::Label => self.define("name", || {
                let reserved: Vec<&str> = reserved().collect();
                json!({
                    "type": ["string", "number", "boolean"],
                    // Letters, digits, `-`, `_` and `.`: everything but the rest of ASCII.
                    "pattern": "^[^\\u0000-\\u002c/:-@\\[-\\^`{-\\u007f]{1,63}$",
                    "not": { "enum": reserved },
                })
            }),
            Shape::Glob => text(),
            Shape::Words(words) => one_of(words.list()),
            Shape::Number => number("^[0-9]+$", "A whole number from 1 on."),
            Shape::Size => number("^\\s*[0-9]+\\s*(B|KiB|kB|MiB|MB|GiB|GB)?\\s*$", "A size: 64KiB, 1MiB."),
            Shape::Delay => json!({ "type": "string", "pattern": "^[0-9]+\\s*(ms|s|m|min|h|d)\\s*$" }),
            Shape::Rate => json!({ "type": "string", "pattern": "^\\s*[0-9]+\\s*/\\s*(second|minute|hour|day)\\s*$" }),
            Shape::Over => json!({ "type": "string", "pattern": "^\\s*>\\s*[0-9]+\\s*$" }),
            Shape::Hours => json!({ "type": "string", "pattern": "[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}\\s+[A-Za-z]" }),
            Shape::Timestamp => {
                json!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}" })
            }
            Shape::Address => json!({ "type": "string", "pattern": "^[0-9A-Fa-f:.]+$" }),
            Shape::Network => json!({ "type": "string", "pattern": "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$" }),
            Shape::Action => self.define("action", action),
            Shape::Column => json!({ "type": "string", "pattern": "\\." }),
            Shape::Pattern => text(),
            Shape::Setting => text(),
            Shape::StatementList => {
                json!({ "type": "string", "pattern": format!("{}$", statements::ENDING.replace('.', "\\.")) })
            }
            Shape::Pins => pins(),
            Shape::Some(entry) => {
                json!({ "type": "array", "minItems": 1, "items": self.shape(entry, list) })
            }
            Shape::Any(entry) => json!({ "type": "array", "items": self.shape(entry, list) }),
            Shape::OneOrMore(entry) => {
                let entry = self.shape(entry, list);
                json!({ "anyOf": [entry, { "type": "array", "minItems": 1, "items": entry }] })
            }
            Shape::Mapping(known) => self.reference(known, list),
            Shape::Rules(list, known) => {
                json!({ "type": "array", "items": self.reference(known, Some(*list)) })
            }
        }
    }
}

/// Whether a key is another in allow rules than in deny rules.
fn depends_on_list(key: &Key) -> bool {
    let inner = match &key.shape {
        Shape::Mapping(known) => known.keys.iter().any(depends_on_list),
        _ => false,
    };
    key.only.is_some() || inner
}

/// Any single value: what YAML takes for a number or a truth is text to a policy.
fn text() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}

fn number(pattern: &str, doc: &str) -> Value {
    json!({ "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "string", "pattern": pattern }], "description": doc })
}

/// One of a few words. `true` and `false` are no text to YAML.
fn one_of(words: Vec<(&'static str, &'static str)>) -> Value {
    let value = |word: &str| match word {
        "true" => json!([true, word]),
        "false" => json!([false, word]),
        word => json!([word]),
    };
    let values: Vec<Value> =
        words.iter().flat_map(|(word, _)| value(word).as_array().cloned().unwrap_or_default()).collect();
    let said = |value: &Value| {
        let word =
            value.as_bool().map_or_else(|| value.as_str().unwrap_or_default().to_owned(), |truth| truth.to_string());
        words.iter().find(|(known, _)| *known == word).map_or("", |(_, said)| said)
    };
    let told: Vec<&str> = values.iter().map(said).collect();
    // Known to VS Code's server, no part of the standard, so ignored by others.
    json!({ "enum": values, "enumDescriptions": told })
}

fn action() -> Value {
    let plain: Vec<&str> = words::words().chain(words::pgaudit()).collect();
    let kinds: Vec<Value> = words::words_with_kind()
        .map(|(name, kinds)| json!({ "pattern": format!("^{}:({})$", name.as_str(), kinds.join("|")) }))
        .collect();
    let mut alternatives = vec![json!({ "enum": plain })];
    alternatives.extend(kinds);
    json!({
        "type": "string",
        "description": "An action, a group of actions, one of pgAudit's classes, or an action with its kind: create:index.",
        "anyOf": alternatives,
    })
}

fn pins() -> Value {
    let value = |unit: &str, values: &[&str]| {
        let mut schema = text();
        if let Value::Object(schema) = &mut schema {
            let said = match (values, unit) {
                ([], "") => None,
                ([], unit) => Some(format!("In {unit}, or with a unit.")),
                (values, _) => Some(format!("One of {}.", values.join(", "))),
            };
            if let Some(said) = said {
                schema.insert("description".into(), json!(said));
            }
        }
        schema
    };
    // For completion. Names don't depend on capitals, and extensions have their own: others are `check`'s to judge.
    let known: BTreeMap<&str, Value> = all()
        .iter()
        .filter(|setting| setting.context == Context::User)
        .map(|setting| (setting.name, value(setting.unit, setting.values)))
        .collect();
    json!({ "type": "object", "properties": known, "additionalProperties": text(), "minProperties": 1 })
}
