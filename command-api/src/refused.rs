//! What the edge refused, as HTTP says it.

use axum::http::StatusCode;
use pledger_domain::catalogue::{COMMANDS, InvalidPayload};
use pledger_ledger::{
    commands::Undecided,
    edge::{MAX_KEY_LEN, MAX_PAYLOAD_LEN, Refused},
};

use crate::{
    ApiState,
    answer::{self, Place},
    problem::Problem,
};

/// After how many seconds to try again where the key store is away.
const KEY_STORE_RETRY_S: u32 = 5;

/// The problem of input that became no command. Where no command is decided any more, ids that seem to be unknown may
/// only not have been read.
pub(crate) fn told(api: &ApiState, refused: &Refused, place: Place) -> Problem {
    match api.sink.halted() {
        Some(reason) if refused.may_pass_later() => answer::unavailable(&Undecided::Unavailable(reason.to_string())),
        _ => problem(refused, place),
    }
}

/// The problem of input that became no command.
pub(crate) fn problem(refused: &Refused, place: Place) -> Problem {
    let problem = Problem::new(status(refused), refused.code(), refused.to_string());
    let problem = match refused.field() {
        Some(field) => problem.field(field),
        None => problem,
    };
    let named = |header: &'static str, member: &'static str| match place {
        Place::Single => header,
        Place::Item => member,
    };
    match refused {
        Refused::InvalidPayload(InvalidPayload::UnknownCommand { nearest, .. }) => unknown_command(problem, *nearest),
        Refused::InvalidPayload(InvalidPayload::Malformed(_) | InvalidPayload::Field { .. })
        | Refused::InvalidAccount(_)
        | Refused::UnknownId { .. }
        | Refused::SystemOnly { .. }
        | Refused::SealedFromOutside { .. } => problem,
        Refused::PayloadTooLong { .. } => problem.accepted(format!("at most {MAX_PAYLOAD_LEN} bytes")),
        Refused::AmbiguousId { candidates, .. } => problem.accepted(candidates.clone()),
        Refused::InvalidKey => {
            problem.field(named("Idempotency-Key", "idempotency_key")).accepted(format!("1 to {MAX_KEY_LEN} printable characters"))
        }
        Refused::InvalidSender | Refused::ReservedSender(_) => problem.field("source"),
        Refused::InvalidActor(_) => problem.field(named("Actor", "actor")).accepted("an id: 1 to 128 of A-Z a-z 0-9 . _ : -"),
        Refused::InvalidAfter(_) => {
            problem.field(named("After", "after")).accepted("positions that this ledger's answers gave for program and partners")
        }
        Refused::KeyStore(_) => problem.retry_after(KEY_STORE_RETRY_S),
    }
}

/// Says which command was meant, or which there are.
fn unknown_command(problem: Problem, nearest: Option<&'static str>) -> Problem {
    match nearest {
        Some(name) => problem.accepted(name),
        None => problem.accepted(COMMANDS.iter().map(|spec| spec.name).collect::<Vec<_>>()),
    }
}

const fn status(refused: &Refused) -> StatusCode {
    match refused {
        Refused::InvalidPayload(InvalidPayload::UnknownCommand { .. }) | Refused::UnknownId { .. } => StatusCode::NOT_FOUND,
        Refused::InvalidPayload(InvalidPayload::Malformed(_)) | Refused::InvalidKey | Refused::InvalidSender | Refused::InvalidActor(_) => {
            StatusCode::BAD_REQUEST
        }
        Refused::InvalidPayload(InvalidPayload::Field { .. })
        | Refused::InvalidAccount(_)
        | Refused::SealedFromOutside { .. }
        | Refused::ReservedSender(_)
        | Refused::InvalidAfter(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Refused::PayloadTooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Refused::AmbiguousId { .. } => StatusCode::CONFLICT,
        Refused::SystemOnly { .. } => StatusCode::FORBIDDEN,
        Refused::KeyStore(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
