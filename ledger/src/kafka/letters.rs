//! The topic of dead letters: what became no command, as it came, and what was done about it since.
//!
//! A letter is the original message, byte for byte with its key and headers, and behind these our own: where it came from,
//! why it is here, when. What is done about a letter is another message, a mark, in the same partition behind it. There is
//! no other store. Whatever a sender calls its headers, ours are the last, and the first of ours says how many were there.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use pledger_domain::values::Timestamp;

use super::{
    courier::{Courier, Parcel, owned},
    options::KafkaOptions,
    scan::scan,
    topics::{DEAD_LETTERS, INBOX, Topics, missing},
};
use crate::{
    inbox::{DeadLetters, Headers, Letter, Message, Objection, Place},
    log::LogError,
};

/// How many headers the original has; the first of ours.
const ORIGINAL_HEADERS: &str = "dl_original_headers";
const TOPIC: &str = "dl_topic";
const PLACE: &str = "dl_place";
const ARRIVED_AT: &str = "dl_arrived_at";
const CODE: &str = "dl_code";
const DETAIL: &str = "dl_detail";
const FIELD: &str = "dl_field";
const AT: &str = "dl_at";
/// What a mark begins with: what was done.
const MARK: &str = "dl_mark";
const LETTER: &str = "dl_letter";
const REASON: &str = "dl_reason";
/// The header of a message that is in the inbox once more: which letter it was.
const RETRY_OF: &str = "dl_retry_of";
/// The header of a letter whose value was too large: how many bytes it had.
const CUT: &str = "dl_cut";

/// The most of an objection's sentence that is kept.
const MAX_DETAIL: usize = 2048;
/// The most of a value that is kept where the topic does not take all of it.
const KEPT_OF_CUT: usize = 64 << 10;
/// How long letters may take to be written.
const TO_WRITE: Duration = Duration::from_secs(40);

/// What was done about a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// It was put back to the inbox.
    Retried,
    /// Nobody will do anything about it.
    Discarded,
}

impl MarkKind {
    /// Its name, as headers and tables say it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retried => "retried",
            Self::Discarded => "discarded",
        }
    }

    fn parse(name: &[u8]) -> Option<Self> {
        [Self::Retried, Self::Discarded].into_iter().find(|kind| kind.name().as_bytes() == name)
    }
}

/// A mark on a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What was done.
    pub kind: MarkKind,
    /// When.
    pub at: Timestamp,
    /// Why, or where it lies in the inbox now.
    pub reason: String,
}

/// A letter in the topic.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it lies: its id.
    pub id: Place,
    /// The topic that the original came from.
    pub topic: String,
    /// The original and why it is here.
    pub letter: Letter,
    /// The length of the original's value, where not all of it could be kept.
    pub cut: Option<u64>,
    /// The letter that the original is the retry of.
    pub retry_of: Option<String>,
    /// What was done about it.
    pub mark: Option<Mark>,
}

/// The dead letters of a ledger in Kafka.
pub struct KafkaLetters {
    options: KafkaOptions,
    topic: String,
    inbox: String,
    partitions: u32,
    courier: Courier,
}

impl KafkaLetters {
    /// Opens the topic.
    ///
    /// # Errors
    /// `LogError::Unfit` where there is none, `LogError::Store`.
    pub fn open(options: KafkaOptions) -> Result<Self, LogError> {
        options.check()?;
        let (topic, inbox) = (options.topic(DEAD_LETTERS), options.topic(INBOX));
        let partitions = Topics::new(&options)?.partitions(&topic)?.and_then(|count| u32::try_from(count).ok());
        let partitions = partitions.ok_or_else(|| missing(&options, &topic))?;
        let courier = Courier::new(&options, &options.courier())?;
        Ok(Self { options, topic, inbox, partitions, courier })
    }

    fn parcel<'a>(&'a self, letter: &'a Letter, ours: &'a [(&'static str, String)], value: Option<&'a [u8]>) -> Parcel<'a> {
        let Message { place, key, headers, .. } = &letter.message;
        let originals = headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        let headers = owned(originals.chain(ours.iter().map(|(name, value)| (*name, Some(value.as_bytes())))));
        Parcel { topic: &self.topic, partition: place.partition % self.partitions, key: key.as_deref(), headers, value }
    }

