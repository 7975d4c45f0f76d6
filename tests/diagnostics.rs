//! What `check` says of broken policies: every file of `tests/diagnostics/` with its rendering, every code's page with its
//! examples, and the forms for programs. `UPDATE_SNAPSHOTS=1` writes the renderings anew: read them as a DBA would.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::str::FromStr;

use portcullis::policy::diagnostic::manual::{self, Example};
use portcullis::policy::diagnostic::{Code, Diagnostic, Severity, render};
use portcullis::policy::{self, Loaded};

const DIRECTORY: &str = "tests/diagnostics";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The broken policies: files, and directories of files.
fn cases() -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(root().join(DIRECTORY)).unwrap().map(|entry| entry.unwrap().path());
    let cases = entries.filter(|path| path.is_dir() || path.extension().is_some_and(|ending| ending == "yaml"));
    cases.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path)).collect()
}

/// Findings with places as a reader in that directory would see them.
fn found(path: &Path) -> (Vec<Diagnostic>, String) {
    let Loaded { set: _, findings } = policy::check(&[path.to_owned()]);
    let within = format!("{}/", root().join(DIRECTORY).display());
    let text = render(&findings).replace(&within, "");
    (findings, text + "\n")
}

#[test]
fn each_broken_policy_is_told_of_as_it_is_written_down() {
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    let cases = cases();
    assert!(cases.len() >= 60, "{}", cases.len());
    let mut wrong = Vec::new();
    for (name, path) in &cases {
        let (findings, text) = found(path);
        assert!(!findings.is_empty(), "{name}: nothing is found");
        let expected = root().join(DIRECTORY).join(format!("{name}.txt"));
        if update {
            fs::write(&expected, &text).unwrap();
        }
        let written = fs::read_to_string(&expected).unwrap_or_default();
        if written != text {
            wrong.push(format!("== {name}, as written:\n{written}\n== and as it is:\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_is_in_a_broken_policy() {
    let seen: BTreeSet<Code> = cases().values().flat_map(|path| found(path).0).map(|finding| finding.code).collect();
    let missing: Vec<String> = Code::ALL.iter().filter(|code| !seen.contains(code)).map(ToString::to_string).collect();
    // What nobody can bring about by a file.
    assert_eq!(missing, [Code::TestsNotRun.to_string()]);
}

#[test]
fn no_finding_speaks_the_parsers_language() {
    for (name, path) in cases() {
        let (findings, text) = found(&path);
        for word in ["Options", "Policy in", "serde", "EOF", "scalar", "flow", "budget", "parsing", "{ nodes"] {
            assert!(!text.contains(word), "{name}: {word}\n{text}");
        }
        for finding in findings {
            let asks = finding.message.contains("did you mean") || finding.help.is_some();
            assert!(asks, "{name}: no word on what to do: {finding}");
            if let Some(place) = finding.place {
                assert!(place.line >= 1 && place.column >= 1 && place.length >= 1, "{name}: {finding}");
            }
        }
    }
}

/// A number that was given once means the same for ever.
#[test]
fn codes_are_never_renumbered() {
    let file = root().join(DIRECTORY).join("codes");
    let lines = || Code::ALL.iter().map(|code| format!("{code} {}\n", code.name())).collect::<String>();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() && !file.exists() {
        fs::write(&file, lines()).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap();
    assert_eq!(lines(), committed, "codes are only added, at the end; add them to {} too", file.display());
    for code in Code::ALL {
        for text in [code.to_string(), code.name().to_owned(), code.number().to_string()] {
            assert_eq!(Code::from_str(&text).unwrap(), *code, "{text}");
        }
    }
    let error = Code::from_str("unknown-akction").unwrap_err().to_string();
    assert_eq!(error, "there is no code \"unknown-akction\", did you mean PC0012?");
}

#[test]
fn the_page_of_errors_is_up_to_date() {
    let written = fs::read_to_string(root().join("docs/policy-errors.md")).unwrap();
    assert!(
        written == manual::markdown(),
        "docs/policy-errors.md is stale: portcullis check --codes --format markdown > docs/policy-errors.md"
    );
}

/// The findings of some files in a directory of their own.
fn of_files(files: &[(&str, &[u8])]) -> Vec<Diagnostic> {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    policy::check(&[directory.path().to_owned()]).findings
}

#[test]
fn the_examples_of_the_pages_show_their_code_and_nothing_else() {
    let mut wrong = Vec::new();
    let mut judge = |code: Code, what: &str, findings: Vec<Diagnostic>| {
        let codes: BTreeSet<Code> = findings.iter().map(|finding| finding.code).collect();
        let expected = if what == "wrong" { BTreeSet::from([code]) } else { BTreeSet::new() };
        if codes != expected {
            wrong.push(format!("{code} {}, {what}:\n{}", code.name(), render(&findings)));
        }
    };
    let files = |files: &'static [(&str, &str)]| {
        of_files(&files.iter().map(|(name, text)| (*name, text.as_bytes())).collect::<Vec<_>>())
    };
    for code in Code::ALL {
        match &manual::page(*code).example {
            Example::Policy { wrong, right } => {
                judge(*code, "wrong", of_files(&[("p.yaml", wrong.as_bytes())]));
                judge(*code, "right", of_files(&[("p.yaml", right.as_bytes())]));
            }
            Example::Files { wrong, right } => {
                judge(*code, "wrong", files(wrong));
                judge(*code, "right", files(right));
            }
            Example::Bytes { wrong, shown: _, right } => {
                judge(*code, "wrong", of_files(&[("p.yaml", wrong)]));
                judge(*code, "right", of_files(&[("p.yaml", right.as_bytes())]));
            }
            Example::Directory { wrong, right } => {
                let place = tempfile::tempdir().unwrap();
                fs::create_dir(place.path().join("empty")).unwrap();
                fs::create_dir(place.path().join("policies")).unwrap();
                fs::write(place.path().join("policies/p.yaml"), "policy: p\napplies_to: {users: [a]}\n").unwrap();
                let path = |command: &str| place.path().join(command.rsplit_once(' ').unwrap().1);
                judge(*code, "wrong", policy::check(&[path(wrong)]).findings);
                judge(*code, "right", policy::check(&[path(right)]).findings);
            }
            Example::None => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_is_shipped_has_no_name_that_looks_misspelt() {
    for directory in ["policies", "docs/examples"] {
        let findings = policy::check(&[root().join(directory)]).findings;
        let wrong: Vec<&Diagnostic> =
            findings.iter().filter(|f| f.code == Code::LonelyName || f.severity == Severity::Error).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

#[test]
fn ten_thousand_rules_are_read_and_compared() {
    let mut text = "policy: p\napplies_to: {users: [a]}\nallow:\n".to_owned();
    for number in 0..10_000 {
        text.push_str(&format!("  - {{rule: r{number}, actions: [select], tables: [t{number}]}}\n"));
    }
    text.push_str("  - {rule: r7, actions: [select], tables: [t7]}\n");
    let findings = of_files(&[("p.yaml", text.as_bytes())]);
    let messages: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(messages, ["rule \"r7\" stands twice in policy \"p\""]);
}

fn portcullis(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.current_dir(root()).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env_remove("CLICOLOR");
    command.args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

const BROKEN: &str = "tests/diagnostics/action-misspelt.yaml";

#[test]
fn programs_get_json_and_annotations() {
    let output = portcullis(&["check", "--format", "json", BROKEN]);
    assert_eq!(output.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_str(&text(&output)).unwrap();
    let first = &told["findings"][0];
    assert_eq!((first["file"].as_str(), first["line"].as_u64()), (Some(BROKEN), Some(6)));
    assert_eq!((first["column"].as_u64(), first["length"].as_u64()), (Some(15), Some(5)));
    assert_eq!((first["code"].as_str(), first["severity"].as_str()), (Some("PC0012"), Some("error")));
    assert_eq!(first["message"].as_str(), Some("unknown action \"selct\", did you mean \"select\"?"));

    let output = portcullis(&["check", "--format", "github", BROKEN]);
    assert_eq!(output.status.code(), Some(1));
    let first = text(&output).lines().next().unwrap().to_owned();
    assert_eq!(
        first,
        "::error file=tests/diagnostics/action-misspelt.yaml,line=6,col=15,endColumn=19,title=PC0012 unknown-action::\
         unknown action \"selct\", did you mean \"select\"?"
    );
    assert_eq!(text(&output).lines().count(), 3);
}

#[test]
fn exit_codes_tell_errors_from_warnings_and_wrong_arguments() {
    for (arguments, code) in [
        (vec!["check", BROKEN], 1),
        (vec!["check", "tests/diagnostics/widening.yaml"], 0),
        (vec!["check", "--deny-warnings", "tests/diagnostics/widening.yaml"], 1),
        (vec!["check"], 2),
        (vec!["check", "--explain", "PC9999"], 2),
        (vec!["check", "--format", "markdown", BROKEN], 2),
        (vec!["check", "--explain", "PC0012"], 0),
        (vec!["check", "--codes"], 0),
        (vec!["check", "policies/", "tests/diagnostics/widening.yaml"], 0),
        // Failing tests are findings, too.
        (vec!["check", "tests/diagnostics/tests-that-fail.yaml"], 1),
    ] {
        let output = portcullis(&arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
    }
}

#[test]
fn a_code_is_explained() {
    let page = text(&portcullis(&["check", "--explain", "unknown-action"]));
    assert!(page.starts_with("## PC0012: an action that there is not (error)"), "{page}");
    assert!(page.contains("**What to do.**") && page.contains("Wrong:") && page.contains("Right:"), "{page}");
}

#[test]
fn there_are_colours_only_where_they_are_wanted() {
    let plain = text(&portcullis(&["check", BROKEN]));
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.current_dir(root()).args(["check", BROKEN]).env("CLICOLOR_FORCE", "1").env_remove("NO_COLOR");
    let coloured = text(&command.output().unwrap());
    assert!(coloured.contains("\u{1b}["), "{coloured:?}");
    command.env("NO_COLOR", "1").env_remove("CLICOLOR_FORCE");
    assert!(!text(&command.output().unwrap()).contains('\u{1b}'));
}

#[test]
fn tests_may_stand_in_files_of_their_own() {
    let policy = "policy: shop\napplies_to: {users: [a]}\nallow: [{rule: r, actions: [select], tables: [orders]}]\n";
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("shop.yaml"), policy).unwrap();
    let tests =
        "policy: shop\ntests:\n  - allow: SELECT 1 FROM orders\n  - deny: DELETE FROM orders\n    by: default\n";
    fs::write(directory.path().join("shop.test.yaml"), tests).unwrap();
    let path = directory.path().to_str().unwrap();
    let output = portcullis(&["test", path]);
    assert_eq!(
        (output.status.code(), text(&output).contains("2 passed, 0 failed")),
        (Some(0), true),
        "{}",
        text(&output)
    );
    assert_eq!(policy::load(directory.path()).unwrap().names().count(), 1);
    // They are the policy's own: where one fails the set is not loaded.
    fs::write(
        directory.path().join("shop.test.yaml"),
        tests.replace("deny: DELETE", "allow: DELETE").replace("    by: default\n", ""),
    )
    .unwrap();
    let error = policy::load(directory.path()).unwrap_err();
    assert!(error.contains("shop.test.yaml:4:5: error[PC0061]"), "{error}");
    let output = portcullis(&["test", path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("shop.test.yaml:4: it is refused"), "{}", text(&output));
}
