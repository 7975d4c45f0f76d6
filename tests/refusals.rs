//! What the `application` policy, as it is shipped, refuses, and what a refused client sees: SQLSTATE 42501 by every
//! protocol, a transaction in the state that a failing statement leaves, and a session that goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use common::tools::{client, psql, run};
use common::wire::{Client, Frame, bind, describe, error, execute, function_call, parse, query, status, sync};
use common::{Cluster, Firewall, firewall};

/// None of them is in `application`; PostgreSQL itself would do each for `app_rw`.
const REFUSED: [&str; 12] = [
    "DROP TABLE orders",
    "WITH x AS (DELETE FROM orders RETURNING *) SELECT count(*) FROM x",
    "EXPLAIN ANALYZE DELETE FROM orders",
    "COPY (SELECT 1) TO PROGRAM 'cat > /dev/null'",
    "SET ROLE shop_owner",
    "SELECT set_config('role', 'shop_owner', false)",
    "CREATE TABLE t (a int)",
    "ALTER TABLE orders ADD COLUMN b int",
    "TRUNCATE orders",
    "GRANT ALL ON orders TO PUBLIC",
    "DO $$ BEGIN DROP TABLE orders; END $$",
    "SELECT 1; DROP TABLE orders",
];

fn extended(sql: &str) -> Vec<u8> {
    [parse("", sql), bind("", "", &[]), describe(b'P', ""), execute(""), sync()].concat()
}

#[track_caller]
fn assert_refused(sql: &str, frames: &[Frame]) {
    let error = error(frames);
    assert_eq!(error.field('C'), "42501", "{sql}: {error:?}");
    assert_eq!(error.field('S'), "ERROR", "{sql}");
    assert!(error.field('M').starts_with("statement refused by policy \"application\""), "{sql}: {error:?}");
    assert_eq!(error.field('P'), "", "no position: it would be one in a text that the client never sent");
    assert!(!frames.iter().any(|frame| matches!(frame.kind, b'D' | b'C')), "{sql}: {frames:?}");
}

#[test]
fn what_the_application_may_not_do_is_refused_by_the_simple_protocol() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("application.yaml"));
    let mut session = firewall.session("app_rw", "shop");
    for sql in REFUSED {
        let frames = session.ask(&query(sql));
        assert_refused(sql, &frames);
        assert_eq!(status(&frames), 'I', "{sql}");
        assert_eq!(session.value("SELECT count(*) FROM orders"), "1000", "the session goes on after {sql}");
    }
    assert_eq!(session.value("SELECT current_user"), "app_rw");
}

#[test]
fn what_the_application_may_not_do_is_refused_by_the_extended_protocol() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("application.yaml"));
    let mut session = firewall.session("app_rw", "shop");
    // Two statements in one Parse are PostgreSQL's own error, whoever reads them first.
    for sql in REFUSED.into_iter().filter(|sql| !sql.starts_with("SELECT 1;")) {
        let frames = session.ask(&extended(sql));
        assert_refused(sql, &frames);
        assert_eq!(status(&frames), 'I', "{sql}");
        assert_eq!(session.value("SELECT count(*) FROM orders"), "1000", "the session goes on after {sql}");
    }
}

#[test]
fn what_the_application_does_all_day_passes() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("application.yaml"));
    let mut session = firewall.session("app_rw", "shop");
    for (sql, tag) in [
        ("BEGIN", "BEGIN"),
        ("INSERT INTO orders (product_id, total) VALUES (1, 3) RETURNING id", "INSERT 0 1"),
        ("UPDATE orders SET total = 4 WHERE id = 1001", "UPDATE 1"),
        ("SELECT o.id, p.name FROM orders o JOIN products p ON p.id = o.product_id WHERE o.id = 1001", "SELECT 1"),
        ("DELETE FROM orders WHERE id = 1001", "DELETE 1"),
        ("COMMIT", "COMMIT"),
    ] {
        let frames = session.ask(&query(sql));
        let done = frames.iter().find(|frame| frame.kind == b'C').unwrap_or_else(|| panic!("{sql}: {frames:?}"));
        assert_eq!(done.text().trim_end_matches('\0'), tag);
    }
}

#[test]
fn a_function_call_message_is_refused() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("application.yaml"));
    let mut session = firewall.session("app_rw", "shop");
    const NOW: u32 = 1299;
    let frames = session.ask(&function_call(NOW));
    assert_refused("FunctionCall", &frames);
    assert!(!frames.iter().any(|frame| frame.kind == b'V'));
    assert_eq!(status(&frames), 'I');
    assert_eq!(session.value("SELECT 1"), "1");
}

