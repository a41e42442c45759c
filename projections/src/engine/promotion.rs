//! Two generations compared at one vector of positions, and one put in the place of the other in one step.

use std::{
    mem,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use pledger_ledger::slices::Position;
use serde::Serialize;

use super::{Engine, EngineError, Options, Shared};
use crate::{
    digest::{TableDigest, digests},
    generation::{GenerationNumber, Generations, Note, State},
    query::{VIEWS, find_view, position_object, positions},
    store::StoreError,
    table::Places,
};

/// How long a generation may take to reach the ledger's end before it is put in use.
const CATCHING_UP: Duration = Duration::from_secs(3_600);
/// How long two generations may take to stand still at one vector.
const STANDING: Duration = Duration::from_secs(30);
/// How often to look whether everything is written.
const LOOK: Duration = Duration::from_millis(2);

/// The tables that are folded under rules: where two generations are folded under others, these may differ.
const FOLDED_UNDER_RULES: [&str; 4] = ["deals", "attribution_rules", "conflicts", "contenders"];

/// A table of two generations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableComparison {
    /// The table.
    pub table: &'static str,
    /// The views that are made from it.
    pub projections: Vec<&'static str>,
    /// How many rows it has in each.
    pub rows: [usize; 2],
    /// Whether all rows are the same.
    pub same: bool,
}

/// Two generations at one vector of positions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Where both stood, as `{"slice": pseq}`.
    #[serde(serialize_with = "position_object")]
    pub position: Vec<Position>,
    /// Every table.
    pub tables: Vec<TableComparison>,
    /// How many streams each leaves out, because of a record that could not be taken in.
    pub parked: [usize; 2],
}

impl Comparison {
    /// The tables that differ.
    pub fn differing(&self) -> impl Iterator<Item = &TableComparison> {
        self.tables.iter().filter(|table| !table.same)
    }
}

