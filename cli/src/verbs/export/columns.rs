//! Items as typed columns, for Parquet and Arrow: money in decimals beside its currency, times in UTC, repeated words once.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{
        BooleanBuilder, Date32Builder, Decimal128Builder, Int64Builder, ListBuilder, StringBuilder, StringDictionaryBuilder,
        TimestampMicrosecondBuilder,
    },
    types::Int32Type,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use pledger_domain::values::Timestamp;
use pledger_projections::{
    attribution::models::WEIGHT_PLACES,
    query::{FieldKind, FieldSpec, ViewSpec},
};
use rust_decimal::Decimal;
use serde_json::Value;

use crate::output;

/// Digits of a decimal: all that 128 bits hold, since sums of amounts are exported too.
const PRECISION: u8 = 38;
/// Places behind the point of amounts: those of the currency of ISO 4217 that has the most. The same in every file, whatever
/// it holds, since programs that read several as one take the type of the first.
const MONEY_PLACES: u32 = 4;
/// Places of ratios and weights: no weight has more.
const RATIO_PLACES: u32 = WEIGHT_PLACES;
const UTC: &str = "UTC";
/// Words that stand for one thing each, so that keeping every one once would save nothing.
const MANIFOLD: [&str; 4] = ["account", "deal", "deal_id", "entry"];

/// A column of a file, and the field of an item that it is taken from.
struct Column {
    field: &'static str,
    part: Option<&'static str>,
    cells: Cells,
}

/// What its cells hold; builders are empty between two batches.
enum Cells {
    Count(Int64Builder),
    Flag(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
    Date(Date32Builder),
    Text(StringBuilder),
    /// Each word is kept once in a file.
    Repeated(StringDictionaryBuilder<Int32Type>),
    Texts(ListBuilder<StringBuilder>),
    /// Decimals of so many places.
    Decimal(u32, Decimal128Builder),
}

/// The columns of a file.
pub(super) struct Columns {
    columns: Vec<Column>,
}

impl Columns {
    /// Those of an answer of `view` grouped `by`: the dimensions, then the view's other fields.
    pub(super) fn of_view(view: &'static ViewSpec, by: &[String]) -> Self {
        let is_asked = |field: &&FieldSpec| by.iter().any(|by| by == field.name);
        let dimensions = by.iter().filter_map(|by| view.by.iter().find(|field| field.name == by));
        let fields = dimensions.chain(view.fields.iter().filter(|field| !is_asked(field)));
        let is_dimension = |field: &FieldSpec| view.by.iter().chain(view.filters).any(|dimension| dimension.name == field.name);
        let repeated = |field: &FieldSpec| is_dimension(field) && view.key != Some(field.name) && !MANIFOLD.contains(&field.name);
        Self::of(fields.map(|field| (*field, repeated(field))))
    }

    /// Those of the given fields, each with whether its words repeat.
    pub(super) fn of(fields: impl Iterator<Item = (FieldSpec, bool)>) -> Self {
        Self { columns: fields.flat_map(|(field, repeated)| of_field(&field, repeated)).collect() }
    }

    /// The schema of every file with these columns.
    pub(super) fn schema(&self, about: Vec<(String, String)>) -> SchemaRef {
        let field = |column: &Column| Field::new(column.name(), column.cells.data_type(), true);
        Arc::new(
            Schema::new(self.columns.iter().map(field).collect::<Vec<_>>())
                .with_metadata(about.into_iter().collect::<std::collections::HashMap<_, _>>()),
        )
    }

