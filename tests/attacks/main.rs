//! The catalogue of attacks against a real server: one file for each group, one test for each attack, named by its code.
//!
//! Each attack is tried past the firewall, where it must do harm; through an observing firewall, where every byte of both
//! directions must be as without one; and through an enforcing one, where nothing may happen.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;

mod a;
mod b;
mod c;
mod d;
mod e;
mod f;
mod g;
mod h;
mod i;
mod j;
mod recorder;
mod stand;

use std::collections::BTreeSet;

/// Tests that play the entries of the catalogue with these names.
macro_rules! attacks {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                crate::stand::hold(stringify!($name));
            }
        )*

        pub const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}
pub(crate) use attacks;

#[test]
fn every_attack_of_the_catalogue_has_its_test() {
    let tests: BTreeSet<String> =
        [a::NAMES, b::NAMES, c::NAMES, d::NAMES, e::NAMES, f::NAMES, g::NAMES, h::NAMES, i::NAMES, j::NAMES]
            .concat()
            .iter()
            .map(|name| (*name).to_owned())
            .collect();
    let attacks: BTreeSet<String> = portcullis::attacks::all().map(|attack| attack.test_name()).collect();
    assert_eq!(tests, attacks);
}
