//! Wires everything together: listener, admin server, accept loop, probes of the upstream, reload, drain.

mod reload;
mod sessions;
mod told;
mod watched;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::admin::{self, Readiness};
use crate::audit::{Audit, AuditError, Target};
use crate::blocks::{Blocks, FileError};
use crate::config::{AuditLog, Config};
use crate::detect::Technique;
use crate::metrics::Metrics;
use crate::net::{ConnectError, Legs, TlsFileError, TlsInfo};
use crate::policy::{PolicySet, Store};
use crate::session::auth::{DifferentCertificates, startup_check};
use crate::session::cache::Cache;
use crate::session::quarantine::Quarantine;
use crate::session::{self, Shared};
use crate::sql;
pub use reload::Reload;
pub use told::{Load, Source, Told};

/// Handshakes under way at once; a client that comes on top is closed unheard.
const HANDSHAKES: usize = 1_000;
/// The server is probed this often.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// The quarantine and the blocks are looked through this often.
const RELEASE_EVERY: Duration = Duration::from_secs(1);

/// What the process was told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Serve.
    Running,
    /// Take no new clients, let sessions end within `drain_timeout`: the first SIGTERM or SIGINT.
    Draining,
    /// End all sessions at once: the second.
    Closing,
}

/// Why the proxy could not start, or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("can't listen on {address} for {what}: {source}{}", hint(source))]
    Listen { what: &'static str, address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Blocks(#[from] FileError),
    #[error(transparent)]
    Certificates(#[from] DifferentCertificates),
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => " (another program has this port: `ss -ltnp` shows which)",
        io::ErrorKind::AddrNotAvailable => " (this machine has no such address)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 need a privilege; take a higher one)",
        _ => "",
    }
}

/// Serves until it is told to stop and the sessions are over.
///
/// # Errors
/// What keeps it from starting.
pub async fn run(
    config: Config,
    policies: PolicySet,
    metrics: Arc<Metrics>,
    shutdown: watch::Receiver<Phase>,
) -> Result<(), ServerError> {
    Server::bind(config, policies, metrics).await?.run(shutdown).await
}

/// All metrics, with the groups and techniques of this program as label values.
pub fn metrics() -> Metrics {
    let techniques: Vec<&'static str> = Technique::ALL.iter().map(|technique| technique.as_str()).collect();
    Metrics::new(&sql::Group::ALL.map(sql::Group::as_str), &techniques)
}

/// A proxy whose sockets are bound, so that its addresses are known.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    admin: TcpListener,
    shared: Arc<Shared>,
    readiness: Arc<Readiness>,
    reload: Reload,
    ending: watch::Sender<bool>,
}

impl Server {
    /// Reads the certificates and binds the sockets.
    ///
    /// # Errors
    /// A certificate that can't be used, an address that can't be bound.
    pub async fn bind(config: Config, policies: PolicySet, metrics: Arc<Metrics>) -> Result<Server, ServerError> {
        // In this order: files that change in between are read again by the watch.
        let certificates = reload::fingerprint(&config);
        let legs = Legs::read(&config)?;
        let audit = Audit::open(&match &config.audit_log {
            AuditLog::Off => Target::Off,
            AuditLog::Stdout => Target::Stdout,
            AuditLog::File(path) => Target::File(path.clone()),
        })?;
        let blocks = match &config.state_dir {
            Some(directory) => Blocks::open(directory, Arc::clone(&metrics), jiff::Timestamp::now())?,
            None => Blocks::in_memory(Arc::clone(&metrics)),
        };
        let blocks = Arc::new(blocks.auditing(audit.clone()));
        let listener = listen("PostgreSQL clients", config.listen).await?;
        let admin = listen("the admin server", config.admin).await?;

        let readiness = Arc::new(Readiness::default());
        let (ending, watch_ending) = watch::channel(false);
        let cache = Arc::new(Cache::new(config.verdict_cache_bytes, config.analysis_bytes));
        let quarantine = Arc::new(Quarantine::new(config.quarantine, Arc::clone(&metrics)));
        let shared = Shared {
            config: Arc::new(config),
            legs: ArcSwap::from_pointee(legs),
            policies: Arc::new(Store::new(policies)),
            metrics,
            cancels: Arc::default(),
            cache,
            quarantine,
            probing: Arc::default(),
            limits: Arc::default(),
            audit,
            blocks,
            sessions: AtomicU64::new(1),
            ending: watch_ending,
            handshakes: Semaphore::new(HANDSHAKES),
        };
        let shared = Arc::new(shared);
        let told = Told {
            metrics: Arc::clone(&shared.metrics),
            readiness: Arc::clone(&readiness),
            audit: shared.audit.clone(),
        };
        let reload = Reload::new(Arc::clone(&shared), told, certificates);
        Ok(Server { listener, admin, shared, readiness, reload, ending })
    }

