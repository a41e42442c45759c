//! The streams that rows say a figure stands on, so that the ledger need not be searched for them.

use std::collections::BTreeSet;

use compact_str::CompactString;
use hashbrown::HashSet;
use pledger_domain::stream::StreamName;

use super::{COSTS_OF_ALL, NO_ACCOUNT};
use crate::{
    attribution::Touchpoint,
    deals::{Deal, DealKey},
    query::{Query, Rows, ViewSpec},
    symbol::Symbol,
};

/// The streams that rows know to make a figure of a view for these ids: partners, deals, accounts or budgets. What rows do not keep, such
/// as whose a deal was before, is not among them.
pub(super) fn streams_naming(rows: &Rows<'_>, view: &ViewSpec, query: &Query, ids: &[&str]) -> BTreeSet<StreamName> {
    let symbols: HashSet<Symbol> = ids.iter().filter_map(|id| Symbol::known(id)).collect();
    let is_named = |symbol: Symbol| symbols.contains(&symbol);
    let ids: HashSet<&str> = ids.iter().copied().collect();
    let stands_on = |table: &str| view.tables.contains(&table);
    let (mut accounts, mut funds): (HashSet<Symbol>, HashSet<Symbol>) = Default::default();
    for shard in rows.shards() {
        if stands_on("deals") {
            let deals = shard.deals.deals.iter();
            let of_them = |key: &DealKey, deal: &Deal| is_named(deal.partner) || is_named(deal.sourced_by) || ids.contains(&*key.deal);
            accounts.extend(deals.filter(|(key, deal, _)| of_them(key, deal)).map(|(key, ..)| key.account));
        }
        if stands_on("revenue_days") {
            let revenue = shard.revenue.recorded.iter().filter(|(key, ..)| is_named(key.partner));
            accounts.extend(revenue.map(|(key, ..)| key.account));
        }
        if stands_on("touchpoints") {
            let touches = shard.attribution.touchpoints.iter();
            let counts = |touch: &Touchpoint| touch.partner.is_some_and(is_named) || is_asked(query, touch.campaign);
            accounts.extend(touches.filter(|(_, touch, _)| counts(touch)).map(|(key, ..)| key.account));
        }
        if stands_on("contenders") {
            let contenders = shard.conflicts.contenders.iter().filter(|(_, contender, _)| contender.partner.is_some_and(is_named));
            accounts.extend(contenders.map(|(key, ..)| key.account));
        }
        if stands_on("cost_months") || stands_on("mdf_allocations") {
            let allocations = shard.funds.allocations.iter().filter(|(_, allocation, _)| is_named(allocation.partner));
            funds.extend(allocations.map(|(key, ..)| key.budget));
        }
    }
    let certifying = if stands_on("certifications") { certifying(rows, &symbols) } else { HashSet::new() };
    let kinds = [("partners", "partner"), ("cost_months", "cost"), ("conflicts", "account"), ("mdf_budgets", "fund")];
    let kinds = kinds.into_iter().filter(|(table, _)| stands_on(table)).map(|(_, kind)| kind);
    let named = kinds.flat_map(|kind| ids.iter().map(move |id| format!("{kind}/{id}")));
    let of_all = stands_on("cost_months").then(|| COSTS_OF_ALL.to_owned());
    let others = [("partner", &certifying), ("account", &accounts), ("fund", &funds)];
    let others = others.into_iter().flat_map(|(kind, keys)| keys.iter().map(move |key| format!("{kind}/{}", key.name())));
    named.chain(of_all).chain(others).filter_map(|name| StreamName::parse(&name).ok()).collect()
}

/// Whether a question is about this campaign: what that brought is on any account.
fn is_asked(query: &Query, campaign: Option<Symbol>) -> bool {
    const CAMPAIGN: &str = "campaign";
    let Some(campaign) = campaign else { return false };
    let mut named = query.filters.iter().filter(|(dimension, _)| dimension == CAMPAIGN).peekable();
    if named.peek().is_none() { query.by.iter().any(|by| by == CAMPAIGN) } else { named.any(|(_, name)| name == campaign.name()) }
}

/// The streams of these accounts, and of all imported deals that have no account where there is a null among them.
pub(super) fn streams_of(rows: &Rows<'_>, accounts: &[Option<String>]) -> BTreeSet<StreamName> {
    let mut names: BTreeSet<&str> = accounts.iter().flatten().map(String::as_str).collect();
    if accounts.contains(&None) {
        let deals = rows.shards().flat_map(|shard| shard.deals.deals.iter()).map(|(key, ..)| key.account.name());
        names.extend(deals.filter(|account| account.starts_with(NO_ACCOUNT)));
    }
    names.into_iter().filter_map(|name| StreamName::parse(&format!("account/{name}")).ok()).collect()
}

/// Who certified the persons that these partners certified: a person counts for one partner, and what others certified it for
/// tells which.
fn certifying(rows: &Rows<'_>, partners: &HashSet<Symbol>) -> HashSet<Symbol> {
    let all = || rows.shards().flat_map(|shard| shard.partners.certifications.iter()).map(|(key, ..)| key);
    let persons: HashSet<&CompactString> = all().filter(|key| partners.contains(&key.partner)).map(|key| &key.person).collect();
    all().filter(|key| persons.contains(&key.person)).map(|key| key.partner).collect()
}