    /// Every letter that is still kept, by partition and offset, with what was done about it. One that was written twice,
    /// since somebody was killed in between, is there once.
    ///
    /// # Errors
    /// `LogError::Store`.
    pub fn all(&self) -> Result<Vec<Entry>, LogError> {
        let mut shelf = Shelf::default();
        self.scan(|message| shelf.put(message))?;
        Ok(shelf.entries())
    }

    /// One letter, with what was done about it.
    ///
    /// # Errors
    /// `LogError::Unfit` where there is none, `LogError::Store`.
    pub fn one(&self, id: Place) -> Result<Entry, LogError> {
        let mut shelf = Shelf::default();
        self.scan(|message| shelf.put(message))?;
        shelf.find(id).ok_or_else(|| LogError::Unfit(format!("there is no letter {id} in {}", self.topic)))
    }

    /// Puts the original back to the inbox, with a header that says which letter it was, and marks the letter.
    ///
    /// # Errors
    /// `LogError::Unfit` where there is no such letter, something was done about it already, or not all of it was kept;
    /// `LogError::Store`.
    pub fn retry(&self, id: Place, now: Timestamp) -> Result<Place, LogError> {
        let entry = self.untouched(id)?;
        if let Some(len) = entry.cut {
            let (topic, place) = (&entry.topic, entry.letter.message.place);
            return Err(LogError::Unfit(format!("the letter {id} is a part only; all {len} bytes lie in {topic} at {place}")));
        }
        let Message { place, key, headers, value, .. } = &entry.letter.message;
        let name = id.to_string();
        let originals = headers.iter().filter(|(name, _)| name != RETRY_OF).map(|(name, value)| (name.as_str(), value.as_deref()));
        let headers = owned(originals.chain(std::iter::once((RETRY_OF, Some(name.as_bytes())))));
        let partitions = Topics::new(&self.options)?.partitions(&self.inbox)?.and_then(|count| u32::try_from(count).ok());
        let partitions = partitions.ok_or_else(|| LogError::Unfit(format!("there is no topic {}", self.inbox)))?;
        let parcel =
            Parcel { topic: &self.inbox, partition: place.partition % partitions, key: key.as_deref(), headers, value: value.as_deref() };
        let places = self.courier.deliver(std::iter::once(parcel), TO_WRITE)?;
        let back = *places.first().expect("one was delivered");
        self.mark(&entry, MarkKind::Retried, &format!("{} {back}", self.inbox), now)?;
        Ok(back)
    }

    /// Marks a letter as one that nobody will do anything about.
    ///
    /// # Errors
    /// `LogError::Unfit` where there is no such letter or something was done about it already, `LogError::Store`.
    pub fn discard(&self, id: Place, reason: &str, now: Timestamp) -> Result<(), LogError> {
        self.mark(&self.untouched(id)?, MarkKind::Discarded, reason, now)
    }

    fn untouched(&self, id: Place) -> Result<Entry, LogError> {
        let entry = self.one(id)?;
        match &entry.mark {
            Some(Mark { kind, at, reason }) => {
                Err(LogError::Unfit(format!("the letter {id} was {} already, at {at}: {reason}", kind.name())))
            }
            None => Ok(entry),
        }
    }

    fn mark(&self, entry: &Entry, kind: MarkKind, reason: &str, now: Timestamp) -> Result<(), LogError> {
        let ours = [(MARK, kind.name().to_owned()), (LETTER, entry.id.to_string()), (REASON, reason.to_owned()), (AT, now.to_string())];
        let headers = owned(ours.iter().map(|(name, value)| (*name, Some(value.as_bytes()))));
        let key = entry.letter.message.key.as_deref();
        let parcel = Parcel { topic: &self.topic, partition: entry.id.partition, key, headers, value: Some(b"") };
        Ok(self.courier.deliver(std::iter::once(parcel), TO_WRITE).map(drop)?)
    }

    /// Reads all partitions from their beginnings to the ends they have now.
    fn scan(&self, take: impl FnMut(Message)) -> Result<(), LogError> {
        let beginnings: Vec<(u32, u64)> = (0..self.partitions).map(|partition| (partition, 0)).collect();
        scan(&self.options, &self.topic, &beginnings, take)
    }
}

