//! CancelRequests: which server a key belongs to, and the way there. Keys pass untouched. A known one goes to the very address
//! of its session; another one is dropped, or goes to the upstream where replicas of the proxy stand beside each other.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::DefaultDirectRateLimiter;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::metrics::label::CancelLabel;
use crate::net::{ConnectError, Connected, Destination};
use crate::session::Shared;
use crate::wire::startup::{CancelKey, encode_cancel};

/// How long the server may take to close the connection of a CancelRequest.
const PATIENCE: Duration = Duration::from_secs(10);

/// Requests with unknown keys on their way at once, and a second: whoever connects can send them.
const UNKNOWN_AT_ONCE: usize = 64;
const UNKNOWN_A_SECOND: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// Process id and secret key, as the server gave them.
pub type Key = (u32, Box<[u8]>);

/// The keys of all sessions of this process. Touched at login, at the end of a session and by a cancel, never in between.
#[derive(Debug)]
pub struct Cancels {
    sessions: Mutex<HashMap<Key, Destination>>,
    unknown_at_once: Semaphore,
    unknown_rate: DefaultDirectRateLimiter,
}

impl Default for Cancels {
    fn default() -> Cancels {
        Cancels {
            sessions: Mutex::default(),
            unknown_at_once: Semaphore::new(UNKNOWN_AT_ONCE),
            unknown_rate: DefaultDirectRateLimiter::direct(governor::Quota::per_second(UNKNOWN_A_SECOND)),
        }
    }
}

impl Cancels {
    /// Makes a key known for as long as what is returned lives.
    pub fn register(self: &Arc<Self>, key: Key, destination: Destination) -> Registered {
        self.lock().insert(key.clone(), destination);
        Registered { cancels: Arc::clone(self), key }
    }

    /// Where the session with this key is; `None` for keys that no session here has.
    pub fn find(&self, key: &Key) -> Option<Destination> {
        self.lock().get(key).cloned()
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

/// Sends a CancelRequest where it belongs, and waits until the server closes its connection. What became of it is counted and
/// logged; the client never learns, as with a server.
pub async fn forward(cancel: &CancelKey, shared: &Shared) {
    let outcome = deliver(cancel, shared).await.unwrap_or_else(|error| {
        shared.metrics.upstream_connection_failure();
        tracing::warn!("cancel request not delivered: {error}");
        CancelLabel::Failed
    });
    shared.metrics.cancel_request(outcome);
}

/// Asks the server to cancel what a client left behind in its session. No client asked: it is not counted.
pub async fn leave(cancel: &CancelKey, shared: &Shared) {
    let key: Key = (cancel.pid, cancel.key.to_vec().into());
    let Some(destination) = shared.cancels.find(&key) else { return };
    match shared.legs.load_full().connector.connect_to(&destination).await {
        Ok(server) => {
            send(server, cancel).await;
        }
        Err(error) => tracing::warn!("cancel request of a session that was left not delivered: {error}"),
    }
}

async fn deliver(cancel: &CancelKey, shared: &Shared) -> Result<CancelLabel, ConnectError> {
    let key: Key = (cancel.pid, cancel.key.to_vec().into());
    let legs = shared.legs.load_full();
    if let Some(destination) = shared.cancels.find(&key) {
        let closed = send(legs.connector.connect_to(&destination).await?, cancel).await;
        return Ok(if closed { CancelLabel::Delivered } else { CancelLabel::Failed });
    }
    if !shared.config.cancel_forward_unknown {
        tracing::info!("cancel request with an unknown key dropped");
        return Ok(CancelLabel::Unknown);
    }
    let (Ok(_), Ok(_place)) = (shared.cancels.unknown_rate.check(), shared.cancels.unknown_at_once.try_acquire())
    else {
        tracing::warn!("cancel request with an unknown key dropped: too many of them");
        return Ok(CancelLabel::Unknown);
    };
    // It may be a session of another replica, at any address: a server knows its own keys, and drops the others. All are asked
    // at once, so that one that hangs does not keep it from the right one.
    let mut asked = JoinSet::new();
    for (host, address) in legs.connector.everywhere().await? {
        let (legs, cancel) = (Arc::clone(&legs), cancel.clone());
        asked.spawn(async move {
            let server = legs.connector.ways_at(host, address).connect().await?;
            send(server, &cancel).await;
            Ok(())
        });
    }
    let mut failed = Vec::new();
    let mut sent = false;
    while let Some(outcome) = asked.join_next().await {
        match outcome {
            Ok(Ok(())) => sent = true,
            Ok(Err(error)) => failed.push(error),
            Err(panic) => tracing::error!("a cancel request ended by a panic: {panic}"),
        }
    }
    if sent { Ok(CancelLabel::ForwardedUnknown) } else { Err(ConnectError::Each(failed)) }
}

/// Sends it, and waits until the server has closed the connection: false where it does not in time.
async fn send(mut server: Connected, cancel: &CancelKey) -> bool {
    // A server that closes before it has read it has not lost it: it ends, or can't take any more connections.
    let sent = async {
        server.stream.write_all(&encode_cancel(cancel)).await?;
        server.stream.flush().await?;
        // The server answers nothing and closes when the signal is sent.
        let mut nothing = [0; 16];
        while server.stream.read(&mut nothing).await? > 0 {}
        std::io::Result::Ok(())
    };
    let address = &server.destination.address;
    match tokio::time::timeout(PATIENCE, sent).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%address, "the connection of a cancel request broke: {error}"),
        Err(_) => {
            tracing::warn!(%address, "cancel request: the server did not close the connection within {PATIENCE:?}");
            return false;
        }
    }
    true
}
