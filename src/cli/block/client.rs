//! One call of the admin server: plain HTTP, one request, everything bounded in time and bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::Secret;

/// From the connection to the answer's last byte: the firewall may wait for its disk meanwhile.
const TIMEOUT: Duration = Duration::from_secs(20);
/// To connect.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest answer: a list of as many blocks as there may be.
const ANSWER: usize = 16 << 20;

/// Where an admin server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// An address without brackets, or a name.
    host: String,
    port: u16,
}

impl Address {
    /// `http://host:port`, or `host:port` as in the firewall's own settings.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Address, String> {
        if text.starts_with("https://") {
            return Err(format!("{text}: the admin server speaks plain HTTP, write http://"));
        }
        let plain = text.strip_prefix("http://").unwrap_or(text);
        let plain = plain.strip_suffix('/').unwrap_or(plain);
        let wrong = || format!("`{text}` is no address of an admin server: write http://127.0.0.1:9127");
        let (host, port) = plain.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
        let unwrapped = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match unwrapped {
            Some(host) => host.parse::<Ipv6Addr>().map_err(|_| wrong())?.to_string(),
            None => host.to_owned(),
        };
        let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if host.is_empty() || !(unwrapped.is_some() || host.chars().all(name)) {
            return Err(wrong());
        }
        // Where the firewall listens on every address this machine is one of them.
        let host = match host.parse::<IpAddr>() {
            Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => Ipv4Addr::LOCALHOST.to_string(),
            Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => Ipv6Addr::LOCALHOST.to_string(),
            Ok(_) | Err(_) => host,
        };
        Ok(Address { host, port })
    }

    /// Whether what is sent there stays on this machine, whatever a name server says.
    pub fn is_here(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Why a call came to nothing. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(
        "no admin server at {address}: {source} (is the firewall running? its `admin` setting says where it listens)"
    )]
    Unreachable { address: Address, source: std::io::Error },
    #[error("{0} did not answer within {TIMEOUT:?}")]
    Timeout(Address),
    #[error("{address} does not speak as an admin server does: {problem}")]
    Unspoken { address: Address, problem: String },
    #[error("the token was not accepted: it must be the firewall's admin_token")]
    Token,
    #[error("{error}")]
    Refused { error: String },
    #[error("can't start: {0}")]
    Start(std::io::Error),
}

/// What the admin server answered.
#[derive(Debug)]
pub struct Answer {
    address: Address,
    status: StatusCode,
    body: Vec<u8>,
}

impl Answer {
    /// The JSON of a call that succeeded.
    ///
    /// # Errors
    /// It did not.
    pub fn ok(self) -> Result<Value, Failure> {
        if self.status == StatusCode::UNAUTHORIZED {
            return Err(Failure::Token);
        }
        let unspoken = |problem: String| Failure::Unspoken { address: self.address.clone(), problem };
        let value: Value =
            serde_json::from_slice(&self.body).map_err(|_| unspoken(format!("{} and no JSON", self.status)))?;
        if self.status.is_success() {
            return Ok(value);
        }
        let error = value.get("error").and_then(Value::as_str).ok_or_else(|| unspoken(self.status.to_string()))?;
        Err(Failure::Refused { error: error.chars().filter(|c| !c.is_control()).collect() })
    }
}

/// Makes one call.
///
/// # Errors
/// There is no answer.
pub fn call(
    address: &Address,
    token: &Secret,
    method: &str,
    path: &str,
    body: Option<String>,
) -> Result<Answer, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Start)?;
    runtime.block_on(async {
        let asked = timeout(TIMEOUT, ask(address, token, method, path, body)).await;
        asked.unwrap_or_else(|_| Err(Failure::Timeout(address.clone())))
    })
}

async fn ask(
    address: &Address,
    token: &Secret,
    method: &str,
    path: &str,
    body: Option<String>,
) -> Result<Answer, Failure> {
    let unreachable = |source| Failure::Unreachable { address: address.clone(), source };
    let unspoken = |problem: String| Failure::Unspoken { address: address.clone(), problem };
    let connected = timeout(CONNECT, TcpStream::connect((address.host.as_str(), address.port))).await;
    let socket = connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())).map_err(unreachable)?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(socket)).await.map_err(|error| unspoken(error.to_string()))?;
    // It ends with the answer, or with the runtime.
    tokio::spawn(connection);
    let mut authorization = header::HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        .map_err(|_| unspoken("the token can't stand in a header".to_owned()))?;
    authorization.set_sensitive(true);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, address.to_string())
        .header(header::AUTHORIZATION, authorization)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.unwrap_or_default()))
        .map_err(|error| unspoken(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(|error| unspoken(error.to_string()))?;
    let status = response.status();
    let body = to_bytes(Body::new(response.into_body()), ANSWER).await.map_err(|error| unspoken(error.to_string()))?;
    Ok(Answer { address: address.clone(), status, body: body.into() })
}
