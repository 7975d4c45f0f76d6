//! Group F: wire protocol.

use super::Attack;

pub const ATTACKS: &[Attack] = &[];
