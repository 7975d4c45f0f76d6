//! One compiled rule: which accesses it speaks about, and when.

use std::sync::Arc;

use crate::policy::glob::Glob;
use crate::policy::names::{Meaning, Pattern, Scope, is_system_schema, is_temp};
use crate::policy::settings::SettingPattern;
use crate::policy::statements::{StatementList, may_be_learned};
use crate::policy::verdict::{Alert, RuleRef, Sequel};
use crate::policy::when::{Asked, When};
use crate::policy::words::Actions;
use crate::sql::settings::is_guarded;
use crate::sql::{Access, ActionName, Group, Name, Object, Operand};

/// A rule of `allow` or `deny`.
#[derive(Debug)]
pub(crate) struct Rule {
    pub policy: Arc<str>,
    pub name: Arc<str>,
    pub file: Arc<str>,
    pub line: u32,
    pub actions: Actions,
    pub selectors: Selectors,
    pub when: When,
    /// Allow rules only: of the accesses of these statements, and of no other, it covers what can be learned.
    pub statements: Option<Arc<StatementList>>,
    /// Deny rules only: reports what it would refuse.
    pub observe: bool,
    pub hint: Option<Arc<str>>,
    pub alert: Option<Alert>,
    pub sequel: Sequel,
}

/// What a rule names. With none, it speaks about every object.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selectors {
    pub tables: Vec<Pattern>,
    pub functions: Vec<Pattern>,
    pub columns: Vec<ColumnPattern>,
    pub settings: Vec<SettingPattern>,
    pub roles: Vec<Glob>,
    pub cursors: Vec<Glob>,
    pub objects: Vec<Pattern>,
}

/// `users.password_hash`, `*.users.email`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ColumnPattern {
    pub table: Pattern,
    pub column: Glob,
}

/// Objects that live in no schema: their names are compared with patterns that have none.
const WITHOUT_SCHEMA: &[&str] = &[
    "access_method",
    "cast",
    "channel",
    "database",
    "event_trigger",
    "everything in schema",
    "extension",
    "file",
    "foreign_data_wrapper",
    "type oid",
    "language",
    "large_object",
    "library",
    "parameter",
    "program",
    "publication",
    "replication command",
    "role",
    "schema",
    "server",
    "subscription",
    "tablespace",
    "transform",
    "user_mapping",
];

/// Whether objects of this kind have a name without schema.
pub(crate) fn lives_in_no_schema(kind: &str) -> bool {
    WITHOUT_SCHEMA.contains(&kind)
}

impl Selectors {
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
            && self.functions.is_empty()
            && self.columns.is_empty()
            && self.settings.is_empty()
            && self.roles.is_empty()
            && self.cursors.is_empty()
            && self.objects.is_empty()
    }
}

/// An object that an access is about, in one schema that its name may mean.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub name: &'a str,
    /// `None`: no path is given, or it lives in no schema.
    pub schema: Option<&'a str>,
}

impl Rule {
    /// How refusals and metrics call it.
    pub fn reference(&self) -> RuleRef {
        RuleRef::Rule { name: self.name.clone(), file: self.file.clone(), line: self.line }
    }

    /// Whether this `deny` rule keeps columns from being read.
    pub fn denies_columns(&self) -> bool {
        !self.observe && !self.selectors.columns.is_empty() && self.actions.contains(ActionName::Select.into())
    }

