//! The statements that were sent to the server and not answered to the end, for what is told of them: rows, time and error.
//!
//! It follows the answers as the ledger of names does, but nothing is decided by it except how many rows a statement may give:
//! where it can't be certain which answer belongs to which statement, lines of the log may be paired wrongly until the session
//! has no request outstanding, and never lost.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::audit::Told;
use crate::policy::Refusal;
use crate::session::tell::Asked;

/// Statements that wait for their answers; what is sent on top of them is told of without.
const WAITING: usize = 4096;

/// Portals and cursors whose rows are counted together: as many as a session may have names.
const PORTALS: usize = 65_536;

/// The rows that one portal or cursor gave, until it is made anew.
type Given = Arc<AtomicU64>;

/// One statement that was sent.
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
    /// For each of its statements, the portal that it runs or the cursor that it fetches from; none is a statement for itself.
    pub portals: Vec<Option<Box<str>>>,
    /// Poison: it was told of already.
    pub refused: bool,
}

/// What ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Answered,
    /// The server didn't come to it.
    Skipped,
    /// Too many were outstanding: nobody knows.
    Unknown,
}

#[derive(Debug)]
enum Entry {
    Run(Box<Run>, VecDeque<Option<Given>>),
    Sync,
}

/// The runs of one session.
#[derive(Debug, Default)]
pub struct Runs {
    entries: VecDeque<Entry>,
    /// Rows of the statement that is being answered.
    rows: u64,
    /// Rows so far, by portal.
    portals: HashMap<Box<str>, Given>,
    /// Which answer belongs to which statement isn't known until nothing is outstanding.
    lost: bool,
}

/// Runs that are over, to be told of.
pub type Over = Vec<(Box<Run>, Ended)>;

impl Runs {
    /// A statement was sent. It comes back, with those before it, where there are too many to be followed.
    pub fn sent(&mut self, mut run: Run) -> Over {
        if self.lost || self.entries.len() >= WAITING {
            let mut over: Over = self.end().into_iter().map(|(run, _)| (run, Ended::Unknown)).collect();
            self.lost = true;
            over.push((Box::new(run), Ended::Unknown));
            return over;
        }
        let portals = std::mem::take(&mut run.portals);
        let given = portals.into_iter().map(|portal| self.given(portal?)).collect();
        self.entries.push_back(Entry::Run(Box::new(run), given));
        Vec::new()
    }

    fn given(&mut self, portal: Box<str>) -> Option<Given> {
        if self.portals.len() >= PORTALS && !self.portals.contains_key(&portal) {
            return None;
        }
        Some(Arc::clone(self.portals.entry(portal).or_default()))
    }

    /// In the place of what was sent last went poison, of which was told already.
    pub fn refuse_newest(&mut self) {
        if let Some(Entry::Run(run, _)) = self.entries.back_mut() {
            run.refused = true;
        }
    }

    /// A Sync was sent.
    pub fn synced(&mut self) {
        if !self.entries.is_empty() && self.entries.len() < 2 * WAITING {
            self.entries.push_back(Entry::Sync);
        }
    }

    /// A portal or cursor is made anew.
    pub fn made(&mut self, portal: &str) {
        self.portals.remove(portal);
    }

    /// The server sent a row: how many that statement has given by now, all of its portal together.
    #[inline]
    pub fn row(&mut self) -> u64 {
        self.rows += 1;
        match self.entries.front() {
            Some(Entry::Run(_, given)) => match given.front() {
                Some(Some(given)) => self.rows + given.load(Ordering::Relaxed),
                Some(None) | None => self.rows,
            },
            Some(Entry::Sync) | None => self.rows,
        }
    }

    /// CommandComplete with this tag.
    pub fn completed(&mut self, tag: &[u8]) -> Option<(Box<Run>, Ended)> {
        let number = tag.rsplit(|byte| *byte == b' ').next().and_then(|word| str::from_utf8(word).ok()?.parse().ok());
        self.ended(number)
    }

