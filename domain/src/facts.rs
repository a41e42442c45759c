//! What a decision may know besides the state of its own stream.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{partner::Partner, rules::RuleSet, values::Timestamp};

/// How a command came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Over HTTP or from the command line.
    Api,
    /// From a service's event.
    Ingest,
    /// From a file of history.
    Import,
    /// From a policy, in answer to a decision.
    Policy,
    /// From the scheduler, because something fell due.
    Deadline,
}

/// Time, the rules in force and the reference facts of one decision.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When the command was received: the only "now" there is.
    pub now: Timestamp,
    /// When it is true in the business, before `CommandPayload::builds_on` is applied.
    pub effective_at: Timestamp,
    /// How the command came in.
    pub channel: Channel,
    /// Whether this is history from before the ledger: it grants no protection and no funds of today.
    pub historical: bool,
    /// The rules that decide.
    pub rules: Arc<RuleSet>,
    /// The partner that `CommandPayload::relies_on` named, where it is known.
    pub partner: Option<Arc<Partner>>,
}