    /// Whether this `allow` rule covers the access as one candidate of what its name may mean. Settings and roles are
    /// not asked here (`settings`).
    pub fn covers(&self, scope: &Scope, access: &Access, candidate: Candidate<'_>, asked: &Asked<'_>) -> bool {
        if self.statements.is_some() {
            // Of the server's own objects a list covers its functions only, those that `may_be_learned` knows.
            let of_server = candidate.schema.is_some_and(is_system_schema);
            let builtin = matches!(access.object, Object::Function { builtin: true, .. });
            return self.covers_listed(access, asked) && (builtin || !of_server);
        }
        if !self.actions.contains(access.action) {
            return false;
        }
        let s = &self.selectors;
        let covered = |patterns: &[Pattern]| patterns.iter().any(|p| p.covers(scope, candidate.schema, candidate.name));
        match &access.object {
            Object::Unknown(_) => false,
            Object::None => s.is_empty(),
            // A rule that names nothing still has to name a catalog for a session to write there: what the server is
            // told in its own tables (`pg_db_role_setting`) is no data.
            Object::Relation(_) => {
                (s.is_empty() && !writes_catalog(access, candidate)) || covered(&s.tables) || covered(&s.objects)
            }
            Object::Function { .. } => s.is_empty() || covered(&s.functions) || covered(&s.objects),
            Object::Other { kind, .. } => {
                s.is_empty()
                    || if WITHOUT_SCHEMA.contains(kind) {
                        s.objects.iter().any(|p| p.schema.is_none() && p.name.matches(candidate.name))
                    } else {
                        covered(&s.objects)
                    }
            }
            // A function's refcursor has to be named.
            Object::Cursor(name) => s.cursors.iter().any(|glob| glob.matches(name)),
            // Identity is never covered by silence.
            Object::Role(Some(role)) => {
                s.roles.iter().any(|glob| glob.matches(role))
                    || (s.is_empty() && access.action.name != ActionName::SetRole)
            }
            Object::Role(None) => s.is_empty(),
            Object::AnyRole => s.roles.contains(&Glob::Any),
            // ALTER SYSTEM; what a session sets for itself is judged in `decide`.
            Object::Setting { name: Operand::Constant(name), .. } => {
                s.is_empty()
                    || (!is_guarded(name) && s.settings.iter().any(|p| p.value.is_none() && p.name.matches(name)))
            }
            Object::Setting { .. } => false,
        }
    }

    /// Whether this `allow` rule's list has the text, and lists may cover the access.
    pub fn covers_listed(&self, access: &Access, asked: &Asked<'_>) -> bool {
        let listed = |list: &Arc<StatementList>| asked.facts.hash.is_some_and(|hash| list.contains(hash));
        self.statements.as_ref().is_some_and(listed) && may_be_learned(asked.facts, access)
    }

    /// Whether this `deny` rule speaks about the access in any sense that its name may have. Settings are not asked here.
    pub fn strikes(&self, scope: &Scope, access: &Access) -> bool {
        if !self.actions.contains(access.action) {
            return false;
        }
        let s = &self.selectors;
        if s.is_empty() {
            return true;
        }
        match &access.object {
            // TRUNCATE … CASCADE, DROP OWNED, REASSIGN OWNED: any table may be among what goes.
            Object::None | Object::Role(_) | Object::AnyRole if takes_any_table(access) => {
                !(s.tables.is_empty() && s.columns.is_empty() && s.objects.is_empty())
                    || matches!(&access.object, Object::Role(Some(role)) if s.roles.iter().any(|glob| glob.matches(role)))
            }
            Object::Unknown(_) | Object::None | Object::Setting { .. } | Object::Role(None) => false,
            Object::Relation(name) => {
                let meaning = scope.relation(name);
                struck(scope, &s.tables, name, meaning)
                    || struck(scope, &s.objects, name, meaning)
                    || self.strikes_columns(scope, access, name, meaning)
                    || (self.actions.mentions(ActionName::Select)
                        && !(s.tables.is_empty() && s.columns.is_empty())
                        && holds_values(name, meaning))
            }
            Object::Function { name, .. } => {
                // A built-in's unqualified name may be a user function of a path's schema as well: overloads are
                // resolved over all schemas.
                let meanings = match (&name.schema, scope.meaning(name, true)) {
                    (None, meaning) => [Some(Meaning::Path), Some(meaning)],
                    (Some(_), meaning) => [Some(meaning), None],
                };
                let any_table = takes_any_table(access) && !(s.tables.is_empty() && s.objects.is_empty());
                any_table
                    || meanings.into_iter().flatten().any(|meaning| {
                        struck(scope, &s.functions, name, meaning) || struck(scope, &s.objects, name, meaning)
                    })
            }
            Object::Other { kind, name } if WITHOUT_SCHEMA.contains(kind) => {
                let columns = s.columns.iter().map(|pattern| &pattern.table);
                s.objects.iter().any(|p| p.schema.is_none() && p.name.matches(&name.name))
                    || moved_schema(access).is_some_and(|schema| {
                        s.tables
                            .iter()
                            .chain(columns)
                            .chain(&s.objects)
                            .any(|pattern| reaches_into(scope, pattern, schema))
                    })
            }
            Object::Other { name, .. } => struck(scope, &s.objects, name, scope.meaning(name, false)),
            Object::Cursor(name) => s.cursors.iter().any(|glob| glob.matches(name)),
            Object::Role(Some(role)) => s.roles.iter().any(|glob| glob.matches(role)),
            Object::AnyRole => !s.roles.is_empty(),
        }
    }

