//! The partitions that are ours.

use std::{collections::BTreeMap, sync::Arc};

use pledger_ledger::{
    inbox::{Inbox, Message, Place},
    log::LogError,
};

use super::{IngestDesk, lane::Lane};

/// The partitions that are ours, as far as something came of them.
pub(super) struct Lanes {
    desk: Arc<IngestDesk>,
    lanes: BTreeMap<u32, Lane>,
}

impl Lanes {
    pub(super) const fn new(desk: Arc<IngestDesk>) -> Self {
        Self { desk, lanes: BTreeMap::new() }
    }

    /// Hands a message to its partition's thread.
    pub(super) fn push(&mut self, message: Message, inbox: &mut dyn Inbox) -> Result<(), LogError> {
        let place = message.place;
        let lane = match self.lanes.entry(place.partition) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => {
                let lane = Lane::start(&self.desk, place);
                free.insert(lane.map_err(|error| LogError::Store(format!("no thread for a partition of the inbox: {error}")))?)
            }
        };
        if lane.push(message) && !lane.paused {
            lane.paused = true;
            inbox.pause(place.partition);
        }
        Ok(())
    }

    /// A partition went to somebody else.
    pub(super) fn lose(&mut self, partition: u32) {
        if let Some(lane) = self.lanes.remove(&partition) {
            lane.close();
        }
    }

    /// Lets partitions with room go on.
    ///
    /// # Errors
    /// Where the thread of a partition failed.
    pub(super) fn look_after(&mut self, inbox: &mut dyn Inbox) -> Result<(), LogError> {
        for (partition, lane) in &mut self.lanes {
            if lane.has_failed() {
                return Err(LogError::Store(format!("the thread of partition {partition} of the inbox failed")));
            }
            if lane.paused && lane.has_room() {
                lane.paused = false;
                inbox.resume(*partition);
            }
        }
        Ok(())
    }

    /// The places that have moved since they were asked for.
    pub(super) fn progress(&mut self) -> Vec<Place> {
        self.lanes.values_mut().filter_map(Lane::progress).collect()
    }

    /// Waits for what is on its way, and ends.
    pub(super) fn close(&mut self) {
        self.lanes.values().for_each(Lane::close);
        self.lanes.values_mut().for_each(Lane::join);
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.close();
    }
}
