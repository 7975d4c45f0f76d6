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

fn hosts(config: &Config) -> String {
    config.upstream.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn an_upstream_is_all_that_must_be_said() {
    let config = load("", &[], flags()).unwrap();
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.listeners[0].at.to_string(), "127.0.0.1:6432");
    assert_eq!(config.admin.to_string(), "127.0.0.1:9127");
    assert_eq!(config.policies.to_str(), Some("policies"));
    assert_eq!(hosts(&config), "db:5432");
    assert_eq!(config.upstream.sslmode, SslMode::Prefer);
    assert_eq!((config.auth, config.profile, config.errors), (Auth::Passthrough, Profile::Default, Errors::Detailed));
    assert_eq!(config.handshake_timeout, Duration::from_secs(60));
    assert_eq!(config.connect_timeout, Duration::from_secs(10));
    assert_eq!(config.drain_timeout, Duration::from_secs(30));
    assert_eq!(config.quarantine, Duration::from_secs(900));
    assert!(error("", &[], RunArgs::default()).contains("--upstream"));
}

#[test]
fn the_listeners_of_the_manual_load() {
    let manual = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md")).unwrap();
    let block = manual.split("## Listeners").nth(1).unwrap().split("```yaml\n").nth(1).unwrap();
    let config = load(block.split("```").next().unwrap(), &[], flags()).unwrap();
    let names: Vec<&str> = config.listeners.iter().map(|listener| &*listener.name).collect();
    assert_eq!(names, ["0.0.0.0:6432", "inside", "behind-haproxy", "/run/portcullis/.s.PGSQL.6432"]);
    assert_eq!(config.listeners[1].client_cert, ClientCert::Required);
    assert_eq!(config.listeners[2].proxy_protocol.len(), 2);
}

#[test]
fn what_belongs_together_is_said() {
    for (yaml, told) in [
        ("tls_client_ca: ca.crt\n", "it needs `tls_cert`"),
        ("tls_client_crl: crl.pem\n", "it needs `tls_client_ca`"),
        ("client_tls: require\n", "tls_cert"),
        ("client_cert: optional\ntls_cert: a\ntls_key: b\n", "tls_client_ca"),
        ("unix_socket_permissions: 1777\n", "octal"),
        ("proxy_protocol: lb.internal\n", "names of hosts are not looked up"),
        (
            "listen: 0.0.0.0:6432\nclient_tls: disable\ntls_cert: a\ntls_key: b\nprofile: production\n",
            "take `client_tls: disable` out",
        ),
        ("idle_session_timeout: soon\n", "10s"),
        ("tcp_keepalives_count: many\n", "not a number"),
        ("client_cert: optional\ntls_cert: a\ntls_key: b\n", "`127.0.0.1:6432`: `tls_client_ca` is missing"),
    ] {
        let error = error(yaml, &[], flags());
        assert!(error.contains(told), "{yaml}: {error}");
    }
}

#[test]
fn keepalives_are_what_the_system_takes() {
    for (key, text, told) in [
        ("tcp_keepalives_idle", "24h", "write 1s to 32767s, or 0"),
        ("tcp_keepalives_idle", "32768s", "write 1s to 32767s, or 0"),
        ("tcp_keepalives_interval", "999ms", "write 1s to 32767s, or 0"),
        ("tcp_keepalives_count", "1000", "from 1 to 127, nor 0"),
        ("tcp_keepalives_count", "128", "from 1 to 127, nor 0"),
        ("tcp_user_timeout", "2000h", "write 1ms to 2147483647ms, or 0"),
        ("tcp_user_timeout", "2147483648ms", "write 1ms to 2147483647ms, or 0"),
    ] {
        let said = error(&format!("{key}: {text}\n"), &[], flags());
        assert!(said.contains(&format!("{key}: `{text}` is ")) && said.contains(told), "{said}");
    }
    let most = "tcp_keepalives_idle: 32767s\ntcp_keepalives_interval: 1s\ntcp_keepalives_count: 127\n\
                tcp_user_timeout: 2147483647ms\n";
    let keepalive = load(most, &[], flags()).unwrap().keepalive;
    assert_eq!((keepalive.idle, keepalive.count), (Some(Duration::from_secs(32_767)), Some(127)));
    assert_eq!(
        (keepalive.interval, keepalive.user_timeout.unwrap().as_millis()),
        (Some(Duration::from_secs(1)), 2_147_483_647)
    );
    let none = load(&most.replace("32767s", "0").replace("127", "0"), &[], flags()).unwrap().keepalive;
    assert_eq!((none.idle, none.count), (None, None));
}

