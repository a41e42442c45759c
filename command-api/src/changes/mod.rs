//! `GET /v1/changes`: new decisions as server-sent events, from one reader for all who listen. Who comes back with the
//! header `Last-Event-ID` is first told what was decided meanwhile.

mod place;

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
    http::{HeaderMap, HeaderName, Response},
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, StreamExt, stream};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    log::{Log, LogError, Placed},
    record::{Body as RecordBody, Decision, Outcome},
    slices::Position,
};
use serde_json::json;
use tokio::sync::{
    broadcast::{self, error::RecvError},
    mpsc,
};

use self::place::Unplaced;
use crate::{ApiState, problem::Problem};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How far a listener may fall behind before it loses decisions, and is told.
const BACKLOG: usize = 4_096;
/// The most records read at once.
const READ_AHEAD: usize = 256;
/// How long the reader waits for records before it looks whether anybody still listens.
const WAIT: Duration = Duration::from_millis(500);

/// One new decision, as every listener gets it.
#[derive(Clone, Debug)]
struct Change {
    position: Position,
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
            match reader.next(WAIT) {
                Ok(changes) => changes.into_iter().flatten().for_each(|change| {
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
        let last = |slice| place::head_before(&*log, slice, log.end(slice)?).map(Option::unwrap_or_default);
        let heads: Vec<ChainHead> = log.slices().all().map(last).collect::<Result<_, _>>()?;
        Self::from(&*log, heads)
    }

    /// Begins behind these heads.
    fn from(log: &dyn Log, heads: Vec<ChainHead>) -> Result<Self, LogError> {
        let from: Vec<u64> = heads.iter().map(|head| head.next_offset).collect();
        Ok(Self { tail: log.tail(&from)?, heads })
    }

    /// The changes among the next records; none where there was no record within `wait`.
    fn next(&mut self, wait: Duration) -> Result<Option<Vec<Change>>, LogError> {
        let placed = self.tail.next(READ_AHEAD, wait)?;
        if placed.is_empty() {
            return Ok(None);
        }
        Ok(Some(placed.iter().filter_map(|placed| change(placed, &mut self.heads)).collect()))
    }
}

/// The change that a valid record of a decision is.
fn change(placed: &Placed, heads: &mut [ChainHead]) -> Option<Change> {
    let head = heads.get_mut(usize::from(placed.record.header.slice))?;
    if head.accept(placed.offset, &placed.record) != Verdict::Valid {
        return None;
    }
    let Ok(RecordBody::Decision(decision)) = RecordBody::decode(&placed.record.body) else { return None };
    let position = placed.record.position();
    Some(Change { position, id: place::event_id(position, heads).into(), data: change_json(position, &decision).into() })
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

pub(crate) async fn get(api: ApiState, headers: HeaderMap) -> Response<Body> {
    let (log, changes) = (Arc::clone(&api.log), api.changes.clone());
    let Some(id) = headers.get(LAST_EVENT_ID) else {
        let listening = tokio::task::spawn_blocking(move || changes.listen(&log)).await;
        return match listening {
            Ok(Ok(receiver)) => respond(events(receiver, |_| true)),
            Ok(Err(error)) => Problem::of_log(&error).into_response(),
            Err(failed) => Problem::internal(&failed).into_response(),
        };
    };
    let id = String::from_utf8_lossy(id.as_bytes()).into_owned();
    let resumed = tokio::task::spawn_blocking(move || Ok((place::heads_of(&*log, &id)?, log))).await;
    match resumed {
        Ok(Ok((heads, log))) => respond(catch_up(changes, log, heads)),
        Ok(Err(unplaced @ Unplaced::Unknown)) => Problem::malformed("UnknownEventId", unplaced.to_string())
            .field("Last-Event-ID")
            .accepted("the id of the last event that was received, or no header to begin with what comes")
            .into_response(),
        Ok(Err(Unplaced::Log(error))) => Problem::of_log(&error).into_response(),
        Err(failed) => Problem::internal(&failed).into_response(),
    }
}

fn respond(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response<Body> {
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

/// What a listener that comes back is told.
enum CaughtUp {
    Missed(Change),
    /// Everything before these heads is told. The rest is heard with the others.
    Listening(broadcast::Receiver<Option<Change>>, Vec<ChainHead>),
}

/// What came behind `heads`, and then what is decided.
fn catch_up(changes: Changes, log: Arc<dyn Log>, heads: Vec<ChainHead>) -> impl Stream<Item = Result<Event, Infallible>> {
    let (tell, told) = mpsc::channel(READ_AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = changes.tell_missed(&log, heads, &tell) {
            tracing::warn!(%error, "what a listener missed cannot be read; it is sent away");
        }
    });
    let told = stream::unfold(told, |mut told| async move { Some((told.recv().await?, told)) });
    told.flat_map(|told| match told {
        CaughtUp::Missed(change) => stream::iter([Ok(change.event())]).left_stream(),
        CaughtUp::Listening(receiver, heads) => events(receiver, move |change| !change.is_before(&heads)).right_stream(),
    })
}

impl Changes {
    /// Tells what lies behind `heads`, until the listener has all of it and hears the rest with the others.
    fn tell_missed(&self, log: &Arc<dyn Log>, heads: Vec<ChainHead>, tell: &mpsc::Sender<CaughtUp>) -> Result<(), LogError> {
        let mut reader = Reader::from(&**log, heads)?;
        // Up to the end before it listens, so that it does not fall behind what is heard while it still reads.
        if !self.tell_to_the_end(&mut reader, tell)? {
            return Ok(());
        }
        let receiver = self.listen(log)?;
        // What came before it listened and after the end above.
        if self.tell_to_the_end(&mut reader, tell)? {
            // A listener that went away needs nothing more.
            let _ = tell.blocking_send(CaughtUp::Listening(receiver, reader.heads));
        }
        Ok(())
    }

    /// Whether the listener is still there at the end.
    fn tell_to_the_end(&self, reader: &mut Reader, tell: &mpsc::Sender<CaughtUp>) -> Result<bool, LogError> {
        while let Some(missed) = reader.next(Duration::ZERO)? {
            for change in missed {
                if self.closed.load(Ordering::SeqCst) || tell.blocking_send(CaughtUp::Missed(change)).is_err() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

impl Change {
    fn is_before(&self, heads: &[ChainHead]) -> bool {
        heads.get(usize::from(self.position.slice)).is_some_and(|head| self.position.pseq < head.next_pseq)
    }

    fn event(&self) -> Event {
        Event::default().event("decision").id(&*self.id).data(&*self.data)
    }
}

/// What is heard from here on, of it what is `wanted`.
fn events(
    receiver: broadcast::Receiver<Option<Change>>,
    wanted: impl Fn(&Change) -> bool + Send + 'static,
) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold((receiver, wanted), |(mut receiver, wanted)| async move {
        loop {
            let event = match receiver.recv().await {
                Ok(Some(change)) if wanted(&change) => change.event(),
                Ok(Some(_)) => continue,
                Err(RecvError::Lagged(lost)) => Event::default().event("lost").data(json!({"decisions": lost}).to_string()),
                Ok(None) | Err(RecvError::Closed) => return None,
            };
            return Some((Ok(event), (receiver, wanted)));
        }
    })
}
