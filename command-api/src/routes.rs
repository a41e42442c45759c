//! The routes.

use std::{any::Any, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header},
    response::IntoResponse,
    routing::{MethodRouter, delete, get, post},
};
use pledger_domain::catalogue::CommandSpec;
use pledger_projections::query::VIEWS;
use tower::util::{MapRequestLayer, MapResponseLayer};
use tower_http::{
    catch_panic::CatchPanicLayer,
    trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer},
};
use tracing::Level;

use crate::{
    ApiState, analysis, asyncapi, changes,
    commands::{batch, catalogue, cloud_events, single},
    filling, generations, health, landing, linger, openapi, parked,
    path::Segments,
    persons,
    problem::Problem,
    respond::{JSON, WARNING, header_text},
    rules, streams, views, why,
};

/// The API as a service.
pub fn router(state: ApiState) -> Router {
    let mut routes = Routes { router: Router::new(), state };
    routes.commands();
    routes.questions();
    routes.generations();
    routes.rules();
    routes.operations();
    let Routes { router, state } = routes;
    let router = router
        .fallback(|uri: Uri| async move { nothing_at(uri.path()) })
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(warning_layer(&state))
        .layer(MapRequestLayer::new(linger::to_the_end))
        .with_state(state);
    // Tracing costs each request a span; so it is there only where somebody reads it.
    if tracing::enabled!(Level::DEBUG) { router.layer(trace_layer()) } else { router }
}

/// Lets every answer say why no command is decided, where that is so: what it tells may be incomplete.
fn warning_layer(state: &ApiState) -> MapResponseLayer<impl Fn(Response<Body>) -> Response<Body> + Clone + use<>> {
    let sink = Arc::clone(&state.sink);
    MapResponseLayer::new(move |mut response: Response<Body>| {
        if let Some(reason) = sink.halted() {
            let said =
                response.headers().get(WARNING).and_then(|said| said.to_str().ok()).map(|said| format!("; {said}")).unwrap_or_default();
            response.headers_mut().insert(WARNING, header_text(&format!("{reason}{said}")));
        }
        response
    })
}

type HttpTraceLayer = TraceLayer<tower_http::classify::SharedClassifier<tower_http::classify::ServerErrorsAsFailures>, DefaultMakeSpan>;

fn trace_layer() -> HttpTraceLayer {
    TraceLayer::new_for_http()
        .make_span_with(DefaultMakeSpan::new().level(Level::DEBUG))
        .on_response(DefaultOnResponse::new().level(Level::DEBUG))
}

struct Routes {
    router: Router<ApiState>,
    state: ApiState,
}

impl Routes {
    /// Adds a route whose requests are counted under `path`.
    fn add(&mut self, path: &str, methods: MethodRouter<ApiState>) {
        self.add_as(path, path, methods);
    }

    /// Adds a route whose requests are counted under `name`.
    fn add_as(&mut self, path: &str, name: &str, methods: MethodRouter<ApiState>) {
        let meter = self.state.metrics.route(name);
        let counted = MapResponseLayer::new(move |response: Response<Body>| {
            meter.count(response.status());
            response
        });
        let router = std::mem::take(&mut self.router);
        self.router = router.route(path, methods.layer(counted));
    }

    fn commands(&mut self) {
        for (path, route) in single::CommandRoute::all() {
            let entry = catalogue::one(route.spec());
            let handler = move |State(api): State<ApiState>, request: Request| route.post(api, request);
            self.add(&path, post(handler).get(move || async move { fixed(JSON, entry) }));
        }
        let unknown = |Segments(name): Segments<String>| async move { single::unknown(&name) };
        self.add("/v1/commands/{name}", post(unknown).get(unknown));
        let all = catalogue::all();
        self.add("/v1/commands", get(move || async move { fixed(JSON, all) }));
        self.add("/v1/commands:batch", post(|State(api): State<ApiState>, request: Request| batch::post(api, request)));
        self.add("/v1/events", post(|State(api): State<ApiState>, request: Request| cloud_events::post(api, request)));
    }

    fn questions(&mut self) {
        let list = |State(api): State<ApiState>, Segments(view): Segments<String>, headers: HeaderMap, uri: Uri| {
            views::get(api, view, None, headers, uri)
        };
        let one = |State(api): State<ApiState>, Segments((view, key)): Segments<(String, String)>, headers: HeaderMap, uri: Uri| {
            views::get(api, view, Some(key), headers, uri)
        };
        let why = |State(api): State<ApiState>, Segments((view, key)): Segments<(String, String)>, headers: HeaderMap, uri: Uri| {
            why::get(api, view, key, headers, uri)
        };
        self.add("/v1/{view}", get(list));
        self.add("/v1/{view}/{key}", get(one));
        self.add("/v1/{view}/{key}/why", get(why));
        for view in VIEWS {
            let list =
                move |State(api): State<ApiState>, headers: HeaderMap, uri: Uri| views::get(api, view.name.to_owned(), None, headers, uri);
            self.add(&format!("/v1/{}", view.name), get(list));
            if view.key.is_some() {
                let one = move |State(api): State<ApiState>, Segments(key): Segments<String>, headers: HeaderMap, uri: Uri| {
                    views::get(api, view.name.to_owned(), Some(key), headers, uri)
                };
                self.add(&format!("/v1/{}/{{key}}", view.name), get(one));
            }
        }
        self.add(
            "/v1/streams/{stream}",
            get(|State(api): State<ApiState>, Segments(stream): Segments<String>, headers: HeaderMap, uri: Uri| {
                streams::get(api, stream, headers, uri)
            }),
        );
        self.add("/v1/changes", get(|State(api): State<ApiState>, headers: HeaderMap| changes::get(api, headers)));
    }

