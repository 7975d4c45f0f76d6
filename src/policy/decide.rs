//! The judge: every access of a text against all rules that hold together. Rules have no order, deny wins, and what no
//! rule covers is refused (POLICY 2).

use std::borrow::Cow;
use std::sync::Arc;

use crate::policy::baseline;
use crate::policy::decoy::Decoy;
use crate::policy::glob::Glob;
use crate::policy::limits::{Limit, Limits};
use crate::policy::names::{Meaning, Scope, is_temp};
use crate::policy::rule::{Candidate, Rule};
use crate::policy::settings::{self, Given, Known, Match, Pin, Standing, given, known};
use crate::policy::verdict::{Refusal, RuleRef};
use crate::policy::{Moment, wording};
use crate::sql::functions::builtin;
use crate::sql::settings::canonical;
use crate::sql::{Access, Action, ActionName, Columns, Facts, Group, Name, Object, Statement};

/// Policies that judge together: all enforcing ones of a session, or all observing ones.
#[derive(Debug, Default)]
pub(crate) struct Bench {
    /// The policy that answers where no rule does.
    pub policy: Arc<str>,
    pub allow: Vec<Arc<Rule>>,
    pub deny: Vec<Arc<Rule>>,
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
}

/// What a bench thinks of a text.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub refusal: Option<Refusal>,
    /// What an observing rule, or `unlisted: observe`, would have refused.
    pub would: Option<Refusal>,
    pub at_bind: bool,
    pub timed: bool,
}

