//! How answers look: tables for people, JSON and CSV for programs.

use std::{
    fs::File,
    io::{IsTerminal, Write},
    path::Path,
};

use anyhow::{Context as _, Result};
use comfy_table::{CellAlignment, ContentArrangement, Table, TableComponent, presets};
use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};
use serde_json::Value;

/// What stands between the cells of a line: a space on each side of a cell, and one between two.
const BETWEEN: usize = 3;

/// A table of these columns; those of amounts and counts stand on the right. On a terminal what is too long for it is broken into lines.
pub(crate) fn table(columns: &[String], rows: &[Vec<Value>]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic).set_header(columns);
    let cells: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(lines).collect()).collect();
    let has_lines = cells.iter().flatten().any(|cell| cell.contains('\n'));
    table.add_rows(cells);
    let width = terminal_width();
    if let Some(width) = width {
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    }
    let is_broken = width.is_some_and(|width| widths(&table).iter().sum::<usize>() > width + 1);
    if !has_lines && !is_broken {
        // Only rows of several lines have to be told from each other.
        table.remove_style(TableComponent::HorizontalLines).remove_style(TableComponent::MiddleIntersections);
    }
    for (n, column) in table.column_iter_mut().enumerate() {
        let mut values = rows.iter().filter_map(|row| row.get(n)).filter(|value| !value.is_null()).peekable();
        if values.peek().is_some() && values.all(is_figure) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// How many characters each column would take of a line, with what stands between it and the next; together they have one more
/// than the line.
pub(crate) fn widths(table: &Table) -> Vec<usize> {
    table.column_max_content_widths().iter().map(|content| usize::from(*content) + BETWEEN).collect()
}

/// How wide the terminal is that stdout is; none where it is no terminal: there a table has all of its columns.
pub(crate) fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0))
}

/// Whether any item has something there: a column that nobody filled would only push the others aside.
pub(crate) fn is_filled(column: &str, items: &[&Value]) -> bool {
    items.iter().map(|item| &item[column]).any(|value| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()))
}

fn is_figure(value: &Value) -> bool {
    value.is_number() || value.get("amount").is_some()
}

/// A value in a table: of several things with fields of their own each has a line.
fn lines(value: &Value) -> String {
    match value {
        Value::Array(items) if items.iter().any(Value::is_object) => items.iter().map(cell).collect::<Vec<_>>().join("\n"),
        value => cell(value),
    }
}

/// A value as people read it.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(fields) if fields.get("erased") == Some(&Value::Bool(true)) => "(erased)".into(),
        Value::Object(fields) => match (fields.get("amount"), fields.get("currency")) {
            (Some(amount), Some(currency)) => format!("{} {}", grouped(&cell(amount)), cell(currency)),
            _ => fields.iter().map(|(name, value)| format!("{name}={}", cell(value))).collect::<Vec<_>>().join(" "),
        },
        Value::Bool(flag) => if *flag { "yes" } else { "no" }.into(),
        Value::Number(number) => grouped(&number.to_string()),
    }
}

/// `1234567.80` as `1,234,567.80`.
fn grouped(number: &str) -> String {
    let (sign, rest) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (whole, fraction) = rest.split_once('.').map_or((rest, String::new()), |(whole, part)| (whole, format!(".{part}")));
    let digits: Vec<char> = whole.chars().collect();
    let groups: Vec<String> = digits.rchunks(3).rev().map(|group| group.iter().collect()).collect();
    format!("{sign}{}{fraction}", groups.join(","))
}

/// Prints to stdout; a closed pipe is an error that ends the program quietly.
pub(crate) fn print(text: impl AsRef<[u8]>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_ref())?;
    if !text.as_ref().ends_with(b"\n") {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

/// Writes bytes to stdout as they are.
#[cfg(feature = "kafka")]
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Writes a file whole, or leaves what was there: what is half written never looks finished. What is no file, such as a
/// device or a pipe, is written to as it is.
pub(crate) fn to_file<T>(path: &Path, write: impl FnOnce(&mut File) -> Result<T>) -> Result<T> {
    let unwritable = || format!("{} cannot be written", path.display());
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return write(&mut File::options().write(true).open(path).with_context(unwritable)?);
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let mut file = File::create(&beside).with_context(unwritable)?;
    let written = write(&mut file).and_then(|written| {
        file.sync_all().and_then(|()| std::fs::rename(&beside, path)).with_context(unwritable)?;
        Ok(written)
    });
    written.inspect_err(|_| drop(std::fs::remove_file(&beside)))
}

/// Prints JSON, indented on a terminal.
pub(crate) fn print_json(value: &Value) -> Result<()> {
    let text = if std::io::stdout().is_terminal() { serde_json::to_string_pretty(value)? } else { value.to_string() };
    print(text)
}

/// An error with its causes, each told once: some say themselves what their cause says.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut told = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

/// A bar on a terminal, nothing elsewhere.
pub(crate) fn progress(what: &'static str, len: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} [{wide_bar}] {human_pos}/{human_len} {rate} {eta}");
    let rate = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        let _ = write!(text, "{}/s", HumanCount(state.per_sec() as u64));
    };
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("rate", rate);
    ProgressBar::new(len).with_message(what).with_style(style)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cause_that_was_told_is_not_told_again() {
        let refused = || anyhow::anyhow!("no such user");
        assert_eq!(
            chain(&refused().context("the database says: no such user").context("not asked")),
            "not asked: the database says: no such user"
        );
        assert_eq!(chain(&refused().context("the database failed")), "the database failed: no such user");
    }

    #[test]
    fn a_file_is_written_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("file");
        let left = || std::fs::read_dir(dir.path()).expect("a folder").count();
        let half = |out: &mut File| {
            out.write_all(b"half")?;
            anyhow::bail!("it ends here")
        };
        to_file::<()>(&file, half).expect_err("half");
        assert_eq!(left(), 0);
        to_file(&file, |out| Ok(out.write_all(b"whole")?)).expect("whole");
        to_file::<()>(&file, half).expect_err("half");
        assert_eq!((left(), std::fs::read(&file).expect("it stands")), (1, b"whole".to_vec()));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_not_replaced() {
        use std::os::unix::net::UnixListener;

        let dir = tempfile::tempdir().expect("a folder");
        let socket = dir.path().join("socket");
        let _listener = UnixListener::bind(&socket).expect("a socket");
        for place in [dir.path(), &socket] {
            let before = std::fs::symlink_metadata(place).expect("it stands").file_type();
            let told = to_file(place, |out| Ok(out.write_all(b"x")?)).expect_err("no file").to_string();
            assert_eq!(told, format!("{} cannot be written", place.display()));
            assert_eq!(std::fs::symlink_metadata(place).expect("it stands").file_type(), before);
        }
        to_file(Path::new("/dev/null"), |out| Ok(out.write_all(b"x")?)).expect("a device takes it");
        assert!(!std::fs::metadata("/dev/null").expect("it stands").is_file());
    }

    #[test]
    fn figures_read_well() {
        for (value, text) in [
            (json!({"amount": "10005534.00", "currency": "USD"}), "10,005,534.00 USD"),
            (json!({"amount": "-1200.5", "currency": "EUR"}), "-1,200.5 EUR"),
            (json!(4238), "4,238"),
            (json!(null), "-"),
            (json!(["reseller", "msp"]), "reseller, msp"),
            (json!(true), "yes"),
        ] {
            assert_eq!(cell(&value), text);
        }
    }
}
