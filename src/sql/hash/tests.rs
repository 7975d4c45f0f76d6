//! Which texts are one statement, and which are not.

use super::*;
use crate::sql::{Reading, analyse};

fn of(text: &str) -> StatementHash {
    let analysis = analyse(text, Reading::default()).unwrap_or_else(|error| panic!("{text}: {error}"));
    analysis.facts.hash.unwrap()
}

#[test]
fn plain_values_do_not_count() {
    for (a, b) in [
        ("SELECT * FROM t WHERE id = 1", "select * from T where \"id\" = -22 -- x"),
        ("SELECT * FROM t WHERE n = 'a'", "SELECT * FROM t WHERE n = E'it\\'s' ;"),
        ("SELECT * FROM t WHERE n = 'a'", "SELECT /* x */ * FROM t WHERE n = $q$b$q$"),
        ("SELECT a FROM t WHERE b IN (1, 2)", "SELECT a FROM t WHERE b IN (3, 4, 5, -6, 7.5)"),
        ("SELECT a FROM t WHERE b = ANY (ARRAY[1, 3, 2])", "SELECT a FROM t WHERE b = ANY (ARRAY[1, 2])"),
        ("INSERT INTO t (a, b) VALUES (1, 'x'), (2, '')", "INSERT INTO t (a, b) VALUES (2, 'y'), (3, 'z'), (4, '')"),
        ("INSERT INTO t VALUES (1, now()), (2, now())", "INSERT INTO t VALUES (9, now()), (8, now()), (7, now())"),
        ("UPDATE t SET a = 1, b = 'x' WHERE c BETWEEN 1 AND 2", "UPDATE t SET a = 3, b = '' WHERE c BETWEEN 8 AND 9"),
        ("UPDATE t SET (a, b) = (1, 2)", "UPDATE t SET (a, b) = (3, 4)"),
        ("DELETE FROM t WHERE a < 5 AND b LIKE 'x%'", "DELETE FROM t WHERE a < 6 AND b LIKE 'y%'"),
        ("SELECT a FROM t LIMIT 10 OFFSET 20", "SELECT a FROM t LIMIT 5 OFFSET 0"),
        ("SELECT a FROM t WHERE d > '2026-01-01'::date", "SELECT a FROM t WHERE d > '2026-02-02'::date"),
        ("SELECT a FROM t WHERE d > now() - interval '1 day'", "SELECT a FROM t WHERE d > now() - interval '2 days'"),
        ("SELECT coalesce(a, 0) FROM t", "SELECT coalesce(a, 1) FROM t"),
        ("SELECT CASE WHEN a = 1 THEN 'x' ELSE 'y' END FROM t", "SELECT CASE WHEN a = 2 THEN 'z' ELSE '' END FROM t"),
        ("SELECT api.user(1, name => 'x')", "SELECT api.user(2, name => 'y')"),
        ("SELECT a FROM t WHERE lower(n) = lower('Ann')", "SELECT a FROM t WHERE lower(n) = lower('Bob')"),
        (
            "INSERT INTO t SELECT * FROM UNNEST(('{1,2}'::int4[])::integer[], ARRAY['a', 'b'])",
            "INSERT INTO t SELECT * FROM UNNEST(('{7}'::int4[])::integer[], ARRAY['c', 'd', 'e'])",
        ),
        ("EXECUTE p(1, 'a')", "EXECUTE p(2, 'b')"),
        ("EXPLAIN SELECT a FROM t WHERE b = 1", "EXPLAIN SELECT a FROM t WHERE b = 2"),
        ("SELECT v.a FROM (VALUES (1, 'a'), (2, 'b')) v(a, b)", "SELECT v.a FROM (VALUES (7, 'c'), (8, 'd')) v(a, b)"),
        (
            "MERGE INTO t USING s ON t.a = s.a WHEN NOT MATCHED THEN INSERT VALUES (1, 'x')",
            "MERGE INTO t USING s ON t.a = s.a WHEN NOT MATCHED THEN INSERT VALUES (2, 'y')",
        ),
        ("SELECT 1; SELECT a FROM t", ";;SELECT 1;;  SELECT a FROM t ; ;"),
    ] {
        assert_eq!(of(a), of(b), "{a}\n{b}");
    }
}

