//! The Facts behind a session's names, held by the session itself: judged again when other policies are in force.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    pub fn hold(&self, facts: &Arc<Facts>, signals: &Signals) -> Option<Arc<Held>> {
        let bytes = facts.bytes() + size_of::<Held>();
        let taken = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(bytes));
        taken.ok()?;
        Some(Arc::new(Held { facts: Arc::clone(facts), signals: signals.clone(), bytes, free: Arc::clone(&self.free) }))
    }
}

/// Facts that one session holds. Each session has its own: a counter of references that all sessions share is no place for
/// all cores to meet.
#[derive(Debug)]
pub struct Held {
    facts: Arc<Facts>,
    signals: Signals,
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
        while let Some(one) = shelf.hold(&facts, Signals::NONE) {
            held.push(one);
        }
        assert!(held.len() > 1000);
        held.pop();
        assert!(shelf.hold(&facts, Signals::NONE).is_some(), "as much as one gave back");
        drop(held);
        assert_eq!(shelf.free.load(Ordering::Relaxed), ROOM);
    }
}
