//! What `check` says of pinned values, beside a real server: what is called wrong no session could start with, and what the server
//! takes is never called wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use crate::common;

use std::collections::BTreeSet;

use common::Cluster;
use common::wire::{Client, error, query};
use portcullis::policy;
use portcullis::policy::diagnostic::Code;

/// The pins of these that `check` calls wrong.
fn called_wrong(pins: &[(String, String)]) -> BTreeSet<usize> {
    // A file of YAML holds a thousand documents at most.
    const FILE: usize = 500;
    let wrong = |(file, pins)| wrong_of_file(pins).into_iter().map(move |number| file * FILE + number);
    pins.chunks(FILE).enumerate().flat_map(wrong).collect()
}

/// Likewise in one file, each in a policy of its own.
fn wrong_of_file(pins: &[(String, String)]) -> BTreeSet<usize> {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let document = |(number, (name, value)): (usize, &(String, String))| {
        format!("---\npolicy: p{number}\napplies_to: {{users: [u{number}]}}\npin: {{{name}: {}}}\n", quoted(value))
    };
    let text: String = pins.iter().enumerate().map(document).collect();
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), text).unwrap();
    let findings = policy::check(&[file.path().to_owned()]).findings;
    assert!(findings.iter().all(|finding| finding.code != Code::RefusedYaml));
    let of_values = findings.iter().filter(|finding| finding.code == Code::BadPin);
    // Four lines each, the pin in the last.
    of_values.map(|finding| finding.place.unwrap().line as usize / 4 - 1).collect()
}