#[test]
fn everything_else_counts() {
    for (a, b) in [
        ("SET ROLE a", "SET ROLE b"),
        ("BEGIN READ ONLY", "BEGIN READ WRITE"),
        ("DO 'BEGIN END'", "DO 'BEGIN NULL; END'"),
        ("SET a.b = 1", "SET a.b = 2"),
        ("SELECT set_config('role', 'a', true)", "SELECT set_config('role', 'b', true)"),
        ("SELECT nextval('a')", "SELECT nextval('b')"),
        ("SELECT pg_read_file('a')", "SELECT pg_read_file('b')"),
        ("SELECT pg_sleep(1)", "SELECT pg_sleep(1000)"),
        ("SELECT dblink('', 'SELECT 1')", "SELECT dblink('', 'DROP TABLE t')"),
        ("SELECT query_to_xml('SELECT 1', true, true, '')", "SELECT query_to_xml('SELECT 2', true, true, '')"),
        ("SELECT a FROM t WHERE 1 = 1", "SELECT a FROM t WHERE 1 = 2"),
        ("SELECT a FROM t WHERE b = 1 OR 'a' = 'a'", "SELECT a FROM t WHERE b = 1 OR 'a' = 'b'"),
        ("SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = $1"),
        ("SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = '1'"),
        ("SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = NULL"),
        ("SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = b"),
        ("SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = 1 OR true"),
        ("SELECT a FROM t ORDER BY 1", "SELECT a FROM t ORDER BY 2"),
        ("SELECT a, b FROM t GROUP BY 1", "SELECT a, b FROM t GROUP BY 2"),
        ("SELECT 'a'::regclass", "SELECT 'b'::regclass"),
        ("SELECT a FROM t WHERE oid = 'a'::regclass", "SELECT a FROM t WHERE oid = 'b'::regclass"),
        ("SELECT unnest('{a}'::regclass[])", "SELECT unnest('{b}'::regclass[])"),
        ("SELECT d->>'name' FROM t", "SELECT d->>'ssn' FROM t"),
        ("SELECT d->>'name' = 'x' FROM t", "SELECT d->>'ssn' = 'x' FROM t"),
        ("SELECT f(1)", "SELECT f(1, 2)"),
        ("INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (1, 'a'), (2, 'admin')"),
        ("INSERT INTO t VALUES (1), (2), (f(3))", "INSERT INTO t VALUES (1), (2), (3)"),
        ("SELECT a FROM t WHERE b IN (1)", "SELECT a FROM t WHERE b IN (1, 2)"),
        ("SELECT a FROM t WHERE b IN (1, 2)", "SELECT a FROM t WHERE b IN (1, 'x')"),
        ("SELECT a FROM t WHERE b IN (1, 2)", "SELECT a FROM t WHERE b NOT IN (1, 2)"),
        ("INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (1, 'a'), (1, (SELECT s FROM secrets))"),
        ("INSERT INTO t VALUES (1), (DEFAULT)", "INSERT INTO t VALUES (1)"),
        ("SELECT a FROM orders AS o", "SELECT a FROM secrets AS o"),
        ("SELECT a FROM secrets AS orders", "SELECT a FROM orders AS orders"),
        ("SELECT a FROM s.t", "SELECT a FROM u.t"),
        ("SELECT a FROM t", "SELECT a FROM ONLY t"),
        ("SELECT a FROM t", "SELECT DISTINCT a FROM t"),
        ("SELECT a FROM t FOR UPDATE", "SELECT a FROM t FOR SHARE"),
        ("SELECT a FROM t UNION SELECT b FROM u", "SELECT a FROM t UNION ALL SELECT b FROM u"),
        ("SELECT a FROM t JOIN u USING (id)", "SELECT a FROM t LEFT JOIN u USING (id)"),
        ("SELECT a FROM t; SELECT b FROM u", "SELECT b FROM u; SELECT a FROM t"),
        ("SELECT a FROM t; SELECT b FROM u", "SELECT a FROM t"),
        ("SELECT a FROM \"T\"", "SELECT a FROM t"),
        ("SELECT \"select\" FROM t", "SELECT a FROM t"),
        ("SELECT a COLLATE \"C\" FROM t", "SELECT a COLLATE \"de\" FROM t"),
        ("SELECT a OPERATOR(x.=) b FROM t", "SELECT a OPERATOR(y.=) b FROM t"),
        ("SELECT f(a => 1)", "SELECT f(b => 1)"),
        ("SELECT a FROM t TABLESAMPLE system (1)", "SELECT a FROM t TABLESAMPLE system (100)"),
        ("SELECT sum(a) OVER (ROWS 1 PRECEDING) FROM t", "SELECT sum(a) OVER (ROWS 2 PRECEDING) FROM t"),
        (
            "SELECT a FROM t ORDER BY a FETCH FIRST 1 ROWS ONLY",
            "SELECT a FROM t ORDER BY a FETCH FIRST 1 ROWS WITH TIES",
        ),
        ("INSERT INTO t OVERRIDING SYSTEM VALUE VALUES (1)", "INSERT INTO t OVERRIDING USER VALUE VALUES (1)"),
        ("INSERT INTO t VALUES (1) ON CONFLICT (a) DO NOTHING", "INSERT INTO t VALUES (1) ON CONFLICT (b) DO NOTHING"),
        ("WITH x AS MATERIALIZED (SELECT 1) TABLE x", "WITH x AS NOT MATERIALIZED (SELECT 1) TABLE x"),
        ("ALTER TABLE t ALTER a SET DEFAULT 1", "ALTER TABLE t ALTER a SET DEFAULT 2"),
        ("CREATE VIEW v AS SELECT a FROM t WHERE b = 1", "CREATE VIEW v AS SELECT a FROM t WHERE b = 2"),
        ("COPY t TO '/tmp/a'", "COPY t TO '/tmp/b'"),
        ("SELECT interval '1' year", "SELECT interval '1' day"),
        ("SELECT a::varchar(1) FROM t", "SELECT a::varchar(2) FROM t"),
        ("SELECT 1", "SELECT 2"),
        ("SELECT a FROM t UNION SELECT 1", "SELECT a FROM t UNION SELECT 2"),
        ("SELECT a[1] FROM t", "SELECT a[2] FROM t"),
    ] {
        assert_ne!(of(a), of(b), "{a}\n{b}");
    }
}

