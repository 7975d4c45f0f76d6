//! Admission: which policies a login is under, whether it meets what they require, and the benches that will judge it.

use std::sync::Arc;

use crate::policy::compile::{CertificatePattern, Policy};
use crate::policy::decide::Bench;
use crate::policy::glob::Glob;
use crate::policy::limits::Limits;
use crate::policy::names::{Scope, split_identifiers};
use crate::policy::quota::Quotas;
use crate::policy::rule::Rule;
use crate::policy::rules::Rules;
use crate::policy::settings::same_text;
use crate::policy::verdict::{Refusal, RuleRef};
use crate::policy::{ClientCertificate, Identity, PolicySet, SessionPolicy};
use crate::sql::ActionName;

/// The policies that hold together for a kind of session, ready to judge: nothing in it depends on who exactly came.
#[derive(Debug)]
pub(crate) struct Class {
    pub enforcing: Option<Bench>,
    pub observing: Option<Bench>,
    pub terse: bool,
    /// What is counted: of each policy that counts anything, and whether it enforces.
    pub quotas: Vec<(Arc<str>, bool, Quotas)>,
}

/// One session's class, and what is its own.
#[derive(Debug)]
pub(crate) struct Session {
    pub class: Arc<Class>,
    /// The policy that answers where no rule does. A copy of each session's own: its counter of references is no place
    /// for all cores to meet.
    pub name: Arc<str>,
    pub user: String,
    /// Not admitted any more: why.
    pub closed: Option<Refusal>,
}

impl Session {
    /// The same session under a bench without a rule, which lets nothing pass but the end of a transaction and what touches
    /// nothing.
    pub fn close(&self, why: Refusal) -> Session {
        let policy = Arc::clone(&self.name);
        let terse = why.terse || self.class.terse;
        let enforcing = Bench { policy: Arc::clone(&policy), baseline: false, terse, ..Bench::default() };
        let refusal = Refusal {
            policy,
            reason: format!("{NOT_ADMITTED}{}", why.reason),
            hint: Some("COMMIT or ROLLBACK: then the session ends, and a new one can be opened".into()),
            terse,
            sqlstate: "42501",
            ..why
        };
        let class = Arc::new(Class { enforcing: Some(enforcing), observing: None, terse, quotas: Vec::new() });
        Session { class, name: Arc::clone(&self.name), user: self.user.clone(), closed: Some(refusal) }
    }
}

/// How the reason begins for a session that other policies have closed.
pub const NOT_ADMITTED: &str = "this session is not admitted any more: ";

/// SQLSTATE of refused logins (invalid_authorization_specification).
const REFUSED: &str = "28000";

impl Policy {
    /// Whether `applies_to` selects this identity.
    pub fn applies_to(&self, identity: &Identity) -> bool {
        self.users.iter().any(|user| user.matches(&identity.user))
            && (self.databases.is_empty() || self.databases.iter().any(|d| d.matches(&identity.database)))
            && (self.listeners.is_empty() || self.listeners.iter().any(|l| l.matches(&identity.arrival.listener)))
            && (!identity.replication || self.replication)
    }

    /// Whether `require` is met; else what is missing.
    fn unmet(&self, identity: &Identity) -> Option<String> {
        if self.tls && !identity.tls {
            return Some("TLS is required".to_owned());
        }
        if !self.networks.is_empty() && !self.networks.iter().any(|network| network.contains(identity.address)) {
            return Some(format!("connections from {} are not admitted", identity.origin()));
        }
        if !self.os_users.is_empty() {
            match &identity.arrival.os_user {
                None => return Some("a connection over the Unix socket is required".to_owned()),
                Some(user) if !self.os_users.iter().any(|pattern| pattern.matches(user)) => {
                    return Some(format!("the operating system's user \"{user}\" is not admitted"));
                }
                Some(_) => {}
            }
        }
        self.client_cert.as_ref()?.unmet(identity.arrival.certificate.as_deref())
    }
}

