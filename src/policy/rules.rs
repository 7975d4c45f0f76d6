//! The rules of a list, found by what they name: what thousands of rules cost a statement is what those about its objects
//! cost.

use std::collections::HashMap;
use std::sync::Arc;

use crate::policy::glob::Glob;
use crate::policy::rule::{Rule, Selectors, moved_schema, takes_any_table};
use crate::sql::{Access, Object};

/// Rules in the order of their files.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    all: Vec<Arc<Rule>>,
    /// Rules that speak about relations and functions of these names only, by name.
    named: HashMap<Box<str>, Vec<usize>>,
    /// Rules that may speak about anything.
    general: Vec<usize>,
    /// Those that ask about statements, whatever they touch.
    of_statements: Vec<usize>,
}

/// Lists shorter than this are simply gone through.
const FEW: usize = 16;

impl Rules {
    pub fn new(all: Vec<Arc<Rule>>) -> Rules {
        let mut rules = Rules::default();
        let few = all.len() < FEW;
        for (place, rule) in all.iter().enumerate() {
            match names(&rule.selectors).filter(|_| !few) {
                Some(names) => {
                    for name in names {
                        let places = rules.named.entry(name.into()).or_default();
                        if places.last() != Some(&place) {
                            places.push(place);
                        }
                    }
                }
                None => rules.general.push(place),
            }
            if rule.selectors.is_empty() && !rule.when.is_empty() && !rule.when.is_of_access() {
                rules.of_statements.push(place);
            }
        }
        rules.all = all;
        rules
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.all.iter()
    }

    /// The rules that may speak about an access, in order.
    pub fn about<'r>(&'r self, access: &Access) -> impl Iterator<Item = &'r Arc<Rule>> + use<'r> {
        // What takes tables along without naming them; and the statistics, which hold values of any table.
        if takes_any_table(access) || moved_schema(access).is_some() {
            return Found::All(self.all.iter());
        }
        let named: &[usize] = match &access.object {
            Object::Relation(name) if name.name.starts_with("pg_") => return Found::All(self.all.iter()),
            Object::Relation(name) | Object::Function { name, .. } => {
                self.named.get(&*name.name).map_or(&[], Vec::as_slice)
            }
            Object::None
            | Object::Setting { .. }
            | Object::Role(_)
            | Object::AnyRole
            | Object::Cursor(_)
            | Object::Other { .. }
            | Object::Unknown(_) => &[],
        };
        Found::Some { rules: &self.all, named, general: &self.general }
    }

    /// The rules on all objects that ask about the statement.
    pub fn about_statements(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.of_statements.iter().filter_map(|place| self.all.get(*place))
    }
}

/// The names that a rule speaks about, where it speaks about nothing else.
fn names(selectors: &Selectors) -> Option<Vec<&str>> {
    let Selectors { tables, functions, columns, settings, roles, cursors, objects } = selectors;
    let others = !(settings.is_empty() && roles.is_empty() && cursors.is_empty() && objects.is_empty());
    // A rule on columns speaks of the statistics views as well, and so does one on tables in `deny`.
    if others || !columns.is_empty() || (tables.is_empty() && functions.is_empty()) {
        return None;
    }
    tables
        .iter()
        .chain(functions)
        .map(|pattern| match &pattern.name {
            Glob::Literal(name) => Some(&**name),
            Glob::Any | Glob::Prefix(_) | Glob::General(_) => None,
        })
        .collect()
}

/// What was found: merged in order.
enum Found<'r> {
    All(std::slice::Iter<'r, Arc<Rule>>),
    Some { rules: &'r [Arc<Rule>], named: &'r [usize], general: &'r [usize] },
}

impl<'r> Iterator for Found<'r> {
    type Item = &'r Arc<Rule>;

    fn next(&mut self) -> Option<&'r Arc<Rule>> {
        match self {
            Found::All(rules) => rules.next(),
            Found::Some { rules, named, general } => {
                let place = match (named.split_first(), general.split_first()) {
                    (Some((a, rest)), Some((b, _))) if a < b => {
                        *named = rest;
                        a
                    }
                    (_, Some((b, rest))) => {
                        *general = rest;
                        b
                    }
                    (Some((a, rest)), None) => {
                        *named = rest;
                        a
                    }
                    (None, None) => return None,
                };
                rules.get(*place)
            }
        }
    }
}
