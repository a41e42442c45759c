//! `pledger rebuild`: a new generation of the read models, filled beside the one in use.
//!
//! It is filled by this process, which reads the ledger beside whoever writes it: a server that answers questions meanwhile
//! shares the machine with it, and neither memory nor locks. Only putting it in use goes through the server.

use std::{
    ops::ControlFlow,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::Args;
use pledger_ledger::log::Log;
use pledger_projections::{
    engine::{Begun, FillError, Options, Purpose, checkpoint, fill},
    generation::{DirectoryGenerations, GenerationNumber, Generations},
    query::{VIEWS, find_view},
};
use serde_json::json;

use crate::{
    cluster::PlaceFlags,
    context::{Context, Usage},
    ledger::Ledger,
    output,
    verbs::generations,
};

/// Fold the ledger into a new generation of the read models, beside the one in use; resumed where it was after a crash
#[derive(Args)]
#[command(after_help = "Examples:
  pledger rebuild                        fill a generation, and leave it beside (as --shadow does)
  pledger rebuild --promote              fill it, compare it with the one in use, and put it in use
  pledger rebuild tiers --promote        the tiers are expected to differ; everything else must not
  pledger rebuild --rules-version 3      every decision folded under version 3 of the rules
  pledger rebuild --promote --kafka broker-1:9092 --postgres postgres://pledger@db/prm
  pledger rebuild --checkpoints          keep what was known at each month's end, for --as-of and --known-at

All projections are folded in one pass, slices side by side, while the generation in use goes on answering.
Afterwards: pledger generations list | compare A B | promote | rollback | drop N
What is filled stays until it is dropped, also where putting it in use was refused or cut off; --promote for the same goes on
with it then.")]
pub(crate) struct Rebuild {
    /// The projections that are expected to differ; with unchanged folds and rules, others must not
    #[arg(value_name = "PROJECTION")]
    projections: Vec<String>,
    /// Put it in use, in one step, once it equals the one in use where it has to
    #[arg(long, conflicts_with = "shadow")]
    promote: bool,
    /// Leave it beside the one in use
    #[arg(long)]
    shadow: bool,
    /// How many workers fold
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=8))]
    workers: Option<u8>,
    /// Fold every decision under this version of the rules, in place of the one that it names
    #[arg(long, value_name = "N")]
    rules_version: Option<u32>,
    /// Instead, keep what was known at the end of every month that is over: questions to the past go on from there
    #[arg(long, conflicts_with_all = ["promote", "shadow", "rules_version", "projections"])]
    checkpoints: bool,
    #[command(flatten)]
    place: PlaceFlags,
}

impl Rebuild {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        for name in &self.projections {
            let names = || VIEWS.iter().map(|view| view.name).collect::<Vec<_>>().join(", ");
            find_view(name).map_err(|error| Usage(format!("{error}\nThere are: {}", names())))?;
        }
        let ledger = Ledger::open(&self.place.cluster, context)?;
        let generations = generations::of_ledger(&self.place, &ledger, context)?;
        let log = ledger.log;
        let generations = &*generations;
        let held = match generations.hold()? {
            Ok(held) => held,
            Err(holder) => bail!(
                "{holder} has been rebuilding the read models since {}; wait for it, or end it: what it did is not lost",
                holder.since
            ),
        };
        if self.checkpoints {
            return self.keep_checkpoints(context, &log);
        }
        let purpose = Purpose { projections: self.projections.clone(), rules_version: self.rules_version };
        if self.promote
            && let Some(generation) = purpose.filled(generations)?
        {
            drop(held);
            eprintln!("Generation {generation} is filled already, and was not put in use: going on with it.");
            return generations::promote(&self.place, context, generation);
        }
        let Begun { generation, resumed } = purpose.begin(generations)?;
        if resumed {
            eprintln!("Going on with generation {generation}.");
        }
        let took = self.fill(generations, generation, log)?;
        drop(held);
        if context.json && !self.promote {
            output::print_json(&json!({"generation": generation, "records": took.0, "seconds": took.1.as_secs_f64()}))?;
        } else if !context.json {
            output::print(format!("Generation {generation} is filled: {} records in {:.1} s.", took.0, took.1.as_secs_f64()))?;
        }
        if self.promote {
            return generations::promote(&self.place, context, generation);
        }
        if !context.json {
            output::print(format!("It is not in use. To put it in use: pledger generations promote {generation}"))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn options(&self) -> Options {
        Options { workers: self.workers.map_or(Options::default().workers, usize::from), ..Options::default() }
    }

    fn keep_checkpoints(&self, context: &Context, log: &Arc<dyn Log>) -> Result<ExitCode> {
        let checkpoints = DirectoryGenerations::checkpoints_of(&context.data_dir);
        std::fs::create_dir_all(context.data_dir.join("checkpoints"))?;
        let kept = checkpoint::keep(&checkpoints, log, self.options(), |kept| eprintln!("Kept what was known at {}.", kept.known_at))?;
        if context.json {
            output::print_json(&json!({"kept": kept, "there": checkpoints.all()?.len()}))?;
        } else {
            output::print(format!("{kept} checkpoints were kept; there are {} now.", checkpoints.all()?.len()))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Fills it up to the ledger's end; how many records were folded, in what time.
    fn fill(&self, generations: &dyn Generations, generation: GenerationNumber, log: Arc<dyn Log>) -> Result<(u64, Duration)> {
        let started = Instant::now();
        let progress = output::progress("rebuild", 0);
        let filled = fill(generations, generation, log, self.options(), |far| {
            progress.set_length(far.taken_in + far.lag);
            progress.set_position(far.taken_in);
            ControlFlow::Continue(())
        });
        progress.finish_and_clear();
        match filled {
            Ok(records) => Ok((records, started.elapsed())),
            Err(FillError::NoSuchRules(version)) => {
                Err(Usage(format!("--rules-version {version}: the ledger has no such version of the rules")).into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
