//! What holds in every ledger, whatever crashed and overtook while it was written.

use std::collections::{BTreeMap, HashMap, HashSet};

use pledger_domain::{
    account::{Account, AccountEvent},
    fund::FundEvent,
    stream::{Stream, StreamName},
    values::{AllocationId, ClaimId, RequestId, Timestamp},
};
use pledger_ledger::{
    record::{Decision, Events, Outcome},
    slices::Position,
};

/// A key decides once, facts that were relied on are there, no two partners hold what one may, and no fund is overspent.
pub(crate) fn hold(decisions: &BTreeMap<Position, Decision<'_>>) -> Result<(), String> {
    keys_are_used_once(decisions)?;
    facts_exist(decisions)?;
    scopes_have_one_holder(decisions)?;
    funds_are_not_overspent(decisions)
}

fn keys_are_used_once(decisions: &BTreeMap<Position, Decision<'_>>) -> Result<(), String> {
    let mut used = HashSet::new();
    for (position, decision) in decisions {
        let may_pass_later = matches!(&decision.outcome, Outcome::Rejected(rejection) if rejection.may_pass_later());
        let command = &decision.command;
        if !may_pass_later && !used.insert((&*command.sender, decision.stream.clone(), &*command.id)) {
            return Err(format!("the key {} was decided again at {position}", command.id));
        }
    }
    Ok(())
}

/// Whatever was relied on came about.
fn facts_exist(decisions: &BTreeMap<Position, Decision<'_>>) -> Result<(), String> {
    let mut versions: HashMap<&StreamName, u64> = HashMap::new();
    for decision in decisions.values() {
        versions.insert(&decision.stream, decision.version);
    }
    for (position, decision) in decisions {
        for (stream, version) in &decision.relied_on {
            if *version > versions.get(stream).copied().unwrap_or(0) {
                return Err(format!("{position} relies on {stream} at version {version}, which is lost"));
            }
        }
    }
    Ok(())
}

fn scopes_have_one_holder(decisions: &BTreeMap<Position, Decision<'_>>) -> Result<(), String> {
    let mut accounts: HashMap<&StreamName, Account> = HashMap::new();
    for (position, decision) in decisions {
        let Outcome::Accepted(Events::Account(events)) = &decision.outcome else { continue };
        let account = accounts.entry(&decision.stream).or_default();
        events.iter().for_each(|event| account.evolve(event, decision.effective_at));
        if events.iter().any(moves_protection) {
            one_holder(account, decision.command.received_at).map_err(|scope| format!("{position}: two deals protect {scope}"))?;
        }
    }
    Ok(())
}

const fn moves_protection(event: &AccountEvent) -> bool {
    matches!(event, AccountEvent::DealApproved { .. } | AccountEvent::DealReassigned { .. } | AccountEvent::DealExtended { .. })
}

fn one_holder(account: &Account, at: Timestamp) -> Result<(), String> {
    let mut scopes = HashSet::new();
    let protecting = account.deals().filter(|(_, deal)| deal.phase().is_open() && deal.protected_until().is_some_and(|until| until > at));
    for scope in protecting.map(|(_, deal)| deal.product().as_str().to_lowercase()) {
        if !scopes.insert(scope.clone()) {
            return Err(scope);
        }
    }
    Ok(())
}

fn funds_are_not_overspent(decisions: &BTreeMap<Position, Decision<'_>>) -> Result<(), String> {
    let mut funds: BTreeMap<&StreamName, Vec<&FundEvent>> = BTreeMap::new();
    for decision in decisions.values() {
        if let Outcome::Accepted(Events::Fund(events)) = &decision.outcome {
            funds.entry(&decision.stream).or_default().extend(events.iter());
        }
    }
    funds.into_iter().try_for_each(|(fund, events)| is_not_overspent(&events).map_err(|why| format!("{fund}: {why}")))
}

/// No more is allocated than budgeted, granted than allocated, claimed than granted; what is paid was claimed.
fn is_not_overspent(events: &[&FundEvent]) -> Result<(), String> {
    let mut budget = 0;
    let mut allocated: HashMap<AllocationId, i64> = HashMap::new();
    let mut requests: HashMap<RequestId, (AllocationId, i64)> = HashMap::new();
    let mut claims: HashMap<ClaimId, (RequestId, i64)> = HashMap::new();
    let mut paid = HashSet::new();
    for event in events {
        match event {
            FundEvent::BudgetOpened { amount, .. } => budget += amount.minor(),
            FundEvent::FundsAllocated { allocation_id, amount, .. } => {
                *allocated.entry(allocation_id.clone()).or_default() += amount.minor();
            }
            FundEvent::FundsRequested { request_id, allocation_id, .. } => {
                requests.insert(request_id.clone(), (allocation_id.clone(), 0));
            }
            FundEvent::FundRequestApproved { request_id, amount, .. } => {
                requests.get_mut(request_id).ok_or("an unknown request was approved")?.1 += amount.minor();
            }
            FundEvent::ClaimSubmitted { claim_id, request_id, amount, .. } => {
                let twice = claims.insert(claim_id.clone(), (request_id.clone(), amount.minor()));
                if twice.is_some() {
                    return Err("a claim was submitted twice".into());
                }
            }
            FundEvent::ClaimPaid { claim_id, .. } => {
                if !paid.insert(claim_id.clone()) {
                    return Err("a claim was paid twice".into());
                }
            }
            FundEvent::FundRequestAmended { .. }
            | FundEvent::FundRequestRecalled { .. }
            | FundEvent::FundRequestCanceled { .. }
            | FundEvent::FundRequestInformationRequested { .. }
            | FundEvent::FundRequestRejected { .. }
            | FundEvent::ClaimApproved { .. }
            | FundEvent::ClaimRejected { .. } => {}
            // What was not claimed in time goes back, and may be granted again.
            FundEvent::ClaimWindowClosed { request_id, .. } => {
                let claimed = claims.values().filter(|(of, _)| of == request_id).map(|(_, amount)| amount).sum();
                requests.get_mut(request_id).ok_or("the window of an unknown request was closed")?.1 = claimed;
            }
        }
    }
    let granted = |id: &AllocationId| requests.values().filter(|(of, _)| of == id).map(|(_, amount)| amount).sum::<i64>();
    let claimed = |id: &RequestId| claims.values().filter(|(of, _)| of == id).map(|(_, amount)| amount).sum::<i64>();
    let sound = allocated.values().sum::<i64>() <= budget
        && requests.iter().all(|(id, (_, granted))| claimed(id) <= *granted)
        && allocated.iter().all(|(id, amount)| granted(id) <= *amount);
    if sound { Ok(()) } else { Err("the fund was overspent".into()) }
}
