//! Generations: what all read models were folded into, by one version of the folds. One of them is in use.

mod directory;
#[cfg(feature = "postgres")]
mod keeper;
mod note;
mod order;
#[cfg(feature = "postgres")]
mod orders;
#[cfg(feature = "postgres")]
mod postgres;

use xxhash_rust::xxh3::xxh3_64;

pub use directory::DirectoryGenerations;
#[cfg(feature = "postgres")]
pub use keeper::{Keeper, KeeperLock};
pub use note::{Hold, Holder, Note, State, is_ready};
pub use order::{Answered, Order};
#[cfg(feature = "postgres")]
pub use orders::{OrderError, OrderNumber, Orders, Seen};
#[cfg(feature = "postgres")]
pub use postgres::PostgresGenerations;

use crate::{
    row::ColumnSpec,
    shard::Shard,
    store::{Store, StoreError},
};

/// Raised when a fold changes what it makes of the same decisions although no column changes.
const FOLDS: u32 = 6;

/// What a generation was made by: the folds' version and every table's columns.
#[must_use]
pub fn fingerprint() -> String {
    let mut text = format!("folds {FOLDS}\n");
    for table in Shard::default().tables() {
        text.push_str(&format!("{} {}\n", table.name(), table.key_columns()));
        for ColumnSpec { name, kind, nullable, about: _ } in table.columns() {
            text.push_str(&format!("  {name} {kind:?} {nullable}\n"));
        }
    }
    format!("{:016x}", xxh3_64(text.as_bytes()))
}

/// The number of a generation, from 1.
pub type GenerationNumber = u64;

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To be written by an engine.
    Write,
    /// To be read beside the engine that writes it.
    Read,
}

/// The generations of one ledger's read models, wherever they are kept.
pub trait Generations: Send + Sync {
    /// Every generation that there is, oldest first.
    ///
    /// # Errors
    /// `StoreError`.
    fn all(&self) -> Result<Vec<GenerationNumber>, StoreError>;

    /// The generation in use, where there is one.
    ///
    /// # Errors
    /// `StoreError`.
    fn current(&self) -> Result<Option<GenerationNumber>, StoreError>;

    /// Makes an empty generation, with tables, a fingerprint and what is known of it. It is not in use. Of one that was not made
    /// to its end, as by a process that was killed, nothing is seen.
    ///
    /// # Errors
    /// `StoreError`.
    fn create(&self, note: &Note) -> Result<GenerationNumber, StoreError>;

    /// Opens the database of a generation.
    ///
    /// # Errors
    /// `StoreError`; also where there is no such generation.
    fn open(&self, generation: GenerationNumber, access: Access) -> Result<Box<dyn Store>, StoreError>;

    /// Puts a generation in use, in one step.
    ///
    /// # Errors
    /// `StoreError`.
    fn promote(&self, generation: GenerationNumber) -> Result<(), StoreError>;

    /// Takes a generation away for ever.
    ///
    /// # Errors
    /// `StoreError`; `InUse` where it is the one in use.
    fn remove(&self, generation: GenerationNumber) -> Result<(), StoreError>;

    /// What is known of a generation.
    ///
    /// # Errors
    /// `StoreError`.
    fn note(&self, generation: GenerationNumber) -> Result<Note, StoreError>;

    /// Keeps what is known of a generation.
    ///
    /// # Errors
    /// `StoreError`.
    fn keep_note(&self, generation: GenerationNumber, note: &Note) -> Result<(), StoreError>;

    /// Lets the caller alone fill generations, until what it gets is dropped or the process ends; or says who does.
    ///
    /// # Errors
    /// `StoreError`.
    fn hold(&self) -> Result<Result<Box<dyn Hold>, Holder>, StoreError>;

    /// Makes an empty generation and puts it in use. Of the ones before, the one that was in use stays, for whoever made it
    /// to go back to, and so does what is filled beside it; others are taken away.
    ///
    /// # Errors
    /// `StoreError`.
    fn start(&self) -> Result<GenerationNumber, StoreError> {
        let (before, current) = (self.all()?, self.current()?);
        let generation = self.create(&Note { replaced: current, ..Note::default() })?;
        self.promote(generation)?;
        for generation in before {
            let stays = Some(generation) == current || self.note(generation).is_ok_and(|note| note.state == State::Filling);
            if !stays {
                self.remove(generation)?;
            }
        }
        Ok(generation)
    }
}
