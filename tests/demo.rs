//! `portcullis demo`: the tour shows what it says, and nothing is left behind however it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// A temporary directory of its own: whatever the demo leaves is seen in it. PostgreSQL's account must be able to enter.
fn place() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    place
}

fn demo(place: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.arg("demo").args(arguments).env("TMPDIR", place).stdin(Stdio::null());
    command
}

#[track_caller]
fn assert_empty(place: &Path) {
    let left = || -> Vec<PathBuf> { std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()).collect() };
    let deadline = Instant::now() + Duration::from_secs(10);
    while !left().is_empty() {
        assert!(Instant::now() < deadline, "left behind: {:?}", left());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A demo that is ended when its test fails; it takes PostgreSQL and the firewall along.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a demo that stays up, and reads to where it says what to try: the process, its lines, and the process ids of
/// PostgreSQL and the firewall.
fn stay_up(place: &Path) -> (Running, Vec<String>, Vec<Pid>) {
    let mut child = Running(demo(place, &[]).stdout(Stdio::piped()).spawn().unwrap());
    let mut output = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut lines: Vec<String> = Vec::new();
    while !lines.last().is_some_and(|line| line.starts_with("Ctrl-C")) {
        lines.push(output.next().unwrap_or_else(|| panic!("it ended:\n{}", lines.join("\n"))).unwrap());
    }
    let children = common::tools::run(Command::new("ps").args(["-A", "-o", "pid=,ppid="])).ok();
    let own = child.0.id().to_string();
    let pids = children.lines().filter_map(|line| {
        let (pid, parent) = line.trim().split_once(char::is_whitespace)?;
        (parent.trim() == own).then(|| Pid::from_raw(pid.parse().ok()?)).flatten()
    });
    let pids: Vec<Pid> = pids.collect();
    assert_eq!(pids.len(), 2, "PostgreSQL and the firewall are its children:\n{}", lines.join("\n"));
    (child, lines, pids)
}

#[test]
fn the_tour_shows_what_it_says_and_ends() {
    let place = place();
    let output = common::tools::run(&mut demo(place.path(), &["--once"]));
    let told = output.ok();
    for part in [
        "grappling hook",
        "ERROR:  42501: statement refused by policy \"shop\"",
        "rule \"unbounded-write\" (policies/shop.yaml:",
        "portcullis_refusals_total{policy=\"shop\",rule=\"unbounded-write\"} 1",
        "portcullis_security_events_total{event_type=\"sql_injection_attempt\"} 1",
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    assert_empty(place.path());
}

#[test]
fn after_the_tour_the_database_url_works_until_ctrl_c() {
    let place = place();
    let (mut child, lines, pids) = stay_up(place.path());
    let url = lines.iter().find_map(|line| line.split("DATABASE_URL='").nth(1)).unwrap().trim_end_matches('\'');
    let psql = portcullis::cli::demo::cluster::Binaries::find().unwrap().tool("psql");
    // With channel binding right through the firewall: both show one certificate.
    let ask = |sql: &str| {
        let mut command = Command::new(&psql);
        command.env("PGCHANNELBINDING", "require").args(["-X", "-A", "-t", "-c", sql, url]);
        common::tools::run(&mut command)
    };
    assert_eq!(ask("SELECT count(*) FROM products").ok(), "3\n");
    assert!(ask("DROP TABLE orders").stderr.contains("refused by policy"));
    kill_process(Pid::from_raw(i32::try_from(child.0.id()).unwrap()).unwrap(), Signal::INT).unwrap();
    assert!(child.0.wait().unwrap().success());
    for pid in pids {
        assert!(test_kill_process(pid).is_err(), "{pid:?} still runs");
    }
    assert_empty(place.path());
}

#[test]
fn a_killed_demo_leaves_nothing_either() {
    let place = place();
    let (mut child, _, pids) = stay_up(place.path());
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    assert_empty(place.path());
    let deadline = Instant::now() + Duration::from_secs(10);
    while pids.iter().any(|pid| test_kill_process(*pid).is_ok()) {
        assert!(Instant::now() < deadline, "a process still runs");
        std::thread::sleep(Duration::from_millis(50));
    }
}
