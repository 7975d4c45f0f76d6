//! `auth_query`: asks the server for the verifier of a user, on a connection of the proxy's own. It goes the same way as the
//! sessions (`sslmode` and all), logs in by the same rules, and runs one query with the user bound as its parameter.
//!
//! It fails closed. What goes wrong is an error for the client, and never another way of logging in.

use std::fmt;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;
use tokio::sync::Mutex;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::config::AuthQuery;
use crate::net::Legs;
use crate::session::auth::upstream::{Credential, Upstream};
use crate::session::auth::users::Until;
use crate::session::auth::{LoginEnd, Peer, PeerError};
use crate::session::handshake::Why;
use crate::session::handshake::reach::{Answered, Route};
use crate::wire::{backend, startup};

/// How long the server may take for one question, connecting aside.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the startup packet says besides user and database. Nothing that ALTER ROLE or ALTER DATABASE sets can change what the
/// query means or how its answer is written.
const SETTINGS: [(&str, &str); 10] = [
    ("application_name", "portcullis auth_query"),
    ("client_encoding", "UTF8"),
    ("search_path", "pg_catalog, pg_temp"),
    ("role", "none"),
    ("standard_conforming_strings", "on"),
    ("DateStyle", "ISO, YMD"),
    ("TimeZone", "UTC"),
    ("default_transaction_read_only", "on"),
    ("statement_timeout", "5s"),
    ("idle_session_timeout", "0"),
];

/// What the server says of a user.
pub enum Answer {
    Nobody,
    NoPassword,
    User { password: Zeroizing<String>, until: Until },
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Answer::Nobody => "Nobody",
            Answer::NoPassword => "NoPassword",
            Answer::User { .. } => "User",
        })
    }
}

/// Why nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("auth_query: can't log in at the server as {user}: {why}")]
    Connect { user: String, why: String },
    #[error("auth_query: the connection broke: {0}")]
    Broken(#[from] PeerError),
    #[error("auth_query failed at the server: {message} ({sqlstate})")]
    Refused { sqlstate: String, message: String },
    #[error("auth_query: the server did not answer within {0:?}")]
    Timeout(Duration),
    #[error("auth_query: {0}")]
    Answer(&'static str),
}

/// The connection, and the query that runs on it.
pub struct Control {
    query: AuthQuery,
    max_iterations: u32,
    /// None before the first question and after an error. Who asks takes it out and puts it back after the whole answer, so
    /// that one who goes away in the middle leaves none behind.
    idle: Mutex<Option<Peer>>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("user", &self.query.user).finish_non_exhaustive()
    }
}

impl Control {
    /// Connects at the first question.
    pub fn new(query: AuthQuery, max_iterations: u32) -> Control {
        Control { query, max_iterations, idle: Mutex::new(None) }
    }

    /// Asks for a user. One question at a time; `limit` holds for connecting.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn ask(&self, user: &str, legs: &Legs, limit: Duration) -> Result<Answer, ControlError> {
        // Who asked before may be waiting for a server that is stuck.
        let mut idle = timeout(PATIENCE, self.idle.lock()).await.map_err(|_| ControlError::Timeout(PATIENCE))?;
        if let Some(mut server) = idle.take() {
            match timeout(PATIENCE, self.question(&mut server, user)).await {
                Ok(Ok(answer)) => {
                    *idle = Some(server);
                    return Ok(answer);
                }
                // The server was restarted, say: a new connection tells.
                Ok(Err(ControlError::Broken(_))) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(ControlError::Timeout(PATIENCE)),
            }
        }
        let mut server = timeout(limit, self.connect(legs)).await.map_err(|_| ControlError::Timeout(limit))??;
        let answer = timeout(PATIENCE, self.question(&mut server, user))
            .await
            .map_err(|_| ControlError::Timeout(PATIENCE))??;
        *idle = Some(server);
        Ok(answer)
    }

    /// Logs in, up to ReadyForQuery.
    async fn connect(&self, legs: &Legs) -> Result<Peer, ControlError> {
        let AuthQuery { user, database, password, .. } = &self.query;
        let broken = |why: String| ControlError::Connect { user: user.clone(), why };
        let who = [("user", user.as_str()), ("database", database.as_str())];
        let packet = startup::encode_startup(0, who.into_iter().chain(SETTINGS));
        let Answered { mut server, tls, first, .. } =
            Route::new(&legs.connector, &packet).answer().await.map_err(|why: Why| broken(why.to_string()))?;
        let mut credential = match password {
            Some(password) => Credential::Password(Zeroizing::new(password.expose().as_bytes().to_vec())),
            None => Credential::Nothing,
        };
        let max_iterations = self.max_iterations;
        Upstream { server: &mut server, user, tls: tls.as_ref(), max_iterations }
            .log_in(None, &mut credential, first)
            .await
            .map_err(|end: LoginEnd| broken(end.to_string()))?;
        loop {
            let frame = server.frame().await?;
            match frame.kind {
                backend::READY_FOR_QUERY => return Ok(server),
                backend::PARAMETER_STATUS | backend::BACKEND_KEY_DATA | b'N' => {}
                backend::ERROR_RESPONSE => return Err(broken(LoginEnd::refused(frame.body()).to_string())),
                _ => return Err(ControlError::Answer("the server sent an unexpected message after the login")),
            }
        }
    }

    async fn question(&self, server: &mut Peer, user: &str) -> Result<Answer, ControlError> {
        server.send(&self.messages(user)?).await?;
        let mut row = None;
        let mut error = None;
        loop {
            let frame = server.frame().await?;
            match frame.kind {
                backend::DATA_ROW if row.is_some() => {
                    error = Some(ControlError::Answer("it gave several rows for one user"))
                }
                backend::DATA_ROW => row = Some(read(frame.body(), user)),
                backend::ERROR_RESPONSE => {
                    error = Some(match LoginEnd::refused(frame.body()) {
                        LoginEnd::Refused { sqlstate, message } => ControlError::Refused { sqlstate, message },
                        _ => ControlError::Answer("the server sent an error that can't be read"),
                    });
                }
                backend::READY_FOR_QUERY => break,
                backend::PARSE_COMPLETE
                | backend::BIND_COMPLETE
                | backend::COMMAND_COMPLETE
                | backend::EMPTY_QUERY_RESPONSE
                | backend::PORTAL_SUSPENDED
                | backend::PARAMETER_STATUS
                | b'N' => {}
                _ => return Err(ControlError::Answer("the server sent an unexpected message")),
            }
        }
        match error {
            Some(error) => Err(error),
            None => row.unwrap_or(Ok(Answer::Nobody)),
        }
    }

    /// Parse, Bind, Execute, Sync: everything as text.
    fn messages(&self, user: &str) -> Result<BytesMut, ControlError> {
        let unfit = |_| ControlError::Answer("the query or the user's name can't be sent");
        let mut out = BytesMut::new();
        frontend::parse("", &self.query.sql, [], &mut out).map_err(unfit)?;
        let value = |user: &str, out: &mut BytesMut| {
            out.extend_from_slice(user.as_bytes());
            Ok(IsNull::No)
        };
        let bound = frontend::bind("", "", [], [user], value, [], &mut out);
        bound.map_err(|_| ControlError::Answer("the query or the user's name can't be sent"))?;
        // Two rows are one too many: no more are asked for.
        frontend::execute("", 2, &mut out).map_err(unfit)?;
        frontend::sync(&mut out);
        Ok(out)
    }
}

