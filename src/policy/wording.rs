//! The sentences of refusals and their hints.

use crate::policy::Moment;
use crate::policy::compile::allowable;
use crate::policy::decide::Lack;
use crate::policy::rule::Rule;
use crate::policy::settings::{Given, Known, given, known};
use crate::policy::when::{Asked, When};
use crate::sql::settings::holds_secrets;
use crate::sql::{Access, Action, ActionName, Group, Name, Object};

/// Why a text is refused that two parsers read differently, and what to do about it.
pub(crate) const READ_DIFFERENTLY: &str = "two parsers read the statement differently";
pub(crate) const READ_DIFFERENTLY_HINT: &str =
    "write it in a plainer way; `portcullis explain --verbose` shows both readings";

/// `DELETE on public.orders has no WHERE`: why a deny rule matched.
pub(crate) fn denied(rule: &Rule, access: &Access, asked: &Asked<'_>) -> String {
    let what = described(access, asked.moment);
    let condition = condition(&rule.when, asked);
    if rule.when.where_missing {
        return format!("{what} has no WHERE");
    }
    if rule.when.limit_missing {
        return format!("{what} has no LIMIT");
    }
    if let Some(condition) = condition {
        return condition;
    }
    if !rule.selectors.columns.is_empty() && matches!(access.object, Object::Relation(_)) {
        let mut named = access
            .columns
            .named
            .iter()
            .filter(|column| rule.selectors.columns.iter().any(|pattern| pattern.column.matches(column)));
        if let Some(column) = named.next() {
            return format!("{what} touches column {column}");
        }
        if access.columns.all {
            return format!("{what} touches all columns, and some are denied");
        }
    }
    format!("{what} is denied")
}

/// Why a text is refused that touches a decoy: worded like any denial, so that nobody learns what it is.
pub(crate) fn of_decoy(access: &Access, moment: &Moment<'_>) -> String {
    format!("{} is denied", described(access, moment))
}

/// Why a statement was refused that touches nothing.
pub(crate) fn denied_of_statement(rule: &Rule, asked: &Asked<'_>) -> String {
    condition(&rule.when, asked).unwrap_or_else(|| "the statement is denied".to_owned())
}

/// The condition on a statement that it met, in words.
fn condition(when: &When, asked: &Asked<'_>) -> Option<String> {
    let Asked { statement, counted, moment, .. } = asked;
    if when.statements_over.is_some() {
        return Some(format!("{counted} statements in one message"));
    }
    if when.joins_over.is_some() {
        return Some(format!("a statement with {} joins", statement.joins));
    }
    if when.depth_over.is_some() {
        return Some(format!("a statement {} levels deep", statement.depth));
    }
    if when.injection_over.is_some() {
        return Some(format!("injection score {}", moment.signals));
    }
    if when.inline {
        return Some("values are written into the text".to_owned());
    }
    None
}

/// Why an access that no rule covers is refused.
pub(crate) fn lacking(access: &Access, lack: Lack, moment: &Moment<'_>) -> String {
    if let Object::Unknown(what) = &access.object {
        return format!("the firewall does not know what it does: {what}");
    }
    let what = described(access, moment);
    match lack {
        Lack::Rule => format!("no rule allows {what}"),
        Lack::Guarded => format!("no rule allows {what}, which is guarded"),
        Lack::Pinned => format!("{what} would change what the policy pins"),
        Lack::Nameless => "which setting it changes can't be known before it runs".to_owned(),
        Lack::Temporary => format!("{what} would let temporary tables hide others"),
    }
}

/// What to do about an access that no rule can allow.
pub(crate) fn instead(access: &Access, lack: Lack, moment: &Moment<'_>) -> &'static str {
    match (&access.object, lack) {
        (_, Lack::Pinned) => "leave the setting as it is",
        (_, Lack::Temporary) => "end the path with pg_temp, or RESET search_path",
        (_, Lack::Guarded) if access.action.name == ActionName::AlterSystem => {
            "change it in the server's own configuration"
        }
        (_, Lack::Nameless) => "write the setting's name as a constant",
        (Object::Unknown(_), _) => "write it in another way; no rule can allow what is not understood",
        (Object::Role(_) | Object::AnyRole, _) => "name the role as a constant",
        (Object::Setting { name, value }, _) => match (known(name, moment), given(value, moment)) {
            (Known::Text(name), Given::Elements(values)) if lack == Lack::Guarded && !allowable(name, &values) => {
                "leave the setting as it is: no rule can allow this value"
            }
            _ => "write the value as a constant",
        },
        // A rule can name these.
        (
            Object::None | Object::Relation(_) | Object::Function { .. } | Object::Other { .. } | Object::Cursor(_),
            _,
        ) => "write it in another way",
    }
}

/// The pattern that means this name and no other: quoted where it would be folded or read as a wildcard.
pub(crate) fn pattern(name: &Name) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '$');
    let part = |part: &str| match !part.is_empty() && !part.starts_with('$') && part.chars().all(plain) {
        true => part.to_owned(),
        false => format!("\"{}\"", part.replace('"', "\"\"")),
    };
    let schema = name.schema.as_deref().map(|schema| format!("{}.", part(schema)));
    schema.unwrap_or_default() + &part(&name.name)
}

