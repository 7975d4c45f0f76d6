//! The judge: every access of a text against all rules that hold together. Rules have no order, deny wins, and what no
//! rule covers is refused (POLICY 2).

use std::borrow::Cow;
use std::sync::Arc;

use crate::policy::baseline::{self, Free};
use crate::policy::decoy::Decoy;
use crate::policy::glob::Glob;
use crate::policy::limits::{Limit, Limits};
use crate::policy::names::{Meaning, Scope, is_temp};
use crate::policy::rule::{Candidate, Rule, lives_in_no_schema};
use crate::policy::rules::Rules;
use crate::policy::settings::{self, Given, Known, Match, Pin, Standing, given, known};
use crate::policy::statements::StatementList;
use crate::policy::verdict::{Noted, Refusal, RuleRef};
use crate::policy::when::{Asked, Coming};
use crate::policy::{Moment, hint, wording};
use crate::sql::functions::builtin;
use crate::sql::settings::canonical;
use crate::sql::{Access, Action, ActionName, Facts, Group, Name, Object, Statement};

/// Policies that judge together: all enforcing ones of a session, or all observing ones.
#[derive(Debug, Default)]
pub(crate) struct Bench {
    /// The policy that answers where no rule does.
    pub policy: Arc<str>,
    pub allow: Rules,
    pub deny: Rules,
    /// A deny rule names functions.
    pub deny_functions: bool,
    /// They beat everything.
    pub decoys: Vec<Arc<Decoy>>,
    pub scope: Scope,
    /// The path that the session gets, `pg_temp` apart.
    pub path: Option<Vec<Box<str>>>,
    pub pins: Vec<Pin>,
    /// Read-only is pinned.
    pub read_only: bool,
    pub temp_tables: bool,
    /// POLICY 2a.3–8 hold.
    pub baseline: bool,
    pub unlisted_observe: bool,
    /// A text that two parsers read differently is refused.
    pub refuse_disagreement: bool,
    pub terse: bool,
    pub limits: Limits,
    /// From this score on a text is told of as an attempt, and from that one refused.
    pub observe_at: Option<u32>,
    pub block_at: Option<u32>,
    /// The lists of statements that its allow rules name.
    pub lists: Vec<Arc<StatementList>>,
}

/// What a bench thinks of a text.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub refusal: Option<Refusal>,
    /// What an observing rule, or `unlisted: observe`, would have refused.
    pub would: Option<Refusal>,
    pub at_bind: bool,
    pub timed: bool,
    /// Whether to say which rules covered.
    pub traced: bool,
    /// The allow rules that covered what was asked about, one for each object that its name may mean.
    pub covering: Vec<RuleRef>,
    /// Why what was asked about last needs no rule.
    pub free: Option<Free>,
    pub rules: Needed,
    /// An allow rule with a severity was needed.
    pub noted: Option<Noted>,
}

/// The names of the allow rules that a text needed, each once.
#[derive(Debug, Default)]
pub(crate) struct Needed(Vec<Arc<str>>);

impl Needed {
    fn add(&mut self, rule: &Arc<str>) {
        if !self.0.contains(rule) {
            self.0.push(Arc::clone(rule));
        }
    }

    /// `orders,own-functions`; none where nothing was needed or nobody asked.
    pub fn told(&self) -> Option<Arc<str>> {
        (!self.0.is_empty()).then(|| self.0.join(",").into())
    }
}

impl Outcome {
    fn covered(&mut self, rule: &Rule) {
        if let Some(alert) = rule.alert {
            // Told whenever it runs.
            self.timed = true;
            let (policy, rule) = (rule.policy.clone(), rule.name.clone());
            self.noted.get_or_insert(Noted { policy, rule, alert });
        }
        if self.traced {
            self.rules.add(&rule.name);
            if !self.covering.contains(&rule.reference()) {
                self.covering.push(rule.reference());
            }
        }
    }

    /// No rule is needed: nothing is lacking.
    fn freely(&mut self, free: Free) -> Option<Lack> {
        self.free = Some(free);
        None
    }
}

