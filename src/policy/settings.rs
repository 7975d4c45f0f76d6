//! Settings: what their values mean, which change needs no rule, and which rule covers a change (POLICY 2a.4, 6).

use std::borrow::Cow;

use crate::policy::glob::Glob;
use crate::policy::names::{split_identifiers, truncate};
use crate::policy::{Moment, Parameters};
use crate::sql::encoding::Encoding;
use crate::sql::settings::{VarType, canonical, is_baseline, is_guarded, parse_bool, setting};
use crate::sql::{Operand, SettingValue};

/// An entry of `settings:`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SettingPattern {
    /// On the canonical, lower-case name.
    pub name: Glob,
    /// `name=value`: this value only.
    pub value: Option<Box<str>>,
}

/// A setting that a policy fixes for its sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    /// Canonical, lower case.
    pub name: Box<str>,
    pub value: Box<str>,
}

/// An operand at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known<'a> {
    Text(&'a str),
    /// Comes with Bind.
    Later,
    /// Can't be known.
    Never,
}

/// The operand's value as far as it is known at this moment.
pub(crate) fn known<'a>(operand: &'a Operand, moment: &Moment<'a>) -> Known<'a> {
    match operand {
        Operand::Constant(text) => Known::Text(text),
        Operand::Unknown => Known::Never,
        Operand::Parameter(number) => match moment.parameters {
            Parameters::Later => Known::Later,
            Parameters::None => Known::Never,
            Parameters::Bound(values) => {
                let index = usize::try_from(*number).ok().and_then(|n| n.checked_sub(1));
                match index.and_then(|index| values.get(index).copied().flatten()) {
                    Some(text) => Known::Text(text),
                    None => Known::Never,
                }
            }
        },
    }
}

/// The value that a setting is given, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Given<'a> {
    Default,
    /// The elements as given; none is the empty list.
    Elements(Vec<&'a str>),
    Later,
    Never,
}

pub(crate) fn given<'a>(value: &'a SettingValue, moment: &Moment<'a>) -> Given<'a> {
    match value {
        SettingValue::Default => Given::Default,
        SettingValue::Unknown => Given::Never,
        SettingValue::List(operands) => {
            let mut elements = Vec::with_capacity(operands.len());
            let mut later = false;
            for operand in operands {
                match known(operand, moment) {
                    Known::Text(text) => elements.push(text),
                    Known::Later => later = true,
                    Known::Never => return Given::Never,
                }
            }
            if later { Given::Later } else { Given::Elements(elements) }
        }
    }
}

impl Given<'_> {
    /// Whether the value is known and the same as this one.
    pub fn is(&self, name: &str, value: &str) -> bool {
        match self {
            Given::Elements(elements) => same(name, elements, value),
            Given::Default | Given::Later | Given::Never => false,
        }
    }

    /// For messages.
    pub fn text(&self) -> Cow<'static, str> {
        match self {
            Given::Default => Cow::Borrowed("its default"),
            Given::Elements(elements) => Cow::Owned(format!("\"{}\"", elements.join(", "))),
            Given::Later | Given::Never => Cow::Borrowed("a value that can't be known"),
        }
    }
}

/// Whether the elements given to a setting mean the same value as a text of a policy.
fn same(name: &str, elements: &[&str], value: &str) -> bool {
    if name == "search_path" {
        return match split_identifiers(value) {
            Some(wanted) => is_path(elements, &wanted),
            None => false,
        };
    }
    let joined: Cow<'_, str> = match elements {
        [only] => Cow::Borrowed(*only),
        several => Cow::Owned(several.join(", ")),
    };
    same_text(name, &joined, value)
}

/// Whether two texts mean the same value of a setting.
pub(crate) fn same_text(name: &str, a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    if name == "search_path" {
        return same(name, &[a], b);
    }
    if name == "client_encoding" {
        return Encoding::lookup(a).is_some_and(|encoding| Encoding::lookup(b) == Some(encoding));
    }
    match setting(name) {
        None => false,
        Some(known) => match known.vartype {
            VarType::Bool => parse_bool(a).is_some() && parse_bool(a) == parse_bool(b),
            VarType::Integer | VarType::Real => {
                amount(a, known.unit).is_some() && amount(a, known.unit) == amount(b, known.unit)
            }
            VarType::Enum => match (parse_bool(a), parse_bool(b)) {
                // `on` and `true` are one value of `session_replication_role`-like enums, where they are values at all.
                (Some(x), Some(y)) => x == y,
                _ => a.eq_ignore_ascii_case(b),
            },
            VarType::String if name == "datestyle" => is_date_style(a, b),
            VarType::String => a.eq_ignore_ascii_case(b) && name == "timezone",
        },
    }
}

