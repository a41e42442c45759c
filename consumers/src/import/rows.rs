//! Rows out of CSV and JSON-lines files, each with the line it stands on.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, Seek},
    path::Path,
};

/// A row: its values by column, trimmed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) line: u64,
    pub(crate) values: HashMap<String, String>,
}

/// A file's rows in order, and a row that cannot be read as the reason why.
pub(crate) struct Rows {
    pub(crate) columns: Vec<String>,
    reader: Box<dyn Iterator<Item = Result<Row, String>>>,
}

impl Rows {
    /// Opens a file by its ending: `.csv`, or `.jsonl`/`.ndjson`.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("jsonl" | "ndjson") => Ok(json_lines(file)),
            _ => csv_rows(file).map_err(|error| format!("{}: {error}", path.display())),
        }
    }
}

impl Iterator for Rows {
    type Item = Result<Row, String>;
    fn next(&mut self) -> Option<Self::Item> {
        self.reader.next()
    }
}

fn csv_rows(mut file: File) -> Result<Rows, csv::Error> {
    // Of a line that ends in CR LF the reader counts the LF with the next row.
    let mut head = Vec::new();
    BufReader::new(&file).read_until(b'\n', &mut head)?;
    let uncounted = u64::from(head.ends_with(b"\r\n"));
    file.rewind()?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let columns: Vec<String> = reader.headers()?.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
    let names = columns.clone();
    let rows = reader.into_records().map(move |record| {
        let line = |position: Option<&csv::Position>| position.map_or(0, csv::Position::line) + uncounted;
        let record = record.map_err(|error| match error.kind() {
            csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
                format!("line {}: it has {len} values, and the file {expected_len} columns", line(pos.as_ref()))
            }
            csv::ErrorKind::Utf8 { pos, .. } => format!("line {}: it is not UTF-8", line(pos.as_ref())),
            _ => error.to_string(),
        })?;
        let line = line(record.position());
        let values = names.iter().cloned().zip(record.iter().map(str::to_owned)).collect();
        Ok(Row { line, values })
    });
    Ok(Rows { columns, reader: Box::new(rows) })
}

/// Objects of strings, numbers and booleans, one a line. Columns are known as they come.
fn json_lines(file: File) -> Rows {
    let lines = BufReader::new(file).lines().zip(1_u64..);
    let rows = lines.filter(|(line, _)| !line.as_ref().is_ok_and(|text| text.trim().is_empty())).map(|(line, number)| {
        let text = line.map_err(|error| format!("line {number}: {error}"))?;
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&text).map_err(|error| format!("line {number}: {error}"))?;
        let mut values = HashMap::new();
        for (name, value) in object {
            let text = match value {
                serde_json::Value::Null => String::new(),
                serde_json::Value::String(text) => text.trim().to_owned(),
                serde_json::Value::Bool(flag) => flag.to_string(),
                serde_json::Value::Number(number) => number.to_string(),
                serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
                    return Err(format!("line {number}: {name} is not a plain value"));
                }
            };
            values.insert(name, text);
        }
        Ok(Row { line: number, values })
    });
    Rows { columns: Vec::new(), reader: Box::new(rows) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_either_line_end_know_their_line() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("rows.csv");
        for end in ["\n", "\r\n"] {
            let lines = ["id,name", "1,\"two", "lines\"", "2,b", "3", "4,d"];
            std::fs::write(&file, lines.join(end)).expect("written");
            let rows: Vec<_> = Rows::open(&file).expect("opened").map(|row| row.map(|row| row.line)).collect();
            let short = "line 5: it has 1 values, and the file 2 columns".to_owned();
            assert_eq!(rows, [Ok(2), Ok(4), Err(short), Ok(6)], "{end:?}");
        }
    }
}
