//! The smallest rules that would allow what no rule covers, in the policy language.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::policy::compile::allowable;
use crate::policy::decide::Lack;
use crate::policy::names::{Meaning, Scope, is_system_schema};
use crate::policy::rule::lives_in_no_schema;
use crate::policy::settings::{Given, Known, given, known};
use crate::policy::wording::{pattern, yaml};
use crate::policy::{Moment, SessionPolicy, Stands, Traced, wording};
use crate::sql::settings::canonical;
use crate::sql::{Access, Action, ActionName, Name, Object};

/// A rule of `allow` that nobody has named yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewRule {
    /// Words of `actions`, sorted.
    pub actions: Vec<String>,
    /// Each selector once, with its entries, sorted.
    pub selectors: Vec<(&'static str, Vec<String>)>,
}

/// As many entries as are read in one line.
const FEW: usize = 6;

impl NewRule {
    /// The rule as one line of YAML: `{rule: NAME, actions: [select], tables: [orders]}`.
    pub fn yaml(&self, name: &str) -> String {
        let list = |words: &[String]| words.iter().map(|word| yaml(word)).collect::<Vec<_>>().join(", ");
        let mut text = format!("{{rule: {}, actions: [{}]", yaml(name), list(&self.actions));
        for (selector, entries) in &self.selectors {
            // Writing to a `String` does not fail.
            let _ = write!(text, ", {selector}: [{}]", list(entries));
        }
        text.push('}');
        text
    }

    /// The rule as lines of a policy's file, one for each entry where there are many: so that a change reads well.
    pub fn block(&self, name: &str) -> String {
        if self.selectors.iter().map(|(_, entries)| entries.len()).sum::<usize>() <= FEW {
            return format!("  - {}\n", self.yaml(name));
        }
        let actions = self.actions.iter().map(|word| yaml(word)).collect::<Vec<_>>().join(", ");
        let mut text = format!("  - rule: {}\n    actions: [{actions}]\n", yaml(name));
        for (selector, entries) in &self.selectors {
            let _ = writeln!(text, "    {selector}:");
            for entry in entries {
                let _ = writeln!(text, "      - {}", yaml(entry));
            }
        }
        text
    }
}

impl NewRule {
    /// A name that says what the rule allows: `select-orders`.
    pub fn suggested_name(&self) -> String {
        let entry = self.selectors.first().and_then(|(_, entries)| entries.first());
        let words = self.actions.first().into_iter().chain(entry);
        let mut name = String::new();
        for word in words.flat_map(|word| word.split(|c: char| !c.is_ascii_alphanumeric())).filter(|w| !w.is_empty()) {
            if !name.is_empty() {
                name.push('-');
            }
            name.push_str(&word.to_ascii_lowercase());
        }
        name.truncate(48);
        match name.trim_end_matches('-') {
            "" => "new-rule".to_owned(),
            // One word may be one of those that rules can't be called.
            name if !name.contains('-') => format!("allow-{name}"),
            name => name.to_owned(),
        }
    }
}

/// How far a learned rule goes beyond what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breadth {
    /// These objects only.
    Objects,
    /// Every relation, function and type of their schemas.
    Schemas,
}

/// The selector that can name an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Selector {
    /// The action alone.
    None,
    Tables,
    Functions,
    Settings,
    Roles,
    Cursors,
    Objects,
}

impl Selector {
    fn key(self) -> Option<&'static str> {
        match self {
            Selector::None => None,
            Selector::Tables => Some("tables"),
            Selector::Functions => Some("functions"),
            Selector::Settings => Some("settings"),
            Selector::Roles => Some("roles"),
            Selector::Cursors => Some("cursors"),
            Selector::Objects => Some("objects"),
        }
    }
}

impl Selector {
    /// Whether a rule without a selector covers such objects, too.
    fn is_in_none(self) -> bool {
        match self {
            Selector::Tables | Selector::Functions | Selector::Objects => true,
            // Settings may be guarded, and roles and cursors are to be named.
            Selector::None | Selector::Settings | Selector::Roles | Selector::Cursors => false,
        }
    }
}

/// What a rule has to say to cover one access.
struct Wanted {
    action: String,
    selector: Selector,
    entry: String,
}

