//! `sslmode` against scripted servers: what they answer, what certificate they show, and what they ever received.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::connect::CertificateProblem;
use super::*;
use crate::config::{ClientTls, SslMode, Upstream};
use crate::wire::startup::SSL_REQUEST;

/// Stands for a startup packet.
const STARTUP: &[u8] = b"startup packet of shop_app";

/// A certificate authority in a directory of its own.
pub(crate) struct Authority {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("root.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
        Authority { directory, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("root.crt")
    }

    /// A server's certificate for this name, as files.
    pub(crate) fn issue(&self, name: &str) -> ClientTls {
        self.issue_with(name, |_| {})
    }

    fn issue_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> ClientTls {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        self.write(&pem, &key)
    }

    /// Signed by its own key, as `openssl req -x509` of PostgreSQL's manual makes it.
    fn self_signed(&self, name: &str) -> ClientTls {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        self.write(&pem, &key)
    }

    fn write(&self, pem: &str, key: &KeyPair) -> ClientTls {
        let stem = format!("{:016x}", rand::random::<u64>());
        let files = ClientTls {
            cert: self.directory.path().join(format!("{stem}.crt")),
            key: self.directory.path().join(format!("{stem}.key")),
        };
        std::fs::write(&files.cert, pem).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }
}

/// What a server does with an SSLRequest.
#[derive(Debug, Clone)]
enum Script {
    /// `N`.
    No,
    /// An ErrorResponse.
    Error,
    Close,
    Silence,
    Garbage,
    /// `S`, and in the same packet words in the clear.
    PlaintextBehindYes,
    /// `S` and TLS with this certificate.
    Tls(ClientTls),
}

/// What reached a server.
#[derive(Debug, Default)]
struct Received {
    plain: Vec<u8>,
    inside_tls: Vec<u8>,
}

/// Serves one connection.
async fn serve(script: Script) -> (SocketAddr, JoinHandle<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut received = Received::default();
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0u8; 8];
        if socket.read_exact(&mut request).await.is_err() {
            return received;
        }
        received.plain.extend(request);
        let answer: &[u8] = match (request == SSL_REQUEST, &script) {
            // A startup packet in the clear, straight away.
            (false, _) | (true, Script::Silence) => b"",
            (true, Script::No) => b"N",
            (true, Script::Error) => b"E\0\0\0\x1aSFATAL\0C53300\0Mfull\0\0",
            (true, Script::Close) => return received,
            (true, Script::Garbage) => b"HTTP/1.1 400 Bad Request\r\n\r\n",
            (true, Script::PlaintextBehindYes) => b"SR\0\0\0\x08\0\0\0\0",
            (true, Script::Tls(files)) => {
                socket.write_all(b"S").await.unwrap();
                if let Ok(mut stream) = Acceptor::new(files).unwrap().accept(socket).await {
                    let _ = stream.read_to_end(&mut received.inside_tls).await;
                }
                return received;
            }
        };
        socket.write_all(answer).await.unwrap();
        let _ = socket.read_to_end(&mut received.plain).await;
        received
    });
    (address, task)
}

fn connector(host: &str, port: u16, sslmode: SslMode, root: Option<&PathBuf>) -> Connector {
    let root = root.map(|path| format!("&sslrootcert={}", path.display())).unwrap_or_default();
    let upstream = Upstream::parse(&format!("postgres://{host}:{port}?sslmode={sslmode}{root}")).unwrap();
    Connector::new(&upstream, Duration::from_millis(400)).unwrap()
}

/// Connects as a session's first attempt does and sends a startup packet if it may.
async fn session(connector: &Connector, leg: Leg) -> Result<Leg, ConnectError> {
    let mut connected = connector.connect(leg).await?;
    connected.stream.write_all(STARTUP).await.unwrap();
    connected.stream.shutdown().await.unwrap();
    Ok(connected.leg())
}

#[tokio::test]
async fn from_require_up_only_tls_opens_the_way() {
    let authority = Authority::new("ca");
    for sslmode in [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
        for script in
            [Script::No, Script::Error, Script::Close, Script::Silence, Script::Garbage, Script::PlaintextBehindYes]
        {
            let (address, server) = serve(script.clone()).await;
            let root = authority.root();
            let root = (sslmode != SslMode::Require).then_some(&root);
            let connector = connector("127.0.0.1", address.port(), sslmode, root);
            assert_eq!(connector.attempts(), [Leg::Tls]);
            let error = session(&connector, Leg::Tls).await.expect_err("no session");
            let expected = match &script {
                Script::No => matches!(error, ConnectError::TlsNotOffered { .. }),
                Script::Error => matches!(error, ConnectError::ErrorBeforeTls { .. }),
                Script::Close => matches!(error, ConnectError::Closed { .. }),
                Script::Silence => matches!(error, ConnectError::Timeout { .. }),
                Script::Garbage => matches!(error, ConnectError::NotPostgres { byte: b'H', .. }),
                Script::PlaintextBehindYes => matches!(error, ConnectError::Handshake { .. }),
                Script::Tls(_) => false,
            };
            assert!(expected, "{sslmode} {script:?}: {error:?}");
            let received = server.await.unwrap();
            let behind = received.plain.strip_prefix(&SSL_REQUEST[..]).unwrap();
            if matches!(script, Script::PlaintextBehindYes) {
                // A TLS record of handshake or alert, nothing else.
                assert!(matches!(behind.first(), Some(0x15 | 0x16)), "{sslmode} {script:?}: {behind:?}");
                assert!(!behind.windows(STARTUP.len()).any(|window| window == STARTUP));
            } else {
                assert_eq!(behind, b"", "{sslmode} {script:?}");
            }
        }
    }
}