/// A DataRow: the user, the password, and perhaps VALID UNTIL.
fn read(body: &[u8], user: &str) -> Result<Answer, ControlError> {
    let malformed = || ControlError::Answer("the server sent a row that can't be read");
    let (count, mut rest) = body.split_first_chunk::<2>().ok_or_else(malformed)?;
    let count = u16::from_be_bytes(*count);
    if !matches!(count, 2 | 3) {
        return Err(ControlError::Answer("it must give two or three columns: the user, the password, VALID UNTIL"));
    }
    let mut next = || -> Result<Option<Zeroizing<String>>, ControlError> {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            rest = after;
            return Ok(None);
        };
        let (value, after) = after.split_at_checked(length).ok_or_else(malformed)?;
        rest = after;
        String::from_utf8(value.to_vec()).map(|text| Some(Zeroizing::new(text))).map_err(|_| malformed())
    };
    if next()?.is_none_or(|name| *name != user) {
        return Err(ControlError::Answer("its first column is not the user that it was asked for"));
    }
    let password = next()?;
    let until = match count {
        3 => next()?,
        _ => None,
    };
    let until = match until {
        None => Until::Forever,
        Some(text) => Until::parse(&text).ok_or(ControlError::Answer("its third column is no time"))?,
    };
    Ok(match password {
        None => Answer::NoPassword,
        Some(password) => Answer::User { password, until },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(columns: &[Option<&str>]) -> Vec<u8> {
        let mut out = u16::try_from(columns.len()).unwrap().to_be_bytes().to_vec();
        for column in columns {
            match column {
                Some(text) => {
                    out.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
                    out.extend(text.as_bytes());
                }
                None => out.extend((-1i32).to_be_bytes()),
            }
        }
        out
    }

    #[test]
    fn rows_are_read_or_refused() {
        let told = |columns: &[Option<&str>]| match read(&row(columns), "app") {
            Ok(Answer::User { password, until }) => format!("{} {until:?}", *password),
            Ok(other) => format!("{other:?}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(told(&[Some("app"), Some("x")]), "x Forever");
        assert_eq!(told(&[Some("app"), Some("x"), None]), "x Forever");
        assert_eq!(told(&[Some("app"), Some("x"), Some("-infinity")]), "x Never");
        assert_eq!(told(&[Some("app"), None, None]), "NoPassword");
        assert!(told(&[Some("app"), Some("x"), Some("soon")]).contains("third column is no time"));
        assert!(told(&[Some("root"), Some("x")]).contains("first column"));
        assert!(told(&[None, Some("x")]).contains("first column"));
        assert!(told(&[Some("app")]).contains("two or three columns"));
        assert!(told(&[Some("app"), None, None, None]).contains("two or three columns"));
        assert!(matches!(read(b"\0\x02\0\0\0\x09app", "app"), Err(ControlError::Answer(_))));
        assert!(matches!(read(b"", "app"), Err(ControlError::Answer(_))));
    }
}
