//! Weights as they are recomputed by hand: the shares of a party's touches over those of all.

use pledger_domain::{
    rules::AttributionRules,
    values::{DAY_US, Timestamp},
};
use rust_decimal::Decimal;
use serde_json::Value;

use super::models::{Journey, Model, Party, milestones_of, weight};

/// The decimal places of an age in days: finer than a millisecond.
const DAY_PLACES: u32 = 9;

/// What a party's touches have by a model, and what all touches have: the operands of the formula of a weight.
pub(super) struct Shares {
    party: String,
    all: String,
}

impl Shares {
    pub(super) fn of(model: Model, party: Party, journey: &Journey<'_>, closed_at: Timestamp, rules: &AttributionRules) -> Self {
        let terms = terms(model, journey, closed_at, rules);
        let of_party = journey.touches.iter().zip(&terms).filter(|(touch, _)| touch.party == party).map(|(_, term)| term);
        Self { party: sum(of_party), all: sum(terms.iter()) }
    }

    pub(super) fn fields(self) -> [(&'static str, Value); 2] {
        [("party_shares", self.party.into()), ("all_shares", self.all.into())]
    }
}

/// What ages are counted from: the close, or the last touch where that came later on the day of the close.
pub(super) fn aged_until(closed_at: Timestamp, last_touch: Option<Timestamp>) -> Timestamp {
    last_touch.map_or(closed_at, |last| last.max(closed_at))
}

/// How long before the close it was, in days.
pub(super) fn age_days(at: Timestamp, closed_at: Timestamp) -> String {
    let age = Decimal::from(closed_at.micros() - at.micros()) / Decimal::from(DAY_US);
    age.round_dp(DAY_PLACES).normalize().to_string()
}

/// What each touch has, in proportion to each other.
fn terms(model: Model, journey: &Journey<'_>, closed_at: Timestamp, rules: &AttributionRules) -> Vec<String> {
    let touches = journey.touches.len();
    let only = |place: usize| (0..touches).map(|touch| if touch == place { "1" } else { "0" }.to_owned()).collect();
    match model {
        Model::First => only(0),
        Model::Last => only(touches - 1),
        Model::Linear => vec!["1".to_owned(); touches],
        Model::UShaped | Model::WShaped => {
            let (own, rest) = milestones_of(model, journey, rules);
            let others = touches - own.len();
            if own.iter().all(|(_, share)| *share == 0) && (others == 0 || rest == 0) {
                return equal_parties(journey);
            }
            let share_of = |touch: usize| own.iter().find(|(known, _)| *known == touch).map(|(_, share)| weight(*share));
            let shared = || if others == 1 || rest == 0 { weight(rest) } else { format!("{} / {others}", weight(rest)) };
            (0..touches).map(|touch| share_of(touch).unwrap_or_else(shared)).collect()
        }
        Model::TimeDecay => {
            let half_life = rules.half_life_days.max(1);
            let until = aged_until(closed_at, journey.touches.last().map(|touch| touch.at));
            journey.touches.iter().map(|touch| format!("0.5^({} / {half_life})", age_days(touch.at, until))).collect()
        }
    }
}

/// Where the rules leave nothing to anybody who is there, every party has the same: its first touch stands for it.
fn equal_parties(journey: &Journey<'_>) -> Vec<String> {
    let is_first = |place: usize| !journey.touches[..place].iter().any(|touch| touch.party == journey.touches[place].party);
    (0..journey.touches.len()).map(|place| if is_first(place) { "1" } else { "0" }.to_owned()).collect()
}

/// The terms added up in their order; equal neighbours are counted, and those that are nothing left out.
fn sum<'t>(terms: impl Iterator<Item = &'t String>) -> String {
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for term in terms.filter(|term| *term != "0") {
        match counted.last_mut() {
            Some((last, count)) if last == term => *count += 1,
            _ => counted.push((term, 1)),
        }
    }
    let written = |(term, count): &(&str, usize)| match (*count, *term) {
        (1, term) => term.to_owned(),
        (count, "1") => count.to_string(),
        (count, term) => format!("{count} * {term}"),
    };
    if counted.is_empty() { "0".to_owned() } else { counted.iter().map(written).collect::<Vec<_>>().join(" + ") }
}
