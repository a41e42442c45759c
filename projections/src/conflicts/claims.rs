//! Claims of the direct sellers that were let in: whoever has an open deal for the same contends it.

use compact_str::{CompactString, format_compact};
use pledger_domain::values::{DealId, DirectClaimId, Label, StaffId};
use pledger_ledger::outline::Outline;

use super::{
    fold::{Conflicts, MAX_OVERLAPS, WHOLE_ACCOUNT, competing, contender_by, deals_entry, product_subject, subjects},
    row::{ConflictKey, ConflictKind, Contender, ContenderKey, Decided},
};
use crate::{
    deals::{Deal, Deals},
    shard::At,
    symbol::Symbol,
};

impl Conflicts {
    /// The direct sellers claimed a product, or the whole account: where partners' deals compete for it, all of them contend.
    pub(super) fn direct_claim(
        &mut self,
        id: &DirectClaimId,
        seller: &StaffId,
        product: Option<&Label>,
        decision: &Outline<'_>,
        at: &At<'_>,
        deals: &Deals,
    ) {
        let product = product.map(|product| Symbol::of(product.as_str()));
        let subject = product.map_or(WHOLE_ACCOUNT, product_subject);
        let claim = Contender {
            seller: Some(Symbol::of(seller.as_str())),
            deal: Some(id.as_str().into()),
            ..contender_by("ClaimAccountDirect", Decided::Claimed, decision, at)
        };
        self.contend(ContenderKey { account: at.key, subject: subject.clone(), entry: format_compact!("claim:{id}") }, claim, at);
        *self.claims.entry(at.key).or_default().entry(subject.clone()).or_default() += 1;
        let mut others: Vec<(&CompactString, &Deal)> = competing(&subject, at.key, deals).collect();
        others.sort_unstable_by_key(|(id, other)| (other.partner.name(), *id));
        if others.is_empty() {
            return;
        }
        self.contest(claimed_kind(decision), product, None, decision.effective_at, at);
        // What was decided before is open again.
        if let Some(contest) = self.conflicts.change(&ConflictKey { account: at.key, subject: subject.clone() }, at) {
            contest.ruled_at = None;
        }
        for (other, deal) in others.iter().take(MAX_OVERLAPS) {
            self.registration(&subject, other, deal, deal.partner, at);
        }
    }

    /// A deal came to compete for what the direct sellers claimed: both contend it.
    pub(super) fn come_beside_claims(&mut self, id: &DealId, decision: &Outline<'_>, at: &At<'_>, deals: &Deals) {
        let Some(claims) = self.claims.get(&at.key) else { return };
        let Some(deal) = deals.get(at.key, id).filter(|deal| deal.competes()) else { return };
        let mut claimed = subjects(id, at, deals);
        claimed.retain(|subject| claims.contains_key(subject) && self.contenders.get(&deals_entry(at.key, subject, id)).is_none());
        for subject in claimed {
            let product = (subject != WHOLE_ACCOUNT).then_some(deal.product);
            self.contest(claimed_kind(decision), product, None, decision.effective_at, at);
            self.registration(&subject, id.as_str(), deal, deal.partner, at);
        }
    }
}

/// What kind of contest a direct claim begins.
const fn claimed_kind(decision: &Outline<'_>) -> ConflictKind {
    if decision.historical { ConflictKind::HistoricalOverlap } else { ConflictKind::DirectClaim }
}
