//! A comment that cuts off the rest of a statement: what an injected `--` leaves at the end of the text.

use pg_query::protobuf::{ScanToken, Token};

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

/// The weight of a comment at the end of the text that cuts a statement. `None`: there is none, or it is a remark.
pub(super) fn truncation(text: &str) -> Option<u8> {
    // A comment that ends the text is on its last line; most texts have none there and are not read again.
    let last_line = text.trim_end().rsplit('\n').next()?;
    if !last_line.contains("--") {
        return None;
    }
    let tokens = pg_query::scan_tokens(text).ok()?;
    let (comment, before) = tokens.split_last()?;
    if comment.token() != Token::SqlComment {
        return None;
    }
    let remark = slice(text, comment)?.strip_prefix("--")?;
    // The line before must hold some of the statement: a comment on a line of its own is a remark.
    let previous = before.iter().rev().find(|t| !matches!(t.token(), Token::SqlComment | Token::CComment))?;
    let between = text.get(end(previous)?..start(comment)?)?;
    if between.contains('\n') {
        return None;
    }
    if unmatched(remark) {
        return Some(5);
    }
    let first = remark.trim_start_matches(['-', '+', ' ', '\t']).trim_start();
    let word: String = first.chars().take_while(char::is_ascii_alphabetic).collect();
    // The words are English too: SQL has an operator, a parameter or a number somewhere behind.
    let sql = first.contains(|c: char| "=<>($?%".contains(c) || c.is_ascii_digit());
    let goes_on = first.starts_with([',', ')', ';']) || (sql && GOES_ON.contains(&word.to_ascii_lowercase().as_str()));
    let behind_literal = matches!(
        previous.token(),
        Token::Iconst | Token::Fconst | Token::Sconst | Token::NullP | Token::TrueP | Token::FalseP | Token::Ascii41
    );
    let empty = first.is_empty();
    let glued = between.is_empty() && matches!(previous.token(), Token::Iconst | Token::Fconst | Token::Sconst);
    match () {
        () if goes_on && behind_literal => Some(5),
        () if goes_on || (empty && behind_literal) || glued => Some(3),
        () if empty => Some(2),
        () => None,
    }
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
