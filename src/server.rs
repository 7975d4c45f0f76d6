//! Wires everything together: listener, admin server, accept loop, probes of the upstream, reload, drain.

mod expiry;
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
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::admin::{self, Readiness};
use crate::audit::{Audit, AuditError, Target};
use crate::blocks::{Blocks, FileError};
use crate::config::{AuditLog, Config, ListenAt, Listener};
use crate::detect::Technique;
use crate::metrics::Metrics;
use crate::net::{ConnectError, Legs, Listening, Probed, TlsFileError, TlsInfo};
use crate::policy::{PolicySet, Store};
use crate::session::auth::directory::Directory;
use crate::session::auth::throttle::Throttle;
use crate::session::auth::users::UserFileError;
use crate::session::auth::{DifferentCertificates, startup_check};
use crate::session::cache::Cache;
use crate::session::greeting::Client;
use crate::session::handshakes::Handshakes;
use crate::session::quarantine::Quarantine;
use crate::session::relay::Ending;
use crate::session::{self, Shared};
use crate::sql;
use expiry::Shown;
pub use reload::Reload;
pub use told::{Load, Source, Told};

/// Handshakes and cancel requests under way at once, where there are descriptors for as many: each may need two, and sessions
/// need theirs.
const HANDSHAKES: usize = 4_096;
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
    #[error("can't listen on {at} for {what}: {source}{}", hint(at, source))]
    Listen { what: &'static str, at: ListenAt, source: io::Error },
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Blocks(#[from] FileError),
    #[error(transparent)]
    Users(#[from] UserFileError),
    #[error(transparent)]
    Certificates(#[from] DifferentCertificates),
}

fn hint(at: &ListenAt, error: &io::Error) -> &'static str {
    match (at, error.kind()) {
        (ListenAt::Unix { .. }, io::ErrorKind::AddrInUse) => {
            " (another program has this socket, or the file is no socket)"
        }
        (ListenAt::Unix { .. }, io::ErrorKind::NotFound) => " (its directory must be there)",
        (ListenAt::Unix { .. }, io::ErrorKind::PermissionDenied) => {
            " (the proxy's user must be allowed to make files in its directory)"
        }
        (ListenAt::Tcp(_), io::ErrorKind::AddrInUse) => " (another program has this port: `ss -ltnp` shows which)",
        (ListenAt::Tcp(_), io::ErrorKind::AddrNotAvailable) => " (this machine has no such address)",
        (ListenAt::Tcp(_), io::ErrorKind::PermissionDenied) => {
            " (ports below 1024 need a privilege; take a higher one)"
        }
        (_, _) => "",
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
    listening: Vec<Listening>,
    admin: TcpListener,
    shared: Arc<Shared>,
    readiness: Arc<Readiness>,
    reload: Reload,
    ending: watch::Sender<Ending>,
}

impl Server {
    /// Reads the certificates and binds the sockets.
    ///
    /// # Errors
    /// A certificate that can't be used, an address that can't be bound.
    pub async fn bind(config: Config, policies: PolicySet, metrics: Arc<Metrics>) -> Result<Server, ServerError> {
        // In this order: files that change in between are read again by the watch.
        let files = reload::Fingerprints::read(&config);
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
        let directory = Arc::new(Directory::open(&config)?);
        let throttle = Arc::new(Throttle::new(config.login_failures));
        let mut listening = Vec::new();
        for listener in &config.listeners {
            listening.push(listen("PostgreSQL clients", &listener.at).await?);
        }
        let admin = TcpListener::bind(config.admin).await.map_err(|source| ServerError::Listen {
            what: "the admin server",
            at: ListenAt::Tcp(config.admin),
            source,
        })?;

        let readiness = Arc::new(Readiness::default());
        let (ending, watch_ending) = watch::channel(Ending::No);
        let cache = Arc::new(Cache::new(config.verdict_cache_bytes, config.analysis_bytes));
        let quarantine = Arc::new(Quarantine::new(config.quarantine, Arc::clone(&metrics)));
        let handshakes = HANDSHAKES.min(descriptors() / 4);
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
            directory,
            throttle,
            audit,
            blocks,
            sessions: AtomicU64::new(1),
            ending: watch_ending,
            handshakes: Handshakes::new(handshakes),
        };
        let shared = Arc::new(shared);
        let told = Told {
            metrics: Arc::clone(&shared.metrics),
            readiness: Arc::clone(&readiness),
            audit: shared.audit.clone(),
        };
        let reload = Reload::new(Arc::clone(&shared), told, files);
        Ok(Server { listening, admin, shared, readiness, reload, ending })
    }

    /// What puts other policies and certificates in force.
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// Where clients connect over TCP: the first such address.
    ///
    /// # Errors
    /// The system's; `NotFound` where there are Unix sockets only.
    pub fn address(&self) -> io::Result<SocketAddr> {
        for one in &self.listening {
            if let Some(address) = one.address()? {
                return Ok(address);
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// All sockets that clients connect to, for a log line.
    pub fn sockets(&self) -> String {
        let listeners = self.shared.config.listeners.iter().zip(&self.listening);
        let told = listeners.map(|(listener, one)| match one.address() {
            Ok(Some(address)) => address.to_string(),
            Ok(None) | Err(_) => listener.at.to_string(),
        });
        told.collect::<Vec<_>>().join(", ")
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
        let Server { listening, admin, shared, readiness, reload: _, ending } = self;
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

        let legs = shared.legs.load_full();
        tokio::select! {
            checked = startup_check(&shared.config, &legs) => checked?,
            () = sessions::reached(&mut shutdown, Phase::Draining) => {
                tracing::info!("stopped before the server could be asked for its certificate");
                return Ok(());
            }
        }
        background.spawn(probe(shared.clone(), readiness.clone()));
        background.spawn(release(Arc::clone(&shared)));

        let (drain_delay, drain_timeout) = (shared.config.drain_delay, shared.config.drain_timeout);
        let mut shutdown_at_once = shutdown.clone();
        let metrics = shared.metrics.clone();
        let audit = shared.audit.clone();
        let mut sessions = JoinSet::new();
        let listeners: Vec<Arc<Listener>> = shared.config.listeners.iter().cloned().map(Arc::new).collect();
        let serve = move |socket, origin, number: usize| {
            let listener = listeners.get(number).map(Arc::clone);
            let shared = Arc::clone(&shared);
            async move {
                // There are as many as there are sockets.
                let Some(listener) = listener else { return };
                session::run(Client { socket, origin, listener }, shared).await;
            }
        };
        let stop = async {
            sessions::reached(&mut shutdown, Phase::Draining).await;
            readiness.drain();
            if !drain_delay.is_zero() {
                tracing::info!(delay = ?drain_delay, "stopping: /readyz says no, clients are still taken");
            }
            tokio::select! {
                () = tokio::time::sleep(drain_delay) => {}
                () = sessions::reached(&mut shutdown_at_once, Phase::Closing) => {}
            }
        };
        sessions::accept(listening, serve, &metrics, &mut sessions, stop).await;
        tracing::info!(sessions = sessions.len(), timeout = ?drain_timeout, "stopping: no new clients; idle sessions end, others at the end of their transaction");
        sessions::drain(&mut sessions, drain_timeout, &mut shutdown, &ending, &metrics).await;
        tokio::task::block_in_place(|| audit.flush());
        tracing::info!("stopped");
        Ok(())
    }
}

/// How many files this process may have open: as many as the system lets it. The lower limit of most shells and of systemd, 1,024,
/// is for programs that use `select`.
fn descriptors() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Where it may not be raised it stays as it is.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let limit = if raised { maximum } else { current };
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

async fn listen(what: &'static str, at: &ListenAt) -> Result<Listening, ServerError> {
    Listening::bind(at).await.map_err(|source| ServerError::Listen { what, at: at.clone(), source })
}

/// Asks each host for a connection, without login, and tells the admin server what came of it. One that can be reached is enough.
async fn probe(shared: Arc<Shared>, readiness: Arc<Readiness>) {
    let mut timer = tokio::time::interval(PROBE_EVERY);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shown = Shown::default();
    loop {
        timer.tick().await;
        let began = Instant::now();
        let legs = shared.legs.load_full();
        let probed = legs.connector.probe().await;
        for Probed { host, outcome } in &probed {
            shared.metrics.upstream_host_up(host, outcome.is_ok());
        }
        shown.note(&probed);
        let certificates = expiry::certificates(&legs, &shown);
        readiness.certificates(&certificates);
        shared.metrics.certificates(certificates);
        let outcome = one_of(probed);
        shared.metrics.upstream_up(outcome.is_ok());
        shared.metrics.audit_dropped(shared.audit.dropped());
        let told = outcome.as_ref().map(|_| began.elapsed()).map_err(ToString::to_string);
        if readiness.probed(told) {
            news(&legs, &outcome);
        }
    }
}

/// The first host that can be reached, or why none can.
fn one_of(probed: Vec<Probed>) -> Result<Option<TlsInfo>, ConnectError> {
    let mut errors = Vec::new();
    for Probed { outcome, .. } in probed {
        match outcome {
            Ok(tls) => return Ok(tls),
            Err(error) => errors.push(error),
        }
    }
    match errors.pop() {
        Some(only) if errors.is_empty() => Err(only),
        last => {
            errors.extend(last);
            Err(ConnectError::Each(errors))
        }
    }
}

/// Lets those out of quarantine whose time is over, and ends the blocks whose time is. They don't hold any longer anyway: this is
/// for the metric, the log and the file.
async fn release(shared: Arc<Shared>) {
    let mut timer = tokio::time::interval(RELEASE_EVERY);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        shared.metrics.tasks(tokio::runtime::Handle::current().metrics().num_alive_tasks());
        shared.quarantine.release(Instant::now());
        let blocks = Arc::clone(&shared.blocks);
        // It may wait for the disk. A panic there is told by the runtime, and the next second tries again.
        let _ = tokio::task::spawn_blocking(move || blocks.release(jiff::Timestamp::now())).await;
    }
}

fn news(legs: &Legs, outcome: &Result<Option<TlsInfo>, ConnectError>) {
    let upstream = legs.connector.target();
    match outcome {
        Ok(tls) => {
            tracing::info!(upstream, tls = tls.as_ref().map_or("none", |t| t.version), "the server is reachable")
        }
        Err(error) => tracing::warn!(upstream, hint = error.hint(), "the server is not reachable: {error}"),
    }
}
