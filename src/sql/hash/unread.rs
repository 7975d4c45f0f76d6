//! What a text that has no statement hash is like: to tell one broken statement that comes again and again, with other values each
//! time, from many different ones.

use pg_query::protobuf::{KeywordKind, Token};
use sha2::{Digest, Sha256};

use super::{Piece, StatementHash, digested, folded};
use crate::sql::parse::tokens;

/// The longest text of which values are left out, in bytes.
const LONGEST: usize = 16 << 10;

/// A hash of the text without its values. Nothing may be allowed by it: it tells less apart than the hash of a text that is
/// read, and more than its shape where a quote is missing.
///
/// Where the lexer gives its tokens, every literal is one of its kind. Where it doesn't (an unterminated string), nobody knows what
/// is a value: then words and numbers are alike, and what stands between them counts, so that `1'`, `1')` and `1"` differ and
/// `'O'Brien'` and `'D'Arcy'` don't. Of a long text every byte counts: what differs must not hide behind what pads it.
pub fn of_unread(text: &str) -> StatementHash {
    let mut digest = Sha256::new();
    if text.len() > LONGEST {
        digest.update(text);
        return digested(digest);
    }
    match tokens(text) {
        Some(tokens) => {
            for token in tokens {
                let (from, to) = (usize::try_from(token.start).unwrap_or(0), usize::try_from(token.end).unwrap_or(0));
                let word = text.get(from..to).unwrap_or_default();
                let piece = match Token::try_from(token.token) {
                    Ok(Token::SqlComment | Token::CComment) => continue,
                    Ok(Token::Ident) => Piece::Name(folded(word)),
                    Ok(Token::Iconst | Token::Fconst) => Piece::Value { number: true, listed: false },
                    Ok(Token::Sconst | Token::Usconst | Token::Bconst | Token::Xconst) => {
                        Piece::Value { number: false, listed: false }
                    }
                    Ok(_) if token.keyword_kind != KeywordKind::NoKeyword as i32 => Piece::Token(token.token, ""),
                    Ok(_) | Err(_) => Piece::Token(token.token, word),
                };
                piece.feed(&mut digest);
            }
        }
        None => skeleton(text, &mut digest),
    }
    digested(digest)
}

/// Words and numbers as one letter each, white space left out, all else as it stands.
fn skeleton(text: &str, digest: &mut Sha256) {
    let mut in_word = false;
    for c in text.chars() {
        let word = c.is_alphanumeric() || c == '_';
        if word && !in_word {
            digest.update("w");
        } else if !word && !c.is_whitespace() {
            digest.update(c.encode_utf8(&mut [0; 4]));
        }
        in_word = word;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn alike(one: &str, other: &str) {
        assert_eq!(of_unread(one), of_unread(other), "{one} and {other}");
    }

    #[track_caller]
    fn differ(texts: &[&str]) {
        let hashes: std::collections::HashSet<_> = texts.iter().map(|text| of_unread(text)).collect();
        assert_eq!(hashes.len(), texts.len(), "{texts:?}");
    }

    #[test]
    fn one_broken_statement_is_one_whatever_its_values() {
        alike("SELEC * FROM t WHERE id = 1", "selec *  from T where id = 22 -- again");
        alike("SELEC * FROM t WHERE name = 'a.b@c'", "SELEC * FROM t WHERE name = ''");
        alike("SELECT * FROM t WHERE name = 'O'Brien'", "SELECT * FROM t WHERE name = 'D'Arcy'");
    }

    #[test]
    fn attempts_to_break_out_differ() {
        differ(&[
            "SELECT * FROM t WHERE id = 1'",
            "SELECT * FROM t WHERE id = 1\"",
            "SELECT * FROM t WHERE id = 1')",
            "SELECT * FROM t WHERE id = 1'))",
            "SELECT * FROM t WHERE id = 1)",
            "SELECT * FROM t WHERE id = 1))",
            "SELECT * FROM t WHERE id = 1 AND",
            "SELECT * FROM t WHERE id = 1 OR",
        ]);
    }

    #[test]
    fn nothing_hides_behind_what_pads_it() {
        let padded = |end: &str| format!("SELECT * FROM t WHERE id = 1/*{}*/{end}", "x".repeat(LONGEST));
        differ(&[&padded("'"), &padded("\""), &padded("')")]);
    }
}
