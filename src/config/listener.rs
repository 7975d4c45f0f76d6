//! Where clients connect: `listen` with its options, and the defaults that other keys give them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{did_you_mean, suggest};
use crate::units::Network;

/// One socket that clients connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// What policies call it in `applies_to: {listeners: […]}`: the address as it was written, unless it was given a name.
    pub name: Arc<str>,
    pub at: ListenAt,
    pub client_tls: ClientTlsMode,
    pub client_cert: ClientCert,
    /// Clients from these networks begin with a PROXY protocol header. Empty: nobody does.
    pub proxy_protocol: Vec<Network>,
}

/// An address, or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAt {
    Tcp(SocketAddr),
    Unix {
        path: PathBuf,
        /// Of the socket's file, as chmod(2) takes them.
        permissions: u32,
    },
}

impl fmt::Display for ListenAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAt::Tcp(address) => address.fmt(f),
            ListenAt::Unix { path, .. } => path.display().fmt(f),
        }
    }
}

impl ListenAt {
    /// Whether only this machine can connect.
    pub fn is_local(&self) -> bool {
        match self {
            ListenAt::Tcp(address) => address.ip().to_canonical().is_loopback(),
            ListenAt::Unix { .. } => true,
        }
    }
}

/// Whether clients use TLS. Over a Unix socket nobody does, as in PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientTlsMode {
    /// The answer to an SSLRequest is `N`.
    Disable,
    /// Who asks for it.
    Allow,
    /// A session without it is refused.
    Require,
}

