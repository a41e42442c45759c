//! `POST /v1/rules/check` and `/v1/rules/diff`: a draft of the rules read, and held against rules that were published.

use std::{error::Error, sync::Arc};

use axum::{
    body::Body,
    extract::Request,
    http::{Response, StatusCode},
    response::IntoResponse,
};
use pledger_domain::{program::Program, rules::Rules};
use pledger_projections::engine::published;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{ApiState, input, input::MediaType, problem::Problem, streams, views};

/// What a body is.
const EXPECTED: &str = r#"{"program":"a whole program.toml"}, to be held against the rules in force, or with "version":N against those; or the file as it is, as application/toml"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    program: String,
    /// Of a difference: the version to hold it against; the one in force where absent.
    #[serde(default)]
    version: Option<u32>,
}

pub(crate) async fn check(api: ApiState, request: Request) -> Response<Body> {
    checked(&api, request).await.unwrap_or_else(IntoResponse::into_response)
}

/// 200 whether or not it is valid: that is the answer.
async fn checked(api: &ApiState, request: Request) -> Result<Response<Body>, Problem> {
    let draft = read(api, request).await?;
    let document = match Rules::parse(&draft.program) {
        Ok(rules) => json!({"valid": true, "problems": [], "in_words": rules.summary()}),
        Err(invalid) => {
            let problems: Vec<String> = invalid.problems.iter().map(ToString::to_string).collect();
            json!({"valid": false, "problems": problems, "in_words": []})
        }
    };
    views::json_response(serde_json::to_vec(&document))
}

pub(crate) async fn diff(api: ApiState, request: Request) -> Response<Body> {
    compared(&api, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn compared(api: &ApiState, request: Request) -> Result<Response<Body>, Problem> {
    let draft = read(api, request).await?;
    let after = Rules::parse(&draft.program)
        .map_err(|invalid| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "InvalidRules", invalid.to_string()).field("program"))?;
    let log = Arc::clone(&api.log);
    let program = tokio::task::spawn_blocking(move || published(&*log)).await.map_err(|failed| Problem::internal(&failed))?;
    let program = program.map_err(|error| streams::log_problem(&error))?;
    views::json_response(serde_json::to_vec(&against(api, &program, draft.version, &after)?))
}

fn against(api: &ApiState, program: &Program, version: Option<u32>, after: &Rules) -> Result<Value, Problem> {
    let before = match version {
        Some(version) => program.version(version),
        None => program.in_force_at(api.edge.clock.now()),
    };
    let before = before.ok_or_else(|| {
        let missing =
            version.map_or_else(|| "no rules are in force yet".to_owned(), |version| format!("there is no version {version} of the rules"));
        Problem::new(StatusCode::NOT_FOUND, "UnknownRules", missing).field("version").accepted(format!("1 to {}", program.count()))
    })?;
    Ok(json!({"version": before.version, "changes": before.rules.changes_to(after)}))
}

async fn read(api: &ApiState, request: Request) -> Result<Draft, Problem> {
    let (parts, body) = request.into_parts();
    api.principals.principal(&parts.headers)?;
    input::declared_length(&parts.headers)?;
    let media = MediaType::of(&parts.headers, &[MediaType::Json, MediaType::Toml])?;
    let body = input::body(body).await?;
    let malformed = |error: &dyn Error| Problem::malformed("InvalidBody", error.to_string()).accepted(EXPECTED);
    if media == MediaType::Toml {
        let program = str::from_utf8(&body).map_err(|error| malformed(&error))?.to_owned();
        return Ok(Draft { program, version: None });
    }
    serde_json::from_slice(&body).map_err(|error| malformed(&error))
}
