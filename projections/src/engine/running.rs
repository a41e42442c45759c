//! The threads behind one generation.

use std::{
    io, mem,
    sync::{Arc, atomic::Ordering, mpsc},
    thread::{self, JoinHandle},
};

use pledger_ledger::chain::ChainHead;

use super::{EngineError, Shared, reader, worker, writer};
use crate::{generation::GenerationNumber, store::Store};

/// Batches that may wait for a worker: many short ones, so that all others go on while one is held by a write.
const INBOX_BATCHES: usize = 16;

/// The threads behind one generation.
pub(super) struct Running {
    pub(super) shared: Arc<Shared>,
    /// The generation's number, where it is stored.
    pub(super) generation: Option<GenerationNumber>,
    pub(super) threads: Vec<JoinHandle<()>>,
    pub(super) writer: Option<JoinHandle<()>>,
}

impl Running {
    pub(super) fn spawn(&mut self, heads: &[ChainHead], store: Option<Box<dyn Store>>) -> Result<(), EngineError> {
        let mut inboxes = Vec::new();
        for number in 0..self.shared.shards.len() {
            let (inbox, batches) = mpsc::sync_channel(INBOX_BATCHES);
            inboxes.push(inbox);
            let worker = worker::Worker::new(number, Arc::clone(&self.shared), heads);
            self.threads.push(spawn(&format!("fold-{number}"), move || worker.run(&batches))?);
        }
        let reader = reader::Reader::new(Arc::clone(&self.shared), heads.iter().map(|head| head.next_offset).collect(), inboxes)?;
        self.threads.push(spawn("fold-reader", move || reader.run())?);
        if let Some(store) = store {
            let writer = writer::Writer::new(Arc::clone(&self.shared), store);
            self.writer = Some(spawn("fold-writer", move || writer.run())?);
        }
        Ok(())
    }

    /// Takes in what was read, writes it, and ends the threads.
    pub(super) fn join(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        let threads = mem::take(&mut self.threads);
        self.join_all(threads);
        self.shared.drained.store(true, Ordering::Release);
        let writer = self.writer.take();
        self.join_all(writer);
    }

    fn join_all(&self, threads: impl IntoIterator<Item = JoinHandle<()>>) {
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the fold engine panicked");
                *self.shared.reader_trouble.lock() = Some("the fold engine failed; restart pledger".to_owned());
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.join();
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}
