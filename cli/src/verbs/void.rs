//! Void records, for `pledger doctor`: foreign ones, and what writers that were replaced left behind. Every reader passes over them.

use anyhow::Result;
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    log::{Log, LogError},
    slices::SliceId,
};
use pledger_projections::store::Cursor;

use crate::{ledger::ends, output};

/// Records that are read at once.
const READ: usize = 4_096;
/// The void records that are named of a slice: its first ones.
const NAMED: usize = 3;

/// How many records are void in which slice, and why each of the first ones is. `heads` saves a look at the slices that have none.
pub(super) fn told(log: &dyn Log, heads: Option<Vec<Cursor>>) -> Result<String> {
    let found = match heads {
        Some(heads) => of_heads(log, &heads)?,
        None => of_all(log)?,
    };
    let all: u64 = found.iter().map(|(_, void)| void.count).sum();
    if all == 0 {
        return Ok("no record is void".to_owned());
    }
    let (counts, named): (Vec<String>, Vec<String>) =
        found.iter().map(|(slice, void)| (format!("{} in slice {slice}", void.count), void.named.concat())).unzip();
    let counts = counts.join(", ");
    Ok(format!("{all} records are void: {counts}; none was acknowledged, and every reader passes over them{}", named.concat()))
}

/// The void records of a slice.
#[derive(Default)]
struct Void {
    count: u64,
    /// A line for each of the first ones.
    named: Vec<String>,
}

/// By reading the ledger through.
fn of_all(log: &dyn Log) -> Result<Vec<(SliceId, Void)>> {
    let progress = output::progress("void records", ends(log)?);
    let mut found = Vec::new();
    for slice in log.slices().all() {
        let void = read(log, slice, None, |count| progress.inc(count))?;
        if void.count > 0 {
            found.push((slice, void));
        }
    }
    progress.finish_and_clear();
    Ok(found)
}

/// By what a fold counted: only slices that have void records are read, until the first ones are found.
fn of_heads(log: &dyn Log, heads: &[Cursor]) -> Result<Vec<(SliceId, Void)>> {
    let counts = heads.iter().map(|(slice, head)| (*slice, head.next_offset - head.next_pseq)).filter(|(_, count)| *count > 0);
    counts.map(|(slice, count)| Ok((slice, Void { count, ..read(log, slice, Some(count), |_| {})? }))).collect()
}

/// Reads a slice to its end, or until the first void records are named where it is known how many there are.
fn read(log: &dyn Log, slice: SliceId, known: Option<u64>, on_read: impl Fn(u64)) -> Result<Void, LogError> {
    let enough = known.map(|count| usize::try_from(count).unwrap_or(NAMED).min(NAMED));
    let (mut head, mut void) = (ChainHead::default(), Void::default());
    while enough != Some(void.named.len()) {
        let placed = log.read(slice, head.next_offset, READ)?;
        let Some(last) = placed.last().map(|placed| placed.offset) else { break };
        on_read(placed.len() as u64);
        for one in placed {
            if let Verdict::Void(reason) = head.accept(one.offset, &one.record) {
                void.count += 1;
                if void.named.len() < NAMED {
                    void.named.push(format!("\n      slice {slice}, offset {}: {reason}", one.offset));
                }
            }
        }
        head.next_offset = last + 1;
    }
    Ok(void)
}

#[cfg(test)]
mod tests {
    use pledger_ledger::{
        memory::MemoryLog,
        record::{Hash, Record},
    };

    use super::*;

    #[test]
    fn void_records_are_named_with_their_reason_whether_or_not_a_fold_counted_them() {
        let log = MemoryLog::default();
        assert_eq!(told(&log, None).expect("read"), "no record is void");
        let body = || "{}".into();
        let opened = Record::chain(5, 0, 2, Hash::default(), body());
        let late = Record::chain(5, 1, 1, opened.header.hash, body());
        let next = Record::chain(5, 1, 2, opened.header.hash, body());
        let foreign = || Record::chain(7, Record::NO_PSEQ, 0, Hash::default(), body());
        log.append([opened, late, next.clone()]);
        log.append((0..4).map(|_| foreign()));
        let expected = "5 records are void: 1 in slice 5, 4 in slice 7; none was acknowledged, and every reader passes over them\n      \
             slice 5, offset 1: its writer had been replaced\n      \
             slice 7, offset 0: it is no record of pledger's: something else wrote to the ledger's topic\n      \
             slice 7, offset 1: it is no record of pledger's: something else wrote to the ledger's topic\n      \
             slice 7, offset 2: it is no record of pledger's: something else wrote to the ledger's topic";
        assert_eq!(told(&log, None).expect("read"), expected);
        let of_five = ChainHead { next_pseq: 2, next_offset: 3, term: 2, hash: next.header.hash };
        let heads = vec![(5, of_five), (7, ChainHead { next_offset: 4, ..ChainHead::default() })];
        assert_eq!(told(&log, Some(heads)).expect("read"), expected);
    }
}
