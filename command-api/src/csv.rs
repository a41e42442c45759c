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

/// The items as RFC 4180, with a header line; nulls are empty, lists are joined by `;`, objects are JSON.
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
                Part::Whole => cell(value),
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
}
