//! Hours of the week in a time zone: `Mon-Fri 08:00-20:00 Europe/Paris`.

use std::fmt;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

use crate::policy::diagnostic::{distance, one_of};

/// When in the week a rule holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hours {
    /// One bit for each weekday on which the hours begin, Monday first.
    days: u8,
    begin: Time,
    /// Not after `begin`: it ends on the next day. Equal, midnight both: the whole day.
    end: Time,
    zone: TimeZone,
}

/// Why a text is no hours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadHours {
    #[error("hours need their time zone")]
    Zoneless,
    #[error("hours are days, times and a time zone, not \"{0}\"")]
    Shapeless(String),
    #[error("\"{0}\" is no span of time")]
    Span(String),
    #[error("\"{0}\" is no time of the day")]
    Time(String),
    #[error("\"{0}\" is no weekday")]
    Day(String),
    #[error("\"{0}\" ends when it begins")]
    Whole(String),
    #[error("there is no time zone \"{0}\"")]
    UnknownZone(String),
    #[error("\"{0}\" is an abbreviation: not everybody means the same time by it, and it knows no daylight saving")]
    Abbreviation(String),
}

impl BadHours {
    /// Whether it is the time zone.
    pub fn is_zone(&self) -> bool {
        matches!(self, BadHours::UnknownZone(_) | BadHours::Abbreviation(_))
    }

    /// What to do.
    pub fn help(&self) -> String {
        match self {
            BadHours::Zoneless => {
                "add one of the IANA database: \"Mon-Fri 08:00-20:00 Europe/Paris\", or UTC".to_owned()
            }
            BadHours::Shapeless(_) => "write it like \"Mon-Fri 08:00-20:00 Europe/Paris\"".to_owned(),
            BadHours::Span(_) => "write begin and end: 08:00-20:00".to_owned(),
            BadHours::Time(_) => "write hour and minute in two digits each: 08:00 (24:00 as an end)".to_owned(),
            BadHours::Day(_) => "the days are Mon, Tue, Wed, Thu, Fri, Sat, Sun".to_owned(),
            BadHours::Whole(_) => "for whole days write 00:00-24:00".to_owned(),
            BadHours::Abbreviation(_) => PLACE.to_owned(),
            BadHours::UnknownZone(zone) => match near_zones(zone).as_slice() {
                [] => PLACE.to_owned(),
                near => {
                    let quoted: Vec<String> = near.iter().map(|zone| format!("\"{zone}\"")).collect();
                    format!("did you mean {}?", one_of(&quoted.iter().map(String::as_str).collect::<Vec<_>>()))
                }
            },
        }
    }
}

/// As it may be written: `Mon-Fri 08:00-20:00 Europe/Paris`.
impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != 0x7f {
            let on = |day: usize| self.days & (1 << day) != 0;
            let mut between = "";
            for (day, name) in NAMES.iter().enumerate() {
                let (follows, goes_on) = (day > 0 && on(day - 1), day < 6 && on(day + 1));
                match (on(day), follows, goes_on) {
                    (false, ..) | (true, true, true) => {}
                    (true, true, false) => write!(f, "-{name}")?,
                    (true, false, _) => {
                        write!(f, "{between}{name}")?;
                        between = ",";
                    }
                }
            }
            f.write_str(" ")?;
        }
        let end =
            if self.end == Time::midnight() { "24:00".to_owned() } else { self.end.strftime("%H:%M").to_string() };
        write!(f, "{}-{end} {}", self.begin.strftime("%H:%M"), self.zone.iana_name().unwrap_or("UTC"))
    }
}

const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// What to write for a zone that nothing can be guessed of.
const PLACE: &str = "write the IANA name of a place that keeps the time that is meant, such as Europe/Paris, or UTC";

/// Names of the IANA database that are abbreviations: some without daylight saving, some with another place's.
const ABBREVIATIONS: [&str; 12] =
    ["CET", "CST6CDT", "EET", "EST", "EST5EDT", "HST", "MET", "MST", "MST7MDT", "PST8PDT", "WET", "Factory"];

