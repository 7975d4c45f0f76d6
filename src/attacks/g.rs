//! Group G: session state, identity, pooling.

use super::Attack;

pub const ATTACKS: &[Attack] = &[];
