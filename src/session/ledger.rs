//! What the client has sent and the server hasn't answered yet, as far as names depend on it.
//!
//! An answer settles an entry only where it can belong to nothing else. Two things make the count of ReadyForQuery uncertain:
//! a Sync that the server ignores during COPY IN, and a Query that it skips behind a failed message of the extended protocol.
//! The first is made good where the COPY succeeds; where a doubt stays, the ledger is lost, and from then on every name stays
//! known.

use std::collections::VecDeque;

use crate::session::statements::Stamp;

/// Entries kept; beyond it no name is settled until everything that is outstanding has been answered.
const ENTRIES: usize = 4096;

/// A request whose answer changes what is known, with the moment at which it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outstanding {
    /// A ReadyForQuery comes.
    Boundary(Boundary),
    /// Close of a prepared statement: CloseComplete.
    CloseStatement(Box<str>, Stamp),
    /// Close of a portal: CloseComplete.
    ClosePortal(Box<str>, Stamp),
    /// DEALLOCATE of one name: CommandComplete `DEALLOCATE`.
    Deallocate(Box<str>, Stamp),
    /// DEALLOCATE ALL, DISCARD ALL: CommandComplete of the same words.
    DeallocateAll(Stamp),
    /// CLOSE of one cursor: CommandComplete `CLOSE CURSOR`.
    CloseCursor(Box<str>, Stamp),
    /// CLOSE ALL: CommandComplete `CLOSE CURSOR ALL`.
    CloseCursors(Stamp),
    /// CopyDone or CopyFail: the Syncs before it, if the server was in COPY IN, are not answered.
    CopyEnd,
}

/// A Sync, Query or FunctionCall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boundary {
    /// When it was sent, by the clocks of the two kinds of names.
    pub statements: Stamp,
    pub portals: Stamp,
    pub sync: bool,
    /// A Query or FunctionCall behind messages of the extended protocol: the server skips it if one of those failed.
    pub skippable: bool,
    /// When the request before it was sent.
    pub since: Since,
}

/// A moment by the clocks of the two kinds of names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Since {
    pub statements: Stamp,
    pub portals: Stamp,
}

/// A request that a ReadyForQuery has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    pub boundary: Boundary,
    /// Without an error: everything in it was done.
    pub clean: bool,
}

/// The ledger of one session.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: VecDeque<Outstanding>,
    /// Entries that are not boundaries.
    watched: usize,
    /// An ErrorResponse came since the last ReadyForQuery.
    errored: bool,
    /// Between CopyInResponse and the end of that COPY.
    copying: bool,
    /// Too many entries: boundaries are only counted until all are answered.
    blind: Option<Blind>,
    /// Which answer belongs to which request is not certain any more.
    lost: bool,
}

#[derive(Debug)]
struct Blind {
    boundaries: u64,
    /// Something was sent behind the last boundary.
    open: bool,
}

impl Ledger {
    /// A request was sent.
    #[inline]
    pub fn sent(&mut self, request: Outstanding) {
        if self.lost {
            return;
        }
        let is_boundary = matches!(request, Outstanding::Boundary(_));
        if self.blind.is_none() && self.entries.len() == ENTRIES {
            let boundaries = self.entries.iter().filter(|entry| matches!(entry, Outstanding::Boundary(_))).count();
            self.blind = Some(Blind { boundaries: boundaries as u64, open: true });
            self.entries = VecDeque::new();
            self.watched = 0;
        }
        if let Some(blind) = &mut self.blind {
            blind.boundaries += u64::from(is_boundary);
            blind.open = !is_boundary;
            return;
        }
        self.watched += usize::from(!is_boundary);
        self.entries.push_back(request);
    }

    /// Whether CloseComplete and CommandComplete need looking at.
    #[inline]
    pub fn watches(&self) -> bool {
        self.watched > 0 || self.copying
    }

    /// CloseComplete came: the Close that it must belong to.
    pub fn close_complete(&mut self) -> Option<Outstanding> {
        match self.entries.front() {
            Some(Outstanding::CloseStatement(..) | Outstanding::ClosePortal(..)) => self.drop_front(),
            Some(
                Outstanding::Boundary(_)
                | Outstanding::Deallocate(..)
                | Outstanding::DeallocateAll(_)
                | Outstanding::CloseCursor(..)
                | Outstanding::CloseCursors(_)
                | Outstanding::CopyEnd,
            )
            | None => None,
        }
    }

