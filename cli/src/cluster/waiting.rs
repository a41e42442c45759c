//! Commands that lie in their topic behind what the ledger says was decided.

use std::{thread, time::Duration};

use anyhow::Result;
use pledger_ledger::{
    kafka::{KafkaCommands, KafkaLog},
    log::{Log as _, LogError},
    record::{Body, Progress, TermOpened},
    slices::SliceId,
};

use super::{Cluster, node::open};

/// How long whoever decides may take for what has just come.
const TO_DECIDE: Duration = Duration::from_secs(2);
/// Records at the end of a slice among which one says where it goes on: what lies behind it is void, if anything does.
const LAST: u64 = 64;

/// How many commands wait, and in which slices. Those that repeat others or were refused without a record look the same, so it is
/// no fault by itself.
pub(crate) fn waiting(cluster: &Cluster) -> Result<String> {
    let log = open(cluster)?;
    let commands = KafkaCommands::of(&log);
    let all: Vec<SliceId> = log.slices().all().collect();
    let mut waiting = behind(&log, &commands, &all)?;
    if !waiting.is_empty() {
        thread::sleep(TO_DECIDE);
        // What came meanwhile is not counted.
        let then = behind(&log, &commands, &waiting.iter().map(|(slice, ..)| *slice).collect::<Vec<_>>())?;
        waiting.retain(|(slice, next, _)| then.iter().any(|(same, still, _)| same == slice && still == next));
    }
    Ok(told(&waiting.iter().map(|(slice, next, end)| (*slice, end - next)).collect::<Vec<_>>()))
}

/// The slices with commands behind the one at which they go on: that one, and the topic's end.
fn behind(log: &KafkaLog, commands: &KafkaCommands, slices: &[SliceId]) -> Result<Vec<(SliceId, u64, u64)>, LogError> {
    let ends = commands.ends(slices)?;
    let places = slices.iter().zip(ends).map(|(slice, end)| Ok((*slice, next_command(log, *slice)?, end)));
    let places = places.collect::<Result<Vec<_>, LogError>>()?;
    for (slice, next, _) in places.iter().filter(|(_, next, end)| next > end) {
        // Some may have come and been decided since the topic's end was asked for.
        if let Some(end) = commands.ends(&[*slice])?.first().filter(|end| next > end) {
            return Err(LogError::Unfit(lost(*slice, *next, *end)));
        }
    }
    Ok(places.into_iter().filter(|(_, next, end)| next < end).collect())
}

fn lost(slice: SliceId, next: u64, end: u64) -> String {
    format!(
        "commands are lost: slice {slice} goes on at the command {next}, and its topic has {end} of them; it is stopped, and docs/cluster.md \
         says what to do"
    )
}

/// The command at which a slice goes on.
fn next_command(log: &KafkaLog, slice: SliceId) -> Result<u64, LogError> {
    let from = log.end(slice)?.saturating_sub(LAST);
    let last = log.read(slice, from, usize::try_from(LAST).unwrap_or(usize::MAX))?;
    let named = last.iter().filter_map(|placed| match Body::decode(&placed.record.body) {
        Ok(Body::Decision(decision)) => decision.next_command,
        Ok(Body::Progress(Progress { next_command, .. }) | Body::TermOpened(TermOpened { next_command, .. })) => next_command,
        Ok(Body::LedgerCreated(_)) | Err(_) => None,
    });
    Ok(named.max().unwrap_or(0))
}

fn told(waiting: &[(SliceId, u64)]) -> String {
    let count: u64 = waiting.iter().map(|(_, count)| count).sum();
    if count == 0 {
        return "none waits".to_owned();
    }
    let slices: Vec<String> = waiting.iter().map(|(slice, _)| slice.to_string()).collect();
    format!(
        "{count} lie behind the last records of the slices {}: they repeat others or were refused without a record, or nobody \
         decides them: is a process with the role processor running?",
        slices.join(", ")
    )
}
