//! Schemas of what is answered. They are written as JSON Schema, which is what they become.

use pledger_projections::query::{FieldKind, FieldSpec, VIEWS, ViewSpec};
use serde_json::{Map, Value, json};
use utoipa::openapi::{
    RefOr, Schema,
    schema::{ArrayBuilder, ObjectBuilder, Type},
};

pub(super) fn string() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).into()
}

pub(super) fn whole_number() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).into()
}

/// A whole number from 1 to `max`.
pub(super) fn up_to(max: u32) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(max)).into()
}

pub(super) fn object() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Object).into()
}

pub(super) fn array_of(item: RefOr<Schema>) -> RefOr<Schema> {
    ArrayBuilder::new().items(item).into()
}

/// The name of the schema of a view's items: `pipeline` has `PipelineItem`.
pub(super) fn item_name(view: &str) -> String {
    format!("{}Item", capitalised(view))
}

/// The name of the schema of a view's pages: `pipeline` has `PipelinePage`.
pub(super) fn page_name(view: &str) -> String {
    format!("{}Page", capitalised(view))
}

fn capitalised(view: &str) -> String {
    let mut letters = view.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The schema of a view's items: the dimensions asked for, then the figures.
fn item(view: &ViewSpec) -> Value {
    let fields: Map<String, Value> = view.by.iter().chain(view.fields).map(|field| (field.name.to_owned(), of_field(field))).collect();
    json!({"type": "object", "description": view.summary, "properties": fields})
}

fn of_field(field: &FieldSpec) -> Value {
    let mut schema = match field.kind {
        FieldKind::Text => json!({"type": ["string", "null"]}),
        FieldKind::Person => json!({"oneOf": [
            {"type": ["string", "null"]},
            {"type": "object", "properties": {"sealed": {"type": "string"}}, "required": ["sealed"]},
            {"type": "object", "properties": {"erased": {"const": true}}, "required": ["erased"]},
        ]}),
        FieldKind::Texts => json!({"type": ["array", "null"], "items": {"type": "string"}}),
        FieldKind::Count => json!({"type": ["integer", "null"]}),
        FieldKind::Flag => json!({"type": ["boolean", "null"]}),
        FieldKind::Time => json!({"type": ["string", "null"], "format": "date-time"}),
        FieldKind::Date => json!({"type": ["string", "null"], "format": "date"}),
        FieldKind::Money => {
            return json!({"description": field.summary, "oneOf": [{"$ref": "#/components/schemas/MoneyOut"}, {"type": "null"}]});
        }
        FieldKind::Decimal => json!({"type": ["string", "null"], "pattern": DECIMAL}),
        FieldKind::Position => json!({"type": ["string", "null"], "pattern": POSITION}),
        FieldKind::Objects => json!({"type": "array", "items": {"type": "object"}}),
    };
    schema["description"] = field.summary.into();
    schema
}

/// A page of a view.
fn page(view: &ViewSpec) -> Value {
    json!({
        "type": "object",
        "required": ["items", "next", "position"],
        "properties": {
            "items": {"type": "array", "items": {"$ref": format!("#/components/schemas/{}", item_name(view.name))}},
            "next": {"type": ["string", "null"], "description": "The cursor of the next page."},
            "position": {"$ref": "#/components/schemas/Vector"},
            "warning": {"type": "string", "description": WARNING},
        },
    })
}

/// What `warning` is.
const WARNING: &str = "What to know of the answer: why no command is decided until pledger is started again; of an empty one, which filter's value there is nowhere, with the nearest that there are; that known_at lies in the future. The header Pledger-Warning says it too.";
const POSITION: &str = "^[0-9]+:[0-9]+$";
const DECIMAL: &str = "^-?[0-9]+(\\.[0-9]+)?$";

/// The schemas of everything that is answered, by name, and of what is sent besides commands.
pub(super) fn answers() -> impl Iterator<Item = (String, Value)> {
    let items = VIEWS.iter().map(|view| (item_name(view.name), item(view)));
    let pages = VIEWS.iter().map(|view| (page_name(view.name), page(view)));
    shared().into_iter().map(|(name, schema)| (name.to_owned(), schema)).chain(items).chain(pages)
}

fn shared() -> [(&'static str, Value); 27] {
    [
        ("Position", json!({"type": "string", "pattern": POSITION, "description": "A place in the ledger: slice:pseq."})),
        (
            "Vector",
            json!({"type": "object", "description": "The last decision taken in, slice by slice.", "additionalProperties": {"type": "integer"}}),
        ),
        ("MoneyOut", money()),
        ("Event", event()),
        ("Accepted", accepted()),
        ("Problem", problem()),
        ("BatchItem", batch_item()),
        ("BatchAnswer", batch_answer()),
        ("EventAnswer", json!({"oneOf": [{"$ref": "#/components/schemas/Accepted"}, {"$ref": "#/components/schemas/BatchAnswer"}]})),
        ("CloudEvent", cloud_event()),
        ("Catalogue", list_of(json!({"$ref": "#/components/schemas/CatalogueEntry"}))),
        ("CatalogueEntry", catalogue_entry()),
        ("StreamPage", stream_page()),
        ("Explanation", explanation()),
        ("Simulation", simulation()),
        ("Simulated", simulated()),
        ("Evidence", evidence()),
        ("RulesDraft", rules_draft()),
        ("RulesChecked", rules_checked()),
        ("RulesDiff", rules_diff()),
        ("RulesList", list_of(rules_version(&[]))),
        ("RulesShown", rules_version(&["in_words", "program"])),
        ("Rebuild", rebuild()),
        ("Begun", begun()),
        ("Generations", list_of(generation())),
        ("Comparison", comparison()),
        ("Done", json!({"type": "object", "description": "What was done."})),
    ]
}

fn explanation() -> Value {
    let list = |description: &str| json!({"type": "array", "items": {"type": "object"}, "description": description});
    json!({
        "type": "object",
        "required": ["view", "at", "items", "decisions", "looked_at", "clauses"],
        "properties": {
            "view": {"type": "string"},
            "at": {"type": ["string", "null"], "format": "date-time", "description": "The instant that the question is about."},
            "items": list("What is explained: item, and its figures with formula and computed value. A partner's tier figures come with `held`: at which moment and over which window, every tier's thresholds with the figures beside them, and the revenue, net-new logos and certifications that count, with their decisions."),
            "groups": {
                "type": "object",
                "required": ["fields", "by_stream"],
                "description": "Where more decisions made the figures than are told one by one: of `fields` every part, each way adding up to the figure.",
                "properties": {
                    "fields": {"type": "array", "items": {"type": "string"}},
                    "by_stream": list("What streams added, those first that added most: of (null for all others together), streams, decisions (where the ledger knows without reading them), adds."),
                    "by_month": list("The same by the view's month, where it has months: of, adds."),
                },
            },
            "decisions": list("Decisions that changed a figure, as they were recorded: position, stream, command, rules, times, changes. With groups they come stream by stream, and a change is one of the stream's part. A change of a deadline says by `reckoned` how the decision's rules give it: clause, computed."),
            "looked_at": {"type": "integer", "description": "How many decisions were looked at one by one."},
            "of": {"type": "integer", "description": "How many there are, where these are not all and the ledger knows without reading them."},
            "next": {"type": "string", "description": "The cursor of the next page of decisions, where there is one."},
            "clauses": list("What the rules say, of every version that had a part in it: rules, clause, value, in_force."),
            "incomplete": list("Streams of it of which a record cannot be read, where there are any: stream, since, reason. What came after is left out."),
        },
    })
}

fn simulation() -> Value {
    let draft = json!({
        "type": "object", "required": ["program"], "additionalProperties": false,
        "properties": {
            "name": {"type": "string", "description": "What the answer calls it."},
            "program": {"type": "string", "description": "A whole program.toml."},
        },
    });
    let time = |description: &str| json!({"type": ["string", "null"], "description": description});
    json!({
        "type": "object", "required": ["drafts"], "additionalProperties": false,
        "properties": {
            "drafts": {"type": "array", "minItems": 1, "maxItems": 8, "items": draft, "description": "Compared side by side."},
            "from": time("From when the drafts govern: RFC 3339, or a date; always where absent."),
            "to": time("Up to when history counts, and the time of questions: RFC 3339, or a date for its end; the present where absent."),
            "limit": {"type": ["integer", "null"], "minimum": 0, "maximum": 10_000, "description": "How many of each list a JSON answer holds, 1,000 where absent. CSV and NDJSON hold every row."},
            "verify": {"type": ["boolean", "null"], "description": "Decides every command again and under the rules as recorded too, not only those that a changed clause decides: it shows that pledger decides as it did."},
        },
    })
}

fn simulated() -> Value {
    let list = |description: &str| json!({"type": "array", "items": {"type": "object"}, "description": description});
    json!({
        "type": "object",
        "required": ["from", "to", "in_force", "limit", "drafts", "decided_again", "notes"],
        "properties": {
            "from": {"type": ["string", "null"], "format": "date-time"},
            "to": {"type": "string", "format": "date-time"},
            "in_force": {"type": "integer", "description": "The version of the rules in force then."},
            "limit": {"type": "integer", "description": "How many of each list are told."},
            "drafts": list("Of each draft: changes of rules in words, warnings of clauses that contradict each other, a summary of every difference, counts, and of as many tiers, credits, returns, funds and decisions that would differ the first, up to the limit."),
            "decided_again": {"type": "object", "description": "How many commands were decided again: all that a changed clause decides, and what relies on those. How many of them under the rules as recorded too, and which of those, up to the limit, of unrepeated_count that did not come out as recorded; unreadable_count records that cannot be read, after which nothing of their streams was decided again or folded. Whether history was folded: not where no figure of tiers, credit or returns rests on a changed clause."},
            "notes": {"type": "array", "items": {"type": "string"}, "description": "What a simulation cannot know."},
        },
    })
}

fn evidence() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "type": "object",
        "required": ["statement", "public_key", "signature", "records"],
        "description": "Valid in the very bytes in which it is answered only.",
        "properties": {
            "statement": text("Which ledger, about what, every slice's length and root, and the positions of the decisions."),
            "public_key": text("The ledger's, which the header Pledger-Ledger-Key tells too."),
            "signature": text("Of the statement, by that key."),
            "records": {"type": "array", "items": {"type": "object"}, "description": "Each decision, and the path from it to its slice's root."},
        },
    })
}

