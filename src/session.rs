//! One client from accept to close.

pub mod auth;
pub mod cache;
pub mod cancel;
pub mod engine;
pub mod handshake;
pub mod held;
pub mod judge;
pub mod ledger;
mod leftover;
pub mod probing;
pub mod quarantine;
pub mod refusal;
pub mod relay;
pub mod runs;
pub mod statements;
mod suspects;
pub mod tell;
mod withheld;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};

use crate::audit::{self, Audit, Event};
use crate::blocks::{self, Blocks};
use crate::config::{Config, Errors};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::net::Legs;
use crate::policy::Store;
use crate::session::cache::Cache;
use crate::session::cancel::{Cancels, Destination, Key};
use crate::session::engine::Engine;
use crate::session::handshake::{Established, Opened};
use crate::session::probing::Probing;
use crate::session::quarantine::{Quarantine, Watch};
use crate::session::relay::Closed;
use crate::session::tell::Teller;
use crate::wire::startup::{CancelKey, encode_cancel};

/// How long the server may take to close the connection of a CancelRequest.
const CANCEL: Duration = Duration::from_secs(10);

/// What all sessions of a process have in common.
#[derive(Debug)]
pub struct Shared {
    pub config: Arc<Config>,
    /// The certificates in force, for sessions that start.
    pub legs: ArcSwap<Legs>,
    /// The policies in force.
    pub policies: Arc<Store>,
    pub metrics: Arc<Metrics>,
    pub cancels: Arc<Cancels>,
    /// The texts that sessions have met lately.
    pub cache: Arc<Cache>,
    /// Who touched a decoy.
    pub quarantine: Arc<Quarantine>,
    /// Whose statements fail as trying out an injection does.
    pub probing: Arc<Probing>,
    /// What is counted over time and over sessions.
    pub limits: Arc<Limits>,
    pub audit: Audit,
    /// What is blocked for now.
    pub blocks: Arc<Blocks>,
    /// Numbers the sessions, for the log.
    pub sessions: AtomicU64,
    /// True once the sessions that are left are to end.
    pub ending: watch::Receiver<bool>,
    /// One permit for each handshake under way: clients that don't log in can't pile up.
    pub handshakes: Semaphore,
}

/// Serves one client from accept to close.
pub async fn run(socket: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let number = shared.sessions.fetch_add(1, Ordering::Relaxed);
    let Ok(handshake) = shared.handshakes.try_acquire() else {
        shared.metrics.handshake_dropped();
        tracing::debug!(session = number, %peer, "connection closed: too many handshakes are under way");
        return;
    };
    match handshake::establish(socket, peer, &shared).await {
        Ok(Opened::Session(established)) => {
            drop(handshake);
            relay(*established, peer, number, &shared).await;
        }
        Ok(Opened::Cancel { key, client }) => {
            forward_cancel(&key, &shared).await;
            // The client's connection closes only after the server closed its own: libpq takes that for "done".
            drop(client);
        }
        Err(end) => {
            end.log(peer, number);
            end.audit(&shared.audit, number);
        }
    }
}

