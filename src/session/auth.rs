//! Logging in: what is common to relaying the authentication and to doing it.

pub mod certificate;
mod control;
pub mod directory;
pub mod passthrough;
mod password;
mod peer;
mod prove;
pub mod scram;
pub mod throttle;
pub mod upstream;
pub mod users;

#[cfg(test)]
mod tests;

use std::time::Instant;

use crate::config::{Auth, Config};
use crate::net::{Acceptor, ConnectError, Legs, Probed, TlsInfo};
use crate::policy::ClientCertificate;
use crate::session::auth::directory::{Directory, Found};
use crate::session::auth::scram::server::Exchange;
use crate::session::auth::throttle::{Attempt, Guess, Throttled};
use crate::session::auth::upstream::{Credential, Upstream};
use crate::wire::{backend, frame, sqlstate};
use bytes::{BufMut, BytesMut};

pub use peer::{Frame, Peer, PeerError};

/// The proxy refuses to start with `auth: passthrough`: SCRAM would fail for every driver that binds channels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`auth: passthrough` can't relay SCRAM with TLS on both legs and two certificates: the certificate of {server} is not \
     the one in `tls_cert`, and clients bind their login to the certificate they see. What works: `auth: scram` (the proxy \
     checks clients by their SCRAM verifiers, with channel binding on both legs); `auth: certificate`; `auth: password` (the \
     client's password inside TLS, SCRAM with channel binding to the server); or the server's own certificate and key in \
     `tls_cert` and `tls_key`; or `auth: passthrough-without-channel-binding` (md5, trust, certificates, and drivers that \
     never bind; libpq's SCRAM fails there)"
)]
pub struct DifferentCertificates {
    /// `host:port` of the upstream.
    pub server: String,
}

/// Whether two certificates that may be in force together let clients log in.
#[derive(Debug)]
pub enum Fit {
    /// They do, or the authentication mode does not care.
    Fits,
    Different(DifferentCertificates),
    /// Nobody knows: the server can't be asked for its own.
    Unreachable(ConnectError),
}

/// Asks the server whether the authentication mode works with its certificate and that of the client leg.
pub async fn fit(config: &Config, legs: &Legs) -> Fit {
    let Legs { acceptor, connector } = legs;
    if config.auth != Auth::Passthrough || acceptor.is_none() {
        return Fit::Fits;
    }
    let mut unreachable = Vec::new();
    let mut reached = false;
    // Each host shows a certificate of its own, and a session may come to any.
    for Probed { host, outcome } in connector.probe().await {
        match outcome {
            Ok(tls) => match same_certificates(config.auth, acceptor.as_ref(), tls.as_ref(), &host) {
                Ok(()) => reached = true,
                Err(different) => return Fit::Different(different),
            },
            Err(error) => unreachable.push(error),
        }
    }
    match (reached, unreachable.pop()) {
        (true, _) | (false, None) => Fit::Fits,
        (false, Some(only)) if unreachable.is_empty() => Fit::Unreachable(only),
        (false, Some(last)) => {
            unreachable.push(last);
            Fit::Unreachable(ConnectError::Each(unreachable))
        }
    }
}

/// Before the first session: whether the authentication mode can work with the two certificates. A server that can't be
/// reached is a warning: each session checks again.
///
/// # Errors
/// [`DifferentCertificates`], with the modes that work.
pub async fn startup_check(config: &Config, legs: &Legs) -> Result<(), DifferentCertificates> {
    match fit(config, legs).await {
        Fit::Fits => Ok(()),
        Fit::Different(different) => Err(different),
        Fit::Unreachable(error) => {
            tracing::warn!(
                upstream = legs.connector.target(),
                %error,
                hint = error.hint(),
                "the upstream can't be reached: whether `auth: passthrough` works with its certificate is checked at each session"
            );
            Ok(())
        }
    }
}

