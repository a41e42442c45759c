//! Questions to a cluster from the command line: the read models as they are stored, beside whoever keeps them.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result, bail};
use pledger_command_api::Metrics;
use pledger_ledger::{
    edge::{Edge, SystemRandomness},
    evidence::{EvidenceError, LedgerKey},
    keys::{KEYS_FILE, KeyStore, PostgresKeyStore, SqliteKeyStore},
    log::Log,
    postgres::{DEFAULT_SCHEMA, PostgresOptions, ReadOnly},
};
use pledger_projections::{
    engine::{Engine, Options},
    generation::{DirectoryGenerations, Generations, PostgresGenerations},
};

use super::{
    Cluster, PostgresFlags,
    node::{open, present},
};
use crate::{
    context::{Context, Usage},
    folding,
    serving::{Assembly, NoWriter},
};

/// The read models of a cluster, to be asked: what is stored, and what the ledger has after it. Nothing is written, and nobody
/// is waited for.
pub(crate) fn to_read(cluster: &Cluster, postgres: &PostgresFlags, context: &Context) -> Result<Assembly> {
    let log = open(cluster)?;
    check_owner(postgres, &log.created().ledger_id, context)?;
    let options = postgres.options(context)?;
    let keys = keys(cluster, options.as_ref(), &context.data_dir)?;
    let clock = present(&log, None);
    let log: Arc<dyn Log> = Arc::new(log);
    let engine = stored(&*generations_of(options, &context.data_dir), &log)?;
    let edge = Edge { slices: log.slices(), keys, directory: Arc::default(), clock, randomness: Arc::new(SystemRandomness) };
    let sink = Arc::new(NoWriter::beside("a verb that asks takes no command: send it to a server of the cluster"));
    let metrics = Metrics::new(prometheus::Registry::new())?;
    let mut assembly = Assembly::of_parts(edge, sink, log, engine, metrics, Vec::new(), None)?;
    assembly.keep_checkpoints(&context.data_dir);
    Ok(assembly)
}

/// The key that evidence of a cluster is signed with: that of its database, where one is named.
pub(crate) fn key(postgres: &PostgresFlags, context: &Context) -> Result<LedgerKey> {
    Ok(signing_key(postgres.options(context)?.as_ref(), &context.data_dir)?)
}

pub(super) fn signing_key(postgres: Option<&PostgresOptions>, data_dir: &Path) -> Result<LedgerKey, EvidenceError> {
    postgres.map_or_else(|| LedgerKey::open_or_create(data_dir), LedgerKey::open_or_create_in)
}

/// Whether the database, where one is named, is this ledger's.
pub(crate) fn check_owner(postgres: &PostgresFlags, ledger_id: &str, context: &Context) -> Result<()> {
    Ok(postgres.options(context)?.map_or(Ok(()), |options| options.check_owner(ledger_id))?)
}

/// Whether the database takes writes.
pub(crate) fn database(postgres: &PostgresFlags, context: &Context) -> Result<String> {
    let Some(options) = postgres.options(context)? else { return Ok("none is named".to_owned()) };
    match options.read_only()? {
        None => Ok(format!("{options} takes writes")),
        Some(ReadOnly::Standby) => bail!("{options} is a standby, which takes no writes: name the primary by --postgres, or promote it"),
        Some(ReadOnly::Told(by)) => bail!(
            "{options} takes no writes: default_transaction_read_only is on there (set by: {by}); find out why, such as a disk that is full, \
             and set it off where it was set: by ALTER SYSTEM, ALTER DATABASE or ALTER ROLE"
        ),
    }
}

/// The generations of a cluster's read models.
pub(crate) fn generations(postgres: &PostgresFlags, context: &Context) -> Result<Arc<dyn Generations>> {
    Ok(generations_of(postgres.options(context)?, &context.data_dir))
}

fn generations_of(postgres: Option<PostgresOptions>, data_dir: &Path) -> Arc<dyn Generations> {
    match postgres {
        Some(options) => Arc::new(PostgresGenerations::of(options)),
        None => Arc::new(DirectoryGenerations::of(data_dir)),
    }
}

/// How the cluster is served, with what was made in the database.
pub(super) fn to_serve(cluster: &Cluster, postgres: Option<&PostgresOptions>) -> String {
    let schema = postgres.map(PostgresOptions::schema).filter(|schema| *schema != DEFAULT_SCHEMA);
    format!("{}{}", cluster.to_serve(), schema.map(|schema| format!(" --postgres-schema {schema}")).unwrap_or_default())
}

/// The same, with the database that is named.
pub(crate) fn to_serve_with(cluster: &Cluster, postgres: &PostgresFlags, context: &Context) -> Result<String> {
    Ok(to_serve(cluster, postgres.options(context)?.as_ref()))
}

/// What opens the names of persons.
fn keys(cluster: &Cluster, postgres: Option<&PostgresOptions>, data_dir: &Path) -> Result<Arc<dyn KeyStore>> {
    match postgres {
        Some(options) => {
            let opened = PostgresKeyStore::open(options);
            let advice =
                || format!("{options} has no keys of this cluster; whoever serves it makes them: {}", to_serve(cluster, Some(options)));
            Ok(Arc::new(opened.with_context(advice)?))
        }
        None if data_dir.join(KEYS_FILE).exists() => Ok(Arc::new(SqliteKeyStore::open_read_only(data_dir)?)),
        None => {
            let missing = "the read models of a cluster are in its database: name it with --postgres, or the data directory of a cluster \
                           of one process with --data-dir";
            Err(Usage(missing.into()).into())
        }
    }
}

/// The generation in use, at the ledger's end; folded from the ledger's beginning where none was ever made.
fn stored(generations: &dyn Generations, log: &Arc<dyn Log>) -> Result<Engine> {
    let stored = match generations.current()? {
        Some(current) => Engine::beside(generations, current, Arc::clone(log), Options::default())?,
        None => None,
    };
    let engine = match stored {
        Some(engine) => engine,
        None => {
            tracing::warn!("there are no read models of this ledger by these folds; they are folded from the ledger's beginning");
            Engine::in_memory(Arc::clone(log), Options::default())?
        }
    };
    if let Err(reason) = folding::to_the_end(&engine) {
        bail!("the ledger was not folded to its end: {reason}");
    }
    Ok(engine)
}
