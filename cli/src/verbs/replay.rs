//! `pledger replay`: the decisions themselves, in plain words or as JSON lines.

use std::{cell::Cell, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::{Args, ValueEnum};
use pledger_domain::{
    facts::Channel,
    stream::StreamName,
    values::{AccountKey, DealId, PartnerId},
};
use pledger_ledger::{
    chain::{ChainHead, Verdict},
    log::{Log, Placed, UpTo, read_valid},
    record::{Body, Decision, Outcome, Record},
    slices::Position,
};
use pledger_projections::engine::Moment;
use serde_json::{Value, json};

use crate::{
    cluster::ClusterFlags,
    context::{Context, Usage},
    ledger::Ledger,
    output,
    verbs::{bound::Bound, moment::Times, query::two_formats},
    words,
};

/// Records that are read at once.
const READ: usize = 4_096;
/// How long to wait for new decisions before looking again whether to go on.
const FOLLOW: Duration = Duration::from_millis(500);

/// Print decisions as they were made: who asked what when, what was decided, under which rules
#[derive(Args)]
#[command(after_help = "Examples:
  pledger replay --account acme.com
  pledger replay --partner p-001 --from 2026-01-01 --format jsonl
  pledger replay --follow

Without a selection, the whole ledger in the log's own order.")]
pub(crate) struct Replay {
    /// Only this stream
    #[arg(long, value_name = "S", group = "selection")]
    stream: Option<String>,
    /// Only decisions that name this partner
    #[arg(long, value_name = "P", group = "selection")]
    partner: Option<String>,
    /// Only this account
    #[arg(long, value_name = "A", group = "selection")]
    account: Option<String>,
    /// Only decisions that name this deal
    #[arg(long, value_name = "D", group = "selection")]
    deal: Option<String>,
    /// From this position on (of other slices, what was recorded since), or from this recorded time on
    #[arg(long, value_name = "POS|T")]
    from: Option<String>,
    /// Up to this position (of other slices, what was recorded by then), or before this recorded time
    #[arg(long, value_name = "POS|T")]
    to: Option<String>,
    /// Go on with new decisions as they are made
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    times: Times,
    /// How decisions look: text where neither this nor --json is given
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    #[command(flatten)]
    cluster: ClusterFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Jsonl,
}

/// What is printed.
struct Selection {
    /// A text that every selected record's body holds: looked for before the body is read.
    needle: Option<String>,
    stream: Option<StreamName>,
    from: Option<Bound>,
    to: Option<Bound>,
    moment: Moment,
    /// How many decisions were printed.
    shown: Cell<u64>,
}

impl Replay {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let unplaced = self.selection()?;
        let jsonl = match (self.format, context.json) {
            (Some(text @ Format::Text), true) => return Err(two_formats(&text)),
            (format, json) => json || format == Some(Format::Jsonl),
        };
        let Ledger { log, created } = Ledger::open(&self.cluster, context)?;
        let selection = unplaced.in_ledger(&*log)?;
        match &selection.stream {
            _ if self.follow => follow(&*log, &selection, jsonl)?,
            Some(stream) => one_stream(&*log, stream, &selection, jsonl)?,
            None => whole_log(&*log, &selection, jsonl)?,
        }
        if selection.shown.get() == 0 {
            let bounded = selection.from.is_some() || selection.to.is_some() || selection.moment.is_past();
            let within = if bounded { format!(" within these bounds; it was begun at {}", created.created_at) } else { String::new() };
            eprintln!("The ledger has no such decision{within}.");
        }
        Ok(ExitCode::SUCCESS)
    }

    fn selection(&self) -> Result<Selection> {
        let usage = |error: String| anyhow::Error::from(Usage(error));
        let stream = match (&self.stream, &self.account) {
            (Some(stream), _) => Some(StreamName::parse(stream).map_err(|error| usage(error.to_string()))?),
            (None, Some(account)) => Some(StreamName::account(&AccountKey::parse(account).map_err(|error| usage(error.to_string()))?)),
            (None, None) => None,
        };
        let needle = match (&self.partner, &self.deal) {
            (Some(partner), _) => Some(PartnerId::parse(partner).map_err(|error| usage(format!("--partner {error}")))?.to_string()),
            (None, Some(deal)) => Some(DealId::parse(deal).map_err(|error| usage(format!("--deal {error}")))?.to_string()),
            (None, None) => None,
        };
        let bound = |text: &Option<String>| text.as_deref().map(Bound::parse).transpose();
        let (from, to) = (bound(&self.from)?, bound(&self.to)?);
        if let (Some(Bound::Time(from)), Some(Bound::Time(to))) = (from, to)
            && from >= to
        {
            return Err(usage(format!("--from {from} does not lie before --to {to}: nothing was recorded in between")));
        }
        Ok(Selection { needle, stream, from, to, moment: self.times.moment()?, shown: Cell::default() })
    }
}

impl Selection {
    /// The same, once it is known when what stands at its bounds was recorded.
    fn in_ledger(self, log: &dyn Log) -> Result<Self> {
        let place = |flag: &str, bound: Option<Bound>| bound.map(|bound| bound.in_ledger(flag, log)).transpose();
        Ok(Self { from: place("--from", self.from)?, to: place("--to", self.to)?, ..self })
    }

