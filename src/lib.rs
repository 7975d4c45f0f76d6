//! Portcullis: a SQL firewall for PostgreSQL.
//!
//! The module map. Arrows point down: a module uses only modules that stand below it here
//! (`tests/layering.rs` reads the `use crate::` lines and enforces it).
//!
//! ```text
//! cli ─▶ selftest ─▶ server, attacks
//! cli ─▶ learn ─▶ audit, policy
//! cli ─▶ server ─▶ session ─▶ policy ─▶ detect ─▶ sql
//!           │         ├─────▶ net ────▶ wire, config
//!           │         ├─────▶ limits ─▶ policy
//!           │         ├─────▶ audit ──▶ detect, sql
//!           │         └─────▶ wire, metrics, config
//!           └─▶ admin ─▶ blocks, metrics, policy, config
//! session ─▶ blocks ─▶ sql, metrics
//! policy, config, blocks ─▶ units
//! ```

// One sentence each, as plain comments: a `///` here would make rustdoc look for the links of a module's own `//!` here.

// The command line: one file for each sub-command.
pub mod cli;

// Plays the catalogue of attacks against policies, by judging alone or in front of a real server.
pub mod selftest;

// What the audit log teaches: policies that allow what was seen, and what others would have refused.
pub mod learn;

// The catalogue of attacks, as data.
pub mod attacks;

// Wires everything together: listener, accept loop, probes, drain.
pub mod server;

// Admin HTTP: `/metrics`, `/healthz`, `/readyz`, `/health`, and the calls that make and lift blocks.
pub mod admin;

// One client from accept to close.
pub mod session;

// What is counted over time and over sessions.
pub mod limits;

// The audit log.
pub mod audit;
// Emergency blocks: what an administrator has shut out for a while.
pub mod blocks;

// Facts and signals of an attempt at SQL injection.
pub mod detect;

// Facts and identity to a verdict: the policy language, its loader and its judge.
pub mod policy;

// SQL text to Facts: what a statement does, by PostgreSQL's own grammar.
pub mod sql;

// Streams: accepting TLS, connecting by `sslmode`.
pub mod net;

// PostgreSQL's frontend/backend protocol, without IO.
pub mod wire;

// Every metric in one table.
pub mod metrics;

// The proxy's own settings.
pub mod config;

// Sizes, times and networks as people write them.
pub mod units;
