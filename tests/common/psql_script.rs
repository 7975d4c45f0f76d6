//! A psql script taken apart as psql 15 does (psqlscan.l, psqlscanslash.l): into the texts that it would send.
//!
//! Nothing is executed, so that what only the server knows is guessed, and said here: all branches of `\if` are taken,
//! `\quit` does not end a script, a variable of `\gset` holds `1` or the constant that the query says, and behind COPY …
//! FROM stdin there are data where a line `\.` follows before the next COPY (a COPY that fails has none).

use std::collections::BTreeMap;

use pg_query::NodeEnum;
use pg_query::protobuf::a_const::Val;

/// One text that psql would send.
#[derive(Debug, Clone)]
pub struct Sent {
    pub text: String,
    /// The line that it begins on, 1-based.
    pub line: usize,
    /// `standard_conforming_strings` as the script has set it.
    pub standard_strings: bool,
}

/// The texts that psql would send, in order.
pub fn statements(script: &str) -> Vec<Sent> {
    let mut splitter = Splitter::new(script);
    splitter.run();
    splitter.sent
}

/// What psql knows without being told; values that make sense anywhere.
const VARIABLES: [(&str, &str); 10] = [
    ("DBNAME", "regression"),
    ("USER", "postgres"),
    ("HOST", "localhost"),
    ("PORT", "5432"),
    ("ENCODING", "UTF8"),
    ("ERROR", "false"),
    ("SQLSTATE", "00000"),
    ("ROW_COUNT", "1"),
    ("LAST_ERROR_MESSAGE", ""),
    ("LAST_ERROR_SQLSTATE", "00000"),
];

/// Commands that send the query buffer.
const SENDS: [&str; 7] = ["g", "gx", "gset", "gexec", "gdesc", "crosstabview", "watch"];

struct Splitter {
    input: String,
    at: usize,
    line: usize,
    buffer: String,
    /// The line of the buffer's first token; none while it holds nothing but comments.
    begins: Option<usize>,
    parentheses: usize,
    /// BEGIN ATOMIC … END, and CASE … END within.
    blocks: usize,
    /// The first words of the statement, as far as they can begin CREATE FUNCTION; `None` for any other word.
    words: Vec<Option<char>>,
    standard_strings: bool,
    /// Blocks of COPY data that stand behind the end of this line.
    data: usize,
    variables: BTreeMap<String, String>,
    sent: Vec<Sent>,
}

