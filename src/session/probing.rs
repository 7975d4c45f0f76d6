//! Who probes at the moment, for all sessions of the process. In memory, of one process.
//!
//! The list has a lock, taken only where an error of the right kind comes, and where a text that shows a sign of an injection is
//! judged while anybody probes. Nothing is asked of it for what succeeds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::detect::probing::{Burst, Pair, Pairs, Shape, Sign, WINDOW};
use crate::policy::Identity;

/// Everybody whose statements failed lately.
#[derive(Debug)]
pub struct Probing {
    start: Instant,
    /// Until when somebody may probe, in milliseconds since `start`; 0 while nobody ever did.
    until: AtomicU64,
    pairs: Mutex<Pairs>,
}

impl Default for Probing {
    fn default() -> Probing {
        Probing { start: Instant::now(), until: AtomicU64::new(0), pairs: Mutex::default() }
    }
}

impl Probing {
    fn add(&self, pair: &Pair, sign: Sign, shape: Shape, now: Instant) -> Option<Burst> {
        let mut pairs = self.pairs();
        let burst = pairs.add(pair, sign, shape, now);
        if pairs.is_probing(pair, now) {
            self.until.fetch_max(self.millis(now + WINDOW) + 1, Ordering::Relaxed);
        }
        burst
    }

    fn is_probing(&self, pair: &Pair, now: Instant) -> bool {
        self.pairs().is_probing(pair, now)
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_millis()).unwrap_or(u64::MAX)
    }

    fn pairs(&self) -> MutexGuard<'_, Pairs> {
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One session's look at it.
#[derive(Debug)]
pub struct Watch {
    probing: Arc<Probing>,
    pair: Pair,
}

impl Watch {
    /// For a session of this user from this address.
    pub fn new(probing: Arc<Probing>, identity: &Identity) -> Watch {
        Watch { probing, pair: Pair { user: identity.user.as_str().into(), address: identity.address } }
    }

    /// A statement of this session failed. The burst, where it is to be told of.
    pub fn add(&self, sign: Sign, shape: Shape) -> Option<Burst> {
        self.probing.add(&self.pair, sign, shape, Instant::now())
    }

    /// Whether the session's user probes now, at this address.
    pub fn is_probing(&self) -> bool {
        let until = self.probing.until.load(Ordering::Relaxed);
        if until == 0 {
            return false;
        }
        let now = Instant::now();
        self.probing.millis(now) < until && self.probing.is_probing(&self.pair, now)
    }
}
