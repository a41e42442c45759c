//! `POST /v1/simulate` and `GET /v1/evidence`: what reads the whole ledger, for operators, one at a time.

use std::{collections::HashSet, str::FromStr, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri, header},
    response::IntoResponse,
};
use pledger_domain::{
    rules::Rules,
    values::{AccountKey, DealId},
};
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::{ApiState, input, input::MediaType, problem::Problem, query::Parameters, respond};

/// The most drafts that are compared at once: each is another set of read models in memory.
const MAX_DRAFTS: usize = 8;
/// The most of each list of a simulation that are told in a document.
const MAX_LISTED: usize = 10_000;
/// After how many seconds to ask again while another analysis runs.
const RETRY_S: u32 = 10;
/// The key that the bundle is signed with. Whoever verifies it takes the key from somewhere else.
const LEDGER_KEY: HeaderName = HeaderName::from_static("pledger-ledger-key");

/// A draft of the rules.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// What the answer calls it; its place in the list where absent.
    #[serde(default)]
    pub name: String,
    /// A whole `program.toml`.
    pub program: String,
}

/// What other rules would have made of history.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simulation {
    /// Compared side by side.
    pub drafts: Vec<Draft>,
    /// From when they govern; always where absent.
    #[serde(default)]
    pub from: Option<String>,
    /// Up to when history counts; the ledger's present where absent.
    #[serde(default)]
    pub to: Option<String>,
    /// How many of each list are told in a document, which says how many there are; as rows all are told.
    #[serde(default)]
    pub limit: Option<usize>,
    /// Whether every command is decided again, and under the rules as recorded too.
    #[serde(default)]
    pub verify: Option<bool>,
}

impl Simulation {
    /// How many of each list are told in a document, where nothing else is asked for.
    pub const LISTED: usize = 1_000;
}

/// How a simulation is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One document.
    Json,
    /// A row a difference.
    Csv,
    /// A JSON object a difference, each on a line.
    Lines,
}

/// What evidence is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Everything about an account.
    Account(AccountKey),
    /// Everything about a deal.
    Deal(DealId),
}

/// Evidence, and the public key that it is signed by.
pub struct Bundle {
    /// The file.
    pub file: Vec<u8>,
    /// In hexadecimal digits.
    pub signed_by: String,
}

/// What drafts would change.
pub struct Simulated {
    /// In the form asked for.
    pub body: Vec<u8>,
    /// What whoever goes by it has to know.
    pub warnings: Vec<String>,
}

/// Whoever reads the whole ledger for an answer. Both block for as long as that takes.
pub trait Analyst: Send + Sync {
    /// What the drafts would change, in the form asked for.
    ///
    /// # Errors
    /// `Problem`.
    fn simulate(&self, asked: &Simulation, form: Form) -> Result<Simulated, Problem>;

    /// The decisions about something, with the proof that they are in the ledger.
    ///
    /// # Errors
    /// `Problem`.
    fn evidence(&self, about: &About) -> Result<Bundle, Problem>;
}

/// An analyst, who does one thing at a time.
pub(crate) struct Desk {
    analyst: Arc<dyn Analyst>,
    free: Arc<Semaphore>,
}

impl Desk {
    pub(crate) fn of(analyst: Arc<dyn Analyst>) -> Self {
        Self { analyst, free: Arc::new(Semaphore::new(1)) }
    }
}

pub(crate) async fn simulate(api: ApiState, request: Request) -> Response<Body> {
    simulated(api, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn simulated(api: ApiState, request: Request) -> Result<Response<Body>, Problem> {
    let (parts, body) = request.into_parts();
    api.principals.operator(&parts.headers)?;
    input::declared_length(&parts.headers)?;
    let media = MediaType::of(&parts.headers, &[MediaType::Json, MediaType::Toml])?;
    let form = form(&parts.headers)?;
    let mut parameters = Parameters::of(&parts.uri)?;
    let body = input::body(body).await?;
    let asked = if media == MediaType::Toml { one_draft(&body, &mut parameters)? } else { read(&body)? };
    parameters.none_left(if media == MediaType::Toml { &["from", "to", "limit", "verify"] } else { &[] })?;
    let Simulated { body, warnings } = analysed(&api, move |analyst| analyst.simulate(&asked, form)).await?;
    let media = match form {
        Form::Json => respond::JSON,
        Form::Csv => HeaderValue::from_static("text/csv; charset=utf-8; header=present"),
        Form::Lines => HeaderValue::from_static("application/x-ndjson"),
    };
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    respond::warn(&mut response, &warnings);
    Ok(response)
}

/// A draft as the file that it is; all else stands in the address.
fn one_draft(file: &[u8], parameters: &mut Parameters) -> Result<Simulation, Problem> {
    let name = "draft 1".to_owned();
    let program = Rules::text_of(file).map_err(|invalid| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "NotSimulated", format!("{name} is no program.toml: {invalid}"))
    })?;
    let drafts = vec![Draft { program: program.to_owned(), name }];
    let (from, to) = (parameters.take("from")?, parameters.take("to")?);
    let limit = parsed(parameters, "limit", "a whole number")?;
    bounded(Simulation { drafts, from, to, limit, verify: parsed(parameters, "verify", "true or false")? })
}

