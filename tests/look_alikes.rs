//! What a firewall of patterns trips over, and this one must not: keywords as names, in strings, in comments; relations,
//! columns and functions called like dangerous ones. Each passes under a policy as it is shipped, by both protocols, with
//! the very answer of the server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use common::wire::{Client, Frame, bind, describe, error, execute, parse, query, sync};
use common::{Cluster, Firewall, firewall};

/// A shop whose owner has an odd taste in names.
const NAMES: &str = r#"
SET ROLE shop_owner;
CREATE TYPE "insert" AS ENUM ('drop', 'delete', 'truncate');
CREATE TABLE "delete" (id int PRIMARY KEY, "drop" text, "table" int, "select" text, "grant" boolean, "user" text,
    update_count int, deleted_at date, "DROP TABLE orders; --" text, pg_sleep int, pg_read_file text, query text,
    "insert" "insert", "order" int, dblink text, lo_import int, "set role" text);
INSERT INTO "delete" VALUES
    (1, 'DROP TABLE orders', 5, 'select', true, 'postgres', 3, '2026-01-02', 'x', 10, '/etc/passwd', 'DELETE FROM orders',
     'drop', 1, 'host=evil', 4, 'superuser'),
    (2, $$it's -- not; a /* comment */$$, 6, NULL, false, 'public', 4, NULL, 'y', 11, NULL, NULL, 'delete', 2, NULL, 5, '');
CREATE TABLE "Update" (id int PRIMARY KEY, "set" text, "where" text);
INSERT INTO "Update" VALUES (1, 'a', 'b'), (2, 'c', 'd');
CREATE TABLE drop_log (id int, "when" timestamp, what text);
CREATE TABLE public.pg_authid (rolname text, rolpassword text);
INSERT INTO public.pg_authid VALUES ('mine', 'none');
CREATE TABLE public.pg_stat_activity (id int, query text);
INSERT INTO public.pg_stat_activity VALUES (1, 'walked');
CREATE TABLE copy_program (id int, "to" text, program text);
CREATE VIEW "truncate" AS SELECT id, "drop" AS "revoke" FROM "delete";
CREATE MATERIALIZED VIEW grants AS SELECT 1 AS "grant";
CREATE SEQUENCE "drop sequence";
CREATE FUNCTION drop_table(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'kept ' || $1 $$;
CREATE FUNCTION update_count() RETURNS bigint LANGUAGE sql STABLE AS $$ SELECT count(*) FROM orders $$;
CREATE FUNCTION "delete"(int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT $1 + 1 $$;
CREATE FUNCTION execute_sql(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT upper($1) $$;
CREATE FUNCTION pg_sleep(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT $1 * $2 $$;
CREATE FUNCTION same(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT $1 = $2 $$;
CREATE OPERATOR === (FUNCTION = same, LEFTARG = text, RIGHTARG = text);
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
"#;

/// They read; `read-only` as it is shipped lets them.
const READS: &[&str] = &[
    // Keywords as names of relations and columns.
    r#"SELECT "drop", "table", "grant" FROM "delete" ORDER BY id"#,
    r#"SELECT * FROM "delete" ORDER BY id"#,
    r#"SELECT "delete"."drop" FROM public."delete" ORDER BY "order" DESC"#,
    r#"SELECT d.* FROM "delete" AS d WHERE d."grant""#,
    r#"SELECT "DROP TABLE orders; --" FROM "delete" WHERE id = 1"#,
    r#"SELECT "set role" FROM "delete" WHERE "set role" <> ''"#,
    r#"SELECT U&"d\0072op" FROM "delete" ORDER BY id"#,
    r#"SELECT "set", "where" FROM "Update" WHERE "where" = 'b'"#,
    r#"SELECT "revoke" FROM "truncate" ORDER BY id"#,
    "SELECT * FROM grants",
    "SELECT update_count, deleted_at FROM \"delete\" ORDER BY update_count",
    "SELECT max(update_count) AS delete_count, min(deleted_at) AS dropped FROM \"delete\"",
    "SELECT what, \"when\" FROM drop_log",
    "SELECT program, \"to\" FROM copy_program",
    r#"SELECT last_value FROM "drop sequence""#,
    // Named like what is closed.
    "SELECT pg_sleep, pg_read_file, dblink, lo_import, query FROM \"delete\" ORDER BY id",
    "SELECT d.pg_sleep, d.pg_read_file FROM \"delete\" d ORDER BY d.pg_sleep",
    "SELECT rolname, rolpassword FROM public.pg_authid",
    "SELECT query FROM public.pg_stat_activity",
    "SELECT name AS pg_authid FROM products WHERE id = 1",
    "SELECT pg_shadow.name FROM products AS pg_shadow WHERE pg_shadow.id = 2",
    "SELECT count(*) FROM orders AS pg_stat_activity",
    "SELECT x.pg_read_file FROM (SELECT 'nothing' AS pg_read_file) AS x",
    // Aliases.
    "SELECT id AS delete, name AS update, price AS drop FROM products ORDER BY id LIMIT 2",
    "SELECT 1 AS insert, 2 AS truncate, 3 AS alter, 4 AS copy, 5 AS call, 6 AS execute, 7 AS do",
    "SELECT delete.id FROM products delete ORDER BY delete.id LIMIT 1",
    "SELECT update.id FROM products AS update JOIN orders AS insert ON insert.product_id = update.id LIMIT 1",
    "SELECT count(*) FROM (SELECT 1) AS drop",
    r#"SELECT 1 AS "; DROP TABLE orders""#,
    r#"SELECT 1 AS "pg_sleep(10)""#,
    // Strings.
    "SELECT 'DROP TABLE orders'",
    "SELECT 'x''; DROP TABLE orders; --'",
    "SELECT 1 WHERE 'a' = '; DELETE FROM orders'",
    "SELECT name FROM products WHERE name = 'Robert''); DROP TABLE students;--'",
    "SELECT name FROM products WHERE name LIKE '%union select%' OR name ILIKE '%pg_sleep(5)%'",
    r"SELECT E'\'; DROP TABLE orders; --'",
    r"SELECT E'\\', 'DELETE FROM orders'",
    r"SELECT E'\x44ROP TABLE orders', E'\u0044ELETE'",
    r"SELECT '\'; -- '",
    r"SELECT U&'\0044ROP TABLE orders'",
    r"SELECT U&'!0044ELETE' UESCAPE '!'",
    "SELECT 'DROP '\n'TABLE orders'",
    "SELECT B'1010', X'DE1E7E', N'delete'",
    "SELECT $$DROP TABLE orders$$",
    "SELECT $drop$DELETE FROM orders; $$ COMMIT $$ $drop$",
    "SELECT $_$'; TRUNCATE orders; --$_$",
    "SELECT 'größe; DROP TABLE orders', '日本語 DELETE'",
    "SELECT length('COPY orders TO PROGRAM ''sh''')",
    "SELECT 'SELECT pg_read_file(''/etc/passwd'')'::text",
    "SELECT '{\"$where\": \"drop table orders\"}'::jsonb ->> '$where'",
    "SELECT ARRAY['drop', 'delete']::text[] @> '{drop}'",
    "SELECT 'drop'::\"insert\" < 'delete'::public.\"insert\"",
    "SELECT \"insert\"::text FROM \"delete\" ORDER BY id",
    "SELECT to_tsvector('english', 'drop the table, delete the rows') @@ to_tsquery('drop & table')",
    "SELECT regexp_replace('delete from orders', '(delete|drop)', 'kept \\1', 'g')",
    "SELECT format('DROP TABLE %I', 'orders'), quote_literal('x''; DROP')",
    // Comments.
    "-- DROP TABLE orders\nSELECT 1",
    "/* DELETE FROM orders; */ SELECT 2",
    "SELECT /* ; DROP TABLE orders; -- */ 3",
    "SELECT 4 /* outer /* DROP TABLE orders */ still outer; */ AS nested",
    "SELECT 5 -- ; DELETE FROM orders",
    "/*+ SeqScan(orders) */ SELECT id FROM orders WHERE id = 1",
    "SELECT id FROM orders WHERE id = 1 /* application='shop', controller='delete', traceparent='00-drop' */",
    "SELECT 6 /* ' */, '/* DROP */', 7 -- '",
    "SELECT '-- not a comment', \"-- nor this\" FROM (SELECT 1 AS \"-- nor this\") x",
    // One statement, although it does not look so.
    "SELECT ';;;' AS semicolons;",
    ";SELECT 8;;",
    "SELECT 9 AS \"a;b\"",
    // Words that are functions, operators, expressions.
    "SELECT overlay('drop table' PLACING 'keep' FROM 1 FOR 4)",
    "SELECT substring('update orders set' FROM 'update (.*) set')",
    "SELECT position('drop' IN 'raindrop'), replace('delete', 'delete', 'update')",
    "SELECT CASE WHEN true THEN 'drop' ELSE 'delete' END",
    "SELECT id FROM orders WHERE note IS NOT NULL AND NOT EXISTS (SELECT FROM users WHERE email = 'delete') ORDER BY id LIMIT 1",
    "SELECT 7 OPERATOR(pg_catalog.+) 1, 5 # 3, 2 << 3, @ -1 AS absolute",
    "SELECT '2026-01-02'::date - INTERVAL '1 day' AS yesterday, TIMESTAMP 'epoch'",
    "SELECT 'a' || 'b' || ';DROP TABLE orders' AS chained",
    "SELECT (ROW(1, 'drop'::text)).*",
    "SELECT id FROM orders WHERE id = 1 OR id = 2 ORDER BY id",
    "SELECT id FROM orders WHERE 1 = 1 AND id = 3",
    "SELECT id, name FROM products WHERE id = 1 UNION ALL SELECT id, email FROM users WHERE id = 1",
    "SELECT count(*) FILTER (WHERE total > 5) OVER () FROM orders ORDER BY 1 LIMIT 1",
    "SELECT count(*) FROM orders HAVING count(*) > 1",
    "SELECT * FROM generate_series(1, 3) AS truncate(n)",
    "SELECT * FROM json_to_recordset('[{\"drop\": 1}]') AS x(\"drop\" int)",
    "SELECT * FROM unnest(ARRAY['delete', 'drop']) WITH ORDINALITY AS alter(drop, n)",
    "SELECT t.id FROM products t TABLESAMPLE SYSTEM (0)",
    "TABLE \"Update\" ORDER BY id",
    "VALUES ('DROP'), ('DELETE')",
    // CTEs and subqueries.
    "WITH delete AS (SELECT 1 AS id) SELECT * FROM delete",
    "WITH drop (\"table\") AS (VALUES (1)), update AS (SELECT * FROM drop) SELECT * FROM update",
    "WITH RECURSIVE truncate AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM truncate WHERE n < 3) SELECT * FROM truncate",
    "WITH pg_authid AS (SELECT 'mine' AS rolname) SELECT * FROM pg_authid",
    "WITH x AS MATERIALIZED (SELECT id FROM orders) SELECT count(*) FROM x",
    "SELECT (SELECT \"drop\" FROM \"delete\" WHERE id = 1), ARRAY(SELECT id FROM products ORDER BY id LIMIT 2)",
    "SELECT o.id, l.name FROM orders o, LATERAL (SELECT name FROM products p WHERE p.id = o.product_id) l ORDER BY 1 LIMIT 1",
    "SELECT (\"truncate\").revoke FROM \"truncate\" WHERE id = 1",
    // What is described, not done.
    "EXPLAIN (COSTS OFF) SELECT * FROM \"delete\"",
    "SHOW transaction_read_only",
    "SHOW \"search_path\"",
    "SELECT current_setting('default_transaction_isolation')",
    "SELECT has_table_privilege('orders', 'DELETE'), has_schema_privilege('public', 'CREATE')",
    "SELECT to_regclass('public.\"delete\"')::text, 'drop_log'::regclass::text",
    "SELECT privilege_type FROM information_schema.role_table_grants WHERE privilege_type = 'DELETE' ORDER BY 1 LIMIT 1",
    "SELECT proname FROM pg_proc WHERE proname = 'pg_terminate_backend'",
    "SELECT relname FROM pg_class WHERE relname IN ('delete', 'drop_log', 'truncate') ORDER BY 1",
    "SELECT pg_get_functiondef('drop_table(text)'::regprocedure)",
    "SELECT pg_get_viewdef('\"truncate\"'::regclass, true)",
    "SELECT obj_description('orders'::regclass), col_description('orders'::regclass, 1)",
];

/// Further sessions of one text at a time, each read by both sides in turn.
const SESSIONS: &[&[&str]] = &[
    &["BEGIN", "SAVEPOINT \"delete\"", "SELECT 1", "ROLLBACK TO \"delete\"", "RELEASE \"delete\"", "COMMIT"],
    &["BEGIN READ ONLY", "SAVEPOINT drop_table", "SELECT 1/0", "ROLLBACK TO drop_table", "SELECT 2", "END"],
    &["START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE", "SELECT count(*) FROM orders", "ABORT"],
    &["PREPARE delete AS SELECT name FROM products WHERE id = $1", "EXECUTE delete (7)", "DEALLOCATE delete"],
    &["PREPARE \"DROP TABLE orders\" (text) AS SELECT $1", "EXECUTE \"DROP TABLE orders\" ('x; DELETE')"],
    &["PREPARE \"all\" AS SELECT 1", "EXECUTE \"all\"", "DEALLOCATE \"all\""],
    &[
        "BEGIN",
        "DECLARE \"update\" CURSOR FOR SELECT id FROM products ORDER BY id",
        "FETCH 2 FROM \"update\"",
        "MOVE 1 IN \"update\"",
        "FETCH ABSOLUTE 1 \"update\"",
        "CLOSE \"update\"",
        "COMMIT",
    ],
    &["DECLARE drop_all CURSOR WITH HOLD FOR SELECT id FROM products ORDER BY id", "FETCH ALL drop_all", "CLOSE ALL"],
    &["SET application_name = 'drop table; delete from'", "SHOW application_name", "RESET application_name"],
    &["SET TIME ZONE 'Europe/Paris'", "SELECT '2026-06-01 12:00'::timestamp::timestamptz", "RESET TimeZone"],
    &["SET DateStyle TO 'German'", "SELECT DATE '2026-02-01'", "SET DateStyle TO DEFAULT"],
    &["SELECT set_config('application_name', 'DELETE FROM orders', false)", "SHOW application_name", "RESET ALL"],
    &["EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT 1 AS delete", "DISCARD ALL"],
    &["UNLISTEN drop_table", "UNLISTEN *", "SELECT pg_advisory_unlock_all()", "CLOSE ALL", "DISCARD PLANS"],
    &["SELECT 1 AS one; RESET ALL", "SET DateStyle = ISO; SET extra_float_digits = 2; SELECT 'drop'"],
];

/// Functions of the user's own, with the one rule that the DBA adds for them.
const CALLS: &[&str] = &[
    "SELECT drop_table('orders')",
    "SELECT public.update_count()",
    "SELECT \"delete\"(41), public.\"delete\"(1)",
    "SELECT execute_sql('drop table orders')",
    "SELECT public.pg_sleep(6, 7)",
    "SELECT * FROM drop_table('delete') AS truncate",
    "SELECT 'a' OPERATOR(public.===) 'drop'",
    "SELECT 'drop' === 'drop'",
];

/// They write; `application` as it is shipped lets them. Each in a transaction that is rolled back.
const WRITES: &[&str] = &[
    "INSERT INTO \"delete\" (id, \"drop\") VALUES (3, 'DROP TABLE orders') RETURNING id, \"drop\"",
    "INSERT INTO orders (product_id, note) VALUES (1, 'x''; DELETE FROM orders; --') RETURNING note",
    "INSERT INTO copy_program VALUES (1, 'PROGRAM', 'rm -rf /') RETURNING *",
    "INSERT INTO drop_log SELECT id, NULL, 'TRUNCATE orders' FROM products WHERE id < 3",
    "INSERT INTO \"Update\" VALUES (1, 'a', 'b') ON CONFLICT (id) DO UPDATE SET \"set\" = excluded.\"set\" || '!' RETURNING *",
    "INSERT INTO \"Update\" (id) VALUES (1) ON CONFLICT DO NOTHING",
    "UPDATE \"delete\" SET \"drop\" = 'table', update_count = update_count + 1 WHERE id = 1 RETURNING update_count",
    "UPDATE \"Update\" SET \"set\" = \"where\", \"where\" = 'WHERE true' WHERE id = 2 RETURNING *",
    "UPDATE orders SET note = 'DELETE FROM users WHERE 1 = 1' WHERE id = 1 RETURNING note",
    "UPDATE orders o SET note = p.name FROM products p WHERE p.id = o.product_id AND o.id = 5 RETURNING o.note",
    "UPDATE orders SET total = 0 WHERE id IN (SELECT id FROM orders WHERE note LIKE 'größe 1%' LIMIT 3)",
    "UPDATE orders SET total = total WHERE id = 1 AND 1 = 1",
    "DELETE FROM \"delete\" WHERE \"drop\" = 'DROP TABLE orders' RETURNING id",
    "DELETE FROM \"delete\" AS truncate WHERE truncate.id = 2",
    "DELETE FROM orders USING products WHERE products.id = orders.product_id AND products.name = 'product 3'",
    "DELETE FROM drop_log WHERE \"when\" IS NULL",
    "WITH gone AS (DELETE FROM \"Update\" WHERE id = 1 RETURNING *) SELECT \"set\", \"where\" FROM gone",
    "SELECT id FROM orders WHERE id = 1 FOR UPDATE",
    "SELECT id FROM orders WHERE id = 2 FOR NO KEY UPDATE OF orders SKIP LOCKED",
    "SELECT nextval('\"drop sequence\"') > 0",
];

fn extended(sql: &str) -> Vec<u8> {
    [parse("", sql), describe(b'S', ""), bind("", "", &[]), describe(b'P', ""), execute(""), sync()].concat()
}

/// The server and the firewall in front of it, asked the same things.
struct Pair {
    direct: Client,
    through: Client,
    /// Where their answers differ.
    differences: Vec<String>,
}

impl Pair {
    fn new(cluster: &Cluster, firewall: &Firewall, user: &str) -> Pair {
        let who = [("user", user), ("database", "shop")];
        // What the firewall pins, so that SHOW says the same.
        let options = [&who[..], &[("options", "-c search_path=public,\\ pg_temp")]].concat();
        Pair {
            direct: Client::login(cluster.port(), &options),
            through: firewall.session(user, "shop"),
            differences: Vec::new(),
        }
    }

    /// Asks both; the server's answer.
    fn ask(&mut self, bytes: &[u8], sql: &str) -> Vec<Frame> {
        let direct = self.direct.ask(bytes);
        let through = self.through.ask(bytes);
        if through != direct {
            self.differences.push(format!("{sql}\n    direct {direct:?}\n    through {through:?}"));
        }
        direct
    }

    #[track_caller]
    fn same(&self) {
        assert!(self.differences.is_empty(), "{}", self.differences.join("\n"));
    }
}

fn shop() -> Cluster {
    let cluster = Cluster::default();
    cluster.execute("shop", NAMES);
    cluster
}

fn refused(firewall: &Firewall) -> f64 {
    firewall.metric("portcullis_statements_total", &[("verdict", "refuse")])
}

#[test]
fn reads_pass_under_read_only() {
    let cluster = shop();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("read-only.yaml"));
    let mut pair = Pair::new(&cluster, &firewall, "app_ro");
    pair.direct.ask(&query("SET default_transaction_read_only = on"));
    for sql in READS {
        let simple = pair.ask(&query(sql), sql);
        if simple.iter().any(|frame| frame.kind == b'E') {
            pair.differences.push(format!("not valid: {sql}: {simple:?}"));
        }
        pair.ask(&extended(sql), sql);
        let named = [parse("drop", sql), bind("delete", "drop", &[]), execute("delete")];
        let closed = common::wire::frame(b'C', b"Sdrop\0");
        pair.ask(&[named.concat(), closed, sync()].concat(), sql);
    }
    pair.same();
    assert_eq!(refused(&firewall), 0.0);
}

#[test]
fn values_that_look_like_sql_pass_under_read_only() {
    let cluster = shop();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("read-only.yaml"));
    let mut pair = Pair::new(&cluster, &firewall, "app_ro");
    for value in ["'; DROP TABLE orders; --", "1 OR 1=1", "x' UNION SELECT 1", "pg_sleep(10)", "/*", "\\", "$$"] {
        let sql = "SELECT $1::text, count(*) FROM products WHERE name = $1";
        let bytes = [parse("", sql), bind("", "", &[value]), describe(b'P', ""), execute(""), sync()].concat();
        let answer = pair.ask(&bytes, value);
        let row = answer.iter().find(|frame| frame.kind == b'D').unwrap().row();
        assert_eq!(row, [Some(value.to_owned()), Some("0".to_owned())]);
    }
    pair.same();
    assert_eq!(refused(&firewall), 0.0);
}

#[test]
fn sessions_with_odd_names_pass_under_read_only() {
    let cluster = shop();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("read-only.yaml"));
    for texts in SESSIONS {
        let mut pair = Pair::new(&cluster, &firewall, "app_ro");
        for sql in *texts {
            pair.ask(&query(sql), sql);
        }
        pair.same();
        let mut pair = Pair::new(&cluster, &firewall, "app_ro");
        for sql in texts.iter().filter(|sql| !sql.contains("; ")) {
            pair.ask(&extended(sql), sql);
        }
        pair.same();
    }
    assert_eq!(refused(&firewall), 0.0);
}

#[test]
fn functions_with_dangerous_names_pass_with_a_rule_for_them() {
    let cluster = shop();
    let shipped = firewall::Options::shipped("read-only.yaml");
    let (file, yaml) = shipped.policies[0].clone();
    let rule = "allow:\n  - {rule: own-functions, actions: [call], functions: [\"public.*\"]}\n";
    let added = yaml.replacen("allow:\n", rule, 1);
    let without = Firewall::start(&cluster, shipped);
    let with = Firewall::start(&cluster, firewall::Options { policies: vec![(file, added)], ..Default::default() });
    let mut pair = Pair::new(&cluster, &with, "app_ro");
    let mut refusing = without.session("app_ro", "shop");
    for sql in CALLS {
        let answer = pair.ask(&query(sql), sql);
        assert!(!answer.iter().any(|frame| frame.kind == b'E'), "{sql}: {answer:?}");
        pair.ask(&extended(sql), sql);
        // An operator without a schema may be a built-in; the others say what they call.
        if !sql.contains(" === ") {
            assert_eq!(error(&refusing.ask(&query(sql))).field('C'), "42501", "{sql}");
        }
    }
    pair.same();
    assert_eq!(refused(&with), 0.0);
}

#[test]
fn writes_pass_under_application() {
    let cluster = shop();
    let firewall = Firewall::start(&cluster, firewall::Options::shipped("application.yaml"));
    // One after the other: the two sides would wait for each other's row locks.
    let mut direct = Client::login(cluster.port(), &[("user", "app_rw"), ("database", "shop")]);
    let mut through = firewall.session("app_rw", "shop");
    let mut differences = Vec::new();
    for sql in WRITES {
        for bytes in [query(sql), extended(sql)] {
            let [expected, found] = [&mut direct, &mut through].map(|client| {
                client.ask(&query("BEGIN"));
                let answer = client.ask(&bytes);
                client.ask(&query("ROLLBACK"));
                answer
            });
            let failed = expected.iter().any(|frame| frame.kind == b'E');
            if failed || found != expected {
                differences.push(format!("{sql}\n    direct {expected:?}\n    through {found:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_eq!(refused(&firewall), 0.0);
}
