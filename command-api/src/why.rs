//! `GET /v1/{view}/{key}/why`: the decisions that made a figure, and the arithmetic.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, Response, StatusCode, Uri},
    response::IntoResponse,
};
use pledger_projections::{
    engine::{Engine, Moment},
    explain::{ExplainError, Explanation, explain, figure_of_rows, nearest_keys},
    query::{Query, QueryError, ViewSpec},
};

use crate::{ApiState, opened::Opener, problem::Problem, query::Parameters, streams, views};

pub(crate) async fn get(api: ApiState, view: String, key: String, headers: HeaderMap, uri: Uri) -> Response<Body> {
    answer(&api, &view, key, &headers, &uri).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(api: &ApiState, view: &str, key: String, headers: &HeaderMap, uri: &Uri) -> Result<Response<Body>, Problem> {
    let rights = api.principals.principal(headers)?.rights;
    let view = views::find(view)?;
    let mut parameters = Parameters::of(uri)?;
    let field = parameters.take("field")?;
    let moment = views::moment(&mut parameters)?;
    let at_least = views::at_least(parameters.take_all("at_least"))?;
    let at = Some(moment.asked_at(api.edge.clock.now()));
    let query = Query { at, filters: parameters.into_rest(), ..Query::default() };
    let engine = views::engine(api, moment, None).await?;
    views::reach(api, &engine, &at_least).await?;
    let asked = Asked { view, key, field, query, moment };
    let explaining = {
        let api = Arc::clone(api);
        tokio::task::spawn_blocking(move || asked.explain(&api, &engine))
    };
    let explanation = explaining.await.map_err(|failed| Problem::internal(&failed))??;
    let value = serde_json::to_value(explanation).map_err(|error| Problem::internal(&error))?;
    views::json_response(serde_json::to_vec(&Opener::new(&*api.edge.keys, rights).open(value)))
}

struct Asked {
    view: &'static ViewSpec,
    key: String,
    field: Option<String>,
    query: Query,
    moment: Moment,
}

impl Asked {
    fn explain(self, api: &ApiState, engine: &Engine) -> Result<Explanation, Problem> {
        let Self { view, key, field, query, moment } = self;
        let asked = engine.read(|rows| figure_of_rows(view, &key, field, query, moment, rows));
        let explained = asked.map_err(ExplainError::Query).and_then(|asked| explain(&*api.log, &asked));
        explained.map_err(|error| {
            let problem = problem(view, &error);
            let is_unknown = matches!(error, ExplainError::Unknown | ExplainError::Query(QueryError::NotFound { .. }));
            let nearest = if is_unknown { engine.read(|rows| nearest_keys(rows, view, &key)) } else { Vec::new() };
            // Near keys say more than what a key is.
            if nearest.is_empty() { problem } else { problem.field("key").accepted(nearest) }
        })
    }
}

fn problem(view: &'static ViewSpec, error: &ExplainError) -> Problem {
    let detail = error.to_string();
    match error {
        ExplainError::Log(error) => streams::log_problem(error),
        ExplainError::Query(error) => views::problem(view, error),
        ExplainError::UnknownField { .. } => {
            let fields: Vec<&str> = view.fields.iter().map(|field| field.name).collect();
            Problem::malformed("UnknownField", detail).field("field").accepted(fields)
        }
        ExplainError::Unknown => Problem::not_found(detail).field("key").accepted(format!("a key of /v1/{}", view.name)),
        ExplainError::Unreadable { .. } => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "LedgerDamaged", detail),
        ExplainError::TooMany(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "TooManyDecisions", detail).field("key"),
    }
}
