//! Group H: evading allow-lists and injection detection.

use super::Attack;

pub const ATTACKS: &[Attack] = &[];
