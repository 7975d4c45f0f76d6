//! File under environment under flags: where each setting's text comes from.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{ConfigError, Secret, listener, suggest};
use crate::units;

/// Every key of the configuration file, with what it is. `PORTCULLIS_<KEY>` is the variable of the same setting.
pub const KEYS: &[(&str, &str)] = &[
    ("listen", "addresses and Unix sockets where PostgreSQL clients connect (127.0.0.1:6432)"),
    ("client_tls", "disable, allow or require: whether clients use TLS (allow where there is a tls_cert)"),
    (
        "client_cert",
        "none, optional or required: whether clients show certificates (optional where there is a tls_client_ca)",
    ),
    ("proxy_protocol", "networks whose clients begin with a PROXY protocol header (off)"),
    ("unix_socket_permissions", "of Unix sockets' files (0777)"),
    ("admin", "address of the admin HTTP server (127.0.0.1:9127)"),
    ("admin_token", "bearer token of the admin server; write ${VARIABLE}, or use admin_token_file"),
    ("admin_token_file", "file that holds the admin token"),
    ("policies", "directory of the policies (policies)"),
    ("upstream", "postgres://host:port,host:port?sslmode=…&sslrootcert=…, or postgres:///?host=/run/postgresql"),
    ("tls_cert", "certificate chain shown to clients, PEM"),
    ("tls_key", "its private key, PEM"),
    ("tls_client_ca", "authorities that sign clients' certificates, PEM"),
    ("tls_client_crl", "revocation lists of those authorities, PEM"),
    ("tls_min_protocol_version", "TLSv1.2 or TLSv1.3: the oldest that clients may speak (TLSv1.2)"),
    ("auth", "passthrough, passthrough-without-channel-binding, password, scram or certificate (passthrough)"),
    (
        "auth_file",
        "users whom the proxy checks itself, with their SCRAM verifiers (or passwords): PgBouncer's userlist.txt",
    ),
    ("auth_map", "which client certificates may log in as whom, in the format of pg_ident.conf (auth: certificate)"),
    ("auth_user", "role that asks the server for the verifiers of users who are not in auth_file (auth: scram)"),
    ("auth_password", "its password; write ${VARIABLE}, or use auth_password_file"),
    ("auth_password_file", "file that holds that password"),
    ("auth_database", "database that it connects to (postgres)"),
    ("auth_query", "what it asks, with the user as $1 (rolname, rolpassword and rolvaliduntil of pg_authid)"),
    ("scram_max_iterations", "the most iterations that a SCRAM verifier may ask for (100000)"),
    (
        "login_failures",
        "failed logins of a user from an address until no more are taken, as 10/minute (10/minute); 0 takes all",
    ),
    ("profile", "default, production or test (default)"),
    ("minimum_sslmode", "the weakest sslmode the upstream may have (disable; require under profile production)"),
    ("handshake_timeout", "for the first packets of a client, and again for its login (60s)"),
    ("connect_timeout", "one address of the upstream, up to its first answer (10s)"),
    ("idle_session_timeout", "ends sessions that are idle outside of transactions for so long (0: never)"),
    ("idle_in_transaction_session_timeout", "ends sessions that are idle in a transaction for so long (0: never)"),
    ("write_timeout", "ends sessions one of whose sides takes no bytes for so long (0: never)"),
    ("tcp_keepalives_idle", "silence after which a TCP peer is asked whether it is there (0: as the system has it)"),
    ("tcp_keepalives_interval", "time between such questions (0: as the system has it)"),
    ("tcp_keepalives_count", "questions without an answer that end a connection (0: as the system has it)"),
    ("tcp_user_timeout", "how long sent bytes may stay unacknowledged (0: as the system has it)"),
    ("cancel_forward_unknown", "on or off: send cancel requests of other replicas' sessions to the upstream (off)"),
    ("drain_delay", "how long clients are still taken after SIGTERM, while /readyz says no already (0)"),
    ("drain_timeout", "how long sessions may go on after SIGTERM (30s)"),
    ("quarantine", "how long a user who touched a decoy is shut out at that address (15m); 0 only raises the alarm"),
    ("state_dir", "directory that keeps the emergency blocks over a restart (none: they end with the process)"),
    ("errors", "detailed or terse: what a refusal tells the client (detailed; terse under profile production)"),
    ("log_format", "text or json (text)"),
    ("audit_log", "off, stdout or a file: one JSON line for every statement, login, session, load and call (off)"),
    ("workers", "threads that serve sessions (half of the processors, at least 1)"),
    ("verdict_cache_bytes", "memory for what is known of statements that came before (32MiB); 0 remembers nothing"),
    (
        "watch",
        "on or off: read policies and certificates again when their files change (on); SIGHUP does it in any case",
    ),
    ("selftest", "on or off: judge the catalogue of attacks whenever policies are loaded (on)"),
    ("analysis_bytes", "memory that reading long statements may take, all sessions together (512MiB)"),
];

