//! Reads the log by the chain rule and holds every answer against it.

use std::collections::BTreeMap;

use pledger_ledger::{
    chain::{ChainHead, Verdict},
    log::Log,
    record::Hash,
};

use super::{Ack, Key, SLICE, Topic, contender::Entry};

/// # Errors
/// The promise that was broken.
pub(super) fn check(log: &dyn Log, topic: &Topic, acks: &[Ack]) -> Result<(), String> {
    let (mut head, mut hashes, mut next_command) = (ChainHead::default(), Vec::<Hash>::new(), 0);
    let mut decided: BTreeMap<Key, (u64, usize)> = BTreeMap::new();
    let mut last_command = None;
    for placed in log.read(SLICE, 0, usize::MAX).map_err(|error| error.to_string())? {
        if head.accept(placed.offset, &placed.record) != Verdict::Valid {
            continue;
        }
        let pseq = placed.record.header.pseq;
        hashes.push(placed.record.header.hash);
        let (entry, next) = Entry::decode(&placed.record.body);
        if next < next_command {
            return Err(format!("the place in the topic went back from {next_command} to {next} at {pseq}"));
        }
        next_command = next;
        if let Entry::Decided { key, command } = entry {
            if let Some((first, _)) = decided.insert(key, (pseq, command)) {
                return Err(format!("the key {key} was decided twice, at {first} and at {pseq}"));
            }
            if topic.0[command] != key || last_command.is_some_and(|last| command <= last) {
                return Err(format!("the command {command} was overtaken"));
            }
            last_command = Some(command);
        }
    }
    check_answers(acks, &hashes, &decided)?;
    // Every client asked once more at the end, so whatever was lost would lack an answer now.
    let lost = (0..next_command).find(|command| decided.get(&topic.0[*command]).is_none_or(|(_, by)| by > command));
    if let Some(command) = lost {
        return Err(format!("the command {command} was passed over and its key never decided"));
    }
    let unanswered = topic.0.iter().find(|key| !acks.iter().any(|ack| ack.key == **key));
    unanswered.map_or(Ok(()), |key| Err(format!("the key {key} was never answered")))
}

fn check_answers(acks: &[Ack], hashes: &[Hash], decided: &BTreeMap<Key, (u64, usize)>) -> Result<(), String> {
    for Ack { command, key, pseq, hash } in acks {
        let at = usize::try_from(*pseq).map_err(|error| error.to_string())?;
        if hashes.get(at) != Some(hash) {
            return Err(format!("the command {command} was acknowledged by a void record at {pseq}"));
        }
        if decided.get(key).is_none_or(|(decided, _)| decided != pseq) {
            return Err(format!("the command {command} was answered by another key's decision at {pseq}"));
        }
    }
    Ok(())
}
