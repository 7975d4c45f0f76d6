//! Writing down what a statement does.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::Walker;
use crate::sql::{Access, Action, ActionName, Name, Object, Operand, SettingValue};

/// The index of an access in the statement: columns found later are added to it.
pub(super) type Slot = usize;

/// An action with its object kind or sub-command.
pub(super) fn action(name: ActionName, kind: &'static str) -> Action {
    Action { name, kind: Some(kind) }
}

/// The access that nothing allows.
pub(super) fn unknown(what: &str) -> Access {
    Access::new(ActionName::Unknown, Object::Unknown(what.into()))
}

/// Adds a named column to an access.
pub(super) fn name_column(accesses: &mut [Access], slot: Slot, column: &str) {
    if let Some(access) = accesses.get_mut(slot)
        && !access.columns.named.contains(column)
    {
        access.columns.named.insert(column.into());
    }
}

impl Walker<'_> {
    /// Adds an access. Inside a plain EXPLAIN what would write only reads.
    pub(super) fn push(&mut self, action: impl Into<Action>, object: Object) -> Slot {
        let mut action = action.into();
        if self.explain
            && matches!(
                action.name,
                ActionName::Insert | ActionName::Update | ActionName::Delete | ActionName::SelectForUpdate
            )
        {
            action = ActionName::Select.into();
        }
        self.statement.accesses.push(Access::new(action, object));
        self.statement.accesses.len() - 1
    }

    pub(super) fn relation(&mut self, action: impl Into<Action>, name: Name) -> Slot {
        self.push(action, Object::Relation(name))
    }

    pub(super) fn other(&mut self, action: impl Into<Action>, kind: &'static str, name: Name) -> Slot {
        self.push(action, Object::Other { kind, name })
    }

    pub(super) fn unknown(&mut self, what: &str) {
        self.statement.accesses.push(unknown(what));
    }

    pub(super) fn relation_read(&mut self, name: &Name) {
        self.statement.relations_read.insert(name.to_string());
    }

    pub(super) fn relation_written(&mut self, name: &Name) {
        self.statement.relations_written.insert(name.to_string());
    }

    pub(super) fn set_where_missing(&mut self, slot: Slot, missing: bool) {
        if let Some(access) = self.statement.accesses.get_mut(slot) {
            access.where_missing = missing;
        }
    }

    pub(super) fn set_limit_missing(&mut self, slot: Slot, missing: bool) {
        if let Some(access) = self.statement.accesses.get_mut(slot) {
            access.limit_missing = missing;
        }
    }

    pub(super) fn all_columns(&mut self, slot: Slot) {
        if let Some(access) = self.statement.accesses.get_mut(slot) {
            access.columns.all = true;
        }
    }

    pub(super) fn name_column(&mut self, slot: Slot, column: &str) {
        name_column(&mut self.statement.accesses, slot, column);
    }

    /// A parameter that is written twice has the type that the server gave it at the other place (`$1::bpchar`), and its text
    /// there is not the bytes that are bound.
    pub(super) fn forget_shared_parameters(&mut self) {
        let shared = |number: &u32| self.parameters.get(number).is_none_or(|times| *times > 1);
        let forget = |operand: &mut Operand| {
            if matches!(operand, Operand::Parameter(number) if shared(number)) {
                *operand = Operand::Unknown;
            }
        };
        for access in &mut self.statement.accesses {
            if let Object::Setting { name, value } = &mut access.object {
                forget(name);
                if let SettingValue::List(operands) = value {
                    operands.iter_mut().for_each(forget);
                }
            }
        }
    }

    /// Merges equal accesses, uniting their columns.
    pub(super) fn deduplicate(&mut self) {
        if self.statement.accesses.len() < 2 {
            return;
        }
        let mut first: HashMap<(Action, Object, bool, bool), usize> =
            HashMap::with_capacity(self.statement.accesses.len());
        let mut kept: Vec<Access> = Vec::with_capacity(self.statement.accesses.len());
        for access in self.statement.accesses.drain(..) {
            match first.entry((access.action, access.object.clone(), access.where_missing, access.limit_missing)) {
                Entry::Vacant(entry) => {
                    entry.insert(kept.len());
                    kept.push(access);
                }
                Entry::Occupied(entry) => {
                    if let Some(same) = kept.get_mut(*entry.get()) {
                        same.columns.all |= access.columns.all;
                        same.columns.named.extend(access.columns.named);
                    }
                }
            }
        }
        self.statement.accesses = kept;
    }
}
