//! The statements that a text runs, or makes runnable, besides being one itself: those of a message with several, and the one
//! inside PREPARE, DECLARE, EXPLAIN and COPY (…) TO. Each hashes as if it came alone, so that a block knows it there too.

use std::collections::BTreeSet;
use std::ops::Range;

use pg_query::NodeEnum;
use pg_query::protobuf::{ParseResult, RawStmt, ScanToken, Token};

use super::{StatementHash, Values, of_tokens};

/// The words that a statement begins with which can stand inside another one.
const BEGINNINGS: [Token; 8] = [
    Token::Select,
    Token::With,
    Token::Insert,
    Token::Update,
    Token::DeleteP,
    Token::Merge,
    Token::Values,
    Token::Table,
];

/// The hashes of the statements within a text, each once. None where the text is one plain statement: then its own says all.
pub(super) fn parts(text: &str, tree: &ParseResult, tokens: &[ScanToken], values: &Values) -> Box<[StatementHash]> {
    let mut hashes = BTreeSet::new();
    for raw in &tree.stmts {
        let here = within(tokens, raw, text.len());
        if tree.stmts.len() > 1 {
            hashes.insert(of_tokens(text, here, values));
        }
        if let Some(inner) = raw.stmt.as_ref().and_then(|stmt| stmt.node.as_ref()).and_then(|node| inner(node, here)) {
            hashes.insert(of_tokens(text, inner, values));
        }
    }
    hashes.into_iter().collect()
}

/// The tokens of one statement of a text.
fn within<'t>(tokens: &'t [ScanToken], raw: &RawStmt, length: usize) -> &'t [ScanToken] {
    let start = usize::try_from(raw.stmt_location).unwrap_or(0);
    let end = match usize::try_from(raw.stmt_len) {
        // PostgreSQL's way to say: to the end of the text.
        Ok(0) | Err(_) => length,
        Ok(bytes) => start.saturating_add(bytes),
    };
    let place = |byte: usize| tokens.partition_point(|token| usize::try_from(token.start).unwrap_or(0) < byte);
    tokens.get(place(start)..place(end)).unwrap_or_default()
}

/// The tokens of the statement that another one holds.
fn inner<'t>(node: &NodeEnum, tokens: &'t [ScanToken]) -> Option<&'t [ScanToken]> {
    let range: Range<usize> = match node {
        NodeEnum::PrepareStmt(_) => first(tokens, &[Token::As])? + 1..tokens.len(),
        NodeEnum::DeclareCursorStmt(_) => first(tokens, &[Token::For])? + 1..tokens.len(),
        NodeEnum::ExplainStmt(_) => first(tokens, &BEGINNINGS)?..tokens.len(),
        NodeEnum::CopyStmt(copy) if copy.query.is_some() => {
            let open = tokens.iter().position(|token| is(token, Token::Ascii40))?;
            let mut depth = 0u32;
            let length = tokens.get(open..)?.iter().position(|token| {
                match () {
                    () if is(token, Token::Ascii40) => depth += 1,
                    () if is(token, Token::Ascii41) => depth = depth.saturating_sub(1),
                    () => {}
                }
                depth == 0
            })?;
            open + 1..open + length
        }
        _ => return None,
    };
    tokens.get(range)
}

/// The first of these words outside of parentheses.
fn first(tokens: &[ScanToken], words: &[Token]) -> Option<usize> {
    let mut depth = 0u32;
    tokens.iter().position(|token| {
        match () {
            () if is(token, Token::Ascii40) => depth += 1,
            () if is(token, Token::Ascii41) => depth = depth.saturating_sub(1),
            () => {}
        }
        depth == 0 && words.iter().any(|word| is(token, *word))
    })
}

fn is(token: &ScanToken, kind: Token) -> bool {
    token.token == kind as i32
}
