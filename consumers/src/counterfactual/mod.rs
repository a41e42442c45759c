//! Recorded commands decided again, as if a draft of the rules had been in force.
//!
//! Deciding again is a closed loop inside each stream: from an empty stream, in the order of its versions, every command is
//! decided on what became of the stream under the draft, with the domain's own `decide` and `evolve` and with the times that
//! are recorded. Streams come in the order program, partner, then all others; a partner is seen as it became under the
//! draft, at the version that the recorded decision names.
//!
//! There is no second pass: who would have asked for what, had it been decided otherwise, nobody knows. A command that a
//! policy sent carries its figures with it. What falls due under the draft and did not on record is decided when it falls
//! due; what falls due on record is decided when the ledger did so. Where both are the same command about the same, they are told
//! as one difference of time. Nothing falls due for what only the draft let happen.
//!
//! The rules as recorded are the control: under them a decision has to come out as it is in the ledger. It is asked for
//! wherever a draft does not come out as recorded, so that no fault of deciding again is told as a difference that the draft
//! makes. What does not come out is told for itself, and taken in as recorded under every draft.

mod concern;
mod control;
mod divergence;
mod found;
mod funds;
mod history;
mod line;
mod otherwise;
mod pass;
mod world;

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use pledger_domain::{
    catalogue::Command,
    rejection::Rejection,
    stream::{StreamKind, StreamName},
    values::Timestamp,
};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    command_of,
    log::{Log, LogError, Placed},
    outline::Outline,
    record::{Body, BodyError, Decision, Events, Outcome},
    slices::{Position, SliceId},
    stream_of,
};
use serde::Serialize;

use crate::processor::{Asked, Streams};
pub use control::Control;
use control::Controlled;
pub use found::{Found, FundsSum, Kind, OfKind};
pub use funds::{FundsFigure, FundsMoved};
use history::Programs;
use line::Line;
pub use otherwise::{Change, FieldChange, Otherwise, Told};
use pass::Pass;
pub use world::Draft;
use world::{Recorded, Request, Taken, World};

/// How many records the slices have together whose streams are in memory at once, unless one alone has more: what is held
/// grows with a ledger up to these, and a longer one is read more than once.
const RECORDS_AT_ONCE: u64 = 2_000_000;

/// What came of deciding again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// How many recorded commands were decided again.
    pub decided: u64,
    /// How many of these were recorded as history from before the ledger: no rules protect or expire anything by them.
    pub historical: u64,
    /// How many were not: refused because facts did not arrive in time, or because the sender expected another version.
    pub set_aside: u64,
    /// How many were decided under the rules as recorded too, to see that they come out as recorded.
    pub controlled: u64,
    /// In how many streams.
    pub controlled_streams: u64,
    /// Of the controlled ones, those that did not come out as recorded; empty, or pledger decides otherwise than it did. No
    /// draft is said to change them.
    pub unrepeated: Vec<Unrepeated>,
    /// Records that cannot be read: what came after them in their streams is not decided again, and nothing follows from it.
    pub unreadable: Vec<Unreadable>,
    /// What would have been decided otherwise, draft by draft.
    pub drafts: Vec<Found>,
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

/// A record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// Where it stands.
    pub position: Position,
    /// Its stream; null where not even that can be read.
    pub stream: Option<StreamName>,
    /// Why.
    pub reason: String,
}

/// What is asked of a replay beside its drafts.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What is decided under the rules as recorded.
    pub control: Control,
    /// What would have been decided otherwise counts where it is effective by then.
    pub to: Timestamp,
    /// How many decisions of each kind are told one by one; all are counted and summed. Memory grows with these.
    pub told: usize,
}

impl Options {
    /// Every decision is told.
    #[must_use]
    pub const fn telling_all(control: Control, to: Timestamp) -> Self {
        Self { control, to, told: usize::MAX }
    }
}

/// Decides again under each draft what a clause that it changes has a say in, and what follows from that; and, under the rules as
/// recorded, what `options.control` says. `tell` hears how many records were looked at.
///
/// # Errors
/// `LogError`.
pub fn replay(log: &dyn Log, drafts: &[Draft], options: Options, tell: &mut dyn FnMut(u64)) -> Result<Report, LogError> {
    let slices = log.slices();
    let references: Vec<SliceId> = slices.references().collect();
    let others: Vec<SliceId> = slices.all().filter(|slice| !references.contains(slice)).collect();
    let program = slices.of(&StreamName::program());
    let ends = ends(log, others.iter().chain(&references).chain([&program]))?;
    let mut replay = Replay::of(drafts, options);
    let mut pass = Pass { log, ends: &ends, seen: 0, tell };
    replay.wanted = vec![StreamKind::Program];
    pass.alone(&[program], &mut replay)?;
    replay.limit_to_changes();
    if !StreamKind::ALL.into_iter().any(|kind| replay.reaches(kind)) {
        return Ok(replay.finish());
    }
    replay.wanted = vec![StreamKind::Partner];
    pass.alone(&references, &mut replay)?;
    replay.wanted = StreamKind::ALL.into_iter().filter(|kind| !kind.is_reference() && replay.reaches(*kind)).collect();
    if !replay.wanted.is_empty() {
        for some in at_once(&others, &ends) {
            pass.side_by_side(&some, &mut replay)?;
        }
    }
    Ok(replay.finish())
}