/// Why no rule covers an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// No rule mentions it.
    Rule,
    /// A guarded setting that no rule names with this value.
    Guarded,
    /// A setting that the policy pins, or READ WRITE where read-only is pinned.
    Pinned,
    /// A setting whose name can't be known.
    Nameless,
    /// A search_path that lets temporary tables, which the session may make, go before everything else.
    Temporary,
}

impl Bench {
    /// Judges everything that a text does.
    pub fn judge(&self, facts: &Facts, moment: &Moment<'_>) -> Outcome {
        let refusal = self.touched_decoy(facts, moment);
        let mut outcome = Outcome { refusal, traced: moment.traced, ..Outcome::default() };
        if outcome.refusal.is_some() {
            return outcome;
        }
        let counted = counted(facts);
        if let Some((limit, sentence)) = self.limits.exceeded(facts, counted) {
            outcome.refusal = Some(self.limit_refusal(limit, sentence));
        } else if self.block_at.is_some_and(|score| moment.signals.score() >= score) {
            outcome.refusal = Some(self.injection_refusal(moment));
        }
        let mut lacking: Option<(&Access, Lack)> = None;
        for statement in &facts.statements {
            let asked = Asked { facts, statement, counted, moment, coming: Coming::Real };
            self.ask_about_nothing(&asked, &mut outcome);
            self.ask_about_row_functions(&asked, &mut outcome);
            for access in &statement.accesses {
                self.ask_deny_rules(access, &asked, &mut outcome);
                if outcome.refusal.is_some() || lacking.is_some() {
                    continue;
                }
                if let Some(lack) = self.lack(access, &asked, &mut outcome) {
                    if self.unlisted_observe && may_be_observed(access.action, lack) {
                        outcome
                            .would
                            .get_or_insert_with(|| self.lack_refusal((access, lack), &[(access, lack)], moment));
                    } else {
                        lacking = Some((access, lack));
                    }
                }
            }
        }
        if outcome.refusal.is_none() {
            outcome.refusal =
                lacking.map(|first| self.lack_refusal(first, &self.missing(facts, counted, moment), moment));
        }
        outcome
    }

    /// The alarm of the first decoy that a text touches anywhere.
    fn touched_decoy(&self, facts: &Facts, moment: &Moment<'_>) -> Option<Refusal> {
        if self.decoys.is_empty() {
            return None;
        }
        facts.statements.iter().flat_map(|statement| &statement.accesses).find_map(|access| {
            let decoy = self.decoys.iter().find(|decoy| decoy.is_touched(&self.scope, access))?;
            let reason = wording::of_decoy(&self.spoken(access), moment);
            let refusal = Refusal::new(decoy.policy.clone(), decoy.reference(), reason, "42501");
            Some(Refusal { terse: self.terse, ..refusal })
        })
    }

    /// Judges one access by itself (a replication command, a cursor of a function's).
    pub fn judge_one(&self, access: &Access, moment: &Moment<'_>) -> Outcome {
        let mut outcome = Outcome::default();
        let (facts, statement) = (Facts::default(), Statement::default());
        let asked = Asked { facts: &facts, statement: &statement, counted: 1, moment, coming: Coming::Real };
        self.ask_deny_rules(access, &asked, &mut outcome);
        if outcome.refusal.is_none()
            && let Some(lack) = self.lack(access, &asked, &mut outcome)
        {
            let refusal = self.lack_refusal((access, lack), &[(access, lack)], moment);
            if self.unlisted_observe && may_be_observed(access.action, lack) {
                outcome.would.get_or_insert(refusal);
            } else {
                outcome.refusal = Some(refusal);
            }
        }
        outcome
    }

    /// A rule on all objects speaks about statements that touch nothing, too, where it asks about the statement
    /// (`SELECT 1; SELECT 2` under `statements: ">1"`).
    pub(in crate::policy) fn ask_about_nothing(&self, asked: &Asked<'_>, outcome: &mut Outcome) {
        if !asked.statement.accesses.is_empty() {
            return;
        }
        for rule in self.deny.about_statements() {
            if rule.when.holds_of_statement(asked)
                && rule.actions.contains_whole(ActionName::Select)
                && is_now(rule, asked, outcome)
            {
                self.deny(rule, wording::denied_of_statement(rule, asked), outcome);
            }
        }
    }

