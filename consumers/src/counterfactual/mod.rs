//! Recorded commands decided again, as if a draft of the rules had been in force.
//!
//! Deciding again is a closed loop inside each stream: from an empty stream, in the order of its versions, every command is
//! decided on what became of the stream under the draft, with the domain's own `decide` and `evolve` and with the times that
//! are recorded. Streams come in the order program, partner, then all others; a partner is seen as it became under the
//! draft, at the version that the recorded decision names.
//!
//! There is no second pass: who would have asked for what, had it been decided otherwise, nobody knows. A command that a
//! policy sent carries its figures with it. What falls due under the draft and did not on record is decided when it falls
//! due; what falls due on record is decided when the ledger did so. Nothing falls due for what only the draft let happen.
//!
//! The rules as recorded are one more draft, and the proof of the loop: under them every decision has to come out as it is
//! in the ledger. Those that do not are told.

mod history;
mod line;
mod otherwise;
mod world;

use pledger_domain::{
    catalogue::Command,
    rejection::Rejection,
    stream::{StreamKind, StreamName},
    values::Timestamp,
};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    log::{Log, LogError, UpTo},
    record::{Body, Decision, Events, Outcome, Record},
    slices::{Position, SliceId},
};
use serde::Serialize;

use crate::processor::{Asked, Streams};
use history::Programs;
use line::{Line, Request};
pub use otherwise::{Change, FieldChange, Otherwise, Told};
pub use world::Draft;
use world::{Again, Recorded, World};

/// How many records are read at once.
const READ_RECORDS: usize = 4_096;
/// How many slices have their streams in memory at once: what is held grows with the largest so many of them.
const SLICES_AT_ONCE: usize = 16;

/// What came of deciding again.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// How many recorded commands were decided again.
    pub decided: u64,
    /// How many were not: refused because facts did not arrive in time, or because the sender expected another version.
    pub set_aside: u64,
    /// Decisions that did not come out as recorded under the rules as recorded; empty, or pledger decides otherwise than it
    /// did.
    pub unrepeated: Vec<Unrepeated>,
    /// What would have been decided otherwise, draft by draft, in the order in which it was recorded.
    pub drafts: Vec<Vec<Otherwise>>,
}

/// A decision that did not come out as recorded under the rules as recorded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unrepeated {
    /// Where it stands.
    pub position: Position,
    /// Its stream.
    pub stream: StreamName,
    /// The command.
    pub command: String,
    /// What was decided.
    pub recorded: Told,
    /// What is decided now; why not, where nothing is.
    pub again: Told,
}

/// Decides every recorded command again under each draft. What would have been decided otherwise is told where it is
/// effective by `to`; `tell` hears how many records were looked at.
///
/// # Errors
/// `LogError`, also where a record cannot be read.
pub fn replay(log: &dyn Log, drafts: &[Draft], to: Timestamp, tell: &mut dyn FnMut(u64)) -> Result<Report, LogError> {
    let lines = drafts.iter().map(|draft| Line::under(draft.clone())).collect();
    let mut replay =
        Replay { to, recorded: World::default(), lines, programs: Programs::default(), report: Report::default(), seen: 0, tell };
    let slices = log.slices();
    let references: Vec<SliceId> = slices.references().collect();
    let others: Vec<SliceId> = slices.all().filter(|slice| !references.contains(slice)).collect();
    let program = slices.of(&StreamName::program());
    let ends = ends(log, others.iter().chain(&references).chain([&program]))?;
    replay.pass(log, &ends, &[program], |kind| kind == StreamKind::Program)?;
    replay.pass(log, &ends, &references, |kind| kind == StreamKind::Partner)?;
    for some in others.chunks(SLICES_AT_ONCE) {
        replay.pass(log, &ends, some, |kind| !kind.is_reference())?;
    }
    Ok(replay.finish())
}

/// Where the slices end, asked for in this order: facts last, so that nothing that relies on them is looked at without them
/// while the ledger grows.
fn ends<'s>(log: &dyn Log, order: impl Iterator<Item = &'s SliceId>) -> Result<Vec<u64>, LogError> {
    let mut ends = vec![0; usize::from(log.slices().count)];
    for slice in order {
        ends[usize::from(*slice)] = log.end(*slice)?;
    }
    Ok(ends)
}

struct Replay<'t> {
    to: Timestamp,
    recorded: World,
    lines: Vec<Line>,
    programs: Programs,
    report: Report,
    seen: u64,
    tell: &'t mut dyn FnMut(u64),
}

