//! Group D: object, column and masking rules.

use super::Attack;

pub const ATTACKS: &[Attack] = &[];
