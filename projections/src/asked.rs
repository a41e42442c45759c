//! Questions of tests to a ledger, each asked of read models that were made in several ways.

use std::{sync::Arc, time::Duration};

use pledger_domain::values::Timestamp;
use serde_json::Value;

use crate::{
    engine::{Engine, Moment, Options, Stored},
    given::Ledger,
    query::{Item, Page, Query, Rows},
    table::Places,
};

const LONG: Duration = Duration::from_secs(20);

/// A question by dimensions, with filters.
pub(crate) fn by(by: &[&str], filters: &[(&str, &str)]) -> Query {
    let own = |text: &&str| (*text).to_owned();
    Query {
        by: by.iter().map(own).collect(),
        filters: filters.iter().map(|(name, value)| (own(name), own(value))).collect(),
        ..Query::default()
    }
}

/// The answer to a question: the same from one worker, from three, and from rows that were written and read again.
pub(crate) fn ask(ledger: &Ledger, view: &str, query: &Query) -> Page {
    let answers = |engine: &Engine| engine.query(view, query).expect("an answer");
    let one = in_memory(ledger, 1);
    let answer = answers(&one);
    let three = in_memory(ledger, 3);
    assert_eq!(answers(&three).items, answer.items, "three workers");
    assert_eq!(three.digests(Places::Covered), one.digests(Places::Covered), "three workers");

    let data = tempfile::tempdir().expect("a directory");
    let options = Options { workers: 2, rules_wait: Duration::ZERO, ..Options::default() };
    let written = Engine::open(data.path(), Arc::new(ledger.clone()), options).expect("it starts");
    assert!(written.wait_until_caught_up(LONG, |_| {}));
    written.stop();
    let spec = crate::query::find_view(view).expect("a view");
    let stored = Stored::open(data.path(), spec).expect("it opens").expect("it was written");
    assert_eq!(stored.query(view, query).expect("an answer").items, answer.items, "the view's tables, read again");
    let options = Options { workers: 3, ..options };
    let again = Engine::open(data.path(), Arc::new(ledger.clone()), options).expect("it starts again");
    assert!(again.wait_until_caught_up(LONG, |_| {}));
    assert_eq!(answers(&again).items, answer.items, "all rows, read again");
    answer
}

/// The answer of one worker, without a database.
pub(crate) fn ask_once(ledger: &Ledger, view: &str, query: &Query) -> Page {
    in_memory(ledger, 1).query(view, query).expect("an answer")
}

/// The same, as of a time.
pub(crate) fn ask_as_of(ledger: &Ledger, as_of: Timestamp, view: &str, query: &Query) -> Page {
    let moment = Moment { as_of: Some(as_of), known_at: None };
    let options = Options { workers: 2, rules_wait: Duration::ZERO, moment, ..Options::default() };
    let engine = Engine::in_memory(Arc::new(ledger.clone()), options).expect("it starts");
    assert!(engine.wait_until_caught_up(LONG, |_| {}));
    engine.query(view, query).expect("an answer")
}

/// What `read` finds in rows that one worker made.
pub(crate) fn read<T>(ledger: &Ledger, read: impl FnOnce(&Rows<'_>) -> T) -> T {
    in_memory(ledger, 1).read_at_end(LONG, read).expect("the ledger is read").expect("it is folded in time").found
}

fn in_memory(ledger: &Ledger, workers: usize) -> Engine {
    let options = Options { workers, rules_wait: Duration::ZERO, ..Options::default() };
    let engine = Engine::in_memory(Arc::new(ledger.clone()), options).expect("it starts");
    assert!(engine.wait_until_caught_up(LONG, |_| {}));
    engine
}

/// A field of an item; money and texts as they are written, without quotes.
pub(crate) fn shown(item: &Item, name: &str) -> String {
    let (_, value) = item.0.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no field {name} in {item:?}"));
    match value {
        Value::String(text) => text.clone(),
        Value::Object(money) if money.contains_key("amount") => money["amount"].as_str().expect("an amount").to_owned(),
        Value::Null => "-".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// An item a line, its fields separated by spaces.
pub(crate) fn lines(page: &Page, fields: &[&str]) -> Vec<String> {
    page.items.iter().map(|item| fields.iter().map(|name| shown(item, name)).collect::<Vec<_>>().join(" ")).collect()
}
