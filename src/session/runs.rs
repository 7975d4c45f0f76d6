//! The messages that were sent to the server and not answered to the end: for what is told of statements (rows, time and
//! error), for the rows that they may give, and for what the server says of names that are made again.
//!
//! Answers come in the order of the messages, so each belongs to the first message that can have it: one before it that can't
//! was not answered, as a Sync within COPY FROM STDIN. A doubt that is left pairs lines of the log wrongly at worst. It never
//! takes rows out of the count: what can't be told apart is counted together.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::audit::Told;
use crate::policy::Refusal;
use crate::session::held::Held;
use crate::session::statements::{Stamp, is_cut, key};
use crate::session::tell::Asked;

/// Statements that wait for their answers to be told of; what is sent on top of them is told of without.
const WAITING: usize = 4096;

/// Messages that are paired with their answers. With more of them outstanding all rows are counted together until everything is
/// answered.
const MESSAGES: usize = 32_768;

/// Portals and cursors whose rows are counted: as many as a session may have names.
const PORTALS: usize = 65_536;

/// The most rows, and whether more are refused or only told of.
pub type RowLimit = Option<(u64, bool)>;

/// One statement that was sent, or prepared.
#[derive(Debug)]
pub struct Run {
    pub asked: Asked,
    pub time: jiff::Timestamp,
    pub begun: Instant,
    pub told: Option<Arc<Told>>,
    pub policy: Arc<str>,
    /// The allow rules that it needed.
    pub rules: Option<Arc<str>>,
    pub would: Option<Box<Refusal>>,
    /// Rows that the server says it returned or changed; none said nothing.
    pub rows: Option<u64>,
    pub sqlstate: Option<String>,
    /// It was one of several statements, of these hashes: which isn't known.
    pub ambiguous: Vec<String>,
    /// Poison: it was told of already.
    pub refused: bool,
}

/// What ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Answered,
    /// The server refused it.
    Failed,
    /// The server didn't come to it.
    Skipped,
    /// Too many were outstanding: nobody knows.
    Unknown,
}

/// Whose rows one statement gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gives {
    /// Its own.
    Own,
    /// Those of a portal or cursor, or of one of several: then they count for each.
    Of(Box<[Box<str>]>),
    /// It declares this cursor, which begins anew.
    Declares(Box<str>),
}

/// A name that a message makes, with the moment at which it did.
#[derive(Debug)]
pub struct Made {
    pub name: Box<str>,
    pub at: Stamp,
    /// What the name stands for if the server agrees; none isn't known.
    pub held: Option<Arc<Held>>,
}

/// A message of the extended protocol that runs nothing.
#[derive(Debug)]
pub enum Message {
    Parse(Made),
    Bind(Made),
    Describe,
    CloseStatement,
    ClosePortal(Box<str>),
    /// Poison, which fails.
    Poison,
}

/// What is over.
#[derive(Debug)]
pub enum Over {
    Run(Box<Run>),
    /// The name that a Parse made, and what is told of it.
    Parse(Made, Option<Box<Run>>),
    Bind(Made),
}

#[derive(Debug)]
enum Entry {
    Run(Counted, Option<Box<Run>>),
    Message(Message, Option<Box<Run>>),
    Sync,
    /// What was sent before anything was followed: it ends with so many ReadyForQuery.
    Before(u64),
}

/// A statement that runs, as far as its rows are counted.
#[derive(Debug)]
struct Counted {
    /// ReadyForQuery answers it.
    alone: bool,
    limit: RowLimit,
    gives: VecDeque<Gives>,
}

/// An answer, as far as it tells which message it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Parsed,
    Bound,
    Closed,
    /// RowDescription or NoData.
    Described,
    /// A row, or the end of a statement.
    Ran,
    /// PortalSuspended.
    Suspended,
}

impl Entry {
    fn may_have(&self, answer: Answer) -> bool {
        match (self, answer) {
            (Entry::Before(_), _)
            | (Entry::Run(..), Answer::Ran)
            | (Entry::Message(Message::Parse(_), _), Answer::Parsed)
            | (Entry::Message(Message::Bind(_), _), Answer::Bound)
            | (Entry::Message(Message::CloseStatement | Message::ClosePortal(_), _), Answer::Closed)
            | (Entry::Message(Message::Describe, _), Answer::Described) => true,
            (Entry::Run(run, _), Answer::Described) => run.alone,
            (Entry::Run(run, _), Answer::Suspended) => !run.alone,
            (Entry::Run(..) | Entry::Message(..) | Entry::Sync, _) => false,
        }
    }
}

