//! One way to ask and to tell, whether a server runs on the data directory or not: the HTTP routes.
//!
//! Where a server runs, requests go to its socket. Otherwise the same routes are called in this process, on the data
//! directory itself. Both give the same answers.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, anyhow, bail};
use axum::{
    body::Body,
    http::{Request, header},
};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::{
    cluster::{self, PlaceFlags},
    context::{Context, Usage},
    folding, node, output,
    serving::{Announcement, Assembly},
};

/// How long a verb that writes waits for what is found in the ledger. Some 300,000 decisions are checked by then.
const BEFORE_THE_FIRST_WRITE: Duration = Duration::from_millis(300);

/// A request to the API.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

/// The API's answer.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) replayed: bool,
    /// Where the next page of a CSV answer begins.
    pub(crate) next_cursor: Option<String>,
    /// What to know of the answer, where there is something.
    warning: Option<String>,
    /// The streams that are folded no further, where there are any.
    incomplete: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// A running server, or the data directory itself.
pub(crate) enum Connection {
    Server { announcement: Announcement, agent: ureq::Agent },
    Here { assembly: Box<Assembly>, runtime: tokio::runtime::Runtime },
}

impl Ask {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), ..Self::default() }
    }

    pub(crate) fn post(path: impl Into<String>, body: Vec<u8>) -> Self {
        Self { method: "POST", path: path.into(), headers: vec![("content-type", "application/json".into())], body }
    }

    pub(crate) fn header(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.headers.extend(value.map(|value| (name, value.to_string())));
        self
    }
}

impl Told {
    /// What somebody else answered.
    pub(crate) fn of(status: u16, body: String) -> Self {
        Self { status, replayed: false, next_cursor: None, warning: None, incomplete: None, body: body.into_bytes() }
    }

    pub(crate) const fn is_success(&self) -> bool {
        self.status < 300
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("the answer is no JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The body as JSON, or the problem it tells as an error.
    pub(crate) fn success(&self) -> Result<Value> {
        let value = self.json()?;
        match self.status {
            _ if self.is_success() => Ok(value),
            // What cannot be read as it was asked is a mistake of whoever asks.
            400 => Err(Usage(problem(&value).to_string()).into()),
            _ => Err(problem(&value)),
        }
    }
}

/// Where a cluster is named, if it is: verbs that read ask that one.
fn cluster_named_by(context: &Context) -> Option<&'static str> {
    if std::env::var_os("PLEDGER_KAFKA").is_some_and(|brokers| !brokers.is_empty()) {
        return Some("PLEDGER_KAFKA");
    }
    context.file.kafka.as_ref().map(|_| "the configuration file")
}

/// What a directory's ledger took in, a cluster would never hear of.
fn refuse_beside_a_cluster(context: &Context) -> Result<()> {
    let Some(named_by) = cluster_named_by(context) else { return Ok(()) };
    bail!(
        "{named_by} names a cluster, whose commands go to a server, and none runs on {}\nName its directory by --data-dir, or start \
         one: pledger serve",
        context.data_dir.display()
    )
}

/// Begins to check the whole ledger, and gives that a moment, in which a small one is through, before the first write.
fn checked(assembly: Assembly) -> Assembly {
    if let Some(node) = assembly.node() {
        let _through_or_not_yet = node.verify_behind().recv_timeout(BEFORE_THE_FIRST_WRITE);
    }
    assembly
}

/// A problem document in words.
pub(crate) fn problem(document: &Value) -> anyhow::Error {
    let text = |name: &str| document[name].as_str().unwrap_or_default();
    let detail = text("detail");
    // Most sentences name the field, and some say what would do.
    let says = |what: &str| says(&detail.to_lowercase(), &what.to_lowercase());
    let field = document["field"].as_str().filter(|field| !says(field)).map(|field| format!("{field}: ")).unwrap_or_default();
    let accepted = match &document["accepted"] {
        Value::Null => String::new(),
        Value::String(accepted) if says(accepted) => String::new(),
        Value::String(accepted) => format!(" (accepted: {accepted})"),
        Value::Array(choices) if choices.iter().all(|choice| choice.as_str().is_some_and(says)) => String::new(),
        accepted => format!(" (accepted: {})", output::cell(accepted)),
    };
    anyhow!("{}: {field}{detail}{accepted}", text("code"))
}

/// Whether a sentence has these words as a whole: `p-11` does not say `p-1`.
fn says(sentence: &str, words: &str) -> bool {
    let goes_on = |next: Option<char>| next.is_some_and(char::is_alphanumeric);
    let mut found = sentence.match_indices(words);
    found.any(|(at, _)| !goes_on(sentence[..at].chars().next_back()) && !goes_on(sentence[at + words.len()..].chars().next()))
}

impl Connection {
    /// To whoever may write: the running server, or this process.
    pub(crate) fn to_write(context: &Context) -> Result<Self> {
        if let Some(server) = Self::server(&context.data_dir)? {
            return Ok(server);
        }
        refuse_beside_a_cluster(context)?;
        Self::here(checked(Assembly::open(&context.data_dir)?))
    }

    /// To whoever may write to a ledger that there is: none is created.
    pub(crate) fn to_change(context: &Context) -> Result<Self> {
        match Self::server(&context.data_dir)? {
            Some(server) => Ok(server),
            None => {
                refuse_beside_a_cluster(context)?;
                if !node::has_ledger(&context.data_dir) {
                    bail!("there is no ledger in {}", context.data_dir.display());
                }
                Self::here(checked(Assembly::open(&context.data_dir)?))
            }
        }
    }

