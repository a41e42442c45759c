//! Which decisions a verb is asked for, and what there is near a key that no decision is about.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashSet},
};

use anyhow::Result;
use pledger_domain::{
    account::AccountEvent,
    fund::FundEvent,
    stream::{StreamKind, StreamName},
    values::{DealId, PartnerId, Timestamp},
};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    log::{Log, Placed, UpTo},
    outline::Outline,
    record::{Body, Decision, Events, Outcome, Record},
};
use pledger_projections::explain::{UnknownKey, may_be_near};
use serde_json::Value;

/// Records that are read at once.
const READ: usize = 4_096;
/// The ids of what a fund holds for a partner, by the fields that name them.
const OF_FUNDS: [&str; 3] = ["allocation_id", "request_id", "claim_id"];

/// The decisions that are asked for.
pub(crate) enum Selected {
    All,
    Stream(StreamName),
    Account(StreamName),
    /// Those that name the partner, and those about what a fund holds for it.
    Partner(PartnerId, RefCell<Funds>),
    /// Those that name the deal.
    Deal(DealId),
}

impl Selected {
    pub(crate) fn partner(id: PartnerId) -> Self {
        Self::Partner(id, RefCell::default())
    }

    /// The one stream that all of them are in.
    pub(crate) const fn stream(&self) -> Option<&StreamName> {
        match self {
            Self::Stream(stream) | Self::Account(stream) => Some(stream),
            Self::All | Self::Partner(..) | Self::Deal(_) => None,
        }
    }

    /// Whether the bytes may hold one of them at all.
    pub(crate) fn may_be_in(&self, record: &Record) -> bool {
        let has = |text: &str| String::from_utf8_lossy(&record.body).contains(text);
        match self {
            Self::All | Self::Stream(_) | Self::Account(_) => true,
            Self::Partner(id, funds) => has(id.as_str()) || (!funds.borrow().0.is_empty() && has("\"fund/")),
            Self::Deal(id) => has(id.as_str()),
        }
    }

    /// Whether a decision is one of them. Decisions of a stream are shown in their order.
    pub(crate) fn holds(&self, decision: &Decision<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Stream(stream) | Self::Account(stream) => *stream == decision.stream,
            Self::Partner(id, funds) => {
                funds.borrow_mut().learn(decision, id);
                names(decision, id.as_str()) || funds.borrow().are_of(decision)
            }
            Self::Deal(id) => names(decision, id.as_str()),
        }
    }

    /// What is selected by, and the key.
    fn key(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::All => None,
            Self::Stream(stream) => Some(("stream", stream.as_str())),
            Self::Account(stream) => Some(("account", stream.key())),
            Self::Partner(id, _) => Some(("partner", id.as_str())),
            Self::Deal(id) => Some(("deal", id.as_str())),
        }
    }

    /// The keys of its kind that a decision makes known.
    fn keys_in<'d>(&self, decision: &'d Outline<'_>) -> Vec<&'d str> {
        let of = |kind| decision.stream.kind() == kind;
        match self {
            Self::Stream(stream) if of(stream.kind()) => vec![decision.stream.as_str()],
            Self::Account(_) if of(StreamKind::Account) => vec![decision.stream.key()],
            Self::Partner(..) if of(StreamKind::Partner) => vec![decision.stream.key()],
            Self::Deal(_) => registered(decision),
            Self::All | Self::Stream(_) | Self::Account(_) | Self::Partner(..) => Vec::new(),
        }
    }
}

/// The deals that a decision registered.
fn registered<'d>(decision: &'d Outline<'_>) -> Vec<&'d str> {
    let Outcome::Accepted(Events::Account(events)) = &decision.outcome else { return Vec::new() };
    let deal = |event: &'d AccountEvent| match event {
        AccountEvent::DealRegistered(deal) => Some(deal.deal_id.as_str()),
        _ => None,
    };
    events.iter().filter_map(deal).collect()
}