    /// These items in columns.
    ///
    /// # Errors
    /// Where a value is of another type than its column.
    pub(super) fn batch(&mut self, schema: &SchemaRef, items: &[Value]) -> Result<RecordBatch> {
        let arrays = self.columns.iter_mut().map(|column| column.take(items));
        Ok(RecordBatch::try_new(Arc::clone(schema), arrays.collect::<Result<_>>()?)?)
    }
}

fn of_field(field: &FieldSpec, repeated: bool) -> Vec<Column> {
    let whole = |cells| vec![Column { field: field.name, part: None, cells }];
    match field.kind {
        FieldKind::Money => vec![
            Column { field: field.name, part: Some("amount"), cells: Cells::Decimal(MONEY_PLACES, decimals(MONEY_PLACES)) },
            Column { field: field.name, part: Some("currency"), cells: Cells::Repeated(StringDictionaryBuilder::new()) },
        ],
        FieldKind::Count => whole(Cells::Count(Int64Builder::new())),
        FieldKind::Flag => whole(Cells::Flag(BooleanBuilder::new())),
        FieldKind::Time => whole(Cells::Time(TimestampMicrosecondBuilder::new().with_timezone(UTC))),
        FieldKind::Date => whole(Cells::Date(Date32Builder::new())),
        FieldKind::Decimal => whole(Cells::Decimal(RATIO_PLACES, decimals(RATIO_PLACES))),
        FieldKind::Texts => whole(Cells::Texts(ListBuilder::new(StringBuilder::new()))),
        FieldKind::Text if repeated => whole(Cells::Repeated(StringDictionaryBuilder::new())),
        FieldKind::Text | FieldKind::Person | FieldKind::Position | FieldKind::Objects => whole(Cells::Text(StringBuilder::new())),
    }
}

fn decimals(places: u32) -> Decimal128Builder {
    Decimal128Builder::new().with_data_type(decimal_type(places))
}

fn decimal_type(places: u32) -> DataType {
    DataType::Decimal128(PRECISION, i8::try_from(places).expect("a dozen places at most"))
}

impl Column {
    fn name(&self) -> String {
        match self.part {
            Some("currency") => format!("{}_currency", self.field),
            Some(_) | None => self.field.to_owned(),
        }
    }

    fn value<'i>(&self, item: &'i Value) -> &'i Value {
        self.part.map_or(&item[self.field], |part| &item[self.field][part])
    }

    /// The cells of these items.
    fn take(&mut self, items: &[Value]) -> Result<ArrayRef> {
        for item in items {
            let value = self.value(item);
            self.cells.push(value).with_context(|| format!("{} holds {value}", self.field))?;
        }
        Ok(self.cells.finish())
    }
}

impl Cells {
    fn data_type(&self) -> DataType {
        match self {
            Self::Count(_) => DataType::Int64,
            Self::Flag(_) => DataType::Boolean,
            Self::Time(_) => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
            Self::Date(_) => DataType::Date32,
            Self::Text(_) => DataType::Utf8,
            Self::Repeated(_) => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            Self::Texts(_) => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
            Self::Decimal(places, _) => decimal_type(*places),
        }
    }

    fn push(&mut self, value: &Value) -> Result<()> {
        match self {
            Self::Count(cells) => cells.append_option(given(value, Value::as_i64)?),
            Self::Flag(cells) => cells.append_option(given(value, Value::as_bool)?),
            Self::Time(cells) => {
                let time = given(value, Value::as_str)?.map(Timestamp::parse).transpose()?;
                cells.append_option(time.map(Timestamp::micros));
            }
            Self::Date(cells) => {
                let day = given(value, Value::as_str)?.map(Timestamp::parse).transpose()?;
                cells.append_option(day.map(Timestamp::day));
            }
            Self::Text(cells) => cells.append_option(words(value)),
            Self::Repeated(cells) => cells.append_option(words(value)),
            Self::Texts(cells) => cells.append_option(given(value, Value::as_array)?.map(|texts| texts.iter().map(words))),
            Self::Decimal(places, cells) => {
                cells.append_option(given(value, Value::as_str)?.map(|text| units(text, *places)).transpose()?);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Count(cells) => Arc::new(cells.finish()),
            Self::Flag(cells) => Arc::new(cells.finish()),
            Self::Time(cells) => Arc::new(cells.finish()),
            Self::Date(cells) => Arc::new(cells.finish()),
            Self::Text(cells) => Arc::new(cells.finish()),
            // Words of later batches are added behind those of earlier ones, as a file of Arrow needs it.
            Self::Repeated(cells) => Arc::new(cells.finish_preserve_values()),
            Self::Texts(cells) => Arc::new(cells.finish()),
            Self::Decimal(_, cells) => Arc::new(cells.finish()),
        }
    }
}

/// What is there, in its type; nothing where there is a null.
fn given<'v, T>(value: &'v Value, read: impl FnOnce(&'v Value) -> Option<T>) -> Result<Option<T>> {
    match read(value) {
        None if !value.is_null() => bail!("that is of another type"),
        read => Ok(read),
    }
}

/// A text; what is no text as people read it, objects in JSON.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Object(members) if members.get("erased") == Some(&Value::Bool(true)) => Some(output::cell(value)),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(value.to_string()),
    }
}

