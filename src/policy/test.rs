//! The `tests:` of policies, judged as a session would be, by all policies that match (POLICY 14).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::detect;
use crate::policy::compile::Policy;
use crate::policy::diagnostic::{Code, Diagnostic, Place, Source};
use crate::policy::document::{Step, Test, TestIdentity, Tried};
use crate::policy::glob::Glob;
use crate::policy::verdict::{Judgement, Refusal, Verdict};
use crate::policy::{Identity, Moment, Parameters, PolicySet, SessionPolicy, UnknownName};
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
    let mut session = login.as_ref().ok().map(|policy| TestSession {
        policy,
        who: &test.who,
        prepared: BTreeSet::new(),
        cursors: BTreeSet::new(),
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
                    (Some(session), _) => Ok(session.statement(sql, params)),
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
            let by = step.by.as_ref()?;
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
        user,
    }
}

/// A session as far as judging goes.
struct TestSession<'a> {
    policy: &'a SessionPolicy,
    who: &'a TestIdentity,
    prepared: BTreeSet<Box<str>>,
    cursors: BTreeSet<Box<str>>,
}

impl TestSession<'_> {
    /// Why a statement is refused (or would be, where the policies only observe); `None` where it passes.
    fn statement(&mut self, sql: &str, params: &[Option<String>]) -> Option<Refusal> {
        if sql.len() > self.policy.statement_bytes() {
            return self.refusal(self.policy.judge_too_long(sql.len()));
        }
        let analysis = match sql::analyse(sql, sql::Reading::default()) {
            Ok(analysis) => analysis,
            Err(why) => return self.refusal(self.policy.judge_unparsed(&why)),
        };
        let facts = &analysis.facts;
        let opinion = second_opinion::compare(sql, facts);
        let signals = detect::signals(sql, &analysis);
        let judge = |moment| {
            let moment = Moment { signals: &signals, application_name: &self.who.application_name, ..moment };
            self.policy.after_second_opinion(self.policy.judge(facts, moment), &opinion)
        };
        let extended = !self.who.simple && facts.statements.len() < 2;
        let moment = |parameters| Moment {
            now: self.who.at.unwrap_or_else(jiff::Timestamp::now),
            ..Moment::now(extended, parameters)
        };
        let refusal = if extended {
            let wanted = facts.statements.iter().map(|statement| statement.parameters as usize).max().unwrap_or(0);
            let mut values: Vec<Option<&str>> = params.iter().map(Option::as_deref).collect();
            values.resize(wanted.max(values.len()), None);
            self.refusal(judge(moment(Parameters::Later)))
                .or_else(|| self.refusal(judge(moment(Parameters::Bound(&values)))))
        } else {
            self.refusal(judge(moment(Parameters::None)))
        };
        refusal.or_else(|| facts.statements.iter().flat_map(|s| &s.names).find_map(|name| self.use_name(name)))
    }

    fn use_name(&mut self, name: &NameUse) -> Option<Refusal> {
        let unknown = match name {
            NameUse::Prepare(name) => {
                self.prepared.insert(name.clone());
                return None;
            }
            NameUse::Declare { cursor, .. } => {
                self.cursors.insert(cursor.clone());
                return None;
            }
            NameUse::Deallocate(None) => {
                self.prepared.clear();
                return None;
            }
            NameUse::CloseCursor(None) => {
                self.cursors.clear();
                return None;
            }
            NameUse::Execute(name) if !self.prepared.contains(name) => UnknownName::PreparedStatement(name),
            NameUse::Fetch(name) | NameUse::CloseCursor(Some(name)) if !self.cursors.contains(name) => {
                UnknownName::Cursor(name)
            }
            NameUse::Deallocate(Some(name)) => {
                self.prepared.remove(name);
                return None;
            }
            NameUse::CloseCursor(Some(name)) => {
                self.cursors.remove(name);
                return None;
            }
            NameUse::Execute(_) | NameUse::Fetch(_) => return None,
        };
        self.refusal(self.policy.judge_unknown_name(unknown))
    }

    /// A refusal, or what a session that is only observed would have been refused.
    fn refusal(&self, judgement: Judgement) -> Option<Refusal> {
        match judgement.verdict {
            Verdict::Refuse(refusal) => Some(refusal),
            Verdict::Allow(_) if !self.policy.enforces() => judgement.would,
            Verdict::Allow(_) => None,
        }
    }
}
