//! The OpenAPI 3.1 document, built from the catalogues of commands and views.

mod headers;
mod operations;
mod schemas;

use axum::{body::Bytes, http::StatusCode};
use pledger_domain::catalogue::{COMMANDS, CommandSpec};
use pledger_projections::query::{FieldSpec, VIEWS, ViewSpec};
use serde_json::Value;
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HttpMethod, InfoBuilder, OpenApiBuilder, Paths, PathsBuilder, Ref, RefOr, Required, Response,
    ResponseBuilder, Schema,
    path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem},
    request_body::RequestBodyBuilder,
    security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
};

use schemas::{array_of, object, string, up_to};

use crate::why::keys_of;

/// The document, as JSON.
#[must_use]
pub fn document() -> Value {
    let info = InfoBuilder::new().title("pledger").version(env!("CARGO_PKG_VERSION")).description(Some(ABOUT));
    let anybody = [SecurityRequirement::default(), with_token()];
    let built = OpenApiBuilder::new().info(info).paths(paths()).components(Some(components())).security(Some(anybody)).build();
    let mut document = serde_json::to_value(built).expect("a document is plain data, which JSON can hold");
    let named = &mut document["components"]["schemas"];
    schemas::answers().for_each(|(name, schema)| named[name] = schema);
    headers::add(&mut document);
    document
}

const ABOUT: &str = "The ledger of a partner program: commands in, decisions recorded, read models folded, questions answered.";

/// What a token is called.
const TOKEN: &str = "token";

fn with_token() -> SecurityRequirement {
    SecurityRequirement::new(TOKEN, std::iter::empty::<String>())
}

/// The document as it is served.
pub(crate) fn json() -> Bytes {
    document().to_string().into()
}

fn paths() -> Paths {
    let mut paths = PathsBuilder::new();
    for spec in COMMANDS {
        paths = paths.path(format!("/v1/commands/{}", spec.name), PathItem::new(HttpMethod::Post, command(spec)));
    }
    paths = paths
        .path("/v1/commands:batch", PathItem::new(HttpMethod::Post, batch()))
        .path("/v1/events", PathItem::new(HttpMethod::Post, events()))
        .path(
            "/v1/commands",
            PathItem::new(HttpMethod::Get, read("listCommands", "operations", "The catalogue of commands.", "Catalogue", &[], &[])),
        )
        .path("/v1/commands/{name}", PathItem::new(HttpMethod::Get, described()))
        .path("/v1/streams/{stream}", PathItem::new(HttpMethod::Get, stream()));
    for view in VIEWS {
        paths = paths.path(format!("/v1/{}", view.name), PathItem::new(HttpMethod::Get, list(view)));
        if let Some(key) = view.key {
            paths = paths.path(format!("/v1/{}/{{key}}", view.name), PathItem::new(HttpMethod::Get, one(view, key)));
        }
        paths = paths.path(format!("/v1/{}/{{key}}/why", view.name), PathItem::new(HttpMethod::Get, why(view)));
    }
    paths = paths.path("/v1/changes", PathItem::new(HttpMethod::Get, changes()));
    for (path, id, summary, media, answers) in [
        ("/v1/asyncapi.json", "asyncapi", "The topics that services write to and read, as AsyncAPI 3.", "application/json", &[][..]),
        ("/healthz", "healthz", "Whether the process answers.", "application/json", &[]),
        ("/readyz", "readyz", "Whether everything behind it does.", "application/json", NOT_READY),
        ("/metrics", "metrics", "Figures for Prometheus.", "text/plain", &[]),
    ] {
        paths = paths.path(path, PathItem::new(HttpMethod::Get, problems(plain(id, summary, media), answers).build()));
    }
    operations::paths(paths).build()
}

/// The schemas of all commands' payloads and of what these refer to, by name.
pub(crate) fn payload_schemas() -> Value {
    let mut components = serde_json::to_value(components()).expect("schemas are plain data, which JSON can hold");
    components["schemas"].take()
}

fn components() -> utoipa::openapi::Components {
    let mut referenced: Vec<(String, RefOr<Schema>)> = Vec::new();
    for spec in COMMANDS {
        (spec.referenced)(&mut referenced);
        referenced.push((spec.name.to_owned(), (spec.schema)()));
    }
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "Who sends none is `anonymous`, who sends commands and asks. The running server keeps an operator's in `serve.json` of its data directory.",
    ));
    ComponentsBuilder::new().schemas_from_iter(referenced).security_scheme(TOKEN, SecurityScheme::Http(token.build())).build()
}

