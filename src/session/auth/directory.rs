//! Whom the proxy checks itself: the users of `auth_file`, and behind it those that `auth_query` knows.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::net::Legs;
use crate::session::auth::certificate::Map;
use crate::session::auth::control::{Answer, Control, ControlError};
use crate::session::auth::scram::Verifier;
use crate::session::auth::scram::server::Secret;
use crate::session::auth::upstream::Credential;
use crate::session::auth::users::{Stored, Until, UserFileError, UserList, check_iterations};

/// All users, and what a process makes up for those who are none.
pub struct Directory {
    files: ArcSwap<Read>,
    control: Option<Control>,
    max_iterations: u32,
    /// Salts of users who can't log in are made of it.
    mock: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("files", &self.files).finish_non_exhaustive()
    }
}

/// What the files held at one time. A login is held against one of these: a map is written for its users.
#[derive(Debug)]
pub struct Read {
    list: UserList,
    /// `auth_map`: who may log in as whom; None where the common name is the user.
    pub(super) map: Option<Map>,
}

/// What a client's proof is held against, and for the log why it can't be a good one.
#[derive(Debug)]
pub struct Found {
    pub secret: Secret,
    pub why_not: Option<&'static str>,
}

impl Directory {
    /// Reads `auth_file`.
    ///
    /// # Errors
    /// It can't be used.
    pub fn open(config: &Config) -> Result<Directory, UserFileError> {
        let control = config.users.query.clone().map(|query| Control::new(query, config.users.max_iterations));
        Ok(Directory {
            files: ArcSwap::from_pointee(Directory::read(config)?),
            control,
            max_iterations: config.users.max_iterations,
            mock: Zeroizing::new(rand::random()),
        })
    }

    /// Reads `auth_file` and `auth_map`.
    ///
    /// # Errors
    /// One of them can't be used.
    pub fn read(config: &Config) -> Result<Read, UserFileError> {
        let list = match &config.users.file {
            Some(path) => UserList::read(path, config.auth, config.users.max_iterations)?,
            None => UserList::default(),
        };
        Ok(Read { list, map: config.users.map.as_deref().map(Map::read).transpose()? })
    }

    /// Puts what was read in force.
    pub fn replace(&self, read: Read) {
        self.files.store(Arc::new(read));
    }

    /// What is in force now.
    pub(super) fn files(&self) -> Arc<Read> {
        self.files.load_full()
    }

    /// How many users the file in force has.
    pub fn len(&self) -> usize {
        self.files.load().list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The verifier of a user. Who can't log in gets one that no proof fits.
    ///
    /// # Errors
    /// Nobody knows: the server can't be asked.
    pub async fn find(&self, user: &str, legs: &Legs, limit: Duration) -> Result<Found, ControlError> {
        let outcome = match self.of_file(user) {
            Some(outcome) => outcome,
            None => match &self.control {
                Some(control) => self.of_answer(control.ask(user, legs, limit).await?),
                None => Err("the user is not in auth_file"),
            },
        };
        Ok(match outcome {
            Ok(verifier) => Found { secret: verifier.into(), why_not: None },
            Err(why) => Found { secret: Secret::mock(user, &self.mock), why_not: Some(why) },
        })
    }

    fn of_file(&self, user: &str) -> Option<Result<Verifier, &'static str>> {
        let files = self.files.load();
        let user = files.list.get(user)?;
        Some(match &user.stored {
            Stored::Scram(verifier) => valid(verifier.clone(), user.until),
            Stored::Plain(_) => Err("auth_file has no SCRAM verifier of the user"),
        })
    }

    fn of_answer(&self, answer: Answer) -> Result<Verifier, &'static str> {
        match answer {
            Answer::Nobody => Err("auth_query found no such user"),
            Answer::NoPassword => Err("the user has no password assigned"),
            Answer::User { password, until } => {
                let verifier = Verifier::parse(&password).ok_or("the user does not have a valid SCRAM secret")?;
                check_iterations(&verifier, self.max_iterations)
                    .map_err(|_| "the user's SCRAM verifier asks for more iterations than `scram_max_iterations`")?;
                valid(verifier, until)
            }
        }
    }
}

impl Read {
    /// With what the proxy logs in as a user whose client's certificate was enough.
    ///
    /// # Errors
    /// In words: the password that is known of the user has expired.
    pub(super) fn credential(&self, user: &str) -> Result<Credential, &'static str> {
        let Some(user) = self.list.get(user) else { return Ok(Credential::Nothing) };
        if user.until.is_over(Timestamp::now()) {
            return Err("the user has an expired password");
        }
        Ok(match &user.stored {
            Stored::Plain(secret) => Credential::Password(Zeroizing::new(secret.expose().as_bytes().to_vec())),
            Stored::Scram(_) => Credential::Nothing,
        })
    }
}

fn valid(verifier: Verifier, until: Until) -> Result<Verifier, &'static str> {
    if until.is_over(Timestamp::now()) { Err("the user has an expired password") } else { Ok(verifier) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::Auth;

    #[test]
    fn a_login_is_held_against_the_files_of_one_time() {
        let place = tempfile::NamedTempFile::new().unwrap();
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(place.path(), "\"billing\" \"hunter2\"\n").unwrap();
        let list = UserList::read(place.path(), Auth::Certificate, 1).unwrap();
        let directory = Directory {
            files: ArcSwap::from_pointee(Read { list, map: Some(Map::default()) }),
            control: None,
            max_iterations: 1,
            mock: Zeroizing::new([0; 32]),
        };
        let before = directory.files();
        directory.replace(Read { list: UserList::default(), map: None });
        assert!(before.map.is_some() && matches!(before.credential("billing"), Ok(Credential::Password(_))));
        let after = directory.files();
        assert!(after.map.is_none() && matches!(after.credential("billing"), Ok(Credential::Nothing)));
        assert!(directory.is_empty());
    }
}
