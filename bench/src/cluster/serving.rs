//! Commands over HTTP into a ledger in Kafka: how many, how soon they are answered, how soon they are seen.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use pledger_ledger::{commands::CommandSink, log::Log, slices::Position};
use pledger_projections::engine::{Engine, Options};
use sqlx::{AssertSqlSafe, PgConnection};

use super::{Broker, options, together::Together};
use crate::{
    Bench,
    load::{self, FULL_SPEED, Manner, Prepared},
    progress,
    report::Row,
    running::Server,
    workload::Lane,
};

const CONNECTIONS: usize = 64;
/// The latency that 99 of 100 commands keep at half the load, in milliseconds.
const P99_MS: f64 = 30.0;
/// The time from an acknowledgement until its row can be read by SQL that 99 of 100 keep, in milliseconds.
const LAG_MS: f64 = 150.0;
/// How far the warming-up goes, as a part of the requests.
const WARM_UP: usize = 10;
/// How often the lag is measured.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often it is looked whether a row is there: rarely enough that looking costs little.
const LOOK_AGAIN: Duration = Duration::from_millis(4);
/// The longest lag that is waited for.
const LAG_MOST: Duration = Duration::from_secs(10);

pub(super) fn measure(bench: &mut Bench, broker: &Broker) -> Result<()> {
    let requests = if bench.quick { 10_000 } else { 100_000 };
    let seconds = if bench.quick { 2 } else { 10 };
    let together = Together::create(broker, "serving", broker.slices)?;
    let log = Arc::new(together.log.clone()) as Arc<dyn Log>;
    let generations = broker.generations("serving")?;
    let engine = Arc::new(match &generations {
        Some(generations) => Engine::open_in(generations, Arc::clone(&log), options())?,
        None => Engine::in_memory(Arc::clone(&log), Options::default())?,
    });
    let sink = Arc::clone(&together.sink) as Arc<dyn CommandSink>;
    let server = Server::start(together.edge.clone(), sink, log, &engine)?;
    let mut lanes = Lane::all(CONNECTIONS as u64 + 1, 0, together.today);
    let seen = lanes.pop().context("there is a lane for each connection and one more")?;
    let mut commands = |count: usize| -> Result<Vec<Vec<Prepared>>> {
        lanes.iter_mut().map(|lane| lane.take(count / CONNECTIONS).map(|sent| load::command(&sent)).collect()).collect()
    };
    progress("Kafka, HTTP: warming up");
    load::send(server.address, commands(requests / WARM_UP)?, FULL_SPEED)?;
    progress("Kafka, HTTP: one command a request, 64 connections");
    let full = load::send(server.address, commands(requests)?, FULL_SPEED)?;
    let half = full.per_second() / 2.0;
    progress(&format!("Kafka, HTTP: {:.0}/s; {half:.0}/s for {seconds} s", full.per_second()));
    let pace = Duration::from_secs_f64(CONNECTIONS as f64 / half);
    let halved = commands((half * f64::from(seconds)) as usize)?;
    let over = AtomicBool::new(false);
    let (halved, lags) = thread::scope(|scope| -> Result<_> {
        let lags = broker.postgres.as_deref().map(|url| {
            let (over, together, schema) = (&over, &together, format!("bench_{}_serving_g1", broker.run));
            scope.spawn(move || lags(url, &schema, together, seen, over))
        });
        let halved = load::send(server.address, halved, Manner { pace: Some(pace), keep_answers: false });
        over.store(true, Ordering::Relaxed);
        let lags = lags.map(|thread| thread.join().expect("measuring the lag does not panic")).transpose()?;
        Ok((halved?, lags))
    })?;
    server.stop()?;
    drop(engine);
    let told = |name: &str, load: &load::Load, share| Row::told(format!("  {name}"), load.latency_ms(share), "ms");
    bench.rows.extend([
        Row::told("Kafka, HTTP, a command a request, 64 connections", full.per_second(), "commands/s"),
        told("at full load: p50", &full, 0.5),
        told("at full load: p99", &full, 0.99),
        Row::told("  at half that load", halved.per_second(), "commands/s"),
        told("at half that load: p50", &halved, 0.5),
        Row::below("  at half that load: p99", halved.latency_ms(0.99), "ms", P99_MS),
    ]);
    if let Some(mut lags) = lags {
        lags.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| lags.get((lags.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
        bench.rows.extend([
            Row::told("  from the acknowledgement until SQL shows it: p50", at(0.5), "ms"),
            Row::below("  from the acknowledgement until SQL shows it: p99", at(0.99), "ms", LAG_MS),
        ]);
    }
    Ok(())
}

/// Sends a command now and then, and waits until the database is past its decision. In milliseconds.
fn lags(url: &str, schema: &str, together: &Together, mut lane: Lane, over: &AtomicBool) -> Result<Vec<f64>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut connection = runtime.block_on(<PgConnection as sqlx::Connection>::connect(url))?;
    let sql = format!("SELECT next_pseq FROM {schema}.cursors WHERE slice = $1");
    let mut lags = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let sent = lane.next().context("a lane has no end")?;
        let envelope = sent.prepare(&together.edge, together.sink.reference_positions())?;
        let decided = runtime.block_on(together.sink.submit(vec![envelope])).pop().context("one command has one answer")?;
        let Position { slice, pseq } = decided?.position;
        let acknowledged = Instant::now();
        loop {
            let query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql.clone())).bind(i32::from(slice));
            let next = runtime.block_on(query.fetch_optional(&mut connection))?;
            if next.is_some_and(|next| next.cast_unsigned() > pseq) {
                break;
            }
            if acknowledged.elapsed() > LAG_MOST {
                bail!("the read models do not show {slice}:{pseq} after {} s", LAG_MOST.as_secs());
            }
            thread::sleep(LOOK_AGAIN);
        }
        lags.push(acknowledged.elapsed().as_secs_f64() * 1e3);
        thread::sleep(LOOK_EVERY);
    }
    Ok(lags)
}
