//! Sockets as PostgreSQL has them: TCP, and Unix sockets on the same machine.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, UnixStream};

use crate::config::Keepalives;
use crate::net::{ask_silent, held};

/// A connected socket.
#[derive(Debug)]
pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// An address that a name resolved to, or that was written as one.
    Tcp(SocketAddr),
    /// The socket's file, `/run/postgresql/.s.PGSQL.5432`.
    Unix(Arc<Path>),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(address) => address.fmt(f),
            Endpoint::Unix(path) => path.display().fmt(f),
        }
    }
}

/// Where a client comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Its address, or what a trusted load balancer says is its address.
    Tcp(SocketAddr),
    /// This machine.
    Unix,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Tcp(address) => address.fmt(f),
            // As PostgreSQL's logs have it.
            Origin::Unix => f.write_str("[local]"),
        }
    }
}

impl Origin {
    /// The address; a Unix socket's client is on this machine, and counts as 127.0.0.1. An IPv4 address in IPv6 clothes
    /// is IPv4.
    pub fn ip(&self) -> IpAddr {
        match self {
            Origin::Tcp(address) => address.ip().to_canonical(),
            Origin::Unix => IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }
}

/// What counts as one where addresses are counted: of IPv6 the network (/64, RFC 4291 §2.5.4), whose hosts choose the rest of it
/// at will; of IPv4, also in IPv6 clothes, the address.
pub fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Endpoint {
    /// Whether the way there never leaves this machine.
    pub fn is_private(&self) -> bool {
        match self {
            Endpoint::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Endpoint::Unix(_) => true,
        }
    }

    /// Connects to a server, without any TLS: small messages go out at once, and one that vanished without a word is noticed
    /// as the upstream's URL says.
    ///
    /// # Errors
    /// The system's.
    pub async fn connect_with(&self, keepalives: &Keepalives) -> io::Result<Socket> {
        let address = match self {
            Endpoint::Tcp(address) => *address,
            // Both sides are on this machine: its kernel knows when one is gone.
            Endpoint::Unix(_) => return self.connect().await,
        };
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_nodelay(true)?;
        socket.set_keepalive(keepalives.on)?;
        ask_silent(&socket, &keepalives.how)?;
        let started = Instant::now();
        let socket = socket.connect(address).await?;
        held::for_server(&socket, started.elapsed())?;
        Ok(Socket::Tcp(socket))
    }

    /// Connects, without any TLS.
    ///
    /// # Errors
    /// The system's.
    pub async fn connect(&self) -> io::Result<Socket> {
        match self {
            Endpoint::Tcp(address) => TcpStream::connect(address).await.map(Socket::Tcp),
            Endpoint::Unix(path) => UnixStream::connect(path).await.map(Socket::Unix),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(socket) => Pin::new(socket).poll_read(cx, buf),
            Socket::Unix(socket) => Pin::new(socket).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp(socket) => Pin::new(socket).poll_write(cx, buf),
            Socket::Unix(socket) => Pin::new(socket).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(socket) => Pin::new(socket).poll_flush(cx),
            Socket::Unix(socket) => Pin::new(socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Socket::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
            Socket::Unix(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Socket::Tcp(socket) => socket.is_write_vectored(),
            Socket::Unix(socket) => socket.is_write_vectored(),
        }
    }
}