/// A scalar for a flow sequence, quoted where YAML would read it otherwise: a JSON string is one of YAML's, too.
pub(crate) fn yaml(text: &str) -> String {
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '=' | '-');
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if begins && text.chars().all(plain) && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

/// `DELETE on public.orders`, `CREATE INDEX on public.orders`, `call of public.f`, `SET search_path to "evil"`.
pub(crate) fn described(access: &Access, moment: &Moment<'_>) -> String {
    let told = plainly(access, moment);
    // CREATE FUNCTION is two actions, told apart.
    match access.action.name.group() == Group::Code && told.starts_with("CREATE ") {
        true => format!("{told} ({})", access.action),
        false => told,
    }
}

fn plainly(access: &Access, moment: &Moment<'_>) -> String {
    let action = access.action;
    match &access.object {
        Object::None => verb(action),
        Object::Function { name, .. } if action.name == ActionName::Call => format!("call of {name}"),
        Object::Function { name, .. } => format!("call of {name} ({action})"),
        Object::Relation(name) => format!("{} on {name}", verb(action)),
        Object::Other { kind: "type oid", name } => format!("use of the type with number {name}"),
        // A command line may hold anything; and a reason goes to the log.
        Object::Other { kind: "program", .. } => verb(action),
        Object::Other { kind, name } if action.kind == Some(kind) => format!("{} {name}", verb(action)),
        Object::Other { kind, name } => format!("{} on {kind} {name}", verb(action)),
        Object::Role(Some(role)) => format!("{} {role}", verb(action)),
        Object::Role(None) => format!("{} NONE", verb(action)),
        Object::AnyRole => format!("{} to a role that can't be known", verb(action)),
        Object::Cursor(name) => format!("use of cursor \"{name}\""),
        Object::Unknown(what) => what.to_string(),
        Object::Setting { name, value } => {
            let name = match known(name, moment) {
                Known::Text(name) => name,
                Known::Later | Known::Never => "a setting",
            };
            let of_server = if action.name == ActionName::AlterSystem { "ALTER SYSTEM " } else { "" };
            match given(value, moment) {
                Given::Default => format!("{of_server}RESET {name}"),
                _ if holds_secrets(name) => format!("{of_server}SET {name}"),
                value => format!("{of_server}SET {name} to {}", value.text()),
            }
        }
    }
}

/// The action in SQL's manner: `DROP TABLE`, `ALTER ADD COLUMN`.
fn verb(action: Action) -> String {
    action.to_string().replace([':', '_'], " ").to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Parameters;
    use crate::sql;

    #[test]
    fn what_is_described_tells_no_secrets() {
        let moment = Moment { now: jiff::Timestamp::UNIX_EPOCH, ..Moment::now(false, Parameters::None) };
        for (text, expected) in [
            ("COPY t FROM PROGRAM 'curl -u ann:secret'", "COPY PROGRAM"),
            ("ALTER SYSTEM SET primary_conninfo = 'password=secret'", "ALTER SYSTEM SET primary_conninfo"),
            ("ALTER SYSTEM SET Archive_Command = 'PGPASSWORD=secret x'", "ALTER SYSTEM SET archive_command"),
            ("SET app.token = 'secret'", "SET app.token"),
            ("SET search_path = evil", "SET search_path to \"evil\""),
        ] {
            let facts = sql::analyse(text, sql::Reading::default()).unwrap().facts;
            let told: Vec<String> =
                facts.statements.iter().flat_map(|s| &s.accesses).map(|access| described(access, &moment)).collect();
            assert!(told.iter().any(|told| told == expected), "{text}: {told:?}");
            assert!(!told.iter().any(|told| told.contains("secret")), "{text}: {told:?}");
        }
    }
}