async fn relay(established: Established, peer: SocketAddr, number: u64, shared: &Arc<Shared>) {
    let Established {
        client,
        client_buffer,
        mut upstream,
        upstream_buffer,
        upstream_address,
        upstream_leg,
        identity,
        policy,
        seat,
    } = established;
    let _open = shared.metrics.session();
    tracing::info!(
        session = number,
        user = ?identity.user,
        database = ?identity.database,
        %peer,
        policy = %policy.policy().name(),
        client_tls = client.tls_version(),
        upstream_tls = upstream.tls_version(),
        upstream = %upstream_address,
        "session opened"
    );
    let who = tell::who(&identity, number);
    if shared.audit.is_on() {
        let policy = policy.policy().name().to_string();
        shared.audit.tell(Event::Login(audit::Login {
            who: who.clone(),
            verdict: "allow".to_owned(),
            policy: Some(policy.clone()),
            rule: None,
            reason: None,
            id: None,
            sqlstate: None,
        }));
        shared.audit.tell(Event::SessionOpened(audit::Opened {
            who: who.clone(),
            policy,
            client_tls: client.tls_version().to_owned(),
            upstream_tls: upstream.tls_version().to_owned(),
            upstream: upstream_address.to_string(),
            replication: identity.replication,
        }));
    }
    let tell = Teller::new(Arc::clone(&shared.metrics), &identity, number).with_audit(shared.audit.clone());
    let terse = shared.config.errors == Errors::Terse;
    let watch = Watch::new(Arc::clone(&shared.quarantine), &identity);
    let blocks = blocks::Watch::new(Arc::clone(&shared.blocks), &identity.user);
    let engine = Engine::new(policy, tell, Arc::clone(&shared.cache), watch, blocks, identity.replication, terse);
    let engine = engine.probed(probing::Watch::new(Arc::clone(&shared.probing), &identity));
    let mut engine = engine.counting(Arc::clone(&shared.limits), &identity.user);
    let mut registered = None;
    let mut own_key = None;
    let on_key = |pid, key: Box<[u8]>| {
        let destination = Destination { address: upstream_address, leg: upstream_leg };
        own_key = Some(CancelKey { pid, key: key.clone().into() });
        registered = Some(shared.cancels.register((pid, key), destination));
    };
    let ended = ending(shared.ending.clone());
    let closed = relay::run(client, &client_buffer, &mut upstream, &upstream_buffer, &mut engine, on_key, ended).await;
    engine.end();
    drop(engine);
    if shared.audit.is_on() {
        shared.audit.tell(Event::SessionClosed(audit::Closed { who, reason: closed.to_string() }));
    }
    tracing::info!(session = number, user = ?identity.user, "session closed: {closed}");
    // Or who leaves in the middle could have any number of sessions at the server. Its key goes on to be known as well.
    if seat.is_counted() && !matches!(closed, Closed::Server | Closed::ServerBroke(_)) {
        let cancel = async {
            if let Some(key) = &own_key {
                forward_cancel(key, shared).await;
            }
        };
        tokio::select! {
            () = leftover::outlast(upstream, cancel) => {}
            () = ending(shared.ending.clone()) => {}
        }
    }
    drop(registered);
    drop(seat);
}

/// Until the sessions that are left are to end.
async fn ending(mut ending: watch::Receiver<bool>) {
    // An error means that whoever could say so is gone: then nobody asks for the end.
    if ending.wait_for(|ending| *ending).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Sends a CancelRequest to the very server of its session, by the session's own mode of connection. A key that no session
/// here has is dropped.
async fn forward_cancel(cancel: &CancelKey, shared: &Shared) {
    let key: Key = (cancel.pid, cancel.key.to_vec().into());
    let Some(Destination { address, leg }) = shared.cancels.find(&key) else {
        tracing::info!("cancel request with an unknown key dropped");
        return;
    };
    let forward = async {
        let legs = shared.legs.load_full();
        let mut connected = match legs.connector.connect_to(address, leg).await {
            Ok(connected) => connected,
            Err(error) => {
                shared.metrics.upstream_connection_failure();
                tracing::warn!(%address, "cancel request not delivered: {error}");
                return;
            }
        };
        let sent = connected.stream.write_all(&encode_cancel(cancel)).await;
        let flushed = connected.stream.flush().await;
        if let Err(error) = sent.and(flushed) {
            tracing::warn!(%address, "cancel request not delivered: {error}");
            return;
        }
        // The server answers nothing and closes when the signal is sent.
        let mut nothing = [0; 16];
        while matches!(connected.stream.read(&mut nothing).await, Ok(n) if n > 0) {}
    };
    if tokio::time::timeout(CANCEL, forward).await.is_err() {
        tracing::warn!(%address, "cancel request: the server did not close the connection");
    }
}
