//! The answer: a summary first, drafts side by side, then the rows behind it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

use anyhow::Result;
use pledger_command_api::found_in_rules;
use pledger_consumers::counterfactual::{self, Control, Found, OfKind, Unreadable, Unrepeated};
use pledger_domain::{
    rules::{RuleChange, RuleProblem},
    values::{Currency, Timestamp},
};
use pledger_projections::{figures::money, what_if::Difference};
use serde_json::{Value, json};

use super::{
    funds::FundsShift,
    row::{COLUMNS, RETURNS, Row, returns, told},
};
use crate::output;

/// What the drafts would change.
pub(crate) struct Report {
    pub(super) from: Option<Timestamp>,
    pub(super) to: Timestamp,
    /// The most rows of a kind in a table, or of a list in a document.
    pub(super) limit: usize,
    /// The version of the rules in force at the end of the span.
    pub(super) in_force: u32,
    pub(super) drafts: Vec<Outcome>,
    /// How many commands were decided again, and whether those that a draft changes came out as recorded under the rules as
    /// recorded.
    pub(super) decided: counterfactual::Report,
    /// How many versions of the rules there are.
    pub(super) published: u32,
    /// Which commands were to be decided again.
    pub(super) control: Control,
    /// Whether history was folded: figures cannot differ where not.
    pub(super) folds: bool,
}

/// What one draft would change.
pub(super) struct Outcome {
    /// Its file.
    pub(super) name: String,
    /// Against the rules in force.
    pub(super) changes: Vec<RuleChange>,
    /// What in it was hardly meant.
    pub(super) warnings: Vec<RuleProblem>,
    pub(super) figures: Difference,
    pub(super) funds: Vec<FundsShift>,
    pub(super) found: Found,
}

/// The most decisions that do not repeat in a table.
const MAX_UNREPEATED: usize = 20;
/// What is not in the answer.
const NOTES: [&str; 4] = [
    "Commands are decided again as they were sent; what else would have been asked for, had it been decided otherwise, nobody knows.",
    "Figures follow recorded decisions: deals and certifications that would have been refused, or run out at another time, are counted \
     as they are recorded. Market development funds that would be paid otherwise are counted so in returns.",
    "Streams are decided again in the order program, partners, all others. Evaluations of tiers are decided again with the figures \
     that they were sent; which tiers figures would earn is derived once, after that, and no command is decided a second time with it.",
    "The version that a sender expected (If-Match) is recorded with refusals only, and is not checked again.",
];

/// The differences of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sum {
    count: u64,
    /// In minor units, by currency: of moved credit what is gained, of funds what is more or less, of decisions what the deals,
    /// requests or claims are worth that they are about.
    money: BTreeMap<Currency, i128>,
    /// Of returns, whose they are: each has several figures.
    partners: BTreeSet<String>,
}

impl Outcome {
    /// Every difference that is told, kind by kind; each is made when it is asked for.
    fn rows(&self) -> impl Iterator<Item = Row> {
        self.figures().chain(self.found.decisions.iter().map(Row::from))
    }

    fn figures(&self) -> impl Iterator<Item = Row> {
        let Difference { tiers, attribution, ropi } = &self.figures;
        let figures = tiers.iter().map(Row::from).chain(attribution.iter().map(Row::from)).chain(ropi.iter().flat_map(returns));
        figures.chain(self.funds.iter().map(Row::from))
    }

    fn sums(&self) -> Vec<(String, Sum)> {
        let mut sums: Vec<(String, Sum)> = Vec::new();
        for row in self.figures() {
            let place = sums.iter().position(|(kind, _)| *kind == row.kind).unwrap_or(sums.len());
            if place == sums.len() {
                sums.push((row.kind.clone(), Sum::default()));
            }
            sums[place].1.add(&row);
        }
        sums.extend(self.found.kinds.iter().map(|of_kind| (of_kind.kind.to_string(), Sum::from(of_kind))));
        sums
    }
}

impl From<&OfKind> for Sum {
    fn from(OfKind { kind: _, count, money }: &OfKind) -> Self {
        Self { count: *count, money: money.clone(), partners: BTreeSet::new() }
    }
}

