//! The contract of the log, on the engines that need nothing but this process.

mod chains;
mod contract;
mod decisions;

use contract::{CASES, Home};
use libtest_mimic::{Arguments, Trial};
use parking_lot::Mutex;
use pledger_ledger::{
    log::{Log, LogError},
    memory::MemoryLog,
    sqlite::{Mode, SqliteLog},
};

fn main() {
    let trials = CASES.iter().flat_map(|(name, case)| {
        let sqlite = Trial::test(format!("sqlite::{name}"), move || {
            case(&InSqlite(tempfile::tempdir()?));
            Ok(())
        });
        let memory = Trial::test(format!("memory::{name}"), move || {
            case(&InMemory::default());
            Ok(())
        });
        [sqlite, memory]
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

struct InSqlite(tempfile::TempDir);

impl Home for InSqlite {
    fn create(&self) -> Result<Box<dyn Log>, LogError> {
        Ok(Box::new(SqliteLog::create(self.0.path(), decisions::created())?))
    }

    fn open(&self) -> Result<Box<dyn Log>, LogError> {
        Ok(Box::new(SqliteLog::open(self.0.path(), Mode::Write)?))
    }

    fn beside(&self) -> Result<Box<dyn Log>, LogError> {
        Ok(Box::new(SqliteLog::open(self.0.path(), Mode::Read)?))
    }
}

/// It is there as long as the process, which is all that can be said of it.
#[derive(Default)]
struct InMemory(Mutex<Option<MemoryLog>>);

impl Home for InMemory {
    fn create(&self) -> Result<Box<dyn Log>, LogError> {
        let mut log = self.0.lock();
        if log.is_some() {
            return Err(LogError::Unfit("there is a ledger already".into()));
        }
        Ok(Box::new(log.insert(MemoryLog::new(decisions::created())).clone()))
    }

    fn open(&self) -> Result<Box<dyn Log>, LogError> {
        let log = self.0.lock().clone();
        log.map_or_else(|| Err(LogError::Absent("there is no ledger in memory".into())), |log| Ok(Box::new(log) as Box<dyn Log>))
    }

    fn beside(&self) -> Result<Box<dyn Log>, LogError> {
        self.open()
    }
}
