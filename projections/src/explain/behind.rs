//! Decisions that a figure was made from before there was any figure that they could change.

use std::collections::{BTreeMap, BTreeSet};

use pledger_domain::stream::StreamName;
use pledger_ledger::{outline::Outline, slices::Position};
use serde_json::{Value, json};

use super::{About, Change, Telling, relevant::Relevant, value};
use crate::{
    accounts::{Account, AccountRowKey, Accounts},
    attribution::LedTo,
    deals::{DealKey, DealStatus, Deals},
    engine::stream_of,
    shard::{At, Fold},
    symbol::Symbol,
};

/// What the streams of accounts begin with.
const ACCOUNT: &str = "account/";
/// What of credits, of one won deal or of several, rests on the touches.
const CREDITS: [&str; 7] = ["weight", "credited", "standing", "credits", "sourced", "influenced", "touched"];

/// What these decisions brought, by where they stand.
pub(super) fn brought(telling: &Telling<'_>, records: &[Relevant]) -> BTreeMap<Position, Vec<Change>> {
    match telling.figure.view.name {
        "conflicts" if telling.last.values().any(|item| !value(Some(item), "other_account").is_null()) => descriptions(records),
        "attribution" => credited(telling, |_| true),
        _ => BTreeMap::new(),
    }
}

/// What the decisions of one stream brought that was folded whole, where credits are told.
pub(super) fn brought_in(telling: &Telling<'_>, stream: &StreamName) -> BTreeMap<Position, Vec<Change>> {
    let is_of_it = |key: &DealKey| stream.as_str().strip_prefix(ACCOUNT) == Some(key.account.name());
    if telling.figure.view.name == "attribution" { credited(telling, is_of_it) } else { BTreeMap::new() }
}

/// Won deals are credited to the touches that led to them, from the registration on. Of several deals each is named.
fn credited(telling: &Telling<'_>, is_asked: impl Fn(&DealKey) -> bool) -> BTreeMap<Position, Vec<Change>> {
    if !telling.fields.iter().any(|field| CREDITS.contains(&field.name)) {
        return BTreeMap::new();
    }
    let (ids, is_named): (BTreeSet<&str>, bool) = match &telling.figure.about {
        About::Id(id) => (BTreeSet::from([id.as_str()]), false),
        About::Ids(ids) => (ids.iter().flatten().map(String::as_str).collect(), true),
        About::Accounts(_) => return BTreeMap::new(),
    };
    let mut brought: BTreeMap<Position, Vec<Change>> = BTreeMap::new();
    let shard = &telling.shard;
    let won = shard.deals.deals.iter().filter(|(key, deal, _)| deal.status == DealStatus::Won && ids.contains(&*key.deal));
    for (key, deal, stand) in won.filter(|(key, ..)| is_asked(key)) {
        let mut bring = |position, field, after| {
            let item = if is_named { BTreeMap::from([("deal", key.deal.as_str().into())]) } else { BTreeMap::new() };
            brought.entry(position).or_default().push(Change { item, field, before: Value::Null, after, reckoned: None });
        };
        bring(deal.registered_by, "registered", json!({"partner": deal.sourced_by.name(), "at": deal.registered_at}));
        let touches = shard.attribution.led_to(stand.position.slice, key, deal);
        touches.iter().zip(1..).for_each(|(touch, place)| bring(touch.position, "touch", described(touch, place, touches.len())));
    }
    brought
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

/// Accounts are alike by what registrations say of them: those that said something new, with what is known since.
fn descriptions(records: &[Relevant]) -> BTreeMap<Position, Vec<Change>> {
    let (mut accounts, deals) = (Accounts::default(), Deals::default());
    let (mut brought, mut parked) = (BTreeMap::new(), BTreeSet::new());
    for Relevant { record, .. } in records {
        let outline = match Outline::decode(&record.body) {
            Ok(Some(outline)) if !parked.contains(&outline.stream) => outline,
            Ok(_) => continue,
            Err(_) => {
                parked.extend(stream_of(&record.body));
                continue;
            }
        };
        let at = At::of(&outline, record.position(), None);
        let key = AccountRowKey { account: at.key };
        let before = accounts.accounts.get(&key).map_or(Value::Null, description);
        accounts.fold(&outline, &at, &deals);
        let after = accounts.accounts.get(&key).map_or(Value::Null, description);
        if before != after {
            let item = BTreeMap::from([("account", at.key.name().into())]);
            brought.insert(at.position, vec![Change { item, field: "described_as", before, after, reckoned: None }]);
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
