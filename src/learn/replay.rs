//! Recorded traffic under another set of policies: what would be refused that wasn't, and what would pass that didn't.
//!
//! Judged is what was recorded: Facts, user, database, address, protocol, the time of the line. The texts themselves are not
//! there, and neither are bound values; what depends on them is counted as such, and never guessed.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;

use crate::learn::record::{Opened, Record, Sessions, Texts, one_line};
use crate::policy::{
    Arrival, Identity, Judgement, Moment, NOT_ADMITTED, Parameters, PolicySet, Refusal, SessionPolicy,
};
use crate::sql::Unparsed;

/// Examples that are kept of what one rule does.
const EXAMPLES: usize = 5;

/// What the log is held against.
#[derive(Debug)]
pub struct Replay {
    new: Side,
    /// Without: the recorded verdicts.
    old: Option<Side>,
    texts: Texts,
    sessions: Sessions,
    log: usize,
    line: u64,
    /// Users, databases, addresses and what else decides who a session is: each once.
    people: HashMap<Person, usize>,
    report: Report,
    refused: BTreeMap<RuleKey, Group>,
    allowed: BTreeMap<RuleKey, Group>,
    untold: BTreeMap<String, Group>,
}

/// One set of policies, and what it thought so far.
#[derive(Debug)]
struct Side {
    set: Arc<PolicySet>,
    /// By the number of the person.
    sessions: HashMap<usize, Result<SessionPolicy, Refusal>>,
    /// `None`: it depends on the time, and is asked again for each line.
    judged: HashMap<Question, Option<Thought>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Person {
    user: String,
    database: String,
    address: std::net::IpAddr,
    tls: bool,
    replication: bool,
    arrival: Arrival,
}

/// Everything that a verdict depends on, the time apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    person: usize,
    text: usize,
    extended: bool,
    score: u32,
    application_name: Box<str>,
}

/// What a set of policies does with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Thought {
    Passes {
        observed: Option<Blame>,
    },
    Refused(Blame),
    /// Depends on what wasn't recorded.
    Untold(&'static str),
}

/// Who refuses, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Blame {
    policy: String,
    rule: String,
    place: String,
    reason: String,
}

type RuleKey = (String, String, String);

#[derive(Debug, Default)]
struct Group {
    times: u64,
    statements: BTreeSet<Text>,
    users: BTreeSet<String>,
    reasons: BTreeMap<String, Example>,
}

/// What a text is told apart by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Text {
    Known(usize),
    /// By what is shown of it.
    Unread(Box<str>),
}

/// One text, and why it is where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Without values.
    pub statement: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hash: String,
    pub user: String,
    pub reason: String,
    pub times: u64,
}

/// What one rule does to the traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleReport {
    /// Of the set that refuses.
    pub policy: String,
    pub rule: String,
    /// File and line; empty where it stands in none.
    pub place: String,
    /// Lines of the log.
    pub times: u64,
    /// Different statements.
    pub statements: usize,
    pub users: Vec<String>,
    /// Some of the statements, those that came most often.
    pub examples: Vec<Example>,
}

/// What can't be told, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UntoldReport {
    pub why: String,
    pub times: u64,
    pub statements: usize,
    pub users: Vec<String>,
    /// Some of them, those that came most often.
    pub examples: Vec<Example>,
}

/// The outcome. Counts are lines of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Against recorded verdicts, or another set.
    pub against: &'static str,
    pub lines: u64,
    pub unreadable: u64,
    /// Lines of statements and of sessions that began.
    pub judged: u64,
    pub newly_refused: u64,
    pub newly_allowed: u64,
    pub unchanged_allowed: u64,
    pub unchanged_refused: u64,
    /// Of those that pass under the new set: what it observes and would refuse.
    pub would_refuse: u64,
    pub untold: u64,
    /// Sessions of which the log doesn't tell whether they came with TLS: judged as if they had.
    pub tls_assumed: bool,
    pub refused: Vec<RuleReport>,
    pub allowed: Vec<RuleReport>,
    pub not_told: Vec<UntoldReport>,
}

const AT_BIND: &str = "depends on a value that comes with Bind or was not recorded";
const NOT_READ: &str = "the log has no Facts of it (too long, not convertible)";
const SECOND: &str = "was refused because two parsers read it differently, which takes the text";
const STATE: &str =
    "was refused for what had happened before (quarantine, block, rate, unknown name, policies that changed)";

impl Blame {
    fn of(refusal: &Refusal) -> Blame {
        Blame {
            policy: refusal.policy.to_string(),
            rule: refusal.rule.label().to_owned(),
            place: refusal.rule.place(),
            reason: refusal.reason.clone(),
        }
    }

    fn recorded(record: &Record<'_>) -> Blame {
        Blame {
            policy: record.policy.to_string(),
            rule: if record.rule.is_empty() { "default".to_owned() } else { record.rule.to_string() },
            place: String::new(),
            reason: record.reason.to_string(),
        }
    }
}

