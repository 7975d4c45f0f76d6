//! A document to a policy: words to actions, names to patterns, with every mistake reported where it stands.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::policy::decoy::{Decoy, Misplaced};
use crate::policy::diagnostic::{Diagnostic, Place, Source, did_you_mean};
use crate::policy::document::{self, Document, Injection, Test};
use crate::policy::glob::Glob;
use crate::policy::limits::Limits;
use crate::policy::names::{self, Pattern};
use crate::policy::network::Network;
use crate::policy::quota::Quotas;
use crate::policy::reader::{At, Reader};
use crate::policy::rule::{ColumnPattern, Rule, Selectors};
use crate::policy::settings::{Pin, SettingPattern, is_read_only, same_text};
use crate::policy::statements::{self, StatementList};
use crate::policy::words::{self, Actions, List};
use crate::policy::yaml;
use crate::sql::ActionName;
use crate::sql::settings::{Context, VarType, canonical, parse_bool, setting};

/// One compiled policy.
#[derive(Debug)]
pub(crate) struct Policy {
    pub name: Arc<str>,
    pub file: Arc<str>,
    pub place: Place,
    pub users: Vec<Glob>,
    /// Empty: every database.
    pub databases: Vec<Glob>,
    pub replication: bool,
    /// Empty: from anywhere.
    pub networks: Vec<Network>,
    pub tls: bool,
    pub enforce: bool,
    pub unlisted_observe: Option<bool>,
    pub refuse_disagreement: bool,
    pub baseline: bool,
    pub search_path: Option<Vec<Box<str>>>,
    pub temp_tables: Option<bool>,
    pub pins: Vec<Pin>,
    pub terse: bool,
    pub limits: Limits,
    pub quotas: Quotas,
    pub injection: Injection,
    pub allow: Vec<Arc<Rule>>,
    pub deny: Vec<Arc<Rule>>,
    pub decoys: Vec<Arc<Decoy>>,
    pub tests: Vec<Test>,
}

/// Reads a file that a policy names: a list of statements.
pub(crate) type ReadFile<'f> = dyn FnMut(&Path) -> io::Result<String> + 'f;

/// Reads one file: its policies, and what is wrong or doubtful.
pub(crate) fn file(source: &Source, read: &mut ReadFile<'_>) -> (Vec<Policy>, Vec<Diagnostic>) {
    let mut reader = Reader::new(source);
    let nodes = match yaml::parse(&source.text) {
        Ok(nodes) => nodes,
        Err(malformed) => {
            reader.error(malformed.place, malformed.message);
            return (Vec::new(), reader.findings);
        }
    };
    if nodes.is_empty() {
        reader.error_help(Place::default(), "the file holds no policy", "begin it with `policy: NAME`, or remove it");
    }
    let mut policies = Vec::new();
    for node in &nodes {
        if let Some(document) = document::decode(&mut reader, node) {
            policies.push(policy(&mut reader, document, read));
        }
    }
    (policies, reader.findings)
}

