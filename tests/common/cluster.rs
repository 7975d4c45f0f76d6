//! A throw-away PostgreSQL for tests: TLS, and roles that log in by trust, md5 and SCRAM.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use portcullis::cli::demo::certificates::Authority;
use portcullis::cli::demo::cluster::{self, Binaries, Scratch};

/// Roles, databases and tables: `tests/common/cluster.sql`.
const SQL: &str = include_str!("cluster.sql");

/// Who logs in how. `ssl_user` and `md5_ssl_user` may come by TLS only, `plain_user` without TLS only.
const HBA: &str = "\
hostnossl all           ssl_user,md5_ssl_user  all  reject
hostssl   all           plain_user             all  reject
host      all           scram_user,ssl_user    all  scram-sha-256
host      all           md5_user,md5_ssl_user  all  md5
host      all           all                    all  trust
host      replication   all                    all  trust
";

/// What a test may want of its cluster.
pub struct Options {
    /// `ssl`: whether the server speaks TLS.
    pub tls: bool,
    /// The hosts in the server's certificate.
    pub hosts: Vec<&'static str>,
    /// Settings on top, as `name=value`.
    pub settings: Vec<String>,
    /// Replaces the lines of `pg_hba.conf`.
    pub hba: Option<String>,
    /// Roles, databases and tables that it holds.
    pub sql: &'static str,
}

impl Options {
    /// A server that holds nothing.
    #[allow(dead_code, reason = "not every test wants one")]
    pub fn bare() -> Options {
        Options { sql: "", ..Options::default() }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options { tls: true, hosts: vec!["localhost", "127.0.0.1"], settings: Vec::new(), hba: None, sql: SQL }
    }
}

/// A running PostgreSQL; dropping it leaves nothing.
pub struct Cluster {
    server: cluster::Cluster,
    binaries: Binaries,
    authority: Authority,
    /// Files that the test's own account can read; removed with the cluster.
    files: tempfile::TempDir,
}

impl Cluster {
    /// A cluster with these options; panics where there is no PostgreSQL.
    pub fn start(options: Options) -> Cluster {
        let binaries = Binaries::find().unwrap_or_else(|error| panic!("{error}"));
        let template = template(&binaries, options.sql);
        let scratch = Scratch::new().unwrap();
        scratch.copy_from(&template).unwrap();
        fs::write(scratch.data().join("pg_hba.conf"), options.hba.as_deref().unwrap_or(HBA)).unwrap();
        let files = tempfile::tempdir().unwrap();
        let authority = Authority::new("Test CA").unwrap();
        authority.write(files.path(), "ca").unwrap();
        let server = authority.issue(&options.hosts, scratch.path(), "server").unwrap();
        scratch.own(&server.certificate).unwrap();
        scratch.own(&server.key).unwrap();
        let mut settings = vec!["log_min_messages=info".to_owned(), "max_connections=50".to_owned()];
        if options.tls {
            settings.push("ssl=on".to_owned());
            settings.push(format!("ssl_cert_file={}", server.certificate.display()));
            settings.push(format!("ssl_key_file={}", server.key.display()));
            // Whoever shows a certificate of the authority is believed: `cert` in pg_hba.conf.
            let root = authority.write(scratch.path(), "root").unwrap();
            scratch.own(&root).unwrap();
            settings.push(format!("ssl_ca_file={}", root.display()));
        }
        settings.extend(options.settings);
        let server = cluster::Cluster::start(&binaries, scratch, &settings).unwrap_or_else(|error| panic!("{error}"));
        Cluster { server, binaries, authority, files }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The process id of the postmaster.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// The directory that holds everything it has on disk.
    pub fn directory(&self) -> &Path {
        self.server.directory()
    }

    /// The path of one of PostgreSQL's programs.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.binaries.tool(name)
    }

    /// The authority's certificate, for `sslrootcert`.
    pub fn ca(&self) -> PathBuf {
        self.files.path().join("ca.crt")
    }

    /// A further certificate and key of the cluster's authority, as `(certificate, key)`.
    pub fn issue(&self, hosts: &[&str], stem: &str) -> (PathBuf, PathBuf) {
        let identity = self.authority.issue(hosts, self.files.path(), stem).unwrap();
        (identity.certificate, identity.key)
    }

    /// The server's own certificate and key, where the test's account can read them.
    pub fn server_identity(&self) -> (PathBuf, PathBuf) {
        let copy = |name: &str| {
            let to = self.files.path().join(name);
            fs::copy(self.directory().join(name), &to).unwrap();
            to
        };
        (copy("server.crt"), copy("server.key"))
    }

    /// The server's major version.
    #[allow(dead_code, reason = "not every test asks")]
    pub fn major(&self) -> u32 {
        let told = std::process::Command::new(self.tool("postgres")).arg("--version").output().unwrap().stdout;
        let told = String::from_utf8_lossy(&told).into_owned();
        let number = told.split(' ').find(|word| word.starts_with(|c: char| c.is_ascii_digit())).unwrap();
        number.split('.').next().unwrap().trim().parse().unwrap()
    }

    /// What the server logged.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Runs SQL as the superuser, by psql on a direct connection.
    pub fn execute(&self, database: &str, sql: &str) {
        self.server.execute(database, sql).unwrap_or_else(|error| panic!("{error}"));
    }
}

impl Default for Cluster {
    fn default() -> Cluster {
        Cluster::start(Options::default())
    }
}

/// The data directory that all test clusters are copied from, made once for each version of PostgreSQL and of the SQL by
/// whichever test process comes first; the others wait at the lock.
fn template(binaries: &Binaries, sql: &str) -> PathBuf {
    let version = std::process::Command::new(binaries.tool("postgres")).arg("--version").output().unwrap();
    let version: String = String::from_utf8_lossy(&version.stdout).chars().filter(|c| c.is_alphanumeric()).collect();
    let key = format!("{version}-{:016x}", fnv(sql.as_bytes()));
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(place).unwrap();
    let ready = place.join(format!("cluster-{key}"));
    let lock = File::create(place.join("cluster.lock")).unwrap();
    lock.lock().unwrap();
    if !ready.exists() {
        let scratch = Scratch::new().unwrap();
        scratch.initdb(binaries).unwrap_or_else(|error| panic!("{error}"));
        let server = cluster::Cluster::start(binaries, scratch, &[]).unwrap_or_else(|error| panic!("{error}"));
        server.execute("postgres", sql).unwrap_or_else(|error| panic!("{error}"));
        let scratch = server.stop();
        let part = place.join(format!("cluster-{key}.part"));
        let _ = fs::remove_dir_all(&part);
        let copied = std::process::Command::new("cp").arg("-R").arg(scratch.data()).arg(&part).status().unwrap();
        assert!(copied.success());
        fs::rename(part, &ready).unwrap();
    }
    ready
}

/// FNV-1a: names a version of the SQL, stably across runs.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Two ports that were free a moment ago.
pub fn two_ports() -> [u16; 2] {
    [cluster::free_port().unwrap(), cluster::free_port().unwrap()]
}
