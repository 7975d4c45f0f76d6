//! The proxy's own settings: one YAML file, overridden by the environment, overridden by flags.
//!
//! Every setting is one row of [`KEYS`]: its name is the key in the file, and `PORTCULLIS_` with the name in upper case
//! is its variable. All values are texts until they are parsed here, once, so that the three layers can't differ.

mod auth;
mod layers;
mod listener;
mod secret;
mod upstream;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

pub use auth::{AuthQuery, LoginFailures, Users};
pub use layers::{KEYS, RunArgs};
pub use listener::{ClientCert, ClientTlsMode, ListenAt, Listener};
pub use secret::Secret;
pub use upstream::{
    Host, Keepalives, Place, RootCert, SslMode, TargetSessionAttrs, TlsVersion, Upstream, UpstreamError, crl_files,
};

/// Everything that `portcullis run` needs to know besides the policies.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where PostgreSQL clients connect, at least one.
    pub listeners: Vec<Listener>,
    /// Where the admin HTTP server listens.
    pub admin: SocketAddr,
    /// Bearer token of the admin server. None = no token is asked.
    pub admin_token: Option<Secret>,
    /// Directory of the policies.
    pub policies: PathBuf,
    /// The database server.
    pub upstream: Upstream,
    /// Certificate and key shown to clients. None = the client leg is plain.
    pub client_tls: Option<ClientTls>,
    /// How clients log in.
    pub auth: Auth,
    /// Whom the proxy checks itself.
    pub users: Users,
    /// How many logins may fail; None = any number.
    pub login_failures: Option<LoginFailures>,
    /// The floor that settings must not fall below.
    pub profile: Profile,
    /// The weakest `sslmode` that an upstream may have.
    pub minimum_sslmode: SslMode,
    /// For the first packets of a client, and again for its login (with `scram` for its proof, and again for the login upstream).
    pub handshake_timeout: Duration,
    /// One address of the upstream, from the first packet to the first answer to the startup packet.
    pub connect_timeout: Duration,
    /// What ends a session that does nothing.
    pub timeouts: SessionTimeouts,
    /// Of TCP sockets, on both legs.
    pub keepalive: Keepalive,
    /// After SIGTERM: how long clients are still taken while `/readyz` says no already.
    pub drain_delay: Duration,
    /// How long sessions may go on after SIGTERM.
    pub drain_timeout: Duration,
    /// Whether CancelRequests with a key that no session here has go to the upstream.
    pub cancel_forward_unknown: bool,
    /// How long a user who touched a decoy is shut out at that address; zero = not at all.
    pub quarantine: Duration,
    /// Where what the process is told survives it. None = nothing does.
    pub state_dir: Option<PathBuf>,
    /// How much a client is told about a refusal; a policy may say less, never more.
    pub errors: Errors,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Where the audit log goes.
    pub audit_log: AuditLog,
    /// Threads that serve sessions.
    pub workers: NonZeroUsize,
    /// Bytes for what is known of statements that came before; 0 = nothing is remembered.
    pub verdict_cache_bytes: u64,
    /// Whether policies and certificates are read again when their files change.
    pub watch: bool,
    /// Whether the catalogue of attacks is judged against the policies whenever they are loaded.
    pub selftest: bool,
    /// Bytes of memory that reading long statements may take, all sessions together, by estimate.
    pub analysis_bytes: u64,
}

/// How long a session may do nothing; None is as long as it likes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionTimeouts {
    /// Between transactions.
    pub idle: Option<Duration>,
    /// Inside a transaction.
    pub idle_in_transaction: Option<Duration>,
    /// That one side takes none of the bytes that are for it.
    pub write: Option<Duration>,
}

/// When a peer that is silent is asked whether it is still there (tcp(7)); None is as the system has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keepalive {
    pub idle: Option<Duration>,
    pub interval: Option<Duration>,
    pub count: Option<u32>,
    /// How long what was sent may stay unacknowledged.
    pub user_timeout: Option<Duration>,
}

