//! A process that keeps read models and is killed, as its store sees it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use pledger_projections::{
    generation::{Access, GenerationNumber, Generations, Hold, Holder, Note},
    shard::Shard,
    store::{Changes, Store, StoreError},
};

/// Generations whose stores write a few times and then no more, as those of a process that was killed.
pub(crate) struct Dying<'a> {
    generations: &'a dyn Generations,
    writes: Arc<AtomicUsize>,
}

impl<'a> Dying<'a> {
    /// After so many writes nothing is written any more.
    pub(crate) fn after(generations: &'a dyn Generations, writes: usize) -> Self {
        Self { generations, writes: Arc::new(AtomicUsize::new(writes)) }
    }
}

struct DyingStore {
    store: Box<dyn Store>,
    writes: Arc<AtomicUsize>,
}

impl Generations for Dying<'_> {
    fn all(&self) -> Result<Vec<GenerationNumber>, StoreError> {
        self.generations.all()
    }
    fn current(&self) -> Result<Option<GenerationNumber>, StoreError> {
        self.generations.current()
    }
    fn create(&self, note: &Note) -> Result<GenerationNumber, StoreError> {
        self.generations.create(note)
    }
    fn open(&self, generation: GenerationNumber, access: Access) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(DyingStore { store: self.generations.open(generation, access)?, writes: Arc::clone(&self.writes) }))
    }
    fn promote(&self, generation: GenerationNumber) -> Result<(), StoreError> {
        self.generations.promote(generation)
    }
    fn note(&self, generation: GenerationNumber) -> Result<Note, StoreError> {
        self.generations.note(generation)
    }
    fn keep_note(&self, generation: GenerationNumber, note: &Note) -> Result<(), StoreError> {
        self.generations.keep_note(generation, note)
    }
    fn hold(&self) -> Result<Result<Box<dyn Hold>, Holder>, StoreError> {
        self.generations.hold()
    }
    fn remove(&self, generation: GenerationNumber) -> Result<(), StoreError> {
        self.generations.remove(generation)
    }
}

impl Store for DyingStore {
    fn fingerprint(&mut self) -> Result<String, StoreError> {
        self.store.fingerprint()
    }
    fn load(&mut self, shards: &mut [Shard], names: Option<&[&str]>) -> Result<(), StoreError> {
        self.store.load(shards, names)
    }
    fn take_over(&mut self, shards: &mut [Shard]) -> Result<(), StoreError> {
        self.store.take_over(shards)
    }
    fn write(&mut self, changes: &Changes<'_>) -> Result<(), StoreError> {
        let left = self.writes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        // What ends a writer for good, so that nothing is tried again.
        left.map_err(|_| StoreError::TakenOver { slice: 0 })?;
        self.store.write(changes)
    }
}
