//! Processors among others and those who send to them, over topics in memory. `kafka_cluster` is the same on a broker.

mod memory;
mod running;
mod scenarios;
mod topics;

/// Each scenario, with topics of its own.
#[test]
fn a_cluster_keeps_its_promises() {
    let failed: Vec<&str> = std::thread::scope(|scope| {
        let running: Vec<_> =
            scenarios::CASES.iter().map(|(name, case)| (*name, scope.spawn(|| case(&memory::InMemory::new(8))))).collect();
        running.into_iter().filter_map(|(name, case)| case.join().is_err().then_some(name)).collect()
    });
    assert!(failed.is_empty(), "{failed:?}");
}
