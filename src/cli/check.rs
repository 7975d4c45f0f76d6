//! `portcullis check`: validates policies and shows every finding with its place.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::policy::diagnostic::{Diagnostic, Severity, render};
use crate::policy::{self, Digest, Loaded, test};

/// The arguments of `portcullis check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directories with policies, or single files
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// How findings are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Fail on warnings, too
    #[arg(long)]
    deny_warnings: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
}

/// Checks the policies: 0 where they would load, 1 where they would not (or `--deny-warnings` and there is one).
pub fn run(args: Args) -> ExitCode {
    let Loaded { set, mut findings } = policy::read(&args.paths);
    // A set whose own tests fail is not loaded either.
    if let Some(set) = &set {
        findings.extend(test::failures(set));
    }
    let errors = count(&findings, Severity::Error);
    let warnings = count(&findings, Severity::Warning);
    let policies = set.as_ref().map_or(0, |set| set.names().count());
    let digest = set.as_ref().map(|set| set.digest());
    let text = match args.format {
        Format::Text => text(&findings, policies, digest, errors, warnings),
        Format::Json => json(&findings, policies, digest),
    };
    // Nobody reads on (`| head`): no reason to fail.
    let _ = io::stdout().write_all(text.as_bytes());
    match errors > 0 || (args.deny_warnings && warnings > 0) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

fn count(findings: &[Diagnostic], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

fn text(findings: &[Diagnostic], policies: usize, digest: Option<Digest>, errors: usize, warnings: usize) -> String {
    let mut text = render(findings);
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    text.push_str(&match errors {
        0 => format!(
            "ok: {}, {}{}\n",
            if policies == 1 { "1 policy".to_owned() } else { format!("{policies} policies") },
            plural(warnings, "warning"),
            digest.map(|digest| format!(", digest {digest}")).unwrap_or_default()
        ),
        _ => format!(
            "{}, {}: these policies would not be loaded\n",
            plural(errors, "error"),
            plural(warnings, "warning")
        ),
    });
    text
}

fn json(findings: &[Diagnostic], policies: usize, digest: Option<Digest>) -> String {
    let findings: Vec<serde_json::Value> = findings
        .iter()
        .map(|finding| {
            serde_json::json!({
                "severity": finding.severity.as_str(),
                "file": &*finding.file,
                "line": finding.place.map(|place| place.line),
                "column": finding.place.map(|place| place.column),
                "message": finding.message,
                "help": finding.help,
            })
        })
        .collect();
    let mut text = serde_json::json!({ "policies": policies, "digest": digest, "findings": findings }).to_string();
    text.push('\n');
    text
}
