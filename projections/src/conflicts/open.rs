//! Which contests are still open: those in which several partners have open deals.

use compact_str::CompactString;
use hashbrown::HashMap;
use pledger_domain::account::folded_product;

use super::row::ConflictKey;
use crate::{
    deals::{DealStatus, Registration, facts},
    query::Rows,
    symbol::Symbol,
};

/// The partners with open deals, by contested account and product as protection compares it.
pub(super) struct OpenContests {
    partners: HashMap<Symbol, Vec<(CompactString, Symbol)>>,
}

impl OpenContests {
    /// Those on these accounts.
    pub(super) fn of(rows: &Rows<'_>, contested: impl Iterator<Item = Symbol>) -> Self {
        let mut partners: HashMap<Symbol, Vec<(CompactString, Symbol)>> = contested.map(|account| (account, Vec::new())).collect();
        if partners.is_empty() {
            return Self { partners };
        }
        for fact in facts(rows) {
            let competes = fact.deal.status == DealStatus::Open && fact.deal.registration != Registration::Draft;
            if competes && let Some(open) = partners.get_mut(&fact.key.account) {
                let entry = (folded_product(fact.deal.product.name()), fact.deal.partner);
                if !open.contains(&entry) {
                    open.push(entry);
                }
            }
        }
        Self { partners }
    }

    /// Whether two or more partners have open deals for what is contended.
    pub(super) fn is_open(&self, key: &ConflictKey) -> bool {
        let product = key.subject.strip_prefix("product:");
        let all = self.partners.get(&key.account).into_iter().flatten();
        let mut partners = all.filter(|(known, _)| product.is_none_or(|product| known == product)).map(|(_, partner)| *partner);
        partners.next().is_some_and(|first| partners.any(|other| other != first))
    }
}
