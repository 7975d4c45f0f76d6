//! A judgement access by access: which rule denied each, which allowed it, or why it needs none.

use crate::policy::baseline::Free;
use crate::policy::decide::{self, Bench, Lack, Outcome};
use crate::policy::rule::Rule;
use crate::policy::settings::Match;
use crate::policy::verdict::RuleRef;
use crate::policy::when::{Asked, Circumstance, Coming};
use crate::policy::{Moment, PolicySet, SessionPolicy, wording};
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

/// A rule whose conditions on how and when a text comes decide about an access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hinge {
    /// The place of its statement in the text, from 0.
    pub statement: usize,
    /// `None`: the statement as a whole.
    pub access: Option<Access>,
    pub rule: RuleRef,
    /// A rule of `allow`; else one of `deny`.
    pub allows: bool,
    /// Its conditions hold, and without it the access would stand otherwise. Else it would stand otherwise if they held.
    pub holds: bool,
    /// The conditions, those that hold aside where some don't.
    pub circumstances: Vec<Circumstance>,
}

/// Whether a deny rule refuses anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watching {
    /// It refuses.
    Enforces,
    /// The rule is in mode observe.
    Rule,
    /// Its policy is.
    Policy,
}

impl PolicySet {
    /// Whether this deny rule refuses anything; `None` where it is none of these policies.
    pub fn watching(&self, rule: &RuleRef) -> Option<Watching> {
        self.policies.iter().find_map(|policy| {
            let rule = policy.deny.iter().find(|own| own.reference() == *rule)?;
            Some(match (rule.observe, policy.enforce) {
                (true, _) => Watching::Rule,
                (false, false) => Watching::Policy,
                (false, true) => Watching::Enforces,
            })
        })
    }
}

impl SessionPolicy {
    /// The rules whose conditions on how and when a text comes decide about it: what would be otherwise by another protocol, at
    /// another time, under another `application_name`. Of the same policies as [`SessionPolicy::trace`].
    pub fn hinges(&self, facts: &Facts, moment: &Moment<'_>) -> Vec<Hinge> {
        let class = &self.session.class;
        let bench = class.enforcing.as_ref().or(class.observing.as_ref());
        bench.map(|bench| bench.hinges(facts, moment)).unwrap_or_default()
    }

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
            let asked = Asked { facts, statement, counted, moment, coming: Coming::Real };
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

    fn hinges(&self, facts: &Facts, moment: &Moment<'_>) -> Vec<Hinge> {
        let counted = decide::counted(facts);
        let mut hinges = Vec::new();
        for (place, statement) in facts.statements.iter().enumerate() {
            let asked = |coming| Asked { facts, statement, counted, moment, coming };
            let [real, met, unmet] = [Coming::Real, Coming::Met, Coming::Unmet].map(asked);
            let mut add = |access: Option<&Access>, rule: &Rule, allows, holds| {
                let mut circumstances = rule.when.circumstances(moment);
                circumstances.retain(|circumstance| holds || !circumstance.holds);
                // What is over does not come again.
                if !circumstances.is_empty() && (allows || holds || !rule.when.is_over(moment)) {
                    let (access, rule) = (access.cloned(), rule.reference());
                    hinges.push(Hinge { statement: place, access, rule, allows, holds, circumstances });
                }
            };
            let rule = |reference: &RuleRef| self.deny.iter().find(|rule| rule.reference() == *reference);
            match (self.denied_as_a_whole(&real), self.denied_as_a_whole(&met), self.denied_as_a_whole(&unmet)) {
                (Some(now), _, None) => rule(&now).into_iter().for_each(|rule| add(None, rule, false, true)),
                (None, Some(then), _) => rule(&then).into_iter().for_each(|rule| add(None, rule, false, false)),
                (Some(_), _, Some(_)) | (None, None, _) => {}
            }
            for access in &statement.accesses {
                let denied = |asked| self.denied(access, asked).filter(|denied| !denied.observe);
                match (denied(&real), denied(&unmet)) {
                    (Some(now), None) => {
                        rule(&now.rule).into_iter().for_each(|rule| add(Some(access), rule, false, true));
                    }
                    (Some(_), Some(_)) => {}
                    (None, _) => {
                        let mut outcome = Outcome::default();
                        for rule in self.deny.about(&self.scope, access).filter(|rule| !rule.observe) {
                            if self.strikes(rule, access, &met, &mut outcome) == Match::Yes {
                                add(Some(access), rule, false, false);
                            }
                        }
                    }
                }
                let lack = |asked| {
                    let mut outcome = Outcome { traced: true, ..Outcome::default() };
                    let lack = self.lack(access, asked, &mut outcome);
                    (lack.is_none(), outcome.covering)
                };
                let covering = match (lack(&real), lack(&met), lack(&unmet)) {
                    ((true, covering), _, (false, _)) => Some((covering, true)),
                    ((false, _), (true, covering), _) => Some((covering, false)),
                    ((true, _), _, (true, _)) | ((false, _), (false, _), _) => None,
                };
                for (reference, holds) in
                    covering.iter().flat_map(|(rules, holds)| rules.iter().map(|rule| (rule, *holds)))
                {
                    let rule = self.allow.iter().find(|rule| rule.reference() == *reference);
                    rule.into_iter().for_each(|rule| add(Some(access), rule, true, holds));
                }
            }
        }
        hinges
    }

    /// The rule that refuses a statement for nothing that it touches by name: for what it is, or a function behind a column.
    fn denied_as_a_whole(&self, asked: &Asked<'_>) -> Option<RuleRef> {
        let mut outcome = Outcome::default();
        self.ask_about_nothing(asked, &mut outcome);
        self.ask_about_row_functions(asked, &mut outcome);
        outcome.refusal.map(|refusal| refusal.rule)
    }
}
