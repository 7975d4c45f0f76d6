//! Rules: words to actions, names to patterns.

use std::path::Path;
use std::sync::Arc;

use super::{Compiler, check_label};
use crate::policy::decoy::{Decoy, Misplaced};
use crate::policy::diagnostic::{Code, Severity, Source};
use crate::policy::document;
use crate::policy::glob::Glob;
use crate::policy::lonely::{Kind, Mention};
use crate::policy::names::spelling::visible;
use crate::policy::names::{self, BadPattern, Named, Pattern};
use crate::policy::reader::At;
use crate::policy::rule::{ColumnPattern, Rule, Selectors};
use crate::policy::statements::{self, StatementList};
use crate::policy::words::{self, Actions, List};

impl Compiler<'_, '_, '_> {
    pub(super) fn rules(&mut self, rules: Vec<document::Rule>, list: List) -> Vec<Arc<Rule>> {
        rules.into_iter().map(|rule| Arc::new(self.rule(rule, list))).collect()
    }

    fn rule(&mut self, rule: document::Rule, list: List) -> Rule {
        let before = self.reader.findings.len();
        check_label(self.reader, &rule.name, "rule");
        let actions = self.actions(&rule, list);
        let selectors = self.selectors(&rule);
        let statements = rule.statements.as_ref().and_then(|at| self.statements(at, &rule, list));
        let errors = self.reader.findings.iter().skip(before).any(|finding| finding.severity == Severity::Error);
        let whole = !rule.partial && !errors;
        match list {
            List::Allow => self.check_allow(&rule, &actions, &selectors, whole),
            List::Deny => self.check_deny(&rule, &actions, &selectors, whole),
        }
        Rule {
            policy: self.policy.clone(),
            name: rule.name.value.as_str().into(),
            file: self.file.clone(),
            line: rule.place.line,
            actions,
            selectors,
            when: rule.when.when,
            statements,
            observe: rule.observe.is_some_and(|at| at.value),
            hint: rule.hint.map(Into::into),
            alert: rule.alert,
            sequel: rule.sequel.map(|at| at.value).unwrap_or_default(),
        }
    }

    /// The list of statements that a rule names.
    fn statements(&mut self, at: &At<String>, rule: &document::Rule, list: List) -> Option<Arc<StatementList>> {
        if list == List::Deny {
            self.reader.help(
                Code::MisplacedList,
                at.place,
                "a list of statements belongs to an allow rule",
                "to refuse one statement at once: `portcullis block --hash HASH`",
            );
            return None;
        }
        if !at.value.ends_with(statements::ENDING) {
            self.reader.help(
                Code::MisplacedList,
                at.place,
                format!("\"{}\" is no list of statements by its name", at.value),
                format!("end the file's name with {}: other files of the directory are policies", statements::ENDING),
            );
            return None;
        }
        if at.value.contains('/') {
            self.reader.help(
                Code::MisplacedList,
                at.place,
                "a list of statements stands beside its policy, in the same directory",
                "write the file's name alone",
            );
            return None;
        }
        if rule.actions.is_some() || !self.selectors(rule).is_empty() {
            self.reader.help(
                Code::MisplacedList,
                at.place,
                "a rule with a list of statements allows everything that they do, and nothing else",
                "take `actions` and the selectors out, or write a rule of its own for them",
            );
        }
        let path = Path::new(&*self.file).parent().unwrap_or(Path::new("")).join(&at.value);
        let text = match (self.read)(&path) {
            Ok(text) => text,
            Err(error) => {
                self.reader.help(
                    Code::UnreadableList,
                    at.place,
                    format!("the list \"{}\" can't be read: {error}", at.value),
                    "it stands beside this file; `portcullis learn` writes one",
                );
                return None;
            }
        };
        match StatementList::parse(&text) {
            Ok(list) => Some(Arc::new(list)),
            Err(bad) => {
                let source = Source::new(path.display().to_string(), text);
                let help = "write `- hash: HASH` for each statement; `portcullis explain` shows a statement's hash";
                self.reader.findings.push(source.finding(Code::BadList, bad.place, bad.message).help(help));
                None
            }
        }
    }

    fn actions(&mut self, rule: &document::Rule, list: List) -> Actions {
        let Some(listed) = &rule.actions else {
            if list == List::Allow && rule.statements.is_none() && !rule.partial {
                self.reader.help(
                    Code::NoActions,
                    rule.place,
                    format!("rule \"{}\" allows no action", rule.name.value),
                    "add `actions: [...]`, for instance [select]",
                );
            }
            return Actions::everything();
        };
        let mut set = Actions::default();
        for word in listed {
            if let Err(bad) = words::add(&mut set, &word.value, list) {
                let finding = self.reader.source.finding(bad.code, word.place, bad.message);
                self.reader.findings.push(match bad.help {
                    Some(help) => finding.help(help),
                    None => finding,
                });
            } else if list == List::Allow && matches!(word.value.as_str(), "all" | "ALL") {
                self.reader.help(
                    Code::AllowsEverything,
                    word.place,
                    format!("rule \"{}\" allows every action that there is or will be", rule.name.value),
                    "name the actions or groups that are meant, for instance [read, write]",
                );
            }
        }
        set
    }

    fn selectors(&mut self, rule: &document::Rule) -> Selectors {
        let roles = self.globs(&rule.roles, "roles");
        let cursors = self.globs(&rule.cursors, "cursors");
        Selectors {
            tables: self.patterns(&rule.tables, Some(Kind::Table)),
            functions: self.patterns(&rule.functions, Some(Kind::Function)),
            columns: rule.columns.iter().filter_map(|at| self.column(at)).collect(),
            settings: rule.settings.iter().filter_map(|at| self.setting(at)).collect(),
            roles,
            cursors,
            objects: self.patterns(&rule.objects, None),
        }
    }

    /// Names that are compared as they stand, with wildcards: of users, databases, roles, cursors.
    pub(super) fn globs(&mut self, list: &[At<String>], what: &str) -> Vec<Glob> {
        for at in list {
            let text = &at.value;
            let quoted =
                text.len() > 1 && ['"', '\''].iter().any(|quote| text.starts_with(*quote) && text.ends_with(*quote));
            let (message, help) = if text.contains(',') {
                let entries = text.split(',').map(str::trim).collect::<Vec<_>>().join(", ");
                let help = format!("write an entry for each: [{entries}]; ? stands for a comma in a name");
                (format!("\"{text}\" in {what} has a comma in it"), help)
            } else if text.trim() != text {
                let help = format!("write it without the blank: [{}]; ? stands for one in a name", text.trim());
                (format!("\"{}\" in {what} has a blank at its edge", visible(text)), help)
            } else if quoted {
                let help = format!(
                    "names are compared as they stand here, capitals too: [{}]",
                    text.trim_matches(['"', '\''])
                );
                (format!("`{text}` in {what} has quotes around it"), help)
            } else {
                continue;
            };
            self.reader.help(Code::BadPattern, at.place, message, help);
        }
        list.iter().map(|at| Glob::new(&at.value)).collect()
    }

    fn patterns(&mut self, list: &[At<String>], kind: Option<Kind>) -> Vec<Pattern> {
        let named = match kind {
            Some(Kind::Table | Kind::Schema) => Named::Relations,
            Some(Kind::Function) => Named::Functions,
            None => Named::Objects,
        };
        let mut patterns = Vec::with_capacity(list.len());
        for at in list {
            match names::pattern(&at.value, named) {
                Ok(pattern) => {
                    self.mentions.extend(Mention::of(&pattern, kind, at.place));
                    patterns.push(pattern);
                }
                Err(BadPattern { message, help }) => self.reader.help(Code::BadPattern, at.place, message, help),
            }
        }
        patterns
    }

    pub(super) fn decoy(&mut self, at: &At<String>) -> Option<Decoy> {
        let pattern = self.patterns(std::slice::from_ref(at), Some(Kind::Table)).pop()?;
        let written = &at.value;
        match Decoy::misplaced(&pattern) {
            Some(Misplaced::System) => {
                self.reader.help(
                    Code::ServersDecoy,
                    at.place,
                    format!("\"{written}\" can't be a decoy: it means the server's own relations or temporary ones"),
                    "name a table that nobody has a reason to touch; the catalogs are read by every client",
                );
                return None;
            }
            Some(Misplaced::Everything) => self.reader.help(
                Code::EverythingDecoy,
                at.place,
                format!("decoy \"{written}\" is every table: the first statement on any quarantines its user"),
                "name the tables, or a schema that holds nothing else: \"traps.*\"",
            ),
            None => {}
        }
        Some(Decoy {
            policy: self.policy.clone(),
            pattern,
            written: written.as_str().into(),
            file: self.file.clone(),
            line: at.place.line,
        })
    }

    /// Warns of decoys that a rule of the same policy allows by name: who uses the table as the rule says is shut out.
    pub(super) fn allowed_decoys(
        &mut self,
        decoys: &[Arc<Decoy>],
        written: &[At<String>],
        allow: &[Arc<Rule>],
        path: Option<&[Box<str>]>,
    ) {
        for decoy in decoys {
            let named = |rule: &&Arc<Rule>| {
                let Selectors { tables, objects, .. } = &rule.selectors;
                tables.iter().chain(objects).any(|pattern| decoy.takes_all(pattern, path))
            };
            let (Some(rule), Some(at)) =
                (allow.iter().find(named), written.iter().find(|at| *at.value == *decoy.written))
            else {
                continue;
            };
            self.reader.help(
                Code::AllowedDecoy,
                at.place,
                format!(
                    "rule \"{}\" (line {}) allows what the decoy \"{}\" takes: who uses it is refused, and shut out",
                    rule.name, rule.line, decoy.written
                ),
                "take it out of one of the two: a decoy is a table that nobody has a reason to touch",
            );
        }
    }

    fn column(&mut self, at: &At<String>) -> Option<ColumnPattern> {
        let help = "write table.column or schema.table.column";
        match names::parts(&at.value, 3, Named::Relations) {
            Err(BadPattern { message, help }) => {
                self.reader.help(Code::BadPattern, at.place, message, help);
                None
            }
            Ok(mut parts) => {
                let (column, table) = (parts.pop(), parts.pop());
                let (Some(column), Some(name)) = (column, table) else {
                    self.reader.help(Code::BadPattern, at.place, format!("\"{}\" names no table", at.value), help);
                    return None;
                };
                let table = Pattern { schema: parts.pop(), name };
                self.mentions.extend(Mention::of(&table, Some(Kind::Table), at.place));
                Some(ColumnPattern { table, column })
            }
        }
    }
}
