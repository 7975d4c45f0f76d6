//! What is wrong between policies: names used twice, contradictions, users that are only watched, tests that name rules which
//! there are not.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::policy::admit;
use crate::policy::compile::{BUILT_IN, Policy};
use crate::policy::diagnostic::{Code, Diagnostic, Source, did_you_mean};
use crate::policy::glob::Glob;

/// Everything that shows only when all policies are there.
pub(super) fn findings(policies: &[Policy], sources: &[Source], findings: &mut Vec<Diagnostic>) {
    let of_files = by_file(sources);
    let mut names: HashMap<&str, &Policy> = HashMap::new();
    let mut earlier = Earlier::default();
    for (index, policy) in policies.iter().enumerate() {
        let Some(here) = of_files.get(&*policy.file).copied() else { continue };
        rules_twice(policy, here, findings);
        if let Some(other) = names.get(&*policy.name) {
            let message =
                format!("policy \"{}\" stands twice: also in {}:{}", policy.name, other.file, other.place.line);
            let help = "give one of them another name";
            findings.push(here.finding(Code::PolicyTwice, policy.place, message).help(help));
        } else {
            names.insert(&policy.name, policy);
        }
        for other in earlier.candidates(policy) {
            if let Some(other) = policies.get(other) {
                between(other, policy, here, findings);
            }
        }
        earlier.add(index, policy);
        if !policy.enforce {
            watched_only(policy, policies, here, findings);
        }
    }
}

fn by_file(sources: &[Source]) -> HashMap<&str, &Source> {
    sources.iter().map(|source| (&*source.file, source)).collect()
}

fn rules_twice(policy: &Policy, here: &Source, findings: &mut Vec<Diagnostic>) {
    let mut lines: HashMap<&str, u32> = HashMap::new();
    for rule in policy.allow.iter().chain(&policy.deny) {
        match lines.get(&*rule.name) {
            Some(first) => {
                let place = here.place_of(rule.line, &rule.name);
                let message = format!("rule \"{}\" stands twice in policy \"{}\"", rule.name, policy.name);
                let help = format!("the other one is in line {first}: give one of them another name");
                findings.push(here.finding(Code::RuleTwice, place, message).help(help));
            }
            None => {
                lines.insert(&rule.name, rule.line);
            }
        }
    }
}

/// The policies before one, by their users: so that not each has to be compared with all.
#[derive(Default)]
struct Earlier<'p> {
    by_user: HashMap<&'p str, Vec<usize>>,
    with_patterns: Vec<usize>,
    count: usize,
}

impl<'p> Earlier<'p> {
    fn add(&mut self, index: usize, policy: &'p Policy) {
        self.count = index + 1;
        let mut patterns = false;
        for user in &policy.users {
            match user {
                Glob::Literal(name) => self.by_user.entry(name).or_default().push(index),
                Glob::Any | Glob::Prefix(_) | Glob::General(_) => patterns = true,
            }
        }
        if patterns {
            self.with_patterns.push(index);
        }
    }

    /// Those that may share a user with it, in their order.
    fn candidates(&self, policy: &Policy) -> BTreeSet<usize> {
        let mut found: BTreeSet<usize> = self.with_patterns.iter().copied().collect();
        for user in &policy.users {
            match user {
                Glob::Literal(name) => found.extend(self.by_user.get(&**name).into_iter().flatten().copied()),
                Glob::Any | Glob::Prefix(_) | Glob::General(_) => return (0..self.count).collect(),
            }
        }
        found
    }
}

