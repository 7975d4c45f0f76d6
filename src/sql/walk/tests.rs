//! The walk, statement by statement.

use crate::sql::{Access, Facts, NameUse, Object, Operand, Reading, SettingValue, Statement, Unparsed, analyse};

fn on_big_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(crate::sql::STACK).spawn(work).expect("a thread");
    thread.join().expect("no panic")
}

fn facts(text: &str) -> Facts {
    analyse(text, Reading::default()).unwrap_or_else(|e| panic!("{text}: {e}")).facts
}

pub(super) fn statement(text: &str) -> Statement {
    let mut statements = facts(text).statements;
    assert_eq!(statements.len(), 1, "{text}");
    statements.remove(0)
}

/// `select s.t(a,b)`, `delete t(*) !where`, `set x=1`.
pub(super) fn word(access: &Access) -> String {
    let mut text = format!("{} {}", access.action, access.object).trim_end().to_owned();
    if let Object::Setting { value, .. } = &access.object {
        text += &match value {
            SettingValue::List(operands) => format!("={}", operands.iter().map(operand).collect::<Vec<_>>().join("|")),
            SettingValue::Default => "=default".to_owned(),
            SettingValue::Unknown => "=?".to_owned(),
        };
    }
    if matches!(access.object, Object::Function { builtin: true, .. }) {
        text += "[b]";
    }
    text
}

fn operand(operand: &Operand) -> String {
    match operand {
        Operand::Constant(text) => text.to_string(),
        Operand::Parameter(n) => format!("${n}"),
        Operand::Unknown => "?".to_owned(),
    }
}

pub(super) fn accesses(text: &str) -> Vec<String> {
    facts(text).statements.iter().flat_map(|s| &s.accesses).map(word).collect()
}

/// `relation: columns` of the first access whose words begin so.
pub(super) fn columns(text: &str, access: &str) -> String {
    let statement = statement(text);
    let found = statement.accesses.iter().find(|a| word(a) == access).unwrap_or_else(|| panic!("{text}: no {access}"));
    let mut names: Vec<&str> = found.columns.named.iter().map(|c| &**c).collect();
    if found.columns.all {
        names.insert(0, "*");
    }
    names.join(",")
}

fn where_missing(text: &str) -> bool {
    statement(text).accesses.iter().any(|a| a.where_missing)
}

#[track_caller]
pub(super) fn table(rows: &[(&str, &[&str])]) {
    for (text, expected) in rows {
        assert_eq!(accesses(text), *expected, "{text}");
    }
}

#[test]
fn queries() {
    table(&[
        ("", &[]),
        ("SELECT 1", &[]),
        ("SELECT a FROM t", &["select t"]),
        ("TABLE s.t", &["select s.t"]),
        ("SELECT * FROM shop.public.users", &["select shop.public.users"]),
        ("SELECT * FROM U&\"\\0075sers\", PG_USER, \"Users\"", &["select users", "select pg_user", "select Users"]),
        (
            "SELECT * FROM a, b JOIN c ON true WHERE x IN (SELECT y FROM d)",
            &["select a", "select b", "select c", "select d"],
        ),
        ("INSERT INTO t SELECT * FROM u", &["insert t", "select u"]),
        ("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", &["insert t"]),
        ("INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1", &["insert t", "update t"]),
        ("UPDATE t SET a = 1 FROM u WHERE t.id = u.id", &["update t", "select u"]),
        ("UPDATE t SET a = (SELECT b FROM u) WHERE id = 1", &["update t", "select u"]),
        ("DELETE FROM t USING u", &["delete t", "select u"]),
        (
            "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED AND s.x THEN DELETE WHEN MATCHED THEN UPDATE SET a = 1 \
             WHEN NOT MATCHED THEN INSERT VALUES (1)",
            &["select t", "delete t", "update t", "insert t", "select s"],
        ),
        ("WITH d AS (DELETE FROM users RETURNING *) SELECT * FROM d", &["delete users", "select users"]),
        ("SELECT * INTO stolen FROM users", &["create:table stolen", "select users"]),
        ("CREATE TEMP TABLE x AS TABLE users", &["create:table pg_temp.x", "select users"]),
        ("CREATE MATERIALIZED VIEW m AS SELECT * FROM t", &["create:materialized_view m", "select t"]),
        ("SELECT * FROM t FOR UPDATE", &["select_for_update t", "select t"]),
        ("SELECT * FROM t, u FOR SHARE OF u", &["select t", "select_for_update u", "select u"]),
        ("SELECT * FROM (SELECT * FROM t) s FOR UPDATE", &["select_for_update t", "select t"]),
        ("SELECT * FROM t FOR UPDATE OF x", &["select t"]),
        ("SELECT * FROM t TABLESAMPLE system(1)", &["select t"]),
        ("SELECT * FROM t WHERE a = (SELECT max(b) FROM t)", &["select t", "select t", "call max[b]"]),
    ]);
}

