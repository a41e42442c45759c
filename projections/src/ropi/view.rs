//! The view `ropi`.

use hashbrown::HashMap;
use pledger_domain::{
    cost::CostKind,
    partner::Role,
    rules::Rules,
    values::{Currency, Month},
};
use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};

use super::figures::{FIELDS, Figures};
use crate::{
    cube::{Dim, DimValue, Plan, Values},
    lacking::Lacking,
    query::{Answer, FieldKind::Text, FieldSpec, Query, QueryError, Rows, ViewSpec},
    symbol::Symbol,
    tiers::{in_force_at, last_day_of},
};

const NAME: &str = "ropi";

/// Return on partner investment.
pub const VIEW: ViewSpec = ViewSpec {
    name: NAME,
    summary: "Revenue, margin, costs and returns by partner, role, tier, region, month, quarter or year; program-wide costs under partner null.",
    key: None,
    by: &DIM_SPECS,
    filters: &DIM_SPECS,
    fields: FIELDS,
    headline: &["revenue", "gross_margin", "costs", "ropi_revenue", "ropi_margin", "ropi_total"],
    tables: &["deals", "revenue_days", "cost_months", "partners"],
    answer,
};

const DIM_SPECS: [FieldSpec; 8] = [
    FieldSpec::new("partner", Text, "The partner; null for costs of the program as a whole."),
    FieldSpec::new("role", Text, "What the partner does. One of several roles stands under each of them; other groupings never sum roles."),
    FieldSpec::new("tier", Text, "The tier that the partner is awarded; null where none is."),
    FieldSpec::new("region", Text, "The partner's region at the question's time; null where it has none."),
    FieldSpec::new("partner_region", Text, "The same as `region`."),
    FieldSpec::new(
        "month",
        Text,
        "The month in which revenue was recognised or a cost is booked. As of a day, costs of the months that have begun count, whenever they were recorded.",
    ),
    FieldSpec::new("quarter", Text, "Its quarter."),
    FieldSpec::new("year", Text, "Its year."),
];

/// What something counts under.
#[derive(Clone, Copy)]
struct Fact {
    partner: Option<Symbol>,
    role: Option<Role>,
    tier: Option<Symbol>,
    region: Option<Symbol>,
    month: Month,
    currency: Currency,
    figures: Figures,
}

const fn dims() -> [Dim<Fact>; DIM_SPECS.len()] {
    let region: fn(&Fact) -> DimValue = |fact| DimValue::name(fact.region);
    [
        Dim { spec: DIM_SPECS[0], value: |fact| DimValue::name(fact.partner), values: Values::Names },
        Dim {
            spec: DIM_SPECS[1],
            value: |fact| fact.role.map_or(DimValue::Null, |role| DimValue::Word(role as u8, word(role))),
            values: Values::Words(&ROLE_WORDS),
        },
        Dim { spec: DIM_SPECS[2], value: |fact| DimValue::name(fact.tier), values: Values::Names },
        Dim { spec: DIM_SPECS[3], value: region, values: Values::Names },
        Dim { spec: DIM_SPECS[4], value: region, values: Values::Names },
        Dim { spec: DIM_SPECS[5], value: |fact| DimValue::Month(fact.month), values: Values::Months },
        Dim { spec: DIM_SPECS[6], value: |fact| DimValue::quarter(fact.month), values: Values::Quarters },
        Dim { spec: DIM_SPECS[7], value: |fact| DimValue::year(fact.month), values: Values::Years },
    ]
}

const ROLE_WORDS: [&str; 17] = [
    "reseller",
    "var",
    "msp",
    "si",
    "isv",
    "referral",
    "influence",
    "consultant",
    "service",
    "technology",
    "distributor",
    "marketplace",
    "affiliate",
    "ambassador",
    "community",
    "individual",
    "analyst",
];

const fn word(role: Role) -> &'static str {
    ROLE_WORDS[role as usize]
}

/// What a partner is at the question's time.
#[derive(Clone, Copy, Default)]
struct Standing<'a> {
    roles: &'a [Role],
    tier: Option<Symbol>,
    region: Option<Symbol>,
}

