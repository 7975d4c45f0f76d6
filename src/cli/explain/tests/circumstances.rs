//! What a verdict was taken to depend on: the protocol, the time, the application's name, and what the session did before.

use clap::Parser;

use super::*;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn parse(arguments: &[&str]) -> Args {
    Line::try_parse_from([&["explain"], arguments].concat()).expect("arguments").args
}

const CONDITIONED: &str = r#"
policy: shop
applies_to: {users: [shop_app]}
search_path: [public]
allow:
  - {rule: data, actions: [select, insert, update, delete], tables: [orders]}
  - {rule: soon, actions: [select], tables: [later], when: {from: "2027-01-01T00:00:00Z"}}
  - {rule: past, actions: [select], tables: [gone], when: {until: "2020-01-01T00:00:00Z"}}
  - {rule: shift, actions: [select], tables: [desk], when: {hours: "Mon-Fri,Sun 08:00-24:00 Europe/Paris"}}
  - {rule: named, actions: [select], tables: [named], when: {application_name: ["report*", psql]}}
  - {rule: query, actions: [select], tables: [q], when: {source: simple}}
deny:
  - {rule: bind, actions: [write], tables: [orders], when: {parameters: inline, source: simple}}
  - {rule: over, actions: [write], tables: [orders], when: {until: "2020-01-01T00:00:00Z"}}
  - {rule: freeze, actions: [delete], tables: [orders], when: {from: "2030-01-01T00:00:00Z"}, outcome: terminate}
  - {rule: obs, actions: [insert], tables: [orders], mode: observe}
  - {rule: slow, actions: [truncate], tables: [orders], delay: 2s}
  - {rule: nothing, when: {source: simple, depth: ">900"}}
"#;

const MORNING: &str = "2026-11-20T09:00:00Z";

fn coming(protocol: Protocol, at: &str, application_name: &str) -> Coming {
    Coming { protocol, at: Some(at.parse().expect("a time")), application_name: application_name.to_owned() }
}

fn asked(sql: &str, protocol: Protocol, at: &str, application_name: &str) -> (String, Value) {
    explained_under(CONDITIONED, "shop_app", &coming(protocol, at, application_name), sql)
}

#[test]
fn each_protocol_has_its_own_verdict_and_the_other_is_noted() {
    let update = "UPDATE orders SET total = 1 WHERE id = 2";
    let (text, json) = asked(update, Protocol::Extended, MORNING, "");
    assert_eq!((&json["verdict"], &json["session"]["protocol"]), (&json!("allow"), &json!("extended")));
    let expected = json!([{
        "rule": "bind", "file": "shop.yaml", "line": 13, "list": "deny", "holds": false, "when": ["as a simple query"],
        "accesses": ["update orders"]
    }]);
    assert_eq!(json["conditions"], expected, "{text}");
    assert!(
        text.contains("note        deny rule bind (shop.yaml:13) would refuse update orders as a simple query (asked by --protocol simple)"),
        "{text}"
    );
    assert!(!text.contains("over"), "what is over does not come again: {text}");
    let (text, json) = asked(update, Protocol::Simple, MORNING, "");
    assert_eq!((&json["verdict"], &json["rule"]), (&json!("refuse"), &json!("bind")));
    assert!(text.contains("simple protocol, at 2026-11-20T09:00:00Z"), "{text}");
    assert!(text.contains("deny rule bind (shop.yaml:13) refuses update orders only as a simple query"), "{text}");
    // Several statements can come in no other way.
    let (text, json) = asked(&format!("{update}; SELECT 1"), Protocol::Extended, MORNING, "");
    assert_eq!((&json["verdict"], &json["session"]["protocol"]), (&json!("refuse"), &json!("simple")));
    assert!(text.contains("several statements in one message can only come as a simple query"), "{text}");
    // What depends on nothing is not noted.
    let (_, json) = asked("SELECT * FROM orders", Protocol::Extended, MORNING, "");
    assert_eq!((&json["notes"], &json["conditions"]), (&json!([]), &json!([])));
}

#[test]
fn a_refusal_names_the_rule_that_would_allow_it_and_the_condition_that_does_not_hold() {
    for (table, said) in [
        ("later", "rule soon (shop.yaml:7) allows select later, but only from 2027-01-01T00:00:00Z on (asked by --at)"),
        ("gone", "rule past (shop.yaml:8) allows select gone, but only until 2020-01-01T00:00:00Z"),
        (
            "desk",
            "rule shift (shop.yaml:9) allows select desk, but only in the hours Mon-Fri,Sun 08:00-24:00 Europe/Paris",
        ),
        (
            "named",
            "rule named (shop.yaml:10) allows select named, but only where application_name is \"report*\" or \"psql\"",
        ),
        ("q", "rule query (shop.yaml:11) allows select q, but only as a simple query"),
    ] {
        let (text, json) = asked(&format!("SELECT * FROM {table}"), Protocol::Extended, "2026-11-21T09:00:00Z", "");
        assert_eq!(json["verdict"], "refuse", "{text}");
        assert!(json["notes"][0].as_str().is_some_and(|note| note.contains(said)), "{said}\n{text}");
        assert_eq!(json["remedy"]["verified"], true);
    }
    for (table, protocol, at, name, only) in [
        ("later", Protocol::Extended, "2027-01-01T00:00:00Z", "", "only from"),
        ("desk", Protocol::Extended, MORNING, "", "only in the hours"),
        ("named", Protocol::Extended, MORNING, "reporting", "only where application_name"),
        ("q", Protocol::Simple, MORNING, "", "only as a simple query"),
    ] {
        let (text, json) = asked(&format!("SELECT * FROM {table}"), protocol, at, name);
        assert_eq!(json["verdict"], "allow", "{text}");
        assert!(text.contains(only), "{text}");
    }
    // A statement that no rule with a condition would allow gets no such note.
    let (_, json) = asked("DROP TABLE later", Protocol::Extended, MORNING, "");
    assert_eq!(json["notes"], json!([]));
}