/// `by:` of tests that name no rule: they could never pass, and the reason would be hard to see.
pub(super) fn tests_name_rules(policies: &[Policy], sources: &[Source], findings: &mut Vec<Diagnostic>) {
    let of_files = by_file(sources);
    let rules = || policies.iter().flat_map(|policy| policy.allow.iter().chain(&policy.deny)).map(|rule| &*rule.name);
    let known: HashSet<&str> = rules().chain(BUILT_IN).collect();
    let names: HashSet<&str> = policies.iter().map(|policy| &*policy.name).collect();
    for test in policies.iter().flat_map(|policy| &policy.tests) {
        let Some(here) = of_files.get(&*test.file) else { continue };
        for by in test.steps.iter().filter_map(|step| step.by.as_ref()) {
            let (policy, rule) = match by.value.split_once('/') {
                Some((policy, rule)) => (Some(policy), rule),
                None => (None, &*by.value),
            };
            let (message, near) = if let Some(policy) = policy.filter(|policy| !names.contains(policy)) {
                let near = did_you_mean(policy, policies.iter().map(|policy| &*policy.name));
                (format!("there is no policy \"{policy}\""), near.map(|near| format!("{near}/{rule}")))
            } else if !known.contains(rule) {
                let near = did_you_mean(rule, rules().chain(BUILT_IN)).map(|near| match policy {
                    Some(policy) => format!("{policy}/{near}"),
                    None => near.to_owned(),
                });
                (format!("there is no rule \"{rule}\""), near)
            } else {
                continue;
            };
            let help = match near {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("name a rule, policy/rule, or one of {}", BUILT_IN.join(", ")),
            };
            findings.push(here.finding(Code::UnknownRule, by.place, message).help(help));
        }
    }
}

/// Two policies that may hold for one session.
fn between(a: &Policy, b: &Policy, here: &Source, findings: &mut Vec<Diagnostic>) {
    if !a.enforce || !b.enforce || !overlap(&a.databases, &b.databases) || !overlap(&a.listeners, &b.listeners) {
        return;
    }
    let literal = a.users.iter().find(|user| user.is_literal() && b.users.contains(user));
    let overlapping = a.users.iter().any(|x| b.users.iter().any(|y| x.overlaps(y)));
    if !overlapping {
        return;
    }
    match (admit::conflict(a, b), literal) {
        (Some(conflict), Some(user)) => findings.push(
            here.finding(
                Code::Contradiction,
                b.place,
                format!(
                    "policy \"{}\" and \"{}\" ({}) both name user \"{}\" and {conflict}",
                    b.name,
                    a.name,
                    a.file,
                    user.stem()
                ),
            )
            .help("write the same in both, or let each name other users"),
        ),
        (Some(conflict), None) => findings.push(
            here.finding(
                Code::PossibleContradiction,
                b.place,
                format!("policy \"{}\" and \"{}\" ({}) {conflict}", b.name, a.name, a.file),
            )
            .help("a session that matches both is refused at login: write the same in both, or other users"),
        ),
        (None, _) if !b.allow.is_empty() && !a.allow.is_empty() => findings.push(
            here.finding(
                Code::Widening,
                b.place,
                format!("policy \"{}\" and \"{}\" ({}) may hold for the same user", b.name, a.name, a.file),
            )
            .help("what either allows is allowed: each widens the other"),
        ),
        (None, _) => {}
    }
}

fn overlap(a: &[Glob], b: &[Glob]) -> bool {
    a.is_empty() || b.is_empty() || a.iter().any(|x| b.iter().any(|y| x.overlaps(y)))
}

/// An observing policy whose users no enforcing one covers: they pass whole.
fn watched_only(policy: &Policy, policies: &[Policy], here: &Source, findings: &mut Vec<Diagnostic>) {
    let covered = |user: &Glob| {
        policies.iter().any(|p| {
            p.enforce
                && p.databases.is_empty()
                && p.listeners.is_empty()
                && p.users.iter().any(|other| match other {
                    Glob::Any => true,
                    other => user.is_literal() && other.matches(&user.stem()),
                })
        })
    };
    let open: Vec<String> = policy.users.iter().filter(|user| !covered(user)).map(user_text).collect();
    if !open.is_empty() {
        findings.push(
            here.finding(
                Code::OnlyObserved,
                policy.place,
                format!(
                    "only \"{}\" in mode observe covers {}: nothing they send is refused",
                    policy.name,
                    open.join(", ")
                ),
            )
            .help("give these users an enforcing policy when the reports are quiet"),
        );
    }
}

fn user_text(user: &Glob) -> String {
    match user {
        Glob::Any => "users that no enforcing policy names".to_owned(),
        glob if glob.is_literal() => format!("user \"{}\"", glob.stem()),
        glob => format!("users like \"{}*\"", glob.stem()),
    }
}
