//! Instants of business time.

use std::fmt;

use jiff::{civil, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::period::Month;

/// Microseconds in a day.
pub const DAY_US: i64 = 86_400_000_000;

/// An instant in UTC, to the microsecond. Written in RFC 3339; a bare date is its midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// A text that is no instant between the years 1900 and 9000.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InvalidTime(pub String);

/// A day that is not in the calendar is told as one: its form is right.
impl fmt::Display for InvalidTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        if text.as_bytes().first_chunk().and_then(day_named).is_some_and(|(year, month, day)| !is_day(year, month, day)) {
            return write!(f, "{text:?} names a day that the calendar does not have");
        }
        write!(f, "{text:?} is not an RFC 3339 time like \"2026-11-05T14:30:00Z\" (or a date) between 1900 and 9000")
    }
}

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
        if let Some(written) = Self::read_written(text) {
            return Ok(written);
        }
        let invalid = || InvalidTime(text.chars().take(64).collect());
        let instant = if text.len() == 10 {
            let date: civil::Date = text.parse().map_err(|_| invalid())?;
            date.to_zoned(TimeZone::UTC).map_err(|_| invalid())?.timestamp()
        } else {
            text.parse::<jiff::Timestamp>().map_err(|_| invalid())?
        };
        let micros = instant.as_microsecond();
        if !(Self::MIN..=Self::MAX).contains(&micros) {
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

    /// The last instant that it may mean: a bare date is its midnight, and means the whole day.
    #[must_use]
    pub const fn last_instant(self) -> Self {
        if self.0.rem_euclid(DAY_US) == 0 { Self(self.0 + DAY_US - 1) } else { self }
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
        let (year, month, _) = date_of(self.day());
        Month::from_index(year * 12 + month - 1)
    }

    /// The date in UTC, such as `2026-11-05`.
    #[must_use]
    pub fn date(self) -> String {
        self.write(&mut [0; WRITTEN_LEN])[..10].to_owned()
    }
}

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i32 = 719_468;
/// Days in 400 years, after which the calendar repeats.
const ERA_DAYS: i32 = 146_097;

/// Year, month and day of a day since 1970-01-01.
///
/// Every record has several times, and figures by month ask for theirs a million times: it takes a few nanoseconds. Counted
/// from March on, a leap day ends a year (H. Hinnant, "chrono-compatible low-level date algorithms").
const fn date_of(day: i32) -> (i32, i32, i32) {
    let day = day + DAYS_TO_1970;
    let (era, of_era) = (day.div_euclid(ERA_DAYS), day.rem_euclid(ERA_DAYS));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * from_march + 2) / 5;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + (month <= 2) as i32, month, of_month + 1)
}

/// The day since 1970-01-01 of a date, by the same source.
const fn day_of(year: i32, month: i32, day: i32) -> i32 {
    let from_march = (month + 9) % 12;
    let year = year - (month <= 2) as i32;
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_TO_1970
}

/// The longest written instant, `2026-11-05T14:30:00.250000Z`.
const WRITTEN_LEN: usize = 27;

/// The numbers from 0 to 99 in two digits.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0_u8;
    while number < 100 {
        pairs[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    pairs
};

impl Timestamp {
    /// The instant in RFC 3339, in place: every record holds several, and `format!` took an eighth of a decision's time.
    fn write(self, into: &mut [u8; WRITTEN_LEN]) -> &str {
        let (year, month, day) = date_of(self.day());
        let in_day = self.0.rem_euclid(DAY_US).unsigned_abs();
        let (seconds, micros) = (in_day / 1_000_000, in_day % 1_000_000);
        *into = *b"0000-00-00T00:00:00.000000Z";
        let mut put = |at: usize, number: u64| {
            let [tens, ones] = PAIRS[(number % 100) as usize];
            into[at] = tens;
            into[at + 1] = ones;
        };
        let year = u64::from(year.unsigned_abs());
        put(0, year / 100);
        put(2, year);
        put(5, month.unsigned_abs().into());
        put(8, day.unsigned_abs().into());
        put(11, seconds / 3600);
        put(14, seconds / 60 % 60);
        put(17, seconds % 60);
        put(20, micros / 10_000);
        put(22, micros / 100);
        put(24, micros);
        let len = if micros == 0 { 20 } else { WRITTEN_LEN };
        into[len - 1] = b'Z';
        std::str::from_utf8(&into[..len]).expect("digits and letters")
    }

    /// Reads what `write` writes, and no other form: the parser of all forms took a tenth of reading a record.
    fn read_written(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (seconds, micros) = match bytes.len() {
            20 => (bytes.first_chunk::<19>()?, 0),
            WRITTEN_LEN if bytes[19] == b'.' => (bytes.first_chunk::<19>()?, number(bytes[20..26].first_chunk::<6>()?)?),
            _ => return None,
        };
        let (year, month, day) = day_named(seconds.first_chunk()?)?;
        let [b'T', h0, h1, b':', i0, i1, b':', s0, s1] = *seconds.last_chunk()? else { return None };
        let (hour, minute, second) = (number(&[h0, h1])?, number(&[i0, i1])?, number(&[s0, s1])?);
        if bytes.last() != Some(&b'Z') || !is_day(year, month, day) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let in_day = i64::from(hour * 3600 + minute * 60 + second) * 1_000_000 + i64::from(micros);
        let at = i64::from(day_of(year, month, day)) * DAY_US + in_day;
        (Self::MIN..=Self::MAX).contains(&at).then_some(Self(at))
    }
}

/// Year, month and day of a text like `2026-11-05`, in the calendar or not.
fn day_named(text: &[u8; 10]) -> Option<(i32, i32, i32)> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = *text else { return None };
    Some((number(&[y0, y1, y2, y3])?, number(&[m0, m1])?, number(&[d0, d1])?))
}

