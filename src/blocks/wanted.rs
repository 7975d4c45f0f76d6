//! What a call wants blocked: read from JSON, each field by itself, with errors that say what to write.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::blocks::{LONGEST, REASON, Target};
use crate::sql::StatementHash;
use crate::units;

/// A block to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub target: Target,
    pub until: Timestamp,
    pub reason: Box<str>,
}

/// Why a call can't be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("the body is no JSON: {0}")]
    NoJson(String),
    #[error("the body is no JSON object: write {EXAMPLE}")]
    NoObject,
    #[error("unknown field `{0}`: there are hash, user, for, until and reason")]
    UnknownField(String),
    #[error("`{field}`: {problem}")]
    Field { field: &'static str, problem: String },
}

const EXAMPLE: &str = "{\"hash\": \"32 hexadecimal digits\", \"for\": \"2h\", \"reason\": \"one line\"}";

/// The longest name of a role, in bytes (`NAMEDATALEN - 1`).
const NAME: usize = 63;

impl Wanted {
    /// Reads `{"hash" or "user", "for" or "until", "reason"}`.
    ///
    /// # Errors
    /// The first field that is missing, or can't be used.
    pub fn from_json(body: &[u8], now: Timestamp) -> Result<Wanted, Unusable> {
        let value: Value = serde_json::from_slice(body).map_err(|error| Unusable::NoJson(error.to_string()))?;
        let Value::Object(fields) = value else { return Err(Unusable::NoObject) };
        if let Some(unknown) = fields.keys().find(|key| !["hash", "user", "for", "until", "reason"].contains(&&***key))
        {
            return Err(Unusable::UnknownField(unknown.chars().take(60).collect()));
        }
        let target = match (text(&fields, "hash")?, text(&fields, "user")?) {
            (Some(hash), None) => Target::Hash(self::hash(hash)?),
            (None, Some(user)) => Target::User(self::user(user)?),
            (None, None) => {
                return wrong("hash", "missing: say which statement (hash) or which user (user) is to be blocked");
            }
            (Some(_), Some(_)) => return wrong("user", "a block is of a hash or of a user: make two"),
        };
        let until = match (text(&fields, "for")?, text(&fields, "until")?) {
            (Some(length), None) => lasting(length, now)?,
            (None, Some(until)) => ending(until, now)?,
            (None, None) => {
                return wrong("for", "missing: say how long (for: 2h) or until when (until: 2026-01-31T18:00:00Z)");
            }
            (Some(_), Some(_)) => return wrong("until", "say `for` or `until`, not both"),
        };
        let Some(reason) = text(&fields, "reason")? else {
            return wrong("reason", "missing: say why, in one line; refused clients read it");
        };
        Ok(Wanted { target, until, reason: self::reason(reason)? })
    }
}

fn wrong<T>(field: &'static str, problem: impl Into<String>) -> Result<T, Unusable> {
    Err(Unusable::Field { field, problem: problem.into() })
}

/// A field's text; JSON's null is as good as nothing.
fn text<'f>(fields: &'f Map<String, Value>, field: &'static str) -> Result<Option<&'f str>, Unusable> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            wrong(field, "write it as a text, in quotes")
        }
    }
}

/// # Errors
/// Not a hash.
pub(super) fn hash(text: &str) -> Result<StatementHash, Unusable> {
    text.trim().parse().or_else(|_| {
        wrong("hash", "it has 32 hexadecimal digits: copy it from a line of the log, or from `portcullis explain`")
    })
}

/// # Errors
/// Not a name that a role can have.
pub(super) fn user(text: &str) -> Result<Box<str>, Unusable> {
    match text {
        "" => wrong("user", "the name is empty"),
        _ if text.len() > NAME => wrong("user", format!("longer than {NAME} bytes: no role has such a name")),
        _ if text.chars().any(char::is_control) => wrong("user", "it holds control characters"),
        _ => Ok(text.into()),
    }
}

/// # Errors
/// Not one line of text, or too long.
pub(super) fn reason(text: &str) -> Result<Box<str>, Unusable> {
    let text = text.trim();
    // What ends a line, or turns its direction, anywhere.
    let breaks = |c: char| {
        c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    match text.chars().count() {
        0 => wrong("reason", "empty: say why, in one line; refused clients read it"),
        length if length > REASON => {
            wrong("reason", format!("{length} characters, at most {REASON} are told to clients: shorten it"))
        }
        _ if text.chars().any(breaks) => {
            wrong("reason", "line ends and control characters are not allowed: write one line")
        }
        _ => Ok(text.into()),
    }
}

fn lasting(text: &str, now: Timestamp) -> Result<Timestamp, Unusable> {
    let Some(length) = units::duration(text) else {
        return wrong("for", format!("`{}` is not a duration like 90s, 30m, 2h or 7d", shown(text)));
    };
    if length.is_zero() {
        return wrong("for", "it would be over at once: write a duration like 30m or 2h");
    }
    let until = SignedDuration::try_from(length)
        .ok()
        .filter(|_| length <= LONGEST)
        .and_then(|length| now.checked_add(length).ok());
    until.map_or_else(|| wrong("for", too_long()), Ok)
}

fn ending(text: &str, now: Timestamp) -> Result<Timestamp, Unusable> {
    let Ok(until) = text.parse::<Timestamp>() else {
        return wrong(
            "until",
            format!("`{}` is not a time like 2026-01-31T18:00:00Z or 2026-01-31T18:00:00+01:00", shown(text)),
        );
    };
    if until <= now {
        return wrong("until", format!("{until:.0} is past: the proxy's clock says {now:.0}"));
    }
    if until.duration_since(now).unsigned_abs() > LONGEST {
        return wrong("until", too_long());
    }
    Ok(until)
}

fn too_long() -> String {
    "at most 366 days: what is to stay refused belongs into a policy, as a deny rule".to_owned()
}

/// As much of a text as an error needs.
fn shown(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}
