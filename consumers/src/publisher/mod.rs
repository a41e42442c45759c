//! The publisher: every event of an accepted decision becomes a message of the topic of events, a CloudEvent.
//!
//! It reads what extends the chain, as any reader does, and goes on behind the last event that it finds published. What it
//! does not know to be published it publishes once more, under the same id; so each event is there, and each id means one.

mod encode;
mod runner;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use pledger_ledger::{keys::KeyStore, log::Log};

pub use runner::Publisher;

/// What the publisher works with.
pub struct PublisherDesk {
    /// The ledger.
    pub log: Arc<dyn Log>,
    /// The ledger's id, which every event names as its source.
    pub ledger_id: String,
    /// Opens what names persons; without it, that is published sealed.
    pub persons: Option<Arc<dyn KeyStore>>,
    /// What is told of it.
    pub status: Arc<PublisherStatus>,
}

/// What the publisher is doing.
#[derive(Debug, Default)]
pub struct PublisherStatus {
    published: AtomicU64,
    trouble: Mutex<Option<String>>,
}

impl PublisherStatus {
    /// How many events were handed over since the start.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// What keeps it from its work, where something does.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    fn count(&self, events: usize) {
        self.published.fetch_add(events as u64, Ordering::Relaxed);
    }

    /// Says once that something does not work, and once that it does again.
    fn note(&self, trouble: Option<&str>) {
        let mut known = self.trouble.lock();
        match (&*known, trouble) {
            (None, Some(reason)) => tracing::error!(reason, "events are not published; it is tried again"),
            (Some(_), None) => tracing::info!("events are published again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        *known = trouble.map(str::to_owned);
    }
}
