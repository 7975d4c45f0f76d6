//! What a verdict was taken to depend on besides the text: how and when it comes, and what the session did before.

use std::collections::BTreeSet;

use serde::Serialize;

use super::coming::Coming;
use super::printable;
use crate::policy::{Hinge, SessionPolicy, UnknownName};
use crate::sql::{Facts, NameUse};

/// A rule whose conditions on how and when a statement comes decide.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub(super) struct Condition {
    pub rule: String,
    pub file: String,
    pub line: u32,
    /// `allow` or `deny`.
    pub list: &'static str,
    /// The conditions hold.
    pub holds: bool,
    /// Those that hold, or those that don't.
    pub when: Vec<String>,
    /// What it speaks about: `update orders`.
    pub accesses: Vec<String>,
    /// The options that say otherwise.
    #[serde(skip)]
    options: BTreeSet<&'static str>,
}

/// A name that the session must have made before.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub(super) struct SessionName {
    /// `prepared statement` or `cursor`.
    pub kind: &'static str,
    pub name: String,
    /// How the statement fails without it.
    pub sqlstate: &'static str,
}

/// The conditions that decide, each rule once: of a refusal those without which it would pass, of a permission those without
/// which it would not.
pub(super) fn conditions(hinges: &[Hinge], refused: bool) -> Vec<Condition> {
    let mut conditions: Vec<Condition> = Vec::new();
    for Hinge { statement: _, access, rule, allows, holds, circumstances } in hinges {
        // What would refuse a statement that is refused anyhow is of no use, nor is what would allow one that passes.
        if (*allows == *holds) == refused {
            continue;
        }
        let Some((file, line)) = rule.file_and_line() else { continue };
        let what = access.as_ref().map_or_else(
            || "the statement".to_owned(),
            |access| printable(format!("{} {}", access.action, access.object).trim_end()),
        );
        let condition = Condition {
            rule: rule.title().into_owned(),
            file: file.to_owned(),
            line,
            list: if *allows { "allow" } else { "deny" },
            holds: *holds,
            when: circumstances.iter().map(|circumstance| circumstance.told.clone()).collect(),
            accesses: Vec::new(),
            options: circumstances.iter().map(|circumstance| circumstance.option).collect(),
        };
        let same =
            |other: &&mut Condition| (&other.rule, &other.file, other.line) == (&condition.rule, &condition.file, line);
        match conditions.iter_mut().find(same) {
            Some(known) if known.accesses.contains(&what) => {}
            Some(known) => known.accesses.push(what),
            None => conditions.push(Condition { accesses: vec![what], ..condition }),
        }
    }
    conditions
}

impl Condition {
    /// `rule soon (shop.yaml:12) allows update orders, but only from 2027-01-01T00:00:00Z on`
    pub fn sentence(&self) -> String {
        let Condition { rule, file, line, accesses, .. } = self;
        let what = few(accesses);
        let when = self.when.join(" and ");
        let options: Vec<&str> = self.options.iter().copied().collect();
        let told = match (self.list, self.holds) {
            ("allow", true) => format!("rule {rule} ({file}:{line}) allows {what} only {when}"),
            ("allow", false) => format!("rule {rule} ({file}:{line}) allows {what}, but only {when}"),
            (_, true) => format!("deny rule {rule} ({file}:{line}) refuses {what} only {when}"),
            (_, false) => format!("deny rule {rule} ({file}:{line}) would refuse {what} {when}"),
        };
        format!("{told} (asked by {})", options.join(", "))
    }
}

/// Three of them, and how many more.
fn few(what: &[String]) -> String {
    const FEW: usize = 3;
    let told: Vec<&str> = what.iter().take(FEW).map(String::as_str).collect();
    match what.len().saturating_sub(FEW) {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}

/// The names that a text uses without making them, where the session is refused without them.
pub(super) fn names(facts: &Facts, session: &SessionPolicy) -> Vec<SessionName> {
    let (mut prepared, mut cursors) = (BTreeSet::new(), BTreeSet::new());
    let mut needed: Vec<SessionName> = Vec::new();
    for name in facts.statements.iter().flat_map(|statement| &statement.names) {
        let unknown = match name {
            NameUse::Prepare(name) => {
                prepared.insert(&**name);
                continue;
            }
            NameUse::Declare { cursor, .. } => {
                cursors.insert(&**cursor);
                continue;
            }
            NameUse::Execute(name) if !prepared.contains(&**name) => UnknownName::PreparedStatement(name),
            NameUse::Fetch(name) | NameUse::CloseCursor(Some(name)) if !cursors.contains(&**name) => {
                UnknownName::Cursor(name)
            }
            NameUse::Execute(_) | NameUse::Fetch(_) | NameUse::CloseCursor(_) | NameUse::Deallocate(_) => continue,
        };
        // A rule may allow cursors that the session did not make.
        if session.judge_unknown_name(unknown).is_clear() {
            continue;
        }
        let (kind, name, sqlstate) = match unknown {
            UnknownName::PreparedStatement(name) => ("prepared statement", name, "26000"),
            UnknownName::Cursor(name) | UnknownName::Portal(name) => ("cursor", name, "34000"),
        };
        let name = SessionName { kind, name: name.to_owned(), sqlstate };
        if !needed.contains(&name) {
            needed.push(name);
        }
    }
    needed
}

impl SessionName {
    fn sentence(&self) -> String {
        let SessionName { kind, name, sqlstate } = self;
        let name = printable(name);
        match *kind {
            "cursor" => format!(
                "cursor \"{name}\" must have been declared in the session before: else this is refused ({sqlstate}). What it \
                 reads was judged at its DECLARE"
            ),
            _ => format!(
                "prepared statement \"{name}\" must have been made in the session before: else this is refused ({sqlstate}). \
                 What it does is judged as what was prepared"
            ),
        }
    }
}

/// Everything to note, as sentences.
pub(super) fn sentences(
    facts: &Facts,
    coming: &Coming,
    conditions: &[Condition],
    names: &[SessionName],
) -> Vec<String> {
    let mut notes = Vec::new();
    if facts.statements.is_empty() {
        notes.push("the text holds no statement: an empty query, which every session may send".to_owned());
    }
    if facts.statements.len() > 1 && !coming.extended(facts) && !coming.is_simple() {
        notes.push("several statements in one message can only come as a simple query: judged so".to_owned());
    }
    notes.extend(names.iter().map(SessionName::sentence));
    notes.extend(conditions.iter().map(Condition::sentence));
    notes
}
