//! The topic of published events: a partition a slice, a message an event, CloudEvents in binary mode.
//!
//! How far a slice was published is read from the end of its partition: every message says which decision it comes from, by
//! the chain, and which event was before it. The owner may delete events as he likes, so the places are also kept, from time
//! to time, in a compacted topic of their own; a slice whose events are all gone goes on from there.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::mpsc::{self, Receiver, Sender},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    courier::{Courier, Delivered, Parcel, Receipt, owned},
    options::KafkaOptions,
    scan::scan,
    topics::{EVENTS, PUBLISHED, Topics, missing},
};
use crate::{
    edge::cloud_events::{CONTENT_TYPE, HEADER_PREFIX},
    inbox::Message,
    log::LogError,
    published::{EventPlace, LastPublished, Outlet, Publication},
    record::Hash,
    slices::{Position, SliceId, Slices},
};

/// How many events may be on their way.
const MAX_IN_FLIGHT: usize = 20_000;
/// How long there may be no room.
const TO_GET_ROOM: Duration = Duration::from_secs(60);
/// How long keeping places may take.
const TO_WRITE: Duration = Duration::from_secs(30);

/// The attributes that say where an event comes from.
const OURS: [&str; 5] = ["position", "eventcount", "ledgeroffset", "ledgerterm", "decisionhash"];
/// The attribute that names the event before it in its slice.
const PREVIOUS: &str = "previousid";

/// A place as the topic of places holds it.
#[derive(Serialize, Deserialize)]
struct Kept {
    position: Position,
    index: u32,
    count: u32,
    offset: u64,
    term: u64,
    hash: String,
    /// The offset in the topic of events behind the event.
    events_offset: u64,
}

/// What is known of a slice.
#[derive(Default)]
struct Line {
    /// The last event that was handed over.
    sent: Option<EventPlace>,
    /// Handed over and not reported.
    flying: VecDeque<EventPlace>,
    /// The last event that was published with none missing, and the offset behind it.
    settled: Option<(EventPlace, u64)>,
    /// What the topic of places says.
    kept: Option<EventPlace>,
}

/// Where a ledger's events are published.
pub struct KafkaEvents {
    options: KafkaOptions,
    events: String,
    published: String,
    courier: Courier,
    to: Sender<Delivered>,
    delivered: Receiver<Delivered>,
    lines: BTreeMap<SliceId, Line>,
    in_flight: usize,
}

impl KafkaEvents {
    /// Opens the topics of a ledger with these slices.
    ///
    /// # Errors
    /// `LogError::Unfit` where a topic is missing or has another number of partitions, saying what to run;
    /// `LogError::Store`.
    pub fn open(options: KafkaOptions, slices: Slices) -> Result<Self, LogError> {
        options.check()?;
        let (events, published) = (options.topic(EVENTS), options.topic(PUBLISHED));
        let topics = Topics::new(&options)?;
        let count = topics.partitions(&events)?.ok_or_else(|| missing(&options, &events))?;
        if count != usize::from(slices.count) {
            return Err(LogError::Unfit(mend(&options, &events, count, slices.count)));
        }
        if topics.partitions(&published)?.is_none() {
            return Err(missing(&options, &published));
        }
        let courier = Courier::new(&options, &options.publisher())?;
        let (to, delivered) = mpsc::channel();
        Ok(Self { options, events, published, courier, to, delivered, lines: BTreeMap::new(), in_flight: 0 })
    }

    /// The places that were kept, with the offsets behind the events.
    fn kept(&self) -> Result<BTreeMap<SliceId, (EventPlace, u64)>, LogError> {
        let mut kept = BTreeMap::new();
        scan(&self.options, &self.published, &[(0, 0)], |message| {
            let read = serde_json::from_slice::<Kept>(message.bytes()).ok();
            match read.and_then(|read| Some((read.events_offset, read.place()?))) {
                Some((offset, place)) => drop(kept.insert(place.position.slice, (place, offset))),
                None => tracing::warn!(place = %message.place, "a message among the places of published events is none"),
            }
        })?;
        Ok(kept)
    }

    fn take(&mut self, delivered: Delivered) -> Result<(), LogError> {
        let Delivered { number, outcome } = delivered;
        let slice = SliceId::try_from(number).expect("events are numbered by their slices");
        self.in_flight = self.in_flight.saturating_sub(1);
        let line = self.lines.entry(slice).or_default();
        let place = line.flying.pop_front();
        match (outcome, place) {
            (Ok(at), Some(place)) => {
                line.settled = Some((place, at.offset + 1));
                Ok(())
            }
            (Ok(_), None) => Ok(()),
            (Err(unwritten), _) => Err(LogError::Store(format!("an event of slice {slice} was not published: {}", unwritten.reason))),
        }
    }

