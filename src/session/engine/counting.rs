//! What is counted: statements in a time, and the rows that each gives; and the runs of statements that are told of when
//! they are over.

use std::sync::Arc;
use std::time::Instant;

use super::{End, Engine, Frame, Turn};
use crate::limits::{Limits, Meters};
use crate::policy::{Limit, Refusal, SessionPolicy, Verdict};
use crate::session::held::Said;
use crate::session::judge::{Judged, counted};
use crate::session::runs::{Ended, Gives, Made, Message, Over, Run};
use crate::session::statements::{Behind, Names, Statement, key};
use crate::session::tell::Asked;
use crate::sql::{Facts, NameUse, Statement as Of};

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
    pub(super) fn over(&mut self, portal: &str, behind: &Behind) -> Option<Judged> {
        if self.counters.meters.is_empty() {
            return None;
        }
        let judged = running(portal, behind, Judged::plain(self.policy.judge_nothing()));
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
        if self.follows {
            let (said, ambiguous) = told(behind);
            let policy = Arc::clone(self.policy.name());
            let gives = gives_behind(portal, behind);
            self.began(Asked::Execute, Began { policy, would: None, said, ambiguous, gives });
        }
    }

    pub(super) fn passed(&mut self, turn: Turn<'_>, behind: &Behind) -> Frame {
        let passed = turn.behind(behind);
        if behind.changes_encoding() {
            self.unsettle();
        }
        passed
    }

    /// A message went out: what it runs is followed to its end, and what it prepares until the server has said what it thinks of it.
    pub(super) fn began(&mut self, asked: Asked, mut began: Began) {
        if !self.follows {
            return;
        }
        let gives = std::mem::take(&mut began.gives);
        let run = run(asked, began);
        match asked {
            Asked::Query | Asked::Execute | Asked::FunctionCall => {
                self.runs.sent(run, gives, self.result_rows);
                self.tell_over();
            }
            Asked::Parse => self.preparing = Some(run),
            Asked::Bind | Asked::Describe | Asked::Close => {}
        }
    }

    /// A command of the replication protocol went out: nobody counts the rows of its stream.
    pub(super) fn began_command(&mut self, policy: Arc<str>, would: Option<Refusal>) {
        let began = Began { policy, would, said: Said::default(), ambiguous: Vec::new(), gives: Vec::new() };
        self.runs.sent(run(Asked::Query, began), Vec::new(), None);
        self.tell_over();
    }

    /// Poison went out in the place of a message: its answer belongs to nothing that is told of.
    pub(super) fn poisoned(&mut self, asked: Asked) {
        if self.follows && asked.is_answered_by_ready_for_query() {
            let policy = Arc::clone(self.policy.name());
            let began = Began { policy, would: None, said: Said::default(), ambiguous: Vec::new(), gives: Vec::new() };
            self.runs.sent(Run { refused: true, ..run(asked, began) }, Vec::new(), None);
            self.tell_over();
        }
    }

    /// A judged message went out, or poison in its place: it is followed to its answer. What runs is followed already.
    pub(super) fn follow_message(&mut self, asked: Asked, judged: &Frame) {
        let (sending, preparing) = match judged {
            Frame::More(_) | Frame::End(_) => return,
            Frame::Passed => (self.sending.take(), self.preparing.take()),
            Frame::Refused { .. } => {
                (self.sending, self.preparing) = (None, None);
                ((!asked.is_answered_by_ready_for_query()).then_some(Message::Poison), None)
            }
        };
        if let Some(message) = sending {
            self.runs.message(message, preparing);
            self.tell_over();
        }
    }

    /// What is over is told, and what the server said of names is kept.
    #[inline]
    pub(super) fn tell_over(&mut self) {
        for (over, ended) in self.runs.take_over() {
            match over {
                Over::Run(run) => self.tell.ran(&run, ended, &self.application_name),
                Over::Parse(made, run) => {
                    let Made { name, at, held } = made;
                    if let Some(run) = run {
                        self.tell.prepared(&run, ended, &self.application_name);
                    }
                    match ended {
                        Ended::Unknown => self.statements.unanswered(&name, at),
                        Ended::Answered | Ended::Failed | Ended::Skipped => {
                            self.statements.answered(&name, at, ended == Ended::Answered, held);
                        }
                    }
                }
                Over::Bind(Made { name, at, held }) => match ended {
                    Ended::Unknown => self.portals.unanswered(&name, at),
                    Ended::Answered | Ended::Failed | Ended::Skipped => {
                        self.portals.answered(&name, at, ended == Ended::Answered, held);
                    }
                },
            }
        }
    }

    /// The server sends a row. The end, where that is one too many. `copied`: of COPY, whose header and trailer look like rows.
    #[inline]
    pub(super) fn row(&mut self, copied: bool) -> Option<End> {
        let (rows, limit) = self.runs.row(self.result_rows);
        let beside = if copied { BESIDES } else { 0 };
        let (limit, enforced) = limit.filter(|(limit, _)| rows > *limit + beside)?;
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
        self.runs.end();
        self.tell_over();
    }
}

