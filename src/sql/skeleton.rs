//! A statement's tokens without its values, for comparing how statements are built.
//!
//! Unlike the hash it is taken from redacted texts, too, and a list of values is as one value: nothing is allowed by it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use pg_query::protobuf::{KeywordKind, ScanToken, Token};

use super::parse::tokens;

/// Longer texts have none, in bytes: no more than a policy lets pass by default.
const LONGEST: usize = 1 << 20;

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A value, or a list of them.
    Value,
    /// A parameter.
    Parameter,
    /// A name, folded, or a keyword that may be one.
    Name(u32),
    /// Another keyword.
    Keyword(i32),
    /// An operator or a sign.
    Sign(u32),
}

impl Part {
    /// Whether it is this sign.
    pub fn is(self, sign: &str) -> bool {
        self == Part::Sign(code(sign))
    }

    /// Whether it is this name, or this keyword that may be one.
    pub fn is_name(self, name: &str) -> bool {
        self == Part::Name(code(name))
    }

    /// Whether it is this keyword, which may not be a name.
    pub fn is_keyword(self, keyword: Token) -> bool {
        self == Part::Keyword(keyword as i32)
    }
}

/// The parts of a text in their order, where each stands in it, and the comment at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skeleton {
    pub parts: Vec<Part>,
    /// In bytes, one for each part.
    pub places: Vec<Range<usize>>,
    /// What a `--` comment at the end of the text holds: the rest of a statement that was cut, perhaps.
    pub comment: Option<Range<usize>>,
}

impl Skeleton {
    /// Of a statement as it came, or of one without its values as [`redacted`](super::redacted) leaves it. `None` where it is
    /// long or the lexer doesn't read it.
    pub fn of(text: &str) -> Option<Skeleton> {
        let tokens = (text.len() <= LONGEST).then(|| tokens(text)).flatten()?;
        let mut skeleton = Skeleton::default();
        for token in &tokens {
            skeleton.add(text, token);
        }
        skeleton.comment = match tokens.last() {
            Some(last) if last.token() == Token::SqlComment => place(last),
            _ => None,
        };
        while skeleton.parts.last().is_some_and(|part| part.is(";")) {
            skeleton.parts.pop();
            skeleton.places.pop();
        }
        (!skeleton.parts.is_empty()).then_some(skeleton)
    }

    /// The text of some parts, with the values left out.
    pub fn text(&self, text: &str, parts: Range<usize>) -> String {
        let places = self.places.get(parts).unwrap_or_default();
        let (Some(first), Some(last)) = (places.first(), places.last()) else { return String::new() };
        super::redacted(text.get(first.start..last.end).unwrap_or_default())
    }

    fn add(&mut self, text: &str, token: &ScanToken) {
        let Some(place) = place(token) else { return };
        let word = text.get(place.clone()).unwrap_or_default();
        let part = match token.token() {
            Token::SqlComment | Token::CComment => return,
            Token::Iconst | Token::Fconst | Token::Sconst | Token::Usconst | Token::Bconst | Token::Xconst => {
                Part::Value
            }
            Token::Param => Part::Parameter,
            Token::Ident | Token::Uident => Part::Name(name(word)),
            // What stands for a value in a redacted text reads as an operator, alone or behind another.
            Token::Op if word.contains('?') => return self.operator(word, place),
            // A column may be called `name` or `type`.
            _ if token.keyword_kind == KeywordKind::UnreservedKeyword as i32 => Part::Name(name(word)),
            _ if token.keyword_kind != KeywordKind::NoKeyword as i32 => Part::Keyword(token.token),
            _ => Part::Sign(code(word)),
        };
        self.push(part, place);
    }

    fn operator(&mut self, word: &str, place: Range<usize>) {
        let mut start = place.start;
        for piece in word.split_inclusive('?') {
            let end = start + piece.len();
            let (sign, value) = piece.strip_suffix('?').map_or((piece, false), |sign| (sign, true));
            if !sign.is_empty() {
                self.push(Part::Sign(code(sign)), start..start + sign.len());
            }
            if value {
                self.push(Part::Value, end - 1..end);
            }
            start = end;
        }
    }

    fn push(&mut self, part: Part, place: Range<usize>) {
        if part == Part::Value {
            match self.parts.as_slice() {
                // A sign in front belongs to it, where nothing stands that it could be subtracted from.
                [before @ .., sign] if sign.is("-") && !before.last().is_some_and(|part| ends_expression(*part)) => {
                    self.parts.pop();
                    self.places.pop();
                    return self.push(part, place);
                }
                // One more of a list.
                [.., Part::Value, comma] if comma.is(",") => {
                    self.parts.pop();
                    self.places.pop();
                    if let Some(last) = self.places.last_mut() {
                        last.end = place.end;
                    }
                    return;
                }
                _ => {}
            }
        }
        self.parts.push(part);
        self.places.push(place);
    }
}

/// Whether something may be subtracted from what ends with this.
fn ends_expression(part: Part) -> bool {
    match part {
        Part::Value | Part::Parameter | Part::Name(_) => true,
        Part::Sign(_) => part.is(")") || part.is("]"),
        Part::Keyword(_) => false,
    }
}

fn place(token: &ScanToken) -> Option<Range<usize>> {
    Some(usize::try_from(token.start).ok()?..usize::try_from(token.end).ok()?)
}

fn name(word: &str) -> u32 {
    match word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
        Some(quoted) => code(&quoted.replace("\"\"", "\"")),
        None => code(&word.to_ascii_lowercase()),
    }
}

fn code(word: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    word.hash(&mut hasher);
    let hash = hasher.finish();
    u32::try_from(hash >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<Part> {
        Skeleton::of(text).unwrap().parts
    }

    #[test]
    fn values_spelling_and_redaction_make_no_difference() {
        for text in [
            "SELECT a FROM t WHERE b = 'x' AND c = -1.5 AND d IN (1, 2, 3)",
            "SELECT data ? 'key', a - 1 FROM \"T\" WHERE b=E'\\\\x' LIMIT 5",
            "INSERT INTO t (a, b) VALUES (1, 'x''y', $1, NULL)",
            "UPDATE t SET a = a||'x', b = $$q$$ WHERE c = U&'x'",
        ] {
            assert_eq!(parts(text), parts(&crate::sql::redacted(text)), "{text}");
            assert_eq!(parts(text), parts(&format!("{};", text.replace(' ', "  \n"))), "{text}");
        }
        assert_eq!(parts("SELECT A FROM T"), parts("select \"a\" /* x */ from t -- y"));
        assert_eq!(parts("SELECT a IN (1)"), parts("SELECT a IN (1, -2, 3)"));
        assert_ne!(parts("SELECT a FROM t WHERE b = $1"), parts("SELECT a FROM t WHERE b = 1"));
        assert_ne!(parts("SELECT a - 1"), parts("SELECT a, 1"));
    }

    #[test]
    fn a_part_of_the_text_is_told_without_values() {
        let text = "SELECT a FROM t WHERE b = 'x' OR 'secret' = 'secret' -- rest";
        let skeleton = Skeleton::of(text).unwrap();
        assert_eq!(skeleton.text(text, 8..12), "OR ? = ?");
        assert_eq!(skeleton.comment, Some(53..60));
        assert_eq!(skeleton.text(text, 40..50), "");
        assert!(Skeleton::of("SELECT 'x").is_none() && Skeleton::of(" ; ").is_none());
        assert!(Skeleton::of(&"a,".repeat(LONGEST)).is_none());
    }
}
