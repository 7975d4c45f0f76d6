//! FunctionCall messages: `fastpath`, and what the function does when it is called by name.

use super::*;
use crate::sql;

const LO_OPEN: u32 = 952;
const LOREAD: u32 = 954;
const LO_UNLINK: u32 = 964;
const LO_EXPORT: u32 = 765;
const NOW: u32 = 1299;

/// The rule and the reason of the refusal of a FunctionCall on PostgreSQL 15; `None` where it passes.
fn call(lines: &str, oid: u32) -> Option<(String, String)> {
    let judgement = session(&[&policy(lines)]).judge(&sql::function_call(oid, 15), moment(Parameters::None));
    refusal(judgement).map(|refusal| {
        assert_eq!(refusal.sqlstate, "42501");
        (refusal.rule.label().to_owned(), refusal.reason)
    })
}

fn told(lines: &str, oid: u32) -> (String, String) {
    call(lines, oid).unwrap_or_else(|| panic!("{oid} passes under {lines}"))
}

/// `allow` with `fastpath` and these actions on everything.
fn fastpath_and(actions: &str) -> String {
    format!("allow: [{{rule: f, actions: [fastpath{actions}]}}]\n")
}

#[test]
fn without_fastpath_no_function_is_called() {
    let told = |lines: &str, oid: u32| told(lines, oid).1;
    assert_eq!(told(THREE_LINES, NOW), "no rule allows call of pg_catalog.now (fastpath)");
    let large_objects = "allow: [{rule: l, actions: [large_object]}]\n";
    assert_eq!(told(large_objects, LO_OPEN), "no rule allows call of pg_catalog.lo_open (fastpath)");
    // What no rule mentions passes under `unlisted: observe`, but not this.
    assert!(call("unlisted: observe\n", NOW).is_some());
}

#[test]
fn fastpath_allows_no_more_than_calls_by_name() {
    let only = fastpath_and("");
    assert_eq!(call(&only, NOW), None, "it computes");
    assert_eq!(told(&only, LO_OPEN).1, "no rule allows call of pg_catalog.lo_open (large_object)");
    assert_eq!(call(&fastpath_and(", large_object"), LO_OPEN), None);
    assert_eq!(call(&fastpath_and(", large_object"), LOREAD), None);
    let file = told(&fastpath_and(", large_object"), LO_EXPORT).1;
    assert_eq!(file, "no rule allows call of pg_catalog.lo_export (file_function)");
    assert_eq!(call(&fastpath_and(", file"), LO_EXPORT), None);
    assert!(call(&format!("baseline: none\n{only}"), NOW).is_some(), "calling it by name needs a rule, too");
}

/// One function of every class that is no plain action, and the group that allows it.
#[test]
fn every_class_is_asked_for() {
    for (name, oid, allowing) in [
        ("pg_read_file", 3826, ", file"),
        ("pg_sleep", 2626, ", sleep"),
        ("nextval", 1574, ", nextval"),
        ("pg_notify", 3036, ", notify"),
        ("pg_advisory_lock", 2880, ", advisory_lock"),
        ("pg_terminate_backend", 2096, ", signal_backend"),
        ("pg_reload_conf", 2621, ", server_control"),
        ("pg_drop_replication_slot", 3780, ", replication"),
    ] {
        assert_eq!(sql::functions::by_oid(oid, 15), Some(name));
        assert!(call(&fastpath_and(""), oid).is_some(), "{name} with fastpath alone");
        assert_eq!(call(&fastpath_and(allowing), oid), None, "{name}");
    }
}

