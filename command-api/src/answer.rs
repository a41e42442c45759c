//! What the ledger said, as HTTP says it.

use axum::http::StatusCode;
use compact_str::CompactString;
use pledger_domain::{rejection::Rejection, stream::StreamName, values::Timestamp};
use pledger_ledger::{
    commands::{Answer, CommandEnvelope, Undecided},
    slices::Position,
};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use crate::problem::Problem;

/// After how many seconds to try again where the reference facts lag behind, or too many commands wait.
const BUSY_RETRY_S: u32 = 1;
/// After how many seconds to try again where the ledger takes no writes.
const AWAY_RETRY_S: u32 = 5;

/// The identity of a command that was handed over: what its answer begins with.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    key: CompactString,
    stream: StreamName,
}

impl Sent {
    pub(crate) fn of(envelope: &CommandEnvelope) -> Self {
        Self { key: envelope.key.clone(), stream: envelope.stream.clone() }
    }
}

/// The body of a 200. Its `events` are copied as they were recorded.
#[derive(Serialize)]
struct Accepted<'a> {
    /// In a batch only.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    command_id: &'a str,
    stream: &'a StreamName,
    version: u64,
    position: Position,
    outcome: &'static str,
    events: &'a RawValue,
    recorded_at: Timestamp,
    effective_at: Timestamp,
    rules: u32,
    /// In a batch only, where no header can say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<bool>,
}

/// Where an answer is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A response of its own.
    Single,
    /// An item of a batch's response.
    Item,
}

/// Appends the JSON of an accepted command, or says what the problem is.
pub(crate) fn write(out: &mut Vec<u8>, sent: &Sent, answer: &Answer, place: Place) -> Result<(), Problem> {
    let events = match &answer.outcome {
        Ok(events) => events,
        Err(rejection) => return Err(refused(sent, answer, rejection, place)),
    };
    let accepted = Accepted {
        status: (place == Place::Item).then_some(StatusCode::OK.as_u16()),
        command_id: &sent.key,
        stream: &sent.stream,
        version: answer.version,
        position: answer.position,
        outcome: "accepted",
        events,
        recorded_at: answer.recorded_at,
        effective_at: answer.effective_at,
        rules: answer.rules,
        replayed: (place == Place::Item && answer.replayed).then_some(true),
    };
    out.reserve(events.get().len() + 320);
    serde_json::to_writer(out, &accepted).expect("an answer is plain data, which JSON can hold");
    Ok(())
}

/// The problem of a recorded refusal: 409, or 503 where sending the command again is all it takes, or 500 where pledger
/// itself failed.
fn refused(sent: &Sent, answer: &Answer, rejection: &Rejection, place: Place) -> Problem {
    let (code, facts) = code_and_facts(rejection);
    let behind = matches!(rejection, Rejection::FactsBehind {});
    let status = match rejection {
        Rejection::FactsBehind {} => StatusCode::SERVICE_UNAVAILABLE,
        Rejection::DecisionFailed { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::CONFLICT,
    };
    let problem = Problem::new(status, code, rejection.to_string())
        .with("outcome", "rejected")
        .with("command_id", sent.key.as_str())
        .with("stream", sent.stream.as_str())
        .with("version", answer.version)
        .with("position", answer.position.to_string())
        .with("facts", facts)
        .with("recorded_at", answer.recorded_at.to_string())
        .with("effective_at", answer.effective_at.to_string())
        .with("rules", answer.rules);
    let problem = if place == Place::Item && answer.replayed { problem.with("replayed", true) } else { problem };
    if behind { problem.retry_after(BUSY_RETRY_S) } else { problem }
}

/// The two halves of a rejection's stored form.
fn code_and_facts(rejection: &Rejection) -> (String, Value) {
    match serde_json::to_value(rejection) {
        Ok(Value::Object(mut stored)) => {
            let code = stored.get("code").and_then(Value::as_str).unwrap_or_default().to_owned();
            (code, stored.remove("facts").unwrap_or_default())
        }
        _ => (rejection.code(), Value::Null),
    }
}

/// The problem of a command that got no decision.
pub(crate) fn undecided(sent: &Sent, undecided: &Undecided, place: Place) -> Problem {
    let problem = |status, code| Problem::new(status, code, undecided.to_string()).with("command_id", sent.key.as_str());
    match undecided {
        Undecided::KeyReused { first } => problem(StatusCode::CONFLICT, "KeyReused")
            .field(if place == Place::Item { "idempotency_key" } else { "Idempotency-Key" })
            .accepted("the payload that the key was first used with, or another key")
            .with("first", first.to_string()),
        Undecided::Overloaded => problem(StatusCode::TOO_MANY_REQUESTS, "Overloaded").retry_after(BUSY_RETRY_S),
        Undecided::Unavailable(_) => unavailable(undecided).with("command_id", sent.key.as_str()),
        Undecided::Unknown(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "OutcomeUnknown").retry_after(BUSY_RETRY_S),
    }
}

/// The problem of a ledger that takes no commands.
pub(crate) fn unavailable(undecided: &Undecided) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "LedgerUnavailable", undecided.to_string()).retry_after(AWAY_RETRY_S)
}