#[test]
fn h1_constants_that_do_something_count() {
    for (a, b) in [
        ("SELECT set_config('application_name', 'a', true)", "SELECT set_config('role', 'a', true)"),
        ("SELECT set_config('role', 'app', true)", "SELECT set_config('role', 'postgres', true)"),
        ("SELECT query_to_xml('select 1', true, true, '')", "SELECT query_to_xml('select ssn from u', true, true, '')"),
        ("SELECT cursor_to_xml('a', 1, true, true, '')", "SELECT cursor_to_xml('b', 1, true, true, '')"),
        ("SELECT table_to_xml('a', true, true, '')", "SELECT table_to_xml('b', true, true, '')"),
        ("SELECT pg_read_file('a')", "SELECT pg_read_file('/etc/passwd')"),
        ("SELECT pg_ls_dir('a')", "SELECT pg_ls_dir('b')"),
        ("SELECT lo_import('/a')", "SELECT lo_import('/b')"),
        ("SELECT lo_get(1)", "SELECT lo_get(2)"),
        ("SELECT 'x'::regclass", "SELECT 'users'::regclass"),
        ("SELECT CAST('x' AS regclass)", "SELECT CAST('users' AS regclass)"),
        ("SELECT regclass 'x'", "SELECT regclass 'users'"),
        ("SELECT nextval('x')", "SELECT nextval('y')"),
        ("SELECT setval('x', 1)", "SELECT setval('y', 1)"),
        ("SELECT dblink_connect('host=a')", "SELECT dblink_connect('host=b')"),
        ("SELECT pg_terminate_backend(1)", "SELECT pg_terminate_backend(2)"),
        ("SELECT pg_advisory_lock(1)", "SELECT pg_advisory_lock(2)"),
        ("SELECT pg_notify('a', '')", "SELECT pg_notify('b', '')"),
        ("SELECT a FROM t LIMIT 1", "SELECT a FROM t LIMIT ALL"),
        ("SELECT a FROM t LIMIT 1", "SELECT a FROM t"),
        ("SELECT a FROM t LIMIT 1", "SELECT a FROM t LIMIT NULL"),
        ("SELECT a FROM t WHERE b IN (1)", "SELECT a FROM t WHERE b IN (1, 2, 3)"),
    ] {
        assert_ne!(of(a), of(b), "{a}\n{b}");
    }
}

