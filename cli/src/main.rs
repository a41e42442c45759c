//! The pledger command line: one file a verb, wiring only.

mod analyst;
mod cluster;
mod connection;
mod context;
mod demo;
mod folding;
mod front;
mod ledger;
mod node;
mod output;
mod policies;
mod room;
mod served;
mod serving;
mod verbs;
mod words;

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, error::ErrorKind};

use context::{Context, Settings};

/// Answers are made on one thread and freed on another, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The system of record for B2B partner programs.
///
/// Every request made of the program - register this deal, claim this money - becomes one immutable decision in an
/// append-only ledger; pipeline, tiers, ROPI, attribution and funds are read models folded from it.
#[derive(Parser)]
#[command(name = "pledger", version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    verb: verbs::Verb,
}

const EXAMPLES: &str = "Examples:
  pledger demo                                   a generated history, then served
  pledger serve                                  a ledger in ./pledger-data on http://127.0.0.1:7400
  pledger command RegisterPartner '{\"partner_id\":\"p-1\",\"name\":\"Nordwind\",\"roles\":[\"reseller\"]}'
  pledger query pipeline --by region,status
  pledger import crm FOLDER --dry-run

Exit codes: 0 done, 1 failed or refused, 2 wrong usage.";

fn main() -> ExitCode {
    let matches = Arguments::command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    context::start_logging(arguments.settings.verbose);
    let outcome = Context::new(arguments.settings)
        .and_then(|context| arguments.verb.run(&context).map_err(|error| room::explained(error, &context.data_dir)));
    match outcome {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => match error.downcast::<context::Usage>() {
            Ok(usage) => misused(&matches, &usage.0).exit(),
            Err(error) => {
                eprintln!("pledger: {}", output::chain(&error));
                ExitCode::FAILURE
            }
        },
    }
}

/// What is wrong, and how the verb is used that was asked for.
fn misused(mut matches: &ArgMatches, told: &str) -> clap::Error {
    let mut command = Arguments::command();
    command.build();
    let mut verb = &mut command;
    while let Some((name, below)) = matches.subcommand() {
        verb = verb.find_subcommand_mut(name).expect("the arguments were read by it");
        matches = below;
    }
    verb.error(ErrorKind::ValueValidation, told)
}

/// Whoever read our output has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| {
        let io = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let json = || cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        let csv = || match cause.downcast_ref::<csv::Error>().map(csv::Error::kind) {
            Some(csv::ErrorKind::Io(error)) => Some(error.kind()),
            _ => None,
        };
        io.or_else(json).or_else(csv)
    };
    error.chain().filter_map(kind).any(|kind| kind == std::io::ErrorKind::BrokenPipe)
}
