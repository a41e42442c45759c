//! Decided batches, appended by the writers of all slices, against the same messages without a ledger.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use pledger_ledger::{
    chain::ChainHead,
    edge::{Clock, SystemClock},
    log::{Log, Producer},
    record::{Body, FORMAT, Hash, Record, TermOpened},
    slices::{SliceId, Slices},
    writer::SliceWriter,
};

use super::{Broker, raw};
use crate::{
    Bench, progress,
    report::{Limit, Row},
};

/// Records of a batch.
const BATCH: usize = 1_024;
/// How long reports may take.
const TO_REPORT: Duration = Duration::from_secs(60);

pub(super) fn measure(bench: &mut Bench, broker: &Broker) -> Result<()> {
    let total = if bench.quick { 40_000 } else { 400_000 };
    let bodies: Vec<_> = bench.sample()?.records().iter().map(|record| record.body.clone()).collect();
    let slices = broker.slices;
    let log = broker.create("append", slices)?;
    let mut writers = Writers::open(&log, slices)?;
    progress("Kafka: decided batches, appended");
    let mut bodies = bodies.iter().cycle();
    let (start, mut sent) = (Instant::now(), 0);
    while sent < total {
        let batch: Vec<Record> = bodies
            .by_ref()
            .take(BATCH.min(total - sent))
            .enumerate()
            .map(|(at, body)| {
                let slice = SliceId::try_from((sent + at) % usize::from(slices.count)).expect("slices are few");
                writers.frame(slice, body.clone())
            })
            .collect();
        sent += batch.len();
        writers.producer.send(batch)?;
        writers.settle(Duration::ZERO)?;
    }
    while writers.in_flight() > 0 {
        writers.settle(TO_REPORT)?;
    }
    let rate = total as f64 / start.elapsed().as_secs_f64();
    progress(&format!("Kafka: {rate:.0}/s; the same messages without a ledger"));
    let records = writers.written(&log, total)?;
    broker.create("raw", slices)?;
    let raw = raw::produce_rate(&broker.brokers, &format!("{}ledger", broker.options("raw").prefix), &records)?;
    bench.rows.push(Row::at_least(
        "Kafka: decided batches appended, in 64 slices",
        rate,
        "records/s",
        vec![(0.5, Limit::new("messages/s produced with acks=all, the same bytes", raw))],
    ));
    Ok(())
}

/// The writers of all slices, and what they have in flight.
struct Writers {
    producer: Box<dyn Producer>,
    writers: Vec<SliceWriter>,
    flight: Vec<VecDeque<Hash>>,
}

impl Writers {
    fn open(log: &dyn Log, slices: Slices) -> Result<Self> {
        let mut writers = Self { producer: log.producer()?, writers: Vec::new(), flight: vec![VecDeque::new(); usize::from(slices.count)] };
        let mut batch = Vec::new();
        for slice in slices.all() {
            let mut head = ChainHead::default();
            for placed in log.read(slice, 0, 1)? {
                head.accept(placed.offset, &placed.record);
            }
            let opened = TermOpened { v: FORMAT, opened_at: SystemClock::new().now(), writer: "bench".into(), next_command: Some(0) };
            let mut writer = SliceWriter::new(slice, head);
            let record = writer.open(head.next_offset, Body::TermOpened(opened).encode()?);
            writers.flight[usize::from(slice)].push_back(record.header.hash);
            writers.writers.push(writer);
            batch.push(record);
        }
        writers.producer.send(batch)?;
        while writers.in_flight() > 0 {
            writers.settle(TO_REPORT)?;
        }
        Ok(writers)
    }

    fn frame(&mut self, slice: SliceId, body: bytes::Bytes) -> Record {
        let record = self.writers[usize::from(slice)].frame(body);
        self.flight[usize::from(slice)].push_back(record.header.hash);
        record
    }

    fn in_flight(&self) -> usize {
        self.flight.iter().map(VecDeque::len).sum()
    }

    /// Acknowledges what was reported.
    fn settle(&mut self, wait: Duration) -> Result<()> {
        let reports = self.producer.reports(wait);
        if reports.is_empty() && wait > Duration::ZERO {
            bail!("the broker reported nothing in {} s", wait.as_secs());
        }
        for report in reports {
            let hash = self.flight[usize::from(report.slice)].pop_front().context("more was reported than sent")?;
            self.writers[usize::from(report.slice)].report(&report, hash)?;
        }
        Ok(())
    }

    /// The decisions that were written, as they lie in the log.
    fn written(&self, log: &dyn Log, total: usize) -> Result<Vec<Record>> {
        let mut tail = log.tail(&vec![0; self.writers.len()])?;
        let mut records = Vec::with_capacity(total);
        while records.len() < total {
            let placed = tail.next(4_096, TO_REPORT)?;
            if placed.is_empty() {
                bail!("the log ends after {} of {total} decisions", records.len());
            }
            records.extend(placed.into_iter().map(|placed| placed.record).filter(|record| record.body.starts_with(b"{\"decision\"")));
        }
        Ok(records)
    }
}