/// The runs of one session.
#[derive(Debug, Default)]
pub struct Runs {
    entries: VecDeque<Entry>,
    /// Entries that are to be told of.
    waiting: usize,
    /// Rows of the statement that is being answered.
    rows: u64,
    /// Rows that nobody knows whose they are, and the most that any portal has given: they may be that one's.
    stray: u64,
    most: u64,
    /// Rows so far, by the name of the portal as the server compares it.
    portals: HashMap<Box<str>, u64>,
    /// The server skips what comes until the next Sync.
    skipping: bool,
    /// Sent in the middle of messages that are not followed: neither is this, until the next Sync.
    open: bool,
    /// Too much was outstanding: rows are counted together, under this limit, until nothing is.
    lost: Option<RowLimit>,
    /// What is over and wasn't taken yet.
    over: Vec<(Over, Ended)>,
}

impl Runs {
    /// Requests that so many ReadyForQuery answer are outstanding, and where `open` messages behind the last of them: none is
    /// followed.
    pub fn begin(&mut self, outstanding: u64, open: bool) {
        self.open = open;
        if outstanding > 0 || open {
            self.entries.push_back(Entry::Before(outstanding));
        }
    }

    /// What is over since it was last asked.
    #[inline]
    pub fn take_over(&mut self) -> Vec<(Over, Ended)> {
        std::mem::take(&mut self.over)
    }

    /// A statement was sent: what it gives, statement by statement, and the most rows.
    pub fn sent(&mut self, run: Run, gives: Vec<Gives>, limit: RowLimit) {
        let alone = run.asked.is_answered_by_ready_for_query();
        if self.skipping {
            self.over.push((Over::Run(Box::new(run)), Ended::Skipped));
            return;
        }
        if !self.has_room(limit) {
            self.over.push((Over::Run(Box::new(run)), Ended::Unknown));
            return;
        }
        let told = self.to_be_told(run);
        self.entries.push_back(Entry::Run(Counted { alone, limit, gives: gives.into() }, told));
    }

    /// A message was sent that runs nothing; of a Parse, what is told of it.
    pub fn message(&mut self, message: Message, told: Option<Run>) {
        if self.skipping || !self.has_room(None) {
            let ended = if self.skipping { Ended::Skipped } else { Ended::Unknown };
            self.drop_message(message, told.map(Box::new), ended);
            return;
        }
        let told = told.and_then(|run| self.to_be_told(run));
        self.entries.push_back(Entry::Message(message, told));
    }

    fn to_be_told(&mut self, run: Run) -> Option<Box<Run>> {
        if self.waiting < WAITING {
            self.waiting += 1;
            return Some(Box::new(run));
        }
        self.over.push((Over::Run(Box::new(run)), Ended::Unknown));
        None
    }

    /// Whether another entry may be followed; `limit` holds for it if not.
    fn has_room(&mut self, limit: RowLimit) -> bool {
        if self.lost.is_none() && self.entries.len() >= MESSAGES {
            let strictest = self.entries.iter().filter_map(|entry| match entry {
                Entry::Run(run, _) => run.limit,
                Entry::Message(..) | Entry::Sync | Entry::Before(_) => None,
            });
            self.lost = Some(strictest.min());
            self.drop_all(Ended::Unknown);
        }
        if let Some(lost) = &mut self.lost {
            *lost = lost.iter().copied().chain(limit).min();
            return false;
        }
        if self.open && limit.is_some() {
            // Its rows can't be told from those of what was sent before.
            self.lost = Some(limit);
            self.rows = 0;
            self.drop_all(Ended::Unknown);
            return false;
        }
        !self.open
    }

    /// A Sync was sent.
    pub fn synced(&mut self) {
        self.skipping = false;
        if std::mem::take(&mut self.open) {
            if let Some(Entry::Before(outstanding)) = self.entries.back_mut() {
                *outstanding += 1;
            }
            return;
        }
        if self.has_room(None) {
            self.entries.push_back(Entry::Sync);
        }
    }

    /// So many of the Syncs that were sent first are never answered: the server ignored them within COPY.
    pub fn ignored(&mut self, mut syncs: u64) {
        if syncs == 0 {
            return;
        }
        self.entries.retain(|entry| {
            let ignored = syncs > 0 && matches!(entry, Entry::Sync);
            syncs -= u64::from(ignored);
            !ignored
        });
    }

    /// Goes to the first entry that may have this answer; those before it were not answered.
    #[inline]
    fn seek(&mut self, answer: Answer) -> bool {
        if self.entries.front().is_some_and(|entry| entry.may_have(answer)) {
            return true;
        }
        self.seek_far(answer)
    }

    #[cold]
    fn seek_far(&mut self, answer: Answer) -> bool {
        let Some(place) = self.entries.iter().position(|entry| entry.may_have(answer)) else { return false };
        for _ in 0..place {
            self.pop(Ended::Skipped);
        }
        true
    }