/// The zones that a name which is none seems to mean: of a place without its continent, and of a slip in the name of a place.
/// None for abbreviations and offsets: the nearest by spelling is hours away.
fn near_zones(zone: &str) -> Vec<String> {
    let wanted = zone.replace(' ', "_");
    let zones: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    let is_place = |last: &str| last.chars().count() > 3 && !last.contains(|c: char| c.is_ascii_digit() || c == '+');
    let last = wanted.rsplit('/').next().unwrap_or(&wanted);
    if !is_place(last) {
        return Vec::new();
    }
    let ends = |name: &&String| name.rsplit_once('/').is_some_and(|(_, place)| place.eq_ignore_ascii_case(last));
    let places: Vec<String> = zones.iter().filter(ends).cloned().collect();
    if (1..=3).contains(&places.len()) {
        return places;
    }
    // One slip, two in a long name: Asia/Dili is not Delhi.
    let most = if last.chars().count() >= 8 { 2 } else { 1 };
    let near = |name: &&String| name.contains('/') && distance(&name.to_lowercase(), &wanted.to_lowercase()) <= most;
    let nearest = zones.iter().filter(near).min_by_key(|name| distance(name, &wanted));
    nearest.filter(|_| wanted.contains('/')).cloned().into_iter().collect()
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Hours {
    /// `[days] begin-end zone`: days like `Mon-Fri` or `Sat,Sun` (every day without them), times like `08:00` (`24:00` as an
    /// end), a zone of the IANA database. What ends before it begins goes on into the next day.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Hours, BadHours> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (days, times, zone) = match words.as_slice() {
            [days, times] if times.contains(':') && days.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                return Err(BadHours::Zoneless);
            }
            // America/New York.
            [times, first, second] if times.contains(':') => {
                return Err(BadHours::UnknownZone(format!("{first} {second}")));
            }
            [_, times, first, second] if times.contains(':') => {
                return Err(BadHours::UnknownZone(format!("{first} {second}")));
            }
            [days, times, zone] => (Some(*days), *times, *zone),
            [times, zone] => (None, *times, *zone),
            _ => return Err(BadHours::Shapeless(text.to_owned())),
        };
        let days = days.map_or(Ok(0x7f), parse_days)?;
        let Some((begin, end)) = times.split_once('-') else {
            return Err(BadHours::Span(times.to_owned()));
        };
        if begin == end {
            return Err(BadHours::Whole(times.to_owned()));
        }
        let (begin, end) = (parse_time(begin)?, if end == "24:00" { Time::midnight() } else { parse_time(end)? });
        let zone = match zone {
            "UTC" | "Z" => TimeZone::UTC,
            zone if ABBREVIATIONS.iter().any(|short| short.eq_ignore_ascii_case(zone)) => {
                return Err(BadHours::Abbreviation(zone.to_owned()));
            }
            zone => TimeZone::get(zone).map_err(|_| BadHours::UnknownZone(zone.to_owned()))?,
        };
        Ok(Hours { days, begin, end, zone })
    }

    /// Whether this moment is within them.
    pub fn contain(&self, now: jiff::Timestamp) -> bool {
        let local = now.to_zoned(self.zone.clone());
        let (today, time) = (local.weekday(), local.time());
        let on = |day: Weekday| self.days & bit(day) != 0;
        if self.begin < self.end {
            return on(today) && time >= self.begin && time < self.end;
        }
        (on(today) && time >= self.begin) || (on(today.previous()) && time < self.end)
    }
}

fn bit(day: Weekday) -> u8 {
    1 << day.to_monday_zero_offset()
}

fn parse_days(text: &str) -> Result<u8, BadHours> {
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (parse_day(first)?, parse_day(last)?);
        let mut day = first;
        loop {
            days |= 1 << day;
            if day == last {
                break;
            }
            day = (day + 1) % 7;
        }
    }
    Ok(days)
}

fn parse_day(text: &str) -> Result<usize, BadHours> {
    let lower = text.to_ascii_lowercase();
    let day = DAYS.iter().position(|day| *day == lower);
    day.ok_or_else(|| BadHours::Day(text.to_owned()))
}

