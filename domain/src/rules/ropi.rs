//! `[ropi]`: what winning a customer costs, for the return on partner investment (F72).

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::source::Section;

/// Return on partner investment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RopiRules {
    /// What winning a customer costs without a partner, in the reporting currency.
    pub direct_cac: Decimal,
    /// What it costs through a partner, in the reporting currency.
    pub partner_cac: Decimal,
}

impl RopiRules {
    pub(super) fn read(mut section: Section<'_, '_>) -> Option<Self> {
        let direct_cac = section.not_negative("direct_cac");
        let partner_cac = section.not_negative("partner_cac");
        if let (Some(direct), Some(partner)) = (&direct_cac, &partner_cac)
            && direct.value.is_zero()
            && !partner.value.is_zero()
        {
            let message = "partner_cac is given and direct_cac is 0: every customer that a partner wins counts as a loss in ropi_total";
            section.warn(&partner.span, message);
        }
        section.end();
        Some(Self { direct_cac: direct_cac?.value, partner_cac: partner_cac?.value })
    }
}
