//! What can't stand in a pattern without quotes. PostgreSQL would not read it as a name either, so that the pattern would match
//! nothing: an allow rule would allow less than is meant, and a deny rule nothing at all, silently.

/// What a pattern names: that decides which characters may be in it without quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// Relations and columns: names only. A hyphen passes: names such as `my-table` are matched as they stand.
    Relations,
    /// Functions: operators, too.
    Functions,
    /// Anything by name: operators, files, channels, extensions such as `uuid-ossp`.
    Objects,
}

/// Why a pattern can't be read, and what to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadPattern {
    pub message: String,
    pub help: String,
}

/// The characters of operators (the manual's CREATE OPERATOR); `*` and `?` are wildcards before they are that.
const OPERATOR: &str = "+-*/<>=~!@#%^&|`?";

/// What is wrong with an unquoted part of a pattern, if anything; `text` is all of it.
pub(super) fn misspelt(text: &str, part: &str, named: Named) -> Option<BadPattern> {
    let operator = named != Named::Relations && part.chars().all(|c| OPERATOR.contains(c));
    if operator {
        return None;
    }
    let first = part.chars().next().filter(|c| *c == '$' || (*c == '-' && named == Named::Relations));
    let odd = first.or_else(|| part.chars().find(|c| is_odd(*c, named)))?;
    let what = match odd {
        c if is_blank(c) => "a blank".to_owned(),
        ',' => "a comma".to_owned(),
        '(' | ')' => "parentheses".to_owned(),
        '[' | ']' | '{' | '}' => "brackets".to_owned(),
        c if is_quote(c) => "a quote".to_owned(),
        c => format!("a `{c}`"),
    };
    let message = format!("\"{}\" has {what} in it: without quotes it is no name", visible(text));
    Some(BadPattern { message, help: help(text, odd, named) })
}

/// Whether a character can't be in an unquoted part.
fn is_odd(c: char, named: Named) -> bool {
    if c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '-' | '*' | '?') {
        return false;
    }
    if !c.is_ascii() {
        return is_blank(c) || is_quote(c) || c.is_control();
    }
    match named {
        Named::Relations | Named::Functions => true,
        // What names of files and channels are made of.
        Named::Objects => !matches!(c, '/' | ':' | '@' | '#' | '+' | '=' | '~'),
    }
}

/// A text whose unusual blanks can be seen.
pub(crate) fn visible(text: &str) -> String {
    let one = |c: char| match c != ' ' && (is_blank(c) || c.is_control()) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(one).collect()
}

/// Blanks, those without width too, that a text from elsewhere brings along.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Quotes of any kind.
fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '´' | '«' | '»' | '\u{2018}'..='\u{201f}' | '\u{2039}' | '\u{203a}')
}

fn help(text: &str, odd: char, named: Named) -> String {
    let quoted = format!("a name with other characters is in double quotes inside single ones: {}", in_quotes(text));
    let parted = pieces(text);
    let readable = !parted.is_empty() && parted.iter().all(|piece| is_plain(piece, named));
    let written = parted.join(", ");
    match odd {
        '(' | ')' if readable => {
            format!("functions are named without arguments, and all of that name are meant: [{written}]")
        }
        '[' | ']' | '{' | '}' => "the wildcards are * and ?: write one entry for each name that is meant".to_owned(),
        '%' => "no wildcard of LIKE: write * for any characters and ? for one".to_owned(),
        '$' => "nothing is put in for a variable here: write the name itself".to_owned(),
        '!' | '-' => {
            "nothing is taken out of a list: name what is meant, and put what is not in a rule of `deny`".to_owned()
        }
        _ if readable && parted.len() > 1 => {
            let one =
                if is_blank(odd) { format!("; one name with a blank: {}", in_quotes(text)) } else { String::new() };
            format!("write an entry for each: [{written}]{one}")
        }
        c if readable && is_blank(c) => format!("write it without the blank: [{written}]"),
        c if is_quote(c) && c != '"' => {
            let bare: String = text.chars().filter(|c| !is_quote(*c)).collect();
            match is_plain(&bare, named) {
                true => format!("quotes of PostgreSQL are double ones, and this name needs none: [{bare}]"),
                false => format!("quotes of PostgreSQL are double ones: {}", in_quotes(&bare)),
            }
        }
        _ => quoted,
    }
}

