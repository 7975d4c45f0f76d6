//! The way to the server, by libpq's `sslmode` to the letter.
//!
//! From `require` up only the byte `S` opens the way to a startup packet: `N`, an ErrorResponse, silence, a closed
//! socket and garbage are errors, and not a byte of a startup packet is sent in the clear.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use crate::config::{RootCert, SslMode, TlsMinimum, Upstream};
use crate::net::accept::{ALPN, TlsFileError, certificates, private_key, provider};
use crate::net::certificate::server_end_point;
use crate::net::verifier::{Trust, Verifier};
use crate::net::{Stream, tune, version_label};
use crate::wire::startup::SSL_REQUEST;

/// How one connection goes: plain or inside TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    Plain,
    Tls,
}

/// A connection to the server, before its startup packet.
#[derive(Debug)]
pub struct Connected {
    pub stream: Stream,
    /// The very server: cancels of the session go there too.
    pub address: SocketAddr,
    /// None on a plain leg.
    pub tls: Option<TlsInfo>,
}

impl Connected {
    /// What the connection came to be, which under `allow` and `prefer` the server decides.
    pub fn leg(&self) -> Leg {
        if self.tls.is_some() { Leg::Tls } else { Leg::Plain }
    }
}

/// What is known of the server's TLS.
#[derive(Debug, Clone)]
pub struct TlsInfo {
    /// `"TLSv1.2"` or `"TLSv1.3"`.
    pub version: &'static str,
    /// The end-entity certificate (DER).
    pub certificate: CertificateDer<'static>,
    /// `tls-server-end-point` for SCRAM-SHA-256-PLUS; None where the certificate's signature defines none.
    pub server_end_point: Option<Vec<u8>>,
}

/// Why a server can't be used. The message says what happened, [`ConnectError::hint`] what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the name {host} does not resolve: {source}")]
    Resolve { host: String, source: io::Error },
    #[error("can't connect to {address}: {source}")]
    Tcp { address: SocketAddr, source: io::Error },
    #[error("{address} did not answer within {after:?}")]
    Timeout { address: SocketAddr, after: Duration },
    #[error("{address} does not offer TLS, which sslmode={sslmode} demands")]
    TlsNotOffered { address: SocketAddr, sslmode: SslMode },
    #[error("{address} answered the request for TLS with an error")]
    ErrorBeforeTls { address: SocketAddr },
    #[error("{address} closed the connection when asked for TLS")]
    Closed { address: SocketAddr },
    #[error("{address} answered the request for TLS with the byte {byte:#04x}: it is no PostgreSQL server")]
    NotPostgres { address: SocketAddr, byte: u8 },
    #[error("the certificate of {address} is not accepted: {problem}")]
    Certificate { address: SocketAddr, problem: CertificateProblem },
    #[error("the TLS handshake with {address} failed: {reason}")]
    Handshake { address: SocketAddr, reason: String },
    #[error("sslmode=disable never uses TLS")]
    TlsDisabled,
}

/// What is wrong with a server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateProblem {
    UnknownIssuer,
    WrongName { expected: String, presented: Vec<String> },
    Expired,
    NotYetValid,
    Revoked,
    NoRevocationStatus,
    CaAsEndEntity,
    Other(String),
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateProblem::UnknownIssuer => f.write_str("no authority in sslrootcert signed it"),
            CertificateProblem::WrongName { expected, presented } if presented.is_empty() => {
                write!(f, "it is not for {expected} (it names no host in subjectAltName)")
            }
            CertificateProblem::WrongName { expected, presented } => {
                write!(f, "it is not for {expected} but for {}", presented.join(", "))
            }
            CertificateProblem::Expired => f.write_str("it has expired"),
            CertificateProblem::NotYetValid => f.write_str("it is not valid yet"),
            CertificateProblem::Revoked => f.write_str("its authority has revoked it"),
            CertificateProblem::NoRevocationStatus => f.write_str("sslcrl says nothing current about it"),
            CertificateProblem::CaAsEndEntity => {
                f.write_str("it is marked as an authority (CA:TRUE), not as a server's")
            }
            CertificateProblem::Other(reason) => f.write_str(reason),
        }
    }
}

