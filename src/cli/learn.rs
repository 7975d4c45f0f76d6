//! `portcullis learn`: recorded traffic to policies that allow it, and one refused statement into a list.

mod append;
mod server;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;

use crate::learn::{self, By, Counts, Gathering, Learned, LearnedPolicy, Options, Unlearned};
use crate::policy::Glob;
use crate::sql;

pub(super) const EXAMPLES: &str = "\
Reads audit logs (audit_log of the configuration) and writes a policy for each user: NAME.yaml, and by statement the list
NAME.learned.yaml that it names. What one session alone sent is set apart in NAME.review.learned.yaml and not allowed. Files
that are there are never overwritten without --force. Never learned: what reaches files, programs, other machines, the server's
administration, rights, roles, code, guarded settings; what the firewall does not understand; what looks like an injection; what
was refused, or would have been by a deny rule or a decoy. The summary on standard error says which.

Before you put it in force: portcullis replay audit.jsonl --policies learned/ --fail-on newly-refused

From a server's pg_stat_statements the texts have $1 in the place of values. By table and by action that is exact but for names that
were values (nextval('x')); by statement it fits only drivers that send parameters in the same places. A password is taken from
PGPASSWORD.

Examples:
  portcullis learn audit.jsonl --out learned/
  portcullis learn audit.jsonl audit.jsonl.1 --by table --search-path public --user 'shop_*' --policy shop --out learned/
  portcullis learn --from-server 'postgres://auditor@db:5432/shop?sslmode=verify-full&sslrootcert=ca.crt' --by table
  portcullis learn --append 01JD3ZK0X8 --log audit.jsonl --list policies/shop.learned.yaml";

/// The arguments of `portcullis learn`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Audit logs, the older first; - is standard input
    #[arg(value_name = "LOG", required_unless_present_any = ["from_server", "append"], conflicts_with_all = ["from_server", "append"])]
    logs: Vec<PathBuf>,
    /// Read pg_stat_statements of this server: postgres://user@host/database?sslmode=…
    #[arg(long, value_name = "URL", conflicts_with = "append")]
    from_server: Option<String>,
    /// How far the policy goes beyond what was seen
    #[arg(long, value_enum, default_value_t = ByArg::Statement)]
    by: ByArg,
    /// Users that match, in one policy [default: all users, a policy for each]
    #[arg(long, value_name = "GLOB")]
    user: Option<String>,
    /// Sessions on this database only
    #[arg(long)]
    database: Option<String>,
    /// The policy's name; without --user one policy for all users
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// The search_path that the policies give their sessions; without, unqualified names are taken as they were written
    #[arg(long, value_name = "SCHEMA", value_delimiter = ',')]
    search_path: Vec<String>,
    /// Allow also what one session alone sent
    #[arg(long)]
    include_singletons: bool,
    /// Where the files are written
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Overwrite files that are there
    #[arg(long)]
    force: bool,
    /// Add the statement that was refused with this event id to a list (with --log and --list)
    #[arg(long, value_name = "EVENT-ID", requires_all = ["log", "list"])]
    append: Option<String>,
    /// The audit log that tells of the refusal
    #[arg(long, value_name = "LOG", requires = "append")]
    log: Vec<PathBuf>,
    /// The list to add to
    #[arg(long, value_name = "FILE", requires = "append")]
    list: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ByArg {
    /// These statements, whatever their values
    Statement,
    /// These actions on these tables, functions and settings
    Table,
    /// These actions on everything in the same schemas
    Action,
}