/// With TLS on both legs, `passthrough` needs one certificate. `acceptor` is that of the client leg, if it has TLS.
pub(super) fn same_certificates(
    auth: Auth,
    acceptor: Option<&Acceptor>,
    tls: Option<&TlsInfo>,
    server: &str,
) -> Result<(), DifferentCertificates> {
    match (auth, acceptor, tls) {
        (Auth::Passthrough, Some(ours), Some(theirs)) if *ours.certificate() != theirs.certificate => {
            Err(DifferentCertificates { server: server.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Why a login ended.
#[derive(Debug, thiserror::Error)]
pub enum LoginEnd {
    #[error("the client went away: {0}")]
    Client(PeerError),
    #[error("the server went away: {0}")]
    Server(PeerError),
    /// The client already has the server's own words.
    #[error("the server refused the login: {message} ({sqlstate})")]
    Refused { sqlstate: String, message: String },
    /// The client must still be told.
    #[error("{0}")]
    Fatal(Box<Fatal>),
    /// The client must still be told, after a while.
    #[error(transparent)]
    Throttled(#[from] Throttled),
}

/// What a client is told.
#[derive(Debug)]
pub struct Fatal {
    pub sqlstate: &'static str,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<&'static str>,
    /// For the log only.
    pub log: Option<String>,
    pub failed: Failed,
}

/// What a login that ended says of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// Nothing: the server, the configuration or the protocol is at fault.
    Otherwise,
    /// It may not log in, and nobody guessed.
    Login,
    /// It does not know the password.
    Guess,
}

impl std::fmt::Display for Fatal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        for more in self.detail.iter().chain(&self.log) {
            write!(f, ": {more}")?;
        }
        Ok(())
    }
}

impl Fatal {
    pub(super) fn new(sqlstate: &'static str, message: impl Into<String>) -> Fatal {
        Fatal { sqlstate, message: message.into(), detail: None, hint: None, log: None, failed: Failed::Otherwise }
    }

    fn failed(self, failed: Failed) -> Fatal {
        Fatal { failed, ..self }
    }

    fn hint(self, hint: &'static str) -> Fatal {
        Fatal { hint: Some(hint), ..self }
    }

    fn log(self, log: impl Into<String>) -> Fatal {
        Fatal { log: Some(log.into()), ..self }
    }
}

impl From<Fatal> for LoginEnd {
    fn from(fatal: Fatal) -> LoginEnd {
        LoginEnd::Fatal(Box::new(fatal))
    }
}

impl LoginEnd {
    fn fatal(sqlstate: &'static str, message: impl Into<String>, hint: Option<&'static str>) -> LoginEnd {
        Fatal { hint, ..Fatal::new(sqlstate, message) }.into()
    }

    fn unexpected_from_server(frame: &Frame) -> LoginEnd {
        LoginEnd::fatal(
            sqlstate::PROTOCOL_VIOLATION,
            format!("the upstream server sent message type {:#04x} during authentication", frame.kind),
            None,
        )
    }

    /// In the server's words. `what`: password, SASL.
    fn unexpected_from_client(frame: &Frame, what: &str) -> LoginEnd {
        let message = format!("expected {what} response, got message type {}", frame.kind);
        LoginEnd::fatal(sqlstate::PROTOCOL_VIOLATION, message, None)
    }

    /// From an ErrorResponse that is being relayed.
    fn refused(body: &[u8]) -> LoginEnd {
        let field = |letter| {
            let value = backend::error_fields(body).find(|(kind, _)| *kind == letter).map(|(_, value)| value);
            String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
        };
        LoginEnd::Refused { sqlstate: field(b'C'), message: field(b'M') }
    }

    /// Whether the client is not who it says it is, by the word of the server or by ours.
    pub fn is_authentication_failure(&self) -> bool {
        match self {
            LoginEnd::Refused { sqlstate, .. } => sqlstate.starts_with("28"),
            LoginEnd::Fatal(fatal) => fatal.failed != Failed::Otherwise,
            LoginEnd::Client(_) | LoginEnd::Server(_) | LoginEnd::Throttled(_) => false,
        }
    }

    /// Whether somebody may have guessed, and wrongly. Where the proxy itself has checked the client, what the server then
    /// says is not about a guess.
    fn is_wrong_guess(&self, auth: Auth) -> bool {
        match (self, auth) {
            (LoginEnd::Refused { .. }, Auth::Scram | Auth::Certificate) => false,
            (LoginEnd::Refused { .. }, Auth::Passthrough | Auth::PassthroughWithoutChannelBinding | Auth::Password) => {
                self.is_authentication_failure()
            }
            (LoginEnd::Fatal(fatal), _) => fatal.failed == Failed::Guess,
            (LoginEnd::Client(_) | LoginEnd::Server(_) | LoginEnd::Throttled(_), _) => false,
        }
    }
}

/// A client that logs in.
#[derive(Debug)]
pub struct Client<'a> {
    pub peer: &'a mut Peer,
    pub attempt: &'a Attempt,
    /// Held while a guess of it is being checked.
    pub guess: Option<Guess>,
}

impl<'a> Client<'a> {
    /// Lets a client begin, unless too many before it failed.
    ///
    /// # Errors
    /// [`Throttled`].
    pub fn begin(peer: &'a mut Peer, attempt: &'a Attempt, now: Instant) -> Result<Client<'a>, Throttled> {
        attempt.check(now)?;
        Ok(Client { peer, attempt, guess: None })
    }

    /// Counts what came of it, and lets the next one try.
    pub fn end(self, auth: Auth, end: Option<&LoginEnd>, now: Instant) {
        if end.is_some_and(|end| end.is_wrong_guess(auth)) {
            self.attempt.failed(now);
        }
    }
}

/// What a login runs between.
#[derive(Debug)]
pub struct Login<'a, 'c> {
    pub client: &'a mut Client<'c>,
    pub server: &'a mut Peer,
    /// As the startup packet names it: md5 hashes it.
    pub user: &'a str,
    /// SCRAM-SHA-256-PLUS can work end to end: both legs have TLS with one certificate.
    pub relay_channel_binding: bool,
    /// The client leg is encrypted or never leaves the machine.
    pub client_leg_is_private: bool,
    /// TLS of the server leg.
    pub server_tls: Option<&'a TlsInfo>,
}

/// What the proxy checks a client with.
#[derive(Debug)]
pub struct Check<'a> {
    pub config: &'a Config,
    pub directory: &'a Directory,
    pub legs: &'a Legs,
    pub user: &'a str,
    /// The client leg has TLS.
    pub tls: bool,
    /// The client's, where it showed one.
    pub certificate: Option<&'a ClientCertificate>,
}

