//! The fold of conflicts.

use std::{cmp::Reverse, fmt::Display};

use compact_str::{CompactString, format_compact};
use hashbrown::{HashMap, HashSet};
use pledger_domain::{
    account::{AccountEvent, Share},
    rejection::Rejection,
    rules::ProtectionScope,
    values::{Amount, DealId, DirectClaimId, DisputeId, PartnerId, StaffId, Text, Timestamp, folded},
};
use pledger_ledger::{
    outline::Outline,
    record::{Events, Outcome},
};
use serde::Deserialize;

use super::row::{Conflict, ConflictKey, ConflictKind, Contender, ContenderKey, Decided, Ruled};
use crate::{
    cell::Json,
    deals::{Deal, Deals},
    shard::{At, Fold},
    symbol::Symbol,
    table::{AnyTable, Table},
};

/// The conflicts of a shard.
#[derive(Debug, Default)]
pub struct Conflicts {
    /// By account and subject.
    pub conflicts: Table<Conflict>,
    /// By account, subject and entry.
    pub contenders: Table<Contender>,
    /// Derived: the accounts with conflicts. Nearly all have none, and their deals need not be looked up among them.
    accounts: HashSet<Symbol>,
    /// Derived: by account and subject how many direct claims there are, contended or not.
    pub(super) claims: HashMap<Symbol, HashMap<CompactString, u32>>,
}

/// Deals that are listed with one that comes beside them, at most.
pub(super) const MAX_OVERLAPS: usize = 10;

/// What a refused payload says of the contender.
#[derive(Default, Deserialize)]
struct Attempt {
    deal_id: Option<DealId>,
    claim_id: Option<DirectClaimId>,
    seller: Option<StaffId>,
    amount: Option<Amount>,
}

impl Fold for Conflicts {
    fn fold(&mut self, decision: &Outline<'_>, at: &At<'_>, deals: &Deals) {
        match &decision.outcome {
            Outcome::Accepted(Events::Account(events)) => {
                for event in events.iter() {
                    self.event(event, decision, at, deals);
                }
            }
            Outcome::Rejected(rejection) => self.refusal(rejection, decision, at, deals),
            Outcome::Accepted(Events::Program(_) | Events::Partner(_) | Events::Fund(_) | Events::Cost(_)) => {}
        }
    }

    fn loaded(&mut self, _deals: &Deals) {
        self.accounts = self.conflicts.iter().map(|(key, ..)| key.account).collect();
        self.claims.clear();
        for (key, ..) in self.contenders.iter().filter(|(_, row, _)| row.decided == Decided::Claimed) {
            *self.claims.entry(key.account).or_default().entry(key.subject.clone()).or_default() += 1;
        }
    }

    fn tables(&self) -> Vec<&dyn AnyTable> {
        vec![&self.conflicts, &self.contenders]
    }

    fn tables_mut(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut self.conflicts, &mut self.contenders]
    }
}

