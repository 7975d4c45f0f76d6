//! Group J: around the wire.

use super::Attack;

pub const ATTACKS: &[Attack] = &[];
