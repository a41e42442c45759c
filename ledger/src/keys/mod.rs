//! The key store: one key a person, outside the ledger, so that a ledger that never forgets is still able to.
//!
//! A personal value is sealed with AES-256-SIV under its subject's own random key. Only the sealed form is written, hashed
//! and folded. Destroying the key (`erase`) makes every copy of the value unreadable at once, wherever it lies, and changes
//! no byte of the ledger. What is bound, and why, stands in `envelope`.

mod connection;
mod envelope;
mod memory;
mod mint;
mod opening;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;
mod vault;

use pledger_domain::values::{PersonId, Personal, Timestamp};

pub use envelope::subject_of;
pub use memory::MemoryKeyStore;
pub use mint::Minting;
pub use opening::{Opening, open_all};
#[cfg(feature = "postgres")]
pub use postgres::PostgresKeyStore;
pub use sqlite::{KEYS_FILE, SqliteKeyStore};

/// Why the key store cannot answer. Nothing was sealed and nothing erased.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyStoreError {
    /// The store cannot be read or written.
    #[error("the key store failed: {0}")]
    Store(String),
    /// What lies there is no key store of this version.
    #[error("{0}")]
    Unfit(String),
    /// It was opened for reading.
    #[error("the key store is open for reading only")]
    ReadOnly,
}

/// What a sealed value says to one who may read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The value, as the sender gave it.
    Plain(String),
    /// The subject was erased: nobody can read it any more.
    Erased,
    /// It was not sealed by this store, or was altered: another ledger's value, or a key store that was not moved along.
    Unreadable,
}

impl Opened {
    /// The value, where it can be read.
    #[must_use]
    pub fn plain(self) -> Option<String> {
        match self {
            Self::Plain(text) => Some(text),
            Self::Erased | Self::Unreadable => None,
        }
    }
}

/// What erasing came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erasure {
    /// The key is destroyed, as of now.
    Erased,
    /// It had been destroyed.
    ErasedBefore {
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// No such subject ever had a key. Nothing was written: more likely a mistyped id than a person to forget.
    UnknownSubject,
}

/// Keeps the keys of persons and the ids of those whom their senders do not name.
///
/// Calls wait for the disk where a person is new, and for the store's own thread where a key is not in memory: from an
/// async task call them where blocking is allowed.
pub trait KeyStore: Send + Sync + 'static {
    /// The subject of the sender's own row id: the same for ever, also after erasure; random the first time, and found by
    /// the HMAC of both under the store's key, so that the store holds no row id. **Durable once `settle` has returned.**
    ///
    /// # Errors
    /// `KeyStoreError`.
    fn stage_subject(&self, sender: &str, row: &str) -> Result<PersonId, KeyStoreError>;

    /// Seals `plain` under the subject's key, minted where there is none; `Personal::Erased` for one who was erased: no
    /// second key is ever minted. The same value of the same subject has the same sealed form. **The key is durable once
    /// `settle` has returned**: no record may hold the sealed value before.
    ///
    /// # Errors
    /// `KeyStoreError`.
    fn stage_seal(&self, subject: &PersonId, plain: &str) -> Result<Personal, KeyStoreError>;

    /// Makes everything staged so far durable, in one write for all callers that wait.
    ///
    /// # Errors
    /// `KeyStoreError`; what was staged stays so and goes with the next call.
    fn settle(&self) -> Result<(), KeyStoreError>;

    /// Opens a sealed value by its text alone.
    ///
    /// # Errors
    /// `KeyStoreError`.
    fn open(&self, sealed: &str) -> Result<Opened, KeyStoreError>;

    /// Destroys a subject's key for ever and leaves a tombstone with the reason.
    ///
    /// # Errors
    /// `KeyStoreError`; the key may be destroyed or not: ask again.
    fn erase(&self, subject: &PersonId, reason: &str, at: Timestamp) -> Result<Erasure, KeyStoreError>;

    /// Whether the subject was erased.
    ///
    /// # Errors
    /// `KeyStoreError`.
    fn is_erased(&self, subject: &PersonId) -> Result<bool, KeyStoreError>;

    /// As `stage_subject`, durable at once.
    ///
    /// # Errors
    /// `KeyStoreError`.
    fn subject_for(&self, sender: &str, row: &str) -> Result<PersonId, KeyStoreError> {
        let subject = self.stage_subject(sender, row)?;
        self.settle()?;
        Ok(subject)
    }

    /// As `stage_seal`, with the key durable at once.
    ///
    /// # Errors
    /// `KeyStoreError`.
    fn seal(&self, subject: &PersonId, plain: &str) -> Result<Personal, KeyStoreError> {
        let sealed = self.stage_seal(subject, plain)?;
        self.settle()?;
        Ok(sealed)
    }
}
