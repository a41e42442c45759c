//! Read models in a schema of their own.

use std::{sync::Arc, time::Duration};

use pledger_projections::{
    digest::TableDigest,
    engine::{Engine, Options, Stored},
    generation::PostgresGenerations,
    table::Places,
};

use crate::given::Ledger;
pub(crate) use crate::schemas::InPostgres;

pub(crate) const LONG: Duration = Duration::from_secs(60);

impl InPostgres {
    /// The same server, another database.
    pub(crate) fn in_database(&self, database: &str) -> Self {
        let server = self.url.split_once('?').map_or(self.url.as_str(), |(server, _)| server);
        Self::new(&format!("{}/{database}", server.rsplit_once('/').expect("a database").0))
    }

    pub(crate) fn generations(&self) -> PostgresGenerations {
        PostgresGenerations::of(self.options())
    }

    pub(crate) fn open(&self, ledger: &Ledger, options: Options) -> Engine {
        Engine::open_in(&self.generations(), Arc::new(ledger.clone()), options).expect("it starts")
    }

    /// An engine that has taken everything in.
    pub(crate) fn caught_up(&self, ledger: &Ledger, options: Options) -> Engine {
        let engine = self.open(ledger, options);
        assert!(engine.wait_until_caught_up(LONG, |_| {}), "{:?}", engine.status());
        engine
    }

    pub(crate) fn stored(&self) -> Stored {
        Stored::open_all_in(&self.generations()).expect("read").expect("there is one")
    }

    pub(crate) fn stored_digests(&self) -> Vec<TableDigest> {
        self.stored().digests(Places::Covered)
    }
}

pub(crate) fn options(workers: usize) -> Options {
    Options { workers, rules_wait: Duration::ZERO, ..Options::default() }
}

/// The digests of a fold in memory.
pub(crate) fn digests(ledger: &Ledger) -> Vec<TableDigest> {
    let engine = Engine::in_memory(Arc::new(ledger.clone()), options(1)).expect("it starts");
    assert!(engine.wait_until_caught_up(LONG, |_| {}));
    engine.digests(Places::Covered)
}
