//! The load: tasks side by side, each sending one command after the other's answer.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sqlx::{Executor, PgPool};
use tokio::task::JoinSet;

use crate::{
    account::{DealEvent, Refusal},
    database::Database,
    peer::{Answer, Peer},
    workload::{Lane, Sent, history},
};

/// A command that was not decided within so many tries is given up, and the run with it.
const MOST_TRIES: u64 = 10_000;

/// What came of a load, or of a task of it.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    /// Refusals that there had to be.
    rivals: u64,
    deals: u64,
    /// Tries that the library itself asked to be repeated.
    pub(crate) conflicts: u64,
    /// Commands refused on a state that lacked what the same task had committed before, and repeated.
    pub(crate) stale: u64,
    pub(crate) seconds: f64,
    /// Of each command with all its tries, sorted at the end.
    latencies: Vec<Duration>,
    pub(crate) event_bytes: f64,
}

impl Load {
    /// Commands decided a second, accepted or refused.
    pub(crate) fn per_second(&self) -> f64 {
        (self.accepted + self.refused) as f64 / self.seconds
    }

    /// The latency in milliseconds that `share` of the commands kept.
    pub(crate) fn latency_ms(&self, share: f64) -> f64 {
        let at = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(at.min(self.latencies.len().saturating_sub(1))).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }

    /// Sends a command until it has the answer that it must have.
    async fn send<P: Peer>(&mut self, peer: &P, sent: Sent) -> Result<()> {
        let start = Instant::now();
        for _ in 0..MOST_TRIES {
            match (peer.decide(sent.command.clone()).await?, sent.is_rival) {
                (Answer::Accepted, false) => self.accepted += 1,
                (Answer::Refused(Refusal::AccountProtected(_)), true) => self.refused += 1,
                (Answer::Accepted, true) => bail!("a rival got through: {:?}", sent.command),
                (Answer::Conflict, _) => {
                    self.conflicts += 1;
                    continue;
                }
                (Answer::Refused(_), _) => {
                    self.stale += 1;
                    continue;
                }
            }
            self.latencies.push(start.elapsed());
            return Ok(());
        }
        bail!("{MOST_TRIES} tries were not enough for {:?}", sent.command)
    }

    fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.rivals += other.rivals;
        self.deals += other.deals;
        self.conflicts += other.conflicts;
        self.stale += other.stale;
        self.latencies.extend(other.latencies);
    }

    /// Fails unless every deal came to its five events and every rival was refused, as the store counts too.
    fn check(&self, stored: u64) -> Result<()> {
        let Self { accepted, refused, rivals, deals, .. } = self;
        ensure!(*accepted == deals * 5 && stored == *accepted, "{deals} deals made {accepted} events, of which {stored} are stored");
        ensure!(refused == rivals && *rivals > 0, "{refused} of {rivals} rivals were refused");
        Ok(())
    }
}

/// Lets so many tasks begin deals for `time`, in a store that has some; each ends the deal that it is at.
pub(crate) async fn measure<P: Peer>(url: &str, connections: u32, time: Duration, before: &[DealEvent]) -> Result<Load> {
    let database = Database::create(url, &format!("{connections}_tasks"), connections).await?;
    let peer = P::create(&database).await?;
    if !before.is_empty() {
        peer.fill(before).await?;
    }
    database.analyze().await?;
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for lane in Lane::all("company", connections.into()) {
        tasks.spawn(work(peer.clone(), lane, start + time));
    }
    let mut load = Load::default();
    while let Some(ended) = tasks.join_next().await {
        load.add(ended.context("a task panicked")??);
    }
    load.seconds = start.elapsed().as_secs_f64();
    load.latencies.sort_unstable();
    let (stored, bytes) = database.events(P::EVENTS).await?;
    load.check(stored.saturating_sub(before.len() as u64))?;
    load.event_bytes = bytes;
    database.remove().await?;
    Ok(load)
}

async fn work<P: Peer>(peer: P, mut lane: Lane, end: Instant) -> Result<Load> {
    let mut load = Load::default();
    while Instant::now() < end {
        for sent in lane.next().context("a lane has no end")? {
            load.rivals += u64::from(sent.is_rival);
            load.send(&peer, sent).await?;
        }
        load.deals += 1;
    }
    Ok(load)
}

/// The limit that no library gets over that commits each decision: rows as large as an event inserted a second, one a
/// commit, by as many tasks.
pub(crate) async fn limit(url: &str, connections: u32, time: Duration) -> Result<f64> {
    let database = Database::create(url, &format!("{connections}_limit"), connections).await?;
    database.pool.execute("CREATE TABLE kept (id bigserial PRIMARY KEY, payload bytea)").await?;
    let payload = serde_json::to_vec(history(1)?.first().context("a deal has events")?)?;
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        tasks.spawn(insert(database.pool.clone(), payload.clone(), start + time));
    }
    let mut rows = 0;
    while let Some(ended) = tasks.join_next().await {
        rows += ended.context("a task panicked")??;
    }
    let seconds = start.elapsed().as_secs_f64();
    database.remove().await?;
    Ok(f64::from(rows) / seconds)
}

async fn insert(pool: PgPool, payload: Vec<u8>, end: Instant) -> Result<u32> {
    let mut rows = 0;
    while Instant::now() < end {
        sqlx::query("INSERT INTO kept (payload) VALUES ($1)").bind(&payload).execute(&pool).await?;
        rows += 1;
    }
    Ok(rows)
}
