//! `portcullis block`: makes, lists and lifts emergency blocks by calls of a running firewall's admin server.

mod client;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use crate::config::Secret;
use client::Address;

/// The address of a firewall that runs as it comes.
const ADMIN: &str = "http://127.0.0.1:9127";

/// The arguments of `portcullis block`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["hash", "user", "list", "lift"]))]
pub struct Args {
    /// Refuse every statement with this hash; the log and `portcullis explain` tell it
    #[arg(long, value_name = "HASH")]
    hash: Option<String>,

    /// Refuse everything that this user sends, and new logins
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// How long: 90s, 30m, 2h, 7d
    #[arg(long = "for", value_name = "DURATION", conflicts_with_all = ["until", "list", "lift"])]
    length: Option<String>,

    /// Until when: 2026-01-31T18:00:00Z or with an offset, 2026-01-31T18:00:00+01:00
    #[arg(long, value_name = "TIME", conflicts_with_all = ["list", "lift"])]
    until: Option<String>,

    /// Why, in one line: refused clients read it
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["list", "lift"])]
    reason: Option<String>,

    /// Show the blocks that are in force
    #[arg(long)]
    list: bool,

    /// Lift the block with this id
    #[arg(long, value_name = "ID")]
    lift: Option<String>,

    /// The admin server, 127.0.0.1:9127 or http://127.0.0.1:9127; also PORTCULLIS_ADMIN_URL, else PORTCULLIS_ADMIN, which
    /// is an address and port for `portcullis run` [default: 127.0.0.1:9127]
    #[arg(long, value_name = "URL")]
    admin: Option<String>,

    /// File that holds the admin token; else PORTCULLIS_ADMIN_TOKEN, or the file that PORTCULLIS_ADMIN_TOKEN_FILE names
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Send the token to another machine, readable for everybody on the way
    #[arg(long)]
    insecure: bool,
}

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
A block is at once in force: for the next message of every session, prepared statements and open cursors included. It ends by
itself. Sessions that policies only observe are not refused, only counted. With state_dir it outlives a restart.

The firewall takes such calls only where admin_token is set. The token is never an argument: every user of the machine could
read it.

Examples:
  export PORTCULLIS_ADMIN_TOKEN_FILE=/etc/portcullis/admin_token
  portcullis block --hash 3f2a…32 digits --for 2h --reason 'locks the shop, ticket 4711'
  portcullis block --user reporting --until 2026-01-31T18:00:00Z --reason 'runaway report'
  portcullis block --list
  portcullis block --lift 0a1b2c3d4e5f

Exit codes: 0 done; 1 the firewall refused, could not be asked, or could not write it down; 2 wrong arguments.";

/// Wrong arguments, as clap counts them.
const WRONG: u8 = 2;

/// What is asked of the firewall.
enum Wish {
    List,
    Lift(String),
    Make(Value),
}

