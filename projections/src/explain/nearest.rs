//! What is said of a key that a view does not have: what it would be of, and those near to it.

use std::{collections::HashSet, fmt};

use super::metric::nearest;
use crate::{
    query::{Rows, ViewSpec},
    symbol::Symbol,
};

/// How much longer or shorter a key may be to be looked at: a ledger has millions.
const LONGER: usize = 3;

/// How near a key has to be to be named: it is told as the nearest there is, and not as the one that is meant.
const NEAR: f64 = 0.7;
/// The most letters of an unknown key that are repeated.
const MAX_SHOWN: usize = 80;

/// A key that a view does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// What it would be of.
    kind: &'static str,
    key: String,
    /// The nearest keys that there are, the nearest first.
    pub nearest: Vec<String>,
}

impl UnknownKey {
    /// Of a key that is no `kind`, with those of these names that are near it.
    pub fn among<'n>(kind: &'static str, key: &str, names: impl Iterator<Item = &'n str>) -> Self {
        let near = nearest_names(key, names).into_iter().map(str::to_owned).collect();
        Self { kind, key: key.chars().take(MAX_SHOWN).collect(), nearest: near }
    }
}

/// Whether a name is about as long as a key: no other is looked at.
#[must_use]
pub fn may_be_near(key: &str, name: &str) -> bool {
    name.len().abs_diff(key.len()) <= LONGER
}

fn nearest_names<'n>(key: &str, names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    nearest(key, names.filter(|name| may_be_near(key, name)), NEAR)
}

/// `no partner p-999; nearest: p-099, p-199`.
impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {} {}", self.kind, self.key)?;
        if self.nearest.is_empty() { Ok(()) } else { write!(f, "; nearest: {}", self.nearest.join(", ")) }
    }
}

/// What there is in place of an unknown key of a view, or of a group's value that its dimension does not have.
#[must_use]
pub fn unknown_key(rows: &Rows<'_>, view: &ViewSpec, key: &str) -> Option<UnknownKey> {
    let kind = match view.name {
        "conflicts" => "conflict",
        _ if key == "all" => return None,
        _ if key.contains('=') => {
            return key.split(',').filter_map(|pair| pair.split_once('=')).find_map(|(name, value)| unknown_value(rows, name, value));
        }
        "partners" | "tiers" | "ropi" => "partner",
        "deals" | "attribution" => "deal",
        "mdf" => "budget",
        _ => return None,
    };
    Some(UnknownKey { kind, key: key.chars().take(MAX_SHOWN).collect(), nearest: nearest_keys(rows, view, key) })
}

/// What there is in place of a value that nothing has in a dimension of names; none in the others, whose values are words or months,
/// which are refused where they are none.
#[must_use]
pub fn unknown_value(rows: &Rows<'_>, dimension: &str, value: &str) -> Option<UnknownKey> {
    let deals = || rows.shards().flat_map(|shard| shard.deals.deals.iter());
    let partners = || rows.shards().flat_map(|shard| shard.partners.partners.iter());
    let regions = || partners().filter_map(|(_, partner, _)| partner.region);
    let (kind, names): (_, HashSet<&str>) = match dimension {
        "partner" | "sourced_by" => ("partner", partners().map(|(key, ..)| Symbol::name(key.partner)).collect()),
        "account" => ("account", deals().map(|(key, ..)| Symbol::name(key.account)).collect()),
        "deal" => ("deal", deals().map(|(key, ..)| key.deal.as_str()).collect()),
        "product" => ("product", deals().map(|(_, deal, _)| Symbol::name(deal.product)).collect()),
        "region" | "partner_region" => {
            ("region", deals().filter_map(|(_, deal, _)| deal.region).chain(regions()).map(Symbol::name).collect())
        }
        "country" => ("country", partners().filter_map(|(_, partner, _)| partner.country).map(Symbol::name).collect()),
        _ => return None,
    };
    // A question of its own keeps no more rows than it needs, and the empty value asks for what has none.
    let says_nothing = names.is_empty() || value.is_empty() || names.contains(value);
    (!says_nothing).then(|| UnknownKey::among(kind, value, names.into_iter()))
}

/// The keys of a view that are nearest.
fn nearest_keys(rows: &Rows<'_>, view: &ViewSpec, key: &str) -> Vec<String> {
    let partners = || rows.shards().flat_map(|shard| shard.partners.partners.iter().map(|(key, ..)| Symbol::name(key.partner)));
    let deals = || rows.shards().flat_map(|shard| shard.deals.deals.iter().map(|(key, ..)| key.deal.as_str()));
    let found = match view.name {
        "partners" | "tiers" | "ropi" => nearest_names(key, partners()),
        "deals" | "attribution" => nearest_names(key, deals()),
        "mdf" => nearest_names(key, rows.shards().flat_map(|shard| shard.funds.budgets.iter().map(|(key, ..)| Symbol::name(key.budget)))),
        "conflicts" => {
            let account = key.split_once(',').map_or(key, |(account, _)| account);
            let accounts = rows.shards().flat_map(|shard| shard.conflicts.conflicts.iter().map(|(key, ..)| Symbol::name(key.account)));
            nearest_names(account, accounts)
        }
        // Groups are named by their dimensions.
        _ => Vec::new(),
    };
    found.into_iter().map(str::to_owned).collect()
}