fn parse_time(text: &str) -> Result<Time, BadHours> {
    let no_time = || BadHours::Time(text.to_owned());
    let (hour, minute) = text.split_once(':').ok_or_else(no_time)?;
    let number = |digits: &str| match digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit()) {
        true => digits.parse::<i8>().ok(),
        false => None,
    };
    let (Some(hour), Some(minute)) = (number(hour), number(minute)) else { return Err(no_time()) };
    Time::new(hour, minute, 0, 0).map_err(|_| no_time())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(hours: &str, now: &str) -> bool {
        Hours::parse(hours).unwrap().contain(now.parse().unwrap())
    }

    #[test]
    fn hours_are_those_of_their_zone() {
        let office = "Mon-Fri 08:00-20:00 Europe/Paris";
        // Friday 20 November 2026: Paris is one hour ahead of UTC, in July two.
        assert!(holds(office, "2026-11-20T07:00:00Z"));
        assert!(!holds(office, "2026-11-20T06:59:59Z"));
        assert!(!holds(office, "2026-11-20T19:00:00Z"));
        assert!(holds(office, "2026-07-03T06:00:00Z"));
        assert!(!holds(office, "2026-11-21T12:00:00Z"), "a Saturday");
    }

    #[test]
    fn hours_may_go_on_into_the_next_day() {
        let night = "Fri 22:00-06:00 UTC";
        assert!(holds(night, "2026-11-20T22:00:00Z"));
        assert!(holds(night, "2026-11-21T05:59:59Z"), "Saturday morning belongs to Friday's night");
        assert!(!holds(night, "2026-11-20T05:00:00Z"), "Friday morning to Thursday's");
        assert!(!holds(night, "2026-11-21T22:30:00Z"));
    }

    #[test]
    fn a_whole_day_and_days_around_the_weekend() {
        assert!(holds("Sat-Mon 00:00-24:00 UTC", "2026-11-22T23:59:59Z"));
        assert!(holds("Sat-Mon 00:00-24:00 UTC", "2026-11-23T00:00:00Z"));
        assert!(!holds("Sat-Mon 00:00-24:00 UTC", "2026-11-24T00:00:00Z"));
        assert!(holds("00:00-24:00 Z", "2026-11-24T00:00:00Z"));
        assert!(holds("Mon,wed 09:00-17:30 UTC", "2026-11-25T17:29:00Z"));
    }

    #[test]
    fn a_mistyped_zone_is_guessed() {
        let error = Hours::parse("08:00-20:00 Europe/Pariss").unwrap_err();
        assert_eq!((error.is_zone(), error.help().as_str()), (true, "did you mean \"Europe/Paris\"?"));
    }

    #[test]
    fn no_abbreviation_or_offset_is_taken_for_another() {
        for zone in [
            "PST",
            "BST",
            "IST",
            "EDT",
            "GMT+1",
            "UTC+1",
            "CEST",
            "CET",
            "est",
            "EST5EDT",
            "+02:00",
            "UTC-8",
            "Etc/GMT+15",
            "JST",
            "Moon",
        ] {
            let error = Hours::parse(&format!("08:00-20:00 {zone}")).unwrap_err();
            assert!(
                error.is_zone() && error.help().starts_with("write the IANA name of a place"),
                "{zone}: {}",
                error.help()
            );
        }
        for zone in ["UTC", "utc", "Z", "Etc/UTC", "Europe/Berlin", "europe/berlin", "Japan"] {
            Hours::parse(&format!("08:00-20:00 {zone}")).unwrap();
        }
    }

    #[test]
    fn a_place_is_found_without_its_continent() {
        for (zone, near) in [
            ("Berlin", "Europe/Berlin"),
            ("new_york", "America/New_York"),
            ("New York", "America/New_York"),
            ("Germany/Berlin", "Europe/Berlin"),
            ("Europe/Pairs", "Europe/Paris"),
        ] {
            let help = Hours::parse(&format!("08:00-20:00 {zone}")).unwrap_err().help();
            assert_eq!(help, format!("did you mean \"{near}\"?"), "{zone}");
        }
        // India and East Timor.
        assert!(Hours::parse("08:00-20:00 Asia/Delhi").unwrap_err().help().starts_with("write the IANA name"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, said) in [
            ("always", "days, times and a time zone"),
            ("Mon-Fri 08:00-20:00", "need their time zone"),
            ("Mon-Fri 8-20 UTC", "\"8\" is no time"),
            ("Mon-Fri 08:00-25:00 UTC", "\"25:00\" is no time"),
            ("Mon-Fri 09:00-09:00 UTC", "\"09:00-09:00\" ends when it begins"),
            ("00:00-00:00 UTC", "ends when it begins"),
            ("Mon-Fry 08:00-20:00 UTC", "\"Fry\" is no weekday"),
            ("Mon-Fri 08:00-20:00 Europe/Pariss", "no time zone \"Europe/Pariss\""),
        ] {
            let error = Hours::parse(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn hours_are_told_as_they_may_be_written() {
        for text in [
            "Mon-Fri 08:00-20:00 Europe/Paris",
            "Mon,Wed-Thu,Sun 22:00-06:00 UTC",
            "Sat-Sun 00:00-24:00 America/New_York",
            "08:30-09:00 UTC",
        ] {
            let hours = Hours::parse(text).unwrap();
            assert_eq!(Hours::parse(&hours.to_string()).unwrap(), hours, "{hours}");
            assert_eq!(hours.to_string(), text);
        }
    }
}
