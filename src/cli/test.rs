//! `portcullis test`: runs the `tests:` blocks of policies and the files `*.test.yaml`, and shows each.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::cli::junit::{self, Case, CaseResult};
use crate::cli::look;
use crate::policy::diagnostic::{Severity, human};
use crate::policy::test::TestResult;
use crate::policy::{self, Loaded, test};

/// The arguments of `portcullis test`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directories with policies, or single files
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// How results are written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// JUnit XML, for CI systems
    Junit,
}

/// Runs the tests: 0 where all pass, 1 where one fails or the policies have errors.
pub fn run(args: Args) -> ExitCode {
    let Loaded { set, findings } = policy::read(&args.paths);
    let Some(set) = set else {
        let errors: Vec<_> = findings.into_iter().filter(|f| f.severity == Severity::Error).collect();
        let _ = writeln!(
            io::stderr(),
            "{}\n\nthe policies have errors: no test was run",
            human(&errors, look(&io::stderr()))
        );
        return ExitCode::FAILURE;
    };
    let results = match test::run(&set) {
        Ok(results) => results,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            return ExitCode::FAILURE;
        }
    };
    let text = match args.format {
        Format::Text => text(&results),
        Format::Junit => junit(&results),
    };
    // Nobody reads on (`| head`): no reason to fail.
    let _ = io::stdout().write_all(text.as_bytes());
    match results.iter().any(|result| result.failure.is_some()) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

// Writing to a `String` does not fail: its results are dropped.

fn text(results: &[TestResult]) -> String {
    let mut text = String::new();
    for result in results {
        let TestResult { policy, file, place, name, failure } = result;
        let word = if failure.is_some() { "FAIL" } else { "ok" };
        let _ = writeln!(text, "{word:<4} {policy}  {name}");
        if let Some(failure) = failure {
            let _ = writeln!(text, "     {file}:{}: {failure}", place.line);
        }
    }
    let failed = results.iter().filter(|result| result.failure.is_some()).count();
    let _ = writeln!(text, "\n{} passed, {failed} failed", results.len() - failed);
    text
}

fn junit(results: &[TestResult]) -> String {
    let case = |TestResult { policy, file, place, name, failure }: &TestResult| Case {
        class: policy.to_string(),
        name: name.clone(),
        place: Some((file.to_string(), place.line)),
        result: failure.clone().map_or(CaseResult::Passed, CaseResult::Failed),
    };
    junit::document("policies", &results.iter().map(case).collect::<Vec<_>>())
}
