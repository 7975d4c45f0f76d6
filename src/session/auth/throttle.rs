//! Who tries out passwords is slowed down: so many failed logins of a user from an address within a time (`login_failures`),
//! and ten times as many of all users from that address. After that nothing goes upstream for them until the time is over.
//!
//! Guesses can't be made in parallel either: there are never more of them under way than may fail. A client that comes on top
//! waits until one of those before it is answered.
//!
//! Memory is bounded. Strangers choose users' names, so each address has so many names and no more, and the oldest
//! failures are forgotten where too many addresses fail.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};

use crate::config::LoginFailures;
use crate::net::counted_as;

/// The failures of an address, all its users together, are so many times those of one user.
const OF_ADDRESS: u32 = 10;

/// Users with an address, and addresses, that are remembered.
const MOST: usize = 10_000;

/// How long the answer to a login over the bound is held back. So trying goes no faster than a login does.
const DELAY: Duration = Duration::from_secs(1);

/// Logins that are held back at once. Each keeps a socket and a place among the handshakes under way: those who come on top
/// are answered at once, or failing would be a way of keeping everybody out.
const DELAYED: usize = 100;

/// Whose failures are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// This user's from this address.
    User,
    /// All users' from this address.
    Address,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scope::User => "of this user from this address",
            Scope::Address => "from this address",
        })
    }
}

/// Too many logins failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many failed logins {0}")]
pub struct Throttled(pub Scope);

/// The failures of a process.
#[derive(Debug)]
pub struct Throttle {
    bound: Option<LoginFailures>,
    failures: Mutex<Failures>,
    delayed: Semaphore,
}

#[derive(Debug, Default)]
struct Failures {
    users: Book<(IpAddr, Box<str>)>,
    addresses: Book<IpAddr>,
}

/// What failed, by whom.
#[derive(Debug)]
struct Book<K>(HashMap<K, Entry>);

impl<K> Default for Book<K> {
    fn default() -> Book<K> {
        Book(HashMap::new())
    }
}

#[derive(Debug, Default)]
struct Entry {
    /// When logins failed, the oldest first: no more than the bound.
    times: VecDeque<Instant>,
    /// Guesses under way.
    under_way: usize,
    /// Told of each guess that is answered.
    answered: Arc<Notify>,
}

/// Failures within a time.
#[derive(Debug, Clone, Copy)]
struct Bound {
    most: usize,
    within: Duration,
}

impl Entry {
    fn failures(&self, bound: Bound, now: Instant) -> usize {
        let recent = |time: &&Instant| now.saturating_duration_since(**time) < bound.within;
        self.times.iter().filter(recent).count()
    }

    /// No login may be tried any more.
    fn is_full(&self, bound: Bound, now: Instant) -> bool {
        self.failures(bound, now) >= bound.most
    }

    /// One more may be tried now, whatever becomes of those under way.
    fn has_room(&self, bound: Bound, now: Instant) -> bool {
        self.failures(bound, now) + self.under_way < bound.most
    }

    /// It says nothing.
    fn is_idle(&self, bound: Bound, now: Instant) -> bool {
        !self.is_in_use() && self.failures(bound, now) == 0
    }

    /// Somebody has a guess under way, or waits for one.
    fn is_in_use(&self) -> bool {
        // Clones are made under the lock only.
        self.under_way > 0 || Arc::strong_count(&self.answered) > 1
    }
}

impl<K: Hash + Eq + Clone> Book<K> {
    fn is_full(&self, key: &K, bound: Bound, now: Instant) -> bool {
        self.0.get(key).is_some_and(|entry| entry.is_full(bound, now))
    }

    /// The entry of a key, made where there is none.
    fn entry(&mut self, key: &K, bound: Bound, now: Instant) -> &mut Entry {
        if self.0.len() >= MOST && !self.0.contains_key(key) {
            self.make_room(bound, now);
        }
        self.0.entry(key.clone()).or_default()
    }

    /// Forgets what is over, or else a tenth of all, those that failed longest ago: many at once, so that the next newcomers
    /// cost nothing. Entries whose guesses are under way stay: they are as many as handshakes at the most.
    fn make_room(&mut self, bound: Bound, now: Instant) {
        self.0.retain(|_, entry| !entry.is_idle(bound, now));
        if self.0.len() < MOST {
            return;
        }
        let unused = self.0.values().filter(|entry| !entry.is_in_use());
        let mut last: Vec<Option<Instant>> = unused.map(|entry| entry.times.back().copied()).collect();
        let Some(tenth) = (last.len() / 10).checked_sub(1) else { return };
        let cut = *last.select_nth_unstable(tenth).1;
        self.0.retain(|_, entry| entry.is_in_use() || entry.times.back().copied() > cut);
    }

