//! Group B: statement-class confusion.

use super::Attack;

pub const ATTACKS: &[Attack] = &[];
