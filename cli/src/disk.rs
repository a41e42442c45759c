//! Whether there is room on the disk of a data directory.

use std::path::Path;

/// What has to be free for a server to be ready: a log of what is written, as it is between two checkpoints, takes some.
pub(crate) const LEAST: u64 = 4 << 20;

/// Says where less than `least` bytes are free for this process. What cannot be looked at passes: the first write says more.
pub(crate) fn room(dir: &Path, least: u64) -> Result<(), String> {
    let Ok(disk) = rustix::fs::statvfs(dir) else { return Ok(()) };
    // Only the superuser may use what is kept in reserve.
    let blocks = if rustix::process::geteuid().is_root() { disk.f_bfree } else { disk.f_bavail };
    let free = blocks.saturating_mul(disk.f_frsize);
    if free >= least {
        return Ok(());
    }
    Err(format!("the disk of {} is full: {} KiB are free; commands are taken again as soon as there is room", dir.display(), free >> 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_and_a_missing_one_is_not() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(room(dir.path(), 0), Ok(()));
        assert!(room(dir.path(), u64::MAX).is_err_and(|reason| reason.contains(" is full: ")));
        assert_eq!(room(&dir.path().join("nowhere"), u64::MAX), Ok(()));
    }
}
