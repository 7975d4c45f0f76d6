//! Lines of audit logs, gathered by user and statement.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use crate::detect;
use crate::learn::record::{Known, Record, Sessions, Texts, one_line};
use crate::sql;

/// From this score of its signs of an injection on nothing is learned.
pub(crate) const SUSPICIOUS: u32 = 3;

/// As many sessions are remembered of a statement: more tell nothing.
const ENOUGH: usize = 16;

/// What reading the logs came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    pub lines: u64,
    /// Lines about statements.
    pub statements: u64,
    /// Lines that are no JSON of the audit log's: cut by a full disk, or something else's.
    pub unreadable: u64,
    /// The first of them: log and line (from 1), and what is wrong.
    pub first_unreadable: Option<(usize, u64, String)>,
}

/// What was seen of one statement of one user.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// `None` where the text wasn't read.
    pub known: Option<Arc<Known>>,
    /// The redacted text.
    pub text: Box<str>,
    /// Runs, and lines that tell of no run (Parse, skipped).
    pub runs: u64,
    pub passed: u64,
    pub first: Option<jiff::Timestamp>,
    pub last: Option<jiff::Timestamp>,
    /// Sessions that sent it, [`ENOUGH`] of them.
    pub sessions: BTreeSet<usize>,
    pub simple: bool,
    pub extended: bool,
    /// It was answered with something else than an error in the statement itself.
    pub worked: bool,
    /// The highest score of its signs.
    pub score: u32,
    /// Lines that were refused, and by what.
    pub refused: u64,
    pub refused_by: Option<String>,
    /// A deny rule, a decoy or the like speaks about it: which, and why.
    pub against: Option<String>,
}

/// What was seen of one user.
#[derive(Debug, Clone, Default)]
pub(crate) struct User {
    pub databases: BTreeSet<String>,
    pub address: Option<IpAddr>,
    pub statements: Vec<Seen>,
    /// By the number of the text; those that weren't read, by what they show.
    places: HashMap<Key, usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Known(usize),
    Unread(Box<str>),
}

/// Takes the lines of logs, one after the other.
#[derive(Debug, Default)]
pub struct Gathering {
    texts: Texts,
    sessions: Sessions,
    pub(crate) users: BTreeMap<String, User>,
    counts: Counts,
    /// The line of the log that is read, from 1.
    line: u64,
    log: usize,
    database: Option<String>,
}

/// How a refusal that was only observed speaks about the statement.
enum Against {
    /// Not at all: no rule mentioned it, or `write` finds out by itself.
    Nothing,
    /// About the moment: the line teaches nothing.
    Moment,
    /// About the statement: it is not learned.
    Statement,
}

/// What a verdict's `rule` says about learning a statement.
fn against(rule: &str) -> Against {
    match rule {
        "" | "default" | "guard" => Against::Nothing,
        "quarantine" | "limit" | "block" | "require" => Against::Moment,
        // A deny rule by its name, `decoy`, `injection`, `disagreement`, `parse`.
        _ => Against::Statement,
    }
}

impl Gathering {
    /// Of the sessions of one database only, where one is given.
    pub fn of_database(database: Option<String>) -> Gathering {
        Gathering { database, ..Gathering::default() }
    }

    /// Another log begins.
    pub fn next_log(&mut self) {
        self.log += 1;
        self.line = 0;
    }

    /// What reading came to so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// One line. Empty ones are skipped; those that can't be read are counted.
    pub fn line(&mut self, line: &[u8]) {
        self.line += 1;
        if line.trim_ascii().is_empty() {
            return;
        }
        self.counts.lines += 1;
        let outcome = Record::parse(line).and_then(|record| self.record(&record));
        if let Err(error) = outcome {
            self.counts.unreadable += 1;
            let place = (self.log, self.line, error.to_string());
            self.counts.first_unreadable.get_or_insert(place);
        }
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), serde_json::Error> {
        if record.event == "session_opened" {
            self.sessions.open(self.log, record);
        }
        if !record.is_statement() {
            return Ok(());
        }
        let number = self.texts.number(record)?;
        self.counts.statements += 1;
        if self.database.as_ref().is_some_and(|database| **database != *record.database) {
            return Ok(());
        }
        let session = self.sessions.of(self.log, record);
        let known = number.and_then(|number| self.texts.get(number)).cloned();
        self.seen(record, session, number, known);
        Ok(())
    }

    fn seen(&mut self, record: &Record<'_>, session: usize, number: Option<usize>, known: Option<Arc<Known>>) {
        if !self.users.contains_key(&*record.user) {
            self.users.insert(record.user.to_string(), User::default());
        }
        let Some(user) = self.users.get_mut(&*record.user) else { return };
        if !user.databases.contains(&*record.database) {
            user.databases.insert(record.database.to_string());
        }
        user.address.get_or_insert_with(|| record.ip());
        let key = number.map_or_else(|| Key::Unread(record.statement.as_ref().into()), Key::Known);
        let next = user.statements.len();
        let place = *user.places.entry(key).or_insert(next);
        if place == next {
            let text = known.as_ref().map_or_else(|| record.statement.as_ref().into(), |known| known.text.clone());
            user.statements.push(Seen::new(known, text));
        }
        if let Some(seen) = user.statements.get_mut(place) {
            seen.add(record, session);
        }
    }
}

