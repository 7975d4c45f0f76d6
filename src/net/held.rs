//! How much the kernel holds for the server. By itself it would take some megabytes from a client while the server does not
//! read, and a COPY or a batch that fails in the middle goes on for as long as somebody takes its rows: on a direct connection
//! it stops earlier.

use std::io;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::TcpStream;

/// For a server on this machine, in bytes (Linux doubles it, for its own book-keeping). Some segments of the loopback interface, which
/// has 64 KiB in each: with less the server's kernel delays its acknowledgements, and 10 MB took ten times as long.
const WITHIN_MACHINE: usize = 128 << 10;

/// For any other server.
const LEAST: u128 = 32 << 10;

/// From here on the kernel's own measure is no worse.
const MOST: u128 = 2 << 20;

/// How fast a COPY may come to a server at a distance: 64 MB in a second are 64 bytes in a microsecond.
const BYTES_PER_MICROSECOND: u128 = 64;

/// Bounds what waits for the server. What a connection needs grows with the time to the server and back, for which the time
/// that connecting took stands.
///
/// # Errors
/// The socket is gone.
pub fn for_server(socket: &TcpStream, connecting: Duration) -> io::Result<()> {
    let needed = if socket.peer_addr()?.ip().to_canonical().is_loopback() {
        Some(WITHIN_MACHINE)
    } else {
        at_distance(connecting)
    };
    if let Some(needed) = needed {
        sockopt::set_socket_send_buffer_size(socket, needed)?;
    }
    Ok(())
}

/// None where the kernel may do as it likes.
fn at_distance(connecting: Duration) -> Option<usize> {
    let needed = connecting.as_micros().saturating_mul(BYTES_PER_MICROSECOND).max(LEAST);
    usize::try_from(needed).ok().filter(|_| needed < MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_waits_for_a_server_on_this_machine_is_bounded() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (server, _client) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let server = server.unwrap();
        for_server(&server, Duration::from_secs(1)).unwrap();
        assert!((WITHIN_MACHINE..=2 * WITHIN_MACHINE).contains(&sockopt::socket_send_buffer_size(&server).unwrap()));
    }

    #[test]
    fn a_server_at_a_distance_gets_what_its_distance_needs() {
        assert_eq!(at_distance(Duration::from_micros(100)), Some(32 << 10));
        assert_eq!(at_distance(Duration::from_millis(2)), Some(128_000));
        assert_eq!(at_distance(Duration::from_millis(50)), None);
    }
}
