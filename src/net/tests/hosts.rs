//! Several hosts, several addresses of a name, Unix sockets, and what is tried next.

use std::collections::{HashMap, HashSet};

use tokio::net::UnixListener;

use super::*;
use crate::net::resolve::{Addresses, Resolve};

/// A resolver whose answers a test changes.
#[derive(Debug, Default)]
struct Names(Mutex<HashMap<String, Vec<SocketAddr>>>);

impl Names {
    fn say(&self, name: &str, addresses: &[SocketAddr]) {
        self.0.lock().unwrap().insert(name.to_owned(), addresses.to_vec());
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, host: &'a str, _: u16) -> Addresses<'a> {
        Box::pin(async move {
            let names = self.0.lock().unwrap();
            names.get(host).cloned().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"))
        })
    }
}

/// Bound, then closed: nobody listens there.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn plain() -> Scripted {
    Scripted::start(Script::No, OK, OK).await
}

async fn where_to(connector: &Connector) -> Endpoint {
    connector.ways().connect().await.unwrap().destination.address
}

#[tokio::test]
async fn the_next_host_is_tried_where_one_can_t_be_reached() {
    let (gone, server) = (nobody().await, plain().await);
    let url =
        format!("postgres://127.0.0.1:{},nowhere.invalid,127.0.0.1:{}?sslmode=disable", gone.port(), server.port());
    let connector = connector_to(&url).resolving_by(Arc::new(Names::default()));
    let names = Names::default();
    names.say("127.0.0.1", &[gone]);
    // Names that don't resolve, sockets that don't open: on to the next.
    let error = connector.ways().connect().await.expect_err("nothing resolves").to_string();
    assert!(error.contains("127.0.0.1") && error.contains("nowhere.invalid") && error.contains("; "), "{error}");

    let connector = connector_to(&format!(
        "postgres://127.0.0.1:{},nowhere.invalid,127.0.0.1:{}?sslmode=disable&hostaddr=127.0.0.1,,127.0.0.1",
        gone.port(),
        server.port()
    ))
    .resolving_by(Arc::new(names));
    assert_eq!(where_to(&connector).await, Endpoint::Tcp(server.address));
    let probed = connector.probe().await;
    let up: Vec<(String, bool)> = probed.into_iter().map(|probed| (probed.host, probed.outcome.is_ok())).collect();
    let name = |port| format!("127.0.0.1:{port}");
    let expected = [(name(gone.port()), false), ("nowhere.invalid:5432".into(), false), (name(server.port()), true)];
    assert_eq!(up, expected);
}

#[tokio::test]
async fn every_address_of_a_name_is_tried_in_turn_and_names_are_resolved_anew() {
    let (gone, one, other) = (nobody().await, plain().await, plain().await);
    let names = Arc::new(Names::default());
    let connector = connector_to("postgres://db?sslmode=disable").resolving_by(Arc::clone(&names) as Arc<dyn Resolve>);
    names.say("db", &[gone, one.address]);
    assert_eq!(where_to(&connector).await, Endpoint::Tcp(one.address));
    names.say("db", &[other.address]);
    assert_eq!(where_to(&connector).await, Endpoint::Tcp(other.address), "the database moved");
    names.say("db", &[]);
    let error = connector.ways().connect().await.expect_err("no address").to_string();
    assert!(error.contains("the name db does not resolve"), "{error}");
}

#[tokio::test]
async fn a_silent_address_costs_its_time_and_no_more() {
    let (silent, server) = (Scripted::start(Script::Silence, OK, OK).await, plain().await);
    let url = format!("postgres://127.0.0.1:{},127.0.0.1:{}?sslmode=prefer", silent.port(), server.port());
    let connector = Connector::new(&Upstream::parse(&url).unwrap(), Duration::from_millis(200)).unwrap();
    assert_eq!(where_to(&connector).await, Endpoint::Tcp(server.address));
}

