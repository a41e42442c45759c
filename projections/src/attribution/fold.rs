//! The fold of attribution.

use std::sync::LazyLock;

use compact_str::CompactString;
use hashbrown::HashMap;
use pledger_domain::{
    account::AccountEvent,
    rules::{AttributionRules, Rules},
    values::DealId,
};
use pledger_ledger::record::{Decision, Events, Outcome};

use super::{
    journey::{Act, History, Standing},
    models::{Journey, Party, Touch, credits},
    row::{AttributionVersion, AttributionVersionKey, TouchedDeal, TouchedDealKey, Touchpoint, TouchpointKey},
    totals::{AttributedDeal, Totals},
};
use crate::{
    cell::Json,
    deals::{Deal, DealKey, DealStatus, Deals},
    shard::{At, Fold},
    symbol::Symbol,
    table::{AnyTable, Table},
};

/// What governs where no rules are in force yet.
static DEFAULTS: LazyLock<AttributionRules> =
    LazyLock::new(|| Rules::parse(Rules::DEFAULT).expect("the embedded default is tested to parse").attribution);

/// The attribution of a shard.
#[derive(Debug, Default)]
pub struct Attribution {
    /// By account and touchpoint.
    pub touchpoints: Table<Touchpoint>,
    /// By account and deal.
    pub touched: Table<TouchedDeal>,
    /// By slice and version.
    pub versions: Table<AttributionVersion>,
    /// Derived: the same touchpoints and wins in the order of their times.
    accounts: HashMap<Symbol, History>,
    /// Derived: sums over the won deals.
    totals: Totals,
}

impl Attribution {
    /// The sums over the won deals.
    #[must_use]
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// A won deal with its credits; none where it is not won.
    #[must_use]
    pub fn attributed(&self, key: &DealKey, deal: &Deal) -> Option<AttributedDeal> {
        let closed_at = deal.closed_at.filter(|_| deal.status == DealStatus::Won)?;
        let journey = self.rules_of(key).and_then(|rules| {
            self.accounts.get(&key.account)?.journey(&key.deal, deal.registered_at, closed_at, rules).map(|journey| (journey, rules))
        });
        let ((touches, standing), rules) = journey.unwrap_or_else(|| {
            // Where nothing else led to it, the registering partner is the only touch.
            let only = Touch { party: Party::Partner(deal.sourced_by), at: deal.registered_at };
            ((vec![only], Standing::Sourced), &DEFAULTS)
        });
        let journey = Journey { touches: &touches, registered_at: deal.registered_at, amount: deal.amount };
        Some(AttributedDeal { closed_at, standing, currency: deal.currency, credits: credits(&journey, rules) })
    }

    /// Whether a touchpoint on the account is of this party.
    #[must_use]
    pub fn has_party(&self, account: Symbol, party: impl Fn(Party) -> bool) -> bool {
        self.accounts.get(&account).is_some_and(|history| history.has_party(party))
    }

    /// The rules that a deal with touches is credited under.
    fn rules_of(&self, key: &DealKey) -> Option<&AttributionRules> {
        let key = TouchedDealKey { account: key.account, deal: key.deal.clone() };
        let (touched, stand) = (self.touched.get(&key)?, self.touched.stand(&key)?);
        let version = self.versions.get(&AttributionVersionKey { slice: stand.position.slice, version: touched.rules });
        Some(version.map_or(&*DEFAULTS, |version| &version.rules.0))
    }

    /// A deal is won: it is credited to what led to it.
    fn won(&mut self, deal_id: &DealId, at: &At<'_>, deals: &Deals) {
        let key = DealKey { account: at.key, deal: CompactString::new(deal_id.as_str()) };
        let Some(deal) = deals.deals.get(&key) else { return };
        let Some(closed_at) = deal.closed_at else { return };
        let history = self.accounts.entry(at.key).or_default();
        history.won(closed_at, key.deal.clone());
        self.attribute(&key, deal, at);
    }

    /// A touchpoint is recorded: won deals that it comes too late for are credited again.
    fn touched(&mut self, key: TouchpointKey, row: Touchpoint, at: &At<'_>, deals: &Deals) {
        let act = Act::of(&key, &row);
        let late = self.too_late_for(&act, at);
        let late: Vec<_> = late.iter().filter_map(|key| deals.deals.get(key).map(|deal| (key, deal))).collect();
        for (key, deal) in &late {
            if let Some(before) = self.attributed(key, deal) {
                self.totals.add(&before, -1);
            }
        }
        self.touchpoints.upsert(key, at, || row);
        self.accounts.entry(at.key).or_default().touched(act);
        for (key, deal) in late {
            self.attribute(key, deal, at);
        }
    }

    /// The won deals that a touchpoint recorded at `at` counts for.
    fn too_late_for(&self, act: &Act, at: &At<'_>) -> Vec<DealKey> {
        let Some(history) = self.accounts.get(&at.key) else { return Vec::new() };
        let longest = || self.versions.iter().map(|(_, version, _)| version.rules.0.window_days).chain([governing(at).window_days]).max();
        // The versions are looked through only where there is such a deal: nearly always there is none.
        let Some(days) = history.won_within(act, u32::MAX).next().and_then(|_| longest()) else { return Vec::new() };
        let keys = history.won_within(act, days).map(|(closed_at, deal)| (*closed_at, DealKey { account: at.key, deal: deal.clone() }));
        let counts =
            |(closed_at, key): &(_, DealKey)| act.counts_for(&key.deal, *closed_at, self.rules_of(key).unwrap_or_else(|| governing(at)));
        keys.filter(counts).map(|(_, key)| key).collect()
    }

