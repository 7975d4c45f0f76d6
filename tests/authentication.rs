//! The proxy as who checks clients: SCRAM from a file and from the server's own verifiers, in the server's words, and what
//! becomes of those who try out passwords.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "a test fails by panicking")]

use crate::common;

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::tools::{Output, client, run};
use common::wire::{Client, Frame, error, frame, startup};
use common::{Cluster, Firewall, cluster, firewall};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use postgres_protocol::password::scram_sha_256;

const POLICY: &str = "policy: everyone
mode: observe
applies_to: {users: ['*']}
allow: [{rule: read, actions: [select], tables: ['*']}]
";

const HBA: &str = "\
host      all           asker,lookup           all  scram-sha-256
host      all           md5_user               all  md5
host      all           trust_user,postgres    all  trust
host      all           all                    all  scram-sha-256
";

fn server(settings: &[&str]) -> Cluster {
    let mut all = vec!["log_connections=on".to_owned(), "password_encryption=scram-sha-256".to_owned()];
    all.extend(settings.iter().map(|setting| (*setting).to_owned()));
    let hba = Some(HBA.to_owned());
    let cluster = Cluster::start(cluster::Options { hba, settings: all, ..cluster::Options::default() });
    cluster.execute(
        "postgres",
        "CREATE ROLE asker LOGIN SUPERUSER PASSWORD 'asks'; CREATE ROLE lookup LOGIN PASSWORD 'asks';",
    );
    cluster
}