impl CertificatePattern {
    /// What is missing, if anything.
    fn unmet(&self, certificate: Option<&ClientCertificate>) -> Option<String> {
        let Some(certificate) = certificate else {
            return Some("a TLS client certificate is required".to_owned());
        };
        let met = |patterns: &[Glob], names: &[String]| {
            patterns.is_empty() || patterns.iter().any(|pattern| names.iter().any(|name| pattern.matches(name)))
        };
        if met(&self.cn, certificate.cn.as_slice()) && met(&self.san, &certificate.san) {
            return None;
        }
        Some("the names in the client's certificate are not admitted".to_owned())
    }
}

pub(crate) fn admit(set: &PolicySet, identity: &Identity) -> Result<Session, Refusal> {
    admit_with(set, identity, None)
}

/// As if the session's policies had the allow rules of another one, too.
pub(crate) fn admit_with(set: &PolicySet, identity: &Identity, also: Option<Policy>) -> Result<Session, Refusal> {
    let places: Vec<usize> = set
        .policies
        .iter()
        .enumerate()
        .filter(|(_, policy)| policy.applies_to(identity))
        .map(|(place, _)| place)
        .collect();
    let matching: Vec<&Policy> = places.iter().filter_map(|place| set.policies.get(*place)).collect();
    let enforcing: Vec<&Policy> = matching.iter().copied().filter(|policy| policy.enforce).collect();
    let observing: Vec<&Policy> = matching.iter().copied().filter(|policy| !policy.enforce).collect();
    let Some(first) = enforcing.first().or(observing.first()) else {
        return Err(nobody(identity));
    };
    let terse = matching.iter().any(|policy| policy.terse);
    if let Some(fence) = walked_around(set, identity).filter(|_| enforcing.is_empty()) {
        let reason = "replication connections are not admitted".to_owned();
        return Err(refusal(fence.name.clone(), RuleRef::Require, reason, terse));
    }
    for policy in &enforcing {
        if let Some(reason) = policy.unmet(identity) {
            return Err(refusal(policy.name.clone(), RuleRef::Require, reason, terse));
        }
    }
    if let Some(conflict) = first_conflict(&enforcing) {
        return Err(refusal(first.name.clone(), RuleRef::Guard, conflict, terse));
    }
    let name = Arc::from(&*first.name);
    let quotas = || {
        let counted = matching.iter().filter(|policy| !policy.quotas.is_empty());
        counted.map(|policy| (policy.name.clone(), policy.enforce, policy.quotas.clone())).collect()
    };
    let class = match also {
        None => set.class(places, || Class {
            enforcing: bench(&enforcing, terse),
            observing: bench(&observing, terse),
            terse,
            quotas: quotas(),
        }),
        Some(also) => {
            // Nothing but its rules: where all must agree it does.
            let (refuse_disagreement, baseline, unlisted_observe) = (false, true, Some(true));
            let also = Policy { limits: first.limits, refuse_disagreement, baseline, unlisted_observe, ..also };
            let with = |policies: &[&Policy], here: bool| {
                let policies: Vec<&Policy> = policies.iter().copied().chain(here.then_some(&also)).collect();
                bench(&policies, terse)
            };
            let (enforces, watches) = (!enforcing.is_empty(), enforcing.is_empty());
            let (enforcing, observing) = (with(&enforcing, enforces), with(&observing, watches));
            Arc::new(Class { enforcing, observing, terse, quotas: quotas() })
        }
    };
    Ok(Session { class, name, user: identity.user.clone(), closed: None })
}

/// The enforcing policy that an identity would be under if it came as an ordinary session. One that only observes replication
/// connections must not be a way around it: they run SQL, too.
fn walked_around<'s>(set: &'s PolicySet, identity: &Identity) -> Option<&'s Policy> {
    let ordinary = Identity { replication: false, ..identity.clone() };
    let fences = set.policies.iter().filter(|policy| policy.enforce && policy.applies_to(&ordinary));
    fences.into_iter().next().filter(|_| identity.replication)
}

