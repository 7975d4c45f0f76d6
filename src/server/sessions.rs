//! One task for each client: accepting, containing panics, and letting them end when the proxy stops.

use std::future::Future;
use std::io;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::metrics::Metrics;
use crate::net::{Listening, Origin, Socket, listen};
use crate::server::Phase;
use crate::session::relay::Ending;

/// After an error of `accept` that will not go away by itself at once (too many open files, no memory).
const BACK_OFF: Duration = Duration::from_millis(100);
/// Such errors are logged at most this often.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// Sessions that are told to end have this long to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Accepts clients, one task each, until `stop`, and closes the sockets. No error ends it.
pub(super) async fn accept<Serve, Session>(
    listening: Vec<Listening>,
    serve: Serve,
    metrics: &Metrics,
    sessions: &mut JoinSet<()>,
    stop: impl Future<Output = ()>,
) where
    Serve: Fn(Socket, Origin, usize) -> Session,
    Session: Future<Output = ()> + Send + 'static,
{
    let mut logged: Option<Instant> = None;
    let mut turn = 0;
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => return,
            Some(ended) = sessions.join_next() => note(ended, metrics),
            accepted = listen::accept(&listening, &mut turn) => match accepted {
                Ok((socket, origin, number)) => {
                    sessions.spawn(serve(socket, origin, number));
                }
                Err(error) => {
                    metrics.accept_error();
                    if logged.is_none_or(|at| at.elapsed() > LOG_EVERY) {
                        logged = Some(Instant::now());
                        tracing::error!(%error, "a client could not be accepted");
                    }
                    if !is_about_one_client(&error) {
                        tokio::time::sleep(BACK_OFF).await;
                    }
                }
            },
        }
    }
}

/// Ends the sessions: those that are idle at once, the others at the end of their transaction. Those that are left after
/// `timeout` are told to end and given a moment, and then ended; when the process is told to close, at once.
pub(super) async fn drain(
    sessions: &mut JoinSet<()>,
    timeout: Duration,
    shutdown: &mut watch::Receiver<Phase>,
    ending: &watch::Sender<Ending>,
    metrics: &Metrics,
) {
    ending.send_replace(Ending::WhenIdle);
    let gracefully = async {
        if tokio::time::timeout(timeout, all_ended(sessions, metrics)).await.is_err() {
            tracing::warn!(sessions = sessions.len(), "ending the sessions that are left");
            ending.send_replace(Ending::Now);
            let _ = tokio::time::timeout(GOODBYE, all_ended(sessions, metrics)).await;
        }
    };
    tokio::select! {
        () = gracefully => {}
        () = reached(shutdown, Phase::Closing) => {}
    }
    sessions.shutdown().await;
}

async fn all_ended(sessions: &mut JoinSet<()>, metrics: &Metrics) {
    while let Some(ended) = sessions.join_next().await {
        note(ended, metrics);
    }
}

/// A panic ends its own session only: tokio catches it, both sockets close, nothing is let through.
fn note(ended: Result<(), JoinError>, metrics: &Metrics) {
    if ended.is_err_and(|error| error.is_panic()) {
        metrics.session_panic();
        tracing::error!("a session ended by a panic: this is a bug of portcullis, please report it");
    }
}

/// Errors that `accept` passes on from a connection that died in the backlog (accept(2)).
fn is_about_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// Until the process is told at least this. Where nobody is left to tell: never.
pub(super) async fn reached(shutdown: &mut watch::Receiver<Phase>, phase: Phase) {
    if shutdown.wait_for(|now| *now >= phase).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use std::net::SocketAddr;

    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    fn metrics() -> Arc<Metrics> {
        Arc::new(Metrics::new(&["unknown"], &[]))
    }

    async fn listen() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        (listener, address)
    }

    /// Runs accept and drain as `Server::run` does, in a task that ends when the proxy would.
    fn start<S, F>(
        listener: TcpListener,
        serve: S,
        metrics: Arc<Metrics>,
        timeout: Duration,
    ) -> (watch::Sender<Phase>, watch::Receiver<Ending>, tokio::task::JoinHandle<()>)
    where
        S: Fn(Socket, Origin, usize) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (tell, mut shutdown) = watch::channel(Phase::Running);
        let (ending, told) = watch::channel(Ending::No);
        let task = tokio::spawn(async move {
            let mut sessions = JoinSet::new();
            accept(
                vec![Listening::Tcp(listener)],
                serve,
                &metrics,
                &mut sessions,
                reached(&mut shutdown, Phase::Draining),
            )
            .await;
            drain(&mut sessions, timeout, &mut shutdown, &ending, &metrics).await;
        });
        (tell, told, task)
    }

    /// A session that lasts as long as its client.
    async fn until_closed(mut socket: Socket, _: Origin, _: usize) {
        let _ = socket.read_to_end(&mut Vec::new()).await;
    }

    async fn soon<T>(what: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(10), what).await.expect("in time")
    }

    #[tokio::test]
    async fn a_panic_is_contained_and_counted() {
        let (listener, address) = listen().await;
        let metrics = metrics();
        let bug = |_: Socket, _: Origin, _: usize| async { panic!("a bug") };
        let (tell, _ending, server) = start(listener, bug, metrics.clone(), Duration::ZERO);
        for _ in 0..2 {
            let mut client = TcpStream::connect(address).await.expect("still accepts");
            let _ = soon(client.read_to_end(&mut Vec::new())).await;
        }
        tell.send_replace(Phase::Draining);
        soon(server).await.expect("ends");
        let text = metrics.encode(SystemTime::now()).expect("encodes");
        assert!(text.contains("\nportcullis_session_panics_total 2\n"), "{text}");
    }

    #[tokio::test]
    async fn draining_refuses_new_clients_and_waits_for_the_others() {
        let (listener, address) = listen().await;
        let (tell, ending, server) = start(listener, until_closed, metrics(), Duration::from_secs(60));
        let client = TcpStream::connect(address).await.expect("connects");
        tokio::time::sleep(Duration::from_millis(50)).await;
        tell.send_replace(Phase::Draining);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
        assert!(!server.is_finished() && *ending.borrow() == Ending::WhenIdle, "waits for the session");
        drop(client);
        soon(server).await.expect("ends with its last session");
    }

    #[tokio::test]
    async fn after_the_timeout_sessions_are_told_and_then_ended() {
        let (listener, address) = listen().await;
        let (tell, ending, server) = start(listener, until_closed, metrics(), Duration::from_millis(50));
        let mut client = TcpStream::connect(address).await.expect("connects");
        tokio::time::sleep(Duration::from_millis(50)).await;
        tell.send_replace(Phase::Draining);
        let began = Instant::now();
        let _ = soon(client.read_to_end(&mut Vec::new())).await;
        assert_eq!(*ending.borrow(), Ending::Now, "it was told first");
        assert!(began.elapsed() >= GOODBYE, "and had time to say goodbye");
        soon(server).await.expect("ends");
    }

    #[tokio::test]
    async fn the_second_signal_does_not_wait() {
        let (listener, address) = listen().await;
        let (tell, _ending, server) = start(listener, until_closed, metrics(), Duration::from_secs(3600));
        let _client = TcpStream::connect(address).await.expect("connects");
        tokio::time::sleep(Duration::from_millis(50)).await;
        tell.send_replace(Phase::Draining);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!server.is_finished());
        tell.send_replace(Phase::Closing);
        soon(server).await.expect("ends");
    }
}
