//! `<data>/projections/<generation>/read.db`, and the file `current` that names the one in use.

use std::{
    fs,
    io::{self, Read, Seek as _, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{Access, GenerationNumber, Generations, Hold, Holder, Note};
use pledger_domain::values::Timestamp;

use crate::store::{Store, StoreError, sqlite::SqliteStore};

/// How long whoever has the lock may take to say who it is.
const NAMED_WITHIN: Duration = Duration::from_secs(2);
/// How long the making of an empty generation may take; a folder that is older and not whole is what somebody left behind.
const MADE_WITHIN: Duration = Duration::from_secs(60);
/// How often to look.
const LOOK: Duration = Duration::from_millis(5);

/// What is known of a generation, in its folder.
const NOTE: &str = "about.json";

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

    /// The checkpoints of the data directory.
    #[must_use]
    pub fn checkpoints_of(data_dir: &Path) -> Self {
        Self { directory: data_dir.join("checkpoints") }
    }

    /// Makes a generation that begins as a copy of another one, which nobody writes.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn copy(&self, of: GenerationNumber, note: &Note) -> Result<GenerationNumber, StoreError> {
        self.remove_remains()?;
        let generation = self.folders()?.last().map_or(1, |last| last + 1);
        let folder = self.folder(generation);
        fs::create_dir(&folder)?;
        let copied = SqliteStore::open_read_only(&self.database(of))
            .and_then(|mut original| original.copy_to(&self.database(generation)))
            .and_then(|()| self.keep_note(generation, note));
        copied.map(|()| generation).inspect_err(|_| drop(fs::remove_dir_all(&folder)))
    }

    /// The folders of generations, also of those that were not made to their end.
    fn folders(&self) -> Result<Vec<GenerationNumber>, StoreError> {
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

    /// Whether a folder was made to its end: what is known of the generation is written last.
    fn is_whole(&self, generation: GenerationNumber) -> bool {
        self.folder(generation).join(NOTE).exists()
    }

    /// Takes away what was left by those who were killed while they made a generation, and spares who makes one now.
    fn remove_remains(&self) -> Result<(), StoreError> {
        let current = self.current()?;
        for generation in self.folders()? {
            let folder = self.folder(generation);
            let is_old =
                || fs::metadata(&folder).and_then(|about| about.modified()).is_ok_and(|at| at.elapsed().is_ok_and(|age| age > MADE_WITHIN));
            if !self.is_whole(generation) && Some(generation) != current && is_old() {
                fs::remove_dir_all(&folder)?;
            }
        }
        Ok(())
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
        let current = self.current()?;
        let mut all = self.folders()?;
        all.retain(|generation| self.is_whole(*generation) || Some(*generation) == current);
        Ok(all)
    }

    fn current(&self) -> Result<Option<GenerationNumber>, StoreError> {
        let name = match fs::read_to_string(self.directory.join("current")) {
            Ok(name) => name,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(name.trim().parse().ok().filter(|generation| self.database(*generation).exists()))
    }

    fn create(&self, note: &Note) -> Result<GenerationNumber, StoreError> {
        fs::create_dir_all(&self.directory)?;
        self.remove_remains()?;
        let generation = self.folders()?.last().map_or(1, |last| last + 1);
        fs::create_dir(self.folder(generation))?;
        let made = SqliteStore::open(&self.database(generation)).and_then(|mut store| store.create());
        let made = made.and_then(|()| self.keep_note(generation, note));
        // What could not be made whole is not left behind.
        made.inspect_err(|_| drop(fs::remove_dir_all(self.folder(generation))))?;
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
        replace(&self.directory, "current", format!("{generation}\n").as_bytes())
    }

    fn note(&self, generation: GenerationNumber) -> Result<Note, StoreError> {
        match fs::read(self.folder(generation).join(NOTE)) {
            Ok(json) => serde_json::from_slice(&json).map_err(|error| io::Error::other(error).into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Note::default()),
            Err(error) => Err(error.into()),
        }
    }

    fn keep_note(&self, generation: GenerationNumber, note: &Note) -> Result<(), StoreError> {
        let folder = self.folder(generation);
        let json = serde_json::to_vec(note).map_err(io::Error::other)?;
        replace(&folder, NOTE, &json)
    }

    fn hold(&self) -> Result<Result<Box<dyn Hold>, Holder>, StoreError> {
        fs::create_dir_all(&self.directory)?;
        let path = self.directory.join("rebuild.lock");
        let mut file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Ok(Err(holder(&mut file)?));
            }
            Err(fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        let holder = Holder { pid: std::process::id(), on: None, since: now() };
        file.set_len(0)?;
        file.write_all(&serde_json::to_vec(&holder).map_err(io::Error::other)?)?;
        Ok(Ok(Box::new(Locked { file })))
    }

    fn remove(&self, generation: GenerationNumber) -> Result<(), StoreError> {
        if self.current()? == Some(generation) {
            return Err(StoreError::InUse(generation));
        }
        Ok(fs::remove_dir_all(self.folder(generation))?)
    }
}

/// Who holds the lock. It writes that once it has it: a moment later it is there.
fn holder(file: &mut fs::File) -> io::Result<Holder> {
    let until = Instant::now() + NAMED_WITHIN;
    loop {
        let mut json = String::new();
        file.rewind()?;
        file.read_to_string(&mut json)?;
        match serde_json::from_str(&json) {
            Err(_) if Instant::now() < until => thread::sleep(LOOK),
            read => return Ok(read.unwrap_or_default()),
        }
    }
}

/// A lock on a file, which ends with the process whatever ends that. It is given back, and not only let go of: a child that this process
/// just starts has a copy of the file for a moment, which would keep it.
struct Locked {
    file: fs::File,
}

impl Hold for Locked {}

impl Drop for Locked {
    fn drop(&mut self) {
        // Whoever comes next is not to be taken for this one. Where either fails the lock ends with the file.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// Writes a file in one step: it is there as it was, or whole.
fn replace(folder: &Path, name: &str, content: &[u8]) -> Result<(), StoreError> {
    let beside = folder.join(format!("{name}.new"));
    let mut file = fs::File::create(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, folder.join(name))?;
    // The new name has to survive a power cut, too.
    Ok(fs::File::open(folder)?.sync_all()?)
}

fn now() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX)).to_string()
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
        generations.start().expect("started");
        assert_eq!(generations.current().expect("read"), Some(1));
        assert_eq!(generations.create(&Note::default()).expect("made"), 2);
        assert_eq!(generations.current().expect("read"), Some(1), "it is not in use yet");
        generations.start().expect("started");
        assert_eq!(generations.current().expect("read"), Some(3));
        assert_eq!(generations.all().expect("read"), [1, 3], "the one before stays");
        assert!(matches!(generations.remove(3), Err(StoreError::InUse(3))));
    }

    #[test]
    fn of_a_generation_that_was_not_made_to_its_end_nothing_is_seen() {
        let data = tempfile::tempdir().expect("a directory");
        let generations = DirectoryGenerations::of(data.path());
        generations.start().expect("started");
        for torn in [2, 3] {
            fs::create_dir(generations.folder(torn)).expect("a folder");
            SqliteStore::open(&generations.database(torn)).and_then(|mut store| store.create()).expect("tables");
        }
        let long_ago = std::time::SystemTime::now() - 2 * MADE_WITHIN;
        fs::File::open(generations.folder(2)).and_then(|folder| folder.set_modified(long_ago)).expect("aged");
        assert_eq!(generations.all().expect("read"), [1]);
        assert_eq!(generations.create(&Note::default()).expect("made"), 4, "somebody may be making 3");
        assert_eq!(generations.all().expect("read"), [1, 4]);
        assert_eq!(generations.folders().expect("read"), [1, 3, 4], "what was left behind is taken away");
    }

    #[test]
    fn of_a_copy_that_comes_to_nothing_nothing_is_left() {
        let data = tempfile::tempdir().expect("a directory");
        let generations = DirectoryGenerations::of(data.path());
        generations.start().expect("started");
        assert_eq!(generations.copy(1, &Note::default()).expect("copied"), 2);
        assert!(generations.copy(7, &Note::default()).is_err(), "there is no such generation");
        assert_eq!(generations.folders().expect("read"), [1, 2]);
        fs::create_dir(generations.folder(3)).expect("a folder");
        let long_ago = std::time::SystemTime::now() - 2 * MADE_WITHIN;
        fs::File::open(generations.folder(3)).and_then(|folder| folder.set_modified(long_ago)).expect("aged");
        assert_eq!(generations.copy(1, &Note::default()).expect("copied"), 3, "what somebody left who was killed is taken away");
        assert_eq!(generations.all().expect("read"), [1, 2, 3]);
    }

    #[test]
    fn whoever_just_took_the_lock_is_waited_for_until_it_says_who_it_is() {
        let data = tempfile::tempdir().expect("a directory");
        let path = data.path().join("lock");
        fs::write(&path, "").expect("written");
        let mut file = fs::File::open(&path).expect("opened");
        let known = Holder { pid: 7, on: None, since: now() };
        let found = thread::scope(|scope| {
            let found = scope.spawn(|| holder(&mut file).expect("read"));
            fs::write(&path, &serde_json::to_vec(&known).expect("JSON")[..9]).expect("half of it");
            fs::write(&path, serde_json::to_vec(&known).expect("JSON")).expect("written");
            found.join().expect("it is found")
        });
        assert_eq!(found, known);
    }

    #[test]
    fn one_fills_generations_at_a_time_and_others_are_told_who() {
        let data = tempfile::tempdir().expect("a directory");
        let generations = DirectoryGenerations::of(data.path());
        let held = generations.hold().expect("a lock").expect("free");
        let holder = generations.hold().expect("a lock").err().expect("held");
        assert_eq!(holder.pid, std::process::id());
        assert!(Timestamp::parse(&holder.since).is_ok(), "{holder:?}");
        drop(held);
        assert!(generations.hold().expect("a lock").is_ok());
    }
}
