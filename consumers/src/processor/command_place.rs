//! Where a slice stands in the commands topic.

use pledger_domain::values::Timestamp;

/// How many commands may leave no record before a record says so.
const MAX_PASSED: u64 = 10_000;
/// How long the first of them may have been passed.
const MAX_PASSED_HOURS: i64 = 24;

/// Where a slice stands in the commands topic. A slice whose commands come from elsewhere stays at its beginning.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommandPlace {
    /// `next_command` of the last acknowledged or re-read record.
    pub(crate) settled: Option<u64>,
    /// The command after the last one that was decided or passed: what the next record before it says.
    pub(crate) next: u64,
    /// How many commands were passed since the last record.
    passed: u64,
    /// When the first of them was.
    passed_since: Option<Timestamp>,
    /// Commands have to be taken again from `next` on: what comes meanwhile lies behind a gap.
    pub(crate) rewound: bool,
}

impl CommandPlace {
    /// A record was framed for the command at `offset`, or opens the term before it.
    pub(crate) const fn recorded(&mut self, next: u64) {
        self.next = next;
        self.passed = 0;
        self.passed_since = None;
    }

    /// A command left no record of its own.
    pub(crate) fn pass(&mut self, offset: u64, now: Timestamp) {
        self.next = offset + 1;
        self.passed += 1;
        self.passed_since.get_or_insert(now);
    }

    /// Whether it is time for a record of what was passed.
    pub(crate) fn wants_record(&self, now: Timestamp) -> bool {
        self.passed >= MAX_PASSED || self.passed_since.is_some_and(|since| now >= since.plus_hours(MAX_PASSED_HOURS))
    }

    /// A record is acknowledged, or was read.
    pub(crate) fn settle(&mut self, next_command: Option<u64>) {
        self.settled = next_command.or(self.settled);
    }

    /// A record of somebody else was read: what it speaks of is not ours to decide any more.
    pub(crate) fn catch_up(&mut self) {
        self.next = self.next.max(self.settled.unwrap_or(0));
    }

    /// Goes back to what the ledger says.
    pub(crate) fn rewind_to_settled(&mut self) {
        self.rewind(self.settled.unwrap_or(0));
    }

    /// Goes back to a command.
    pub(crate) const fn rewind(&mut self, offset: u64) {
        self.recorded(offset);
        self.rewound = true;
    }
}
