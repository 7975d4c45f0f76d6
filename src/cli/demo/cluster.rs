//! A PostgreSQL to throw away: found, made, started on a free loopback port, and gone without a trace however this
//! process ends. The demo runs on one; so do the end-to-end tests.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long PostgreSQL may take from start to its first answer.
const START: Duration = Duration::from_secs(30);

/// How to get PostgreSQL, for people who don't have it.
pub const INSTALL: &str = "PostgreSQL's server programs (initdb, postgres) were not found in PGBIN, PATH, \
    `pg_config --bindir`, /usr/lib/postgresql/*/bin or Homebrew.\n\
    Install them:  Debian, Ubuntu: sudo apt-get install postgresql   macOS: brew install postgresql@17";

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error("{INSTALL}")]
    NotInstalled,
    #[error("PGBIN names {}, where there is no PostgreSQL server (initdb, postgres)", .0.display())]
    NoServer(PathBuf),
    #[error("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to run it as")]
    NoAccount,
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("{what} failed:\n{output}")]
    Failed { what: String, output: String },
    #[error("PostgreSQL did not start; its log says:\n{log}")]
    DidNotStart { log: String },
}

/// Where PostgreSQL's programs are.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// `initdb`, `postgres`.
    server: PathBuf,
    /// `psql` and the other clients, which may be of another version.
    client: PathBuf,
}

impl Binaries {
    /// Looks in `PGBIN`, `PATH`, `pg_config --bindir`, Debian's versioned directories and Homebrew's, in this order. What
    /// `PGBIN` names must be a server; clients may come from one of the other places.
    ///
    /// # Errors
    /// They are nowhere: the error says how to install them.
    pub fn find() -> Result<Binaries, ClusterError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let given = std::env::var_os("PGBIN").map(PathBuf::from);
        let config = Command::new("pg_config").arg("--bindir").output().ok();
        let config = config.map(|out| PathBuf::from(String::from_utf8_lossy(&out.stdout).trim()));
        let mut candidates: Vec<PathBuf> = given.iter().cloned().chain(std::env::split_paths(&path)).collect();
        candidates.extend(config);
        for parent in ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"] {
            candidates.extend(versions_in(Path::new(parent)));
        }
        let holds = |dir: &Path, tools: &[&str]| tools.iter().all(|tool| dir.join(tool).is_file());
        let is_server = |dir: &Path| holds(dir, &["initdb", "postgres"]);
        if let Some(given) = &given
            && !is_server(given)
        {
            return Err(ClusterError::NoServer(given.clone()));
        }
        let server = candidates.iter().find(|dir| is_server(dir)).ok_or(ClusterError::NotInstalled)?;
        let of_server = [server].into_iter().chain(&candidates).find(|dir| holds(dir, &["psql"]));
        let client = of_server.ok_or(ClusterError::NotInstalled)?;
        Ok(Binaries { server: server.clone(), client: client.clone() })
    }

    /// The path of one program.
    pub fn tool(&self, name: &str) -> PathBuf {
        let of_server = self.server.join(name);
        if of_server.is_file() { of_server } else { self.client.join(name) }
    }
}

/// `<parent>/15/bin`, `<parent>/postgresql@17/bin` …, the newest version first.
fn versions_in(parent: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Ok(version) = name.trim_start_matches("postgresql@").parse() {
            found.push((version, entry.path().join("bin")));
        }
    }
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, bin)| bin).collect()
}

/// The account that PostgreSQL runs as: ourselves, unless we are root, which it refuses.
#[derive(Debug, Clone, Copy)]
struct Account(Option<(u32, u32)>);

impl Account {
    fn find() -> Result<Account, ClusterError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Account(None));
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let ids = |user: &str| {
            let line = passwd.lines().find(|line| line.split(':').next() == Some(user))?;
            let mut fields = line.split(':').skip(2);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        };
        ids("postgres").or_else(|| ids("nobody")).map(|ids| Account(Some(ids))).ok_or(ClusterError::NoAccount)
    }

    fn own(self, path: &Path) -> Result<(), ClusterError> {
        let Some((uid, gid)) = self.0 else { return Ok(()) };
        chown(path, Some(uid), Some(gid)).map_err(io_error(|| format!("can't hand over {}", path.display())))
    }

    /// A command that runs as this account, in `directory` (our own may be closed to it), with our environment less
    /// every `PG…` variable, which would redirect PostgreSQL's programs.
    fn command(self, program: impl AsRef<OsStr>, directory: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(directory).env("LC_ALL", "C");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        if let Some((uid, gid)) = self.0 {
            command.uid(uid).gid(gid);
        }
        command
    }
}

/// A directory for one cluster, owned by the account it runs as, removed on drop.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    account: Account,
    /// The password of the superuser `postgres`: nobody else on this machine may become it meanwhile.
    password: String,
}

