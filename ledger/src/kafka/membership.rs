//! Which slices this process should write, as a Kafka consumer group shares them out.
//!
//! The group is used for membership alone: its consumer reads nothing and commits nothing. Commands are read by another
//! one, from where the ledger says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};

use super::{client, options::KafkaOptions};
use crate::{
    commands_topic::{Change, Membership},
    log::LogError,
    slices::SliceId,
};

/// How long a poll waits before the thread looks whether it is still wanted.
const POLL: Duration = Duration::from_millis(50);
/// How long to wait after a refusal.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);
/// How long others wait for slices to be let go of in order; the chain keeps them safe even then.
const TO_LET_GO: Duration = Duration::from_secs(3);
/// How long leaving may take.
const TO_LEAVE: Duration = Duration::from_secs(5);

/// A group of processes.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) topic: Arc<str>,
    pub(super) silence: Duration,
}

/// A member of the group, on a thread of its own.
pub(super) struct KafkaMembership {
    changes: Receiver<Change>,
    leaving: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl KafkaMembership {
    pub(super) fn join(options: &Arc<KafkaOptions>, group: Group) -> Result<Self, LogError> {
        let (sender, changes) = mpsc::channel();
        let leaving = Arc::new(AtomicBool::new(false));
        let member = Member { changes: sender, leaving: Arc::clone(&leaving) };
        let consumer: BaseConsumer<Member> = options
            .member(&group.name, group.silence)
            .create_with_context(member)
            .map_err(|error| options.store("creating a consumer", &error))?;
        consumer.subscribe(&[&group.topic]).map_err(|error| options.store("joining the group of processors", &error))?;
        let until = Arc::clone(&leaving);
        let thread = std::thread::Builder::new().name("membership".into()).spawn(move || stay(&consumer, &until));
        let thread = thread.map_err(|error| LogError::Store(format!("no thread: {error}")))?;
        Ok(Self { changes, leaving, thread: Some(thread) })
    }
}

/// Polls for as long as the process is a member: that is what callbacks come by.
fn stay(consumer: &BaseConsumer<Member>, leaving: &AtomicBool) {
    while !leaving.load(Ordering::Relaxed) {
        match consumer.poll(POLL) {
            // Its partitions are paused; what was fetched before they were is nobody's.
            None | Some(Ok(_)) => {}
            Some(Err(error)) if error.rdkafka_error_code().is_some_and(client::passes_by_itself) => {
                client::complain(&error, "the group of processors");
            }
            // Such as a silence that brokers do not allow. The library goes on trying, several times a second.
            Some(Err(error)) => {
                tracing::error!(%error, "the group of processors does not take this process in; it is tried again");
                std::thread::sleep(AFTER_REFUSAL);
            }
        }
    }
    // Or closing the consumer might wait for ever.
    consumer.unsubscribe();
    let until = Instant::now() + TO_LEAVE;
    while Instant::now() < until && consumer.assignment().is_ok_and(|assigned| assigned.count() > 0) {
        drop(consumer.poll(POLL));
    }
}

impl Membership for KafkaMembership {
    fn changes(&mut self) -> Vec<Change> {
        self.changes.try_iter().collect()
    }

    fn leave(&mut self) {
        self.leaving.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the group of processors panicked");
        }
    }
}

impl Drop for KafkaMembership {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Takes the group's callbacks, on the polling thread.
struct Member {
    changes: Sender<Change>,
    leaving: Arc<AtomicBool>,
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::say(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::complain(&error, reason);
    }

    fn stats(&self, _: Statistics) {}
}

impl ConsumerContext for Member {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let slices = partitions.elements().iter().filter_map(|element| SliceId::try_from(element.partition()).ok()).collect();
        let done = match RDKafkaErrorCode::from(code) {
            RDKafkaErrorCode::AssignPartitions => {
                // Nothing is read here. From its end on, so that no place is asked for that is not there.
                let begun = partitions.set_all_offsets(rdkafka::Offset::End).and_then(|()| consumer.incremental_assign(partitions));
                drop(self.changes.send(Change::Gained(slices)));
                begun.and_then(|()| consumer.pause(partitions))
            }
            RDKafkaErrorCode::RevokePartitions => {
                self.let_go(slices);
                consumer.incremental_unassign(partitions)
            }
            other => {
                tracing::warn!(%other, "the group of processors could not share its slices out");
                consumer.unassign()
            }
        };
        if let Err(error) = done {
            tracing::warn!(%error, "slices could not be taken or given back");
        }
    }
}

impl Member {
    /// Has the slices let go of, as long as that takes no longer than others should wait.
    fn let_go(&self, slices: Vec<SliceId>) {
        let (done, let_go) = mpsc::sync_channel(1);
        // Who leaves has let go of everything.
        let wait = !self.leaving.load(Ordering::Relaxed);
        if self.changes.send(Change::Lost(slices, Some(done))).is_ok() && wait {
            let _ = let_go.recv_timeout(TO_LET_GO);
        }
    }
}