#[test]
fn ctes_hide_tables_as_the_server_says() {
    table(&[
        ("WITH t AS (SELECT 1) SELECT * FROM t", &[]),
        ("WITH t AS (SELECT 1) SELECT * FROM public.t", &["select public.t"]),
        ("WITH t AS (SELECT * FROM t) SELECT * FROM t", &["select t"]),
        ("WITH RECURSIVE t AS (SELECT * FROM t) SELECT * FROM t", &[]),
        ("WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT 1", &["select b"]),
        ("WITH RECURSIVE a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a", &[]),
        ("SELECT * FROM (WITH t AS (SELECT 1) SELECT * FROM t) x, t", &["select t"]),
        ("WITH t AS (SELECT 1) DELETE FROM t WHERE a IN (SELECT * FROM t)", &["delete t"]),
        ("WITH t AS (SELECT 1) INSERT INTO t SELECT * FROM t", &["insert t"]),
        ("WITH x AS (SELECT 1) (WITH y AS (TABLE x) TABLE y) UNION TABLE y", &["select y"]),
    ]);
}

#[test]
fn functions_by_class() {
    table(&[
        ("SELECT lower('x'), pg_catalog.lower('x')", &["call lower[b]", "call pg_catalog.lower[b]"]),
        ("SELECT evil.lower('x'), mine()", &["call evil.lower", "call mine"]),
        ("SELECT pg_read_file('/etc/passwd')", &["file_function pg_read_file[b]"]),
        ("SELECT nextval('s'), nextval('a.\"B\"'::regclass)", &["nextval s", "nextval a.B"]),
        ("SELECT nextval(x), nextval('16384'::regclass)", &["nextval nextval[b]"]),
        ("SELECT pg_sleep(1)", &["sleep pg_sleep[b]"]),
        ("SELECT pg_terminate_backend(1)", &["signal_backend pg_terminate_backend[b]"]),
        ("SELECT pg_advisory_lock(1)", &["advisory_lock pg_advisory_lock[b]"]),
        ("SELECT lo_create(0)", &["large_object lo_create[b]"]),
        ("SELECT pg_notify('ch', 'x')", &["notify ch"]),
        ("SELECT pg_notify($1, 'x')", &["notify pg_notify[b]"]),
        ("SELECT * FROM dblink('a', 'b') AS t(x int), s.dblink_exec('x')", &["dblink dblink", "dblink s.dblink_exec"]),
        ("SELECT a OPERATOR(evil.+) b, a OPERATOR(pg_catalog.+) b", &["call evil.+"]),
        ("SELECT a FROM t ORDER BY a USING OPERATOR(evil.<)", &["select t", "call evil.<"]),
        ("SELECT u::evil.t2, 'x'::pg_catalog.int4, 'x'::text, 1::mine", &["call:type evil.t2"]),
        ("CREATE TABLE t (a evil.dom)", &["create:table t", "call:type evil.dom"]),
        ("SELECT u.row_to_json FROM users u", &["select users", "call row_to_json[b]"]),
        ("SELECT (u).json_agg FROM users u", &["select users", "call json_agg[b]"]),
        ("CALL s.p(1)", &["call s.p"]),
    ]);
}

#[test]
fn sql_in_strings_is_sql() {
    table(&[
        ("SELECT query_to_xml('select ssn from users', true, false, '')", &["call query_to_xml[b]", "select users"]),
        (
            "SELECT query_to_xml($1, true, false, '')",
            &["call query_to_xml[b]", "unknown what query_to_xml reads or runs"],
        ),
        (
            "SELECT query_to_xml('sel' || 'ect 1', true, false, '')",
            &["call query_to_xml[b]", "unknown what query_to_xml reads or runs"],
        ),
        ("SELECT table_to_xml('s.users', true, false, '')", &["call table_to_xml[b]", "select s.users"]),
        ("SELECT * FROM ts_stat('delete from t')", &["call ts_stat[b]", "delete t"]),
        (
            "SELECT database_to_xml(true, false, '')",
            &["call database_to_xml[b]", "unknown what database_to_xml reads or runs"],
        ),
    ]);
}