#[test]
fn h2_utility_statements_do_not_collide() {
    for (a, b) in [
        ("SET ROLE a", "SET ROLE postgres"),
        ("SET SESSION AUTHORIZATION a", "SET SESSION AUTHORIZATION b"),
        ("SET search_path = a", "SET search_path = evil"),
        ("SET LOCAL search_path = a", "SET search_path = a"),
        ("BEGIN READ ONLY", "BEGIN READ WRITE"),
        ("START TRANSACTION", "START TRANSACTION READ WRITE"),
        ("SET TRANSACTION READ ONLY", "SET TRANSACTION READ WRITE"),
        ("DO $$BEGIN NULL; END$$", "DO $$BEGIN DELETE FROM t; END$$"),
        ("DO LANGUAGE plpgsql 'x'", "DO LANGUAGE plpython3u 'x'"),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
        ),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'x'",
            "CREATE FUNCTION f() RETURNS int LANGUAGE plpython3u AS 'x'",
        ),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'a', 'f'",
            "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'b', 'f'",
        ),
        ("EXECUTE a", "EXECUTE b"),
        ("PREPARE a AS SELECT 1", "PREPARE b AS SELECT 1"),
        ("DEALLOCATE a", "DEALLOCATE ALL"),
        ("ALTER SYSTEM SET a = 1", "ALTER SYSTEM SET a = 2"),
        ("ALTER ROLE a SET b = 1", "ALTER ROLE a SET b = 2"),
        ("ALTER ROLE a PASSWORD 'x'", "ALTER ROLE a PASSWORD 'y'"),
        ("DECLARE c CURSOR FOR SELECT 1", "DECLARE d CURSOR FOR SELECT 1"),
        ("FETCH 1 FROM c", "FETCH ALL FROM c"),
        ("FETCH 1 FROM c", "FETCH 100000 FROM c"),
        ("COPY t TO PROGRAM 'a'", "COPY t TO PROGRAM 'b'"),
        ("LOAD 'a'", "LOAD 'b'"),
        ("NOTIFY a, 'x'", "NOTIFY a, 'y'"),
        ("LISTEN a", "LISTEN b"),
        ("COMMIT PREPARED 'a'", "COMMIT PREPARED 'b'"),
        (
            "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'a')",
            "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'b')",
        ),
        ("EXPLAIN (ANALYZE off) SELECT 1", "EXPLAIN (ANALYZE on) SELECT 1"),
    ] {
        assert_ne!(of(a), of(b), "{a}\n{b}");
    }
}