impl Conflicts {
    fn event(&mut self, event: &AccountEvent, decision: &Outline<'_>, at: &At<'_>, deals: &Deals) {
        match event {
            // One that competes alone changes no contest, and most do.
            AccountEvent::DealRegistered(registered) if deals.are_competing(at.key) || self.claims.contains_key(&at.key) => {
                self.come_beside(&registered.deal_id, None, decision, at, deals);
                self.come_beside_claims(&registered.deal_id, decision, at, deals);
                self.look_again(&registered.deal_id, decision.effective_at, at, deals);
            }
            AccountEvent::DirectClaimed { claim_id, seller, product } => {
                self.direct_claim(claim_id, seller, product.as_ref(), decision, at, deals);
            }
            AccountEvent::DisputeOpened { dispute_id, deal_id, contender, reason } => {
                self.dispute(dispute_id, deal_id, contender, reason, decision, at, deals);
            }
            AccountEvent::DisputeEscalated { dispute_id, to } => self.change(dispute_id, decision.effective_at, at, |conflict| {
                conflict.escalated_to = Some(Symbol::of(to.as_str()));
            }),
            AccountEvent::DisputeRuled { dispute_id, shares, reason, .. } => {
                self.change(dispute_id, decision.effective_at, at, |conflict| rule(conflict, shares, reason, decision.effective_at));
            }
            AccountEvent::DealUpdated { deal_id, .. } => {
                self.come_beside(deal_id, None, decision, at, deals);
                self.come_beside_claims(deal_id, decision, at, deals);
                self.look_again(deal_id, decision.effective_at, at, deals);
            }
            AccountEvent::DealReassigned { deal_id, from, .. } => {
                self.come_beside(deal_id, Some(from), decision, at, deals);
                self.reassigned(deal_id, decision, at, deals);
                self.look_again(deal_id, decision.effective_at, at, deals);
            }
            AccountEvent::DealRejected { deal_id, .. }
            | AccountEvent::DealWithdrawn { deal_id, .. }
            | AccountEvent::DealCanceled { deal_id }
            | AccountEvent::DealExpired { deal_id, .. }
            | AccountEvent::DealWon { deal_id, .. }
            | AccountEvent::DealLost { deal_id, .. } => self.look_again(deal_id, decision.effective_at, at, deals),
            AccountEvent::DealApproved { deal_id, .. } | AccountEvent::ProtectionOpened { deal_id, .. } => {
                self.protected(deal_id, decision, at, deals);
            }
            // None of these begins or ends a conflict.
            AccountEvent::DealRegistered(_)
            | AccountEvent::DealInformationRequested { .. }
            | AccountEvent::DealExtended { .. }
            | AccountEvent::ApprovalSlaBreached { .. }
            | AccountEvent::StageAdvanced { .. }
            | AccountEvent::NextStepSet { .. }
            | AccountEvent::NoteAdded { .. }
            | AccountEvent::TouchpointRecorded { .. }
            | AccountEvent::RevenueRecorded { .. } => {}
        }
    }

    /// A deal was registered, changed or given to another partner: where other partners' deals compete for the same, all of
    /// them contend. `from` had it until now.
    fn come_beside(&mut self, id: &DealId, from: Option<&PartnerId>, decision: &Outline<'_>, at: &At<'_>, deals: &Deals) {
        let Some(deal) = deals.get(at.key, id).filter(|_| deals.has_entered(id)) else { return };
        let subject = product_subject(deal.product);
        let protected_until = |other: &Deal| other.protected_until.filter(|until| *until > decision.recorded_at);
        let whole = is_about_accounts(at);
        let others = deals.competing(at.key).filter(|(_, other)| other.partner != deal.partner);
        // Where protection is for whole accounts, what protects another product stands beside it too.
        let mut others: Vec<(&CompactString, &Deal)> =
            others.filter(|(_, other)| (whole && protected_until(other).is_some()) || product_subject(other.product) == subject).collect();
        others.sort_unstable_by_key(|(id, other)| (Reverse(protected_until(other)), other.partner.name(), *id));
        let Some((first, held)) = others.first() else { return };
        let kind = if decision.historical { ConflictKind::HistoricalOverlap } else { ConflictKind::Overlap };
        // It may bring its protection along.
        let held = if protected_until(deal).is_some() { (deal.partner, id.as_str()) } else { (held.partner, first.as_str()) };
        self.contest(kind, Some(deal.product), Some(held), decision.effective_at, at);
        for (other, deal) in others.iter().take(MAX_OVERLAPS) {
            self.registration(&subject, other, deal, deal.partner, at);
        }
        let partner = from.map_or(deal.partner, |from| Symbol::of(from.as_str()));
        self.registration(&subject, id.as_str(), deal, partner, at);
    }

    /// Whether deals of two partners or more compete for what the contest is about, or one for what the direct sellers claimed.
    pub(super) fn is_contended(&self, key: &ConflictKey, deals: &Deals) -> bool {
        let mut partners = competing(&key.subject, key.account, deals).map(|(_, deal)| deal.partner);
        let is_claimed = || self.claims.get(&key.account).is_some_and(|claims| claims.contains_key(&key.subject));
        partners.next().is_some_and(|first| is_claimed() || partners.any(|other| other != first))
    }

