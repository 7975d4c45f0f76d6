//! Whether this proxy can serve clients now, told by the parts that know and read by the admin server.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::metrics::Expiry;

/// A probe older than this says nothing any more: the task that probes every 5 s hangs or is gone.
pub const PROBE_STALE: Duration = Duration::from_secs(30);

/// Shared between the server, which writes, and the admin server, which reads.
#[derive(Debug, Default)]
pub struct Readiness(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    probe: Option<(Instant, Result<Duration, String>)>,
    policies: usize,
    digest: String,
    reload_failed: bool,
    tls_reload_failed: bool,
    certificates: Vec<Expiry>,
    draining: bool,
}

/// Why clients should not be sent here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The last probe did not reach the server, or there was none lately.
    Upstream,
    /// No policy is loaded.
    Policies,
    /// The proxy was told to stop.
    Draining,
}

impl Reason {
    /// The word in `/readyz`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Upstream => "upstream not reachable",
            Reason::Policies => "no policy loaded",
            Reason::Draining => "draining",
        }
    }
}

impl Readiness {
    /// What a probe of the server said: the time it took, or what went wrong, in words. True where this is news
    /// (reachable now and not before, or the other way round).
    pub fn probed(&self, outcome: Result<Duration, String>) -> bool {
        let mut known = self.lock();
        let news = known.probe.as_ref().map(|(_, before)| before.is_ok()) != Some(outcome.is_ok());
        known.probe = Some((Instant::now(), outcome));
        news
    }

    /// How many policies are in force, and the digest of their files.
    pub fn policies_loaded(&self, count: usize, digest: String) {
        let mut known = self.lock();
        known.policies = count;
        known.digest = digest;
        known.reload_failed = false;
    }

    /// Policy files that were to be reloaded are bad: older ones stay in force.
    pub fn reload_failed(&self) {
        self.lock().reload_failed = true;
    }

    /// Whether certificate files that were to be reloaded can't be used, so that older ones stay in force.
    pub fn tls_reloaded(&self, failed: bool) {
        self.lock().tls_reload_failed = failed;
    }

    /// When the certificates in force end.
    pub fn certificates(&self, certificates: &[Expiry]) {
        self.lock().certificates = certificates.to_vec();
    }

    /// The proxy stops: no new clients.
    pub fn drain(&self) {
        self.lock().draining = true;
    }

    /// Why clients should not be sent here; empty: they may come.
    pub fn reasons(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if self.upstream().is_err() {
            reasons.push(Reason::Upstream);
        }
        let known = self.lock();
        if known.policies == 0 {
            reasons.push(Reason::Policies);
        }
        if known.draining {
            reasons.push(Reason::Draining);
        }
        reasons
    }

    /// The last probe: the time it took, or what is wrong.
    pub(super) fn upstream(&self) -> Result<Duration, String> {
        match &self.lock().probe {
            None => Err("not probed yet".into()),
            Some((at, _)) if at.elapsed() > PROBE_STALE => Err("the last probe is too long ago".into()),
            Some((_, outcome)) => outcome.clone(),
        }
    }

    /// How many policies are in force, the digest of their files, and whether the last reload failed.
    pub(super) fn policies(&self) -> (usize, String, bool) {
        let known = self.lock();
        (known.policies, known.digest.clone(), known.reload_failed)
    }

    /// Whether the last reload of certificate files failed.
    pub(super) fn tls_failed(&self) -> bool {
        self.lock().tls_reload_failed
    }

    /// When certificates and revocation lists in force end.
    pub(super) fn known_to_end(&self) -> Vec<Expiry> {
        self.lock().certificates.clone()
    }

    /// The data is whole at every step, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