    /// Credits a won deal under the rules that it is credited under already, else under those of the decision at `at`.
    fn attribute(&mut self, key: &DealKey, deal: &Deal, at: &At<'_>) {
        let Some(closed_at) = deal.closed_at else { return };
        let rules = self.rules_of(key).unwrap_or_else(|| governing(at));
        let journey = self.accounts.get(&at.key).and_then(|history| history.journey(&key.deal, deal.registered_at, closed_at, rules));
        if let Some((touches, _)) = journey {
            let version = AttributionVersionKey { slice: at.position.slice, version: at.stand().rules };
            let first = || TouchedDeal { rules: version.version, touches: 0 };
            let row = self.touched.upsert(TouchedDealKey { account: key.account, deal: key.deal.clone() }, at, first);
            row.touches = u32::try_from(touches.len()).unwrap_or(u32::MAX);
            if row.rules == version.version && self.versions.get(&version).is_none() {
                self.versions.upsert(version, at, || AttributionVersion { rules: Json(governing(at).clone()) });
            }
        }
        if let Some(attributed) = self.attributed(key, deal) {
            self.totals.add(&attributed, 1);
        }
    }
}

/// The attribution rules that a decision names.
fn governing<'a>(at: &At<'a>) -> &'a AttributionRules {
    at.rules.map_or(&*DEFAULTS, |set| &set.rules.attribution)
}

impl Fold for Attribution {
    fn fold(&mut self, decision: &Decision<'_>, at: &At<'_>, deals: &Deals) {
        let Outcome::Accepted(Events::Account(events)) = &decision.outcome else { return };
        for event in events.iter() {
            match event {
                AccountEvent::DealWon { deal_id, .. } => self.won(deal_id, at, deals),
                AccountEvent::TouchpointRecorded { touchpoint_id, partner_id, kind, channel, deal_id, campaign_id, occurred_at } => {
                    let key = TouchpointKey { account: at.key, touchpoint: CompactString::new(touchpoint_id.as_str()) };
                    let row = Touchpoint {
                        occurred_at: *occurred_at,
                        partner: partner_id.as_ref().map(|id| Symbol::of(id.as_str())),
                        channel: channel.as_ref().map(|channel| Symbol::of(channel.as_str())),
                        kind: Symbol::of(kind.as_str()),
                        deal: deal_id.as_ref().map(|id| CompactString::new(id.as_str())),
                        campaign: campaign_id.as_ref().map(|id| Symbol::of(id.as_str())),
                    };
                    self.touched(key, row, at, deals);
                }
                // A deal is credited once it is won, to those who touched it, whosever it is by then.
                AccountEvent::DealRegistered(_)
                | AccountEvent::DealUpdated { .. }
                | AccountEvent::DealApproved { .. }
                | AccountEvent::DealRejected { .. }
                | AccountEvent::DealInformationRequested { .. }
                | AccountEvent::DealWithdrawn { .. }
                | AccountEvent::DealCanceled { .. }
                | AccountEvent::DealExtended { .. }
                | AccountEvent::DealExpired { .. }
                | AccountEvent::ApprovalSlaBreached { .. }
                | AccountEvent::StageAdvanced { .. }
                | AccountEvent::NextStepSet { .. }
                | AccountEvent::NoteAdded { .. }
                | AccountEvent::DealLost { .. }
                | AccountEvent::DirectClaimed { .. }
                | AccountEvent::ProtectionOpened { .. }
                | AccountEvent::DealReassigned { .. }
                | AccountEvent::RevenueRecorded { .. }
                | AccountEvent::DisputeOpened { .. }
                | AccountEvent::DisputeEscalated { .. }
                | AccountEvent::DisputeRuled { .. } => {}
            }
        }
    }

    fn loaded(&mut self, deals: &Deals) {
        self.accounts.clear();
        self.totals = Totals::default();
        for (key, row, _) in self.touchpoints.iter() {
            self.accounts.entry(key.account).or_default().load_act(Act::of(key, row));
        }
        for (key, deal, _) in deals.deals.iter() {
            if let Some(closed_at) = deal.closed_at.filter(|_| deal.status == DealStatus::Won) {
                self.accounts.entry(key.account).or_default().load_win(closed_at, key.deal.clone());
            }
        }
        self.accounts.values_mut().for_each(History::sort);
        let mut totals = Totals::default();
        deals.deals.iter().filter_map(|(key, deal, _)| self.attributed(key, deal)).for_each(|deal| totals.add(&deal, 1));
        self.totals = totals;
    }

    fn tables(&self) -> Vec<&dyn AnyTable> {
        vec![&self.touchpoints, &self.touched, &self.versions]
    }

    fn tables_mut(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut self.touchpoints, &mut self.touched, &mut self.versions]
    }
}
