//! From an application that is only watched to a policy that it lives under: observe, learn, replay, enforce, in front of a real
//! server; and one new query, refused, explained and admitted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use crate::common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::python::scenario;
use common::tools::{Output, client, portcullis, psql, run};
use common::{Cluster, Firewall, cluster, firewall};
use serde_json::Value;

/// A firewall with an audit log.
struct Watched {
    firewall: Firewall,
    log: PathBuf,
}

impl Watched {
    fn start(cluster: &Cluster, directory: &Path, name: &str, options: firewall::Options) -> Watched {
        let log = directory.join(name);
        let environment = vec![("PORTCULLIS_AUDIT_LOG", log.display().to_string())];
        Watched { firewall: Firewall::start(cluster, firewall::Options { environment, ..options }), log }
    }

    fn port(&self) -> u16 {
        self.firewall.port()
    }

    /// Waits until every session that began has ended in the log, too.
    fn written(&self) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            let count = |event: &str| text.matches(&format!("\"event\":\"{event}\"")).count();
            let opened = count("session_opened");
            if opened > 0 && opened == count("session_closed") && text.ends_with('\n') {
                return self.log.display().to_string();
            }
            assert!(Instant::now() < deadline, "{opened} sessions:\n{text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Runs `portcullis replay … --format json` and reads its report.
fn replay(log: &str, policies: &Path) -> (i32, Value) {
    let policies = policies.display().to_string();
    let output =
        portcullis(&["replay", log, "--policies", &policies, "--fail-on", "newly-refused", "--format", "json"]);
    let report = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.code, report)
}

fn learn(arguments: &[&str]) -> Output {
    let output = portcullis(&[&["learn"], arguments].concat());
    assert_eq!(output.code, 0, "{output:?}");
    output
}

/// A firewall under the policies of a directory.
fn enforcing(directory: &Path) -> firewall::Options {
    firewall::Options { directory: directory.to_owned(), ..firewall::Options::default() }
}

#[test]
fn pgbench_is_watched_learned_replayed_and_lives_under_what_was_learned() {
    let cluster = Cluster::default();
    let direct = |arguments: &[&str]| {
        let mut command = client(&cluster, "pgbench", cluster.port(), "app_rw", "bench");
        run(command.args(arguments)).ok()
    };
    direct(&["-i", "-q"]);
    let directory = tempfile::tempdir().unwrap();
    let bench = |port: u16, protocol: &str| {
        let mut command = client(&cluster, "pgbench", port, "app_rw", "bench");
        command.args(["-n", "-c", "4", "-t", "20", "-M", protocol]);
        run(&mut command)
    };
    let watched = Watched::start(&cluster, directory.path(), "audit.jsonl", firewall::Options::observe());
    // Twice: what only the first connection sends (it looks for partitions) is sent by two sessions then.
    for protocol in ["simple", "simple", "extended", "prepared"] {
        bench(watched.port(), protocol).ok();
    }
    let log = watched.written();
    for (by, path) in [("statement", None), ("statement", Some("public")), ("table", Some("public")), ("action", None)]
    {
        let out = directory.path().join(format!("{by}-{}", path.unwrap_or("none")));
        let out_text = out.display().to_string();
        let mut arguments = vec![log.as_str(), "--by", by, "--out", &out_text];
        arguments.extend(path.iter().flat_map(|path| ["--search-path", path]));
        let told = learn(&arguments).stderr;
        assert!(!told.contains("could not be read"), "{told}");
        let (code, report) = replay(&log, &out);
        assert_eq!(
            (code, &report["newly_refused"], &report["untold"]),
            (0, &0.into(), &0.into()),
            "{told}\n{report:#}"
        );
        assert!(report["unchanged_allowed"].as_u64().unwrap() > 4 * 4 * 20 * 5, "{report:#}");

        let firewall = Firewall::start(&cluster, enforcing(&out));
        for protocol in ["simple", "extended", "prepared"] {
            bench(firewall.port(), protocol).ok();
        }
        assert_eq!(firewall.metric("portcullis_statements_total", &[("verdict", "refuse")]), 0.0, "{}", firewall.log());
        let refused = psql(&cluster, firewall.port(), "app_rw", "bench", &["DROP TABLE pgbench_history"]);
        assert!(refused.stderr.contains("42501"), "{refused:?}");
        // The initialisation, which nobody saw.
        let mut command = client(&cluster, "pgbench", firewall.port(), "app_rw", "bench");
        assert_ne!(run(command.args(["-i", "-q"])).code, 0);
    }
}

#[test]
fn a_django_application_is_learned_and_one_new_query_is_refused_explained_and_admitted() {
    let cluster = Cluster::default();
    let directory = tempfile::tempdir().unwrap();
    let watched = Watched::start(&cluster, directory.path(), "audit.jsonl", firewall::Options::observe());
    scenario(&cluster, watched.port(), "shop_app", "django_scenario.py", "day");
    let log = watched.written();
    let learned = directory.path().join("learned");
    let out = learned.display().to_string();
    let told = learn(&[&log, "--search-path", "public", "--policy", "shop", "--out", &out]).stderr;
    assert!(told.contains("policy shop for shop_app"), "{told}");
    let (code, report) = replay(&log, &learned);
    assert_eq!((code, &report["newly_refused"], &report["untold"]), (0, &0.into(), &0.into()), "{told}\n{report:#}");
    assert!(report["unchanged_allowed"].as_u64().unwrap() > 40, "{report:#}");
    // Nothing is overwritten unasked.
    let again = portcullis(&["learn", &log, "--policy", "shop", "--out", &out]);
    assert!(again.code == 2 && again.stderr.contains("--force"), "{again:?}");

    // Enforced, the same day passes; the query that is new doesn't, and the client is told an event id.
    let firewall = Watched::start(&cluster, directory.path(), "enforced.jsonl", enforcing(&learned));
    scenario(&cluster, firewall.port(), "shop_app", "django_scenario.py", "day");
    let event = scenario(&cluster, firewall.port(), "shop_app", "django_scenario.py", "new");
    let event = event.trim();
    let log = firewall.written();
    let lines = fs::read_to_string(&log).unwrap();
    let refused: Value = serde_json::from_str(lines.lines().find(|line| line.contains(event)).unwrap()).unwrap();
    assert_eq!((&refused["verdict"], &refused["rule"]), (&"refuse".into(), &"default".into()), "{refused:#}");

    // `explain` says why, and which rule would do.
    let text = "SELECT products.name FROM products WHERE NOT (products.id IN (SELECT product_id FROM orders))";
    let explained =
        portcullis(&["explain", "--policies", &out, "--user", "shop_app", "--database", "shop", "--json", text]);
    assert_eq!(explained.code, 1, "{explained:?}");
    let explained: Value = serde_json::from_str(&explained.stdout).unwrap();
    assert_eq!(
        (&explained["rule"], &explained["remedy"]["verified"]),
        (&"default".into(), &true.into()),
        "{explained:#}"
    );
    assert_eq!(explained["trace"][0]["decision"], "no_rule");

    // `learn --append` admits it.
    let list = learned.join("shop.learned.yaml");
    let before = fs::read_to_string(&list).unwrap();
    let list_text = list.display().to_string();
    let told = learn(&["--append", event, "--log", &log, "--list", &list_text]).stderr;
    assert!(told.contains("added to"), "{told}");
    let after = fs::read_to_string(&list).unwrap();
    assert_eq!(after.lines().count(), before.lines().count() + 1);
    assert!(before.lines().all(|line| after.lines().any(|other| other == line)));
    assert!(after.contains(event) && after.contains("NOT ("), "{after}");
    assert!(learn(&["--append", event, "--log", &log, "--list", &list_text]).stderr.contains("already"));
    let (_, report) = replay(&log, &learned);
    assert_eq!((&report["newly_refused"], &report["newly_allowed"]), (&0.into(), &1.into()), "{report:#}");
    let firewall = Firewall::start(&cluster, enforcing(&learned));
    scenario(&cluster, firewall.port(), "shop_app", "django_scenario.py", "new-allowed");
    assert_eq!(firewall.metric("portcullis_statements_total", &[("verdict", "refuse")]), 0.0, "{}", firewall.log());
}

#[test]
fn what_may_never_be_listed_is_not_appended() {
    let cluster = Cluster::default();
    let directory = tempfile::tempdir().unwrap();
    let policy = "policy: shop\napplies_to: {users: [app_rw]}\nsearch_path: [public]\ndeny: [{rule: no-drops, actions: [drop]}]\n";
    let firewall = Watched::start(&cluster, directory.path(), "audit.jsonl", firewall::Options::policy(policy));
    let statements = [
        ("COPY orders TO PROGRAM 'cat'", "file: copy_program"),
        ("SET row_security = off", "guard refused it"),
        ("DROP TABLE orders", "no-drops refused it"),
        ("SELEC 1", "parse refused it"),
    ];
    for (sql, _) in statements {
        psql(&cluster, firewall.port(), "app_rw", "shop", &[sql]);
    }
    psql(&cluster, firewall.port(), "app_rw", "shop", &["SELECT * FROM orders"]);
    let log = firewall.written();
    let list = directory.path().join("shop.learned.yaml").display().to_string();
    let text = fs::read_to_string(&log).unwrap();
    let refusals: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["verdict"] == "refuse")
        .collect();
    assert_eq!(refusals.len(), statements.len() + 1, "{text}");
    for (refusal, (sql, said)) in refusals.iter().zip(statements) {
        let id = refusal["id"].as_str().unwrap();
        let output = portcullis(&["learn", "--append", id, "--log", &log, "--list", &list]);
        assert!(output.code == 2 && output.stderr.contains(said), "{sql}: {output:?}");
    }
    assert!(!Path::new(&list).exists());
    let id = refusals.last().unwrap()["id"].as_str().unwrap();
    assert!(learn(&["--append", id, "--log", &log, "--list", &list]).stderr.contains("the list is new"));
    for (arguments, said) in [
        (["learn", "--append", "NOBODY", "--log", &log, "--list", &list], "no refusal with the event id"),
        (["learn", "--append", id, "--log", &log, "--list", "shop.yaml"], "no list of statements by its name"),
    ] {
        let output = portcullis(&arguments);
        assert!(output.code == 2 && output.stderr.contains(said), "{output:?}");
    }
}

