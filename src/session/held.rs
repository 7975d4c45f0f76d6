//! The Facts behind a session's names, held by the session itself: judged again when other policies are in force.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::audit::Told;
use crate::detect::Signals;
use crate::sql::Facts;

/// What the Facts behind all names of one session may occupy, in bytes. Beyond it a name is still known, but what stands
/// behind it can't be judged again.
const ROOM: usize = 16 << 20;

/// The room of one session for Facts.
#[derive(Debug, Clone)]
pub struct Shelf {
    free: Arc<AtomicUsize>,
}

impl Default for Shelf {
    fn default() -> Shelf {
        Shelf { free: Arc::new(AtomicUsize::new(ROOM)) }
    }
}

impl Shelf {
    /// Holds Facts as long as anything needs them; `None` where there is no room.
    pub fn hold(&self, facts: &Arc<Facts>, signals: &Signals, said: &Said) -> Option<Arc<Held>> {
        let told = said.told.as_ref().map_or(0, |told| told.bytes());
        let bytes = facts.bytes() + told + size_of::<Held>();
        let taken = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(bytes));
        taken.ok()?;
        Some(Arc::new(Held {
            facts: Arc::clone(facts),
            signals: signals.clone(),
            said: said.clone(),
            bytes,
            free: Arc::clone(&self.free),
        }))
    }
}

/// What the audit log says of a text; nothing where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    pub told: Option<Arc<Told>>,
    /// The allow rules that it needed when it was judged.
    pub rules: Option<Arc<str>>,
}

/// Facts that one session holds. Each session has its own: a counter of references that all sessions share is no place for
/// all cores to meet.
#[derive(Debug)]
pub struct Held {
    facts: Arc<Facts>,
    signals: Signals,
    said: Said,
    bytes: usize,
    free: Arc<AtomicUsize>,
}

impl Held {
    /// The Facts.
    #[inline]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The text's signs of an injection.
    #[inline]
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// What the audit log says of it.
    pub fn said(&self) -> &Said {
        &self.said
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.free.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Held) -> bool {
        self.signals == other.signals && (Arc::ptr_eq(&self.facts, &other.facts) || self.facts == other.facts)
    }
}

impl Eq for Held {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_given_back() {
        let shelf = Shelf::default();
        let facts = Arc::new(Facts::default());
        let mut held = Vec::new();
        while let Some(one) = shelf.hold(&facts, Signals::NONE, &Said::default()) {
            held.push(one);
        }
        assert!(held.len() > 1000);
        held.pop();
        assert!(shelf.hold(&facts, Signals::NONE, &Said::default()).is_some(), "as much as one gave back");
        drop(held);
        assert_eq!(shelf.free.load(Ordering::Relaxed), ROOM);
    }
}