#[test]
fn types_in_strings_are_types() {
    for (text, expected) in [
        ("SELECT pg_input_is_valid('1', 'numeric(4, 2)')", &["call pg_input_is_valid[b]"][..]),
        ("SELECT pg_input_is_valid('1', 'd')", &["call pg_input_is_valid[b]"]),
        ("SELECT pg_input_is_valid('1', 's.d[]')", &["call pg_input_is_valid[b]", "call:type s.d"]),
        ("SELECT * FROM pg_input_error_info('1', '\"S\".d')", &["call pg_input_error_info[b]", "call:type S.d"]),
        ("SELECT domain_in('1', 's.d'::regtype, -1)", &["call domain_in[b]", "call:type s.d"]),
        ("SELECT array_in('{1}', 23, -1)", &["call array_in[b]"]),
        ("SELECT array_in('{1}', 16385, -1)", &["call array_in[b]", "unknown what array_in reads or runs"]),
        (
            "SELECT pg_input_is_valid('1', $1)",
            &["call pg_input_is_valid[b]", "unknown what pg_input_is_valid reads or runs"],
        ),
        (
            "SELECT domain_in('1', oid, 0) FROM pg_type",
            &["call domain_in[b]", "select pg_type", "unknown what domain_in reads or runs"],
        ),
    ] {
        let mut found = accesses(text);
        found.sort();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn settings_by_every_path() {
    table(&[
        ("SET search_path = a, \"B\"", &["set search_path=a|B"]),
        ("SET Search_Path TO DEFAULT", &["reset search_path=default"]),
        ("RESET work_mem", &["reset work_mem=default"]),
        ("RESET ALL", &["reset"]),
        ("SET TIME ZONE 'UTC'", &["set timezone=UTC"]),
        ("SET NAMES 'latin1'", &["set client_encoding=latin1"]),
        ("SET LOCAL app.tenant = 'x'", &["set app.tenant=x"]),
        ("SHOW server_version", &["show server_version=?"]),
        ("SET ROLE boss", &["set_role boss"]),
        ("SET ROLE NONE", &["set_role none"]),
        ("SET ROLE \"NONE\"", &["set_role NONE"]),
        ("SET role = 'boss'", &["set_role boss"]),
        ("RESET ROLE", &["set_role none"]),
        ("SET SESSION AUTHORIZATION boss", &["set_role boss"]),
        ("SET SESSION AUTHORIZATION DEFAULT", &["set_role none"]),
        ("SELECT set_config('role', 'boss', false)", &["set_role boss"]),
        ("SELECT set_config('ROLE', $1, false)", &["set role=$1"]),
        ("SELECT set_config(setting_name => 'role', new_value => 'boss', is_local => false)", &["set_role boss"]),
        ("SELECT set_config(is_local => false, new_value => 'b', setting_name => 'a.x')", &["set a.x=b"]),
        ("SELECT set_config($1, $2, true)", &["set $1=$2"]),
        ("SELECT set_config('a' || 'b', 'c', true)", &["set ?=c"]),
        ("SELECT set_config('rolexx'::varchar(4), 'boss', true)", &["set ?=boss"]),
        ("SELECT set_config('search_path', 'a, \"B,c\"', true)", &["set search_path=a|\"B,c\""]),
        ("SELECT pg_catalog.set_config('search_path', '', false)", &["set search_path="]),
        ("SELECT set_config('a.b', f(), true)", &["set a.b=?", "call f"]),
        (
            "SELECT pg_catalog.set_config(name, 'view', false) FROM pg_catalog.pg_settings WHERE name = 'x'",
            &["select pg_catalog.pg_settings", "set x=view"],
        ),
        (
            "SELECT set_config(name, 'view', false) FROM pg_settings WHERE name = 'x' OR true",
            &["select pg_settings", "set ?=view"],
        ),
        (
            "WITH pg_settings AS (SELECT 'role' AS name) SELECT set_config(name, 'b', false) FROM pg_settings WHERE name = 'x'",
            &["set ?=b"],
        ),
        ("ALTER SYSTEM SET archive_command = 'x'", &["alter_system archive_command=x"]),
        ("ALTER SYSTEM RESET ALL", &["alter_system"]),
        ("ALTER ROLE app SET search_path = evil", &["role app", "set search_path=evil"]),
        ("ALTER DATABASE d SET role = 'boss'", &["alter:database d", "set_role boss"]),
        ("ALTER FUNCTION f() SET search_path = evil", &["alter:function f", "set search_path=evil"]),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE c SET row_security = off AS 'x'",
            &["create:function f", "create_function f", "set row_security=off", "unknown a body in language c"],
        ),
    ]);
}

#[test]
fn transactions() {
    table(&[
        ("BEGIN", &["begin"]),
        ("BEGIN READ WRITE", &["begin", "set transaction_read_only=off"]),
        (
            "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, NOT DEFERRABLE",
            &[
                "begin",
                "set transaction_isolation=serializable",
                "set transaction_read_only=on",
                "set transaction_deferrable=off",
            ],
        ),
        ("SET TRANSACTION READ WRITE", &["transaction_mode", "set transaction_read_only=off"]),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            &["transaction_mode", "set default_transaction_read_only=off"],
        ),
        ("SET TRANSACTION SNAPSHOT 'x'", &["transaction_mode"]),
        ("COMMIT", &["commit"]),
        ("ROLLBACK", &["rollback"]),
        ("SAVEPOINT a; ROLLBACK TO a; RELEASE a", &["savepoint", "savepoint", "savepoint"]),
        (
            "PREPARE TRANSACTION 'x'; COMMIT PREPARED 'x'; ROLLBACK PREPARED 'x'",
            &["two_phase", "two_phase", "two_phase"],
        ),
        ("SET CONSTRAINTS ALL DEFERRED", &["transaction_mode"]),
    ]);
}

