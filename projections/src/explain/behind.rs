//! Decisions that a figure was made from before there was any figure that they could change.

use std::collections::BTreeMap;

use pledger_ledger::{outline::Outline, slices::Position};
use serde_json::{Value, json};

use super::{Change, Telling, relevant::Relevant, value};
use crate::{
    accounts::{Account, AccountRowKey, Accounts},
    deals::Deals,
    shard::{At, Fold},
    symbol::Symbol,
};

/// What these decisions brought, by where they stand.
pub(super) fn brought(telling: &Telling<'_>, records: &[Relevant]) -> BTreeMap<Position, Vec<Change>> {
    match telling.figure.view.name {
        "conflicts" if telling.last.values().any(|item| !value(Some(item), "other_account").is_null()) => descriptions(records),
        _ => BTreeMap::new(),
    }
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
