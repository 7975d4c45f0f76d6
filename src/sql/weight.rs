//! How much memory reading a text may take, found out before it is read.
//!
//! The parser's trees are large: its wrapper keeps every node in a value as large as the largest kind of node, so that the two
//! bytes `a,` of a select list come to 4 KB. A text is therefore weighed by its tokens first (`tests/memory.rs` holds the
//! estimate against what the process really takes).

use pg_query::protobuf::{KeywordKind, Token};

/// What any text takes for each of its bytes: copies, and the list of tokens.
const BYTE: u64 = 16;

/// Words that open a query of their own, with a select list and a place in another one.
const QUERY: u64 = 6 << 10;
/// Names and other words: columns (`*` too), functions, types, parts of clauses.
const WORD: u64 = 9 << 9;
/// Literals and parameters.
const VALUE: u64 = 1 << 10;
/// Operators, and what opens a list or a row.
const OPERATOR: u64 = 5 << 9;

/// An upper estimate, in bytes, of what reading a text takes at its peak.
pub fn weight(text: &str) -> u64 {
    let length = text.len() as u64 * BYTE;
    // A text that the lexer refuses is refused by the parser as well, before the tree is copied out of it.
    let Ok(tokens) = pg_query::scan_tokens(text) else { return length * 16 };
    tokens.iter().map(|token| of(token.token, token.keyword_kind)).sum::<u64>() + length
}

fn of(token: i32, keyword: i32) -> u64 {
    match Token::try_from(token) {
        Ok(Token::Select | Token::Values | Token::Table) => QUERY,
        Ok(
            Token::Fconst
            | Token::Sconst
            | Token::Usconst
            | Token::Bconst
            | Token::Xconst
            | Token::Iconst
            | Token::Param,
        ) => VALUE,
        // They make nothing of their own.
        Ok(Token::Ascii41 | Token::Ascii44 | Token::Ascii46 | Token::Ascii59 | Token::Ascii93) => 0,
        Ok(Token::SqlComment | Token::CComment) => 0,
        Ok(_) if keyword != KeywordKind::NoKeyword as i32 => WORD,
        Ok(Token::Ident | Token::Uident | Token::Ascii42) => WORD,
        Ok(_) | Err(_) => OPERATOR,
    }
}