#[test]
fn copy_lock_and_explain() {
    table(&[
        ("COPY t TO STDOUT", &["select t", "copy_to t"]),
        ("COPY t (a) FROM STDIN", &["insert t", "copy_from t"]),
        ("COPY (SELECT * FROM t, u) TO STDOUT", &["select t", "select u", "copy_to t", "copy_to u"]),
        ("COPY (DELETE FROM t RETURNING *) TO STDOUT", &["delete t", "select t", "copy_to t"]),
        ("COPY t TO '/tmp/x'", &["copy_file /tmp/x", "select t", "copy_to t"]),
        ("COPY t FROM PROGRAM 'sh'", &["copy_program sh", "insert t", "copy_from t"]),
        ("LOCK TABLE t IN ACCESS SHARE MODE", &["select t"]),
        ("LOCK t, u", &["lock_table t", "lock_table u"]),
        ("EXPLAIN DELETE FROM t WHERE f()", &["select t", "call f"]),
        ("EXPLAIN ANALYZE DELETE FROM t", &["delete t"]),
        ("EXPLAIN (ANALYZE false, ANALYZE true) DELETE FROM t", &["delete t"]),
        ("EXPLAIN (ANALYZE true, ANALYZE OFF) DELETE FROM t", &["select t"]),
        ("EXPLAIN (ANALYZE 0) DELETE FROM t", &["select t"]),
        ("EXPLAIN (ANALYZE 1) DELETE FROM t", &["delete t"]),
        ("EXPLAIN (ANALYZE x) DELETE FROM t", &["delete t"]),
        ("EXPLAIN CREATE TABLE x AS TABLE t", &["select t"]),
        ("EXPLAIN ANALYZE CREATE TABLE x AS TABLE t", &["create:table x", "select t"]),
    ]);
}

#[test]
fn definitions() {
    table(&[
        ("CREATE TABLE t (a int)", &["create:table t"]),
        ("CREATE TEMP TABLE t (a int)", &["create:table pg_temp.t"]),
        ("CREATE TEMP VIEW v AS SELECT 1", &["create:view pg_temp.v"]),
        ("CREATE TABLE pg_temp.t (a int)", &["create:table pg_temp.t"]),
        ("CREATE TABLE t (a int REFERENCES u (id))", &["create:table t", "select u"]),
        ("CREATE TABLE t (LIKE u) INHERITS (p)", &["create:table t", "alter:add_inherit p", "select u"]),
        ("CREATE TABLE t PARTITION OF p DEFAULT", &["create:table t", "alter:attach_partition p"]),
        ("CREATE INDEX CONCURRENTLY i ON s.t (a)", &["create:index s.t"]),
        ("CREATE VIEW v AS SELECT * FROM t", &["create:view v", "select t", "insert t", "update t", "delete t"]),
        ("CREATE VIEW v AS SELECT count(*) FROM t", &["create:view v", "select t", "call count[b]"]),
        ("CREATE VIEW v AS SELECT t.a FROM t, u", &["create:view v", "select t", "select u"]),
        ("CREATE SEQUENCE s", &["create:sequence s"]),
        (
            "CREATE SCHEMA s CREATE TABLE t (a int) CREATE VIEW v AS SELECT 1",
            &["create:schema s", "create:table s.t", "create:view s.v"],
        ),
        (
            "ALTER TABLE t ADD a int, DROP COLUMN b, DISABLE ROW LEVEL SECURITY",
            &["alter:add_column t", "alter:drop_column t", "alter:disable_row_security t", "policy t"],
        ),
        ("ALTER TABLE t ATTACH PARTITION p DEFAULT", &["alter:attach_partition t", "alter:attach_partition p"]),
        ("ALTER TABLE t INHERIT p", &["alter:add_inherit t", "alter:add_inherit p"]),
        ("ALTER TABLE t RENAME TO x", &["rename:table t", "rename:table x"]),
        ("ALTER TABLE t SET SCHEMA evil", &["alter:set_schema t", "alter:set_schema evil.t"]),
        ("ALTER TABLE t OWNER TO x", &["alter:owner t"]),
        ("ALTER FUNCTION s.f(int) OWNER TO x", &["alter:owner s.f"]),
        ("DROP TABLE a, s.b", &["drop:table a", "drop:table s.b"]),
        ("DROP FUNCTION s.f(int)", &["drop:function s.f"]),
        ("DROP TRIGGER x ON s.t", &["drop:trigger s.t"]),
        ("DROP SCHEMA s CASCADE", &["drop:schema s"]),
        ("DROP OWNED BY app CASCADE", &["drop:owned app", "role app"]),
        ("REASSIGN OWNED BY a TO b", &["alter:owned a", "role a", "role b"]),
        ("COMMENT ON COLUMN s.t.a IS 'x'", &["comment:column s.t"]),
        (
            "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            &["create:function s.f", "create_function s.f"],
        ),
        (
            "CREATE TRIGGER x AFTER INSERT ON t EXECUTE FUNCTION s.f()",
            &["create:trigger t", "create_trigger t", "call s.f"],
        ),
        ("CREATE RULE r AS ON INSERT TO t DO ALSO DELETE FROM u", &["create:rule t", "create_rule t", "delete u"]),
        ("CREATE EXTENSION pgcrypto", &["create:extension pgcrypto", "create_extension pgcrypto"]),
        ("CREATE TYPE s.e AS ENUM ('a')", &["create:type s.e"]),
        ("CREATE DATABASE d", &["create:database d"]),
        ("DO $$ BEGIN END $$", &["do plpgsql"]),
        ("DO LANGUAGE plpython3u 'x'", &["do plpython3u", "unknown a body in language plpython3u"]),
        ("LOAD 'x.so'", &["load x.so"]),
        ("CREATE SERVER s FOREIGN DATA WRAPPER w", &["foreign_server s", "create:server s"]),
        ("DROP SERVER s", &["foreign_server s", "drop:server s"]),
        ("CREATE FOREIGN TABLE t (a int) SERVER s", &["foreign_server s", "create:foreign_table t"]),
        ("IMPORT FOREIGN SCHEMA r FROM SERVER s INTO l", &["foreign_server s", "create:foreign_table l"]),
        ("CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p", &["subscription s", "create:subscription s"]),
        ("CREATE PUBLICATION p FOR TABLE t", &["subscription p", "create:publication p", "create:publication t"]),
    ]);
}

