//! One client from accept to close.

pub mod cancel;
pub mod engine;
pub mod judge;
pub mod ledger;
pub mod refusal;
pub mod relay;
pub mod statements;
pub mod tell;
