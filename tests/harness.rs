//! The test harness itself, against PostgreSQL without the firewall: what the other tests take for granted.

use crate::common;

use std::time::{Duration, Instant};

use common::Cluster;
use common::tools::{client, psql, run};
use common::wire::{Client, bind, error, execute, parse, query, status, sync};

#[test]
fn a_cluster_lets_each_role_in_its_own_way() {
    let cluster = Cluster::default();
    for (user, sslmode, works) in [
        ("trust_user", "disable", true),
        ("scram_user", "disable", true),
        ("md5_user", "disable", true),
        ("scram_user", "verify-full", true),
        ("md5_ssl_user", "require", true),
        ("ssl_user", "disable", false),
        ("ssl_user", "verify-full", true),
        ("plain_user", "disable", true),
        ("plain_user", "require", false),
    ] {
        let mut command = client(&cluster, "psql", cluster.port(), user, "shop");
        command.env("PGSSLMODE", sslmode).env("PGSSLROOTCERT", cluster.ca());
        let output = run(command.args(["-X", "-A", "-t", "-c", "SELECT count(*) FROM orders"]));
        assert_eq!(output.code == 0, works, "{user} by {sslmode}: {output:?}");
        assert_eq!(output.stdout == "1000\n", works, "{user} by {sslmode}: {output:?}");
    }
}

#[test]
fn a_cluster_leaves_nothing_behind() {
    let cluster = Cluster::default();
    let (pid, directory) = (cluster.pid(), cluster.directory().to_owned());
    assert!(directory.exists());
    drop(cluster);
    let process = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    assert!(rustix::process::test_kill_process(process).is_err(), "the postmaster still runs");
    let deadline = Instant::now() + Duration::from_secs(5);
    while directory.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!directory.exists());
}

#[test]
fn the_raw_client_reads_what_psql_reads() {
    let cluster = Cluster::default();
    let mut session = Client::login(cluster.port(), &[("user", "app_rw"), ("database", "shop")]);
    assert_eq!(session.value("SELECT count(*) FROM products"), "100");
    assert_eq!(psql(&cluster, cluster.port(), "app_rw", "shop", &["SELECT count(*) FROM products"]).ok(), "100\n");
    let pipeline = [parse("", "SELECT $1::int + 1"), bind("", "", &["41"]), execute(""), sync()].concat();
    let frames = session.ask(&pipeline);
    assert_eq!(frames.iter().find(|frame| frame.kind == b'D').unwrap().row(), [Some("42".to_owned())]);
    let frames = session.ask(&query("BEGIN; SELECT 1/0"));
    assert_eq!((error(&frames).field('C').as_str(), status(&frames)), ("22012", 'E'));
}
