//! Two processors serve one ledger on a hostile network, by seeded schedules: crashes with and without snapshots, failed,
//! split, delayed and duplicated batches, reports that never come, repeated keys, facts that are behind. Afterwards the
//! ledger is read by the chain rule and held against everything that anybody was told.
//!
//! `PLEDGER_SIM_SEED` (the first seed) and `PLEDGER_SIM_SCHEDULES` (how many) run one schedule again, or many more.

mod again;
mod asks;
mod checker;
mod promises;
mod random;
mod told;
mod topic;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

const SCHEDULES: u64 = 7_500;
/// The same of those that take commands from a topic, which have more to do.
const TOPIC_SCHEDULES: u64 = 2_500;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// Runs schedules on all cores until one breaks a promise; answers what ran, or the lowest seed that did and how.
fn run<T: Default + Send>(
    seeds: std::ops::Range<u64>,
    live: impl Fn(u64) -> Result<T, String> + Sync + std::panic::RefUnwindSafe,
    add: impl Fn(&mut T, T) + Sync,
) -> Result<T, String> {
    let (next, broken) = (AtomicU64::new(seeds.start), AtomicU64::new(u64::MAX));
    let work = || {
        let mut tally = T::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || broken.load(Ordering::Relaxed) <= seed {
                return Ok(tally);
            }
            // A panic of the processor breaks a promise too.
            let told = std::panic::catch_unwind(|| live(seed)).unwrap_or_else(|_| Err("it panicked".into()));
            match told {
                Ok(one) => add(&mut tally, one),
                Err(breach) => {
                    broken.fetch_min(seed, Ordering::Relaxed);
                    return Err((seed, breach));
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let ends: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("no panic")).collect()
    });
    if let Some((seed, breach)) = ends.iter().filter_map(|end| end.as_ref().err()).min() {
        return Err(format!("the schedule PLEDGER_SIM_SEED={seed} PLEDGER_SIM_SCHEDULES=1: {breach}"));
    }
    let mut tally = T::default();
    ends.into_iter().flatten().for_each(|one| add(&mut tally, one));
    Ok(tally)
}

#[test]
fn nothing_that_anybody_was_told_turns_out_untrue() {
    let (first, count) = (setting("PLEDGER_SIM_SEED", 0), setting("PLEDGER_SIM_SCHEDULES", SCHEDULES));
    let tally = run(first..first + count, world::live, world::Tally::add).unwrap_or_else(|breach| panic!("{breach}"));
    println!("{count} schedules: {tally:?}");
    if count >= 1_000 {
        tally.assert_that_everything_happened(count);
    }
}

#[test]
fn every_command_of_the_topic_is_decided_once_and_in_order() {
    let (first, count) = (setting("PLEDGER_SIM_SEED", 0), setting("PLEDGER_SIM_SCHEDULES", TOPIC_SCHEDULES));
    let tally = run(first..first + count, topic::live, |sum, one| topic::Tally::add(sum, &one)).unwrap_or_else(|breach| panic!("{breach}"));
    println!("{count} schedules: {tally:?}");
    if count >= 500 {
        tally.assert_that_everything_happened(count);
    }
}
