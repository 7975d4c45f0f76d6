//! What a text may be at most, whatever it does: `limits:` of a policy.

use std::sync::Arc;

use crate::sql::Facts;

/// The most that `statement_bytes` may be: analysing takes a multiple of it (`docs/policies.md`).
pub(crate) const LARGEST_STATEMENT: u64 = 64 << 20;

/// The limits that hold for a session: the strictest of its policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of the text of one Query or Parse.
    pub statement_bytes: u64,
    /// Levels of the parse tree. Without it the parser's own limit holds.
    pub depth: Option<u32>,
    /// Statements in one Query, those that only set a default aside.
    pub message_statements: u32,
    /// Rows that one statement may give the client, all of its portal or cursor together.
    pub result_rows: Option<u64>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { statement_bytes: 1 << 20, depth: None, message_statements: 10_000, result_rows: None }
    }
}

/// Which limit was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    StatementBytes,
    Depth,
    MessageStatements,
    /// Not a policy's: the proxy's own `analysis_bytes`.
    AnalysisBytes,
    /// Statements in a time.
    Statements,
    /// Logins in a time.
    Logins,
    /// Sessions at once.
    Sessions,
    ResultRows,
}

impl Limit {
    /// Every limit; a limit's place is `self as usize`.
    pub const ALL: [Limit; 8] = [
        Limit::StatementBytes,
        Limit::Depth,
        Limit::MessageStatements,
        Limit::AnalysisBytes,
        Limit::Statements,
        Limit::Logins,
        Limit::Sessions,
        Limit::ResultRows,
    ];

    /// The key of `limits:` or of the configuration, and the label of `portcullis_limit_exceeded_total`.
    pub fn as_str(self) -> &'static str {
        match self {
            Limit::StatementBytes => "statement_bytes",
            Limit::Depth => "depth",
            Limit::MessageStatements => "message_statements",
            Limit::AnalysisBytes => "analysis_bytes",
            Limit::Statements => "statements",
            Limit::Logins => "logins",
            Limit::Sessions => "sessions",
            Limit::ResultRows => "result_rows",
        }
    }

    /// `configuration_limit_exceeded` for what is counted, `program_limit_exceeded` for what a text is, or `statement_too_complex` as the server's own limit of depth.
    pub(crate) fn sqlstate(self) -> &'static str {
        match self {
            Limit::StatementBytes | Limit::MessageStatements | Limit::AnalysisBytes => "54000",
            Limit::Depth => "54001",
            Limit::Statements | Limit::Logins | Limit::Sessions | Limit::ResultRows => "53400",
        }
    }

    pub(crate) fn hint(self) -> Arc<str> {
        match self {
            Limit::StatementBytes => {
                "send the data as parameters or by COPY, or ask the DBA for a larger statement_bytes"
            }
            Limit::Depth => "write a long chain as a list (IN, VALUES, = ANY), or ask the DBA for a larger depth",
            Limit::AnalysisBytes => "split the statement, or ask the operator for a larger analysis_bytes",
            Limit::MessageStatements => {
                "send the statements one by one, or ask the DBA for a larger message_statements"
            }
            Limit::Statements => "send fewer, or wait; the DBA sets limits.statements",
            Limit::Logins => "keep connections open in a pool, or wait; the DBA sets limits.logins",
            Limit::Sessions => "close sessions or take a smaller pool; the DBA sets limits.sessions",
            Limit::ResultRows => "ask for less (WHERE, LIMIT), or ask the DBA for larger result_rows",
        }
        .into()
    }
}

impl Limits {
    /// What both allow.
    pub fn strictest(self, other: Limits) -> Limits {
        Limits {
            statement_bytes: self.statement_bytes.min(other.statement_bytes),
            depth: match (self.depth, other.depth) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            message_statements: self.message_statements.min(other.message_statements),
            result_rows: self.result_rows.into_iter().chain(other.result_rows).min(),
        }
    }

    /// The limit that a text exceeds by what it is, with the sentence that says so.
    pub fn exceeded(&self, facts: &Facts, counted: u32) -> Option<(Limit, String)> {
        if counted > self.message_statements {
            let sentence = format!("{counted} statements in one message, the limit is {}", self.message_statements);
            return Some((Limit::MessageStatements, sentence));
        }
        let depth = facts.statements.iter().map(|statement| statement.depth).max().unwrap_or(0);
        let limit = self.depth.filter(|limit| depth > *limit)?;
        Some((Limit::Depth, format!("a statement {depth} levels deep, the limit is {limit}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictest_of_several_policies_holds() {
        let a = Limits { statement_bytes: 10, depth: None, message_statements: 7, result_rows: Some(9) };
        let b = Limits { statement_bytes: 20, depth: Some(5), message_statements: 3, result_rows: Some(8) };
        let both = Limits { statement_bytes: 10, depth: Some(5), message_statements: 3, result_rows: Some(8) };
        assert_eq!((a.strictest(b), b.strictest(a)), (both, both));
    }
}
