//! What a processor among others does by the clock: it sends what fell due in its slices through the commands topic, and
//! keeps snapshots where a successor finds them.

use std::{sync::Arc, thread::JoinHandle};

use hashbrown::HashMap;
use pledger_domain::values::Timestamp;
use pledger_ledger::{commands_topic::CommandSender, edge::Edge, slices::SliceId};

use crate::{
    chores::deadline_envelope,
    processor::{Processor, SnapshotStore},
};

/// New records after which a slice is worth a new snapshot: a part of those that the last one holds, since it takes the longer
/// to make the more that is, and no more than a successor reads in a second or two.
const SNAPSHOT_PART: u64 = 8;
const RECORDS_LEAST: u64 = 20_000;
const RECORDS_MOST: u64 = 100_000;
/// When what could not be sent is looked at again, in microseconds.
const AGAIN_US: i64 = 60_000_000;

pub(super) struct ClusterChores {
    pub(super) edge: Edge,
    pub(super) sender: Arc<dyn CommandSender>,
    pub(super) snapshots: Arc<dyn SnapshotStore>,
    /// Of each slice, the records that its last snapshot holds.
    kept: HashMap<SliceId, u64>,
    /// Puts the last snapshot where it is kept.
    saving: Option<JoinHandle<()>>,
}

impl ClusterChores {
    pub(super) fn new(edge: Edge, sender: Arc<dyn CommandSender>, snapshots: Arc<dyn SnapshotStore>) -> Self {
        Self { edge, sender, snapshots, kept: HashMap::new(), saving: None }
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

    /// A slice that has grown so much that a snapshot of it is due.
    pub(super) fn grown(&self, processor: &Processor) -> Option<SliceId> {
        if self.saving.as_ref().is_some_and(|saving| !saving.is_finished()) {
            return None;
        }
        let grown = |(slice, kept): &(&SliceId, &u64)| {
            let more = (**kept / SNAPSHOT_PART).clamp(RECORDS_LEAST, RECORDS_MOST);
            processor.owns(**slice) && processor.settled(**slice) >= **kept + more
        };
        self.kept.iter().find(grown).map(|(slice, _)| *slice)
    }

    /// Keeps a snapshot of a slice, where nothing of it is in flight. It is saved beside: one of a large slice takes long, and
    /// commands of all slices would wait.
    pub(super) fn keep_one(&mut self, processor: &Processor, slice: SliceId) {
        if !processor.is_settled(slice) {
            return;
        }
        if let Some(bytes) = self.take(processor, slice) {
            let snapshots = Arc::clone(&self.snapshots);
            let saving = std::thread::Builder::new().name("snapshot".into()).spawn(move || save(&*snapshots, slice, &bytes));
            self.saving = saving.inspect_err(|error| tracing::warn!(slice, %error, "no snapshot could be kept")).ok();
        }
    }

    /// Keeps a snapshot of a slice that is about to be let go of, where anything is new. It is there when this returns.
    pub(super) fn keep_last(&mut self, processor: &Processor, slice: SliceId) {
        if let Some(saving) = self.saving.take()
            && saving.join().is_err()
        {
            tracing::error!("the thread that saves snapshots panicked");
        }
        let new = processor.owns(slice) && self.kept.get(&slice).is_some_and(|kept| processor.settled(slice) > *kept);
        if new
            && processor.is_settled(slice)
            && let Some(bytes) = self.take(processor, slice)
        {
            save(&*self.snapshots, slice, &bytes);
        }
        self.kept.remove(&slice);
    }

    /// A snapshot as of now. One that could not be made or saved is tried again with the next records, not at once.
    fn take(&mut self, processor: &Processor, slice: SliceId) -> Option<Vec<u8>> {
        if processor.damage().is_some() {
            // What snapshots hold may be all that is left of what is missing.
            return None;
        }
        self.kept.insert(slice, processor.settled(slice));
        processor.snapshot(slice).inspect_err(|error| tracing::warn!(slice, %error, "no snapshot could be made")).ok()
    }
}

fn save(snapshots: &dyn SnapshotStore, slice: SliceId, bytes: &[u8]) {
    if let Err(error) = snapshots.save(slice, bytes) {
        tracing::warn!(slice, %error, "no snapshot could be kept");
    }
}