impl Side {
    fn new(set: Arc<PolicySet>) -> Side {
        Side { set, sessions: HashMap::new(), judged: HashMap::new() }
    }

    fn session(&mut self, number: usize, person: &Person) -> &Result<SessionPolicy, Refusal> {
        self.sessions.entry(number).or_insert_with(|| {
            let Person { user, database, address, tls, replication, arrival } = person.clone();
            self.set.admit(&Identity { user, database, address, tls, replication, arrival })
        })
    }

    /// What becomes of a line; `text` is its number, if it has Facts.
    fn think(&mut self, person: (usize, &Person), text: Option<usize>, texts: &Texts, record: &Record<'_>) -> Thought {
        let Some(text) = text else {
            return match self.session(person.0, person.1) {
                Err(refusal) => Thought::Refused(Blame::of(refusal)),
                Ok(session) if record.rule == "parse" => {
                    let why = Unparsed::Syntax { message: record.reason.to_string(), position: None };
                    of_judgement(&session.judge_unparsed(&why))
                }
                Ok(_) => Thought::Untold(NOT_READ),
            };
        };
        let question = Question {
            person: person.0,
            text,
            extended: record.is_extended(),
            score: record.score(),
            application_name: record.application_name.as_ref().into(),
        };
        if let Some(Some(thought)) = self.judged.get(&question) {
            return thought.clone();
        }
        let judgement = match (self.session(person.0, person.1), texts.get(text)) {
            (Err(refusal), _) => return Thought::Refused(Blame::of(refusal)),
            (Ok(_), None) => return Thought::Untold(NOT_READ),
            (Ok(session), Some(known)) => {
                let signals = record.signs();
                let moment = Moment {
                    now: record.time,
                    extended: question.extended,
                    parameters: Parameters::Later,
                    signals: &signals,
                    application_name: &record.application_name,
                    traced: false,
                };
                session.judge(&known.facts, moment)
            }
        };
        let thought = of_judgement(&judgement);
        let timed = judgement.timed;
        if let Entry::Vacant(entry) = self.judged.entry(question) {
            entry.insert((!timed).then(|| thought.clone()));
        }
        thought
    }
}

fn of_judgement(judgement: &Judgement) -> Thought {
    match judgement.refusal() {
        Some(refusal) => Thought::Refused(Blame::of(refusal)),
        None if judgement.at_bind => Thought::Untold(AT_BIND),
        None => Thought::Passes { observed: judgement.would.as_ref().map(Blame::of) },
    }
}

/// Which verdicts a set of policies can't repeat, because they came from what had happened before.
fn is_of_state(record: &Record<'_>) -> bool {
    matches!(&*record.rule, "quarantine" | "block" | "limit" | "disagreement")
        || (record.rule == "guard" && record.reason.contains("does not exist"))
        || record.reason.starts_with(NOT_ADMITTED)
}

impl Replay {
    /// Of this set, against another one or the recorded verdicts.
    pub fn new(new: Arc<PolicySet>, old: Option<Arc<PolicySet>>) -> Replay {
        let against = if old.is_some() { "policies" } else { "recorded verdicts" };
        Replay {
            new: Side::new(new),
            old: old.map(Side::new),
            texts: Texts::default(),
            sessions: Sessions::default(),
            log: 0,
            line: 0,
            people: HashMap::new(),
            report: Report { against, ..Report::default() },
            refused: BTreeMap::new(),
            allowed: BTreeMap::new(),
            untold: BTreeMap::new(),
        }
    }

    /// Another log begins.
    pub fn next_log(&mut self) {
        self.log += 1;
        self.line = 0;
    }

    /// One line. Empty ones are skipped; those that can't be read are counted.
    pub fn line(&mut self, line: &[u8]) {
        self.line += 1;
        if line.trim_ascii().is_empty() {
            return;
        }
        self.report.lines += 1;
        let outcome = Record::parse(line).and_then(|record| self.record(&record));
        if outcome.is_err() {
            self.report.unreadable += 1;
        }
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), serde_json::Error> {
        match &*record.event {
            "session_opened" => {
                let session = self.sessions.open(self.log, record);
                self.login(record, session, Thought::Passes { observed: None });
            }
            // One that the policies refused; what the server refused is no policy's matter.
            "login" if record.verdict == "refuse" && !record.rule.is_empty() && !is_of_state(record) => {
                // Whether it came with TLS isn't told.
                self.login(record, usize::MAX, Thought::Refused(Blame::recorded(record)));
            }
            "statement" => {
                let text = self.texts.number(record)?;
                let session = self.sessions.of(self.log, record);
                self.statement(record, session, text);
            }
            _ => {}
        }
        Ok(())
    }

