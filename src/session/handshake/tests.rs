//! Whole handshakes over real sockets: a client, the proxy, and a server that follows a script.

mod logins;
mod target;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::config::ClientCert;
use crate::config::{ClientTls, Config, RunArgs, Upstream};
use crate::net::tests::Authority;
use crate::net::{Acceptor, Connector, Endpoint, Leg, Socket};
use crate::policy::{self, Store};
use crate::session::auth::directory::Directory;
use crate::session::auth::throttle::Throttle;
use crate::session::auth::{PeerError, startup_check};
use crate::session::cancel::Cancels;
use crate::session::handshakes::Handshakes;
use crate::units::Network;
use crate::wire::backend;
use crate::wire::frame;
use crate::wire::startup::FirstPacket;
use crate::wire::startup::{SSL_REQUEST, encode_startup};

const OBSERVE: &str =
    "policy: watch\nmode: observe\napplies_to: {users: [app]}\nallow: [{rule: r, actions: [select], tables: ['*']}]\n";
const ENFORCE: &str = "policy: shop\napplies_to: {users: [app]}\nsearch_path: [public]\nallow: [{rule: r, actions: [select], tables: ['*']}]\n";

const OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const CLEARTEXT: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
const MD5: &[u8] = b"R\0\0\0\x0c\0\0\0\x05salt";
const READY: &[u8] = b"Z\0\0\0\x05I";
const WRONG_PASSWORD: &[u8] = b"E\0\0\0\x2aSFATAL\0VFATAL\0C28P01\0Mwrong password\0\0";

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind], &length[..], body].concat()
}

fn sasl(mechanisms: &[&str]) -> Vec<u8> {
    let list: String = mechanisms.iter().map(|mechanism| format!("{mechanism}\0")).collect();
    frame(b'R', &[&10u32.to_be_bytes()[..], list.as_bytes(), b"\0"].concat())
}

/// What a scripted server does after it has read the startup packet.
#[derive(Debug, Clone)]
enum Step {
    Send(Vec<u8>),
    /// Reads a frame.
    Read,
}

/// One connection of a scripted server. It answers SSLRequest with TLS, or `N` without a certificate.
#[derive(Debug, Clone, Default)]
struct Script {
    tls: Option<ClientTls>,
    steps: Vec<Step>,
}

impl Script {
    fn send(bytes: &[u8]) -> Script {
        Script::default().then(bytes)
    }
    fn then(mut self, bytes: &[u8]) -> Script {
        self.steps.push(Step::Send(bytes.to_vec()));
        self
    }
    fn read(mut self) -> Script {
        self.steps.push(Step::Read);
        self
    }
    fn tls(self, files: &ClientTls) -> Script {
        Script { tls: Some(files.clone()), ..self }
    }
}

/// What a server saw of one connection.
#[derive(Debug)]
struct Seen {
    tls: bool,
    /// The startup packet behind its length.
    startup: Vec<u8>,
    frames: Vec<Vec<u8>>,
}

impl Seen {
    fn startup(&self) -> Startup {
        match startup::parse(&self.startup).unwrap() {
            FirstPacket::Startup(startup) => startup,
            other => panic!("{other:?}"),
        }
    }
}