    /// A deal was given to another partner, who contends in what contests there are for it.
    fn reassigned(&mut self, id: &DealId, decision: &Outline<'_>, at: &At<'_>, deals: &Deals) {
        let Some(deal) = deals.get(at.key, id) else { return };
        for subject in subjects(id, at, deals) {
            let Some(contest) = self.conflicts.change(&ConflictKey { account: at.key, subject: subject.clone() }, at) else { continue };
            contest.last_at = decision.effective_at;
            if contest.deal.as_deref() == Some(id.as_str()) {
                contest.holder = Some(deal.partner);
            }
            let entry = format_compact!("given:{}", contest.contenders + 1);
            let contender = Contender {
                at: decision.effective_at,
                command: Symbol::of("ReassignDeal"),
                decided: Decided::Reassigned,
                rules: decision.rules,
                position: at.position,
                ..registered(id.as_str(), deal, deal.partner)
            };
            self.contend(ContenderKey { account: at.key, subject, entry }, contender, at);
        }
    }

    /// A contender's deal came to be protected: whose it is holds.
    fn protected(&mut self, id: &DealId, decision: &Outline<'_>, at: &At<'_>, deals: &Deals) {
        if !self.accounts.contains(&at.key) {
            return;
        }
        let Some(deal) = deals.get(at.key, id).filter(|deal| deal.protected_until.is_some_and(|until| until > decision.recorded_at)) else {
            return;
        };
        for subject in subjects(id, at, deals) {
            if self.contenders.get(&deals_entry(at.key, &subject, id)).is_none() {
                continue;
            }
            if let Some(contest) = self.conflicts.change(&ConflictKey { account: at.key, subject }, at) {
                contest.holder = Some(deal.partner);
                contest.deal = Some(id.as_str().into());
                contest.last_at = decision.effective_at;
            }
        }
    }

    /// A deal changed: the contests that it is part of may have been decided by that, or may be open again.
    fn look_again(&mut self, id: &DealId, when: Timestamp, at: &At<'_>, deals: &Deals) {
        if !self.accounts.contains(&at.key) {
            return;
        }
        let left = deals.product_left(id).map(product_subject);
        for subject in subjects(id, at, deals).into_iter().chain(left) {
            let key = ConflictKey { account: at.key, subject };
            let Some(contest) = self.conflicts.get(&key) else { continue };
            let ruled_at = (!self.is_contended(&key, deals)).then(|| contest.ruled_at.unwrap_or(when));
            if ruled_at != contest.ruled_at
                && let Some(contest) = self.conflicts.change(&key, at)
            {
                contest.ruled_at = ruled_at;
                contest.last_at = when;
            }
        }
    }

    /// Lists a registered deal among the contenders, once.
    pub(super) fn registration(&mut self, subject: &CompactString, id: &str, deal: &Deal, partner: Symbol, at: &At<'_>) {
        let stand = deals_entry(at.key, subject, id);
        if self.contenders.get(&stand).is_none() {
            self.contend(stand, registered(id, deal, partner), at);
        }
    }

