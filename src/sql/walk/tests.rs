//! The walk, statement by statement.