/// The flags of `portcullis run`. What is not given here is looked for in the environment, then in the file.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct RunArgs {
    /// Configuration file (YAML); also PORTCULLIS_CONFIG
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where PostgreSQL clients connect: addresses and Unix sockets, separated by commas [default: 127.0.0.1:6432]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Address of the admin HTTP server [default: 127.0.0.1:9127]
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<String>,
    /// Directory of the policies [default: policies]
    #[arg(long, value_name = "DIR")]
    pub policies: Option<String>,
    /// The database server: postgres://host:port?sslmode=verify-full&sslrootcert=ca.crt; several with commas
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
    /// Certificate chain shown to clients (PEM)
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<String>,
    /// Private key of --tls-cert (PEM)
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<String>,
    /// passthrough, passthrough-without-channel-binding, password, scram or certificate [default: passthrough]
    #[arg(long, value_name = "MODE")]
    pub auth: Option<String>,
    /// default, production or test: the floor under the settings [default: default]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// The weakest sslmode that --upstream may have [default: disable]
    #[arg(long, value_name = "SSLMODE")]
    pub minimum_sslmode: Option<String>,
    /// How long sessions may go on after SIGTERM [default: 30s]
    #[arg(long, value_name = "DURATION")]
    pub drain_timeout: Option<String>,
    /// text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Threads that serve sessions [default: half of the processors, at least 1]
    #[arg(long, value_name = "NUMBER")]
    pub workers: Option<String>,
}

impl RunArgs {
    /// The settings that are no flag, for the help: so that nobody needs the manual to find them.
    pub fn without_flag() -> String {
        let flags = RunArgs::default();
        let flags = flags.given();
        let mut text =
            "Settings without a flag: in the configuration file, or as environment variables PORTCULLIS_<KEY>:"
                .to_owned();
        for (key, sentence) in KEYS.iter().filter(|(key, _)| !flags.iter().any(|(flag, _)| flag == key)) {
            text.push_str("\n  ");
            text.push_str(key);
            text.push_str("\n          ");
            text.push_str(sentence);
        }
        text
    }

