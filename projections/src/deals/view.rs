//! The view `deals`.

use pledger_domain::values::Timestamp;
use serde_json::Value;

use super::{
    dims::{DIM_SPECS, DealFact, dims},
    row::Deal,
};
use crate::{
    cube::{DimValue, Plan},
    figures::{money, text, time, word},
    page::{Selection, cursor, read_cursor},
    query::{Answer, FieldKind::*, FieldSpec, Item, Query, QueryError, Rows, ViewSpec},
};

const NAME: &str = "deals";

/// One item a deal.
pub const VIEW: ViewSpec = ViewSpec {
    name: NAME,
    summary: "One item a deal: whose, on which account, how it stands and since when.",
    key: Some("deal_id"),
    by: &[],
    filters: &DIM_SPECS,
    fields: FIELDS,
    headline: &["deal_id", "account", "partner", "status", "stage", "amount", "product", "region"],
    tables: &["deals"],
    answer,
};

const FIELDS: &[FieldSpec] = &[
    FieldSpec::new("deal_id", Text, "The deal's id."),
    FieldSpec::new("account", Text, "The account's key; null for an imported deal without one."),
    FieldSpec::new("partner", Text, "The partner whose deal it is."),
    FieldSpec::new("sourced_by", Text, "The partner that registered it."),
    FieldSpec::new("product", Text, "The product."),
    FieldSpec::new("region", Text, "The region as recorded at the registration; null where there was none."),
    FieldSpec::new("status", Text, "open, won, lost, rejected, expired or withdrawn."),
    FieldSpec::new("stage", Text, "The stage of the opportunity; the last one of a closed deal."),
    FieldSpec::new("registration", Text, "draft, in_review, action_required, approved or rejected."),
    FieldSpec::new("amount", Money, "The expected value; of a won deal the value won."),
    FieldSpec::new("registered_amount", Money, "The value as registered."),
    FieldSpec::new("gross_margin", Money, "The gross margin of a won deal; null where none was given."),
    FieldSpec::new("estimated", Flag, "Whether an import estimated the amount."),
    FieldSpec::new("historical", Flag, "Whether it is history from before the ledger."),
    FieldSpec::new("registered_at", Time, "When it was registered."),
    FieldSpec::new("submitted_at", Time, "When it was put up for decision, the last time; null for a draft."),
    FieldSpec::new("decided_at", Time, "When it was approved or rejected; null before."),
    FieldSpec::new("closed_at", Time, "When it was won or lost; null before."),
    FieldSpec::new("expected_close", Time, "When the partner expects to close; null where it did not say."),
    FieldSpec::new("sla_due", Time, "Until when a decision is promised; null where none is.")
        .under(&["deal_registration.approval_sla_hours"]),
    FieldSpec::new("sla_breached", Flag, "Whether no decision came in time."),
    FieldSpec::new("protected_until", Time, "Until when it protects its partner; null where it does not.")
        .under(&["deal_registration.protection_days", "deal_registration.extension_days"]),
    FieldSpec::new("expires_at", Time, "When its approval runs out; null where it does not.")
        .under(&["deal_registration.validity_days", "deal_registration.extension_days"]),
    FieldSpec::new("reviewer", Text, "Who decides; null where nobody was named.")
        .under(&["deal_registration.routing", "deal_registration.default_reviewer"]),
    FieldSpec::new("net_new_logo", Flag, "Whether it is the first of the account's won deals to be closed, whenever that was recorded."),
    FieldSpec::new("position", Position, "The last decision that changed it."),
    FieldSpec::new("rules", Count, "The version of the rules of that decision."),
    FieldSpec::new(
        "incomplete_since",
        Position,
        "A record of the account that could not be read; what came after it is left out. Null where all is well.",
    ),
];

/// Every deal there is.
pub fn facts<'a>(rows: &'a Rows<'_>) -> impl Iterator<Item = DealFact<'a>> {
    rows.shards().flat_map(|shard| shard.deals.deals.iter().map(|(key, deal, stand)| DealFact { key, deal, stand }))
}