/// Plays one script for each connection and tells what it saw once all are played and the peers are gone.
async fn server(scripts: Vec<Script>) -> (u16, JoinHandle<Vec<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let mut all = Vec::new();
        for script in scripts {
            let mut stream = Stream::Plain(Socket::Tcp(listener.accept().await.unwrap().0));
            let Ok(Some(mut packet)) = greeting::packet(&mut stream).await else { continue };
            if packet == SSL_REQUEST[4..] {
                stream = match (stream, &script.tls) {
                    (Stream::Plain(mut socket), Some(files)) => {
                        socket.write_all(b"S").await.unwrap();
                        Acceptor::new(files).unwrap().accept(socket, ClientCert::None).await.unwrap()
                    }
                    (mut stream, _) => {
                        stream.write_all(b"N").await.unwrap();
                        stream
                    }
                };
                // A probe says no more.
                let Ok(Some(next)) = greeting::packet(&mut stream).await else { continue };
                packet = next;
            }
            let mut seen = Seen { tls: stream.is_tls(), startup: packet, frames: Vec::new() };
            let mut peer = Peer::new(stream);
            for step in script.steps {
                match step {
                    Step::Send(bytes) => peer.send(&bytes).await.unwrap(),
                    Step::Read => match peer.frame().await {
                        Ok(frame) => seen.frames.push(frame.bytes.to_vec()),
                        Err(_) => break,
                    },
                }
            }
            all.push(seen);
            // Stays open until the proxy has read everything.
            let _ = peer.stream.flush().await;
            tokio::spawn(async move { while peer.frame().await.is_ok() {} });
        }
        all
    });
    (port, task)
}

/// The proxy in front of a port.
struct Proxy {
    shared: Arc<Shared>,
    listener: TcpListener,
}

impl Proxy {
    async fn new(upstream: &str, auth: &str, policy: &str, client_tls: Option<&ClientTls>) -> Proxy {
        Proxy::set(upstream, &[("PORTCULLIS_AUTH", auth)], policy, client_tls).await
    }

    async fn set(upstream: &str, settings: &[(&str, &str)], policy: &str, client_tls: Option<&ClientTls>) -> Proxy {
        let path = |path: &std::path::Path| path.display().to_string();
        let args = RunArgs {
            upstream: Some(upstream.to_owned()),
            tls_cert: client_tls.map(|tls| path(&tls.cert)),
            tls_key: client_tls.map(|tls| path(&tls.key)),
            ..RunArgs::default()
        };
        let set = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let mut config = Config::load(&args, &set).unwrap();
        config.handshake_timeout = Duration::from_secs(2);
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("p.yaml"), policy).unwrap();
        let metrics = Arc::new(crate::metrics::Metrics::new(&[], &[]));
        let shared = Shared {
            quarantine: Arc::new(crate::session::quarantine::Quarantine::new(config.quarantine, Arc::clone(&metrics))),
            probing: Arc::default(),
            blocks: Arc::new(crate::blocks::Blocks::in_memory(Arc::clone(&metrics))),
            cache: Arc::new(crate::session::cache::Cache::new(0, 0)),
            legs: arc_swap::ArcSwap::from_pointee(Legs::read(&config).unwrap()),
            policies: Arc::new(Store::new(policy::load(directory.path()).unwrap())),
            metrics,
            cancels: Arc::new(Cancels::default()),
            limits: Arc::default(),
            directory: Arc::new(Directory::open(&config).unwrap()),
            throttle: Arc::new(Throttle::new(config.login_failures)),
            config: Arc::new(config),
            audit: crate::audit::Audit::default(),
            sessions: AtomicU64::new(0),
            ending: watch::channel(crate::session::relay::Ending::No).1,
            handshakes: Handshakes::new(10),
        };
        Proxy { shared: Arc::new(shared), listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    async fn plain(port: u16, policy: &str) -> Proxy {
        Proxy::new(&format!("postgres://127.0.0.1:{port}?sslmode=disable"), "passthrough", policy, None).await
    }

    /// Accepts one client in the background.
    fn serve(&self) -> impl Future<Output = Result<Opened, HandshakeEnd>> {
        let (shared, socket) = (Arc::clone(&self.shared), self.listener.local_addr().unwrap());
        let _ = socket;
        async move {
            let (socket, peer) = self.listener.accept().await.unwrap();
            let listener = Arc::new(shared.config.listeners[0].clone());
            let origin = Origin::Tcp(peer);
            let place = shared.handshakes.enter(&origin).unwrap();
            establish(Client { socket: Socket::Tcp(socket), origin, listener }, &place, &shared).await
        }
    }

    /// A client on a plain leg.
    async fn dial(&self) -> Peer {
        Peer::new(Stream::Plain(Endpoint::Tcp(self.listener.local_addr().unwrap()).connect().await.unwrap()))
    }

    /// A client inside TLS.
    async fn dial_tls(&self) -> Peer {
        let port = self.listener.local_addr().unwrap().port();
        let upstream = Upstream::parse(&format!("postgres://127.0.0.1:{port}?sslmode=require")).unwrap();
        let connector = Connector::new(&upstream, Duration::from_secs(5)).unwrap();
        Peer::new(connector.ways().connect().await.unwrap().stream)
    }

    fn metric(&self, line: &str) -> bool {
        self.shared.metrics.encode(std::time::SystemTime::now()).unwrap().lines().any(|l| l == line)
    }
}

fn login() -> BytesMut {
    encode_startup(0, [("user", "app"), ("database", "shop"), ("application_name", "x y")])
}

async fn kinds(mut client: Peer) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let Ok(frame) = client.frame().await {
        kinds.push(frame.kind);
    }
    kinds
}

