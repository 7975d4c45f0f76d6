//! One client from accept to close.

pub mod auth;
pub mod cache;
pub mod cancel;
pub mod engine;
pub mod greeting;
pub mod handshake;
pub mod handshakes;
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

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use crate::audit::{self, Audit, Event};
use crate::blocks::{self, Blocks};
use crate::config::{Config, Errors};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::net::Legs;
use crate::policy::Store;
use crate::session::auth::directory::Directory;
use crate::session::auth::throttle::Throttle;
use crate::session::cache::Cache;
use crate::session::cancel::Cancels;
use crate::session::engine::Engine;
use crate::session::greeting::Client;
use crate::session::handshake::{Established, Opened};
use crate::session::handshakes::Handshakes;
use crate::session::probing::Probing;
use crate::session::quarantine::{Quarantine, Watch};
use crate::session::relay::{Closed, Ending, Until, asked};
use crate::session::tell::Teller;
use crate::wire::startup::CancelKey;

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
    /// Whom the proxy checks itself.
    pub directory: Arc<Directory>,
    /// Whose logins fail too often.
    pub throttle: Arc<Throttle>,
    pub audit: Audit,
    /// What is blocked for now.
    pub blocks: Arc<Blocks>,
    /// Numbers the sessions, for the log.
    pub sessions: AtomicU64,
    /// What is asked of sessions when the proxy stops.
    pub ending: watch::Receiver<Ending>,
    /// The handshakes under way: clients that don't log in can't pile up.
    pub handshakes: Arc<Handshakes>,
}

/// Serves one client from accept to close.
pub async fn run(client: Client, shared: Arc<Shared>) {
    let peer = client.origin;
    let number = shared.sessions.fetch_add(1, Ordering::Relaxed);
    let Some(place) = shared.handshakes.enter(&peer) else {
        shared.metrics.handshake_dropped();
        tracing::debug!(session = number, %peer, "connection closed: too many handshakes are under way");
        return;
    };
    match handshake::establish(client, &place, &shared).await {
        Ok(Opened::Session(established)) => {
            drop(place);
            relay(*established, number, &shared).await;
        }
        Ok(Opened::Cancel { key, mut client }) => {
            cancel::forward(&key, &shared).await;
            // The client's connection closes only after the server closed its own: libpq takes that for "done". Inside TLS the
            // close must be said, as the server does: without close_notify libpq 17 reports that the cancel failed.
            let _ = tokio::time::timeout(Duration::from_secs(1), client.shutdown()).await;
        }
        Err(end) => {
            end.log(number);
            end.audit(&shared.audit, number);
        }
    }
}

async fn relay(established: Established, number: u64, shared: &Arc<Shared>) {
    let Established {
        client,
        client_buffer,
        mut upstream,
        upstream_buffer,
        destination,
        identity,
        origin: peer,
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
        listener = %identity.arrival.listener,
        certificate = identity.arrival.certificate.as_ref().and_then(|shown| shown.cn.as_deref()).map(tracing::field::debug),
        os_user = identity.arrival.os_user.as_ref().map(tracing::field::debug),
        client_tls = client.tls_version(),
        upstream_tls = upstream.tls_version(),
        upstream = %destination.address,
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
            upstream: destination.address.to_string(),
            replication: identity.replication,
            listener: identity.arrival.listener.to_string(),
            client_cert: identity
                .arrival
                .certificate
                .as_ref()
                .map(|shown| audit::Certificate { cn: shown.cn.clone(), san: shown.san.clone() }),
            os_user: identity.arrival.os_user.as_ref().map(ToString::to_string),
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
        own_key = Some(CancelKey { pid, key: key.clone().into() });
        registered = Some(shared.cancels.register((pid, key), destination.clone()));
    };
    let until = Until { ending: shared.ending.clone(), timeouts: shared.config.timeouts };
    let ended = relay::run(client, &client_buffer, &mut upstream, &upstream_buffer, &mut engine, on_key, until);
    let closed = ended.await;
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
                cancel::leave(key, shared).await;
            }
        };
        tokio::select! {
            () = leftover::outlast(upstream, cancel) => {}
            () = asked(shared.ending.clone(), Ending::Now) => {}
        }
    }
    drop(registered);
    drop(seat);
}
