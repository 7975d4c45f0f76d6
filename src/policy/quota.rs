//! What is counted over time or over sessions: `limits:` of a policy, for each of its users.

use std::fmt;
use std::time::Duration;

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Times, at least 1.
    pub count: u32,
    pub period: Period,
}

/// The time in which it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    Second,
    Minute,
    Hour,
    Day,
}

impl Period {
    const ALL: [Period; 4] = [Period::Second, Period::Minute, Period::Hour, Period::Day];

    fn as_str(self) -> &'static str {
        match self {
            Period::Second => "second",
            Period::Minute => "minute",
            Period::Hour => "hour",
            Period::Day => "day",
        }
    }

    /// How long it is.
    pub fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Period::Second => 1,
            Period::Minute => 60,
            Period::Hour => 60 * 60,
            Period::Day => 24 * 60 * 60,
        })
    }
}

impl Rate {
    /// `600/minute`. `None` where it is none.
    pub(crate) fn parse(text: &str) -> Option<Rate> {
        let (count, period) = text.split_once('/')?;
        let count = count.trim().parse().ok().filter(|count| *count > 0)?;
        let period = Period::ALL.into_iter().find(|known| known.as_str() == period.trim())?;
        Some(Rate { count, period })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.period.as_str())
    }
}

/// The quotas of one policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Statements that run, of each user; all must hold.
    pub statements: Vec<Rate>,
    /// Logins of each user.
    pub logins: Option<Rate>,
    /// Sessions of each user at once.
    pub sessions: Option<u32>,
}

impl Quotas {
    /// Whether nothing is counted.
    pub fn is_empty(&self) -> bool {
        *self == Quotas::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_in_a_time() {
        assert_eq!(Rate::parse("600/minute").map(|rate| rate.to_string()).as_deref(), Some("600/minute"));
        assert_eq!(Rate::parse(" 5 / day "), Some(Rate { count: 5, period: Period::Day }));
        for text in ["600", "0/minute", "-1/minute", "600/min", "/minute", "1.5/hour", "99999999999/hour"] {
            assert_eq!(Rate::parse(text), None, "{text}");
        }
    }
}
