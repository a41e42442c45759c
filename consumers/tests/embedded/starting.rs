//! The processor of one machine, started as `pledger serve` starts it.

use std::{path::Path, sync::Arc};

use pledger_consumers::{
    chores::EmbeddedChores,
    embedded::{EmbeddedProcessor, EmbeddedSink},
    processor::{FileSnapshots, KeyLimits, Processor, SnapshotStore},
};
use pledger_ledger::{
    edge::Clock,
    log::{Log, LogError},
    record::{FORMAT, LedgerCreated},
    slices::Slices,
    sqlite::{LEDGER_FILE, Mode, SqliteLog},
};

use crate::running::{Kept, Running};

/// What the ledgers of one machine are here.
pub(crate) fn created(clock: &dyn Clock) -> LedgerCreated {
    let slices = Slices::new(16).expect("sixteen slices");
    LedgerCreated { v: FORMAT, ledger_id: "test".into(), slices, created_at: clock.now(), generated: None }
}

/// Where the snapshots of a ledger in a folder are.
pub(crate) fn snapshots_in(dir: &Path) -> Arc<dyn SnapshotStore> {
    Arc::new(FileSnapshots::new(dir.join("snapshots")).expect("a folder"))
}

/// Starts on what is in the folder; an empty one gets a new ledger.
pub(crate) fn in_folder(dir: &Path, kept: &Kept) -> Result<(Running, EmbeddedSink), LogError> {
    let is_new = !dir.join(LEDGER_FILE).exists();
    let log = if is_new { SqliteLog::create(dir, created(&*kept.clock))? } else { SqliteLog::open(dir, Mode::Write)? };
    on(Arc::new(log), kept)
}

/// Starts on a log.
pub(crate) fn on(log: Arc<dyn Log>, kept: &Kept) -> Result<(Running, EmbeddedSink), LogError> {
    let processor = Processor::restore(Arc::clone(&log), &*kept.snapshots, KeyLimits::default(), "test".into())?;
    let edge = kept.edge(&*log, processor.directory());
    let chores = Box::new(EmbeddedChores::new(edge.clone(), Arc::clone(&kept.snapshots), &processor));
    let clock = Arc::clone(&kept.clock);
    let processor = EmbeddedProcessor::start(processor, move || clock.now(), chores).expect("a thread");
    let sink = processor.sink();
    Ok((Running::new(log, edge, Arc::new(sink.clone()), processor), sink))
}

/// Starts on what is in the folder, at the machine's time.
pub(crate) fn start(dir: &Path) -> Running {
    in_folder(dir, &Kept { snapshots: snapshots_in(dir), ..Kept::default() }).expect("restored").0
}