    /// CommandComplete came with this tag: the request that it must belong to.
    pub fn command_complete(&mut self, tag: &[u8]) -> Option<Outstanding> {
        let fits = match self.entries.front() {
            Some(Outstanding::Deallocate(..)) => tag == b"DEALLOCATE",
            Some(Outstanding::DeallocateAll(_)) => tag == b"DEALLOCATE ALL" || tag == b"DISCARD ALL",
            Some(Outstanding::CloseCursor(..)) => tag == b"CLOSE CURSOR",
            Some(Outstanding::CloseCursors(_)) => tag == b"CLOSE CURSOR ALL",
            Some(
                Outstanding::Boundary(_)
                | Outstanding::CloseStatement(..)
                | Outstanding::ClosePortal(..)
                | Outstanding::CopyEnd,
            )
            | None => false,
        };
        if fits { self.drop_front() } else { None }
    }

    /// ReadyForQuery came: everything before its boundary is answered, one way or another.
    #[inline]
    pub fn ready(&mut self) -> Option<Answered> {
        let clean = !std::mem::take(&mut self.errored);
        self.copying = false;
        if let Some(blind) = &mut self.blind {
            blind.boundaries = blind.boundaries.saturating_sub(1);
            if blind.boundaries == 0 && !blind.open {
                self.blind = None;
            }
            return None;
        }
        while let Some(entry) = self.drop_front() {
            if let Outstanding::Boundary(boundary) = entry {
                if boundary.skippable && !clean {
                    // Either the error was its own, or it was skipped and this is the next Sync's answer.
                    self.lose();
                }
                return Some(Answered { boundary, clean });
            }
        }
        None
    }

    /// ErrorResponse came: how many Syncs were ignored, most probably.
    #[inline]
    pub fn error(&mut self) -> u64 {
        self.errored = true;
        if !std::mem::take(&mut self.copying) {
            return 0;
        }
        let early = self.syncs_before_copy_ends();
        if self.blind.is_some() || early > 0 {
            // Whether they were read before the COPY failed or behind it can't be known for certain.
            self.lose();
        }
        early
    }

    /// Whether every ReadyForQuery so far is known to belong to the request that it was counted for.
    pub fn is_certain(&self) -> bool {
        !self.lost && self.blind.is_none()
    }

    /// CopyInResponse came: until that COPY ends the server ignores Sync.
    pub fn copy_in(&mut self) {
        self.copying = true;
    }

    /// Whether a COPY IN is under way.
    pub fn is_copying(&self) -> bool {
        self.copying
    }

    /// CommandComplete of the COPY IN under way came: how many requests it took out, Syncs that no ReadyForQuery answers.
    pub fn copied(&mut self) -> u64 {
        self.copying = false;
        let early = self.syncs_before_copy_ends();
        let ends: Vec<usize> =
            self.entries.iter().enumerate().filter(|(_, e)| **e == Outstanding::CopyEnd).map(|(i, _)| i).collect();
        let (Some(first), Some(last)) = (ends.first(), ends.last()) else {
            if self.blind.is_some() || early > 0 {
                self.lose();
            }
            return 0;
        };
        let (first, last) = (*first, *last);
        if self.entries.range(first..last).any(is_sync) {
            // An end that stood outside of any COPY: which Syncs were ignored isn't certain.
            self.lose();
            return 0;
        }
        let mut at = 0;
        self.entries.retain(|entry| {
            let gone = at == first || (at < first && is_sync(entry));
            at += 1;
            !gone
        });
        self.watched = self.watched.saturating_sub(1);
        early
    }

    /// Whether nothing is outstanding.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn syncs_before_copy_ends(&self) -> u64 {
        self.entries.iter().take_while(|entry| **entry != Outstanding::CopyEnd).filter(|entry| is_sync(entry)).count()
            as u64
    }

    fn lose(&mut self) {
        self.lost = true;
        self.blind = None;
        self.entries = VecDeque::new();
        self.watched = 0;
    }

    #[inline]
    fn drop_front(&mut self) -> Option<Outstanding> {
        let entry = self.entries.pop_front()?;
        self.watched -= usize::from(!matches!(entry, Outstanding::Boundary(_)));
        Some(entry)
    }
}

fn is_sync(entry: &Outstanding) -> bool {
    matches!(entry, Outstanding::Boundary(Boundary { sync: true, .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDARY: Outstanding = Outstanding::Boundary(Boundary {
        statements: Stamp::ZERO,
        portals: Stamp::ZERO,
        sync: true,
        skippable: false,
        since: Since { statements: Stamp::ZERO, portals: Stamp::ZERO },
    });

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
        assert!(ledger.entries.len() <= ENTRIES);
        for _ in 0..3 * ENTRIES {
            ledger.ready();
        }
        ledger.sent(close("a"));
        assert_eq!(ledger.close_complete(), Some(close("a")), "all are answered: it counts again");
    }
}
