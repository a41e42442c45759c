//! Parked streams: what a record that could not be taken in keeps from being folded.

use compact_str::CompactString;
use pledger_ledger::slices::Position;

use crate::{
    row,
    shard::At,
    table::{AnyTable, Table},
};

/// Characters of a reason that are kept.
const MAX_REASON: usize = 1000;

row! {
    /// A stream of which nothing more is folded, because one of its records could not be taken in.
    ParkedStream keyed ParkedKey in "parked" {
        key {
            /// The stream's name; the record's position where not even that could be read.
            stream: CompactString,
        }
        /// The record that could not be taken in.
        since: Position,
        /// Why.
        reason: CompactString,
        /// How many later records of the stream were left out.
        left_out: u64,
    }
}

/// The parked streams of a shard.
#[derive(Debug, Default)]
pub struct Parked {
    /// By stream.
    pub streams: Table<ParkedStream>,
}

impl Parked {
    /// Parks a stream at a record that could not be taken in; where it is parked already, the record is left out as well.
    pub fn park(&mut self, stream: Option<&str>, at: &At<'_>, reason: &str) {
        // What cannot be read may hold anything; rows hold printable text.
        let printable = |text: &str| text.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect::<CompactString>();
        let stream = stream.map_or_else(|| CompactString::from(at.position.to_string()), printable);
        if self.leaves_out(&stream, at) {
            return;
        }
        let make = || ParkedStream { since: at.position, reason: printable(reason), left_out: 0 };
        self.streams.upsert(ParkedKey { stream }, at, make);
    }

    /// Counts a record that is left out because its stream is parked; whether it is.
    pub fn leaves_out(&mut self, stream: &str, at: &At<'_>) -> bool {
        // Nearly always there is none.
        if self.streams.is_empty() {
            return false;
        }
        let parked = self.streams.change(&ParkedKey { stream: CompactString::new(stream) }, at);
        parked.map(|parked| parked.left_out += 1).is_some()
    }

    /// The row of a parked stream.
    #[must_use]
    pub fn row(&self, stream: &str) -> Option<&ParkedStream> {
        self.streams.get(&ParkedKey { stream: CompactString::new(stream) })
    }

    /// Lets a stream be folded again, from where it was parked on: what was left out has to be folded first.
    pub fn release(&mut self, stream: &str) {
        self.streams.take_out(&ParkedKey { stream: CompactString::new(stream) });
    }

    /// Since when the stream `kind/key` is parked.
    #[must_use]
    pub fn since(&self, kind: &str, key: &str) -> Option<Position> {
        if self.streams.is_empty() {
            return None;
        }
        let stream = compact_str::format_compact!("{kind}/{key}");
        self.streams.get(&ParkedKey { stream }).map(|parked| parked.since)
    }

    /// Its tables.
    #[must_use]
    pub fn tables(&self) -> Vec<&dyn AnyTable> {
        vec![&self.streams]
    }

    /// Its tables, to load and to write them.
    #[must_use]
    pub fn tables_mut(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut self.streams]
    }
}
