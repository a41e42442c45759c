//! What every key store does, over whatever keeps its rows.

use hashbrown::HashMap;
use parking_lot::Mutex;
use pledger_domain::values::{PersonId, Personal, Timestamp};

use super::{
    Erasure, KeyStore, KeyStoreError, Opened,
    envelope::{self, Envelope, SubjectKey},
    mint::{Minting, RowHash, StoreKey},
};

/// At most so many keys and so many row hashes are kept in memory: about 30 MB each.
const MAX_KNOWN: usize = 200_000;

/// What is kept for a subject.
#[derive(Clone)]
pub(super) enum Kept {
    Key(SubjectKey),
    Erased,
}

/// What is written together.
#[derive(Clone, Default)]
pub(super) struct Batch {
    pub(super) keys: Vec<(PersonId, SubjectKey)>,
    pub(super) rows: Vec<(RowHash, PersonId)>,
}

/// Keeps keys, tombstones and the subjects of row hashes.
pub(super) trait Backing: Send + Sync + 'static {
    fn find_key(&self, subject: &PersonId) -> Result<Option<Kept>, KeyStoreError>;
    fn find_row(&self, row: &RowHash) -> Result<Option<PersonId>, KeyStoreError>;
    /// Durable on return, all of it or nothing.
    fn write(&self, batch: &Batch) -> Result<(), KeyStoreError>;
    fn erase(&self, subject: &PersonId, reason: &str, at: Timestamp) -> Result<Erasure, KeyStoreError>;
    /// Whether another process writes it, so that nothing read of it may be remembered.
    fn is_written_elsewhere(&self) -> bool {
        false
    }
}

/// A key store over a backing.
pub(super) struct Vault<B> {
    backing: B,
    minting: Minting,
    store_key: StoreKey,
    known: Mutex<Known>,
    /// Held while a batch is written: who waits for it finds its own keys written, or writes them with the others'.
    settling: Mutex<()>,
}

#[derive(Default)]
struct Known {
    /// None for a subject that has no key yet.
    keys: HashMap<PersonId, Option<Kept>>,
    rows: HashMap<RowHash, PersonId>,
    /// Minted, and not durable yet.
    pending: Batch,
}

impl<B: Backing> Vault<B> {
    pub(super) fn new(backing: B, minting: Minting, store_key: StoreKey) -> Self {
        Self { backing, minting, store_key, known: Mutex::default(), settling: Mutex::default() }
    }

    /// What keeps the rows.
    #[cfg(feature = "postgres")]
    pub(super) const fn backing(&self) -> &B {
        &self.backing
    }

    fn find_key(&self, known: &mut Known, subject: &PersonId) -> Result<Option<Kept>, KeyStoreError> {
        if let Some(kept) = known.keys.get(subject) {
            return Ok(kept.clone());
        }
        let kept = self.backing.find_key(subject)?;
        if !self.backing.is_written_elsewhere() {
            known.make_room(MAX_KNOWN);
            known.keys.insert(subject.clone(), kept.clone());
        }
        Ok(kept)
    }

    fn write_pending(&self) -> Result<(), KeyStoreError> {
        // It stays pending until it is written: what is pending is never forgotten, and what is staged meanwhile comes after.
        let batch = self.known.lock().pending.clone();
        if batch.keys.is_empty() && batch.rows.is_empty() {
            return Ok(());
        }
        self.backing.write(&batch)?;
        let pending = &mut self.known.lock().pending;
        pending.keys.drain(..batch.keys.len());
        pending.rows.drain(..batch.rows.len());
        Ok(())
    }
}

impl Known {
    /// Forgets what the backing knows too, once there is more than `max` of it. What is pending is nowhere else yet.
    fn make_room(&mut self, max: usize) {
        if self.pending.keys.is_empty() && self.pending.rows.is_empty() {
            if self.keys.len() > max {
                self.keys.clear();
            }
            if self.rows.len() > max {
                self.rows.clear();
            }
        }
    }
}

impl<B: Backing> KeyStore for Vault<B> {
    fn stage_subject(&self, sender: &str, row: &str) -> Result<PersonId, KeyStoreError> {
        let hash = self.store_key.row_hash(sender, row);
        let mut known = self.known.lock();
        if let Some(subject) = known.rows.get(&hash) {
            return Ok(subject.clone());
        }
        known.make_room(MAX_KNOWN);
        let subject = match self.backing.find_row(&hash)? {
            Some(subject) => subject,
            None => {
                let subject = self.minting.subject(&hash);
                known.pending.rows.push((hash, subject.clone()));
                subject
            }
        };
        known.rows.insert(hash, subject.clone());
        Ok(subject)
    }

    fn stage_seal(&self, subject: &PersonId, plain: &str) -> Result<Personal, KeyStoreError> {
        let mut known = self.known.lock();
        let key = match self.find_key(&mut known, subject)? {
            Some(Kept::Key(key)) => key,
            Some(Kept::Erased) => return Ok(Personal::Erased),
            None => {
                let key = self.minting.key(subject);
                known.pending.keys.push((subject.clone(), key.clone()));
                known.keys.insert(subject.clone(), Some(Kept::Key(key.clone())));
                key
            }
        };
        drop(known);
        Ok(Personal::Sealed(envelope::seal(&key, subject, plain)))
    }

    fn settle(&self) -> Result<(), KeyStoreError> {
        let _writing = self.settling.lock();
        self.write_pending()
    }

    fn open(&self, sealed: &str) -> Result<Opened, KeyStoreError> {
        let Some(envelope) = Envelope::parse(sealed) else { return Ok(Opened::Unreadable) };
        let kept = self.find_key(&mut self.known.lock(), &envelope.subject)?;
        Ok(match kept {
            Some(Kept::Key(key)) => envelope::open(&key, &envelope).map_or(Opened::Unreadable, Opened::Plain),
            Some(Kept::Erased) => Opened::Erased,
            None => Opened::Unreadable,
        })
    }