#[tokio::test]
async fn prefer_and_allow_take_no_for_an_answer_and_nothing_else() {
    for sslmode in [SslMode::Allow, SslMode::Prefer] {
        let (address, server) = serve(Script::No).await;
        let connector = connector("127.0.0.1", address.port(), sslmode, None);
        assert_eq!(session(&connector, Leg::Tls).await.unwrap(), Leg::Plain, "{sslmode}");
        assert_eq!(server.await.unwrap().plain, [&SSL_REQUEST[..], STARTUP].concat());

        for script in [Script::Error, Script::Close, Script::Silence, Script::Garbage, Script::PlaintextBehindYes] {
            let (address, server) = serve(script.clone()).await;
            let connector = self::connector("127.0.0.1", address.port(), sslmode, None);
            session(&connector, Leg::Tls).await.expect_err("no session");
            let plain = server.await.unwrap().plain;
            assert!(!plain.windows(STARTUP.len()).any(|window| window == STARTUP), "{sslmode} {script:?}");
        }
    }
}

#[tokio::test]
async fn the_order_of_attempts_is_libpqs() {
    let attempts = |sslmode| connector("127.0.0.1", 1, sslmode, None).attempts();
    assert_eq!(attempts(SslMode::Disable), [Leg::Plain]);
    assert_eq!(attempts(SslMode::Allow), [Leg::Plain, Leg::Tls]);
    assert_eq!(attempts(SslMode::Prefer), [Leg::Tls, Leg::Plain]);
    assert_eq!(attempts(SslMode::Require), [Leg::Tls]);
}

#[tokio::test]
async fn disable_and_the_first_attempt_of_allow_never_ask_for_tls() {
    for sslmode in [SslMode::Disable, SslMode::Allow] {
        let (address, server) = serve(Script::Silence).await;
        let connector = connector("127.0.0.1", address.port(), sslmode, None);
        assert_eq!(session(&connector, Leg::Plain).await.unwrap(), Leg::Plain);
        assert_eq!(server.await.unwrap().plain, STARTUP);
    }
}

/// A row of the certificate matrix.
struct Row {
    what: &'static str,
    certificate: ClientTls,
    root: PathBuf,
    verify_ca: Option<&'static str>,
    verify_full: Option<&'static str>,
}

#[tokio::test]
async fn certificates_are_checked_as_the_mode_says() {
    let authority = Authority::new("ca");
    let stranger = Authority::new("stranger");
    let self_signed = authority.self_signed("localhost");
    let row = |what, certificate, root: &PathBuf, verify_ca, verify_full| Row {
        what,
        certificate,
        root: root.clone(),
        verify_ca,
        verify_full,
    };
    let root = authority.root();
    let (issuer, name, expired, early) = (Some("issuer"), Some("name"), Some("expired"), Some("early"));
    let rows = [
        row("good", authority.issue("localhost"), &root, None, None),
        row("wrong authority", stranger.issue("localhost"), &root, issuer, issuer),
        row("wrong name", authority.issue("db.elsewhere"), &root, None, name),
        row("wrong name, wrong authority", stranger.issue("db.elsewhere"), &root, issuer, issuer),
        row("self-signed", authority.self_signed("localhost"), &root, Some("ca"), Some("ca")),
        row("self-signed and named", self_signed.clone(), &self_signed.cert, None, None),
        row(
            "expired",
            authority.issue_with("localhost", |params| {
                params.not_before = date_time_ymd(2001, 1, 1);
                params.not_after = date_time_ymd(2002, 1, 1);
            }),
            &root,
            expired,
            expired,
        ),
        row(
            "not valid yet",
            authority.issue_with("localhost", |params| params.not_before = date_time_ymd(2999, 1, 1)),
            &root,
            early,
            early,
        ),
    ];
    for Row { what, certificate, root, verify_ca, verify_full } in rows {
        for (sslmode, root, expected) in [
            (SslMode::Prefer, None, None),
            (SslMode::Require, None, None),
            // libpq: with a root file `require` is `verify-ca`.
            (SslMode::Require, Some(&root), verify_ca),
            (SslMode::VerifyCa, Some(&root), verify_ca),
            (SslMode::VerifyFull, Some(&root), verify_full),
        ] {
            let (address, server) = serve(Script::Tls(certificate.clone())).await;
            let connector = connector("localhost", address.port(), sslmode, root);
            let outcome = session(&connector, Leg::Tls).await;
            let seen = match &outcome {
                Ok(Leg::Tls) => None,
                Ok(Leg::Plain) => Some("plain"),
                Err(ConnectError::Certificate { problem, .. }) => Some(match problem {
                    CertificateProblem::UnknownIssuer => "issuer",
                    CertificateProblem::WrongName { .. } => "name",
                    CertificateProblem::Expired => "expired",
                    CertificateProblem::NotYetValid => "early",
                    CertificateProblem::CaAsEndEntity => "ca",
                    CertificateProblem::Revoked
                    | CertificateProblem::NoRevocationStatus
                    | CertificateProblem::Other(_) => "other",
                }),
                Err(_) => Some("error"),
            };
            assert_eq!(seen, expected, "{what} under {sslmode}: {outcome:?}");
            let received = server.await.unwrap();
            let sent: &[u8] = if expected.is_none() { STARTUP } else { b"" };
            assert_eq!(received.inside_tls, sent, "{what} under {sslmode}");
            assert_eq!(received.plain, SSL_REQUEST, "{what} under {sslmode}");
        }
    }
}