impl DeadLetters for KafkaLetters {
    fn keep(&self, letters: &[Letter]) -> Result<(), LogError> {
        let ours: Vec<_> = letters.iter().map(|letter| describe(letter, &self.inbox, None)).collect();
        let parcels = letters.iter().zip(&ours).map(|(letter, ours)| self.parcel(letter, ours, letter.message.value.as_deref()));
        match self.courier.deliver(parcels, TO_WRITE) {
            Ok(_) => Ok(()),
            // The topic does not take one that large. A beginning of it says enough to find the whole in the inbox.
            Err(unwritten) if unwritten.is_too_large => {
                tracing::warn!(reason = unwritten.reason, "dead letters are kept without most of their bytes");
                let ours: Vec<_> = letters.iter().map(|letter| describe(letter, &self.inbox, Some(KEPT_OF_CUT))).collect();
                let cut = |letter: &Letter| letter.message.value.as_ref().map(|value| value.slice(..value.len().min(KEPT_OF_CUT)));
                let values: Vec<Option<Bytes>> = letters.iter().map(cut).collect();
                let parcels =
                    letters.iter().zip(&ours).zip(&values).map(|((letter, ours), value)| self.parcel(letter, ours, value.as_deref()));
                Ok(self.courier.deliver(parcels, TO_WRITE).map(drop)?)
            }
            Err(unwritten) => Err(unwritten.into()),
        }
    }
}

/// Our headers of a letter.
fn describe(letter: &Letter, topic: &str, kept: Option<usize>) -> Vec<(&'static str, String)> {
    let Letter { message, objection, at } = letter;
    let mut ours = vec![
        (ORIGINAL_HEADERS, message.headers.len().to_string()),
        (TOPIC, topic.to_owned()),
        (PLACE, message.place.to_string()),
        (CODE, objection.code.clone()),
        (DETAIL, objection.detail.chars().take(MAX_DETAIL).collect()),
        (AT, at.to_string()),
    ];
    ours.extend(message.arrived_at.map(|at| (ARRIVED_AT, at.to_string())));
    ours.extend(objection.field.as_ref().map(|field| (FIELD, field.chars().take(MAX_DETAIL).collect())));
    if kept.is_some_and(|kept| message.bytes().len() > kept) {
        ours.push((CUT, message.bytes().len().to_string()));
    }
    ours
}

/// Letters and marks, as they are read.
#[derive(Default)]
struct Shelf {
    letters: BTreeMap<Place, Entry>,
    /// The first letter of an original, by where that came from.
    first: BTreeMap<(String, Place, Option<Timestamp>), Place>,
    /// Letters that were written once more, and the first of them.
    again: BTreeMap<Place, Place>,
    marks: BTreeMap<Place, Mark>,
}

impl Shelf {
    fn put(&mut self, message: Message) {
        if let Some((id, mark)) = mark_of(&message) {
            self.marks.entry(id).or_insert(mark);
            return;
        }
        let id = message.place;
        let Some(entry) = entry_of(message) else {
            tracing::warn!(%id, "a message among the dead letters is none");
            return;
        };
        let original = (entry.topic.clone(), entry.letter.message.place, entry.letter.message.arrived_at);
        let first = *self.first.entry(original).or_insert(id);
        if first == id {
            self.letters.insert(id, entry);
        } else {
            self.again.insert(id, first);
        }
    }

    fn find(mut self, id: Place) -> Option<Entry> {
        let id = self.again.get(&id).copied().unwrap_or(id);
        let mut entry = self.letters.remove(&id)?;
        entry.mark = self.marks.remove(&id);
        Some(entry)
    }

    fn entries(mut self) -> Vec<Entry> {
        let with_mark = |(id, entry)| Entry { mark: self.marks.remove(&id), ..entry };
        self.letters.into_iter().map(with_mark).collect()
    }
}

/// The values of our headers, which are the last ones.
fn ours<'a>(headers: &'a [(String, Option<Vec<u8>>)], name: &str) -> Option<&'a str> {
    let value = headers.iter().rev().find(|(known, _)| known == name).and_then(|(_, value)| value.as_deref());
    value.and_then(|value| std::str::from_utf8(value).ok())
}

/// What a message says was done, and about which letter.
fn mark_of(message: &Message) -> Option<(Place, Mark)> {
    let (name, value) = message.headers.first()?;
    if name != MARK || ours(&message.headers, ORIGINAL_HEADERS).is_some() {
        return None;
    }
    let get = |name| ours(&message.headers, name);
    let (kind, id) = (MarkKind::parse(value.as_deref()?)?, get(LETTER)?.parse::<Place>().ok()?);
    let at = Timestamp::parse(get(AT)?).ok()?;
    (id.partition == message.place.partition).then(|| (id, Mark { kind, at, reason: get(REASON).unwrap_or_default().to_owned() }))
}

