//! The calls that change something: emergency blocks, made, listed and lifted.
//!
//! Only with the token, and never for a browser: a page can neither set the content type nor leave `Origin` away. A body is
//! bounded in bytes and time. Every answer is JSON; an error says what to write instead.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Path, Request, State as Shared};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{delete, get};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::admin::{State, bears, json as answer};
use crate::blocks::{Block, Call, Lifted, Saved, Wanted};
use crate::metrics::label::{AdminCall, AdminOutcome};

/// Bytes of a body.
const BODY: usize = 8 << 10;
/// From the headers to the last byte of the body.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// What a block does not do, for those who make one.
const OBSERVED: &str = "sessions that policies only observe are not refused: there it is only counted, as would_refuse";
const RUNNING: &str = "a statement that is running already goes on: pg_terminate_backend ends it";

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller(pub SocketAddr);

impl Caller {
    /// As it is told of. There is one token, so that it names nobody by itself.
    fn by(self) -> String {
        format!("admin_token from {}", self.0.ip().to_canonical())
    }
}

/// The paths below `/v1`.
pub(super) fn router(state: &Arc<State>) -> Router<Arc<State>> {
    let other = || async { refusal(StatusCode::METHOD_NOT_ALLOWED, "GET and POST /v1/blocks, DELETE /v1/blocks/ID") };
    Router::new()
        .route("/v1/blocks", get(list).post(make).fallback(other))
        .route("/v1/blocks/{id}", delete(lift).fallback(other))
        .layer(middleware::from_fn_with_state(Arc::clone(state), authorise))
}

fn refusal(status: StatusCode, error: impl Into<String>) -> Response {
    answer(status, &json!({ "error": error.into() }))
}

/// Lets those through who have the token and are no browser.
async fn authorise(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let call = match *request.method() {
        Method::POST => AdminCall::Block,
        Method::DELETE => AdminCall::Lift,
        _ => AdminCall::List,
    };
    let by = request
        .extensions()
        .get::<Caller>()
        .map_or_else(String::new, |Caller(peer)| peer.ip().to_canonical().to_string());
    let refused = |status, why: &str| {
        let told = Call { call, outcome: AdminOutcome::Refused, by: &by, block: None, detail: why };
        state.blocks.told(&told);
        refusal(status, why)
    };
    if request.headers().contains_key(header::ORIGIN) {
        return refused(StatusCode::FORBIDDEN, "calls with an Origin header come from a browser and are not taken");
    }
    let Some(token) = &state.token else {
        let why = "no calls are taken as long as there is no token: set admin_token or admin_token_file, and restart";
        return refused(StatusCode::FORBIDDEN, why);
    };
    if bears(request.headers(), token) {
        return next.run(request).await;
    }
    let mut response =
        refused(StatusCode::UNAUTHORIZED, "the admin token is missing or wrong: Authorization: Bearer TOKEN");
    response.headers_mut().extend(super::CHALLENGE);
    response
}

async fn list(Shared(state): Shared<Arc<State>>, Extension(caller): Extension<Caller>) -> Response {
    let blocks: Vec<Value> = state.blocks.list(Timestamp::now()).iter().map(|block| described(block)).collect();
    let (call, outcome, by) = (AdminCall::List, AdminOutcome::Done, caller.by());
    state.blocks.told(&Call { call, outcome, by: &by, block: None, detail: "" });
    answer(StatusCode::OK, &json!({ "blocks": blocks, "state_dir": state.blocks.are_kept() }))
}

async fn make(Shared(state): Shared<Arc<State>>, Extension(caller): Extension<Caller>, request: Request) -> Response {
    let by = caller.by();
    let came_to = |outcome, block: Option<&Block>, detail: &str| {
        state.blocks.told(&Call { call: AdminCall::Block, outcome, by: &by, block, detail });
    };
    let (parts, body) = request.into_parts();
    let wanted = match read(&parts.headers, body).await {
        Ok(body) => Wanted::from_json(&body, Timestamp::now())
            .map_err(|unusable| (StatusCode::BAD_REQUEST, unusable.to_string())),
        Err(unreadable) => Err(unreadable),
    };
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err((status, why)) => {
            came_to(AdminOutcome::Invalid, None, &why);
            return refusal(status, why);
        }
    };
    let (blocks, whose) = (Arc::clone(&state.blocks), by.clone());
    // It waits for the disk.
    let made = tokio::task::spawn_blocking(move || blocks.make(wanted, &whose, Timestamp::now())).await;
    match made {
        Ok(Ok((block, saved))) => {
            came_to(outcome(&saved), Some(&block), &detail(&saved));
            let mut notes = notes(&saved, "the block is in force, but");
            notes.extend([OBSERVED.to_owned(), RUNNING.to_owned()]);
            answer(StatusCode::CREATED, &json!({ "block": described(&block), "saved": word(&saved), "notes": notes }))
        }
        Ok(Err(full)) => {
            came_to(AdminOutcome::Failed, None, &full.to_string());
            refusal(StatusCode::CONFLICT, full.to_string())
        }
        Err(_) => failed(),
    }
}

