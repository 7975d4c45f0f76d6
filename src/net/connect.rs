//! The way to the server, by libpq's `sslmode` to the letter.
//!
//! From `require` up only the byte `S` opens the way to a startup packet: `N`, an ErrorResponse, silence, a closed
//! socket and garbage are errors, and not a byte of a startup packet is sent in the clear.

mod error;
mod trust;
mod ways;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::{TlsConnector, TlsStream};

use crate::config::{Host, Keepalives, Place, SslMode, TargetSessionAttrs, Upstream};
use crate::net::accept::{ALPN, TlsFileError};
use crate::net::certificate::server_end_point;
use crate::net::resolve::{Resolve, System};
use crate::net::{Endpoint, Socket, Stream, version_label};
use crate::wire::startup::SSL_REQUEST;
pub use error::{CertificateProblem, ConnectError};
pub use trust::Ends;
pub use ways::Ways;

#[cfg(test)]
pub(super) use error::certificate_problem;
pub(crate) use error::late_alert;

/// How one connection goes: plain or inside TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    Plain,
    Tls,
}

/// The very server that a connection leads to, and how: enough to come there once more, for a cancel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    pub address: Endpoint,
    /// Which host of the upstream's URL: TLS goes by its name.
    host: usize,
    pub leg: Leg,
}

/// A connection to the server, before its startup packet.
#[derive(Debug)]
pub struct Connected {
    pub stream: Stream,
    /// The very server: cancels of the session go there too. Its leg is what the connection came to be, which under `allow`
    /// and `prefer` the server decides.
    pub destination: Destination,
    /// None on a plain leg.
    pub tls: Option<TlsInfo>,
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

/// One host, looked at.
#[derive(Debug)]
pub struct Probed {
    /// `host:port`, as in the upstream's URL.
    pub host: String,
    /// Its TLS, for the start-up check.
    pub outcome: Result<Option<TlsInfo>, ConnectError>,
}

/// Connects to one upstream, with its certificate files as they were when it was made.
#[derive(Clone)]
pub struct Connector {
    hosts: Arc<[Target]>,
    sslmode: SslMode,
    direct: bool,
    shuffle: bool,
    wanted: TargetSessionAttrs,
    timeout: Duration,
    keepalives: Keepalives,
    /// None under `disable`, and where there are only Unix sockets.
    tls: Option<TlsConnector>,
    ends: Ends,
    resolver: Arc<dyn Resolve>,
}

/// One host, and its name in TLS: None for a Unix socket.
#[derive(Debug)]
struct Target {
    host: Host,
    name: Option<ServerName<'static>>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("hosts", &self.hosts).field("sslmode", &self.sslmode).finish_non_exhaustive()
    }
}

