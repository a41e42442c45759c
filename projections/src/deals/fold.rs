//! The fold of deals.

use compact_str::CompactString;
use hashbrown::{HashMap, hash_map::Entry};
use pledger_domain::{
    account::{AccountEvent, DealRegistered, RevenueKind, Stage},
    values::{DealId, Timestamp},
};
use pledger_ledger::{
    outline::Outline,
    record::{Events, Outcome},
};

use super::row::{Deal, DealKey, DealStatus, Registration};
use crate::{
    shard::At,
    symbol::Symbol,
    table::{AnyTable, Table},
};

/// The deals of a shard.
#[derive(Debug, Default)]
pub struct Deals {
    /// By account and deal.
    pub deals: Table<Deal>,
    /// The deals that the decision folded last took to another product, each with the one that it left.
    left: Vec<(DealId, Symbol)>,
    /// The deals that the decision folded last had compete anew, or for another product, or for another partner.
    entered: Vec<DealId>,
    /// The deals that the decision folded last took the net-new logo from: another win turned out to be earlier.
    not_first: Vec<DealId>,
    /// Derived: the deals of each account that compete.
    competing: HashMap<Symbol, Vec<CompactString>>,
    /// Derived: the deal of each account that is its net-new logo.
    logos: HashMap<Symbol, CompactString>,
}

impl Deals {
    /// Takes in a decision.
    pub fn fold(&mut self, decision: &Outline<'_>, at: &At<'_>) {
        self.left.clear();
        self.entered.clear();
        self.not_first.clear();
        if let Outcome::Accepted(Events::Account(events)) = &decision.outcome {
            for event in events.iter() {
                self.event(event, decision.effective_at, at);
            }
        }
    }

    /// The deal of this account, as it stands after the decision that is being folded.
    #[must_use]
    pub fn get(&self, account: Symbol, deal: &DealId) -> Option<&Deal> {
        self.deals.get(&key(account, deal))
    }

    /// The product that the decision which is being folded took this deal away from.
    pub(crate) fn product_left(&self, deal: &DealId) -> Option<Symbol> {
        self.left.iter().find(|(known, _)| known == deal).map(|(_, product)| *product)
    }

    /// Whether the decision that is being folded put this deal beside others that it did not compete with before.
    pub(crate) fn has_entered(&self, deal: &DealId) -> bool {
        self.entered.contains(deal)
    }

    /// The deals that the decision which is being folded took the net-new logo from.
    pub(crate) fn not_first(&self) -> &[DealId] {
        &self.not_first
    }

    /// The deals of the account that compete, in no order that means anything.
    pub(crate) fn competing(&self, account: Symbol) -> impl Iterator<Item = (&CompactString, &Deal)> {
        let ids = self.competing.get(&account).into_iter().flatten();
        ids.filter_map(move |id| Some((id, self.deals.get(&DealKey { account, deal: id.clone() })?)))
    }

    /// Whether more than one deal of the account competes.
    pub(crate) fn are_competing(&self, account: Symbol) -> bool {
        self.competing.get(&account).is_some_and(|ids| ids.len() > 1)
    }

    /// Its rows were loaded.
    pub(crate) fn loaded(&mut self) {
        self.competing.clear();
        for (key, ..) in self.deals.iter().filter(|(_, deal, _)| deal.competes()) {
            self.competing.entry(key.account).or_default().push(key.deal.clone());
        }
        let logos = self.deals.iter().filter(|(_, deal, _)| deal.net_new_logo);
        self.logos = logos.map(|(key, ..)| (key.account, key.deal.clone())).collect();
    }

    /// Its tables.
    #[must_use]
    pub fn tables(&self) -> Vec<&dyn AnyTable> {
        vec![&self.deals]
    }

