//! Attribution models (F71): who a won deal is credited to, and with how much of it.
//!
//! Everything here is a pure function of one deal's journey. Models that look at many journeys at once (markov, shapley)
//! are no part of `Model`: they are joins over the journeys of a period, and give the same `Credit`s.

use std::ops::{Index, IndexMut};

use hashbrown::HashMap;
use pledger_domain::{rules::AttributionRules, values::Timestamp};
use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};

use super::half_life::decayed;
use crate::{split::in_proportion, symbol::Symbol};

/// A weight of 1: weights are whole numbers of 10^-12.
pub const ONE: u64 = 1_000_000_000_000;
/// The decimal places of a weight.
pub const WEIGHT_PLACES: u32 = 12;

/// A model that needs one deal's journey only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Model {
    /// Everything to the first touch.
    First,
    /// Everything to the last touch.
    Last,
    /// The same to every touch.
    Linear,
    /// By default 40 to the first, 40 to the last, 20 shared by those between.
    UShaped,
    /// By default 30 to the first, to the one that led to the registration and to the last, 10 shared by the others.
    WShaped,
    /// A touch loses half its weight in every half-life before the close.
    TimeDecay,
}

impl Model {
    /// Every model, in the order of `WORDS`.
    pub const ALL: [Self; 6] = [Self::First, Self::Last, Self::Linear, Self::UShaped, Self::WShaped, Self::TimeDecay];
    /// What the models are called.
    pub const WORDS: [&'static str; 6] = ["first", "last", "linear", "u_shaped", "w_shaped", "time_decay"];

    /// What the model is called.
    #[must_use]
    pub const fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// One value a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerModel<T>(pub [T; Model::ALL.len()]);

impl<T> Index<Model> for PerModel<T> {
    type Output = T;
    fn index(&self, model: Model) -> &T {
        &self.0[model as usize]
    }
}

impl<T> IndexMut<Model> for PerModel<T> {
    fn index_mut(&mut self, model: Model) -> &mut T {
        &mut self.0[model as usize]
    }
}

/// Who is credited: the touchpoint's partner, or its channel where it names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Party {
    /// A partner.
    Partner(Symbol),
    /// A channel of the vendor's own.
    Channel(Symbol),
}

/// One touch of a journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Who.
    pub party: Party,
    /// When.
    pub at: Timestamp,
}

/// What led to a won deal.
#[derive(Clone, Copy, Debug)]
pub struct Journey<'a> {
    /// The touches that count, in the order of their times, those of one time by their ids. At least one.
    pub touches: &'a [Touch],
    /// When the deal was registered.
    pub registered_at: Timestamp,
    /// What the deal was won for, in minor units; at most `MAX_MINOR`.
    pub amount: i64,
}

/// What one party is credited with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// Who.
    pub party: Party,
    /// The weight by model, in units of 10^-12.
    pub weights: PerModel<u64>,
    /// The part of the deal's amount by model, in minor units.
    pub credited: PerModel<i64>,
}

/// The credits of a deal, one a party, in the order of the parties' first touches.
///
/// By every model the weights add up to exactly 1 and the money to exactly the amount. Both are split by largest
/// remainder, of equal ones to the earliest touch: the weights by the model's shares, the money by the weights, so that
/// whoever is shown a weight can recompute the money.
#[must_use]
pub fn credits(journey: &Journey<'_>, rules: &AttributionRules) -> Vec<Credit> {
    if let [only] = journey.touches {
        return vec![Credit {
            party: only.party,
            weights: PerModel([ONE; Model::ALL.len()]),
            credited: PerModel([journey.amount; Model::ALL.len()]),
        }];
    }
    let (parties, party_of) = parties(journey.touches);
    let none = |party: &Party| Credit { party: *party, weights: PerModel::default(), credited: PerModel::default() };
    let mut credits: Vec<Credit> = parties.iter().map(none).collect();
    let mut shares = vec![0_u128; parties.len()];
    let (sign, amount) = (journey.amount.signum(), journey.amount.unsigned_abs());
    for model in Model::ALL {
        shares.fill(0);
        each_share(model, journey, rules, |touch, share| shares[party_of[touch]] += share);
        // At most 2^25 touches of at most 2^62 each, times 2^40.
        let weights = in_proportion(ONE, &shares);
        let exact: Vec<u128> = weights.iter().map(|weight| u128::from(*weight)).collect();
        let money = in_proportion(amount, &exact);
        for ((credit, weight), money) in credits.iter_mut().zip(weights).zip(money) {
            credit.weights[model] = weight;
            credit.credited[model] = sign * i64::try_from(money).expect("a part is no more than the amount");
        }
    }
    credits
}

