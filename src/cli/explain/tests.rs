//! The bulk form is a contract for scripts; the text is for readers.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

mod circumstances;

const POLICIES: &str = r#"
policy: shop
applies_to: {users: [shop_app], databases: [shop]}
require: {networks: [10.0.0.0/8]}
search_path: [public]
allow: [{rule: data, actions: [select, insert, update, delete], tables: ["*"]}]
deny: [{rule: unbounded, actions: [update, delete], when: {where: missing}, hint: add a WHERE clause}]
---
policy: watch
applies_to: {users: ["watched_*"]}
mode: observe
"#;

fn policies() -> Arc<PolicySet> {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("shop.yaml"), POLICIES).expect("writes");
    Arc::new(policy::load(directory.path()).expect("valid"))
}

const NOW: Coming = Coming { protocol: Protocol::Extended, at: None, application_name: String::new() };

fn args(user: Option<&str>) -> Args {
    Args {
        policies: PathBuf::new(),
        user: user.map(str::to_owned),
        database: None,
        address: None,
        no_tls: false,
        listener: None,
        client_cn: None,
        client_san: Vec::new(),
        os_user: None,
        protocol: Protocol::Extended,
        at: None,
        application_name: String::new(),
        verbose: false,
        batch: None,
        file: None,
        json: false,
        sql: None,
    }
}

/// The answers to some lines, and how many lines were unreadable. On a thread with the stack that analysing needs.
fn ask(user: Option<&'static str>, lines: &str) -> (Vec<Value>, u64) {
    ask_verbosely(user, lines, false)
}

fn ask_verbosely(user: Option<&'static str>, lines: &str, verbose: bool) -> (Vec<Value>, u64) {
    let lines = lines.to_owned();
    let thread = std::thread::Builder::new().stack_size(sql::STACK).spawn(move || {
        let policies = policies();
        let session = policies.admit(&identity(&args(user), &policies));
        let mut out = Vec::new();
        let unreadable = batch::run(lines.as_bytes(), &mut out, session.as_ref(), &NOW, verbose).expect("answers");
        let out = String::from_utf8(out).expect("text");
        (out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect(), unreadable)
    });
    thread.expect("starts").join().expect("no panic")
}

fn one(user: Option<&'static str>, sql: &str) -> Value {
    let (mut answers, unreadable) = ask(user, &json!({"id": 1, "sql": sql}).to_string());
    assert_eq!((answers.len(), unreadable), (1, 0));
    answers.remove(0)
}

#[test]
fn an_answer_has_exactly_the_keys_of_the_contract() {
    let answer = one(Some("shop_app"), "SELECT * FROM Orders WHERE id = 7");
    let keys: BTreeSet<&str> = answer.as_object().expect("an object").keys().map(String::as_str).collect();
    let contract = [
        "id",
        "parsed",
        "verdict",
        "policy",
        "rule",
        "accesses",
        "relations_read",
        "relations_written",
        "functions",
        "injection",
        "hash",
    ];
    assert_eq!(keys, contract.into_iter().collect());
    assert_eq!(answer["verdict"], "allow");
    assert_eq!(answer["policy"], "shop");
    assert_eq!(answer["rule"], Value::Null);
    assert_eq!(answer["accesses"], json!([{"action": "select", "object": "orders"}]));
    assert_eq!(answer["injection"], json!({"score": 0, "signals": []}));
    let hash = answer["hash"].as_str().expect("a text");
    assert!(hash.parse::<crate::sql::StatementHash>().is_ok(), "{hash}");
}

#[test]
fn the_deciding_deny_answers_else_the_default() {
    let answer = one(Some("shop_app"), "DELETE FROM orders");
    assert_eq!((&answer["verdict"], &answer["rule"]), (&json!("refuse"), &json!("unbounded")));
    let answer = one(Some("shop_app"), "DROP TABLE orders");
    assert_eq!((&answer["verdict"], &answer["rule"]), (&json!("refuse"), &json!("default")));
}

#[test]
fn the_statements_of_a_line_are_one_sorted_union() {
    let answer =
        one(Some("shop_app"), "SELECT f(), a.f() FROM b.t; INSERT INTO a SELECT f() FROM b.t; SELECT 1 FROM A");
    assert_eq!(answer["relations_read"], json!(["a", "b.t"]));
    assert_eq!(answer["relations_written"], json!(["a"]));
    assert_eq!(answer["functions"], json!(["a.f", "f"]));
}

#[test]
fn a_session_that_only_observes_allows_and_says_what_it_would() {
    let answer = one(Some("watched_1"), "DROP TABLE orders");
    assert_eq!(
        (&answer["verdict"], &answer["would"], &answer["policy"]),
        (&json!("allow"), &json!("refuse"), &json!("watch"))
    );
}

#[test]
fn a_session_that_nobody_admits_is_refused() {
    let answer = one(Some("stranger"), "SELECT 1");
    assert_eq!((&answer["parsed"], &answer["verdict"]), (&json!(true), &json!("refuse")));
}

