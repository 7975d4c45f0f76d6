//! Settings in rules, pins, and the search_path.

use super::Compiler;
use super::values::{BadValue, bad_value};
use crate::policy::diagnostic::{Code, did_you_mean};
use crate::policy::glob::Glob;
use crate::policy::lonely::{Kind, Mention};
use crate::policy::names::{self, spelling::visible};
use crate::policy::reader::At;
use crate::policy::settings::{Pin, SettingPattern};
use crate::sql::settings::{Context, all, canonical, parse_bool, setting};

impl Compiler<'_, '_, '_> {
    pub(super) fn setting(&mut self, at: &At<String>) -> Option<SettingPattern> {
        let pattern = SettingPattern::new(&at.value);
        let name = at.value.split('=').next().unwrap_or_default().trim();
        let plain =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$' | '-' | '*' | '?') || !c.is_ascii();
        if name.is_empty() || !name.chars().all(plain) || name.contains(char::is_whitespace) {
            let message = format!("\"{}\" is no setting", visible(&at.value));
            let help = "write name, glob* or name=value, each as an entry of its own: [\"app.*\", \"work_mem=64MB\"]";
            self.reader.help(Code::BadPattern, at.place, message, help);
            return None;
        }
        if let Glob::Literal(name) = &pattern.name {
            match &**name {
                "role" | "session_authorization" => {
                    self.reader.help(
                        Code::RoleIsNoSetting,
                        at.place,
                        format!("{name} is not changed by a `set` rule"),
                        "write `actions: [set_role], roles: [...]`",
                    );
                    return None;
                }
                "standard_conforming_strings" | "backslash_quote" | "client_encoding"
                    if pattern.value.as_deref().is_some_and(|value| !lexes_safely(name, value)) =>
                {
                    self.reader.help(
                        Code::UnsafeSetting,
                        at.place,
                        format!(
                            "{name} can't be allowed at this value: statements would not be read as the server does"
                        ),
                        "the safe values need no rule",
                    );
                    return None;
                }
                _ => {}
            }
            if &**name == "search_path"
                && let Some(value) = &pattern.value
                && let Some(problem) = bad_path(value)
            {
                self.reader.help(
                    Code::UnsafeSetting,
                    at.place,
                    problem,
                    "write schemas divided by commas: search_path=api,public",
                );
                return None;
            }
            let known = setting(name);
            if known.is_none() && !name.contains('.') {
                let message = format!("the server has no setting \"{name}\"");
                let help = match near_setting(name) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => "settings of extensions have a dot in their name".to_owned(),
                };
                self.reader.help(Code::UnknownSetting, at.place, message, help);
                return None;
            }
            if crate::sql::settings::is_guarded(name) && pattern.value.is_none() {
                self.reader.help(
                    Code::GuardedSetting,
                    at.place,
                    format!("\"{name}\" is guarded: naming it without a value allows nothing"),
                    format!("write \"{name}=VALUE\" for the value that is meant"),
                );
            }
        }
        Some(pattern)
    }

    pub(super) fn pins(&mut self, pins: Vec<(At<String>, At<String>)>) -> Vec<Pin> {
        let mut compiled: Vec<Pin> = Vec::new();
        for (name, value) in pins {
            let canonical = canonical(&name.value);
            if let Some(NotPinnable { code, message, help }) = not_pinnable(&canonical) {
                self.reader.help(code, name.place, message, help);
                continue;
            }
            if let Some(BadValue { message, help }) = bad_value(&canonical, &value.value) {
                self.reader.help(Code::BadPin, value.place, message, help);
                continue;
            }
            if compiled.iter().any(|pin| *pin.name == *canonical) {
                let message = format!("\"{canonical}\" is pinned twice");
                let help = "both are names of one setting: take one out";
                self.reader.help(Code::PinnedTwice, name.place, message, help);
                continue;
            }
            compiled.push(Pin { name: canonical.into(), value: value.value.into() });
        }
        compiled
    }

    pub(super) fn search_path(&mut self, path: &[At<String>]) -> Vec<Box<str>> {
        let mut schemas: Vec<Box<str>> = Vec::new();
        for at in path {
            if at.value == "$user" || at.value == "\"$user\"" {
                self.reader.help(
                    Code::BadSearchPath,
                    at.place,
                    "\"$user\" can't stand in search_path: what a name means would depend on who asks",
                    "name the schemas",
                );
                continue;
            }
            match names::split_identifiers(&at.value).as_deref() {
                Some([schema]) if schema == "pg_catalog" && !schemas.is_empty() => {
                    self.reader.help(
                        Code::BadSearchPath,
                        at.place,
                        CATALOG_LATE,
                        "leave it out: pg_catalog always comes first",
                    );
                }
                Some([schema]) if !schema.is_empty() => {
                    self.mentions.push(Mention { kind: Kind::Schema, name: schema.as_str().into(), place: at.place });
                    schemas.push(schema.as_str().into());
                }
                _ => self.reader.help(
                    Code::BadSearchPath,
                    at.place,
                    format!("\"{}\" is no schema name", at.value),
                    "one schema for each entry: [api, public]",
                ),
            }
        }
        schemas
    }
}

