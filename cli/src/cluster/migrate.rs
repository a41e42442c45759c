//! `pledger migrate`: the ledger of a directory into Kafka, and its keys into PostgreSQL.

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use pledger_ledger::{
    copy::{Copied, CopyError, copy},
    kafka::{KafkaLog, KafkaOptions},
    keys::PostgresKeyStore,
    log::{Log, LogError},
    sqlite::{Mode, SqliteLog},
    verify::Verified,
};
use pledger_projections::{
    digest::TableDigest,
    engine::{Engine, Options},
    table::Places,
};
use serde_json::json;

use super::{Cluster, NewTopics, PostgresFlags, node::options, reading::to_serve};
use crate::{context::Context, output};

/// How long a ledger may take to be folded.
const TO_FOLD: Duration = Duration::from_secs(24 * 3_600);

/// Copies the ledger in `from`, which nobody may write meanwhile.
pub(crate) fn migrate(from: &Path, cluster: &Cluster, topics: &NewTopics, postgres: &PostgresFlags, context: &Context) -> Result<ExitCode> {
    let postgres = postgres.options(context)?;
    let source = SqliteLog::open(from, Mode::Write).map_err(|error| match error {
        LogError::Locked(reason) => anyhow::anyhow!("{reason}\nStop it first: what it writes from now on would be missing"),
        other @ (LogError::Store(_) | LogError::Damaged { .. } | LogError::ReadOnly(_) | LogError::Unfit(_) | LogError::Absent(_)) => {
            other.into()
        }
    })?;
    // Before any topic is made: it may not let us in, or belong to another ledger.
    if let Some(postgres) = &postgres {
        postgres.check_owner(&source.created().ledger_id)?;
    }
    let (target, is_new) =
        target(&source, KafkaOptions { replicas: topics.replicas(), inbox_partitions: topics.inbox_partitions(), ..options(cluster) })?;
    if let Some(postgres) = &postgres {
        postgres.claim(&source.created().ledger_id)?;
    }
    let bar = output::progress("copying", 0);
    let copied = copy(&source, &target, &mut |progress| {
        bar.set_length(progress.all);
        bar.set_position(progress.copied);
    });
    bar.finish_and_clear();
    let Copied { before, verified } = copied.map_err(|error| uncopied(error, cluster))?;
    // The first record came with the topics.
    let before = if is_new { 0 } else { before };
    if let Some(postgres) = &postgres {
        PostgresKeyStore::copy_from(from, postgres).with_context(|| format!("the keys were not copied to {postgres}"))?;
    }
    let digests = compare(Arc::new(source), Arc::new(target))?;
    if context.json {
        let copied = verified.records + verified.void - before;
        output::print_json(&json!({
            "records": verified.records, "void": verified.void, "copied": copied, "tables_compared": digests.len(),
            "digests": digests, "keys": postgres.is_some(),
        }))?;
    } else {
        output::print(format!(
            "{}: {cluster}. Both chains are intact, and {} tables of read models are the same.\n{}\nNext: {}",
            told(before, &verified),
            digests.len(),
            match &postgres {
                Some(postgres) => format!("The keys of persons are in {postgres}."),
                None =>
                    format!("The keys of persons are still in {}: take keys.db along, or run it again with --postgres.", from.display()),
            },
            to_serve(cluster, postgres.as_ref())
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What was copied, of what there is now.
fn told(before: u64, verified: &Verified) -> String {
    let Verified { records, void, .. } = verified;
    match records + void - before {
        0 => format!("Nothing was left to copy: {records} records, {void} void, were there already"),
        _ if before == 0 => format!("Copied {records} records, {void} void"),
        more => format!("Copied {more} records to the {before} that were there: {records} records, {void} void"),
    }
}

/// Why it was not copied, and whether to run it again.
fn uncopied(error: CopyError, cluster: &Cluster) -> anyhow::Error {
    match error {
        gone_on @ CopyError::GoneOn { .. } => {
            anyhow::Error::from(gone_on).context(format!("nothing was copied: {cluster} goes on by itself"))
        }
        other => anyhow::Error::from(other).context("the ledger was not copied to its end; run it again to go on"),
    }
}

/// The ledger to copy to, and whether it is a new one: it may be one that a copy was begun in.
fn target(source: &SqliteLog, options: KafkaOptions) -> Result<(KafkaLog, bool)> {
    match KafkaLog::open(options.clone()) {
        Ok(log) if log.created() == source.created() => Ok((log, false)),
        Ok(log) => bail!("there is another ledger already, {}; give --topic-prefix to copy beside it", log.created().ledger_id),
        Err(LogError::Unfit(_) | LogError::Absent(_)) => Ok((KafkaLog::create(options, source.created().clone())?, true)),
        Err(other @ (LogError::Store(_) | LogError::Damaged { .. } | LogError::Locked(_) | LogError::ReadOnly(_))) => Err(other.into()),
    }
}

/// Folds both ledgers; the digests, which are the same.
fn compare(source: Arc<dyn Log>, target: Arc<dyn Log>) -> Result<Vec<TableDigest>> {
    let (ours, theirs) = (folded(source)?, folded(target)?);
    match ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs) {
        Some((table, _)) => bail!("the read models of the copy differ in {}", table.table),
        None => Ok(ours),
    }
}

fn folded(log: Arc<dyn Log>) -> Result<Vec<TableDigest>> {
    let records: u64 = log.slices().all().map(|slice| log.end(slice)).sum::<Result<u64, _>>()?;
    let bar = output::progress("folding", records);
    let engine = Engine::in_memory(log, Options::default())?;
    let is_done = engine.wait_until_caught_up(TO_FOLD, |engine| bar.set_position(engine.status().taken_in));
    bar.finish_and_clear();
    if !is_done {
        bail!("the ledger was not folded in {} hours", TO_FOLD.as_secs() / 3_600);
    }
    Ok(engine.digests(Places::Covered))
}
