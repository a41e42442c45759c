//! A cluster in one process, put together as `pledger serve --kafka` does it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use pledger_consumers::{
    cluster::{ClusterProcessor, ClusterSink, Follower, Parts, ProcessorStatus, SinkLimits},
    processor::{KeyLimits, MemorySnapshots, PostgresSnapshots, Processor, SnapshotStore},
};
use pledger_domain::values::Timestamp;
use pledger_ledger::{
    commands::CommandSink,
    commands_topic::Fixed,
    edge::{Clock, Edge, SystemClock, SystemRandomness},
    kafka::{KafkaCommands, KafkaLog},
    keys::MemoryKeyStore,
    log::Log,
    slices::{SliceId, Slices},
};

use super::Broker;
use crate::{
    running::check,
    workload::{self, Sent},
};

/// Commands that are submitted together.
const TOGETHER: usize = 1_000;
/// How long a processor may take to get its slices.
const TO_BEGIN: Duration = Duration::from_secs(120);

/// A ledger in Kafka, the way to it, and perhaps its writer.
pub(super) struct Together {
    pub(super) log: KafkaLog,
    pub(super) commands: KafkaCommands,
    pub(super) edge: Edge,
    pub(super) sink: Arc<ClusterSink>,
    pub(super) today: Timestamp,
    snapshots: Arc<Kept>,
    processor: Option<ClusterProcessor>,
    follower: Option<Follower>,
}

/// Snapshots, until a process is taken for dead.
struct Kept {
    snapshots: Box<dyn SnapshotStore>,
    dead: AtomicBool,
}

impl SnapshotStore for Kept {
    fn load(&self, slice: SliceId) -> Option<Vec<u8>> {
        self.snapshots.load(slice)
    }

    fn save(&self, slice: SliceId, bytes: &[u8]) -> std::io::Result<()> {
        if self.dead.load(Ordering::Relaxed) { Ok(()) } else { self.snapshots.save(slice, bytes) }
    }
}

impl Together {
    /// A new ledger, its rules published and its partners active.
    pub(super) fn create(broker: &Broker, name: &str, slices: Slices) -> Result<Self> {
        let log = broker.create(name, slices)?;
        let commands = KafkaCommands::of(&log);
        let follower = Follower::start(Arc::new(log.clone()), KeyLimits::default())?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let edge = Edge {
            slices,
            keys: Arc::new(MemoryKeyStore::default()),
            directory: follower.followed().directory(),
            clock: Arc::clone(&clock),
            randomness: Arc::new(SystemRandomness),
        };
        let sink = Arc::new(ClusterSink::new(follower.followed(), commands.sender()?, slices, SinkLimits::default()));
        let today = clock.now();
        let snapshots: Box<dyn SnapshotStore> = match broker.options_of_postgres(name)? {
            Some(options) => Box::new(PostgresSnapshots::new(&options).context("PostgreSQL keeps no snapshots")?),
            None => Box::new(MemorySnapshots::default()),
        };
        let mut together = Self {
            log,
            commands,
            edge,
            sink,
            today,
            snapshots: Arc::new(Kept { snapshots, dead: AtomicBool::new(false) }),
            processor: None,
            follower: Some(follower),
        };
        together.begin()?;
        for wave in workload::program() {
            together.run(&wave)?;
        }
        Ok(together)
    }

    /// Starts the writer of all slices, and waits until it has them.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.snapshots.dead.store(false, Ordering::Relaxed);
        self.processor = Some(ClusterProcessor::start(self.parts()?)?);
        let begun = Instant::now();
        while self.owned() < usize::from(self.edge.slices.count) {
            if begun.elapsed() > TO_BEGIN {
                bail!("the processor has {} slices after {} s", self.owned(), TO_BEGIN.as_secs());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn parts(&self) -> Result<Parts> {
        let (log, snapshots) = (Arc::new(self.log.clone()) as Arc<dyn Log>, Arc::clone(&self.snapshots) as Arc<dyn SnapshotStore>);
        Ok(Parts {
            processor: Processor::of_no_slice(Arc::clone(&log), &*snapshots, KeyLimits::default(), "bench".into())?,
            log,
            reader: self.commands.reader()?,
            sender: self.commands.sender()?,
            membership: Box::new(Fixed::new(self.edge.slices.all().collect())),
            snapshots,
            edge: self.edge.clone(),
        })
    }

    fn owned(&self) -> usize {
        self.processor.as_ref().map_or(0, |processor| processor.status().owned())
    }

    /// What the writer does.
    pub(super) fn status(&self) -> Result<Arc<ProcessorStatus>> {
        Ok(self.processor.as_ref().context("the processor runs")?.status())
    }

    /// Ends the writer as a kill would: what it would keep at its end is not kept.
    pub(super) fn kill(&mut self) {
        self.snapshots.dead.store(true, Ordering::Relaxed);
        drop(self.processor.take());
    }

    /// Follows the ledger no more: a process that only decides does not.
    pub(super) fn unfollow(&mut self) {
        drop(self.follower.take());
    }

    /// Where the ledger ends, void records and those of writers included.
    pub(super) fn ends(&self) -> Result<u64> {
        Ok(self.log.ends(&self.edge.slices.all().collect::<Vec<_>>())?.iter().sum())
    }

    /// Has commands decided, and checks what was decided.
    pub(super) fn run(&self, sent: &[Sent]) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        for sent in sent.chunks(TOGETHER) {
            let after = self.sink.reference_positions();
            let envelopes = sent.iter().map(|sent| sent.prepare(&self.edge, after.clone())).collect::<Result<Vec<_>>>()?;
            let _inside = runtime.enter();
            let answers = runtime.block_on(self.sink.submit(envelopes));
            check(sent, &answers).context("through the commands topic")?;
        }
        Ok(())
    }
}