    /// Takes what was reported; waits so long for the first.
    fn reported(&mut self, wait: Duration) -> Result<(), LogError> {
        if let Ok(first) = self.delivered.recv_timeout(wait) {
            self.take(first)?;
            while let Ok(next) = self.delivered.try_recv() {
                self.take(next)?;
            }
        }
        Ok(())
    }
}

impl Kept {
    fn place(&self) -> Option<EventPlace> {
        let Self { position, index, count, offset, term, ref hash, .. } = *self;
        Some(EventPlace { position, index, count, offset, term, hash: Hash::parse(hash)? })
    }
}

/// What to run where a topic is not as it must be.
fn mend(options: &KafkaOptions, topic: &str, found: usize, count: u16) -> String {
    let tool = format!("kafka-topics.sh --bootstrap-server {} --topic {topic}", options.brokers);
    let create = format!("{tool} --create --partitions {count} --replication-factor {}", options.replicas);
    format!("the topic {topic} has {found} partitions, and the ledger has {count} slices; make it anew:\n  {tool} --delete\n  {create}")
}

impl Outlet for KafkaEvents {
    fn ends(&mut self, slices: &[SliceId]) -> Result<Vec<Option<EventPlace>>, LogError> {
        // What an earlier producer had not written is written by nobody any more.
        self.courier = Courier::new(&self.options, &self.options.publisher())?;
        (self.to, self.delivered) = mpsc::channel();
        self.in_flight = 0;
        let kept = self.kept()?;
        let from: Vec<(u32, u64)> =
            slices.iter().map(|slice| (u32::from(*slice), kept.get(slice).map_or(0, |(_, offset)| *offset))).collect();
        let mut read: BTreeMap<SliceId, (LastPublished, u64)> = slices
            .iter()
            .map(|slice| {
                (*slice, kept.get(slice).map_or((LastPublished::default(), 0), |(place, at)| (LastPublished::behind(Some(*place)), *at)))
            })
            .collect();
        scan(&self.options, &self.events, &from, |message| {
            let Some((place, previous)) = place_of(&message) else {
                tracing::warn!(place = %message.place, "a message among the published events is none");
                return;
            };
            if let Some((last, behind)) = read.get_mut(&place.position.slice) {
                last.take(place, previous.as_deref());
                if last.last() == Some(place) {
                    *behind = message.place.offset + 1;
                }
            }
        })?;
        self.lines = read
            .iter()
            .map(|(slice, (last, behind))| {
                if last.is_broken() {
                    tracing::warn!(slice, "an event was not published before later ones were: it is published with them, once more");
                }
                let settled = last.last().map(|place| (place, *behind));
                let kept = kept.get(slice).map(|(place, _)| *place);
                (*slice, Line { sent: last.last(), flying: VecDeque::new(), settled, kept })
            })
            .collect();
        Ok(slices.iter().map(|slice| self.lines.get(slice).and_then(|line| line.sent)).collect())
    }