    /// An attempt on a protected account.
    fn refusal(&mut self, rejection: &Rejection, decision: &Outline<'_>, at: &At<'_>, deals: &Deals) {
        let Rejection::AccountProtected { holder, deal_id, product, contender, protected_until } = rejection else { return };
        let Some(command) = decision.command() else { return };
        let kind = match &*command.name {
            "ClaimAccountDirect" => ConflictKind::RefusedDirectClaim,
            _ => ConflictKind::RefusedRegistration,
        };
        let product = (!is_about_accounts(at)).then(|| Symbol::of(product));
        let held = Some((Symbol::of(holder.as_str()), deal_id.as_str()));
        let subject = self.contest(kind, product, held, decision.effective_at, at);
        // Only what is told of the attempt depends on the payload: one that cannot be read tells nothing.
        let attempt: Attempt = serde_json::from_str(command.payload.get()).unwrap_or_default();
        let key = ConflictKey { account: at.key, subject: subject.clone() };
        let is_decided = !self.is_contended(&key, deals);
        let number = self.conflicts.change(&key, at).map_or(0, |conflict| {
            conflict.refused += 1;
            // The refusal says whose it is, unless others contend still.
            conflict.ruled_at = is_decided.then_some(decision.effective_at);
            conflict.refused
        });
        let contender = Contender {
            partner: contender.as_ref().map(|partner| Symbol::of(partner.as_str())),
            seller: attempt.seller.map(|seller| Symbol::of(seller.as_str())),
            deal: attempt.deal_id.map(|deal| deal.as_str().into()).or(attempt.claim_id.map(|claim| claim.as_str().into())),
            amount: attempt.amount.map(|amount| amount.minor()),
            currency: attempt.amount.map(|amount| amount.currency()),
            code: Some(Symbol::of("AccountProtected")),
            held_by: Some(Symbol::of(holder.as_str())),
            held_deal: Some(deal_id.as_str().into()),
            held_until: Some(*protected_until),
            ..contender_by(&command.name, Decided::Refused, decision, at)
        };
        let entry = format_compact!("refused:{number}");
        self.contend(ContenderKey { account: at.key, subject, entry }, contender, at);
    }

    #[expect(clippy::too_many_arguments, reason = "the event's four fields, and what every fold is given")]
    fn dispute(
        &mut self,
        id: &DisputeId,
        deal_id: &DealId,
        contender: &PartnerId,
        reason: &Text,
        decision: &Outline<'_>,
        at: &At<'_>,
        deals: &Deals,
    ) {
        let deal = deals.get(at.key, deal_id);
        let key = dispute_key(at.key, id);
        let subject = key.subject.clone();
        self.accounts.insert(at.key);
        self.conflicts.upsert(key, at, || Conflict {
            product: deal.map(|deal| deal.product),
            holder: deal.map(|deal| deal.partner),
            deal: Some(deal_id.as_str().into()),
            reason: Some(reason.as_str().into()),
            ..conflict(ConflictKind::Dispute, decision.effective_at)
        });
        if let Some(deal) = deal {
            self.registration(&subject, deal_id.as_str(), deal, deal.partner, at);
        }
        let contender =
            Contender { partner: Some(Symbol::of(contender.as_str())), ..contender_by("OpenDispute", Decided::Disputed, decision, at) };
        let entry = CompactString::const_new("dispute");
        self.contend(ContenderKey { account: at.key, subject, entry }, contender, at);
    }

    /// The contest for a product, or for the whole account; its subject.
    pub(super) fn contest(
        &mut self,
        kind: ConflictKind,
        product: Option<Symbol>,
        held: Option<(Symbol, &str)>,
        when: Timestamp,
        at: &At<'_>,
    ) -> CompactString {
        let subject = product.map_or(WHOLE_ACCOUNT, product_subject);
        let key = ConflictKey { account: at.key, subject: subject.clone() };
        self.accounts.insert(at.key);
        // Direct claims were there before anybody contended them.
        let contenders = self.claims.get(&at.key).and_then(|claims| claims.get(&subject)).copied().unwrap_or(0);
        let contest = self.conflicts.upsert(key, at, || Conflict { product, contenders, ..conflict(kind, when) });
        contest.kind = contest.kind.max(kind);
        contest.last_at = when;
        if let Some((partner, deal)) = held {
            contest.holder = Some(partner);
            contest.deal = Some(deal.into());
        }
        subject
    }

    pub(super) fn contend(&mut self, key: ContenderKey, contender: Contender, at: &At<'_>) {
        let conflict = ConflictKey { account: key.account, subject: key.subject.clone() };
        self.contenders.upsert(key, at, || contender);
        if let Some(conflict) = self.conflicts.change(&conflict, at) {
            conflict.contenders += 1;
        }
    }

