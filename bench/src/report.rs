//! What was measured: rows beside their limits, as a table for people and as JSON for programs.

use std::{borrow::Cow, path::Path};

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde::{Deserialize, Serialize};

use crate::machine::Machine;

/// One figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) measure: String,
    pub(crate) figure: f64,
    pub(crate) unit: Cow<'static, str>,
    /// What it is held against.
    pub(crate) limit: Option<Limit>,
    /// `figure / limit`.
    pub(crate) ratio: Option<f64>,
    /// What has to hold, in words; empty for a figure that is only told.
    pub(crate) target: String,
    pub(crate) met: Option<bool>,
}

/// A limit, measured in the same run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Limit {
    pub(crate) name: String,
    pub(crate) figure: f64,
}

impl Limit {
    pub(crate) fn new(name: &str, figure: f64) -> Self {
        Self { name: name.to_owned(), figure }
    }
}

impl Row {
    /// A figure that is only told.
    pub(crate) fn told(measure: impl Into<String>, figure: f64, unit: &'static str) -> Self {
        Self { measure: measure.into(), figure, unit: unit.into(), limit: None, ratio: None, target: String::new(), met: None }
    }

    /// A rate that must reach a share of a limit: of the alternatives, the one that asks for least.
    pub(crate) fn at_least(measure: impl Into<String>, figure: f64, unit: &'static str, alternatives: Vec<(f64, Limit)>) -> Self {
        let words: Vec<String> = alternatives.iter().map(|(share, limit)| format!("{share} x {}", limit.name)).collect();
        let lowest = alternatives.into_iter().min_by(|a, b| (a.0 * a.1.figure).total_cmp(&(b.0 * b.1.figure)));
        let mut row = Self::told(measure, figure, unit);
        if let Some((share, limit)) = lowest {
            row.target = format!(">= {} of {}", share, limit.name);
            if words.len() > 1 {
                row.target = format!(">= {} (the lower of {})", row.target.trim_start_matches(">= "), words.join(", "));
            }
            row.ratio = Some(figure / limit.figure);
            row.met = Some(figure >= share * limit.figure);
            row.limit = Some(limit);
        }
        row
    }

    /// A figure that must stay under a bound.
    pub(crate) fn below(measure: impl Into<String>, figure: f64, unit: &'static str, bound: f64) -> Self {
        let target = format!("< {} {unit}", number(bound));
        Self { target, met: Some(figure < bound), ..Self::told(measure, figure, unit) }
    }

    /// Something that must hold.
    pub(crate) fn holds(measure: impl Into<String>, holds: bool) -> Self {
        Self { target: "yes".to_owned(), met: Some(holds), ..Self::told(measure, f64::from(u8::from(holds)), "") }
    }
}

/// A whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) version: &'static str,
    pub(crate) quick: bool,
    /// Decisions of the largest ledger.
    pub(crate) decisions: u64,
    pub(crate) seconds: f64,
    pub(crate) machine: Machine,
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// Writes it as JSON.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        std::fs::write(file, json).with_context(|| format!("{} cannot be written", file.display()))
    }

    /// What the figures are of.
    pub(crate) fn heading(&self) -> String {
        let Machine { cores, cpu, memory_gib, load_before, .. } = &self.machine;
        let kind = if self.quick { "quick run, rough figures" } else { "full run" };
        format!(
            "pledger {}, {kind} of {:.0} s on {cores} x {cpu}, {memory_gib:.0} GiB; load before it {load_before}",
            self.version, self.seconds
        )
    }

    /// The table that people read.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED).set_header(["measure", "figure", "limit in this run", "ratio", "target", "met"]);
        for row in &self.rows {
            let limit = row.limit.as_ref().map(|limit| format!("{} {}", number(limit.figure), limit.name)).unwrap_or_default();
            let ratio = row.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
            let met = row.met.map_or("", |met| if met { "yes" } else { "NO" });
            let figure = if row.unit.is_empty() { met.to_owned() } else { format!("{} {}", number(row.figure), row.unit) };
            table.add_row([row.measure.clone(), figure, limit, ratio, row.target.clone(), met.to_owned()]);
        }
        for column in [1, 3] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }
}

/// A number as people read it: thousands apart, and three digits where it is small.
pub(crate) fn number(figure: f64) -> String {
    if figure.abs() < 100.0 {
        let text = format!("{figure:.2}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The middle one of some figures.
///
/// # Panics
/// Where there are none.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        let texts: Vec<_> = [0.0, 0.5, 12.345, 99.0, 100.0, 1234.5, 1_234_567.0, -1234.0].into_iter().map(number).collect();
        assert_eq!(texts, ["0", "0.5", "12.35", "99", "100", "1,234", "1,234,567", "-1,234"]);
    }

    #[test]
    fn the_lower_of_two_targets_counts() {
        let alternatives = |packed| vec![(20.0, Limit::new("single", 5_000.0)), (0.5, Limit::new("packed", packed))];
        let row = Row::at_least("x", 90_000.0, "/s", alternatives(150_000.0));
        assert_eq!((row.met, row.limit.map(|limit| limit.name)), (Some(true), Some("packed".to_owned())));
        let row = Row::at_least("x", 90_000.0, "/s", alternatives(500_000.0));
        assert_eq!((row.met, row.ratio), (Some(false), Some(18.0)));
    }
}
