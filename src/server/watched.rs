//! Whether files changed: by looking at them twice a second, not by asking the kernel for events.
//!
//! What is looked at is where each path leads now: device, inode, size and times of the file behind all its links. So an edit
//! in place, a file renamed over, a checkout and a mounted ConfigMap, whose `..data` link is replaced three links away from
//! the file's name, all look the same, and on file systems that have no events (NFS, folders shared with a virtual machine), too.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::policy::policy_files;

/// Between two looks while nothing changes.
const IDLE: Duration = Duration::from_millis(500);
/// Between two looks after a change.
const BUSY: Duration = Duration::from_millis(50);
/// Files that did not change for so long are read.
const QUIET: Duration = Duration::from_millis(200);
/// Files that go on changing are read after so long.
const MOST: Duration = Duration::from_secs(2);

/// What some files look like from outside: another value where they changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamps(Vec<(PathBuf, Result<Stamp, io::ErrorKind>)>);

/// Of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// The same, of its metadata: a change of the mode shows here.
    changed: (i64, i64),
}

impl Stamps {
    /// Of these files.
    pub fn of(files: &[PathBuf]) -> Stamps {
        Stamps(files.iter().map(|file| (file.clone(), stamp(file).map_err(|error| error.kind()))).collect())
    }

    /// Of the policy files of a directory; or of why it can't be read.
    pub fn of_policies(directory: &Path) -> Stamps {
        match policy_files(directory) {
            Ok((files, _)) => Stamps::of(&files),
            Err(error) => Stamps(vec![(directory.to_owned(), Err(error.kind()))]),
        }
    }
}

fn stamp(file: &Path) -> io::Result<Stamp> {
    let metadata = std::fs::metadata(file)?;
    Ok(Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

/// When to read what changes: once it is quiet, or has not been quiet for too long. The first look counts as a change, so
/// that what happened between reading the files and looking at them isn't missed.
#[derive(Debug)]
pub(super) struct Quiet<T> {
    seen: Option<T>,
    /// Since when there is something to read, and when it was last seen changing.
    changing: Option<(Instant, Instant)>,
}

impl<T> Default for Quiet<T> {
    fn default() -> Quiet<T> {
        Quiet { seen: None, changing: None }
    }
}

impl<T: PartialEq> Quiet<T> {
    /// One look. True where it is time to read.
    pub fn look(&mut self, now: Instant, seen: T) -> bool {
        if self.seen.as_ref() != Some(&seen) {
            self.seen = Some(seen);
            let since = self.changing.map_or(now, |(since, _)| since);
            self.changing = Some((since, now));
        }
        let due = self.changing.is_some_and(|(since, last)| {
            now.saturating_duration_since(last) >= QUIET || now.saturating_duration_since(since) >= MOST
        });
        if due {
            self.changing = None;
        }
        due
    }

    /// How long to wait for the next look.
    pub fn pause(&self) -> Duration {
        if self.changing.is_some() { BUSY } else { IDLE }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Looks every 50 ms at what `at` says; the milliseconds at which it is time to read.
    fn reads(until: u64, at: impl Fn(u64) -> u64) -> Vec<u64> {
        let start = Instant::now();
        let mut quiet = Quiet::default();
        let time = (0..until).step_by(50);
        time.filter(|ms| quiet.look(start + Duration::from_millis(*ms), at(*ms))).collect()
    }

    #[test]
    fn one_change_is_read_once_after_it_was_quiet() {
        assert_eq!(reads(3_000, |_| 0), [200], "the first look is a change");
        assert_eq!(reads(3_000, |ms| u64::from(ms >= 1_000)), [200, 1_200]);
    }

    #[test]
    fn changes_that_follow_each_other_are_read_once() {
        // Ten files, one each 100 ms.
        assert_eq!(reads(5_000, |ms| (ms.clamp(1_000, 2_000)) / 100), [200, 2_200]);
        // There and back is a change, too: what was read in between isn't known.
        assert_eq!(reads(5_000, |ms| u64::from(ms == 1_000)), [200, 1_250]);
    }

    #[test]
    fn what_never_is_quiet_is_read_every_two_seconds() {
        assert_eq!(reads(6_250, |ms| ms / 100), [2_000, 4_100, 6_200]);
    }

    #[test]
    fn it_looks_more_often_while_something_changes() {
        let start = Instant::now();
        let mut quiet = Quiet::default();
        assert!(!quiet.look(start, 1));
        assert_eq!(quiet.pause(), BUSY);
        assert!(quiet.look(start + QUIET, 1));
        assert_eq!(quiet.pause(), IDLE);
        assert!(!quiet.look(start + 4 * QUIET, 1));
        assert_eq!(quiet.pause(), IDLE);
    }

    #[test]
    fn every_way_to_change_a_file_shows() {
        let place = tempfile::tempdir().unwrap();
        let (versions, link) = (place.path().join("v"), place.path().join("policies"));
        for version in ["1", "2"] {
            fs::create_dir_all(versions.join(version)).unwrap();
            fs::write(versions.join(version).join("a.yaml"), "same").unwrap();
        }
        // As Kubernetes mounts a ConfigMap: policies/a.yaml -> ..data/a.yaml, ..data -> a directory.
        fs::create_dir(&link).unwrap();
        std::os::unix::fs::symlink(versions.join("1"), link.join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/a.yaml", link.join("a.yaml")).unwrap();
        let mut last = Stamps::of_policies(&link);
        let mut changed = |what: &str| {
            let now = Stamps::of_policies(&link);
            assert_ne!(now, last, "{what}");
            assert_eq!(now, Stamps::of_policies(&link), "{what}: and no more");
            last = now;
        };
        std::os::unix::fs::symlink(versions.join("2"), link.join("..new")).unwrap();
        fs::rename(link.join("..new"), link.join("..data")).unwrap();
        changed("the link was replaced");
        fs::write(versions.join("2").join("a.yaml"), "other").unwrap();
        changed("written in place");
        fs::write(link.join("part"), "third").unwrap();
        fs::rename(link.join("part"), link.join("a.yaml")).unwrap();
        changed("renamed over");
        fs::write(link.join("b.yml"), "").unwrap();
        changed("a new file");
        fs::remove_file(link.join("b.yml")).unwrap();
        changed("a file less");
        fs::write(link.join("README.md"), "").unwrap();
        assert_eq!(Stamps::of_policies(&link), last, "not a policy");
        fs::remove_dir_all(&link).unwrap();
        assert_ne!(Stamps::of_policies(&link), last);
        assert_eq!(Stamps::of_policies(&link), Stamps::of_policies(&link), "gone is gone");
    }
}