impl ClientTlsMode {
    /// As they are written.
    pub const NAMES: [(&'static str, ClientTlsMode); 3] =
        [("disable", ClientTlsMode::Disable), ("allow", ClientTlsMode::Allow), ("require", ClientTlsMode::Require)];
}

/// Whether clients show certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCert {
    /// They are not asked.
    None,
    /// They are asked. Who shows one must show a good one.
    Optional,
    /// Who has none gets no session.
    Required,
}

impl ClientCert {
    /// As they are written.
    pub const NAMES: [(&'static str, ClientCert); 3] =
        [("none", ClientCert::None), ("optional", ClientCert::Optional), ("required", ClientCert::Required)];
}

/// What a listener takes from the other keys where it says nothing itself.
#[derive(Debug)]
pub(super) struct Defaults {
    /// None: as `tls_cert` suggests.
    pub client_tls: Option<ClientTlsMode>,
    pub client_cert: Option<ClientCert>,
    pub proxy_protocol: Vec<Network>,
    pub permissions: u32,
    /// Whether there is a `tls_cert`.
    pub has_certificate: bool,
    /// Whether there is a `tls_client_ca`.
    pub has_authority: bool,
}

/// Where clients connect if nobody says anything.
pub(super) const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 6432);

/// Reads `[name=]address[?option=value[&option=value…]]`, several separated by commas or white space.
///
/// # Errors
/// What to write, in words.
pub(super) fn parse(text: &str, defaults: &Defaults) -> Result<Vec<Listener>, String> {
    let parts = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|part| !part.is_empty());
    let mut listeners: Vec<Listener> = Vec::new();
    for part in parts {
        let listener = one(part, defaults)?;
        if listeners.iter().any(|other| other.name == listener.name) {
            return Err(format!("there are two listeners named `{}`: give one another name", listener.name));
        }
        listeners.push(listener);
    }
    if listeners.is_empty() {
        return Err("it names no address: write one like 127.0.0.1:6432".to_owned());
    }
    Ok(listeners)
}

fn one(text: &str, defaults: &Defaults) -> Result<Listener, String> {
    let (place, options) = text.split_once('?').unwrap_or((text, ""));
    let (name, place) = match place.split_once('=') {
        Some(("", _)) => return Err(format!("`{text}` has an empty name: write name=address")),
        Some((name, place)) => (name, place),
        None => (place, place),
    };
    let (mut client_tls, mut client_cert) = (defaults.client_tls, defaults.client_cert);
    let mut proxy_protocol = defaults.proxy_protocol.clone();
    let mut permissions = defaults.permissions;
    let mut written = Vec::new();
    for (option, value) in url::form_urlencoded::parse(options.as_bytes()) {
        match &*option {
            "client_tls" => client_tls = Some(word("client_tls", &value, &ClientTlsMode::NAMES)?),
            "client_cert" => client_cert = Some(word("client_cert", &value, &ClientCert::NAMES)?),
            "proxy_protocol" => proxy_protocol = networks(&value)?,
            "permissions" => permissions = self::permissions(&value)?,
            unknown => {
                let known = ["client_tls", "client_cert", "proxy_protocol", "permissions"];
                let guess = suggest(unknown, known);
                return Err(format!("unknown option `{unknown}` of a listener{}", did_you_mean(guess.as_deref())));
            }
        }
        if written.contains(&option) {
            return Err(format!("`{name}`: the option {option} is written twice: keep one"));
        }
        written.push(option);
    }
    let own = |option: &str| written.iter().any(|one| one == option);
    let at = address(place, permissions)?;
    let unix = matches!(at, ListenAt::Unix { .. });
    if !unix && own("permissions") {
        return Err(format!("`{name}`: only the file of a Unix socket has permissions: take the option out"));
    }
    if unix && (own("client_tls") || own("client_cert")) {
        return Err(format!(
            "`{name}`: TLS is not used over a Unix socket, as in PostgreSQL: take client_tls and client_cert out"
        ));
    }
    if unix && own("proxy_protocol") && !proxy_protocol.is_empty() {
        return Err(format!("`{name}`: who connects to a Unix socket comes from no network: take proxy_protocol out"));
    }
    if unix {
        let (client_tls, client_cert) = (ClientTlsMode::Disable, ClientCert::None);
        return Ok(Listener { name: name.into(), at, client_tls, client_cert, proxy_protocol: Vec::new() });
    }

    let client_cert =
        client_cert.unwrap_or(match defaults.has_authority && client_tls != Some(ClientTlsMode::Disable) {
            true => ClientCert::Optional,
            false => ClientCert::None,
        });
    if client_cert != ClientCert::None && !defaults.has_authority {
        return Err(format!(
            "`{name}`: `tls_client_ca` is missing: client_cert needs the authorities that sign clients' certificates"
        ));
    }
    let client_tls = match (client_tls, client_cert) {
        (Some(ClientTlsMode::Disable), ClientCert::Optional | ClientCert::Required) => {
            return Err(format!(
                "`{name}`: clients show certificates inside TLS only: client_tls=disable contradicts client_cert"
            ));
        }
        // Who comes without TLS shows no certificate.
        (_, ClientCert::Required) => ClientTlsMode::Require,
        (Some(written), _) => written,
        (None, _) if defaults.has_certificate => ClientTlsMode::Allow,
        (None, _) => ClientTlsMode::Disable,
    };
    if client_tls != ClientTlsMode::Disable && !defaults.has_certificate {
        return Err(format!("`{name}`: client_tls needs a certificate to show: set `tls_cert` and `tls_key`"));
    }
    Ok(Listener { name: name.into(), at, client_tls, client_cert, proxy_protocol })
}

fn address(text: &str, permissions: u32) -> Result<ListenAt, String> {
    if text.starts_with('/') {
        let path = Path::new(text);
        let file = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
        let port = file.strip_prefix(".s.PGSQL.").and_then(|port| port.parse::<u16>().ok());
        if port.is_none_or(|port| port == 0) {
            // `/run/.s.PGSQL.x` was meant for /run.
            let meant = if file.starts_with(".s.PGSQL") { path.parent().unwrap_or(path) } else { path };
            let directory = meant.to_string_lossy();
            let directory = directory.trim_end_matches('/');
            return Err(format!(
                "`{text}` is no socket that a PostgreSQL client looks for: write {directory}/.s.PGSQL.6432 for clients with \
                 host={directory} port=6432"
            ));
        }
        // sockaddr_un's sun_path with its NUL.
        if text.len() > 107 {
            return Err(format!("`{text}` is longer than the 107 bytes that the path of a Unix socket may have"));
        }
        return Ok(ListenAt::Unix { path: path.to_owned(), permissions });
    }
    tcp(text).map(ListenAt::Tcp).ok_or_else(|| {
        format!(
            "`{text}` is not an address and port like 127.0.0.1:6432, 0.0.0.0:6432 or [::1]:6432, nor a Unix socket like \
             /run/portcullis/.s.PGSQL.6432"
        )
    })
}

/// `127.0.0.1:6432`, `[::1]:6432`, `localhost:6432`.
pub(super) fn tcp(text: &str) -> Option<SocketAddr> {
    text.parse().ok().or_else(|| {
        let port = text.strip_prefix("localhost:")?.parse().ok()?;
        Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    })
}

fn word<T: Copy>(option: &str, value: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning);
    found.ok_or_else(|| {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("{option}={value}: write one of {}", names.join(", "))
    })
}

/// Addresses and CIDR blocks, separated by commas or blanks; `off` is none.
///
/// # Errors
/// What to write, in words.
pub(super) fn networks(text: &str) -> Result<Vec<Network>, String> {
    if text.trim() == "off" {
        return Ok(Vec::new());
    }
    let parts = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|part| !part.is_empty());
    parts.map(|part| Network::parse(part).map_err(|problem| format!("{problem}: {}", Network::help(part)))).collect()
}

