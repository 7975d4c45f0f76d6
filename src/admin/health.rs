//! The `/health` report: database, policies, TLS, disk space, memory.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::admin::readiness::Readiness;
use crate::metrics::Expiry;

const MIB: u64 = 1 << 20;

/// Less disk space than this fails: the log and whatever else writes there is about to stop.
const DISK_FAILS: u64 = 32 * MIB;
/// Less memory than this fails: the next deep statement may get the process killed.
const MEMORY_FAILS: u64 = 32 * MIB;
const DAY: i64 = 24 * 60 * 60;
/// A certificate that ends within so many seconds is worth a warning.
const CERTIFICATE_WARNS: i64 = 14 * DAY;
/// A revocation list: many authorities make a new one each week.
const REVOCATIONS_WARN: i64 = DAY;
/// Less than this share of the whole, in percent, is worth a warning.
const WARN_PERCENT: u64 = 5;

/// How one part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    /// Works, but somebody should look.
    Warn,
    /// Does not work: `/health` answers 503.
    Fail,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "fail",
        }
    }
}

/// One part of the report.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Service {
    status: Status,
    detail: String,
    /// Figures, by name with unit.
    figures: Vec<(&'static str, u64)>,
    /// Which policy files are in force.
    digest: Option<String>,
}

/// The whole report.
#[derive(Debug)]
pub(super) struct Report {
    services: [(&'static str, Service); 5],
}

/// Looks at everything now; the database by its last probe.
pub(super) fn report(readiness: &Readiness, policies: &Path) -> Report {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    Report {
        services: [
            ("database", database(readiness)),
            ("policies", loaded(readiness.policies())),
            ("tls", tls(readiness.tls_failed(), first(&readiness.known_to_end()), jiff::Timestamp::now().as_second())),
            ("disk_space", disk(policies)),
            ("memory", memory(&read)),
        ],
    }
}

impl Report {
    /// No part fails.
    pub fn healthy(&self) -> bool {
        self.services.iter().all(|(_, service)| service.status != Status::Fail)
    }

    /// `{"status", "timestamp", "services": {…}}`.
    pub fn to_json(&self, now: jiff::Timestamp) -> Value {
        let mut services = Map::new();
        for (name, service) in &self.services {
            let mut entry = Map::new();
            entry.insert("status".into(), service.status.as_str().into());
            entry.insert("detail".into(), service.detail.clone().into());
            for (figure, value) in &service.figures {
                entry.insert((*figure).into(), (*value).into());
            }
            if let Some(digest) = &service.digest {
                entry.insert("digest".into(), digest.clone().into());
            }
            services.insert((*name).into(), entry.into());
        }
        let status = if self.healthy() { Status::Ok } else { Status::Fail };
        json!({ "status": status.as_str(), "timestamp": format!("{now:.3}"), "services": services })
    }
}

fn database(readiness: &Readiness) -> Service {
    match readiness.upstream() {
        Ok(took) => {
            let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            let figures = vec![("probe_microseconds", microseconds)];
            Service { status: Status::Ok, detail: "reachable".into(), figures, digest: None }
        }
        Err(why) => Service { status: Status::Fail, detail: why, figures: vec![], digest: None },
    }
}

fn loaded((count, digest, reload_failed): (usize, String, bool)) -> Service {
    let (status, detail) = match (count, reload_failed) {
        (0, _) => (Status::Fail, "no policy loaded"),
        (_, true) => (Status::Warn, "the last reload failed, older policies are in force"),
        (_, false) => (Status::Ok, "loaded"),
    };
    let figures = vec![("loaded", u64::try_from(count).unwrap_or(u64::MAX))];
    Service { status, detail: detail.into(), figures, digest: Some(digest).filter(|_| count > 0) }
}

fn warns(kind: &str) -> i64 {
    if kind == "revocations" { REVOCATIONS_WARN } else { CERTIFICATE_WARNS }
}

/// What is the first to be worth a warning.
fn first(known: &[Expiry]) -> Option<Expiry> {
    known.iter().min_by_key(|one| one.at.saturating_sub(warns(one.kind))).cloned()
}

/// `now` in seconds since 1970.
fn tls(reload_failed: bool, first: Option<Expiry>, now: i64) -> Service {
    let left = first.as_ref().map(|first| first.at.saturating_sub(now));
    let mut problems = Vec::new();
    if reload_failed {
        problems.push("the last reload of certificate files failed, older ones are in force".to_owned());
    }
    if let (Some(Expiry { leg, kind, .. }), Some(left)) = (first, left)
        && left < warns(kind)
    {
        let of = match (leg, kind) {
            ("client", "certificate") => "the certificate in tls_cert",
            ("client", "authority") => "an authority of client certificates",
            ("upstream", "certificate") => "the certificate in sslcert",
            ("upstream", "authority") => "an authority in sslrootcert",
            ("upstream", "server") => "the certificate that the upstream shows",
            _ => "a revocation list",
        };
        problems.push(match left {
            0.. => format!("{of} ends in {} days", left / DAY),
            _ => format!("{of} ended {} days ago", left.saturating_neg() / DAY),
        });
    }
    let status = if problems.is_empty() { Status::Ok } else { Status::Warn };
    let detail = if problems.is_empty() { "loaded".to_owned() } else { problems.join("; ") };
    let figures = left.map(|left| ("first_expiry_seconds", u64::try_from(left).unwrap_or(0)));
    Service { status, detail, figures: figures.into_iter().collect(), digest: None }
}

/// The file system that holds the policies.
fn disk(directory: &Path) -> Service {
    match rustix::fs::statvfs(directory) {
        Ok(fs) if fs.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) => {
            // A full read-only image is what a hardened container has.
            Service { status: Status::Ok, detail: "read-only file system".into(), figures: vec![], digest: None }
        }
        Ok(fs) => room(fs.f_bavail.saturating_mul(fs.f_frsize), fs.f_blocks.saturating_mul(fs.f_frsize), DISK_FAILS),
        Err(error) => {
            Service { status: Status::Fail, detail: format!("not readable: {error}"), figures: vec![], digest: None }
        }
    }
}

/// What this process may still take: of its control group where that is limited, else of the machine. `read` reads a
/// file of `/proc` or `/sys`.
fn memory(read: &dyn Fn(&str) -> Option<String>) -> Service {
    let resident = read("/proc/self/status").and_then(|text| kib(&text, "VmRSS:"));
    let mut service = match cgroup(read).or_else(|| machine(read)) {
        Some((available, total)) => room(available, total, MEMORY_FAILS),
        None => {
            Service { status: Status::Ok, detail: "not known on this system".into(), figures: vec![], digest: None }
        }
    };
    service.figures.extend(resident.map(|bytes| ("resident_bytes", bytes)));
    service
}

/// Available and total bytes of a limited control group, version 2 or 1. The cache of files counts as available: the
/// kernel gives it back before it kills anybody.
fn cgroup(read: &dyn Fn(&str) -> Option<String>) -> Option<(u64, u64)> {
    let number = |path: &str| read(path)?.trim().parse::<u64>().ok();
    let (limit, used, stat) = match number("/sys/fs/cgroup/memory.max") {
        Some(limit) => (limit, number("/sys/fs/cgroup/memory.current")?, read("/sys/fs/cgroup/memory.stat")),
        None => (
            number("/sys/fs/cgroup/memory/memory.limit_in_bytes")?,
            number("/sys/fs/cgroup/memory/memory.usage_in_bytes")?,
            read("/sys/fs/cgroup/memory/memory.stat"),
        ),
    };
    // Version 1 writes "no limit" as a number near 2^63.
    if limit >= 1 << 60 {
        return None;
    }
    let cache = stat.and_then(|text| word_after(&text, "inactive_file")).unwrap_or(0);
    Some((limit.saturating_sub(used.saturating_sub(cache)), limit))
}

/// Available and total bytes of the machine.
fn machine(read: &dyn Fn(&str) -> Option<String>) -> Option<(u64, u64)> {
    let text = read("/proc/meminfo")?;
    Some((kib(&text, "MemAvailable:")?, kib(&text, "MemTotal:")?))
}

/// The value of a line `key   123 kB`, in bytes.
fn kib(text: &str, key: &str) -> Option<u64> {
    word_after(text, key)?.checked_mul(1024)
}

/// The number that follows a key at the start of a line.
fn word_after(text: &str, key: &str) -> Option<u64> {
    let mut words = text.lines().map(str::split_whitespace).find_map(|mut w| (w.next() == Some(key)).then_some(w))?;
    words.next()?.parse().ok()
}

fn room(available: u64, total: u64, fails_below: u64) -> Service {
    let (status, detail) = if available < fails_below {
        (Status::Fail, "almost none left")
    } else if available / WARN_PERCENT < total / 100 {
        (Status::Warn, "little left")
    } else {
        (Status::Ok, "enough")
    };
    Service {
        status,
        detail: detail.into(),
        figures: vec![("available_bytes", available), ("total_bytes", total)],
        digest: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        move |path| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned())
    }