/// SQLSTATE and message of the one FATAL error that a client gets before the connection closes.
async fn fatal(mut client: Peer) -> (String, String) {
    let error = client.frame().await.unwrap();
    assert_eq!(error.kind, b'E');
    let field = |letter| {
        let (_, value) = backend::error_fields(error.body()).find(|(kind, _)| *kind == letter).unwrap();
        String::from_utf8(value.to_vec()).unwrap()
    };
    assert_eq!(field(b'S'), "FATAL");
    assert!(matches!(client.frame().await, Err(PeerError::Closed)), "closed after the error");
    (field(b'C'), field(b'M'))
}

fn session(opened: Result<Opened, HandshakeEnd>) -> Established {
    match opened {
        Ok(Opened::Session(established)) => *established,
        other => panic!("no session: {other:?}"),
    }
}

fn ended(opened: Result<Opened, HandshakeEnd>) -> Why {
    opened.expect_err("no session").why
}

#[tokio::test]
async fn a_trusted_client_comes_through_with_what_it_sent_ahead() {
    let (port, server) = server(vec![Script::send(&[OK, READY].concat())]).await;
    let proxy = Proxy::plain(port, OBSERVE).await;
    let mut client = proxy.dial().await;
    let ahead = frame(b'Q', b"SELECT 1\0");
    client.send(&[&login()[..], &ahead].concat()).await.unwrap();
    let mut established = session(proxy.serve().await);
    assert_eq!(client.frame().await.unwrap().bytes, OK);
    // What was sent ahead and what came behind is there, in the buffers or still in the sockets.
    let mut upstream = Peer { stream: established.upstream, buffer: established.upstream_buffer };
    assert_eq!(upstream.frame().await.unwrap().bytes, READY);
    let mut pending = established.client_buffer.split();
    while pending.len() < ahead.len() {
        established.client.read_buf(&mut pending).await.unwrap();
    }
    assert_eq!(pending, ahead);
    assert_eq!(established.destination.leg, Leg::Plain);
    assert_eq!(established.destination.address, Endpoint::Tcp(([127, 0, 0, 1], port).into()));
    assert_eq!(server.await.unwrap()[0].startup, login()[4..], "under observe the packet is the client's own");
    assert!(proxy.metric("portcullis_session_tls_total{leg=\"client\",version=\"none\"} 1"));
}

