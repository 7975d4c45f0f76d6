//! The upstream's URL, with libpq's names and meanings (PostgreSQL manual, "Parameter Key Words").

mod url;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Keepalive, did_you_mean, suggest};

pub use url::{Host, Place};

/// Where the database is and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// In the order in which they are tried; at least one.
    pub hosts: Vec<Host>,
    /// `load_balance_hosts=random`: hosts, and the addresses of each, are tried in a new order each time.
    pub shuffle: bool,
    /// Which of the hosts will do.
    pub target: TargetSessionAttrs,
    /// As it acts: `require` with a root certificate is already `verify-ca` here.
    pub sslmode: SslMode,
    pub root: Option<RootCert>,
    /// `sslcert` and `sslkey`: the proxy's own certificate towards the server.
    pub client_cert: Option<(PathBuf, PathBuf)>,
    /// `sslcrl`: PEM file of revocation lists.
    pub crl: Option<PathBuf>,
    /// `sslcrldir`: directory of such files.
    pub crl_directory: Option<PathBuf>,
    /// `ssl_min_protocol_version` and `ssl_max_protocol_version`.
    pub tls_versions: (TlsVersion, TlsVersion),
    /// `sslnegotiation=direct`: TLS from the first byte, without asking for it.
    pub direct: bool,
    /// `sslsni`: whether the host's name is sent in the clear, for a router of TLS in between.
    pub sni: bool,
    /// `connect_timeout` of the URL, where it is written there.
    pub connect_timeout: Option<Duration>,
    pub keepalives: Keepalives,
}

/// `keepalives…` and `tcp_user_timeout`: how a server that vanished without a word is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalives {
    pub on: bool,
    pub how: Keepalive,
}

/// libpq's `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetSessionAttrs {
    Any,
    /// Transactions may write unless they say otherwise.
    ReadWrite,
    ReadOnly,
    /// Not in hot standby.
    Primary,
    Standby,
    /// A standby if there is one, else any.
    PreferStandby,
}

impl TargetSessionAttrs {
    const NAMES: [(&'static str, TargetSessionAttrs); 6] = [
        ("any", TargetSessionAttrs::Any),
        ("read-write", TargetSessionAttrs::ReadWrite),
        ("read-only", TargetSessionAttrs::ReadOnly),
        ("primary", TargetSessionAttrs::Primary),
        ("standby", TargetSessionAttrs::Standby),
        ("prefer-standby", TargetSessionAttrs::PreferStandby),
    ];
}

impl fmt::Display for TargetSessionAttrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = TargetSessionAttrs::NAMES.iter().find(|(_, attrs)| attrs == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
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

/// A version of TLS. Older ones than 1.2 are not spoken at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
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
    #[error(
        "the upstream's URL names no host: write postgres://db:5432, or postgres:///?host=/run/postgresql for a Unix socket"
    )]
    NoHost,
    #[error("the host `{host}` in the upstream's URL: {problem}")]
    Host { host: String, problem: &'static str },
    #[error("`{0}` in the upstream's URL is no port: write a number from 1 to 65535")]
    Port(String),
    #[error("hostaddr={0} in the upstream's URL is no IP address: write a name as `host`")]
    HostAddr(String),
    #[error("the upstream's URL has {hosts} hosts and {count} values of `{what}`: write one for each host")]
    Counts { what: &'static str, count: usize, hosts: usize },
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
    #[error("`{0}` in the upstream's URL has no value: leave it out, or write one")]
    Empty(String),
    #[error("{name}={value} in the upstream's URL: {problem}")]
    Value { name: &'static str, value: String, problem: &'static str },
    #[error("sslmode={0} needs sslrootcert: the file with the server's certificate authority, or `system`")]
    NoRoot(SslMode),
    #[error("sslrootcert=system needs sslmode=verify-full: a public authority signs for everybody (sslmode={0} given)")]
    WeakSystem(SslMode),
    #[error("sslcert and sslkey belong together: `{0}` is missing")]
    HalfClientCert(&'static str),
    #[error(
        "sslnegotiation=direct needs sslmode=require or stronger (sslmode={0} given): nobody asks whether the server has TLS"
    )]
    WeakDirect(SslMode),
    #[error("sslmode=verify-full needs the host's name beside hostaddr={0}: the certificate is held against it")]
    NamelessAddress(std::net::IpAddr),
    #[error("ssl_min_protocol_version is above ssl_max_protocol_version in the upstream's URL")]
    VersionRange,
}