impl ConnectError {
    /// What the operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            ConnectError::Resolve { .. } => "Check the host in the upstream's URL and the resolver of this machine.",
            ConnectError::Tcp { .. } => {
                "Check that the server runs and listens there (listen_addresses, port, firewall)."
            }
            ConnectError::Timeout { .. } => "Check the address, a firewall in between, and the server's load.",
            ConnectError::TlsNotOffered { .. } => "Set ssl = on in the server's postgresql.conf.",
            ConnectError::ErrorBeforeTls { .. } => "The server's log says why; it may have no connection slots left.",
            ConnectError::Closed { .. } | ConnectError::NotPostgres { .. } => {
                "Check that the upstream's URL names a PostgreSQL server and its port."
            }
            ConnectError::Certificate { problem, .. } => match problem {
                CertificateProblem::UnknownIssuer => {
                    "Put the certificate of the authority that signed the server's into the file of sslrootcert."
                }
                CertificateProblem::WrongName { .. } => {
                    "Use the host name of the certificate in the upstream's URL, or issue one whose subjectAltName has \
                     it (a common name alone does not count)."
                }
                CertificateProblem::Expired => "Renew the server's certificate.",
                CertificateProblem::NotYetValid => "Check the clocks of both machines.",
                CertificateProblem::Revoked => "Issue a new certificate for the server.",
                CertificateProblem::NoRevocationStatus => {
                    "Put current lists of every authority into the file of sslcrl."
                }
                CertificateProblem::CaAsEndEntity => {
                    "Name this very certificate in sslrootcert, or issue a server's certificate (CA:FALSE)."
                }
                CertificateProblem::Other(_) => "Check the server's certificate with openssl x509 -text.",
            },
            ConnectError::Handshake { .. } => {
                "Check the TLS versions of both sides, and sslcert if the server wants one."
            }
            ConnectError::TlsDisabled => "Set another sslmode in the upstream's URL.",
        }
    }

    /// Whether another address of the same host may do better.
    fn is_about_the_address(&self) -> bool {
        matches!(self, ConnectError::Tcp { .. } | ConnectError::Timeout { .. })
    }
}

