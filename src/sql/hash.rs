//! The statement hash: what an allow-list, a log or an emergency block knows a statement by.
//!
//! It is taken over the tokens of the text, as PostgreSQL's own lexer cuts them: names folded, comments and white space left
//! out, and the plain values ([`values`]) replaced by their kind. A parse tree is a function of its tokens, so two texts with
//! an equal hash have the same tree but for those values: no field of a node can be forgotten. What is written another way
//! (`!=` for `<>`, a pair of parentheses more) has another hash, which costs an entry in a list and never lets anything pass.
//!
//! A parameter is not a literal: `id = $1` and `id = 1` differ, for a policy may ask for parameters. A list of values
//! (`IN (1, 2, 3)`, `ARRAY[…]`) hashes as any longer one of its kind of values, and rows of VALUES of one shape as any more of
//! them, from two on: a row that was forged behind a single one has another hash.

mod parts;
mod unread;
mod values;

use std::fmt;
use std::str::FromStr;

use pg_query::NodeEnum;
use pg_query::protobuf::{KeywordKind, ParseResult, ScanToken, Token};
use sha2::{Digest, Sha256};

use crate::sql::parse::tokens;
pub use unread::of_unread;
use values::{Place, Values};

/// 128 bits of SHA-256. To find another text for a given hash takes 2^128 tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StatementHash([u8; 16]);

impl fmt::Display for StatementHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl StatementHash {
    /// Half of it: enough to tell apart statements that nobody makes to be alike.
    #[inline]
    pub fn half(&self) -> u64 {
        u64::from_le_bytes([self.0[0], self.0[1], self.0[2], self.0[3], self.0[4], self.0[5], self.0[6], self.0[7]])
    }
}

/// Not 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a statement hash has 32 hexadecimal digits")]
pub struct NoHash;

impl FromStr for StatementHash {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<StatementHash, NoHash> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NoHash);
        }
        u128::from_str_radix(text, 16).map(|number| StatementHash(number.to_be_bytes())).map_err(|_| NoHash)
    }
}

/// The longest text that is hashed, in bytes: its tokens take sixteen times as much.
const LONGEST: usize = 128 << 10;

/// What is taken from a text beside what it does.
#[derive(Debug)]
pub(super) struct Marks {
    /// `None` where the text is long, or the lexer does not give its tokens a second time (it always did so far).
    pub hash: Option<StatementHash>,
    /// See [`Facts::parts`](crate::sql::Facts).
    pub parts: Box<[StatementHash]>,
    /// See [`Facts::inline`](crate::sql::Facts).
    pub inline: bool,
    /// See [`Facts::texts_to_functions`](crate::sql::Facts).
    pub texts_to_functions: bool,
    /// See [`Facts::secret`](crate::sql::Facts).
    pub secret: bool,
}

/// The marks of a text that was read. Needs the stack that reading it needed.
pub(super) fn marks(text: &str, tree: &ParseResult) -> Marks {
    let values = Values::of(tree);
    let short = text.len() <= LONGEST;
    let (hash, parts) = short.then(|| hashes(text, tree, &values)).flatten().unzip();
    let (inline, texts_to_functions) = (values.are_of_data(), values.texts_to_functions);
    Marks { hash, parts: parts.unwrap_or_default(), inline, texts_to_functions, secret: tells_secrets(tree) }
}

/// The hash of a text and of its parts, however long it is: its tokens take sixteen times its length meanwhile. `None` where the
/// lexer does not give its tokens a second time.
pub(super) fn of_any_length(text: &str, tree: &ParseResult) -> Option<(StatementHash, Box<[StatementHash]>)> {
    hashes(text, tree, &Values::of(tree))
}

fn hashes(text: &str, tree: &ParseResult, values: &Values) -> Option<(StatementHash, Box<[StatementHash]>)> {
    let tokens = tokens(text)?;
    Some((of_tokens(text, &tokens, values), parts::parts(text, tree, &tokens, values)))
}

fn of_tokens(text: &str, tokens: &[ScanToken], values: &Values) -> StatementHash {
    let mut digest = Sha256::new();
    for piece in pieces(text, tokens, values) {
        piece.feed(&mut digest);
    }
    digested(digest)
}

