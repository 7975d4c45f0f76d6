//! Loading: all files of a directory or none, with every error of every file at once (POLICY 13).

mod across;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::policy::compile::{self, Policy, ReadFile};
use crate::policy::diagnostic::{Code, Diagnostic, Place, Severity, Source, did_you_mean, render};
use crate::policy::document::Tests;
use crate::policy::{PolicySet, lonely, statements, test};

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
    let (sources, findings) = sources(&[directory.to_owned()]);
    tested(&sources, findings)
}

/// Loads one text and runs its tests.
pub(crate) fn load_text(file: &str, yaml: &str) -> Result<PolicySet, String> {
    tested(&[Source::new(file, yaml)], Vec::new())
}

fn tested(sources: &[Source], findings: Vec<Diagnostic>) -> Result<PolicySet, String> {
    let loaded = loaded(compiled(sources, findings, &mut |path| fs::read_to_string(path)));
    let errors = |findings: &[Diagnostic]| {
        let errors: Vec<Diagnostic> = findings.iter().filter(|f| f.severity == Severity::Error).cloned().collect();
        render(&errors)
    };
    let Some(set) = loaded.set else { return Err(errors(&loaded.findings)) };
    let failures = test::failures(&set, sources);
    if !failures.is_empty() {
        return Err(render(&failures));
    }
    Arc::try_unwrap(set).map_err(|_| "the policies are still being tested".to_owned())
}

/// Reads directories and files without running their tests.
pub fn read(paths: &[PathBuf]) -> Loaded {
    let (sources, findings) = sources(paths);
    loaded(compiled(&sources, findings, &mut |path| fs::read_to_string(path)))
}

/// Reads directories and files, runs their tests, and looks for names that seem misspelt: everything that there is to find.
pub fn check(paths: &[PathBuf]) -> Loaded {
    let (sources, findings) = sources(paths);
    let compiled = compiled(&sources, findings, &mut |path| fs::read_to_string(path));
    let lonely = lonely::findings(&compiled.policies, &sources);
    let mut loaded = loaded(compiled);
    if let Some(set) = &loaded.set {
        // A set whose own tests fail is not loaded either.
        loaded.findings.extend(test::failures(set, &sources));
    }
    loaded.findings.extend(lonely);
    loaded
}

/// The texts of the policy files, and what can't be read.
fn sources(paths: &[PathBuf]) -> (Vec<Source>, Vec<Diagnostic>) {
    let mut findings = Vec::new();
    let mut sources = Vec::new();
    for path in paths {
        for file in files(path, &mut findings) {
            let name: Arc<str> = file.display().to_string().into();
            match fs::read(&file).map(|bytes| text(&name, bytes)) {
                Ok(Ok(text)) => sources.push(Source::new(name, text)),
                Ok(Err(finding)) => findings.push(*finding),
                Err(error) => {
                    let message = format!("the file can't be read: {error}");
                    findings.push(Diagnostic::whole(Code::Unreadable, name, message).help(MAY_IT_READ));
                }
            }
        }
    }
    (sources, findings)
}

const MAY_IT_READ: &str = "look at the path, and whether this user may read it";

/// The text of a file. What some editors put before it, the mark of the byte order, is no part of it.
fn text(name: &Arc<str>, bytes: Vec<u8>) -> Result<String, Box<Diagnostic>> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let finding = Diagnostic::whole(Code::NotText, name.clone(), "the file is UTF-16 text, not UTF-8");
        return Err(Box::new(finding.help("save it as UTF-8: `iconv -f UTF-16 -t UTF-8`")));
    }
    let error = match String::from_utf8(bytes) {
        Ok(text) => return Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        Err(error) => error,
    };
    let at = error.utf8_error().valid_up_to();
    let byte = error.as_bytes().get(at).copied().unwrap_or_default();
    let before = String::from_utf8_lossy(error.as_bytes().get(..at).unwrap_or_default()).into_owned();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let mut finding =
        Diagnostic::whole(Code::NotText, name.clone(), format!("the byte 0x{byte:02X} is not UTF-8 text"));
    finding.place = Some(Place { line: number(line), column: number(column), length: 1 });
    let lossy = String::from_utf8_lossy(error.as_bytes());
    finding.source = lossy.lines().nth(line - 1).map(|line| line.trim_end().to_owned());
    Err(Box::new(finding.help("save the file as UTF-8; from Latin-1 (Western Windows): `iconv -f LATIN1 -t UTF-8`")))
}

