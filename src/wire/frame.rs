//! Frames: a type byte, a length that counts itself, a body. The same in both directions after the startup packet.

/// Bytes of a frame's header: the type and the length word.
pub const HEADER: usize = 5;

/// The server's `PQ_LARGE_MESSAGE_LIMIT` (`src/include/libpq/libpq.h`: MaxAllocSize - 1): the longest body of Query, Parse,
/// Bind, FunctionCall and CopyData.
pub const LARGE_LIMIT: usize = 0x3fff_ffff - 1;

/// The server's `PQ_SMALL_MESSAGE_LIMIT`: the longest body of every other frontend message.
pub const SMALL_LIMIT: usize = 10_000;

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The message type.
    pub kind: u8,
    /// Bytes that follow the header.
    pub body: usize,
}

impl Header {
    /// Bytes of the whole frame.
    pub fn frame(self) -> usize {
        HEADER + self.body
    }
}

/// A length word below 4 or above what any message may have. The stream can't be followed any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("impossible message length {length} for message type {kind:#04x}")]
pub struct ImpossibleLength {
    pub kind: u8,
    pub length: i32,
}

/// Reads the header at the start of `bytes`; `None` while fewer than five bytes are there.
///
/// # Errors
/// The length is below 4 (it counts itself).
#[inline]
pub fn header(bytes: &[u8]) -> Result<Option<Header>, ImpossibleLength> {
    let Some(&[kind, a, b, c, d]) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
    let length = i32::from_be_bytes([a, b, c, d]);
    match usize::try_from(length) {
        Ok(length) if length >= 4 => Ok(Some(Header { kind, body: length - 4 })),
        _ => Err(ImpossibleLength { kind, length }),
    }
}

/// The bytes before the first NUL, and those behind it; `None` where there is no NUL.
#[inline]
pub fn cstring(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, bytes)?;
    let (text, rest) = bytes.split_at_checked(end)?;
    Some((text, rest.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_needs_five_bytes() {
        assert_eq!(header(b"Q\0\0\0"), Ok(None));
        assert_eq!(header(b"Q\0\0\0\x05x"), Ok(Some(Header { kind: b'Q', body: 1 })));
    }

    #[test]
    fn a_length_that_does_not_count_itself_is_impossible() {
        for length in [3i32, 0, -1, i32::MIN] {
            let mut bytes = vec![b'Q'];
            bytes.extend(length.to_be_bytes());
            assert_eq!(header(&bytes), Err(ImpossibleLength { kind: b'Q', length }));
        }
    }

    #[test]
    fn a_cstring_ends_at_its_nul() {
        assert_eq!(cstring(b"ab\0c"), Some((&b"ab"[..], &b"c"[..])));
        assert_eq!(cstring(b"\0"), Some((&b""[..], &b""[..])));
        assert_eq!(cstring(b"ab"), None);
    }
}
