//! The streams that rows say a figure stands on, so that the ledger need not be searched for them.

use std::collections::BTreeSet;

use compact_str::CompactString;
use pledger_domain::stream::StreamName;

use super::COSTS_OF_ALL;
use crate::{query::Rows, symbol::Symbol};

/// The streams that rows know to name one of these ids: partners, deals, accounts or budgets. What rows do not keep, such as
/// whose a deal was before, is not among them.
#[must_use]
pub fn streams_naming(rows: &Rows<'_>, view: &str, ids: &[&str]) -> BTreeSet<StreamName> {
    let symbols: BTreeSet<Symbol> = ids.iter().map(|id| Symbol::of(id)).collect();
    let ids: BTreeSet<&str> = ids.iter().copied().collect();
    let mut accounts: BTreeSet<Symbol> = BTreeSet::new();
    let mut funds: BTreeSet<Symbol> = BTreeSet::new();
    for shard in rows.shards() {
        for (key, deal, _) in shard.deals.deals.iter() {
            if symbols.contains(&deal.partner) || symbols.contains(&deal.sourced_by) || ids.contains(&*key.deal) {
                accounts.insert(key.account);
            }
        }
        let revenue = shard.revenue.recorded.iter().filter(|(key, ..)| symbols.contains(&key.partner));
        accounts.extend(revenue.map(|(key, ..)| key.account));
        let named = |partner: Option<Symbol>| partner.is_some_and(|partner| symbols.contains(&partner));
        let touches = shard.attribution.touchpoints.iter().filter(|(_, touch, _)| named(touch.partner));
        accounts.extend(touches.map(|(key, ..)| key.account));
        let contenders = shard.conflicts.contenders.iter().filter(|(_, contender, _)| named(contender.partner));
        accounts.extend(contenders.map(|(key, ..)| key.account));
        let allocations = shard.funds.allocations.iter().filter(|(_, allocation, _)| symbols.contains(&allocation.partner));
        funds.extend(allocations.map(|(key, ..)| key.budget));
    }
    let partners = if view == "tiers" { certifying(rows, &symbols) } else { BTreeSet::new() };
    let partners = partners.iter().map(|partner| format!("partner/{}", partner.name()));
    let named = ids.iter().flat_map(|id| ["partner", "cost", "account", "fund"].map(|kind| format!("{kind}/{id}")));
    let accounts = accounts.iter().map(|account| format!("account/{}", account.name()));
    let funds = funds.iter().map(|fund| format!("fund/{}", fund.name()));
    let names = named.chain([COSTS_OF_ALL.to_owned()]).chain(accounts).chain(funds).chain(partners);
    names.filter_map(|name| StreamName::parse(&name).ok()).collect()
}

/// Who certified the persons that these partners certified: a person counts for one partner, and what others certified it for
/// tells which.
fn certifying(rows: &Rows<'_>, partners: &BTreeSet<Symbol>) -> BTreeSet<Symbol> {
    let all = || rows.shards().flat_map(|shard| shard.partners.certifications.iter()).map(|(key, ..)| key);
    let persons: BTreeSet<&CompactString> = all().filter(|key| partners.contains(&key.partner)).map(|key| &key.person).collect();
    all().filter(|key| persons.contains(&key.person)).map(|key| key.partner).collect()
}