#[test]
fn without_a_user_it_is_the_test_session_of_the_first_policy() {
    assert_eq!(one(None, "DELETE FROM orders")["rule"], "unbounded");
    let policies = policies();
    let identity = identity(&args(None), &policies);
    assert_eq!((identity.user.as_str(), identity.database.as_str()), ("shop_app", "shop"));
    assert!(identity.address.to_string().starts_with("10."));
}

#[test]
fn what_can_not_be_read_is_not_parsed_and_refused() {
    let answer = one(Some("shop_app"), "SELEC 1");
    assert_eq!(
        (&answer["parsed"], &answer["verdict"], &answer["rule"]),
        (&json!(false), &json!("refuse"), &json!("parse"))
    );
    assert!(answer["error"].as_str().is_some_and(|error| error.contains("syntax error")), "{answer}");
    let answer = one(Some("shop_app"), "SELECT 1\0; DROP TABLE orders");
    assert_eq!((&answer["parsed"], &answer["verdict"]), (&json!(false), &json!("refuse")));
}

#[test]
fn bytes_are_judged_as_they_are() {
    let (answers, _) = ask(Some("shop_app"), "{\"sql_b64\":\"U0VMRUNUIDE=\"}\n{\"sql_b64\":\"U0VMRUNUICfp\"}\n");
    assert_eq!((&answers[0]["parsed"], &answers[0]["verdict"]), (&json!(true), &json!("allow")));
    assert_eq!((&answers[1]["parsed"], &answers[1]["verdict"]), (&json!(false), &json!("refuse")));
}

#[test]
fn every_line_is_answered_in_order_with_its_id_as_written() {
    let lines = concat!(
        "{\"id\": 1.50, \"sql\": \"begin\"}\n",
        "\n",
        "no JSON\n",
        "{\"id\": [1], \"sql\": \"\\ud800\"}\n",
        "{\"id\": \"x\"}\n",
        "{\"id\": 2, \"sql\": \"commit\", \"source\": \"ignored\"}"
    );
    let (answers, unreadable) = ask(Some("shop_app"), lines);
    let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
    assert_eq!(ids, [&json!(1.5), &json!(null), &json!([1]), &json!("x"), &json!(2)]);
    assert_eq!(unreadable, 3);
    let parsed: Vec<&Value> = answers.iter().map(|answer| &answer["parsed"]).collect();
    assert_eq!(parsed, [true, false, false, false, true]);
}

#[test]
fn a_very_deep_statement_is_answered() {
    let deep = format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(one(Some("shop_app"), &deep)["parsed"], false);
    let long = format!("SELECT 1{}", "+1".repeat(2_000));
    assert_eq!(one(Some("shop_app"), &long)["parsed"], true);
}

#[test]
fn the_text_for_readers_has_no_control_characters() {
    let thread = std::thread::Builder::new().stack_size(sql::STACK).spawn(|| {
        let policies = policies();
        let identity = identity(&args(Some("shop_app")), &policies);
        let session = policies.admit(&identity);
        let sql = "DELETE\nFROM orders -- \u{1b}[2J";
        let answer = report::Answer::of(sql, session.as_ref(), &NOW, true);
        let why = why::Why::of(sql, &policies, &identity, session.as_ref(), (&NOW, answer.refusal()));
        report::text(&report::Asked { sql, identity: &identity, coming: &NOW, at: None }, &answer, &why)
    });
    let text = thread.expect("starts").join().expect("no panic");
    assert!(!text.contains('\u{1b}'), "{text}");
    for line in [
        "statement   DELETE FROM orders -- \\u{1b}[2J",
        "verdict     refuse",
        "  policy    shop",
        "2nd opinion agrees",
        "  grammar   delete; writes orders",
        "  sqlparser delete; writes orders",
    ] {
        assert!(text.lines().any(|l| l == line), "no `{line}` in\n{text}");
    }
    assert!(text.contains("unbounded (") && text.contains("add a WHERE clause"), "{text}");
}

#[test]
fn verbose_shows_both_readings() {
    let line = |sql: &str| json!({"id": 1, "sql": sql}).to_string();
    let lines = [
        line("SELECT * FROM orders; DELETE FROM orders WHERE id = 1"),
        line("SELECT id COLLATE FROM orders"),
        line("CHECKPOINT"),
        line("SELEC 1"),
    ]
    .join("\n");
    let (answers, _) = ask_verbosely(Some("shop_app"), &lines, true);
    let both = json!(["reads orders", "delete; writes orders"]);
    assert_eq!(answers[0]["second_opinion"], json!({"opinion": "agrees", "postgresql": both, "second": both}));
    assert_eq!(
        answers[1]["second_opinion"],
        json!({
            "opinion": "disagrees",
            "postgresql": ["reads orders"],
            "second": ["nothing that touches a relation"],
        })
    );
    assert_eq!((&answers[1]["verdict"], &answers[1]["rule"]), (&json!("refuse"), &json!("disagreement")));
    let none = &answers[2]["second_opinion"];
    assert_eq!((&none["opinion"], &none["postgresql"]), (&json!("none"), &json!(["checkpoint"])));
    assert!(none["reason"].as_str().is_some_and(|reason| reason.contains("could not read it")), "{none}");
    assert_eq!(answers[3]["second_opinion"], Value::Null);
    // Without it the contract of the bulk form has no such key, and the verdict is the same.
    let (answers, _) = ask(Some("shop_app"), &lines);
    assert!(answers.iter().all(|answer| answer.get("second_opinion").is_none()));
    assert_eq!(answers[1]["rule"], "disagreement");
}

