//! Group C: code execution hidden in an expression.

crate::attacks! {}