impl Keepalive {
    // What Linux takes: MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL and MAX_TCP_KEEPCNT of its net/tcp.h, and an int of milliseconds.
    // With more than that setsockopt(2) fails, and with it every session.
    const MOST_SECONDS: u32 = 32_767;
    const MOST_QUESTIONS: u32 = 127;
    const MOST_UNACKNOWLEDGED: Duration = Duration::from_millis(i32::MAX as u64);

    fn of(settings: &layers::Layers) -> Result<Keepalive, ConfigError> {
        let (least, most) = (Duration::from_secs(1), Duration::from_secs(Keepalive::MOST_SECONDS.into()));
        Ok(Keepalive {
            idle: settings.duration_within("tcp_keepalives_idle", least..=most)?,
            interval: settings.duration_within("tcp_keepalives_interval", least..=most)?,
            count: settings.number_within("tcp_keepalives_count", 1..=Keepalive::MOST_QUESTIONS)?,
            user_timeout: settings
                .duration_within("tcp_user_timeout", Duration::from_millis(1)..=Keepalive::MOST_UNACKNOWLEDGED)?,
        })
    }
}

/// The files of the client leg's TLS, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTls {
    /// The end-entity certificate first, then its intermediates.
    pub cert: PathBuf,
    pub key: PathBuf,
    /// The authorities that sign clients' certificates. None: no client is asked for one.
    pub authority: Option<PathBuf>,
    /// What those authorities revoked.
    pub crl: Option<PathBuf>,
    pub minimum: TlsVersion,
}

impl ClientTls {
    /// A certificate and its key, and nothing asked of clients.
    pub fn new(cert: PathBuf, key: PathBuf) -> ClientTls {
        ClientTls { cert, key, authority: None, crl: None, minimum: TlsVersion::V1_2 }
    }
}

/// How clients log in. See `docs/authentication.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Authentication messages are relayed. SCRAM with channel binding works where it can.
    Passthrough,
    /// The same, but SCRAM-SHA-256-PLUS is never offered.
    PassthroughWithoutChannelBinding,
    /// The client's password is asked for inside TLS, and the proxy logs in with it.
    Password,
    /// The proxy is the client's SCRAM server, and logs in with the key that the client's proof gives away.
    Scram,
    /// The client's certificate names the user, and the proxy logs in as that user.
    Certificate,
}

impl Auth {
    /// Whether client and server authenticate each other, and the proxy only relays it.
    pub fn is_passthrough(self) -> bool {
        match self {
            Auth::Passthrough | Auth::PassthroughWithoutChannelBinding => true,
            Auth::Password | Auth::Scram | Auth::Certificate => false,
        }
    }
}

/// A named floor under the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// No floor: for a developer's machine.
    Default,
    Production,
    /// The same floor as production, for an environment that rehearses it.
    Test,
}

impl Profile {
    /// Whether the production floor holds.
    pub fn strict(self) -> bool {
        match self {
            Profile::Default => false,
            Profile::Production | Profile::Test => true,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Profile::Default => "default",
            Profile::Production => "production",
            Profile::Test => "test",
        }
    }
}

/// How much a refusal tells the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errors {
    /// Rule, reason and hint.
    Detailed,
    /// An event id only; the rest is in the log.
    Terse,
}

