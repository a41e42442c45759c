//! An account's state: the deals on it, and what was recorded once and must not be again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    AccountEvent, Deal, DealPhase, DealRegistered, Overlap, RevenueKind, Stage,
    index::{Due, Folded, Index, Listed},
};
use crate::{
    deadline::Deadline,
    facts::Facts,
    rejection::Rejection,
    rules::ProtectionScope,
    stream::{Stream, StreamKind},
    values::{
        AccountDescription, Amount, Currency, DealId, DirectClaimId, DisputeId, Label, Money, PartnerId, RevenueId, Timestamp, TouchpointId,
    },
};

/// How many overlaps a registration lists; it counts them all.
const MAX_OVERLAPS: usize = 10;

/// An account's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// How the account was first described.
    described: Option<Described>,
    /// Whether its key matches nothing (`none:...`): it protects nothing and enters no overlap.
    unmatched: bool,
    /// Boxed: a map has room for eleven at once, and most accounts have few.
    deals: BTreeMap<DealId, Box<Deal>>,
    index: Index,
    won: bool,
    touchpoints: BTreeSet<TouchpointId>,
    revenues: BTreeSet<RevenueId>,
    /// Of the deals that revenue or a refund names, by currency.
    takings: BTreeMap<DealId, BTreeMap<Currency, Takings>>,
    direct_claims: BTreeSet<DirectClaimId>,
    disputes: BTreeMap<DisputeId, Dispute>,
}

/// `AccountDescription` in a form that snapshots can hold: every field is always written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Described {
    name: Label,
    domain: Option<String>,
    duns: Option<String>,
    country: Option<String>,
}

/// What a deal brought in, in minor units of a currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Takings {
    recorded: i64,
    refunded: i64,
    /// How many records there are of it, refunds left out.
    records: u32,
}

/// A dispute over a deal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Dispute {
    deal_id: DealId,
    /// Whose the deal was when it was opened, and who says that it is theirs.
    parties: Vec<PartnerId>,
    ruled: bool,
}

impl Account {
    /// A deal registered on the account.
    #[must_use]
    pub fn deal(&self, id: &DealId) -> Option<&Deal> {
        self.deals.get(id).map(AsRef::as_ref)
    }

    /// Every deal ever registered on the account, by id.
    pub fn deals(&self) -> impl Iterator<Item = (&DealId, &Deal)> {
        self.deals.iter().map(|(id, deal)| (id, &**deal))
    }

    /// The deal that protects `product`, or any product where none is named, at `at`.
    #[must_use]
    pub fn protection_in_force(&self, at: Timestamp, product: Option<&Label>) -> Option<(&DealId, &Deal)> {
        let id = self.index.protecting(at, product, None)?;
        self.deals.get_key_value(id).map(|(id, deal)| (id, &**deal))
    }

    /// What falls due and when, in the order of time: missing decisions and the ends of approvals.
    pub fn deadlines(&self) -> impl Iterator<Item = Deadline> {
        self.index.due().map(|(due, what, id)| {
            let command = match what {
                Due::Decision => "RecordSlaBreach",
                Due::Expiry => "ExpireDeal",
            };
            Deadline::new(command, id, *due, json!({"deal_id": id, "due": due}))
        })
    }

    /// When the first of `deadlines` falls due.
    #[must_use]
    pub fn first_due(&self) -> Option<Timestamp> {
        self.index.due().next().map(|(due, ..)| *due)
    }

    pub(super) fn description(&self) -> Option<AccountDescription> {
        let Described { name, domain, duns, country } = self.described.clone()?;
        Some(AccountDescription { name, domain, duns, country })
    }

    pub(super) const fn is_unmatched(&self) -> bool {
        self.unmatched
    }

    pub(super) const fn has_won(&self) -> bool {
        self.won
    }

    pub(super) fn has_touchpoint(&self, id: &TouchpointId) -> bool {
        self.touchpoints.contains(id)
    }

    pub(super) fn has_revenue(&self, id: &RevenueId) -> bool {
        self.revenues.contains(id)
    }