/// What a session may have done to its guarded settings, its role or its names under the old policies, that the new ones
/// would not let it: in words. What it really did isn't known; with nothing of the kind it may go on.
pub(crate) fn outgrown(old: &SessionPolicy, new: &SessionPolicy) -> Option<String> {
    let (old, new) = (old.session.class.enforcing.as_ref()?, new.session.class.enforcing.as_ref()?);
    if old.scope.temp && !new.scope.temp {
        return Some("temporary tables, which it may have, are not allowed any more".to_owned());
    }
    // A temporary view goes on showing what it was made of, whoever may read that now.
    if old.scope.temp && narrower(old, new) {
        return Some("its temporary views may show what is not allowed any more".to_owned());
    }
    let sets = |rule: &Rule| rule.actions.contains(ActionName::Set.into());
    let becomes = |rule: &Rule| rule.actions.contains(ActionName::SetRole.into());
    let mut free = false;
    for rule in old.allow.iter() {
        for pattern in rule.selectors.settings.iter().filter(|pattern| sets(rule) && pattern.value.is_some()) {
            free = true;
            if !new.allow.iter().any(|rule| sets(rule) && rule.selectors.settings.contains(pattern)) {
                return Some(format!(
                    "rule \"{}\" let it change a guarded setting, and no rule does so now",
                    rule.name
                ));
            }
        }
        for role in rule.selectors.roles.iter().filter(|_| becomes(rule)) {
            free = true;
            if !new.allow.iter().any(|rule| becomes(rule) && rule.selectors.roles.contains(role)) {
                return Some(format!("rule \"{}\" let it change its role, and no rule does so now", rule.name));
            }
        }
    }
    let was_denied = |new: &Rule| {
        let same = |old: &Rule| old.actions == new.actions && old.selectors == new.selectors && old.when == new.when;
        old.deny.iter().any(|old| !old.observe && same(old))
    };
    let denied =
        new.deny.iter().find(|rule| free && !rule.observe && (sets(rule) || becomes(rule)) && !was_denied(rule));
    denied.map(|rule| format!("rule \"{}\" denies what it may have set, or become", rule.name))
}

/// Whether the new rules may refuse what the old ones let pass: one of these is gone, or one of those is new.
fn narrower(old: &Bench, new: &Bench) -> bool {
    let same = |a: &Rule, b: &Rule| {
        a.actions == b.actions && a.selectors == b.selectors && a.when == b.when && a.observe == b.observe
    };
    let gone = old.allow.iter().any(|rule| !new.allow.iter().any(|other| same(rule, other)));
    let denied = new.deny.iter().any(|rule| !old.deny.iter().any(|other| same(rule, other)));
    let decoys = new.decoys.iter().any(|decoy| !old.decoys.iter().any(|other| decoy.pattern == other.pattern));
    gone || denied || decoys
}

/// Worded like pg_hba's refusal.
fn nobody(identity: &Identity) -> Refusal {
    let encryption = if identity.tls { "SSL encryption" } else { "no encryption" };
    let address = identity.origin();
    let reason = match identity.replication {
        true => format!(
            "no policy admits replication connections from host \"{address}\", user \"{}\", {encryption}",
            identity.user
        ),
        false => format!(
            "no policy for host \"{address}\", user \"{}\", database \"{}\", {encryption}",
            identity.user, identity.database
        ),
    };
    refusal("none".into(), RuleRef::Default, reason, false)
}

fn refusal(policy: Arc<str>, rule: RuleRef, reason: String, terse: bool) -> Refusal {
    Refusal { terse, ..Refusal::new(policy, rule, reason, REFUSED) }
}

fn first_conflict(policies: &[&Policy]) -> Option<String> {
    for (index, a) in policies.iter().enumerate() {
        for b in policies.iter().skip(index + 1) {
            if let Some(what) = conflict(a, b) {
                return Some(format!("policies {} ({}) and {} ({}) {what}", a.name, a.file, b.name, b.file));
            }
        }
    }
    None
}

