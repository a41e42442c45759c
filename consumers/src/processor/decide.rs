//! Deciding one command: its key, its facts, its outcome, its record.

use std::borrow::Cow;

use bytes::Bytes;
use pledger_domain::{catalogue::Command, rejection::Rejection, stream::StreamName, values::Timestamp};
use pledger_ledger::{
    commands::{Answer, CommandEnvelope, Undecided},
    edge::senders,
    log::LogError,
    record::{Body, BodyError, CommandRecord, Decision, Events, Outcome},
    slices::{Position, SliceId},
};
use serde_json::value::RawValue;

use super::{
    Asker, Processor,
    asked::{Asked, rules_before_any},
    key_window::{KeyUse, ScopedKey},
    recover::uses_key,
    slice::{AskedHere, InFlight, InFlightDecision},
};

/// A command with everything that its decision names besides the outcome.
struct Ruled {
    recorded_at: Timestamp,
    effective_at: Timestamp,
    rules: u32,
    relied_on: Vec<(StreamName, u64)>,
    version: u64,
    outcome: Result<Events<'static>, Rejection>,
}

/// What taking a slice over showed.
enum Prepared {
    /// The command can be decided.
    Ready,
    /// The ledger is past the command.
    Passed,
    /// Its key was used.
    Used(KeyUse),
}

impl Processor {
    pub(super) fn decide(&mut self, slice: SliceId, envelope: CommandEnvelope, asker: Asker, now: Timestamp, facts_behind: bool) {
        let key = ScopedKey::new(&envelope.sender, &envelope.stream, &envelope.key);
        if self.is_passed(slice, asker) {
            return;
        }
        if let Some(used) = self.slices[usize::from(slice)].keys.get(key) {
            return self.repeat(slice, used, envelope.input, asker, now);
        }
        if let Some(reason) = self.damage.clone() {
            return self.put_off(slice, asker, reason);
        }
        match self.prepare(slice, &envelope, key, asker, now) {
            Ok(Prepared::Ready) => {}
            Ok(Prepared::Passed) => return,
            Ok(Prepared::Used(used)) => return self.repeat(slice, used, envelope.input, asker, now),
            Err(error) => {
                self.refuse_damage(&error);
                return self.put_off(slice, asker, error.to_string());
            }
        }
        let ruled = self.rule(slice, &envelope, now, facts_behind);
        if let Err(Rejection::DecisionFailed { reason }) = &ruled.outcome {
            self.failed += 1;
            tracing::error!(stream = %envelope.stream, key = %envelope.key, command = envelope.command.spec().name, reason, "a decision failed");
        }
        if let Err(error) = self.record(slice, envelope, key, ruled, asker) {
            // The aggregate went on without its record: it has to come back from the ledger.
            self.recover(&error.to_string());
            self.put_off(slice, asker, error.to_string());
        }
    }

    /// Makes sure that a term is open and that the stream's state is there. Taking the slice over may show that another
    /// writer decided the command; no term is opened for it then.
    fn prepare(
        &mut self,
        slice: SliceId,
        envelope: &CommandEnvelope,
        key: ScopedKey,
        asker: Asker,
        now: Timestamp,
    ) -> Result<Prepared, LogError> {
        if !self.slices[usize::from(slice)].writer.is_open() {
            self.read_to_end(slice)?;
            if self.is_passed(slice, asker) {
                return Ok(Prepared::Passed);
            }
            if let Some(used) = self.slices[usize::from(slice)].keys.get(key) {
                return Ok(Prepared::Used(used));
            }
            self.open_term(slice, now)?;
        }
        self.refold_if_stale(slice, &envelope.stream).map(|()| Prepared::Ready)
    }

