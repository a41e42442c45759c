//! `cargo xtask`: sets up what the tests need, then runs them.
//!
//! One file a step; [`STEPS`] is the order they run in, the quick ones first.
#![expect(clippy::print_stdout, reason = "the report is this program's product, and goes to stdout")]

mod arrows;
mod cargo_steps;
mod duplicates;
mod file_sizes;
mod licences;
mod limited;
mod links;
mod machine_names;
mod metadata;
mod peers;
mod python;
mod readme;
mod rust_source;
mod service;
mod set_up;
mod step;
mod test_run;
mod tree;
mod unused_deps;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use peers::PeersArgs;
use service::{KafkaChore, PostgresChore};
use step::Step;
use test_run::TestArgs;

/// Everything CI runs, in order.
///
/// A check that generated files are clean belongs right after `docs`: a file of its own whose
/// step runs the generator, then fails when `git diff --exit-code` on its output does.
const STEPS: &[Step] = &[
    set_up::STEP,
    cargo_steps::FORMAT,
    arrows::STEP,
    licences::STEP,
    unused_deps::STEP,
    machine_names::STEP,
    readme::STEP,
    links::STEP,
    duplicates::STEP,
    file_sizes::STEP,
    cargo_steps::CLIPPY,
    cargo_steps::DOCS,
    service::KAFKA_STEP,
    service::POSTGRES_STEP,
    cargo_steps::TESTS,
];

/// Chores of the pledger workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run everything CI runs: set-up, style, documentation, checks and tests.
    Test(TestArgs),
    /// A real Kafka for the tests: brokers on free loopback ports, in a scratch folder.
    #[command(subcommand)]
    Kafka(KafkaChore),
    /// A real PostgreSQL for the tests, likewise.
    #[command(subcommand)]
    Postgres(PostgresChore),
    /// The benchmark's deal workload on other libraries: starts a PostgreSQL, builds and runs `bench/peers`.
    Peers(PeersArgs),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().chore {
        Chore::Test(args) => test_run::run(STEPS, &args),
        Chore::Kafka(chore) => service::run_kafka(chore),
        Chore::Postgres(chore) => service::run_postgres(chore),
        Chore::Peers(args) => peers::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}
