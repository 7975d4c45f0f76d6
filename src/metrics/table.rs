//! The table: one entry for each metric that the process exports. `docs/metrics.md` repeats it for readers.

/// What a metric is for Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    /// Prometheus's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

macro_rules! table {
    ($($id:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(pub(super) const $id: Metric =
            Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)+
        /// Every metric of our own, in the order of `docs/metrics.md`.
        pub const TABLE: &[Metric] = &[$($id),+];
    };
}

table! {
    STATEMENTS = Counter "portcullis_statements_total" ["policy", "action", "verdict"]
        "Statements judged, once each, by the policy that answers, the group of the statement's action, and the verdict.";
    REFUSALS = Counter "portcullis_refusals_total" ["policy", "rule"]
        "Refusals by the rule that decided, or default, guard, require, parse, limit, disagreement, decoy, quarantine, injection, block.";
    SECURITY_EVENTS = Counter "portcullis_security_events_total" ["event_type"]
        "Security events by kind.";
    INJECTION_ATTEMPTS = Counter "portcullis_injection_attempts_total" ["technique", "policy", "verdict"]
        "Attempts at an injection, by technique; a statement with several techniques counts once for each, a burst of errors once as probing.";
    AUTHENTICATION_FAILURES = Counter "portcullis_authentication_failures_total" []
        "Logins that failed, at the proxy or at the server.";
    CANCEL_REQUESTS = Counter "portcullis_cancel_requests_total" ["outcome"]
        "Cancel requests by what became of them; the key of an unknown one belongs to no session here.";
    LOGINS_THROTTLED = Counter "portcullis_logins_throttled_total" []
        "Logins refused because too many before them failed (login_failures).";
    UPSTREAM_FAILURES = Counter "portcullis_upstream_connection_failures_total" []
        "Sessions that could not be connected to the server.";
    UPSTREAM_UP = Gauge "portcullis_upstream_up" []
        "1 while the last probe reached the server, any of several, else 0.";
    UPSTREAM_HOST_UP = Gauge "portcullis_upstream_host_up" ["host"]
        "1 while the last probe reached this host of the upstream, else 0.";
    SESSIONS = Gauge "portcullis_sessions" []
        "Client sessions that are open now.";
    TASKS = Gauge "portcullis_tasks" []
        "Tasks of the process that are alive: one for each connection, and a few of its own; looked at once a second.";
    QUARANTINED = Gauge "portcullis_quarantined" []
        "Pairs of user and address that are shut out now because they touched a decoy.";
    BLOCKS = Gauge "portcullis_blocks" ["kind"]
        "Emergency blocks that are in force now, by what they are of.";
    ADMIN_CALLS = Counter "portcullis_admin_calls_total" ["call", "outcome"]
        "Administrative calls, by what was called for and what came of it.";
    SESSION_TLS = Counter "portcullis_session_tls_total" ["leg", "version"]
        "Sessions by the TLS version of each leg; none is plaintext.";
    SESSION_PANICS = Counter "portcullis_session_panics_total" []
        "Sessions that ended by a panic of the proxy: always a bug, never a bypass.";
    ACCEPT_ERRORS = Counter "portcullis_accept_errors_total" []
        "Errors of accepting a connection, such as too many open files.";
    HANDSHAKES_DROPPED = Counter "portcullis_handshakes_dropped_total" []
        "Connections closed unheard because too many handshakes were under way, of their address or at all.";
    JUDGE_SECONDS = Histogram "portcullis_judge_seconds" []
        "Seconds that judging one message added; remembered verdicts, below a microsecond, are not timed.";
    POLICY_INFO = Gauge "portcullis_policy_info" ["policy", "mode", "file"]
        "1 for each policy in force.";
    POLICY_SET_INFO = Gauge "portcullis_policy_set_info" ["digest"]
        "1, with the SHA-256 of the policy files in force.";
    POLICY_LOADED = Gauge "portcullis_policy_loaded_timestamp_seconds" []
        "When the policies in force were loaded, in seconds since 1970.";
    POLICY_AGE = Gauge "portcullis_policy_age_seconds" []
        "Seconds since the policies in force were loaded.";
    POLICY_RELOAD_FAILED = Gauge "portcullis_policy_reload_failed" []
        "1 while policy files that were to be reloaded are bad and older ones stay in force, else 0.";
    TLS_RELOAD_FAILED = Gauge "portcullis_tls_reload_failed" []
        "1 while certificate files that were to be reloaded can't be used and older ones stay in force, else 0.";
    USERS_RELOAD_FAILED = Gauge "portcullis_users_reload_failed" []
        "1 while auth_file or auth_map, which were to be reloaded, can't be used and older ones stay in force, else 0.";
    CERTIFICATE_EXPIRY = Gauge "portcullis_certificate_expiry_seconds" ["leg", "kind"]
        "Seconds until a certificate ends, or a revocation list must have been replaced; negative afterwards.";
    SELFTEST_OPEN = Gauge "portcullis_selftest_open" ["policy"]
        "Attacks of the catalogue that a policy in force does not stop, as judged when it was loaded.";
    UNPARSED = Counter "portcullis_unparsed_total" []
        "Texts that PostgreSQL's grammar could not read.";
    SECOND_OPINIONS = Counter "portcullis_second_opinion_total" ["opinion"]
        "Texts read for the first time, by what the second parser makes of them.";
    LIMIT_EXCEEDED = Counter "portcullis_limit_exceeded_total" ["limit"]
        "Messages over a limit, refused or only observed.";
    ALERTS = Counter "portcullis_rule_alerts_total" ["policy", "rule", "severity", "verdict"]
        "Uses of rules that have a severity: statements that a deny rule refused, or an allow rule let pass.";
    AUDIT_DROPPED = Counter "portcullis_audit_lines_lost_total" []
        "Lines of the audit log that could not be written since the start.";
    REMEMBERED = Counter "portcullis_texts_total" ["remembered"]
        "Texts judged, by what was remembered of them: the verdict, the facts, or nothing.";
    CACHE_BYTES = Gauge "portcullis_verdict_cache_bytes" []
        "Bytes that the remembered texts occupy, roughly; verdict_cache_bytes bounds them.";
    BUILD_INFO = Gauge "portcullis_build_info" ["version"]
        "1, with the version of the program.";
}

/// What the process collector adds (Linux only); the names are the Prometheus convention's.
pub const PROCESS: &[&str] = &[
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
    "process_virtual_memory_bytes",
];
