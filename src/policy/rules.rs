//! The rules of a list, found by what they name: what thousands of rules cost a statement is what those about its objects
//! cost.

use std::collections::HashMap;
use std::sync::Arc;

use aho_corasick::AhoCorasick;

use crate::policy::glob::Glob;
use crate::policy::names::{Pattern, Scope};
use crate::policy::rule::{Rule, Selectors, moved_schema, takes_any_table};
use crate::sql::{Access, Name, Object};

/// Rules in the order of their files.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    all: Vec<Arc<Rule>>,
    /// Rules that speak about relations and functions only, by what their patterns say of a name.
    named: Places,
    parts: Parts,
    /// Of whole schemas.
    schemas: Places,
    /// Rules that may speak about anything.
    general: Vec<usize>,
    /// Those that ask about statements, whatever they touch.
    of_statements: Vec<usize>,
}

/// Where rules stand, by a word.
type Places = HashMap<Box<str>, Vec<usize>>;

/// Where rules stand, by the longest part without wildcards of a name's pattern: `?orders_*` speaks of no name without
/// `orders_`. All parts of a name are found in one pass over it.
#[derive(Debug, Default)]
struct Parts {
    search: Option<AhoCorasick>,
    places: Vec<Vec<usize>>,
}

/// By what a pattern is found.
enum Key {
    Name(Box<str>),
    Part(Box<str>),
    Schema(Box<str>),
}

/// Lists shorter than this are simply gone through.
const FEW: usize = 16;

impl Rules {
    pub fn new(all: Vec<Arc<Rule>>) -> Rules {
        let mut rules = Rules::default();
        let mut parts = Places::new();
        let few = all.len() < FEW;
        for (place, rule) in all.iter().enumerate() {
            match keys(&rule.selectors).filter(|_| !few) {
                Some(keys) => {
                    for key in keys {
                        let (places, word) = match key {
                            Key::Name(word) => (&mut rules.named, word),
                            Key::Part(word) => (&mut parts, word),
                            Key::Schema(word) => (&mut rules.schemas, word),
                        };
                        let places = places.entry(word).or_default();
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
        match Parts::new(&parts) {
            Some(parts) => rules.parts = parts,
            // More of them than can be searched for at once: they are asked one by one.
            None => {
                rules.general.extend(parts.into_values().flatten());
                rules.general.sort_unstable();
                rules.general.dedup();
            }
        }
        rules.all = all;
        rules
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.all.iter()
    }

    /// The rules that may speak about an access, in order.
    pub fn about<'r>(&'r self, scope: &Scope, access: &Access) -> impl Iterator<Item = &'r Arc<Rule>> + use<'r> {
        // What takes tables along without naming them; and the statistics, which hold values of any table.
        if takes_any_table(access) || moved_schema(access).is_some() {
            return Found::All(self.all.iter());
        }
        match &access.object {
            Object::Relation(name) if name.name.starts_with("pg_") => Found::All(self.all.iter()),
            Object::Relation(name) | Object::Function { name, .. } => self.about_name(scope, name),
            Object::None
            | Object::Setting { .. }
            | Object::Role(_)
            | Object::AnyRole
            | Object::Cursor(_)
            | Object::Other { .. }
            | Object::Unknown(_) => Found::Some { rules: &self.all, named: &[], general: &self.general },
        }
    }

    fn about_name(&self, scope: &Scope, name: &Name) -> Found<'_> {
        let named = self.named.get(&*name.name).map_or(&[][..], Vec::as_slice);
        if self.parts.search.is_none() && self.schemas.is_empty() {
            return Found::Some { rules: &self.all, named, general: &self.general };
        }
        let mut places = [named, &self.general].concat();
        places.extend(self.parts.of(&name.name));
        match (&name.schema, &scope.path) {
            // A session's temporary schema has a number, and is meant by `pg_temp`, too.
            (Some(schema), _) => {
                let schemas = [&**schema, "pg_temp"];
                places.extend(schemas.into_iter().filter_map(|schema| self.schemas.get(schema)).flatten());
            }
            // Without a path the name may be one of any schema; with one, of these, and of those that every path has.
            (None, None) => places.extend(self.schemas.values().flatten()),
            (None, Some(path)) => {
                let always = ["pg_catalog", "pg_temp"];
                let schemas = path.iter().map(|schema| &**schema).chain(always);
                places.extend(schemas.filter_map(|schema| self.schemas.get(schema)).flatten());
            }
        }
        places.sort_unstable();
        places.dedup();
        Found::These { rules: &self.all, places: places.into_iter() }
    }

    /// The rules on all objects that ask about the statement.
    pub fn about_statements(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.of_statements.iter().filter_map(|place| self.all.get(*place))
    }
}

impl Parts {
    /// `None` if there are more than can be searched for at once.
    fn new(parts: &Places) -> Option<Parts> {
        if parts.is_empty() {
            return Some(Parts::default());
        }
        let search = AhoCorasick::new(parts.keys().map(|part| part.as_bytes())).ok()?;
        Some(Parts { search: Some(search), places: parts.values().cloned().collect() })
    }

    /// Where the rules stand whose part occurs in a name.
    fn of<'p>(&'p self, name: &'p str) -> impl Iterator<Item = usize> + use<'p> {
        let found = self.search.iter().flat_map(move |search| search.find_overlapping_iter(name));
        found.filter_map(|part| self.places.get(part.pattern().as_usize())).flatten().copied()
    }
}

/// By what a rule is found, where it speaks about relations and functions only.
fn keys(selectors: &Selectors) -> Option<Vec<Key>> {
    let Selectors { tables, functions, columns, settings, roles, cursors, objects } = selectors;
    let others = !(settings.is_empty() && roles.is_empty() && cursors.is_empty() && objects.is_empty());
    // A rule on columns speaks of the statistics views as well, and so does one on tables in `deny`.
    if others || !columns.is_empty() || (tables.is_empty() && functions.is_empty()) {
        return None;
    }
    tables.iter().chain(functions).map(key).collect()
}

fn key(pattern: &Pattern) -> Option<Key> {
    match (&pattern.name, &pattern.schema) {
        (Glob::Literal(name), _) => Some(Key::Name(name.clone())),
        (Glob::Prefix(prefix), _) => Some(Key::Part(prefix.clone())),
        (Glob::General(pattern), _) => {
            let part = pattern.split(|c| matches!(c, '*' | '?')).max_by_key(|part| part.len())?;
            (!part.is_empty()).then(|| Key::Part(part.iter().collect::<String>().into()))
        }
        (Glob::Any, Some(Glob::Literal(schema))) => Some(Key::Schema(schema.clone())),
        (Glob::Any, Some(Glob::Any | Glob::Prefix(_) | Glob::General(_)) | None) => None,
    }
}

/// What was found: merged in order.
enum Found<'r> {
    All(std::slice::Iter<'r, Arc<Rule>>),
    Some { rules: &'r [Arc<Rule>], named: &'r [usize], general: &'r [usize] },
    These { rules: &'r [Arc<Rule>], places: std::vec::IntoIter<usize> },
}

impl<'r> Iterator for Found<'r> {
    type Item = &'r Arc<Rule>;

    fn next(&mut self) -> Option<&'r Arc<Rule>> {
        match self {
            Found::All(rules) => rules.next(),
            Found::These { rules, places } => places.next().and_then(|place| rules.get(place)),
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
