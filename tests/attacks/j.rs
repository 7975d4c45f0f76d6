//! Group J: around the wire.

crate::attacks! {}
