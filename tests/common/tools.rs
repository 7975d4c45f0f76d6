//! PostgreSQL's client programs and others, run as a person would.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::cluster::Cluster;

/// What a program left behind.
#[derive(Debug, PartialEq, Eq)]
pub struct Output {
    /// Exit code; -1 where a signal ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Its output; panics where it failed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self.stdout
    }
}

/// Runs a command with nothing of our `PG…` environment, and waits for it.
pub fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// One of PostgreSQL's client programs, to connect to a port of 127.0.0.1 as this user; plain unless `PGSSLMODE` is set
/// on it.
pub fn client(cluster: &Cluster, program: &str, port: u16, user: &str, database: &str) -> Command {
    let mut command = Command::new(cluster.tool(program));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    let home = cluster.ca().parent().map(PathBuf::from).unwrap_or_default();
    command.env("LC_ALL", "C.UTF-8").env("HOME", home).env("PGCLIENTENCODING", "UTF8");
    command.env("PGHOST", "127.0.0.1").env("PGPORT", port.to_string()).env("PGUSER", user);
    command.env("PGDATABASE", database).env("PGSSLMODE", "disable").env("PGPASSWORD", "secret");
    command.env("PGCONNECT_TIMEOUT", "20");
    command
}

/// psql with `-c` for each of these, errors verbose; unaligned, tuples only.
pub fn psql(cluster: &Cluster, port: u16, user: &str, database: &str, commands: &[&str]) -> Output {
    let mut command = client(cluster, "psql", port, user, database);
    command.args(["-X", "-A", "-t", "-v", "VERBOSITY=verbose"]);
    for sql in commands {
        command.args(["-c", sql]);
    }
    run(&mut command)
}

/// The built program with these arguments.
pub fn portcullis(arguments: &[&str]) -> Output {
    run(Command::new(env!("CARGO_BIN_EXE_portcullis")).args(arguments).env("NO_COLOR", "1"))
}