fn answer(rows: &Rows<'_>, query: &Query) -> Result<Answer, QueryError> {
    if let Some(id) = &query.key {
        return one(rows, id, query);
    }
    let dims = dims();
    let plan = Plan::read(NAME, &dims, &Query { by: Vec::new(), ..query.clone() })?;
    if let Some(dimension) = query.by.first() {
        return Err(QueryError::UnknownDimension { view: NAME, dimension: dimension.clone(), accepted: Vec::new() });
    }
    let after = read_cursor(NAME, query, 2)?;
    let after = after.as_ref().map(|parts| (parts[0].as_str(), parts[1].as_str()));
    let mut selection = Selection::new(after, query.limit);
    for fact in facts(rows).filter(|fact| plan.admits(fact)) {
        selection.push((fact.key.deal.as_str(), fact.key.account.name()), fact);
    }
    let (deals, more) = selection.finish();
    let next = deals.last().filter(|_| more).map(|((deal, account), _)| cursor(&[deal, account]));
    Ok(Answer { items: deals.iter().map(|(_, fact)| item(rows, fact)).collect(), next })
}

/// The deal with this id: of one account where several have it, by the filter `account`.
fn one(rows: &Rows<'_>, id: &str, query: &Query) -> Result<Answer, QueryError> {
    let dims = dims();
    let plan = Plan::read(NAME, &dims, query)?;
    let found: Vec<_> = facts(rows).filter(|fact| fact.key.deal == id && plan.admits(fact)).collect();
    match found.as_slice() {
        [] => Err(QueryError::NotFound { view: NAME, key: id.to_owned() }),
        [fact] => Ok(Answer { items: vec![item(rows, fact)], next: None }),
        several => {
            let mut candidates: Vec<_> = several.iter().map(|fact| format!("account={}", fact.key.account)).collect();
            candidates.sort_unstable();
            Err(QueryError::Ambiguous { view: NAME, key: id.to_owned(), candidates })
        }
    }
}

fn item(rows: &Rows<'_>, fact: &DealFact<'_>) -> Item {
    let DealFact { key, deal, stand } = fact;
    let Deal { currency, .. } = **deal;
    let incomplete = rows.incomplete_since("account", key.account);
    let at = |value: Timestamp| time(Some(value));
    Item(vec![
        ("deal_id", key.deal.as_str().into()),
        ("account", DimValue::name(fact.account()).json()),
        ("partner", deal.partner.name().into()),
        ("sourced_by", deal.sourced_by.name().into()),
        ("product", deal.product.name().into()),
        ("region", text(deal.region.map(|region| region.name()))),
        ("status", word(&deal.status)),
        ("stage", word(&deal.stage)),
        ("registration", word(&deal.registration)),
        ("amount", money(deal.amount.into(), currency)),
        ("registered_amount", money(deal.registered_amount.into(), currency)),
        ("gross_margin", deal.gross_margin.map_or(Value::Null, |margin| money(margin.into(), currency))),
        ("estimated", deal.estimated.into()),
        ("historical", deal.historical.into()),
        ("registered_at", at(deal.registered_at)),
        ("submitted_at", time(deal.submitted_at)),
        ("decided_at", time(deal.decided_at)),
        ("closed_at", time(deal.closed_at)),
        ("expected_close", time(deal.expected_close)),
        ("sla_due", time(deal.sla_due)),
        ("sla_breached", deal.sla_breached.into()),
        ("protected_until", time(deal.protected_until)),
        ("expires_at", time(deal.expires_at)),
        ("reviewer", text(deal.reviewer.map(|reviewer| reviewer.name()))),
        ("net_new_logo", deal.net_new_logo.into()),
        ("position", stand.position.to_string().into()),
        ("rules", stand.rules.into()),
        ("incomplete_since", incomplete.map_or(Value::Null, |position| position.to_string().into())),
    ])
}
