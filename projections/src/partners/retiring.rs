//! Who is retiring, and what is open for it: what the policy that completes retirements acts on.

use hashbrown::HashMap;
use pledger_domain::{
    partner::PartnerPhase,
    stream::{StreamKind, StreamName},
    values::{PartnerId, Timestamp},
};
use pledger_ledger::slices::Position;

use super::{Partner, PartnerKey};
use crate::{
    deals::DealStatus,
    mdf::{FundClaimStatus, FundRequest, FundRequestKey, FundRequestStatus},
    query::Rows,
    symbol::Symbol,
};

/// A partner that is retiring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retiring {
    /// The partner.
    pub partner_id: PartnerId,
    /// The decision that started its retirement.
    pub started: Position,
    /// What is open for it, sorted: `account/acme.com#d-1`, `fund/b-1#request/r-1`, `fund/b-1#claim/c-1`. An account or a
    /// fund of which a record could not be read may hide something: `account/acme.com#unreadable`.
    pub open: Vec<String>,
    /// What was open when its retirement was last to be completed.
    pub blocked_by: Option<Vec<String>>,
}

/// Every partner that is retiring at `now`, by id. One of which a record could not be read is left out: nobody knows where
/// it stands.
#[must_use]
pub fn retiring(rows: &Rows<'_>, now: Timestamp) -> Vec<Retiring> {
    let partners = rows.shards().flat_map(|shard| shard.partners.partners.iter());
    let mut retiring: HashMap<Symbol, Retiring> =
        partners.filter_map(|(key, row, _)| Some((key.partner, started(rows, key, row)?))).collect();
    if retiring.is_empty() {
        return Vec::new();
    }
    let mut note = |partner: Symbol, item: String| {
        if let Some(retiring) = retiring.get_mut(&partner) {
            retiring.open.push(item);
        }
    };
    open_deals(rows, &mut note);
    open_funds(rows, now, &mut note);
    let unreadable = unreadable(rows);
    let mut retiring: Vec<Retiring> = retiring.into_values().collect();
    for partner in &mut retiring {
        partner.open.extend(unreadable.iter().cloned());
        partner.open.sort_unstable();
    }
    retiring.sort_unstable_by(|a, b| a.partner_id.cmp(&b.partner_id));
    retiring
}

fn started(rows: &Rows<'_>, key: &PartnerKey, row: &Partner) -> Option<Retiring> {
    let started = row.retirement.filter(|_| row.phase != PartnerPhase::Retired)?;
    if rows.incomplete_since("partner", key.partner).is_some() {
        return None;
    }
    let partner_id = PartnerId::parse(key.partner.name()).expect("it was an id when it was recorded");
    let blocked_by = row.retirement_blocked_by.as_ref().map(|open| open.0.clone());
    Some(Retiring { partner_id, started, open: Vec::new(), blocked_by })
}

fn open_deals(rows: &Rows<'_>, note: &mut impl FnMut(Symbol, String)) {
    for (key, deal, _) in rows.shards().flat_map(|shard| shard.deals.deals.iter()) {
        match deal.status {
            DealStatus::Open => note(deal.partner, format!("account/{}#{}", key.account.name(), key.deal)),
            DealStatus::Won | DealStatus::Lost | DealStatus::Rejected | DealStatus::Expired | DealStatus::Withdrawn => {}
        }
    }
}

fn open_funds(rows: &Rows<'_>, now: Timestamp, note: &mut impl FnMut(Symbol, String)) {
    for shard in rows.shards() {
        for (key, request, _) in shard.funds.requests.iter().filter(|(_, request, _)| is_open(request, now)) {
            note(request.partner, format!("fund/{}#request/{}", key.budget.name(), key.request));
        }
        for (key, claim, _) in shard.funds.claims.iter() {
            match claim.status {
                FundClaimStatus::Submitted | FundClaimStatus::Approved => {
                    let request = FundRequestKey { budget: key.budget, request: claim.request.clone() };
                    // A claim's request is in its own stream, and so in its shard.
                    if let Some(request) = shard.funds.requests.get(&request) {
                        note(request.partner, format!("fund/{}#claim/{}", key.budget.name(), key.claim));
                    }
                }
                FundClaimStatus::Paid | FundClaimStatus::Rejected => {}
            }
        }
    }
}

/// Whether a request is to be settled. One that was approved holds its money until the window for claims is over; nothing
/// closes the window of one that was approved before the ledger, but no claim is taken after it either.
fn is_open(request: &FundRequest, now: Timestamp) -> bool {
    match request.status {
        FundRequestStatus::Draft | FundRequestStatus::InReview | FundRequestStatus::ActionRequired => true,
        FundRequestStatus::Approved => request.claim_until.is_some_and(|until| now < until),
        FundRequestStatus::Closed | FundRequestStatus::Rejected | FundRequestStatus::Canceled => false,
    }
}