/// `0770`, octal as in PostgreSQL's unix_socket_permissions.
///
/// # Errors
/// What to write, in words.
pub(super) fn permissions(text: &str) -> Result<u32, String> {
    let octal = text.strip_prefix("0o").unwrap_or(text);
    u32::from_str_radix(octal, 8)
        .ok()
        .filter(|bits| *bits <= 0o777)
        .ok_or_else(|| format!("`{text}` is not a file's permissions like 0770 (octal, at most 0777)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Defaults {
        Defaults {
            client_tls: None,
            client_cert: None,
            proxy_protocol: Vec::new(),
            permissions: 0o777,
            has_certificate: true,
            has_authority: true,
        }
    }

    #[test]
    fn several_sockets_with_options_of_their_own() {
        let text = "0.0.0.0:6432, inside=10.0.0.5:6433?client_tls=require&client_cert=none&proxy_protocol=10.0.0.0/8+::1\n\
                    /run/portcullis/.s.PGSQL.6432?permissions=0770";
        let all = parse(text, &defaults()).unwrap();
        let told: Vec<_> = all.iter().map(|l| (&*l.name, l.at.to_string(), l.client_tls, l.client_cert)).collect();
        let socket = "/run/portcullis/.s.PGSQL.6432";
        assert_eq!(
            told,
            [
                ("0.0.0.0:6432", "0.0.0.0:6432".into(), ClientTlsMode::Allow, ClientCert::Optional),
                ("inside", "10.0.0.5:6433".into(), ClientTlsMode::Require, ClientCert::None),
                (socket, socket.into(), ClientTlsMode::Disable, ClientCert::None),
            ]
        );
        assert_eq!(all[1].proxy_protocol.len(), 2);
        assert_eq!(all[2].at, ListenAt::Unix { path: socket.into(), permissions: 0o770 });
    }

    #[test]
    fn who_must_show_a_certificate_must_use_tls() {
        let all = parse("127.0.0.1:1?client_cert=required", &defaults()).unwrap();
        assert_eq!((all[0].client_tls, all[0].client_cert), (ClientTlsMode::Require, ClientCert::Required));
        let plain = Defaults { has_certificate: false, has_authority: false, ..defaults() };
        let all = parse("127.0.0.1:1", &plain).unwrap();
        assert_eq!((all[0].client_tls, all[0].client_cert), (ClientTlsMode::Disable, ClientCert::None));
    }

    #[test]
    fn mistakes_are_told_with_what_to_write() {
        let plain = Defaults { has_certificate: false, has_authority: false, ..defaults() };
        let no_authority = || Defaults { has_authority: false, ..defaults() };
        for (text, defaults, told) in [
            ("", defaults(), "names no address"),
            ("6432", defaults(), "127.0.0.1:6432"),
            ("/run/portcullis", defaults(), "write /run/portcullis/.s.PGSQL.6432"),
            ("/run/.s.PGSQL.x", defaults(), "host=/run"),
            ("=1.2.3.4:5", defaults(), "empty name"),
            ("a=1.2.3.4:5,a=1.2.3.4:6", defaults(), "two listeners named `a`"),
            ("1.2.3.4:5,1.2.3.4:5", defaults(), "two listeners"),
            ("1.2.3.4:5?client_tsl=require", defaults(), "did you mean `client_tls`"),
            ("1.2.3.4:5?client_tls=on", defaults(), "disable, allow, require"),
            ("1.2.3.4:5?proxy_protocol=10.0.0.1/8", defaults(), "write 10.0.0.0/8"),
            ("1.2.3.4:5?client_tls=disable&client_cert=required", defaults(), "contradicts"),
            (
                "a=1.2.3.4:5?client_tls=require&client_tls=allow",
                defaults(),
                "`a`: the option client_tls is written twice",
            ),
            ("1.2.3.4:5?proxy_protocol=off&proxy_protocol=off", defaults(), "written twice"),
            ("a=1.2.3.4:5?permissions=0770", defaults(), "`a`: only the file of a Unix socket has permissions"),
            ("a=1.2.3.4:5?client_cert=optional", no_authority(), "`a`: `tls_client_ca` is missing"),
            ("a=1.2.3.4:5?client_cert=required", no_authority(), "`a`: `tls_client_ca` is missing"),
            ("1.2.3.4:5?client_tls=allow", plain, "tls_cert"),
            ("/r/.s.PGSQL.1?client_tls=require", defaults(), "Unix socket"),
            ("/r/.s.PGSQL.1?permissions=9", defaults(), "octal"),
        ] {
            let error = parse(text, &defaults).expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
