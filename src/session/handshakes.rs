//! The handshakes under way: so many and no more. Where there are too many, the address with the most loses its oldest, so that
//! nobody keeps the others out: a client that comes and logs in at once is never the oldest of the most crowded address.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::net::{Origin, counted_as};

/// Those of a process.
#[derive(Debug)]
pub struct Handshakes {
    most: usize,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    /// The oldest has the lowest number.
    next: u64,
    /// Where each comes from. What was told to go is not there any more.
    from: HashMap<u64, IpAddr>,
    /// By address, only those that have some, with what tells each to go.
    of: HashMap<IpAddr, BTreeMap<u64, Arc<Notify>>>,
}

impl UnderWay {
    fn enter(&mut self, number: u64, address: IpAddr, must_go: Arc<Notify>) {
        self.from.insert(number, address);
        self.of.entry(address).or_default().insert(number, must_go);
    }

    fn leave(&mut self, number: u64) -> Option<Arc<Notify>> {
        let address = self.from.remove(&number)?;
        let those = self.of.get_mut(&address)?;
        let must_go = those.remove(&number);
        if those.is_empty() {
            self.of.remove(&address);
        }
        must_go
    }

    /// Tells the oldest of the address with the most to go; false where that is the newcomer's own.
    fn make_room(&mut self, newcomer: IpAddr) -> bool {
        let own = self.of.get(&newcomer).map_or(0, BTreeMap::len);
        let oldest = |those: &BTreeMap<u64, Arc<Notify>>| those.first_key_value().map(|(number, _)| *number);
        let most = self.of.values().max_by_key(|those| (those.len(), Reverse(oldest(those))));
        let Some(number) = most.filter(|those| those.len() > own).and_then(oldest) else { return false };
        if let Some(must_go) = self.leave(number) {
            must_go.notify_one();
        }
        true
    }
}

impl Handshakes {
    /// At most this many at once.
    pub fn new(most: usize) -> Arc<Handshakes> {
        Arc::new(Handshakes { most, under_way: Mutex::default() })
    }

    /// A place for one more from there. None: there are too many, and nobody has more than that address.
    pub fn enter(self: &Arc<Handshakes>, origin: &Origin) -> Option<Place> {
        let address = counted_as(origin.ip());
        let mut under_way = self.lock();
        if under_way.from.len() >= self.most && !under_way.make_room(address) {
            return None;
        }
        let (number, must_go) = (under_way.next, Arc::new(Notify::new()));
        under_way.next += 1;
        under_way.enter(number, address, Arc::clone(&must_go));
        drop(under_way);
        Some(Place { handshakes: Arc::clone(self), number, must_go })
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one handshake, until it is dropped.
#[derive(Debug)]
pub struct Place {
    handshakes: Arc<Handshakes>,
    number: u64,
    must_go: Arc<Notify>,
}

impl Place {
    /// A load balancer told who it is: from now on it is one of that address, not the load balancer's.
    pub fn is_from(&self, origin: &Origin) {
        let mut under_way = self.handshakes.lock();
        if let Some(must_go) = under_way.leave(self.number) {
            under_way.enter(self.number, counted_as(origin.ip()), must_go);
        }
    }

    /// Until it has to make room. Once.
    pub async fn must_go(&self) {
        self.must_go.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.handshakes.lock().leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use futures_util::FutureExt;

    use super::*;

    fn origin(address: &str) -> Origin {
        Origin::Tcp((address.parse::<IpAddr>().unwrap(), 5432).into())
    }

    fn take(handshakes: &Arc<Handshakes>, address: &str, count: usize) -> Vec<Place> {
        (0..count).map(|_| handshakes.enter(&origin(address)).unwrap()).collect()
    }

    fn told(places: &[Place]) -> usize {
        places.iter().filter(|place| place.must_go().now_or_never().is_some()).count()
    }

    #[test]
    fn whoever_is_new_gets_the_place_of_the_oldest_of_the_most_crowded_address() {
        let handshakes = Handshakes::new(8);
        let few = take(&handshakes, "10.0.0.1", 3);
        let many = take(&handshakes, "10.0.0.2", 5);
        assert!(handshakes.enter(&origin("10.0.0.2")).is_none(), "nobody has more than that address");
        let new = handshakes.enter(&origin("10.0.0.3")).unwrap();
        assert!(many[0].must_go().now_or_never().is_some(), "its oldest");
        assert_eq!((told(&few), told(&many[1..]), told(&[new])), (0, 0, 0));
    }

    #[test]
    fn however_many_addresses_are_silent_there_is_room() {
        let handshakes = Handshakes::new(64);
        let silent: Vec<Place> =
            (0..64).map(|host| handshakes.enter(&origin(&format!("10.0.0.{host}"))).unwrap()).collect();
        let new = take(&handshakes, "10.0.1.1", 1);
        assert_eq!((told(&silent), told(&silent[..1]), told(&new)), (1, 0, 0), "one, which was the oldest");
        let one_address = take(&Handshakes::new(64), "10.0.0.1", 64);
        assert_eq!(told(&one_address), 0, "it has all that nobody else wants");
    }

    #[test]
    fn a_place_is_free_again_once_it_is_dropped() {
        let handshakes = Handshakes::new(4);
        let had = take(&handshakes, "10.0.0.1", 4);
        let new = take(&handshakes, "10.0.0.2", 2);
        assert_eq!(handshakes.lock().from.len(), 4);
        drop(had);
        assert_eq!(handshakes.lock().from.len(), 2, "those that had to go were not counted any more");
        drop(new);
        assert!(handshakes.lock().from.is_empty() && handshakes.lock().of.is_empty());
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let handshakes = Handshakes::new(4);
        let had: Vec<Place> =
            (1..=4).map(|host| handshakes.enter(&origin(&format!("2001:db8::{host}"))).unwrap()).collect();
        assert!(handshakes.enter(&origin("2001:db8::5")).is_none());
        let other = take(&handshakes, "2001:db8:0:1::5", 1);
        let mapped = take(&handshakes, "::ffff:10.0.0.1", 1);
        assert_eq!((told(&had), told(&other), told(&mapped)), (2, 0, 0));
    }

    #[test]
    fn whom_a_load_balancer_names_is_counted_in_its_stead() {
        let handshakes = Handshakes::new(4);
        let silent = take(&handshakes, "10.0.0.1", 4);
        for place in &silent[1..] {
            place.is_from(&origin("192.0.2.1"));
        }
        let other = take(&handshakes, "10.0.0.1", 1);
        assert_eq!((told(&silent[..1]), told(&silent[1..])), (0, 1), "of the client that has the most");
        silent[1].is_from(&origin("192.0.2.9"));
        assert_eq!(handshakes.lock().from.len(), 4, "what must go is not counted again");
        drop((silent, other));
        assert!(handshakes.lock().from.is_empty() && handshakes.lock().of.is_empty());
    }
}
