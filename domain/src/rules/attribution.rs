//! `[attribution]`: which touches count, and how much (F71).

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::source::Section;
use crate::values::Label;

/// Attribution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributionRules {
    /// Touchpoints this many days before the close count.
    pub window_days: u32,
    /// Kinds of touchpoints that count; empty for all.
    pub kinds: Vec<Label>,
    /// Days in which a touch loses half its weight (time_decay).
    pub half_life_days: u32,
    /// First, middle, last (u_shaped); adds up to 1.
    pub u_shaped: [Decimal; 3],
    /// First, registration, last, the others (w_shaped); adds up to 1.
    pub w_shaped: [Decimal; 4],
}

impl AttributionRules {
    pub(super) fn read(mut section: Section<'_, '_>) -> Option<Self> {
        let window_days = section.days("window_days", 1);
        let kinds = section.list::<Label>("kinds");
        let half_life_days = section.days("half_life_days", 1);
        let u_shaped = weights(&mut section, "u_shaped");
        let w_shaped = weights(&mut section, "w_shaped");
        section.warn_of_repeats("kinds", kinds.as_ref());
        section.end();
        Some(Self {
            window_days: window_days?.value,
            kinds: kinds?.value.into_iter().map(|located| located.value).collect(),
            half_life_days: half_life_days?.value,
            u_shaped: u_shaped?,
            w_shaped: w_shaped?,
        })
    }
}

/// Weights of 0 to 1 that add up to exactly 1.
fn weights<const N: usize>(section: &mut Section<'_, '_>, key: &'static str) -> Option<[Decimal; N]> {
    let weights = section.array::<Decimal, N>(key)?;
    if let Some(outside) = weights.value.iter().find(|weight| !(Decimal::ZERO..=Decimal::ONE).contains(*weight)) {
        section.note(&weights.span, &format!("attribution.{key} has the weight {outside}; \"0\" to \"1\" is accepted"));
        return None;
    }
    let sum: Decimal = weights.value.iter().sum();
    if sum != Decimal::ONE {
        section
            .note(&weights.span, &format!("the weights of attribution.{key} add up to {}; they must add up to exactly 1", sum.normalize()));
        return None;
    }
    Some(weights.value)
}
