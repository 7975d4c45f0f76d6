//! Where the lines go: a file or standard output, written by a thread of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use crate::audit::event::{Event, Line, Run};
use crate::audit::told::{Told, line};

/// Lines that wait to be written. Beyond it they are dropped and counted: a full disk must not stop the sessions.
const WAITING: usize = 16_384;

/// Bytes that wait to be written, likewise.
const WAITING_BYTES: usize = 64 << 20;

/// Bytes that are written at once.
const AT_ONCE: usize = 1 << 20;

/// How long the end of the process waits for the lines that are left.
const FLUSH: Duration = Duration::from_secs(5);

/// Where the audit log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Nowhere: nothing is made of what happens.
    Off,
    Stdout,
    /// Appended to.
    File(PathBuf),
}

/// Why there is no audit log.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("can't open the audit log {}: {source}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("can't start the thread of the audit log: {0}")]
    Thread(io::Error),
}

/// The audit log of a process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Audit {
    writer: Option<Arc<Writer>>,
}

#[derive(Debug)]
struct Writer {
    lines: SyncSender<Job>,
    lost: Arc<Lost>,
}

/// Lines that nobody will read.
#[derive(Debug, Default)]
struct Lost {
    dropped: AtomicU64,
    /// Bytes that wait.
    waiting: AtomicUsize,
    failing: AtomicBool,
}

enum Job {
    Line(String),
    /// The file was moved away: another is begun under its name.
    Reopen,
    /// Everything before is written; tells so.
    Flush(SyncSender<()>),
}

impl Audit {
    /// Opens the log.
    ///
    /// # Errors
    /// The file can't be opened for appending.
    pub fn open(target: &Target) -> Result<Audit, AuditError> {
        let output = match target {
            Target::Off => return Ok(Audit::default()),
            Target::Stdout => Output::Stdout,
            Target::File(path) => {
                let file = append(path).map_err(|source| AuditError::Open { path: path.clone(), source })?;
                Output::File { file, path: path.clone() }
            }
        };
        let (lines, jobs) = sync_channel(WAITING);
        let lost = Arc::new(Lost::default());
        let told = Arc::clone(&lost);
        let thread = std::thread::Builder::new().name("audit".to_owned());
        thread.spawn(move || write(output, &jobs, &told)).map_err(AuditError::Thread)?;
        Ok(Audit { writer: Some(Arc::new(Writer { lines, lost })) })
    }

    /// Whether anything is written at all.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.writer.is_some()
    }

    /// Tells what happened just now.
    pub fn tell(&self, event: Event) {
        self.at(jiff::Timestamp::now(), event, None);
    }

    /// Tells of a statement, whose text was made ready before; `run.text` stays empty.
    pub fn tell_run(&self, time: jiff::Timestamp, run: Run, text: Option<&Told>) {
        self.at(time, Event::Statement(Box::new(run)), text);
    }

    fn at(&self, time: jiff::Timestamp, event: Event, text: Option<&Told>) {
        let Some(writer) = &self.writer else { return };
        let Some(line) = line(&Line { time, event }, text) else { return };
        let bytes = line.len();
        let fits = writer.lost.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes <= WAITING_BYTES;
        let sent = fits && writer.lines.try_send(Job::Line(line)).is_ok();
        if !sent {
            writer.lost.waiting.fetch_sub(bytes, Ordering::Relaxed);
            writer.lost.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines that could not be written so far.
    pub fn dropped(&self) -> u64 {
        self.writer.as_ref().map_or(0, |writer| writer.lost.dropped.load(Ordering::Relaxed))
    }

    /// Begins the file anew, after somebody moved it away (SIGHUP).
    pub fn reopen(&self) {
        if let Some(writer) = &self.writer {
            let _ = writer.lines.try_send(Job::Reopen);
        }
    }

    /// Waits until what was told is written, for a few seconds at most. Blocks the thread.
    pub fn flush(&self) {
        let Some(writer) = &self.writer else { return };
        let (done, is_done) = sync_channel(1);
        if writer.lines.send(Job::Flush(done)).is_ok() {
            let _ = is_done.recv_timeout(FLUSH);
        }
    }
}

enum Output {
    Stdout,
    File { file: File, path: PathBuf },
}

impl Output {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Output::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(lines)?;
                stdout.flush()
            }
            Output::File { file, .. } => file.write_all(lines),
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        match self {
            Output::Stdout => Ok(()),
            Output::File { file, path } => {
                *file = append(path)?;
                Ok(())
            }
        }
    }
}

/// Readable by its owner only: it tells who does what.
fn append(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Writes whatever waits, many lines with one call, until nobody can tell anything any more.
fn write(mut output: Output, jobs: &Receiver<Job>, lost: &Lost) {
    let mut buffer: Vec<u8> = Vec::new();
    while let Ok(job) = jobs.recv() {
        let mut next = Some(job);
        let mut lines = 0;
        while let Some(job) = next {
            match job {
                Job::Line(line) => {
                    lost.waiting.fetch_sub(line.len(), Ordering::Relaxed);
                    buffer.extend_from_slice(line.as_bytes());
                    lines += 1;
                }
                Job::Reopen => {
                    put(&mut output, &mut buffer, &mut lines, lost);
                    if let Err(error) = output.reopen() {
                        tracing::error!("the audit log can't be opened anew, the old file goes on: {error}");
                    }
                }
                Job::Flush(done) => {
                    put(&mut output, &mut buffer, &mut lines, lost);
                    let _ = done.send(());
                }
            }
            next = if buffer.len() < AT_ONCE { jobs.try_recv().ok() } else { None };
        }
        put(&mut output, &mut buffer, &mut lines, lost);
    }
}

fn put(output: &mut Output, buffer: &mut Vec<u8>, lines: &mut u64, lost: &Lost) {
    if buffer.is_empty() {
        return;
    }
    match output.write(buffer) {
        Ok(()) => {
            if lost.failing.swap(false, Ordering::Relaxed) {
                tracing::info!("the audit log can be written again");
            }
        }
        Err(error) => {
            lost.dropped.fetch_add(*lines, Ordering::Relaxed);
            if !lost.failing.swap(true, Ordering::Relaxed) {
                tracing::error!("the audit log can't be written, lines are lost: {error}");
            }
        }
    }
    buffer.clear();
    *lines = 0;
}

#[cfg(test)]
mod tests;
