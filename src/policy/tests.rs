//! The judge with hand-made Facts, admission and startup parameters, from policies written as a DBA writes them.

mod attacks;
mod conditions;
mod decoys;
mod disagreement;
mod fastpath;
mod guards;
mod learned;
mod row_functions;

use std::sync::Arc;

use crate::policy::diagnostic::{Severity, Source};
use crate::policy::verdict::{Judgement, Refusal, RuleRef, Verdict};
use crate::policy::{
    Arrival, Identity, Limit, Moment, Parameters, PolicySet, SessionPolicy, UnknownName, compile, load,
};
use crate::sql::{Access, Action, ActionName, Facts, Name, Object, Operand, SettingValue, Statement, Unparsed};

/// What is found in some files.
fn findings(files: &[&str]) -> Vec<String> {
    compiled(files).1
}

fn compiled(files: &[&str]) -> (Vec<compile::Policy>, Vec<String>) {
    let source = |(index, text): (usize, &&str)| Source::new(format!("{index}.yaml"), *text);
    let sources: Vec<Source> = files.iter().enumerate().map(source).collect();
    let load::Compiled { policies, findings, partial: _ } =
        load::compiled(&sources, Vec::new(), &mut |path| std::fs::read_to_string(path));
    let told = findings
        .iter()
        .map(|f| {
            let place = f.place.unwrap_or_default();
            let word = if f.severity == Severity::Warning { "warning: " } else { "" };
            format!("{}:{}:{}: {word}{}", f.file, place.line, place.column, f.message)
        })
        .collect();
    (policies, told)
}

fn set(files: &[&str]) -> Arc<PolicySet> {
    let (policies, findings) = compiled(files);
    assert!(findings.iter().all(|f| f.contains("warning: ")), "{findings:#?}");
    Arc::new(PolicySet::new(policies))
}

fn who(user: &str) -> Identity {
    Identity {
        user: user.into(),
        database: "shop".into(),
        address: "10.0.0.1".parse().unwrap(),
        tls: true,
        replication: false,
        arrival: Arrival::default(),
    }
}

fn session(files: &[&str]) -> SessionPolicy {
    set(files).admit(&who("app")).unwrap()
}

/// A policy for `app` on the path `public` with these lines.
fn policy(lines: &str) -> String {
    format!("policy: p\napplies_to: {{users: [app]}}\nsearch_path: [public]\n{lines}")
}

const THREE_LINES: &str = "allow: [{rule: data, actions: [select, insert, update, delete], tables: [\"*\"]}]\n";

fn access(action: impl Into<Action>, object: Object) -> Access {
    Access::new(action, object)
}

fn relation(name: &str) -> Object {
    Object::Relation(match name.split_once('.') {
        Some((schema, name)) => Name::qualified(schema, name),
        None => Name::bare(name),
    })
}

fn on(action: ActionName, name: &str) -> Access {
    access(action, relation(name))
}

fn setting(name: Operand, value: SettingValue) -> Access {
    access(ActionName::Set, Object::Setting { name, value })
}

fn text(text: &str) -> Operand {
    Operand::Constant(text.into())
}

fn set_to(name: &str, value: &str) -> Access {
    setting(text(name), SettingValue::List(vec![text(value)]))
}

fn facts(accesses: Vec<Access>) -> Facts {
    Facts { statements: vec![Statement { accesses, ..Statement::default() }], ..Facts::default() }
}

