//! What a rule about everything still does not cover: guarded and pinned settings for sessions to come, and the server's
//! own tables.

use super::*;

const EVERYTHING: &str = "pin: {work_mem: 8MB}\nallow:\n  - {rule: all, actions: [all]}\n";

#[test]
fn alter_system_never_touches_what_is_guarded_or_pinned() {
    let session = session(&[&policy(EVERYTHING)]);
    let system = |name: &str, value: &str| {
        let value = SettingValue::List(vec![text(value)]);
        by(&session, vec![access(ActionName::AlterSystem, Object::Setting { name: text(name), value })])
    };
    for (name, value) in [
        ("standard_conforming_strings", "off"),
        ("search_path", "evil"),
        ("session_replication_role", "replica"),
        ("row_security", "off"),
        ("work_mem", "64MB"),
    ] {
        assert_eq!(system(name, value), "guard", "{name}");
    }
    assert_eq!(system("row_security", "on"), "allow");
    assert_eq!(system("work_mem", "8192"), "allow");
    assert_eq!(system("max_wal_size", "1GB"), "allow");
}

#[test]
fn a_rule_about_everything_does_not_write_the_catalogs() {
    let session = session(&[&policy(EVERYTHING)]);
    for action in [ActionName::Insert, ActionName::Update, ActionName::Delete, ActionName::CopyFrom] {
        assert_eq!(by(&session, vec![on(action, "pg_catalog.pg_db_role_setting")]), "default", "{action:?}");
        assert_eq!(by(&session, vec![on(action, "pg_authid")]), "default", "{action:?}");
        assert_eq!(by(&session, vec![on(action, "orders")]), "allow", "{action:?}");
    }
    let lines = "allow:\n  - {rule: a, actions: [update], tables: [pg_catalog.pg_index]}\n";
    let named = super::session(&[&policy(lines)]);
    assert_eq!(by(&named, vec![on(ActionName::Update, "pg_catalog.pg_index")]), "allow");
}

#[test]
fn none_is_a_role_in_any_other_case() {
    let session = session(&[&policy(EVERYTHING)]);
    assert_eq!(by(&session, vec![set_to("role", "none")]), "allow");
    assert_eq!(by(&session, vec![set_to("role", "NONE")]), "guard");
}

#[test]
fn a_column_named_like_a_callable_function_may_be_a_call_of_it() {
    let lines = "allow:\n  - {rule: r, actions: [select], tables: ['*']}\n  \
                 - {rule: f, actions: [call], functions: [leak, 'public.*']}\n\
                 deny:\n  - {rule: secret, columns: [users.ssn]}\n";
    let session = session(&[&policy(lines)]);
    let select = |table: &str, column: &str| {
        let mut select = on(ActionName::Select, table);
        select.columns.named.insert(column.into());
        by(&session, vec![select])
    };
    assert_eq!(select("users", "leak"), "secret");
    assert_eq!(select("users", "name"), "allow");
    assert_eq!(select("orders", "leak"), "allow");
}

#[test]
fn where_temporary_tables_may_be_made_every_path_says_where_they_stand() {
    let settings = "{rule: paths, actions: [set], settings: ['search_path=', 'search_path=api']}";
    let lines = format!("temp_tables: allow\nallow:\n  - {settings}\n");
    let path = |session: &SessionPolicy, names: &[&str]| {
        let value = SettingValue::List(names.iter().map(|name| text(name)).collect());
        by(session, vec![setting(text("search_path"), value)])
    };
    let session = session(&[&policy(&lines)]);
    for names in [&["public"][..], &["api"], &[""], &[]] {
        assert_eq!(path(&session, names), "guard", "{names:?}");
    }
    for names in [&["public", "pg_temp"][..], &["public, pg_temp"], &["api", "pg_temp"]] {
        assert_eq!(path(&session, names), "allow", "{names:?}");
    }
    assert_eq!(path(&session, &["pg_temp", "public"]), "guard");
    let without = super::session(&[&policy(&format!("allow:\n  - {settings}\n"))]);
    assert_eq!(path(&without, &["public"]), "allow");
}

#[test]
fn a_hint_can_be_pasted() {
    let session = session(&[&policy("allow: []\n")]);
    let hint = |access: Access| {
        let refusal = refusal(session.judge(&facts(vec![access]), moment(Parameters::None))).unwrap();
        refusal.hint.as_deref().unwrap_or_default().to_owned()
    };
    let relation =
        |schema: &str, name: &str| access(ActionName::Truncate, Object::Relation(Name::qualified(schema, name)));
    assert!(hint(relation("public", "CamelCase")).contains(r#"tables: ["\"CamelCase\""]"#));
    assert!(hint(relation("public", "plain")).contains("tables: [plain]"));
    let channel = Object::Other { kind: "channel", name: Name::bare("My:Chan") };
    assert!(hint(access(ActionName::Notify, channel)).contains(r#"objects: ["\"My:Chan\""]"#));
    for (name, value) in
        [("standard_conforming_strings", "off"), ("search_path", "$user"), ("search_path", "a, pg_catalog")]
    {
        let value = SettingValue::List(vec![text(value)]);
        let hint = hint(setting(text(name), value));
        assert!(hint.contains("no rule can allow"), "{name}: {hint}");
    }
}
