//! A record as a message: the body is the value, the stream is the key, the chain fields are headers in plain text.

use std::borrow::Cow;

use bytes::Bytes;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Header, Headers, Message, OwnedHeaders};

use super::client;
use crate::{
    body_stream::stream_of,
    hexadecimal,
    log::Placed,
    record::{self, Hash, Record},
    slices::SliceId,
};

const PSEQ: &str = "pseq";
const TERM: &str = "term";
const PREV: &str = "prev";
const HASH: &str = "hash";

/// The chain fields; the slice is the partition.
pub(super) fn headers(header: &record::Header) -> OwnedHeaders {
    let (pseq, term) = (header.pseq.to_string(), header.term.to_string());
    let (mut prev, mut hash) = ([0; 64], [0; 64]);
    let (prev, hash) = (hexadecimal::write(&header.prev.0, &mut prev), hexadecimal::write(&header.hash.0, &mut hash));
    let fields = [(PSEQ, &*pseq), (TERM, &*term), (PREV, prev), (HASH, hash)];
    fields.into_iter().fold(OwnedHeaders::new_with_capacity(4), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
}

/// The key that a record is written with.
pub(super) fn key(record: &Record) -> Option<Cow<'_, str>> {
    stream_of(&record.body)
}

/// The record in a message of a slice's partition. What somebody else put there is one too, a void one: it is kept as
/// evidence, and no reader stops at it.
pub(super) fn placed(slice: SliceId, message: &BorrowedMessage<'_>) -> Placed {
    let offset = u64::try_from(message.offset()).expect("a message that was read has an offset");
    let body = Bytes::copy_from_slice(message.payload().unwrap_or_default());
    let read = |headers: &BorrowedHeaders| parse(slice, headers.iter().map(|header| (header.key, header.value)));
    let header = message.headers().and_then(|headers| client::guarded(|| read(headers)).flatten());
    let record = match header {
        Some(header) => Record { header, body },
        None => {
            tracing::warn!(slice, offset, "a message in the ledger's topic is no record; it is void");
            Record::chain(slice, Record::NO_PSEQ, 0, Hash::default(), body)
        }
    };
    Placed { offset, record }
}

/// The chain fields, each exactly once and as we write it; other headers may stand beside them.
fn parse<'a>(slice: SliceId, headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>) -> Option<record::Header> {
    let (mut pseq, mut term, mut prev, mut hash) = (None, None, None, None);
    for (key, value) in headers {
        let value = value.unwrap_or_default();
        let again = match key {
            PSEQ => pseq.replace(number(value)?).is_some(),
            TERM => term.replace(number(value)?).is_some(),
            PREV => prev.replace(hash_from(value)?).is_some(),
            HASH => hash.replace(hash_from(value)?).is_some(),
            _ => false,
        };
        if again {
            return None;
        }
    }
    Some(record::Header { slice, pseq: pseq?, term: term?, prev: prev?, hash: hash? })
}

fn number(text: &[u8]) -> Option<u64> {
    let canonical = text == b"0" || text.first().is_some_and(|digit| matches!(digit, b'1'..=b'9'));
    std::str::from_utf8(text).ok().filter(|_| canonical)?.parse().ok()
}

fn hash_from(text: &[u8]) -> Option<Hash> {
    std::str::from_utf8(text).ok().and_then(Hash::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record::chain(3, 18_446, 7, Hash([0xa5; 32]), Bytes::from_static(br#"{"decision":{"v":1,"stream":"account/acme.com"}}"#))
    }

    fn pairs(headers: &OwnedHeaders) -> Vec<(String, Vec<u8>)> {
        headers.iter().map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect()
    }

    fn read(pairs: &[(String, Vec<u8>)]) -> Option<record::Header> {
        parse(3, pairs.iter().map(|(key, value)| (key.as_str(), Some(value.as_slice()))))
    }

    #[test]
    fn the_chain_fields_read_back_and_are_plain_text() {
        let record = record();
        let mut pairs = pairs(&headers(&record.header));
        assert_eq!(pairs[0], ("pseq".into(), b"18446".to_vec()));
        assert_eq!(pairs[2], ("prev".into(), "a5".repeat(32).into_bytes()));
        assert_eq!(read(&pairs), Some(record.header));
        pairs.push(("traceparent".into(), b"00-1-2-01".to_vec()));
        assert_eq!(read(&pairs), Some(record.header));
        assert_eq!(key(&record).as_deref(), Some("account/acme.com"));
    }

    #[test]
    fn anything_else_is_no_record() {
        let whole = pairs(&headers(&record().header));
        for at in 0..whole.len() {
            let mut missing = whole.clone();
            missing.remove(at);
            assert_eq!(read(&missing), None);
            let mut twice = whole.clone();
            twice.push(whole[at].clone());
            assert_eq!(read(&twice), None);
            for wrong in ["", "-1", "+1", "007", "1.0", "18446744073709551616", &"A5".repeat(32), &"a5".repeat(31), &"zz".repeat(32)] {
                let mut changed = whole.clone();
                changed[at].1 = wrong.into();
                assert_eq!(read(&changed), None, "{} is {wrong:?}", whole[at].0);
            }
        }
    }
}
