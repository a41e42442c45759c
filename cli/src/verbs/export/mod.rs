//! `pledger export`: a whole view, or the ledger itself, into a file.

#[cfg(feature = "parquet")]
mod columnar;
#[cfg(feature = "parquet")]
mod columns;
mod ledger;
mod pages;

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use clap::{Args, ValueEnum};
use pledger_projections::query::{VIEWS, ViewSpec, find_view};
use serde_json::json;

use crate::{
    cluster::PlaceFlags,
    connection::{Connection, encode},
    context::{Context, Usage},
    ledger::Ledger,
    output,
    verbs::{moment::Times, query::two_formats},
};
use pages::Question;

/// Items of one page of an export.
const PAGE: usize = 10_000;

/// Write a view, or the ledger, to a file
#[derive(Args)]
#[command(after_help = "Examples:
  pledger export deals --format parquet --out deals.parquet
  pledger export pipeline --by region,status --format csv --out pipeline.csv
  pledger export tiers --as-of 2026-03-31 --format arrow --out tiers.arrow
  pledger export ledger --format jsonl --out ledger.jsonl     every decision, chain fields included
  pledger export tiers --format csv --out tiers.csv --kafka broker-1:9092 --postgres postgres://pledger@db/prm

In Parquet and Arrow amounts are decimals beside a column with their currency, times are in UTC, and words that come again
and again (statuses, regions, partners) are dictionaries: pandas.read_parquet, DuckDB and BI tools read them as they are.

CSV is for spreadsheets: a text of a view that one would compute, as it begins with =, +, -, @, a tab or CR, begins with a
single quote there; numbers and ids never do. Programs read the other formats, which have every text as it is.")]
pub(crate) struct Export {
    /// A view, or `ledger`
    view: String,
    /// The file's format; it has to be said
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The file, or - for stdout; it has to be said
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Group by these dimensions, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "DIM,...")]
    by: Vec<String>,
    /// Only items with this value of a dimension; may be repeated
    #[arg(long, value_name = "DIM=VALUE")]
    filter: Vec<String>,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    place: PlaceFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Parquet,
    Arrow,
    Csv,
    Jsonl,
}