impl Sum {
    fn add(&mut self, row: &Row) {
        self.count += 1;
        if row.kind == RETURNS {
            self.partners.extend(row.partner.clone());
        }
        let text = |name: &str| row.money.as_ref().and_then(|money| money[name].as_str());
        let Some((currency, amount)) = text("currency").and_then(|code| Currency::parse(code).ok()).zip(text("amount")) else { return };
        // Credit only moves: what one loses, another gains, and the sum of both would always be nothing.
        if !(row.kind.starts_with("credit") && amount.starts_with('-')) {
            *self.money.entry(currency).or_default() += minor(amount, currency);
        }
    }

    fn money(&self) -> Vec<Value> {
        self.money.iter().map(|(currency, sum)| money(*sum, *currency)).collect()
    }

    /// How many, of what, and the money.
    fn cell(&self, kind: &str) -> String {
        let money: Vec<String> = self.money().iter().map(output::cell).collect();
        let money = money.join(", ");
        match kind.split([' ', ',']).next() {
            _ if kind == RETURNS => format!("{} of {}", some(self.count, "figure"), some(self.partners.len(), "partner")),
            Some("tier") => some(self.count, "partner"),
            Some("funds") => format!("{} ({money})", some(self.count, "partner")),
            Some("credit") => format!("{} ({money} moved)", some(self.count, "share")),
            _ if money.is_empty() => self.count.to_string(),
            _ => format!("{} ({money})", self.count),
        }
    }
}

/// Whether a simulation says what a change makes of history. The name of a program makes nothing of it.
fn is_simulated(change: &RuleChange) -> bool {
    !change.is_within(&["deal_registration.duplicate_similarity"])
}

/// `1 figure`, `2 figures`.
fn some(count: impl TryInto<u64>, of: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{count} {of}{}", if count == 1 { "" } else { "s" })
}

fn were(commands: u64) -> String {
    format!("{} {}", some(commands, "command"), if commands == 1 { "was" } else { "were" })
}

/// The first of a list, for an answer that is bounded.
fn first<T>(all: &[T], limit: usize) -> &[T] {
    &all[..all.len().min(limit)]
}

/// Minor units of an amount as `figures::money` writes it: all of its digits.
fn minor(amount: &str, currency: Currency) -> i128 {
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    let digits = currency.digits() as usize;
    format!("{whole}{part:0<digits$}").parse().unwrap_or(0)
}

impl Report {
    /// One document, of which each list holds the first `limit` of as many as are said beside it.
    pub(crate) fn json(&self) -> Value {
        let limit = self.limit;
        let drafts: Vec<Value> = self.drafts.iter().map(|draft| draft.json(limit)).collect();
        let counterfactual::Report { decided, historical, set_aside, controlled, controlled_streams, unrepeated, unreadable, drafts: _ } =
            &self.decided;
        let again = json!({
            "every_command": self.control == Control::Everything,
            "folded": self.folds,
            "decided": decided,
            "historical": historical,
            "set_aside": set_aside,
            "controlled": controlled,
            "controlled_streams": controlled_streams,
            "unrepeated_count": unrepeated.len(),
            "unrepeated": first(unrepeated, limit),
            "unreadable_count": unreadable.len(),
            "unreadable": first(unreadable, limit),
        });
        json!({
            "from": self.from,
            "to": self.to,
            "in_force": self.in_force,
            "limit": limit,
            "drafts": drafts,
            "decided_again": again,
            "notes": NOTES,
        })
    }