impl Connector {
    /// Prepares TLS as the upstream's URL says. `timeout` is how long one address may take from the first packet to its first
    /// answer to the startup packet, unless the URL has its own `connect_timeout`.
    ///
    /// # Errors
    /// A certificate file that can't be used, a host that can't be named in TLS.
    pub fn new(upstream: &Upstream, timeout: Duration) -> Result<Connector, TlsFileError> {
        let with_tls = match upstream.sslmode {
            SslMode::Disable => false,
            SslMode::Allow | SslMode::Prefer | SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                upstream.has_network()
            }
        };
        let target = |host: &Host| {
            let name = host.tls_name().filter(|_| with_tls);
            let name = name.map(|name| ServerName::try_from(name.clone()).map_err(|_| TlsFileError::HostName(name)));
            Ok(Target { host: host.clone(), name: name.transpose()? })
        };
        let hosts = upstream.hosts.iter().map(target).collect::<Result<Vec<_>, TlsFileError>>()?;
        let (tls, ends) = match with_tls {
            true => {
                let (config, ends) = trust::client_config(upstream)?;
                (Some(TlsConnector::from(Arc::new(config))), ends)
            }
            false => (None, Ends::default()),
        };
        Ok(Connector {
            hosts: hosts.into(),
            sslmode: upstream.sslmode,
            direct: upstream.direct,
            shuffle: upstream.shuffle,
            wanted: upstream.target,
            timeout: upstream.connect_timeout.unwrap_or(timeout),
            keepalives: upstream.keepalives,
            tls,
            ends,
            resolver: Arc::new(System),
        })
    }

    /// The same, with another resolver than the system's.
    #[must_use]
    pub fn resolving_by(self, resolver: Arc<dyn Resolve>) -> Connector {
        Connector { resolver, ..self }
    }

    /// The ways to a server, in the order in which libpq tries them.
    pub fn ways(&self) -> Ways<'_> {
        Ways::new(self, (0..self.hosts.len()).collect())
    }

    /// The ways to each address of each host, for what has to reach all of them.
    ///
    /// # Errors
    /// No name resolves.
    pub async fn everywhere(&self) -> Result<Vec<(usize, Endpoint)>, ConnectError> {
        let mut all = Vec::new();
        let mut failed = Vec::new();
        for host in 0..self.hosts.len() {
            match self.addresses(host).await {
                Ok(addresses) => all.extend(addresses.into_iter().map(|address| (host, address))),
                Err(error) => failed.push(error),
            }
        }
        if all.is_empty() { Err(ConnectError::Each(failed)) } else { Ok(all) }
    }

    /// To one of [`Connector::everywhere`].
    pub fn ways_at(&self, host: usize, address: Endpoint) -> Ways<'_> {
        Ways::at(self, host, address)
    }

    /// `host:port`, several with commas, for messages.
    pub fn target(&self) -> String {
        self.hosts.iter().map(|target| target.host.to_string()).collect::<Vec<_>>().join(",")
    }

    /// `host:port` of the server that a connection leads to, as in the upstream's URL.
    pub fn name_of(&self, destination: &Destination) -> String {
        self.hosts
            .get(destination.host)
            .map_or_else(|| destination.address.to_string(), |target| target.host.to_string())
    }

    /// Which kind of server the session is to have.
    pub fn wanted(&self) -> TargetSessionAttrs {
        self.wanted
    }

    /// When the files of its TLS end.
    pub fn ends(&self) -> Ends {
        self.ends
    }

    /// The legs to try at an address, in order. The second is tried where the first's TLS handshake fails, or where the
    /// server's first answer to the startup packet is an ErrorResponse.
    fn legs(&self, address: &Endpoint) -> &'static [Leg] {
        match (address, self.sslmode) {
            // As in libpq, whatever `sslmode` says.
            (Endpoint::Unix(_), _) | (_, SslMode::Disable) => &[Leg::Plain],
            (Endpoint::Tcp(_), SslMode::Allow) => &[Leg::Plain, Leg::Tls],
            (Endpoint::Tcp(_), SslMode::Prefer) => &[Leg::Tls, Leg::Plain],
            (Endpoint::Tcp(_), SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull) => &[Leg::Tls],
        }
    }

    /// Connects to a session's server once more, in exactly the session's way: for its CancelRequest.
    ///
    /// # Errors
    /// [`ConnectError`]; a session's TLS is never given up here.
    pub async fn connect_to(&self, destination: &Destination) -> Result<Connected, ConnectError> {
        self.open(destination, Instant::now() + self.timeout, false).await
    }

    /// Looks whether each host can be reached as configured: TCP and TLS, no login. All at once, in the order of the URL.
    pub async fn probe(&self) -> Vec<Probed> {
        let mut probes = JoinSet::new();
        for host in 0..self.hosts.len() {
            let connector = self.clone();
            probes.spawn(async move { (host, connector.probe_one(host).await) });
        }
        let mut probed = probes.join_all().await;
        probed.sort_by_key(|(host, _)| *host);
        let named = probed.into_iter().zip(self.hosts.iter());
        named.map(|((_, outcome), target)| Probed { host: target.host.to_string(), outcome }).collect()
    }

    async fn probe_one(&self, host: usize) -> Result<Option<TlsInfo>, ConnectError> {
        let mut connected = Ways::new(self, vec![host]).connect().await?;
        // Saying goodbye keeps a complaint out of the server's log. Whether it arrives does not matter.
        let _ = tokio::time::timeout(Duration::from_secs(1), connected.stream.shutdown()).await;
        Ok(connected.tls)
    }

    /// All addresses of a host.
    async fn addresses(&self, host: usize) -> Result<Vec<Endpoint>, ConnectError> {
        let Some(target) = self.hosts.get(host) else { return Ok(Vec::new()) };
        let name = match &target.host.place {
            Place::Unix(_) => {
                return Ok(target.host.socket().map(|path| Endpoint::Unix(path.into())).into_iter().collect());
            }
            Place::Address { address, .. } => return Ok(vec![Endpoint::Tcp((*address, target.host.port).into())]),
            Place::Name(name) => name,
        };
        let error = |source| ConnectError::Resolve { host: name.clone(), source };
        let found = tokio::time::timeout(self.timeout, self.resolver.resolve(name, target.host.port))
            .await
            .map_err(|_| error(std::io::ErrorKind::TimedOut.into()))?
            .map_err(error)?;
        if found.is_empty() {
            return Err(error(std::io::Error::new(std::io::ErrorKind::NotFound, "no address")));
        }
        Ok(found.into_iter().map(Endpoint::Tcp).collect())
    }

    /// Opens one way. With `plain_will_do` a server without TLS (`N`) is used plain.
    async fn open(&self, way: &Destination, until: Instant, plain_will_do: bool) -> Result<Connected, ConnectError> {
        tokio::time::timeout_at(until, self.open_without_limit(way, plain_will_do))
            .await
            .unwrap_or_else(|_| Err(ConnectError::Timeout { address: way.address.clone(), after: self.timeout }))
    }

    async fn open_without_limit(&self, way: &Destination, plain_will_do: bool) -> Result<Connected, ConnectError> {
        let address = || way.address.clone();
        let tcp = |source| ConnectError::Tcp { address: address(), source };
        let mut socket = way.address.connect_with(&self.keepalives).await.map_err(&tcp)?;
        let plain = |socket: Socket| {
            let destination = Destination { leg: Leg::Plain, ..way.clone() };
            Ok(Connected { stream: Stream::Plain(socket), destination, tls: None })
        };
        let target = self.hosts.get(way.host);
        let (connector, target, name) = match (way.leg, &self.tls, target) {
            (Leg::Plain, _, _) => return plain(socket),
            (Leg::Tls, Some(connector), Some(target @ Target { name: Some(name), .. })) => (connector, target, name),
            (Leg::Tls, _, _) => return Err(ConnectError::TlsDisabled),
        };

        if !self.direct {
            socket.write_all(&SSL_REQUEST).await.map_err(&tcp)?;
            // One byte and no more: what a man in the middle puts behind the `S` stays in the socket and is read as TLS,
            // where it breaks the handshake instead of becoming the server's first words (CVE-2021-23214, CVE-2021-23222).
            let mut answer = [0u8; 1];
            if socket.read_exact(&mut answer).await.is_err() {
                return Err(ConnectError::Closed { address: address() });
            }
            match answer {
                [b'S'] => {}
                [b'N'] if plain_will_do => return plain(socket),
                [b'N'] => return Err(ConnectError::TlsNotOffered { address: address(), sslmode: self.sslmode }),
                [b'E'] => return Err(ConnectError::ErrorBeforeTls { address: address() }),
                [byte] => return Err(ConnectError::NotPostgres { address: address(), byte }),
            }
        }
        let stream = connector.connect(name.clone(), socket).await.map_err(|error| {
            let host = target.host.tls_name().unwrap_or_default();
            match error::tls_error(&way.address, &host, &error) {
                // An older server reads TLS's first bytes as an impossible length, and closes.
                ConnectError::Handshake { address, reason } if self.direct => ConnectError::Direct { address, reason },
                ConnectError::NotTls { address } if self.direct => {
                    ConnectError::Direct { address, reason: "it sent something else".into() }
                }
                other => other,
            }
        })?;
        let session = stream.get_ref().1;
        // Without this word a server of another protocol, or what is between, could be made to read a login as its own.
        if self.direct && session.alpn_protocol() != Some(ALPN) {
            return Err(ConnectError::NoAlpn { address: address() });
        }
        let certificate = session
            .peer_certificates()
            .and_then(|chain| chain.first())
            .map(|certificate| certificate.clone().into_owned())
            .ok_or_else(|| ConnectError::Handshake {
                address: address(),
                reason: "the server showed no certificate".into(),
            })?;
        let tls = TlsInfo {
            version: version_label(session.protocol_version()),
            server_end_point: server_end_point(&certificate),
            certificate,
        };
        Ok(Connected {
            stream: Stream::Tls(Box::new(TlsStream::Client(stream))),
            destination: way.clone(),
            tls: Some(tls),
        })
    }
}