/// The parties in the order of their first touches, and which of them each touch is of.
fn parties(touches: &[Touch]) -> (Vec<Party>, Vec<usize>) {
    let (mut parties, mut places) = (Vec::new(), HashMap::new());
    let mut place = |touch: &Touch| {
        *places.entry(touch.party).or_insert_with(|| {
            parties.push(touch.party);
            parties.len() - 1
        })
    };
    let party_of = touches.iter().map(&mut place).collect();
    (parties, party_of)
}

/// Gives `add` each touch's share of the deal, in proportion to each other. At most 2^62 each.
fn each_share(model: Model, journey: &Journey<'_>, rules: &AttributionRules, mut add: impl FnMut(usize, u128)) {
    let last = journey.touches.len() - 1;
    match model {
        Model::First => add(0, 1),
        Model::Last => add(last, 1),
        Model::Linear => (0..=last).for_each(|touch| add(touch, 1)),
        Model::UShaped | Model::WShaped => {
            let (own, rest) = milestones_of(model, journey, rules);
            milestones(journey.touches.len(), &own, rest, add);
        }
        Model::TimeDecay => {
            // Only ratios count, so ages are taken from the last touch: the time from there to the close is common to all.
            let newest = journey.touches[last].at.micros();
            for (place, touch) in journey.touches.iter().enumerate() {
                add(place, decayed(newest.abs_diff(touch.at.micros()), rules.half_life_days).into());
            }
        }
    }
}

/// The touches that are milestones of a model, each with its own share in units of 10^-12, and the share of the others
/// together. A touch that is several milestones has the share of the first one. Models without milestones share alike.
pub(super) fn milestones_of(model: Model, journey: &Journey<'_>, rules: &AttributionRules) -> (Vec<(usize, u64)>, u64) {
    let last = journey.touches.len() - 1;
    let (named, rest) = match model {
        Model::UShaped => {
            let [first, middle, end] = rules.u_shaped.map(parts);
            ([Some((0, first)), None, Some((last, end))], middle)
        }
        Model::WShaped => {
            let [first, registration, end, others] = rules.w_shaped.map(parts);
            // The touch that led to the registration is the last one up to it.
            let led = journey.touches.partition_point(|touch| touch.at <= journey.registered_at).checked_sub(1);
            ([Some((0, first)), led.map(|touch| (touch, registration)), Some((last, end))], others)
        }
        Model::First | Model::Last | Model::Linear | Model::TimeDecay => ([None; 3], ONE),
    };
    let mut distinct: Vec<(usize, u64)> = Vec::with_capacity(named.len());
    for (touch, share) in named.into_iter().flatten() {
        if !distinct.iter().any(|(known, _)| *known == touch) {
            distinct.push((touch, share));
        }
    }
    (distinct, rest)
}

/// Shares by milestones: those that are have their `own`, the others share `rest` equally. What then belongs to no touch is
/// left out, which renormalises the others.
fn milestones(touches: usize, own: &[(usize, u64)], rest: u64, mut add: impl FnMut(usize, u128)) {
    let others = touches - own.len();
    // Everything is multiplied by the number of the others, so that their equal shares are whole numbers.
    let factor = if others == 0 { 1 } else { others as u128 };
    own.iter().for_each(|(touch, share)| add(*touch, u128::from(*share) * factor));
    for touch in (0..touches).filter(|touch| !own.iter().any(|(known, _)| known == touch)) {
        add(touch, rest.into());
    }
}

/// A weight as a decimal.
pub(super) fn weight(units: u64) -> String {
    Decimal::from_i128_with_scale(units.into(), WEIGHT_PLACES).normalize().to_string()
}

