//! `auth_file`: the users whom the proxy itself checks, one a line, in the format of PgBouncer's `auth_file`:
//!
//! ```text
//! ; a comment
//! "shop_app" "SCRAM-SHA-256$4096:salt$StoredKey:ServerKey"
//! "contractor" "SCRAM-SHA-256$4096:…" "2027-01-01 00:00:00+00"
//! ```
//!
//! The third field is VALID UNTIL. A quote inside a field is written twice.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::config::{Auth, Secret};
use crate::session::auth::scram::Verifier;

/// A larger file is a mistake.
const MOST: u64 = 64 << 20;

/// `NAMEDATALEN - 1`: no user of the server has a longer name.
const NAME: usize = 63;

/// Why a file of users or maps can't be used.
#[derive(Debug, thiserror::Error)]
pub enum UserFileError {
    #[error("can't read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "{} has group or world access, and it holds secrets: chmod 0600 where it belongs to the proxy's own user, 0640 or less \
         where it belongs to root", .0.display()
    )]
    Open(PathBuf),
    #[error("{} has more than {MOST} bytes, which is the most that is read: is it the right file?", .0.display())]
    TooLong(PathBuf),
    #[error("{} must belong to the proxy's own user or to root: it holds secrets", .0.display())]
    Owner(PathBuf),
    #[error("{}:{line}: {problem}", path.display())]
    Line { path: PathBuf, line: usize, problem: String },
}

/// What is known of a user's password.
#[derive(Debug, Clone)]
pub enum Stored {
    Scram(Verifier),
    /// The password itself: for logins at the server only (`auth: certificate`).
    Plain(Secret),
}

/// VALID UNTIL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    Forever,
    /// The password is valid before this, and not at it: `vuntil < now` in `get_role_password`.
    Time(Timestamp),
    /// `-infinity`, and years before Christ.
    Never,
}

impl Until {
    /// Reads the server's ISO output, or what people write in its place; without a zone it is UTC. `None` where it is no time.
    pub fn parse(text: &str) -> Option<Until> {
        let text = text.trim();
        match text {
            "infinity" => return Some(Until::Forever),
            "-infinity" => return Some(Until::Never),
            _ => {}
        }
        if let Some(before_christ) = text.strip_suffix(" BC") {
            return before_christ.starts_with(|c: char| c.is_ascii_digit()).then_some(Until::Never);
        }
        // The server's years go to 294276, jiff's to 9999.
        let year = text.bytes().take_while(u8::is_ascii_digit).count();
        if year > 4 && text.as_bytes().get(year) == Some(&b'-') {
            return Some(Until::Forever);
        }
        let zoned = text.parse::<Timestamp>().ok();
        let utc = || {
            let civil = text.parse::<jiff::civil::DateTime>().ok()?;
            civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
        };
        zoned.or_else(utc).map(Until::Time)
    }

    /// Whether a password that is valid until then is not any more.
    pub fn is_over(self, now: Timestamp) -> bool {
        match self {
            Until::Forever => false,
            Until::Time(until) => until < now,
            Until::Never => true,
        }
    }
}

/// One user.
#[derive(Debug, Clone)]
pub struct User {
    pub stored: Stored,
    pub until: Until,
}

/// All users of a file, as it was when it was read.
#[derive(Default)]
pub struct UserList(HashMap<String, User>);

impl fmt::Debug for UserList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserList({} users)", self.0.len())
    }
}

impl UserList {
    /// Reads a file. `most_iterations` is the most that a verifier may ask of clients.
    ///
    /// # Errors
    /// [`UserFileError`], with file and line.
    pub fn read(path: &Path, auth: Auth, most_iterations: u32) -> Result<UserList, UserFileError> {
        let text = read_private(path)?;
        UserList::parse(&text, path, auth, most_iterations)
    }

