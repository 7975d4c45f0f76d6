//! Who touched a decoy: pairs of user and address, each shut out for a while. In memory, of one process.
//!
//! A session asks before each message that is judged. As long as nobody has touched a decoy since it last looked, that is one
//! read of a counter that hardly ever changes; the list itself has a lock, taken only after a touch and at logins.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::metrics::Metrics;
use crate::policy::Identity;

/// Pairs that are held at once; on top of them the one whose time is over first goes. To push out a pair of their own,
/// somebody needs as many logins from other addresses, each with a touch: a live session stays shut out even then.
const MOST: usize = 1 << 16;

/// The longest that anybody is shut out, whatever the settings say: far enough, and no overflow of the clock.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Who is shut out: a user as the server knows it, at the address that the client came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Pair {
    user: Box<str>,
    address: IpAddr,
}

impl Pair {
    fn of(identity: &Identity) -> Pair {
        Pair { user: identity.user.as_str().into(), address: identity.address }
    }
}

/// Everybody who is shut out now.
#[derive(Debug)]
pub struct Quarantine {
    lasts: Duration,
    metrics: Arc<Metrics>,
    /// Counts the touches. Whoever has seen the newest has nothing new to look for.
    touches: AtomicU64,
    held: Mutex<HashMap<Pair, Instant>>,
}

impl Quarantine {
    /// Nobody is in it. With a length of zero nobody ever will be.
    pub fn new(lasts: Duration, metrics: Arc<Metrics>) -> Quarantine {
        Quarantine { lasts: lasts.min(LONGEST), metrics, touches: AtomicU64::new(0), held: Mutex::default() }
    }

    /// This user touched a decoy and is shut out at this address from now on: for how long, `None` where that is turned off.
    pub fn begin(&self, identity: &Identity, now: Instant) -> Option<Duration> {
        self.hold(&Pair::of(identity), now)
    }

    fn hold(&self, pair: &Pair, now: Instant) -> Option<Duration> {
        if self.lasts.is_zero() {
            return None;
        }
        let mut held = self.held();
        if held.len() >= MOST && !held.contains_key(pair) {
            held.retain(|_, until| now < *until);
            make_room(&mut held);
        }
        let until = now + self.lasts;
        match held.entry(pair.clone()) {
            // Two sessions may touch at once, and tell of it in any order.
            Entry::Occupied(mut entry) => *entry.get_mut() = until.max(*entry.get()),
            Entry::Vacant(entry) => {
                entry.insert(until);
            }
        }
        self.metrics.quarantined(held.len());
        // Within the lock: who sees the new count and looks finds the pair.
        self.touches.fetch_add(1, Ordering::Release);
        Some(self.lasts)
    }

    /// Whether this user is shut out at this address.
    pub fn holds(&self, identity: &Identity, now: Instant) -> bool {
        self.until(&Pair::of(identity)).is_some_and(|until| now < until)
    }

    /// Forgets those whose time is over.
    pub fn release(&self, now: Instant) {
        let mut held = self.held();
        held.retain(|pair, until| {
            let stays = now < *until;
            if !stays {
                tracing::info!(user = ?pair.user, address = %pair.address, "quarantine over");
            }
            stays
        });
        self.metrics.quarantined(held.len());
    }

