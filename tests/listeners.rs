//! The client leg: several listeners, TLS in each of its ways, client certificates, Unix sockets, the PROXY protocol.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use common::python::interpreter;
use common::tools::{Output, client, run};
use common::wire::{SSL_REQUEST, error, startup};
use common::{Cluster, Firewall, firewall};

/// Who may do what by which door.
const POLICY: &str = "policy: everyone
applies_to: {users: ['*']}
search_path: [public]
allow: [{rule: read, actions: [select], tables: ['*']}]
";

/// Both legs TLS, one certificate, and an authority for clients' certificates.
fn encrypted(cluster: &Cluster, policy: &str, environment: &[(&'static str, &str)]) -> firewall::Options {
    let mut options = firewall::Options {
        tls: Some(cluster.server_identity()),
        host: "localhost",
        upstream: format!("sslmode=verify-full&sslrootcert={}", cluster.ca().display()),
        ..firewall::Options::policy(policy)
    };
    let variable = |(name, value): &(&'static str, &str)| (*name, (*value).to_owned());
    options.environment.extend(environment.iter().map(variable));
    options
}

/// `SELECT 1` by psql with these variables of libpq.
fn ask(cluster: &Cluster, port: u16, user: &str, environment: &[(&str, &str)]) -> Output {
    let mut command = client(cluster, "psql", port, user, "shop");
    command.env("PGHOST", "localhost").env("PGSSLROOTCERT", cluster.ca()).envs(environment.iter().copied());
    run(command.args(["-X", "-A", "-t", "-v", "VERBOSITY=verbose", "-c", "SELECT 1"]))
}

/// The same by the newest libpq, which psycopg brings.
fn ask_newest(cluster: &Cluster, port: u16, conninfo: &str) -> Output {
    let code = "import sys, psycopg; c = psycopg.connect(sys.argv[1]); print(c.execute('select 1').fetchone()[0])";
    let ca = cluster.ca();
    let conninfo = format!(
        "host=localhost port={port} user=scram_user password=secret dbname=shop sslrootcert={} {conninfo}",
        ca.display()
    );
    run(Command::new(interpreter()).args(["-c", code, &conninfo]))
}

#[test]
fn tls_is_asked_for_or_comes_first() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, encrypted(&cluster, POLICY, &[]));
    for negotiation in ["postgres", "direct"] {
        for binding in ["require", "disable"] {
            let conninfo = format!("sslmode=verify-full sslnegotiation={negotiation} channel_binding={binding}");
            assert_eq!(ask_newest(&cluster, firewall.port(), &conninfo).ok(), "1\n", "{conninfo}");
        }
    }
    let (old, new) = ("ssl_max_protocol_version=TLSv1.2", "ssl_min_protocol_version=TLSv1.3");
    for version in [old, new] {
        let conninfo = format!("sslmode=verify-full sslnegotiation=direct {version}");
        assert_eq!(ask_newest(&cluster, firewall.port(), &conninfo).ok(), "1\n", "{version}");
    }
}

#[test]
fn direct_tls_must_name_postgresql() {
    let cluster = Cluster::default();
    let firewall = Firewall::start(&cluster, encrypted(&cluster, POLICY, &[]));
    // What a server does that has TLS: closes without a word.
    for (alpn, ends) in [(None, true), (Some("http/1.1"), true), (Some("postgresql"), false)] {
        let told = direct_tls(&cluster, firewall.port(), alpn);
        match ends {
            true => assert!(told.is_empty(), "{alpn:?}: {}", told.escape_ascii()),
            false => assert_eq!(told.first(), Some(&b'R'), "{alpn:?}: {}", told.escape_ascii()),
        }
    }
    firewall.log_line(&["ALPN"]);
}

/// Begins with TLS and says hello as `trust_user` inside: the first bytes of the answer, none where there is no session.
fn direct_tls(cluster: &Cluster, port: u16, alpn: Option<&str>) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(cluster.ca()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, socket);
    let _ = stream.write_all(&startup(&[("user", "trust_user"), ("database", "shop")]));
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).unwrap_or(0);
    answer.get(..read).unwrap_or_default().to_vec()
}

#[test]
fn client_tls_is_refused_taken_or_demanded() {
    let cluster = Cluster::default();
    let connects = |mode: &str, sslmode: &str| {
        let firewall = Firewall::start(&cluster, encrypted(&cluster, POLICY, &[("PORTCULLIS_CLIENT_TLS", mode)]));
        ask(&cluster, firewall.port(), "trust_user", &[("PGSSLMODE", sslmode)])
    };
    assert!(connects("disable", "require").stderr.contains("does not support SSL"));
    assert_eq!(connects("disable", "prefer").ok(), "1\n");
    assert_eq!(connects("allow", "disable").ok(), "1\n");
    assert_eq!(connects("require", "prefer").ok(), "1\n");
    assert_eq!(connects("require", "allow").ok(), "1\n", "libpq comes back with TLS");
    let refused = connects("require", "disable").stderr;
    assert!(refused.contains("28000") || refused.contains("encrypted connections only"), "{refused}");
}

