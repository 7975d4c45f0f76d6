//! Names as PostgreSQL folds them, patterns on them, and what an unqualified name may mean (POLICY 3).

pub(crate) mod spelling;

use crate::policy::glob::Glob;
pub(crate) use crate::policy::names::spelling::{BadPattern, Named};
use crate::sql::Name;
use crate::sql::relations::is_catalog_relation_name;

/// PostgreSQL's limit on identifiers, in bytes (NAMEDATALEN - 1).
const MAX_NAME: usize = 63;

/// A pattern on a possibly qualified name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// `None`: the schemas of the path.
    pub schema: Option<Glob>,
    pub name: Glob,
}

/// How an unqualified name resolves in a session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// The schemas that an unqualified name may mean: `search_path` and every other value that the policies permit.
    /// `None` where no policy gives a path.
    pub path: Option<Vec<Box<str>>>,
    /// `temp_tables: allow`: an unqualified name may also mean a temporary table.
    pub temp: bool,
    /// The names of functions that the rules let the session call: `u.leak` is `leak(u)` where `u` has no such column, and
    /// then reads all of `u` (POLICY 5). A bare `*` is not among them: it would make every column a function.
    pub attributes: Vec<Glob>,
}

/// What a name may stand for, seen from the catalogs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning<'a> {
    /// In this schema.
    In(&'a str),
    /// In pg_catalog, written without schema.
    Catalog,
    /// In one of the path's schemas (there may be none).
    Path,
}

impl Scope {
    /// What a relation's name may stand for.
    pub fn relation<'a>(&self, name: &'a Name) -> Meaning<'a> {
        self.meaning(name, is_catalog_relation_name(&name.name))
    }

    /// What a name may stand for, `in_catalog` telling whether pg_catalog has one like it.
    pub fn meaning<'a>(&self, name: &'a Name, in_catalog: bool) -> Meaning<'a> {
        match &name.schema {
            Some(schema) => Meaning::In(schema),
            None if in_catalog => Meaning::Catalog,
            None => Meaning::Path,
        }
    }

    /// Whether the schemas that an unqualified name means include this one.
    fn holds(&self, schema: &str) -> bool {
        match &self.path {
            Some(path) => path.iter().any(|s| **s == *schema) || (self.temp && is_temp(schema)),
            None => false,
        }
    }
}

/// The schemas that hold the server's own things or somebody's temporary ones.
pub(crate) fn is_system_schema(schema: &str) -> bool {
    schema == "pg_catalog" || schema == "information_schema" || schema.starts_with("pg_toast") || is_temp(schema)
}

/// `pg_temp` and the schemas behind it.
pub(crate) fn is_temp(schema: &str) -> bool {
    schema == "pg_temp" || schema.starts_with("pg_temp_") || schema.starts_with("pg_toast_temp_")
}

impl Pattern {
    /// Whether this `allow` pattern covers the name in one schema that it may mean; `None` is an unqualified name where
    /// no path is given.
    pub fn covers(&self, scope: &Scope, schema: Option<&str>, name: &str) -> bool {
        if !self.name.matches(name) {
            return false;
        }
        match (&self.schema, schema) {
            (None, None) => true,
            (None, Some("pg_catalog")) => self.name.is_literal(),
            (None, Some(schema)) => scope.holds(schema),
            // Whichever schema it is, `*.` means it too.
            (Some(pattern), None) => *pattern == Glob::Any,
            (Some(pattern), Some(schema)) => {
                pattern.matches(schema) && (!is_system_schema(schema) || spelled_out(pattern))
            }
        }
    }

    /// Whether this `deny` pattern matches the name in one schema that it may mean: read as wide as it can be meant.
    pub fn strikes(&self, scope: &Scope, schema: Option<&str>, name: &str) -> bool {
        if !self.name.matches(name) {
            return false;
        }
        match (&self.schema, schema) {
            (_, None) => true,
            (None, Some("pg_catalog")) => self.name != Glob::Any,
            (None, Some(schema)) => scope.path.is_none() || scope.holds(schema),
            (Some(pattern), Some(schema)) => pattern.matches(schema) || (is_temp(schema) && pattern.matches("pg_temp")),
        }
    }
}

/// Whether a schema pattern means a system schema on purpose: its text before the first wildcard says so.
pub(crate) fn spelled_out(pattern: &Glob) -> bool {
    let stem = pattern.stem();
    ["pg_catalog", "information_schema", "pg_toast", "pg_temp"].iter().any(|system| stem.starts_with(system))
}

/// Splits a pattern into its parts as PostgreSQL reads identifiers: unquoted parts fold to lower case, quoted ones are
/// taken as they stand (wildcards too), all are cut at 63 bytes. At most `most` parts.
///
/// # Errors
/// It can't be read, or has something in an unquoted part that is no name.
pub(crate) fn parts(text: &str, most: usize, named: Named) -> Result<Vec<Glob>, BadPattern> {
    let bad = |message| {
        let help = match most {
            2 => "write name or schema.name",
            _ => "write table.column or schema.table.column",
        };
        BadPattern { message, help: help.to_owned() }
    };
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (part, tail) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (name, tail) = unquote(quoted).ok_or_else(|| bad(format!("\"{text}\" has an unclosed quote")))?;
                (Glob::literal(truncate(&name)), tail)
            }
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                let (name, tail) = rest.split_at(end);
                if let Some(bad) = spelling::misspelt(text, name, named) {
                    return Err(bad);
                }
                (Glob::new(truncate(&name.to_ascii_lowercase())), tail)
            }
        };
        if part == Glob::Literal("".into()) {
            return Err(bad(format!("\"{text}\" has an empty part")));
        }
        parts.push(part);
        match tail.strip_prefix('.') {
            Some(next) => rest = next,
            None if tail.is_empty() => break,
            None => return Err(bad(format!("\"{text}\" has something after a quoted part"))),
        }
    }
    if parts.len() > most {
        return Err(bad(format!("\"{text}\" has {} parts, at most {most} are known here", parts.len())));
    }
    Ok(parts)
}

