//! The events of a decision as CloudEvents.

use std::borrow::Cow;

use bytes::Bytes;
use pledger_ledger::{
    edge::cloud_events::{TYPE_PREFIX, is_traceparent},
    keys,
    published::{EventPlace, Publication},
    record::{Body, BodyError, Decision, Outcome, Record},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::PublisherDesk;

/// An event as it is recorded.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, rename = "type")]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// The events of a valid record at `offset`, in their order; none of what is no decision, and of a refusal.
pub(super) fn events(desk: &PublisherDesk, offset: u64, record: &Record) -> Result<Vec<Publication>, BodyError> {
    let Body::Decision(decision) = Body::decode(&record.body)? else { return Ok(Vec::new()) };
    let Outcome::Accepted(events) = &decision.outcome else { return Ok(Vec::new()) };
    // As today's pledger writes them, whatever format they were recorded in.
    let json = serde_json::to_string(events)?;
    let events: Vec<Named<'_>> = serde_json::from_str(&json)?;
    let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
    let publication = |(index, event): (u32, Named<'_>)| {
        let (position, header) = (record.position(), &record.header);
        let place = EventPlace { position, index, count, offset, term: header.term, hash: header.hash };
        let data = event.data.map_or("{}", RawValue::get);
        let data = match &desk.persons {
            Some(keys) => Bytes::from(keys::open_all(&**keys, serde_json::from_str(data)?).to_string()),
            None => Bytes::copy_from_slice(data.as_bytes()),
        };
        Ok(Publication { place, key: decision.stream.as_str().to_owned(), attributes: attributes(desk, &decision, &event.name), data })
    };
    (0..).zip(events).map(publication).collect()
}

fn attributes(desk: &PublisherDesk, decision: &Decision<'_>, name: &str) -> Vec<(&'static str, String)> {
    let mut attributes = vec![
        ("type", format!("{TYPE_PREFIX}{name}")),
        ("source", desk.ledger_id.clone()),
        ("subject", decision.stream.as_str().to_owned()),
        ("time", decision.effective_at.to_string()),
        ("recordedat", decision.recorded_at.to_string()),
        ("rules", decision.rules.to_string()),
        ("streamversion", decision.version.to_string()),
    ];
    // The trace of the event that the decision answers to goes on.
    let trace = decision.command.cause.as_deref().filter(|cause| is_traceparent(cause));
    attributes.extend(trace.map(|trace| ("traceparent", trace.to_owned())));
    attributes
}