    /// What puts other policies and certificates in force.
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// Where clients connect.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where the admin server listens.
    ///
    /// # Errors
    /// The system's.
    pub fn admin_address(&self) -> io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// Serves until it is told to stop and the sessions are over.
    ///
    /// # Errors
    /// [`ServerError::Certificates`], found out by asking the server.
    pub async fn run(self, mut shutdown: watch::Receiver<Phase>) -> Result<(), ServerError> {
        let Server { listener, admin, shared, readiness, reload: _, ending } = self;
        let state = admin::State {
            metrics: shared.metrics.clone(),
            readiness: readiness.clone(),
            token: shared.config.admin_token.clone(),
            policies: shared.config.policies.clone(),
            blocks: Arc::clone(&shared.blocks),
        };
        // Ended when this function returns: the admin server says "draining" until the last session is over.
        let mut background = JoinSet::new();
        background.spawn(admin::serve(admin, Arc::new(state)));

        startup_check(&shared.config, &shared.legs.load_full()).await?;
        background.spawn(probe(shared.clone(), readiness.clone()));
        background.spawn(release(Arc::clone(&shared.quarantine), Arc::clone(&shared.blocks)));

        let drain_timeout = shared.config.drain_timeout;
        let metrics = shared.metrics.clone();
        let audit = shared.audit.clone();
        let mut sessions = JoinSet::new();
        let serve = move |socket, peer| session::run(socket, peer, shared.clone());
        sessions::accept(listener, serve, &metrics, &mut sessions, &mut shutdown).await;

        readiness.drain();
        tracing::info!(sessions = sessions.len(), timeout = ?drain_timeout, "stopping: no new clients, waiting for sessions");
        sessions::drain(&mut sessions, drain_timeout, &mut shutdown, &ending, &metrics).await;
        tokio::task::block_in_place(|| audit.flush());
        tracing::info!("stopped");
        Ok(())
    }
}

async fn listen(what: &'static str, address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|source| ServerError::Listen { what, address, source })
}

/// Asks the server for a connection, without login, and tells the admin server what came of it.
async fn probe(shared: Arc<Shared>, readiness: Arc<Readiness>) {
    let mut timer = tokio::time::interval(PROBE_EVERY);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        let began = Instant::now();
        let legs = shared.legs.load_full();
        let outcome = legs.connector.probe().await;
        shared.metrics.upstream_up(outcome.is_ok());
        shared.metrics.audit_dropped(shared.audit.dropped());
        let told = outcome.as_ref().map(|_| began.elapsed()).map_err(ToString::to_string);
        if readiness.probed(told) {
            news(&shared, &outcome);
        }
    }
}

/// Lets those out of quarantine whose time is over, and ends the blocks whose time is. They don't hold any longer anyway: this is
/// for the metric, the log and the file.
async fn release(quarantine: Arc<Quarantine>, blocks: Arc<Blocks>) {
    let mut timer = tokio::time::interval(RELEASE_EVERY);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        quarantine.release(Instant::now());
        let blocks = Arc::clone(&blocks);
        // It may wait for the disk. A panic there is told by the runtime, and the next second tries again.
        let _ = tokio::task::spawn_blocking(move || blocks.release(jiff::Timestamp::now())).await;
    }
}

fn news(shared: &Shared, outcome: &Result<Option<TlsInfo>, ConnectError>) {
    let legs = shared.legs.load_full();
    let upstream = legs.connector.target();
    match outcome {
        Ok(tls) => {
            tracing::info!(upstream, tls = tls.as_ref().map_or("none", |t| t.version), "the server is reachable")
        }
        Err(error) => tracing::warn!(upstream, hint = error.hint(), "the server is not reachable: {error}"),
    }
}
