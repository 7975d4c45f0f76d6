//! Specifications: Markdown with policies, statements and what becomes of them. `tests/spec/README.md` has the format;
//! `tests/spec.rs` runs them.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use portcullis::policy::diagnostic::{Diagnostic, Severity};
use portcullis::policy::test::{Ruling, TestSession};
use portcullis::policy::{self, Arrival, ClientCertificate, Identity, PolicySet, Refusal};
use portcullis::sql;

use super::markdown::{Block, Part, parts};

/// One page, read.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Its path from the root of the project.
    pub file: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    /// A heading of level 2: no policy is in force.
    Reset,
    /// The policies in force from here on, as text whose lines are those of the page.
    Policy { line: usize, text: String },
    /// Files that load with findings (errors where `broken`, else warnings), and what these say.
    Findings { line: usize, broken: bool, files: Vec<(String, String)>, told: Vec<String> },
    /// Statements of one session.
    Session { line: usize, who: Who, messages: Vec<Message> },
    /// Startup packets.
    Startup { line: usize, who: Who, packets: Vec<Packet> },
}

/// What a session differs in from the default one of the first policy.
#[derive(Debug, Clone, Default)]
struct Who {
    user: Option<String>,
    database: Option<String>,
    address: Option<std::net::IpAddr>,
    tls: Option<bool>,
    replication: bool,
    simple: bool,
    at: Option<jiff::Timestamp>,
    listener: Option<String>,
    /// `none`: it shows no certificate.
    client_cn: Option<String>,
    client_san: Option<String>,
    /// `none`: it comes over TCP.
    os_user: Option<String>,
}

impl Who {
    /// How it comes: by default as the policy demands it.
    fn arrival(&self, default: Arrival) -> Arrival {
        let mut arrival = default;
        if let Some(listener) = &self.listener {
            arrival.listener = listener.as_str().into();
        }
        if self.client_cn.is_some() || self.client_san.is_some() {
            let san = self.client_san.iter().cloned().collect();
            arrival.certificate = Some(Arc::new(ClientCertificate { cn: self.client_cn.clone(), san }));
        }
        if self.client_cn.as_deref() == Some("none") {
            arrival.certificate = None;
        }
        if let Some(user) = &self.os_user {
            arrival.os_user = (user != "none").then(|| user.as_str().into());
        }
        arrival
    }
}

/// One message and what is expected of it. A login has no text.
#[derive(Debug, Clone)]
struct Message {
    text: Option<String>,
    expected: Expected,
}

#[derive(Debug, Clone)]
struct Packet {
    parameters: Vec<(String, String)>,
    expected: Expected,
    /// What must be among the parameters that the server gets.
    sends: Vec<(String, String)>,
}

/// An expectation comment.
#[derive(Debug, Clone)]
struct Expected {
    line: usize,
    becomes: Becomes,
    params: Vec<Option<String>>,
}

#[derive(Debug, Clone)]
enum Becomes {
    /// It passes and nothing is told.
    Allow,
    Refuse(Why),
    /// It passes, and is counted as what would be refused.
    WouldRefuse(Why),
}

/// What a refusal must be like.
#[derive(Debug, Clone)]
struct Why {
    by: String,
    sqlstate: Option<String>,
    /// A part of the reason, or of the hint behind it.
    part: Option<String>,
}

/// What is wrong with a page, or what didn't become as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub line: usize,
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.message)
    }
}

type Read<T> = Result<T, Failure>;

fn failure(line: usize, message: impl Into<String>) -> Failure {
    Failure { line, message: message.into() }
}

