//! Files that change come into force by themselves: policies however they are written, certificates for new connections.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use common::tools::{portcullis, run};
use common::wire::{Client, error, query, startup};
use common::{Cluster, Firewall, firewall};
use portcullis::config::Upstream;
use portcullis::net::{Connector, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

/// A policy of one name for each state of things, so that the log tells which one is in force.
fn policy(name: &str, tables: &str) -> String {
    format!(
        "policy: {name}\napplies_to: {{users: [app_rw, trust_user]}}\nsearch_path: [public]\nallow: [{{rule: read, actions: [select], \
         tables: [{tables}]}}]\n"
    )
}

fn watched(options: firewall::Options) -> firewall::Options {
    let mut options = options;
    options.environment.push(("PORTCULLIS_WATCH", "on".to_owned()));
    options
}

fn start(cluster: &Cluster) -> Firewall {
    Firewall::start(cluster, watched(firewall::Options::policy(&policy("first", "orders"))))
}

/// As `mv part test.yaml`.
fn rename_over(file: &Path, text: &str) {
    let part = file.with_extension("part");
    fs::write(&part, text).unwrap();
    fs::rename(part, file).unwrap();
}

/// Long enough for a reload that must not come.
fn a_while() {
    std::thread::sleep(Duration::from_millis(1_500));
}

/// Whether the policies allow it; what else could go wrong is none of this file's business.
#[track_caller]
fn reads_orders(session: &mut Client) -> bool {
    let frames = session.ask(&query("SELECT 1 FROM orders LIMIT 1"));
    if frames.iter().any(|frame| frame.kind == b'D') {
        return true;
    }
    let error = error(&frames);
    assert!(error.field('M').starts_with("statement refused by policy"), "{error:?}");
    false
}

fn count(firewall: &Firewall, part: &str) -> usize {
    firewall.log().matches(part).count()
}

#[test]
fn however_a_policy_is_written_it_comes_into_force() {
    let cluster = Cluster::default();
    let firewall = start(&cluster);
    let mut session = firewall.session("app_rw", "shop");
    assert!(reads_orders(&mut session));
    let file = firewall.policies().join("test.yaml");

    let from = firewall.log().len();
    fs::write(&file, policy("first", "products")).unwrap();
    let log = firewall.log_since(from, "policies reloaded");
    assert!(log.contains("diff=\"changed: first (rules changed: read)\"") && log.contains("source=\"watch\""), "{log}");
    assert!(!reads_orders(&mut session), "written in place");

    let from = firewall.log().len();
    rename_over(&file, &policy("second", "orders"));
    let log = firewall.log_since(from, "policies reloaded");
    assert!(log.contains("diff=\"added: second; removed: first\""), "{log}");
    assert!(reads_orders(&mut session), "renamed over");

    let from = firewall.log().len();
    fs::write(firewall.policies().join("more.yml"), policy("third", "products")).unwrap();
    firewall.log_since(from, "diff=\"added: third\"");
    let from = firewall.log().len();
    fs::remove_file(firewall.policies().join("more.yml")).unwrap();
    firewall.log_since(from, "diff=\"removed: third\"");

    // A comment is another file and the same policy.
    let (from, before) = (firewall.log().len(), digest(&firewall));
    rename_over(&file, &format!("# reviewed\n{}", policy("second", "orders")));
    firewall.log_since(from, "diff=\"nothing changed\"");
    assert_ne!(digest(&firewall), before);
    assert!(reads_orders(&mut session), "one session through all of it");
}

#[test]
fn a_list_of_statements_that_changes_is_told() {
    let cluster = Cluster::default();
    let firewall = start(&cluster);
    let hashes =
        ["0123456789abcdef0123456789abcdef", "1123456789abcdef0123456789abcdef", "2123456789abcdef0123456789abcdef"];
    let list =
        |hashes: &[&str]| -> String { hashes.iter().map(|hash| format!("- {{\"hash\":\"{hash}\"}}\n")).collect() };
    let file = firewall.policies().join("shop.learned.yaml");
    fs::write(&file, list(&hashes[..1])).unwrap();
    let from = firewall.log().len();
    let learned = format!("{}  - {{rule: learned, statements: shop.learned.yaml}}\n", policy("first", "orders"));
    let learned = learned.replace("allow: [", "allow:\n  - ").replace("}]\n", "}\n");
    rename_over(&firewall.policies().join("test.yaml"), &learned);
    firewall.log_since(from, "diff=\"changed: first (rules added: learned; statements: learned (1 added))\"");
    let from = firewall.log().len();
    rename_over(&file, &list(&hashes));
    firewall.log_since(from, "diff=\"changed: first (statements: learned (2 added))\"");
    let from = firewall.log().len();
    rename_over(&file, &list(&hashes[1..2]));
    firewall.log_since(from, "diff=\"changed: first (statements: learned (2 removed))\"");
}

/// The digest that `/health` shows, which the metric and the log must show too.
#[track_caller]
fn digest(firewall: &Firewall) -> String {
    let (_, health) = firewall.get("/health");
    let body = health.split("\r\n\r\n").nth(1).unwrap();
    let health: serde_json::Value = serde_json::from_str(body).unwrap();
    let digest = health.pointer("/services/policies/digest").and_then(serde_json::Value::as_str).unwrap().to_owned();
    assert_eq!(digest.len(), 64);
    assert!((firewall.metric("portcullis_policy_set_info", &[("digest", &digest)]) - 1.0).abs() < f64::EPSILON);
    assert!((firewall.metric("portcullis_policy_set_info", &[]) - 1.0).abs() < f64::EPSILON, "one set only");
    assert!(firewall.log().contains(&digest));
    digest
}

#[test]
fn the_digest_is_the_same_wherever_it_is_shown() {
    let cluster = Cluster::default();
    let firewall = start(&cluster);
    fs::write(firewall.policies().join("a.yaml"), policy("a", "products")).unwrap();
    firewall.log_since(0, "policies reloaded");
    let shown = digest(&firewall);
    let directory = firewall.policies().display().to_string();
    let checked = portcullis(&["check", &directory]).ok();
    assert!(checked.contains(&format!(", digest {shown}\n")), "{checked}");
    let checked: serde_json::Value =
        serde_json::from_str(&portcullis(&["check", "--format", "json", &directory]).ok()).unwrap();
    assert_eq!(checked["digest"], shown.as_str());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "LC_ALL=C sha256sum *.yaml | sha256sum"]).current_dir(&directory);
    assert_eq!(run(&mut shell).ok().split(' ').next(), Some(shown.as_str()));
    // A set with errors has none, for it is never in force.
    fs::write(firewall.policies().join("a.yaml"), "policy: a\n").unwrap();
    let bad = portcullis(&["check", "--format", "json", &directory]);
    let bad: serde_json::Value = serde_json::from_str(&bad.stdout).unwrap();
    assert!(bad["digest"].is_null(), "{bad}");
}

