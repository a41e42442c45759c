//! Read models as of one time, known at another: folded in memory when they are asked for, and kept for a while.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use parking_lot::Mutex;
use pledger_ledger::log::Log;
use pledger_projections::{
    engine::{AtMoment, Beginning, Engine, Moment, Options},
    generation::Generations,
    query::ViewSpec,
};

use crate::problem::Problem;

/// The most moments that are kept; each takes as much memory as the read models, or as what the views are made from that
/// were asked.
const MAX_KEPT: usize = 3;
/// How long a moment that nobody asks for is kept.
const KEPT: Duration = Duration::from_secs(600);
/// How long a question waits until its moment is folded.
const FOLDING_TIMEOUT: Duration = Duration::from_secs(60);
/// After how many seconds to ask again where it is not.
const RETRY_S: u32 = 10;

/// Which past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Which {
    pub(crate) moment: Moment,
    /// The version of the rules that the generation in use is folded under, where that is one for all decisions: its past is, too.
    pub(crate) rules_version: Option<u32>,
}

struct Kept {
    which: Which,
    /// The one view that it can be asked by; any where absent.
    only: Option<&'static str>,
    engine: Arc<Engine>,
    asked: Instant,
}

/// The moments that were asked for of late.
#[derive(Default)]
pub(crate) struct Past {
    kept: Mutex<Vec<Kept>>,
}

impl Past {
    /// The read models of a moment, folded up to the ledger's end, to be asked by `view`, or by any. It blocks while they are.
    ///
    /// # Errors
    /// 422 where history begins after the moment, 503 while it is still being folded.
    pub(crate) fn engine(
        &self,
        checkpoints: Option<&dyn Generations>,
        log: &Arc<dyn Log>,
        which: Which,
        view: Option<&'static ViewSpec>,
    ) -> Result<Arc<Engine>, Problem> {
        let engine = self.find_or_start(checkpoints, log, which, view)?;
        if !engine.wait_until_caught_up(FOLDING_TIMEOUT, |_| {}) {
            let lag = engine.lag().map_err(|error| Problem::internal(&error))?;
            let detail = format!("history is still being folded: {lag} records are to come");
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "FoldingHistory", detail).retry_after(RETRY_S));
        }
        match engine.begins_later() {
            None => Ok(engine),
            Some(begins) => {
                let field = match begins {
                    Beginning::RecordedAt(_) => "known_at",
                    Beginning::EffectiveAt(_) => "as_of",
                };
                let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "BeforeHistory", begins.to_string());
                Err(problem.field(field).accepted("a time from then on"))
            }
        }
    }

    fn find_or_start(
        &self,
        checkpoints: Option<&dyn Generations>,
        log: &Arc<dyn Log>,
        which: Which,
        view: Option<&'static ViewSpec>,
    ) -> Result<Arc<Engine>, Problem> {
        let answers = |one: &Kept| one.which == which && one.only.is_none_or(|only| view.is_some_and(|view| view.name == only));
        let mut kept = self.kept.lock();
        kept.retain(|one| one.which == which || one.asked.elapsed() < KEPT);
        if let Some(one) = kept.iter_mut().find(|one| answers(one)) {
            one.asked = Instant::now();
            return Ok(Arc::clone(&one.engine));
        }
        let all: HashSet<Which> = kept.iter().map(|one| one.which).collect();
        if all.len() >= MAX_KEPT
            && !all.contains(&which)
            && let Some(oldest) =
                all.into_iter().min_by_key(|which| kept.iter().filter(|one| one.which == *which).map(|one| one.asked).max())
        {
            kept.retain(|one| one.which != oldest);
        }
        let Which { moment, rules_version } = which;
        let past = Engine::at_moment(checkpoints, Arc::clone(log), Options { moment, ..Options::default() }, view, rules_version);
        let AtMoment { engine, only } = past.map_err(|error| Problem::internal(&error))?;
        let engine = Arc::new(engine);
        if only.is_none() {
            // It answers whatever the others do.
            kept.retain(|one| one.which != which);
        }
        kept.push(Kept { which, only, engine: Arc::clone(&engine), asked: Instant::now() });
        Ok(engine)
    }
}
