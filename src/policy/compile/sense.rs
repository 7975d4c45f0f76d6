//! Whether a rule makes sense: what can't stand in an allow or deny rule, and what is probably not meant.

use super::Compiler;
use super::together::nothing_in_common;
use crate::policy::diagnostic::Code;
use crate::policy::document;
use crate::policy::rule::Selectors;
use crate::policy::words::Actions;
use crate::sql::ActionName;

impl Compiler<'_, '_, '_> {
    /// What is wrong with an allow rule. `whole`: all of it could be read, so what is missing is missing.
    pub(super) fn check_allow(&mut self, rule: &document::Rule, actions: &Actions, selectors: &Selectors, whole: bool) {
        let name = &rule.name.value;
        if let Some(observe) = &rule.observe {
            self.reader.help(
                Code::DenyOnly,
                observe.place,
                "an allow rule has no mode",
                "`mode: observe` belongs to a deny rule or to the whole policy",
            );
        }
        if let Some(column) = rule.columns.first() {
            self.reader.help(
                Code::DenyOnly,
                column.place,
                "columns can be denied, not allowed",
                "allow the table and deny the columns that nobody may see",
            );
        }
        for danger in &rule.when.dangers {
            self.reader.help(
                Code::DenyOnly,
                danger.place,
                format!("`{}` in an allow rule would allow exactly the dangerous statements", danger.value),
                "put it in a deny rule",
            );
        }
        if let Some(place) = rule.when.application_name {
            self.reader.help(
                Code::FriendlyName,
                place,
                "every client chooses its application_name itself: this tells friends apart, it keeps nobody out",
                "where it must hold, give the application a role of its own",
            );
        }
        if let Some(sequel) = &rule.sequel {
            self.reader.help(
                Code::DenyOnly,
                sequel.place,
                "an allow rule refuses nothing that an outcome could follow",
                "`outcome` and `delay` belong to deny rules",
            );
        }
        if whole && rule.actions.is_some() && selectors.is_empty() && !needs_no_selector(actions) {
            self.reader.help(
                Code::NoObjects,
                rule.place,
                format!("rule \"{name}\" names no objects: it allows its actions on everything"),
                "add `tables`, `functions`, `settings`, `roles` or `objects`",
            );
        }
        if whole && !self.check_roles(rule, selectors) {
            self.check_common(rule, actions);
        }
    }

    /// What is wrong with a deny rule; `whole` as above.
    pub(super) fn check_deny(&mut self, rule: &document::Rule, actions: &Actions, selectors: &Selectors, whole: bool) {
        let when = &rule.when.when;
        if whole {
            self.check_common(rule, actions);
        }
        if let Some(place) = rule.when.application_name {
            self.reader.help(
                Code::UselessName,
                place,
                "`application_name` in a deny rule stops nobody: every client chooses it itself",
                "deny it to everybody, and allow it where it is meant",
            );
        }
        if whole && rule.actions.is_none() && selectors.is_empty() && when.is_empty() {
            self.reader.help(
                Code::DeniesEverything,
                rule.place,
                format!("rule \"{}\" refuses everything", rule.name.value),
                "say what it refuses: `actions`, a selector, or `when`",
            );
        }
        let reads_only = actions.mentions(ActionName::Select)
            && ![ActionName::Insert, ActionName::Update, ActionName::Delete].iter().any(|&a| actions.mentions(a));
        if rule.actions.is_some() && reads_only && !selectors.columns.is_empty() {
            self.reader.help(
                Code::ColumnsOfReads,
                rule.place,
                format!("rule \"{}\" lets columns be read by writes: UPDATE t SET seen = hidden", rule.name.value),
                "leave `actions` out: then nothing may name the columns",
            );
        }
        if whole
            && when.where_missing
            && ![ActionName::Update, ActionName::Delete, ActionName::Select].iter().any(|&a| actions.mentions(a))
        {
            self.reader.help(
                Code::WhereOfOthers,
                rule.when.where_missing.unwrap_or(rule.place),
                "`where: missing` is asked of update, delete and select only",
                "add them to `actions`",
            );
        }
    }

    /// Whether the actions are ever about what the rule names.
    fn check_common(&mut self, rule: &document::Rule, actions: &Actions) {
        if rule.actions.is_some()
            && let Some((message, help)) = nothing_in_common(rule, actions)
        {
            self.reader.help(Code::NothingInCommon, rule.place, message, help);
        }
    }

    /// Whether `set_role` lacks its roles; that is told.
    fn check_roles(&mut self, rule: &document::Rule, selectors: &Selectors) -> bool {
        let listed = rule.actions.iter().flatten().find(|word| word.value == ActionName::SetRole.as_str());
        if let Some(word) = listed
            && selectors.roles.is_empty()
        {
            self.reader.help(
                Code::RolesMissing,
                word.place,
                format!("rule \"{}\" allows set_role without saying to which roles", rule.name.value),
                "add `roles: [...]`",
            );
            return true;
        }
        false
    }
}

/// Actions whose objects have no names, so that a selector would make no sense.
fn needs_no_selector(actions: &Actions) -> bool {
    const NAMELESS: &[ActionName] = &[
        ActionName::AdvisoryLock,
        ActionName::Sleep,
        ActionName::Begin,
        ActionName::Savepoint,
        ActionName::TwoPhase,
        ActionName::TransactionMode,
        ActionName::Show,
        ActionName::Reset,
        ActionName::Discard,
        ActionName::Prepare,
        ActionName::Cursor,
        ActionName::Checkpoint,
        ActionName::Do,
        ActionName::LargeObject,
        ActionName::SignalBackend,
        ActionName::Replication,
    ];
    let nameless = |name: &ActionName| match name {
        // Of `call:type`, without types: they have only numbers where a driver sends those.
        ActionName::Call => !actions.contains_whole(ActionName::Call),
        _ => NAMELESS.contains(name),
    };
    ActionName::ALL.iter().all(|name| !actions.mentions(*name) || nameless(name))
}
