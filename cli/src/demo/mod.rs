//! A generated, labelled-as-generated program history: the same bytes every time for the same seed.

mod names;
mod story;

use std::{collections::HashSet, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use pledger_consumers::{
    chores::EmbeddedChores,
    embedded::Chores,
    processor::{FileSnapshots, KeyLimits, Processor, Waiter},
};
use pledger_domain::{facts::Channel, rules::Rules, values::Timestamp};
use pledger_ledger::{
    commands::CommandEnvelope,
    edge::{Edge, Incoming, SeededRandomness, SteppedClock},
    keys::{Minting, SqliteKeyStore},
    log::Log,
    record::{FORMAT, Generated, LedgerCreated},
    slices::Slices,
    sqlite::SqliteLog,
};
use serde_json::json;

pub(crate) use story::{ENDS_AT, Plot};
use story::{Scene, Story};

/// Commands of one group commit.
const BATCH: usize = 512;
/// The sender of everything in the story.
const SENDER: &str = "demo";

/// What came of a story.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
}

/// Writes the story of `plot` into a new ledger in `dir`.
pub(crate) fn tell(dir: &Path, plot: Plot, progress: &ProgressBar) -> Result<Told> {
    let story = Story::write(plot);
    let start = story.start();
    let ends_at = Timestamp::parse(ENDS_AT).context("the demo's last instant")?;
    let created = LedgerCreated {
        v: FORMAT,
        ledger_id: ledger_id(plot),
        slices: Slices::default(),
        created_at: start,
        generated: Some(Generated { seed: plot.seed, ends_at }),
    };
    let log: Arc<dyn Log> = Arc::new(SqliteLog::create(dir, created)?);
    let snapshots = Arc::new(FileSnapshots::new(dir.join("snapshots"))?);
    let processor = Processor::restore(Arc::clone(&log), &*snapshots, KeyLimits::default(), format!("demo-{}", plot.seed))?;
    let edge = Edge {
        slices: log.slices(),
        keys: Arc::new(SqliteKeyStore::create(dir, Minting::Seeded(plot.seed))?),
        directory: processor.directory(),
        clock: Arc::new(SteppedClock::fixed(start)),
        randomness: Arc::new(SeededRandomness::new(plot.seed)),
    };
    let chores = EmbeddedChores::new(edge.clone(), snapshots, &processor);
    progress.set_length(story.len() as u64);
    let mut teller = Teller {
        processor,
        edge,
        chores,
        offered: 0,
        references_pending: false,
        unsettled: Vec::new(),
        refused: HashSet::new(),
        told: Told::default(),
    };
    teller.publish_rules(start)?;
    for scene in story {
        teller.play(&scene)?;
        progress.inc(1);
    }
    teller.settle()?;
    teller.chores.settled(&mut teller.processor, true);
    Ok(teller.told)
}

/// The id of the ledger that a plot makes: the same plot, the same ledger.
pub(crate) fn ledger_id(plot: Plot) -> String {
    format!("generated-{}-{}-{}", plot.seed, plot.partners, plot.months)
}

/// Plays scenes one after the other, without a thread or a clock of its own.
struct Teller {
    processor: Processor,
    edge: Edge,
    chores: EmbeddedChores,
    offered: usize,
    /// Whether something was offered that others may rely on, and is not acknowledged.
    references_pending: bool,
    /// What the commands that are not acknowledged are about, in the order they were offered.
    unsettled: Vec<Option<String>>,
    /// Deals, requests and claims that were refused: nobody goes on with them.
    refused: HashSet<String>,
    told: Told,
}

/// The claim, request or deal that a scene is about, and then those that it builds on.
fn subjects(scene: &Scene) -> Vec<String> {
    let id = |field: &&str| scene.payload[*field].as_str().map(|id| format!("{field} {id}"));
    ["claim_id", "request_id", "deal_id"].iter().filter_map(id).collect()
}

impl Teller {
    fn publish_rules(&mut self, start: Timestamp) -> Result<()> {
        let rules = Rules::DEFAULT.replace("Default partner program", "Demo partner program (generated)");
        let publish = Scene {
            at: start,
            command: "PublishRules",
            payload: json!({"program": rules, "effective_from": start.to_string()}),
            actor: "operator".into(),
            by_policy: false,
        };
        self.play(&publish)?;
        self.settle()
    }

    fn play(&mut self, scene: &Scene) -> Result<()> {
        let subjects = subjects(scene);
        let is_open = |subject: &String| self.unsettled.iter().flatten().any(|open| open == subject);
        if subjects.iter().any(is_open) {
            self.settle()?;
        }
        if subjects.iter().any(|subject| self.refused.contains(subject)) {
            // What was to come of it does not come either: no claim is ruled on that was never made.
            self.refused.extend(subjects.into_iter().next());
            return Ok(());
        }
        for envelope in self.chores.due(&mut self.processor, scene.at) {
            self.offer(envelope, None, scene.at)?;
        }
        let payload = scene.payload.to_string();
        let channel = if scene.by_policy { Channel::Policy } else { Channel::Api };
        let key = format!("{}-{}", scene.command, self.offered);
        let incoming = Incoming {
            key: Some(&key),
            actor: Some(&scene.actor),
            received_at: Some(scene.at),
            ..Incoming::new(scene.command, payload.as_bytes(), Arc::from(SENDER), channel)
        };
        let envelope = self.edge.prepare(incoming).with_context(|| format!("{} {payload}", scene.command))?;
        self.offer(envelope, subjects.into_iter().next(), scene.at)
    }

    fn offer(&mut self, envelope: CommandEnvelope, subject: Option<String>, now: Timestamp) -> Result<()> {
        let is_reference = envelope.stream.kind().is_reference();
        if self.references_pending && !is_reference {
            self.settle()?;
        }
        self.references_pending |= is_reference;
        self.processor.offer(envelope, Waiter { submission: 0, index: self.unsettled.len() }, now);
        self.unsettled.push(subject);
        self.offered += 1;
        if self.offered.is_multiple_of(BATCH) { self.settle() } else { Ok(()) }
    }

    /// Waits until everything offered is durable: a batch at a time, so that the segments are the same every time.
    fn settle(&mut self) -> Result<()> {
        self.processor.flush();
        while self.processor.batches_in_flight() > 0 {
            self.processor.settle(Duration::from_millis(100));
        }
        self.references_pending = false;
        for (waiter, decided) in self.processor.take_answers() {
            match decided {
                Ok(answer) if answer.outcome.is_ok() => self.told.accepted += 1,
                Ok(_) => {
                    self.told.refused += 1;
                    self.refused.extend(self.unsettled[waiter.index].take());
                }
                Err(undecided) => bail!("the demo could not be written: {undecided}"),
            }
        }
        self.unsettled.clear();
        Ok(())
    }
}
