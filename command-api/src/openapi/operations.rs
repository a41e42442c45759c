//! What the document says of rules, generations, and of what reads the whole ledger.

use axum::http::StatusCode;
use utoipa::openapi::{
    ContentBuilder, HttpMethod, PathsBuilder, RefOr, Required, ResponseBuilder, Schema,
    path::{Operation, OperationBuilder, ParameterIn, PathItem},
    request_body::RequestBodyBuilder,
};

use super::{
    NO_LEDGER, NOBODY, NOTHING, parameter, problems, read, reference,
    schemas::{string, whole_number},
    success, with_token,
};

/// Adds them.
pub(super) fn paths(mut paths: PathsBuilder) -> PathsBuilder {
    let version = "The number of a version, or in-force.";
    let one_version = [parameter("version", ParameterIn::Path, version, string())];
    for (method, path, operation) in [
        (HttpMethod::Post, "/v1/simulate", simulate()),
        (HttpMethod::Get, "/v1/evidence", evidence()),
        (
            HttpMethod::Get,
            "/v1/rules",
            read("listRules", "operations", "Every version of the rules, and which is in force.", "RulesList", &[], &[NOBODY, NO_LEDGER]),
        ),
        (
            HttpMethod::Get,
            "/v1/rules/{version}",
            read("showRules", "operations", "A version of the rules, as published and in words.", "RulesShown", &one_version, SHOWN),
        ),
        (HttpMethod::Post, "/v1/rules/check", rules("checkRules", "What a draft of the rules says, or what is wrong with it.")),
        (HttpMethod::Post, "/v1/rules/diff", rules("diffRules", "What a draft changes, in words, against published rules.")),
        (HttpMethod::Post, "/v1/generations", begin()),
    ] {
        paths = paths.path(path, PathItem::new(method, operation));
    }
    for (method, path, id, summary, schema) in ORDERS {
        paths = paths.path(*path, PathItem::new(method.clone(), order(path, id, summary, schema)));
    }
    paths
}

/// An operation that nobody may call without the right to operate the service.
fn for_operators(operation: OperationBuilder, summary: &str) -> OperationBuilder {
    operation.summary(Some(format!("{summary} For operators."))).security(with_token())
}

/// What is done with generations and parked streams: method, path, id, summary, what is answered.
const ORDERS: &[(HttpMethod, &str, &str, &str, &str)] = &[
    (
        HttpMethod::Get,
        "/v1/generations",
        "listGenerations",
        "The generations of the read models, which is in use, and how far the one is that is filled.",
        "Generations",
    ),
    (HttpMethod::Delete, "/v1/generations/{generation}", "dropGeneration", "Takes a generation away for ever that is not in use.", "Done"),
    (
        HttpMethod::Get,
        "/v1/generations/{generation}/compare/{other}",
        "compareGenerations",
        "Compares two generations at one vector of positions, table by table.",
        "Comparison",
    ),
    (
        HttpMethod::Post,
        "/v1/generations/{generation}/promote",
        "promoteGeneration",
        "Puts a filled generation in use, once it equals the one in use where it has to.",
        "Done",
    ),
    (HttpMethod::Post, "/v1/generations/rollback", "rollBackGeneration", "Puts the generation in use again that was replaced.", "Done"),
    (HttpMethod::Post, "/v1/parked/retry", "retryParked", "Tries streams again that are folded no further.", "Done"),
];

fn order(path: &str, id: &str, summary: &str, schema: &str) -> Operation {
    let named = [("generation", "The generation's number."), ("other", "The number of the other one.")];
    let named = named.into_iter().filter(|(name, _)| path.contains(&format!("{{{name}}}")));
    let parameters: Vec<_> = named.map(|(name, about)| parameter(name, ParameterIn::Path, about, whole_number())).collect();
    let operation = OperationBuilder::new().operation_id(Some(id)).tag("operations").parameters(Some(parameters));
    problems(for_operators(operation.response("200", success("The answer.", schema)), summary), ORDER_PROBLEMS).build()
}

/// What may become of an order to whoever keeps the read models.
const ORDER_PROBLEMS: &[(StatusCode, &str)] = &[
    (StatusCode::BAD_REQUEST, "What is named is no generation."),
    (StatusCode::UNAUTHORIZED, "Nobody is known by the token."),
    (StatusCode::FORBIDDEN, "It is for operators."),
    (StatusCode::NOT_FOUND, "There is no such generation: the problem says which there are."),
    (
        StatusCode::CONFLICT,
        "It differs where it must not, is in use, is being filled or was not filled to the end, or is not to be put in use: the problem says why.",
    ),
    (StatusCode::TOO_MANY_REQUESTS, "Two others are just compared; see Retry-After."),
    (StatusCode::SERVICE_UNAVAILABLE, "Nobody keeps the read models now; see Retry-After."),
];

fn begin() -> Operation {
    let body = RequestBodyBuilder::new()
        .description(Some("Which projections are expected to differ, and under which version of the rules to fold; may be left out."))
        .content("application/json", ContentBuilder::new().schema(Some(reference("Rebuild"))).build())
        .required(Some(Required::False));
    let operation = OperationBuilder::new()
        .operation_id(Some("rebuild"))
        .tag("operations")
        .request_body(Some(body.build()))
        .response("202", success("Which generation is filled now, and whether one is gone on with that was left unfinished.", "Begun"));
    let summary = "Fills a generation of the read models beside the one in use, in the background.";
    problems(for_operators(operation, summary), REBUILD_PROBLEMS).build()
}

