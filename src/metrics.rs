//! Every metric in one table: name, help, labels.

use std::sync::Arc;

use crate::metrics::label::{Event, Leg, VerdictLabel};

/// The closed label values.
pub mod label {
    /// `verdict` of statements and injection attempts.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum VerdictLabel {
        Allow,
        Refuse,
        WouldRefuse,
    }
    /// `event_type` of security events.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Event {
        SqlInjectionAttempt,
        AuthenticationFailure,
        ProtocolViolation,
        GuardedSetting,
    }
    /// `leg` of TLS sessions.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Leg {
        Client,
        Upstream,
    }
}

/// All metrics of one process. Passed in, never global.
#[derive(Debug)]
pub struct Metrics {}

/// The handles of one policy, resolved once a session: counting allocates nothing and takes no lock.
#[derive(Debug)]
pub struct PolicyMetrics {}

impl PolicyMetrics {
    /// Counts one statement. `group` is `sql::Group::as_str()` or `"fastpath"`…: indices are resolved by the caller's enum.
    pub fn statement(&self, _group: usize, _verdict: VerdictLabel) {
        unimplemented!()
    }
}

impl Metrics {
    /// The handles of a loaded policy. `groups` are the label values of `action`, fixed.
    pub fn policy(&self, _policy: &str) -> Arc<PolicyMetrics> {
        unimplemented!()
    }
    pub fn refusal(&self, _policy: &str, _rule: &str) {
        unimplemented!()
    }
    pub fn event(&self, _event: Event) {
        unimplemented!()
    }
    pub fn injection(&self, _technique: &'static str, _policy: &str, _verdict: VerdictLabel) {
        unimplemented!()
    }
    /// Counts `portcullis_authentication_failures_total` and its event.
    pub fn authentication_failure(&self) {
        unimplemented!()
    }
    pub fn upstream_connection_failure(&self) {
        unimplemented!()
    }
    pub fn unparsed(&self) {
        unimplemented!()
    }
    pub fn session_opened(&self) {
        unimplemented!()
    }
    pub fn session_closed(&self) {
        unimplemented!()
    }
    /// `version` is `"none"`, `"TLSv1.2"` or `"TLSv1.3"`.
    pub fn session_tls(&self, _leg: Leg, _version: &'static str) {
        unimplemented!()
    }
    /// Latency added by judging one message.
    pub fn judged(&self, _seconds: f64) {
        unimplemented!()
    }
}

impl VerdictLabel {
    /// The label value.
    pub fn as_str(self) -> &'static str { unimplemented!() }
}
