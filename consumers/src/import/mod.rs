//! History from before the ledger: files of rows become commands with their own dates.
//!
//! A mapping (`mapping.toml`) says what each row stands for. The import expands every row into commands, sorts them by
//! stream and effective time (on disk where they are many), and sends them in that order on the channel `import`.

mod expand;
mod mapping;
mod report;
mod rows;
mod sort;
mod sources;
mod template;

pub use expand::{Expansion, PersonIds};
pub use mapping::{InvalidMapping, Mapping};
pub use report::ImportReport;
pub use sort::{SortedCommands, Sorter};
pub use sources::Sources;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The mapping of the CRM sales-opportunities export that comes with pledger, by its name.
pub const CRM_MAPPING: (&str, &str) = ("crm", include_str!("crm.toml"));

/// The key that a mapping's rules are published by.
pub const RULES_KEY: &str = "rules";

/// A command that a row stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCommand {
    /// What the import sorts by.
    pub order: ImportOrder,
    /// The command's name.
    pub name: String,
    /// Its payload, JSON.
    pub payload: String,
    /// The idempotency key: the mapping's rule and the row's own id.
    pub key: String,
    /// When it is true in the business, RFC 3339.
    pub effective_at: String,
    /// Where it comes from: `file:line`.
    pub place: String,
}

impl ImportCommand {
    /// The same, under a key that follows from what it says: for rules that are others than in an earlier run.
    #[must_use]
    pub fn keyed_by_content(&self) -> Self {
        let digest: String = Sha256::digest(&self.payload).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { key: format!("{}:{digest}", self.key), ..self.clone() }
    }
}

/// The order in which commands are sent: reference streams first, each stream by effective time, opening commands last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ImportOrder {
    /// Whether it opens what is alive on moving day: decided under today's rules, after all history.
    pub opening: bool,
    /// 0 the program, 1 partners, 2 everything else.
    pub rank: u8,
    /// The stream.
    pub stream: String,
    /// Microseconds of the effective time.
    pub effective_us: i64,
    /// The place in the expansion.
    pub sequence: u64,
}
