//! What docs/clients.md says about psql, pg_dump and graphical tools under the shipped policies, with the rules that it
//! tells the DBA to add: real programs where they are installed with PostgreSQL, what the others send where not
//! (tests/data/clients.json says how that was taken down).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::tools::{Output, client, run};
use common::wire::{Client, Frame, bind, describe, execute, parse, query, sync};
use common::{Cluster, Firewall, firewall};
use serde::Deserialize;

/// What psql describes: every command of its help that reads the catalogs, as far as an ordinary user may.
const DESCRIBED: &str = r"
\d
\d orders
\d+ orders
\d+ cheap
\d orders_id_seq
\d pg_catalog.pg_class
\da
\dA+
\dAc+
\dAf+
\dAo+
\dAp+
\db+
\dc+
\dC+
\dd
\dD+
\ddp
\dE+
\des+
\det+
\dew+
\df+
\dfantpw
\dfS lower
\dF+
\dFd+
\dFp+
\dFt+
\dg+
\di+
\dl+
\dL+
\dm+
\dn+
\dnS
\do+
\dOS+
\dp
\dP+
\dRp+
\dRs
\ds+
\dS+ pg_stat_activity
\dt *.*
\dt+ public.*
\dTS
\dT+
\du+
\dv+
\dx+
\dX+
\dy+
\l+
\sf+ order_total
\sv+ cheap
\z orders
\encoding LATIN1
\encoding UTF8
\set FETCH_COUNT 3
SELECT id, name FROM products ORDER BY id LIMIT 8;
SELECT id FROM products WHERE id = 1 \gdesc
SELECT 1 AS a, 2 AS b, 3 AS c \crosstabview
";

/// What else it describes, with the rules of the page.
const DESCRIBED_WITH_RULES: &str = r"
\drds
\deu+
\copy (SELECT id, name FROM products ORDER BY id LIMIT 2) TO STDOUT
\copy products (id) TO STDOUT WITH CSV
";

/// One of the clients of tests/data/clients.json.
#[derive(Deserialize)]
struct Sent {
    shipped: Vec<String>,
    added: Vec<String>,
    refused: Vec<String>,
}

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn recorded() -> BTreeMap<String, Sent> {
    let mut all: BTreeMap<String, serde_json::Value> = serde_json::from_str(&file("tests/data/clients.json")).unwrap();
    all.remove("note").unwrap();
    all.into_iter().map(|(client, sent)| (client, serde_json::from_value(sent).unwrap())).collect()
}

/// The rules that a section of the page adds to `allow:`; empty where it adds none.
fn additions(section: &str) -> String {
    let page = file("docs/clients.md");
    let (_, after) = page.split_once(&format!("\n## {section}\n")).unwrap_or_else(|| panic!("no section {section}"));
    let section = after.split("\n## ").next().unwrap();
    let Some((_, block)) = section.split_once("```yaml\nallow:\n") else { return String::new() };
    block.split("```").next().unwrap().to_owned()
}

/// `read-only` as it is shipped, with these rules more.
fn read_only(rules: &str) -> firewall::Options {
    let yaml = file("policies/read-only.yaml").replacen("\nallow:\n", &format!("\nallow:\n{rules}"), 1);
    firewall::Options { policies: vec![("read-only.yaml", yaml)], ..firewall::Options::default() }
}

/// psql's output of a script; what it says about its own connection is the same for both.
fn psql(cluster: &Cluster, port: u16, script: &str) -> Output {
    let path = cluster.ca().with_file_name("script.sql");
    // Each command is shown before its answer, so that a difference can be found.
    let shown: String = script
        .lines()
        .map(|line| format!("\\echo '{}'\n{line}\n", line.replace('\\', "\\\\").replace('\'', "''")))
        .collect();
    fs::write(&path, shown).unwrap();
    run(client(cluster, "psql", port, "app_ro", "shop").arg("-X").arg("-f").arg(&path))
}

fn refused(firewall: &Firewall) -> f64 {
    firewall.metric("portcullis_statements_total", &[("verdict", "refuse")])
}

#[test]
fn psql_describes_under_read_only() {
    let cluster = Cluster::default();
    let shipped = Firewall::start(&cluster, read_only(""));
    let direct = psql(&cluster, cluster.port(), DESCRIBED);
    for described in ["order_total", "orders_pkey", "List of access methods", "pg_stat_get_activity", "crosstabview"] {
        assert!(direct.stdout.contains(described), "{described}: {direct:?}");
    }
    assert_eq!(psql(&cluster, shipped.port(), DESCRIBED), direct);
    assert_eq!(refused(&shipped), 0.0, "{}", shipped.log());

    let direct = psql(&cluster, cluster.port(), DESCRIBED_WITH_RULES);
    assert!(psql(&cluster, shipped.port(), DESCRIBED_WITH_RULES).stderr.contains("refused by policy"));
    assert_eq!(refused(&shipped), 4.0);
    let added = Firewall::start(&cluster, read_only(&additions("psql")));
    assert_eq!(psql(&cluster, added.port(), DESCRIBED_WITH_RULES), direct);
    assert_eq!(refused(&added), 0.0);
}

