//! Probing: bursts of errors such as trying out an injection causes, per user and address, in a window that slides. No IO, and
//! no clock: whoever asks says what time it is.
//!
//! An injection is seldom right at once. Quotes and parentheses are tried until the syntax fits, columns are counted by ORDER BY
//! and UNION, names of tables and columns guessed, and where errors are shown, values are read out of failed casts. An
//! application makes such errors, too, but the same one over and over: so it is different statements that count.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use crate::detect::{Signals, Technique};
use crate::sql::StatementHash;

/// Errors count for so long. A tool sends ten in a second, somebody who tries by hand some in a minute.
pub const WINDOW: Duration = Duration::from_secs(60);

/// So many are a burst. Nobody who mistypes makes ten different mistakes in a minute.
const BURST: usize = 10;

/// One statement counts at most so often, whatever its values: sent a thousand times a minute it is an application's bug. With
/// [`BURST`], five different statements are the fewest.
const EACH: usize = 2;

/// Statements of one pair that are told apart at once; another takes the place of the one that failed longest ago. More than a
/// burst needs, so that none is overlooked.
const STATEMENTS: usize = 16;

/// Pairs of user and address that are watched at once, of some hundred bytes to 1.5 kB each; another takes the place of the one
/// that failed longest ago. To push out a pair of their own, somebody needs as many logins from other addresses within the
/// window, each with an error.
const PAIRS: usize = 4096;

/// What is added to the score of a statement that shows another sign while its user probes: enough to make an attempt of a weak
/// one, and too little to make one by itself.
const WEIGHT: u8 = 2;

/// What an error says that trying out an injection causes and an application in order hardly ever does.
///
/// By one of two reasons: it is what a text says that was put together wrongly (syntax, names, types, numbers of columns), or its
/// message quotes a value that the statement computed, so that data can be read out of it (casts). Errors that depend on the data or
/// on others' work never count: constraints (class 23), deadlocks and serialization (40), cancelled statements and lost
/// sessions (57), plans that grew old (0A000), transactions that failed before (25).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sign {
    /// Also a UNION whose sides have other numbers of columns.
    SyntaxError,
    UndefinedColumn,
    UndefinedTable,
    UndefinedFunction,
    /// A type, role or setting.
    UndefinedObject,
    UndefinedParameter,
    InvalidSchemaName,
    AmbiguousColumn,
    AmbiguousFunction,
    /// GROUP BY and HAVING, by which columns are named one after another.
    GroupingError,
    /// UNION of a text and a number.
    DatatypeMismatch,
    CannotCoerce,
    IndeterminateDatatype,
    /// ORDER BY a number that no column has.
    InvalidColumnReference,
    /// A table that its rights keep from the user, as whoever looks around finds out.
    InsufficientPrivilege,
    /// A sub-query in the place of a value gave several rows.
    CardinalityViolation,
    /// By which a condition is made to fail on purpose.
    DivisionByZero,
    /// The cast that tells what it could not cast.
    InvalidTextRepresentation,
    InvalidDatetimeFormat,
    DatetimeFieldOverflow,
    NumericValueOutOfRange,
    /// `AT TIME ZONE` and others that quote what they don't know.
    InvalidParameterValue,
    InvalidXmlDocument,
    InvalidXmlContent,
    /// No error: a statement like one before, with something inserted ([`Signals::inserted`]), as where a condition is varied.
    Inserted,
}

impl Sign {
    /// Every sign.
    pub const ALL: [Sign; 25] = [
        Sign::SyntaxError,
        Sign::UndefinedColumn,
        Sign::UndefinedTable,
        Sign::UndefinedFunction,
        Sign::UndefinedObject,
        Sign::UndefinedParameter,
        Sign::InvalidSchemaName,
        Sign::AmbiguousColumn,
        Sign::AmbiguousFunction,
        Sign::GroupingError,
        Sign::DatatypeMismatch,
        Sign::CannotCoerce,
        Sign::IndeterminateDatatype,
        Sign::InvalidColumnReference,
        Sign::InsufficientPrivilege,
        Sign::CardinalityViolation,
        Sign::DivisionByZero,
        Sign::InvalidTextRepresentation,
        Sign::InvalidDatetimeFormat,
        Sign::DatetimeFieldOverflow,
        Sign::NumericValueOutOfRange,
        Sign::InvalidParameterValue,
        Sign::InvalidXmlDocument,
        Sign::InvalidXmlContent,
        Sign::Inserted,
    ];

    /// The error's code (PostgreSQL manual, appendix A); what is none, in a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Sign::SyntaxError => "42601",
            Sign::UndefinedColumn => "42703",
            Sign::UndefinedTable => "42P01",
            Sign::UndefinedFunction => "42883",
            Sign::UndefinedObject => "42704",
            Sign::UndefinedParameter => "42P02",
            Sign::InvalidSchemaName => "3F000",
            Sign::AmbiguousColumn => "42702",
            Sign::AmbiguousFunction => "42725",
            Sign::GroupingError => "42803",
            Sign::DatatypeMismatch => "42804",
            Sign::CannotCoerce => "42846",
            Sign::IndeterminateDatatype => "42P18",
            Sign::InvalidColumnReference => "42P10",
            Sign::InsufficientPrivilege => "42501",
            Sign::CardinalityViolation => "21000",
            Sign::DivisionByZero => "22012",
            Sign::InvalidTextRepresentation => "22P02",
            Sign::InvalidDatetimeFormat => "22007",
            Sign::DatetimeFieldOverflow => "22008",
            Sign::NumericValueOutOfRange => "22003",
            Sign::InvalidParameterValue => "22023",
            Sign::InvalidXmlDocument => "2200M",
            Sign::InvalidXmlContent => "2200N",
            Sign::Inserted => "inserted",
        }
    }

    /// The sign that an error of this code is, if it is one.
    pub fn of(sqlstate: &[u8]) -> Option<Sign> {
        Sign::ALL.into_iter().find(|sign| sign.as_str().as_bytes() == sqlstate)
    }
}

