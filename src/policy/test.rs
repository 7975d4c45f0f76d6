//! The `tests:` of policies, judged as a session would be, by all policies that match (POLICY 14).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::policy::compile::Policy;
use crate::policy::diagnostic::{Code, Diagnostic, Place, Source};
use crate::policy::document::{Step, Test, TestIdentity, Tried};
use crate::policy::glob::Glob;
use crate::policy::verdict::{Judgement, Refusal, RuleRef, Verdict};
use crate::policy::{Arrival, ClientCertificate, Identity, Moment, Parameters, PolicySet, SessionPolicy, UnknownName};
use crate::sql::{self, NameUse, second_opinion};

/// How one step of a test went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    /// The policy that holds the test.
    pub policy: Arc<str>,
    pub file: Arc<str>,
    pub place: Place,
    /// `deny: DROP TABLE orders`.
    pub name: String,
    /// Why it failed; `None` where it passed.
    pub failure: Option<String>,
}

impl TestResult {
    /// The failure as a finding in its file.
    fn finding(&self, sources: &[Source]) -> Option<Diagnostic> {
        let failure = self.failure.as_ref()?;
        let message = format!("test of policy \"{}\" failed: {}", self.policy, self.name);
        let finding = match sources.iter().find(|source| source.file == self.file) {
            Some(source) => source.finding(Code::TestFailed, self.place, message),
            None => Diagnostic {
                place: Some(self.place),
                ..Diagnostic::whole(Code::TestFailed, self.file.clone(), message)
            },
        };
        let what = "correct the policy or the test; `portcullis explain` shows what a statement does";
        Some(finding.help(format!("{failure}; {what}")))
    }
}

/// Runs all tests of all policies, in a thread whose stack any statement fits in.
///
/// # Errors
/// The thread could not be started, or a test brought it down.
pub fn run(set: &Arc<PolicySet>) -> Result<Vec<TestResult>, String> {
    let set = set.clone();
    let thread = std::thread::Builder::new()
        .name("policy-tests".to_owned())
        .stack_size(sql::STACK)
        .spawn(move || run_here(&set))
        .map_err(|error| format!("no thread for the policy tests: {error}"))?;
    thread.join().map_err(|_| "the policy tests ended in a panic".to_owned())
}

/// The tests that fail, as findings in their files.
pub(crate) fn failures(set: &Arc<PolicySet>, sources: &[Source]) -> Vec<Diagnostic> {
    match run(set) {
        Ok(results) => results.iter().filter_map(|result| result.finding(sources)).collect(),
        Err(error) => {
            let help = "this is a mistake of Portcullis or of this machine: run it again, and report it if it stays";
            vec![Diagnostic::whole(Code::TestsNotRun, "policies", error).help(help)]
        }
    }
}

fn run_here(set: &Arc<PolicySet>) -> Vec<TestResult> {
    let tests = set.policies.iter().flat_map(|policy| policy.tests.iter().map(move |test| (policy, test)));
    tests.flat_map(|(policy, test)| run_test(set, policy, test)).collect()
}

fn run_test(set: &Arc<PolicySet>, policy: &Policy, test: &Test) -> Vec<TestResult> {
    let identity = identity(policy, &test.who);
    let login = set.admit(&identity);
    let mut session = login.as_ref().ok().map(|policy| {
        TestSession::new(policy.clone(), !test.who.simple, test.who.at).named(&test.who.application_name)
    });
    let result = |step: &Step| {
        let (what, outcome) = match &step.what {
            Tried::Login => (
                if step.expect_allow { "login: allow" } else { "login: refuse" }.to_owned(),
                Ok(login.as_ref().err().cloned()),
            ),
            Tried::Statement { sql, params } => (
                sql.split_whitespace().collect::<Vec<_>>().join(" "),
                match (&mut session, &login) {
                    (Some(session), _) => {
                        Ok(session.statement(sql, params).refused_or_observed(session.policy.enforces()))
                    }
                    (None, Err(refusal)) => Err(format!("login is refused: {}", told(refusal))),
                    (None, Ok(_)) => Err("no session".to_owned()),
                },
            ),
        };
        TestResult {
            policy: policy.name.clone(),
            file: test.file.clone(),
            place: step.place,
            name: match &step.what {
                Tried::Login => what,
                Tried::Statement { .. } if step.expect_allow => format!("allow: {what}"),
                Tried::Statement { .. } => format!("deny: {what}"),
            },
            failure: match outcome {
                Ok(outcome) => compare(step, outcome.as_ref()),
                Err(failure) => Some(failure),
            },
        }
    };
    test.steps.iter().map(result).collect()
}

