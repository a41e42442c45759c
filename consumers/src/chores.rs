//! What the embedded processor does by the clock: it sends what fell due, and keeps snapshots.

use std::sync::Arc;

use pledger_domain::{deadline::Deadline, facts::Channel, stream::StreamName, values::Timestamp};
use pledger_ledger::{
    commands::{CommandEnvelope, Decided},
    edge::{Edge, Incoming, senders},
    slices::SliceId,
};

use crate::{
    embedded::Chores,
    processor::{DIRECTORY, Processor, SnapshotStore},
};

/// New records after which a slice is worth a new snapshot while others wait.
const RECORDS_PER_SNAPSHOT: u64 = 20_000;
/// New records after which the directory is.
const RECORDS_PER_DIRECTORY: u64 = 1_000_000;

/// Deadlines and snapshots of one ledger.
pub struct EmbeddedChores {
    edge: Edge,
    snapshots: Arc<dyn SnapshotStore>,
    /// Of each slice, the records that its last snapshot holds.
    kept: Vec<u64>,
    /// The records that the last snapshot of the directory holds.
    directory_kept: u64,
}

impl EmbeddedChores {
    /// For a processor that was just restored from these snapshots.
    #[must_use]
    pub fn new(edge: Edge, snapshots: Arc<dyn SnapshotStore>, processor: &Processor) -> Self {
        let kept = edge.slices.all().map(|slice| processor.from_snapshot(slice)).collect();
        Self { directory_kept: processor.directory_from_snapshot(), kept, edge, snapshots }
    }

    fn keep(&mut self, processor: &Processor, slice: SliceId) {
        let records = processor.settled(slice);
        match processor.snapshot(slice).map_err(|error| error.to_string()).and_then(|bytes| self.save(slice, &bytes)) {
            Ok(()) => self.kept[usize::from(slice)] = records,
            Err(error) => tracing::warn!(slice, %error, "no snapshot could be kept"),
        }
    }

    fn keep_directory(&mut self, processor: &Processor, records: u64) {
        match processor.directory_snapshot().map_err(|error| error.to_string()).and_then(|bytes| self.save(DIRECTORY, &bytes)) {
            Ok(()) => self.directory_kept = records,
            Err(error) => tracing::warn!(%error, "no snapshot of the directory could be kept"),
        }
    }

    fn save(&self, slice: SliceId, bytes: &[u8]) -> Result<(), String> {
        self.snapshots.save(slice, bytes).map_err(|error| error.to_string())
    }
}

/// The command of a deadline. Its key follows from what falls due, so that it is decided once however often it is sent.
pub(crate) fn deadline_envelope(edge: &Edge, stream: &StreamName, deadline: &Deadline, now: Timestamp) -> Option<CommandEnvelope> {
    let payload = deadline.payload_in(stream).to_string();
    let incoming = Incoming {
        key: Some(&deadline.id),
        received_at: Some(now),
        effective_at: Some(deadline.due),
        ..Incoming::new(deadline.command, payload.as_bytes(), Arc::from(senders::DEADLINES), Channel::Deadline)
    };
    edge.prepare(incoming)
        .inspect_err(|refused| tracing::error!(%stream, command = deadline.command, %refused, "a deadline cannot be sent"))
        .ok()
}

impl Chores for EmbeddedChores {
    fn due(&mut self, processor: &mut Processor, now: Timestamp) -> Vec<CommandEnvelope> {
        let due = processor.take_due(now);
        due.iter().filter_map(|(stream, deadline)| deadline_envelope(&self.edge, stream, deadline, now)).collect()
    }

    fn answered(&mut self, answer: &Decided) {
        match answer {
            Ok(answer) => tracing::debug!(position = %answer.position, accepted = answer.outcome.is_ok(), "a deadline was decided"),
            Err(undecided) => tracing::warn!(%undecided, "a deadline was not decided; it is sent again"),
        }
    }

    /// While commands come in, one slice at a time, so that none waits long; at the end, all that changed.
    fn settled(&mut self, processor: &mut Processor, closing: bool) {
        if processor.damage().is_some() {
            // What snapshots hold may be all that is left of what is missing.
            return;
        }
        let least = if closing { 1 } else { RECORDS_PER_SNAPSHOT };
        let grown: Vec<SliceId> =
            self.edge.slices.all().filter(|slice| processor.settled(*slice) >= self.kept[usize::from(*slice)] + least).collect();
        for slice in grown.into_iter().take(if closing { usize::MAX } else { 1 }) {
            self.keep(processor, slice);
        }
        let records: u64 = self.edge.slices.all().map(|slice| processor.settled(slice)).sum();
        let directory_least = if closing { 1 } else { RECORDS_PER_DIRECTORY };
        if records >= self.directory_kept + directory_least {
            self.keep_directory(processor, records);
        }
    }
}
