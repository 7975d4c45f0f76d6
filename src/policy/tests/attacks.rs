//! Attacks of the catalogue that are aimed at the language itself.

use super::*;
use crate::policy::{Arrival, Identity};
use crate::sql;

#[test]
fn no_rule_can_trust_what_the_client_calls_itself() {
    let deny =
        "policy: p\napplies_to: {users: [u]}\ndeny: [{rule: r, actions: [delete], when: {application_name: bad}}]\n";
    let error = crate::policy::load_text("p.yaml", deny).expect_err("it must not load");
    assert!(error.contains("application_name"), "{error}");
    let yaml = "policy: p
applies_to: {users: [u]}
allow: [{rule: batch, actions: [delete], tables: [orders], when: {application_name: trusted}}]
";
    let told = findings(&[yaml]);
    assert!(told.iter().any(|finding| finding.contains("warning") && finding.contains("application_name")), "{told:?}");
    // Who has another name now is refused now: the verdict is of no use later.
    let set = std::sync::Arc::new(crate::policy::load_text("p.yaml", yaml).unwrap());
    let session = set.admit(&set.test_identity(None).unwrap()).unwrap();
    let facts = sql::analyse("DELETE FROM orders", sql::Reading::default()).unwrap().facts;
    for (application_name, allowed) in [("trusted", true), ("Trusted", false), ("", false)] {
        let judged = session.judge(&facts, Moment { application_name, ..Moment::now(false, Parameters::None) });
        assert!(judged.refusal().is_none() == allowed && judged.timed && session.lasting(&judged).is_none());
    }
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
        let session =
            set.admit(&Identity { user, database, address, tls: true, replication, arrival: Arrival::default() });
        session.map(|session| session.enforces()).map_err(|refusal| refusal.rule.label().to_owned())
    };
    assert_eq!(login("app", false), Ok(true));
    assert_eq!(login("app", true), Err("require".to_owned()));
    assert_eq!(login("standby", true), Ok(false));
}