fn bounded(asked: Simulation) -> Result<Simulation, Problem> {
    let Some(limit) = asked.limit.filter(|limit| *limit > MAX_LISTED) else { return Ok(asked) };
    let problem = Problem::malformed("InvalidBody", format!("limit {limit}")).field("limit");
    Err(problem.accepted(format!("from 0 to {MAX_LISTED}; text/csv and application/x-ndjson hold every row")))
}

/// A parameter that is read.
fn parsed<T: FromStr>(parameters: &mut Parameters, name: &'static str, accepted: &'static str) -> Result<Option<T>, Problem> {
    let Some(given) = parameters.take(name)? else { return Ok(None) };
    let unreadable = |_| Problem::malformed("InvalidValue", format!("{name} is {given:?}")).field(name).accepted(accepted);
    given.parse().map(Some).map_err(unreadable)
}

fn read(body: &Bytes) -> Result<Simulation, Problem> {
    let expected = r#"{"drafts":[{"name":"strict","program":"a whole program.toml"}],"from":"2026-01-01","to":"2026-06-30"}"#;
    let mut asked: Simulation =
        serde_json::from_slice(body).map_err(|error| Problem::malformed("InvalidBody", error.to_string()).accepted(expected))?;
    if asked.drafts.is_empty() || asked.drafts.len() > MAX_DRAFTS {
        let problem = Problem::malformed("InvalidBody", format!("{} drafts", asked.drafts.len())).field("drafts");
        return Err(problem.accepted(format!("from 1 to {MAX_DRAFTS}")));
    }
    for (draft, number) in asked.drafts.iter_mut().zip(1..) {
        if draft.name.is_empty() {
            draft.name = format!("draft {number}");
        }
    }
    // Rows tell their draft by its name.
    let mut names = HashSet::new();
    if let Some(draft) = asked.drafts.iter().find(|draft| !names.insert(draft.name.as_str())) {
        let problem = Problem::malformed("InvalidBody", format!("two drafts are called {:?}", draft.name)).field("drafts");
        return Err(problem.accepted("a name of its own for each draft, or none"));
    }
    bounded(asked)
}

fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let known = |range: &str| match range.split(';').next().unwrap_or_default().trim() {
        "text/csv" => Some(Form::Csv),
        "application/x-ndjson" | "application/jsonl" => Some(Form::Lines),
        "application/json" | "application/*" | "*/*" | "" => Some(Form::Json),
        _ => None,
    };
    accept.split(',').find_map(known).ok_or_else(|| {
        Problem::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", "no media type of Accept is written here").field("Accept").accepted(vec![
            "application/json",
            "text/csv",
            "application/x-ndjson",
        ])
    })
}

pub(crate) async fn evidence(api: ApiState, headers: HeaderMap, uri: Uri) -> Response<Body> {
    bundled(api, headers, uri).await.unwrap_or_else(IntoResponse::into_response)
}

