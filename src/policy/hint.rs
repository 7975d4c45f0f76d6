//! What a client is told to do about what no rule covers: all the rules that would allow it, or why none can. Computed for
//! refusals only.

use std::fmt::Write as _;

use crate::policy::Moment;
use crate::policy::decide::Lack;
use crate::policy::names::Scope;
use crate::policy::suggest::{self, Breadth, NewRule, together};
use crate::sql::Access;

/// More missing accesses than this are not looked at.
pub(crate) const MOST_ACCESSES: usize = 32;

/// The most rules in a hint, and its most bytes: it is one field of an error, read in a terminal.
const MOST_RULES: usize = 6;
const MOST_BYTES: usize = 1_000;

/// What to do about all that is missing; `reason` is told already.
pub(crate) fn lacking(scope: &Scope, reason: &str, missing: &[(&Access, Lack)], moment: &Moment<'_>) -> String {
    match suggest::rules(scope, missing.iter().copied(), moment, Breadth::Objects) {
        Ok(rules) => ask(&together(rules), missing.len() > MOST_ACCESSES),
        Err(helpless) => {
            let own = helpless.iter().find_map(|sentence| sentence.strip_prefix(reason)?.strip_prefix(": "));
            match (own, helpless.first()) {
                (Some(own), _) => own.to_owned(),
                (None, Some(other)) => format!("no allow rule helps: {other}"),
                (None, None) => "no allow rule helps".to_owned(),
            }
        }
    }
}

/// `ask the DBA to allow it: - {rule: NAME, actions: [select], tables: [orders]}`, or a line for each rule.
fn ask(rules: &[NewRule], more: bool) -> String {
    const ASK: &str = "ask the DBA to allow it:";
    let told = match rules {
        [rule] => format!("{ASK} - {}", rule.yaml("NAME")),
        rules => {
            let mut told = ASK.to_owned();
            for (number, rule) in (1..).zip(rules) {
                // Writing to a `String` does not fail.
                let _ = write!(told, "\n- {}", rule.yaml(&format!("NAME{number}")));
            }
            told
        }
    };
    if more || rules.len() > MOST_RULES || told.len() > MOST_BYTES {
        return "ask the DBA to allow it; `portcullis explain` writes the rules, which are too many for a hint"
            .to_owned();
    }
    told
}