    /// Answers a repeated key from the decision that used it: once that is durable, and only to the same input.
    fn repeat(&mut self, slice: SliceId, used: KeyUse, input: u128, asker: Asker, now: Timestamp) {
        let waiter = match asker {
            Asker::Here(waiter) => waiter,
            // Whoever sent it follows the ledger, and is answered by the first record.
            Asker::Topic(offset) => return self.pass(slice, offset, now),
        };
        let state = &mut self.slices[usize::from(slice)];
        let first = Position { slice, pseq: used.pseq };
        if let Some(asked) = state.pending(used.pseq).and_then(InFlight::asked) {
            if used.input == input { &mut asked.repeated } else { &mut asked.reused }.push(waiter);
        } else if used.input != input {
            self.answers.push((waiter, Err(Undecided::KeyReused { first })));
        } else {
            let answer = self.answer_from_ledger(first).map_err(Undecided::Unavailable);
            self.answers.push((waiter, answer));
        }
    }

    /// The command cannot be decided now: who waits here is told, what came from the topic is taken from there again.
    fn put_off(&mut self, slice: SliceId, asker: Asker, reason: String) {
        match asker {
            Asker::Here(waiter) => self.answers.push((waiter, Err(Undecided::Unavailable(reason)))),
            Asker::Topic(offset) => {
                tracing::warn!(slice, offset, reason, "a command waits");
                self.rewind(slice, offset);
            }
        }
    }

    /// The outcome, under the rules and facts of the moment.
    fn rule(&self, slice: SliceId, envelope: &CommandEnvelope, now: Timestamp, facts_behind: bool) -> Ruled {
        let state = &self.slices[usize::from(slice)];
        let standing = state.streams.standing(&envelope.stream, &envelope.command);
        let recorded_at = now.max(state.last_recorded_at);
        let asked = Asked {
            command: &envelope.command,
            channel: envelope.channel,
            historical: envelope.historical,
            received_at: envelope.received_at,
            recorded_at,
            given: envelope.effective_at,
        };
        let effective_at = asked.effective_at(standing.builds_on);
        let references = self.references.read();
        let rules_at = asked.rules_at(effective_at);
        let rules = references.rules_at(rules_at).or_else(|| rules_before_any(&envelope.command));
        let mut relied_on = Vec::new();
        if !matches!(envelope.command, Command::Program(_)) {
            relied_on.push(references.program());
        }
        let partner = standing.relies_on.and_then(|id| {
            let (fact, partner) = references.partner(&id);
            relied_on.push(fact);
            partner
        });
        let mut ruled =
            Ruled { recorded_at, effective_at, rules: 0, relied_on, version: standing.version, outcome: Err(Rejection::FactsBehind {}) };
        ruled.outcome = match (rules, envelope.if_match) {
            _ if facts_behind => Err(Rejection::FactsBehind {}),
            (_, Some(expected)) if expected != standing.version => Err(Rejection::VersionConflict { expected, actual: standing.version }),
            (None, _) => Err(Rejection::NoRulesInForce { at: rules_at }),
            (Some(rules), _) => {
                ruled.rules = rules.version;
                if let Some(refusal) = asked.too_far_ahead() {
                    ruled.outcome = Err(refusal);
                    return ruled;
                }
                let facts = asked.facts(effective_at, rules, partner);
                state.streams.decide(&envelope.stream, &envelope.command, facts)
            }
        };
        ruled.version += u64::from(ruled.outcome.is_ok());
        ruled
    }

