//! The settings of logging in: whom the proxy checks itself, and how often a login may fail.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::layers::Layers;
use crate::config::{Auth, ConfigError, Secret};

/// The query of `auth_query` where nothing is written.
const DEFAULT_QUERY: &str = "SELECT rolname, rolpassword, rolvaliduntil FROM pg_catalog.pg_authid WHERE rolname = $1 AND \
                             rolcanlogin";

/// The most that `login_failures` counts: each failure of each user and address is remembered.
const MOST_FAILURES: u32 = 100;

/// Where the proxy finds what it checks clients with.
#[derive(Debug, Clone, Default)]
pub struct Users {
    /// `auth_file`.
    pub file: Option<PathBuf>,
    /// `auth_map`: which certificates may log in as whom.
    pub map: Option<PathBuf>,
    pub query: Option<AuthQuery>,
    /// The most iterations of PBKDF2 that a verifier may ask for.
    pub max_iterations: u32,
}

impl Users {
    /// The files that are read again when they change.
    pub fn files(&self) -> Vec<PathBuf> {
        self.file.iter().chain(&self.map).cloned().collect()
    }
}

/// The query for users whom the file does not know, and who runs it.
#[derive(Debug, Clone)]
pub struct AuthQuery {
    /// One parameter, the user; a row of the user, the password as the server keeps it, and perhaps VALID UNTIL.
    pub sql: String,
    pub user: String,
    pub password: Option<Secret>,
    pub database: String,
}

/// So many failed logins in so long, and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginFailures {
    /// From 1 on.
    pub most: u32,
    pub within: Duration,
}

impl LoginFailures {
    /// `10/minute`; `0` is none.
    fn parse(text: &str) -> Option<Option<LoginFailures>> {
        if text == "0" {
            return Some(None);
        }
        let (count, period) = text.split_once('/')?;
        let most = count.trim().parse().ok().filter(|most| (1..=MOST_FAILURES).contains(most))?;
        let seconds = match period.trim() {
            "second" => 1,
            "minute" => 60,
            "hour" => 60 * 60,
            _ => return None,
        };
        Some(Some(LoginFailures { most, within: Duration::from_secs(seconds) }))
    }
}

/// How often a login may fail.
pub(super) fn login_failures(settings: &Layers) -> Result<Option<LoginFailures>, ConfigError> {
    let default = LoginFailures { most: 10, within: Duration::from_secs(60) };
    let Some(value) = settings.get("login_failures") else { return Ok(Some(default)) };
    LoginFailures::parse(&value.text).ok_or_else(|| {
        value.invalid(format!(
            "`{}` is no number of failures in a time: write 10/minute (1 to {MOST_FAILURES}; second, minute or hour), or 0 for \
             no bound",
            value.text
        ))
    })
}

/// Where users are looked for, and whether that goes with `auth`.
pub(super) fn users(settings: &Layers, auth: Auth) -> Result<Users, ConfigError> {
    let of_scram = ["auth_query", "auth_user", "auth_password", "auth_password_file", "auth_database"];
    let (unfit, needs): (&[&'static str], &str) = match auth {
        Auth::Scram => (&["auth_map"], "auth: certificate"),
        Auth::Certificate => (&of_scram, "auth: scram"),
        Auth::Passthrough | Auth::PassthroughWithoutChannelBinding | Auth::Password => (
            &[
                "auth_file",
                "auth_map",
                "auth_query",
                "auth_user",
                "auth_password",
                "auth_password_file",
                "auth_database",
            ],
            "auth: scram` or `auth: certificate",
        ),
    };
    for key in unfit {
        if let Some(value) = settings.get(key) {
            return Err(value.invalid(format!("it has no meaning but with `{needs}`: set that, or leave `{key}` out")));
        }
    }
    let file = settings.path("auth_file");
    let text = |key| settings.get(key).map(|value| value.text.clone());
    let query = match (text("auth_user"), text("auth_query")) {
        (Some(user), sql) => Some(AuthQuery {
            sql: sql.unwrap_or_else(|| DEFAULT_QUERY.to_owned()),
            user,
            password: settings.secret("auth_password")?,
            database: text("auth_database").unwrap_or_else(|| "postgres".to_owned()),
        }),
        (None, _) => {
            for key in of_scram {
                if let Some(value) = settings.get(key) {
                    return Err(
                        value.invalid("`auth_user` is missing: the role that asks the server for verifiers".into())
                    );
                }
            }
            None
        }
    };
    if auth == Auth::Scram && file.is_none() && query.is_none() {
        return Err(ConfigError::Invalid {
            origin: "auth".into(),
            problem: "`auth: scram` needs users: set `auth_file`, or `auth_user` for asking the server".into(),
        });
    }
    let max_iterations = settings.count32("scram_max_iterations", 100_000)?;
    Ok(Users { file, map: settings.path("auth_map"), query, max_iterations })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_a_number_in_a_time() {
        let some = |most, seconds| Some(Some(LoginFailures { most, within: Duration::from_secs(seconds) }));
        for (text, expected) in [
            ("0", Some(None)),
            ("10/minute", some(10, 60)),
            ("1 / hour", some(1, 3600)),
            ("100/second", some(100, 1)),
            ("101/second", None),
            ("0/minute", None),
            ("10", None),
            ("10/day", None),
            ("-1/minute", None),
            ("", None),
        ] {
            assert_eq!(LoginFailures::parse(text), expected, "{text}");
        }
    }
}