#[test]
fn signals_and_changes_at_once_end_with_the_last_files() {
    let cluster = Cluster::default();
    let firewall = start(&cluster);
    let file = firewall.policies().join("test.yaml");
    let mut session = firewall.session("app_rw", "shop");
    for round in 0..100 {
        rename_over(&file, &policy("first", if round % 2 == 0 { "products" } else { "orders" }));
        firewall.hangup();
        std::thread::sleep(Duration::from_millis(20));
    }
    let from = firewall.log().len();
    rename_over(&file, &policy("last", "products"));
    firewall.log_since(from, "diff=\"added: last; removed: first\"");
    assert!(!reads_orders(&mut session));
    let log = firewall.log();
    assert_eq!(log.matches("policies not reloaded").count(), 0, "{log}");
    assert!(log.contains("diff=\"changed: first (rules changed: read)\""), "{log}");
    // No file changes any more, so nothing is loaded any more.
    let loads = count(&firewall, "policies reloaded");
    a_while();
    assert_eq!(count(&firewall, "policies reloaded"), loads);
}

#[test]
fn a_config_map_is_swapped_as_one() {
    let cluster = Cluster::default();
    let place = tempfile::tempdir().unwrap();
    let mount = place.path().join("policies");
    fs::create_dir(&mount).unwrap();
    let version = |number: &str, tables: &str| {
        let directory = mount.join(number);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("a.yaml"), policy("a", tables)).unwrap();
        fs::write(directory.join("b.yaml"), policy("b", tables)).unwrap();
        symlink(number, mount.join("..data_tmp")).unwrap();
        fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    };
    version("..1", "orders");
    for file in ["a.yaml", "b.yaml"] {
        symlink(format!("..data/{file}"), mount.join(file)).unwrap();
    }
    let options = firewall::Options { directory: mount.clone(), ..firewall::Options::default() };
    let firewall = Firewall::start(&cluster, watched(options));
    let mut session = firewall.session("app_rw", "shop");
    assert!(reads_orders(&mut session));
    for (number, tables, reads) in [("..2", "products", false), ("..3", "orders", true)] {
        let from = firewall.log().len();
        version(number, tables);
        let log = firewall.log_since(from, "policies reloaded");
        assert!(log.contains("diff=\"changed: a (rules changed: read), b (rules changed: read)\""), "{log}");
        assert_eq!(reads_orders(&mut session), reads);
    }
    assert_eq!(count(&firewall, "policies reloaded"), 2);
}

