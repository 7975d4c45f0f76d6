//! What is counted: statements in a time, and the rows that each gives; and the runs of statements that are told of when
//! they are over.

use std::sync::Arc;
use std::time::Instant;

use super::{End, Engine, Frame, Turn};
use crate::limits::{Limits, Meters};
use crate::policy::{Limit, Refusal, SessionPolicy, Verdict};
use crate::session::held::Said;
use crate::session::judge::Judged;
use crate::session::runs::{Ended, Run};
use crate::session::statements::{Behind, Statement};
use crate::session::tell::Asked;
use crate::sql::{ActionName, Facts, NameUse, Statement as Of};

/// What COPY sends beside its rows: a header and a trailer.
const BESIDES: u64 = 2;

/// What counts one session's statements.
#[derive(Debug, Default)]
pub(super) struct Counters {
    meters: Meters,
    of: Option<(Arc<Limits>, Box<str>)>,
}

impl Counters {
    /// Those of this user's sessions.
    pub fn new(limits: Arc<Limits>, user: &str, policy: &SessionPolicy) -> Counters {
        Counters { meters: limits.meters(policy, user), of: Some((limits, user.into())) }
    }

    /// Other policies are in force.
    pub fn renew(&mut self, policy: &SessionPolicy) {
        if let Some((limits, user)) = &self.of {
            self.meters = limits.meters(policy, user);
        }
    }
}

impl Engine {
    /// Counts the statements of a message. Too many are refused, but what only ends a transaction: that may always pass.
    pub(super) fn counted(&mut self, judged: Judged) -> Judged {
        let Some(over) = self.counters.meters.spend(judged.statements) else { return judged };
        let Verdict::Allow(_) = judged.judgement.verdict else { return judged };
        if judged.only_ends {
            return judged;
        }
        let sentence = format!("more than {} statements of user \"{}\"", over.rate, self.counters.user());
        let judgement = self.policy.judge_over(&over.policy, over.enforced, Limit::Statements, sentence);
        match judgement.verdict {
            Verdict::Refuse(_) => Judged { judgement, facts: None, held: None, ..judged },
            Verdict::Allow(_) => {
                let would = judged.judgement.would.or(judgement.would);
                Judged { judgement: crate::policy::Judgement { would, ..judged.judgement }, ..judged }
            }
        }
    }

    /// The verdict on the Execute of something that may run, where there were too many.
    pub(super) fn over(&mut self, behind: &Behind) -> Option<Judged> {
        if self.counters.meters.is_empty() {
            return None;
        }
        let newest = behind.newest();
        let only_ends = newest.is_some_and(|statement| only_ends(statement.facts()));
        let said = newest.map(Statement::said).unwrap_or_default();
        let judged = Judged { said, only_ends, ..Judged::plain(self.policy.judge_nothing()) };
        let judged = self.counted(judged);
        if judged.judgement.is_clear() { None } else { Some(judged) }
    }

    /// Whether a settled Execute is more than a frame to pass on.
    #[inline]
    pub(super) fn watches_runs(&self) -> bool {
        self.follows || !self.counters.meters.is_empty()
    }

    /// An Execute of this portal goes out.
    pub(super) fn executes(&mut self, portal: &str, behind: &Behind) {
        let said = behind.newest().map(Statement::said).unwrap_or_default();
        let policy = Arc::clone(self.policy.name());
        let portals = behind.newest().map_or_else(Vec::new, |statement| portals_of(statement.facts()));
        let portals = if portals.is_empty() { vec![Some(portal.into())] } else { portals };
        self.began(Asked::Execute, policy, None, said, portals);
    }

    pub(super) fn passed(&mut self, turn: Turn<'_>, behind: &Behind) -> Frame {
        let passed = turn.behind(behind);
        if behind.changes_encoding() {
            self.unsettle();
        }
        passed
    }

