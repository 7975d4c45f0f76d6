//! What the self-test found: a table for people, documents for programs, and the page of known attacks.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Accepted;
use crate::attacks::{self, Attack, GROUPS, Group, Seen};
use crate::cli::junit::{self, Case, CaseResult};
use crate::policy::PolicySet;
use crate::selftest::{Outcome, Tried};

// Writing to a `String` does not fail: its results are dropped.

/// What one attack came to under one policy: the worst of its ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    NotHere,
    NeedsServer,
    Permitted,
    Stopped,
    Accepted,
    Failed,
    Open,
}

impl Standing {
    const ALL: [Standing; 7] = [
        Standing::Stopped,
        Standing::Permitted,
        Standing::Accepted,
        Standing::NeedsServer,
        Standing::NotHere,
        Standing::Failed,
        Standing::Open,
    ];

    fn of(outcome: &Outcome) -> Standing {
        match outcome {
            Outcome::Stopped | Outcome::Harmless => Standing::Stopped,
            Outcome::Open(_) => Standing::Open,
            Outcome::Permitted(_) => Standing::Permitted,
            Outcome::NotHere(_) => Standing::NotHere,
            Outcome::NeedsServer => Standing::NeedsServer,
            Outcome::Failed(_) => Standing::Failed,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Standing::Stopped => "stopped",
            Standing::Permitted => "permitted",
            Standing::Accepted => "accepted",
            Standing::NeedsServer => "needs server",
            Standing::NotHere => "not here",
            Standing::Failed => "failed",
            Standing::Open => "open",
        }
    }
}

/// One way of an attack, for people.
fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Stopped => "refused, nothing changed".to_owned(),
        Outcome::Harmless => "not refused, and harmless: the session's settings are fixed".to_owned(),
        Outcome::Open(what) => what.clone(),
        Outcome::Permitted(deed) => format!("the policy lets it pass where it is said openly: {deed}"),
        Outcome::NotHere(why) | Outcome::Failed(why) => why.clone(),
        Outcome::NeedsServer => "only a server can tell: --scratch".to_owned(),
    }
}

/// An attack under a policy.
#[derive(Debug)]
struct Entry<'a> {
    attack: &'static Attack,
    standing: Standing,
    tried: Vec<&'a Tried>,
}

/// Everything that was found.
#[derive(Debug)]
pub(super) struct Report<'a> {
    how: String,
    /// Policies that stop nothing.
    observing: Vec<Arc<str>>,
    policies: Vec<(Arc<str>, Vec<Entry<'a>>)>,
}

