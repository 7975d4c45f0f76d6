//! Group D: object, column and masking rules.

crate::attacks! {}