/// Why nothing was learned.
#[derive(Debug, thiserror::Error)]
enum LearnError {
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("{0} is there already: --force overwrites it")]
    Exists(String),
    #[error("no statement of {0} in what was read")]
    Nothing(String),
    #[error("{0}")]
    Policy(String),
    #[error(transparent)]
    Server(#[from] server::ServerError),
    #[error(transparent)]
    Append(#[from] append::AppendError),
    #[error("the learning thread ended by a panic")]
    Panic,
}

/// Learns: 0 where something was written, 2 where it can't be.
pub fn run(args: Args) -> ExitCode {
    // On a thread with a stack for the deepest statement: a server's statistics hold texts.
    let thread = std::thread::Builder::new().name("learn".into()).stack_size(sql::STACK);
    let outcome = match thread.spawn(move || work(&args)) {
        Ok(thread) => thread.join().unwrap_or(Err(LearnError::Panic)),
        Err(source) => Err(LearnError::Io { what: "can't start a thread".into(), source }),
    };
    match outcome {
        Ok(told) => {
            // Nobody reads on: no reason to fail.
            let _ = io::stderr().write_all(told.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("portcullis learn: {error}");
            ExitCode::from(2)
        }
    }
}

fn work(args: &Args) -> Result<String, LearnError> {
    if let (Some(id), Some(list)) = (&args.append, &args.list) {
        return Ok(append::append(id, &args.log, list)?);
    }
    let mut gathering = Gathering::of_database(args.database.clone());
    let sources = match &args.from_server {
        Some(url) => {
            let user = args.user.as_deref().map(Glob::new);
            server::read(url, &mut gathering, |row| {
                user.as_ref().is_none_or(|user| user.matches(&row.user))
                    && args.database.as_ref().is_none_or(|database| *database == row.database)
            })?;
            vec!["pg_stat_statements".to_owned()]
        }
        None => {
            lines(&args.logs, &mut gathering, Gathering::next_log, Gathering::line)?;
            args.logs.iter().map(|log| log.display().to_string()).collect()
        }
    };
    let options = Options {
        by: match args.by {
            ByArg::Statement => By::Statement,
            ByArg::Table => By::Table,
            ByArg::Action => By::Action,
        },
        user: args.user.clone(),
        policy: args.policy.clone(),
        search_path: args.search_path.clone(),
        include_singletons: args.include_singletons,
    };
    let learned = learn::write(&gathering, &options).map_err(LearnError::Policy)?;
    if learned.policies.is_empty() {
        let whom = args.user.as_deref().map_or_else(|| "any user".to_owned(), |user| format!("users like {user}"));
        return Err(LearnError::Nothing(whom));
    }
    save(args, &learned)?;
    let mut told = read_summary(gathering.counts(), &sources);
    if args.from_server.is_some() && args.by == ByArg::Statement {
        told.push_str(
            "careful: the server's texts have $1 in the place of values. The list fits only drivers that send parameters in the \
             same places; --by table and --by action fit all.\n",
        );
    }
    learned.policies.iter().for_each(|policy| told.push_str(&summary(policy, args)));
    told.push_str(&format!("next: portcullis check {}, and portcullis replay\n", args.out.display()));
    Ok(told)
}

/// Hands every line of some files to a reader. A last line without its end is a line, too: it may be cut.
pub(super) fn lines<R>(
    logs: &[PathBuf],
    reader: &mut R,
    next: impl Fn(&mut R),
    line: impl Fn(&mut R, &[u8]),
) -> Result<(), io::Error> {
    for (number, log) in logs.iter().enumerate() {
        if number > 0 {
            next(reader);
        }
        let named =
            |source: io::Error| io::Error::new(source.kind(), format!("can't read {}: {source}", log.display()));
        let mut input: Box<dyn BufRead> = match log.as_os_str() == "-" {
            true => Box::new(io::stdin().lock()),
            false => Box::new(BufReader::with_capacity(1 << 20, File::open(log).map_err(named)?)),
        };
        let mut buffer = Vec::new();
        while input.read_until(b'\n', &mut buffer).map_err(named)? > 0 {
            line(reader, &buffer);
            buffer.clear();
        }
    }
    Ok(())
}

impl From<io::Error> for LearnError {
    fn from(source: io::Error) -> LearnError {
        LearnError::Io { what: "reading failed".to_owned(), source }
    }
}

/// Writes all files, or none where one is there.
fn save(args: &Args, learned: &Learned) -> Result<(), LearnError> {
    let mut files: BTreeMap<PathBuf, &str> = BTreeMap::new();
    for policy in &learned.policies {
        let [own, list, review] = names(&args.out, policy);
        files.insert(own, &policy.policy);
        files.extend(policy.list.as_deref().map(|text| (list, text)));
        files.extend(policy.review.as_deref().map(|text| (review, text)));
    }
    if let Some(there) = files.keys().find(|path| path.exists() && !args.force) {
        return Err(LearnError::Exists(there.display().to_string()));
    }
    let writing = |what: &Path| {
        let what = format!("can't write {}", what.display());
        move |source| LearnError::Io { what, source }
    };
    fs::create_dir_all(&args.out).map_err(writing(&args.out))?;
    for (path, text) in &files {
        replace(path, text).map_err(writing(path))?;
    }
    Ok(())
}

/// The names of a policy's files: itself, its list, what is to be reviewed.
fn names(out: &Path, policy: &LearnedPolicy) -> [PathBuf; 3] {
    ["yaml", "learned.yaml", "review.learned.yaml"].map(|ending| out.join(format!("{}.{ending}", policy.name)))
}

/// Puts a text in the place of a file's: whoever reads it finds all of the one or of the other.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = OpenOptions::new().write(true).create_new(true).open(&beside).and_then(|mut file| {
        // The rights of the file that is replaced.
        if let Ok(there) = fs::metadata(path) {
            file.set_permissions(there.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let moved = written.and_then(|()| fs::rename(&beside, path));
    if moved.is_err() {
        let _ = fs::remove_file(&beside);
    }
    moved
}

fn read_summary(counts: &Counts, sources: &[String]) -> String {
    let mut told =
        format!("read {}: {} lines, {} of statements\n", sources.join(", "), counts.lines, counts.statements);
    if counts.unreadable > 0 {
        let first = counts.first_unreadable.as_ref().map_or_else(String::new, |(log, line, why)| {
            format!(" (the first: {}, line {line}: {why})", sources.get(*log).map_or("?", String::as_str))
        });
        told.push_str(&format!("{} lines could not be read and were left out{first}\n", counts.unreadable));
    }
    told
}

fn summary(policy: &LearnedPolicy, args: &Args) -> String {
    let [own, list, review] = names(&args.out, policy);
    let list = match (&policy.list, policy.listed) {
        (None, _) => String::new(),
        (Some(_), 0) => format!(" and {}, which is empty: none needs a rule", list.display()),
        (Some(_), listed) => format!(" and {}, which lists {listed}", list.display()),
    };
    let mut told = format!(
        "policy {} for {}: {} statements that ran {} times -> {}{list}\n",
        policy.name,
        policy.users.join(", "),
        policy.statements,
        policy.runs,
        own.display()
    );
    if policy.set_apart > 0 {
        told.push_str(&format!(
            "  set apart for review, not allowed: {} statements -> {} (--include-singletons allows what one session alone \
             sent)\n",
            policy.set_apart,
            review.display()
        ));
    }
    for (what, list) in [("allowed, but judged at Bind", &policy.at_bind), ("not learned", &policy.unlearned)] {
        for Unlearned { why, statements, times, example } in list {
            told.push_str(&format!("  {what}: {statements} statements, {times} times: {why}\n    {example}\n"));
        }
    }
    told
}
