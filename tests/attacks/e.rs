//! Group E: lexer, encoding and grammar differentials.

crate::attacks! {}
