//! The URL of the upstream, cut into hosts and parameters. libpq's URLs name several hosts and Unix sockets, which the URLs of
//! the web can't, so that they are cut here by libpq's rules (PostgreSQL manual, "Connection URIs").

use std::fmt;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::config::upstream::UpstreamError;

/// One server of the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub place: Place,
    pub port: u16,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A name, resolved anew for each connection, or an IP address (no brackets).
    Name(String),
    /// `hostaddr`: no name is resolved. TLS goes by `name`, if one is written too.
    Address { address: IpAddr, name: Option<String> },
    /// The directory of a Unix socket.
    Unix(PathBuf),
}

/// The longest path of a Unix socket: `sun_path` of Linux without its NUL.
const LONGEST_SOCKET: usize = 107;

impl Host {
    /// The name or the address in the server's certificate; None where there is no TLS.
    pub fn tls_name(&self) -> Option<String> {
        match &self.place {
            Place::Name(name) | Place::Address { name: Some(name), .. } => Some(name.clone()),
            Place::Address { address, name: None } => Some(address.to_string()),
            Place::Unix(_) => None,
        }
    }

    /// The file of a Unix socket.
    pub fn socket(&self) -> Option<PathBuf> {
        match &self.place {
            Place::Unix(directory) => Some(socket(directory, self.port)),
            Place::Name(_) | Place::Address { .. } => None,
        }
    }
}

fn socket(directory: &Path, port: u16) -> PathBuf {
    directory.join(format!(".s.PGSQL.{port}"))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match &self.place {
            Place::Name(name) | Place::Address { name: Some(name), .. } if name.contains(':') => {
                write!(f, "[{name}]:{port}")
            }
            Place::Name(name) | Place::Address { name: Some(name), .. } => write!(f, "{name}:{port}"),
            Place::Address { address, name: None } => std::net::SocketAddr::new(*address, port).fmt(f),
            Place::Unix(directory) => socket(directory, port).display().fmt(f),
        }
    }
}

/// A URL's parts, without percent signs.
#[derive(Debug)]
pub(super) struct Parts {
    /// Hosts of the authority with their ports, as they are written.
    hosts: Vec<(String, Option<String>)>,
    pub parameters: Vec<(String, String)>,
}

/// Cuts `postgres://host[:port][,…][/][?parameter=value&…]`. User, password and database are errors.
pub(super) fn cut(text: &str) -> Result<Parts, UpstreamError> {
    let not_a_url = |why: &str| UpstreamError::NotAUrl(why.to_owned());
    let (scheme, rest) = text.split_once("://").ok_or_else(|| not_a_url("`://` is missing"))?;
    if !matches!(scheme, "postgres" | "postgresql") {
        return Err(UpstreamError::Scheme(scheme.to_owned()));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if rest.contains('#') {
        return Err(not_a_url("a `#` is written %23"));
    }
    // Part of a password, say: no error may repeat it.
    let ports = authority.rsplit(']').next().unwrap_or("").split(',').filter_map(|host| host.split_once(':'));
    if rest.contains('@') && !ports.map(|(_, port)| port).all(|port| port.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(UpstreamError::Login("password"));
    }
    let hosts = match authority.rsplit_once('@') {
        Some((login, _)) if login.contains(':') => return Err(UpstreamError::Login("password")),
        Some((login, _)) if !login.is_empty() => return Err(UpstreamError::Login("user")),
        Some((_, hosts)) => hosts,
        None => authority,
    };
    if !matches!(path, "" | "/") {
        return Err(UpstreamError::Login("database"));
    }
    let hosts = match hosts {
        "" => Vec::new(),
        hosts => hosts.split(',').map(host_and_port).collect::<Result<_, _>>()?,
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let parameters = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decoded(name)?, decoded(value)?))
    });
    Ok(Parts { hosts, parameters: parameters.collect::<Result<_, _>>()? })
}

/// `db`, `db:5433`, `[::1]:5433`, `%2Frun%2Fpostgresql:5433`.
fn host_and_port(text: &str) -> Result<(String, Option<String>), UpstreamError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => (address, None),
            Some((address, port)) if port.starts_with(':') => (address, port.strip_prefix(':')),
            Some(_) | None => {
                return Err(UpstreamError::Host { host: text.to_owned(), problem: "write [address]:port" });
            }
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    Ok((decoded(host)?, port.map(decoded).transpose()?))
}

