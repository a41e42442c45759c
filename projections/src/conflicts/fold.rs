//! The fold of conflicts.

use compact_str::{CompactString, format_compact};
use pledger_domain::{
    account::{AccountEvent, DealRegistered, Share, folded_product},
    rejection::Rejection,
    rules::ProtectionScope,
    values::{Amount, DealId, DirectClaimId, DisputeId, PartnerId, StaffId, Text, Timestamp},
};
use pledger_ledger::{
    outline::Outline,
    record::{Events, Outcome},
};
use serde::Deserialize;

use super::row::{Conflict, ConflictKey, ConflictKind, Contender, ContenderKey, Decided, Ruled};
use crate::{
    cell::Json,
    deals::{Deal, DealKey, DealStatus, Deals, Registration},
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
}

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
            AccountEvent::DealRegistered(registered) if registered.overlap_count > 0 => self.overlap(registered, decision, at, deals),
            AccountEvent::DisputeOpened { dispute_id, deal_id, contender, reason } => {
                self.dispute(dispute_id, deal_id, contender, reason, decision, at, deals);
            }
            AccountEvent::DisputeEscalated { dispute_id, to } => self.change(dispute_id, decision.effective_at, at, |conflict| {
                conflict.escalated_to = Some(Symbol::of(to.as_str()));
            }),
            AccountEvent::DisputeRuled { dispute_id, shares, reason, .. } => {
                self.change(dispute_id, decision.effective_at, at, |conflict| rule(conflict, shares, reason, decision.effective_at));
            }
            // It may come into a contest that it was no part of.
            AccountEvent::DealUpdated { deal_id, .. } | AccountEvent::DealReassigned { deal_id, .. } => {
                for subject in subjects(deal_id, at, deals) {
                    self.add_deals(&ConflictKey { account: at.key, subject }, &[deal_id], at);
                }
                self.look_again(deal_id, decision.effective_at, at, deals);
            }
            AccountEvent::DealRejected { deal_id, .. }
            | AccountEvent::DealWithdrawn { deal_id, .. }
            | AccountEvent::DealCanceled { deal_id }
            | AccountEvent::DealExpired { deal_id, .. }
            | AccountEvent::DealWon { deal_id, .. }
            | AccountEvent::DealLost { deal_id, .. } => self.look_again(deal_id, decision.effective_at, at, deals),
            // None of these begins or ends a conflict.
            AccountEvent::DealRegistered(_)
            | AccountEvent::DealApproved { .. }
            | AccountEvent::DealInformationRequested { .. }
            | AccountEvent::DealExtended { .. }
            | AccountEvent::ApprovalSlaBreached { .. }
            | AccountEvent::StageAdvanced { .. }
            | AccountEvent::NextStepSet { .. }
            | AccountEvent::NoteAdded { .. }
            | AccountEvent::DirectClaimed { .. }
            | AccountEvent::ProtectionOpened { .. }
            | AccountEvent::TouchpointRecorded { .. }
            | AccountEvent::RevenueRecorded { .. } => {}
        }
    }

    /// A registration beside other partners' open deals.
    fn overlap(&mut self, registered: &DealRegistered, decision: &Outline<'_>, at: &At<'_>, deals: &Deals) {
        let kind = if registered.historical { ConflictKind::HistoricalOverlap } else { ConflictKind::Overlap };
        let product = Symbol::of(registered.product.as_str());
        let first = registered.overlaps.first();
        let holder = first.map(|overlap| (&overlap.partner_id, &overlap.deal_id));
        let subject = self.contest(kind, Some(product), holder, decision.effective_at, at);
        for overlap in &registered.overlaps {
            if let Some(deal) = deals.get(at.key, &overlap.deal_id) {
                self.registration(&subject, &overlap.deal_id, deal, at);
            }
        }
        if let Some(deal) = deals.get(at.key, &registered.deal_id) {
            self.registration(&subject, &registered.deal_id, deal, at);
        }
        let together: Vec<&DealId> = registered.overlaps.iter().map(|overlap| &overlap.deal_id).chain([&registered.deal_id]).collect();
        for subject in [subject, WHOLE_ACCOUNT] {
            self.add_deals(&ConflictKey { account: at.key, subject }, &together, at);
        }
        self.look_again(&registered.deal_id, decision.effective_at, at, deals);
    }

    /// Notes who contends, where there is such a contest.
    fn add_deals(&mut self, key: &ConflictKey, ids: &[&DealId], at: &At<'_>) {
        let Some(contest) = self.conflicts.get(key) else { return };
        let is_new = |id: &&&DealId| !contest.deals.0.iter().any(|known| known == id.as_str());
        let new: Vec<CompactString> = ids.iter().filter(is_new).map(|id| id.as_str().into()).collect();
        if !new.is_empty()
            && let Some(contest) = self.conflicts.change(key, at)
        {
            contest.deals.0.extend(new);
        }
    }

    /// A deal changed: the contests that it is part of may have been decided by that, or may be open again.
    fn look_again(&mut self, id: &DealId, when: Timestamp, at: &At<'_>, deals: &Deals) {
        let left = deals.product_left(id).map(product_subject);
        for subject in subjects(id, at, deals).into_iter().chain(left) {
            let key = ConflictKey { account: at.key, subject };
            let Some(contest) = self.conflicts.get(&key) else { continue };
            let ruled_at = (!is_contended(contest, &key, deals)).then(|| contest.ruled_at.unwrap_or(when));
            if ruled_at != contest.ruled_at
                && let Some(contest) = self.conflicts.change(&key, at)
            {
                contest.ruled_at = ruled_at;
            }
        }
    }

    /// Lists a registered deal among the contenders, once.
    fn registration(&mut self, subject: &CompactString, id: &DealId, deal: &Deal, at: &At<'_>) {
        let contender = Contender {
            partner: Some(deal.partner),
            seller: None,
            deal: Some(id.as_str().into()),
            amount: Some(deal.registered_amount),
            currency: Some(deal.currency),
            at: deal.registered_at,
            command: Symbol::of("RegisterDeal"),
            decided: Decided::Registered,
            code: None,
            rules: deal.registered_rules,
            position: deal.registered_by,
        };
        let stand = deals_entry(at.key, subject, id);
        if self.contenders.get(&stand).is_none() {
            self.contend(stand, contender, at);
        }
    }

    /// An attempt on a protected account.
    fn refusal(&mut self, rejection: &Rejection, decision: &Outline<'_>, at: &At<'_>, deals: &Deals) {
        let Rejection::AccountProtected { holder, deal_id, product, contender, .. } = rejection else { return };
        let kind = match &*decision.command {
            "ClaimAccountDirect" => ConflictKind::RefusedDirectClaim,
            _ => ConflictKind::RefusedRegistration,
        };
        let whole = at.rules.is_some_and(|rules| rules.rules.deal_registration.protection_scope == ProtectionScope::Account);
        let product = (!whole).then(|| Symbol::of(product));
        let subject = self.contest(kind, product, Some((holder, deal_id)), decision.effective_at, at);
        // Only what is told of the attempt depends on the payload: one that cannot be read tells nothing.
        let attempt: Attempt = serde_json::from_str(decision.payload.get()).unwrap_or_default();
        let key = ConflictKey { account: at.key, subject: subject.clone() };
        let is_decided = self.conflicts.get(&key).is_some_and(|contest| !is_contended(contest, &key, deals));
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
            at: decision.effective_at,
            command: Symbol::of(&decision.command),
            decided: Decided::Refused,
            code: Some(Symbol::of("AccountProtected")),
            rules: decision.rules,
            position: at.position,
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
        self.conflicts.upsert(key, at, || Conflict {
            product: deal.map(|deal| deal.product),
            holder: deal.map(|deal| deal.partner),
            deal: Some(deal_id.as_str().into()),
            reason: Some(reason.as_str().into()),
            ..conflict(ConflictKind::Dispute, decision.effective_at)
        });
        if let Some(deal) = deal {
            self.registration(&subject, deal_id, deal, at);
        }
        let contender = Contender {
            partner: Some(Symbol::of(contender.as_str())),
            seller: None,
            deal: None,
            amount: None,
            currency: None,
            at: decision.effective_at,
            command: Symbol::of("OpenDispute"),
            decided: Decided::Disputed,
            code: None,
            rules: decision.rules,
            position: at.position,
        };
        let entry = CompactString::const_new("dispute");
        self.contend(ContenderKey { account: at.key, subject, entry }, contender, at);
    }

    /// The contest for a product, or for the whole account; its subject.
    fn contest(
        &mut self,
        kind: ConflictKind,
        product: Option<Symbol>,
        holder: Option<(&PartnerId, &DealId)>,
        when: Timestamp,
        at: &At<'_>,
    ) -> CompactString {
        let subject = product.map_or(WHOLE_ACCOUNT, product_subject);
        let key = ConflictKey { account: at.key, subject: subject.clone() };
        let contest = self.conflicts.upsert(key, at, || Conflict { product, ..conflict(kind, when) });
        contest.kind = contest.kind.max(kind);
        contest.last_at = when;
        if let Some((partner, deal)) = holder {
            contest.holder = Some(Symbol::of(partner.as_str()));
            contest.deal = Some(deal.as_str().into());
        }
        subject
    }

    fn contend(&mut self, key: ContenderKey, contender: Contender, at: &At<'_>) {
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

fn deals_entry(account: Symbol, subject: &CompactString, id: &DealId) -> ContenderKey {
    ContenderKey { account, subject: subject.clone(), entry: format_compact!("deal:{id}") }
}

/// The subject of a contest for the whole account.
const WHOLE_ACCOUNT: CompactString = CompactString::const_new("account");

/// The subject of a contest for a product, by what protection compares products by.
fn product_subject(product: Symbol) -> CompactString {
    format_compact!("product:{}", folded_product(product.name()))
}

/// The contests that a deal is part of as it stands, where there are such.
fn subjects(id: &DealId, at: &At<'_>, deals: &Deals) -> Vec<CompactString> {
    deals.get(at.key, id).map_or_else(Vec::new, |deal| vec![product_subject(deal.product), WHOLE_ACCOUNT])
}

/// Whether two partners or more have open deals in the contest, for what it is about.
fn is_contended(contest: &Conflict, key: &ConflictKey, deals: &Deals) -> bool {
    let listed = contest.deals.0.iter().filter_map(|id| deals.deals.get(&DealKey { account: key.account, deal: id.clone() }));
    let open = listed.filter(|deal| deal.status == DealStatus::Open && deal.registration != Registration::Draft);
    let mut partners =
        open.filter(|deal| key.subject == WHOLE_ACCOUNT || key.subject == product_subject(deal.product)).map(|deal| deal.partner);
    partners.next().is_some_and(|first| partners.any(|other| other != first))
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
        deals: Json(Vec::new()),
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
