//! The fold of attribution.

use std::sync::LazyLock;

use compact_str::CompactString;
use hashbrown::{HashMap, HashSet};
use pledger_domain::{
    account::AccountEvent,
    rules::{AttributionRules, Rules},
    values::{DealId, Timestamp},
};
use pledger_ledger::{
    outline::Outline,
    record::{Events, Outcome},
    slices::{Position, SliceId},
};

use super::{
    arithmetic::{age_days, aged_until},
    journey::{Act, History, Standing},
    models::{Journey, Party, Touch, credits},
    row::{AttributionVersion, AttributionVersionKey, Touchpoint, TouchpointKey},
    totals::{AttributedDeal, Totals},
};
use crate::{
    cell::{InSlice, Json},
    deals::{Deal, DealKey, DealStatus, Deals},
    shard::{At, Fold},
    symbol::Symbol,
    table::{AnyTable, Stand, Table},
};

/// What governs where no rules are in force yet.
static DEFAULTS: LazyLock<AttributionRules> =
    LazyLock::new(|| Rules::parse(Rules::DEFAULT).expect("the embedded default is tested to parse").attribution);

/// The attribution of a shard.
#[derive(Debug, Default)]
pub struct Attribution {
    /// By account and touchpoint.
    pub touchpoints: Table<Touchpoint>,
    /// By slice and version.
    pub versions: Table<AttributionVersion>,
    /// Derived: the same touchpoints, and the wins, in the order of their times.
    accounts: HashMap<Symbol, History>,
    /// Derived: sums over the won deals, without those that are unsettled.
    totals: Totals,
    /// Won deals that a touchpoint came too late for, with the slice of their account: they are credited again once for
    /// all the touchpoints that came together.
    unsettled: HashMap<DealKey, SliceId>,
}

impl Attribution {
    /// The sums over the won deals.
    #[must_use]
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// A won deal with its credits, under the rules that it was won under; none where it is not won. `slice` is that of
    /// its account.
    #[must_use]
    pub fn attributed(&self, slice: SliceId, key: &DealKey, deal: &Deal) -> Option<AttributedDeal> {
        self.attributed_under(self.rules(slice, deal.won_rules), key, deal)
    }

    /// The sums over the won deals, had these rules governed when each was won.
    #[must_use]
    pub fn totals_under(&self, rules: &AttributionRules, deals: &Deals) -> Totals {
        let mut totals = Totals::default();
        let attributed = deals.deals.iter().filter_map(|(key, deal, _)| self.attributed_under(rules, key, deal));
        attributed.for_each(|deal| totals.add(&deal, 1));
        totals
    }

    fn attributed_under(&self, rules: &AttributionRules, key: &DealKey, deal: &Deal) -> Option<AttributedDeal> {
        let closed_at = closed_at(deal)?;
        let (touches, standing) = self.touches(rules, key, deal, closed_at);
        let journey = Journey { touches: &touches, registered_at: deal.registered_at, amount: deal.amount };
        Some(AttributedDeal { closed_at, standing, currency: deal.currency, credits: credits(&journey, rules) })
    }

    /// The touches that a won deal is credited to.
    fn touches(&self, rules: &AttributionRules, key: &DealKey, deal: &Deal, closed_at: Timestamp) -> (Vec<Touch>, Standing) {
        let history = self.accounts.get(&key.account);
        let journey = history.and_then(|history| history.journey(&key.deal, deal.registered_at, closed_at, rules));
        journey.unwrap_or_else(|| {
            // Where nothing else led to it, the registering partner is the only touch.
            (vec![Touch { party: Party::Partner(deal.sourced_by), at: deal.registered_at }], Standing::Sourced)
        })
    }

    /// The same touches, and the rules that share the deal among them; none where it is not won.
    pub(super) fn shared_among(&self, slice: SliceId, key: &DealKey, deal: &Deal) -> Option<(Vec<Touch>, &AttributionRules)> {
        let rules = self.rules(slice, deal.won_rules);
        Some((self.touches(rules, key, deal, closed_at(deal)?).0, rules))
    }

