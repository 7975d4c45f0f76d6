//! Group C: code execution hidden in an expression.

use super::Attack;

pub const ATTACKS: &[Attack] = &[];
