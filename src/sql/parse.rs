//! PostgreSQL's own parser, wrapped: a tree, or the server's words and (where it is certain) the position.

use std::panic::catch_unwind;

use pg_query::ParserOptions;
use pg_query::protobuf::{ParseResult, ScanToken};

use super::Unparsed;

/// How many tokens that look like the offending one are tried before the position is given up.
const MAX_TRIES: usize = 32;

/// How many bytes those tries may parse together, beyond the first.
const MAX_BYTES: usize = 256 << 10;

/// How many bytes the lexer may read over again for the beginnings of comments ([`reread`]).
const MAX_REREAD: usize = 8 << 20;

/// Shorter texts can't reach that.
const REREAD_FROM: usize = 4 << 10;

/// Reads a text with PostgreSQL's grammar. Needs a large stack.
pub(super) fn parse(text: &str) -> Result<ParseResult, Unparsed> {
    parse_as(text, ParserOptions::DEFAULT)
}

/// Likewise, by another of the grammar's entries: an expression or an assignment of PL/pgSQL.
pub(super) fn parse_as(text: &str, entry: ParserOptions) -> Result<ParseResult, Unparsed> {
    if reread(text) > MAX_REREAD {
        return Err(Unparsed::TooDeep);
    }
    // The wrapper computes summaries of its own on the way and panics on shapes that it does not expect; that must not
    // cost the session.
    let parsed =
        catch_unwind(|| pg_query::parse(text, entry)).map_err(|_| Unparsed::Internal("the parser panicked".into()))?;
    match parsed {
        Ok(result) => Ok(result.protobuf),
        Err(pg_query::Error::Parse(message)) if is_depth(&message) => Err(Unparsed::TooDeep),
        Err(pg_query::Error::Parse(message)) => {
            let position = if entry == ParserOptions::DEFAULT { position(text, &message) } else { None };
            Err(Unparsed::Syntax { message, position })
        }
        Err(pg_query::Error::Conversion(_)) => {
            let message = "invalid byte sequence for encoding \"UTF8\": 0x00".to_owned();
            Err(Unparsed::Syntax { message, position: None })
        }
        Err(
            error @ (pg_query::Error::Decode(_)
            | pg_query::Error::InvalidJson(_)
            | pg_query::Error::InvalidPointer
            | pg_query::Error::Scan(_)
            | pg_query::Error::IsUtility(_)
            | pg_query::Error::Split(_)),
        ) => Err(Unparsed::Internal(error.to_string())),
    }
}

/// The tokens of a text, comments among them. `None` where the lexer refuses it.
pub(crate) fn tokens(text: &str) -> Option<Vec<ScanToken>> {
    // The wrapper makes a slice of a null pointer where there is no token at all: white space (scan.l: `space`) only.
    if text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c')) {
        return Some(Vec::new());
    }
    if reread(text) > MAX_REREAD {
        return None;
    }
    pg_query::scan_tokens(text).ok()
}

/// How many bytes the lexer reads more than once: at `/*` it reads on to the last character that may belong to an operator, and
/// then goes back behind the two (scan.l: `xcstart`). `/*/*/*…` takes it time that grows with the square of the length:
/// seconds for 128 KiB, also in the server itself.
fn reread(text: &str) -> usize {
    if text.len() < REREAD_FROM {
        return 0;
    }
    let (mut total, mut run, mut next) = (0usize, 0, 0);
    for byte in text.bytes().rev() {
        run = if b"~!@#^&|`?+-*/%<>=".contains(&byte) { run + 1 } else { 0 };
        if (byte, next) == (b'/', b'*') {
            total = total.saturating_add(run);
        }
        next = byte;
    }
    total
}

fn is_depth(message: &str) -> bool {
    message.starts_with("stack depth limit exceeded") || message.starts_with("parse tree is nested too deeply")
}

/// The 1-based character position that the server would give. The wrapper drops it, so it is found again: the grammar is
/// LALR(1), so that the text cut behind the offending token fails at that very token, with the same words.
fn position(text: &str, message: &str) -> Option<usize> {
    if message.ends_with(" at end of input") {
        return Some(text.chars().count() + 1);
    }
    let near = message.split_once(" at or near \"")?.1.strip_suffix('"')?;
    let (mut tries, mut bytes) = (0, 0);
    for (start, _) in text.match_indices(near) {
        let (prefix, rest) = text.split_at_checked(start + near.len())?;
        if continues(near, rest) {
            continue;
        }
        tries += 1;
        bytes += prefix.len();
        if tries > MAX_TRIES || (bytes > MAX_BYTES && tries > 1) {
            return None;
        }
        let again = catch_unwind(|| pg_query::parse(prefix, 0));
        if matches!(again, Ok(Err(pg_query::Error::Parse(again))) if again == message) {
            return Some(text.get(..start)?.chars().count() + 1);
        }
    }
    None
}

/// True where the lexer would read on: what stands there is part of a longer token.
fn continues(token: &str, rest: &str) -> bool {
    let (Some(last), Some(next)) = (token.chars().last(), rest.chars().next()) else { return false };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
    let operator = |c: char| "+-*/<>=~!@#%^&|`?".contains(c);
    (word(last) && word(next)) || (operator(last) && operator(next)) || (last == next && "'\":".contains(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (String, Option<usize>) {
        match parse(text) {
            Err(Unparsed::Syntax { message, position }) => (message, position),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn the_position_is_the_servers() {
        // Each as PostgreSQL 15 answers it.
        for (text, near, position) in [
            ("SELEC 1", "SELEC", 1),
            ("SELECT 1 FROM t WHERE frommage from", "from", 32),
            ("SELECT 'é' x y", "y", 14),
            ("SELECT 1; SELECT , 2", ",", 18),
            ("SELECT (1))", ")", 11),
            ("SELECT a FROM t WHERE x = 'a' OR OR 'OR'", "OR", 34),
            ("SELECT * FROM o WHERE c IN (x' UNION 'q'||''", "q", 39),
        ] {
            assert_eq!(refused(text), (format!("syntax error at or near \"{near}\""), Some(position)), "{text}");
        }
        assert_eq!(refused("SELECT 1 +"), ("syntax error at end of input".into(), Some(11)));
        let unterminated = ("unterminated quoted string at or near \"'x\"".into(), Some(8));
        assert_eq!(refused("SELECT 'x"), unterminated);
        assert_eq!(refused("SELECT 1 FROM t WHERE id = 09and").1, Some(28));
    }

    #[test]
    fn comments_that_would_take_the_lexer_ages_are_too_deep() {
        let nested = |n: usize| format!("{}{}SELECT 1", "/*".repeat(n), "*/".repeat(n));
        assert!(matches!(parse(&nested(500_000)), Err(Unparsed::TooDeep)));
        assert!(tokens(&nested(500_000)).is_none());
        assert!(parse(&nested(1_000)).is_ok());
        let banner = format!("/{}/ SELECT 1", "*".repeat(500_000));
        assert!(parse(&banner).is_ok() && tokens(&banner).is_some());
        let apart = format!("{}SELECT 1", "/* - */ ".repeat(50_000));
        assert!(parse(&apart).is_ok() && tokens(&apart).is_some());
    }

    #[test]
    fn a_zero_byte_is_no_text() {
        assert_eq!(refused("SELECT 1\0").1, None);
    }

    #[test]
    fn a_position_that_costs_too_much_is_not_given() {
        let text = format!("SELECT 1 {}) FROM", "+ (1)".repeat(200));
        assert_eq!(refused(&text).1, None);
    }
}
