//! The dimensions of deals: what `pipeline` is given by and both views are filtered by.

use pledger_domain::values::Month;

use super::row::{Deal, DealKey, DealStatus};
use crate::{
    cell::{Cell, Field},
    cube::{Dim, DimValue, Values},
    query::{FieldKind, FieldSpec},
    symbol::Symbol,
    table::Stand,
};

/// A deal as a question sees it.
#[derive(Clone, Copy, Debug)]
pub struct DealFact<'a> {
    /// Its key.
    pub key: &'a DealKey,
    /// Its row.
    pub deal: &'a Deal,
    /// What the row stands on.
    pub stand: Stand,
}

const STATUSES: &[&str] = &["open", "won", "lost", "rejected", "expired", "withdrawn"];
const STAGES: &[&str] = &["prospect", "qualified", "technical_validation", "business_validation", "committed", "launched"];
const REGISTRATIONS: &[&str] = &["draft", "in_review", "action_required", "approved", "rejected"];

impl DealFact<'_> {
    /// The account; none for an imported deal without one.
    #[must_use]
    pub fn account(&self) -> Option<Symbol> {
        self.key.matched_account()
    }

    /// The month it counts in: that of the close for won and lost, of the registration otherwise.
    #[must_use]
    pub fn month(&self) -> Month {
        match self.deal.status {
            DealStatus::Won | DealStatus::Lost => self.deal.closed_at.unwrap_or(self.deal.registered_at).month(),
            DealStatus::Open | DealStatus::Rejected | DealStatus::Expired | DealStatus::Withdrawn => self.deal.registered_at.month(),
        }
    }
}

/// The word of an enum as a dimension's value.
fn word(value: &impl Field, place: u8) -> DimValue {
    match value.cell() {
        Cell::Name(word) => DimValue::Word(place, word),
        Cell::Null | Cell::Integer(_) | Cell::Place(_) | Cell::Slice(_) | Cell::Text(_) => DimValue::Null,
    }
}

const fn spec(name: &'static str, summary: &'static str) -> FieldSpec {
    FieldSpec::new(name, FieldKind::Text, summary)
}

/// How many dimensions a deal has.
const DIMS: usize = 12;

/// The dimensions of a deal.
#[must_use]
pub const fn dims<'a>() -> [Dim<DealFact<'a>>; DIMS] {
    [
        name("partner", "The partner whose deal it is.", |f| DimValue::Name(f.deal.partner)),
        Dim {
            spec: spec("stage", "The stage of the opportunity; the last one of a closed deal."),
            value: |f| word(&f.deal.stage, f.deal.stage as u8),
            values: Values::Words(STAGES),
        },
        Dim {
            spec: spec("status", "open, won, lost, rejected, expired or withdrawn."),
            value: |f| word(&f.deal.status, f.deal.status as u8),
            values: Values::Words(STATUSES),
        },
        name("region", "The region as recorded at the registration; null where there was none.", |f| DimValue::name(f.deal.region)),
        name("product", "The product.", |f| DimValue::Name(f.deal.product)),
        name("account", "The account's key; null for an imported deal without one.", |f| DimValue::name(f.account())),
        Dim {
            spec: spec("month", "The month of the close for won and lost, of the registration otherwise."),
            value: |f| DimValue::Month(f.month()),
            values: Values::Months,
        },
        Dim { spec: spec("quarter", "The quarter of `month`."), value: |f| DimValue::quarter(f.month()), values: Values::Quarters },
        Dim {
            spec: spec("registered_month", "The month of the registration."),
            value: |f| DimValue::Month(f.deal.registered_at.month()),
            values: Values::Months,
        },
        Dim {
            spec: spec("registered_quarter", "The quarter of the registration."),
            value: |f| DimValue::quarter(f.deal.registered_at.month()),
            values: Values::Quarters,
        },
        Dim {
            spec: spec("registration", "Where the registration stands: draft, in_review, action_required, approved or rejected."),
            value: |f| word(&f.deal.registration, f.deal.registration as u8),
            values: Values::Words(REGISTRATIONS),
        },
        name("sourced_by", "The partner that registered it.", |f| DimValue::Name(f.deal.sourced_by)),
    ]
}

const fn name<'a>(name: &'static str, summary: &'static str, value: fn(&DealFact<'a>) -> DimValue) -> Dim<DealFact<'a>> {
    Dim { spec: spec(name, summary), value, values: Values::Names }
}

/// What the dimensions are called and mean.
pub const DIM_SPECS: [FieldSpec; DIMS] = {
    let dims = dims();
    let mut specs = [dims[0].spec; DIMS];
    let mut at = 0;
    while at < DIMS {
        specs[at] = dims[at].spec;
        at += 1;
    }
    specs
};