    fn send(&mut self, publications: Vec<Publication>) -> Result<(), LogError> {
        for Publication { place, key, attributes, data } in publications {
            let until = Instant::now() + TO_GET_ROOM;
            self.reported(Duration::ZERO)?;
            while self.in_flight >= MAX_IN_FLIGHT {
                if Instant::now() > until {
                    return Err(LogError::Store(format!("{} events wait for the broker", self.in_flight)));
                }
                self.reported(Duration::from_millis(100))?;
            }
            let line = self.lines.entry(place.position.slice).or_default();
            let previous = line.sent.map(|sent| sent.id());
            let headers = headers(&place, &attributes, previous.as_deref());
            let headers = owned(headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_bytes()))));
            let receipt = Receipt { number: place.position.slice.into(), to: self.to.clone() };
            let partition = place.position.slice.into();
            self.courier
                .send(receipt, Parcel { topic: &self.events, partition, key: Some(key.as_bytes()), headers, value: Some(&data) })?;
            line.sent = Some(place);
            line.flying.push_back(place);
            self.in_flight += 1;
        }
        Ok(())
    }

    fn settle(&mut self, wait: Duration) -> Result<bool, LogError> {
        let until = Instant::now() + wait;
        self.reported(Duration::ZERO)?;
        while self.in_flight > 0 && Instant::now() < until {
            self.reported(until.saturating_duration_since(Instant::now()))?;
        }
        Ok(self.in_flight == 0)
    }

    fn keep(&mut self) -> Result<(), LogError> {
        let moved = self.lines.iter_mut().filter(|(_, line)| line.settled.map(|(place, _)| place) != line.kept);
        let mut written = Vec::new();
        for (slice, line) in moved {
            let Some((place, events_offset)) = line.settled else { continue };
            let EventPlace { position, index, count, offset, term, hash } = place;
            let kept = Kept { position, index, count, offset, term, hash: hash.to_string(), events_offset };
            written.push((slice.to_string(), serde_json::to_vec(&kept).expect("a place is plain data, which JSON can hold")));
            line.kept = Some(place);
        }
        let parcels = written.iter().map(|(key, value)| {
            let (topic, headers) = (self.published.as_str(), owned(std::iter::empty()));
            Parcel { topic, partition: 0, key: Some(key.as_bytes()), headers, value: Some(value) }
        });
        Ok(self.courier.deliver(parcels, TO_WRITE).map(drop)?)
    }
}

/// An event's headers.
fn headers(place: &EventPlace, attributes: &[(&'static str, String)], previous: Option<&str>) -> Vec<(String, String)> {
    let EventPlace { position, count, offset, term, hash, .. } = place;
    let own = [position.to_string(), count.to_string(), offset.to_string(), term.to_string(), hash.to_string()];
    let id = [("specversion", "1.0".to_owned()), ("id", place.id())];
    let named = id.iter().chain(attributes).map(|(name, value)| (*name, value.clone())).chain(OURS.into_iter().zip(own));
    let previous = previous.map(|previous| (PREVIOUS, previous.to_owned()));
    let mut headers: Vec<_> = named.chain(previous).map(|(name, value)| (format!("{HEADER_PREFIX}{name}"), value)).collect();
    headers.push((CONTENT_TYPE.to_owned(), "application/json".to_owned()));
    headers
}

/// Where an event comes from, and the id of the one before it; none of a message that is no event of ours.
fn place_of(message: &Message) -> Option<(EventPlace, Option<String>)> {
    let get = |attribute: &str| {
        let is_named = |name: &str| name.strip_prefix(HEADER_PREFIX) == Some(attribute);
        let value = message.headers.iter().find(|(name, _)| is_named(name)).and_then(|(_, value)| value.as_deref())?;
        std::str::from_utf8(value).ok()
    };
    let [position, count, offset, term, hash] = OURS.map(get);
    let position: Position = position?.parse().ok()?;
    let index = get("id")?.rsplit(':').next()?.parse().ok()?;
    let (offset, term) = (offset?.parse().ok()?, term?.parse().ok()?);
    let place = EventPlace { position, index, count: count?.parse().ok()?, offset, term, hash: Hash::parse(hash?)? };
    let is_in_place = u32::from(position.slice) == message.place.partition && get("id") == Some(place.id().as_str());
    is_in_place.then(|| (place, get(PREVIOUS).map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::inbox::Place;

    #[test]
    fn an_event_says_where_it_comes_from() {
        let position = Position { slice: 3, pseq: 12 };
        let place = EventPlace { position, index: 1, count: 2, offset: 14, term: 5, hash: Hash([0xa5; 32]) };
        let headers = headers(&place, &[("type", "pledger.DealRegistered".into())], Some("3:12:0"));
        let headers: Vec<_> = headers.into_iter().map(|(name, value)| (name, Some(value.into_bytes()))).collect();
        let message = |partition, headers: &[(String, Option<Vec<u8>>)]| Message {
            place: Place { partition, offset: 0 },
            key: None,
            headers: headers.to_vec(),
            value: Some(Bytes::new()),
            arrived_at: None,
        };
        assert_eq!(place_of(&message(3, &headers)), Some((place, Some("3:12:0".to_owned()))));
        assert_eq!(place_of(&message(4, &headers)), None, "another slice's");
        for at in 0..headers.len() {
            let mut less = headers.clone();
            let (name, _) = less.remove(at);
            let still = ["ce_specversion", "ce_type", "ce_previousid", "content-type"].contains(&name.as_str());
            assert_eq!(place_of(&message(3, &less)).is_some(), still, "without {name}");
        }
    }
}
