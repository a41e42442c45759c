//! Read models and a processor that answer as a test says.

use std::{collections::VecDeque, future::Future, pin::Pin, sync::Arc};

use parking_lot::Mutex;
use pledger_domain::{
    rejection::Rejection,
    values::{Period, Timestamp},
};
use pledger_ledger::{
    commands::{Answer, CommandEnvelope, CommandSink, Decided},
    slices::Position,
};
use serde_json::value::RawValue;

use super::{PolicyView, Reading, Retiring, Unevaluated, Unread};

/// What every reading stands on.
const AS_OF: [Position; 2] = [Position { slice: 1, pseq: 9 }, Position { slice: 5, pseq: 40 }];

pub(super) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect(text)
}

/// Read models that say the same whenever they are asked.
#[derive(Clone, Default)]
pub(super) struct Read {
    retiring: Vec<Retiring>,
    unevaluated: Option<(String, Vec<Unevaluated>)>,
    behind: bool,
}

impl Read {
    pub(super) fn behind() -> Self {
        Self { behind: true, ..Self::default() }
    }

    pub(super) fn with_retiring(self, retiring: Vec<Retiring>) -> Self {
        Self { retiring, ..self }
    }

    /// These are to be evaluated for this period.
    pub(super) fn with_unevaluated(self, period: &str, due: Vec<Unevaluated>) -> Self {
        Self { unevaluated: Some((period.to_owned(), due)), ..self }
    }

    fn reading<T>(&self, found: Vec<T>) -> Result<Reading<T>, Unread> {
        if self.behind { Err(Unread::Behind) } else { Ok(Reading { found, as_of: AS_OF.to_vec() }) }
    }
}

impl PolicyView for Read {
    fn retiring(&self, _now: Timestamp) -> Result<Reading<Retiring>, Unread> {
        self.reading(self.retiring.clone())
    }

    fn unevaluated(&self, period: Period, _now: Timestamp) -> Result<Reading<Unevaluated>, Unread> {
        let due = self.unevaluated.iter().filter(|(known, _)| *known == period.to_string());
        self.reading(due.flat_map(|(_, due)| due.clone()).collect())
    }
}

/// A processor that gives these answers in this order, and accepts whatever comes after them.
#[derive(Clone, Default)]
pub(super) struct Answering {
    script: Arc<Mutex<VecDeque<Decided>>>,
    batches: Arc<Mutex<Vec<Vec<CommandEnvelope>>>>,
}

impl Answering {
    pub(super) fn with(script: impl IntoIterator<Item = Decided>) -> Self {
        Self { script: Arc::new(Mutex::new(script.into_iter().collect())), batches: Arc::default() }
    }

    /// The commands that came since the last call, batch by batch.
    pub(super) fn take(&self) -> Vec<Vec<CommandEnvelope>> {
        std::mem::take(&mut self.batches.lock())
    }

    /// Their keys.
    pub(super) fn take_keys(&self) -> Vec<String> {
        self.take().concat().iter().map(|envelope| envelope.key.to_string()).collect()
    }
}

impl CommandSink for Answering {
    fn submit(&self, commands: Vec<CommandEnvelope>) -> Pin<Box<dyn Future<Output = Vec<Decided>> + Send>> {
        let mut script = self.script.lock();
        let answers: Vec<Decided> = commands.iter().map(|_| script.pop_front().unwrap_or_else(|| answer(None))).collect();
        self.batches.lock().push(commands);
        Box::pin(std::future::ready(answers))
    }

    fn reference_positions(&self) -> Vec<Position> {
        Vec::new()
    }
}

/// An acceptance, or this refusal.
pub(super) fn answer(refusal: Option<Rejection>) -> Decided {
    let outcome = refusal.map_or_else(|| Ok(RawValue::NULL.to_owned()), Err);
    let time = at("2026-10-01");
    let position = Position { slice: 1, pseq: 50 };
    Ok(Answer { position, version: 1, rules: 1, recorded_at: time, effective_at: time, outcome, replayed: false })
}
