//! Both topics in memory.

use std::sync::Arc;

use bytes::Bytes;
use pledger_ledger::{
    commands_topic::{CommandReader, CommandSender, memory::MemoryCommands},
    log::Log,
    memory::MemoryLog,
    slices::SliceId,
};

use crate::topics::{Topics, created};

pub(crate) struct InMemory {
    log: MemoryLog,
    commands: MemoryCommands,
}

impl InMemory {
    pub(crate) fn new(slices: u16) -> Self {
        let created = created(slices);
        Self { commands: MemoryCommands::new(created.slices), log: MemoryLog::new(created) }
    }

    /// The same ledger beside a commands topic that was made anew.
    pub(crate) fn with_new_commands(&self) -> Self {
        Self { commands: MemoryCommands::new(self.log.slices()), log: self.log.clone() }
    }
}

impl Topics for InMemory {
    fn log(&self) -> Arc<dyn Log> {
        Arc::new(self.log.clone())
    }

    fn reader(&self) -> Box<dyn CommandReader> {
        Box::new(self.commands.reader())
    }

    fn sender(&self) -> Arc<dyn CommandSender> {
        Arc::new(self.commands.clone())
    }

    fn write_foreign(&self, slice: SliceId, message: &[u8]) {
        self.commands.write(slice, Bytes::copy_from_slice(message));
    }
}
