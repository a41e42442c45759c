//! `GET /v1/{view}/{key}/why`, what `pledger explain` asks: one question at a time, each of another key.

use anyhow::Result;
use pledger_projections::query::Query;

use super::questions::encoded;
use crate::{
    Bench,
    load::{self, FULL_SPEED},
    progress,
    report::{Row, number},
    running::Served,
};

/// The longest that an explanation may take, in milliseconds.
const MS: f64 = 200.0;
/// Keys of each view.
const KEYS: u64 = 20;
/// Decisions of the workload that are surely enough for one deal.
const PER_DEAL: u64 = 6;

pub(crate) fn measure(bench: &mut Bench, served: &Served) -> Result<()> {
    let decisions = bench.growing()?.decisions();
    let deals: Vec<String> = (0..KEYS).map(|n| format!("d-{}", n * (decisions / PER_DEAL) / KEYS)).collect();
    let page = served.engine.query("conflicts", &Query { limit: Some(usize::try_from(KEYS)?), ..Query::default() })?;
    let id = |item: &pledger_projections::query::Item| item.0.iter().find(|(name, _)| *name == "conflict_id").map(|(_, id)| id.clone());
    let conflicts: Vec<String> = page.items.iter().filter_map(|item| id(item)?.as_str().map(str::to_owned)).collect();
    for (view, keys) in [("deals", &deals), ("attribution", &deals), ("conflicts", &conflicts)] {
        let paths = keys.iter().map(|key| format!("/v1/{view}/{}/why", encoded(key)));
        let requests = paths.map(|path| load::question(&path)).collect::<Result<Vec<_>>>()?;
        let slowest = load::send(served.address, vec![requests], FULL_SPEED)?.latency_ms(1.0);
        progress(&format!("why {view}: slowest {slowest:.1} ms"));
        let of = number(decisions as f64);
        let measure = format!("explain {view} at {of} decisions, over HTTP: the slowest of {} keys", keys.len());
        bench.rows.push(Row::below(measure, slowest, "ms", MS));
    }
    Ok(())
}