#[test]
fn a_bad_set_is_told_once_and_a_touch_does_nothing() {
    let cluster = Cluster::default();
    let firewall = start(&cluster);
    let file = firewall.policies().join("test.yaml");
    let good = policy("first", "orders");
    let failed = || firewall.metric("portcullis_policy_reload_failed", &[]) > 0.5;
    let mut session = firewall.session("app_rw", "shop");
    rename_over(&file, &good);
    a_while();
    assert_eq!((count(&firewall, "policies reloaded"), failed()), (0, false), "the same bytes in a new file");

    let from = firewall.log().len();
    fs::write(&file, good.replace("select", "selct")).unwrap();
    let log = firewall.log_since(from, "policies not reloaded, the old ones stay in force");
    assert!(log.contains("did you mean \"select\"?"), "{log}");
    assert!(failed() && reads_orders(&mut session));
    rename_over(&file, &good.replace("select", "selct"));
    a_while();
    assert_eq!(count(&firewall, "policies not reloaded"), 1, "said once");
    let from = firewall.log().len();
    firewall.hangup();
    let log = firewall.log_since(from, "policies not reloaded");
    assert!(log.contains("source=\"SIGHUP\""), "a signal tries in any case: {log}");

    let from = firewall.log().len();
    fs::write(&file, &good).unwrap();
    firewall.log_since(from, "diff=\"nothing changed\"");
    assert!(!failed(), "repaired by what was in force all the time");
    assert!(reads_orders(&mut session));
    let from = firewall.log().len();
    fs::write(&file, policy("first", "products")).unwrap();
    firewall.log_since(from, "policies reloaded");
    assert!(!reads_orders(&mut session));
}

#[test]
fn a_directory_that_vanishes_leaves_the_policies_in_force() {
    let cluster = Cluster::default();
    let firewall = start(&cluster);
    let (here, away) = (firewall.policies(), firewall.policies().with_extension("away"));
    let mut session = firewall.session("app_rw", "shop");
    let from = firewall.log().len();
    fs::rename(&here, &away).unwrap();
    let log = firewall.log_since(from, "policies not reloaded, the old ones stay in force");
    assert!(log.contains("the policies can't be read: No such file or directory"), "{log}");
    assert!(firewall.metric("portcullis_policy_reload_failed", &[]) > 0.5);
    assert!(reads_orders(&mut session) && reads_orders(&mut firewall.session("app_rw", "shop")));
    let from = firewall.log().len();
    fs::create_dir(&here).unwrap();
    let log = firewall.log_since(from, "policies not reloaded");
    assert!(log.contains("no policy file"), "{log}");
    let from = firewall.log().len();
    fs::write(here.join("new.yaml"), policy("new", "products")).unwrap();
    firewall.log_since(from, "diff=\"added: new; removed: first\"");
    assert!(!reads_orders(&mut session));
    assert!(firewall.metric("portcullis_policy_reload_failed", &[]).abs() < f64::EPSILON);
}