    /// To whoever can read: the running server, or this process, which takes nothing away from another one.
    pub(crate) fn to_read(context: &Context) -> Result<Self> {
        if let Some(server) = Self::server(&context.data_dir)? {
            return Ok(server);
        }
        if !node::has_ledger(&context.data_dir) {
            bail!("there is no ledger in {}\nCreate one with: pledger init, pledger demo or pledger import", context.data_dir.display());
        }
        Self::here(Assembly::open_to_read(&context.data_dir)?)
    }

    /// To the read models of a cluster where one is named, else as `to_read`.
    pub(crate) fn to_read_at(place: &PlaceFlags, context: &Context) -> Result<Self> {
        match place.cluster(context)? {
            Some(named) => Self::here(cluster::to_read(&named, &place.postgres, context)?),
            None => Self::to_read(context).inspect(Self::fold),
        }
    }

    /// Read models that were just opened may stand anywhere before the ledger's end, and be no good before they are there.
    fn fold(&self) {
        let folded = self.assembly().map_or(Ok(()), |assembly| folding::to_the_end(assembly.engine()));
        if let Err(reason) = folded {
            eprintln!(
                "Warning: the read models do not reach the ledger's end, and figures lack what came after: {reason}. See: pledger doctor"
            );
        }
    }

    fn here(assembly: Assembly) -> Result<Self> {
        Ok(Self::Here {
            assembly: Box::new(assembly),
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?,
        })
    }

    fn server(data_dir: &Path) -> Result<Option<Self>> {
        let Some(announcement) = Announcement::find(data_dir) else { return Ok(None) };
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        match agent.get(format!("{}/healthz", announcement.url)).call() {
            Ok(_) => Ok(Some(Self::Server { announcement, agent })),
            // It is gone and could not say so: what it left is no server.
            Err(_) if !announcement.holds_lock(data_dir) => Ok(None),
            Err(error) => bail!("the server at {} (process {}) does not answer: {error}", announcement.url, announcement.pid),
        }
    }

    /// Sends a request and takes the answer in whole.
    pub(crate) fn ask(&self, ask: Ask) -> Result<Told> {
        let told = match self {
            Self::Server { announcement, agent } => over_http(announcement, agent, ask),
            Self::Here { assembly, runtime } => runtime.block_on(in_process(assembly, ask)),
        }?;
        if told.is_success()
            && let Some(warning) = &told.warning
        {
            eprintln!("Warning: {warning}");
        }
        if let Some(incomplete) = &told.incomplete {
            eprintln!("Incomplete: what came after is left out of every figure: {incomplete}. See: pledger doctor");
        }
        Ok(told)
    }

    /// The key store, for what has to be sealed or named before it is sent.
    pub(crate) fn assembly(&self) -> Option<&Assembly> {
        match self {
            Self::Server { .. } => None,
            Self::Here { assembly, .. } => Some(assembly),
        }
    }

    /// Ends it: what this process opened is closed in order.
    pub(crate) fn close(self) {
        if let Self::Here { assembly, .. } = self {
            assembly.stop();
        }
    }
}

fn over_http(announcement: &Announcement, agent: &ureq::Agent, ask: Ask) -> Result<Told> {
    let mut request = ureq::http::Request::builder().method(ask.method).uri(format!("{}{}", announcement.url, ask.path));
    request = request.header("authorization", format!("Bearer {}", announcement.token));
    for (name, value) in &ask.headers {
        request = request.header(*name, value);
    }
    let mut response = agent.run(request.body(ask.body)?).with_context(|| format!("the server at {} does not answer", announcement.url))?;
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (replayed, next_cursor) = (header("idempotent-replay").is_some(), header("next-cursor"));
    let (warning, incomplete) = (header("pledger-warning"), header("pledger-incomplete"));
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(u64::MAX).read_to_vec()?;
    Ok(Told { status, replayed, next_cursor, warning, incomplete, body })
}

async fn in_process(assembly: &Assembly, ask: Ask) -> Result<Told> {
    let mut request = Request::builder().method(ask.method).uri(&ask.path);
    request = request.header(header::AUTHORIZATION, format!("Bearer {}", assembly.token()));
    for (name, value) in &ask.headers {
        request = request.header(*name, value);
    }
    let response = assembly.router().oneshot(request.body(Body::from(ask.body))?).await.expect("a router never fails");
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (replayed, next_cursor) = (header("idempotent-replay").is_some(), header("next-cursor"));
    let (warning, incomplete) = (header("pledger-warning"), header("pledger-incomplete"));
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes().to_vec();
    Ok(Told { status, replayed, next_cursor, warning, incomplete, body })
}

/// Percent-encodes one segment or one query value.
pub(crate) fn encode(text: &str) -> String {
    const KEEP: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    percent_encoding::utf8_percent_encode(text, KEEP).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_problem_says_already_is_not_said_again() {
        let told = |accepted: Value| {
            let document = serde_json::json!({"code": "NotFound", "detail": "tiers has no \"p-11\"", "field": "key", "accepted": accepted});
            problem(&document).to_string()
        };
        assert_eq!(told(serde_json::json!(["p-1"])), "NotFound: key: tiers has no \"p-11\" (accepted: p-1)");
        assert_eq!(told(serde_json::json!("P-11")), "NotFound: key: tiers has no \"p-11\"");
    }
}