impl SessionPolicy {
    /// Rules that allow what is missing in a trace, and nothing else (with `breadth`: as little else as it says), one for each kind
    /// of objects under the same actions.
    ///
    /// # Errors
    /// For each access that no allow rule can cover: what to do instead.
    pub fn rules_for<'t>(
        &self,
        traced: impl IntoIterator<Item = &'t Traced>,
        moment: &Moment<'_>,
        breadth: Breadth,
    ) -> Result<Vec<NewRule>, Vec<String>> {
        let class = &self.session.class;
        let nowhere = Scope::default();
        let scope = class.enforcing.as_ref().or(class.observing.as_ref()).map_or(&nowhere, |bench| &bench.scope);
        let missing = traced.into_iter().filter_map(|traced| match &traced.stands {
            Stands::Missing { lack, .. } => Some((&traced.access, *lack)),
            Stands::Allowed(_) | Stands::Free(_) | Stands::AtBind => None,
        });
        rules(scope, missing, moment, breadth)
    }
}

/// Rules that allow what is missing, one for each kind of objects under the same actions.
///
/// # Errors
/// As [`SessionPolicy::rules_for`].
pub(crate) fn rules<'a>(
    scope: &Scope,
    missing: impl IntoIterator<Item = (&'a Access, Lack)>,
    moment: &Moment<'_>,
    breadth: Breadth,
) -> Result<Vec<NewRule>, Vec<String>> {
    let mut wanted = Vec::new();
    let mut helpless: Vec<String> = Vec::new();
    for (access, lack) in missing {
        match want(scope, access, lack, moment, breadth) {
            Ok(one) => wanted.push(one),
            Err(instead) if helpless.contains(&instead) => {}
            Err(instead) => helpless.push(instead),
        }
    }
    if helpless.is_empty() { Ok(grouped(wanted)) } else { Err(helpless) }
}

/// What a rule must say to cover an access; else what to do instead.
fn want(scope: &Scope, access: &Access, lack: Lack, moment: &Moment<'_>, breadth: Breadth) -> Result<Wanted, String> {
    let instead = || {
        let why = wording::lacking(access, lack, moment);
        Err(format!("{why}: {}", wording::instead(access, lack, moment)))
    };
    match lack {
        Lack::Rule | Lack::Guarded => {}
        Lack::Pinned | Lack::Nameless | Lack::Temporary => return instead(),
    }
    let of = |selector, entry| Ok(Wanted { action: access.action.to_string(), selector, entry });
    let wide = breadth == Breadth::Schemas;
    match &access.object {
        Object::Unknown(_) | Object::AnyRole => instead(),
        Object::None => of(Selector::None, String::new()),
        Object::Relation(name) => of(Selector::Tables, named(name, scope, scope.relation(name), wide)?),
        Object::Function { name, builtin } => {
            let wide = wide && !*builtin;
            of(Selector::Functions, named(name, scope, scope.meaning(name, *builtin), wide)?)
        }
        // The name of a program or a file may be longer than names are: then the action is allowed whatever it names.
        Object::Other { name, .. } if name.name.len() > 63 || name.name.is_empty() => of(Selector::None, String::new()),
        Object::Other { kind, name } if lives_in_no_schema(kind) => {
            of(Selector::Objects, pattern(&Name::bare(&name.name)))
        }
        Object::Other { name, .. } => of(Selector::Objects, named(name, scope, scope.meaning(name, false), wide)?),
        Object::Role(Some(role)) => of(Selector::Roles, role.to_string()),
        Object::Role(None) if access.action.name == ActionName::SetRole => instead(),
        Object::Role(None) => of(Selector::None, String::new()),
        Object::Cursor(name) => of(Selector::Cursors, name.to_string()),
        Object::Setting { .. } if access.action.name == ActionName::AlterSystem && lack == Lack::Guarded => instead(),
        Object::Setting { name, value } => match (known(name, moment), given(value, moment)) {
            (Known::Text("role" | "session_authorization"), Given::Elements(roles)) => match roles.as_slice() {
                [role] => {
                    let action = Action::from(ActionName::SetRole).to_string();
                    Ok(Wanted { action, selector: Selector::Roles, entry: (*role).to_owned() })
                }
                _ => instead(),
            },
            (Known::Text(name), _) if lack == Lack::Rule => of(Selector::Settings, canonical(name)),
            (Known::Text(name), Given::Elements(values)) if allowable(&canonical(name), &values) => {
                of(Selector::Settings, format!("{}={}", canonical(name), values.join(",")))
            }
            _ => instead(),
        },
    }
}