/// Makes one call and shows what came of it.
pub fn run(args: Args) -> ExitCode {
    let prepared = wish(&args).and_then(|wish| {
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let address = address(&args, &env)?;
        Ok((wish, address, token(&args, &env)?))
    });
    let (wish, address, token) = match prepared {
        Ok(prepared) => prepared,
        Err(problem) => {
            eprintln!("portcullis block: {problem}");
            return ExitCode::from(WRONG);
        }
    };
    let (method, path, body) = match &wish {
        Wish::List => ("GET", "/v1/blocks".to_owned(), None),
        Wish::Lift(id) => ("DELETE", format!("/v1/blocks/{id}"), None),
        Wish::Make(body) => ("POST", "/v1/blocks".to_owned(), Some(body.to_string())),
    };
    match client::call(&address, &token, method, &path, body).and_then(|answer| answer.ok()) {
        Ok(answer) => show(&wish, &answer),
        Err(failure) => {
            eprintln!("portcullis block: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn wish(args: &Args) -> Result<Wish, String> {
    if args.list {
        return Ok(Wish::List);
    }
    if let Some(id) = &args.lift {
        return match !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            true => Ok(Wish::Lift(id.clone())),
            false => {
                Err("--lift takes an id of 12 hexadecimal digits: `portcullis block --list` shows them".to_owned())
            }
        };
    }
    if args.length.is_none() && args.until.is_none() {
        return Err("say how long: --for 2h, or --until 2026-01-31T18:00:00Z".to_owned());
    }
    let Some(reason) = &args.reason else {
        return Err("say why: --reason 'one line that refused clients read'".to_owned());
    };
    // What is wrong with the values the firewall says: its clock counts.
    Ok(Wish::Make(serde_json::json!({
        "hash": args.hash,
        "user": args.user,
        "for": args.length,
        "until": args.until,
        "reason": reason,
    })))
}

fn address(args: &Args, env: &dyn Fn(&str) -> Option<String>) -> Result<Address, String> {
    let text = args
        .admin
        .clone()
        .or_else(|| env("PORTCULLIS_ADMIN_URL"))
        .or_else(|| env("PORTCULLIS_ADMIN"))
        .unwrap_or_else(|| ADMIN.to_owned());
    let address = Address::parse(&text)?;
    if !address.is_here() && !args.insecure {
        return Err(format!(
            "{text} is another machine, and the admin server speaks plain HTTP: everybody on the way could read the token. Run this \
             on the firewall's machine, go through a tunnel (ssh -L 9127:127.0.0.1:9127 …), or say --insecure"
        ));
    }
    Ok(address)
}

fn token(args: &Args, env: &dyn Fn(&str) -> Option<String>) -> Result<Secret, String> {
    let file = match &args.token_file {
        Some(file) => Some(file.clone()),
        None => match env("PORTCULLIS_ADMIN_TOKEN") {
            Some(token) => return usable(token, "PORTCULLIS_ADMIN_TOKEN"),
            None => env("PORTCULLIS_ADMIN_TOKEN_FILE").map(PathBuf::from),
        },
    };
    let Some(file) = file else {
        return Err("no token: name its file with --token-file, or set PORTCULLIS_ADMIN_TOKEN".to_owned());
    };
    let mut text = fs::read_to_string(&file).map_err(|error| format!("can't read {}: {error}", file.display()))?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    usable(text, &file.display().to_string())
}

fn usable(text: String, origin: &str) -> Result<Secret, String> {
    match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        true => Ok(Secret::new(text)),
        false => Err(format!("{origin} holds no token: it is empty, or more than one line of plain characters")),
    }
}

fn show(wish: &Wish, answer: &Value) -> ExitCode {
    let (text, code) = match wish {
        Wish::List => (listed(answer), ExitCode::SUCCESS),
        Wish::Make(_) => (changed("blocked", answer, "block"), saved(answer)),
        Wish::Lift(_) => (changed("lifted", answer, "lifted"), saved(answer)),
    };
    // Nobody reads on (`| head`): no reason to fail.
    let _ = io::stdout().write_all(text.as_bytes());
    for note in answer.get("notes").and_then(Value::as_array).into_iter().flatten() {
        eprintln!("note: {}", plain(note));
    }
    code
}

/// What was asked for also means that it lasts.
fn saved(answer: &Value) -> ExitCode {
    match answer.get("saved").and_then(Value::as_str) {
        Some("failed") => ExitCode::FAILURE,
        Some(_) | None => ExitCode::SUCCESS,
    }
}

fn changed(what: &str, answer: &Value, field: &str) -> String {
    let block = answer.get(field).unwrap_or(&Value::Null);
    format!("{what}: {}\n", line(block))
}

fn listed(answer: &Value) -> String {
    let blocks = answer.get("blocks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut text = match blocks {
        [] => "nothing is blocked\n".to_owned(),
        blocks => blocks.iter().map(|block| line(block) + "\n").collect(),
    };
    if answer.get("state_dir").and_then(Value::as_bool) == Some(false) {
        text.push_str("(no state_dir is set: blocks end with the process)\n");
    }
    text
}

/// `0a1b2c3d4e5f  hash 3f2a…  until 2026-01-31T18:00:00Z  by admin_token from 127.0.0.1: locks the shop`.
fn line(block: &Value) -> String {
    let of = |field: &str| block.get(field).map(plain).unwrap_or_default();
    let target = match block.get("hash") {
        Some(hash) => format!("hash {}", plain(hash)),
        None => format!("user {:?}", of("user")),
    };
    let until = of("until").parse::<jiff::Timestamp>().map_or_else(|_| of("until"), |until| format!("{until:.0}"));
    format!("{}  {target}  until {until}  by {}: {}", of("id"), of("by"), of("reason"))
}

/// A text of the answer, without what could drive a terminal.
fn plain(value: &Value) -> String {
    value.as_str().unwrap_or_default().chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests;
