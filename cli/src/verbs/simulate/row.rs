//! A difference as one row, whatever it is about: what tables and CSV are made of.

use pledger_consumers::counterfactual::{Change, FieldChange, FundsFigure, Kind, Otherwise, Told};
use pledger_ledger::slices::Position;
use pledger_projections::what_if::{CreditShift, Crossing, ReturnChange, TierChange};
use serde_json::Value;

use super::funds::FundsShift;
use crate::output;

/// The kind of rows of returns: a figure of a partner each.
pub(super) const RETURNS: &str = "return on investment";

/// The columns of CSV; the first is the draft.
pub(super) const COLUMNS: [&str; 12] =
    ["draft", "kind", "partner", "subject", "position", "at", "before", "after", "amount", "currency", "follows", "why"];

/// One difference.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    /// What it counts under in the summary.
    pub(super) kind: String,
    /// The partner that it concerns.
    pub(super) partner: Option<String>,
    /// What it is about: a model, a figure, a deal, a claim.
    pub(super) subject: String,
    /// The recorded decision.
    pub(super) position: Option<String>,
    /// When that is true in the business.
    pub(super) at: Option<String>,
    /// As it is.
    pub(super) before: String,
    /// As it would be.
    pub(super) after: String,
    /// The money concerned: `{amount, currency}`.
    pub(super) money: Option<Value>,
    /// The decision that this follows from.
    pub(super) follows: Option<String>,
    /// Why, in words.
    pub(super) why: String,
}

impl Row {
    /// The fields in the order of `COLUMNS`, the draft left out.
    pub(super) fn cells(&self) -> [String; COLUMNS.len() - 1] {
        let own = |text: &Option<String>| text.clone().unwrap_or_default();
        let part = |name: &str| self.money.as_ref().and_then(|money| money[name].as_str()).unwrap_or_default().to_owned();
        [
            self.kind.clone(),
            own(&self.partner),
            self.subject.clone(),
            own(&self.position),
            own(&self.at),
            self.before.clone(),
            self.after.clone(),
            part("amount"),
            part("currency"),
            own(&self.follows),
            self.why.clone(),
        ]
    }
}

impl From<&TierChange> for Row {
    fn from(change: &TierChange) -> Self {
        let tier = |tier: &Option<_>| tier.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        Self {
            kind: "tier earned".to_owned(),
            partner: Some(change.partner.clone()),
            subject: change.name.clone(),
            before: tier(&change.before),
            after: tier(&change.after),
            why: change.why.iter().map(in_words).collect::<Vec<_>>().join("; "),
            ..Self::default()
        }
    }
}

/// `gold takes 6 active certifications instead of 4: 5`.
fn in_words(crossing: &Crossing) -> String {
    let Crossing { tier, input, had, took, has, takes } = crossing;
    if *input == "tier" {
        return if takes == &Value::Bool(true) { format!("{tier} is new") } else { format!("there is no {tier} any more") };
    }
    let is_new = took.is_null();
    let [had, took, has, takes] = [had, took, has, takes].map(output::cell);
    let input = input.replace('_', " ");
    let threshold = if is_new || took == takes { takes } else { format!("{takes} instead of {took}") };
    let figure = if had == has { format!("it has {has}") } else { format!("it has {has} in the draft's window instead of {had}") };
    format!("{tier} takes {input} {threshold}, {figure}")
}

impl From<&CreditShift> for Row {
    fn from(shift: &CreditShift) -> Self {
        let deals = |deals: i64, credited: &Value| format!("{} of {deals} deals", output::cell(credited));
        Self {
            kind: format!("credit, {}", shift.model),
            partner: shift.partner.map(str::to_owned),
            subject: shift.channel.map(|channel| format!("channel {channel}")).unwrap_or_default(),
            before: deals(shift.deals_before, &shift.before),
            after: deals(shift.deals_after, &shift.after),
            money: Some(shift.gains.clone()),
            ..Self::default()
        }
    }
}

impl From<&FundsShift> for Row {
    fn from(shift: &FundsShift) -> Self {
        let figure = match shift.figure {
            FundsFigure::Approved => "approved",
            FundsFigure::Paid => "paid",
        };
        Self {
            kind: format!("funds {figure}, more or less"),
            partner: shift.partner.clone(),
            subject: match shift.decisions {
                1 => "1 decision".to_owned(),
                decisions => format!("{decisions} decisions"),
            },
            before: output::cell(&shift.before),
            after: output::cell(&shift.after),
            money: Some(shift.moves.clone()),
            ..Self::default()
        }
    }
}

impl From<&Otherwise> for Row {
    fn from(decision: &Otherwise) -> Self {
        let [before, after] = match decision.change {
            Change::OtherConsequences | Change::OtherTime => {
                let sides: [fn(&FieldChange) -> &Value; 2] = [|field| &field.before, |field| &field.after];
                sides.map(|side| {
                    let fields = decision.fields.iter().filter(|field| !says_the_time_again(decision, field));
                    let named = fields.map(|field| format!("{} {}", field.field, output::cell(side(field))));
                    named.collect::<Vec<_>>().join(", ")
                })
            }
            Change::Refused | Change::Accepted | Change::OtherReason | Change::OtherDates | Change::FallsDue => {
                [&decision.recorded, &decision.draft].map(told)
            }
        };
        let own = |position: Option<_>| position.map(|position: Position| position.to_string());
        Self {
            kind: Kind::of(decision).to_string(),
            partner: decision.partner.clone(),
            subject: decision.subject.clone().unwrap_or_else(|| decision.stream.to_string()),
            position: own(decision.position),
            at: Some(decision.effective_at.to_string()),
            before,
            after,
            money: decision.amount.and_then(|amount| serde_json::to_value(amount).ok()),
            follows: own(decision.follows),
            why: decision.caveats.join("; "),
        }
    }
}

/// Whether an event tells the time already: `expired_at` and `effective_at` of what fell due are one date.
fn says_the_time_again(decision: &Otherwise, field: &FieldChange) -> bool {
    let tells = |other: &FieldChange| other.field != field.field && (&other.before, &other.after) == (&field.before, &field.after);
    decision.change == Change::OtherTime && field.field == "effective_at" && decision.fields.iter().any(tells)
}

/// A cell as JSON.
pub(super) fn text(cell: &str) -> Value {
    if cell.is_empty() { Value::Null } else { cell.into() }
}

/// What was decided, in words.
pub(super) fn told(told: &Told) -> String {
    match told {
        Told::Accepted { events } => format!("accepted ({})", events.join(", ")),
        Told::Refused { code: _, reason } => format!("refused: {reason}"),
        Told::Nothing => "nothing".to_owned(),
    }
}

/// A row a figure.
pub(super) fn returns(change: &ReturnChange) -> impl Iterator<Item = Row> {
    change.figures.iter().map(|figure| Row {
        kind: RETURNS.to_owned(),
        partner: change.partner.clone(),
        subject: figure.figure.to_owned(),
        before: output::cell(&figure.before),
        after: output::cell(&figure.after),
        ..Row::default()
    })
}
