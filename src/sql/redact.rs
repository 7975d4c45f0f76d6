//! A text without its values, for logs: what it does stays readable, what it says about somebody does not.

use pg_query::protobuf::{KeywordKind, ScanToken, Token};

use crate::sql::parse::tokens;

/// The longest redacted text, in bytes.
const LONGEST: usize = 2048;

/// The text with every literal replaced by `?` and every comment left out, cut at 2 KiB.
///
/// Passwords, connection strings, function bodies and data are literals in every statement of PostgreSQL's, so none survives;
/// the values of settings with a dot (`app.token`) may be bare words, and are replaced too. Where the lexer can't read
/// it (an unterminated string), it is left out from the first quote on. A plain string with a backslash in front of its end is taken for the end of
/// what can be read: with `standard_conforming_strings` off it would go on.
pub fn redacted(text: &str) -> String {
    if let Some(tokens) = tokens(text) {
        return of(text, &tokens);
    }
    // A quote is missing, so that nobody knows which words are quoted.
    let opens = |c: char| matches!(c, '\'' | '"' | '$' | '/');
    let before = text.find(opens).and_then(|at| text.get(..at)).unwrap_or_default();
    // The word in front of a quote belongs to it: E'…', U&"…".
    let before = before.trim_end_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | '&'));
    let mut out = tokens(before).map(|tokens| of(before, &tokens)).unwrap_or_default();
    cut(&mut out);
    out
}

fn of(text: &str, tokens: &[ScanToken]) -> String {
    let mut out = String::new();
    let mut end = 0;
    let mut setting = Setting::No;
    let mut copy_in = false;
    for token in tokens {
        let (from, to) = (usize::try_from(token.start).unwrap_or(0), usize::try_from(token.end).unwrap_or(0));
        let word = text.get(from..to).unwrap_or_default();
        let kind = Token::try_from(token.token);
        if matches!(kind, Ok(Token::SqlComment | Token::CComment)) {
            continue;
        }
        setting = setting.next(kind.ok(), token.keyword_kind);
        let new_line = text.get(end..from).is_some_and(|gap| gap.contains('\n'));
        let goes_on = matches!(kind, Ok(Token::With | Token::Where | Token::Ascii40));
        // What follows COPY … FROM STDIN may be its data.
        if copy_in && (kind == Ok(Token::Ascii59) || new_line && !goes_on) {
            cut(&mut out);
            return out;
        }
        copy_in |= kind == Ok(Token::Stdin);
        if !out.is_empty() && from > end {
            out.push(' ');
        }
        end = to;
        match kind {
            Ok(Token::Sconst) if word.starts_with('\'') && word.ends_with("\\'") => {
                out.push('?');
                cut(&mut out);
                return out;
            }
            Ok(Token::Sconst | Token::Usconst | Token::Bconst | Token::Xconst | Token::Iconst | Token::Fconst) => {
                out.push('?')
            }
            _ if setting == Setting::Value => out.push('?'),
            _ => out.push_str(word),
        }
        if out.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|&at| out.is_char_boundary(at)).unwrap_or(0);
            out.truncate(end);
            cut(&mut out);
            return out;
        }
    }
    out
}

fn cut(out: &mut String) {
    out.push('…');
}

/// Where in `SET app.token TO value, value` a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    No,
    Set,
    Name,
    Dot,
    /// Of a name with a dot.
    Custom,
    Is,
    Value,
}

