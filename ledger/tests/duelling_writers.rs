//! Two or three writers duel over one slice on a hostile network, by seeded schedules with crashes, delays, duplicates,
//! pipelined and failed batches and repeated keys; afterwards the log is read by the chain rule.
//!
//! Nothing that was acknowledged may be void, no key may be decided twice, and no command may be lost. Each rule that
//! promises this is also left out once, and a schedule that breaks the promise has to be found: a simulation that
//! cannot fail proves nothing.
//!
//! `PLEDGER_SIM_SEED` (the first seed) and `PLEDGER_SIM_SCHEDULES` (how many) run one schedule again, or many more.

mod duel;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use duel::{Arena, Rules, fight};
use pledger_ledger::{
    memory::{Faults, MemoryLog},
    slices::Slices,
};
use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

const SCHEDULES: u64 = 10_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// Runs one schedule on a network of its own.
fn duel(rules: Rules, seed: u64) -> Result<(), String> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let log = MemoryLog::hostile(Slices::new(2).expect("two slices"), faults(&mut random), seed);
    let arena = Arena { log: &log, step: &|| log.step(), calm: &|| log.calm(), listens: Duration::ZERO };
    fight(rules, &arena, &mut random)
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

/// Runs schedules on all cores until one breaks a promise; answers the lowest seed that was found to, and how.
fn first_breach(rules: Rules, seeds: std::ops::Range<u64>) -> Option<(u64, String)> {
    let (next, found) = (AtomicU64::new(seeds.start), AtomicU64::new(u64::MAX));
    let search = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || found.load(Ordering::Relaxed) <= seed {
                return None;
            }
            if let Err(breach) = duel(rules, seed) {
                found.fetch_min(seed, Ordering::Relaxed);
                return Some((seed, breach));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(search)).collect();
        workers.into_iter().filter_map(|worker| worker.join().expect("no panic")).min()
    })
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled() {
    let first = setting("PLEDGER_SIM_SEED", 0);
    let seeds = first..first + setting("PLEDGER_SIM_SCHEDULES", SCHEDULES);
    if let Some((seed, breach)) = first_breach(Rules::STRICT, seeds) {
        panic!("{breach}\nrun it again with PLEDGER_SIM_SEED={seed} PLEDGER_SIM_SCHEDULES=1");
    }
}

#[test]
fn every_rule_is_needed() {
    for (left_out, rules, within, expected) in [
        ("the offset check", Rules { check_offset: false, ..Rules::STRICT }, 100, "void"),
        ("the stop at any error", Rules { stop_at_error: false, ..Rules::STRICT }, SCHEDULES, "void"),
        ("waiting with repeated keys for the first one's ack", Rules { wait_for_ack: false, ..Rules::STRICT }, 100, "void"),
        ("the one anchor of a term", Rules { one_anchor: false, ..Rules::STRICT }, SCHEDULES, "void"),
    ] {
        let found = first_breach(rules, 0..within);
        let (seed, breach) = found.unwrap_or_else(|| panic!("{within} schedules without {left_out} broke no promise"));
        assert!(breach.contains(expected), "without {left_out}, seed {seed}: {breach}");
        println!("without {left_out}: seed {seed}: {breach}");
    }
}