/// The generations that there are, in words.
fn those(there: &[GenerationNumber]) -> String {
    match there {
        [] => "there is none yet: a server fills the first one, and pledger rebuild others".to_owned(),
        [only] => format!("there is {only} only"),
        several => format!("there are {}", several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// Why a generation is not put in use.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    /// There is none of this number.
    #[error("there is no generation {generation}; {}", those(.there))]
    Unknown {
        /// What was asked for.
        generation: GenerationNumber,
        /// What there is.
        there: Vec<GenerationNumber>,
    },
    /// It is in use.
    #[error("generation {0} is in use already")]
    InUse(GenerationNumber),
    /// It was not filled to the end.
    #[error("generation {0} was not filled to the ledger's end; go on with it by: pledger rebuild")]
    NotReady(GenerationNumber),
    /// It was made by other folds, or from another ledger.
    #[error("generation {0} was made by other folds than this pledger's, or from another ledger; make one by: pledger rebuild")]
    Stale(GenerationNumber),
    /// It is older than the one in use.
    #[error("generation {generation} is older than {current}, which is in use; to go back: pledger generations rollback")]
    Older {
        /// What was asked for.
        generation: GenerationNumber,
        /// The one in use.
        current: GenerationNumber,
    },
    /// The one in use replaced none that is still there.
    #[error("generation {0} replaced none that is still there")]
    NothingBefore(GenerationNumber),
    /// This process writes no read models.
    #[error("this process writes no read models: another one does, the ledger is damaged, or nothing may be written here")]
    NotHere,
    /// Another generation is just being put in use.
    #[error("another generation is just being put in use")]
    Busy,
    /// They did not come to stand at one vector.
    #[error("the generations did not come to stand at one vector of positions: {0}")]
    Behind(String),
    /// Rows differ that have to be the same.
    #[error("generation {generation} differs from the one in use in {}, which nothing should have changed", .views.join(", "))]
    Differs {
        /// What was asked for.
        generation: GenerationNumber,
        /// The views, and tables without one.
        views: Vec<&'static str>,
        /// The whole comparison.
        comparison: Box<Comparison>,
    },
    /// It cannot be opened.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The read models' database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Compares two generations, both standing still at one vector of positions while it does.
///
/// # Errors
/// `PromoteError::Behind`.
pub fn compare(one: &Engine, other: &Engine) -> Result<Comparison, PromoteError> {
    caught_up(one)?;
    caught_up(other)?;
    let (one, other) = (one.shared(), other.shared());
    let _still = still(&one, &other)?;
    Ok(compared(&one, &other))
}

fn still<'a>(one: &'a Shared, other: &'a Shared) -> Result<impl Sized + use<'a>, PromoteError> {
    one.still_together(other, STANDING).ok_or_else(|| PromoteError::Behind(format!("not within {} s", STANDING.as_secs())))
}

/// Waits until what stands still is written: who reads rows where they are stored sees what questions are answered from.
fn stored(shared: &Shared) -> Result<(), PromoteError> {
    let until = Instant::now() + STANDING;
    while !shared.is_written() {
        if Instant::now() >= until {
            let trouble = shared.writer_trouble.lock().clone();
            return Err(PromoteError::Behind(trouble.unwrap_or_else(|| format!("not written within {} s", STANDING.as_secs()))));
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

fn caught_up(engine: &Engine) -> Result<(), PromoteError> {
    let mut trouble = None;
    let is_there = engine.wait_until_caught_up(CATCHING_UP, |engine| trouble = engine.status().trouble);
    if is_there { Ok(()) } else { Err(PromoteError::Behind(trouble.unwrap_or_else(|| "history is still being folded".to_owned()))) }
}

/// Compares what stands still.
fn compared(one: &Shared, other: &Shared) -> Comparison {
    let (ours, theirs) = thread::scope(|scope| {
        let theirs = scope.spawn(|| digests_of(other));
        (digests_of(one), theirs.join().expect("digests of rows in memory cannot fail"))
    });
    let table = |(ours, theirs): (TableDigest, TableDigest)| TableComparison {
        table: ours.table,
        projections: VIEWS.iter().filter(|view| view.tables.contains(&ours.table)).map(|view| view.name).collect(),
        rows: [ours.rows, theirs.rows],
        same: ours == theirs,
    };
    let parked = |shared: &Shared| shared.shards.iter().map(|shard| shard.read().parked.streams.len()).sum();
    // By itself: rows that are held until the end of an expression and read in it again would wait for the writer, which
    // waits for whoever holds them.
    let position = positions(one.rows().shards());
    Comparison { position, tables: ours.into_iter().zip(theirs).map(table).collect(), parked: [parked(one), parked(other)] }
}

fn digests_of(shared: &Shared) -> Vec<TableDigest> {
    let guards: Vec<_> = shared.shards.iter().map(|shard| shard.read()).collect();
    digests(guards.iter().map(|guard| &**guard), Places::Covered)
}

impl Engine {
    /// Puts a generation in use that was filled beside this one: it is followed to the ledger's end, compared at one vector of
    /// positions, and takes this one's place in one step. Questions are answered from one of them or from the other. The one
    /// before stays as it is, for `roll_back`.
    ///
    /// # Errors
    /// `PromoteError`; what is in use stays in use then.
    pub fn promote(
        &self,
        generations: &dyn Generations,
        generation: GenerationNumber,
        options: Options,
    ) -> Result<Comparison, PromoteError> {
        let _alone = self.switching.try_lock().ok_or(PromoteError::Busy)?;
        let current = self.generation().ok_or(PromoteError::NotHere)?;
        let there = generations.all()?;
        if !there.contains(&generation) {
            return Err(PromoteError::Unknown { generation, there });
        }
        if generation == current {
            return Err(PromoteError::InUse(generation));
        }
        if generation < current {
            return Err(PromoteError::Older { generation, current });
        }
        let note = generations.note(generation)?;
        if note.state != State::Ready {
            return Err(PromoteError::NotReady(generation));
        }
        let candidate = self.candidate(generations, generation, options)?;
        let (live, new) = (self.shared(), candidate.shared());
        let still = still(&live, &new)?;
        let comparison = compared(&live, &new);
        let views = unexpected(&comparison, &note, &generations.note(current)?);
        if !views.is_empty() {
            return Err(PromoteError::Differs { generation, views, comparison: Box::new(comparison) });
        }
        stored(&new)?;
        // It may have been found meanwhile that another process keeps the read models.
        if self.generation() != Some(current) {
            return Err(PromoteError::NotHere);
        }
        generations.keep_note(generation, &Note { replaced: Some(current), ..note })?;
        generations.promote(generation)?;
        let before = self.replace(candidate);
        drop(still);
        before.stop();
        Ok(comparison)
    }

    /// Puts the generation in use again that this one took the place of. It is followed to the ledger's end first.
    ///
    /// # Errors
    /// `PromoteError`; what is in use stays in use then.
    pub fn roll_back(&self, generations: &dyn Generations, options: Options) -> Result<GenerationNumber, PromoteError> {
        let _alone = self.switching.try_lock().ok_or(PromoteError::Busy)?;
        let current = self.generation().ok_or(PromoteError::NotHere)?;
        let replaced = generations.note(current)?.replaced.ok_or(PromoteError::NothingBefore(current))?;
        if !generations.all()?.contains(&replaced) {
            return Err(PromoteError::NothingBefore(current));
        }
        let candidate = self.candidate(generations, replaced, options)?;
        let (live, back) = (self.shared(), candidate.shared());
        let still = still(&live, &back)?;
        stored(&back)?;
        if self.generation() != Some(current) {
            return Err(PromoteError::NotHere);
        }
        generations.promote(replaced)?;
        let before = self.replace(candidate);
        drop(still);
        before.stop();
        Ok(replaced)
    }

    fn candidate(&self, generations: &dyn Generations, generation: GenerationNumber, options: Options) -> Result<Self, PromoteError> {
        let log = Arc::clone(&self.shared().log);
        let opened = Self::open_generation(generations, generation, log, options)?;
        let candidate = opened.ok_or(PromoteError::Stale(generation))?;
        caught_up(&candidate)?;
        Ok(candidate)
    }

    /// Lets another generation answer from now on, and those who wait for the one that did wait for it; gives that one back.
    pub(super) fn replace(&self, other: Self) -> Self {
        mem::swap(&mut *self.shared.write(), &mut *other.shared.write());
        mem::swap(&mut *self.running.lock(), &mut *other.running.lock());
        other.shared().progress.release();
        other
    }
}

/// The projections, and tables without one, that differ although nothing should have changed them.
fn unexpected(comparison: &Comparison, note: &Note, live: &Note) -> Vec<&'static str> {
    let [parked_live, parked_new] = comparison.parked;
    // A stream that was left out changes whatever it is folded into.
    if parked_new < parked_live {
        return Vec::new();
    }
    let named = note.projections.iter().filter_map(|name| find_view(name).ok());
    let mut may: Vec<&str> = named.flat_map(|view| view.tables).copied().collect();
    if note.rules_version != live.rules_version {
        may.extend(FOLDED_UNDER_RULES);
    }
    let tables = comparison.differing().filter(|table| !may.contains(&table.table));
    let mut views: Vec<&'static str> =
        tables.flat_map(|table| if table.projections.is_empty() { vec![table.table] } else { table.projections.clone() }).collect();
    views.sort_unstable();
    views.dedup();
    views
}
