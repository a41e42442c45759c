//! Clients that ask until they are answered, and what they were answered.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use pledger_ledger::{
    chain::{ChainHead, Verdict},
    kafka::KafkaLog,
    log::{Log, UpTo},
    record::Body,
    verify::verify,
};
use serde_json::json;

use crate::processes::{Process, until};

const CLIENTS: u64 = 6;

/// What clients were told: keys with positions.
#[derive(Default)]
pub(crate) struct Told {
    positions: Mutex<BTreeMap<String, String>>,
    /// The longest that one of them waited, in microseconds.
    longest_us: AtomicU64,
}

impl Told {
    pub(crate) fn count(&self) -> usize {
        self.positions.lock().expect("no panic").len()
    }

    pub(crate) fn longest(&self) -> Duration {
        Duration::from_micros(self.longest_us.load(Ordering::Relaxed))
    }

    /// Everything that was acknowledged is in the ledger, once, by the chain rule alone.
    pub(crate) fn hold_against(&self, log: &KafkaLog) {
        verify(log, None, &mut |_| {}).expect("the chain holds");
        let mut heads = vec![ChainHead::default(); usize::from(log.slices().count)];
        let mut recorded: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut up_to = UpTo::the_end(log, &[]).expect("a tail");
        loop {
            let placed = up_to.next(10_000).expect("read");
            if placed.is_empty() {
                break;
            }
            for placed in placed {
                let valid = heads[usize::from(placed.record.header.slice)].accept(placed.offset, &placed.record) == Verdict::Valid;
                if valid && let Body::Decision(decision) = Body::decode(&placed.record.body).expect("readable") {
                    recorded.entry(decision.command.id.into_owned()).or_default().push(placed.record.position().to_string());
                }
            }
        }
        for (key, position) in &*self.positions.lock().expect("no panic") {
            assert_eq!(recorded.get(key), Some(&vec![position.clone()]), "{key}");
        }
    }
}

/// Waits until so many more are acknowledged.
pub(crate) fn more(told: &Told, by: usize) {
    let before = told.count();
    until("commands are decided", || told.count() >= before + by);
}

/// A partner whose deals are registered.
pub(crate) fn open(api: &Process) {
    for (name, payload) in [
        ("RegisterPartner", json!({"partner_id": "p-1", "name": "Nordwind", "roles": ["reseller"]})),
        ("SignAgreement", json!({"partner_id": "p-1"})),
        ("ActivatePartner", json!({"partner_id": "p-1"})),
    ] {
        let (status, body) = api.send(name, &payload, name);
        assert_eq!(status, 200, "{body}");
    }
}

/// Clients register deals while `meanwhile` runs; each asks again, under the same key, until it is answered.
pub(crate) fn under_load(api: &Process, meanwhile: impl FnOnce(&Told)) -> Told {
    under_load_of("d", api, meanwhile)
}

/// The same; the deals' ids begin with `kind`.
pub(crate) fn under_load_of(kind: &str, api: &Process, meanwhile: impl FnOnce(&Told)) -> Told {
    let (told, done) = (Told::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (told, done) = (&told, &done);
            scope.spawn(move || {
                (0..)
                    .take_while(|_| !done.load(Ordering::Relaxed))
                    .for_each(|number| register(api, &format!("{kind}-{client}-{number}"), told));
            });
        }
        let over = Over(&done);
        meanwhile(&told);
        drop(over);
    });
    told
}

/// Ends the clients, even where what they were there for panicked.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn register(api: &Process, deal: &str, told: &Told) {
    let domain = format!("{deal}.example");
    let payload = json!({
        "deal_id": deal, "partner_id": "p-1", "account": {"name": domain, "domain": domain}, "product": "GTX Pro",
        "amount": {"amount": "120.00", "currency": "USD"},
    });
    let begun = Instant::now();
    loop {
        let (status, body) = api.send("RegisterDeal", &payload, deal);
        match status {
            200 => {
                let position = body["position"].as_str().expect("a position").to_owned();
                told.positions.lock().expect("no panic").insert(deal.to_owned(), position);
                let waited = u64::try_from(begun.elapsed().as_micros()).expect("a test is short");
                told.longest_us.fetch_max(waited, Ordering::Relaxed);
                return;
            }
            503 => std::thread::sleep(Duration::from_millis(100)),
            _ => panic!("{status}: {body}"),
        }
    }
}