impl Check<'_> {
    /// Has the client prove who it is, where that is the proxy's affair, before anything goes upstream. Gives what the proxy
    /// then logs in with; `None` where the server is who asks.
    ///
    /// # Errors
    /// [`LoginEnd`].
    pub async fn run(&self, client: &mut Client<'_>) -> Result<Option<Credential>, LoginEnd> {
        match self.config.auth {
            Auth::Passthrough | Auth::PassthroughWithoutChannelBinding => Ok(None),
            Auth::Password => Ok(Some(Credential::OfClient(None))),
            Auth::Scram => {
                // So that there is time left to say that it took too long.
                let connecting = self.config.handshake_timeout / 2;
                let found = self.directory.find(self.user, self.legs, connecting).await;
                let Found { secret, why_not } = found.map_err(|error| {
                    Fatal::new(sqlstate::CANNOT_CONNECT_NOW, "could not look up the user's password")
                        .hint("The proxy's log says more.")
                        .log(error.to_string())
                })?;
                let acceptor = self.legs.acceptor.as_ref().filter(|_| self.tls);
                let exchange = Exchange::new(secret, acceptor.and_then(Acceptor::server_end_point));
                Ok(Some(Credential::Keys(prove::run(client, exchange, self.user, why_not).await?)))
            }
            Auth::Certificate => Ok(Some(certificate::credential(self)?)),
        }
    }
}

/// Logs in at the server, up to AuthenticationOk. Where it is relayed the client has that already; else it is what is returned,
/// and nobody has got it yet. `first` is the server's first frame.
///
/// # Errors
/// [`LoginEnd`].
pub async fn log_in(
    login: &mut Login<'_, '_>,
    config: &Config,
    credential: Option<&mut Credential>,
    first: Frame,
) -> Result<Option<Frame>, LoginEnd> {
    let Some(credential) = credential else { return passthrough::run(login, first).await.map(|()| None) };
    let max_iterations = config.users.max_iterations;
    let mut upstream = Upstream { server: login.server, user: login.user, tls: login.server_tls, max_iterations };
    upstream.log_in(Some(login.client), credential, first).await.map(Some)
}

/// AuthenticationSASL.
fn sasl_offer(mechanisms: &[&[u8]]) -> BytesMut {
    let body: usize = mechanisms.iter().map(|mechanism| mechanism.len() + 1).sum();
    let mut out = BytesMut::with_capacity(body + 10);
    out.put_u8(b'R');
    // The length word, the code and the last NUL: a frame is at most 64 KiB here.
    out.put_u32(u32::try_from(body + 9).unwrap_or(u32::MAX));
    out.put_u32(10);
    for mechanism in mechanisms {
        out.put_slice(mechanism);
        out.put_u8(0);
    }
    out.put_u8(0);
    out
}

/// What an `R` frame asks or says (PostgreSQL manual, "Message Formats", the Authentication… messages).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request<'a> {
    Ok,
    CleartextPassword,
    Md5Password([u8; 4]),
    Gss,
    GssContinue,
    Sspi,
    /// The offered mechanisms.
    Sasl(Vec<&'a [u8]>),
    SaslContinue(&'a [u8]),
    SaslFinal(&'a [u8]),
    /// Kerberos V5, SCM credentials, and what is not known.
    Other,
}

impl Request<'_> {
    pub fn parse(body: &[u8]) -> Option<Request<'_>> {
        let (code, rest) = body.split_first_chunk::<4>()?;
        Some(match u32::from_be_bytes(*code) {
            0 => Request::Ok,
            3 => Request::CleartextPassword,
            5 => Request::Md5Password(*rest.first_chunk::<4>()?),
            7 => Request::Gss,
            8 => Request::GssContinue,
            9 => Request::Sspi,
            10 => Request::Sasl(mechanisms(rest)?),
            11 => Request::SaslContinue(rest),
            12 => Request::SaslFinal(rest),
            _ => Request::Other,
        })
    }
}

fn mechanisms(mut rest: &[u8]) -> Option<Vec<&[u8]>> {
    let mut out = Vec::new();
    loop {
        let (name, tail) = frame::cstring(rest)?;
        if name.is_empty() {
            return Some(out);
        }
        out.push(name);
        rest = tail;
    }
}

const SCRAM: &[u8] = postgres_protocol::authentication::sasl::SCRAM_SHA_256.as_bytes();
const SCRAM_PLUS: &[u8] = postgres_protocol::authentication::sasl::SCRAM_SHA_256_PLUS.as_bytes();
