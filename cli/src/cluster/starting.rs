//! A process of a cluster before it serves: it is alive and not ready, and waits for those that it stands on.

use std::{
    fmt::Display,
    future, process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use pledger_command_api::{Probe, serve_waiting};
use pledger_ledger::reach::Unreached;
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};

use crate::{front::Front, output};

/// How soon who was away is asked again.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How often it is said that it is still away.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// What a start is at that waits for nobody.
const OPENING: &str = "the ledger is opened";

/// An address at which `/healthz` answers, and everything else says what the start is at.
pub(super) struct Starting {
    front: Front,
    at: watch::Sender<String>,
    end: oneshot::Sender<()>,
    /// Whether anything was begun that has to be brought to an end.
    begun: Arc<AtomicBool>,
    answering: JoinHandle<std::io::Result<()>>,
}

impl Starting {
    /// Answers from now on.
    pub(super) fn at(front: Front) -> Result<Self> {
        let (at, shown) = watch::channel(OPENING.to_owned());
        let probe = Probe::new("start", move || Err(shown.borrow().clone()));
        let (end, ended) = oneshot::channel();
        let (signalled, begun) = (front.signalled.clone(), Arc::<AtomicBool>::default());
        let is_begun = Arc::clone(&begun);
        let told_in_vain = async move {
            signalled.told().await;
            if is_begun.load(Ordering::Acquire) {
                // Whoever serves afterwards finds that it was told to stop, and ends everything in order.
                future::pending::<()>().await;
            }
        };
        let answering = front.beside(|listener| async {
            tokio::select! {
                served = serve_waiting(listener, probe, async { drop(ended.await) }) => served,
                () = told_in_vain => process::exit(0),
            }
        })?;
        Ok(Self { front, at, end, begun, answering })
    }

    /// Asks somebody until it is reached, however long that takes.
    ///
    /// # Errors
    /// What no waiting mends.
    pub(super) fn wait_for(&self, whom: &impl Display, reach: impl Fn() -> Result<(), Unreached>) -> Result<()> {
        let (begun, mut said_at) = (Instant::now(), None::<Instant>);
        loop {
            let reason = match reach() {
                Ok(()) => break,
                Err(Unreached::Refused(reason)) => bail!("{whom}: {reason}"),
                Err(Unreached::Away(reason)) => format!("waiting for {whom}: {reason}"),
            };
            if said_at.is_none() {
                self.say(whom);
            }
            if said_at.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
                tracing::warn!("{reason}");
                said_at = Some(Instant::now());
            }
            self.at.send_replace(reason);
            thread::sleep(ASK_EVERY);
        }
        if said_at.is_some() {
            tracing::warn!("{whom} is there, after {} s", begun.elapsed().as_secs());
            self.at.send_replace(OPENING.into());
        }
        Ok(())
    }

    /// From now on a signal ends this process in order, when the start is over: it is a member of groups that others wait for.
    pub(super) fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    fn say(&self, whom: &impl Display) {
        let url = &self.front.url;
        let said = output::print(format!("\nWaiting for {whom} - stop with Ctrl-C. Watch it at:\n  {url}/readyz"));
        if let Err(error) = said {
            tracing::debug!(%error, "stdout is closed");
        }
    }

    /// Answers nobody any more; the address is another's to serve on.
    pub(super) fn end(self) -> Front {
        let Self { front, end, answering, .. } = self;
        drop(end);
        if let Err(error) = front.wait(answering) {
            tracing::warn!(%error, "what answered during the start failed");
        }
        front
    }
}
