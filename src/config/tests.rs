//! Layers, the floor, and what every mistake is told.

use std::collections::HashMap;
use std::time::Duration;

use super::*;

/// Loads a file's text, variables and flags.
fn load(yaml: &str, env: &[(&str, &str)], args: RunArgs) -> Result<Config, ConfigError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), yaml).unwrap();
    let env: HashMap<String, String> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let config = (!yaml.is_empty()).then(|| file.path().to_owned());
    Config::load(&RunArgs { config, ..args }, &|name| env.get(name).cloned())
}

fn flags() -> RunArgs {
    RunArgs { upstream: Some("postgres://db".into()), ..RunArgs::default() }
}

fn error(yaml: &str, env: &[(&str, &str)], args: RunArgs) -> String {
    load(yaml, env, args).expect_err("refused").to_string()
}

#[test]
fn an_upstream_is_all_that_must_be_said() {
    let config = load("", &[], flags()).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:6432");
    assert_eq!(config.admin.to_string(), "127.0.0.1:9127");
    assert_eq!(config.policies.to_str(), Some("policies"));
    assert_eq!((config.upstream.host.as_str(), config.upstream.port), ("db", 5432));
    assert_eq!(config.upstream.sslmode, SslMode::Prefer);
    assert_eq!((config.auth, config.profile, config.errors), (Auth::Passthrough, Profile::Default, Errors::Detailed));
    assert_eq!(config.handshake_timeout, Duration::from_secs(10));
    assert_eq!(config.connect_timeout, Duration::from_secs(10));
    assert_eq!(config.drain_timeout, Duration::from_secs(30));
    assert_eq!(config.quarantine, Duration::from_secs(900));
    assert!(error("", &[], RunArgs::default()).contains("--upstream"));
}

#[test]
fn the_quarantine_can_be_turned_off() {
    for (text, seconds) in [("0", 0), ("0s", 0), ("90s", 90), ("1h", 3600)] {
        let config = load(&format!("quarantine: {text}\n"), &[], flags()).unwrap();
        assert_eq!(config.quarantine, Duration::from_secs(seconds), "{text}");
    }
}

#[test]
fn later_layers_win() {
    let yaml = "upstream: postgres://file\nlisten: 127.0.0.1:1\nadmin: 127.0.0.1:1\ndrain_timeout: 1s\n";
    let env = [("PORTCULLIS_LISTEN", "127.0.0.1:2"), ("PORTCULLIS_ADMIN", "127.0.0.1:2"), ("PORTCULLIS_POLICIES", "")];
    let args = RunArgs { listen: Some("127.0.0.1:3".into()), ..RunArgs::default() };
    let config = load(yaml, &env, args).unwrap();
    assert_eq!((config.listen.port(), config.admin.port()), (3, 2));
    assert_eq!((config.upstream.host.as_str(), config.drain_timeout), ("file", Duration::from_secs(1)));
    assert_eq!(config.policies.to_str(), Some("policies"), "an empty variable is no setting");
}

#[test]
fn the_file_may_be_named_by_a_variable() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "upstream: postgres://file\n").unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let env = |name: &str| (name == "PORTCULLIS_CONFIG").then(|| path.clone());
    assert_eq!(Config::load(&RunArgs::default(), &env).unwrap().upstream.host, "file");
}

#[test]
fn unknown_keys_and_words_get_a_suggestion() {
    let said = error("upstream: postgres://db\nlistne: 127.0.0.1:1\n", &[], RunArgs::default());
    assert!(said.contains(":2: unknown key `listne`, did you mean `listen`?"), "{said}");
    let said = error("upstream: postgres://db\nauth: passthru\n", &[], RunArgs::default());
    assert!(said.contains(":2: auth: `passthru` is none of passthrough"), "{said}");
    let said = error("", &[], RunArgs { profile: Some("prodution".into()), ..flags() });
    assert!(said.contains("--profile") && said.contains("did you mean `production`?"), "{said}");
}

