//! Logins that the proxy does itself: by the client's password, and by SCRAM.

use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use postgres_protocol::password::scram_sha_256;

use super::*;

/// A login in password mode: what the client gets after its password, and what the server saw.
async fn by_password(
    sslmode: &str,
    script: Script,
    password: &[u8],
) -> (Result<Opened, HandshakeEnd>, Vec<u8>, Vec<Seen>) {
    let authority = Authority::new("ca");
    let files = authority.issue("localhost");
    let (port, server) = server(vec![script]).await;
    let url = format!("postgres://127.0.0.1:{port}?sslmode={sslmode}");
    let proxy = Proxy::new(&url, "password", OBSERVE, Some(&files)).await;
    let talk = async {
        let mut client = proxy.dial_tls().await;
        client.send(&login()).await.unwrap();
        let mut got = Vec::new();
        while let Ok(answer) = client.frame().await {
            got.push(answer.kind);
            if answer.bytes == CLEARTEXT {
                client.send(&frame(b'p', password)).await.unwrap();
            }
            if answer.bytes == OK {
                break;
            }
        }
        got
    };
    let (opened, got) = tokio::join!(proxy.serve(), talk);
    (opened, got, server.await.unwrap())
}

#[tokio::test]
async fn password_mode_hashes_for_md5() {
    let (opened, got, seen) = by_password("disable", Script::send(MD5).read().then(OK), b"secret\0").await;
    session(opened);
    assert_eq!(got, b"RR");
    let hash = postgres_protocol::authentication::md5_hash(b"app", b"secret", *b"salt");
    assert_eq!(seen[0].frames, [frame(b'p', format!("{hash}\0").as_bytes())]);
}

#[tokio::test]
async fn password_mode_sends_clear_text_inside_tls_only() {
    let authority = Authority::new("ca");
    let files = authority.issue("localhost");
    let script = Script::send(CLEARTEXT).read().then(OK);
    let (opened, got, seen) = by_password("require", script.clone().tls(&files), b"secret\0").await;
    session(opened);
    assert_eq!(got, b"RR");
    assert_eq!(seen[0].frames, [frame(b'p', b"secret\0")]);

    let (opened, got, seen) = by_password("disable", script, b"secret\0").await;
    assert!(matches!(ended(opened), Why::Login(LoginEnd::Fatal(fatal)) if fatal.sqlstate == "28000"));
    assert_eq!((got, seen[0].frames.len()), (b"E".to_vec(), 0), "not even asked for");
}

#[tokio::test]
async fn password_mode_asks_nothing_where_the_server_does_not() {
    let (opened, got, _) = by_password("disable", Script::send(OK), b"").await;
    session(opened);
    assert_eq!(got, b"R");
}

#[tokio::test]
async fn passwords_must_be_passwords() {
    for (password, sqlstate) in [(&b"\0"[..], "28P01"), (b"secret", "08P01"), (b"a\0b\0", "08P01"), (b"", "08P01")] {
        let (opened, got, seen) = by_password("disable", Script::send(MD5).read(), password).await;
        let why = ended(opened);
        assert!(matches!(&why, Why::Login(LoginEnd::Fatal(fatal)) if fatal.sqlstate == sqlstate), "{why:?}");
        assert_eq!((got, seen[0].frames.len()), (b"RE".to_vec(), 0));
    }
}

#[tokio::test]
async fn a_server_that_skips_its_scram_proof_gets_no_session() {
    let continued = |body: &[u8]| frame(b'R', &[&11u32.to_be_bytes()[..], body].concat());
    let offer = sasl(&["SCRAM-SHA-256"]);
    for script in [
        Script::send(&offer).read().then(OK),
        // Not this client's nonce.
        Script::send(&offer).read().then(&continued(b"r=other,s=c2FsdA==,i=4096")),
        Script::send(&sasl(&["OAUTHBEARER"])),
        Script::send(&offer).read().then(CLEARTEXT),
    ] {
        let (opened, got, _) = by_password("disable", script.clone(), b"secret\0").await;
        let why = ended(opened);
        assert!(matches!(why, Why::Login(LoginEnd::Fatal(_))), "{script:?}: {why:?}");
        assert_eq!(got.last(), Some(&b'E'), "{script:?}");
    }
}

#[tokio::test]
async fn a_login_that_ends_in_broken_messages_ends() {
    for broken in [
        frame(b'E', b""),
        frame(b'E', b"SFATAL"),
        frame(b'R', b"\0\0"),
        frame(b'R', b"\0\0\0\x0aSCRAM-SHA-256"),
        frame(b'R', b"\0\0\0\x0br=,s=,i=99999999999999999999"),
        frame(b'R', b"\0\0\0\x0c\xff"),
        b"R\0\0\0\x03".to_vec(),
        b"R\xff\xff\xff\xff".to_vec(),
    ] {
        let (opened, _, _) = by_password("disable", Script::send(&broken), b"secret\0").await;
        assert!(opened.is_err(), "{}", broken.escape_ascii());
    }
}

