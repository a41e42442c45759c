//! A whole pledger in a folder of its own: ledger, processor, read models, API.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Request, StatusCode},
};
use http_body_util::BodyExt;
use pledger_command_api::{Api, ApiState, Metrics, Principal, Principals, Probe, Rights, router};
use pledger_consumers::{
    chores::EmbeddedChores,
    embedded::EmbeddedProcessor,
    processor::{KeyLimits, MemorySnapshots, Processor},
};
use pledger_domain::{rules::Rules, values::Timestamp};
use pledger_ledger::{
    commands::CommandSink,
    edge::{Clock, Edge, SystemClock, SystemRandomness},
    keys::{KeyStore, MemoryKeyStore},
    log::Log,
    record::{FORMAT, LedgerCreated},
    slices::Slices,
    sqlite::SqliteLog,
};
use pledger_projections::{
    engine::{Engine, Options},
    generation::DirectoryGenerations,
};
use serde_json::{Value, json};
use tower::ServiceExt;

/// The bearer token of somebody who may import history.
pub(crate) const OWNER: &str = "owner-token";
/// Whoever sends this token may nothing but send commands and ask.
pub(crate) const PORTAL: &str = "portal-token";

/// A running API. Threads stop and the folder goes when it is dropped.
pub(crate) struct Stack {
    pub(crate) api: ApiState,
    keys: Arc<dyn KeyStore>,
    router: Router,
    _processor: Option<EmbeddedProcessor>,
    _folder: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Status and code of a problem document, which it has to be.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text());
        let problem = self.json();
        let code = problem["code"].as_str().expect("a code").to_owned();
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["type"], format!("/problems/{code}"));
        assert!(problem["title"].is_string() && problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
        (self.status.as_u16(), code)
    }
}

impl Stack {
    /// With no rules published.
    pub(crate) fn bare() -> Self {
        Self::over(|processor| Arc::new(processor.sink()), Vec::new())
    }

    /// With the default rules in force since 2020 and an active partner `p-1`.
    pub(crate) async fn ready() -> Self {
        let stack = Self::bare();
        stack.prepare().await;
        stack
    }

    /// With a sink that the test chose, and probes.
    pub(crate) fn over(sink: impl FnOnce(&EmbeddedProcessor) -> Arc<dyn CommandSink> + Send, probes: Vec<Probe>) -> Self {
        Self::reading(sink, probes, |log| log)
    }

    /// With questions whose answers read the ledger through what the test put before it.
    pub(crate) fn reading(
        sink: impl FnOnce(&EmbeddedProcessor) -> Arc<dyn CommandSink> + Send,
        probes: Vec<Probe>,
        before: impl FnOnce(Arc<dyn Log>) -> Arc<dyn Log> + Send,
    ) -> Self {
        // The log waits for its store, which an async thread must not.
        std::thread::scope(|scope| scope.spawn(|| Self::build(sink, probes, before)).join()).expect("a stack")
    }

    /// The same with rules in force and an active partner `p-1`.
    pub(crate) async fn reading_ready(before: impl FnOnce(Arc<dyn Log>) -> Arc<dyn Log> + Send) -> Self {
        let stack = Self::reading(|processor| Arc::new(processor.sink()), Vec::new(), before);
        stack.prepare().await;
        stack
    }

