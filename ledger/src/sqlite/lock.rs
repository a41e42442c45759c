//! One data directory has one writer: a lock that the system drops with the process.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{ErrorKind, Read, Seek, Write},
    path::Path,
};

use crate::log::LogError;

/// The file that is locked; the writer's process id stands in it.
pub(super) const LOCK_FILE: &str = "lock";

/// Takes the writer's lock; it is held as long as the file is.
///
/// # Errors
/// `LogError::Locked` naming the process that holds it, `LogError::ReadOnly` where it may not be taken, `LogError::Store`.
pub(super) fn lock(dir: &Path) -> Result<File, LogError> {
    let path = dir.join(LOCK_FILE);
    let store = |error: std::io::Error| LogError::Store(format!("{}: {error}", path.display()));
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            LogError::ReadOnly(format!("this process may not write to {} ({error}); reading it needs no such right", dir.display()))
        }
        _ => store(error),
    })?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(LogError::Locked(held(dir, &mut file))),
        Err(TryLockError::Error(error)) => return Err(store(error)),
    }
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(store)?;
    Ok(file)
}

fn held(dir: &Path, file: &mut File) -> String {
    let mut text = String::new();
    // On some systems a locked file cannot be read either; the message goes without the number then.
    let read = file.read_to_string(&mut text).is_ok();
    let holder = match text.trim().parse::<u32>() {
        Ok(pid) if read => format!("process {pid}"),
        _ => "another process".to_owned(),
    };
    format!(
        "{holder} writes to the ledger in {}: stop it first (such as `pledger serve`), or send commands through it; reading needs no lock",
        dir.display()
    )
}
