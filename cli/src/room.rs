//! Whether there is room on the disk of a data directory, and whether what failed failed for want of it.

use std::path::Path;

use anyhow::{Error, anyhow};

use crate::context::Usage;

/// What has to be free, in bytes: a log of what is written, as it is between two checkpoints, takes some.
const LEAST: u64 = 4 << 20;

/// Says where less is free for this process than a server needs.
pub(crate) fn enough(dir: &Path) -> Result<(), String> {
    at_least(LEAST, dir)
}

/// What cannot be looked at passes: the first write says more.
fn at_least(bytes: u64, dir: &Path) -> Result<(), String> {
    let Ok(disk) = rustix::fs::statvfs(dir) else { return Ok(()) };
    // Only the superuser may use what is kept in reserve.
    let blocks = if rustix::process::geteuid().is_root() { disk.f_bfree } else { disk.f_bavail };
    let free = blocks.saturating_mul(disk.f_frsize);
    if free >= bytes {
        return Ok(());
    }
    Err(format!("the disk of {} is full: {} KiB are free; commands are taken again as soon as there is room", dir.display(), free >> 10))
}

/// The error, with what to do where the disk is full.
pub(crate) fn explained(error: Error, data_dir: &Path) -> Error {
    match hint(&format!("{error:#}"), data_dir).filter(|_| !error.is::<Usage>()) {
        Some(hint) => anyhow!("{error:#}\n{hint}"),
        None => error,
    }
}

/// What to do, where this was told because the disk of the data directory is full.
pub(crate) fn hint(told: &str, data_dir: &Path) -> Option<String> {
    if !is_full(told, || enough(data_dir).is_ok()) {
        return None;
    }
    let disk = format!("The disk that holds {} is full", data_dir.display());
    Some(if told.contains("OutcomeUnknown") {
        format!("{disk}: free some space before you ask again.")
    } else {
        format!("{disk}: what failed recorded nothing. Free some space, and run it again.")
    })
}

/// The database cannot always say why it cannot write: then somebody has to look.
fn is_full(told: &str, has_room: impl FnOnce() -> bool) -> bool {
    told.contains("disk is full") || told.contains("No space left on device") || (told.contains("disk I/O error") && !has_room())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_failed_for_want_of_room_says_so() {
        let dir = tempfile::tempdir().expect("a folder");
        for (told, has_room, expected) in [
            ("keys.db: (code: 13) database or disk is full", true, true),
            ("No space left on device (os error 28)", true, true),
            ("ledger.db: disk I/O error", false, true),
            ("ledger.db: disk I/O error", true, false),
            ("there is no partner p-1", false, false),
        ] {
            assert_eq!(is_full(told, || has_room), expected, "{told}");
        }
        assert_eq!(hint("ledger.db: disk I/O error", dir.path()), None, "there is room here");
        let told = hint("OutcomeUnknown: database or disk is full", dir.path()).expect("it is full");
        assert!(told.ends_with(" is full: free some space before you ask again."), "{told}");
    }

    #[test]
    fn a_full_disk_is_told_and_a_missing_one_is_not() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(at_least(0, dir.path()), Ok(()));
        assert!(at_least(u64::MAX, dir.path()).is_err_and(|reason| reason.contains(" is full: ")));
        assert_eq!(at_least(u64::MAX, &dir.path().join("nowhere")), Ok(()));
    }
}
