//! PostgreSQL's frontend/backend protocol (version 3), without IO: framing, views of untrusted bodies, and the messages
//! that the proxy itself originates.
//!
//! Framing and views are ours, because they read untrusted bytes and must neither allocate nor guess; the encoders of
//! [`reply`] are `pgwire`'s.

pub mod backend;
pub mod frame;
pub mod frontend;
pub mod proxy_header;
pub mod reply;
pub mod sqlstate;
pub mod startup;