    pub(super) fn has_direct_claim(&self, id: &DirectClaimId) -> bool {
        self.direct_claims.contains(id)
    }

    pub(super) fn has_dispute(&self, id: &DisputeId) -> bool {
        self.disputes.contains_key(id)
    }

    /// When a deal was registered, where it was: what later decisions on it build on.
    pub(super) fn registered_at(&self, id: &DealId) -> Option<Timestamp> {
        self.deal(id).map(Deal::registered_at)
    }

    pub(super) fn known(&self, id: &DealId) -> Result<&Deal, Rejection> {
        self.deal(id).ok_or_else(|| Rejection::DealUnknown { deal_id: id.clone() })
    }

    /// The deal, where `allowed` says yes to its phase.
    pub(super) fn known_while(&self, id: &DealId, allowed: impl Fn(DealPhase) -> bool) -> Result<&Deal, Rejection> {
        let deal = self.known(id)?;
        if allowed(deal.phase) { Ok(deal) } else { Err(Rejection::WrongDealPhase { deal_id: id.clone(), phase: deal.phase.to_string() }) }
    }

    /// Refuses where the dispute is not one over this deal, or ruled.
    pub(super) fn open_dispute(&self, id: &DisputeId, deal: &DealId) -> Result<(), Rejection> {
        match self.disputes.get(id) {
            Some(dispute) if !dispute.ruled && dispute.deal_id == *deal => Ok(()),
            _ => Err(Rejection::DisputeNotOpen { dispute_id: id.clone() }),
        }
    }

    /// Refuses where a partner has no part in the dispute: neither was the deal its when that was opened, nor is it now, nor
    /// does it contend it.
    pub(super) fn party_to(&self, id: &DisputeId, partner: &PartnerId) -> Result<(), Rejection> {
        let dispute = self.disputes.get(id);
        let holder = dispute.and_then(|dispute| self.deal(&dispute.deal_id)).map(Deal::partner_id);
        if dispute.into_iter().flat_map(|dispute| &dispute.parties).chain(holder).any(|party| party == partner) {
            return Ok(());
        }
        Err(Rejection::NotAParty { dispute_id: id.clone(), partner_id: partner.clone() })
    }

    /// What may still be given back of a deal, in a currency: of the revenue that names it, or of the value won until any does.
    pub(super) fn refundable(&self, id: &DealId, currency: Currency) -> Money {
        let takings = self.takings.get(id);
        let is_recorded = takings.is_some_and(|takings| takings.values().any(|takings| takings.records > 0));
        let of_currency = takings.and_then(|takings| takings.get(&currency)).copied().unwrap_or_default();
        let won = self.deal(id).filter(|deal| deal.phase == DealPhase::Won && deal.amount.currency() == currency);
        let brought_in = match won {
            Some(deal) if !is_recorded => deal.amount.minor(),
            Some(_) | None => of_currency.recorded,
        };
        Money::from_minor(brought_in.saturating_sub(of_currency.refunded).max(0), currency)
    }

    /// Refuses where the scope of `product` under the rules is protected, now, for anyone but `contender`. No product
    /// means all of them; no contender means the vendor itself.
    pub(super) fn unprotected(&self, facts: &Facts, product: Option<&Label>, contender: Option<&PartnerId>) -> Result<(), Rejection> {
        let Some((id, deal)) = self.holder(facts, product, contender) else { return Ok(()) };
        Err(Rejection::AccountProtected {
            holder: deal.partner_id.clone(),
            deal_id: id.clone(),
            product: deal.product.to_string(),
            protected_until: deal.protected_until.unwrap_or(facts.now),
            contender: contender.cloned(),
        })
    }

    fn holder(&self, facts: &Facts, product: Option<&Label>, contender: Option<&PartnerId>) -> Option<(&DealId, &Deal)> {
        let id = self.index.protecting(facts.now, in_scope(facts, product), contender).filter(|_| !self.unmatched)?;
        self.deals.get_key_value(id).map(|(id, deal)| (id, &**deal))
    }