#[tokio::test]
async fn a_password_is_relayed_and_a_refusal_untouched() {
    for (answer, authenticated) in [(OK, true), (WRONG_PASSWORD, false)] {
        let (port, server) = server(vec![Script::send(MD5).read().then(answer)]).await;
        let proxy = Proxy::plain(port, OBSERVE).await;
        let mut client = proxy.dial().await;
        let password = frame(b'p', b"md5abcdef\0");
        let talk = async {
            client.send(&login()).await.unwrap();
            assert_eq!(client.frame().await.unwrap().bytes, MD5);
            client.send(&password).await.unwrap();
            assert_eq!(client.frame().await.unwrap().bytes, answer);
        };
        let (opened, ()) = tokio::join!(proxy.serve(), talk);
        assert_eq!(server.await.unwrap()[0].frames, [password]);
        assert_eq!(opened.is_ok(), authenticated);
        assert_eq!(proxy.metric("portcullis_authentication_failures_total 1"), !authenticated);
        if let Err(end) = opened {
            assert!(matches!(&end.why, Why::Login(LoginEnd::Refused { sqlstate, .. }) if sqlstate == "28P01"));
            assert_eq!(end.identity.unwrap().user, "app");
        }
    }
}

#[tokio::test]
async fn nobody_reaches_the_server_without_a_policy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::plain(listener.local_addr().unwrap().port(), ENFORCE).await;
    for (packet, sqlstate, message) in [
        (encode_startup(0, [("user", "stranger")]), "28000", "no policy for host \"127.0.0.1\", user \"stranger\""),
        (encode_startup(0, [("database", "shop")]), "28000", "no PostgreSQL user name specified"),
        (encode_startup(0, [("user", "app"), ("user", "stranger")]), "28000", "more than once"),
        (encode_startup(0, [("user", "app"), ("options", "-c role=postgres")]), "42501", "role"),
        (encode_startup(0, [("user", "app"), ("replication", "true")]), "28000", "replication"),
    ] {
        let mut client = proxy.dial().await;
        client.send(&packet).await.unwrap();
        let (opened, (code, said)) = tokio::join!(proxy.serve(), fatal(client));
        ended(opened);
        assert_eq!(code, sqlstate, "{said}");
        assert!(said.contains(message), "{said}");
    }
    let nobody = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(nobody.is_err(), "nothing went upstream");
    assert!(proxy.metric("portcullis_refusals_total{policy=\"none\",rule=\"default\"} 2"));
}

#[tokio::test]
async fn under_enforce_pins_are_startup_parameters() {
    let (port, server) = server(vec![Script::send(OK)]).await;
    let proxy = Proxy::plain(port, ENFORCE).await;
    let mut client = proxy.dial().await;
    client.send(&login()).await.unwrap();
    session(proxy.serve().await);
    let startup = server.await.unwrap().remove(0).startup();
    assert_eq!(
        startup.parameters[..3],
        match startup::parse(&login()[4..]).unwrap() {
            FirstPacket::Startup(startup) => startup.parameters,
            other => panic!("{other:?}"),
        }
    );
    assert!(startup.parameters.contains(&("standard_conforming_strings".into(), "on".into())), "{startup:?}");
}

#[tokio::test]
async fn what_is_no_startup_packet_gets_what_the_server_gives() {
    let proxy = Proxy::plain(1, OBSERVE).await;
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\0", &[0; 64]] {
        let mut client = proxy.dial().await;
        client.send(garbage).await.unwrap();
        let (opened, kinds) = tokio::join!(proxy.serve(), kinds(client));
        assert!(matches!(ended(opened), Why::Startup(StartupError::Length(_))));
        assert!(kinds.is_empty(), "closed without a word");
    }
    let mut client = proxy.dial().await;
    client.send(b"\0\0\0\x08\0\x02\0\0").await.unwrap();
    let (opened, (code, _)) = tokio::join!(proxy.serve(), fatal(client));
    assert!(matches!(ended(opened), Why::Startup(StartupError::Version { major: 2, .. })));
    assert_eq!(code, "0A000");
    assert!(proxy.metric("portcullis_security_events_total{event_type=\"protocol_violation\"} 4"));

    drop(proxy.dial().await);
    let end = proxy.serve().await.expect_err("nothing to serve");
    assert!(matches!(end.why, Why::PortCheck));
}

