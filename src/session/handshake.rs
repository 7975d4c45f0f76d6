//! From an accepted socket to a session: who comes, whether policies admit them, the way to the server, the login.
//! Nothing goes upstream before a policy said yes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::audit::{self, Audit};
use crate::config::{Auth, Errors};
use crate::limits::{Entry, Seat};
use crate::metrics::label::{Event, Leg as LegLabel, VerdictLabel};
use crate::net::{Acceptor, ConnectError, Connector, Leg, Legs, Stream, TlsInfo, tune};
use crate::policy::{Admission, Identity, Limit, Refusal, RuleRef};
use crate::session::Shared;
use crate::session::auth::{self, DifferentCertificates, Frame, Login, LoginEnd, Peer, PeerError};
use crate::session::refusal::Reference;
use crate::session::tell::who as whose;
use crate::sql::Group;
use crate::wire::reply::{self, Severity};
use crate::wire::startup::{
    self, CancelKey, FirstPacket, MAX_STARTUP_PACKET_LENGTH, NEWEST_MINOR, Negotiation, Startup, StartupError,
};
use crate::wire::{backend, sqlstate};

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
    pub upstream_address: SocketAddr,
    pub upstream_leg: Leg,
    pub identity: Identity,
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
    #[error("the handshake took longer than {0:?}")]
    Timeout(Duration),
    #[error(transparent)]
    Startup(#[from] StartupError),
    #[error("the client's TLS handshake failed: {0}")]
    ClientTls(std::io::Error),
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
    pub fn log(&self, peer: SocketAddr, session: u64) {
        let user = self.identity.as_ref().map(|who| tracing::field::debug(&who.user));
        let database = self.identity.as_ref().map(|who| tracing::field::debug(&who.database));
        let address = peer.ip().to_canonical();
        let said = self.why.to_string();
        let said = said.escape_debug();
        match &self.why {
            Why::PortCheck => tracing::debug!(session, %peer, "handshake ended: {said}"),
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
pub async fn establish(socket: TcpStream, peer: SocketAddr, shared: &Shared) -> Result<Opened, HandshakeEnd> {
    let limit = shared.config.handshake_timeout;
    let nobody = |why| HandshakeEnd { identity: None, why };
    // The same certificates from here to the login, whatever is put in force meanwhile.
    let legs = shared.legs.load_full();
    let greeted = match timeout(limit, greet(socket, legs.acceptor.as_ref())).await {
        Ok(greeted) => greeted,
        Err(_) => Err(Why::Timeout(limit)),
    };
    let (client, startup) = match greeted {
        Ok(Greeted::Startup(client, startup)) => (client, startup),
        Ok(Greeted::Cancel(key, client)) => return Ok(Opened::Cancel { key, client }),
        Ok(Greeted::Closed) => return Err(nobody(Why::PortCheck)),
        Err(why) => {
            if matches!(why, Why::Startup(_)) {
                shared.metrics.event(Event::ProtocolViolation);
            }
            return Err(nobody(why));
        }
    };

    let mut client = Peer::new(client);
    let mut identity = None;
    match open(&mut client, &startup, peer, shared, &legs, &mut identity).await {
        Ok(Logged { server, address, tls, policy, identity, seat }) => {
            shared.metrics.session_tls(LegLabel::Client, client.stream.tls_version());
            shared.metrics.session_tls(LegLabel::Upstream, server.stream.tls_version());
            Ok(Opened::Session(Box::new(Established {
                client: client.stream,
                client_buffer: client.buffer,
                upstream: server.stream,
                upstream_buffer: server.buffer,
                upstream_address: address,
                upstream_leg: if tls.is_some() { Leg::Tls } else { Leg::Plain },
                identity,
                policy,
                seat,
            })))
        }
        Err(why) => {
            count(&why, shared);
            if let Some(error) = farewell(&why, shared) {
                tell(&mut client.stream, &error).await;
            }
            Err(HandshakeEnd { identity, why })
        }
    }
}

enum Greeted {
    Startup(Stream, Startup),
    Cancel(CancelKey, Stream),
    Closed,
}

/// Reads first packets until one is not about encryption. Every read takes exactly one packet, so nothing that a client
/// (or somebody before it) sent in the clear behind an SSLRequest can be taken for something said inside TLS: it stays in
/// the socket and breaks the TLS handshake (CVE-2021-23214).
async fn greet(socket: TcpStream, acceptor: Option<&Acceptor>) -> Result<Greeted, Why> {
    tune(&socket).map_err(Why::ClientGone)?;
    let mut stream = Stream::Plain(socket);
    let (mut tls_answered, mut gss_answered) = (false, false);
    loop {
        let body = match packet(&mut stream).await {
            Ok(Some(body)) => body,
            Ok(None) => return Ok(Greeted::Closed),
            Err(Why::Startup(error)) => return refuse_startup(stream, error).await,
            Err(why) => return Err(why),
        };
        // As in the server, each kind of encryption is asked for once, and none inside another.
        match startup::parse(&body) {
            Ok(FirstPacket::SslRequest) if !tls_answered => {
                tls_answered = true;
                stream = match (stream, acceptor) {
                    (Stream::Plain(mut socket), Some(acceptor)) => {
                        gss_answered = true;
                        socket.write_all(b"S").await.map_err(Why::ClientGone)?;
                        acceptor.accept(socket).await.map_err(Why::ClientTls)?
                    }
                    (mut stream, _) => {
                        stream.write_all(b"N").await.map_err(Why::ClientGone)?;
                        stream
                    }
                };
            }
            Ok(FirstPacket::GssEncRequest) if !gss_answered => {
                gss_answered = true;
                stream.write_all(b"N").await.map_err(Why::ClientGone)?;
            }
            // The second time the server reads the code as a version, 1234.5679 or 1234.5680.
            Ok(FirstPacket::SslRequest) => {
                return refuse_startup(stream, StartupError::Version { major: 1234, minor: 5679 }).await;
            }
            Ok(FirstPacket::GssEncRequest) => {
                return refuse_startup(stream, StartupError::Version { major: 1234, minor: 5680 }).await;
            }
            Ok(FirstPacket::Cancel(key)) => return Ok(Greeted::Cancel(key, stream)),
            Ok(FirstPacket::Startup(startup)) => return Ok(Greeted::Startup(stream, startup)),
            Err(error) => return refuse_startup(stream, error).await,
        }
    }
}

/// Says why where the server would, and ends; without a word where the server has none.
async fn refuse_startup(mut stream: Stream, error: StartupError) -> Result<Greeted, Why> {
    let words = error
        .sqlstate()
        .map(|sqlstate| reply::error(Severity::Fatal, sqlstate, &error.to_string(), None, error.hint()))
        .unwrap_or_default();
    tell(&mut stream, &words).await;
    Err(Why::Startup(error))
}

/// Last words. What the client sent ahead is read and dropped, because a socket that is closed over unread bytes resets the
/// connection, which can take the words with it. Whether they arrive is the client's affair.
async fn tell(stream: &mut Stream, words: &[u8]) {
    let _ = timeout(Duration::from_secs(1), async {
        stream.write_all(words).await?;
        stream.shutdown().await?;
        let mut dropped = [0u8; 1024];
        while stream.read(&mut dropped).await? > 0 {}
        std::io::Result::Ok(())
    })
    .await;
}

/// Reads one first packet, no byte more; `None` if the client closed before its first byte.
async fn packet(stream: &mut Stream) -> Result<Option<Vec<u8>>, Why> {
    let mut word = [0u8; 4];
    let (first, rest) = word.split_at_mut(1);
    if stream.read(first).await.map_err(Why::ClientGone)? == 0 {
        return Ok(None);
    }
    stream.read_exact(rest).await.map_err(Why::ClientGone)?;
    // At most MAX_STARTUP_PACKET_LENGTH bytes, so that the declared length may be trusted with memory.
    let mut body = vec![0u8; startup::body_length(word)?];
    stream.read_exact(&mut body).await.map_err(Why::ClientGone)?;
    Ok(Some(body))
}

/// Everything that a session needs besides the client's stream.
struct Logged {
    server: Peer,
    address: SocketAddr,
    tls: Option<TlsInfo>,
    policy: Admission,
    identity: Identity,
    seat: Seat,
}

/// Admits, connects, logs in. `known` learns who it is, for the log, as soon as that is clear.
async fn open(
    client: &mut Peer,
    startup: &Startup,
    peer: SocketAddr,
    shared: &Shared,
    legs: &Legs,
    known: &mut Option<Identity>,
) -> Result<Logged, Why> {
    let config = &shared.config;
    let claimed = startup.claimed()?;
    let identity = Identity {
        user: claimed.user,
        database: claimed.database,
        address: peer.ip().to_canonical(),
        tls: client.stream.is_tls(),
        replication: claimed.replication,
    };
    *known = Some(identity.clone());

    if !identity.tls && config.requires_client_tls(identity.address) {
        return Err(Why::Insecure("this server takes encrypted connections only"));
    }
    if !identity.tls && config.auth == Auth::Password {
        return Err(Why::Insecure("this server takes passwords inside TLS only"));
    }

    let refused = |refusal| Why::Refused {
        refusal: Box::new(refusal),
        reference: Reference::new(jiff::Timestamp::now(), rand::random()),
    };
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
    let Entry { seat, would } = shared.limits.login(policy.policy(), &identity.user).map_err(|refusal| {
        shared.metrics.limit_exceeded(refusal.rule.limit().map_or("", Limit::as_str));
        refused(refusal)
    })?;
    if let Some(would) = would {
        shared.metrics.limit_exceeded(would.rule.limit().map_or("", Limit::as_str));
        observed(&would, &identity, shared);
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

    let Answered { mut server, address, tls, negotiation, first } =
        reach(&legs.connector, config.handshake_timeout, &packet).await?;
    let client_acceptor = if identity.tls { legs.acceptor.as_ref() } else { None };
    auth::same_certificates(config.auth, client_acceptor, tls.as_ref(), &legs.connector)?;

    if let Some(negotiation) = negotiate(negotiation, startup.minor, asked, removed) {
        client.send(&negotiation.encode()).await.map_err(LoginEnd::Client)?;
    }

    let limit = config.handshake_timeout;
    let mut login = Login {
        client,
        server: &mut server,
        user: &identity.user,
        // `same_certificates` has seen to it that both are one.
        relay_channel_binding: identity.tls && tls.is_some() && config.auth == Auth::Passthrough,
        client_leg_is_private: identity.tls || identity.address.is_loopback(),
        server_tls: tls.as_ref(),
    };
    let outcome = match config.auth {
        Auth::Passthrough | Auth::PassthroughWithoutChannelBinding => {
            timeout(limit, auth::passthrough::run(&mut login, first)).await
        }
        Auth::Password => timeout(limit, auth::password::run(&mut login, first)).await,
    };
    outcome.map_err(|_| Why::Timeout(limit))??;
    Ok(Logged { server, address, tls, policy, identity, seat })
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

/// A server that has read the startup packet.
struct Answered {
    server: Peer,
    address: SocketAddr,
    tls: Option<TlsInfo>,
    negotiation: Option<Negotiation>,
    /// Its first frame besides NegotiateProtocolVersion.
    first: Frame,
}

/// Connects and sends the startup packet. Under `allow` and `prefer` a server whose first answer is an error is asked once
/// more the other way, as libpq does.
async fn reach(connector: &Connector, limit: Duration, packet: &[u8]) -> Result<Answered, Why> {
    let attempts = connector.attempts();
    let mut attempt = 0;
    loop {
        let Some(leg) = attempts.get(attempt) else {
            return Err(Why::Unreachable { error: ConnectError::TlsDisabled });
        };
        let may_go_on = attempt + 1 < attempts.len();
        attempt += 1;
        let connected = match connector.connect(*leg).await {
            Ok(connected) => connected,
            Err(ConnectError::Certificate { .. } | ConnectError::Handshake { .. }) if may_go_on => continue,
            Err(error) => return Err(Why::Unreachable { error }),
        };
        let as_asked = connected.leg() == *leg;
        let mut server = Peer::new(connected.stream);
        server.send(packet).await.map_err(Why::ServerGone)?;
        let (negotiation, first) =
            timeout(limit, first_answer(&mut server)).await.map_err(|_| Why::Timeout(limit))??;
        if first.kind == backend::ERROR_RESPONSE && may_go_on && as_asked {
            continue;
        }
        return Ok(Answered { server, address: connected.address, tls: connected.tls, negotiation, first });
    }
}

async fn first_answer(server: &mut Peer) -> Result<(Option<Negotiation>, Frame), Why> {
    let frame = server.frame().await.map_err(Why::ServerGone)?;
    if frame.kind != b'v' {
        return Ok((None, frame));
    }
    let Some(negotiation) = Negotiation::parse(frame.body()) else {
        return Err(Why::Login(LoginEnd::Fatal {
            sqlstate: sqlstate::PROTOCOL_VIOLATION,
            message: "the upstream server sent an invalid NegotiateProtocolVersion".into(),
            hint: None,
        }));
    };
    Ok((Some(negotiation), server.frame().await.map_err(Why::ServerGone)?))
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
        Why::Startup(_) => metrics.event(Event::ProtocolViolation),
        Why::Login(LoginEnd::Refused { sqlstate, .. }) if sqlstate.starts_with("28") => {
            metrics.authentication_failure()
        }
        Why::Login(LoginEnd::Fatal { sqlstate: sqlstate::PROTOCOL_VIOLATION, .. }) => {
            metrics.event(Event::ProtocolViolation);
        }
        Why::PortCheck
        | Why::ClientGone(_)
        | Why::Timeout(_)
        | Why::ClientTls(_)
        | Why::Insecure(_)
        | Why::Certificates(_)
        | Why::Login(_) => {}
    }
}

/// The last words to the client, where there is somebody to hear them.
fn farewell(why: &Why, shared: &Shared) -> Option<BytesMut> {
    let fatal = |sqlstate: &str, message: &str, detail: Option<&str>, hint: Option<&str>| {
        Some(reply::error(Severity::Fatal, sqlstate, message, detail, hint))
    };
    match why {
        Why::PortCheck
        | Why::ClientGone(_)
        | Why::ClientTls(_)
        | Why::Login(LoginEnd::Refused { .. } | LoginEnd::Client(_)) => None,
        Why::Timeout(_) => fatal("57014", "canceling authentication due to timeout", None, None),
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
            fatal(
                sqlstate::CONNECTION_FAILURE,
                "could not connect to the upstream server",
                detail.as_deref(),
                Some("The proxy's log says more; its /readyz tells whether the server can be reached."),
            )
        }
        Why::ServerGone(_) | Why::Login(LoginEnd::Server(_)) => {
            fatal(sqlstate::CONNECTION_FAILURE, "the upstream server closed the connection unexpectedly", None, None)
        }
        Why::Certificates(error) => fatal(sqlstate::INVALID_AUTHORIZATION, &error.to_string(), None, None),
        Why::Login(LoginEnd::Fatal { sqlstate, message, hint }) => fatal(sqlstate, message, None, *hint),
    }
}

#[cfg(test)]
mod tests;
