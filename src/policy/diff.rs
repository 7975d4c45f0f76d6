//! What two sets of policies say differently, for the log and for who reads it a year later.
//!
//! The documents are compared as they are written, key by key, without places, comments and order of keys. So no key of the
//! language can be forgotten here; and a file that was only tidied up is no difference. Of a list of statements, the hashes
//! are compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::sync::Arc;

use serde::Serialize;

use crate::policy::compile::{self, holds_tests};
use crate::policy::diagnostic::Source;
use crate::policy::statements::StatementList;
use crate::policy::yaml::{self, Node, Value};

/// The most names of one list that a summary shows.
const NAMES: usize = 6;
/// The most characters that a summary has.
const LENGTH: usize = 800;

/// What differs between two sets. `Display` is one line of at most 800 characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// Policies that are new, by name.
    pub added: Vec<String>,
    /// Policies that are gone.
    pub removed: Vec<String>,
    /// Policies that say something else.
    pub changed: Vec<PolicyDiff>,
}

/// What differs in one policy that both sets have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyDiff {
    pub policy: String,
    /// Rules of `allow` and `deny` that are new, by name.
    pub rules_added: Vec<String>,
    /// Rules that are gone.
    pub rules_removed: Vec<String>,
    /// Rules that say something else, or went from `allow` to `deny` or back.
    pub rules_changed: Vec<String>,
    /// Rules whose list of statements has others than before.
    pub statements: Vec<ListDiff>,
    /// The other keys of the document whose values differ: `mode`, `limits`, `search_path` …
    pub keys: Vec<String>,
}

/// How many statements of a rule's list differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListDiff {
    pub rule: String,
    pub added: usize,
    pub removed: usize,
}

impl Diff {
    pub(super) fn between(old: &Outline, new: &Outline) -> Diff {
        let Sides { added, removed, changed } = Sides::of(&old.0, &new.0);
        let changed = changed.into_iter().map(|(name, old, new)| {
            let rules = Sides::of(&old.rules, &new.rules);
            let keys = Sides::of(&old.keys, &new.keys);
            PolicyDiff {
                policy: name,
                rules_added: rules.added,
                rules_removed: rules.removed,
                rules_changed: rules.changed.into_iter().map(|(name, ..)| name).collect(),
                statements: lists(&old.lists, &new.lists),
                keys: keys.all(),
            }
        });
        Diff { added, removed, changed: changed.collect() }
    }

    /// Nothing differs in what the policies say.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing changed");
        }
        let mut parts = Vec::new();
        parts.extend(list("added", &self.added));
        parts.extend(list("removed", &self.removed));
        let changed: Vec<String> = self.changed.iter().map(ToString::to_string).collect();
        parts.extend(list("changed", &changed));
        let text = parts.join("; ");
        match text.char_indices().nth(LENGTH) {
            None => f.write_str(&text),
            Some(_) => {
                text.chars().take(LENGTH - 1).try_for_each(|c| f.write_char(c))?;
                f.write_char('…')
            }
        }
    }
}

/// `shop (rules added: a, b; keys: mode)`.
impl fmt::Display for PolicyDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = [
            list("rules added", &self.rules_added),
            list("rules removed", &self.rules_removed),
            list("rules changed", &self.rules_changed),
            list("statements", &self.statements.iter().map(ToString::to_string).collect::<Vec<_>>()),
            list("keys", &self.keys),
        ]
        .into_iter()
        .flatten()
        .collect();
        write!(f, "{} ({})", self.policy, parts.join("; "))
    }
}

/// `learned (1 added, 2 removed)`.
impl fmt::Display for ListDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ListDiff { rule, added, removed } = self;
        match (added, removed) {
            (added, 0) => write!(f, "{rule} ({added} added)"),
            (0, removed) => write!(f, "{rule} ({removed} removed)"),
            (added, removed) => write!(f, "{rule} ({added} added, {removed} removed)"),
        }
    }
}

/// The rules whose lists differ, new and gone ones among them.
fn lists(old: &Lists, new: &Lists) -> Vec<ListDiff> {
    let none = Arc::default();
    let rules: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differ = rules.into_iter().map(|rule| {
        let (old, new) = (old.get(rule).unwrap_or(&none), new.get(rule).unwrap_or(&none));
        ListDiff { rule: rule.clone(), added: new.beyond(old), removed: old.beyond(new) }
    });
    differ.filter(|list| list.added + list.removed > 0).collect()
}

