//! What is relayed where, frame by frame.

use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::net::{Socket, Stream};
use crate::session::auth::throttle::Throttle;

/// Two ends of a connection over loopback.
async fn pair() -> (Peer, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (one, other) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let peer = |socket| Peer::new(Stream::Plain(Socket::Tcp(socket)));
    (peer(one.unwrap()), peer(other.unwrap().0))
}

#[tokio::test]
async fn a_clear_text_password_is_not_asked_for_over_an_open_line() {
    for (private, asked) in [(true, true), (false, false)] {
        let (mut ours, mut their_client) = pair().await;
        let (mut server, mut their_server) = pair().await;
        their_server.send(b"R\0\0\0\x08\0\0\0\x03").await.unwrap();
        let first = server.frame().await.unwrap();
        let attempt = Arc::new(Throttle::new(None)).of("app", Ipv4Addr::LOCALHOST.into());
        let mut client = Client::begin(&mut ours, &attempt, Instant::now()).unwrap();
        let mut login = Login {
            client: &mut client,
            server: &mut server,
            user: "app",
            relay_channel_binding: false,
            client_leg_is_private: private,
            server_tls: None,
        };
        drop(their_server);
        let outcome = passthrough::run(&mut login, first).await;
        drop(ours);
        if asked {
            assert!(matches!(&outcome, Err(LoginEnd::Server(_))), "{outcome:?}");
            assert_eq!(their_client.frame().await.unwrap().kind, b'R');
        } else {
            assert!(matches!(&outcome, Err(LoginEnd::Fatal(fatal)) if fatal.sqlstate == "28000"), "{outcome:?}");
            assert!(matches!(their_client.frame().await, Err(PeerError::Closed)), "nothing was relayed");
        }
    }
}

#[test]
fn requests_are_read_as_the_manual_writes_them() {
    let request = |code: u32, rest: &[u8]| {
        let body = [&code.to_be_bytes()[..], rest].concat();
        format!("{:?}", Request::parse(&body))
    };
    assert_eq!(request(0, b""), "Some(Ok)");
    assert_eq!(request(5, b"salt"), format!("Some(Md5Password({:?}))", *b"salt"));
    assert_eq!(request(5, b"sal"), "None");
    assert_eq!(request(10, b"A\0B\0\0"), format!("Some(Sasl({:?}))", [b"A", b"B"]));
    assert_eq!(request(10, b"A\0B"), "None");
    assert_eq!(request(2, b""), "Some(Other)");
    assert_eq!(Request::parse(b"\0\0"), None);
}
