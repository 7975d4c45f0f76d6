//! Tests of the metrics: the table, the documentation, the bounds.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::*;

const GROUPS: &[&str] = &["read", "write", "unknown"];
const TECHNIQUES: &[&str] = &["constant_true", "union_probe"];

fn metrics() -> Metrics {
    Metrics::new(GROUPS, TECHNIQUES)
}

fn text(metrics: &Metrics) -> String {
    metrics.encode(SystemTime::now()).expect("encodes")
}

fn has(metrics: &Metrics, line: &str) {
    let text = text(metrics);
    assert!(text.lines().any(|l| l == line), "no line `{line}` in\n{text}");
}

/// The rows that `docs/metrics.md` must have.
fn rows() -> String {
    let mut rows = String::from("| metric | kind | labels | meaning |\n|---|---|---|---|\n");
    for metric in TABLE {
        let labels: Vec<String> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
        let (name, kind, help) = (metric.name, metric.kind.as_str(), metric.help);
        writeln!(rows, "| `{name}` | {kind} | {} | {help} |", labels.join(", ")).expect("a String takes it");
    }
    rows
}

#[test]
fn the_documentation_repeats_the_table() {
    let docs = include_str!("../../docs/metrics.md");
    assert!(docs.contains(&rows()), "docs/metrics.md must contain:\n{}", rows());
    for name in PROCESS {
        assert!(docs.contains(&format!("`{name}`")), "docs/metrics.md lacks {name}");
    }
}

#[test]
fn alerts_name_their_rule_whatever_it_does() {
    let metrics = metrics();
    for (rule, verdict) in
        [("watched", VerdictLabel::WouldRefuse), ("noted", VerdictLabel::Allow), ("denied", VerdictLabel::Refuse)]
    {
        metrics.alert("shop", rule, "high", verdict);
        let text = metrics.encode(SystemTime::now()).unwrap();
        let line = format!("rule=\"{rule}\",severity=\"high\",verdict=\"{}\"}} 1", verdict.as_str());
        assert!(text.contains(&line), "{line}: {text}");
    }
}

#[test]
fn what_is_exported_is_what_the_table_says() {
    let metrics = metrics();
    metrics.policy("shop");
    metrics.refusal("shop", "default");
    let info = PolicyInfo { policy: "shop".into(), mode: "enforce", file: "policies/shop.yaml".into() };
    metrics.policies_loaded(&[info], "5d", SystemTime::now());
    metrics.selftest(&[("shop".to_owned(), 0)]);
    metrics.alert("shop", "freeze", "high", VerdictLabel::Allow);
    metrics.upstream_host_up("db:5432", true);
    metrics.certificates(vec![Expiry { leg: "client", kind: "certificate", at: 0 }]);
    metrics.encode(SystemTime::now()).unwrap();
    let families = metrics.registry.gather();
    let exported: BTreeSet<&str> = families.iter().map(|f| f.name()).collect();
    let mut expected: BTreeSet<&str> = TABLE.iter().map(|m| m.name).collect();
    if cfg!(target_os = "linux") {
        expected.extend(PROCESS);
    }
    assert_eq!(exported, expected);
    for metric in TABLE {
        let family = families.iter().find(|f| f.name() == metric.name).expect("exported");
        assert_eq!(family.help(), metric.help);
        assert_eq!(format!("{:?}", family.get_field_type()).to_lowercase(), metric.kind.as_str(), "{}", metric.name);
        for series in family.get_metric() {
            let labels: BTreeSet<&str> = series.get_label().iter().map(|l| l.name()).collect();
            assert_eq!(labels, metric.labels.iter().copied().collect(), "{}", metric.name);
        }
    }
}

#[test]
fn statements_count_by_group_and_verdict() {
    let metrics = metrics();
    let shop = metrics.policy("shop");
    shop.statement(1, VerdictLabel::Refuse);
    shop.statement(1, VerdictLabel::Refuse);
    shop.statement(0, VerdictLabel::WouldRefuse);
    shop.statement(99, VerdictLabel::Allow);
    let line = |action, verdict, n| {
        format!("portcullis_statements_total{{action=\"{action}\",policy=\"shop\",verdict=\"{verdict}\"}} {n}")
    };
    has(&metrics, &line("write", "refuse", 2));
    has(&metrics, &line("read", "would_refuse", 1));
    has(&metrics, &line("unknown", "allow", 1));
    has(&metrics, &line("write", "allow", 0));
    metrics.policy("shop").statement(1, VerdictLabel::Refuse);
    has(&metrics, &line("write", "refuse", 3));
}

#[test]
fn events_and_failures_exist_at_zero() {
    let metrics = metrics();
    for event in Event::ALL {
        has(&metrics, &format!("portcullis_security_events_total{{event_type=\"{}\"}} 0", event.as_str()));
    }
    has(&metrics, "portcullis_authentication_failures_total 0");
    metrics.authentication_failure();
    metrics.event(Event::GuardedSetting);
    has(&metrics, "portcullis_authentication_failures_total 1");
    has(&metrics, "portcullis_security_events_total{event_type=\"authentication_failure\"} 1");
    has(&metrics, "portcullis_security_events_total{event_type=\"guarded_setting\"} 1");
    has(&metrics, "portcullis_security_events_total{event_type=\"protocol_violation\"} 0");
}

