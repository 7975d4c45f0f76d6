//! PostgreSQL's `gram.y` as data, and sentences made of it: for every place where a production takes something that may
//! hold an expression, texts with `canary()` in that very place.

use std::collections::BTreeMap;

/// How many contexts are kept for each nonterminal, shortest first: some are refused by the action behind a production.
const CONTEXTS: usize = 24;

/// How many ways to hold the canary are kept for each nonterminal, likewise.
const WAYS: usize = 24;

/// Nonterminals that are `canary()` where they hold it.
const EXPRESSIONS: [&str; 6] = ["a_expr", "b_expr", "c_expr", "func_expr", "func_expr_windowless", "func_application"];

/// Texts for nonterminals whose shortest sentence the action behind a production refuses.
const SHORTEST: [(&str, &str); 11] = [
    // JSON_TABLE takes a path only as a string.
    ("a_expr", "'1'"),
    ("b_expr", "1"),
    ("c_expr", "1"),
    ("SelectStmt", "SELECT 1"),
    ("select_with_parens", "(SELECT 1)"),
    // A name as good as any, and the only kind of name that PARTITION BY takes.
    ("ColId", "range"),
    ("oper_argtypes", "( INT , INT )"),
    ("pub_obj_list", "TABLE x"),
    ("PublicationObjSpec", "TABLE x"),
    ("row", "( 1 , 2 )"),
    ("frame_bound", "CURRENT ROW"),
];

/// Names that the grammar reads with subscripts, as if they were columns, and their actions refuse with them.
const NAMES: [&str; 4] = ["qualified_name", "func_name", "function_with_argtypes", "PublicationObjSpec"];

/// One alternative of a rule.
pub type Alternative = Vec<String>;

/// The words before and behind a nonterminal.
type Context = (Vec<String>, Vec<String>);

/// Rules by name, in order of their alternatives.
pub struct Grammar {
    rules: BTreeMap<String, Vec<Alternative>>,
    shortest: BTreeMap<String, Vec<String>>,
    contexts: BTreeMap<String, Vec<Context>>,
    canaries: BTreeMap<String, Vec<Vec<String>>>,
}

/// A place where an alternative takes something that may hold an expression.
#[derive(Debug)]
pub struct Place {
    /// `rule: the alternative`, with the place in brackets.
    pub name: String,
    /// Texts with the canary in this place, to be tried in this order.
    pub texts: Vec<String>,
}

impl Grammar {
    /// Reads the rules of a `gram.y`.
    pub fn read(source: &str) -> Grammar {
        let rules = source.split("\n%%\n").nth(1).expect("the rules between two %%");
        let mut grammar = Grammar {
            rules: parse(&without_actions(rules)),
            shortest: BTreeMap::new(),
            contexts: BTreeMap::new(),
            canaries: BTreeMap::new(),
        };
        assert!(grammar.rules.contains_key("stmtmulti") && grammar.rules.len() > 600, "{}", grammar.rules.len());
        grammar.find_shortest();
        grammar.find_canaries();
        grammar.find_contexts();
        grammar
    }

    /// Every place, rule by rule.
    pub fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for (rule, alternatives) in &self.rules {
            let Some(contexts) = self.contexts.get(rule) else { continue };
            for alternative in alternatives {
                for (at, symbol) in alternative.iter().enumerate() {
                    let Some(canaries) = self.canaries.get(symbol).filter(|_| !subscript(rule, symbol)) else {
                        continue;
                    };
                    let (Some(before), Some(after)) =
                        (self.text(&alternative[..at]), self.text(&alternative[at + 1..]))
                    else {
                        continue;
                    };
                    let mut shown = alternative.clone();
                    shown[at] = format!("[{symbol}]");
                    let mut texts = Vec::new();
                    for (prefix, suffix) in contexts {
                        for canary in canaries {
                            texts.push([&prefix[..], &before, canary, &after, suffix].concat().join(" "));
                        }
                    }
                    places.push(Place { name: format!("{rule}: {}", shown.join(" ")), texts });
                }
            }
        }
        places
    }

    /// The shortest text of symbols in a row.
    fn text(&self, symbols: &[String]) -> Option<Vec<String>> {
        let mut text = Vec::new();
        for symbol in symbols {
            match self.rules.contains_key(symbol) {
                true => text.extend(self.shortest.get(symbol)?.iter().cloned()),
                false => text.push(terminal(symbol)?),
            }
        }
        Some(text)
    }

    fn find_shortest(&mut self) {
        for (name, text) in SHORTEST {
            self.shortest.insert(name.to_owned(), vec![text.to_owned()]);
        }
        let mut changed = true;
        while changed {
            changed = false;
            for (rule, alternatives) in &self.rules {
                if SHORTEST.iter().any(|(name, _)| name == rule) {
                    continue;
                }
                let best = alternatives.iter().filter_map(|a| self.text(a)).min_by_key(Vec::len);
                let Some(best) = best else { continue };
                if self.shortest.get(rule).is_none_or(|known| best.len() < known.len()) {
                    self.shortest.insert(rule.clone(), best);
                    changed = true;
                }
            }
        }
    }

    fn find_canaries(&mut self) {
        for name in EXPRESSIONS {
            self.canaries.insert(name.to_owned(), vec![vec!["canary()".to_owned()]]);
        }
        let mut changed = true;
        while changed {
            changed = false;
            for (rule, alternatives) in &self.rules {
                if EXPRESSIONS.contains(&rule.as_str()) {
                    continue;
                }
                let mut found = Vec::new();
                for alternative in alternatives {
                    for (at, symbol) in alternative.iter().enumerate() {
                        let canaries = self.canaries.get(symbol).filter(|_| !subscript(rule, symbol));
                        let Some(canaries) = canaries else { continue };
                        let around = (self.text(&alternative[..at]), self.text(&alternative[at + 1..]));
                        let (Some(before), Some(after)) = around else { continue };
                        found.extend(canaries.iter().map(|c| [&before[..], c, &after].concat()));
                    }
                }
                changed |= merge(&mut self.canaries, rule, found, WAYS, Vec::len);
            }
        }
    }

    fn find_contexts(&mut self) {
        self.contexts.insert("stmtmulti".to_owned(), vec![(Vec::new(), Vec::new())]);
        let mut changed = true;
        while changed {
            changed = false;
            for (rule, alternatives) in &self.rules {
                let Some(contexts) = self.contexts.get(rule).cloned() else { continue };
                for alternative in alternatives {
                    for (at, symbol) in alternative.iter().enumerate() {
                        if !self.rules.contains_key(symbol) {
                            continue;
                        }
                        let around = (self.text(&alternative[..at]), self.text(&alternative[at + 1..]));
                        let (Some(before), Some(after)) = around else { continue };
                        let found = contexts
                            .iter()
                            .map(|(prefix, suffix)| ([&prefix[..], &before].concat(), [&after[..], suffix].concat()))
                            .collect();
                        let length = |(prefix, suffix): &Context| prefix.len() + suffix.len();
                        changed |= merge(&mut self.contexts, symbol, found, CONTEXTS, length);
                    }
                }
            }
        }
    }
}

