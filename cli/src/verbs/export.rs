//! `pledger export`: a whole view, or the ledger itself, into a file.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    log::Log,
    record::Record,
    sqlite::{Mode, SqliteLog},
};
use pledger_projections::query::{VIEWS, find_view};
use serde_json::{Value, json, value::RawValue};

use crate::{
    connection::{Ask, Connection, encode},
    context::{Context, Usage},
    node, output,
    verbs::moment::Times,
};

/// Items of one page of an export.
const PAGE: usize = 10_000;

/// Write a view, or the ledger, to a file
#[derive(Args)]
#[command(after_help = "Examples:
  pledger export deals --format csv --out deals.csv
  pledger export ledger --format jsonl --out ledger.jsonl     every decision, chain fields included
  pledger export tiers --as-of 2026-03-31 --format csv --out tiers.csv")]
pub(crate) struct Export {
    /// A view, or `ledger`
    view: String,
    /// The file's format
    #[arg(long, value_enum)]
    format: Format,
    /// The file, or - for stdout
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    #[command(flatten)]
    times: Times,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Jsonl,
}

impl Export {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        if self.out.as_os_str() == "-" {
            let mut writer = BufWriter::new(std::io::stdout().lock());
            self.write(context, &mut writer)?;
            writer.flush()?;
            return Ok(ExitCode::SUCCESS);
        }
        // What is half written never looks finished.
        let mut beside = self.out.clone().into_os_string();
        beside.push(".part");
        let file = File::create(&beside).with_context(|| format!("{} cannot be written", self.out.display()))?;
        let mut writer = BufWriter::new(file);
        let count = self.write(context, &mut writer).inspect_err(|_| drop(std::fs::remove_file(&beside)))?;
        writer.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(&beside, &self.out)?;
        eprintln!("Wrote {count} {} to {}.", if self.view == "ledger" { "records" } else { "items" }, self.out.display());
        Ok(ExitCode::SUCCESS)
    }

    /// Writes what is exported; how many items or records that are.
    fn write(&self, context: &Context, writer: &mut impl Write) -> Result<u64> {
        match (self.view.as_str(), self.format) {
            ("ledger", _) if self.times.moment()?.is_past() => {
                Err(Usage("the ledger is exported whole; a view takes --as-of and --known-at".into()).into())
            }
            ("ledger", Format::Jsonl) => export_ledger(context, writer),
            ("ledger", Format::Csv) => Err(Usage("a ledger of nested decisions has no columns: use --format jsonl".into()).into()),
            _ => self.export_view(context, writer),
        }
    }

    fn export_view(&self, context: &Context, writer: &mut impl Write) -> Result<u64> {
        let view = find_view(&self.view).map_err(|error| {
            Usage(format!("{error}\nThere are: ledger, {}", VIEWS.iter().map(|view| view.name).collect::<Vec<_>>().join(", ")))
        })?;
        let view = [vec![format!("{}?limit={PAGE}", view.name)], self.times.parameters()?].concat().join("&");
        let connection = Connection::to_read(context)?;
        let outcome = match self.format {
            Format::Csv => pages_of_csv(&connection, &view, writer),
            Format::Jsonl => pages_of_json(&connection, &view, writer),
        };
        connection.close();
        outcome
    }
}

fn path(view: &str, cursor: Option<&str>) -> String {
    let cursor = cursor.map(|cursor| format!("&cursor={}", encode(cursor))).unwrap_or_default();
    format!("/v1/{view}{cursor}")
}

fn pages_of_json(connection: &Connection, view: &str, writer: &mut impl Write) -> Result<u64> {
    let mut cursor: Option<String> = None;
    let mut count = 0;
    loop {
        let page = connection.ask(Ask::get(path(view, cursor.as_deref())))?.success()?;
        for item in page["items"].as_array().into_iter().flatten() {
            serde_json::to_writer(&mut *writer, item)?;
            writer.write_all(b"\n")?;
            count += 1;
        }
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Ok(count);
        }
    }
}

/// Pages one after the other, the header once.
fn pages_of_csv(connection: &Connection, view: &str, writer: &mut impl Write) -> Result<u64> {
    let mut cursor: Option<String> = None;
    let mut count = 0;
    loop {
        let page = connection.ask(Ask::get(path(view, cursor.as_deref())).header("accept", Some("text/csv")))?;
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

/// Every valid record in the log's own order, as it was hashed.
fn export_ledger(context: &Context, writer: &mut impl Write) -> Result<u64> {
    let log = SqliteLog::open(&context.data_dir, Mode::Read).map_err(|error| node::explain(error, &context.data_dir))?;
    let ends: Vec<u64> = log.slices().all().map(|slice| log.end(slice)).collect::<Result<_, _>>()?;
    let progress = output::progress("export", ends.iter().sum());
    let mut heads = vec![ChainHead::default(); ends.len()];
    let mut tail = log.tail(&vec![0; ends.len()])?;
    let mut count = 0;
    loop {
        let placed = tail.next(4_096, Duration::ZERO)?;
        if placed.is_empty() {
            progress.finish_and_clear();
            return Ok(count);
        }
        for one in placed {
            let head = &mut heads[usize::from(one.record.header.slice)];
            if head.accept(one.offset, &one.record) == Verdict::Valid {
                serde_json::to_writer(&mut *writer, &line(&one.record)?)?;
                writer.write_all(b"\n")?;
                count += 1;
            }
            progress.inc(1);
        }
    }
}

fn line(record: &Record) -> Result<Value> {
    let Ok(body) = serde_json::from_slice::<Box<RawValue>>(&record.body) else { bail!("the record at {} is damaged", record.position()) };
    let header = &record.header;
    Ok(json!({
        "position": record.position(),
        "term": header.term,
        "prev": header.prev.to_string(),
        "hash": header.hash.to_string(),
        "body": serde_json::from_str::<Value>(body.get())?,
    }))
}
