//! The admin server over real HTTP on a loopback port.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

mod calls;

const DEADLINE: Duration = Duration::from_secs(20);

async fn start(token: Option<&str>) -> (SocketAddr, Arc<State>) {
    let metrics = Arc::new(Metrics::new(&["read", "unknown"], &["constant_true"]));
    let state = Arc::new(State {
        blocks: Arc::new(Blocks::in_memory(Arc::clone(&metrics))),
        metrics,
        readiness: Arc::default(),
        token: token.map(|t| Secret::new(t.to_owned())),
        policies: std::env::temp_dir(),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(serve(listener, state.clone()));
    (address, state)
}

async fn ready(state: &State) {
    state.readiness.probed(Ok(Duration::from_micros(700)));
    state.readiness.policies_loaded(2, "5d41".into());
}

/// Sends bytes, and reads to the end.
async fn raw(address: SocketAddr, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.expect("connects");
    socket.write_all(request).await.expect("sends");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(DEADLINE, socket.read_to_end(&mut answer)).await.expect("the server closes");
    read.expect("reads");
    String::from_utf8(answer).expect("text")
}

/// Status and body, after checking the security headers.
async fn ask(address: SocketAddr, method: &str, path: &str, headers: &str) -> (u16, String) {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    let answer = raw(address, request.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let lower = head.to_ascii_lowercase();
    for header in [
        "content-security-policy: default-src 'none'",
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
    ] {
        assert!(lower.contains(header), "{method} {path}: no {header} in\n{head}");
    }
    (head.split(' ').nth(1).expect("a status").parse().expect("a number"), body.to_owned())
}

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    ask(address, "GET", path, "").await
}

#[tokio::test]
async fn metrics_are_in_the_text_format() {
    let (address, state) = start(None).await;
    state.metrics.unparsed();
    let (status, body) = get(address, "/metrics").await;
    assert_eq!(status, 200);
    assert!(body.lines().any(|l| l == "portcullis_unparsed_total 1"), "{body}");
    let answer = raw(address, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.to_ascii_lowercase();
    assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
}

#[tokio::test]
async fn liveness_does_not_depend_on_readiness() {
    let (address, _state) = start(None).await;
    assert_eq!(get(address, "/healthz").await, (200, "ok\n".into()));
}

#[tokio::test]
async fn readiness_says_why_not() {
    let (address, state) = start(None).await;
    let (status, body) = get(address, "/readyz").await;
    assert_eq!(status, 503);
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["reasons"], serde_json::json!(["upstream not reachable", "no policy loaded"]));

    ready(&state).await;
    let (status, body) = get(address, "/readyz").await;
    assert_eq!((status, body.contains("\"ready\"")), (200, true), "{body}");

    state.readiness.probed(Err("db.internal:5432: connection refused".into()));
    let (status, body) = get(address, "/readyz").await;
    assert_eq!((status, body.contains("internal")), (503, false), "no host without a token: {body}");

    state.readiness.probed(Ok(Duration::ZERO));
    state.readiness.drain();
    let (status, body) = get(address, "/readyz").await;
    assert_eq!((status, body.contains("draining")), (503, true), "{body}");
}

#[test]
fn only_a_change_of_the_upstream_is_news() {
    let readiness = Readiness::default();
    assert!(readiness.probed(Err("refused".into())));
    assert!(!readiness.probed(Err("timed out".into())));
    assert!(readiness.probed(Ok(Duration::ZERO)));
    assert!(!readiness.probed(Ok(Duration::ZERO)));
}

#[tokio::test]
async fn health_reports_five_services() {
    let (address, state) = start(None).await;
    ready(&state).await;
    let (status, body) = get(address, "/health").await;
    let health: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(status, 200, "{health}");
    assert_eq!(health["status"], "ok");
    let timestamp: jiff::Timestamp = health["timestamp"].as_str().expect("text").parse().expect("RFC 3339");
    assert!(timestamp.duration_since(jiff::Timestamp::now()).abs() < jiff::SignedDuration::from_secs(60));
    assert_eq!(health["services"]["database"]["probe_microseconds"], 700);
    assert_eq!(health["services"]["policies"]["loaded"], 2);
    assert_eq!(health["services"]["policies"]["digest"], "5d41");
    for service in ["database", "policies", "tls", "disk_space", "memory"] {
        assert!(health["services"][service]["status"].is_string(), "{service}: {health}");
    }
    state.readiness.tls_reloaded(true);
    let (status, body) = get(address, "/health").await;
    let health: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &health["services"]["tls"]["status"]), (200, &"warn".into()), "it goes on with the old ones");
    state.readiness.probed(Err("connection refused".into()));
    let (status, body) = get(address, "/health").await;
    let health: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &health["status"]), (503, &"fail".into()));
    assert_eq!(health["services"]["database"]["detail"], "connection refused");
}