    /// Another deal of the same partner that protects the scope of `product` now, and until when.
    pub(super) fn protected_beside(&self, facts: &Facts, id: &DealId, deal: &Deal, product: &Label) -> Option<(&DealId, Timestamp)> {
        self.index.protecting_beside(facts.now, in_scope(facts, Some(product)), &deal.partner_id, id)
    }

    /// The open deals of other partners on `product`, at most ten, and how many there are. Where another product of
    /// the account is protected under the rules, the deal that protects it comes first.
    pub(super) fn overlaps(&self, facts: &Facts, partner: &PartnerId, product: &Label) -> (Vec<Overlap>, u32) {
        if self.unmatched {
            return (Vec::new(), 0);
        }
        let (mut listed, mut count) = self.index.overlaps(partner, product, MAX_OVERLAPS);
        if let Some((id, holder)) = self.holder(facts, Some(product), Some(partner)) {
            let overlap = Overlap { deal_id: id.clone(), partner_id: holder.partner_id.clone() };
            if Folded::of(&holder.product) != Folded::of(product) {
                count += 1;
            }
            listed.retain(|other| *other != overlap);
            listed.insert(0, overlap);
            listed.truncate(MAX_OVERLAPS);
        }
        (listed, u32::try_from(count).unwrap_or(u32::MAX))
    }

    fn register(&mut self, event: &DealRegistered, at: Timestamp) {
        self.unmatched = event.account.is_none();
        if let (None, Some(AccountDescription { name, domain, duns, country })) = (&self.described, event.account.clone()) {
            self.described = Some(Described { name, domain, duns, country });
        }
        let deal = Deal {
            partner_id: event.partner_id.clone(),
            phase: if event.draft { DealPhase::Draft } else { DealPhase::InReview },
            stage: Stage::Prospect,
            product: event.product.clone(),
            amount: event.amount,
            region: event.region.clone(),
            expected_close: event.expected_close,
            registered_at: at,
            reviewer: event.reviewer.clone(),
            sla_due: event.sla_due,
            sla_breached: false,
            protected_until: None,
            expires_at: None,
            extensions: 0,
            historical: event.historical,
            has_contact: event.contact.is_some(),
        };
        self.index.insert(&event.deal_id, &deal);
        self.deals.insert(event.deal_id.clone(), Box::new(deal));
    }

    /// Changes a deal and lets the index follow. An unknown deal stays unknown: `evolve` never fails.
    fn change(&mut self, id: &DealId, change: impl FnOnce(&mut Deal)) {
        if let Some(deal) = self.deals.get_mut(id) {
            let was = Listed::of(deal);
            change(deal);
            self.index.follow(id, &was, deal);
        }
    }

    /// Counts revenue, or what was given back of it, of a deal.
    fn take(&mut self, id: &DealId, amount: Amount, kind: RevenueKind) {
        let takings = self.takings.entry(id.clone()).or_default().entry(amount.currency()).or_default();
        // 90,000 of the largest amounts fit.
        match kind {
            RevenueKind::New | RevenueKind::Renewal | RevenueKind::Expansion => {
                takings.recorded = takings.recorded.saturating_add(amount.minor());
                takings.records = takings.records.saturating_add(1);
            }
            RevenueKind::Refund => takings.refunded = takings.refunded.saturating_add(amount.minor()),
        }
    }

    fn enter(&mut self, id: &DealId, phase: DealPhase) {
        self.change(id, |deal| deal.phase = phase);
    }
}

/// What one protection covers under the rules: the product, or (none) everything.
fn in_scope<'a>(facts: &Facts, product: Option<&'a Label>) -> Option<&'a Label> {
    match facts.rules.rules.deal_registration.protection_scope {
        ProtectionScope::Product => product,
        ProtectionScope::Account => None,
    }
}

impl Stream for Account {
    const KIND: StreamKind = StreamKind::Account;
    type Event = AccountEvent;

