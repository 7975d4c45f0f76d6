//! Scripted servers, certificates made for a test, and what connecting does besides the table of `sslmode`
//! (`session/handshake/reach/tests.rs`).

mod der;
mod hosts;
mod problems;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::{ClientTls, SslMode, Upstream};
use crate::wire::startup::SSL_REQUEST;

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
        Authority::with(params)
    }

    fn with(params: CertificateParams) -> Authority {
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

    pub(crate) fn issue_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> ClientTls {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "a server");
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        self.write(&pem, &key)
    }

    /// The same without extensions, as `openssl x509 -req` of PostgreSQL's manual makes it with OpenSSL before 3.2: the common
    /// name is all that it says.
    pub(crate) fn issue_version_1(&self, name: &str) -> ClientTls {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        self.write(&der::version_1(signed.der(), self.issuer.key()), &key)
    }

    /// Signed by its own key, as `openssl req -x509` of PostgreSQL's manual makes it.
    pub(crate) fn self_signed(&self, name: &str) -> ClientTls {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        self.write(&pem, &key)
    }

    fn write(&self, pem: &str, key: &KeyPair) -> ClientTls {
        let stem = format!("{:016x}", rand::random::<u64>());
        let file = |ending| self.directory.path().join(format!("{stem}.{ending}"));
        let files = ClientTls::new(file("crt"), file("key"));
        std::fs::write(&files.cert, pem).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o600)).unwrap();
        files
    }
}

/// What a server does with an SSLRequest.
#[derive(Debug, Clone)]
pub(crate) enum Script {
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
    /// TLS from the first byte, and what word of the protocol inside confirms it.
    Direct(ClientTls, &'static [u8]),
}

/// What one connection brought.
#[derive(Debug, Default, Clone)]
pub(crate) struct Received {
    pub(crate) clear: Vec<u8>,
    pub(crate) inside_tls: Vec<u8>,
}

/// Any answer comes within the tests' patience.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that takes any number of connections, and answers the startup packet of each as it is told.
#[derive(Debug)]
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    accepting: tokio::task::JoinHandle<()>,
    /// Ends when the last connection is over.
    open: tokio::sync::mpsc::Receiver<()>,
}

impl Scripted {
    /// `plain` and `tls` are sent where a startup packet came so.
    pub(crate) async fn start(script: Script, plain: &'static [u8], tls: &'static [u8]) -> Scripted {
        Scripted::on("127.0.0.1:0", script, plain, tls).await
    }

    pub(crate) async fn on(address: &str, script: Script, plain: &'static [u8], tls: &'static [u8]) -> Scripted {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let (held, open) = tokio::sync::mpsc::channel(1);
        let seen = Arc::clone(&received);
        let accepting = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (script, seen, held) = (script.clone(), Arc::clone(&seen), held.clone());
                tokio::spawn(async move {
                    let mut one = Received::default();
                    // Clients go away in the middle of everything.
                    let _ = converse(socket, &script, plain, tls, &mut one).await;
                    seen.lock().unwrap().push(one);
                    drop(held);
                });
            }
        });
        Scripted { address, received, accepting, open }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// What each connection brought, once all clients are gone.
    pub(crate) async fn received(mut self) -> Vec<Received> {
        self.accepting.abort();
        let over = async { while self.open.recv().await.is_some() {} };
        tokio::time::timeout(PATIENCE, over).await.expect("the clients are gone");
        std::mem::take(&mut self.received.lock().unwrap())
    }
}

async fn converse(
    mut socket: TcpStream,
    script: &Script,
    plain: &[u8],
    tls: &[u8],
    received: &mut Received,
) -> io::Result<()> {
    if let Script::Direct(files, alpn) = script {
        let stream = acceptor(files, alpn).accept(socket).await?;
        return serve(stream, tls, &mut received.inside_tls).await;
    }
    // An SSLRequest, or the length of a startup packet: both are read by their length.
    let request = packet(&mut socket).await?;
    received.clear.extend(&request);
    if request != SSL_REQUEST {
        return answer(socket, plain, &mut received.clear).await;
    }
    let said: &[u8] = match script {
        Script::No => b"N",
        Script::Error => b"E\0\0\0\x1aSFATAL\0C53300\0Mfull\0\0",
        Script::Close => return Ok(()),
        Script::Silence => b"",
        Script::Garbage => b"HTTP/1.1 400 Bad Request\r\n\r\n",
        Script::PlaintextBehindYes => b"SR\0\0\0\x08\0\0\0\0",
        Script::Tls(_) | Script::Direct(..) => b"S",
    };
    socket.write_all(said).await?;
    match script {
        Script::Tls(files) => {
            let stream = acceptor(files, b"").accept(socket).await?;
            serve(stream, tls, &mut received.inside_tls).await
        }
        Script::No => serve(socket, plain, &mut received.clear).await,
        Script::Error
        | Script::Close
        | Script::Silence
        | Script::Garbage
        | Script::PlaintextBehindYes
        | Script::Direct(..) => socket.read_to_end(&mut received.clear).await.map(drop),
    }
}

/// Reads a startup packet, and answers.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    said: &[u8],
    received: &mut Vec<u8>,
) -> io::Result<()> {
    received.extend(packet(&mut stream).await?);
    answer(stream, said, received).await
}