/// The text as one quoted identifier, as YAML takes it.
fn in_quotes(text: &str) -> String {
    let shown: String = text.trim().chars().filter(|c| *c != '"').collect();
    format!("'\"{}\"'", visible(&shown).replace('\'', "''"))
}

/// Whether a text is one or several names without quotes, and nothing else.
fn is_plain(text: &str, named: Named) -> bool {
    text.split('.')
        .all(|part| !part.is_empty() && !part.starts_with(['$', '-']) && !part.chars().any(|c| is_odd(c, named)))
}

/// The names that somebody may have meant who wrote several in one text: parted by commas, else by blanks, without what is in
/// parentheses and without blanks around dots.
pub(crate) fn pieces(text: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut outside = String::new();
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => outside.push(if is_blank(c) { ' ' } else { c }),
            _ => {}
        }
    }
    let tight = |piece: &str| piece.split('.').map(str::trim).collect::<Vec<_>>().join(".");
    let joined = tight(&outside);
    let parted: Vec<&str> = match joined.contains(',') {
        true => joined.split(',').collect(),
        false => joined.split(' ').collect(),
    };
    parted.into_iter().map(str::trim).filter(|piece| !piece.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::names::{parts, pattern};

    #[test]
    fn what_is_no_name_is_refused_with_what_to_write() {
        use Named::{Functions, Objects, Relations};
        for (text, named, help) in [
            ("products, categories", Relations, "an entry for each: [products, categories]"),
            ("products,categories", Objects, "an entry for each: [products, categories]"),
            ("order items", Relations, "[order, items]; one name with a blank: '\"order items\"'"),
            ("price_of(int)", Functions, "without arguments, and all of that name are meant: [price_of]"),
            ("price_of(int, text)", Functions, "[price_of]"),
            ("tax(), public.price_of(int, text)", Functions, "[tax, public.price_of]"),
            ("public .orders", Relations, "without the blank: [public.orders]"),
            ("public. orders", Relations, "without the blank: [public.orders]"),
            (" orders", Relations, "without the blank: [orders]"),
            ("orders\u{a0}", Relations, "without the blank: [orders]"),
            ("orders\u{200b}", Relations, "without the blank: [orders]"),
            ("[a-z]*", Relations, "the wildcards are * and ?"),
            ("{orders,items}", Relations, "the wildcards are * and ?"),
            ("orders%", Relations, "no wildcard of LIKE"),
            ("price%", Functions, "no wildcard of LIKE"),
            ("`orders`", Relations, "this name needs none: [orders]"),
            ("'orders'", Relations, "this name needs none: [orders]"),
            ("\u{201c}Orders\u{201d}", Relations, "[Orders]"),
            ("\u{201c}Order items\u{201d}", Relations, "double ones: '\"Order items\"'"),
            ("order\"s", Relations, "in double quotes inside single ones"),
            ("!secrets", Relations, "nothing is taken out of a list"),
            ("-secrets", Relations, "nothing is taken out of a list"),
            ("$user.orders", Relations, "nothing is put in for a variable"),
            ("orders;", Relations, "in double quotes inside single ones"),
            ("public:orders", Relations, "in double quotes inside single ones"),
            ("gzip -c", Objects, "in double quotes inside single ones: '\"gzip -c\"'"),
        ] {
            let bad = pattern(text, named).unwrap_err();
            assert!(bad.help.contains(help), "{text}: {bad:?}");
        }
        let bad = parts("users. password_hash", 3, Relations).unwrap_err();
        assert_eq!(bad.help, "write it without the blank: [users.password_hash]");
    }

    #[test]
    fn what_may_be_a_name_is_taken() {
        for (text, named) in [
            ("my-table", Named::Relations),
            ("straße.größe_*", Named::Relations),
            ("2024_orders", Named::Relations),
            ("a$b", Named::Relations),
            ("\"a, b\".\" [c]\"", Named::Relations),
            ("public.%", Named::Functions),
            ("ext.===", Named::Functions),
            ("public.*", Named::Functions),
            ("uuid-ossp", Named::Objects),
            ("shop/orders:changed", Named::Objects),
        ] {
            assert!(pattern(text, named).is_ok(), "{text}");
        }
    }
}
