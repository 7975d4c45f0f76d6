//! `portcullis demo`: a throw-away PostgreSQL with the firewall in front of it, and a tour.

pub mod certificates;
pub mod cluster;
