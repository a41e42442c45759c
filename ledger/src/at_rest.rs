//! SQLite files in places where nothing may be written: a backup on a medium of its own, the directory of another user.

use std::{ffi::OsString, fs::OpenOptions, io::ErrorKind, path::Path};

/// Whether a SQLite file has to be read as it lies, and may be: this process cannot write it, and nothing of it stands beside it.
///
/// To read what others may write, SQLite puts a file beside it in which readers and writers meet. Where that cannot be, a
/// database that nobody has open is whole in its one file.
#[must_use]
pub fn is_at_rest(file: &Path) -> bool {
    let cannot_be_written = match OpenOptions::new().write(true).open(file) {
        Ok(_) => false,
        Err(error) => matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem),
    };
    cannot_be_written && !stands_beside(file, "-wal") && !stands_beside(file, "-shm")
}

/// Whether what was written last may still stand beside the file, in the write-ahead log.
pub(crate) fn has_a_log(file: &Path) -> bool {
    stands_beside(file, "-wal")
}

fn stands_beside(file: &Path, suffix: &str) -> bool {
    let mut name = OsString::from(file);
    name.push(suffix);
    Path::new(&name).exists()
}

/// The address that SQLite reads such a file by; none of another file, and of one whose name is no UTF-8.
pub(crate) fn uri(file: &Path) -> Option<String> {
    let name = is_at_rest(file).then(|| file.to_str())??;
    Some(format!("file:{}?immutable=1", name.replace('%', "%25").replace('?', "%3f").replace('#', "%23")))
}
