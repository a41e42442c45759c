//! An engine that keeps what it folds, or only answers from it: of several processes on one database one keeps the read models.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use super::{Engine, Options};
use crate::generation::{GenerationNumber, Generations};

/// How long two engines may take to stand still at one vector; answers do not go back then.
const STANDING: Duration = Duration::from_secs(5);
/// How long changed rows wait to be written where others read them by SQL.
const SHOWN_EVERY: Duration = Duration::from_millis(50);

impl Options {
    /// For read models that others read in the database: they are to see a decision at once.
    #[must_use]
    pub fn shown() -> Self {
        Self { flush_every: SHOWN_EVERY, ..Self::default() }
    }
}

impl Engine {
    /// How it works.
    #[must_use]
    pub fn options(&self) -> Options {
        self.shared().options
    }

    /// The published version of the rules that everything is folded under, in place of those that decisions name.
    #[must_use]
    pub fn rules_version(&self) -> Option<u32> {
        self.shared().supposed.as_ref().map(|supposed| supposed.rules.version)
    }

    /// Writes nothing more and answers from memory on. What it did not write is made again by whoever keeps the generation
    /// now.
    pub fn let_go(&self) {
        self.shared().let_go.store(true, Ordering::Release);
        self.running.lock().generation = None;
    }

    /// Whether somebody else moved a cursor of the generation that this engine wrote: it cannot write any more.
    #[must_use]
    pub fn is_taken_over(&self) -> bool {
        self.shared().taken_over.load(Ordering::Acquire)
    }

    /// Whether the ledger's end was reached once.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.shared().caught_up.load(Ordering::Acquire)
    }

    /// Lets an engine answer and write from now on that was opened beside this one. Where both stand still for a moment, no
    /// answer goes back behind one that was given before.
    pub fn give_way_to(&self, other: Self) {
        let _alone = self.switching.lock();
        let (live, new) = (self.shared(), other.shared());
        let still = if self.is_caught_up() { live.still_together(&new, STANDING) } else { None };
        let before = self.replace(other);
        drop(still);
        // Its writer may be waiting for a database, which nobody should wait for here.
        let ending = thread::Builder::new().name("fold-ending".into()).spawn(move || before.stop());
        if let Err(error) = ending {
            tracing::warn!(%error, "the engine before ended at once");
        }
    }

    /// Reads a generation beside whoever writes it, to give way to; none where it is not of these folds and this ledger.
    ///
    /// # Errors
    /// `EngineError`.
    pub fn read_beside(
        &self,
        generations: &dyn Generations,
        generation: GenerationNumber,
        options: Options,
    ) -> Result<Option<Self>, super::EngineError> {
        Self::beside(generations, generation, Arc::clone(&self.shared().log), options)
    }

    /// Opens the read models beside this engine, to give way to.
    ///
    /// # Errors
    /// `EngineError`.
    pub fn open_beside(&self, generations: &dyn Generations, options: Options) -> Result<Self, super::EngineError> {
        Self::open_in(generations, Arc::clone(&self.shared().log), options)
    }
}
