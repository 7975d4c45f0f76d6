//! A document to a policy: words to actions, names to patterns, with every mistake reported where it stands.

mod rules;
mod sense;
mod settings;
mod together;
mod values;

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::policy::decoy::Decoy;
use crate::policy::diagnostic::{Code, Diagnostic, Place, Source};
use crate::policy::document::{self, Document, Injection, Test, Tests};
use crate::policy::glob::Glob;
use crate::policy::limits::Limits;
use crate::policy::lonely::Mention;
use crate::policy::quota::Quotas;
use crate::policy::reader::{At, Reader};
use crate::policy::rule::Rule;
use crate::policy::settings::{Pin, is_read_only, same_text};
use crate::policy::words::List;
use crate::policy::yaml;
use crate::units::Network;
pub(crate) use settings::allowable;

/// One compiled policy.
#[derive(Debug)]
pub(crate) struct Policy {
    pub name: Arc<str>,
    pub file: Arc<str>,
    pub place: Place,
    pub users: Vec<Glob>,
    /// Empty: every database.
    pub databases: Vec<Glob>,
    /// Empty: every listener.
    pub listeners: Vec<Glob>,
    pub replication: bool,
    /// Empty: from anywhere.
    pub networks: Vec<Network>,
    pub tls: bool,
    /// None: with or without one.
    pub client_cert: Option<CertificatePattern>,
    /// Empty: over TCP, too.
    pub os_users: Vec<Glob>,
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
    /// The literal names in it.
    pub mentions: Vec<Mention>,
}

/// Which client certificates will do; what is empty demands nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CertificatePattern {
    pub cn: Vec<Glob>,
    pub san: Vec<Glob>,
}

/// Reads a file that a policy names: a list of statements.
pub(crate) type ReadFile<'f> = dyn FnMut(&Path) -> io::Result<String> + 'f;

/// What one file holds.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    pub policies: Vec<Policy>,
    /// Tests of policies that stand elsewhere.
    pub tests: Vec<Tests>,
    pub findings: Vec<Diagnostic>,
    /// A document could not be read: there may be policies that nobody knows of.
    pub partial: bool,
}

/// The endings of files that hold tests only.
const TEST_ENDINGS: [&str; 2] = [".test.yaml", ".test.yml"];

/// Whether a file holds tests only.
pub(crate) fn holds_tests(file: &str) -> bool {
    TEST_ENDINGS.iter().any(|ending| file.ends_with(ending))
}

/// Reads one file: its policies or tests, and what is wrong or doubtful.
pub(crate) fn file(source: &Source, read: &mut ReadFile<'_>) -> Compiled {
    let mut reader = Reader::new(source);
    let parsed = yaml::parse(&source.text);
    let mut compiled = Compiled { partial: parsed.is_partial(), ..Compiled::default() };
    if parsed.documents.is_empty() && parsed.problems.is_empty() {
        let help = "begin it with `policy: NAME`, or remove the file";
        reader.help(Code::NoPolicy, Place::default(), "the file holds no policy", help);
    }
    for problem in parsed.problems {
        reader.help(problem.code, problem.place, problem.message, problem.help);
    }
    for node in &parsed.documents {
        let decoded = if holds_tests(&source.file) {
            document::decode_tests(&mut reader, node).map(|tests| compiled.tests.push(tests))
        } else {
            document::decode(&mut reader, node).map(|document| {
                let policy = policy(&mut reader, document, read);
                compiled.policies.push(policy);
            })
        };
        compiled.partial |= decoded.is_none();
    }
    compiled.findings = reader.findings;
    compiled
}

fn policy(reader: &mut Reader<'_>, document: Document, read: &mut ReadFile<'_>) -> Policy {
    let file = reader.source.file.clone();
    let name: Arc<str> = document.name.value.as_str().into();
    check_label(reader, &document.name, "policy");
    let mut compiler = Compiler { reader, read, policy: name.clone(), file: file.clone(), mentions: Vec::new() };
    let allow = compiler.rules(document.allow, List::Allow);
    let deny = compiler.rules(document.deny, List::Deny);
    let decoys: Vec<Arc<Decoy>> = document.decoys.iter().filter_map(|at| compiler.decoy(at)).map(Arc::new).collect();
    let pins = compiler.pins(document.pins);
    let search_path = document.search_path.map(|path| compiler.search_path(&path.value));
    if let Some(temp) = &document.temp_tables
        && temp.value
        && search_path.is_none()
    {
        compiler.reader.help(
            Code::TempWithoutPath,
            temp.place,
            "`temp_tables: allow` needs `search_path`",
            "add `search_path: [...]`: without it nobody can say whether a name means a temporary table",
        );
    }
    let networks = document
        .require
        .networks
        .iter()
        .filter_map(|text| match Network::parse(&text.value) {
            Ok(network) => Some(network),
            Err(message) => {
                let help = Network::help(&text.value);
                compiler.reader.help(Code::BadNetwork, text.place, message, help);
                None
            }
        })
        .collect();
    let users = compiler.globs(&document.applies_to.users, "users");
    let databases = compiler.globs(&document.applies_to.databases, "databases");
    let listeners = compiler.globs(&document.applies_to.listeners, "listeners");
    let os_users = compiler.globs(&document.require.os_users, "os_users");
    let client_cert = document.require.client_cert.as_ref().map(|names| CertificatePattern {
        cn: compiler.globs(&names.cn, "cn"),
        san: compiler.globs(&names.san, "san"),
    });
    compiler.allowed_decoys(&decoys, &document.decoys, &allow, search_path.as_deref());
    let mentions = compiler.mentions;
    Policy {
        name,
        file,
        place: document.name.place,
        users,
        databases,
        listeners,
        replication: document.applies_to.replication,
        networks,
        tls: document.require.tls,
        client_cert,
        os_users,
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
        mentions,
    }
}

/// What `by:` names besides rules.
pub(crate) const BUILT_IN: [&str; 10] =
    ["default", "guard", "require", "parse", "limit", "disagreement", "decoy", "quarantine", "injection", "block"];

/// Names that no policy and no rule may have.
pub(crate) fn is_reserved(name: &str) -> bool {
    reserved().any(|word| word == name)
}

/// Likewise, all of them.
pub(crate) fn reserved() -> impl Iterator<Item = &'static str> {
    BUILT_IN.into_iter().chain(["none", "other"])
}

/// Names of policies and rules are labels of metrics and stand in error messages: words, not prose.
fn check_label(reader: &mut Reader<'_>, name: &At<String>, what: &str) {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.value.is_empty() || name.value.chars().count() > 63 || !name.value.chars().all(plain) {
        reader.help(
            Code::BadName,
            name.place,
            format!("\"{}\" is no name for a {what}", name.value.escape_debug()),
            "a name has 1 to 63 letters, digits, `-`, `_` or `.`",
        );
    } else if is_reserved(&name.value) {
        reader.help(
            Code::ReservedName,
            name.place,
            format!("a {what} can't be called \"{}\"", name.value),
            "choose another: the word has a meaning of its own in errors, metrics and `by:`",
        );
    }
}

struct Compiler<'r, 'a, 'f> {
    reader: &'r mut Reader<'a>,
    read: &'r mut ReadFile<'f>,
    policy: Arc<str>,
    file: Arc<str>,
    mentions: Vec<Mention>,
}

impl Policy {
    /// Whether this policy fixes sessions to read only.
    pub fn pins_read_only(&self) -> bool {
        self.pins.iter().any(|pin| is_read_only(&pin.name) && same_text(&pin.name, &pin.value, "on"))
    }
}
