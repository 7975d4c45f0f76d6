//! Who is shut out for a while, and what: users who touched a decoy, and what an administrator has blocked.

use super::{Engine, Frame, Turn, Unjudged, name_of_parse};
use crate::policy::Judgement;
use crate::session::judge::Judged;
use crate::session::tell::Asked;
use crate::wire::frontend::Target;

impl Engine {
    /// Why nothing of this session passes now, where that is so. Asked before anything that is remembered of texts and names.
    #[inline]
    pub(super) fn shut_out(&mut self, asked: Asked) -> Option<Judgement> {
        self.blocks.look();
        if !self.enforces || asked == Asked::Close {
            return None;
        }
        if self.quarantine.holds() {
            return Some(self.policy.judge_quarantined());
        }
        let block = self.blocks.user()?;
        Some(self.policy.judge_blocked(block.sentence()))
    }

    /// A message of somebody who is shut out: nothing is read, not even what was allowed before.
    pub(super) fn unheard(&mut self, asked: Asked, turn: Turn<'_>, judgement: Judgement) -> Frame {
        match asked {
            Asked::Query | Asked::Parse => self.tell.statements(&judgement, None),
            Asked::FunctionCall => self.tell.admin_statement(&judgement),
            Asked::Bind | Asked::Describe | Asked::Execute | Asked::Close => {}
        }
        let name = name_of_parse(turn.rest);
        self.decide(asked, turn, Judged::plain(judgement), name, b"")
    }

    /// The end of a batch, which commits what was executed in it.
    pub(super) fn sync(&mut self, turn: Turn<'_>) -> Frame {
        let frame = match self.undoes() {
            Some(judgement) => self.undone(turn, judgement),
            None => turn.unjudged(Unjudged::Sync),
        };
        if let Frame::More(_) | Frame::End(_) = frame {
            return frame;
        }
        self.doomed = false;
        self.extended = false;
        self.executed = false;
        self.boundary(true);
        self.suspects.synced();
        if self.follows {
            self.runs.synced();
        }
        self.statements.synced();
        self.portals.synced();
        frame
    }

    /// Why the Sync at hand is not to commit what was executed since the last one, where that is so. A COPY under way goes on.
    #[inline]
    fn undoes(&mut self) -> Option<Judgement> {
        if !self.executed || self.doomed || self.ledger.is_copying() {
            return None;
        }
        self.shut_out(Asked::Execute)
    }

    /// Poison in front of a Sync: the transaction fails, and the Sync undoes it.
    fn undone(&mut self, turn: Turn<'_>, judgement: Judgement) -> Frame {
        let Some(sync) = turn.rest.get(..turn.frame) else { return Frame::More(turn.frame) };
        let Turn { frame, rest, run, insert } = turn;
        let poison = Turn { frame, rest, run, insert: &mut *insert };
        let refused = self.decide(Asked::Execute, poison, Judged::plain(judgement), b"", b"");
        if self.follows {
            self.follow_message(Asked::Execute, &refused);
        }
        if let Frame::Refused { .. } = refused {
            self.suspects.sent(Asked::Execute, true);
            insert.extend_from_slice(sync);
        }
        refused
    }

    /// The verdict on a message that uses a name behind which something blocked may stand, settled or not. Where the session is
    /// only observed it is told, and there is none.
    #[inline]
    pub(super) fn blocked(&mut self, asked: Asked, target: Target<'_>, name: &str) -> Option<Judgement> {
        if !self.blocks.any() {
            return None;
        }
        let found = match target {
            Target::Statement(_) => self.statements.found(name),
            Target::Portal(_) => self.portals.found(name),
        };
        let judgement = self.judge().blocked_behind(&found?)?;
        if let Some(would) = &judgement.would {
            self.tell.would_refuse(asked, would, b"", &self.texts);
        }
        judgement.refusal().is_some().then_some(judgement)
    }
}