#[test]
fn a_replay_reads_well_in_a_pull_request_and_fails_when_it_is_asked_to() {
    let cluster = Cluster::default();
    let directory = tempfile::tempdir().unwrap();
    let watched = Watched::start(&cluster, directory.path(), "audit.jsonl", firewall::Options::observe());
    let port = watched.port();
    psql(
        &cluster,
        port,
        "app_rw",
        "shop",
        &["SELECT 'a|b`c' AS \"x|y\" FROM orders LIMIT 1", "DELETE FROM orders WHERE id = 1"],
    );
    let log = watched.written();
    for (name, actions) in [("narrow", "[select]"), ("wide", "[select, delete]")] {
        let policies = directory.path().join(name);
        fs::create_dir(&policies).unwrap();
        let yaml = format!(
            "policy: shop\napplies_to: {{users: [app_rw]}}\nsearch_path: [public]\n\
             allow: [{{rule: data, actions: {actions}, tables: [orders]}}]\n"
        );
        fs::write(policies.join("shop.yaml"), yaml).unwrap();
    }
    let of = |name: &str| directory.path().join(name).display().to_string();
    let (narrow, wide) = (of("narrow"), of("wide"));
    for (arguments, code) in [
        (vec!["--policies", &narrow], 0),
        (vec!["--policies", &narrow, "--fail-on", "newly-refused"], 1),
        (vec!["--policies", &wide, "--fail-on", "newly-refused"], 0),
        (vec!["--policies", &wide, "--against", &narrow, "--fail-on", "newly-refused"], 0),
        (vec!["--policies", &wide, "--against", &narrow, "--fail-on", "newly-allowed"], 1),
        (vec!["--policies", "/nowhere"], 2),
    ] {
        let output = portcullis(&[&["replay", &log][..], &arguments].concat());
        assert_eq!(output.code, code, "{arguments:?}: {output:?}");
    }
    let markdown = portcullis(&["replay", &log, "--policies", &narrow, "--format", "markdown"]).ok();
    assert!(markdown.contains("1 newly refused, 0 newly allowed"), "{markdown}");
    let row = markdown.lines().find(|line| line.starts_with("| shop/default")).unwrap();
    assert!(row.contains("`DELETE FROM orders WHERE id = ?`") && row.matches(" | ").count() == 4, "{row}");
    let text = portcullis(&["replay", &log, "--policies", &narrow]).ok();
    assert!(text.contains("newly refused by shop/default: 1 times, 1 statements, app_rw"), "{text}");
    let other = directory.path().join("other.log");
    fs::write(&other, "2026 nothing of ours\n").unwrap();
    let output = portcullis(&["replay", &other.display().to_string(), "--policies", &narrow]);
    assert!(output.code == 2 && output.stderr.contains("no line of this is an audit log's"), "{output:?}");
}