fn subscript(rule: &str, symbol: &str) -> bool {
    symbol == "indirection" && NAMES.contains(&rule)
}

/// Keeps the shortest of what is known and what was found; true where that is something new.
fn merge<T: Ord + Clone>(
    known: &mut BTreeMap<String, Vec<T>>,
    name: &str,
    found: Vec<T>,
    most: usize,
    length: impl Fn(&T) -> usize,
) -> bool {
    if found.is_empty() {
        return false;
    }
    let kept = known.entry(name.to_owned()).or_default();
    let before = kept.clone();
    kept.extend(found);
    kept.sort_by(|a, b| length(a).cmp(&length(b)).then_with(|| a.cmp(b)));
    kept.dedup();
    kept.truncate(most);
    *kept != before
}

/// The text of a terminal; none for those that only other users of the parser send.
fn terminal(symbol: &str) -> Option<String> {
    let text = match symbol {
        "IDENT" => "x",
        "UIDENT" => "U&\"x\"",
        "SCONST" => "'x'",
        "USCONST" => "U&'x'",
        "BCONST" => "B'1'",
        "XCONST" => "X'1'",
        "ICONST" => "1",
        "FCONST" => "1.5",
        "PARAM" => "$1",
        "Op" => "#",
        "TYPECAST" => "::",
        "DOT_DOT" => "..",
        "COLON_EQUALS" => ":=",
        "EQUALS_GREATER" => "=>",
        "LESS_EQUALS" => "<=",
        "GREATER_EQUALS" => ">=",
        "NOT_EQUALS" => "<>",
        _ if symbol.starts_with("MODE_") => return None,
        _ => match symbol.strip_prefix('\'').and_then(|quoted| quoted.strip_suffix('\'')) {
            Some(character) => character,
            None => symbol.trim_end_matches("_P").trim_end_matches("_LA"),
        },
    };
    Some(text.to_owned())
}

/// The rules without comments and without the code in braces.
fn without_actions(rules: &str) -> String {
    let mut text = String::with_capacity(rules.len());
    let mut depth = 0;
    let mut rest = rules;
    while let Some(c) = rest.chars().next() {
        let bytes = match c {
            '/' if rest.starts_with("/*") => rest.find("*/").unwrap() + 2,
            '\'' | '"' => quoted(rest, c),
            _ => c.len_utf8(),
        };
        let (token, after) = rest.split_at(bytes);
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth == 0 && !token.starts_with("/*") => text.push_str(token),
            _ => {}
        }
        rest = after;
    }
    text
}

fn quoted(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => {
                characters.next();
            }
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn parse(text: &str) -> BTreeMap<String, Vec<Alternative>> {
    let mut rules: BTreeMap<String, Vec<Alternative>> = BTreeMap::new();
    let mut rule: Option<&str> = None;
    let mut words = text.split_whitespace().flat_map(symbols).peekable();
    while let Some(word) = words.next() {
        if words.peek() == Some(&":") {
            words.next();
            rules.insert(word.to_owned(), vec![Vec::new()]);
            rule = Some(word);
            continue;
        }
        let Some(alternatives) = rule.and_then(|rule| rules.get_mut(rule)) else { continue };
        match word {
            "|" => alternatives.push(Vec::new()),
            ";" => rule = None,
            "%prec" => {
                words.next();
            }
            _ => alternatives.last_mut().unwrap().push(word.to_owned()),
        }
    }
    rules
}

/// `name:`, `|x` and `;` stand without blanks at times.
fn symbols(word: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = word;
    while let Some(c) = rest.chars().next() {
        let bytes = match c {
            '\'' => quoted(rest, '\''),
            ':' | '|' | ';' => 1,
            _ => rest.find(['\'', ':', '|', ';']).unwrap_or(rest.len()),
        };
        let (symbol, after) = rest.split_at(bytes);
        found.push(symbol);
        rest = after;
    }
    found
}