    fn figure(service: &Service, name: &str) -> Option<u64> {
        service.figures.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }

    #[test]
    fn a_limited_control_group_counts_before_the_machine() {
        let read = files(&[
            ("/sys/fs/cgroup/memory.max", "268435456\n"),
            ("/sys/fs/cgroup/memory.current", "260000000\n"),
            ("/sys/fs/cgroup/memory.stat", "anon 5\ninactive_file 100000000\nactive_file 7\n"),
            ("/proc/meminfo", "MemTotal: 99999999 kB\nMemAvailable: 99999999 kB\n"),
            ("/proc/self/status", "Name:\tportcullis\nVmRSS:\t   10240 kB\n"),
        ]);
        let service = memory(&read);
        assert_eq!(service.status, Status::Ok);
        assert_eq!(figure(&service, "available_bytes"), Some(268_435_456 - 160_000_000));
        assert_eq!(figure(&service, "resident_bytes"), Some(10240 * 1024));
    }

    #[test]
    fn an_exhausted_control_group_fails() {
        let read = files(&[
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456"),
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "260000000"),
        ]);
        assert_eq!(memory(&read).status, Status::Fail);
    }

    #[test]
    fn without_a_limit_the_machine_counts() {
        let read = files(&[
            ("/sys/fs/cgroup/memory.max", "max\n"),
            ("/proc/meminfo", "MemTotal:  1000000 kB\nMemFree: 1 kB\nMemAvailable:   40000 kB\n"),
        ]);
        let service = memory(&read);
        assert_eq!((service.status, figure(&service, "available_bytes")), (Status::Warn, Some(40_000 * 1024)));
        let unlimited = files(&[
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"),
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "1"),
            ("/proc/meminfo", "MemTotal: 1000000 kB\nMemAvailable: 900000 kB\n"),
        ]);
        assert_eq!(memory(&unlimited).status, Status::Ok);
        assert_eq!(memory(&files(&[])).detail, "not known on this system");
    }

    #[test]
    fn a_certificate_that_ends_soon_warns() {
        let of = |leg, kind, at| Some(Expiry { leg, kind, at });
        let far = tls(false, of("client", "certificate", 1_000 + 15 * DAY), 1_000);
        assert_eq!((far.status, figure(&far, "first_expiry_seconds")), (Status::Ok, Some(15 * 24 * 60 * 60)));
        let near = tls(false, of("upstream", "server", 1_000 + 13 * DAY), 1_000);
        assert_eq!(near.status, Status::Warn);
        assert_eq!(near.detail, "the certificate that the upstream shows ends in 13 days");
        let over = tls(true, of("upstream", "authority", 1_000), 1_000 + 2 * DAY);
        assert!(over.detail.ends_with("in force; an authority in sslrootcert ended 2 days ago"), "{}", over.detail);
        assert_eq!(figure(&over, "first_expiry_seconds"), Some(0));
        assert_eq!(tls(false, None, 1_000).figures, []);

        // A list of a week is none that ends soon, and does not hide the certificate behind it.
        let list = of("client", "revocations", 1_000 + 6 * DAY).unwrap();
        assert_eq!(tls(false, Some(list.clone()), 1_000).status, Status::Ok);
        let server = of("upstream", "server", 1_000 + 13 * DAY).unwrap();
        assert_eq!(first(&[list.clone(), server.clone()]), Some(server));
        let over = tls(false, first(&[list]), 1_000 + 5 * DAY + 1);
        assert_eq!((over.status, over.detail.as_str()), (Status::Warn, "a revocation list ends in 0 days"));
    }

    #[test]
    fn the_disk_of_a_missing_directory_fails() {
        assert_eq!(disk(Path::new("/no/such/directory")).status, Status::Fail);
    }

    #[test]
    fn little_room_warns_before_it_fails() {
        assert_eq!(room(100 * MIB, 1000 * MIB, DISK_FAILS).status, Status::Ok);
        assert_eq!(room(40 * MIB, 1000 * MIB, DISK_FAILS).status, Status::Warn);
        assert_eq!(room(31 * MIB, 1000 * MIB, DISK_FAILS).status, Status::Fail);
    }
}