    fn failed(&mut self, key: &K, bound: Bound, now: Instant) {
        let entry = self.entry(key, bound, now);
        if entry.times.len() >= bound.most {
            entry.times.pop_front();
        }
        entry.times.push_back(now);
    }

    /// A guess was answered.
    fn answered(&mut self, key: &K, bound: Bound, now: Instant) {
        let Some(entry) = self.0.get_mut(key) else { return };
        entry.under_way = entry.under_way.saturating_sub(1);
        entry.answered.notify_waiters();
        if entry.is_idle(bound, now) {
            self.0.remove(key);
        }
    }
}

impl Throttle {
    /// Without a bound nobody is slowed down.
    pub fn new(bound: Option<LoginFailures>) -> Throttle {
        Throttle { bound, failures: Mutex::default(), delayed: Semaphore::new(DELAYED) }
    }

    /// For the logins of a user from an address.
    pub fn of(self: &Arc<Throttle>, user: &str, address: IpAddr) -> Attempt {
        let address = counted_as(address);
        Attempt { throttle: Arc::clone(self), user: (address, user.into()), address }
    }

    /// Holds the answer to a throttled login back, unless too many are held back already.
    pub async fn delay(&self) {
        if let Ok(_place) = self.delayed.try_acquire() {
            tokio::time::sleep(DELAY).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One login, or several of the same user and address.
#[derive(Debug, Clone)]
pub struct Attempt {
    throttle: Arc<Throttle>,
    user: (IpAddr, Box<str>),
    address: IpAddr,
}

impl Attempt {
    /// The bounds of the user and of the address.
    fn bounds(&self) -> Option<[Bound; 2]> {
        let LoginFailures { most, within } = self.throttle.bound?;
        let of = |most: u32| Bound { most: usize::try_from(most).unwrap_or(usize::MAX), within };
        Some([of(most), of(most.saturating_mul(OF_ADDRESS))])
    }

    /// Whether a login may go on at all.
    ///
    /// # Errors
    /// [`Throttled`].
    pub fn check(&self, now: Instant) -> Result<(), Throttled> {
        let Some([user, address]) = self.bounds() else { return Ok(()) };
        let failures = self.throttle.lock();
        if failures.users.is_full(&self.user, user, now) {
            return Err(Throttled(Scope::User));
        }
        if failures.addresses.is_full(&self.address, address, now) {
            return Err(Throttled(Scope::Address));
        }
        Ok(())
    }

    /// Waits until this guess may be made. To be held until it is answered.
    ///
    /// # Errors
    /// [`Throttled`], also where it came to that while it waited.
    pub async fn guess(&self) -> Result<Guess, Throttled> {
        loop {
            let now = Instant::now();
            self.check(now)?;
            let answered = match self.take(now) {
                Ok(guess) => return Ok(guess),
                Err(answered) => answered,
            };
            // Looked at again with this in hand, so that no answer in between is missed.
            let waits = answered.notified();
            let now = Instant::now();
            self.check(now)?;
            match self.take(now) {
                Ok(guess) => return Ok(guess),
                Err(still) if Arc::ptr_eq(&still, &answered) => waits.await,
                Err(_) => {}
            }
        }
    }

    /// Takes a place among the guesses under way; where there is none, gives what to wait for.
    fn take(&self, now: Instant) -> Result<Guess, Arc<Notify>> {
        if let Some([user, address]) = self.bounds() {
            let failures = &mut *self.throttle.lock();
            let of_user = failures.users.entry(&self.user, user, now);
            if !of_user.has_room(user, now) {
                return Err(Arc::clone(&of_user.answered));
            }
            let of_address = failures.addresses.entry(&self.address, address, now);
            if !of_address.has_room(address, now) {
                return Err(Arc::clone(&of_address.answered));
            }
            of_user.under_way += 1;
            of_address.under_way += 1;
        }
        Ok(Guess(self.clone()))
    }

    /// A login failed.
    pub fn failed(&self, now: Instant) {
        let Some([user, address]) = self.bounds() else { return };
        let mut failures = self.throttle.lock();
        failures.users.failed(&self.user, user, now);
        failures.addresses.failed(&self.address, address, now);
    }
}

/// A guess under way. One that was wrong must be counted ([`Attempt::failed`]) before this is dropped: then the next is made.
#[derive(Debug)]
pub struct Guess(Attempt);

impl Drop for Guess {
    fn drop(&mut self) {
        let Guess(attempt) = self;
        let Some([user, address]) = attempt.bounds() else { return };
        let (mut failures, now) = (attempt.throttle.lock(), Instant::now());
        failures.users.answered(&attempt.user, user, now);
        failures.addresses.answered(&attempt.address, address, now);
    }
}

#[cfg(test)]
mod tests;
