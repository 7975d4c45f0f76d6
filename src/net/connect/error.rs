//! Why a server can't be used, in words that say what happened and what to do.

use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};

use crate::config::{SslMode, TargetSessionAttrs};
use crate::net::Endpoint;

/// Why a server can't be used. The message says what happened, [`ConnectError::hint`] what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the name {host} does not resolve: {source}")]
    Resolve { host: String, source: io::Error },
    #[error("can't connect to {address}: {source}")]
    Tcp { address: Endpoint, source: io::Error },
    #[error("{address} did not answer within {after:?}")]
    Timeout { address: Endpoint, after: Duration },
    #[error("{address} does not offer TLS, which sslmode={sslmode} demands")]
    TlsNotOffered { address: Endpoint, sslmode: SslMode },
    #[error("{address} answered the request for TLS with an error")]
    ErrorBeforeTls { address: Endpoint },
    #[error("{address} closed the connection when asked for TLS")]
    Closed { address: Endpoint },
    #[error("{address} answered the request for TLS with the byte {byte:#04x}: it is no PostgreSQL server")]
    NotPostgres { address: Endpoint, byte: u8 },
    #[error("the certificate of {address} is not accepted: {problem}")]
    Certificate { address: Endpoint, problem: CertificateProblem },
    #[error("{address} ended the TLS handshake: {}", alert_words(*alert))]
    Alert { address: Endpoint, alert: AlertDescription },
    #[error("{address} said it has TLS, and sent something else: somebody in between may have")]
    NotTls { address: Endpoint },
    #[error("the TLS handshake with {address} failed: {reason}")]
    Handshake { address: Endpoint, reason: String },
    #[error("{address} did not take TLS from the first byte (sslnegotiation=direct): {reason}")]
    Direct { address: Endpoint, reason: String },
    #[error("{address} speaks TLS, but did not confirm that PostgreSQL is inside (ALPN)")]
    NoAlpn { address: Endpoint },
    #[error("sslmode=disable never uses TLS")]
    TlsDisabled,
    #[error("{address} {what}, which target_session_attrs={wanted} does not want")]
    WrongKind { address: Endpoint, what: &'static str, wanted: TargetSessionAttrs },
    /// Each host and address in turn failed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Each(Vec<ConnectError>),
}

/// What is wrong with a server's certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    #[error("no authority in sslrootcert signed it")]
    UnknownIssuer,
    #[error("the authority in sslrootcert that signed it, or one above it, is not in force now")]
    AuthorityNotInForce,
    #[error("sslrootcert names it and no authority signed it, so that no list can tell whether it was revoked")]
    NamedWithLists,
    #[error("it is signed by nobody but itself, and not named in sslrootcert")]
    SelfSigned,
    #[error("it is not for {expected}{}", names(presented))]
    WrongName { expected: String, presented: Vec<String> },
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    NotYetValid,
    #[error("its authority has revoked it")]
    Revoked,
    #[error("sslcrl says nothing about it")]
    NoRevocationStatus,
    #[error("the list in sslcrl is older than its next update")]
    OldRevocationList,
    #[error("it is marked as an authority (CA:TRUE), not as a server's")]
    CaAsEndEntity,
    #[error("a certificate that is no authority (CA:FALSE) signed it")]
    EndEntityAsCa,
    #[error(
        "it, or one above it, is of X.509 version 1, which holds no extensions: no host names, no bounds on its use"
    )]
    OldVersion,
    #[error("its extendedKeyUsage does not say that it is for servers (serverAuth)")]
    WrongPurpose,
    #[error("its RSA key has {bits} bits, which can be broken: at least 2048 are needed")]
    WeakKey { bits: usize },
    #[error("it, or one above it, is signed in a way that is not trusted any more (SHA-1, MD5) or not known")]
    Signature,
    #[error("the server did not prove that it has the certificate's key")]
    NoProof,
    #[error("an authority above it may not sign for this name (nameConstraints)")]
    NameConstraint,
    #[error("an authority above it may have fewer authorities below it (pathlen)")]
    PathLength,
    #[error("it, or one above it, has a critical extension that is not known here")]
    CriticalExtension,
    #[error("it can't be read")]
    Unreadable,
    #[error("{0}")]
    Other(String),
}