    /// PortalSuspended: there are more rows.
    pub fn suspended(&mut self) -> Option<(Box<Run>, Ended)> {
        self.ended(Some(self.rows))
    }

    /// EmptyQueryResponse.
    pub fn empty(&mut self) -> Option<(Box<Run>, Ended)> {
        self.ended(None)
    }

    fn ended(&mut self, rows: Option<u64>) -> Option<(Box<Run>, Ended)> {
        let rows_now = std::mem::take(&mut self.rows);
        let Some(Entry::Run(run, given)) = self.entries.front_mut() else { return None };
        if let Some(Some(given)) = given.pop_front() {
            given.fetch_add(rows_now, Ordering::Relaxed);
        }
        run.rows = match (run.rows, rows) {
            (Some(before), Some(rows)) => Some(before + rows),
            (before, rows) => before.or(rows),
        };
        // A Query goes on until the server is ready again.
        if run.asked.is_answered_by_ready_for_query() { None } else { self.pop() }
    }

    /// ErrorResponse: in the extended protocol everything up to the next Sync is skipped.
    pub fn failed(&mut self, sqlstate: &str) -> Over {
        self.rows = 0;
        let mut over = Vec::new();
        match self.entries.front_mut() {
            Some(Entry::Run(run, _)) => {
                run.sqlstate.get_or_insert_with(|| sqlstate.to_owned());
                if run.asked.is_answered_by_ready_for_query() {
                    return over;
                }
            }
            Some(Entry::Sync) | None => return over,
        }
        over.extend(self.pop());
        while let Some(Entry::Run(..)) = self.entries.front() {
            over.extend(self.pop().map(|(run, _)| (run, Ended::Skipped)));
        }
        over
    }

    /// ReadyForQuery: one Query, or everything up to a Sync, is over. `all`: nothing else is outstanding.
    pub fn ready(&mut self, all: bool) -> Over {
        self.rows = 0;
        let mut over = Vec::new();
        loop {
            match self.entries.pop_front() {
                Some(Entry::Sync) | None => break,
                Some(Entry::Run(run, _)) if run.asked.is_answered_by_ready_for_query() => {
                    over.push((run, Ended::Answered));
                    break;
                }
                Some(Entry::Run(run, _)) => over.push((run, Ended::Skipped)),
            }
        }
        if all {
            over.extend(self.end());
            self.lost = false;
        }
        over
    }

    /// Portals don't outlive their transaction; cursors WITH HOLD do, and are counted on if they are still there.
    pub fn transaction_over(&mut self, held: impl Fn(&str) -> bool) {
        self.portals.retain(|portal, _| held(portal));
    }

    /// The session is over: what was not answered.
    pub fn end(&mut self) -> Over {
        let entries = std::mem::take(&mut self.entries);
        let run = |entry| match entry {
            Entry::Run(run, _) => Some((run, Ended::Skipped)),
            Entry::Sync => None,
        };
        entries.into_iter().filter_map(run).collect()
    }

