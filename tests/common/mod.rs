//! What the end-to-end tests stand on: a throw-away PostgreSQL, the built firewall in front of it, and hands to use both.
//!
//! PostgreSQL's absence is a panic that says how to install it, never a skipped test.
//! (`mod.rs`, against the house's habit: cargo would take `tests/common.rs` for a test of its own.)
#![allow(dead_code, unused_imports, reason = "every test file compiles its own copy and uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

pub mod cluster;
pub mod corpora;
pub mod firewall;
pub mod grammar;
pub mod markdown;
pub mod psql_script;
pub mod python;
pub mod random_sql;
pub mod respell;
pub mod spec;
pub mod suite;
pub mod tools;
pub mod wire;

pub use cluster::Cluster;
pub use firewall::Firewall;