#[test]
fn h3_no_depth_hides_a_difference() {
    let on_a_large_stack = std::thread::Builder::new().stack_size(crate::sql::STACK);
    let run = on_a_large_stack.spawn(|| {
        for (open, close) in [
            ("SELECT (", ")"),
            ("SELECT a FROM (", ") s"),
            ("WITH w AS (", ") SELECT a FROM w"),
            ("SELECT 'x' UNION ALL ", ""),
            ("SELECT a FROM t WHERE b IN (", ")"),
            ("SELECT f(1, f(2, f(3, f(4, (", ")))))"),
            ("SELECT CASE WHEN a THEN (", ") END"),
            ("SELECT ARRAY(", ")"),
        ] {
            for levels in [1, 23, 24, 25, 33, 48, 49, 61, 100, 300] {
                let text = |bottom: &str| format!("{}{bottom}{}", open.repeat(levels), close.repeat(levels));
                let harmless = of(&text("SELECT name AS a FROM users"));
                for other in [
                    "SELECT ssn AS a FROM users",
                    "SELECT name AS a FROM secrets",
                    "SELECT name AS a FROM users LIMIT 1",
                ] {
                    assert_ne!(harmless, of(&text(other)), "{levels} levels of {open}: {other}");
                }
            }
        }
    });
    run.unwrap().join().unwrap();
}

#[test]
fn h4_no_length_hides_a_difference() {
    let columns = |count: usize| (0..count).map(|n| format!("c{n}")).collect::<Vec<_>>().join(", ");
    // 64, 1,024 and 65,536 bytes and more: what digests of other products keep.
    for count in [10, 200, 12_000] {
        let text = |last: &str| format!("SELECT {}, {last} FROM users", columns(count));
        assert_ne!(of(&text("name")), of(&text("ssn")), "{count} columns");
        assert_ne!(of(&text("name")), of(&(text("name") + "; DROP TABLE users")), "{count} columns");
    }
    let after = |word: &str| format!("SELECT length('{}'), {word} FROM users", "x".repeat(100_000));
    assert_ne!(of(&after("name")), of(&after("ssn")));
}

#[test]
fn it_reads_back() {
    let hash = of("SELECT 1");
    assert_eq!(hash.to_string().parse(), Ok(hash));
    for bad in ["", "xyz", "+123456789012345678901234567890ab", "123456789012345678901234567890abcd"] {
        assert_eq!(bad.parse::<StatementHash>(), Err(NoHash), "{bad}");
    }
}

#[test]
fn the_deepest_statements_have_a_hash_and_an_opinion() {
    let deep = |head: &str, open: &str, inner: &str, close: &str| {
        (1..=50).rev().map(|hundreds| hundreds * 100).find_map(|levels| {
            let text = format!("{head}{}{inner}{}", open.repeat(levels), close.repeat(levels));
            let analysis = analyse(&text, Reading::default()).ok()?;
            let _ = crate::sql::second_opinion::compare(&text, &analysis.facts);
            Some((levels, analysis.facts.hash))
        })
    };
    let stack = std::thread::Builder::new().stack_size(crate::sql::STACK);
    let run = stack.spawn(move || {
        for (head, open, inner, close) in [
            ("SELECT ", "1+", "a", ""),
            ("SELECT ", "f(", "1", ")"),
            ("SELECT ", "NOT (", "a", ")"),
            ("SELECT ", "(SELECT ", "1", ")"),
            ("SELECT ", "coalesce(a, ", "1", ")"),
            ("SELECT ", "CASE WHEN a THEN ", "1", " END"),
            ("SELECT a = ", "ARRAY[", "1", "]"),
        ] {
            let (levels, hash) = deep(head, open, inner, close).unwrap_or_else(|| panic!("{open}: nothing is read"));
            println!("{open}: {levels} levels");
            assert!(levels >= 1_000 && hash.is_some(), "{open}: {levels}");
        }
    });
    run.unwrap().join().unwrap();
}