    /// A message went out: what it runs is followed to its end, what it prepares is told of once.
    pub(super) fn began(
        &mut self,
        asked: Asked,
        policy: Arc<str>,
        would: Option<Refusal>,
        said: Said,
        portals: Vec<Option<Box<str>>>,
    ) {
        if !self.follows {
            return;
        }
        match asked {
            Asked::Query | Asked::Execute | Asked::FunctionCall => {
                let run = Run {
                    asked,
                    time: jiff::Timestamp::now(),
                    begun: Instant::now(),
                    told: said.told,
                    policy,
                    rules: said.rules,
                    would: would.map(Box::new),
                    rows: None,
                    sqlstate: None,
                    portals,
                    refused: false,
                };
                let too_old = self.runs.sent(run);
                self.tell_over(too_old);
            }
            Asked::Parse => self.tell.audit_prepared(&policy, would.as_ref(), &said, &self.application_name),
            Asked::Bind | Asked::Describe | Asked::Close => {}
        }
    }

    /// Poison went out in the place of a message: its answer belongs to nothing that is told of.
    pub(super) fn poisoned(&mut self, asked: Asked) {
        if self.follows && asked.is_answered_by_ready_for_query() {
            let policy = Arc::clone(self.policy.name());
            self.began(asked, policy, None, Said::default(), Vec::new());
            self.runs.refuse_newest();
        }
    }

    pub(super) fn tell_over(&mut self, over: impl IntoIterator<Item = (Box<Run>, Ended)>) {
        for (run, ended) in over {
            self.tell.ran(&run, ended, &self.application_name);
        }
    }

    /// The server sends a row. The end, where that is one too many. `copied`: of COPY, whose header and trailer look like rows.
    #[inline]
    pub(super) fn row(&mut self, copied: bool) -> Option<End> {
        let rows = self.runs.row();
        let beside = if copied { BESIDES } else { 0 };
        let (limit, enforced) = self.result_rows.filter(|(limit, _)| rows > *limit + beside)?;
        // Of what is only observed, the first one too many is told.
        (enforced || rows == limit + beside + 1).then(|| self.too_many_rows(limit, enforced)).flatten()
    }

    #[cold]
    fn too_many_rows(&mut self, limit: u64, enforced: bool) -> Option<End> {
        let sentence = format!("more than {limit} rows of one statement");
        let refusal = self.policy.over(self.policy.name(), Limit::ResultRows, sentence);
        let refusal = Refusal { terse: refusal.terse || self.terse, ..refusal };
        if !enforced {
            self.tell.would_refuse(Asked::Execute, &refusal, b"", &self.texts);
            return None;
        }
        Some(self.refused_rows(&refusal))
    }

    /// The session is over: what was not answered is told.
    pub fn end(&mut self) {
        let over = self.runs.end();
        self.tell_over(over);
    }
}

impl Counters {
    fn user(&self) -> &str {
        self.of.as_ref().map_or("", |(_, user)| user)
    }
}

/// The cursor that each statement of a text fetches from; empty where none does.
pub(super) fn portals_of(facts: &Facts) -> Vec<Option<Box<str>>> {
    let fetched = |used: &NameUse| match used {
        NameUse::Fetch(cursor) => Some(cursor.clone()),
        NameUse::Prepare(_)
        | NameUse::Execute(_)
        | NameUse::Deallocate(_)
        | NameUse::Declare { .. }
        | NameUse::CloseCursor(_) => None,
    };
    let of = |statement: &Of| statement.names.iter().find_map(fetched);
    let portals: Vec<_> = facts.statements.iter().map(of).collect();
    if portals.iter().any(Option::is_some) { portals } else { Vec::new() }
}

fn only_ends(facts: &Facts) -> bool {
    let ends = |name| matches!(name, ActionName::Commit | ActionName::Rollback);
    let mut accesses = facts.statements.iter().flat_map(|statement| &statement.accesses).peekable();
    accesses.peek().is_some() && accesses.all(|access| ends(access.action.name))
}
