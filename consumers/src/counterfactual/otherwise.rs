//! A decision that would have been another: which, what it was and would be, and the money concerned.

use pledger_domain::{
    rejection::Rejection,
    stream::StreamName,
    values::{AllocationId, ClaimId, DealId, Money, RequestId, Timestamp},
};
use pledger_ledger::{record::Outcome, slices::Position};
use serde::Serialize;
use serde_json::Value;

use super::funds::FundsMoved;
use crate::processor::Streams;

/// How a decision would differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was accepted, and would be refused.
    Refused,
    /// It was refused, and would be accepted.
    Accepted,
    /// It was accepted and would be, with other consequences: `fields` says which.
    OtherConsequences,
    /// It was refused and would be, for another reason or on other facts.
    OtherReason,
    /// It was refused and would be, by the same code on the same facts, of which only dates are others. No money moves.
    OtherDates,
    /// It fell due, and would have at another time: `fields` says when, and what else differs.
    OtherTime,
    /// It was never asked for: something would have fallen due, and this is what comes of it.
    FallsDue,
}

/// What was decided, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Told {
    /// Accepted, with events of these types.
    Accepted {
        /// In their order.
        events: Vec<&'static str>,
    },
    /// Refused.
    Refused {
        /// The rejection's stable code.
        code: String,
        /// The same in words.
        reason: String,
    },
    /// Nothing was decided.
    Nothing,
}

/// A field of an event that would hold something else.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldChange {
    /// Its name; `events` where the events themselves would be others, `effective_at` for the time of the decision.
    pub field: String,
    /// What it holds; null where it is absent.
    pub before: Value,
    /// What it would hold; null where it would be absent.
    pub after: Value,
}

/// A decision that would have been another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Otherwise {
    /// The recorded decision; where something would have fallen due, the last one before about the same.
    pub position: Option<Position>,
    /// Its stream.
    pub stream: StreamName,
    /// The command.
    pub command: &'static str,
    /// How it would differ.
    pub change: Change,
    /// What it is about: a deal, request, claim, allocation, person or period, by its id.
    pub subject: Option<String>,
    /// The partner that it concerns.
    pub partner: Option<String>,
    /// When it is true in the business.
    pub effective_at: Timestamp,
    /// What was decided.
    pub recorded: Told,
    /// What would be.
    pub draft: Told,
    /// Of `OtherConsequences` and `OtherTime`: what differs.
    pub fields: Vec<FieldChange>,
    /// The money concerned: what was asked for, or the value of the deal, request or claim that it is about. None of
    /// `OtherDates`.
    pub amount: Option<Money>,
    /// The money of a fund that it moves, where that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub funds: Option<FundsMoved>,
    /// The decision that this follows from: the first one about the same that would have been another.
    pub follows: Option<Position>,
    /// What the recorded decision cannot tell, in words.
    pub caveats: Vec<&'static str>,
}

/// It relies on a partner of whom the recorded decision names no version.
pub(super) const UNRECORDED_FACT: &str = "relies on a partner of which the decision recorded no version: taken as of its time";
/// The window of the figures is another one in the draft.
pub(super) const CARRIED_FIGURES: &str = "decided by the figures recorded with it, over the window of the rules of then";

impl Told {
    pub(super) fn of(outcome: &Outcome<'_>) -> Self {
        match outcome {
            Outcome::Accepted(events) => Self::Accepted { events: events.names().collect() },
            Outcome::Rejected(rejection) => Self::Refused { code: rejection.code(), reason: rejection.to_string() },
        }
    }
}

/// How two decisions on the same command differ; none where they do not.
pub(super) fn compare(recorded: (&Outcome<'_>, Timestamp), again: (&Outcome<'_>, Timestamp)) -> Option<(Change, Vec<FieldChange>)> {
    match (recorded.0, again.0) {
        (Outcome::Accepted(_), Outcome::Rejected(_)) => Some((Change::Refused, Vec::new())),
        (Outcome::Rejected(_), Outcome::Accepted(_)) => Some((Change::Accepted, Vec::new())),
        // A refusal takes no effect, whatever time it would have had.
        (Outcome::Rejected(was), Outcome::Rejected(is)) if was == is => None,
        (Outcome::Rejected(was), Outcome::Rejected(is)) => {
            let change = if differ_in_dates(was, is) { Change::OtherDates } else { Change::OtherReason };
            Some((change, Vec::new()))
        }
        (Outcome::Accepted(was), Outcome::Accepted(is)) if was == is && recorded.1 == again.1 => None,
        (Outcome::Accepted(was), Outcome::Accepted(is)) => {
            let [was, is] = [was, is].map(|events| serde_json::to_value(events).unwrap_or_default());
            Some((Change::OtherConsequences, consequences((&was, recorded.1), (&is, again.1))))
        }
    }
}

