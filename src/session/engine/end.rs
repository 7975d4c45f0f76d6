//! How the proxy ends a session, and what a session does meanwhile.

use crate::wire::frame::ImpossibleLength;
use crate::wire::reply::{self, Severity};
use crate::wire::sqlstate;

/// Why the proxy ends a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// The stream can't be followed any further: both sides are closed without a word, as the server does it.
    #[error("{0}")]
    ImpossibleLength(#[from] ImpossibleLength),
    /// The client is told so, and both sides are closed.
    #[error("{message}")]
    Fatal { sqlstate: &'static str, message: String, detail: Option<String>, hint: Option<String> },
}

impl End {
    /// The proxy itself is ending.
    pub fn shut_down() -> End {
        End::Fatal {
            sqlstate: sqlstate::ADMIN_SHUTDOWN,
            message: "terminating connection due to administrator command".to_owned(),
            detail: None,
            hint: None,
        }
    }

    /// Nothing was asked for too long, outside of transactions: as the server words it.
    pub fn idle_session() -> End {
        End::Fatal {
            sqlstate: "57P05",
            message: "terminating connection due to idle-session timeout".to_owned(),
            detail: None,
            hint: None,
        }
    }

    /// The same, in a transaction.
    pub fn idle_in_transaction() -> End {
        End::Fatal {
            sqlstate: "25P03",
            message: "terminating connection due to idle-in-transaction timeout".to_owned(),
            detail: None,
            hint: None,
        }
    }

    /// The ErrorResponse to send before closing, where there is one.
    pub fn farewell(&self) -> Option<bytes::BytesMut> {
        match self {
            End::ImpossibleLength(_) => None,
            End::Fatal { sqlstate, message, detail, hint } => {
                Some(reply::error(Severity::Fatal, sqlstate, message, detail.as_deref(), hint.as_deref()))
            }
        }
    }
}

/// What a session does, as `pg_stat_activity.state` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The server works on a request, or the client's is not whole yet, or nobody can say.
    Busy,
    /// Every request is answered, and no transaction is open.
    Idle,
    /// Every request is answered, and a transaction is open.
    IdleInTransaction,
}