fn rules_draft() -> Value {
    json!({
        "type": "object", "required": ["program"], "additionalProperties": false,
        "properties": {
            "program": {"type": "string", "description": "A whole program.toml."},
            "version": {"type": ["integer", "null"], "description": "Of a difference: the version to hold it against; the one in force where absent."},
            "before": {"type": ["string", "null"], "description": "Of a difference: another program.toml to hold it against, in place of a version."},
        },
    })
}

fn rules_checked() -> Value {
    let problem = json!({
        "type": "object", "required": ["line", "column", "message"],
        "properties": {"line": {"type": "integer"}, "column": {"type": "integer"}, "message": {"type": "string"}},
    });
    json!({
        "type": "object", "required": ["valid", "problems", "warnings", "in_words"],
        "properties": {
            "valid": {"type": "boolean"},
            "problems": {"type": "array", "items": problem.clone(), "description": "What is wrong, and where."},
            "warnings": {"type": "array", "items": problem, "description": "What was hardly meant: clauses that contradict each other, or never come about. It may be published all the same."},
            "in_words": {"type": "array", "items": {"type": "string"}, "description": "What the rules say, where they are valid."},
        },
    })
}

fn rules_diff() -> Value {
    json!({
        "type": "object", "required": ["before", "version", "changes"],
        "properties": {
            "before": {"type": "string", "description": "What the draft was held against."},
            "version": {"type": ["integer", "null"], "description": "The version that this is, where it was published."},
            "changes": {"type": "array", "items": {"type": "object"}, "description": "clause, before, after, in_words."},
        },
    })
}

