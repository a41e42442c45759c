//! Rows out of CSV and JSON-lines files, each with the line it stands on.

use std::{
    collections::{BTreeSet, HashMap},
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
            Some("jsonl" | "ndjson") => json_lines(file).map_err(|error| format!("{}: {error}", path.display())),
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

type Object = serde_json::Map<String, serde_json::Value>;

/// Objects of strings, numbers and booleans, one a line. The file is read twice: its columns are those that any object has, and
/// what an object lacks is empty.
fn json_lines(mut file: File) -> std::io::Result<Rows> {
    let mut names = BTreeSet::new();
    for line in BufReader::new(&file).lines() {
        // What cannot be read is told as the row that it is.
        let object: Object = line.ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        names.extend(object.into_iter().map(|(name, _)| name));
    }
    file.rewind()?;
    let columns: Vec<String> = names.into_iter().collect();
    let empty: HashMap<String, String> = columns.iter().map(|name| (name.clone(), String::new())).collect();
    let lines = BufReader::new(file).lines().zip(1_u64..);
    let rows = lines.filter(|(line, _)| !line.as_ref().is_ok_and(|text| text.trim().is_empty())).map(move |(line, number)| {
        let text = line.map_err(|error| format!("line {number}: {error}"))?;
        let object: Object = serde_json::from_str(&text).map_err(|error| format!("line {number}: {error}"))?;
        let mut values = empty.clone();
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
    Ok(Rows { columns, reader: Box::new(rows) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_lacks_what_others_have_as_if_it_were_empty() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("rows.jsonl");
        let lines = [r#"{"id": 1, "channel": " web "}"#, "", r#"{"id": "2"}"#, "{", r#"{"id": "3", "channel": null, "paid": true}"#];
        std::fs::write(&file, lines.join("\n")).expect("written");
        let rows = Rows::open(&file).expect("opened");
        assert_eq!(rows.columns, ["channel", "id", "paid"]);
        let told = |row: Row| (row.line, ["id", "channel", "paid"].map(|name| row.values[name].clone()).join("|"));
        let read: Vec<_> = rows.map(|row| row.map(told).map_err(|error| error.contains("line 4"))).collect();
        let row = |line, values: &str| Ok((line, values.to_owned()));
        assert_eq!(read, [row(1, "1|web|"), row(3, "2||"), Err(true), row(5, "3||true")]);
    }

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