impl Spec {
    /// Reads a page.
    ///
    /// # Errors
    /// The first thing in it that has no meaning.
    pub fn read(file: &str, page: &str) -> Read<Spec> {
        let parts = parts(page).map_err(|line| failure(line, "this fence is never closed"))?;
        let mut steps = Vec::new();
        let mut parts = parts.into_iter().peekable();
        while let Some(part) = parts.next() {
            let block = match part {
                Part::Heading { level: 2 } => {
                    steps.push(Step::Reset);
                    continue;
                }
                Part::Heading { .. } => continue,
                Part::Block(block) => block,
            };
            let line = block.line;
            let words: Vec<&str> = block.info.iter().map(String::as_str).collect();
            steps.push(match (block.language.as_str(), words.as_slice()) {
                ("yaml", [] | ["policy"]) => Step::Policy { line, text: padded(&block) },
                ("yaml", ["policy", beside]) => {
                    let path = beside
                        .strip_prefix("beside=")
                        .ok_or_else(|| failure(line, format!("\"{beside}\" is not beside=FILE")))?;
                    let other = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
                        .map_err(|error| failure(line, format!("{path} can't be read: {error}")))?;
                    Step::Policy { line, text: format!("{}\n---\n{other}", padded(&block)) }
                }
                ("yaml", [kind @ ("broken" | "warned")]) => {
                    let told = match parts.next() {
                        Some(Part::Block(told)) if told.language == "text" => told,
                        _ => return Err(failure(line, "no ```text block with what is told follows")),
                    };
                    let told: Vec<String> =
                        told.text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
                    if told.is_empty() {
                        return Err(failure(line, "the ```text block says nothing"));
                    }
                    Step::Findings { line, broken: *kind == "broken", files: files(&block.text), told }
                }
                ("sql", words) => Step::Session { line, who: who(line, words)?, messages: messages(&block)? },
                ("startup", words) => Step::Startup { line, who: who(line, words)?, packets: packets(&block)? },
                (language, words) => {
                    let what = format!("a block of \"{language} {}\" has no meaning here", words.join(" "));
                    return Err(failure(line, what));
                }
            });
        }
        Ok(Spec { file: file.to_owned(), steps })
    }

    /// Plays the page: everything that didn't become as it says.
    pub fn run(&self) -> Vec<Failure> {
        let spec = self.clone();
        let play = move || Player { file: &spec.file, set: None, tried: None, failures: Vec::new() }.play(&spec.steps);
        let thread = std::thread::Builder::new().stack_size(sql::STACK).spawn(play).unwrap();
        thread.join().unwrap()
    }

    /// How many things it expects.
    pub fn expectations(&self) -> usize {
        let count = |step: &Step| match step {
            Step::Reset | Step::Policy { .. } => 0,
            Step::Findings { .. } => 1,
            Step::Session { messages, .. } => messages.len(),
            Step::Startup { packets, .. } => packets.len(),
        };
        self.steps.iter().map(count).sum()
    }

    /// The same page expecting the opposite everywhere.
    pub fn reversed(&self) -> Spec {
        let mut spec = self.clone();
        let reverse = |expected: &mut Expected| {
            expected.becomes = match &expected.becomes {
                Becomes::Allow => Becomes::Refuse(Why { by: "default".into(), sqlstate: None, part: None }),
                Becomes::Refuse(_) | Becomes::WouldRefuse(_) => Becomes::Allow,
            };
        };
        for step in &mut spec.steps {
            match step {
                Step::Reset | Step::Policy { .. } => {}
                Step::Findings { broken, .. } => *broken = !*broken,
                Step::Session { messages, .. } => messages.iter_mut().for_each(|m| reverse(&mut m.expected)),
                Step::Startup { packets, .. } => packets.iter_mut().for_each(|p| reverse(&mut p.expected)),
            }
        }
        spec
    }
}

/// A block as a file in which it stands at the page's lines, so that places in it are places in the page.
fn padded(block: &Block) -> String {
    "\n".repeat(block.line) + &block.text
}

/// The files of a block: `# file: NAME` begins the next one.
fn files(text: &str) -> Vec<(String, String)> {
    let mut files = vec![("policy.yaml".to_owned(), String::new())];
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("# file: ") {
            files.push((name.to_owned(), String::new()));
        } else if let Some((_, text)) = files.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    files.retain(|(_, text)| !text.trim().is_empty());
    files
}

fn who(line: usize, words: &[&str]) -> Read<Who> {
    let mut who = Who::default();
    for word in words {
        let bad = || failure(line, format!("\"{word}\" says nothing about a session; see tests/spec/README.md"));
        let (key, value) = word.split_once('=').ok_or_else(bad)?;
        match key {
            "user" => who.user = Some(value.to_owned()),
            "database" => who.database = Some(value.to_owned()),
            "address" => who.address = Some(value.parse().map_err(|_| bad())?),
            "tls" => who.tls = Some(value.parse().map_err(|_| bad())?),
            "replication" => who.replication = value.parse().map_err(|_| bad())?,
            "listener" => who.listener = Some(value.to_owned()),
            "client_cn" => who.client_cn = Some(value.to_owned()),
            "client_san" => who.client_san = Some(value.to_owned()),
            "os_user" => who.os_user = Some(value.to_owned()),
            "at" => who.at = Some(value.parse().map_err(|_| bad())?),
            "protocol" if value == "simple" => who.simple = true,
            "protocol" if value == "extended" => who.simple = false,
            _ => return Err(bad()),
        }
    }
    Ok(who)
}

