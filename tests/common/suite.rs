//! PostgreSQL's own regression suite as a list of statements, with what a real server's grammar says to each.

use std::fs;
use std::path::{Path, PathBuf};

use super::psql_script::{self, Sent};
use super::wire::{Client, Frame, parse, sync};

/// Where the SQL of an unpacked source stands.
const PLACES: [&str; 2] = ["src/test/regress/sql", "src/pl/plpgsql/src/sql"];

/// How many statements go to the server before its answers are read.
const BATCH: usize = 50;

/// One statement of the suite.
#[derive(Debug, Clone)]
pub struct Case {
    /// `file.sql:line`.
    pub place: String,
    pub sent: Sent,
}

/// The sources of PostgreSQL that `scripts/regress-sql` fetched (15, and 18 where it was to be had), or the one that
/// `PG_REGRESS_SQL` names. Empty, said loudly, where there is none.
pub fn sources() -> Vec<PathBuf> {
    let named = std::env::var_os("PG_REGRESS_SQL").filter(|named| !named.is_empty()).map(PathBuf::from);
    if let Some(named) = named {
        assert!(named.is_dir(), "PG_REGRESS_SQL: no directory {}", named.display());
        return vec![named];
    }
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/postgresql-source");
    let found: Vec<PathBuf> =
        ["15", "18"].map(|major| fetched.join(major)).into_iter().filter(|p| p.is_dir()).collect();
    if found.is_empty() {
        eprintln!(
            "SKIPPED: POSTGRESQL'S REGRESSION SUITE IS NOT HERE. Run scripts/regress-sql, or set PG_REGRESS_SQL."
        );
    }
    found
}

/// Every statement of every script under a source directory (or in a directory of scripts).
pub fn cases(source: &Path) -> Vec<Case> {
    let mut directories: Vec<PathBuf> = PLACES.iter().map(|place| source.join(place)).collect();
    if let Ok(contrib) = fs::read_dir(source.join("contrib")) {
        directories.extend(contrib.map(|entry| entry.unwrap().path().join("sql")));
    }
    directories.retain(|directory| directory.is_dir());
    if directories.is_empty() {
        directories.push(source.to_owned());
    }
    let mut files: Vec<PathBuf> = directories
        .iter()
        .flat_map(|directory| fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no .sql files in {}", source.display());
    let mut cases = Vec::new();
    for file in files {
        let script = String::from_utf8(fs::read(&file).unwrap());
        // One script of 18 is in WIN1252.
        let script = script.unwrap_or_else(|e| e.into_bytes().into_iter().map(char::from).collect());
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        for sent in psql_script::statements(&script) {
            cases.push(Case { place: format!("{name}:{}", sent.line), sent });
        }
    }
    cases
}

/// Asks a server's grammar about texts, without any effect: in a failed transaction block the server reads a text (42601
/// where its grammar refuses it) before it says that the transaction is aborted (25P02). `Ok` where it was accepted, else
/// the server's message.
pub fn judged_by_server(client: &mut Client, texts: &[&str]) -> Vec<Result<(), String>> {
    client.ask(&super::wire::query("BEGIN; SELECT 1/0"));
    let mut answers = Vec::with_capacity(texts.len());
    for batch in texts.chunks(BATCH) {
        let bytes: Vec<u8> = batch.iter().flat_map(|text| [parse("", text), sync()].concat()).collect();
        client.send(&bytes);
        for _ in batch {
            answers.push(verdict(&client.until_ready()));
        }
    }
    client.ask(&super::wire::query("ROLLBACK"));
    answers
}

fn verdict(frames: &[Frame]) -> Result<(), String> {
    assert_eq!(super::wire::status(frames), 'E', "still in the failed transaction: {frames:?}");
    let Some(error) = frames.iter().find(|frame| frame.kind == b'E') else { return Ok(()) };
    let message = error.field('M');
    match error.field('C').as_str() {
        "25P02" => Ok(()),
        // Several statements, each of which the grammar takes.
        "42601" if message.starts_with("cannot insert multiple commands") => Ok(()),
        _ => Err(message),
    }
}
