//! The view `tiers`.

use pledger_domain::{
    partner::{
        PartnerPhase, TierInputs,
        tier::{Distance, distance_to_next, earned_tier, rank},
    },
    rules::{RuleSet, TierRule},
    values::{Money, Timestamp},
};
use serde_json::{Value, json};

use super::standing::{Figures, active_certifications, figures, in_force_at, last_day_of};
use crate::{
    cube::{Dim, DimValue, Plan, Values},
    figures::{money, text, time, word},
    lacking::{Lacking, since},
    page::{Selection, cursor, read_cursor},
    partners::{PHASES, Partner, phase},
    query::{Answer, FieldKind::*, FieldSpec, Item, Query, QueryError, Rows, ViewSpec},
    symbol::Symbol,
};

const NAME: &str = "tiers";

/// One item a partner.
pub const VIEW: ViewSpec = ViewSpec {
    name: NAME,
    summary: "One item a partner: the tier awarded, the tier its figures earn under the rules in force, and what the next one takes.",
    key: Some("partner_id"),
    by: &[],
    filters: &FILTERS,
    fields: FIELDS,
    headline: &[
        "partner",
        "name",
        "tier_awarded",
        "tier_earned",
        "revenue",
        "next_tier",
        "missing_revenue",
        "missing_certifications",
        "missing_net_new_logos",
    ],
    tables: &["deals", "revenue_days", "partners", "certifications"],
    answer,
};

const PARTNER: FieldSpec = FieldSpec::new("partner", Text, "The partner.");
const AWARDED: FieldSpec =
    FieldSpec::new("tier_awarded", Text, "The tier it was awarded; null before the first award.").under(&["tiers", "tier_policy"]);
const EARNED: FieldSpec = FieldSpec::new("tier_earned", Text, "The tier that its figures earn under the rules in force.")
    .computed("highest_tier(revenue, active_certifications, net_new_logos)")
    .under_in_force(&["tiers"]);
const REGION: FieldSpec = FieldSpec::new("region", Text, "The partner's region; null where it has none.");
const STATUS: FieldSpec = FieldSpec::new("status", Text, "Where it stands: prospect, applied, onboarding, active, suspended or retired.");
const FILTERS: [FieldSpec; 5] = [PARTNER, AWARDED, EARNED, REGION, STATUS];

const FIELDS: &[FieldSpec] = &[
    PARTNER,
    FieldSpec::new("name", Text, "Its legal name."),
    REGION,
    STATUS,
    AWARDED,
    EARNED,
    FieldSpec::new("revenue", Money, "Revenue in the window, in the reporting currency.")
        .computed("won_amounts + recorded_revenue")
        .under_in_force(&["tier_policy.window_days"]),
    FieldSpec::new("other_revenue", Objects, "Revenue in the window in other currencies: {amount, currency}; counts for no tier."),
    FieldSpec::new(
        "active_certifications",
        Count,
        "Certifications in force. A person counts for the partner whose certification of it began last.",
    )
    .computed("count(certifications_in_force)"),
    FieldSpec::new("net_new_logos", Count, "Accounts whose first won deal was closed in the window.")
        .computed("count(logo_accounts)")
        .under_in_force(&["tier_policy.window_days"]),
    FieldSpec::new("next_tier", Text, "The tier above the higher of awarded and earned; null at the top.")
        .computed("tier_above(tier_awarded, tier_earned)")
        .under_in_force(&["tiers"]),
    FieldSpec::new("missing_revenue", Money, "What is missing for it, rounded up to the minor unit; null at the top.")
        .computed("max(0, next_revenue - revenue)")
        .under_in_force(&["tiers"]),
    FieldSpec::new("missing_certifications", Count, "What is missing for it; null at the top.")
        .computed("max(0, next_certifications - active_certifications)")
        .under_in_force(&["tiers"]),
    FieldSpec::new("missing_net_new_logos", Count, "What is missing for it; null at the top.")
        .computed("max(0, next_net_new_logos - net_new_logos)")
        .under_in_force(&["tiers"]),
    FieldSpec::new("at_risk_since", Time, "Since when its figures no longer earn the awarded tier; null where they do."),
    FieldSpec::new("grace_until", Time, "Until when the tier is kept all the same; null where it is not at risk.")
        .under(&["tier_policy.grace_days"]),
    FieldSpec::new("evaluated_until", Time, "The end of the latest period that it was evaluated for; null before the first evaluation."),
    FieldSpec::new("window_from", Date, "The first day of the window."),
    FieldSpec::new("window_to", Date, "Its last day: that of the question's time."),
    FieldSpec::new("rules", Count, "The version of the rules in force; 0 for the defaults."),
    FieldSpec::new(
        "incomplete_since",
        Position,
        "A record of the partner, or of an account that it has a deal or revenue on, that could not be read; null where all is well.",
    ),
];

