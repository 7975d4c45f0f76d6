//! `on_disagreement`: what becomes of a text that two parsers read differently.

use super::*;
use crate::sql::second_opinion::{Disagreement, Opinion};

#[test]
fn what_two_parsers_read_differently_is_refused_unless_every_enforcing_policy_observes() {
    let differs = Opinion::Disagrees(Disagreement { postgresql: Vec::new(), second: Vec::new() });
    let heard = |files: &[&str], opinion: &Opinion| {
        let session = session(files);
        session.after_second_opinion(judge(&session, vec![on(ActionName::Select, "orders")]), opinion)
    };
    let rule = |judged: Judgement| refusal(judged).map(|refusal| (refusal.rule.label().to_owned(), refusal.sqlstate));
    let refuses = policy(THREE_LINES);
    let observes = format!("{}on_disagreement: observe\n", policy(THREE_LINES).replace("policy: p", "policy: q"));
    let watches = format!("{refuses}mode: observe\n");
    assert_eq!(rule(heard(&[&refuses], &differs)), Some(("disagreement".to_owned(), "42501")));
    assert_eq!(rule(heard(&[&refuses, &observes], &differs)), Some(("disagreement".to_owned(), "42501")));
    assert_eq!(rule(heard(&[&observes], &differs)), None);
    assert_eq!(rule(heard(&[&refuses], &Opinion::Agrees)), None);
    // Observed, it is only told.
    let judged = heard(&[&watches], &differs);
    assert_eq!(judged.would.as_ref().map(|would| would.rule.label()), Some("disagreement"));
    assert_eq!(rule(judged), None);
    // What a rule refuses stays that rule's.
    let session = session(&[&refuses]);
    let judged = session.after_second_opinion(judge(&session, vec![on(ActionName::Truncate, "x")]), &differs);
    assert_eq!(rule(judged), Some(("default".to_owned(), "42501")));
    let wrong = policy(&format!("{THREE_LINES}on_disagreement: refuses\n"));
    assert!(findings(&[&wrong])[0].contains("refuses"), "{:?}", findings(&[&wrong]));
}
