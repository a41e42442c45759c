//! The figures of a group of deals.

use pledger_domain::{account::Stage, values::Currency};
use serde_json::Value;

use crate::{
    deals::{Deal, DealFact, DealStatus},
    figures::{half_even, minutes_between, money, percentile, ratio},
    lacking::INCOMPLETE_SINCE,
    query::{FieldKind::*, FieldSpec},
};

const HOUR: u32 = 60;
const DAY: u32 = 24 * HOUR;

/// What `pipeline` says of a group.
pub(super) const FIELDS: &[FieldSpec] = &[
    FieldSpec::new("currency", Text, "The currency of the amounts; a group has one item a currency, they are never added up."),
    FieldSpec::new("count", Count, "How many deals."),
    FieldSpec::new("amount", Money, "Their value: the value won where won, the expected value otherwise."),
    FieldSpec::new("registered_amount", Money, "Their value as registered."),
    FieldSpec::new(
        "weighted_amount",
        Money,
        "The value weighted by how likely the stage is to be won; a won deal by 1, any other closed one by 0.",
    )
    .computed(
        "0.1 * open_prospect + 0.25 * open_qualified + 0.4 * open_technical_validation + 0.6 * open_business_validation + 0.8 * open_committed + 0.9 * open_launched + won_amount",
    ),
    FieldSpec::new("approved", Count, "How many were approved; a won deal was."),
    FieldSpec::new("decided", Count, "How many were approved or rejected."),
    FieldSpec::new("won", Count, "How many were won."),
    FieldSpec::new("approval_rate", Decimal, "approved / decided; null where none was decided.").computed("approved / decided"),
    FieldSpec::new("conversion", Decimal, "won / approved; null where none was approved.").computed("won / approved"),
    FieldSpec::new(
        "decision_time_p50_hours",
        Decimal,
        "The median time from the submission to the decision, in hours, without historical deals.",
    )
    .computed("percentile(0.5, decision_minutes) / 60"),
    FieldSpec::new("decision_time_p95_hours", Decimal, "The 95th percentile of that time.")
        .computed("percentile(0.95, decision_minutes) / 60"),
    FieldSpec::new(
        "sla_attainment",
        Decimal,
        "Decided in time / decided or overdue, of the deals with a promised time; without historical deals.",
    )
    .computed("sla_met / sla_promised"),
    FieldSpec::new("cycle_time_median_days", Decimal, "The median time from the registration to the close of won deals, in days.")
        .computed("percentile(0.5, cycle_minutes) / 1440"),
    INCOMPLETE_SINCE,
];

/// The stages, and what the open value in each is called where it is told.
const OPEN: [(Stage, &str); 6] = [
    (Stage::Prospect, "open_prospect"),
    (Stage::Qualified, "open_qualified"),
    (Stage::TechnicalValidation, "open_technical_validation"),
    (Stage::BusinessValidation, "open_business_validation"),
    (Stage::Committed, "open_committed"),
    (Stage::Launched, "open_launched"),
];

/// What a stage weighs, in thousandths: the usual weights of a forecast, rising with the stage.
const fn weight(stage: Stage) -> i128 {
    match stage {
        Stage::Prospect => 100,
        Stage::Qualified => 250,
        Stage::TechnicalValidation => 400,
        Stage::BusinessValidation => 600,
        Stage::Committed => 800,
        Stage::Launched => 900,
    }
}

/// Counts, sums and durations of a group of deals of one currency.
#[derive(Debug, Default)]
pub(super) struct Figures {
    count: u64,
    amount: i128,
    registered_amount: i128,
    /// The value of open deals by their stage, as in `OPEN`.
    open: [i128; OPEN.len()],
    won_amount: i128,
    approved: u64,
    decided: u64,
    won: u64,
    sla_met: u64,
    sla_promised: u64,
    /// Minutes from the submission to the decision.
    decisions: Vec<u32>,
    /// Minutes from the registration to the close.
    cycles: Vec<u32>,
}

impl Figures {
    pub(super) fn add(&mut self, fact: &DealFact<'_>) {
        let deal = fact.deal;
        let amount = i128::from(deal.amount);
        self.count += 1;
        self.amount += amount;
        self.registered_amount += i128::from(deal.registered_amount);
        match deal.status {
            DealStatus::Open => {
                let sums = self.open.iter_mut().zip(OPEN);
                sums.filter(|(_, (stage, _))| *stage == deal.stage).for_each(|(sum, _)| *sum += amount);
            }
            DealStatus::Won => self.won_amount += amount,
            DealStatus::Lost | DealStatus::Rejected | DealStatus::Expired | DealStatus::Withdrawn => {}
        }
        // Only approved deals are won: as of a time between the close and a later day that the approval is dated, too.
        let won = deal.status == DealStatus::Won;
        self.approved += u64::from(deal.approved || won);
        self.decided += u64::from(deal.decided_at.is_some() || won);
        if won {
            self.won += 1;
            self.cycles.extend(deal.closed_at.and_then(|closed| minutes_between(deal.registered_at, closed)));
        }
        if !deal.historical {
            self.add_decision(deal);
        }
    }

    fn add_decision(&mut self, deal: &Deal) {
        if let (Some(submitted), Some(decided)) = (deal.submitted_at, deal.decided_at) {
            self.decisions.extend(minutes_between(submitted, decided));
        }
        if let Some(due) = deal.sla_due {
            let met = deal.decided_at.is_some_and(|decided| decided <= due) && !deal.sla_breached;
            self.sla_met += u64::from(met);
            self.sla_promised += u64::from(met || deal.sla_breached || deal.decided_at.is_some());
        }
    }

    /// The figures in the order of `FIELDS`, the currency left out; with `details` also what their formulas name beside them.
    pub(super) fn values(mut self, currency: Currency, details: bool) -> Vec<(&'static str, Value)> {
        let weighted = self.open.iter().zip(OPEN).map(|(sum, (stage, _))| sum * weight(stage)).sum::<i128>() + self.won_amount * 1000;
        let details = if details { self.details(currency) } else { Vec::new() };
        let figures = vec![
            ("count", self.count.into()),
            ("amount", money(self.amount, currency)),
            ("registered_amount", money(self.registered_amount, currency)),
            ("weighted_amount", money(half_even(weighted, 1000), currency)),
            ("approved", self.approved.into()),
            ("decided", self.decided.into()),
            ("won", self.won.into()),
            ("approval_rate", ratio(self.approved.into(), self.decided.into())),
            ("conversion", ratio(self.won.into(), self.approved.into())),
            ("decision_time_p50_hours", percentile(&mut self.decisions, 50, HOUR)),
            ("decision_time_p95_hours", percentile(&mut self.decisions, 95, HOUR)),
            ("sla_attainment", ratio(self.sla_met.into(), self.sla_promised.into())),
            ("cycle_time_median_days", percentile(&mut self.cycles, 50, DAY)),
        ];
        [figures, details].concat()
    }

    fn details(&self, currency: Currency) -> Vec<(&'static str, Value)> {
        let sorted = |minutes: &[u32]| {
            let mut minutes = minutes.to_vec();
            minutes.sort_unstable();
            Value::from(minutes)
        };
        let open = self.open.iter().zip(OPEN).map(|(sum, (_, name))| (name, money(*sum, currency)));
        let others = [
            ("won_amount", money(self.won_amount, currency)),
            ("sla_met", self.sla_met.into()),
            ("sla_promised", self.sla_promised.into()),
            ("decision_minutes", sorted(&self.decisions)),
            ("cycle_minutes", sorted(&self.cycles)),
        ];
        open.chain(others).collect()
    }
}
