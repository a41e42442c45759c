//! `<data>/projections/<generation>/read.db`, and the file `current` that names the one in use.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Access, GenerationNumber, Generations};
use crate::store::{Store, StoreError, sqlite::SqliteStore};

/// The generations of a data directory, in SQLite.
#[derive(Clone, Debug)]
pub struct DirectoryGenerations {
    directory: PathBuf,
}

impl DirectoryGenerations {
    /// Those of the data directory.
    #[must_use]
    pub fn of(data_dir: &Path) -> Self {
        Self { directory: data_dir.join("projections") }
    }

    fn folder(&self, generation: GenerationNumber) -> PathBuf {
        self.directory.join(generation.to_string())
    }

    fn database(&self, generation: GenerationNumber) -> PathBuf {
        self.folder(generation).join("read.db")
    }
}

impl Generations for DirectoryGenerations {
    fn all(&self) -> Result<Vec<GenerationNumber>, StoreError> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut numbers = Vec::new();
        for entry in entries {
            numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<GenerationNumber>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn current(&self) -> Result<Option<GenerationNumber>, StoreError> {
        let name = match fs::read_to_string(self.directory.join("current")) {
            Ok(name) => name,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(name.trim().parse().ok().filter(|generation| self.database(*generation).exists()))
    }

    fn create(&self) -> Result<GenerationNumber, StoreError> {
        fs::create_dir_all(&self.directory)?;
        let generation = self.all()?.last().map_or(1, |last| last + 1);
        fs::create_dir(self.folder(generation))?;
        SqliteStore::open(&self.database(generation))?.create()?;
        Ok(generation)
    }

    fn open(&self, generation: GenerationNumber, access: Access) -> Result<Box<dyn Store>, StoreError> {
        let path = self.database(generation);
        Ok(Box::new(match access {
            Access::Write => SqliteStore::open(&path)?,
            Access::Read => SqliteStore::open_read_only(&path)?,
        }))
    }

    fn promote(&self, generation: GenerationNumber) -> Result<(), StoreError> {
        let pointer = self.directory.join("current.new");
        fs::write(&pointer, format!("{generation}\n"))?;
        Ok(fs::rename(&pointer, self.directory.join("current"))?)
    }

    fn remove(&self, generation: GenerationNumber) -> Result<(), StoreError> {
        if self.current()? == Some(generation) {
            return Err(StoreError::InUse(generation));
        }
        Ok(fs::remove_dir_all(self.folder(generation))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pointer_names_the_last_generation_started() {
        let data = tempfile::tempdir().expect("a directory");
        let generations = DirectoryGenerations::of(data.path());
        assert_eq!(generations.current().expect("read"), None);
        assert_eq!(generations.all().expect("read"), [0_u64; 0]);
        drop(generations.start().expect("started"));
        assert_eq!(generations.current().expect("read"), Some(1));
        assert_eq!(generations.create().expect("made"), 2);
        assert_eq!(generations.current().expect("read"), Some(1), "it is not in use yet");
        drop(generations.start().expect("started"));
        assert_eq!(generations.current().expect("read"), Some(3));
        assert_eq!(generations.all().expect("read"), [3]);
        assert!(matches!(generations.remove(3), Err(StoreError::InUse(3))));
    }
}
