//! Which credit goes to another party.

use std::collections::{BTreeMap, BTreeSet};

use pledger_domain::{rules::AttributionRules, values::Currency};
use serde::Serialize;
use serde_json::Value;

use crate::{
    attribution::{
        Totals,
        models::{Model, Party},
    },
    figures::money,
    query::Rows,
};

/// A party's credit in one model and currency: how many deals, and how much in minor units.
pub(super) type Credits = BTreeMap<CreditKey, (i64, i128)>;

/// Partner or channel, model, currency.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CreditKey {
    model: Model,
    partner: Option<&'static str>,
    channel: Option<&'static str>,
    currency: Currency,
}

/// A party whose credit differs. What parties gain in a model and currency, others lose, to the minor unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CreditShift {
    /// The model.
    pub model: &'static str,
    /// The credited partner; null where a channel is credited.
    pub partner: Option<&'static str>,
    /// The credited channel; null where a partner is credited.
    pub channel: Option<&'static str>,
    /// How many deals credit it as recorded, and under the draft.
    pub deals_before: i64,
    /// Under the draft.
    pub deals_after: i64,
    /// With how much, as recorded.
    pub before: Value,
    /// Under the draft.
    pub after: Value,
    /// What it gains; negative where it loses.
    pub gains: Value,
    /// The same in minor units, for sums.
    #[serde(skip)]
    pub gained_minor: i128,
    /// Its currency.
    #[serde(skip)]
    pub currency: Currency,
}

/// The credits of all won deals.
pub(super) fn credits(rows: &Rows<'_>) -> Credits {
    let mut credits = Credits::new();
    rows.shards().for_each(|shard| add(&mut credits, shard.attribution.totals()));
    credits
}

/// The same, had these rules governed when each of them was won.
pub(super) fn credits_under(rows: &Rows<'_>, rules: &AttributionRules) -> Credits {
    let mut credits = Credits::new();
    rows.shards().for_each(|shard| add(&mut credits, &shard.attribution.totals_under(rules, &shard.deals)));
    credits
}

fn add(credits: &mut Credits, totals: &Totals) {
    for (key, total) in totals.iter() {
        let (partner, channel) = match key.party {
            Party::Partner(partner) => (Some(partner.name()), None),
            Party::Channel(channel) => (None, Some(channel.name())),
        };
        for model in Model::ALL {
            if total.credits[model] != 0 {
                let sum = credits.entry(CreditKey { model, partner, channel, currency: key.currency }).or_default();
                sum.0 += total.credits[model];
                sum.1 += total.credited[model];
            }
        }
    }
}

/// The parties whose credit differs, by model.
pub(super) fn shifts(before: &Credits, after: &Credits) -> Vec<CreditShift> {
    let keys: BTreeSet<&CreditKey> = before.keys().chain(after.keys()).collect();
    let shift = |key: &CreditKey| {
        let [was, is] = [before, after].map(|credits| credits.get(key).copied().unwrap_or_default());
        (was != is).then(|| CreditShift {
            model: key.model.word(),
            partner: key.partner,
            channel: key.channel,
            deals_before: was.0,
            deals_after: is.0,
            before: money(was.1, key.currency),
            after: money(is.1, key.currency),
            gains: money(is.1 - was.1, key.currency),
            gained_minor: is.1 - was.1,
            currency: key.currency,
        })
    };
    keys.into_iter().filter_map(shift).collect()
}
