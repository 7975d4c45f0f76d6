//! The two pumps between client and server: one future polls both. A pump reads into one reused buffer, lets the engine
//! look at it in place, and writes the longest run that may pass with one call.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use crate::config::SessionTimeouts;
use crate::session::engine::{End, Engine, Look, Standing, Then};

/// The buffer of a pump while nothing larger is gathered. Small, so that a COPY that fails in the middle stops where it would
/// without us.
const BUFFER: usize = 16 << 10;

/// How long a farewell may take to be sent.
const FAREWELL: Duration = Duration::from_secs(2);

/// How a session came to its end.
#[derive(Debug, thiserror::Error)]
pub enum Closed {
    #[error("the client closed the connection")]
    Client,
    #[error("the server closed the connection")]
    Server,
    #[error("the connection to the client broke: {0}")]
    ClientBroke(#[source] io::Error),
    #[error("the connection to the server broke: {0}")]
    ServerBroke(#[source] io::Error),
    #[error("ended by Portcullis: {0}")]
    Ended(End),
    #[error("ended by Portcullis: shutting down")]
    ShutDown,
    #[error("ended by Portcullis: the {0} took no bytes for too long (write_timeout)")]
    Stalled(&'static str),
}

/// What is asked of the sessions that are there when the proxy stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// Nothing.
    No,
    /// To end as soon as they are idle.
    WhenIdle,
    /// To end.
    Now,
}

/// What ends a session from outside.
#[derive(Debug)]
pub struct Until {
    pub ending: watch::Receiver<Ending>,
    pub timeouts: SessionTimeouts,
}

/// Until the sessions are asked for this much.
pub async fn asked(mut ending: watch::Receiver<Ending>, what: Ending) {
    // An error means that whoever could ask is gone: then nobody does.
    if ending.wait_for(|ending| *ending >= what).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Watches that something happens. It looks ten times in the shortest of its times, so that it costs nothing where bytes move:
/// a session ends up to a tenth later than it is written.
struct Patience {
    timeouts: SessionTimeouts,
    every: Duration,
    look: Pin<Box<Sleep>>,
    /// How far the session was at the last look, and when that changed last. Bytes alone are nothing: as in the server, a client
    /// that sends a message a byte at a time, or gets notifications, keeps a transaction waiting.
    progress: u64,
    since: Instant,
    /// The same for bytes that are written.
    written: u64,
    written_since: Instant,
}

impl Patience {
    /// None where it would wait for nothing.
    fn new(timeouts: SessionTimeouts) -> Option<Patience> {
        let all = [timeouts.idle, timeouts.idle_in_transaction, timeouts.write];
        let every = all.into_iter().flatten().min()? / 10;
        let every = every.max(Duration::from_millis(5));
        let now = Instant::now();
        let look = Box::pin(tokio::time::sleep(every));
        Some(Patience { timeouts, every, look, progress: 0, since: now, written: 0, written_since: now })
    }

    /// Why the session has to end, if it has.
    fn poll(&mut self, cx: &mut Context<'_>, to_server: &Pump, to_client: &Pump, engine: &Engine) -> Poll<Closed> {
        loop {
            ready!(self.look.as_mut().poll(cx));
            let now = Instant::now();
            self.look.as_mut().reset(now + self.every);
            // A client waits for nothing while it is still being answered.
            if engine.progress() != self.progress || !to_client.is_empty() {
                (self.progress, self.since) = (engine.progress(), now);
            }
            let stalled = match (to_client.is_stuck(), to_server.is_stuck()) {
                (true, _) => Some(("client", to_client.written)),
                (false, true) => Some(("server", to_server.written)),
                (false, false) => None,
            };
            match stalled {
                Some((who, written)) if written == self.written => {
                    if self.timeouts.write.is_some_and(|longest| now - self.written_since >= longest) {
                        return Poll::Ready(Closed::Stalled(who));
                    }
                }
                Some((_, written)) => (self.written, self.written_since) = (written, now),
                None => self.written_since = now,
            }
            let idle = now - self.since;
            let over = |longest: Option<Duration>| longest.is_some_and(|longest| idle >= longest);
            match engine.standing() {
                Standing::Idle if over(self.timeouts.idle) => return Poll::Ready(Closed::Ended(End::idle_session())),
                Standing::IdleInTransaction if over(self.timeouts.idle_in_transaction) => {
                    return Poll::Ready(Closed::Ended(End::idle_in_transaction()));
                }
                Standing::Busy | Standing::Idle | Standing::IdleInTransaction => {}
            }
        }
    }
}

/// One direction.
#[derive(Debug)]
struct Pump {
    buffer: Vec<u8>,
    /// `buffer[start..passing]` may go out, `buffer[passing..end]` has not been let through yet.
    start: usize,
    passing: usize,
    end: usize,
    /// Bytes of `buffer[passing..end]` that must be there before another look makes sense.
    need: usize,
    /// Goes out behind `passing`.
    insert: Vec<u8>,
    inserted: usize,
    /// Bytes behind `passing` to drop.
    skip: usize,
    /// What is inserted waits for this.
    hold: Option<Pin<Box<Sleep>>>,
    /// What the last look decided for afterwards.
    ends: Option<End>,
    read_closed: bool,
    write_closed: bool,
    flushed: bool,
    /// Bytes that were written.
    written: u64,
}

/// What stopped a pump for good.
enum Stop {
    /// The reading side is closed and everything was sent.
    Finished,
    Read(io::Error),
    Write(io::Error),
    Ends(End),
}

impl Pump {
    /// With bytes that were read already.
    fn new(read: &[u8]) -> Pump {
        let mut buffer = vec![0; BUFFER.max(read.len())];
        if let Some(start) = buffer.get_mut(..read.len()) {
            start.copy_from_slice(read);
        }
        Pump {
            buffer,
            start: 0,
            passing: 0,
            end: read.len(),
            need: 1,
            insert: Vec::new(),
            inserted: 0,
            skip: 0,
            hold: None,
            ends: None,
            read_closed: false,
            write_closed: false,
            flushed: true,
            written: 0,
        }
    }

    /// Whether everything that was let through is out.
    fn is_empty(&self) -> bool {
        self.start == self.passing && self.insert.is_empty()
    }

    /// Whether bytes wait for the other side to take them.
    fn is_stuck(&self) -> bool {
        self.hold.is_none() && (self.start < self.passing || !self.insert.is_empty() || !self.flushed)
    }

    fn wrote(&mut self, bytes: usize) {
        self.written = self.written.wrapping_add(bytes as u64);
        self.flushed = false;
    }

    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        mut look: impl FnMut(&[u8], &mut Vec<u8>) -> (Look, Option<Duration>),
    ) -> Poll<Stop>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            match self.poll_send(cx, to) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Stop::Write(error)),
                Poll::Ready(Ok(())) => {}
            }
            if let Some(end) = self.ends.take() {
                return Poll::Ready(Stop::Ends(end));
            }
            self.drop_skipped();
            if self.end - self.passing >= self.need {
                let unseen = self.buffer.get(self.passing..self.end).unwrap_or_default();
                let (Look { pass, then }, hold) = look(unseen, &mut self.insert);
                self.hold = hold.map(|hold| Box::pin(tokio::time::sleep(hold)));
                self.passing += pass.min(unseen.len());
                self.need = 1;
                match then {
                    Then::More { need } => self.need = need,
                    Then::Replace { skip } => self.skip = skip,
                    Then::End(end) => self.ends = Some(end),
                }
                continue;
            }
            if self.read_closed {
                // What is left is the beginning of a frame that will never be whole.
                return match ready!(self.poll_close(cx, to)) {
                    Ok(()) => Poll::Ready(Stop::Finished),
                    Err(error) => Poll::Ready(Stop::Write(error)),
                };
            }
            match ready!(self.poll_read(cx, from)) {
                Ok(0) => self.read_closed = true,
                Ok(_) => {}
                Err(error) => return Poll::Ready(Stop::Read(error)),
            }
        }
    }

    /// Sends what may pass, then what is inserted, until both are out and flushed.
    fn poll_send<W: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, to: &mut W) -> Poll<io::Result<()>> {
        while self.start < self.passing {
            let run = self.buffer.get(self.start..self.passing).unwrap_or_default();
            let wrote = ready!(write(cx, to, run))?;
            self.start += wrote;
            self.wrote(wrote);
        }
        if let Some(hold) = &mut self.hold {
            if !self.flushed {
                ready!(Pin::new(&mut *to).poll_flush(cx))?;
                self.flushed = true;
            }
            ready!(hold.as_mut().poll(cx));
            self.hold = None;
        }
        while self.inserted < self.insert.len() {
            let rest = self.insert.get(self.inserted..).unwrap_or_default();
            let wrote = ready!(write(cx, to, rest))?;
            self.inserted += wrote;
            self.wrote(wrote);
        }
        self.insert.clear();
        self.inserted = 0;
        if !self.flushed {
            ready!(Pin::new(to).poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn drop_skipped(&mut self) {
        let here = self.skip.min(self.end - self.passing);
        self.skip -= here;
        self.start += here;
        self.passing += here;
        if self.start == self.end {
            self.start = 0;
            self.passing = 0;
            self.end = 0;
        }
    }

    fn poll_read<R: AsyncRead + Unpin>(&mut self, cx: &mut Context<'_>, from: &mut R) -> Poll<io::Result<usize>> {
        self.make_room();
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let mut buffer = ReadBuf::new(room);
        ready!(Pin::new(from).poll_read(cx, &mut buffer))?;
        let n = buffer.filled().len();
        self.end += n;
        Poll::Ready(Ok(n))
    }

    /// Room for the next read: a buffer grows by doubling as bytes arrive, never by a declared length, and shrinks back when
    /// all that it held is gone.
    fn make_room(&mut self) {
        if self.end == 0 && self.buffer.len() > BUFFER {
            self.buffer = vec![0; BUFFER];
        }
        if self.start > 0 && (self.end == self.buffer.len() || self.need > self.buffer.len() - self.start) {
            self.buffer.copy_within(self.start..self.end, 0);
            self.passing -= self.start;
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            // No more than twice the longest frame that the engine asks for.
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }

    /// Tells the other side that nothing more comes, once.
    fn poll_close<W: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, to: &mut W) -> Poll<io::Result<()>> {
        if !self.write_closed {
            ready!(Pin::new(to).poll_shutdown(cx))?;
            self.write_closed = true;
        }
        Poll::Ready(Ok(()))
    }
}

fn write<W: AsyncWrite + Unpin>(cx: &mut Context<'_>, to: &mut W, bytes: &[u8]) -> Poll<io::Result<usize>> {
    match ready!(Pin::new(to).poll_write(cx, bytes)) {
        Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        other => Poll::Ready(other),
    }
}

/// Relays between the two sides until one of them, or the engine, or `until` ends it; the bytes are what was read before.
///
/// A client that closes only its sending side still gets its answer: the server hears of it and closes when it is done. When the
/// server goes, what it said is delivered and the client is closed at once.
pub async fn run<C, S>(
    mut client: C,
    client_read: &[u8],
    mut server: S,
    server_read: &[u8],
    engine: &mut Engine,
    mut on_key: impl FnMut(u32, Box<[u8]>),
    until: Until,
) -> Closed
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut to_server = Pump::new(client_read);
    let mut to_client = Pump::new(server_read);
    let mut client_finished = false;
    let mut server_deaf = false;
    let Until { ending, timeouts } = until;
    let mut patience = Patience::new(timeouts);
    let mut draining = false;
    let mut drain = std::pin::pin!(asked(ending.clone(), Ending::WhenIdle));
    let mut shut_down = std::pin::pin!(asked(ending, Ending::Now));
    let closed = poll_fn(|cx| {
        draining = draining || drain.as_mut().poll(cx).is_ready();
        if draining && shut_down.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Closed::ShutDown);
        }
        if !client_finished && !server_deaf {
            match to_server.poll(cx, &mut client, &mut server, |bytes, insert| {
                let look = engine.client(bytes, insert);
                (look, engine.take_hold())
            }) {
                Poll::Ready(Stop::Finished) => client_finished = true,
                Poll::Ready(Stop::Read(error)) => return Poll::Ready(Closed::ClientBroke(error)),
                // The server's last words may still be on their way to us: they are delivered before the session ends.
                Poll::Ready(Stop::Write(_)) => server_deaf = true,
                Poll::Ready(Stop::Ends(end)) => return Poll::Ready(Closed::Ended(end)),
                Poll::Pending => {}
            }
        }
        let poll = to_client.poll(cx, &mut server, &mut client, |bytes, insert| {
            let look = engine.server(bytes, insert);
            if let Some((pid, key)) = engine.take_key() {
                on_key(pid, key);
            }
            (look, None)
        });
        match poll {
            Poll::Ready(Stop::Finished) if client_finished => Poll::Ready(Closed::Client),
            Poll::Ready(Stop::Finished) => Poll::Ready(Closed::Server),
            Poll::Ready(Stop::Read(error)) => Poll::Ready(Closed::ServerBroke(error)),
            Poll::Ready(Stop::Write(error)) => Poll::Ready(Closed::ClientBroke(error)),
            Poll::Ready(Stop::Ends(end)) => Poll::Ready(Closed::Ended(end)),
            Poll::Pending if draining && engine.standing() == Standing::Idle && to_client.is_empty() => {
                Poll::Ready(Closed::ShutDown)
            }
            Poll::Pending => match &mut patience {
                Some(patience) => patience.poll(cx, &to_server, &to_client, engine),
                None => Poll::Pending,
            },
        }
    })
    .await;
    let farewell = match &closed {
        Closed::Ended(end) => end.farewell(),
        Closed::ShutDown => End::shut_down().farewell(),
        Closed::Client | Closed::Server | Closed::ClientBroke(_) | Closed::ServerBroke(_) | Closed::Stalled(_) => None,
    };
    // A farewell fits only between two frames, and behind everything that was let through.
    let between = engine.between_answers() && to_client.is_empty();
    if let Some(farewell) = farewell.filter(|_| between) {
        let send = async {
            client.write_all(&farewell).await?;
            client.shutdown().await
        };
        let _ = tokio::time::timeout(FAREWELL, send).await;
    }
    closed
}

#[cfg(test)]
mod tests;
