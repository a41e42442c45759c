//! The thread that lets every policy look again and again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use pledger_ledger::{
    commands::{Answer, CommandSink},
    edge::Edge,
};

use crate::background::Background;

use super::{
    PolicyView,
    round::{Desk, Ended, Line},
};

/// How long after a look a server lets the next one follow.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The longest pause where commands are to be sent again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What the policies are doing.
#[derive(Debug, Default)]
pub struct PolicyStatus {
    looks: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    trouble: Mutex<Option<String>>,
}

/// The policies' thread; stops when it is told to, after the batch that is being decided.
pub struct Policies {
    _thread: Background,
}

impl PolicyStatus {
    /// How often all of them looked since the start.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.looks.load(Ordering::Acquire)
    }

    /// How many of their commands were accepted since the start.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// How many were refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// What keeps them from their work, where something does.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    pub(super) fn count(&self, answer: &Answer) {
        let counter = if answer.outcome.is_ok() { &self.accepted } else { &self.refused };
        counter.fetch_add(u64::from(!answer.replayed), Ordering::Relaxed);
    }

    /// Says once that something does not work, and once that it does again.
    fn note(&self, trouble: Option<&str>) {
        let mut known = self.trouble.lock();
        match (&*known, trouble) {
            (None, Some(reason)) => tracing::error!(reason, "the policies cannot do their work; they try again"),
            (Some(_), None) => tracing::info!("the policies do their work again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        *known = trouble.map(str::to_owned);
    }
}

impl Policies {
    /// Starts the thread, which looks about `every` so often. Commands are prepared at `edge`, whose clock says what time
    /// it is, and sent to `sink`.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(
        view: impl PolicyView,
        edge: Edge,
        sink: Arc<dyn CommandSink>,
        status: Arc<PolicyStatus>,
        every: Duration,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let work = move |stopping| {
            let desk = Desk { view: Box::new(view), edge, sink, status, stopping };
            let _watched = Watched(Arc::clone(&desk.status));
            run(&desk, &runtime, every);
        };
        Ok(Self { _thread: Background::start("policies", work)? })
    }

    /// Waits for the decisions that are on their way, and ends.
    pub fn stop(self) {
        drop(self);
    }
}

/// Says so where the thread ends unasked.
struct Watched(Arc<PolicyStatus>);

impl Drop for Watched {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.note(Some("they failed; restart pledger"));
        }
    }
}

fn run(desk: &Desk, runtime: &tokio::runtime::Runtime, every: Duration) {
    let mut lines: Vec<Line> = super::all().into_iter().map(Line::new).collect();
    let mut pause = every;
    while !desk.stopping.is_set() {
        let ended: Vec<Ended> = lines.iter_mut().map(|line| runtime.block_on(line.look(desk))).collect();
        let trouble = ended.iter().find_map(|ended| match ended {
            Ended::Trouble(reason) => Some(reason.as_str()),
            Ended::Settled | Ended::More | Ended::Behind | Ended::Later(_) => None,
        });
        desk.status.note(trouble);
        desk.status.looks.fetch_add(1, Ordering::Release);
        pause = next_pause(&ended, pause, every);
        // Woken early it looks early: that does no harm.
        thread::park_timeout(pause);
    }
}

/// How long to wait after looks that ended so; `last` is the pause before them. Whoever was turned away waits longer each
/// time.
fn next_pause(ended: &[Ended], last: Duration, every: Duration) -> Duration {
    let turned_away = ended.iter().any(|ended| match ended {
        Ended::Later(reason) => {
            tracing::debug!(reason, "a policy's command is sent again later");
            true
        }
        Ended::Trouble(_) => true,
        Ended::Settled | Ended::More | Ended::Behind => false,
    });
    if turned_away {
        last.max(every).saturating_mul(2).min(LONGEST_PAUSE)
    } else if ended.contains(&Ended::More) {
        Duration::ZERO
    } else {
        every
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_turned_away_waits_longer_each_time() {
        let (later, trouble) = (Ended::Later("full".into()), Ended::Trouble("damaged".into()));
        for (ended, last, next) in [
            (vec![Ended::Settled, Ended::Settled], 30, 1),
            (vec![Ended::Behind, Ended::Settled], 30, 1),
            (vec![Ended::Settled, Ended::More], 30, 0),
            (vec![Ended::Settled, later.clone()], 0, 2),
            (vec![trouble, Ended::More], 4, 8),
            (vec![later, Ended::Settled], 40, 60),
        ] {
            assert_eq!(next_pause(&ended, Duration::from_secs(last), LOOK_EVERY), Duration::from_secs(next), "{ended:?}");
        }
    }

    #[test]
    fn trouble_shows_until_it_is_over() {
        let status = PolicyStatus::default();
        status.note(Some("damaged"));
        assert_eq!(status.trouble().as_deref(), Some("damaged"));
        status.note(None);
        assert_eq!(status.trouble(), None);
    }
}
