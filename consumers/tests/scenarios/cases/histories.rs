//! Histories at random: what holds in the simulation holds on every engine.
//!
//! `PLEDGER_SIM_SEED` runs one history again.

use pledger_domain::{facts::Channel, stream::StreamName};
use pledger_ledger::{
    commands::{Decided, Undecided},
    edge::Incoming,
    record::Outcome,
};

use crate::{
    asks::{self, Ask},
    home::Home,
    promises,
    random::Random,
    running::Running,
    told::{Told, decisions, valid_records},
};

/// How many things are asked in a history.
const ASKS: usize = 400;
/// How many of them go together, at most.
const TOGETHER: u64 = 24;
/// Once in so many batches pledger is started again: as often with what it kept as without.
const RESTARTS: u64 = 8;
/// A key is used again, with the same content or another, once in so many asks.
const REPEATS: u64 = 6;

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
    let mut heard = Vec::new();
    let mut running = home.start();
    for ask in asks::opening() {
        let answer = submit(&running, &[ask]).remove(0).decided.expect("decided");
        assert!(answer.outcome.is_ok(), "{:?}", answer.outcome);
    }
    let mut asked = Vec::new();
    while asked.len() < ASKS {
        let batch = next_batch(&mut random, &mut asked);
        heard.extend(submit(&running, &batch));
        if random.once_in(RESTARTS) {
            running.stop();
            running = if random.once_in(2) { home.start_without_snapshots() } else { home.start() };
        }
    }
    let records = valid_records(&*running.log);
    let decisions = decisions(&records).expect("bodies");
    promises::hold(&decisions).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    let (mut replayed, mut reused) = (0, 0);
    for Heard { ask, stream, input, decided } in &heard {
        let held = Told { ask, stream, input: *input, decided }.holds(&decisions);
        held.unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        match decided {
            Ok(answer) => replayed += usize::from(answer.replayed),
            Err(Undecided::KeyReused { .. }) => reused += 1,
            Err(undecided) => panic!("seed {seed}: {} was not decided: {undecided}", ask.name),
        }
    }
    let accepted = decisions.values().filter(|decision| matches!(decision.outcome, Outcome::Accepted(_))).count();
    let refused = decisions.len() - accepted;
    assert!(accepted > 40 && refused > 40 && replayed > 0 && reused > 0, "{accepted} {refused} {replayed} {reused}");
}

/// What somebody was told.
struct Heard {
    ask: Ask,
    stream: StreamName,
    input: u128,
    decided: Decided,
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
fn submit(running: &Running, batch: &[Ask]) -> Vec<Heard> {
    let after = running.sink.reference_positions();
    let prepare = |ask: &Ask| {
        let payload = ask.payload.to_string();
        let incoming = Incoming {
            key: Some(&ask.key),
            if_match: ask.if_match,
            after: after.clone(),
            ..Incoming::new(ask.name, payload.as_bytes(), ask.sender.into(), Channel::Api)
        };
        let command = running.edge.prepare(incoming).ok()?;
        Some(((ask.clone(), command.stream.clone(), command.input), command))
    };
    let (asked, commands): (Vec<_>, Vec<_>) = batch.iter().filter_map(prepare).unzip();
    let told = asked.into_iter().zip(running.submit(commands));
    told.map(|((ask, stream, input), decided)| Heard { ask, stream, input, decided }).collect()
}