fn names(presented: &[String]) -> String {
    // rustls writes `DnsName("db")` and `IpAddress(…)`.
    let plain = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        inner.map_or(name.as_str(), |inner| inner.trim_matches('"')).to_owned()
    };
    match presented {
        [] => " (it names no host in subjectAltName)".to_owned(),
        names => format!(" but for {}", names.iter().map(plain).collect::<Vec<_>>().join(", ")),
    }
}

impl ConnectError {
    /// What the operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            ConnectError::Resolve { .. } => "Check the host in the upstream's URL and the resolver of this machine.",
            ConnectError::Tcp { address: Endpoint::Unix(_), .. } => {
                "Check that the server runs, its unix_socket_directories, and that this user may enter the directory."
            }
            ConnectError::Tcp { .. } => {
                "Check that the server runs and listens there (listen_addresses, port, firewall)."
            }
            ConnectError::Timeout { .. } => "Check the address, a firewall in between, and the server's load.",
            ConnectError::TlsNotOffered { .. } => "Set ssl = on in the server's postgresql.conf.",
            ConnectError::ErrorBeforeTls { .. } => "The server's log says why; it may have no connection slots left.",
            ConnectError::Closed { .. } | ConnectError::NotPostgres { .. } => {
                "Check that the upstream's URL names a PostgreSQL server and its port."
            }
            ConnectError::NotTls { .. } => "Check what stands between the proxy and the server.",
            ConnectError::Certificate { problem, .. } => problem.hint(),
            ConnectError::Alert { alert, .. } if is_about_our_certificate(*alert) => {
                "Check sslcert and sslkey in the upstream's URL against the server's ssl_ca_file and ssl_crl_file."
            }
            ConnectError::Alert { .. } | ConnectError::Handshake { .. } => {
                "Check the TLS versions of both sides (ssl_min_protocol_version), and sslcert if the server wants one."
            }
            ConnectError::Direct { .. } => {
                "PostgreSQL takes it since version 17, with ssl = on: leave sslnegotiation=direct out for an older one."
            }
            ConnectError::NoAlpn { .. } => {
                "Check that the upstream's URL names a PostgreSQL server of version 17 or later, and what stands in between."
            }
            ConnectError::TlsDisabled => "Set another sslmode in the upstream's URL.",
            ConnectError::WrongKind { .. } => {
                "Name every server in the upstream's URL, or change target_session_attrs."
            }
            ConnectError::Each(errors) => {
                let mut hints = errors.iter().map(ConnectError::hint);
                match hints.next() {
                    Some(first) if hints.all(|hint| hint == first) => first,
                    _ => "The hosts and addresses failed for reasons of their own: check each.",
                }
            }
        }
    }
}

impl CertificateProblem {
    fn hint(&self) -> &'static str {
        match self {
            CertificateProblem::UnknownIssuer => {
                "Put the certificate of the authority that signed the server's into the file of sslrootcert."
            }
            CertificateProblem::SelfSigned => {
                "Name this very certificate (ssl_cert_file of the server) in sslrootcert, or have an authority sign one."
            }
            CertificateProblem::WrongName { .. } => {
                "Use the host name of the certificate in the upstream's URL, or issue one whose subjectAltName has it (a \
                 common name alone does not count)."
            }
            CertificateProblem::Expired => "Renew the server's certificate.",
            CertificateProblem::NotYetValid => "Check the clocks of both machines.",
            CertificateProblem::AuthorityNotInForce => {
                "Renew the authority's certificate, and put it into the file of sslrootcert."
            }
            CertificateProblem::NamedWithLists => {
                "Leave sslcrl and sslcrldir out (whoever revokes it takes it out of sslrootcert), or have an authority sign one."
            }
            CertificateProblem::Revoked => "Issue a new certificate for the server.",
            CertificateProblem::NoRevocationStatus => "Put lists of every authority into the file of sslcrl.",
            CertificateProblem::OldRevocationList => "Fetch the authority's current list into the file of sslcrl.",
            CertificateProblem::CaAsEndEntity => {
                "Name this very certificate in sslrootcert, or issue a server's certificate (CA:FALSE)."
            }
            CertificateProblem::EndEntityAsCa => {
                "Issue the signing certificate anew with basicConstraints=critical,CA:TRUE."
            }
            CertificateProblem::OldVersion => {
                "Issue it anew with a subjectAltName, which makes it version 3: openssl x509 -req … -extfile with the line \
                 subjectAltName=DNS:<host>."
            }
            CertificateProblem::WrongPurpose => "Issue it anew with extendedKeyUsage=serverAuth, or with none.",
            CertificateProblem::WeakKey { .. } => "Issue a new certificate with a key of 3072 bits, or one of P-256.",
            CertificateProblem::Signature => "Issue it anew, signed with SHA-256 (openssl … -sha256).",
            CertificateProblem::NoProof => {
                "Check ssl_cert_file and ssl_key_file of the server, and who stands in between."
            }
            CertificateProblem::NameConstraint | CertificateProblem::PathLength => {
                "Have the certificate signed by an authority that may do so."
            }
            CertificateProblem::CriticalExtension | CertificateProblem::Unreadable | CertificateProblem::Other(_) => {
                "Look at the server's certificate: openssl s_client -starttls postgres -connect <host:port> -showcerts, then \
                 openssl x509 -text."
            }
        }
    }
}

