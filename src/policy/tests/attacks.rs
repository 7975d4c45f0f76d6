//! Attacks of the catalogue that are aimed at the language itself.

use crate::policy::Identity;

#[test]
fn no_rule_can_trust_what_the_client_calls_itself() {
    let yaml = "policy: p
applies_to: {users: [u]}
allow: [{rule: batch, actions: [delete], tables: [orders], when: {application_name: trusted}}]
";
    let error = crate::policy::load_text("p.yaml", yaml).expect_err("it must not load");
    assert!(error.contains("application_name"), "{error}");
}

#[test]
fn an_observing_policy_is_no_side_door_for_replication() {
    let yaml = "policy: shop
applies_to: {users: [app]}
---
policy: watched
applies_to: {users: ['*'], replication: true}
mode: observe
";
    let set = std::sync::Arc::new(crate::policy::load_text("p.yaml", yaml).unwrap());
    let login = |user: &str, replication| {
        let (user, database) = (user.to_owned(), "d".to_owned());
        let address = std::net::IpAddr::from([127, 0, 0, 1]);
        let session = set.admit(&Identity { user, database, address, tls: true, replication });
        session.map(|session| session.enforces()).map_err(|refusal| refusal.rule.label().to_owned())
    };
    assert_eq!(login("app", false), Ok(true));
    assert_eq!(login("app", true), Err("require".to_owned()));
    assert_eq!(login("standby", true), Ok(false));
}