/// The letter in a message of the topic.
fn entry_of(message: Message) -> Option<Entry> {
    let begin = message.headers.iter().rposition(|(name, _)| name == ORIGINAL_HEADERS)?;
    let (originals, own) = message.headers.split_at(begin);
    let get = |name| ours(own, name);
    if get(ORIGINAL_HEADERS)?.parse() != Ok(originals.len()) {
        return None;
    }
    let objection = Objection { code: get(CODE)?.to_owned(), detail: get(DETAIL)?.to_owned(), field: get(FIELD).map(str::to_owned) };
    let arrived_at = get(ARRIVED_AT).and_then(|at| Timestamp::parse(at).ok());
    let headers: Headers = originals.to_vec();
    let retry_of = ours(&headers, RETRY_OF).map(str::to_owned);
    let (topic, cut) = (get(TOPIC)?.to_owned(), get(CUT).and_then(|len| len.parse().ok()));
    let (place, at) = (get(PLACE)?.parse().ok()?, Timestamp::parse(get(AT)?).ok()?);
    let id = message.place;
    let letter = Letter { message: Message { place, key: message.key, headers, value: message.value, arrived_at }, objection, at };
    Some(Entry { id, topic, letter, cut, retry_of, mark: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(headers: &[(&str, &str)]) -> Letter {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Some(value.as_bytes().to_vec()))).collect();
        let arrived_at = Some(Timestamp::from_micros(1_000_000));
        let place = Place { partition: 2, offset: 77 };
        let message =
            Message { place, key: Some(Bytes::from_static(b"k\xff")), headers, value: Some(Bytes::from_static(b"{\xff")), arrived_at };
        let objection = Objection { code: "MalformedJson".into(), detail: "not JSON".into(), field: None };
        Letter { message, objection, at: Timestamp::from_micros(2_000_000) }
    }

    /// As it lies in the topic.
    fn written(letter: &Letter, offset: u64) -> Message {
        let ours = describe(letter, "pledger.inbox", None).into_iter().map(|(name, value)| (name.to_owned(), Some(value.into_bytes())));
        let headers = letter.message.headers.iter().cloned().chain(ours).collect();
        Message { place: Place { partition: 1, offset }, headers, arrived_at: None, ..letter.message.clone() }
    }

    fn mark(kind: &str, letter: &str, offset: u64) -> Message {
        let pairs = [(MARK, kind), (LETTER, letter), (REASON, "why"), (AT, "2026-01-01T00:00:00Z")];
        let headers = pairs.iter().map(|(name, value)| ((*name).to_owned(), Some(value.as_bytes().to_vec()))).collect();
        Message { place: Place { partition: 1, offset }, key: None, headers, value: Some(Bytes::new()), arrived_at: None }
    }

    #[test]
    fn a_letter_reads_back_whatever_its_headers_are_called() {
        let hostile = [("ce_id", "1"), (ORIGINAL_HEADERS, "0"), (CODE, "Fine"), (MARK, "discarded"), (RETRY_OF, "0-3")];
        for headers in [&[][..], &hostile[..], &[(MARK, "retried"), (LETTER, "1-5"), (AT, "2026-01-01T00:00:00Z")][..]] {
            let letter = letter(headers);
            let mut shelf = Shelf::default();
            shelf.put(written(&letter, 5));
            let entry = shelf.find(Place { partition: 1, offset: 5 }).expect("a letter");
            assert_eq!(entry.letter, letter);
            assert_eq!((entry.mark, entry.cut, entry.topic.as_str()), (None, None, "pledger.inbox"));
        }
    }

    #[test]
    fn marks_are_of_letters_in_their_partition_and_the_first_one_counts() {
        let mut shelf = Shelf::default();
        let other = Letter { message: Message { place: Place { partition: 2, offset: 78 }, ..letter(&[]).message }, ..letter(&[]) };
        // The second is the first once more: somebody was killed before it was committed.
        for (offset, letter) in [(0, letter(&[])), (1, letter(&[])), (2, other)] {
            shelf.put(written(&letter, offset));
        }
        for message in [mark("retried", "1-0", 3), mark("discarded", "1-0", 4), mark("discarded", "2-2", 5), mark("burnt", "1-2", 6)] {
            shelf.put(message);
        }
        let entries = shelf.entries();
        let told: Vec<_> = entries.iter().map(|entry| (entry.id.offset, entry.mark.as_ref().map(|mark| mark.kind))).collect();
        assert_eq!(told, [(0, Some(MarkKind::Retried)), (2, None)]);
    }
}
