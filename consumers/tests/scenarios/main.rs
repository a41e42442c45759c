//! The scenarios on the engines that need nothing but this process: the processor of one machine, on a log in memory and on a
//! ledger in a folder, and a cluster on topics in memory. `kafka_cluster` is the last one on a broker.

#[path = "../simulation/asks.rs"]
mod asks;
mod cases;
mod home;
#[path = "../cluster/lost_topic.rs"]
mod lost_topic;
#[path = "../cluster/memory.rs"]
mod memory;
#[path = "../cluster/processes.rs"]
mod processes;
#[path = "../simulation/promises.rs"]
mod promises;
#[path = "../simulation/random.rs"]
mod random;
mod running;
#[path = "../cluster/scenarios.rs"]
mod scenarios;
#[expect(dead_code, reason = "a scenario says which clock and what is kept")]
#[path = "../embedded/starting.rs"]
mod starting;
#[path = "../simulation/told.rs"]
mod told;
#[path = "../cluster/topics.rs"]
mod topics;

use std::sync::Arc;

use home::Home;
use libtest_mimic::{Arguments, Trial};
use memory::InMemory;
use pledger_ledger::{edge::SystemClock, memory::MemoryLog};
use running::Kept;

/// The slices of a cluster here.
const SLICES: u16 = 8;

/// An engine, by its name.
type Engine = (&'static str, fn() -> Home);

const ENGINES: &[Engine] = &[("memory", in_memory), ("sqlite", in_folder), ("cluster", in_cluster)];

fn main() {
    let on_each = cases::CASES.iter().flat_map(|(name, case)| {
        ENGINES.iter().map(move |(engine, home)| {
            let run = move || {
                case(&home());
                Ok(())
            };
            Trial::test(format!("{engine}::{name}"), run)
        })
    });
    let of_clusters = scenarios::CASES.iter().map(|(name, case)| {
        let run = move || {
            case(&InMemory::new(SLICES));
            Ok(())
        };
        Trial::test(format!("cluster::{name}"), run)
    });
    let of_a_lost_topic = Trial::test("cluster::a_slice_whose_place_is_lost_stays_stopped", || {
        lost_topic::a_slice_whose_place_is_lost_stays_stopped(&InMemory::new(SLICES));
        Ok(())
    });
    libtest_mimic::run(&Arguments::from_args(), on_each.chain(of_clusters).chain([of_a_lost_topic]).collect()).exit();
}

fn in_memory() -> Home {
    let log = MemoryLog::new(starting::created(&SystemClock::new()));
    Home::new(Kept::default(), move |kept| starting::on(Arc::new(log.clone()), kept).expect("restored").0)
}

fn in_folder() -> Home {
    let dir = tempfile::tempdir().expect("a folder");
    let kept = Kept { snapshots: starting::snapshots_in(dir.path()), ..Kept::default() };
    Home::new(kept, move |kept| starting::in_folder(dir.path(), kept).expect("restored").0)
}

fn in_cluster() -> Home {
    let topics = InMemory::new(SLICES);
    Home::new(Kept::default(), move |kept| processes::both(&topics, kept))
}
