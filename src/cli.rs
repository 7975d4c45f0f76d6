//! The command line: one file for each sub-command.

pub mod block;
pub mod check;
pub mod demo;
pub mod explain;
mod junit;
pub mod learn;
pub mod log;
pub mod replay;
pub mod run;
pub mod schema;
pub mod selftest;
pub mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::RunArgs;
use crate::policy::diagnostic::Look;

/// A SQL firewall for PostgreSQL.
///
/// Portcullis stands between applications and PostgreSQL, reads every statement with PostgreSQL's own grammar, lets
/// through what the policies allow, and refuses the rest as PostgreSQL would refuse a failing statement.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  portcullis demo                              see it work, with a throw-away PostgreSQL
  portcullis check policies/                   validate policies
  portcullis test policies/                    run the tests inside them
  portcullis explain --policies policies/ --user app_rw 'DELETE FROM orders'
  portcullis learn audit.jsonl --out learned/  write policies that allow what was recorded
  portcullis replay audit.jsonl --policies learned/
  portcullis selftest --policies policies/     fire the catalogue of attacks at them
  portcullis run --policies policies/ --upstream 'postgres://db:5432?sslmode=verify-full&sslrootcert=ca.crt'
  portcullis block --hash HASH --for 2h --reason 'locks the shop'";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the firewall
    #[command(after_help = RUN_EXAMPLES, after_long_help = format!("{}\n\n{RUN_EXAMPLES}", RunArgs::without_flag()))]
    Run(Box<RunArgs>),
    /// Validate policies
    #[command(after_help = check::EXAMPLES)]
    Check(check::Args),
    /// Run the tests of policies
    Test(test::Args),
    /// Say what a statement does and what becomes of it
    #[command(after_help = explain::EXAMPLES)]
    Explain(explain::Args),
    /// Write the JSON Schema of policies, for editors
    #[command(after_help = schema::EXAMPLES)]
    Schema(schema::Args),
    /// Write policies that allow what an audit log recorded
    #[command(after_help = learn::EXAMPLES)]
    Learn(Box<learn::Args>),
    /// Say what other policies would have done with recorded traffic
    #[command(after_help = replay::EXAMPLES)]
    Replay(replay::Args),
    /// Fire the catalogue of attacks at policies, and report what would pass
    #[command(after_help = selftest::EXAMPLES)]
    Selftest(selftest::Args),
    /// Refuse a statement or a user at once, for a while, on a running firewall
    #[command(after_help = block::EXAMPLES)]
    Block(block::Args),
    /// Start a throw-away PostgreSQL with the firewall in front of it, and take a tour
    Demo(demo::Args),
}

const RUN_EXAMPLES: &str = "\
Every flag is also a key of the configuration file and a variable PORTCULLIS_<KEY>; a flag beats the variable, the
variable beats the file. Secrets are read from the file (${VARIABLE} or <key>_file) or the environment, never from flags.
PORTCULLIS_LOG sets what is logged (error, warn, info, debug).

Examples:
  portcullis run --policies policies/ --upstream 'postgres://127.0.0.1:5432?sslmode=disable'
  portcullis run --config portcullis.yaml --tls-cert server.crt --tls-key server.key

SIGTERM and SIGINT stop taking clients (after drain_delay). Sessions that are idle end at once, others at the end of their
transaction, all after drain_timeout; the second signal ends them at once. SIGHUP reads policies, certificates and users again,
and so does a change of their files (watch: on): a good set of policies is in force at once, also for open sessions; a bad one
leaves the old one in force.";

/// Reads the arguments and runs the sub-command. Wrong arguments exit with 2, as clap does.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => run::run(*args),
        Command::Check(args) => check::run(args),
        Command::Test(args) => test::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Schema(args) => schema::run(&args),
        Command::Learn(args) => learn::run(*args),
        Command::Replay(args) => replay::run(args),
        Command::Selftest(args) => selftest::run(args),
        Command::Block(args) => block::run(args),
        Command::Demo(args) => demo::run(args),
    }
}

/// How findings look on a stream: coloured on a terminal, unless NO_COLOR or its like say otherwise.
fn look(stream: &impl anstream::stream::RawStream) -> &'static Look {
    match anstream::AutoStream::choice(stream) {
        anstream::ColorChoice::Never => &Look::PLAIN,
        anstream::ColorChoice::Auto | anstream::ColorChoice::AlwaysAnsi | anstream::ColorChoice::Always => {
            &Look::COLOURED
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_run_has_every_setting() {
        let mut cli = Cli::command();
        let run = cli.find_subcommand_mut("run").unwrap();
        let (long, short) = (run.render_long_help().to_string(), run.render_help().to_string());
        let (flags, settings) = long.split_once("\nSettings without a flag: ").unwrap();
        for (key, sentence) in crate::config::KEYS {
            let is_flag = flags.contains(&format!("--{} <", key.replace('_', "-")));
            let is_told = settings.contains(&format!("\n  {key}\n          {sentence}\n"));
            assert!(is_flag != is_told, "{key}\n{long}");
        }
        assert!(long.contains("\nExamples:\n") && short.contains("\nExamples:\n"));
        assert!(!short.contains("tcp_keepalives_idle"), "{short}");
    }

    #[test]
    fn the_names_of_the_flags_of_run_are_a_contract() {
        let flags = [
            "portcullis",
            "run",
            "--listen",
            "127.0.0.1:6432",
            "--admin",
            "127.0.0.1:9127",
            "--policies",
            "policies/",
            "--upstream",
            "postgres://db:5432?sslmode=verify-full&sslrootcert=ca.crt",
            "--tls-cert",
            "c",
            "--tls-key",
            "k",
            "--config",
            "f",
        ];
        let Command::Run(args) = Cli::try_parse_from(flags).expect("parses").command else { panic!("not run") };
        assert_eq!(args.listen.as_deref(), Some("127.0.0.1:6432"));
    }
}
