//! What judging answers. [`Approved`] is the proof that a statement was judged: only `policy` can make one, and the
//! session can queue a statement to the server only with one.

use std::sync::Arc;

/// Proof that policies let a statement pass. Can't be made outside `policy`.
#[derive(Debug)]
#[must_use]
pub struct Approved(pub(in crate::policy) ());

/// What becomes of a message.
#[derive(Debug)]
pub enum Verdict {
    Allow(Approved),
    Refuse(Refusal),
}

/// A verdict with everything that is told about it.
#[derive(Debug)]
pub struct Judgement {
    pub verdict: Verdict,
    /// What enforcing would have refused, where the verdict only observes (or a rule does).
    pub would: Option<Refusal>,
    /// The policy that answers for this verdict in metrics and logs (the refusing one, else the session's first).
    pub policy: Arc<str>,
    /// The verdict depends on bound values (`set_config($1, …)`): judge again at Bind.
    pub at_bind: bool,
    /// The verdict depends on the time: judge again at Bind, Execute and FETCH.
    pub timed: bool,
}

/// Why a statement (or a login) is refused, in terms of the policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub policy: Arc<str>,
    pub rule: RuleRef,
    /// The sentence after `statement refused by policy "shop": `, e.g. `DELETE on public.orders has no WHERE`.
    pub reason: String,
    pub hint: Option<Arc<str>>,
    /// `errors: terse`: the client gets only the event id.
    pub terse: bool,
    /// SQLSTATE for the client (42501 unless said otherwise).
    pub sqlstate: &'static str,
}

/// Which rule decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleRef {
    /// A loaded rule with its place.
    Rule { name: Arc<str>, file: Arc<str>, line: u32 },
    /// No rule mentions it.
    Default,
    /// A guarded or pinned setting, a startup parameter, an identity.
    Guard,
    /// `require` of a policy, at login.
    Require,
    /// The text could not be read.
    Parse,
    /// Two parsers read the text differently.
    Disagreement,
}

impl RuleRef {
    /// The metric label and `by:` name.
    pub fn label(&self) -> &str {
        match self {
            RuleRef::Rule { name, .. } => name,
            RuleRef::Default => "default",
            RuleRef::Guard => "guard",
            RuleRef::Require => "require",
            RuleRef::Parse => "parse",
            RuleRef::Disagreement => "disagreement",
        }
    }
}
