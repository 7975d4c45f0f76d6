//! Ways past the walk that were found by attacking it, each confirmed on a server (15).

use super::tests::{accesses, columns, statement, table, word};
use crate::sql::{ActionName, Reading, analyse};

#[test]
fn a_name_hidden_by_a_sibling_that_is_not_in_sight_is_the_outer_one() {
    // The server resolves `u` to `users u` in each.
    for text in [
        "SELECT (SELECT x.s FROM products u, (SELECT u.ssn AS s) x) FROM users u",
        "SELECT (SELECT x.s FROM products u, (WITH c AS (SELECT u.ssn AS s) SELECT s FROM c) x) FROM users u",
        "SELECT 1 FROM users u WHERE EXISTS (SELECT 1 FROM products u, (products a JOIN products b ON u.ssn = 'x'))",
        "SELECT 1 FROM users u WHERE EXISTS (SELECT 1 FROM products u, products a JOIN products b ON EXISTS (SELECT u.ssn))",
        "SELECT (SELECT 1 FROM products u, products p TABLESAMPLE bernoulli (length(u.ssn))) FROM users u",
    ] {
        assert!(columns(text, "select users").contains("ssn"), "{text}");
    }
    // A lateral one sees it, and so does all else.
    for text in [
        "SELECT (SELECT x.s FROM products u, LATERAL (SELECT u.ssn AS s) x) FROM users u",
        "SELECT (SELECT 1 FROM products u WHERE u.ssn = 'x') FROM users u",
    ] {
        assert_eq!(columns(text, "select users"), "", "{text}");
        assert_eq!(columns(text, "select products"), "ssn", "{text}");
    }
}

#[test]
fn a_lateral_sub_select_sees_its_siblings_under_for_update_too() {
    let text = "SELECT x.s FROM users, LATERAL (SELECT ssn AS s) x FOR UPDATE";
    assert_eq!(columns(text, "select users"), "ssn");
    let locked = "SELECT 1 FROM LATERAL (SELECT a FROM t, (SELECT 1 FROM u) i) x FOR UPDATE";
    table(&[(locked, &["select_for_update t", "select t", "select_for_update u", "select u"])]);
}

#[test]
fn a_text_made_of_an_oid_is_not_known() {
    table(&[
        ("SELECT set_config('16390'::regclass::text, 'x', false)", &["set ?=x"]),
        ("SELECT nextval('16390'::regclass::text::regclass)", &["nextval nextval[b]"]),
        ("SELECT table_to_xml('t'::regclass, true, false, '')", &["call table_to_xml[b]", "select t"]),
    ]);
}

#[test]
fn pg_catalog_has_no_procedures() {
    table(&[("CALL lower('x')", &["call lower"]), ("CALL pg_catalog.f(1)", &["call pg_catalog.f"])]);
}

#[test]
fn what_is_grammar_by_now_was_the_call_of_a_function() {
    table(&[
        ("SELECT json_value('a', 'b')", &["call json_value[b]"]),
        ("SELECT json_scalar('a'), merge_action()", &["call json_scalar[b]", "call merge_action[b]"]),
        ("SELECT json_serialize('a'), json('a')", &["call json_serialize[b]", "call json[b]"]),
        ("SELECT json_array('a')", &["call json_array[b]"]),
    ]);
}

#[test]
fn on_older_servers_it_still_is() {
    let of = |major| {
        let reading = Reading { server_major: major, ..Reading::default() };
        let facts = analyse("SELECT json_value('a', 'b'), json_array('c')", reading).expect("it parses").facts;
        facts.statements.iter().flat_map(|s| &s.accesses).map(word).collect::<Vec<_>>()
    };
    assert_eq!(of(15), ["call json_value", "call json_array"]);
    assert_eq!(of(16), ["call json_value", "call json_array[b]"]);
    assert_eq!(of(17), ["call json_value[b]", "call json_array[b]"]);
}

#[test]
fn a_parameter_that_is_written_twice_is_not_known() {
    table(&[
        ("SELECT set_config($1, $2, false)", &["set $1=$2"]),
        ("SELECT $1::bpchar IS NULL, set_config($1, $2, false)", &["set ?=$2"]),
        ("SELECT set_config('role', $1, false), $1::bpchar", &["set role=?"]),
    ]);
}

#[test]
fn a_string_is_one_schema_of_set_and_a_list_of_set_config() {
    table(&[
        ("SET search_path = 'public, pg_temp'", &["set search_path=\"public, pg_temp\""]),
        ("SET search_path = public, pg_temp", &["set search_path=public|pg_temp"]),
        ("SELECT set_config('search_path', 'public, pg_temp', false)", &["set search_path=public|pg_temp"]),
        ("SELECT set_config('search_path', '\"public, pg_temp\"', false)", &["set search_path=\"public, pg_temp\""]),
    ]);
}

#[test]
fn what_only_looks_like_an_aggregate_is_written_through() {
    for text in [
        "CREATE TEMP VIEW v AS SELECT id, sum(s) AS x FROM s",
        "CREATE TEMP VIEW v AS SELECT id FROM s WHERE id IN (SELECT id FROM s)",
        "CREATE VIEW v AS (TABLE s)",
    ] {
        assert!(accesses(text).contains(&"update s".to_owned()), "{text}: {:?}", accesses(text));
    }
    let text = "CREATE TEMP VIEW v AS SELECT id, name FROM users WHERE id IN (SELECT id FROM users)";
    assert_eq!(columns(text, "update users"), "id,name");
}