/// What explains a verdict, in both forms.
fn explained(user: &'static str, sql: &'static str) -> (String, Value) {
    explained_under(POLICIES, user, &NOW, sql)
}

/// The same under other policies, of a text that comes so.
fn explained_under(yaml: &'static str, user: &'static str, coming: &Coming, sql: &str) -> (String, Value) {
    let (coming, sql) = (coming.clone(), sql.to_owned());
    let thread = std::thread::Builder::new().stack_size(sql::STACK).spawn(move || {
        let policies = Arc::new(policy::load_text("shop.yaml", yaml).expect("valid"));
        let identity = identity(&args(Some(user)), &policies);
        let session = policies.admit(&identity);
        let answer = report::Answer::of(&sql, session.as_ref(), &coming, false);
        let why = why::Why::of(&sql, &policies, &identity, session.as_ref(), (&coming, answer.refusal()));
        let asked = report::Asked { sql: &sql, identity: &identity, coming: &coming, at: coming.at };
        let json = report::json(&asked, &answer, &why);
        (report::text(&asked, &answer, &why), serde_json::from_str(&json).expect("JSON"))
    });
    thread.expect("starts").join().expect("no panic")
}

#[test]
fn every_access_is_told_with_the_rule_that_decided() {
    let (text, json) = explained("shop_app", "SET TimeZone = 'UTC'; DELETE FROM orders; DROP TABLE products");
    let decisions: Vec<&Value> =
        json["trace"].as_array().expect("steps").iter().map(|step| &step["decision"]).collect();
    assert_eq!(decisions, ["needs_no_rule", "denied", "no_rule"]);
    let denied = &json["trace"][1];
    assert_eq!((&denied["statement"], &denied["rules"][0]["rule"]), (&json!(2), &json!("unbounded")));
    assert_eq!(denied["rules"][0]["line"], 7);
    assert!(text.contains("2: delete orders") && text.contains("denied by unbounded ("), "{text}");
    let instead = json["remedy"]["instead"][0].as_str().expect("a sentence");
    assert!(instead.contains("no allow rule helps") && instead.contains("shop.yaml:7"), "{instead}");
    assert_eq!(json["remedy"]["verified"], false);
    let (_, json) = explained("shop_app", "SELECT * FROM orders");
    assert_eq!(
        (&json["trace"][0]["decision"], &json["trace"][0]["rules"][0]["rule"]),
        (&json!("allowed"), &json!("data"))
    );
    assert_eq!(json["remedy"], Value::Null);
}

#[test]
fn a_refusal_comes_with_the_rule_to_paste_and_it_was_tried() {
    let (text, json) = explained("shop_app", "DROP TABLE orders");
    let line = "{rule: drop-table-orders, actions: [\"drop:table\"], tables: [orders]}";
    assert_eq!(json["remedy"]["rules"], json!([format!("- {line}")]));
    assert_eq!(json["remedy"]["verified"], true);
    assert!(text.contains(&format!("\n  - {line}\n")) && text.contains("Tried: with this"), "{text}");
    // Pasted where it says, it loads and allows the statement.
    let pasted = POLICIES
        .replace("allow: [{", &format!("allow:\n  - {line}\n  - {{"))
        .replace("tables: [\"*\"]}]", "tables: [\"*\"]}");
    let set = Arc::new(policy::load_text("shop.yaml", &pasted).expect("valid"));
    let session = set.admit(&identity(&args(Some("shop_app")), &set)).expect("admitted");
    assert!(report::Answer::of("DROP TABLE orders", Ok(&session), &NOW, false).allowed());
    // What reaches beyond the database comes with a warning, what only observes is explained as well.
    let (text, json) = explained("shop_app", "COPY orders TO PROGRAM 'cat'");
    assert!(json["remedy"]["careful"].as_str().is_some_and(|careful| careful.contains("programs")), "{text}");
    let (_, json) = explained("watched_1", "DROP TABLE orders");
    assert_eq!((&json["remedy"]["policy"], &json["remedy"]["verified"]), (&json!("watch"), &json!(true)));
}

#[test]
fn what_no_rule_allows_is_said() {
    for (user, sql, said) in [
        ("stranger", "SELECT 1", "`applies_to`"),
        ("shop_app", "SET standard_conforming_strings = off", "no rule can allow this value"),
        ("shop_app", "SELECT set_config(f(), 'x', true)", "as a constant"),
        ("shop_app", "SELECT id COLLATE FROM orders", "on_disagreement"),
    ] {
        let (text, json) = explained(user, sql);
        let instead = json["remedy"]["instead"].to_string();
        assert!(instead.contains(said), "{sql}: {instead}\n{text}");
        assert_eq!(json["remedy"]["verified"], false, "{sql}");
    }
}
