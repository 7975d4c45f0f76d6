//! The YAML parser's mistakes in words for people who write policies: what is wrong, and what to do.

use serde_saphyr::Error;

use super::{Malformed, place};
use crate::policy::diagnostic::{Code, Place};

/// What the parser's error means. `lines` stand in the file before the text.
pub(super) fn told(error: &Error, text: &str, lines: u32) -> Malformed {
    let mut place = error.location().map(|location| place(&location, lines)).unwrap_or_default();
    let mut error = error.without_snippet();
    // What went wrong where an alias was replaced by what it stands for.
    while let Error::AliasError { error: inner, .. } = error {
        error = inner.without_snippet();
    }
    // What is open to the end is wrong in the last line, not behind it.
    let last = u32::try_from(text.trim_end().lines().count().max(1)).unwrap_or(u32::MAX);
    if place.line > last.saturating_add(lines) {
        place = Place { line: last.saturating_add(lines), column: 1, length: 1 };
    }
    let index = place.line.saturating_sub(lines + 1) as usize;
    let line = text.lines().nth(index).unwrap_or_default();
    let before = index.checked_sub(1).and_then(|index| text.lines().nth(index)).unwrap_or_default();
    if let Some((column, told)) = control(line) {
        place = Place { column, length: 1, ..place };
        return told_as(place, told);
    }
    if let Some((column, told)) = tab(line) {
        place = Place { column, length: 1, ..place };
        return told_as(place, told);
    }
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
        other => {
            let said = other.to_string();
            if said.contains("mapping values are not allowed") {
                if let Some((column, told)) = no_space(before) {
                    place = Place { line: place.line.saturating_sub(1).max(1), column, length: 1 };
                    return told_as(place, told);
                }
                if indent(line) > indent(before) && before.contains(": ") {
                    place = Place { column: indent(line).max(1), length: 1, ..place };
                    let message = "this line is indented deeper than the one above, which already has its value";
                    return told_as(place, no_yaml(message, "begin it in the same column as the one above"));
                }
            }
            plain(&said, &rest)
        }
    };
    told_as(place, (code, message, help))
}

fn told_as(place: Place, (code, message, help): Told) -> Malformed {
    Malformed { code, place, message: message.into_owned(), help: help.into_owned() }
}

/// The column of what `wanted` finds in a line, from 1.
fn column_of(line: &str, wanted: impl Fn(char) -> bool) -> Option<u32> {
    let at = line.chars().position(wanted)?;
    u32::try_from(at + 1).ok()
}

/// The spaces before the first word.
fn indent(line: &str) -> u32 {
    u32::try_from(line.chars().take_while(|c| *c == ' ').count()).unwrap_or(u32::MAX)
}

/// A character that no text has.
fn control(line: &str) -> Option<(u32, Told)> {
    let is_one = |c: char| c.is_control() && c != '\t';
    let c = line.chars().find(|c| is_one(*c))?;
    let message = format!("a control character (U+{:04X}) in the text", c as u32);
    let help = "take it out, or save the file anew as plain UTF-8 text";
    Some((column_of(line, is_one)?, (Code::NotText, message.into(), help.into())))
}

/// A tab before the first word.
fn tab(line: &str) -> Option<(u32, Told)> {
    line.trim_start_matches(' ').starts_with('\t').then_some(())?;
    let told = no_yaml("the line is indented with a tab", "indent with spaces: YAML does not take tabs there");
    Some((column_of(line, |c| c == '\t')?, told))
}

/// `-rule: orders` and `policy:shop`: read as one long word, so that the next line is wrong.
fn no_space(line: &str) -> Option<(u32, Told)> {
    let start = line.trim_start();
    let indent = line.chars().count() - start.chars().count();
    if start.strip_prefix('-').is_some_and(|after| after.starts_with(char::is_alphabetic)) {
        let column = u32::try_from(indent + 1).ok()?;
        return Some((column, no_yaml("no space after the `-`", "an entry of a list begins with `- `, with a space")));
    }
    let word = start.trim_start_matches("- ");
    let (key, value) = word.split_once(':')?;
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !plain || value.is_empty() || value.starts_with(char::is_whitespace) || value.contains(": ") {
        return None;
    }
    let help = format!("write `{key}: {}`, with a space", value.trim_end());
    Some((column_of(line, |c| c == ':')?, (Code::NotYaml, "no space after the colon".into(), help.into())))
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
fn plain(said: &str, rest: &str) -> Told {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["scanning an anchor or alias"]) && rest.starts_with('*') {
        return alias(rest);
    }
    if has(&["unexpected character"]) {
        return match rest.chars().next() {
            Some(c) => (
                Code::NotYaml,
                format!("a value can't begin with `{c}` without quotes").into(),
                "put the value in quotes".into(),
            ),
            None => no_yaml("a character that can't stand here", "put the value in quotes"),
        };
    }
    if has(&["tabs disallowed", "tab character"]) {
        return no_yaml("a tab where YAML takes none", "write spaces");
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
    if has(&["mismatched bracket"]) {
        return no_yaml(
            "this bracket is not closed, or by one of the other kind",
            "close `[` by `]`, `{` by `}`, the inner one first",
        );
    }
    if has(&["expected ',' or ']'", "expected ',' or '}'", "EOF while parsing", "unclosed bracket", "unclosed"])
        && !has(&["quoted"])
    {
        return no_yaml(
            "up to here a `[` or `{` is not closed, or a comma is missing or stands twice",
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
        return no_yaml(
            "up to here a quoted text is not closed",
            "close it on its line, by the quote that it began with",
        );
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