/// A decimal in units of its last place.
fn units(text: &str, places: u32) -> Result<i128> {
    let decimal = Decimal::from_str_exact(text)?;
    let missing = places.checked_sub(decimal.scale()).context("it has more places than its column")?;
    decimal.mantissa().checked_mul(10_i128.pow(missing)).context("it is too large")
}

#[cfg(test)]
mod tests {
    use arrow_array::{Array, cast::AsArray, types::Decimal128Type};
    use pledger_domain::values::Currency;
    use pledger_projections::query::find_view;
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_of_every_currency_have_one_type() {
        let fields = [FieldSpec::new("amount", FieldKind::Money, ""), FieldSpec::new("weight", FieldKind::Decimal, "")];
        let mut columns = Columns::of(fields.into_iter().map(|field| (field, false)));
        let item =
            |amount: &str, currency: &str, weight: Value| json!({"amount": {"amount": amount, "currency": currency}, "weight": weight});
        let schema = columns.schema(Vec::new());
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["amount", "amount_currency", "weight"]);
        let weight = json!("0.333333333334");
        let mixed = [item("-12.50", "USD", json!("1")), item("1.5005", "CLF", Value::Null), item("1250", "JPY", weight)];
        let batch = columns.batch(&schema, &mixed).expect("a batch");
        assert_eq!(batch.column(0).as_primitive::<Decimal128Type>().values(), &[-125_000, 15_005, 12_500_000]);
        assert_eq!(batch.column(2).as_primitive::<Decimal128Type>().value(0), 1_000_000_000_000);
        assert_eq!(batch.column(2).as_primitive::<Decimal128Type>().value(2), 333_333_333_334);
        assert!(batch.column(2).is_null(1));
        assert_eq!(columns.schema(Vec::new()), schema);
    }

    #[test]
    fn no_currency_has_more_places() {
        let most = |code: &str| Currency::parse(code).map(Currency::digits);
        assert_eq!(most("CLF"), Ok(MONEY_PLACES));
        let codes = ('A'..='Z').flat_map(|a| ('A'..='Z').flat_map(move |b| ('A'..='Z').map(move |c| format!("{a}{b}{c}"))));
        assert_eq!(codes.filter_map(|code| most(&code).ok()).max(), Some(MONEY_PLACES));
    }

    #[test]
    fn what_is_of_another_type_is_no_null() {
        let mut columns = Columns::of([(FieldSpec::new("count", FieldKind::Count, ""), false)].into_iter());
        let schema = columns.schema(Vec::new());
        let error = columns.batch(&schema, &[json!({"count": "many"})]).expect_err("no count");
        assert_eq!(format!("{error:#}"), "count holds \"many\": that is of another type");
    }

    #[test]
    fn ids_are_no_dictionary_and_dimensions_are() {
        let schema = Columns::of_view(find_view("deals").expect("a view"), &[]).schema(Vec::new());
        let is_repeated = |name: &str| matches!(schema.field_with_name(name).expect(name).data_type(), DataType::Dictionary(..));
        for (name, repeated) in [("deal_id", false), ("account", false), ("partner", true), ("status", true), ("region", true)] {
            assert_eq!(is_repeated(name), repeated, "{name}");
        }
    }
}
