//! Pages of a view, one after the other.

use std::io::Write;

use anyhow::Result;
use serde_json::Value;

use crate::connection::{Ask, Connection, encode};

/// Some items, and what they stand on.
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    /// What a file says about itself, by name.
    #[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "only columnar files say what they are"))]
    pub(super) about: Vec<(String, String)>,
}

/// What pages are shown to.
pub(super) type Take<'t> = dyn FnMut(&Page) -> Result<()> + 't;

/// A view to be read whole: its name and the parameters of the question, percent-encoded.
pub(super) struct Question {
    pub(super) view: &'static str,
    pub(super) parameters: Vec<String>,
}

impl Question {
    fn path(&self, cursor: Option<&str>) -> String {
        let cursor = cursor.map(|cursor| format!("&cursor={}", encode(cursor))).unwrap_or_default();
        format!("/v1/{}?{}{cursor}", self.view, self.parameters.join("&"))
    }

    /// Shows every page to `take`.
    pub(super) fn pages(&self, connection: &Connection, take: &mut Take<'_>) -> Result<()> {
        let mut cursor: Option<String> = None;
        loop {
            let mut answer = connection.ask(Ask::get(self.path(cursor.as_deref())))?.success()?;
            let items = match answer["items"].take() {
                Value::Array(items) => items,
                _ => Vec::new(),
            };
            let about = [("pledger.view", self.view.to_owned()), ("pledger.position", answer["position"].to_string())];
            let about = about.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            take(&Page { items, about })?;
            cursor = answer["next"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// Writes an item a line.
    pub(super) fn json_lines(&self, connection: &Connection, writer: &mut dyn Write) -> Result<u64> {
        let mut count = 0;
        self.pages(connection, &mut |page| {
            for item in &page.items {
                serde_json::to_writer(&mut *writer, item)?;
                writer.write_all(b"\n")?;
            }
            count += page.items.len() as u64;
            Ok(())
        })?;
        Ok(count)
    }

    /// Writes the pages as CSV, the header once.
    pub(super) fn csv(&self, connection: &Connection, writer: &mut dyn Write) -> Result<u64> {
        let mut cursor: Option<String> = None;
        let mut count = 0;
        loop {
            let page = connection.ask(Ask::get(self.path(cursor.as_deref())).header("accept", Some("text/csv")))?;
            if !page.is_success() {
                page.success()?;
            }
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(page.body.as_slice());
            let mut csv = csv::Writer::from_writer(&mut *writer);
            for (n, row) in reader.byte_records().enumerate() {
                let row = row?;
                if n > 0 || cursor.is_none() {
                    csv.write_byte_record(&row)?;
                }
                count += u64::from(n > 0);
            }
            csv.flush()?;
            drop(csv);
            cursor = page.next_cursor.clone();
            if cursor.is_none() {
                return Ok(count);
            }
        }
    }
}