/// Splits a line into what stands before its last comment, and the comment.
fn comment(line: &str) -> (&str, Option<&str>) {
    match line.rfind("-- ") {
        Some(at) => (line[..at].trim_end(), Some(line[at + 3..].trim())),
        None => (line, None),
    }
}

fn messages(block: &Block) -> Read<Vec<Message>> {
    let mut messages = Vec::new();
    let mut gathered = String::new();
    for (line, text) in (block.line + 1..).zip(block.text.lines()) {
        if text.trim().is_empty() && gathered.is_empty() {
            continue;
        }
        let (before, told) = comment(text);
        if gathered.is_empty()
            && before.is_empty()
            && let Some(login) = told.and_then(|told| told.strip_prefix("login "))
        {
            messages.push(Message { text: None, expected: expected(line, login)? });
            continue;
        }
        if !before.trim().is_empty() {
            if !gathered.is_empty() {
                gathered.push('\n');
            }
            gathered.push_str(before);
        }
        match told {
            Some(_) if gathered.is_empty() => {
                return Err(failure(line, "an expectation without a statement before it"));
            }
            Some(told) => {
                messages.push(Message { text: Some(std::mem::take(&mut gathered)), expected: expected(line, told)? })
            }
            None if text.trim().is_empty() => {
                return Err(failure(line, "the statement before this empty line has no expectation"));
            }
            None => {}
        }
    }
    match gathered.is_empty() {
        true if messages.is_empty() => Err(failure(block.line, "nothing is expected in this block")),
        true => Ok(messages),
        false => Err(failure(block.line, "the last statement of this block has no expectation")),
    }
}

fn packets(block: &Block) -> Read<Vec<Packet>> {
    let pair = |line: usize, text: &str| match text.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
        None => Err(failure(line, format!("\"{text}\" is not KEY = VALUE"))),
    };
    let mut packets: Vec<Packet> = Vec::new();
    let mut parameters = Vec::new();
    for (line, text) in (block.line + 1..).zip(block.text.lines()) {
        let (before, told) = comment(text);
        match (before.trim(), told) {
            ("", None) => {}
            ("", Some(told)) => match (told.strip_prefix("sends "), packets.last_mut()) {
                (Some(sent), Some(packet)) if parameters.is_empty() => packet.sends.push(pair(line, sent)?),
                (Some(_), _) => return Err(failure(line, "`sends` follows the expectation of a packet")),
                (None, _) => packets.push(Packet {
                    parameters: std::mem::take(&mut parameters),
                    expected: expected(line, told)?,
                    sends: Vec::new(),
                }),
            },
            (_, Some(_)) => return Err(failure(line, "the expectation of a packet has a line of its own")),
            (text, None) => parameters.push(pair(line, text)?),
        }
    }
    match parameters.is_empty() {
        true if packets.is_empty() => Err(failure(block.line, "nothing is expected in this block")),
        true => Ok(packets),
        false => Err(failure(block.line, "the last packet of this block has no expectation")),
    }
}

/// Reads `allow`, `deny by RULE` or `would refuse by RULE`, with `[SQLSTATE]`, `with ["$1", …]` and `: part of the reason`.
fn expected(line: usize, text: &str) -> Read<Expected> {
    let bad = |what: &str| failure(line, format!("\"{text}\" is no expectation: {what}"));
    let verdicts = ["allow", "deny", "refuse", "would refuse"];
    let verdict = verdicts.into_iter().find(|verdict| {
        text.strip_prefix(*verdict).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    });
    let verdict = verdict.ok_or_else(|| bad("it begins with allow, deny or would refuse"))?;
    let mut rest = text[verdict.len()..].trim_start();
    let (mut by, mut sqlstate, mut part, mut params) = (None, None, None, Vec::new());
    while !rest.is_empty() {
        if let Some(reason) = rest.strip_prefix(':') {
            part = Some(reason.trim().to_owned()).filter(|part| !part.is_empty());
            rest = "";
        } else if let Some(named) = rest.strip_prefix("by ") {
            let end = named.find([' ', ':']).unwrap_or(named.len());
            by = Some(named[..end].to_owned());
            rest = named[end..].trim_start();
        } else if let Some(state) = rest.strip_prefix('[') {
            let (state, tail) = state.split_once(']').ok_or_else(|| bad("] is missing"))?;
            sqlstate = Some(state.to_owned());
            rest = tail.trim_start();
        } else if let Some(values) = rest.strip_prefix("with ") {
            let mut stream = serde_json::Deserializer::from_str(values).into_iter();
            params = match stream.next() {
                Some(Ok(params)) => params,
                _ => return Err(bad("parameters are written like with [\"a\", null]")),
            };
            rest = values[stream.byte_offset()..].trim_start();
        } else {
            return Err(bad("expected: by RULE [SQLSTATE] with [\"…\"] : part of the reason"));
        }
    }
    let becomes = match (verdict, by) {
        ("allow", None) if sqlstate.is_none() && part.is_none() => Becomes::Allow,
        ("allow", _) => return Err(bad("what is allowed has no reason")),
        (_, None) => return Err(bad("it does not say by what")),
        ("would refuse", Some(by)) => Becomes::WouldRefuse(Why { by, sqlstate, part }),
        (_, Some(by)) => Becomes::Refuse(Why { by, sqlstate, part }),
    };
    Ok(Expected { line, becomes, params })
}

