//! Read models in a schema of their own.

use pledger_projections::{
    digest::TableDigest,
    engine::{Engine, Options, Stored},
    generation::PostgresGenerations,
};

pub(crate) use crate::schemas::InPostgres;
use crate::{given::Ledger, keeping};

impl InPostgres {
    /// The same server, another database.
    pub(crate) fn in_database(&self, database: &str) -> Self {
        let server = self.url.split_once('?').map_or(self.url.as_str(), |(server, _)| server);
        Self::new(&format!("{}/{database}", server.rsplit_once('/').expect("a database").0))
    }

    pub(crate) fn generations(&self) -> PostgresGenerations {
        PostgresGenerations::of(self.options())
    }

    /// An engine that has taken everything in.
    pub(crate) fn caught_up(&self, ledger: &Ledger, options: Options) -> Engine {
        keeping::caught_up(&self.generations(), ledger, options)
    }

    pub(crate) fn stored(&self) -> Stored {
        keeping::stored(&self.generations())
    }

    pub(crate) fn stored_digests(&self) -> Vec<TableDigest> {
        keeping::stored_digests(&self.generations())
    }
}
