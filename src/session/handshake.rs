//! From an accepted socket to a session: who comes, whether policies admit them, the way to the server, the login.
//! Nothing goes upstream before a policy said yes.

mod enter;
pub(in crate::session) mod reach;
mod target;

use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::audit::{self, Audit};
use crate::config::{Auth, Errors};
use crate::limits::Seat;
use crate::metrics::label::{Event, Leg as LegLabel, VerdictLabel};
use crate::net::{ConnectError, Destination, Legs, Origin, Stream};
use crate::policy::{Admission, Identity, Refusal, RuleRef};
use crate::session::Shared;
use crate::session::auth::{DifferentCertificates, LoginEnd, Peer, PeerError};
use crate::session::greeting::{self, Came, Client, Greeted};
use crate::session::handshake::enter::Entered;
use crate::session::handshakes::Place;
use crate::session::refusal::Reference;
use crate::session::relay::{Ending, asked};
use crate::session::tell::who as whose;
use crate::sql::Group;
use crate::wire::proxy_header::ProxyHeaderError;
use crate::wire::reply::{self, Severity};
use crate::wire::sqlstate;
use crate::wire::startup::{
    self, CancelKey, MAX_STARTUP_PACKET_LENGTH, NEWEST_MINOR, Negotiation, Startup, StartupError,
};

/// What a socket came to be.
#[derive(Debug)]
pub enum Opened {
    /// Logged in on both sides.
    Session(Box<Established>),
    /// A CancelRequest. Its connection stays open until the server has closed its own.
    Cancel { key: CancelKey, client: Stream },
}

/// A session between AuthenticationOk, which the client has, and whatever comes next.
#[derive(Debug)]
pub struct Established {
    pub client: Stream,
    /// Read from the client after its authentication, not yet looked at.
    pub client_buffer: BytesMut,
    pub upstream: Stream,
    /// Read from the server after AuthenticationOk.
    pub upstream_buffer: BytesMut,
    /// For cancels: the very server.
    pub destination: Destination,
    pub identity: Identity,
    pub origin: Origin,
    pub policy: Admission,
    /// Its place among the sessions that are counted.
    pub seat: Seat,
}

/// Why there is no session. The client was told what it may know.
#[derive(Debug, thiserror::Error)]
#[error("{}{why}", who(identity.as_ref()))]
pub struct HandshakeEnd {
    /// Who it was, as far as it was known.
    pub identity: Option<Identity>,
    /// Where it came from.
    pub origin: Origin,
    pub why: Why,
}