    fn pop(&mut self) -> Option<(Box<Run>, Ended)> {
        match self.entries.pop_front() {
            Some(Entry::Run(run, _)) => Some((run, Ended::Answered)),
            Some(Entry::Sync) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(asked: Asked, portals: &[&str]) -> Run {
        Run {
            asked,
            time: jiff::Timestamp::UNIX_EPOCH,
            begun: Instant::now(),
            told: None,
            policy: "p".into(),
            rules: None,
            would: None,
            rows: None,
            sqlstate: None,
            portals: portals.iter().map(|portal| Some((*portal).into())).collect(),
            refused: false,
        }
    }

    fn told(over: &Over) -> Vec<(Option<u64>, Option<&str>, Ended)> {
        over.iter().map(|(run, ended)| (run.rows, run.sqlstate.as_deref(), *ended)).collect()
    }

    #[test]
    fn a_query_of_several_statements_has_all_their_rows() {
        let mut runs = Runs::default();
        runs.sent(run(Asked::Query, &[]));
        assert!(runs.completed(b"SELECT 3").is_none() && runs.completed(b"UPDATE 2").is_none());
        assert!(runs.completed(b"BEGIN").is_none());
        assert_eq!(told(&runs.ready(true)), [(Some(5), None, Ended::Answered)]);
    }

    #[test]
    fn a_pipeline_skips_what_is_behind_an_error() {
        let mut runs = Runs::default();
        for _ in 0..3 {
            runs.sent(run(Asked::Execute, &[""]));
        }
        runs.synced();
        runs.sent(run(Asked::Execute, &[""]));
        runs.synced();
        assert_eq!(runs.completed(b"INSERT 0 1").map(|(run, _)| run.rows), Some(Some(1)));
        let over = runs.failed("23505");
        assert_eq!(told(&over), [(None, Some("23505"), Ended::Answered), (None, None, Ended::Skipped)]);
        assert!(runs.ready(false).is_empty());
        assert_eq!(runs.completed(b"SELECT 1").map(|(run, _)| run.rows), Some(Some(1)));
        assert!(runs.ready(true).is_empty());
    }

    #[test]
    fn rows_of_a_portal_are_counted_over_all_that_run_it() {
        let mut runs = Runs::default();
        for round in 0..3 {
            runs.sent(run(Asked::Execute, &["p"]));
            let rows = (0..10).map(|_| runs.row()).last().unwrap();
            assert_eq!(rows, 10 * (round + 1));
            assert_eq!(runs.suspended().map(|(run, _)| run.rows), Some(Some(10)));
        }
        runs.sent(run(Asked::Query, &["p"]));
        assert_eq!(runs.row(), 31, "FETCH from it");
        runs.completed(b"FETCH 1");
        runs.ready(true);
        runs.made("p");
        runs.sent(run(Asked::Execute, &["p"]));
        assert_eq!(runs.row(), 1);
        runs.failed("57014");
        runs.transaction_over(|_| false);
        assert!(runs.portals.is_empty());
    }

    #[test]
    fn a_pipeline_on_one_portal_is_many_statements() {
        let mut runs = Runs::default();
        for _ in 0..5 {
            runs.made("");
            runs.sent(run(Asked::Execute, &[""]));
        }
        for _ in 0..5 {
            assert_eq!((runs.row(), runs.row()), (1, 2));
            assert!(runs.completed(b"SELECT 2").is_some());
        }
    }

    #[test]
    fn each_cursor_of_a_query_is_counted_for_itself() {
        let mut runs = Runs::default();
        for round in 0..3 {
            runs.sent(run(Asked::Query, &["c", "d"]));
            for _ in ["c", "d"] {
                assert_eq!(runs.row(), round + 1);
                runs.completed(b"FETCH 1");
            }
            runs.ready(true);
        }
    }

    #[test]
    fn what_is_never_answered_is_told_at_the_end() {
        let mut runs = Runs::default();
        runs.sent(run(Asked::Query, &[]));
        assert_eq!(told(&runs.end()), [(None, None, Ended::Skipped)]);
        for _ in 0..WAITING {
            assert!(runs.sent(run(Asked::Execute, &[])).is_empty());
        }
        let over = runs.sent(run(Asked::Execute, &[]));
        assert!(over.len() == WAITING + 1 && over.iter().all(|(_, ended)| *ended == Ended::Unknown));
        assert_eq!(told(&runs.sent(run(Asked::Execute, &[]))), [(None, None, Ended::Unknown)]);
        assert!(runs.completed(b"SELECT 1").is_none() && runs.ready(true).is_empty());
        runs.sent(run(Asked::Execute, &[]));
        assert!(runs.completed(b"SELECT 1").is_some(), "all was answered: it follows again");
    }
}
