//! The conditions of a rule, all of which must hold (POLICY 8).

use crate::policy::Moment;
use crate::policy::glob::Glob;
use crate::policy::hours::Hours;
use crate::sql::{Access, Facts, Statement};

/// `when:` of a rule.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct When {
    pub where_missing: bool,
    pub limit_missing: bool,
    /// More statements in the message than this, those that only set a default aside.
    pub statements_over: Option<u32>,
    /// More joins in the statement than this.
    pub joins_over: Option<u32>,
    /// A deeper parse tree than this.
    pub depth_over: Option<u32>,
    /// A higher score of its signs of an injection than this.
    pub injection_over: Option<u32>,
    /// Values written into the text.
    pub inline: bool,
    pub source: Option<Source>,
    pub hours: Vec<Hours>,
    pub from: Option<jiff::Timestamp>,
    pub until: Option<jiff::Timestamp>,
    /// Empty: whatever it calls itself.
    pub application_name: Vec<Glob>,
}

/// How a statement comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A Query message.
    Simple,
    /// Parse, Bind, Execute.
    Extended,
}

/// What is asked about, besides the access itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub facts: &'a Facts,
    pub statement: &'a Statement,
    /// Statements of the message, those that only set a default aside.
    pub counted: u32,
    pub moment: &'a Moment<'a>,
    pub coming: Coming,
}

/// How the conditions are taken that depend on how and when a text comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coming {
    /// As the moment has them.
    Real,
    /// As if all of them held.
    Met,
    /// As if none of them held.
    Unmet,
}

/// One condition on how or when a text comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circumstance {
    /// It holds at the moment.
    pub holds: bool,
    /// `as a simple query`, `from 2027-01-01T00:00:00Z on`.
    pub told: String,
    /// The option of `portcullis explain` that says otherwise: `--at`.
    pub option: &'static str,
}

impl When {
    /// Whether it has a condition at all.
    pub fn is_empty(&self) -> bool {
        *self == When::default()
    }

    /// Whether the conditions hold that the access, its statement and the text decide for good.
    pub fn holds(&self, access: &Access, asked: &Asked<'_>) -> bool {
        (!self.where_missing || access.where_missing)
            && (!self.limit_missing || access.limit_missing)
            && self.holds_of_statement(asked)
    }

    /// Likewise, of a statement that touches nothing.
    pub fn holds_of_statement(&self, asked: &Asked<'_>) -> bool {
        let over = |limit: Option<u32>, number: u32| limit.is_none_or(|limit| number > limit);
        over(self.statements_over, asked.counted)
            && over(self.joins_over, asked.statement.joins)
            && over(self.depth_over, asked.statement.depth)
            && over(self.injection_over, asked.moment.signals.score())
            && (!self.inline || asked.facts.inline)
            && match asked.coming {
                Coming::Real => self.comes(asked.moment),
                Coming::Met => true,
                Coming::Unmet => self.source.is_none(),
            }
    }

    fn comes(&self, moment: &Moment<'_>) -> bool {
        self.source.is_none_or(|source| (source == Source::Extended) == moment.extended)
    }

    /// Whether it asks about the access itself, not only about the statement around it.
    pub fn is_of_access(&self) -> bool {
        self.where_missing || self.limit_missing
    }

    /// Whether conditions depend on more than the text and how it came: they are asked whenever it runs.
    pub fn is_timed(&self) -> bool {
        self.from.is_some() || self.until.is_some() || !self.hours.is_empty() || !self.application_name.is_empty()
    }

    /// Whether those hold.
    pub fn is_now(&self, asked: &Asked<'_>) -> bool {
        match asked.coming {
            Coming::Real => self.is_at(asked.moment),
            Coming::Met => true,
            Coming::Unmet => !self.is_timed(),
        }
    }

    fn is_at(&self, moment: &Moment<'_>) -> bool {
        self.from.is_none_or(|from| moment.now >= from)
            && self.until.is_none_or(|until| moment.now < until)
            && (self.hours.is_empty() || self.hours.iter().any(|hours| hours.contain(moment.now)))
            && (self.application_name.is_empty()
                || self.application_name.iter().any(|glob| glob.matches(moment.application_name)))
    }

    /// The conditions on how and when a text comes, one by one.
    pub fn circumstances(&self, moment: &Moment<'_>) -> Vec<Circumstance> {
        let mut all = Vec::new();
        let mut add = |holds, told, option| all.push(Circumstance { holds, told, option });
        if let Some(source) = self.source {
            let (told, option) = match source {
                Source::Simple => ("as a simple query", "--protocol simple"),
                Source::Extended => ("by the extended protocol", "--protocol extended"),
            };
            add(self.comes(moment), told.to_owned(), option);
        }
        if let Some(from) = self.from {
            add(moment.now >= from, format!("from {from} on"), "--at");
        }
        if let Some(until) = self.until {
            add(moment.now < until, format!("until {until}"), "--at");
        }
        if !self.hours.is_empty() {
            let hours: Vec<String> = self.hours.iter().map(ToString::to_string).collect();
            let holds = self.hours.iter().any(|hours| hours.contain(moment.now));
            add(holds, format!("in the hours {}", hours.join(" or ")), "--at");
        }
        if !self.application_name.is_empty() {
            let names: Vec<String> = self.application_name.iter().map(|glob| format!("\"{glob}\"")).collect();
            let holds = self.application_name.iter().any(|glob| glob.matches(moment.application_name));
            add(holds, format!("where application_name is {}", names.join(" or ")), "--application-name");
        }
        all
    }

    /// Whether its time is over for good.
    pub fn is_over(&self, moment: &Moment<'_>) -> bool {
        self.until.is_some_and(|until| moment.now >= until)
    }
}
