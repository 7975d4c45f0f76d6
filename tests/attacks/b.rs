//! Group B: statement-class confusion.

crate::attacks! {}
