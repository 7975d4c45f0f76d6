//! The same statement, spelled otherwise: by the tokens that PostgreSQL's lexer sees.

use pg_query::protobuf::{ScanToken, Token};

use super::random_sql::Random;

const GAPS: [&str; 9] = [
    " ",
    "\n",
    "\t",
    "\r\n",
    " \x0c ",
    " /* ' \" $$ ; -- */ ",
    " /* a /* b ' */ c */ ",
    " -- it's a \"comment\" $$ /* \n",
    "\n--\n",
];

/// Other gaps, letter cases, quotes and kinds of strings; the same tokens.
pub fn respelled(text: &str, random: &mut Random) -> String {
    let tokens = match pg_query::scan(text) {
        Ok(scanned) => scanned.tokens,
        Err(error) => panic!("{text}: {error}"),
    };
    let mut out = String::new();
    let mut last: Option<Token> = None;
    for token in &tokens {
        let kind = Token::try_from(token.token).unwrap_or(Token::Nul);
        if matches!(kind, Token::SqlComment | Token::CComment) {
            continue;
        }
        let word = &text[usize::try_from(token.start).unwrap()..usize::try_from(token.end).unwrap()];
        if last.is_some() {
            // Two strings with a line break between them are one.
            let strings = last == Some(Token::Sconst) && kind == Token::Sconst;
            out.push_str(if strings { " " } else { random.pick(&GAPS) });
        }
        out.push_str(&other(word, token, kind, last, random));
        last = Some(kind);
    }
    if random.chance(3) {
        out.push_str(random.pick(&[";", " ; ", ";;\n", " -- end"]));
    }
    out
}

fn other(word: &str, token: &ScanToken, kind: Token, last: Option<Token>, random: &mut Random) -> String {
    if token.keyword_kind != 0 {
        return cased(word, random);
    }
    match kind {
        Token::Ident if !word.starts_with('"') => {
            let lower = word.to_ascii_lowercase();
            match random.below(4) {
                0 => format!("\"{lower}\""),
                1 if word.is_ascii() && word.len() < 60 => format!("U&\"{lower}\""),
                _ => cased(word, random),
            }
        }
        Token::Sconst if plain(word) && last != Some(Token::Uescape) => {
            let inner = &word[1..word.len() - 1];
            match random.below(4) {
                0 => format!("E{word}"),
                1 if !inner.contains('$') && !inner.contains('\'') => format!("$q${inner}$q$"),
                2 if !inner.contains('$') && !inner.contains('\'') => format!("$${inner}$$"),
                _ => word.to_owned(),
            }
        }
        _ => word.to_owned(),
    }
}

/// A string in plain quotes on one line, whose content means the same in any kind of string.
fn plain(word: &str) -> bool {
    word.len() >= 2
        && word.starts_with('\'')
        && !word.contains(['\\', '\n', '\r'])
        && !word[1..word.len() - 1].replace("''", "").contains('\'')
}

fn cased(word: &str, random: &mut Random) -> String {
    match random.below(3) {
        0 => word.to_owned(),
        1 => word.to_ascii_uppercase(),
        _ => word
            .chars()
            .map(|c| if random.chance(2) { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect(),
    }
}