/// A version of the rules, with these members too.
fn rules_version(more: &[&str]) -> Value {
    let mut required = vec!["version", "effective_from", "state", "name"];
    required.extend(more);
    json!({
        "type": "object", "required": required,
        "properties": {
            "version": {"type": "integer"},
            "effective_from": {"type": "string", "format": "date-time", "description": "From when it governs."},
            "state": {"type": "string", "enum": ["in_force", "ended", "later"]},
            "name": {"type": "string", "description": "The program's."},
            "in_words": {"type": "array", "items": {"type": "string"}, "description": "What it says; of one version."},
            "program": {"type": "string", "description": "The program.toml as it was published; of one version."},
        },
    })
}

fn rebuild() -> Value {
    json!({
        "type": "object", "additionalProperties": false,
        "properties": {
            "projections": {"type": "array", "items": {"type": "string"}, "description": "The projections that are expected to differ; others must not."},
            "rules_version": {"type": ["integer", "null"], "description": "Fold every decision under this version of the rules."},
        },
    })
}

fn begun() -> Value {
    json!({
        "type": "object", "required": ["generation", "resumed"],
        "properties": {
            "generation": {"type": "integer"},
            "resumed": {"type": "boolean", "description": "Whether it was left unfinished before, and is gone on with."},
        },
    })
}

