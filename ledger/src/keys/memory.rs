//! A key store in memory: for tests, and for generated histories that nobody keeps.

use hashbrown::HashMap;
use parking_lot::Mutex;
use pledger_domain::values::{PersonId, Personal, Timestamp};

use super::{
    Erasure, KeyStore, KeyStoreError, Minting, Opened,
    envelope::SubjectKey,
    mint::RowHash,
    vault::{Backing, Batch, Kept, Vault, key_store},
};

/// Keeps keys as long as it lives.
pub struct MemoryKeyStore(Vault<Rows>);

#[derive(Default)]
struct Rows {
    keys: Mutex<HashMap<PersonId, Row>>,
    rows: Mutex<HashMap<RowHash, PersonId>>,
}

enum Row {
    Key(SubjectKey),
    Erased(Timestamp, String),
}

impl MemoryKeyStore {
    /// An empty store.
    #[must_use]
    pub fn new(minting: Minting) -> Self {
        Self(Vault::new(Rows::default(), minting, minting.store_key()))
    }
}

impl Default for MemoryKeyStore {
    fn default() -> Self {
        Self::new(Minting::Random)
    }
}

impl Backing for Rows {
    fn find_key(&self, subject: &PersonId) -> Result<Option<Kept>, KeyStoreError> {
        Ok(self.keys.lock().get(subject).map(|row| match row {
            Row::Key(key) => Kept::Key(key.clone()),
            Row::Erased(..) => Kept::Erased,
        }))
    }

    fn find_row(&self, row: &RowHash) -> Result<Option<PersonId>, KeyStoreError> {
        Ok(self.rows.lock().get(row).cloned())
    }

    fn write(&self, batch: &Batch) -> Result<(), KeyStoreError> {
        self.keys.lock().extend(batch.keys.iter().map(|(subject, key)| (subject.clone(), Row::Key(key.clone()))));
        self.rows.lock().extend(batch.rows.iter().cloned());
        Ok(())
    }

    fn erase(&self, subject: &PersonId, reason: &str, at: Timestamp) -> Result<Erasure, KeyStoreError> {
        Ok(match self.keys.lock().get_mut(subject) {
            None => Erasure::UnknownSubject,
            Some(Row::Erased(at, reason)) => Erasure::ErasedBefore { at: *at, reason: reason.clone() },
            Some(row) => {
                *row = Row::Erased(at, reason.to_owned());
                Erasure::Erased
            }
        })
    }
}

key_store!(MemoryKeyStore);
