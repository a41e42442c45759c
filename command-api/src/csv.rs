//! Items as CSV: one column a figure, two where it is money.

use pledger_projections::query::{FieldKind, Item, Query, ViewSpec};
use serde_json::Value;

/// A column, and the field of an item that it is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    field: &'static str,
    part: Part,
}

/// What of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Amount,
    Currency,
}

/// The columns of an answer: the dimensions asked for, then the view's other fields.
#[must_use]
pub fn columns(view: &'static ViewSpec, query: &Query) -> Vec<Column> {
    let dimensions = query.by.iter().filter_map(|by| view.by.iter().find(|field| field.name == by));
    let others = view.fields.iter().filter(|field| !query.by.iter().any(|by| field.name == by));
    dimensions.chain(others).flat_map(|field| parts(field.kind).iter().map(|part| Column { field: field.name, part: *part })).collect()
}

const fn parts(kind: FieldKind) -> &'static [Part] {
    match kind {
        FieldKind::Money => &[Part::Amount, Part::Currency],
        FieldKind::Text
        | FieldKind::Person
        | FieldKind::Texts
        | FieldKind::Count
        | FieldKind::Flag
        | FieldKind::Time
        | FieldKind::Date
        | FieldKind::Decimal
        | FieldKind::Position
        | FieldKind::Objects => &[Part::Whole],
    }
}

/// The items as RFC 4180, with a header line; nulls are empty, lists are joined by `;`, objects are JSON. A text that a spreadsheet would
/// compute begins with a single quote.
///
/// # Errors
/// Where the writer fails, which it does not in memory.
pub fn write(columns: &[Column], items: &[Item]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(columns.iter().map(|column| match column.part {
        Part::Whole | Part::Amount => column.field.to_owned(),
        Part::Currency => format!("{}_currency", column.field),
    }))?;
    for item in items {
        writer.write_record(columns.iter().map(|column| {
            let value = item.0.iter().find(|(name, _)| *name == column.field).map_or(&Value::Null, |(_, value)| value);
            match column.part {
                Part::Whole => inert(cell(value)),
                Part::Amount => cell(&value["amount"]),
                Part::Currency => cell(&value["currency"]),
            }
        }))?;
    }
    writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(members) if members.get("erased") == Some(&Value::Bool(true)) => "(erased)".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
        Value::Array(items) if items.iter().all(Value::is_string) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(";"),
        Value::Array(_) => value.to_string(),
    }
}

/// The text, after a single quote where a spreadsheet would take it for a formula. Numbers and ids stay as they are: of their letters
/// no formula can be made.
fn inert(text: String) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !text.chars().all(is_plain) { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_dimension_that_is_asked_for_has_one_column_and_comes_first() {
        let view = pledger_projections::query::find_view("attribution").expect("a view");
        let query = Query { by: vec!["quarter".to_owned()], ..Query::default() };
        let fields: Vec<_> = columns(view, &query).iter().map(|column| column.field).collect();
        assert_eq!(fields[0], "quarter");
        assert_eq!(fields.iter().filter(|field| **field == "quarter").count(), 1);
    }

    #[test]
    fn money_takes_two_columns_and_text_is_quoted_where_it_must_be() {
        let whole = |field| Column { field, part: Part::Whole };
        let columns = [
            whole("partner"),
            Column { field: "amount", part: Part::Amount },
            Column { field: "amount", part: Part::Currency },
            whole("roles"),
        ];
        let items = [
            Item(vec![
                ("partner", json!("a, \"b\"")),
                ("amount", json!({"amount": "12.50", "currency": "USD"})),
                ("roles", json!(["var", "msp"])),
            ]),
            Item(vec![("partner", json!(null)), ("amount", json!(null)), ("roles", json!([]))]),
        ];
        let text = String::from_utf8(write(&columns, &items).expect("written")).expect("UTF-8");
        assert_eq!(text, "partner,amount,amount_currency,roles\r\n\"a, \"\"b\"\"\",12.50,USD,var;msp\r\n,,,\r\n");
    }

    #[test]
    fn a_text_that_would_be_computed_is_quoted_and_no_number_or_id_is() {
        let column = |part| Column { field: "field", part };
        let told = |part, value: Value| {
            let written = write(&[column(part)], &[Item(vec![("field", value)])]).expect("written");
            let mut reader = csv::Reader::from_reader(&*written);
            let row = reader.records().next().expect("a row").expect("a record");
            row[0].to_owned()
        };
        for formula in ["=1+1", "+1(2)", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "=HYPERLINK(\"https://x.example\",\"y\")"] {
            assert_eq!(told(Part::Whole, json!(formula)), format!("'{formula}"));
        }
        assert_eq!(told(Part::Whole, json!(["=1+1", "b"])), "'=1+1;b");
        for kept in ["-0.2500", "-p-1", "a=1", "'=1", "GTX Pro +", "3:12"] {
            assert_eq!(told(Part::Whole, json!(kept)), kept);
        }
        assert_eq!(told(Part::Whole, json!(-5)), "-5");
        assert_eq!(told(Part::Whole, json!([{"a": 1}])), r#"[{"a":1}]"#);
        assert_eq!(told(Part::Amount, json!({"amount": "-12.50", "currency": "USD"})), "-12.50");
    }
}
