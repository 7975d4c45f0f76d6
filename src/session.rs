//! One client from accept to close.

pub mod auth;
pub mod handshake;

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::net::{Acceptor, Connector};
use crate::policy::PolicySet;

/// What all sessions use together.
#[derive(Debug)]
pub struct Shared {
    pub config: Arc<Config>,
    /// None = the client leg has no TLS.
    pub acceptor: Option<Acceptor>,
    pub connector: Connector,
    pub policies: ArcSwap<PolicySet>,
    pub metrics: Arc<Metrics>,
}
