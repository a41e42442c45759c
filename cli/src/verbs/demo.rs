//! `pledger demo`: a generated history, and then the program on it.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use clap::Args;
use pledger_domain::values::Timestamp;
use pledger_ledger::sqlite::{Mode, SqliteLog};
use pledger_projections::query::Query;
use serde_json::{Value, json};

use crate::{
    context::Context,
    demo::{self, ENDS_AT, Plot},
    node::has_ledger,
    output,
    serving::Assembly,
    verbs::serve,
};

/// How long the read models may take at a start.
const FOLDING: Duration = Duration::from_secs(600);

/// Generate a program's history, labelled as generated, and serve it
#[derive(Args)]
#[command(after_help = "Examples:
  pledger demo
  pledger demo --partners 1000 --months 36 --seed 7 --data-dir ./big --no-serve

The same seed gives the same bytes every time. Time in the demo goes on from its last instant, so it looks the same in any year.")]
pub(crate) struct Demo {
    /// How many partners
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    partners: u32,
    /// How many months
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=120))]
    months: u32,
    /// What every choice is drawn from
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Only generate and answer
    #[arg(long)]
    no_serve: bool,
    /// The address to serve on [default: 127.0.0.1:7400]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

impl Demo {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let plot = Plot { partners: self.partners as usize, months: self.months, seed: self.seed };
        if has_ledger(&context.data_dir) {
            self.check_same(context, plot)?;
        } else {
            let progress = output::progress("writing history", 0);
            let told = demo::tell(&context.data_dir, plot, &progress)?;
            progress.finish_and_clear();
            eprintln!(
                "Generated {} decisions ({} accepted, {} refused) of {} partners over {} months from seed {}.",
                told.accepted + told.refused,
                told.accepted,
                told.refused,
                plot.partners,
                plot.months,
                plot.seed
            );
        }
        let assembly = Assembly::open(&context.data_dir)?;
        if !assembly.engine().wait_until_caught_up(FOLDING, |_| {}) {
            bail!("the read models are not folded yet; look at them with: pledger query pipeline");
        }
        introduce(&assembly, context.json)?;
        if self.no_serve {
            assembly.stop();
            return Ok(ExitCode::SUCCESS);
        }
        serve::serve(assembly, context, context.listen(self.listen))
    }

    /// The demo that is there is served again, if it is this one.
    fn check_same(&self, context: &Context, plot: Plot) -> Result<()> {
        let log = SqliteLog::open(&context.data_dir, Mode::Read)?;
        let expected = demo::ledger_id(plot);
        if log.created().ledger_id != expected {
            bail!(
                "{} holds another ledger ({}). Give the demo a directory of its own with --data-dir DIR.",
                context.data_dir.display(),
                log.created().ledger_id
            );
        }
        eprintln!("The demo in {} is there already.", context.data_dir.display());
        Ok(())
    }
}

/// The first answer: in words, and a small table; or the same in JSON.
fn introduce(assembly: &Assembly, in_json: bool) -> Result<()> {
    let ask = |view: &str, by: &[&str]| -> Result<Vec<Value>> {
        let query = Query { by: by.iter().map(|dim| (*dim).to_owned()).collect(), ..Query::default() };
        let page = assembly.engine().query(view, &query)?;
        Ok(page.items.iter().map(serde_json::to_value).collect::<Result<_, _>>()?)
    };
    let statuses = ask("pipeline", &["status"])?;
    let of = |status: &str| statuses.iter().find(|item| item["status"] == status);
    let figure = |status: &str, name: &str| of(status).map_or_else(|| "0".to_owned(), |item| output::cell(&item[name]));
    // Two names that may be one account are no contest.
    let conflicts = ask("conflicts", &[])?;
    let until = Timestamp::parse(ENDS_AT)?.date();
    let contests = conflicts.iter().filter(|item| item["kind"] != "possible_duplicate").count();
    let items = ask("pipeline", &["region"])?;
    if in_json {
        let pipeline = json!({"by_status": statuses, "by_region": items});
        return output::print_json(&json!({"generated": true, "as_of": until, "contests": contests, "pipeline": pipeline}));
    }
    output::print(format!(
        "\nA generated partner program, as of {until} (nobody in it exists).\n\
         Partners closed {} deals worth {}; {} deals worth {} are open, and {} were lost.\n\
         {} times two parties wanted the same account; the ledger says who was told what, and why.\n\nPipeline by region:\n",
        figure("won", "count"),
        figure("won", "amount"),
        figure("open", "count"),
        figure("open", "amount"),
        figure("lost", "count"),
        contests,
    ))?;
    let mut shown = vec!["region", "count", "amount", "approval_rate", "conversion", "cycle_time_median_days"];
    shown.retain(|name| items.iter().any(|item| !item[*name].is_null()));
    let rows: Vec<Vec<Value>> = items.iter().map(|item| shown.iter().map(|name| item[*name].clone()).collect()).collect();
    output::print(output::table(&shown.into_iter().map(str::to_owned).collect::<Vec<_>>(), &rows).to_string())
}
