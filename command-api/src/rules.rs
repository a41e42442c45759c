//! `/v1/rules`: the versions that were published, and a draft read, checked and held against them.

mod documents;

use std::sync::Arc;

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, Response, StatusCode},
    response::IntoResponse,
};
use pledger_domain::{
    program::Program,
    rules::{InvalidRules, RuleSet, Rules},
    values::Timestamp,
};
use pledger_projections::engine::published;
use serde::Deserialize;
use serde_json::Value;

use crate::{ApiState, input, input::MediaType, problem::Problem, query::Parameters, respond};

pub use documents::{UnknownRules, checked_rules, compared_rules, find_rules, found_in_rules, listed_rules, shown_rules};

/// What a body is.
const EXPECTED: &str = r#"{"program":"a whole program.toml"}, to be held against the rules in force, with "version":N against those, or with "before":"another program.toml" against that; or the file as it is, as application/toml"#;
/// What stands for the version in force.
const IN_FORCE: &str = "in-force";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    program: String,
    /// Of a difference: the version to hold it against; the one in force where absent.
    #[serde(default)]
    version: Option<u32>,
    /// Of a difference: another draft to hold it against.
    #[serde(default)]
    before: Option<String>,
}

/// What was sent.
#[derive(Default)]
struct Sent {
    program: Vec<u8>,
    version: Option<u32>,
    before: Option<String>,
}

pub(crate) async fn list(api: ApiState, headers: HeaderMap) -> Response<Body> {
    answer(&api, &headers, |program, now| Ok(listed_rules(program, now))).await
}

pub(crate) async fn show(api: ApiState, version: String, headers: HeaderMap) -> Response<Body> {
    answer(&api, &headers, |program, now| {
        let named = match version.as_str() {
            IN_FORCE => find_rules(program, None, now),
            text => match text.parse() {
                Ok(version) => find_rules(program, Some(version), now),
                Err(_) => {
                    let version = text.chars().take(40).collect();
                    Err(UnknownRules::NoSuchVersion { version, published: program.count() })
                }
            },
        };
        Ok(shown_rules(program, named.map_err(|error| unknown(&error))?, now))
    })
    .await
}

fn unknown(error: &UnknownRules) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "UnknownRules", error.to_string())
        .field("version")
        .accepted(format!("a version that /v1/rules names, or {IN_FORCE}"))
}

/// Tells of what was published, to whoever may ask.
async fn answer(api: &ApiState, headers: &HeaderMap, told: impl FnOnce(&Program, Timestamp) -> Result<Value, Problem>) -> Response<Body> {
    let answered = async {
        api.principals.principal(headers)?;
        let document = told(&read_published(api).await?, api.edge.clock.now())?;
        respond::json(&document)
    };
    answered.await.unwrap_or_else(IntoResponse::into_response)
}

/// The rules as published.
async fn read_published(api: &ApiState) -> Result<Program, Problem> {
    let log = Arc::clone(&api.log);
    let read = tokio::task::spawn_blocking(move || published(&*log)).await;
    read.map_err(|failed| Problem::internal(&failed))?.map_err(|error| Problem::of_log(&error))
}

/// Whether there is such a version.
pub(crate) fn check_version(api: &ApiState, version: u32) -> Result<(), Problem> {
    let program = published(&*api.log).map_err(|error| Problem::of_log(&error))?;
    find_rules(&program, Some(version), api.edge.clock.now()).map(|_| ()).map_err(|error| unknown(&error).field("rules_version"))
}

pub(crate) async fn check(api: ApiState, request: Request) -> Response<Body> {
    checked(&api, request).await.unwrap_or_else(IntoResponse::into_response)
}

/// 200 whether or not it is valid: that is the answer.
async fn checked(api: &ApiState, request: Request) -> Result<Response<Body>, Problem> {
    let sent = read(api, request).await?;
    respond::json(&checked_rules(&Rules::text_of(&sent.program).and_then(Rules::check)))
}

pub(crate) async fn diff(api: ApiState, request: Request) -> Response<Body> {
    compared(&api, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn compared(api: &ApiState, request: Request) -> Result<Response<Body>, Problem> {
    let Sent { program, version, before } = read(api, request).await?;
    let after = parsed(&program, "program")?;
    let document = match (before, version) {
        (Some(_), Some(_)) => {
            let both = "a draft is held against a version or against another draft";
            return Err(Problem::malformed("InvalidBody", both).field("before").accepted(EXPECTED));
        }
        (Some(before), None) => compared_rules("before", None, &parsed(before.as_bytes(), "before")?, &after),
        (None, version) => {
            let published = read_published(api).await?;
            let before: &RuleSet = find_rules(&published, version, api.edge.clock.now()).map_err(|error| unknown(&error))?;
            compared_rules(&format!("version {}", before.version), Some(before.version), &before.rules, &after)
        }
    };
    respond::json(&document)
}

fn parsed(program: &[u8], field: &'static str) -> Result<Rules, Problem> {
    let invalid = |invalid: InvalidRules| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "InvalidRules", invalid.to_string()).field(field);
    Rules::text_of(program).and_then(Rules::parse).map_err(invalid)
}

async fn read(api: &ApiState, request: Request) -> Result<Sent, Problem> {
    let (parts, body) = request.into_parts();
    api.principals.principal(&parts.headers)?;
    Parameters::of(&parts.uri)?.none_left(&[])?;
    input::declared_length(&parts.headers)?;
    let media = MediaType::of(&parts.headers, &[MediaType::Json, MediaType::Toml])?;
    let body = input::body(body).await?;
    if media == MediaType::Toml {
        return Ok(Sent { program: body.to_vec(), ..Sent::default() });
    }
    let draft: Result<Draft, serde_json::Error> = serde_json::from_slice(&body);
    let Draft { program, version, before } =
        draft.map_err(|error| Problem::malformed("InvalidBody", error.to_string()).accepted(EXPECTED))?;
    Ok(Sent { program: program.into_bytes(), version, before })
}