/// Whether a value of DateStyle says nothing but what another says: `ISO` leaves the order of `ISO, MDY` as it is.
fn is_date_style(given: &str, wanted: &str) -> bool {
    let words = |text: &str| text.split(',').map(|word| word.trim().to_ascii_lowercase()).collect::<Vec<_>>();
    let wanted = words(wanted);
    words(given).iter().all(|word| wanted.contains(word))
}

/// An integer setting's value in the smallest unit of its kind: microseconds or bytes (guc.c, convert_to_base_unit).
fn amount(text: &str, base: &str) -> Option<u128> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let number: u128 = digits.parse().ok()?;
    let unit = unit.trim();
    let factor = match if unit.is_empty() { base } else { unit } {
        "" | "us" | "B" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "min" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        "kB" => 1 << 10,
        "8kB" => 8 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        "TB" => 1_u128 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// Whether the elements given to search_path mean this path. One element may be a list in a string (`set_config`) or a
/// single name in quotes (`SET search_path = 'x'`): both readings must agree unless it can only be a list.
fn is_path(elements: &[&str], wanted: &[String]) -> bool {
    let plain = |names: &[&str]| -> bool {
        let mut given: Vec<&str> = names.iter().copied().map(truncate).filter(|n| !n.is_empty()).collect();
        let mut wanted: Vec<&str> = wanted.iter().map(String::as_str).filter(|n| !n.is_empty()).collect();
        // pg_temp at the end is what the session gets anyway.
        for list in [&mut given, &mut wanted] {
            if list.last() == Some(&"pg_temp") {
                list.pop();
            }
        }
        given == wanted
    };
    match elements {
        [only] => {
            let split = split_identifiers(only);
            let as_list =
                split.as_ref().is_some_and(|names| plain(&names.iter().map(String::as_str).collect::<Vec<_>>()));
            let only_a_list = only.contains([',', '"']);
            as_list && (only_a_list || plain(&[only.trim()]))
        }
        several => plain(several),
    }
}

/// Whether a search_path doesn't say where temporary tables stand: the server then looks for them before everything else,
/// pg_catalog too (the manual's *search_path*).
pub(crate) fn leaves_temp_first(value: &Given<'_>) -> bool {
    let Given::Elements(elements) = value else { return false };
    let says = |element: &str| {
        truncate(element) == "pg_temp"
            || split_identifiers(element).is_some_and(|names| names.iter().any(|n| n == "pg_temp"))
    };
    !elements.iter().any(|element| says(element))
}

/// What becomes of a change of a setting before any rule is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// POLICY 2a.4: needs no rule.
    Baseline,
    /// Needs a rule; a bare name or glob is enough.
    Ordinary,
    /// Needs a rule that names this very value.
    Guarded,
}

/// How a change of a setting (canonical name) to a value stands, pins apart.
pub(crate) fn standing(name: &str, value: &Given<'_>, path: Option<&[Box<str>]>) -> Standing {
    if is_guarded(name) {
        return if is_safe(name, value, path) { Standing::Baseline } else { Standing::Guarded };
    }
    // `off` as well: where a policy pins it, that is judged before; where none does, READ WRITE passes in every other
    // spelling, and drivers go back to it.
    if is_read_only(name) && (value.is(name, "on") || value.is(name, "off")) {
        return Standing::Baseline;
    }
    if is_baseline(name) { Standing::Baseline } else { Standing::Ordinary }
}

/// A guarded setting at its safe value.
fn is_safe(name: &str, value: &Given<'_>, path: Option<&[Box<str>]>) -> bool {
    match name {
        "standard_conforming_strings" | "row_security" => value.is(name, "on"),
        "backslash_quote" => value.is(name, "safe_encoding"),
        "session_replication_role" => value.is(name, "origin"),
        "client_encoding" => match value {
            Given::Elements(elements) => matches!(elements.as_slice(), [one] if Encoding::lookup(one).is_some()),
            Given::Default | Given::Later | Given::Never => false,
        },
        "search_path" => match (path, value) {
            (Some(path), Given::Elements(elements)) => {
                let path: Vec<String> = path.iter().map(|s| s.to_string()).collect();
                is_path(elements, &path)
            }
            _ => false,
        },
        _ => false,
    }
}

/// The settings that open or close the read-only fence.
pub(crate) fn is_read_only(name: &str) -> bool {
    matches!(name, "transaction_read_only" | "default_transaction_read_only")
}

impl SettingPattern {
    /// Reads `name`, `glob*` or `name=value`.
    pub fn new(text: &str) -> SettingPattern {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim().into())),
            None => (text.trim(), None),
        };
        let name = if name.contains(['*', '?']) { name.to_ascii_lowercase() } else { canonical(name) };
        SettingPattern { name: Glob::new(&name), value }
    }
}

/// How a list of entries speaks about a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    Yes,
    /// Depends on a value that comes with Bind.
    Later,
    No,
}

