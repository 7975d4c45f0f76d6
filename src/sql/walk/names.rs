//! Names out of parse nodes and out of strings, as PostgreSQL reads them.

use pg_query::protobuf::{RangeVar, Token};
use pg_query::{Node, NodeEnum};

use crate::sql::Name;

/// NAMEDATALEN - 1: identifiers are cut to this many bytes.
const NAME_BYTES: usize = 63;

/// The node inside, if there is one.
pub(super) fn inner(node: &Node) -> Option<&NodeEnum> {
    node.node.as_ref()
}

/// The node in the box, if there is one.
pub(super) fn boxed(node: &Option<Box<Node>>) -> Option<&NodeEnum> {
    node.as_ref().and_then(|n| n.node.as_ref())
}

/// The string that a node is.
pub(super) fn string(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::String(s)) => Some(&s.sval),
        _ => None,
    }
}

/// The last string of a list.
pub(super) fn last(nodes: &[Node]) -> Option<&str> {
    nodes.last().and_then(string)
}

/// A name of one to three parts from a list of strings (other nodes in it do not count).
pub(super) fn dotted(nodes: &[Node]) -> Name {
    parts(nodes.iter().filter_map(string).collect::<Vec<_>>().as_slice())
}

/// A name from its parts; of more than three the last three.
pub(super) fn parts(parts: &[&str]) -> Name {
    let mut from_last = parts.iter().rev();
    let mut next = || from_last.next().map(|p| Box::<str>::from(*p));
    let name = next().unwrap_or_default();
    let schema = next();
    Name { catalog: next(), schema, name }
}

/// The name of a relation as written.
pub(super) fn range(relation: &RangeVar) -> Name {
    let part = |s: &str| (!s.is_empty()).then(|| Box::<str>::from(s));
    Name {
        catalog: part(&relation.catalogname),
        schema: part(&relation.schemaname),
        name: relation.relname.as_str().into(),
    }
}

/// True where the name is unqualified or in pg_catalog.
pub(super) fn may_be_builtin(name: &Name) -> bool {
    name.schema.as_deref().is_none_or(|schema| schema == "pg_catalog")
}

/// A name written in a string (`nextval('s')`, `'s'::regclass`), split and folded as the server does
/// (`textToQualifiedNameList`). `None` where the server would refuse it, or it is a number (an OID).
pub(super) fn from_text(text: &str) -> Option<Name> {
    let found = split_identifiers(text, '.')?;
    if found.is_empty() || found.len() > 3 || text.trim().bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return None;
    }
    Some(parts(&found.iter().map(String::as_str).collect::<Vec<_>>()))
}

/// `SplitIdentifierString` of varlena.c: unquoted parts are folded, all are cut to 63 bytes.
pub(super) fn split_identifiers(text: &str, separator: char) -> Option<Vec<String>> {
    let space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
    let mut rest = text.trim_start_matches(space);
    let mut found = Vec::new();
    if rest.is_empty() {
        return Some(found);
    }
    loop {
        let part;
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut value = String::new();
            let mut tail = quoted;
            loop {
                let (before, after) = tail.split_once('"')?;
                value.push_str(before);
                match after.strip_prefix('"') {
                    Some(more) => {
                        value.push('"');
                        tail = more;
                    }
                    None => {
                        tail = after;
                        break;
                    }
                }
            }
            part = value;
            rest = tail;
        } else {
            let end = rest.find(|c| c == separator || space(c)).unwrap_or(rest.len());
            let (before, after) = rest.split_at(end);
            if before.is_empty() {
                return None;
            }
            // Non-ASCII letters fold by the server's locale only in single-byte encodings.
            part = before.to_ascii_lowercase();
            rest = after;
        }
        found.push(truncated(&part).to_owned());
        rest = rest.trim_start_matches(space);
        match rest.strip_prefix(separator) {
            Some(after) => rest = after.trim_start_matches(space),
            None if rest.is_empty() => return Some(found),
            None => return None,
        }
    }
}

/// Cut to 63 bytes at a character's boundary, as `truncate_identifier` does.
pub(super) fn truncated(name: &str) -> &str {
    if name.len() <= NAME_BYTES {
        return name;
    }
    let end = (0..=NAME_BYTES).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    name.get(..end).unwrap_or(name)
}

/// An identifier that a server whose encoding is not UTF8 may read differently: unquoted and not ASCII (it may fold), or
/// over 63 bytes (it is cut elsewhere). In words.
pub(super) fn ambiguous_identifier(text: &str) -> Option<String> {
    if text.is_ascii() && !text.contains("&\"") {
        return None;
    }
    let Some(tokens) = crate::sql::parse::tokens(text) else {
        return Some("a text that the scanner refuses".to_owned());
    };
    for token in tokens {
        let is_identifier = token.token == Token::Ident as i32 || token.token == Token::Uident as i32;
        let (Ok(start), Ok(end)) = (usize::try_from(token.start), usize::try_from(token.end)) else { continue };
        let Some(written) = text.get(start..end).filter(|_| is_identifier) else { continue };
        let quoted = written.contains('"');
        if (!quoted && !written.is_ascii()) || written.trim_matches('"').len() > NAME_BYTES {
            return Some(format!("identifier {written} in an encoding other than UTF8"));
        }
    }
    None
}