impl Counters {
    fn user(&self) -> &str {
        self.of.as_ref().map_or("", |(_, user)| user)
    }
}

/// What is told of a message that went out.
pub(super) struct Began {
    pub policy: Arc<str>,
    pub would: Option<Refusal>,
    pub said: Said,
    pub ambiguous: Vec<String>,
    pub gives: Vec<Gives>,
}

fn run(asked: Asked, began: Began) -> Run {
    let Began { policy, would, said, ambiguous, .. } = began;
    Run {
        asked,
        time: jiff::Timestamp::now(),
        begun: Instant::now(),
        told: said.told,
        policy,
        rules: said.rules,
        would: would.map(Box::new),
        rows: None,
        sqlstate: None,
        ambiguous,
        refused: false,
    }
}

/// The verdict on the Execute of a portal, with what is told and counted of what stands behind it.
pub(super) fn running(portal: &str, behind: &Behind, judged: Judged) -> Judged {
    let (said, ambiguous) = told(behind);
    // Whichever of them it is.
    let only_ends =
        !behind.may_hide() && behind.facts().next().is_some() && behind.facts().all(|facts| counted(facts).1);
    Judged { said, ambiguous, only_ends, gives: gives_behind(portal, behind), ..judged }
}

/// What the audit log says of what stands behind a name: the statement, or where that isn't certain the hashes of those that it
/// may be.
fn told(behind: &Behind) -> (Said, Vec<String>) {
    if let Some(statement) = behind.certain() {
        return (statement.said(), Vec::new());
    }
    let unknown = || "unknown".to_owned();
    let hash = |statement: &Statement| statement.facts().hash.map_or_else(unknown, |hash| hash.to_string());
    let mut hashes: Vec<String> = behind.statements().map(hash).collect();
    if behind.may_hide() {
        hashes.push(unknown());
    }
    (Said::default(), hashes)
}

/// What each statement of a text gives.
pub(super) fn gives(facts: &Facts) -> Vec<Gives> {
    facts.statements.iter().map(given).collect()
}

fn given(statement: &Of) -> Gives {
    let gives = statement.names.iter().find_map(|used| match used {
        NameUse::Fetch(cursor) => Some(Gives::Of([key(cursor).into()].into())),
        NameUse::Declare { cursor, .. } => Some(Gives::Declares(cursor.clone())),
        NameUse::Prepare(_) | NameUse::Execute(_) | NameUse::Deallocate(_) | NameUse::CloseCursor(_) => None,
    });
    gives.unwrap_or(Gives::Own)
}

/// What the Execute of a portal gives: rows of the portal, or of the cursors that a statement fetches from which may stand behind
/// it. They count for each.
fn gives_behind(portal: &str, behind: &Behind) -> Vec<Gives> {
    let mut of: Vec<Box<str>> = Vec::new();
    let mut declared = None;
    let mut number = 0;
    for facts in behind.facts() {
        number += 1;
        match facts.statements.iter().map(given).find(|gives| *gives != Gives::Own) {
            Some(Gives::Of(cursors)) => of.extend(cursors),
            Some(Gives::Declares(cursor)) => declared = Some(cursor),
            Some(Gives::Own) | None => {}
        }
    }
    if number > 1 || of.is_empty() || behind.may_hide() {
        of.push(key(portal).into());
    }
    match declared {
        Some(cursor) if number == 1 && !behind.may_hide() => vec![Gives::Declares(cursor)],
        Some(_) | None => vec![Gives::Of(of.into())],
    }
}

/// A Bind that goes out: the portal was made just now.
pub(super) fn binding(portals: &Names, portal: &str, behind: &Behind) -> Message {
    Message::Bind(Made { name: portal.into(), at: portals.now(), held: behind.certain_held() })
}

impl Engine {
    /// A Parse that goes out: the name was made just now.
    pub(super) fn parsing(&self, name: &str, behind: &Behind) -> Message {
        Message::Parse(Made { name: name.into(), at: self.statements.now(), held: behind.certain_held() })
    }
}
