//! Decides everything again: whatever crashed and overtook, the ledger holds all that its decisions were made from.

use std::sync::{Arc, LazyLock};

use pledger_consumers::counterfactual::{Control, Draft, Found, Options, Report, replay};
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

/// Every clause that decides anything, changed for itself: what a command says that it is decided by has to be all of it.
const CLAUSES: [(&str, &str); 16] = [
    ("protection_days = 90", "protection_days = 1"),
    ("protection_scope = \"product\"", "protection_scope = \"account\""),
    ("\nvalidity_days = 180", "\nvalidity_days = 1"),
    ("extension_days = 90", "extension_days = 1"),
    ("max_extensions = 1", "max_extensions = 0"),
    ("approval_sla_hours = 48", "approval_sla_hours = 1"),
    ("required_fields = []", "required_fields = [\"contact\"]"),
    ("prerequisite_courses = []", "prerequisite_courses = [\"101\"]"),
    ("routing = []", "routing = [{ min_amount = \"200\", reviewer = \"vp\" }]"),
    ("default_reviewer = \"channel-desk\"", "default_reviewer = \"nobody\""),
    ("\nvalidity_days = 365", "\nvalidity_days = 1"),
    ("levels = [\"professional\", \"expert\"]", "levels = [\"beginner\"]"),
    ("eligible_tiers = []", "eligible_tiers = [\"gold\"]"),
    ("claim_window_days = 90", "claim_window_days = 1"),
    ("reporting_currency = \"USD\"", "reporting_currency = \"EUR\""),
    ("grace_days = 90", "grace_days = 0"),
];

/// The rules in force, and those with changes.
static DRAFTS: LazyLock<Vec<Draft>> = LazyLock::new(|| [&[][..]].into_iter().chain(OTHERS).map(draft).collect());
static OF_CLAUSES: LazyLock<Vec<Draft>> = LazyLock::new(|| CLAUSES.iter().map(|change| draft(&[*change])).collect());

/// Under the rules as recorded, and under a draft that says the same, everything comes out as recorded. What drafts change is
/// the same whether every command is decided again or only those that a changed clause decides; answers how many decisions
/// that are.
pub(crate) fn check(world: &World, seed: u64) -> Result<u64, String> {
    let end = Timestamp::parse("2999-01-01").expect("a date");
    let of_clause = &OF_CLAUSES[usize::try_from(seed).unwrap_or_default() % CLAUSES.len()];
    let drafts = [&DRAFTS[..], std::slice::from_ref(of_clause)].concat();
    let again = |control| replay(&world.log, &drafts, Options::telling_all(control, end), &mut |_| {}).map_err(|error| error.to_string());
    let report = again(Control::Everything)?;
    if let Some(first) = report.unrepeated.first() {
        return Err(format!("decided again it is another decision: {first:?}"));
    }
    if let Some(first) = report.drafts[0].decisions.first() {
        return Err(format!("the same rules decide otherwise: {first:?}"));
    }
    if report.decided == 0 || report.controlled != report.decided {
        return Err(format!("{} of {} decisions were controlled", report.controlled, report.decided));
    }
    let less = again(Control::Differences)?;
    if less.decided > report.decided || less.controlled > report.controlled || told(&less) != told(&report) {
        return Err(format!("where less is decided again it is another report: {less:?}, {report:?}"));
    }
    Ok(report.drafts.iter().map(Found::count).sum())
}

/// What a report says, but for how much was looked at.
fn told(report: &Report) -> Report {
    Report { decided: 0, historical: 0, set_aside: 0, controlled: 0, controlled_streams: 0, ..report.clone() }
}

fn draft(changes: &[(&str, &str)]) -> Draft {
    let text = changes.iter().fold(Rules::DEFAULT.to_owned(), |text, (was, is)| {
        assert!(text.contains(was), "{was}");
        text.replacen(was, is, 1)
    });
    let rules = Rules::parse(&text).expect("rules");
    Draft { rules: Arc::new(RuleSet { version: 9, effective_from: Timestamp::from_micros(0), rules }), from: None }
}