/// In what two policies that hold together contradict each other.
pub(crate) fn conflict(a: &Policy, b: &Policy) -> Option<String> {
    for pin in &a.pins {
        let other = b.pins.iter().find(|other| other.name == pin.name);
        if let Some(other) = other.filter(|other| !same_text(&pin.name, &pin.value, &other.value)) {
            return Some(format!("pin {} to different values: {} and {}", pin.name, pin.value, other.value));
        }
    }
    let differ = |x: Option<bool>, y: Option<bool>| x.is_some() && y.is_some() && x != y;
    if let (Some(x), Some(y)) = (&a.search_path, &b.search_path)
        && x != y
    {
        return Some(format!("have different search_paths: {} and {}", x.join(", "), y.join(", ")));
    }
    if differ(a.temp_tables, b.temp_tables) {
        return Some("differ in temp_tables".to_owned());
    }
    if differ(a.unlisted_observe, b.unlisted_observe) {
        return Some("differ in unlisted".to_owned());
    }
    None
}

/// Policies that hold together, as one bench: allows and denies add up.
fn bench(policies: &[&Policy], terse: bool) -> Option<Bench> {
    let first = policies.first()?;
    let path = policies.iter().find_map(|policy| policy.search_path.clone());
    let temp_tables = policies.iter().any(|policy| policy.temp_tables == Some(true));
    let mut pins = Vec::new();
    for pin in policies.iter().flat_map(|policy| &policy.pins) {
        if !pins.contains(pin) {
            pins.push(pin.clone());
        }
    }
    Some(Bench {
        policy: first.name.clone(),
        allow: Rules::new(policies.iter().flat_map(|policy| policy.allow.iter().cloned()).collect()),
        deny_functions: policies
            .iter()
            .any(|policy| policy.deny.iter().any(|rule| !rule.selectors.functions.is_empty())),
        deny: Rules::new(policies.iter().flat_map(|policy| policy.deny.iter().cloned()).collect()),
        decoys: policies.iter().flat_map(|policy| policy.decoys.iter().cloned()).collect(),
        scope: scope(policies, path.as_deref(), temp_tables),
        path,
        read_only: policies.iter().any(|policy| policy.pins_read_only()),
        pins,
        temp_tables,
        baseline: policies.iter().all(|policy| policy.baseline),
        // Who doesn't say refuses.
        unlisted_observe: policies.iter().all(|policy| policy.unlisted_observe == Some(true)),
        refuse_disagreement: policies.iter().any(|policy| policy.refuse_disagreement),
        terse,
        limits: policies.iter().map(|policy| policy.limits).reduce(Limits::strictest).unwrap_or_default(),
        observe_at: policies.iter().filter_map(|policy| policy.injection.observe_at).min(),
        block_at: policies.iter().filter_map(|policy| policy.injection.block_at).min(),
        lists: policies.iter().flat_map(|policy| &policy.allow).filter_map(|rule| rule.statements.clone()).collect(),
    })
}

/// What unqualified names may mean: the path, and every other path that a rule lets the client choose.
fn scope(policies: &[&Policy], path: Option<&[Box<str>]>, temp: bool) -> Scope {
    let attributes = attributes(policies);
    let Some(path) = path else { return Scope { attributes, ..Scope::default() } };
    let mut paths: Vec<Vec<Box<str>>> = vec![path.to_vec()];
    for rule in policies.iter().flat_map(|policy| &policy.allow) {
        for pattern in &rule.selectors.settings {
            if pattern.name == Glob::Literal("search_path".into())
                && let Some(value) = &pattern.value
                && let Some(names) = split_identifiers(value)
            {
                paths.push(names.into_iter().map(Into::into).collect());
            }
        }
    }
    let mut all: Vec<Box<str>> = Vec::new();
    for schema in paths.into_iter().flatten() {
        // pg_catalog comes first in every path and is asked by itself (`compile` lets no path name it later).
        if !all.contains(&schema) && !schema.is_empty() && &*schema != "pg_catalog" {
            all.push(schema);
        }
    }
    Scope { path: Some(all), temp, attributes }
}

/// The functions that may stand behind a column's name.
fn attributes(policies: &[&Policy]) -> Vec<Glob> {
    let rules = policies.iter().flat_map(|policy| &policy.allow);
    let calls = rules.filter(|rule| rule.actions.mentions(ActionName::Call));
    let names = calls.flat_map(|rule| rule.selectors.functions.iter().map(|pattern| pattern.name.clone()));
    names.filter(|name| *name != Glob::Any).collect()
}
