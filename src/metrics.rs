//! Every metric in one table: name, kind, help, labels. `docs/metrics.md` is checked against it by a test.
//!
//! Label sets are bounded: groups, techniques, verdicts and events are closed lists; names of policies and rules come
//! from loaded files only, and past [`MAX_POLICIES`] and [`MAX_RULES`] they count under [`OTHER`]. Nothing that a client
//! sends becomes a label.
#![expect(
    clippy::expect_used,
    reason = "the table is constant: what is wrong with it shows at the first start and test"
)]

mod certificates;
pub mod label;
mod table;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector,
};

use crate::metrics::certificates::Certificates;
use crate::metrics::label::{AdminCall, AdminOutcome, CancelLabel, Event, Leg, OpinionLabel, Remembered, VerdictLabel};
pub use certificates::Expiry;
pub use table::{Kind, Metric, PROCESS, TABLE};

/// Policies that get a label of their own; the next ones count under [`OTHER`].
pub const MAX_POLICIES: usize = 200;

/// Pairs of policy and rule that get labels of their own; the next ones count under the rule [`OTHER`].
pub const MAX_RULES: usize = 1_000;

/// The label value of everything past a bound.
pub const OTHER: &str = "other";

/// The buckets of `portcullis_judge_seconds`: 1 µs to 100 ms.
const JUDGE_BUCKETS: [f64; 16] =
    [1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 1e-1];

/// The versions that `portcullis_session_tls_total` tells apart.
const TLS_VERSIONS: [&str; 3] = ["none", "TLSv1.2", "TLSv1.3"];

/// The values of `limit`.
const LIMITS: [&str; 8] = [
    "statement_bytes",
    "depth",
    "message_statements",
    "analysis_bytes",
    "statements",
    "logins",
    "sessions",
    "result_rows",
];

/// A loaded policy, for `portcullis_policy_info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyInfo {
    pub policy: String,
    /// `enforce` or `observe`.
    pub mode: &'static str,
    /// The file as the DBA names it.
    pub file: String,
}

/// All metrics of one process. Passed in, never global.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    groups: Vec<&'static str>,
    techniques: Vec<&'static str>,
    statements: IntCounterVec,
    refusals: IntCounterVec,
    events: [IntCounter; 6],
    injections: IntCounterVec,
    authentication_failures: IntCounter,
    logins_throttled: IntCounter,
    upstream_failures: IntCounter,
    upstream_up: IntGauge,
    upstream_host_up: IntGaugeVec,
    sessions: IntGauge,
    quarantined: IntGauge,
    blocks: IntGaugeVec,
    admin_calls: IntCounterVec,
    session_tls: IntCounterVec,
    session_panics: IntCounter,
    accept_errors: IntCounter,
    handshakes_dropped: IntCounter,
    tasks: IntGauge,
    cancel_requests: [IntCounter; CancelLabel::ALL.len()],
    judge: Histogram,
    policy_info: IntGaugeVec,
    policy_set_info: IntGaugeVec,
    selftest_open: IntGaugeVec,
    policy_loaded: IntGauge,
    policy_age: IntGauge,
    policy_reload_failed: IntGauge,
    tls_reload_failed: IntGauge,
    users_reload_failed: IntGauge,
    certificates: Certificates,
    unparsed: IntCounter,
    opinions: [IntCounter; 3],
    remembered: [IntCounter; 3],
    cache_bytes: IntGauge,
    limits: IntCounterVec,
    alerts: IntCounterVec,
    audit_dropped: IntCounter,
    /// The policies that have labels of their own.
    policies: Mutex<HashMap<String, Arc<PolicyMetrics>>>,
    /// The pairs `policy NUL rule` that have labels of their own.
    rules: Mutex<HashSet<String>>,
}

/// The handles of one policy, resolved once a session: counting allocates nothing and takes no lock.
#[derive(Debug)]
pub struct PolicyMetrics {
    /// By group, then by verdict.
    statements: Vec<[IntCounter; 3]>,
}

