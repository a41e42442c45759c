//! `GET /v1/{view}/{key}/why`, what `pledger explain` asks: one question at a time, each of another key.

use anyhow::{Result, ensure};
use pledger_projections::query::{Item, Query};

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
    let keys_of = |view: &str, field: &str| -> Result<Vec<String>> {
        let page = served.engine.query(view, &Query { limit: Some(usize::try_from(KEYS)?), ..Query::default() })?;
        let id = |item: &Item| item.0.iter().find(|(name, _)| *name == field).and_then(|(_, id)| id.as_str().map(str::to_owned));
        Ok(page.items.iter().filter_map(id).collect())
    };
    let conflicts = keys_of("conflicts", "conflict_id")?;
    // Of each are some two hundredths of all decisions.
    let partners = keys_of("partners", "partner_id")?;
    let asked = [
        ("deals", &deals),
        ("attribution", &deals),
        ("conflicts", &conflicts),
        ("partners", &partners),
        ("tiers", &partners),
        ("ropi", &partners),
    ];
    for (view, keys) in asked {
        ensure!(!keys.is_empty(), "{view} has no keys to ask for");
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
