//! `portcullis selftest` as a user runs it: the starter policies stop everything, a weak policy is told so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::path::Path;

use common::tools::{Output, portcullis};
use common::{Cluster, cluster};

/// A policy that somebody wrote in a hurry.
const WEAK: &str = "policy: weak\napplies_to: {users: [hasty]}\nallow: [{rule: everything, actions: [all]}]\n";

fn starter() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").display().to_string()
}

fn selftest(arguments: &[&str]) -> Output {
    portcullis(&[&["selftest"], arguments].concat())
}

#[test]
fn judged_alone_the_starter_policies_leave_nothing_open() {
    let Output { code, stdout, stderr } = selftest(&["--policies", &starter()]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stdout.contains("\n0 open, 0 could not be tried\n"), "{stdout}");
    assert!(stdout.contains("policy observe-everything only observes"), "{stdout}");
}

#[test]
fn a_weak_policy_is_told_what_passes_in_every_format() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("weak.yaml"), WEAK).unwrap();
    let weak = directory.path().display().to_string();
    let Output { code, stdout, stderr } = selftest(&["--policies", &weak]);
    assert_eq!(code, 1, "{stdout}{stderr}");
    assert!(stdout.contains("A10  open: COPY TO PROGRAM"), "{stdout}");

    let json = selftest(&["--policies", &weak, "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let open = json["open"].as_u64().unwrap();
    assert!(open > 5, "{open}");
    let a10 = json["results"].as_array().unwrap().iter().find(|result| result["code"] == "A10").unwrap();
    assert_eq!((a10["policy"].as_str(), a10["outcome"].as_str()), (Some("weak"), Some("open")));

    let junit = selftest(&["--policies", &weak, "--format", "junit"]).stdout;
    assert!(junit.contains(&format!("failures=\"{open}\"")), "{junit}");
    assert!(junit.contains("name=\"a10_copy_to_program\"><failure "), "{junit}");

    let metric = selftest(&["--policies", &weak, "--format", "prometheus"]).stdout;
    assert!(metric.contains(&format!("portcullis_selftest_open{{policy=\"weak\"}} {open}\n")), "{metric}");

    // What somebody wants to let pass is said, one attack at a time.
    let codes: Vec<&str> = json["results"].as_array().unwrap().iter().filter_map(|r| r["code"].as_str()).collect();
    let Output { code, stdout, stderr } = selftest(&["--policies", &weak, "--accept", &codes.join(",")]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stdout.contains("A10  accepted: COPY TO PROGRAM"), "{stdout}");
}

#[test]
fn what_can_not_be_tried_is_said_with_what_to_do() {
    let wrong = |arguments: &[&str], said: &str| {
        let Output { code, stdout, stderr } = selftest(arguments);
        assert_eq!(code, 2, "{arguments:?}: {stdout}{stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    };
    wrong(&["--policies", "/nowhere"], "/nowhere");
    wrong(&["--policies", &starter(), "--accept", "Z9"], "no such attack");
    // A server that may hold something is only attacked where somebody says that it doesn't.
    wrong(&["--policies", &starter(), "--upstream", "postgres://127.0.0.1:1"], "--scratch");
    let secret = ["--policies", &starter(), "--upstream", "postgres://a:b@127.0.0.1:1", "--scratch"];
    wrong(&secret, "PGPASSWORD");
    wrong(&["--policies", &starter(), "--upstream", "postgres://127.0.0.1:1", "--scratch"], "scratch server");
}

#[test]
fn a_server_that_holds_something_is_left_alone() {
    let cluster = Cluster::default();
    let directory = tempfile::tempdir().unwrap();
    // `shop` and `app_rw` are there already.
    let policy = "policy: shop\napplies_to: {users: [app_rw], databases: [shop]}\nsearch_path: [public]\n\
                  allow: [{rule: look, actions: [select], tables: ['*']}]\n";
    std::fs::write(directory.path().join("shop.yaml"), policy).unwrap();
    let url = format!("postgres://postgres@127.0.0.1:{}", cluster.port());
    let policies = directory.path().display().to_string();
    let Output { code, stdout, stderr } = selftest(&["--policies", &policies, "--upstream", &url, "--scratch"]);
    assert_eq!(code, 2, "{stdout}{stderr}");
    assert!(stderr.contains("the server has a role \"app_rw\" already"), "{stderr}");
    cluster.execute("shop", "SELECT 1 / (count(*) / 1000) FROM orders");
}

/// A few of each group: `tests/attacks` plays all of them, and `scripts/test-major` the whole of this command.
#[test]
fn played_in_front_of_a_scratch_server_the_starter_policies_leave_nothing_open() {
    let only = "A1,A10,A22,B6,B25,C7,D20,E11,F13,F22,F25,G1,H10,J4";
    let settings = ["wal_level=logical", "max_prepared_transactions=5", "max_replication_slots=5"];
    let cluster =
        Cluster::start(cluster::Options { settings: settings.map(str::to_owned).to_vec(), ..cluster::Options::bare() });
    let url = format!("postgres://postgres@127.0.0.1:{}?sslmode=prefer", cluster.port());
    let Output { code, stdout, stderr } =
        selftest(&["--policies", &starter(), "--upstream", &url, "--scratch", "--verbose", "--only", only]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stdout.contains("\n0 open, 0 could not be tried\n"), "{stdout}");
    assert!(!stdout.contains("it does nothing even without a firewall"), "{stdout}");
    for code in only.split(',') {
        assert!(stdout.contains(&format!("  {code:<4} stopped: ")), "{code} was not played: {stdout}");
    }
    // Nothing stays on the server.
    cluster.execute(
        "postgres",
        "SELECT 1 / (1 - count(*)) FROM pg_database WHERE datname LIKE 'portcullis%';
         SELECT 1 / (1 - count(*)) FROM pg_roles WHERE rolname IN ('boss', 'attacker', 'app_ro')",
    );
}
