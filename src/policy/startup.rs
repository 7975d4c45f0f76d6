//! The startup packet's settings, judged like SET, and the pins that every enforced session gets (DESIGN §5).

use crate::policy::admit::Session;
use crate::policy::decide::Bench;
use crate::policy::settings::{Pin, same_text};
use crate::policy::verdict::{Refusal, RuleRef};
use crate::policy::{Moment, Parameters};
use crate::sql::settings::{canonical, parse_bool};
use crate::sql::{Access, ActionName, Facts, Object, Operand, SettingValue, Statement};

/// One setting of `options`, with the text that said it.
#[derive(Debug, PartialEq, Eq)]
struct Switch {
    name: String,
    value: String,
}

/// What to send upstream for the client's parameters.
pub(crate) fn parameters(bench: &Bench, parameters: &[(String, String)]) -> Result<Vec<(String, String)>, Refusal> {
    let mut pins = pins(bench);
    let mut sent = Vec::with_capacity(parameters.len() + pins.len());
    for (key, value) in parameters {
        match key.as_str() {
            "user" | "database" | "replication" => sent.push((key.clone(), value.clone())),
            "options" => {
                if let Some(options) = options(bench, &mut pins, value)? {
                    sent.push((key.clone(), options));
                }
            }
            // Protocol options that nobody here knows are not the server's business either; the handshake tells the client.
            key if key.starts_with("_pq_.") => {}
            _ => {
                if keep(bench, &mut pins, key, value)? {
                    sent.push((key.clone(), value.clone()));
                }
            }
        }
    }
    sent.extend(pins.into_iter().map(|pin| (pin.name, pin.value)));
    Ok(sent)
}

/// A setting that the session gets from us.
struct Fixed {
    name: String,
    value: String,
    /// From `pin:`: no other value may come in its place.
    hard: bool,
}

/// What is appended last, as keys: they beat `options`, ALTER ROLE and ALTER DATABASE, and come back after RESET.
fn pins(bench: &Bench) -> Vec<Fixed> {
    let own = |name: &str, value: String| Fixed { name: name.to_owned(), value, hard: false };
    let mut pins = vec![
        own("standard_conforming_strings", "on".to_owned()),
        own("backslash_quote", "safe_encoding".to_owned()),
        own("row_security", "on".to_owned()),
        own("role", "none".to_owned()),
    ];
    if let Some(path) = &bench.path {
        let mut schemas: Vec<String> = path.iter().map(|schema| quoted(schema)).collect();
        // Else temporary tables come first and shadow every name.
        if !path.iter().any(|schema| &**schema == "pg_temp") {
            schemas.push("pg_temp".to_owned());
        }
        pins.push(own("search_path", schemas.join(", ")));
    }
    let fixed = |pin: &Pin| Fixed { name: pin.name.to_string(), value: pin.value.to_string(), hard: true };
    pins.extend(bench.pins.iter().map(fixed));
    pins
}

/// A schema's name as the server reads it back from a list.
fn quoted(schema: &str) -> String {
    let plain = !schema.is_empty()
        && schema.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !schema.starts_with(|c: char| c.is_ascii_digit());
    if plain { schema.to_owned() } else { format!("\"{}\"", schema.replace('"', "\"\"")) }
}

/// Whether the client's setting is sent. It is not where a pin says the same.
fn keep(bench: &Bench, pins: &mut Vec<Fixed>, name: &str, value: &str) -> Result<bool, Refusal> {
    let canonical = canonical(name);
    if let Some(at) = pins.iter().position(|pin| pin.name == canonical) {
        let pin = pins.get(at);
        if pin.is_some_and(|pin| same_text(&canonical, value, &pin.value)) {
            return Ok(false);
        }
        judge(bench, name, value)?;
        if pin.is_some_and(|pin| pin.hard) {
            return Err(refuse(bench, format!("startup parameter {name} is pinned by the policy")));
        }
        // A rule (or the safe list) lets the client choose: its value takes the place of ours.
        pins.remove(at);
        return Ok(true);
    }
    judge(bench, name, value)?;
    Ok(true)
}

/// Judges one setting as SET of it.
fn judge(bench: &Bench, name: &str, value: &str) -> Result<(), Refusal> {
    let value = SettingValue::List(vec![Operand::Constant(value.into())]);
    let access = Access::new(ActionName::Set, Object::Setting { name: Operand::Constant(name.into()), value });
    let statements = vec![Statement { accesses: vec![access], ..Statement::default() }];
    let facts = Facts { statements, ..Facts::default() };
    let moment = Moment::now(false, Parameters::None);
    match bench.judge(&facts, &moment).refusal {
        None => Ok(()),
        Some(mut refusal) => {
            refusal.reason = format!("startup parameter {name}: {}", refusal.reason);
            Err(refusal)
        }
    }
}