    fn erase(&self, subject: &PersonId, reason: &str, at: Timestamp) -> Result<Erasure, KeyStoreError> {
        let _writing = self.settling.lock();
        self.write_pending()?;
        let erasure = self.backing.erase(subject, reason, at).inspect_err(|_| {
            // It may be erased all the same: whoever needs the key next asks the backing.
            self.known.lock().keys.remove(subject);
        })?;
        match erasure {
            Erasure::Erased | Erasure::ErasedBefore { .. } => {
                self.known.lock().keys.insert(subject.clone(), Some(Kept::Erased));
            }
            Erasure::UnknownSubject => {}
        }
        Ok(erasure)
    }

    fn is_erased(&self, subject: &PersonId) -> Result<bool, KeyStoreError> {
        Ok(matches!(self.find_key(&mut self.known.lock(), subject)?, Some(Kept::Erased)))
    }
}

/// Makes a tuple struct around a vault a key store.
macro_rules! key_store {
    ($store:ty) => {
        impl KeyStore for $store {
            fn stage_subject(&self, sender: &str, row: &str) -> Result<PersonId, KeyStoreError> {
                self.0.stage_subject(sender, row)
            }
            fn stage_seal(&self, subject: &PersonId, plain: &str) -> Result<Personal, KeyStoreError> {
                self.0.stage_seal(subject, plain)
            }
            fn settle(&self) -> Result<(), KeyStoreError> {
                self.0.settle()
            }
            fn open(&self, sealed: &str) -> Result<Opened, KeyStoreError> {
                self.0.open(sealed)
            }
            fn erase(&self, subject: &PersonId, reason: &str, at: Timestamp) -> Result<Erasure, KeyStoreError> {
                self.0.erase(subject, reason, at)
            }
            fn is_erased(&self, subject: &PersonId) -> Result<bool, KeyStoreError> {
                self.0.is_erased(subject)
            }
        }
    };
}
pub(super) use key_store;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Keeps nothing, and fails while it is told to.
    #[derive(Default)]
    struct Failing {
        fails: AtomicBool,
        written: Mutex<Batch>,
    }

    impl Backing for Failing {
        fn find_key(&self, _: &PersonId) -> Result<Option<Kept>, KeyStoreError> {
            Ok(None)
        }
        fn find_row(&self, _: &RowHash) -> Result<Option<PersonId>, KeyStoreError> {
            Ok(None)
        }
        fn write(&self, batch: &Batch) -> Result<(), KeyStoreError> {
            if self.fails.load(Ordering::Relaxed) {
                return Err(KeyStoreError::Store("full".into()));
            }
            let mut written = self.written.lock();
            written.keys.extend(batch.keys.iter().cloned());
            written.rows.extend(batch.rows.iter().cloned());
            Ok(())
        }
        fn erase(&self, _: &PersonId, _: &str, _: Timestamp) -> Result<Erasure, KeyStoreError> {
            if self.fails.load(Ordering::Relaxed) { Err(KeyStoreError::Store("full".into())) } else { Ok(Erasure::UnknownSubject) }
        }
    }

    fn vault() -> Vault<Failing> {
        Vault::new(Failing::default(), Minting::Random, Minting::Random.store_key())
    }

    #[test]
    fn what_could_not_be_written_goes_with_the_next_call() {
        let vault = vault();
        vault.backing.fails.store(true, Ordering::Relaxed);
        let subject = vault.stage_subject("crm", "1").expect("staged");
        let sealed = vault.stage_seal(&subject, "Ada").expect("staged");
        assert_eq!(vault.settle(), Err(KeyStoreError::Store("full".into())));
        assert_eq!(vault.erase(&subject, "asked", Timestamp::from_micros(0)), Err(KeyStoreError::Store("full".into())));
        vault.backing.fails.store(false, Ordering::Relaxed);
        assert_eq!(vault.stage_seal(&subject, "Ada"), Ok(sealed), "no second key");
        assert_eq!(vault.settle(), Ok(()));
        assert_eq!(vault.settle(), Ok(()));
        let written = vault.backing.written.lock();
        assert_eq!((written.keys.len(), written.rows.len()), (1, 1));
    }

    #[test]
    fn a_key_is_used_no_more_of_which_nobody_knows_whether_it_was_erased() {
        let vault = vault();
        let subject = vault.stage_subject("crm", "1").expect("staged");
        let Personal::Sealed(sealed) = vault.stage_seal(&subject, "Ada").expect("staged") else { panic!("it has a key") };
        vault.settle().expect("written");
        assert_eq!(vault.open(&sealed), Ok(Opened::Plain("Ada".into())));
        vault.backing.fails.store(true, Ordering::Relaxed);
        assert!(vault.erase(&subject, "asked", Timestamp::from_micros(0)).is_err());
        // The backing is asked, and has no key.
        assert_eq!(vault.open(&sealed), Ok(Opened::Unreadable));
    }

    impl Known {
        fn len(&self) -> (usize, usize) {
            (self.keys.len(), self.rows.len())
        }
    }

    #[test]
    fn what_is_pending_is_never_forgotten() {
        let vault = vault();
        let subject = vault.stage_subject("crm", "1").expect("staged");
        vault.stage_seal(&subject, "Ada").expect("staged");
        vault.known.lock().make_room(0);
        assert_eq!(vault.known.lock().len(), (1, 1));
        vault.settle().expect("written");
        vault.known.lock().make_room(1);
        assert_eq!(vault.known.lock().len(), (1, 1));
        vault.known.lock().make_room(0);
        assert_eq!(vault.known.lock().len(), (0, 0));
    }
}
