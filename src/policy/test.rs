//! The `tests:` of policies, judged as a session would be, by all policies that match (POLICY 14).

use crate::policy::PolicySet;
use crate::policy::diagnostic::Diagnostic;

/// The tests that fail, as findings in their files.
pub fn failures(_set: &std::sync::Arc<PolicySet>) -> Vec<Diagnostic> {
    Vec::new()
}