#[test]
fn a_role_in_the_startup_options_is_refused_before_anything_goes_upstream() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("application.yaml"));
    for (key, value) in [
        ("options", "-c role=shop_owner"),
        ("options", "-crole=shop_owner"),
        ("options", "--role=shop_owner"),
        ("role", "shop_owner"),
        ("session_authorization", "shop_owner"),
        ("options", "-c search_path=pg_temp,public"),
    ] {
        let mut client = firewall.connect();
        let frames = client.try_login(&[("user", "app_rw"), ("database", "shop"), (key, value)]);
        let error = error(&frames);
        assert_eq!((error.field('C').as_str(), error.field('S').as_str()), ("42501", "FATAL"), "{value}: {error:?}");
        assert_eq!(frames.len(), 1, "no word of the server's before it: {frames:?}");
        assert_eq!(client.read(), None);
    }
}

#[test]
fn a_user_that_no_policy_admits_is_refused_before_anything_goes_upstream() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("application.yaml"));
    let before = cluster.log().lines().count();
    let mut client = firewall.connect();
    let frames = client.try_login(&[("user", "bystander"), ("database", "shop")]);
    assert_eq!(error(&frames).field('C'), "28000", "{frames:?}");
    assert_eq!(client.read(), None);
    let news: Vec<String> = cluster.log().lines().skip(before).map(str::to_owned).collect();
    assert!(!news.iter().any(|line| line.contains("bystander")), "{news:?}");
}

#[test]
fn inside_a_transaction_a_refusal_leaves_it_failed() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("application.yaml"));
    let mut session = firewall.session("app_rw", "shop");
    for refused in [query("DROP TABLE orders"), extended("DROP TABLE orders")] {
        assert_eq!(status(&session.ask(&query("BEGIN"))), 'T');
        session.ask(&query("INSERT INTO orders (product_id, total) VALUES (1, 1)"));
        let frames = session.ask(&refused);
        assert_refused("DROP TABLE orders", &frames);
        assert_eq!(status(&frames), 'E');
        assert_eq!(error(&session.ask(&query("SELECT 1"))).field('C'), "25P02");
        let frames = session.ask(&query("COMMIT"));
        assert_eq!(status(&frames), 'I');
        assert!(frames.iter().any(|frame| frame.kind == b'C' && frame.text().starts_with("ROLLBACK")), "{frames:?}");
        assert_eq!(session.value("SELECT count(*) FROM orders"), "1000", "the INSERT before it is gone");
    }
}

#[test]
fn in_a_pipeline_the_insert_before_a_refusal_is_rolled_back() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("application.yaml"));
    let mut session = firewall.session("app_rw", "shop");
    let insert = "INSERT INTO orders (product_id, total) VALUES (1, 1)";
    let step = |sql: &str| [parse("", sql), bind("", "", &[]), execute("")].concat();
    let frames = session.ask(&[step(insert), step("DROP TABLE orders"), step(insert), sync()].concat());
    assert_eq!(error(&frames).field('C'), "42501");
    let done: Vec<String> = frames.iter().filter(|frame| frame.kind == b'C').map(Frame::text).collect();
    assert_eq!(done, ["INSERT 0 1\0"], "the first was done, the one behind the refusal skipped");
    assert_eq!(status(&frames), 'I');
    assert_eq!(session.value("SELECT count(*) FROM orders"), "1000");

    // The same by Query messages sent in one breath: each is a transaction of its own, so the others stand.
    session.send(&[query(insert), query("DROP TABLE orders"), query(insert)].concat());
    let answers: Vec<Vec<Frame>> = (0..3).map(|_| session.until_ready()).collect();
    assert_refused("DROP TABLE orders", &answers[1]);
    assert!(answers.iter().all(|frames| status(frames) == 'I'));
    assert_eq!(session.value("SELECT count(*) FROM orders"), "1002");
}

#[test]
fn a_refused_parse_keeps_the_statement_that_had_its_name() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("application.yaml"));
    let mut session = firewall.session("app_rw", "shop");
    let frames = session.ask(&[parse("s", "SELECT 41"), sync()].concat());
    assert_eq!(status(&frames), 'I');
    let frames = session.ask(&[parse("s", "DROP TABLE orders"), bind("", "s", &[]), execute(""), sync()].concat());
    assert_eq!(error(&frames).field('C'), "42501");
    let frames = session.ask(&[bind("", "s", &[]), execute(""), sync()].concat());
    assert_eq!(frames.iter().find(|frame| frame.kind == b'D').unwrap().row(), [Some("41".to_owned())]);
    let frames = session.ask(&[parse("other", "DROP TABLE orders"), sync()].concat());
    assert_eq!(error(&frames).field('C'), "42501");
    let frames = session.ask(&[bind("", "other", &[]), execute(""), sync()].concat());
    assert_eq!(error(&frames).field('C'), "26000", "a refused Parse makes no statement: {frames:?}");
}

const TELLING: &str = "policy: shop
applies_to: {users: [app_rw]}
search_path: [public]
allow:
  - {rule: data, actions: [select, insert, update, delete], tables: ['*']}