#[test]
fn a_server_s_statistics_are_learned_from_by_table() {
    let cluster = Cluster::start(cluster::Options {
        settings: vec!["shared_preload_libraries=pg_stat_statements".to_owned()],
        ..cluster::Options::default()
    });
    cluster.execute("shop", "CREATE EXTENSION pg_stat_statements; GRANT pg_read_all_stats TO scram_user");
    for _ in 0..2 {
        let texts = [
            "SELECT name FROM products WHERE id = 1",
            "UPDATE orders SET total = 1 WHERE id = 2",
            "SELECT order_total(1)",
        ];
        psql(&cluster, cluster.port(), "app_rw", "shop", &texts).ok();
    }
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().display().to_string();
    let (ca, port) = (cluster.ca().display().to_string(), cluster.port());
    let url = |mode: &str| format!("postgres://scram_user@127.0.0.1:{port}/shop?sslmode={mode}&sslrootcert={ca}");
    let learn = |url: &str, more: &[&str], password: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(["learn", "--from-server", url, "--user", "app_rw", "--out", &out]).args(more);
        run(command.env("PGPASSWORD", password).env("NO_COLOR", "1"))
    };
    let wrong = learn(&url("verify-full"), &[], "wrong");
    assert!(wrong.code == 2 && wrong.stderr.contains("password"), "{wrong:?}");
    cluster.execute("shop", "REVOKE pg_read_all_stats FROM scram_user");
    let hidden = learn(&url("verify-full"), &["--by", "table", "--policy", "shop"], "secret");
    assert!(hidden.code == 2 && hidden.stderr.contains("GRANT pg_read_all_stats"), "{hidden:?}");
    cluster.execute("shop", "GRANT pg_read_all_stats TO scram_user");
    let told = learn(&url("verify-full"), &["--by", "table", "--search-path", "public", "--policy", "shop"], "secret");
    assert_eq!(told.code, 0, "{told:?}");
    let policy = fs::read_to_string(directory.path().join("shop.yaml")).unwrap();
    for rule in
        ["actions: [select], tables: [products]", "actions: [update], tables: [orders]", "functions: [order_total]"]
    {
        assert!(policy.contains(rule), "no {rule} in\n{policy}");
    }
    let firewall = Firewall::start(&cluster, enforcing(directory.path()));
    let passes = psql(&cluster, firewall.port(), "app_rw", "shop", &["SELECT name FROM products WHERE id = 7"]);
    assert_eq!(passes.ok(), "product 7\n");
    assert!(psql(&cluster, firewall.port(), "app_rw", "shop", &["DELETE FROM orders"]).stderr.contains("42501"));
    let told = learn(&url("verify-full"), &["--policy", "listed"], "secret");
    assert!(told.code == 0 && told.stderr.contains("$1 in the place of values"), "{told:?}");
    // The connection is as strict as the firewall's own.
    let plain = Cluster::start(cluster::Options { tls: false, ..cluster::Options::default() });
    let url = format!("postgres://scram_user@127.0.0.1:{}/shop?sslmode=require", plain.port());
    let refused = learn(&url, &["--policy", "plain"], "secret");
    assert!(refused.code == 2 && refused.stderr.contains("does not offer TLS"), "{refused:?}");
}
