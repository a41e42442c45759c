//! What every engine promises of its log: one suite, run on each of them.

mod copying;
pub(crate) mod writers;

use std::{collections::BTreeMap, time::Duration};

use pledger_domain::stream::StreamName;
use pledger_ledger::{
    log::{Log, LogError, Placed, UpTo},
    record::Record,
    verify::verify,
};

use crate::chains::{Chains, append, head, read_all, reports};

const SECOND: Duration = Duration::from_secs(1);
/// Long enough for any engine on a busy machine.
const LONG: Duration = Duration::from_secs(30);

/// A place where one ledger can be: a directory, a prefix of topics.
pub(crate) trait Home: Send + Sync {
    /// Creates the ledger of `decisions::created`.
    fn create(&self) -> Result<Box<dyn Log>, LogError>;
    /// Opens it to write.
    fn open(&self) -> Result<Box<dyn Log>, LogError>;
    /// Opens it to read, beside a writer.
    fn beside(&self) -> Result<Box<dyn Log>, LogError>;
}

/// A promise, and the test of it.
pub(crate) type Case = (&'static str, fn(&dyn Home));

/// All of them.
pub(crate) const CASES: &[Case] = &[
    ("what_is_sent_reads_back_at_the_reported_offset", what_is_sent_reads_back_at_the_reported_offset),
    ("a_tail_sees_every_slice_in_order", a_tail_sees_every_slice_in_order),
    ("a_tail_begins_where_it_is_told", a_tail_begins_where_it_is_told),
    ("a_tail_of_some_slices_has_all_of_them_and_no_other", a_tail_of_some_slices_has_all_of_them_and_no_other),
    ("a_tail_waits_for_what_is_sent", a_tail_waits_for_what_is_sent),
    ("a_stream_is_read_without_its_neighbours", a_stream_is_read_without_its_neighbours),
    ("streams_are_read_one_after_the_other", streams_are_read_one_after_the_other),
    ("a_reader_beside_the_writer_sees_what_is_new", a_reader_beside_the_writer_sees_what_is_new),
    ("reopening_reads_to_the_end_and_goes_on", reopening_reads_to_the_end_and_goes_on),
    ("many_batches_in_flight_are_reported_in_order", many_batches_in_flight_are_reported_in_order),
    ("what_the_log_cannot_hold_is_refused_whole", what_the_log_cannot_hold_is_refused_whole),
    ("what_lands_of_a_dropped_producer_is_a_beginning", what_lands_of_a_dropped_producer_is_a_beginning),
    ("a_ledger_is_created_once", a_ledger_is_created_once),
    ("workers_of_an_async_runtime_may_use_it", workers_of_an_async_runtime_may_use_it),
    ("a_ledger_is_copied_to_the_byte", copying::a_ledger_is_copied_to_the_byte),
    ("what_came_since_is_copied_and_a_target_that_went_on_is_told", copying::what_came_since_is_copied_and_a_target_that_went_on_is_told),
    ("a_copy_that_was_cut_off_goes_on", copying::a_copy_that_was_cut_off_goes_on),
    ("nothing_is_copied_over_another_ledger", copying::nothing_is_copied_over_another_ledger),
    ("a_deposed_writers_late_batch_is_void", writers::a_deposed_writers_late_batch_is_void),
    ("a_term_opens_only_at_the_end_that_was_read", writers::a_term_opens_only_at_the_end_that_was_read),
    ("a_restarted_writer_takes_its_slices_over", writers::a_restarted_writer_takes_its_slices_over),
];

fn create(home: &dyn Home) -> Box<dyn Log> {
    home.create().expect("a new ledger")
}

fn ends(log: &dyn Log) -> Vec<u64> {
    log.slices().all().map(|slice| log.end(slice).expect("an end")).collect()
}

fn what_is_sent_reads_back_at_the_reported_offset(home: &dyn Home) {
    let log = create(home);
    let mut chains = Chains::of(&*log);
    let batches: Vec<_> = [1, 64, 7, 256, 3].map(|count| chains.batch(count)).to_vec();
    let sent: BTreeMap<_, Record> = batches.iter().flatten().map(|record| (record.position(), record.clone())).collect();
    let reports = append(&*log, batches);
    assert_eq!(reports.len(), sent.len());
    for report in reports {
        let offset = report.outcome.expect("delivered");
        let record = &sent[&pledger_ledger::slices::Position { slice: report.slice, pseq: report.pseq }];
        assert_eq!(report.term, record.header.term);
        assert_eq!(log.read(report.slice, offset, 1).expect("readable"), [Placed { offset, record: record.clone() }]);
    }
    assert_eq!(ends(&*log), chains.heads.iter().map(|head| head.next_offset).collect::<Vec<_>>());
    for slice in log.slices().all() {
        let all = read_all(&*log, slice);
        let end = all.len() as u64;
        assert!(log.read(slice, end, 10).expect("readable").is_empty());
        assert!(log.read(slice, 0, 0).expect("readable").is_empty());
        // In pages too, and from anywhere.
        let pages: Vec<_> = (0..end).step_by(50).flat_map(|offset| log.read(slice, offset, 50).expect("readable")).collect();
        assert_eq!(pages, all);
        let middle = all.len() / 2;
        assert_eq!(log.read(slice, middle as u64, 3).expect("readable"), all[middle..all.len().min(middle + 3)]);
    }
}

fn a_tail_sees_every_slice_in_order(home: &dyn Home) {
    let log = create(home);
    let mut chains = Chains::of(&*log);
    append(&*log, (0..30).map(|size| chains.batch(size * 7 % 40 + 1)).collect());
    let mut up_to = UpTo::the_end(&*log, &[]).expect("a tail");
    let mut seen: Vec<Vec<Placed>> = vec![Vec::new(); usize::from(log.slices().count)];
    loop {
        let placed = up_to.next(100).expect("readable");
        if placed.is_empty() {
            break;
        }
        placed.into_iter().for_each(|placed| seen[usize::from(placed.record.header.slice)].push(placed));
    }
    for slice in log.slices().all() {
        assert_eq!(seen[usize::from(slice)], read_all(&*log, slice));
    }
}

fn a_tail_begins_where_it_is_told(home: &dyn Home) {
    let log = create(home);
    let mut chains = Chains::of(&*log);
    append(&*log, (0..20).map(|_| chains.batch(10)).collect());
    let from: Vec<u64> = ends(&*log).into_iter().map(|end| end / 2).collect();
    let mut up_to = UpTo::the_end(&*log, &from).expect("a tail");
    let mut next = from;
    loop {
        let placed = up_to.next(7).expect("readable");
        if placed.is_empty() {
            break;
        }
        for placed in placed {
            let slice = placed.record.header.slice;
            assert_eq!(placed.offset, next[usize::from(slice)]);
            assert_eq!(log.read(slice, placed.offset, 1).expect("readable"), [placed]);
            next[usize::from(slice)] += 1;
        }
    }
    assert_eq!(next, ends(&*log));
    // From the end on there is nothing, until something is sent.
    let mut tail = log.tail(&next).expect("a tail");
    assert!(tail.next(100, Duration::from_millis(200)).expect("readable").is_empty());
    let batch = chains.batch(1);
    append(&*log, vec![batch.clone()]);
    assert_eq!(tail.next(100, LONG).expect("readable").into_iter().map(|placed| placed.record).collect::<Vec<_>>(), batch);
}

fn a_tail_of_some_slices_has_all_of_them_and_no_other(home: &dyn Home) {
    let log = create(home);
    let mut chains = Chains::of(&*log);
    // A record a batch, so that many batches hold nothing of any one slice, and some hold several.
    append(&*log, [1; 40].into_iter().chain([30, 1, 90, 1, 1]).map(|count| chains.batch(count)).collect());
    let ends = ends(&*log);
    let slices: Vec<_> = log.slices().all().collect();
    for some in [&slices[..1], &slices[1..3], &slices[..]] {
        let mut records = UpTo::ends_of(&*log, some, ends.clone()).expect("a tail");
        let mut read: BTreeMap<_, Vec<Placed>> = BTreeMap::new();
        loop {
            let placed = records.next(7).expect("readable");
            if placed.is_empty() {
                break;
            }
            placed.into_iter().for_each(|one| read.entry(one.record.header.slice).or_default().push(one));
        }
        for slice in &slices {
            let expected = if some.contains(slice) { read_all(&*log, *slice) } else { Vec::new() };
            assert_eq!(read.remove(slice).unwrap_or_default(), expected, "slice {slice} of {some:?}");
        }
        // In the middle, and what is sent later.
        let places: Vec<_> = some.iter().map(|slice| (*slice, ends[usize::from(*slice)] / 2)).collect();
        let wanted: u64 = places.iter().map(|(slice, from)| ends[usize::from(*slice)] - from).sum();
        let mut tail = log.tail_of(&places).expect("a tail");
        let mut seen = Vec::new();
        while (seen.len() as u64) < wanted {
            let placed = tail.next(5, LONG).expect("readable");
            assert!(!placed.is_empty(), "{} of {wanted} came", seen.len());
            seen.extend(placed);
        }
        for (slice, from) in places {
            let of: Vec<_> = seen.iter().filter(|one| one.record.header.slice == slice).cloned().collect();
            assert_eq!(of, read_all(&*log, slice)[usize::try_from(from).expect("short")..]);
        }
    }
}

fn a_tail_waits_for_what_is_sent(home: &dyn Home) {
    let log = create(home);
    let mut tail = log.tail(&ends(&*log)).expect("a tail");
    let waiting = std::thread::spawn(move || tail.next(10, LONG).expect("readable"));
    let batch = Chains::of(&*log).batch(1);
    append(&*log, vec![batch.clone()]);
    assert_eq!(waiting.join().expect("no panic").into_iter().map(|placed| placed.record).collect::<Vec<_>>(), batch);
}

fn a_stream_is_read_without_its_neighbours(home: &dyn Home) {
    let log = create(home);
    let mut chains = Chains::of(&*log);
    append(&*log, (0..30).map(|_| chains.batch(10)).collect());
    let stream = StreamName::parse("account/a3.com").expect("a stream");
    let all = log.read_stream(&stream, 0, usize::MAX).expect("readable");
    assert_eq!(all.len(), 30);
    assert!(all.is_sorted_by_key(|placed| placed.offset));
    assert!(all.iter().all(|placed| placed.record.body.starts_with(br#"{"decision":{"v":1,"stream":"account/a3.com","#)));
    assert_eq!(log.read_stream(&stream, all[10].offset, 5).expect("readable"), all[10..15]);
    let nobody = StreamName::parse("account/nobody.com").expect("a stream");
    assert!(log.read_stream(&nobody, 0, usize::MAX).expect("readable").is_empty());
}

fn streams_are_read_one_after_the_other(home: &dyn Home) {
    let log = create(home);
    let mut chains = Chains::of(&*log);
    append(&*log, (0..30).map(|_| chains.batch(10)).collect());
    // One twice, one of which there is nothing, and not in the order of their names.
    let names = ["a7", "a3", "nobody", "a7", "a0"].map(|name| StreamName::parse(&format!("account/{name}.com")).expect("a stream"));
    let one_by_one = |streams: &[StreamName]| -> Vec<(usize, Placed)> {
        let of = |(at, stream)| log.read_stream(stream, 0, usize::MAX).expect("readable").into_iter().map(move |placed| (at, placed));
        streams.iter().enumerate().flat_map(of).collect()
    };
    let all = one_by_one(&names);
    assert_eq!(all.len(), 4 * 30);
    assert_eq!(log.read_streams(&names, 0, usize::MAX).expect("readable"), all);
    let counts = log.counts(&names).expect("readable");
    assert!(counts.is_none_or(|counts| counts.len() == names.len() && counts.iter().sum::<usize>() == all.len()));
    assert!(log.read_streams(&[], 0, usize::MAX).expect("readable").is_empty());
    for page in [7, 30, 119, 120] {
        let (mut read, mut first, mut offset) = (Vec::new(), 0, 0);
        loop {
            let found = log.read_streams(&names[first..], offset, page).expect("readable");
            let Some((at, last)) = found.last() else { break };
            let next = (first + at, last.offset + 1);
            assert!(found.len() == page || read.len() + found.len() == all.len(), "{} of a page of {page}", found.len());
            read.extend(found.into_iter().map(|(at, placed)| (first + at, placed)));
            (first, offset) = next;
        }
        assert_eq!(read, all, "in pages of {page}");
    }
}

fn a_reader_beside_the_writer_sees_what_is_new(home: &dyn Home) {
    let log = create(home);
    let reader = home.beside().expect("opened");
    let mut tail = reader.tail(&[]).expect("a tail");
    assert_eq!(tail.next(10, LONG).expect("readable").len(), 1, "the first record of all");
    let mut chains = Chains::of(&*log);
    append(&*log, vec![chains.batch(50)]);
    let mut seen = 0;
    while seen < 50 {
        let placed = tail.next(10, LONG).expect("readable");
        assert!(!placed.is_empty(), "{seen} of 50 came");
        seen += placed.len();
    }
    assert_eq!(ends(&*reader), ends(&*log));
    for slice in reader.slices().all() {
        assert_eq!(read_all(&*reader, slice), read_all(&*log, slice));
    }
}

fn reopening_reads_to_the_end_and_goes_on(home: &dyn Home) {
    let log = create(home);
    let mut chains = Chains::of(&*log);
    append(&*log, (0..9).map(|_| chains.batch(8)).collect());
    let before: Vec<_> = log.slices().all().map(|slice| read_all(&*log, slice)).collect();
    let slices = log.slices();
    drop(log);
    let log = home.open().expect("opened");
    assert_eq!(log.slices(), slices);
    assert_eq!(log.slices().all().map(|slice| read_all(&*log, slice)).collect::<Vec<_>>(), before);
    let mut again = Chains::of(&*log);
    assert_eq!(again.heads, chains.heads);
    append(&*log, vec![again.batch(8)]);
    assert_eq!(log.slices().all().map(|slice| head(&*log, slice)).collect::<Vec<_>>(), again.heads);
}

fn many_batches_in_flight_are_reported_in_order(home: &dyn Home) {
    let log = create(home);
    let mut chains = Chains::of(&*log);
    let mut next: Vec<(u64, u64)> = chains.heads.iter().map(|head| (head.next_pseq, head.next_offset)).collect();
    let batches: Vec<_> = (0..200).map(|_| chains.batch(25)).collect();
    for report in append(&*log, batches) {
        let next = &mut next[usize::from(report.slice)];
        assert_eq!((report.pseq, report.outcome), (next.0, Ok(next.1)));
        *next = (next.0 + 1, next.1 + 1);
    }
    assert_eq!(next.iter().map(|next| next.1).collect::<Vec<_>>(), ends(&*log));
    let mut producer = log.producer().expect("a producer");
    assert!(producer.reports(Duration::ZERO).is_empty());
}

fn what_the_log_cannot_hold_is_refused_whole(home: &dyn Home) {
    let log = create(home);
    let before = ends(&*log);
    let mut producer = log.producer().expect("a producer");
    let mut batch = Chains::of(&*log).batch(3);
    batch[2].header.slice = log.slices().count;
    match producer.send(batch) {
        Err(LogError::Store(reason)) => assert_eq!(reason, "the ledger has no slice 4"),
        other => panic!("{other:?}"),
    }
    // The producer is as good as before.
    let batch = Chains::of(&*log).batch(1);
    producer.send(batch).expect("taken");
    assert!(reports(&mut *producer, 1)[0].outcome.is_ok());
    assert_eq!(ends(&*log).iter().sum::<u64>(), before.iter().sum::<u64>() + 1);
}

fn what_lands_of_a_dropped_producer_is_a_beginning(home: &dyn Home) {
    let log = create(home);
    let mut chains = Chains::of(&*log);
    let mut producer = log.producer().expect("a producer");
    let batches: Vec<_> = (0..40).map(|_| chains.batch(50)).collect();
    for batch in batches.clone() {
        producer.send(batch).expect("taken");
    }
    drop(producer);
    // Until nothing new has come for a while.
    let mut before = Vec::new();
    while before != ends(&*log) {
        before = ends(&*log);
        std::thread::sleep(SECOND / 2);
    }
    for slice in log.slices().all() {
        let sent: Vec<_> = batches.iter().flatten().filter(|record| record.header.slice == slice).cloned().collect();
        let mut landed: Vec<_> = read_all(&*log, slice).into_iter().map(|placed| placed.record).collect();
        if slice == 0 {
            landed.remove(0);
        }
        assert!(landed.len() <= sent.len());
        assert_eq!(landed, sent[..landed.len()]);
    }
}

fn a_ledger_is_created_once(home: &dyn Home) {
    match home.open().map(drop) {
        Err(LogError::Absent(reason)) => assert!(reason.starts_with("there is no ledger in "), "{reason}"),
        other => panic!("{other:?}"),
    }
    drop(create(home));
    match home.create().map(drop) {
        Err(LogError::Unfit(reason)) => assert!(reason.contains("a ledger already"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let log = home.open().expect("opened");
    assert_eq!(ends(&*log), [1, 0, 0, 0]);
    verify(&*log, None, &mut |_| ()).expect("sound");
}

fn workers_of_an_async_runtime_may_use_it(home: &dyn Home) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let handle = runtime.handle().clone();
    // A worker of the runtime is what calls.
    let seen = std::thread::scope(|scope| {
        let work = || {
            let _inside = handle.enter();
            handle.block_on(async {
                drop(create(home));
                let log = home.open().expect("opened");
                let batch = Chains::of(&*log).batch(3);
                let reports = append(&*log, vec![batch]);
                let mut up_to = UpTo::the_end(&*log, &[]).expect("a tail");
                let mut read = 0;
                loop {
                    match up_to.next(10).expect("readable").len() {
                        0 => break (reports.len(), read),
                        more => read += more,
                    }
                }
            })
        };
        scope.spawn(work).join().expect("no panic")
    });
    assert_eq!(seen, (3, 4));
}
