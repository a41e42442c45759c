//! Holds what was told against the ledger, read by the chain rule alone.

use std::collections::BTreeMap;

use pledger_consumers::processor::Processor;
use pledger_domain::{
    command::Address,
    values::{ClaimId, DealId, RequestId},
};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    commands::{Answer, Undecided},
    log::{Log, Placed},
    record::{Body, Decision, Outcome},
    verify::verify,
};

use crate::{
    promises,
    world::{Heard, World},
};

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
    promises::hold(&decisions)?;
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
