//! What campaigns brought: a join of touchpoints and deals, whatever slices they are in and came in first.

use compact_str::CompactString;
use hashbrown::HashMap;
use pledger_domain::values::{Currency, Timestamp};
use pledger_ledger::slices::Position;

use crate::{
    deals::{Deal, DealKey, DealStatus, facts},
    figures::half_even,
    lacking::Lacking,
    query::Rows,
    revenue::{DealRefund, DealRefundKey},
    symbol::Symbol,
};

/// The deals that a campaign's touchpoints link to it, of one currency, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Linked {
    /// The gross margin of those won, where it was given, less that of what was refunded.
    pub(super) gross_margin: i128,
    /// The value of those won, less what was refunded.
    pub(super) won: i128,
    /// The expected value of those open.
    pub(super) pipeline: i128,
}

/// A touchpoint of a campaign on an account.
struct Touch {
    campaign: Symbol,
    at: Timestamp,
    deal: Option<CompactString>,
}

impl Touch {
    /// Whether it links a deal of its account: one that it names, or any where it names none; and of those won, one that
    /// it came before.
    fn links(&self, id: &str, deal: &Deal) -> bool {
        let in_time = match deal.status {
            DealStatus::Open => true,
            DealStatus::Won => deal.closed_at.is_some_and(|closed_at| self.at <= closed_at.last_instant()),
            DealStatus::Lost | DealStatus::Rejected | DealStatus::Expired | DealStatus::Withdrawn => false,
        };
        in_time && self.deal.as_ref().is_none_or(|named| named == id)
    }
}

/// What every campaign brought. A deal counts once a campaign, and for each campaign that links it.
pub(super) fn linked(rows: &Rows<'_>) -> HashMap<(Symbol, Currency), Linked> {
    let mut touched: HashMap<Symbol, Vec<Touch>> = HashMap::new();
    for (key, row, _) in rows.shards().flat_map(|shard| shard.attribution.touchpoints.iter()) {
        if let Some(campaign) = row.campaign {
            touched.entry(key.account).or_default().push(Touch { campaign, at: row.occurred_at, deal: row.deal.clone() });
        }
    }
    let mut campaigns: HashMap<(Symbol, Currency), Linked> = HashMap::new();
    if touched.is_empty() {
        return campaigns;
    }
    for fact in facts(rows) {
        let Some(touches) = touched.get(&fact.key.account) else { continue };
        let links = touches.iter().filter(|touch| touch.links(&fact.key.deal, fact.deal));
        let mut of_deal: Vec<Symbol> = links.map(|touch| touch.campaign).collect();
        of_deal.sort_unstable();
        of_deal.dedup();
        for campaign in of_deal {
            campaigns.entry((campaign, fact.deal.currency)).or_default().add(fact.deal, refund(rows, fact.key, fact.deal));
        }
    }
    campaigns
}

/// The campaigns that touched an account that lacks a record, each with the record.
pub(super) fn touched(rows: &Rows<'_>, lacking: &Lacking) -> Vec<(Symbol, Position)> {
    let touchpoints = rows.shards().flat_map(|shard| shard.attribution.touchpoints.iter());
    touchpoints.filter_map(|(key, row, _)| Some((row.campaign?, lacking.account(key.account)?))).collect()
}

/// What was given back of a deal, in its own currency.
fn refund<'r>(rows: &'r Rows<'_>, key: &DealKey, deal: &Deal) -> Option<&'r DealRefund> {
    let key = DealRefundKey { account: key.account, deal: key.deal.clone(), currency: deal.currency };
    rows.shards().find_map(|shard| shard.revenue.refunds.get(&key))
}

/// The gross margin that went with a refund: what it gave, and where it gave none the deal's in proportion; no more than the deal's.
fn refunded_margin(deal: &Deal, refund: &DealRefund) -> i128 {
    let margin = i128::from(deal.gross_margin.unwrap_or(0));
    let share = match i128::from(deal.amount) {
        0 => 0,
        amount => half_even(margin * i128::from(refund.without_margin), amount),
    };
    (i128::from(refund.gross_margin) + share).min(margin.max(0))
}

impl Linked {
    fn add(&mut self, deal: &Deal, refund: Option<&DealRefund>) {
        if deal.status == DealStatus::Won {
            // What was given back of renewals, no campaign had brought in.
            self.won += i128::from(deal.amount) - refund.map_or(0, |refund| i128::from(refund.refunded.min(deal.amount)));
            self.gross_margin += i128::from(deal.gross_margin.unwrap_or(0)) - refund.map_or(0, |refund| refunded_margin(deal, refund));
        } else {
            self.pipeline += i128::from(deal.amount);
        }
    }
}