#[test]
fn with_watch_off_only_a_signal_counts() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(&policy("first", "orders")));
    fs::write(firewall.policies().join("test.yaml"), policy("second", "products")).unwrap();
    a_while();
    assert_eq!(count(&firewall, "policies reloaded"), 0);
    firewall.hangup();
    firewall.log_since(0, "diff=\"added: second; removed: first\"");
}

/// A client inside TLS that takes any certificate and shows it.
struct Secure {
    runtime: Runtime,
    stream: Stream,
    certificate: Vec<u8>,
}

impl Secure {
    fn login(port: u16, user: &str) -> Secure {
        let runtime = Runtime::new().unwrap();
        let url = format!("postgres://127.0.0.1:{port}?sslmode=require");
        let connector = Connector::new(&Upstream::parse(&url).unwrap(), Duration::from_secs(10)).unwrap();
        let connected = runtime.block_on(connector.ways().connect()).unwrap();
        let certificate = connected.tls.unwrap().certificate.to_vec();
        let mut session = Secure { runtime, stream: connected.stream, certificate };
        let answer = session.ask(&startup(&[("user", user), ("database", "shop")]));
        assert!(!answer.contains(&b'E'), "{answer:?}");
        session
    }

    /// Sends bytes and gives the kinds of the frames up to ReadyForQuery or the end.
    fn ask(&mut self, bytes: &[u8]) -> Vec<u8> {
        let stream = &mut self.stream;
        self.runtime.block_on(async {
            stream.write_all(bytes).await.unwrap();
            stream.flush().await.unwrap();
            let mut kinds = Vec::new();
            loop {
                let mut header = [0; 5];
                if stream.read_exact(&mut header).await.is_err() {
                    return kinds;
                }
                let [kind, length @ ..] = header;
                let mut body = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap() - 4];
                stream.read_exact(&mut body).await.unwrap();
                kinds.push(kind);
                if kind == b'Z' {
                    return kinds;
                }
            }
        })
    }

    fn works(&mut self) -> bool {
        let kinds = self.ask(&query("SELECT 1 FROM orders LIMIT 1"));
        kinds.contains(&b'D') && kinds.last() == Some(&b'Z')
    }
}

fn copy(from: &(std::path::PathBuf, std::path::PathBuf), to: &(std::path::PathBuf, std::path::PathBuf)) {
    for (from, to) in [(&from.0, &to.0), (&from.1, &to.1)] {
        rename_over(to, &fs::read_to_string(from).unwrap());
    }
}

#[test]
fn new_connections_see_the_new_certificate_and_old_sessions_live_on() {
    let cluster = Cluster::default();
    let own = cluster.issue(&["localhost"], "own");
    let next = cluster.issue(&["localhost"], "next");
    let options = firewall::Options {
        tls: Some(own.clone()),
        upstream: "sslmode=disable".to_owned(),
        ..firewall::Options::policy(&policy("first", "orders"))
    };
    let firewall = Firewall::start(&cluster, watched(options));
    let failed = || firewall.metric("portcullis_tls_reload_failed", &[]) > 0.5;
    let mut old = Secure::login(firewall.port(), "app_rw");
    assert!(old.works() && !failed());

    // A certificate alone is not of the key; then a file that is none.
    let from = firewall.log().len();
    rename_over(&own.0, &fs::read_to_string(&next.0).unwrap());
    let log = firewall.log_since(from, "certificates not reloaded, the old ones stay in force");
    assert!(log.contains("can't be used together"), "{log}");
    assert!(failed() && firewall.get("/health").1.contains("the last reload of certificate files failed"));
    assert_eq!(firewall.get("/readyz").0, 200);
    let mut still = Secure::login(firewall.port(), "app_rw");
    assert_eq!(still.certificate, old.certificate);
    let from = firewall.log().len();
    fs::write(&own.0, "no certificate").unwrap();
    firewall.log_since(from, "holds no certificate");
    assert!(failed());

    let from = firewall.log().len();
    copy(&next, &own);
    let log = firewall.log_since(from, "certificates reloaded");
    assert!(log.contains("source=\"watch\""), "{log}");
    assert!(!failed());
    let mut new = Secure::login(firewall.port(), "app_rw");
    assert_ne!(new.certificate, old.certificate);
    assert!(new.works() && still.works() && old.works(), "sessions under way stay");

    // By signal, too, and it says which certificate it is.
    let again = cluster.issue(&["localhost"], "again");
    let from = firewall.log().len();
    copy(&again, &own);
    firewall.hangup();
    let log = firewall.log_since(from, "certificates reloaded");
    let shown = run(std::process::Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(&own.0));
    let fingerprint = shown.ok().trim().rsplit('=').next().unwrap().replace(':', "").to_lowercase();
    assert!(log.contains(&fingerprint), "{fingerprint} is not in {log}");
    assert!(new.works() && old.works());
}

