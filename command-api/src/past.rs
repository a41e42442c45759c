//! Read models as of one time, known at another: folded in memory when they are asked for, and kept for a while.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use parking_lot::Mutex;
use pledger_ledger::log::Log;
use pledger_projections::{
    engine::{Engine, Moment, Options},
    generation::Generations,
};

use crate::problem::Problem;

/// The most moments that are kept; each takes as much memory as the read models.
const MAX_KEPT: usize = 3;
/// How long a moment that nobody asks for is kept.
const KEPT: Duration = Duration::from_secs(600);
/// How long a question waits until its moment is folded.
const FOLDING_TIMEOUT: Duration = Duration::from_secs(60);
/// After how many seconds to ask again where it is not.
const RETRY_S: u32 = 10;

struct Kept {
    moment: Moment,
    engine: Arc<Engine>,
    asked: Instant,
}

/// The moments that were asked for of late.
#[derive(Default)]
pub(crate) struct Past {
    kept: Mutex<Vec<Kept>>,
}

impl Past {
    /// The read models of `moment`, folded up to the ledger's end. It blocks while they are.
    ///
    /// # Errors
    /// 422 where history begins after the moment, 503 while it is still being folded.
    pub(crate) fn engine(&self, checkpoints: Option<&dyn Generations>, log: &Arc<dyn Log>, moment: Moment) -> Result<Arc<Engine>, Problem> {
        let engine = self.find_or_start(checkpoints, log, moment)?;
        if !engine.wait_until_caught_up(FOLDING_TIMEOUT, |_| {}) {
            let lag = engine.lag().map_err(|error| Problem::internal(&error))?;
            let detail = format!("history is still being folded: {lag} records are to come");
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "FoldingHistory", detail).retry_after(RETRY_S));
        }
        match engine.begins_later() {
            None => Ok(engine),
            Some(begins) => Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "BeforeHistory",
                format!("history begins later: its first fact is of {}, recorded at {}", begins.effective_at, begins.recorded_at),
            )
            .field(if moment.as_of.is_some() { "as_of" } else { "known_at" })
            .accepted("a time from then on")),
        }
    }

    fn find_or_start(&self, checkpoints: Option<&dyn Generations>, log: &Arc<dyn Log>, moment: Moment) -> Result<Arc<Engine>, Problem> {
        let mut kept = self.kept.lock();
        kept.retain(|one| one.moment == moment || one.asked.elapsed() < KEPT);
        if let Some(one) = kept.iter_mut().find(|one| one.moment == moment) {
            one.asked = Instant::now();
            return Ok(Arc::clone(&one.engine));
        }
        if kept.len() >= MAX_KEPT {
            kept.sort_by_key(|one| one.asked);
            kept.remove(0);
        }
        let engine = Engine::at_moment(checkpoints, Arc::clone(log), Options { moment, ..Options::default() });
        let engine = Arc::new(engine.map_err(|error| Problem::internal(&error))?);
        kept.push(Kept { moment, engine: Arc::clone(&engine), asked: Instant::now() });
        Ok(engine)
    }
}