/// What is wrong with an outcome, if anything.
fn compare(step: &Step, refusal: Option<&Refusal>) -> Option<String> {
    match (step.expect_allow, refusal) {
        (true, None) => None,
        (true, Some(refusal)) => Some(format!("it is refused: {}", told(refusal))),
        (false, None) => Some("it is allowed".to_owned()),
        (false, Some(refusal)) => {
            let Some(by) = &step.by else {
                // What is no SQL is refused whatever the policies say: a slip in the test would prove nothing.
                let unread = refusal.rule == RuleRef::Parse && matches!(step.what, Tried::Statement { .. });
                return unread.then(|| {
                    format!(
                        "it can't be parsed ({}): correct it, or write `by: parse` if that is meant",
                        refusal.reason
                    )
                });
            };
            let named = match by.value.split_once('/') {
                Some((policy, rule)) => *refusal.policy == *policy && refusal.rule.label() == rule,
                None => refusal.rule.label() == by.value,
            };
            (!named).then(|| format!("it is refused, but not by \"{}\": {}", by.value, told(refusal)))
        }
    }
}

fn told(refusal: &Refusal) -> String {
    let place = match refusal.rule.place() {
        place if place.is_empty() => place,
        place => format!(" ({place})"),
    };
    format!("by {}/{}{place}: {}", refusal.policy, refusal.rule.label(), refusal.reason)
}

/// The default session of a policy's tests with what `as` overrides.
pub(super) fn identity(policy: &Policy, who: &TestIdentity) -> Identity {
    let sample = |globs: &[Glob], none: &str| globs.first().map_or_else(|| none.to_owned(), Glob::sample);
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let user = who.user.clone().unwrap_or_else(|| sample(&policy.users, "postgres"));
    Identity {
        database: who.database.clone().unwrap_or_else(|| sample(&policy.databases, "postgres")),
        address: who.address.unwrap_or_else(|| policy.networks.first().map_or(loopback, |n| n.first())),
        tls: who.tls.unwrap_or(true),
        replication: who.replication,
        arrival: arrival(policy, who),
        user,
    }
}

/// As the policy demands it, with what `as` overrides.
fn arrival(policy: &Policy, who: &TestIdentity) -> Arrival {
    let demanded = |globs: &[Glob]| globs.first().map(Glob::sample);
    let pattern = policy.client_cert.as_ref();
    let cn = who.client_cn.clone().or_else(|| pattern.and_then(|pattern| demanded(&pattern.cn)));
    let san = who.client_san.clone().or_else(|| pattern.and_then(|pattern| demanded(&pattern.san)));
    let shows_one = pattern.is_some() || cn.is_some() || san.is_some();
    let certificate = shows_one.then(|| ClientCertificate { cn, san: san.into_iter().collect() });
    let listener = who.listener.clone().or_else(|| demanded(&policy.listeners)).unwrap_or_default();
    let os_user = who.os_user.clone().or_else(|| demanded(&policy.os_users));
    Arrival {
        listener: listener.into(),
        certificate: certificate.filter(|_| who.tls != Some(false)).map(Arc::new),
        os_user: os_user.map(Into::into),
    }
}

/// What became of one message of a [`TestSession`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruling {
    /// Why it is refused; `None` where it passes.
    pub refused: Option<Refusal>,
    /// Why it would be, where a policy or a rule only observes.
    pub would: Option<Refusal>,
}

impl Ruling {
    fn of(judgement: Judgement) -> Ruling {
        match judgement.verdict {
            Verdict::Refuse(refusal) => Ruling { refused: Some(refusal), would: judgement.would },
            Verdict::Allow(_) => Ruling { refused: None, would: judgement.would },
        }
    }

    /// This ruling, or what is judged next where it has nothing to tell; a refusal comes before what is only observed.
    fn or_else(self, next: impl FnOnce() -> Ruling) -> Ruling {
        if self.refused.is_some() {
            return self;
        }
        let next = next();
        Ruling { refused: next.refused, would: self.would.or(next.would) }
    }

