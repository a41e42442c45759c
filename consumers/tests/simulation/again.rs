//! Decides everything again: whatever crashed and overtook, the ledger holds all that its decisions were made from.

use std::sync::{Arc, LazyLock};

use pledger_consumers::counterfactual::{Control, Draft, Report, replay};
use pledger_domain::{
    rules::{RuleSet, Rules},
    values::Timestamp,
};

use crate::world::World;

/// Changes to the rules, by which something comes out otherwise.
const OTHERS: [&[(&str, &str)]; 2] = [
    &[("protection_days = 90", "protection_days = 0")],
    &[("certifications = 1", "certifications = 2"), ("validity_days = 180", "validity_days = 30")],
];

/// The rules in force, and those with changes.
static DRAFTS: LazyLock<Vec<Draft>> = LazyLock::new(|| [&[][..]].into_iter().chain(OTHERS).map(draft).collect());

/// Under the rules as recorded, and under a draft that says the same, everything comes out as recorded. What drafts change is
/// the same whether everything is controlled or what they change; answers how many decisions that are.
pub(crate) fn check(world: &World) -> Result<u64, String> {
    let end = Timestamp::parse("2999-01-01").expect("a date");
    let again = |control| replay(&world.log, &DRAFTS, control, end, &mut |_| {}).map_err(|error| error.to_string());
    let report = again(Control::Everything)?;
    if let Some(first) = report.unrepeated.first() {
        return Err(format!("decided again it is another decision: {first:?}"));
    }
    if let Some(first) = report.drafts[0].first() {
        return Err(format!("the same rules decide otherwise: {first:?}"));
    }
    if report.decided == 0 || report.controlled != report.decided {
        return Err(format!("{} of {} decisions were controlled", report.controlled, report.decided));
    }
    let less = again(Control::Differences)?;
    if less.controlled > report.controlled || told(&less) != told(&report) {
        return Err(format!("with fewer controls it is another report: {less:?}, {report:?}"));
    }
    Ok(report.drafts.iter().map(|found| found.len() as u64).sum())
}

/// What a report says, but for how many were controlled.
fn told(report: &Report) -> Report {
    Report { controlled: 0, controlled_streams: 0, ..report.clone() }
}

fn draft(changes: &[(&str, &str)]) -> Draft {
    let text = changes.iter().fold(Rules::DEFAULT.to_owned(), |text, (was, is)| {
        assert!(text.contains(was), "{was}");
        text.replacen(was, is, 1)
    });
    let rules = Rules::parse(&text).expect("rules");
    Draft { rules: Arc::new(RuleSet { version: 9, effective_from: Timestamp::from_micros(0), rules }), from: None }
}