    /// Frames the decision's record, and remembers who waits for it.
    fn record(&mut self, slice: SliceId, envelope: CommandEnvelope, key: ScopedKey, ruled: Ruled, asker: Asker) -> Result<(), BodyError> {
        let (waiter, next_command) = match asker {
            Asker::Here(waiter) => (Some(waiter), None),
            Asker::Topic(offset) => (None, Some(offset + 1)),
        };
        let outcome = match ruled.outcome {
            Ok(events) => Outcome::Accepted(events),
            Err(rejection) => Outcome::Rejected(rejection),
        };
        // Who waits here is answered with what is recorded, to the byte.
        let told = match &outcome {
            Outcome::Accepted(events) if waiter.is_some() => Some(serde_json::value::to_raw_value(events)?),
            Outcome::Accepted(_) | Outcome::Rejected(_) => None,
        };
        let mut digits = [0; 32];
        let decision = Decision {
            stream: envelope.stream.clone(),
            version: ruled.version,
            command: command_record(&envelope, &mut digits),
            outcome: outcome.borrowed(),
            rules: ruled.rules,
            recorded_at: ruled.recorded_at,
            effective_at: ruled.effective_at,
            relied_on: ruled.relied_on,
            historical: envelope.historical,
            next_command,
        };
        self.body.clear();
        decision.write(told.as_deref(), &mut self.body)?;
        let body = Bytes::copy_from_slice(&self.body);
        let state = &mut self.slices[usize::from(slice)];
        let record = state.writer.frame(body);
        let pseq = record.header.pseq;
        state.last_recorded_at = ruled.recorded_at;
        if uses_key(&outcome) {
            let ages = !envelope.sender.starts_with(senders::IMPORT);
            state.keys.insert(key, KeyUse { pseq, input: envelope.input }, ruled.recorded_at, ages, self.limits);
        }
        if let Outcome::Accepted(events) = &outcome {
            self.deadlines.note(&envelope.stream, events);
        }
        if let Some(next) = next_command {
            state.place.recorded(next);
        }
        let stream = envelope.stream.clone();
        let asked = waiter.map(|waiter| {
            let answer = Answer {
                position: Position { slice, pseq },
                version: ruled.version,
                rules: ruled.rules,
                recorded_at: ruled.recorded_at,
                effective_at: ruled.effective_at,
                outcome: match &outcome {
                    Outcome::Accepted(_) => Ok(told.unwrap_or_default()),
                    Outcome::Rejected(rejection) => Err(rejection.clone()),
                },
                replayed: false,
            };
            Box::new(AskedHere { envelope, answer, waiter, repeated: Vec::new(), reused: Vec::new() })
        });
        let decided = InFlightDecision { stream, version: ruled.version, effective_at: ruled.effective_at, outcome, asked };
        self.send_later(record, next_command, Some(Box::new(decided)));
        Ok(())
    }

    /// The answer that a durable decision gave.
    fn answer_from_ledger(&self, position: Position) -> Result<Answer, String> {
        let record = self.find(position).map_err(|error| error.to_string())?;
        match Body::decode(&record.body).map_err(|error| error.to_string())? {
            Body::Decision(decision) => Ok(Answer {
                position,
                version: decision.version,
                rules: decision.rules,
                recorded_at: decision.recorded_at,
                effective_at: decision.effective_at,
                outcome: match decision.outcome {
                    Outcome::Accepted(events) => Ok(serde_json::value::to_raw_value(&events).map_err(|error| error.to_string())?),
                    Outcome::Rejected(rejection) => Err(rejection),
                },
                replayed: true,
            }),
            Body::LedgerCreated(_) | Body::TermOpened(_) | Body::Progress(_) => Err(format!("{position} holds no decision")),
        }
    }
}

fn command_record<'a>(envelope: &'a CommandEnvelope, digits: &'a mut [u8; 32]) -> CommandRecord<'a> {
    let payload: &RawValue = &envelope.payload;
    CommandRecord {
        id: Cow::Borrowed(&envelope.key),
        name: Cow::Borrowed(envelope.command.spec().name),
        payload: Cow::Borrowed(payload),
        sender: Cow::Borrowed(&envelope.sender),
        actor: envelope.actor.as_deref().map(Cow::Borrowed),
        channel: envelope.channel,
        received_at: envelope.received_at,
        effective_at: envelope.effective_at,
        input: Cow::Borrowed(envelope.input_digits(digits)),
        cause: envelope.cause.as_deref().map(Cow::Borrowed),
    }
}