    /// What whoever goes by the answer has to know, for forms that have no place for it.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let of_draft = |draft: &Outcome| draft.warnings.iter().map(|warning| format!("{}: {warning}", draft.name)).collect::<Vec<_>>();
        let counterfactual::Report { unrepeated, unreadable, .. } = &self.decided;
        let unrepeated = unrepeated.first().map(|first| {
            let count = unrepeated.len();
            format!(
                "{count} of the decisions do not come out as recorded, and no draft is said to change them; the first is {}",
                first.position
            )
        });
        let unreadable = unreadable.first().map(|first| {
            let count = unreadable.len();
            format!(
                "{count} of the records cannot be read, and what came after in their streams is left out; the first is {}",
                first.position
            )
        });
        self.drafts.iter().flat_map(of_draft).chain(unrepeated).chain(unreadable).collect()
    }

    /// Whether every command that was controlled came out as recorded.
    pub(super) const fn repeats(&self) -> bool {
        self.decided.unrepeated.is_empty()
    }

    /// Writes every row, one after the other.
    pub(crate) fn csv(&self, out: impl Write) -> Result<()> {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(COLUMNS)?;
        for (draft, row) in self.rows() {
            writer.write_record(std::iter::once(draft.to_owned()).chain(row.cells()))?;
        }
        writer.flush()?;
        Ok(())
    }

    /// Writes every row on a line, by the names of the CSV's columns; what is empty there is null.
    pub(crate) fn lines(&self, mut out: impl Write) -> Result<()> {
        for (draft, row) in self.rows() {
            let cells = std::iter::once(draft.to_owned()).chain(row.cells());
            let members = COLUMNS.iter().zip(cells).map(|(name, cell)| ((*name).to_owned(), super::row::text(&cell)));
            writeln!(out, "{}", Value::Object(members.collect()))?;
        }
        Ok(())
    }

    fn rows(&self) -> impl Iterator<Item = (&str, Row)> {
        self.drafts.iter().flat_map(|draft| draft.rows().map(|row| (draft.name.as_str(), row)))
    }

    pub(super) fn table(&self) -> String {
        let mut text = self.drafts.iter().map(|draft| draft.in_words(self.in_force)).collect::<String>();
        if self.published > 1 {
            text.push_str(
                "Each decision is held against the version of the rules that decided it, which may be another than the one in force.\n",
            );
        }
        let from = self.from.map(|from| format!(" from {from}")).unwrap_or_default();
        text.push_str(&format!("\nHistory{from} up to {}, as recorded and as it would have been:\n", self.to));
        text.push_str(&self.summary());
        text.push_str(&self.control());
        for draft in &self.drafts {
            draft.tables(self.limit, self.drafts.len() > 1, &mut text);
        }
        text
    }

    /// Whether deciding again can be trusted, and what it cannot know.
    fn control(&self) -> String {
        let counterfactual::Report { decided, historical, set_aside, controlled, controlled_streams, unrepeated, unreadable, drafts: _ } =
            &self.decided;
        let aside = if *set_aside == 0 { String::new() } else { format!(" {set_aside} that rested on what is not recorded were not.") };
        let before = if *historical == 0 {
            String::new()
        } else {
            format!(
                " {historical} are history from before the ledger, recorded as it happened: no draft protects or expires a deal by them."
            )
        };
        let also = format!("{} decided under the rules as recorded too, in {}", were(*controlled), some(*controlled_streams, "stream"));
        let (again, wherever) = match self.control {
            Control::Everything => (format!("{} decided again.", were(*decided)), ""),
            Control::Differences if *decided == 0 => ("No command is decided by a clause that a draft changes.".to_owned(), ""),
            Control::Differences => {
                let again = format!("{} decided again: what a changed clause decides, and what comes of that.", were(*decided));
                (again, "Where a draft decides otherwise, ")
            }
        };
        let came = match unrepeated.len() {
            0 if *decided == 0 => String::new(),
            0 if *controlled == 0 => " No draft decides any command otherwise.".to_owned(),
            0 => format!(" {wherever}{also}: all of these come out as recorded."),
            count => format!(" {wherever}{also}: {count} do NOT come out as recorded, and no draft is said to change them:"),
        };
        let mut text = format!("{again}{aside}{before}{came}\n");
        text.extend(unrepeated.iter().take(MAX_UNREPEATED).map(|one| format!("  {}\n", line(one))));
        for Unreadable { position, stream, reason } in unreadable.iter().take(MAX_UNREPEATED) {
            let stream = stream.as_ref().map_or_else(String::new, |stream| format!(" of {stream}"));
            text.push_str(&format!("Incomplete: {position}{stream} cannot be read, and what came after it is left out: {reason}\n"));
        }
        if let Some(more) = unreadable.len().checked_sub(MAX_UNREPEATED + 1) {
            text.push_str(&format!("Incomplete: {} more records cannot be read; --json has all of them\n", more + 1));
        }
        if !self.folds {
            text.push_str("Tiers, credit and returns were not asked again: no clause that they are read by changes.\n");
        }
        text.extend(NOTES.iter().map(|note| format!("{note}\n")));
        text
    }

    /// A line a kind of difference, a column a draft.
    fn summary(&self) -> String {
        let sums: Vec<_> = self.drafts.iter().map(Outcome::sums).collect();
        let mut seen = BTreeSet::new();
        let kinds: Vec<&String> = sums.iter().flatten().map(|(kind, _)| kind).filter(|kind| seen.insert(*kind)).collect();
        if kinds.is_empty() {
            return "Nothing would differ.\n".to_owned();
        }
        let cell = |sums: &[(String, Sum)], kind: &String| {
            Value::from(sums.iter().find(|(known, _)| known == kind).map_or_else(|| "0".to_owned(), |(_, sum)| sum.cell(kind)))
        };
        let rows: Vec<Vec<Value>> = kinds
            .iter()
            .map(|kind| std::iter::once(Value::from(kind.as_str())).chain(sums.iter().map(|sums| cell(sums, kind))).collect())
            .collect();
        let columns: Vec<String> =
            std::iter::once("difference".to_owned()).chain(self.drafts.iter().map(|draft| draft.name.clone())).collect();
        format!("{}\n", output::table(&columns, &rows))
    }
}

