//! The statements of PL/pgSQL, one by one (`proc_stmt` of `pl_gram.y`).

use super::{MAX_NESTING, Piece, Read, Reader};

impl Reader<'_> {
    /// Statements up to what closes them, which stays.
    pub(super) fn statements(&mut self) -> Read<()> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err("PL/pgSQL nested too deeply".to_owned());
        }
        while !self.is_any(&["end", "else", "when"])
            && (!self.is_any(&["exception", "elsif", "elseif"]) || self.is_assignment())
        {
            self.statement()?;
        }
        self.nesting -= 1;
        Ok(())
    }

    /// A name before one of these is a variable, even if it is a keyword.
    fn is_assignment(&self) -> bool {
        self.is_name() && [":=", "=", "[", "."].contains(&self.peek(1))
    }

    fn statement(&mut self) -> Read<()> {
        if self.is_assignment() {
            let text = self.until(&[";"])?;
            self.push(Piece::Assignment(text))?;
            return self.expect(";");
        }
        let labelled = self.label()?;
        let word = self.peek(0).to_ascii_lowercase();
        match word.as_str() {
            "declare" | "begin" => self.block()?,
            "loop" => self.loop_body()?,
            "while" => {
                self.at += 1;
                self.expression(&["loop"])?;
                self.loop_body()?;
            }
            "for" => self.for_loop()?,
            "foreach" => self.foreach()?,
            _ if labelled => return Err(self.surprise()),
            "if" => self.if_statement()?,
            "case" => self.case()?,
            "exit" | "continue" => {
                self.at += 1;
                if self.is_name() {
                    self.at += 1;
                }
                if self.take("when") {
                    self.expression(&[";"])?;
                }
            }
            "return" => self.return_statement()?,
            "raise" => self.raise()?,
            "assert" => {
                self.at += 1;
                self.expressions(&[";"])?;
            }
            "perform" => {
                self.at += 1;
                let text = format!("SELECT {}", self.until(&[";"])?);
                self.push(Piece::Statement(text))?;
            }
            "execute" => self.execute()?,
            "open" => self.open()?,
            "fetch" | "move" => self.fetch(word == "fetch")?,
            "close" => {
                self.at += 1;
                self.variable()?;
            }
            "get" => self.get_diagnostics()?,
            "null" => self.at += 1,
            "call" | "do" | "commit" | "rollback" => self.query(&[";"])?,
            _ => self.sql()?,
        }
        self.expect(";")
    }

    fn loop_body(&mut self) -> Read<()> {
        self.expect("loop")?;
        self.statements()?;
        self.expect("end")?;
        self.expect("loop")?;
        if self.is_name() {
            self.at += 1;
        }
        Ok(())
    }

    fn for_loop(&mut self) -> Read<()> {
        self.at += 1;
        self.variables()?;
        self.expect("in")?;
        if self.take("execute") {
            self.dynamic("loop")?;
        } else if let Some(bracket) = self.bound_cursor() {
            self.at += bracket;
            if self.take("(") {
                self.cursor_arguments()?;
            }
        } else {
            let reverse = self.take_before_expression("reverse")?;
            let text = self.until(&["..", "loop"])?;
            if self.take("..") {
                self.push(Piece::Expression(text))?;
                self.expression(&["by", "loop"])?;
                if self.take("by") {
                    self.expression(&["loop"])?;
                }
            } else if reverse {
                return Err(self.surprise());
            } else {
                self.push(Piece::Statement(text.to_owned()))?;
            }
        }
        self.loop_body()
    }

    /// The length of the name in `c LOOP`, `c(…) LOOP`: a bound cursor. Queries that look so begin with a keyword.
    fn bound_cursor(&self) -> Option<usize> {
        if !self.is_name() || self.is_any(&["select", "values", "table"]) {
            return None;
        }
        let mut length = 1;
        while length < 5 && self.peek(length) == "." {
            length += 2;
        }
        let mut ahead = length;
        if self.peek(ahead) == "(" {
            let mut brackets = 0_u32;
            loop {
                match self.peek(ahead) {
                    "(" => brackets += 1,
                    ")" => brackets -= 1,
                    "" | ";" => return None,
                    _ => {}
                }
                ahead += 1;
                if brackets == 0 {
                    break;
                }
            }
        }
        self.peek(ahead).eq_ignore_ascii_case("loop").then_some(length)
    }

    fn foreach(&mut self) -> Read<()> {
        self.at += 1;
        self.variables()?;
        if self.take("slice") {
            if !self.tokens.get(self.at).is_some_and(|t| t.number) {
                return Err(self.surprise());
            }
            self.at += 1;
        }
        self.expect("in")?;
        self.expect("array")?;
        self.expression(&["loop"])?;
        self.loop_body()
    }

    fn if_statement(&mut self) -> Read<()> {
        self.at += 1;
        self.expression(&["then"])?;
        self.expect("then")?;
        self.statements()?;
        while self.take("elsif") || self.take("elseif") {
            self.expression(&["then"])?;
            self.expect("then")?;
            self.statements()?;
        }
        if self.take("else") {
            self.statements()?;
        }
        self.expect("end")?;
        self.expect("if")
    }

    fn case(&mut self) -> Read<()> {
        self.at += 1;
        if !self.is("when") {
            self.expression(&["when"])?;
        }
        while self.take("when") {
            self.expression(&["then"])?;
            self.expect("then")?;
            self.statements()?;
        }
        if self.take("else") {
            self.statements()?;
        }
        self.expect("end")?;
        self.expect("case")
    }

    fn return_statement(&mut self) -> Read<()> {
        self.at += 1;
        if self.take_before_expression("query")? {
            return if self.take("execute") { self.dynamic(";") } else { self.query(&[";"]) };
        }
        self.take_before_expression("next")?;
        if self.is(";") { Ok(()) } else { self.expression(&[";"]) }
    }

    fn raise(&mut self) -> Read<()> {
        self.at += 1;
        if self.is_unreserved(&["exception", "warning", "notice", "info", "log", "debug"]) {
            self.at += 1;
        }
        if self.string().is_ok() {
            while self.take(",") {
                self.expression(&[",", ";", "using"])?;
            }
        } else if self.take_unreserved("sqlstate") {
            self.string()?;
        } else if self.is_name() {
            self.at += 1;
        }
        if self.take("using") {
            loop {
                self.name()?;
                if !self.take("=") {
                    self.expect(":=")?;
                }
                self.expression(&[",", ";"])?;
                if !self.take(",") {
                    break;
                }
            }
        }
        Ok(())
    }

    fn execute(&mut self) -> Read<()> {
        self.at += 1;
        let text = self.until(&["into", "using", ";"])?;
        self.push(Piece::Dynamic(text))?;
        loop {
            if self.take("into") {
                self.into()?;
            } else if self.take("using") {
                self.expressions(&[";", "into"])?;
            } else {
                return Ok(());
            }
        }
    }

    fn open(&mut self) -> Read<()> {
        self.at += 1;
        self.variable()?;
        if self.take("(") {
            return self.cursor_arguments();
        }
        if self.scroll()? || self.is("for") {
            self.expect("for")?;
            return if self.take("execute") { self.dynamic(";") } else { self.query(&[";"]) };
        }
        Ok(())
    }

    /// FETCH and MOVE: a direction, which may be or hold an expression, and a cursor.
    fn fetch(&mut self, into: bool) -> Read<()> {
        self.at += 1;
        let mut ahead = 0;
        while !["", ";", "from", "in", "into"].contains(&&*self.peek(ahead).to_ascii_lowercase()) {
            ahead += 1;
        }
        let from = ["from", "in"].contains(&&*self.peek(ahead).to_ascii_lowercase());
        let plain = self.is_before_expression(&["next", "prior", "first", "last", "all"])?;
        let counted = self.is_before_expression(&["absolute", "relative", "forward", "backward"])?;
        if from && ahead > 0 {
            if plain || counted {
                self.at += 1;
            }
            let all = counted && self.take("all");
            if !all && !plain && !self.is_any(&["from", "in"]) {
                self.expression(&["from", "in"])?;
            }
        } else if (plain || counted) && ahead > 1 {
            self.at += 1;
            if counted && ahead > 2 {
                self.take("all");
            }
        }
        if from && !self.take("from") {
            self.expect("in")?;
        }
        self.variable()?;
        if into {
            self.expect("into")?;
            self.into()?;
        }
        Ok(())
    }

    fn get_diagnostics(&mut self) -> Read<()> {
        self.at += 1;
        if !self.take("current") {
            self.take("stacked");
        }
        self.expect("diagnostics")?;
        loop {
            self.variable()?;
            if !self.take(":=") {
                self.expect("=")?;
            }
            self.name()?;
            if !self.take(",") {
                return Ok(());
            }
        }
    }

    /// A statement of SQL (`make_execsql_stmt`): its INTO clause is PL/pgSQL's.
    fn sql(&mut self) -> Read<()> {
        if !self.is_name() {
            return Err(self.surprise());
        }
        let (first, start) = (self.at, self.offset());
        let import = self.is("import");
        let create = self.is("create");
        let mut brackets = 0_u32;
        let mut cut = None;
        loop {
            match self.peek(0) {
                "(" => brackets += 1,
                ")" => brackets = brackets.saturating_sub(1),
                ";" if brackets == 0 => break,
                "" => return Err(self.surprise()),
                _ => {}
            }
            // `CREATE FUNCTION … BEGIN ATOMIC …; END`: the versions differ in where it ends.
            if create && self.is("begin") {
                return Err("CREATE FUNCTION … BEGIN in a PL/pgSQL body".to_owned());
            }
            let before = self.at.checked_sub(1).filter(|b| *b >= first).and_then(|b| self.tokens.get(b));
            let verb = before.is_some_and(|t| ["insert", "merge"].contains(&&*t.text.to_ascii_lowercase()));
            if self.is("into") && !verb && !import {
                if cut.is_some() {
                    return Err(self.surprise());
                }
                let from = self.offset();
                self.at += 1;
                self.into()?;
                cut = Some((from, self.offset()));
            } else {
                self.at += 1;
            }
        }
        let end = self.offset();
        let text = match cut {
            Some((from, to)) => format!("{} {}", self.slice(start, from)?, self.slice(to, end)?),
            None => self.slice(start, end)?.to_owned(),
        };
        self.push(Piece::Statement(text))
    }
}