/// `%2F` and its like are bytes; `+` is a plus, as in libpq.
fn decoded(text: &str) -> Result<String, UpstreamError> {
    // Without the text: it may be a password.
    let bad = |why: &str| UpstreamError::NotAUrl(why.to_owned());
    let mut parts = text.split('%');
    let mut bytes: Vec<u8> = parts.next().unwrap_or("").into();
    for part in parts {
        let value = part.get(..2).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let value = value.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(value.ok_or_else(|| bad("a percent sign without two hexadecimal digits is written %25"))?);
        bytes.extend(part.bytes().skip(2));
    }
    if bytes.contains(&0) {
        return Err(bad("%00 can stand nowhere"));
    }
    String::from_utf8(bytes).map_err(|_| bad("its percent signs give no UTF-8"))
}

impl Parts {
    /// The hosts, of the authority or of the parameters `host`, `port` and `hostaddr`: lists of one length, or one port for all.
    pub(super) fn hosts(
        &self,
        host: Option<&str>,
        port: Option<&str>,
        hostaddr: Option<&str>,
    ) -> Result<Vec<Host>, UpstreamError> {
        let written = !self.hosts.is_empty();
        if written && host.is_some() {
            return Err(UpstreamError::Twice("host".into()));
        }
        if port.is_some() && self.hosts.iter().any(|(_, port)| port.is_some()) {
            return Err(UpstreamError::Twice("port".into()));
        }
        let split = |list: &str| list.split(',').map(str::to_owned).collect::<Vec<_>>();
        let addresses = hostaddr.map(split).unwrap_or_default();
        let names = match host {
            Some(list) => split(list),
            None if written => self.hosts.iter().map(|(host, _)| host.clone()).collect(),
            None => vec![String::new(); addresses.len()],
        };
        let ports = match port.map(split) {
            None => self.hosts.iter().map(|(_, port)| port.clone().unwrap_or_default()).collect(),
            Some(ports) => match ports.as_slice() {
                [one] => vec![one.clone(); names.len()],
                _ => ports,
            },
        };
        for (what, count) in [("hostaddr", addresses.len()), ("port", ports.len())] {
            if count > 0 && count != names.len() {
                return Err(UpstreamError::Counts { what, count, hosts: names.len() });
            }
        }
        if names.is_empty() {
            return Err(UpstreamError::NoHost);
        }
        let nth = |list: &[String], n: usize| list.get(n).cloned().unwrap_or_default();
        names.iter().enumerate().map(|(n, name)| one(name, &nth(&addresses, n), &nth(&ports, n))).collect()
    }
}

fn one(name: &str, address: &str, port: &str) -> Result<Host, UpstreamError> {
    let bad = |problem| Err(UpstreamError::Host { host: name.to_owned(), problem });
    let port = match port {
        "" => 5432,
        text => text.parse().ok().filter(|port| *port > 0).ok_or_else(|| UpstreamError::Port(text.to_owned()))?,
    };
    if name.chars().any(|c| c.is_control() || c.is_whitespace() || c == ',') {
        return bad("it has a character that no host name has");
    }
    let place = if !address.is_empty() {
        match address.parse() {
            Ok(_) if name.starts_with(['/', '@']) => return bad("a Unix socket has no hostaddr"),
            Ok(address) => Place::Address { address, name: Some(name.to_owned()).filter(|name| !name.is_empty()) },
            Err(_) => return Err(UpstreamError::HostAddr(address.to_owned())),
        }
    } else if name.starts_with('/') {
        let directory = PathBuf::from(name);
        if socket(&directory, port).as_os_str().as_bytes().len() > LONGEST_SOCKET {
            return bad("the path of its socket has more than the 107 bytes that a Unix socket's may have");
        }
        Place::Unix(directory)
    } else if name.starts_with('@') {
        return bad("abstract Unix sockets are not spoken to: name the directory of a socket's file");
    } else if name.is_empty() {
        return Err(UpstreamError::NoHost);
    } else {
        Place::Name(name.to_owned())
    };
    Ok(Host { place, port })
}
