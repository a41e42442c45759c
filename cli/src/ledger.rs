//! The ledger that a verb reads where it lies, beside whoever writes to it: in the data directory, or in Kafka.

use std::sync::Arc;

use anyhow::Result;
use pledger_ledger::{
    log::Log,
    record::LedgerCreated,
    sqlite::{Mode, SqliteLog},
};

use crate::{
    cluster::{self, ClusterFlags},
    context::Context,
    node,
};

/// An open ledger; nothing is written to it.
pub(crate) struct Ledger {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) created: LedgerCreated,
}

impl Ledger {
    /// The cluster's where one is named, else the directory's.
    pub(crate) fn open(flags: &ClusterFlags, context: &Context) -> Result<Self> {
        match flags.cluster(context)? {
            Some(named) => cluster::ledger(&named),
            None => Self::in_directory(context),
        }
    }

    /// The data directory's.
    pub(crate) fn in_directory(context: &Context) -> Result<Self> {
        let log = SqliteLog::open(&context.data_dir, Mode::Read).map_err(|error| node::explain(error, &context.data_dir))?;
        Ok(Self { created: log.created().clone(), log: Arc::new(log) })
    }
}

/// The records of every slice, void ones too.
pub(crate) fn ends(log: &dyn Log) -> Result<u64> {
    Ok(log.slices().all().map(|slice| log.end(slice)).sum::<Result<u64, _>>()?)
}
