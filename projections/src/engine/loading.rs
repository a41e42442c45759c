//! Finds out whether a stored generation can be gone on with, and loads it.

use pledger_ledger::{
    chain::ChainHead,
    log::{Log, LogError},
    slices::SliceId,
};

use super::{EngineError, MAX_WORKERS, Options};
use crate::{
    generation::{Access, GenerationNumber, Generations, fingerprint},
    shard::Shard,
    store::{Store, causes},
};

pub(super) fn empty_shards(options: &Options) -> Vec<Shard> {
    (0..options.workers.clamp(1, MAX_WORKERS)).map(|_| Shard::default()).collect()
}

/// Loads a generation into the shards, where these folds made it from this ledger: of these tables, or of all.
pub(super) fn load(
    generations: &dyn Generations,
    generation: GenerationNumber,
    access: Access,
    log: &dyn Log,
    shards: &mut [Shard],
    tables: Option<&[&str]>,
) -> Result<Option<Box<dyn Store>>, EngineError> {
    let mut store = match generations.open(generation, access) {
        Err(error) if error.is_damage() => {
            tracing::warn!(generation, error = causes(&error), "the read models are damaged; they are made again from the ledger");
            return Ok(None);
        }
        opened => opened?,
    };
    // A crash may have come between making the file and its tables.
    if store.fingerprint().ok() != Some(fingerprint()) {
        return Ok(None);
    }
    if let Err(error) = store.load(shards, tables) {
        tracing::warn!(generation, error = causes(&error), "the read models cannot be loaded; they are made again from the ledger");
        return Ok(None);
    }
    for (slice, head) in shards.iter().flat_map(|shard| &shard.heads) {
        if !stands_in(log, *slice, head)? {
            tracing::warn!(slice, "the read models stand on a record that the ledger does not have; they are made again");
            return Ok(None);
        }
    }
    Ok(Some(store))
}

/// Whether the last record before a stored head is the one that the head names.
fn stands_in(log: &dyn Log, slice: SliceId, head: &ChainHead) -> Result<bool, LogError> {
    if head.next_offset == 0 {
        return Ok(true);
    }
    if slice >= log.slices().count {
        return Ok(false);
    }
    let last = log.read(slice, head.next_offset - 1, 1)?;
    Ok(last.first().is_some_and(|last| last.record.header.hash == head.hash && last.record.header.pseq + 1 == head.next_pseq))
}
