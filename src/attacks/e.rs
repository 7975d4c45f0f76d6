//! Group E: lexer, encoding and grammar differentials.

use super::Attack;

pub const ATTACKS: &[Attack] = &[];
