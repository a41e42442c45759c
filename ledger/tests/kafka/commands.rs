//! Reading the commands topic: from exact places, and never past a gap in silence.

use std::time::{Duration, Instant};

use pledger_ledger::{
    commands_topic::{CommandReader, Gone},
    kafka::KafkaCommands,
    slices::SliceId,
};

use crate::home::InKafka;

const SLICE: SliceId = 1;

/// A topic with so many messages that are no commands; where they lie is all that matters here.
fn topic(home: &InKafka, messages: u8) -> KafkaCommands {
    let commands = KafkaCommands::of(&home.created());
    (0..messages).for_each(|n| commands.write(SLICE, &[n]).expect("written"));
    commands
}

/// The next offsets, as many as are asked for.
fn next(reader: &mut dyn CommandReader, count: usize) -> Vec<u64> {
    let until = Instant::now() + Duration::from_secs(30);
    let mut offsets = Vec::new();
    while offsets.len() < count {
        assert!(Instant::now() < until, "only {offsets:?} came");
        let queued = reader.next(count - offsets.len(), Duration::from_millis(100)).expect("read");
        offsets.extend(queued.into_iter().map(|queued| queued.offset));
    }
    offsets
}

pub(crate) fn commands_are_read_from_exactly_where_it_is_asked(home: &InKafka) {
    let commands = topic(home, 6);
    let mut reader = commands.reader().expect("a reader");
    assert_eq!(reader.assign(&[(SLICE, 2), (0, 0)]).expect("assigned"), []);
    assert_eq!(next(&mut *reader, 2), [2, 3]);
    // Back, and nothing of what was fetched for the other place comes any more.
    assert_eq!(reader.assign(&[(SLICE, 1)]).expect("assigned"), []);
    assert_eq!(next(&mut *reader, 5), [1, 2, 3, 4, 5]);
    assert_eq!(reader.assign(&[(SLICE, 6)]).expect("the end is a place"), []);
    commands.write(SLICE, b"one more").expect("written");
    assert_eq!(next(&mut *reader, 1), [6]);
    assert_eq!(reader.assign(&[]).expect("assigned"), []);
    assert!(reader.next(10, Duration::from_millis(50)).expect("nothing to read").is_empty());
}

pub(crate) fn commands_that_were_deleted_are_named(home: &InKafka) {
    let commands = topic(home, 4);
    home.delete_in("commands", SLICE, 3);
    let mut reader = commands.reader().expect("a reader");
    let gone = reader.assign(&[(SLICE, 2), (0, 0)]).expect("assigned");
    assert_eq!(gone, [Gone { slice: SLICE, asked: 2, first: 3, next: 4 }]);
    assert!(gone[0].to_string().starts_with("slice 1 goes on at the command 2, and the commands topic has 3 to 4"), "{}", gone[0]);
    // Neither is a place that the topic has not come to: it is another topic than the ledger speaks of.
    assert_eq!(reader.assign(&[(SLICE, 5)]).expect("assigned"), [Gone { slice: SLICE, asked: 5, first: 3, next: 4 }]);
    assert_eq!(reader.assign(&[(SLICE, 3)]).expect("assigned"), []);
    assert_eq!(next(&mut *reader, 1), [3]);
}
