//! What is counted over time and over sessions, in the memory of one process: statements, logins and sessions of each user
//! under each policy. The counters outlive the sessions, so that nobody gets new ones by coming again.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::policy::{Limit, Rate, Refusal, SessionPolicy};

/// Counters of users who did nothing for so long as their limit's time are looked for when as many as this are new.
const MANY: usize = 4096;

/// The most counters. Beyond, all users who have none yet share one of each limit: names cost a stranger nothing, and memory
/// costs us.
const MOST: usize = 100_000;

/// Whose counter those share, which no user is.
const OTHERS: &str = "";

/// All counters of a process.
#[derive(Debug, Default)]
pub struct Limits {
    meters: Mutex<Store>,
    seats: Mutex<HashMap<Place, u32>>,
}

/// All rates of all users.
#[derive(Debug)]
struct Store {
    meters: HashMap<Key, Arc<Meter>>,
    /// How many were kept when all were looked through, and how many users came since who had none. When those are as many,
    /// it is done again: so it costs each of them the same, however many there are.
    kept: usize,
    came: usize,
    most: usize,
}

impl Default for Store {
    fn default() -> Store {
        Store { meters: HashMap::new(), kept: 0, came: 0, most: MOST }
    }
}

impl Store {
    fn meter(&mut self, mut key: Key) -> Arc<Meter> {
        if let Some(meter) = self.meters.get(&key) {
            meter.touch();
            return Arc::clone(meter);
        }
        self.came += 1;
        if self.came > self.kept.max(MANY) {
            // As fresh as a new one: nobody loses anything.
            self.meters.retain(|key, meter| Arc::strong_count(meter) > 1 || meter.age() < key.rate.period.duration());
            (self.kept, self.came) = (self.meters.len(), 1);
        }
        if self.meters.len() >= self.most {
            key.user = OTHERS.into();
        }
        let meter = self.meters.entry(key).or_insert_with_key(|key| Arc::new(Meter::new(key.rate)));
        meter.touch();
        Arc::clone(meter)
    }
}

/// Whose sessions are counted together.
type Place = (Arc<str>, Box<str>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    policy: Arc<str>,
    user: Box<str>,
    what: Limit,
    rate: Rate,
}

/// One rate of one user: as many at once as its number says, and then one by one as the time passes.
#[derive(Debug)]
struct Meter {
    limiter: DefaultDirectRateLimiter,
    used: Mutex<Instant>,
}

impl Meter {
    fn new(rate: Rate) -> Meter {
        let count = NonZeroU32::new(rate.count).unwrap_or(NonZeroU32::MIN);
        let each = rate.period.duration() / count.get();
        let quota = Quota::with_period(each.max(Duration::from_nanos(1))).unwrap_or(Quota::per_second(count));
        Meter { limiter: RateLimiter::direct(quota.allow_burst(count)), used: Mutex::new(Instant::now()) }
    }

    /// Whether so many more are within the rate; then they are counted.
    fn spend(&self, number: NonZeroU32) -> bool {
        matches!(self.limiter.check_n(number), Ok(Ok(())))
    }
}

/// The meters of one session's statements.
#[derive(Debug, Default)]
pub struct Meters(Vec<Counted>);

#[derive(Debug)]
struct Counted {
    policy: Arc<str>,
    rate: Rate,
    enforced: bool,
    meter: Arc<Meter>,
}

impl Drop for Counted {
    /// What was counted last was counted before now.
    fn drop(&mut self) {
        self.meter.touch();
    }
}

/// A rate that was exceeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    pub policy: Arc<str>,
    pub rate: Rate,
    /// By a policy that enforces.
    pub enforced: bool,
}

impl Meters {
    /// Counts so many statements. One rate that they exceed, of an enforcing policy if there is one.
    #[inline]
    pub fn spend(&self, statements: u32) -> Option<Over> {
        if self.0.is_empty() { None } else { self.count(statements) }
    }

    /// Whether nothing is counted.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn count(&self, statements: u32) -> Option<Over> {
        let number = NonZeroU32::new(statements)?;
        let mut over: Option<Over> = None;
        // The shortest time first: what it refuses isn't counted by the longer ones.
        for counted in self.0.iter().filter(|counted| !counted.meter.spend(number)) {
            let Counted { policy, rate, enforced, .. } = counted;
            let this = Over { policy: Arc::clone(policy), rate: *rate, enforced: *enforced };
            if *enforced {
                return Some(this);
            }
            over = over.or(Some(this));
        }
        over
    }
}

