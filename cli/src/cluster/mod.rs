//! The cluster engine: what is asked for on the command line, and its parts put together.

mod flags;
#[cfg(feature = "kafka")]
mod init;
#[cfg(feature = "kafka")]
mod keeper;
#[cfg(feature = "kafka")]
mod letters;
#[cfg(feature = "kafka")]
mod migrate;
#[cfg(feature = "kafka")]
mod node;
#[cfg(feature = "kafka")]
mod reading;
#[cfg(feature = "kafka")]
mod serve;
#[cfg(feature = "kafka")]
mod services;
#[cfg(feature = "kafka")]
mod starting;
#[cfg(feature = "kafka")]
mod stores;
#[cfg(feature = "kafka")]
mod switching;
#[cfg(feature = "kafka")]
mod waiting;

pub(crate) use flags::{Cluster, ClusterFlags, Joining, NewTopics, PlaceFlags, PostgresFlags};
#[cfg(feature = "kafka")]
pub(crate) use {
    init::init,
    keeper::Keeping,
    letters::dead_letters,
    migrate::migrate,
    node::{ledger, topics},
    reading::{check_owner, database, generations, key, to_read, to_serve_with},
    serve::serve,
    switching::{Switching, order},
    waiting::waiting,
};

#[cfg(not(feature = "kafka"))]
mod without {
    use std::{net::SocketAddr, path::Path, process::ExitCode, sync::Arc};

    use anyhow::{Result, bail};
    use pledger_ledger::{evidence::LedgerKey, slices::Slices};
    use pledger_projections::generation::{Answered, Generations, Order};

    use super::{Cluster, Joining, NewTopics, PostgresFlags};
    use crate::{context::Context, ledger::Ledger, serving::Assembly, verbs::dead_letters::Action};

    const WITHOUT: &str = "this pledger was built without Kafka; build one with it: cargo install --path cli --features kafka";

    pub(crate) fn serve(_: &Cluster, _: &Joining, _: &Context, _: SocketAddr) -> Result<ExitCode> {
        bail!(WITHOUT)
    }

    pub(crate) fn migrate(_: &Path, _: &Cluster, _: &NewTopics, _: &PostgresFlags, _: &Context) -> Result<ExitCode> {
        bail!(WITHOUT)
    }

    pub(crate) fn init(_: &Cluster, _: Slices, _: &NewTopics, _: &Context) -> Result<ExitCode> {
        bail!(WITHOUT)
    }

    pub(crate) fn ledger(_: &Cluster) -> Result<Ledger> {
        bail!(WITHOUT)
    }

    pub(crate) fn topics(_: &Cluster) -> Result<String> {
        bail!(WITHOUT)
    }

    pub(crate) fn waiting(_: &Cluster) -> Result<String> {
        bail!(WITHOUT)
    }

    pub(crate) fn to_read(_: &Cluster, _: &PostgresFlags, _: &Context) -> Result<Assembly> {
        bail!(WITHOUT)
    }

    pub(crate) fn database(_: &PostgresFlags, _: &Context) -> Result<String> {
        bail!(WITHOUT)
    }

    pub(crate) fn to_serve_with(_: &Cluster, _: &PostgresFlags, _: &Context) -> Result<String> {
        bail!(WITHOUT)
    }

    pub(crate) fn key(_: &PostgresFlags, _: &Context) -> Result<LedgerKey> {
        bail!(WITHOUT)
    }

    pub(crate) fn generations(_: &PostgresFlags, _: &Context) -> Result<Arc<dyn Generations>> {
        bail!(WITHOUT)
    }

    pub(crate) fn check_owner(_: &PostgresFlags, _: &str, _: &Context) -> Result<()> {
        bail!(WITHOUT)
    }

    pub(crate) fn order(_: &Cluster, _: &PostgresFlags, _: Order, _: &Context) -> Result<Answered> {
        bail!(WITHOUT)
    }

    pub(crate) fn dead_letters(_: &Cluster, _: Action, _: &Context) -> Result<ExitCode> {
        bail!(WITHOUT)
    }
}
#[cfg(not(feature = "kafka"))]
pub(crate) use without::{
    check_owner, database, dead_letters, generations, init, key, ledger, migrate, order, serve, to_read, to_serve_with, topics, waiting,
};
