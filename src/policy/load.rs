//! Loading: all files of a directory or none, with every error of every file at once (POLICY 13).

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::policy::compile::{self, Policy};
use crate::policy::diagnostic::{Diagnostic, Place, Severity, Source, render};
use crate::policy::diff::Outline;
use crate::policy::digest::{Digest, Digester};
use crate::policy::glob::Glob;
use crate::policy::rule::Rule;
use crate::policy::{PolicySet, admit, statements, test};

/// What reading policy files gave.
#[derive(Debug)]
pub struct Loaded {
    /// The policies; `None` where there is an error.
    pub set: Option<Arc<PolicySet>>,
    /// Errors and warnings.
    pub findings: Vec<Diagnostic>,
}

/// Policy files as they were read, all at one time. Not compiled yet.
#[derive(Debug)]
pub struct Files {
    sources: Vec<Source>,
    /// Lists of statements among them.
    lists: Vec<Source>,
    /// What could not be read.
    findings: Vec<Diagnostic>,
    digest: Digest,
}

impl Files {
    /// Reads directories and files.
    pub fn read(paths: &[PathBuf]) -> Files {
        let mut findings = Vec::new();
        let (mut sources, mut lists) = (Vec::new(), Vec::new());
        let mut digester = Digester::default();
        for path in paths {
            let listed = policy_files(path).map(|(listed, is_directory)| {
                if is_directory && listed.iter().all(|file| is_list(file)) {
                    findings.push(nothing_in(path));
                }
                listed
            });
            let listed = listed.unwrap_or_else(|error| {
                digester.unreadable(b".", &error.to_string());
                let message = format!("the policies can't be read: {error}");
                findings.push(Diagnostic::whole(path.display().to_string(), message));
                Vec::new()
            });
            for file in listed {
                let name: Arc<str> = file.display().to_string().into();
                let plain = file.file_name().unwrap_or(file.as_os_str()).as_bytes();
                match fs::read(&file) {
                    Ok(bytes) => {
                        digester.file(plain, &bytes);
                        match String::from_utf8(bytes) {
                            Ok(text) if is_list(&file) => lists.push(Source { file: name, text }),
                            Ok(text) => sources.push(Source { file: name, text }),
                            Err(_) => findings.push(Diagnostic::whole(name, "the file is not UTF-8 text")),
                        }
                    }
                    Err(error) => {
                        digester.unreadable(plain, &error.to_string());
                        findings.push(Diagnostic::whole(name, format!("the file can't be read: {error}")));
                    }
                }
            }
        }
        Files { sources, lists, findings, digest: digester.finish() }
    }

    /// One text as a file of this name.
    fn of_text(file: &str, yaml: &str) -> Files {
        let mut digester = Digester::default();
        digester.file(file.as_bytes(), yaml.as_bytes());
        let sources = vec![Source { file: file.into(), text: yaml.to_owned() }];
        Files { sources, lists: Vec::new(), findings: Vec::new(), digest: digester.finish() }
    }

    /// The SHA-256 of all of them. Files that could not be read count by what was wrong.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The set that they make, if its own tests pass.
    ///
    /// # Errors
    /// Every error of every file, rendered for a terminal.
    pub fn load(self) -> Result<PolicySet, String> {
        let errors = |findings: &[Diagnostic]| {
            let errors: Vec<Diagnostic> = findings.iter().filter(|f| f.severity == Severity::Error).cloned().collect();
            render(&errors)
        };
        let loaded = self.compile();
        let Some(set) = loaded.set else { return Err(errors(&loaded.findings)) };
        let failures = test::failures(&set);
        if !failures.is_empty() {
            return Err(render(&failures));
        }
        Arc::try_unwrap(set).map_err(|_| "the policies are still being tested".to_owned())
    }

    fn compile(self) -> Loaded {
        let Files { sources, lists, mut findings, digest } = self;
        // Of a directory all are read already; of a single file, its lists are not.
        let mut read = |path: &Path| match lists.iter().find(|list| Path::new(&*list.file) == path) {
            Some(list) => Ok(list.text.clone()),
            None => fs::read_to_string(path),
        };
        let mut policies = Vec::new();
        for source in &sources {
            let (found, told) = compile::file(source, &mut read);
            policies.extend(found);
            findings.extend(told);
        }
        across(&policies, &sources, &mut findings);
        let set = match findings.iter().any(|finding| finding.severity == Severity::Error) {
            true => None,
            false => Some(Arc::new(PolicySet::new(policies).made_of(digest, Outline::new(&sources)))),
        };
        Loaded { set, findings }
    }
}

/// Loads a directory and runs its tests.
pub(crate) fn load(directory: &Path) -> Result<PolicySet, String> {
    Files::read(&[directory.to_owned()]).load()
}

/// Loads one text and runs its tests.
pub(crate) fn load_text(file: &str, yaml: &str) -> Result<PolicySet, String> {
    Files::of_text(file, yaml).load()
}

/// Loads texts, among them the lists that they name, and runs their tests.
pub(crate) fn load_texts(files: &[(String, String)]) -> Result<PolicySet, String> {
    let mut digester = Digester::default();
    let (mut sources, mut lists) = (Vec::new(), Vec::new());
    for (name, text) in files {
        digester.file(name.as_bytes(), text.as_bytes());
        let source = Source { file: name.as_str().into(), text: text.clone() };
        if is_list(Path::new(name)) { lists.push(source) } else { sources.push(source) }
    }
    Files { sources, lists, findings: Vec::new(), digest: digester.finish() }.load()
}