#[test]
fn passthrough_waits_until_the_server_shows_the_new_certificate() {
    let cluster = Cluster::default();
    let own = cluster.server_identity();
    let next = cluster.issue(&["localhost", "127.0.0.1"], "next");
    let options = firewall::Options {
        tls: Some(own.clone()),
        host: "localhost",
        upstream: format!("sslmode=verify-full&sslrootcert={}", cluster.ca().display()),
        environment: vec![("PORTCULLIS_AUTH", "passthrough".to_owned())],
        ..firewall::Options::policy(&policy("first", "orders"))
    };
    let firewall = Firewall::start(&cluster, watched(options));
    let before = Secure::login(firewall.port(), "trust_user").certificate;
    let from = firewall.log().len();
    copy(&next, &own);
    let log = firewall.log_since(from, "The new certificate waits");
    assert!(log.contains("certificates not reloaded, the old ones stay in force"), "{log}");
    assert!(log.contains("is not the one in `tls_cert`"), "{log}");
    assert!(firewall.metric("portcullis_tls_reload_failed", &[]) > 0.5);
    let mut session = Secure::login(firewall.port(), "trust_user");
    assert!(session.works());
    assert_eq!(session.certificate, before, "logins go on with the old one");

    // The server renews its own: nobody touches the proxy's files again.
    let from = firewall.log().len();
    for (from, name) in [(&next.0, "server.crt"), (&next.1, "server.key")] {
        fs::write(cluster.directory().join(name), fs::read(from).unwrap()).unwrap();
    }
    cluster.execute("shop", "SELECT pg_reload_conf()");
    let log = firewall.log_since(from, "certificates reloaded");
    assert_eq!(log.matches("certificates not reloaded").count(), 0, "waiting is no news: {log}");
    let mut new = Secure::login(firewall.port(), "trust_user");
    assert_ne!(new.certificate, before);
    assert!(new.works() && session.works());
    assert!(firewall.metric("portcullis_tls_reload_failed", &[]).abs() < f64::EPSILON);
}

#[test]
fn an_authority_that_changes_holds_for_new_connections_to_the_server() {
    let (cluster, other) = (Cluster::default(), Cluster::default());
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root.crt");
    fs::copy(cluster.ca(), &root).unwrap();
    let options = firewall::Options {
        host: "localhost",
        upstream: format!("sslmode=verify-full&sslrootcert={}", root.display()),
        ..firewall::Options::policy(&policy("first", "orders"))
    };
    let firewall = Firewall::start(&cluster, watched(options));
    let mut old = firewall.session("app_rw", "shop");
    let from = firewall.log().len();
    rename_over(&root, &fs::read_to_string(other.ca()).unwrap());
    firewall.log_since(from, "certificates reloaded");
    let mut refused = firewall.connect();
    let frames = refused.try_login(&[("user", "app_rw"), ("database", "shop")]);
    assert_eq!(error(&frames).field('C'), "57P03", "{frames:?}");
    assert!(reads_orders(&mut old), "the session under way stays");
    let from = firewall.log().len();
    rename_over(&root, "nothing");
    firewall.log_since(from, "certificates not reloaded");
    let from = firewall.log().len();
    rename_over(&root, &fs::read_to_string(cluster.ca()).unwrap());
    firewall.log_since(from, "certificates reloaded");
    assert!(reads_orders(&mut firewall.session("app_rw", "shop")));
}