/// Accounts and funds that are folded no further.
fn unreadable(rows: &Rows<'_>) -> Vec<String> {
    let may_be_open = |stream: &str| match StreamName::parse(stream).map(|stream| stream.kind()) {
        Ok(StreamKind::Account | StreamKind::Fund) | Err(_) => true,
        Ok(StreamKind::Program | StreamKind::Partner | StreamKind::Cost) => false,
    };
    rows.incomplete()
        .into_iter()
        .filter(|parked| may_be_open(&parked.stream))
        .map(|parked| format!("{}#unreadable", parked.stream))
        .collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pledger_domain::{account::AccountEvent, fund::FundEvent, partner::PartnerEvent, rejection::Rejection};
    use pledger_ledger::record::{Events, Outcome};
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        asked::{ask_once, by, lines, read},
        given::{Given, Ledger, registered, time, won},
    };

    fn partner(id: &str, event: PartnerEvent) -> Given {
        Given::new(&format!("partner/{id}"), "2026-03-01", Outcome::Accepted(Events::Partner(vec![event].into())))
    }

    fn fund(name: &str, mut data: Value) -> Given {
        data["partner_id"] = "p1".into();
        data["amount"] = json!({"amount": "10.00", "currency": "USD"});
        let event: FundEvent = serde_json::from_value(json!({"type": name, "data": data})).expect(name);
        Given::new("fund/b-1", "2026-02-01", Outcome::Accepted(Events::Fund(vec![event].into())))
    }

    fn requested(id: &str) -> Given {
        fund("FundsRequested", json!({"request_id": id, "allocation_id": "a-1", "activity": "Webinar", "goal": "leads"}))
    }

    fn approved(id: &str, until: &str) -> Given {
        fund("FundRequestApproved", json!({"request_id": id, "claim_until": until}))
    }

    fn started() -> PartnerEvent {
        PartnerEvent::RetirementStarted { reason: None }
    }

    fn id(text: &str) -> PartnerId {
        PartnerId::parse(text).expect(text)
    }

    fn open_at(ledger: &Ledger, now: &str) -> Vec<String> {
        let mut retiring = read(ledger, |rows| retiring(rows, time(now)));
        assert_eq!(retiring.len(), 1);
        retiring.remove(0).open
    }

    #[test]
    fn what_is_open_is_found_in_accounts_and_funds() {
        let ledger = Ledger::with([
            partner("p1", started()),
            Given::account(
                "acme.com",
                "2026-01-10",
                vec![registered("d-1", "p1", "GTX", "10.00"), registered("d-2", "p2", "GTX", "10.00")],
            ),
            Given::account("brewery.de", "2026-01-10", vec![registered("d-3", "p1", "GTX", "10.00"), won("d-3", "9.00", "2026-02-01")]),
            requested("r-1"),
            requested("r-2"),
            fund("FundRequestRejected", json!({"request_id": "r-2", "reason": "no goal"})),
            requested("r-3"),
            approved("r-3", "2026-05-01"),
            fund("ClaimSubmitted", json!({"claim_id": "c-1", "request_id": "r-3", "proof": []})),
            fund("ClaimSubmitted", json!({"claim_id": "c-2", "request_id": "r-3", "proof": []})),
            fund("ClaimPaid", json!({"claim_id": "c-2", "request_id": "r-3", "paid_at": "2026-03-01"})),
        ]);
        let always = ["account/acme.com#d-1", "fund/b-1#claim/c-1", "fund/b-1#request/r-1"];
        assert_eq!(open_at(&ledger, "2026-04-30"), [&always[..], &["fund/b-1#request/r-3"]].concat());
        // No claim is taken after the window, whether or not somebody closed it.
        assert_eq!(open_at(&ledger, "2026-05-01"), always);
    }

    #[test]
    fn an_account_that_cannot_be_read_may_hide_something() {
        let ledger = Ledger::with([partner("p1", started())]);
        let slice = ledger.slice_of("account/acme.com");
        ledger.append(slice, Bytes::from_static(br#"{"decision":{"stream":"account/acme.com","v":1,"nonsense":true}}"#));
        assert_eq!(open_at(&ledger, "2026-04-01"), ["account/acme.com#unreadable"]);
    }

    #[test]
    fn a_retirement_is_known_by_its_beginning_and_by_what_blocked_it_last() {
        let ledger = Ledger::with([partner("p2", PartnerEvent::PartnerActivated {})]);
        let began = ledger.add(partner("p1", started()));
        let found = |ledger: &Ledger| read(ledger, |rows| retiring(rows, time("2026-04-01")));
        let fresh = Retiring { partner_id: id("p1"), started: began, open: Vec::new(), blocked_by: None };
        assert_eq!(found(&ledger), std::slice::from_ref(&fresh));
        let blocked = Rejection::RetirementBlocked { partner_id: id("p1"), open: vec!["account/acme.com#d-1".to_owned()] };
        ledger.add(Given::new("partner/p1", "2026-03-02", Outcome::Rejected(blocked)));
        assert_eq!(found(&ledger), [Retiring { blocked_by: Some(vec!["account/acme.com#d-1".to_owned()]), ..fresh }]);
        let shown =
            |ledger: &Ledger| lines(&ask_once(ledger, "partners", &by(&[], &[])), &["partner_id", "phase", "retirement_blocked_by"]);
        assert_eq!(shown(&ledger), [r#"p1 unknown ["account/acme.com#d-1"]"#, "p2 active -"]);
        ledger.add(partner("p1", PartnerEvent::RetirementCompleted { as_of: Vec::new() }));
        assert_eq!(found(&ledger), []);
        assert_eq!(shown(&ledger), ["p1 retired -", "p2 active -"]);
    }

    #[test]
    fn a_deal_blocks_whoever_owns_it_now() {
        let moved = AccountEvent::DealReassigned { deal_id: crate::given::deal_id("d-1"), from: id("p1"), to: id("p2") };
        let ledger = Ledger::with([
            partner("p1", started()),
            Given::account("acme.com", "2026-01-10", vec![registered("d-1", "p1", "GTX", "1.00"), moved]),
        ]);
        assert_eq!(open_at(&ledger, "2026-04-01"), Vec::<String>::new());
    }
}
