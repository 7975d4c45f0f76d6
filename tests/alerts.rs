//! The alerts and the compose file that are shipped: `promtool` accepts and tests the rules, every metric that they ask for
//! exists, and every container is closed down.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis::metrics::{PROCESS, TABLE};
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs promtool in `deploy/prometheus`. That it is missing is an error, not a skip.
fn promtool(arguments: &[&str]) {
    let directory = root().join("deploy/prometheus");
    let output = Command::new("promtool").args(arguments).current_dir(directory).output().unwrap_or_else(|error| {
        panic!(
            "promtool: {error}. Install it: `apt-get install prometheus` (Debian, Ubuntu), `brew install prometheus`"
        )
    });
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {arguments:?}:\n{out}{err}");
}

#[test]
fn promtool_accepts_the_rules() {
    promtool(&["check", "rules", "rules.yml"]);
}

#[test]
fn promtool_accepts_the_configuration() {
    promtool(&["check", "config", "--syntax-only", "prometheus.yml"]);
}

#[test]
fn each_alert_fires_where_it_must() {
    promtool(&["test", "rules", "rules_test.yml"]);
}

#[test]
fn each_alert_has_a_test() {
    let tests = read("deploy/prometheus/rules_test.yml");
    let rules = yaml("deploy/prometheus/rules.yml");
    let mut seen = 0;
    for group in rules["groups"].as_array().expect("groups") {
        for rule in group["rules"].as_array().expect("rules") {
            let alert = rule["alert"].as_str().expect("a name");
            assert!(tests.contains(&format!("alertname=\"{alert}\",alertstate=\"firing\",")), "{alert} never fires");
            assert!(rule["annotations"]["summary"].is_string() && rule["labels"]["severity"].is_string(), "{alert}");
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} alerts");
}

#[test]
fn the_alerts_ask_for_metrics_that_exist() {
    let rules = read("deploy/prometheus/rules.yml");
    let mut seen = 0;
    for word in rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
        if !word.starts_with("portcullis_") && !word.starts_with("process_") {
            continue;
        }
        let name = word.strip_suffix("_bucket").unwrap_or(word);
        assert!(TABLE.iter().any(|m| m.name == name) || PROCESS.contains(&name), "no metric {word}");
        seen += 1;
    }
    assert!(seen > 10, "{seen} metrics");
}

#[test]
fn every_container_is_closed_down() {
    let compose = yaml("docker-compose.yml");
    let services = compose["services"].as_object().expect("services");
    assert!(["postgres", "portcullis", "prometheus"].iter().all(|name| services.contains_key(*name)));
    for (name, service) in services {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        assert_eq!(service["security_opt"], serde_json::json!(["no-new-privileges:true"]), "{name}");
        assert!(service.get("privileged").is_none(), "{name}");
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(port.as_str().is_some_and(|port| port.starts_with("127.0.0.1:")), "{name}: {port}");
        }
        for (variable, value) in service["environment"].as_object().into_iter().flatten() {
            let secret = variable.contains("PASSWORD") || variable.ends_with("TOKEN");
            assert!(
                !secret || value.as_str().is_some_and(|v| v.starts_with("${")),
                "{name}: {variable} is written down"
            );
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let volume = volume.as_str().expect("the short form");
            let source = volume.split(':').next().expect("a source");
            if source.starts_with("./") {
                assert!(root().join(source).exists(), "{name}: {source} does not exist");
                assert!(volume.ends_with(":ro"), "{name}: {volume}");
            } else {
                assert!(compose["volumes"].get(source).is_some(), "{name}: {source} is not declared");
            }
        }
    }
    assert!(services["postgres"].get("ports").is_none(), "the database is reached through the firewall only");
}

#[test]
fn compose_speaks_tls_on_both_legs_in_the_production_profile() {
    let compose = yaml("docker-compose.yml");
    let settings = &compose["services"]["portcullis"]["environment"];
    assert_eq!(settings["PORTCULLIS_PROFILE"], "production");
    assert!(settings["PORTCULLIS_UPSTREAM"].as_str().is_some_and(|url| url.contains("sslmode=verify-full")));
    assert!(settings["PORTCULLIS_TLS_CERT"].is_string() && settings["PORTCULLIS_TLS_KEY"].is_string());
    // Every variable is a setting that exists.
    for (variable, _) in settings.as_object().expect("variables") {
        let key = variable.strip_prefix("PORTCULLIS_").expect("ours").to_ascii_lowercase();
        assert!(portcullis::config::KEYS.iter().any(|(known, _)| *known == key), "{variable}");
    }
}

#[test]
fn the_image_does_not_run_as_root() {
    let dockerfile = read("Dockerfile");
    let user = dockerfile.lines().rfind(|line| line.starts_with("USER ")).expect("a USER");
    assert!(!user.contains("root") && !user.starts_with("USER 0"), "{user}");
    assert!(dockerfile.matches("\nFROM ").count() == 2, "two stages");
    assert!(Path::new(&root().join(".dockerignore")).exists());
}
