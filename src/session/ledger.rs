//! What the client has sent and the server hasn't answered yet, as far as names depend on it.
//!
//! An entry is settled only where the answer can belong to nothing else: the count of replies isn't certain (COPY IN with
//! an early Sync gives one or two ReadyForQuery), so a doubtful answer settles nothing, and a name stays known.

use std::collections::VecDeque;

use crate::session::statements::Stamp;

/// Entries kept; beyond it the oldest are dropped, and their names stay known.
const ENTRIES: usize = 4096;

/// A request whose answer changes what is known, with the moment at which it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outstanding {
    /// Sync, Query or FunctionCall: a ReadyForQuery comes.
    Boundary { portals: Stamp },
    /// Close of a prepared statement: CloseComplete.
    CloseStatement(Box<str>, Stamp),
    /// Close of a portal: CloseComplete.
    ClosePortal(Box<str>, Stamp),
    /// DEALLOCATE of one name: CommandComplete `DEALLOCATE`.
    Deallocate(Box<str>, Stamp),
    /// DEALLOCATE ALL, DISCARD ALL: CommandComplete of the same words.
    DeallocateAll(Stamp),
}

/// The ledger of one session.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: VecDeque<Outstanding>,
    /// Entries that are not boundaries.
    watched: usize,
}

impl Ledger {
    /// A request was sent.
    #[inline]
    pub fn sent(&mut self, request: Outstanding) {
        if self.entries.len() == ENTRIES {
            self.drop_front();
        }
        self.watched += usize::from(!matches!(request, Outstanding::Boundary { .. }));
        self.entries.push_back(request);
    }

    /// Whether CloseComplete and CommandComplete need looking at.
    #[inline]
    pub fn watches(&self) -> bool {
        self.watched > 0
    }

    /// CloseComplete came: the Close that it must belong to.
    pub fn close_complete(&mut self) -> Option<Outstanding> {
        match self.entries.front() {
            Some(Outstanding::CloseStatement(..) | Outstanding::ClosePortal(..)) => self.drop_front(),
            Some(Outstanding::Boundary { .. } | Outstanding::Deallocate(..) | Outstanding::DeallocateAll(_)) | None => {
                None
            }
        }
    }

    /// CommandComplete came with this tag: the request that it must belong to.
    pub fn command_complete(&mut self, tag: &[u8]) -> Option<Outstanding> {
        let fits = match self.entries.front() {
            Some(Outstanding::Deallocate(..)) => tag == b"DEALLOCATE",
            Some(Outstanding::DeallocateAll(_)) => tag == b"DEALLOCATE ALL" || tag == b"DISCARD ALL",
            Some(Outstanding::Boundary { .. } | Outstanding::CloseStatement(..) | Outstanding::ClosePortal(..))
            | None => false,
        };
        if fits { self.drop_front() } else { None }
    }

    /// ReadyForQuery came: everything before its boundary is answered, one way or another. The moment at which the boundary
    /// was sent.
    #[inline]
    pub fn ready(&mut self) -> Option<Stamp> {
        while let Some(entry) = self.drop_front() {
            if let Outstanding::Boundary { portals } = entry {
                return Some(portals);
            }
        }
        None
    }

    /// Whether nothing is outstanding.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[inline]
    fn drop_front(&mut self) -> Option<Outstanding> {
        let entry = self.entries.pop_front()?;
        self.watched -= usize::from(!matches!(entry, Outstanding::Boundary { .. }));
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDARY: Outstanding = Outstanding::Boundary { portals: Stamp::ZERO };

    fn close(name: &str) -> Outstanding {
        Outstanding::CloseStatement(name.into(), Stamp::default())
    }

    #[test]
    fn an_acknowledged_close_settles_in_order() {
        let mut ledger = Ledger::default();
        ledger.sent(close("a"));
        ledger.sent(close("b"));
        ledger.sent(BOUNDARY);
        assert_eq!(ledger.close_complete(), Some(close("a")));
        assert_eq!(ledger.close_complete(), Some(close("b")));
        assert!(ledger.ready().is_some() && ledger.is_empty());
    }

    #[test]
    fn a_close_that_the_server_skipped_settles_nothing() {
        let mut ledger = Ledger::default();
        ledger.sent(close("a"));
        ledger.sent(BOUNDARY);
        ledger.sent(close("b"));
        ledger.sent(BOUNDARY);
        assert!(ledger.ready().is_some() && !ledger.is_empty());
        assert_eq!(ledger.close_complete(), Some(close("b")));
    }

    #[test]
    fn an_answer_that_may_belong_elsewhere_settles_nothing() {
        let mut ledger = Ledger::default();
        ledger.sent(BOUNDARY);
        ledger.sent(close("a"));
        assert_eq!(ledger.close_complete(), None);
        assert_eq!(ledger.command_complete(b"DEALLOCATE"), None);
    }

    #[test]
    fn deallocate_is_known_by_its_tag() {
        let mut ledger = Ledger::default();
        ledger.sent(Outstanding::Deallocate("a".into(), Stamp::default()));
        ledger.sent(Outstanding::DeallocateAll(Stamp::default()));
        assert_eq!(ledger.command_complete(b"SELECT 1"), None);
        assert_eq!(ledger.command_complete(b"DEALLOCATE"), Some(Outstanding::Deallocate("a".into(), Stamp::default())));
        assert_eq!(ledger.command_complete(b"DISCARD ALL"), Some(Outstanding::DeallocateAll(Stamp::default())));
        assert!(!ledger.watches());
    }

    #[test]
    fn the_ledger_is_bounded() {
        let mut ledger = Ledger::default();
        for _ in 0..3 * ENTRIES {
            ledger.sent(BOUNDARY);
        }
        assert_eq!(ledger.entries.len(), ENTRIES);
    }
}