    fn build(
        sink: impl FnOnce(&EmbeddedProcessor) -> Arc<dyn CommandSink>,
        probes: Vec<Probe>,
        before: impl FnOnce(Arc<dyn Log>) -> Arc<dyn Log>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let created = LedgerCreated {
            v: FORMAT,
            ledger_id: "test".into(),
            slices: Slices::new(16).expect("16"),
            created_at: clock.now(),
            generated: None,
        };
        let log: Arc<dyn Log> = Arc::new(SqliteLog::create(folder.path(), created).expect("a ledger"));
        let snapshots = Arc::new(MemorySnapshots::default());
        let processor = Processor::restore(Arc::clone(&log), &*snapshots, KeyLimits::default(), "test".into()).expect("restored");
        let keys: Arc<dyn KeyStore> = Arc::new(MemoryKeyStore::default());
        let edge = Edge {
            slices: log.slices(),
            keys: Arc::clone(&keys),
            directory: processor.directory(),
            clock: Arc::clone(&clock),
            randomness: Arc::new(SystemRandomness),
        };
        let chores = Box::new(EmbeddedChores::new(edge.clone(), snapshots, &processor));
        let processor = EmbeddedProcessor::start(processor, move || clock.now(), chores).expect("a thread");
        let log = before(log);
        let engine = Arc::new(Engine::in_memory(Arc::clone(&log), Options::default()).expect("read models"));
        let owner = Principal {
            name: Arc::from("owner"),
            rights: Rights { import: true, backdate: true, erase: true, operate: true, persons: true },
        };
        let portal = Principal { name: Arc::from("portal"), rights: Rights::default() };
        let metrics = Metrics::new(prometheus::Registry::new()).expect("metrics");
        let sink = sink(&processor);
        metrics.watch(&sink, &engine).expect("registered once");
        let mut api = Api::new(edge, sink, log, engine, metrics).with_principals(
            Principals::default()
                .with_token(OWNER, owner)
                .and_then(|principals| principals.with_token(PORTAL, portal))
                .expect("free names"),
        );
        api.keep_generations(Arc::new(DirectoryGenerations::of(folder.path())));
        api.name_topics("acme.");
        for probe in probes {
            api = api.with_probe(probe);
        }
        let api = Arc::new(api);
        Self { router: router(Arc::clone(&api)), api, keys, _processor: Some(processor), _folder: folder }
    }

    pub(crate) fn keys(&self) -> &dyn KeyStore {
        &*self.keys
    }

    async fn prepare(&self) {
        let items = [
            ("PublishRules", json!({"program": Rules::DEFAULT, "effective_from": "2020-01-01"})),
            ("RegisterPartner", json!({"partner_id": "p-1", "name": "Nordwind GmbH", "roles": ["reseller"], "country": "DE"})),
            ("SignAgreement", json!({"partner_id": "p-1"})),
            ("ActivatePartner", json!({"partner_id": "p-1"})),
        ];
        for (name, payload) in items {
            let reply = self.command(name, &payload, &[]).await;
            assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.expect("routers do not fail");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Reply { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.get_as(path, "application/json").await
    }

    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Reply {
        self.send(Request::get(path).header("accept", accept).body(Body::empty()).expect("a request")).await
    }

    pub(crate) async fn post(&self, path: &str, content_type: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
        let mut request = Request::post(path).header("content-type", content_type);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).expect("a request")).await
    }

    /// As an operator.
    pub(crate) async fn operate(&self, method: &str, path: &str, body: &str) -> Reply {
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {OWNER}"));
        self.send(request.header("content-type", "application/json").body(body.to_owned().into()).expect("a request")).await
    }

    pub(crate) async fn command(&self, name: &str, payload: &Value, headers: &[(&str, &str)]) -> Reply {
        self.post(&format!("/v1/commands/{name}"), "application/json", headers, payload.to_string()).await
    }

    pub(crate) async fn batch(&self, items: &Value) -> Reply {
        self.post("/v1/commands:batch", "application/json", &[], items.to_string()).await
    }

    /// A registration that is accepted.
    pub(crate) async fn deal(&self, deal: &str, domain: &str) -> Value {
        let reply = self.command("RegisterDeal", &deal_payload(deal, domain), &[]).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }
}

/// A deal of `p-1` that the default rules accept.
pub(crate) fn deal_payload(deal: &str, domain: &str) -> Value {
    json!({
        "deal_id": deal, "partner_id": "p-1", "account": {"name": "Acme", "domain": domain}, "product": "GTX Pro",
        "amount": {"amount": "120000.00", "currency": "USD"}, "expected_close": in_a_year(),
    })
}

/// A date that has not passed.
pub(crate) fn in_a_year() -> String {
    SystemClock::new().now().plus_days(365).date()
}

/// Now, as the machine says.
pub(crate) fn now() -> Timestamp {
    SystemClock::new().now()
}