/// Slices in runs, the streams of each of which are in memory together.
fn at_once(slices: &[SliceId], ends: &[u64]) -> Vec<Vec<SliceId>> {
    let mut runs: Vec<Vec<SliceId>> = Vec::new();
    let mut held = u64::MAX;
    for slice in slices {
        let records = ends[usize::from(*slice)];
        if held.saturating_add(records) > RECORDS_AT_ONCE {
            runs.push(Vec::new());
            held = 0;
        }
        held += records;
        runs.last_mut().expect("the first slice begins a run").push(*slice);
    }
    runs
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

struct Replay {
    to: Timestamp,
    control: Control,
    recorded: World,
    lines: Vec<Line>,
    /// The kinds of streams that are looked at.
    wanted: Vec<StreamKind>,
    programs: Arc<Programs>,
    report: Report,
    /// The streams of the slices at hand in which something was controlled.
    controlled: HashSet<StreamName>,
    /// The last record of every slice that was looked at.
    heads: HashMap<SliceId, ChainHead>,
    /// The streams of which a record cannot be read.
    parked: HashSet<StreamName>,
}

impl Replay {
    fn of(drafts: &[Draft], options: Options) -> Self {
        // Without a draft there is no difference to ask about: the control is all there is.
        let control = if drafts.is_empty() { Control::Everything } else { options.control };
        let lines = drafts.iter().map(|draft| Line::under(draft.clone(), options.told)).collect();
        Self {
            to: options.to,
            control,
            recorded: World::default(),
            lines,
            wanted: Vec::new(),
            programs: Arc::default(),
            report: Report::default(),
            controlled: HashSet::new(),
            heads: HashMap::new(),
            parked: HashSet::new(),
        }
    }

    /// One that knows the same facts, for other streams.
    fn beside(&self) -> Self {
        Self {
            to: self.to,
            control: self.control,
            recorded: self.recorded.beside(),
            lines: self.lines.iter().map(Line::beside).collect(),
            wanted: self.wanted.clone(),
            programs: Arc::clone(&self.programs),
            report: Report::default(),
            controlled: HashSet::new(),
            heads: HashMap::new(),
            parked: HashSet::new(),
        }
    }

    /// Takes in which commands the drafts may decide otherwise, unless all are to be controlled, or nobody knows which rules there were.
    fn limit_to_changes(&mut self) {
        if self.control == Control::Differences && !self.parked.contains(&StreamName::program()) {
            let Self { lines, programs, .. } = self;
            lines.iter_mut().for_each(|line| line.limit_to_changes(programs));
        }
    }

    /// Whether anything in streams of this kind may be decided otherwise.
    fn reaches(&self, kind: StreamKind) -> bool {
        self.control == Control::Everything || self.lines.iter().any(|line| line.reaches(kind))
    }

    /// Decides the commands of valid records again that are in streams of the wanted kinds.
    fn look_at(&mut self, placed: &[Placed]) {
        for Placed { offset, record } in placed {
            if self.heads.entry(record.header.slice).or_default().accept(*offset, record) != Verdict::Valid {
                continue;
            }
            let stream = stream_of(&record.body);
            if stream.as_ref().is_some_and(|stream| !self.wants(stream)) {
                continue;
            }
            let position = record.position();
            if let Err(error) = self.read(position, stream.as_deref(), &record.body) {
                let stream = stream.and_then(|name| StreamName::parse(&name).ok());
                self.park(Unreadable { position, stream, reason: error.to_string() });
            }
        }
    }

    /// Whether a stream is one of those that are looked at; a kind that nobody knows cannot be read, which is told.
    fn wants(&self, stream: &str) -> bool {
        let prefix = stream.split_once('/').map_or(stream, |(prefix, _)| prefix);
        let kind = StreamKind::ALL.into_iter().find(|kind| kind.prefix() == prefix);
        kind.is_none_or(|kind| self.wanted.contains(&kind))
    }

    /// Decides a command again; what no draft may decide otherwise is taken in from its outline. Of what others rely on the
    /// version counts, which no outline has.
    fn read(&mut self, position: Position, stream: Option<&str>, body: &[u8]) -> Result<(), BodyError> {
        let is_relied_on = self.wanted.iter().any(|kind| kind.is_reference());
        if !is_relied_on && !stream.is_some_and(|stream| self.may_concern(stream, body)) {
            if let Some(outline) = Outline::decode(body)? {
                self.pass_over(&outline);
            }
            return Ok(());
        }
        match Body::decode(body)? {
            Body::Decision(decision) => self.take(position, &decision),
            Body::LedgerCreated(_) | Body::TermOpened(_) | Body::Progress(_) => {}
        }
        Ok(())
    }

    /// Whether a draft may decide a command otherwise: it is read whole then.
    fn may_concern(&self, stream: &str, body: &[u8]) -> bool {
        self.control == Control::Everything
            || self.lines.iter().any(|line| line.is_apart_in(stream))
            || command_of(body).is_none_or(|name| self.lines.iter().any(|line| line.may_concern(&name)))
    }

    /// Takes a decision in as it was recorded, which no draft decides otherwise.
    fn pass_over(&mut self, outline: &Outline<'_>) {
        let Outline { stream, outcome, recorded_at, effective_at, .. } = outline;
        if !self.parked.contains(stream) {
            let version = self.recorded.streams.version(stream) + u64::from(matches!(outcome, Outcome::Accepted(_)));
            self.take_as_recorded(&Taken { stream, version, outcome, recorded_at: *recorded_at, effective_at: *effective_at });
        }
    }

    /// Decides nothing more of a stream, as the read models fold nothing more of it.
    fn park(&mut self, unreadable: Unreadable) {
        if let Some(stream) = &unreadable.stream {
            if !self.parked.insert(stream.clone()) {
                return;
            }
            self.lines.iter_mut().for_each(|line| line.leave(stream));
        }
        self.report.unreadable.push(unreadable);
    }

    /// The slices at hand come to their ends, and their streams are let go of.
    fn end(&mut self) {
        self.lines.iter_mut().for_each(|line| line.end(&self.recorded, &self.programs, self.to));
        self.recorded.streams = Streams::default();
        self.report.controlled_streams += self.controlled.len() as u64;
        self.controlled.clear();
        self.heads.clear();
    }

    /// Takes over what another found.
    fn absorb(&mut self, other: Self) {
        self.report.decided += other.report.decided;
        self.report.historical += other.report.historical;
        self.report.set_aside += other.report.set_aside;
        self.report.controlled += other.report.controlled;
        self.report.controlled_streams += other.report.controlled_streams;
        self.report.unrepeated.extend(other.report.unrepeated);
        self.report.unreadable.extend(other.report.unreadable);
        for (line, found) in self.lines.iter_mut().zip(other.lines) {
            line.found.absorb(found.found);
        }
    }

    fn take(&mut self, position: Position, decision: &Decision<'_>) {
        use Rejection as R;
        if self.parked.contains(&decision.stream) {
            return;
        }
        // What is published does not depend on what is in force.
        let may_differ = || decision.stream.kind() != StreamKind::Program && self.lines.iter().any(|line| line.concerns(decision));
        if self.control == Control::Differences && !may_differ() {
            return self.take_as_recorded(&Taken::of(decision));
        }
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
                return self.take_as_recorded(&Taken::of(decision));
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
        self.report.historical += u64::from(*historical);
        let request = Request { position, decision, asked, recorded };
        let control = Controlled::of(&request, &self.recorded, &self.programs);
        if self.control == Control::Everything {
            control.repeats();
        }
        for line in &mut self.lines {
            line.take(&request, &self.recorded, &self.programs, &control, self.to);
        }
        if let Some(found) = control.found() {
            self.was_controlled(stream);
            if let Some(again) = found {
                self.did_not_repeat(position, decision, again);
            }
        }
        self.keep(&Taken::of(decision));
    }

    fn was_controlled(&mut self, stream: &StreamName) {
        self.report.controlled += 1;
        if !self.controlled.contains(stream) {
            self.controlled.insert(stream.clone());
        }
    }

    fn did_not_repeat(&mut self, position: Position, decision: &Decision<'_>, again: Told) {
        let (stream, command) = (decision.stream.clone(), decision.command.name.to_string());
        let recorded = Told::of(&decision.outcome);
        self.report.unrepeated.push(Unrepeated { position, stream, command, recorded, again });
    }

    /// Takes a decision in as it was recorded, under every set of rules.
    fn take_as_recorded(&mut self, taken: &Taken<'_>) {
        self.lines.iter_mut().for_each(|line| line.take_as_recorded(taken));
        self.keep(taken);
    }

    /// Takes a decision into the world as recorded.
    fn keep(&mut self, taken: &Taken<'_>) {
        self.recorded.keep(taken);
        if let Outcome::Accepted(Events::Program(_)) = taken.outcome {
            Arc::make_mut(&mut self.programs).push(self.recorded.streams.program.read(taken.stream, Clone::clone));
        }
    }

    fn finish(self) -> Report {
        let mut unrepeated = self.report.unrepeated;
        unrepeated.sort_by_key(|unrepeated| unrepeated.position);
        let mut unreadable = self.report.unreadable;
        // Of a slice that is looked at more than once, what names no stream is met as often.
        unreadable.sort_by_key(|unreadable| unreadable.position);
        unreadable.dedup();
        let drafts = self.lines.into_iter().map(|line| line.found.finish()).collect();
        Report { drafts, unrepeated, unreadable, ..self.report }
    }
}
