//! `[mdf]`: who may ask for market development funds and how long a claim may be made (F67).

use serde::{Deserialize, Serialize};

use super::{TierRule, source::Section};
use crate::values::TierName;

/// Market development funds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MdfRules {
    /// The tiers that may ask; empty for every partner.
    pub eligible_tiers: Vec<TierName>,
    /// Days after the approval in which a claim may be made.
    pub claim_window_days: u32,
}

impl MdfRules {
    /// Reads the section; `tiers` are those of the same file, where they could be read.
    pub(super) fn read(mut section: Section<'_, '_>, tiers: Option<&[TierRule]>) -> Option<Self> {
        let eligible = section.list::<TierName>("eligible_tiers");
        let claim_window_days = section.days("claim_window_days", 1);
        if let (Some(eligible), Some(tiers)) = (&eligible, tiers) {
            for tier in eligible.value.iter().filter(|tier| tiers.iter().all(|known| known.name != tier.value)) {
                let known: Vec<_> = tiers.iter().map(|known| known.name.as_str()).collect();
                section.note(
                    &tier.span,
                    &format!("mdf.eligible_tiers names {}, which is no tier; the tiers are {}", tier.value, known.join(", ")),
                );
            }
            let is_eligible = |tier: &TierRule| eligible.value.iter().any(|named| named.value == tier.name);
            let (lowest, highest) = (tiers.iter().position(is_eligible), tiers.iter().rposition(is_eligible));
            let between = lowest.zip(highest).map_or(&[][..], |(lowest, highest)| &tiers[lowest..highest]);
            for left_out in between.iter().filter(|tier| !is_eligible(tier)) {
                let message = format!("mdf.eligible_tiers leaves {} out, and names tiers below and above it", left_out.name);
                section.warn(&eligible.span, &message);
            }
        }
        section.warn_of_repeats("eligible_tiers", eligible.as_ref());
        section.end();
        let eligible_tiers = eligible?.value.into_iter().map(|located| located.value).collect();
        Some(Self { eligible_tiers, claim_window_days: claim_window_days?.value })
    }
}
