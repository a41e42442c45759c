//! `GET /v1/changes`: new decisions as server-sent events, from one reader for all who listen.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    http::Response,
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, stream};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    log::{Log, LogError, Placed},
    record::{Body as RecordBody, Decision, Outcome},
    slices::{Position, SliceId},
};
use serde_json::json;
use tokio::sync::broadcast::{self, error::RecvError};

use crate::ApiState;

/// How far a listener may fall behind before it loses decisions, and is told.
const BACKLOG: usize = 4_096;
/// The most records read at once.
const READ_AHEAD: usize = 256;
/// How long the reader waits for records before it looks whether anybody still listens.
const WAIT: Duration = Duration::from_millis(500);

/// One new decision, as every listener gets it.
#[derive(Clone, Debug)]
struct Change {
    id: Arc<str>,
    data: Arc<str>,
}

/// Reads the log's end while somebody listens.
#[derive(Clone)]
pub(crate) struct Changes {
    sender: broadcast::Sender<Option<Change>>,
    reading: Arc<AtomicBool>,
    closed: Arc<AtomicBool>,
}

impl Default for Changes {
    fn default() -> Self {
        Self { sender: broadcast::channel(BACKLOG).0, reading: Arc::default(), closed: Arc::default() }
    }
}

impl Changes {
    /// Ends every listener's stream, so that connections can be closed.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // Nobody listening is no error.
        let _ = self.sender.send(None);
    }

    fn listen(&self, log: &Arc<dyn Log>) -> Result<broadcast::Receiver<Option<Change>>, LogError> {
        let receiver = self.sender.subscribe();
        if self.reading.swap(true, Ordering::SeqCst) {
            return Ok(receiver);
        }
        let started = Reader::at_the_end(Arc::clone(log)).and_then(|reader| {
            let changes = self.clone();
            let thread = std::thread::Builder::new().name("changes".into());
            thread.spawn(move || changes.read_on(reader)).map_err(|error| LogError::Store(error.to_string()))
        });
        if started.is_err() {
            self.reading.store(false, Ordering::SeqCst);
        }
        started.map(|_| receiver)
    }

    fn read_on(&self, mut reader: Reader) {
        while !self.closed.load(Ordering::SeqCst) && self.sender.receiver_count() > 0 {
            match reader.next() {
                Ok(changes) => changes.into_iter().for_each(|change| {
                    // The last listener may have gone just now.
                    let _ = self.sender.send(Some(change));
                }),
                Err(error) => {
                    tracing::warn!(%error, "new decisions cannot be read; their listeners are sent away");
                    let _ = self.sender.send(None);
                    break;
                }
            }
        }
        self.reading.store(false, Ordering::SeqCst);
    }
}

/// The valid records behind the log's end as it was.
struct Reader {
    tail: Box<dyn pledger_ledger::log::Tail>,
    heads: Vec<ChainHead>,
}

impl Reader {
    /// Begins behind the last record of every slice. That record is taken for valid: nothing before it is read.
    fn at_the_end(log: Arc<dyn Log>) -> Result<Self, LogError> {
        let heads: Vec<ChainHead> = log.slices().all().map(|slice| last_head(&*log, slice)).collect::<Result<_, _>>()?;
        let from: Vec<u64> = heads.iter().map(|head| head.next_offset).collect();
        Ok(Self { tail: log.tail(&from)?, heads })
    }

    fn next(&mut self) -> Result<Vec<Change>, LogError> {
        let placed = self.tail.next(READ_AHEAD, WAIT)?;
        let heads = &mut self.heads;
        Ok(placed.iter().filter_map(|placed| change(placed, heads.get_mut(usize::from(placed.record.header.slice))?)).collect())
    }
}

fn last_head(log: &dyn Log, slice: SliceId) -> Result<ChainHead, LogError> {
    let Some(last) = log.end(slice)?.checked_sub(1) else { return Ok(ChainHead::default()) };
    let placed = log.read(slice, last, 1)?;
    Ok(placed.first().map_or_else(ChainHead::default, |Placed { offset, record }| ChainHead {
        next_pseq: record.header.pseq + 1,
        next_offset: offset + 1,
        term: record.header.term,
        hash: record.header.hash,
    }))
}

/// The change that a valid record of a decision is.
fn change(placed: &Placed, head: &mut ChainHead) -> Option<Change> {
    if head.accept(placed.offset, &placed.record) != Verdict::Valid {
        return None;
    }
    let Ok(RecordBody::Decision(decision)) = RecordBody::decode(&placed.record.body) else { return None };
    let position = placed.record.position();
    Some(Change { id: position.to_string().into(), data: change_json(position, &decision).into() })
}

fn change_json(position: Position, decision: &Decision<'_>) -> String {
    let (outcome, events, code) = match &decision.outcome {
        Outcome::Accepted(events) => ("accepted", events.len(), None),
        Outcome::Rejected(rejection) => ("rejected", 0, Some(rejection.code())),
    };
    let mut change = json!({
        "position": position, "stream": decision.stream, "version": decision.version, "type": decision.command.name,
        "outcome": outcome, "events": events, "recorded_at": decision.recorded_at,
    });
    if let Some(code) = code {
        change["code"] = code.into();
    }
    change.to_string()
}

pub(crate) async fn get(api: ApiState) -> Response<Body> {
    let (log, changes) = (Arc::clone(&api.log), api.changes.clone());
    let listening = tokio::task::spawn_blocking(move || changes.listen(&log)).await;
    match listening {
        Ok(Ok(receiver)) => Sse::new(events(receiver)).keep_alive(KeepAlive::default()).into_response(),
        Ok(Err(error)) => crate::streams::log_problem(&error).into_response(),
        Err(failed) => crate::problem::Problem::internal(&failed).into_response(),
    }
}

fn events(receiver: broadcast::Receiver<Option<Change>>) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(receiver, |mut receiver| async move {
        let event = match receiver.recv().await {
            Ok(Some(change)) => Event::default().event("decision").id(&*change.id).data(&*change.data),
            Err(RecvError::Lagged(lost)) => Event::default().event("lost").data(json!({"decisions": lost}).to_string()),
            Ok(None) | Err(RecvError::Closed) => return None,
        };
        Some((Ok(event), receiver))
    })
}