    fn given(&self) -> [(&'static str, Option<&String>); 12] {
        [
            ("listen", self.listen.as_ref()),
            ("admin", self.admin.as_ref()),
            ("policies", self.policies.as_ref()),
            ("upstream", self.upstream.as_ref()),
            ("tls_cert", self.tls_cert.as_ref()),
            ("tls_key", self.tls_key.as_ref()),
            ("auth", self.auth.as_ref()),
            ("profile", self.profile.as_ref()),
            ("minimum_sslmode", self.minimum_sslmode.as_ref()),
            ("drain_timeout", self.drain_timeout.as_ref()),
            ("log_format", self.log_format.as_ref()),
            ("workers", self.workers.as_ref()),
        ]
    }
}

/// A setting's text and where it was written, for errors.
#[derive(Debug)]
pub(super) struct Value {
    pub text: String,
    /// `portcullis.yaml:3: listen`, `PORTCULLIS_LISTEN` or `--listen`.
    pub origin: String,
}

/// What the three layers say together.
#[derive(Debug)]
pub(super) struct Layers(BTreeMap<&'static str, Value>);

impl Layers {
    pub fn read(args: &RunArgs, env: &dyn Fn(&str) -> Option<String>) -> Result<Layers, ConfigError> {
        let file = args.config.clone().or_else(|| env("PORTCULLIS_CONFIG").map(PathBuf::from));
        let mut settings = match file {
            Some(path) => read_file(&path, env)?,
            None => BTreeMap::new(),
        };
        for (key, _) in KEYS {
            let variable = format!("PORTCULLIS_{}", key.to_ascii_uppercase());
            // An empty variable is how compose files and charts say "not set".
            if let Some(text) = env(&variable).filter(|text| !text.is_empty()) {
                supersede(&mut settings, key, Value { text, origin: variable });
            }
        }
        for (key, given) in args.given() {
            if let Some(text) = given {
                let origin = format!("--{}", key.replace('_', "-"));
                supersede(&mut settings, key, Value { text: text.clone(), origin });
            }
        }
        Ok(Layers(settings))
    }

    pub fn get(&self, key: &'static str) -> Option<&Value> {
        debug_assert!(KEYS.iter().any(|(k, _)| *k == key), "{key} is not in KEYS");
        self.0.get(key)
    }

    pub fn path(&self, key: &'static str) -> Option<PathBuf> {
        self.get(key).map(|value| PathBuf::from(&value.text))
    }

    /// One of a list of words.
    pub fn word<T: Copy>(&self, key: &'static str, words: &[(&str, T)], default: T) -> Result<T, ConfigError> {
        Ok(self.optional_word(key, words)?.unwrap_or(default))
    }

    /// The same, where nothing else is the default.
    pub fn optional_word<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == value.text) {
            return Ok(Some(*meaning));
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let guess = suggest(&value.text, names.iter().copied());
        Err(value.invalid(format!(
            "`{}` is none of {}{}",
            value.text,
            names.join(", "),
            guess.map(|g| format!("; did you mean `{g}`?")).unwrap_or_default()
        )))
    }

    /// A whole number from 1 on.
    pub fn count(&self, key: &'static str, default: NonZeroUsize) -> Result<NonZeroUsize, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.text.parse().map_err(|_| value.invalid(format!("`{}` is not a number from 1 on", value.text)))
    }

    /// The same, up to 2147483647.
    pub fn count32(&self, key: &'static str, default: u32) -> Result<u32, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let number = value.text.parse().ok().filter(|number| (1..=i32::MAX as u32).contains(number));
        number.ok_or_else(|| value.invalid(format!("`{}` is not a number from 1 to {}", value.text, i32::MAX)))
    }

    /// `10s`, `500ms`, `2m`, `1h`.
    pub fn duration(&self, key: &'static str, default: Duration) -> Result<Duration, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        units::duration(&value.text)
            .ok_or_else(|| value.invalid(format!("`{}` is not a duration like 10s, 500ms, 2m or 1h", value.text)))
    }

    /// A duration, or `0` for never.
    pub fn duration_or_zero(&self, key: &'static str, default: Duration) -> Result<Duration, ConfigError> {
        match self.get(key) {
            Some(value) if value.text == "0" => Ok(Duration::ZERO),
            Some(_) | None => self.duration(key, default),
        }
    }

    /// A duration; None for `0`, and where nothing is written.
    pub fn duration_or_never(&self, key: &'static str) -> Result<Option<Duration>, ConfigError> {
        Ok(Some(self.duration_or_zero(key, Duration::ZERO)?).filter(|duration| !duration.is_zero()))
    }

    /// A duration within bounds; None for `0`, and where nothing is written.
    pub fn duration_within(
        &self,
        key: &'static str,
        bounds: RangeInclusive<Duration>,
    ) -> Result<Option<Duration>, ConfigError> {
        let (Some(value), Some(duration)) = (self.get(key), self.duration_or_never(key)?) else { return Ok(None) };
        if bounds.contains(&duration) {
            return Ok(Some(duration));
        }
        let text = |duration: &Duration| match duration.subsec_millis() {
            0 => format!("{}s", duration.as_secs()),
            _ => format!("{}ms", duration.as_millis()),
        };
        Err(value.invalid(format!(
            "`{}` is more or less than the system takes: write {} to {}, or 0 for the system's own",
            value.text,
            text(bounds.start()),
            text(bounds.end())
        )))
    }

    /// A whole number within bounds; None for `0`, and where nothing is written.
    pub fn number_within(&self, key: &'static str, bounds: RangeInclusive<u32>) -> Result<Option<u32>, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.text.parse() {
            Ok(0) => Ok(None),
            Ok(number) if bounds.contains(&number) => Ok(Some(number)),
            Ok(_) | Err(_) => Err(value.invalid(format!(
                "`{}` is not a number from {} to {}, nor 0 for the system's own",
                value.text,
                bounds.start(),
                bounds.end()
            ))),
        }
    }

