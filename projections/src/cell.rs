//! Cells: what a field of a row is in a database and in a digest.

use std::fmt;

use compact_str::CompactString;
use pledger_domain::values::{Currency, Month, Timestamp};
use pledger_ledger::slices::{Position, SliceId};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeOwned},
};

use crate::symbol::Symbol;

/// The kind of a column: what its numbers and texts mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    /// A count, or a number that something has: a whole number.
    Count,
    /// An amount of money, in minor units of the currency that the row's column `currency` names.
    Money,
    /// A part of one, in units of 10^-12.
    Weight,
    /// 1 for yes, 0 for no.
    Flag,
    /// A time, in microseconds since 1970, UTC.
    Time,
    /// A day, in days since 1970-01-01, UTC.
    Day,
    /// A month, in months since the year 0.
    Month,
    /// A text.
    Text,
    /// A place in the ledger, a text `"slice:pseq"`.
    Place,
    /// A text in JSON.
    Json,
}

impl CellKind {
    /// Whether its cells are numbers; the others are texts.
    #[must_use]
    pub const fn is_number(self) -> bool {
        match self {
            Self::Count | Self::Money | Self::Weight | Self::Flag | Self::Time | Self::Day | Self::Month => true,
            Self::Text | Self::Place | Self::Json => false,
        }
    }
}

/// The value of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A number.
    Integer(i64),
    /// A name that is kept anyway.
    Name(&'static str),
    /// A place in the ledger, written `"slice:pseq"`.
    Place(Position),
    /// A slice of the ledger, a number.
    Slice(SliceId),
    /// Any other text.
    Text(CompactString),
}

impl Cell {
    /// Whether it says where in the ledger something stands.
    #[must_use]
    pub const fn is_place(&self) -> bool {
        matches!(self, Self::Place(_) | Self::Slice(_))
    }

    /// Appends the value in JSON.
    pub fn write_json(&self, json: &mut Vec<u8>) {
        match self {
            Self::Null => json.extend_from_slice(b"null"),
            Self::Integer(number) => write_value(number, json),
            Self::Slice(slice) => write_value(slice, json),
            Self::Name(text) => write_text(text, json),
            Self::Text(text) => write_text(text, json),
            Self::Place(place) => {
                json.push(b'"');
                write_value(&place.slice, json);
                json.push(b':');
                write_value(&place.pseq, json);
                json.push(b'"');
            }
        }
    }
}

fn write_text(text: &str, json: &mut Vec<u8>) {
    if text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        write_value(text, json);
    } else {
        json.push(b'"');
        json.extend_from_slice(text.as_bytes());
        json.push(b'"');
    }
}

fn write_value<T: Serialize + ?Sized>(value: &T, json: &mut Vec<u8>) {
    serde_json::to_writer(json, value).expect("numbers and texts are JSON, and memory takes them");
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Cell;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("null, a whole number or a text")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Cell, E> {
                Ok(Cell::Null)
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Cell, E> {
                Ok(Cell::Integer(number))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Cell, E> {
                i64::try_from(number).map(Cell::Integer).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Cell, E> {
                Ok(Cell::Text(text.into()))
            }
        }
        d.deserialize_any(Visitor)
    }
}

/// A type that a column can hold.
pub trait Field: Sized {
    /// The column's kind.
    const KIND: CellKind;
    /// Whether the column may be null.
    const NULLABLE: bool = false;
    /// The value as a cell.
    fn cell(&self) -> Cell;
    /// Appends the value in JSON, as its cell would be.
    fn write_json(&self, json: &mut Vec<u8>) {
        self.cell().write_json(json);
    }
    /// The value of a cell; none where the cell holds no such value.
    fn from_cell(cell: Cell) -> Option<Self>;
}

impl Cell {
    /// Appends the cell so that different cells give different bytes.
    pub fn digest_into(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Null => bytes.push(0),
            Self::Integer(number) => {
                bytes.push(1);
                bytes.extend_from_slice(&number.to_be_bytes());
            }
            Self::Slice(slice) => Self::Integer((*slice).into()).digest_into(bytes),
            Self::Place(at) => {
                bytes.push(3);
                bytes.extend_from_slice(&at.slice.to_be_bytes());
                bytes.extend_from_slice(&at.pseq.to_be_bytes());
            }
            Self::Name(text) => Self::digest_text(text, bytes),
            Self::Text(text) => Self::digest_text(text, bytes),
        }
    }

    fn digest_text(text: &str, bytes: &mut Vec<u8>) {
        bytes.push(2);
        bytes.extend_from_slice(text.as_bytes());
        // No text of a row holds NUL: ids, labels and JSON refuse it.
        bytes.push(0);
    }
}

macro_rules! integers {
    ($($kind:ident: $($type:ty),*;)*) => {$($(
        impl Field for $type {
            const KIND: CellKind = CellKind::$kind;
            fn cell(&self) -> Cell {
                // A u64 here is a sequence or a count, far below 2^63; the bits come back unchanged in any case.
                #[allow(clippy::cast_possible_wrap, clippy::cast_lossless, clippy::allow_attributes, trivial_numeric_casts, reason = "the bits come back unchanged")]
                Cell::Integer(*self as i64)
            }
            fn from_cell(cell: Cell) -> Option<Self> {
                match cell {
                    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::allow_attributes, trivial_numeric_casts, reason = "checked by the way back")]
                    Cell::Integer(number) => Some(number as Self).filter(|value| value.cell() == Cell::Integer(number)),
                    Cell::Null | Cell::Name(_) | Cell::Place(_) | Cell::Slice(_) | Cell::Text(_) => None,
                }
            }
        }
    )*)*};
}
// Counts are never below zero, and a row has no signed number but an amount of money or a day.
integers! {
    Count: u8, u16, u32, u64;
    Day: i32;
    Money: i64;
}

