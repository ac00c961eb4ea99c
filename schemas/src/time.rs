//! Event time and spans, in milliseconds, and their written forms.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment: milliseconds since 1970-01-01T00:00:00Z; a number in events, RFC 3339 in UTC (`1996-08-19T04:00:00Z`)
/// wherever people read or write it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub i64);

/// A length of time in milliseconds; written with a unit: `500ms`, `30s`, `30m`, `12h`, `7d`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub i64);

/// A text that is no time or no span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTime {
    /// Not a moment.
    #[error(
        "{0:?} is not a time; write it as 1996-08-19T04:00:00Z (seconds, fraction and Z may be left out)"
    )]
    Moment(String),
    /// Not a length of time.
    #[error(
        "{0:?} is not a length of time; write a whole number and a unit: 500ms, 30s, 30m, 12h or 7d"
    )]
    Span(String),
}

const DAY: i64 = 86_400_000;

impl Millis {
    /// The moment `span` later; saturates at the ends of time.
    #[must_use]
    pub fn plus(self, span: Span) -> Self {
        Millis(self.0.saturating_add(span.0))
    }

    /// The moment `span` earlier; saturates at the ends of time.
    #[must_use]
    pub fn minus(self, span: Span) -> Self {
        Millis(self.0.saturating_sub(span.0))
    }

    /// How much later this is than `earlier`.
    #[must_use]
    pub fn since(self, earlier: Millis) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// The span in milliseconds, at least one: the length of a window.
    #[must_use]
    pub fn at_least_one(self) -> i64 {
        self.0.max(1)
    }
}

// Days from civil and back: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn days_of(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (
        year + era * 400 + i64::from(month <= 2),
        month,
        of_year - (153 * shifted + 2) / 5 + 1,
    )
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(DAY));
        let of_day = self.0.rem_euclid(DAY);
        let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
        let (second, milli) = (of_day / 1000 % 60, of_day % 1000);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        if milli > 0 {
            write!(f, ".{milli:03}")?;
        }
        f.write_str("Z")
    }
}

impl fmt::Debug for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Millis {
    type Err = NotTime;
    fn from_str(text: &str) -> Result<Self, NotTime> {
        parse_moment(text).ok_or_else(|| NotTime::Moment(text.chars().take(80).collect()))
    }
}

fn parse_moment(text: &str) -> Option<Millis> {
    let bytes = text.as_bytes();
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = bytes.get(range)?;
        digits.iter().try_fold(0i64, |sum, b| {
            b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0'))
        })
    };
    let is = |at: usize, want: &[u8]| bytes.get(at).is_some_and(|b| want.contains(b));
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    if !is(4, b"-") || !is(7, b"-") || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if day > days_of(year, month) {
        return None;
    }
    let days = days_from_civil(year, month, day);
    if bytes.len() == 10 {
        return Some(Millis(days * DAY));
    }
    let (hour, minute) = (number(11..13)?, number(14..16)?);
    if !is(10, b"T ") || !is(13, b":") || hour > 23 || minute > 59 {
        return None;
    }
    let mut at = 16;
    let mut of_day = hour * 3_600_000 + minute * 60_000;
    if is(at, b":") {
        let second = number(17..19)?;
        (second <= 59).then_some(())?;
        of_day += second * 1000;
        at = 19;
        if is(at, b".") {
            let digits = bytes[20..]
                .iter()
                .take_while(|b| b.is_ascii_digit())
                .count();
            (1..=9).contains(&digits).then_some(())?;
            let value = number(20..20 + digits)?;
            of_day += value * 1000 / 10i64.pow(digits as u32);
            at = 20 + digits;
        }
    }
    let zone = parse_zone(text.get(at..)?)?;
    Some(Millis(days * DAY + of_day - zone * 60_000))
}

/// Minutes east of UTC.
fn parse_zone(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    match bytes {
        [] | [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2]
            if [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()) =>
        {
            let digit = |b: &u8| i64::from(b - b'0');
            let (hours, minutes) = (digit(h1) * 10 + digit(h2), digit(m1) * 10 + digit(m2));
            (hours <= 18 && minutes <= 59).then_some(())?;
            Some((hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 })
        }
        _ => None,
    }
}

const UNITS: [(&str, i64); 5] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", DAY),
];

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, size): &&(&str, i64)| self.0 % size == 0;
        let (unit, size) = UNITS.iter().rev().find(fits).copied().unwrap_or(("ms", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Span {
    type Err = NotTime;
    fn from_str(text: &str) -> Result<Self, NotTime> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let size = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, size)| *size);
        let span = number
            .parse::<i64>()
            .ok()
            .zip(size)
            .and_then(|(n, size)| n.checked_mul(size));
        span.map(Span)
            .ok_or_else(|| NotTime::Span(text.chars().take(80).collect()))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Serde form of a moment that people read and write: text, where events carry milliseconds.
pub mod text {
    use super::{Deserialize, Deserializer, Millis, Serializer};

    /// Writes RFC 3339.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(time: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(time)
    }

    /// Reads RFC 3339.
    ///
    /// # Errors
    /// Text that is not a time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Millis, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_of_the_market_read_as_written() {
        let start: Millis = "1996-05-07T00:00".parse().unwrap();
        assert_eq!(
            start.plus(Span(5_000 * 1_800_000)).to_string(),
            "1996-08-19T04:00:00Z"
        );
        assert_eq!(
            "1996-08-19T06:00:00.250+02:00".parse(),
            Ok(Millis(840_427_200_250))
        );
        for bad in [
            "",
            "yesterday",
            "1996-02-30",
            "1900-02-29",
            "1996-04-31",
            "1996-05-07T24:00",
            "1996-05-07T00:00:00+9",
            "1996-05-07x00:00",
        ] {
            assert!(bad.parse::<Millis>().is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_read_as_written() {
        assert_eq!("7d".parse(), Ok(Span(7 * DAY)));
        assert_eq!(Span(1_800_000).to_string(), "30m");
        for bad in ["", "7", "d", "-1d", "7 d", "99999999999999999d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_moment_of_four_digit_years_round_trips(ms in -62_135_596_800_000i64..253_402_300_800_000) {
            prop_assert_eq!(Millis(ms).to_string().parse(), Ok(Millis(ms)));
        }
    }
}
