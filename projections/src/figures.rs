//! How figures are written: money, ratios, durations; exact, and null where nothing can be said.

use pledger_domain::values::{Currency, Timestamp};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};

use crate::cell::{Cell, Field};

/// Decimal places of ratios and weights.
const RATIO_PLACES: u32 = 6;
/// Decimal places of durations.
const DURATION_PLACES: u32 = 2;

/// `{amount, currency}` of a threshold, with the places of the currency, or more where it has more.
#[must_use]
pub fn amount_needed(amount: Decimal, currency: Currency) -> Value {
    let mut needed = amount.normalize();
    needed.rescale(needed.scale().max(currency.digits()));
    json!({"amount": needed.to_string(), "currency": currency.code()})
}

/// `{amount, currency}` of a sum in minor units.
#[must_use]
pub fn money(minor: i128, currency: Currency) -> Value {
    json!({ "amount": amount(minor, currency), "currency": currency.code() })
}

/// A sum in minor units as a decimal string.
#[must_use]
pub fn amount(minor: i128, currency: Currency) -> String {
    Decimal::try_from_i128_with_scale(minor, currency.digits()).map_or_else(|_| minor.to_string(), |amount| amount.to_string())
}

/// `part / whole` as a decimal string; null where the whole is 0.
#[must_use]
pub fn ratio(part: i128, whole: i128) -> Value {
    quotient(part, whole, RATIO_PLACES)
}

fn quotient(part: i128, whole: i128, places: u32) -> Value {
    let decimal = |number| Decimal::try_from_i128_with_scale(number, 0).ok();
    match (decimal(part), decimal(whole)) {
        (Some(part), Some(whole)) if !whole.is_zero() => decimal_text(part / whole, places),
        _ => Value::Null,
    }
}

/// A decimal string of at most so many places, rounded half to even.
fn decimal_text(number: Decimal, places: u32) -> Value {
    Value::String(number.round_dp_with_strategy(places, RoundingStrategy::MidpointNearestEven).normalize().to_string())
}

/// The `percent` percentile of durations in minutes, in units of `unit` minutes; null where there are none.
///
/// Between two neighbours it is interpolated, as the median is (the "type 7" of statistics packages, `quantile_cont` of
/// SQL). The durations change their order.
#[must_use]
pub fn percentile(minutes: &mut [u32], percent: usize, unit: u32) -> Value {
    if minutes.is_empty() {
        return Value::Null;
    }
    let along = (minutes.len() - 1) * percent;
    let (place, rest) = (along / 100, along % 100);
    let (_, low, above) = minutes.select_nth_unstable(place);
    let low = i128::from(*low);
    let high = above.iter().min().map_or(low, |high| i128::from(*high));
    let rest = i128::try_from(rest).expect("a remainder of 100");
    quotient(low * 100 + (high - low) * rest, 100 * i128::from(unit), DURATION_PLACES)
}

/// Whole minutes from `start` to `end`; none where it ends before it starts.
#[must_use]
pub fn minutes_between(start: Timestamp, end: Timestamp) -> Option<u32> {
    let micros = end.micros().checked_sub(start.micros()).filter(|micros| *micros >= 0)?;
    u32::try_from(micros / 60_000_000).ok()
}

/// `number / by`, rounded to the nearest whole, a half to the even one.
#[must_use]
pub fn half_even(number: i128, by: i128) -> i128 {
    let (whole, rest) = (number.div_euclid(by), number.rem_euclid(by));
    let up = match (rest * 2).cmp(&by) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => whole % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    whole + i128::from(up)
}

/// A score between 0 and 1 as a decimal string, to four places.
#[must_use]
pub fn decimal(score: f64) -> Value {
    Value::String(format!("{score:.4}").trim_end_matches('0').trim_end_matches('.').to_owned())
}

/// The word of an enum without fields.
#[must_use]
pub fn word(value: &impl Field) -> Value {
    match value.cell() {
        Cell::Name(word) => Value::String(word.to_owned()),
        Cell::Null | Cell::Integer(_) | Cell::Place(_) | Cell::Slice(_) | Cell::Text(_) => Value::Null,
    }
}

/// A text or null.
#[must_use]
pub fn text(value: Option<&str>) -> Value {
    value.map_or(Value::Null, |text| Value::String(text.to_owned()))
}

/// An RFC 3339 time or null.
#[must_use]
pub fn time(value: Option<Timestamp>) -> Value {
    value.map_or(Value::Null, |time| Value::String(time.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_exact_and_null_where_nothing_can_be_said() {
        let yen = Currency::parse("JPY").expect("a currency");
        assert_eq!(money(-1250, Currency::USD), json!({ "amount": "-12.50", "currency": "USD" }));
        assert_eq!(money(1250, yen), json!({ "amount": "1250", "currency": "JPY" }));
        for (part, whole, expected) in [(1, 2, json!("0.5")), (2, 3, json!("0.666667")), (3, 3, json!("1")), (1, 0, Value::Null)] {
            assert_eq!(ratio(part, whole), expected);
        }
    }

    #[test]
    fn percentiles_lie_between_their_neighbours() {
        for (mut minutes, percent, expected) in [
            (vec![], 50, Value::Null),
            (vec![60], 95, json!("1")),
            (vec![120, 60], 50, json!("1.5")),
            (vec![180, 60, 120], 50, json!("2")),
            (vec![60, 120, 180, 240, 300], 95, json!("4.8")),
        ] {
            assert_eq!(percentile(&mut minutes, percent, 60), expected);
        }
    }

    #[test]
    fn halves_go_to_the_even_neighbour() {
        for (number, expected) in [(2500, 2), (3500, 4), (2501, 3), (2499, 2), (-2500, -2), (0, 0)] {
            assert_eq!(half_even(number, 1000), expected, "{number}");
        }
    }

    #[test]
    fn a_negative_duration_is_none() {
        let at = |text| Timestamp::parse(text).expect("a time");
        assert_eq!(minutes_between(at("2026-01-01"), at("2026-01-02")), Some(1440));
        assert_eq!(minutes_between(at("2026-01-02"), at("2026-01-01")), None);
    }
}
