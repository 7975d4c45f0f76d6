//! The rules of a list, found by what they name: what thousands of rules cost a statement is what those about its objects
//! cost.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

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
    prefixes: Affixes,
    suffixes: Affixes,
    /// Of whole schemas.
    schemas: Places,
    /// Rules that may speak about anything.
    general: Vec<usize>,
    /// Those that ask about statements, whatever they touch.
    of_statements: Vec<usize>,
}

/// Where rules stand, by a word.
type Places = HashMap<Box<str>, Vec<usize>>;

/// Where rules stand, by the beginning (or the end) of a name, and how long those are.
#[derive(Debug, Default)]
struct Affixes {
    places: Places,
    lengths: BTreeSet<usize>,
}

/// By what a pattern is found.
enum Key {
    Name(Box<str>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    Schema(Box<str>),
}

/// Lists shorter than this are simply gone through.
const FEW: usize = 16;

impl Rules {
    pub fn new(all: Vec<Arc<Rule>>) -> Rules {
        let mut rules = Rules::default();
        let few = all.len() < FEW;
        for (place, rule) in all.iter().enumerate() {
            match keys(&rule.selectors).filter(|_| !few) {
                Some(keys) => keys.into_iter().for_each(|key| rules.add(key, place)),
                None => rules.general.push(place),
            }
            if rule.selectors.is_empty() && !rule.when.is_empty() && !rule.when.is_of_access() {
                rules.of_statements.push(place);
            }
        }
        rules.all = all;
        rules
    }

    fn add(&mut self, key: Key, place: usize) {
        let affix = |affixes: &mut Affixes, word: &str| {
            affixes.lengths.insert(word.len());
        };
        let places = match &key {
            Key::Name(_) => &mut self.named,
            Key::Prefix(word) => {
                affix(&mut self.prefixes, word);
                &mut self.prefixes.places
            }
            Key::Suffix(word) => {
                affix(&mut self.suffixes, word);
                &mut self.suffixes.places
            }
            Key::Schema(_) => &mut self.schemas,
        };
        let (Key::Name(word) | Key::Prefix(word) | Key::Suffix(word) | Key::Schema(word)) = key;
        let places = places.entry(word).or_default();
        if places.last() != Some(&place) {
            places.push(place);
        }
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
        if self.prefixes.places.is_empty() && self.suffixes.places.is_empty() && self.schemas.is_empty() {
            return Found::Some { rules: &self.all, named, general: &self.general };
        }
        let mut places = [named, &self.general].concat();
        for length in &self.prefixes.lengths {
            let word = name.name.get(..*length);
            places.extend(word.and_then(|word| self.prefixes.places.get(word)).into_iter().flatten());
        }
        for length in &self.suffixes.lengths {
            let word = name.name.len().checked_sub(*length).and_then(|start| name.name.get(start..));
            places.extend(word.and_then(|word| self.suffixes.places.get(word)).into_iter().flatten());
        }
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
        (Glob::Prefix(prefix), _) => Some(Key::Prefix(prefix.clone())),
        (Glob::General(pattern), _) => match &**pattern {
            ['*', rest @ ..] if !rest.iter().any(|c| matches!(c, '*' | '?')) => {
                Some(Key::Suffix(rest.iter().collect::<String>().into()))
            }
            _ => None,
        },
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
