//! The HTTP load: connections that are kept alive, driven by one thread of their own, with requests built beforehand.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request,
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet, time::sleep_until};

use crate::workload::Sent;

/// A request, and the status that its answer must have.
pub(crate) struct Prepared {
    request: Request<Full<Bytes>>,
    status: u16,
}

/// What came of a load.
#[derive(Default)]
pub(crate) struct Load {
    pub(crate) requests: usize,
    pub(crate) seconds: f64,
    /// Of each request, sorted, in seconds: from when it was due to its answer's last byte.
    latencies: Vec<f64>,
    /// The answers, where they were to be kept.
    pub(crate) answers: Vec<Bytes>,
}

impl Load {
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// The latency in milliseconds that `share` of the requests kept.
    pub(crate) fn latency_ms(&self, share: f64) -> f64 {
        let at = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(at.min(self.latencies.len().saturating_sub(1))).map_or(0.0, |seconds| seconds * 1e3)
    }
}

/// How a connection sends.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// The time between two requests of a connection; one after the other's answer where absent.
    pub(crate) pace: Option<Duration>,
    pub(crate) keep_answers: bool,
}

/// As fast as answers come.
pub(crate) const FULL_SPEED: Manner = Manner { pace: None, keep_answers: false };

/// Sends each list of requests over a connection of its own, all side by side, and waits for the end.
pub(crate) fn send(address: SocketAddr, connections: Vec<Vec<Prepared>>, manner: Manner) -> Result<Load> {
    let client = std::thread::Builder::new().name("client".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(send_all(address, connections, manner))
    })?;
    client.join().map_err(|_| anyhow::anyhow!("the client panicked"))?
}

async fn send_all(address: SocketAddr, connections: Vec<Vec<Prepared>>, manner: Manner) -> Result<Load> {
    let mut opened = Vec::with_capacity(connections.len());
    for requests in connections {
        opened.push((connect(address).await?, requests));
    }
    let start = Instant::now();
    let count = u32::try_from(opened.len()).context("too many connections")?;
    let mut running = JoinSet::new();
    for ((sender, requests), number) in opened.into_iter().zip(0_u32..) {
        // Paced connections begin one after the other, or all would send at the same instants.
        let first = start + manner.pace.unwrap_or_default() * number / count;
        running.spawn(send_in_turn(sender, requests, first, manner));
    }
    let mut load = Load::default();
    while let Some(ended) = running.join_next().await {
        let Load { requests, latencies, answers, .. } = ended??;
        load.requests += requests;
        load.latencies.extend(latencies);
        load.answers.extend(answers);
    }
    load.seconds = start.elapsed().as_secs_f64();
    load.latencies.sort_unstable_by(f64::total_cmp);
    Ok(load)
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn send_in_turn(mut sender: SendRequest<Full<Bytes>>, requests: Vec<Prepared>, mut due: Instant, manner: Manner) -> Result<Load> {
    let mut load = Load { requests: requests.len(), latencies: Vec::with_capacity(requests.len()), ..Load::default() };
    for Prepared { request, status } in requests {
        match manner.pace {
            Some(_) => sleep_until(due.into()).await,
            None => due = Instant::now(),
        }
        let response = sender.send_request(request).await?;
        let given = response.status().as_u16();
        let answer = response.into_body().collect().await?.to_bytes();
        load.latencies.push(due.elapsed().as_secs_f64());
        if given != status {
            bail!("the answer was {given}, not {status}: {}", String::from_utf8_lossy(&answer));
        }
        if manner.keep_answers {
            load.answers.push(answer);
        }
        due += manner.pace.unwrap_or_default();
    }
    Ok(load)
}

/// One command.
pub(crate) fn command(sent: &Sent) -> Result<Prepared> {
    let mut request = Request::post(format!("/v1/commands/{}", sent.name)).header("Idempotency-Key", &sent.key);
    if let Some(effective_at) = sent.effective_at {
        request = request.header("Effective-At", effective_at.to_string());
    }
    prepared(request, sent.payload.clone(), if sent.is_rival { 409 } else { 200 })
}

/// A batch of commands.
pub(crate) fn batch(sent: &[Sent]) -> Result<Prepared> {
    let item = |sent: &Sent| {
        let effective_at = sent.effective_at.map(|at| format!(r#","effective_at":"{at}""#)).unwrap_or_default();
        format!(r#"{{"type":"{}","payload":{},"idempotency_key":"{}"{effective_at}}}"#, sent.name, sent.payload, sent.key)
    };
    let items: Vec<String> = sent.iter().map(item).collect();
    prepared(Request::post("/v1/commands:batch"), format!("[{}]", items.join(",")), 200)
}

/// A question.
pub(crate) fn question(path: &str) -> Result<Prepared> {
    prepared(Request::builder().method(Method::GET).uri(path), String::new(), 200)
}

fn prepared(request: hyper::http::request::Builder, body: String, status: u16) -> Result<Prepared> {
    let request = request.header(HOST, "localhost").header(CONTENT_TYPE, "application/json").body(Full::from(body))?;
    Ok(Prepared { request, status })
}