/// What some texts hold.
pub(crate) struct Compiled {
    pub policies: Vec<Policy>,
    pub findings: Vec<Diagnostic>,
}

fn loaded(compiled: Compiled) -> Loaded {
    let Compiled { policies, findings } = compiled;
    let set = match findings.iter().any(|finding| finding.severity == Severity::Error) {
        true => None,
        false => Some(Arc::new(PolicySet::new(policies))),
    };
    Loaded { set, findings }
}

/// The policies of some texts, with all findings but those of tests.
pub(crate) fn compiled(sources: &[Source], mut findings: Vec<Diagnostic>, read: &mut ReadFile<'_>) -> Compiled {
    // Of a file that can't be read nobody knows what stands in it.
    let mut partial = !findings.is_empty();
    let mut policies = Vec::new();
    let mut tests = Vec::new();
    for source in sources {
        let compiled = compile::file(source, read);
        policies.extend(compiled.policies);
        tests.extend(compiled.tests.into_iter().map(|tests| (source, tests)));
        findings.extend(compiled.findings);
        partial |= compiled.partial;
    }
    adopt(&mut policies, tests, partial, &mut findings);
    across::findings(&policies, sources, partial, &mut findings);
    Compiled { policies, findings }
}

/// Gives the tests of files of their own to the policies that they name.
fn adopt(policies: &mut [Policy], tests: Vec<(&Source, Tests)>, partial: bool, findings: &mut Vec<Diagnostic>) {
    let mut places: HashMap<Arc<str>, usize> = HashMap::new();
    for (index, policy) in policies.iter().enumerate() {
        places.entry(policy.name.clone()).or_insert(index);
    }
    for (source, Tests { policy: name, tests }) in tests {
        match places.get(&*name.value).and_then(|index| policies.get_mut(*index)) {
            Some(policy) => policy.tests.extend(tests),
            // Its file has an error of its own.
            None if partial => {}
            None => {
                let message = format!("there is no policy \"{}\" to test", name.value);
                let names = policies.iter().map(|policy| &*policy.name);
                let help = match did_you_mean(&name.value, names) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => "give the directory with its policy, too, or write the name as it stands there".to_owned(),
                };
                findings.push(source.finding(Code::UnknownPolicy, name.place, message).help(help));
            }
        }
    }
}

/// The policy files of a path, in order of their names.
fn files(path: &Path, findings: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let name = path.display().to_string();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            let message = format!("the policies can't be read: {error}");
            findings.push(Diagnostic::whole(Code::Unreadable, name, message).help(MAY_IT_READ));
            return Vec::new();
        }
    };
    if !metadata.is_dir() {
        return vec![path.to_owned()];
    }
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            let message = format!("the directory can't be read: {error}");
            findings.push(Diagnostic::whole(Code::Unreadable, name, message).help(MAY_IT_READ));
            return Vec::new();
        }
    };
    let mut files = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) if is_policy_file(&entry.path()) => files.push(entry.path()),
            Ok(_) => {}
            Err(error) => {
                let message = format!("the directory can't be read: {error}");
                findings.push(Diagnostic::whole(Code::Unreadable, name.clone(), message).help(MAY_IT_READ));
            }
        }
    }
    if files.is_empty() {
        findings.push(
            Diagnostic::whole(Code::NoPolicyFiles, name, "no policy file (*.yaml, *.yml) in this directory")
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