/// A partner, held against the tiers.
pub(super) struct Fact<'a> {
    pub(super) partner: Symbol,
    pub(super) row: &'a Partner,
    figures: Figures,
    pub(super) inputs: TierInputs,
    pub(super) earned: Option<&'a TierRule>,
}

const fn dims<'a>() -> [Dim<Fact<'a>>; FILTERS.len()] {
    [
        Dim { spec: PARTNER, value: |fact| DimValue::Name(fact.partner), values: Values::Names },
        Dim { spec: AWARDED, value: |fact| DimValue::name(fact.row.tier), values: Values::Names },
        Dim { spec: EARNED, value: |fact| DimValue::name(fact.earned.map(|tier| Symbol::of(tier.name.as_str()))), values: Values::Names },
        Dim { spec: REGION, value: |fact| DimValue::name(fact.row.region), values: Values::Names },
        Dim { spec: STATUS, value: |fact| phase(fact.row.phase), values: Values::Words(PHASES) },
    ]
}

fn answer(rows: &Rows<'_>, query: &Query) -> Result<Answer, QueryError> {
    if let Some(dimension) = query.by.first() {
        return Err(QueryError::UnknownDimension { view: NAME, dimension: dimension.clone(), accepted: Vec::new() });
    }
    let dims = dims();
    let at = query.at.unwrap_or_else(|| last_day_of(rows));
    let set = in_force_at(rows, at);
    // What is earned is in no row: a filter finds the name only where somebody made it.
    set.rules.tiers.iter().for_each(|tier| _ = Symbol::of(tier.name.as_str()));
    let plan = Plan::read(NAME, &dims, query)?;
    let after = read_cursor(NAME, query, 1)?;
    let mut selection = Selection::new(after.as_ref().map(|parts| parts[0].as_str()), query.limit);
    let facts = facts(rows, at, &set);
    for fact in facts.iter().filter(|fact| query.key.as_ref().is_none_or(|key| *key == fact.partner.name())) {
        if plan.admits(fact) {
            selection.push(fact.partner.name(), fact);
        }
    }
    let (found, more) = selection.finish();
    if let (Some(key), true) = (&query.key, found.is_empty()) {
        return Err(QueryError::NotFound { view: NAME, key: key.clone() });
    }
    let next = found.last().filter(|_| more).map(|(name, _)| cursor(&[name]));
    let lacking = Lacking::of(rows);
    let items = found.into_iter().map(|(_, fact)| {
        let mut item = fact.item(at, &set);
        item.0.push(since(lacking.partner(fact.partner)));
        item
    });
    Ok(Answer { items: items.collect(), next })
}