fn answer(rows: &Rows<'_>, query: &Query) -> Result<Answer, QueryError> {
    if let Some(key) = &query.key {
        return Err(QueryError::NotFound { view: NAME, key: key.clone() });
    }
    let dims = dims();
    let plan = Plan::read(NAME, &dims, query)?;
    let after = plan.after(NAME, query)?;
    // Roles are filtered by partner, before anything is summed, so that nothing counts twice where they are no group.
    let by_role = query.by.iter().any(|name| name == "role");
    let of_role = Plan::read(NAME, &dims, &only(query, |name| name == "role"))?;
    let of_others = Plan::read(NAME, &dims, &only(query, |name| name != "role"))?;
    let standings = standings(rows);
    let at = query.at.unwrap_or_else(|| last_day_of(rows));
    let rules = &in_force_at(rows, at).rules;
    let facts = || {
        brought_in(rows, rules).chain(costs(rows)).chain(paid_otherwise(rows)).flat_map(|fact| {
            let standing = fact.partner.and_then(|partner| standings.get(&partner)).copied().unwrap_or_default();
            let fact = Fact { tier: standing.tier, region: standing.region, ..fact };
            let mut under: Vec<Fact> = Vec::new();
            if of_others.admits(&fact) {
                let roles = standing.roles.iter().map(|role| Some(*role)).chain(standing.roles.is_empty().then_some(None));
                let under_roles = roles.map(|role| Fact { role, ..fact }).filter(|fact| of_role.admits(fact));
                under.extend(under_roles.take(if by_role { usize::MAX } else { 1 }));
            }
            under
        })
    };
    // The filters are done with; what is left is to group.
    let grouping = Plan::read(NAME, &dims, &Query { filters: Vec::new(), ..query.clone() })?;
    let groups = grouping.group::<Figures, Currency>(facts(), |fact| fact.currency, |sum, fact| sum.add(&fact.figures));
    let answer = plan.page(groups, after, query.limit, Figures::values);
    let lacking = Lacking::of(rows);
    let incomplete =
        facts().filter_map(|fact| Some((fact, lacking.returns(fact.partner, fact.figures.costs[CostKind::Mdf as usize] != 0)?)));
    let mut answer = grouping.tell_incomplete(answer, &lacking, incomplete);
    if query.details {
        let ropi = &rules.ropi;
        let costs =
            [("direct_cac", &ropi.direct_cac), ("partner_cac", &ropi.partner_cac)].map(|(name, cost)| (name, cost.to_string().into()));
        answer.items.iter_mut().for_each(|item| item.0.extend(costs.iter().cloned()));
    }
    Ok(answer)
}

fn only(query: &Query, wanted: impl Fn(&str) -> bool) -> Query {
    Query { filters: query.filters.iter().filter(|(name, _)| wanted(name)).cloned().collect(), ..Query::default() }
}

fn standings<'a>(rows: &'a Rows<'_>) -> HashMap<Symbol, Standing<'a>> {
    let partners = rows.shards().flat_map(|shard| shard.partners.partners.iter());
    partners.map(|(key, row, _)| (key.partner, Standing { roles: &row.roles.0, tier: row.tier, region: row.region })).collect()
}

/// What partners brought in; what a new customer saved is in the reporting currency, whatever its deal's is.
fn brought_in<'a>(rows: &'a Rows<'_>, rules: &'a Rules) -> impl Iterator<Item = Fact> + 'a {
    let (reporting, saved) = (rules.reporting_currency, cac_saved(rules));
    let months = rows.shards().flat_map(|shard| shard.revenue.days().months());
    months.flat_map(move |(key, sum)| {
        let (partner, month) = (Some(key.partner), key.month);
        let fact = |currency, figures| Fact { partner, role: None, tier: None, region: None, month, currency, figures };
        let revenue = fact(key.currency, Figures { brought_in: *sum, ..Figures::default() });
        let logos = (sum.net_new_logos != 0).then(|| {
            let cac_saved = saved * i128::from(sum.net_new_logos);
            fact(reporting, Figures { new_customers: sum.net_new_logos, cac_saved, ..Figures::default() })
        });
        std::iter::once(revenue).chain(logos)
    })
}

/// Direct CAC - partner CAC in minor units, rounded half to even where the rules are finer than the currency.
fn cac_saved(rules: &Rules) -> i128 {
    let unit = Decimal::from(10_i64.pow(rules.reporting_currency.digits()));
    let saved = rules.ropi.direct_cac.checked_sub(rules.ropi.partner_cac).and_then(|saved| saved.checked_mul(unit));
    saved.and_then(|saved| saved.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven).to_i128()).unwrap_or(0)
}

/// What a draft would pay otherwise than recorded.
fn paid_otherwise<'a>(rows: &'a Rows<'_>) -> impl Iterator<Item = Fact> + 'a {
    rows.paid_otherwise().iter().map(|paid| {
        let mut figures = Figures::default();
        figures.costs[CostKind::Mdf as usize] = paid.more;
        let (month, currency) = (paid.month, paid.currency);
        Fact { partner: Some(Symbol::of(&paid.partner)), role: None, tier: None, region: None, month, currency, figures }
    })
}

fn costs<'a>(rows: &'a Rows<'_>) -> impl Iterator<Item = Fact> + 'a {
    let months = rows.shards().flat_map(|shard| shard.costs.months.iter());
    months.filter(|(key, ..)| rows.has_begun(key.month)).map(|(key, row, _)| {
        let mut figures = Figures { listed: row.listed.into(), ..Figures::default() };
        figures.costs[key.kind as usize] = row.amount.into();
        let partner = Some(key.partner).filter(|partner| *partner != Symbol::empty());
        Fact { partner, role: None, tier: None, region: None, month: key.month, currency: key.currency, figures }
    })
}