/// `added: a, b and 3 more`; nothing for an empty list.
fn list(what: &str, names: &[String]) -> Option<String> {
    let shown: Vec<&str> = names.iter().take(NAMES).map(String::as_str).collect();
    let more = names.len().saturating_sub(NAMES);
    match (shown.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(format!("{what}: {}", shown.join(", "))),
        (false, more) => Some(format!("{what}: {} and {more} more", shown.join(", "))),
    }
}

/// The documents of a set by name, as they are written.
#[derive(Debug, Default)]
pub(super) struct Outline(BTreeMap<String, Policy>);

/// One document: each value as a text that is the same where the value is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Policy {
    rules: BTreeMap<String, String>,
    keys: BTreeMap<String, String>,
    lists: Lists,
}

/// Lists of statements by their rules' names.
type Lists = BTreeMap<String, Arc<StatementList>>;

impl Outline {
    /// Of files that make a set without errors, and what they were compiled to; what is none is left out.
    pub fn new(sources: &[Source], compiled: &[compile::Policy]) -> Outline {
        let documents = sources
            .iter()
            .filter(|source| !holds_tests(&source.file))
            .flat_map(|source| yaml::parse(&source.text).documents);
        let mut policies = BTreeMap::new();
        for document in documents {
            let Value::Map(entries) = &document.value else { continue };
            let mut policy = Policy::default();
            let mut name = String::new();
            for (key, node) in entries {
                match (key.name.as_str(), &node.value) {
                    ("policy", Value::Scalar(text)) => name.clone_from(text),
                    (list @ ("allow" | "deny"), Value::Seq(rules)) => policy.rules(list, rules),
                    (other, _) => {
                        policy.keys.insert(other.to_owned(), canonical(node));
                    }
                }
            }
            let compiled = compiled.iter().filter(|compiled| *compiled.name == *name);
            for rule in compiled.flat_map(|policy| &policy.allow) {
                policy.lists.extend(rule.statements.iter().map(|list| (rule.name.to_string(), Arc::clone(list))));
            }
            policies.insert(name, policy);
        }
        Outline(policies)
    }
}

impl Policy {
    /// The rules of one list, each with the list's name in its value.
    fn rules(&mut self, list: &str, rules: &[Node]) {
        for rule in rules {
            let name = match &rule.value {
                Value::Map(entries) => entries.iter().find(|(key, _)| key.name == "rule").map(|(_, node)| node),
                Value::Null | Value::Scalar(_) | Value::Seq(_) => None,
            };
            let Some(Node { value: Value::Scalar(name), .. }) = name else { continue };
            self.rules.insert(name.clone(), format!("{list} {}", canonical(rule)));
        }
    }
}

/// A value without its places, and with the keys of mappings in order.
fn canonical(node: &Node) -> String {
    match &node.value {
        Value::Null => "~".to_owned(),
        Value::Scalar(text) => format!("{text:?}"),
        Value::Seq(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Map(entries) => {
            let entries: BTreeMap<&str, String> =
                entries.iter().map(|(key, node)| (key.name.as_str(), canonical(node))).collect();
            let entries: Vec<String> = entries.into_iter().map(|(key, value)| format!("{key:?}:{value}")).collect();
            format!("{{{}}}", entries.join(","))
        }
    }
}

/// Two maps side by side.
struct Sides<'a, V> {
    added: Vec<String>,
    removed: Vec<String>,
    /// Name, old and new value.
    changed: Vec<(String, &'a V, &'a V)>,
}

