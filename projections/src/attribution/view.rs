//! The view `attribution`.

use pledger_domain::values::{Currency, Month};
use serde_json::Value;

use super::{
    detail,
    journey::Standing,
    models::{Model, Party},
    totals::Totals,
};
use crate::{
    cube::{Dim, DimValue, Plan, Values},
    figures::money,
    lacking::{INCOMPLETE_SINCE, Lacking},
    query::{Answer, FieldKind::*, FieldSpec, Query, QueryError, Rows, ViewSpec},
    symbol::Symbol,
};

pub(super) const NAME: &str = "attribution";

/// Who won deals are credited to.
pub const VIEW: ViewSpec = ViewSpec {
    name: NAME,
    summary: "Credits of won deals: one item a deal, model and credited party; with `by` other than the deal, sums a model.",
    key: None,
    by: &BY,
    filters: &FILTERS,
    fields: FIELDS,
    headline: &["deal", "partner", "channel", "model", "weight", "credited"],
    tables: &["deals", "touchpoints", "attribution_rules"],
    answer,
};

const DEAL: FieldSpec = FieldSpec::new("deal", Text, "The won deal.");
const PARTNER: FieldSpec = FieldSpec::new("partner", Text, "The credited partner; null where a channel is credited.");
const CHANNEL: FieldSpec = FieldSpec::new("channel", Text, "The credited channel, of touchpoints that name no partner; else null.");
const MODEL: FieldSpec =
    FieldSpec::new("model", Text, "first, last, linear, u_shaped, w_shaped or time_decay. Always given: models are never added up.");
const QUARTER: FieldSpec = FieldSpec::new("quarter", Text, "The quarter of the close.");
const ACCOUNT: FieldSpec = FieldSpec::new("account", Text, "The account's key; null for an imported deal without one.");
const STANDING: FieldSpec = FieldSpec::new("standing", Text, "sourced, influenced or neither.");

const BY: [FieldSpec; 5] = [DEAL, PARTNER, CHANNEL, MODEL, QUARTER];
const FILTERS: [FieldSpec; 7] = [DEAL, PARTNER, CHANNEL, MODEL, QUARTER, ACCOUNT, STANDING];

const FIELDS: &[FieldSpec] = &[
    DEAL,
    PARTNER,
    CHANNEL,
    MODEL,
    QUARTER,
    FieldSpec::new("currency", Text, "The currency; a group has one item a currency, they are never added up."),
    FieldSpec::new("weight", Decimal, "Of one deal: the party's part of it. A deal's weights add up to exactly 1 a model.")
        .computed("(party_shares) / (all_shares)")
        .under(&["attribution"]),
    FieldSpec::new(
        "credited",
        Money,
        "The party's part of the amount won, to the minor unit; those that are rounded up are the ones that rounding takes most from.",
    )
    .computed("apportioned(weight * amount)")
    .under(&["attribution"]),
    FieldSpec::new("account", Text, "Of one deal: the account's key; null for an imported deal without one."),
    FieldSpec::new("standing", Text, "Of one deal: sourced, influenced or neither."),
    FieldSpec::new("amount", Money, "Of one deal: what it was won for."),
    FieldSpec::new("closed_at", Time, "Of one deal: when it was won."),
    FieldSpec::new("credits", Count, "Of a sum: how many credits; a deal gives one to each party."),
    FieldSpec::new("sourced", Money, "Of a sum: credited on deals whose first qualifying act is a partner's registration or referral."),
    FieldSpec::new("influenced", Money, "Of a sum: credited on deals that a partner touched and none sourced."),
    FieldSpec::new("touched", Money, "Of a sum: sourced and influenced together.").computed("sourced + influenced"),
    INCOMPLETE_SINCE,
];

/// One model's credit, or a sum of such.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fact {
    /// The account of the deal, unless it is a sum or the deal has none.
    pub(super) account: Option<Symbol>,
    pub(super) party: Party,
    pub(super) model: Model,
    pub(super) quarter: Month,
    pub(super) standing: Standing,
    pub(super) currency: Currency,
    pub(super) credits: i64,
    pub(super) credited: i128,
}

const STANDINGS: &[&str] = &["sourced", "influenced", "neither"];