    /// The touchpoints among these touches, in their order; none where there is none but the registration.
    pub(crate) fn led_to(&self, slice: SliceId, key: &DealKey, deal: &Deal) -> Vec<LedTo<'_>> {
        let Some((closed_at, history)) = closed_at(deal).zip(self.accounts.get(&key.account)) else { return Vec::new() };
        let acts = history.led_to(&key.deal, closed_at, self.rules(slice, deal.won_rules));
        let keys = acts.map(|act| TouchpointKey { account: key.account, touchpoint: act.id.clone() });
        let found: Vec<_> = keys.filter_map(|key| Some((self.touchpoints.get(&key)?, self.touchpoints.stand(&key)?))).collect();
        let until = aged_until(closed_at, found.last().map(|(row, _)| row.occurred_at));
        let led = |(row, stand): (_, Stand)| LedTo { row, position: stand.position, age_days: age_days(row.occurred_at, until) };
        found.into_iter().map(led).collect()
    }

    /// The accounts on which a touchpoint is of such a party.
    pub(super) fn accounts_touched_by(&self, party: impl Fn(Party) -> bool) -> HashSet<Symbol> {
        self.accounts.iter().filter(|(_, history)| history.has_party(&party)).map(|(account, _)| *account).collect()
    }

    fn rules(&self, slice: SliceId, version: u32) -> &AttributionRules {
        self.versions.get(&AttributionVersionKey { slice: InSlice(slice), version }).map_or(&*DEFAULTS, |version| &version.rules.0)
    }

    /// A deal is won: it is credited to what led to it.
    fn won(&mut self, deal_id: &DealId, at: &At<'_>, deals: &Deals) {
        let key = DealKey { account: at.key, deal: CompactString::new(deal_id.as_str()) };
        let Some(deal) = deals.deals.get(&key) else { return };
        let version = AttributionVersionKey { slice: InSlice(at.position.slice), version: deal.won_rules };
        // The first win of the slice makes them known: one that was left out and is folded late may be the first.
        if self.versions.stand(&version).is_none_or(|known| at.position.pseq < known.position.pseq) {
            self.versions.take_out(&version);
            self.versions.upsert(version, at, || AttributionVersion { rules: Json(governing(at).clone()) });
        }
        if let Some(closed_at) = deal.closed_at {
            self.accounts.entry(at.key).or_default().won(closed_at, key.deal.clone());
        }
        self.add(&key, deal, at.position.slice, 1);
    }

    /// A touchpoint is recorded: won deals that it comes too late for are to be credited again.
    fn touched(&mut self, key: TouchpointKey, row: Touchpoint, at: &At<'_>, deals: &Deals) {
        let (act, slice) = (Act::of(&key, &row), at.position.slice);
        for (key, deal) in self.too_late_for(&act, at, deals) {
            if !self.unsettled.contains_key(&key) {
                self.add(&key, deal, slice, -1);
                self.unsettled.insert(key, slice);
            }
        }
        self.touchpoints.upsert(key, at, || row);
        self.accounts.entry(at.key).or_default().touched(act);
    }

    /// The won deals of the account that a touchpoint counts for.
    fn too_late_for<'d>(&self, act: &Act, at: &At<'_>, deals: &'d Deals) -> Vec<(DealKey, &'d Deal)> {
        let Some(history) = self.accounts.get(&at.key) else { return Vec::new() };
        let longest = || self.versions.iter().map(|(_, version, _)| version.rules.0.window_days).max();
        // The versions are looked through only where there is such a deal: nearly always there is none.
        let Some(days) = history.won_within(act, u32::MAX).next().and_then(|_| longest()) else { return Vec::new() };
        let wins = history.won_within(act, days).map(|(_, deal)| DealKey { account: at.key, deal: deal.clone() });
        let deals = wins.filter_map(|key| deals.deals.get(&key).map(|deal| (key, deal)));
        let slice = at.position.slice;
        let counts = |(key, deal): &(DealKey, &Deal)| {
            deal.closed_at.is_some_and(|closed_at| act.counts_for(&key.deal, closed_at, self.rules(slice, deal.won_rules)))
        };
        deals.filter(counts).collect()
    }

    /// Adds a deal's credits to the sums, or with -1 takes them away again.
    fn add(&mut self, key: &DealKey, deal: &Deal, slice: SliceId, sign: i8) {
        if let Some(attributed) = self.attributed(slice, key, deal) {
            self.totals.add(&attributed, sign);
        }
    }
}

/// A touchpoint that led to a won deal.
pub(crate) struct LedTo<'a> {
    /// What is known of it.
    pub(crate) row: &'a Touchpoint,
    /// Where it is recorded.
    pub(crate) position: Position,
    /// How long before the close it was, in days.
    pub(crate) age_days: String,
}

/// When a deal was won.
fn closed_at(deal: &Deal) -> Option<Timestamp> {
    deal.closed_at.filter(|_| deal.status == DealStatus::Won)
}

/// The attribution rules that a decision names.
fn governing<'a>(at: &At<'a>) -> &'a AttributionRules {
    at.rules.map_or(&*DEFAULTS, |set| &set.rules.attribution)
}

impl Fold for Attribution {
    fn fold(&mut self, decision: &Outline<'_>, at: &At<'_>, deals: &Deals) {
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

    fn unsettled(&self) -> usize {
        self.unsettled.len()
    }

    fn settle(&mut self, deals: &Deals, at_most: usize) {
        let some: Vec<_> = self.unsettled.keys().take(at_most).cloned().collect();
        for key in some {
            if let Some((slice, deal)) = self.unsettled.remove(&key).zip(deals.deals.get(&key)) {
                self.add(&key, deal, slice, 1);
            }
        }
    }

    fn loaded(&mut self, deals: &Deals) {
        self.accounts.clear();
        self.unsettled.clear();
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
        deals
            .deals
            .iter()
            .filter_map(|(key, deal, stand)| self.attributed(stand.position.slice, key, deal))
            .for_each(|deal| totals.add(&deal, 1));
        self.totals = totals;
    }

    fn tables(&self) -> Vec<&dyn AnyTable> {
        vec![&self.touchpoints, &self.versions]
    }

    fn tables_mut(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut self.touchpoints, &mut self.versions]
    }
}
