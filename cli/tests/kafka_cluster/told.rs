//! Clients that ask until they are answered, and what they were answered.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use pledger_ledger::{
    chain::{ChainHead, Verdict},
    kafka::KafkaLog,
    log::{Log, Placed, UpTo},
    record::{Body, Outcome},
    verify::verify,
};
use serde_json::Value;

use crate::processes::{Process, until};

const CLIENTS: u64 = 6;
/// How soon a client asks again.
const AGAIN: Duration = Duration::from_millis(100);

/// What clients were told: keys with positions.
#[derive(Default)]
pub(crate) struct Told {
    positions: Mutex<BTreeMap<String, String>>,
    /// The longest that one of them waited, in microseconds.
    longest_us: AtomicU64,
    /// Set where nobody wants to know any more.
    given_up: AtomicBool,
}

impl Told {
    pub(crate) fn count(&self) -> usize {
        self.positions.lock().expect("no panic").len()
    }

    pub(crate) fn longest(&self) -> Duration {
        Duration::from_micros(self.longest_us.load(Ordering::Relaxed))
    }

    /// Sends a command, again and again under the same key, until it is decided; answers the status.
    pub(crate) fn ask(&self, api: &Process, name: &str, payload: &Value, key: &str) -> u16 {
        let begun = Instant::now();
        loop {
            let (status, body) = api.send(name, payload, key);
            match status {
                429 | 503 if self.given_up.load(Ordering::Relaxed) => panic!("{name} under {key} was not decided: {body}"),
                429 | 503 => std::thread::sleep(AGAIN),
                200 | 409 => {
                    let position = body["position"].as_str().unwrap_or_else(|| panic!("{name} under {key}: {body}")).to_owned();
                    self.note(key, position);
                    let waited = u64::try_from(begun.elapsed().as_micros()).expect("a test is short");
                    self.longest_us.fetch_max(waited, Ordering::Relaxed);
                    return status;
                }
                _ => panic!("{name} under {key}: {status}: {body}"),
            }
        }
    }

    /// Whoever asks under the same key is told of the same decision.
    fn note(&self, key: &str, position: String) {
        match self.positions.lock().expect("no panic").entry(key.to_owned()) {
            Entry::Vacant(new) => drop(new.insert(position)),
            Entry::Occupied(known) => assert_eq!(*known.get(), position, "{key} was decided twice"),
        }
    }

    /// Everything that was acknowledged is among the valid records, once.
    pub(crate) fn hold_against(&self, valid: &[Placed]) {
        let mut recorded: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for Placed { record, .. } in valid {
            let Body::Decision(decision) = Body::decode(&record.body).expect("readable") else { continue };
            // Whoever is told to try again does so under the same key.
            let passes = matches!(&decision.outcome, Outcome::Rejected(rejection) if rejection.may_pass_later());
            if !passes {
                recorded.entry(decision.command.id.into_owned()).or_default().push(record.position().to_string());
            }
        }
        for (key, position) in &*self.positions.lock().expect("no panic") {
            assert_eq!(recorded.get(key), Some(&vec![position.clone()]), "{key}");
        }
    }
}

/// The records of a ledger that are valid by the chain rule alone; its chains hold.
pub(crate) fn valid(log: &KafkaLog) -> Vec<Placed> {
    verify(log, None, &mut |_| {}).expect("the chain holds");
    let mut heads = vec![ChainHead::default(); usize::from(log.slices().count)];
    let mut up_to = UpTo::the_end(log, &[]).expect("a tail");
    let mut all = Vec::new();
    loop {
        let placed = up_to.next(10_000).expect("read");
        if placed.is_empty() {
            return all;
        }
        let is_valid =
            |placed: &Placed| heads[usize::from(placed.record.header.slice)].accept(placed.offset, &placed.record) == Verdict::Valid;
        all.extend(placed.into_iter().filter(is_valid));
    }
}

/// Waits until so many more are acknowledged.
pub(crate) fn more(told: &Told, by: usize) {
    let before = told.count();
    until("commands are decided", || told.count() >= before + by);
}

/// Clients go through a story while `meanwhile` runs, one chapter after the other: it is told who they are and in which.
pub(crate) fn while_asking(story: impl Fn(u64, u64, &Told) + Sync, meanwhile: impl FnOnce(&Told)) -> Told {
    let (told, done) = (Told::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (told, done, story) = (&told, &done, &story);
            scope.spawn(move || {
                (0..).take_while(|_| !done.load(Ordering::Relaxed)).for_each(|chapter| story(client, chapter, told));
            });
        }
        let over = Over(&done, &told);
        meanwhile(&told);
        drop(over);
    });
    told
}

/// Ends the clients, even where what they were there for panicked.
struct Over<'a>(&'a AtomicBool, &'a Told);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        // Otherwise they would ask for ever where nobody answers.
        self.1.given_up.store(std::thread::panicking(), Ordering::Relaxed);
    }
}
