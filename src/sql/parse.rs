//! PostgreSQL's own parser, wrapped: a tree, or the server's words and (where it is certain) the position.

use std::panic::catch_unwind;

use pg_query::protobuf::ParseResult;

use super::Unparsed;

/// How many tokens that look like the offending one are tried before the position is given up.
const MAX_TRIES: usize = 32;

/// Reads a text with PostgreSQL's grammar. Needs a large stack.
pub(super) fn parse(text: &str) -> Result<ParseResult, Unparsed> {
    // The wrapper computes summaries of its own on the way and panics on shapes that it does not expect; that must not
    // cost the session.
    let parsed = catch_unwind(|| pg_query::parse(text, 0)).map_err(|_| Unparsed::Internal("the parser panicked".into()))?;
    match parsed {
        Ok(result) => Ok(result.protobuf),
        Err(pg_query::Error::Parse(message)) if is_depth(&message) => Err(Unparsed::TooDeep),
        Err(pg_query::Error::Parse(message)) => {
            let position = position(text, &message);
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

fn is_depth(message: &str) -> bool {
    message.starts_with("stack depth limit exceeded")
}

/// The 1-based character position that the server would give. The wrapper drops it, so it is found again: the grammar is
/// LALR(1), so that the text cut behind the offending token fails at that very token.
fn position(text: &str, message: &str) -> Option<usize> {
    let near = if message.ends_with(" at end of input") {
        return Some(text.chars().count() + 1);
    } else {
        message.split_once(" at or near \"")?.1.strip_suffix('"')?
    };
    let tokens = match pg_query::scan_tokens(text) {
        Ok(tokens) => tokens,
        // The lexer itself failed (an unterminated literal): the server quotes everything from there to the end.
        Err(_) => return text.ends_with(near).then(|| characters(text, text.len() - near.len())).flatten(),
    };
    let mut tries = 0;
    for token in tokens {
        let (Ok(start), Ok(end)) = (usize::try_from(token.start), usize::try_from(token.end)) else { return None };
        // What is near is the token as lexed, sometimes less of it (`"ab` of `"ab"cd`): it starts where the token starts.
        if !text.get(start..).is_some_and(|rest| rest.starts_with(near)) {
            continue;
        }
        tries += 1;
        if tries > MAX_TRIES {
            return None;
        }
        let Some(prefix) = text.get(..end) else { continue };
        if let Err(pg_query::Error::Parse(again)) = pg_query::parse(prefix, 0)
            && again == message
        {
            return characters(text, start);
        }
    }
    None
}

fn characters(text: &str, offset: usize) -> Option<usize> {
    Some(text.get(..offset)?.chars().count() + 1)
}
