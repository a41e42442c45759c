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
use parking_lot::Mutex;
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    log::{Log, LogError, Placed, UpTo},
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
    /// Whether somebody reads. Held while a reader begins or ends: who comes meanwhile is heard by one or the other.
    reading: Arc<Mutex<bool>>,
    closed: Arc<AtomicBool>,
}

impl Default for Changes {
    fn default() -> Self {
        Self { sender: broadcast::channel(BACKLOG).0, reading: Arc::default(), closed: Arc::default() }
    }
}

/// Somebody reads. However that ends, its listeners are sent away, and the next one begins anew.
struct Reading {
    changes: Changes,
    is_over: bool,
}

impl Drop for Reading {
    fn drop(&mut self) {
        if !self.is_over {
            let mut reading = self.changes.reading.lock();
            // Nobody listening is no error.
            let _ = self.changes.sender.send(None);
            *reading = false;
        }
    }
}

impl Reading {
    /// Ends where nobody listens any more; answers whether that is so.
    fn is_over(&mut self) -> bool {
        let mut reading = self.changes.reading.lock();
        self.is_over = self.changes.sender.receiver_count() == 0;
        *reading = !self.is_over;
        self.is_over
    }
}

impl Changes {
    /// Ends every listener's stream, so that connections can be closed.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // Nobody listening is no error.
        let _ = self.sender.send(None);
    }

    /// Hears everything that comes behind the log's end as it is now. It blocks while the reader begins.
    fn listen(&self, log: &Arc<dyn Log>) -> Result<broadcast::Receiver<Option<Change>>, LogError> {
        let mut reading = self.reading.lock();
        let receiver = self.sender.subscribe();
        if *reading {
            return Ok(receiver);
        }
        let reader = Reader::at_the_end(&**log)?;
        *reading = true;
        // Where no thread can be started, what is dropped with its work takes this lock.
        drop(reading);
        let here = Reading { changes: self.clone(), is_over: false };
        let thread = std::thread::Builder::new().name("changes".into());
        thread.spawn(move || here.read_on(reader)).map_err(|error| LogError::Store(error.to_string()))?;
        Ok(receiver)
    }
}

impl Reading {
    fn read_on(mut self, mut reader: Reader) {
        while !self.changes.closed.load(Ordering::SeqCst) && !self.is_over() {
            match reader.next() {
                Ok(changes) => changes.into_iter().for_each(|change| {
                    // The last listener may have gone just now.
                    let _ = self.changes.sender.send(Some(change));
                }),
                Err(error) => {
                    tracing::warn!(%error, "new decisions cannot be read; their listeners are sent away");
                    return;
                }
            }
        }
    }
}

/// The valid records behind the log's end as it was.
struct Reader {
    tail: Box<dyn pledger_ledger::log::Tail>,
    heads: Vec<ChainHead>,
}

impl Reader {
    /// Begins behind the last record of every slice. That record is taken for valid: nothing before it is read.
    fn at_the_end(log: &dyn Log) -> Result<Self, LogError> {
        let last = |slice| place::head_before(log, slice, log.end(slice)?).map(Option::unwrap_or_default);
        let heads: Vec<ChainHead> = log.slices().all().map(last).collect::<Result<_, _>>()?;
        let from: Vec<u64> = heads.iter().map(|head| head.next_offset).collect();
        Ok(Self { tail: log.tail(&from)?, heads })
    }

    /// The changes among the records that come within a while.
    fn next(&mut self) -> Result<Vec<Change>, LogError> {
        let placed = self.tail.next(READ_AHEAD, WAIT)?;
        Ok(placed.iter().filter_map(|placed| change(placed, &mut self.heads)).collect())
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
    if let Err(problem) = api.principals.principal(&headers) {
        return problem.into_response();
    }
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
    fn tell_missed(&self, log: &Arc<dyn Log>, mut heads: Vec<ChainHead>, tell: &mpsc::Sender<CaughtUp>) -> Result<(), LogError> {
        // Up to the end before it listens, so that it does not fall behind what is heard while it still reads.
        if !self.tell_to_the_end(&**log, &mut heads, tell)? {
            return Ok(());
        }
        let receiver = self.listen(log)?;
        // What came before it listened and after the end above.
        if self.tell_to_the_end(&**log, &mut heads, tell)? {
            // A listener that went away needs nothing more.
            let _ = tell.blocking_send(CaughtUp::Listening(receiver, heads));
        }
        Ok(())
    }

    /// Tells what lies between `heads` and the end that the log has now; whether the listener is still there then.
    fn tell_to_the_end(&self, log: &dyn Log, heads: &mut [ChainHead], tell: &mpsc::Sender<CaughtUp>) -> Result<bool, LogError> {
        let from: Vec<u64> = heads.iter().map(|head| head.next_offset).collect();
        let mut missed = UpTo::the_end(log, &from)?;
        loop {
            let placed = missed.next(READ_AHEAD)?;
            if placed.is_empty() {
                return Ok(true);
            }
            for change in placed.iter().filter_map(|placed| change(placed, heads)) {
                if self.closed.load(Ordering::SeqCst) || tell.blocking_send(CaughtUp::Missed(change)).is_err() {
                    return Ok(false);
                }
            }
        }
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