/// Where the audit log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditLog {
    Off,
    Stdout,
    /// Appended to.
    File(PathBuf),
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// Why the settings can't be used. Every message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("can't read the configuration file {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{}: {message}", path.display())]
    Yaml { path: PathBuf, message: String },
    #[error("{}:{line}: unknown key `{key}`{}", path.display(), did_you_mean(suggestion.as_deref()))]
    UnknownKey { path: PathBuf, line: u64, key: String, suggestion: Option<String> },
    #[error("{origin}: {problem}")]
    Invalid { origin: String, problem: String },
    #[error("{origin}: the variable {variable} is not set")]
    Variable { origin: String, variable: String },
    #[error("{origin}: can't read {}: {source}", path.display())]
    SecretFile { origin: String, path: PathBuf, source: std::io::Error },
    #[error("{origin}: {source}")]
    Upstream { origin: String, source: UpstreamError },
    #[error(
        "no upstream: say where the database is, --upstream 'postgres://db:5432?sslmode=verify-full&sslrootcert=ca.crt'"
    )]
    NoUpstream,
    #[error("`tls_cert` and `tls_key` belong together: `{missing}` is missing")]
    HalfTls { missing: &'static str },
    #[error("profile {profile}: {problem}")]
    BelowFloor { profile: &'static str, problem: String },
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map(|s| format!(", did you mean `{s}`?")).unwrap_or_default()
}

/// The nearest known word, if it is near enough to be a slip of the finger.
pub(crate) fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let folded = word.to_ascii_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&folded, &k.replace('-', "_")), k))
        .filter(|(distance, k)| *distance <= 1 + k.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k.to_owned())
}