impl Field for bool {
    const KIND: CellKind = CellKind::Flag;
    fn cell(&self) -> Cell {
        Cell::Integer(i64::from(*self))
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        i64::from_cell(cell).map(|number| number != 0)
    }
}

impl Field for Timestamp {
    const KIND: CellKind = CellKind::Time;
    fn cell(&self) -> Cell {
        Cell::Integer(self.micros())
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        i64::from_cell(cell).map(Self::from_micros)
    }
}

impl Field for Month {
    const KIND: CellKind = CellKind::Month;
    fn cell(&self) -> Cell {
        Cell::Integer(i64::from(self.index()))
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        i32::from_cell(cell).map(Self::from_index)
    }
}

impl Field for Position {
    const KIND: CellKind = CellKind::Place;
    fn cell(&self) -> Cell {
        Cell::Place(*self)
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        match cell {
            Cell::Place(position) => Some(position),
            Cell::Name(text) => text.parse().ok(),
            Cell::Text(text) => text.parse().ok(),
            Cell::Null | Cell::Integer(_) | Cell::Slice(_) => None,
        }
    }
}

/// The slice that a row is kept for, where it is none of a stream's: a place in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InSlice(pub SliceId);

impl Field for InSlice {
    const KIND: CellKind = CellKind::Count;
    fn cell(&self) -> Cell {
        Cell::Slice(self.0)
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        SliceId::from_cell(cell).map(Self)
    }
}

impl Field for Currency {
    const KIND: CellKind = CellKind::Text;
    fn cell(&self) -> Cell {
        Cell::Name(self.code())
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        Self::parse(&CompactString::from_cell(cell)?).ok()
    }
}

impl Field for Symbol {
    const KIND: CellKind = CellKind::Text;
    fn cell(&self) -> Cell {
        Cell::Name(self.name())
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        match cell {
            Cell::Name(text) => Some(Self::of(text)),
            Cell::Text(text) => Some(Self::of(&text)),
            Cell::Null | Cell::Integer(_) | Cell::Place(_) | Cell::Slice(_) => None,
        }
    }
}

impl Field for CompactString {
    const KIND: CellKind = CellKind::Text;
    fn cell(&self) -> Cell {
        Cell::Text(self.clone())
    }
    fn write_json(&self, json: &mut Vec<u8>) {
        write_text(self, json);
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        match cell {
            Cell::Name(text) => Some(Self::const_new(text)),
            Cell::Text(text) => Some(text),
            Cell::Null | Cell::Integer(_) | Cell::Place(_) | Cell::Slice(_) => None,
        }
    }
}

impl<T: Field> Field for Option<T> {
    const KIND: CellKind = T::KIND;
    const NULLABLE: bool = true;
    fn cell(&self) -> Cell {
        self.as_ref().map_or(Cell::Null, Field::cell)
    }
    fn write_json(&self, json: &mut Vec<u8>) {
        match self {
            Some(value) => value.write_json(json),
            None => json.extend_from_slice(b"null"),
        }
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        if cell == Cell::Null { Some(None) } else { T::from_cell(cell).map(Some) }
    }
}

/// A small list or structure, kept as JSON in one column. Its order has to be a function of the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: Serialize + DeserializeOwned> Field for Json<T> {
    const KIND: CellKind = CellKind::Json;
    fn cell(&self) -> Cell {
        let json = serde_json::to_string(&self.0).expect("rows hold plain data, which JSON can hold");
        Cell::Text(CompactString::from(json))
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        serde_json::from_str(&CompactString::from_cell(cell)?).ok().map(Json)
    }
}

/// Makes an enum without fields a column of its words.
#[macro_export]
macro_rules! word_field {
    ($type:ty { $($variant:ident = $word:literal),* $(,)? }) => {
        impl $crate::cell::Field for $type {
            const KIND: $crate::cell::CellKind = $crate::cell::CellKind::Text;
            fn cell(&self) -> $crate::cell::Cell {
                $crate::cell::Cell::Name(match self { $(<$type>::$variant => $word),* })
            }
            fn from_cell(cell: $crate::cell::Cell) -> Option<Self> {
                let text = <compact_str::CompactString as $crate::cell::Field>::from_cell(cell)?;
                match text.as_str() { $($word => Some(<$type>::$variant),)* _ => None }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_read_back_from_json() {
        let position = Position { slice: 12, pseq: 4711 };
        let cells = [
            Cell::Null,
            Cell::Integer(-1_700_000_000_000_000),
            Cell::Name("GTX Pro"),
            Cell::Text("say \"hi\"\n\\ 東京".into()),
            Cell::Place(position),
        ];
        let mut json = vec![b'['];
        for cell in &cells {
            cell.write_json(&mut json);
            json.push(b',');
        }
        *json.last_mut().expect("there are cells") = b']';
        let read: Vec<Cell> = serde_json::from_slice(&json).expect("JSON");
        assert_eq!(read[..2], cells[..2]);
        assert_eq!(read[2], Cell::Text("GTX Pro".into()));
        assert_eq!(read[3], cells[3]);
        assert_eq!(Position::from_cell(read[4].clone()), Some(position));
    }
}