/// The arguments may hold anything: what is judged by them is refused, whatever the rules say.
#[test]
fn what_depends_on_the_arguments_is_refused() {
    let everything = "allow: [{rule: f, actions: [all]}, {rule: s, actions: [set], settings: [\"*\"]},\n         \
                      {rule: r, actions: [set_role], roles: [\"*\"]}]\n";
    for (name, oid) in [
        ("set_config", 2078),
        ("query_to_xml", 2924),
        ("table_to_xml", 2923),
        ("database_to_xml", 2936),
        ("cursor_to_xml", 2925),
        ("ts_rewrite", 3685),
        ("domain_in", 2597),
    ] {
        assert_eq!(sql::functions::by_oid(oid, 15), Some(name));
        assert!(call(everything, oid).is_some(), "{name}");
    }
    assert_eq!(told(everything, 2078).0, "guard");
    assert_eq!(call(everything, LO_EXPORT), None);
}

#[test]
fn a_function_that_nobody_knows_is_refused() {
    for oid in [0, 4100, 10_000, 16_400, u32::MAX] {
        let (rule, reason) = told("allow: [{rule: f, actions: [all]}]\n", oid);
        assert_eq!(rule, "default");
        let expected =
            format!("the firewall does not know what it does: function with OID {oid} in a FunctionCall message");
        assert_eq!(reason, expected);
    }
    // A server newer than the table may have given an OID that was free to another function.
    let session = session(&[&policy(&fastpath_and(", large_object"))]);
    let on = |major| refusal(session.judge(&sql::function_call(LO_OPEN, major), moment(Parameters::None)));
    assert!(on(18).is_none());
    assert!(on(19).is_some());
    assert!(on(0).is_some());
}

#[test]
fn selectors_name_the_functions() {
    let some = "allow: [{rule: l, actions: [large_object, fastpath], functions: [\"pg_catalog.lo_*\", loread]}]\n";
    assert_eq!(call(some, LO_OPEN), None);
    assert_eq!(call(some, LOREAD), None);
    assert!(call(some, 955).is_some(), "lowrite isn't named");
    assert!(call(some, NOW).is_some());
    let objects = "allow: [{rule: l, actions: [large_object, fastpath], objects: [lo_open]}]\n";
    assert_eq!(call(objects, LO_OPEN), None);
    assert!(call(objects, LO_UNLINK).is_some());
    // Only what is allowed by name, too, although the other rule would let any function be called by OID.
    let narrow = "allow: [{rule: f, actions: [fastpath]}, {rule: l, actions: [large_object], functions: [lo_open]}]\n";
    assert_eq!(call(narrow, LO_OPEN), None);
    assert!(call(narrow, LO_UNLINK).is_some());
}

#[test]
fn deny_rules_strike_the_message_and_the_call() {
    let denied = |deny: &str, oid| call(&format!("{}deny: [{deny}]\n", fastpath_and(", large_object")), oid);
    let by = |deny: &str, oid| denied(deny, oid).map(|(rule, _)| rule);
    assert_eq!(by("{rule: d, actions: [fastpath]}", NOW), Some("d".into()));
    assert_eq!(by("{rule: d, actions: [fastpath]}", 16_400), Some("d".into()));
    assert_eq!(by("{rule: d, actions: [fastpath], functions: [lo_unlink]}", LO_UNLINK), Some("d".into()));
    assert_eq!(by("{rule: d, actions: [fastpath], functions: [lo_unlink]}", LO_OPEN), None);
    assert_eq!(by("{rule: d, actions: [large_object], functions: [\"lo_u*\"]}", LO_UNLINK), Some("d".into()));
    assert_eq!(by("{rule: d, actions: [call], functions: [now]}", NOW), Some("d".into()));
    assert_eq!(by("{rule: d, functions: [pg_catalog.now]}", NOW), Some("d".into()));
    assert_eq!(by("{rule: d, actions: [call], functions: [public.now]}", NOW), None);
}

#[test]
fn an_observing_policy_only_tells() {
    let observing = format!("{}mode: observe\n", policy(THREE_LINES));
    let judged = session(&[&observing]).judge(&sql::function_call(LO_EXPORT, 15), moment(Parameters::None));
    assert_eq!(judged.would.as_ref().map(|would| would.rule.label()), Some("default"));
    assert!(refusal(judged).is_none());
}
