//! Instants and periods of business time.

use std::fmt;

use jiff::{ToSpan, civil, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Microseconds in a day.
pub const DAY_US: i64 = 86_400_000_000;

/// An instant in UTC, to the microsecond. Written in RFC 3339; a bare date is its midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// A text that is no instant between the years 1900 and 9000.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an RFC 3339 time like \"2026-11-05T14:30:00Z\" (or a date) between 1900 and 9000")]
pub struct InvalidTime(pub String);

/// A calendar month in UTC, with the quarter and year it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Month(i32);

impl Timestamp {
    const MIN: i64 = -2_208_988_800_000_000;
    const MAX: i64 = 221_845_392_000_000_000;

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339, or a date as its midnight in UTC.
    ///
    /// # Errors
    /// `InvalidTime`.
    pub fn parse(text: &str) -> Result<Self, InvalidTime> {
        let invalid = || InvalidTime(text.chars().take(64).collect());
        let instant = if text.len() == 10 {
            let date: civil::Date = text.parse().map_err(|_| invalid())?;
            date.to_zoned(TimeZone::UTC).map_err(|_| invalid())?.timestamp()
        } else {
            text.parse::<jiff::Timestamp>().map_err(|_| invalid())?
        };
        let micros = instant.as_microsecond();
        if !(Self::MIN..Self::MAX).contains(&micros) {
            return Err(invalid());
        }
        Ok(Self(micros))
    }

    /// The instant `days` later (earlier where negative), within what can be written.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        self.plus_micros(days.saturating_mul(DAY_US))
    }

    /// The instant `hours` later, within what can be written.
    #[must_use]
    pub fn plus_hours(self, hours: i64) -> Self {
        self.plus_micros(hours.saturating_mul(3_600_000_000))
    }

    /// The instant `micros` later, within what can be written.
    #[must_use]
    pub fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros).clamp(Self::MIN, Self::MAX))
    }

    /// Days since 1970-01-01, rounded down.
    #[must_use]
    pub const fn day(self) -> i32 {
        #[expect(clippy::cast_possible_truncation, reason = "the years 1900 to 9000 fit")]
        {
            self.0.div_euclid(DAY_US) as i32
        }
    }

    /// The calendar month, in UTC.
    #[must_use]
    pub fn month(self) -> Month {
        Month(months_before(self.day()))
    }

    /// The date in UTC, such as `2026-11-05`.
    #[must_use]
    pub fn date(self) -> String {
        self.civil_date().to_string()
    }

    fn civil_date(self) -> civil::Date {
        civil::date(1970, 1, 1).saturating_add(self.day().days())
    }
}

/// Months since the year 0 up to that of a day since 1970-01-01.
///
/// Figures by month ask for this a million times: it takes a few nanoseconds. The calendar repeats every 400 years of
/// 146,097 days; counted from March on, a leap day ends a year (H. Hinnant, "chrono-compatible low-level date algorithms").
const fn months_before(day: i32) -> i32 {
    const DAYS_TO_1970: i32 = 719_468;
    const ERA_DAYS: i32 = 146_097;
    let day = day + DAYS_TO_1970;
    let (era, of_era) = (day.div_euclid(ERA_DAYS), day.rem_euclid(ERA_DAYS));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    (era * 400 + year) * 12 + from_march + 2
}

/// The longest written instant, `2026-11-05T14:30:00.250000Z`.
const WRITTEN_LEN: usize = 27;