/// A share of the rules in units of 10^-12; finer ones are rounded, negative ones count as none.
fn parts(share: Decimal) -> u64 {
    let scaled = share.checked_mul(Decimal::from(ONE)).map(|parts| parts.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven));
    scaled.and_then(|parts| parts.to_u64()).map_or(0, |parts| parts.min(ONE))
}

#[cfg(test)]
mod tests {
    use pledger_domain::{rules::Rules, values::MAX_MINOR};
    use proptest::prelude::*;

    use super::*;

    fn rules() -> AttributionRules {
        Rules::parse(Rules::DEFAULT).expect("the default rules").attribution
    }

    /// One letter a touch, one touch a day from 2026-01-01; capitals are partners.
    fn touches(parties: &str) -> Vec<Touch> {
        let begin = Timestamp::parse("2026-01-01").expect("a date");
        let party = |letter: char| {
            let name = Symbol::of(&letter.to_string());
            if letter.is_uppercase() { Party::Partner(name) } else { Party::Channel(name) }
        };
        parties.chars().zip(0..).map(|(letter, day)| Touch { party: party(letter), at: begin.plus_days(day) }).collect()
    }

    fn by(model: Model, parties: &str, registered_on: i64, cents: i64) -> Vec<(&'static str, String, i64)> {
        let touches = touches(parties);
        let registered_at = touches[0].at.plus_days(registered_on);
        let credits = credits(&Journey { touches: &touches, registered_at, amount: cents }, &rules());
        let name = |party: Party| match party {
            Party::Partner(name) | Party::Channel(name) => name.name(),
        };
        let weight = |weight: u64| Decimal::from_i128_with_scale(weight.into(), WEIGHT_PLACES).normalize().to_string();
        let shown = |credit: &Credit| (name(credit.party), weight(credit.weights[model]), credit.credited[model]);
        credits.iter().map(shown).filter(|(_, weight, _)| weight != "0").collect()
    }

    #[test]
    fn every_model_as_recomputed_by_hand() {
        for (model, parties, registered_on, cents, expected) in [
            (Model::First, "AbC", 0, 100, vec![("A", "1", 100)]),
            (Model::Last, "AbC", 0, 100, vec![("C", "1", 100)]),
            // A third each; the third cent and the last place go to the earliest.
            (Model::Linear, "AbC", 0, 100, vec![("A", "0.333333333334", 34), ("b", "0.333333333333", 33), ("C", "0.333333333333", 33)]),
            // A party touched twice adds its shares up; two thirds have the larger remainder.
            (Model::Linear, "bAA", 0, 100, vec![("b", "0.333333333333", 33), ("A", "0.666666666667", 67)]),
            (Model::UShaped, "A", 0, 100, vec![("A", "1", 100)]),
            (Model::UShaped, "AB", 0, 101, vec![("A", "0.5", 51), ("B", "0.5", 50)]),
            (Model::UShaped, "ABcD", 0, 1000, vec![("A", "0.4", 400), ("B", "0.1", 100), ("c", "0.1", 100), ("D", "0.4", 400)]),
            (Model::UShaped, "ABA", 0, 1000, vec![("A", "0.8", 800), ("B", "0.2", 200)]),
            // The registration on day 2 was led to by the third touch; B and D share the ten.
            (
                Model::WShaped,
                "ABCDE",
                2,
                1000,
                vec![("A", "0.3", 300), ("B", "0.05", 50), ("C", "0.3", 300), ("D", "0.05", 50), ("E", "0.3", 300)],
            ),
            // The first touch led to the registration: 30 / 10 / 30 over 70, not over 100.
            (Model::WShaped, "ABC", 0, 700, vec![("A", "0.428571428572", 300), ("B", "0.142857142857", 100), ("C", "0.428571428571", 300)]),
            // No touch came before the registration.
            (
                Model::WShaped,
                "ABC",
                -1,
                700,
                vec![("A", "0.428571428572", 300), ("B", "0.142857142857", 100), ("C", "0.428571428571", 300)],
            ),
            // Nobody is left for the ten: 30 / 30 / 30 over 90.
            (
                Model::WShaped,
                "ABC",
                1,
                1000,
                vec![("A", "0.333333333334", 334), ("B", "0.333333333333", 333), ("C", "0.333333333333", 333)],
            ),
            (Model::WShaped, "AB", 5, 10, vec![("A", "0.5", 5), ("B", "0.5", 5)]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(party, weight, cents)| (party, weight.to_owned(), cents)).collect();
            assert_eq!(by(model, parties, registered_on, cents), expected, "{model:?} of {parties}");
        }
    }