    fn parse(text: &str, path: &Path, auth: Auth, most_iterations: u32) -> Result<UserList, UserFileError> {
        let mut users = HashMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with([';', '#']) {
                continue;
            }
            let wrong = |problem: String| UserFileError::Line { path: path.to_owned(), line: number + 1, problem };
            let (name, user) = entry(line, auth, most_iterations).map_err(wrong)?;
            if users.insert(name.clone(), user).is_some() {
                return Err(wrong(format!("the user \"{name}\" is there twice: keep one line")));
            }
        }
        Ok(UserList(users))
    }

    pub fn get(&self, user: &str) -> Option<&User> {
        self.0.get(user)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One line that holds something.
fn entry(line: &str, auth: Auth, most_iterations: u32) -> Result<(String, User), String> {
    let mut rest = line;
    let name = field(&mut rest)?;
    let secret = field(&mut rest).map_err(|problem| format!("{problem} (the secret)"))?;
    let until = if rest.is_empty() { None } else { Some(field(&mut rest)?) };
    if !rest.is_empty() {
        return Err("there is something behind the third field: \"user\" \"secret\" \"valid until\"".into());
    }
    if name.is_empty() || name.len() > NAME {
        return Err(format!("a user's name has 1 to {NAME} bytes"));
    }
    let until = match until {
        None => Until::Forever,
        Some(text) => Until::parse(&text).ok_or_else(|| {
            format!("\"{}\" is no time: write 2027-01-01 00:00:00+00 or infinity", text.escape_debug())
        })?,
    };
    Ok((name.to_string(), User { stored: stored(&secret, auth, most_iterations)?, until }))
}

fn stored(secret: &str, auth: Auth, most_iterations: u32) -> Result<Stored, String> {
    let hash =
        secret.strip_prefix("md5").is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if hash {
        return Err(
            "an md5 hash serves no login by the proxy: give the user a SCRAM verifier (SET password_encryption = \
                    'scram-sha-256', then the password again)"
                .into(),
        );
    }
    let verifier = secret.starts_with(Verifier::PREFIX);
    match auth {
        Auth::Scram if verifier => {
            let verifier = Verifier::parse(secret).ok_or(
                "the SCRAM verifier is malformed: copy rolpassword of pg_authid, SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>",
            )?;
            check_iterations(&verifier, most_iterations)?;
            Ok(Stored::Scram(verifier))
        }
        Auth::Scram => Err("`auth: scram` needs the user's SCRAM verifier here, not the password: copy rolpassword of pg_authid".into()),
        Auth::Certificate if verifier => {
            Err("with `auth: certificate` the proxy logs in at the server itself, which a verifier is no use for: write the \
                 password, or leave the user out where the server asks for none"
                .into())
        }
        Auth::Certificate if secret.is_empty() => Err("the password is empty: the server takes none that is".into()),
        Auth::Certificate => Ok(Stored::Plain(Secret::new(secret.to_owned()))),
        Auth::Passthrough | Auth::PassthroughWithoutChannelBinding | Auth::Password => {
            Err("this `auth` asks for no users' file".into())
        }
    }
}

/// Clients reckon as many hashes as the verifier says before each login.
pub(super) fn check_iterations(verifier: &Verifier, most: u32) -> Result<(), String> {
    match verifier.iterations > most {
        true => Err(format!(
            "the SCRAM verifier asks for {} iterations, `scram_max_iterations` is {most}",
            verifier.iterations
        )),
        false => Ok(()),
    }
}

/// The next quoted field, and the white space behind it.
fn field(rest: &mut &str) -> Result<Zeroizing<String>, String> {
    let shape = "write \"user\" \"secret\", both in double quotes";
    let inside = rest.strip_prefix('"').ok_or(shape)?;
    let mut value = Zeroizing::new(String::with_capacity(inside.len()));
    let mut characters = inside.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' if characters.peek().is_some_and(|(_, next)| *next == '"') => {
                characters.next();
                value.push('"');
            }
            '"' => {
                let behind = inside.get(at + 1..).unwrap_or_default();
                let trimmed = behind.trim_start();
                if !behind.is_empty() && trimmed.len() == behind.len() {
                    return Err(format!("there is no space between two fields: {shape}"));
                }
                *rest = trimmed;
                return Ok(value);
            }
            '\0' => return Err("there is a NUL in a field".into()),
            other => value.push(other),
        }
    }
    Err(format!("a double quote is not closed: {shape}"))
}

/// Reads a file of secrets, by the rule that the server has for its private key (`check_ssl_key_file_permissions`): it belongs to
/// us and nobody else may read it, or to root and our group may. So a mounted Secret works, and a careless copy does not.
fn read_private(path: &Path) -> Result<Zeroizing<String>, UserFileError> {
    let unreadable = |source| UserFileError::Unreadable { path: path.to_owned(), source };
    // What is looked at is the file that is read.
    let mut file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if !ours && metadata.uid() != 0 {
        return Err(UserFileError::Owner(path.to_owned()));
    }
    // Who is root reads what is root's as the owner and as root: the looser rule, as in the server.
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        return Err(UserFileError::Open(path.to_owned()));
    }
    read_text(&mut file, metadata.len(), path)
}

/// Reads a file of text that is no secret.
pub(super) fn read_public(path: &Path) -> Result<Zeroizing<String>, UserFileError> {
    let unreadable = |source| UserFileError::Unreadable { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    read_text(&mut file, length, path)
}

fn read_text(file: &mut File, length: u64, path: &Path) -> Result<Zeroizing<String>, UserFileError> {
    // A part of it would do without the rest in silence: users who are there twice, lines that nobody could read.
    if length > MOST {
        return Err(UserFileError::TooLong(path.to_owned()));
    }
    // Room for all of it: growing would leave copies behind.
    let room = usize::try_from(length).unwrap_or(0) + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    // It may have grown since, or be a pipe, whose length nobody knows.
    let read = file
        .take(MOST + 1)
        .read_to_string(&mut text)
        .map_err(|source| UserFileError::Unreadable { path: path.to_owned(), source })?;
    if read as u64 > MOST {
        return Err(UserFileError::TooLong(path.to_owned()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
