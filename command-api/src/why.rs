//! `GET /v1/{view}/{key}/why`: the decisions that made a figure, and the arithmetic.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, Response, StatusCode, Uri},
    response::IntoResponse,
};
use pledger_projections::{
    engine::{Engine, Moment},
    explain::{ExplainError, Explanation, Figure, ManyMade, explain, figure_of_rows, unknown_key},
    query::{Query, QueryError, Rows, ViewSpec},
};

use crate::{ApiState, opened::Opener, problem::Problem, query::Parameters, respond, views};

/// After how many seconds to ask again while another figure is explained.
const RETRY_S: u32 = 5;

pub(crate) async fn get(api: ApiState, view: String, key: String, headers: HeaderMap, uri: Uri) -> Response<Body> {
    answer(&api, &view, key, &headers, &uri).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(api: &ApiState, view: &str, key: String, headers: &HeaderMap, uri: &Uri) -> Result<Response<Body>, Problem> {
    let rights = api.principals.principal(headers)?.rights;
    let view = views::find(view)?;
    let mut parameters = Parameters::of(uri)?;
    let field = parameters.take("field")?;
    let after = parameters.take("cursor")?;
    let moment = views::moment(&mut parameters)?;
    let at_least = views::at_least(parameters.take_all("at_least"))?;
    let at = Some(moment.asked_at(api.edge.clock.now()));
    let query = Query { at, filters: parameters.into_rest(), ..Query::default() };
    let engine = views::engine(api, moment, None).await?;
    views::reach(api, &engine, &at_least).await?;
    let asked = Asked { view, key, field, after, query, moment };
    let explaining = {
        let api = Arc::clone(api);
        tokio::task::spawn_blocking(move || {
            let explanation = asked.explain(&api, &engine)?;
            let incomplete = views::incomplete(&explanation.incomplete);
            let value = serde_json::to_value(explanation).map_err(|error| Problem::internal(&error))?;
            Ok::<_, Problem>((Opener::new(&*api.edge.keys, rights).open(value), incomplete))
        })
    };
    let (explanation, incomplete) = explaining.await.map_err(|failed| Problem::internal(&failed))??;
    let mut response = respond::json(&explanation)?;
    response.headers_mut().extend(incomplete);
    respond::warn(&mut response, views::ahead(moment, api.edge.clock.now()).as_slice());
    Ok(response)
}

struct Asked {
    view: &'static ViewSpec,
    key: String,
    field: Option<String>,
    /// Where the page before ended.
    after: Option<String>,
    query: Query,
    moment: Moment,
}

/// Why there is no explanation now.
enum Unexplained {
    /// There is none.
    For(ExplainError),
    /// Another one is just made that reads as much.
    Busy,
}

impl From<ExplainError> for Unexplained {
    fn from(error: ExplainError) -> Self {
        Self::For(error)
    }
}

impl Asked {
    /// The figure, as rows have it.
    fn figure(&self, rows: &Rows<'_>) -> Result<Figure, ExplainError> {
        Ok(figure_of_rows(self.view, &self.key, self.field.clone(), self.query.clone(), self.moment, rows)?)
    }

    /// Explains decision by decision; where there are too many for that, or a page is asked for, in its turn.
    fn explained(&self, api: &ApiState, engine: &Engine) -> Result<Explanation, Unexplained> {
        let (log, after) = (&*api.log, self.after.as_deref());
        if after.is_none() {
            match explain(log, &engine.read(|rows| self.figure(rows))?) {
                Err(ExplainError::TooMany) => {}
                told => return Ok(told?),
            }
        }
        let _turn = api.explaining.try_acquire().map_err(|_| Unexplained::Busy)?;
        let many = engine.read(|rows| ManyMade::read(rows, log.slices(), self.figure(rows)?))?;
        Ok(many.told(log, after)?)
    }

    fn explain(&self, api: &ApiState, engine: &Engine) -> Result<Explanation, Problem> {
        let Self { view, key, moment, .. } = self;
        let (view, moment) = (*view, *moment);
        self.explained(api, engine).map_err(|unexplained| {
            let error = match unexplained {
                Unexplained::For(error) => error,
                Unexplained::Busy => {
                    let detail = "another figure of many decisions is just explained, and one is at a time";
                    return Problem::new(StatusCode::TOO_MANY_REQUESTS, "AnalysisRunning", detail).retry_after(RETRY_S);
                }
            };
            let problem = problem(view, &error);
            let is_unknown = matches!(error, ExplainError::Unknown | ExplainError::Query(QueryError::NotFound { .. }));
            let unknown = is_unknown.then(|| engine.read(|rows| unknown_key(rows, view, key))).flatten();
            match unknown {
                // Near keys say more than what a key is.
                Some(unknown) if unknown.nearest.is_empty() => views::unknown(&unknown, moment).accepted(keys_of(view)),
                Some(unknown) => views::unknown(&unknown, moment),
                // A group that is asked for by filters, or `all` of what has no groups.
                None if is_unknown => match views::unknown_values(engine, &self.query).first() {
                    Some(unknown) => Problem::not_found(unknown.clone()),
                    None => problem.accepted(keys_of(view)),
                },
                None => problem,
            }
        })
    }
}

/// What figures of a view are asked for by, whoever asks.
pub(crate) fn keys_of(view: &ViewSpec) -> &'static str {
    match view.name {
        "partners" | "tiers" => "the id of a partner",
        "deals" => "the id of a deal",
        "conflicts" => "the id of a conflict, or an account that has one",
        "ropi" => "the id of a partner, or a group such as region=EMEA,quarter=2026-Q1, or all",
        "attribution" => "the id of a won deal, or a group such as partner=p-001,model=linear, or all",
        "mdf" => "the id of a budget, or a group such as partner=p-001, or all",
        _ => "a group such as region=EMEA,status=won, or all",
    }
}

fn problem(view: &'static ViewSpec, error: &ExplainError) -> Problem {
    let detail = error.to_string();
    match error {
        ExplainError::Log(error) => Problem::of_log(error),
        ExplainError::Query(error) => views::problem(view, error),
        ExplainError::UnknownField { .. } => {
            let fields: Vec<&str> = view.fields.iter().map(|field| field.name).collect();
            Problem::malformed("UnknownField", detail).field("field").accepted(fields)
        }
        ExplainError::Unknown => Problem::not_found(detail).field("key").accepted(keys_of(view)),
        ExplainError::TooMany => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "TooManyDecisions", detail).field("key"),
    }
}