/// Connects to one upstream, with its certificate files as they were when it was made.
#[derive(Clone)]
pub struct Connector {
    host: String,
    port: u16,
    sslmode: SslMode,
    timeout: Duration,
    /// None under `disable`.
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("sslmode", &self.sslmode)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// Prepares TLS as the upstream's URL says. `timeout` holds for TCP and TLS to each address, unless the URL has its
    /// own `connect_timeout`.
    ///
    /// # Errors
    /// A certificate file that can't be used, a host that can't be named in TLS.
    pub fn new(upstream: &Upstream, timeout: Duration) -> Result<Connector, TlsFileError> {
        let tls = match upstream.sslmode {
            SslMode::Disable => None,
            SslMode::Allow | SslMode::Prefer | SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                let name = ServerName::try_from(upstream.host.clone())
                    .map_err(|_| TlsFileError::HostName(upstream.host.clone()))?;
                Some((TlsConnector::from(Arc::new(client_config(upstream)?)), name))
            }
        };
        Ok(Connector {
            host: upstream.host.clone(),
            port: upstream.port,
            sslmode: upstream.sslmode,
            timeout: upstream.connect_timeout.unwrap_or(timeout),
            tls,
        })
    }

    /// The legs to try, in order. The second is tried where the first's TLS handshake fails, or where the server's first
    /// answer to the startup packet is an ErrorResponse.
    pub fn attempts(&self) -> &'static [Leg] {
        match self.sslmode {
            SslMode::Disable => &[Leg::Plain],
            SslMode::Allow => &[Leg::Plain, Leg::Tls],
            SslMode::Prefer => &[Leg::Tls, Leg::Plain],
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Leg::Tls],
        }
    }

    /// `host:port`, for messages.
    pub fn target(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Connects to the first address of the host that takes it. With [`Leg::Tls`] under `allow` and `prefer` a server
    /// without TLS (`N`) is used plain.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(&self, leg: Leg) -> Result<Connected, ConnectError> {
        let resolve = |source| ConnectError::Resolve { host: self.host.clone(), source };
        let addresses = tokio::time::timeout(self.timeout, tokio::net::lookup_host((self.host.as_str(), self.port)))
            .await
            .map_err(|_| resolve(io::ErrorKind::TimedOut.into()))?
            .map_err(resolve)?;
        let plain_will_do = self.sslmode < SslMode::Require;

        let mut last = resolve(io::Error::new(io::ErrorKind::NotFound, "no address"));
        for address in addresses {
            match self.open(address, leg, plain_will_do).await {
                Ok(connected) => return Ok(connected),
                Err(error) if error.is_about_the_address() => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Connects to one address in exactly one way: for the CancelRequest of a session that is connected so.
    ///
    /// # Errors
    /// [`ConnectError`]; a session's TLS is never given up here.
    pub async fn connect_to(&self, address: SocketAddr, leg: Leg) -> Result<Connected, ConnectError> {
        self.open(address, leg, false).await
    }

    /// Whether the server can be reached as configured: TCP and TLS, no login. Tells its TLS, for the start-up check.
    ///
    /// # Errors
    /// The last attempt's.
    pub async fn probe(&self) -> Result<Option<TlsInfo>, ConnectError> {
        let mut outcome = Err(ConnectError::TlsDisabled);
        for leg in self.attempts() {
            outcome = self.connect(*leg).await;
            if outcome.is_ok() {
                break;
            }
        }
        let mut connected = outcome?;
        // Saying goodbye keeps a complaint out of the server's log. Whether it arrives does not matter.
        let _ = tokio::time::timeout(Duration::from_secs(1), connected.stream.shutdown()).await;
        Ok(connected.tls)
    }

    async fn open(&self, address: SocketAddr, leg: Leg, plain_will_do: bool) -> Result<Connected, ConnectError> {
        tokio::time::timeout(self.timeout, self.open_without_limit(address, leg, plain_will_do))
            .await
            .unwrap_or(Err(ConnectError::Timeout { address, after: self.timeout }))
    }

    async fn open_without_limit(
        &self,
        address: SocketAddr,
        leg: Leg,
        plain_will_do: bool,
    ) -> Result<Connected, ConnectError> {
        let tcp = |source| ConnectError::Tcp { address, source };
        let mut socket = TcpStream::connect(address).await.map_err(tcp)?;
        tune(&socket).map_err(tcp)?;
        let (connector, name) = match (leg, &self.tls) {
            (Leg::Plain, _) => return Ok(Connected { stream: Stream::Plain(socket), address, tls: None }),
            (Leg::Tls, Some(tls)) => tls,
            (Leg::Tls, None) => return Err(ConnectError::TlsDisabled),
        };

        socket.write_all(&SSL_REQUEST).await.map_err(tcp)?;
        // One byte and no more: what a man in the middle puts behind the `S` stays in the socket and is read as TLS,
        // where it breaks the handshake instead of becoming the server's first words (CVE-2021-23214, CVE-2021-23222).
        let mut answer = [0u8; 1];
        match socket.read_exact(&mut answer).await {
            Ok(_) => {}
            Err(_) => return Err(ConnectError::Closed { address }),
        }
        match answer {
            [b'S'] => {}
            [b'N'] if plain_will_do => return Ok(Connected { stream: Stream::Plain(socket), address, tls: None }),
            [b'N'] => return Err(ConnectError::TlsNotOffered { address, sslmode: self.sslmode }),
            [b'E'] => return Err(ConnectError::ErrorBeforeTls { address }),
            [byte] => return Err(ConnectError::NotPostgres { address, byte }),
        }
        let stream = connector.connect(name.clone(), socket).await.map_err(|error| self.tls_error(address, &error))?;
        let session = stream.get_ref().1;
        let certificate = session
            .peer_certificates()
            .and_then(|chain| chain.first())
            .map(|certificate| certificate.clone().into_owned())
            .ok_or_else(|| ConnectError::Handshake { address, reason: "the server showed no certificate".into() })?;
        let tls = TlsInfo {
            version: version_label(session.protocol_version()),
            server_end_point: server_end_point(&certificate),
            certificate,
        };
        Ok(Connected { stream: Stream::Tls(Box::new(TlsStream::Client(stream))), address, tls: Some(tls) })
    }

    fn tls_error(&self, address: SocketAddr, error: &io::Error) -> ConnectError {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(problem)) => {
                ConnectError::Certificate { address, problem: certificate_problem(problem, &self.host) }
            }
            Some(other) => ConnectError::Handshake { address, reason: other.to_string() },
            None => ConnectError::Handshake { address, reason: error.to_string() },
        }
    }
}