/// Whether two refusals have the same code and the same facts but for dates.
fn differ_in_dates(was: &Rejection, is: &Rejection) -> bool {
    let is_date = |fact: &Value| fact.as_str().is_some_and(|text| Timestamp::parse(text).is_ok_and(|date| date.to_string() == text));
    let [was, is] = [was, is].map(|rejection| serde_json::to_value(rejection).unwrap_or_default());
    let (Some(before), Some(after)) = (was["facts"].as_object(), is["facts"].as_object()) else { return false };
    let same = |(name, was): (&String, &Value)| after.get(name).is_some_and(|is| was == is || (is_date(was) && is_date(is)));
    was["code"] == is["code"] && before.len() == after.len() && before.iter().all(same)
}

/// What differs between two lists of events, each with its time.
pub(super) fn consequences(recorded: (&Value, Timestamp), again: (&Value, Timestamp)) -> Vec<FieldChange> {
    let mut fields = fields(recorded.0, again.0);
    if recorded.1 != again.1 {
        let [before, after] = [recorded.1, again.1].map(|at| Value::String(at.to_string()));
        fields.push(FieldChange { field: "effective_at".to_owned(), before, after });
    }
    fields
}

/// The fields in which lists of events differ, event by event.
fn fields(was: &Value, is: &Value) -> Vec<FieldChange> {
    let types = |events: &Value| -> Vec<Value> { events.as_array().into_iter().flatten().map(|event| event["type"].clone()).collect() };
    let [before, after] = [types(was), types(is)];
    let mut changes = Vec::new();
    if before != after {
        changes.push(FieldChange { field: "events".to_owned(), before: before.clone().into(), after: after.clone().into() });
    }
    let empty = serde_json::Map::new();
    let pairs = was.as_array().into_iter().flatten().zip(is.as_array().into_iter().flatten());
    for (was, is) in pairs.filter(|(was, is)| was["type"] == is["type"]) {
        let [was, is] = [was, is].map(|event| event["data"].as_object().unwrap_or(&empty));
        let new = is.keys().filter(|name| !was.contains_key(*name));
        for name in was.keys().chain(new) {
            let [before, after] = [was, is].map(|data| data.get(name).cloned().unwrap_or_default());
            if before != after {
                changes.push(FieldChange { field: name.clone(), before, after });
            }
        }
    }
    changes
}

/// Every id that a payload names, what it is about first.
pub(super) fn subjects(payload: &Value) -> Vec<String> {
    const NAMES: [&str; 11] = [
        "claim_id",
        "request_id",
        "allocation_id",
        "dispute_id",
        "touchpoint_id",
        "revenue_id",
        "cost_id",
        "deal_id",
        "certification",
        "person_id",
        "period",
    ];
    let id = |name: &&str| payload[*name].as_str().map(|id| format!("{} {id}", name.trim_end_matches("_id")));
    let mut ids: Vec<String> = NAMES.iter().filter_map(id).collect();
    if let (Some(certification), Some(person)) = (payload["certification"].as_str(), payload["person_id"].as_str()) {
        ids.insert(0, format!("certification {person}/{certification}"));
    }
    ids
}

/// The deal whose protection a refusal rests on.
pub(super) fn holder(outcome: &Outcome<'_>) -> Option<String> {
    match outcome {
        Outcome::Rejected(Rejection::AccountProtected { deal_id, .. }) => Some(format!("deal {deal_id}")),
        Outcome::Rejected(_) | Outcome::Accepted(_) => None,
    }
}

/// Whose the thing is that a payload is about, and what it is worth, as the streams know it.
pub(super) fn concern(stream: &StreamName, payload: &Value, worlds: [&Streams; 2]) -> (Option<String>, Option<Money>) {
    let named = payload["partner_id"].as_str().map(str::to_owned);
    let given = serde_json::from_value::<Money>(payload["amount"].clone()).ok();
    let (mut partner, mut amount) = (named.or_else(|| stream.as_str().strip_prefix("partner/").map(str::to_owned)), given);
    for streams in worlds {
        let (whose, worth) = of_state(stream, payload, streams);
        partner = partner.or(whose);
        amount = amount.or(worth);
    }
    (partner, amount)
}

fn of_state(stream: &StreamName, payload: &Value, streams: &Streams) -> (Option<String>, Option<Money>) {
    let text = |name: &str| payload[name].as_str().unwrap_or_default();
    let deal = DealId::parse(text("deal_id")).ok();
    if let Some(deal) = deal.filter(|_| stream.as_str().starts_with("account/")) {
        return streams.account.read(stream, |account| {
            let deal = account.deal(&deal);
            (deal.map(|deal| deal.partner_id().to_string()), deal.map(|deal| deal.amount().money()))
        });
    }
    if !stream.as_str().starts_with("fund/") {
        return (None, None);
    }
    streams.fund.read(stream, |fund| {
        let claim = ClaimId::parse(text("claim_id")).ok().and_then(|id| fund.claim(&id));
        let request = claim.map(|claim| claim.request_id.clone()).or_else(|| RequestId::parse(text("request_id")).ok());
        let request = request.and_then(|id| fund.request(&id));
        let allocation = AllocationId::parse(text("allocation_id")).ok().and_then(|id| fund.allocation(&id));
        let partner = request.map(|request| &request.partner_id).or_else(|| allocation.map(|allocation| &allocation.partner_id));
        let amount = claim.map(|claim| claim.amount).or_else(|| request.map(|request| request.amount));
        (partner.map(ToString::to_string), amount)
    })
}
