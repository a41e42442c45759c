//! Everything that a schedule promises.

use pledger_consumers::processor::Processor;
use pledger_domain::{
    command::Address,
    values::{ClaimId, DealId, RequestId},
};
use pledger_ledger::{commands::Undecided, verify::verify};

use crate::{
    promises,
    told::{Told, decisions, valid_records},
    world::{Heard, World},
};

pub(crate) fn check(world: &mut World) -> Result<(), String> {
    let verified = verify(&world.log, None, &mut |_| {}).map_err(|error| error.to_string())?;
    world.tally.void += verified.void;
    let records = valid_records(&world.log);
    let decisions = decisions(&records)?;
    promises::hold(&decisions)?;
    let World { heard, asks, tally, .. } = world;
    for Heard { ask, stream, input, decided } in heard.iter() {
        Told { ask: &asks[*ask], stream, input: *input, decided }.holds(&decisions)?;
        match decided {
            Ok(answer) => {
                tally.replayed += u64::from(answer.replayed);
                tally.refused += u64::from(answer.outcome.is_err());
                tally.accepted += u64::from(answer.outcome.is_ok());
                tally.behind += u64::from(answer.outcome.as_ref().is_err_and(|rejection| rejection.code() == "FactsBehind"));
            }
            Err(Undecided::KeyReused { .. }) => tally.reused += 1,
            Err(Undecided::Unknown(_) | Undecided::Unavailable(_) | Undecided::Overloaded) => tally.unknown += 1,
        }
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