    fn change(&mut self, id: &DisputeId, when: Timestamp, at: &At<'_>, change: impl FnOnce(&mut Conflict)) {
        if let Some(conflict) = self.conflicts.change(&dispute_key(at.key, id), at) {
            conflict.last_at = when;
            change(conflict);
        }
    }
}

fn dispute_key(account: Symbol, id: &DisputeId) -> ConflictKey {
    ConflictKey { account, subject: format_compact!("dispute:{id}") }
}

pub(super) fn deals_entry(account: Symbol, subject: &CompactString, id: impl Display) -> ContenderKey {
    ContenderKey { account, subject: subject.clone(), entry: format_compact!("deal:{id}") }
}

/// The subject of a contest for the whole account.
pub(super) const WHOLE_ACCOUNT: CompactString = CompactString::const_new("account");

/// Whether the rules protect whole accounts, and not a product on them.
fn is_about_accounts(at: &At<'_>) -> bool {
    at.rules.is_some_and(|rules| rules.rules.deal_registration.protection_scope == ProtectionScope::Account)
}

/// How the subject of a contest for a product begins.
const PRODUCT: &str = "product:";

/// The subject of a contest for a product, by what protection compares products by.
pub(super) fn product_subject(product: Symbol) -> CompactString {
    product_subject_of(product.name())
}

/// The same, of a product that may have no deal.
pub(super) fn product_subject_of(product: &str) -> CompactString {
    format_compact!("{PRODUCT}{}", folded(product))
}

/// The contests that a deal is part of as it stands, where there are such.
pub(super) fn subjects(id: &DealId, at: &At<'_>, deals: &Deals) -> Vec<CompactString> {
    deals.get(at.key, id).map_or_else(Vec::new, |deal| vec![product_subject(deal.product), WHOLE_ACCOUNT])
}

/// The deals that compete for what a contest is about.
pub(super) fn competing<'d>(subject: &str, account: Symbol, deals: &'d Deals) -> impl Iterator<Item = (&'d CompactString, &'d Deal)> {
    let product = subject.strip_prefix(PRODUCT);
    deals.competing(account).filter(move |(_, deal)| product.is_none_or(|product| folded(deal.product.name()) == product))
}

/// Whoever came to contend by the decision that is being folded; who that is, and with what, is left open.
pub(super) fn contender_by(command: &str, decided: Decided, decision: &Outline<'_>, at: &At<'_>) -> Contender {
    Contender {
        partner: None,
        seller: None,
        deal: None,
        amount: None,
        currency: None,
        at: decision.effective_at,
        command: Symbol::of(command),
        decided,
        code: None,
        held_by: None,
        held_deal: None,
        held_until: None,
        rules: decision.rules,
        position: at.position,
    }
}

/// A contender as it was registered for this partner.
fn registered(id: &str, deal: &Deal, partner: Symbol) -> Contender {
    Contender {
        partner: Some(partner),
        seller: None,
        deal: Some(id.into()),
        amount: Some(deal.registered_amount),
        currency: Some(deal.currency),
        at: deal.registered_at,
        command: Symbol::of("RegisterDeal"),
        decided: Decided::Registered,
        code: None,
        held_by: None,
        held_deal: None,
        held_until: None,
        rules: deal.registered_rules,
        position: deal.registered_by,
    }
}

fn conflict(kind: ConflictKind, since: Timestamp) -> Conflict {
    Conflict {
        kind,
        product: None,
        holder: None,
        deal: None,
        since,
        last_at: since,
        contenders: 0,
        refused: 0,
        escalated_to: None,
        ruled_at: None,
        shares: Json(Vec::new()),
        reason: None,
    }
}

fn rule(conflict: &mut Conflict, shares: &[Share], reason: &Text, when: Timestamp) {
    conflict.ruled_at = Some(when);
    conflict.reason = Some(reason.as_str().into());
    let share = |share: &Share| Ruled { partner: share.partner_id.as_str().into(), share: share.share.normalize().to_string().into() };
    conflict.shares = Json(shares.iter().map(share).collect());
}