fn policy(reader: &mut Reader<'_>, document: Document, read: &mut ReadFile<'_>) -> Policy {
    let file = reader.source.file.clone();
    let name: Arc<str> = document.name.value.as_str().into();
    check_label(reader, &document.name, "policy");
    let mut compiler = Compiler { reader, read, policy: name.clone(), file: file.clone() };
    let allow = compiler.rules(document.allow, List::Allow);
    let deny = compiler.rules(document.deny, List::Deny);
    let decoys = document.decoys.iter().filter_map(|at| compiler.decoy(at)).map(Arc::new).collect();
    let pins = compiler.pins(document.pins);
    let search_path = document.search_path.map(|path| compiler.search_path(&path.value));
    if let Some(temp) = &document.temp_tables
        && temp.value
        && search_path.is_none()
    {
        compiler.reader.error_help(
            temp.place,
            "`temp_tables: allow` needs `search_path`",
            "without a path nobody can say whether a name means a temporary table",
        );
    }
    let networks = document
        .require
        .networks
        .iter()
        .filter_map(|text| match Network::parse(&text.value) {
            Ok(network) => Some(network),
            Err(message) => {
                compiler.reader.error(text.place, message);
                None
            }
        })
        .collect();
    Policy {
        name,
        file,
        place: document.name.place,
        users: document.applies_to.users.iter().map(|user| Glob::new(&user.value)).collect(),
        databases: document.applies_to.databases.iter().map(|database| Glob::new(&database.value)).collect(),
        replication: document.applies_to.replication,
        networks,
        tls: document.require.tls,
        enforce: !document.observe,
        unlisted_observe: document.unlisted_observe.map(|at| at.value),
        refuse_disagreement: document.refuse_disagreement,
        baseline: document.baseline,
        search_path,
        temp_tables: document.temp_tables.map(|at| at.value),
        pins,
        terse: document.terse,
        limits: document.limits,
        quotas: document.quotas,
        injection: document.injection,
        allow,
        deny,
        decoys,
        tests: document.tests,
    }
}

/// Names of policies and rules are labels of metrics and stand in error messages: words, not prose.
fn check_label(reader: &mut Reader<'_>, name: &At<String>, what: &str) {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.value.is_empty() || name.value.chars().count() > 63 || !name.value.chars().all(plain) {
        reader.error_help(
            name.place,
            format!("\"{}\" is no name for a {what}", name.value.escape_debug()),
            "a name has 1 to 63 letters, digits, `-`, `_` or `.`",
        );
    } else if words::is_reserved(&name.value) {
        reader.error_help(
            name.place,
            format!("a {what} can't be called \"{}\"", name.value),
            "the word has a meaning of its own in errors, metrics and `by:`",
        );
    }
}

struct Compiler<'r, 'a, 'f> {
    reader: &'r mut Reader<'a>,
    read: &'r mut ReadFile<'f>,
    policy: Arc<str>,
    file: Arc<str>,
}

