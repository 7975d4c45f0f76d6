//! Other policies come into force while the session is under way: its next message is judged by them, and so is everything
//! that stands behind its names.

use super::{End, Engine};
use crate::policy::{Moment, Parameters, SessionPolicy, Verdict};
use crate::session::held::Held;
use crate::session::judge::takes_values;
use crate::session::statements::{Again, Judged};
use crate::wire::frontend::Frontend;
use crate::wire::sqlstate;

/// More names than this are judged with other tasks moved off this worker thread, so that they stall nobody.
const MANY: usize = 500;

impl Engine {
    /// Follows the policies in force, before a frame is judged. The end, where the session is closed and outside of a
    /// transaction.
    #[inline]
    pub(super) fn follow(&mut self, kind: Frontend) -> Option<End> {
        match kind {
            Frontend::Query
            | Frontend::Parse
            | Frontend::FunctionCall
            | Frontend::Bind
            | Frontend::Describe
            | Frontend::Execute => {}
            Frontend::Close
            | Frontend::Sync
            | Frontend::Flush
            | Frontend::CopyData
            | Frontend::CopyDone
            | Frontend::CopyFail
            | Frontend::Terminate => return None,
        }
        if self.admission.is_stale() {
            self.renew();
        }
        let closed = self.policy.closed()?;
        // Where the answers can't be told apart any more the session stays: nothing is allowed to it.
        self.is_outside().then(|| End::Fatal {
            sqlstate: sqlstate::ADMIN_SHUTDOWN,
            message: match closed.terse || self.terse {
                true => "terminating connection: this session is not admitted any more".to_owned(),
                false => format!("terminating connection: {}", closed.reason),
            },
            detail: None,
            hint: None,
        })
    }

    #[cold]
    fn renew(&mut self) {
        let was_open = self.policy.closed().is_none();
        self.admission.renew();
        let policy = self.admission.policy().clone();
        if let Some(closed) = policy.closed().filter(|_| was_open) {
            self.tell.closed(closed);
        }
        self.enforces = policy.enforces();
        self.statement_bytes = policy.statement_bytes();
        self.withholds_rows = policy.withholds_rows();
        self.asks_source = policy.asks_source();
        self.result_rows = policy.result_rows();
        self.counters.renew(&policy);
        if !self.follows && self.result_rows.is_some() {
            // From now on for good: where the limit goes and comes again, what was counted still is. What runs has none.
            self.follows = true;
            let outstanding = if self.ledger.is_certain() { self.requests - self.answered } else { 0 };
            self.runs.begin(outstanding, self.extended && self.ledger.is_certain());
        }
        self.texts.renew(policy.class());
        if self.statements.len() + self.portals.len() > MANY {
            tokio::task::block_in_place(|| self.judge_names(&policy));
        } else {
            self.judge_names(&policy);
        }
        self.policy = policy;
    }

    fn judge_names(&mut self, policy: &SessionPolicy) {
        let name = &self.application_name;
        let traced = self.tell.audits();
        let asks_source = self.asks_source;
        self.statements.judge_again(|held| again(policy, held, name, traced, asks_source));
        // The values of a portal were judged when they were bound, and are gone.
        let portal = |held: &Held| match takes_values(held.facts()) {
            true => Again::Lost.into(),
            false => again(policy, held, name, traced, asks_source),
        };
        self.portals.judge_again(portal);
    }
}

/// What these policies make of a statement that others allowed. Where they ask by which protocol it comes, it is judged whenever it
/// is used: that may be the other one.
fn again(policy: &SessionPolicy, held: &Held, application_name: &str, traced: bool, asks_source: bool) -> Judged {
    let moment = Moment { traced, signals: held.signals(), application_name, ..Moment::now(true, Parameters::Later) };
    let judgement = policy.judge(held.facts(), moment);
    let always = !judgement.at_bind && !judgement.timed && !asks_source && judgement.would.is_none();
    let again = match judgement.verdict {
        Verdict::Allow(_) if always => Again::Settled,
        Verdict::Allow(_) | Verdict::Refuse(_) => Again::Asked,
    };
    Judged { again, rules: judgement.rules }
}
