//! Placeholder: the net worker's file.
use crate::net::{Leg, Stream};
use crate::policy::{Identity, SessionPolicy};
use crate::session::Shared;
use crate::wire::startup::CancelKey;
use bytes::BytesMut;
/// x
#[derive(Debug)]
pub struct Established { pub client: Stream, pub client_buffer: BytesMut, pub upstream: Stream, pub upstream_buffer: BytesMut, pub upstream_address: std::net::SocketAddr, pub upstream_leg: Leg, pub identity: Identity, pub policy: SessionPolicy }
/// x
#[derive(Debug)]
pub enum Opened { Session(Established), Cancel { key: CancelKey, client: Stream } }
/// x
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct HandshakeEnd;
/// x
pub async fn establish(_: tokio::net::TcpStream, _: std::net::SocketAddr, _: &Shared) -> Result<Opened, HandshakeEnd> { Err(HandshakeEnd) }
