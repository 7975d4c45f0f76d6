//! `portcullis replay`: recorded traffic under other policies, for people, pull requests and scripts.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::ValueEnum;

use crate::learn::replay::{Example, Replay, Report, RuleReport};
use crate::policy;

pub(super) const EXAMPLES: &str = "\
Judges the Facts of audit logs (never their texts, which have no values) under the policies of --policies, and compares with
those of --against, or with the recorded verdicts. Each line is judged as it came: user, database, address, protocol, time,
application_name, signs of an injection; TLS as the log tells of the session, else as if it had it.

Exits with 0, with 1 where something is that --fail-on names, with 2 where it can't be asked.

Examples:
  portcullis replay audit.jsonl --policies learned/ --fail-on newly-refused
  portcullis replay audit.jsonl --policies policies/ --against /srv/main/policies/ --format markdown > comment.md";

/// The arguments of `portcullis replay`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Audit logs, the older first; - is standard input
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Directory of the policies that are tried
    #[arg(long, value_name = "DIR")]
    policies: PathBuf,
    /// Directory of the policies that they are compared with [default: the recorded verdicts]
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// What makes it fail
    #[arg(long, value_enum, value_name = "WHAT")]
    fail_on: Vec<FailOn>,
    /// How the report is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Something passed and would be refused
    NewlyRefused,
    /// Something was refused and would pass
    NewlyAllowed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For a pull request
    Markdown,
    /// One JSON object
    Json,
}

/// Replays: 0, or 1 where `--fail-on` says so, or 2 where it can't.
pub fn run(args: Args) -> ExitCode {
    match work(&args) {
        Ok(report) => {
            let text = match args.format {
                Format::Text => text(&report),
                Format::Markdown => markdown(&report),
                // These types have nothing that JSON can't hold.
                Format::Json => serde_json::to_string_pretty(&report).unwrap_or_default() + "\n",
            };
            // Nobody reads on (`| head`): no reason to fail.
            let _ = io::stdout().write_all(text.as_bytes());
            let fails = args.fail_on.iter().any(|what| match what {
                FailOn::NewlyRefused => report.newly_refused > 0,
                FailOn::NewlyAllowed => report.newly_allowed > 0,
            });
            if fails { ExitCode::from(1) } else { ExitCode::SUCCESS }
        }
        Err(problem) => {
            eprintln!("portcullis replay: {problem}");
            ExitCode::from(2)
        }
    }
}

fn work(args: &Args) -> Result<Report, String> {
    let new = Arc::new(policy::load(&args.policies)?);
    let old = args.against.as_ref().map(|directory| policy::load(directory).map(Arc::new)).transpose()?;
    let mut replay = Replay::new(new, old);
    super::learn::lines(&args.logs, &mut replay, Replay::next_log, Replay::line).map_err(|error| error.to_string())?;
    let report = replay.report();
    // A log of something else must not pass for traffic without a refusal.
    if report.lines > 0 && report.unreadable == report.lines {
        return Err("no line of this is an audit log's".to_owned());
    }
    Ok(report)
}

// Writing to a `String` does not fail: its results are dropped.

/// What stands above the details, in both forms for people.
fn notes(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    if report.would_refuse > 0 {
        notes.push(format!("{} of those that pass are only observed, and would be refused", report.would_refuse));
    }
    if report.unreadable > 0 {
        notes.push(format!("{} lines could not be read and were left out", report.unreadable));
    }
    if report.tls_assumed {
        notes.push("some sessions began before the log: judged as if they had come with TLS".to_owned());
    }
    notes
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{} lines judged, against {}", report.judged, report.against);
    for (name, number) in counts(report) {
        let _ = writeln!(out, "  {name:<18}{number:>12}");
    }
    for note in notes(report) {
        let _ = writeln!(out, "  {note}");
    }
    for (title, rules) in [("newly refused", &report.refused), ("newly allowed, refused before", &report.allowed)] {
        for rule in rules {
            let RuleReport { times, statements, users, examples, .. } = rule;
            let _ = writeln!(
                out,
                "\n{title} by {}: {times} times, {statements} statements, {}",
                named(rule),
                users.join(", ")
            );
            out.push_str(&listed(examples, *statements));
        }
    }
    for untold in &report.not_told {
        let _ = writeln!(out, "\nnot told: {}: {} times, {} statements", untold.why, untold.times, untold.statements);
        out.push_str(&listed(&untold.examples, untold.statements));
    }
    out
}