impl Setting {
    fn next(self, token: Option<Token>, keyword: i32) -> Setting {
        let Some(token) = token else { return Setting::No };
        let name = token == Token::Ident || token == Token::Uident || keyword != KeywordKind::NoKeyword as i32;
        match (self, token) {
            (_, Token::Ascii59) => Setting::No,
            (Setting::Is | Setting::Value, _) => Setting::Value,
            (Setting::Custom, Token::To | Token::Ascii61) => Setting::Is,
            (Setting::Name | Setting::Custom, Token::Ascii46) => Setting::Dot,
            (Setting::Dot, _) if name => Setting::Custom,
            (_, Token::Set) => Setting::Set,
            (Setting::Set, Token::Session | Token::Local) => Setting::Set,
            (Setting::Set, _) if name => Setting::Name,
            _ => Setting::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_left_out_and_the_rest_stays() {
        for (text, expected) in [
            ("SELECT a FROM t WHERE b = 'x' AND c = 1.5", "SELECT a FROM t WHERE b = ? AND c = ?"),
            ("COPY t FROM STDIN\nhunter2 x", "COPY t FROM STDIN…"),
            ("COPY t FROM STDIN\nWITH (FORMAT csv)\nhunter2", "COPY t FROM STDIN WITH (FORMAT csv)…"),
            (
                "INSERT INTO t (a1) VALUES (-1, $2, E'\\'', U&'\\0041', b'1', x'f', $q$ 'x' $q$)",
                "INSERT INTO t (a1) VALUES (-?, $2, ?, ?, ?, ?, ?)",
            ),
            ("SELECT  1 -- the password is x\n,\t2 /* y */", "SELECT ? , ?"),
            ("SELECT \"Name\" FROM \"it's\"", "SELECT \"Name\" FROM \"it's\""),
            ("SET search_path TO a, public", "SET search_path TO a, public"),
            ("UPDATE t SET a = b.c", "UPDATE t SET a = b.c"),
            ("UPDATE t SET a = b", "UPDATE t SET a = b"),
            ("", ""),
        ] {
            assert_eq!(redacted(text), expected, "{text}");
        }
    }

    #[test]
    fn no_secret_survives() {
        for text in [
            "CREATE ROLE a PASSWORD 'secret'",
            "ALTER ROLE a WITH ENCRYPTED PASSWORD $$secret$$ VALID UNTIL '2027-01-01'",
            "ALTER USER a PASSWORD E'secret'",
            "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'secret', password 'secret')",
            "ALTER USER MAPPING FOR a SERVER s OPTIONS (SET password 'secret')",
            "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'secret')",
            "CREATE SUBSCRIPTION s CONNECTION 'password=secret' PUBLICATION p",
            "ALTER SUBSCRIPTION s CONNECTION 'password=secret'",
            "SELECT dblink_connect('password=secret')",
            "ALTER SYSTEM SET primary_conninfo = 'password=secret'",
            "SET app.token = 'secret'",
            "SET app.token = secret",
            "SET LOCAL app.token TO secret, secret",
            "SET SESSION app.auth.token = secret",
            "ALTER ROLE a SET app.token TO secret",
            "ALTER DATABASE a SET app.token = secret; SELECT 1",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET app.token = secret AS 'SELECT ''secret'''",
            "DO $body$ BEGIN PERFORM 'secret'; END $body$",
            "COMMENT ON TABLE t IS 'secret'",
            "SECURITY LABEL ON TABLE t IS 'secret'",
            "COPY t FROM PROGRAM 'curl secret'",
            "NOTIFY c, 'secret'",
            "SELECT /* secret */ 1 -- secret",
            "SELECT a FROM t WHERE b = 'x' OR 'secret",
            "SELECT 'secret",
            "SELECT E'a\\' secret",
            "SELECT $tag$ secret",
            "SELECT 1 /* secret",
            "SELECT U&\"secret",
            "SELECT a FROM t WHERE b = 'O'secret' AND c = 'd'",
            "SELECT 'a\\' AND secret AND 'b'",
            "SELECT 'it''s secret' 'secret'",
            "SELECT N'secret', n'secret', B'1' 'secret'",
            "PREPARE p AS SELECT 'secret'",
            "EXECUTE p('secret')",
            "COPY t FROM STDIN; 1 secret",
            "copy t (a) from stdin with csv;\nsecret,1\n\\.",
            "SELECT $1 WHERE 'secret' = $$secret$$ SELEC '",
        ] {
            let redacted = redacted(text);
            assert!(!redacted.contains("secret"), "{text}: {redacted}");
        }
    }

    #[test]
    fn it_is_short_and_ends_at_a_character() {
        let text = format!("SELECT {}", "\"ä\", ".repeat(5_000));
        let redacted = redacted(&text);
        assert!(redacted.len() <= LONGEST + '…'.len_utf8() && redacted.ends_with('…'));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic_or_leak(text in "[a-z0-9'\"$\\\\ /*;=.,()&UENäß-]{0,60}") {
            let _ = redacted(&text);
            // A word of its own inside a closed plain string is never seen again.
            let told = redacted(&format!("SELECT 'qqq', {text}"));
            proptest::prop_assert!(!told.contains("qqq"), "{}", told);
        }
    }
}