fn generation() -> Value {
    json!({
        "type": "object", "required": ["generation", "state", "projections", "folds"],
        "properties": {
            "generation": {"type": "integer"},
            "state": {"type": "string", "enum": ["in_use", "replaced", "filling", "ready"]},
            "projections": {"type": "array", "items": {"type": "string"}, "description": "Those that were expected to differ."},
            "rules_version": {"type": ["integer", "null"]},
            "begun_at": {"type": ["string", "null"], "format": "date-time"},
            "replaced": {"type": ["integer", "null"], "description": "The one that it took the place of."},
            "folds": {"type": "string", "enum": ["these", "others"]},
            "taken_in": {"type": "integer", "description": "While this process fills it: records taken in since it was begun or gone on with."},
            "lag": {"type": "integer", "description": "While this process fills it: records that are to come."},
            "trouble": {"type": "string", "description": "Why this process did not fill it."},
        },
    })
}

fn comparison() -> Value {
    let pair = json!({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2});
    let table = json!({
        "type": "object", "required": ["table", "projections", "rows", "same"],
        "properties": {
            "table": {"type": "string"},
            "projections": {"type": "array", "items": {"type": "string"}, "description": "The views that are made from it."},
            "rows": pair,
            "same": {"type": "boolean"},
        },
    });
    json!({
        "type": "object", "required": ["position", "tables", "parked"],
        "properties": {
            "position": {"$ref": "#/components/schemas/Vector"},
            "tables": {"type": "array", "items": table},
            "parked": pair,
        },
    })
}

fn money() -> Value {
    json!({
        "type": "object", "required": ["amount", "currency"], "description": "An exact amount.",
        "properties": {"amount": {"type": "string", "pattern": DECIMAL}, "currency": {"type": "string", "pattern": "^[A-Z]{3}$"}},
    })
}

fn event() -> Value {
    json!({
        "type": "object", "required": ["type", "data"],
        "properties": {"type": {"type": "string"}, "data": {"type": "object"}},
    })
}