    /// Its tables, to load and to write them.
    #[must_use]
    pub fn tables_mut(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut self.deals]
    }

    fn event(&mut self, event: &AccountEvent, when: Timestamp, at: &At<'_>) {
        match event {
            AccountEvent::DealRegistered(registered) => {
                self.register(registration(registered, when, at), &registered.deal_id, at);
            }
            AccountEvent::DealUpdated { deal_id, product, amount, region, expected_close, submitted, sla_due } => {
                let product = Symbol::of(product.as_str());
                self.left
                    .extend(self.get(at.key, deal_id).filter(|deal| deal.product != product).map(|deal| (deal_id.clone(), deal.product)));
                self.change(deal_id, at, |deal| {
                    deal.product = product;
                    deal.currency = amount.currency();
                    deal.amount = amount.minor();
                    deal.registered_amount = amount.minor();
                    deal.region = region.as_ref().map(|region| Symbol::of(region.as_str())).or(deal.region);
                    deal.expected_close = *expected_close;
                    if *submitted {
                        deal.registration = Registration::InReview;
                        deal.submitted_at = Some(when);
                        deal.sla_due = *sla_due;
                    }
                });
            }
            AccountEvent::DealApproved { deal_id, protected_until, expires_at } => self.change(deal_id, at, |deal| {
                deal.registration = Registration::Approved;
                deal.approved = true;
                deal.decided_at = Some(when);
                protect(deal, protected_until.or(deal.protected_until));
                deal.expires_at = *expires_at;
            }),
            AccountEvent::DealRejected { deal_id, .. } => self.change(deal_id, at, |deal| {
                deal.registration = Registration::Rejected;
                release(deal, DealStatus::Rejected);
                deal.decided_at = Some(when);
            }),
            AccountEvent::DealInformationRequested { deal_id, .. } => {
                self.change(deal_id, at, |deal| deal.registration = Registration::ActionRequired);
            }
            AccountEvent::DealWithdrawn { deal_id, .. } | AccountEvent::DealCanceled { deal_id } => {
                self.change(deal_id, at, |deal| release(deal, DealStatus::Withdrawn));
            }
            AccountEvent::DealExtended { deal_id, protected_until, expires_at } => self.change(deal_id, at, |deal| {
                protect(deal, *protected_until);
                deal.expires_at = *expires_at;
            }),
            AccountEvent::DealExpired { deal_id, .. } => self.change(deal_id, at, |deal| release(deal, DealStatus::Expired)),
            AccountEvent::ApprovalSlaBreached { deal_id, .. } => self.change(deal_id, at, |deal| deal.sla_breached = true),
            AccountEvent::StageAdvanced { deal_id, to, .. } => self.change(deal_id, at, |deal| deal.stage = *to),
            // Whether it is the first is known of the deals here, not of the decision: one closed earlier may be recorded later.
            AccountEvent::DealWon { deal_id, amount, gross_margin, closed_at, net_new_logo: _ } => {
                self.change(deal_id, at, |deal| {
                    release(deal, DealStatus::Won);
                    deal.currency = amount.currency();
                    deal.amount = amount.minor();
                    deal.gross_margin = gross_margin.map(|margin| margin.minor());
                    deal.closed_at = Some(*closed_at);
                    deal.won_rules = at.rules.map_or(0, |rules| rules.version);
                });
                self.earliest(deal_id, *closed_at, at);
            }
            AccountEvent::DealLost { deal_id, closed_at, .. } => self.change(deal_id, at, |deal| {
                release(deal, DealStatus::Lost);
                deal.closed_at = Some(*closed_at);
            }),
            AccountEvent::ProtectionOpened { deal_id, protected_until } => {
                self.change(deal_id, at, |deal| protect(deal, Some(*protected_until)));
            }
            AccountEvent::DealReassigned { deal_id, to, .. } => {
                self.change(deal_id, at, |deal| deal.partner = Symbol::of(to.as_str()));
            }
            AccountEvent::RevenueRecorded { deal_id: Some(deal_id), kind, .. } if *kind != RevenueKind::Refund => {
                self.change(deal_id, at, |deal| deal.revenues += 1);
            }
            // These say nothing that a deal's row shows.
            AccountEvent::NextStepSet { .. }
            | AccountEvent::NoteAdded { .. }
            | AccountEvent::DirectClaimed { .. }
            | AccountEvent::TouchpointRecorded { .. }
            | AccountEvent::RevenueRecorded { .. }
            | AccountEvent::DisputeOpened { .. }
            | AccountEvent::DisputeEscalated { .. }
            | AccountEvent::DisputeRuled { .. } => {}
        }
    }

    fn register(&mut self, deal: Deal, id: &DealId, at: &At<'_>) {
        let (key, competes, mut is_new) = (key(at.key, id), deal.competes(), false);
        self.deals.upsert(key.clone(), at, || {
            is_new = true;
            deal
        });
        if is_new && competes {
            self.follow(&key, false, true);
            self.entered.push(id.clone());
        }
    }

    fn change(&mut self, id: &DealId, at: &At<'_>, change: impl FnOnce(&mut Deal)) {
        let key = key(at.key, id);
        if let Some(deal) = self.deals.change(&key, at) {
            let stood = (deal.competes(), deal.product, deal.partner);
            change(deal);
            let stands = (deal.competes(), deal.product, deal.partner);
            self.entered.extend((stands.0 && stands != stood).then(|| id.clone()));
            self.follow(&key, stood.0, stands.0);
        }
    }

    /// The net-new logo of an account is the won deal that was closed first; of those closed at one time, the one recorded
    /// first. An account that matches nothing has none.
    fn earliest(&mut self, id: &DealId, closed_at: Timestamp, at: &At<'_>) {
        let won = key(at.key, id);
        if self.deals.get(&won).is_none() || won.matched_account().is_none() {
            return;
        }
        if let Some(holder) = self.logos.get(&at.key) {
            let holder = DealKey { account: at.key, deal: holder.clone() };
            if self.deals.get(&holder).and_then(|deal| deal.closed_at).is_some_and(|first| first <= closed_at) {
                return;
            }
            if let Some(deal) = self.deals.change(&holder, at) {
                deal.net_new_logo = false;
            }
            self.not_first.push(DealId::parse(&holder.deal).expect("an id that was recorded"));
        }
        if let Some(deal) = self.deals.change(&won, at) {
            deal.net_new_logo = true;
        }
        self.logos.insert(won.account, won.deal);
    }

    fn follow(&mut self, key: &DealKey, competed: bool, competes: bool) {
        if competes && !competed {
            self.competing.entry(key.account).or_default().push(key.deal.clone());
        } else if competed
            && !competes
            && let Entry::Occupied(mut ids) = self.competing.entry(key.account)
        {
            ids.get_mut().retain(|id| *id != key.deal);
            if ids.get().is_empty() {
                ids.remove();
            }
        }
    }
}