    /// A refusal, or what a session that is only observed would have been refused: what `deny:` in a test means.
    fn refused_or_observed(self, enforces: bool) -> Option<Refusal> {
        if enforces { self.refused } else { self.would }
    }
}

/// A session as far as judging goes, without a server: what the `tests:` of policies are tried in.
#[derive(Debug)]
pub struct TestSession {
    policy: SessionPolicy,
    extended: bool,
    at: Option<jiff::Timestamp>,
    application_name: String,
    prepared: BTreeSet<Box<str>>,
    cursors: BTreeSet<Box<str>>,
}

impl TestSession {
    /// A session under these policies, that sends its statements by the extended protocol or as simple queries, now or at
    /// a given time.
    pub fn new(policy: SessionPolicy, extended: bool, at: Option<jiff::Timestamp>) -> TestSession {
        let (prepared, cursors) = (BTreeSet::new(), BTreeSet::new());
        TestSession { policy, extended, at, application_name: String::new(), prepared, cursors }
    }

    /// The same, which calls itself so.
    pub fn named(self, application_name: &str) -> TestSession {
        TestSession { application_name: application_name.to_owned(), ..self }
    }

    /// Judges one message, at Parse and at Bind with these values of `$1`, `$2` … (`None` is NULL or unknown), and
    /// remembers the names that it makes. Statements need a deep stack: call it in a thread with [`sql::STACK`].
    pub fn statement(&mut self, sql: &str, params: &[Option<String>]) -> Ruling {
        if sql.len() > self.policy.statement_bytes() {
            return Ruling::of(self.policy.judge_too_long(sql.len()));
        }
        let analysis = match sql::analyse(sql, sql::Reading::default()) {
            Ok(analysis) => analysis,
            Err(why) => return Ruling::of(self.policy.judge_unparsed(&why)),
        };
        let facts = &analysis.facts;
        let opinion = second_opinion::compare(sql, facts);
        let signals = self.policy.signals(sql, &analysis);
        let judge = |moment| {
            let moment = Moment { signals: &signals, application_name: &self.application_name, ..moment };
            Ruling::of(self.policy.after_second_opinion(self.policy.judge(facts, moment), &opinion))
        };
        let extended = self.extended && facts.statements.len() < 2;
        let moment = |parameters| Moment {
            now: self.at.unwrap_or_else(jiff::Timestamp::now),
            ..Moment::now(extended, parameters)
        };
        let mut ruling = if extended {
            let wanted = facts.statements.iter().map(|statement| statement.parameters as usize).max().unwrap_or(0);
            let mut values: Vec<Option<&str>> = params.iter().map(Option::as_deref).collect();
            values.resize(wanted.max(values.len()), None);
            judge(moment(Parameters::Later)).or_else(|| judge(moment(Parameters::Bound(&values))))
        } else {
            judge(moment(Parameters::None))
        };
        for name in facts.statements.iter().flat_map(|statement| &statement.names) {
            ruling = ruling.or_else(|| self.use_name(name));
        }
        ruling
    }

    fn use_name(&mut self, name: &NameUse) -> Ruling {
        let unknown = match name {
            NameUse::Prepare(name) => {
                self.prepared.insert(name.clone());
                return Ruling::default();
            }
            NameUse::Declare { cursor, .. } => {
                self.cursors.insert(cursor.clone());
                return Ruling::default();
            }
            NameUse::Deallocate(None) => {
                self.prepared.clear();
                return Ruling::default();
            }
            NameUse::CloseCursor(None) => {
                self.cursors.clear();
                return Ruling::default();
            }
            NameUse::Execute(name) if !self.prepared.contains(name) => UnknownName::PreparedStatement(name),
            NameUse::Fetch(name) | NameUse::CloseCursor(Some(name)) if !self.cursors.contains(name) => {
                UnknownName::Cursor(name)
            }
            NameUse::Deallocate(Some(name)) => {
                self.prepared.remove(name);
                return Ruling::default();
            }
            NameUse::CloseCursor(Some(name)) => {
                self.cursors.remove(name);
                return Ruling::default();
            }
            NameUse::Execute(_) | NameUse::Fetch(_) => return Ruling::default(),
        };
        Ruling::of(self.policy.judge_unknown_name(unknown))
    }
}
