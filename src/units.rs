//! Sizes, times and networks as people write them.

mod network;

use std::time::Duration;

pub use network::Network;

/// A number of bytes with a unit: `64KiB`, `1MiB`, `32 MB`, `0`, `65536`. `None` where it is none, or too large to count.
pub fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let factor = match unit.trim() {
        "" | "B" => 1,
        // PostgreSQL's own kB and MB are powers of two as well.
        "KiB" | "kB" => 1 << 10,
        "MiB" | "MB" => 1 << 20,
        "GiB" | "GB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// A time with a unit: `500ms`, `10s`, `2m`, `2 min`, `1h`, `1d`. `None` where it is none.
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let seconds = match unit.trim() {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" | "min" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        for (text, expected) in
            [("500ms", Some(500)), ("2s", Some(2_000)), ("2 min", Some(120_000)), ("1d", Some(86_400_000))]
        {
            assert_eq!(duration(text), expected.map(Duration::from_millis), "{text}");
        }
        for text in ["", "2", "s", "-1s", "1.5h", "99999999999999999999s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_size_is_a_number_and_a_unit() {
        for (text, expected) in [
            ("64KiB", Some(65_536)),
            ("1 MiB", Some(1 << 20)),
            ("8kB", Some(8192)),
            ("0", Some(0)),
            ("1", Some(1)),
            ("", None),
            ("MiB", None),
            ("-1", None),
            ("1.5MiB", None),
            ("64kib", None),
            ("18446744073709551615KiB", None),
        ] {
            assert_eq!(bytes(text), expected, "{text:?}");
        }
    }
}
