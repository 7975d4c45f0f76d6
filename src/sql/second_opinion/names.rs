//! Names of `sqlparser`'s tree as PostgreSQL folds them.

use sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart};

/// NAMEDATALEN - 1: identifiers are cut to this many bytes.
const NAME_BYTES: usize = 63;

/// A name as PostgreSQL folds it.
pub(super) fn folded(ident: &Ident) -> String {
    let mut name = match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    };
    name.truncate(name.floor_char_boundary(NAME_BYTES));
    name
}

/// The last three parts of a name, with dots; as Facts spell a relation.
pub(super) fn dotted(name: &ObjectName) -> String {
    let parts: Vec<String> = name.0.iter().map(part).collect();
    let last = parts.len().saturating_sub(3);
    parts.get(last..).unwrap_or_default().join(".")
}

/// The name without its last part: `t` of the column `t.c`.
pub(super) fn without_last(name: &ObjectName) -> Option<String> {
    let (_, before) = name.0.split_last()?;
    (!before.is_empty()).then(|| dotted(&ObjectName(before.to_vec())))
}

/// The only part of an unqualified name.
pub(super) fn only(name: &ObjectName) -> Option<&Ident> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(ident)] => Some(ident),
        _ => None,
    }
}

/// A relation that stands where the tree has an expression (SELECT INTO).
pub(super) fn of_expression(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Identifier(ident) => Some(folded(ident)),
        Expr::CompoundIdentifier(parts) => Some(parts.iter().map(folded).collect::<Vec<_>>().join(".")),
        _ => None,
    }
}

fn part(part: &ObjectNamePart) -> String {
    match part {
        ObjectNamePart::Identifier(ident) => folded(ident),
        ObjectNamePart::Function(function) => folded(&function.name),
    }
}
