//! Every partner held against the tiers, as a typed reading.

use std::{collections::BTreeMap, sync::Arc};

use pledger_domain::{
    partner::TierInputs,
    rules::RuleSet,
    values::{TierName, Timestamp},
};

use super::{standing::in_force_at, view::facts};
use crate::query::Rows;

/// The partners, held against the rules that govern at one time.
#[derive(Clone, Debug)]
pub struct Held {
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// Every partner that was nominated or registered, by its id.
    pub partners: BTreeMap<String, HeldPartner>,
}

/// What a partner's figures earn.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldPartner {
    /// Its legal name.
    pub name: String,
    /// The tier that it was awarded.
    pub awarded: Option<String>,
    /// Its figures over the rules' window.
    pub inputs: TierInputs,
    /// The tier that they earn.
    pub earned: Option<TierName>,
}

impl Held {
    /// The reading at `at`.
    #[must_use]
    pub fn read(rows: &Rows<'_>, at: Timestamp) -> Self {
        let rules = in_force_at(rows, at);
        let partner = |fact: super::view::Fact<'_>| {
            let awarded = fact.row.tier.map(|tier| tier.name().to_owned());
            let earned = fact.earned.map(|tier| tier.name.clone());
            (fact.partner.name().to_owned(), HeldPartner { name: fact.row.name.to_string(), awarded, inputs: fact.inputs, earned })
        };
        let partners = facts(rows, at, &rules).into_iter().map(partner).collect();
        Self { rules, partners }
    }
}
