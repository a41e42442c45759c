//! `GET /v1/{view}` and `GET /v1/{view}/{key}`: questions to the read models.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri, header},
    response::IntoResponse,
};
use pledger_domain::values::Timestamp;
use pledger_ledger::slices::Position;
use pledger_projections::{
    engine::{Engine, Moment, WaitError},
    explain::{UnknownKey, unknown_key, unknown_value},
    query::{Incomplete, Page, Query, QueryError, Rows, VIEWS, ViewSpec, find_view},
};

use serde::Serialize;

use crate::{ApiState, csv, input, opened::Opener, past::Which, principal::Rights, problem::Problem, query::Parameters, respond};

/// Items a page, where nothing else is asked for.
const DEFAULT_LIMIT: usize = 100;
/// The most items a page.
const MAX_LIMIT: usize = 10_000;
/// Rows of a CSV answer, where nothing else is asked for, and the most.
const MAX_CSV_ROWS: usize = 100_000;
/// How long a question waits for `at_least`.
const AT_LEAST_TIMEOUT: Duration = Duration::from_secs(5);
/// After how many seconds to ask again where the read models are behind.
const RETRY_S: u32 = 1;
/// Where the next page of a CSV answer begins.
const NEXT_CURSOR: HeaderName = HeaderName::from_static("next-cursor");
/// Which streams are folded no further, where there are any: figures leave out what came after.
const INCOMPLETE: HeaderName = HeaderName::from_static("pledger-incomplete");
/// Streams that it names at most.
const MAX_NAMED: usize = 10;

/// The parameters that every view takes besides its dimensions.
const COMMON: [&str; 6] = ["limit", "cursor", "at_least", "by", "as_of", "known_at"];

/// What the client wants to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
}