    #[test]
    fn time_decay_halves_in_a_half_life() {
        let at = |day| Timestamp::parse("2026-01-01").expect("a date").plus_days(day);
        let party = |name| Party::Partner(Symbol::of(name));
        let touches =
            [Touch { party: party("A"), at: at(0) }, Touch { party: party("B"), at: at(7) }, Touch { party: party("C"), at: at(14) }];
        let journey = Journey { touches: &touches, registered_at: at(0), amount: 700 };
        let found: Vec<_> = credits(&journey, &rules())
            .iter()
            .map(|credit| (credit.weights[Model::TimeDecay], credit.credited[Model::TimeDecay]))
            .collect();
        // 1 : 2 : 4 of seven.
        assert_eq!(found, [(142_857_142_857, 100), (285_714_285_714, 200), (571_428_571_429, 400)]);
    }

    #[test]
    fn custom_shares_are_renormalised_over_what_exists() {
        let mut rules = rules();
        rules.u_shaped = ["0.6", "0.1", "0.3"].map(|share| share.parse().expect("a decimal"));
        let touches = touches("AB");
        let found = credits(&Journey { touches: &touches, registered_at: touches[0].at, amount: 9 }, &rules);
        assert_eq!(found.iter().map(|credit| credit.credited[Model::UShaped]).collect::<Vec<_>>(), [6, 3]);
        // Where the rules leave nothing to anybody who is there, everybody has the same.
        rules.u_shaped = ["0", "1", "0"].map(|share| share.parse().expect("a decimal"));
        let found = credits(&Journey { touches: &touches, registered_at: touches[0].at, amount: 9 }, &rules);
        assert_eq!(found.iter().map(|credit| credit.credited[Model::UShaped]).collect::<Vec<_>>(), [5, 4]);
    }

    fn journeys() -> impl Strategy<Value = Vec<Touch>> {
        prop::collection::vec((0..8_u8, 0..200_i64 * 86_400), 1..60).prop_map(|touches| {
            let begin = Timestamp::parse("2026-01-01").expect("a date");
            let party =
                |n: u8| if n < 5 { Party::Partner(Symbol::of(&format!("p{n}"))) } else { Party::Channel(Symbol::of(&format!("c{n}"))) };
            let mut touches: Vec<_> =
                touches.iter().map(|(n, second)| Touch { party: party(*n), at: begin.plus_micros(second * 1_000_000) }).collect();
            touches.sort_by_key(|touch| touch.at);
            touches
        })
    }

    proptest! {
        #[test]
        fn weights_are_one_and_money_is_all_there(
            touches in journeys(), registered in -10..210_i64, amount in 0..=MAX_MINOR, half_life in 1..90_u32,
        ) {
            let registered_at = Timestamp::parse("2026-01-01").expect("a date").plus_days(registered);
            let rules = AttributionRules { half_life_days: half_life, ..rules() };
            let credits = credits(&Journey { touches: &touches, registered_at, amount }, &rules);
            for model in Model::ALL {
                prop_assert_eq!(credits.iter().map(|credit| credit.weights[model]).sum::<u64>(), ONE);
                prop_assert_eq!(credits.iter().map(|credit| credit.credited[model]).sum::<i64>(), amount);
                for credit in &credits {
                    let exact = u128::from(credit.weights[model]) * u128::from(amount.unsigned_abs());
                    let shown = u128::from(credit.credited[model].unsigned_abs()) * u128::from(ONE);
                    prop_assert!(exact.abs_diff(shown) < u128::from(ONE), "{:?} is more than a minor unit off", model);
                }
            }
        }
    }
}
