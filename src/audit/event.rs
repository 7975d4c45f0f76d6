//! What one line says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sql::Facts;

/// One line: when, and what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When it began, UTC.
    pub time: jiff::Timestamp,
    #[serde(flatten)]
    pub event: Event,
}

/// What happened; `event` on the line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A statement ran, or was refused.
    Statement(Box<Run>),
    /// Somebody logged in, or couldn't.
    Login(Login),
    SessionOpened(Opened),
    SessionClosed(Closed),
    /// Many different statements of a user's failed as trying out an injection does.
    Probing(Probing),
    /// Policies were loaded, or couldn't be.
    PolicyLoad(Loaded),
    /// An administrator called.
    AdminCall(AdminCall),
}

/// Whose session it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// Number of the session in its process.
    pub session: u64,
    pub user: String,
    pub database: String,
    pub address: String,
}

/// One message that runs a statement (Query, Execute, FunctionCall), or one that was refused, or a Parse of a text that the
/// session had not sent before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    #[serde(flatten)]
    pub who: Who,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub application_name: String,
    /// The message's name in the protocol.
    pub message: String,
    /// `allow`, `would_refuse` or `refuse`.
    pub verdict: String,
    /// The policy that answers for it.
    pub policy: String,
    /// What refused, or would have: a rule's name, or `default`, `guard`, `parse`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `severity:` of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// The event id that a refused client was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Rows returned or changed, where it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// From the message to the end of its answer, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// The error that the client got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<String>,
    /// The server didn't run it: an error before it in the same batch, or the session's end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// The server ran one of several statements that the name had been given, and which one isn't known: their hashes. Then the line
    /// has no text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ambiguous: Vec<String>,
    #[serde(flatten)]
    pub text: Text,
}

/// What is told of a text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Text {
    /// Its statement hash. None where it is long, isn't read, or holds a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The text without its values.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub statement: String,
    /// Signs of an injection, with their weights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<(String, u8)>,
    /// The part that was inserted into a statement that is known, without its values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inserted: Option<String>,
    /// The learned statement into which it was inserted. None where the same session sent that before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// What it does. None where it isn't read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    #[serde(flatten)]
    pub who: Who,
    /// `allow` or `refuse`.
    pub verdict: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<String>,
}

/// A session began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    #[serde(flatten)]
    pub who: Who,
    pub policy: String,
    /// Version of TLS on each leg, `none` without.
    pub client_tls: String,
    pub upstream_tls: String,
    /// The server's address.
    pub upstream: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replication: bool,
    /// The name of the listener.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub listener: String,
    /// Whether the client showed a TLS certificate, and the names in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<Certificate>,
    /// The operating system's user at the other end of a Unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_user: Option<String>,
}

/// A client's certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cn: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub san: Vec<String>,
}

/// A session ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    #[serde(flatten)]
    pub who: Who,
    pub reason: String,
}

/// A burst of errors such as trying out an injection causes, told of once a minute while it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probing {
    /// The session of the last of them; those before may have been of others of this user and address.
    #[serde(flatten)]
    pub who: Who,
    pub policy: String,
    /// How often each SQLSTATE came since the burst began or was last told of.
    pub errors: BTreeMap<String, u32>,
    /// Different statements that failed within the minute, as far as they are told apart.
    pub statements: usize,
    /// The last one's hash, as far as its text is at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Its text without its values.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub statement: String,
}

/// A load of policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// `start`, `SIGHUP` or `watch`.
    pub by: String,
    /// `loaded` or `failed`.
    pub outcome: String,
    /// SHA-256 of the policy files that were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What changed, or what is wrong.
    pub summary: String,
}

/// A call of an administrator's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminCall {
    /// Who called: the token and the address, or `time` for what ended by itself.
    pub by: String,
    /// What was asked.
    pub call: String,
    pub outcome: String,
    /// What it was about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}