pub(crate) async fn get(api: ApiState, view: String, key: Option<String>, headers: HeaderMap, uri: Uri) -> Response<Body> {
    answer(&api, &view, key, &headers, &uri).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(api: &ApiState, view: &str, key: Option<String>, headers: &HeaderMap, uri: &Uri) -> Result<Response<Body>, Problem> {
    let rights = api.principals.principal(headers)?.rights;
    let view = find(view)?;
    if let (Some(key), None) = (&key, view.key) {
        let detail = format!("{} has figures by dimension, and no {:?}", view.name, shortened(key));
        return Err(Problem::not_found(detail).accepted(format!("/v1/{}?by=DIMENSION", view.name)));
    }
    let form = form(headers)?;
    let mut parameters = Parameters::of(uri)?;
    let at_least = at_least(parameters.take_all("at_least"))?;
    let single = key.is_some();
    let moment = moment(&mut parameters)?;
    let query = Query { at: Some(moment.asked_at(api.edge.clock.now())), ..query(key, parameters, form)? };
    let columns = csv::columns(view, &query);
    let engine = engine(api, moment, Some(view)).await?;
    reach(api, &engine, &at_least).await?;
    let is_first = query.cursor.is_none();
    let supposed = engine
        .rules_version()
        .map(|version| format!("the read models in use are folded under version {version} of the rules, whichever their decisions name"));
    let (page, unknown) = ask(api, engine, (view, query), moment, rights).await?;
    let said = unknown.into_iter().chain(ahead(moment, api.edge.clock.now())).chain(supposed);
    let said: Vec<String> = said.filter(|_| is_first).collect();
    let mut response = match (form, page.items.as_slice()) {
        (Form::Csv, _) => csv_response(&columns, &page),
        (Form::Json, [item]) if single => respond::json(item),
        (Form::Json, _) => respond::json(&List { page: &page, warning: warning(api, &said) }),
    }?;
    respond::warn(&mut response, &said);
    response.headers_mut().extend(incomplete(&page.incomplete));
    Ok(response)
}

/// What figures leave out, whatever their form, if anything: `account/acme.com since 3:17`.
pub(crate) fn incomplete(streams: &[Incomplete]) -> Option<(HeaderName, HeaderValue)> {
    if streams.is_empty() {
        return None;
    }
    let named: Vec<String> = streams.iter().take(MAX_NAMED).map(|one| format!("{} since {}", one.stream, one.since)).collect();
    let more = streams.len().checked_sub(MAX_NAMED + 1).map(|more| format!(", and {} more", more + 1)).unwrap_or_default();
    Some((INCOMPLETE, respond::header_text(&format!("{}{more}", named.join(", ")))))
}

/// A page, and what to know of it: why no command is decided any more, or why it is empty.
#[derive(Serialize)]
struct List<'a> {
    #[serde(flatten)]
    page: &'a Page,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

/// Why no command is decided any more, and what else there is to say of an answer, if anything.
pub(crate) fn warning(api: &ApiState, said: &[String]) -> Option<String> {
    let halted = api.sink.halted();
    let warnings: Vec<&str> = halted.iter().map(|reason| &**reason).chain(said.iter().map(String::as_str)).collect();
    (!warnings.is_empty()).then(|| warnings.join("; "))
}

/// That what was known at a later day than today is what is known now, where that is asked for.
pub(crate) fn ahead(moment: Moment, now: Timestamp) -> Option<String> {
    let known_at = moment.known_at.filter(|known_at| known_at.day() > now.day())?;
    Some(format!("known_at {known_at} lies in the future: the answer is what is known now"))
}

/// The read models of a moment, to be asked by this view, or by any.
pub(crate) async fn engine(api: &ApiState, moment: Moment, view: Option<&'static ViewSpec>) -> Result<Arc<Engine>, Problem> {
    if !moment.is_past() {
        return Ok(Arc::clone(&api.engine));
    }
    let (api, which) = (Arc::clone(api), Which { moment, rules_version: api.engine.rules_version() });
    let folded = tokio::task::spawn_blocking(move || api.past.engine(api.checkpoints.as_deref(), &api.log, which, view)).await;
    folded.map_err(|failed| Problem::internal(&failed))?
}

/// The moment that the parameters name.
pub(crate) fn moment(parameters: &mut Parameters) -> Result<Moment, Problem> {
    Ok(Moment { as_of: time(parameters, "as_of")?, known_at: time(parameters, "known_at")? })
}

fn time(parameters: &mut Parameters, name: &'static str) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = parameters.take(name)? else { return Ok(None) };
    let read = Moment::parse_time(&text).map_err(|error| Problem::malformed("InvalidTime", error).field(name));
    read.map(Some).map_err(|problem| problem.accepted("RFC 3339 like 2026-03-31T18:00:00Z, or a date like 2026-03-31 for its end"))
}

/// Asks where it may take some milliseconds, and opens what may be seen; of an empty answer also why it may be empty.
async fn ask(
    api: &ApiState,
    engine: Arc<Engine>,
    (view, query): (&'static ViewSpec, Query),
    moment: Moment,
    rights: Rights,
) -> Result<(Page, Vec<String>), Problem> {
    let keys = Arc::clone(&api.edge.keys);
    let answering = move || {
        let mut page = engine.query(view.name, &query).map_err(|error| unanswered(&engine, view, &error, moment))?;
        let unknown = if page.items.is_empty() { unknown_values(&engine, &query) } else { Vec::new() };
        Opener::new(&*keys, rights).open_items(view, &mut page.items);
        Ok((page, unknown))
    };
    tokio::task::spawn_blocking(answering).await.map_err(|failed| Problem::internal(&failed))?
}

/// The filters that nothing can pass, each with what there is near it.
pub(crate) fn unknown_values(engine: &Engine, query: &Query) -> Vec<String> {
    let unknown = |rows: &Rows<'_>| -> Vec<String> {
        // Several values of a dimension are alternatives.
        let only = |dimension: &str| query.filters.iter().filter(|(other, _)| other == dimension).count() == 1;
        let filters = query.filters.iter().filter(|(dimension, _)| only(dimension));
        filters.filter_map(|(dimension, value)| unknown_value(rows, dimension, value)).map(|unknown| unknown.to_string()).collect()
    };
    engine.read(unknown)
}

/// The problem of a question without an answer, with what there is near an unknown key.
fn unanswered(engine: &Engine, view: &'static ViewSpec, error: &QueryError, moment: Moment) -> Problem {
    let unknown = match error {
        QueryError::NotFound { key, .. } => engine.read(|rows| unknown_key(rows, view, key)),
        _ => None,
    };
    unknown.map_or_else(|| problem(view, error), |unknown| self::unknown(&unknown, moment))
}

/// The problem of a key that is none. What is there now may not have been there then.
pub(crate) fn unknown(unknown: &UnknownKey, moment: Moment) -> Problem {
    let detail = if moment.is_past() { format!("by then there was {unknown}") } else { unknown.to_string() };
    Problem::not_found(detail).with("nearest", unknown.nearest.clone())
}

/// Waits until the read models stand at these positions.
pub(crate) async fn reach(api: &ApiState, engine: &Engine, at_least: &[Position]) -> Result<(), Problem> {
    match engine.reached(at_least, AT_LEAST_TIMEOUT).await {
        Ok(()) => Ok(()),
        Err(error) => Err(behind(api, &error).await),
    }
}

/// The problem of a position that the read models do not stand at.
async fn behind(api: &ApiState, error: &WaitError) -> Problem {
    match error {
        WaitError::Behind(position) => {
            let (log, slice, pseq) = (Arc::clone(&api.log), position.slice, position.pseq);
            let end = tokio::task::spawn_blocking(move || log.end(slice)).await;
            let detail = match end {
                Ok(Ok(end)) if pseq >= end => format!("the ledger has no {position}: its slice {slice} holds {end} records so far"),
                _ => error.to_string(),
            };
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "ReadModelsBehind", detail).retry_after(RETRY_S)
        }
        WaitError::NoSuchSlice(_) => {
            Problem::malformed("InvalidPosition", error.to_string()).accepted("positions that this ledger's answers gave")
        }
    }
    .field("at_least")
}

/// The view of this name.
pub(crate) fn find(name: &str) -> Result<&'static ViewSpec, Problem> {
    find_view(name).map_err(|error| {
        let accepted: Vec<&str> = VIEWS.iter().map(|view| view.name).collect();
        Problem::new(StatusCode::NOT_FOUND, "UnknownView", error.to_string()).accepted(accepted)
    })
}

