//! TLS and authentication on both legs, end to end, with libpq on the client's side.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::path::PathBuf;

use common::tools::{Output, client, portcullis, run};
use common::wire::{SSL_REQUEST, error, startup};
use common::{Cluster, Firewall, cluster, firewall};

const POLICY: &str = "policy: everyone
applies_to: {users: [trust_user, scram_user, ssl_user, md5_user, md5_ssl_user, plain_user]}
search_path: [public]
allow: [{rule: read, actions: [select], tables: ['*']}]
";

/// Both legs TLS. `own` is the client leg's certificate; the upstream leg verifies the server in full.
fn both_legs(cluster: &Cluster, own: (PathBuf, PathBuf), auth: &str) -> firewall::Options {
    firewall::Options {
        tls: Some(own),
        host: "localhost",
        upstream: format!("sslmode=verify-full&sslrootcert={}", cluster.ca().display()),
        environment: vec![("PORTCULLIS_AUTH", auth.to_owned())],
        ..firewall::Options::policy(POLICY)
    }
}

/// Whether the server saw TLS in this session, by psql through the firewall.
fn ask(cluster: &Cluster, port: u16, user: &str, environment: &[(&str, &str)]) -> Output {
    let mut command = client(cluster, "psql", port, user, "shop");
    command.env("PGHOST", "localhost").env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", cluster.ca());
    command.envs(environment.iter().copied());
    run(command
        .args(["-X", "-A", "-t", "-v", "VERBOSITY=verbose"])
        .args(["-c", "SELECT ssl, current_user FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()"]))
}

#[test]
fn with_one_certificate_on_both_legs_passthrough_binds_the_channel() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, both_legs(&cluster, cluster.server_identity(), "passthrough"));
    for binding in ["require", "prefer", "disable"] {
        let output = ask(&cluster, firewall.port(), "scram_user", &[("PGCHANNELBINDING", binding)]);
        assert_eq!(output.ok(), "t|scram_user\n", "channel_binding={binding}");
    }
    for user in ["ssl_user", "md5_user", "md5_ssl_user", "trust_user"] {
        assert_eq!(ask(&cluster, firewall.port(), user, &[]).ok(), format!("t|{user}\n"));
    }
    assert!(firewall.metric("portcullis_session_tls_total", &[("leg", "client"), ("version", "TLSv1.3")]) >= 7.0);
    assert!(firewall.metric("portcullis_session_tls_total", &[("leg", "upstream"), ("version", "TLSv1.3")]) >= 7.0);
}

#[test]
fn with_two_certificates_password_mode_logs_everybody_in() {
    let cluster = Cluster::default();
    let own = cluster.issue(&["localhost", "127.0.0.1"], "firewall");
    let firewall = Firewall::start(&cluster, both_legs(&cluster, own, "password"));
    for user in ["scram_user", "ssl_user", "md5_user", "md5_ssl_user"] {
        assert_eq!(ask(&cluster, firewall.port(), user, &[]).ok(), format!("t|{user}\n"));
    }
    let wrong = ask(&cluster, firewall.port(), "scram_user", &[("PGPASSWORD", "not the secret")]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.stderr.contains("password authentication failed for user \"scram_user\""), "{}", wrong.stderr);
    assert!(firewall.metric("portcullis_authentication_failures_total", &[]) >= 1.0);
    let failed = [("event_type", "authentication_failure")];
    assert!(firewall.metric("portcullis_security_events_total", &failed) >= 1.0);
    assert!(!firewall.log().contains("secret"), "no password in the log:\n{}", firewall.log());
}

#[test]
fn password_mode_asks_for_no_password_outside_tls() {
    let cluster = Cluster::default();
    let own = cluster.issue(&["localhost"], "firewall");
    let firewall = Firewall::start(&cluster, both_legs(&cluster, own, "password"));
    let mut session = firewall.connect();
    let frames = session.try_login(&[("user", "scram_user"), ("database", "shop")]);
    let error = error(&frames);
    assert_eq!(error.field('S'), "FATAL");
    assert!(!frames.iter().any(|frame| frame.kind == b'R'), "{frames:?}");
}

#[test]
fn with_two_certificates_passthrough_does_not_start() {
    let cluster = Cluster::default();
    let (certificate, key) = cluster.issue(&["localhost"], "firewall");
    let policies = tempfile::tempdir().unwrap();
    std::fs::write(policies.path().join("p.yaml"), POLICY).unwrap();
    let port = cluster::two_ports();
    let root = cluster.ca();
    let output = portcullis(&[
        "run",
        &format!("--listen=127.0.0.1:{}", port[0]),
        &format!("--admin=127.0.0.1:{}", port[1]),
        &format!("--policies={}", policies.path().display()),
        &format!(
            "--upstream=postgres://localhost:{}?sslmode=verify-full&sslrootcert={}",
            cluster.port(),
            root.display()
        ),
        &format!("--tls-cert={}", certificate.display()),
        &format!("--tls-key={}", key.display()),
    ]);
    assert!(output.code > 0, "{output:?}");
    let told = output.stdout + &output.stderr;
    assert!(told.contains("passthrough-without-channel-binding"), "it says what to write: {told}");
}