pub(super) const fn dims() -> [Dim<Fact>; FILTERS.len()] {
    [
        // Deals are told apart before facts are made of them: their ids are no symbols.
        Dim { spec: DEAL, value: |_| DimValue::Null, values: Values::Names },
        Dim {
            spec: PARTNER,
            value: |fact| match fact.party {
                Party::Partner(partner) => DimValue::Name(partner),
                Party::Channel(_) => DimValue::Null,
            },
            values: Values::Names,
        },
        Dim {
            spec: CHANNEL,
            value: |fact| match fact.party {
                Party::Partner(_) => DimValue::Null,
                Party::Channel(channel) => DimValue::Name(channel),
            },
            values: Values::Names,
        },
        Dim { spec: MODEL, value: |fact| DimValue::Word(fact.model as u8, fact.model.word()), values: Values::Words(&Model::WORDS) },
        Dim { spec: QUARTER, value: |fact| DimValue::Quarter(fact.quarter), values: Values::Quarters },
        Dim { spec: ACCOUNT, value: |fact| DimValue::name(fact.account), values: Values::Names },
        Dim { spec: STANDING, value: |fact| DimValue::Word(fact.standing as u8, fact.standing.word()), values: Values::Words(STANDINGS) },
    ]
}

fn answer(rows: &Rows<'_>, query: &Query) -> Result<Answer, QueryError> {
    if let Some(key) = &query.key {
        return Err(QueryError::NotFound { view: NAME, key: key.clone() });
    }
    let (deals, others): (Vec<_>, Vec<_>) = query.filters.iter().cloned().partition(|(name, _)| name == DEAL.name);
    let deals: Vec<String> = deals.into_iter().map(|(_, id)| id).collect();
    let by_deal = query.by.is_empty() || query.by.iter().any(|name| name == DEAL.name);
    let mut by = query.by.clone();
    by.push(MODEL.name.to_owned());
    if let Some(dimension) = by.iter().find(|name| !BY.iter().any(|spec| spec.name == **name)) {
        let accepted = BY.iter().map(|spec| spec.name).collect();
        return Err(QueryError::UnknownDimension { view: NAME, dimension: dimension.chars().take(80).collect(), accepted });
    }
    let query = Query { by, filters: others, ..query.clone() };
    let wanted = detail::Wanted { rows, query: &query, deals: &deals };
    if by_deal { wanted.answer() } else { grouped(&wanted) }
}

fn grouped(wanted: &detail::Wanted<'_, '_>) -> Result<Answer, QueryError> {
    let dims = dims();
    let plan = Plan::read(NAME, &dims, wanted.query)?;
    let after = plan.after(NAME, wanted.query)?;
    let currency = |fact: &Fact| fact.currency;
    let few = !wanted.deals.is_empty() || wanted.query.filters.iter().any(|(name, _)| name == ACCOUNT.name);
    let groups = if few {
        let deals = wanted.every_deal()?;
        let facts = deals.iter().flat_map(|(key, deal)| detail::facts(key, deal).map(|(fact, _)| fact));
        plan.group::<Sums, Currency>(facts, currency, Sums::add)
    } else {
        let facts = wanted.rows.shards().flat_map(|shard| totals(shard.attribution.totals()));
        plan.group::<Sums, Currency>(facts, currency, Sums::add)
    };
    let answer = plan.page(groups, after, wanted.query.limit, Sums::values);
    let lacking = Lacking::of(wanted.rows);
    let incomplete = wanted.lacking(&lacking);
    let incomplete =
        incomplete.flat_map(|(key, deal, since)| detail::facts(key, &deal).map(move |(fact, _)| (fact, since)).collect::<Vec<_>>());
    Ok(plan.tell_incomplete(answer, &lacking, incomplete))
}

/// The sums of a shard, a fact a model.
fn totals(totals: &Totals) -> impl Iterator<Item = Fact> {
    totals.iter().flat_map(|(key, total)| {
        let fact = |model| Fact {
            account: None,
            party: key.party,
            model,
            quarter: key.quarter,
            standing: key.standing,
            currency: key.currency,
            credits: total.credits[model],
            credited: total.credited[model],
        };
        Model::ALL.into_iter().map(fact).filter(|fact| fact.credits != 0)
    })
}

/// The sums of a group.
#[derive(Debug, Default)]
struct Sums {
    credits: i64,
    credited: i128,
    sourced: i128,
    influenced: i128,
}

impl Sums {
    fn add(&mut self, fact: &Fact) {
        self.credits += fact.credits;
        self.credited += fact.credited;
        match fact.standing {
            Standing::Sourced => self.sourced += fact.credited,
            Standing::Influenced => self.influenced += fact.credited,
            Standing::Neither => {}
        }
    }

    fn values(self, currency: Currency) -> Vec<(&'static str, Value)> {
        vec![
            ("credits", self.credits.into()),
            ("credited", money(self.credited, currency)),
            ("sourced", money(self.sourced, currency)),
            ("influenced", money(self.influenced, currency)),
            ("touched", money(self.sourced + self.influenced, currency)),
        ]
    }
}