#[test]
fn injection_series_exist_as_soon_as_the_policy_does() {
    let metrics = metrics();
    metrics.policy("shop");
    let line = "portcullis_injection_attempts_total{policy=\"shop\",technique=\"union_probe\",verdict=\"refuse\"}";
    has(&metrics, &format!("{line} 0"));
    metrics.injection("union_probe", "shop", VerdictLabel::Refuse);
    has(&metrics, &format!("{line} 1"));
}

#[test]
fn policies_and_rules_past_the_bounds_count_as_other() {
    let metrics = metrics();
    for n in 0..MAX_RULES + 10 {
        metrics.refusal("shop", &format!("rule-{n}"));
    }
    has(&metrics, "portcullis_refusals_total{policy=\"shop\",rule=\"rule-0\"} 1");
    has(&metrics, "portcullis_refusals_total{policy=\"shop\",rule=\"other\"} 10");
    for n in 0..MAX_POLICIES + 5 {
        metrics.policy(&format!("policy-{n}")).statement(0, VerdictLabel::Allow);
    }
    // `shop` was the first of the 200.
    has(&metrics, "portcullis_statements_total{action=\"read\",policy=\"other\",verdict=\"allow\"} 6");
    metrics.refusal("policy-204", "default");
    has(&metrics, "portcullis_refusals_total{policy=\"other\",rule=\"other\"} 1");
    let series = text(&metrics).lines().filter(|l| l.starts_with("portcullis_refusals_total{")).count();
    assert_eq!(series, MAX_RULES + 2);
}

#[test]
fn the_gauge_of_sessions_can_not_leak() {
    let metrics = metrics();
    let guard = metrics.session();
    let inner = metrics.session();
    has(&metrics, "portcullis_sessions 2");
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _inner = inner;
        panic!("a session's bug");
    }));
    assert!(caught.is_err());
    has(&metrics, "portcullis_sessions 1");
    drop(guard);
    has(&metrics, "portcullis_sessions 0");
    metrics.session_opened();
    has(&metrics, "portcullis_sessions 1");
    metrics.session_closed();
    has(&metrics, "portcullis_sessions 0");
}

#[test]
fn tls_versions_are_a_closed_list() {
    let metrics = metrics();
    has(&metrics, "portcullis_session_tls_total{leg=\"client\",version=\"none\"} 0");
    metrics.session_tls(Leg::Upstream, "TLSv1.3");
    metrics.session_tls(Leg::Upstream, "SSLv2");
    has(&metrics, "portcullis_session_tls_total{leg=\"upstream\",version=\"TLSv1.3\"} 1");
    has(&metrics, "portcullis_session_tls_total{leg=\"upstream\",version=\"other\"} 1");
}

#[test]
fn judging_is_measured_from_a_microsecond_to_a_tenth_of_a_second() {
    let metrics = metrics();
    metrics.judged(0.000_013);
    has(&metrics, "portcullis_judge_seconds_bucket{le=\"0.00001\"} 0");
    has(&metrics, "portcullis_judge_seconds_bucket{le=\"0.000025\"} 1");
    has(&metrics, "portcullis_judge_seconds_bucket{le=\"0.1\"} 1");
    has(&metrics, "portcullis_judge_seconds_count 1");
}

#[test]
fn policies_in_force_have_an_age_and_replace_each_other() {
    let metrics = metrics();
    has(&metrics, "portcullis_policy_age_seconds 0");
    let loaded = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let info = |policy: &str, mode| PolicyInfo { policy: policy.into(), mode, file: "policies/a.yaml".into() };
    metrics.policies_loaded(&[info("old", "observe")], "0a", loaded);
    metrics.policies_loaded(&[info("shop", "enforce")], "0b", loaded);
    let text = metrics.encode(loaded + Duration::from_secs(90)).expect("encodes");
    let has = |line: &str| text.lines().any(|l| l == line);
    assert!(has("portcullis_policy_age_seconds 90"), "{text}");
    assert!(has("portcullis_policy_loaded_timestamp_seconds 1700000000"), "{text}");
    assert!(has("portcullis_policy_info{file=\"policies/a.yaml\",mode=\"enforce\",policy=\"shop\"} 1"), "{text}");
    assert!(!text.contains("policy_info{file=\"policies/a.yaml\",mode=\"observe\""), "{text}");
    assert!(has("portcullis_policy_set_info{digest=\"0b\"} 1") && !text.contains("0a"), "{text}");
}

#[test]
fn names_can_not_break_the_text_format() {
    let metrics = metrics();
    metrics.refusal("a\"b\nc\\d", "default");
    has(&metrics, "portcullis_refusals_total{policy=\"a\\\"b\\nc\\\\d\",rule=\"default\"} 1");
}

#[test]
fn certificates_are_reckoned_when_somebody_asks_and_go_when_they_are_gone() {
    let metrics = metrics();
    let at = |kind, at| Expiry { leg: "upstream", kind, at };
    let told = |seconds| {
        let text = metrics.encode(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        let lines = text.lines().filter(|line| line.starts_with("portcullis_certificate_expiry_seconds"));
        lines.map(|line| line.rsplit_once("kind=").unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    metrics.certificates(vec![at("authority", 1_000), at("server", 500)]);
    assert_eq!(told(400), [r#""authority",leg="upstream"} 600"#, r#""server",leg="upstream"} 100"#]);
    assert_eq!(told(600), [r#""authority",leg="upstream"} 400"#, r#""server",leg="upstream"} -100"#]);
    metrics.certificates(vec![at("authority", 2_000)]);
    assert_eq!(told(600), [r#""authority",leg="upstream"} 1400"#]);
}
