//! The upstream's URL, with libpq's names and meanings (PostgreSQL manual, "Parameter Key Words").

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{did_you_mean, suggest};

/// Where the database is and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// A name or an IP address (no brackets).
    pub host: String,
    pub port: u16,
    /// As it acts: `require` with a root certificate is already `verify-ca` here.
    pub sslmode: SslMode,
    pub root: Option<RootCert>,
    /// `sslcert` and `sslkey`: the proxy's own certificate towards the server.
    pub client_cert: Option<(PathBuf, PathBuf)>,
    /// `sslcrl`: PEM file of revocation lists.
    pub crl: Option<PathBuf>,
    pub tls_minimum: TlsMinimum,
    /// `connect_timeout` of the URL, where it is written there.
    pub connect_timeout: Option<Duration>,
}

/// libpq's `sslmode`, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// Plain only.
    Disable,
    /// Plain first, TLS if the server refuses that.
    Allow,
    /// TLS if the server has it, else plain.
    Prefer,
    /// TLS with whatever certificate: stops listeners, not impostors.
    Require,
    /// TLS with a certificate of a known authority.
    VerifyCa,
    /// The same, and the certificate names the host.
    VerifyFull,
}

impl SslMode {
    /// As they are written.
    pub const NAMES: [(&'static str, SslMode); 6] = [
        ("disable", SslMode::Disable),
        ("allow", SslMode::Allow),
        ("prefer", SslMode::Prefer),
        ("require", SslMode::Require),
        ("verify-ca", SslMode::VerifyCa),
        ("verify-full", SslMode::VerifyFull),
    ];
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = SslMode::NAMES.iter().find(|(_, mode)| mode == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

/// `sslrootcert`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCert {
    /// The operating system's authorities.
    System,
    /// A PEM file.
    File(PathBuf),
}

/// `ssl_min_protocol_version`. Older versions than 1.2 are not spoken at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMinimum {
    V1_2,
    V1_3,
}

/// What is wrong with an upstream's URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    #[error("the upstream is not a URL like postgres://db:5432?sslmode=verify-full ({0})")]
    NotAUrl(String),
    #[error("the upstream's URL starts with `{0}://`, write postgres://")]
    Scheme(String),
    #[error("the upstream's URL names no host (Unix sockets come with a later release)")]
    NoHost,
    #[error("the upstream's URL names several hosts: this release takes one")]
    SeveralHosts,
    #[error(
        "the upstream's URL has a {0}: leave it out, user, password and database come from each client, and a password \
         here would show in process lists"
    )]
    Login(&'static str),
    #[error("unknown parameter `{name}` in the upstream's URL{}", did_you_mean(suggestion.as_deref()))]
    UnknownParameter { name: String, suggestion: Option<String> },
    #[error("`{0}` in the upstream's URL comes with a later release: leave it out")]
    Later(String),
    #[error("`{0}` in the upstream's URL is the client's business: clients send it in their startup packet")]
    OfTheClient(String),
    #[error("`{0}` is written twice in the upstream's URL")]
    Twice(String),
    #[error("{name}={value} in the upstream's URL: {problem}")]
    Value { name: &'static str, value: String, problem: &'static str },
    #[error("sslmode={0} needs sslrootcert: the file with the server's certificate authority, or `system`")]
    NoRoot(SslMode),
    #[error("sslrootcert=system needs sslmode=verify-full: a public authority signs for everybody (sslmode={0} given)")]
    WeakSystem(SslMode),
    #[error("sslcert and sslkey belong together: `{0}` is missing")]
    HalfClientCert(&'static str),
}

const KNOWN: &[&str] = &[
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslcrl",
    "ssl_min_protocol_version",
    "sslnegotiation",
    "gssencmode",
    "connect_timeout",
];

/// libpq's parameters that a later release may take.
const LATER: &[&str] = &[
    "channel_binding",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "require_auth",
    "ssl_max_protocol_version",
    "sslcertmode",
    "sslcompression",
    "sslcrldir",
    "sslpassword",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
];

/// libpq's parameters that belong to a session.
const OF_THE_CLIENT: &[&str] = &[
    "application_name",
    "client_encoding",
    "fallback_application_name",
    "max_protocol_version",
    "min_protocol_version",
    "options",
    "replication",
];

impl Upstream {
    /// The files that its TLS is made of.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let root = self.root.iter().filter_map(|root| match root {
            RootCert::File(path) => Some(path),
            RootCert::System => None,
        });
        root.chain(self.client_cert.iter().flat_map(|(cert, key)| [cert, key])).chain(&self.crl)
    }

    /// Reads `postgres://host[:port][?parameter=value&…]`.
    ///
    /// # Errors
    /// What to change. No error repeats a password.
    pub fn parse(text: &str) -> Result<Upstream, UpstreamError> {
        let authority = text.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?']).next().unwrap_or(""));
        if authority.rsplit('@').next().is_some_and(|hosts| hosts.contains(',')) {
            return Err(UpstreamError::SeveralHosts);
        }
        let url = url::Url::parse(text).map_err(|error| match error {
            url::ParseError::EmptyHost => UpstreamError::NoHost,
            other => UpstreamError::NotAUrl(other.to_string()),
        })?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(UpstreamError::Scheme(url.scheme().to_owned()));
        }
        if url.password().is_some() {
            return Err(UpstreamError::Login("password"));
        }
        if !url.username().is_empty() {
            return Err(UpstreamError::Login("user"));
        }
        if !matches!(url.path(), "" | "/") {
            return Err(UpstreamError::Login("database"));
        }
        let host = match url.host_str() {
            Some(host) if !host.is_empty() && !host.contains('%') => {
                host.trim_start_matches('[').trim_end_matches(']').to_owned()
            }
            _ => return Err(UpstreamError::NoHost),
        };

        let parameters = parameters(&url)?;
        let get = |name: &str| parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());

        let root = get("sslrootcert").map(|value| match value {
            "system" => RootCert::System,
            file => RootCert::File(PathBuf::from(file)),
        });
        let sslmode = sslmode(get("sslmode"), root.as_ref())?;
        let client_cert = match (get("sslcert"), get("sslkey")) {
            (Some(cert), Some(key)) => Some((PathBuf::from(cert), PathBuf::from(key))),
            (None, None) => None,
            (Some(_), None) => return Err(UpstreamError::HalfClientCert("sslkey")),
            (None, Some(_)) => return Err(UpstreamError::HalfClientCert("sslcert")),
        };
        let tls_minimum = match get("ssl_min_protocol_version") {
            // Asking for less than is spoken is fulfilled by speaking more.
            None | Some("TLSv1" | "TLSv1.1" | "TLSv1.2") => TlsMinimum::V1_2,
            Some("TLSv1.3") => TlsMinimum::V1_3,
            Some(other) => {
                return Err(UpstreamError::Value {
                    name: "ssl_min_protocol_version",
                    value: other.to_owned(),
                    problem: "write TLSv1.2 or TLSv1.3",
                });
            }
        };
        match get("sslnegotiation") {
            None | Some("postgres") => {}
            Some(_) => return Err(UpstreamError::Later("sslnegotiation=direct".into())),
        }
        match get("gssencmode") {
            None | Some("disable") => {}
            Some(_) => return Err(UpstreamError::Later("gssencmode".into())),
        }
        let connect_timeout = match get("connect_timeout") {
            None => None,
            Some(value) => Some(value.parse().ok().filter(|s| *s > 0).map(Duration::from_secs).ok_or_else(|| {
                UpstreamError::Value {
                    name: "connect_timeout",
                    value: value.to_owned(),
                    problem: "write a number of seconds above 0",
                }
            })?),
        };

        Ok(Upstream {
            host,
            port: url.port().unwrap_or(5432),
            sslmode,
            root,
            client_cert,
            crl: get("sslcrl").map(PathBuf::from),
            tls_minimum,
            connect_timeout,
        })
    }
}

