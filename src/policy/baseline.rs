//! What needs no rule under `enforce` (POLICY 2a), settings apart (`settings`). Deny rules and pins beat it.

use crate::policy::names::{Meaning, Scope};
use crate::sql::functions::is_information_schema_function;
use crate::sql::relations::{CatalogRelation, SENSITIVE_COLUMNS, catalog_relation};
use crate::sql::{Access, Action, ActionName, Object};

/// Why an access needs no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Free {
    Transaction,
    /// PREPARE, DECLARE and their kin: what they stand for is judged by itself.
    Names,
    Shown,
    HarmlessSetting,
    /// A guarded setting at its safe value, or a pinned one at the pin's.
    SafeValue,
    BackToStart,
    HarmlessFunction,
    Catalog,
    Type,
    /// `temp_tables: allow`.
    Temporary,
}

impl Free {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Free::Transaction => "transactions",
            Free::Names => "names of statements and cursors: what they stand for is judged",
            Free::Shown => "SHOW",
            Free::HarmlessSetting => "a harmless setting",
            Free::SafeValue => "the safe value of a setting",
            Free::BackToStart => "back to the start of the session",
            Free::HarmlessFunction => "a harmless function of PostgreSQL's own",
            Free::Catalog => "a catalog that describes the database",
            Free::Type => "a type of PostgreSQL's own or of the path",
            Free::Temporary => "temp_tables: allow",
        }
    }
}

/// Why an access needs no rule, if it needs none; `whole` is false under `baseline: none`, which leaves transactions and names.
pub(crate) fn free(access: &Access, scope: &Scope, whole: bool) -> Option<Free> {
    let (free, needs_none) = match access.action.name {
        // 1. Transactions, but for two-phase ones.
        ActionName::Begin
        | ActionName::Savepoint
        | ActionName::TransactionMode
        | ActionName::Commit
        | ActionName::Rollback => (Free::Transaction, true),
        // 2. What they stand for is judged by itself; names that the session never made are judged apart.
        ActionName::Prepare | ActionName::Cursor => (Free::Names, !matches!(access.object, Object::Cursor(_))),
        // 3, 5.
        ActionName::Show => (Free::Shown, whole),
        ActionName::Reset | ActionName::Discard => (Free::BackToStart, whole),
        ActionName::SetRole => (Free::BackToStart, whole && matches!(access.object, Object::Role(None))),
        // UNLISTEN names nothing to listen to.
        ActionName::Listen => (Free::BackToStart, whole && matches!(access.object, Object::None)),
        // 6, 8.
        ActionName::Call => {
            let free = if access.action.kind == Some("type") { Free::Type } else { Free::HarmlessFunction };
            (free, whole && is_harmless_call(access, scope))
        }
        ActionName::AdvisoryLock => (Free::BackToStart, whole && is_unlock(&access.object)),
        // 7.
        ActionName::Select => (Free::Catalog, whole && is_harmless_catalog(access, scope)),
        _ => return None,
    };
    needs_none.then_some(free)
}

/// A built-in without a class, or a type of the path.
fn is_harmless_call(access: &Access, scope: &Scope) -> bool {
    match (&access.object, access.action.kind) {
        (Object::Function { name, builtin: true }, _) => matches!(name.schema.as_deref(), None | Some("pg_catalog")),
        // Drivers call the helpers of information_schema's views.
        (Object::Function { name, builtin: false }, None) if name.schema.as_deref() == Some("information_schema") => {
            is_information_schema_function(&name.name)
        }
        (Object::Function { name, builtin: false }, Some("type")) => match (name.schema.as_deref(), &scope.path) {
            (Some(schema), Some(path)) => path.iter().any(|s| **s == *schema),
            (Some(_), None) => false,
            (None, _) => true,
        },
        _ => false,
    }
}

fn is_unlock(object: &Object) -> bool {
    matches!(object, Object::Function { name, builtin: true } if name.name.starts_with("pg_advisory_unlock"))
}

/// A relation of the catalogs that describes the database and holds no secrets, values or other people's work.
fn is_harmless_catalog(access: &Access, scope: &Scope) -> bool {
    let Object::Relation(name) = &access.object else { return false };
    let schema = match scope.relation(name) {
        Meaning::In(schema) => schema,
        Meaning::Catalog => "pg_catalog",
        Meaning::Path => return false,
    };
    if catalog_relation(schema, &name.name) != Some(CatalogRelation::Harmless) {
        return false;
    }
    let secret =
        |columns: &[&str]| access.columns.all || columns.iter().any(|column| access.columns.named.contains(*column));
    !(schema == "pg_catalog"
        && SENSITIVE_COLUMNS.iter().any(|(relation, columns)| **relation == *name.name && secret(columns)))
}

/// What `temp_tables: allow` lets a session do with its own temporary relations. Locks are not among it: through a view they
/// reach the tables behind it.
pub(crate) fn is_temporary_work(action: Action) -> bool {
    matches!(
        action.name,
        ActionName::Select
            | ActionName::CopyTo
            | ActionName::Insert
            | ActionName::Update
            | ActionName::Delete
            | ActionName::Truncate
            | ActionName::CopyFrom
            | ActionName::Nextval
            | ActionName::Create
            | ActionName::Alter
            | ActionName::Rename
            | ActionName::Drop
            | ActionName::Comment
            | ActionName::Analyze
            | ActionName::Vacuum
            | ActionName::Reindex
            | ActionName::Cluster
            | ActionName::Refresh
    )
}
