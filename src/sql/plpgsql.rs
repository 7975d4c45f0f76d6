//! Bodies in PL/pgSQL: finds the SQL in them, as `pl_gram.y` cuts it out, and reads every other token as a known
//! part of the language. What is not known stops the reading, so that the body is `unknown`.
//!
//! libpg_query has a PL/pgSQL parser. It is not used: it looks types up in a made-up catalog (a function that returns a
//! table's rows fails), keeps the state of its compiler in C, and takes what anybody writes to stderr for its error.

mod statements;
mod tokens;

use tokens::Token;

/// How deep blocks and loops may stand in each other.
const MAX_NESTING: u32 = 200;

/// How many pieces of SQL one body may have.
const MAX_PIECES: usize = 10_000;

/// A part of a body that PostgreSQL reads as SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A statement, without its INTO clause.
    Statement(String),
    /// An expression: what may stand behind SELECT.
    Expression(&'a str),
    /// `target := expression`, whole.
    Assignment(&'a str),
    /// The expression whose value EXECUTE runs.
    Dynamic(&'a str),
    /// The type of a variable.
    Type(&'a str),
}

/// What was read of a body, and why the reading stopped before its end.
#[derive(Debug)]
pub(super) struct Body<'a> {
    pub pieces: Vec<Piece<'a>>,
    pub stopped: Option<String>,
}

/// Reads a body of a function with these names of parameters.
pub(super) fn read<'a>(body: &'a str, parameters: &[&str]) -> Body<'a> {
    let tokens = match tokens::tokens(body) {
        Ok(tokens) => tokens,
        Err(why) => return Body { pieces: Vec::new(), stopped: Some(why) },
    };
    let mut reader = Reader { text: body, tokens, at: 0, nesting: 0, pieces: Vec::new(), shadowed: Vec::new() };
    parameters.iter().for_each(|name| reader.declare(name));
    let read = reader.function();
    Body { pieces: reader.pieces, stopped: read.err() }
}

/// Keywords that may stand before an expression. A variable called so takes the keyword's place in PL/pgSQL's scanner:
/// `RETURN query(1)` then calls a function.
const BEFORE_EXPRESSION: &[&str] = &["next", "query", "reverse", "absolute", "relative", "forward", "backward"];

/// The keywords of PL/pgSQL that no variable can be called (`pl_reserved_kwlist.h`).
const RESERVED: &[&str] = &[
    "all", "begin", "by", "case", "declare", "else", "end", "execute", "for", "foreach", "from", "if", "in", "into",
    "loop", "not", "null", "or", "strict", "then", "to", "using", "when", "while",
];

/// Why the reading stops, in words.
type Read<T> = Result<T, String>;