const KNOWN: &[&str] = &[
    "host",
    "hostaddr",
    "port",
    "load_balance_hosts",
    "target_session_attrs",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslcrl",
    "sslcrldir",
    "sslnegotiation",
    "sslsni",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "gssencmode",
    "connect_timeout",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "tcp_user_timeout",
];

/// libpq's parameters that a later release may take.
const LATER: &[&str] =
    &["channel_binding", "require_auth", "requirepeer", "sslcertmode", "sslcompression", "sslpassword"];

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
    /// The files that its TLS is made of. Those of `sslcrldir` are looked for now.
    pub fn files(&self) -> Vec<PathBuf> {
        let root = self.root.iter().filter_map(|root| match root {
            RootCert::File(path) => Some(path),
            RootCert::System => None,
        });
        let named = root.chain(self.client_cert.iter().flat_map(|(cert, key)| [cert, key])).chain(&self.crl);
        named.cloned().chain(self.crl_directory.iter().flat_map(|directory| crl_files(directory))).collect()
    }

    /// Whether any host is reached over TCP: then TLS has a part in it.
    pub fn has_network(&self) -> bool {
        self.hosts.iter().any(|host| host.tls_name().is_some())
    }

    /// Reads `postgres://host[:port][,host[:port]…][?parameter=value&…]`.
    ///
    /// # Errors
    /// What to change. No error repeats a password.
    pub fn parse(text: &str) -> Result<Upstream, UpstreamError> {
        let parts = url::cut(text)?;
        let written = Written::new(&parts.parameters)?;
        let get = |name: &str| written.get(name);

        let hosts = parts.hosts(get("host"), get("port"), get("hostaddr"))?;
        let root = get("sslrootcert").map(|value| match value {
            "system" => RootCert::System,
            file => RootCert::File(PathBuf::from(file)),
        });
        let sslmode = sslmode(get("sslmode"), root.as_ref())?;
        if sslmode == SslMode::VerifyFull {
            let nameless = hosts.iter().find_map(|host| match host.place {
                Place::Address { address, name: None } => Some(address),
                Place::Address { name: Some(_), .. } | Place::Name(_) | Place::Unix(_) => None,
            });
            if let Some(address) = nameless {
                return Err(UpstreamError::NamelessAddress(address));
            }
        }
        let client_cert = match (get("sslcert"), get("sslkey")) {
            (Some(cert), Some(key)) => Some((PathBuf::from(cert), PathBuf::from(key))),
            (None, None) => None,
            (Some(_), None) => return Err(UpstreamError::HalfClientCert("sslkey")),
            (None, Some(_)) => return Err(UpstreamError::HalfClientCert("sslcert")),
        };
        const VERSIONS: [(&str, TlsVersion); 2] = [("TLSv1.2", TlsVersion::V1_2), ("TLSv1.3", TlsVersion::V1_3)];
        let minimum = match get("ssl_min_protocol_version") {
            // Asking for less than is spoken is fulfilled by speaking more.
            None | Some("TLSv1" | "TLSv1.1") => TlsVersion::V1_2,
            Some(_) => {
                written.word("ssl_min_protocol_version", "write TLSv1.2 or TLSv1.3", &VERSIONS, TlsVersion::V1_2)?
            }
        };
        let most = "write TLSv1.2 or TLSv1.3: nothing older is spoken";
        let maximum = written.word("ssl_max_protocol_version", most, &VERSIONS, TlsVersion::V1_3)?;
        if minimum > maximum {
            return Err(UpstreamError::VersionRange);
        }
        let ways = [("postgres", false), ("direct", true)];
        let direct = written.word("sslnegotiation", "write postgres or direct", &ways, false)?;
        if direct && sslmode < SslMode::Require {
            return Err(UpstreamError::WeakDirect(sslmode));
        }
        match get("gssencmode") {
            None | Some("disable") => {}
            Some(_) => return Err(UpstreamError::Later("gssencmode".into())),
        }
        let connect_timeout = match written.number("connect_timeout")? {
            Some(0) => return Err(written.bad("connect_timeout", "write a number of seconds above 0")),
            seconds => seconds.map(|seconds| Duration::from_secs(seconds.into())),
        };
        let orders = [("disable", false), ("random", true)];
        let shuffle = written.word("load_balance_hosts", "write disable or random", &orders, false)?;
        let kinds = "write any, read-write, read-only, primary, standby or prefer-standby";
        let target =
            written.word("target_session_attrs", kinds, &TargetSessionAttrs::NAMES, TargetSessionAttrs::Any)?;
        let switch = [("0", false), ("1", true)];
        // 0 is the system's own value, as in libpq. The texts say the bounds of `Keepalive`.
        let within = |name, most: u32, problem| match written.number(name)? {
            Some(number) if number > most => Err(written.bad(name, problem)),
            number => Ok(number.filter(|number| *number > 0)),
        };
        let seconds = |name| {
            let seconds = within(name, Keepalive::MOST_SECONDS, "write 1 to 32767 seconds, or 0 for the system's own")?;
            Ok(seconds.map(|seconds| Duration::from_secs(seconds.into())))
        };
        let questions = "write a number from 1 to 127, or 0 for the system's own";
        let keepalives = Keepalives {
            on: written.word("keepalives", "write 0 or 1", &switch, true)?,
            how: Keepalive {
                idle: seconds("keepalives_idle")?,
                interval: seconds("keepalives_interval")?,
                count: within("keepalives_count", Keepalive::MOST_QUESTIONS, questions)?,
                // More than the system takes is no number for `number`.
                user_timeout: written
                    .number("tcp_user_timeout")?
                    .filter(|ms| *ms > 0)
                    .map(|ms| Duration::from_millis(ms.into())),
            },
        };
        Ok(Upstream {
            hosts,
            shuffle,
            target,
            sslmode,
            root,
            client_cert,
            crl: get("sslcrl").map(PathBuf::from),
            crl_directory: get("sslcrldir").map(PathBuf::from),
            tls_versions: (minimum, maximum),
            direct,
            sni: written.word("sslsni", "write 0 or 1", &switch, true)?,
            connect_timeout,
            keepalives,
        })
    }
}