fn starts_word(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

fn continues_word(c: char) -> bool {
    starts_word(c) || c.is_ascii_digit() || c == '$'
}

fn in_variable(c: char) -> bool {
    starts_word(c) || c.is_ascii_digit()
}

impl Splitter {
    fn new(script: &str) -> Splitter {
        Splitter {
            input: script.to_owned(),
            at: 0,
            line: 1,
            buffer: String::new(),
            begins: None,
            parentheses: 0,
            blocks: 0,
            words: Vec::new(),
            standard_strings: true,
            data: 0,
            variables: VARIABLES.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            sent: Vec::new(),
        }
    }

    fn rest(&self) -> &str {
        &self.input[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Passes over so many bytes.
    fn pass(&mut self, bytes: usize) -> String {
        let text = self.rest()[..bytes].to_owned();
        self.line += text.matches('\n').count();
        self.at += bytes;
        text
    }

    /// Takes so many bytes into the buffer, as part of a token.
    fn take(&mut self, bytes: usize) {
        self.begins.get_or_insert(self.line);
        let text = self.pass(bytes);
        self.buffer.push_str(&text);
    }

    fn run(&mut self) {
        while let Some(c) = self.peek() {
            let rest = self.rest();
            match c {
                '\n' => self.end_of_line(),
                c if c.is_ascii_whitespace() => self.blank(1),
                '-' if rest.starts_with("--") => self.blank(rest.find('\n').unwrap_or(rest.len())),
                '/' if rest.starts_with("/*") => self.blank(comment(rest)),
                '\'' => self.take(string(rest, !self.standard_strings)),
                '"' => self.take(quoted(rest, '"')),
                '$' => self.take(dollar(rest)),
                ':' => self.colon(),
                ';' if self.parentheses == 0 && self.blocks == 0 => {
                    self.take(1);
                    self.send();
                }
                '(' | ')' => {
                    self.parentheses = if c == '(' { self.parentheses + 1 } else { self.parentheses.saturating_sub(1) };
                    self.take(1);
                }
                '\\' if rest.starts_with("\\;") || rest.starts_with("\\:") => {
                    self.pass(1);
                    self.take(1);
                    self.words.clear();
                }
                '\\' => self.command(),
                c if starts_word(c) => self.word(),
                c if c.is_ascii_digit() => self.take(rest.find(|c| !continues_word(c)).unwrap_or(rest.len())),
                c => self.take(c.len_utf8()),
            }
        }
        self.send();
    }

    fn blank(&mut self, bytes: usize) {
        let text = self.pass(bytes);
        if self.begins.is_some() {
            self.buffer.push_str(&text);
        }
    }

    fn end_of_line(&mut self) {
        self.blank(1);
        for _ in 0..std::mem::take(&mut self.data) {
            let Some(bytes) = data(self.rest()) else { continue };
            self.pass(bytes);
        }
    }

    /// A word, or a string constant with a prefix.
    fn word(&mut self) {
        let rest = self.rest();
        let end = rest.find(|c| !continues_word(c)).unwrap_or(rest.len());
        let word = rest[..end].to_ascii_lowercase();
        let (after, unicode) = match rest[end..].strip_prefix('&') {
            Some(after) if word == "u" && after.starts_with(['\'', '"']) => (after, 1),
            _ => (&rest[end..], 0),
        };
        let constant = match (word.as_str(), after.chars().next()) {
            ("e", Some('\'')) => Some(string(after, true)),
            ("n" | "b" | "x" | "u", Some('\'')) => Some(string(after, word == "n" && !self.standard_strings)),
            ("u", Some('"')) if unicode == 1 => Some(quoted(after, '"')),
            _ => None,
        };
        if let Some(bytes) = constant {
            return self.take(end + unicode + bytes);
        }
        self.take(end);
        self.words.push(match word.as_str() {
            "create" | "function" | "procedure" | "or" | "replace" => word.chars().next(),
            _ => None,
        });
        let routine = matches!(
            self.words.as_slice(),
            [Some('c'), Some('f' | 'p'), ..] | [Some('c'), Some('o'), Some('r'), Some('f' | 'p'), ..]
        );
        match word.as_str() {
            "begin" if routine && self.parentheses == 0 => self.blocks += 1,
            "case" if routine && self.parentheses == 0 && self.blocks > 0 => self.blocks += 1,
            "end" if routine && self.parentheses == 0 => self.blocks = self.blocks.saturating_sub(1),
            _ => {}
        }
    }

    /// `::`, `:=`, or a variable, whose value is read on as if it stood there.
    fn colon(&mut self) {
        let rest = self.rest();
        if rest.starts_with("::") || rest.starts_with(":=") {
            return self.take(2);
        }
        match self.variable(rest) {
            Some((bytes, value)) => self.input.replace_range(self.at..self.at + bytes, &value),
            None => self.take(1),
        }
    }

    /// The length of a reference to a known variable, and its value as it is to be written.
    fn variable(&self, rest: &str) -> Option<(usize, String)> {
        let after = &rest[1..];
        if let Some((name, _)) = after.strip_prefix("{?").and_then(|asked| asked.split_once('}')) {
            let known = if self.variables.contains_key(name) { "TRUE" } else { "FALSE" };
            return Some((name.len() + 4, known.to_owned()));
        }
        let quote = after.chars().next().filter(|c| matches!(c, '\'' | '"'));
        let name = &after[quote.map_or(0, char::len_utf8)..];
        let name = &name[..name.find(|c| !in_variable(c)).unwrap_or(name.len())];
        let value = self.variables.get(name)?;
        let Some(quote) = quote else { return Some((1 + name.len(), value.clone())) };
        if !after[1 + name.len()..].starts_with(quote) {
            return None;
        }
        let doubled = value.replace(quote, &format!("{quote}{quote}"));
        let written = match quote {
            '\'' if value.contains('\\') => format!(" E'{}'", doubled.replace('\\', "\\\\")),
            _ => format!("{quote}{doubled}{quote}"),
        };
        Some((name.len() + 3, written))
    }

    fn send(&mut self) {
        let text = std::mem::take(&mut self.buffer);
        self.parentheses = 0;
        self.blocks = 0;
        self.words.clear();
        let Some(line) = self.begins.take() else { return };
        if text.trim() == ";" {
            return;
        }
        self.sent.push(Sent { text: text.clone(), line, standard_strings: self.standard_strings });
        let lower = text.to_ascii_lowercase();
        let words: Vec<&str> = lower.split([' ', '\n', '=', ';', '\'']).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            ["set", "standard_conforming_strings", .., value] => self.standard_strings = *value != "off",
            ["reset", "standard_conforming_strings"] => self.standard_strings = true,
            _ => {}
        }
        if lower.contains("copy") && lower.contains("from std") {
            self.data += copies(&text);
        }
    }

    /// A backslash command, to the end of its line or to `\\`.
    fn command(&mut self) {
        self.pass(1);
        let rest = self.rest();
        let name = self.pass(rest.find(|c: char| c.is_ascii_whitespace() || c == '\\').unwrap_or(rest.len()));
        let arguments = match name.to_ascii_lowercase().as_str() {
            "copy" | "!" | "ef" | "ev" | "sf" | "sv" | "h" | "help" => {
                let rest = self.rest();
                vec![self.pass(rest.find('\n').unwrap_or(rest.len()))]
            }
            _ => self.arguments(),
        };
        match (name.as_str(), arguments.as_slice()) {
            ("set", [name, value @ ..]) => {
                self.variables.insert(name.clone(), value.concat());
            }
            ("getenv", [name, _]) => {
                self.variables.insert(name.clone(), "/regress".to_owned());
            }
            ("unset", [name]) => {
                self.variables.remove(name);
            }
            ("gset", arguments) => {
                for (column, value) in columns(&self.buffer) {
                    self.variables.insert(arguments.concat() + &column, value);
                }
            }
            ("lo_import", _) => {
                self.variables.insert("LASTOID".to_owned(), "1".to_owned());
            }
            ("copy" | "COPY", [text]) if text.to_ascii_lowercase().contains("from stdin") => self.data += 1,
            ("r" | "reset", _) => {
                self.buffer.clear();
                self.begins = None;
                self.parentheses = 0;
                self.blocks = 0;
                self.words.clear();
            }
            ("c" | "connect", _) => self.standard_strings = true,
            _ => {}
        }
        if SENDS.contains(&name.as_str()) {
            self.send();
        }
    }

    /// The arguments of a command: to the end of the line, to `\\`, or to the next command.
    fn arguments(&mut self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut within = false;
        while let Some(c) = self.peek() {
            let rest = self.rest();
            let piece = match c {
                '\n' => break,
                '\\' => {
                    if rest.starts_with("\\\\") {
                        self.pass(2);
                    }
                    break;
                }
                c if c.is_ascii_whitespace() => {
                    self.pass(1);
                    within = false;
                    continue;
                }
                '\'' => {
                    let text = self.pass(string(rest, true));
                    text.trim_matches('\'').replace("''", "'").replace("\\n", "\n").replace("\\\\", "\\")
                }
                '"' | '`' => self.pass(quoted(rest, c)),
                ':' => match self.variable(rest) {
                    Some((bytes, value)) => {
                        self.pass(bytes);
                        value
                    }
                    None => self.pass(1),
                },
                c => self.pass(c.len_utf8()),
            };
            match found.last_mut().filter(|_| within) {
                Some(last) => last.push_str(&piece),
                None => found.push(piece),
            }
            within = true;
        }
        found
    }
}

/// The length of a comment, which nests; one without an end takes all.
fn comment(text: &str) -> usize {
    let (mut at, mut depth) = (2, 1);
    while depth > 0 {
        let rest = &text[at..];
        match (rest.find("/*"), rest.find("*/")) {
            (Some(opens), Some(closes)) if opens < closes => (at, depth) = (at + opens + 2, depth + 1),
            (_, Some(closes)) => (at, depth) = (at + closes + 2, depth - 1),
            (_, None) => return text.len(),
        }
    }
    at
}

/// The length of a string constant that begins here.
fn string(text: &str, escapes: bool) -> usize {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' if escapes => {
                characters.next();
            }
            '\'' if text[at + 1..].starts_with('\'') => {
                characters.next();
            }
            '\'' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a text in these quotes.
fn quoted(text: &str, quote: char) -> usize {
    text[1..].find(quote).map_or(text.len(), |end| end + 2)
}

/// The length of a text in dollar quotes, or of what the dollar sign is otherwise.
fn dollar(text: &str) -> usize {
    let tag = text[1..].find(|c| !in_variable(c)).map_or(text.len(), |end| end + 1);
    let named = text[1..tag].chars().next().is_none_or(starts_word);
    if !named || !text[tag..].starts_with('$') {
        return 1;
    }
    let fence = &text[..=tag];
    text[fence.len()..].find(fence).map_or(text.len(), |end| end + 2 * fence.len())
}

/// The length of the data that begin here, with their `\.`; none where there are none.
fn data(text: &str) -> Option<usize> {
    let mut length = 0;
    for line in text.split_inclusive('\n') {
        length += line.len();
        if line.trim_end() == "\\." {
            return Some(length);
        }
        let lower = line.to_ascii_lowercase();
        if lower.contains("copy") && lower.contains("from stdin") {
            return None;
        }
    }
    None
}

/// How often a text asks for data.
fn copies(text: &str) -> usize {
    let Ok(parsed) = pg_query::parse(text, 0) else { return 0 };
    let statements = parsed.protobuf.stmts.iter().filter_map(|raw| raw.stmt.as_ref()?.node.as_ref());
    statements
        .filter(|node| matches!(node, NodeEnum::CopyStmt(c) if c.is_from && !c.is_program && c.filename.is_empty()))
        .count()
}

/// The names of a query's columns, as `\gset` makes variables of them, and their values where they are constant.
fn columns(text: &str) -> Vec<(String, String)> {
    let Ok(parsed) = pg_query::parse(text, 0) else { return Vec::new() };
    let mut found = Vec::new();
    for node in parsed.protobuf.stmts.iter().filter_map(|raw| raw.stmt.as_ref()?.node.as_ref()) {
        let targets = match node {
            NodeEnum::SelectStmt(select) => select.target_list.as_slice(),
            NodeEnum::InsertStmt(insert) => insert.returning_clause.as_ref().map_or(&[][..], |clause| &clause.exprs),
            NodeEnum::VariableShowStmt(show) => {
                found.push((show.name.clone(), "1".to_owned()));
                continue;
            }
            _ => &[],
        };
        for target in targets.iter().filter_map(|target| target.node.as_ref()) {
            let NodeEnum::ResTarget(target) = target else { continue };
            let value = target.val.as_ref().and_then(|value| value.node.as_ref());
            let last = match value {
                Some(NodeEnum::ColumnRef(column)) => column.fields.last(),
                Some(NodeEnum::FuncCall(call)) => call.funcname.last(),
                _ => None,
            };
            let name = match last.and_then(|node| node.node.as_ref()) {
                _ if !target.name.is_empty() => target.name.clone(),
                Some(NodeEnum::String(name)) => name.sval.clone(),
                _ => continue,
            };
            let value = match value {
                Some(NodeEnum::AConst(pg_query::protobuf::AConst { val: Some(Val::Sval(text)), .. })) => {
                    text.sval.clone()
                }
                _ => "1".to_owned(),
            };
            found.push((name, value));
        }
    }
    found
}
