//! Group H: evading allow-lists and injection detection.

crate::attacks! {}
