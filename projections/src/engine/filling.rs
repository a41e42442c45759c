//! A generation filled beside the one in use, up to the ledger's end; gone on with where it was left.

use std::{
    collections::BTreeSet,
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use pledger_ledger::{
    edge::{Clock, SystemClock},
    log::{Log, LogError},
};
use serde::{Deserialize, Serialize};

use super::{Engine, EngineError, Options};
use crate::{
    generation::{Access, GenerationNumber, Generations, Note, State, fingerprint},
    store::StoreError,
};

/// How often to look how far it is.
const LOOK: Duration = Duration::from_millis(200);
/// How long rows may be impossible to write before it is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a generation is filled for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Purpose {
    /// The projections that are expected to differ; with unchanged folds and rules, others must not.
    pub projections: Vec<String>,
    /// Every decision is folded under this version of the rules, in place of the one that it names.
    pub rules_version: Option<u32>,
}

/// A generation that is to be filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Begun {
    /// Its number.
    pub generation: GenerationNumber,
    /// Whether it was left unfinished before, and is gone on with.
    pub resumed: bool,
}

/// How far a generation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Far {
    /// Records taken in since it was begun or gone on with.
    pub taken_in: u64,
    /// Records of the ledger that are not taken in yet.
    pub lag: u64,
}

/// Why a generation was not filled.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// The rules that it was to be folded under are not in the ledger. It was taken away.
    #[error("the ledger has no version {0} of the rules")]
    NoSuchRules(u32),
    /// It cannot be gone on with.
    #[error("generation {0} cannot be opened again; take it away by: pledger generations drop {0}")]
    NotOpened(GenerationNumber),
    /// It was told to stop.
    #[error("generation {0} is not finished; the same command goes on where it was")]
    Stopped(GenerationNumber),
    /// Something kept it from going on.
    #[error(
        "generation {generation} is not finished: {trouble}\nWhat is in use is untouched. Go on where it was by the same command; take it \
         away by: pledger generations drop {generation}"
    )]
    Unfinished {
        /// Which one.
        generation: GenerationNumber,
        /// What it was.
        trouble: String,
    },
    /// It cannot be opened.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The ledger failed.
    #[error("the ledger cannot be read")]
    Log(#[from] LogError),
    /// The read models' database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Purpose {
    /// The generation to fill: one that was begun for the same and left unfinished, or a new one. Whoever asks holds the
    /// generations, so that nobody else fills it.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn begin(&self, generations: &dyn Generations) -> Result<Begun, StoreError> {
        if let Some(generation) = self.newest(generations, |_, note| note.state == State::Filling)? {
            return Ok(Begun { generation, resumed: true });
        }
        let (projections, rules_version) = (named(&self.projections).map(str::to_owned).collect(), self.rules_version);
        let begun_at = Some(SystemClock::new().now());
        let note = Note { state: State::Filling, projections, rules_version, begun_at, ..Note::default() };
        let generation = generations.create(&note)?;
        Ok(Begun { generation, resumed: false })
    }

    /// A generation that was filled for the same and never put in use, although it is newer than the one that is.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn filled(&self, generations: &dyn Generations) -> Result<Option<GenerationNumber>, StoreError> {
        let current = generations.current()?;
        let is_newer = |generation| current.is_some_and(|current| generation > current);
        // One that was gone back from is not put in use again by itself.
        self.newest(generations, |generation, note| note.state == State::Ready && note.replaced.is_none() && is_newer(generation))
    }

    /// The newest generation of these folds for the same that is wanted.
    fn newest(
        &self,
        generations: &dyn Generations,
        is_wanted: impl Fn(GenerationNumber, &Note) -> bool,
    ) -> Result<Option<GenerationNumber>, StoreError> {
        for generation in generations.all()?.into_iter().rev() {
            let note = generations.note(generation)?;
            let is_same = named(&note.projections).eq(named(&self.projections)) && note.rules_version == self.rules_version;
            let by_us = || generations.open(generation, Access::Read).and_then(|mut store| store.fingerprint());
            if is_wanted(generation, &note) && is_same && by_us().is_ok_and(|by| by == fingerprint()) {
                return Ok(Some(generation));
            }
        }
        Ok(None)
    }
}

/// Projections in an order of their own, each once, however they were asked for.
fn named(projections: &[String]) -> impl Iterator<Item = &str> {
    projections.iter().map(String::as_str).collect::<BTreeSet<_>>().into_iter()
}

/// Fills a generation up to the ledger's end, and says of it that it is ready; how many records were taken in. `tell` is told how far
/// it is, and may stop it: what was done by then is not lost. It blocks meanwhile.
///
/// # Errors
/// `FillError`.
pub fn fill(
    generations: &dyn Generations,
    generation: GenerationNumber,
    log: Arc<dyn Log>,
    options: Options,
    mut tell: impl FnMut(Far) -> ControlFlow<()>,
) -> Result<u64, FillError> {
    let engine = opened(generations, generation, log, options)?;
    let mut well_at = Instant::now();
    loop {
        let is_there = engine.wait_until_caught_up(LOOK, |_| {});
        let status = engine.status();
        // A log that is away for a moment says nothing of how far it is.
        let lag = engine.lag();
        let far = Far { taken_in: status.taken_in, lag: *lag.as_ref().unwrap_or(&0) };
        if tell(far).is_break() {
            engine.stop();
            return Err(FillError::Stopped(generation));
        }
        if is_there {
            break;
        }
        match status.trouble.or_else(|| lag.err().map(|error| error.to_string())) {
            Some(trouble) if well_at.elapsed() > PATIENCE => {
                engine.stop();
                return Err(FillError::Unfinished { generation, trouble });
            }
            Some(_) => {}
            None => well_at = Instant::now(),
        }
    }
    let taken_in = engine.status().taken_in;
    engine.stop_written().map_err(|trouble| FillError::Unfinished { generation, trouble })?;
    generations.keep_note(generation, &Note { state: State::Ready, ..generations.note(generation)? })?;
    Ok(taken_in)
}

fn opened(generations: &dyn Generations, generation: GenerationNumber, log: Arc<dyn Log>, options: Options) -> Result<Engine, FillError> {
    match Engine::open_generation(generations, generation, log, options) {
        Ok(engine) => engine.ok_or(FillError::NotOpened(generation)),
        Err(EngineError::NoSuchRules(version)) => {
            generations.remove(generation)?;
            Err(FillError::NoSuchRules(version))
        }
        Err(error) => Err(error.into()),
    }
}