fn pins(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Whether the server starts a session with it.
fn starts(cluster: &Cluster, name: &str, value: &str) -> bool {
    let mut client = Client::connect(cluster.port());
    let frames = client.try_login(&[("user", "app_rw"), ("database", "shop"), (name, value)]);
    match frames.iter().any(|frame| frame.kind == b'E') {
        true => {
            let code = error(&frames).field('C');
            assert!(matches!(code.as_str(), "22023" | "22P02"), "{name}={value}: {:?}", error(&frames));
            false
        }
        false => true,
    }
}

#[test]
fn what_is_called_wrong_no_session_starts_with() {
    let cluster = Cluster::default();
    let wrong = pins(&[
        ("statement_timeout", "30 seconds"),
        ("statement_timeout", "-5"),
        ("statement_timeout", "30S"),
        ("statement_timeout", "30 s s"),
        ("statement_timeout", "1 month"),
        ("statement_timeout", "30d12h"),
        ("statement_timeout", "3000000000"),
        ("statement_timeout", "1_000"),
        ("statement_timeout", "09"),
        ("work_mem", "1.5"),
        ("work_mem", "64KiB"),
        ("work_mem", "64KB"),
        ("work_mem", "64mb"),
        ("work_mem", "4M"),
        ("work_mem", "10s"),
        ("work_mem", "99999GB"),
        ("temp_buffers", "1kB"),
        ("extra_float_digits", "99"),
        ("extra_float_digits", "1s"),
        ("random_page_cost", "-1"),
        ("random_page_cost", "cheap"),
        ("timezone", "Mars/X"),
        ("timezone", "Europe/Pariss"),
        ("timezone", "PST"),
        ("timezone", "CEST"),
        ("timezone", ""),
        ("DateStyle", "foo"),
        ("DateStyle", "ISO, SQL"),
        ("DateStyle", "DMY, MDY"),
        ("DateStyle", ","),
        ("IntervalStyle", "iso"),
        ("default_transaction_read_only", "sometimes"),
        ("default_transaction_isolation", "snapshot"),
    ]);
    let called = called_wrong(&wrong);
    for (number, (name, value)) in wrong.iter().enumerate() {
        assert!(called.contains(&number), "{name}: {value} is not called wrong");
        assert!(!starts(&cluster, name, value), "the server takes {name}: {value}");
    }
}

#[test]
fn what_the_server_takes_is_not_called_wrong() {
    let cluster = Cluster::default();
    let right = pins(&[
        ("statement_timeout", "0"),
        ("statement_timeout", "30s"),
        ("statement_timeout", " 30 s "),
        ("statement_timeout", "1.5h"),
        ("statement_timeout", "1.5"),
        ("statement_timeout", ".5min"),
        ("statement_timeout", "1e3"),
        ("statement_timeout", "010"),
        ("statement_timeout", "0x10"),
        ("statement_timeout", "500us"),
        ("statement_timeout", "20d"),
        ("work_mem", "64"),
        ("work_mem", "65536B"),
        ("work_mem", "0.5GB"),
        ("work_mem", "63.6"),
        ("temp_buffers", "8MB"),
        ("extra_float_digits", "-15"),
        ("extra_float_digits", "2.6"),
        ("random_page_cost", "1.1"),
        ("random_page_cost", "1e-3"),
        ("timezone", "Europe/Paris"),
        ("timezone", "europe/paris"),
        ("timezone", "UTC"),
        ("timezone", "EST5EDT"),
        ("timezone", "<+02>-2"),
        ("timezone", "-8"),
        ("DateStyle", "ISO"),
        ("DateStyle", "iso, dmy"),
        ("DateStyle", "SQL,European"),
        ("DateStyle", "Postgres, US"),
        ("DateStyle", "PostgreSQL, NonEuropean"),
        ("DateStyle", "German"),
        ("DateStyle", "\"ISO\", MDY"),
        ("DateStyle", "default"),
        ("DateStyle", ""),
        ("synchronous_commit", "true"),
        ("synchronous_commit", "Remote_Write"),
        ("client_min_messages", "debug"),
        ("default_transaction_read_only", "yes"),
        ("default_transaction_isolation", "Repeatable Read"),
    ]);
    let called = called_wrong(&right);
    for (number, (name, value)) in right.iter().enumerate() {
        assert!(starts(&cluster, name, value), "the server refuses {name}: {value}");
        assert!(!called.contains(&number), "{name}: {value} is called wrong");
    }
}

/// Every setting that a session may set, with values at the edges of what is taken.
#[test]
fn no_setting_has_a_value_that_only_check_refuses() {
    const VALUES: [&str; 30] = [
        "-1",
        "0",
        "1",
        "1.5",
        "-0.4",
        "-0.6",
        ".5",
        "1.",
        "1e3",
        "1e",
        "010",
        "09",
        "0x10",
        "+3",
        " 7 ",
        "7 8",
        "1kB",
        "1 kb",
        "1s",
        "5 min",
        "1d",
        "99999999999",
        "1e400",
        "on",
        "true",
        "debug",
        "none",
        "default",
        "",
        "x",
    ];
    let cluster = Cluster::default();
    let mut client = Client::login(cluster.port(), &[("user", "postgres"), ("database", "shop")]);
    // The subtransaction that fails undoes the setting.
    let made = client.ask(&query(
        "CREATE FUNCTION pg_temp.takes(name text, value text) RETURNS bool LANGUAGE plpgsql AS $$
         BEGIN PERFORM set_config(name, value, true); RAISE EXCEPTION 'taken' USING ERRCODE = 'P0001';
         EXCEPTION WHEN raise_exception THEN RETURN true; WHEN OTHERS THEN RETURN false; END $$",
    ));
    assert!(made.iter().all(|frame| frame.kind != b'E'), "{made:?}");
    // Encodings are guarded; the other two would end the session here.
    let told = client.value(
        "SELECT string_agg(concat_ws('|', name, min_val, max_val, (max_val::float8 + 1)::text), E'\\n') FROM pg_settings
         WHERE context = 'user' AND name NOT LIKE '%.%' AND name NOT IN ('client_encoding', 'exit_on_error', 'transaction_timeout')",
    );
    let mut tried: Vec<(String, String)> = Vec::new();
    for line in told.lines() {
        let mut fields = line.split('|');
        let name = fields.next().unwrap();
        tried.extend(fields.chain(VALUES).map(|value| (name.to_owned(), value.to_owned())));
    }
    assert!(tried.len() > 3000, "{}", tried.len());
    let rows: Vec<String> = tried.iter().map(|(name, value)| format!("('{name}', '{value}')")).collect();
    let taken = client.value(&format!(
        "SELECT string_agg(pg_temp.takes(name, value)::int::text, '') FROM (VALUES {}) AS tried(name, value)",
        rows.join(", ")
    ));
    assert_eq!(taken.len(), tried.len());
    let called = called_wrong(&tried);
    assert!(called.len() > 1000, "{}", called.len());
    let wronged: Vec<&(String, String)> =
        called.iter().filter(|number| taken.as_bytes()[**number] == b'1').map(|number| &tried[*number]).collect();
    assert!(wronged.is_empty(), "the server takes {wronged:?}");
}
