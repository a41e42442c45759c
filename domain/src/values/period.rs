//! Months, and the periods that a cost is booked on.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::time::Timestamp;

/// A calendar month in UTC, with the quarter and year it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Month(i32);

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
        Timestamp::parse(&text).unwrap_or(Timestamp::from_micros(0))
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
