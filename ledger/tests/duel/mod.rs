//! One schedule: commands, contenders, a network, and the checker that reads the log afterwards.

mod chaining;
mod checker;
mod contender;

use pledger_ledger::{
    log::Log,
    memory::{Faults, MemoryLog},
    slices::Slices,
};
use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use contender::Contender;

/// The slice that is fought over.
const SLICE: u16 = 1;
/// How many moves a schedule has before the network calms down.
const MOVES: usize = 160;
/// How many moves one healthy writer may need to finish what is left.
const MOVES_TO_FINISH: usize = 20_000;

/// An idempotency key.
type Key = u8;

/// The rules that writers keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// A report's offset must be the one that the anchor gives.
    pub(crate) check_offset: bool,
    /// Any report but the expected one ends the term.
    pub(crate) stop_at_error: bool,
    /// A repeated key is answered from an acknowledged or re-read record only.
    pub(crate) wait_for_ack: bool,
    /// Only `TermOpened` anchors a term.
    pub(crate) one_anchor: bool,
}

impl Rules {
    /// As they are.
    pub(crate) const STRICT: Self = Self { check_offset: true, stop_at_error: true, wait_for_ack: true, one_anchor: true };
}

/// The commands topic: what a command's key is, by offset.
#[derive(Debug, Default)]
struct Topic(Vec<Key>);

/// An answer that a client was given.
#[derive(Clone, Copy, Debug)]
struct Ack {
    command: usize,
    key: Key,
    pseq: u64,
    hash: pledger_ledger::record::Hash,
}

/// Runs one schedule.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn duel(rules: Rules, seed: u64) -> Result<(), String> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let log = MemoryLog::hostile(Slices::new(2).expect("two slices"), faults(&mut random), seed);
    let mut contenders: Vec<Contender> = (0..random.random_range(2..=3)).map(|_| Contender::new(rules)).collect();
    let (mut topic, mut acks) = (Topic::default(), Vec::new());
    let keys = random.random_range(4..=40);
    for _ in 0..MOVES {
        match random.random_range(0..10) {
            0 => topic.0.push(random.random_range(0..keys)),
            1..=4 => {
                log.step();
            }
            _ => {
                let contender = random.random_range(0..contenders.len());
                contenders[contender].act(&log, &topic, &mut acks, &mut random);
            }
        }
    }
    // What the others sent may still arrive while one healthy writer finishes, and every client asks once more.
    drop(contenders);
    log.calm();
    topic.0.extend(0..keys);
    finish(rules, &log, &topic, &mut acks, &mut random)?;
    checker::check(&log, &topic, &acks)
}

/// Networks differ: most are harsh in few ways, so that rare things meet.
fn faults(random: &mut ChaCha8Rng) -> Faults {
    let mut chance = |most: u16| if random.random_bool(0.5) { random.random_range(0..=most) } else { 0 };
    Faults {
        fail: chance(150),
        unsure: chance(150),
        duplicate: chance(300),
        overtake: chance(200),
        split: chance(500),
        mute: chance(80),
        tear: chance(50),
        lose: chance(1000),
    }
}

fn finish(rules: Rules, log: &MemoryLog, topic: &Topic, acks: &mut Vec<Ack>, random: &mut ChaCha8Rng) -> Result<(), String> {
    let mut last = Contender::new(rules);
    for _ in 0..MOVES_TO_FINISH {
        let moved = log.step();
        last.work_on(log, topic, acks, random);
        if !moved && last.is_done(topic) {
            return Ok(());
        }
    }
    Err(format!("a healthy writer did not finish; the log has {} records", log.end(SLICE).map_err(|error| error.to_string())?))
}
