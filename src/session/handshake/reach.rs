//! To a server that answers the startup packet: one host, address and leg after the other.

use tokio::time::timeout_at;

use crate::config::TargetSessionAttrs;
use crate::net::{ConnectError, Connected, Connector, Destination, TlsInfo, Ways, late_alert};
use crate::session::auth::{Fatal, Frame, LoginEnd, Peer, PeerError};
use crate::session::handshake::Why;
use crate::session::handshake::target::{self, Unfit};
use crate::wire::startup::Negotiation;
use crate::wire::{backend, sqlstate};

/// A server that has read the startup packet.
#[derive(Debug)]
pub(in crate::session) struct Answered {
    pub server: Peer,
    pub destination: Destination,
    pub tls: Option<TlsInfo>,
    pub negotiation: Option<Negotiation>,
    /// Its first frame besides NegotiateProtocolVersion.
    pub first: Frame,
}

/// The way through the hosts, addresses and legs of an upstream.
#[derive(Debug)]
pub(in crate::session) struct Route<'a> {
    connector: &'a Connector,
    ways: Ways<'a>,
    wanted: TargetSessionAttrs,
    packet: &'a [u8],
}

impl<'a> Route<'a> {
    pub(in crate::session) fn new(connector: &'a Connector, packet: &'a [u8]) -> Route<'a> {
        Route { connector, ways: connector.ways(), wanted: connector.wanted(), packet }
    }

    /// Connects and sends the startup packet, to one host and address after the other as libpq does. Under `allow` and
    /// `prefer` a server whose first answer is an error is asked once more the other way.
    pub(in crate::session) async fn answer(&mut self) -> Result<Answered, Why> {
        loop {
            let Connected { stream, destination, tls } = match self.ways.connect().await {
                Ok(connected) => connected,
                Err(_) if self.ways.exhausted() && self.second_pass() => continue,
                Err(error) => return Err(Why::Unreachable { error }),
            };
            let mut server = Peer::new(stream);
            let answer = async {
                server.send(self.packet).await.map_err(Why::ServerGone)?;
                first_answer(&mut server).await
            };
            let (negotiation, first) = match timeout_at(self.ways.until(), answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(why)) => return Err(gone(why, &destination)),
                Err(_) => {
                    self.ways.silent(&destination);
                    continue;
                }
            };
            let goes_on = first.kind == backend::ERROR_RESPONSE
                && if sqlstate_of(&first) == sqlstate::CANNOT_CONNECT_NOW.as_bytes() {
                    self.ways.next_host() || self.second_pass()
                } else {
                    self.ways.other_leg(&destination)
                };
            if !goes_on {
                return Ok(Answered { server, destination, tls, negotiation, first });
            }
        }
    }

    /// `prefer-standby`: where no standby is there any server will do, from the first host on.
    fn second_pass(&mut self) -> bool {
        let first = self.wanted == TargetSessionAttrs::PreferStandby;
        if first {
            self.wanted = TargetSessionAttrs::Any;
            self.ways = self.connector.ways();
        }
        first
    }

    /// Whether a server that took the login is of the kind that is wanted. One that is not is left, and the next
    /// [`Route::answer`] is that of the next host.
    ///
    /// # Errors
    /// The server went away.
    pub(in crate::session) async fn suits(
        &mut self,
        server: &mut Peer,
        destination: &Destination,
    ) -> Result<bool, Why> {
        let what = match target::look(server, self.wanted).await.map_err(Why::ServerGone)? {
            // An error behind AuthenticationOk is for the client to read, as with libpq.
            Ok(()) | Err(Unfit::Ended) => return Ok(true),
            Err(Unfit::Is(what)) => what,
            Err(Unfit::Silent) => "does not say what it is (PostgreSQL before 14)",
        };
        // Politely, or not: it is left in any case.
        let _ = server.send(&TERMINATE).await;
        let address = destination.address.clone();
        self.ways.reject(ConnectError::WrongKind { address, what, wanted: self.wanted });
        Ok(false)
    }
}

/// The `X` of who leaves.
const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];

fn sqlstate_of(error: &Frame) -> &[u8] {
    backend::error_fields(error.body()).find(|(kind, _)| *kind == b'C').map(|(_, value)| value).unwrap_or_default()
}

/// Where the server left with an alert of TLS, that says more than that it left.
fn gone(why: Why, destination: &Destination) -> Why {
    match &why {
        Why::ServerGone(PeerError::Io(error)) => {
            late_alert(&destination.address, error).map_or(why, |error| Why::Unreachable { error })
        }
        _ => why,
    }
}

async fn first_answer(server: &mut Peer) -> Result<(Option<Negotiation>, Frame), Why> {
    let frame = server.frame().await.map_err(Why::ServerGone)?;
    if frame.kind != b'v' {
        return Ok((None, frame));
    }
    let Some(negotiation) = Negotiation::parse(frame.body()) else {
        let message = "the upstream server sent an invalid NegotiateProtocolVersion";
        return Err(LoginEnd::from(Fatal::new(sqlstate::PROTOCOL_VIOLATION, message)).into());
    };
    Ok((Some(negotiation), server.frame().await.map_err(Why::ServerGone)?))
}

#[cfg(test)]
mod tests;