#[test]
fn what_postgresqls_own_suite_found() {
    // Each as a mutation of a statement of the regression suite showed it.
    let both = ["create:cast s.a", "create:cast t.b", "call t.f"];
    assert_eq!(accesses("CREATE CAST (s.a AS t.b) WITH FUNCTION t.f(s.a)"), both);
    let imported =
        ["foreign_server f", "create:foreign_table l", "create:foreign_table l.a", "create:foreign_table l.b"];
    assert_eq!(accesses("IMPORT FOREIGN SCHEMA r LIMIT TO (a, b) FROM SERVER f INTO l"), imported);
    assert_eq!(accesses("IMPORT FOREIGN SCHEMA r EXCEPT (a) FROM SERVER f INTO l"), imported[..2]);
    assert_eq!(accesses("CREATE TYPE t (input = array_in)"), ["create:type t", "call array_in[b]"]);
    assert_eq!(accesses("DROP CAST (s.a AS t.b)"), ["drop:cast s.a", "drop:cast t.b"]);
    assert!(statement("CREATE AGGREGATE a (int) (sfunc = f(g(), int), stype = int)").functions.contains("g"));
    assert!(statement("CREATE STATISTICS s ON (g()), b FROM (VALUES (1)) AS t").functions.contains("g"));
}

#[test]
fn roles_and_privileges() {
    table(&[
        ("GRANT SELECT ON t, u TO x", &["grant t", "grant u"]),
        ("REVOKE ALL ON ALL TABLES IN SCHEMA s FROM x", &["revoke s"]),
        ("GRANT boss TO app", &["grant boss"]),
        ("CREATE ROLE x; ALTER ROLE x SUPERUSER; DROP ROLE x", &["role x", "role x", "role x"]),
        ("ALTER ROLE ALL SET row_security = off", &["role ?", "set row_security=off"]),
        ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO x", &["grant table"]),
        ("CREATE POLICY p ON t USING (true)", &["policy t"]),
        ("DROP POLICY p ON s.t", &["policy s.t"]),
    ]);
}

#[test]
fn maintenance_and_channels() {
    table(&[
        ("VACUUM", &["vacuum"]),
        ("VACUUM (ANALYZE) t", &["vacuum t", "analyze t"]),
        ("ANALYZE t (a)", &["analyze t"]),
        ("REINDEX SCHEMA s", &["reindex s"]),
        ("CLUSTER t", &["cluster t"]),
        ("REFRESH MATERIALIZED VIEW m", &["refresh m"]),
        ("CHECKPOINT", &["checkpoint"]),
        ("TRUNCATE a, b", &["truncate a", "truncate b"]),
        ("LISTEN c; NOTIFY c, 'x'; UNLISTEN *", &["listen c", "notify c", "reset *"]),
        ("DISCARD ALL", &["discard"]),
    ]);
}

#[test]
fn names() {
    let names = |text: &str| statement(text).names;
    assert_eq!(names("PREPARE p AS DELETE FROM t"), [NameUse::Prepare("p".into())]);
    assert_eq!(accesses("PREPARE p AS DELETE FROM t"), ["delete t"]);
    assert_eq!(names("EXPLAIN ANALYZE EXECUTE p"), [NameUse::Execute("p".into())]);
    assert_eq!(names("DEALLOCATE p"), [NameUse::Deallocate(Some("p".into()))]);
    assert_eq!(names("DEALLOCATE ALL"), [NameUse::Deallocate(None)]);
    assert_eq!(names("DISCARD ALL"), [NameUse::CloseCursor(None), NameUse::Deallocate(None)]);
    let hold = NameUse::Declare { cursor: "c".into(), hold: true };
    assert_eq!(names("DECLARE c CURSOR WITH HOLD FOR SELECT 1"), [hold]);
    assert_eq!(names("DECLARE c CURSOR FOR SELECT 1"), [NameUse::Declare { cursor: "c".into(), hold: false }]);
    assert_eq!(names("MOVE c"), [NameUse::Fetch("c".into())]);
    assert_eq!(names("CLOSE ALL"), [NameUse::CloseCursor(None)]);
}

