//! Histories at random: what holds in the simulation holds on every engine.
//!
//! `PLEDGER_SIM_SEED` runs one history again.

use std::collections::BTreeMap;

use pledger_domain::facts::Channel;
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    commands::{Answer, Decided, Undecided},
    edge::Incoming,
    log::Log,
    record::{Body, Decision, Outcome, Record},
    slices::Position,
};

use crate::{
    asks::{self, Ask},
    home::Home,
    promises,
    random::Random,
    running::Running,
};

/// How many things are asked in a history.
const ASKS: usize = 400;
/// How many of them go together, at most.
const TOGETHER: u64 = 24;
/// Once in so many batches pledger is started again: as often with what it kept as without.
const RESTARTS: u64 = 8;
/// A key is used again, with the same content or another, once in so many asks.
const REPEATS: u64 = 6;
/// A page of a slice.
const PAGE: usize = 512;

pub(super) fn a_random_history_keeps_every_promise(home: &Home) {
    history(home, 1);
}

pub(super) fn another_random_history_keeps_every_promise(home: &Home) {
    history(home, 2);
}

pub(super) fn a_third_random_history_keeps_every_promise(home: &Home) {
    history(home, 3);
}

fn history(home: &Home, seed: u64) {
    let seed = std::env::var("PLEDGER_SIM_SEED").ok().map_or(seed, |text| text.parse().expect("a number"));
    let mut random = Random(seed);
    let mut told = BTreeMap::new();
    let mut running = home.start();
    for ask in asks::opening() {
        let answer = submit(&running, &[ask]).remove(0).1.expect("decided");
        assert!(answer.outcome.is_ok(), "{:?}", answer.outcome);
    }
    let mut asked = Vec::new();
    while asked.len() < ASKS {
        let batch = next_batch(&mut random, &mut asked);
        for (ask, decided) in submit(&running, &batch) {
            match decided {
                Ok(answer) => told.entry(answer.position).or_insert_with(Vec::new).push((ask, answer)),
                Err(Undecided::KeyReused { .. }) => {}
                Err(undecided) => panic!("seed {seed}: {} was not decided: {undecided}", ask.name),
            }
        }
        if random.once_in(RESTARTS) {
            running.stop();
            running = if random.once_in(2) { home.start_without_snapshots() } else { home.start() };
        }
    }
    let records = valid_records(&*running.log);
    let decisions = decisions(&records);
    promises::hold(&decisions).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    for (position, answers) in &told {
        let decision = decisions.get(position).unwrap_or_else(|| panic!("seed {seed}: {position} is not in the ledger"));
        answers.iter().for_each(|(ask, answer)| assert!(stands(ask, answer, decision), "seed {seed}: {ask:?} was told {answer:?}"));
    }
    let accepted = decisions.values().filter(|decision| matches!(decision.outcome, Outcome::Accepted(_))).count();
    let replayed = told.values().flatten().filter(|(_, answer)| answer.replayed).count();
    assert!(accepted > 40 && decisions.len() - accepted > 40 && replayed > 0, "{accepted} of {}; {replayed}", decisions.len());
}

/// New asks, and some that were asked before.
fn next_batch(random: &mut Random, asked: &mut Vec<Ask>) -> Vec<Ask> {
    let count = 1 + random.below(TOGETHER);
    let one = |_| {
        if !asked.is_empty() && random.once_in(REPEATS) {
            let again = random.pick(asked).clone();
            return if random.once_in(3) { asks::altered(&again).unwrap_or(again) } else { again };
        }
        asked.push(asks::random(random, asked.len()));
        asked[asked.len() - 1].clone()
    };
    (0..count).map(one).collect()
}

/// Sends together what gets past the edge, and waits.
fn submit(running: &Running, batch: &[Ask]) -> Vec<(Ask, Decided)> {
    let after = running.sink.reference_positions();
    let prepare = |ask: &Ask| {
        let payload = ask.payload.to_string();
        let incoming = Incoming {
            key: Some(&ask.key),
            if_match: ask.if_match,
            after: after.clone(),
            ..Incoming::new(ask.name, payload.as_bytes(), ask.sender.into(), Channel::Api)
        };
        Some((ask.clone(), running.edge.prepare(incoming).ok()?))
    };
    let (asks, commands): (Vec<_>, Vec<_>) = batch.iter().filter_map(prepare).unzip();
    asks.into_iter().zip(running.submit(commands)).collect()
}

/// The ledger, by the chain rule alone.
fn valid_records(log: &dyn Log) -> Vec<Record> {
    let mut valid = Vec::new();
    for slice in log.slices().all() {
        let (mut head, mut offset) = (ChainHead::default(), 0);
        loop {
            let placed = log.read(slice, offset, PAGE).expect("it can be read");
            let Some(last) = placed.last() else { break };
            offset = last.offset + 1;
            let records = placed.into_iter().filter(|placed| head.accept(placed.offset, &placed.record) == Verdict::Valid);
            valid.extend(records.map(|placed| placed.record));
        }
    }
    valid
}

fn decisions(records: &[Record]) -> BTreeMap<Position, Decision<'_>> {
    let mut decisions = BTreeMap::new();
    for record in records {
        if let Body::Decision(decision) = Body::decode(&record.body).expect("a body") {
            decisions.insert(record.position(), *decision);
        }
    }
    decisions
}

/// Whether the ledger says what was told.
fn stands(ask: &Ask, answer: &Answer, decision: &Decision<'_>) -> bool {
    let same = match (&answer.outcome, &decision.outcome) {
        (Ok(told), Outcome::Accepted(events)) => serde_json::to_string(events).is_ok_and(|events| events == told.get()),
        (Err(told), Outcome::Rejected(rejection)) => told == rejection,
        (Ok(_), Outcome::Rejected(_)) | (Err(_), Outcome::Accepted(_)) => false,
    };
    let (command, times) = (&decision.command, (decision.recorded_at, decision.effective_at));
    same && command.id == ask.key
        && command.sender == ask.sender
        && (decision.version, times) == (answer.version, (answer.recorded_at, answer.effective_at))
}
