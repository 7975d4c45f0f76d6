//! Streams: plain or TLS, towards clients ([`accept`]) and towards the server ([`connect`]).

pub mod accept;
mod authorities;
pub mod certificate;
pub mod connect;
mod held;
mod legs;
pub mod listen;
pub mod resolve;
mod revocation;
mod socket;
mod verifier;

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

use crate::config::Keepalive;
pub use accept::{Acceptor, TlsFileError};
pub use certificate::not_after;
pub(crate) use connect::late_alert;
pub use connect::{
    CertificateProblem, ConnectError, Connected, Connector, Destination, Ends, Leg, Probed, TlsInfo, Ways,
};
pub use legs::Legs;
pub use listen::Listening;
pub use socket::{Endpoint, Origin, Socket, counted_as};

/// One leg of a session.
#[derive(Debug)]
pub enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl Stream {
    /// `"none"`, `"TLSv1.2"` or `"TLSv1.3"`: the metric label.
    pub fn tls_version(&self) -> &'static str {
        match self {
            Stream::Plain(_) => "none",
            Stream::Tls(stream) => version_label(stream.get_ref().1.protocol_version()),
        }
    }

    /// Whether what goes over it is encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self, Stream::Tls(_))
    }

    /// The names in the certificate that the other side showed, if it did. It was verified in the handshake.
    pub fn peer_names(&self) -> Option<certificate::Names> {
        match self {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => stream.get_ref().1.peer_certificates()?.first().map(certificate::names),
        }
    }

    /// Whether both sides agreed in the TLS handshake that PostgreSQL is spoken (ALPN).
    pub fn agreed_on_postgresql(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
            Stream::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(accept::ALPN),
        }
    }

    /// The socket below, for its addresses and options.
    pub fn socket(&self) -> &Socket {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => stream.get_ref().0,
        }
    }
}

fn version_label(version: Option<rustls::ProtocolVersion>) -> &'static str {
    match version {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        // rustls speaks these two only.
        _ => "TLSv1.2",
    }
}

/// Asks a silent peer as these settings say.
///
/// # Errors
/// The socket is gone.
pub fn keep_alive(socket: &Socket, settings: &Keepalive) -> io::Result<()> {
    let Socket::Tcp(socket) = socket else { return Ok(()) };
    ask_silent(socket, settings)
}

fn ask_silent(socket: impl AsFd, settings: &Keepalive) -> io::Result<()> {
    if let Some(idle) = settings.idle {
        sockopt::set_tcp_keepidle(&socket, idle)?;
    }
    if let Some(interval) = settings.interval {
        sockopt::set_tcp_keepintvl(&socket, interval)?;
    }
    if let Some(count) = settings.count {
        sockopt::set_tcp_keepcnt(&socket, count)?;
    }
    if let Some(timeout) = settings.user_timeout {
        sockopt::set_tcp_user_timeout(&socket, u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX))?;
    }
    Ok(())
}

/// Small messages go out at once, and a peer that vanished without a word is noticed.
///
/// # Errors
/// The socket is gone.
pub fn tune(socket: &Socket) -> io::Result<()> {
    match socket {
        Socket::Tcp(socket) => {
            socket.set_nodelay(true)?;
            sockopt::set_socket_keepalive(socket, true)?;
        }
        // Both sides are on this machine: its kernel knows when one is gone.
        Socket::Unix(_) => {}
    }
    Ok(())
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
