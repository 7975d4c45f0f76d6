//! Decoys: relations that nobody has a reason to touch. Whoever does is refused, whatever else is allowed, and it is an alarm.

use std::sync::Arc;

use crate::policy::glob::Glob;
use crate::policy::names::{Meaning, Pattern, Scope, is_system_schema, spelled_out};
use crate::policy::rule::{moved_schema, reaches_into, struck};
use crate::policy::verdict::RuleRef;
use crate::sql::relations::is_catalog_relation_name;
use crate::sql::{Access, Object};

/// One entry of `decoys`.
#[derive(Debug)]
pub(crate) struct Decoy {
    pub policy: Arc<str>,
    pub pattern: Pattern,
    /// The pattern as it is written.
    pub written: Arc<str>,
    pub file: Arc<str>,
    pub line: u32,
}

/// What is wrong with a decoy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Misplaced {
    /// It can only mean the server's own relations, which every client reads, or somebody's temporary ones.
    System,
    /// It is every table.
    Everything,
}

impl Decoy {
    /// Whether a pattern makes no decoy.
    pub fn misplaced(pattern: &Pattern) -> Option<Misplaced> {
        match (&pattern.schema, &pattern.name) {
            (Some(schema), _) if spelled_out(schema) => Some(Misplaced::System),
            (None, Glob::Literal(name)) if is_catalog_relation_name(name) => Some(Misplaced::System),
            (None, Glob::Prefix(stem)) if stem.starts_with("pg_") => Some(Misplaced::System),
            (None | Some(Glob::Any), Glob::Any) => Some(Misplaced::Everything),
            (Some(_) | None, _) => None,
        }
    }

    /// Whether an access is one to the decoy, in any sense that its name may have: whatever is done to it. Describing it from
    /// the catalogs is none.
    pub fn is_touched(&self, scope: &Scope, access: &Access) -> bool {
        if let Some(schema) = moved_schema(access) {
            return reaches_into(scope, &self.pattern, schema);
        }
        let Object::Relation(name) = &access.object else { return false };
        let meaning = scope.relation(name);
        let of_server = match meaning {
            Meaning::In(schema) => is_system_schema(schema),
            Meaning::Catalog => true,
            Meaning::Path => false,
        };
        !of_server && struck(scope, std::slice::from_ref(&self.pattern), name, meaning)
    }

    /// Whether everything that an allow rule's pattern means is the decoy's, the patterns that are every table aside.
    pub fn takes_all(&self, allowed: &Pattern, path: Option<&[Box<str>]>) -> bool {
        let takes = |decoy: &Glob, allowed: &Glob| match allowed {
            Glob::Literal(name) => decoy.matches(name),
            Glob::Any | Glob::Prefix(_) | Glob::General(_) => decoy == allowed,
        };
        let in_path = |schema: &Glob| path.is_none_or(|path| path.iter().any(|of_path| schema.matches(of_path)));
        Decoy::misplaced(&self.pattern).is_none()
            && (takes(&self.pattern.name, &allowed.name) || self.pattern.name == Glob::Any)
            && match (&self.pattern.schema, &allowed.schema) {
                (None, None) => true,
                (Some(schema), None) | (None, Some(schema)) => schema.is_literal() && in_path(schema),
                (Some(decoy), Some(allowed)) => takes(decoy, allowed),
            }
    }

    /// How refusals and metrics call it.
    pub fn reference(&self) -> RuleRef {
        RuleRef::Decoy { decoy: self.written.clone(), file: self.file.clone(), line: self.line }
    }
}