    /// The server sent a row: how many that statement has given by now, all of its portal together, and how many it may. `now` is
    /// the limit in force, for one that nobody knows.
    #[inline]
    pub fn row(&mut self, now: RowLimit) -> (u64, RowLimit) {
        self.rows += 1;
        if let Some(limit) = self.lost {
            return (self.rows, limit);
        }
        self.seek(Answer::Ran);
        match self.entries.front() {
            Some(Entry::Run(run, _)) => match run.gives.front() {
                Some(Gives::Of(portals)) => {
                    let given = portals.iter().filter_map(|portal| self.portals.get(portal)).max();
                    (self.rows + given.copied().unwrap_or(0), run.limit)
                }
                Some(Gives::Own | Gives::Declares(_)) | None => (self.rows, run.limit),
            },
            Some(Entry::Before(_)) => (self.rows, None),
            Some(Entry::Message(..) | Entry::Sync) | None => (self.rows + self.stray + self.most, now),
        }
    }

    /// ParseComplete.
    pub fn parsed(&mut self) {
        self.answered(Answer::Parsed);
    }

    /// BindComplete: the portal is a new one.
    pub fn bound(&mut self) {
        self.answered(Answer::Bound);
    }

    /// CloseComplete.
    pub fn closed(&mut self) {
        self.answered(Answer::Closed);
    }

    /// RowDescription or NoData, of a Describe or a Query.
    pub fn described(&mut self) {
        self.answered(Answer::Described);
    }

    /// The answer of a message that runs nothing. (A Query has RowDescription, too.)
    fn answered(&mut self, answer: Answer) {
        if self.lost.is_some() || !self.seek(answer) {
            return;
        }
        match self.entries.front() {
            Some(Entry::Message(Message::Bind(Made { name, .. }) | Message::ClosePortal(name), _)) => {
                let name = name.clone();
                self.made(&name);
            }
            Some(Entry::Message(..)) => {}
            Some(Entry::Run(..) | Entry::Sync | Entry::Before(_)) | None => return,
        }
        self.pop(Ended::Answered);
    }

    /// A portal or cursor is another one than before, and hasn't given a row.
    fn made(&mut self, portal: &str) {
        // Which one isn't certain where the server cuts the name.
        if !is_cut(portal) {
            self.portals.remove(key(portal));
        }
    }

    /// CommandComplete with this tag.
    pub fn completed(&mut self, tag: &[u8]) {
        let number = tag.rsplit(|byte| *byte == b' ').next().and_then(|word| str::from_utf8(word).ok()?.parse().ok());
        self.ended(Answer::Ran, number, tag == b"DECLARE CURSOR");
    }

    /// PortalSuspended: there are more rows.
    pub fn suspended(&mut self) {
        self.ended(Answer::Suspended, Some(self.rows), false);
    }

    /// EmptyQueryResponse.
    pub fn empty(&mut self) {
        self.ended(Answer::Ran, None, false);
    }

    fn ended(&mut self, answer: Answer, rows: Option<u64>, declared: bool) {
        if self.lost.is_some() {
            return;
        }
        if !self.seek(answer) {
            self.stray += std::mem::take(&mut self.rows);
            return;
        }
        let rows_now = std::mem::take(&mut self.rows);
        let Some(Entry::Run(run, told)) = self.entries.front_mut() else { return };
        let (alone, gives) = (run.alone, run.gives.pop_front());
        if let Some(told) = told {
            told.rows = match (told.rows, rows) {
                (Some(before), Some(rows)) => Some(before + rows),
                (before, rows) => before.or(rows),
            };
        }
        match gives {
            Some(Gives::Of(portals)) => portals.iter().for_each(|portal| self.gave(portal, rows_now)),
            Some(Gives::Declares(cursor)) if declared => self.made(&cursor),
            Some(Gives::Own | Gives::Declares(_)) | None => {}
        }
        // A Query goes on until the server is ready again.
        if !alone {
            self.pop(Ended::Answered);
        }
    }

    fn gave(&mut self, portal: &str, rows: u64) {
        if let Some(given) = self.portals.get_mut(portal) {
            *given += rows;
            self.most = self.most.max(*given);
        } else if rows > 0 && self.portals.len() < PORTALS {
            self.portals.insert(portal.into(), rows);
            self.most = self.most.max(rows);
        } else if rows > 0 {
            // No room to count it by itself.
            let limits = self.entries.iter().filter_map(|entry| match entry {
                Entry::Run(run, _) => run.limit,
                Entry::Message(..) | Entry::Sync | Entry::Before(_) => None,
            });
            self.lost = Some(limits.min());
            self.drop_all(Ended::Unknown);
        }
    }

