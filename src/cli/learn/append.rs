//! `learn --append`: one refused statement, by the event id that its client was told, into a list.

use std::io;
use std::path::{Path, PathBuf};

use crate::learn::list::{Entry, List, ListError};
use crate::learn::{self, Record};
use crate::policy::LIST_ENDING;
use crate::sql::Facts;

/// Why a statement isn't added.
#[derive(Debug, thiserror::Error)]
pub(super) enum AppendError {
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("no refusal with the event id {id} in {logs} ({lines} lines)")]
    Unknown { id: String, logs: String, lines: u64 },
    #[error("event {id} is no statement that a list could allow: {why}")]
    Never { id: String, why: String },
    #[error("{}: {source}", list.display())]
    List { list: PathBuf, source: ListError },
    #[error("{} is no list of statements by its name: it ends with {LIST_ENDING}", .0.display())]
    Name(PathBuf),
}

/// What the log tells of the event.
struct Found {
    time: jiff::Timestamp,
    user: String,
    rule: String,
    reason: String,
    hash: String,
    statement: String,
    score: u32,
    facts: Option<String>,
}

#[derive(Default)]
struct Search {
    id: String,
    lines: u64,
    found: Option<Found>,
}

impl Search {
    fn line(&mut self, line: &[u8]) {
        self.lines += 1;
        let Ok(record) = Record::parse(line) else { return };
        if self.found.is_some() || !record.is_statement() || record.id != self.id || self.id.is_empty() {
            return;
        }
        self.found = Some(Found {
            time: record.time,
            user: record.user.to_string(),
            rule: record.rule.to_string(),
            reason: record.reason.to_string(),
            hash: record.hash.to_string(),
            statement: record.statement.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
            score: record.score(),
            facts: record.facts.map(|facts| facts.get().to_owned()),
        });
    }
}

/// Adds the statement of the event; what to tell.
pub(super) fn append(id: &str, logs: &[PathBuf], list: &Path) -> Result<String, AppendError> {
    if !list.as_os_str().to_string_lossy().ends_with(LIST_ENDING) {
        return Err(AppendError::Name(list.to_owned()));
    }
    let mut search = Search { id: id.to_owned(), ..Search::default() };
    let reading = |source| AppendError::Io { what: "reading failed".to_owned(), source };
    super::lines(logs, &mut search, |_| {}, Search::line).map_err(reading)?;
    let lines = search.lines;
    let logs = || logs.iter().map(|log| log.display().to_string()).collect::<Vec<_>>().join(", ");
    let found = search.found.ok_or_else(|| AppendError::Unknown { id: id.to_owned(), logs: logs(), lines })?;
    may_be_appended(&found).map_err(|why| AppendError::Never { id: id.to_owned(), why })?;

    let (text, new_file) = match std::fs::read_to_string(list) {
        Ok(text) => (text, false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (String::new(), true),
        Err(source) => return Err(AppendError::Io { what: format!("can't read {}", list.display()), source }),
    };
    let mut entries = List::parse(&text).map_err(|source| AppendError::List { list: list.to_owned(), source })?;
    if new_file {
        entries = List::new([
            "Statements, written by `portcullis learn`: one a line, by their texts without values.".to_owned()
        ]);
    }
    let Found { time, user, hash, statement, .. } = found;
    let added = entries.add(Entry {
        hash: hash.clone(),
        count: 0,
        first_seen: Some(time),
        last_seen: Some(time),
        sessions: None,
        text: statement.clone(),
        more: [("added".to_owned(), format!("event {id}, user {user}").into())].into_iter().collect(),
    });
    if !added {
        return Ok(format!("{} lists it already: {hash} {statement}\n", list.display()));
    }
    let writing = |source| AppendError::Io { what: format!("can't write {}", list.display()), source };
    super::replace(list, &entries.render()).map_err(writing)?;
    let mut told =
        format!("added to {}, which has {} statements now:\n  {hash} {statement}\n", list.display(), entries.len());
    told.push_str(
        "deny rules, guarded settings, limits and the second parser hold for it all the same: send it again to see\n",
    );
    if new_file {
        let name = list.file_name().unwrap_or_default().to_string_lossy();
        told.push_str(&format!(
            "the list is new: name it under `allow:` of the policy: - {{rule: learned, statements: {name}}}\n"
        ));
    }
    Ok(told)
}

/// Whether a list helps, and may.
fn may_be_appended(found: &Found) -> Result<(), String> {
    match found.rule.as_str() {
        "default" => {}
        "" => return Err("it was not refused".to_owned()),
        rule => {
            return Err(format!(
                "{rule} refused it ({}), and no list lifts that: change what refused it",
                found.reason
            ));
        }
    }
    let facts = found.facts.as_ref().ok_or("the log has no Facts of it")?;
    let facts: Facts = serde_json::from_str(facts).map_err(|error| format!("its Facts can't be read: {error}"))?;
    learn::may_be_listed(&Facts { hash: found.hash.parse().ok(), ..facts })?;
    if found.score >= learn::SUSPICIOUS {
        return Err(format!("it looks like an injection (score {})", found.score));
    }
    Ok(())
}
