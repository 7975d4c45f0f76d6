//! Who a session is, and how it came.

use std::net::IpAddr;
use std::sync::Arc;

/// Who a session is, as the server normalises its startup packet, and how it came.
#[derive(Debug, Clone)]
pub struct Identity {
    pub user: String,
    pub database: String,
    pub address: IpAddr,
    pub tls: bool,
    /// A walsender session (`replication` is true or `database`).
    pub replication: bool,
    /// By which door.
    pub arrival: Arrival,
}

/// How a client came, besides its address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Arrival {
    /// The name of the listener.
    pub listener: Arc<str>,
    /// What it proved to be by a TLS certificate. None: it showed none.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// The operating system's user at the other end of a Unix socket. None: it came over TCP.
    pub os_user: Option<Arc<str>>,
}

/// Who a client's certificate, signed by a trusted authority, says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// The subject's common name. None: it has none, or several, of which none is the one that was meant.
    pub cn: Option<String>,
    /// The subjectAltNames: DNS names, e-mail addresses, URIs, IP addresses.
    pub san: Vec<String>,
}

impl Identity {
    /// Where it comes from, as PostgreSQL tells it: an address, or `[local]` for a Unix socket.
    pub fn origin(&self) -> String {
        match self.arrival.os_user {
            Some(_) => "[local]".to_owned(),
            None => self.address.to_canonical().to_string(),
        }
    }
}
