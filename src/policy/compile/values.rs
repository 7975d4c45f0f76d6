//! Whether the server takes a value for a setting, as far as every supported version refuses it: a pin that the server refuses
//! locks every session out.

use crate::sql::settings::{Setting, VarType, parse_bool, setting};

/// Why a value is none that the setting takes, and what to write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadValue {
    pub message: String,
    pub help: String,
}

fn bad(message: String, help: impl Into<String>) -> Option<BadValue> {
    Some(BadValue { message, help: help.into() })
}

const ANY: &str = "the server would refuse every session at its start: write a value that it takes";

/// What is wrong with a value of a setting (its canonical name).
pub(super) fn bad_value(name: &str, value: &str) -> Option<BadValue> {
    let known = setting(name)?;
    match known.vartype {
        VarType::Bool if parse_bool(value).is_none() => bad(format!("{name} is on or off, not \"{value}\""), ANY),
        VarType::Enum if !is_word(&known, value) => {
            bad(format!("{name} is one of {}, not \"{value}\"", known.values.join(", ")), ANY)
        }
        VarType::Integer | VarType::Real => bad_number(name, &known, value),
        VarType::String => match name {
            "datestyle" => bad_date_style(value),
            "timezone" => bad_zone(value),
            _ => None,
        },
        VarType::Bool | VarType::Enum => None,
    }
}

/// Whether an enum has this word, those too that `pg_settings` does not show (`config_enum_entry` in guc_tables.c): other words
/// for on and off, and old names of message levels.
fn is_word(known: &Setting, value: &str) -> bool {
    let is = |word: &str| word.eq_ignore_ascii_case(value);
    let switch = known.values.contains(&"on") && known.values.contains(&"off");
    let levels = known.values.contains(&"notice") && known.values.contains(&"warning");
    known.values.iter().any(|word| is(word))
        || (switch && ["true", "false", "yes", "no", "1", "0"].into_iter().any(is))
        || (levels && ["debug", "info", "fatal", "panic"].into_iter().any(is))
}

/// A unit with its size in the smallest of its kind: bytes, microseconds.
type Unit = (&'static str, f64);

/// The units of sizes and of times, the largest first (guc.c).
const SIZES: [Unit; 5] =
    [("TB", 1_099_511_627_776.0), ("GB", 1_073_741_824.0), ("MB", 1_048_576.0), ("kB", 1024.0), ("B", 1.0)];
const TIMES: [Unit; 6] = [
    ("d", 86_400_000_000.0),
    ("h", 3_600_000_000.0),
    ("min", 60_000_000.0),
    ("s", 1_000_000.0),
    ("ms", 1000.0),
    ("us", 1.0),
];

/// The units that a setting's value may have, and the size of its own.
fn units(base: &str) -> Option<(&'static [Unit], f64)> {
    let of = |units: &'static [Unit]| {
        let digits = base.len() - base.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (times, unit) = base.split_at(digits);
        let times = if times.is_empty() { 1.0 } else { times.parse().ok()? };
        units.iter().find(|(name, _)| *name == unit).map(|(_, size)| (units, size * times))
    };
    of(&SIZES).or_else(|| of(&TIMES))
}

/// A number as the server reads it (`parse_int` and `parse_real` in guc.c), its unit, its range.
fn bad_number(name: &str, known: &Setting, value: &str) -> Option<BadValue> {
    let whole = known.vartype == VarType::Integer;
    let units = units(known.unit);
    let said = match units {
        Some((units, _)) => {
            let names: Vec<&str> = units.iter().rev().map(|(name, _)| *name).collect();
            format!("write a number of {}, or one with its unit: {}; capitals count", known.unit, names.join(", "))
        }
        None => "write a number without a unit".to_owned(),
    };
    let (number, unit) = match number(value, whole) {
        Read::Number(number, unit) => (number, unit.trim_matches(is_space)),
        Read::Unsure => return None,
        Read::None => return bad(format!("{name} is a number, not \"{value}\""), said),
    };
    let amount = match (units, unit) {
        (_, "") => number,
        (None, _) => return bad(format!("{name} is a number without a unit, not \"{value}\""), said),
        (Some((units, base)), unit) => {
            let Some(index) = units.iter().position(|(name, _)| *name == unit) else {
                return bad(format!("\"{unit}\" in {name} is no unit that PostgreSQL knows"), said);
            };
            let size = units.get(index).map_or(1.0, |(_, size)| *size);
            // A part of a unit is rounded to whole ones of the next smaller.
            match units.get(index + 1) {
                Some((_, next)) if whole => (number * size / next).round_ties_even() * next / base,
                Some(_) | None => number * size / base,
            }
        }
    };
    let amount = if whole { amount.round_ties_even() } else { amount };
    let (least, most) = known.range?;
    // pg_settings rounds the largest `real` down.
    let most = if most > 1e308 { f64::MAX } else { most };
    if amount >= least && amount <= most {
        return None;
    }
    let of = match known.unit {
        "" => String::new(),
        blocks if blocks.starts_with(|c: char| c.is_ascii_digit()) => format!(" times {blocks}"),
        unit => format!(" {unit}"),
    };
    let (least, most) = (shown(least), shown(most));
    bad(format!("{name} is from {least}{of} to {most}{of}, not \"{value}\""), ANY)
}

