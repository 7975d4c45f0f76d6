//! A line of the audit log as a reader of many lines sees it: borrowed from the text, the Facts unread until they are new.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::audit::Certificate;
use crate::detect::{Signal, Signals, Technique};
use crate::policy::{Arrival, ClientCertificate};
use crate::sql::settings::holds_secrets;
use crate::sql::{Facts, Object, Operand, SettingValue, StatementHash};

/// The fields of a line (`audit::Line`) that learning and replaying ask for; empty where the line has none.
#[derive(Debug, Clone, Deserialize)]
pub struct Record<'a> {
    pub time: jiff::Timestamp,
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    #[serde(default)]
    pub session: u64,
    #[serde(borrow, default)]
    pub user: Cow<'a, str>,
    #[serde(borrow, default)]
    pub database: Cow<'a, str>,
    #[serde(borrow, default)]
    pub address: Cow<'a, str>,
    #[serde(borrow, default)]
    pub application_name: Cow<'a, str>,
    #[serde(borrow, default)]
    pub message: Cow<'a, str>,
    #[serde(borrow, default)]
    pub verdict: Cow<'a, str>,
    #[serde(borrow, default)]
    pub policy: Cow<'a, str>,
    #[serde(borrow, default)]
    pub rule: Cow<'a, str>,
    #[serde(borrow, default)]
    pub reason: Cow<'a, str>,
    #[serde(borrow, default)]
    pub id: Cow<'a, str>,
    #[serde(borrow, default)]
    pub sqlstate: Cow<'a, str>,
    #[serde(default)]
    pub skipped: bool,
    #[serde(borrow, default)]
    pub hash: Cow<'a, str>,
    #[serde(borrow, default)]
    pub statement: Cow<'a, str>,
    #[serde(default)]
    pub signals: Vec<(String, u8)>,
    #[serde(borrow, default)]
    pub facts: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub client_tls: Cow<'a, str>,
    #[serde(default)]
    pub replication: bool,
    #[serde(borrow, default)]
    pub listener: Cow<'a, str>,
    #[serde(default)]
    pub client_cert: Option<Certificate>,
    #[serde(borrow, default)]
    pub os_user: Option<Cow<'a, str>>,
}

impl<'a> Record<'a> {
    /// Reads a line.
    ///
    /// # Errors
    /// It is no JSON object of the audit log's, or is cut.
    pub fn parse(line: &'a [u8]) -> Result<Record<'a>, serde_json::Error> {
        serde_json::from_slice(line)
    }

    /// Whether it tells of a statement.
    pub fn is_statement(&self) -> bool {
        self.event == "statement"
    }

    /// Whether its message came by the extended protocol.
    pub fn is_extended(&self) -> bool {
        !matches!(&*self.message, "Query" | "FunctionCall")
    }

    /// Whether it ran, or was sent to run: a Parse is only read.
    pub fn is_run(&self) -> bool {
        self.verdict != "refuse" && self.message != "Parse" && !self.skipped
    }

    /// Where the session came from. Without its port; the loopback address where it came by no network.
    pub fn ip(&self) -> IpAddr {
        let text = self.address.trim_start_matches('[');
        let host = text.split(']').next().unwrap_or(text);
        let parsed = self.address.parse().or_else(|_| host.parse()).or_else(|_| {
            let before_port = text.rsplit_once(':').map_or(text, |(host, _)| host);
            before_port.trim_end_matches(']').parse()
        });
        parsed.unwrap_or(IpAddr::from([127, 0, 0, 1]))
    }

    /// Its signs of an injection, those that this version knows.
    pub fn signs(&self) -> Signals {
        let known = |name: &str| Technique::ALL.iter().find(|technique| technique.as_str() == name).copied();
        let signs = self.signals.iter();
        let signals = signs.filter_map(|(name, weight)| Some(Signal { technique: known(name)?, weight: *weight }));
        Signals { signals: signals.collect(), inserted: None }
    }

    /// The sum of the weights of its signs.
    pub fn score(&self) -> u32 {
        self.signals.iter().map(|(_, weight)| u32::from(*weight)).sum()
    }
}

/// A text that was recorded, as far as it is known.
#[derive(Debug)]
pub struct Known {
    /// With the hash in its place, and with what wasn't recorded standing as a value that is still to come: what depends on
    /// it can't be told.
    pub facts: Facts,
    /// Redacted, on one line.
    pub text: Box<str>,
}

/// The texts of a log, each read once. Numbered from 0.
#[derive(Debug, Default)]
pub struct Texts {
    known: Vec<Arc<Known>>,
    /// By their Facts as they are written; of those, by their hash.
    places: HashMap<Box<str>, Vec<(Option<StatementHash>, usize)>>,
}

impl Texts {
    /// The number of a line's text; `None` where it wasn't read.
    ///
    /// # Errors
    /// The Facts are none that this version writes.
    pub fn number(&mut self, record: &Record<'_>) -> Result<Option<usize>, serde_json::Error> {
        let Some(facts) = record.facts else { return Ok(None) };
        let hash: Option<StatementHash> = record.hash.parse().ok();
        let of_facts = self.places.get(facts.get());
        if let Some((_, number)) = of_facts.and_then(|places| places.iter().find(|(other, _)| *other == hash)) {
            return Ok(Some(*number));
        }
        let number = self.known.len();
        let known = Known { facts: read(facts, hash)?, text: one_line(&record.statement).into() };
        self.known.push(Arc::new(known));
        self.places.entry(facts.get().into()).or_default().push((hash, number));
        Ok(Some(number))
    }

