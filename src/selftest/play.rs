//! Plays one way of an attack with one client, and says whether it did harm.

use std::net::SocketAddr;

use crate::attacks::{Harm, Opening, Step, Target, Way};
use crate::selftest::client::{Client, ClientError, Frame};

/// How the statements of a way are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// By Query.
    Simple,
    /// By Parse, Bind, Describe, Execute, Sync.
    Extended,
}

impl Protocol {
    /// The protocols that make a difference for a way.
    pub fn of(way: &Way) -> &'static [Protocol] {
        match way.steps.iter().any(|step| matches!(step, Step::Sql(_))) {
            true => &[Protocol::Simple, Protocol::Extended],
            false => &[Protocol::Simple],
        }
    }

    /// `simple` or `extended`.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Simple => "simple",
            Protocol::Extended => "extended",
        }
    }
}

/// Who does what the client under attack can't do itself.
pub trait Stagehand {
    /// SQL as a superuser, past the firewall: the first column of the first row.
    ///
    /// # Errors
    /// The server's.
    fn sql(&mut self, sql: &str) -> Result<String, ClientError>;

    /// Puts another set of policies in force.
    ///
    /// # Errors
    /// They can't be loaded, or this door has none.
    fn reload(&mut self, yaml: &str) -> Result<(), String>;
}

/// What was said in a session.
#[derive(Debug)]
pub struct Transcript {
    /// Everything that the client sent.
    pub sent: Vec<u8>,
    /// Everything that it heard, without what the question after harm was answered.
    pub came: Vec<Frame>,
    /// The answers to the last step.
    pub last: Vec<Frame>,
    /// What the session answered to the question of [`Harm::Session`].
    pub answer: Option<String>,
    /// The login was refused: by these words.
    pub refused: Option<String>,
    /// The session goes on until this is dropped: its locks are to be seen.
    pub session: Option<Client>,
}

impl Transcript {
    fn refused(words: String) -> Transcript {
        Transcript {
            sent: Vec::new(),
            came: Vec::new(),
            last: Vec::new(),
            answer: None,
            refused: Some(words),
            session: None,
        }
    }

    /// Whether the last step ran: it was answered, and with no error.
    pub fn ran(&self) -> bool {
        !self.last.is_empty() && self.last.iter().all(|frame| frame.kind != b'E')
    }

    /// Whether this text came; the names of the ways to log in are no secret.
    pub fn holds(&self, text: &str) -> bool {
        self.came.iter().any(|frame| frame.kind != b'R' && frame.holds(text))
    }

    /// The first error, for people.
    pub fn first_error(&self) -> Option<String> {
        if let Some(words) = &self.refused {
            return Some(words.clone());
        }
        let error = self.came.iter().find(|frame| frame.kind == b'E')?;
        Some(format!("{} {}", error.field(b'C'), error.field(b'M')))
    }
}

/// Plays a way at an address.
///
/// # Errors
/// The other side went silent, or the stagehand failed.
pub fn play(
    way: &Way,
    protocol: Protocol,
    address: SocketAddr,
    target: &Target,
    hand: &mut dyn Stagehand,
) -> Result<Transcript, String> {
    let told = |error: ClientError| error.to_string();
    let mut client = match way.opening {
        Opening::Login(extra) => {
            let extra: Vec<(&str, String)> = extra.iter().map(|(name, value)| (*name, target.fill(value))).collect();
            let mut parameters = Vec::new();
            for (name, value) in [("user", &target.role), ("database", &target.database)] {
                if !extra.iter().any(|(given, _)| *given == name) {
                    parameters.push((name, value.as_str()));
                }
            }
            parameters.extend(extra.iter().map(|(name, value)| (*name, value.as_str())));
            match Client::login(address, &parameters, Some(&target.password)) {
                Ok(client) => client,
                Err(ClientError::Refused { sqlstate, message }) => {
                    return Ok(Transcript::refused(format!("{sqlstate} {message}")));
                }
                Err(error) => return Err(told(error)),
            }
        }
        Opening::Bytes(bytes) => {
            let mut client = Client::connect(address).map_err(told)?;
            client.send(&bytes(target)).map_err(told)?;
            client.raw().map_err(told)?;
            client
        }
    };
    let mut last: Vec<Frame> = Vec::new();
    for step in way.steps {
        let (bytes, ready) = match (step, step.bytes(protocol == Protocol::Extended, target)) {
            (_, Some(bytes)) => bytes,
            (Step::Elsewhere(sql), None) => {
                hand.sql(&target.fill(sql)).map_err(|error| format!("past the firewall: {error}"))?;
                continue;
            }
            (Step::Reload(yaml), None) => {
                hand.reload(yaml)?;
                continue;
            }
            (Step::Sql(_) | Step::Query(_) | Step::Bound(..) | Step::Bytes(..) | Step::CopyRest(..), None) => continue,
        };
        client.send(&bytes).map_err(told)?;
        let began = last.last().is_some_and(|frame| frame.kind == b'G');
        let ready = if matches!(step, Step::CopyRest(..)) && !began { ready.saturating_sub(1) } else { ready };
        last = match way.opening {
            Opening::Login(_) if ready == 0 => continue,
            Opening::Login(_) => client.until_ready(ready).map_err(told)?,
            Opening::Bytes(_) => vec![client.raw().map_err(told)?],
        };
    }
    let came = client.came.clone();
    let answer = match way.harm {
        Harm::Session(question, _) if !client.closed => Some(ask(&mut client, &target.fill(question))),
        Harm::Session(..) | Harm::Changes | Harm::Tells(_) | Harm::Server(_) | Harm::Runs => None,
    };
    Ok(Transcript {
        sent: client.sent.clone(),
        came,
        last,
        answer: answer.flatten(),
        refused: None,
        session: Some(client),
    })
}

/// Asks the session itself; where its transaction has failed, after that is over.
fn ask(client: &mut Client, question: &str) -> Option<String> {
    match client.sql(question) {
        Ok(answer) => Some(answer),
        Err(_) => {
            client.sql("ROLLBACK").ok()?;
            client.sql(question).ok()
        }
    }
}
