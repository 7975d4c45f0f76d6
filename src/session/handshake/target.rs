//! `target_session_attrs`: whether a server that took the login is of the kind that is wanted. It says so itself: servers from
//! PostgreSQL 14 on report `in_hot_standby` and `default_transaction_read_only` before their first ReadyForQuery. Nothing is
//! asked in the client's session, and the client hears nothing until a server is chosen.

use bytes::BytesMut;

use crate::config::TargetSessionAttrs;
use crate::session::auth::{Peer, PeerError};
use crate::wire::backend;

/// What a server said of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Kind {
    hot_standby: Option<bool>,
    read_only: Option<bool>,
}

/// Why it is not the one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// What it is, as a part of a sentence.
    Is(&'static str),
    /// Older than PostgreSQL 14.
    Silent,
    /// It ended the session in an ErrorResponse: that is for the client to read.
    Ended,
}

impl Kind {
    fn note(&mut self, body: &[u8]) {
        let Some((name, value)) = backend::parameter_status(body) else { return };
        match name {
            b"in_hot_standby" => self.hot_standby = Some(value == b"on"),
            b"default_transaction_read_only" => self.read_only = Some(value == b"on"),
            _ => {}
        }
    }

    /// As libpq's `CONNECTION_CHECK_TARGET`.
    fn suits(self, target: TargetSessionAttrs) -> Result<(), Unfit> {
        let read_only = || Some(self.read_only? || self.hot_standby?);
        let (known, wanted, otherwise) = match target {
            TargetSessionAttrs::Any => return Ok(()),
            TargetSessionAttrs::ReadWrite => (read_only(), false, "is read-only"),
            TargetSessionAttrs::ReadOnly => (read_only(), true, "is not read-only"),
            TargetSessionAttrs::Primary => (self.hot_standby, false, "is a standby"),
            TargetSessionAttrs::Standby | TargetSessionAttrs::PreferStandby => {
                (self.hot_standby, true, "is no standby")
            }
        };
        match known {
            None => Err(Unfit::Silent),
            Some(known) if known == wanted => Ok(()),
            Some(_) => Err(Unfit::Is(otherwise)),
        }
    }
}

/// Reads what the server says behind AuthenticationOk, up to its first ReadyForQuery, and puts it back into the buffer: the
/// session begins with it.
///
/// # Errors
/// The server went away; inside, why it is not the one.
pub(super) async fn look(server: &mut Peer, target: TargetSessionAttrs) -> Result<Result<(), Unfit>, PeerError> {
    if target == TargetSessionAttrs::Any {
        return Ok(Ok(()));
    }
    let mut held = BytesMut::new();
    let mut kind = Kind::default();
    let fit = loop {
        let frame = server.frame().await?;
        held.extend_from_slice(&frame.bytes);
        match frame.kind {
            backend::PARAMETER_STATUS => kind.note(frame.body()),
            backend::READY_FOR_QUERY => break kind.suits(target),
            backend::ERROR_RESPONSE => break Err(Unfit::Ended),
            // BackendKeyData, notices, and what a later server may say.
            _ => {}
        }
        if held.len() > MOST {
            return Err(PeerError::TooLong(held.len()));
        }
    };
    held.extend_from_slice(&server.buffer);
    server.buffer = held;
    Ok(fit)
}

/// The most bytes that a server may say before its first ReadyForQuery. What it reports are some twenty settings.
const MOST: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_chosen_as_libpq_chooses_them() {
        use TargetSessionAttrs as T;

        let kind = |hot_standby, read_only| Kind { hot_standby: Some(hot_standby), read_only: Some(read_only) };
        let (primary, read_only, standby) = (kind(false, false), kind(false, true), kind(true, false));
        for (target, on_primary, on_read_only, on_standby) in [
            (T::Any, true, true, true),
            (T::ReadWrite, true, false, false),
            (T::ReadOnly, false, true, true),
            (T::Primary, true, true, false),
            (T::Standby, false, false, true),
            (T::PreferStandby, false, false, true),
        ] {
            for (kind, expected) in [(primary, on_primary), (read_only, on_read_only), (standby, on_standby)] {
                assert_eq!(kind.suits(target).is_ok(), expected, "{target} of {kind:?}");
            }
        }
        assert_eq!(standby.suits(T::Primary), Err(Unfit::Is("is a standby")));
        for target in [T::ReadWrite, T::ReadOnly, T::Primary, T::Standby] {
            assert_eq!(Kind::default().suits(target), Err(Unfit::Silent), "PostgreSQL 13");
        }
    }
}