impl Timestamp {
    /// The instant in RFC 3339, in place: every record holds several, and `format!` took an eighth of a decision's time.
    fn write(self, into: &mut [u8; WRITTEN_LEN]) -> &str {
        let date = self.civil_date();
        let in_day = self.0.rem_euclid(DAY_US);
        let (seconds, micros) = (in_day / 1_000_000, in_day % 1_000_000);
        *into = *b"0000-00-00T00:00:00.000000Z";
        let mut put = |at: usize, digits: usize, number: i64| {
            let mut rest = number.max(0);
            for byte in into[at..at + digits].iter_mut().rev() {
                *byte += u8::try_from(rest % 10).expect("a digit");
                rest /= 10;
            }
        };
        put(0, 4, date.year().into());
        put(5, 2, date.month().into());
        put(8, 2, date.day().into());
        put(11, 2, seconds / 3600);
        put(14, 2, seconds / 60 % 60);
        put(17, 2, seconds % 60);
        put(20, 6, micros);
        let len = if micros == 0 { 20 } else { WRITTEN_LEN };
        into[len - 1] = b'Z';
        std::str::from_utf8(&into[..len]).expect("digits and letters")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.write(&mut [0; WRITTEN_LEN]))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.serialize_str(self.write(&mut [0; WRITTEN_LEN])) } else { s.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                Timestamp::parse(text).map_err(E::custom)
            }
        }
        if d.is_human_readable() { d.deserialize_str(Visitor) } else { i64::deserialize(d).map(Self) }
    }
}

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).into()
    }
}
impl utoipa::ToSchema for Timestamp {}

impl Month {
    /// The month `month` (1-12) of `year`.
    #[must_use]
    pub fn new(year: i16, month: i8) -> Self {
        Self(i32::from(year) * 12 + i32::from(month) - 1)
    }

    /// Months since the year 0; consecutive months are consecutive numbers.
    #[must_use]
    pub const fn index(self) -> i32 {
        self.0
    }

    /// The month with that index.
    #[must_use]
    pub const fn from_index(index: i32) -> Self {
        Self(index)
    }

    /// Such as `2026-Q3`.
    #[must_use]
    pub fn quarter(self) -> String {
        format!("{:04}-Q{}", self.0.div_euclid(12), self.0.rem_euclid(12) / 3 + 1)
    }

    /// Such as `2026`.
    #[must_use]
    pub fn year(self) -> String {
        format!("{:04}", self.0.div_euclid(12))
    }

    /// The first instant of the month.
    #[must_use]
    pub fn start(self) -> Timestamp {
        let text = format!("{self}-01");
        Timestamp::parse(&text).unwrap_or(Timestamp(0))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }
}

/// A month, a quarter or a year: what a program cost is booked on. Written `2026-09`, `2026-Q3` or `2026`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Period {
    first: Month,
    months: u8,
}

/// A text that is no period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a period like \"2026-09\", \"2026-Q3\" or \"2026\"")]
pub struct InvalidPeriod(pub String);

impl Period {
    /// Reads `YYYY-MM`, `YYYY-Qn` or `YYYY`.
    ///
    /// # Errors
    /// `InvalidPeriod`.
    pub fn parse(text: &str) -> Result<Self, InvalidPeriod> {
        let invalid = || InvalidPeriod(text.chars().take(64).collect());
        let (year, rest) = text.split_at_checked(4).ok_or_else(invalid)?;
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit()).then(|| t.parse::<i16>().ok()).flatten();
        let year = digits(year).filter(|y| (1900..9000).contains(y)).ok_or_else(invalid)?;
        let part = |t: &str, max: i16| digits(t).filter(|n| (1..=max).contains(n));
        let (first, months) = match rest.as_bytes() {
            [] => (1, 12),
            [b'-', b'Q', _] => (part(&rest[2..], 4).ok_or_else(invalid)? * 3 - 2, 3),
            [b'-', _, _] => (part(&rest[1..], 12).ok_or_else(invalid)?, 1),
            _ => return Err(invalid()),
        };
        #[expect(clippy::cast_possible_truncation, reason = "1 to 12")]
        Ok(Self { first: Month::new(year, first as i8), months })
    }

    /// The calendar quarter, in UTC, that is the last to have ended at `at`.
    #[must_use]
    pub fn last_quarter(at: Timestamp) -> Self {
        Self { first: Month((at.month().0.div_euclid(3) - 1) * 3), months: 3 }
    }

    /// The first month, and how many there are (1, 3 or 12).
    #[must_use]
    pub const fn months(self) -> (Month, u8) {
        (self.first, self.months)
    }

    /// The first instant after it.
    #[must_use]
    pub fn end(self) -> Timestamp {
        Month(self.first.0 + i32::from(self.months)).start()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.months {
            12 => f.write_str(&self.first.year()),
            3 => f.write_str(&self.first.quarter()),
            _ => self.first.fmt(f),
        }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(de::Error::custom)
    }
}