/// What may become of a rebuild.
const REBUILD_PROBLEMS: &[(StatusCode, &str)] = &[
    (StatusCode::BAD_REQUEST, "The body cannot be read."),
    (StatusCode::UNAUTHORIZED, "Nobody is known by the token."),
    (StatusCode::FORBIDDEN, "It is for operators."),
    (StatusCode::NOT_FOUND, "There is no such version of the rules."),
    (StatusCode::CONFLICT, "One is being filled: the problem says which, or by whom."),
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is of another media type."),
    (StatusCode::UNPROCESSABLE_ENTITY, "There is no such projection."),
    (StatusCode::SERVICE_UNAVAILABLE, "The read models cannot be reached; see Retry-After."),
];

/// What may become of the question for a version of the rules.
const SHOWN: &[(StatusCode, &str)] = &[NOBODY, NOTHING, NO_LEDGER];

/// What may become of a simulation, besides.
const SIMULATION_PROBLEMS: &[(StatusCode, &str)] = &[
    (StatusCode::NOT_ACCEPTABLE, "No media type of Accept is written here."),
    (StatusCode::PAYLOAD_TOO_LARGE, "The body is too long."),
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is of another media type."),
];

/// What may become of what reads the whole ledger.
const ANALYSIS_PROBLEMS: &[(StatusCode, &str)] = &[
    (StatusCode::BAD_REQUEST, "A parameter or the body cannot be read."),
    (StatusCode::UNAUTHORIZED, "Nobody is known by the token."),
    (StatusCode::FORBIDDEN, "It is for operators."),
    (StatusCode::CONFLICT, "This process does not read the whole ledger for an answer."),
    (
        StatusCode::UNPROCESSABLE_ENTITY,
        "A draft is no program.toml, with line and column, history begins later, or evidence would be too long to be verified.",
    ),
    (StatusCode::TOO_MANY_REQUESTS, "Another one is just made, and one is made at a time; see Retry-After."),
];

fn simulate() -> Operation {
    let example = serde_json::json!({"drafts": [{"name": "strict", "program": "a whole program.toml"}], "from": "2026-01-01"});
    let body = RequestBodyBuilder::new()
        .description(Some("As TOML it is one draft, the file as it is; `from`, `to`, `limit` and `verify` stand in the address then."))
        .content("application/json", ContentBuilder::new().schema(Some(reference("Simulation"))).example(Some(example)).build())
        .content("application/toml", ContentBuilder::new().schema(Some(string())).build())
        .required(Some(Required::True));
    let content = |schema: RefOr<Schema>| ContentBuilder::new().schema(Some(schema)).build();
    let response = ResponseBuilder::new()
        .description("What the drafts would change; as CSV and NDJSON a row a difference. The header Pledger-Warning says what was hardly meant in a draft, and how many decisions do not come out as recorded or cannot be read.")
        .content("application/json", content(reference("Simulated")))
        .content("text/csv", content(string()))
        .content("application/x-ndjson", content(string()));
    let of_toml = [
        ("from", "Of a TOML body: from when the draft governs."),
        ("to", "Of a TOML body: up to when history counts."),
        ("limit", "Of a TOML body: how many of each list a JSON answer holds."),
        ("verify", "Of a TOML body: whether every command is decided again."),
    ];
    let operation = OperationBuilder::new()
        .operation_id(Some("simulate"))
        .tag("operations")
        .parameters(Some(of_toml.map(|(name, what)| parameter(name, ParameterIn::Query, what, string()))))
        .request_body(Some(body.build()))
        .response("200", response);
    let operation = for_operators(operation, "What other rules would have made of history; nothing is written.");
    problems(problems(operation, ANALYSIS_PROBLEMS), SIMULATION_PROBLEMS).build()
}

fn rules(id: &str, summary: &str) -> Operation {
    let content = |schema: RefOr<Schema>| ContentBuilder::new().schema(Some(schema)).build();
    let body = RequestBodyBuilder::new()
        .content("application/json", content(reference("RulesDraft")))
        .content("application/toml", content(string()))
        .required(Some(Required::True));
    let (description, schema) = match id {
        "checkRules" => ("Whether it is valid; in words, or the problems with line and column.", "RulesChecked"),
        _ => ("The version that it was held against, and every change.", "RulesDiff"),
    };
    let operation = OperationBuilder::new()
        .operation_id(Some(id))
        .tag("operations")
        .summary(Some(summary))
        .request_body(Some(body.build()))
        .response("200", success(description, schema));
    problems(operation, RULES_PROBLEMS).build()
}

/// What may become of a draft of the rules.
const RULES_PROBLEMS: &[(StatusCode, &str)] = &[
    (StatusCode::BAD_REQUEST, "The body cannot be read."),
    (StatusCode::UNAUTHORIZED, "Nobody is known by the token."),
    (StatusCode::NOT_FOUND, "There is no such version of the rules."),
    (StatusCode::PAYLOAD_TOO_LARGE, "The body is too long."),
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is of another media type."),
    (StatusCode::UNPROCESSABLE_ENTITY, "The draft is no program.toml."),
];

fn evidence() -> Operation {
    let operation = OperationBuilder::new()
        .operation_id(Some("evidence"))
        .tag("operations")
        .parameters(Some([
            parameter("account", ParameterIn::Query, "The account's key.", string()),
            parameter("deal", ParameterIn::Query, "The deal's id, in place of an account.", string()),
        ]))
        .response("200", success("The file, to be verified as it is: pledger evidence verify FILE.", "Evidence"));
    let operation = for_operators(operation, "The decisions about an account or a deal, with the proof that they are in the ledger.");
    let nothing = (StatusCode::NOT_FOUND, "The ledger has no decision about it.");
    problems(problems(operation, ANALYSIS_PROBLEMS), &[nothing]).build()
}
