//! How and when the statement is taken to come.

use jiff::Timestamp;

use crate::detect::Signals;
use crate::policy::{Moment, Parameters};
use crate::sql::Facts;

/// How statements are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Protocol {
    /// As a simple query
    Simple,
    /// By Parse, Bind and Execute
    Extended,
}

impl Protocol {
    /// As in `as: {protocol: …}` of a policy's tests.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Simple => "simple",
            Protocol::Extended => "extended",
        }
    }
}

/// What of it was said.
#[derive(Debug, Clone)]
pub(super) struct Coming {
    pub protocol: Protocol,
    /// `None`: whenever it is asked.
    pub at: Option<Timestamp>,
    pub application_name: String,
}

impl Coming {
    pub fn is_simple(&self) -> bool {
        self.protocol == Protocol::Simple
    }

    /// Whether a text can come by the extended protocol, and does. As with the tests of policies, several statements in one
    /// message are always a simple query: nothing else can carry them.
    pub fn extended(&self, facts: &Facts) -> bool {
        !self.is_simple() && facts.statements.len() < 2
    }

    /// The moment at which a text is judged. Parameters of the extended protocol come later.
    pub fn moment<'a>(&'a self, facts: &Facts, signals: &'a Signals) -> Moment<'a> {
        let extended = self.extended(facts);
        let parameters = if extended { Parameters::Later } else { Parameters::None };
        let moment = Moment::now(extended, parameters);
        Moment { now: self.at.unwrap_or(moment.now), signals, application_name: &self.application_name, ..moment }
    }
}

/// A point in time as the policies write it.
///
/// # Errors
/// What to write instead.
pub(super) fn timestamp(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "write it as RFC 3339 with its offset: 2026-11-21T06:00:00Z".to_owned())
}