#[test]
fn pg_dump_dumps_under_the_backup_example() {
    let cluster = Cluster::default();
    let example = file("docs/examples/backup.yaml").replace("10.0.0.7/32", "127.0.0.1/32");
    let tls = Some(cluster.server_identity());
    let firewall = Firewall::start(&cluster, firewall::Options { tls, ..firewall::Options::policy(&example) });
    let directory = cluster.ca().with_file_name("dumps");
    fs::create_dir(&directory).unwrap();
    let dump = |port: u16, arguments: &[&str]| {
        let mut command = client(&cluster, "pg_dump", port, "backup", "shop");
        run(command.env("PGSSLMODE", "require").args(arguments)).ok()
    };
    for arguments in [
        &[][..],
        &["--schema-only"],
        &["--data-only", "--inserts"],
        &["--create", "--clean", "--if-exists"],
        &["--table=orders", "--column-inserts", "--enable-row-security"],
        &["--serializable-deferrable", "--quote-all-identifiers", "--lock-wait-timeout=5000"],
    ] {
        let direct = comparable(&dump(cluster.port(), arguments));
        assert!(direct.contains("orders"), "{arguments:?}");
        assert_eq!(comparable(&dump(firewall.port(), arguments)), direct, "{arguments:?}");
    }
    for (format, jobs) in [("custom", "1"), ("directory", "2"), ("tar", "1")] {
        let restored = [cluster.port(), firewall.port()].map(|port| {
            let path = directory.join(format!("{format}-{port}"));
            let into = format!("--file={}", path.display());
            dump(port, &[&format!("--format={format}"), &format!("--jobs={jobs}"), &into]);
            let mut restore = std::process::Command::new(cluster.tool("pg_restore"));
            comparable(&run(restore.arg("--file=-").arg(&path)).ok())
        });
        assert!(restored[0].contains("größe 1000"), "{format}");
        assert_eq!(restored[0], restored[1], "{format}");
    }
    assert_eq!(refused(&firewall), 0.0);
}

/// A dump without the random key that recent versions put around it.
fn comparable(dump: &str) -> String {
    let keyless = dump.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    keyless.collect::<Vec<_>>().join("\n")
}

fn extended(sql: &str) -> Vec<u8> {
    [parse("", sql), bind("", "", &[]), describe(b'P', ""), execute(""), sync()].concat()
}

/// An answer, told by what a policy could have changed: rows and errors, without the places in the server's source.
fn told(frames: &[Frame]) -> Vec<String> {
    let told = |frame: &Frame| match frame.kind {
        b'E' => format!("{} {}", frame.field('C'), frame.field('M')),
        _ => format!("{frame:?}"),
    };
    frames.iter().map(told).collect()
}

fn is_refusal(frames: &[Frame]) -> bool {
    frames.iter().any(|frame| frame.kind == b'E' && frame.field('M').contains("refused by policy"))
}

#[test]
fn the_other_clients_pass_with_the_rules_of_the_page() {
    let cluster = Cluster::default();
    let shipped = Firewall::start(&cluster, read_only(""));
    let clients = recorded();
    assert_eq!(clients.len(), 7);
    let mut wrong = Vec::new();
    for (client, sent) in clients {
        let rules = additions(&client);
        assert_eq!(rules.is_empty(), sent.added.is_empty(), "{client}: rules that nothing needs, or none");
        let added = Firewall::start(&cluster, read_only(&rules));
        let login = |port: u16| Client::login(port, &[("user", "app_ro"), ("database", "shop"), OPTIONS]);
        let [mut direct, mut with, mut without] =
            [login(cluster.port()), added.session("app_ro", "shop"), shipped.session("app_ro", "shop")];
        let needed = sent.added.len();
        for (place, sql) in sent.shipped.iter().chain(&sent.added).enumerate() {
            let works_as_shipped = place < sent.shipped.len();
            // A text of several statements is a simple query's only.
            let several = sql.trim_end_matches(';').contains("; ");
            for bytes in [Some(query(sql)), (!several).then(|| extended(sql))].into_iter().flatten() {
                let expected = direct.ask(&bytes);
                if expected.iter().any(|frame| frame.kind == b'E') {
                    wrong.push(format!("{client}: the server refuses {sql}: {:?}", told(&expected)));
                }
                let found = with.ask(&bytes);
                if told(&found) != told(&expected) {
                    wrong.push(format!("{client}: {sql}\n    {:?}\n    {:?}", told(&found), told(&expected)));
                }
                let found = without.ask(&bytes);
                if is_refusal(&found) == works_as_shipped {
                    wrong.push(format!("{client}: as shipped: {sql}: {:?}", told(&found)));
                }
            }
        }
        for sql in &sent.refused {
            if !is_refusal(&with.ask(&query(sql))) {
                wrong.push(format!("{client}: passes with {needed} additions: {sql}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What `read-only` pins, for the session beside it.
const OPTIONS: (&str, &str) =
    ("options", "-c search_path=public,\\ pg_temp -c default_transaction_read_only=on -c statement_timeout=60s");
