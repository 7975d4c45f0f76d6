//! Sessions that policies match, for trying the policies out: who, where, and which tables they speak about.

use std::sync::Arc;

use crate::policy::compile::Policy;
use crate::policy::document::TestIdentity;
use crate::policy::names::is_system_schema;
use crate::policy::{Identity, PolicySet, Quotas, test};

/// One policy, and a session that it matches.
#[derive(Debug, Clone)]
pub struct SampleSession {
    pub policy: Arc<str>,
    pub file: Arc<str>,
    pub enforces: bool,
    /// First user, database and network, with TLS: what the policy requires is met.
    pub identity: Identity,
    /// Names that its `allow` rules mean, with their schemas.
    pub tables: Vec<(String, String)>,
    /// Where unqualified names are looked for.
    pub schema: String,
}

impl PolicySet {
    /// A session for each policy; `database` where a policy names none.
    pub fn sample_sessions(&self, database: &str) -> Vec<SampleSession> {
        self.policies.iter().map(|policy| sample(policy, database)).collect()
    }

    /// The same policies, admitting logins from everywhere, however often: what a session may do can then be tried from here.
    pub fn waive_requirements(mut self) -> PolicySet {
        for policy in &mut self.policies {
            policy.networks.clear();
            policy.tls = false;
            policy.client_cert = None;
            policy.os_users.clear();
            policy.listeners.clear();
            policy.quotas = Quotas::default();
        }
        self
    }
}

fn sample(policy: &Policy, database: &str) -> SampleSession {
    let database = policy.databases.is_empty().then(|| database.to_owned());
    let identity = test::identity(policy, &TestIdentity { database, ..TestIdentity::default() });
    let path = policy.search_path.as_deref().unwrap_or_default();
    let schema = path.first().map_or_else(|| "public".to_owned(), ToString::to_string);
    let patterns = policy.allow.iter().flat_map(|rule| rule.selectors.tables.iter().chain(&rule.selectors.objects));
    let mut tables = Vec::new();
    for pattern in patterns {
        let of = pattern.schema.as_ref().map_or_else(|| schema.clone(), |glob| glob.sample());
        // A pattern that any name matches means this one, too.
        let name = if pattern.name.matches("users") { "users".to_owned() } else { pattern.name.sample() };
        let of = if pattern.schema.as_ref().is_some_and(|glob| glob.matches(&schema)) { schema.clone() } else { of };
        let plain = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if plain(&of) && plain(&name) && !is_system_schema(&of) && !tables.contains(&(of.clone(), name.clone())) {
            tables.push((of, name));
        }
    }
    SampleSession {
        policy: policy.name.clone(),
        file: policy.file.clone(),
        enforces: policy.enforce,
        identity,
        tables,
        schema,
    }
}
