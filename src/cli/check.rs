//! `portcullis check`: validates policies and shows every finding with its place; explains the codes of findings.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::cli::look;
use crate::policy::diagnostic::{Code, Diagnostic, Severity, github, human, json, manual};
use crate::policy::{self, Digest, Loaded};

pub(super) const EXAMPLES: &str = "\
Reads *.yaml and *.yml of a directory (*.test.yaml as tests of policies, *.learned.yaml where a policy names it), reports all errors
and warnings of all files at once, and runs the tests inside.

Exits with 0 where the policies would be loaded, 1 where they would not (with --deny-warnings also where there is a warning), 2 where
the arguments are wrong.

Examples:
  portcullis check policies/
  portcullis check --format github policies/     annotations of a GitHub workflow
  portcullis check --explain PC0012              what a code means, and what to do";

/// The arguments of `portcullis check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directories with policies, or single files
    #[arg(required_unless_present_any = ["explain", "codes"], value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// How findings are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Fail on warnings, too
    #[arg(long)]
    deny_warnings: bool,

    /// Say what a code means, and what to do
    #[arg(long, value_name = "CODE", conflicts_with_all = ["paths", "codes"])]
    explain: Option<Code>,

    /// List all codes; with --format markdown, docs/policy-errors.md
    #[arg(long, conflicts_with = "paths")]
    codes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people; in colour on a terminal
    Text,
    /// One JSON object: `policies` (how many), `digest`, `findings`
    Json,
    /// Annotations of a GitHub workflow
    Github,
    /// For --codes
    Markdown,
}

/// Checks the policies: 0 where they would load, 1 where they would not (or `--deny-warnings` and there is one).
pub fn run(args: Args) -> ExitCode {
    if let Some(code) = args.explain {
        return print(&manual::text(code));
    }
    if args.codes {
        return match args.format {
            Format::Markdown => print(&manual::markdown()),
            Format::Text => print(&manual::list()),
            Format::Json | Format::Github => wrong("--codes is written as text or markdown"),
        };
    }
    let Loaded { set, findings } = policy::check(&args.paths);
    let errors = count(&findings, Severity::Error);
    let warnings = count(&findings, Severity::Warning);
    let policies = set.as_ref().map_or(0, |set| set.names().count());
    let digest = set.as_ref().map(|set| set.digest());
    let text = match args.format {
        Format::Text => text(&findings, policies, digest, errors, warnings),
        Format::Json => {
            let mut text =
                serde_json::json!({ "policies": policies, "digest": digest, "findings": json(&findings) }).to_string();
            text.push('\n');
            text
        }
        Format::Github => github(&findings),
        Format::Markdown => return wrong("--format markdown is for --codes"),
    };
    let _ = print(&text);
    match errors > 0 || (args.deny_warnings && warnings > 0) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

fn print(text: &str) -> ExitCode {
    // Nobody reads on (`| head`): no reason to fail.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn wrong(message: &str) -> ExitCode {
    eprintln!("portcullis check: {message}");
    ExitCode::from(2)
}

fn count(findings: &[Diagnostic], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

fn text(findings: &[Diagnostic], policies: usize, digest: Option<Digest>, errors: usize, warnings: usize) -> String {
    let mut text = human(findings, look(&io::stdout()));
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
