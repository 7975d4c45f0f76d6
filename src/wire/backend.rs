//! What a server sends: views of the few bodies that the proxy looks at. The server is untrusted input too.

use super::frame::cstring;

/// ErrorResponse.
pub const ERROR_RESPONSE: u8 = b'E';
/// ReadyForQuery.
pub const READY_FOR_QUERY: u8 = b'Z';
/// ParameterStatus.
pub const PARAMETER_STATUS: u8 = b'S';
/// BackendKeyData.
pub const BACKEND_KEY_DATA: u8 = b'K';
/// CloseComplete.
pub const CLOSE_COMPLETE: u8 = b'3';
/// ParseComplete.
pub const PARSE_COMPLETE: u8 = b'1';
/// BindComplete.
pub const BIND_COMPLETE: u8 = b'2';
/// RowDescription.
pub const ROW_DESCRIPTION: u8 = b'T';
/// NoData.
pub const NO_DATA: u8 = b'n';
/// CommandComplete.
pub const COMMAND_COMPLETE: u8 = b'C';
/// DataRow.
pub const DATA_ROW: u8 = b'D';
/// CopyData.
pub const COPY_DATA: u8 = b'd';
/// PortalSuspended.
pub const PORTAL_SUSPENDED: u8 = b's';
/// EmptyQueryResponse.
pub const EMPTY_QUERY_RESPONSE: u8 = b'I';
/// CopyInResponse.
pub const COPY_IN_RESPONSE: u8 = b'G';

/// Name and value of a ParameterStatus body.
pub fn parameter_status(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = cstring(body)?;
    let (value, _) = cstring(rest)?;
    Some((name, value))
}

/// Process id and secret key of a BackendKeyData body; the key has 4 bytes, up to 256 in protocol 3.2.
pub fn backend_key_data(body: &[u8]) -> Option<(u32, &[u8])> {
    let (pid, key) = body.split_first_chunk::<4>()?;
    (4..=256).contains(&key.len()).then(|| (u32::from_be_bytes(*pid), key))
}

/// The fields of an ErrorResponse body, in order: a letter and the bytes of its value.
pub fn error_fields(body: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = body;
    std::iter::from_fn(move || {
        let (&kind, after) = rest.split_first()?;
        if kind == 0 {
            return None;
        }
        let (value, after) = cstring(after)?;
        rest = after;
        Some((kind, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stop_at_the_terminator_or_where_they_break() {
        let fields: Vec<_> = error_fields(b"SERROR\0C42601\0\0").collect();
        assert_eq!(fields, [(b'S', &b"ERROR"[..]), (b'C', &b"42601"[..])]);
        assert_eq!(error_fields(b"SERROR").count(), 0);
        assert_eq!(error_fields(b"").count(), 0);
    }

    #[test]
    fn keys_may_be_long() {
        assert_eq!(backend_key_data(b"\0\0\0\x07abcd"), Some((7, &b"abcd"[..])));
        assert_eq!(backend_key_data(&[0; 4 + 256]).map(|(_, key)| key.len()), Some(256));
        assert_eq!(backend_key_data(b"\0\0\0\x07abc"), None);
        assert_eq!(backend_key_data(&[0; 4 + 257]), None);
    }
}
