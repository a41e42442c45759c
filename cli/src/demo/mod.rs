//! A generated, labelled-as-generated program history: the same bytes every time for the same seed.

mod names;
mod story;

use std::{
    collections::HashSet,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use pledger_consumers::{
    chores::EmbeddedChores,
    embedded::Chores,
    policies::{PolicyView, Unread},
    processor::{FileSnapshots, KeyLimits, Processor, Waiter},
};
use pledger_domain::{
    command::CommandPayload,
    facts::Channel,
    partner::EvaluateTier,
    rules::Rules,
    values::{Period, Timestamp},
};
use pledger_ledger::{
    commands::CommandEnvelope,
    edge::{Edge, Incoming, SeededRandomness, SteppedClock},
    keys::{Minting, SqliteKeyStore},
    log::Log,
    record::{FORMAT, Generated, LedgerCreated},
    slices::Slices,
    sqlite::SqliteLog,
};
use pledger_projections::engine::{Engine, Options};
use serde_json::json;

use crate::{node::snapshots_in, policies::EngineView};

pub(crate) use story::{ENDS_AT, Plot};
use story::{Scene, Sent, Story};

/// Commands of one group commit.
const BATCH: usize = 512;
/// How long the read models may take to follow.
const TO_FOLLOW: Duration = Duration::from_secs(60);
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
    let snapshots = Arc::new(FileSnapshots::new(snapshots_in(dir))?);
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
        models: EngineView(Arc::new(Engine::in_memory(Arc::clone(&log), Options::default())?)),
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
        match scene {
            Scene::Sent(sent) => teller.play(&sent)?,
            Scene::EvaluateTiers(at) => teller.evaluate_tiers(at)?,
        }
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
    /// The read models, which follow what is told.
    models: EngineView,
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

/// The claim, request or deal that a command is about, and then those that it builds on.
fn subjects(sent: &Sent) -> Vec<String> {
    let id = |field: &&str| sent.payload[*field].as_str().map(|id| format!("{field} {id}"));
    ["claim_id", "request_id", "deal_id"].iter().filter_map(id).collect()
}

impl Teller {
    fn publish_rules(&mut self, start: Timestamp) -> Result<()> {
        let rules = Rules::DEFAULT.replace("Default partner program", "Demo partner program (generated)");
        let publish = Sent {
            at: start,
            command: "PublishRules",
            payload: json!({"program": rules, "effective_from": start.to_string()}),
            actor: "operator".into(),
        };
        self.play(&publish)?;
        self.settle()
    }

    fn play(&mut self, sent: &Sent) -> Result<()> {
        let subjects = subjects(sent);
        let is_open = |subject: &String| self.unsettled.iter().flatten().any(|open| open == subject);
        if subjects.iter().any(is_open) {
            self.settle()?;
        }
        if subjects.iter().any(|subject| self.refused.contains(subject)) {
            // What was to come of it does not come either: no claim is ruled on that was never made.
            self.refused.extend(subjects.into_iter().next());
            return Ok(());
        }
        self.fall_due(sent.at)?;
        self.send(sent, Channel::Api, subjects.into_iter().next())
    }

    /// As the policy does it once a quarter has ended, on what is told by then.
    fn evaluate_tiers(&mut self, at: Timestamp) -> Result<()> {
        self.fall_due(at)?;
        self.settle()?;
        let period = Period::last_quarter(at);
        let until = Instant::now() + TO_FOLLOW;
        let reading = loop {
            match self.models.unevaluated(period, at) {
                Err(Unread::Behind) if Instant::now() < until => {}
                read => break read?,
            }
        };
        let as_of: Vec<String> = reading.as_of.iter().map(ToString::to_string).collect();
        for due in reading.found {
            let evaluation = EvaluateTier { partner_id: due.partner_id, period, inputs: due.inputs, as_of: as_of.clone() };
            let sent =
                Sent { at, command: EvaluateTier::NAME, payload: serde_json::to_value(&evaluation)?, actor: "tier-evaluation".into() };
            self.send(&sent, Channel::Policy, None)?;
        }
        Ok(())
    }

    /// What falls due by an instant comes before what happens at it.
    fn fall_due(&mut self, at: Timestamp) -> Result<()> {
        self.chores.due(&mut self.processor, at).into_iter().try_for_each(|envelope| self.offer(envelope, None, at))
    }

    fn send(&mut self, sent: &Sent, channel: Channel, subject: Option<String>) -> Result<()> {
        let payload = sent.payload.to_string();
        let key = format!("{}-{}", sent.command, self.offered);
        let incoming = Incoming {
            key: Some(&key),
            actor: Some(&sent.actor),
            received_at: Some(sent.at),
            ..Incoming::new(sent.command, payload.as_bytes(), Arc::from(SENDER), channel)
        };
        let envelope = self.edge.prepare(incoming).with_context(|| format!("{} {payload}", sent.command))?;
        self.offer(envelope, subject, sent.at)
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