/// A file that nobody else may read.
fn private(path: &Path, text: &str) {
    let _ = fs::remove_file(path);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

/// A users' file whose verifiers are the server's: it is given them.
fn users(cluster: &Cluster, directory: &Path, users: &[&str]) -> PathBuf {
    let (mut file, mut sql) = ("; users of the test\n".to_owned(), String::new());
    for user in users {
        let verifier = scram_sha_256(b"secret");
        file.push_str(&format!("\"{user}\" \"{verifier}\"\n"));
        sql.push_str(&format!("ALTER ROLE {user} PASSWORD '{verifier}';\n"));
    }
    cluster.execute("postgres", &sql);
    let path = directory.join("users.txt");
    private(&path, &file);
    path
}

fn options(cluster: &Cluster, tls: bool, environment: Vec<(&'static str, String)>) -> firewall::Options {
    let upstream = match tls {
        true => format!("sslmode=verify-full&sslrootcert={}", cluster.ca().display()),
        false => "sslmode=disable".to_owned(),
    };
    let own = tls.then(|| cluster.issue(&["localhost", "127.0.0.1"], "firewall"));
    firewall::Options { tls: own, host: "localhost", upstream, environment, ..firewall::Options::policy(POLICY) }
}

fn by_file(file: &Path) -> Vec<(&'static str, String)> {
    vec![("PORTCULLIS_AUTH", "scram".to_owned()), ("PORTCULLIS_AUTH_FILE", file.display().to_string())]
}

fn by_query(user: &str) -> Vec<(&'static str, String)> {
    vec![
        ("PORTCULLIS_AUTH", "scram".to_owned()),
        ("PORTCULLIS_AUTH_USER", user.to_owned()),
        ("PORTCULLIS_AUTH_PASSWORD", "asks".to_owned()),
    ]
}

/// Who the server says it is, by psql through the firewall.
fn ask(cluster: &Cluster, port: u16, user: &str, environment: &[(&str, &str)]) -> Output {
    let mut command = client(cluster, "psql", port, user, "shop");
    command.env("PGHOST", "localhost").env("PGSSLROOTCERT", cluster.ca()).envs(environment.iter().copied());
    run(command.args(["-X", "-A", "-t", "-c", "SELECT current_user"]))
}

/// One step of a raw SCRAM login: what the client sends, after the server's offer.
fn initial(mechanism: &str, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    frame(b'p', &[mechanism.as_bytes(), &[0], &length, message].concat())
}

/// Logs in by SCRAM over a plain connection and gives everything that the server's side said.
fn scram(port: u16, user: &str, password: &str) -> Vec<Frame> {
    let mut client = Client::connect(port);
    let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    client.send(&startup(&[("user", user), ("database", "shop")]));
    let mut frames = vec![client.read().unwrap()];
    client.send(&initial("SCRAM-SHA-256", scram.message()));
    while let Some(next) = client.read() {
        if next.kind == b'R' && next.body[..4] == [0, 0, 0, 11] {
            scram.update(&next.body[4..]).unwrap();
            client.send(&frame(b'p', scram.message()));
        }
        let last = matches!(next.kind, b'E' | b'Z');
        frames.push(next);
        if last {
            break;
        }
    }
    frames
}

/// A flow whose random parts are masked: nonces, salts and the user's own name.
fn masked(frames: &[Frame], user: &str) -> Vec<String> {
    let mask = |frame: &Frame| match frame.body.split_first_chunk::<4>() {
        Some(([0, 0, 0, 11], rest)) if frame.kind == b'R' => {
            let text = String::from_utf8(rest.to_vec()).unwrap();
            let (nonce, text) = text.strip_prefix("r=").unwrap().split_once(",s=").unwrap();
            let (salt, iterations) = text.split_once(",i=").unwrap();
            format!("R11 nonce of {} salt of {} iterations {iterations}", nonce.len(), salt.len())
        }
        _ => format!("{frame:?}").replace(user, "USER"),
    };
    frames.iter().map(mask).collect()
}

#[test]
fn with_two_certificates_scram_binds_both_legs() {
    let cluster = server(&[]);
    let place = tempfile::tempdir().unwrap();
    let file = users(&cluster, place.path(), &["scram_user", "ssl_user"]);
    let firewall = Firewall::start(&cluster, options(&cluster, true, by_file(&file)));
    for binding in ["require", "prefer", "disable"] {
        let environment = [("PGSSLMODE", "verify-full"), ("PGCHANNELBINDING", binding)];
        assert_eq!(ask(&cluster, firewall.port(), "scram_user", &environment).ok(), "scram_user\n", "{binding}");
    }
    // On a plain leg to the same firewall, too.
    assert_eq!(ask(&cluster, firewall.port(), "ssl_user", &[("PGSSLMODE", "disable")]).ok(), "ssl_user\n");
    let log = cluster.log();
    assert!(log.contains("connection authenticated: identity=\"scram_user\" method=scram-sha-256"), "{log}");
    assert!(log.contains("SSL enabled"), "{log}");

    let wrong = ask(&cluster, firewall.port(), "scram_user", &[("PGSSLMODE", "verify-full"), ("PGPASSWORD", "wrong")]);
    assert!(wrong.stderr.contains("FATAL:  password authentication failed for user \"scram_user\""), "{wrong:?}");
    let log = cluster.log();
    assert!(!log.contains("password authentication failed"), "nothing went upstream: {log}");
    assert!(firewall.metric("portcullis_authentication_failures_total", &[]) >= 1.0);
    let told = firewall.log();
    assert!(!told.contains("secret") && !told.contains("SCRAM-SHA-256$"), "no secret in the log:\n{told}");
}

#[test]
fn who_can_not_log_in_sees_what_a_wrong_password_sees() {
    let cluster = server(&[]);
    let place = tempfile::tempdir().unwrap();
    let file = users(&cluster, place.path(), &["scram_user", "ssl_user"]);
    let text = fs::read_to_string(&file).unwrap();
    let expired = text.replace("\"ssl_user\"", "\"expired\"").lines().last().unwrap().to_owned() + " \"2001-01-01\"\n";
    private(&file, &(text + &expired));
    let firewall = Firewall::start(&cluster, options(&cluster, false, by_file(&file)));
    let direct = masked(&scram(cluster.port(), "scram_user", "wrong"), "scram_user");
    assert_eq!(direct.len(), 3, "offer, challenge, error: {direct:?}");
    let before = cluster.log().len();
    let known = masked(&scram(firewall.port(), "scram_user", "wrong"), "scram_user");
    for (user, password) in [("nobody", "secret"), ("expired", "secret"), ("md5_user", "secret"), ("trust_user", "")] {
        assert_eq!(masked(&scram(firewall.port(), user, password), user), known, "{user}");
    }
    // The server's error names its source besides.
    assert_eq!(known[..2], direct[..2]);
    let fields = |text: &str| text.split("F").next().unwrap().to_owned();
    assert_eq!(fields(&known[2]).len(), fields(&known[2]).len());
    assert!(
        !cluster.log()[before..].contains("connection received"),
        "nothing went upstream: {}",
        &cluster.log()[before..]
    );
    // For the log each has its reason.
    firewall.log_line(&["user=\"nobody\"", "the user is not in auth_file"]);
    firewall.log_line(&["user=\"expired\"", "expired password"]);
    // The same challenge each time, as for users who are there.
    let salt = |user| {
        let flow = scram(firewall.port(), user, "wrong");
        let text = flow[1].text();
        text.split_once(",s=").unwrap().1.to_owned()
    };
    assert_eq!(salt("nobody"), salt("nobody"));
    assert_ne!(salt("nobody"), salt("nobodz"));
}

#[test]
fn what_is_wrong_with_a_message_is_said_as_the_server_says_it() {
    let cluster = server(&[]);
    let place = tempfile::tempdir().unwrap();
    let file = users(&cluster, place.path(), &["scram_user"]);
    let mut settings = by_file(&file);
    settings.push(("PORTCULLIS_LOGIN_FAILURES", "0".to_owned()));
    let firewall = Firewall::start(&cluster, options(&cluster, false, settings));
    let plain = "SCRAM-SHA-256";
    let long = format!("n,,n=,r={}", "x".repeat(2000));
    let firsts: Vec<Vec<u8>> = vec![
        initial(plain, b""),
        initial(plain, b"n,,n=,r=x\0"),
        initial(plain, b"y,,n=,r=\x7f"),
        initial(plain, b"p=tls-server-end-point,,n=,r=x"),
        initial(plain, b"q,,n=,r=x"),
        initial(plain, b"n"),
        initial(plain, b"n,a=root,n=,r=x"),
        initial(plain, b"n,x,n=,r=x"),
        initial(plain, b"n,,m=x,n=,r=x"),
        initial(plain, b"n,,n,r=x"),
        initial(plain, b"n,,n=,r=x,7=y"),
        initial(plain, b"n,,n=,r=x,"),
        initial(plain, b"n,,n=,r=x,y"),
        initial(plain, long.as_bytes()),
        initial("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,n=,r=x"),
        initial("SCRAM-SHA-1", b"n,,n=,r=x"),
        initial("", b"n,,n=,r=x"),
        frame(b'p', b"SCRAM-SHA-256"),
        frame(b'p', b"SCRAM-SHA-256\0\0"),
        frame(b'p', b"SCRAM-SHA-256\0\0\0\0\x20n,,n=,r=x"),
        frame(b'p', b"SCRAM-SHA-256\0\0\0\0\x01n,,n=,r=x"),
        frame(b'p', b"SCRAM-SHA-256\0\xff\xff\xff\xff"),
        frame(b'Q', b"SELECT 1\0"),
        frame(b'X', b""),
    ];
    let lasts: Vec<Vec<u8>> = [
        "",
        "x",
        "c=biws",
        "c=eSws,r=NONCE,p=PROOF",
        "c=biws,r=x,p=PROOF",
        "c=biws,r=NONCEx,p=PROOF",
        "c=biws,r=NONCE,x=y",
        "c=biws,r=NONCE,p=AAAA",
        "c=biws,r=NONCE,p=PROOF,z=z",
        "c=biws,r=NONCE,x=y,p=PROOF",
        "c=biws,r=NONCE,p=PROOF",
        "c=biws,r=NONCE,p=PROOF\0",
    ]
    .into_iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    let proof = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    // Kinds, and of an error everything but the place in the server's source.
    let told = |frames: &[Frame]| -> Vec<String> {
        let tell = |frame: &Frame| match frame.kind {
            b'E' => format!("E {:?}", ['S', 'V', 'C', 'M', 'D', 'H'].map(|field| frame.field(field))),
            _ => format!("{} {:?}", frame.kind as char, &frame.body[..4]),
        };
        frames.iter().map(tell).collect()
    };
    let talk = |port: u16, first: &[u8], last: Option<&[u8]>| {
        let mut client = Client::connect(port);
        client.send(&startup(&[("user", "scram_user"), ("database", "shop")]));
        let mut frames: Vec<Frame> = client.read().into_iter().collect();
        client.send(first);
        if let Some(last) = last {
            let challenge = client.read().unwrap();
            let text = String::from_utf8_lossy(&challenge.body[4..]).into_owned();
            let nonce = text.strip_prefix("r=").unwrap().split(',').next().unwrap().to_owned();
            let last = String::from_utf8(last.to_vec()).unwrap().replace("NONCE", &nonce).replace("PROOF", proof);
            client.send(&frame(b'p', last.as_bytes()));
            frames.push(challenge);
        } else {
            // Where the server goes on, it is left.
            client.half_close();
        }
        while let Some(next) = client.read() {
            frames.push(next);
        }
        told(&frames)
    };
    for first in &firsts {
        let (ours, servers) = (talk(firewall.port(), first, None), talk(cluster.port(), first, None));
        assert_eq!(ours, servers, "{}", first.escape_ascii());
    }
    for last in &lasts {
        let first = initial(plain, b"n,,n=,r=x");
        let (ours, servers) = (talk(firewall.port(), &first, Some(last)), talk(cluster.port(), &first, Some(last)));
        assert_eq!(ours, servers, "{}", last.escape_ascii());
    }
}

#[test]
fn verifiers_are_asked_for_at_the_server() {
    let cluster = server(&[]);
    let firewall = Firewall::start(&cluster, options(&cluster, true, by_query("asker")));
    let tls = [("PGSSLMODE", "verify-full"), ("PGCHANNELBINDING", "require")];
    assert_eq!(ask(&cluster, firewall.port(), "scram_user", &tls).ok(), "scram_user\n");
    let refused = |user: &str, why: &str| {
        let output = ask(&cluster, firewall.port(), user, &tls);
        let said = format!("FATAL:  password authentication failed for user \"{user}\"");
        assert!(output.stderr.contains(&said), "{output:?}");
        firewall.log_line(&[&format!("user={user:?}"), why]);
    };
    refused("nobody", "auth_query found no such user");
    refused("md5_user", "does not have a valid SCRAM secret");
    refused("trust_user", "no password assigned");
    cluster.execute("postgres", "ALTER ROLE ssl_user NOLOGIN");
    refused("ssl_user", "auth_query found no such user");
    cluster.execute("postgres", "ALTER ROLE ssl_user LOGIN VALID UNTIL '2001-01-01'");
    refused("ssl_user", "expired password");
    cluster.execute("postgres", "ALTER ROLE ssl_user VALID UNTIL '2999-01-01'");
    assert_eq!(ask(&cluster, firewall.port(), "ssl_user", &tls).ok(), "ssl_user\n");
    // A new password holds from the next login on.
    cluster.execute("postgres", "ALTER ROLE ssl_user PASSWORD 'another' VALID UNTIL 'infinity'");
    let with = |password| [("PGSSLMODE", "verify-full"), ("PGPASSWORD", password)];
    assert_ne!(ask(&cluster, firewall.port(), "ssl_user", &with("secret")).code, 0);
    assert_eq!(ask(&cluster, firewall.port(), "ssl_user", &with("another")).ok(), "ssl_user\n");
    // A name that would be SQL is a value.
    refused("' OR true --", "auth_query found no such user");
    // The connection breaks, and is made anew.
    let control = "application_name = 'portcullis auth_query'";
    cluster.execute("postgres", &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {control}"));
    assert_eq!(ask(&cluster, firewall.port(), "scram_user", &tls).ok(), "scram_user\n");
    // Roles' and databases' settings don't reach it.
    cluster.execute(
        "postgres",
        "CREATE SCHEMA evil; CREATE TABLE evil.pg_authid AS SELECT * FROM pg_authid;
         ALTER ROLE asker SET search_path = evil, pg_catalog; ALTER ROLE asker SET \"DateStyle\" = 'German';",
    );
    cluster.execute("postgres", &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {control}"));
    cluster.execute("postgres", "ALTER ROLE ssl_user VALID UNTIL '2999-12-24'");
    assert_eq!(ask(&cluster, firewall.port(), "ssl_user", &with("another")).ok(), "ssl_user\n");
    assert!(cluster.log().contains("identity=\"asker\" method=scram-sha-256"));
}

#[test]
fn a_function_may_answer_in_the_place_of_pg_authid() {
    let cluster = server(&[]);
    cluster.execute(
        "postgres",
        "CREATE SCHEMA auth; GRANT USAGE ON SCHEMA auth TO lookup;
         CREATE FUNCTION auth.user_lookup(name) RETURNS TABLE (usename name, passwd text) LANGUAGE sql SECURITY DEFINER
         SET search_path = pg_catalog
         AS 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1 AND rolcanlogin AND NOT rolsuper';
         REVOKE ALL ON FUNCTION auth.user_lookup FROM PUBLIC; GRANT EXECUTE ON FUNCTION auth.user_lookup TO lookup;",
    );
    let with = |sql: &str| {
        let mut settings = by_query("lookup");
        settings.push(("PORTCULLIS_AUTH_QUERY", sql.to_owned()));
        Firewall::start(&cluster, options(&cluster, true, settings))
    };
    let tls = [("PGSSLMODE", "verify-full")];
    let firewall = with("SELECT * FROM auth.user_lookup($1)");
    assert_eq!(ask(&cluster, firewall.port(), "scram_user", &tls).ok(), "scram_user\n");
    assert_ne!(
        ask(&cluster, firewall.port(), "asker", &[("PGPASSWORD", "asks"), ("PGSSLMODE", "verify-full")]).code,
        0
    );
    // What can't be asked lets nobody in, and is no wrong password.
    for (sql, why) in [
        (
            "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1",
            "permission denied for table pg_authid (42501)",
        ),
        ("SELECT 1 WHERE $1 = 'scram_user'", "two or three columns"),
        ("SELECT usename, 'x' FROM pg_user WHERE $1 <> ''", "several rows|first column"),
        ("SELEKT $1", "syntax error"),
        ("SELECT $1::text, 'x' FROM pg_sleep(30)", "did not answer within|statement timeout"),
    ] {
        let firewall = with(sql);
        let output = ask(&cluster, firewall.port(), "scram_user", &tls);
        assert!(output.stderr.contains("FATAL:  could not look up the user's password"), "{sql}: {output:?}");
        let log = firewall.log_line(&["could not look up the user"]);
        assert!(why.split('|').any(|why| log.contains(why)), "{sql}: {log}");
        assert_eq!(firewall.metric("portcullis_authentication_failures_total", &[]), 0.0);
    }
}

#[test]
fn a_control_connection_that_does_not_come_about_lets_nobody_in() {
    let cluster = server(&[]);
    let place = tempfile::tempdir().unwrap();
    let file = users(&cluster, place.path(), &["scram_user"]);
    let mut settings = by_query("asker");
    settings[2].1 = "not this".to_owned();
    settings.push(("PORTCULLIS_AUTH_FILE", file.display().to_string()));
    let firewall = Firewall::start(&cluster, options(&cluster, false, settings));
    let frames = {
        let mut client = Client::connect(firewall.port());
        client.try_login(&[("user", "ssl_user"), ("database", "shop")])
    };
    assert_eq!(error(&frames).field('C'), "57P03", "{frames:?}");
    assert_eq!(frames.len(), 1, "it was not asked for a password: {frames:?}");
    firewall.log_line(&["auth_query", "asker", "password authentication failed"]);
    // The file goes first, and needs nobody.
    assert_eq!(ask(&cluster, firewall.port(), "scram_user", &[]).ok(), "scram_user\n");
}

#[test]
fn what_the_server_does_not_let_scram_answer_is_said_and_its_own_errors_pass() {
    let cluster = server(&[]);
    let place = tempfile::tempdir().unwrap();
    let file = users(&cluster, place.path(), &["scram_user", "ssl_user", "trust_user"]);
    cluster.execute("postgres", "SET password_encryption = md5; ALTER ROLE md5_user PASSWORD 'secret'");
    let text = fs::read_to_string(&file).unwrap();
    let verifier = scram_sha_256(b"secret");
    private(&file, &format!("{text}\"md5_user\" \"{verifier}\"\n\"gone\" \"{verifier}\"\n"));
    let firewall = Firewall::start(&cluster, options(&cluster, false, by_file(&file)));
    // The server trusts: the proxy has checked.
    assert_eq!(ask(&cluster, firewall.port(), "trust_user", &[]).ok(), "trust_user\n");
    assert_ne!(ask(&cluster, firewall.port(), "trust_user", &[("PGPASSWORD", "wrong")]).code, 0);
    let md5 = ask(&cluster, firewall.port(), "md5_user", &[]);
    assert!(md5.stderr.contains("`auth: scram` can answer SCRAM only"), "{md5:?}");
    assert!(md5.stderr.contains("password_encryption is scram-sha-256"), "{md5:?}");
    // The server does not know the user: its word.
    let gone = scram(firewall.port(), "gone", "secret");
    assert_eq!(gone.iter().map(|frame| frame.kind).collect::<Vec<_>>(), b"RRRE", "{gone:?}");
    assert_eq!(gone[3].field('M'), "password authentication failed for user \"gone\"");
    // The password was changed at the server, and not in the file.
    cluster.execute("postgres", "ALTER ROLE ssl_user PASSWORD 'another'");
    let stale = scram(firewall.port(), "ssl_user", "secret");
    assert_eq!(stale.last().unwrap().field('C'), "28P01", "{stale:?}");
    firewall.log_line(&["user=\"ssl_user\"", "another SCRAM verifier"]);
    cluster.execute("postgres", "ALTER DATABASE shop CONNECTION LIMIT 0");
    let full = scram(firewall.port(), "scram_user", "secret");
    let last = full.last().unwrap();
    assert_eq!((last.field('C').as_str(), last.field('R').as_str()), ("53300", "CheckMyDatabase"), "{full:?}");
}

#[test]
fn users_are_read_again() {
    let cluster = server(&[]);
    let place = tempfile::tempdir().unwrap();
    let file = users(&cluster, place.path(), &["scram_user", "ssl_user"]);
    let whole = fs::read_to_string(&file).unwrap();
    let without = whole.lines().filter(|line| !line.contains("ssl_user")).collect::<Vec<_>>().join("\n");
    private(&file, &without);
    let mut settings = by_file(&file);
    settings.push(("PORTCULLIS_WATCH", "on".to_owned()));
    let firewall = Firewall::start(&cluster, options(&cluster, false, settings));
    assert_ne!(ask(&cluster, firewall.port(), "ssl_user", &[]).code, 0);
    let before = firewall.log().len();
    private(&file, &whole);
    firewall.log_since(before, "users reloaded users=2");
    assert_eq!(ask(&cluster, firewall.port(), "ssl_user", &[]).ok(), "ssl_user\n");
    let before = firewall.log().len();
    private(&file, "\"scram_user\" \"secret\"\n");
    let log = firewall.log_since(before, "users not reloaded");
    assert!(log.contains("users.txt:1: `auth: scram` needs the user's SCRAM verifier"), "{log}");
    assert_eq!(ask(&cluster, firewall.port(), "ssl_user", &[]).ok(), "ssl_user\n", "the older ones stay");
    assert_eq!(firewall.metric("portcullis_users_reload_failed", &[]), 1.0);
    let before = firewall.log().len();
    private(&file, &without);
    firewall.hangup();
    firewall.log_since(before, "users reloaded users=1");
    assert_eq!(firewall.metric("portcullis_users_reload_failed", &[]), 0.0);
}

/// The number of logins that reached the server in this part of its log.
fn reached(log: &str) -> usize {
    log.lines().filter(|line| line.contains("connection received")).count()
}

#[test]
fn after_too_many_failures_nothing_goes_upstream() {
    let cluster = server(&[]);
    let place = tempfile::tempdir().unwrap();
    let file = users(&cluster, place.path(), &["scram_user", "ssl_user"]);
    for auth in ["passthrough", "password", "scram"] {
        let mut settings =
            vec![("PORTCULLIS_AUTH", auth.to_owned()), ("PORTCULLIS_LOGIN_FAILURES", "3/hour".to_owned())];
        if auth == "scram" {
            settings.push(("PORTCULLIS_AUTH_FILE", file.display().to_string()));
        }
        let mut options = options(&cluster, auth != "passthrough", settings);
        options.upstream = "sslmode=disable".to_owned();
        let firewall = Firewall::start(&cluster, options);
        let mode = [("PGSSLMODE", if auth == "passthrough" { "disable" } else { "require" })];
        let with = |password| [mode[0], ("PGPASSWORD", password)];
        for _ in 0..3 {
            let output = ask(&cluster, firewall.port(), "scram_user", &with("wrong"));
            assert!(output.stderr.contains("password authentication failed"), "{auth}: {output:?}");
        }
        let (before, start) = (cluster.log().len(), Instant::now());
        let output = ask(&cluster, firewall.port(), "scram_user", &with("secret"));
        assert!(
            output.stderr.contains("FATAL:  too many failed logins of this user from this address"),
            "{auth}: {output:?}"
        );
        assert!(start.elapsed() >= Duration::from_secs(1), "after a while only");
        assert_eq!(reached(&cluster.log()[before..]), 0, "{auth}");
        assert_eq!(firewall.metric("portcullis_logins_throttled_total", &[]), 1.0, "{auth}");
        firewall.log_line(&["user=\"scram_user\"", "too many failed logins"]);
        // Others go on.
        assert_eq!(ask(&cluster, firewall.port(), "ssl_user", &with("secret")).ok(), "ssl_user\n", "{auth}");
    }
}

#[test]
fn what_the_server_holds_against_a_good_password_is_no_guess() {
    let cluster = server(&[]);
    let place = tempfile::tempdir().unwrap();
    let file = users(&cluster, place.path(), &["scram_user"]);
    let mut settings = by_file(&file);
    settings.push(("PORTCULLIS_LOGIN_FAILURES", "2/hour".to_owned()));
    let firewall = Firewall::start(&cluster, options(&cluster, true, settings));
    // The same password with another salt, and nobody copies the verifier.
    cluster.execute("postgres", "ALTER ROLE scram_user PASSWORD 'secret'");
    for _ in 0..4 {
        let output =
            ask(&cluster, firewall.port(), "scram_user", &[("PGSSLMODE", "require"), ("PGPASSWORD", "secret")]);
        assert!(output.stderr.contains("password authentication failed"), "{output:?}");
    }
    firewall.log_line(&["user=\"scram_user\"", "copy it again"]);
    assert_eq!(firewall.metric("portcullis_logins_throttled_total", &[]), 0.0);
    assert_eq!(firewall.metric("portcullis_authentication_failures_total", &[]), 4.0);
}

#[test]
fn who_stops_before_the_proof_holds_no_guess() {
    let cluster = server(&[]);
    let settings = vec![("PORTCULLIS_LOGIN_FAILURES", "2/hour".to_owned())];
    let firewall = Firewall::start(&cluster, options(&cluster, false, settings));
    let stopped = || {
        let mut client = Client::connect(firewall.port());
        client.send(&startup(&[("user", "scram_user"), ("database", "shop")]));
        assert_eq!(client.read().unwrap().kind, b'R');
        // The mechanism alone, and then the first message.
        client.send(&frame(b'p', b"SCRAM-SHA-256\0\xff\xff\xff\xff"));
        assert_eq!(client.read().unwrap().body, 11u32.to_be_bytes(), "an empty challenge");
        client.send(&frame(b'p', b"n,,n=,r=rOprNGfwEbeRWgbNEkqO"));
        assert_eq!(client.read().unwrap().kind, b'R', "the challenge");
        client
    };
    let _held: Vec<Client> = (0..5).map(|_| stopped()).collect();
    let with = [("PGSSLMODE", "disable"), ("PGPASSWORD", "secret")];
    assert_eq!(ask(&cluster, firewall.port(), "scram_user", &with).ok(), "scram_user\n");
}

#[test]
fn guessing_in_parallel_gains_nothing() {
    let cluster = server(&["max_connections=200"]);
    let settings = vec![("PORTCULLIS_LOGIN_FAILURES", "5/hour".to_owned())];
    let firewall = Firewall::start(&cluster, options(&cluster, false, settings));
    let port = firewall.port();
    let answers: Vec<String> = std::thread::scope(|scope| {
        let guess = |number: usize| {
            let flow = scram(port, "scram_user", &format!("guess {number}"));
            flow.last().map(|frame| frame.field('C')).unwrap_or_default()
        };
        let all: Vec<_> = (0..60).map(|number| scope.spawn(move || guess(number))).collect();
        all.into_iter().map(|guess| guess.join().unwrap()).collect()
    });
    let count = |code: &str| answers.iter().filter(|answer| *answer == code).count();
    assert_eq!((count("28P01"), count("53300")), (5, 55), "{answers:?}");
}

#[test]
fn a_certificate_is_who_it_names() {
    let cluster = server(&[]);
    let place = tempfile::tempdir().unwrap();
    let (map, passwords) = (place.path().join("map.conf"), place.path().join("passwords.txt"));
    private(&passwords, "\"scram_user\" \"secret\"\n\"ssl_user\" \"secret\" \"2001-01-01\"\n");
    fs::write(&map, "m ops-anna ssl_user\nm /^(.*)\\.internal$ \\1\n").unwrap();
    cluster.execute("postgres", "ALTER ROLE scram_user PASSWORD 'secret'; ALTER ROLE ssl_user PASSWORD 'secret'");
    let start = |map: Option<&Path>| {
        let mut settings = vec![
            ("PORTCULLIS_AUTH", "certificate".to_owned()),
            ("PORTCULLIS_AUTH_FILE", passwords.display().to_string()),
            ("PORTCULLIS_TLS_CLIENT_CA", cluster.ca().display().to_string()),
        ];
        settings.extend(map.map(|map| ("PORTCULLIS_AUTH_MAP", map.display().to_string())));
        Firewall::start(&cluster, options(&cluster, true, settings))
    };
    let show = |firewall: &Firewall, name: &str, user: &str| {
        let (cert, key) = cluster.issue(&[name], "shown");
        let shown =
            [("PGSSLCERT", cert.to_str().unwrap()), ("PGSSLKEY", key.to_str().unwrap()), ("PGPASSWORD", "wrong")];
        ask(&cluster, firewall.port(), user, &[&[("PGSSLMODE", "verify-full")][..], &shown].concat())
    };
    let firewall = start(None);
    assert_eq!(show(&firewall, "scram_user", "scram_user").ok(), "scram_user\n", "its password is the proxy's affair");
    assert_eq!(show(&firewall, "trust_user", "trust_user").ok(), "trust_user\n");
    let before = cluster.log().len();
    for (name, user) in
        [("ssl_user", "scram_user"), ("scram_user.internal", "scram_user"), ("SCRAM_USER", "scram_user")]
    {
        let output = show(&firewall, name, user);
        let said = format!("FATAL:  certificate authentication failed for user \"{user}\"");
        assert!(output.stderr.contains(&said), "{name}: {output:?}");
    }
    let expired = show(&firewall, "ssl_user", "ssl_user");
    assert!(expired.stderr.contains("certificate authentication failed"), "{expired:?}");
    firewall.log_line(&["user=\"ssl_user\"", "expired password"]);
    let without = ask(&cluster, firewall.port(), "scram_user", &[("PGSSLMODE", "verify-full")]);
    assert!(without.stderr.contains("connection requires a valid client certificate"), "{without:?}");
    let plain = ask(&cluster, firewall.port(), "scram_user", &[("PGSSLMODE", "disable")]);
    assert!(plain.stderr.contains("connection requires a valid client certificate"), "{plain:?}");
    assert_eq!(reached(&cluster.log()[before..]), 0, "nothing went upstream");
    assert_eq!(firewall.metric("portcullis_authentication_failures_total", &[]), 6.0);
    // The server asks for a password that the proxy does not have.
    let none = show(&firewall, "md5_user", "md5_user");
    assert!(none.stderr.contains("the proxy has no password of this user"), "{none:?}");

    let firewall = start(Some(&map));
    assert_eq!(show(&firewall, "scram_user.internal", "scram_user").ok(), "scram_user\n");
    assert_ne!(show(&firewall, "scram_user", "scram_user").code, 0, "the map counts, and nothing else");
    assert_ne!(show(&firewall, "scram_user.internal", "trust_user").code, 0);
    let before = firewall.log().len();
    fs::write(&map, "m \n").unwrap();
    firewall.hangup();
    firewall.log_since(before, "users not reloaded");
    assert_eq!(show(&firewall, "scram_user.internal", "scram_user").ok(), "scram_user\n");
}
