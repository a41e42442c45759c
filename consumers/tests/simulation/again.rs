//! Decides everything again: whatever crashed and overtook, the ledger holds all that its decisions were made from.

use std::sync::Arc;

use pledger_consumers::counterfactual::{Draft, replay};
use pledger_domain::{
    rules::{RuleSet, Rules},
    values::Timestamp,
};

use crate::world::World;

/// Under the rules as recorded, and under a draft that says the same, everything comes out as recorded.
pub(crate) fn check(world: &World) -> Result<(), String> {
    let end = Timestamp::parse("2999-01-01").expect("a date");
    let rules = Rules::parse(Rules::DEFAULT).expect("the default rules");
    let draft = Draft { rules: Arc::new(RuleSet { version: 9, effective_from: end, rules }), from: None };
    let report = replay(&world.log, &[draft], end, &mut |_| {}).map_err(|error| error.to_string())?;
    if let Some(first) = report.unrepeated.first() {
        return Err(format!("decided again it is another decision: {first:?}"));
    }
    match report.drafts[0].first() {
        Some(first) => Err(format!("the same rules decide otherwise: {first:?}")),
        None if report.decided == 0 => Err("nothing was decided again".to_owned()),
        None => Ok(()),
    }
}