struct Reader<'a> {
    text: &'a str,
    tokens: Vec<Token<'a>>,
    at: usize,
    nesting: u32,
    pieces: Vec<Piece<'a>>,
    /// Those of `BEFORE_EXPRESSION` that a variable is called like.
    shadowed: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    /// The text of a token from here on; empty behind the end.
    fn peek(&self, ahead: usize) -> &'a str {
        self.tokens.get(self.at.saturating_add(ahead)).map_or("", |t| t.text)
    }

    /// True where the token is this keyword or sign.
    fn is(&self, what: &str) -> bool {
        self.peek(0).eq_ignore_ascii_case(what)
    }

    fn is_any(&self, what: &[&str]) -> bool {
        what.iter().any(|w| self.is(w))
    }

    /// Likewise, of a keyword that may also begin a name of several parts.
    fn is_unreserved(&self, what: &[&str]) -> bool {
        self.is_any(what) && self.peek(1) != "."
    }

    fn is_word(&self) -> bool {
        self.tokens.get(self.at).is_some_and(|t| t.word)
    }

    fn is_name(&self) -> bool {
        self.is_word() && !self.is_any(RESERVED)
    }

    fn take(&mut self, what: &str) -> bool {
        let found = self.is(what);
        self.at += usize::from(found);
        found
    }

    fn take_unreserved(&mut self, what: &str) -> bool {
        let found = self.is_unreserved(&[what]);
        self.at += usize::from(found);
        found
    }

    /// Notes the name of a variable.
    fn declare(&mut self, name: &str) {
        let bare = name.trim_matches('"');
        let keyword = BEFORE_EXPRESSION.iter().find(|k| k.eq_ignore_ascii_case(bare));
        self.shadowed.extend(keyword.filter(|k| !self.shadowed.contains(k)));
    }

    /// True where the token is one of these keywords, and no variable.
    fn is_before_expression(&self, what: &[&str]) -> Read<bool> {
        if !self.is_unreserved(what) {
            return Ok(false);
        }
        match self.is_any(&self.shadowed) {
            true => Err(format!("PL/pgSQL: a keyword or the variable called {}", self.peek(0))),
            false => Ok(true),
        }
    }

    fn take_before_expression(&mut self, what: &str) -> Read<bool> {
        let found = self.is_before_expression(&[what])?;
        self.at += usize::from(found);
        Ok(found)
    }

    fn expect(&mut self, what: &str) -> Read<()> {
        if self.take(what) { Ok(()) } else { Err(self.surprise()) }
    }

    fn surprise(&self) -> String {
        match self.peek(0) {
            "" => "PL/pgSQL that ends too early".to_owned(),
            token => format!("PL/pgSQL near \"{}\"", token.chars().take(40).collect::<String>()),
        }
    }

    /// A name without dots.
    fn name(&mut self) -> Read<&'a str> {
        if !self.is_name() {
            return Err(self.surprise());
        }
        let name = self.peek(0);
        self.at += 1;
        Ok(name)
    }

    /// A variable, a field of a record, either with the label of its block.
    fn variable(&mut self) -> Read<()> {
        let first = self.name()?;
        if self.peek(0) != "." {
            self.declare(first);
            return Ok(());
        }
        for _ in 0..2 {
            if self.take(".") {
                if !self.is_word() {
                    return Err(self.surprise());
                }
                self.at += 1;
            }
        }
        Ok(())
    }

    fn variables(&mut self) -> Read<()> {
        self.variable()?;
        while self.take(",") {
            self.variable()?;
        }
        Ok(())
    }

    /// A constant string.
    fn string(&mut self) -> Read<()> {
        if !self.tokens.get(self.at).is_some_and(|t| t.string) {
            return Err(self.surprise());
        }
        self.at += 1;
        Ok(())
    }

    /// The byte at which the present token starts.
    fn offset(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.len(), |t| t.start)
    }

    fn slice(&self, start: usize, end: usize) -> Read<&'a str> {
        self.text.get(start..end).ok_or_else(|| "PL/pgSQL that could not be cut".to_owned())
    }

    /// The text up to one of these tokens outside of brackets (`read_sql_construct`), which stays.
    fn until(&mut self, ends: &[&str]) -> Read<&'a str> {
        let (first, start) = (self.at, self.offset());
        let mut brackets = 0_u32;
        while !(brackets == 0 && self.is_any(ends)) {
            match self.peek(0) {
                "(" | "[" => brackets += 1,
                ")" | "]" => brackets = brackets.checked_sub(1).ok_or_else(|| self.surprise())?,
                "" | ";" => return Err(self.surprise()),
                _ => {}
            }
            self.at += 1;
        }
        if self.at == first {
            return Err(self.surprise());
        }
        self.slice(start, self.offset())
    }

    fn push(&mut self, piece: Piece<'a>) -> Read<()> {
        if self.pieces.len() >= MAX_PIECES {
            return Err("a PL/pgSQL body with too many statements".to_owned());
        }
        self.pieces.push(piece);
        Ok(())
    }

    fn expression(&mut self, ends: &[&str]) -> Read<()> {
        let text = self.until(ends)?;
        self.push(Piece::Expression(text))
    }

    fn query(&mut self, ends: &[&str]) -> Read<()> {
        let text = self.until(ends)?.to_owned();
        self.push(Piece::Statement(text))
    }

    /// Behind EXECUTE: the expression, and the values of USING.
    fn dynamic(&mut self, end: &str) -> Read<()> {
        let text = self.until(&["using", end])?;
        self.push(Piece::Dynamic(text))?;
        if self.take("using") {
            self.expressions(&[end])?;
        }
        Ok(())
    }

    /// Expressions between commas.
    fn expressions(&mut self, ends: &[&str]) -> Read<()> {
        let ends = [ends, &[","]].concat();
        self.expression(&ends)?;
        while self.take(",") {
            self.expression(&ends)?;
        }
        Ok(())
    }

    /// The arguments of a bound cursor, by place or by name, behind their bracket.
    fn cursor_arguments(&mut self) -> Read<()> {
        loop {
            if self.is_word() && [":=", "=>"].contains(&self.peek(1)) {
                self.at += 2;
            }
            self.expression(&[",", ")"])?;
            if !self.take(",") {
                return self.expect(")");
            }
        }
    }

    /// INTO's targets, behind it.
    fn into(&mut self) -> Read<()> {
        self.take("strict");
        self.variables()
    }

    fn function(&mut self) -> Read<()> {
        while self.take("#") {
            self.name()?;
            self.name()?;
        }
        self.label()?;
        self.block()?;
        self.take(";");
        if self.at < self.tokens.len() { Err(self.surprise()) } else { Ok(()) }
    }

    /// `<<label>>`, if there is one.
    fn label(&mut self) -> Read<bool> {
        if !self.take("<<") {
            return Ok(false);
        }
        if !self.is_word() {
            return Err(self.surprise());
        }
        self.at += 1;
        self.expect(">>")?;
        Ok(true)
    }

    fn block(&mut self) -> Read<()> {
        if self.take("declare") {
            while !self.is("begin") {
                if !self.take("declare") {
                    self.declaration()?;
                }
            }
        }
        self.expect("begin")?;
        self.statements()?;
        if self.take("exception") {
            while self.take("when") {
                loop {
                    if self.take_unreserved("sqlstate") {
                        self.string()?;
                    } else {
                        self.name()?;
                    }
                    if !self.take("or") {
                        break;
                    }
                }
                self.expect("then")?;
                self.statements()?;
            }
        }
        self.expect("end")?;
        if self.is_name() {
            self.at += 1;
        }
        Ok(())
    }

    fn declaration(&mut self) -> Read<()> {
        let name = self.name()?;
        self.declare(name);
        if self.is("alias") && self.peek(1).eq_ignore_ascii_case("for") {
            self.at += 2;
            self.variable()?;
            return self.expect(";");
        }
        let scroll = self.scroll()?;
        if scroll || (self.is("cursor") && ["(", "is", "for"].iter().any(|n| self.peek(1).eq_ignore_ascii_case(n))) {
            self.expect("cursor")?;
            if self.take("(") {
                loop {
                    let name = self.name()?;
                    self.declare(name);
                    self.data_type()?;
                    if !self.take(",") {
                        break;
                    }
                }
                self.expect(")")?;
            }
            if !self.take("is") {
                self.expect("for")?;
            }
            self.query(&[";"])?;
            return self.expect(";");
        }
        self.take_unreserved("constant");
        self.data_type()?;
        if self.take("collate") {
            self.variable()?;
        }
        if self.take("not") {
            self.expect("null")?;
        }
        if self.take(":=") || self.take("=") || self.take("default") {
            self.expression(&[";"])?;
        }
        self.expect(";")
    }

    /// SCROLL, NO SCROLL.
    fn scroll(&mut self) -> Read<bool> {
        if self.is("no") && self.peek(1).eq_ignore_ascii_case("scroll") {
            self.at += 2;
            return Ok(true);
        }
        Ok(self.take_unreserved("scroll"))
    }

    fn data_type(&mut self) -> Read<()> {
        let first = self.at;
        let text = self.until(&[";", ":=", "=", "default", "collate", "not", ",", ")"])?;
        let tokens = self.tokens.get(first..self.at).unwrap_or_default();
        match tokens.iter().position(|t| t.text == "%") {
            // The type of something that exists: a look at the catalog.
            Some(percent) => {
                let (of, behind) = tokens.split_at_checked(percent).unwrap_or_default();
                let named = of.iter().enumerate().all(|(i, t)| if i % 2 == 0 { t.word } else { t.text == "." });
                let kind = behind.get(1).is_some_and(|t| ["type", "rowtype"].contains(&&*t.text.to_ascii_lowercase()));
                let array = |t: &Token| ["[", "]", "array"].contains(&&*t.text.to_ascii_lowercase()) || t.number;
                match named && kind && behind.iter().skip(2).all(array) {
                    true => Ok(()),
                    false => Err("a type in PL/pgSQL".to_owned()),
                }
            }
            None => self.push(Piece::Type(text)),
        }
    }
}