/// The pattern that covers every object that a name may mean, and nothing else (`wide`: and everything in the same schemas).
fn named(name: &Name, scope: &Scope, meaning: Meaning<'_>, wide: bool) -> Result<String, String> {
    let last = |schema: Option<&str>| match (wide, schema) {
        (false, None) => pattern(&Name::bare(&name.name)),
        (false, Some(schema)) => pattern(&Name::qualified(schema, &name.name)),
        (true, None) => "*".to_owned(),
        (true, Some(schema)) => format!("{}.*", pattern(&Name::bare(schema))),
    };
    match meaning {
        // The same object written both ways is one entry.
        Meaning::In(schema) if !scope.temp && scope.path.as_deref().is_some_and(|path| is_only(path, schema)) => {
            Ok(last(None))
        }
        Meaning::In(schema) => Ok(last(Some(schema))),
        // Never all of the catalogs.
        Meaning::Catalog => Ok(pattern(&Name::qualified("pg_catalog", &name.name))),
        Meaning::Path if scope.path.as_ref().is_some_and(Vec::is_empty) => {
            Err(format!("the search_path is empty: write {name} with its schema"))
        }
        Meaning::Path => Ok(last(None)),
    }
}

fn is_only(path: &[Box<str>], schema: &str) -> bool {
    matches!(path, [only] if **only == *schema)
}

/// One rule for all objects of a kind under the same actions.
fn grouped(wanted: Vec<Wanted>) -> Vec<NewRule> {
    let mut objects: BTreeMap<(Selector, String), BTreeSet<String>> = BTreeMap::new();
    for Wanted { action, selector, entry } in wanted {
        objects.entry((selector, entry)).or_default().insert(action);
    }
    // What is allowed on everything needs no other rule.
    let everywhere = objects.get(&(Selector::None, String::new())).cloned().unwrap_or_default();
    for ((_, entry), actions) in objects.iter_mut().filter(|((selector, _), _)| selector.is_in_none()) {
        // A rule without a selector doesn't let write to the catalogs.
        if !entry.split_once('.').is_some_and(|(schema, _)| is_system_schema(schema)) {
            actions.retain(|action| !everywhere.contains(action));
        }
    }
    objects.retain(|_, actions| !actions.is_empty());
    let mut groups: BTreeMap<(Selector, BTreeSet<String>), Vec<String>> = BTreeMap::new();
    for ((selector, entry), actions) in objects {
        groups.entry((selector, actions)).or_default().push(entry);
    }
    let rule = |((selector, actions), entries): ((Selector, BTreeSet<String>), Vec<String>)| NewRule {
        actions: actions.into_iter().collect(),
        selectors: selector.key().map(|key| (key, entries)).into_iter().collect(),
    };
    groups.into_iter().map(rule).collect()
}

/// Fewer rules that say the same: where each selector has one rule, they are one together.
pub fn together(rules: Vec<NewRule>) -> Vec<NewRule> {
    let key = |rule: &NewRule| rule.selectors.first().map(|(key, _)| *key);
    let mut apart: Vec<NewRule> = Vec::new();
    let mut whole: Option<NewRule> = None;
    for rule in &rules {
        let alone = rules.iter().filter(|other| key(other) == key(rule)).count() == 1;
        // `objects` speaks about relations and functions as well, and a rule without a selector about everything.
        let own = matches!(key(rule), None | Some("objects"));
        match &mut whole {
            _ if own || !alone => apart.push(rule.clone()),
            None => whole = Some(rule.clone()),
            Some(whole) if whole.actions.iter().any(|action| rule.actions.contains(action)) => apart.push(rule.clone()),
            Some(whole) => {
                whole.actions.extend(rule.actions.iter().cloned());
                whole.actions.sort_unstable();
                whole.selectors.extend(rule.selectors.iter().cloned());
            }
        }
    }
    whole.into_iter().chain(apart).collect()
}
