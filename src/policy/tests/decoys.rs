//! `decoys`: what touches one, what does not, and what a decoy beats.

use super::*;
use crate::sql;

const TRAPPED: &str = "decoys: [public.admin_backup, \"traps.*\"]\n";

fn trapped(lines: &str) -> SessionPolicy {
    session(&[&policy(&format!("allow: [{{rule: all, actions: [all]}}]\n{TRAPPED}{lines}"))])
}

/// The deciding rule's label, for a text as a simple query.
fn of_text(session: &SessionPolicy, text: &str) -> String {
    let facts = sql::analyse(text, sql::Reading::default()).unwrap_or_else(|error| panic!("{text}: {error}")).facts;
    refusal(session.judge(&facts, moment(Parameters::None))).map_or("allow".into(), |r| r.rule.label().to_owned())
}

#[test]
fn whatever_is_done_to_it_touches_it() {
    let session = trapped("");
    for text in [
        "SELECT * FROM admin_backup",
        "SELECT 1 FROM public.admin_backup",
        "SELECT 1 FROM \"admin_backup\"",
        "SELECT 1 FROM ADMIN_BACKUP WHERE false",
        "SELECT 1 FROM shop.public.admin_backup",
        "TABLE admin_backup",
        "SELECT * FROM traps.anything",
        "SELECT o.id FROM orders o LEFT JOIN admin_backup b ON b.id = o.id",
        "SELECT (SELECT count(*) FROM admin_backup)",
        "WITH x AS (SELECT id FROM admin_backup) SELECT 1",
        "SELECT 1; SELECT * FROM admin_backup",
        "SELECT id FROM orders UNION ALL SELECT id FROM admin_backup",
        "SELECT id FROM admin_backup FOR UPDATE",
        "INSERT INTO admin_backup VALUES (1)",
        "INSERT INTO orders SELECT * FROM admin_backup",
        "UPDATE admin_backup SET id = 1",
        "UPDATE orders SET id = b.id FROM admin_backup b",
        "DELETE FROM admin_backup WHERE id = 1",
        "MERGE INTO orders USING admin_backup b ON b.id = orders.id WHEN MATCHED THEN DELETE",
        "TRUNCATE orders, admin_backup",
        "COPY admin_backup TO STDOUT",
        "COPY admin_backup FROM STDIN",
        "COPY (SELECT * FROM admin_backup) TO STDOUT",
        "EXPLAIN SELECT * FROM admin_backup",
        "EXPLAIN ANALYZE DELETE FROM admin_backup",
        "PREPARE p AS SELECT * FROM admin_backup",
        "DECLARE c CURSOR FOR SELECT * FROM admin_backup",
        "LOCK admin_backup",
        "LOCK TABLE admin_backup IN ACCESS SHARE MODE",
        "DROP TABLE orders, admin_backup",
        "ALTER TABLE admin_backup ADD COLUMN x int",
        "ALTER TABLE admin_backup RENAME TO harmless",
        "COMMENT ON TABLE admin_backup IS 'x'",
        "GRANT SELECT ON admin_backup TO PUBLIC",
        "CREATE INDEX ON admin_backup (id)",
        "CREATE VIEW v AS SELECT * FROM admin_backup",
        "CREATE TABLE mine AS SELECT * FROM admin_backup",
        "CREATE TABLE mine (LIKE admin_backup)",
        "VACUUM admin_backup",
        "ANALYZE admin_backup",
        "SELECT query_to_xml('SELECT * FROM admin_backup', true, false, '')",
        "DO $$ BEGIN PERFORM 1 FROM admin_backup; END $$",
        "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM admin_backup'",
    ] {
        assert_eq!(of_text(&session, text), "decoy", "{text}");
    }
}

#[test]
fn what_only_looks_like_it_does_not() {
    let session = trapped("");
    for text in [
        "SELECT * FROM orders",
        "SELECT * FROM hr.admin_backup",
        "SELECT * FROM admin_backups",
        "SELECT * FROM \"Admin_Backup\"",
        "SELECT 'admin_backup', 'SELECT * FROM admin_backup'",
        "SELECT admin_backup FROM orders AS traps",
        "SELECT admin_backup.id FROM orders AS admin_backup",
        "WITH admin_backup AS (SELECT 1 AS id) SELECT id FROM admin_backup",
        "SELECT 1 -- FROM admin_backup",
        "SELECT relname, relacl FROM pg_catalog.pg_class WHERE relname = 'admin_backup'",
        "SELECT * FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'traps'",
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'admin_backup'",
    ] {
        assert_eq!(of_text(&session, text), "allow", "{text}");
    }
}

#[test]
fn the_catalogs_are_no_decoy_however_wide_the_pattern() {
    let everything = policy("allow: [{rule: all, actions: [all]}]\ndecoys: [\"*.*\", \"p*\"]\n");
    let session = session(&[&everything]);
    for text in ["SELECT * FROM pg_class", "SELECT * FROM pg_catalog.pg_attribute", "TABLE information_schema.tables"] {
        assert_eq!(of_text(&session, text), "allow", "{text}");
    }
    assert_eq!(of_text(&session, "SELECT * FROM orders"), "decoy");
}

