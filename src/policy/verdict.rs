//! What judging answers. [`Approved`] is the proof that a statement was judged: only `policy` can make one, and the
//! session can queue a statement to the server only with one.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crate::policy::admit::Class;
use crate::policy::limits::Limit;

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
    /// It passes by a rule whose use is to be told.
    pub noted: Option<Noted>,
    /// The names of the allow rules that it needed, where somebody wanted to know.
    pub rules: Option<Arc<str>>,
}

/// The use of an allow rule that has a severity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    pub policy: Arc<str>,
    pub rule: Arc<str>,
    pub alert: Alert,
}

impl Judgement {
    /// Why it is refused; `None` where it passes.
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.verdict {
            Verdict::Refuse(refusal) => Some(refusal),
            Verdict::Allow(_) => None,
        }
    }

    /// Whether it passes and there is nothing to tell.
    pub fn is_clear(&self) -> bool {
        self.refusal().is_none() && self.would.is_none()
    }
}

/// Everything that verdicts depend on besides the text, its reading, bound values and the time: the policies in force that
/// match the session, and so the schemas that its names may mean. Equal only to itself: a policy set that is loaded anew
/// makes new classes.
#[derive(Clone)]
pub struct SessionClass(pub(in crate::policy) Arc<Class>);

impl PartialEq for SessionClass {
    fn eq(&self, other: &SessionClass) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SessionClass {}

impl Hash for SessionClass {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The class is alive as long as this is, so that nothing else can come to have its address.
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl fmt::Debug for SessionClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionClass({:p})", Arc::as_ptr(&self.0))
    }
}

/// A permission that holds for every session of a class when the same text comes again. Only `policy` can make one, or an
/// [`Approved`] out of it.
#[derive(Debug, Clone)]
pub struct Lasting {
    pub(in crate::policy) class: SessionClass,
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
    /// What follows.
    pub sequel: Sequel,
    /// How much it should alarm; `None` where the rule doesn't say.
    pub alert: Option<Alert>,
}

/// What a refusal comes to for the session (POLICY 9), the mildest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sequel {
    /// The statement fails, as it would on the server.
    #[default]
    Fails,
    /// It fails after this time; at once inside a transaction block, which would keep its locks meanwhile.
    Delays(Delay),
    /// The session ends.
    Terminates,
}

/// How long a refusal is held back, in milliseconds: it is at most ten seconds, and a refusal is moved about a lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delay(u16);

impl From<Duration> for Delay {
    fn from(duration: Duration) -> Delay {
        Delay(u16::try_from(duration.as_millis()).unwrap_or(u16::MAX))
    }
}

impl From<Delay> for Duration {
    fn from(delay: Delay) -> Duration {
        Duration::from_millis(u64::from(delay.0))
    }
}

/// `severity:` of a rule, the least first: the label of its uses in metrics, and a field of the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alert {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl Alert {
    /// The word of `severity:`.
    pub fn as_str(self) -> &'static str {
        match self {
            Alert::Info => "info",
            Alert::Low => "low",
            Alert::Medium => "medium",
            Alert::High => "high",
            Alert::Critical => "critical",
        }
    }
}

impl Refusal {
    /// A refusal without a hint that makes the statement fail.
    pub(in crate::policy) fn new(policy: Arc<str>, rule: RuleRef, reason: String, sqlstate: &'static str) -> Refusal {
        let sequel = Sequel::Fails;
        Refusal { policy, rule, reason, hint: None, terse: false, sqlstate, sequel, alert: None }
    }

    /// Puts a refusal in place of another one, if there is none or it has graver consequences: who breaks several rules shall
    /// not choose the mildest by breaking it first.
    pub(in crate::policy) fn add_to(self, place: &mut Option<Refusal>) {
        let graver = |old: &Refusal| (self.sequel, self.alert) > (old.sequel, old.alert);
        if place.as_ref().is_none_or(graver) {
            *place = Some(self);
        }
    }

    /// Whether a decoy was touched.
    pub fn is_of_decoy(&self) -> bool {
        matches!(self.rule, RuleRef::Decoy { .. })
    }
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
    /// `limits:` of a policy.
    Limit(Limit),
    /// Two parsers read the text differently.
    Disagreement,
    /// `decoys:` of a policy: the pattern as it is written, with its place. Clients are not told that it was one.
    Decoy { decoy: Arc<str>, file: Arc<str>, line: u32 },
    /// The user touched a decoy from this address a while ago.
    Quarantine,
    /// `injection: {block_at}` of a policy.
    Injection,
    /// The statement or the user is blocked for now, by an administrator's call.
    Block,
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
            RuleRef::Limit(_) => "limit",
            RuleRef::Disagreement => "disagreement",
            RuleRef::Decoy { .. } => "decoy",
            RuleRef::Quarantine => "quarantine",
            RuleRef::Injection => "injection",
            RuleRef::Block => "block",
        }
    }

    /// What a DBA reads: the rule's name, or which decoy it is. (Clients are told neither of a decoy.)
    pub fn title(&self) -> Cow<'_, str> {
        match self {
            RuleRef::Decoy { decoy, .. } => Cow::Owned(format!("decoy {decoy}")),
            RuleRef::Rule { .. }
            | RuleRef::Default
            | RuleRef::Guard
            | RuleRef::Require
            | RuleRef::Parse
            | RuleRef::Limit(_)
            | RuleRef::Disagreement
            | RuleRef::Quarantine
            | RuleRef::Injection
            | RuleRef::Block => Cow::Borrowed(self.label()),
        }
    }

    /// The limit that was exceeded, where that is why.
    pub fn limit(&self) -> Option<Limit> {
        match self {
            RuleRef::Limit(limit) => Some(*limit),
            RuleRef::Rule { .. }
            | RuleRef::Default
            | RuleRef::Guard
            | RuleRef::Require
            | RuleRef::Parse
            | RuleRef::Disagreement
            | RuleRef::Decoy { .. }
            | RuleRef::Quarantine
            | RuleRef::Injection
            | RuleRef::Block => None,
        }
    }

    /// `file:line`, for the log; empty where it stands in no file.
    pub fn place(&self) -> String {
        self.file_and_line().map_or_else(String::new, |(file, line)| format!("{file}:{line}"))
    }

    /// Where it stands; `None` for what stands in no file.
    pub fn file_and_line(&self) -> Option<(&str, u32)> {
        match self {
            RuleRef::Rule { file, line, .. } | RuleRef::Decoy { file, line, .. } => Some((file, *line)),
            RuleRef::Default
            | RuleRef::Guard
            | RuleRef::Require
            | RuleRef::Parse
            | RuleRef::Limit(_)
            | RuleRef::Disagreement
            | RuleRef::Quarantine
            | RuleRef::Injection
            | RuleRef::Block => None,
        }
    }
}