    fn until(&self, pair: &Pair) -> Option<Instant> {
        self.held().get(pair).copied()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Pair, Instant>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops the pair whose time is over first, where there is no room for another.
fn make_room(held: &mut HashMap<Pair, Instant>) {
    if held.len() < MOST {
        return;
    }
    let first = held.iter().min_by_key(|(_, until)| **until).map(|(pair, _)| pair.clone());
    if let Some(pair) = first {
        held.remove(&pair);
        tracing::warn!(user = ?pair.user, address = %pair.address, "quarantine ended early: too many are held");
    }
}

/// One session's look at the quarantine.
#[derive(Debug)]
pub struct Watch {
    quarantine: Arc<Quarantine>,
    pair: Pair,
    /// The touches when it last looked.
    seen: u64,
    /// Shut out until then. Its own copy: nothing that happens to the list lets it go earlier.
    until: Option<Instant>,
}

impl Watch {
    /// For a session of this user from this address.
    pub fn new(quarantine: Arc<Quarantine>, identity: &Identity) -> Watch {
        Watch { quarantine, pair: Pair::of(identity), seen: 0, until: None }
    }

    /// The session touched a decoy: for how long its user is shut out, `None` where that is turned off.
    pub fn begin(&self) -> Option<Duration> {
        self.quarantine.hold(&self.pair, Instant::now())
    }

    /// Whether the session is shut out now.
    #[inline]
    pub fn holds(&mut self) -> bool {
        let touches = self.quarantine.touches.load(Ordering::Acquire);
        if touches == self.seen && self.until.is_none() {
            return false;
        }
        self.look(touches, Instant::now())
    }

    fn look(&mut self, touches: u64, now: Instant) -> bool {
        if touches != self.seen {
            self.seen = touches;
            self.until = self.until.max(self.quarantine.until(&self.pair));
        }
        self.until = self.until.filter(|until| now < *until);
        self.until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LASTS: Duration = Duration::from_secs(900);

    fn who(user: &str, address: u32) -> Identity {
        Identity {
            user: user.into(),
            database: "d".into(),
            address: Ipv4Addr::from(address).into(),
            tls: false,
            replication: false,
            arrival: crate::policy::Arrival::default(),
        }
    }

    fn quarantine(lasts: Duration) -> (Arc<Quarantine>, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new(&["unknown"], &[]));
        (Arc::new(Quarantine::new(lasts, Arc::clone(&metrics))), metrics)
    }

    fn count(metrics: &Metrics) -> String {
        let text = metrics.encode(std::time::SystemTime::now()).unwrap();
        text.lines().find_map(|line| line.strip_prefix("portcullis_quarantined ")).unwrap().to_owned()
    }

    /// What a session that asks at this time hears.
    fn hears(watch: &mut Watch, now: Instant) -> bool {
        let touches = watch.quarantine.touches.load(Ordering::Acquire);
        watch.look(touches, now)
    }

    #[test]
    fn a_pair_is_held_until_its_time_is_over_and_nobody_else_is() {
        let (quarantine, metrics) = quarantine(LASTS);
        let start = Instant::now();
        let mut session = Watch::new(Arc::clone(&quarantine), &who("app", 1));
        let mut neighbour = Watch::new(Arc::clone(&quarantine), &who("app", 2));
        let mut colleague = Watch::new(Arc::clone(&quarantine), &who("boss", 1));
        assert!(!session.holds());
        assert_eq!(quarantine.begin(&who("app", 1), start), Some(LASTS));
        assert_eq!(count(&metrics), "1");
        let last = start + LASTS - Duration::from_nanos(1);
        for now in [start, last] {
            assert!(hears(&mut session, now) && quarantine.holds(&who("app", 1), now));
            assert!(!hears(&mut neighbour, now) && !quarantine.holds(&who("app", 2), now));
            assert!(!hears(&mut colleague, now) && !quarantine.holds(&who("boss", 1), now));
        }
        quarantine.release(last);
        assert_eq!(count(&metrics), "1");
        assert!(!quarantine.holds(&who("app", 1), start + LASTS));
        quarantine.release(start + LASTS);
        assert_eq!(count(&metrics), "0");
        assert!(!hears(&mut session, start + LASTS));
        assert!(session.until.is_none(), "it costs nothing any more");
    }

    #[test]
    fn a_touch_while_held_begins_anew_and_never_shortens() {
        let (quarantine, metrics) = quarantine(LASTS);
        let start = Instant::now();
        let later = start + Duration::from_secs(60);
        quarantine.begin(&who("app", 1), later);
        quarantine.begin(&who("app", 1), start);
        assert!(quarantine.holds(&who("app", 1), start + LASTS));
        assert!(!quarantine.holds(&who("app", 1), later + LASTS));
        assert_eq!(count(&metrics), "1", "one entry for each pair");
    }

    #[test]
    fn a_session_that_opens_after_the_touch_is_held_too() {
        let (quarantine, _) = quarantine(LASTS);
        quarantine.begin(&who("app", 1), Instant::now());
        assert!(Watch::new(Arc::clone(&quarantine), &who("app", 1)).holds());
    }

    #[test]
    fn turned_off_it_holds_nobody() {
        let (quarantine, metrics) = quarantine(Duration::ZERO);
        assert_eq!(quarantine.begin(&who("app", 1), Instant::now()), None);
        assert!(!Watch::new(Arc::clone(&quarantine), &who("app", 1)).holds());
        assert_eq!(count(&metrics), "0");
    }

    #[test]
    fn an_absurd_length_is_no_overflow() {
        let (quarantine, _) = quarantine(Duration::MAX);
        assert_eq!(quarantine.begin(&who("app", 1), Instant::now()), Some(LONGEST));
    }

    #[test]
    fn it_is_bounded_and_a_session_that_was_pushed_out_stays_shut_out() {
        let (quarantine, metrics) = quarantine(LASTS);
        let start = Instant::now();
        let mut session = Watch::new(Arc::clone(&quarantine), &who("app", 0));
        quarantine.begin(&who("app", 0), start);
        assert!(hears(&mut session, start));
        let second = start + Duration::from_secs(1);
        for address in 1..=u32::try_from(MOST).unwrap() {
            quarantine.begin(&who("app", address), second);
        }
        assert_eq!(count(&metrics), MOST.to_string());
        assert!(!quarantine.holds(&who("app", 0), second), "the oldest went");
        assert!(quarantine.holds(&who("app", 1), second));
        assert!(hears(&mut session, second));
    }
}