    fn person(&mut self, record: &Record<'_>, session: usize) -> (usize, Person) {
        let Opened { tls, replication, arrival } = self.sessions.get(session);
        self.report.tls_assumed |= tls.is_none();
        let person = Person {
            user: record.user.to_string(),
            database: record.database.to_string(),
            address: record.ip(),
            tls: tls.unwrap_or(true),
            replication,
            arrival,
        };
        let next = self.people.len();
        (*self.people.entry(person.clone()).or_insert(next), person)
    }

    /// A session that began, or wasn't let in.
    fn login(&mut self, record: &Record<'_>, session: usize, recorded: Thought) {
        let (number, person) = self.person(record, session);
        let think = |side: &mut Side| match side.session(number, &person) {
            Ok(_) => Thought::Passes { observed: None },
            Err(refusal) => Thought::Refused(Blame::of(refusal)),
        };
        let new = think(&mut self.new);
        let old = self.old.as_mut().map_or(recorded, think);
        self.count(record, "(login)", None, old, new);
    }

    fn statement(&mut self, record: &Record<'_>, session: usize, text: Option<usize>) {
        let (number, person) = self.person(record, session);
        let new = self.new.think((number, &person), text, &self.texts, record);
        let old = match &mut self.old {
            Some(old) => old.think((number, &person), text, &self.texts, record),
            None if record.verdict == "refuse" && is_of_state(record) && matches!(new, Thought::Passes { .. }) => {
                Thought::Untold(if record.rule == "disagreement" { SECOND } else { STATE })
            }
            None if record.verdict == "refuse" => Thought::Refused(Blame::recorded(record)),
            None => Thought::Passes { observed: None },
        };
        let told = match text.and_then(|number| self.texts.get(number)) {
            Some(known) => known.text.to_string(),
            None => one_line(&record.statement),
        };
        self.count(record, &told, text, old, new);
    }

    fn count(&mut self, record: &Record<'_>, told: &str, text: Option<usize>, old: Thought, new: Thought) {
        let report = &mut self.report;
        report.judged += 1;
        let number = text.map_or_else(|| Text::Unread(told.into()), Text::Known);
        match (old, new) {
            (Thought::Refused(_), Thought::Refused(_)) => report.unchanged_refused += 1,
            (Thought::Passes { .. } | Thought::Untold(_), Thought::Refused(blame)) => {
                report.newly_refused += 1;
                let key = (blame.policy, blame.rule, blame.place);
                self.refused.entry(key).or_default().add(record, told, number, &blame.reason);
            }
            (_, Thought::Untold(why)) | (Thought::Untold(why), Thought::Passes { .. }) => {
                report.untold += 1;
                self.untold.entry(why.to_owned()).or_default().add(record, told, number, why);
            }
            (Thought::Refused(blame), Thought::Passes { observed }) => {
                report.newly_allowed += 1;
                report.would_refuse += u64::from(observed.is_some());
                let key = (blame.policy, blame.rule, blame.place);
                self.allowed.entry(key).or_default().add(record, told, number, &blame.reason);
            }
            (Thought::Passes { .. }, Thought::Passes { observed }) => {
                report.unchanged_allowed += 1;
                report.would_refuse += u64::from(observed.is_some());
            }
        }
    }

    /// What it came to.
    pub fn report(self) -> Report {
        let rules = |groups: BTreeMap<RuleKey, Group>| {
            let mut rules: Vec<RuleReport> = groups
                .into_iter()
                .map(|((policy, rule, place), group)| {
                    let (times, statements, users, examples) = group.told();
                    RuleReport { policy, rule, place, times, statements, users, examples }
                })
                .collect();
            rules.sort_by_key(|rule| Reverse(rule.times));
            rules
        };
        let untold = self.untold.into_iter().map(|(why, group)| {
            let (times, statements, users, examples) = group.told();
            UntoldReport { why, times, statements, users, examples }
        });
        Report { refused: rules(self.refused), allowed: rules(self.allowed), not_told: untold.collect(), ..self.report }
    }
}

impl Group {
    fn add(&mut self, record: &Record<'_>, told: &str, number: Text, reason: &str) {
        self.times += 1;
        self.statements.insert(number);
        if !self.users.contains(&*record.user) {
            self.users.insert(record.user.to_string());
        }
        if let Some(example) = self.reasons.get_mut(told) {
            example.times += 1;
        } else if self.reasons.len() < 64 {
            let example = Example {
                statement: told.to_owned(),
                hash: record.hash.to_string(),
                user: record.user.to_string(),
                reason: reason.to_owned(),
                times: 1,
            };
            self.reasons.insert(told.to_owned(), example);
        }
    }

    fn told(self) -> (u64, usize, Vec<String>, Vec<Example>) {
        let mut examples: Vec<Example> = self.reasons.into_values().collect();
        examples.sort_by_key(|example| Reverse(example.times));
        examples.truncate(EXAMPLES);
        (self.times, self.statements.len(), self.users.into_iter().collect(), examples)
    }
}
