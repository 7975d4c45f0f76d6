//! The JSON Schema of policies: up to date, true of every good policy, and not true of broken ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use portcullis::policy::diagnostic::{Code, Severity};
use portcullis::policy::{self, schema};
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn validator(text: &str) -> Validator {
    let schema: Value = serde_json::from_str(text).unwrap();
    assert!(jsonschema::meta::is_valid(&schema), "the schema is none");
    jsonschema::validator_for(&schema).unwrap()
}

/// The documents of a file as an editor sees them.
fn documents(text: &str) -> Option<Vec<Value>> {
    // As YAML 1.2 has it, which editors follow: `yes` is a text.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_multiple_with_options(text, options).ok()
}

fn yaml_files(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(directory)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "yaml")).collect();
    files.sort();
    assert!(!files.is_empty(), "{directory}");
    files
}

/// What the schema finds wrong in a text.
fn wrong(validator: &Validator, text: &str) -> Vec<String> {
    let documents = documents(text).expect("YAML");
    documents
        .iter()
        .flat_map(|document| validator.iter_errors(document).map(|error| error.to_string()).collect::<Vec<_>>())
        .collect()
}

#[test]
fn the_committed_schemas_are_up_to_date() {
    for (name, text, command) in [
        ("schema/policy.json", schema::policy(), "portcullis schema > schema/policy.json"),
        ("schema/tests.json", schema::tests(), "portcullis schema --of tests > schema/tests.json"),
    ] {
        let committed = fs::read_to_string(root().join(name)).unwrap_or_default();
        let same = serde_json::from_str::<Value>(&committed).ok() == serde_json::from_str::<Value>(&text).ok();
        assert!(same, "{name} is stale: {command}");
    }
}

#[test]
fn every_policy_that_is_shipped_fits_and_names_the_schema() {
    let validator = validator(&schema::policy());
    for directory in ["policies", "docs/examples"] {
        for path in yaml_files(directory) {
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(wrong(&validator, &text), Vec::<String>::new(), "{}", path.display());
            let first = text.lines().next().unwrap();
            let named = first.strip_prefix("# yaml-language-server: $schema=").expect("the schema in the first line");
            assert!(path.parent().unwrap().join(named).is_file(), "{}: {named}", path.display());
        }
    }
}

#[test]
fn every_policy_without_errors_fits() {
    let validator = validator(&schema::policy());
    let mut fitting = 0;
    for path in yaml_files("tests/diagnostics") {
        let findings = policy::check(std::slice::from_ref(&path)).findings;
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(wrong(&validator, &text), Vec::<String>::new(), "{}", path.display());
        fitting += 1;
    }
    // The repairs on the pages of the codes, too.
    for code in Code::ALL {
        use portcullis::policy::diagnostic::manual::{Example, page};
        if let Example::Policy { right, .. } | Example::Bytes { right, .. } = &page(*code).example {
            assert_eq!(wrong(&validator, right), Vec::<String>::new(), "{code}: {right}");
            fitting += 1;
        }
    }
    assert!(fitting > 50, "{fitting}");
}

/// Mistakes in keys, shapes and words: an editor shows them while one types.
const SEEN_BY_EDITORS: [Code; 11] = [
    Code::MissingKey,
    Code::UnknownKey,
    Code::WrongShape,
    Code::UnknownAction,
    Code::UnknownWord,
    Code::EmptyList,
    Code::UnknownKind,
    Code::UnnameableAction,
    Code::NoActions,
    Code::DenyOnly,
    Code::BadTest,
];

#[test]
fn broken_policies_do_not_fit() {
    let validator = validator(&schema::policy());
    let mut seen = BTreeSet::new();
    for path in yaml_files("tests/diagnostics") {
        let codes: BTreeSet<Code> =
            policy::check(std::slice::from_ref(&path)).findings.iter().map(|finding| finding.code).collect();
        let shapes: Vec<&Code> = codes.iter().filter(|code| SEEN_BY_EDITORS.contains(code)).collect();
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if shapes.is_empty() || documents(&text).is_none() {
            continue;
        }
        assert!(!wrong(&validator, &text).is_empty(), "{}: {shapes:?} is not seen", path.display());
        seen.extend(shapes.into_iter().copied());
    }
    let missing: Vec<&Code> = SEEN_BY_EDITORS.iter().filter(|code| !seen.contains(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn files_of_tests_have_a_schema_of_their_own() {
    let validator = validator(&schema::tests());
    let good = "policy: shop\ntests:\n  - deny: DROP TABLE t\n    by: default\n  - steps: [{allow: BEGIN}]\n";
    assert_eq!(wrong(&validator, good), Vec::<String>::new());
    for bad in ["policy: shop\n", "policy: shop\ntests: [{denny: x}]\n", "policy: shop\ntests: []\nallow: []\n"] {
        assert!(!wrong(&validator, bad).is_empty(), "{bad}");
    }
}