/// The one policy of a text, by itself.
pub(crate) fn single(file: &str, text: String) -> Result<Policy, String> {
    let source = Source { file: file.into(), text };
    let (mut policies, findings) = compile::file(&source, &mut |_| Err(io::ErrorKind::NotFound.into()));
    let errors: Vec<Diagnostic> = findings.into_iter().filter(|f| f.severity == Severity::Error).collect();
    match policies.pop() {
        Some(policy) if errors.is_empty() => Ok(policy),
        _ => Err(render(&errors)),
    }
}

/// Reads directories and files without running their tests.
pub fn read(paths: &[PathBuf]) -> Loaded {
    Files::read(paths).compile()
}

/// The policy files that a path stands for, in order of their names, and whether it is a directory.
///
/// # Errors
/// The path is not there or can't be listed.
pub fn policy_files(path: &Path) -> io::Result<(Vec<PathBuf>, bool)> {
    if !fs::metadata(path)?.is_dir() {
        return Ok((vec![path.to_owned()], false));
    }
    let entries: Vec<PathBuf> =
        fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    let mut files: Vec<PathBuf> = entries.into_iter().filter(|path| is_policy_file(path)).collect();
    files.sort();
    Ok((files, true))
}

fn nothing_in(directory: &Path) -> Diagnostic {
    Diagnostic::whole(directory.display().to_string(), "no policy file (*.yaml, *.yml) in this directory")
        .help("without a policy nobody could log in; observe-everything.yaml of the starter set only watches")
}

/// `*.yaml` and `*.yml`; `..data` and its like (the links of a mounted ConfigMap) are directories without these endings.
fn is_policy_file(path: &Path) -> bool {
    let hidden = path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with('.'));
    let yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
    yaml && !hidden && !path.is_dir()
}

fn is_list(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(statements::ENDING))
}

/// What is wrong between policies: names used twice, contradictions, and users that are only watched.
pub(crate) fn across(policies: &[Policy], sources: &[Source], findings: &mut Vec<Diagnostic>) {
    let source = |policy: &Policy| sources.iter().find(|source| source.file == policy.file);
    for (index, policy) in policies.iter().enumerate() {
        let Some(here) = source(policy) else { continue };
        let rules: Vec<_> = policy.allow.iter().chain(&policy.deny).collect();
        let mut named: HashMap<&str, &Rule> = HashMap::with_capacity(rules.len());
        for rule in &rules {
            let first = *named.entry(&rule.name).or_insert(rule);
            if !std::ptr::eq(first, &***rule) {
                let place = Place { line: rule.line, ..Place::default() };
                let message = format!("rule \"{}\" stands twice in policy \"{}\"", rule.name, policy.name);
                findings.push(here.error(place, message).help(format!("the other one is in line {}", first.line)));
            }
        }
        for other in policies.iter().take(index) {
            if other.name == policy.name {
                findings.push(here.error(
                    policy.place,
                    format!("policy \"{}\" stands twice: also in {}:{}", policy.name, other.file, other.place.line),
                ));
            }
            between(other, policy, here, findings);
        }
        if !policy.enforce {
            watched_only(policy, policies, here, findings);
        }
    }
}

/// Two policies that may hold for one session.
fn between(a: &Policy, b: &Policy, here: &Source, findings: &mut Vec<Diagnostic>) {
    if !a.enforce || !b.enforce || !overlap(&a.databases, &b.databases) {
        return;
    }
    let literal = a.users.iter().find(|user| user.is_literal() && b.users.contains(user));
    let overlapping = a.users.iter().any(|x| b.users.iter().any(|y| x.overlaps(y)));
    if !overlapping {
        return;
    }
    match (admit::conflict(a, b), literal) {
        (Some(conflict), Some(user)) => findings.push(here.error(
            b.place,
            format!(
                "policy \"{}\" and \"{}\" ({}) both name user \"{}\" and {conflict}",
                b.name,
                a.name,
                a.file,
                user.stem()
            ),
        )),
        (Some(conflict), None) => findings.push(
            here.warning(b.place, format!("policy \"{}\" and \"{}\" ({}) {conflict}", b.name, a.name, a.file))
                .help("a session that matches both is refused at login"),
        ),
        (None, _) if !b.allow.is_empty() && !a.allow.is_empty() => findings.push(
            here.warning(
                b.place,
                format!("policy \"{}\" and \"{}\" ({}) may hold for the same user", b.name, a.name, a.file),
            )
            .help("what either allows is allowed: each widens the other"),
        ),
        (None, _) => {}
    }
}

fn overlap(a: &[Glob], b: &[Glob]) -> bool {
    a.is_empty() || b.is_empty() || a.iter().any(|x| b.iter().any(|y| x.overlaps(y)))
}

/// An observing policy whose users no enforcing one covers: they pass whole.
fn watched_only(policy: &Policy, policies: &[Policy], here: &Source, findings: &mut Vec<Diagnostic>) {
    let covered = |user: &Glob| {
        policies.iter().any(|p| {
            p.enforce
                && p.databases.is_empty()
                && p.users.iter().any(|other| match other {
                    Glob::Any => true,
                    other => user.is_literal() && other.matches(&user.stem()),
                })
        })
    };
    let open: Vec<String> = policy.users.iter().filter(|user| !covered(user)).map(user_text).collect();
    if !open.is_empty() {
        findings.push(
            here.warning(
                policy.place,
                format!(
                    "only \"{}\" in mode observe covers {}: nothing they send is refused",
                    policy.name,
                    open.join(", ")
                ),
            )
            .help("give these users an enforcing policy when the reports are quiet"),
        );
    }
}

fn user_text(user: &Glob) -> String {
    match user {
        Glob::Any => "users that no enforcing policy names".to_owned(),
        glob if glob.is_literal() => format!("user \"{}\"", glob.stem()),
        glob => format!("users like \"{}\"", glob.stem()),
    }
}
