//! What is known of a generation besides its rows, and who fills one.

use std::fmt;

use pledger_domain::values::Timestamp;
use pledger_ledger::slices::SliceId;
use serde::{Deserialize, Serialize};

use super::{GenerationNumber, Generations, fingerprint};

/// What a generation is for, and how far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// How far it is.
    #[serde(default)]
    pub state: State,
    /// The projections that were to change: others have to come out as they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projections: Vec<String>,
    /// The version of the rules that it is folded under, in place of those that decisions name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules_version: Option<u32>,
    /// When it was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<Timestamp>,
    /// It holds what was recorded by then, and nothing else: a checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_at: Option<Timestamp>,
    /// Of a checkpoint, the slices with a decision that is effective only after it, and the latest such time of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ahead: Vec<(SliceId, Timestamp)>,
    /// The generation that it was put in use for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<GenerationNumber>,
}

/// How far a generation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was made to be in use from its beginning, or is.
    #[default]
    Followed,
    /// It is filled beside the one in use.
    Filling,
    /// It was filled up to the ledger's end at least once.
    Ready,
}

/// Who fills a generation; nobody else may, until this is dropped.
pub trait Hold: Send {}

/// Somebody else fills a generation already.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process, on its machine.
    pub pid: u32,
    /// The machine, where it may be another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// Since when.
    pub since: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        self.on.as_ref().map_or(Ok(()), |on| write!(f, " on {on}"))
    }
}

/// Whether a generation beside the one in use was filled, by these folds.
pub fn is_ready(generations: &dyn Generations, generation: GenerationNumber) -> bool {
    let is_ready = generations.note(generation).is_ok_and(|note| note.state == State::Ready);
    is_ready && generations.open(generation, super::Access::Read).is_ok_and(|mut store| store.fingerprint().ok() == Some(fingerprint()))
}