    /// A text by its number.
    pub fn get(&self, number: usize) -> Option<&Arc<Known>> {
        self.known.get(number)
    }
}

/// Facts as they are judged again.
fn read(facts: &RawValue, hash: Option<StatementHash>) -> Result<Facts, serde_json::Error> {
    let mut facts = Facts { hash, ..serde_json::from_str(facts.get())? };
    for access in facts.statements.iter_mut().flat_map(|statement| &mut statement.accesses) {
        if let Object::Setting { name: Operand::Constant(name), value } = &mut access.object
            && *value == SettingValue::Unknown
            && holds_secrets(name)
        {
            *value = SettingValue::List(vec![Operand::Parameter(u32::MAX)]);
        }
    }
    Ok(facts)
}

/// A text without line breaks and other control characters.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The sessions of a log. A number may come again after a restart of the process, and in another process's log.
#[derive(Debug, Default)]
pub struct Sessions {
    known: HashMap<(usize, u64), usize>,
    opened: Vec<Opened>,
}

/// What the log told when a session began.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opened {
    /// `None`: it didn't.
    pub tls: Option<bool>,
    pub replication: bool,
    pub arrival: Arrival,
}

impl Sessions {
    /// A session began in a log (of this number, from 0).
    pub fn open(&mut self, log: usize, record: &Record<'_>) -> usize {
        let tls = Some(!matches!(&*record.client_tls, "none" | ""));
        let shown = record.client_cert.as_ref();
        let arrival = Arrival {
            listener: (*record.listener).into(),
            certificate: shown
                .map(|names| Arc::new(ClientCertificate { cn: names.cn.clone(), san: names.san.clone() })),
            os_user: record.os_user.as_deref().map(Into::into),
        };
        self.opened.push(Opened { tls, replication: record.replication, arrival });
        let number = self.opened.len() - 1;
        self.known.insert((log, record.session), number);
        number
    }

    /// The session of a line: the last one of its number.
    pub fn of(&mut self, log: usize, record: &Record<'_>) -> usize {
        let opened = &mut self.opened;
        *self.known.entry((log, record.session)).or_insert_with(|| {
            opened.push(Opened::default());
            opened.len() - 1
        })
    }

    /// What is known of a session.
    pub fn get(&self, number: usize) -> Opened {
        self.opened.get(number).cloned().unwrap_or_default()
    }
}
