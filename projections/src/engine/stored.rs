//! Read models as they are stored, beside whoever writes them.

use std::path::Path;

use pledger_ledger::slices::Position;

use crate::{
    digest::{TableDigest, digests},
    generation::{Access, DirectoryGenerations, GenerationNumber, Generations, fingerprint},
    query::{Page, Query, QueryError, Rows, ViewSpec, answer},
    shard::Shard,
    store::{Cursor, StoreError, causes},
    table::Places,
};

/// The read models of a data directory as they are stored, beside whoever writes them.
pub struct Stored {
    shards: Vec<Shard>,
}

impl Stored {
    /// Reads what a view is made from; none where no read models were ever made by these folds.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn open(data_dir: &Path, view: &ViewSpec) -> Result<Option<Self>, StoreError> {
        let mut tables = view.tables.to_vec();
        tables.extend(["rules", "parked"]);
        Self::load(&DirectoryGenerations::of(data_dir), Some(&tables))
    }

    /// Reads everything.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn open_all(data_dir: &Path) -> Result<Option<Self>, StoreError> {
        Self::open_all_in(&DirectoryGenerations::of(data_dir))
    }

    /// The same, wherever the read models are kept.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn open_all_in(generations: &dyn Generations) -> Result<Option<Self>, StoreError> {
        Self::load(generations, None)
    }

    /// Where the read models in use stand, slice by slice, without their rows; none where these folds made none.
    ///
    /// # Errors
    /// `StoreError`.
    pub fn heads_in(generations: &dyn Generations) -> Result<Option<Vec<Cursor>>, StoreError> {
        let stored = Self::load(generations, Some(&[]))?;
        Ok(stored.map(|stored| stored.shards.into_iter().flat_map(|shard| shard.heads).collect()))
    }

    fn load(generations: &dyn Generations, tables: Option<&[&str]>) -> Result<Option<Self>, StoreError> {
        let Some(generation) = generations.current()? else { return Ok(None) };
        Self::read(generations, generation, tables).or_else(|error| {
            if !error.is_damage() {
                return Err(error);
            }
            tracing::warn!(generation, error = causes(&error), "the read models are damaged");
            Ok(None)
        })
    }

    fn read(generations: &dyn Generations, generation: GenerationNumber, tables: Option<&[&str]>) -> Result<Option<Self>, StoreError> {
        let mut store = generations.open(generation, Access::Read)?;
        if store.fingerprint()? != fingerprint() {
            return Ok(None);
        }
        let mut shards = vec![Shard::default()];
        store.load(&mut shards, tables)?;
        Ok(Some(Self { shards }))
    }

    /// Answers a question.
    ///
    /// # Errors
    /// `QueryError`.
    pub fn query(&self, view: &str, query: &Query) -> Result<Page, QueryError> {
        let shards = self.shards.iter().map(|shard| Box::new(shard) as Box<_>).collect();
        answer(&Rows::new(shards), view, query)
    }

    /// The digest of every table.
    #[must_use]
    pub fn digests(&self, places: Places) -> Vec<TableDigest> {
        digests(self.shards.iter(), places)
    }

    /// What the read models stand on.
    #[must_use]
    pub fn position(&self) -> Vec<Position> {
        crate::query::positions(self.shards.iter())
    }
}
