//! What the client is told of a refusal: the server's own words where it would have failed, too, else the policy's.

use super::Engine;
use crate::policy::Refusal;
use crate::session::refusal::{Reference, Wording};
use crate::sql::Unparsed;
use crate::wire::sqlstate;

impl Engine {
    /// The words for one refusal.
    pub(super) fn wording(
        &self,
        refusal: &Refusal,
        unparsed: Option<&Unparsed>,
        as_server: Option<String>,
        reference: &Reference,
    ) -> Wording {
        let newer = (self.lexing.server_major > crate::sql::GRAMMAR_MAJOR).then(|| {
            format!(
                "Portcullis reads the grammar of PostgreSQL {}, this server is PostgreSQL {}",
                crate::sql::GRAMMAR_MAJOR,
                self.lexing.server_major
            )
        });
        match (unparsed, as_server) {
            (Some(Unparsed::Syntax { message, position }), _) => Wording {
                position: *position,
                hint: newer,
                ..Wording::as_server(sqlstate::SYNTAX_ERROR, message.clone())
            },
            (Some(Unparsed::TooDeep), _) => {
                Wording::as_server(sqlstate::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded".to_owned())
            }
            (Some(Unparsed::Internal(_)), _) | (None, None) => Wording::of(refusal, reference),
            // What stands in a policy speaks for itself; otherwise the client hears what the server would say.
            (None, Some(_)) if !refusal.rule.place().is_empty() => Wording::of(refusal, reference),
            (None, Some(message)) => Wording::as_server(refusal.sqlstate, message),
        }
    }
}
