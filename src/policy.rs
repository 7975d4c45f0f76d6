//! Facts and identity to a verdict: the policy language, its loader and its judge. No IO but reading the policy files.

pub mod verdict;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use crate::sql::{Facts, Unparsed};
pub use verdict::{Approved, Judgement, Refusal, RuleRef, Verdict};

/// Who a session is, as the server normalises its startup packet, and how it came.
#[derive(Debug, Clone)]
pub struct Identity {
    pub user: String,
    pub database: String,
    pub address: IpAddr,
    pub tls: bool,
    /// A walsender session (`replication` is true or `database`).
    pub replication: bool,
}

/// When and how a message is judged.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    pub now: jiff::Timestamp,
    pub extended: bool,
    pub parameters: Parameters<'a>,
}

/// What is known of the values of `$n` at this moment.
#[derive(Debug, Clone, Copy)]
pub enum Parameters<'a> {
    /// Parse: they come with Bind. What depends on them is allowed for now, with `Judgement::at_bind`.
    Later,
    /// A simple query has none.
    None,
    /// Bind: the values as text; `None` where the value is NULL or can't be known.
    Bound(&'a [Option<&'a str>]),
}

/// All policies of a directory, compiled. Immutable.
#[derive(Debug)]
pub struct PolicySet {}

impl PolicySet {
    /// The policies that this identity is under.
    ///
    /// # Errors
    /// No policy admits it (28000): the refusal to tell the client before anything goes upstream.
    pub fn admit(self: &Arc<Self>, _identity: &Identity) -> Result<SessionPolicy, Refusal> {
        unimplemented!()
    }
}

/// The policies of one session: fixed at login.
#[derive(Debug, Clone)]
pub struct SessionPolicy {}

/// A name that the session uses without having made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownName<'a> {
    /// SQLSTATE 26000, `prepared statement "x" does not exist`.
    PreparedStatement(&'a str),
    /// SQLSTATE 34000, `portal "x" does not exist`; judged as access `cursor` on that name (POLICY 2a.2).
    Portal(&'a str),
    /// SQLSTATE 34000, `cursor "x" does not exist`, likewise.
    Cursor(&'a str),
}

impl SessionPolicy {
    /// True where at least one `enforce` policy matches: only then may any frame be changed.
    pub fn enforces(&self) -> bool {
        unimplemented!()
    }
    /// The policy that answers for the session where no rule does: the first enforcing one, else the first.
    pub fn name(&self) -> &Arc<str> {
        unimplemented!()
    }
    /// `errors: terse` of any matching policy.
    pub fn terse(&self) -> bool {
        unimplemented!()
    }
    /// Judges what a text does.
    pub fn judge(&self, _facts: &Facts, _moment: Moment<'_>) -> Judgement {
        unimplemented!()
    }
    /// Judges a text that has no Facts: refused where enforced, by `parse`.
    pub fn judge_unparsed(&self, _why: &Unparsed) -> Judgement {
        unimplemented!()
    }
    /// Judges a FunctionCall message (action `fastpath`, object the OID in decimal).
    pub fn judge_fastpath(&self, _oid: u32) -> Judgement {
        unimplemented!()
    }
    /// Judges a replication command (action `replication`, object its first word, folded to lower case).
    pub fn judge_replication(&self, _command: &str) -> Judgement {
        unimplemented!()
    }
    /// Judges the use of a name that this session never made.
    pub fn judge_unknown_name(&self, _name: UnknownName<'_>) -> Judgement {
        unimplemented!()
    }
    /// The verdict on something that no rule can allow (bytes that do not convert, a malformed body, a limit): refused by
    /// `guard` with this SQLSTATE where enforced, else passed with `would`.
    pub fn guard(&self, _sqlstate: &'static str, _reason: String) -> Judgement {
        unimplemented!()
    }
    /// The startup parameters to send: the client's in order and spelling, judged as `set <name>`, with the session's pins
    /// appended (DESIGN §5). `user`, `database` and `replication` are passed on as they are. Under observe: unchanged.
    ///
    /// # Errors
    /// A parameter that the policies refuse.
    pub fn startup(&self, _parameters: &[(String, String)]) -> Result<Vec<(String, String)>, Refusal> {
        unimplemented!()
    }
    /// Whether a ParameterStatus shows a guarded or pinned setting at a value that the policies don't allow: the
    /// sentence to tell. `None` for everything else.
    pub fn alarm(&self, _name: &str, _value: &str) -> Option<String> {
        unimplemented!()
    }
}

/// Loads all `*.yaml` and `*.yml` files of a directory.
///
/// # Errors
/// Every error of every file, rendered for a terminal.
pub fn load(_directory: &Path) -> Result<PolicySet, String> {
    unimplemented!()
}
