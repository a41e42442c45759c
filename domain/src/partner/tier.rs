//! Tier arithmetic: which tier figures earn, and what the next one still takes (F30).

use rust_decimal::{Decimal, prelude::ToPrimitive};

use super::TierInputs;
use crate::{
    rules::{Rules, TierRule},
    values::{Currency, Money, TierName},
};

/// What is missing for a tier; zero where its threshold is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distance {
    /// Revenue in the window, in the reporting currency, rounded up to its smallest unit.
    pub revenue: Money,
    /// Certifications in force.
    pub certifications: u32,
    /// Net-new logos in the window.
    pub net_new_logos: u32,
}

/// Whether `inputs`, in the rules' reporting currency, meet every threshold of `tier`.
#[must_use]
pub fn meets(tier: &TierRule, inputs: &TierInputs) -> bool {
    inputs.revenue.decimal() >= tier.revenue
        && inputs.active_certifications >= tier.certifications
        && inputs.net_new_logos >= tier.net_new_logos
}

/// The highest tier whose thresholds `inputs` meet, all of them. The lowest tier is the floor: it is earned by
/// whoever meets none, such as a partner whose refunds exceed its revenue. None where the rules have no tiers.
#[must_use]
pub fn earned_tier<'r>(rules: &'r Rules, inputs: &TierInputs) -> Option<&'r TierRule> {
    rules.tiers.iter().rev().find(|tier| meets(tier, inputs)).or_else(|| rules.tiers.first())
}

/// Where a tier stands among the rules' tiers, the lowest being 0.
#[must_use]
pub fn rank(rules: &Rules, tier: &TierName) -> Option<usize> {
    rules.tiers.iter().position(|rule| rule.name == *tier)
}

/// The tier above `current`, and what is missing for it. A partner without a tier, or with one that the rules no
/// longer know, has the lowest ahead; above the highest there is none.
#[must_use]
pub fn distance_to_next<'r>(rules: &'r Rules, current: Option<&TierName>, inputs: &TierInputs) -> Option<(&'r TierRule, Distance)> {
    let next = current.and_then(|tier| rank(rules, tier)).map_or(0, |rank| rank + 1);
    rules.tiers.get(next).map(|tier| (tier, distance(tier, inputs, rules.reporting_currency)))
}

/// What is missing for a tier.
#[must_use]
pub fn distance(tier: &TierRule, inputs: &TierInputs, currency: Currency) -> Distance {
    let missing = tier.revenue.checked_sub(inputs.revenue.decimal()).unwrap_or(Decimal::MAX);
    let minor = if missing > Decimal::ZERO { minor_units_up(missing, currency) } else { 0 };
    Distance {
        revenue: Money::from_minor(minor, currency),
        certifications: tier.certifications.saturating_sub(inputs.active_certifications),
        net_new_logos: tier.net_new_logos.saturating_sub(inputs.net_new_logos),
    }
}

fn minor_units_up(amount: Decimal, currency: Currency) -> i64 {
    let unit = Decimal::from(10_i64.pow(currency.digits()));
    amount.checked_mul(unit).and_then(|minor| minor.ceil().to_i64()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules::parse(Rules::DEFAULT).expect("the default rules")
    }

    fn inputs(revenue: &str, active_certifications: u32, net_new_logos: u32) -> TierInputs {
        let revenue = Money::parse(revenue, Currency::USD).expect(revenue);
        TierInputs { revenue, active_certifications, net_new_logos }
    }

    #[test]
    fn a_tier_is_earned_by_meeting_all_of_its_thresholds() {
        for (revenue, certifications, logos, earned) in [
            ("-10.00", 0, 0, "registered"),
            ("0.00", 0, 0, "registered"),
            ("99999.99", 1, 1, "registered"),
            ("100000.00", 1, 1, "silver"),
            ("100000.00", 0, 1, "registered"),
            ("100000.00", 1, 0, "registered"),
            ("499999.99", 9, 9, "silver"),
            ("500000.00", 4, 3, "gold"),
            ("500000.00", 3, 3, "silver"),
            ("9000000.00", 0, 0, "registered"),
        ] {
            let rules = rules();
            let tier = earned_tier(&rules, &inputs(revenue, certifications, logos)).expect("there are tiers");
            assert_eq!(tier.name.as_str(), earned, "{revenue} {certifications} {logos}");
        }
    }

    #[test]
    fn rules_without_tiers_award_none() {
        let rules = Rules { tiers: vec![], ..rules() };
        assert_eq!(earned_tier(&rules, &inputs("1.00", 1, 1)), None);
        assert_eq!(distance_to_next(&rules, None, &inputs("1.00", 1, 1)), None);
    }

    #[test]
    fn the_next_tier_names_what_is_missing() {
        for (current, figures, expected) in [
            (None, ("0.00", 0, 0), Some(("registered", "0.00", 0, 0))),
            (Some("bronze"), ("0.00", 0, 0), Some(("registered", "0.00", 0, 0))),
            (Some("registered"), ("40000.50", 0, 1), Some(("silver", "59999.50", 1, 0))),
            (Some("registered"), ("-0.01", 3, 0), Some(("silver", "100000.01", 0, 1))),
            (Some("silver"), ("600000.00", 1, 1), Some(("gold", "0.00", 3, 2))),
            (Some("gold"), ("0.00", 0, 0), None),
        ] {
            let rules = rules();
            let current = current.map(|name| TierName::parse(name).expect(name));
            let found = distance_to_next(&rules, current.as_ref(), &inputs(figures.0, figures.1, figures.2));
            let expected = expected.map(|(tier, revenue, certifications, net_new_logos)| {
                let revenue = Money::parse(revenue, Currency::USD).expect(revenue);
                (tier, Distance { revenue, certifications, net_new_logos })
            });
            assert_eq!(found.map(|(tier, distance)| (tier.name.as_str(), distance)), expected, "{current:?} {figures:?}");
        }
    }

    #[test]
    fn a_threshold_finer_than_the_currency_is_rounded_up() {
        let mut rules = rules();
        rules.tiers[1].revenue = "100.001".parse().expect("a decimal");
        let current = TierName::parse("registered").expect("a tier");
        let (_, distance) = distance_to_next(&rules, Some(&current), &inputs("100.00", 1, 1)).expect("silver");
        assert_eq!(distance.revenue, Money::from_minor(1, Currency::USD));
    }
}
