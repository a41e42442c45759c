//! Checkpoints: what the read models were at the end of each month by recorded time, so that a question to the past goes on
//! from the nearest one and not from the ledger's beginning.
//!
//! A checkpoint holds a prefix of every slice: all that was recorded by its time. What is known at a later time goes on from
//! it. What is true as of a time `T` after it goes on from it, too, but for slices where something that it holds is effective
//! only after `T`: they are folded from their beginning.

use std::{sync::Arc, time::Duration};

use pledger_domain::{
    stream::StreamName,
    values::{Month, Timestamp},
};
use pledger_ledger::{
    log::{Log, LogError, read_valid},
    outline::Outline,
    slices::SliceId,
};

use super::{Engine, EngineError, Moment, Options, Supposed, empty_shards, load};
use crate::{
    generation::{Access, DirectoryGenerations, GenerationNumber, Generations, Note, State},
    query::ViewSpec,
    shard::Shard,
};

/// How long one month may take to be folded.
const FOLDING: Duration = Duration::from_secs(3_600);

/// A checkpoint that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The end of its month.
    pub known_at: Timestamp,
    /// The slices with a decision that is effective only after it.
    pub ahead: usize,
}

/// Why no checkpoint was kept.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It cannot be folded.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// It cannot be written, or took too long.
    #[error("the checkpoint of {known_at} is not kept: {reason}")]
    Unwritten {
        /// Its time.
        known_at: Timestamp,
        /// Why.
        reason: String,
    },
}

/// Keeps a checkpoint for the end of every month that is over by the ledger's last decision, and calls `tell` after each;
/// those that are there stay. Nobody else may meanwhile.
///
/// # Errors
/// `CheckpointError`; what was kept before it stays.
pub fn keep(
    checkpoints: &DirectoryGenerations,
    log: &Arc<dyn Log>,
    options: Options,
    mut tell: impl FnMut(&Kept),
) -> Result<usize, CheckpointError> {
    let mut count = 0;
    for known_at in month_ends(&**log)? {
        if let Some(kept) = keep_at(checkpoints, log, options, known_at)? {
            tell(&kept);
            count += 1;
        }
    }
    Ok(count)
}

/// Keeps a checkpoint of what was known at one time, going on from the nearest one before; none where it is there. Nobody
/// else may meanwhile.
///
/// # Errors
/// `CheckpointError`.
pub fn keep_at(
    checkpoints: &DirectoryGenerations,
    log: &Arc<dyn Log>,
    options: Options,
    known_at: Timestamp,
) -> Result<Option<Kept>, CheckpointError> {
    // What was left unfinished does not know what it holds.
    for number in checkpoints.all().map_err(EngineError::from)? {
        if checkpoints.note(number).map_err(EngineError::from)?.state != State::Ready {
            checkpoints.remove(number).map_err(EngineError::from)?;
        }
    }
    let mut there = ready(checkpoints)?;
    if there.iter().any(|(_, note)| note.known_at == Some(known_at)) {
        return Ok(None);
    }
    there.retain(|(_, note)| note.known_at < Some(known_at));
    let (_, note) = keep_one(checkpoints, log, options, known_at, there.last())?;
    Ok(Some(Kept { known_at, ahead: note.ahead.len() }))
}

fn keep_one(
    checkpoints: &DirectoryGenerations,
    log: &Arc<dyn Log>,
    options: Options,
    known_at: Timestamp,
    before: Option<&(GenerationNumber, Note)>,
) -> Result<(GenerationNumber, Note), CheckpointError> {
    let unwritten = |reason: String| CheckpointError::Unwritten { known_at, reason };
    let begun = Note { state: State::Filling, ..Note::default() };
    let number = match before {
        Some((number, _)) => checkpoints.copy(*number, &begun),
        None => checkpoints.create(&begun),
    };
    let number = number.map_err(EngineError::from)?;
    let moment = Moment { known_at: Some(known_at), as_of: None };
    let engine = Engine::open_generation(checkpoints, number, Arc::clone(log), Options { moment, ..options })?;
    let engine = engine
        .ok_or_else(|| unwritten("the one before is damaged, or was made by other folds; take the folder checkpoints away".to_owned()))?;
    if !engine.wait_until_caught_up(FOLDING, |_| {}) {
        return Err(unwritten("it took too long".to_owned()));
    }
    let mut ahead = engine.shared().admission.ahead_of(known_at);
    // What was ahead of the checkpoint before may still be ahead of this one.
    for (slice, latest) in before.into_iter().flat_map(|(_, note)| &note.ahead).filter(|(_, latest)| *latest > known_at) {
        match ahead.iter_mut().find(|(known, _)| known == slice) {
            Some((_, known)) => *known = (*known).max(*latest),
            None => ahead.push((*slice, *latest)),
        }
    }
    engine.stop_written().map_err(unwritten)?;
    let note = Note { state: State::Ready, known_at: Some(known_at), ahead, ..Note::default() };
    checkpoints.keep_note(number, &note).map_err(EngineError::from)?;
    Ok((number, note))
}

