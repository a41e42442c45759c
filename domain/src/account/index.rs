//! The deals of an account by what decisions ask for, so that none of them scans all deals.

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{Deal, Overlap};
use crate::values::{DealId, Label, PartnerId, Timestamp, folded};

/// A label without the differences that people make by accident: compatibility forms, case and white space.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Folded(CompactString);

impl Folded {
    pub(super) fn of(label: &Label) -> Self {
        Self(folded(label.as_str()))
    }
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

/// What the index has of one deal.
#[derive(Debug, PartialEq)]
pub(super) struct Listed {
    decision_due: Option<Timestamp>,
    expiry_due: Option<Timestamp>,
    /// While it is open.
    place: Option<(Label, PartnerId)>,
    protected_until: Option<Timestamp>,
}

impl Listed {
    pub(super) fn of(deal: &Deal) -> Self {
        Self {
            decision_due: deal.sla_pending(),
            expiry_due: deal.expiry_pending(),
            place: deal.phase.is_open().then(|| (deal.product.clone(), deal.partner_id.clone())),
            protected_until: deal.protected_until.filter(|_| deal.phase.is_open()),
        }
    }

    const fn due(&self) -> [(Option<Timestamp>, Due); 2] {
        [(self.decision_due, Due::Decision), (self.expiry_due, Due::Expiry)]
    }
}

impl Index {
    /// Lists a new deal.
    pub(super) fn insert(&mut self, id: &DealId, deal: &Deal) {
        let listed = Listed::of(deal);
        self.due.extend(listed.due().into_iter().filter_map(|(due, what)| Some((due?, what, id.clone()))));
        self.place(id, &listed);
    }

    /// Lets a changed deal follow; most changes move little of it.
    pub(super) fn follow(&mut self, id: &DealId, was: &Listed, deal: &Deal) {
        let is = Listed::of(deal);
        for ((was, what), (is, _)) in was.due().into_iter().zip(is.due()).filter(|(was, is)| was != is) {
            if let Some(due) = was {
                self.due.remove(&(due, what, id.clone()));
            }
            self.due.extend(is.map(|due| (due, what, id.clone())));
        }
        if (&was.place, was.protected_until) != (&is.place, is.protected_until) {
            self.displace(id, was);
            self.place(id, &is);
        }
    }

    fn place(&mut self, id: &DealId, listed: &Listed) {
        let Some((product, partner)) = &listed.place else { return };
        let standing = self.products.entry(Folded::of(product)).or_default().entry(partner.clone()).or_default();
        standing.open.insert(id.clone());
        standing.protected.extend(listed.protected_until.map(|until| (until, id.clone())));
    }

    fn displace(&mut self, id: &DealId, listed: &Listed) {
        let Some((product, partner)) = &listed.place else { return };
        let key = Folded::of(product);
        let Some(partners) = self.products.get_mut(&key) else { return };
        if let Some(standing) = partners.get_mut(partner) {
            standing.open.remove(id);
            if let Some(until) = listed.protected_until {
                standing.protected.remove(&(until, id.clone()));
            }
            if standing.open.is_empty() {
                partners.remove(partner);
            }
        }
        if partners.is_empty() {
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

    /// A deal of `partner` on this product (any where none is named) other than `id` that is protected at `at`, and until
    /// when.
    pub(super) fn protecting_beside(
        &self,
        at: Timestamp,
        product: Option<&Label>,
        partner: &PartnerId,
        id: &DealId,
    ) -> Option<(&DealId, Timestamp)> {
        let wanted = product.map(Folded::of);
        let products = self.products.iter().filter(|(key, _)| wanted.as_ref().is_none_or(|wanted| *key == wanted));
        let standings = products.filter_map(|(_, partners)| partners.get(partner));
        // At most one of the protected deals is `id` itself, so that two are looked at.
        let mut protected = standings.flat_map(|standing| standing.protected.iter().rev().take(2));
        protected.find(|(until, other)| *until > at && other != id).map(|(until, other)| (other, *until))
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
    use proptest::prelude::*;

    use super::*;
    use crate::{
        account::{DealPhase, Stage},
        values::{Amount, Currency, Money},
    };

    #[test]
    fn products_compare_without_case_and_spacing() {
        let folded = |text| Folded::of(&Label::parse(text).expect("a label"));
        for same in ["gtx pro", "  GTX   Pro ", "ＧＴＸ Pro", "gtx\tPRO"] {
            assert_eq!(folded(same), folded("GTX Pro"), "{same:?}");
        }
        assert_ne!(folded("GTX Pro"), folded("GTX Pro 2"));
    }

    fn deal() -> impl Strategy<Value = Deal> {
        use DealPhase::{Approved, Draft, InReview, Lost, Won};
        let phase = prop::sample::select(vec![Draft, InReview, Approved, Won, Lost]);
        let time = || prop::option::of((0..3_i64).prop_map(Timestamp::from_micros));
        let amount = Amount::new(Money::zero(Currency::parse("USD").expect("a currency"))).expect("not negative");
        (phase, "[ab]", "[AaB]", time(), any::<bool>(), time(), time()).prop_map(
            move |(phase, partner, product, sla_due, sla_breached, protected_until, expires_at)| Deal {
                partner_id: PartnerId::parse(&partner).expect("an id"),
                phase,
                stage: Stage::Prospect,
                product: Label::parse(&product).expect("a label"),
                amount,
                region: None,
                expected_close: None,
                registered_at: Timestamp::from_micros(0),
                reviewer: None,
                sla_due,
                sla_breached,
                protected_until,
                expires_at,
                extensions: 0,
                historical: false,
                has_contact: false,
            },
        )
    }

    proptest! {
        #[test]
        fn an_index_that_followed_is_as_one_made_anew(changes in prop::collection::vec((0..3_usize, deal()), 1..20)) {
            let ids: Vec<DealId> = (0..3).map(|n| DealId::parse(&format!("d-{n}")).expect("an id")).collect();
            let (mut followed, mut deals) = (Index::default(), BTreeMap::<usize, Deal>::new());
            for (n, deal) in changes {
                match deals.insert(n, deal.clone()) {
                    Some(was) => followed.follow(&ids[n], &Listed::of(&was), &deal),
                    None => followed.insert(&ids[n], &deal),
                }
                let mut anew = Index::default();
                deals.iter().for_each(|(n, deal)| anew.insert(&ids[*n], deal));
                prop_assert_eq!(&followed, &anew);
            }
        }
    }
}