    fn strikes_columns(&self, scope: &Scope, access: &Access, name: &Name, meaning: Meaning<'_>) -> bool {
        self.selectors.columns.iter().any(|pattern| {
            let touched =
                |column: &str| pattern.column.matches(column) || scope.attributes.iter().any(|a| a.matches(column));
            (access.columns.all || access.columns.named.iter().any(|column| touched(column)))
                && struck(scope, std::slice::from_ref(&pattern.table), name, meaning)
        })
    }
}

/// Whether an access reaches tables that the statement does not name and nobody here knows.
pub(crate) fn takes_any_table(access: &Access) -> bool {
    // `nextval($1)`: the sequence is another one with each value. Where the text names it, it is a relation.
    let any_sequence = access.action.name == ActionName::Nextval && matches!(access.object, Object::Function { .. });
    any_sequence || access.action.name == ActionName::Truncate || access.action.kind == Some("owned")
}

/// The schema whose relations an access takes along without naming them: they get another name, go, or are opened to somebody.
pub(crate) fn moved_schema(access: &Access) -> Option<&str> {
    let Object::Other { kind, name } = &access.object else { return None };
    let whole = matches!(access.action.name, ActionName::Rename | ActionName::Drop);
    match *kind {
        "schema" if whole => Some(&name.name),
        "everything in schema" => Some(&name.name),
        _ => None,
    }
}

/// Whether a deny pattern means something in this schema.
pub(crate) fn reaches_into(scope: &Scope, pattern: &Pattern, schema: &str) -> bool {
    match (&pattern.schema, &scope.path) {
        (Some(wanted), _) => wanted.matches(schema),
        (None, Some(path)) => path.iter().any(|of_path| **of_path == *schema),
        (None, None) => true,
    }
}

/// Whether an access writes to one of the server's own tables.
fn writes_catalog(access: &Access, candidate: Candidate<'_>) -> bool {
    access.action.name.group() == Group::Write
        && candidate.schema.is_some_and(|schema| is_system_schema(schema) && !is_temp(schema))
}

/// Whether a deny pattern matches a name in any schema that it may mean.
pub(crate) fn struck(scope: &Scope, patterns: &[Pattern], name: &Name, meaning: Meaning<'_>) -> bool {
    patterns.iter().any(|pattern| match meaning {
        Meaning::In(schema) => pattern.strikes(scope, Some(schema), &name.name),
        Meaning::Catalog => pattern.strikes(scope, Some("pg_catalog"), &name.name),
        Meaning::Path => match &scope.path {
            None => pattern.strikes(scope, None, &name.name),
            Some(path) => {
                path.iter().any(|schema| pattern.strikes(scope, Some(schema), &name.name))
                    || (scope.temp && pattern.strikes(scope, Some("pg_temp"), &name.name))
            }
        },
    })
}

/// The statistics views and tables, which hold values of user tables: a deny on a table or column covers them too.
fn holds_values(name: &Name, meaning: Meaning<'_>) -> bool {
    let in_catalog = match meaning {
        Meaning::In(schema) => schema == "pg_catalog",
        Meaning::Catalog | Meaning::Path => true,
    };
    in_catalog
        && (name.name.starts_with("pg_stats") || name.name.starts_with("pg_statistic"))
        && &*name.name != "pg_statistic_ext"
}
