//! One draft beside the record: what is decided otherwise, and what falls due otherwise.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use pledger_domain::{
    catalogue::{Command, PartnerCommand},
    deadline::Deadline,
    facts::Channel,
    stream::{StreamKind, StreamName},
    values::Timestamp,
};
use pledger_ledger::record::{Decision, Outcome};
use serde_json::Value;

use super::{
    concern::Concern,
    control::Controlled,
    divergence::{Divergence, Side},
    found::Finder,
    funds::FundsMoved,
    history::Programs,
    otherwise::{CARRIED_FIGURES, Change, Otherwise, Told, UNRECORDED_FACT, compare, concern, holder, subjects},
    world::{Again, Draft, Recorded, Request, Taken, World},
};
use crate::processor::{Asked, Streams};

/// A draft, and what came of it so far.
pub(super) struct Line {
    /// Its streams are those in which something was decided otherwise: until then, what becomes of a stream under the
    /// draft is what became of it on record. Reference streams are all there, since others rely on them.
    pub(super) world: World,
    /// Streams of the slices at hand in which something was decided otherwise.
    diverged: HashMap<StreamName, Divergence>,
    pub(super) found: Finder,
    /// Which commands the draft may decide otherwise; all of them, where none is given.
    concern: Option<Arc<Concern>>,
}

impl Line {
    /// Nothing is decided yet; of each kind so many decisions are to be told.
    pub(super) fn under(draft: Draft, told: usize) -> Self {
        Self { world: World::under(draft), diverged: HashMap::new(), found: Finder::keeping(told), concern: None }
    }

    /// Takes in what the draft changes in the rules that were published: nothing else is decided again.
    pub(super) fn limit_to_changes(&mut self, programs: &Programs) {
        self.concern = self.world.draft.as_ref().map(|draft| Arc::new(Concern::of(draft, programs)));
    }

    /// Whether any command in streams of this kind may be decided otherwise.
    pub(super) fn reaches(&self, kind: StreamKind) -> bool {
        self.concern.as_ref().is_none_or(|concern| concern.reaches(kind))
    }

    /// Whether commands of this name may be decided otherwise.
    pub(super) fn may_concern(&self, name: &str) -> bool {
        self.concern.as_ref().is_none_or(|concern| concern.may_be_with(name))
    }

    /// Whether something in this stream was decided otherwise: what follows may be, too.
    pub(super) fn is_apart_in(&self, stream: &str) -> bool {
        self.diverged.contains_key(stream)
    }

    /// Whether a decision may be another, and so is decided again.
    pub(super) fn concerns(&self, decision: &Decision<'_>) -> bool {
        self.concern.as_ref().is_none_or(|concern| concern.is_with(decision)) || self.diverged.contains_key(&decision.stream)
    }

    /// The same draft, for other streams that rely on the same facts.
    pub(super) fn beside(&self) -> Self {
        Self { world: self.world.beside(), diverged: HashMap::new(), found: self.found.beside(), concern: self.concern.clone() }
    }

    /// Whether what became of a stream under the draft is kept apart from what became of it on record.
    fn is_apart(&self, stream: &StreamName) -> bool {
        stream.kind().is_reference() || self.diverged.contains_key(stream)
    }