fn command(spec: &'static CommandSpec) -> Operation {
    let example: Value = serde_json::from_str(spec.example).expect("a test reads every example");
    let body = ContentBuilder::new().schema(Some(reference(spec.name))).example(Some(example)).build();
    let operation = OperationBuilder::new()
        .operation_id(Some(spec.name))
        .tag(spec.stream.prefix())
        .summary(Some(spec.summary))
        .parameters(Some(command_headers()))
        .request_body(Some(RequestBodyBuilder::new().content("application/json", body).required(Some(Required::True)).build()))
        .response("200", success("Decided and accepted; durable.", "Accepted"));
    problems(operation, COMMAND_PROBLEMS).build()
}

/// What may become of a command besides acceptance.
const COMMAND_PROBLEMS: &[(StatusCode, &str)] = &[
    (StatusCode::BAD_REQUEST, "A header or the body cannot be read."),
    (StatusCode::UNAUTHORIZED, "Nobody is known by the token."),
    (StatusCode::FORBIDDEN, "Only pledger itself sends this command."),
    (StatusCode::NOT_FOUND, "An id that the payload names is not known; nothing was recorded."),
    (StatusCode::CONFLICT, "Refused: by a rule (recorded, with position and facts), for a reused key, or because an id is ambiguous."),
    (StatusCode::PAYLOAD_TOO_LARGE, "The body is too long."),
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is of another media type."),
    (StatusCode::UNPROCESSABLE_ENTITY, "Well-formed, but invalid: the field says where."),
    (StatusCode::TOO_MANY_REQUESTS, "Too many commands are waiting; see Retry-After."),
    (StatusCode::SERVICE_UNAVAILABLE, "The ledger takes no commands, or the outcome is not known: send it again with the same key."),
];

/// What `/readyz` says where something does not work.
const NOT_READY: &[(StatusCode, &str)] =
    &[(StatusCode::SERVICE_UNAVAILABLE, "Something behind it does not: `checks` says what and why; see Retry-After.")];

const UNREAD: (StatusCode, &str) = (StatusCode::BAD_REQUEST, "A parameter is unknown or cannot be read.");
const NOBODY: (StatusCode, &str) = (StatusCode::UNAUTHORIZED, "Nobody is known by the token.");
const NOTHING: (StatusCode, &str) = (StatusCode::NOT_FOUND, "There is no such thing.");
const SEVERAL: (StatusCode, &str) = (StatusCode::CONFLICT, "Several have this key; `accepted` names them.");
const NO_LEDGER: (StatusCode, &str) = (StatusCode::SERVICE_UNAVAILABLE, "The ledger cannot be read; see Retry-After.");
const NOT_YET: (StatusCode, &str) = (StatusCode::SERVICE_UNAVAILABLE, "What is asked for is not there yet; see Retry-After.");

/// What may become of a question besides an answer.
const QUESTION_PROBLEMS: &[(StatusCode, &str)] = &[
    UNREAD,
    NOBODY,
    NOTHING,
    (StatusCode::NOT_ACCEPTABLE, "No media type of Accept is written here."),
    SEVERAL,
    (StatusCode::UNPROCESSABLE_ENTITY, "History begins after `as_of` or `known_at` (BeforeHistory)."),
    NOT_YET,
];

/// What may become of the question why.
const WHY_PROBLEMS: &[(StatusCode, &str)] = &[
    UNREAD,
    NOBODY,
    NOTHING,
    SEVERAL,
    (StatusCode::UNPROCESSABLE_ENTITY, "History begins after `as_of` or `known_at` (BeforeHistory)."),
    (StatusCode::TOO_MANY_REQUESTS, "Another figure of many decisions is just explained, and one is at a time; see Retry-After."),
    NOT_YET,
];

/// What may become of the question for a stream.
const STREAM_PROBLEMS: &[(StatusCode, &str)] = &[UNREAD, NOBODY, NOTHING, NO_LEDGER];