impl Replay<'_> {
    /// Decides the commands of some slices and kinds of streams, all of them from their beginnings.
    fn pass(&mut self, log: &dyn Log, ends: &[u64], slices: &[SliceId], wanted: impl Fn(StreamKind) -> bool) -> Result<(), LogError> {
        let mut heads = vec![ChainHead::default(); ends.len()];
        let mut records = UpTo::ends(log, &[], ends.to_vec())?;
        loop {
            let placed = records.next(READ_RECORDS)?;
            if placed.is_empty() {
                break;
            }
            for one in placed.iter().filter(|one| slices.contains(&one.record.header.slice)) {
                if heads[usize::from(one.record.header.slice)].accept(one.offset, &one.record) == Verdict::Valid {
                    self.look_at(&one.record, &wanted)?;
                }
            }
            (self.tell)(self.seen);
        }
        self.lines.iter_mut().for_each(|line| line.end(&self.recorded, &self.programs, self.to));
        self.recorded.streams = Streams::default();
        Ok(())
    }

    fn look_at(&mut self, record: &Record, wanted: impl Fn(StreamKind) -> bool) -> Result<(), LogError> {
        let position = record.position();
        let body = Body::decode(&record.body).map_err(|error| LogError::Damaged { position, reason: error.to_string() })?;
        if let Body::Decision(decision) = body
            && wanted(decision.stream.kind())
        {
            self.seen += 1;
            self.take(position, &decision);
        }
        Ok(())
    }

    fn take(&mut self, position: Position, decision: &Decision<'_>) {
        use Rejection as R;
        if let Outcome::Rejected(R::FactsBehind {} | R::VersionConflict { .. } | R::DecisionFailed { .. }) = &decision.outcome {
            // What was waited for, and which version was expected, is not in the record; nor is the fault of the program.
            self.report.set_aside += 1;
            return;
        }
        let Decision { stream, version, command: asked, rules, recorded_at, relied_on, historical, .. } = decision;
        let command = match Command::parse(&asked.name, asked.payload.get().as_bytes()) {
            Ok(command) => command,
            Err(error) => {
                let again = Told::Refused { code: "Unreadable".to_owned(), reason: error.to_string() };
                self.did_not_repeat(position, decision, again);
                return self.take_as_recorded(decision);
            }
        };
        let asked = Asked {
            command: &command,
            channel: asked.channel,
            historical: *historical,
            received_at: asked.received_at,
            recorded_at: *recorded_at,
            given: asked.effective_at,
        };
        let recorded = Recorded { stream, version: *version, rules: *rules, relied_on };
        self.report.decided += 1;
        let again = self.recorded.decide(&asked, &recorded, &self.programs);
        if !repeats(decision, &again) {
            self.did_not_repeat(position, decision, Told::of(&again.outcome));
        }
        let request = Request { position, decision, asked, recorded };
        for line in &mut self.lines {
            line.take(&request, &self.recorded, &self.programs, self.to);
        }
        self.keep(decision);
    }

    fn did_not_repeat(&mut self, position: Position, decision: &Decision<'_>, again: Told) {
        let (stream, command) = (decision.stream.clone(), decision.command.name.to_string());
        let recorded = Told::of(&decision.outcome);
        self.report.unrepeated.push(Unrepeated { position, stream, command, recorded, again });
    }

    /// Takes a decision in as it was recorded, under every set of rules: it cannot be decided again.
    fn take_as_recorded(&mut self, decision: &Decision<'_>) {
        let Decision { stream, version, outcome, recorded_at, effective_at, .. } = decision;
        if let Outcome::Accepted(events) = outcome {
            for line in &mut self.lines {
                line.world.evolve(stream, *version, events, *effective_at);
                line.world.note(stream, *version, *recorded_at);
            }
        }
        self.keep(decision);
    }

    /// Takes a decision into the world as recorded.
    fn keep(&mut self, decision: &Decision<'_>) {
        let Decision { stream, version, outcome, recorded_at, effective_at, .. } = decision;
        if let Outcome::Accepted(events) = outcome {
            self.recorded.evolve(stream, *version, events, *effective_at);
            self.recorded.note(stream, *version, *recorded_at);
            if let Events::Program(_) = events {
                self.programs.push(self.recorded.streams.program.read(stream, Clone::clone));
            }
        }
    }

    fn finish(self) -> Report {
        let by_time = |line: Line| {
            let mut found = line.found;
            found.sort_by_key(|(recorded_at, otherwise)| (*recorded_at, otherwise.position));
            found.into_iter().map(|(_, otherwise)| otherwise).collect()
        };
        Report { drafts: self.lines.into_iter().map(by_time).collect(), ..self.report }
    }
}

/// Whether a decision came out as recorded: events or refusal, business time, version and rules.
fn repeats(decision: &Decision<'_>, again: &Again) -> bool {
    decision.outcome == again.outcome
        && decision.effective_at == again.effective_at
        && decision.version == again.version
        && decision.rules == again.rules
}