fn refuse(bench: &Bench, reason: String) -> Refusal {
    Refusal { terse: bench.terse, ..Refusal::new(bench.policy.clone(), RuleRef::Guard, reason, "42501") }
}

/// Judges `options`; what is left of them to send, if anything.
fn options(bench: &Bench, pins: &mut Vec<Fixed>, text: &str) -> Result<Option<String>, Refusal> {
    let words = split_options(text);
    let switches = switches(&words).map_err(|word| {
        refuse(bench, format!("startup option \"{word}\" is not known here: only -c name=value and --name=value are"))
    })?;
    let mut kept = Vec::new();
    for switch in &switches {
        if keep(bench, pins, &switch.name, &switch.value)? {
            kept.push(switch);
        }
    }
    if kept.len() == switches.len() {
        return Ok(Some(text.to_owned()));
    }
    let written: Vec<String> =
        kept.iter().map(|switch| format!("-c {}", escaped(&format!("{}={}", switch.name, switch.value)))).collect();
    Ok(Some(written.join(" ")).filter(|text| !text.is_empty()))
}

/// The settings of the words; an unknown word as the error. (process_postgres_switches in postgres.c: getopt over
/// single letters, of which `-c` and `--` set a setting.)
fn switches(words: &[String]) -> Result<Vec<Switch>, &str> {
    let mut switches = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--") {
            Some(setting) => setting,
            None => match word.strip_prefix("-c") {
                Some("") => words.next().ok_or(word.as_str())?,
                Some(setting) => setting,
                None => return Err(word),
            },
        };
        let (name, value) = setting.split_once('=').ok_or(word.as_str())?;
        if name.is_empty() {
            return Err(word);
        }
        // ParseLongOption in guc.c turns `-` of a name into `_`.
        switches.push(Switch { name: name.replace('-', "_"), value: value.to_owned() });
    }
    Ok(switches)
}

/// pg_split_opts (postgres.c): words between white space, `\` takes the next character as it stands.
fn split_options(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            // isspace() in the C locale.
            ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' => words.extend(word.take()),
            // A `\` at the very end is dropped.
            '\\' => match chars.next() {
                Some(next) => word.get_or_insert_default().push(next),
                None => {
                    word.get_or_insert_default();
                }
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn escaped(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    for c in word.chars() {
        if c.is_ascii_whitespace() || c == '\x0b' || c == '\\' {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// Whether a reported setting has a value that it can't have while the guards hold.
pub(crate) fn alarm(session: &Session, name: &str, value: &str) -> Option<String> {
    let name = canonical(name);
    let tell = || Some(format!("the server reports {name} = \"{value}\", which the policies do not allow"));
    match name.as_str() {
        // What these change is how text is read: an alarm in every mode.
        "standard_conforming_strings" => return if parse_bool(value) == Some(true) { None } else { tell() },
        "client_encoding" => {
            return if crate::sql::encoding::Encoding::lookup(value).is_some() { None } else { tell() };
        }
        _ => {}
    }
    let bench = session.class.enforcing.as_ref()?;
    match name.as_str() {
        "session_authorization" if value != session.user => judge(bench, &name, value).err().and_then(|_| tell()),
        "search_path" if bench.path.is_some() => judge(bench, &name, value).err().and_then(|_| tell()),
        // The server reports these in a spelling of its own.
        "datestyle" | "timezone" => None,
        _ => {
            let pin = bench.pins.iter().find(|pin| *pin.name == *name)?;
            if same_text(&name, &pin.value, value) { None } else { tell() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        split_options(text)
    }

    #[test]
    fn options_split_as_the_server_does() {
        assert_eq!(split("  -c a=b\t--c=d "), ["-c", "a=b", "--c=d"]);
        assert_eq!(split(r"-c a=b\ c -c d=\\"), ["-c", "a=b c", "-c", r"d=\"]);
        assert_eq!(split("\\"), [""]);
        assert_eq!(split(""), Vec::<String>::new());
    }

    #[test]
    fn only_settings_are_known() {
        let ok = |text: &str| switches(&split(text)).unwrap();
        assert_eq!(
            ok("-c role=boss -crow_security=off --search-path=x"),
            [
                Switch { name: "role".into(), value: "boss".into() },
                Switch { name: "row_security".into(), value: "off".into() },
                Switch { name: "search_path".into(), value: "x".into() },
            ]
        );
        for bad in ["-e", "-ec role=x", "-S 64", "-fs", "-O", "-c", "-c role", "--role", "x", "-c =x", "--"] {
            assert!(switches(&split(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_written_back_splits_the_same() {
        for word in ["a=b c", r"a=\x", "a=\tb"] {
            assert_eq!(split(&escaped(word)), [word]);
        }
    }
}
