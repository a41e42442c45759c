//! Decisions that a figure was made from before there was any figure that they could change.

use std::collections::BTreeMap;

use pledger_domain::account::AccountEvent;
use pledger_ledger::{
    outline::Outline,
    record::{Events, Outcome},
    slices::Position,
};
use serde_json::{Value, json};

use super::{Change, Telling, relevant::Relevant, value};
use crate::{
    accounts::{Account, AccountRowKey, Accounts},
    attribution::LedTo,
    deals::{DealKey, DealStatus, Deals},
    query::Query,
    shard::{At, Fold},
    symbol::Symbol,
};

/// What of a won deal rests on its touches.
const CREDITS: [&str; 3] = ["weight", "credited", "standing"];

/// What these decisions brought, by where they stand.
pub(super) fn brought(telling: &Telling<'_>, records: &[Relevant]) -> BTreeMap<Position, Vec<Change>> {
    match telling.figure.view.name {
        "conflicts" if telling.last.values().any(|item| !value(Some(item), "other_account").is_null()) => descriptions(records),
        "attribution" if telling.fields.iter().any(|field| CREDITS.contains(&field.name)) => credited(telling, records),
        _ => BTreeMap::new(),
    }
}

/// A won deal is credited to the touches that led to it, from the registration on.
fn credited(telling: &Telling<'_>, records: &[Relevant]) -> BTreeMap<Position, Vec<Change>> {
    let Query { by, filters, .. } = &telling.figure.query;
    let Some((_, id)) = filters.iter().find(|(name, _)| by.is_empty() && name == "deal") else { return BTreeMap::new() };
    let mut brought = BTreeMap::new();
    let shard = &telling.shard;
    for (key, deal, stand) in shard.deals.deals.iter().filter(|(key, deal, _)| *id == key.deal && deal.status == DealStatus::Won) {
        let registered = records.iter().filter(|relevant| registers(relevant, key)).map(|relevant| relevant.record.position());
        let by = json!({"partner": deal.sourced_by.name(), "at": deal.registered_at});
        brought.extend(registered.map(|position| (position, vec![came("registered", by.clone())])));
        let touches = shard.attribution.led_to(stand.position.slice, key, deal);
        let number = touches.len();
        brought
            .extend(touches.iter().zip(1..).map(|(touch, place)| (touch.position, vec![came("touch", described(touch, place, number))])));
    }
    brought
}

/// Whether the deal was registered by this decision.
fn registers(relevant: &Relevant, deal: &DealKey) -> bool {
    let Ok(Some(outline)) = Outline::decode(&relevant.record.body) else { return false };
    let Outcome::Accepted(Events::Account(events)) = &outline.outcome else { return false };
    let is_it =
        |event: &AccountEvent| matches!(event, AccountEvent::DealRegistered(registered) if registered.deal_id.as_str() == deal.deal);
    outline.stream.key() == deal.account.name() && events.iter().any(is_it)
}

/// Who touched it, as which of how many touches, how, when, and how long before the close.
fn described(touch: &LedTo<'_>, place: usize, number: usize) -> Value {
    let LedTo { row, age_days, .. } = touch;
    let (partner, channel) = (row.partner.map(Symbol::name), row.channel.map(Symbol::name));
    let mut described = json!({"place": place, "of": number, "kind": row.kind.name(), "at": row.occurred_at, "age_days": age_days});
    for (name, text) in [("partner", partner), ("channel", channel)].into_iter().filter_map(|(name, text)| Some((name, text?))) {
        described[name] = text.into();
    }
    described
}

const fn came(field: &'static str, after: Value) -> Change {
    Change { item: BTreeMap::new(), field, before: Value::Null, after }
}

/// Accounts are alike by what registrations say of them: those that said something new, with what is known since.
fn descriptions(records: &[Relevant]) -> BTreeMap<Position, Vec<Change>> {
    let (mut accounts, deals) = (Accounts::default(), Deals::default());
    let mut brought = BTreeMap::new();
    for Relevant { record, .. } in records {
        let Ok(Some(outline)) = Outline::decode(&record.body) else { continue };
        let at = At { position: record.position(), key: Symbol::of(outline.stream.key()), rules: None };
        let key = AccountRowKey { account: at.key };
        let before = accounts.accounts.get(&key).map_or(Value::Null, description);
        accounts.fold(&outline, &at, &deals);
        let after = accounts.accounts.get(&key).map_or(Value::Null, description);
        if before != after {
            let item = BTreeMap::from([("account", at.key.name().into())]);
            brought.insert(at.position, vec![Change { item, field: "described_as", before, after }]);
        }
    }
    brought
}

/// The name with what is compared of it, and what else is known.
fn description(account: &Account) -> Value {
    let mut described = json!({"name": account.name, "compared_as": account.comparable});
    let known = [("country", &account.country), ("duns", &account.duns)];
    for (name, text) in known.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
        described[name] = text.as_str().into();
    }
    described
}
