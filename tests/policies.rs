//! The policies that are shipped: the starter set, the worked examples, and what the documentation shows, loaded as they are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::markdown::blocks;
use portcullis::policy::diagnostic::{Severity, render};
use portcullis::policy::{self, Identity, Moment, Parameters, PolicySet, SessionPolicy, Verdict};
use portcullis::sql;

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn loaded(name: &str) -> Arc<PolicySet> {
    Arc::new(policy::load(&directory(name)).unwrap_or_else(|errors| panic!("{errors}")))
}

fn login(set: &Arc<PolicySet>, user: &str) -> SessionPolicy {
    let identity = Identity {
        user: user.to_owned(),
        database: "shop".to_owned(),
        address: "10.0.0.7".parse().unwrap(),
        tls: true,
        replication: false,
        arrival: portcullis::policy::Arrival::default(),
    };
    set.admit(&identity).unwrap_or_else(|refusal| panic!("{user}: {}", refusal.reason))
}

/// Judges a text as a simple query; the refusal's rule and reason as the error.
fn judge(session: &SessionPolicy, text: &str) -> Result<(), String> {
    let text = text.to_owned();
    let session = session.clone();
    let judged = move || {
        let analysis = match sql::analyse(&text, sql::Reading::default()) {
            Ok(analysis) => analysis,
            Err(error) => return Err(error.to_string()),
        };
        let moment = Moment::now(false, Parameters::None);
        match session.judge(&analysis.facts, moment).verdict {
            Verdict::Allow(_) => Ok(()),
            Verdict::Refuse(refusal) => Err(format!("{}: {}", refusal.rule.label(), refusal.reason)),
        }
    };
    std::thread::Builder::new().stack_size(sql::STACK).spawn(judged).unwrap().join().unwrap()
}

/// Which of the texts are judged otherwise than expected.
fn surprises(session: &SessionPolicy, texts: &[&str], allowed: bool) -> Vec<String> {
    texts
        .iter()
        .map(|text| (text, judge(session, text)))
        .filter(|(_, judged)| judged.is_ok() != allowed)
        .map(|(text, judged)| format!("{text}\n    {judged:?}"))
        .collect()
}

#[test]
fn the_starter_set_loads_as_it_is_shipped_and_the_application_cannot_create() {
    let set = loaded("policies");
    let app = login(&set, "app_rw");
    assert!(app.enforces());
    assert_eq!(&**app.name(), "application");
    for refused in ["CREATE TABLE t (id int)", "CREATE VIEW v AS SELECT 1", "SELECT 1 AS x INTO t", "CREATE SCHEMA s"] {
        assert!(judge(&app, refused).is_err(), "{refused}");
    }
    assert!(login(&set, "app_ro").enforces());
    assert!(login(&set, "app_migrate").enforces());
    assert!(login(&set, "agent_ro").enforces());
    assert!(!login(&set, "whoever").enforces());
}

#[test]
fn the_starter_set_has_disjoint_users() {
    let read = policy::read(&[directory("policies")]);
    let texts: Vec<&str> = read.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert!(!texts.iter().any(|text| text.contains("may hold for the same user")), "{texts:?}");
    assert!(read.findings.iter().all(|finding| finding.severity == Severity::Warning), "{}", render(&read.findings));
}

#[test]
fn the_examples_load_and_pass_their_tests() {
    let set = loaded("docs/examples");
    assert!(set.names().count() >= 8);
}

#[test]
fn every_worked_example_is_there() {
    let set = loaded("docs/examples");
    let names: Vec<&str> = set.names().map(|name| &**name).collect();
    for example in ["minimal", "shop", "rails-migrations", "postgrest", "backup", "oncall", "agent", "etl"] {
        assert!(names.contains(&example), "{example}: {names:?}");
    }
}