#[tokio::test]
async fn nothing_but_the_login_comes_before_authentication_ok() {
    for early in
        [frame(b'S', b"is_superuser\0on\0"), frame(b'K', b"\0\0\0\x01abcd"), READY.to_vec(), frame(b'T', b"\0\0")]
    {
        let (opened, got, _) = by_password("disable", Script::send(&early).then(OK), b"secret\0").await;
        assert!(matches!(ended(opened), Why::Login(LoginEnd::Fatal(fatal)) if fatal.sqlstate == "08P01"));
        assert_eq!(got, b"E", "the client gets none of it");
        let (port, _server) = server(vec![Script::send(&early).then(OK)]).await;
        let proxy = Proxy::plain(port, OBSERVE).await;
        let mut client = proxy.dial().await;
        client.send(&login()).await.unwrap();
        let (opened, got) = tokio::join!(proxy.serve(), kinds(client));
        assert!(matches!(ended(opened), Why::Login(LoginEnd::Fatal(_))));
        assert_eq!(got, b"E");
    }
}

#[tokio::test]
async fn notices_of_the_server_reach_the_client_before_its_login() {
    let notice = frame(b'N', b"SWARNING\0VWARNING\0C01000\0Msoon\0\0");
    let (opened, got, _) =
        by_password("disable", Script::send(&notice).then(MD5).read().then(&notice).then(OK), b"secret\0").await;
    session(opened);
    assert_eq!(got, b"NRNR");
}

#[tokio::test]
async fn a_password_beyond_all_measure_ends_the_login_without_a_word() {
    let (opened, got, seen) =
        by_password("disable", Script::send(MD5).read(), &[vec![b'x'; 70_000], vec![0]].concat()).await;
    assert!(matches!(ended(opened), Why::Login(LoginEnd::Client(PeerError::TooLong(_)))));
    assert_eq!((got, seen[0].frames.len()), (b"R".to_vec(), 0), "as the server does");
}

#[tokio::test]
async fn a_server_that_asks_for_endless_reckoning_is_refused() {
    let offer = sasl(&["SCRAM-SHA-256"]);
    // The nonce must be the client's, so the server repeats what it read: that is done by hand.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let authority = Authority::new("ca");
    let files = authority.issue("localhost");
    let url = format!("postgres://127.0.0.1:{port}?sslmode=disable");
    let proxy = Proxy::new(&url, "password", OBSERVE, Some(&files)).await;
    let serve = async {
        let mut stream = Stream::Plain(Socket::Tcp(listener.accept().await.unwrap().0));
        greeting::packet(&mut stream).await.unwrap();
        let mut peer = Peer::new(stream);
        peer.send(&offer).await.unwrap();
        let first = peer.frame().await.unwrap();
        let text = String::from_utf8_lossy(first.body()).into_owned();
        let nonce = text.split("r=").nth(1).unwrap();
        let body = [&11u32.to_be_bytes()[..], format!("r={nonce}x,s=c2FsdA==,i=2000000000").as_bytes()].concat();
        peer.send(&frame(b'R', &body)).await.unwrap();
        peer.frame().await.is_err()
    };
    let talk = async {
        let mut client = proxy.dial_tls().await;
        client.send(&login()).await.unwrap();
        assert_eq!(client.frame().await.unwrap().bytes, CLEARTEXT);
        client.send(&frame(b'p', b"secret\0")).await.unwrap();
        client.frame().await.unwrap().kind
    };
    let (opened, hung_up, got) = tokio::join!(proxy.serve(), serve, talk);
    let said = ended(opened).to_string();
    assert!(said.contains("asks for 2000000000 iterations, `scram_max_iterations` is 100000"), "{said}");
    assert!(hung_up && got == b'E');
}

/// A proxy that checks `app` with the password `secret`, in front of a port.
async fn scram_proxy(port: u16) -> (Proxy, tempfile::TempDir) {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("users.txt");
    std::fs::write(&file, format!("\"app\" \"{}\"\n", scram_sha_256(b"secret"))).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let settings = [("PORTCULLIS_AUTH", "scram"), ("PORTCULLIS_AUTH_FILE", file.to_str().unwrap())];
    (Proxy::set(&format!("postgres://127.0.0.1:{port}?sslmode=disable"), &settings, OBSERVE, None).await, place)
}