    fn evolve(&mut self, event: &AccountEvent, at: Timestamp) {
        match event {
            AccountEvent::DealRegistered(registered) => self.register(registered, at),
            AccountEvent::DealUpdated { deal_id, product, amount, region, expected_close, submitted, sla_due } => {
                self.change(deal_id, |deal| {
                    deal.product = product.clone();
                    deal.amount = *amount;
                    deal.region.clone_from(region);
                    deal.expected_close = *expected_close;
                    if *submitted {
                        deal.phase = DealPhase::InReview;
                        deal.sla_due = *sla_due;
                        deal.sla_breached = false;
                    }
                });
            }
            AccountEvent::DealApproved { deal_id, protected_until, expires_at } => self.change(deal_id, |deal| {
                deal.phase = DealPhase::Approved;
                // Protection opened before a historical approval stays.
                deal.protected_until = protected_until.or(deal.protected_until);
                deal.expires_at = *expires_at;
            }),
            AccountEvent::DealRejected { deal_id, reason: _ } => self.enter(deal_id, DealPhase::Rejected),
            AccountEvent::DealInformationRequested { deal_id, question: _ } => self.enter(deal_id, DealPhase::ActionRequired),
            AccountEvent::DealWithdrawn { deal_id, reason: _ } => self.enter(deal_id, DealPhase::Withdrawn),
            AccountEvent::DealCanceled { deal_id } => self.enter(deal_id, DealPhase::Canceled),
            AccountEvent::DealExtended { deal_id, protected_until, expires_at } => self.change(deal_id, |deal| {
                deal.protected_until = *protected_until;
                deal.expires_at = *expires_at;
                deal.extensions += 1;
            }),
            AccountEvent::DealExpired { deal_id, expired_at: _ } => self.enter(deal_id, DealPhase::Expired),
            AccountEvent::ApprovalSlaBreached { deal_id, due: _, reviewer: _ } => self.change(deal_id, |deal| deal.sla_breached = true),
            AccountEvent::StageAdvanced { deal_id, from: _, to } => self.change(deal_id, |deal| deal.stage = *to),
            AccountEvent::DealWon { deal_id, amount, gross_margin: _, closed_at: _, net_new_logo: _ } => {
                self.won = true;
                self.change(deal_id, |deal| {
                    deal.phase = DealPhase::Won;
                    deal.amount = *amount;
                });
            }
            AccountEvent::DealLost { deal_id, reason: _, closed_at: _ } => self.enter(deal_id, DealPhase::Lost),
            AccountEvent::ProtectionOpened { deal_id, protected_until } => {
                self.change(deal_id, |deal| deal.protected_until = Some(*protected_until));
            }
            AccountEvent::DealReassigned { deal_id, from: _, to } => self.change(deal_id, |deal| deal.partner_id = to.clone()),
            AccountEvent::DirectClaimed { claim_id, seller: _, product: _ } => {
                self.direct_claims.insert(claim_id.clone());
            }
            AccountEvent::TouchpointRecorded { touchpoint_id, .. } => {
                self.touchpoints.insert(touchpoint_id.clone());
            }
            AccountEvent::RevenueRecorded { revenue_id, partner_id: _, amount, gross_margin: _, deal_id, kind, recognized_at: _ } => {
                self.revenues.insert(revenue_id.clone());
                if let Some(deal_id) = deal_id {
                    self.take(deal_id, *amount, *kind);
                }
            }
            AccountEvent::DisputeOpened { dispute_id, deal_id, contender, reason: _ } => {
                let holder = self.deal(deal_id).map(|deal| deal.partner_id.clone());
                let parties = holder.into_iter().chain([contender.clone()]).collect();
                self.disputes.insert(dispute_id.clone(), Dispute { deal_id: deal_id.clone(), parties, ruled: false });
            }
            AccountEvent::DisputeRuled { dispute_id, deal_id: _, shares: _, reason: _ } => {
                if let Some(dispute) = self.disputes.get_mut(dispute_id) {
                    dispute.ruled = true;
                }
            }
            AccountEvent::NextStepSet { .. } | AccountEvent::NoteAdded { .. } | AccountEvent::DisputeEscalated { .. } => {}
        }
    }
}
