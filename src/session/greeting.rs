//! The first packets of a client, until it is clear what it wants: who it really is behind a load balancer, TLS, and then a
//! startup packet or a CancelRequest.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::config::{ClientTlsMode, Keepalive, Listener};
use crate::net::{Acceptor, Origin, Socket, Stream, keep_alive, tune};
use crate::policy::{Arrival, ClientCertificate};
use crate::session::handshake::{Why, tell};
use crate::session::handshakes::Place;
use crate::wire::proxy_header;
use crate::wire::reply::{self, Severity};
use crate::wire::startup::{self, CancelKey, FirstPacket, Startup, StartupError};

/// A client as it was accepted.
#[derive(Debug)]
pub struct Client {
    pub socket: Socket,
    /// Who connected: a load balancer, perhaps.
    pub origin: Origin,
    pub listener: Arc<Listener>,
}

/// How a client came that wants a session.
#[derive(Debug)]
pub struct Came {
    pub origin: Origin,
    pub arrival: Arrival,
    /// The listener takes nobody without TLS.
    pub demands_tls: bool,
    /// Nothing of the leg leaves this machine.
    pub stays_here: bool,
}

/// What it wants.
#[derive(Debug)]
pub enum Greeted {
    Startup {
        stream: Stream,
        startup: Startup,
        came: Came,
    },
    Cancel {
        stream: Stream,
        key: CancelKey,
    },
    /// It closed before its first byte.
    Closed,
}

/// The first byte of a TLS handshake (RFC 8446 §5.1, ContentType). As a startup packet it would be one of 352 MiB.
const TLS_HANDSHAKE: u8 = 0x16;

/// Reads first packets until one is not about encryption. Every read takes exactly one packet, so nothing that a client
/// (or somebody before it) sent in the clear behind an SSLRequest can be taken for something said inside TLS: it stays in
/// the socket and breaks the TLS handshake (CVE-2021-23214).
///
/// # Errors
/// [`Why`]; where the server would say something, the client was told.
pub async fn greet(
    client: Client,
    place: &Place,
    acceptor: Option<&Acceptor>,
    keepalive: &Keepalive,
) -> Result<Greeted, Why> {
    let Client { mut socket, mut origin, listener } = client;
    let from_here = is_here(&origin);
    tune(&socket).map_err(Why::ClientGone)?;
    keep_alive(&socket, keepalive).map_err(Why::ClientGone)?;
    if listener.proxy_protocol.iter().any(|network| network.contains(origin.ip())) {
        match proxied(&mut socket).await? {
            None => return Ok(Greeted::Closed),
            // It speaks for itself.
            Some(None) => {}
            Some(Some(source)) => {
                origin = Origin::Tcp(source);
                place.is_from(&origin);
            }
        }
    }
    let acceptor = acceptor.filter(|_| listener.client_tls != ClientTlsMode::Disable);
    let (mut tls_answered, mut gss_answered) = (false, false);
    let mut stream = match acceptor {
        Some(acceptor) if begins_with_tls(&socket).await? => {
            let stream = acceptor.accept(socket, listener.client_cert).await.map_err(Why::ClientTls)?;
            // As the server: or somebody else's client could be led to speak to us (ALPACA, <https://alpaca-attack.com>).
            if !stream.agreed_on_postgresql() {
                return Err(Why::NoAlpn);
            }
            stream
        }
        Some(_) | None => Stream::Plain(socket),
    };
    loop {
        let body = match packet(&mut stream).await {
            Ok(Some(body)) => body,
            Ok(None) => return Ok(Greeted::Closed),
            Err(Why::Startup(error)) => return refuse_startup(stream, error).await,
            Err(why) => return Err(why),
        };
        // As in the server, each kind of encryption is asked for once, and none inside another.
        match startup::parse(&body) {
            Ok(FirstPacket::SslRequest) if !tls_answered => {
                tls_answered = true;
                stream = match (stream, acceptor) {
                    (Stream::Plain(mut socket), Some(acceptor)) => {
                        gss_answered = true;
                        socket.write_all(b"S").await.map_err(Why::ClientGone)?;
                        acceptor.accept(socket, listener.client_cert).await.map_err(Why::ClientTls)?
                    }
                    (mut stream, _) => {
                        stream.write_all(b"N").await.map_err(Why::ClientGone)?;
                        stream
                    }
                };
            }
            Ok(FirstPacket::GssEncRequest) if !gss_answered => {
                gss_answered = true;
                stream.write_all(b"N").await.map_err(Why::ClientGone)?;
            }
            // The second time the server reads the code as a version, 1234.5679 or 1234.5680.
            Ok(FirstPacket::SslRequest) => {
                return refuse_startup(stream, StartupError::Version { major: 1234, minor: 5679 }).await;
            }
            Ok(FirstPacket::GssEncRequest) => {
                return refuse_startup(stream, StartupError::Version { major: 1234, minor: 5680 }).await;
            }
            Ok(FirstPacket::Cancel(key)) => return Ok(Greeted::Cancel { stream, key }),
            Ok(FirstPacket::Startup(startup)) => {
                let arrival = Arrival {
                    listener: Arc::clone(&listener.name),
                    certificate: stream
                        .peer_names()
                        .map(|names| Arc::new(ClientCertificate { cn: names.cn, san: names.san })),
                    os_user: os_user(&stream).await?,
                };
                let demands_tls = listener.client_tls == ClientTlsMode::Require;
                // A load balancer elsewhere may name its own 127.0.0.1.
                let stays_here = from_here && is_here(&origin);
                return Ok(Greeted::Startup {
                    stream,
                    startup,
                    came: Came { origin, arrival, demands_tls, stays_here },
                });
            }
            Err(error) => return refuse_startup(stream, error).await,
        }
    }
}