fn listed(examples: &[Example], statements: usize) -> String {
    let mut out = String::new();
    for Example { statement, reason, times, user, .. } in examples {
        let _ = writeln!(out, "  {times:>8} x {user}: {statement}\n             {reason}");
    }
    if let Some(more) = statements.checked_sub(examples.len()).filter(|more| *more > 0) {
        let _ = writeln!(out, "             and {more} statements more");
    }
    out
}

fn counts(report: &Report) -> [(&'static str, u64); 5] {
    [
        ("newly refused", report.newly_refused),
        ("newly allowed", report.newly_allowed),
        ("still allowed", report.unchanged_allowed),
        ("still refused", report.unchanged_refused),
        ("can't be told", report.untold),
    ]
}

/// `policy/rule (file:line)`.
fn named(rule: &RuleReport) -> String {
    let place = if rule.place.is_empty() { String::new() } else { format!(" ({})", rule.place) };
    format!("{}/{}{place}", rule.policy, rule.rule)
}

fn markdown(report: &Report) -> String {
    let mut out = String::new();
    let verdict = match (report.newly_refused, report.newly_allowed) {
        (0, 0) => "Nothing changes for the recorded traffic".to_owned(),
        (refused, allowed) => format!("{refused} newly refused, {allowed} newly allowed"),
    };
    let _ = writeln!(out, "### Portcullis replay: {verdict}\n");
    let _ = writeln!(out, "{} lines of recorded traffic, against {}.\n", report.judged, report.against);
    let _ = writeln!(out, "| | lines |\n|---|---:|");
    for (name, number) in counts(report) {
        let _ = writeln!(out, "| {name} | {number} |");
    }
    for note in notes(report) {
        let _ = writeln!(out, "\n{note}.");
    }
    for (title, rules) in [("Newly refused", &report.refused), ("Newly allowed (refused before)", &report.allowed)] {
        if rules.is_empty() {
            continue;
        }
        let _ =
            writeln!(out, "\n#### {title}\n\n| rule | lines | statements | users | example |\n|---|---:|---:|---|---|");
        for rule in rules {
            let example = rule.examples.first().map_or_else(String::new, |example| {
                format!("{}<br>{}", code(&example.statement), cell(&example.reason))
            });
            let users = rule.users.iter().map(|user| cell(user)).collect::<Vec<_>>().join(", ");
            let RuleReport { times, statements, .. } = rule;
            let _ = writeln!(out, "| {} | {times} | {statements} | {users} | {example} |", cell(&named(rule)));
        }
    }
    if !report.not_told.is_empty() {
        let _ = writeln!(out, "\n#### Can't be told\n");
        for untold in &report.not_told {
            let example = untold.examples.first().map_or_else(String::new, |example| code(&example.statement));
            let _ = writeln!(out, "* {} lines: {}: {example}", untold.times, cell(&untold.why));
        }
    }
    out
}

/// A text in a cell of a table: nothing of it is markup.
fn cell(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '!' | '@' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
        out
    })
}

/// A statement as code in a cell. Where it holds a character that ends code or the cell, as plain text.
fn code(text: &str) -> String {
    let short: String = text.chars().take(200).collect();
    let short = if short.len() < text.len() { format!("{short}…") } else { short };
    if short.contains(['`', '|']) || short.is_empty() { cell(&short) } else { format!("`{short}`") }
}