impl Config {
    /// Puts the layers together, file under environment under flags, and holds the result against the profile.
    ///
    /// `env` looks up an environment variable: a parameter, so that tests need not change the process.
    ///
    /// # Errors
    /// The first setting that can't be used, with what to change.
    pub fn load(args: &RunArgs, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
        let settings = layers::Layers::read(args, env)?;

        let upstream = match settings.get("upstream") {
            Some(value) => Upstream::parse(&value.text)
                .map_err(|source| ConfigError::Upstream { origin: value.origin.clone(), source })?,
            None => return Err(ConfigError::NoUpstream),
        };
        let client_tls = match (settings.path("tls_cert"), settings.path("tls_key")) {
            (Some(cert), Some(key)) => Some(ClientTls {
                authority: settings.path("tls_client_ca"),
                crl: settings.path("tls_client_crl"),
                minimum: settings.word(
                    "tls_min_protocol_version",
                    &[("TLSv1.2", TlsVersion::V1_2), ("TLSv1.3", TlsVersion::V1_3)],
                    TlsVersion::V1_2,
                )?,
                ..ClientTls::new(cert, key)
            }),
            (None, None) => None,
            (Some(_), None) => return Err(ConfigError::HalfTls { missing: "tls_key" }),
            (None, Some(_)) => return Err(ConfigError::HalfTls { missing: "tls_cert" }),
        };
        settings.needs("tls_client_ca", "tls_cert")?;
        settings.needs("tls_min_protocol_version", "tls_cert")?;
        settings.needs("tls_client_crl", "tls_client_ca")?;
        let listeners = listeners(&settings, client_tls.as_ref())?;
        let profile = settings.word(
            "profile",
            &[("default", Profile::Default), ("production", Profile::Production), ("test", Profile::Test)],
            Profile::Default,
        )?;
        // The floor's own defaults: a setting that nobody wrote takes the floor's value; one that somebody wrote weaker
        // is an error below.
        let (default_sslmode, default_errors) =
            if profile.strict() { (SslMode::Require, Errors::Terse) } else { (SslMode::Disable, Errors::Detailed) };

        let auth = settings.word(
            "auth",
            &[
                ("passthrough", Auth::Passthrough),
                ("passthrough-without-channel-binding", Auth::PassthroughWithoutChannelBinding),
                ("password", Auth::Password),
                ("scram", Auth::Scram),
                ("certificate", Auth::Certificate),
            ],
            Auth::Passthrough,
        )?;

        let config = Config {
            listeners,
            admin: settings.address("admin", SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9127))?,
            admin_token: settings.secret("admin_token")?,
            policies: settings.path("policies").unwrap_or_else(|| PathBuf::from("policies")),
            upstream,
            client_tls,
            auth,
            users: auth::users(&settings, auth)?,
            login_failures: auth::login_failures(&settings)?,
            profile,
            minimum_sslmode: settings.word("minimum_sslmode", &SslMode::NAMES, default_sslmode)?,
            handshake_timeout: settings.duration("handshake_timeout", Duration::from_secs(60))?,
            connect_timeout: settings.duration("connect_timeout", Duration::from_secs(10))?,
            timeouts: SessionTimeouts {
                idle: settings.duration_or_never("idle_session_timeout")?,
                idle_in_transaction: settings.duration_or_never("idle_in_transaction_session_timeout")?,
                write: settings.duration_or_never("write_timeout")?,
            },
            keepalive: Keepalive::of(&settings)?,
            drain_delay: settings.duration_or_zero("drain_delay", Duration::ZERO)?,
            cancel_forward_unknown: settings.word("cancel_forward_unknown", &[("on", true), ("off", false)], false)?,
            drain_timeout: settings.duration("drain_timeout", Duration::from_secs(30))?,
            quarantine: settings.duration_or_zero("quarantine", Duration::from_secs(15 * 60))?,
            state_dir: settings.path("state_dir"),
            errors: settings.word(
                "errors",
                &[("detailed", Errors::Detailed), ("terse", Errors::Terse)],
                default_errors,
            )?,
            workers: settings.count("workers", default_workers())?,
            analysis_bytes: settings.bytes("analysis_bytes", 512 << 20)?,
            watch: settings.word("watch", &[("on", true), ("off", false)], true)?,
            selftest: settings.word("selftest", &[("on", true), ("off", false)], true)?,
            verdict_cache_bytes: settings.bytes("verdict_cache_bytes", 32 << 20)?,
            audit_log: match settings.path("audit_log") {
                None => AuditLog::Off,
                Some(path) => match path.to_str() {
                    Some("off") => AuditLog::Off,
                    Some("stdout" | "-") => AuditLog::Stdout,
                    Some(_) | None => AuditLog::File(path),
                },
            },
            log_format: settings.word(
                "log_format",
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
                LogFormat::Text,
            )?,
        };
        config.check()?;
        Ok(config)
    }

    /// What must hold between settings, whoever wrote them.
    fn check(&self) -> Result<(), ConfigError> {
        let below = |problem: String| Err(ConfigError::BelowFloor { profile: self.profile.name(), problem });

        if self.profile.strict() {
            if self.minimum_sslmode < SslMode::Require {
                return below(format!(
                    "`minimum_sslmode: {}` is too weak, say require, verify-ca or verify-full",
                    self.minimum_sslmode
                ));
            }
            let open = |listener: &&Listener| !listener.at.is_local() && listener.client_tls == ClientTlsMode::Disable;
            if let Some(listener) = self.listeners.iter().find(open) {
                let what = match self.client_tls {
                    None => "set `tls_cert` and `tls_key`",
                    Some(_) => "take `client_tls: disable` out",
                };
                return below(format!("{} is reachable from other machines, so clients need TLS: {what}", listener.at));
            }
            if self.errors == Errors::Detailed {
                return below("`errors: detailed` tells clients too much, say `errors: terse`".into());
            }
            if self.admin_token.is_none() && !self.admin.ip().is_loopback() {
                return below(format!(
                    "the admin server on {} is reachable from other machines: set `admin_token` or `admin_token_file`",
                    self.admin
                ));
            }
        }
        // A Unix socket never leaves the machine, and PostgreSQL speaks no TLS there.
        if self.upstream.has_network() && self.upstream.sslmode < self.minimum_sslmode {
            let problem = format!(
                "the upstream's sslmode={} is weaker than `minimum_sslmode: {}`: write \
                 sslmode=verify-full&sslrootcert=<CA file> in the upstream's URL",
                self.upstream.sslmode, self.minimum_sslmode
            );
            return if self.profile.strict() {
                below(problem)
            } else {
                Err(ConfigError::Invalid { origin: "upstream".into(), problem })
            };
        }
        let target = self.upstream.target;
        if target != TargetSessionAttrs::Any {
            match self.auth {
                Auth::Passthrough | Auth::PassthroughWithoutChannelBinding => {
                    return Err(ConfigError::Invalid {
                        origin: "upstream".into(),
                        problem: format!(
                            "target_session_attrs={target} needs a mode in which the proxy logs in itself, such as \
                             `auth: password`: a server says only after the login whether it is a standby, and under \
                             `auth: passthrough` a client's login can't be begun again at the next host"
                        ),
                    });
                }
                Auth::Password | Auth::Scram | Auth::Certificate => {}
            }
        }
        match self.useless_listener() {
            None => Ok(()),
            Some(problem) => Err(ConfigError::Invalid { origin: "auth".into(), problem }),
        }
    }

    /// What is wrong with a listener by which nobody could log in, whoever came.
    fn useless_listener(&self) -> Option<String> {
        match self.auth {
            Auth::Passthrough | Auth::PassthroughWithoutChannelBinding | Auth::Scram => None,
            Auth::Password => {
                let plain = |listener: &&Listener| {
                    matches!(listener.at, ListenAt::Tcp(_)) && listener.client_tls == ClientTlsMode::Disable
                };
                let Listener { name, .. } = self.listeners.iter().find(plain)?;
                let what = match self.client_tls {
                    None => "set `tls_cert` and `tls_key`",
                    Some(_) => "take `client_tls: disable` out",
                };
                Some(format!("`auth: password` takes passwords inside TLS only, and `{name}` has none: {what}"))
            }
            Auth::Certificate => {
                let Listener { name, at, .. } =
                    self.listeners.iter().find(|one| one.client_cert == ClientCert::None)?;
                let has_authority = self.client_tls.as_ref().is_some_and(|tls| tls.authority.is_some());
                let what = match (at, has_authority) {
                    (ListenAt::Unix { .. }, _) => "there is no TLS over a Unix socket: take the listener out",
                    (ListenAt::Tcp(_), false) => "set `tls_cert`, `tls_key` and `tls_client_ca`",
                    (ListenAt::Tcp(_), true) => "take `client_tls: disable` and `client_cert: none` out",
                };
                Some(format!(
                    "`auth: certificate` needs clients that show certificates, and none can at `{name}`: {what}"
                ))
            }
        }
    }

    /// The certificate, key, authority and revocation files of both legs.
    pub fn tls_files(&self) -> Vec<PathBuf> {
        let own = self
            .client_tls
            .iter()
            .flat_map(|tls| [&tls.cert, &tls.key].into_iter().chain(&tls.authority).chain(&tls.crl));
        own.cloned().chain(self.upstream.files()).collect()
    }
}