/// What is exported.
enum Source {
    Ledger(Ledger),
    View(#[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "texts have no types"))] &'static ViewSpec, Question),
}

impl Export {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let (format, out) = self.target()?;
        let to_stdout = out.as_os_str() == "-";
        if to_stdout && context.json && format != Format::Jsonl {
            // To a file, it is what is told of the file that is JSON.
            return Err(two_formats(&format));
        }
        let source = self.source(context)?;
        if to_stdout {
            self.print(context, &source, format)?;
            return Ok(ExitCode::SUCCESS);
        }
        let count = output::to_file(out, |file| self.write(context, &source, format, file))?;
        if context.json {
            output::print_json(&json!({"view": self.view, "written": count, "out": out}))?;
        } else {
            eprintln!("Wrote {count} {} to {}.", if self.view == "ledger" { "records" } else { "items" }, out.display());
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The format and the file, both of which nobody else can say.
    fn target(&self) -> Result<(Format, &Path)> {
        let missing = match (self.format, &self.out) {
            (Some(format), Some(out)) => return Ok((format, out)),
            (None, Some(_)) => "--format is missing",
            (Some(_), None) => "--out is missing",
            (None, None) => "--format and --out are missing",
        };
        let form = if self.view == "ledger" { "jsonl" } else { "csv" };
        Err(Usage(format!(
            "{missing}: say the format (parquet, arrow, csv or jsonl) and the file (- for stdout), such as: pledger export {0} --format {form} --out {0}.{form}",
            self.view
        ))
        .into())
    }

    fn source(&self, context: &Context) -> Result<Source> {
        if self.view == "ledger" {
            let asks = self.times.moment()?.is_past() || !self.by.is_empty() || !self.filter.is_empty();
            return match asks {
                true => Err(Usage("the ledger is exported whole; a view takes --as-of, --known-at, --by and --filter".into()).into()),
                false => Ok(Source::Ledger(Ledger::open(&self.place.cluster, context)?)),
            };
        }
        let view = find_view(&self.view).map_err(|error| {
            Usage(format!("{error}\nThere are: ledger, {}", VIEWS.iter().map(|view| view.name).collect::<Vec<_>>().join(", ")))
        })?;
        let mut parameters = [vec![format!("limit={PAGE}")], self.times.parameters()?].concat();
        parameters.extend(self.by.iter().map(|by| format!("by={}", encode(by))));
        for filter in &self.filter {
            let (name, value) = filter.split_once('=').ok_or_else(|| Usage(format!("--filter {filter}: expected DIM=VALUE")))?;
            parameters.push(format!("{}={}", encode(name), encode(value)));
        }
        Ok(Source::View(view, Question { view: view.name, parameters }))
    }

    /// Writes what is exported; how many items or records that are.
    fn write(&self, context: &Context, source: &Source, format: Format, file: &mut File) -> Result<u64> {
        match format {
            #[cfg(feature = "parquet")]
            Format::Parquet => self.write_columns(context, source, columnar::Form::Parquet, file),
            #[cfg(feature = "parquet")]
            Format::Arrow => self.write_columns(context, source, columnar::Form::Arrow, file),
            #[cfg(not(feature = "parquet"))]
            Format::Parquet | Format::Arrow => anyhow::bail!(
                "this pledger was built without its cargo feature `parquet`, which writes Parquet and Arrow; csv and jsonl it has"
            ),
            Format::Csv | Format::Jsonl => {
                let mut writer = BufWriter::new(file);
                let count = self.write_text(context, source, format, &mut writer)?;
                writer.flush()?;
                Ok(count)
            }
        }
    }

    fn write_text(&self, context: &Context, source: &Source, format: Format, writer: &mut dyn Write) -> Result<u64> {
        match (source, format) {
            (Source::Ledger(ledger), Format::Csv) => ledger::csv(ledger, writer),
            (Source::Ledger(ledger), _) => ledger::json_lines(ledger, writer),
            (Source::View(_, question), Format::Csv) => self.asking(context, |connection| question.csv(connection, writer)),
            (Source::View(_, question), _) => self.asking(context, |connection| question.json_lines(connection, writer)),
        }
    }

    /// Prints to stdout what can be written in one go; a columnar file is made first.
    fn print(&self, context: &Context, source: &Source, format: Format) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        match format {
            #[cfg(feature = "parquet")]
            Format::Parquet | Format::Arrow => {
                let mut file = tempfile::tempfile()?;
                self.write(context, source, format, &mut file)?;
                std::io::Seek::rewind(&mut file)?;
                std::io::copy(&mut file, &mut stdout)?;
            }
            #[cfg(not(feature = "parquet"))]
            Format::Parquet | Format::Arrow => drop(self.write(context, source, format, &mut File::open("/dev/null")?)?),
            Format::Csv | Format::Jsonl => {
                let mut writer = BufWriter::new(&mut stdout);
                self.write_text(context, source, format, &mut writer)?;
                writer.flush()?;
            }
        }
        stdout.flush()?;
        Ok(())
    }

    fn asking<T>(&self, context: &Context, ask: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let connection = Connection::to_read_at(&self.place, context)?;
        let asked = ask(&connection);
        connection.close();
        asked
    }

    #[cfg(feature = "parquet")]
    fn write_columns(&self, context: &Context, source: &Source, form: columnar::Form, file: &mut File) -> Result<u64> {
        match source {
            Source::Ledger(ledger) => {
                let columns = ledger::COLUMNS.into_iter().map(|column| (column, ledger::REPEATED.contains(&column.name)));
                columnar::write(form, columns::Columns::of(columns), file, |take| {
                    ledger::records(ledger, &mut |records| {
                        let items = records.iter().map(ledger::item).collect::<Result<_>>()?;
                        take(&pages::Page { items, about: vec![("pledger.view".to_owned(), "ledger".to_owned())] })
                    })
                })
            }
            Source::View(view, question) => self.asking(context, |connection| {
                let columns = columns::Columns::of_view(view, &self.by);
                columnar::write(form, columns, file, |take| question.pages(connection, take))
            }),
        }
    }
}
