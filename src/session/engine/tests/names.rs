//! A text that uses names and does other things: what is only observed of the names hides nothing of the rest.

use super::*;

const LENIENT: &str = "
policy: shop
applies_to: {users: [shop_app]}
search_path: [public]
unlisted: observe
allow:
  - {rule: data, actions: [select], tables: ['*']}
deny:
  - {rule: keep, actions: [truncate], tables: [orders]}
";

#[test]
fn an_observed_cursor_lets_nothing_else_of_its_text_pass() {
    let mut session = Session::new(LENIENT);
    session.passes(&query("FETCH ALL FROM nobody_knows"));
    for text in [
        "FETCH ALL FROM nobody_knows; COPY (SELECT 1) TO PROGRAM 'sh'",
        "COMMIT; TRUNCATE orders; COMMIT; FETCH ALL FROM nobody_knows",
    ] {
        assert_eq!(session.refused(&query(text), b'Q').0, "42501", "{text}");
    }
}

#[test]
fn behind_an_observed_name_a_refused_one_is_still_seen() {
    let mut session = Session::new(LENIENT);
    assert_eq!(session.refused(&query("FETCH ALL FROM nobody_knows; EXECUTE nor_this"), b'Q').0, "26000");
}

const SET: &str = "
policy: shop
applies_to: {users: [shop_app]}
search_path: [public]
allow:
  - {rule: settings, actions: [set], settings: ['app.*']}
deny:
  - {rule: watched, mode: observe, actions: [set], settings: ['app.watched']}
  - {rule: denied, actions: [set], settings: ['app.denied']}
";

#[test]
fn of_several_statements_behind_a_name_one_that_is_refused_is_enough() {
    for values in [["app.watched", "app.denied"], ["app.denied", "app.watched"]] {
        let mut session = Session::new(SET);
        // Both may stand behind the name until the server has answered; their verdicts wait for the values.
        session.passes(&[parse("s", "SELECT set_config($1, $2, false)"), sync()].concat());
        session.passes(&[parse("s", "SELECT set_config($2, $1, false)"), sync()].concat());
        assert_eq!(session.refused(&bind("", "s", &values), b'P').0, "42501", "{values:?}");
    }
}