#[test]
fn without_channel_binding_passthrough_works_with_two_certificates() {
    let cluster = Cluster::default();
    let own = cluster.issue(&["localhost", "127.0.0.1"], "firewall");
    let firewall = Firewall::start(&cluster, both_legs(&cluster, own, "passthrough-without-channel-binding"));
    for user in ["trust_user", "md5_user", "md5_ssl_user"] {
        assert_eq!(ask(&cluster, firewall.port(), user, &[]).ok(), format!("t|{user}\n"));
    }
    let bound = ask(&cluster, firewall.port(), "scram_user", &[("PGCHANNELBINDING", "disable")]);
    assert_eq!(bound.ok(), "t|scram_user\n");
    let bound = ask(&cluster, firewall.port(), "scram_user", &[("PGCHANNELBINDING", "require")]);
    assert_ne!(bound.code, 0, "{bound:?}");
}

#[test]
fn over_a_plain_client_leg_every_login_passes_through() {
    let cluster = Cluster::default();
    let upstream = format!("sslmode=verify-full&sslrootcert={}", cluster.ca().display());
    let options = firewall::Options { host: "localhost", upstream, ..firewall::Options::policy(POLICY) };
    let firewall = Firewall::start(&cluster, options);
    for user in ["trust_user", "md5_user", "scram_user", "ssl_user", "md5_ssl_user"] {
        let output = ask(&cluster, firewall.port(), user, &[("PGSSLMODE", "disable")]);
        assert_eq!(output.ok(), format!("t|{user}\n"));
    }
    // pg_hba wants plain_user without TLS: the server's own words come back.
    let output = ask(&cluster, firewall.port(), "plain_user", &[("PGSSLMODE", "disable")]);
    assert_eq!(output.code, 2);
    assert!(output.stderr.contains("pg_hba.conf rejects connection"), "{}", output.stderr);
    // A client that insists on TLS gets no from a firewall without a certificate.
    let output = ask(&cluster, firewall.port(), "trust_user", &[("PGSSLMODE", "require")]);
    assert!(output.stderr.contains("server does not support SSL"), "{}", output.stderr);
}

#[test]
fn a_server_that_is_not_who_it_should_be_gets_no_session() {
    let elsewhere = Cluster::start(cluster::Options { hosts: vec!["db.example.com"], ..cluster::Options::default() });
    let other = Cluster::default();
    let plain = Cluster::start(cluster::Options { tls: false, ..cluster::Options::default() });
    for (server, upstream) in [
        (&elsewhere, format!("sslmode=verify-full&sslrootcert={}", elsewhere.ca().display())),
        (&other, format!("sslmode=verify-ca&sslrootcert={}", elsewhere.ca().display())),
        (&other, format!("sslmode=verify-full&sslrootcert={}", elsewhere.ca().display())),
        (&plain, "sslmode=require".to_owned()),
    ] {
        let options = firewall::Options {
            host: "localhost",
            upstream: upstream.clone(),
            ready: false,
            ..firewall::Options::policy(POLICY)
        };
        let firewall = Firewall::start(server, options);
        let mut session = firewall.connect();
        let frames = session.try_login(&[("user", "trust_user"), ("database", "shop")]);
        assert_eq!(error(&frames).field('C'), "57P03", "{upstream}: {frames:?}");
        assert!(firewall.metric("portcullis_upstream_connection_failures_total", &[]) >= 1.0, "{upstream}");
        assert_eq!(firewall.get("/readyz").0, 503, "{upstream}");
        assert!(!server.log().contains("trust_user"), "no startup packet reached the server");
    }
    // verify-ca asks for the authority, not for the name.
    let upstream = format!("sslmode=verify-ca&sslrootcert={}", elsewhere.ca().display());
    let options = firewall::Options { host: "localhost", upstream, ..firewall::Options::policy(POLICY) };
    let firewall = Firewall::start(&elsewhere, options);
    assert_eq!(firewall.session("trust_user", "shop").value("SELECT 1"), "1");
}

#[test]
fn inside_tls_every_statement_is_judged() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, both_legs(&cluster, cluster.server_identity(), "passthrough"));
    let mut command = client(&cluster, "psql", firewall.port(), "trust_user", "shop");
    command.env("PGHOST", "localhost").env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", cluster.ca());
    let output = run(command.args(["-X", "-v", "VERBOSITY=verbose", "-c", "DELETE FROM orders"]));
    assert!(output.stderr.contains("42501: statement refused by policy \"everyone\""), "{}", output.stderr);
}

#[test]
fn plaintext_behind_an_ssl_request_closes_the_session() {
    let cluster = Cluster::default();
    let own = cluster.server_identity();
    let firewall = Firewall::start(&cluster, both_legs(&cluster, own, "passthrough"));
    let mut session = firewall.connect();
    session.send(&[&SSL_REQUEST[..], &startup(&[("user", "trust_user"), ("database", "shop")])].concat());
    let answer = session.rest();
    assert!(!answer.contains(&b'Z') && answer.len() < 64, "{}", answer.escape_ascii());
    assert_eq!(ask(&cluster, firewall.port(), "trust_user", &[]).ok(), "t|trust_user\n");
}