async fn lift(
    Shared(state): Shared<Arc<State>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Response {
    let by = caller.by();
    let came_to = |outcome, block: Option<&Block>, detail: &str| {
        state.blocks.told(&Call { call: AdminCall::Lift, outcome, by: &by, block, detail });
    };
    let blocks = Arc::clone(&state.blocks);
    let lifted = tokio::task::spawn_blocking(move || blocks.lift(&id)).await;
    match lifted {
        Ok(Some(Lifted { block, others, saved })) => {
            came_to(outcome(&saved), Some(&block), &detail(&saved));
            let mut notes = notes(&saved, "the block is lifted, but");
            if !others.is_empty() {
                notes.push(format!(
                    "other blocks of the same {} are in force: {}",
                    block.target.kind(),
                    others.join(", ")
                ));
            }
            let answered =
                json!({ "lifted": described(&block), "others": others, "saved": word(&saved), "notes": notes });
            answer(StatusCode::OK, &answered)
        }
        Ok(None) => {
            let why = "there is no block with this id: GET /v1/blocks lists them; one that is over is gone";
            came_to(AdminOutcome::NotFound, None, why);
            refusal(StatusCode::NOT_FOUND, why)
        }
        Err(_) => failed(),
    }
}

/// The task panicked, or the process is ending.
fn failed() -> Response {
    refusal(StatusCode::INTERNAL_SERVER_ERROR, "the call came to no end: see the log, and GET /v1/blocks")
}

/// A body of JSON, all of it.
async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, (StatusCode, String)> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "send JSON, with Content-Type: application/json".to_owned()));
    }
    match timeout(BODY_TIMEOUT, to_bytes(body, BODY)).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(error)) if is_length(&error) => {
            Err((StatusCode::PAYLOAD_TOO_LARGE, format!("the body is longer than {BODY} bytes")))
        }
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "the body did not arrive whole".to_owned())),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, format!("the body did not arrive within {BODY_TIMEOUT:?}"))),
    }
}

/// Whether the body was too long, and not broken off.
fn is_length(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.to_string().contains("length limit exceeded"))
}

fn described(block: &Block) -> Value {
    let mut described = json!({
        "id": block.id,
        "until": block.until.to_string(),
        "reason": block.reason,
        "by": block.by,
        "created": block.created.to_string(),
    });
    if let Some(fields) = described.as_object_mut() {
        fields.insert(block.target.kind().to_owned(), block.target.value().into());
    }
    described
}

fn word(saved: &Saved) -> &'static str {
    match saved {
        Saved::Yes => "yes",
        Saved::NoStateDir => "no_state_dir",
        Saved::Failed(_) => "failed",
    }
}

fn outcome(saved: &Saved) -> AdminOutcome {
    match saved {
        Saved::Yes | Saved::NoStateDir => AdminOutcome::Done,
        Saved::Failed(_) => AdminOutcome::Failed,
    }
}

fn detail(saved: &Saved) -> String {
    match saved {
        Saved::Yes => String::new(),
        Saved::NoStateDir => "until the end of the process".to_owned(),
        Saved::Failed(why) => format!("in force, not written: {why}"),
    }
}

fn notes(saved: &Saved, but: &str) -> Vec<String> {
    match saved {
        Saved::Yes => Vec::new(),
        Saved::NoStateDir => vec!["blocks end with the process: no state_dir is set".to_owned()],
        Saved::Failed(why) => vec![format!("{but} a restart would not know it: {why}; it is tried again every second")],
    }
}
