//! The rows that attribution is made from.

use compact_str::CompactString;
use pledger_domain::{rules::AttributionRules, values::Timestamp};

use crate::{
    cell::{InSlice, Json},
    row,
    symbol::Symbol,
};

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
    /// The attribution rules of a version, under which some deal of a slice was won: the same in every slice, kept in
    /// each so that they are written with the deals that they are needed for.
    AttributionVersion keyed AttributionVersionKey in "attribution_rules" {
        key {
            /// The slice.
            slice: InSlice,
            /// The version of the rules; 0 for the defaults, where none was in force.
            version: u32,
        }
        /// The rules.
        rules: Json<AttributionRules>,
    }
}