/// The text up to the closing quote, `""` being one quote, and what follows.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c != '"' {
            name.push(c);
            continue;
        }
        let tail = text.get(at + 1..)?;
        if !tail.starts_with('"') {
            return Some((name, tail));
        }
        name.push('"');
        chars.next();
    }
    None
}

/// Cuts at 63 bytes, at a character's edge.
pub(crate) fn truncate(name: &str) -> &str {
    let mut end = name.len().min(MAX_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or(name)
}

/// Reads `name` or `schema.name`.
///
/// # Errors
/// As [`parts`].
pub(crate) fn pattern(text: &str, named: Named) -> Result<Pattern, BadPattern> {
    let mut parts = parts(text, 2, named)?;
    let name = parts.pop().unwrap_or(Glob::Literal("".into()));
    Ok(Pattern { schema: parts.pop(), name })
}

/// Splits the value of a list setting such as `search_path` as the server does (SplitIdentifierString): unquoted elements
/// fold, quoted ones don't. `None` where the server would refuse it.
pub(crate) fn split_identifiers(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text.trim_matches(is_space);
    if rest.is_empty() {
        return Some(names);
    }
    loop {
        let (name, tail) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = rest.find(|c: char| c == ',' || is_space(c)).unwrap_or(rest.len());
                let (name, tail) = rest.split_at(end);
                if name.is_empty() {
                    return None;
                }
                (name.to_ascii_lowercase(), tail)
            }
        };
        names.push(truncate(&name).to_owned());
        let tail = tail.trim_start_matches(is_space);
        match tail.strip_prefix(',') {
            Some(next) => rest = next.trim_start_matches(is_space),
            None if tail.is_empty() => return Some(names),
            None => return None,
        }
    }
}

/// The server's scanner_isspace.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Result<Pattern, BadPattern> {
        super::pattern(text, Named::Relations)
    }

    fn scope(path: &[&str]) -> Scope {
        Scope { path: Some(path.iter().map(|s| (*s).into()).collect()), temp: false, attributes: Vec::new() }
    }

    #[test]
    fn patterns_fold_like_identifiers() {
        assert_eq!(pattern("Orders").unwrap(), pattern("orders").unwrap());
        assert_ne!(pattern("\"Orders\"").unwrap(), pattern("orders").unwrap());
        assert_eq!(pattern("\"a.b\".\"c\"\"d\"").unwrap().name, Glob::literal("c\"d"));
        for bad in ["", "a.", ".a", "a.b.c", "\"a", "\"a\"b"] {
            assert!(pattern(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn allow_patterns_never_reach_system_schemas_unless_spelled_out() {
        let scope = scope(&["public"]);
        let any = pattern("*.*").unwrap();
        assert!(any.covers(&scope, Some("hr"), "x"));
        for schema in ["pg_catalog", "information_schema", "pg_toast", "pg_temp_3", "pg_toast_temp_1", "pg_temp"] {
            assert!(!any.covers(&scope, Some(schema), "x"), "{schema}");
            assert!(!pattern("pg_*.*").unwrap().covers(&scope, Some(schema), "x"), "{schema}");
        }
        assert!(pattern("pg_catalog.*").unwrap().covers(&scope, Some("pg_catalog"), "pg_authid"));
    }

    #[test]
    fn a_pattern_without_schema_means_the_path() {
        let all = pattern("*").unwrap();
        assert!(all.covers(&scope(&["public"]), Some("public"), "x"));
        assert!(!all.covers(&scope(&["public"]), Some("hr"), "x"));
        assert!(all.covers(&Scope::default(), None, "x"));
        assert!(!all.covers(&Scope::default(), Some("public"), "x"));
    }

    #[test]
    fn deny_patterns_are_read_wide() {
        let nowhere = Scope::default();
        assert!(pattern("hr.salaries").unwrap().strikes(&nowhere, None, "salaries"));
        assert!(pattern("salaries").unwrap().strikes(&nowhere, Some("hr"), "salaries"));
        assert!(!pattern("salaries").unwrap().strikes(&scope(&["public"]), Some("hr"), "salaries"));
        assert!(!pattern("*").unwrap().strikes(&scope(&["public"]), Some("pg_catalog"), "pg_class"));
        assert!(pattern("pg_*").unwrap().strikes(&scope(&["public"]), Some("pg_catalog"), "pg_class"));
    }

    #[test]
    fn path_values_split_as_the_server_does() {
        let split = |text| split_identifiers(text).unwrap();
        assert_eq!(split("api, Public"), ["api", "public"]);
        assert_eq!(split("\"A,b\" ,c"), ["A,b", "c"]);
        assert_eq!(split(""), Vec::<String>::new());
        assert_eq!(split("\"\""), [""]);
        for bad in ["a,", "a b", ",", "\"a"] {
            assert_eq!(split_identifiers(bad), None, "{bad}");
        }
    }
}