    /// ErrorResponse: in the extended protocol everything up to the next Sync is skipped.
    pub fn failed(&mut self, sqlstate: &str) {
        if self.lost.is_some() {
            return;
        }
        // Rows that a statement gave before it failed count all the same: it may have been in a subtransaction.
        let rows_now = std::mem::take(&mut self.rows);
        let mut blamed = false;
        match self.entries.front_mut() {
            Some(Entry::Run(run, told)) => {
                let gives = run.gives.front().cloned();
                let alone = run.alone;
                if let Some(told) = told {
                    told.sqlstate.get_or_insert_with(|| sqlstate.to_owned());
                }
                blamed = true;
                if let Some(Gives::Of(portals)) = gives {
                    portals.iter().for_each(|portal| self.gave(portal, rows_now));
                }
                if alone || self.lost.is_some() {
                    return;
                }
                self.pop(Ended::Answered);
            }
            Some(Entry::Message(Message::Parse(_), told)) => {
                if let Some(told) = told {
                    told.sqlstate.get_or_insert_with(|| sqlstate.to_owned());
                    blamed = true;
                }
                self.pop(Ended::Failed);
            }
            Some(Entry::Message(message, _)) => {
                blamed = matches!(message, Message::Poison);
                self.pop(Ended::Failed);
            }
            // Of a Sync it was the end of the transaction that failed.
            Some(Entry::Sync | Entry::Before(_)) => return,
            None => self.stray += rows_now,
        }
        loop {
            match self.entries.front_mut() {
                Some(Entry::Run(_, told)) => {
                    // An error of what tells no line (a Bind whose plan divides by zero) is that of what would have run.
                    let mut ended = Ended::Skipped;
                    if let Some(told) = told.as_mut().filter(|_| !blamed) {
                        told.sqlstate.get_or_insert_with(|| sqlstate.to_owned());
                        (blamed, ended) = (true, Ended::Answered);
                    }
                    self.pop(ended);
                }
                Some(Entry::Message(..) | Entry::Before(_)) => self.pop(Ended::Skipped),
                Some(Entry::Sync) => return,
                None => break,
            }
        }
        self.skipping = true;
    }

    /// ReadyForQuery: one Query, or everything up to a Sync, is over. `all`: nothing else is outstanding.
    pub fn ready(&mut self, all: bool) {
        if self.lost.is_none() {
            // It doesn't skip any more.
            (self.rows, self.skipping) = (0, false);
            self.ready_until_boundary();
        }
        if all {
            self.drop_all(Ended::Skipped);
            (self.lost, self.open, self.rows) = (None, false, 0);
            self.stray = 0;
        }
    }

    fn ready_until_boundary(&mut self) {
        loop {
            match self.entries.front_mut() {
                Some(Entry::Before(outstanding)) => {
                    *outstanding = outstanding.saturating_sub(1);
                    if *outstanding == 0 && !self.open {
                        self.entries.pop_front();
                    }
                    return;
                }
                Some(Entry::Sync) => {
                    self.entries.pop_front();
                    return;
                }
                Some(Entry::Run(run, _)) if run.alone => return self.pop(Ended::Answered),
                Some(Entry::Run(..) | Entry::Message(..)) => self.pop(Ended::Skipped),
                None => return,
            }
        }
    }

    /// Portals don't outlive their transaction; cursors WITH HOLD do, and are counted on if they are still there.
    pub fn transaction_over(&mut self, held: impl Fn(&str) -> bool) {
        self.portals.retain(|portal, _| held(portal));
        if self.portals.is_empty() {
            self.most = 0;
        }
    }

    /// The session is over: what was not answered.
    pub fn end(&mut self) {
        self.drop_all(Ended::Skipped);
    }

    fn drop_all(&mut self, ended: Ended) {
        while !self.entries.is_empty() {
            self.pop(ended);
        }
    }

    fn pop(&mut self, ended: Ended) {
        match self.entries.pop_front() {
            Some(Entry::Run(_, Some(run))) => {
                self.waiting -= 1;
                self.over.push((Over::Run(run), ended));
            }
            Some(Entry::Message(message, told)) => {
                self.waiting -= usize::from(told.is_some());
                self.drop_message(message, told, ended);
            }
            Some(Entry::Run(_, None) | Entry::Sync | Entry::Before(_)) | None => {}
        }
    }

    fn drop_message(&mut self, message: Message, told: Option<Box<Run>>, ended: Ended) {
        match message {
            Message::Parse(made) => self.over.push((Over::Parse(made, told), ended)),
            Message::Bind(made) => self.over.push((Over::Bind(made), ended)),
            Message::Describe | Message::CloseStatement | Message::ClosePortal(_) | Message::Poison => {}
        }
    }
}

#[cfg(test)]
mod tests;
