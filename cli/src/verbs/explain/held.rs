//! A partner held against the tiers, in words.

use anyhow::Result;
use serde_json::Value;

use super::list;
use crate::output;

/// The most terms of a figure that are printed.
const MAX_TERMS: usize = 500;

/// At which moment, and every threshold with the figure beside it. `moment` is how the question names its time.
pub(super) fn tell_tiers(held: &Value, moment: &str) -> Result<()> {
    let text = |name: &str| output::cell(&held[name]);
    output::print(format!(
        "  Held against the tiers {moment}{}: revenue and net-new logos count from {} to {}, {} days under rules {}.",
        text("at"),
        text("window_from"),
        text("window_to"),
        text("window_days"),
        text("rules")
    ))?;
    for tier in list(held, "tiers") {
        output::print(format!("  {}", tier_words(tier)))?;
    }
    Ok(())
}

/// `gold (next): revenue 250,000.00 of 500,000.00 USD, missing 250,000.00 USD; certifications 4 of 4, reached`.
fn tier_words(tier: &Value) -> String {
    let stands = output::cell(&tier["stands"]);
    let stands = if stands.is_empty() { stands } else { format!(" ({stands})") };
    let threshold = |one: &Value| {
        let lacks =
            if one["is_reached"] == Value::Bool(true) { "reached".to_owned() } else { format!("missing {}", number(&one["missing"])) };
        format!("{} {} of {}, {lacks}", figure(&one["field"]), number(&one["value"]), output::cell(&one["needed"]))
    };
    let thresholds: Vec<String> = list(tier, "thresholds").map(threshold).collect();
    format!("{}{stands}: {}", output::cell(&tier["tier"]), thresholds.join("; "))
}

/// What a figure is called in words.
fn figure(field: &Value) -> String {
    match field.as_str() {
        Some("active_certifications") => "certifications".to_owned(),
        Some("net_new_logos") => "net-new logos".to_owned(),
        _ => output::cell(field),
    }
}

/// A count, or an amount without its currency.
fn number(value: &Value) -> String {
    let text = output::cell(value);
    value["currency"].as_str().and_then(|currency| text.strip_suffix(currency)).map_or(text.clone(), |amount| amount.trim_end().to_owned())
}

/// A term in words.
type Words = fn(&Value) -> String;

/// What the figures that are told count, one by one.
pub(super) fn tell_terms(item: &Value) -> Result<()> {
    let held = &item["held"];
    let is_told = |field: &str| list(item, "figures").any(|figure| figure["field"] == field);
    let terms: [(&str, &str, &str, Words); 3] = [
        ("revenue", "revenue", "Revenue that counts", revenue),
        ("net_new_logos", "net_new_logos", "Net-new logos", logo),
        ("active_certifications", "certifications", "Certifications in force", certification),
    ];
    for (_, name, title, words) in terms.into_iter().filter(|(field, ..)| is_told(field)) {
        let count = list(held, name).count();
        if count == 0 {
            output::print(format!("  {title}: none"))?;
            continue;
        }
        output::print(format!("  {title}:"))?;
        for term in list(held, name).take(MAX_TERMS) {
            output::print(format!("    {}", words(term)))?;
        }
        if count > MAX_TERMS {
            output::print(format!("    and {} more: see --json", output::cell(&(count - MAX_TERMS).into())))?;
        }
    }
    Ok(())
}

/// `2026-03-05T00:00:00Z 3:17 account/acme.com deal d-1 revenue r-1: 80,000.00 USD`.
fn revenue(term: &Value) -> String {
    let named = |name: &str, what: &str| term[name].as_str().map(|id| format!(" {what} {id}")).unwrap_or_default();
    let (deal, revenue) = (named("deal", "deal"), named("revenue_id", "revenue"));
    let how = match (deal.is_empty(), revenue.is_empty()) {
        (false, true) => ", won",
        // What rows know of it.
        (true, true) => " recorded revenue of the day",
        (_, false) => "",
    };
    format!("{}{deal}{revenue}{how}: {}", place(term), output::cell(&term["amount"]))
}

fn logo(term: &Value) -> String {
    format!("{} deal {}", place(term), output::cell(&term["deal"]))
}

/// When, by which decision, of which account.
fn place(term: &Value) -> String {
    format!("{} {} {}", output::cell(&term["at"]), output::cell(&term["position"]), output::cell(&term["stream"]))
}

fn certification(term: &Value) -> String {
    let text = |name: &str| output::cell(&term[name]);
    format!(
        "{} {} {} {} since {} until {}",
        text("position"),
        text("person_id"),
        text("certification"),
        text("level"),
        text("since"),
        text("expires_at")
    )
}
