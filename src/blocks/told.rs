//! The one place where administrative calls are told: to the log and to the metrics.

use crate::audit::{self, Event};
use crate::blocks::{Block, Blocks};
use crate::metrics::label::{AdminCall, AdminOutcome};

/// A call, and what came of it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub call: AdminCall,
    pub outcome: AdminOutcome,
    /// Who called: the token and the address, or `time` for what ended by itself.
    pub by: &'a str,
    /// The block that was made, lifted or is over.
    pub block: Option<&'a Block>,
    /// Why it came to nothing, or what else there is to say.
    pub detail: &'a str,
}

impl Blocks {
    /// Tells of a call. Every one comes here, once, whatever came of it.
    pub fn told(&self, call: &Call<'_>) {
        let Call { call, outcome, by, block, detail } = call;
        self.metrics.admin_call(*call, *outcome);
        self.audit(call.as_str(), outcome.as_str(), by, *block, detail);
        let told = *outcome;
        let (call, outcome) = (call.as_str(), outcome.as_str());
        let detail = detail.escape_debug().to_string();
        let Some(block) = block else {
            match told {
                // Somebody looked at the list: nothing to be woken for.
                AdminOutcome::Done => tracing::info!(call, outcome, by, detail, "administrative call"),
                AdminOutcome::Refused | AdminOutcome::Invalid | AdminOutcome::NotFound | AdminOutcome::Failed => {
                    tracing::warn!(call, outcome, by, detail, "administrative call");
                }
            }
            return;
        };
        tracing::warn!(
            call,
            outcome,
            by,
            id = &*block.id,
            kind = block.target.kind(),
            target = ?block.target.value(),
            until = %block.until,
            reason = ?block.reason,
            made_by = &*block.by,
            detail,
            "administrative call"
        );
    }

    fn audit(&self, call: &str, outcome: &str, by: &str, block: Option<&Block>, detail: &str) {
        if !self.audit.is_on() {
            return;
        }
        let detail = match block {
            None => detail.to_owned(),
            Some(block) => {
                let (kind, value, reason) = (block.target.kind(), block.target.value(), &block.reason);
                format!("block {} of {kind} {value} until {}: {reason}; {detail}", block.id, block.until)
            }
        };
        let (call, outcome, by) = (call.to_owned(), outcome.to_owned(), by.to_owned());
        self.audit.tell(Event::AdminCall(audit::AdminCall { by, call, outcome, detail }));
    }
}
