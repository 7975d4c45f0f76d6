//! The handshakes under way: so many and no more, and nobody keeps the others out. An address may have as many as there are
//! places free: one that takes all it gets has half of them, ten have a tenth of what is left each, and there is always room for
//! somebody new.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::net::{Origin, counted_as};

/// Those of a process.
#[derive(Debug)]
pub struct Handshakes {
    most: usize,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    all: usize,
    /// By address: only those that have some.
    of: HashMap<IpAddr, usize>,
}

impl UnderWay {
    fn leave(&mut self, address: IpAddr) {
        self.all = self.all.saturating_sub(1);
        if let Some(one) = self.of.get_mut(&address) {
            *one = one.saturating_sub(1);
            if *one == 0 {
                self.of.remove(&address);
            }
        }
    }

    fn enter(&mut self, address: IpAddr, most: usize) -> bool {
        let free = most.saturating_sub(self.all);
        if self.of.get(&address).copied().unwrap_or(0) >= free {
            return false;
        }
        self.all += 1;
        *self.of.entry(address).or_insert(0) += 1;
        true
    }
}

impl Handshakes {
    /// At most this many at once.
    pub fn new(most: usize) -> Arc<Handshakes> {
        Arc::new(Handshakes { most, under_way: Mutex::default() })
    }

    /// A place for one more from there, if it may have one.
    pub fn enter(self: &Arc<Handshakes>, origin: &Origin) -> Option<Place> {
        let address = counted_as(origin.ip());
        self.lock().enter(address, self.most).then(|| Place { handshakes: Arc::clone(self), address })
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one handshake, until it is dropped.
#[derive(Debug)]
pub struct Place {
    handshakes: Arc<Handshakes>,
    address: IpAddr,
}

/// Too many handshakes from one address are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crowded;

impl Place {
    /// A load balancer told who it is: from now on it is one of that address, not the load balancer's.
    ///
    /// # Errors
    /// [`Crowded`]: that address has as many as it may.
    pub fn is_from(&mut self, origin: &Origin) -> Result<(), Crowded> {
        let address = counted_as(origin.ip());
        let mut under_way = self.handshakes.lock();
        under_way.leave(self.address);
        if under_way.enter(address, self.handshakes.most) {
            self.address = address;
            return Ok(());
        }
        // As before: what is dropped in a moment is counted once.
        under_way.all += 1;
        *under_way.of.entry(self.address).or_insert(0) += 1;
        Err(Crowded)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.handshakes.lock().leave(self.address);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn origin(address: &str) -> Origin {
        Origin::Tcp((address.parse::<IpAddr>().unwrap(), 5432).into())
    }

    fn take(handshakes: &Arc<Handshakes>, address: &str) -> Vec<Place> {
        std::iter::from_fn(|| handshakes.enter(&origin(address))).collect()
    }

    #[test]
    fn one_address_has_half_of_all_and_the_next_half_of_the_rest() {
        let handshakes = Handshakes::new(64);
        let had: Vec<Vec<Place>> = (1..=6).map(|host| take(&handshakes, &format!("10.0.0.{host}"))).collect();
        assert_eq!(had.iter().map(Vec::len).collect::<Vec<_>>(), [32, 16, 8, 4, 2, 1]);
        assert!(handshakes.enter(&origin("10.0.0.1")).is_none(), "who has most gets none");
        assert!(handshakes.enter(&origin("10.0.0.9")).is_some(), "somebody new does");
    }

    #[test]
    fn a_place_is_free_again_once_it_is_dropped() {
        let handshakes = Handshakes::new(8);
        let had = take(&handshakes, "10.0.0.1");
        assert_eq!(had.len(), 4);
        drop(had);
        assert_eq!(take(&handshakes, "10.0.0.1").len(), 4);
        assert!(handshakes.lock().of.is_empty() && handshakes.lock().all == 0);
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let handshakes = Handshakes::new(8);
        let had = take(&handshakes, "2001:db8::1");
        assert_eq!(had.len(), 4);
        assert!(handshakes.enter(&origin("2001:db8::2")).is_none());
        assert!(handshakes.enter(&origin("2001:db8:0:1::2")).is_some());
        assert!(handshakes.enter(&origin("::ffff:10.0.0.1")).is_some(), "one of IPv4 is none of them");
    }

    #[test]
    fn whom_a_load_balancer_names_is_counted_in_its_stead() {
        let handshakes = Handshakes::new(16);
        let balancer = origin("10.0.0.1");
        let mut silent = Vec::new();
        while let Some(mut place) = handshakes.enter(&balancer) {
            if place.is_from(&origin("192.0.2.1")) == Err(Crowded) {
                break;
            }
            silent.push(place);
        }
        assert_eq!(silent.len(), 8, "the client has its half");
        let mut other = handshakes.enter(&balancer).unwrap();
        assert_eq!(other.is_from(&origin("192.0.2.2")), Ok(()), "and keeps none of the others behind the balancer out");
        drop((silent, other));
        assert!(handshakes.lock().of.is_empty() && handshakes.lock().all == 0);
    }
}