#[test]
fn columns_with_only_the_text() {
    for (text, access, expected) in [
        ("SELECT a, u.b FROM u WHERE c > 1 ORDER BY d", "select u", "a,b,c,d"),
        ("SELECT u.a, x FROM t, u", "select t", "x"),
        ("SELECT u.a, x FROM t, u", "select u", "a,x"),
        ("SELECT * FROM u", "select u", "*"),
        ("SELECT count(*) FROM u", "select u", ""),
        ("SELECT u.* FROM t, u", "select t", ""),
        ("SELECT u.* FROM t, u", "select u", "*"),
        ("SELECT public.u.a FROM u", "select u", "a"),
        ("SELECT public.u.* FROM public.u", "select public.u", "*"),
        ("SELECT u FROM users u", "select users", "*,u"),
        ("SELECT (u).* FROM users u", "select users", "*,u"),
        ("SELECT (u).ssn FROM users u", "select users", "*,ssn,u"),
        ("SELECT u::text FROM users u", "select users", "*,u"),
        ("SELECT u.row_to_json FROM users u", "select users", "*"),
        ("SELECT c FROM users AS u(a, b, c)", "select users", "*,c"),
        ("SELECT 1 FROM users NATURAL JOIN t", "select users", "*"),
        ("SELECT 1 FROM users JOIN t USING (id)", "select users", "id"),
        ("SELECT j.x FROM (users JOIN t ON true) AS j", "select users", "x"),
        ("SELECT j.x FROM (users JOIN t ON true) AS j(x, y)", "select t", "*,x"),
        ("SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM u WHERE t.a = u.b AND c = 1)", "select t", "a,c"),
        ("SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM u WHERE t.a = u.b AND c = 1)", "select u", "b,c"),
        ("WITH q(a) AS (TABLE users) SELECT a FROM q", "select users", "*"),
        ("SELECT x FROM t, (SELECT y FROM u) s", "select t", "x"),
        ("INSERT INTO t VALUES (1)", "insert t", "*"),
        ("INSERT INTO t (a, b) VALUES (1, 2) RETURNING c", "insert t", "a,b,c"),
        ("INSERT INTO t (a) VALUES (1) RETURNING *", "insert t", "*,a"),
        ("INSERT INTO t (a) VALUES (1) ON CONFLICT (k) DO UPDATE SET n = excluded.s", "update t", "k,n,s"),
        ("UPDATE t SET pub = users.ssn FROM users", "select users", "ssn"),
        ("UPDATE t SET pub = users.ssn FROM users", "update t", "pub"),
        ("DELETE FROM t x WHERE x.a = 1 RETURNING old.b", "delete t", "a,b"),
        ("MERGE INTO t USING s ON t.a = s.b WHEN MATCHED THEN UPDATE SET c = s.d", "update t", "a,c"),
        ("COPY t TO STDOUT", "copy_to t", "*"),
        ("COPY t (a, b) TO STDOUT", "select t", "a,b"),
        ("COPY (SELECT a FROM t) TO STDOUT", "copy_to t", "a"),
        ("CREATE INDEX ON t (a, lower(b)) WHERE c", "create:index t", "a,b,c"),
        ("ALTER TABLE t DROP COLUMN ssn", "alter:drop_column t", "ssn"),
        ("ALTER TABLE t RENAME COLUMN ssn TO x", "rename:column t", "ssn,x"),
        ("GRANT SELECT (a) ON t TO x", "grant t", "a"),
        // Inside, another relation has the name, or a join's alias hides it: the outer one is meant.
        ("SELECT (SELECT public.u.ssn FROM t u) FROM u", "select u", "ssn"),
        ("SELECT (SELECT public.u.ssn FROM (SELECT 1) u) FROM public.u", "select public.u", "ssn"),
        ("SELECT (SELECT public.u.* FROM f() u) FROM public.u", "select public.u", "*"),
        ("SELECT (SELECT u.ssn FROM (t u CROSS JOIN v) j) FROM u", "select u", "ssn"),
        ("SELECT (SELECT u FROM (t u CROSS JOIN v) j) FROM u", "select u", "*,u"),
        ("SELECT (SELECT u.ssn FROM t u) FROM u", "select u", ""),
        // Out of reach of rules that name it.
        ("ALTER TABLE t RENAME TO x", "rename:table t", "*"),
        ("ALTER TABLE t SET SCHEMA x", "alter:set_schema t", "*"),
        ("ALTER TABLE t INHERIT x", "alter:add_inherit t", "*"),
        ("ALTER TABLE x ATTACH PARTITION t DEFAULT", "alter:attach_partition t", "*"),
    ] {
        assert_eq!(columns(text, access), expected, "{text}");
    }
}