/// Every policy of the examples and the starter set, as values.
fn documents(directories: &[&str]) -> Vec<(String, serde_json::Value)> {
    let mut documents = Vec::new();
    for name in directories {
        for entry in std::fs::read_dir(directory(name)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let file = format!("{name}/{}", path.file_name().unwrap().to_str().unwrap());
            let found: Vec<serde_json::Value> =
                serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(!found.is_empty(), "{file}");
            documents.extend(found.into_iter().map(|document| (file.clone(), document)));
        }
    }
    documents
}

/// Each rule of a shipped policy is tested: without an allow rule something that it says is allowed is not, without a deny rule
/// something that it says is denied by that rule is not. Tests can't see a deny rule that observes under a policy that enforces
/// (`tests/spec/12-modes.md` does).
#[test]
fn no_rule_of_a_shipped_policy_can_go_without_a_failing_test() {
    let mut untested = Vec::new();
    let mut rules = 0;
    for (file, document) in documents(&["docs/examples", "policies"]) {
        // JSON is YAML.
        let load = |document: &serde_json::Value| policy::load_text(&file, &document.to_string());
        load(&document).unwrap_or_else(|errors| panic!("{errors}"));
        for list in ["allow", "deny"] {
            let count = document.get(list).and_then(|list| list.as_array()).map_or(0, Vec::len);
            for at in 0..count {
                rules += 1;
                let mut without = document.clone();
                let rule = without.get_mut(list).unwrap().as_array_mut().unwrap().remove(at);
                if rule.get("mode").is_some_and(|mode| mode == "observe") {
                    continue;
                }
                match load(&without) {
                    Ok(_) => untested.push(format!("{file}: {list} {}", rule.get("rule").unwrap())),
                    Err(errors) => assert!(errors.contains("test of policy"), "{errors}"),
                }
            }
        }
    }
    assert!(rules > 20, "{rules}");
    assert!(untested.is_empty(), "no test fails without\n{}", untested.join("\n"));
}

/// The text of a whole policy: itself, or a part of one (keys, or entries of `allow`) in the smallest policy around it.
fn whole(text: &str) -> String {
    const HEAD: &str = "policy: page\napplies_to: {users: [app]}\nsearch_path: [public]\n";
    let meaning = text.lines().find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default();
    match meaning {
        line if line.starts_with("policy:") => text.to_owned(),
        line if line.starts_with("- rule:") || line.starts_with("- {rule:") => format!("{HEAD}allow:\n{text}"),
        _ => format!("{HEAD}{text}"),
    }
}

/// The rules that prose tells in passing: `{rule: …}`.
fn rules_in_passing(page: &str) -> impl Iterator<Item = String> {
    let begins = page.match_indices("`{rule:").map(|(at, _)| at);
    begins.filter_map(|at| page.get(at + 1..)?.split('`').next()).map(|rule| format!("- {}\n", rule.replace('\n', " ")))
}

