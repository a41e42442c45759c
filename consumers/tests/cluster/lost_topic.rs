//! A commands topic that was made anew under a ledger that goes on in the old one.

use std::sync::mpsc::{self, Receiver};

use pledger_consumers::cluster::ProcessorStatus;
use pledger_ledger::commands_topic::{Change, Membership};

use crate::{
    memory::InMemory,
    processes::{api_of, next_commands, numbered, of_all, reading},
    running::{Kept, until},
    topics::Topics as _,
};

/// Slices as a test hands them out.
struct ByHand(Receiver<Change>);

impl Membership for ByHand {
    fn changes(&mut self) -> Vec<Change> {
        self.0.try_iter().collect()
    }

    fn leave(&mut self) {}
}

fn is_stopped(status: &ProcessorStatus) -> bool {
    status.trouble().is_some_and(|why| why.contains("the slice is stopped until pledger is started again"))
}

pub(crate) fn a_slice_whose_place_is_lost_stays_stopped(topics: &InMemory) {
    let (first, api) = (of_all(topics), api_of(topics));
    api.with_partners();
    let slice = api.accept("RegisterDeal", numbered(1), "r").position.slice;
    first.stop();
    let next = *next_commands(&*topics.log(), slice).last().expect("a place");
    let other = topics.log().slices().all().find(|other| next_commands(&*topics.log(), *other).is_empty()).expect("one without commands");

    let anew = topics.with_new_commands();
    let (hand, slices) = mpsc::channel();
    let processor = reading(&anew, anew.reader(), Box::new(ByHand(slices)), &Kept::default());
    let status = processor.status();
    hand.send(Change::Gained(vec![slice, other])).expect("taken");
    until("it is stopped", || is_stopped(&status));
    // The topic grows past the place, and the slice is given to others and comes again.
    (0..next + 3).for_each(|_| anew.write_foreign(slice, b"no command"));
    let (done, is_done) = mpsc::sync_channel(0);
    hand.send(Change::Lost(vec![slice], Some(done))).expect("taken");
    is_done.recv().expect_err("nothing is said but that it is let go of");
    assert_eq!(status.trouble(), None, "it is the trouble of whoever has the slice");
    hand.send(Change::Gained(vec![slice])).expect("taken");
    // The second is read in a round that began after the first.
    for count in 1..=2 {
        anew.write_foreign(other, b"no command");
        until("the other slice goes on", || status.passed_over() >= count);
    }
    assert!(is_stopped(&status), "{:?}", status.trouble());
    processor.stop();
    assert_eq!(status.passed_over(), 2, "nothing is taken from the slice that is stopped");
}