#[test]
fn where_that_restricts_nothing_is_missing() {
    for condition in [
        "true",
        "1=1",
        "id=id",
        "id >= id",
        "t.id = id",
        "id IS NOT NULL",
        "ctid IS NOT NULL",
        "NOT false",
        "NULL IS NOT TRUE",
        "NOT EXISTS (SELECT 1 WHERE false)",
        "id NOT IN (SELECT id FROM t WHERE false)",
        "(1 = 0) IS FALSE",
        "coalesce(NULL, true)",
        "CASE WHEN false THEN false ELSE true END",
        "NOT (1 = 0)",
        "NOT (id IS NULL)",
        "EXISTS (SELECT 1)",
        "EXISTS (SELECT 1 FROM u)",
        "random() <= 1",
        "$1",
        "$1 = $2",
        "'a' = 'a'",
        "id = 1 OR true",
        "id = 1 OR 1 = 1",
        "NOT (id = 1 AND false)",
        "id = id + 0",
        "id IN (id)",
        "id IN (SELECT id)",
        "id IN (SELECT id FROM t)",
        "(id, a) = (id, a)",
        "id BETWEEN id AND id",
        "(1=1) IS TRUE",
        "now() > '2000-01-01'",
        "1 IN (SELECT 1)",
        "u.x = 1",
        "(SELECT true)",
        "id = id AND true",
    ] {
        for text in [format!("DELETE FROM t WHERE {condition}"), format!("UPDATE t SET a = 1 WHERE {condition}")] {
            assert!(where_missing(&text), "{text}");
        }
    }
    for condition in [
        "false",
        "1 = 0",
        "NOT true",
        "NULL",
        "id = 1 OR 1 = 0",
        "id = 1",
        "id = $1",
        "active",
        "NOT active",
        "deleted_at IS NULL",
        "id IN (1, 2)",
        "id = 1 AND true",
        "id = 1 OR name = 'x'",
        "NOT (id = 1)",
        "NOT (id = 1 OR true)",
        "a = b",
        "id = ANY ($1)",
        "name LIKE 'x%'",
        "id IN (SELECT t_id FROM u)",
        "id IN (SELECT id FROM t LIMIT 10)",
        "id IN (SELECT id FROM t WHERE a = 1)",
        "EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id)",
        "id BETWEEN 1 AND 2",
        "active IS TRUE",
        "lower(name) = 'x'",
        "CURRENT OF c",
        "(a, b) = (1, 2)",
        "id = (SELECT max(id) FROM t)",
        "id IS DISTINCT FROM 1",
        "id::text = '1'",
    ] {
        for text in [format!("DELETE FROM t WHERE {condition}"), format!("UPDATE t SET a = 1 WHERE {condition}")] {
            let own = statement(&text).accesses.remove(0);
            assert!(!own.where_missing, "{text}");
        }
    }
    assert!(where_missing("DELETE FROM users USING (SELECT 1) x"));
    assert!(where_missing("DELETE FROM t USING u WHERE u.id = 1"));
    assert!(where_missing("DELETE FROM t AS x WHERE t.id = 1"));
    assert!(where_missing("SELECT * FROM t"));
    assert!(!where_missing("SELECT * FROM t WHERE id = 1"));
    assert!(where_missing("MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE"));
    let by_source = "MERGE INTO t USING s ON t.id = s.id WHEN NOT MATCHED BY SOURCE THEN DELETE";
    assert!(statement(by_source).accesses.iter().any(|a| word(a) == "delete t" && a.where_missing));
}

#[test]
fn a_pools_release_batch_does_not_count() {
    let set = |text: &str| facts(text).statements.iter().all(|s| s.default_set);
    assert!(set("SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;"));
    assert!(set("RESET ROLE; DISCARD ALL; DEALLOCATE ALL; SET search_path TO DEFAULT"));
    assert!(set("SET DateStyle = ISO; SET LOCAL statement_timeout = '5s'; SET TIME ZONE 'UTC'"));
    // pgAdmin's first text, and pg_dump's way to set what the server may not know.
    assert!(set("SET DateStyle=ISO; SELECT set_config('bytea_output','hex',false) FROM pg_show_all_settings() \
                 WHERE name = 'bytea_output'; SET client_encoding='UTF8';"));
    assert!(set("SELECT pg_catalog.set_config('TimeZone', 'UTC', true)"));
    assert!(set("SELECT set_config('jit', 'off', false) FROM pg_catalog.pg_settings WHERE name = 'jit'"));
    for text in [
        "SELECT 1",
        "SET search_path = x",
        "SET ROLE x",
        "CLOSE c",
        "SELECT pg_advisory_unlock_all() FROM t",
        "SELECT pg_advisory_unlock_all() ORDER BY (SELECT 1 FROM t)",
        "SELECT pg_advisory_unlock_all() LIMIT (SELECT 1 FROM t)",
        "SELECT set_config('search_path', '', false)",
        "SELECT set_config('jit', note, false) FROM t",
        "SELECT set_config('jit', 'off', false) FROM t WHERE name = 'jit'",
        "SELECT set_config('jit', 'off', false) FROM public.pg_settings WHERE name = 'jit'",
        "SELECT set_config('jit', 'off', false) FROM pg_settings WHERE name = (SELECT note FROM t)",
        "SELECT set_config('jit', 'off', false) FROM pg_settings WHERE EXISTS (SELECT 1 FROM t)",
        "SELECT set_config('jit', (SELECT note FROM t), false)",
        "SELECT set_config('jit', 'off', false) HAVING (SELECT true FROM t)",
        "SELECT set_config('jit', 'off', false), note FROM t",
        "SELECT set_config('jit', 'off', false) FROM pg_settings, t WHERE name = 'jit'",
        "SELECT x.set_config('jit', 'off', false)",
    ] {
        assert!(!set(text), "{text}");
    }
}

