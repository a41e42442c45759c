//! Where snapshots are kept: in files, or in memory.

use hashbrown::HashMap;
use pledger_ledger::slices::SliceId;

/// The name under which the directory's snapshot is kept: no ledger has that slice.
pub const DIRECTORY: SliceId = SliceId::MAX;

/// Where snapshots are kept. What is lost costs time, never truth.
pub trait SnapshotStore: Send + Sync {
    /// The latest snapshot of a slice.
    fn load(&self, slice: SliceId) -> Option<Vec<u8>>;

    /// Keeps a snapshot instead of the one before.
    ///
    /// # Errors
    /// Where it cannot be written.
    fn save(&self, slice: SliceId, bytes: &[u8]) -> std::io::Result<()>;
}

/// Snapshots in memory, for simulations and tests.
#[derive(Default)]
pub struct MemorySnapshots(parking_lot::Mutex<HashMap<SliceId, Vec<u8>>>);

impl SnapshotStore for MemorySnapshots {
    fn load(&self, slice: SliceId) -> Option<Vec<u8>> {
        self.0.lock().get(&slice).cloned()
    }

    fn save(&self, slice: SliceId, bytes: &[u8]) -> std::io::Result<()> {
        self.0.lock().insert(slice, bytes.to_vec());
        Ok(())
    }
}

/// Snapshots as files of a folder: written beside, then renamed.
pub struct FileSnapshots(std::path::PathBuf);

impl FileSnapshots {
    /// Keeps snapshots in `folder`, which is made where it is missing.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn new(folder: std::path::PathBuf) -> std::io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    /// Finds those that a folder has; none are kept.
    #[must_use]
    pub const fn found_in(folder: std::path::PathBuf) -> Self {
        Self(folder)
    }

    fn file(&self, slice: SliceId) -> std::path::PathBuf {
        self.0.join(format!("slice-{slice:04}.snapshot"))
    }
}

impl SnapshotStore for FileSnapshots {
    fn load(&self, slice: SliceId) -> Option<Vec<u8>> {
        std::fs::read(self.file(slice)).ok()
    }

    fn save(&self, slice: SliceId, bytes: &[u8]) -> std::io::Result<()> {
        let beside = self.file(slice).with_extension("new");
        std::fs::write(&beside, bytes)?;
        std::fs::rename(beside, self.file(slice))
    }
}
