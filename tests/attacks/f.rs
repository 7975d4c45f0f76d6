//! Group F: wire protocol.

crate::attacks! {}