/// The files of a directory of revocation lists, in order. OpenSSL looks for `<hash>.r0` and so on; every file but hidden ones is
/// taken here. One that can't be read has none: reading it says why.
pub fn crl_files(directory: &std::path::Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let named = entries.filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    let mut files: Vec<PathBuf> = named.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// The parameters that are written, each known and written once.
struct Written<'a>(&'a [(String, String)]);

impl Written<'_> {
    fn new(parameters: &[(String, String)]) -> Result<Written<'_>, UpstreamError> {
        for (n, (name, value)) in parameters.iter().enumerate() {
            match name.as_str() {
                "user" => return Err(UpstreamError::Login("user")),
                "password" | "passfile" => return Err(UpstreamError::Login("password")),
                "dbname" => return Err(UpstreamError::Login("database")),
                known if KNOWN.contains(&known) => {}
                later if LATER.contains(&later) => return Err(UpstreamError::Later(name.clone())),
                session if OF_THE_CLIENT.contains(&session) => return Err(UpstreamError::OfTheClient(name.clone())),
                unknown => {
                    let suggestion = suggest(unknown, KNOWN.iter().copied());
                    return Err(UpstreamError::UnknownParameter { name: name.clone(), suggestion });
                }
            }
            // libpq would take its default, which is weaker than what somebody began to write.
            if value.is_empty() {
                return Err(UpstreamError::Empty(name.clone()));
            }
            if parameters.iter().take(n).any(|(earlier, _)| earlier == name) {
                return Err(UpstreamError::Twice(name.clone()));
            }
        }
        Ok(Written(parameters))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn bad(&self, name: &'static str, problem: &'static str) -> UpstreamError {
        UpstreamError::Value { name, value: self.get(name).unwrap_or_default().to_owned(), problem }
    }

    /// One of a list of words.
    fn word<T: Copy>(
        &self,
        name: &'static str,
        problem: &'static str,
        words: &[(&str, T)],
        default: T,
    ) -> Result<T, UpstreamError> {
        let Some(value) = self.get(name) else { return Ok(default) };
        let known = words.iter().find(|(word, _)| *word == value);
        known.map(|(_, meaning)| *meaning).ok_or_else(|| self.bad(name, problem))
    }

    /// A number from 0 on, such as a socket option takes.
    fn number(&self, name: &'static str) -> Result<Option<u32>, UpstreamError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.parse().ok().filter(|number| i32::try_from(*number).is_ok());
        number.map(Some).ok_or_else(|| self.bad(name, "write a whole number from 0 to 2147483647"))
    }
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
