//! Emergency blocks: statements, known by their hash, and users that an administrator has shut out for a while. Made, lifted and
//! listed by calls of the admin server, kept in a file of `state_dir`, asked by every session before each message.
//!
//! A session asks a counter that hardly ever changes ([`Watch`]). What is in force is one immutable table that takes the place of
//! the one before, so that no session waits for a call, or for the disk.

mod file;
mod told;
mod wanted;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use crate::audit::Audit;
use crate::metrics::Metrics;
use crate::metrics::label::{AdminCall, AdminOutcome};
use crate::sql::StatementHash;
pub use file::FileError;
use file::StateFile;
pub use told::Call;
pub use wanted::{Unusable, Wanted};
pub use watch::{Stop, Watch};

/// Blocks that are held at once.
pub const MOST: usize = 10_000;

/// The longest that a block may last: it is for emergencies, and a policy says what is to stay.
pub const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Characters that a reason may have.
pub const REASON: usize = 200;

/// What is blocked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// Every text that has this hash, or holds a statement that has it.
    Hash(StatementHash),
    /// Everything that this user sends: the exact name, as the server knows it.
    User(Box<str>),
}

impl Target {
    /// The name of its field in calls and answers, and the label of the metric.
    pub fn kind(&self) -> &'static str {
        match self {
            Target::Hash(_) => "hash",
            Target::User(_) => "user",
        }
    }

    /// The hash, or the user's name.
    pub fn value(&self) -> String {
        match self {
            Target::Hash(hash) => hash.to_string(),
            Target::User(user) => user.to_string(),
        }
    }
}

/// One block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What it is lifted by: twelve hexadecimal digits.
    pub id: Box<str>,
    pub target: Target,
    /// It holds before this moment.
    pub until: Timestamp,
    /// The administrator's words: one line of at most [`REASON`] characters.
    pub reason: Box<str>,
    /// Who made it: the token and the address that the call came from.
    pub by: Box<str>,
    pub created: Timestamp,
}

impl Block {
    /// Whether it still holds.
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.until
    }

    /// Why something is refused, for its client.
    pub fn sentence(&self) -> String {
        let (until, reason) = (self.until, &self.reason);
        match &self.target {
            Target::Hash(_) => format!("this statement is blocked until {until:.0}: {reason}"),
            Target::User(user) => format!("user \"{user}\" is blocked until {until:.0}: {reason}"),
        }
    }
}

/// What becomes of a block when the process ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Saved {
    /// The file says so, too.
    Yes,
    /// Without `state_dir` the end of the process is the end of its blocks, too.
    NoStateDir,
    /// The file could not be written, for this reason; it is tried again every second.
    Failed(String),
}

/// There are [`MOST`] blocks already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are {MOST} blocks already, lift some first; a policy's deny rule can refuse many statements at once")]
pub struct Full;

/// A block that was lifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifted {
    pub block: Arc<Block>,
    /// The blocks that hold of the same statement or user still.
    pub others: Vec<Box<str>>,
    pub saved: Saved,
}

/// The table that sessions look into: of several blocks of one target the one that lasts longest.
#[derive(Debug, Default)]
struct InForce {
    hashes: HashMap<StatementHash, Arc<Block>>,
    users: HashMap<Box<str>, Arc<Block>>,
    /// When the last one of a hash is over.
    hashes_until: Option<Timestamp>,
}

impl InForce {
    fn of(blocks: &[Arc<Block>]) -> InForce {
        let mut table = InForce::default();
        let later = |known: &mut Arc<Block>, block: &Arc<Block>| {
            if known.until < block.until {
                *known = Arc::clone(block);
            }
        };
        for block in blocks {
            match &block.target {
                Target::Hash(hash) => {
                    later(table.hashes.entry(*hash).or_insert_with(|| Arc::clone(block)), block);
                    table.hashes_until = table.hashes_until.max(Some(block.until));
                }
                Target::User(user) => {
                    later(table.users.entry(user.clone()).or_insert_with(|| Arc::clone(block)), block);
                }
            }
        }
        table
    }
}

/// What the calls change.
#[derive(Debug, Default)]
struct Held {
    /// In the order in which they were made.
    blocks: Vec<Arc<Block>>,
    /// The file does not say so yet: it could not be written.
    unsaved: bool,
}

/// All blocks of a process.
#[derive(Debug)]
pub struct Blocks {
    metrics: Arc<Metrics>,
    audit: Audit,
    file: Option<StateFile>,
    /// Counts the changes. Whoever has seen the newest has nothing new to look for.
    changes: AtomicU64,
    in_force: ArcSwap<InForce>,
    held: Mutex<Held>,
}

impl Blocks {
    /// None yet; and what is made ends with the process.
    pub fn in_memory(metrics: Arc<Metrics>) -> Blocks {
        Blocks {
            metrics,
            audit: Audit::default(),
            file: None,
            changes: AtomicU64::new(0),
            in_force: ArcSwap::from_pointee(InForce::default()),
            held: Mutex::default(),
        }
    }