/// Where clients connect, with what the other keys say of it.
fn listeners(settings: &layers::Layers, client_tls: Option<&ClientTls>) -> Result<Vec<Listener>, ConfigError> {
    let invalid = |key: &'static str, problem: String| {
        let origin = settings.get(key).map_or_else(|| key.to_owned(), |value| value.origin.clone());
        ConfigError::Invalid { origin, problem }
    };
    let text = |key: &'static str| settings.get(key).map(|value| value.text.as_str());
    let defaults = listener::Defaults {
        client_tls: settings.optional_word("client_tls", &ClientTlsMode::NAMES)?,
        client_cert: settings.optional_word("client_cert", &ClientCert::NAMES)?,
        proxy_protocol: listener::networks(text("proxy_protocol").unwrap_or("off"))
            .map_err(|problem| invalid("proxy_protocol", problem))?,
        permissions: listener::permissions(text("unix_socket_permissions").unwrap_or("0777"))
            .map_err(|problem| invalid("unix_socket_permissions", problem))?,
        has_certificate: client_tls.is_some(),
        has_authority: client_tls.is_some_and(|tls| tls.authority.is_some()),
    };
    let listen = text("listen").map_or_else(|| listener::DEFAULT.to_string(), str::to_owned);
    listener::parse(&listen, &defaults).map_err(|problem| invalid("listen", problem))
}

/// Half of the processors: relaying is nearly all system calls, and threads that wake each other cost more than they
/// bring (`pgbench -S -M prepared` on two processors: one thread took about a tenth less CPU a transaction than two, at the
/// same rate). A long statement's analysis gets a thread of its own in any case.
fn default_workers() -> NonZeroUsize {
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    NonZeroUsize::new(processors / 2).unwrap_or(NonZeroUsize::MIN)
}