deny:
  - rule: unbounded-write
    actions: [update, delete]
    when: {where: missing}
    hint: add a WHERE clause, or ask the DBA for the bulk role
";

#[test]
fn a_refusal_is_told_to_the_client_the_log_and_the_metrics() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(TELLING));
    let mut session = firewall.session("app_rw", "shop");
    let frames = session.ask(&query("DELETE FROM orders"));
    let error = error(&frames);
    assert_eq!(error.field('C'), "42501");
    let message = error.field('M');
    assert!(message.starts_with("statement refused by policy \"shop\": DELETE on "), "{message}");
    assert!(message.ends_with("orders has no WHERE"), "{message}");
    let detail = error.field('D');
    assert!(detail.starts_with("rule \"unbounded-write\" ("), "{detail}");
    assert!(detail.contains("test.yaml:7)"), "the rule's file and line: {detail}");
    let event = detail.split("event ").nth(1).unwrap_or_else(|| panic!("{detail}")).to_owned();
    assert_eq!(error.field('H'), "add a WHERE clause, or ask the DBA for the bulk role");

    assert_eq!(firewall.metric("portcullis_refusals_total", &[("policy", "shop"), ("rule", "unbounded-write")]), 1.0);
    let refused = [("policy", "shop"), ("action", "write"), ("verdict", "refuse")];
    assert_eq!(firewall.metric("portcullis_statements_total", &refused), 1.0);
    firewall.log_line(&["app_rw", "\"shop\"", "127.0.0.1", "unbounded-write", "test.yaml:7", &event]);

    session.ask(&query("DROP TABLE orders"));
    assert_eq!(firewall.metric("portcullis_refusals_total", &[("policy", "shop"), ("rule", "default")]), 1.0);
}

#[test]
fn psql_shows_message_detail_and_hint() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::policy(TELLING));
    let mut command = client(&cluster, "psql", firewall.port(), "app_rw", "shop");
    let output = run(command.args(["-X", "-v", "VERBOSITY=verbose", "-c", "UPDATE orders SET total = 0 WHERE true"]));
    assert_eq!(output.code, 1);
    for part in ["ERROR:  42501: statement refused by policy \"shop\"", "DETAIL:  rule", "HINT:  add a WHERE clause"] {
        assert!(output.stderr.contains(part), "{part} is not in {}", output.stderr);
    }
    assert!(!output.stderr.contains("LINE 1"), "{}", output.stderr);
}

#[test]
fn terse_errors_tell_the_event_only() {
    let cluster = Cluster::default();
    let terse = TELLING.replace("search_path", "errors: terse\nsearch_path");
    let firewall = Firewall::start(&cluster, firewall::Options::policy(&terse));
    let mut session = firewall.session("app_rw", "shop");
    let frames = session.ask(&query("DELETE FROM orders"));
    let text = error(&frames).text();
    assert_eq!(error(&frames).field('C'), "42501");
    for secret in ["unbounded-write", "yaml", "shop", "orders", "WHERE"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(text.contains("event "), "{text}");
}

#[test]
fn a_syntax_error_stays_postgresqls() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("application.yaml"));
    for sql in ["SELEC 1", "SELECT 'größe' FROM orders WHERE ORDER"] {
        let direct = psql(&cluster, cluster.port(), "app_rw", "shop", &[sql]);
        let through = psql(&cluster, firewall.port(), "app_rw", "shop", &[sql]);
        // But for the id of the event, and the place in the server's source.
        let ours = |line: &&str| line.starts_with("DETAIL:  event ") || line.starts_with("LOCATION");
        let told = |text: &str| text.lines().filter(|line| !ours(line)).collect::<Vec<_>>().join("\n");
        assert_eq!(told(&through.stderr), told(&direct.stderr));
    }
    assert_eq!(firewall.metric("portcullis_unparsed_total", &[]), 2.0);
}

#[test]
fn the_log_knows_a_refused_statement_by_its_hash_and_holds_none_of_its_values() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("application.yaml"));
    let mut session = firewall.session("app_rw", "shop");
    session.ask(&query("SELECT pg_read_file('x') FROM secrets WHERE token = 'hunter2' -- hunter2"));
    let hash = |line: &str| line.split(" hash=").nth(1).unwrap().chars().skip(1).take(32).collect::<String>();
    let line = firewall.log_line(&["statement refused", "SELECT pg_read_file(?) FROM secrets WHERE token = ?"]);
    let first = hash(&line);
    assert!(first.bytes().all(|b| b.is_ascii_hexdigit()), "{line}");
    session.ask(&[parse("", "select pg_read_file('x') from SECRETS where token = 'hunter3'"), sync()].concat());
    let line = firewall.log_line(&["statement refused", "select pg_read_file(?) from SECRETS where token = ?"]);
    assert_eq!(hash(&line), first, "the same statement with another value");
    for text in [
        "ALTER ROLE app_rw PASSWORD 'hunter2'",
        "SET app.token = hunter2",
        "SELECT set_config('app.token', 'hunter2', false)",
        "SELECT 1 FROM secrets WHERE a = 'hunter2",
        "SELECT 1 FROM secrets WHERE a = 'O'hunter2' AND b = ''",
    ] {
        let error = session.ask(&query(text));
        assert!(error.iter().any(|frame| frame.kind == b'E'), "{text}");
    }
    firewall.log_line(&["statement refused", "rule=\"parse\""]);
    session.ask(&query("SELECT 1 FROM nowhere_at_all"));
    let log = firewall.log();
    assert!(!log.contains("hunter"), "{log}");
}

