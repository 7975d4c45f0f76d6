//! Sockets that clients connect to.

use std::future::poll_fn;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixSocket};

use crate::config::ListenAt;
use crate::net::{Origin, Socket};

/// So many clients may have connected and not be accepted yet; the kernel makes it no more than net.core.somaxconn. With the 128
/// of the standard library a thousand clients that come at once wait for the second time that their SYN is sent.
const BACKLOG: u32 = 4096;

/// A socket that is bound.
#[derive(Debug)]
pub enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// A Unix socket's file, which goes when its socket does.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another process may have taken the place meanwhile: its file is not ours to remove.
        if std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Listening {
    /// Binds. The file that a process left behind when it was killed is replaced.
    ///
    /// # Errors
    /// The system's; `AddrInUse` also for a socket's file behind which somebody listens, and for a file that is no socket.
    pub async fn bind(at: &ListenAt) -> io::Result<Listening> {
        match at {
            ListenAt::Tcp(address) => {
                let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
                // Or a restart would fail for as long as sessions of the last process are in TIME_WAIT.
                socket.set_reuseaddr(true)?;
                socket.bind(*address)?;
                socket.listen(BACKLOG).map(Listening::Tcp)
            }
            ListenAt::Unix { path, permissions } => {
                remove_stale(path).await?;
                let (socket, file) = place(path, *permissions)?;
                Ok(Listening::Unix(socket.listen(BACKLOG)?, file))
            }
        }
    }

    /// The address, with the port that the system chose for port 0; none for a Unix socket.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<Option<std::net::SocketAddr>> {
        match self {
            Listening::Tcp(listener) => listener.local_addr().map(Some),
            Listening::Unix(..) => Ok(None),
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Socket, Origin)>> {
        match self {
            Listening::Tcp(listener) => {
                listener.poll_accept(cx).map_ok(|(socket, address)| (Socket::Tcp(socket), Origin::Tcp(address)))
            }
            Listening::Unix(listener, _) => {
                listener.poll_accept(cx).map_ok(|(socket, _)| (Socket::Unix(socket), Origin::Unix))
            }
        }
    }
}

/// The next client of any of them, with the number of the one it came by. `turn` sees to it that none waits for the others.
///
/// # Errors
/// The system's.
pub async fn accept(listening: &[Listening], turn: &mut usize) -> io::Result<(Socket, Origin, usize)> {
    *turn = turn.wrapping_add(1);
    let first = *turn;
    poll_fn(|cx| {
        for offset in 0..listening.len() {
            let number = first.wrapping_add(offset) % listening.len();
            let Some(one) = listening.get(number) else { continue };
            if let Poll::Ready(accepted) = one.poll_accept(cx) {
                return Poll::Ready(accepted.map(|(socket, origin)| (socket, origin, number)));
            }
        }
        Poll::Pending
    })
    .await
}

/// The socket's file, to which nobody can connect yet: before anybody can, it has its permissions, not those of the umask.
fn place(path: &Path, permissions: u32) -> io::Result<(UnixSocket, SocketFile)> {
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let file = SocketFile { path: path.to_owned(), inode: std::fs::symlink_metadata(path)?.ino() };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(permissions))?;
    Ok((socket, file))
}

async fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let dead = found.file_type().is_socket()
        && matches!(
            tokio::net::UnixStream::connect(path).await,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused
        );
    if dead { std::fs::remove_file(path) } else { Err(io::ErrorKind::AddrInUse.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_unix_socket_is_taken_over_from_the_dead_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".s.PGSQL.6432");
        let at = ListenAt::Unix { path: path.clone(), permissions: 0o700 };
        let first = Listening::bind(&at).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(Listening::bind(&at).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert!(!path.exists());

        // What a killed process leaves.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let second = Listening::bind(&at).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "somebody else's").unwrap();
        drop(second);
        assert!(path.exists(), "not ours any more");
        assert_eq!(Listening::bind(&at).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "somebody else's");
    }

    #[tokio::test]
    async fn nobody_can_connect_before_the_permissions_are_set() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".s.PGSQL.6432");
        let (socket, _file) = place(&path, 0o600).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let refused = tokio::net::UnixStream::connect(&path).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let _listener = socket.listen(BACKLOG).unwrap();
        tokio::net::UnixStream::connect(&path).await.unwrap();
    }

    /// A client for whom there is no room waits for its kernel to try again, for ever here; over a Unix socket it fails.
    #[tokio::test]
    async fn many_clients_may_come_before_one_is_accepted() {
        let most: usize = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".s.PGSQL.6432");
        let _unix = Listening::bind(&ListenAt::Unix { path: path.clone(), permissions: 0o700 }).await.unwrap();
        let tcp = Listening::bind(&ListenAt::Tcp(([127, 0, 0, 1], 0).into())).await.unwrap();
        let address = tcp.address().unwrap().unwrap();
        for endpoint in [crate::net::Endpoint::Tcp(address), crate::net::Endpoint::Unix(path.as_path().into())] {
            let all = async {
                let mut waiting = Vec::new();
                for _ in 0..most.min(200) {
                    waiting.push(endpoint.connect().await.unwrap());
                }
            };
            tokio::time::timeout(std::time::Duration::from_secs(30), all).await.unwrap();
        }
    }

    #[tokio::test]
    async fn every_socket_gets_its_turn() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".s.PGSQL.6432");
        let unix = Listening::bind(&ListenAt::Unix { path: path.clone(), permissions: 0o700 }).await.unwrap();
        let tcp = Listening::bind(&ListenAt::Tcp(([127, 0, 0, 1], 0).into())).await.unwrap();
        let address = tcp.address().unwrap().unwrap();
        let listening = [tcp, unix];
        let mut waiting = Vec::new();
        for _ in 0..4 {
            waiting.push(crate::net::Endpoint::Tcp(address).connect().await.unwrap());
            waiting.push(crate::net::Endpoint::Unix(path.as_path().into()).connect().await.unwrap());
        }
        let mut turn = 0;
        let mut came = Vec::new();
        for _ in 0..8 {
            let (_, origin, number) = accept(&listening, &mut turn).await.unwrap();
            assert_eq!(number == 1, matches!(origin, Origin::Unix));
            came.push(number);
        }
        assert_eq!(came.iter().filter(|number| **number == 0).count(), 4);
        assert!(came[..4].contains(&0) && came[..4].contains(&1), "{came:?}");
    }
}