fn certificate_problem(error: &CertificateError, host: &str) -> CertificateProblem {
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => CertificateProblem::UnknownIssuer,
        CertificateError::NotValidForName => {
            CertificateProblem::WrongName { expected: host.to_owned(), presented: Vec::new() }
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            CertificateProblem::WrongName { expected: host.to_owned(), presented: presented.clone() }
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => CertificateProblem::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => CertificateProblem::NotYetValid,
        CertificateError::Revoked => CertificateProblem::Revoked,
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => CertificateProblem::NoRevocationStatus,
        // rustls has no word of its own for this one; webpki's is its Debug name.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            CertificateProblem::CaAsEndEntity
        }
        other => CertificateProblem::Other(other.to_string()),
    }
}

fn client_config(upstream: &Upstream) -> Result<ClientConfig, TlsFileError> {
    let provider = provider();
    let versions: &[&rustls::SupportedProtocolVersion] = match upstream.tls_minimum {
        TlsMinimum::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsMinimum::V1_3 => &[&rustls::version::TLS13],
    };
    let trust = match (upstream.sslmode, &upstream.root) {
        (SslMode::Disable | SslMode::Allow | SslMode::Prefer | SslMode::Require, None) => Trust::Anything,
        // libpq verifies the chain whenever it has a root, under `allow` and `prefer` too: there a bad certificate means
        // that the connection goes plain.
        (mode, _) => roots(upstream, &provider, mode == SslMode::VerifyFull)?,
    };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { provider, trust }));
    let mut config = match &upstream.client_cert {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => builder
            .with_client_auth_cert(certificates("sslcert", cert)?, private_key(key)?)
            .map_err(|source| TlsFileError::Pair { cert: cert.clone(), key: key.clone(), source })?,
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Every session verifies the certificate afresh.
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn roots(
    upstream: &Upstream,
    provider: &Arc<rustls::crypto::CryptoProvider>,
    check_name: bool,
) -> Result<Trust, TlsFileError> {
    let mut store = RootCertStore::empty();
    let (path, named) = match &upstream.root {
        Some(RootCert::File(path)) => {
            let named = certificates("sslrootcert", path)?;
            for certificate in &named {
                store
                    .add(certificate.clone())
                    .map_err(|error| TlsFileError::Roots { path: path.clone(), problem: error.to_string() })?;
            }
            (path.clone(), named)
        }
        // `Upstream::parse` lets no verifying mode through without a root.
        Some(RootCert::System) | None => {
            let found = rustls_native_certs::load_native_certs();
            // Systems carry old authorities that webpki can't read: those are left out.
            store.add_parsable_certificates(found.certs);
            if store.is_empty() {
                return Err(TlsFileError::NoSystemRoots);
            }
            ("system".into(), Vec::new())
        }
    };
    let mut builder = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone());
    if let Some(crl) = &upstream.crl {
        let problem = |error: &dyn fmt::Display| TlsFileError::Crl { path: crl.clone(), problem: error.to_string() };
        let lists = CertificateRevocationListDer::pem_file_iter(crl)
            .map_err(|error| problem(&error))?
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| problem(&error))?;
        if lists.is_empty() {
            return Err(problem(&"no list in it (PEM, -----BEGIN X509 CRL-----)"));
        }
        // As OpenSSL does for libpq: every certificate of the chain needs a list, and a current one.
        builder = builder.with_crls(lists).enforce_revocation_expiration();
    }
    let chain = builder.build().map_err(|error| TlsFileError::Roots { path, problem: error.to_string() })?;
    Ok(Trust::Roots { chain, named, check_name })
}
