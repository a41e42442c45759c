//! One schedule: commands, contenders on any log, and the checker that reads the log afterwards.

mod chaining;
mod checker;
mod contender;

use std::time::Duration;

use pledger_ledger::log::Log;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

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

/// What is fought over, and how it moves.
pub(crate) struct Arena<'a> {
    pub(crate) log: &'a dyn Log,
    /// Lets one thing happen; answers whether anything is left on its way. A real network moves by itself.
    pub(crate) step: &'a dyn Fn() -> bool,
    /// From now on nothing goes wrong.
    pub(crate) calm: &'a dyn Fn(),
    /// How long a writer listens for reports at a time.
    pub(crate) listens: Duration,
}

/// Runs one schedule.
///
/// # Errors
/// The promise that was broken.
pub(crate) fn fight(rules: Rules, arena: &Arena<'_>, random: &mut ChaCha8Rng) -> Result<(), String> {
    let mut contenders: Vec<Contender> = (0..random.random_range(2..=3)).map(|_| Contender::new(rules, arena.listens)).collect();
    let (mut topic, mut acks) = (Topic::default(), Vec::new());
    let keys = random.random_range(4..=40);
    for _ in 0..MOVES {
        match random.random_range(0..10) {
            0 => topic.0.push(random.random_range(0..keys)),
            1..=4 => {
                (arena.step)();
            }
            _ => {
                let contender = random.random_range(0..contenders.len());
                contenders[contender].act(arena.log, &topic, &mut acks, random);
            }
        }
    }
    // What the others sent may still arrive while one healthy writer finishes, and every client asks once more.
    drop(contenders);
    (arena.calm)();
    topic.0.extend(0..keys);
    finish(rules, arena, &topic, &mut acks, random)?;
    checker::check(arena.log, &topic, &acks)
}

fn finish(rules: Rules, arena: &Arena<'_>, topic: &Topic, acks: &mut Vec<Ack>, random: &mut ChaCha8Rng) -> Result<(), String> {
    let mut last = Contender::new(rules, arena.listens);
    for _ in 0..MOVES_TO_FINISH {
        let moved = (arena.step)();
        last.work_on(arena.log, topic, acks, random);
        if !moved && last.is_done(topic) {
            return Ok(());
        }
    }
    Err(format!("a healthy writer did not finish; the log has {} records", arena.log.end(SLICE).map_err(|error| error.to_string())?))
}
