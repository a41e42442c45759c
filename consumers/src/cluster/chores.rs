//! What a processor among others does by the clock: it sends what fell due in its slices through the commands topic, and
//! keeps snapshots where a successor finds them.

use std::sync::Arc;

use hashbrown::HashMap;
use pledger_domain::values::Timestamp;
use pledger_ledger::{commands_topic::CommandSender, edge::Edge, slices::SliceId};

use crate::{
    chores::deadline_envelope,
    processor::{Processor, SnapshotStore},
};

/// New records after which a slice is worth a new snapshot.
const RECORDS_PER_SNAPSHOT: u64 = 20_000;
/// When what could not be sent is looked at again, in microseconds.
const AGAIN_US: i64 = 60_000_000;

pub(super) struct ClusterChores {
    pub(super) edge: Edge,
    pub(super) sender: Arc<dyn CommandSender>,
    pub(super) snapshots: Arc<dyn SnapshotStore>,
    /// Of each slice, the records that its last snapshot holds.
    kept: HashMap<SliceId, u64>,
}

impl ClusterChores {
    pub(super) fn new(edge: Edge, sender: Arc<dyn CommandSender>, snapshots: Arc<dyn SnapshotStore>) -> Self {
        Self { edge, sender, snapshots, kept: HashMap::new() }
    }

    /// A slice was restored.
    pub(super) fn restored(&mut self, processor: &Processor, slice: SliceId) {
        self.kept.insert(slice, processor.from_snapshot(slice));
    }

    /// Sends what fell due. Nobody waits for the decision: what is not decided falls due again.
    pub(super) fn send_due(&self, processor: &mut Processor, now: Timestamp) {
        for (stream, deadline) in processor.take_due(now) {
            let Some(envelope) = deadline_envelope(&self.edge, &stream, &deadline, now) else { continue };
            let undelivered = Box::new(|undecided| tracing::warn!(%undecided, "a deadline was not sent; it is sent again"));
            if let Err(undecided) = self.sender.send(&envelope, undelivered) {
                tracing::warn!(%stream, %undecided, "a deadline could not be sent; it is tried again");
                processor.look_again(stream, now.plus_micros(AGAIN_US));
            }
        }
    }

    /// Keeps a snapshot of one slice that has grown and has nothing in flight.
    pub(super) fn keep_one(&mut self, processor: &Processor) {
        let grown = |(slice, kept): &(&SliceId, &u64)| {
            processor.owns(**slice) && processor.is_settled(**slice) && processor.settled(**slice) >= **kept + RECORDS_PER_SNAPSHOT
        };
        if let Some(slice) = self.kept.iter().find(grown).map(|(slice, _)| *slice) {
            self.keep(processor, slice);
        }
    }

    /// Keeps a snapshot of a slice that is about to be let go of, where anything is new.
    pub(super) fn keep_last(&mut self, processor: &Processor, slice: SliceId) {
        let new = processor.owns(slice) && self.kept.get(&slice).is_some_and(|kept| processor.settled(slice) > *kept);
        if new && processor.is_settled(slice) {
            self.keep(processor, slice);
        }
        self.kept.remove(&slice);
    }

    fn keep(&mut self, processor: &Processor, slice: SliceId) {
        if processor.damage().is_some() {
            // What snapshots hold may be all that is left of what is missing.
            return;
        }
        let snapshot = processor.snapshot(slice).map_err(|error| error.to_string());
        let kept = snapshot.and_then(|bytes| self.snapshots.save(slice, &bytes).map_err(|error| error.to_string()));
        if let Err(error) = kept {
            tracing::warn!(slice, %error, "no snapshot could be kept");
        }
        // One that could not be kept is tried again with the next records, not at once.
        self.kept.insert(slice, processor.settled(slice));
    }
}