    /// Decides a recorded command again, if it may come out otherwise, and after what fell due before it. `recorded` is the
    /// world as it was then. What does not come out as recorded under the rules as recorded says nothing of a draft: it is
    /// taken in as it was recorded.
    pub(super) fn take(&mut self, request: &Request<'_>, recorded: &World, programs: &Programs, control: &Controlled<'_>, to: Timestamp) {
        let Request { position, decision, asked, recorded: was } = request;
        if !self.concerns(decision) {
            return self.take_as_recorded(&Taken::of(decision));
        }
        self.send_due(was.stream, recorded, programs, asked.received_at, to);
        let is_apart = self.is_apart(was.stream);
        let streams = if is_apart { &self.world.streams } else { &recorded.streams };
        let again = self.world.decide(streams, asked, was, programs);
        let difference = compare((&decision.outcome, decision.effective_at), (&again.outcome, again.effective_at));
        let is_at_version = self.diverged.contains_key(was.stream) || decision.version == again.version;
        let comes_out = difference.is_none() && decision.rules == again.in_force && is_at_version;
        if !comes_out && !control.repeats() {
            return self.take_as_recorded(&Taken::of(decision));
        }
        if let Some((change, fields)) = difference {
            if !is_apart {
                self.world.streams.copy(was.stream, &recorded.streams);
            }
            let payload: Value = serde_json::from_str(decision.command.payload.get()).unwrap_or_default();
            let about = subjects(&payload);
            let subject = about.first().cloned();
            let divergence = self.diverged.entry(was.stream.clone()).or_default();
            let rests_on = [&decision.outcome, &again.outcome].into_iter().filter_map(holder);
            let follows = about.iter().cloned().chain(rests_on).find_map(|about| divergence.first.get(&about).copied());
            divergence.first.entry(subject.clone().unwrap_or_default()).or_insert(*position);
            divergence.only_here.extend(subject.clone().filter(|_| change == Change::Accepted));
            let (partner, amount) = concern(was.stream, &payload, [&recorded.streams, &self.world.streams]);
            let otherwise = Otherwise {
                position: Some(*position),
                stream: was.stream.clone(),
                command: asked.command.spec().name,
                change,
                subject,
                partner,
                effective_at: decision.effective_at,
                recorded: Told::of(&decision.outcome),
                draft: Told::of(&again.outcome),
                fields,
                amount: amount.filter(|_| change != Change::OtherDates),
                funds: FundsMoved::between(&decision.outcome, &again.outcome),
                follows,
                caveats: self.caveats(request, &again, programs),
            };
            if decision.effective_at <= to {
                self.tell(decision, otherwise, recorded);
            }
        }
        if self.is_apart(was.stream) {
            self.world.take_in(was.stream, &again);
            self.world.note(was.stream, was.version, asked.recorded_at);
        }
        if let Some(divergence) = self.diverged.get_mut(was.stream) {
            divergence.recorded_version = was.version;
        }
    }

    /// Takes a decision in as it was recorded.
    pub(super) fn take_as_recorded(&mut self, taken: &Taken<'_>) {
        if self.is_apart(taken.stream) {
            self.world.keep(taken);
        }
        if let Some(divergence) = self.diverged.get_mut(taken.stream) {
            divergence.recorded_version = taken.version;
        }
    }

    /// Nothing more is decided of a stream: what only one side had so far is told.
    pub(super) fn leave(&mut self, stream: &StreamName) {
        if let Some(divergence) = self.diverged.remove(stream) {
            self.is_another(stream);
            self.found.extend(divergence.alone());
        }
    }

    /// Whoever relies on a partner that became another is concerned.
    fn is_another(&mut self, stream: &StreamName) {
        if let Some(concern) = self.concern.as_mut().filter(|_| stream.kind() == StreamKind::Partner) {
            Arc::make_mut(concern).take_partner(stream.clone());
        }
    }

    /// Tells a difference; that the draft refuses what the scheduler sends only once it is known not to send it at another time.
    fn tell(&mut self, decision: &Decision<'_>, otherwise: Otherwise, recorded: &World) {
        let deadlines = || recorded.streams.deadlines(&decision.stream);
        let is_scheduled = || deadlines().iter().any(|deadline| deadline.command == decision.command.name);
        if otherwise.change == Change::Refused && is_scheduled() {
            let divergence = self.diverged.entry(decision.stream.clone()).or_default();
            self.found.extend(divergence.pair(Side::of(decision.recorded_at, otherwise, &decision.outcome)));
        } else {
            self.found.take(decision.recorded_at, otherwise);
        }
    }

