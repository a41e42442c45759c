//! Exponential decay in whole numbers: the same on every machine.

use std::sync::LazyLock;

use pledger_domain::values::DAY_US;

/// What a touch of no age has: 1, in units of 2^-62.
pub(super) const FULL: u64 = 1 << 62;

/// The natural logarithm of 2, in units of 2^-64.
pub(super) const LN_2: u64 = 0xB172_17F7_D1CF_79AB;

/// Terms of the series that give all digits of e^-y, where y is below ln 2 / 256.
pub(super) const TERMS: u64 = 7;

/// 2^-(n/256) for every n, in units of 2^-62: the steps that a fraction is looked up in.
pub(super) static STEPS: LazyLock<[u64; 256]> = LazyLock::new(|| std::array::from_fn(|n| series(times((n as u64) << 56, LN_2) >> 2, 20)));

/// 2^(-age / half-life) in units of 2^-62, of an age in microseconds and a half-life in days (at least one).
///
/// The quotient is split into whole half-lives, which are shifts, steps of 1/256, which are looked up, and a rest f of 56
/// bits, for which 2^-f = e^-y with y = f ln 2 < 0.0028 is a short series. Every multiplication and every term rounds by
/// at most two units, so the result is within 2^-56 of the exact value: a ten-thousandth of a weight's last place.
#[must_use]
pub(super) fn decayed(age_us: u64, half_life_days: u32) -> u64 {
    let half_life = u128::from(half_life_days.max(1)) * u128::from(DAY_US.unsigned_abs());
    let halvings = u128::from(age_us) / half_life;
    if halvings >= 62 {
        return 0;
    }
    // An age has at most 64 bits, so the shifted remainder has at most 128.
    let fraction = ((u128::from(age_us) % half_life) << 64) / half_life;
    let fraction = u64::try_from(fraction).expect("a remainder is less than its divisor");
    // 0.0028^8 / 8! is below 2^-83.
    let rest = series(times(fraction & (u64::MAX >> 8), LN_2) >> 2, TERMS);
    (times(STEPS[(fraction >> 56) as usize], rest) << 2) >> halvings
}

/// e^-y by Horner's rule, `1 - y(1 - y/2(1 - y/3(...)))`, to so many terms; both in units of 2^-62.
fn series(y: u64, terms: u64) -> u64 {
    (1..=terms).rev().fold(FULL, |inner, term| FULL - (times(y, inner) << 2) / term)
}

/// The product of two fractions, the upper 64 bits of it.
fn times(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: u64 = DAY_US as u64;

    #[test]
    fn whole_half_lives_halve() {
        for (days, half_life, expected) in
            [(0, 7, FULL), (7, 7, FULL / 2), (70, 7, FULL >> 10), (61, 1, 2), (62, 1, 0), (10_000, 1, 0), (1, 0, FULL / 2)]
        {
            assert_eq!(decayed(days * DAY, half_life), expected, "{days} days of {half_life}");
        }
    }

    #[test]
    fn fractions_are_those_of_the_textbook() {
        // floor(2^62 x 2^-f) for f = 1/2, 1/7, 6/7, made with 60 digits.
        for (age, half_life, exact) in
            [(DAY, 2, 3_260_954_456_333_195_553_u64), (DAY, 7, 4_176_913_159_044_679_997), (6 * DAY, 7, 2_545_857_086_650_907_336)]
        {
            assert!(decayed(age, half_life).abs_diff(exact) <= 1 << 6, "{age}/{half_life}: {} not {exact}", decayed(age, half_life));
        }
    }

    proptest! {
        #[test]
        fn older_is_never_more(age in 0..400 * DAY, more in 0..400 * DAY, half_life in 1..400_u32) {
            prop_assert!(decayed(age + more, half_life) <= decayed(age, half_life));
        }

        #[test]
        fn ages_multiply(a in 0..20 * DAY, b in 0..20 * DAY, half_life in 5..60_u32) {
            let product = (u128::from(decayed(a, half_life)) * u128::from(decayed(b, half_life))) >> 62;
            prop_assert!(product.abs_diff(u128::from(decayed(a + b, half_life))) <= 1 << 7);
        }
    }
}
