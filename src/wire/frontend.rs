//! What a client sends after the startup packet: the types that exist, their limits, and views of the bodies that are
//! judged. PostgreSQL manual, "Message Formats"; limits from `SocketBackend` in `src/backend/tcop/postgres.c`.

use super::frame::{LARGE_LIMIT, SMALL_LIMIT, cstring};

/// The frontend messages that are possible after authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frontend {
    Bind,
    Close,
    CopyData,
    CopyDone,
    CopyFail,
    Describe,
    Execute,
    Flush,
    FunctionCall,
    Parse,
    Query,
    Sync,
    Terminate,
}

impl Frontend {
    /// The message of a type byte; `None` for types that don't exist or have no place after authentication (`p`).
    #[inline]
    pub fn of(kind: u8) -> Option<Frontend> {
        Some(match kind {
            b'B' => Frontend::Bind,
            b'C' => Frontend::Close,
            b'd' => Frontend::CopyData,
            b'c' => Frontend::CopyDone,
            b'f' => Frontend::CopyFail,
            b'D' => Frontend::Describe,
            b'E' => Frontend::Execute,
            b'H' => Frontend::Flush,
            b'F' => Frontend::FunctionCall,
            b'P' => Frontend::Parse,
            b'Q' => Frontend::Query,
            b'S' => Frontend::Sync,
            b'X' => Frontend::Terminate,
            _ => return None,
        })
    }

    /// The longest body that the server accepts; a longer one ends the session there too.
    #[inline]
    pub fn limit(self) -> usize {
        match self {
            Frontend::Bind | Frontend::CopyData | Frontend::FunctionCall | Frontend::Parse | Frontend::Query => {
                LARGE_LIMIT
            }
            Frontend::Close
            | Frontend::CopyDone
            | Frontend::CopyFail
            | Frontend::Describe
            | Frontend::Execute
            | Frontend::Flush
            | Frontend::Sync
            | Frontend::Terminate => SMALL_LIMIT,
        }
    }
}

/// A body that is not what its type says: a missing NUL, bytes behind the end, a count that doesn't fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid message format")]
pub struct Malformed;

/// What Describe and Close are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    Statement(&'a [u8]),
    Portal(&'a [u8]),
}

/// A Parse body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parse<'a> {
    pub name: &'a [u8],
    pub text: &'a [u8],
    /// The OIDs of parameter types, four bytes each.
    types: &'a [u8],
}

impl Parse<'_> {
    /// The types that the client gives its parameters; 0 leaves one to the server.
    pub fn types(&self) -> impl Iterator<Item = u32> {
        self.types.chunks_exact(4).map(|oid| oid.try_into().map_or(0, u32::from_be_bytes))
    }
}

/// The text of a Query.
///
/// # Errors
/// No NUL at the end, or one before it: the server would read less than was judged.
pub fn query(body: &[u8]) -> Result<&[u8], Malformed> {
    match cstring(body) {
        Some((text, [])) => Ok(text),
        Some(_) | None => Err(Malformed),
    }
}

/// The name and text of a Parse.
///
/// # Errors
/// The parts don't fill the body exactly.
pub fn parse(body: &[u8]) -> Result<Parse<'_>, Malformed> {
    let (name, rest) = cstring(body).ok_or(Malformed)?;
    let (text, rest) = cstring(rest).ok_or(Malformed)?;
    let (count, types) = rest.split_first_chunk::<2>().ok_or(Malformed)?;
    if types.len() != 4 * usize::from(u16::from_be_bytes(*count)) {
        return Err(Malformed);
    }
    Ok(Parse { name, text, types })
}

/// Portal and statement name of a Bind, and the bytes behind them; `None` while they are not all there.
#[inline]
pub fn bind_names(body: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (portal, rest) = cstring(body)?;
    let (statement, rest) = cstring(rest)?;
    Some((portal, statement, rest))
}

/// One bound value: its format (0 text, 1 binary) and bytes, `None` for NULL.
pub type Value<'a> = Option<(i16, &'a [u8])>;

