//! The streams `cost/<partner_id>` and `cost/program`: what the program costs (F72).

mod event;
mod record_program_cost;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use event::{CostEvent, CostKind};
pub use record_program_cost::RecordProgramCost;

use crate::{
    stream::{Stream, StreamKind},
    values::{CostId, Timestamp},
};

/// The costs recorded so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    recorded: BTreeSet<CostId>,
}

impl Cost {
    /// Whether this cost is recorded.
    #[must_use]
    pub fn is_recorded(&self, id: &CostId) -> bool {
        self.recorded.contains(id)
    }
}

impl Stream for Cost {
    const KIND: StreamKind = StreamKind::Cost;
    type Event = CostEvent;

    fn evolve(&mut self, event: &CostEvent, _at: Timestamp) {
        match event {
            CostEvent::ProgramCostRecorded { cost_id, .. } => {
                self.recorded.insert(cost_id.clone());
            }
        }
    }
}
