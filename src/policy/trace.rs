//! A judgement access by access: which rule denied each, which allowed it, or why it needs none.

use crate::policy::baseline::Free;
use crate::policy::decide::{self, Bench, Lack, Outcome};
use crate::policy::verdict::RuleRef;
use crate::policy::when::Asked;
use crate::policy::{Moment, SessionPolicy, wording};
use crate::sql::{Access, Facts};

/// What was thought of one access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// The place of its statement in the text, from 0.
    pub statement: usize,
    pub access: Access,
    /// The first deny rule that speaks about it.
    pub denied: Option<Denied>,
    pub stands: Stands,
}

/// A deny rule that speaks about an access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    pub rule: RuleRef,
    /// It only reports.
    pub observe: bool,
    pub reason: String,
}

/// What lets an access pass, deny rules apart, or that nothing does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stands {
    /// These allow rules, one for each object that its name may mean.
    Allowed(Vec<RuleRef>),
    /// It needs no rule.
    Free(Free),
    /// It depends on a value that comes with Bind.
    AtBind,
    /// Nothing.
    Missing {
        lack: Lack,
        /// `unlisted: observe` lets it pass all the same.
        observed: bool,
        reason: String,
    },
}

impl Traced {
    /// Whether it is one of those that the text is refused for.
    pub fn is_refused(&self) -> bool {
        self.denied.as_ref().is_some_and(|denied| !denied.observe)
            || matches!(self.stands, Stands::Missing { observed: false, .. })
    }
}

impl SessionPolicy {
    /// What the policies that answer for the session (the enforcing ones, or those that observe where none enforces) think of
    /// each access. Decoys, limits and the injection score speak about the text as a whole: see the judgement.
    pub fn trace(&self, facts: &Facts, moment: &Moment<'_>) -> Vec<Traced> {
        let class = &self.session.class;
        let bench = class.enforcing.as_ref().or(class.observing.as_ref());
        bench.map(|bench| bench.trace(facts, moment)).unwrap_or_default()
    }
}

impl Bench {
    fn trace(&self, facts: &Facts, moment: &Moment<'_>) -> Vec<Traced> {
        let counted = decide::counted(facts);
        let mut traced = Vec::new();
        for (place, statement) in facts.statements.iter().enumerate() {
            let asked = Asked { facts, statement, counted, moment };
            for access in &statement.accesses {
                let denied = self.denied(access, &asked);
                let stands = self.stands(access, &asked);
                traced.push(Traced { statement: place, access: access.clone(), denied, stands });
            }
        }
        traced
    }

    fn denied(&self, access: &Access, asked: &Asked<'_>) -> Option<Denied> {
        let mut outcome = Outcome::default();
        self.ask_deny_rules(access, asked, &mut outcome);
        let observe = outcome.refusal.is_none();
        let refusal = outcome.refusal.or(outcome.would)?;
        Some(Denied { rule: refusal.rule, observe, reason: refusal.reason })
    }

    fn stands(&self, access: &Access, asked: &Asked<'_>) -> Stands {
        let mut outcome = Outcome { traced: true, ..Outcome::default() };
        match self.lack(access, asked, &mut outcome) {
            Some(lack) => Stands::Missing {
                lack,
                observed: self.unlisted_observe && decide::may_be_observed(access.action, lack),
                reason: wording::lacking(access, lack, asked.moment),
            },
            None if outcome.at_bind => Stands::AtBind,
            None if !outcome.covering.is_empty() => Stands::Allowed(outcome.covering),
            // `lack` finds nothing missing for one of these reasons only.
            None => Stands::Free(outcome.free.unwrap_or(Free::HarmlessSetting)),
        }
    }
}
