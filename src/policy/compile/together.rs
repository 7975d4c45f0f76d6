//! Whether the actions of a rule go with what it names: `select` is never about a function. A rule whose actions and selectors have
//! nothing in common never matches, so that an allow rule allows nothing and a deny rule refuses nothing.

use crate::policy::document;
use crate::policy::words::Actions;
use crate::sql::ActionName;

/// A key that names objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selector {
    Tables,
    Functions,
    Columns,
    Settings,
    Roles,
    Cursors,
    Objects,
}

impl Selector {
    fn key(self) -> &'static str {
        match self {
            Selector::Tables => "tables",
            Selector::Functions => "functions",
            Selector::Columns => "columns",
            Selector::Settings => "settings",
            Selector::Roles => "roles",
            Selector::Cursors => "cursors",
            Selector::Objects => "objects",
        }
    }

    /// What goes with it.
    fn help(self) -> &'static str {
        match self {
            Selector::Tables | Selector::Columns => {
                "they go with select, insert, update, delete and what else is done to relations; functions go with call"
            }
            Selector::Functions => {
                "they go with call; what is read and written is named by `tables`, and to create, alter, drop or grant functions by `objects`"
            }
            Selector::Settings => "they go with set; tables go with select, insert, update, delete",
            Selector::Roles => "they go with set_role, and with role and grant",
            Selector::Cursors => "they go with cursor",
            Selector::Objects => {
                "these actions have no named objects, or name them by `settings`, `roles` or `cursors`"
            }
        }
    }
}

/// The selectors of a rule that could match what an action does. Generous: only what surely never meets is left out.
pub(super) fn may_name(action: ActionName) -> &'static [Selector] {
    use Selector::{Columns, Cursors, Functions, Objects, Roles, Settings, Tables};
    match action {
        ActionName::Select
        | ActionName::CopyTo
        | ActionName::Insert
        | ActionName::Update
        | ActionName::Delete
        | ActionName::CopyFrom
        | ActionName::SelectForUpdate
        | ActionName::LockTable
        | ActionName::Policy
        | ActionName::Vacuum
        | ActionName::Analyze
        | ActionName::Reindex
        | ActionName::Cluster
        | ActionName::Refresh
        | ActionName::CopyFile
        | ActionName::CopyProgram => &[Tables, Columns, Objects],
        // `TRUNCATE … CASCADE` and DROP OWNED: any table may be among what goes.
        ActionName::Truncate
        | ActionName::Create
        | ActionName::Alter
        | ActionName::Drop
        | ActionName::Comment
        | ActionName::Rename
        | ActionName::Grant
        | ActionName::Revoke
        | ActionName::Role
        | ActionName::ForeignServer
        | ActionName::Subscription => &[Tables, Columns, Objects, Roles],
        ActionName::Nextval
        | ActionName::CatalogWrite
        | ActionName::LargeObject
        | ActionName::CreateFunction
        | ActionName::CreateTrigger
        | ActionName::CreateRule
        | ActionName::ServerControl => &[Tables, Columns, Functions, Objects],
        ActionName::AdvisoryLock
        | ActionName::Call
        | ActionName::Sleep
        | ActionName::Listen
        | ActionName::Notify
        | ActionName::Do
        | ActionName::FileFunction
        | ActionName::Dblink
        | ActionName::NetworkFunction
        | ActionName::SignalBackend
        | ActionName::Replication
        | ActionName::Fastpath
        | ActionName::CreateExtension
        | ActionName::Load => &[Functions, Objects],
        ActionName::AlterSystem => &[Settings, Functions, Objects],
        ActionName::Set | ActionName::Show => &[Settings],
        ActionName::Reset => &[Settings, Objects],
        ActionName::SetRole => &[Roles],
        ActionName::Cursor => &[Cursors],
        ActionName::Begin
        | ActionName::Savepoint
        | ActionName::TwoPhase
        | ActionName::TransactionMode
        | ActionName::Commit
        | ActionName::Rollback
        | ActionName::Discard
        | ActionName::Prepare
        | ActionName::Checkpoint => &[],
        ActionName::Unknown => &[Tables, Functions, Columns, Settings, Roles, Cursors, Objects],
    }
}

/// The message and the help where a rule's actions and selectors have nothing in common.
pub(super) fn nothing_in_common(rule: &document::Rule, actions: &Actions) -> Option<(String, &'static str)> {
    let named: Vec<Selector> = [
        (Selector::Tables, &rule.tables),
        (Selector::Functions, &rule.functions),
        (Selector::Columns, &rule.columns),
        (Selector::Settings, &rule.settings),
        (Selector::Roles, &rule.roles),
        (Selector::Cursors, &rule.cursors),
        (Selector::Objects, &rule.objects),
    ]
    .into_iter()
    .filter(|(_, list)| !list.is_empty())
    .map(|(selector, _)| selector)
    .collect();
    let first = *named.first()?;
    let meet = |action: &ActionName| may_name(*action).iter().any(|selector| named.contains(selector));
    if ActionName::ALL.iter().filter(|action| actions.mentions(**action)).any(meet) {
        return None;
    }
    let keys: Vec<String> = named.iter().map(|selector| format!("`{}`", selector.key())).collect();
    let name = &rule.name.value;
    let message = format!("rule \"{name}\" can never match: none of its actions is about {}", keys.join(" or "));
    Some((message, first.help()))
}
