//! The rows that attribution is made from.

use compact_str::CompactString;
use pledger_domain::{rules::AttributionRules, values::Timestamp};

use crate::{cell::Json, row, symbol::Symbol};

row! {
    /// A touchpoint.
    Touchpoint keyed TouchpointKey in "touchpoints" {
        key {
            /// The account's key.
            account: Symbol,
            /// The touchpoint's id.
            touchpoint: CompactString,
        }
        /// When it took place.
        occurred_at: Timestamp,
        /// The partner that acted.
        partner: Option<Symbol>,
        /// The channel it came through.
        channel: Option<Symbol>,
        /// What kind of act it was.
        kind: Symbol,
        /// The one deal that it counts for, where it names one.
        deal: Option<CompactString>,
        /// The campaign that it was part of.
        campaign: Option<Symbol>,
    }
}

row! {
    /// A won deal that touchpoints led to. A deal without any is credited to the partner that registered it, by every
    /// model and under any rules, and has no row here.
    TouchedDeal keyed TouchedDealKey in "attribution_deals" {
        key {
            /// The account's key.
            account: Symbol,
            /// The deal's id.
            deal: CompactString,
        }
        /// The version of the rules that it is credited under: those of the win, or where touchpoints came too late for
        /// it, those of the first that did; 0 for the defaults.
        rules: u32,
        /// How many touchpoints count.
        touches: u32,
    }
}

row! {
    /// The attribution rules of a version, as some deal of a slice was credited under them.
    AttributionVersion keyed AttributionVersionKey in "attribution_rules" {
        key {
            /// The slice.
            slice: u16,
            /// The version of the rules; 0 for the defaults, where none was in force.
            version: u32,
        }
        /// The rules.
        rules: Json<AttributionRules>,
    }
}