#[test]
fn broken_files_are_errors_with_their_name() {
    let said = error("listen: [1, 2\n", &[], flags());
    assert!(said.contains("tmp"), "{said}");
    assert!(error("listen: {a: b}\n", &[], flags()).contains("line 1"));
    assert!(error("listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n", &[], flags()).contains("listen"));
    let args = RunArgs { config: Some("/nowhere/portcullis.yaml".into()), ..flags() };
    let said = Config::load(&args, &|_| None).expect_err("no file").to_string();
    assert!(said.contains("/nowhere/portcullis.yaml"), "{said}");
}

#[test]
fn values_are_checked() {
    for (yaml, expected) in [
        ("listen: 6432", "not an address and port"),
        ("listen: db:6432", "not an address and port"),
        ("drain_timeout: 10", "not a duration like 10s"),
        ("drain_timeout: 0", "not a duration like 10s"),
        ("quarantine: 10", "not a duration like 10s"),
        ("quarantine: off", "not a duration like 10s"),
        ("drain_timeout: 10 parsecs", "not a duration like 10s"),
        ("tls_cert: server.crt", "`tls_key` is missing"),
        ("auth: password", "set `tls_cert` and `tls_key`"),
        ("minimum_sslmode: require", "weaker than `minimum_sslmode: require`"),
        ("admin_token: ''", "the secret is empty"),
        ("admin_token: ${NOT_SET}", "the variable NOT_SET is not set"),
        ("admin_token_file: /nowhere/token", "/nowhere/token"),
        ("admin_token: a\nadmin_token_file: b", "keep one of them"),
    ] {
        let said = error(yaml, &[], flags());
        assert!(said.contains(expected), "{yaml}: {said}");
    }
    for (text, milliseconds) in [("500ms", 500), ("10s", 10_000), ("2m", 120_000), ("1h", 3_600_000)] {
        let config = load("", &[], RunArgs { drain_timeout: Some(text.into()), ..flags() }).unwrap();
        assert_eq!(config.drain_timeout, Duration::from_millis(milliseconds), "{text}");
    }
}

#[test]
fn secrets_come_from_variables_and_files_and_are_never_printed() {
    let config = load("admin_token: ${TOKEN}-x$${y}\n", &[("TOKEN", "hunter2")], flags()).unwrap();
    assert_eq!(config.admin_token.as_ref().unwrap().expose(), "hunter2-x${y}");
    assert!(!format!("{config:?}").contains("hunter2"));

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hunter3\n").unwrap();
    let yaml = format!("admin_token_file: {}\n", file.path().display());
    assert_eq!(load(&yaml, &[], flags()).unwrap().admin_token.unwrap().expose(), "hunter3");
    // A later layer's form replaces the earlier layer's other form.
    let config = load(&yaml, &[("PORTCULLIS_ADMIN_TOKEN", "hunter4")], flags()).unwrap();
    assert_eq!(config.admin_token.unwrap().expose(), "hunter4");
}

#[test]
fn production_refuses_what_is_weaker() {
    let strong = "upstream: postgres://db?sslmode=verify-full&sslrootcert=ca.crt\nprofile: production\n";
    let config = load(strong, &[], RunArgs::default()).unwrap();
    assert_eq!((config.minimum_sslmode, config.errors), (SslMode::Require, Errors::Terse));
    assert!(config.requires_client_tls("10.0.0.1".parse().unwrap()));
    assert!(!config.requires_client_tls("::ffff:127.0.0.1".parse().unwrap()));

    for (more, expected) in [
        ("minimum_sslmode: prefer", "`minimum_sslmode: prefer` is too weak"),
        ("errors: detailed", "say `errors: terse`"),
        ("listen: 0.0.0.0:6432", "set `tls_cert` and `tls_key`"),
        ("admin: 0.0.0.0:9127", "set `admin_token` or `admin_token_file`"),
        ("minimum_sslmode: disable", "is too weak"),
    ] {
        for profile in ["production", "test"] {
            let yaml = format!("{strong}{more}\n").replace("production", profile);
            let said = error(&yaml, &[], RunArgs::default());
            assert!(said.starts_with(&format!("profile {profile}: ")) && said.contains(expected), "{more}: {said}");
            // The same settings are fine without the floor.
            load(&yaml.replace(profile, "default"), &[], RunArgs::default()).unwrap();
        }
    }
    let said = error(strong, &[("PORTCULLIS_UPSTREAM", "postgres://db")], RunArgs::default());
    assert!(said.contains("sslmode=prefer is weaker than `minimum_sslmode: require`"), "{said}");
    let by_variable = error("", &[("PORTCULLIS_PROFILE", "production")], flags());
    assert!(by_variable.starts_with("profile production: "), "{by_variable}");
}

