//! The YAML parser's mistakes in words for people who write policies: what is wrong, and what to do.

use serde_saphyr::Error;

use super::{Malformed, place};
use crate::policy::diagnostic::{Code, Place};

/// What the parser's error means. `lines` stand in the file before the text.
pub(super) fn told(error: &Error, text: &str, lines: u32) -> Malformed {
    let place = error.location().map(|location| place(&location, lines)).unwrap_or_default();
    let error = error.without_snippet();
    let line = text.lines().nth(place.line.saturating_sub(lines + 1) as usize).unwrap_or_default();
    let rest: String = line.chars().skip(place.column.saturating_sub(1) as usize).collect();
    let (code, message, help) = match error {
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::RecursiveReferencesRequireWeakTypes { .. } => refused(
            "the anchors and aliases of this file stand for more than a policy can hold",
            "write out what is meant: policies need no anchors (&) and aliases (*)",
        ),
        Error::MergeKeyNotAllowed { .. } | Error::MergeValueNotMapOrSeqOfMaps { .. } => refused(
            "`<<` is not read in policies: what a rule says must stand in it",
            "write the keys out where they are meant",
        ),
        Error::UnknownAnchor { .. } => alias(&rest),
        other => plain(&other.to_string(), &rest, line),
    };
    let (message, help) = (message.into_owned(), help.into_owned());
    Malformed { code, place, message, help }
}

type Told = (Code, std::borrow::Cow<'static, str>, std::borrow::Cow<'static, str>);

fn refused(message: &'static str, help: &'static str) -> Told {
    (Code::RefusedYaml, message.into(), help.into())
}

fn no_yaml(message: &'static str, help: &'static str) -> Told {
    (Code::NotYaml, message.into(), help.into())
}

/// A word that begins with `*` without quotes.
fn alias(rest: &str) -> Told {
    let word: String = rest.chars().take_while(|c| !c.is_whitespace() && !matches!(c, ',' | ']' | '}')).collect();
    let message = match word.len() {
        0..=1 => "a `*` without quotes means something else in YAML".to_owned(),
        _ => format!("{word} without quotes means something else in YAML"),
    };
    let word = if word.starts_with('*') { word } else { "*".to_owned() };
    (Code::NotYaml, message.into(), format!("put the pattern in quotes: \"{word}\"").into())
}

/// By the parser's words, which are no part of its interface: what is not known here is told as it is.
fn plain(said: &str, rest: &str, line: &str) -> Told {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["scanning an anchor or alias"]) && rest.starts_with('*') {
        return alias(rest);
    }
    if has(&["unexpected character"]) {
        return match rest.chars().next() {
            Some(c) if c.is_control() => (
                Code::NotText,
                format!("a control character (U+{:04X}) in the text", c as u32).into(),
                "take it out, or save the file anew as plain UTF-8 text".into(),
            ),
            Some(c) => (
                Code::NotYaml,
                format!("a value can't begin with `{c}` without quotes").into(),
                "put the value in quotes".into(),
            ),
            None => no_yaml("a character that can't stand here", "put the value in quotes"),
        };
    }
    if has(&["tabs disallowed", "found a tab", "tab character", "tabs cannot"])
        || line.trim_start_matches(' ').starts_with('\t')
    {
        return no_yaml("the line is indented with a tab", "indent with spaces: YAML does not take tabs there");
    }
    if has(&["recursion limit", "nesting"]) {
        return refused(
            "lists or mappings stand too deep in each other",
            "no policy needs that: take the brackets out",
        );
    }
    if has(&["mapping values are not allowed"]) {
        return no_yaml(
            "this `:` makes a key of what stands before it, and no key can stand there",
            "put a text with a colon in quotes; else look at the line before: its indentation, or a space missing after \
             a `:` or `-`",
        );
    }
    if has(&["expected ',' or ']'", "expected ',' or '}'", "EOF while parsing", "unclosed bracket", "unclosed"])
        && !has(&["quoted"])
    {
        return no_yaml(
            "a `[` or `{` is not closed, or a comma is missing or stands twice",
            "close it by `]` or `}`, and put one comma between two entries",
        );
    }
    if has(&["misplaced bracket"]) {
        return no_yaml("a bracket that closes nothing", "take it out, or open it before");
    }
    if has(&["unknown escape", "escape"]) {
        return no_yaml(
            "a backslash in double quotes that YAML does not know",
            "write single quotes, or two backslashes for one",
        );
    }
    if has(&["quoted scalar", "quote"]) {
        return no_yaml("a quoted text is not closed", "close it with the quote that it began with, on its line");
    }
    if has(&["expected key", "expected '-'", "simple key", "block mapping", "block collection", "indentation"]) {
        return no_yaml(
            "this line does not fit the ones above it",
            "begin the lines of one list or mapping in the same column, and write `key: value` or `- entry`",
        );
    }
    let said = said.lines().next().unwrap_or_default();
    let said = said.strip_prefix("error: ").unwrap_or(said);
    let said = said.split_once(" at line ").map_or(said, |(message, _)| message);
    (
        Code::NotYaml,
        format!("this is no YAML: {said}").into(),
        "look at the indentation, the quotes and the brackets of this line and the one before".into(),
    )
}

/// A key that stands twice in a mapping.
pub(super) fn twice(name: &str, place: Place, first: u32) -> Malformed {
    Malformed {
        code: Code::DuplicateKey,
        place,
        message: format!("the key \"{name}\" stands twice in the same place"),
        help: format!("the first is in line {first}: join the two, or take one out"),
    }
}

/// A list or mapping as a key.
pub(super) fn no_key(place: Place) -> Malformed {
    Malformed {
        code: Code::RefusedYaml,
        place,
        message: "a key is one word, not a list or a mapping".to_owned(),
        help: "write `key: value`".to_owned(),
    }
}
