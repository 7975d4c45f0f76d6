//! The closed label values.

/// `verdict` of statements and injection attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerdictLabel {
    Allow,
    Refuse,
    WouldRefuse,
}

impl VerdictLabel {
    /// Every value; a value's place is `self as usize`.
    pub const ALL: [VerdictLabel; 3] = [VerdictLabel::Allow, VerdictLabel::Refuse, VerdictLabel::WouldRefuse];

    /// The value as Prometheus sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            VerdictLabel::Allow => "allow",
            VerdictLabel::Refuse => "refuse",
            VerdictLabel::WouldRefuse => "would_refuse",
        }
    }
}

/// `event_type` of security events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    SqlInjectionAttempt,
    AuthenticationFailure,
    ProtocolViolation,
    GuardedSetting,
    ParserDisagreement,
    DecoyTouched,
}

impl Event {
    /// Every value; a value's place is `self as usize`.
    pub const ALL: [Event; 6] = [
        Event::SqlInjectionAttempt,
        Event::AuthenticationFailure,
        Event::ProtocolViolation,
        Event::GuardedSetting,
        Event::ParserDisagreement,
        Event::DecoyTouched,
    ];

    /// The value as Prometheus sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            Event::SqlInjectionAttempt => "sql_injection_attempt",
            Event::AuthenticationFailure => "authentication_failure",
            Event::ProtocolViolation => "protocol_violation",
            Event::GuardedSetting => "guarded_setting",
            Event::ParserDisagreement => "parser_disagreement",
            Event::DecoyTouched => "decoy_touched",
        }
    }
}

/// `opinion` of the second parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpinionLabel {
    Agrees,
    None,
    Disagrees,
}

impl OpinionLabel {
    /// Every value; a value's place is `self as usize`.
    pub const ALL: [OpinionLabel; 3] = [OpinionLabel::Agrees, OpinionLabel::None, OpinionLabel::Disagrees];

    /// The value as Prometheus sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            OpinionLabel::Agrees => "agrees",
            OpinionLabel::None => "none",
            OpinionLabel::Disagrees => "disagrees",
        }
    }
}

/// `remembered` of texts that are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembered {
    /// The verdict.
    Verdict,
    /// What the text does: it was judged again.
    Facts,
    /// It was read.
    Nothing,
}

impl Remembered {
    /// Every value; a value's place is `self as usize`.
    pub const ALL: [Remembered; 3] = [Remembered::Verdict, Remembered::Facts, Remembered::Nothing];

    /// The value as Prometheus sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            Remembered::Verdict => "verdict",
            Remembered::Facts => "facts",
            Remembered::Nothing => "nothing",
        }
    }
}

/// `call` of administrative calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminCall {
    /// A block was to be made.
    Block,
    /// One was to be lifted.
    Lift,
    /// They were asked for.
    List,
    /// One ended by itself.
    Expire,
}

impl AdminCall {
    /// Every value; a value's place is `self as usize`.
    pub const ALL: [AdminCall; 4] = [AdminCall::Block, AdminCall::Lift, AdminCall::List, AdminCall::Expire];

    /// The value as Prometheus sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            AdminCall::Block => "block",
            AdminCall::Lift => "lift",
            AdminCall::List => "list",
            AdminCall::Expire => "expire",
        }
    }
}

/// `outcome` of administrative calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminOutcome {
    Done,
    /// Who called may not.
    Refused,
    /// It can't be understood.
    Invalid,
    /// There is no such block.
    NotFound,
    /// There is no room, or the disk failed.
    Failed,
}

impl AdminOutcome {
    /// Every value; a value's place is `self as usize`.
    pub const ALL: [AdminOutcome; 5] = [
        AdminOutcome::Done,
        AdminOutcome::Refused,
        AdminOutcome::Invalid,
        AdminOutcome::NotFound,
        AdminOutcome::Failed,
    ];

    /// The value as Prometheus sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            AdminOutcome::Done => "done",
            AdminOutcome::Refused => "refused",
            AdminOutcome::Invalid => "invalid",
            AdminOutcome::NotFound => "not_found",
            AdminOutcome::Failed => "failed",
        }
    }
}

/// `leg` of TLS sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    Client,
    Upstream,
}

impl Leg {
    /// The value as Prometheus sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            Leg::Client => "client",
            Leg::Upstream => "upstream",
        }
    }
}

/// `outcome` of cancel requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelLabel {
    /// To the server of its session.
    Delivered,
    /// No session here has the key, and the upstream got it.
    ForwardedUnknown,
    /// No session here has the key, and it was dropped.
    Unknown,
    /// The server could not be reached, or did not close.
    Failed,
}

impl CancelLabel {
    /// Every value; a value's place is `self as usize`.
    pub const ALL: [CancelLabel; 4] =
        [CancelLabel::Delivered, CancelLabel::ForwardedUnknown, CancelLabel::Unknown, CancelLabel::Failed];

    /// The value as Prometheus sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            CancelLabel::Delivered => "delivered",
            CancelLabel::ForwardedUnknown => "forwarded_unknown",
            CancelLabel::Unknown => "unknown",
            CancelLabel::Failed => "failed",
        }
    }
}