    pub(in crate::policy) fn ask_deny_rules(&self, access: &Access, asked: &Asked<'_>, outcome: &mut Outcome) {
        for rule in self.deny.about(&self.scope, access) {
            match self.strikes(rule, access, asked, outcome) {
                Match::No => {}
                Match::Later => outcome.at_bind = true,
                Match::Yes => self.deny(rule, wording::denied(rule, &self.spoken(access), asked), outcome),
            }
        }
    }

    /// Whether a deny rule speaks about an access now.
    pub(in crate::policy) fn strikes(
        &self,
        rule: &Rule,
        access: &Access,
        asked: &Asked<'_>,
        outcome: &mut Outcome,
    ) -> Match {
        if !rule.when.holds(access, asked) {
            return Match::No;
        }
        let matched = match &access.object {
            Object::Setting { .. } => strikes_setting(rule, access, asked.moment),
            _ if rule.strikes(&self.scope, access) => Match::Yes,
            _ => Match::No,
        };
        if matched == Match::Yes && !is_now(rule, asked, outcome) { Match::No } else { matched }
    }

    /// `u.onrow` is the call `onrow(u)` where `u` has no such column. The text doesn't tell, so that a deny rule that names the
    /// function strikes (POLICY 5); a bare `*` names none. Built-ins that take a row are among the accesses already.
    pub(in crate::policy) fn ask_about_row_functions(&self, asked: &Asked<'_>, outcome: &mut Outcome) {
        let named = |name: &str| {
            let patterns = || self.deny.iter().flat_map(|rule| &rule.selectors.functions);
            self.deny_functions && patterns().any(|pattern| pattern.name != Glob::Any && pattern.name.matches(name))
        };
        for name in asked.statement.attributes.iter().filter(|name| named(name) && builtin(name).is_none()) {
            let access = Access::new(ActionName::Call, Object::Function { name: Name::bare(name), builtin: false });
            self.ask_deny_rules(&access, asked, outcome);
        }
    }

    fn deny(&self, rule: &Rule, reason: String, outcome: &mut Outcome) {
        let refusal = Refusal {
            hint: rule.hint.clone(),
            terse: self.terse,
            sequel: rule.sequel,
            alert: rule.alert,
            ..Refusal::new(rule.policy.clone(), rule.reference(), reason, "42501")
        };
        refusal.add_to(if rule.observe { &mut outcome.would } else { &mut outcome.refusal });
    }

    /// What is missing for an access to pass; `None` where it may.
    pub(in crate::policy) fn lack(&self, access: &Access, asked: &Asked<'_>, outcome: &mut Outcome) -> Option<Lack> {
        let moment = asked.moment;
        if let Object::Setting { name, value } = &access.object
            && matches!(access.action.name, ActionName::Set | ActionName::Reset)
        {
            return match known(name, moment) {
                Known::Text(name) => self.lack_setting(access, &canonical(name), &given(value, moment), asked, outcome),
                Known::Later => {
                    outcome.at_bind = true;
                    None
                }
                Known::Never => Some(Lack::Nameless),
            };
        }
        if let Some(free) = baseline::free(access, &self.scope, self.baseline) {
            return outcome.freely(free);
        }
        if access.action.name == ActionName::AlterSystem
            && let Some(lack) = self.lack_server_setting(&access.object, moment)
        {
            return Some(lack);
        }
        let covered = match &access.object {
            Object::Relation(name) => {
                let meaning = self.scope.relation(name);
                self.covers_all(access, (&name.name, meaning), self.scope.temp, asked, outcome)
            }
            Object::Function { name, builtin } => {
                let meaning = self.scope.meaning(name, *builtin);
                // The server never looks for functions and operators in pg_temp.
                self.covers_all(access, (&name.name, meaning), false, asked, outcome)
            }
            // Whatever the path is.
            Object::Other { kind, name } if lives_in_no_schema(kind) => {
                self.covers(access, Candidate { name: &name.name, schema: None }, asked, outcome)
            }
            Object::Other { name, .. } => {
                let meaning = self.scope.meaning(name, false);
                self.covers_all(access, (&name.name, meaning), self.scope.temp, asked, outcome)
            }
            Object::None
            | Object::Role(_)
            | Object::AnyRole
            | Object::Cursor(_)
            | Object::Unknown(_)
            | Object::Setting { .. } => self.covers(access, Candidate { name: "", schema: None }, asked, outcome),
        };
        let lack = if access.action.name == ActionName::SetRole { Lack::Guarded } else { Lack::Rule };
        (!covered).then_some(lack)
    }

