//! What is left of a session whose client is gone: the server's process, which works on until it reads its next message or
//! finds nobody to answer. Until then it counts as a session.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Tells the server that the client is gone, and waits until its process is gone, too.
///
/// A server that answers would find its own client gone, and end there (`client_connection_lost` of its tcop/postgres.c).
/// Ours still reads, or we would not know when it has ended: so then `cancel` is run, once, and the answer is dropped.
pub async fn outlast<S>(server: S, cancel: impl Future<Output = ()>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut answers, mut requests) = tokio::io::split(server);
    let hang_up = async {
        // If it does not even read that, it still works for somebody else.
        let _ = requests.shutdown().await;
        std::future::pending::<()>().await;
    };
    let mut dropped = vec![0; 4 << 10];
    let end = async {
        let mut cancel = Some(cancel);
        while matches!(answers.read(&mut dropped).await, Ok(read) if read > 0) {
            if let Some(cancel) = cancel.take() {
                cancel.await;
            }
        }
    };
    tokio::select! {
        () = hang_up => {}
        () = end => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    #[tokio::test]
    async fn a_server_that_works_on_is_waited_for_and_one_that_answers_is_cancelled_once() {
        let (ours, mut server) = duplex(64);
        let (cancelled, mut cancels) = tokio::sync::mpsc::unbounded_channel();
        let waiting = tokio::spawn(outlast(ours, async move {
            let _ = cancelled.send(());
        }));
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0, "it is told that the client is gone");
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished(), "it works on");
        server.write_all(&[0; 1000]).await.unwrap();
        assert_eq!(cancels.recv().await, Some(()));
        server.write_all(&[0; 1000]).await.unwrap();
        assert!(!waiting.is_finished(), "it does not heed the cancel");
        drop(server);
        waiting.await.unwrap();
        assert_eq!(cancels.recv().await, None, "only once");
    }
}
