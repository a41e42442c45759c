//! `pledger verify`: the chain, from its first record to its last.

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use pledger_consumers::processor::{FileSnapshots, missing_end};
use pledger_ledger::{log::Log, verify};
use pledger_projections::{
    digest::TableDigest,
    engine::{self, Engine, Options},
    generation::Generations,
    table::Places,
};
use serde_json::json;

use crate::{
    cluster::PlaceFlags,
    context::{Context, Usage},
    ledger::{Ledger, ends},
    node::snapshots_in,
    output,
    verbs::generations,
};

/// Check every record's hash, the chain, the versions; exit 1 and the first bad position if broken
#[derive(Args)]
#[command(
    after_help = "Examples:\n  pledger verify\n  pledger verify --slice 12\n  pledger verify --projections    also fold everything again and compare digests\n  pledger verify --projections --kafka broker-1:9092 --postgres postgres://pledger@db/prm"
)]
pub(crate) struct Verify {
    /// Only this slice
    #[arg(long, value_name = "N")]
    slice: Option<u16>,
    /// Also compare the read models with a fresh fold of the ledger
    #[arg(long)]
    projections: bool,
    #[command(flatten)]
    place: PlaceFlags,
}

impl Verify {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let ledger = Ledger::open(&self.place.cluster, context)?;
        let log = Arc::clone(&ledger.log);
        let count = log.slices().count;
        if let Some(slice) = self.slice.filter(|slice| *slice >= count) {
            return Err(Usage(format!("there is no slice {slice}; this ledger has 0 to {}", count - 1)).into());
        }
        let total = ends(&*log)?;
        let progress = output::progress("verify", total);
        let slices = self.slice.map(|slice| vec![slice]);
        let outcome = verify::verify(&*log, slices.as_deref(), &mut |checked| progress.set_position(checked));
        progress.finish_and_clear();
        // Its end may have been cut off, or an older copy put back: the chain does not show that.
        let missing = match self.place.cluster.cluster(context)? {
            Some(_) => None,
            None => missing_end(&*log, &FileSnapshots::found_in(snapshots_in(&context.data_dir)))?,
        };
        let verified = match outcome.map_err(|broken| broken.to_string()).and_then(|verified| missing.map_or(Ok(verified), Err)) {
            Ok(verified) => verified,
            Err(broken) => {
                if context.json {
                    output::print_json(&json!({"intact": false, "broken": broken}))?;
                } else {
                    output::print(format!("BROKEN: {broken}"))?;
                }
                return Ok(ExitCode::FAILURE);
            }
        };
        if !context.json {
            output::print(format!("Intact: {} records, {} void.", verified.records, verified.void))?;
        }
        let compared = if self.projections { Some(self.compare(&ledger, context)?) } else { None };
        if context.json {
            let (tables, digests) = compared.map_or((None, None), |compared| (Some(compared.tables), compared.digests));
            output::print_json(&json!({
                "intact": true, "records": verified.records, "void": verified.void, "tables_compared": tables, "digests": digests,
            }))?;
        } else if let Some(Compared { tables, .. }) = compared {
            output::print(format!("The read models equal a fresh fold: {tables} tables; --json shows their digests."))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn compare(&self, ledger: &Ledger, context: &Context) -> Result<Compared> {
        let generations = generations::of_ledger(&self.place, ledger, context)?;
        compare(&*generations, Arc::clone(&ledger.log), &generations::to_serve(&self.place, context)?)
    }
}

/// Read models that equal a fresh fold.
struct Compared {
    tables: usize,
    /// Absent where the ledger went on meanwhile.
    digests: Option<Vec<TableDigest>>,
}

/// Folds the ledger again in memory and compares every table's digest. `to_serve` starts whoever keeps the read models.
fn compare(generations: &dyn Generations, log: Arc<dyn Log>, to_serve: &str) -> Result<Compared> {
    let current = generations.current()?.with_context(|| generations::none_in_use(generations, to_serve))?;
    let options = Options::default();
    let live = Engine::beside(generations, current, Arc::clone(&log), options)?.with_context(|| {
        format!("the read models are damaged, or were made by other folds or from another ledger; they are made again by: {to_serve}")
    })?;
    let fresh = Engine::fresh(generations, current, log, options)?;
    let comparison = engine::compare(&live, &fresh)?;
    let [stored, folded] = comparison.parked;
    if stored != folded {
        bail!("{stored} streams are folded no further, {folded} in a fresh fold; see: pledger doctor --retry");
    }
    if let Some(table) = comparison.differing().next() {
        bail!("the read models differ from a fresh fold in {} ({} rows, {} in the fold)", table.table, table.rows[0], table.rows[1]);
    }
    let (stored, folded) = (live.digests(Places::Covered), fresh.digests(Places::Covered));
    Ok(Compared { tables: comparison.tables.len(), digests: (stored == folded).then_some(folded) })
}
