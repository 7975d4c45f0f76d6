//! Emergency blocks in judging: a text that is blocked, and a name behind which one may stand.

use super::{Judge, Judged};
use crate::blocks::Stop;
use crate::policy::{Judgement, Refusal};
use crate::session::statements::Behind;
use crate::sql::NameUse;

impl Judge<'_> {
    /// The verdict so far, after the blocks were asked. What is refused anyway stays refused for its own reason, and nothing hides
    /// a decoy.
    pub(super) fn after_blocks(&self, judgement: Judgement, stop: Option<Stop<'_>>) -> Judgement {
        let decided = judgement.refusal().is_some() || judgement.would.as_ref().is_some_and(Refusal::is_of_decoy);
        let Some(stop) = stop.filter(|_| !decided) else { return judgement };
        let Judgement { at_bind, timed, noted, .. } = judgement;
        Judgement { at_bind, timed, noted, ..self.policy.judge_blocked(stop.sentence()) }
    }

    /// The verdict on a name that SQL uses, where what stands behind it is blocked. A cursor may be closed all the same.
    pub(super) fn blocked_name(&self, used: &NameUse) -> Option<Judged> {
        let behind = match used {
            NameUse::Execute(name) => self.statements.get(name),
            NameUse::Fetch(name) => self.portals.get(name),
            NameUse::Prepare(_) | NameUse::Declare { .. } | NameUse::Deallocate(_) | NameUse::CloseCursor(_) => None,
        };
        self.blocked_behind(behind?).map(Judged::plain)
    }

    /// The verdict on what stands behind a name, where it is blocked.
    pub fn blocked_behind(&self, behind: &Behind) -> Option<Judgement> {
        let stop = self.blocks.behind(behind.facts(), behind.may_hide())?;
        Some(self.policy.judge_blocked(stop.sentence()))
    }
}
