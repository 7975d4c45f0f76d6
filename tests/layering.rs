//! The house keeps its shape: arrows point down, no file grows past what one reads in a sitting, each says what it is for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may use: the arrows of `src/lib.rs` and what they imply (an arrow to a module allows what that module
/// may use itself).
const ARROWS: [(&str, &[&str]); 18] = [
    ("cli", &["selftest", "learn", "server"]),
    ("learn", &["audit", "policy"]),
    ("selftest", &["server", "attacks"]),
    ("attacks", &[]),
    ("server", &["session", "admin", "audit"]),
    ("admin", &["blocks", "metrics", "policy", "config"]),
    ("session", &["blocks", "policy", "limits", "audit", "detect", "net", "wire", "metrics", "config"]),
    ("limits", &["policy"]),
    ("audit", &["detect", "sql"]),
    ("blocks", &["audit", "sql", "metrics", "units"]),
    ("detect", &["sql"]),
    ("policy", &["detect", "sql", "units"]),
    ("sql", &[]),
    ("net", &["wire", "config"]),
    ("wire", &[]),
    ("metrics", &[]),
    ("config", &["units"]),
    ("units", &[]),
];

/// The most lines that a source file may have.
const LINES: usize = 700;

/// Tables made by a program or copied from PostgreSQL's catalogs: read by nobody, so of any length.
const GENERATED: [&str; 6] = [
    "src/sql/children.rs",
    "src/sql/functions/names.rs",
    "src/sql/functions/oids.rs",
    "src/sql/relations/names.rs",
    "src/sql/encoding/tables.rs",
    "src/sql/settings/table.rs",
];

/// All Rust files under a directory, with their paths from the package's root.
fn sources(directory: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = vec![root.join(directory)];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no sources under {directory}");
    found
}

/// Every module that this one may use, itself included.
fn reachable(module: &str) -> BTreeSet<&'static str> {
    let arrows: BTreeMap<_, _> = ARROWS.into_iter().collect();
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<&str> = vec![module];
    while let Some(module) = waiting.pop() {
        let (known, uses) = arrows.get_key_value(module).unwrap_or_else(|| panic!("`{module}` is not in ARROWS"));
        if reached.insert(*known) {
            waiting.extend(uses.iter().copied());
        }
    }
    reached
}

/// The code of a file: without comments, for `//! see crate::session` is no arrow.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The first path segments behind every `crate::`, groups (`crate::{sql, wire::frame}`) taken apart.
fn used(code: &str) -> BTreeSet<String> {
    let word = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut modules = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let Some(group) = after.strip_prefix('{') else {
            modules.insert(word(after));
            continue;
        };
        let (mut depth, mut start) = (0, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' | ',' if depth == 0 => {
                    modules.insert(word(&group[start..at]));
                    start = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    modules.remove("");
    modules
}

#[test]
fn arrows_point_down() {
    let mut wrong = Vec::new();
    for (file, text) in sources("src") {
        let module = file.trim_start_matches("src/").split(['/', '.']).next().unwrap();
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let may = reachable(module);
        for other in used(&code(&text)) {
            // A macro or an item of the crate's root is no module of the map.
            if ARROWS.iter().any(|(name, _)| *name == other) && !may.contains(other.as_str()) {
                wrong.push(format!("{file} uses crate::{other}, which stands above {module} or beside it"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_map_in_lib_rs_and_the_arrows_name_the_same_modules() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let declared: BTreeSet<String> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod ")))
        .map(|rest| rest.trim_end_matches(';').to_owned())
        .collect();
    let known: BTreeSet<String> = ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(declared, known);
    // Acyclic: nothing below a module reaches it again.
    for (module, uses) in ARROWS {
        for below in uses {
            assert!(!reachable(below).contains(module), "{module} and {below} use each other");
        }
    }
}

#[test]
fn no_file_is_too_long_and_each_says_what_it_is_for() {
    let mut wrong = Vec::new();
    for (file, text) in sources("src").into_iter().chain(sources("tests")) {
        let lines = text.lines().count();
        if lines > LINES && !GENERATED.contains(&file.as_str()) {
            wrong.push(format!("{file} has {lines} lines, more than {LINES}"));
        }
        if !text.starts_with("//!") {
            wrong.push(format!("{file} does not open with a `//!` that says what it is for"));
        }
        if file.starts_with("src") && file.ends_with("/mod.rs") {
            wrong.push(format!("{file}: the house uses foo.rs and foo/, not mod.rs"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `autotests` is off in Cargo.toml, so that a forgotten file would be no test at all.
#[test]
fn every_file_of_tests_is_in_a_program() {
    let manifest = include_str!("../Cargo.toml");
    let modules = include_str!("all.rs");
    for (file, _) in sources("tests") {
        let Some(name) = file.strip_prefix("tests/").and_then(|rest| rest.strip_suffix(".rs")) else { continue };
        let (word, found) = match name.strip_suffix("/main") {
            Some(program) => (program, false),
            None if name.contains('/') => continue,
            None => (name, modules.contains(&format!("\nmod {name};\n"))),
        };
        let program = manifest.contains(&format!("[[test]]\nname = \"{word}\"\n"));
        assert!(found != program, "{file} is in neither tests/all.rs nor Cargo.toml, or in both");
    }
}

#[test]
fn only_policy_makes_an_approval() {
    for (file, text) in sources("src") {
        let makes = code(&text).contains("Approved(()");
        assert!(!makes || file.starts_with("src/policy"), "{file} makes an Approved");
    }
}

#[test]
fn the_reader_of_arrows_sees_them() {
    let text = "use crate::{sql::{self, Facts}, wire};\nlet x = crate::session::run(); // crate::cli\n";
    let seen: Vec<String> = used(&code(text)).into_iter().collect();
    assert_eq!(seen, ["session", "sql", "wire"]);
    assert!(reachable("session").contains("sql") && !reachable("sql").contains("session"));
}