    /// What the recorded decision cannot tell.
    fn caveats(&self, request: &Request<'_>, again: &Again, programs: &Programs) -> Vec<&'static str> {
        let mut caveats = Vec::new();
        if again.unrecorded_fact {
            caveats.push(UNRECORDED_FACT);
        }
        let evaluates = matches!(request.asked.command, Command::Partner(command) if matches!(**command, PartnerCommand::EvaluateTier(_)));
        if let (true, Some(draft), Some(then)) = (evaluates, self.world.draft(), programs.rules(request.decision.rules))
            && (draft.rules.tier_policy.window_days, draft.rules.reporting_currency)
                != (then.rules.tier_policy.window_days, then.rules.reporting_currency)
        {
            caveats.push(CARRIED_FIGURES);
        }
        caveats
    }

    /// The slices at hand come to their ends: what falls due by `to` is decided, and their streams are let go of.
    pub(super) fn end(&mut self, recorded: &World, programs: &Programs, to: Timestamp) {
        let mut streams: Vec<StreamName> = self.diverged.keys().cloned().collect();
        streams.sort_unstable();
        for stream in &streams {
            self.send_due(stream, recorded, programs, to, to);
        }
        streams.iter().for_each(|stream| self.is_another(stream));
        self.found.extend(self.diverged.drain().flat_map(|(_, divergence)| divergence.alone()));
        self.found.end();
        self.world.streams = Streams::default();
    }

    /// Sends what fell due by `now` under the draft and is no deadline of the record, each when it was due. The deadlines
    /// that the record has too are decided when the record decides them.
    fn send_due(&mut self, stream: &StreamName, recorded: &World, programs: &Programs, now: Timestamp, to: Timestamp) {
        // Building what falls due is seldom needed.
        let is_due = || self.world.streams.first_due(stream).is_some_and(|due| due <= now);
        if !self.diverged.contains_key(stream) || !is_due() {
            return;
        }
        let on_record: HashSet<String> = recorded.streams.deadlines(stream).into_iter().map(|deadline| deadline.id).collect();
        while let Some(divergence) = self.diverged.get_mut(stream) {
            let due = self.world.streams.deadlines(stream).into_iter();
            let due = due.filter(|due| due.due <= now && !on_record.contains(&due.id) && divergence.waits_for(due));
            let Some(first) = due.min_by(|a, b| (a.due, &a.id).cmp(&(b.due, &b.id))) else { return };
            divergence.sent.insert(first.id.clone());
            self.send(stream, &first, recorded, programs, to);
        }
    }

    fn send(&mut self, stream: &StreamName, deadline: &Deadline, recorded: &World, programs: &Programs, to: Timestamp) {
        let payload = deadline.payload_in(stream);
        let command = Command::parse(deadline.command, payload.to_string().as_bytes()).expect("a deadline is a command of the catalogue");
        let due = deadline.due;
        let asked = Asked {
            command: &command,
            channel: Channel::Deadline,
            historical: false,
            received_at: due,
            recorded_at: due,
            given: Some(due),
        };
        let relied_on = [(StreamName::program(), programs.latest())];
        let again =
            self.world.decide(&self.world.streams, &asked, &Recorded { stream, version: 0, rules: 0, relied_on: &relied_on }, programs);
        let Outcome::Accepted(_) = &again.outcome else { return };
        let divergence = self.diverged.entry(stream.clone()).or_default();
        let subject = subjects(&payload).into_iter().next();
        let since = divergence.first.get(subject.as_deref().unwrap_or_default()).copied();
        let version = divergence.recorded_version;
        if due <= to {
            let (partner, amount) = concern(stream, &payload, [&self.world.streams, &recorded.streams]);
            let otherwise = Otherwise {
                position: since,
                stream: stream.clone(),
                command: deadline.command,
                change: Change::FallsDue,
                subject,
                partner,
                effective_at: again.effective_at,
                recorded: Told::Nothing,
                draft: Told::of(&again.outcome),
                fields: Vec::new(),
                amount,
                funds: None,
                follows: since,
                caveats: Vec::new(),
            };
            self.found.extend(divergence.pair(Side::of(due, otherwise, &again.outcome)));
        }
        self.world.take_in(stream, &again);
        self.world.note(stream, version, due);
    }
}