/// The first half of a digest.
fn digested(digest: Sha256) -> StatementHash {
    let [first @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = <[u8; 32]>::from(digest.finalize());
    StatementHash(first)
}

/// Whether a text holds a password of a role or of another server. Its hash depends on that (an allow-list must not take one
/// for another), so that whoever reads the hash can try passwords until one fits: keep it out of what others read.
fn tells_secrets(tree: &ParseResult) -> bool {
    let holds = |statement: &NodeEnum| {
        matches!(
            statement,
            NodeEnum::CreateRoleStmt(_)
                | NodeEnum::AlterRoleStmt(_)
                | NodeEnum::CreateForeignServerStmt(_)
                | NodeEnum::AlterForeignServerStmt(_)
                | NodeEnum::CreateUserMappingStmt(_)
                | NodeEnum::AlterUserMappingStmt(_)
                | NodeEnum::CreateSubscriptionStmt(_)
                | NodeEnum::AlterSubscriptionStmt(_)
        )
    };
    tree.stmts.iter().filter_map(|raw| raw.stmt.as_ref()?.node.as_ref()).any(holds)
}

/// What is left of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece<'a> {
    /// A token as it stands, with its kind.
    Token(i32, &'a str),
    /// A name, folded.
    Name(String),
    /// A plain value: its kind, and whether it is one of a list.
    Value { number: bool, listed: bool },
}

impl Piece<'_> {
    /// Lengths go first, so that no two sequences run together.
    fn feed(&self, digest: &mut Sha256) {
        let mut put = |tag: u8, kind: i32, text: &str| {
            digest.update([tag]);
            digest.update(kind.to_be_bytes());
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        };
        match self {
            Piece::Token(kind, text) => put(b't', *kind, text),
            Piece::Name(name) => put(b'n', 0, name),
            Piece::Value { number, listed } => put(b'v', i32::from(*number) + 2 * i32::from(*listed), ""),
        }
    }
}

fn pieces<'a>(text: &'a str, tokens: &[ScanToken], values: &Values) -> Vec<Piece<'a>> {
    let mut pieces: Vec<Piece<'a>> = Vec::with_capacity(tokens.len());
    let mut rows = Rows::default();
    let mut rest = tokens.iter();
    while let Some(token) = rest.next() {
        let start = usize::try_from(token.start).unwrap_or(0);
        let word = text.get(start..usize::try_from(token.end).unwrap_or(0)).unwrap_or_default();
        let piece = match Token::try_from(token.token) {
            Ok(Token::SqlComment | Token::CComment) => continue,
            // Between statements as many as one likes, and none at the end.
            Ok(Token::Ascii59) if matches!(pieces.last(), None | Some(Piece::Token(_, ";"))) => continue,
            Ok(Token::Ident) => Piece::Name(folded(word)),
            Ok(Token::Ascii45) if values.at(start).is_some() => {
                // The sign belongs to the value.
                rest.next();
                value(values.at(start), true)
            }
            Ok(Token::Iconst | Token::Fconst) if values.at(start).is_some() => value(values.at(start), true),
            Ok(Token::Sconst | Token::Usconst | Token::Bconst | Token::Xconst) if values.at(start).is_some() => {
                value(values.at(start), false)
            }
            // A key word is its kind, however it is written.
            Ok(_) if token.keyword_kind != KeywordKind::NoKeyword as i32 => Piece::Token(token.token, ""),
            Ok(_) | Err(_) => Piece::Token(token.token, word),
        };
        // A third value of the same kind in a list of them.
        if matches!(piece, Piece::Value { listed: true, .. })
            && let [.., first, Piece::Token(_, ","), second, Piece::Token(_, ",")] = pieces.as_slice()
            && *first == piece
            && *second == piece
        {
            pieces.pop();
            continue;
        }
        pieces.push(piece);
        rows.pushed(&mut pieces);
    }
    while matches!(pieces.last(), Some(Piece::Token(_, ";"))) {
        pieces.pop();
    }
    pieces
}

fn value(place: Option<Place>, number: bool) -> Piece<'static> {
    Piece::Value { number, listed: place == Some(Place::Listed) }
}

/// A name as PostgreSQL folds it; what it does with other letters than ASCII depends on the server, so that they stay.
fn folded(word: &str) -> String {
    match word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => word.to_ascii_lowercase(),
    }
}

/// Follows the rows behind VALUES, and takes away each that has the shape of the two before.
#[derive(Debug, Default)]
struct Rows {
    /// Where rows may begin or go on: behind VALUES or a row.
    before: Option<std::ops::Range<usize>>,
    /// The row before has the shape of the one before it.
    twice: bool,
    /// Where the row that is open begins, and how many parentheses are.
    open: Option<(usize, u32)>,
}

impl Rows {
    fn pushed(&mut self, pieces: &mut Vec<Piece<'_>>) {
        let last = pieces.len() - 1;
        let (kind, word) = match pieces.last() {
            Some(Piece::Token(kind, word)) => (*kind, *word),
            Some(Piece::Name(_) | Piece::Value { .. }) | None => (0, ""),
        };
        match (&mut self.open, word) {
            (Some((_, depth)), "(") => *depth += 1,
            (Some((start, depth)), ")") => {
                *depth -= 1;
                if *depth > 0 {
                    return;
                }
                let row = *start..pieces.len();
                self.open = None;
                let same =
                    self.before.as_ref().is_some_and(|before| pieces.get(before.clone()) == pieces.get(row.clone()));
                if same && self.twice {
                    // With the comma in front of it.
                    pieces.truncate(row.start - 1);
                } else {
                    self.before = Some(row);
                }
                self.twice = same;
            }
            (Some(_), _) => {}
            (None, _) if kind == Token::Values as i32 => (self.before, self.twice) = (Some(0..0), false),
            (None, "(") if self.before.is_some() => self.open = Some((last, 1)),
            (None, ",") if self.before.is_some() => {}
            (None, _) => self.before = None,
        }
    }
}

#[cfg(test)]
mod tests;