/// Whether a server says so of the certificate that it was shown, or missed.
fn is_about_our_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as A;
    matches!(
        alert,
        A::NoCertificate
            | A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::AccessDenied
            | A::CertificateRequired
    )
}

/// What the alerts that servers send mean here.
fn alert_words(alert: AlertDescription) -> String {
    use AlertDescription as A;
    let words = match alert {
        A::CertificateRequired | A::NoCertificate => "it wants a certificate of the proxy's",
        A::UnknownCA => "no authority that it knows signed the certificate in sslcert",
        A::CertificateExpired => "the certificate in sslcert has expired, by its clock",
        A::CertificateRevoked => "the certificate in sslcert is revoked",
        A::BadCertificate | A::UnsupportedCertificate | A::CertificateUnknown | A::AccessDenied => {
            "it does not take the certificate in sslcert"
        }
        A::ProtocolVersion => "it speaks no TLS version that is allowed here",
        A::HandshakeFailure | A::InsufficientSecurity => "there is no cipher that both sides take",
        A::NoApplicationProtocol => "it does not speak PostgreSQL there (ALPN)",
        A::UnrecognisedName => "it does not know the host's name (SNI)",
        other => return format!("alert {other:?}"),
    };
    words.to_owned()
}

/// From rustls's error, and from webpki's where rustls has no word of its own.
pub(in crate::net) fn certificate_problem(error: &CertificateError, host: &str) -> CertificateProblem {
    use CertificateError as E;
    match error {
        E::UnknownIssuer | E::BadSignature => CertificateProblem::UnknownIssuer,
        E::NotValidForName => CertificateProblem::WrongName { expected: host.to_owned(), presented: Vec::new() },
        E::NotValidForNameContext { presented, .. } => {
            CertificateProblem::WrongName { expected: host.to_owned(), presented: presented.clone() }
        }
        E::Expired | E::ExpiredContext { .. } => CertificateProblem::Expired,
        E::NotValidYet | E::NotValidYetContext { .. } => CertificateProblem::NotYetValid,
        E::Revoked => CertificateProblem::Revoked,
        E::UnknownRevocationStatus => CertificateProblem::NoRevocationStatus,
        E::ExpiredRevocationList | E::ExpiredRevocationListContext { .. } => CertificateProblem::OldRevocationList,
        E::BadEncoding => CertificateProblem::Unreadable,
        E::UnhandledCriticalExtension => CertificateProblem::CriticalExtension,
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => CertificateProblem::WrongPurpose,
        E::UnsupportedSignatureAlgorithmContext { .. } | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            CertificateProblem::Signature
        }
        E::Other(other) => {
            let own = other.0.downcast_ref::<CertificateProblem>().cloned();
            let webpki = || other.0.downcast_ref::<webpki::Error>().map(webpki_problem);
            own.or_else(webpki).unwrap_or_else(|| CertificateProblem::Other(other.to_string()))
        }
        other => CertificateProblem::Other(other.to_string()),
    }
}

