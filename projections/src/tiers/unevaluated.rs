//! Who was not held against the tiers for a period yet, and with what figures: what the evaluating policy acts on.

use pledger_domain::{
    partner::{PartnerPhase, TierInputs},
    values::{PartnerId, Period, Timestamp},
};

use super::{
    standing::{active_certifications, figures, in_force_at},
    view::inputs,
};
use crate::{partners::Partner, query::Rows, symbol::Symbol};

/// A partner that is to be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Unevaluated {
    /// The partner.
    pub partner_id: PartnerId,
    /// Its figures over the window that ends with the period.
    pub inputs: TierInputs,
}

/// Every partner in the program that was not held against the tiers for `period` or a later one, by id. The window and the
/// currency are those of the rules in force at `now`, under which the evaluation will be decided.
#[must_use]
pub fn unevaluated(rows: &Rows<'_>, period: Period, now: Timestamp) -> Vec<Unevaluated> {
    let end = period.end();
    let partners = rows.shards().flat_map(|shard| shard.partners.partners.iter());
    let due = partners.filter(|(_, row, _)| is_due(row, end)).map(|(key, ..)| key.partner);
    let mut due: Vec<Symbol> = due.filter(|partner| rows.incomplete_since("partner", *partner).is_none()).collect();
    if due.is_empty() {
        return Vec::new();
    }
    due.sort_unstable();
    let rules = in_force_at(rows, now);
    let at = end.plus_micros(-1);
    let mut figures = figures(rows, at, rules.rules.tier_policy.window_days);
    let certified = active_certifications(rows, at);
    let evaluate = |partner: Symbol| {
        let figures = figures.remove(&partner).unwrap_or_default();
        let inputs = inputs(&figures, certified.get(&partner).copied().unwrap_or(0), &rules);
        Unevaluated { partner_id: PartnerId::parse(partner.name()).expect("it was an id when it was recorded"), inputs }
    };
    due.into_iter().map(evaluate).collect()
}

/// Whether a partner is to be evaluated for the period that ended at `end`. One that the ledger heard of later is not,
/// whatever date it registered on: an import that is still running would be evaluated half.
fn is_due(row: &Partner, end: Timestamp) -> bool {
    let in_program = match row.phase {
        PartnerPhase::Applied | PartnerPhase::Onboarding | PartnerPhase::Active | PartnerPhase::Suspended => true,
        PartnerPhase::Unknown | PartnerPhase::Prospect | PartnerPhase::Retired => false,
    };
    let was_there = row.known_at < end && row.registered_at.is_some_and(|at| at < end);
    in_program && was_there && row.evaluated_until.is_none_or(|until| until < end)
}

#[cfg(test)]
mod tests {
    use pledger_domain::{
        partner::{PartnerEvent, Role},
        values::{Currency, Label, Money, TierName},
    };
    use pledger_ledger::record::{Events, Outcome};

    use super::*;
    use crate::{
        asked::{ask_once, by, lines, read},
        given::{Given, Ledger, registered, time, won},
    };

    fn partner(id: &str, at: &str, event: PartnerEvent) -> Given {
        Given::new(&format!("partner/{id}"), at, Outcome::Accepted(Events::Partner(vec![event].into())))
    }

    fn joined(id: &str, at: &str) -> Given {
        let name = Label::parse("Nordwind").expect("a label");
        partner(id, at, PartnerEvent::PartnerRegistered { name, roles: vec![Role::Reseller], country: None, region: None })
    }

    fn evaluated(id: &str, period: &str) -> Given {
        let inputs = TierInputs { revenue: Money::from_minor(0, Currency::USD), active_certifications: 0, net_new_logos: 0 };
        let earned = TierName::parse("registered").expect("a tier");
        partner(id, "2026-10-02", PartnerEvent::TierEvaluated { period: period.to_owned(), inputs, earned })
    }

    /// Who is to be evaluated for the third quarter of 2026, with what revenue.
    fn due(ledger: &Ledger) -> Vec<(String, String)> {
        let period = Period::parse("2026-Q3").expect("a period");
        let found = read(ledger, |rows| unevaluated(rows, period, time("2026-10-01")));
        found.into_iter().map(|due| (due.partner_id.to_string(), due.inputs.revenue.decimal().to_string())).collect()
    }

    #[test]
    fn figures_are_those_of_the_window_that_ends_with_the_period() {
        let ledger = Ledger::with([
            joined("p1", "2026-01-01"),
            joined("p2", "2026-09-30T23:59:59Z"),
            Given::account("acme.com", "2025-01-10", vec![registered("d-1", "p1", "GTX", "1.00"), registered("d-2", "p1", "GTX", "1.00")]),
            Given::account("acme.com", "2026-09-30", vec![won("d-1", "500.00", "2026-09-30T23:00:00Z")]),
            Given::account("acme.com", "2026-10-01", vec![won("d-2", "70.00", "2026-10-01")]),
        ]);
        assert_eq!(due(&ledger), [("p1".into(), "500.00".into()), ("p2".into(), "0.00".into())]);
    }

    #[test]
    fn whoever_was_not_there_or_was_evaluated_is_left_out() {
        let imported = Given { recorded_at: time("2026-10-01"), ..joined("imported", "2020-01-01") };
        let nominated = PartnerEvent::PartnerNominated { name: Label::parse("Maybe").expect("a label") };
        let ledger = Ledger::with([
            joined("due", "2026-01-01"),
            evaluated("due", "2026-Q2"),
            joined("done", "2026-01-01"),
            evaluated("done", "2026-Q3"),
            evaluated("done", "2026-Q1"),
            joined("ahead", "2026-01-01"),
            evaluated("ahead", "2026-Q4"),
            joined("new", "2026-10-01"),
            imported,
            partner("prospect", "2026-01-01", nominated),
            joined("left", "2026-01-01"),
            partner("left", "2026-02-01", PartnerEvent::RetirementCompleted { as_of: Vec::new() }),
        ]);
        assert_eq!(due(&ledger), [("due".into(), "0.00".into())]);
        let shown =
            lines(&ask_once(&ledger, "tiers", &by(&[], &[("partner", "done"), ("partner", "new")])), &["partner", "evaluated_until"]);
        assert_eq!(shown, ["done 2026-10-01T00:00:00Z", "new -"]);
    }
}
