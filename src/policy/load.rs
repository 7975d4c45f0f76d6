//! Loading: all files of a directory or none, with every error of every file at once (POLICY 13).

mod across;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::policy::compile::{self, Policy, ReadFile};
use crate::policy::diagnostic::{Code, Diagnostic, Place, Severity, Source, did_you_mean, render};
use crate::policy::diff::Outline;
use crate::policy::digest::{Digest, Digester};
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
                let finding = Diagnostic::whole(Code::Unreadable, path.display().to_string(), message);
                findings.push(finding.help(MAY_IT_READ));
                Vec::new()
            });
            for file in listed {
                let name: Arc<str> = file.display().to_string().into();
                let plain = file.file_name().unwrap_or(file.as_os_str()).as_bytes();
                match fs::read(&file) {
                    Ok(bytes) => {
                        digester.file(plain, &bytes);
                        match text(&name, bytes) {
                            Ok(text) if is_list(&file) => lists.push(Source::new(name, text)),
                            Ok(text) => sources.push(Source::new(name, text)),
                            Err(finding) => findings.push(*finding),
                        }
                    }
                    Err(error) => {
                        digester.unreadable(plain, &error.to_string());
                        let message = format!("the file can't be read: {error}");
                        findings.push(Diagnostic::whole(Code::Unreadable, name, message).help(MAY_IT_READ));
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
        let sources = vec![Source::new(file, yaml)];
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
        let (loaded, sources) = self.compile(false);
        let Some(set) = loaded.set else { return Err(errors(&loaded.findings)) };
        let failures = test::failures(&set, &sources);
        if !failures.is_empty() {
            return Err(render(&failures));
        }
        Arc::try_unwrap(set).map_err(|_| "the policies are still being tested".to_owned())
    }

    /// The set, the findings, and the texts that they are about; with `names`, also rules that tests name
    /// and that there are not, and names that look misspelt.
    fn compile(self, names: bool) -> (Loaded, Vec<Source>) {
        let Files { sources, lists, findings, digest } = self;
        // Of a directory all are read already; of a single file, its lists are not.
        let mut read = |path: &Path| match lists.iter().find(|list| Path::new(&*list.file) == path) {
            Some(list) => Ok(list.text.clone()),
            None => fs::read_to_string(path),
        };
        let Compiled { policies, mut findings, partial } = compiled(&sources, findings, &mut read);
        if names {
            if !partial {
                across::tests_name_rules(&policies, &sources, &mut findings);
            }
            findings.extend(lonely::findings(&policies, &sources));
        }
        let set = match findings.iter().any(|finding| finding.severity == Severity::Error) {
            true => None,
            false => {
                let outline = Outline::new(&sources, &policies);
                Some(Arc::new(PolicySet::new(policies).made_of(digest, outline)))
            }
        };
        (Loaded { set, findings }, sources)
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
        let source = Source::new(name.as_str(), text.as_str());
        if is_list(Path::new(name)) { lists.push(source) } else { sources.push(source) }
    }
    Files { sources, lists, findings: Vec::new(), digest: digester.finish() }.load()
}

/// The one policy of a text, by itself.
pub(crate) fn single(file: &str, text: String) -> Result<Policy, String> {
    let source = Source::new(file, text);
    let Compiled { mut policies, findings, partial: _ } =
        compiled(&[source], Vec::new(), &mut |_| Err(io::ErrorKind::NotFound.into()));
    let errors: Vec<Diagnostic> = findings.into_iter().filter(|f| f.severity == Severity::Error).collect();
    match policies.pop() {
        Some(policy) if errors.is_empty() => Ok(policy),
        _ => Err(render(&errors)),
    }
}

/// Reads directories and files without running their tests.
pub fn read(paths: &[PathBuf]) -> Loaded {
    Files::read(paths).compile(false).0
}

/// Reads directories and files, runs their tests, and looks for names that seem misspelt: everything that there is to find.
pub fn check(paths: &[PathBuf]) -> Loaded {
    let (mut loaded, sources) = Files::read(paths).compile(true);
    if let Some(set) = &loaded.set {
        // A set whose own tests fail is not loaded either.
        loaded.findings.extend(test::failures(set, &sources));
    }
    loaded
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
    /// Some could not be read: there may be policies that nobody knows of.
    pub partial: bool,
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
    across::findings(&policies, sources, &mut findings);
    Compiled { policies, findings, partial }
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
    Diagnostic::whole(
        Code::NoPolicyFiles,
        directory.display().to_string(),
        "no policy file (*.yaml, *.yml) in this directory",
    )
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