#[tokio::test]
async fn what_is_wrong_with_a_server_is_not_hidden_by_the_next() {
    let (ours, stranger) = (Authority::new("ca"), Authority::new("stranger"));
    let good = Scripted::start(Script::Tls(ours.issue("localhost")), OK, OK).await;
    for (script, expected) in [
        (Script::Tls(stranger.issue("localhost")), "no authority in sslrootcert signed it"),
        (Script::No, "does not offer TLS"),
        (Script::Error, "answered the request for TLS with an error"),
        (Script::Close, "closed the connection when asked for TLS"),
        (Script::Garbage, "it is no PostgreSQL server"),
    ] {
        let bad = Scripted::start(script, OK, OK).await;
        let url = format!(
            "postgres://localhost:{},localhost:{}?sslmode=verify-full&sslrootcert={}",
            bad.port(),
            good.port(),
            ours.root().display()
        );
        let error = leg(&connector_to(&url)).await.expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn each_host_is_held_against_its_own_name_at_a_cancel_too() {
    let authority = Authority::new("ca");
    let one = Scripted::start(Script::Tls(authority.issue("one.internal")), OK, OK).await;
    let other = Scripted::start(Script::Tls(authority.issue("other.internal")), OK, OK).await;
    let names = Arc::new(Names::default());
    let url = format!(
        "postgres://one.internal,other.internal?sslmode=verify-full&sslrootcert={}",
        authority.root().display()
    );
    let connector = connector_to(&url).resolving_by(Arc::clone(&names) as Arc<dyn Resolve>);
    names.say("one.internal", &[one.address]);
    names.say("other.internal", &[other.address]);
    let first = connector.ways().connect().await.unwrap().destination;
    names.say("one.internal", &[nobody().await]);
    let second = connector.ways().connect().await.unwrap().destination;
    assert_eq!((&first.address, &second.address), (&Endpoint::Tcp(one.address), &Endpoint::Tcp(other.address)));
    assert_eq!(connector.name_of(&second), "other.internal:5432");
    // Whatever the names mean by now.
    for destination in [&first, &second] {
        assert_eq!(connector.connect_to(destination).await.unwrap().destination, *destination);
    }
    names.say("one.internal", &[other.address]);
    let error = connector.ways().connect().await.expect_err("another's certificate").to_string();
    assert!(error.contains("it is not for one.internal but for other.internal"), "{error}");
}

#[tokio::test]
async fn hostaddr_spares_the_resolver_and_tls_goes_by_the_host() {
    let authority = Authority::new("ca");
    let server = Scripted::start(Script::Tls(authority.issue("db.internal")), OK, OK).await;
    for (host, accepted) in [("db.internal", true), ("db.elsewhere", false)] {
        let url = format!(
            "postgres://{host}:{}?hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert={}",
            server.port(),
            authority.root().display()
        );
        let connector = connector_to(&url).resolving_by(Arc::new(Names::default()));
        assert_eq!(leg(&connector).await.is_ok(), accepted, "{host}");
    }
}

#[tokio::test]
async fn random_order_reaches_every_host_and_address() {
    let servers = [plain().await, plain().await, plain().await];
    let names = Arc::new(Names::default());
    names.say("a", &[servers[0].address, servers[1].address]);
    names.say("b", &[servers[2].address]);
    for (more, expected) in [("", 1), ("&load_balance_hosts=random", 3)] {
        let connector = connector_to(&format!("postgres://a,b?sslmode=disable{more}"));
        let connector = connector.resolving_by(Arc::clone(&names) as Arc<dyn Resolve>);
        let mut reached = HashSet::new();
        for _ in 0..60 {
            reached.insert(where_to(&connector).await);
        }
        assert_eq!(reached.len(), expected, "{more}");
    }
}

#[tokio::test]
async fn a_unix_socket_has_no_tls_whatever_sslmode_says() {
    let authority = Authority::new("ca");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".s.PGSQL.5439");
    let listener = UnixListener::bind(&path).unwrap();
    for mode in ["disable", "allow", "prefer", "require", "verify-full"] {
        let url = format!(
            "postgres:///?host={}&port=5439&sslmode={mode}&sslrootcert={}",
            directory.path().display(),
            authority.root().display()
        );
        let connector = connector_to(&url);
        let mut connected = connector.ways().connect().await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        assert_eq!(connected.destination.leg, Leg::Plain);
        assert_eq!(connected.destination.address, Endpoint::Unix(path.clone().into()));
        connected.stream.write_all(b"x").await.unwrap();
        let mut first = [0];
        server.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"x", "{mode}: nobody asked for TLS");
        // A cancel comes to the same file.
        let again = connector.connect_to(&connected.destination).await.unwrap();
        listener.accept().await.unwrap();
        assert_eq!(again.destination, connected.destination);
    }
    let url = format!("postgres:///?host={}", directory.path().display());
    let error = leg(&connector_to(&url)).await.expect_err("no such socket");
    assert!(error.to_string().contains(".s.PGSQL.5432"), "{error}");
    assert!(error.hint().contains("unix_socket_directories"), "{}", error.hint());
}

#[tokio::test]
async fn a_vanished_server_is_noticed_as_the_url_says() {
    use rustix::net::sockopt;

    let server = plain().await;
    let more = "&keepalives_idle=60&keepalives_interval=5&keepalives_count=3&tcp_user_timeout=30000";
    for (more, expected) in [(more, true), ("&keepalives=0", false)] {
        let connector = connector_to(&format!("postgres://127.0.0.1:{}?sslmode=disable{more}", server.port()));
        let connected = connector.ways().connect().await.unwrap();
        let Socket::Tcp(socket) = connected.stream.socket() else { panic!("a TCP socket") };
        assert!(socket.nodelay().unwrap());
        assert_eq!(sockopt::socket_keepalive(socket).unwrap(), expected);
        if expected {
            assert_eq!(sockopt::tcp_keepidle(socket).unwrap(), Duration::from_secs(60));
            assert_eq!(sockopt::tcp_keepintvl(socket).unwrap(), Duration::from_secs(5));
            assert_eq!(sockopt::tcp_keepcnt(socket).unwrap(), 3);
            assert_eq!(sockopt::tcp_user_timeout(socket).unwrap(), 30_000);
        }
    }
}
