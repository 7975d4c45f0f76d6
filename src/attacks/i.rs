//! Group I: denial of service on, and fail-open of, the firewall.

use super::Attack;

pub const ATTACKS: &[Attack] = &[];