/// What a session takes up as long as this lives.
#[derive(Debug)]
pub struct Seat {
    limits: Arc<Limits>,
    places: Vec<Place>,
}

impl Seat {
    /// Whether some policy limits the sessions of this user.
    pub fn is_counted(&self) -> bool {
        !self.places.is_empty()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.limits.seats();
        for place in &self.places {
            if let Some(taken) = seats.get_mut(place) {
                *taken -= 1;
                if *taken == 0 {
                    seats.remove(place);
                }
            }
        }
    }
}

/// What the limits say to a login.
#[derive(Debug)]
pub struct Entry {
    pub seat: Seat,
    /// What an observing policy would have refused it for.
    pub would: Option<Refusal>,
}

impl Limits {
    /// Counts a login, and a session as long as the seat is kept.
    ///
    /// # Errors
    /// Too many logins or sessions (53400).
    pub fn login(self: &Arc<Self>, session: &SessionPolicy, user: &str) -> Result<Entry, Refusal> {
        let mut entry = Entry { seat: Seat { limits: Arc::clone(self), places: Vec::new() }, would: None };
        for (policy, enforced, quotas) in session.quotas() {
            let logins =
                quotas.logins.filter(|rate| !self.meter(policy, user, Limit::Logins, *rate).spend(NonZeroU32::MIN));
            let logins = logins.map(|rate| (Limit::Logins, format!("more than {rate} logins of user \"{user}\"")));
            let over = logins.or_else(|| {
                let most = quotas.sessions?;
                let full = !self.take(&mut entry.seat, (Arc::clone(policy), user.into()), most, enforced);
                full.then(|| (Limit::Sessions, format!("more than {most} sessions of user \"{user}\"")))
            });
            if let Some((limit, sentence)) = over {
                let refusal = session.over(policy, limit, sentence);
                if enforced {
                    return Err(refusal);
                }
                entry.would = entry.would.or(Some(refusal));
            }
        }
        Ok(entry)
    }

    /// The meters of the statements of a session of this user.
    pub fn meters(&self, session: &SessionPolicy, user: &str) -> Meters {
        let mut meters = Vec::new();
        for (policy, enforced, quotas) in session.quotas() {
            for rate in &quotas.statements {
                let meter = self.meter(policy, user, Limit::Statements, *rate);
                meters.push(Counted { policy: Arc::clone(policy), rate: *rate, enforced, meter });
            }
        }
        meters.sort_by_key(|counted| counted.rate.period.duration());
        Meters(meters)
    }

    /// Takes a place, where there is one left; where nothing is enforced, also one more than there is.
    fn take(&self, seat: &mut Seat, place: Place, most: u32, enforced: bool) -> bool {
        let mut seats = self.seats();
        let taken = seats.entry(place.clone()).or_default();
        let fits = *taken < most;
        if fits || !enforced {
            *taken += 1;
            seat.places.push(place);
        }
        fits
    }

