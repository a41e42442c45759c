//! Read models as of one time, known at another: folded in memory when they are asked for, and kept for a while.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
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
    /// Whether it has come to the ledger's end once.
    is_folded: Arc<AtomicBool>,
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
    /// 422 where history begins after the moment, 503 while it is still being folded, or others are.
    pub(crate) fn engine(
        &self,
        checkpoints: Option<&dyn Generations>,
        log: &Arc<dyn Log>,
        which: Which,
        view: Option<&'static ViewSpec>,
    ) -> Result<Arc<Engine>, Problem> {
        let (engine, is_folded) = self.find_or_start(checkpoints, log, which, view)?;
        if !engine.wait_until_caught_up(FOLDING_TIMEOUT, |_| {}) {
            let lag = engine.lag().map_err(|error| Problem::internal(&error))?;
            return Err(busy(&format!("history is still being folded: {lag} records are to come")));
        }
        is_folded.store(true, Ordering::Release);
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
    ) -> Result<(Arc<Engine>, Arc<AtomicBool>), Problem> {
        let answers = |one: &Kept| one.which == which && one.only.is_none_or(|only| view.is_some_and(|view| view.name == only));
        // What is let go of is dropped when others may ask again.
        let mut let_go = Vec::new();
        let mut kept = self.kept.lock();
        let_go.extend(kept.extract_if(.., |one| one.which != which && one.asked.elapsed() >= KEPT));
        if let Some(one) = kept.iter_mut().find(|one| answers(one)) {
            one.asked = Instant::now();
            return Ok((Arc::clone(&one.engine), Arc::clone(&one.is_folded)));
        }
        // Whoever folds is not stopped by others, or nobody would ever be answered.
        let folding: Vec<Which> = kept.iter().filter(|one| !one.is_folded.load(Ordering::Acquire)).map(|one| one.which).collect();
        if folding.len() >= MAX_KEPT {
            return Err(busy("as many other times in the past as are kept are just being folded"));
        }
        let all: HashSet<Which> = kept.iter().map(|one| one.which).collect();
        if all.len() >= MAX_KEPT && !all.contains(&which) {
            let last_asked = |which: &Which| kept.iter().filter(|one| one.which == *which).map(|one| one.asked).max();
            let oldest = all.into_iter().filter(|which| !folding.contains(which)).min_by_key(last_asked);
            let_go.extend(kept.extract_if(.., |one| Some(one.which) == oldest));
        }
        let Which { moment, rules_version } = which;
        let past = Engine::at_moment(checkpoints, Arc::clone(log), Options { moment, ..Options::default() }, view, rules_version);
        let AtMoment { engine, only } = past.map_err(|error| Problem::internal(&error))?;
        let engine = Arc::new(engine);
        if only.is_none() {
            // It answers whatever the others do.
            let_go.extend(kept.extract_if(.., |one| one.which == which));
        }
        let is_folded = Arc::<AtomicBool>::default();
        kept.push(Kept { which, only, engine: Arc::clone(&engine), is_folded: Arc::clone(&is_folded), asked: Instant::now() });
        Ok((engine, is_folded))
    }
}

fn busy(detail: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "FoldingHistory", detail).retry_after(RETRY_S)
}

#[cfg(test)]
mod tests {
    use pledger_domain::values::Timestamp;
    use pledger_ledger::{
        memory::MemoryLog,
        record::{FORMAT, LedgerCreated},
        slices::Slices,
    };

    use super::*;

    fn which(day: i64) -> Which {
        let moment = Moment { as_of: Some(Timestamp::from_micros(day * 86_400_000_000)), ..Moment::default() };
        Which { moment, rules_version: None }
    }

    #[test]
    fn no_more_are_folded_at_a_time_than_are_kept_and_none_of_them_gives_way() {
        let created_at = Timestamp::from_micros(0);
        let created = LedgerCreated { v: FORMAT, ledger_id: "l".into(), slices: Slices::default(), created_at, generated: None };
        let log: Arc<dyn Log> = Arc::new(MemoryLog::new(created));
        let past = Past::default();
        let ask = |day| past.find_or_start(None, &log, which(day), None);
        let begun: Vec<_> = (1..=3).map(|day| ask(day).expect("it is begun")).collect();
        let refused = ask(4).map(drop).expect_err("three are being folded");
        assert_eq!((refused.status().as_u16(), refused.code()), (503, "FoldingHistory"));
        ask(2).expect("it is being folded already");
        begun[1].1.store(true, Ordering::Release);
        ask(4).expect("one is folded, and makes room");
        let kept = past.kept.lock().iter().map(|one| one.which).collect::<Vec<_>>();
        assert_eq!(kept, [which(1), which(3), which(4)]);
    }
}