impl Outcome {
    fn in_words(&self, in_force: u32) -> String {
        let mut text = format!("{} against version {in_force}:\n", self.name);
        if self.changes.is_empty() {
            text.push_str("  Nothing changes.\n");
        }
        let told = |change: &RuleChange| {
            let asked = if is_simulated(change) { "" } else { " (Not simulated: conflicts go by it as soon as it is in force.)" };
            format!("  {}{asked}\n", change.in_words)
        };
        text.extend(self.changes.iter().map(told));
        text.extend(self.warnings.iter().map(|warning| format!("  Warning: {warning}.\n")));
        text
    }

    fn json(&self, limit: usize) -> Value {
        let summary: Vec<Value> =
            self.sums().iter().map(|(kind, sum)| json!({"kind": kind, "count": sum.count, "money": sum.money()})).collect();
        let Difference { tiers, attribution, ropi } = &self.figures;
        json!({
            "draft": self.name,
            "changes": self.changes,
            "warnings": found_in_rules(&self.warnings),
            "summary": summary,
            "counts": {
                "tiers": tiers.len(),
                "attribution": attribution.len(),
                "ropi": ropi.len(),
                "funds": self.funds.len(),
                "decisions": self.found.count(),
            },
            "tiers": first(tiers, limit),
            "attribution": first(attribution, limit),
            "ropi": first(ropi, limit),
            "funds": first(&self.funds, limit),
            "decisions": first(&self.found.decisions, limit),
        })
    }

    /// The rows behind the summary, at most `limit` of a kind.
    fn tables(&self, limit: usize, named: bool, text: &mut String) {
        let sums = self.sums();
        let mut shown = vec![Vec::new(); sums.len()];
        for row in self.rows() {
            let place = sums.iter().position(|(kind, _)| *kind == row.kind).filter(|place| shown[*place].len() < limit);
            if let Some(place) = place {
                shown[place].push(row);
            }
        }
        for ((kind, sum), shown) in sums.iter().zip(shown).filter(|(_, shown)| !shown.is_empty()) {
            let title = if named { format!("\n{}: {kind}\n", self.name) } else { format!("\n{kind}\n") };
            text.push_str(&title);
            text.push_str(&columns(&shown));
            if sum.count > shown.len() as u64 {
                text.push_str(&format!("{} of {} shown; all with --limit {} or --format csv\n", shown.len(), sum.count, sum.count));
            }
        }
    }
}

/// What was decided, and what is now.
fn line(Unrepeated { position, stream, command, recorded, again }: &Unrepeated) -> String {
    format!("{position} {stream} {command}: {}, now {}", told(recorded), told(again))
}

/// The columns that any of the rows fills; money in one.
fn columns(rows: &[Row]) -> String {
    type Column = (&'static str, fn(&Row) -> Value);
    let all: [Column; 9] = [
        ("partner", |row| text(row.partner.as_deref())),
        ("subject", |row| text(Some(&row.subject))),
        ("decision", |row| text(row.position.as_deref())),
        ("at", |row| text(row.at.as_deref())),
        ("as recorded", |row| text(Some(&row.before))),
        ("under the draft", |row| text(Some(&row.after))),
        ("money", |row| row.money.clone().unwrap_or_default()),
        ("follows", |row| text(row.follows.as_deref())),
        ("why", |row| text(Some(&row.why))),
    ];
    let filled: Vec<Column> = all.into_iter().filter(|(_, cell)| rows.iter().any(|row| !cell(row).is_null())).collect();
    let names: Vec<String> = filled.iter().map(|(name, _)| (*name).to_owned()).collect();
    let cells: Vec<Vec<Value>> = rows.iter().map(|row| filled.iter().map(|(_, cell)| cell(row)).collect()).collect();
    format!("{}\n", output::table(&names, &cells))
}

fn text(text: Option<&str>) -> Value {
    text.filter(|text| !text.is_empty()).map_or(Value::Null, Value::from)
}