/// A statement that a server counted (`pg_stat_statements`), with `$1` in the place of values.
#[derive(Debug, Clone)]
pub struct Counted {
    pub user: String,
    pub database: String,
    pub text: String,
    pub calls: u64,
}

impl Gathering {
    /// A statement of a server's own statistics. Needs the stack that reading it needs (`sql::STACK`).
    pub fn counted(&mut self, row: &Counted) {
        self.line += 1;
        self.counts.lines += 1;
        let analysis = match sql::analyse(&row.text, sql::Reading::default()) {
            Ok(analysis) => analysis,
            Err(error) => {
                self.counts.unreadable += 1;
                let place = (self.log, self.line, error.to_string());
                self.counts.first_unreadable.get_or_insert(place);
                return;
            }
        };
        self.counts.statements += 1;
        if self.database.as_ref().is_some_and(|database| *database != row.database) {
            return;
        }
        let score = detect::signals(&row.text, &analysis).score();
        let text: Box<str> = one_line(&sql::redacted(&row.text)).into();
        let known = Known { facts: analysis.facts.without_values(), text: text.clone() };
        let user = self.users.entry(row.user.clone()).or_default();
        user.databases.insert(row.database.clone());
        let mut seen = Seen::new(Some(Arc::new(known)), text);
        seen.runs = row.calls;
        seen.passed = row.calls;
        // Who called isn't told: a statement that ran once was sent by one session.
        seen.sessions = (0..usize::try_from(row.calls.min(2)).unwrap_or(0)).collect();
        (seen.simple, seen.extended) = (true, true);
        seen.worked = true;
        seen.score = score;
        user.statements.push(seen);
    }
}

impl Seen {
    fn new(known: Option<Arc<Known>>, text: Box<str>) -> Seen {
        Seen {
            known,
            text,
            runs: 0,
            passed: 0,
            first: None,
            last: None,
            sessions: BTreeSet::new(),
            simple: false,
            extended: false,
            worked: false,
            score: 0,
            refused: 0,
            refused_by: None,
            against: None,
        }
    }

    fn add(&mut self, record: &Record<'_>, session: usize) {
        self.score = self.score.max(record.score());
        let by = || match record.reason.is_empty() {
            true => record.rule.to_string(),
            false => format!("{}: {}", record.rule, record.reason),
        };
        // A line that was allowed names the allow rules that it needed.
        let rule = if record.verdict == "allow" { "" } else { &*record.rule };
        match against(rule) {
            Against::Statement => {
                self.against.get_or_insert_with(by);
            }
            Against::Moment => {
                self.refused += 1;
                self.refused_by.get_or_insert_with(by);
                return;
            }
            Against::Nothing => {}
        }
        if record.verdict == "refuse" {
            self.refused += 1;
            self.refused_by.get_or_insert_with(by);
            return;
        }
        self.passed += 1;
        self.runs += u64::from(record.is_run());
        self.first = Some(self.first.map_or(record.time, |first| first.min(record.time)));
        self.last = self.last.max(Some(record.time));
        if self.sessions.len() < ENOUGH {
            self.sessions.insert(session);
        }
        match record.is_extended() {
            true => self.extended = true,
            false => self.simple = true,
        }
        // Class 42: a syntax error, a name that doesn't exist, a right that is missing.
        self.worked |= !record.sqlstate.starts_with("42");
    }

    /// The same statement, sent by another user.
    pub fn merge(&mut self, other: &Seen) {
        self.first = self.first.into_iter().chain(other.first).min();
        self.last = self.last.max(other.last);
        self.runs += other.runs;
        self.passed += other.passed;
        self.sessions.extend(&other.sessions);
        self.simple |= other.simple;
        self.extended |= other.extended;
        self.worked |= other.worked;
        self.score = self.score.max(other.score);
        self.refused += other.refused;
        self.refused_by = self.refused_by.take().or_else(|| other.refused_by.clone());
        self.against = self.against.take().or_else(|| other.against.clone());
    }
}

impl User {
    /// All of several users' statements together.
    pub fn merged<'u>(users: impl IntoIterator<Item = &'u User>) -> User {
        let mut all = User::default();
        // A text is known by where it stands in memory: each was read once.
        let mut places: HashMap<(usize, &str), usize> = HashMap::new();
        for user in users {
            all.databases.extend(user.databases.iter().cloned());
            all.address = all.address.or(user.address);
            for seen in &user.statements {
                let key = (seen.known.as_ref().map_or(0, |known| Arc::as_ptr(known).addr()), &*seen.text);
                match places.get(&key).and_then(|place| all.statements.get_mut(*place)) {
                    Some(same) => same.merge(seen),
                    None => {
                        places.insert(key, all.statements.len());
                        all.statements.push(seen.clone());
                    }
                }
            }
        }
        all
    }
}