/// Why a path can't be allowed.
const CATALOG_LATE: &str = "pg_catalog can't come after other schemas: theirs would hide PostgreSQL's own functions";

/// Whether a rule may name a guarded setting with this value.
pub(crate) fn allowable(name: &str, values: &[&str]) -> bool {
    let value = values.join(",");
    lexes_safely(name, &value) && (name != "search_path" || bad_path(&value).is_none())
}

/// What is wrong with a value of `search_path=`.
fn bad_path(value: &str) -> Option<String> {
    let Some(schemas) = names::split_identifiers(value) else {
        return Some(format!("\"{value}\" is no search_path"));
    };
    if schemas.iter().any(|schema| schema == "$user") {
        return Some("\"$user\" can't stand in search_path: what a name means would depend on who asks".to_owned());
    }
    let late = schemas.iter().position(|schema| schema == "pg_catalog").is_some_and(|at| at > 0);
    late.then(|| CATALOG_LATE.to_owned())
}

/// Whether a value of a lexing setting is one under which text is read as `sql` reads it.
fn lexes_safely(name: &str, value: &str) -> bool {
    match name {
        "standard_conforming_strings" => parse_bool(value) == Some(true),
        "backslash_quote" => value.eq_ignore_ascii_case("safe_encoding"),
        "client_encoding" => crate::sql::encoding::Encoding::lookup(value).is_some(),
        _ => true,
    }
}

/// Why a setting can't be pinned, and what to do.
struct NotPinnable {
    code: Code,
    message: String,
    help: String,
}

/// Why a setting can't be pinned, in the right words, and what to do.
fn not_pinnable(name: &str) -> Option<NotPinnable> {
    let no = |code, message: String, help: String| Some(NotPinnable { code, message, help });
    let say = |message: &str, help: &str| no(Code::NotPinnable, message.to_owned(), help.to_owned());
    match name {
        "search_path" => return say("search_path is not pinned by `pin`", "write `search_path: [...]` in the policy"),
        "role" | "session_authorization" => {
            return say(
                &format!("{name} is not a pin: every session starts as its own user"),
                "allow changes by `actions: [set_role], roles: [...]`",
            );
        }
        "standard_conforming_strings"
        | "backslash_quote"
        | "row_security"
        | "client_encoding"
        | "session_replication_role" => {
            return say(&format!("{name} is guarded in every session"), "take the pin out");
        }
        "transaction_read_only" | "transaction_isolation" | "transaction_deferrable" => {
            return say(
                &format!("{name} lasts one transaction: at session start the server accepts it and does nothing"),
                &format!("pin default_{name}"),
            );
        }
        "seed" => return say("seed does nothing at session start", "take the pin out"),
        _ => {}
    }
    if name.contains('.') {
        return None;
    }
    let Some(known) = setting(name) else {
        let message = format!("the server has no setting \"{name}\"");
        let help = match near_setting(name) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "see the server's pg_settings; settings of extensions have a dot in their name".to_owned(),
        };
        return no(Code::UnknownSetting, message, help);
    };
    let why = match known.context {
        Context::User => return None,
        Context::Internal => "nobody can set it",
        Context::Postmaster => "it is set when the server starts",
        Context::Sighup => "it is set in the server's configuration",
        Context::SuperuserBackend | Context::Superuser => "only superusers can set it",
        Context::Backend => "it is fixed when a connection starts and the session can't change it anyway",
    };
    let help = "take it out: pins are settings that any session may set (context `user` in pg_settings)".to_owned();
    no(Code::NotPinnable, format!("{name} can't be pinned: {why}"), help)
}

/// The setting that a misspelt one seems to mean: rather one that policies often name.
fn near_setting(name: &str) -> Option<&'static str> {
    let all = all().iter().map(|setting| setting.name);
    did_you_mean(name, SETTINGS_OFTEN_NAMED.iter().copied().chain(all))
}

/// The settings that policies name most, for suggestions.
const SETTINGS_OFTEN_NAMED: &[&str] = &[
    "application_name",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "lock_timeout",
    "row_security",
    "search_path",
    "statement_timeout",
    "temp_buffers",
    "timezone",
    "transaction_timeout",
    "work_mem",
];
