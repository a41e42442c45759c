//! The deals of an account by what decisions ask for, so that none of them scans all deals.

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::{Deal, Overlap};
use crate::values::{DealId, Label, PartnerId, Timestamp};

/// A label without the differences that people make by accident: compatibility forms, case and white space.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Folded(CompactString);

impl Folded {
    pub(super) fn of(label: &Label) -> Self {
        Self(folded(label.as_str()))
    }
}

/// A product as protection and overlaps compare it: products that are the same to them come out the same.
#[must_use]
pub fn folded(product: &str) -> CompactString {
    if product.is_ascii() {
        // It has no other compatibility forms. Most products are, and every change of a deal comes by here.
        let mut folded = one_spaced(product);
        folded.make_ascii_lowercase();
        return folded;
    }
    let folded: String = product.nfkc().collect::<String>().to_lowercase().nfkc().collect();
    one_spaced(&folded)
}

/// The words with one space between each.
fn one_spaced(text: &str) -> CompactString {
    let mut spaced = CompactString::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !spaced.is_empty() {
            spaced.push(' ');
        }
        spaced.push_str(word);
    }
    spaced
}

/// What falls due of a deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Due {
    /// A decision was promised by then.
    Decision,
    /// The approval runs out.
    Expiry,
}

/// One partner's deals on one product.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Standing {
    open: BTreeSet<DealId>,
    /// Open deals to which protection was granted, by its end.
    protected: BTreeSet<(Timestamp, DealId)>,
}

/// Follows every change of every deal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Index {
    products: BTreeMap<Folded, BTreeMap<PartnerId, Standing>>,
    due: BTreeSet<(Timestamp, Due, DealId)>,
}

impl Index {
    pub(super) fn insert(&mut self, id: &DealId, deal: &Deal) {
        self.due.extend(deal.sla_pending().map(|due| (due, Due::Decision, id.clone())));
        self.due.extend(deal.expiry_pending().map(|due| (due, Due::Expiry, id.clone())));
        if deal.phase.is_open() {
            let product = self.products.entry(Folded::of(&deal.product)).or_default();
            let standing = product.entry(deal.partner_id.clone()).or_default();
            standing.open.insert(id.clone());
            standing.protected.extend(deal.protected_until.map(|until| (until, id.clone())));
        }
    }

    pub(super) fn remove(&mut self, id: &DealId, deal: &Deal) {
        for (due, what) in [(deal.sla_pending(), Due::Decision), (deal.expiry_pending(), Due::Expiry)] {
            if let Some(due) = due {
                self.due.remove(&(due, what, id.clone()));
            }
        }
        let key = Folded::of(&deal.product);
        let Some(product) = self.products.get_mut(&key) else { return };
        if let Some(standing) = product.get_mut(&deal.partner_id) {
            standing.open.remove(id);
            if let Some(until) = deal.protected_until {
                standing.protected.remove(&(until, id.clone()));
            }
            if standing.open.is_empty() {
                product.remove(&deal.partner_id);
            }
        }
        if product.is_empty() {
            self.products.remove(&key);
        }
    }

    /// The deal of a partner other than `except` that protects `product` (any product where none is named) at `at`,
    /// the longest protected first.
    pub(super) fn protecting(&self, at: Timestamp, product: Option<&Label>, except: Option<&PartnerId>) -> Option<&DealId> {
        let one = product.map(|label| self.products.get(&Folded::of(label)));
        let products: Box<dyn Iterator<Item = _>> = match one {
            Some(one) => Box::new(one.into_iter()),
            None => Box::new(self.products.values()),
        };
        let last = products.flatten().filter(|(partner, _)| Some(*partner) != except).filter_map(|(_, standing)| standing.protected.last());
        last.filter(|(until, _)| *until > at).max().map(|(_, id)| id)
    }

    /// Whether a deal of `partner` on this product (any where none is named) other than `id` is protected at `at`.
    pub(super) fn protects_beside(&self, at: Timestamp, product: Option<&Label>, partner: &PartnerId, id: &DealId) -> bool {
        let wanted = product.map(Folded::of);
        let products = self.products.iter().filter(|(key, _)| wanted.as_ref().is_none_or(|wanted| *key == wanted));
        let mut standings = products.filter_map(|(_, partners)| partners.get(partner));
        // At most one of the protected deals is `id` itself, so that two are looked at.
        standings.any(|standing| standing.protected.iter().rev().take(2).any(|(until, other)| *until > at && other != id))
    }

    /// The open deals of partners other than `partner` on `product`: at most `limit` of them, and how many there are.
    pub(super) fn overlaps(&self, partner: &PartnerId, product: &Label, limit: usize) -> (Vec<Overlap>, usize) {
        let others = || self.products.get(&Folded::of(product)).into_iter().flatten().filter(|(other, _)| *other != partner);
        let count = others().map(|(_, standing)| standing.open.len()).sum();
        let deals = others().flat_map(|(other, standing)| standing.open.iter().map(move |deal| (other, deal)));
        (deals.take(limit).map(|(other, deal)| Overlap { deal_id: deal.clone(), partner_id: other.clone() }).collect(), count)
    }

    /// What falls due, in the order of time.
    pub(super) fn due(&self) -> impl Iterator<Item = &(Timestamp, Due, DealId)> {
        self.due.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_compare_without_case_and_spacing() {
        let folded = |text| Folded::of(&Label::parse(text).expect("a label"));
        for same in ["gtx pro", "  GTX   Pro ", "ＧＴＸ Pro", "gtx\tPRO"] {
            assert_eq!(folded(same), folded("GTX Pro"), "{same:?}");
        }
        assert_ne!(folded("GTX Pro"), folded("GTX Pro 2"));
    }
}
