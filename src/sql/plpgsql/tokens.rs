//! The tokens of a body, by PostgreSQL's own scanner, which PL/pgSQL's is built on.

use pg_query::protobuf::Token as Kind;

use crate::sql::parse::tokens as scan;

pub(super) struct Token<'a> {
    /// The byte at which it starts.
    pub start: usize,
    pub text: &'a str,
    /// An identifier, a keyword of SQL, or `$n`.
    pub word: bool,
    /// A constant string.
    pub string: bool,
    /// A whole number.
    pub number: bool,
}

/// The tokens without comments.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    let scanned = scan(text).ok_or_else(|| "a PL/pgSQL body that the lexer does not read".to_owned())?;
    let mut tokens = Vec::with_capacity(scanned.len());
    for token in scanned {
        let is = |kind: Kind| token.token == kind as i32;
        if is(Kind::SqlComment) || is(Kind::CComment) {
            continue;
        }
        let range = usize::try_from(token.start).ok().zip(usize::try_from(token.end).ok());
        let (start, text) = range
            .and_then(|(start, end)| Some((start, text.get(start..end)?)))
            .filter(|(_, text)| !text.is_empty())
            .ok_or_else(|| "a PL/pgSQL body: a token that has no text".to_owned())?;
        let word = is(Kind::Ident) || is(Kind::Param) || token.keyword_kind != 0;
        tokens.push(Token { start, text, word, string: is(Kind::Sconst), number: is(Kind::Iconst) });
    }
    Ok(tokens)
}