/// `webpki::Error` may grow: what is not known has its own words.
fn webpki_problem(error: &webpki::Error) -> CertificateProblem {
    use webpki::Error as E;
    match error {
        E::CaUsedAsEndEntity => CertificateProblem::CaAsEndEntity,
        E::EndEntityUsedAsCa => CertificateProblem::EndEntityAsCa,
        E::UnsupportedCertVersion => CertificateProblem::OldVersion,
        E::NameConstraintViolation => CertificateProblem::NameConstraint,
        E::PathLenConstraintViolated | E::MaximumPathDepthExceeded => CertificateProblem::PathLength,
        E::UnsupportedCriticalExtension => CertificateProblem::CriticalExtension,
        E::InvalidSignatureForPublicKey => CertificateProblem::UnknownIssuer,
        E::SignatureAlgorithmMismatch
        | E::UnsupportedSignatureAlgorithmContext(_)
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => CertificateProblem::Signature,
        E::EmptyEkuExtension | E::RequiredEkuNotFoundContext(_) => CertificateProblem::WrongPurpose,
        E::InvalidCertValidity => CertificateProblem::Expired,
        E::BadDer
        | E::BadDerTime
        | E::TrailingData(_)
        | E::MalformedExtensions
        | E::ExtensionValueInvalid
        | E::InvalidSerialNumber => CertificateProblem::Unreadable,
        other => CertificateProblem::Other(other.to_string()),
    }
}

/// What a broken TLS connection to `host` at `address` tells.
pub(super) fn tls_error(address: &Endpoint, host: &str, error: &io::Error) -> ConnectError {
    let address = address.clone();
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(problem)) => {
            ConnectError::Certificate { address, problem: certificate_problem(problem, host) }
        }
        Some(rustls::Error::AlertReceived(alert)) => ConnectError::Alert { address, alert: *alert },
        Some(rustls::Error::InvalidMessage(_)) => ConnectError::NotTls { address },
        Some(other) => ConnectError::Handshake { address, reason: other.to_string() },
        None => ConnectError::Handshake { address, reason: error.to_string() },
    }
}

/// A server may end TLS 1.3 when the handshake is over on our side: it speaks of our certificate then. None for other errors.
pub(crate) fn late_alert(address: &Endpoint, error: &io::Error) -> Option<ConnectError> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => Some(ConnectError::Alert { address: address.clone(), alert: *alert }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::OtherError;

    use super::*;

    #[test]
    fn words_of_webpki_are_translated() {
        for (error, expected) in [
            (webpki::Error::CaUsedAsEndEntity, CertificateProblem::CaAsEndEntity),
            (webpki::Error::EndEntityUsedAsCa, CertificateProblem::EndEntityAsCa),
            (webpki::Error::UnsupportedCertVersion, CertificateProblem::OldVersion),
            (webpki::Error::NameConstraintViolation, CertificateProblem::NameConstraint),
            (webpki::Error::PathLenConstraintViolated, CertificateProblem::PathLength),
            (webpki::Error::UnsupportedCriticalExtension, CertificateProblem::CriticalExtension),
            (webpki::Error::MalformedExtensions, CertificateProblem::Unreadable),
        ] {
            let error = CertificateError::Other(OtherError(Arc::new(error)));
            assert_eq!(certificate_problem(&error, "db"), expected);
        }
        let io = CertificateError::Other(OtherError(Arc::new(io::Error::other("of some other verifier"))));
        assert_eq!(certificate_problem(&io, "db"), CertificateProblem::Other("of some other verifier".into()));
    }

    #[test]
    fn several_failures_are_all_told_and_hinted_at_once_where_they_agree() {
        let tcp = |port| ConnectError::Tcp {
            address: Endpoint::Tcp(([127, 0, 0, 1], port).into()),
            source: io::ErrorKind::ConnectionRefused.into(),
        };
        let both = ConnectError::Each(vec![tcp(1), tcp(2)]);
        let said = both.to_string();
        assert!(said.contains("127.0.0.1:1: ") && said.contains("; can't connect to 127.0.0.1:2: "), "{said}");
        assert_eq!(both.hint(), tcp(1).hint());
        assert!(ConnectError::Each(vec![tcp(1), ConnectError::TlsDisabled]).hint().contains("check each"));
    }
}