    fn admits(&self, position: Position, decision: &Decision<'_>) -> bool {
        let named = self.needle.as_deref().is_none_or(|needle| names(decision, needle));
        let stream = self.stream.as_ref().is_none_or(|stream| *stream == decision.stream);
        let from = self.from.is_none_or(|from| from.begins_by(position, decision.recorded_at));
        let to = self.to.is_none_or(|to| to.ends_after(position, decision.recorded_at));
        named && stream && from && to && self.moment.tells(decision.recorded_at, decision.effective_at)
    }

    /// Whether the bytes may hold a selected decision at all.
    fn may_admit(&self, record: &Record) -> bool {
        self.needle.as_deref().is_none_or(|needle| String::from_utf8_lossy(&record.body).contains(needle))
    }
}

/// Whether a value of the decision is exactly `id`, or its stream is about it.
pub(crate) fn names(decision: &Decision<'_>, id: &str) -> bool {
    fn holds(value: &Value, id: &str) -> bool {
        match value {
            Value::String(text) => text == id,
            Value::Array(items) => items.iter().any(|item| holds(item, id)),
            Value::Object(fields) => fields.values().any(|value| holds(value, id)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    let in_outcome = match &decision.outcome {
        Outcome::Accepted(events) => serde_json::to_value(events),
        Outcome::Rejected(rejection) => serde_json::to_value(rejection),
    };
    let in_payload = serde_json::from_str(decision.command.payload.get());
    decision.stream.key() == id || [in_outcome, in_payload].into_iter().flatten().any(|value| holds(&value, id))
}

fn one_stream(log: &dyn Log, stream: &StreamName, selection: &Selection, jsonl: bool) -> Result<()> {
    let mut offset = 0;
    loop {
        let placed = read_valid(log, stream, offset, READ)?;
        let Some(last) = placed.last().map(|placed| placed.offset) else { return Ok(()) };
        placed.iter().try_for_each(|placed| show(&placed.record, selection, jsonl))?;
        offset = last + 1;
    }
}

fn whole_log(log: &dyn Log, selection: &Selection, jsonl: bool) -> Result<()> {
    let (mut up_to, mut valid) = (UpTo::the_end(log, &[])?, Valid::of(log));
    loop {
        let placed = up_to.next(READ)?;
        if placed.is_empty() {
            return Ok(());
        }
        valid.show(&placed, selection, jsonl)?;
    }
}

/// Goes on until the process ends.
fn follow(log: &dyn Log, selection: &Selection, jsonl: bool) -> Result<()> {
    let (mut tail, mut valid) = (log.tail(&vec![0; usize::from(log.slices().count)])?, Valid::of(log));
    loop {
        valid.show(&tail.next(READ, FOLLOW)?, selection, jsonl)?;
    }
}

/// Passes void records over.
struct Valid(Vec<ChainHead>);

impl Valid {
    fn of(log: &dyn Log) -> Self {
        Self(vec![ChainHead::default(); usize::from(log.slices().count)])
    }

    fn show(&mut self, placed: &[Placed], selection: &Selection, jsonl: bool) -> Result<()> {
        for Placed { offset, record } in placed {
            if self.0[usize::from(record.header.slice)].accept(*offset, record) == Verdict::Valid {
                show(record, selection, jsonl)?;
            }
        }
        Ok(())
    }
}

fn show(record: &Record, selection: &Selection, jsonl: bool) -> Result<()> {
    if !selection.may_admit(record) {
        return Ok(());
    }
    match Body::decode(&record.body) {
        Ok(Body::Decision(decision)) if selection.admits(record.position(), &decision) => {
            selection.shown.set(selection.shown.get() + 1);
            if jsonl { output::print(line(record)?.to_string()) } else { output::print(words(record.position(), &decision)) }
        }
        Ok(_) => Ok(()),
        Err(error) => output::print(format!("{}: cannot be read: {error}", record.position())),
    }
}

pub(crate) fn line(record: &Record) -> Result<Value> {
    let body: Value = serde_json::from_slice(&record.body)?;
    Ok(json!({"position": record.position(), "hash": record.header.hash.to_string(), "decision": body["decision"]}))
}

/// Who asked what when, what was decided, under which rules.
pub(crate) fn words(position: Position, decision: &Decision<'_>) -> String {
    let command = &decision.command;
    let actor = command.actor.as_deref().map(|actor| format!("{actor} via ")).unwrap_or_default();
    let dated =
        if decision.effective_at == decision.recorded_at { String::new() } else { format!(", effective {}", decision.effective_at) };
    let historical = match command.channel {
        _ if !decision.historical => "",
        Channel::Import => ", from before the ledger",
        Channel::Api | Channel::Ingest | Channel::Policy | Channel::Deadline => ", dated back and decided by the rules of then",
    };
    let head = format!(
        "{} {position} {} {} by {actor}{} under rules {}{dated}{historical}",
        decision.recorded_at, decision.stream, command.name, command.sender, decision.rules
    );
    let outcome = match &decision.outcome {
        Outcome::Accepted(events) => match serde_json::to_value(events) {
            Ok(Value::Array(events)) => events.iter().map(|event| format!("\n    {}", words::event(event))).collect(),
            Ok(_) | Err(_) => String::new(),
        },
        Outcome::Rejected(rejection) => format!("\n    refused ({}): {rejection}", rejection.code()),
    };
    format!("{head}{outcome}")
}
