//! Handing commands over to the ledger, and waiting for it.

use std::{pin::Pin, time::Duration};

use pledger_ledger::{
    commands::{CommandEnvelope, Decided, Undecided},
    edge::{Incoming, Refused, waves},
    slices::Position,
};

use axum::http::StatusCode;
use tokio::{runtime::Handle, time::Instant};

use crate::{ApiState, problem::Problem};

/// How long a request waits for decisions. Afterwards nobody here knows what became of its command.
pub(crate) const DECISION_TIMEOUT: Duration = Duration::from_secs(30);

/// What the sender has seen: what it says, and everything acknowledged here.
///
/// # Errors
/// 422 where it says more than is known here.
pub(crate) fn seen(api: &ApiState, mut said: Vec<Position>) -> Result<Vec<Position>, Problem> {
    let known = api.sink.reference_positions();
    let is_known = |position: &Position| known.iter().any(|head| head.slice == position.slice && head.pseq >= position.pseq);
    let reference = api.edge.slices.reference;
    if let Some(ahead) = said.iter().find(|position| position.slice < reference && !is_known(position)) {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "AfterAhead", format!("{ahead} is beyond what is known here"))
            .field("After")
            .accepted("positions that this ledger's answers gave"));
    }
    said.extend(known);
    Ok(said)
}

/// How long an id may take to become known where the directory follows the ledger.
const ID_WAIT: Duration = Duration::from_secs(1);
/// How often it is looked for meanwhile, at most.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Ends when more of the ledger is known here.
pub(crate) type More = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Waits for ids that are not known yet, where the directory may be behind the ledger; elsewhere not at all.
pub(crate) struct Patience<'a> {
    api: &'a ApiState,
    until: Instant,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(api: &'a ApiState) -> Self {
        Self { api, until: Instant::now() + ID_WAIT }
    }

    /// To be asked before the id is looked for.
    pub(crate) fn more(&self) -> Option<More> {
        self.api.sink.more()
    }

    /// Answers whether it is worth looking again.
    pub(crate) async fn wait(&self, more: More) -> bool {
        let came = tokio::time::timeout_at(self.until, more).await.is_ok();
        if came {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        came
    }
}

/// Prepares a batch, on a thread that may wait. Where ids are unknown and the directory may be behind, it is prepared again.
pub(crate) fn prepare(api: &ApiState, incoming: Vec<Incoming<'_>>) -> Vec<Result<CommandEnvelope, Refused>> {
    let patience = Patience::new(api);
    loop {
        let Some(more) = patience.more() else { return api.edge.prepare_batch(incoming) };
        let prepared = api.edge.prepare_batch(incoming.clone());
        let is_unknown = prepared.iter().any(|item| matches!(item, Err(Refused::UnknownId { .. })));
        if !(is_unknown && Handle::current().block_on(patience.wait(more))) {
            return prepared;
        }
    }
}

/// Waits for one decision.
pub(crate) async fn one(api: &ApiState, envelope: CommandEnvelope) -> Decided {
    let answers = tokio::time::timeout(DECISION_TIMEOUT, api.sink.submit(vec![envelope])).await;
    answers.ok().and_then(|mut answers| answers.pop()).unwrap_or_else(|| Err(late()))
}

/// Waits for the decisions of a batch, in its order: wave after wave, each seeing what the ones before brought about.
pub(crate) async fn many(api: &ApiState, mut batch: Vec<CommandEnvelope>) -> Vec<Decided> {
    let deadline = Instant::now() + DECISION_TIMEOUT;
    let mut answers: Vec<Decided> = Vec::with_capacity(batch.len());
    let mut seen: Vec<Position> = Vec::new();
    for wave in waves(&batch) {
        let mut commands: Vec<CommandEnvelope> = batch.drain(..wave.len()).collect();
        for command in &mut commands {
            command.after = highest(&command.after, &seen);
        }
        let expected = commands.len();
        let mut decided = tokio::time::timeout_at(deadline, api.sink.submit(commands)).await.unwrap_or_default();
        decided.resize(expected, Err(late()));
        let reference = api.edge.slices.reference;
        seen.extend(decided.iter().flatten().map(|answer| answer.position).filter(|position| position.slice < reference));
        seen = highest(&[], &seen);
        answers.extend(decided);
    }
    answers
}

/// The ledger did not answer in time, or not to every command.
fn late() -> Undecided {
    Undecided::Unknown(format!("no answer came within {} s", DECISION_TIMEOUT.as_secs()))
}

/// The highest position of every slice.
fn highest(after: &[Position], seen: &[Position]) -> Vec<Position> {
    let mut all: Vec<Position> = after.iter().chain(seen).copied().collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    all.dedup_by_key(|position| position.slice);
    all.reverse();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_position_of_a_slice_says_it_all() {
        let at = |slice, pseq| Position { slice, pseq };
        assert_eq!(highest(&[at(1, 4), at(0, 9)], &[at(1, 7), at(1, 5)]), [at(0, 9), at(1, 7)]);
        assert_eq!(highest(&[], &[]), []);
    }
}