fn moment(parameters: Parameters<'_>) -> Moment<'_> {
    Moment { now: "2026-06-01T12:00:00Z".parse().unwrap(), ..Moment::now(true, parameters) }
}

fn judge(session: &SessionPolicy, accesses: Vec<Access>) -> Judgement {
    session.judge(&facts(accesses), moment(Parameters::None))
}

fn refusal(judgement: Judgement) -> Option<Refusal> {
    match judgement.verdict {
        Verdict::Refuse(refusal) => Some(refusal),
        Verdict::Allow(_) => None,
    }
}

fn by(session: &SessionPolicy, accesses: Vec<Access>) -> String {
    refusal(judge(session, accesses)).map_or("allow".into(), |r| r.rule.label().to_owned())
}

#[test]
fn every_access_must_be_covered() {
    let session = session(&[&policy(THREE_LINES)]);
    let select = on(ActionName::Select, "orders");
    assert_eq!(by(&session, vec![select.clone()]), "allow");
    for extra in [
        on(ActionName::Truncate, "orders"),
        on(ActionName::Select, "hr.salaries"),
        access(Action { name: ActionName::Drop, kind: Some("table") }, relation("orders")),
        access(ActionName::Do, Object::None),
        access(ActionName::Unknown, Object::Unknown("x".into())),
        access(ActionName::Checkpoint, Object::None),
    ] {
        assert_eq!(by(&session, vec![select.clone(), extra.clone()]), "default", "{extra:?}");
        assert_eq!(by(&session, vec![extra.clone(), select.clone()]), "default", "{extra:?}");
    }
}

#[test]
fn deny_wins_wherever_it_stands() {
    let deny = "deny: [{rule: no-orders, actions: [delete], tables: [orders]}]\n";
    for lines in [format!("{THREE_LINES}{deny}"), format!("{deny}{THREE_LINES}")] {
        let session = session(&[&policy(&lines)]);
        let both = vec![on(ActionName::Select, "users"), on(ActionName::Delete, "public.orders")];
        assert_eq!(by(&session, both), "no-orders");
        assert_eq!(by(&session, vec![on(ActionName::Delete, "users")]), "allow");
        // Before a missing rule, too: the deciding deny is named.
        assert_eq!(by(&session, vec![on(ActionName::Truncate, "x"), on(ActionName::Delete, "orders")]), "no-orders");
    }
}

#[test]
fn nothing_allows_unknown() {
    let all = "allow: [{rule: all, actions: [all]}]\nunlisted: observe\n";
    let session = session(&[&policy(all)]);
    assert_eq!(by(&session, vec![on(ActionName::Truncate, "x")]), "allow");
    assert_eq!(by(&session, vec![access(ActionName::Unknown, Object::Unknown("x".into()))]), "default");
    assert_eq!(by(&session, vec![access(ActionName::SetRole, Object::Role(Some("boss".into())))]), "guard");
    assert_eq!(by(&session, vec![set_to("row_security", "off")]), "guard");
}

#[test]
fn unlisted_observe_never_lets_the_dangerous_pass() {
    let session = session(&[&policy(&format!("{THREE_LINES}unlisted: observe\n"))]);
    let judged = judge(&session, vec![on(ActionName::Truncate, "orders")]);
    assert_eq!(judged.would.as_ref().map(|r| r.rule.label()), Some("default"));
    assert!(refusal(judged).is_none());
    let name = || Object::Other { kind: "x", name: Name::bare("x") };
    for refused in [
        access(ActionName::Unknown, Object::Unknown("x".into())),
        access(ActionName::CopyProgram, name()),
        access(ActionName::FileFunction, Object::Function { name: Name::bare("pg_read_file"), builtin: true }),
        access(ActionName::Dblink, name()),
        access(ActionName::Do, Object::None),
        access(ActionName::AlterSystem, Object::None),
        access(ActionName::Grant, relation("orders")),
        access(ActionName::SetRole, Object::Role(Some("boss".into()))),
        set_to("search_path", "evil"),
        set_to("role", "boss"),
        setting(Operand::Unknown, SettingValue::Unknown),
    ] {
        // Also behind something that is only observed.
        let judged = judge(&session, vec![on(ActionName::Truncate, "orders"), refused.clone()]);
        assert!(refusal(judged).is_some(), "{refused:?}");
    }
}

#[test]
fn an_unqualified_name_must_be_covered_in_every_schema_it_may_mean() {
    let lines = "search_path: [api, public]\nallow:\n  - {rule: api, actions: [select], tables: [\"api.*\"]}\n  \
                 - {rule: path, actions: [set], settings: [\"search_path=other\"]}\n";
    let session = session(&[&format!("policy: p\napplies_to: {{users: [app]}}\n{lines}")]);
    assert_eq!(by(&session, vec![on(ActionName::Select, "api.items")]), "allow");
    assert_eq!(by(&session, vec![on(ActionName::Select, "items")]), "default");
    let both = lines.replace("[\"api.*\"]", "[\"api.*\", \"public.*\"]");
    let session = self::session(&[&format!("policy: p\napplies_to: {{users: [app]}}\n{both}")]);
    assert_eq!(by(&session, vec![on(ActionName::Select, "items")]), "default", "search_path=other may be in force");
    let three = lines.replace("[\"api.*\"]", "[\"*\"]");
    let session = self::session(&[&format!("policy: p\napplies_to: {{users: [app]}}\n{three}")]);
    for name in ["items", "other.items", "public.items"] {
        assert_eq!(by(&session, vec![on(ActionName::Select, name)]), "allow", "{name}");
    }
}

#[test]
fn without_a_path_unqualified_names_are_a_kind_of_their_own() {
    let lines = "allow:\n  - {rule: a, actions: [select], tables: [orders, \"hr.*\"]}\ndeny:\n  \
                 - {rule: d, actions: [select], tables: [hr.salaries]}\n";
    let session = session(&[&format!("policy: p\napplies_to: {{users: [app]}}\n{lines}")]);
    assert_eq!(by(&session, vec![on(ActionName::Select, "orders")]), "allow");
    assert_eq!(by(&session, vec![on(ActionName::Select, "public.orders")]), "default");
    assert_eq!(by(&session, vec![on(ActionName::Select, "salaries")]), "d");
    assert_eq!(by(&session, vec![set_to("search_path", "hr")]), "guard");
}

#[test]
fn an_empty_path_covers_nothing() {
    let session = session(&[&format!("policy: p\napplies_to: {{users: [app]}}\nsearch_path: []\n{THREE_LINES}")]);
    assert_eq!(by(&session, vec![on(ActionName::Select, "orders")]), "default");
}

#[test]
fn columns_are_denied_by_name_by_star_and_in_the_statistics() {
    let lines = format!("{THREE_LINES}deny: [{{rule: secret, columns: [users.password]}}]\n");
    let session = session(&[&policy(&lines)]);
    let mut named = on(ActionName::Select, "users");
    named.columns.named.insert("id".into());
    assert_eq!(by(&session, vec![named.clone()]), "allow");
    named.columns.named.insert("password".into());
    assert_eq!(by(&session, vec![named]), "secret");
    let mut star = on(ActionName::Select, "public.users");
    star.columns.all = true;
    let refused = refusal(judge(&session, vec![star.clone()])).unwrap();
    assert_eq!(refused.reason, "SELECT on public.users touches all columns, and some are denied");
    star.object = relation("orders");
    assert_eq!(by(&session, vec![star]), "allow");
    assert_eq!(by(&session, vec![on(ActionName::Select, "pg_stats")]), "secret");
}

#[test]
fn a_refusal_says_what_is_wrong_and_what_to_do() {
    let lines = format!(
        "{THREE_LINES}deny:\n  - rule: unbounded\n    actions: [update, delete]\n    when: {{where: missing}}\n    \
         hint: add a WHERE clause\n"
    );
    let session = session(&[&policy(&lines)]);
    let mut delete = on(ActionName::Delete, "public.orders");
    assert_eq!(by(&session, vec![delete.clone()]), "allow");
    delete.where_missing = true;
    let refused = refusal(judge(&session, vec![delete])).unwrap();
    assert_eq!(refused.reason, "DELETE on public.orders has no WHERE");
    assert_eq!(refused.hint.as_deref(), Some("add a WHERE clause"));
    assert_eq!(refused.sqlstate, "42501");
    let crate::policy::RuleRef::Rule { file, line, .. } = &refused.rule else { panic!() };
    assert_eq!((&**file, *line), ("0.yaml", 6));
    let drop = access(Action { name: ActionName::Drop, kind: Some("table") }, relation("orders"));
    let refused = refusal(judge(&session, vec![drop])).unwrap();
    assert_eq!(refused.reason, "no rule allows DROP TABLE on public.orders");
    assert_eq!(
        refused.hint.as_deref(),
        Some("ask the DBA to allow it: - {rule: NAME, actions: [\"drop:table\"], tables: [orders]}")
    );
}

#[test]
fn batches_are_counted_without_the_ones_that_only_reset() {
    let lines = format!("{THREE_LINES}deny: [{{rule: one, actions: [all], when: {{statements: \">1\"}}}}]\n");
    let session = session(&[&policy(&lines)]);
    let select = Statement { accesses: vec![on(ActionName::Select, "orders")], ..Statement::default() };
    let nothing = Statement::default();
    let reset =
        Statement { accesses: vec![access(ActionName::Reset, Object::None)], default_set: true, ..nothing.clone() };
    let judged = |statements: &[&Statement]| {
        let facts = Facts { statements: statements.iter().map(|s| (*s).clone()).collect(), ..Facts::default() };
        refusal(session.judge(&facts, moment(Parameters::None))).map_or("allow".into(), |r| r.rule.label().to_owned())
    };
    assert_eq!(judged(&[&select]), "allow");
    assert_eq!(judged(&[&select, &reset, &reset]), "allow");
    assert_eq!(judged(&[&select, &select]), "one");
    assert_eq!(judged(&[&nothing, &nothing]), "one");
    assert_eq!(judged(&[]), "allow");
}

#[test]
fn time_is_judged_and_told() {
    let lines = "allow: [{rule: night, actions: [select], tables: [\"*\"], \
                 when: {from: 2026-06-01T11:00:00Z, until: 2026-06-01T13:00:00Z}}]\n";
    let session = session(&[&policy(lines)]);
    let at = |now: &str| {
        let moment = Moment { now: now.parse().unwrap(), ..Moment::now(true, Parameters::Later) };
        let judged = session.judge(&facts(vec![on(ActionName::Select, "orders")]), moment);
        assert!(judged.timed);
        refusal(judged).is_none()
    };
    assert!(!at("2026-06-01T10:59:59Z"));
    assert!(at("2026-06-01T11:00:00Z"));
    assert!(!at("2026-06-01T13:00:00Z"));
}

#[test]
fn bound_settings_are_judged_at_bind() {
    let lines = "allow:\n  - {rule: s, actions: [set], settings: [\"app.*\"]}\n  \
                 - {rule: r, actions: [set_role], roles: [web]}\n";
    let session = session(&[&policy(lines)]);
    let set_config = || facts(vec![setting(Operand::Parameter(1), SettingValue::List(vec![Operand::Parameter(2)]))]);
    let later = session.judge(&set_config(), moment(Parameters::Later));
    assert!(later.at_bind && refusal(later).is_none());
    let bound = |name, value| {
        let values = [name, value];
        refusal(session.judge(&set_config(), moment(Parameters::Bound(&values))))
            .map_or("allow".into(), |r| r.rule.label().to_owned())
    };
    assert_eq!(bound(Some("app.tenant"), Some("7")), "allow");
    assert_eq!(bound(Some("App.Tenant"), None), "allow");
    assert_eq!(bound(Some("role"), Some("web")), "allow");
    assert_eq!(bound(Some("ROLE"), Some("boss")), "guard");
    assert_eq!(bound(Some("role"), None), "guard");
    assert_eq!(bound(Some("search_path"), Some("public")), "allow");
    assert_eq!(bound(Some("search_path"), Some("evil, public")), "guard");
    assert_eq!(bound(Some("search_path"), None), "guard");
    assert_eq!(bound(Some("work_mem"), Some("1GB")), "default");
    assert_eq!(bound(None, Some("x")), "guard");
    assert!(refusal(session.judge(&set_config(), moment(Parameters::None))).is_some());
}

#[test]
fn nothing_covers_a_pin_but_its_own_value() {
    let lines = "pin: {statement_timeout: 30s, default_transaction_read_only: on}\nallow:\n  \
                 - {rule: s, actions: [set], settings: [\"*\", \"statement_timeout=0\"]}\n";
    let session = session(&[&policy(lines)]);
    assert_eq!(by(&session, vec![set_to("statement_timeout", "0")]), "guard");
    assert_eq!(by(&session, vec![set_to("statement_timeout", "30000")]), "allow");
    assert_eq!(by(&session, vec![set_to("work_mem", "1GB")]), "allow");
    let begin = |mode: &str| vec![access(ActionName::Begin, Object::None), set_to("transaction_read_only", mode)];
    assert_eq!(by(&session, begin("off")), "guard");
    assert_eq!(by(&session, begin("on")), "allow");
    let reset =
        access(ActionName::Reset, Object::Setting { name: text("statement_timeout"), value: SettingValue::Default });
    assert_eq!(by(&session, vec![reset]), "allow");
    let free = self::session(&[&policy(THREE_LINES)]);
    assert_eq!(by(&free, begin("off")), "allow");
}

#[test]
fn alter_system_is_no_setting_of_the_session() {
    let session = session(&[&policy(THREE_LINES)]);
    let object = Object::Setting { name: text("statement_timeout"), value: SettingValue::Default };
    assert_eq!(by(&session, vec![access(ActionName::AlterSystem, object)]), "default");
}

#[test]
fn baseline_none_leaves_transactions_and_names() {
    let session = session(&[&policy(&format!("baseline: none\n{THREE_LINES}"))]);
    assert_eq!(by(&session, vec![access(ActionName::Begin, Object::None)]), "allow");
    assert_eq!(by(&session, vec![access(ActionName::Commit, Object::None)]), "allow");
    assert_eq!(by(&session, vec![on(ActionName::Select, "pg_catalog.pg_class")]), "default");
    assert_eq!(by(&session, vec![set_to("application_name", "x")]), "default");
    assert_eq!(by(&session, vec![access(ActionName::Reset, Object::None)]), "default");
}

#[test]
fn no_deny_rule_stops_commit_or_rollback() {
    let session =
        session(&[&policy("deny: [{rule: all, actions: [all]}, {rule: bare, when: {statements: \">0\"}}]\n")]);
    for name in [ActionName::Commit, ActionName::Rollback] {
        assert_eq!(by(&session, vec![access(name, Object::None)]), "allow");
    }
    assert_eq!(by(&session, vec![access(ActionName::Begin, Object::None)]), "all");
}

#[test]
fn observing_policies_only_report() {
    let observe = "policy: watch\napplies_to: {users: [\"*\"]}\nmode: observe\n";
    let session = session(&[observe]);
    assert!(!session.enforces());
    let judged = judge(&session, vec![on(ActionName::Truncate, "orders")]);
    assert_eq!(judged.would.as_ref().map(|r| (&*r.policy, r.rule.label())), Some(("watch", "default")));
    assert!(refusal(judged).is_none());
    let unparsed = Unparsed::Syntax { message: "syntax error".into(), position: Some(1) };
    let judged = session.judge_unparsed(&unparsed);
    assert!(judged.would.is_some() && refusal(judged).is_none());
    let parameters = vec![("options".to_owned(), "-c role=boss -e".to_owned()), ("_pq_.x".into(), "1".into())];
    assert_eq!(session.startup(&parameters).unwrap(), parameters);

    let both = self::session(&[observe, &policy(THREE_LINES)]);
    assert_eq!(&**both.name(), "p");
    let judged = judge(&both, vec![on(ActionName::Select, "orders")]);
    assert_eq!(judged.would.map(|r| r.policy.to_string()), Some("watch".into()));
    let judged = judge(&both, vec![on(ActionName::Truncate, "orders")]);
    assert_eq!(&*judged.policy, "p");
    assert!(judged.would.is_none() && refusal(judged).is_some());
    let refused = refusal(both.judge_unparsed(&unparsed)).unwrap();
    assert_eq!((refused.sqlstate, refused.rule.label()), ("42601", "parse"));
}

#[test]
fn an_observing_deny_rule_only_reports() {
    let lines = format!("{THREE_LINES}deny: [{{rule: d, mode: observe, actions: [delete]}}]\n");
    let judged = judge(&session(&[&policy(&lines)]), vec![on(ActionName::Delete, "orders")]);
    assert_eq!(judged.would.as_ref().map(|r| r.rule.label()), Some("d"));
    assert!(refusal(judged).is_none());
}

#[test]
fn several_policies_add_up() {
    let reader = "policy: r\napplies_to: {users: [app]}\nallow: [{rule: r, actions: [select], tables: [\"*\"]}]\n";
    let writer = "policy: w\napplies_to: {users: [\"a*\"]}\nsearch_path: [public]\nerrors: terse\n\
                  allow: [{rule: w, actions: [insert], tables: [\"*\"]}]\ndeny: [{rule: d, tables: [secret]}]\n";
    let session = session(&[reader, writer]);
    assert!(session.terse());
    assert_eq!(by(&session, vec![on(ActionName::Select, "x"), on(ActionName::Insert, "x")]), "allow");
    assert_eq!(by(&session, vec![on(ActionName::Select, "secret")]), "d");
}

#[test]
fn contradictions_are_errors_or_refused_logins() {
    let a = "policy: a\napplies_to: {users: [app]}\npin: {statement_timeout: 30s}\n";
    let same = "policy: b\napplies_to: {users: [app]}\npin: {statement_timeout: 30000}\n";
    assert_eq!(findings(&[a, same]), Vec::<String>::new());
    let other = same.replace("30000", "0");
    assert_eq!(findings(&[a, &other]).len(), 1);
    assert!(
        findings(&[a, &other])[0].starts_with("1.yaml:1:9: policy \"b\" and \"a\" (0.yaml) both name user \"app\"")
    );
    let pattern = other.replace("[app]", "[\"app*\"]");
    assert!(findings(&[a, &pattern])[0].contains("warning: "));
    let refused = set(&[a, &pattern]).admit(&who("app")).unwrap_err();
    assert_eq!(refused.sqlstate, "28000");
    assert!(refused.reason.contains("0.yaml") && refused.reason.contains("1.yaml"), "{}", refused.reason);
    assert!(set(&[a, &pattern]).admit(&who("app2")).is_ok());
}

#[test]
fn login_needs_a_policy_and_what_it_requires() {
    let lines = "policy: p\napplies_to: {users: [app, \"svc_*\"], databases: [shop]}\n\
                 require: {networks: [10.0.0.0/8], tls: true}\n";
    let set = set(&[lines]);
    let rule = |identity: &Identity| set.admit(identity).err().map(|r| (r.rule.label().to_owned(), r.sqlstate));
    assert_eq!(rule(&who("app")), None);
    assert_eq!(rule(&who("svc_1")), None);
    assert_eq!(rule(&who("APP")), Some(("default".into(), "28000")));
    assert_eq!(rule(&Identity { database: "hr".into(), ..who("app") }), Some(("default".into(), "28000")));
    assert_eq!(rule(&Identity { replication: true, ..who("app") }), Some(("default".into(), "28000")));
    assert_eq!(rule(&Identity { tls: false, ..who("app") }), Some(("require".into(), "28000")));
    let away = Identity { address: "192.0.2.1".parse().unwrap(), ..who("app") };
    assert_eq!(rule(&away), Some(("require".into(), "28000")));
    let refused = set.admit(&who("x")).unwrap_err();
    assert_eq!(refused.reason, "no policy for host \"10.0.0.1\", user \"x\", database \"shop\", SSL encryption");
}

#[test]
fn messages_that_are_no_sql_are_judged_too() {
    let session = session(&[&policy(THREE_LINES)]);
    assert!(refusal(session.judge_replication("BASE_BACKUP")).is_some());
    let name = refusal(session.judge_unknown_name(UnknownName::PreparedStatement("x"))).unwrap();
    assert_eq!((name.sqlstate, &*name.reason), ("26000", "prepared statement \"x\" does not exist"));
    let cursor = refusal(session.judge_unknown_name(UnknownName::Cursor("x"))).unwrap();
    assert_eq!((cursor.sqlstate, &*cursor.reason), ("34000", "cursor \"x\" does not exist"));
    let cursors = "allow: [{rule: c, actions: [cursor], cursors: [\"<unnamed portal *>\"]}]\n";
    let session = self::session(&[&policy(cursors)]);
    assert!(refusal(session.judge_unknown_name(UnknownName::Cursor("<unnamed portal 1>"))).is_none());
    assert!(refusal(session.judge_unknown_name(UnknownName::Cursor("x"))).is_some());
}

#[test]
fn startup_parameters_are_judged_and_pins_come_last() {
    let lines = "pin: {statement_timeout: 30s}\nallow: [{rule: s, actions: [set], settings: [\"row_security=off\"]}]\n";
    let session = session(&[&policy(lines)]);
    let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    let sent = session
        .startup(&own(&[
            ("user", "app"),
            ("Application_Name", "x"),
            ("client_encoding", "'utf-8'"),
            ("_pq_.y", "1"),
            ("options", "-c statement_timeout=30000 --DateStyle=ISO"),
        ]))
        .unwrap();
    assert_eq!(
        sent,
        own(&[
            ("user", "app"),
            ("Application_Name", "x"),
            ("client_encoding", "'utf-8'"),
            ("options", "-c DateStyle=ISO"),
            ("standard_conforming_strings", "on"),
            ("backslash_quote", "safe_encoding"),
            ("row_security", "on"),
            ("role", "none"),
            ("search_path", "public, pg_temp"),
            ("statement_timeout", "30s"),
        ])
    );
    let sent = session.startup(&own(&[("row_security", "off")])).unwrap();
    assert!(sent.contains(&("row_security".into(), "off".into())));
    assert!(!sent.contains(&("row_security".into(), "on".into())));
    for refused in [
        ("options", "-c role=boss"),
        ("options", "--search-path=evil"),
        ("options", "-ec role=boss"),
        ("options", "-e"),
        ("ROLE", "boss"),
        ("session_authorization", "boss"),
        ("search_path", "evil"),
        ("Statement_Timeout", "0"),
        ("session_replication_role", "replica"),
        ("client_encoding", "SJIS"),
        ("work_mem", "1GB"),
        ("standard_conforming_strings", "off"),
    ] {
        assert!(session.startup(&own(&[refused])).is_err(), "{refused:?}");
    }
}

#[test]
fn alarms_ring_for_guards_and_pins_only() {
    let lines = "pin: {default_transaction_read_only: on}\nallow: []\n";
    let session = session(&[&policy(lines)]);
    for quiet in [
        ("standard_conforming_strings", "on"),
        ("client_encoding", "LATIN1"),
        ("default_transaction_read_only", "on"),
        ("TimeZone", "x"),
        ("is_superuser", "on"),
        ("session_authorization", "app"),
        ("search_path", "public, pg_temp"),
    ] {
        assert_eq!(session.alarm(quiet.0, quiet.1), None, "{quiet:?}");
    }
    for rings in [
        ("standard_conforming_strings", "off"),
        ("client_encoding", "SJIS"),
        ("default_transaction_read_only", "off"),
        ("session_authorization", "boss"),
        ("search_path", "evil"),
    ] {
        assert!(session.alarm(rings.0, rings.1).is_some(), "{rings:?}");
    }
}

#[test]
fn every_mistake_of_every_file_is_told_with_its_place() {
    let a = "policy: a\napplies_to: {users: [x]}\nallow:\n  - rule: r\n    actions: [selct, insert]\n    tabels: [t]\n\
             limits: {sessions: 0}\nmode: watch\n";
    let b = "policy: b\napplies_to: {users: [y]}\nrequire: {client_cert: {on: x}}\npin: {work_men: 4MB, seed: 1}\n\
             search_path: [\"$user\"]\ndeny: [{rule: d, when: {hours: x}}]\n";
    let c = "policy: [\n";
    let told = findings(&[a, b, c]);
    for expected in [
        "0.yaml:5:15: unknown action \"selct\", did you mean \"select\"?",
        "0.yaml:6:5: unknown key \"tabels\" in a rule, did you mean \"tables\"?",
        "0.yaml:7:20: sessions is a number from 1 on, not \"0\"",
        "0.yaml:8:7: mode is enforce or observe, not \"watch\"",
        "1.yaml:3:25: unknown key \"on\" in client_cert, did you mean \"cn\"?",
        "1.yaml:4:7: the server has no setting \"work_men\"",
        "1.yaml:4:22: seed does nothing at session start",
        "1.yaml:5:15: \"$user\" can't stand in search_path: what a name means would depend on who asks",
        "1.yaml:6:32: hours are days, times and a time zone, not \"x\"",
    ] {
        assert!(told.iter().any(|t| t == expected), "{expected}\n{told:#?}");
    }
    assert!(told.iter().any(|t| t.starts_with("2.yaml:")), "{told:#?}");
}

#[test]
fn limits_are_numbers_that_can_be_kept() {
    let text = "policy: a\napplies_to: {users: [x]}\nlimits:\n  statement_bytes: 2GiB\n  depth: 0\n  \
                message_statements: many\n---\npolicy: b\napplies_to: {users: [y]}\nlimits: {statement_bytes: 1k}\n";
    let told = findings(&[text]);
    for expected in [
        "0.yaml:4:20: statement_bytes is from 1 to 64MiB, not 2GiB",
        "0.yaml:5:10: depth is a number from 1 on, not \"0\"",
        "0.yaml:6:23: message_statements is a number from 1 on, not \"many\"",
        "0.yaml:10:27: statement_bytes is a size, not \"1k\"",
    ] {
        assert!(told.iter().any(|t| t == expected), "{expected}\n{told:#?}");
    }
}

#[test]
fn a_text_over_a_limit_is_refused_whatever_it_does() {
    let limits = "allow: [{rule: all, actions: [all], tables: [\"*\"]}]\n\
                  limits: {depth: 20, message_statements: 2, statement_bytes: 1KiB}\n";
    let enforced = session(&[&policy(limits)]);
    let observed = session(&[&policy(&format!("mode: observe\n{limits}"))]);
    assert_eq!((enforced.statement_bytes(), observed.statement_bytes()), (1024, 1024));
    let select = |depth| Statement { accesses: vec![on(ActionName::Select, "t")], depth, ..Statement::default() };
    let reset = Statement { default_set: true, ..Statement::default() };
    for (statements, limit, sqlstate) in [
        (vec![select(1), select(1), select(1)], Limit::MessageStatements, "54000"),
        (vec![select(1), select(21)], Limit::Depth, "54001"),
    ] {
        let facts = Facts { statements, ..Facts::default() };
        let refused = refusal(enforced.judge(&facts, moment(Parameters::None))).unwrap();
        assert_eq!((refused.rule, refused.sqlstate), (RuleRef::Limit(limit), sqlstate));
        assert!(refused.hint.is_some());
        let judgement = observed.judge(&facts, moment(Parameters::None));
        assert_eq!(judgement.would.clone().unwrap().rule, RuleRef::Limit(limit));
        assert!(refusal(judgement).is_none());
    }
    for statements in [vec![select(20), select(1)], vec![reset.clone(), reset, select(1), select(1)]] {
        assert!(refusal(enforced.judge(&Facts { statements, ..Facts::default() }, moment(Parameters::None))).is_none());
    }
    let refused = refusal(enforced.judge_too_long(2000)).unwrap();
    assert_eq!((refused.rule, refused.sqlstate), (RuleRef::Limit(Limit::StatementBytes), "54000"));
    assert!(observed.judge_too_long(2000).would.is_some());
}

#[test]
fn names_are_unique() {
    let twice = "policy: a\napplies_to: {users: [x]}\n---\npolicy: a\napplies_to: {users: [y]}\n";
    assert_eq!(findings(&[twice]), ["0.yaml:4:9: policy \"a\" stands twice: also in 0.yaml:1"]);
    let rules =
        "policy: a\napplies_to: {users: [x]}\ndeny:\n  - {rule: r, actions: [ddl]}\n  - {rule: r, actions: [dcl]}\n";
    assert!(findings(&[rules]).iter().any(|f| f.contains("rule \"r\" stands twice")));
}

#[test]
fn no_path_puts_a_schema_before_pg_catalog() {
    let late = "policy: a\napplies_to: {users: [x]}\nsearch_path: [evil, pg_catalog]\n\
                allow: [{rule: r, actions: [set], settings: [\"search_path=a,pg_catalog\", \"search_path=\"]}]\n";
    let told = findings(&[late]);
    assert_eq!(told.iter().filter(|t| t.contains("pg_catalog can't come after")).count(), 2, "{told:#?}");
    let first = "policy: p\napplies_to: {users: [app]}\nsearch_path: [pg_catalog, public]\n";
    let session = session(&[&format!("{first}{THREE_LINES}")]);
    assert_eq!(by(&session, vec![on(ActionName::Select, "orders"), on(ActionName::Select, "pg_class")]), "allow");
    assert_eq!(by(&session, vec![on(ActionName::Select, "pg_authid")]), "default");
}

#[test]
fn temporary_tables_are_ones_own_where_allowed() {
    let lines = "temp_tables: allow\nallow: [{rule: r, actions: [select], tables: [\"public.*\"]}]\n";
    let session = session(&[&policy(lines)]);
    let create = |name: &str| access(Action { name: ActionName::Create, kind: Some("table") }, relation(name));
    assert_eq!(by(&session, vec![create("pg_temp.t"), on(ActionName::Insert, "pg_temp.t")]), "allow");
    assert_eq!(by(&session, vec![on(ActionName::Select, "orders")]), "allow");
    assert_eq!(by(&session, vec![create("t")]), "default");
    assert_eq!(by(&session, vec![on(ActionName::Insert, "orders")]), "default");
    let without = self::session(&[&policy(THREE_LINES)]);
    assert_eq!(by(&without, vec![create("pg_temp.t")]), "default");
    assert_eq!(by(&without, vec![on(ActionName::Select, "pg_temp.t")]), "default");
}

#[test]
fn temporary_tables_don_t_stand_in_the_way_of_functions_and_maintenance() {
    let lines = "temp_tables: allow\nallow:\n  - {rule: f, actions: [call], functions: [\"public.price\"]}\n  \
                 - {rule: m, actions: [refresh, reindex, cluster], tables: [\"public.*\"]}\n";
    let session = session(&[&policy(lines)]);
    let price = Object::Function { name: Name::bare("price"), builtin: false };
    assert_eq!(by(&session, vec![access(ActionName::Call, price)]), "allow");
    for action in [ActionName::Refresh, ActionName::Reindex, ActionName::Cluster] {
        assert_eq!(by(&session, vec![on(action, "sales")]), "allow", "{action:?}");
    }
}

#[test]
fn the_default_of_a_transactions_setting_is_no_way_out_of_read_only() {
    let reset = |name: &str| {
        let object = Object::Setting { name: Operand::Constant(name.into()), value: SettingValue::Default };
        vec![access(ActionName::Reset, object)]
    };
    let pinned = session(&[&policy(&format!("pin: {{default_transaction_read_only: on}}\n{THREE_LINES}"))]);
    assert_eq!(by(&pinned, reset("transaction_read_only")), "guard");
    assert_eq!(by(&pinned, reset("default_transaction_read_only")), "allow");
    assert_eq!(by(&session(&[&policy(THREE_LINES)]), reset("transaction_read_only")), "allow");
}

#[test]
fn types_of_the_path_and_helpers_of_information_schema_need_no_rule() {
    let session = session(&[&policy(THREE_LINES)]);
    let of = |kind, name: &str, schema| {
        let object = Object::Function { name: Name::qualified(schema, name), builtin: false };
        vec![access(Action { name: ActionName::Call, kind }, object)]
    };
    assert_eq!(by(&session, of(Some("type"), "citext", "public")), "allow");
    assert_eq!(by(&session, of(Some("type"), "citext", "evil")), "default");
    assert_eq!(by(&session, of(None, "citext", "public")), "default");
    assert_eq!(by(&session, of(None, "_pg_expandarray", "information_schema")), "allow");
    assert_eq!(by(&session, of(None, "made_here", "information_schema")), "default");
    let allowed = self::session(&[&policy("allow: [{rule: t, actions: [call], functions: [evil.citext]}]\n")]);
    assert_eq!(by(&allowed, of(Some("type"), "citext", "evil")), "allow");
}
