//! `pledger replay`: the decisions themselves, in plain words or as JSON lines.

use std::{cell::Cell, process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use pledger_domain::{
    facts::Channel,
    stream::StreamName,
    values::{AccountKey, DealId, PartnerId, Timestamp},
};
use pledger_ledger::{
    log::{Log, Placed, read_valid},
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
    verbs::{
        bound::Bound,
        moment::{self, Times},
        query::two_formats,
        selected::{Selected, Survey, Valid, whole_log},
    },
    words,
};

/// Records that are read at once.
const READ: usize = 4_096;
/// The most damaged records that are named.
const MAX_DAMAGED: u64 = 20;
/// How long to wait for new decisions before looking again whether to go on.
const FOLLOW: Duration = Duration::from_millis(500);

/// Print decisions as they were made: who asked what when, what was decided, under which rules
#[derive(Args)]
#[command(after_help = "Examples:
  pledger replay --account acme.com
  pledger replay --partner p-001 --from 2026-01-01 --format jsonl
  pledger replay --follow

Without a selection, the whole ledger in the log's own order. Exit code 1 where a record is not what was recorded, or
one of a stream is missing.")]
pub(crate) struct Replay {
    /// Only this stream
    #[arg(long, value_name = "S", group = "selection")]
    stream: Option<String>,
    /// Only decisions that name this partner, or an allocation, a fund request or a claim of it
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
    selected: Selected,
    from: Option<Bound>,
    to: Option<Bound>,
    moment: Moment,
    /// How many decisions were printed.
    shown: Cell<u64>,
    /// How many records are not what was recorded, or missing.
    damaged: Cell<u64>,
}

impl Replay {
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let unplaced = self.selection()?;
        let jsonl = match (self.format, context.json) {
            (Some(text @ Format::Text), true) => return Err(two_formats(&text)),
            (format, json) => json || format == Some(Format::Jsonl),
        };
        let Ledger { log, created } = Ledger::open(&self.cluster, context)?;
        moment::within(unplaced.moment, &created)?;
        let selection = unplaced.in_ledger(&*log)?;
        match selection.selected.stream() {
            _ if self.follow => follow(&*log, &selection, jsonl)?,
            Some(stream) => one_stream(&*log, stream, &selection, jsonl)?,
            None => whole_log(&*log, &mut |record| show(record, &selection, jsonl))?,
        }
        if selection.shown.get() == 0 {
            selection.tell_nothing(&*log, created.created_at)?;
        }
        if selection.damaged.get() > 0 {
            eprintln!("This is not what was recorded; see: pledger verify");
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn selection(&self) -> Result<Selection> {
        let usage = |error: String| anyhow::Error::from(Usage(error));
        let selected = match (&self.stream, &self.account, &self.partner, &self.deal) {
            (Some(stream), ..) => Selected::Stream(StreamName::parse(stream).map_err(|error| usage(error.to_string()))?),
            (_, Some(account), ..) => {
                Selected::Account(StreamName::account(&AccountKey::parse(account).map_err(|error| usage(error.to_string()))?))
            }
            (_, _, Some(partner), _) => Selected::partner(PartnerId::parse(partner).map_err(|error| usage(format!("--partner {error}")))?),
            (.., Some(deal)) => Selected::Deal(DealId::parse(deal).map_err(|error| usage(format!("--deal {error}")))?),
            (None, None, None, None) => Selected::All,
        };
        let bound = |text: &Option<String>| text.as_deref().map(Bound::parse).transpose();
        let (from, to) = (bound(&self.from)?, bound(&self.to)?);
        if let (Some(Bound::Time(from)), Some(Bound::Time(to))) = (from, to)
            && from >= to
        {
            return Err(usage(format!("--from {from} does not lie before --to {to}: nothing was recorded in between")));
        }
        Ok(Selection { selected, from, to, moment: self.times.moment()?, shown: Cell::default(), damaged: Cell::default() })
    }
}

impl Selection {
    /// The same, once it is known when what stands at its bounds was recorded.
    fn in_ledger(self, log: &dyn Log) -> Result<Self> {
        let place = |flag: &str, bound: Option<Bound>| bound.map(|bound| bound.in_ledger(flag, log)).transpose();
        Ok(Self { from: place("--from", self.from)?, to: place("--to", self.to)?, ..self })
    }

    fn admits(&self, position: Position, decision: &Decision<'_>) -> bool {
        let is_selected = self.selected.holds(decision);
        let from = self.from.is_none_or(|from| from.begins_by(position, decision.recorded_at));
        let to = self.to.is_none_or(|to| to.ends_after(position, decision.recorded_at));
        is_selected && from && to && self.moment.tells(decision.recorded_at, decision.effective_at)
    }

    /// Says why there is nothing to print: it is a mistake where the ledger has no such key.
    fn tell_nothing(&self, log: &dyn Log, begun: Timestamp) -> Result<()> {
        let Survey { unknown, begins } = Survey::of(log, &self.selected)?;
        if let Some(unknown) = unknown {
            bail!("the ledger has {unknown}");
        }
        if let (Some(as_of), Some(begins)) = (self.moment.as_of, begins)
            && as_of < begins
        {
            bail!("--as-of {as_of}: the first fact is effective later, at {begins}");
        }
        let bounded = self.from.is_some() || self.to.is_some() || self.moment.is_past();
        let within = if bounded { format!(" within these bounds; it was begun at {begun}") } else { String::new() };
        eprintln!("The ledger has no such decision{within}.");
        Ok(())
    }

    /// Says what is damaged, of many records the first.
    fn tell_damage(&self, what: &str) {
        self.damaged.set(self.damaged.get() + 1);
        if self.damaged.get() <= MAX_DAMAGED {
            eprintln!("warning: {what}");
        }
    }

    /// Says what is waited for, where the ledger does not have it yet.
    fn tell_what_is_awaited(&self, log: &dyn Log) -> Result<()> {
        if self.shown.get() == 0
            && let Some(unknown) = Survey::of(log, &self.selected)?.unknown
        {
            eprintln!("The ledger has {unknown}. Waiting for its first decision.");
        }
        Ok(())
    }
}

fn one_stream(log: &dyn Log, stream: &StreamName, selection: &Selection, jsonl: bool) -> Result<()> {
    let (mut offset, mut version) = (0, Some(0));
    loop {
        let placed = read_valid(log, stream, offset, READ)?;
        let Some(last) = placed.last().map(|placed| placed.offset) else { return Ok(()) };
        for Placed { record, .. } in &placed {
            version = whole(record, version, selection);
            show(record, selection, jsonl)?;
        }
        offset = last + 1;
    }
}

/// Whether a stream goes on with this record where it stood; its version after it, as far as that can be read. A record that somebody
/// moved into another stream is missing here.
fn whole(record: &Record, version: Option<u64>, selection: &Selection) -> Option<u64> {
    match Body::decode(&record.body) {
        Ok(Body::Decision(decision)) if decision.is_accepted() => {
            if let Some(missing) = version.map(|version| version + 1).filter(|next| decision.version > *next) {
                selection.tell_damage(&format!("version {missing} of {} is missing before {}", decision.stream, record.position()));
            }
            Some(decision.version)
        }
        Ok(_) => version,
        Err(_) => None,
    }
}

/// Goes on until the process ends.
fn follow(log: &dyn Log, selection: &Selection, jsonl: bool) -> Result<()> {
    let (mut tail, mut valid) = (log.tail(&vec![0; usize::from(log.slices().count)])?, Valid::of(log));
    let mut is_told = false;
    loop {
        let placed = tail.next(READ, FOLLOW)?;
        valid.each(&placed, &mut |record| show(record, selection, jsonl))?;
        if placed.is_empty() && !is_told {
            is_told = true;
            selection.tell_what_is_awaited(log)?;
        }
    }
}

fn show(record: &Record, selection: &Selection, jsonl: bool) -> Result<()> {
    if !selection.selected.may_be_in(record) {
        return Ok(());
    }
    let check = || {
        if !record.is_intact() {
            selection.tell_damage(&format!("the record at {} is damaged: it is not what was hashed", record.position()));
        }
    };
    match Body::decode(&record.body) {
        Ok(Body::Decision(decision)) if selection.admits(record.position(), &decision) => {
            check();
            selection.shown.set(selection.shown.get() + 1);
            if jsonl { output::print(line(record)?.to_string()) } else { output::print(words(record.position(), &decision)) }
        }
        Ok(_) => Ok(()),
        Err(error) => {
            check();
            selection.shown.set(selection.shown.get() + 1);
            let (position, why) = (record.position(), error.to_string());
            if jsonl {
                output::print(json!({"position": position, "unreadable": why}).to_string())
            } else {
                output::print(format!("{position}: cannot be read: {why}"))
            }
        }
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
        // Of what was accepted the events say it.
        Outcome::Rejected(rejection) => {
            let asked = words::asked(command.payload.get());
            let asked = if asked.is_empty() { asked } else { format!("\n    asked for: {asked}") };
            format!("{asked}\n    refused ({}): {rejection}", rejection.code())
        }
    };
    format!("{head}{outcome}")
}