struct Player<'a> {
    file: &'a str,
    set: Option<Arc<PolicySet>>,
    /// The line of the policies in force, until something is tried under them.
    tried: Option<usize>,
    failures: Vec<Failure>,
}

impl Player<'_> {
    fn play(mut self, steps: &[Step]) -> Vec<Failure> {
        for step in steps {
            match step {
                Step::Reset => self.put_in_force(None, None),
                Step::Policy { line, text } => match policy::load_text(self.file, text) {
                    Ok(set) => self.put_in_force(Some(set), Some(*line)),
                    Err(errors) => {
                        self.put_in_force(None, None);
                        self.fail(*line, format!("the policy does not load:\n{errors}"));
                    }
                },
                Step::Findings { line, broken, files, told } => self.findings(*line, *broken, files, told),
                Step::Session { line, who, messages } => self.session(*line, who, messages),
                Step::Startup { line, who, packets } => self.startup(*line, who, packets),
            }
        }
        self.put_in_force(None, None);
        self.failures
    }

    fn fail(&mut self, line: usize, message: impl Into<String>) {
        self.failures.push(failure(line, message));
    }

    fn put_in_force(&mut self, set: Option<PolicySet>, line: Option<usize>) {
        if let Some(line) = self.tried {
            self.fail(line, "nothing is tried under this policy");
        }
        self.set = set.map(Arc::new);
        self.tried = line;
    }

    fn findings(&mut self, line: usize, broken: bool, files: &[(String, String)], told: &[String]) {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let findings = policy::check(&[directory.path().to_owned()]).findings;
        if findings.iter().any(|finding| finding.severity == Severity::Error) != broken {
            let word = if broken { "no error" } else { "an error" };
            return self.fail(line, format!("there is {word} in it:\n{}", rendered(&findings, directory.path())));
        }
        let all = rendered(&findings, directory.path());
        let mut wrong: Vec<String> = told
            .iter()
            .filter(|part| !all.contains(part.as_str()))
            .map(|part| format!("it is not told: {part}"))
            .collect();
        for finding in &findings {
            let text = rendered(std::slice::from_ref(finding), directory.path());
            if !told.iter().any(|part| text.contains(part.as_str())) {
                wrong.push(format!("the page does not tell of:\n{text}"));
            }
        }
        if !wrong.is_empty() {
            self.fail(line, wrong.join("\n"));
        }
    }

    fn identity(&mut self, line: usize, who: &Who) -> Option<(Arc<PolicySet>, Identity)> {
        let Some(set) = self.set.clone() else {
            self.fail(line, "no policy is in force here");
            return None;
        };
        self.tried = None;
        let found = set.test_identity(who.user.as_deref()).or_else(|| set.test_identity(None));
        let Some(found) = found else {
            self.fail(line, "the set has no policy");
            return None;
        };
        let identity = Identity {
            user: who.user.clone().unwrap_or(found.user),
            database: who.database.clone().unwrap_or(found.database),
            address: who.address.unwrap_or(found.address),
            tls: who.tls.unwrap_or(found.tls),
            replication: who.replication,
            arrival: who.arrival(found.arrival),
        };
        Some((set, identity))
    }

    fn session(&mut self, line: usize, who: &Who, messages: &[Message]) {
        let Some((set, identity)) = self.identity(line, who) else { return };
        let login = set.admit(&identity);
        let mut session = login.clone().map(|policy| TestSession::new(policy, !who.simple, who.at));
        for Message { text, expected } in messages {
            let ruling = match (text, &mut session) {
                (None, _) => Ruling { refused: login.as_ref().err().cloned(), would: None },
                (Some(text), Ok(session)) => {
                    match lines_of_one_message(text) {
                        true => session.statement(text, &expected.params),
                        false => {
                            self.fail(
                            expected.line,
                            format!("statements in several lines: one has no expectation (a message of several statements \
                                     stands in one line)\n    {text}"),
                        );
                            continue;
                        }
                    }
                }
                (Some(_), Err(refusal)) => {
                    self.fail(expected.line, format!("login is refused: {}", told(refusal)));
                    continue;
                }
            };
            let text = text.as_deref().unwrap_or("login");
            self.compare(expected, text, &ruling);
        }
    }

    fn startup(&mut self, line: usize, who: &Who, packets: &[Packet]) {
        let Some((set, identity)) = self.identity(line, who) else { return };
        let session = match set.admit(&identity) {
            Ok(session) => session,
            Err(refusal) => return self.fail(line, format!("login is refused: {}", told(&refusal))),
        };
        for Packet { parameters, expected, sends } in packets {
            let (sent, refused) = match session.startup(parameters) {
                Ok(sent) => (sent, None),
                Err(refusal) => (Vec::new(), Some(refusal)),
            };
            let ruling = Ruling { refused, would: session.startup_would(parameters) };
            self.compare(expected, &format!("{parameters:?}"), &ruling);
            for pair in sends {
                if !sent.contains(pair) {
                    self.fail(expected.line, format!("{pair:?} is not sent, but {sent:?}"));
                }
            }
        }
    }

    fn compare(&mut self, expected: &Expected, text: &str, ruling: &Ruling) {
        let wrong = match (&expected.becomes, ruling) {
            (Becomes::Allow, Ruling { refused: None, would: None }) => None,
            (Becomes::Refuse(why), Ruling { refused: Some(refusal), .. })
            | (Becomes::WouldRefuse(why), Ruling { refused: None, would: Some(refusal) }) => why.differs(refusal),
            (_, Ruling { refused: Some(refusal), .. }) => Some(format!("it is refused: {}", told(refusal))),
            (_, Ruling { refused: None, would: Some(refusal) }) => {
                Some(format!("it is allowed, and would be refused: {}", told(refusal)))
            }
            (_, Ruling { refused: None, would: None }) => Some("it is allowed".to_owned()),
        };
        if let Some(wrong) = wrong {
            self.fail(expected.line, format!("{wrong}\n    {text}"));
        }
    }
}