/// The allocations, requests and claims of a partner, each with its fund and the field that names it.
#[derive(Default)]
pub(crate) struct Funds(HashSet<(StreamName, &'static str, String)>);

impl Funds {
    /// Remembers what a decision made the partner's.
    fn learn(&mut self, decision: &Decision<'_>, partner: &PartnerId) {
        let Outcome::Accepted(Events::Fund(events)) = &decision.outcome else { return };
        let [allocation, request, claim] = OF_FUNDS;
        for event in events.iter() {
            let (field, id) = match event {
                FundEvent::FundsAllocated { allocation_id, partner_id, .. } if partner_id == partner => {
                    (allocation, allocation_id.as_str())
                }
                FundEvent::FundsRequested { request_id, partner_id, .. } if partner_id == partner => (request, request_id.as_str()),
                FundEvent::ClaimSubmitted { claim_id, partner_id, .. } if partner_id == partner => (claim, claim_id.as_str()),
                _ => continue,
            };
            self.0.insert((decision.stream.clone(), field, id.to_owned()));
        }
    }

    /// Whether a decision, accepted or refused, is about one of them.
    fn are_of(&self, decision: &Decision<'_>) -> bool {
        if decision.stream.kind() != StreamKind::Fund {
            return false;
        }
        let payload: Value = serde_json::from_str(decision.command.payload.get()).unwrap_or_default();
        OF_FUNDS
            .into_iter()
            .filter_map(|field| Some((field, payload[field].as_str()?)))
            .any(|(field, id)| self.0.contains(&(decision.stream.clone(), field, id.to_owned())))
    }
}

/// Whether a value of the decision is exactly `id`, or its stream is about it.
pub(crate) fn names(decision: &Decision<'_>, id: &str) -> bool {
    fn holds(value: &Value, id: &str) -> bool {
        match value {
            Value::String(text) => text == id,
            Value::Array(items) => items.iter().any(|item| holds(item, id)),
            Value::Object(fields) => fields.values().any(|value| holds(value, id)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    let in_outcome = match &decision.outcome {
        Outcome::Accepted(events) => serde_json::to_value(events),
        Outcome::Rejected(rejection) => serde_json::to_value(rejection),
    };
    let in_payload = serde_json::from_str(decision.command.payload.get());
    decision.stream.key() == id || [in_outcome, in_payload].into_iter().flatten().any(|value| holds(&value, id))
}

/// Which records are valid; void ones are passed over.
pub(crate) struct Valid(Vec<ChainHead>);

impl Valid {
    pub(crate) fn of(log: &dyn Log) -> Self {
        Self(vec![ChainHead::default(); usize::from(log.slices().count)])
    }

    pub(crate) fn each(&mut self, placed: &[Placed], take: &mut dyn FnMut(&Record) -> Result<()>) -> Result<()> {
        for Placed { offset, record } in placed {
            if self.0[usize::from(record.header.slice)].accept(*offset, record) == Verdict::Valid {
                take(record)?;
            }
        }
        Ok(())
    }
}

/// Shows every valid record that there is now, in the log's own order.
pub(crate) fn whole_log(log: &dyn Log, take: &mut dyn FnMut(&Record) -> Result<()>) -> Result<()> {
    let (mut up_to, mut valid) = (UpTo::the_end(log, &[])?, Valid::of(log));
    loop {
        let placed = up_to.next(READ)?;
        if placed.is_empty() {
            return Ok(());
        }
        valid.each(&placed, take)?;
    }
}

/// What the whole ledger says where nothing was found.
pub(crate) struct Survey {
    /// The key, where no decision at any time is about it.
    pub(crate) unknown: Option<UnknownKey>,
    /// Since when the first decision is true.
    pub(crate) begins: Option<Timestamp>,
}

impl Survey {
    /// Reads the whole ledger.
    pub(crate) fn of(log: &dyn Log, selected: &Selected) -> Result<Self> {
        let key = selected.key();
        let (mut is_known, mut begins, mut names) = (false, None, BTreeSet::new());
        whole_log(log, &mut |record| {
            // What cannot be read names nothing.
            let Ok(Some(decision)) = Outline::decode(&record.body) else { return Ok(()) };
            begins = Some(begins.map_or(decision.effective_at, |first: Timestamp| first.min(decision.effective_at)));
            let near = |name: &&str| key.is_some_and(|(_, key)| may_be_near(key, name));
            names.extend(selected.keys_in(&decision).into_iter().filter(near).map(str::to_owned));
            is_known = is_known || (selected.may_be_in(record) && is_one(selected, record));
            Ok(())
        })?;
        let unknown = key.filter(|_| !is_known).map(|(kind, key)| UnknownKey::among(kind, key, names.iter().map(String::as_str)));
        Ok(Self { unknown, begins })
    }
}

fn is_one(selected: &Selected, record: &Record) -> bool {
    matches!(Body::decode(&record.body), Ok(Body::Decision(decision)) if selected.holds(&decision))
}