/// Every partner that was nominated or registered.
pub(super) fn facts<'a>(rows: &'a Rows<'_>, at: Timestamp, set: &'a RuleSet) -> Vec<Fact<'a>> {
    let mut figures = figures(rows, at, set.rules.tier_policy.window_days);
    let certified = active_certifications(rows, at);
    let partners = rows.shards().flat_map(|shard| shard.partners.partners.iter());
    let known = partners.filter(|(_, row, _)| row.phase != PartnerPhase::Unknown);
    let fact = |(key, row, _): (&crate::partners::PartnerKey, &'a Partner, _)| {
        let figures = figures.remove(&key.partner).unwrap_or_default();
        let inputs = inputs(&figures, certified.get(&key.partner).copied().unwrap_or(0), set);
        let earned = earned_tier(&set.rules, &inputs);
        Fact { partner: key.partner, row, figures, inputs, earned }
    };
    known.map(fact).collect()
}

/// The inputs of the tier arithmetic. A count or a sum beyond its type is beyond every threshold too.
pub(super) fn inputs(figures: &Figures, active_certifications: u32, set: &RuleSet) -> TierInputs {
    let currency = set.rules.reporting_currency;
    let revenue = figures.revenue.get(&currency).copied().unwrap_or(0);
    let revenue = i64::try_from(revenue).unwrap_or(if revenue < 0 { i64::MIN } else { i64::MAX });
    let net_new_logos = u32::try_from(figures.net_new_logos.max(0)).unwrap_or(u32::MAX);
    TierInputs { revenue: Money::from_minor(revenue, currency), active_certifications, net_new_logos }
}

impl Fact<'_> {
    /// The tier above the higher of awarded and earned, and what is missing for it.
    pub(super) fn next<'s>(&self, set: &'s RuleSet) -> Option<(&'s TierRule, Distance)> {
        let rules = &set.rules;
        let awarded = self.row.tier.and_then(|tier| rules.tiers.iter().find(|rule| rule.name.as_str() == tier.name()));
        let reached = awarded.into_iter().chain(self.earned).map(|tier| &tier.name).max_by_key(|tier| rank(rules, tier));
        distance_to_next(rules, reached, &self.inputs)
    }

    /// Revenue in other currencies than the reporting currency.
    fn other_revenue(&self, set: &RuleSet) -> Vec<Value> {
        let others = self.figures.revenue.iter().filter(|(currency, amount)| **currency != set.rules.reporting_currency && **amount != 0);
        others.map(|(currency, amount)| money(*amount, *currency)).collect()
    }

    fn item(&self, at: Timestamp, set: &RuleSet) -> Item {
        let Self { row, inputs, .. } = self;
        let next = self.next(set);
        let missing = |pick: fn(&Distance) -> Value| next.as_ref().map_or(Value::Null, |(_, distance)| pick(distance));
        let amount = |amount: Money| money(amount.minor().into(), amount.currency());
        let name = |symbol: Option<Symbol>| DimValue::name(symbol).json();
        Item(vec![
            ("partner", self.partner.name().into()),
            ("name", row.name.as_str().into()),
            ("region", name(row.region)),
            ("status", word(&row.phase)),
            ("tier_awarded", name(row.tier)),
            ("tier_earned", text(self.earned.map(|tier| tier.name.as_str()))),
            ("revenue", amount(inputs.revenue)),
            ("other_revenue", json!(self.other_revenue(set))),
            ("active_certifications", inputs.active_certifications.into()),
            ("net_new_logos", inputs.net_new_logos.into()),
            ("next_tier", text(next.as_ref().map(|(tier, _)| tier.name.as_str()))),
            ("missing_revenue", missing(|distance| money(distance.revenue.minor().into(), distance.revenue.currency()))),
            ("missing_certifications", missing(|distance| distance.certifications.into())),
            ("missing_net_new_logos", missing(|distance| distance.net_new_logos.into())),
            ("at_risk_since", time(row.at_risk_since)),
            ("grace_until", time(row.grace_until)),
            ("evaluated_until", time(row.evaluated_until)),
            ("window_from", at.plus_days(1 - i64::from(set.rules.tier_policy.window_days)).date().into()),
            ("window_to", at.date().into()),
            ("rules", set.version.into()),
        ])
    }
}