/// A client's part of SCRAM; what it got.
async fn by_scram(proxy: &Proxy, minor: u16, password: &[u8]) -> (Result<Opened, HandshakeEnd>, Vec<u8>) {
    let talk = async {
        let mut client = proxy.dial().await;
        client.send(&encode_startup(minor, [("user", "app"), ("database", "shop")])).await.unwrap();
        let mut scram = ScramSha256::new(password, ChannelBinding::unsupported());
        let mut got = Vec::new();
        while let Ok(answer) = client.frame().await {
            got.push(answer.kind);
            match answer.body().first_chunk::<4>() {
                Some([0, 0, 0, 10]) => {
                    let length = u32::try_from(scram.message().len()).unwrap().to_be_bytes();
                    let body = [b"SCRAM-SHA-256\0", &length[..], scram.message()].concat();
                    client.send(&frame(b'p', &body)).await.unwrap();
                }
                Some([0, 0, 0, 11]) => {
                    scram.update(&answer.body()[4..]).unwrap();
                    client.send(&frame(b'p', scram.message())).await.unwrap();
                }
                Some([0, 0, 0, 12]) => scram.finish(&answer.body()[4..]).unwrap(),
                _ => {}
            }
            if answer.bytes == OK {
                break;
            }
        }
        got
    };
    tokio::join!(proxy.serve(), talk)
}

#[tokio::test]
async fn scram_comes_before_the_server_and_the_negotiation_of_the_protocol_after_it() {
    let told = Negotiation { version: 3 << 16, unsupported: Vec::new() }.encode();
    for (minor, script, expected) in [
        (0, Script::send(OK), b"RRRR".to_vec()),
        // The server is asked once the client is known; what it says of the version comes before AuthenticationOk.
        (2, Script::send(&[&told[..], OK].concat()), b"RRRvR".to_vec()),
        (2, Script::send(OK), b"RRRR".to_vec()),
    ] {
        let (port, server) = server(vec![script]).await;
        let (proxy, _place) = scram_proxy(port).await;
        let (opened, got) = by_scram(&proxy, minor, b"secret").await;
        session(opened);
        assert_eq!(got, expected, "{minor}");
        assert_eq!(server.await.unwrap().remove(0).startup().minor, minor);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (proxy, _place) = scram_proxy(listener.local_addr().unwrap().port()).await;
    let (opened, got) = by_scram(&proxy, 0, b"wrong").await;
    assert!(ended(opened).to_string().contains("password authentication failed for user \"app\""));
    assert_eq!(got, b"RRE");
    let nobody = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(nobody.is_err(), "nothing went upstream");
}

#[tokio::test]
async fn with_keys_a_server_must_prove_itself_and_other_requests_are_explained() {
    let continued = |body: &[u8]| frame(b'R', &[&11u32.to_be_bytes()[..], body].concat());
    let last = frame(b'R', &[&12u32.to_be_bytes()[..], b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="].concat());
    let offer = sasl(&["SCRAM-SHA-256"]);
    for (script, said) in [
        (Script::send(&offer).read().then(OK), "the server ended SCRAM without its proof"),
        (Script::send(&offer).read().then(&last), "unexpected authentication request"),
        (Script::send(&offer).read().then(&continued(b"r=x,s=c2FsdA==,i=4096")), "nonce does not begin with ours"),
        (Script::send(&offer).read().then(CLEARTEXT), "unexpected authentication request"),
        (Script::send(MD5), "`auth: scram` can answer SCRAM only"),
        (Script::send(CLEARTEXT), "`auth: scram` can answer SCRAM only"),
        (Script::send(&sasl(&["OAUTHBEARER"])), "no SASL mechanism"),
        (Script::send(&frame(b'R', b"\0\0\0\x07")), "GSSAPI"),
    ] {
        let (port, _server) = server(vec![script.clone()]).await;
        let (proxy, _place) = scram_proxy(port).await;
        let (opened, got) = by_scram(&proxy, 0, b"secret").await;
        let why = ended(opened).to_string();
        assert!(why.contains(said), "{script:?}: {why}");
        assert_eq!(got, b"RRRE", "{script:?}");
    }
}

#[tokio::test]
async fn a_user_who_fails_too_often_is_not_relayed_any_more() {
    let wrong = || Script::send(MD5).read().then(WRONG_PASSWORD);
    let (port, server) = server(vec![wrong(), wrong()]).await;
    let url = format!("postgres://127.0.0.1:{port}?sslmode=disable");
    let proxy = Proxy::set(&url, &[("PORTCULLIS_LOGIN_FAILURES", "2/hour")], OBSERVE, None).await;
    for _ in 0..2 {
        let mut client = proxy.dial().await;
        let talk = async {
            client.send(&login()).await.unwrap();
            client.frame().await.unwrap();
            client.send(&frame(b'p', b"md5abcdef\0")).await.unwrap();
            // Who does not wait for the answer is counted, too.
            drop(client);
        };
        let (opened, ()) = tokio::join!(proxy.serve(), talk);
        assert!(matches!(ended(opened), Why::Login(LoginEnd::Refused { .. })));
    }
    assert_eq!(server.await.unwrap().len(), 2);
    let mut client = proxy.dial().await;
    client.send(&login()).await.unwrap();
    let (opened, (code, said)) = tokio::join!(proxy.serve(), fatal(client));
    assert!(matches!(ended(opened), Why::Login(LoginEnd::Throttled(_))));
    assert_eq!((code.as_str(), said.as_str()), ("53300", "too many failed logins of this user from this address"));
    assert!(proxy.metric("portcullis_logins_throttled_total 1"));
}
