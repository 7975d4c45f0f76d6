//! Admin HTTP: `/metrics`, `/healthz`, `/readyz`, `/health`, which only read, and the calls below `/v1`, which change something.
//!
//! The port is on loopback by default. Everything about one connection is bounded: one request, its headers in size,
//! number and time, a body only of a call and a short one, the whole of it in time; and so is the number of connections.

mod calls;
mod health;
mod readiness;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State as Shared};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use subtle::ConstantTimeEq;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::admin::calls::Caller;
use crate::blocks::Blocks;
use crate::config::Secret;
use crate::metrics::Metrics;
pub use readiness::{PROBE_STALE, Readiness, Reason};

/// Connections served at once; the next ones wait in the listener's backlog.
const CONNECTIONS: usize = 64;
/// From accept to the last header.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(5);
/// From accept to the last byte of the answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);
/// Request line and headers, in bytes. (hyper's minimum is 8 KiB.)
const HEADERS_BYTES: usize = 16 << 10;
/// Number of headers.
const HEADERS: usize = 64;

/// What the answers are made of.
#[derive(Debug)]
pub struct State {
    pub metrics: Arc<Metrics>,
    pub readiness: Arc<Readiness>,
    /// The bearer token that everything but `/healthz` and `/readyz` asks for.
    pub token: Option<Secret>,
    /// The directory of the policies: its file system is what `/health` looks at.
    pub policies: PathBuf,
    /// What the calls make and lift.
    pub blocks: Arc<Blocks>,
}

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, state: Arc<State>) {
    let router = router(state);
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed, so this can't fail; a closed one would end the admin server, not the proxy.
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, peer)) => {
                let router = router.clone().layer(Extension(Caller(peer)));
                tokio::spawn(async move {
                    connection(socket, router).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the admin server could not accept a connection");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// One request and its answer. What goes wrong here is the client's (it left, or sent no HTTP): nothing to tell.
async fn connection(socket: TcpStream, router: Router) {
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT)
        .max_headers(HEADERS)
        .max_buf_size(HEADERS_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(router));
    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, served).await;
}

fn router(state: Arc<State>) -> Router {
    let calls = calls::router(&state);
    let guarded = Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found\n") })
        .layer(middleware::from_fn_with_state(state.clone(), authorise));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .merge(guarded)
        .merge(calls)
        .with_state(state)
        .layer(middleware::map_response(security_headers))
}

async fn metrics(Shared(state): Shared<Arc<State>>) -> Response {
    match state.metrics.encode(SystemTime::now()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be encoded");
            (StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be encoded\n").into_response()
        }
    }
}

/// Whether a load balancer should send clients here. The reasons are a closed list of words: this answer needs no
/// token, so it names no host and no file. Details are in `/health` and in the log.
async fn readyz(Shared(state): Shared<Arc<State>>) -> Response {
    let reasons: Vec<&str> = state.readiness.reasons().into_iter().map(Reason::as_str).collect();
    let (status, word) =
        if reasons.is_empty() { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    json(status, &serde_json::json!({ "status": word, "reasons": reasons }))
}

async fn health(Shared(state): Shared<Arc<State>>) -> Response {
    let report = health::report(&state.readiness, &state.policies);
    let status = if report.healthy() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &report.to_json(jiff::Timestamp::now()))
}

fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}

/// Asks for the bearer token where one is configured.
async fn authorise(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let Some(token) = &state.token else { return next.run(request).await };
    if bears(request.headers(), token) {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, CHALLENGE, "a bearer token is needed\n").into_response()
}

/// What a request is asked for that lacks the token.
const CHALLENGE: [(HeaderName, HeaderValue); 1] =
    [(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"portcullis\""))];

/// Whether a request carries the token.
fn bears(headers: &HeaderMap, token: &Secret) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    // Compared in a time that does not tell how much of it is right.
    given.is_some_and(|given| given.ct_eq(token.expose().as_bytes()).into())
}

/// The token of `Bearer <token>`; the scheme's case does not matter (RFC 9110 §11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// On every answer, errors included. No page is served, so everything that a browser could do with one is off.
async fn security_headers(mut response: Response<Body>) -> Response<Body> {
    const HEADERS: [(HeaderName, HeaderValue); 6] = [
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
        ),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    ];
    response.headers_mut().extend(HEADERS);
    response
}

#[cfg(test)]
mod tests;