/// Why no rule covers an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
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
        let mut outcome = Outcome { refusal: self.touched_decoy(facts, moment), ..Outcome::default() };
        if outcome.refusal.is_some() {
            return outcome;
        }
        let counted = facts.statements.iter().filter(|statement| !statement.default_set).count();
        let counted = u32::try_from(counted).unwrap_or(u32::MAX);
        if let Some((limit, sentence)) = self.limits.exceeded(facts, counted) {
            outcome.refusal = Some(self.limit_refusal(limit, sentence));
            return outcome;
        }
        self.judge_batch(facts, counted, moment, &mut outcome);
        let mut lacking: Option<(&Access, Lack)> = None;
        for statement in &facts.statements {
            self.ask_about_row_functions(statement, counted, moment, &mut outcome);
            for access in &statement.accesses {
                if outcome.refusal.is_some() {
                    return outcome;
                }
                self.ask_deny_rules(access, counted, moment, &mut outcome);
                if lacking.is_some() {
                    continue;
                }
                if let Some(lack) = self.lack(statement, access, moment, &mut outcome) {
                    if self.unlisted_observe && may_be_observed(access.action, lack) {
                        outcome.would.get_or_insert_with(|| self.lack_refusal(access, lack, moment));
                    } else {
                        lacking = Some((access, lack));
                    }
                }
            }
        }
        if outcome.refusal.is_none() {
            outcome.refusal = lacking.map(|(access, lack)| self.lack_refusal(access, lack, moment));
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
            Some(Refusal {
                policy: decoy.policy.clone(),
                rule: decoy.reference(),
                reason: wording::of_decoy(&self.spoken(access), moment),
                hint: None,
                terse: self.terse,
                sqlstate: "42501",
            })
        })
    }

    /// Judges one access by itself (a replication command, a cursor of a function's).
    pub fn judge_one(&self, access: &Access, moment: &Moment<'_>) -> Outcome {
        let mut outcome = Outcome::default();
        let statement = Statement::default();
        self.ask_deny_rules(access, 1, moment, &mut outcome);
        if outcome.refusal.is_none()
            && let Some(lack) = self.lack(&statement, access, moment, &mut outcome)
        {
            let refusal = self.lack_refusal(access, lack, moment);
            if self.unlisted_observe && may_be_observed(access.action, lack) {
                outcome.would.get_or_insert(refusal);
            } else {
                outcome.refusal = Some(refusal);
            }
        }
        outcome
    }

    /// `statements: ">1"` on all objects speaks about statements that touch nothing, too (`SELECT 1; SELECT 2`).
    fn judge_batch(&self, facts: &Facts, counted: u32, moment: &Moment<'_>, outcome: &mut Outcome) {
        if counted < 2 || facts.statements.iter().all(|statement| !statement.accesses.is_empty()) {
            return;
        }
        for rule in &self.deny {
            if rule.when.statements_over.is_some_and(|n| counted > n)
                && !rule.when.where_missing
                && rule.selectors.is_empty()
                && rule.actions.contains_whole(ActionName::Select)
                && self.is_now(rule, moment, outcome)
            {
                self.deny(rule, wording::too_many(counted), outcome);
            }
        }
    }

    fn ask_deny_rules(&self, access: &Access, counted: u32, moment: &Moment<'_>, outcome: &mut Outcome) {
        for rule in &self.deny {
            if outcome.refusal.is_some() {
                return;
            }
            if !rule.when.holds(access, counted) {
                continue;
            }
            let matched = match &access.object {
                Object::Setting { .. } => strikes_setting(rule, access, moment),
                _ if rule.strikes(&self.scope, access) => Match::Yes,
                _ => Match::No,
            };
            match matched {
                Match::No => {}
                Match::Later => outcome.at_bind = true,
                Match::Yes if self.is_now(rule, moment, outcome) => {
                    self.deny(rule, wording::denied(rule, &self.spoken(access), counted, moment), outcome);
                }
                Match::Yes => {}
            }
        }
    }

    /// `u.onrow` is the call `onrow(u)` where `u` has no such column. The text doesn't tell, so that a deny rule that names the
    /// function strikes (POLICY 5); a bare `*` names none. Built-ins that take a row are among the accesses already.
    fn ask_about_row_functions(&self, statement: &Statement, counted: u32, moment: &Moment<'_>, outcome: &mut Outcome) {
        let named = |name: &str| {
            let mut patterns = self.deny.iter().flat_map(|rule| &rule.selectors.functions);
            patterns.any(|pattern| pattern.name != Glob::Any && pattern.name.matches(name))
        };
        for name in statement.attributes.iter().filter(|name| named(name) && builtin(name).is_none()) {
            let access = Access {
                action: ActionName::Call.into(),
                object: Object::Function { name: Name::bare(name), builtin: false },
                columns: Columns::default(),
                where_missing: false,
            };
            self.ask_deny_rules(&access, counted, moment, outcome);
        }
    }

    fn deny(&self, rule: &Rule, reason: String, outcome: &mut Outcome) {
        let refusal = Refusal {
            policy: rule.policy.clone(),
            rule: rule.reference(),
            reason,
            hint: rule.hint.clone(),
            terse: self.terse,
            sqlstate: "42501",
        };
        if rule.observe {
            outcome.would.get_or_insert(refusal);
        } else {
            outcome.refusal = Some(refusal);
        }
    }

    fn is_now(&self, rule: &Rule, moment: &Moment<'_>, outcome: &mut Outcome) -> bool {
        if !rule.when.is_timed() {
            return true;
        }
        outcome.timed = true;
        rule.when.is_now(moment.now)
    }

    /// What is missing for an access to pass; `None` where it may.
    fn lack(&self, statement: &Statement, access: &Access, moment: &Moment<'_>, outcome: &mut Outcome) -> Option<Lack> {
        if let Object::Setting { name, value } = &access.object
            && matches!(access.action.name, ActionName::Set | ActionName::Reset)
        {
            return match known(name, moment) {
                Known::Text(name) => {
                    self.lack_setting(statement, access, &canonical(name), &given(value, moment), moment, outcome)
                }
                Known::Later => {
                    outcome.at_bind = true;
                    None
                }
                Known::Never => Some(Lack::Nameless),
            };
        }
        if baseline::needs_no_rule(access, &self.scope, self.baseline) {
            return None;
        }
        if access.action.name == ActionName::AlterSystem
            && let Some(lack) = self.lack_server_setting(&access.object, moment)
        {
            return Some(lack);
        }
        let covered = match &access.object {
            Object::Relation(name) => {
                let meaning = self.scope.relation(name);
                self.covers_all(access, (&name.name, meaning), self.scope.temp, moment, outcome)
            }
            Object::Function { name, builtin } => {
                let meaning = self.scope.meaning(name, *builtin);
                // The server never looks for functions and operators in pg_temp.
                self.covers_all(access, (&name.name, meaning), false, moment, outcome)
            }
            Object::Other { name, .. } => {
                let meaning = self.scope.meaning(name, false);
                self.covers_all(access, (&name.name, meaning), self.scope.temp, moment, outcome)
            }
            Object::None
            | Object::Role(_)
            | Object::AnyRole
            | Object::Cursor(_)
            | Object::Unknown(_)
            | Object::Setting { .. } => self.covers(access, Candidate { name: "", schema: None }, moment, outcome),
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
        moment: &Moment<'_>,
        outcome: &mut Outcome,
    ) -> bool {
        let mut covers = |schema: Option<&str>| self.covers(access, Candidate { name, schema }, moment, outcome);
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

    fn covers(&self, access: &Access, candidate: Candidate<'_>, moment: &Moment<'_>, outcome: &mut Outcome) -> bool {
        if self.temp_tables
            && matches!(access.object, Object::Relation(_))
            && candidate.schema.is_some_and(is_temp)
            && baseline::is_temporary_work(access.action)
        {
            return true;
        }
        self.allow.iter().any(|rule| {
            rule.covers(&self.scope, access, candidate)
                && rule.when.holds(access, 1)
                && self.is_now(rule, moment, outcome)
        })
    }

    /// What is missing for a change of a setting; `name` is canonical.
    fn lack_setting(
        &self,
        statement: &Statement,
        access: &Access,
        name: &str,
        value: &Given<'_>,
        moment: &Moment<'_>,
        outcome: &mut Outcome,
    ) -> Option<Lack> {
        if matches!(name, "role" | "session_authorization") {
            return self.lack_role(name, value, moment, outcome);
        }
        // The default of a transaction's own setting is the server's, not the session's: RESET transaction_read_only makes
        // a transaction read-write whatever was pinned.
        let of_transaction = name == "transaction_read_only";
        // Back to the start: pins are startup values, so that nothing escapes by it (POLICY 2a.5).
        if matches!(value, Given::Default) && self.baseline && !(of_transaction && self.read_only) {
            return None;
        }
        if let Some(pin) = self.pins.iter().find(|pin| *pin.name == *name) {
            return match value {
                Given::Later => {
                    outcome.at_bind = true;
                    None
                }
                Given::Default => None,
                value if value.is(name, &pin.value) => None,
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
            if statement.accesses.iter().any(of_transaction) {
                return None;
            }
        }
        if name == "search_path" && self.scope.temp && settings::leaves_temp_first(value) {
            return Some(Lack::Temporary);
        }
        let standing = settings::standing(name, value, self.path.as_deref());
        if standing == Standing::Baseline && self.baseline {
            return None;
        }
        let guarded = standing == Standing::Guarded;
        let mut later = false;
        for rule in self.allow.iter().filter(|rule| rule.actions.contains(access.action)) {
            let matched = match rule.selectors.is_empty() {
                true if guarded => Match::No,
                true => Match::Yes,
                false => settings::covers(&rule.selectors.settings, name, value, guarded),
            };
            match matched {
                Match::Yes if self.is_now(rule, moment, outcome) => return None,
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
    fn lack_role(&self, name: &str, value: &Given<'_>, moment: &Moment<'_>, outcome: &mut Outcome) -> Option<Lack> {
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
        if baseline::needs_no_rule(&access, &self.scope, self.baseline) {
            return None;
        }
        (!self.covers(&access, Candidate { name: "", schema: None }, moment, outcome)).then_some(Lack::Guarded)
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
        Refusal {
            policy: self.policy.clone(),
            rule: RuleRef::Limit(limit),
            reason,
            hint: Some(limit.hint()),
            terse: self.terse,
            sqlstate: limit.sqlstate(),
        }
    }

    fn lack_refusal(&self, access: &Access, lack: Lack, moment: &Moment<'_>) -> Refusal {
        let spoken = self.spoken(access);
        let rule = match lack {
            Lack::Rule => RuleRef::Default,
            Lack::Guarded | Lack::Pinned | Lack::Nameless | Lack::Temporary => RuleRef::Guard,
        };
        Refusal {
            policy: self.policy.clone(),
            rule,
            reason: wording::lacking(&spoken, lack, moment),
            hint: wording::lacking_hint(&spoken, lack, moment),
            terse: self.terse,
            sqlstate: "42501",
        }
    }
}

/// An access that changes the session's role.
pub(crate) fn role_access(object: Object) -> Access {
    Access { action: ActionName::SetRole.into(), object, columns: crate::sql::Columns::default(), where_missing: false }
}

/// Whether `unlisted: observe` may let pass what no rule mentions.
fn may_be_observed(action: Action, lack: Lack) -> bool {
    let never = match action.name.group() {
        Group::Unknown | Group::File | Group::Network | Group::Code | Group::Admin | Group::Dcl => true,
        Group::Read
        | Group::Write
        | Group::Lock
        | Group::Call
        | Group::Ddl
        | Group::Transaction
        | Group::Session
        | Group::Maintenance => action.name == ActionName::SetRole,
    };
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