fn problems(mut operation: OperationBuilder, problems: &[(StatusCode, &'static str)]) -> OperationBuilder {
    for (status, description) in problems {
        let content = ContentBuilder::new().schema(Some(reference("Problem"))).build();
        let response = ResponseBuilder::new().description(*description).content("application/problem+json", content);
        operation = operation.response(status.as_str(), response);
    }
    operation
}

fn command_headers() -> Vec<Parameter> {
    [
        (
            "Idempotency-Key",
            "The command's identity, within sender and stream: sent again, it is answered from history. A new one where absent.",
            string(),
        ),
        ("If-Match", "The version that the stream must be at.", string()),
        ("Effective-At", "The business time, RFC 3339; the payload's own date wins.", string()),
        ("After", "Positions that the sender has seen: slice:pseq, separated by commas.", string()),
        ("Actor", "The id of who acted, as the sender says.", string()),
        ("traceparent", "W3C trace context.", string()),
    ]
    .into_iter()
    .map(|(name, description, schema)| parameter(name, ParameterIn::Header, description, schema))
    .collect()
}

fn batch() -> Operation {
    let content = |schema: RefOr<Schema>| ContentBuilder::new().schema(Some(schema)).build();
    let body = RequestBodyBuilder::new()
        .description(Some("At most 1,000 commands; order is kept inside a stream, and later items see what earlier ones brought about."))
        .content("application/json", content(array_of(reference("BatchItem"))))
        .content("application/x-ndjson", content(reference("BatchItem")))
        .required(Some(Required::True));
    let operation = OperationBuilder::new()
        .operation_id(Some("sendBatch"))
        .tag("operations")
        .summary(Some("Sends up to a thousand commands."))
        .request_body(Some(body.build()))
        .response("200", success("Each item's own answer, in their order.", "BatchAnswer"));
    problems(operation, COMMAND_PROBLEMS).build()
}

fn events() -> Operation {
    let content = |schema: RefOr<Schema>| ContentBuilder::new().schema(Some(schema)).build();
    let body = RequestBodyBuilder::new()
        .description(Some("The type is pledger.<CommandName>, source and id are sender and idempotency key, data is the payload."))
        .content("application/cloudevents+json", content(reference("CloudEvent")))
        .content("application/cloudevents-batch+json", content(array_of(reference("CloudEvent"))))
        .required(Some(Required::True));
    let operation = OperationBuilder::new()
        .operation_id(Some("sendEvents"))
        .tag("operations")
        .summary(Some("Sends CloudEvents 1.0, one or a batch."))
        .request_body(Some(body.build()))
        .response("200", success("As a command's answer, or a batch's.", "EventAnswer"));
    problems(operation, COMMAND_PROBLEMS).build()
}

fn stream() -> Operation {
    let parameters = [
        parameter("stream", ParameterIn::Path, "The stream's name as one percent-encoded segment: account%2Facme.com.", string()),
        parameter("limit", ParameterIn::Query, "The most decisions; 100 where absent.", up_to(1_000)),
        parameter("cursor", ParameterIn::Query, "The next of the page before.", string()),
        parameter("as_of", ParameterIn::Query, "Only decisions that were true by then: RFC 3339, or a date for its end.", string()),
        parameter("known_at", ParameterIn::Query, "Only decisions that were recorded by then: RFC 3339, or a date for its end.", string()),
    ];
    read("readStream", "operations", "The decisions of a stream.", "StreamPage", &parameters, STREAM_PROBLEMS)
}

fn described() -> Operation {
    let name = [parameter("name", ParameterIn::Path, "The command's name, as in the catalogue.", string())];
    let unknown = &[(StatusCode::NOT_FOUND, "There is no such command; `accepted` says which one was meant, where that can be guessed.")];
    read("describeCommand", "operations", "A command of the catalogue, with an example.", "CatalogueEntry", &name, unknown)
}

fn changes() -> Operation {
    let about = "The id of the last event that was received: what was decided since is told first.";
    let operation = plain("changes", "New decisions as server-sent events; with Last-Event-ID, those since that event first.", EVENTS)
        .parameters(Some([parameter("Last-Event-ID", ParameterIn::Header, about, string())]));
    let unknown = (StatusCode::BAD_REQUEST, "Last-Event-ID is the id of no event of this ledger (UnknownEventId).");
    problems(operation, &[unknown, NO_LEDGER]).build()
}

/// The media type of server-sent events.
const EVENTS: &str = "text/event-stream";

fn list(view: &'static ViewSpec) -> Operation {
    let mut parameters: Vec<Parameter> = view.filters.iter().map(filter).collect();
    if !view.by.is_empty() {
        let names: Vec<&str> = view.by.iter().map(|field| field.name).collect();
        let description = format!("The dimensions to give figures by, separated by commas: {}.", names.join(", "));
        parameters.push(parameter("by", ParameterIn::Query, &description, string()));
    }
    parameters.extend([
        parameter("limit", ParameterIn::Query, LIMIT, up_to(100_000)),
        parameter("cursor", ParameterIn::Query, "The next of the page before.", string()),
    ]);
    parameters.extend(moment());
    let page = reference(&schemas::page_name(view.name));
    question(&format!("list_{}", view.name), view.name, view.summary, page, parameters)
}

/// How many items a page of a view has.
const LIMIT: &str = "The most items, up to 10,000; 100 where absent. In CSV up to 100,000, which it is where absent.";

fn one(view: &'static ViewSpec, key: &'static str) -> Operation {
    let parameters = std::iter::once(parameter("key", ParameterIn::Path, key, string())).chain(moment()).collect();
    let item = reference(&schemas::item_name(view.name));
    question(&format!("get_{}", view.name), view.name, view.summary, item, parameters)
}

fn why(view: &'static ViewSpec) -> Operation {
    let key = format!("What is explained: {}.", keys_of(view));
    let fields: Vec<&str> = view.fields.iter().map(|field| field.name).collect();
    let field = format!("Only this figure and what it is computed from; one of {}.", fields.join(", "));
    let cursor = "Where the list of decisions goes on: the `next` of the page before.";
    let own = [
        parameter("key", ParameterIn::Path, &key, string()),
        parameter("field", ParameterIn::Query, &field, string()),
        parameter("cursor", ParameterIn::Query, cursor, string()),
    ];
    let parameters: Vec<Parameter> = own.into_iter().chain(moment()).collect();
    read(&format!("why_{}", view.name), view.name, WHY, "Explanation", &parameters, WHY_PROBLEMS)
}

const WHY: &str = "The decisions that made a figure, and the arithmetic.";

fn question(id: &str, tag: &str, summary: &str, schema: RefOr<Schema>, parameters: Vec<Parameter>) -> Operation {
    let response = ResponseBuilder::new()
        .description("The answer. In CSV a text that a spreadsheet would compute, as it begins with =, +, -, @, a tab or CR, begins with a single quote; numbers and ids never do.")
        .content("application/json", ContentBuilder::new().schema(Some(schema)).build())
        .content("text/csv", ContentBuilder::new().schema(Some(string())).build());
    let operation = OperationBuilder::new()
        .operation_id(Some(id))
        .tag(tag)
        .summary(Some(summary))
        .parameters(Some(parameters))
        .response("200", response);
    problems(operation, QUESTION_PROBLEMS).build()
}

fn filter(field: &FieldSpec) -> Parameter {
    parameter(field.name, ParameterIn::Query, &format!("Only where it is this: {} May repeat.", field.summary), string())
}

/// What the answer stands on.
fn moment() -> [Parameter; 3] {
    let at_least = "Answer only once these positions are taken in: slice:pseq, separated by commas.";
    let as_of = "What was true in the business by then: RFC 3339, or a date for its end.";
    let known_at = "What the ledger had recorded by then: RFC 3339, or a date for its end.";
    [("at_least", at_least), ("as_of", as_of), ("known_at", known_at)]
        .map(|(name, summary)| parameter(name, ParameterIn::Query, summary, string()))
}

fn read(
    id: &str,
    tag: &str,
    summary: &str,
    schema: &str,
    parameters: &[Parameter],
    may_become: &[(StatusCode, &'static str)],
) -> Operation {
    let operation = OperationBuilder::new()
        .operation_id(Some(id))
        .tag(tag)
        .summary(Some(summary))
        .parameters(Some(parameters.to_vec()))
        .response("200", success("The answer.", schema));
    problems(operation, may_become).build()
}

fn plain(id: &str, summary: &str, media: &str) -> OperationBuilder {
    let schema = if media == "application/json" { object() } else { string() };
    let response = ResponseBuilder::new().description("The answer.").content(media, ContentBuilder::new().schema(Some(schema)).build());
    OperationBuilder::new().operation_id(Some(id)).tag("operations").summary(Some(summary)).response("200", response)
}

fn success(description: &str, schema: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(reference(schema))).build();
    ResponseBuilder::new().description(description).content("application/json", content).build()
}

fn parameter(name: &str, place: ParameterIn, description: &str, schema: RefOr<Schema>) -> Parameter {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    ParameterBuilder::new().name(name).parameter_in(place).required(required).description(Some(description)).schema(Some(schema)).build()
}

fn reference(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn served() -> Value {
        serde_json::from_slice(&json()).expect("JSON")
    }

    fn walk<'a>(value: &'a Value, visit: &mut dyn FnMut(&'a str, &'a Value)) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, member)| {
                visit(name, member);
                walk(member, visit);
            }),
            Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = served();
        assert_eq!(document["openapi"], "3.1.0");
        let mut references = 0;
        walk(&document, &mut |name, target| {
            if let (true, Some(target)) = (name == "$ref", target.as_str()) {
                let pointer = target.strip_prefix('#').expect(target);
                assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
                references += 1;
            }
        });
        assert!(references > COMMANDS.len(), "{references}");
    }

    #[test]
    fn answers_and_their_headers_are_told_where_they_occur() {
        let document = served();
        let answers = |method: &str, path: &str| -> Vec<String> {
            document["paths"][path][method]["responses"].as_object().expect(path).keys().cloned().collect()
        };
        for (method, path, statuses) in [
            ("get", "/v1/deals", &["200", "400", "401", "404", "406", "409", "422", "503"][..]),
            ("get", "/v1/deals/{key}/why", &["200", "400", "401", "404", "409", "422", "429", "503"]),
            ("get", "/v1/streams/{stream}", &["200", "400", "401", "404", "503"]),
            ("get", "/v1/rules", &["200", "401", "503"]),
            ("get", "/v1/changes", &["200", "400", "503"]),
            ("get", "/v1/commands/{name}", &["200", "404"]),
            ("get", "/v1/evidence", &["200", "400", "401", "403", "404", "409", "422", "429"]),
            ("post", "/v1/simulate", &["200", "400", "401", "403", "406", "409", "413", "415", "422", "429"]),
        ] {
            assert_eq!(answers(method, path), statuses, "{method} {path}");
        }
        let has = |method: &str, path: &str, status: &str, name: &str| {
            document["paths"][path][method]["responses"][status]["headers"].get(name).is_some()
        };
        assert!(has("post", "/v1/commands/RegisterDeal", "200", "Idempotent-Replay"));
        assert!(has("post", "/v1/commands/RegisterDeal", "429", "Retry-After"));
        assert!(has("get", "/v1/deals/{key}/why", "200", "Pledger-Incomplete"));
        assert!(has("get", "/v1/deals", "200", "Pledger-Warning") && has("get", "/v1/deals", "200", "Next-Cursor"));
        assert!(!has("get", "/v1/rules", "200", "Pledger-Incomplete") && !has("get", "/v1/deals", "404", "Retry-After"));
        assert_eq!(document["paths"]["/v1/changes"]["get"]["parameters"][0]["name"], "Last-Event-ID");
    }

    #[test]
    fn operations_have_names_of_their_own_and_parameters_for_their_paths() {
        let document = served();
        let mut names = HashSet::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                assert!(names.insert(operation["operationId"].to_string()), "{method} {path}");
                let succeeds = ["200", "202"].iter().any(|status| operation["responses"][status]["description"].is_string());
                assert!(succeeds, "{method} {path}");
                let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                let in_path: Vec<String> =
                    parameters.iter().filter(|p| p["in"] == "path").map(|p| format!("{{{}}}", p["name"].as_str().expect("name"))).collect();
                assert_eq!(path.matches('{').count(), in_path.len(), "{path}");
                assert!(in_path.iter().all(|name| path.contains(name)), "{path}");
            }
        }
    }

    #[test]
    fn every_command_is_an_operation_with_schema_and_example() {
        let document = served();
        for spec in COMMANDS {
            let operation = &document["paths"][format!("/v1/commands/{}", spec.name)]["post"];
            let body = &operation["requestBody"]["content"]["application/json"];
            assert_eq!(body["schema"]["$ref"], format!("#/components/schemas/{}", spec.name));
            assert!(body["example"].is_object(), "{}", spec.name);
            let schema = &document["components"]["schemas"][spec.name];
            let example = body["example"].as_object().expect("an object");
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            assert!(required.iter().all(|name| example.contains_key(name.as_str().expect("a name"))), "{}", spec.name);
            assert!(example.keys().all(|name| schema["properties"].get(name).is_some()), "{}", spec.name);
            for status in ["400", "404", "409", "413", "415", "422", "429", "503"] {
                let problem = &operation["responses"][status]["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(problem, "#/components/schemas/Problem", "{} {status}", spec.name);
            }
        }
        for view in VIEWS {
            assert!(document["paths"][format!("/v1/{}", view.name)]["get"].is_object(), "{}", view.name);
        }
        assert!(document["paths"]["/readyz"]["get"]["responses"]["503"].is_object());
        assert!(document["paths"]["/v1/deals/{key}"]["get"]["responses"]["409"].is_object());
        let blocked = &document["components"]["schemas"]["PartnersItem"]["properties"]["retirement_blocked_by"]["type"];
        assert_eq!(*blocked, serde_json::json!(["array", "null"]));
    }
}