#[test]
fn the_oldest_tls_is_chosen() {
    let cluster = Cluster::default();
    let options = encrypted(&cluster, POLICY, &[("PORTCULLIS_TLS_MIN_PROTOCOL_VERSION", "TLSv1.3")]);
    let firewall = Firewall::start(&cluster, options);
    let with = |version| {
        let environment = [("PGSSLMODE", "require"), ("PGSSLMAXPROTOCOLVERSION", version)];
        ask(&cluster, firewall.port(), "trust_user", &environment)
    };
    assert_eq!(with("TLSv1.3").ok(), "1\n");
    assert_ne!(with("TLSv1.2").code, 0);
}

#[test]
fn policies_read_client_certificates() {
    let cluster = Cluster::default();
    let policy = format!(
        "{POLICY}---\npolicy: robots\napplies_to: {{users: [trust_user]}}\nrequire: {{client_cert: {{cn: \"shop-*.internal\"}}}}\n\
         search_path: [public]\n"
    );
    let ca = cluster.ca();
    let authority = [("PORTCULLIS_TLS_CLIENT_CA", ca.to_str().unwrap())];
    let firewall = Firewall::start(&cluster, encrypted(&cluster, &policy, &authority));
    let stranger = Cluster::default();
    let (good, other) = (cluster.issue(&["shop-web.internal"], "good"), cluster.issue(&["web.internal"], "other"));
    let unknown = stranger.issue(&["shop-web.internal"], "unknown");
    let with = |user: &str, identity: Option<&(std::path::PathBuf, std::path::PathBuf)>| {
        let mut environment = vec![("PGSSLMODE", "verify-full")];
        if let Some((certificate, key)) = identity {
            environment.extend([("PGSSLCERT", certificate.to_str().unwrap()), ("PGSSLKEY", key.to_str().unwrap())]);
        }
        ask(&cluster, firewall.port(), user, &environment)
    };
    assert_eq!(with("trust_user", Some(&good)).ok(), "1\n");
    let log = firewall.log_line(&["session opened", "shop-web.internal"]);
    assert!(log.contains("listener"), "{log}");
    for (identity, told) in [
        (Some(&other), "names in the client's certificate are not admitted"),
        (None, "a TLS client certificate is required"),
        (Some(&unknown), "SSL error"),
    ] {
        let output = with("trust_user", identity);
        assert!(output.code != 0 && output.stderr.contains(told), "{told}: {output:?}");
    }
    // Others need none, and may show one.
    assert_eq!(with("scram_user", None).ok(), "1\n");
    assert_eq!(with("scram_user", Some(&other)).ok(), "1\n");
}

#[test]
fn who_must_show_a_certificate_gets_no_further_without_one() {
    let cluster = Cluster::default();
    let ca = cluster.ca();
    let environment = [("PORTCULLIS_TLS_CLIENT_CA", ca.to_str().unwrap()), ("PORTCULLIS_CLIENT_CERT", "required")];
    let firewall = Firewall::start(&cluster, encrypted(&cluster, POLICY, &environment));
    let (certificate, key) = cluster.issue(&["anybody"], "anybody");
    let shown = [("PGSSLCERT", certificate.to_str().unwrap()), ("PGSSLKEY", key.to_str().unwrap())];
    let encrypted = ("PGSSLMODE", "verify-full");
    assert_eq!(ask(&cluster, firewall.port(), "trust_user", &[encrypted, shown[0], shown[1]]).ok(), "1\n");
    assert_ne!(ask(&cluster, firewall.port(), "trust_user", &[encrypted]).code, 0);
    assert_ne!(ask(&cluster, firewall.port(), "trust_user", &[("PGSSLMODE", "disable")]).code, 0);
}