/// The statement that failed, whatever its values: half of its hash, for it is noted of every message. Where nobody knows which one
/// it was, they are all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shape(Option<NonZeroU64>);

impl Shape {
    /// Nobody knows which.
    pub const UNKNOWN: Shape = Shape(None);

    /// The statement of a hash.
    #[inline]
    pub fn of(hash: &StatementHash) -> Shape {
        Shape(NonZeroU64::new(hash.half()))
    }

    /// Whether it is known.
    pub fn is_known(self) -> bool {
        self.0.is_some()
    }
}

/// A burst, when it is to be told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Burst {
    /// The errors since the burst began or was last told of, in the order of [`Sign::ALL`], each at least once.
    pub errors: Vec<(Sign, u32)>,
    /// Different statements that failed within the window, as far as they are told apart.
    pub statements: usize,
}

/// A statement that failed.
#[derive(Debug, Clone, Copy)]
struct Failure {
    shape: Shape,
    /// The last two times.
    last: Instant,
    before: Option<Instant>,
}

impl Failure {
    /// How often it counts.
    fn counts(&self, now: Instant) -> usize {
        let times = [Some(self.last), self.before].into_iter().flatten();
        times.filter(|time| is_recent(*time, now)).count().min(EACH)
    }
}

/// What one user at one address has done wrong lately.
#[derive(Debug, Default)]
struct Window {
    failures: Vec<Failure>,
    /// Errors of each kind, by their places in [`Sign::ALL`].
    errors: [u32; Sign::ALL.len()],
    /// When a burst was last told of.
    told: Option<Instant>,
}

fn is_recent(then: Instant, now: Instant) -> bool {
    now.saturating_duration_since(then) < WINDOW
}

impl Window {
    /// Adds an error. The burst, where it is one that was not told of within the window.
    fn add(&mut self, sign: Sign, shape: Shape, now: Instant) -> Option<Burst> {
        self.failures.retain(|failure| is_recent(failure.last, now));
        if self.failures.is_empty() {
            self.errors.fill(0);
        }
        if let Some(times) = self.errors.get_mut(sign as usize) {
            *times = times.saturating_add(1);
        }
        match self.failures.iter_mut().find(|failure| failure.shape == shape) {
            Some(failure) => {
                // What is no error counts once: applications vary their conditions, too.
                if sign != Sign::Inserted {
                    failure.before = Some(failure.last);
                }
                failure.last = failure.last.max(now);
            }
            None => {
                if self.failures.len() >= STATEMENTS {
                    let oldest = self.failures.iter().enumerate().min_by_key(|(_, failure)| failure.last);
                    if let Some(place) = oldest.map(|(place, _)| place) {
                        self.failures.swap_remove(place);
                    }
                }
                self.failures.push(Failure { shape, last: now, before: None });
            }
        }
        if !self.is_burst(now) || self.told.is_some_and(|told| is_recent(told, now)) {
            return None;
        }
        self.told = Some(now);
        let errors = Sign::ALL.into_iter().zip(self.errors).filter(|(_, times)| *times > 0).collect();
        self.errors.fill(0);
        Some(Burst { errors, statements: self.failures.len() })
    }

    fn is_burst(&self, now: Instant) -> bool {
        self.failures.iter().map(|failure| failure.counts(now)).sum::<usize>() >= BURST
    }

    /// When a statement last failed.
    fn seen(&self) -> Option<Instant> {
        self.failures.iter().map(|failure| failure.last).max()
    }
}

/// A user as the server knows it, at the address that the client came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pair {
    pub user: Box<str>,
    pub address: IpAddr,
}

/// Everybody whose statements failed lately.
#[derive(Debug, Default)]
pub struct Pairs {
    windows: HashMap<Pair, Window>,
}

impl Pairs {
    /// Adds an error. The burst, where it is one that was not told of within the window.
    pub fn add(&mut self, pair: &Pair, sign: Sign, shape: Shape, now: Instant) -> Option<Burst> {
        if let Some(window) = self.windows.get_mut(pair) {
            return window.add(sign, shape, now);
        }
        self.make_room(now);
        self.windows.entry(pair.clone()).or_default().add(sign, shape, now)
    }

    fn make_room(&mut self, now: Instant) {
        if self.windows.len() < PAIRS {
            return;
        }
        self.windows.retain(|_, window| window.seen().is_some_and(|seen| is_recent(seen, now)));
        if self.windows.len() < PAIRS {
            return;
        }
        let oldest = self.windows.iter().min_by_key(|(_, window)| window.seen()).map(|(pair, _)| pair.clone());
        if let Some(pair) = oldest {
            self.windows.remove(&pair);
        }
    }

    /// Whether a burst of this pair's is in the window.
    pub fn is_probing(&self, pair: &Pair, now: Instant) -> bool {
        self.windows.get(pair).is_some_and(|window| window.is_burst(now))
    }
}

impl Signals {
    /// The same of a user who probes at the moment. Without a sign of its own a statement stays without.
    pub fn while_probing(&self) -> Signals {
        let mut signals = self.clone();
        // A condition more is what an application writes, too, whoever probes through it.
        if signals.signals.iter().any(|signal| signal.technique != Technique::Inserted) {
            signals.add(Technique::Probing, WEIGHT);
        }
        signals
    }
}

#[cfg(test)]
mod tests;
