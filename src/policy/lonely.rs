//! Names that look misspelt: a table, function or schema that is named in one place only, one slip of the hand away from one
//! that is named elsewhere. An allow rule for such a name allows nothing, a deny rule refuses nothing.

use std::collections::{HashMap, HashSet};

use crate::policy::compile::Policy;
use crate::policy::diagnostic::{Code, Diagnostic, Place, Source, distance};
use crate::policy::document::Tried;
use crate::policy::glob::Glob;
use crate::policy::names::Pattern;
use crate::sql::{self, Object};

/// What kind of thing a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Table,
    Function,
    Schema,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Table => "table",
            Kind::Function => "function",
            Kind::Schema => "schema",
        }
    }
}

/// A literal name in a policy.
#[derive(Debug)]
pub(crate) struct Mention {
    pub kind: Kind,
    pub name: Box<str>,
    pub place: Place,
}

impl Mention {
    /// The literal parts of a pattern; without a kind, only its schema.
    pub fn of(pattern: &Pattern, kind: Option<Kind>, place: Place) -> impl Iterator<Item = Mention> {
        let literal = |glob: Option<&Glob>, kind| match glob {
            Some(Glob::Literal(name)) => Some(Mention { kind, name: name.clone(), place }),
            Some(Glob::Any | Glob::Prefix(_) | Glob::General(_)) | None => None,
        };
        let schema = literal(pattern.schema.as_ref(), Kind::Schema);
        let name = kind.and_then(|kind| literal(Some(&pattern.name), kind));
        [schema, name].into_iter().flatten()
    }
}

/// Shorter names are too near to each other by chance.
const SHORTEST: usize = 4;
/// From this length on two slips are still one name.
const LONG: usize = 12;

/// The findings in the policies of some files.
pub(crate) fn findings(policies: &[Policy], sources: &[Source]) -> Vec<Diagnostic> {
    let mut times: HashMap<(Kind, &str), usize> = HashMap::new();
    for mention in policies.iter().flat_map(|policy| &policy.mentions) {
        *times.entry((mention.kind, &*mention.name)).or_default() += 1;
    }
    // Nothing to compare: the tests need not be read.
    let alone = |mention: &Mention| {
        mention.name.chars().count() >= SHORTEST && times.get(&(mention.kind, &*mention.name)) == Some(&1)
    };
    if !policies.iter().flat_map(|policy| &policy.mentions).any(alone) {
        return Vec::new();
    }
    let tested = tested_names(policies);
    let mut known: Vec<(Kind, &str)> = times.iter().filter(|(_, times)| **times > 1).map(|(name, _)| *name).collect();
    known.extend(tested.iter().map(|(kind, name)| (*kind, &**name)));
    known.sort_unstable();
    known.dedup();
    let mut findings =
        twins(policies, sources, |mention| alone(mention) && !tested.contains(&(mention.kind, mention.name.clone())));
    for policy in policies {
        let Some(source) = sources.iter().find(|source| source.file == policy.file) else { continue };
        for mention in policy.mentions.iter().filter(|mention| alone(mention)) {
            if tested.contains(&(mention.kind, mention.name.clone())) {
                continue;
            }
            let near = known
                .iter()
                .filter(|(kind, name)| *kind == mention.kind && is_slip(&mention.name, name))
                .min_by_key(|(_, name)| distance(&mention.name, name));
            if let Some((kind, near)) = near {
                let message =
                    format!("{} \"{}\" is named nowhere else, did you mean \"{near}\"?", kind.as_str(), mention.name);
                let help = "if it is right, name it in a test too: an `allow:` or `deny:` that uses it";
                findings.push(source.finding(Code::LonelyName, mention.place, message).help(help));
            }
        }
    }
    findings
}

/// A name, and the policy that tells of it.
type Told<'p> = (&'p Policy, &'p Mention);

/// Names that stand in one place each, and are one slip apart: one of the two may be the other.
fn twins(policies: &[Policy], sources: &[Source], alone: impl Fn(&Mention) -> bool) -> Vec<Diagnostic> {
    // Two words of one slip are equal when each lost one letter at most, so that not each has to be compared with all. Names with
    // other digits differ on purpose.
    let mut shortened: HashMap<(Kind, String, String), Vec<Told<'_>>> = HashMap::new();
    let mut findings = Vec::new();
    for policy in policies {
        let Some(source) = sources.iter().find(|source| source.file == policy.file) else { continue };
        for mention in policy.mentions.iter().filter(|mention| alone(mention)) {
            let mut earlier: Option<Told<'_>> = None;
            let digits: String = mention.name.chars().filter(char::is_ascii_digit).collect();
            for short in without_one(&mention.name) {
                let others = shortened.entry((mention.kind, short, digits.clone())).or_default();
                earlier =
                    earlier.or_else(|| others.iter().find(|(_, other)| is_twin(&mention.name, &other.name)).copied());
                others.push((policy, mention));
            }
            if let Some((of, other)) = earlier {
                let message = format!(
                    "{} \"{}\" is named nowhere else, and \"{}\" only in {}:{}: one of them may be the other, mistyped",
                    mention.kind.as_str(),
                    mention.name,
                    other.name,
                    of.file,
                    other.place.line
                );
                let help = "if both are right, name both in tests, too: an `allow:` or `deny:` that uses them";
                findings.push(source.finding(Code::LonelyName, mention.place, message).help(help));
            }
        }
    }
    findings
}

