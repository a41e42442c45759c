//! Credits deal by deal: one item a deal, model and credited party.

use hashbrown::HashSet;
use pledger_domain::values::{Currency, Month};
use pledger_ledger::slices::{Position, SliceId};

use super::{
    arithmetic::Shares,
    fold::Attribution,
    journey::Standing,
    models::{Credit, Journey, Model, Party, weight},
    totals::{AttributedDeal, quarter},
    view::{Fact, NAME, dims},
};
use crate::{
    cube::{DimValue, Plan},
    deals::{Deal, DealKey, DealStatus},
    figures::{money, time},
    lacking::{Lacking, since},
    page::{Selection, cursor, read_cursor},
    query::{Answer, Item, Query, QueryError, Rows},
};

/// Deals that are looked at together: some may turn out to have no credit that is asked for.
const AT_ONCE: usize = 256;

/// What is asked for: `deals` by their ids, all where there are none; `query` has every other filter.
pub(super) struct Wanted<'r, 'q> {
    pub(super) rows: &'q Rows<'r>,
    pub(super) query: &'q Query,
    pub(super) deals: &'q [String],
}

/// Where an item stands: deal, account, model, party.
type Place = (String, String, usize, usize);

/// A won deal that may have credits that are asked for.
struct Candidate<'a> {
    attribution: &'a Attribution,
    slice: SliceId,
    key: &'a DealKey,
    deal: &'a Deal,
}

impl Candidate<'_> {
    fn attributed(&self) -> Option<AttributedDeal> {
        self.attribution.attributed(self.slice, self.key, self.deal)
    }

    fn item(&self, attributed: &AttributedDeal, credit: &Credit, model: Model, details: bool) -> Item {
        let mut item = item(self.key, self.deal, attributed, credit, model);
        let shared = details.then(|| self.attribution.shared_among(self.slice, self.key, self.deal)).flatten();
        if let Some((touches, rules)) = shared {
            let journey = Journey { touches: &touches, registered_at: self.deal.registered_at, amount: self.deal.amount };
            item.0.extend(Shares::of(model, credit.party, &journey, attributed.closed_at, rules).fields());
        }
        item
    }
}

/// The credits of a deal, one a model and party, with the party's place.
pub(super) fn facts(key: &DealKey, deal: &AttributedDeal) -> impl Iterator<Item = (Fact, usize)> {
    let of_model = move |model: Model| {
        let credits = deal.credits.iter().enumerate().filter(move |(_, credit)| credit.weights[model] > 0);
        credits.map(move |(place, credit)| (fact(key, deal, credit, model), place))
    };
    Model::ALL.into_iter().flat_map(of_model)
}

fn fact(key: &DealKey, deal: &AttributedDeal, credit: &Credit, model: Model) -> Fact {
    Fact {
        account: key.matched_account(),
        party: credit.party,
        model,
        quarter: quarter(deal.closed_at),
        standing: deal.standing,
        currency: deal.currency,
        credits: 1,
        credited: credit.credited[model].into(),
    }
}

impl Wanted<'_, '_> {
    /// A page of items in the order of deal, account, model and first touch.
    pub(super) fn answer(&self) -> Result<Answer, QueryError> {
        let dims = dims();
        let plan = Plan::read(NAME, &dims, self.query)?;
        let after = read_place(self.query)?;
        let limit = self.query.limit.unwrap_or(usize::MAX - 1);
        let lacking = Lacking::of(self.rows);
        let (mut items, mut last) = (Vec::new(), None::<Place>);
        let mut from = after.as_ref().map(|(deal, account, ..)| (deal.clone(), account.clone()));
        let mut begun = from.is_none();
        loop {
            // The deal that the last page ended in is looked at again: it may have more.
            let (candidates, more) = self.candidates(from.as_ref(), begun, limit.saturating_add(1).clamp(AT_ONCE, usize::MAX - 1))?;
            for candidate in &candidates {
                let key = candidate.key;
                let Some(attributed) = candidate.attributed() else { continue };
                for (fact, party) in facts(key, &attributed).filter(|(fact, _)| plan.admits(fact)) {
                    let place = (key.deal.to_string(), key.account.name().to_owned(), fact.model as usize, party);
                    if after.as_ref().is_some_and(|after| place <= *after) {
                        continue;
                    }
                    if items.len() == limit {
                        return Ok(Answer { items, next: last.map(|place| write_place(&place)) });
                    }
                    let mut item = candidate.item(&attributed, &attributed.credits[party], fact.model, self.query.details);
                    item.0.push(since(lacking.account(key.account)));
                    items.push(item);
                    last = Some(place);
                }
            }
            let Some(end) = candidates.last().filter(|_| more) else { break };
            (from, begun) = (Some((end.key.deal.to_string(), end.key.account.name().to_owned())), true);
        }
        Ok(Answer { items, next: None })
    }

    /// Every won deal that is asked for, with its credits.
    pub(super) fn every_deal(&self) -> Result<Vec<(&DealKey, AttributedDeal)>, QueryError> {
        let (candidates, _) = self.candidates(None, true, usize::MAX - 1)?;
        Ok(candidates.into_iter().filter_map(|found| Some((found.key, found.attributed()?))).collect())
    }

