//! The ledger itself: every valid record in the log's own order.

use std::io::Write;

use anyhow::{Result, bail};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    log::UpTo,
    record::{Body, Outcome, Record},
};
use pledger_projections::query::{FieldKind, FieldSpec};
use serde_json::{Value, json, value::RawValue};

use crate::{ledger::Ledger, output};

/// Records that are read at once.
const READ: usize = 4_096;

const fn column(name: &'static str, kind: FieldKind) -> FieldSpec {
    FieldSpec::new(name, kind, "")
}

/// The columns of the ledger as a table: place and chain, what was asked and decided, and the whole body.
pub(super) const COLUMNS: [FieldSpec; 21] = [
    column("slice", FieldKind::Count),
    column("pseq", FieldKind::Count),
    column("term", FieldKind::Count),
    column("prev", FieldKind::Text),
    column("hash", FieldKind::Text),
    column("kind", FieldKind::Text),
    column("stream", FieldKind::Text),
    column("version", FieldKind::Count),
    column("command_id", FieldKind::Text),
    column("command", FieldKind::Text),
    column("sender", FieldKind::Text),
    column("actor", FieldKind::Text),
    column("channel", FieldKind::Text),
    column("received_at", FieldKind::Time),
    column("recorded_at", FieldKind::Time),
    column("effective_at", FieldKind::Time),
    column("historical", FieldKind::Flag),
    column("rules", FieldKind::Count),
    column("outcome", FieldKind::Text),
    column("code", FieldKind::Text),
    column("body", FieldKind::Text),
];

/// Columns of which the same words come again and again.
#[cfg(feature = "parquet")]
pub(super) const REPEATED: [&str; 6] = ["kind", "command", "sender", "channel", "outcome", "code"];

/// Shows every valid record to `take`, some thousand at a time.
///
/// # Errors
/// Those of `take`, of reading, and where a record is not what was hashed.
pub(super) fn records(ledger: &Ledger, take: &mut dyn FnMut(&[Record]) -> Result<()>) -> Result<()> {
    let log = &*ledger.log;
    let ends: Vec<u64> = log.slices().all().map(|slice| log.end(slice)).collect::<Result<_, _>>()?;
    let progress = output::progress("export", ends.iter().sum());
    let mut heads = vec![ChainHead::default(); ends.len()];
    let mut up_to = UpTo::ends(log, &[], ends)?;
    loop {
        let placed = up_to.next(READ)?;
        if placed.is_empty() {
            break;
        }
        progress.inc(placed.len() as u64);
        let mut is_valid = |offset, record: &Record| heads[usize::from(record.header.slice)].accept(offset, record) == Verdict::Valid;
        let valid = placed.into_iter().filter_map(|one| is_valid(one.offset, &one.record).then_some(one.record));
        let valid: Vec<Record> = valid.collect();
        if let Some(damaged) = valid.iter().find(|record| !record.is_intact()) {
            bail!("the record at {} is not what was hashed; see: pledger verify", damaged.position());
        }
        take(&valid)?;
    }
    progress.finish_and_clear();
    Ok(())
}

/// Writes a record a line, as it was hashed.
pub(super) fn json_lines(ledger: &Ledger, writer: &mut dyn Write) -> Result<u64> {
    let mut count = 0;
    records(ledger, &mut |records| {
        for record in records {
            serde_json::to_writer(&mut *writer, &line(record)?)?;
            writer.write_all(b"\n")?;
        }
        count += records.len() as u64;
        Ok(())
    })?;
    Ok(count)
}

/// Writes the columns as CSV.
pub(super) fn csv(ledger: &Ledger, writer: &mut dyn Write) -> Result<u64> {
    let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(writer);
    csv.write_record(COLUMNS.iter().map(|column| column.name))?;
    let mut count = 0;
    records(ledger, &mut |records| {
        for record in records {
            let item = item(record)?;
            csv.write_record(COLUMNS.iter().map(|column| match &item[column.name] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }))?;
        }
        count += records.len() as u64;
        Ok(())
    })?;
    csv.flush()?;
    Ok(count)
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

/// The record by its columns.
pub(super) fn item(record: &Record) -> Result<Value> {
    let header = &record.header;
    let mut item = json!({
        "slice": header.slice,
        "pseq": header.pseq,
        "term": header.term,
        "prev": header.prev.to_string(),
        "hash": header.hash.to_string(),
        "body": std::str::from_utf8(&record.body)?,
    });
    let Ok(body) = Body::decode(&record.body) else { bail!("the record at {} is damaged", record.position()) };
    item["kind"] = match &body {
        Body::LedgerCreated(_) => "ledger_created",
        Body::TermOpened(_) => "term_opened",
        Body::Progress(_) => "progress",
        Body::Decision(_) => "decision",
    }
    .into();
    let Body::Decision(decision) = body else { return Ok(item) };
    let command = &decision.command;
    let columns = json!({
        "stream": decision.stream, "version": decision.version, "command_id": command.id, "command": command.name, "sender": command.sender,
        "actor": command.actor, "channel": command.channel, "received_at": command.received_at, "recorded_at": decision.recorded_at,
        "effective_at": decision.effective_at, "historical": decision.historical, "rules": decision.rules,
    });
    if let (Value::Object(item), Value::Object(columns)) = (&mut item, columns) {
        item.extend(columns);
    }
    item["outcome"] = match &decision.outcome {
        Outcome::Accepted(_) => "accepted".into(),
        Outcome::Rejected(rejection) => {
            item["code"] = rejection.code().into();
            "rejected".into()
        }
    };
    Ok(item)
}
