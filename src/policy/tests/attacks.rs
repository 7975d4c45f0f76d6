//! Attacks of the catalogue that are aimed at the language itself.

#[test]
fn no_rule_can_trust_what_the_client_calls_itself() {
    let yaml = "policy: p
applies_to: {users: [u]}
allow: [{rule: batch, actions: [delete], tables: [orders], when: {application_name: trusted}}]
";
    let error = crate::policy::load_text("p.yaml", yaml).expect_err("it must not load");
    assert!(error.contains("application_name"), "{error}");
}
