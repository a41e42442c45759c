//! Digests of states: the same for the same records, however the state came to be.

use pledger_domain::stream::StreamName;
use pledger_ledger::slices::SliceId;
use sha2::{Digest, Sha256};

use super::{
    Processor,
    aggregate::{Decides, Live},
    slice::Store,
    snapshot::SnapshotError,
};

impl Processor {
    /// The SHA-256 of a slice's state: its chain head, every stream in which something was accepted, and the keys that
    /// it remembers. Whether it was decided, folded from the ledger or read from a snapshot makes no difference.
    ///
    /// # Errors
    /// `SnapshotError`.
    ///
    /// # Panics
    /// Where something of the slice is in flight.
    pub fn digest(&self, slice: SliceId) -> Result<[u8; 32], SnapshotError> {
        let state = &self.slices[usize::from(slice)];
        assert!(state.in_flight.is_empty(), "a digest is one of acknowledged records only");
        state.streams.stale().iter().try_for_each(|stream| self.refold_if_stale(slice, stream))?;
        let settled = state.writer.settled();
        let mut bytes = postcard::to_stdvec(&(settled.next_pseq, settled.term, settled.hash.0, state.keys.sorted()))?;
        add(&state.streams.program, &mut bytes)?;
        add(&state.streams.partner, &mut bytes)?;
        add(&state.streams.account, &mut bytes)?;
        add(&state.streams.fund, &mut bytes)?;
        add(&state.streams.cost, &mut bytes)?;
        Ok(Sha256::digest(&bytes).into())
    }

    /// The SHA-256 of the reference facts, and the positions that they stand at.
    ///
    /// # Errors
    /// `SnapshotError`.
    pub fn references_digest(&self) -> Result<[u8; 32], SnapshotError> {
        Ok(Sha256::digest(postcard::to_stdvec(&self.references.read().sorted())?).into())
    }
}

/// Adds the streams of one kind, sorted. One that was only asked for is as good as none.
fn add<S: Decides>(store: &Store<S>, bytes: &mut Vec<u8>) -> Result<(), SnapshotError> {
    let mut streams: Vec<(StreamName, Live<S>)> = Vec::new();
    store.unit.for_each(|stream, live| {
        if live.version > 0 {
            streams.push((stream.clone(), live.clone()));
        }
    });
    streams.sort_by(|a, b| a.0.cmp(&b.0));
    bytes.extend(postcard::to_stdvec(&streams)?);
    Ok(())
}