/// The last instants of the months from the ledger's first decision on that are over by its last one.
fn month_ends(log: &dyn Log) -> Result<Vec<Timestamp>, EngineError> {
    let Some(first) = read_valid(log, &StreamName::program(), 0, 1)?.first().and_then(|placed| recorded_at(&placed.record.body)) else {
        return Ok(Vec::new());
    };
    let last: Result<Vec<Option<Timestamp>>, LogError> = log.slices().all().map(|slice| last_of(log, slice)).collect();
    let Some(last) = last?.into_iter().flatten().max() else { return Ok(Vec::new()) };
    let ends = (first.month().index()..).map(|month| Month::from_index(month + 1).start().plus_micros(-1));
    Ok(ends.take_while(|end| *end < last).collect())
}

/// When the last decision of a slice was recorded, as far as its last records tell.
fn last_of(log: &dyn Log, slice: SliceId) -> Result<Option<Timestamp>, LogError> {
    const LOOK: u64 = 16;
    let end = log.end(slice)?;
    let placed = log.read(slice, end.saturating_sub(LOOK), 16)?;
    Ok(placed.iter().filter_map(|placed| recorded_at(&placed.record.body)).max())
}

fn recorded_at(body: &[u8]) -> Option<Timestamp> {
    Outline::decode(body).ok().flatten().map(|decision| decision.recorded_at)
}

/// The checkpoints that were kept whole, in the order of their times.
fn ready(checkpoints: &dyn Generations) -> Result<Vec<(GenerationNumber, Note)>, EngineError> {
    let mut ready = Vec::new();
    for number in checkpoints.all()? {
        let note = checkpoints.note(number)?;
        if note.state == State::Ready && note.known_at.is_some() {
            ready.push((number, note));
        }
    }
    ready.sort_by_key(|(_, note)| note.known_at);
    Ok(ready)
}

/// The read models of a moment.
pub struct AtMoment {
    /// What they are asked by.
    pub engine: Engine,
    /// The one view that they can be asked by; any where absent.
    pub only: Option<&'static str>,
}

impl Engine {
    /// The read models of `options.moment` in memory, from the nearest checkpoint where there is one: then with a view only
    /// what it is made from is loaded. Checkpoints hold what is folded under the rules that decisions name: under a published
    /// version for all of them, history is folded from its beginning.
    ///
    /// # Errors
    /// `EngineError`.
    pub fn at_moment(
        checkpoints: Option<&dyn Generations>,
        log: Arc<dyn Log>,
        options: Options,
        view: Option<&'static ViewSpec>,
        rules_version: Option<u32>,
    ) -> Result<AtMoment, EngineError> {
        if let Some(supposed) = Supposed::always(&*log, rules_version)? {
            return Ok(AtMoment { engine: Self::supposing(log, options, supposed)?, only: None });
        }
        let Moment { as_of, known_at } = options.moment;
        let by = [as_of, known_at].into_iter().flatten().min();
        let usable = |note: &Note| note.known_at.is_some_and(|known_at| by.is_some_and(|by| known_at <= by));
        let kept = checkpoints.map_or(Ok(Vec::new()), ready)?;
        let tables = view.map(|view| Shard::folded_with(view.tables));
        for (number, note) in kept.into_iter().rev().filter(|(_, note)| usable(note)) {
            let is_ahead = |(_, latest): &&(SliceId, Timestamp)| as_of.is_some_and(|as_of| *latest > as_of);
            let left_out: Vec<SliceId> = note.ahead.iter().filter(is_ahead).map(|(slice, _)| *slice).collect();
            let mut shards = empty_shards(&options);
            shards.iter_mut().for_each(|shard| shard.left_out.clone_from(&left_out));
            let Some(checkpoints) = checkpoints else { break };
            if load(checkpoints, number, Access::Read, &*log, &mut shards, tables.as_deref())?.is_some() {
                for shard in &mut shards {
                    shard.heads.retain(|(slice, _)| !left_out.contains(slice));
                }
                let engine = Self::start(log, options, shards, None, None)?;
                return Ok(AtMoment { engine, only: view.map(|view| view.name) });
            }
        }
        Ok(AtMoment { engine: Self::in_memory(log, options)?, only: None })
    }
}
