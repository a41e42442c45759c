//! `GET /v1/streams/{stream}`: the decisions of a stream, persons opened for those who may see them.

use axum::{
    body::Body,
    http::{HeaderMap, Response, StatusCode, Uri},
    response::IntoResponse,
};
use pledger_domain::stream::StreamName;
use pledger_ledger::{
    log::{Placed, read_valid},
    record::{Body as RecordBody, Decision, Events, Outcome},
    slices::Position,
};
use pledger_projections::engine::Moment;
use serde_json::{Value, json};

use crate::{ApiState, opened::Opener, principal::Rights, problem::Problem, query::Parameters, respond, views};

/// Decisions a page, where nothing else is asked for.
const DEFAULT_LIMIT: usize = 100;
/// The most decisions a page.
const MAX_LIMIT: usize = 1_000;
/// How many decisions are looked at for each that a page of the past may have.
const LOOKED_AT_EACH: usize = 10;
/// The most decisions that are looked at for a page of the past, which leaves some out.
const MAX_LOOKED_AT: usize = 10_000;

pub(crate) async fn get(api: ApiState, name: String, headers: HeaderMap, uri: Uri) -> Response<Body> {
    let answered = page(api, &name, &headers, &uri).await.and_then(|(page, said)| {
        let mut response = respond::json(&page)?;
        respond::warn(&mut response, said.as_slice());
        Ok(response)
    });
    answered.unwrap_or_else(IntoResponse::into_response)
}

/// The page, and what to know of it.
async fn page(api: ApiState, name: &str, headers: &HeaderMap, uri: &Uri) -> Result<(Value, Option<String>), Problem> {
    let rights = api.principals.principal(headers)?.rights;
    let stream = StreamName::parse(name).map_err(|invalid| unknown(invalid.to_string()))?;
    let mut parameters = Parameters::of(uri)?;
    let limit = parameters.limit(DEFAULT_LIMIT, MAX_LIMIT)?;
    let cursor = parameters.take("cursor")?;
    let moment = views::moment(&mut parameters)?;
    parameters.none_left(&["cursor", "limit", "as_of", "known_at"])?;
    let offset = cursor.map_or(Ok(0), |cursor| cursor.parse()).map_err(|_| {
        Problem::malformed("InvalidCursor", "the cursor is none that this stream gave")
            .field("cursor")
            .accepted("the next of the page before")
    })?;
    let said = views::ahead(moment, api.edge.clock.now());
    let is_first = offset == 0;
    let reading = ApiState::clone(&api);
    let read = tokio::task::spawn_blocking(move || read(&reading, rights, &stream, offset, limit, moment)).await;
    let mut page = read.unwrap_or_else(|failed| Err(Problem::internal(&failed)))?;
    let is_empty = is_first && moment.is_past() && page["items"] == json!([]) && page["next"].is_null();
    let said = said.or_else(|| is_empty.then(|| format!("{name} has decisions, and none of them counts at that time")));
    if let Some(warning) = views::warning(&api, said.as_slice()) {
        page["warning"] = json!(warning);
    }
    Ok((page, said))
}

fn unknown(detail: String) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "UnknownStream", detail)
        .accepted("program, partner/<id>, account/<key>, fund/<id>, cost/<partner or program>")
}

fn read(api: &ApiState, rights: Rights, stream: &StreamName, offset: u64, limit: usize, moment: Moment) -> Result<Value, Problem> {
    // Of the past some of what is looked at is not told.
    let max = if moment.is_past() { limit.saturating_mul(LOOKED_AT_EACH).clamp(DEFAULT_LIMIT, MAX_LOOKED_AT) } else { limit };
    let placed = read_valid(&*api.log, stream, offset, max).map_err(|error| Problem::of_log(&error))?;
    if placed.is_empty() && offset == 0 {
        return Err(unknown(format!("the stream {stream} has no decisions")));
    }
    let opener = Opener::new(&*api.edge.keys, rights);
    let (mut items, mut last) = (Vec::new(), None);
    for (looked_at, one) in (1..).zip(&placed) {
        items.extend(item(opener, stream, moment, one));
        last = Some((looked_at, one));
        if items.len() == limit {
            break;
        }
    }
    let next = last.filter(|(looked_at, _)| *looked_at < placed.len() || *looked_at == max).map(|(_, last)| (last.offset + 1).to_string());
    let position = last.map(|(_, last)| last.record.position());
    Ok(json!({"stream": stream, "items": items, "next": next, "position": position}))
}

/// A decision of this stream, where it is told. A record that was tampered with or cannot be read is shown as such, not left out.
fn item(opener: Opener<'_>, stream: &StreamName, moment: Moment, placed: &Placed) -> Option<Value> {
    let position = placed.record.position();
    if !placed.record.is_intact() {
        return Some(json!({"position": position, "outcome": "damaged", "reason": "the record does not have its hash"}));
    }
    match RecordBody::decode(&placed.record.body) {
        Ok(RecordBody::Decision(decision)) if decision.stream == *stream => {
            moment.tells(decision.recorded_at, decision.effective_at).then(|| decision_json(position, &decision, opener))
        }
        Ok(RecordBody::Decision(_) | RecordBody::LedgerCreated(_) | RecordBody::TermOpened(_) | RecordBody::Progress(_)) => None,
        Err(error) => Some(json!({"position": position, "outcome": "unreadable", "reason": error.to_string()})),
    }
}

fn decision_json(position: Position, decision: &Decision<'_>, opener: Opener<'_>) -> Value {
    let command = &decision.command;
    let payload = serde_json::from_str(command.payload.get()).unwrap_or_default();
    let mut item = json!({
        "position": position,
        "version": decision.version,
        "command": {
            "id": command.id, "type": command.name, "payload": opener.open(payload), "sender": command.sender, "actor": command.actor,
            "channel": command.channel, "received_at": command.received_at, "effective_at": command.effective_at, "cause": command.cause,
        },
        "rules": decision.rules,
        "recorded_at": decision.recorded_at,
        "effective_at": decision.effective_at,
        "relied_on": decision.relied_on.iter().map(|(stream, version)| json!({"stream": stream, "version": version})).collect::<Vec<_>>(),
        "historical": decision.historical,
    });
    match &decision.outcome {
        Outcome::Accepted(events) => {
            item["outcome"] = json!("accepted");
            item["events"] = opener.open(events_json(events));
        }
        Outcome::Rejected(rejection) => {
            item["outcome"] = json!("rejected");
            let stored = serde_json::to_value(rejection).unwrap_or_default();
            item["code"] = stored["code"].clone();
            item["facts"] = opener.open(stored["facts"].clone());
            item["detail"] = json!(rejection.to_string());
        }
    }
    item
}

fn events_json(events: &Events<'_>) -> Value {
    serde_json::to_value(events).unwrap_or_default()
}
