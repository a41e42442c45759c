//! Copies a ledger into another log, record by record: the same bytes at the same offsets, chain and all.

use std::{collections::VecDeque, time::Duration};

use crate::{
    log::{Log, LogError, Placed, Producer, UpTo},
    record::Record,
    slices::{Position, SliceId},
    verify::{Verified, VerifyError, verify},
};

/// Records in one batch.
const BATCH: usize = 256;
/// Records that may be under way.
const IN_FLIGHT: usize = 8_192;
/// Records that are compared at once.
const COMPARED: usize = 1_024;
/// How long a record may take to be written.
const TO_WRITE: Duration = Duration::from_secs(60);

/// Why a ledger was not copied. What was copied stays, and the next call goes on behind it.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One of the two logs failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The source is damaged: a copy would be too.
    #[error("the source does not verify")]
    Source(#[source] VerifyError),
    /// The copy does not verify.
    #[error("the copy does not verify")]
    Target(#[source] VerifyError),
    /// The logs have another number of slices.
    #[error("the target has {target} slices and the source {from}")]
    Slices {
        /// The source's.
        from: u16,
        /// The target's.
        target: u16,
    },
    /// The target holds something else.
    #[error("the target holds another record at offset {offset} of slice {slice}: copy into an empty one")]
    NotEmpty {
        /// Where.
        slice: SliceId,
        /// The offset.
        offset: u64,
    },
    /// The target went on by itself.
    #[error(
        "the target was written to since it was copied: slice {slice} goes on there behind the end that it has in the source; {}",
        missing_words(*missing)
    )]
    GoneOn {
        /// The first such slice.
        slice: SliceId,
        /// Records of the source that the target does not have.
        missing: u64,
    },
    /// Somebody wrote to one of the two meanwhile.
    #[error("slice {0} of source and target ends elsewhere: somebody writes to one of them")]
    Moved(SliceId),
    /// A record was not written where it has to be.
    #[error("the record {position} was not written at its offset: {reason}; run it again, to go on or to see what is there")]
    Misplaced {
        /// Which record.
        position: Position,
        /// What was reported.
        reason: String,
    },
}

fn missing_words(missing: u64) -> String {
    match missing {
        0 => "it has everything that the source has, and nothing is left to copy".to_owned(),
        _ => format!(
            "the source went on too, by {missing} records that the target does not have: two ledgers by now, which no copy makes one"
        ),
    }
}

/// What there was to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Records that the target had before.
    pub before: u64,
    /// What was found in the target afterwards.
    pub verified: Verified,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Records that are in the target.
    pub copied: u64,
    /// Records of the source.
    pub all: u64,
}

/// Copies `from` into `to`, which is empty or holds the beginning of such a copy, and verifies both chains. Nobody may write
/// to either meanwhile.
///
/// # Errors
/// `CopyError`.
pub fn copy(from: &dyn Log, to: &dyn Log, tell: &mut dyn FnMut(Progress)) -> Result<Copied, CopyError> {
    let (source, target) = (from.slices().count, to.slices().count);
    if source != target {
        return Err(CopyError::Slices { from: source, target });
    }
    verify(from, None, &mut |_| {}).map_err(CopyError::Source)?;
    let ends = from.slices().all().map(|slice| from.end(slice)).collect::<Result<Vec<_>, _>>()?;
    let there = from.slices().all().map(|slice| common(from, to, slice)).collect::<Result<Vec<_>, _>>()?;
    if let Some(slice) = from.slices().all().find(|slice| there[usize::from(*slice)] > ends[usize::from(*slice)]) {
        let missing = ends.iter().zip(&there).map(|(end, there)| end.saturating_sub(*there)).sum();
        return Err(CopyError::GoneOn { slice, missing });
    }
    let before = there.iter().sum();
    let mut progress = Progress { copied: before, all: ends.iter().sum() };
    tell(progress);
    let mut records = UpTo::ends(from, &there, ends)?;
    let mut sending = Sending { producer: to.producer()?, under_way: VecDeque::new() };
    loop {
        let placed = records.next(BATCH)?;
        if placed.is_empty() {
            break;
        }
        sending.send(placed)?;
        while sending.under_way.len() > IN_FLIGHT {
            progress.copied += sending.settle()?;
            tell(progress);
        }
    }
    while !sending.under_way.is_empty() {
        progress.copied += sending.settle()?;
        tell(progress);
    }
    // What was read back proves more than what was reported.
    for slice in from.slices().all() {
        let end = from.end(slice)?;
        if common(from, to, slice)? != end {
            return Err(CopyError::Moved(slice));
        }
    }
    let verified = verify(to, None, &mut |_| {}).map_err(CopyError::Target)?;
    Ok(Copied { before, verified })
}

/// How many records the target has of a slice; each is the same as the source's, as far as that one goes.
fn common(from: &dyn Log, to: &dyn Log, slice: SliceId) -> Result<u64, CopyError> {
    let (end, mut offset) = (to.end(slice)?, 0);
    let both = end.min(from.end(slice)?);
    while offset < both {
        let (ours, theirs) = (from.read(slice, offset, COMPARED)?, to.read(slice, offset, COMPARED)?);
        for placed in theirs.iter().take_while(|placed| placed.offset < both) {
            let at = usize::try_from(placed.offset - offset).unwrap_or(usize::MAX);
            if ours.get(at) != Some(placed) {
                return Err(CopyError::NotEmpty { slice, offset: placed.offset });
            }
        }
        let Some(last) = theirs.last() else { break };
        offset = last.offset + 1;
    }
    Ok(end)
}

/// Records under way to the target, each with the offset that it has to be given.
struct Sending {
    producer: Box<dyn Producer>,
    under_way: VecDeque<(Position, u64)>,
}

impl Sending {
    fn send(&mut self, placed: Vec<Placed>) -> Result<(), LogError> {
        let expected: Vec<(Position, u64)> = placed.iter().map(|placed| (placed.record.position(), placed.offset)).collect();
        let records: Vec<Record> = placed.into_iter().map(|placed| placed.record).collect();
        self.producer.send(records)?;
        self.under_way.extend(expected);
        Ok(())
    }

    /// Takes reports in; how many records are where they have to be by now.
    fn settle(&mut self) -> Result<u64, CopyError> {
        let reports = self.producer.reports(TO_WRITE);
        let late = || CopyError::Log(LogError::Store(format!("the target reported nothing for {} s", TO_WRITE.as_secs())));
        if reports.is_empty() {
            return Err(late());
        }
        let many = reports.len() as u64;
        for report in reports {
            let position = Position { slice: report.slice, pseq: report.pseq };
            // Slices report in any order, each in its own.
            let at = self.under_way.iter().position(|(sent, _)| *sent == position);
            let Some((_, offset)) = at.and_then(|at| self.under_way.remove(at)) else { continue };
            if report.outcome != Ok(offset) {
                let reason = report.outcome.map_or_else(|reason| reason, |given| format!("it was given {given} in place of {offset}"));
                return Err(CopyError::Misplaced { position, reason });
            }
        }
        Ok(many)
    }
}