#[test]
fn a_unix_socket_tells_who_is_there() {
    let cluster = Cluster::default();
    let me = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let me = me.trim();
    let policy = format!(
        "policy: local\napplies_to: {{users: [app_rw], listeners: [door]}}\nrequire: {{os_users: [{me}]}}\nsearch_path: [public]\n\
         allow: [{{rule: read, actions: [select], tables: ['*']}}]\n---\n\
         policy: others\napplies_to: {{users: [app_ro]}}\nrequire: {{os_users: [nobody-at-all]}}\nsearch_path: [public]\n\
         ---\npolicy: network\napplies_to: {{users: [trust_user]}}\nsearch_path: [public]\n\
         allow: [{{rule: read, actions: [select], tables: ['*']}}]\n"
    );
    let listen = "127.0.0.1:{port}, door={directory}/.s.PGSQL.{port}?permissions=0700".to_owned();
    let firewall = Firewall::start(&cluster, firewall::Options { listen, ..firewall::Options::policy(&policy) });
    let directory = firewall.directory().to_owned();
    let by = |host: &Path, user: &str| {
        let mut command = client(&cluster, "psql", firewall.port(), user, "shop");
        run(command.env("PGHOST", host).args(["-X", "-A", "-t", "-c", "SELECT 1"]))
    };
    assert_eq!(by(&directory, "app_rw").ok(), "1\n");
    let line = firewall.log_line(&["session opened"]);
    assert!(line.contains("[local]") && line.contains(me) && line.contains("door"), "{line}");
    assert!(by(Path::new("127.0.0.1"), "app_rw").stderr.contains("no policy for host \"127.0.0.1\""));
    let told = by(&directory, "app_ro").stderr;
    assert!(told.contains(&format!("operating system's user \"{me}\" is not admitted")), "{told}");
    assert!(by(Path::new("127.0.0.1"), "app_ro").stderr.contains("over the Unix socket is required"));
    assert_eq!(by(&directory, "trust_user").ok(), "1\n");
    // No TLS there, as in PostgreSQL: `N`.
    use std::os::unix::net::UnixStream;
    let mut socket = UnixStream::connect(directory.join(format!(".s.PGSQL.{}", firewall.port()))).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.write_all(&SSL_REQUEST).unwrap();
    let mut answer = [0];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"N");
}

#[test]
fn sigterm_removes_the_unix_socket() {
    let cluster = Cluster::default();
    let listen = "127.0.0.1:{port},{directory}/.s.PGSQL.{port}".to_owned();
    let mut firewall = Firewall::start(&cluster, firewall::Options { listen, ..firewall::Options::policy(POLICY) });
    let socket = firewall.directory().join(format!(".s.PGSQL.{}", firewall.port()));
    assert!(socket.exists());
    firewall.terminate();
    assert_eq!(firewall.wait(Duration::from_secs(10)), Some(0));
    assert!(!socket.exists());
}

/// A PROXY protocol header, version 2, of a TCP connection from this IPv4 address.
fn proxy_header(command: u8, source: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, 0x11, 0, 12]);
    header.extend(source);
    header.extend([127, 0, 0, 1, 0x30, 0x39, 0x19, 0x20]);
    header
}

#[test]
fn behind_a_load_balancer_the_clients_own_address_counts() {
    let cluster = Cluster::default();
    let policy = "policy: office\napplies_to: {users: [trust_user]}\nrequire: {networks: [10.1.0.0/16]}\n\
                  search_path: [public]\nallow: [{rule: read, actions: [select], tables: ['*']}]\n";
    let options = firewall::Options {
        listen: "127.0.0.1:{port}?proxy_protocol=127.0.0.0/8".to_owned(),
        ..firewall::Options::policy(policy)
    };
    let firewall = Firewall::start(&cluster, options);
    let hello = startup(&[("user", "trust_user"), ("database", "shop")]);
    let come = |first: &[u8]| {
        let mut client = firewall.connect();
        client.send(&[first, &hello].concat());
        client.until_ready()
    };
    assert_eq!(come(&proxy_header(0x21, [10, 1, 2, 3])).last().unwrap().kind, b'Z');
    firewall.log_line(&["session opened", "10.1.2.3:12345"]);
    let frames = come(&proxy_header(0x21, [10, 2, 2, 3]));
    assert!(error(&frames).field('M').contains("10.2.2.3"), "{frames:?}");
    // The load balancer speaks for itself: its own address counts.
    let frames = come(&proxy_header(0x20, [10, 1, 2, 3]));
    assert!(error(&frames).field('M').contains("127.0.0.1"), "{frames:?}");
    // Who is in there and sends no header gets nothing, not even an error.
    for first in [&b""[..], b"PROXY TCP4 10.1.2.3 127.0.0.1 1 2\r\n", &proxy_header(0x11, [10, 1, 2, 3])] {
        assert!(come(first).is_empty(), "{}", first.escape_ascii());
    }
    // A header split into bytes, and one too short for what it says.
    let mut client = firewall.connect();
    for byte in proxy_header(0x21, [10, 1, 2, 3]).iter().chain(&hello) {
        client.send(&[*byte]);
    }
    assert_eq!(client.until_ready().last().unwrap().kind, b'Z');
}

#[test]
fn from_elsewhere_no_header_is_read() {
    let cluster = Cluster::default();
    let listen = "127.0.0.1:{port}?proxy_protocol=192.0.2.0/24".to_owned();
    let firewall = Firewall::start(&cluster, firewall::Options { listen, ..firewall::Options::policy(POLICY) });
    let mut client = firewall.connect();
    client.send(&proxy_header(0x21, [10, 1, 2, 3]));
    client.send(&startup(&[("user", "trust_user"), ("database", "shop")]));
    assert_eq!(client.rest(), b"", "closed, as a server does with what is no startup packet");
    assert_eq!(firewall.session("trust_user", "shop").value("SELECT 1"), "1");
}