fn parameters(url: &url::Url) -> Result<Vec<(String, String)>, UpstreamError> {
    let mut seen: Vec<(String, String)> = Vec::new();
    for (name, value) in url.query_pairs() {
        let name = name.into_owned();
        match name.as_str() {
            "user" => return Err(UpstreamError::Login("user")),
            "password" | "passfile" => return Err(UpstreamError::Login("password")),
            "dbname" => return Err(UpstreamError::Login("database")),
            known if KNOWN.contains(&known) => {}
            later if LATER.contains(&later) => return Err(UpstreamError::Later(name)),
            session if OF_THE_CLIENT.contains(&session) => return Err(UpstreamError::OfTheClient(name)),
            unknown => {
                let suggestion = suggest(unknown, KNOWN.iter().copied());
                return Err(UpstreamError::UnknownParameter { name, suggestion });
            }
        }
        if seen.iter().any(|(n, _)| *n == name) {
            return Err(UpstreamError::Twice(name));
        }
        seen.push((name, value.into_owned()));
    }
    Ok(seen)
}

/// libpq's rules between `sslmode` and `sslrootcert` (manual, "SSL Support").
fn sslmode(written: Option<&str>, root: Option<&RootCert>) -> Result<SslMode, UpstreamError> {
    let mode = match written {
        Some(word) => {
            let known = SslMode::NAMES.iter().find(|(name, _)| *name == word);
            known.map(|(_, mode)| *mode).ok_or_else(|| UpstreamError::Value {
                name: "sslmode",
                value: word.to_owned(),
                problem: "write disable, allow, prefer, require, verify-ca or verify-full",
            })?
        }
        // With sslrootcert=system libpq's default is no longer prefer.
        None if root == Some(&RootCert::System) => SslMode::VerifyFull,
        None => SslMode::Prefer,
    };
    match (mode, root) {
        (SslMode::VerifyFull, Some(_)) => Ok(mode),
        (weaker, Some(RootCert::System)) => Err(UpstreamError::WeakSystem(weaker)),
        // "For backward compatibility": with a root file, require verifies it.
        (SslMode::Require, Some(RootCert::File(_))) => Ok(SslMode::VerifyCa),
        (SslMode::VerifyCa | SslMode::VerifyFull, None) => Err(UpstreamError::NoRoot(mode)),
        (SslMode::Disable | SslMode::Allow | SslMode::Prefer | SslMode::VerifyCa, Some(RootCert::File(_))) => Ok(mode),
        (SslMode::Disable | SslMode::Allow | SslMode::Prefer | SslMode::Require, None) => Ok(mode),
    }
}