/// The reasons.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// A load balancer's check, say.
    #[error("the client closed before its first byte")]
    PortCheck,
    #[error("the client went away during the handshake: {0}")]
    ClientGone(std::io::Error),
    #[error("too many handshakes are under way, and most of them are its address's: it had to make room")]
    Crowded,
    #[error("the proxy stops")]
    Stopping,
    #[error("the handshake took longer than {0:?}")]
    Timeout(Duration),
    #[error(transparent)]
    Startup(#[from] StartupError),
    #[error("the client's TLS handshake failed: {0}")]
    ClientTls(std::io::Error),
    #[error("the client began with TLS without naming PostgreSQL as the protocol (ALPN `postgresql`)")]
    NoAlpn,
    #[error("the client is in a network of `proxy_protocol`, and {0}")]
    ProxyHeader(#[from] ProxyHeaderError),
    #[error("{0}")]
    Insecure(&'static str),
    #[error("login refused by policy \"{}\" ({}), event {}: {}", refusal.policy, place(&refusal.rule),
            reference.as_str(), refusal.reason)]
    Refused { refusal: Box<Refusal>, reference: Reference },
    #[error("{error} ({})", error.hint())]
    Unreachable { error: ConnectError },
    #[error("the server went away before it answered the startup packet: {0}")]
    ServerGone(PeerError),
    #[error(transparent)]
    Certificates(#[from] DifferentCertificates),
    #[error(transparent)]
    Login(#[from] LoginEnd),
}

/// `user "shop_app", database "shop": `, for the log.
fn who(identity: Option<&Identity>) -> String {
    identity.map(|who| format!("user {:?}, database {:?}: ", who.user, who.database)).unwrap_or_default()
}

impl HandshakeEnd {
    /// The same for the audit log: who could not log in, and why.
    pub fn audit(&self, audit: &Audit, session: u64) {
        let Some(identity) = self.identity.as_ref().filter(|_| audit.is_on()) else { return };
        let who = whose(identity, session);
        let login = match &self.why {
            Why::Refused { refusal, reference } => audit::Login {
                who,
                verdict: "refuse".to_owned(),
                policy: Some(refusal.policy.to_string()),
                rule: Some(refusal.rule.label().to_owned()),
                reason: Some(refusal.reason.clone()),
                id: Some(reference.as_str().to_owned()),
                sqlstate: Some(refusal.sqlstate.to_owned()),
            },
            why => audit::Login {
                who,
                verdict: "fail".to_owned(),
                policy: None,
                rule: None,
                reason: Some(why.to_string()),
                id: None,
                sqlstate: None,
            },
        };
        audit.tell(audit::Event::Login(login));
    }

    /// One line in the log, with what a refused statement's line has. A load balancer's check is worth none.
    pub fn log(&self, session: u64) {
        let peer = self.origin;
        let user = self.identity.as_ref().map(|who| tracing::field::debug(&who.user));
        let database = self.identity.as_ref().map(|who| tracing::field::debug(&who.database));
        let address = peer.ip();
        let said = self.why.to_string();
        let said = said.escape_debug();
        match &self.why {
            Why::PortCheck | Why::Crowded => tracing::debug!(session, %peer, "handshake ended: {said}"),
            Why::ClientGone(_) => tracing::info!(session, user, database, %address, "handshake ended: {said}"),
            Why::Refused { refusal, reference } => {
                tracing::warn!(
                    session,
                    user,
                    database,
                    %address,
                    policy = %refusal.policy,
                    rule = refusal.rule.label(),
                    place = refusal.rule.place(),
                    sqlstate = refusal.sqlstate,
                    verdict = "refuse",
                    event = reference.as_str(),
                    "login refused: {}",
                    refusal.reason.escape_debug()
                );
            }
            Why::Timeout(_)
            | Why::Startup(_)
            | Why::ClientTls(_)
            | Why::NoAlpn
            | Why::ProxyHeader(_)
            | Why::Stopping
            | Why::Insecure(_)
            | Why::Unreachable { .. }
            | Why::ServerGone(_)
            | Why::Certificates(_)
            | Why::Login(_) => tracing::warn!(session, user, database, %address, "handshake ended: {said}"),
        }
    }
}

/// A rule with its place, for the log.
fn place(rule: &RuleRef) -> String {
    let (label, place) = (rule.label(), rule.place());
    if place.is_empty() { format!("rule {label}") } else { format!("rule {label}, {place}") }
}

/// Makes a session of a socket.
///
/// # Errors
/// [`HandshakeEnd`]; the client was told, counters were counted, the caller logs.
pub async fn establish(client: Client, place: &Place, shared: &Shared) -> Result<Opened, HandshakeEnd> {
    let step = Step { limit: shared.config.handshake_timeout, place, ending: &shared.ending };
    let accepted = client.origin;
    let nobody = |origin, why| HandshakeEnd { identity: None, origin, why };
    // The same certificates from here to the login, whatever is put in force meanwhile.
    let legs = shared.legs.load_full();
    let greeting = greeting::greet(client, place, legs.acceptor.as_ref(), &shared.config.keepalive);
    let greeted = step.within(greeting).await.and_then(|greeted| greeted);
    let (client, startup, came) = match greeted {
        Ok(Greeted::Startup { stream, startup, came }) => (stream, startup, came),
        Ok(Greeted::Cancel { stream, key }) => return Ok(Opened::Cancel { key, client: stream }),
        Ok(Greeted::Closed) => return Err(nobody(accepted, Why::PortCheck)),
        Err(why) => {
            count(&why, shared);
            return Err(nobody(accepted, why));
        }
    };

    let origin = came.origin;
    let mut client = Peer::new(client);
    let mut identity = None;
    match open(&mut client, &startup, came, step, shared, &legs, &mut identity).await {
        Ok(Logged { server, destination, policy, identity, seat }) => {
            shared.metrics.session_tls(LegLabel::Client, client.stream.tls_version());
            shared.metrics.session_tls(LegLabel::Upstream, server.stream.tls_version());
            Ok(Opened::Session(Box::new(Established {
                client: client.stream,
                client_buffer: client.buffer,
                upstream: server.stream,
                upstream_buffer: server.buffer,
                destination,
                identity,
                origin,
                policy,
                seat,
            })))
        }
        Err(why) => {
            count(&why, shared);
            if matches!(why, Why::Login(LoginEnd::Throttled(_))) {
                shared.throttle.delay().await;
            }
            if let Some(error) = farewell(&why, shared) {
                tell(&mut client.stream, &error).await;
            }
            Err(HandshakeEnd { identity, origin, why })
        }
    }
}

/// What each step of a handshake is done within.
#[derive(Clone, Copy)]
struct Step<'a> {
    limit: Duration,
    place: &'a Place,
    ending: &'a watch::Receiver<Ending>,
}

impl Step<'_> {
    /// Does it, unless it takes too long, must make room for another handshake, or the proxy stops.
    async fn within<T>(self, step: impl Future<Output = T>) -> Result<T, Why> {
        tokio::select! {
            biased;
            done = timeout(self.limit, step) => done.map_err(|_| Why::Timeout(self.limit)),
            () = self.place.must_go() => Err(Why::Crowded),
            () = asked(self.ending.clone(), Ending::WhenIdle) => Err(Why::Stopping),
        }
    }
}