    fn generations(&mut self) {
        let list = |State(api): State<ApiState>, headers: HeaderMap| generations::list(api, headers);
        let begin = |State(api): State<ApiState>, request: Request| filling::begin(api, request);
        self.add("/v1/generations", get(list).post(begin));
        self.add("/v1/generations/rollback", post(|State(api): State<ApiState>, headers: HeaderMap| generations::roll_back(api, headers)));
        let drop_one = |State(api): State<ApiState>, Segments(generation): Segments<String>, headers: HeaderMap| {
            generations::drop_one(api, generation, headers)
        };
        self.add("/v1/generations/{generation}", delete(drop_one));
        let promote = |State(api): State<ApiState>, Segments(generation): Segments<String>, headers: HeaderMap| {
            generations::promote(api, generation, headers)
        };
        self.add("/v1/generations/{generation}/promote", post(promote));
        let compare = |State(api): State<ApiState>, Segments((one, other)): Segments<(String, String)>, headers: HeaderMap| {
            generations::compare(api, one, other, headers)
        };
        self.add("/v1/generations/{generation}/compare/{other}", get(compare));
    }

    fn rules(&mut self) {
        self.add("/v1/rules", get(|State(api): State<ApiState>, headers: HeaderMap| rules::list(api, headers)));
        let show =
            |State(api): State<ApiState>, Segments(version): Segments<String>, headers: HeaderMap| rules::show(api, version, headers);
        self.add("/v1/rules/{version}", get(show));
        self.add("/v1/rules/check", post(|State(api): State<ApiState>, request: Request| rules::check(api, request)));
        self.add("/v1/rules/diff", post(|State(api): State<ApiState>, request: Request| rules::diff(api, request)));
    }

    fn operations(&mut self) {
        let erase =
            |State(api): State<ApiState>, Segments(person): Segments<String>, request: Request| persons::erase(api, person, request);
        self.add("/v1/persons/{id}/erase", post(erase));
        self.add("/v1/parked/retry", post(|State(api): State<ApiState>, headers: HeaderMap| parked::retry(api, headers)));
        self.add("/v1/simulate", post(|State(api): State<ApiState>, request: Request| analysis::simulate(api, request)));
        let evidence = |State(api): State<ApiState>, headers: HeaderMap, uri: Uri| analysis::evidence(api, headers, uri);
        self.add("/v1/evidence", get(evidence));
        let page = landing::page();
        self.add("/", get(move || async move { fixed(HeaderValue::from_static("text/html; charset=utf-8"), page) }));
        let document = openapi::json();
        self.add("/v1/openapi.json", get(move || async move { fixed(JSON, document) }));
        let topics = asyncapi::json(&self.state.topic_prefix);
        self.add("/v1/asyncapi.json", get(move || async move { fixed(JSON, topics) }));
        self.add("/healthz", get(|| async { health::healthz() }));
        self.add("/readyz", get(|State(api): State<ApiState>| async move { health::readyz(&api) }));
        self.add("/metrics", get(|State(api): State<ApiState>| async move { api.metrics.text() }));
    }
}

/// What never changes while the process runs.
fn fixed(content_type: HeaderValue, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// Nothing is here; what was meant, where that can be guessed.
fn nothing_at(path: &str) -> Problem {
    let shown: String = path.chars().take(200).collect();
    let problem = Problem::not_found(format!("there is nothing at {shown}"));
    match (path.strip_prefix("/v1/streams/"), path.strip_suffix('/')) {
        (Some(stream), _) => problem.accepted(format!("a stream is one segment: /v1/streams/{}", stream.replace('/', "%2F"))),
        (None, Some(without)) => problem.accepted(without),
        (None, None) => problem.accepted("see /"),
    }
}

async fn method_not_allowed(request: Request) -> Problem {
    let (method, path) = (request.method(), request.uri().path());
    let name = path.strip_prefix("/v1/commands/").filter(|name| CommandSpec::find(name).is_some());
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", format!("{path} takes no {method}"));
    match name {
        Some(_) => problem.accepted("POST to send the command, GET to read about it"),
        None => problem.accepted("the methods in the header Allow"),
    }
}

/// A request that panicked is answered as any other fault of ours.
fn panicked(panic: Box<dyn Any + Send>) -> Response<Body> {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    Problem::internal(&std::io::Error::other(text.unwrap_or_else(|| "a request panicked".to_owned()))).into_response()
}
