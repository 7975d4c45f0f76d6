//! Every load of policies, of certificates and of users is told here, once, whatever it came to: to the log, the metrics and the admin
//! server. Who else wants to know (an audit log) is told here, too.

use std::sync::Arc;
use std::time::SystemTime;

use crate::admin::Readiness;
use crate::audit::{Audit, Event, Loaded};
use crate::metrics::{Metrics, PolicyInfo};
use crate::policy::{Diff, Digest, PolicySet, UnknownListener};

/// What made the proxy read files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The process started.
    Start,
    /// It was told to.
    Sighup,
    /// The files changed.
    Watch,
    /// The program itself, without files: the self-test's own firewall.
    Program,
}

impl Source {
    /// The word in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Start => "start",
            Source::Sighup => "SIGHUP",
            Source::Watch => "watch",
            Source::Program => "program",
        }
    }
}

/// One load, and what it came to.
#[derive(Debug)]
pub enum Load<'a> {
    /// This set is in force now. `diff`: against the one before; None at the start.
    /// `listeners`: the names of those that there are.
    Policies { set: &'a PolicySet, diff: Option<&'a Diff>, listeners: &'a [&'a str] },
    /// The files make no set: the one before stays in force. `digest` is that of the bad files.
    PoliciesFailed { digest: Digest, errors: &'a str },
    /// Certificates were read. `client`: the fingerprint of what clients see (SHA-256, hex); None where that leg is plain.
    Tls { client: Option<&'a str> },
    /// Of some of the certificate files the older ones stay in force.
    TlsFailed { problems: &'a [String] },
    /// `auth_file` and `auth_map` were read.
    Users { count: usize },
    /// One of them can't be used: the older ones stay in force.
    UsersFailed { problem: &'a str },
}

/// Who is told.
#[derive(Debug, Clone)]
pub struct Told {
    pub metrics: Arc<Metrics>,
    pub readiness: Arc<Readiness>,
    pub audit: Audit,
}

impl Told {
    /// Tells of one load. What is in force already is.
    pub fn tell(&self, source: Source, load: &Load<'_>) {
        let Told { metrics, readiness, audit } = self;
        if source == Source::Sighup {
            audit.reopen();
        }
        let from = source.as_str();
        match load {
            Load::Policies { set, diff, listeners } => {
                let infos: Vec<PolicyInfo> = set
                    .overview()
                    .map(|(policy, mode, file)| PolicyInfo { policy: policy.to_string(), mode, file: file.to_string() })
                    .collect();
                let digest = set.digest().to_string();
                metrics.policies_loaded(&infos, &digest, SystemTime::now());
                metrics.policy_reload_failed(false);
                readiness.policies_loaded(infos.len(), digest.clone());
                let summary = diff.map_or_else(|| "the first".to_owned(), ToString::to_string);
                audit_load(audit, from, "loaded", Some(digest.clone()), summary);
                let names: Vec<&str> = infos.iter().map(|info| info.policy.as_str()).collect();
                let (policies, names) = (names.len(), names.join(","));
                match diff {
                    None => tracing::info!(policies, names, digest, source = from, "policies loaded"),
                    Some(diff) => {
                        let diff = diff.to_string();
                        tracing::info!(policies, names, digest, diff, source = from, "policies reloaded");
                    }
                }
                // `check` can't find it: it doesn't know the settings.
                for UnknownListener { policy, written, near } in set.unknown_listeners(listeners) {
                    let near = near.map(|near| format!(", did you mean \"{near}\"?")).unwrap_or_default();
                    let (listener, listeners) = (written, listeners.join(", "));
                    tracing::warn!(
                        policy,
                        listener,
                        listeners,
                        source = from,
                        "the policy applies to a listener that there is not{near}"
                    );
                }
            }
            Load::PoliciesFailed { digest, errors } => {
                audit_load(audit, from, "failed", Some(digest.to_string()), errors.trim_end().to_owned());
                metrics.policy_reload_failed(true);
                readiness.reload_failed();
                tracing::error!(
                    %digest,
                    source = from,
                    "policies not reloaded, the old ones stay in force:\n{}",
                    errors.trim_end()
                );
            }
            Load::Tls { client } => {
                if source != Source::Start {
                    let certificate = client.unwrap_or("none");
                    audit_load(audit, from, "loaded", None, format!("certificates; clients see {certificate}"));
                }
                metrics.tls_reload_failed(false);
                readiness.tls_reloaded(false);
                // At the start it goes without saying.
                if source != Source::Start {
                    tracing::info!(certificate = client, source = from, "certificates reloaded");
                }
            }
            Load::TlsFailed { problems } => {
                audit_load(audit, from, "failed", None, format!("certificates: {}", problems.join("; ")));
                metrics.tls_reload_failed(true);
                readiness.tls_reloaded(true);
                tracing::error!(
                    source = from,
                    "certificates not reloaded, the old ones stay in force: {}",
                    problems.join("; ")
                );
            }
            Load::Users { count } => {
                audit_load(audit, from, "loaded", None, format!("users; auth_file has {count}"));
                metrics.users_reload_failed(false);
                tracing::info!(users = count, source = from, "users reloaded");
            }
            Load::UsersFailed { problem } => {
                audit_load(audit, from, "failed", None, format!("users: {problem}"));
                metrics.users_reload_failed(true);
                tracing::error!(source = from, "users not reloaded, the old ones stay in force: {problem}");
            }
        }
    }
}

fn audit_load(audit: &Audit, by: &str, outcome: &str, digest: Option<String>, summary: String) {
    if audit.is_on() {
        let (by, outcome) = (by.to_owned(), outcome.to_owned());
        audit.tell(Event::PolicyLoad(Loaded { by, outcome, digest, summary }));
    }
}