impl Scratch {
    /// A fresh directory in the system's place for temporary ones.
    ///
    /// # Errors
    /// It can't be made, or we are root and there is nobody to run PostgreSQL as.
    pub fn new() -> Result<Scratch, ClusterError> {
        let account = Account::find()?;
        let path = std::env::temp_dir().join(format!("portcullis-{:016x}", rand::random::<u64>()));
        fs::create_dir(&path).map_err(io_error(|| format!("can't create {}", path.display())))?;
        let scratch = Scratch { path, account, password: format!("{:032x}", rand::random::<u128>()) };
        // Others may open a file in it whose name they know (the authority's certificate), not list it.
        let private = fs::Permissions::from_mode(0o711);
        fs::set_permissions(&scratch.path, private).map_err(io_error(|| "can't make a directory private".into()))?;
        account.own(&scratch.path)?;
        Ok(scratch)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The cluster's data directory.
    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// Hands a file over to PostgreSQL's account; a private key must be its own.
    ///
    /// # Errors
    /// We may not.
    pub fn own(&self, path: &Path) -> Result<(), ClusterError> {
        self.account.own(path)
    }

    /// Makes a new cluster in [`Scratch::data`] with the superuser `postgres`.
    ///
    /// # Errors
    /// `initdb` fails: its output is in the error.
    pub fn initdb(&self, binaries: &Binaries) -> Result<(), ClusterError> {
        // Small WAL segments and no fsync: it lives for minutes and is cheap to copy.
        let mut command = self.account.command(binaries.tool("initdb"), &self.path);
        command.args(["--no-sync", "--wal-segsize=1", "--encoding=UTF8", "--locale=C"]);
        let password = self.path.join("password");
        write_private(&password, &self.password)?;
        self.own(&password)?;
        command.args(["--username=postgres", "--auth=scram-sha-256", "--pwfile"]).arg(&password);
        run(command.arg("--pgdata").arg(self.data()), "initdb")
    }

    /// Makes [`Scratch::data`] a copy of a stopped cluster's data directory.
    ///
    /// # Errors
    /// The copy fails.
    pub fn copy_from(&self, template: &Path) -> Result<(), ClusterError> {
        let mut copy = Command::new("cp");
        copy.arg("-R").arg(template).arg(self.data());
        run(&mut copy, "copying the cluster")?;
        if let Some((uid, gid)) = self.account.0 {
            let mut hand_over = Command::new("chown");
            hand_over.arg("-R").arg(format!("{uid}:{gid}")).arg(self.data());
            run(&mut hand_over, "chown")?;
        }
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(self.data(), private).map_err(io_error(|| "can't make a directory private".into()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A running PostgreSQL on a loopback port. Dropping it stops it and removes its files.
#[derive(Debug)]
pub struct Cluster {
    binaries: Binaries,
    port: u16,
    process: Kept,
    scratch: Scratch,
}

impl Cluster {
    /// Starts PostgreSQL on the cluster in `scratch`, on a free port of 127.0.0.1, with these settings on top.
    ///
    /// # Errors
    /// It does not start, or gives no answer in 30 seconds.
    pub fn start(binaries: &Binaries, scratch: Scratch, settings: &[String]) -> Result<Cluster, ClusterError> {
        let log_path = scratch.path.join("postgres.log");
        loop {
            let port = free_port()?;
            let mut command = scratch.account.command("sh", &scratch.path);
            let log = File::create(&log_path).map_err(io_error(|| format!("can't write {}", log_path.display())))?;
            let program = binaries.tool("postgres");
            let mut arguments = vec!["-D".to_owned(), scratch.data().display().to_string()];
            arguments.extend(["-F".to_owned(), "-p".to_owned(), port.to_string()]);
            let fixed = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "autovacuum=off"];
            for setting in fixed.iter().map(|s| (*s).to_owned()).chain(settings.iter().cloned()) {
                arguments.extend(["-c".to_owned(), setting]);
            }
            let mut process = Kept::spawn(&mut command, &program, &arguments, "QUIT", Some(&scratch.path), log)?;
            let deadline = Instant::now() + START;
            loop {
                std::thread::sleep(Duration::from_millis(20));
                let ended = process.ended();
                let log = fs::read_to_string(&log_path).unwrap_or_default();
                if log.contains("database system is ready to accept connections") {
                    return Ok(Cluster { binaries: binaries.clone(), port, process, scratch });
                }
                // Somebody took the port between our look and PostgreSQL's: another one.
                if ended && log.contains("could not bind") {
                    break;
                }
                if ended || Instant::now() > deadline {
                    return Err(ClusterError::DidNotStart { log });
                }
            }
        }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory with its data, log and certificates.
    pub fn directory(&self) -> &Path {
        &self.scratch.path
    }

    /// Hands a file or directory over to PostgreSQL's account.
    ///
    /// # Errors
    /// We may not.
    pub fn own(&self, path: &Path) -> Result<(), ClusterError> {
        self.scratch.own(path)
    }

    /// The password of the superuser `postgres`, where [`Scratch::initdb`] made the cluster.
    pub fn password(&self) -> &str {
        &self.scratch.password
    }

    /// The process id of the postmaster.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The directory of PostgreSQL's programs.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// What PostgreSQL logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.scratch.path.join("postgres.log")).unwrap_or_default()
    }

    /// Runs a script as the superuser in one database, stopping at the first error.
    ///
    /// # Errors
    /// The script fails: psql's output is in the error.
    pub fn execute(&self, database: &str, script: &str) -> Result<(), ClusterError> {
        let path = self.scratch.path.join("script.sql");
        write_private(&path, script)?;
        let mut psql = Account(None).command(self.binaries.tool("psql"), &self.scratch.path);
        psql.env("PGPASSWORD", &self.scratch.password).args([
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
        ]);
        psql.args(["-p", &self.port.to_string(), "-d", database, "-f"]).arg(&path);
        run(&mut psql, "psql")
    }

    /// Shuts it down cleanly and hands its directory back, with a data directory that can be copied.
    pub fn stop(self) -> Scratch {
        let Cluster { process, scratch, .. } = self;
        process.stop();
        scratch
    }
}

/// A child process that can't outlive this one, not even after SIGKILL: a small shell holds the other end of a pipe, and
/// when that closes it ends the child and removes its files. (The kernel's own way, PR_SET_PDEATHSIG, needs `unsafe`
/// and is Linux only.)
#[derive(Debug)]
pub struct Kept {
    child: Child,
}

/// `$1` is the signal that ends the child, `$2` the directory to remove (or empty), the rest the command. The reader goes
/// on beside the command that replaces the shell; `$$` is that command's process id in it too. A line read instead of
/// the end of the pipe tells it to leave everything as it is.
const KEEPER: &str = r#"signal=$1; dir=$2; shift 2; exec 3<&0
(read -r _ <&3 && exit
 kill -s "$signal" $$; n=0
 while kill -s 0 $$ && [ $n -lt 100 ]; do sleep 0.05; n=$((n+1)); done
 [ -z "$dir" ] || rm -rf "$dir") >/dev/null 2>&1 &
exec "$@" 3<&- </dev/null"#;

impl Kept {
    /// Starts `program` by way of `shell` (a command for `sh`, which says as whom and where), its output in `log`. It is in
    /// a process group of its own: the terminal's Ctrl-C is not for it. `end` names the signal that ends it on drop.
    ///
    /// # Errors
    /// There is no `sh`.
    pub fn spawn(
        shell: &mut Command,
        program: &Path,
        arguments: &[String],
        end: &str,
        remove: Option<&Path>,
        log: File,
    ) -> Result<Kept, ClusterError> {
        let failed = || format!("can't start {}", program.display());
        let stdout = log.try_clone().map_err(io_error(failed))?;
        shell.args(["-c", KEEPER, "sh", end]).arg(remove.map_or(OsStr::new(""), Path::as_os_str)).arg(program);
        shell.args(arguments).stdin(Stdio::piped()).stdout(stdout).stderr(log).process_group(0);
        Ok(Kept { child: shell.spawn().map_err(io_error(failed))? })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end, at most this long; its exit code, or none if it goes on or a signal ended it.
    pub fn wait(&mut self, most: Duration) -> Option<i32> {
        let deadline = Instant::now() + most;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                Ok(Some(status)) => return status.code(),
                Err(_) => return None,
            }
        }
        None
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Ends it with SIGINT (PostgreSQL's fast shutdown), leaving its files.
    fn stop(mut self) {
        if let Some(mut keeper) = self.child.stdin.take() {
            let _ = keeper.write_all(b"\n");
        }
        self.signal(rustix::process::Signal::INT);
        self.wait(START);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.wait(Duration::from_secs(5));
        if !self.ended() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A port of 127.0.0.1 that was free a moment ago.
///
/// # Errors
/// There is no free port.
pub fn free_port() -> Result<u16, ClusterError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(io_error(|| "no free port".into()))
}

/// Writes a file that only its owner can read.
pub fn write_private(path: &Path, text: &str) -> Result<(), ClusterError> {
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(io_error(|| format!("can't write {}", path.display())))
}

fn io_error(what: impl FnOnce() -> String) -> impl FnOnce(io::Error) -> ClusterError {
    move |source| ClusterError::Io { what: what(), source }
}

fn run(command: &mut Command, what: &str) -> Result<(), ClusterError> {
    let output = command.stdin(Stdio::null()).output().map_err(io_error(|| format!("can't run {what}")))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(ClusterError::Failed { what: what.to_owned(), output: String::from_utf8_lossy(&text).into_owned() })
}