impl Compiler<'_, '_, '_> {
    fn rules(&mut self, rules: Vec<document::Rule>, list: List) -> Vec<Arc<Rule>> {
        rules.into_iter().map(|rule| Arc::new(self.rule(rule, list))).collect()
    }

    fn rule(&mut self, rule: document::Rule, list: List) -> Rule {
        check_label(self.reader, &rule.name, "rule");
        let actions = self.actions(&rule, list);
        let selectors = self.selectors(&rule);
        let statements = rule.statements.as_ref().and_then(|at| self.statements(at, &rule, list));
        match list {
            List::Allow => self.check_allow(&rule, &actions, &selectors),
            List::Deny => self.check_deny(&rule, &actions, &selectors),
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
            self.reader.error_help(
                at.place,
                "a list of statements belongs to an allow rule",
                "to refuse one statement at once: `portcullis block --hash HASH`",
            );
            return None;
        }
        if !at.value.ends_with(statements::ENDING) {
            self.reader.error_help(
                at.place,
                format!("\"{}\" is no list of statements by its name", at.value),
                format!("end the file's name with {}: other files of the directory are policies", statements::ENDING),
            );
            return None;
        }
        if at.value.contains('/') {
            self.reader.error_help(
                at.place,
                "a list of statements stands beside its policy, in the same directory",
                "write the file's name alone",
            );
            return None;
        }
        if rule.actions.is_some() || !self.selectors(rule).is_empty() {
            self.reader.error_help(
                at.place,
                "a rule with a list of statements allows everything that they do, and nothing else",
                "take `actions` and the selectors out, or write a rule of its own for them",
            );
        }
        let path = Path::new(&*self.file).parent().unwrap_or(Path::new("")).join(&at.value);
        let text = match (self.read)(&path) {
            Ok(text) => text,
            Err(error) => {
                self.reader.error_help(
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
                let source = Source { file: path.display().to_string().into(), text };
                self.reader.findings.push(source.error(bad.place, bad.message));
                None
            }
        }
    }

    fn actions(&mut self, rule: &document::Rule, list: List) -> Actions {
        let Some(listed) = &rule.actions else {
            if list == List::Allow && rule.statements.is_none() {
                self.reader.error_help(
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
                let finding = self.reader.source.error(word.place, bad.message);
                self.reader.findings.push(match bad.help {
                    Some(help) => finding.help(help),
                    None => finding,
                });
            } else if list == List::Allow && matches!(word.value.as_str(), "all" | "ALL") {
                self.reader.warning_help(
                    word.place,
                    format!("rule \"{}\" allows every action that there is or will be", rule.name.value),
                    "name the actions or groups that are meant, for instance [read, write]",
                );
            }
        }
        set
    }

    fn selectors(&mut self, rule: &document::Rule) -> Selectors {
        let globs = |list: &[At<String>]| list.iter().map(|at| Glob::new(&at.value)).collect();
        Selectors {
            tables: self.patterns(&rule.tables),
            functions: self.patterns(&rule.functions),
            columns: rule.columns.iter().filter_map(|at| self.column(at)).collect(),
            settings: rule.settings.iter().filter_map(|at| self.setting(at)).collect(),
            roles: globs(&rule.roles),
            cursors: globs(&rule.cursors),
            objects: self.patterns(&rule.objects),
        }
    }

    fn patterns(&mut self, list: &[At<String>]) -> Vec<Pattern> {
        let mut patterns = Vec::with_capacity(list.len());
        for at in list {
            match names::pattern(&at.value) {
                Ok(pattern) => patterns.push(pattern),
                Err(message) => self.reader.error_help(at.place, message, "write name or schema.name"),
            }
        }
        patterns
    }

    fn decoy(&mut self, at: &At<String>) -> Option<Decoy> {
        let pattern = self.patterns(std::slice::from_ref(at)).pop()?;
        let written = &at.value;
        match Decoy::misplaced(&pattern) {
            Some(Misplaced::System) => {
                self.reader.error_help(
                    at.place,
                    format!("\"{written}\" can't be a decoy: it means the server's own relations or temporary ones"),
                    "name a table that nobody has a reason to touch; the catalogs are read by every client",
                );
                return None;
            }
            Some(Misplaced::Everything) => self.reader.warning_help(
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

    fn column(&mut self, at: &At<String>) -> Option<ColumnPattern> {
        let help = "write table.column or schema.table.column";
        match names::parts(&at.value, 3) {
            Err(message) => {
                self.reader.error_help(at.place, message, help);
                None
            }
            Ok(mut parts) => {
                let (column, table) = (parts.pop(), parts.pop());
                let (Some(column), Some(name)) = (column, table) else {
                    self.reader.error_help(at.place, format!("\"{}\" names no table", at.value), help);
                    return None;
                };
                Some(ColumnPattern { table: Pattern { schema: parts.pop(), name }, column })
            }
        }
    }

    fn setting(&mut self, at: &At<String>) -> Option<SettingPattern> {
        let pattern = SettingPattern::new(&at.value);
        if let Glob::Literal(name) = &pattern.name {
            match &**name {
                "role" | "session_authorization" => {
                    self.reader.error_help(
                        at.place,
                        format!("{name} is not changed by a `set` rule"),
                        "write `actions: [set_role], roles: [...]`",
                    );
                    return None;
                }
                "standard_conforming_strings" | "backslash_quote" | "client_encoding"
                    if pattern.value.as_deref().is_some_and(|value| !lexes_safely(name, value)) =>
                {
                    self.reader.error_help(
                        at.place,
                        format!(
                            "{name} can't be allowed at this value: statements would not be read as the server does"
                        ),
                        "the safe values need no rule",
                    );
                    return None;
                }
                _ => {}
            }
            if &**name == "search_path"
                && let Some(value) = &pattern.value
                && let Some(problem) = bad_path(value)
            {
                self.reader.error_help(at.place, problem, "write schemas divided by commas: search_path=api,public");
                return None;
            }
            let known = setting(name);
            if known.is_none() && !name.contains('.') {
                let near = did_you_mean(name, SETTINGS_OFTEN_NAMED.iter().copied());
                let message = format!("the server has no setting \"{name}\"");
                match near {
                    Some(near) => self.reader.error(at.place, format!("{message}, did you mean \"{near}\"?")),
                    None => {
                        self.reader.error_help(at.place, message, "settings of extensions have a dot in their name")
                    }
                }
                return None;
            }
            if crate::sql::settings::is_guarded(name) && pattern.value.is_none() {
                self.reader.warning_help(
                    at.place,
                    format!("\"{name}\" is guarded: naming it without a value allows nothing"),
                    format!("write \"{name}=VALUE\" for the value that is meant"),
                );
            }
        }
        Some(pattern)
    }

    fn check_allow(&mut self, rule: &document::Rule, actions: &Actions, selectors: &Selectors) {
        let name = &rule.name.value;
        if let Some(observe) = &rule.observe {
            self.reader.error_help(
                observe.place,
                "an allow rule has no mode",
                "`mode: observe` belongs to a deny rule or to the whole policy",
            );
        }
        if let Some(column) = rule.columns.first() {
            self.reader.error_help(
                column.place,
                "columns can be denied, not allowed",
                "allow the table and deny the columns that nobody may see",
            );
        }
        for danger in &rule.when.dangers {
            self.reader.error_help(
                danger.place,
                format!("`{}` in an allow rule would allow exactly the dangerous statements", danger.value),
                "put it in a deny rule",
            );
        }
        if let Some(place) = rule.when.application_name {
            self.reader.warning_help(
                place,
                "every client chooses its application_name itself: this tells friends apart, it keeps nobody out",
                "where it must hold, give the application a role of its own",
            );
        }
        if let Some(sequel) = &rule.sequel {
            self.reader.error_help(
                sequel.place,
                "an allow rule refuses nothing that an outcome could follow",
                "`outcome` and `delay` belong to deny rules",
            );
        }
        if rule.actions.is_some() && selectors.is_empty() && !needs_no_selector(actions) {
            self.reader.warning_help(
                rule.place,
                format!("rule \"{name}\" names no objects: it allows its actions on everything"),
                "add `tables`, `functions`, `settings`, `roles` or `objects`",
            );
        }
        self.check_roles(rule, selectors);
    }

    fn check_deny(&mut self, rule: &document::Rule, actions: &Actions, selectors: &Selectors) {
        let when = &rule.when.when;
        if let Some(place) = rule.when.application_name {
            self.reader.error_help(
                place,
                "`application_name` in a deny rule stops nobody: every client chooses it itself",
                "deny it to everybody, and allow it where it is meant",
            );
        }
        if rule.actions.is_none() && selectors.is_empty() && when.is_empty() {
            self.reader.warning_help(
                rule.place,
                format!("rule \"{}\" refuses everything", rule.name.value),
                "say what it refuses: `actions`, a selector, or `when`",
            );
        }
        let reads_only = actions.mentions(ActionName::Select)
            && ![ActionName::Insert, ActionName::Update, ActionName::Delete].iter().any(|&a| actions.mentions(a));
        if rule.actions.is_some() && reads_only && !selectors.columns.is_empty() {
            self.reader.warning_help(
                rule.place,
                format!("rule \"{}\" lets columns be read by writes: UPDATE t SET seen = hidden", rule.name.value),
                "leave `actions` out: then nothing may name the columns",
            );
        }
        if when.where_missing
            && ![ActionName::Update, ActionName::Delete, ActionName::Select].iter().any(|&a| actions.mentions(a))
        {
            self.reader.error_help(
                rule.when.where_missing.unwrap_or(rule.place),
                "`where: missing` is asked of update, delete and select only",
                "add them to `actions`",
            );
        }
    }

    fn check_roles(&mut self, rule: &document::Rule, selectors: &Selectors) {
        let listed = rule.actions.iter().flatten().find(|word| word.value == ActionName::SetRole.as_str());
        if let Some(word) = listed
            && selectors.roles.is_empty()
        {
            self.reader.error_help(
                word.place,
                format!("rule \"{}\" allows set_role without saying to which roles", rule.name.value),
                "add `roles: [...]`",
            );
        }
    }

    fn pins(&mut self, pins: Vec<(At<String>, At<String>)>) -> Vec<Pin> {
        let mut compiled: Vec<Pin> = Vec::new();
        for (name, value) in pins {
            let canonical = canonical(&name.value);
            if let Some((message, help)) = not_pinnable(&canonical) {
                self.reader.error_help(name.place, message, help);
                continue;
            }
            if let Some(message) = bad_value(&canonical, &value.value) {
                self.reader.error(value.place, message);
                continue;
            }
            if compiled.iter().any(|pin| *pin.name == *canonical) {
                self.reader.error(name.place, format!("\"{canonical}\" is pinned twice"));
                continue;
            }
            compiled.push(Pin { name: canonical.into(), value: value.value.into() });
        }
        compiled
    }

    fn search_path(&mut self, path: &[At<String>]) -> Vec<Box<str>> {
        let mut schemas: Vec<Box<str>> = Vec::new();
        for at in path {
            if at.value == "$user" || at.value == "\"$user\"" {
                self.reader.error_help(
                    at.place,
                    "\"$user\" can't stand in search_path: what a name means would depend on who asks",
                    "name the schemas",
                );
                continue;
            }
            match names::split_identifiers(&at.value).as_deref() {
                Some([schema]) if schema == "pg_catalog" && !schemas.is_empty() => {
                    self.reader.error_help(at.place, CATALOG_LATE, "leave it out: pg_catalog always comes first");
                }
                Some([schema]) if !schema.is_empty() => schemas.push(schema.as_str().into()),
                _ => self.reader.error_help(
                    at.place,
                    format!("\"{}\" is no schema name", at.value),
                    "one schema for each entry: [api, public]",
                ),
            }
        }
        schemas
    }
}

/// Why a path can't be allowed.
const CATALOG_LATE: &str = "pg_catalog can't come after other schemas: theirs would hide PostgreSQL's own functions";

/// Whether a rule may name a guarded setting with this value.
pub(crate) fn allowable(name: &str, values: &[&str]) -> bool {
    let value = values.join(",");
    lexes_safely(name, &value) && (name != "search_path" || bad_path(&value).is_none())
}

/// What is wrong with a value of `search_path=`.
fn bad_path(value: &str) -> Option<String> {
    let Some(schemas) = names::split_identifiers(value) else {
        return Some(format!("\"{value}\" is no search_path"));
    };
    if schemas.iter().any(|schema| schema == "$user") {
        return Some("\"$user\" can't stand in search_path: what a name means would depend on who asks".to_owned());
    }
    let late = schemas.iter().position(|schema| schema == "pg_catalog").is_some_and(|at| at > 0);
    late.then(|| CATALOG_LATE.to_owned())
}

/// Whether a value of a lexing setting is one under which text is read as `sql` reads it.
fn lexes_safely(name: &str, value: &str) -> bool {
    match name {
        "standard_conforming_strings" => parse_bool(value) == Some(true),
        "backslash_quote" => value.eq_ignore_ascii_case("safe_encoding"),
        "client_encoding" => crate::sql::encoding::Encoding::lookup(value).is_some(),
        _ => true,
    }
}

/// Actions whose objects have no names, so that a selector would make no sense.
fn needs_no_selector(actions: &Actions) -> bool {
    const NAMELESS: &[ActionName] = &[
        ActionName::AdvisoryLock,
        ActionName::Sleep,
        ActionName::Begin,
        ActionName::Savepoint,
        ActionName::TwoPhase,
        ActionName::TransactionMode,
        ActionName::Show,
        ActionName::Reset,
        ActionName::Discard,
        ActionName::Prepare,
        ActionName::Cursor,
        ActionName::Checkpoint,
        ActionName::Do,
        ActionName::LargeObject,
        ActionName::SignalBackend,
        ActionName::Replication,
    ];
    let nameless = |name: &ActionName| match name {
        // Of `call:type`, without types: they have only numbers where a driver sends those.
        ActionName::Call => !actions.contains_whole(ActionName::Call),
        _ => NAMELESS.contains(name),
    };
    ActionName::ALL.iter().all(|name| !actions.mentions(*name) || nameless(name))
}

/// Why a setting can't be pinned, in the right words, and what to do.
fn not_pinnable(name: &str) -> Option<(String, String)> {
    let say = |message: &str, help: &str| Some((message.to_owned(), help.to_owned()));
    match name {
        "search_path" => return say("search_path is not pinned by `pin`", "write `search_path: [...]` in the policy"),
        "role" | "session_authorization" => {
            return say(
                &format!("{name} is not a pin: every session starts as its own user"),
                "allow changes by `actions: [set_role], roles: [...]`",
            );
        }
        "standard_conforming_strings"
        | "backslash_quote"
        | "row_security"
        | "client_encoding"
        | "session_replication_role" => {
            return say(&format!("{name} is guarded in every session"), "take the pin out");
        }
        "transaction_read_only" | "transaction_isolation" | "transaction_deferrable" => {
            return say(
                &format!("{name} lasts one transaction: at session start the server accepts it and does nothing"),
                &format!("pin default_{name}"),
            );
        }
        "seed" => return say("seed does nothing at session start", "take the pin out"),
        _ => {}
    }
    if name.contains('.') {
        return None;
    }
    let Some(known) = setting(name) else {
        let message = format!("the server has no setting \"{name}\"");
        return Some(match did_you_mean(name, SETTINGS_OFTEN_NAMED.iter().copied()) {
            Some(near) => (message, format!("did you mean \"{near}\"?")),
            None => (message, "see the server's pg_settings".to_owned()),
        });
    };
    let why = match known.context {
        Context::User => return None,
        Context::Internal => "nobody can set it",
        Context::Postmaster => "it is set when the server starts",
        Context::Sighup => "it is set in the server's configuration",
        Context::SuperuserBackend | Context::Superuser => "only superusers can set it",
        Context::Backend => "it is fixed when a connection starts and the session can't change it anyway",
    };
    Some((format!("{name} can't be pinned: {why}"), "pins are settings that any session may set".to_owned()))
}

/// Why a value is none that the setting takes.
fn bad_value(name: &str, value: &str) -> Option<String> {
    let known = setting(name)?;
    match known.vartype {
        VarType::Bool if parse_bool(value).is_none() => Some(format!("{name} is on or off, not \"{value}\"")),
        VarType::Enum if !known.values.iter().any(|v| v.eq_ignore_ascii_case(value)) => {
            Some(format!("{name} is one of {}, not \"{value}\"", known.values.join(", ")))
        }
        VarType::Integer | VarType::Real if value.trim().is_empty() || !value.trim().starts_with(is_number_start) => {
            Some(format!("{name} is a number, not \"{value}\""))
        }
        VarType::Bool | VarType::Enum | VarType::Integer | VarType::Real | VarType::String => None,
    }
}

fn is_number_start(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '-' | '+' | '.')
}

/// The settings that policies name most, for suggestions.
const SETTINGS_OFTEN_NAMED: &[&str] = &[
    "application_name",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "lock_timeout",
    "row_security",
    "search_path",
    "statement_timeout",
    "temp_buffers",
    "timezone",
    "transaction_timeout",
    "work_mem",
];

impl Policy {
    /// Whether this policy fixes sessions to read only.
    pub fn pins_read_only(&self) -> bool {
        self.pins.iter().any(|pin| is_read_only(&pin.name) && same_text(&pin.name, &pin.value, "on"))
    }
}
