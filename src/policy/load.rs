//! Loading: all files of a directory or none, with every error of every file at once (POLICY 13).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::policy::compile::{self, Policy, ReadFile};
use crate::policy::diagnostic::{Diagnostic, Place, Severity, Source, render};
use crate::policy::glob::Glob;
use crate::policy::{PolicySet, admit, statements, test};

/// What reading policy files gave.
#[derive(Debug)]
pub struct Loaded {
    /// The policies; `None` where there is an error.
    pub set: Option<Arc<PolicySet>>,
    /// Errors and warnings.
    pub findings: Vec<Diagnostic>,
}

/// Loads a directory and runs its tests.
pub(crate) fn load(directory: &Path) -> Result<PolicySet, String> {
    tested(read(&[directory.to_owned()]))
}

/// Loads one text and runs its tests.
pub(crate) fn load_text(file: &str, yaml: &str) -> Result<PolicySet, String> {
    let source = Source { file: file.into(), text: yaml.to_owned() };
    tested(compiled(&[source], Vec::new(), &mut |path| fs::read_to_string(path)))
}

/// Loads texts, among them the lists that they name, and runs their tests.
pub(crate) fn load_texts(files: &[(String, String)]) -> Result<PolicySet, String> {
    let (lists, policies): (Vec<_>, Vec<_>) = files.iter().partition(|(name, _)| name.ends_with(statements::ENDING));
    let sources: Vec<Source> =
        policies.into_iter().map(|(name, text)| Source { file: name.as_str().into(), text: text.clone() }).collect();
    let mut read = |path: &Path| match lists.iter().find(|(name, _)| Path::new(name) == path) {
        Some((_, text)) => Ok(text.clone()),
        None => Err(io::ErrorKind::NotFound.into()),
    };
    tested(compiled(&sources, Vec::new(), &mut read))
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

fn tested(loaded: Loaded) -> Result<PolicySet, String> {
    let errors = |findings: &[Diagnostic]| {
        let errors: Vec<Diagnostic> = findings.iter().filter(|f| f.severity == Severity::Error).cloned().collect();
        render(&errors)
    };
    let Some(set) = loaded.set else { return Err(errors(&loaded.findings)) };
    let failures = test::failures(&set);
    if !failures.is_empty() {
        return Err(render(&failures));
    }
    Arc::try_unwrap(set).map_err(|_| "the policies are still being tested".to_owned())
}

/// Reads directories and files without running their tests.
pub fn read(paths: &[PathBuf]) -> Loaded {
    let mut findings = Vec::new();
    let mut sources = Vec::new();
    for path in paths {
        for file in files(path, &mut findings) {
            let name: Arc<str> = file.display().to_string().into();
            match fs::read(&file).map(String::from_utf8) {
                Ok(Ok(text)) => sources.push(Source { file: name, text }),
                Ok(Err(_)) => findings.push(Diagnostic::whole(name, "the file is not UTF-8 text")),
                Err(error) => findings.push(Diagnostic::whole(name, format!("the file can't be read: {error}"))),
            }
        }
    }
    compiled(&sources, findings, &mut |path| fs::read_to_string(path))
}

fn compiled(sources: &[Source], mut findings: Vec<Diagnostic>, read: &mut ReadFile<'_>) -> Loaded {
    let mut policies = Vec::new();
    for source in sources {
        let (found, told) = compile::file(source, read);
        policies.extend(found);
        findings.extend(told);
    }
    across(&policies, sources, &mut findings);
    let set = match findings.iter().any(|finding| finding.severity == Severity::Error) {
        true => None,
        false => Some(Arc::new(PolicySet::new(policies))),
    };
    Loaded { set, findings }
}

/// The policy files of a path, in order of their names.
fn files(path: &Path, findings: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let name = path.display().to_string();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            findings.push(Diagnostic::whole(name, format!("the policies can't be read: {error}")));
            return Vec::new();
        }
    };
    if !metadata.is_dir() {
        return vec![path.to_owned()];
    }
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            findings.push(Diagnostic::whole(name, format!("the directory can't be read: {error}")));
            return Vec::new();
        }
    };
    let mut files = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) if is_policy_file(&entry.path()) => files.push(entry.path()),
            Ok(_) => {}
            Err(error) => {
                findings.push(Diagnostic::whole(name.clone(), format!("the directory can't be read: {error}")));
            }
        }
    }
    if files.is_empty() {
        findings.push(
            Diagnostic::whole(name, "no policy file (*.yaml, *.yml) in this directory")
                .help("without a policy nobody could log in; observe-everything.yaml of the starter set only watches"),
        );
    }
    files.sort();
    files
}

/// `*.yaml` and `*.yml`; `..data` and its like (the links of a mounted ConfigMap) are directories without these endings.
fn is_policy_file(path: &Path) -> bool {
    let hidden = path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with('.'));
    let yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let list = path.to_str().is_some_and(|path| path.ends_with(statements::ENDING));
    yaml && !hidden && !list && !path.is_dir()
}

/// What is wrong between policies: names used twice, contradictions, and users that are only watched.
pub(crate) fn across(policies: &[Policy], sources: &[Source], findings: &mut Vec<Diagnostic>) {
    let source = |policy: &Policy| sources.iter().find(|source| source.file == policy.file);
    for (index, policy) in policies.iter().enumerate() {
        let Some(here) = source(policy) else { continue };
        let rules: Vec<_> = policy.allow.iter().chain(&policy.deny).collect();
        for (at, rule) in rules.iter().enumerate() {
            if let Some(first) = rules.iter().take(at).find(|first| first.name == rule.name) {
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