    /// The won deals that are asked for of accounts that lack a record, with their credits and the record.
    pub(super) fn lacking<'w>(&'w self, lacking: &'w Lacking) -> impl Iterator<Item = (&'w DealKey, AttributedDeal, Position)> {
        let wanted = |key: &DealKey| self.deals.is_empty() || self.deals.iter().any(|id| *id == key.deal);
        self.rows.shards().flat_map(move |shard| {
            let lacking = shard.deals.deals.iter().filter_map(|(key, deal, stand)| Some((key, deal, stand, lacking.account(key.account)?)));
            lacking
                .filter(move |(key, ..)| wanted(key))
                .filter_map(|(key, deal, stand, since)| Some((key, shard.attribution.attributed(stand.position.slice, key, deal)?, since)))
        })
    }

    /// The first won deals from `from` on (after it, where `exclusive`) that the filters do not rule out, and whether
    /// there are more. What only the credits can tell is left open.
    fn candidates(&self, from: Option<&(String, String)>, exclusive: bool, many: usize) -> Result<(Vec<Candidate<'_>>, bool), QueryError> {
        let dims = dims();
        let only = |names: &[&str]| {
            let filters = self.query.filters.iter().filter(|(name, _)| names.contains(&name.as_str())).cloned().collect();
            Plan::read(NAME, &dims, &Query { filters, ..Query::default() })
        };
        let (of_deal, of_party) = (only(&["account", "quarter"])?, only(&["partner", "channel"])?);
        let any_party = !self.query.filters.iter().any(|(name, _)| name == "partner" || name == "channel");
        let from = from.map(|(deal, account)| (deal.as_str(), account.as_str()));
        let mut selection = Selection::new(from.filter(|_| exclusive), Some(many));
        for shard in self.rows.shards() {
            let touched = |party| of_party.admits(&credit_of(party));
            let accounts = if any_party { HashSet::new() } else { shard.attribution.accounts_touched_by(touched) };
            for (key, deal, stand) in shard.deals.deals.iter().filter(|(_, deal, _)| deal.status == DealStatus::Won) {
                let place = (key.deal.as_str(), key.account.name());
                if from.is_some_and(|from| place < from) || !(self.deals.is_empty() || self.deals.iter().any(|id| *id == key.deal)) {
                    continue;
                }
                let probe = probe(key, deal);
                let party = || any_party || of_party.admits(&probe) || accounts.contains(&key.account);
                if of_deal.admits(&probe) && party() {
                    selection.push(place, Candidate { attribution: &shard.attribution, slice: stand.position.slice, key, deal });
                }
            }
        }
        let (found, more) = selection.finish();
        Ok((found.into_iter().map(|(_, candidate)| candidate).collect(), more))
    }
}

/// A credit of which the party is all that is known.
const fn credit_of(party: Party) -> Fact {
    let (model, standing, currency) = (Model::First, Standing::Sourced, Currency::USD);
    Fact { account: None, party, model, quarter: Month::from_index(0), standing, currency, credits: 0, credited: 0 }
}

/// What is known of a deal's credits before they are made: the party is the one where nobody else touched it.
fn probe(key: &DealKey, deal: &Deal) -> Fact {
    let quarter = quarter(deal.closed_at.unwrap_or(deal.registered_at));
    Fact { account: key.matched_account(), quarter, ..credit_of(Party::Partner(deal.sourced_by)) }
}

fn item(key: &DealKey, deal: &Deal, attributed: &AttributedDeal, credit: &Credit, model: Model) -> Item {
    let (partner, channel) = match credit.party {
        Party::Partner(partner) => (DimValue::Name(partner), DimValue::Null),
        Party::Channel(channel) => (DimValue::Null, DimValue::Name(channel)),
    };
    let currency: Currency = deal.currency;
    Item(vec![
        ("deal", key.deal.as_str().into()),
        ("partner", partner.json()),
        ("channel", channel.json()),
        ("model", model.word().into()),
        ("quarter", DimValue::Quarter(quarter(attributed.closed_at)).json()),
        ("currency", currency.code().into()),
        ("weight", weight(credit.weights[model]).into()),
        ("credited", money(credit.credited[model].into(), currency)),
        ("account", DimValue::name(key.matched_account()).json()),
        ("standing", attributed.standing.word().into()),
        ("amount", money(deal.amount.into(), currency)),
        ("closed_at", time(deal.closed_at)),
    ])
}

fn write_place((deal, account, model, party): &Place) -> String {
    cursor(&[deal.clone(), account.clone(), model.to_string(), party.to_string()])
}

fn read_place(query: &Query) -> Result<Option<Place>, QueryError> {
    let Some(parts) = read_cursor(NAME, query, 4)? else { return Ok(None) };
    let invalid = QueryError::InvalidCursor { view: NAME };
    match (parts[2].parse(), parts[3].parse()) {
        (Ok(model), Ok(party)) => Ok(Some((parts[0].clone(), parts[1].clone(), model, party))),
        _ => Err(invalid),
    }
}
