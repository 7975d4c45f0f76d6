//! Globs (`*`, `?`) on single names, compiled once.

use std::fmt;

/// A pattern on one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Glob {
    /// `*`
    Any,
    /// No wildcard at all.
    Literal(Box<str>),
    /// One `*`, at the end.
    Prefix(Box<str>),
    /// Anything else.
    General(Box<[char]>),
}

/// As it is written in a policy.
impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Glob::Any => f.write_str("*"),
            Glob::Literal(text) => f.write_str(text),
            Glob::Prefix(text) => write!(f, "{text}*"),
            Glob::General(pattern) => pattern.iter().try_for_each(|c| write!(f, "{c}")),
        }
    }
}

impl Glob {
    /// Compiles a pattern as it stands.
    pub fn new(pattern: &str) -> Glob {
        if pattern == "*" {
            return Glob::Any;
        }
        if !pattern.contains(['*', '?']) {
            return Glob::Literal(pattern.into());
        }
        match pattern.strip_suffix('*') {
            Some(prefix) if !prefix.contains(['*', '?']) => Glob::Prefix(prefix.into()),
            _ => Glob::General(pattern.chars().collect()),
        }
    }

    /// A name that matches itself only, wildcards included (a quoted identifier).
    pub fn literal(name: &str) -> Glob {
        Glob::Literal(name.into())
    }

    pub fn matches(&self, name: &str) -> bool {
        match self {
            Glob::Any => true,
            Glob::Literal(literal) => **literal == *name,
            Glob::Prefix(prefix) => name.starts_with(&**prefix),
            Glob::General(pattern) => general(pattern, name),
        }
    }

    /// Whether it names exactly one thing.
    pub fn is_literal(&self) -> bool {
        matches!(self, Glob::Literal(_))
    }

    /// The text before the first wildcard.
    pub fn stem(&self) -> String {
        match self {
            Glob::Any => String::new(),
            Glob::Literal(text) | Glob::Prefix(text) => text.to_string(),
            Glob::General(pattern) => pattern.iter().take_while(|c| !matches!(c, '*' | '?')).collect(),
        }
    }

    /// A name that matches.
    pub fn sample(&self) -> String {
        match self {
            Glob::Any => "anyone".to_owned(),
            Glob::Literal(text) => text.to_string(),
            Glob::Prefix(text) => format!("{text}x"),
            Glob::General(pattern) => pattern.iter().map(|&c| if matches!(c, '*' | '?') { 'x' } else { c }).collect(),
        }
    }

    /// Whether some name matches both: exact where one is a literal, else by their stems (may say yes too often).
    pub fn overlaps(&self, other: &Glob) -> bool {
        match (self, other) {
            (Glob::Literal(name), glob) | (glob, Glob::Literal(name)) => glob.matches(name),
            (a, b) => {
                let (a, b) = (a.stem(), b.stem());
                a.starts_with(&b) || b.starts_with(&a)
            }
        }
    }
}

/// Wildcard matching with one point to come back to: linear but for the last `*`.
fn general(pattern: &[char], name: &str) -> bool {
    let mut rest = name.chars();
    let mut at = 0;
    let mut back: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        let here = pattern.get(at).copied();
        if here == Some('*') {
            at += 1;
            back = Some((at, rest.clone()));
            continue;
        }
        match (here, rest.next()) {
            (None, None) => return true,
            (Some(p), Some(c)) if p == '?' || p == c => at += 1,
            // Let the last `*` swallow one more character, if there is one.
            _ => {
                let Some((star, from)) = &mut back else { return false };
                if from.next().is_none() {
                    return false;
                }
                at = *star;
                rest = from.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn globs() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("orders", "orders", true),
            ("orders", "Orders", false),
            ("shop_*", "shop_", true),
            ("shop_*", "shop", false),
            ("*_log", "a_log", true),
            ("*_log", "a_logs", false),
            ("a?c", "abc", true),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?*", "", false),
            ("**", "x", true),
        ] {
            assert_eq!(Glob::new(pattern).matches(name), expected, "{pattern} {name}");
        }
    }

    /// The obvious definition.
    fn naive(pattern: &[char], name: &[char]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), None) => naive(rest, name),
            (Some(('*', rest)), Some((_, tail))) => naive(rest, name) || naive(pattern, tail),
            (Some(('?', rest)), Some((_, tail))) => naive(rest, tail),
            (Some((p, rest)), Some((c, tail))) if p == c => naive(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            let expected = naive(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>());
            prop_assert_eq!(Glob::new(&pattern).matches(&name), expected);
        }

        #[test]
        fn a_sample_matches(pattern in "[ab*?]{1,8}") {
            let glob = Glob::new(&pattern);
            prop_assert!(glob.matches(&glob.sample()));
        }

        #[test]
        fn two_that_share_a_name_overlap(a in "[ab*?]{0,5}", b in "[ab*?]{0,5}", name in "[ab]{0,5}") {
            let (a, b) = (Glob::new(&a), Glob::new(&b));
            prop_assert!(!(a.matches(&name) && b.matches(&name)) || a.overlaps(&b));
        }
    }
}
