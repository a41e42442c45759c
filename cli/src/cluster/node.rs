//! The parts of a process in a cluster: it sends commands, or decides them, or both.

use std::sync::Arc;

use anyhow::{Result, bail};
use pledger_consumers::{
    cluster::{ClusterProcessor, ClusterSink, Followed, Follower, Parts, ProcessorStatus, SinkLimits},
    processor::{KeyLimits, Processor, SnapshotStore},
};
use pledger_ledger::{
    commands_topic::{Fixed, Membership},
    edge::{Clock, ContinuingClock, Edge, SystemClock, SystemRandomness},
    kafka::{KafkaCommands, KafkaLog, KafkaOptions},
    keys::KeyStore,
    log::{Log, LogError},
    slices::SliceId,
};

use super::{Cluster, Joining};
use crate::{ledger::Ledger, node::random_id};

/// The group of processes that share the slices out.
const GROUP: &str = "processors";

/// How the cluster is reached.
pub(super) fn options(cluster: &Cluster) -> KafkaOptions {
    KafkaOptions { prefix: cluster.prefix.clone(), properties: cluster.properties.clone(), ..KafkaOptions::new(&cluster.brokers) }
}

/// Opens the ledger, and says what to do where there is none.
pub(super) fn open(cluster: &Cluster) -> Result<KafkaLog> {
    KafkaLog::open(options(cluster)).map_err(|error| match error {
        LogError::Absent(reason) => anyhow::anyhow!("{reason}\nCreate one with: pledger init {}", cluster.flags()),
        other @ (LogError::Store(_) | LogError::Damaged { .. } | LogError::Locked(_) | LogError::ReadOnly(_) | LogError::Unfit(_)) => {
            other.into()
        }
    })
}

/// The ledger, to be read.
pub(crate) fn ledger(cluster: &Cluster) -> Result<Ledger> {
    let log = open(cluster)?;
    Ok(Ledger { created: log.created().clone(), log: Arc::new(log) })
}

/// Whether all topics of the ledger are there.
pub(crate) fn topics(cluster: &Cluster) -> Result<String> {
    let missing = KafkaLog::missing_topics(&options(cluster))?;
    if !missing.is_empty() {
        bail!("there is no {}; the topics that a ledger lacks are created by: pledger init {}", missing.join(", "), cluster.flags());
    }
    Ok("all are there".to_owned())
}

/// The ledger of a cluster with what this process does to it.
pub(super) struct ClusterNode {
    pub(super) log: KafkaLog,
    pub(super) edge: Edge,
    /// Absent where no command is sent from here.
    pub(super) sending: Option<Sending>,
    /// Absent where nothing is decided here.
    processor: Option<ClusterProcessor>,
}

/// The way to whoever decides.
pub(super) struct Sending {
    pub(super) sink: Arc<ClusterSink>,
    follower: Follower,
}

/// Which slices are written here.
pub(super) enum Writes {
    None,
    These(Vec<SliceId>),
    /// As many as the group gives.
    Some {
        silence: std::time::Duration,
    },
}

impl Writes {
    /// As asked for.
    pub(super) fn of(joining: &Joining, log: &KafkaLog) -> Result<Self> {
        if !joining.has(super::flags::Role::Processor) {
            return Ok(Self::None);
        }
        let given = joining.slices(log.slices())?;
        Ok(given.map_or(Self::Some { silence: joining.take_over_after() }, Self::These))
    }
}

/// Follows the ledger, from its beginning: what was decided, and where ids lead.
pub(super) fn follow(log: &KafkaLog) -> Result<Follower> {
    Ok(Follower::start(Arc::new(log.clone()), KeyLimits::default())?)
}

impl ClusterNode {
    /// Starts what this process does; commands are sent where there is a follower.
    pub(super) fn start(
        log: KafkaLog,
        follower: Option<Follower>,
        keys: &Arc<dyn KeyStore>,
        snapshots: &Arc<dyn SnapshotStore>,
        writes: Writes,
    ) -> Result<Self> {
        let commands = KafkaCommands::of(&log);
        let ledger: Arc<dyn Log> = Arc::new(log.clone());
        let directory = follower.as_ref().map(|follower| follower.followed().directory()).unwrap_or_default();
        let clock = present(&log, follower.as_ref().map(Follower::followed).as_deref());
        let edge = Edge { slices: log.slices(), keys: Arc::clone(keys), directory, clock, randomness: Arc::new(SystemRandomness) };
        let sending = match follower {
            None => None,
            Some(follower) => {
                let sink = ClusterSink::new(follower.followed(), commands.sender()?, log.slices(), SinkLimits::default());
                Some(Sending { sink: Arc::new(sink), follower })
            }
        };
        let membership: Option<Box<dyn Membership>> = match writes {
            Writes::None => None,
            Writes::These(slices) => Some(Box::new(Fixed::new(slices))),
            Writes::Some { silence } => Some(commands.join(GROUP, silence)?),
        };
        let processor = match membership {
            None => None,
            Some(membership) => {
                let snapshots = Arc::clone(snapshots);
                let processor = Processor::of_no_slice(Arc::clone(&ledger), &*snapshots, KeyLimits::default(), random_id())?;
                let (reader, sender, edge) = (commands.reader()?, commands.sender()?, edge.clone());
                let parts = Parts { processor, log: ledger, reader, sender, membership, snapshots, edge };
                Some(ClusterProcessor::start(parts)?)
            }
        };
        Ok(Self { log, edge, sending, processor })
    }

    pub(super) fn processor(&self) -> Option<Arc<ProcessorStatus>> {
        self.processor.as_ref().map(ClusterProcessor::status)
    }

    pub(super) fn followed(&self) -> Option<Arc<Followed>> {
        self.sending.as_ref().map(|sending| sending.follower.followed())
    }

    /// Decides what was taken, lets go of the slices, and leaves.
    pub(super) fn stop(self) {
        if let Some(processor) = self.processor {
            processor.stop();
        }
    }
}

/// What time it is for a ledger. A generated history ends at an instant of its own, and time goes on from there.
pub(super) fn present(log: &KafkaLog, followed: Option<&Followed>) -> Arc<dyn Clock> {
    match &log.created().generated {
        Some(generated) => {
            let last = followed.map_or(generated.ends_at, |followed| generated.ends_at.max(followed.last_recorded_at()));
            Arc::new(ContinuingClock::new(last))
        }
        None => Arc::new(SystemClock::new()),
    }
}
