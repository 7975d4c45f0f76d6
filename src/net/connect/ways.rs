//! The ways to a server, one after the other: hosts, the addresses of each, and at each address plain or TLS.
//!
//! As libpq's `PQconnectPoll` goes on: a name that does not resolve, to the next host; a socket that can't be opened and an
//! address that is silent for too long, to the next address; a TLS handshake that failed, and an ErrorResponse to the startup
//! packet, to the other leg of `allow` and `prefer`; a server that can't take connections now (57P03), to the next host. All
//! else ends it: a certificate that is not accepted and a login that is refused would be hidden, or repeated, by going on.

use std::collections::VecDeque;

use rand::seq::SliceRandom;
use tokio::time::Instant;

use crate::config::SslMode;
use crate::net::connect::{Connected, Connector, Destination};
use crate::net::{ConnectError, Endpoint, Leg};

/// What is left to try.
#[derive(Debug)]
pub struct Ways<'a> {
    connector: &'a Connector,
    hosts: VecDeque<usize>,
    /// Of the host at hand.
    addresses: VecDeque<(usize, Endpoint)>,
    /// At the address at hand.
    legs: VecDeque<Destination>,
    /// How the last connection was to be.
    asked: Leg,
    /// The address at hand has until then.
    until: Instant,
    failed: Vec<ConnectError>,
    exhausted: bool,
}

impl<'a> Ways<'a> {
    pub(super) fn new(connector: &'a Connector, mut hosts: Vec<usize>) -> Ways<'a> {
        if connector.shuffle {
            hosts.shuffle(&mut rand::rng());
        }
        Ways {
            connector,
            hosts: hosts.into(),
            addresses: VecDeque::new(),
            legs: VecDeque::new(),
            asked: Leg::Plain,
            until: Instant::now(),
            failed: Vec::new(),
            exhausted: false,
        }
    }

    /// To one address.
    pub(super) fn at(connector: &'a Connector, host: usize, address: Endpoint) -> Ways<'a> {
        Ways { addresses: VecDeque::from([(host, address)]), ..Ways::new(connector, Vec::new()) }
    }

    /// Connects by the next way that can be gone.
    ///
    /// # Errors
    /// What ends it, or why each of the ways failed.
    pub async fn connect(&mut self) -> Result<Connected, ConnectError> {
        loop {
            let way = self.next().await?;
            self.asked = way.leg;
            // With TLS under `allow` and `prefer` a server without TLS is used plain.
            let plain_will_do = self.connector.sslmode < SslMode::Require;
            match self.connector.open(&way, self.until, plain_will_do).await {
                Ok(connected) => return Ok(connected),
                Err(error) => match error {
                    ConnectError::Resolve { .. } | ConnectError::Tcp { .. } | ConnectError::Timeout { .. } => {
                        self.give_up_address(error);
                    }
                    ConnectError::Certificate { .. }
                    | ConnectError::Alert { .. }
                    | ConnectError::Handshake { .. }
                    | ConnectError::Direct { .. }
                    | ConnectError::NoAlpn { .. }
                        if !self.legs.is_empty() =>
                    {
                        self.failed.push(error);
                    }
                    ConnectError::Certificate { .. }
                    | ConnectError::Alert { .. }
                    | ConnectError::Handshake { .. }
                    | ConnectError::Direct { .. }
                    | ConnectError::NoAlpn { .. }
                    | ConnectError::TlsNotOffered { .. }
                    | ConnectError::ErrorBeforeTls { .. }
                    | ConnectError::Closed { .. }
                    | ConnectError::NotPostgres { .. }
                    | ConnectError::NotTls { .. }
                    | ConnectError::TlsDisabled
                    | ConnectError::WrongKind { .. }
                    | ConnectError::Each(_) => return Err(self.together(error)),
                },
            }
        }
    }

    /// When the server's first answer to the startup packet must be there.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// The address at hand did not answer in time: whatever is said of it, the next one is tried.
    pub fn silent(&mut self, connected: &Destination) {
        let error = ConnectError::Timeout { address: connected.address.clone(), after: self.connector.timeout };
        self.give_up_address(error);
    }

    /// Whether the same address is to be tried by its other leg, after an ErrorResponse. Not where the server chose the leg
    /// itself, by its `N`.
    pub fn other_leg(&self, connected: &Destination) -> bool {
        connected.leg == self.asked && !self.legs.is_empty()
    }

    /// Leaves the host at hand, with its other addresses, if there is another one.
    pub fn next_host(&mut self) -> bool {
        let another = !self.hosts.is_empty();
        if another {
            self.addresses.clear();
            self.legs.clear();
        }
        another
    }

    /// The host at hand is none that will do, whatever its other addresses are.
    pub fn reject(&mut self, error: ConnectError) {
        self.failed.push(error);
        self.addresses.clear();
        self.legs.clear();
    }

    /// Whether every way was tried; not where something ended it before.
    pub fn exhausted(&self) -> bool {
        self.exhausted
    }

    fn give_up_address(&mut self, error: ConnectError) {
        self.failed.push(error);
        self.legs.clear();
    }

    async fn next(&mut self) -> Result<Destination, ConnectError> {
        loop {
            if let Some(way) = self.legs.pop_front() {
                return Ok(way);
            }
            if let Some((host, address)) = self.addresses.pop_front() {
                let legs = self.connector.legs(&address).iter();
                self.legs = legs.map(|leg| Destination { address: address.clone(), host, leg: *leg }).collect();
                self.until = Instant::now() + self.connector.timeout;
                continue;
            }
            let Some(host) = self.hosts.pop_front() else {
                self.exhausted = true;
                return Err(self.all());
            };
            match self.connector.addresses(host).await {
                Ok(mut addresses) => {
                    if self.connector.shuffle {
                        addresses.shuffle(&mut rand::rng());
                    }
                    self.addresses = addresses.into_iter().map(|address| (host, address)).collect();
                }
                Err(error) => self.failed.push(error),
            }
        }
    }

    /// With what failed before.
    fn together(&mut self, error: ConnectError) -> ConnectError {
        self.failed.push(error);
        self.all()
    }

    fn all(&mut self) -> ConnectError {
        let mut failed = std::mem::take(&mut self.failed);
        match (failed.pop(), failed.is_empty()) {
            (Some(only), true) => only,
            (Some(last), false) => {
                failed.push(last);
                ConnectError::Each(failed)
            }
            // `Upstream` has a host at least: nothing left means that something failed.
            (None, _) => ConnectError::Each(Vec::new()),
        }
    }
}