fn shortened(name: &str) -> String {
    name.chars().take(80).collect()
}

/// The one of `names` that is near enough to be meant.
fn nearest<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    let scored = names.iter().map(|known| (strsim::jaro_winkler(known, &name.to_lowercase()), *known));
    scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}

/// What `Accept` asks for: JSON where it says nothing.
fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    let Some(accept) = headers.get(header::ACCEPT) else { return Ok(Form::Json) };
    let accept = accept.to_str().unwrap_or_default();
    let mut chosen: Option<(Form, f32)> = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let form = match parts.next().unwrap_or_default() {
            "text/csv" | "text/*" => Form::Csv,
            "application/json" | "application/*" | "*/*" | "" => Form::Json,
            _ => continue,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
        // Of those that are wanted alike, the first.
        if quality > chosen.map_or(0.0, |(_, quality)| quality) {
            chosen = Some((form, quality));
        }
    }
    if let Some((form, _)) = chosen {
        return Ok(form);
    }
    Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", format!("{:?} is not written here", shortened(accept)))
        .field("Accept")
        .accepted(vec!["application/json", "text/csv"]))
}

pub(crate) fn at_least(given: Vec<String>) -> Result<Vec<Position>, Problem> {
    let read = |text: &String| {
        input::positions(text, "at_least").map_err(|_| {
            Problem::malformed("InvalidPosition", format!("{:?} is no position", shortened(text)))
                .field("at_least")
                .accepted("positions like 12:4711, separated by commas")
        })
    };
    Ok(given.iter().map(read).collect::<Result<Vec<_>, _>>()?.concat())
}

fn query(key: Option<String>, mut parameters: Parameters, form: Form) -> Result<Query, Problem> {
    let (default, max) = match form {
        Form::Json => (DEFAULT_LIMIT, MAX_LIMIT),
        Form::Csv => (MAX_CSV_ROWS, MAX_CSV_ROWS),
    };
    let limit = parameters.limit(default, max)?;
    let cursor = parameters.take("cursor")?;
    let by = parameters
        .take_all("by")
        .iter()
        .flat_map(|by| by.split(','))
        .map(str::trim)
        .filter(|by| !by.is_empty())
        .map(str::to_owned)
        .collect();
    Ok(Query { key, by, filters: parameters.into_rest(), limit: Some(limit), cursor, at: None, details: false })
}

pub(crate) fn problem(view: &'static ViewSpec, error: &QueryError) -> Problem {
    let detail = error.to_string();
    match error {
        QueryError::UnknownView { .. } => Problem::new(StatusCode::NOT_FOUND, "UnknownView", detail),
        QueryError::UnknownDimension { dimension, accepted, .. } => {
            let grouped = !accepted.is_empty();
            let accepted = if grouped { accepted.clone() } else { dimensions(view) };
            let near = nearest(dimension, &accepted).filter(|_| grouped).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            Problem::malformed("UnknownDimension", format!("{detail}{near}")).field(dimension.as_str()).accepted(accepted)
        }
        QueryError::InvalidValue { dimension, expected, .. } => {
            Problem::malformed("InvalidValue", detail).field(dimension.as_str()).accepted(expected.as_str())
        }
        QueryError::InvalidCursor { .. } => {
            Problem::malformed("InvalidCursor", detail).field("cursor").accepted("the next of the page before, with the same parameters")
        }
        QueryError::NotFound { .. } => Problem::new(StatusCode::NOT_FOUND, "NotFound", detail),
        QueryError::Ambiguous { candidates, .. } => Problem::new(StatusCode::CONFLICT, "AmbiguousKey", detail).accepted(candidates.clone()),
    }
}

/// Everything that may stand in a question to the view.
fn dimensions(view: &'static ViewSpec) -> Vec<&'static str> {
    view.filters.iter().map(|field| field.name).chain(COMMON).collect()
}

fn csv_response(columns: &[csv::Column], page: &Page) -> Result<Response<Body>, Problem> {
    let body = csv::write(columns, &page.items).map_err(|error| Problem::internal(&error))?;
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    if let Some(next) = page.next.as_deref().and_then(|next| HeaderValue::from_str(next).ok()) {
        response.headers_mut().insert(NEXT_CURSOR, next);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_chooses_the_form() {
        let form = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            form(&headers)
        };
        assert_eq!(super::form(&HeaderMap::new()), Ok(Form::Json));
        assert_eq!(form("text/csv"), Ok(Form::Csv));
        assert_eq!(form("text/html, */*;q=0.8"), Ok(Form::Json));
        assert_eq!(form("text/csv;q=1, application/json"), Ok(Form::Csv));
        assert_eq!(form("text/csv;q=0.1, application/json;q=0.9"), Ok(Form::Json));
        assert_eq!(form("application/json;q=0, */*; q=0.2, text/csv; q=0.3"), Ok(Form::Csv));
        assert_eq!(form("image/png").expect_err("no picture").status(), StatusCode::NOT_ACCEPTABLE);
    }
}
