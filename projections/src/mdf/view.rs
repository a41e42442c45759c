//! The view `mdf`.

use pledger_domain::values::Currency;
use pledger_ledger::slices::Position;

use super::{
    campaigns::{Linked, linked, touched},
    figures::{FIELDS, Figures},
    row::{FundRequest, FundRequestStatus},
};
use crate::{
    cube::{Dim, DimValue, Plan, Values},
    lacking::Lacking,
    query::{Answer, FieldKind::Text, FieldSpec, Query, QueryError, Rows, ViewSpec},
    symbol::Symbol,
};

const NAME: &str = "mdf";
const BUDGET: &str = "budget_id";

/// Market development funds.
pub const VIEW: ViewSpec = ViewSpec {
    name: NAME,
    summary: "Budgets and what became of them, by budget, allocation, partner or campaign; with what campaigns brought.",
    key: Some("budget_id"),
    by: &DIM_SPECS,
    filters: &DIM_SPECS,
    fields: FIELDS,
    headline: &["budget", "allocated", "approved", "claimed", "paid", "available"],
    tables: &["deals", "touchpoints", "deal_refunds", "mdf_budgets", "mdf_allocations", "mdf_requests", "mdf_claims"],
    answer,
};

/// What figures are given by where nothing is asked for.
pub(super) const BUDGET_ID: FieldSpec = FieldSpec::new(BUDGET, Text, "The budget. The grouping where none is asked for.");

const DIM_SPECS: [FieldSpec; 4] = [
    BUDGET_ID,
    FieldSpec::new("allocation_id", Text, "The allocation."),
    FieldSpec::new("partner", Text, "The partner that money was set aside for."),
    FieldSpec::new("campaign", Text, "The campaign that a request pays for; null where it names none."),
];

/// Something that counts under these.
struct Fact {
    budget: Option<Symbol>,
    allocation: Option<Symbol>,
    partner: Option<Symbol>,
    campaign: Option<Symbol>,
    currency: Currency,
    figures: Figures,
}

const fn dims() -> [Dim<Fact>; DIM_SPECS.len()] {
    [
        Dim { spec: DIM_SPECS[0], value: |fact| DimValue::name(fact.budget), values: Values::Names },
        Dim { spec: DIM_SPECS[1], value: |fact| DimValue::name(fact.allocation), values: Values::Names },
        Dim { spec: DIM_SPECS[2], value: |fact| DimValue::name(fact.partner), values: Values::Names },
        Dim { spec: DIM_SPECS[3], value: |fact| DimValue::name(fact.campaign), values: Values::Names },
    ]
}

fn answer(rows: &Rows<'_>, query: &Query) -> Result<Answer, QueryError> {
    let mut query = query.clone();
    if query.by.is_empty() {
        query.by.push(BUDGET.to_owned());
    }
    query.filters.extend(query.key.iter().map(|key| (BUDGET.to_owned(), key.clone())));
    let dims = dims();
    let plan = Plan::read(NAME, &dims, &query)?;
    let after = plan.after(NAME, &query)?;
    let names: Vec<&str> = query.by.iter().chain(query.filters.iter().map(|(name, _)| name)).map(String::as_str).collect();
    let groups = plan.group::<Figures, Currency>(facts(rows, &names).into_iter(), |fact| fact.currency, |sum, fact| sum.add(&fact.figures));
    let answer = plan.page(groups, after, query.limit, Figures::values);
    let lacking = Lacking::of(rows);
    let incomplete = if lacking.is_nothing() { Vec::new() } else { incomplete(rows, &names, &lacking) };
    let answer = plan.tell_incomplete(answer, &lacking, incomplete.into_iter());
    match query.key {
        Some(key) if answer.items.is_empty() => Err(QueryError::NotFound { view: NAME, key }),
        _ => Ok(answer),
    }
}

/// What counts of budgets, and of campaigns, that lack a record.
fn incomplete(rows: &Rows<'_>, names: &[&str], lacking: &Lacking) -> Vec<(Fact, Position)> {
    let of_funds = facts(rows, names).into_iter().filter_map(|fact| lacking.budget(fact.budget?).map(|since| (fact, since)));
    let of_campaigns = touched(rows, lacking).into_iter();
    of_funds.chain(of_campaigns.map(|(campaign, since)| (of_campaign(campaign, Currency::USD, Figures::default()), since))).collect()
}

/// What counts where these dimensions are asked for: a budget is no part of anything narrower than itself.
fn facts(rows: &Rows<'_>, names: &[&str]) -> Vec<Fact> {
    let within = |dims: &[&str]| names.iter().all(|name| dims.contains(name));
    let mut facts = Vec::new();
    for shard in rows.shards() {
        if within(&[BUDGET]) {
            facts.extend(shard.funds.budgets.iter().map(|(key, row, _)| {
                let figures = Figures { budget: Some(row.amount.into()), allocated: Some(0), ..Figures::default() };
                Fact { budget: Some(key.budget), allocation: None, partner: None, campaign: None, currency: row.currency, figures }
            }));
        }
        if within(&[BUDGET, "allocation_id", "partner"]) {
            facts.extend(shard.funds.allocations.iter().map(|(key, row, _)| {
                let figures = Figures { allocated: Some(row.amount.into()), ..Figures::default() };
                let (budget, allocation, partner) = (Some(key.budget), Some(key.allocation), Some(row.partner));
                Fact { budget, allocation, partner, campaign: None, currency: row.currency, figures }
            }));
        }
        facts.extend(shard.funds.requests.iter().map(|(key, row, _)| request(key.budget, row)));
    }
    // What a campaign brought belongs to no partner and no budget.
    if within(&["campaign"]) {
        facts.iter_mut().filter(|fact| fact.campaign.is_some()).for_each(|fact| fact.figures.linked = Some(Linked::default()));
        facts.extend(
            linked(rows).into_iter().map(|((campaign, currency), linked)| {
                of_campaign(campaign, currency, Figures { linked: Some(linked), ..Figures::default() })
            }),
        );
    }
    facts
}

const fn of_campaign(campaign: Symbol, currency: Currency, figures: Figures) -> Fact {
    Fact { budget: None, allocation: None, partner: None, campaign: Some(campaign), currency, figures }
}

fn request(budget: Symbol, row: &FundRequest) -> Fact {
    let requested = match row.status {
        FundRequestStatus::Draft | FundRequestStatus::Canceled => 0,
        FundRequestStatus::InReview
        | FundRequestStatus::ActionRequired
        | FundRequestStatus::Approved
        | FundRequestStatus::Closed
        | FundRequestStatus::Rejected => row.requested.into(),
    };
    let figures = Figures {
        requested,
        approved: row.approved.into(),
        released: row.released.into(),
        claimed: row.claimed.into(),
        paid: row.paid.into(),
        ..Figures::default()
    };
    let (budget, allocation, partner) = (Some(budget), Some(row.allocation), Some(row.partner));
    Fact { budget, allocation, partner, campaign: row.campaign, currency: row.currency, figures }
}