#[tokio::test]
async fn what_is_not_there_has_the_headers_too() {
    let (address, _state) = start(None).await;
    assert_eq!(get(address, "/").await.0, 404);
    assert_eq!(get(address, "/metrics/x?y=%00").await.0, 404);
}

#[tokio::test]
async fn only_get_and_head_exist() {
    let (address, state) = start(None).await;
    ready(&state).await;
    for path in ["/metrics", "/healthz", "/readyz", "/health"] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"] {
            assert_eq!(ask(address, method, path, "").await.0, 405, "{method} {path}");
        }
        assert_eq!(ask(address, "HEAD", path, "").await, (200, String::new()), "HEAD {path}");
    }
}

#[tokio::test]
async fn the_token_guards_all_but_the_probes() {
    let (address, state) = start(Some("s3cret")).await;
    ready(&state).await;
    assert_eq!(get(address, "/healthz").await.0, 200);
    assert_eq!(get(address, "/readyz").await.0, 200);
    for path in ["/metrics", "/health", "/nothing"] {
        for wrong in [
            "",
            "Authorization: Bearer s3cre\r\n",
            "Authorization: Bearer s3cret2\r\n",
            "Authorization: Basic s3cret\r\n",
        ] {
            assert_eq!(ask(address, "GET", path, wrong).await.0, 401, "{path} {wrong}");
        }
    }
    assert_eq!(ask(address, "GET", "/metrics", "Authorization: Bearer s3cret\r\n").await.0, 200);
    assert_eq!(ask(address, "GET", "/health", "authorization: bearer s3cret\r\n").await.0, 200);
    assert_eq!(ask(address, "GET", "/nothing", "Authorization: Bearer s3cret\r\n").await.0, 404);
    assert_eq!(ask(address, "POST", "/metrics", "Content-Length: 0\r\n").await.0, 401);
}

#[tokio::test]
async fn oversized_and_broken_requests_are_closed() {
    let (address, _state) = start(None).await;
    let long = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(64 << 10));
    // The rest of the request may meet a closed socket: then there is no answer at all.
    let mut socket = TcpStream::connect(address).await.expect("connects");
    let _ = socket.write_all(long.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, socket.read_to_end(&mut answer)).await.expect("the server closes");
    assert!(!String::from_utf8_lossy(&answer).contains(" 200 "), "{answer:?}");

    let many = format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(HEADERS + 1));
    assert!(raw(address, many.as_bytes()).await.starts_with("HTTP/1.1 431"));
    assert!(!raw(address, b"\x00\x00\x00\x08\x04\xd2\x16\x2f").await.contains(" 200 "), "an SSLRequest");
    assert_eq!(get(address, "/healthz").await.0, 200);
}

#[tokio::test]
async fn a_body_is_never_read() {
    let (address, _state) = start(None).await;
    let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n";
    assert!(raw(address, request).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_sends_no_headers_is_closed() {
    let (address, _state) = start(None).await;
    let begin = std::time::Instant::now();
    let answer = raw(address, b"GET /healthz HTTP/1.1\r\nHost:").await;
    assert!(!answer.contains(" 200 "), "{answer}");
    assert!(begin.elapsed() >= Duration::from_secs(4) && begin.elapsed() < CONNECTION_TIMEOUT, "{:?}", begin.elapsed());
}
