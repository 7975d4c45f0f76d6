//! `target_session_attrs` over real sockets: which server gets the session, and that the client hears of no other.

use super::*;

/// A server that asks for a password and says what it is.
fn says(standby: Option<&str>) -> Script {
    let status = |name: &str, value: &str| frame(b'S', format!("{name}\0{value}\0").as_bytes());
    let standby = standby.map(|value| status("in_hot_standby", value)).unwrap_or_default();
    let said =
        [OK, &status("default_transaction_read_only", "off"), &standby, &status("TimeZone", "UTC"), READY].concat();
    Script::send(MD5).read().then(&said).read()
}

/// What the client gets up to AuthenticationOk or the end, what comes behind it, and the frames that each server saw.
/// `reached`: how many servers the proxy comes to.
async fn chosen(
    target: &str,
    scripts: [Script; 2],
    reached: usize,
) -> (Result<Opened, HandshakeEnd>, Vec<u8>, [Vec<Vec<u8>>; 2]) {
    let authority = Authority::new("ca");
    let files = authority.issue("localhost");
    let [one, other] = scripts;
    let ((one, first), (other, second)) = (server(vec![one]).await, server(vec![other]).await);
    let url = format!("postgres://127.0.0.1:{one},127.0.0.1:{other}?sslmode=disable&target_session_attrs={target}");
    let proxy = Proxy::new(&url, "password", OBSERVE, Some(&files)).await;
    let talk = async {
        let mut client = proxy.dial_tls().await;
        client.send(&login()).await.unwrap();
        let mut got = Vec::new();
        while let Ok(answer) = client.frame().await {
            got.push(answer.kind);
            if answer.bytes == CLEARTEXT {
                client.send(&frame(b'p', b"secret\0")).await.unwrap();
            }
            if answer.bytes == OK {
                break;
            }
        }
        got
    };
    let (mut opened, got) = tokio::join!(proxy.serve(), talk);
    if let Ok(Opened::Session(established)) = &mut opened {
        // Where it was looked at, the session begins with what was held back, whole and in order.
        let kinds: Vec<u8> = frames(&established.upstream_buffer).iter().map(|frame| frame[0]).collect();
        assert!(target == "any" || (kinds.starts_with(b"SS") && kinds.ends_with(b"Z")), "{kinds:?}");
        established.upstream.write_all(&[b'X', 0, 0, 0, 4]).await.unwrap();
    }
    let first = first.await.unwrap().remove(0).frames;
    if reached == 1 {
        // It still waits for its first connection.
        assert!(!second.is_finished());
        second.abort();
        return (opened, got, [first, Vec::new()]);
    }
    (opened, got, [first, second.await.unwrap().remove(0).frames])
}

fn frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while let Some(header) = frame::header(bytes).unwrap() {
        let (one, rest) = bytes.split_at(header.frame());
        all.push(one);
        bytes = rest;
    }
    all
}

#[tokio::test]
async fn the_client_is_asked_once_and_hears_of_the_chosen_server_only() {
    let (primary, standby) = (|| says(Some("off")), || says(Some("on")));
    for (target, scripts, second) in [
        ("primary", [standby(), primary()], true),
        ("read-write", [standby(), primary()], true),
        ("read-only", [primary(), standby()], true),
        ("standby", [standby(), primary()], false),
        ("prefer-standby", [primary(), standby()], true),
        ("any", [standby(), primary()], false),
    ] {
        let (opened, got, [first, other]) = chosen(target, scripts, if second { 2 } else { 1 }).await;
        session(opened);
        assert_eq!(got, b"RR", "{target}: one question, one answer");
        // The password's hash, and a goodbye.
        let kinds = |frames: &[Vec<u8>]| frames.iter().map(|frame| frame[0]).collect::<Vec<_>>();
        assert_eq!(kinds(&first), b"pX", "{target}");
        assert_eq!(kinds(&other), if second { &b"pX"[..] } else { b"" }, "{target}");
    }
}

#[tokio::test]
async fn a_standby_that_starts_is_none_yet() {
    // The second time around the primary will do.
    let starts = Script::send(&frame(b'E', b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"));
    let authority = Authority::new("ca");
    let files = authority.issue("localhost");
    let (primary, _) = server(vec![says(Some("off")), says(Some("off"))]).await;
    let (standby, _) = server(vec![starts]).await;
    let hosts = format!("127.0.0.1:{primary},127.0.0.1:{standby}");
    let url = format!("postgres://{hosts}?sslmode=disable&target_session_attrs=prefer-standby");
    let proxy = Proxy::new(&url, "password", OBSERVE, Some(&files)).await;
    let talk = async {
        let mut client = proxy.dial_tls().await;
        client.send(&login()).await.unwrap();
        assert_eq!(client.frame().await.unwrap().bytes, CLEARTEXT);
        client.send(&frame(b'p', b"secret\0")).await.unwrap();
        client.frame().await.unwrap().bytes
    };
    let (opened, got) = tokio::join!(proxy.serve(), talk);
    assert_eq!(got, OK);
    assert_eq!(session(opened).destination.address, Endpoint::Tcp(([127, 0, 0, 1], primary).into()));
}

#[tokio::test]
async fn no_server_of_the_kind_is_told_with_each() {
    let (opened, got, _) = chosen("primary", [says(Some("on")), says(None)], 2).await;
    let said = ended(opened).to_string();
    assert!(said.contains("is a standby, which target_session_attrs=primary does not want"), "{said}");
    assert!(said.contains("PostgreSQL before 14"), "{said}");
    assert_eq!(got, b"RE", "the client never hears AuthenticationOk");
}

#[tokio::test]
async fn a_refused_login_is_repeated_at_no_other_server() {
    let refuses = Script::send(MD5).read().then(WRONG_PASSWORD);
    let (opened, got, [_, other]) = chosen("primary", [refuses, says(Some("off"))], 1).await;
    assert!(matches!(ended(opened), Why::Login(LoginEnd::Refused { .. })));
    assert_eq!(got, b"RE");
    assert_eq!(other, Vec::<Vec<u8>>::new());
}