#[test]
fn an_injected_login_is_refused_and_counted() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("application.yaml"));
    let mut session = firewall.session("app_rw", "shop");
    let sql = "SELECT id FROM users WHERE email = '' OR 1=1 UNION SELECT usesysid::int FROM pg_shadow --' AND x = 'y'";
    assert_refused(sql, &session.ask(&query(sql)));
    assert!(firewall.metric("portcullis_injection_attempts_total", &[("policy", "application")]) >= 1.0);
    let event = [("event_type", "sql_injection_attempt")];
    assert!(firewall.metric("portcullis_security_events_total", &event) >= 1.0);
    // Whoever is alarmed finds the statement, without its values.
    firewall.log_line(&[
        "sql injection attempt",
        "hash=",
        "statement=\"SELECT id FROM users WHERE email = ? OR ?=? UNION",
    ]);
}

#[test]
fn the_starter_policies_stand_side_by_side() {
    let cluster = Cluster::default();
    // As shipped, but for the one policy that matches everybody.
    let mut options = firewall::Options::default();
    for file in ["read-only.yaml", "application.yaml", "migrations.yaml", "ai-agent.yaml"] {
        options.policies.extend(firewall::Options::shipped(file).policies);
    }
    let firewall = Firewall::start(&cluster, options);
    let code = |user: &str, sql: &str| {
        let mut session = firewall.session(user, "shop");
        let frames = session.ask(&query(sql));
        frames.iter().find(|frame| frame.kind == b'E').map_or_else(String::new, |error| error.field('C'))
    };
    assert_eq!(code("app_ro", "SELECT count(*) FROM orders"), "");
    assert_eq!(code("app_ro", "UPDATE orders SET total = 0 WHERE id = 1"), "42501");
    assert_eq!(code("app_rw", "UPDATE orders SET total = 0 WHERE id = 1"), "");
    assert_eq!(code("app_rw", "CREATE TABLE t1 (a int)"), "42501");
    assert_eq!(code("app_migrate", "CREATE TABLE t2 (a int)"), "");
    assert_eq!(code("agent_ro", "SELECT count(*) FROM orders"), "");
    assert_eq!(code("agent_ro", "DELETE FROM orders WHERE id = 1"), "42501");
}

#[test]
fn a_refused_login_is_a_warning_with_user_database_address_and_rule() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("application.yaml"));
    let login = [("user", "app_rw"), ("database", "shop"), ("options", "-c role=shop_owner")];
    let answer = firewall.connect().try_login(&login);
    let detail = error(&answer).field('D');
    let event = detail.rsplit(' ').next().unwrap();
    firewall.log_line(&["WARN", "app_rw", "\"shop\"", "127.0.0.1", "guard", "role", event]);
    drop(firewall.connect());
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(!firewall.log().contains("closed before its first byte"), "a port check is no news");
}

#[test]
fn a_prepared_execute_is_judged_by_what_its_name_means_when_it_runs() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("application.yaml"));
    let attack = |session: &mut Client| {
        for bytes in [
            query("PREPARE x (text) AS SELECT $1"),
            [parse("p", "EXECUTE x('shop_owner')"), sync()].concat(),
            query("DEALLOCATE x"),
            // Judged at Bind, ordinarily; here no Bind of it comes.
            [parse("x", "SELECT set_config('role', $1, false)"), sync()].concat(),
        ] {
            let frames = session.ask(&bytes);
            assert!(!frames.iter().any(|frame| frame.kind == b'E'), "{frames:?}");
        }
        session.ask(&[bind("", "p", &[]), execute(""), sync()].concat())
    };
    let mut direct = Client::login(cluster.port(), &[("user", "app_rw"), ("database", "shop")]);
    attack(&mut direct);
    assert_eq!(direct.value("SELECT current_user"), "shop_owner", "it works where nobody judges it");
    let mut session = firewall.session("app_rw", "shop");
    assert_refused("EXECUTE", &attack(&mut session));
    assert_eq!(session.value("SELECT current_user"), "app_rw");
}