#[test]
fn an_unqualified_name_touches_what_it_may_mean() {
    let file = |path: &str, decoy: &str| {
        format!(
            "policy: p\napplies_to: {{users: [app]}}\n{path}allow: [{{rule: all, actions: [select], tables: \
             [\"*.*\", \"*\"]}}]\ndecoys: [{decoy}]\n"
        )
    };
    let by = |path: &str, decoy: &str, text: &str| of_text(&session(&[&file(path, decoy)]), text);
    let both = "search_path: [api, hr]\n";
    assert_eq!(by(both, "hr.salaries", "SELECT * FROM salaries"), "decoy");
    assert_eq!(by(both, "salaries", "SELECT * FROM hr.salaries"), "decoy");
    assert_eq!(by(both, "salaries", "SELECT * FROM other.salaries"), "allow");
    assert_eq!(by("search_path: [api]\n", "hr.salaries", "SELECT * FROM salaries"), "allow");
    // Without a path nobody can say what it means.
    assert_eq!(by("", "hr.salaries", "SELECT * FROM salaries"), "decoy");
}

#[test]
fn a_decoy_beats_everything() {
    let lines = "deny: [{rule: no-writes, actions: [write]}]\nlimits: {message_statements: 1, depth: 3}\n";
    let session = trapped(lines);
    for text in [
        "DELETE FROM admin_backup",
        "SELECT 1; SELECT 1; SELECT * FROM admin_backup",
        "SELECT 1 + (2 * (3 + (4 * (SELECT count(*) FROM admin_backup))))",
        "COPY (SELECT * FROM admin_backup) TO PROGRAM 'sh'",
    ] {
        assert_eq!(of_text(&session, text), "decoy", "{text}");
    }
    assert_eq!(of_text(&session, "DELETE FROM orders"), "no-writes");
    assert_eq!(of_text(&session, "SELECT 1; SELECT 2"), "limit");
}

#[test]
fn the_refusal_names_the_decoy_and_its_place_but_not_in_its_reason() {
    let refusal = refusal(judge(&trapped(""), vec![on(ActionName::Select, "admin_backup")])).unwrap();
    let RuleRef::Decoy { decoy, file, line } = &refusal.rule else { panic!("{refusal:?}") };
    assert_eq!((&**decoy, &**file, *line), ("public.admin_backup", "0.yaml", 5));
    assert_eq!(refusal.reason, "SELECT on public.admin_backup is denied");
    assert_eq!((refusal.sqlstate, refusal.hint), ("42501", None));
}

#[test]
fn decoys_of_all_enforcing_policies_hold_and_those_of_observing_ones_only_tell() {
    let allows = policy("allow: [{rule: all, actions: [all]}]\n");
    let traps = policy("decoys: [admin_backup]\n").replace("policy: p", "policy: q");
    let touch = || vec![on(ActionName::Select, "admin_backup")];
    assert_eq!(by(&session(&[&allows, &traps]), touch()), "decoy");
    let watching = format!("{traps}mode: observe\n");
    let would = |files: &[&str]| {
        let judged = judge(&session(files), touch());
        assert!(judged.refusal().is_none(), "{judged:?}");
        judged.would.map(|would| would.rule.label().to_owned())
    };
    assert_eq!(would(&[&watching]), Some("decoy".to_owned()));
    assert_eq!(would(&[&allows, &watching]), Some("decoy".to_owned()));
    // Not behind anything else that is only told.
    let told = policy("allow: [{rule: all, actions: [all]}]\ndeny: [{rule: t, mode: observe, actions: [select]}]\n");
    assert_eq!(would(&[&told, &watching]), Some("decoy".to_owned()));
}

#[test]
fn tests_of_a_policy_know_it() {
    let text = policy(
        "allow: [{rule: all, actions: [all]}]\ndecoys: [admin_backup]\ntests:\n  - deny: TABLE admin_backup\n    by: decoy\n",
    );
    assert!(load::load_text("p.yaml", &text).is_ok());
    let wrong = text.replace("deny: TABLE admin_backup\n    by: decoy", "allow: TABLE admin_backup");
    let error = load::load_text("p.yaml", &wrong).unwrap_err();
    assert!(error.contains("by p/decoy (p.yaml:5)"), "{error}");
}

#[test]
fn what_makes_no_decoy_is_an_error_with_its_place() {
    for (decoy, found) in [
        ("pg_catalog.pg_authid", "error"),
        ("\"pg_catalog.*\"", "error"),
        ("information_schema.tables", "error"),
        ("pg_authid", "error"),
        ("\"pg_*\"", "error"),
        ("pg_temp.x", "error"),
        ("a.b.c.d", "error"),
        ("\"*\"", "warning"),
        ("\"*.*\"", "warning"),
        ("\"traps.*\"", "nothing"),
        ("\"*.admin_backup\"", "nothing"),
        ("pg_backup", "nothing"),
    ] {
        let findings = findings(&[&policy(&format!("decoys: [{decoy}]\n"))]);
        let told = match findings.as_slice() {
            [] => "nothing",
            [one] if one.contains("0.yaml:4:10: warning: ") => "warning",
            [one] if one.contains("0.yaml:4:10: ") => "error",
            more => panic!("{decoy}: {more:?}"),
        };
        assert_eq!(told, found, "{decoy}: {findings:?}");
    }
    assert!(!findings(&[&policy("decoys: []\n")]).is_empty());
    let taken = policy("allow: [{rule: decoy, actions: [select], tables: [x]}]\n");
    assert!(findings(&[&taken])[0].contains("can't be called \"decoy\""), "{:?}", findings(&[&taken]));
}