#[tokio::test]
async fn encryption_that_is_not_there_is_answered_no() {
    let (port, _server) = server(vec![Script::send(OK)]).await;
    let proxy = Proxy::plain(port, OBSERVE).await;
    let mut client = proxy.dial().await;
    let talk = async {
        for request in [SSL_REQUEST, [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30]] {
            client.send(&request).await.unwrap();
            assert_eq!(client.stream.read_u8().await.unwrap(), b'N');
        }
        client.send(&login()).await.unwrap();
        assert_eq!(client.frame().await.unwrap().bytes, OK);
    };
    let (opened, ()) = tokio::join!(proxy.serve(), talk);
    session(opened);

    let mut client = proxy.dial().await;
    client.send(&[SSL_REQUEST, SSL_REQUEST].concat()).await.unwrap();
    assert!(matches!(ended(proxy.serve().await), Why::Startup(StartupError::Version { major: 1234, .. })));
}

#[tokio::test]
async fn words_in_the_clear_behind_an_ssl_request_are_never_read_as_said_inside_tls() {
    let authority = Authority::new("ca");
    let files = authority.issue("localhost");
    let proxy = Proxy::new("postgres://127.0.0.1:1?sslmode=disable", "password", OBSERVE, Some(&files)).await;
    let mut client = proxy.dial().await;
    client.send(&[&SSL_REQUEST[..], &login()].concat()).await.unwrap();
    assert!(matches!(ended(proxy.serve().await), Why::ClientTls(_)));
}