/// The values behind the names of a Bind.
///
/// # Errors
/// Counts and lengths don't fill the rest of the body exactly.
pub fn bind_values(rest: &[u8]) -> Result<Vec<Value<'_>>, Malformed> {
    fn count(bytes: &[u8]) -> Result<(usize, &[u8]), Malformed> {
        let (n, rest) = bytes.split_first_chunk::<2>().ok_or(Malformed)?;
        Ok((usize::from(u16::from_be_bytes(*n)), rest))
    }
    let (formats, rest) = count(rest)?;
    let (format_codes, rest) = rest.split_at_checked(2 * formats).ok_or(Malformed)?;
    let codes: Vec<i16> = format_codes.chunks_exact(2).map(|c| c.try_into().map_or(0, i16::from_be_bytes)).collect();
    let (values, mut rest) = count(rest)?;
    let mut bound = Vec::with_capacity(values.min(rest.len() / 4));
    for i in 0..values {
        let (length, after) = rest.split_first_chunk::<4>().ok_or(Malformed)?;
        let format = match codes.as_slice() {
            [] => 0,
            [one] => *one,
            many => *many.get(i).ok_or(Malformed)?,
        };
        match i32::from_be_bytes(*length) {
            -1 => {
                bound.push(None);
                rest = after;
            }
            length => {
                let length = usize::try_from(length).map_err(|_| Malformed)?;
                let (value, after) = after.split_at_checked(length).ok_or(Malformed)?;
                bound.push(Some((format, value)));
                rest = after;
            }
        }
    }
    let (results, rest) = count(rest)?;
    if rest.len() != 2 * results {
        return Err(Malformed);
    }
    Ok(bound)
}

/// What a Describe or a Close is about.
///
/// # Errors
/// Another letter than `S` and `P`, or the name doesn't fill the body.
pub fn target(body: &[u8]) -> Result<Target<'_>, Malformed> {
    let (&kind, name) = body.split_first().ok_or(Malformed)?;
    let name = query(name)?;
    match kind {
        b'S' => Ok(Target::Statement(name)),
        b'P' => Ok(Target::Portal(name)),
        _ => Err(Malformed),
    }
}

/// The portal of an Execute.
///
/// # Errors
/// The name and the row count don't fill the body.
pub fn execute(body: &[u8]) -> Result<&[u8], Malformed> {
    match cstring(body) {
        Some((portal, [_, _, _, _])) => Ok(portal),
        Some(_) | None => Err(Malformed),
    }
}

/// The function's OID in a FunctionCall.
///
/// # Errors
/// Shorter than an OID.
pub fn function_call(body: &[u8]) -> Result<u32, Malformed> {
    body.first_chunk::<4>().map(|oid| u32::from_be_bytes(*oid)).ok_or(Malformed)
}

/// Whether a Flush, Sync, Terminate or CopyDone is well formed: they have no body.
///
/// # Errors
/// There is one.
pub fn empty(body: usize) -> Result<(), Malformed> {
    if body == 0 { Ok(()) } else { Err(Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_query_is_exactly_one_cstring() {
        assert_eq!(query(b"SELECT 1\0"), Ok(&b"SELECT 1"[..]));
        assert_eq!(query(b"SELECT 1"), Err(Malformed));
        assert_eq!(query(b"SELECT 1\0DROP TABLE t\0"), Err(Malformed));
        assert_eq!(query(b""), Err(Malformed));
    }

    #[test]
    fn a_parse_fills_its_body() {
        let one = parse(b"s\0SELECT $1\0\0\x01\0\0\0\x17").unwrap();
        assert_eq!((one.name, one.text), (&b"s"[..], &b"SELECT $1"[..]));
        assert_eq!(one.types().collect::<Vec<_>>(), [23]);
        assert_eq!(parse(b"s\0SELECT $1\0\0\x01\0\0\0"), Err(Malformed));
        assert_eq!(parse(b"s\0SELECT $1\0\0\0x"), Err(Malformed));
        assert_eq!(parse(b"s\0SELECT"), Err(Malformed));
    }

    #[test]
    fn bound_values_come_with_their_format() {
        let body = b"\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\0";
        assert_eq!(bind_values(body), Ok(vec![Some((1, &b"ab"[..])), None]));
        assert_eq!(bind_values(&body[..body.len() - 1]), Err(Malformed));
        assert_eq!(bind_values(b"\0\0\0\x01\xff\xff\xff\xfe\0\0"), Err(Malformed));
    }

    #[test]
    fn targets_are_statements_or_portals() {
        assert_eq!(target(b"Ss1\0"), Ok(Target::Statement(b"s1")));
        assert_eq!(target(b"P\0"), Ok(Target::Portal(b"")));
        assert_eq!(target(b"X\0"), Err(Malformed));
        assert_eq!(execute(b"p\0\0\0\0\0"), Ok(&b"p"[..]));
        assert_eq!(execute(b"p\0\0\0\0"), Err(Malformed));
    }

    proptest! {
        #[test]
        fn views_never_panic(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = (query(&body), parse(&body), bind_names(&body), bind_values(&body), target(&body));
            let _ = (execute(&body), function_call(&body));
        }

        #[test]
        fn a_query_that_is_accepted_is_its_whole_body(body in proptest::collection::vec(0u8..4, 0..8)) {
            if let Ok(text) = query(&body) {
                prop_assert_eq!(text.len() + 1, body.len());
                prop_assert!(!text.contains(&0));
            }
        }
    }
}
