//! Whether what failed failed for want of room on the disk, in words.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::Path,
    process,
};

use anyhow::{Error, anyhow};

use crate::context::Usage;

/// What there is room for on a disk that is not full, in bytes.
const ROOM: usize = 1 << 20;

/// The error, with what to do where the disk is full.
pub(crate) fn explained(error: Error, data_dir: &Path) -> Error {
    match hint(&format!("{error:#}"), data_dir).filter(|_| !error.is::<Usage>()) {
        Some(hint) => anyhow!("{error:#}\n{hint}"),
        None => error,
    }
}

/// What to do, where this was told because the disk of the data directory is full.
pub(crate) fn hint(told: &str, data_dir: &Path) -> Option<String> {
    if !is_full(told, || has_room(data_dir)) {
        return None;
    }
    let disk = format!("The disk that holds {} is full", data_dir.display());
    Some(if told.contains("OutcomeUnknown") {
        format!("{disk}: free some space before you ask again.")
    } else {
        format!("{disk}: what failed recorded nothing. Free some space, and run it again.")
    })
}

/// The database cannot always say why it cannot write: then somebody has to try.
fn is_full(told: &str, has_room: impl FnOnce() -> bool) -> bool {
    told.contains("disk is full") || told.contains("No space left on device") || (told.contains("disk I/O error") && !has_room())
}

fn has_room(data_dir: &Path) -> bool {
    let file = data_dir.join(format!(".room-{}", process::id()));
    let tried = File::create_new(&file).and_then(|mut file| file.write_all(&vec![0; ROOM]).and_then(|()| file.sync_all()));
    // What is left over is empty, and named so that nobody takes it for anything.
    drop(fs::remove_file(&file));
    !tried.is_err_and(|error| matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
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
        assert_eq!(fs::read_dir(dir.path()).expect("it is there").count(), 0, "nothing is left behind");
        let told = hint("OutcomeUnknown: database or disk is full", dir.path()).expect("it is full");
        assert!(told.ends_with(" is full: free some space before you ask again."), "{told}");
    }
}
