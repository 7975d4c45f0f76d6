//! The messages that the proxy originates, by `pgwire`'s encoders.

use bytes::BytesMut;
use pgwire::messages::Message;
use pgwire::messages::extendedquery::Parse;
use pgwire::messages::response::ErrorResponse;
use pgwire::messages::simplequery::Query;

/// How bad an ErrorResponse is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The statement fails.
    Error,
    /// The session ends.
    Fatal,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
        }
    }
}

/// An ErrorResponse. Control characters and NUL in the texts become blanks.
pub fn error(severity: Severity, sqlstate: &str, message: &str, detail: Option<&str>, hint: Option<&str>) -> BytesMut {
    let mut fields = vec![
        (b'S', severity.as_str().to_owned()),
        (b'V', severity.as_str().to_owned()),
        (b'C', sqlstate.to_owned()),
        (b'M', printable(message)),
    ];
    fields.extend(detail.map(|text| (b'D', printable(text))));
    fields.extend(hint.map(|text| (b'H', printable(text))));
    encode(&ErrorResponse::new(fields))
}

/// A Query.
pub fn query(text: &str) -> BytesMut {
    encode(&Query::new(text.to_owned()))
}

/// A Parse without parameter types. An empty name is the unnamed statement.
pub fn parse(name: &str, text: &str) -> BytesMut {
    encode(&Parse::new(Some(name.to_owned()), text.to_owned(), Vec::new()))
}

/// A text that can't break a frame, a log line or a terminal: control characters become blanks.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn encode(message: &impl Message) -> BytesMut {
    let mut frame = BytesMut::with_capacity(message.message_length() + 1);
    match message.encode(&mut frame) {
        Ok(()) => frame,
        // The texts are ours and bounded, so an encoder that refuses them can only say so with an empty frame, after which
        // the caller has nothing to send: the session ends instead of going on unanswered.
        Err(_) => BytesMut::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{backend, frame, frontend};

    #[test]
    fn an_error_has_the_fields_in_the_servers_order() {
        let bytes = error(Severity::Fatal, "28000", "no\npolicy", None, Some("ask"));
        let header = frame::header(&bytes).unwrap().unwrap();
        assert_eq!((header.kind, header.frame()), (b'E', bytes.len()));
        let fields: Vec<_> = backend::error_fields(&bytes[frame::HEADER..]).collect();
        let expected: [(u8, &[u8]); 5] =
            [(b'S', b"FATAL"), (b'V', b"FATAL"), (b'C', b"28000"), (b'M', b"no policy"), (b'H', b"ask")];
        assert_eq!(fields, expected);
    }

    #[test]
    fn what_we_send_reads_back_by_our_own_views() {
        assert_eq!(frontend::query(&query("x")[frame::HEADER..]), Ok(&b"x"[..]));
        let parsed = parse("s", "x");
        let parsed = frontend::parse(&parsed[frame::HEADER..]).unwrap();
        assert_eq!((parsed.name, parsed.text, parsed.types().count()), (&b"s"[..], &b"x"[..], 0));
    }
}