#[test]
fn the_statements_within_a_text_hash_as_if_they_came_alone() {
    let plain = "SELECT a, 'x' FROM t WHERE b = 1 AND c IN (1, 2)";
    let other = "SELECT a, 'x' FROM t WHERE b = 22 AND c IN (1, 2, 3, 4)";
    let parts = |text: &str| analyse(text, Reading::default()).unwrap().facts.parts;
    assert_eq!(of(plain), of(other));
    assert!(parts(plain).is_empty() && parts("").is_empty() && parts("BEGIN").is_empty());
    for text in [
        format!("BEGIN; {other}; COMMIT"),
        format!("{other};SELECT 2"),
        format!("/* x */ SELECT 2 ; -- y\n {other} -- z"),
        format!("PREPARE p AS {other}"),
        format!("PREPARE p (int, numeric(3, 1)) AS {other};"),
        format!("SELECT 1; PREPARE p AS {other}; EXECUTE p"),
        format!("DECLARE c CURSOR FOR {other}"),
        format!("DECLARE \"for\" NO SCROLL CURSOR WITH HOLD FOR {other}; FETCH ALL FROM \"for\""),
        format!("EXPLAIN {other}"),
        format!("EXPLAIN ANALYZE VERBOSE {other}"),
        format!("EXPLAIN (ANALYZE, FORMAT json) {other}"),
        format!("COPY ({other}) TO STDOUT (FORMAT csv)"),
    ] {
        assert!(parts(&text).contains(&of(plain)), "{text}");
        assert_ne!(of(&text), of(plain), "{text}");
    }
    for text in ["SELECT 1; SELECT 2", "PREPARE p AS SELECT a FROM t", "COPY t TO STDOUT", "EXPLAIN (SELECT 1)"] {
        assert!(!parts(text).contains(&of(plain)), "{text}");
    }
}

#[test]
fn a_long_text_can_be_given_its_hash() {
    let padded = format!("SELECT a /* {} */ FROM t", "x".repeat(LONGEST));
    let mut analysis = analyse(&padded, Reading::default()).unwrap();
    assert_eq!(analysis.facts.hash, None);
    crate::sql::hash_however_long(&padded, &mut analysis);
    assert_eq!(analysis.facts.hash, Some(of("SELECT a FROM t")));
    let batch = format!("SELECT 1; {padded}");
    let mut analysis = analyse(&batch, Reading::default()).unwrap();
    crate::sql::hash_however_long(&batch, &mut analysis);
    assert!(analysis.facts.parts.contains(&of("SELECT a FROM t")));
}

/// Texts that read other things must not be one statement: a list that has one would let the other pass.
#[test]
fn what_names_something_counts_wherever_it_stands() {
    for (a, b) in [
        ("SELECT data - 'ssn' FROM t", "SELECT data - 'x' FROM t"),
        ("SELECT data - ARRAY['ssn', 'x'] FROM t", "SELECT data - ARRAY['a', 'x'] FROM t"),
        ("SELECT data - '{ssn}'::text[] FROM t", "SELECT data - '{x}'::text[] FROM t"),
        ("SELECT data ->> lower('city') FROM t", "SELECT data ->> lower('SSN') FROM t"),
        ("SELECT data ->> coalesce(a, 'ssn') FROM t", "SELECT data ->> coalesce(a, 'x') FROM t"),
        ("SELECT data ->> CASE WHEN a THEN 'ssn' END FROM t", "SELECT data ->> CASE WHEN a THEN 'x' END FROM t"),
        (
            "SELECT query_to_xml(lower('SELECT 1'), a, b, c) FROM t",
            "SELECT query_to_xml(lower('SELECT 2'), a, b, c) FROM t",
        ),
        ("SELECT pg_notify(lower('a'), b) FROM t", "SELECT pg_notify(lower('b'), b) FROM t"),
        ("SELECT set_config(lower('x.y'), b, true) FROM t", "SELECT set_config(lower('x.z'), b, true) FROM t"),
    ] {
        assert_ne!(of(a), of(b), "{a}");
    }
    assert_eq!(of("UPDATE t SET n = n - 1"), of("UPDATE t SET n = n - 2"));
    assert_eq!(
        of("SELECT count(*), sum(a - 1) FROM t WHERE b = 'x'"),
        of("SELECT count(*), sum(a - 5) FROM t WHERE b = 'y'")
    );
}
