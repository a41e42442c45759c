//! `cargo xtask peers`: the deal workload on what a user would pick instead, on a PostgreSQL of its own.
//!
//! `bench/peers` is a workspace of its own, so that nothing of pledger is built or checked with what it depends on.

use std::process::ExitCode;

use anyhow::ensure;
use clap::Args;

use crate::service::{Service, ServiceForTests};
use crate::tree::Tree;

/// What to measure.
#[derive(Args)]
pub(crate) struct PeersArgs {
    /// What the program takes, such as `cqrs-es --rounds 1`; `--help` lists it.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<String>,
}

/// Builds the program, starts a database for it, runs it and stops the database again.
pub(crate) fn run(peers: &PeersArgs) -> anyhow::Result<ExitCode> {
    let tree = Tree::here()?;
    let manifest = "--manifest-path=bench/peers/Cargo.toml";
    ensure!(tree.cargo(&["build", "--release", "--locked", manifest], &[])?, "bench/peers does not build");
    let database = ServiceForTests::up(&tree, Service::Postgres, "peers")?;
    let mut args = vec!["run", "--quiet", "--release", "--locked", manifest, "--"];
    args.extend(peers.args.iter().map(String::as_str));
    let measured = tree.cargo(&args, &[("PLEDGER_POSTGRES", database.address())]);
    database.down()?;
    Ok(if measured? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