#[test]
fn lists_of_names_as_written() {
    let s = statement("WITH c AS (SELECT 1) INSERT INTO s.T SELECT pg_catalog.Lower(x), f($3) FROM \"U\", c");
    assert_eq!(s.relations_read.into_iter().collect::<Vec<_>>(), ["U"]);
    assert_eq!(s.relations_written.into_iter().collect::<Vec<_>>(), ["s.t"]);
    assert_eq!(s.functions.into_iter().collect::<Vec<_>>(), ["f", "pg_catalog.lower"]);
    assert_eq!(s.parameters, 3);
}

#[test]
fn long_names_are_cut_as_the_server_does() {
    let long = format!("{}ZZZ", "a".repeat(63));
    let cut = vec![format!("select {}", "a".repeat(63))];
    assert_eq!(accesses(&format!("SELECT 1 FROM {long}")), cut);
    assert_eq!(accesses(&format!("SELECT 1 FROM \"{long}\"")), cut);
    assert_eq!(accesses(&format!("SELECT 1 FROM U&\"{long}\"")), cut);
    assert_eq!(accesses(&format!("SELECT nextval('{long}')")), [format!("nextval {}", "a".repeat(63))]);
    // Cut at a character's boundary.
    let wide = format!("{}é", "a".repeat(62));
    assert_eq!(accesses(&format!("SELECT 1 FROM \"{wide}\"")), [format!("select {}", "a".repeat(62))]);
}

#[test]
fn identifiers_in_another_server_encoding() {
    let unknown = |text: &str| {
        let facts = analyse(text, Reading { server_utf8: false, ..Reading::default() }).expect("it parses").facts;
        facts.statements.iter().flat_map(|s| &s.accesses).any(|a| word(a).starts_with("unknown"))
    };
    assert!(unknown("SELECT 1 FROM GEHÄLTER"));
    assert!(unknown(&format!("SELECT 1 FROM \"{}\"", "ä".repeat(32))));
    assert!(!unknown("SELECT 1 FROM \"Gehälter\" WHERE a = 'ä'"));
    assert!(!unknown("SELECT 1 FROM t"));
}

#[test]
fn long_chains_and_deep_nesting() {
    on_big_stack(|| {
        for text in [
            format!("SELECT 'a'{}", "||'a'".repeat(1_000)),
            format!("SELECT 1{}", "+1".repeat(4_000)),
            format!("SELECT {}1{}", "(SELECT ".repeat(1_000), ")".repeat(1_000)),
            format!("SELECT 1 WHERE {}true{}", "NOT (".repeat(1_000), ")".repeat(1_000)),
            format!("SELECT * FROM t0 {}", (1..1_000).map(|i| format!("JOIN t{i} ON true ")).collect::<String>()),
            format!("SELECT 1 {}", "UNION SELECT 1 ".repeat(1_000)),
        ] {
            facts(&text);
        }
    });
}

#[test]
fn too_deep_is_a_clean_error() {
    on_big_stack(|| {
        for text in [
            format!("SELECT 1{}", "+1".repeat(500_000)),
            format!("SELECT {}1{}", "(".repeat(400_000), ")".repeat(400_000)),
            format!("SELECT {}1{}", "f(".repeat(100_000), ")".repeat(100_000)),
            format!("SELECT 1 {}", "UNION SELECT 1 ".repeat(60_000)),
        ] {
            let refused = analyse(&text, Reading::default()).map(|a| a.facts);
            assert!(matches!(refused, Err(Unparsed::TooDeep | Unparsed::Syntax { .. })), "{refused:?}");
        }
    });
}

#[test]
fn names_that_cost_too_much_are_unknown() {
    on_big_stack(|| {
        let from: String = (0..10_000).map(|i| format!("t{i},")).collect();
        let list: String = (0..10_000).map(|i| format!("c{i},")).collect();
        let text = format!("SELECT {list} 1 FROM {from} t");
        assert!(accesses(&text).contains(&"unknown too many names to tell whose columns they are".to_owned()));
    });
}
