//! Frames that nobody reads: too long, broken, or of a type that doesn't exist.

use super::{BESIDES, End, Engine, Frame, Turn, Unjudged};
use crate::session::judge::Judged;
use crate::session::tell::Asked;
use crate::wire::frame::ImpossibleLength;
use crate::wire::sqlstate;

impl Engine {
    /// The longest frame that is gathered, in bytes.
    pub fn longest_frame(&self) -> usize {
        self.statement_bytes + BESIDES
    }

    pub(super) fn too_long(&mut self, asked: Asked, turn: Turn<'_>, name: &[u8]) -> Frame {
        let judgement = self.policy.judge_too_long(turn.frame);
        self.tell.statements(&judgement, None);
        self.decide(asked, turn, Judged::plain(judgement), name, b"")
    }

    /// A body that isn't what its type says: the server executes nothing of it, we don't even send it.
    pub(super) fn malformed(&mut self, asked: Asked, turn: Turn<'_>) -> Frame {
        let reason = format!("invalid message format of a {asked:?} message");
        let judgement = self.policy.guard(sqlstate::PROTOCOL_VIOLATION, reason);
        let judged = Judged { as_server: Some("invalid message format".to_owned()), ..Judged::plain(judgement) };
        self.decide(asked, turn, judged, b"", b"")
    }

    pub(super) fn impossible(&self, impossible: ImpossibleLength) -> Frame {
        self.tell.violation(&impossible.to_string());
        Frame::End(End::ImpossibleLength(impossible))
    }

    /// A type that doesn't exist, or not here: the server would end the session, so do we; observed, it does it itself.
    pub(super) fn misplaced(&self, turn: Turn<'_>, kind: u8) -> Frame {
        let message = format!("invalid frontend message type {kind}");
        self.tell.violation(&message);
        if self.enforces {
            let sqlstate = sqlstate::PROTOCOL_VIOLATION;
            return Frame::End(End::Fatal { sqlstate, message, detail: None, hint: None });
        }
        turn.unjudged(Unjudged::Misplaced)
    }
}
