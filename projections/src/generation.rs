//! Generations: `<data>/projections/<generation>/read.db`, and the file `current` that names the one in use.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::xxh3_64;

use crate::{shard::Shard, store::StoreError};

/// Raised when a fold changes what it makes of the same decisions although no column changes.
const FOLDS: u32 = 1;

/// What a generation was made by: the folds' version and every table's columns.
#[must_use]
pub fn fingerprint() -> String {
    let mut text = format!("folds {FOLDS}\n");
    for table in Shard::default().tables() {
        text.push_str(&format!("{} {} {:?}\n", table.name(), table.key_columns(), table.columns()));
    }
    format!("{:016x}", xxh3_64(text.as_bytes()))
}

/// The generations of a data directory.
#[derive(Clone, Debug)]
pub struct Generations {
    directory: PathBuf,
}

impl Generations {
    /// Those of the data directory.
    #[must_use]
    pub fn of(data_dir: &Path) -> Self {
        Self { directory: data_dir.join("projections") }
    }

    /// The database of the generation in use, where there is one.
    ///
    /// # Errors
    /// Where the pointer cannot be read.
    pub fn current(&self) -> io::Result<Option<PathBuf>> {
        let name = match fs::read_to_string(self.directory.join("current")) {
            Ok(name) => name,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let path = self.database(name.trim());
        Ok(path.exists().then_some(path))
    }

    /// Makes an empty generation and puts it in use; the ones before are taken away.
    ///
    /// # Errors
    /// Where the file system fails.
    pub fn start(&self) -> Result<PathBuf, StoreError> {
        fs::create_dir_all(&self.directory)?;
        let before = self.numbers()?;
        let number = before.iter().max().map_or(1, |last| last + 1);
        let name = number.to_string();
        fs::create_dir(self.directory.join(&name))?;
        let pointer = self.directory.join("current.new");
        fs::write(&pointer, format!("{name}\n"))?;
        fs::rename(&pointer, self.directory.join("current"))?;
        for number in before {
            fs::remove_dir_all(self.directory.join(number.to_string()))?;
        }
        Ok(self.database(&name))
    }

    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
        }
        Ok(numbers)
    }

    fn database(&self, generation: &str) -> PathBuf {
        self.directory.join(generation).join("read.db")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pointer_names_the_last_generation_started() {
        let data = tempfile::tempdir().expect("a directory");
        let generations = Generations::of(data.path());
        assert_eq!(generations.current().expect("read"), None);
        let first = generations.start().expect("started");
        fs::write(&first, "x").expect("written");
        assert_eq!(generations.current().expect("read"), Some(first.clone()));
        let second = generations.start().expect("started");
        fs::write(&second, "x").expect("written");
        assert_eq!(generations.current().expect("read"), Some(second));
        assert!(!first.exists());
    }
}
