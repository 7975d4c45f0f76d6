//! What comments tell: one that cuts off the rest of a statement, as an injected `--` leaves it, and those in the place of
//! white space.

use pg_query::protobuf::{ScanToken, Token};

use super::{Signals, Technique};
use crate::sql;

/// How often the rest of a statement is looked for in one comment, and in how long a text, in bytes.
const MOST_TRIES: u8 = 4;
const LONGEST: usize = 16 << 10;

/// Words that go on with a statement where it was cut.
const GOES_ON: &[&str] = &[
    "and",
    "or",
    "where",
    "from",
    "limit",
    "offset",
    "order",
    "group",
    "having",
    "union",
    "returning",
    "set",
    "values",
    "join",
    "on",
    "for",
];

/// Looks at the comments of a text.
pub(super) fn look(text: &str, signals: &mut Signals) {
    // Most texts hold none and are not read again.
    let (line, block) = (text.contains("--"), text.contains("/*"));
    if !line && !block {
        return;
    }
    let Some(tokens) = sql::tokens(text) else { return };
    if block {
        signals.add(Technique::InlineComment, inline(text, &tokens));
    }
    if line {
        signals.add(Technique::CommentTruncation, truncation(text, &tokens));
    }
}

/// The weight of comments that stand between two words instead of white space, as in `1/**/OR/**/1=1`.
fn inline(text: &str, tokens: &[ScanToken]) -> u8 {
    let (mut glued, mut empty) = (0, false);
    for comment in tokens.iter().filter(|token| token.token() == Token::CComment) {
        let (Some(start), Some(end)) = (start(comment), end(comment)) else { continue };
        let (Some(before), Some(after)) = (text.get(..start), text.get(end..)) else { continue };
        let ends = before.ends_with(|c: char| c.is_alphanumeric() || "_'\")".contains(c));
        let begins = after.starts_with(|c: char| c.is_alphanumeric() || "_'\"($".contains(c));
        empty |= !before.is_empty() && !after.is_empty() && end - start == 4;
        if (ends && begins) || slice(text, comment).is_some_and(|comment| comment.starts_with("/*!")) {
            glued += 1;
        }
    }
    match glued {
        0 if empty => 3,
        0 => 0,
        1 => 4,
        _ => 5,
    }
}

/// The heaviest weight of a comment that cuts a statement.
fn truncation(text: &str, tokens: &[ScanToken]) -> u8 {
    let mut comments = tokens.iter().filter(|token| token.token() == Token::SqlComment);
    // A line may have been put in between to hide it: a quote that was to end a value is one on any line.
    let holds_quote = |comment: &ScanToken| slice(text, comment).is_some_and(ends_a_value);
    if comments.any(holds_quote) {
        return 5;
    }
    match tokens.split_last() {
        Some((last, before)) if last.token() == Token::SqlComment => cuts(text, before, last).unwrap_or(0),
        _ => 0,
    }
}

/// The weight of a comment at the end of the text. `None`: it is a remark.
fn cuts(text: &str, before: &[ScanToken], comment: &ScanToken) -> Option<u8> {
    let remark = slice(text, comment)?.strip_prefix("--")?;
    let previous = before.iter().rev().find(|t| !matches!(t.token(), Token::SqlComment | Token::CComment))?;
    let between = text.get(end(previous)?..start(comment)?)?;
    let first = remark.trim_start_matches(['-', '+', ' ', '\t']).trim_start();
    let statement = text.get(..start(comment)?)?;
    let goes_on = || first.starts_with([',', ')', ';']) || goes_on(statement, remark);
    if between.contains('\n') {
        // A line that was commented out.
        return goes_on().then_some(2);
    }
    let behind_literal = matches!(
        previous.token(),
        Token::Iconst | Token::Fconst | Token::Sconst | Token::NullP | Token::TrueP | Token::FalseP | Token::Ascii41
    );
    let (empty, one_line) = (first.is_empty(), !text.trim_end().contains('\n'));
    let glued = between.is_empty() && matches!(previous.token(), Token::Iconst | Token::Fconst | Token::Sconst);
    let stacked = before.iter().any(|token| token.token() == Token::Ascii59);
    match () {
        () if unmatched(remark) || goes_on() => Some(5),
        () if glued || (empty && (behind_literal || between.is_empty())) || (stacked && one_line) => Some(3),
        () if empty || (behind_literal && one_line) => Some(2),
        () => None,
    }
}

/// Whether a comment holds the quote that was to end a value: the first of an odd number, with what follows a value behind it.
fn ends_a_value(remark: &str) -> bool {
    if remark.bytes().filter(|b| *b == b'\'').count() % 2 == 0 {
        return false;
    }
    let Some((_, rest)) = remark.split_once('\'') else { return false };
    let rest = rest.trim_start_matches('%').trim_start();
    let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    rest.is_empty()
        || rest.starts_with([')', ',', ';'])
        || rest.starts_with("||")
        || ["and", "or", "order", "limit", "group"].contains(&word.to_ascii_lowercase().as_str())
}

/// Whether the statement in front of a comment goes on in it: some end of the comment, from a word on that continues a
/// statement, makes a statement together with what stands before.
fn goes_on(before: &str, remark: &str) -> bool {
    let mut tries = 0;
    let mut previous = ' ';
    for (at, c) in remark.char_indices() {
        let begins = c.is_ascii_alphabetic() && !previous.is_alphanumeric() && previous != '_';
        previous = c;
        let Some(rest) = remark.get(at..).filter(|_| begins) else { continue };
        let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
        if !GOES_ON.contains(&word.to_ascii_lowercase().as_str()) {
            continue;
        }
        tries += 1;
        if tries > MOST_TRIES || before.len() + rest.len() > LONGEST {
            return false;
        }
        // Behind another statement it goes on with one that isn't seen any more.
        let from = before.trim_end().ends_with(';') && word.eq_ignore_ascii_case("from");
        let host = if from { "SELECT a" } else { "SELECT a FROM b WHERE c = 1" };
        if sql::is_read(&format!("{before} {rest}")) || sql::is_read(&format!("{host} {rest}")) {
            return true;
        }
    }
    false
}

/// Whether quotes or parentheses don't match, as where a literal's or a sub-query's end was cut off. An apostrophe
/// between letters (`don't`) is not a quote.
fn unmatched(remark: &str) -> bool {
    let (mut quotes, mut depth) = (0u32, 0i32);
    let mut previous = ' ';
    let mut rest = remark.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' if previous.is_alphabetic() && rest.peek().is_some_and(|next| next.is_alphabetic()) => {}
            '\'' => quotes += 1,
            '(' => depth += 1,
            ')' => {
                depth -= 1;
                if depth < 0 {
                    return true;
                }
            }
            _ => {}
        }
        previous = c;
    }
    quotes % 2 == 1
}

fn start(token: &ScanToken) -> Option<usize> {
    usize::try_from(token.start).ok()
}

fn end(token: &ScanToken) -> Option<usize> {
    usize::try_from(token.end).ok()
}

fn slice<'a>(text: &'a str, token: &ScanToken) -> Option<&'a str> {
    text.get(start(token)?..end(token)?)
}