#[test]
fn what_follows_a_refusal_is_said() {
    let (text, json) = asked("DELETE FROM orders WHERE id = $1", Protocol::Extended, "2031-01-01T00:00:00Z", "");
    assert_eq!((&json["rule"], &json["outcome"]), (&json!("freeze"), &json!("terminate")));
    assert!(text.contains("then      the session ends"), "{text}");
    let (text, json) = asked("TRUNCATE orders", Protocol::Extended, MORNING, "");
    assert_eq!((&json["outcome"], &json["delay_ms"]), (&json!("refuse"), &json!(2000)));
    assert!(text.contains("then      it is told after 2s"), "{text}");
    let (text, json) = asked("INSERT INTO orders VALUES ($1)", Protocol::Extended, MORNING, "");
    assert_eq!((&json["verdict"], &json["would"], &json["rule"]), (&json!("allow"), &json!("refuse"), &json!("obs")));
    let instead = json["remedy"]["instead"].to_string();
    assert!(instead.contains("is in `mode: observe`") && !instead.contains("set `mode"), "{text}");
}

#[test]
fn what_is_allowed_everywhere_is_proposed_once() {
    let (text, json) = explained("shop_app", "TRUNCATE orders CASCADE");
    assert_eq!(json["remedy"]["rules"], json!(["- {rule: allow-truncate, actions: [truncate]}"]), "{text}");
    assert_eq!(json["remedy"]["verified"], true);
    assert!(json["remedy"]["careful"].as_str().is_some_and(|careful| careful.contains("any table")), "{text}");
}

#[test]
fn names_that_the_session_must_have_made_are_noted() {
    for (sql, kind, name, sqlstate) in [
        ("EXECUTE nope", "prepared statement", "nope", "26000"),
        ("FETCH ALL FROM c", "cursor", "c", "34000"),
        ("CLOSE c", "cursor", "c", "34000"),
    ] {
        let (text, json) = asked(sql, Protocol::Extended, MORNING, "");
        assert_eq!(json["session_names"], json!([{"kind": kind, "name": name, "sqlstate": sqlstate}]), "{text}");
        assert!(text.contains(&format!("note        {kind} \"{name}\" must have been")), "{text}");
    }
    let (_, json) = asked("PREPARE p AS SELECT 1; EXECUTE p", Protocol::Extended, MORNING, "");
    assert_eq!(json["session_names"], json!([]));
}

#[test]
fn a_text_that_can_not_be_read_has_a_remedy_too() {
    let (_, json) = explained("shop_app", "SELEC 1");
    let instead = json["remedy"]["instead"][0].as_str().expect("a sentence");
    assert!(instead.contains("correct the statement") && instead.contains("syntax error"), "{instead}");
    assert_eq!((&json["remedy"]["rules"], &json["remedy"]["policy"]), (&json!([]), &json!("shop")));
    let (_, json) = explained("shop_app", "SELECT 1\0");
    assert!(json["remedy"]["instead"][0].as_str().is_some_and(|instead| instead.contains("NUL")), "{json}");
}

#[test]
fn nothing_to_explain_is_an_error_and_comments_are_an_empty_query() {
    for empty in ["", " \n\t"] {
        assert!(matches!(statement(&parse(&[empty])), Err(ExplainError::Empty)));
    }
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("q.sql");
    std::fs::write(&file, "\n").expect("writes");
    assert!(matches!(statement(&parse(&["-f", &file.display().to_string()])), Err(ExplainError::Empty)));
    let (text, json) = explained("shop_app", "-- only a comment");
    assert_eq!(json["verdict"], "allow");
    assert!(text.contains("note        the text holds no statement: an empty query"), "{text}");
}

#[test]
fn the_arguments_say_how_and_when() {
    let args = parse(&["--protocol", "simple", "--at", MORNING, "--application-name", "psql", "SELECT 1"]);
    assert_eq!((args.protocol, args.application_name.as_str()), (Protocol::Simple, "psql"));
    assert_eq!(args.at, MORNING.parse().ok());
    assert_eq!(parse(&["SELECT 1"]).protocol, Protocol::Extended);
    let wrong = Line::try_parse_from(["explain", "--at", "tomorrow", "SELECT 1"]).expect_err("no time").to_string();
    assert!(wrong.contains("RFC 3339"), "{wrong}");
}

#[test]
fn a_set_whose_own_tests_fail_is_explained() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("shop.yaml"), POLICIES).expect("writes");
    let failing = "policy: shop\ntests:\n  - deny: SELECT * FROM orders\n";
    std::fs::write(directory.path().join("shop.test.yaml"), failing).expect("writes");
    assert!(policy::load(directory.path()).is_err_and(|error| error.contains("PC0061")));
    let policies = super::super::policies(directory.path()).expect("its tests are not run");
    assert!(policies.admit(&identity(&args(Some("shop_app")), &policies)).is_ok());
    std::fs::write(directory.path().join("shop.yaml"), "policy: [").expect("writes");
    assert!(matches!(super::super::policies(directory.path()), Err(ExplainError::Policies(_))));
}
