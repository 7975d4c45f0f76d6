//! Attribute notation: `u.onrow` may be the function `onrow` of the row `u`.

use super::*;
use crate::sql::{Reading, analyse};

/// The rule that refuses a text, if one does.
fn refused_by(rules: &str, text: &str) -> Option<String> {
    let session = session(&[&policy(rules)]);
    let moment = Moment { now: jiff::Timestamp::UNIX_EPOCH, ..Moment::now(false, Parameters::None) };
    let judged = session.judge(&analyse(text, Reading::default()).unwrap().facts, moment);
    refusal(judged).map(|refusal| refusal.rule.label().to_owned())
}

#[test]
fn a_deny_rule_strikes_a_function_written_as_a_column() {
    let rules = "allow:
  - {rule: rows, actions: [select], tables: ['*']}
  - {rule: calls, actions: [call], functions: ['*']}
deny:
  - {rule: no-onrow, actions: [call], functions: ['*.onrow', version]}
";
    for text in [
        "SELECT u.onrow FROM users u",
        "SELECT public.users.OnRow FROM users",
        "SELECT (u).onrow FROM users u",
        "SELECT (ROW(1)::users).onrow",
        "SELECT id FROM users u WHERE EXISTS (SELECT 1 WHERE u.onrow = 1)",
        "SELECT query_to_xml('SELECT u.onrow FROM users u', true, false, '')",
    ] {
        assert_eq!(refused_by(rules, text).as_deref(), Some("no-onrow"), "{text}");
    }
    // A column that stands alone is none; neither is one that is called like a built-in without a row.
    for text in ["SELECT onrow FROM users", "SELECT u.id FROM users u", "SELECT u.version FROM users u"] {
        assert_eq!(refused_by(rules, text), None, "{text}");
    }
}