/// Whether a text in several lines is one statement. In one line it may be several: that is a message of several.
fn lines_of_one_message(text: &str) -> bool {
    !text.contains('\n')
        || sql::analyse(text, sql::Reading::default()).map_or(true, |analysis| analysis.facts.statements.len() < 2)
}

impl Why {
    /// What is wrong with a refusal.
    fn differs(&self, refusal: &Refusal) -> Option<String> {
        let named = match self.by.split_once('/') {
            Some((policy, rule)) => *refusal.policy == *policy && refusal.rule.label() == rule,
            None => refusal.rule.label() == self.by,
        };
        let told = told(refusal);
        if !named {
            return Some(format!("it is refused, but not by {}: {told}", self.by));
        }
        if self.sqlstate.as_ref().is_some_and(|state| *state != refusal.sqlstate) {
            return Some(format!("its SQLSTATE is {}: {told}", refusal.sqlstate));
        }
        if self.part.as_ref().is_some_and(|part| !told.contains(part.as_str())) {
            return Some(format!("its reason is another: {told}"));
        }
        None
    }
}

fn told(refusal: &Refusal) -> String {
    let hint = refusal.hint.as_ref().map(|hint| format!("; hint: {hint}")).unwrap_or_default();
    let place = refusal.rule.place();
    format!("by {}/{} ({place}): {}{hint}", refusal.policy, refusal.rule.label(), refusal.reason)
}

/// Findings as a terminal shows them, with the names of files as in the page. Their codes are left out: `tests/diagnostics/`
/// holds them, and the pages are about what is told.
fn rendered(findings: &[Diagnostic], directory: &Path) -> String {
    let mut text = policy::diagnostic::render(findings).replace(&format!("{}/", directory.display()), "");
    for finding in findings {
        text = text.replace(&format!(" error[{}]: ", finding.code), " ");
        text = text.replace(&format!(" warning[{}]: ", finding.code), " warning: ");
    }
    text
}
