//! The streams that rows say a figure stands on, so that the ledger need not be searched for them.

use std::collections::BTreeSet;

use pledger_domain::stream::StreamName;

use crate::{query::Rows, symbol::Symbol};

/// The streams that rows know to name an id: a partner, a deal, an account or a budget. What rows do not keep, such as whose
/// a deal was before, is not among them.
#[must_use]
pub fn streams_naming(rows: &Rows<'_>, id: &str) -> BTreeSet<StreamName> {
    let symbol = Symbol::of(id);
    let mut accounts: BTreeSet<Symbol> = BTreeSet::new();
    let mut funds: BTreeSet<Symbol> = BTreeSet::new();
    for shard in rows.shards() {
        for (key, deal, _) in shard.deals.deals.iter() {
            if deal.partner == symbol || deal.sourced_by == symbol || key.deal == id {
                accounts.insert(key.account);
            }
        }
        let revenue = shard.revenue.recorded.iter().filter(|(key, ..)| key.partner == symbol);
        accounts.extend(revenue.map(|(key, ..)| key.account));
        let touches = shard.attribution.touchpoints.iter().filter(|(_, touch, _)| touch.partner == Some(symbol));
        accounts.extend(touches.map(|(key, ..)| key.account));
        let contenders = shard.conflicts.contenders.iter().filter(|(_, contender, _)| contender.partner == Some(symbol));
        accounts.extend(contenders.map(|(key, ..)| key.account));
        let allocations = shard.funds.allocations.iter().filter(|(_, allocation, _)| allocation.partner == symbol);
        funds.extend(allocations.map(|(key, ..)| key.budget));
    }
    let named = ["partner", "cost", "account", "fund"].map(|kind| format!("{kind}/{id}"));
    let accounts = accounts.iter().map(|account| format!("account/{}", account.name()));
    let funds = funds.iter().map(|fund| format!("fund/{}", fund.name()));
    let names = named.into_iter().chain(["cost/program".to_owned()]).chain(accounts).chain(funds);
    names.filter_map(|name| StreamName::parse(&name).ok()).collect()
}