impl PolicyMetrics {
    /// Counts one statement. `group` is an index into the list of groups that [`Metrics::new`] was given; one that is out
    /// of range counts under the last group (`unknown`).
    pub fn statement(&self, group: usize, verdict: VerdictLabel) {
        let row = self.statements.get(group).or(self.statements.last());
        if let Some(counter) = row.and_then(|row| row.get(verdict as usize)) {
            counter.inc();
        }
    }
}

/// One session in `portcullis_sessions`: counted as long as this lives, however its task ends.
#[derive(Debug)]
pub struct SessionGuard(IntGauge);

impl Drop for SessionGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// All metrics at zero. `groups` are the values of the label `action`, `techniques` those of `technique`.
    ///
    /// # Panics
    /// Only where the table itself is wrong (two metrics of one name): the first test to run shows it.
    pub fn new(groups: &[&'static str], techniques: &[&'static str]) -> Metrics {
        let registry = Registry::new();
        #[cfg(target_os = "linux")]
        add(&registry, prometheus::process_collector::ProcessCollector::for_self());
        let build = gauges(&registry, &table::BUILD_INFO);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let events = counters(&registry, &table::SECURITY_EVENTS);
        let opinions = counters(&registry, &table::SECOND_OPINIONS);
        let limits = counters(&registry, &table::LIMIT_EXCEEDED);
        for limit in LIMITS {
            limits.with_label_values(&[limit]);
        }
        let remembered = counters(&registry, &table::REMEMBERED);
        let cancel_requests = counters(&registry, &table::CANCEL_REQUESTS);
        let session_tls = counters(&registry, &table::SESSION_TLS);
        for leg in [Leg::Client, Leg::Upstream] {
            for version in TLS_VERSIONS {
                session_tls.with_label_values(&[leg.as_str(), version]);
            }
        }
        let admin_calls = counters(&registry, &table::ADMIN_CALLS);
        for call in AdminCall::ALL {
            for outcome in AdminOutcome::ALL {
                admin_calls.with_label_values(&[call.as_str(), outcome.as_str()]);
            }
        }
        let blocks = gauges(&registry, &table::BLOCKS);
        for kind in ["hash", "user"] {
            blocks.with_label_values(&[kind]);
        }
        Metrics {
            groups: groups.to_vec(),
            techniques: techniques.to_vec(),
            statements: counters(&registry, &table::STATEMENTS),
            refusals: counters(&registry, &table::REFUSALS),
            events: Event::ALL.map(|event| events.with_label_values(&[event.as_str()])),
            injections: counters(&registry, &table::INJECTION_ATTEMPTS),
            authentication_failures: counter(&registry, &table::AUTHENTICATION_FAILURES),
            logins_throttled: counter(&registry, &table::LOGINS_THROTTLED),
            upstream_failures: counter(&registry, &table::UPSTREAM_FAILURES),
            upstream_up: gauge(&registry, &table::UPSTREAM_UP),
            upstream_host_up: gauges(&registry, &table::UPSTREAM_HOST_UP),
            sessions: gauge(&registry, &table::SESSIONS),
            quarantined: gauge(&registry, &table::QUARANTINED),
            blocks,
            admin_calls,
            session_tls,
            session_panics: counter(&registry, &table::SESSION_PANICS),
            accept_errors: counter(&registry, &table::ACCEPT_ERRORS),
            handshakes_dropped: counter(&registry, &table::HANDSHAKES_DROPPED),
            tasks: gauge(&registry, &table::TASKS),
            cancel_requests: CancelLabel::ALL.map(|outcome| cancel_requests.with_label_values(&[outcome.as_str()])),
            judge: histogram(&registry, &table::JUDGE_SECONDS, &JUDGE_BUCKETS),
            policy_info: gauges(&registry, &table::POLICY_INFO),
            policy_set_info: gauges(&registry, &table::POLICY_SET_INFO),
            policy_loaded: gauge(&registry, &table::POLICY_LOADED),
            policy_age: gauge(&registry, &table::POLICY_AGE),
            policy_reload_failed: gauge(&registry, &table::POLICY_RELOAD_FAILED),
            tls_reload_failed: gauge(&registry, &table::TLS_RELOAD_FAILED),
            selftest_open: gauges(&registry, &table::SELFTEST_OPEN),
            users_reload_failed: gauge(&registry, &table::USERS_RELOAD_FAILED),
            certificates: Certificates::new(gauges(&registry, &table::CERTIFICATE_EXPIRY)),
            unparsed: counter(&registry, &table::UNPARSED),
            opinions: OpinionLabel::ALL.map(|opinion| opinions.with_label_values(&[opinion.as_str()])),
            remembered: Remembered::ALL.map(|what| remembered.with_label_values(&[what.as_str()])),
            cache_bytes: gauge(&registry, &table::CACHE_BYTES),
            limits,
            alerts: counters(&registry, &table::ALERTS),
            audit_dropped: counter(&registry, &table::AUDIT_DROPPED),
            policies: Mutex::default(),
            rules: Mutex::default(),
            registry,
        }
    }

    /// The handles of a loaded policy; its series exist from then on, at zero. Past [`MAX_POLICIES`] policies: those of
    /// [`OTHER`].
    pub fn policy(&self, policy: &str) -> Arc<PolicyMetrics> {
        let mut policies = lock(&self.policies);
        if let Some(handles) = policies.get(policy) {
            return handles.clone();
        }
        let name = if policies.len() < MAX_POLICIES { policy } else { OTHER };
        let handles = policies.entry(name.to_owned()).or_insert_with(|| Arc::new(self.resolve(name)));
        handles.clone()
    }

    /// Makes the series of one policy.
    fn resolve(&self, policy: &str) -> PolicyMetrics {
        for technique in &self.techniques {
            for verdict in VerdictLabel::ALL {
                self.injections.with_label_values(&[*technique, policy, verdict.as_str()]);
            }
        }
        let row = |group: &&'static str| {
            VerdictLabel::ALL.map(|v| self.statements.with_label_values(&[policy, *group, v.as_str()]))
        };
        PolicyMetrics { statements: self.groups.iter().map(row).collect() }
    }

    /// The label of a policy: its name where it has series of its own, else [`OTHER`].
    fn policy_label<'a>(&self, policy: &'a str) -> &'a str {
        let known = lock(&self.policies).contains_key(policy);
        if known {
            return policy;
        }
        self.policy(policy);
        if lock(&self.policies).contains_key(policy) { policy } else { OTHER }
    }

    /// The label of a rule: its name, for as many rules as have series of their own, else [`OTHER`].
    fn rule_label<'a>(&self, policy: &str, rule: &'a str) -> &'a str {
        let pair = format!("{policy}\0{rule}");
        let mut rules = lock(&self.rules);
        let known = rules.contains(&pair) || (rules.len() < MAX_RULES && rules.insert(pair));
        if known { rule } else { OTHER }
    }

    /// Counts a refusal by a rule of a policy, or by one of the words of `RuleRef::label`.
    pub fn refusal(&self, policy: &str, rule: &str) {
        let policy = self.policy_label(policy);
        self.refusals.with_label_values(&[policy, self.rule_label(policy, rule)]).inc();
    }

    /// Counts the use of a rule that has a severity.
    pub fn alert(&self, policy: &str, rule: &str, severity: &'static str, verdict: VerdictLabel) {
        let policy = self.policy_label(policy);
        self.alerts.with_label_values(&[policy, self.rule_label(policy, rule), severity, verdict.as_str()]).inc();
    }

    /// Lines of the audit log that could not be written so far.
    pub fn audit_dropped(&self, lines: u64) {
        self.audit_dropped.inc_by(lines.saturating_sub(self.audit_dropped.get()));
    }

    /// Counts what was remembered of a text.
    pub fn remembered(&self, what: Remembered) {
        if let Some(counter) = self.remembered.get(what as usize) {
            counter.inc();
        }
    }

    /// Counts a message over a limit; `limit` is one of a closed list.
    pub fn limit_exceeded(&self, limit: &'static str) {
        self.limits.with_label_values(&[limit]).inc();
    }

    /// What the cache of texts occupies now, in bytes.
    pub fn cache_bytes(&self, bytes: u64) {
        self.cache_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Counts a security event. A statement with several injection techniques is one `sql_injection_attempt`.
    pub fn event(&self, event: Event) {
        if let Some(counter) = self.events.get(event as usize) {
            counter.inc();
        }
    }

    /// Counts one technique of one injection attempt. The attempt itself is [`Metrics::event`]'s, once a statement.
    pub fn injection(&self, technique: &'static str, policy: &str, verdict: VerdictLabel) {
        let policy = self.policy_label(policy);
        self.injections.with_label_values(&[technique, policy, verdict.as_str()]).inc();
    }

    /// A login was refused because too many before it failed.
    pub fn login_throttled(&self) {
        self.logins_throttled.inc();
    }

    /// Whether files of users that were to be reloaded can't be used.
    pub fn users_reload_failed(&self, failed: bool) {
        self.users_reload_failed.set(i64::from(failed));
    }

    /// Counts `portcullis_authentication_failures_total` and its event.
    pub fn authentication_failure(&self) {
        self.authentication_failures.inc();
        self.event(Event::AuthenticationFailure);
    }

    /// Counts a session (not a probe) that could not be connected to the server.
    pub fn upstream_connection_failure(&self) {
        self.upstream_failures.inc();
    }

    /// Whether the last probe reached any host of the upstream.
    pub fn upstream_up(&self, up: bool) {
        self.upstream_up.set(i64::from(up));
    }

    /// Whether it reached this one, by its name in the upstream's URL.
    pub fn upstream_host_up(&self, host: &str, up: bool) {
        self.upstream_host_up.with_label_values(&[host]).set(i64::from(up));
    }

    /// When the certificates in force end.
    pub fn certificates(&self, certificates: Vec<Expiry>) {
        self.certificates.set(certificates);
    }

    /// Counts a text that PostgreSQL's grammar could not read.
    pub fn unparsed(&self) {
        self.unparsed.inc();
    }

    /// Counts what the second parser made of a text that was read for the first time.
    pub fn second_opinion(&self, opinion: OpinionLabel) {
        if let Some(counter) = self.opinions.get(opinion as usize) {
            counter.inc();
        }
    }

    /// Counts a session until the guard is dropped: the way that can't leak.
    #[must_use]
    pub fn session(&self) -> SessionGuard {
        self.sessions.inc();
        SessionGuard(self.sessions.clone())
    }

    /// How many users are shut out now, each at one address.
    pub fn quarantined(&self, pairs: usize) {
        self.quarantined.set(i64::try_from(pairs).unwrap_or(i64::MAX));
    }

    /// How many emergency blocks of statements and of users are in force now.
    pub fn blocks(&self, hashes: usize, users: usize) {
        for (kind, number) in [("hash", hashes), ("user", users)] {
            self.blocks.with_label_values(&[kind]).set(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }

    /// Counts an administrative call.
    pub fn admin_call(&self, call: AdminCall, outcome: AdminOutcome) {
        self.admin_calls.with_label_values(&[call.as_str(), outcome.as_str()]).inc();
    }

    /// A session began; each needs its [`Metrics::session_closed`]. [`Metrics::session`] can't be forgotten.
    pub fn session_opened(&self) {
        self.sessions.inc();
    }

    /// A session that [`Metrics::session_opened`] counted is over.
    pub fn session_closed(&self) {
        self.sessions.dec();
    }

    /// Counts the TLS of one leg of a session. `version` is `"none"`, `"TLSv1.2"` or `"TLSv1.3"`.
    pub fn session_tls(&self, leg: Leg, version: &'static str) {
        let version = if TLS_VERSIONS.contains(&version) { version } else { OTHER };
        self.session_tls.with_label_values(&[leg.as_str(), version]).inc();
    }

    /// Counts a session that ended by a panic: always a bug of ours.
    pub fn session_panic(&self) {
        self.session_panics.inc();
    }

    /// Counts an error of `accept`, such as too many open files.
    pub fn accept_error(&self) {
        self.accept_errors.inc();
    }

    /// How many tasks are alive.
    pub fn tasks(&self, alive: usize) {
        self.tasks.set(i64::try_from(alive).unwrap_or(i64::MAX));
    }

    /// Counts a CancelRequest.
    pub fn cancel_request(&self, outcome: CancelLabel) {
        if let Some(counter) = self.cancel_requests.get(outcome as usize) {
            counter.inc();
        }
    }

    /// Counts a connection closed unheard, because too many handshakes were under way.
    pub fn handshake_dropped(&self) {
        self.handshakes_dropped.inc();
    }

    /// Latency added by judging one message.
    pub fn judged(&self, seconds: f64) {
        self.judge.observe(seconds);
    }

    /// Tells which policies are in force from now on, and makes their series. `digest` is that of their files.
    pub fn policies_loaded(&self, policies: &[PolicyInfo], digest: &str, now: SystemTime) {
        self.policy_set_info.reset();
        self.policy_set_info.with_label_values(&[digest]).set(1);
        self.policy_info.reset();
        for info in policies {
            let policy = self.policy_label(&info.policy);
            if policy != OTHER {
                self.policy_info.with_label_values(&[policy, info.mode, &info.file]).set(1);
            }
        }
        self.policy_loaded.set(unix_seconds(now));
    }

    /// Whether the last attempt to load policies left older ones in force.
    pub fn policy_reload_failed(&self, failed: bool) {
        self.policy_reload_failed.set(i64::from(failed));
    }

    /// Whether the last attempt to read certificate files left older ones in force.
    pub fn tls_reload_failed(&self, failed: bool) {
        self.tls_reload_failed.set(i64::from(failed));
    }

    /// Tells how many attacks of the catalogue each policy in force does not stop.
    pub fn selftest(&self, open: &[(String, usize)]) {
        self.selftest_open.reset();
        for (policy, open) in open {
            let policy = self.policy_label(policy);
            if policy != OTHER {
                self.selftest_open.with_label_values(&[policy]).set(i64::try_from(*open).unwrap_or(i64::MAX));
            }
        }
    }

    /// Everything in Prometheus's text format. `now` gives the policies' age.
    ///
    /// # Errors
    /// The encoder's, for a metric that breaks the format.
    pub fn encode(&self, now: SystemTime) -> Result<String, prometheus::Error> {
        let loaded = self.policy_loaded.get();
        let age = if loaded == 0 { 0 } else { unix_seconds(now).saturating_sub(loaded) };
        self.policy_age.set(age);
        self.certificates.reckon(unix_seconds(now));
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

fn unix_seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The data behind these locks is whole at every step, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const TABLE_IS_VALID: &str = "the table of metrics is valid and has no name twice";

fn add(registry: &Registry, collector: impl Collector + 'static) {
    registry.register(Box::new(collector)).expect(TABLE_IS_VALID);
}

fn counters(registry: &Registry, metric: &Metric) -> IntCounterVec {
    let made = IntCounterVec::new(Opts::new(metric.name, metric.help), metric.labels).expect(TABLE_IS_VALID);
    add(registry, made.clone());
    made
}

fn counter(registry: &Registry, metric: &Metric) -> IntCounter {
    let made = IntCounter::new(metric.name, metric.help).expect(TABLE_IS_VALID);
    add(registry, made.clone());
    made
}

fn gauges(registry: &Registry, metric: &Metric) -> IntGaugeVec {
    let made = IntGaugeVec::new(Opts::new(metric.name, metric.help), metric.labels).expect(TABLE_IS_VALID);
    add(registry, made.clone());
    made
}

fn gauge(registry: &Registry, metric: &Metric) -> IntGauge {
    let made = IntGauge::new(metric.name, metric.help).expect(TABLE_IS_VALID);
    add(registry, made.clone());
    made
}

fn histogram(registry: &Registry, metric: &Metric, buckets: &[f64]) -> Histogram {
    let options = HistogramOpts::new(metric.name, metric.help).buckets(buckets.to_vec());
    let made = Histogram::with_opts(options).expect(TABLE_IS_VALID);
    add(registry, made.clone());
    made
}

#[cfg(test)]
mod tests;
