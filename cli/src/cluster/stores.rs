//! Where a process of a cluster keeps what is not in Kafka: in PostgreSQL, where others find it, or in its directory.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use pledger_consumers::processor::{FileSnapshots, PostgresSnapshots, SnapshotStore};
use pledger_ledger::{
    keys::{KEYS_FILE, KeyStore, KeyStoreError, Minting, PostgresKeyStore, SqliteKeyStore},
    postgres::PostgresOptions,
};
use pledger_projections::generation::{DirectoryGenerations, Generations, KeeperLock, PostgresGenerations};

/// Keys of persons, snapshots of slices, and read models.
pub(super) struct Stores {
    pub(super) keys: Arc<dyn KeyStore>,
    pub(super) snapshots: Arc<dyn SnapshotStore>,
    pub(super) generations: Arc<dyn Generations>,
    /// Where several processes share them.
    pub(super) postgres: Option<PostgresOptions>,
    /// Whoever holds it keeps the read models; absent where no other process can.
    pub(super) lock: Option<KeeperLock>,
}

impl Stores {
    /// In a directory, which no other process uses.
    pub(super) fn in_directory(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("{} cannot be made", dir.display()))?;
        let keys = match dir.join(KEYS_FILE).exists() {
            true => SqliteKeyStore::open(dir),
            false => SqliteKeyStore::create(dir, Minting::Random),
        };
        let snapshots = FileSnapshots::new(dir.join("snapshots")).context("the snapshots' folder cannot be made")?;
        Ok(Self {
            keys: Arc::new(keys.context("the key store cannot be opened")?),
            snapshots: Arc::new(snapshots),
            generations: Arc::new(DirectoryGenerations::of(dir)),
            postgres: None,
            lock: None,
        })
    }

    /// In a database, which all processes of the cluster share.
    pub(super) fn in_postgres(options: &PostgresOptions, ledger_id: &str) -> Result<Self> {
        options.claim(ledger_id)?;
        let keys = open_or_create(options).with_context(|| format!("the key store in {options} cannot be opened"))?;
        let snapshots = PostgresSnapshots::new(options).with_context(|| format!("the snapshots in {options} cannot be opened"))?;
        let lock = KeeperLock::of(options.clone()).context("the lock of the read models' keeper cannot be asked for")?;
        let generations = Arc::new(PostgresGenerations::of(options.clone()));
        let postgres = Some(options.clone());
        Ok(Self { keys: Arc::new(keys), snapshots: Arc::new(snapshots), generations, postgres, lock: Some(lock) })
    }
}

/// Of several processes that start at once, one makes the key store.
fn open_or_create(options: &PostgresOptions) -> Result<PostgresKeyStore, KeyStoreError> {
    match PostgresKeyStore::open(options) {
        Err(KeyStoreError::Unfit(_)) => {}
        opened => return opened,
    }
    PostgresKeyStore::create(options, Minting::Random).or_else(|_| PostgresKeyStore::open(options))
}
