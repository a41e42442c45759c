//! One data directory has one writer: a lock that the system drops with the process.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{ErrorKind, Read, Seek, Write},
    path::Path,
};

use crate::log::LogError;

/// The file that is locked; the writer's process id stands in it.
pub(super) const LOCK_FILE: &str = "lock";

/// The writer's lock, held as long as this is. It is given back, and not only let go of: a child that this process just starts has a
/// copy of the file for a moment, which would keep it.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Where that fails it ends with the file.
        let _ = self.0.unlock();
    }
}

/// Takes the writer's lock.
///
/// # Errors
/// `LogError::Locked` naming the process that holds it, `LogError::ReadOnly` where it may not be taken, `LogError::Store`.
pub(super) fn lock(dir: &Path) -> Result<Lock, LogError> {
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
    let mut lock = Lock(file);
    let file = &mut lock.0;
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(store)?;
    Ok(lock)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_given_back_though_a_child_has_a_copy_of_the_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let held = lock(dir.path()).expect("nobody else writes");
        let copy = held.0.try_clone().expect("a copy, as a child has it before it runs its program");
        assert!(matches!(lock(dir.path()), Err(LogError::Locked(_))));
        drop(held);
        drop(lock(dir.path()).expect("it was given back"));
        drop(copy);
    }
}
