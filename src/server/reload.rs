//! Other policies in place of those in force, without a session lost over it (POLICY 13).

use std::sync::Arc;

use crate::admin::Readiness;
use crate::policy::{self, PolicySet};
use crate::server::publish;
use crate::session::Shared;

/// Puts other policies in force.
#[derive(Debug, Clone)]
pub struct Reload {
    pub(super) shared: Arc<Shared>,
    pub(super) readiness: Arc<Readiness>,
}

impl Reload {
    /// Reads the policy files again, as at the start. A set that has an error, or whose tests fail, leaves the old one in force.
    pub async fn read(&self) {
        let directory = self.shared.config.policies.clone();
        let read = tokio::task::spawn_blocking(move || policy::load(&directory)).await;
        match read.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(policies) => self.put(policies),
            Err(errors) => {
                self.shared.metrics.policy_reload_failed(true);
                self.readiness.reload_failed();
                tracing::error!("policies not reloaded, the old ones stay in force:\n{}", errors.trim_end());
            }
        }
    }

    /// Puts these in force.
    pub fn put(&self, policies: PolicySet) {
        let names: Vec<String> = policies.names().map(ToString::to_string).collect();
        publish(&policies, &self.shared.metrics, &self.readiness);
        self.shared.policies.replace(policies);
        self.shared.cache.clear();
        tracing::info!(policies = names.len(), names = names.join(","), "policies reloaded");
    }
}
