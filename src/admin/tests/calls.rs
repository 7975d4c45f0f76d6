//! The calls that make, list and lift blocks.

use super::*;

const TOKEN: &str = "Authorization: Bearer s3cret\r\n";
const JSON: &str = "Content-Type: application/json\r\n";
const HASH: &str = "0123456789abcdef0123456789abcdef";

/// Status and JSON of the answer.
async fn call(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> (u16, serde_json::Value) {
    let headers = format!("{headers}Content-Length: {}\r\n", body.len());
    let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n{body}");
    let answer = raw(address, request.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.to_ascii_lowercase().contains("content-type: application/json"), "{head}");
    assert!(head.to_ascii_lowercase().contains("x-content-type-options: nosniff"), "{head}");
    let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
    (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}")))
}

async fn post(address: SocketAddr, body: &str) -> (u16, serde_json::Value) {
    call(address, "POST", "/v1/blocks", &format!("{TOKEN}{JSON}"), body).await
}

fn of_hash() -> String {
    format!("{{\"hash\": \"{HASH}\", \"for\": \"2h\", \"reason\": \"it locks the shop\"}}")
}

fn counts(state: &State, line: &str) {
    let text = state.metrics.encode(SystemTime::now()).expect("encodes");
    assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
}

#[tokio::test]
async fn a_block_is_made_listed_and_lifted() {
    let (address, state) = start(Some("s3cret")).await;
    let (status, made) = post(address, &of_hash()).await;
    assert_eq!(status, 201, "{made}");
    let block = &made["block"];
    assert_eq!((&block["hash"], &block["reason"]), (&HASH.into(), &"it locks the shop".into()));
    assert_eq!(block["by"], "admin_token from 127.0.0.1");
    assert_eq!(made["saved"], "no_state_dir");
    let notes = made["notes"].to_string();
    assert!(notes.contains("no state_dir is set") && notes.contains("would_refuse"), "{notes}");
    let until: jiff::Timestamp = block["until"].as_str().expect("text").parse().expect("a time");
    let left = until.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((7_100..=7_200).contains(&left), "{left}");

    let (status, _) = post(address, "{\"user\": \"ann\", \"for\": \"1m\", \"reason\": \"r\"}").await;
    assert_eq!(status, 201);
    let (status, list) = call(address, "GET", "/v1/blocks", TOKEN, "").await;
    assert_eq!((status, &list["state_dir"]), (200, &false.into()));
    let listed = list["blocks"].as_array().expect("a list");
    assert_eq!((listed.len(), &listed[0], &listed[1]["user"]), (2, block, &"ann".into()));
    counts(&state, "portcullis_blocks{kind=\"hash\"} 1");

    let path = format!("/v1/blocks/{}", block["id"].as_str().expect("text"));
    let (status, lifted) = call(address, "DELETE", &path, TOKEN, "").await;
    assert_eq!((status, &lifted["lifted"]), (200, block));
    let (status, gone) = call(address, "DELETE", &path, TOKEN, "").await;
    assert_eq!(status, 404, "{gone}");
    counts(&state, "portcullis_blocks{kind=\"hash\"} 0");
    for line in [
        "portcullis_admin_calls_total{call=\"block\",outcome=\"done\"} 2",
        "portcullis_admin_calls_total{call=\"list\",outcome=\"done\"} 1",
        "portcullis_admin_calls_total{call=\"lift\",outcome=\"done\"} 1",
        "portcullis_admin_calls_total{call=\"lift\",outcome=\"not_found\"} 1",
    ] {
        counts(&state, line);
    }
}

#[tokio::test]
async fn without_a_configured_token_no_call_is_taken() {
    let (address, state) = start(None).await;
    for headers in ["", TOKEN, "Authorization: Bearer \r\n"] {
        for (method, path) in [("GET", "/v1/blocks"), ("POST", "/v1/blocks"), ("DELETE", "/v1/blocks/x")] {
            let (status, told) = call(address, method, path, &format!("{headers}{JSON}"), &of_hash()).await;
            assert_eq!(status, 403, "{method}");
            assert!(told["error"].as_str().expect("text").contains("set admin_token"), "{told}");
        }
    }
    assert!(state.blocks.list(jiff::Timestamp::now()).is_empty());
    counts(&state, "portcullis_admin_calls_total{call=\"block\",outcome=\"refused\"} 3");
}

#[tokio::test]
async fn a_wrong_token_or_a_browser_is_refused() {
    let (address, state) = start(Some("s3cret")).await;
    for wrong in
        ["", "Authorization: Bearer s3cre\r\n", "Authorization: Bearer s3cret2\r\n", "Authorization: Basic s3cret\r\n"]
    {
        for (method, path) in [("GET", "/v1/blocks"), ("POST", "/v1/blocks"), ("DELETE", "/v1/blocks/x")] {
            let (status, told) = call(address, method, path, &format!("{wrong}{JSON}"), &of_hash()).await;
            assert_eq!(status, 401, "{method} {wrong}: {told}");
        }
    }
    let headers = format!("{TOKEN}{JSON}Origin: http://127.0.0.1:9127\r\n");
    assert_eq!(call(address, "POST", "/v1/blocks", &headers, &of_hash()).await.0, 403);
    for kind in ["", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"] {
        assert_eq!(call(address, "POST", "/v1/blocks", &format!("{TOKEN}{kind}"), &of_hash()).await.0, 415, "{kind}");
    }
    let kind = "Content-Type: Application/JSON; charset=utf-8\r\n";
    assert_eq!(call(address, "POST", "/v1/blocks", &format!("{TOKEN}{kind}"), &of_hash()).await.0, 201);
    assert_eq!(state.blocks.list(jiff::Timestamp::now()).len(), 1);
    for method in ["PUT", "PATCH", "OPTIONS"] {
        assert_eq!(call(address, method, "/v1/blocks", TOKEN, "").await.0, 405, "{method}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_call_is_said() {
    let (address, state) = start(Some("s3cret")).await;
    for (body, part) in [
        ("", "no JSON"),
        ("{\"hash\": \"x\", \"for\": \"2h\", \"reason\": \"r\"}", "`hash`: it has 32 hexadecimal digits"),
        ("{\"user\": \"a\", \"for\": \"2 hours\", \"reason\": \"r\"}", "`for`"),
        ("{\"user\": \"a\", \"for\": \"2h\"}", "`reason`: missing"),
    ] {
        let (status, told) = post(address, body).await;
        assert_eq!(status, 400, "{body}");
        assert!(told["error"].as_str().expect("text").contains(part), "{told}");
    }
    counts(&state, "portcullis_admin_calls_total{call=\"block\",outcome=\"invalid\"} 4");
}

#[tokio::test]
async fn a_body_is_bounded_in_bytes_and_time() {
    let (address, state) = start(Some("s3cret")).await;
    let body = format!("{{\"user\": \"a\", \"for\": \"2h\", \"reason\": \"r\"}}{}", " ".repeat(8 << 10));
    assert_eq!(post(address, &body).await.0, 413);
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let request =
        format!("POST /v1/blocks HTTP/1.1\r\nHost: x\r\n{TOKEN}{JSON}Transfer-Encoding: chunked\r\n\r\n{chunks}");
    let answer = raw(address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let request = format!("POST /v1/blocks HTTP/1.1\r\nHost: x\r\n{TOKEN}{JSON}Content-Length: 100\r\n\r\n{{");
    let answer = raw(address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("did not arrive within"), "{answer}");
    assert!(state.blocks.list(jiff::Timestamp::now()).is_empty());
}