fn shown(number: f64) -> String {
    if number.abs() < 1e16 { number.to_string() } else { format!("{number:e}") }
}

/// What stands at the beginning of a text.
#[derive(Debug, PartialEq)]
enum Read<'a> {
    /// A number, and what follows it.
    Number(f64, &'a str),
    /// A spelling that some server's C library may take.
    Unsure,
    None,
}

/// C's `isspace`.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// Reads a number as `strtol` with base 0 does, else, at a point or an exponent, as `strtod`.
fn number(text: &str, whole: bool) -> Read<'_> {
    let text = text.trim_start_matches(is_space);
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (if text.starts_with('-') { -1.0 } else { 1.0 }, rest),
        None => (1.0, text),
    };
    let run = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let named = |word: &str| digits.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
    if named("0x") || (!whole && (named("inf") || named("nan"))) {
        return Read::Unsure;
    }
    let (before, rest) = digits.split_at(run(digits));
    let (after, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(run(rest)),
        None => ("", rest),
    };
    if before.is_empty() && after.is_empty() {
        return Read::None;
    }
    let with_point = digits.get(before.len()..).is_some_and(|rest| rest.starts_with('.'));
    let (exponent, rest) = match rest.strip_prefix(['e', 'E']) {
        Some(power) => {
            let signed = power.strip_prefix(['-', '+']).unwrap_or(power);
            let end = power.len() - signed.len() + run(signed);
            if run(signed) == 0 { ("", rest) } else { power.split_at(end) }
        }
        None => ("", rest),
    };
    if whole && !with_point && exponent.is_empty() && before.len() > 1 && before.starts_with('0') {
        // Octal, as in C.
        let end = before.find(['8', '9']).unwrap_or(before.len());
        let (octal, _) = before.split_at(end);
        let rest = digits.get(octal.len()..).unwrap_or_default();
        return u64::from_str_radix(octal, 8).map_or(Read::Unsure, |number| Read::Number(sign * number as f64, rest));
    }
    let spelt = format!("{before}.{after}e{}", if exponent.is_empty() { "0" } else { exponent });
    let spelt = if before.is_empty() { format!("0{spelt}") } else { spelt };
    spelt.parse::<f64>().map_or(Read::Unsure, |number| Read::Number(sign * number, rest))
}

/// DateStyle's words (`check_datestyle` in variable.c).
fn bad_date_style(value: &str) -> Option<BadValue> {
    const HELP: &str = "write one of ISO, SQL, Postgres, German, and one of MDY, DMY, YMD: \"ISO, DMY\"";
    let (mut styles, mut orders) = (Vec::new(), Vec::new());
    let words = value.split(',').filter(|_| !value.trim_matches(is_space).is_empty());
    for word in words {
        let word = word.trim_matches(|c| is_space(c) || c == '"').to_ascii_lowercase();
        match word.as_str() {
            "iso" | "sql" | "german" => styles.push(word),
            "ymd" | "mdy" | "dmy" => orders.push(word),
            "default" => {}
            _ if word.starts_with("postgres") => styles.push("postgres".to_owned()),
            _ if word.starts_with("euro") => orders.push("dmy".to_owned()),
            _ if word.starts_with("us") || word.starts_with("noneuro") => orders.push("mdy".to_owned()),
            _ => return bad(format!("\"{word}\" is no word of DateStyle"), HELP),
        }
    }
    let several = |words: &[String]| words.windows(2).any(|two| matches!(two, [a, b] if a != b));
    match several(&styles) || several(&orders) {
        true => bad(format!("DateStyle can't be two things at once: \"{value}\""), HELP),
        false => None,
    }
}

/// A time zone that no server knows: not in the IANA database, and written like a name of it. Offsets, POSIX rules and what else a
/// server's own files may hold pass.
fn bad_zone(value: &str) -> Option<BadValue> {
    let name = value.trim();
    let lower = name.to_ascii_lowercase();
    let other = name.contains(|c: char| c.is_ascii_digit() || c == '<')
        || lower.starts_with("posix/")
        || lower.starts_with("right/")
        || matches!(lower.as_str(), "localtime" | "posixrules" | "factory");
    if other || jiff::tz::TimeZone::get(name).is_ok() {
        return None;
    }
    bad(
        format!("PostgreSQL has no time zone \"{value}\""),
        "write the IANA name of a place, such as Europe/Paris, or UTC: the server would refuse every session at its start",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_does() {
        use Read::{None, Number, Unsure};
        for (text, whole, read) in [
            ("30s", true, Number(30.0, "s")),
            (" 30 s ", true, Number(30.0, " s ")),
            ("-5", true, Number(-5.0, "")),
            ("1.5", true, Number(1.5, "")),
            (".5", true, Number(0.5, "")),
            (".5", false, Number(0.5, "")),
            ("1e3", true, Number(1000.0, "")),
            ("1e", true, Number(1.0, "e")),
            ("2.5e-1GB", true, Number(0.25, "GB")),
            ("010", true, Number(8.0, "")),
            ("09", true, Number(0.0, "9")),
            ("010", false, Number(10.0, "")),
            ("0x10", true, Unsure),
            ("", true, None),
            ("s", true, None),
            ("nan", false, Unsure),
        ] {
            assert_eq!(number(text, whole), read, "{text:?}");
        }
    }
}
