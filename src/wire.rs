//! PostgreSQL's frontend/backend protocol, without IO.

pub mod startup;