impl utoipa::PartialSchema for Period {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}
impl utoipa::ToSchema for Period {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_in_utc() {
        for (text, written) in [
            ("2026-11-05T14:30:00Z", "2026-11-05T14:30:00Z"),
            ("2026-11-05T14:30:00+02:00", "2026-11-05T12:30:00Z"),
            ("2026-11-05T14:30:00.25Z", "2026-11-05T14:30:00.250000Z"),
            ("2016-10-20", "2016-10-20T00:00:00Z"),
            ("1955-01-01", "1955-01-01T00:00:00Z"),
            ("1955-12-31T23:59:59.999999Z", "1955-12-31T23:59:59.999999Z"),
            ("2000-02-29T09:08:07.000050Z", "2000-02-29T09:08:07.000050Z"),
        ] {
            assert_eq!(Timestamp::parse(text).expect(text).to_string(), written);
        }
        for text in ["", "yesterday", "2026-13-01", "2026-11-05 14:30", "9999-01-01", "0001-01-01T00:00:00Z"] {
            assert_eq!(Timestamp::parse(text), Err(InvalidTime(text.to_owned())));
        }
    }

    #[test]
    fn a_days_month_is_that_of_its_date() {
        for year in ["1900", "1999", "2000", "2023", "2024", "2100", "2400"] {
            let start = Timestamp::parse(&format!("{year}-01-01")).expect("a date");
            for day in 0..800 {
                let at = start.plus_days(day);
                assert_eq!(at.month().to_string(), at.date()[..7], "{at}");
            }
        }
    }

    #[test]
    fn months_know_their_quarter_and_year() {
        let month = Timestamp::parse("2026-09-30T23:59:59Z").expect("a time").month();
        assert_eq!((month.to_string(), month.quarter(), month.year()), ("2026-09".into(), "2026-Q3".into(), "2026".into()));
        assert_eq!(month.start().to_string(), "2026-09-01T00:00:00Z");
    }

    #[test]
    fn a_quarter_has_ended_from_its_very_end_on() {
        for (at, quarter, end) in [
            ("2026-09-30T23:59:59.999999Z", "2026-Q2", "2026-07-01"),
            ("2026-10-01", "2026-Q3", "2026-10-01"),
            ("2027-03-31", "2026-Q4", "2027-01-01"),
            ("1970-01-01", "1969-Q4", "1970-01-01"),
        ] {
            let time = |text| Timestamp::parse(text).expect(text);
            let last = Period::last_quarter(time(at));
            assert_eq!((last.to_string().as_str(), last.end()), (quarter, time(end)), "{at}");
        }
    }

    #[test]
    fn periods_are_months_quarters_or_years() {
        for (text, first, months, end) in
            [("2026-09", "2026-09", 1, "2026-10-01"), ("2026-Q3", "2026-07", 3, "2026-10-01"), ("2026", "2026-01", 12, "2027-01-01")]
        {
            let period = Period::parse(text).expect(text);
            assert_eq!(period.end().date(), end);
            assert_eq!((period.months().0.to_string().as_str(), period.months().1), (first, months));
            assert_eq!(period.to_string(), text);
        }
        for text in ["", "26", "2026-Q5", "2026-13", "2026-1", "2026-Q", "２０２６"] {
            assert!(Period::parse(text).is_err(), "{text}");
        }
    }
}
