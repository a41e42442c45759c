//! The verbs, one file each.

mod bound;
mod command;
mod completions;
mod conflicts;
mod contenders;
pub(crate) mod dead_letters;
mod demo;
mod doctor;
mod erase;
pub(crate) mod evidence;
mod explain;
mod export;
pub(crate) mod generations;
mod import;
mod init;
mod items;
mod migrate;
mod moment;
mod query;
mod rebuild;
mod replay;
mod rules;
mod selected;
pub(crate) mod serve;
pub(crate) mod simulate;
mod verify;
mod void;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Subcommand;

use crate::context::Context;

/// How long read models that were just opened may take to reach the ledger's end.
const FOLDING: Duration = Duration::from_secs(10);

/// What pledger can be asked to do.
#[derive(Subcommand)]
pub(crate) enum Verb {
    Demo(demo::Demo),
    Serve(serve::Serve),
    Init(init::Init),
    Command(command::Command),
    Import(import::Import),
    #[command(subcommand)]
    Rules(rules::Rules),
    Simulate(simulate::Simulate),
    Query(query::Query),
    Conflicts(conflicts::Conflicts),
    Explain(explain::Explain),
    Replay(replay::Replay),
    Export(export::Export),
    Rebuild(rebuild::Rebuild),
    #[command(subcommand)]
    Generations(generations::Generations),
    Verify(verify::Verify),
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLetters),
    Migrate(migrate::Migrate),
    Erase(erase::Erase),
    Evidence(evidence::Evidence),
    Doctor(doctor::Doctor),
    Completions(completions::Completions),
}

impl Verb {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        match self {
            Self::Demo(verb) => verb.run(context),
            Self::Serve(verb) => verb.run(context),
            Self::Init(verb) => verb.run(context),
            Self::Command(verb) => verb.run(context),
            Self::Import(verb) => verb.run(context),
            Self::Rules(verb) => verb.run(context),
            Self::Simulate(verb) => verb.run(context),
            Self::Query(verb) => verb.run(context),
            Self::Conflicts(verb) => verb.run(context),
            Self::Explain(verb) => verb.run(context),
            Self::Replay(verb) => verb.run(context),
            Self::Export(verb) => verb.run(context),
            Self::Rebuild(verb) => verb.run(context),
            Self::Generations(verb) => verb.run(context),
            Self::Verify(verb) => verb.run(context),
            Self::DeadLetters(verb) => verb.run(context),
            Self::Migrate(verb) => verb.run(context),
            Self::Erase(verb) => verb.run(context),
            Self::Evidence(verb) => verb.run(context),
            Self::Doctor(verb) => verb.run(context),
            Self::Completions(verb) => verb.run(context),
        }
    }
}