impl<'a> Report<'a> {
    pub(super) fn new(set: &PolicySet, results: &'a [Tried], accepted: &Accepted, how: String) -> Report<'a> {
        let observing =
            set.overview().filter(|(_, mode, _)| *mode == "observe").map(|(name, ..)| name.clone()).collect();
        let mut policies: Vec<(Arc<str>, Vec<Entry<'a>>)> = Vec::new();
        for tried in results {
            let standing = match Standing::of(&tried.outcome) {
                Standing::Open if accepted.accepts(tried) => Standing::Accepted,
                standing => standing,
            };
            let known = policies.iter().position(|(policy, _)| *policy == tried.policy);
            let at = known.unwrap_or_else(|| {
                policies.push((tried.policy.clone(), Vec::new()));
                policies.len() - 1
            });
            let Some((_, entries)) = policies.get_mut(at) else { continue };
            match entries.last_mut().filter(|entry| entry.attack.code == tried.attack.code) {
                Some(entry) => {
                    entry.standing = entry.standing.max(standing);
                    entry.tried.push(tried);
                }
                None => entries.push(Entry { attack: tried.attack, standing, tried: vec![tried] }),
            }
        }
        Report { how, observing, policies }
    }

    fn count(&self, standing: Standing) -> usize {
        self.policies.iter().map(|(_, entries)| of(entries, standing)).sum()
    }

    /// Attacks that are open, all policies together.
    pub(super) fn open(&self) -> usize {
        self.count(Standing::Open)
    }

    /// Attacks that could not be tried.
    pub(super) fn failed(&self) -> usize {
        self.count(Standing::Failed)
    }

    pub(super) fn text(&self, verbose: bool) -> String {
        let mut text = format!("{} attacks, {}\n", attacks::all().count(), self.how);
        for (policy, entries) in &self.policies {
            let _ = writeln!(text, "\n{}", heading(policy));
            table(&mut text, entries);
            for entry in entries.iter().filter(|entry| verbose || notable(entry.standing)) {
                let _ =
                    writeln!(text, "\n  {:<4} {}: {}", entry.attack.code, entry.standing.as_str(), entry.attack.title);
                for tried in entry.tried.iter().filter(|tried| verbose || notable(Standing::of(&tried.outcome))) {
                    let _ = writeln!(
                        text,
                        "       {} ({}): {}",
                        tried.way.how,
                        tried.protocol.as_str(),
                        told(&tried.outcome)
                    );
                }
            }
        }
        for policy in &self.observing {
            let _ = writeln!(text, "\npolicy {policy} only observes: it stops nothing, and no attack was fired at it");
        }
        let _ = writeln!(text, "\n{}", aimed_at_the_program());
        text.push_str(
            "\nNot to be seen on the wire; look at the server itself (portcullis doctor, in a later release):\n",
        );
        for (attack, why, doctor) in unseen() {
            let _ = writeln!(text, "  {:<4} {}\n       {why}\n       look at: {doctor}", attack.code, attack.title);
        }
        let open = self.open();
        let _ = writeln!(text, "\n{open} open, {} could not be tried", self.failed());
        text
    }

    pub(super) fn json(&self) -> String {
        let way = |tried: &&Tried| {
            json!({
                "how": tried.way.how,
                "protocol": tried.protocol.as_str(),
                "outcome": Standing::of(&tried.outcome).as_str(),
                "detail": told(&tried.outcome),
            })
        };
        let mut results = Vec::new();
        for (policy, entries) in &self.policies {
            for entry in entries {
                results.push(json!({
                    "policy": &**policy,
                    "code": entry.attack.code,
                    "name": entry.attack.test_name(),
                    "title": entry.attack.title,
                    "outcome": entry.standing.as_str(),
                    "ways": entry.tried.iter().map(way).collect::<Vec<Value>>(),
                }));
            }
        }
        let unseen: Vec<Value> = unseen()
            .map(|(attack, why, doctor)| json!({"code": attack.code, "title": attack.title, "why": why, "doctor": doctor}))
            .collect();
        let observing: Vec<&str> = self.observing.iter().map(|name| &**name).collect();
        let document = json!({
            "how": self.how,
            "open": self.open(),
            "failed": self.failed(),
            "observing": observing,
            "results": results,
            "unseen": unseen,
        });
        format!("{document:#}\n")
    }

    pub(super) fn junit(&self) -> String {
        let mut cases = Vec::new();
        for (policy, entries) in &self.policies {
            for entry in entries {
                let details = |standing: Standing| {
                    let tried = entry.tried.iter().filter(|tried| Standing::of(&tried.outcome) == standing);
                    tried
                        .map(|tried| format!("{}: {}", tried.way.how, told(&tried.outcome)))
                        .collect::<Vec<_>>()
                        .join("; ")
                };
                let result = match entry.standing {
                    Standing::Stopped => CaseResult::Passed,
                    Standing::Open | Standing::Failed => CaseResult::Failed(details(entry.standing)),
                    Standing::Accepted => CaseResult::Skipped(format!("accepted: {}", details(Standing::Open))),
                    Standing::Permitted | Standing::NeedsServer | Standing::NotHere => {
                        CaseResult::Skipped(format!("{}: {}", entry.standing.as_str(), details(entry.standing)))
                    }
                };
                cases.push(Case { class: policy.to_string(), name: entry.attack.test_name(), place: None, result });
            }
        }
        junit::document("selftest", &cases)
    }

    pub(super) fn prometheus(&self) -> String {
        let mut text = String::from(
            "# HELP portcullis_selftest_open Attacks of the catalogue that a policy does not stop.\n\
             # TYPE portcullis_selftest_open gauge\n",
        );
        for (policy, entries) in &self.policies {
            let _ = writeln!(text, "portcullis_selftest_open{{policy=\"{policy}\"}} {}", of(entries, Standing::Open));
        }
        text
    }
}

fn of(entries: &[Entry<'_>], standing: Standing) -> usize {
    entries.iter().filter(|entry| entry.standing == standing).count()
}

/// What people want to see without asking.
fn notable(standing: Standing) -> bool {
    matches!(standing, Standing::Open | Standing::Failed | Standing::Accepted)
}

fn heading(policy: &str) -> String {
    match policy {
        crate::selftest::OWN_POLICY => {
            "rules of every kind (column rules, decoys, time windows …), under policies of the catalogue's own"
                .to_owned()
        }
        policy => format!("policy {policy}"),
    }
}

/// One line for each group that was tried, one column for each standing that occurs.
fn table(text: &mut String, entries: &[Entry<'_>]) {
    let columns: Vec<Standing> = Standing::ALL
        .into_iter()
        .filter(|standing| matches!(standing, Standing::Stopped | Standing::Open) || of(entries, *standing) > 0)
        .collect();
    let _ = write!(text, "  {:<48}", "");
    for column in &columns {
        let _ = write!(text, "  {:>12}", column.as_str());
    }
    text.push('\n');
    let mut groups: BTreeMap<char, (&Group, Vec<Standing>)> = BTreeMap::new();
    for group in &GROUPS {
        let standings: Vec<Standing> =
            entries.iter().filter(|e| e.attack.code.starts_with(group.letter)).map(|e| e.standing).collect();
        if !standings.is_empty() {
            groups.insert(group.letter, (group, standings));
        }
    }
    for (group, standings) in groups.values() {
        let _ = write!(text, "  {}  {:<45}", group.letter, group.title);
        for column in &columns {
            let _ = write!(text, "  {:>12}", standings.iter().filter(|standing| *standing == column).count());
        }
        text.push('\n');
    }
}

fn unseen() -> impl Iterator<Item = (&'static Attack, &'static str, &'static str)> {
    attacks::all().filter_map(|attack| match attack.seen {
        Seen::Never { why, doctor } => Some((attack, why, doctor)),
        Seen::Wire(_) | Seen::Build(_) => None,
    })
}

/// The attacks that only the project's own tests can play.
fn aimed_at_the_program() -> String {
    let codes: Vec<&str> =
        attacks::all().filter(|attack| matches!(attack.seen, Seen::Build(_))).map(|attack| attack.code).collect();
    format!("Aimed at the program and not at a policy, held by its own test suite: {}", codes.join(" "))
}

/// The catalogue for people.
pub(super) fn list() -> String {
    let mut text = String::new();
    for group in &GROUPS {
        let _ = writeln!(text, "{}  {}", group.letter, group.title);
        for attack in group.attacks {
            let _ = writeln!(text, "  {:<4} {}", attack.code, attack.title);
        }
    }
    text
}

/// `docs/known-attacks.md`.
pub(super) fn markdown() -> String {
    let mut text = String::from(include_str!("known-attacks.head.md"));
    for group in &GROUPS {
        let _ = writeln!(text, "\n## {}. {}\n", group.letter, group.title);
        text.push_str("| attack | stopped by | test |\n|---|---|---|\n");
        for attack in group.attacks {
            let _ = write!(text, "| **{}** {} | ", attack.code, cell(attack.title));
            match attack.seen {
                Seen::Never { why, doctor } => {
                    let _ = writeln!(text, "not by the firewall: {} | look at: {} |", cell(why), cell(doctor));
                }
                Seen::Wire(_) => {
                    let (letter, test) = (group.letter.to_ascii_lowercase(), attack.test_name());
                    let _ = writeln!(text, "{} | `tests/attacks/{letter}.rs` `{test}` |", cell(attack.stopped_by));
                }
                Seen::Build(tests) => {
                    let tests: Vec<String> =
                        tests.iter().map(|test| format!("`{}`", test.replacen("::", "` `", 1))).collect();
                    let _ = writeln!(text, "{} | {} |", cell(attack.stopped_by), tests.join(", "));
                }
            }
        }
    }
    text
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
