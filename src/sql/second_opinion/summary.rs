//! What both parsers must agree on, for one statement.

use std::collections::BTreeSet;
use std::fmt;

use crate::sql::functions::{Class, builtin};
use crate::sql::{ActionName, NameUse, Object, Statement};

/// What one statement does, as coarsely as both parsers can say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Actions of POLICY 4 without reading, which the relations tell, and without what functions do; and what becomes of
    /// the session's names (`prepare`, `fetch` …).
    pub actions: BTreeSet<&'static str>,
    pub read: BTreeSet<String>,
    pub written: BTreeSet<String>,
    /// Relations that are made, changed, locked or referred to.
    pub named: BTreeSet<String>,
    /// The second parser saw FOR UPDATE or its kin. Whether that locks a relation only the walk knows.
    pub(super) locking: bool,
}

impl Summary {
    /// What the walk found.
    pub(super) fn of_facts(statement: &Statement) -> Summary {
        let behind = BehindFunctions::of(statement);
        let mut summary = Summary {
            read: statement.relations_read.clone(),
            written: statement.relations_written.clone(),
            ..Summary::default()
        };
        for access in &statement.accesses {
            match &access.object {
                Object::Function { .. } | Object::Unknown(_) => continue,
                // What a view of it will let others write is no write of CREATE VIEW.
                Object::Relation(name)
                    if matches!(access.action.name, ActionName::Insert | ActionName::Update | ActionName::Delete)
                        && !statement.relations_written.contains(&*name.to_string()) =>
                {
                    continue;
                }
                Object::Relation(name) if access.action.name != ActionName::Nextval => {
                    summary.named.insert(name.to_string());
                }
                Object::Relation(_)
                | Object::None
                | Object::Setting { .. }
                | Object::Role(_)
                | Object::AnyRole
                | Object::Cursor(_)
                | Object::Other { .. } => {}
            }
            if !behind.may_be(access.action.name) {
                summary.actions.insert(access.action.name.as_str());
            }
        }
        for used in &statement.names {
            summary.actions.insert(match used {
                NameUse::Prepare(_) => "prepare",
                NameUse::Execute(_) => "execute",
                NameUse::Deallocate(_) => "deallocate",
                NameUse::Declare { .. } => "declare",
                NameUse::Fetch(_) => "fetch",
                NameUse::CloseCursor(_) => "close",
            });
        }
        // BEGIN READ ONLY is a transaction, and sets; the second parser's is a transaction.
        let transaction = [ActionName::Begin, ActionName::TransactionMode];
        if transaction.iter().any(|action| summary.actions.contains(action.as_str())) {
            summary.actions.remove(ActionName::Set.as_str());
        }
        summary.settled()
    }

    pub(super) fn act(&mut self, action: ActionName) {
        self.actions.insert(action.as_str());
    }

    /// Names a relation once: what is read or written is not also just named.
    pub(super) fn settled(mut self) -> Summary {
        self.actions.remove(ActionName::Select.as_str());
        // COPY (query) TO copies what the query reads.
        if self.read.is_empty() {
            self.actions.remove(ActionName::CopyTo.as_str());
        }
        let Summary { read, written, named, .. } = &mut self;
        named.retain(|name| !read.contains(name) && !written.contains(name));
        self
    }

    /// Whether this, the walk's, says the same as the second parser's.
    pub(super) fn agrees(&self, second: &Summary) -> bool {
        let locks = ActionName::SelectForUpdate.as_str();
        let actions = self.actions.iter().filter(|action| !(second.locking && **action == locks));
        actions.eq(&second.actions)
            && self.read == second.read
            && self.written == second.written
            && self.named == second.named
    }
}

/// Actions that a statement may owe to the functions it calls, or to the rule of a view, not to its syntax.
struct BehindFunctions {
    sets: bool,
    notifies: bool,
}

impl BehindFunctions {
    fn of(statement: &Statement) -> BehindFunctions {
        let class = |name: &str| {
            let bare = name.strip_prefix("pg_catalog.").unwrap_or(name);
            builtin(bare).map(|known| known.class)
        };
        let calls = |wanted: Class| statement.functions.iter().any(|name| class(name) == Some(wanted));
        // An UPDATE of pg_settings sets.
        let view = ["pg_settings", "pg_catalog.pg_settings"];
        let sets = calls(Class::SetConfig) || view.iter().any(|name| statement.relations_written.contains(*name));
        BehindFunctions { sets, notifies: calls(Class::Notify) }
    }

    fn may_be(&self, action: ActionName) -> bool {
        match action {
            // Its relation is a constant that a function is given.
            ActionName::Nextval => true,
            ActionName::Set | ActionName::Reset | ActionName::SetRole => self.sets,
            ActionName::Notify => self.notifies,
            _ => false,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.actions.is_empty() {
            parts.push(self.actions.iter().copied().collect::<Vec<_>>().join(", "));
        }
        for (verb, names) in [("reads", &self.read), ("writes", &self.written), ("names", &self.named)] {
            if !names.is_empty() {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                parts.push(format!("{verb} {}", names.join(", ")));
            }
        }
        match parts.is_empty() {
            true => f.write_str("nothing that touches a relation"),
            false => f.write_str(&parts.join("; ")),
        }
    }
}
