//! Holds what was told against the ledger, read by the chain rule alone.

use std::collections::{BTreeMap, HashMap, HashSet};

use pledger_consumers::processor::Processor;
use pledger_domain::{
    account::{Account, AccountEvent},
    command::Address,
    fund::FundEvent,
    stream::{Stream, StreamName},
    values::{AllocationId, ClaimId, DealId, RequestId, Timestamp},
};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    commands::{Answer, Undecided},
    log::{Log, Placed},
    record::{Body, Decision, Events, Outcome},
    slices::Position,
    verify::verify,
};

use crate::world::{Heard, World};

/// Everything that a schedule promises.
pub(crate) fn check(world: &mut World) -> Result<(), String> {
    let verified = verify(&world.log, None, &mut |_| {}).map_err(|error| error.to_string())?;
    world.tally.void += verified.void;
    let records = valid_records(world);
    let mut decisions = BTreeMap::new();
    for placed in &records {
        if let Body::Decision(decision) = Body::decode(&placed.record.body).map_err(|error| error.to_string())? {
            decisions.insert(placed.record.position(), *decision);
        }
    }
    keys_are_used_once(&decisions)?;
    facts_exist(&decisions)?;
    scopes_have_one_holder(&decisions)?;
    funds_are_not_overspent(&decisions)?;
    let World { heard, asks, tally, .. } = world;
    for told in heard.iter() {
        let ask = &asks[told.ask];
        let said = |why: &str| format!("{} under {}: {why}", ask.name, ask.key);
        match &told.decided {
            Ok(answer) => {
                let decision = decisions.get(&answer.position).ok_or_else(|| said("its decision is not in the ledger"))?;
                stands(told, answer, decision).map_err(|why| said(&why))?;
                let used = decision.command.id == ask.key && decision.command.sender == ask.sender;
                if !used {
                    return Err(said("it was answered from another's decision"));
                }
                tally.replayed += u64::from(answer.replayed);
                tally.refused += u64::from(answer.outcome.is_err());
                tally.accepted += u64::from(answer.outcome.is_ok());
                tally.behind += u64::from(answer.outcome.as_ref().is_err_and(|rejection| rejection.code() == "FactsBehind"));
            }
            Err(Undecided::KeyReused { first }) => {
                let decision = decisions.get(first).ok_or_else(|| said("the first use of its key is not in the ledger"))?;
                let other = decision.command.id == ask.key && decision.command.input != format!("{:032x}", told.input);
                if !other {
                    return Err(said("its key was not used for anything else"));
                }
                tally.reused += 1;
            }
            Err(Undecided::Unknown(_) | Undecided::Unavailable(_) | Undecided::Overloaded) => tally.unknown += 1,
        }
    }
    Ok(())
}

fn valid_records(world: &World) -> Vec<Placed> {
    let mut valid = Vec::new();
    for slice in world.log.slices().all() {
        let mut head = ChainHead::default();
        let all = world.log.read(slice, 0, usize::MAX).expect("memory can be read");
        valid.extend(all.into_iter().filter(|placed| head.accept(placed.offset, &placed.record) == Verdict::Valid));
    }
    valid
}

/// The ledger says what the answer said.
fn stands(told: &Heard, answer: &Answer, decision: &Decision<'_>) -> Result<(), String> {
    let same = match (&answer.outcome, &decision.outcome) {
        (Ok(events), Outcome::Accepted(recorded)) => serde_json::to_string(recorded).is_ok_and(|recorded| recorded == events.get()),
        (Err(rejection), Outcome::Rejected(recorded)) => rejection == recorded,
        (Ok(_), Outcome::Rejected(_)) | (Err(_), Outcome::Accepted(_)) => false,
    };
    let recorded = (decision.version, decision.rules, decision.recorded_at, decision.effective_at);
    if !same || recorded != (answer.version, answer.rules, answer.recorded_at, answer.effective_at) {
        return Err(format!("{:?} was told, {:?} is recorded", answer.outcome, decision.outcome));
    }
    if decision.stream != told.stream || decision.command.input != format!("{:032x}", told.input) {
        return Err("another command is recorded there".into());
    }
    Ok(())
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
            one_holder(account, decision.command.received_at).map_err(|scope| format!("{position}: two partners hold {scope}"))?;
        }
    }
    Ok(())
}

const fn moves_protection(event: &AccountEvent) -> bool {
    matches!(event, AccountEvent::DealApproved { .. } | AccountEvent::DealReassigned { .. } | AccountEvent::DealExtended { .. })
}

fn one_holder(account: &Account, at: Timestamp) -> Result<(), String> {
    let mut holders = HashMap::new();
    for (_, deal) in account.deals() {
        if deal.phase().is_open() && deal.protected_until().is_some_and(|until| until > at) {
            let scope = deal.product().as_str().to_lowercase();
            if *holders.entry(scope.clone()).or_insert(deal.partner_id()) != deal.partner_id() {
                return Err(scope);
            }
        }
    }
    Ok(())
}

/// No more is allocated than budgeted, granted than allocated, claimed than granted; what is paid was claimed.
fn funds_are_not_overspent(decisions: &BTreeMap<Position, Decision<'_>>) -> Result<(), String> {
    let mut budget = 0;
    let mut allocated: HashMap<AllocationId, i64> = HashMap::new();
    let mut requests: HashMap<RequestId, (AllocationId, i64)> = HashMap::new();
    let mut claims: HashMap<ClaimId, (RequestId, i64)> = HashMap::new();
    let mut paid = HashSet::new();
    for decision in decisions.values() {
        let Outcome::Accepted(Events::Fund(events)) = &decision.outcome else { continue };
        for event in events.iter() {
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
    }
    let granted = |id: &AllocationId| requests.values().filter(|(of, _)| of == id).map(|(_, amount)| amount).sum::<i64>();
    let claimed = |id: &RequestId| claims.values().filter(|(of, _)| of == id).map(|(_, amount)| amount).sum::<i64>();
    let sound = allocated.values().sum::<i64>() <= budget
        && requests.iter().all(|(id, (_, granted))| claimed(id) <= *granted)
        && allocated.iter().all(|(id, amount)| granted(id) <= *amount);
    if sound { Ok(()) } else { Err("the fund was overspent".into()) }
}

/// Two directories find the same.
pub(crate) fn same_directory(live: &Processor, folded: &Processor) -> Result<(), String> {
    let (live, folded) = (live.directory(), folded.directory());
    let (live, folded) = (live.read(), folded.read());
    let deals = (0..6).map(|n| Address::Deal(DealId::parse(&format!("d-{n}")).expect("an id")));
    let requests = (0..4).map(|n| Address::Request(RequestId::parse(&format!("rq-{n}")).expect("an id")));
    let claims = (0..6).map(|n| Address::Claim(ClaimId::parse(&format!("cl-{n}")).expect("an id")));
    for address in deals.chain(requests).chain(claims) {
        let (found, recorded) = (live.resolve(&address, "nobody", "none"), folded.resolve(&address, "nobody", "none"));
        if found != recorded {
            return Err(format!("the directory finds {found:?} for {address:?}; the ledger says {recorded:?}"));
        }
    }
    if live.len() == folded.len() { Ok(()) } else { Err("the directory knows other ids than the ledger".into()) }
}
