//! Keys near to one that a view does not have.

use super::metric::nearest;
use crate::{
    query::{Rows, ViewSpec},
    symbol::Symbol,
};

/// How much longer or shorter a key may be to be looked at: a ledger has millions.
const LONGER: usize = 3;

/// The keys of a view that are near enough to be meant, the nearest first.
#[must_use]
pub fn nearest_keys(rows: &Rows<'_>, view: &ViewSpec, key: &str) -> Vec<String> {
    let is_near = |known: &&str| known.len().abs_diff(key.len()) <= LONGER;
    let partners = || rows.shards().flat_map(|shard| shard.partners.partners.iter().map(|(key, ..)| Symbol::name(key.partner)));
    let deals = || rows.shards().flat_map(|shard| shard.deals.deals.iter().map(|(key, ..)| key.deal.as_str()));
    let found = match view.name {
        "partners" | "tiers" | "ropi" => nearest(key, partners().filter(is_near)),
        "deals" | "attribution" => nearest(key, deals().filter(is_near)),
        "mdf" => nearest(
            key,
            rows.shards().flat_map(|shard| shard.funds.budgets.iter().map(|(key, ..)| Symbol::name(key.budget))).filter(is_near),
        ),
        "conflicts" => {
            let account = key.split_once(',').map_or(key, |(account, _)| account);
            let accounts = rows.shards().flat_map(|shard| shard.conflicts.conflicts.iter().map(|(key, ..)| Symbol::name(key.account)));
            nearest(account, accounts.filter(|known| known.len().abs_diff(account.len()) <= LONGER))
        }
        // Groups are named by their dimensions.
        _ => Vec::new(),
    };
    found.into_iter().map(str::to_owned).collect()
}