fn accepted() -> Value {
    json!({
        "type": "object",
        "required": ["command_id", "stream", "version", "position", "outcome", "events", "recorded_at", "effective_at", "rules"],
        "properties": {
            "command_id": {"type": "string", "description": "The idempotency key."},
            "stream": {"type": "string"},
            "version": {"type": "integer", "description": "The stream's version after the decision."},
            "position": {"$ref": "#/components/schemas/Position"},
            "outcome": {"type": "string", "enum": ["accepted"]},
            "events": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}},
            "recorded_at": {"type": "string", "format": "date-time"},
            "effective_at": {"type": "string", "format": "date-time"},
            "rules": {"type": "integer", "description": "The version of the program's rules that decided."},
        },
    })
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457. A recorded refusal also has position, stream, version, command_id, facts, recorded_at, effective_at and rules.",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string", "description": "Stable: what programs look at."},
            "detail": {"type": "string"},
            "field": {"type": "string", "description": "The offending field, header or parameter."},
            "accepted": {"description": "What would be accepted."},
            "nearest": {"type": "array", "items": {"type": "string"}, "description": "Of an unknown key: the nearest that there are, the nearest first."},
            "retry_after": {"type": "integer", "description": "Seconds."},
            "position": {"$ref": "#/components/schemas/Position"},
            "facts": {"type": "object", "description": "What the refusal rests on."},
        },
    })
}

fn catalogue_entry() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "type": "object", "required": ["name", "summary", "stream", "origin", "method", "path", "schema", "example"],
        "properties": {
            "name": text("The command's name."),
            "summary": text("What it does."),
            "stream": text("The kind of stream that it is decided in."),
            "origin": {"type": "string", "enum": ["anyone", "system"], "description": "Who sends it; system is pledger alone."},
            "method": {"type": "string", "enum": ["POST"]},
            "path": text("Where it is sent to."),
            "schema": text("The payload's schema in the OpenAPI document."),
            "example": {"type": "object", "description": "A payload that works."},
        },
    })
}

fn batch_item() -> Value {
    json!({
        "type": "object", "required": ["type", "payload"], "additionalProperties": false,
        "properties": {
            "type": {"type": "string", "description": "The command's name."},
            "payload": {"type": "object"},
            "idempotency_key": {"type": "string"},
            "actor": {"type": "string"},
            "effective_at": {"type": "string", "format": "date-time"},
            "if_match": {"type": "integer"},
            "after": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/components/schemas/Position"}}]},
            "row_id": {"type": "string", "description": "The sender's own id of the row that it came from."},
            "cause": {"type": "string"},
            "historical": {"type": "boolean", "description": "In an import: false for opening commands."},
        },
    })
}

fn batch_answer() -> Value {
    let item = json!({"oneOf": [{"$ref": "#/components/schemas/Accepted"}, {"$ref": "#/components/schemas/Problem"}]});
    json!({"type": "object", "required": ["items"], "properties": {"items": {"type": "array", "items": item}}})
}

fn cloud_event() -> Value {
    json!({
        "type": "object", "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": {"type": "string", "enum": ["1.0"]},
            "id": {"type": "string"},
            "source": {"type": "string"},
            "type": {"type": "string", "pattern": "^pledger\\."},
            "time": {"type": "string", "format": "date-time"},
            "data": {"type": "object"},
            "data_base64": {"type": "string"},
        },
    })
}

fn list_of(item: Value) -> Value {
    json!({"type": "object", "required": ["items"], "properties": {"items": {"type": "array", "items": item}}})
}

fn stream_page() -> Value {
    json!({
        "type": "object", "required": ["stream", "items", "next", "position"],
        "properties": {
            "stream": {"type": "string"},
            "items": {"type": "array", "items": {"type": "object"}},
            "next": {"type": ["string", "null"]},
            "position": {"oneOf": [{"$ref": "#/components/schemas/Position"}, {"type": "null"}]},
            "warning": {"type": "string", "description": WARNING},
        },
    })
}