    /// Whether every object that the name may mean is covered, with `temp` temporary ones, too.
    fn covers_all(
        &self,
        access: &Access,
        (name, meaning): (&str, Meaning<'_>),
        temp: bool,
        asked: &Asked<'_>,
        outcome: &mut Outcome,
    ) -> bool {
        let mut covers = |schema: Option<&str>| self.covers(access, Candidate { name, schema }, asked, outcome);
        match meaning {
            Meaning::In(schema) => covers(Some(schema)),
            Meaning::Catalog => covers(Some("pg_catalog")),
            Meaning::Path => match &self.scope.path {
                None => covers(None),
                // An empty path finds nothing: there is no schema that a rule could speak about.
                Some(path) if path.is_empty() => false,
                Some(path) => path.iter().all(|schema| covers(Some(schema))) && (!temp || covers(Some("pg_temp"))),
            },
        }
    }

    fn covers(&self, access: &Access, candidate: Candidate<'_>, asked: &Asked<'_>, outcome: &mut Outcome) -> bool {
        if self.temp_tables
            && matches!(access.object, Object::Relation(_))
            && candidate.schema.is_some_and(is_temp)
            && baseline::is_temporary_work(access.action)
        {
            outcome.free = Some(Free::Temporary);
            return true;
        }
        self.allow.about(&self.scope, access).any(|rule| {
            let covers = rule.covers(&self.scope, access, candidate, asked)
                && rule.when.holds(access, asked)
                && is_now(rule, asked, outcome);
            if covers {
                outcome.covered(rule);
            }
            covers
        })
    }

    /// What is missing for a change of a setting; `name` is canonical.
    fn lack_setting(
        &self,
        access: &Access,
        name: &str,
        value: &Given<'_>,
        asked: &Asked<'_>,
        outcome: &mut Outcome,
    ) -> Option<Lack> {
        if matches!(name, "role" | "session_authorization") {
            return self.lack_role(name, value, asked, outcome);
        }
        // The default of a transaction's own setting is the server's, not the session's: RESET transaction_read_only makes
        // a transaction read-write whatever was pinned.
        let of_transaction = name == "transaction_read_only";
        // Back to the start: pins are startup values, so that nothing escapes by it (POLICY 2a.5).
        if matches!(value, Given::Default) && self.baseline && !(of_transaction && self.read_only) {
            return outcome.freely(Free::BackToStart);
        }
        if let Some(pin) = self.pins.iter().find(|pin| *pin.name == *name) {
            return match value {
                Given::Later => {
                    outcome.at_bind = true;
                    None
                }
                Given::Default => outcome.freely(Free::BackToStart),
                value if value.is(name, &pin.value) => outcome.freely(Free::SafeValue),
                _ => Some(Lack::Pinned),
            };
        }
        if settings::is_read_only(name) {
            if self.read_only && !value.is(name, "on") {
                return match value {
                    Given::Later => {
                        outcome.at_bind = true;
                        None
                    }
                    _ => Some(Lack::Pinned),
                };
            }
            // BEGIN READ WRITE and its kin are transactions, not settings (POLICY 2a.1).
            let of_transaction = |a: &Access| matches!(a.action.name, ActionName::Begin | ActionName::TransactionMode);
            if asked.statement.accesses.iter().any(of_transaction) {
                return outcome.freely(Free::Transaction);
            }
        }
        if name == "search_path" && self.scope.temp && settings::leaves_temp_first(value) {
            return Some(Lack::Temporary);
        }
        let standing = settings::standing(name, value, self.path.as_deref());
        if standing == Standing::Baseline && self.baseline {
            let guarded = crate::sql::settings::is_guarded(name);
            return outcome.freely(if guarded { Free::SafeValue } else { Free::HarmlessSetting });
        }
        let guarded = standing == Standing::Guarded;
        let mut later = false;
        for rule in self.allow.about(&self.scope, access).filter(|rule| rule.when.holds(access, asked)) {
            let matched = match (&rule.statements, rule.selectors.is_empty()) {
                (Some(_), _) if rule.covers_listed(access, asked) => Match::Yes,
                (Some(_), _) => Match::No,
                (None, _) if !rule.actions.contains(access.action) => Match::No,
                (None, true) if guarded => Match::No,
                (None, true) => Match::Yes,
                (None, false) => settings::covers(&rule.selectors.settings, name, value, guarded),
            };
            match matched {
                Match::Yes if is_now(rule, asked, outcome) => {
                    outcome.covered(rule);
                    return None;
                }
                Match::Later => later = true,
                Match::Yes | Match::No => {}
            }
        }
        // A guarded value that comes with Bind may turn out to be the safe one.
        if later || (guarded && *value == Given::Later) {
            outcome.at_bind = true;
            return None;
        }
        Some(if guarded { Lack::Guarded } else { Lack::Rule })
    }

    /// ALTER SYSTEM gives every session to come a value: none but the safe one to what is guarded, none but the pin's to
    /// what is pinned, whatever the rules say.
    fn lack_server_setting(&self, object: &Object, moment: &Moment<'_>) -> Option<Lack> {
        let Object::Setting { name, value } = object else { return None };
        let Known::Text(name) = known(name, moment) else { return Some(Lack::Nameless) };
        let name = canonical(name);
        let value = given(value, moment);
        if value == Given::Default {
            return None;
        }
        let pin = self.pins.iter().find(|pin| *pin.name == *name);
        if pin.is_some_and(|pin| !value.is(&name, &pin.value)) {
            return Some(Lack::Pinned);
        }
        (settings::standing(&name, &value, self.path.as_deref()) == Standing::Guarded).then_some(Lack::Guarded)
    }

    /// `set_config('role', …)` and the startup keys are SET ROLE.
    fn lack_role(&self, name: &str, value: &Given<'_>, asked: &Asked<'_>, outcome: &mut Outcome) -> Option<Lack> {
        let object = match value {
            Given::Default => Object::Role(None),
            Given::Elements(elements) => match elements.as_slice() {
                // In any other case it is the name of a role.
                [none] if name == "role" && *none == "none" => Object::Role(None),
                [role] => Object::Role(Some((*role).into())),
                _ => Object::AnyRole,
            },
            Given::Later => {
                outcome.at_bind = true;
                return None;
            }
            Given::Never => Object::AnyRole,
        };
        let access = role_access(object);
        if let Some(free) = baseline::free(&access, &self.scope, self.baseline) {
            return outcome.freely(free);
        }
        (!self.covers(&access, Candidate { name: "", schema: None }, asked, outcome)).then_some(Lack::Guarded)
    }

    /// The access as it is told: a relation without schema gets the one that it can only mean.
    fn spoken<'a>(&self, access: &'a Access) -> Cow<'a, Access> {
        match (&access.object, self.scope.path.as_deref()) {
            (Object::Relation(name), Some([schema]))
                if !self.scope.temp && self.scope.relation(name) == Meaning::Path =>
            {
                let object = Object::Relation(Name::qualified(schema, &name.name));
                Cow::Owned(Access { object, ..access.clone() })
            }
            _ => Cow::Borrowed(access),
        }
    }

    /// A text that is too much, whatever it does.
    pub fn limit_refusal(&self, limit: Limit, reason: String) -> Refusal {
        let hint = Some(limit.hint());
        let rule = RuleRef::Limit(limit);
        Refusal { hint, terse: self.terse, ..Refusal::new(self.policy.clone(), rule, reason, limit.sqlstate()) }
    }

    fn injection_refusal(&self, moment: &Moment<'_>) -> Refusal {
        let reason = format!("injection score {}", moment.signals);
        Refusal { terse: self.terse, ..Refusal::new(self.policy.clone(), RuleRef::Injection, reason, "42501") }
    }

    /// Everything that no rule covers in a text that is refused for it, each once; no more than a hint has room for, and one.
    fn missing<'f>(&self, facts: &'f Facts, counted: u32, moment: &Moment<'_>) -> Vec<(&'f Access, Lack)> {
        let mut missing: Vec<(&Access, Lack)> = Vec::new();
        for statement in &facts.statements {
            let asked = Asked { facts, statement, counted, moment, coming: Coming::Real };
            for access in &statement.accesses {
                let lack = self.lack(access, &asked, &mut Outcome::default());
                let Some(lack) = lack.filter(|lack| !(self.unlisted_observe && may_be_observed(access.action, *lack)))
                else {
                    continue;
                };
                if !missing.contains(&(access, lack)) {
                    missing.push((access, lack));
                }
                if missing.len() > hint::MOST_ACCESSES {
                    return missing;
                }
            }
        }
        missing
    }

    /// The refusal for what no rule covers first; its hint is about all that is missing.
    fn lack_refusal(
        &self,
        (access, lack): (&Access, Lack),
        missing: &[(&Access, Lack)],
        moment: &Moment<'_>,
    ) -> Refusal {
        let rule = match lack {
            Lack::Rule => RuleRef::Default,
            Lack::Guarded | Lack::Pinned | Lack::Nameless | Lack::Temporary => RuleRef::Guard,
        };
        let reason = wording::lacking(&self.spoken(access), lack, moment);
        let hint = Some(hint::lacking(&self.scope, &reason, missing, moment).into());
        Refusal { hint, terse: self.terse, ..Refusal::new(self.policy.clone(), rule, reason, "42501") }
    }
}