fn is_here(origin: &Origin) -> bool {
    origin.ip().is_loopback()
}

/// Says why where the server would, and ends; without a word where the server has none.
async fn refuse_startup(mut stream: Stream, error: StartupError) -> Result<Greeted, Why> {
    let words = error
        .sqlstate()
        .map(|sqlstate| reply::error(Severity::Fatal, sqlstate, &error.to_string(), None, error.hint()))
        .unwrap_or_default();
    tell(&mut stream, &words).await;
    Err(Why::Startup(error))
}

/// Reads one first packet, no byte more; `None` if the client closed before its first byte.
pub(super) async fn packet(stream: &mut Stream) -> Result<Option<Vec<u8>>, Why> {
    let mut word = [0u8; 4];
    let (first, rest) = word.split_at_mut(1);
    if stream.read(first).await.map_err(Why::ClientGone)? == 0 {
        return Ok(None);
    }
    stream.read_exact(rest).await.map_err(Why::ClientGone)?;
    // At most MAX_STARTUP_PACKET_LENGTH bytes, so that the declared length may be trusted with memory.
    let mut body = vec![0u8; startup::body_length(word)?];
    stream.read_exact(&mut body).await.map_err(Why::ClientGone)?;
    Ok(Some(body))
}

/// Whether the client's first byte, which stays where it is, is TLS's (`sslnegotiation=direct`).
async fn begins_with_tls(socket: &Socket) -> Result<bool, Why> {
    let Socket::Tcp(socket) = socket else { return Ok(false) };
    let mut byte = [0];
    let read = socket.peek(&mut byte).await.map_err(Why::ClientGone)?;
    Ok(read > 0 && byte == [TLS_HANDSHAKE])
}

/// Reads a PROXY protocol header, no byte more. The outer None: the other side closed before its first byte. The inner: it
/// speaks for itself.
async fn proxied(socket: &mut Socket) -> Result<Option<Option<SocketAddr>>, Why> {
    let mut start = [0; proxy_header::HEADER];
    let (first, rest) = start.split_at_mut(1);
    if socket.read(first).await.map_err(Why::ClientGone)? == 0 {
        return Ok(None);
    }
    socket.read_exact(rest).await.map_err(Why::ClientGone)?;
    let start = proxy_header::Start::parse(&start)?;
    let mut rest = vec![0; start.rest];
    socket.read_exact(&mut rest).await.map_err(Why::ClientGone)?;
    Ok(Some(start.source(&rest)?))
}

/// The operating system's user at the other end of a Unix socket, as the kernel tells it. One without a name is its number.
async fn os_user(stream: &Stream) -> Result<Option<Arc<str>>, Why> {
    let Socket::Unix(socket) = stream.socket() else { return Ok(None) };
    let uid = socket.peer_cred().map_err(Why::ClientGone)?.uid();
    // The system may ask a directory service.
    let name = tokio::task::spawn_blocking(move || {
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten();
        user.map_or_else(|| uid.to_string(), |user| user.name)
    });
    let name = name.await.map_err(|error| Why::ClientGone(std::io::Error::other(error)))?;
    Ok(Some(name.into()))
}