#[tokio::test]
async fn cancels_are_told_apart() {
    let proxy = Proxy::plain(1, OBSERVE).await;
    let key = CancelKey { pid: 7, key: bytes::Bytes::from_static(&[9; 32]) };
    let mut client = proxy.dial().await;
    client.send(&startup::encode_cancel(&key)).await.unwrap();
    match proxy.serve().await {
        Ok(Opened::Cancel { key: got, .. }) => assert_eq!(got, key),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_57p03() {
    // Bound, so that nobody else gets the port, but nobody listens.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let proxy = Proxy::plain(taken.local_addr().unwrap().port(), OBSERVE).await;
    let mut client = proxy.dial().await;
    client.send(&login()).await.unwrap();
    let (opened, told) = tokio::join!(proxy.serve(), fatal(client));
    assert!(matches!(ended(opened), Why::Unreachable { .. }));
    assert_eq!(told, ("57P03".into(), "could not connect to the upstream server".into()));
    assert!(proxy.metric("portcullis_upstream_connection_failures_total 1"));
}

#[tokio::test]
async fn a_load_balancer_elsewhere_makes_no_leg_private_by_naming_127_0_0_1() {
    let mut proxy = Proxy::plain(1, OBSERVE).await;
    let shared = Arc::get_mut(&mut proxy.shared).unwrap();
    Arc::get_mut(&mut shared.config).unwrap().profile = crate::config::Profile::Production;
    let mut listener = proxy.shared.config.listeners[0].clone();
    listener.proxy_protocol = ["192.0.2.0/24", "127.0.0.0/8"].map(|network| Network::parse(network).unwrap()).to_vec();
    let listener = Arc::new(listener);
    // PROXY TCP4 from 127.0.0.1:1000 to 127.0.0.1:5432 (the PROXY protocol's specification, §2.2).
    let header =
        [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &[127, 0, 0, 1, 127, 0, 0, 1, 3, 0xe8, 0x15, 0x38]].concat();
    for (balancer, private) in [("192.0.2.1:7", false), ("127.0.0.1:7", true)] {
        let mut client = proxy.dial().await;
        client.send(&[&header[..], &login()].concat()).await.unwrap();
        let socket = Socket::Tcp(proxy.listener.accept().await.unwrap().0);
        let origin = Origin::Tcp(balancer.parse().unwrap());
        let place = proxy.shared.handshakes.enter(&origin).unwrap();
        let opened = establish(Client { socket, origin, listener: listener.clone() }, &place, &proxy.shared);
        let (opened, _) = tokio::join!(opened, fatal(client));
        match ended(opened) {
            Why::Insecure(_) => assert!(!private),
            Why::Unreachable { .. } => assert!(private, "it got as far as to the server"),
            other => panic!("{balancer}: {other}"),
        }
    }
}

#[tokio::test]
async fn a_handshake_makes_room_for_others_and_for_the_end() {
    let (port, _server) = server(vec![Script::send(CLEARTEXT).read(), Script::send(CLEARTEXT).read()]).await;
    let proxy = Proxy::plain(port, OBSERVE).await;
    let mut silent = proxy.dial().await;
    silent.send(&login()[..10]).await.unwrap();
    let crowd = async {
        tokio::task::yield_now().await;
        let elsewhere = |host| Origin::Tcp(([192, 0, 2, host], 1).into());
        (0..10).map(|host| proxy.shared.handshakes.enter(&elsewhere(host)).unwrap()).collect::<Vec<_>>()
    };
    let (opened, _places) = tokio::join!(proxy.serve(), crowd);
    assert!(matches!(ended(opened), Why::Crowded));
    assert!(proxy.metric("portcullis_handshakes_dropped_total 1"));
    drop(_places);

    for sent in [&login()[..10], &login()] {
        let (stop, ending) = watch::channel(Ending::No);
        let mut client = proxy.dial().await;
        client.send(sent).await.unwrap();
        let (socket, peer) = proxy.listener.accept().await.unwrap();
        let origin = Origin::Tcp(peer);
        let place = proxy.shared.handshakes.enter(&origin).unwrap();
        let step = super::Step { limit: Duration::from_secs(600), place: &place, ending: &ending };
        let listener = Arc::new(proxy.shared.config.listeners[0].clone());
        let client_side = Client { socket: Socket::Tcp(socket), origin, listener };
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            stop.send_replace(Ending::WhenIdle);
        };
        let greeting = greeting::greet(client_side, &place, None, &proxy.shared.config.keepalive);
        let (greeted, ()) = tokio::join!(step.within(greeting), stopping);
        // A client that has said what it wants was greeted before.
        assert_eq!(matches!(greeted, Err(Why::Stopping)), sent.len() == 10);
    }
}

#[tokio::test]
async fn silence_is_not_awaited_for_ever() {
    let mut proxy = Proxy::plain(1, OBSERVE).await;
    let shared = Arc::get_mut(&mut proxy.shared).unwrap();
    Arc::get_mut(&mut shared.config).unwrap().handshake_timeout = Duration::from_millis(50);
    let mut client = proxy.dial().await;
    client.send(&login()[..10]).await.unwrap();
    assert!(matches!(ended(proxy.serve().await), Why::Timeout(_)));
}

#[tokio::test]
async fn only_a_password_may_answer_a_request_and_only_a_login_may_precede_a_session() {
    let (port, _server) = server(vec![Script::send(MD5).read(), Script::send(READY)]).await;
    let proxy = Proxy::plain(port, OBSERVE).await;
    for ahead in [&frame(b'Q', b"SELECT 1\0")[..], b""] {
        let mut client = proxy.dial().await;
        client.send(&[&login()[..], ahead].concat()).await.unwrap();
        let (opened, kinds) = tokio::join!(proxy.serve(), kinds(client));
        assert!(matches!(ended(opened), Why::Login(LoginEnd::Fatal(fatal)) if fatal.sqlstate == "08P01"));
        assert_eq!(kinds.last(), Some(&b'E'), "{kinds:?}");
        assert!(!kinds.contains(&b'Z'));
    }
}

#[tokio::test]
async fn a_frame_beyond_all_measure_is_not_gathered() {
    let (port, _server) = server(vec![Script::send(b"R\x10\0\0\0\0\0\0\x0a")]).await;
    let proxy = Proxy::plain(port, OBSERVE).await;
    let mut client = proxy.dial().await;
    client.send(&login()).await.unwrap();
    let (opened, (code, _)) = tokio::join!(proxy.serve(), fatal(client));
    assert!(matches!(ended(opened), Why::ServerGone(PeerError::TooLong(_))));
    assert_eq!(code, "08006");
}

#[tokio::test]
async fn newer_minors_are_asked_for_as_3_2_and_the_client_is_told_once() {
    let server_says = Negotiation { version: 3 << 16, unsupported: vec!["_pq_.servers".into()] };
    for (policy, script, version, unsupported) in [
        (ENFORCE, Script::send(OK), 2, vec!["_pq_.a"]),
        (OBSERVE, Script::send(OK), 2, vec![]),
        (ENFORCE, Script::send(&server_says.encode()).then(OK), 0, vec!["_pq_.servers", "_pq_.a"]),
        (OBSERVE, Script::send(&server_says.encode()).then(OK), 0, vec!["_pq_.servers"]),
    ] {
        let (port, server) = server(vec![script]).await;
        let proxy = Proxy::plain(port, policy).await;
        let mut client = proxy.dial().await;
        client.send(&encode_startup(9999, [("user", "app"), ("_pq_.a", "1")])).await.unwrap();
        session(proxy.serve().await);
        let told = client.frame().await.unwrap();
        let unsupported = unsupported.into_iter().map(str::to_owned).collect();
        assert_eq!(
            (told.kind, Negotiation::parse(told.body())),
            (b'v', Some(Negotiation { version: (3 << 16) | version, unsupported }))
        );
        assert_eq!(client.frame().await.unwrap().bytes, OK);
        let startup = server.await.unwrap().remove(0).startup();
        assert_eq!(startup.minor, 2);
        let sent = startup.parameters.iter().any(|(name, _)| name == "_pq_.a");
        assert_eq!(sent, policy == OBSERVE);
    }
}

#[tokio::test]
async fn what_a_3_2_client_asks_goes_as_it_is() {
    let (port, server) = server(vec![Script::send(OK)]).await;
    let proxy = Proxy::plain(port, ENFORCE).await;
    let mut client = proxy.dial().await;
    client.send(&encode_startup(2, [("user", "app")])).await.unwrap();
    session(proxy.serve().await);
    assert_eq!(client.frame().await.unwrap().bytes, OK);
    assert_eq!(server.await.unwrap().remove(0).startup().minor, 2);
}

#[tokio::test]
async fn under_prefer_and_allow_an_error_at_once_means_the_other_way() {
    let authority = Authority::new("ca");
    let files = authority.issue("localhost");
    let refusal = Script::send(WRONG_PASSWORD);
    for (sslmode, scripts, tls) in [
        ("prefer", vec![refusal.clone().tls(&files), Script::send(OK)], [true, false]),
        ("allow", vec![refusal.clone(), Script::send(OK).tls(&files)], [false, true]),
    ] {
        let (port, server) = server(scripts).await;
        let url = format!("postgres://127.0.0.1:{port}?sslmode={sslmode}");
        let proxy = Proxy::new(&url, "passthrough", OBSERVE, None).await;
        let mut client = proxy.dial().await;
        client.send(&login()).await.unwrap();
        let established = session(proxy.serve().await);
        assert_eq!(established.destination.leg == Leg::Tls, tls[1], "{sslmode}");
        assert_eq!(client.frame().await.unwrap().bytes, OK);
        let seen: Vec<bool> = server.await.unwrap().iter().map(|seen| seen.tls).collect();
        assert_eq!(seen, tls, "{sslmode}");
    }
    // From require up there is no other way.
    let (port, server) = server(vec![refusal.tls(&files)]).await;
    let url = format!("postgres://127.0.0.1:{port}?sslmode=require");
    let proxy = Proxy::new(&url, "passthrough", OBSERVE, None).await;
    let mut client = proxy.dial().await;
    client.send(&login()).await.unwrap();
    assert!(matches!(ended(proxy.serve().await), Why::Login(LoginEnd::Refused { .. })));
    assert_eq!(client.frame().await.unwrap().bytes, WRONG_PASSWORD);
    assert_eq!(server.await.unwrap().len(), 1);
}

/// What of the offer reaches the client.
async fn offer(auth: &str, client_tls: Option<&ClientTls>, upstream: &ClientTls) -> Option<Vec<u8>> {
    let script = Script::send(&sasl(&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"])).tls(upstream).read();
    let (port, _server) = server(vec![script]).await;
    let url = format!("postgres://127.0.0.1:{port}?sslmode=require");
    let proxy = Proxy::new(&url, auth, OBSERVE, client_tls).await;
    let talk = async {
        let mut client = if client_tls.is_some() { proxy.dial_tls().await } else { proxy.dial().await };
        client.send(&login()).await.unwrap();
        client.frame().await.unwrap()
    };
    let (_, frame) = tokio::join!(proxy.serve(), talk);
    (frame.kind == b'R').then(|| frame.bytes.to_vec())
}

#[tokio::test]
async fn channel_binding_is_offered_only_where_it_can_work() {
    let authority = Authority::new("ca");
    let (one, two) = (authority.issue("localhost"), authority.issue("localhost"));
    let both = Some(sasl(&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]));
    let without = Some(sasl(&["SCRAM-SHA-256"]));
    assert_eq!(offer("passthrough", Some(&one), &one).await, both, "one certificate");
    assert_eq!(offer("passthrough", None, &one).await, without, "plain client leg");
    assert_eq!(offer("passthrough-without-channel-binding", Some(&one), &two).await, without);
    assert_eq!(offer("passthrough", Some(&one), &two).await, None, "two certificates: refused");
}

#[tokio::test]
async fn two_certificates_are_noticed_at_the_start() {
    let authority = Authority::new("ca");
    let (one, two) = (authority.issue("localhost"), authority.issue("localhost"));
    for (auth, client_tls, starts) in [
        ("passthrough", Some(&one), true),
        ("passthrough", Some(&two), false),
        ("passthrough", None, true),
        ("passthrough-without-channel-binding", Some(&two), true),
        ("password", Some(&two), true),
    ] {
        let (port, _server) = server(vec![Script::default().tls(&one)]).await;
        let url = format!("postgres://127.0.0.1:{port}?sslmode=require");
        let shared = Proxy::new(&url, auth, OBSERVE, client_tls).await.shared;
        let check = startup_check(&shared.config, &shared.legs.load()).await;
        assert_eq!(check.is_ok(), starts, "{auth}");
        if let Err(refusal) = check {
            let said = refusal.to_string();
            assert!(said.contains("auth: password") && said.contains("passthrough-without-channel-binding"), "{said}");
        }
    }
    // Nobody there: a warning only.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let url = format!("postgres://127.0.0.1:{port}?sslmode=require");
    let shared = Proxy::new(&url, "passthrough", OBSERVE, Some(&one)).await.shared;
    startup_check(&shared.config, &shared.legs.load()).await.unwrap();
}

#[tokio::test]
async fn password_mode_asks_inside_tls_and_nowhere_else() {
    let authority = Authority::new("ca");
    let files = authority.issue("localhost");
    let proxy = Proxy::new("postgres://127.0.0.1:1?sslmode=disable", "password", OBSERVE, Some(&files)).await;
    let mut client = proxy.dial().await;
    client.send(&login()).await.unwrap();
    let (opened, (code, said)) = tokio::join!(proxy.serve(), fatal(client));
    assert!(matches!(ended(opened), Why::Insecure(_)));
    assert_eq!((code.as_str(), said.as_str()), ("28000", "this server takes passwords inside TLS only"));
}

#[tokio::test]
async fn the_frame_helper_agrees_with_the_wire() {
    let header = frame::header(OK).unwrap().unwrap();
    assert_eq!((header.kind, header.frame()), (b'R', OK.len()));
    let header = frame::header(WRONG_PASSWORD).unwrap().unwrap();
    assert_eq!(header.frame(), WRONG_PASSWORD.len());
}