/// Whether the conditions of a rule hold that are asked whenever a statement runs.
fn is_now(rule: &Rule, asked: &Asked<'_>, outcome: &mut Outcome) -> bool {
    if !rule.when.is_timed() {
        return true;
    }
    outcome.timed = true;
    rule.when.is_now(asked)
}

/// Statements of a message, those that only set a default aside.
pub(in crate::policy) fn counted(facts: &Facts) -> u32 {
    let counted = facts.statements.iter().filter(|statement| !statement.default_set).count();
    u32::try_from(counted).unwrap_or(u32::MAX)
}

/// An access that changes the session's role.
pub(crate) fn role_access(object: Object) -> Access {
    Access::new(ActionName::SetRole, object)
}

/// Whether `unlisted: observe` may let pass what no rule mentions.
pub(in crate::policy) fn may_be_observed(action: Action, lack: Lack) -> bool {
    let group = action.name.group();
    let never = group.is_privileged() || group == Group::Unknown || action.name == ActionName::SetRole;
    !never && lack == Lack::Rule
}

/// Whether a deny rule speaks about a change of a setting.
fn strikes_setting(rule: &Rule, access: &Access, moment: &Moment<'_>) -> Match {
    let Object::Setting { name, value } = &access.object else { return Match::No };
    let s = &rule.selectors;
    let value = given(value, moment);
    match known(name, moment) {
        Known::Text(name) if matches!(&*canonical(name), "role" | "session_authorization") => {
            if !rule.actions.contains(ActionName::SetRole.into()) {
                return Match::No;
            }
            match &value {
                _ if s.is_empty() => Match::Yes,
                Given::Elements(roles) if s.roles.iter().any(|glob| roles.iter().any(|role| glob.matches(role))) => {
                    Match::Yes
                }
                Given::Never if !s.roles.is_empty() => Match::Yes,
                Given::Later if !s.roles.is_empty() => Match::Later,
                _ => Match::No,
            }
        }
        _ if !rule.actions.contains(access.action) => Match::No,
        _ if s.is_empty() => Match::Yes,
        Known::Text(name) => settings::strikes(&s.settings, &canonical(name), &value),
        Known::Later if !s.settings.is_empty() || !s.roles.is_empty() => Match::Later,
        Known::Never if !s.settings.is_empty() => Match::Yes,
        Known::Later | Known::Never => Match::No,
    }
}