async fn bundled(api: ApiState, headers: HeaderMap, uri: Uri) -> Result<Response<Body>, Problem> {
    api.principals.operator(&headers)?;
    let mut parameters = Parameters::of(&uri)?;
    let invalid = |field, error: String| Problem::malformed("InvalidKey", error).field(field);
    let about = match (parameters.take("account")?, parameters.take("deal")?) {
        (Some(account), None) => AccountKey::parse(&account).map(About::Account).map_err(|error| invalid("account", error.to_string())),
        (None, Some(deal)) => DealId::parse(&deal).map(About::Deal).map_err(|error| invalid("deal", error.to_string())),
        (Some(_), Some(_)) | (None, None) => {
            Err(Problem::malformed("MalformedQuery", "evidence is about one account, or about one deal")
                .accepted("?account=KEY or ?deal=ID"))
        }
    }?;
    parameters.none_left(&["account", "deal"])?;
    let Bundle { file, signed_by } = analysed(&api, move |analyst| analyst.evidence(&about)).await?;
    let mut response = Response::new(Body::from(file));
    response.headers_mut().insert(header::CONTENT_TYPE, respond::JSON);
    response.headers_mut().insert(LEDGER_KEY, respond::header_text(&signed_by));
    Ok(response)
}

/// Has something done that reads the whole ledger, unless something else is just done. It goes on to its end, whether or not
/// somebody still waits for it: nothing else begins before.
async fn analysed<T: Send + 'static>(
    api: &ApiState,
    work: impl FnOnce(&dyn Analyst) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let Some(Desk { analyst, free }) = &api.desk else {
        return Err(Problem::new(StatusCode::CONFLICT, "NotReadHere", "this process does not read the whole ledger for an answer"));
    };
    let Ok(permit) = Arc::clone(free).try_acquire_owned() else {
        let detail = "another simulation or bundle of evidence is just made, and one is made at a time";
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "AnalysisRunning", detail).retry_after(RETRY_S));
    };
    let analyst = Arc::clone(analyst);
    let done = tokio::task::spawn_blocking(move || {
        let done = work(&*analyst);
        drop(permit);
        done
    });
    done.await.map_err(|failed| Problem::internal(&failed))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulation_is_of_some_drafts_and_not_of_many() {
        let read = |text: &str| read(&Bytes::copy_from_slice(text.as_bytes()));
        let asked = read(r#"{"drafts":[{"program":"a"},{"name":"b","program":"c"}],"to":"2026-01-01"}"#).expect("two drafts");
        let names: Vec<&str> = asked.drafts.iter().map(|draft| draft.name.as_str()).collect();
        assert_eq!((names, asked.from, asked.to.as_deref()), (vec!["draft 1", "b"], None, Some("2026-01-01")));
        let many = format!(r#"{{"drafts":[{}]}}"#, [r#"{"program":""}"#; MAX_DRAFTS + 1].join(","));
        for wrong in
            [r#"{"drafts":[]}"#, &many, r#"{"drafts":[{"program":"a"}],"until":"x"}"#, r#"{"drafts":[{"program":"a"}],"limit":10001}"#, "{"]
        {
            assert_eq!(read(wrong).expect_err(wrong).code(), "InvalidBody", "{wrong}");
        }
    }

    #[test]
    fn a_file_is_one_draft() {
        let one_draft = |file: &[u8], query: &str| {
            let mut parameters = Parameters::of(&format!("/v1/simulate{query}").parse().expect("an address")).expect("readable");
            one_draft(file, &mut parameters)
        };
        let asked = one_draft(b"name = \"x\"", "?from=2026-01-01&limit=7&verify=true").expect("text");
        assert_eq!((asked.from.as_deref(), asked.to, asked.limit, asked.verify), (Some("2026-01-01"), None, Some(7), Some(true)));
        for (query, code) in [("?limit=x", "InvalidValue"), ("?verify=1", "InvalidValue"), ("?limit=10001", "InvalidBody")] {
            assert_eq!(one_draft(b"", query).expect_err(query).code(), code, "{query}");
        }
        assert_eq!(asked.drafts, [Draft { name: "draft 1".to_owned(), program: "name = \"x\"".to_owned() }]);
        let problem = one_draft(b"# \xff", "").expect_err("no text");
        assert_eq!((problem.status().as_u16(), problem.code()), (422, "NotSimulated"));
    }

    #[test]
    fn accept_chooses_rows_or_a_document() {
        let form = |accept: &'static str| form(&[(header::ACCEPT, HeaderValue::from_static(accept))].into_iter().collect());
        for (accept, expected) in
            [("", Form::Json), ("image/png, */*", Form::Json), ("text/csv", Form::Csv), ("application/x-ndjson; q=1", Form::Lines)]
        {
            assert_eq!(form(accept), Ok(expected), "{accept}");
        }
        assert_eq!(form("image/png").expect_err("no picture").status(), StatusCode::NOT_ACCEPTABLE);
    }
}
