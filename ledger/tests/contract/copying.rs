//! A ledger is copied to any engine, chain and all.

use pledger_ledger::{
    copy::{CopyError, Progress, copy},
    log::{Log, Placed, UpTo},
    memory::MemoryLog,
    record::Record,
};

use super::Home;
use crate::{
    chains::{append, head, read_all},
    decisions::{Scribe, created},
};

/// A ledger with decisions in every slice, and late records of a deposed writer among them.
fn source(decisions: usize) -> MemoryLog {
    let log = MemoryLog::new(created());
    let mut scribe = Scribe::new(log.slices(), log.slices().all().map(|slice| head(&log, slice)).collect());
    let mut records: Vec<Record> = log.slices().all().map(|slice| scribe.open(slice)).collect();
    for number in 0..decisions {
        records.push(scribe.decide(0));
        if number % 50 == 7 {
            // It has the sequence of one that is there.
            let late = records[number / 2].clone();
            records.push(late);
        }
    }
    append(&log, vec![records]);
    log
}

fn all(log: &dyn Log) -> Vec<Vec<Placed>> {
    log.slices().all().map(|slice| read_all(log, slice)).collect()
}

pub(super) fn a_ledger_is_copied_to_the_byte(home: &dyn Home) {
    let (from, to) = (source(3_000), super::create(home));
    let mut told: Vec<Progress> = Vec::new();
    let copied = copy(&from, &*to, &mut |progress| told.push(progress)).expect("copied");
    assert_eq!(all(&*to), all(&from));
    assert_eq!((copied.before, copied.verified.void), (1, 60));
    let last = told.last().expect("it is told");
    assert_eq!((last.copied, last.all), (3_065, 3_065));
    assert!(told.windows(2).all(|pair| pair[0].copied <= pair[1].copied));
    let again = copy(&from, &*to, &mut |progress| assert_eq!(progress.copied, progress.all, "nothing is left to do"));
    assert_eq!(again.expect("it is there").before, 3_065);
    assert_eq!(all(&*to), all(&from));
}

/// A writer takes these slices over.
fn take_over(log: &dyn Log, slices: &[u16]) {
    let mut scribe = Scribe::new(log.slices(), log.slices().all().map(|slice| head(log, slice)).collect());
    append(log, vec![slices.iter().map(|slice| scribe.open(*slice)).collect()]);
}

pub(super) fn what_came_since_is_copied_and_a_target_that_went_on_is_told(home: &dyn Home) {
    let (from, to) = (MemoryLog::new(created()), super::create(home));
    take_over(&from, &[0, 1, 2, 3]);
    copy(&from, &*to, &mut |_| {}).expect("copied");
    take_over(&from, &[0, 3]);
    let more = copy(&from, &*to, &mut |_| {}).expect("copied");
    assert_eq!((more.before, more.verified.records), (5, 7));
    take_over(&*to, &[1]);
    let went_on = all(&*to);
    let ahead = copy(&from, &*to, &mut |_| {});
    assert!(matches!(ahead, Err(CopyError::GoneOn { slice: 1, missing: 0 })), "{ahead:?}");
    take_over(&from, &[2, 3]);
    let apart = copy(&from, &*to, &mut |_| {});
    assert!(matches!(apart, Err(CopyError::GoneOn { slice: 1, missing: 2 })), "{apart:?}");
    assert_eq!(all(&*to), went_on, "nothing was written");
}

pub(super) fn a_copy_that_was_cut_off_goes_on(home: &dyn Home) {
    let (from, to) = (source(1_000), super::create(home));
    // Some of every slice, as it may have landed.
    let begun = UpTo::ends(&from, &[1, 0, 0, 0], vec![2, 7, 0, 199]).and_then(|mut records| {
        let mut begun = Vec::new();
        loop {
            let placed = records.next(100)?;
            if placed.is_empty() {
                return Ok(begun);
            }
            begun.push(placed.into_iter().map(|placed| placed.record).collect());
        }
    });
    append(&*to, begun.expect("read"));
    let mut first = None;
    copy(&from, &*to, &mut |progress| {
        first.get_or_insert(progress.copied);
    })
    .expect("copied");
    assert_eq!(first, Some(208));
    assert_eq!(all(&*to), all(&from));
}

pub(super) fn nothing_is_copied_over_another_ledger(home: &dyn Home) {
    let (from, to) = (source(100), super::create(home));
    let mut scribe = Scribe::new(to.slices(), to.slices().all().map(|slice| head(&*to, slice)).collect());
    let other = vec![scribe.open(2), scribe.open(2)];
    append(&*to, vec![other]);
    let before = all(&*to);
    // The first record of a term says the same in both; the second one does not.
    let refused = copy(&from, &*to, &mut |_| {});
    assert!(matches!(refused, Err(CopyError::NotEmpty { slice: 2, offset: 1 })), "{refused:?}");
    assert_eq!(all(&*to), before);
}
