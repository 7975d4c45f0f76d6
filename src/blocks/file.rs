//! `blocks.json` in `state_dir`: what is blocked, over a restart.
//!
//! It is written whole, beside the old one, and takes its place when it is on the disk: whoever reads it sees one or the other.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::blocks::{Block, MOST, Target, wanted};

/// Larger than any file of ours.
const BYTES: u64 = 32 << 20;

/// The only version of the file so far.
const VERSION: u32 = 1;

/// Why the blocks that an earlier process was told can't be kept in force. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error(
        "state_dir {}: {source}: make it a directory that the proxy's user can read and write, or remove the setting \
         (blocks then end with the process)",
        directory.display()
    )]
    Directory { directory: PathBuf, source: io::Error },
    #[error("can't read the blocks in {}: {source}: let the proxy's user read it", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "the blocks in {} can't be understood: {problem}: restore the file, or move it away to start without any block",
        path.display()
    )]
    Broken { path: PathBuf, problem: String },
    #[error("can't write the blocks to {}: {source}: let the proxy's user write in that directory", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
}

/// The whole file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    version: u32,
    blocks: Vec<Entry>,
}

/// One block, as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    until: String,
    reason: String,
    by: String,
    created: String,
}

/// The file of one process.
#[derive(Debug)]
pub(super) struct StateFile {
    directory: PathBuf,
    path: PathBuf,
}

impl StateFile {
    pub fn new(directory: &Path) -> StateFile {
        StateFile { directory: directory.to_owned(), path: directory.join("blocks.json") }
    }

    /// The blocks that it keeps; none where there is no file.
    pub fn read(&self) -> Result<Vec<Block>, FileError> {
        let of_directory = |source| FileError::Directory { directory: self.directory.clone(), source };
        if !fs::metadata(&self.directory).map_err(of_directory)?.is_dir() {
            return Err(of_directory(io::ErrorKind::NotADirectory.into()));
        }
        let unreadable = |source| FileError::Unreadable { path: self.path.clone(), source };
        match fs::metadata(&self.path) {
            // To open a pipe would wait for a writer for ever.
            Ok(metadata) if !metadata.is_file() && !metadata.is_dir() => {
                let problem = "it is no plain file".to_owned();
                return Err(FileError::Broken { path: self.path.clone(), problem });
            }
            Ok(_) | Err(_) => {}
        }
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut text = Vec::new();
        file.take(BYTES + 1).read_to_end(&mut text).map_err(unreadable)?;
        understood(&text).map_err(|problem| FileError::Broken { path: self.path.clone(), problem })
    }

    /// Writes all of them, and returns when they are on the disk.
    pub fn write(&self, blocks: &[Arc<Block>]) -> Result<(), FileError> {
        self.replace(blocks).map_err(|source| FileError::Unwritable { path: self.path.clone(), source })
    }

    fn replace(&self, blocks: &[Arc<Block>]) -> io::Result<()> {
        let whole = Whole { version: VERSION, blocks: blocks.iter().map(|block| entry(block)).collect() };
        let mut text = serde_json::to_vec_pretty(&whole)?;
        text.push(b'\n');
        let part = self.directory.join("blocks.json.part");
        // One of an earlier process may be left, with other permissions.
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&part, &self.path)?;
        File::open(&self.directory)?.sync_all()
    }
}

fn entry(block: &Block) -> Entry {
    let of = |kind| (block.target.kind() == kind).then(|| block.target.value());
    Entry {
        id: block.id.to_string(),
        hash: of("hash"),
        user: of("user"),
        until: block.until.to_string(),
        reason: block.reason.to_string(),
        by: block.by.to_string(),
        created: block.created.to_string(),
    }
}

/// The blocks of a file's text, or what is wrong with it: nothing is skipped.
fn understood(text: &[u8]) -> Result<Vec<Block>, String> {
    if text.len() as u64 > BYTES {
        return Err(format!("it is longer than {BYTES} bytes"));
    }
    let whole: Whole = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if whole.version != VERSION {
        return Err(format!("it is of version {}, this program knows version {VERSION}", whole.version));
    }
    if whole.blocks.len() > MOST {
        return Err(format!("it holds more than {MOST} blocks"));
    }
    let mut ids = HashSet::new();
    let read = |entry: Entry| {
        let id = entry.id.clone();
        let block = block(entry).map_err(|problem| format!("block {id:?}: {problem}"))?;
        if ids.insert(block.id.clone()) { Ok(block) } else { Err(format!("block {id:?} is there twice")) }
    };
    whole.blocks.into_iter().map(read).collect()
}

fn block(entry: Entry) -> Result<Block, String> {
    let time = |text: &str| text.parse::<Timestamp>().map_err(|error| format!("{text:?} is no time: {error}"));
    let told = |error: wanted::Unusable| error.to_string();
    if entry.id.len() != 12 || !entry.id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err("an id has 12 hexadecimal digits".to_owned());
    }
    let target = match (&entry.hash, &entry.user) {
        (Some(hash), None) => Target::Hash(wanted::hash(hash).map_err(told)?),
        (None, Some(user)) => Target::User(wanted::user(user).map_err(told)?),
        (None, None) | (Some(_), Some(_)) => return Err("it is of a hash or of a user, one of them".to_owned()),
    };
    Ok(Block {
        id: entry.id.into(),
        target,
        until: time(&entry.until)?,
        reason: wanted::reason(&entry.reason).map_err(told)?,
        by: entry.by.into(),
        created: time(&entry.created)?,
    })
}