#[test]
fn sequences_of_tables_go_by_the_table() {
    table(&[
        (
            "SELECT setval(pg_get_serial_sequence('\"Site\"','id'), 1)",
            &["nextval Site_id_seq", "nextval Site", "call pg_get_serial_sequence[b]"],
        ),
        (
            "SELECT nextval(pg_get_serial_sequence('s.t','id')::regclass)",
            &["nextval s.t_id_seq", "nextval s.t", "call pg_get_serial_sequence[b]"],
        ),
        ("SELECT nextval(pg_get_serial_sequence($1,'id'))", &["nextval nextval[b]", "call pg_get_serial_sequence[b]"]),
    ]);
}

#[test]
fn what_installs_a_function_calls_it() {
    for (text, access) in [
        ("CREATE OPERATOR public.@@@ (rightarg = text, procedure = pg_read_file)", "file_function pg_read_file[b]"),
        ("CREATE OPERATOR public.@@@ (rightarg = text, FUNCTION = public.f)", "call public.f"),
        ("CREATE AGGREGATE a (text) (sfunc = lo_import, stype = oid)", "file_function lo_import[b]"),
        ("CREATE AGGREGATE a (basetype = text, sfunc1 = f, stype1 = oid)", "call f"),
        ("CREATE TYPE r AS RANGE (subtype = float8, subtype_diff = public.f)", "call public.f"),
        ("CREATE CONVERSION public.c FOR 'LATIN1' TO 'UTF8' FROM s.f", "call s.f"),
        ("CREATE CAST (text AS mine) WITH FUNCTION pg_read_file(text)", "file_function pg_read_file[b]"),
        ("CREATE OPERATOR CLASS c FOR TYPE int USING btree AS FUNCTION 1 danger(int, int)", "call danger"),
        ("ALTER OPERATOR FAMILY f USING btree ADD FUNCTION 1 (int, int) danger(int, int)", "call danger"),
        ("CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION s.f(internal))", "call s.f"),
        ("CREATE ACCESS METHOD m TYPE INDEX HANDLER s.handler", "call s.handler"),
        ("CREATE OPERATOR @@@ (leftarg = int, procedure = nextval)", "nextval nextval[b]"),
        (
            "CREATE OPERATOR @@@ (leftarg = text, procedure = set_config)",
            "unknown function set_config behind another object",
        ),
    ] {
        assert!(accesses(text).iter().any(|a| a == access), "{text}: {:?}", accesses(text));
    }
}

#[test]
fn updating_pg_settings_is_set() {
    for text in [
        "UPDATE pg_settings SET setting = 'off' WHERE name = 'row_security'",
        "UPDATE pg_catalog.pg_settings s SET setting = 'off'",
        "EXPLAIN ANALYZE UPDATE pg_settings SET setting = 'off'",
        // An UPDATE of such a view is one of pg_settings.
        "CREATE VIEW v AS SELECT name, setting FROM pg_settings",
        "CREATE TEMP VIEW v (a, b) AS SELECT s.name, s.setting FROM pg_catalog.pg_settings s WHERE true",
    ] {
        assert!(accesses(text).iter().any(|a| a == "set ?=?"), "{text}");
    }
    assert_eq!(accesses("UPDATE public.pg_settings SET setting = 'off'"), ["update public.pg_settings"]);
}

#[test]
fn a_new_name_counts_like_the_old_one() {
    table(&[
        ("ALTER VIEW s.v RENAME TO x", &["rename:view s.v", "rename:view s.x"]),
        ("ALTER INDEX i RENAME TO x", &["rename:index i", "rename:index x"]),
        ("ALTER FUNCTION s.f(int) RENAME TO x", &["rename:function s.f", "call s.f", "rename:function s.x"]),
        ("ALTER FUNCTION f(int) SET SCHEMA x", &["alter:set_schema f", "call f", "alter:set_schema x.f"]),
        ("ALTER TRIGGER a ON s.t RENAME TO b", &["rename:trigger s.t"]),
        ("ALTER TABLE s.t RENAME CONSTRAINT a TO b", &["rename:constraint s.t"]),
        ("ALTER SCHEMA a RENAME TO b", &["rename:schema a", "rename:schema b"]),
        ("ALTER EXTENSION e SET SCHEMA b", &["alter:set_schema e"]),
    ]);
}

#[test]
fn conditions_that_only_look_like_some() {
    for condition in [
        "CASE WHEN id = 1 THEN true ELSE true END",
        "CASE id WHEN 1 THEN true ELSE true END",
        "id IN (SELECT id FROM t LIMIT ALL)",
        "id IN (SELECT id FROM t LIMIT NULL)",
        "id = (t).id",
        "(public.t).id >= t.\"id\"",
        "t = ROW(id, name)",
        "to_json(t) ->> 'id' = id::text",
        "id IN (SELECT id FROM t LIMIT NULL::bigint)",
        "id IN (SELECT id FROM t LIMIT (SELECT count(*) FROM t))",
    ] {
        assert!(deletes_all(condition), "{condition}");
    }
    for condition in [
        "CASE WHEN id = 1 THEN true ELSE false END",
        "id IN (SELECT id FROM t LIMIT 1)",
        "(t).id = 1",
        "(address).city = 'x'",
        "t = ROW(1, 'x')",
        "(t).id = (SELECT max(id) FROM u)",
        "id IN (SELECT id FROM t LIMIT $1::bigint)",
    ] {
        assert!(!deletes_all(condition), "{condition}");
    }
}

fn deletes_all(condition: &str) -> bool {
    let statement = statement(&format!("DELETE FROM t WHERE {condition}"));
    statement.accesses.iter().any(|a| a.action.name == ActionName::Delete && a.where_missing)
}

#[test]
fn operators_of_exclusion_constraints_count() {
    table(&[(
        "ALTER TABLE t ADD EXCLUDE USING gist (c WITH OPERATOR(evil.&&), d WITH &&)",
        &["alter:add_constraint t", "call evil.&&"],
    )]);
}
