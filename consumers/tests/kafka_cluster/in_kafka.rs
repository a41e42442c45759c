//! Topics of their own for each test.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use pledger_ledger::{
    commands_topic::{CommandReader, CommandSender},
    kafka::{KafkaCommands, KafkaLog, KafkaOptions},
    log::Log,
    slices::SliceId,
};

use crate::topics::{Topics, created};

/// A ledger under a prefix that nobody else has.
pub(crate) struct InKafka {
    pub(crate) log: KafkaLog,
    pub(crate) commands: KafkaCommands,
}

impl InKafka {
    pub(crate) fn new(brokers: &str, slices: u16) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
        let prefix = format!("cluster-{now}-{}-{count}.", std::process::id());
        let options = KafkaOptions { prefix, replicas: 1, ..KafkaOptions::new(brokers) };
        let log = KafkaLog::create(options, created(slices)).expect("a new ledger");
        Self { commands: KafkaCommands::of(&log), log }
    }
}

impl Topics for InKafka {
    fn log(&self) -> Arc<dyn Log> {
        Arc::new(self.log.clone())
    }

    fn reader(&self) -> Box<dyn CommandReader> {
        self.commands.reader().expect("a reader")
    }

    fn sender(&self) -> Arc<dyn CommandSender> {
        self.commands.sender().expect("a sender")
    }

    fn write_foreign(&self, slice: SliceId, message: &[u8]) {
        self.commands.write(slice, message).expect("written");
    }
}
