//! One ledger that grows from stage to stage, so that the same history is measured at several lengths.

use std::path::{Path, PathBuf};

use anyhow::Result;
use pledger_ledger::log::Log;

use crate::{
    measures::processor::in_turn,
    progress,
    running::{Pipe, Running, check},
    workload::{Lane, Sent},
};

/// Lanes of the growing ledger.
const LANES: u64 = 512;
/// Commands that are prepared at once.
const CHUNK: usize = 20_000;
/// Submissions under way.
const UNDER_WAY: usize = 60;

/// A ledger in a folder, closed between two stages.
pub(crate) struct Growing {
    folder: PathBuf,
    lanes: Vec<Lane>,
    decisions: u64,
}

impl Growing {
    pub(crate) fn create(folder: PathBuf) -> Result<Self> {
        let running = Running::create(&folder)?;
        let growing = Self { folder, lanes: Lane::all(LANES, 0, running.today), decisions: recorded(&running)? };
        running.stop();
        Ok(growing)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) const fn decisions(&self) -> u64 {
        self.decisions
    }

    /// Lanes that go on where the history ends.
    pub(crate) fn lanes(&mut self) -> &mut [Lane] {
        &mut self.lanes
    }

    /// Adds decisions until there are about `decisions`, and closes the ledger.
    pub(crate) fn grow(&mut self, decisions: u64) -> Result<()> {
        if self.decisions >= decisions {
            return Ok(());
        }
        let running = Running::open(&self.folder)?;
        let mut pipe = Pipe::new(running.sink(), UNDER_WAY)?;
        let mut before: Vec<Sent> = Vec::new();
        while self.decisions < decisions {
            let left = usize::try_from(decisions - self.decisions).unwrap_or(CHUNK);
            let sent = in_turn(&mut self.lanes, left.min(CHUNK));
            let mut envelopes = running.prepare(&sent)?.into_iter();
            // What is prepared now is decided while the next is prepared.
            check(&before, &pipe.finish()?)?;
            while envelopes.len() > 0 {
                pipe.send(envelopes.by_ref().take(LANES as usize).collect())?;
            }
            self.decisions += sent.len() as u64;
            before = sent;
            if self.decisions.is_multiple_of(500_000) {
                progress(&format!("a ledger of {} decisions", self.decisions));
            }
        }
        check(&before, &pipe.finish()?)?;
        self.decisions = recorded(&running)?;
        running.stop();
        progress(&format!("a ledger of {} decisions", self.decisions));
        Ok(())
    }
}

fn recorded(running: &Running) -> Result<u64> {
    let ends: Result<Vec<u64>, _> = running.log.slices().all().map(|slice| running.log.end(slice)).collect();
    Ok(ends?.iter().sum())
}
