//! `auth: certificate`: the client's certificate says which users it may log in as. Its common name is the user's, or
//! `auth_map` says so, in the format of `pg_ident.conf`:
//!
//! ```text
//! # MAPNAME  SYSTEM-USERNAME          PG-USERNAME
//! portcullis billing.internal          billing
//! portcullis /^(.*)\.apps\.internal$   \1
//! ```
//!
//! The system's user name is looked for in the common name and in the subject's alternative names.

use std::fmt;
use std::path::Path;

use regex::Regex;

use crate::session::auth::upstream::Credential;
use crate::session::auth::users::{UserFileError, read_public};
use crate::session::auth::{Check, Failed, Fatal, LoginEnd};
use crate::wire::sqlstate;

/// Who may log in as whom.
#[derive(Debug, Default)]
pub struct Map(Vec<Line>);

#[derive(Debug)]
struct Line {
    system: Pattern,
    /// With `\1` where the pattern has a group.
    user: String,
}

enum Pattern {
    Exact(String),
    Regex(Regex),
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Exact(text) => f.write_str(text),
            Pattern::Regex(regex) => write!(f, "/{regex}"),
        }
    }
}

impl Map {
    /// Reads a file.
    ///
    /// # Errors
    /// With file and line.
    pub fn read(path: &Path) -> Result<Map, UserFileError> {
        Map::parse(&read_public(path)?, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Map, UserFileError> {
        let mut lines = Vec::new();
        let mut map: Option<String> = None;
        for (number, line) in text.lines().enumerate() {
            let wrong = |problem: String| UserFileError::Line { path: path.to_owned(), line: number + 1, problem };
            let fields = fields(line).map_err(wrong)?;
            let [name, system, user] = match <[Field; 3]>::try_from(fields) {
                Ok(fields) => fields,
                Err(fields) if fields.is_empty() => continue,
                Err(_) => {
                    return Err(wrong(
                        "a line has three fields: the map's name, the certificate's name, the user".into(),
                    ));
                }
            };
            // Two maps in one file are for two rules of pg_hba.conf: here there is one.
            if map.get_or_insert_with(|| name.text.clone()) != &name.text {
                let first = map.unwrap_or_default();
                let problem = format!("the file has the maps \"{first}\" and \"{}\": keep one", name.text);
                return Err(wrong(problem));
            }
            lines.push(parse_line(&system, user).map_err(wrong)?);
        }
        Ok(Map(lines))
    }

    /// Whether an owner of one of these names may log in as this user.
    fn lets(&self, names: &[&str], user: &str) -> bool {
        self.0.iter().any(|line| names.iter().any(|name| line.lets(name, user)))
    }
}

impl Line {
    fn lets(&self, name: &str, user: &str) -> bool {
        match &self.system {
            Pattern::Exact(exact) => exact == name && self.user == user,
            Pattern::Regex(regex) => regex.captures(name).is_some_and(|captures| {
                if !self.user.contains("\\1") {
                    return self.user == user;
                }
                // A group that took no part (`(dev-)?`) is not an empty one: the server refuses, too.
                captures.get(1).is_some_and(|group| self.user.replacen("\\1", group.as_str(), 1) == user)
            }),
        }
    }
}

fn parse_line(system: &Field, user: Field) -> Result<Line, String> {
    if !user.quoted && (user.text == "all" || user.text.starts_with(['+', '/'])) {
        return Err(format!("`{}` as the user is not known here: name the user", user.text));
    }
    let system = match system.text.strip_prefix('/').filter(|_| !system.quoted) {
        None => Pattern::Exact(system.text.clone()),
        Some(pattern) => {
            let regex =
                Regex::new(pattern).map_err(|error| format!("the regular expression can't be read: {error}"))?;
            if user.text.contains("\\1") && regex.captures_len() < 2 {
                return Err("the user has \\1, and the regular expression has no parentheses".into());
            }
            Pattern::Regex(regex)
        }
    };
    Ok(Line { system, user: user.text })
}

struct Field {
    text: String,
    /// Words and signs in quotes have no meaning of their own.
    quoted: bool,
}

/// The fields of a line, as the server's `next_token` reads them; what follows a `#` is a comment.
fn fields(line: &str) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    let mut characters = line.chars().peekable();
    loop {
        while characters.next_if(|c| c.is_whitespace()).is_some() {}
        match characters.peek() {
            None | Some('#') => return Ok(fields),
            Some('@') => return Err("`@file` is not known here: write the lines into this file".into()),
            Some(_) => {}
        }
        let (mut text, mut quoted, mut inside) = (String::new(), false, false);
        while let Some(c) = characters.next_if(|c| inside || (!c.is_whitespace() && *c != '#')) {
            match c {
                '"' if inside && characters.next_if_eq(&'"').is_some() => text.push('"'),
                '"' => {
                    inside = !inside;
                    quoted |= text.is_empty();
                }
                other => text.push(other),
            }
        }
        if inside {
            return Err("a double quote is not closed".into());
        }
        if !quoted && fields.is_empty() && matches!(text.as_str(), "include" | "include_if_exists" | "include_dir") {
            return Err(format!("`{text}` is not known here: write the lines into this file"));
        }
        fields.push(Field { text, quoted });
    }
}

/// Holds the certificate against the user, and gives what the proxy logs in with.
pub(super) fn credential(check: &Check<'_>) -> Result<Credential, LoginEnd> {
    let Check { directory, user, certificate, .. } = check;
    let Some(certificate) = certificate else {
        return Err(Fatal::new(sqlstate::INVALID_AUTHORIZATION, "connection requires a valid client certificate")
            .failed(Failed::Login)
            .into());
    };
    let names: Vec<&str> = certificate.cn.iter().chain(&certificate.san).map(String::as_str).collect();
    let files = directory.files();
    let named = match &files.map {
        Some(map) => map.lets(&names, user),
        None => certificate.cn.as_deref() == Some(user),
    };
    let failed = |why: String| {
        let message = format!("certificate authentication failed for user \"{user}\"");
        LoginEnd::from(Fatal::new(sqlstate::INVALID_AUTHORIZATION, message).log(why).failed(Failed::Login))
    };
    if !named {
        return Err(failed(format!("the certificate is for {names:?}")));
    }
    files.credential(user).map_err(|why| failed(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> Result<Map, String> {
        Map::parse(text, Path::new("map")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_map_is_read_as_pg_ident_conf_is() {
        let map = map("# comment\n\nm billing.internal billing # more\nm \"with space\" \"all\"\n\
                       m /^(.*)\\.apps\\.internal$ \\1\nm /^ops- postgres\nm \"/literal\" lit\n")
        .unwrap();
        for (name, user, expected) in [
            ("billing.internal", "billing", true),
            ("billing.internal", "billing.internal", false),
            ("Billing.internal", "billing", false),
            ("billing", "billing", false),
            ("with space", "all", true),
            ("with space", "anybody", false),
            ("shop.apps.internal", "shop", true),
            ("shop.apps.internal", "other", false),
            ("shop.apps.internal.evil", "shop", false),
            ("ops-anna", "postgres", true),
            ("dev-ops-anna", "postgres", false),
            ("/literal", "lit", true),
        ] {
            assert_eq!(map.lets(&[name], user), expected, "{name} as {user}");
        }
        assert!(map.lets(&["other", "billing.internal"], "billing"));
        // hba.c, check_ident_usermap: rm_so < 0. `\1` is there once only.
        let map = self::map("m /^(dev-)?ops$ \\1admin\nm /^(.*)-any$ \\1\\1\nm /^(x)?fixed$ fixed\n").unwrap();
        for (name, user, expected) in [
            ("dev-ops", "dev-admin", true),
            ("ops", "admin", false),
            ("ops", "dev-admin", false),
            ("-any", "\\1", true),
            ("a-any", "aa", false),
            ("fixed", "fixed", true),
        ] {
            assert_eq!(map.lets(&[name], user), expected, "{name} as {user}");
        }
        let map = self::map("m billing.internal billing").unwrap();
        assert!(!map.lets(&[], "billing"));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for (text, said) in [
            ("m a", "map:1: a line has three fields"),
            ("m a b c", "three fields"),
            ("m a b\nn a b", "map:2: the file has the maps \"m\" and \"n\""),
            ("m a all", "name the user"),
            ("m a +group", "name the user"),
            ("m a /x", "name the user"),
            ("m /( b", "can't be read"),
            ("m /x \\1", "no parentheses"),
            ("m \"a b", "not closed"),
            ("@other", "`@file`"),
            ("include other.conf", "`include`"),
        ] {
            assert!(map(text).unwrap_err().contains(said), "{text}: {:?}", map(text));
        }
    }
}