#[test]
fn by_every_listener_somebody_can_log_in() {
    let tls = "tls_cert: a\ntls_key: b\n";
    let all = "tls_cert: a\ntls_key: b\ntls_client_ca: c\n";
    let unix = "/run/portcullis/.s.PGSQL.6432";
    for (listen, auth, more, told) in [
        ("in=127.0.0.1:1", "certificate", all, None),
        ("in=127.0.0.1:1", "certificate", tls, Some("none can at `in`: set `tls_cert`, `tls_key` and `tls_client_ca`")),
        ("in=127.0.0.1:1,door=127.0.0.1:2?client_cert=none", "certificate", all, Some("none can at `door`: take")),
        ("in=127.0.0.1:1,door=127.0.0.1:2?client_tls=disable", "certificate", all, Some("none can at `door`: take")),
        (&format!("in=127.0.0.1:1,{unix}"), "certificate", all, Some("6432`: there is no TLS over a Unix socket")),
        (&format!("in=127.0.0.1:1,{unix}"), "password", tls, None),
        ("in=127.0.0.1:1,door=127.0.0.1:2?client_tls=disable", "password", tls, Some("`door` has none: take")),
        ("in=127.0.0.1:1,door=127.0.0.1:2?client_tls=disable", "passthrough", tls, None),
    ] {
        let loaded = load(&format!("listen: {listen}\nauth: {auth}\n{more}"), &[], flags());
        match (loaded, told) {
            (Ok(_), None) => {}
            (Err(error), Some(told)) => assert!(error.to_string().contains(told), "{listen}: {error}"),
            (Ok(_), Some(_)) => panic!("{listen} {auth}: accepted"),
            (Err(error), None) => panic!("{listen} {auth}: {error}"),
        }
    }
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
    assert_eq!((config.listeners[0].at.to_string().as_str(), config.admin.port()), ("127.0.0.1:3", 2));
    assert_eq!((hosts(&config).as_str(), config.drain_timeout), ("file:5432", Duration::from_secs(1)));
    assert_eq!(config.policies.to_str(), Some("policies"), "an empty variable is no setting");
}

#[test]
fn the_file_may_be_named_by_a_variable() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "upstream: postgres://file\n").unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let env = |name: &str| (name == "PORTCULLIS_CONFIG").then(|| path.clone());
    assert_eq!(hosts(&Config::load(&RunArgs::default(), &env).unwrap()), "file:5432");
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
fn a_unix_socket_is_above_every_floor() {
    let floor = "profile: production\nminimum_sslmode: verify-full\n";
    let upstream = |url: &str| load(&format!("{floor}upstream: {url}\n"), &[], RunArgs::default());
    upstream("postgres:///?host=/run/postgresql").unwrap();
    let said = upstream("postgres://%2Frun%2Fpostgresql,db").expect_err("a way over the network").to_string();
    assert!(said.contains("sslmode=prefer is weaker"), "{said}");
}

#[test]
fn the_kind_of_server_is_chosen_where_the_proxy_logs_in() {
    let upstream = "upstream: postgres://a,b?target_session_attrs=primary\ntls_cert: c\ntls_key: k\n";
    for auth in ["passthrough", "passthrough-without-channel-binding"] {
        let said = error(&format!("{upstream}auth: {auth}\n"), &[], RunArgs::default());
        assert!(said.contains("target_session_attrs=primary needs a mode in which the proxy logs in itself"), "{said}");
    }
    let config = load(&format!("{upstream}auth: password\n"), &[], RunArgs::default()).unwrap();
    assert_eq!(config.upstream.target, TargetSessionAttrs::Primary);
}

#[test]
fn the_manual_has_every_key() {
    let manual = include_str!("../../docs/configuration.md");
    for (key, _) in KEYS {
        assert!(manual.contains(&format!("`{key}`")), "docs/configuration.md lacks `{key}`");
    }
}

#[test]
fn who_checks_clients_needs_users_and_who_does_not_has_none() {
    let auth = |auth: &str, more: &[(&str, &str)]| {
        let env: Vec<_> = [("PORTCULLIS_AUTH", auth)].into_iter().chain(more.iter().copied()).collect();
        load("", &env, flags()).map(|config| config.users).map_err(|error| error.to_string())
    };
    let file = ("PORTCULLIS_AUTH_FILE", "users.txt");
    let user = ("PORTCULLIS_AUTH_USER", "asker");
    assert!(auth("scram", &[]).unwrap_err().contains("set `auth_file`, or `auth_user`"));
    assert!(auth("passthrough", &[file]).unwrap_err().contains("PORTCULLIS_AUTH_FILE: it has no meaning but with"));
    assert!(auth("passthrough", &[user]).unwrap_err().contains("auth: scram"));
    assert!(auth("certificate", &[user]).unwrap_err().contains("auth: scram"));
    assert!(auth("certificate", &[file]).unwrap_err().contains("set `tls_cert`, `tls_key` and `tls_client_ca`"));
    assert!(auth("scram", &[file, ("PORTCULLIS_AUTH_MAP", "map")]).unwrap_err().contains("auth: certificate"));
    assert!(auth("scram", &[file, ("PORTCULLIS_AUTH_QUERY", "x")]).unwrap_err().contains("`auth_user` is missing"));
    assert!(
        auth("scram", &[file, ("PORTCULLIS_SCRAM_MAX_ITERATIONS", "0")]).unwrap_err().contains("from 1 to 2147483647")
    );
    let users = auth("scram", &[file]).unwrap();
    assert_eq!((users.file.as_deref(), users.query.is_none()), (Some(std::path::Path::new("users.txt")), true));
    let query = auth("scram", &[user, ("PORTCULLIS_AUTH_PASSWORD", "hunter2")]).unwrap().query.unwrap();
    assert!(query.sql.contains("pg_catalog.pg_authid") && query.database == "postgres");
    assert!(!format!("{query:?}").contains("hunter2"));
    let error = error("", &[("PORTCULLIS_LOGIN_FAILURES", "10/day")], flags());
    assert!(error.contains("write 10/minute"), "{error}");
}