/// Last words. What the client sent ahead is read and dropped, because a socket that is closed over unread bytes resets the
/// connection, which can take the words with it. Whether they arrive is the client's affair.
pub(super) async fn tell(stream: &mut Stream, words: &[u8]) {
    let _ = timeout(Duration::from_secs(1), async {
        stream.write_all(words).await?;
        stream.shutdown().await?;
        let mut dropped = [0u8; 1024];
        while stream.read(&mut dropped).await? > 0 {}
        std::io::Result::Ok(())
    })
    .await;
}

/// Everything that a session needs besides the client's stream.
struct Logged {
    server: Peer,
    destination: Destination,
    policy: Admission,
    identity: Identity,
    seat: Seat,
}

/// Admits, connects, logs in. `known` learns who it is, for the log, as soon as that is clear.
async fn open(
    client: &mut Peer,
    startup: &Startup,
    Came { origin, arrival, demands_tls, stays_here }: Came,
    step: Step<'_>,
    shared: &Shared,
    legs: &Legs,
    known: &mut Option<Identity>,
) -> Result<Logged, Why> {
    let config = &shared.config;
    let claimed = startup.claimed()?;
    let identity = Identity {
        user: claimed.user,
        database: claimed.database,
        address: origin.ip(),
        tls: client.stream.is_tls(),
        replication: claimed.replication,
        arrival,
    };
    *known = Some(identity.clone());

    // A Unix socket never leaves the machine.
    let private = identity.tls || origin == Origin::Unix;
    if !private && (demands_tls || (config.profile.strict() && !stays_here)) {
        return Err(Why::Insecure("this server takes encrypted connections only"));
    }
    if !private && config.auth == Auth::Password {
        return Err(Why::Insecure("this server takes passwords inside TLS only"));
    }

    let mut policy = shared.policies.admit(&identity).map_err(refused)?;
    if policy.policy().enforces() && shared.quarantine.holds(&identity, Instant::now()) {
        return Err(refused(policy.policy().quarantined(sqlstate::INVALID_AUTHORIZATION)));
    }
    if let Some(block) = shared.blocks.of_user(&identity.user, jiff::Timestamp::now()) {
        let refusal = policy.policy().blocked(block.sentence(), sqlstate::INVALID_AUTHORIZATION);
        if policy.policy().enforces() {
            return Err(refused(refusal));
        }
        observed(&refusal, &identity, shared);
    }
    // Options of the protocol that nobody here knows could change what the bytes after them mean.
    let (removed, kept): (Vec<_>, Vec<_>) = startup
        .parameters
        .iter()
        .cloned()
        .partition(|(name, _)| policy.policy().enforces() && name.starts_with("_pq_."));
    let parameters = policy.startup(&kept).map_err(refused)?;
    if let Some(would) = policy.policy().startup_would(&kept) {
        observed(&would, &identity, shared);
    }
    let asked = startup.minor.min(NEWEST_MINOR);
    let packet = startup::encode_startup(asked, parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    if packet.len() > MAX_STARTUP_PACKET_LENGTH + 4 {
        return Err(StartupError::Length(u32::try_from(packet.len()).unwrap_or(u32::MAX)).into());
    }

    let request = enter::Request {
        startup,
        removed,
        packet: &packet,
        identity: &identity,
        policy: policy.policy(),
        private: private || stays_here,
        step,
    };
    let Entered { server, destination, seat } = enter::enter(client, request, shared, legs).await?;
    Ok(Logged { server, destination, policy, identity, seat })
}

/// A policy's no, with a reference that client and log have in common.
fn refused(refusal: Refusal) -> Why {
    Why::Refused { refusal: Box::new(refusal), reference: Reference::new(jiff::Timestamp::now(), rand::random()) }
}

/// Tells of a login that an observing policy would have refused.
fn observed(would: &Refusal, identity: &Identity, shared: &Shared) {
    if would.rule == RuleRef::Guard {
        shared.metrics.event(Event::GuardedSetting);
    }
    shared.metrics.policy(&would.policy).statement(Group::Session as usize, VerdictLabel::WouldRefuse);
    tracing::warn!(
        user = ?identity.user,
        database = ?identity.database,
        address = %identity.address,
        policy = %would.policy,
        rule = would.rule.label(),
        verdict = "would_refuse",
        "login: {}",
        would.reason.escape_debug()
    );
}

/// The one NegotiateProtocolVersion that the client gets: the server's with what we removed, or ours if the server had
/// nothing to say and we changed something.
fn negotiate(
    servers: Option<Negotiation>,
    wanted: u16,
    asked: u16,
    removed: Vec<(String, String)>,
) -> Option<Negotiation> {
    let removed = removed.into_iter().map(|(name, _)| name);
    match servers {
        Some(mut negotiation) => {
            negotiation.unsupported.extend(removed);
            Some(negotiation)
        }
        None => {
            let unsupported: Vec<String> = removed.collect();
            (wanted != asked || !unsupported.is_empty())
                .then(|| Negotiation { version: (3 << 16) | u32::from(asked), unsupported })
        }
    }
}

fn count(why: &Why, shared: &Shared) {
    let metrics = &shared.metrics;
    match why {
        Why::Refused { refusal, .. } => metrics.refusal(&refusal.policy, refusal.rule.label()),
        Why::Unreachable { .. } | Why::ServerGone(_) => metrics.upstream_connection_failure(),
        Why::Startup(_) | Why::ProxyHeader(_) => metrics.event(Event::ProtocolViolation),
        Why::Login(end) if end.is_authentication_failure() => metrics.authentication_failure(),
        Why::Login(LoginEnd::Throttled(_)) => metrics.login_throttled(),
        Why::Login(LoginEnd::Fatal(fatal)) if fatal.sqlstate == sqlstate::PROTOCOL_VIOLATION => {
            metrics.event(Event::ProtocolViolation);
        }
        Why::Crowded => metrics.handshake_dropped(),
        Why::PortCheck
        | Why::ClientGone(_)
        | Why::Timeout(_)
        | Why::Stopping
        | Why::ClientTls(_)
        | Why::NoAlpn
        | Why::Insecure(_)
        | Why::Certificates(_)
        | Why::Login(_) => {}
    }
}

/// The last words to the client, where there is somebody to hear them; empty where the server would have none either.
fn farewell(why: &Why, shared: &Shared) -> Option<BytesMut> {
    let fatal = |sqlstate: &str, message: &str, detail: Option<&str>, hint: Option<&str>| {
        Some(reply::error(Severity::Fatal, sqlstate, message, detail, hint))
    };
    match why {
        Why::PortCheck | Why::Crowded | Why::ClientGone(_) | Why::ClientTls(_) | Why::NoAlpn | Why::ProxyHeader(_) => {
            None
        }
        // Who still sends what is too long should see the end, and no reset.
        Why::Login(LoginEnd::Client(error)) => (!error.is_silence()).then(BytesMut::new),
        // It has the server's own.
        Why::Login(LoginEnd::Refused { .. }) => Some(BytesMut::new()),
        // In the words of a server that is told to stop (`ProcessStartupPacket` in `src/backend/tcop/backend_startup.c`).
        Why::Stopping => fatal(sqlstate::CANNOT_CONNECT_NOW, "the database system is shutting down", None, None),
        // As at the server's `authentication_timeout` (`ProcessInterrupts` in `src/backend/tcop/postgres.c`).
        Why::Timeout(_) => Some(BytesMut::new()),
        // The server went without a word, at its own `authentication_timeout`, say. Where the client logs in to us it is we
        // who must tell it.
        Why::ServerGone(error) | Why::Login(LoginEnd::Server(error))
            if error.is_silence() && shared.config.auth.is_passthrough() =>
        {
            Some(BytesMut::new())
        }
        Why::Startup(error) => fatal(error.sqlstate()?, &error.to_string(), None, error.hint()),
        Why::Insecure(message) => {
            fatal(sqlstate::INVALID_AUTHORIZATION, message, None, Some("Connect with sslmode=require or stronger."))
        }
        Why::Refused { refusal, reference } => {
            let event = format!("event {}", reference.as_str());
            if refusal.terse || shared.config.errors == Errors::Terse {
                return fatal(refusal.sqlstate, "login refused", Some(&event), None);
            }
            let (rule, message) = match &refusal.rule {
                RuleRef::Rule { name, file, line } => (format!("rule {name} ({file}:{line}), "), None),
                // No policy at all: worded like pg_hba's refusal, which names none either.
                RuleRef::Default if &*refusal.policy == "none" => (String::new(), Some(refusal.reason.clone())),
                RuleRef::Default
                | RuleRef::Guard
                | RuleRef::Require
                | RuleRef::Parse
                | RuleRef::Limit(_)
                | RuleRef::Disagreement
                | RuleRef::Quarantine
                | RuleRef::Injection
                | RuleRef::Block => (format!("rule {}, ", refusal.rule.label()), None),
                RuleRef::Decoy { .. } => (String::new(), None),
            };
            let message = message
                .unwrap_or_else(|| format!("login refused by policy \"{}\": {}", refusal.policy, refusal.reason));
            fatal(refusal.sqlstate, &message, Some(&format!("{rule}{event}")), refusal.hint.as_deref())
        }
        Why::Unreachable { error } => {
            let detail = (shared.config.errors == Errors::Detailed).then(|| error.to_string());
            // The one code at which libpq tries its next host, and pg_isready says that this one takes nobody.
            fatal(
                sqlstate::CANNOT_CONNECT_NOW,
                "could not connect to the upstream server",
                detail.as_deref(),
                Some("The proxy's log says more; its /readyz tells whether the server can be reached."),
            )
        }
        Why::ServerGone(_) | Why::Login(LoginEnd::Server(_)) => {
            fatal(sqlstate::CONNECTION_FAILURE, "the upstream server closed the connection unexpectedly", None, None)
        }
        Why::Certificates(error) => fatal(sqlstate::INVALID_AUTHORIZATION, &error.to_string(), None, None),
        Why::Login(LoginEnd::Fatal(end)) => fatal(end.sqlstate, &end.message, end.detail.as_deref(), end.hint),
        Why::Login(LoginEnd::Throttled(throttled)) => fatal(
            sqlstate::TOO_MANY_CONNECTIONS,
            &throttled.to_string(),
            None,
            Some("Wait, then log in with the right password; `login_failures` of the proxy says how many may fail."),
        ),
    }
}

#[cfg(test)]
mod tests;