/// Whether the calendar has such a day.
fn is_day(year: i32, month: i32, day: i32) -> bool {
    (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day)
}

/// The number that these digits are.
fn number<const DIGITS: usize>(digits: &[u8; DIGITS]) -> Option<i32> {
    let (mut number, mut wrong) = (0, false);
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        wrong |= digit > 9;
        number = number * 10 + i32::from(digit);
    }
    (!wrong).then_some(number)
}

/// How many days a month, 1 to 12, has.
const fn days_in(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bare_date_lasts_the_whole_day() {
        for (given, last) in [
            ("2026-11-05", "2026-11-05T23:59:59.999999Z"),
            ("1955-12-31", "1955-12-31T23:59:59.999999Z"),
            ("2026-11-05T00:00:00.000001Z", "2026-11-05T00:00:00.000001Z"),
        ] {
            assert_eq!(Timestamp::parse(given).expect(given).last_instant().to_string(), last);
        }
    }

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
    fn a_day_that_is_not_in_the_calendar_is_told_as_one() {
        for (text, is_calendar) in [("2026-02-30", true), ("2026-13-01", true), ("2026-02-30T10:00:00+02:00", true), ("2026-02-28x", false)]
        {
            let told = Timestamp::parse(text).expect_err(text).to_string();
            assert_eq!(told.contains("names a day that the calendar does not have"), is_calendar, "{told}");
        }
    }

    #[test]
    fn every_day_has_the_date_that_the_calendar_says() {
        let mut date = civil::date(1900, 1, 1);
        let first = Timestamp::parse("1900-01-01").expect("a date");
        for day in 0..366 * 500 {
            let at = first.plus_days(day);
            assert_eq!((at.date(), at.month().to_string()), (date.to_string(), date.strftime("%Y-%m").to_string()));
            date = date.tomorrow().expect("a date");
        }
    }

    /// What the parser of all forms says.
    fn by_the_library(text: &str) -> Option<Timestamp> {
        let at = Timestamp(text.parse::<jiff::Timestamp>().ok()?.as_microsecond());
        (Timestamp::MIN..Timestamp::MAX).contains(&at.0).then_some(at)
    }

    #[test]
    fn every_written_date_is_one_of_the_calendar() {
        for year in [1900, 1999, 2000, 2004, 2100] {
            for (month, day) in (0..=13).flat_map(|month| (0..=32).map(move |day| (month, day))) {
                let text = format!("{year}-{month:02}-{day:02}T00:00:00Z");
                assert_eq!(Timestamp::read_written(&text), by_the_library(&text), "{text}");
            }
        }
    }

    #[test]
    fn the_first_and_the_last_instant_are_read_as_they_are_written() {
        for at in [Timestamp(0).plus_days(i64::MIN), Timestamp(0).plus_days(i64::MAX)] {
            assert_eq!(Timestamp::parse(&at.to_string()), Ok(at));
        }
        assert!(Timestamp::parse("9000-01-01T00:00:00.000001Z").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_library_reads_it(micros in Timestamp::MIN..=Timestamp::MAX, whole in any::<bool>()) {
            let at = Timestamp(if whole { micros - micros.rem_euclid(1_000_000) } else { micros });
            let text = at.to_string();
            prop_assert_eq!(Timestamp::read_written(&text), Some(at), "{}", text);
            prop_assert_eq!(by_the_library(&text), Some(at), "{}", text);
        }

        #[test]
        fn what_is_near_it_is_read_as_the_library_reads_it(
            text in "[0-9]{4}-[0-3][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{5,7})?Z", at in 0..27_usize, byte in "[-0-9TZ:. é]",
        ) {
            let mut other = text.clone();
            if at < text.len() {
                other.replace_range(at..=at, &byte);
            }
            for text in [&text, &other] {
                prop_assert_eq!(Timestamp::parse(text).ok(), by_the_library(text), "{}", text);
            }
        }
    }
}