/// Answers, and reads to the end.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    said: &[u8],
    received: &mut Vec<u8>,
) -> io::Result<()> {
    stream.write_all(said).await?;
    stream.read_to_end(received).await.map(drop)
}

async fn packet<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Vec<u8>> {
    let mut packet = vec![0u8; 4];
    stream.read_exact(&mut packet).await?;
    let length = u32::from_be_bytes([packet[0], packet[1], packet[2], packet[3]]);
    // TLS where a packet should be: not read any further.
    if length < 10_000 {
        packet.resize(length as usize, 0);
        stream.read_exact(&mut packet[4..]).await?;
    }
    Ok(packet)
}

/// TLS as a server has it, with a word of its protocol or without one. rustls does not look at the certificate.
fn acceptor(files: &ClientTls, alpn: &[u8]) -> tokio_rustls::TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(&files.cert).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let provider = accept::provider();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let certified = Arc::new(rustls::sign::CertifiedKey::new(chain, key));
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_no_client_auth().with_cert_resolver(Arc::new(Always(certified)));
    config.alpn_protocols = Some(alpn.to_vec()).filter(|alpn| !alpn.is_empty()).into_iter().collect();
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

#[derive(Debug)]
struct Always(Arc<rustls::sign::CertifiedKey>);

impl rustls::server::ResolvesServerCert for Always {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// AuthenticationOk.
pub(crate) const OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";

fn connector(host: &str, port: u16, sslmode: SslMode, root: Option<&PathBuf>) -> Connector {
    let root = root.map(|path| format!("&sslrootcert={}", path.display())).unwrap_or_default();
    connector_to(&format!("postgres://{host}:{port}?sslmode={sslmode}{root}"))
}

fn connector_to(url: &str) -> Connector {
    Connector::new(&Upstream::parse(url).unwrap(), Duration::from_secs(5)).unwrap()
}

/// Connects by the first way that can be gone, and says how.
async fn leg(connector: &Connector) -> Result<Leg, ConnectError> {
    Ok(connector.ways().connect().await?.destination.leg)
}

#[tokio::test]
async fn a_named_certificate_must_still_be_for_the_host() {
    let authority = Authority::new("ca");
    let certificate = authority.self_signed("db.elsewhere");
    for (sslmode, accepted) in [(SslMode::VerifyCa, true), (SslMode::VerifyFull, false)] {
        let server = Scripted::start(Script::Tls(certificate.clone()), OK, OK).await;
        let connector = connector("localhost", server.port(), sslmode, Some(&certificate.cert));
        assert_eq!(leg(&connector).await.is_ok(), accepted, "{sslmode}");
    }
}

#[tokio::test]
async fn verify_full_takes_an_address_that_the_certificate_names() {
    let authority = Authority::new("ca");
    for (name, accepted) in [("127.0.0.1", true), ("127.0.0.2", false), ("localhost", false)] {
        let server = Scripted::start(Script::Tls(authority.issue(name)), OK, OK).await;
        let connector = connector("127.0.0.1", server.port(), SslMode::VerifyFull, Some(&authority.root()));
        assert_eq!(leg(&connector).await.is_ok(), accepted, "{name}");
    }
}

#[tokio::test]
async fn a_cancel_of_a_tls_session_never_goes_plain() {
    let authority = Authority::new("ca");
    let server = Scripted::start(Script::Tls(authority.issue("localhost")), OK, OK).await;
    let address = server.address;
    let connector = connector("127.0.0.1", server.port(), SslMode::Prefer, None);
    let destination = connector.ways().connect().await.unwrap().destination;
    assert_eq!((destination.leg, &destination.address), (Leg::Tls, &Endpoint::Tcp(address)));
    server.received().await;

    let server = Scripted::on(&address.to_string(), Script::No, OK, OK).await;
    let error = connector.connect_to(&destination).await.expect_err("no plain cancel");
    assert!(matches!(error, ConnectError::TlsNotOffered { .. }), "{error:?}");
    assert_eq!(server.received().await[0].clear, SSL_REQUEST);
}

#[tokio::test]
async fn a_probe_tells_the_servers_certificate() {
    let authority = Authority::new("ca");
    let files = authority.issue("localhost");
    let server = Scripted::start(Script::Tls(files.clone()), OK, OK).await;
    let connector = connector("localhost", server.port(), SslMode::VerifyFull, Some(&authority.root()));
    let mut probed = connector.probe().await;
    let Probed { host, outcome } = probed.remove(0);
    assert_eq!((host, probed.len()), (format!("localhost:{}", server.port()), 0));
    let tls = outcome.unwrap().expect("TLS");
    assert_eq!(&tls.certificate, Acceptor::new(&files).unwrap().certificate());
    assert_eq!(tls.version, "TLSv1.3");
    assert_eq!(tls.server_end_point.map(|hash| hash.len()), Some(32));
}

#[tokio::test]
async fn an_unreachable_server_is_an_error_that_says_where() {
    // Bound, then closed: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let connector = connector("127.0.0.1", port, SslMode::Disable, None);
    let error = leg(&connector).await.expect_err("nobody there");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let authority = Authority::new("ca");
    let (one, other) = (authority.issue("localhost"), authority.issue("localhost"));
    let error = Acceptor::new(&ClientTls::new(one.cert, other.key)).expect_err("not a pair");
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
