//! Logging in: what is common to relaying the authentication and to doing it.

pub mod passthrough;
pub mod password;
mod peer;

#[cfg(test)]
mod tests;

use crate::config::{Auth, Config};
use crate::net::{Acceptor, ConnectError, Connector, Legs, TlsInfo};
use crate::wire::{backend, frame, sqlstate};

pub use peer::{Frame, Peer, PeerError};

/// The proxy refuses to start with `auth: passthrough`: SCRAM would fail for every driver that binds channels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`auth: passthrough` can't relay SCRAM with TLS on both legs and two certificates: the certificate of {server} is not \
     the one in `tls_cert`, and clients bind their login to the certificate they see. What works: `auth: password` (the \
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
    match connector.probe().await {
        Ok(tls) => match same_certificates(config.auth, acceptor.as_ref(), tls.as_ref(), connector) {
            Ok(()) => Fit::Fits,
            Err(different) => Fit::Different(different),
        },
        Err(error) => Fit::Unreachable(error),
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
    connector: &Connector,
) -> Result<(), DifferentCertificates> {
    match (auth, acceptor, tls) {
        (Auth::Passthrough, Some(ours), Some(theirs)) if *ours.certificate() != theirs.certificate => {
            Err(DifferentCertificates { server: connector.target() })
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
    #[error("{message}")]
    Fatal { sqlstate: &'static str, message: String, hint: Option<&'static str> },
}

impl LoginEnd {
    fn fatal(sqlstate: &'static str, message: impl Into<String>, hint: Option<&'static str>) -> LoginEnd {
        LoginEnd::Fatal { sqlstate, message: message.into(), hint }
    }

    fn unexpected_from_server(frame: &Frame) -> LoginEnd {
        LoginEnd::fatal(
            sqlstate::PROTOCOL_VIOLATION,
            format!("the upstream server sent message type {:#04x} during authentication", frame.kind),
            None,
        )
    }

    fn unexpected_from_client(frame: &Frame) -> LoginEnd {
        LoginEnd::fatal(
            sqlstate::PROTOCOL_VIOLATION,
            format!("expected password response, got message type {:#04x}", frame.kind),
            None,
        )
    }

    /// From an ErrorResponse that is being relayed.
    fn refused(body: &[u8]) -> LoginEnd {
        let field = |letter| {
            let value = backend::error_fields(body).find(|(kind, _)| *kind == letter).map(|(_, value)| value);
            String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
        };
        LoginEnd::Refused { sqlstate: field(b'C'), message: field(b'M') }
    }
}

/// What a login runs between.
#[derive(Debug)]
pub struct Login<'a> {
    pub client: &'a mut Peer,
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
