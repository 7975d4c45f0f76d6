//! Lists of recorded statements: what was recorded while somebody attacked must not become policy.

use super::*;
use crate::sql;

/// Loads a policy with a list of these statements beside it.
fn load_with_list(texts: &[&str], rest: &str) -> Arc<PolicySet> {
    let directory = tempfile::tempdir().unwrap();
    let hash = |text: &&str| sql::analyse(text, sql::Reading::default()).unwrap().facts.hash.unwrap();
    let list: String = texts.iter().map(|text| format!("- {{\"hash\": \"{}\"}}\n", hash(text))).collect();
    std::fs::write(directory.path().join("shop.learned.yaml"), list).unwrap();
    let policy = policy(&format!("allow: [{{rule: learned, statements: shop.learned.yaml}}]\n{rest}"));
    std::fs::write(directory.path().join("shop.yaml"), policy).unwrap();
    Arc::new(crate::policy::load(directory.path()).unwrap())
}

fn refused_by(set: &Arc<PolicySet>, text: &str) -> Option<String> {
    let session = set.admit(&set.test_identity(None).unwrap()).unwrap();
    let facts = sql::analyse(text, sql::Reading::default()).unwrap().facts;
    refusal(session.judge(&facts, moment(Parameters::None))).map(|refusal| refusal.rule.label().to_owned())
}

#[test]
fn a_list_allows_its_statements_and_no_other() {
    let listed = ["SELECT a FROM t WHERE b = 1", "UPDATE t SET a = 1 WHERE b = 2 RETURNING c", "SELECT f(1)"];
    let set = load_with_list(&listed, "deny: [{rule: hidden, columns: [t.c]}]\n");
    assert_eq!(refused_by(&set, "select a from T where b = 77 -- as always"), None);
    assert_eq!(refused_by(&set, "SELECT f(2)"), None);
    for other in
        ["SELECT a FROM t WHERE b = 1 OR true", "SELECT a FROM t", "SELECT a, b FROM t WHERE b = 1", "SELECT f(g(1))"]
    {
        assert_eq!(refused_by(&set, other).as_deref(), Some("default"), "{other}");
    }
    assert_eq!(refused_by(&set, listed[1]).as_deref(), Some("hidden"), "deny wins over a list");
}

/// What applications do every day with functions of the server that need a rule.
#[test]
fn a_list_covers_the_server_s_own_functions_but_those_that_reach_out() {
    let listed = [
        "SELECT pg_advisory_xact_lock($1)",
        "SELECT pg_try_advisory_lock(1)",
        "SELECT pg_catalog.pg_advisory_unlock(1)",
        "SELECT pg_sleep(1)",
        "SELECT nextval('orders_id_seq')",
    ];
    let set = load_with_list(&listed, "");
    for text in listed {
        assert_eq!(refused_by(&set, text), None, "{text}");
    }
    assert_eq!(refused_by(&set, "SELECT pg_sleep(1000)").as_deref(), Some("default"), "its value counts");
    // Every function that the firewall knows, called by a listed statement.
    let builtins = (1..10_000).filter_map(|oid| sql::functions::by_oid(oid, 17));
    let listed: Vec<String> = builtins.map(|name| format!("SELECT pg_catalog.\"{name}\"()")).collect();
    let texts: Vec<&str> = listed.iter().map(String::as_str).collect();
    let set = load_with_list(&texts, "");
    let mut passed = std::collections::BTreeSet::new();
    for text in &texts {
        let facts = sql::analyse(text, sql::Reading::default()).unwrap().facts;
        let session = set.admit(&set.test_identity(None).unwrap()).unwrap();
        if refusal(session.judge(&facts, moment(Parameters::None))).is_none() {
            passed.extend(facts.statements.iter().flat_map(|s| &s.accesses).map(|access| access.action.name.group()));
        }
    }
    assert!(passed.iter().all(|group| !group.is_privileged()), "{passed:?}");
    assert!(passed.contains(&sql::Group::Lock), "{passed:?}");
}

#[test]
fn no_list_of_recorded_statements_becomes_policy() {
    let never = [
        "COPY t TO PROGRAM 'id'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT dblink_connect('host=x')",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "DO $$ BEGIN NULL; END $$",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SET search_path = evil",
        "SET row_security = off",
        "SET ROLE postgres",
        "GRANT SELECT ON t TO public",
        "SELECT pg_terminate_backend(1)",
        "UPDATE pg_catalog.pg_proc SET proname = 'x' WHERE oid = 1",
        "SELECT lo_import('/etc/passwd')",
        "SELECT nextval($1)",
        "SELECT setval($1, 5)",
        "SELECT nextval('s' || 1)",
        "SELECT lo_create(0)",
        "SELECT lo_get($1)",
        "SELECT set_config($1, $2, false)",
        "SELECT * FROM crosstab('SELECT a, b, c FROM t') AS x(a text, b text)",
        "SELECT rolpassword FROM pg_authid",
        "SELECT query FROM pg_catalog.pg_stat_activity",
        "SET dynamic_library_path = '/tmp'",
        "CREATE TEMP TABLE x (a int)",
    ];
    let set = load_with_list(&never, "");
    for text in never {
        let session = set.admit(&set.test_identity(None).unwrap()).unwrap();
        let facts = sql::analyse(text, sql::Reading::default()).unwrap().facts;
        assert!(refusal(session.judge(&facts, moment(Parameters::None))).is_some(), "{text}");
    }
    // Beside actions neither: such a rule would allow more than its list.
    let list = "allow: [{rule: learned, actions: [select], tables: ['*'], statements: shop.learned.yaml}]\n";
    let told = findings(&[&policy(list)]);
    assert!(told.iter().any(|finding| finding.contains("everything that they do, and nothing else")), "{told:?}");
    let told = findings(&[&policy("allow: [{rule: learned, statements: other.yaml}]\n")]);
    assert!(told.iter().any(|finding| finding.contains("no list of statements by its name")), "{told:?}");
}
