//! What is recorded in the stream `program`.

use serde::{Deserialize, Serialize};

use crate::values::{Label, Timestamp};

/// An event of the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum ProgramEvent {
    /// A version of the rules was published.
    RulesPublished {
        /// 1, 2, 3, ...
        version: u32,
        /// From when it governs.
        effective_from: Timestamp,
        /// The program's name.
        name: Label,
        /// The whole `program.toml`.
        program: String,
    },
}