/// A word, and the words that it is with one letter less.
fn without_one(word: &str) -> HashSet<String> {
    let less = |at: usize| word.chars().enumerate().filter(|(index, _)| *index != at).map(|(_, c)| c).collect();
    (0..word.chars().count()).map(less).chain([word.to_owned()]).collect()
}

/// Shorter names than this, named once each, are too near to each other by chance.
const SHORTEST_TWIN: usize = 5;

/// Whether two names that nothing else confirms are one, mistyped: one slip, and not merely more at an end.
fn is_twin(a: &str, b: &str) -> bool {
    let within = |a: &str, b: &str| a.starts_with(b) || a.ends_with(b);
    a.chars().count().min(b.chars().count()) >= SHORTEST_TWIN
        && distance(a, b) == 1
        && !within(a, b)
        && !within(b, a)
        && !is_variant(a, b)
}

/// Whether one is the other, mistyped.
fn is_slip(a: &str, b: &str) -> bool {
    let length = a.chars().count().min(b.chars().count());
    let most = match length {
        LONG.. => 2,
        SHORTEST.. => 1,
        _ => return false,
    };
    a != b && a.len().abs_diff(b.len()) <= 8 && distance(a, b) <= most && !is_variant(a, b)
}

/// Whether two names differ as names on purpose do: by a number, by a plural, by a letter at the end that counts.
fn is_variant(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let plural = ["s", "es"].iter().any(|ending| long.strip_suffix(ending) == Some(short))
        || matches!((short.strip_suffix('y'), long.strip_suffix("ies")), (Some(x), Some(y)) if x == y);
    let without_digits = |name: &str| name.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    let numbered = [a, b].iter().any(|name| name.contains(|c: char| c.is_ascii_digit()));
    // orders_a and orders_b.
    let parts = |name: &str| name.rsplit_once('_').map(|(stem, last)| (stem.to_owned(), last.chars().count()));
    let lettered = matches!((parts(a), parts(b)), (Some((x, 1)), Some((y, 1))) if x == y);
    plural || lettered || (numbered && without_digits(a) == without_digits(b))
}

/// The names in the statements of the tests.
fn tested_names(policies: &[Policy]) -> HashSet<(Kind, Box<str>)> {
    let mut names = HashSet::new();
    let read = || {
        let mut names = HashSet::new();
        let steps = policies.iter().flat_map(|policy| &policy.tests).flat_map(|test| &test.steps);
        for step in steps {
            let Tried::Statement { sql, .. } = &step.what else { continue };
            // What can't be read has no names; its test says so.
            let Ok(analysis) = sql::analyse(sql, sql::Reading::default()) else { continue };
            for access in analysis.facts.statements.iter().flat_map(|statement| &statement.accesses) {
                let (kind, name) = match &access.object {
                    Object::Relation(name) => (Kind::Table, name),
                    Object::Function { name, .. } => (Kind::Function, name),
                    Object::None
                    | Object::Setting { .. }
                    | Object::Role(_)
                    | Object::AnyRole
                    | Object::Cursor(_)
                    | Object::Other { .. }
                    | Object::Unknown(_) => continue,
                };
                names.insert((kind, name.name.clone()));
                names.extend(name.schema.clone().map(|schema| (Kind::Schema, schema)));
            }
        }
        names
    };
    // On a stack that any statement fits in. Without one there are no warnings; the tests themselves tell that.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("policy-names".to_owned()).stack_size(sql::STACK);
        if let Ok(thread) = thread.spawn_scoped(scope, read) {
            names = thread.join().unwrap_or_default();
        }
    });
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_one_and_a_variant_is_none() {
        for (a, b) in
            [("order_itmes", "order_items"), ("ordres", "orders"), ("pubilc", "public"), ("invoce", "invoice")]
        {
            assert!(is_slip(a, b) && is_slip(b, a), "{a} {b}");
        }
        for (a, b) in [
            ("orders_2023", "orders_2024"),
            ("order", "orders"),
            ("category", "categories"),
            ("t1", "t2"),
            ("orders_a", "orders_b"),
            ("logs", "jobs"),
            ("user", "uses_of_it"),
            ("orders", "orders"),
        ] {
            assert!(!is_slip(a, b), "{a} {b}");
        }
    }

    #[test]
    fn twins_are_one_slip_apart() {
        for (a, b) in [("orders", "oders"), ("orders", "ordres"), ("customers", "custumers"), ("straße", "strase")] {
            assert!(is_twin(a, b) && is_twin(b, a), "{a} {b}");
            assert!(!without_one(a).is_disjoint(&without_one(b)), "{a} {b}");
        }
        for (a, b) in [
            ("order", "orders"),
            ("orders", "borders"),
            ("stage1", "stage2"),
            ("stage_a", "stage_b"),
            ("logs", "lags"),
            ("users", "groups"),
        ] {
            assert!(!is_twin(a, b) && !is_twin(b, a), "{a} {b}");
        }
    }
}