    fn meter(&self, policy: &Arc<str>, user: &str, what: Limit, rate: Rate) -> Arc<Meter> {
        let key = Key { policy: Arc::clone(policy), user: user.into(), what, rate };
        self.meters.lock().unwrap_or_else(PoisonError::into_inner).meter(key)
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<Place, u32>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meter {
    fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn age(&self) -> Duration {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{self, Identity, Period};

    fn session(lines: &str) -> SessionPolicy {
        let set = policy::load_text("p.yaml", &format!("policy: p\napplies_to: {{users: ['*']}}\n{lines}")).unwrap();
        let identity = Identity {
            user: "ann".into(),
            database: "d".into(),
            address: "127.0.0.1".parse().unwrap(),
            tls: true,
            replication: false,
            arrival: crate::policy::Arrival::default(),
        };
        Arc::new(set).admit(&identity).unwrap()
    }

    #[test]
    fn statements_are_counted_for_each_user_whatever_the_session() {
        let limits = Arc::new(Limits::default());
        let session = session("limits: {statements: [5/hour, 3/day]}\n");
        let meters = limits.meters(&session, "ann");
        assert_eq!(meters.spend(2), None);
        // Another session of hers goes on where this one is.
        let again = limits.meters(&session, "ann");
        assert_eq!(again.spend(1), None);
        let over = again.spend(1).unwrap();
        assert!(over.enforced && over.rate.to_string() == "3/day" && &*over.policy == "p");
        assert_eq!(limits.meters(&session, "bob").spend(3), None, "another user");
        assert!(limits.meters(&session, "eve").spend(4).is_some(), "a batch that can never be within it");
    }

    #[test]
    fn what_a_short_time_refuses_a_long_one_does_not_count() {
        let limits = Arc::new(Limits::default());
        let meters = limits.meters(&session("limits: {statements: [10/day, 2/hour]}\n"), "ann");
        for expected in [None, None, Some("2/hour"), Some("2/hour"), Some("2/hour")] {
            assert_eq!(meters.spend(1).map(|over| over.rate.to_string()).as_deref(), expected);
        }
        assert!(limits.meters(&session("limits: {statements: [10/day]}\n"), "ann").spend(8).is_none(), "two of ten");
    }

    #[test]
    fn counters_are_bounded_and_users_beyond_share_one() {
        let rate = |count| Rate { count, period: Period::Hour };
        let key =
            |user: &str, count| Key { policy: "p".into(), user: user.into(), what: Limit::Logins, rate: rate(count) };
        let mut store = Store { most: 3, ..Store::default() };
        let one = NonZeroU32::MIN;
        for user in ["ann", "bob", "eve"] {
            assert!(store.meter(key(user, 1)).spend(one), "{user}");
        }
        assert!(store.meter(key("dan", 2)).spend(one));
        assert!(store.meter(key("joe", 2)).spend(one));
        assert!(!store.meter(key("pat", 2)).spend(one), "with dan and joe");
        assert!(!store.meter(key("ann", 1)).spend(one), "her own");
        assert!(store.meter(key("dan", 5)).spend(one), "another rate");
        assert_eq!(store.meters.len(), 5, "three, and those of two rates for all others");
    }

    #[test]
    fn counters_that_are_full_again_go_once_there_are_as_many_new_ones() {
        let key = |user: String| Key {
            policy: "p".into(),
            user: user.into(),
            what: Limit::Logins,
            rate: Rate { count: 1, period: Period::Second },
        };
        let mut store = Store::default();
        let kept = store.meter(key("kept".to_owned()));
        let old = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        for user in 0..MANY - 1 {
            *store.meter(key(user.to_string())).used.lock().unwrap() = old;
        }
        assert_eq!(store.meters.len(), MANY);
        *kept.used.lock().unwrap() = old;
        store.meter(key("new".to_owned()));
        assert_eq!(store.meters.len(), 2, "the one in use and the new one");
        assert_eq!((store.kept, store.came), (1, 1));
    }

    #[test]
    fn sessions_are_counted_as_long_as_they_live() {
        let limits = Arc::new(Limits::default());
        let session = session("limits: {sessions: 2}\n");
        let first = limits.login(&session, "ann").unwrap();
        let _second = limits.login(&session, "ann").unwrap();
        let refused = limits.login(&session, "ann").unwrap_err();
        assert_eq!((refused.sqlstate, refused.rule.label()), ("53400", "limit"));
        assert!(refused.reason.contains("more than 2 sessions"), "{}", refused.reason);
        drop(first);
        assert!(limits.login(&session, "ann").is_ok());
        assert!(limits.login(&session, "bob").is_ok());
        assert_eq!(limits.seats().len(), 1, "bob is gone");
    }

    #[test]
    fn logins_are_counted_and_an_observing_policy_only_tells() {
        let limits = Arc::new(Limits::default());
        let enforcing = session("limits: {logins: 1/hour}\n");
        assert!(limits.login(&enforcing, "ann").is_ok());
        assert_eq!(limits.login(&enforcing, "ann").unwrap_err().sqlstate, "53400");
        let observing = session("mode: observe\nlimits: {logins: 1/hour, sessions: 1}\n");
        let limits = Arc::new(Limits::default());
        let first = limits.login(&observing, "ann").unwrap();
        assert!(first.would.is_none());
        assert!(limits.login(&observing, "ann").unwrap().would.is_some());
    }
}
