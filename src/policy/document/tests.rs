//! The tables of keys and the decoder say the same: what is in a table is read, and not as anything else.

use super::keys;
use super::shape::{Key, Known, Shape};
use crate::policy::compile;
use crate::policy::diagnostic::{Diagnostic, Source};
use crate::policy::words::List;

const WHO: &str = "policy: p\napplies_to: {users: [a]}\n";

/// A document in which the entry stands in such a mapping, as its last line.
fn around(known: &Known, key: &Key, entry: &str) -> String {
    let allow = key.only == Some(List::Allow);
    let rule = |rest: &str| {
        format!("{WHO}{}:\n  - rule: r\n    actions: [select]\n{rest}", if allow { "allow" } else { "deny" })
    };
    match (known.name, key.name) {
        ("policy", "policy") => format!("applies_to: {{users: [a]}}\n{entry}"),
        ("policy", "applies_to") => format!("policy: p\n{entry}"),
        ("policy", _) => format!("{WHO}{entry}"),
        ("applies_to", "users") => format!("policy: p\napplies_to:\n  {entry}"),
        ("applies_to", _) => format!("policy: p\napplies_to:\n  users: [a]\n  {entry}"),
        ("require" | "injection" | "limits", _) => format!("{WHO}{}:\n  {entry}", known.name),
        ("client_cert", _) => format!("{WHO}require:\n  client_cert:\n    {entry}"),
        ("rule", "rule") => format!("{WHO}deny:\n  - {entry}"),
        ("rule", "actions") => format!("{WHO}deny:\n  - rule: r\n    {entry}"),
        ("rule", _) => rule(&format!("    {entry}")),
        ("when", _) => rule(&format!("    when:\n      {entry}")),
        ("test", "allow" | "deny" | "login" | "steps") => format!("{WHO}tests:\n  - {entry}"),
        ("test", _) => format!("{WHO}tests:\n  - deny: SELECT 1\n    {entry}"),
        ("step", "allow" | "deny") => format!("{WHO}tests:\n  - steps:\n    - {entry}"),
        ("step", _) => format!("{WHO}tests:\n  - steps:\n    - deny: SELECT 1\n      {entry}"),
        ("as", _) => format!("{WHO}tests:\n  - deny: SELECT 1\n    as:\n      {entry}"),
        (name, _) => panic!("no document for {name}"),
    }
}

fn findings(text: &str) -> Vec<Diagnostic> {
    let source = Source::new("p.yaml", text);
    compile::file(&source, &mut |_| Err(std::io::ErrorKind::NotFound.into())).findings
}

/// Something that the shape is not.
fn wrong(shape: &Shape) -> &'static str {
    match shape {
        Shape::Mapping(_) | Shape::Pins | Shape::Rules(..) => "word",
        Shape::Text
        | Shape::Parameter
        | Shape::Label
        | Shape::Glob
        | Shape::Words(_)
        | Shape::Number
        | Shape::Size
        | Shape::Delay
        | Shape::Rate
        | Shape::Over
        | Shape::Hours
        | Shape::Timestamp
        | Shape::Address
        | Shape::Network
        | Shape::Action
        | Shape::Column
        | Shape::Pattern
        | Shape::Setting
        | Shape::StatementList
        | Shape::Some(_)
        | Shape::Any(_)
        | Shape::OneOrMore(_) => "{x: [y]}",
    }
}

#[test]
fn every_key_in_the_tables_is_read_and_its_shape_is_looked_at() {
    let mut keys = 0;
    for known in keys::ALL {
        for key in known.keys {
            let text = around(known, key, &format!("{}: {}", key.name, wrong(&key.shape)));
            let line = u32::try_from(text.lines().count()).unwrap();
            let told = findings(&text);
            let here = told.iter().any(|finding| finding.place.is_some_and(|place| place.line == line));
            assert!(here, "{}.{} is not looked at:\n{text}\n{told:#?}", known.name, key.name);
            keys += 1;
        }
    }
    assert!(keys > 60, "{keys}");
}

#[test]
fn every_word_in_the_tables_is_taken_and_no_other() {
    for known in keys::ALL {
        for key in known.keys {
            let Shape::Words(words) = &key.shape else { continue };
            for (word, _) in words.list() {
                let told = findings(&around(known, key, &format!("{}: {word}", key.name)));
                let refused = told.iter().any(|finding| finding.message.contains(&format!("not \"{word}\"")));
                assert!(!refused, "{}.{}: {word}: {told:#?}", known.name, key.name);
            }
            let told = findings(&around(known, key, &format!("{}: nonsense", key.name)));
            assert!(told.iter().any(|finding| finding.message.contains("\"nonsense\"")), "{}.{}", known.name, key.name);
        }
    }
}
