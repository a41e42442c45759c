//! What the document says of the headers of answers, put into it where they occur.

use serde_json::{Map, Value, json};

/// Adds the headers to the components, and to every answer that has them.
pub(super) fn add(document: &mut Value) {
    document["components"]["headers"] = described();
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
                let named = NAMED.iter().filter(|(_, has)| has(path, status));
                let headers: Map<String, Value> =
                    named.map(|(name, _)| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")}))).collect();
                if !headers.is_empty() {
                    response["headers"] = headers.into();
                }
            }
        }
    }
}

/// Whether answers of a path with a status have a header.
type Has = fn(&str, &str) -> bool;

const NAMED: &[(&str, Has)] = &[
    ("Idempotent-Replay", |path, status| is_decided(path) && ["200", "409"].contains(&status)),
    ("Pledger-Incomplete", |path, status| is_question(path) && status == "200"),
    ("Next-Cursor", |path, status| is_question(path) && !path.contains('{') && status == "200"),
    ("Pledger-Warning", |_, status| ["200", "202"].contains(&status)),
    ("Pledger-Ledger-Key", |path, status| path == "/v1/evidence" && status == "200"),
    ("Retry-After", |_, status| ["429", "503"].contains(&status)),
];

/// Whether it answers with the decision of one command.
fn is_decided(path: &str) -> bool {
    path == "/v1/events" || path.starts_with("/v1/commands/")
}

/// Whether it answers a question to a view.
fn is_question(path: &str) -> bool {
    let view = path.strip_prefix("/v1/").and_then(|path| path.split('/').next());
    view.is_some_and(|view| pledger_projections::query::find_view(view).is_ok())
}

fn described() -> Value {
    let header = |description: &str, schema: Value| json!({"description": description, "schema": schema});
    let text = || json!({"type": "string"});
    json!({
        "Idempotent-Replay": header(
            "true where the key was used before: this is the answer that it had then. Absent otherwise.",
            json!({"type": "string", "enum": ["true"]}),
        ),
        "Pledger-Incomplete": header(
            "Streams that figures leave something out of, as one of their records cannot be read: account/acme.com since 3:17. Absent where there are none.",
            text(),
        ),
        "Next-Cursor": header("Of CSV: the cursor of the next page, where there is one.", text()),
        "Pledger-Warning": header(
            "What to know of the answer; of any answer why no command is decided until pledger is started again. Absent where there is nothing to say.",
            text(),
        ),
        "Pledger-Ledger-Key": header("The public key of the ledger.", text()),
        "Retry-After": header("After how many seconds to ask again.", json!({"type": "integer", "minimum": 0})),
    })
}