/// What the documentation shows of the policy language is part of it.
#[test]
fn every_policy_of_the_documentation_loads() {
    let mut pages: Vec<PathBuf> = std::fs::read_dir(directory("docs")).unwrap().map(|e| e.unwrap().path()).collect();
    // The page of errors shows broken ones; `tests/diagnostics.rs` runs them.
    pages.retain(|path| {
        path.extension().is_some_and(|extension| extension == "md") && !path.ends_with("policy-errors.md")
    });
    pages.push(directory("README.md"));
    let settings = std::fs::read_to_string(directory("docs").join("configuration.md")).unwrap();
    let mut wrong = Vec::new();
    let mut loaded = 0;
    for page in pages {
        let file = page.strip_prefix(directory("")).unwrap().display().to_string();
        let text = std::fs::read_to_string(&page).unwrap();
        let blocks = blocks(&text, "yaml").into_iter().map(|block| (block.line.to_string(), block.text));
        let passing = rules_in_passing(&text).map(|rule| (rule.trim().to_owned(), rule));
        for (place, yaml) in blocks.chain(passing) {
            if file == "docs/configuration.md" || file == "docs/authentication.md" {
                // The proxy's own settings: each is explained in the table of the first of these pages.
                for line in yaml.lines().filter(|line| !line.starts_with(' ')) {
                    let (key, _) = line.split_once(':').unwrap();
                    assert!(settings.contains(&format!("| `{key}` |")), "{file}: {key}");
                }
                continue;
            }
            loaded += 1;
            let scratch = tempfile::tempdir().unwrap();
            std::fs::write(scratch.path().join("policy.yaml"), whole(&yaml)).unwrap();
            std::fs::write(scratch.path().join("shop.learned.yaml"), "# the list that examples name\n").unwrap();
            let read = policy::read(&[scratch.path().to_owned()]);
            if read.set.is_none() {
                wrong.push(format!("{file}:{place}\n{}", render(&read.findings)));
            }
        }
    }
    assert!(loaded >= 14, "{loaded}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What drivers send by themselves, under the smallest policy.
#[test]
fn drivers_start_under_the_smallest_policy() {
    let set = loaded("docs/examples");
    let passes = [
        // psql
        "SELECT pg_catalog.set_config('search_path', 'public', false)",
        "SELECT n.nspname, c.relname, CASE c.relkind WHEN 'r' THEN 'table' END, pg_catalog.pg_get_userbyid(c.relowner) \
         FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r','p','') AND n.nspname !~ '^pg_toast' AND pg_catalog.pg_table_is_visible(c.oid)",
        "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relname OPERATOR(pg_catalog.~) '^(orders)$' COLLATE pg_catalog.default",
        "SHOW server_version",
        "SELECT version()",
        "SELECT current_user, session_user, current_setting('search_path')",
        // psycopg
        "BEGIN",
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "SET client_encoding TO 'UTF8'",
        "SET datestyle TO 'ISO'",
        "SELECT t.typname, t.oid, t.typarray FROM pg_type t WHERE t.oid = to_regtype('hstore') ORDER BY t.oid",
        "ROLLBACK",
        // asyncpg: its type queries, and what its pool sends when a connection comes back
        "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;",
        "SELECT t.oid, n.nspname, t.typname FROM pg_catalog.pg_type AS t INNER JOIN pg_catalog.pg_namespace n \
         ON (n.oid = t.typnamespace) WHERE t.oid = ANY(ARRAY[1,2]::oid[])",
        // tokio-postgres
        "SELECT t.typname, t.typtype, t.typelem, r.rngsubtype, t.typbasetype, n.nspname, t.typrelid \
         FROM pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid \
         INNER JOIN pg_catalog.pg_namespace n ON t.typnamespace = n.oid WHERE t.oid = 16384",
        "DISCARD ALL",
        "",
        ";",
        "SET standard_conforming_strings = on",
        "SET application_name = 'x'; SELECT 1",
        "SET SESSION AUTHORIZATION DEFAULT",
        "RESET ROLE",
        "SET ROLE NONE",
        "SET search_path = public",
        "SELECT currval('orders_id_seq'), lastval()",
        "SELECT * FROM information_schema.columns WHERE table_name = 'users'",
        "WITH t AS (SELECT * FROM users) SELECT * FROM t",
        "COMMIT",
    ];
    let surprises = surprises(&login(&set, "minimal_app"), &passes, true);
    assert!(surprises.is_empty(), "refused:\n{}", surprises.join("\n"));
}

/// The attacks that the smallest policy must stop.
#[test]
fn the_smallest_policy_refuses() {
    let set = loaded("docs/examples");
    let refused = [
        "DROP TABLE users",
        "CREATE TABLE x (id int)",
        "SELECT * INTO stolen FROM users",
        "CREATE TEMP TABLE users (id int)",
        "TRUNCATE users",
        "SELECT * FROM hr.salaries",
        "SELECT * FROM pg_catalog.pg_authid",
        "SELECT * FROM pg_shadow",
        "SELECT subconninfo FROM pg_subscription",
        "SELECT * FROM pg_subscription",
        "SELECT * FROM pg_stats",
        "SELECT query FROM pg_stat_activity",
        "SELECT * FROM pg_largeobject",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_sleep(10)",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_terminate_backend(1)",
        "SELECT lo_import('/etc/passwd')",
        "SELECT dblink_exec('host=x', 'DROP TABLE t')",
        "SELECT public.f()",
        "SELECT price_of(7)",
        "COPY users TO STDOUT",
        "COPY users FROM STDIN",
        "COPY (SELECT 1) TO PROGRAM 'sh'",
        "COPY users TO '/tmp/x'",
        "DO $$ BEGIN END $$",
        "CALL purge()",
        "SET search_path = evil, public",
        "SELECT set_config('search_path', 'evil', false)",
        "SELECT set_config('search' || '_path', 'evil', false)",
        "SELECT set_config($1, $2, false)",
        "SET standard_conforming_strings = off",
        "SET backslash_quote = on",
        "SET client_encoding = 'SJIS'",
        "SET client_encoding = 'S-j.I s'",
        "SET row_security = off",
        "SET session_replication_role = replica",
        "SET ROLE postgres",
        "SET LOCAL ROLE postgres",
        "SELECT set_config('role', 'boss', false)",
        "SET SESSION AUTHORIZATION postgres",
        "SET app.tenant = '1'",
        "SET work_mem = '1GB'",
        "ALTER SYSTEM SET statement_timeout = 0",
        "ALTER ROLE minimal_app SET search_path = evil",
        "ALTER ROLE minimal_app SET statement_timeout = 0",
        "ALTER DATABASE shop SET application_name = 'x'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE EXTENSION dblink",
        "GRANT ALL ON users TO PUBLIC",
        "LISTEN x",
        "NOTIFY x, 'secret'",
        "LOCK TABLE users",
        "VACUUM users",
        "PREPARE TRANSACTION 'x'",
        "SELECT * FROM users FOR UPDATE",
        "SELECT query_to_xml($1, true, false, '')",
        "SELECT query_to_xml('DROP TABLE users', true, false, '')",
        "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1",
        "PREPARE p AS SELECT * FROM hr.salaries",
        "DECLARE c CURSOR FOR SELECT * FROM hr.salaries",
        "SELECT 'a' OPERATOR(evil.+) 'b'",
        "SELECT 1; DROP TABLE users",
        "SELECT 'x'::evil.dom",
        "LOAD 'x'",
        "CHECKPOINT",
        "IMPORT FOREIGN SCHEMA s FROM SERVER x INTO public",
        "UPDATE pg_catalog.pg_class SET relname = 'x' WHERE oid = 1",
        "SELECT * FROM pg_temp.users",
        "SELECT * FROM information_schema.user_mapping_options",
        "SELECT * FROM \"USERS\".secrets",
        "SELECT * FROM pg_catalog.users_of_another_version",
    ];
    let surprises = surprises(&login(&set, "minimal_app"), &refused, false);
    assert!(surprises.is_empty(), "allowed:\n{}", surprises.join("\n"));
}

/// Everything that pg_dump 15 sent for a database with one of nearly everything, under the `backup` example.
#[test]
fn pg_dump_passes_under_the_backup_example() {
    let set = loaded("docs/examples");
    let statements = recorded("pg_dump-15.json");
    let texts: Vec<&str> = statements.iter().map(String::as_str).collect();
    let surprises = surprises(&login(&set, "backup"), &texts, true);
    assert!(surprises.is_empty(), "refused:\n{}", surprises.join("\n"));
}

/// What psql 15 sends for its `\d` commands, under the smallest policy.
#[test]
fn psql_describes_under_the_smallest_policy() {
    let set = loaded("docs/examples");
    let statements = recorded("psql-15.json");
    let texts: Vec<&str> = statements.iter().map(String::as_str).collect();
    let surprises = surprises(&login(&set, "minimal_app"), &texts, true);
    assert!(surprises.is_empty(), "refused:\n{}", surprises.join("\n"));
}

/// The statements of a file of `tests/data`, taken from a server's log.
fn recorded(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(directory("tests/data").join(name)).unwrap();
    let statements: Vec<String> = serde_json::from_str(&text).unwrap();
    assert!(statements.len() > 20);
    statements
}
