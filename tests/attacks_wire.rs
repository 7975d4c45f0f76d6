//! Attacks on the bookkeeping of names, in front of a real server: a bound `set_config('role', …)` must stay judged whatever
//! is done to the name it stands behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::wire::{Client, bind, error, execute, frame, parse, query, status, sync};
use common::{Cluster, Firewall, firewall};

const POLICY: &str = "policy: shop
applies_to: {users: [app_rw]}
search_path: [public]
allow:
  - {rule: data, actions: [select, insert, copy_from], tables: ['public.*']}
  - {rule: tenant, actions: [set], settings: ['app.*']}
";

/// Works on a session in which `name` stands for the statement, then tries to become another role by it.
fn attack(name: &str, how: impl Fn(&mut Client)) {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(POLICY));
    let mut client = firewall.session("app_rw", "shop");
    client.ask(&[parse(name, "SELECT set_config($1, $2, false)"), sync()].concat());
    how(&mut client);
    // Refused by the server where the name is still there, and then to no avail.
    client.ask(&[parse(name, "SELECT $1::text, $2::text"), sync()].concat());
    client.ask(&[bind("", name, &["role", "shop_owner"]), execute(""), sync()].concat());
    assert_eq!(client.value("SELECT current_user"), "app_rw");
}

fn close(name: &str) -> Vec<u8> {
    frame(b'C', format!("S{name}\0").as_bytes())
}

#[test]
fn f6_a_close_that_the_server_skipped_behind_a_skipped_query() {
    attack("s", |client| {
        let batch = [parse("", "SELECT no_such_column FROM orders"), query("SELECT 1"), close("s"), sync()].concat();
        assert_eq!(error(&client.ask(&batch)).field('C'), "42703");
        client.ask(&[close("never made"), sync()].concat());
    });
}

#[test]
fn f13_a_close_that_the_server_skipped_after_copy_in_ignored_a_sync() {
    attack("s", |client| {
        let copy = [parse("", "COPY orders (note) FROM STDIN"), bind("", "", &[]), execute(""), sync()].concat();
        client.ask(&[copy, frame(b'f', b"no\0"), sync()].concat());
        client.ask(&[parse("", "SELECT no_such_column FROM orders"), close("s"), sync()].concat());
        client.ask(&[close("never made"), sync()].concat());
    });
}

#[test]
fn f4_a_deallocate_that_was_parsed_and_not_run() {
    attack("s", |client| {
        client.ask(&query("PREPARE other AS SELECT 1"));
        client.ask(&[parse("run", "DEALLOCATE other"), sync()].concat());
        let batch = [parse("not run", "DEALLOCATE s"), bind("", "run", &[]), execute(""), sync()].concat();
        assert!(client.ask(&batch).iter().any(|frame| frame.text().starts_with("DEALLOCATE")));
    });
}

#[test]
fn d3_a_name_that_the_server_cuts_in_the_middle_of_a_character() {
    let name = "n".repeat(62);
    attack(&name, |client| {
        client.ask(&[close(&format!("{name}ä")), sync()].concat());
        client.ask(&[parse(&format!("{name}Ω"), "SELECT $1::text, $2::text"), sync()].concat());
    });
}

#[test]
fn e2_an_encoding_that_a_rollback_takes_back() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(POLICY));
    let mut client = firewall.session("app_rw", "shop");
    client.ask(&query("BEGIN"));
    client.ask(&query("SET client_encoding = LATIN1"));
    client.send(&[query("ROLLBACK"), query("SELECT 'ä'")].concat());
    assert_eq!(status(&client.until_ready()), 'I');
    assert_eq!(error(&client.until_ready()).field('C'), "22021");
    assert_eq!(client.value("SELECT 'ä'"), "ä");
}

#[test]
fn a_refused_login_is_a_warning_with_user_database_address_and_rule() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(POLICY));
    let login = [("user", "app_rw"), ("database", "shop"), ("options", "-c role=shop_owner")];
    let answer = firewall.connect().try_login(&login);
    let detail = error(&answer).field('D');
    let event = detail.rsplit(' ').next().unwrap();
    firewall.log_line(&["WARN", "app_rw", "\"shop\"", "127.0.0.1", "guard", "role", event]);
    drop(firewall.connect());
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(!firewall.log().contains("closed before its first byte"), "a port check is no news");
}
