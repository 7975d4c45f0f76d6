//! Which server a cancel key belongs to. Keys pass untouched; a known one goes to the very address of its session.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::net::Leg;

/// Process id and secret key, as the server gave them.
pub type Key = (u32, Box<[u8]>);

/// Where a CancelRequest for a session goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination {
    pub address: SocketAddr,
    /// The session's own mode of connection.
    pub leg: Leg,
}

/// The keys of all sessions of this process. Touched at login, at the end of a session and by a cancel, never in between.
#[derive(Debug, Default)]
pub struct Cancels {
    sessions: Mutex<HashMap<Key, Destination>>,
}

impl Cancels {
    /// Makes a key known for as long as what is returned lives.
    pub fn register(self: &Arc<Self>, key: Key, destination: Destination) -> Registered {
        self.lock().insert(key.clone(), destination);
        Registered { cancels: Arc::clone(self), key }
    }

    /// Where the session with this key is; `None` for keys that no session here has.
    pub fn find(&self, key: &Key) -> Option<Destination> {
        self.lock().get(key).copied()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Destination>> {
        // A panic while the lock was held can't have left the map half changed.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key that is known until this is dropped.
#[derive(Debug)]
pub struct Registered {
    cancels: Arc<Cancels>,
    key: Key,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.cancels.lock().remove(&self.key);
    }
}