#[test]
fn an_upstream_reads_as_libpq_reads_it() {
    let parse = |text: &str| Upstream::parse(text).unwrap();
    assert_eq!(parse("postgresql://db.internal:6000/").port, 6000);
    assert_eq!(parse("postgres://[::1]:5433").host, "::1");
    assert_eq!(parse("postgres://10.1.2.3").host, "10.1.2.3");
    assert_eq!(parse("postgres://db?sslmode=require").sslmode, SslMode::Require);
    assert_eq!(parse("postgres://db?sslmode=require&sslrootcert=ca.crt").sslmode, SslMode::VerifyCa);
    let system = parse("postgres://db?sslrootcert=system");
    assert_eq!((system.sslmode, system.root), (SslMode::VerifyFull, Some(RootCert::System)));
    let all = parse(
        "postgres://db?sslmode=verify-ca&sslrootcert=/a%20b/ca.crt&sslcert=c.crt&sslkey=c.key&sslcrl=l.crl\
         &ssl_min_protocol_version=TLSv1.3&connect_timeout=3&sslnegotiation=postgres&gssencmode=disable",
    );
    assert_eq!(all.root, Some(RootCert::File("/a b/ca.crt".into())));
    assert_eq!(all.client_cert, Some(("c.crt".into(), "c.key".into())));
    assert_eq!((all.crl, all.tls_minimum), (Some("l.crl".into()), TlsMinimum::V1_3));
    assert_eq!(all.connect_timeout, Some(Duration::from_secs(3)));
}

#[test]
fn a_wrong_upstream_says_what_to_change() {
    for (text, expected) in [
        ("db:5432", "postgres://"),
        ("mysql://db", "write postgres://"),
        ("postgres:///", "names no host"),
        ("postgres://%2Fvar%2Frun", "Unix sockets"),
        ("postgres://a,b", "several hosts"),
        ("postgres://a:1,b:2", "several hosts"),
        ("postgres://shop@db", "has a user"),
        ("postgres://shop:hunter2@db", "has a password"),
        ("postgres://db/shop", "has a database"),
        ("postgres://db?user=shop", "has a user"),
        ("postgres://db?password=hunter2", "has a password"),
        ("postgres://db?dbname=shop", "has a database"),
        ("postgres://db?sslmod=require", "did you mean `sslmode`?"),
        ("postgres://db?sslmode=full", "verify-full"),
        ("postgres://db?sslmode=require&sslmode=disable", "written twice"),
        ("postgres://db?sslmode=verify-full", "needs sslrootcert"),
        ("postgres://db?sslmode=verify-ca", "needs sslrootcert"),
        ("postgres://db?sslmode=verify-ca&sslrootcert=system", "needs sslmode=verify-full"),
        ("postgres://db?sslcert=c.crt", "`sslkey` is missing"),
        ("postgres://db?sslnegotiation=direct", "later release"),
        ("postgres://db?target_session_attrs=primary", "later release"),
        ("postgres://db?application_name=x", "clients send it"),
        ("postgres://db?options=-crole%3Dx", "clients send it"),
        ("postgres://db?ssl_min_protocol_version=SSLv3", "TLSv1.2 or TLSv1.3"),
        ("postgres://db?connect_timeout=soon", "number of seconds"),
    ] {
        let said = Upstream::parse(text).expect_err(text).to_string();
        assert!(said.contains(expected), "{text}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn the_manual_has_every_key() {
    let manual = include_str!("../../docs/configuration.md");
    for (key, _) in KEYS {
        assert!(manual.contains(&format!("`{key}`")), "docs/configuration.md lacks `{key}`");
    }
}