impl<'a, V: PartialEq> Sides<'a, V> {
    fn of(old: &'a BTreeMap<String, V>, new: &'a BTreeMap<String, V>) -> Sides<'a, V> {
        let missing = |here: &BTreeMap<String, V>, there: &BTreeMap<String, V>| {
            here.keys().filter(|name| !there.contains_key(*name)).cloned().collect()
        };
        let both = old.iter().filter_map(|(name, old)| Some((name.clone(), old, new.get(name)?)));
        Sides {
            added: missing(new, old),
            removed: missing(old, new),
            changed: both.filter(|(_, old, new)| old != new).collect(),
        }
    }

    /// All names that differ, in order.
    fn all(self) -> Vec<String> {
        let names: BTreeSet<String> =
            self.added.into_iter().chain(self.removed).chain(self.changed.into_iter().map(|(name, ..)| name)).collect();
        names.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: &str = "policy: shop
applies_to: {users: [shop_app]}
search_path: [public]
allow:
  - {rule: read, actions: [select], tables: [orders]}
  - {rule: write, actions: [insert], tables: [orders]}
deny:
  - {rule: secrets, tables: [secrets]}
";

    fn outline(files: &[&str]) -> Outline {
        let source = |text: &&str| Source::new("x.yaml", *text);
        Outline::new(&files.iter().map(source).collect::<Vec<_>>(), &[])
    }

    fn diff(old: &[&str], new: &[&str]) -> Diff {
        Diff::between(&outline(old), &outline(new))
    }

    #[test]
    fn what_is_only_written_differently_is_no_difference() {
        let tidied = "# by the DBA\nallow:\n- tables: [\"orders\"]\n  rule: read\n  actions:\n  - select\n- {rule: write, actions: [insert], tables: [orders]}\npolicy: 'shop'\nsearch_path: [public]\ndeny: [{rule: secrets, tables: [secrets]}]\napplies_to:\n  users: [shop_app]\n";
        let none = diff(&[SHOP], &[tidied]);
        assert!(none.is_empty(), "{none:?}");
        assert_eq!(none.to_string(), "nothing changed");
        let other = SHOP.replace("shop", "other");
        assert!(diff(&[SHOP, &other], &[&format!("{other}---\n{SHOP}")]).is_empty(), "in other files");
    }

    #[test]
    fn policies_come_go_and_change() {
        let other = SHOP.replace("policy: shop", "policy: other");
        let third = SHOP.replace("policy: shop", "policy: third");
        let changed = SHOP
            .replace("search_path: [public]", "search_path: [public, app]\nmode: observe")
            .replace("actions: [insert]", "actions: [insert, update]")
            .replace(
                "  - {rule: read, actions: [select], tables: [orders]}\n",
                "  - {rule: look, actions: [select], tables: [orders]}\n",
            );
        let diff = diff(&[SHOP, &other], &[&changed, &third]);
        assert_eq!(
            diff.to_string(),
            "added: third; removed: other; changed: shop (rules added: look; rules removed: read; rules changed: write; \
             keys: mode, search_path)"
        );
        assert_eq!(
            serde_json::to_value(&diff).unwrap(),
            serde_json::json!({
                "added": ["third"],
                "removed": ["other"],
                "changed": [{
                    "policy": "shop",
                    "rules_added": ["look"],
                    "rules_removed": ["read"],
                    "rules_changed": ["write"],
                    "statements": [],
                    "keys": ["mode", "search_path"],
                }],
            })
        );
    }

    #[test]
    fn every_part_of_a_document_counts() {
        for (from, to, part) in [
            ("[shop_app]", "[shop_app, x]", "keys: applies_to"),
            ("search_path: [public]\n", "", "keys: search_path"),
            ("search_path: [public]\n", "search_path: [public]\nlimits: {depth: 9}\n", "keys: limits"),
            ("search_path: [public]\n", "search_path: [public]\npin: {statement_timeout: 5s}\n", "keys: pin"),
            ("[select]", "[select, insert]", "rules changed: read"),
            ("tables: [secrets]", "tables: [secrets], mode: observe", "rules changed: secrets"),
            ("deny:\n", "", "rules changed: secrets"),
            ("rule: secrets, tables: [secrets]", "rule: secrets, tables: [secrets, \"~\"]", "rules changed: secrets"),
        ] {
            let diff = diff(&[SHOP], &[&SHOP.replace(from, to)]);
            assert_eq!(diff.to_string(), format!("changed: shop ({part})"), "{from} to {to}");
        }
        // The order of a list may matter: that of a path does.
        let two = SHOP.replace("[public]", "[a, b]");
        assert!(!diff(&[&two], &[&two.replace("[a, b]", "[b, a]")]).is_empty());
    }

    #[test]
    fn a_summary_is_one_line_of_bounded_length() {
        let many: Vec<String> = (0..500).map(|n| SHOP.replace("policy: shop", &format!("policy: p{n:03}"))).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(diff(&[], &many).to_string(), "added: p000, p001, p002, p003, p004, p005 and 494 more");
        let long = format!("r{}", "ü".repeat(62));
        let rules: String =
            (0..20).map(|n| format!("  - {{rule: {n}{long}, actions: [select], tables: [a]}}\n")).collect();
        let all: Vec<String> = many.iter().map(|text| text.replace("deny:\n", &format!("deny:\n{rules}"))).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let text = diff(&many, &all).to_string();
        assert_eq!(text.chars().count(), LENGTH);
        assert!(text.ends_with('…') && !text.contains('\n'), "{text}");
        assert_eq!(diff(&many, &all).changed.len(), 500, "the fields hold all of it");
    }
}