#[tokio::test]
async fn a_named_certificate_must_still_be_for_the_host() {
    let authority = Authority::new("ca");
    let certificate = authority.self_signed("db.elsewhere");
    for (sslmode, accepted) in [(SslMode::VerifyCa, true), (SslMode::VerifyFull, false)] {
        let (address, _server) = serve(Script::Tls(certificate.clone())).await;
        let connector = connector("localhost", address.port(), sslmode, Some(&certificate.cert));
        assert_eq!(session(&connector, Leg::Tls).await.is_ok(), accepted, "{sslmode}");
    }
}

#[tokio::test]
async fn verify_full_takes_an_address_that_the_certificate_names() {
    let authority = Authority::new("ca");
    for (name, accepted) in [("127.0.0.1", true), ("127.0.0.2", false), ("localhost", false)] {
        let (address, _server) = serve(Script::Tls(authority.issue(name))).await;
        let connector = connector("127.0.0.1", address.port(), SslMode::VerifyFull, Some(&authority.root()));
        assert_eq!(session(&connector, Leg::Tls).await.is_ok(), accepted, "{name}");
    }
}

#[tokio::test]
async fn a_cancel_of_a_tls_session_never_goes_plain() {
    let (address, server) = serve(Script::No).await;
    let connector = connector("127.0.0.1", address.port(), SslMode::Prefer, None);
    let error = connector.connect_to(address, Leg::Tls).await.expect_err("no plain cancel");
    assert!(matches!(error, ConnectError::TlsNotOffered { .. }), "{error:?}");
    assert_eq!(server.await.unwrap().plain, SSL_REQUEST);
}

#[tokio::test]
async fn a_probe_tells_the_servers_certificate() {
    let authority = Authority::new("ca");
    let files = authority.issue("localhost");
    let (address, _server) = serve(Script::Tls(files.clone())).await;
    let connector = connector("localhost", address.port(), SslMode::VerifyFull, Some(&authority.root()));
    let tls = connector.probe().await.unwrap().expect("TLS");
    assert_eq!(&tls.certificate, Acceptor::new(&files).unwrap().certificate());
    assert_eq!(tls.version, "TLSv1.3");
    assert_eq!(tls.server_end_point.map(|hash| hash.len()), Some(32));
}

#[tokio::test]
async fn an_unreachable_server_is_an_error_that_says_where() {
    // Bound, then closed: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let connector = connector("127.0.0.1", port, SslMode::Disable, None);
    let error = connector.connect(Leg::Plain).await.expect_err("nobody there");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let authority = Authority::new("ca");
    let (one, other) = (authority.issue("localhost"), authority.issue("localhost"));
    let error = Acceptor::new(&ClientTls { cert: one.cert, key: other.key }).expect_err("not a pair");
    assert!(matches!(error, TlsFileError::Pair { .. }), "{error}");
}

#[test]
fn missing_files_are_named() {
    let upstream = Upstream::parse("postgres://db?sslmode=verify-full&sslrootcert=/nowhere/ca.crt").unwrap();
    let error = Connector::new(&upstream, Duration::from_secs(1)).expect_err("no such file");
    assert!(error.to_string().contains("/nowhere/ca.crt"), "{error}");
}

#[test]
fn hosts_are_named_as_people_name_them() {
    for host in ["db", "my_db", "DB.internal", "10.0.0.1", "[::1]"] {
        let upstream = Upstream::parse(&format!("postgres://{host}:5433?sslmode=require")).unwrap();
        let connector = Connector::new(&upstream, Duration::from_secs(1)).unwrap();
        assert_eq!(connector.target(), format!("{host}:5433"));
    }
}
