//! What a user would pick instead of pledger, on the same deal workload and the same PostgreSQL.
//!
//! See `README.md` beside this for what is compared, and what is not.

mod account;
mod database;
mod load;
mod peer;
mod read_model;
mod report;
mod with_cqrs_es;
mod with_disintegrate;
mod workload;

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::{
    database::Database,
    peer::Peer,
    report::{Decisions, Limit, Machine, Rebuild, Report},
    with_cqrs_es::CqrsEs,
    with_disintegrate::Disintegrate,
};

/// Connections that a rebuild may use, as many as `postgres-es` makes by itself.
const REBUILD_CONNECTIONS: u32 = 10;

/// The deal workload of pledger's benchmark on other libraries.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// Which libraries; all of them where none is named
    #[arg(value_name = "LIBRARY")]
    libraries: Vec<Library>,
    /// The database: schemas are made in it, and removed again
    #[arg(long, env = "PLEDGER_POSTGRES", value_name = "URL", hide_env_values = true)]
    postgres: String,
    /// Connections, each with a task of its own
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 16, 64])]
    connections: Vec<u32>,
    /// How long each number of connections is measured
    #[arg(long, value_name = "N", default_value_t = 10)]
    seconds: u64,
    /// Deals that the store has before its decisions are measured
    #[arg(long, value_name = "N", default_value_t = 0)]
    deals_before: u64,
    /// Deals of the history that the read model is made anew from, of five events each; none with 0
    #[arg(long, value_name = "N", default_value_t = 4_000)]
    rebuild_deals: u64,
    /// How often everything is measured; tables show the median
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: u32,
    /// Where all figures are written as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Library {
    /// cqrs-es with postgres-es.
    CqrsEs,
    /// disintegrate with disintegrate-postgres.
    Disintegrate,
}

impl Arguments {
    fn libraries(&self) -> &[Library] {
        if self.libraries.is_empty() { Library::value_variants() } else { &self.libraries }
    }

    /// What the database does without a library, once.
    async fn limits(&self, round: u32, report: &mut Report) -> Result<()> {
        for &connections in &self.connections {
            eprintln!("round {round}: a row a commit, {connections} connections");
            let rows_per_second = load::limit(&self.postgres, connections, Duration::from_secs(self.seconds)).await?;
            report.limits.push(Limit { connections, round, rows_per_second });
        }
        Ok(())
    }

    /// Everything of one library, once.
    async fn measure<P: Peer>(&self, round: u32, report: &mut Report) -> Result<()> {
        let before = workload::history(self.deals_before)?;
        for &connections in &self.connections {
            eprintln!("round {round}: {}, {connections} connections", P::NAME);
            let load = load::measure::<P>(&self.postgres, connections, Duration::from_secs(self.seconds), &before).await?;
            report.decisions.push(Decisions {
                peer: P::NAME,
                connections,
                round,
                per_second: load.per_second(),
                p50_ms: load.latency_ms(0.5),
                p99_ms: load.latency_ms(0.99),
                accepted: load.accepted,
                refused: load.refused,
                conflicts: load.conflicts,
                stale: load.stale,
                event_bytes: load.event_bytes,
            });
        }
        if self.rebuild_deals > 0 {
            eprintln!("round {round}: {}, rebuild", P::NAME);
            report.rebuilds.push(self.rebuild::<P>(round).await?);
        }
        Ok(())
    }

    async fn rebuild<P: Peer>(&self, round: u32) -> Result<Rebuild> {
        let database = Database::create(&self.postgres, "rebuild", REBUILD_CONNECTIONS).await?;
        let peer = P::create(&database).await?;
        peer.fill(&workload::history(self.rebuild_deals)?).await?;
        let (events, _) = database.events(P::EVENTS).await?;
        let took = peer.rebuild(&database, self.rebuild_deals).await?;
        database.remove().await?;
        Ok(Rebuild { peer: P::NAME, round, events, per_second: events as f64 / took.as_secs_f64() })
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the tables are what the program is for")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let machine = Machine::describe();
    let postgres = database::version(&arguments.postgres).await?;
    let (rounds, seconds_each, deals_before) = (arguments.rounds, arguments.seconds, arguments.deals_before);
    let mut report =
        Report { machine, postgres, rounds, seconds_each, deals_before, limits: Vec::new(), decisions: Vec::new(), rebuilds: Vec::new() };
    for round in 1..=rounds {
        arguments.limits(round, &mut report).await?;
        for library in arguments.libraries() {
            match library {
                Library::CqrsEs => arguments.measure::<CqrsEs>(round, &mut report).await?,
                Library::Disintegrate => arguments.measure::<Disintegrate>(round, &mut report).await?,
            }
        }
    }
    if let Some(file) = &arguments.json {
        report.write(file)?;
    }
    println!("{}\n\n{}", report.heading(), report.decisions());
    if arguments.rebuild_deals > 0 {
        println!("\n{}", report.rebuilds());
    }
    Ok(())
}