    /// The same, which tells the audit log of calls, too.
    pub fn auditing(self, audit: Audit) -> Blocks {
        Blocks { audit, ..self }
    }

    /// Those that `blocks.json` of this directory keeps, without those whose time is over. The file is written at once, so that
    /// a directory that can't be written is found out now and not in an emergency.
    ///
    /// # Errors
    /// The file can't be read, or written, or isn't one of ours: better no firewall than one that forgets what it was told.
    pub fn open(directory: &Path, metrics: Arc<Metrics>, now: Timestamp) -> Result<Blocks, FileError> {
        let file = StateFile::new(directory);
        let kept = file.read()?;
        let blocks = Blocks { file: Some(file), ..Blocks::in_memory(metrics) };
        let (kept, over): (Vec<_>, Vec<_>) = kept.into_iter().map(Arc::new).partition(|block| block.holds(now));
        over.iter().for_each(|block| blocks.told_over(block));
        let mut held = blocks.held();
        held.blocks = kept;
        if let Some(file) = &blocks.file {
            file.write(&held.blocks)?;
        }
        blocks.publish(&held);
        if !held.blocks.is_empty() {
            tracing::warn!(blocks = held.blocks.len(), "emergency blocks are in force");
        }
        drop(held);
        Ok(blocks)
    }

    /// Blocks what is wanted, for the next message of every session. Waits for the disk where there is a `state_dir`.
    ///
    /// # Errors
    /// There are too many.
    pub fn make(&self, wanted: Wanted, by: &str, now: Timestamp) -> Result<(Arc<Block>, Saved), Full> {
        let Wanted { target, until, reason } = wanted;
        if self.held().blocks.len() >= MOST {
            self.release(now);
        }
        let mut held = self.held();
        if held.blocks.len() >= MOST {
            return Err(Full);
        }
        let mut id = new_id();
        while held.blocks.iter().any(|block| block.id == id) {
            id = new_id();
        }
        let block = Arc::new(Block { id, target, until, reason, by: by.into(), created: now });
        held.blocks.push(Arc::clone(&block));
        // In force first: a disk that fails or is slow must not keep an emergency waiting.
        self.publish(&held);
        let saved = self.save(&mut held);
        Ok((block, saved))
    }

    /// Lifts a block; `None` where there is none with this id. Waits for the disk likewise.
    pub fn lift(&self, id: &str) -> Option<Lifted> {
        let mut held = self.held();
        let place = held.blocks.iter().position(|block| &*block.id == id)?;
        let block = held.blocks.remove(place);
        self.publish(&held);
        let others = held.blocks.iter().filter(|other| other.target == block.target);
        let others = others.map(|other| other.id.clone()).collect();
        let saved = self.save(&mut held);
        Some(Lifted { block, others, saved })
    }

    /// Those that hold now, in the order in which they were made.
    pub fn list(&self, now: Timestamp) -> Vec<Arc<Block>> {
        self.held().blocks.iter().filter(|block| block.holds(now)).cloned().collect()
    }

    /// Whether blocks outlive the process.
    pub fn are_kept(&self) -> bool {
        self.file.is_some()
    }

    /// Why this user is shut out, where it is.
    pub fn of_user(&self, user: &str, now: Timestamp) -> Option<Arc<Block>> {
        self.in_force.load().users.get(user).filter(|block| block.holds(now)).cloned()
    }

    /// Forgets those whose time is over, and tries again to write what could not be written. Waits for the disk where there is
    /// something to write.
    pub fn release(&self, now: Timestamp) {
        let mut held = self.held();
        let over: Vec<_> = held.blocks.extract_if(.., |block| !block.holds(now)).collect();
        if !over.is_empty() {
            self.publish(&held);
        }
        if !over.is_empty() || held.unsaved {
            self.save(&mut held);
        }
        drop(held);
        over.iter().for_each(|block| self.told_over(block));
    }

    fn told_over(&self, block: &Block) {
        let by = "time";
        self.told(&Call { call: AdminCall::Expire, outcome: AdminOutcome::Done, by, block: Some(block), detail: "" });
    }

    /// Puts what is held in force.
    fn publish(&self, held: &Held) {
        self.in_force.store(Arc::new(InForce::of(&held.blocks)));
        let of = |kind: &str| held.blocks.iter().filter(|block| block.target.kind() == kind).count();
        self.metrics.blocks(of("hash"), of("user"));
        // Last: who sees the new number finds the new table.
        self.changes.fetch_add(1, Ordering::Release);
    }

    fn save(&self, held: &mut Held) -> Saved {
        let Some(file) = &self.file else { return Saved::NoStateDir };
        match file.write(&held.blocks) {
            Ok(()) => {
                if held.unsaved {
                    tracing::info!("the blocks are written again");
                }
                held.unsaved = false;
                Saved::Yes
            }
            Err(error) => {
                if !held.unsaved {
                    tracing::error!("the blocks in force are not written, a restart would forget them: {error}");
                }
                held.unsaved = true;
                Saved::Failed(error.to_string())
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_id() -> Box<str> {
    format!("{:012x}", rand::random::<u64>() >> 16).into()
}