fn key(account: Symbol, deal: &DealId) -> DealKey {
    DealKey { account, deal: CompactString::new(deal.as_str()) }
}

/// The deal protects its partner until then; what it granted is known for ever.
fn protect(deal: &mut Deal, until: Option<Timestamp>) {
    deal.protected_until = until;
    deal.granted_until = until.or(deal.granted_until);
}

/// The deal protects nothing any more.
fn release(deal: &mut Deal, status: DealStatus) {
    deal.status = status;
    deal.protected_until = None;
    deal.expires_at = None;
}

fn registration(registered: &DealRegistered, when: Timestamp, at: &At<'_>) -> Deal {
    let partner = Symbol::of(registered.partner_id.as_str());
    Deal {
        partner,
        sourced_by: partner,
        product: Symbol::of(registered.product.as_str()),
        region: registered.region.as_ref().map(|region| Symbol::of(region.as_str())),
        currency: registered.amount.currency(),
        amount: registered.amount.minor(),
        registered_amount: registered.amount.minor(),
        gross_margin: None,
        estimated: registered.estimated,
        stage: Stage::Prospect,
        status: DealStatus::Open,
        registration: if registered.draft { Registration::Draft } else { Registration::InReview },
        approved: false,
        historical: registered.historical,
        registered_at: when,
        registered_by: at.position,
        registered_rules: at.named,
        submitted_at: (!registered.draft).then_some(when),
        decided_at: None,
        closed_at: None,
        sla_due: registered.sla_due,
        sla_breached: false,
        protected_until: None,
        granted_until: None,
        expires_at: None,
        expected_close: registered.expected_close,
        reviewer: registered.reviewer.as_ref().map(|reviewer| Symbol::of(reviewer.as_str())),
        net_new_logo: false,
        won_rules: 0,
        revenues: 0,
    }
}