/// Whether an `allow` rule's entries cover a change; `guarded` asks for the very value.
pub(crate) fn covers(patterns: &[SettingPattern], name: &str, value: &Given<'_>, guarded: bool) -> Match {
    let mut later = false;
    for pattern in patterns.iter().filter(|pattern| pattern.name.matches(name)) {
        match &pattern.value {
            None if !guarded => return Match::Yes,
            None => {}
            Some(wanted) if value.is(name, wanted) => return Match::Yes,
            Some(_) => later |= *value == Given::Later,
        }
    }
    if later { Match::Later } else { Match::No }
}

/// Whether a `deny` rule's entries strike a change: a value that can't be known is every value.
pub(crate) fn strikes(patterns: &[SettingPattern], name: &str, value: &Given<'_>) -> Match {
    let mut later = false;
    for pattern in patterns.iter().filter(|pattern| pattern.name.matches(name)) {
        match (&pattern.value, value) {
            (None, _) | (Some(_), Given::Never) => return Match::Yes,
            (Some(_), Given::Later) => later = true,
            (Some(wanted), value) if value.is(name, wanted) => return Match::Yes,
            (Some(_), _) => {}
        }
    }
    if later { Match::Later } else { Match::No }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements<'a>(list: &[&'a str]) -> Given<'a> {
        Given::Elements(list.to_vec())
    }

    #[test]
    fn values_compare_as_the_server_reads_them() {
        assert!(same_text("default_transaction_read_only", "true", "on"));
        assert!(!same_text("default_transaction_read_only", "off", "on"));
        assert!(same_text("statement_timeout", "30s", "30000"));
        assert!(same_text("statement_timeout", "1min", "60 s"));
        assert!(!same_text("statement_timeout", "30", "30s"));
        assert!(same_text("work_mem", "4MB", "4096"));
        assert!(same_text("client_encoding", "'utf-8'", "UTF8"));
        assert!(!same_text("client_encoding", "SJIS", "sjis "));
        assert!(!same_text("app.tenant", "A", "a"));
        assert!(same_text("datestyle", "ISO", "ISO, MDY"));
        assert!(same_text("datestyle", "mdy,iso", "ISO, MDY"));
        assert!(!same_text("datestyle", "ISO, DMY", "ISO, MDY"));
    }

    #[test]
    fn a_path_is_the_same_in_every_spelling_that_the_server_reads_so() {
        let is = |given: &[&str], wanted: &str| elements(given).is("search_path", wanted);
        assert!(is(&["api", "public"], "api,public"));
        assert!(is(&["api, public"], "api,public"));
        assert!(is(&["\"api\", \"public\""], "api, public"));
        assert!(is(&["public, pg_temp"], "public"));
        assert!(is(&[""], ""));
        assert!(!is(&["public", "api"], "api,public"));
        assert!(!is(&["evil", "public"], "public"));
        assert!(!is(&["API"], "api"));
        assert!(!is(&["pg_temp, public"], "public"));
        assert!(!is(&["public", "pg_toast_temp_3"], "public"));
    }

    #[test]
    fn guarded_settings_pass_at_their_safe_value_only() {
        let path: Vec<Box<str>> = vec!["public".into()];
        for (name, good, bad) in [
            ("standard_conforming_strings", "on", "off"),
            ("row_security", "true", "off"),
            ("session_replication_role", "origin", "replica"),
            ("client_encoding", "LATIN1", "SJIS"),
            ("search_path", "public", "evil"),
            ("backslash_quote", "safe_encoding", "on"),
        ] {
            assert_eq!(standing(name, &elements(&[good]), Some(&path)), Standing::Baseline, "{name}");
            assert_eq!(standing(name, &elements(&[bad]), Some(&path)), Standing::Guarded, "{name}");
            assert_eq!(standing(name, &Given::Never, Some(&path)), Standing::Guarded, "{name}");
        }
        assert_eq!(standing("search_path", &elements(&["public"]), None), Standing::Guarded);
        assert_eq!(standing("statement_timeout", &Given::Never, None), Standing::Baseline);
        assert_eq!(standing("work_mem", &elements(&["1GB"]), None), Standing::Ordinary);
        assert_eq!(standing("app.tenant", &Given::Later, None), Standing::Ordinary);
    }

    #[test]
    fn a_bare_name_never_covers_a_guarded_setting() {
        let bare = [SettingPattern::new("*"), SettingPattern::new("Row_Security")];
        assert_eq!(covers(&bare, "row_security", &elements(&["off"]), true), Match::No);
        let exact = [SettingPattern::new("row_security=off")];
        assert_eq!(covers(&exact, "row_security", &elements(&["false"]), true), Match::Yes);
        assert_eq!(covers(&exact, "row_security", &Given::Never, true), Match::No);
        assert_eq!(covers(&exact, "row_security", &Given::Later, true), Match::Later);
    }
}
