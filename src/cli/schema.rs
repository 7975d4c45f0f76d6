//! `portcullis schema`: the JSON Schema of policy files.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;

use crate::policy::schema;

pub(super) const EXAMPLES: &str = "\
An editor with YAML's language server completes and checks a policy that names the schema in its first line:
  # yaml-language-server: $schema=../schema/policy.json

Examples:
  portcullis schema > schema/policy.json
  portcullis schema --of tests > schema/tests.json     of *.test.yaml";

/// The arguments of `portcullis schema`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which files it describes
    #[arg(long, value_enum, default_value_t = Of::Policy)]
    of: Of,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Of {
    /// Policies
    Policy,
    /// Files of tests only: *.test.yaml
    Tests,
}

/// Writes it to standard output.
pub fn run(args: &Args) -> ExitCode {
    let text = match args.of {
        Of::Policy => schema::policy(),
        Of::Tests => schema::tests(),
    };
    // Nobody reads on (`| head`): no reason to fail.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}