    /// Whether a key is written without another one that it makes no sense without.
    pub fn needs(&self, key: &'static str, other: &'static str) -> Result<(), ConfigError> {
        match (self.get(key), self.get(other)) {
            (Some(value), None) => Err(value.invalid(format!("it needs `{other}`"))),
            (Some(_), Some(_)) | (None, _) => Ok(()),
        }
    }

    /// `32MiB`, `64KiB`, `0`.
    pub fn bytes(&self, key: &'static str, default: u64) -> Result<u64, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        units::bytes(&value.text)
            .ok_or_else(|| value.invalid(format!("`{}` is not a size like 32MiB, 64KiB or 0", value.text)))
    }

    pub fn address(&self, key: &'static str, default: SocketAddr) -> Result<SocketAddr, ConfigError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        listener::tcp(&value.text).ok_or_else(|| {
            value.invalid(format!(
                "`{}` is not an address and port like 127.0.0.1:6432, 0.0.0.0:6432 or [::1]:6432",
                value.text
            ))
        })
    }

    /// The secret of `key`, or what the file named by `<key>_file` holds without its last line end.
    pub fn secret(&self, key: &'static str) -> Result<Option<Secret>, ConfigError> {
        let (text, origin) = if let Some(value) = self.get(key) {
            (value.text.clone(), &value.origin)
        } else if let Some((_, value)) = self.0.iter().find(|(k, _)| stem(k) == key) {
            let path = PathBuf::from(&value.text);
            let mut text = std::fs::read_to_string(&path).map_err(|source| ConfigError::SecretFile {
                origin: value.origin.clone(),
                path,
                source,
            })?;
            text.truncate(text.trim_end_matches(['\r', '\n']).len());
            (text, &value.origin)
        } else {
            return Ok(None);
        };
        if text.is_empty() {
            return Err(ConfigError::Invalid { origin: origin.clone(), problem: "the secret is empty".into() });
        }
        Ok(Some(Secret::new(text)))
    }
}

impl Value {
    pub fn invalid(&self, problem: String) -> ConfigError {
        ConfigError::Invalid { origin: self.origin.clone(), problem }
    }
}

/// The settings that may stand in a file of their own.
const SECRETS: [&str; 2] = ["admin_token", "auth_password"];

/// The setting that a key is about: `admin_token` for `admin_token_file`, too. (`auth_file` is about itself.)
fn stem(key: &str) -> &str {
    key.strip_suffix("_file").filter(|stem| SECRETS.contains(stem)).unwrap_or(key)
}

/// Later layers win; a secret and its `_file` form are one setting.
fn supersede(settings: &mut BTreeMap<&'static str, Value>, key: &'static str, value: Value) {
    settings.retain(|k, _| stem(k) != stem(key));
    settings.insert(key, value);
}

fn read_file(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<BTreeMap<&'static str, Value>, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let entries: BTreeMap<String, serde_saphyr::Spanned<String>> = serde_saphyr::from_str(&text)
        .map_err(|error| ConfigError::Yaml { path: path.to_owned(), message: error.to_string() })?;

    let mut settings: BTreeMap<&'static str, Value> = BTreeMap::new();
    for (written, value) in entries {
        let line = value.defined.line();
        let Some((key, _)) = KEYS.iter().find(|(key, _)| *key == written) else {
            return Err(ConfigError::UnknownKey {
                path: path.to_owned(),
                line,
                suggestion: suggest(&written, KEYS.iter().map(|(key, _)| *key)),
                key: written,
            });
        };
        let origin = format!("{}:{line}: {key}", path.display());
        if let Some(twin) = settings.keys().find(|other| stem(other) == stem(key)) {
            return Err(ConfigError::Invalid { origin, problem: format!("`{twin}` is set too: keep one of them") });
        }
        let text =
            expand(&value.value, env).map_err(|variable| ConfigError::Variable { origin: origin.clone(), variable })?;
        settings.insert(key, Value { text, origin });
    }
    Ok(settings)
}

/// Replaces `${NAME}` by the variable's value; `$${` is a literal `${`.
///
/// # Errors
/// The name of a variable that is not set.
fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(literal) = before.strip_suffix('$') {
            out.push_str(literal);
            out.push_str("${");
            rest = after;
            continue;
        }
        let Some((name, tail)) = after.split_once('}') else { break };
        out.push_str(before);
        out.push_str(&env(name).ok_or_else(|| name.to_owned())?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}
